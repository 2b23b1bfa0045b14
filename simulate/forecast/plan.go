package forecast

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
)

// PlanOptions of one plan. Model is Scenario's or a capture's.
type PlanOptions struct {
	Model     *Model
	Directory *org.Directory
	Limits    spend.Rules
	Prices    *platform.PriceList
	AsOf      time.Time
	Trials    int
	Seed      uint64
	Workers   int
	// Chance is the part of member-months that the recommended limit may cut
	// short: 0.05 is one in twenty.
	Chance float64
	// Cloud says that sessions may run unattended in the cloud.
	Cloud bool
	// Asked are limits to try beside the others, by group; -1 is none.
	Asked map[string]int64
	// Others is the part of the spend under the same limits that is not Cowork's;
	// negative: not known.
	Others float64
	// Rules are the dated rules of limits behind Limits, to be named in the plan.
	Rules []Rule
}

// Rule is a dated rule of the platform that a plan relies on.
type Rule struct {
	Fact      string `json:"fact"`
	Applied   string `json:"applied"`   // what the plan does with it
	Statement string `json:"statement"` // "" where nothing was documented on the day
	Reason    string `json:"reason"`
}

// Plan is the answer of `sandtable plan spend`.
type Plan struct {
	Month    string  `json:"month"`
	Days     int     `json:"days"`
	Origin   string  `json:"drawn_from"`
	Captured bool    `json:"calibrated_from_capture"`
	Trials   int     `json:"trials"`
	Seed     uint64  `json:"seed"`
	Chance   float64 `json:"accepted_chance"`
	// Pool is the sessions that draws come from, and what one costs.
	Pool         int              `json:"pool_sessions"`
	SessionCost  Amounts          `json:"session_cost"`
	Drivers      []Driver         `json:"cost_drivers"`
	Groups       []GroupPlan      `json:"groups"`
	Organisation OrganisationPlan `json:"organisation"`
	// WhatIf is the capture replayed against the limits and prices asked about; nil
	// without a capture or a question.
	WhatIf *spend.Difference `json:"what_if"`
	// Rules are the dated rules of limits that the plan relied on, as of AsOf.
	AsOf  string   `json:"as_of"`
	Rules []Rule   `json:"rules"`
	Notes []string `json:"notes"`
}

// Amounts of a distribution, in micro-dollars.
type Amounts struct {
	Mean   int64 `json:"mean_micros"`
	MeanSE int64 `json:"mean_se"`
	P10    int64 `json:"p10_micros"`
	P50    int64 `json:"p50_micros"`
	P90    int64 `json:"p90_micros"`
	P95    int64 `json:"p95_micros"`
	P99    int64 `json:"p99_micros"`
	P50SE  int64 `json:"p50_se"`
	P90SE  int64 `json:"p90_se"`
	P99SE  int64 `json:"p99_se"`
}

func amounts(q Quantiles) Amounts {
	return Amounts{q.Mean, q.SE.Mean, q.P10, q.P50, q.P90, q.P95, q.P99, q.SE.P50, q.SE.P90, q.SE.P99}
}

// Driver is a part of what a mean session costs. Drivers overlap where Of says
// so: a subagent's requests have input, output and cache too.
type Driver struct {
	Name   string `json:"name"`
	Micros int64  `json:"micros_a_session"`
	Share  string `json:"share"`
	Of     string `json:"of"`
}

// Inputs of the lesson's formula, and where they come from.
type Inputs struct {
	SessionsPerWeek float64 `json:"sessions_per_user_week"`
	SessionCost     int64   `json:"cost_per_session_micros"`
	Users           int     `json:"users"`
	From            string  `json:"from"`
	Assumes         string  `json:"assumes,omitempty"`
}

