// Package rollout computes the gates of a staged rollout: what was counted before
// each phase, and whether its conditions pass, fail, or cannot be evaluated. Gates
// report; they hold a phase back only when the scenario says hold_on_fail.
//
// Silence is not cleanliness: a counter that rests on a stream is not known where
// the stream has nothing to say, and a condition over it is then not evaluable.
package rollout

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed gates.yaml
var shipped []byte

// BuiltIn are the shipped gates, by which a run's phases are judged.
func BuiltIn() []byte { return shipped }

// day is what one day of the stream showed.
type day struct {
	events   int
	bad      int // findings of high severity or worse that began on it
	rules    []string
	members  map[int]bool
	decided  int64
	rejected int64
	mcp      int64
	unnamed  int64
	unlisted int64
	leavers  int64
}

// Observer counts by day. It is not safe for concurrent use.
type Observer struct {
	s      *scenarios.Scenario
	access *rbac.Engine
	dir    *org.Directory
	ledger *spend.Ledger
	phases []phase
	days   map[int64]*day
	spent  map[int64][]int64 // at the start of a day: percent of the limit, of each member with spend
	next   int64             // first day whose spend is still to be read
	stop   int64             // the day after the last of them
}

type phase struct {
	*scenarios.Phase
	kind  string
	gates []gate
}

type gate struct {
	scenarios.Gate
	source  string
	program *condition.Program[window]
}

// New prepares the gates of a scenario. ledger may be nil, and then spend is not
// known; else the observer feeds it. Faulty conditions are returned with their
// places, all at once.
func New(s *scenarios.Scenario, access *rbac.Engine, dir *org.Directory, ledger *spend.Ledger) (*Observer, error) {
	o := &Observer{s: s, access: access, dir: dir, ledger: ledger, days: map[int64]*day{}}
	defaults, err := defaultGates()
	if err != nil {
		return nil, err
	}
	env := vocabulary()
	var ps source.Problems
	for i := range s.Rollout {
		p := phase{Phase: &s.Rollout[i], kind: kindOf(s, i)}
		gs := p.Gates
		sources := make([]string, len(gs))
		if gs == nil {
			for _, d := range defaults {
				if d.Kind == p.kind {
					gs = append(gs, scenarios.Gate{Name: d.Name, When: d.When, Because: d.Because})
					sources = append(sources, d.Source)
				}
			}
		}
		for j, g := range gs {
			prog, problems := env.Compile(g.When)
			for _, x := range problems {
				if strings.Contains(x.Advice, "rules env") { // the words of rules are others
					x.Advice = "sandtable plan rollout --help lists the words of a gate"
				}
				ps = append(ps, x)
			}
			p.gates = append(p.gates, gate{g, sources[j], prog})
		}
		o.phases = append(o.phases, p)
	}
	if len(ps) > 0 {
		return nil, s.File.Explain(ps).Err()
	}
	// Spend is read where a phase begins, and where one may begin that was held.
	o.spent = map[int64][]int64{}
	o.next, o.stop = math.MaxInt64, 0
	for i := range o.phases {
		k := o.phases[i].From.Time.UnixNano() / dayNanos
		o.spent[k] = nil
		o.next, o.stop = min(o.next, k), max(o.stop, k+1)
		for end := s.Period.To.Time.UnixNano() / dayNanos; holding(o.phases[i].Phase) && k <= end; k++ {
			o.spent[k] = nil
			o.stop = max(o.stop, k+1)
		}
	}
	return o, nil
}

type shippedGate struct {
	Kind    string      `yaml:"kind,required,enum=pilot|controlled|general"`
	Name    string      `yaml:"name,required"`
	When    source.Text `yaml:"when,required"`
	Because string      `yaml:"because,required"`
	Source  string      `yaml:"source,required"`
}

func defaultGates() ([]shippedGate, error) {
	f, err := source.Parse("gates.yaml", shipped)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Gates []shippedGate `yaml:"gates,required"`
	}
	return doc.Gates, f.Decode(&doc)
}

