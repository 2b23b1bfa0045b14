package cases

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Evidence is what one run of a scenario hands to cases and labs.
type Evidence struct {
	// Doc is the result as decoded JSON: the assessment's own keys, and beside
	// them roster, spend, rules, coverage, adoption, truth and caught.
	Doc map[string]any
	// Prompts are whole prompts of the stream as telemetry lines: "" is an
	// ordinary one, the others are the first of each storyline, by its name.
	Prompts map[string][]Record
}

// Record is one telemetry event as it is shown: its instant, its name and the
// attributes worth reading, in a fixed order.
type Record struct {
	Time   time.Time   `json:"time"`
	Prompt string      `json:"prompt_id"`
	Event  string      `json:"event"`
	Fields [][2]string `json:"fields"`
}

// Run plays a scenario. Forecasts, which are slow, are asked for separately.
type Run func(ctx context.Context, s *scenarios.Scenario) (*Evidence, error)

// Foreseen is a month of one limited group, drawn many times.
type Foreseen struct {
	Group        string
	Members      int
	P95, Entered int64   // micro-dollars: a member's month without a limit; the limit entered
	CutShort     float64 // share of member-months that the limit entered cuts short
}

// Foresee forecasts a month of every limited group of a scenario.
type Foresee func(ctx context.Context, s *scenarios.Scenario) ([]Foreseen, error)

// document is the forecast as checks read it, in dollars and in hundredths.
func document(rows []Foreseen) []any {
	out := []any{}
	for _, r := range rows {
		m := map[string]any{"group": r.Group, "members": r.Members, "p95": float64(r.P95) / 1e6, "entered": float64(r.Entered) / 1e6,
			"cut_short_in_1000": math.Round(r.CutShort * 1000)}
		if r.P95 > 0 {
			m["entered_over_p95"] = math.Round(float64(r.Entered)/float64(r.P95)*100) / 100
		}
		out = append(out, m)
	}
	return out
}

// Bench runs scenarios for cases and remembers what they gave, so that options
// of one world and questions of one scenario cost one run. It may be used by
// several goroutines.
type Bench struct {
	Foresee Foresee // for labs that ask for a forecast; nil: there is none

	run Run
	mu  sync.Mutex
	had map[string]*played
}

type played struct {
	once  sync.Once
	world *World
	err   error
}

// World is a scenario with what its run gave.
type World struct {
	Scenario *scenarios.Scenario
	Evidence *Evidence
	facts    *platform.Catalogue
}

// NewBench makes a bench over a run function.
func NewBench(run Run) *Bench { return &Bench{run: run, had: map[string]*played{}} }

// Broken is a case whose scenario cannot be loaded or run: it is named and
// passed over.
type Broken struct {
	Case string
	Err  error
}

func (b *Broken) Error() string {
	return fmt.Sprintf("case %s is left out: its scenario does not run: %v", b.Case, b.Err)
}
func (b *Broken) Unwrap() error { return b.Err }

// World plays the case's scenario as of a day, with settings laid over it.
func (b *Bench) World(ctx context.Context, c *Case, asOf source.Date, set ...string) (*World, error) {
	over := append(slices.Clone(c.Set), "as_of="+asOf.String())
	over = append(over, set...)
	w, err := b.world(ctx, c.load, c.file.Name, c.Scenario.Value, over)
	if err != nil && ctx.Err() == nil {
		err = &Broken{Case: c.Id.Value, Err: err}
	}
	return w, err
}

func (b *Bench) world(ctx context.Context, load func(string, ...string) (*scenarios.Scenario, error), from, name string, over []string) (*World, error) {
	key := strings.Join(append([]string{from, name}, over...), "\n")
	b.mu.Lock()
	p := b.had[key]
	if p == nil {
		p = &played{}
		b.had[key] = p
	}
	b.mu.Unlock()
	p.once.Do(func() {
		s, err := load(name, over...)
		if err != nil {
			p.err = err
			return
		}
		p.world, p.err = b.Play(ctx, s)
	})
	return p.world, p.err
}

