package rehearsal

import (
	"context"

	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// Reach is what members may do at the end of the second run's period, against the
// end of the first's.
func Reach(before, after Options) ([]rbac.Delta, error) {
	a, err := prepare(before.withKey())
	if err != nil {
		return nil, err
	}
	b, err := prepare(after.withKey())
	if err != nil {
		return nil, err
	}
	return rbac.ReachBetween(a.rbac, a.end, b.rbac, b.end), nil
}

// WhatIf replays every attempt of the streams under the policies of two
// scenarios and reports what changes. o.Scenario is the policy in force when the
// streams were made, proposed the one to try. Streams written by a rehearsal of
// o.Scenario count as simulated. Members are under their pseudonyms.
func WhatIf(ctx context.Context, o Options, proposed Options, streams []string) (*rbac.WhatIfResult, error) {
	a, err := prepare(o.withKey())
	if err != nil {
		return nil, err
	}
	b, err := prepare(proposed.withKey())
	if err != nil {
		return nil, err
	}
	src, err := stream.Open(streams, stream.Options{Stdin: o.Stdin, Borrow: true, Packed: true, Narrow: true, Unhashed: true, Prepare: replay.Prepare(a.dir)})
	if err != nil {
		return nil, err
	}
	var w *rbac.WhatIf
	if _, _, err := replay.Over(ctx, src.EachBlock, src.Again(), replay.Options{From: a.from, Until: a.to, Directory: a.dir}, func() []replay.Observer {
		w = rbac.NewWhatIf(a.rbac, b.rbac)
		return []replay.Observer{w}
	}); err != nil {
		return nil, err
	}
	res := w.Close(a.end)
	for _, list := range [][]rbac.UseChange{res.Changes, res.Impossible} {
		for i := range list {
			for j, m := range list[i].Members {
				if list[i].Members[j], err = a.name(m); err != nil {
					return nil, err
				}
			}
		}
	}
	return &res, nil
}