// kindOf is what a phase says of itself, else what its groups say, else its place:
// the first is the pilot, the last of three or more is general.
func kindOf(s *scenarios.Scenario, i int) string {
	p := &s.Rollout[i]
	if p.Kind != "" {
		return p.Kind
	}
	for _, g := range p.Groups {
		for _, x := range s.Groups {
			if x.Name.Value == g.Value && slices.Contains([]string{"pilot", "controlled", "general"}, x.Phase) {
				return x.Phase
			}
		}
	}
	switch {
	case i == 0:
		return "pilot"
	case i == len(s.Rollout)-1 && i > 1:
		return "general"
	}
	return "controlled"
}

const dayNanos = int64(24 * time.Hour)

func (o *Observer) day(ns int64) *day {
	k := ns / dayNanos
	d := o.days[k]
	if d == nil {
		d = &day{members: map[int]bool{}}
		o.days[k] = d
	}
	return d
}

// Observe takes the next record, in order of time.
func (o *Observer) Observe(ev *event.Event) {
	for o.next < o.stop && ev.Time >= o.next*dayNanos {
		o.readSpend(o.next)
		o.next++
	}
	if o.ledger != nil {
		o.ledger.Observe(ev)
	}
	if ev.Product != event.Cowork {
		return
	}
	d := o.day(ev.Time)
	d.events++
	if m, _ := ev.Who(o.dir); m >= 0 {
		member := int(m)
		d.members[member] = true
		if left := o.dir.Left(member); !left.IsZero() && ev.Time >= left.UnixNano() && !o.access.Leaving(member, ev.When()) {
			d.leavers++
		}
	}
	switch ev.Kind {
	case event.ToolDecision:
		d.decided++
		if ev.Approval == event.HumanReject {
			d.rejected++
		}
	case event.ToolResult:
		if !ev.IsMCP() || ev.ToolSource == "sdk_host_builtin_mcp" {
			return
		}
		if ev.MCPKnown != event.Known {
			d.unnamed++
			return
		}
		d.mcp++
		if !o.listed(ev.MCPServer) {
			d.unlisted++
		}
	}
}

func (o *Observer) listed(server string) bool {
	for i := range o.s.Connectors {
		if c := &o.s.Connectors[i]; rbac.ConnectorKey(c.Name.Value) == rbac.ConnectorKey(server) {
			return true
		}
	}
	return false
}

// readSpend takes every member's share of the limit in the month that is ending
// as the day begins.
func (o *Observer) readSpend(day int64) {
	if _, wanted := o.spent[day]; o.ledger == nil || !wanted {
		return
	}
	at := time.Unix(0, day*dayNanos).UTC().Add(-time.Second)
	for m := range o.dir.Len() {
		spent := o.ledger.Spent(m, at)
		limit, _, unlimited := o.ledger.Limit(m, at)
		if spent == 0 || unlimited || limit == 0 {
			continue
		}
		o.spent[day] = append(o.spent[day], spent*100/limit)
	}
	slices.Sort(o.spent[day])
}

// window is what a gate sees: the time from the phase before to this one.
type window struct {
	o        *Observer
	i        int
	from, to time.Time
}

func (w *window) each(f func(*day)) {
	for k := w.from.UnixNano() / dayNanos; k < w.to.UnixNano()/dayNanos; k++ {
		if d := w.o.days[k]; d != nil {
			f(d)
		}
	}
}

func (w *window) sum(f func(*day) int64) (n int64) {
	w.each(func(d *day) { n += f(d) })
	return n
}

func (w *window) events() int64 { return w.sum(func(d *day) int64 { return int64(d.events) }) }

// heard reports that the stream says anything in the window at all.
func (w *window) heard() bool { return w.events() > 0 }

func (w *window) cleanWeeks(n int) condition.Tri {
	out := condition.True
	for i := range n {
		end := w.to.AddDate(0, 0, -7*i)
		if end.AddDate(0, 0, -7).Before(w.from) {
			return out.And(condition.False) // the weeks have not passed yet
		}
		events, bad := 0, 0
		for k := end.AddDate(0, 0, -7).UnixNano() / dayNanos; k < end.UnixNano()/dayNanos; k++ {
			if d := w.o.days[k]; d != nil {
				events += d.events
				bad += d.bad
			}
		}
		switch {
		case bad > 0:
			return condition.False
		case events == 0:
			out = condition.Unknown // silent: not clean, and not known to be dirty
		}
	}
	return out
}

