// Package simulate plays a synthetic organisation at work and emits the event
// stream it would send. Access and spend decide as it goes: a member without
// the capability opens no session, a denied connector call never runs, and a
// member over the limit stops midway.
//
// What each session will try is written beforehand from random streams named
// after the member, the day and the session, so sessions can be written by any
// number of workers and one more member changes nobody else's. One goroutine
// then plays them in global time order, because the gates must see time rise.
//
// Nothing here knows a detection rule. Numbers of ordinary life stand in
// profiles/*.yaml with their source; those of incidents in incidents.go.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Verdict is what the connector policy says about one call.
type Verdict uint8

const (
	Deny Verdict = iota // the zero value is the safe one
	Ask
	Allow
)

// Gatekeeper decides what members may do. Members are named by their index in
// the directory. All methods are called by one goroutine. MayUse and Connector
// must answer for any time (MayUse is asked about the whole period before the
// play); MaySpend and Charge see times that never fall.
type Gatekeeper interface {
	MayUse(member int, capability string, t time.Time) bool
	Connector(member int, connector, tool string, write bool, t time.Time) Verdict
	MaySpend(member int, t time.Time) bool
	Charge(member int, t time.Time, micros int64)
}

// Pricer gives the list price of a request in micro-dollars; ok is false for a
// model without a price on that day.
type Pricer interface {
	Cost(model string, day time.Time, in, out, cacheRead, cacheWrite int64) (micros int64, ok bool)
}

// Options of one run. Workers below 1 means one per processor. Progress is told
// finished days.
type Options struct {
	Scenario  *scenarios.Scenario
	Directory *org.Directory
	Gate      Gatekeeper
	Prices    Pricer
	Workers   int
	Progress  func(done, total int)

	// Study plays stories for measuring detectors: they are spread over members,
	// and each has a wire fault with a chance of 30 in 100. Ordinary life then has
	// rare habits too (habits.yaml), so that no event belongs to stories alone.
	Study bool
	// LocalServers are the local servers the organisation has approved; without
	// any every local server is alike.
	LocalServers []string
	Stories      *Stories // that the scenario may name besides the shipped ones
}

// KindCount is the number of events of one kind.
type KindCount struct {
	Kind  event.Kind
	Count int
}

// Denial counts attempts to use a capability that access refused.
type Denial struct {
	Capability string
	Attempts   int
}

// ConnectorDenial counts calls that connector policy refused.
type ConnectorDenial struct {
	Connector, Tool string
	Calls           int
}

// Blocked is a member stopped by spend. Requests counts the requests that were
// refused, with one for each session that could not even start.
type Blocked struct {
	Member   int
	First    time.Time
	Requests int
}

// Outcome counts what was lived and what was sent. Sessions, Prompts and Active
// count life, also of members whose exporter is silent; Events and Total count
// what was emitted. A session that was taken up again counts once.
type Outcome struct {
	Sessions, Prompts, Active int
	Total                     int
	Events                    []KindCount // every known kind, in the order of event.Kinds
	Withheld                  int         // events that an installation never tried to send
	Lost                      int         // events sent that did not arrive
	Duplicates                int         // events that arrived twice, counted once here and twice in Total
	Wire                      string      // release imitated
	Profile                   string      // name of the emission profile
	Denied                    []Denial
	Connectors                []ConnectorDenial
	RequestsBlocked           int
	Blocked                   []Blocked
	Truth                     []TruthLabel
	Unplaced                  []Unplaced
}

// Run plays the scenario and hands batches of events to emit. A batch is one
// export of one process, which flushes every five seconds: batches come in the
// order of their flush, events inside a batch by sequence, so the events of two
// processes overlap by less than the flush interval, unless the scenario names a
// defect of clocks or of transmission. The batch is reused after emit returns.
func Run(ctx context.Context, o Options, emit func([]event.Event) error) (*Outcome, error) {
	if o.Scenario == nil || o.Directory == nil || o.Gate == nil || o.Prices == nil {
		return nil, errors.New("simulate: scenario, directory, gate and prices are all needed")
	}
	if o.Workers < 1 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	// order bounds how far writing may run ahead of the play, and so the memory.
	order := make(chan *future, 32*o.Workers)
	jobs := make(chan *future, cap(order))
	wg.Add(1 + o.Workers)
	go func() {
		defer wg.Done()
		w.plan(ctx, order, jobs)
	}()
	for range o.Workers {
		go func() {
			defer wg.Done()
			var by scribe
			for f := range jobs {
				f.steps <- w.write(f.spec, &by)
			}
		}()
	}
	p := newPlayer(w, emit)
	p.out.Wire, p.out.Profile = w.wire.release, w.wire.profile.Name
	if err := p.play(ctx, order); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return p.outcome(), nil
}

// future is a session in its place in the order whose steps may still be being
// written.
type future struct {
	spec  spec
	steps chan *script
}