// Headroom splits the expected month against the formula's month without its
// 25 percent: the four factors multiply to Ratio.
type Headroom struct {
	BaseMicros     int64   `json:"base_micros"` // sessions x cost x users x 4.3
	ExpectedMicros int64   `json:"expected_micros"`
	Sessions       float64 `json:"sessions_factor"`
	Cost           float64 `json:"cost_factor"`
	Users          float64 `json:"users_factor"`
	Weeks          float64 `json:"weeks_factor"`
	Ratio          float64 `json:"ratio"`
	PointsUsed     float64 `json:"points_used"` // of 25; above 25 the budget is gone in a mean month
	// Working weeks, sessions and cost of the expected month.
	WorkingWeeks    float64 `json:"working_weeks"`
	SessionsPerWeek float64 `json:"expected_sessions_per_user_week"`
	CostMicros      int64   `json:"expected_cost_per_session_micros"`
}

// Alternative is a number somebody might enter per member, and what it does.
type Alternative struct {
	Name   string `json:"name"`
	WhyNot string `json:"why_not,omitempty"`
	Effect
	GroupSpend Amounts `json:"group_spend"`
}

// Assumption is one of the eleven things the formula takes for granted, with its
// number here. Points is how many of the 25 points of headroom it uses in this
// month; nil where it does not move the mean, or nobody knows.
type Assumption struct {
	ID     string   `json:"id"`
	Takes  string   `json:"takes_for_granted"`
	Breaks string   `json:"breaks_when"`
	Here   string   `json:"here"`
	Points *float64 `json:"points_of_headroom"`
}

// CapRow is the limit for a stated chance.
type CapRow struct {
	Chance float64 `json:"chance"`
	Cap    int64   `json:"cap_micros"`
	SE     int64   `json:"se"`
}

// GroupPlan is one group's plan. Recommended is the one number to enter per
// member; nil when the forecast has nothing to say, and then Because says what
// to do.
type GroupPlan struct {
	Group       string        `json:"group"`
	Members     int           `json:"members"` // who may use Cowork in the month
	InOthers    int           `json:"also_in_another_limited_group"`
	Inputs      Inputs        `json:"formula_inputs"`
	Budget      spend.Budget  `json:"formula"`
	Recommended *Alternative  `json:"recommended"`
	Because     string        `json:"because"`
	WhyNot      []Alternative `json:"why_not"`
	Spend       Amounts       `json:"group_spend_without_limit"`
	Member      Amounts       `json:"member_month_without_limit"`
	Fan         []FanDay      `json:"fan"`
	Caps        []CapRow      `json:"caps_for_chance"`
	Headroom    *Headroom     `json:"headroom"`
	// AtFormula answers for the case that the formula's own mean is right and only
	// the spread is the forecast's; nil without a headroom.
	AtFormula   *AtFormula   `json:"at_formula_mean"`
	Assumptions []Assumption `json:"assumptions"`
}

// AtFormula is the forecast's spread laid over the formula's mean member-month.
type AtFormula struct {
	Mean    int64   `json:"mean_micros"`              // sessions x cost x 4.3
	Cap     int64   `json:"cap_micros"`               // for the accepted chance
	Times   float64 `json:"cap_over_mean"`            // how many times the mean that is
	Blocked float64 `json:"chance_at_budget_by_head"` // under the budget divided by heads
}

// FanDay is the group's spend up to and with a day.
type FanDay struct {
	Day int   `json:"day"`
	P10 int64 `json:"p10_micros"`
	P50 int64 `json:"p50_micros"`
	P90 int64 `json:"p90_micros"`
	P99 int64 `json:"p99_micros"`
}

// OrganisationPlan is the pooled ceiling, which is the only pool there is.
type OrganisationPlan struct {
	Members     int     `json:"members"`
	Spend       Amounts `json:"spend_without_limit"`
	Ceiling     int64   `json:"configured_ceiling_micros"` // -1: none
	Recommended int64   `json:"recommended_ceiling_micros"`
	// Reached is the chance that spend reaches 75, 90 and 100 percent of the
	// configured ceiling in the month; MedianDay the day it does so in the middle
	// trial, 0 when it does not.
	Reached   []CeilingLine `json:"ceiling_reached"`
	GroupCaps int64         `json:"exposure_of_recommended_limits_micros"`
}