// weeks says what each of the last weeks showed.
func (w *window) weeks(n int) []string {
	var out []string
	for i := range n {
		from := w.to.AddDate(0, 0, -7*i-7)
		if from.Before(w.from) {
			out = append(out, fmt.Sprintf("only %d of %d weeks have passed", i, n))
			break
		}
		events, bad, names := 0, 0, map[string]int{}
		for k := from.UnixNano() / dayNanos; k < from.AddDate(0, 0, 7).UnixNano()/dayNanos; k++ {
			if d := w.o.days[k]; d != nil {
				events, bad = events+d.events, bad+d.bad
				for _, r := range d.rules {
					names[r]++
				}
			}
		}
		text := fmt.Sprintf("week of %s: %d records", from.Format(time.DateOnly), events)
		if bad > 0 {
			var list []string
			for r, n := range names {
				list = append(list, fmt.Sprintf("%d x %s", n, r))
			}
			slices.Sort(list)
			text += ", high findings: " + strings.Join(list, ", ")
		}
		out = append(out, text)
	}
	return out
}

// vocabulary are the words of a gate.
func vocabulary() *condition.Env[window] {
	e := condition.NewEnv[window](1)
	stream := func(name, doc string, f func(*window) (int64, bool)) {
		e.Int(name, doc, func(w *window) (int64, bool) {
			if !w.heard() {
				return 0, false
			}
			return f(w)
		})
	}
	e.FuncBool("clean_weeks", `clean_weeks("4"): the four weeks before the phase each had records and no finding of high severity; not known when one was silent and none was bad`, 1, 1,
		func(args []string) error {
			if n, err := strconv.Atoi(args[0]); err != nil || n < 1 || n > 52 {
				return fmt.Errorf("%q is not a number of weeks from 1 to 52", args[0])
			}
			return nil
		}, func(w *window, args []string) condition.Tri {
			n, _ := strconv.Atoi(args[0])
			return w.cleanWeeks(n)
		})
	stream("events", "Cowork records in the window", func(w *window) (int64, bool) { return w.events(), true })
	stream("active_members", "members with a record in the window", func(w *window) (int64, bool) {
		seen := map[int]bool{}
		w.each(func(d *day) {
			for m := range d.members {
				seen[m] = true
			}
		})
		return int64(len(seen)), true
	})
	stream("silent_workdays", "Mondays to Fridays (UTC) in the window without one record", func(w *window) (int64, bool) {
		n := int64(0)
		for t := w.from; t.Before(w.to); t = t.AddDate(0, 0, 1) {
			if d := w.o.days[t.UnixNano()/dayNanos]; t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && (d == nil || d.events == 0) {
				n++
			}
		}
		return n, true
	})
	stream("rejected_per_1000", "tool calls that a person rejected, per 1,000 decisions", func(w *window) (int64, bool) {
		all := w.sum(func(d *day) int64 { return d.decided })
		if all == 0 {
			return 0, false
		}
		return w.sum(func(d *day) int64 { return d.rejected }) * 1000 / all, true
	})
	stream("rejections", "tool calls that a person rejected", func(w *window) (int64, bool) {
		return w.sum(func(d *day) int64 { return d.rejected }), w.sum(func(d *day) int64 { return d.decided }) > 0
	})
	stream("unlisted_calls", "calls to servers outside the connector list; not known when the stream withholds server names and none of the others is unlisted", func(w *window) (int64, bool) {
		n := w.sum(func(d *day) int64 { return d.unlisted })
		return n, n > 0 || w.sum(func(d *day) int64 { return d.unnamed }) == 0
	})
	stream("high_findings", "findings of high severity or worse that began in the window", func(w *window) (int64, bool) {
		return w.sum(func(d *day) int64 { return int64(d.bad) }), true
	})
	stream("leaver_records", "records of members after they left, those sent while a removal was on its way left out", func(w *window) (int64, bool) { return w.sum(func(d *day) int64 { return d.leavers }), true })
	e.Int("spend_p95_percent", "the 95th percentile of spend as a percentage of the member's limit, over members with spend in the month before the phase", func(w *window) (int64, bool) {
		s := w.o.spent[w.to.UnixNano()/dayNanos]
		if len(s) == 0 {
			return 0, false
		}
		return s[(len(s)*95+99)/100-1], true
	})
	e.Int("scim_lag_minutes", "the longest time a joiner or a change of a group took to arrive, of those that say so", func(w *window) (int64, bool) {
		most, known := int64(0), false
		for _, c := range w.o.s.Changes {
			if (c.Group != nil || c.Join != nil) && !c.Until.IsZero() && !c.When.After(w.to) {
				most, known = max(most, int64(c.Until.Sub(c.When)/time.Minute)), true
			}
		}
		return most, known
	})
	e.Int("deprovision_lag_minutes", "the longest time an account stayed open after its member left; not known when nobody left, or when nobody stated when an account was closed", func(w *window) (int64, bool) {
		most, known, left := int64(0), true, false
		for _, d := range w.o.access.Departures(w.to) {
			lag, exact := d.Lag()
			left, known = true, known && exact
			most = max(most, int64(lag/time.Minute))
		}
		return most, known && left
	})
	e.Int("deny_test_failures", "members who should be kept out of Cowork when the phase begins and are not certainly denied", func(w *window) (int64, bool) {
		// Noon: a membership of the first day has arrived by then.
		_, n := w.o.access.DenyTest(w.to.Add(12 * time.Hour))
		return int64(n), true
	})
	e.Int("members_with_cowork", "members who may use Cowork on the first day of the phase", func(w *window) (int64, bool) {
		return int64(w.o.reach(w.to.Add(12 * time.Hour))), true
	})
	e.String("cowork_scope", "groups, all or off, on the first day of the phase", func(w *window) (string, bool) {
		s := w.o.access.EffectiveScope(w.to.Add(12 * time.Hour))
		return s, s != ""
	})
	e.String("plan", "team or enterprise, on the first day of the phase", func(w *window) (string, bool) {
		p := w.o.s.Config.At(w.to).Organisation.Plan.Value
		return p, p != ""
	})
	e.Bool("limits_set", "every group of the phase has a limit of its own, or members have a default", func(w *window) (bool, bool) {
		sp := &w.o.s.Spend
		if sp.MemberDefault.Given || sp.SeatDefault.Given {
			return true, true
		}
		for _, g := range w.o.phases[w.i].Groups {
			listed := slices.ContainsFunc(sp.Groups, func(l org.GroupLimit) bool { return l.Group.Value == g.Value })
			if !w.limited(listed, func(l *org.LimitChange) bool { return l.Group.Value == g.Value }) {
				return false, true
			}
		}
		return len(w.o.phases[w.i].Groups) > 0 || w.limited(sp.Organisation.Given, func(l *org.LimitChange) bool { return l.Organisation }), true
	})
	e.Bool("stream_on", "telemetry has an endpoint", func(w *window) (bool, bool) { return w.o.s.Telemetry.On(), true })
	e.Bool("adoption_weekly", "adoption is measured at least every seven days, by somebody", func(w *window) (bool, bool) {
		a := w.o.s.Adoption
		if a.Measured == "" {
			return false, false
		}
		return a.Measured != "none" && a.EveryDays >= 1 && a.EveryDays <= 7, true
	})
	return e
}

