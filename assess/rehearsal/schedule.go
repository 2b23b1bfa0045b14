package rehearsal

import (
	"context"
	"fmt"
	"slices"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

// Schedule plays the scenario as often as it takes to know when the phases of its
// rollout start that gates hold back, and returns it with those dates; see
// rollout.Schedule. Over a capture, and without a gate that holds, nothing is played
// and the scenario is returned as it is: a capture shows what happened, and gates
// report on it.
func Schedule(ctx context.Context, o Options) (*scenarios.Scenario, []rollout.Held, error) {
	if len(o.Streams) > 0 || o.Settled || !rollout.Holds(o.Scenario) {
		return o.Scenario, nil, nil
	}
	return rollout.Schedule(o.Scenario, func(s *scenarios.Scenario) (*rollout.Observer, error) {
		return observe(ctx, Options{Scenario: s, Evidence: o.Evidence, Workers: o.Workers, Progress: o.Progress, Brief: true})
	})
}

// schedule puts the scheduled scenario into the options.
func (o Options) schedule(ctx context.Context) (Options, []rollout.Held, error) {
	s, held, err := Schedule(ctx, o)
	o.Scenario, o.Settled = s, true
	return o, held, err
}

// observe plays a scenario for the gates of its phases.
func observe(ctx context.Context, o Options) (*rollout.Observer, error) {
	r, err := prepare(o.withKey())
	if err != nil {
		return nil, err
	}
	// The gates' own engine and ledger, since theirs are fed as they go.
	obs, err := rollout.New(r.s, r.rbac, r.dir, r.newLedger())
	if err != nil {
		return nil, err
	}
	r.gates = func() replay.Observer {
		obs, _ = rollout.New(r.s, r.rbac, r.dir, r.newLedger()) // as just before
		return obs
	}
	src, err := r.stream(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.replay(ctx, src); err != nil {
		return nil, err
	}
	obs.Add(r.findings)
	return obs, nil
}

// Holding is what gates that hold make of a scenario over a capture.
type Holding struct {
	// Scenario has the phases start as the gates let them; it is the one as written
	// where nothing is held, or where the capture shows that it was not.
	Scenario *scenarios.Scenario
	Held     []rollout.Held
	// Against are the records, and Members those who sent them, whom the held phases
	// would have kept out: the gates were not followed, and the scenario counts as
	// written.
	Against int64
	Members int
	Unread  bool // gates hold, but standard input cannot be read twice
}

// followed reports that the held state is the one to look at.
func (h *Holding) followed() bool { return len(h.Held) > 0 && h.Against == 0 }

// Lines says in words what is looked at, nothing where no gate holds.
func (h *Holding) Lines(words func(*rollout.Held) string) []string {
	var out []string
	if h.Unread {
		out = append(out, "The scenario has gates that hold phases back. Standard input is read once, so that they were not held against it, and the scenario is looked at as written; name a file instead.")
	}
	for i := range h.Held {
		out = append(out, fmt.Sprintf("Phase %s, by its gates over this stream. %s", h.Held[i].Phase, words(&h.Held[i])))
	}
	switch {
	case h.followed():
		out = append(out, "Its members are looked at as kept out until then.")
	case len(h.Held) > 0:
		out = append(out, fmt.Sprintf("The stream holds %d records of %d members whom that would have kept out: it was not held in fact, so the scenario is looked at as written.", h.Against, h.Members))
	}
	return out
}

// HoldOver works out from captures when the phases start that gates hold back, as
// Schedule does from plays: gates look at what was heard before each phase. Where
// the captures hold records of members whom a held phase keeps out, it was not
// held, and the scenario stands as written. A proposal has no such past: it is given as
// held whatever the captures hold. Phases named in except are left as written.
// Standard input can be read once only and is not looked at.
func HoldOver(ctx context.Context, o Options, proposal bool, except []string) (*Holding, error) {
	s := o.Scenario
	h := &Holding{Scenario: s}
	if h.Unread = rollout.Holds(s) && slices.Contains(o.Streams, "-"); h.Unread || !rollout.Holds(s) {
		return h, nil
	}
	if len(except) > 0 {
		loose := *s
		loose.Rollout = slices.Clone(s.Rollout)
		for i := range loose.Rollout {
			if p := &loose.Rollout[i]; slices.Contains(except, p.Name) {
				p.Gates = slices.Clone(p.Gates)
				for j := range p.Gates {
					p.Gates[j].Hold = false
				}
			}
		}
		s = &loose
	}
	held, list, err := rollout.Schedule(s, func(s *scenarios.Scenario) (*rollout.Observer, error) {
		x := o
		x.Scenario, x.Settled, x.Brief = s, true, true
		return observe(ctx, x)
	})
	if err != nil || len(list) == 0 {
		return h, err
	}
	h.Held = list
	if !proposal {
		if err := h.contradict(ctx, o, held); err != nil {
			return nil, err
		}
	}
	if h.Against == 0 {
		h.Scenario = held
	}
	return h, nil
}

// contradict counts the records of members who may use Cowork as written and not
// as held.
func (h *Holding) contradict(ctx context.Context, o Options, held *scenarios.Scenario) error {
	a, err := prepare(o.withKey())
	if err != nil {
		return err
	}
	o.Scenario = held
	b, err := prepare(o.withKey())
	if err != nil {
		return err
	}
	src, err := a.stream(ctx)
	if err != nil {
		return err
	}
	var who map[int32]bool
	_, _, err = replay.Over(ctx, src.EachBlock, src.Again(), replay.Options{From: a.from, Until: a.to, Directory: a.dir}, func() []replay.Observer {
		h.Against, who = 0, map[int32]bool{}
		return []replay.Observer{observerFunc(func(e *event.Event) {
			m, _ := e.Who(a.dir)
			if m < 0 || e.Product != event.Cowork {
				return
			}
			if t := e.When(); a.rbac.Allowed(int(m), rbac.Cowork, t) == rbac.Allow && b.rbac.Allowed(int(m), rbac.Cowork, t) == rbac.Deny {
				h.Against++
				who[int32(m)] = true
			}
		})}
	})
	h.Members = len(who)
	return err
}

type observerFunc func(*event.Event)

func (f observerFunc) Observe(e *event.Event) { f(e) }
