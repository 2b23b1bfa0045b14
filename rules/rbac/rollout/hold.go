package rollout

import (
	"slices"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Held is a phase that starts later than written, or not in the period: gates
// with hold_on_fail kept it back, or a phase before it did.
type Held struct {
	Phase   string      `json:"phase"`
	Planned source.Date `json:"planned"`
	Starts  source.Date `json:"starts"`             // not given: not in the period
	Because []string    `json:"because,omitempty"`  // gates that did not pass on the planned day; none: a phase before it is held
	Members int         `json:"members"`            // of the phase's groups
	Others  int         `json:"have_access_anyway"` // of those, members whom no group of the phase lets in
}

// Holds reports that some gate of the scenario holds its phase back.
func Holds(s *scenarios.Scenario) bool {
	return slices.ContainsFunc(s.Rollout, func(p scenarios.Phase) bool { return holding(&p) })
}

func holding(p *scenarios.Phase) bool {
	return slices.ContainsFunc(p.Gates, func(g scenarios.Gate) bool { return g.Hold })
}

// reschedule is the scenario with phase i starting at starts[i], which is never
// before its date as written: what lets its members in comes later. That are the
// memberships of its groups, and the dated changes that fill those groups or give
// them roles, from the phase's date to the next phase of the same group; of a phase
// without groups, the changes of settings, toggles, plan, roles and organisation
// roles up to the next phase. The scenario given is not changed.
func reschedule(s *scenarios.Scenario, starts []time.Time) *scenarios.Scenario {
	out := *s
	out.Rollout = slices.Clone(s.Rollout)
	out.Groups = slices.Clone(s.Groups)
	out.Changes = slices.Clone(s.Changes)
	for i := range s.Rollout {
		p, start := &s.Rollout[i], starts[i]
		if !start.After(p.From.Time) {
			continue
		}
		out.Rollout[i].From.Time = start
		delay := func(ch *org.Change) {
			if !ch.Until.IsZero() {
				ch.Until = ch.Until.Add(start.Sub(ch.When))
				ch.Arrives.Value = ch.Until.Format(time.RFC3339)
			}
			ch.When, ch.On.Value = start, start.Format(time.DateOnly)
		}
		if len(p.Groups) == 0 {
			until := next(s, i, "")
			for j := range out.Changes {
				ch := &out.Changes[j]
				if within(ch.When, p.From.Time, until) && ch.When.Before(start) && (ch.Settings != nil || ch.Toggles != nil || ch.Plan.Value != "" || ch.Role != nil || ch.Members != nil) {
					delay(ch)
				}
			}
		}
		for _, name := range p.Groups {
			until := next(s, i, name.Value)
			for j := range out.Changes {
				ch := &out.Changes[j]
				if g := ch.Group; g != nil && g.Name.Value == name.Value && (g.Add != nil || g.Attach != nil) && within(ch.When, p.From.Time, until) && ch.When.Before(start) {
					delay(ch)
				}
			}
			for j := range out.Groups {
				g := &out.Groups[j]
				if g.Name.Value != name.Value {
					continue
				}
				ms := slices.Clone(g.Members)
				for k := range ms {
					if m := &ms[k]; m.From.Given() && within(m.From.Time, p.From.Time, until) && m.From.Time.Before(start) {
						m.From.Time = start
					}
				}
				g.Members = slices.DeleteFunc(ms, func(m org.Membership) bool { return m.To.Given() && m.From.Given() && !m.From.Before(m.To) })
			}
		}
	}
	return &out
}

// next is when the next phase of a group begins, or of any group; zero: never.
func next(s *scenarios.Scenario, i int, group string) time.Time {
	for _, p := range s.Rollout[i+1:] {
		if group == "" || slices.ContainsFunc(p.Groups, func(g source.Text) bool { return g.Value == group }) {
			return p.From.Time
		}
	}
	return time.Time{}
}

func within(t, from, until time.Time) bool {
	return !t.Before(from) && (until.IsZero() || t.Before(until))
}

// Add ends the stream and counts the findings of the engines over it. Result adds
// those it is given itself.
func (o *Observer) Add(findings []rules.Finding) {
	o.finish()
	for _, f := range findings {
		if f.Severity >= rules.High && !f.Time.IsZero() {
			d := o.day(f.Time.UnixNano())
			d.bad++
			d.rules = append(d.rules, f.Rule)
		}
	}
}

// blocking names the gates with hold_on_fail that do not pass if phase i starts at
// t, on what was observed before. A gate that cannot be evaluated does not pass.
func (o *Observer) blocking(i int, t time.Time) []string {
	w := o.window(i)
	w.to = t
	var out []string
	for _, g := range o.phases[i].gates {
		if g.Hold && g.program.Eval(w) != condition.True {
			out = append(out, g.Name)
		}
	}
	return out
}

// Schedule works out when the phases start that gates hold back. play plays a
// scenario and returns what was observed, findings added. Phases are taken in order:
// where one cannot start on its day, it is played without it and every later one,
// and starts on the first day on which its gates pass on that; later phases wait for
// it. Each start is then held against the play with everybody who is let in, until
// all of them stand. The result is the rescheduled scenario, nothing held when every
// phase starts as written.
func Schedule(s *scenarios.Scenario, play func(*scenarios.Scenario) (*Observer, error)) (*scenarios.Scenario, []Held, error) {
	if !Holds(s) {
		return s, nil, nil
	}
	never := s.Period.To.Time.AddDate(0, 0, 1)
	starts := make([]time.Time, len(s.Rollout))
	because := make([][]string, len(s.Rollout))
	for i, p := range s.Rollout {
		starts[i] = p.From.Time
	}
	last := s
	for range mostRounds {
		obs, err := play(last)
		if err != nil {
			return nil, nil, err
		}
		k := slices.IndexFunc(s.Rollout, func(p scenarios.Phase) bool { return holding(&p) })
		var blocking []string
		for ; k >= 0 && k < len(starts); k++ {
			if !starts[k].Before(never) {
				continue
			}
			if blocking = obs.blocking(k, starts[k]); len(blocking) > 0 {
				break
			}
		}
		if k < 0 || k == len(starts) {
			return last, held(s, starts, never, because, obs), nil
		}
		if because[k] == nil {
			because[k] = blocking
		}
		without := slices.Clone(starts)
		for j := k; j < len(without); j++ {
			without[j] = never
		}
		if obs, err = play(reschedule(s, without)); err != nil {
			return nil, nil, err
		}
		d := starts[k].AddDate(0, 0, 1)
		for d.Before(never) && len(obs.blocking(k, d)) > 0 {
			d = d.AddDate(0, 0, 1)
		}
		starts[k] = d
		for j := k + 1; j < len(starts); j++ {
			starts[j] = later(s.Rollout[j].From.Time, d)
		}
		last = reschedule(s, starts)
	}
	// No start stands for long: nobody is let in.
	for i := range starts {
		if because[i] != nil {
			for j := i; j < len(starts); j++ {
				starts[j] = later(starts[j], never)
			}
			break
		}
	}
	last = reschedule(s, starts)
	obs, err := play(last)
	if err != nil {
		return nil, nil, err
	}
	return last, held(s, starts, never, because, obs), nil
}

// mostRounds is how often starts are tried before the phases count as held for good.
const mostRounds = 20

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func held(s *scenarios.Scenario, starts []time.Time, never time.Time, because [][]string, obs *Observer) []Held {
	var out []Held
	for i, p := range s.Rollout {
		if !starts[i].After(p.From.Time) {
			continue
		}
		h := Held{Phase: p.Name, Planned: p.From, Because: because[i]}
		if starts[i].Before(never) {
			h.Starts = source.Date{Time: starts[i]}
		}
		h.Members, h.Others = obs.waiting(i, starts[i])
		out = append(out, h)
	}
	return out
}

// waiting counts the members of a phase's groups when it starts, and those of them
// who may use Cowork the day before.
func (o *Observer) waiting(i int, start time.Time) (members, others int) {
	at := start.Add(12 * time.Hour)
	for m := range o.dir.Len() {
		in := len(o.phases[i].Groups) == 0
		for g := range o.dir.Config.Groups {
			in = in || slices.ContainsFunc(o.phases[i].Groups, func(t source.Text) bool {
				return t.Value == o.dir.Config.Groups[g].Name.Value && o.dir.InGroup(g, m, at)
			})
		}
		if !in {
			continue
		}
		members++
		if o.may(m, at.AddDate(0, 0, -1)) {
			others++
		}
	}
	return members, others
}

// Mark writes into the phases of a rescheduled scenario what held them.
func Mark(phases []PhaseResult, held []Held) {
	for _, h := range held {
		for i := range phases {
			p := &phases[i]
			if p.Name != h.Phase {
				continue
			}
			p.Held = &h
			p.Status = "late"
			if !h.Starts.Given() { // counted for the day after the period, on which nobody comes in
				p.From, p.Members, p.Gained, p.Lost = h.Planned, p.Members-p.Gained+p.Lost, 0, 0
			}
			switch {
			case !h.Starts.Given() && len(h.Because) > 0:
				p.Status = "held"
			case !h.Starts.Given():
				p.Status = "waits"
			}
		}
	}
}
