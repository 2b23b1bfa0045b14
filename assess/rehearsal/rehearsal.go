// Package rehearsal is the one path from a scenario, or from a capture, to a
// result: build the organisation, play or read its stream, replay the stream
// through the engines and observers, and assess what that shows. run, assess,
// scenario checks, comparison and learning all use it.
//
// A simulated stream is written and read again before any engine sees it, so
// that nothing reaches an engine that is not on the wire.
package rehearsal

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/analytics"
	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// Options of one run.
type Options struct {
	Scenario *scenarios.Scenario
	// Streams are captures to replay; none means that the scenario is played.
	Streams []string
	Stdin   io.Reader // what the stream "-" reads
	// Evidence are exports from outside the telemetry, beside Streams.
	Evidence []string
	// StreamTo takes the played stream, and StreamPath is where it can be read
	// again once StreamTo is closed. Both left out means a temporary file.
	StreamTo   io.WriteCloser
	StreamPath string
	// Data are facts, prices, frameworks and rule packs in a folder laid out as the
	// inputs of a bundle; nil means those shipped with this version.
	Data fs.FS
	// Key of the pseudonyms. A simulated run without one derives it from the
	// seed; a capture needs one.
	Key            []byte
	IncludeContent bool // members keep their names
	// Prices are laid over the shipped list: what is played is priced by both, and
	// what was captured as if it had been.
	Prices  *platform.PriceList
	Workers int // of the simulation; below 1: one per processor
	// Brief leaves out what only a report reads and what takes longer than the run
	// of a small scenario: the outlook of the month, the timeline, and what would
	// change the answer.
	Brief bool
	// Unhashed leaves the digests of the streams out of the evidence.
	Unhashed bool
	// Settled says that the phases of the rollout start as the scenario has them: it
	// comes from Schedule, or gates are only to report.
	Settled bool
	// Progress is told what goes on: a stage and how far it is. Total is 0 when
	// nobody knows.
	Progress func(stage string, done, total int64)
}

// ErrNoRecords is returned, wrapped, when not one record of the captures was usable.
var ErrNoRecords = fmt.Errorf("no usable record")