// limited reports that a limit stands when the phase begins: as it was before every
// change, unless the last change of it says otherwise. Noon, as above.
func (w *window) limited(listed bool, of func(*org.LimitChange) bool) bool {
	var last time.Time
	for _, c := range w.o.s.Changes {
		if c.Limit != nil && of(c.Limit) && !c.When.After(w.to.Add(12*time.Hour)) && !c.When.Before(last) {
			last, listed = c.When, c.Limit.Limit.Given
		}
	}
	return listed
}

// Words lists the vocabulary of gates, for help.
func Words() []condition.Var { return vocabulary().Vars() }

func (o *Observer) reach(t time.Time) int {
	n := 0
	for m := range o.dir.Len() {
		if o.may(m, t) {
			n++
		}
	}
	return n
}

func (o *Observer) may(member int, t time.Time) bool {
	return o.access.Allowed(member, rbac.Cowork, t) == rbac.Allow
}

// window is what the gates of a phase look at, from the phase before to its date.
func (o *Observer) window(i int) *window {
	w := &window{o: o, i: i, from: o.s.Period.From.Time, to: o.phases[i].From.Time}
	if i > 0 {
		w.from = o.phases[i-1].From.Time
	}
	if w.to.Before(w.from) {
		w.from = w.to
	}
	return w
}

