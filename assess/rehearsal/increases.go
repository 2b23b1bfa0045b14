package rehearsal

import (
	"time"

	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Increase is an increase request that a member made while the scenario was
// played. Status is the record's: approved, denied, or pending, which it stays
// when limits begin anew and nobody answered. Lapsed then is the moment at which
// there was nothing left to answer.
type Increase struct {
	Member   string     `json:"member"`
	Asked    time.Time  `json:"asked"`
	Status   string     `json:"status"`
	Resolved *time.Time `json:"resolved"`
	Lapsed   *time.Time `json:"lapsed"`
	Limit    int64      `json:"limit_micros"`     // that stopped the member
	To       int64      `json:"raised_to_micros"` // 0 where nothing was raised

	member int
}

// increases lets members who are stopped by their own limit ask for more, and
// answers as the scenario's policy says. It is asked by one goroutine in order of
// time; an answer that is due is given before anything else is decided.
type increases struct {
	policy   *org.Increases
	ledger   *spend.Ledger
	requests *spend.IncreaseRequests
	open     []due
	asked    []Increase
	approved map[string]int // by month
}

// due is a request that somebody answers at a moment; zero: nobody does.
type due struct {
	at time.Time
	id string
	n  int // in asked
}

func newIncreases(p *org.Increases, l *spend.Ledger) *increases {
	if p == nil {
		return nil
	}
	return &increases{policy: p, ledger: l, requests: spend.NewIncreaseRequests(l), approved: map[string]int{}}
}

// answer resolves what is due by t. Answers are due in the order of asking, as
// each waits as long.
func (q *increases) answer(t time.Time) {
	for len(q.open) > 0 && !q.open[0].at.After(t) {
		d := q.open[0]
		q.open = q.open[1:]
		r := &q.asked[d.n]
		month := d.at.Format("2006-01")
		if q.policy.Approve != nil && q.approved[month] >= *q.policy.Approve {
			if q.requests.Deny(d.id, d.at) == nil {
				r.Status, r.Resolved = string(spend.Denied), &d.at
			}
			continue
		}
		to := q.policy.To.Micros
		if q.requests.Approve(d.id, &to, d.at) == nil {
			q.approved[month]++
			r.Status, r.Resolved, r.To = string(spend.Approved), &d.at, to
		}
	}
}

// stopped is told that a member's own limit held back a request. Whoever may not
// ask, as one request is pending or a denial is too young, does not.
func (q *increases) stopped(member int, t time.Time) {
	limit, _, _ := q.ledger.Limit(member, t)
	r, err := q.requests.Ask(member, t)
	if err != nil {
		return
	}
	q.asked = append(q.asked, Increase{member: member, Asked: t.UTC(), Status: string(spend.Pending), Limit: limit})
	if h := q.policy.WithinHours; h > 0 {
		q.open = append(q.open, due{t.UTC().Add(time.Duration(h) * time.Hour), r.ID, len(q.asked) - 1})
	}
}

// carry gives the replay the overrides that approvals wrote, or it would show
// members stopped who were let go on.
func (q *increases) carry(l *spend.Ledger) {
	for i := range q.asked {
		if r := &q.asked[i]; r.Resolved != nil && r.To > 0 {
			to := r.To
			l.Override(r.member, *r.Resolved, &to)
		}
	}
}

// requestsMade is what was asked up to end, with what lapsed at a reset.
func (r *run) requestsMade() ([]Increase, error) {
	out := []Increase{}
	if r.increases == nil {
		return out, nil
	}
	for _, x := range r.increases.asked {
		var err error
		if x.Member, err = r.name(r.dir.Key(x.member)); err != nil {
			return nil, err
		}
		if y, m, _ := x.Asked.Date(); x.Status == string(spend.Pending) {
			if reset := time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC); !reset.After(r.end) {
				x.Lapsed = &reset
			}
		}
		out = append(out, x)
	}
	return out, nil
}