// Run carries out one rehearsal. The result is complete or the error is not nil.
func Run(ctx context.Context, o Options) (*Result, error) {
	if len(o.Key) == 0 && len(o.Streams) > 0 {
		return nil, fmt.Errorf("rehearsal: a capture needs a key for its pseudonyms")
	}
	o, held, err := o.schedule(ctx)
	if err != nil {
		return nil, err
	}
	r, err := prepare(o.withKey())
	if err != nil {
		return nil, err
	}
	r.held = held
	src, err := r.stream(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.replay(ctx, src); err != nil {
		return nil, err
	}
	return r.result()
}

// withKey fills in what may be left out: the key of a simulated run, and nobody
// to tell the progress.
func (o Options) withKey() Options {
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if len(o.Key) == 0 {
		o.Key = rules.SimulatedKey(int64(o.Scenario.Seed))
	}
	return o
}

// run is everything one rehearsal works with.
type run struct {
	o        Options
	s        *scenarios.Scenario
	model    *assess.Model
	facts    *platform.Catalogue
	shipped  *platform.PriceList
	prices   *platform.PriceList // shipped, with those asked for laid over
	dir      *org.Directory
	rbac     *rbac.Engine
	rules    []*alert.Rule
	packs    []File
	names    *rules.Pseudonyms
	observed bool
	enabled  []bool  // may use Cowork at some moment of the period
	spread   float64 // of what a day in another product costs
	from, to time.Time
	end      time.Time // the last instant of the period

	outcome   *simulate.Outcome
	elsewhere *elsewhere // spent in other products while it was played; nil: nothing
	increases *increases // asked for while it was played; nil: nobody could ask
	written   *Stream
	inputs    []stream.Input
	counts    replay.Counts
	findings  []rules.Finding
	access    *rbac.Engine
	ledger    *spend.Ledger
	alerts    *alert.Engine
	coverage  *coverage.Report
	analytics func() (*analytics.Report, error) // as beside gives it

	held  []rollout.Held         // phases that their gates kept back
	gates func() replay.Observer // nil, or makes what counts for the gates of phases

	calibration  *forecast.Calibrator
	perDay       daily
	drivers      *spend.Drivers
	month        *Outlook
	evidenceRead *assess.Evidence
}

func prepare(o Options) (*run, error) {
	s := o.Scenario
	r := &run{o: o, s: s, observed: len(o.Streams) > 0, names: rules.NewPseudonyms(o.Key),
		from: s.Period.From.Time, to: s.Period.To.Time.AddDate(0, 0, 1)}
	r.end = r.to.Add(-time.Second)
	var err error
	// None of these three needs another.
	organisation := beside(func() (*org.Directory, error) { return org.Build(&s.Config, s.Seed) })
	rulesRead := beside(func() (packed, error) { return loadRules(s, o.Data) })
	if err = r.loadData(); err != nil {
		return nil, err
	}
	if r.prices = r.shipped; o.Prices != nil {
		r.prices = r.shipped.With(o.Prices)
	}
	packs, err := rulesRead()
	r.rules, r.packs = packs.rules, packs.files
	if err := s.Together(err, r.checkNames()); err != nil {
		return nil, err
	}
	overlay := s.Overlay
	if len(o.Evidence) > 0 {
		ev, err := r.readEvidence(0)
		if err != nil {
			return nil, err
		}
		overlay = append(slices.Clip(overlay), ev.Overlay...)
	}
	if len(overlay) > 0 {
		if r.facts, err = r.facts.With(overlay); err != nil {
			return nil, err
		}
		if r.model, err = r.model.With(overlay); err != nil {
			return nil, err
		}
	}
	if len(s.Behaviour.Elsewhere) > 0 {
		if r.spread, err = simulate.ElsewhereSpread(s.Behaviour.Profile); err != nil {
			return nil, err
		}
	}
	if r.dir, err = organisation(); err != nil {
		return nil, err
	}
	if !r.observed {
		before := r.engine()
		simulate.SetLeavers(s, r.dir, func(m int, t time.Time) bool { return may(before, m, rbac.Cowork, t) })
	}
	r.rbac = r.engine()
	if _, err := rollout.New(s, r.rbac, r.dir, nil); err != nil {
		return nil, err // a gate that cannot be read, before anything is played
	}
	r.enabled = make([]bool, r.dir.Len())
	for i := range r.enabled {
		for t := r.from; t.Before(r.to) && !r.enabled[i]; t = t.Add(12 * time.Hour) {
			r.enabled[i] = may(r.rbac, i, rbac.Cowork, t)
		}
	}
	return r, nil
}

// beside calls f in a goroutine; what it gives waits for the result.
func beside[T any](f func() (T, error)) func() (T, error) {
	var v T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err = f()
	}()
	return func() (T, error) {
		<-done
		return v, err
	}
}

// loadData takes facts, prices and the model as shipped, or from the folder given.
func (r *run) loadData() (err error) {
	if r.o.Data == nil {
		if r.model, err = assess.Default(); err != nil {
			return err
		}
		if r.facts, err = platform.Facts(); err != nil {
			return err
		}
		r.shipped, err = platform.Prices()
		return err
	}
	if r.facts, err = platform.LoadFacts(r.o.Data); err != nil {
		return err
	}
	if r.shipped, err = platform.LoadPrices(r.o.Data); err != nil {
		return err
	}
	r.model, err = assess.Load(r.o.Data, r.facts)
	return err
}

// fact asks for a fact, or one of its parameters, on the as-of day.
func (r *run) fact(id, param string) (string, bool) {
	return r.factAt(r.s.AsOf, r.s.Organisation.Plan.Value, id, param)
}

func (r *run) factAt(day source.Date, plan, id, param string) (string, bool) {
	a := r.facts.At(id, platform.Query{AsOf: day, Plan: plan, Arrangements: r.s.Organisation.Arrangements, Exam: r.s.Exam()})
	if a.Record == nil || a.Value == platform.NotStated || a.Value == platform.Unknown {
		return "", false
	}
	if param != "" {
		return a.Param(param)
	}
	return a.Value.String(), true
}

// judgedBy is the day whose facts the engines use at time t: in a rehearsal the
// as-of day throughout, over a capture the day of the event.
func (r *run) judgedBy(t time.Time) source.Date {
	day := source.Date{Time: t.UTC().Truncate(24 * time.Hour)}
	if !r.observed || t.IsZero() || day.After(r.s.AsOf) {
		return r.s.AsOf
	}
	return day
}