// Verdicts of a gate.
const (
	Pass         = "pass"
	Fail         = "fail"
	NotEvaluable = "not evaluable"
)

// GateResult is one gate with what it saw.
type GateResult struct {
	Name    string   `json:"name"`
	When    string   `json:"when"`
	Result  string   `json:"result"`
	Seen    []string `json:"seen"` // "name = value" of each word
	Hold    bool     `json:"hold_on_fail,omitempty"`
	Because string   `json:"because,omitempty"`
	Source  string   `json:"source,omitempty"` // of a shipped gate
}

// PhaseResult is one phase. Status is open, held (a gate with hold_on_fail
// failed), waits (an earlier phase is held) or, where the scenario was played, late
// (held, and begun when its gates passed). Gained and Lost count members whose Cowork
// access differs from the day before.
type PhaseResult struct {
	Name    string       `json:"name"`
	Kind    string       `json:"kind"`
	From    source.Date  `json:"from"`
	Groups  []string     `json:"groups"`
	Window  [2]time.Time `json:"window"` // what the gates looked at; empty for a first phase on the first day
	Members int          `json:"members_with_cowork"`
	Gained  int          `json:"gained"`
	Lost    int          `json:"lost"`
	Gates   []GateResult `json:"gates"`
	Status  string       `json:"status"`
	Held    *Held        `json:"held,omitempty"` // where the play kept its members out
}

// finish reads the spend of the days after the last record.
func (o *Observer) finish() {
	for ; o.next < o.stop; o.next++ {
		o.readSpend(o.next)
	}
}

// Result closes the pass. findings are those of the engines over the same stream.
func (o *Observer) Result(findings []rules.Finding) []PhaseResult {
	o.Add(findings)
	out := []PhaseResult{}
	held := false
	for i := range o.phases {
		p := &o.phases[i]
		w := o.window(i)
		r := PhaseResult{Name: p.Name, Kind: p.kind, From: p.From, Window: [2]time.Time{w.from, w.to}, Groups: []string{}, Gates: []GateResult{}, Status: "open"}
		for _, g := range p.Groups {
			r.Groups = append(r.Groups, g.Value)
		}
		before, after := p.From.Time.Add(-12*time.Hour), p.From.Time.Add(12*time.Hour)
		for m := range o.dir.Len() {
			was, is := o.may(m, before), o.may(m, after)
			switch {
			case is && !was:
				r.Gained++
			case was && !is:
				r.Lost++
			}
			if is {
				r.Members++
			}
		}
		for _, g := range p.gates {
			x := GateResult{Name: g.Name, When: g.When.Value, Hold: g.Hold, Because: g.Because, Source: g.source,
				Result: map[condition.Tri]string{condition.True: Pass, condition.False: Fail, condition.Unknown: NotEvaluable}[g.program.Eval(w)], Seen: []string{}}
			for _, l := range g.program.Trace(w) {
				if !strings.ContainsAny(l.Name, "=<> ") || strings.HasSuffix(l.Name, ")") {
					x.Seen = append(x.Seen, l.Name+" = "+l.Value)
				}
			}
			for _, call := range g.program.Calls() {
				if call.Func == "clean_weeks" {
					n, _ := strconv.Atoi(call.Args[0])
					x.Seen = append(x.Seen, w.weeks(n)...)
				}
			}
			if x.Result == Fail && g.Hold {
				r.Status = "held"
			}
			r.Gates = append(r.Gates, x)
		}
		if held && r.Status == "open" {
			r.Status = "waits"
		}
		held = held || r.Status == "held"
		out = append(out, r)
	}
	return out
}