// Play runs a scenario that is not a case's own, such as a learner's file.
func (b *Bench) Play(ctx context.Context, s *scenarios.Scenario) (*World, error) {
	facts, err := platform.Facts()
	if err != nil {
		return nil, err
	}
	e, err := b.run(ctx, s)
	if err != nil {
		return nil, err
	}
	e.Doc["limits"] = limits(e.Doc)
	return &World{Scenario: s, Evidence: e, facts: facts}, nil
}

// limits is what each group limit allows: the amount entered, for whom, and what
// all of them may spend together, in dollars.
func limits(doc map[string]any) []any {
	out := []any{}
	rows, _ := assess.Lookup(doc, "spend.budgets")
	list, _ := rows.([]any)
	for _, r := range list {
		m, ok := r.(map[string]any)
		if !ok {
			continue
		}
		limit, n := number(m["limit_micros_per_member"]), number(m["members"])
		out = append(out, map[string]any{
			"group": m["group"], "members": n,
			"entered": limit / 1e6, "exposure": limit * n / 1e6,
		})
	}
	return out
}

func number(v any) float64 {
	x, err := strconv.ParseFloat(assess.Plain(v), 64)
	if err != nil {
		return 0
	}
	return x
}

// Lookup finds a value of the world by its path.
//
// A path walks the document by keys joined with dots; a member of a list is
// named by its id, name, group or story, or by its place from 0, and "count" at
// the end of a list is its length. Paths beginning with facts ask the dated
// facts for the scenario's plan, arrangements, mode and day: facts.ID.value, .statement,
// .since, .verified, .contested, .reason and .params.NAME.
func (w *World) Lookup(path string) (any, bool) {
	if rest, ok := strings.CutPrefix(path, "facts."); ok {
		return w.fact(rest)
	}
	return assess.Lookup(w.Evidence.Doc, path)
}

func (w *World) fact(path string) (any, bool) {
	id, what, ok := strings.Cut(path, ".")
	f, known := w.facts.Fact(id)
	if !ok || !known {
		return nil, false
	}
	a := w.ask(id)
	if what == "value" {
		return a.Value.String(), true
	}
	if what == "contested" {
		return f.Contested, true
	}
	if what == "reason" {
		return a.Reason(), true
	}
	if a.Record == nil {
		return "", strings.HasPrefix(what, "params.") || what == "statement" || what == "since" || what == "verified"
	}
	switch what {
	case "statement":
		return a.Record.Statement, true
	case "since":
		return a.Record.Start(), true
	case "verified":
		return a.Record.LastVerified.String(), true
	}
	if p, ok := strings.CutPrefix(what, "params."); ok {
		return a.Param(p)
	}
	return nil, false
}

// ask asks a fact for the scenario's own plan, arrangements and day. Where more
// than one mode can be used, the local one comes first: it is where Cowork began.
func (w *World) ask(id string) platform.Answer {
	o := &w.Scenario.Organisation
	q := platform.Query{AsOf: w.Scenario.AsOf, Plan: o.Plan.Value, Mode: "local", Arrangements: o.Arrangements, Exam: w.Scenario.Exam()}
	if len(o.Modes) == 1 {
		q.Mode = o.Modes[0]
		return w.facts.At(id, q)
	}
	a := w.facts.At(id, q)
	if a.Record == nil {
		q.Mode = "cloud"
		a = w.facts.At(id, q)
	}
	return a
}

