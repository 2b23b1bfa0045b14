// Package spend replays a usage stream against the configured monthly limits:
// who would have been blocked, when, by which limit, and what it cost in total.
// All amounts are int64 micro-dollars; months are UTC calendar months (fact
// spend-limit-period). A limit entered on a group caps each member on their own
// spend and is never a pool (fact spend-group-limit-semantics); only the
// organisation's ceiling is.
package spend

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Cent is one cent in micro-dollars.
const Cent = 10_000

// Dollars writes micro-dollars as $1,075.00, with more decimals only when two
// would lose something.
func Dollars(micros int64) string {
	sign, u := "", uint64(micros)
	if micros < 0 {
		sign, u = "-", -u
	}
	whole := strconv.FormatUint(u/1_000_000, 10)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if frac := u % 1_000_000; frac%Cent != 0 {
		return strings.TrimRight(fmt.Sprintf("%s$%s.%06d", sign, whole, frac), "0")
	}
	return fmt.Sprintf("%s$%s.%02d", sign, whole, u%1_000_000/Cent)
}

// Rounded writes micro-dollars as Dollars does, rounded to the cent, half a cent
// away from zero: for people, who pay no millionths.
func Rounded(micros int64) string {
	rest := micros % Cent
	switch micros -= rest; {
	case rest >= Cent/2 && micros <= math.MaxInt64-Cent:
		micros += Cent
	case rest <= -Cent/2 && micros >= math.MinInt64+Cent:
		micros -= Cent
	}
	return Dollars(micros)
}

// Budget is the result of Formula.
type Budget struct {
	TeamMicros      int64 `json:"team_micros"`       // whole team, a month
	PerMemberMicros int64 `json:"per_member_micros"` // the number to enter, rounded up to a cent
	// ExposureIfTeamTypedIn is what the team may spend when the team's number is
	// entered as the group limit, which every member inherits.
	ExposureIfTeamTypedIn int64    `json:"exposure_if_team_typed_in"`
	Lines                 []string `json:"lines"`
}

// Formula is the lesson's budget: sessions a user and week, times cost of a
// session, times users, times 4.3 weeks a month, times 1.25 headroom. Sessions
// count to a thousandth. Inputs below zero give an empty budget, amounts beyond
// int64 the largest one.
func Formula(sessionsPerWeek float64, sessionCostMicros int64, users int) Budget {
	if !(sessionsPerWeek >= 0 && sessionsPerWeek < 1e9) || sessionCostMicros < 0 || users <= 0 {
		return Budget{Lines: []string{"no budget: sessions, cost and users must be above zero"}}
	}
	milli := int64(sessionsPerWeek*1000 + 0.5)
	// one = s * c * 4.3 * 1.25 in millionths of a micro-dollar: 5.375 = 5375/1000.
	one := big.NewInt(milli)
	one.Mul(one, big.NewInt(sessionCostMicros)).Mul(one, big.NewInt(5375))
	team := new(big.Int).Mul(one, big.NewInt(int64(users)))
	b := Budget{
		TeamMicros:      ceilDiv(team, 1_000_000, 1),
		PerMemberMicros: ceilDiv(one, 1_000_000*Cent, Cent),
	}
	b.ExposureIfTeamTypedIn = ceilDiv(new(big.Int).Mul(big.NewInt(b.TeamMicros), big.NewInt(int64(users))), 1, 1)
	b.Lines = []string{
		fmt.Sprintf("%s sessions a user and week x %s a session x %d users x 4.3 weeks x 1.25 headroom = %s a month for the team",
			strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64), Dollars(sessionCostMicros), users, Dollars(b.TeamMicros)),
		fmt.Sprintf("%s / %d users = %s a member, rounded up to a cent: the number to enter on the group", Dollars(b.TeamMicros), users, Dollars(b.PerMemberMicros)),
		fmt.Sprintf("a group limit caps each member; entering %s there would allow %d x %s = %s", Dollars(b.TeamMicros), users, Dollars(b.TeamMicros), Dollars(b.ExposureIfTeamTypedIn)),
	}
	return b
}

// ceilDiv is ceil(n/d)*unit, held at the largest int64.
func ceilDiv(n *big.Int, d, unit int64) int64 {
	q := new(big.Int).Add(n, big.NewInt(d-1))
	q.Div(q, big.NewInt(d)).Mul(q, big.NewInt(unit))
	if !q.IsInt64() {
		return 1<<63 - 1
	}
	return q.Int64()
}