// CeilingLine is one line of the ceiling.
type CeilingLine struct {
	Percent   int      `json:"percent"`
	Chance    Estimate `json:"chance"`
	MedianDay int      `json:"median_day"`
}

// Everybody is the name of the set that stands for a plan without groups.
const Everybody = "everybody with Cowork"

// weekdays of the model's month.
func (m *Model) weekdays() int {
	n := 0
	for d := range m.Days {
		if w := m.From.AddDate(0, 0, d).Weekday(); w != time.Saturday && w != time.Sunday {
			n++
		}
	}
	return n
}

// MakePlan runs the trials and draws up the plan. Groups come in the order of
// the configuration.
func MakePlan(ctx context.Context, o PlanOptions) (*Plan, error) {
	m, c := o.Model, o.Directory.Config
	p := &Plan{Month: m.From.Format("2006-01"), Days: m.Days, Origin: m.Origin, Captured: m.Captured, Trials: o.Trials, Seed: o.Seed, Chance: o.Chance,
		Pool: len(m.Pool), Groups: []GroupPlan{}, Drivers: []Driver{}, Notes: append([]string{}, m.Notes...),
		AsOf: o.AsOf.Format(time.DateOnly), Rules: append([]Rule{}, o.Rules...)}
	p.Notes = append(p.Notes, "members vary independently of each other: a month in which everybody is busier at once lies outside these bands")
	if !(o.Chance > 0 && o.Chance < 1) {
		return nil, fmt.Errorf("forecast: the accepted chance is %v, expected between 0 and 1", o.Chance)
	}
	type subject struct {
		name    string
		set     []int
		formula *org.Formula
		current int64
		others  int
	}
	var subjects []subject
	limited := map[string]bool{}
	if o.Limits.GroupLimits {
		for _, l := range c.Spend.Groups {
			limited[l.Group.Value] = true
		}
		// Without any limit yet, every group is planned; else those that have one.
		free := make([]bool, len(m.Workers))
		for i := range free {
			free[i] = true
		}
		for g := range c.Groups {
			s := subject{name: c.Groups[g].Name.Value, current: -1}
			if len(limited) > 0 && !limited[s.name] {
				continue
			}
			for i, w := range m.Workers {
				if m.inGroup(o.Directory, g, w.Member) {
					s.set = append(s.set, i)
					free[i] = false
					for h := range c.Groups {
						if limited[c.Groups[h].Name.Value] && h != g && m.inGroup(o.Directory, h, w.Member) {
							s.others++
							break
						}
					}
				}
			}
			for _, l := range c.Spend.Groups {
				if l.Group.Value == s.name {
					s.formula, s.current = l.Formula, l.Limit.Micros
				}
			}
			subjects = append(subjects, s)
		}
		n := 0
		for _, f := range free {
			if f {
				n++
			}
		}
		if n > 0 && len(subjects) > 0 {
			under := "no limit at all"
			if c.Spend.SeatDefault.Given {
				under = "the seat default of " + spend.Dollars(c.Spend.SeatDefault.Micros)
			} else if c.Spend.MemberDefault.Given {
				under = "the default of " + spend.Dollars(c.Spend.MemberDefault.Micros) + " a member"
			}
			p.Notes = append(p.Notes, fmt.Sprintf("%d of %d members who may use Cowork are in no group planned here and fall to %s", n, len(m.Workers), under))
		}
	} else {
		p.Notes = append(p.Notes, "limits on groups do not exist on this plan as of the date; the organisation's ceiling and limits per user do")
	}
	everybody := subject{name: Everybody, current: -1}
	for i := range m.Workers {
		everybody.set = append(everybody.set, i)
	}
	if c.Spend.MemberDefault.Given {
		everybody.current = c.Spend.MemberDefault.Micros
	}
	if len(subjects) == 0 {
		subjects = append(subjects, everybody)
	}
	opts := Options{Trials: o.Trials, Seed: o.Seed, Workers: o.Workers}
	sets := [][]int{everybody.set}
	for _, s := range subjects {
		sets = append(sets, s.set)
	}
	var spreads []*Spread
	if len(m.Pool) > 0 {
		var err error
		if spreads, err = m.Run(ctx, opts, sets...); err != nil {
			return nil, err
		}
		p.sessions(m)
	}
	for i, s := range subjects {
		g := GroupPlan{Group: s.name, Members: len(s.set), InOthers: s.others, WhyNot: []Alternative{}, Fan: []FanDay{}, Caps: []CapRow{}, Assumptions: []Assumption{}}
		var sp *Spread
		if spreads != nil && len(s.set) > 0 {
			sp = spreads[i+1]
		}
		g.inputs(m, sp, s.formula, len(s.set))
		g.Budget = spend.Formula(g.Inputs.SessionsPerWeek, g.Inputs.SessionCost, g.Inputs.Users)
		if sp != nil && m.Thin != "" {
			g.Spend, g.Member = amounts(sp.Quantiles()), amounts(sp.MemberQuantiles())
			g.Because = fmt.Sprintf("No number is recommended. %s The formula's %s a member is what its own inputs give.", m.Thin, spend.Dollars(g.Budget.PerMemberMicros))
			p.Groups = append(p.Groups, g)
			continue
		}
		if sp == nil {
			g.Because = fmt.Sprintf("Nobody in this group may use Cowork in %s, so there is nothing to forecast; the formula's %s a member is what its own inputs give, for what other products they use.",
				p.Month, spend.Dollars(g.Budget.PerMemberMicros))
			if s.formula == nil {
				g.Because = fmt.Sprintf("Nobody in this group may use Cowork in %s and no formula is given: there is nothing to plan.", p.Month)
			}
			p.Groups = append(p.Groups, g)
			continue
		}
		if err := g.fill(ctx, &o, m, opts, s.set, sp, s.current); err != nil {
			return nil, err
		}
		p.Groups = append(p.Groups, g)
	}
	if spreads != nil {
		p.organisation(&o, spreads[0])
	}
	return p, nil
}

