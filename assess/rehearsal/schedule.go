package rehearsal

import (
	"context"

	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/scenarios"
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
	r.gates = obs
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
