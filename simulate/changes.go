package simulate

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// altered is a change in force for one member over a time.
type altered struct {
	c        *change
	in       *instance
	from, to int64
	amount   float64
	into     string // what the change is to, drawn once for the story
}

// Gap is a time in which a member's events should have come and did not.
type Gap struct {
	Member string    `json:"member"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// placeChange lays a change over the members it concerns.
func (w *world) placeChange(in *instance, lead *staff, c *change) {
	if !in.chance(w, c.Once) {
		return
	}
	into := c.To
	if all := strings.Split(c.To, "|"); len(all) > 1 {
		into = oneOf(in.r0(w, "to"), all)
	}
	for n := range max(in.count(c.Times, in.r, 1), 0) {
		w.placeChangeOnce(in, lead, c, into, n)
	}
}

// placeChangeOnce lays it there for the n-th time.
func (w *world) placeChangeOnce(in *instance, lead *staff, c *change, into string, n int) {
	for k, s := range w.people(in, lead, c.Who, c.Members) {
		day := w.begin.AddDate(0, 0, in.day+in.count(c.Day, in.r, 0))
		if k > 0 && c.Spread != "" {
			day = day.Add(time.Duration(in.r.Float64() * in.num(c.Spread, in.r, 0) * float64(24*time.Hour)))
		}
		from := clock(day, in.num(c.Hour, in.r, float64(s.persona.Hours.From)), s.zone)
		if k > 0 && c.Spread == "" { // at once for everybody, whatever their zone
			from = in.together
		}
		in.together = from
		from += int64(float64(n) * in.num(c.Every, in.r, 86400) * 1e9)
		to := min(from+int64(in.num(c.For, in.r, 3600)*1e9), w.end.UnixNano())
		s.changes = append(s.changes, &altered{c, in, from, to, in.num(c.Amount, in.r, 0), into})
		if !slices.Contains(in.who, s.Index) {
			in.who = append(in.who, s.Index)
		}
		if c.Do == "silent" || c.Do == "fewer" || c.Do == "thin" {
			in.gaps = append(in.gaps, Gap{s.Account, time.Unix(0, from).UTC(), time.Unix(0, to).UTC()})
		}
	}
}

// damped is the share of a member's sessions that changes leave.
func (s *staff) damped(at int64) float64 {
	left := 1.0
	for _, a := range s.changes {
		if a.c.Do == "fewer" && at >= a.from && at < a.to {
			left *= 1 - a.amount
		}
	}
	return left
}

// active finds the change of a kind in force for a process at a time.
func (pr *process) active(do string, at int64) *altered {
	for _, a := range pr.s.changes {
		if a.c.Do == do && at >= a.from && at < a.to && (a.c.From != "new" || pr.started >= a.from) {
			return a
		}
	}
	return nil
}

// model is the model of a request: changes may move a member to another.
func (pr *process) model(st *step, at int64) string {
	if a := pr.active("model", at); a != nil {
		return a.into
	}
	return st.model
}

// scaled is what a request costs in tokens where changes make work grow: by the
// amount a week, compounded.
func (pr *process) scaled(st *step, at int64) (in, out, read, create int64) {
	f := 1.0
	if a := pr.active("scale", at); a != nil {
		f = math.Pow(1+a.amount, float64(at-a.from)/float64(7*24*time.Hour))
	}
	by := func(n int64) int64 { return int64(float64(n) * f) }
	return by(st.in), by(st.out), by(st.read), by(st.create)
}

// alter applies the changes in force to what a process exports, after the
// capture setting. It returns the events that are left.
func (p *player) alter(pr *process, out []event.Event) []event.Event {
	if len(pr.s.changes) == 0 {
		return out
	}
	kept := out[:0]
	for i := range out {
		e := &out[i]
		gone := false
		in := func(a *altered) bool {
			return e.Time >= a.from && e.Time < a.to && (a.c.From != "new" || pr.started >= a.from) && pr.onDevice(a)
		}
		for _, a := range pr.s.changes { // first what is not sent at all
			lost := a.c.Do == "silent" || a.c.Do == "thin" && p.thin(e, a) ||
				a.c.Do == "older" && (e.Kind == event.AssistantResponse || e.Kind == event.SubagentCompleted || e.Kind == event.Compaction)
			if lost && in(a) {
				gone = true
				p.altered(pr, e, a, true)
			}
		}
		if gone {
			continue
		}
		for _, a := range pr.s.changes {
			if !in(a) {
				continue
			}
			hit := true
			switch a.c.Do {
			case "redact":
				capture{}.apply(e)
				hit = e.Kind == event.UserPrompt || e.Kind == event.ToolResult
			case "redact-prompts":
				capture{details: true}.apply(e)
				hit = e.Kind == event.UserPrompt
			case "third-party":
				capture{}.apply(e)
				e.DeploymentMode = "3p"
				e.Email, e.Account, e.AccountID, e.Organisation = "", "", "", ""
				e.Has &^= event.FEmail | event.FAccount | event.FOrganisation
			case "older", "version":
				e.ServiceVersion = a.into
			case "auto-accepts":
				if hit = e.Decision == "accept" && strings.HasPrefix(e.Source, "user_"); hit {
					e.Source = "config"
				}
			case "no-cost":
				if a.into != "" {
					e.ServiceVersion = a.into
				}
				if hit = e.Kind == event.APIRequest; hit {
					e.CostMicros = 0
					e.Has &^= event.FCostMicros | event.FCostUSD
				}
			case "scale", "dearer", "model":
				hit = e.Kind == event.APIRequest
			case "anonymous":
				e.Email, e.Account, e.AccountID = "", "", ""
				e.Has &^= event.FEmail | event.FAccount
			default:
				hit = false
			}
			if hit {
				p.altered(pr, e, a, false)
			}
		}
		kept = append(kept, *e)
	}
	p.out.Withheld += len(out) - len(kept)
	return kept
}

// onDevice reports that a process runs on the device that a change of the build
// concerns: it has the share of the member's sessions that the change's amount
// says, and all of them where it says nothing.
func (pr *process) onDevice(a *altered) bool {
	if a.amount == 0 || a.c.Do != "older" && a.c.Do != "version" {
		return true
	}
	return org.Stream(a.in.seed, "device of", pr.session).Float64() < a.amount
}

// thin loses events evenly, by their sequence number, so that no draw is needed.
func (p *player) thin(e *event.Event, a *altered) bool {
	return float64(uint64(e.Sequence)*2654435761%1000)/1000 < a.amount
}

// altered records what a change did to an event, in the label of its story.
func (p *player) altered(pr *process, e *event.Event, a *altered, gone bool) {
	in, l, at := a.in, &a.in.label, e.When()
	if l.Start.IsZero() || at.Before(l.Start) {
		l.Start = at
	}
	if at.After(l.End) {
		l.End = at
	}
	if a.c.Shows && (l.EvidentAt.IsZero() || at.Before(l.EvidentAt)) {
		l.EvidentAt = at
	}
	if !slices.Contains(l.Sessions, e.Session) {
		l.Sessions = append(l.Sessions, e.Session)
	}
	if gone {
		in.seen.hidden++
		return
	}
	in.seen.shown++
	role := a.c.Role
	if role == "" {
		role = "config"
	}
	l.Events = append(l.Events, LabelledEvent{e.Session, e.Sequence, at, role})
}

// Wire faults that a played story may have besides (storyline rule G6).
const (
	faultNone = iota
	faultSource
	faultRepeat
	faultTail
	faultReorder
	faultClock
)

func (in *instance) drawFault(w *world) {
	if !w.o.Study {
		return
	}
	r := in.r0(w, "fault")
	if r.Float64() >= 0.3 {
		return
	}
	in.fault = 1 + r.IntN(5)
	in.tail = int64(between(r, 0, 8))
	in.skew = int64(between(r, -240, 420)) * 1e9
}

// faulty applies the story's wire fault to one export and hands it over.
func (p *player) faulty(pr *process, out []event.Event, at int64, last bool) error {
	in := pr.in
	if in == nil || in.fault == faultNone {
		return p.transmit(pr, out, at, last)
	}
	switch in.fault {
	case faultSource:
		for i := range out {
			if out[i].Kind == event.ToolResult {
				out[i].Source, out[i].Decision = "", ""
				out[i].Has &^= event.FSource | event.FDecision
			}
		}
	case faultTail:
		if last { // once a story
			out = out[:max(len(out)-int(in.tail), 0)]
			in.tail = 0
		}
	case faultReorder:
		slices.Reverse(out)
	case faultRepeat:
		if err := p.transmit(pr, out, at, last); err != nil || len(out) == 0 {
			return err
		}
	}
	if len(out) == 0 {
		return nil
	}
	return p.transmit(pr, out, at, last)
}