// factDays are the days inside the period of a capture on which a fact changes.
func (r *run) factDays() []time.Time {
	if !r.observed {
		return nil
	}
	days := []time.Time{r.from}
	last := r.s.Period.To
	if r.s.AsOf.Before(last) {
		last = r.s.AsOf
	}
	for _, c := range r.facts.Changes(r.s.Period.From, last) {
		days = append(days, c.Date.Time)
	}
	slices.SortFunc(days, time.Time.Compare)
	return slices.Compact(days)
}

func (r *run) engine() *rbac.Engine {
	return rbac.NewDated(r.dir, r.factDays(), func(plan string, t time.Time) rbac.Rules {
		day := r.judgedBy(t)
		return rbac.DefaultRules(plan, func(id, param string) (string, bool) { return r.factAt(day, plan, id, param) })
	})
}

func (r *run) spendRules(t time.Time) spend.Rules {
	day, plan := r.judgedBy(t), r.s.Config.At(t).Organisation.Plan.Value
	return spend.DefaultRules(func(id, param string) (string, bool) { return r.factAt(day, plan, id, param) })
}

// newLedger is a ledger under the rules of the first day.
func (r *run) newLedger() *spend.Ledger { return spend.New(r.dir, r.spendRules(r.from)) }

// metered is a ledger under the rules in force at each moment.
type metered struct {
	*spend.Ledger
	days  []time.Time // on which they may change
	rules func(time.Time) spend.Rules
}

func (r *run) metered(l *spend.Ledger) *metered {
	days := r.factDays()
	for _, ch := range r.s.Changes {
		if ch.Plan.Value != "" && ch.When.After(r.from) {
			days = append(days, ch.When)
		}
	}
	slices.SortFunc(days, time.Time.Compare)
	return &metered{l, days, r.spendRules}
}

func (m *metered) until(t time.Time) {
	for len(m.days) > 0 && !t.Before(m.days[0]) {
		m.Use(m.rules(m.days[0]))
		m.days = m.days[1:]
	}
}

// Observe is the ledger's.
func (m *metered) Observe(e *event.Event) {
	if len(m.days) > 0 {
		m.until(e.When())
	}
	m.Ledger.Observe(e)
}

func may(e *rbac.Engine, member int, capability string, t time.Time) bool {
	return e.Allowed(member, capability, t) == rbac.Allow
}

// gate lets the engines decide while the scenario is played.
type gate struct {
	rbac   *rbac.Engine
	calls  rbac.Calls
	ledger *metered
	more   *increases // nil: nobody asks for more
	other  *elsewhere // nil: nobody spends in other products
}

// newGate is the gate of one play, under the rules of the first day.
func (r *run) newGate() gate {
	l := r.newLedger()
	return gate{r.rbac, rbac.Calls{}, r.metered(l), newIncreases(r.s.Config.Spend.Increases, l), newElsewhere(l, r.outlays())}
}

func (g gate) MayUse(m int, capability string, t time.Time) bool {
	switch capability {
	case rbac.Cowork, rbac.Cloud:
		return may(g.rbac, m, capability, t)
	}
	// A built-in tool is held back only where the policy certainly denies it:
	// most configurations say nothing about it.
	return g.rbac.Allowed(m, capability, t) != rbac.Deny
}

func (g gate) Connector(m int, connector, tool string, write bool, t time.Time) simulate.Verdict {
	switch g.calls.Outcome(g.rbac, m, rbac.Call{Connector: connector, Tool: tool, Write: write}, t) {
	case rbac.Allow, rbac.NotGoverned:
		return simulate.Allow
	case rbac.Ask:
		return simulate.Ask
	}
	return simulate.Deny
}

func (g gate) MaySpend(m int, t time.Time) bool {
	g.passes(t)
	v := g.ledger.Gate(m, t)
	if g.more != nil && !v.Allowed && v.BoundBy != spend.Pool {
		g.more.stopped(m, t)
	}
	return v.Allowed
}

func (g gate) Charge(m int, t time.Time, micros int64) {
	g.passes(t)
	g.ledger.Charge(m, t, micros)
}