// Finding is a check with what the run gave.
type Finding struct {
	Path string `json:"path"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
	Lost bool   `json:"path_leads_nowhere,omitempty"`
	Says string `json:"says,omitempty"`
	Hint string `json:"-"`
}

// Hold evaluates a check. A path that leads nowhere is not met.
func (w *World) Hold(k Check) Finding {
	f := Finding{Path: k.Path.Value, Want: k.wanted(), Says: k.Says, Hint: k.Hint}
	v, ok := w.Lookup(k.Path.Value)
	if !ok {
		f.Lost, f.Got = true, "nothing"
		return f
	}
	f.Got = assess.Plain(v)
	n, err := strconv.ParseFloat(f.Got, 64)
	f.Met = (k.Is == "" || f.Got == k.Is) && (len(k.In) == 0 || slices.Contains(k.In, f.Got)) &&
		(k.Has == "" || strings.Contains(f.Got, k.Has)) && (k.Lacks == "" || !strings.Contains(f.Got, k.Lacks)) &&
		(k.Min == nil || err == nil && n >= *k.Min) && (k.Max == nil || err == nil && n <= *k.Max)
	if k.SameAs.Value != "" {
		other, ok := w.Lookup(k.SameAs.Value)
		f.Lost = !ok
		f.Met = f.Met && ok && assess.Plain(other) == f.Got
		if f.Want = k.SameAs.Value + ", which is " + assess.Plain(other); !ok {
			f.Want = k.SameAs.Value
		}
	}
	return f
}

func (k *Check) wanted() string {
	var parts []string
	if k.Is != "" {
		parts = append(parts, k.Is)
	}
	if len(k.In) > 0 {
		parts = append(parts, "one of "+strings.Join(k.In, ", "))
	}
	if k.Has != "" {
		parts = append(parts, "something with "+k.Has)
	}
	if k.Lacks != "" {
		parts = append(parts, "nothing with "+k.Lacks)
	}
	if k.Min != nil {
		parts = append(parts, "at least "+strconv.FormatFloat(*k.Min, 'f', -1, 64))
	}
	if k.Max != nil {
		parts = append(parts, "at most "+strconv.FormatFloat(*k.Max, 'f', -1, 64))
	}
	return strings.Join(parts, " and ")
}

// Grading is a case held against the model.
type Grading struct {
	Case    *Case
	World   *World
	Options []OptionResult // in the order they are shown
}

// OptionResult is one option with its checks.
type OptionResult struct {
	Letter   string    `json:"letter"`
	Option   *Option   `json:"-"`
	Right    bool      `json:"right"`
	Findings []Finding `json:"findings"`
}

// refuted is the first check the model does not meet; nil for a right option.
func (o *OptionResult) refuted() *Finding {
	for i := range o.Findings {
		if !o.Findings[i].Met {
			return &o.Findings[i]
		}
	}
	return nil
}

// Grade holds every option of a case against the run as of its date, with
// settings laid over its scenario.
func (b *Bench) Grade(ctx context.Context, c *Case, set ...string) (*Grading, error) {
	return b.gradeAt(ctx, c, c.Date, set...)
}

func (b *Bench) gradeAt(ctx context.Context, c *Case, day source.Date, set ...string) (*Grading, error) {
	w, err := b.World(ctx, c, day, set...)
	if err != nil {
		return nil, err
	}
	g := &Grading{Case: c, World: w}
	for i, n := range c.Order() {
		o := &c.Options[n]
		ow := w
		switch {
		case o.Scenario.Value != "":
			if ow, err = b.world(ctx, c.load, c.file.Name, o.Scenario.Value, append([]string{"as_of=" + day.String()}, o.Set...)); err != nil && ctx.Err() == nil {
				err = &Broken{Case: c.Id.Value, Err: err}
			}
		case len(o.Set) > 0:
			ow, err = b.World(ctx, c, day, append(slices.Clone(set), o.Set...)...)
		}
		if err != nil {
			return nil, err
		}
		r := OptionResult{Letter: string(rune('A' + i)), Option: o, Right: true}
		for _, k := range o.Holds {
			f := ow.Hold(k)
			r.Right = r.Right && f.Met
			r.Findings = append(r.Findings, f)
		}
		g.Options = append(g.Options, r)
	}
	return g, nil
}

// Right is the letter of the option that holds, "" when none does.
func (g *Grading) Right() string {
	for _, o := range g.Options {
		if o.Right {
			return o.Letter
		}
	}
	return ""
}

// Option finds an option by the letter a learner typed, in either case.
func (g *Grading) Option(letter string) *OptionResult {
	for i := range g.Options {
		if strings.EqualFold(g.Options[i].Letter, strings.TrimSpace(letter)) {
			return &g.Options[i]
		}
	}
	return nil
}

// Order is the order in which the options are shown: shuffled, always the same
// for a case, so that no letter is right more often than chance has it.
func (c *Case) Order() []int {
	order := make([]int, len(c.Options))
	for i := range order {
		order[i] = i
	}
	h := hash(c.Id.Value)
	for i := len(order) - 1; i > 0; i-- {
		h = h*6364136223846793005 + 1442695040888963407
		j := int((h >> 33) % uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// hash is FNV-1a of a name.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Later is the case asked again on another day.
type Later struct {
	On    string     `json:"on"`
	Right string     `json:"right"` // the letter that holds then, "" when none of the four does
	Says  string     `json:"says"`
	Moved []Movement `json:"moved"`
}

// Movement is a watched value before and after.
type Movement struct {
	Label string `json:"label"`
	Path  string `json:"path"`
	Then  string `json:"then"`
	Now   string `json:"now"`
}

// Again asks a graded case on its later days.
func (b *Bench) Again(ctx context.Context, g *Grading) ([]Later, error) {
	var out []Later
	for _, a := range g.Case.Again {
		later, err := b.gradeAt(ctx, g.Case, a.On, a.Set...)
		if err != nil {
			return nil, err
		}
		l := Later{On: a.On.String(), Right: later.Right(), Says: a.Says}
		for _, link := range a.Watch {
			m := Movement{Label: link.name(), Path: link.Path.Value}
			if v, ok := g.World.Lookup(link.Path.Value); ok {
				m.Then = assess.Plain(v)
			}
			if v, ok := later.World.Lookup(link.Path.Value); ok {
				m.Now = assess.Plain(v)
			}
			l.Moved = append(l.Moved, m)
		}
		out = append(out, l)
	}
	return out, nil
}

func (l *Link) name() string {
	if l.Label != "" {
		return l.Label
	}
	return l.Path.Value
}

// Check holds a case against the model and reports every disagreement: an option
// the author and the model judge differently, a path that leads nowhere, a later
// day on which nothing moves. A scenario that does not run is the only problem
// reported then.
func (b *Bench) Check(ctx context.Context, c *Case) (source.Problems, error) {
	var ps source.Problems
	g, err := b.Grade(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		ps.Add(c.Scenario.At, "the case is left out until its scenario runs", "%v", err)
		return ps, nil
	}
	for _, o := range g.Options {
		for i, f := range o.Findings {
			if f.Lost {
				ps.Add(o.Option.Holds[i].Path.At, "look at assessment.json of a run for the right path", "%s: %s leads nowhere", c.Id, f.Path)
			}
		}
		switch f := o.refuted(); {
		case o.Option.Right && f != nil:
			ps.Add(o.Option.At, "correct the option, or the case's settings", "%s: the option marked right does not hold: %s is %q, expected %s", c.Id, f.Path, f.Got, f.Want)
		case !o.Option.Right && f == nil:
			ps.Add(o.Option.At, "correct the option, or mark it right", "%s: an option not marked right holds in the model", c.Id)
		}
	}
	for _, l := range c.Chain {
		if _, ok := g.World.Lookup(l.Path.Value); !ok {
			ps.Add(l.Path.At, "look at assessment.json of a run for the right path", "%s: %s leads nowhere", c.Id, l.Path)
		}
	}
	for _, x := range c.Exhibits {
		lines, err := g.World.Exhibit(x)
		if err != nil {
			ps.Add(x.At, "take another exhibit, or change the scenario", "%s: %v", c.Id, err)
		} else if len(lines) == 0 {
			ps.Add(x.At, "take another exhibit, or change the scenario", "%s: the exhibit %q is empty", c.Id, x.Show)
		}
	}
	later, err := b.Again(ctx, g)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		ps.Add(c.Id.At, "", "%v", err)
		return c.file.Explain(ps), nil
	}
	for i, l := range later {
		moved := false
		for _, m := range l.Moved {
			moved = moved || m.Then != m.Now
			if m.Then == "" && m.Now == "" {
				ps.Add(c.Again[i].At, "look at assessment.json of a run for the right path", "%s: %s leads nowhere", c.Id, m.Path)
			}
		}
		if !moved {
			ps.Add(c.Again[i].At, "watch something that moves, or leave the day out", "%s: nothing moves on %s", c.Id, l.On)
		}
	}
	return c.file.Explain(ps), nil
}