// inGroup reports that a member is in the group on some day of the month.
func (m *Model) inGroup(d *org.Directory, g, member int) bool {
	for day := range m.Days {
		if d.InGroup(g, member, m.From.AddDate(0, 0, day).Add(12*time.Hour)) {
			return true
		}
	}
	return false
}

func (g *GroupPlan) inputs(m *Model, sp *Spread, f *org.Formula, members int) {
	if f != nil {
		g.Inputs = Inputs{f.SessionsPerWeek, f.SessionCost.Micros, f.Users, "the scenario's formula for this group", f.Assumes}
		return
	}
	g.Inputs = Inputs{Users: members, From: "the forecast's own means, as the scenario gives no formula"}
	if sp != nil {
		g.Inputs.SessionsPerWeek = math.Round(m.perWeek(sp)*100) / 100
		g.Inputs.SessionCost = toCent(m.costOf(sp))
	}
}

// perWeek is the mean number of sessions of a member in five working days.
func (m *Model) perWeek(sp *Spread) float64 {
	return float64(sp.Sessions) / float64(len(sp.Totals)*len(sp.Workers)) / (float64(m.weekdays()) / 5)
}

// costOf is the mean cost of a session over the trials.
func (m *Model) costOf(sp *Spread) int64 {
	var sum float64
	for _, v := range sp.Totals {
		sum += float64(v)
	}
	if sp.Sessions == 0 {
		return 0
	}
	return int64(math.Round(sum / float64(sp.Sessions)))
}

func toCent(micros int64) int64 { return (micros + spend.Cent/2) / spend.Cent * spend.Cent }

const dollar = 1_000_000

