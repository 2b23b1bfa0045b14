// Package alert evaluates YAML alert rules over the event stream: a condition
// on one event, and if wanted a correlation of several over a sliding window.
//
// A condition that cannot be decided, because a field is absent, redacted or
// cut, is "not evaluable": it never fires and is never clean, and every rule
// reports how often that happened and why. The packs are embedded and are
// starting points with an owner, a runbook and tests of their own.
//
// The engine reads no clock, keeps nothing outside live windows and does not
// care how many members there are beyond that.
package alert

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed packs/*.yaml
var packs embed.FS

// Packs are the shipped rule files, for Load.
func Packs() fs.FS {
	sub, err := fs.Sub(packs, "packs")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Topics say what an alert means, whatever rule raised it.
func Topics() []string {
	return []string{
		"scope", "unlisted-server", "data-class", "session-spend", "rejections", "unusual-file-access",
		"silence", "blind", "version", "settings", "approvals", "capability", "leaver", "new-connector",
		"read-only-write", "secrets", "pan", "sad", "workload-class", "exfiltration", "spend-baseline",
		"errors", "unattributed", "plugins", "remote-session", "off-hours",
	}
}

// Rule is one alert rule as written. Load fills and checks it; it is then
// read-only and may serve several engines.
type Rule struct {
	ID          source.Text `yaml:"id,required"`
	Title       string      `yaml:"title,required"`
	Severity    string      `yaml:"severity,required,enum=info|low|medium|high|critical"`
	Status      string      `yaml:"status,required,enum=stable|experimental"`
	Topic       source.Text `yaml:"topic,required"`
	Owner       string      `yaml:"owner,required" advice:"name the role that answers for the rule"`
	Catches     string      `yaml:"catches,required" advice:"say what this catches that nothing else would"`
	Description string      `yaml:"description"`
	// Products are Cowork alone, or [any].
	Products    []string      `yaml:"products,enum=cowork|any"`
	Kinds       []source.Text `yaml:"kinds"` // event names; none means every event
	Needs       Needs         `yaml:"needs"`
	Condition   source.Text   `yaml:"condition,required"`
	Correlation Correlation   `yaml:"correlation"`
	// Suppress is how long an incident stays open after its last match; it
	// defaults to the window, or 1h without one.
	Suppress       source.Text `yaml:"suppress"`
	Exceptions     []Exception `yaml:"exceptions"`
	FalsePositives []string    `yaml:"false_positives"`
	Runbook        string      `yaml:"runbook,required" advice:"say what the person who gets the alert does first"`
	Facts          []string    `yaml:"facts"`
	Tests          []Test      `yaml:"tests"`
	At             source.Pos

	severity rules.Severity
	any      bool
	kinds    []event.Kind
	prog     *condition.Program[subject]
	steps    []*condition.Program[subject]
	reasons  []string // variables to blame for "not evaluable", most telling first
	suppress time.Duration
}

// Needs names what must be on the wire for the rule to say anything.
type Needs struct {
	Categories []string      `yaml:"categories,enum=userPrompts|assistantResponses|toolDetails|toolContent|rawApiBodies"`
	Fields     []source.Text `yaml:"fields"`
}

// Correlation joins matches of one key. Both ends of the window count: two
// events exactly a window apart are together.
//
// count and distinct fire at the threshold, sum above it. absence fires when a
// key with at least threshold matches falls silent for the window. first_seen
// fires when field takes a value the key has not had for the window, once the
// key itself is known that long. sequence fires when the steps match in order
// within the window.
type Correlation struct {
	Type      string        `yaml:"type,enum=count|distinct|sum|absence|first_seen|sequence"`
	Key       []source.Text `yaml:"key"`
	Field     source.Text   `yaml:"field"`
	Window    source.Text   `yaml:"window"`
	Threshold source.Text   `yaml:"threshold"` // a whole number, or session_spend from the run's configuration
	Steps     []source.Text `yaml:"steps"`

	window    time.Duration
	threshold int64
	fromSpend bool
}

// Exception is an accepted case: it needs an owner, a reason and an end.
type Exception struct {
	Owner     string      `yaml:"owner,required"`
	Reason    string      `yaml:"reason,required"`
	Expires   source.Date `yaml:"expires,required" advice:"an exception without an end is a hole"`
	Condition source.Text `yaml:"condition,required"`

	prog *condition.Program[subject]
}

// RuleSeverity is the severity of the rule's findings.
func (r *Rule) RuleSeverity() rules.Severity { return r.severity }

// Uses lists the words the condition reads, sorted.
func (r *Rule) Uses() []string { return r.prog.Uses() }

// Explain tells what the condition makes of one event, word by word.
func (r *Rule) Explain(ev *event.Event, cfg Config) (condition.Tri, []condition.TraceLine) {
	cfg = folded(cfg)
	s := subject{ev, &cfg}
	return r.prog.Eval(&s), r.prog.Trace(&s)
}

// Load reads every .yaml file of fsys, in name order. The error, if any, is a
// source.Problems with every mistake of every file.
func Load(fsys fs.FS) ([]*Rule, error) {
	var out []*Rule
	var ps source.Problems
	seen := map[string]source.Pos{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".yaml") {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		rs, err := Parse(name, data)
		if more, ok := source.AsProblems(err); ok {
			ps = append(ps, more...)
		} else if err != nil {
			return err
		}
		for _, r := range rs {
			if first, dup := seen[r.ID.Value]; dup {
				ps.Add(r.ID.At, "give each rule an id of its own", "rule %q stands here again (first at %s)", r.ID.Value, first)
			}
			seen[r.ID.Value] = r.ID.At
		}
		out = append(out, rs...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rule files: %w", err)
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// Parse reads one rule file: a mapping with the key rules. With an error it
// still returns the rules it could name, so that repeats are found as well.
func Parse(name string, data []byte) ([]*Rule, error) {
	f, err := source.Parse(name, data)
	if err != nil {
		return nil, err
	}
	var file struct {
		Rules []*Rule `yaml:"rules,required"`
	}
	var ps source.Problems
	if err := f.Decode(&file); err != nil {
		more, ok := source.AsProblems(err)
		if !ok {
			return nil, err
		}
		ps = more
	}
	for _, r := range file.Rules {
		if r != nil {
			r.compile(&ps)
		}
	}
	file.Rules = slices.DeleteFunc(file.Rules, func(r *Rule) bool { return r == nil || r.ID.Value == "" })
	return file.Rules, f.Explain(ps).Err()
}

func compileText(t source.Text, ps *source.Problems) *condition.Program[subject] {
	if t.At.IsZero() {
		return nil // missing: reported as missing by the decoder, if required
	}
	p, errs := vocabulary.Compile(t)
	*ps = append(*ps, errs...)
	return p
}

// near is the advice for a misspelt name.
func near(s string, all []string) string {
	if g := source.Nearest(s, all); g != "" {
		return fmt.Sprintf("did you mean %q?", g)
	}
	return "one of " + strings.Join(all, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (r *Rule) compile(ps *source.Problems) {
	if r.ID.Value == "" && !r.ID.At.IsZero() {
		ps.Add(r.ID.At, "give the rule a short name", "the id is empty")
	}
	r.severity, _ = rules.ParseSeverity(r.Severity) // the decoder reported a bad one
	r.any = slices.Contains(r.Products, "any")
	if r.Topic.Value != "" && !slices.Contains(Topics(), r.Topic.Value) {
		ps.Add(r.Topic.At, near(r.Topic.Value, Topics()), "unknown topic %q", r.Topic.Value)
	}
	for _, k := range r.Kinds {
		kind := event.KindOf(k.Value)
		if kind == event.Other {
			var names []string
			for _, n := range event.Kinds() {
				names = append(names, n.String())
			}
			ps.Add(k.At, near(k.Value, names), "unknown event name %q", k.Value)
		}
		r.kinds = append(r.kinds, kind)
	}
	for _, n := range r.Needs.Fields {
		if known[n.Value] == nil {
			ps.Add(n.At, near(n.Value, sortedKeys(known)), "unknown name %q", n.Value)
		}
		r.reasons = append(r.reasons, n.Value)
	}
	r.prog = compileText(r.Condition, ps)
	if r.prog != nil {
		for _, u := range r.prog.Uses() {
			if !slices.Contains(r.reasons, u) {
				r.reasons = append(r.reasons, u)
			}
		}
	}
	for i := range r.Exceptions {
		r.Exceptions[i].prog = compileText(r.Exceptions[i].Condition, ps)
	}
	r.compileCorrelation(ps)
}

// duration reads 10m, 24h or 7d.
func duration(t source.Text, ps *source.Problems) time.Duration {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(t.Value, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 1000)) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(t.Value)
	}
	if err != nil || d <= 0 || d > 366*24*time.Hour {
		ps.Add(t.At, "write 10m, 24h or 7d; at most 366d", "%q is not a duration", t.Value)
		return time.Hour
	}
	return d
}

func (r *Rule) compileCorrelation(ps *source.Problems) {
	c := &r.Correlation
	r.suppress = time.Hour
	for _, k := range c.Key {
		if texts[k.Value] == nil {
			ps.Add(k.At, near(k.Value, sortedKeys(texts)), "%q is not a text that events can be joined by", k.Value)
		}
	}
	if c.Type != "" {
		if c.Window.Value == "" {
			ps.Add(r.At, "add window: 10m", "correlation.window is missing")
		} else {
			c.window = duration(c.Window, ps)
			r.suppress = c.window
		}
	} else if c.Window.Value != "" || c.Threshold.Value != "" || c.Field.Value != "" {
		ps.Add(r.At, "add type: count", "correlation has no type")
	}
	if r.Suppress.Value != "" {
		r.suppress = duration(r.Suppress, ps)
		if r.suppress < c.window {
			ps.Add(r.Suppress.At, "one incident would raise several alerts", "suppress is shorter than the window")
		}
	}
	c.threshold = 1
	switch {
	case c.Threshold.Value == "session_spend":
		c.fromSpend = true
	case c.Threshold.Value != "":
		n, err := strconv.ParseInt(strings.ReplaceAll(c.Threshold.Value, "_", ""), 10, 64)
		if err != nil || n < 1 {
			ps.Add(c.Threshold.At, "write a whole number of 1 or more, or session_spend", "%q is not a threshold", c.Threshold.Value)
		}
		c.threshold = n
	case c.Type == "count" || c.Type == "distinct" || c.Type == "sum":
		ps.Add(r.At, "add threshold: 3", "correlation.threshold is missing")
	}
	fields := texts
	switch c.Type {
	case "sum":
		if numbers[c.Field.Value] == nil {
			ps.Add(c.Field.At, near(c.Field.Value, sortedKeys(numbers)), "%q is not a number that can be summed", c.Field.Value)
		}
	case "distinct", "first_seen":
		if fields[c.Field.Value] == nil {
			ps.Add(c.Field.At, near(c.Field.Value, sortedKeys(fields)), "%q is not a text to compare", c.Field.Value)
		}
	case "sequence":
		if len(c.Steps) < 2 {
			ps.Add(r.At, "list the conditions in order", "a sequence needs at least two steps")
		}
		for _, s := range c.Steps {
			r.steps = append(r.steps, compileText(s, ps))
		}
	}
	if c.Type != "sequence" && len(c.Steps) > 0 {
		ps.Add(c.Steps[0].At, "add type: sequence", "steps belong to a sequence")
	}
}