// passes does what is due by t besides what the members do in Cowork.
func (g gate) passes(t time.Time) {
	g.ledger.until(t)
	if g.more != nil {
		g.more.answer(t)
	}
	if g.other != nil {
		g.other.upTo(t)
	}
}

// stream opens the captures, or plays the scenario and opens what it wrote.
func (r *run) stream(ctx context.Context) (*stream.Source, error) {
	if r.observed {
		also := []func(*event.Event){alert.Mark}
		if r.o.Prices != nil {
			also = append(also, func(e *event.Event) {
				if e.Kind == event.APIRequest && e.CostMicros > 0 {
					e.CostMicros, _ = spend.Repriced(e, r.shipped, r.prices)
				}
			})
		}
		return stream.Open(r.o.Streams, stream.Options{Stdin: r.o.Stdin, Borrow: true, Packed: true, Narrow: !alert.Rare(r.rules), Unhashed: r.o.Unhashed, Prepare: replay.Prepare(r.dir, also...)})
	}
	to, path := r.o.StreamTo, r.o.StreamPath
	if to == nil {
		f, err := os.CreateTemp("", "sandtable-*.otlp.jsonl.zst")
		if err != nil {
			return nil, err
		}
		to, path = f, f.Name()
		r.o.StreamPath = path
	}
	w := stream.NewWriter(to, simulate.WireProfile(r.s.Telemetry))
	// Life goes on whether or not anybody exports it: without an endpoint the
	// organisation lives and the stream stays empty.
	emit := w.Write
	if !r.s.Telemetry.On() {
		emit = func([]event.Event) error { return nil }
	}
	var err error
	door := r.newGate()
	r.increases, r.elsewhere = door.more, door.other
	r.outcome, err = simulate.Run(ctx, simulate.Options{
		Scenario: r.s, Directory: r.dir, Gate: door, Prices: r.prices, Workers: r.o.Workers,
		Progress: func(done, total int) { r.o.Progress("playing", int64(done), int64(total)) },
	}, emit)
	if e := w.Close(); err == nil {
		err = e
	}
	if e := to.Close(); err == nil {
		err = e
	}
	if err != nil {
		r.discard()
		return nil, err
	}
	r.written = &Stream{Events: w.Events(), PlainBytes: w.PlainBytes(), PackedBytes: w.PackedBytes(), PlainSHA256: w.SHA256()}
	return stream.Open([]string{path}, stream.Options{Borrow: true, Packed: true, Narrow: !alert.Rare(r.rules), Unhashed: true, Prepare: replay.Prepare(r.dir, alert.Mark)})
}

// discard removes the temporary stream, if it is ours.
func (r *run) discard() {
	if r.o.StreamTo == nil && r.o.StreamPath != "" {
		os.Remove(r.o.StreamPath)
	}
}

// manyEvents leave so much behind that collecting it is worth the time.
const manyEvents = 500_000