func (g *GroupPlan) fill(ctx context.Context, o *PlanOptions, m *Model, opts Options, set []int, sp *Spread, current int64) error {
	grouped := g.Group != Everybody
	g.Spend, g.Member = amounts(sp.Quantiles()), amounts(sp.MemberQuantiles())
	p10, p50, p90, p99 := sp.Fan(.1), sp.Fan(.5), sp.Fan(.9), sp.Fan(.99)
	for d := range m.Days {
		g.Fan = append(g.Fan, FanDay{d + 1, p10[d], p50[d], p90[d], p99[d]})
	}
	for _, chance := range []float64{0.20, 0.10, 0.05, 0.02, 0.01} {
		limit, se := sp.capFor(chance)
		g.Caps = append(g.Caps, CapRow{chance, limit, se})
	}
	recommended, _ := sp.capFor(o.Chance)
	recommended = (recommended + dollar - 1) / dollar * dollar
	typed := toCent(g.Budget.TeamMicros)
	limits := []int64{recommended, g.Budget.PerMemberMicros, typed, -1}
	if current >= 0 {
		limits = append(limits, current)
	}
	if v, ok := o.Asked[g.Group]; ok {
		limits = append(limits, v)
	}
	effects, err := m.Try(ctx, opts, set, limits...)
	if err != nil {
		return err
	}
	alternative := func(i int, name, why string) Alternative {
		return Alternative{name, why, effects[i], amounts(effects[i].Spend)}
	}
	r := alternative(0, "recommended", "")
	g.Recommended = &r
	g.Because = fmt.Sprintf("%s stops %s of member-months before their work is done (accepted: %s). The most the group could then spend is %d x %s = %s; it is expected to spend %s.",
		spend.Dollars(recommended), percent(r.MemberMonth.Mean), percent(o.Chance), len(set), spend.Dollars(recommended), spend.Dollars(r.Exposure), round2(r.Spend.Mean))
	if !grouped {
		g.Because += " There is no group limit to carry it: enter it as a limit per user."
		if o.Limits.GroupLimits {
			g.Because = strings.Replace(g.Because, "There is no group limit to carry it: enter it as a limit per user.", "No group is configured to carry it: make it the default of a seat or of a group that holds everybody.", 1)
		}
	}
	heads := alternative(1, "the budget divided by heads", "")
	if heads.MemberMonth.Mean > r.MemberMonth.Mean {
		heads.WhyNot = fmt.Sprintf("It is the mean user's number, and it binds the heavy ones: %s of member-months are cut short, %.1f members in a month, and %s of work does not run.",
			percent(heads.MemberMonth.Mean), heads.Members.Mean, round2(heads.Lost))
	} else {
		heads.WhyNot = fmt.Sprintf("It is higher than it has to be here: the formula's inputs are above what is expected, and the exposure is %s instead of %s.", spend.Dollars(heads.Exposure), spend.Dollars(r.Exposure))
	}
	team := alternative(2, "the team's budget typed in", fmt.Sprintf("A group limit is inherited by each member and is no common pot: %s there allows %d x %s = %s.",
		spend.Dollars(typed), len(set), spend.Dollars(typed), spend.Dollars(int64(len(set))*typed)))
	none := alternative(3, "no limit", fmt.Sprintf("Nothing stops a runaway month: one month in a hundred the group spends more than %s, and one member-month in a hundred more than %s.",
		round2(g.Spend.P99), round2(g.Member.P99)))
	g.WhyNot = append(g.WhyNot, heads)
	if grouped {
		g.WhyNot = append(g.WhyNot, team)
	}
	g.WhyNot = append(g.WhyNot, none)
	if current >= 0 {
		now := alternative(4, "the limit configured now", "")
		switch {
		case current == recommended:
			now.WhyNot = "It is the recommended number."
		case now.MemberMonth.Mean > o.Chance:
			now.WhyNot = fmt.Sprintf("It cuts %s of member-months short, more than the accepted %s.", percent(now.MemberMonth.Mean), percent(o.Chance))
		default:
			now.WhyNot = fmt.Sprintf("It blocks no more than accepted (%s of member-months), at an exposure of %s instead of %s.", percent(now.MemberMonth.Mean), spend.Dollars(now.Exposure), spend.Dollars(r.Exposure))
		}
		g.WhyNot = append(g.WhyNot, now)
	}
	if _, ok := o.Asked[g.Group]; ok {
		asked := alternative(len(limits)-1, "the limit asked about", "")
		asked.WhyNot = fmt.Sprintf("It cuts %s of member-months short, %.1f members in a month; %s of work does not run; the exposure is %s.",
			percent(asked.MemberMonth.Mean), asked.Members.Mean, round2(asked.Lost), exposure(asked.Exposure))
		g.WhyNot = append(g.WhyNot, asked)
	}
	g.headroom(m, sp, o.Chance)
	g.Assumptions = assumptions(o, m, sp, g)
	return nil
}

