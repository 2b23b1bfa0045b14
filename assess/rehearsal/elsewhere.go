package rehearsal

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// ElsewhereSpend is what members spent in another product under the same limits
// while the scenario was played. It is on no wire of Cowork.
type ElsewhereSpend struct {
	Product string `json:"product"`
	Members int    `json:"members"`
	Micros  int64  `json:"micros"`
	Refused int    `json:"days_refused"` // a limit had stopped the member there, too
}

// outlay is one member's day in another product.
type outlay struct {
	at      time.Time
	member  int
	product string
	micros  int64
}

// outlays draws what members spend in other products over the period, in order of
// time: on weekdays that are no holiday, at noon UTC.
func (r *run) outlays() []outlay {
	var out []outlay
	holiday := map[string]bool{}
	for _, h := range r.s.Behaviour.Holidays {
		holiday[h.String()] = true
	}
	for _, e := range r.s.Behaviour.Elsewhere {
		groups := map[int]bool{}
		for g := range r.s.Groups {
			for _, name := range e.Groups {
				if r.s.Groups[g].Name.Value == name.Value {
					groups[g] = true
				}
			}
		}
		for day := r.from; day.Before(r.to); day = day.AddDate(0, 0, 1) {
			at := day.Add(12 * time.Hour)
			if wd := at.Weekday(); wd == time.Saturday || wd == time.Sunday || holiday[at.Format(time.DateOnly)] {
				continue
			}
			for i := range r.dir.Len() {
				m := r.dir.Dates(i)
				if at.Before(m.Joined) || !m.Left.IsZero() && !at.Before(m.Left) ||
					len(e.Groups) > 0 && !slices.ContainsFunc(r.dir.GroupsOf(i, at), func(g int) bool { return groups[g] }) {
					continue
				}
				s := org.Stream(r.s.Seed, "elsewhere", e.Product, r.dir.ID(i), at.Format(time.DateOnly))
				micros := float64(e.PerDay.Micros) * math.Exp(r.spread*s.NormFloat64()-r.spread*r.spread/2)
				out = append(out, outlay{at, i, e.Product, int64(math.Round(micros))})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b outlay) int { return a.at.Compare(b.at) })
	return out
}

// elsewhere charges outlays to a ledger as time passes. One that a limit stops is
// not made, since reaching a limit stops every product that shares it.
type elsewhere struct {
	ledger *spend.Ledger
	todo   []outlay
	made   []outlay
	sums   []ElsewhereSpend
	seen   map[string]bool // product and member
}

func newElsewhere(l *spend.Ledger, todo []outlay) *elsewhere {
	if len(todo) == 0 {
		return nil
	}
	return &elsewhere{ledger: l, todo: todo, seen: map[string]bool{}}
}

// upTo makes what is due by t.
func (e *elsewhere) upTo(t time.Time) {
	for ; len(e.todo) > 0 && !e.todo[0].at.After(t); e.todo = e.todo[1:] {
		o := e.todo[0]
		i := slices.IndexFunc(e.sums, func(s ElsewhereSpend) bool { return s.Product == o.product })
		if i < 0 {
			i = len(e.sums)
			e.sums = append(e.sums, ElsewhereSpend{Product: o.product})
		}
		if !e.ledger.Gate(o.member, o.at).Allowed {
			e.sums[i].Refused++
			continue
		}
		e.ledger.Charge(o.member, o.at, o.micros)
		e.made = append(e.made, o)
		e.sums[i].Micros += o.micros
		if k := o.product + " " + strconv.Itoa(o.member); !e.seen[k] {
			e.seen[k] = true
			e.sums[i].Members++
		}
	}
}

// charged replays what was spent elsewhere beside a stream, which does not show
// it, so that members reach their limits in the replay when they did in the play.
type charged struct {
	*metered
	made []outlay
}

func (c *charged) Observe(e *event.Event) {
	c.upTo(e.When())
	c.metered.Observe(e)
}

func (c *charged) Close(end time.Time) []rules.Finding {
	c.upTo(end)
	return c.metered.Close(end)
}

func (c *charged) upTo(t time.Time) {
	for ; len(c.made) > 0 && !c.made[0].at.After(t); c.made = c.made[1:] {
		c.Charge(c.made[0].member, c.made[0].at, c.made[0].micros)
	}
}
