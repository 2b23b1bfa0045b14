package rehearsal

import (
	"context"

	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
)

// Declared is what the organisation declares for observers outside a rehearsal:
// who may use Cowork in the period, and the configuration of its alert rules.
func Declared(s *scenarios.Scenario) (coverage.Config, alert.Config, error) {
	r, err := prepare(Options{Scenario: s, Streams: []string{"-"}, Key: []byte("no pseudonym is made here")})
	if err != nil {
		return coverage.Config{}, alert.Config{}, err
	}
	seen := func(m int) bool { return m >= 0 && m < len(r.enabled) && r.enabled[m] }
	return coverage.Config{Directory: r.dir, Enabled: seen, From: r.from, To: r.to}, r.alertConfig(), nil
}

// Play plays the scenario, as Run does, and hands what would be sent to emit; no
// engine sees it again, unless gates hold phases back (Schedule). Without an endpoint the organisation still lives, and
// emit is still told: whoever asks for a stream wants one.
func Play(ctx context.Context, o Options, emit func([]event.Event) error) (*simulate.Outcome, error) {
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	o.Streams, o.Key = nil, []byte("no pseudonym is made here")
	o, _, err := o.schedule(ctx)
	if err != nil {
		return nil, err
	}
	r, err := prepare(o)
	if err != nil {
		return nil, err
	}
	return simulate.Run(ctx, simulate.Options{
		Scenario: r.s, Directory: r.dir, Gate: r.newGate(), Prices: r.prices, Workers: o.Workers,
		Progress: func(done, total int) { o.Progress("playing", int64(done), int64(total)) },
	}, emit)
}