func exposure(micros int64) string {
	if micros < 0 {
		return "without end"
	}
	return spend.Dollars(micros)
}

func (g *GroupPlan) headroom(m *Model, sp *Spread, chance float64) {
	in := g.Inputs
	if in.SessionsPerWeek <= 0 || in.SessionCost <= 0 || in.Users <= 0 {
		return
	}
	h := &Headroom{ExpectedMicros: g.Spend.Mean, WorkingWeeks: float64(m.weekdays()) / 5, SessionsPerWeek: round(m.perWeek(sp)), CostMicros: m.costOf(sp)}
	base := in.SessionsPerWeek * float64(in.SessionCost) * float64(in.Users) * 4.3
	h.BaseMicros = int64(math.Round(base))
	h.Sessions, h.Cost = round(m.perWeek(sp)/in.SessionsPerWeek), round(float64(h.CostMicros)/float64(in.SessionCost))
	h.Users, h.Weeks = round(float64(len(sp.Workers))/float64(in.Users)), round(h.WorkingWeeks/4.3)
	h.Ratio = round(float64(h.ExpectedMicros) / base)
	h.PointsUsed = math.Round((h.Ratio-1)*1000) / 10
	g.Headroom = h
	scale := in.SessionsPerWeek * float64(in.SessionCost) * 4.3 / float64(max(g.Member.Mean, 1))
	limit, _ := sp.capFor(chance)
	a := &AtFormula{Mean: int64(math.Round(float64(g.Member.Mean) * scale)), Cap: int64(math.Ceil(float64(limit)*scale/spend.Cent)) * spend.Cent}
	a.Times = round(float64(a.Cap) / float64(max(a.Mean, 1)))
	stopped, _ := slices.BinarySearch(sp.Needs, int64(math.Ceil(float64(g.Budget.PerMemberMicros)/scale)))
	a.Blocked = round(1 - float64(stopped)/float64(len(sp.Needs)))
	g.AtFormula = a
}