// replay passes the stream through engines and observers.
func (r *run) replay(ctx context.Context, src *stream.Source) error {
	defer r.discard()
	if r.increases != nil {
		r.increases.answer(r.end)
	}
	if r.elsewhere != nil {
		r.elsewhere.upTo(r.end)
	}
	fresh, _ := r.fact("analytics-freshness", "days")
	freshness, _ := strconv.Atoi(fresh) // not stated reads as the shortest
	var cover *coverage.Observer
	var usage *analytics.Observer
	begin := func() []replay.Observer {
		r.access, r.ledger = r.rbac.Afresh(), r.newLedger()
		if r.increases != nil {
			r.increases.carry(r.ledger)
		}
		var meter replay.Engine = r.metered(r.ledger)
		if r.elsewhere != nil {
			for _, x := range r.elsewhere.sums {
				r.ledger.Besides(x.Product)
			}
			meter = &charged{meter.(*metered), r.elsewhere.made}
		}
		r.alerts = alert.New(r.rules, r.alertConfig())
		seen := func(m int) bool { return m >= 0 && m < len(r.enabled) && r.enabled[m] }
		cover = coverage.New(coverage.Config{Directory: r.dir, Enabled: seen, From: r.from, To: r.to})
		usage = analytics.New(analytics.Config{
			FreshnessDays: freshness,
			Directory:     r.dir, From: r.from, To: r.to, AsOf: r.to, Plan: r.s.Organisation.Plan.Value, // figures as they stood when the period ended
			// Noon: a membership that starts today has spread by then.
			Enabled: func(m int, day time.Time) bool { return may(r.access, m, rbac.Cowork, day.Add(12*time.Hour)) },
		})
		r.drivers = spend.NewDrivers(r.prices, r.prices.WebSearchPer1000/1000)
		observers := []replay.Observer{r.access, meter, r.alerts, cover, usage, r.drivers}
		if !r.o.Brief { // they are for the outlook
			r.calibration, r.perDay = forecast.NewCalibrator(r.dir, nil), daily{}
			observers = append(observers, r.calibration, r.perDay)
		}
		if r.gates != nil {
			observers = append(observers, r.gates())
		}
		return observers
	}
	opts := replay.Options{From: r.from, Until: r.to, Prices: r.prices, Directory: r.dir, Beside: runtime.GOMAXPROCS(0) > 1, SideBySide: runtime.GOMAXPROCS(0) > 2}
	if r.observed {
		opts.AsOf = r.s.AsOf.Time.AddDate(0, 0, 1)
	}
	var err error
	r.counts, r.findings, err = replay.Over(ctx, r.watched("replaying", src.EachBlock), r.watched("putting in order of time", src.Again()), opts, begin)
	if err != nil {
		return err
	}
	if r.counts.Received > manyEvents {
		debug.FreeOSMemory() // what the passes held is let go of before the result takes its place
	}
	r.inputs = src.Report()
	r.analytics = beside(func() (*analytics.Report, error) { return usage.Report(), nil }) // which takes longest
	r.coverage = cover.Report()
	if !r.o.Brief {
		if r.month, err = r.outlook(ctx); err != nil {
			return err
		}
	}
	if r.observed && r.counts.Received == 0 {
		return fmt.Errorf("%w in %s", ErrNoRecords, join("; ", strings.Join(r.o.Streams, ", "), or(strings.TrimSuffix(lossesOf(r.inputs), "."), "there is nothing in it")))
	}
	return nil
}

// watched says how far a reading of a stream is. nil stays nil.
func (r *run) watched(what string, read replay.Read) replay.Read {
	if read == nil {
		return nil
	}
	return func(ctx context.Context, fn func(*otlp.Batch) error) error {
		var n, total int64
		if r.written != nil {
			total = r.written.Events
		}
		return read(ctx, func(b *otlp.Batch) error {
			before := n
			if n += int64(b.Len()); n/4096 > before/4096 {
				r.o.Progress(what, n, total)
			}
			return fn(b)
		})
	}
}

// checkNames refuses claims, needs, attestations, stories and packs nobody has
// heard of: a misspelt one would otherwise drop out of the report unseen.
func (r *run) checkNames() error {
	var ps source.Problems
	known := func(t source.Text, what string, all []string) {
		for _, k := range all {
			if k == t.Value {
				return
			}
		}
		advice := "known: " + joined(all)
		if g := source.Nearest(t.Value, all); g != "" {
			advice = fmt.Sprintf("did you mean %q?", g)
		}
		ps.Add(t.At, advice, "%q is not %s", t.Value, what)
	}
	for _, c := range r.s.Claims {
		known(c.Id, "a claim this version can judge", r.model.ClaimIDs())
	}
	for _, n := range r.s.Needs {
		known(n.Id, "a need this version can judge", r.model.NeedIDs())
	}
	for _, a := range r.s.Attestations {
		if a.For != "" { // a compensating control has a name of its own and stands in for an element
			known(source.Text{Value: a.For, At: a.Id.At}, "an element that a compensating control can stand in for", r.model.Elements())
			continue
		}
		known(a.Id, "an attestation the assessor knows", r.model.Attestations())
	}
	if len(r.s.Incidents) > 0 { // reading the stories takes as long as reading the facts
		var tales []string // and twins by number and letter
		for _, t := range simulate.Tales() {
			tales = append(tales, t.ID)
		}
		for _, i := range r.s.Incidents {
			known(i.Story, "a story the simulator can play", tales)
		}
	}
	return r.s.Explain(ps)
}