func (p *Plan) sessions(m *Model) {
	var totals []int64
	var parts Parts
	var known bool
	weights, sum := make([]float64, len(m.Models)), 0.0
	for i, mod := range m.Models {
		weights[i] = mod.Weight
		sum += mod.Weight
	}
	// Every session counts under every model, by the models' shares.
	type priced struct {
		cost   int64
		weight float64
	}
	var all []priced
	var mean, searches float64
	add := func(to *int64, v float64) { *to += int64(math.Round(v)) }
	for i := range m.Pool {
		s := &m.Pool[i]
		searches += float64(s.Searches)
		for j := range m.Models {
			w := weights[j] / sum
			all = append(all, priced{s.Total(j), w})
			mean += float64(s.Total(j)) * w
			if s.Parts != nil {
				known = true
				q := s.Parts[j]
				add(&parts.Input, float64(q.Input)*w)
				add(&parts.Output, float64(q.Output)*w)
				add(&parts.Read, float64(q.Read)*w)
				add(&parts.Write, float64(q.Write)*w)
				add(&parts.Subagents, float64(q.Subagents)*w)
				add(&parts.Later, float64(q.Later)*w)
				add(&parts.Cold, float64(q.Cold)*w)
			}
		}
	}
	n := float64(len(m.Pool))
	mean /= n
	slices.SortFunc(all, func(a, b priced) int { return int(min(max(a.cost-b.cost, -1), 1)) })
	at := func(q float64) int64 {
		seen := 0.0
		for _, x := range all {
			if seen += x.weight / n; seen >= q {
				return x.cost
			}
		}
		return all[len(all)-1].cost
	}
	for i := range m.Pool {
		var one float64
		for j := range m.Models {
			one += float64(m.Pool[i].Total(j)) * weights[j] / sum
		}
		totals = append(totals, int64(one))
	}
	p.SessionCost = Amounts{Mean: int64(math.Round(mean)), MeanSE: quantiles(totals).SE.Mean, P10: at(.1), P50: at(.5), P90: at(.9), P95: at(.95), P99: at(.99)}
	for _, d := range m.Drivers {
		row := Driver{Name: d.Driver, Micros: d.Micros / int64(len(m.Pool)), Of: "all requests", Share: "-"}
		switch {
		case d.Whole == 0:
			row.Of = "nothing: it comes on top of the cost by token that telemetry states"
		case !strings.HasPrefix(d.Driver, "model ") && strings.ContainsAny(d.Driver[:1], "ioc"):
			row.Of = "the list price by token"
		}
		if d.Whole > 0 {
			row.Share = percent(float64(d.Micros) / float64(d.Whole))
		}
		p.Drivers = append(p.Drivers, row)
	}
	share := func(v float64) string { return percent(v / mean) }
	each := func(v int64) int64 { return int64(math.Round(float64(v) / n)) }
	if known {
		for _, d := range []Driver{
			{"input outside the cache", each(parts.Input), "", "the cost by token"}, {"output", each(parts.Output), "", "the cost by token"},
			{"cache reads", each(parts.Read), "", "the cost by token"}, {"cache writes", each(parts.Write), "", "the cost by token"},
			{"subagents", each(parts.Subagents), "", "all requests"}, {"tool loops: requests after a prompt's first", each(parts.Later), "", "all requests"},
		} {
			d.Share = share(float64(d.Micros))
			p.Drivers = append(p.Drivers, d)
		}
	}
	for j, mod := range m.Models {
		if len(m.Models) > 1 {
			var t float64
			for i := range m.Pool {
				t += float64(m.Pool[i].Total(j))
			}
			v := t / n * weights[j] / sum
			p.Drivers = append(p.Drivers, Driver{"model " + mod.Name, int64(math.Round(v)), share(v), "all requests, in " + percent(weights[j]/sum) + " of sessions"})
		}
	}
	if searches > 0 {
		v := searches / n * 10_000
		p.Drivers = append(p.Drivers, Driver{"web searches at 0.01 each", int64(math.Round(v)), share(v), "the mean, on top of the cost by token that telemetry states"})
	}
}

func (p *Plan) organisation(o *PlanOptions, sp *Spread) {
	c := o.Directory.Config.Spend.Organisation
	q := sp.Quantiles()
	p.Organisation = OrganisationPlan{Members: len(sp.Workers), Spend: amounts(q), Ceiling: -1, Reached: []CeilingLine{},
		Recommended: (q.P99 + 10*dollar - 1) / (10 * dollar) * (10 * dollar)}
	for _, g := range p.Groups {
		if g.Recommended != nil {
			p.Organisation.GroupCaps += min(g.Recommended.Exposure, math.MaxInt64-p.Organisation.GroupCaps)
		}
	}
	if !c.Given {
		return
	}
	p.Organisation.Ceiling = c.Micros
	for _, pct := range []int{75, 90, 100} {
		line := spend.Line(c.Micros, pct)
		reached := make([]float64, o.Trials)
		days := make([]int64, o.Trials)
		for t := range o.Trials {
			days[t] = math.MaxInt32
			for d := range sp.ByDay {
				if sp.ByDay[d][t] >= line {
					reached[t], days[t] = 1, int64(d+1)
					break
				}
			}
		}
		slices.Sort(days)
		l := CeilingLine{Percent: pct, Chance: estimate(reached)}
		if d := quantile(days, .5); d != math.MaxInt32 {
			l.MedianDay = int(d)
		}
		p.Organisation.Reached = append(p.Organisation.Reached, l)
	}
}

// percent is a share in words: 4.6%.
func percent(x float64) string { return strconv.FormatFloat(x*100, 'f', 1, 64) + "%" }

// round2 prints an amount to the cent.
func round2(micros int64) string { return spend.Rounded(micros) }
