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
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
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
	// Basis says where the rule's numbers come from: a publication, a calendar, or
	// nobody but its author.
	Basis string `yaml:"basis"`
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
	blames   []func(*subject) bool         // beside reasons: whether the word is known
	steps    []*condition.Program[subject] // each as often as it must match
	lead     int                           // how often the first step must match
	gate     *condition.Program[subject]   // sequence: a step holds; nil where the condition names all that steps ask
	reasons  []string                      // variables to blame for "not evaluable", most telling first
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
// key with at least threshold matches falls silent for the window; with baseline
// the threshold is a number of days with a match in that time before the silence.
//
// first_seen fires when field takes a value the key has not had for the window,
// once the key itself is known for the warmup (default: the window). With within
// it fires at threshold such values inside that time.
//
// rate compares a key with its own past. The value of a window is the number of
// matches, the sum of a number field or the number of different values of a text
// field. It fires when the sliding window's value is at least threshold and more
// than factor times the mean of the windows of the baseline before it. Only
// windows with a match count towards the mean, so that weekends do not lower it,
// and five of them are needed.
//
// sequence fires when the steps match in order within the window; counts says
// how many matches each step needs.
type Correlation struct {
	Type      string        `yaml:"type,enum=count|distinct|sum|absence|first_seen|sequence|rate"`
	Key       []source.Text `yaml:"key"`
	Field     source.Text   `yaml:"field"`
	Window    source.Text   `yaml:"window"`
	Threshold source.Text   `yaml:"threshold"` // a whole number, or session_spend from the run's configuration
	Steps     []source.Text `yaml:"steps"`
	Counts    []int         `yaml:"counts"`
	Warmup    source.Text   `yaml:"warmup"`
	Within    source.Text   `yaml:"within"`
	Baseline  source.Text   `yaml:"baseline"`
	Factor    source.Text   `yaml:"factor"` // e.g. 3 or 2.5; at most three decimals

	window, warmup, within, baseline time.Duration

	threshold int64
	factor    int64 // thousandths
	fromSpend bool
}

// Limits on what one rule may ask of the engine.
const (
	MaxSteps     = 8   // of a sequence
	MaxStepCount = 100 // matches of one step
	MaxBaseline  = 400 // windows of a baseline
	minActive    = 5   // windows with a match before a baseline says anything
)

// Exception is an accepted case: it needs an owner, a reason and an end.
type Exception struct {
	Owner     string      `yaml:"owner,required"`
	Reason    string      `yaml:"reason,required"`
	Expires   source.Date `yaml:"expires,required" advice:"an exception without an end is a hole"`
	Condition source.Text `yaml:"condition,required"`

	prog *condition.Program[subject]
}

// Uses lists the words the condition reads, sorted.
func (r *Rule) Uses() []string { return r.prog.Uses() }

// Listens reports whether an engine would show the event to the rule at all.
func (r *Rule) Listens(ev *event.Event) bool {
	return (ev.Product == event.Cowork || r.any) && (len(r.kinds) == 0 || slices.Contains(r.kinds, ev.Kind))
}

// KeyOf names the values that join the event with others, in the order of the
// rule's key; ok is false when one of them is not known.
func (r *Rule) KeyOf(ev *event.Event) (pairs [][2]string, ok bool) {
	s := subject{ev: ev, cfg: &Config{}}
	ok = true
	for _, k := range r.Correlation.Key {
		v, known := texts[k.Value](&s)
		if !known {
			v, ok = "unknown", false
		}
		pairs = append(pairs, [2]string{k.Value, v})
	}
	return pairs, ok
}

// personal reports that everything joined under one key is one member's.
func (r *Rule) personal() bool {
	return slices.ContainsFunc(r.Correlation.Key, func(k source.Text) bool {
		return k.Value == "member" || k.Value == "session" || k.Value == "prompt_id" || k.Value == "device"
	})
}

// Describe is the correlation in words; "" for none.
func (r *Rule) Describe() string {
	c := &r.Correlation
	var keys []string
	for _, k := range c.Key {
		keys = append(keys, k.Value)
	}
	per := ""
	if len(keys) > 0 {
		per = " for each " + strings.Join(keys, " and ")
	}
	threshold := c.Threshold.Value
	switch c.Type {
	case "count":
		return fmt.Sprintf("%s or more matches within %s%s", threshold, short(c.window), per)
	case "distinct":
		return fmt.Sprintf("%s or more different values of %s within %s%s", threshold, c.Field, short(c.window), per)
	case "sum":
		return fmt.Sprintf("a sum of %s above %s within %s%s", c.Field, threshold, short(c.window), per)
	case "absence":
		if c.baseline > 0 {
			return fmt.Sprintf("no match for %s after matches on at least %d days of the %s before%s", short(c.window), c.threshold, short(c.baseline), per)
		}
		return fmt.Sprintf("no match for %s after at least %d%s", short(c.window), c.threshold, per)
	case "first_seen":
		if c.within > 0 {
			return fmt.Sprintf("%s or more values of %s within %s that were not seen in the %s before%s, once known for %s", threshold, c.Field, short(c.within), short(c.window), per, short(c.warmup))
		}
		return fmt.Sprintf("a value of %s not seen in the %s before%s, once known for %s", c.Field, short(c.window), per, short(c.warmup))
	case "rate":
		what := "matches"
		if c.Field.Value != "" {
			what = c.Field.Value
		}
		return fmt.Sprintf("%s within %s of at least %s and more than %s times the own mean of the %s before%s", what, short(c.window), threshold, c.Factor, short(c.baseline), per)
	case "sequence":
		return fmt.Sprintf("%d steps in order within %s%s", len(c.Steps), short(c.window), per)
	}
	return ""
}

// Explain tells what the condition makes of one event, word by word.
func (r *Rule) Explain(ev *event.Event, cfg Config) (condition.Tri, []condition.TraceLine) {
	cfg = folded(cfg)
	s := subject{ev: ev, cfg: &cfg}
	return r.prog.Eval(&s), r.prog.Trace(&s)
}

// contentWords are words that nothing fills unless the content is captured.
var contentWords = map[string]string{
	"prompt": "userPrompts", "response": "assistantResponses",
	"path": "toolDetails", "folder": "toolDetails", "command": "toolDetails", "tool_input": "toolDetails", "outside_scope": "toolDetails", "host": "toolDetails", "record": "toolDetails",
	"recipients": "toolDetails", "outside_recipient": "toolDetails",
}

// Unstated are categories of content that the rule reads and does not say it
// needs. What it states goes into exports and tells a measurement where it is blind.
func (r *Rule) Unstated() (categories []string) {
	progs := append([]*condition.Program[subject]{r.prog}, r.steps...)
	for _, p := range progs {
		for _, u := range p.Uses() {
			if c := contentWords[u]; c != "" && !slices.Contains(r.Needs.Categories, c) && !slices.Contains(categories, c) {
				categories = append(categories, c)
			}
		}
	}
	return categories
}

// StepsHold tells what each step of a sequence makes of one event, in order; nil
// for other rules.
func (r *Rule) StepsHold(ev *event.Event, cfg Config) []condition.Tri {
	cfg = folded(cfg)
	s := subject{ev: ev, cfg: &cfg}
	var out []condition.Tri
	at := 0
	for i := range r.Correlation.Steps {
		out = append(out, r.steps[at].Eval(&s))
		if at++; i < len(r.Correlation.Counts) {
			at += r.Correlation.Counts[i] - 1
		}
	}
	return out
}

// Load reads every .yaml file of fsys, in name order. The error, if any, is a
// source.Problems with every mistake of every file.
func Load(fsys fs.FS) ([]*Rule, error) {
	files, err := read(fsys, "")
	if err != nil {
		return nil, err
	}
	return parseAll(files)
}

// LoadPath reads a rule file, or every .yaml file of a folder and those below it.
// Positions name files as the path does.
func LoadPath(path string) ([]*Rule, error) {
	files, err := readPath(path)
	if err != nil {
		return nil, err
	}
	return parseAll(files)
}

type ruleFile struct {
	name string
	data []byte
}

func readPath(path string) ([]ruleFile, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		files, err := read(os.DirFS(path), strings.TrimSuffix(filepath.ToSlash(path), "/")+"/")
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("%s: no .yaml file in this folder", path)
		}
		return files, err
	}
	if st.Size() > source.MaxBytes {
		return nil, fmt.Errorf("%s: %d bytes; at most %d are read", path, st.Size(), source.MaxBytes)
	}
	data, err := os.ReadFile(path)
	return []ruleFile{{path, data}}, err
}

func read(fsys fs.FS, prefix string) ([]ruleFile, error) {
	var files []ruleFile
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".yaml") {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		files = append(files, ruleFile{prefix + name, data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rule files: %w", err)
	}
	return files, nil
}

// Text is the rule as its file has it, as a rule file of its own. Path is what it
// was loaded from, "" for the shipped packs.
func Text(r *Rule, path string) (string, error) {
	files, err := read(Packs(), "")
	if path != "" {
		files, err = readPath(path)
	}
	if err != nil {
		return "", err
	}
	for _, f := range files {
		lines := strings.Split(string(f.data), "\n")
		if f.name != r.At.File || r.At.Line < 1 || r.At.Line > len(lines) {
			continue
		}
		indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
		lines = lines[r.At.Line-1:]
		end := 1
		for end < len(lines) && (strings.TrimSpace(lines[end]) == "" || indent(lines[end]) > indent(lines[0])) {
			end++
		}
		return "rules:\n" + strings.TrimRight(strings.Join(lines[:end], "\n"), "\n ") + "\n", nil
	}
	return "", fmt.Errorf("rule %s is not found in its file", r.ID)
}

func parseAll(files []ruleFile) ([]*Rule, error) {
	var out []*Rule
	var ps source.Problems
	seen := map[string]source.Pos{}
	for _, f := range files {
		rs, err := Parse(f.name, f.data)
		if more, ok := source.AsProblems(err); ok {
			ps = append(ps, more...)
		} else if err != nil {
			return nil, err
		}
		for _, r := range rs {
			if first, dup := seen[r.ID.Value]; dup {
				ps.Add(r.ID.At, "give each rule an id of its own", "rule %q stands here again (first at %s)", r.ID.Value, first)
			}
			seen[r.ID.Value] = r.ID.At
		}
		out = append(out, rs...)
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// Digest is a SHA-256 over the rule files of fsys, in hex: which pack was
// measured. The order is that of the names; a changed byte changes it.
func Digest(fsys fs.FS) (string, error) {
	files, err := read(fsys, "")
	return digest(files), err
}

// DigestPath is Digest for what LoadPath reads. Where the files lie does not
// matter, only their names inside the folder and their bytes.
func DigestPath(path string) (string, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return Digest(os.DirFS(path))
	}
	files, err := readPath(path)
	for i := range files {
		files[i].name = filepath.Base(files[i].name)
	}
	return digest(files), err
}

func digest(files []ruleFile) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %s %d\n", len(f.name), f.name, len(f.data))
		h.Write(f.data)
	}
	return hex.EncodeToString(h.Sum(nil))
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

// compileGate lets a sequence see that it is blind: where steps ask for words that
// the condition does not, an event for which no step holds and one is unknown is
// not evaluable.
func (r *Rule) compileGate() {
	var steps []string
	more := false
	for _, s := range r.Correlation.Steps {
		p := compileText(s, &source.Problems{}) // mistakes are reported with the correlation
		if p == nil || r.prog == nil {
			return
		}
		steps = append(steps, "("+s.Value+")")
		for _, u := range p.Uses() {
			if f := known[u]; f != nil && !slices.Contains(r.prog.Uses(), u) && !strings.HasPrefix(u, "has_") && u != "kind" {
				more = true
				if !slices.Contains(r.reasons, u) {
					r.reasons, r.blames = append(r.reasons, u), append(r.blames, f)
				}
			}
		}
	}
	if more {
		r.gate = compileText(source.Text{Value: strings.Join(steps, " or "), At: r.At}, &source.Problems{})
	}
}

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
	for i := range r.Tests {
		for k, ev := range r.Tests[i].Events {
			var names []string
			for _, n := range event.Kinds() {
				names = append(names, n.String())
			}
			if g := source.Nearest(ev.Kind, names); event.KindOf(ev.Kind) == event.Other && g != "" {
				ps.Add(r.Tests[i].At, fmt.Sprintf("did you mean %q?", g), "event %d of the test has the unknown name %q", k+1, ev.Kind)
			}
		}
	}
	r.prog = compileText(r.Condition, ps)
	if r.prog != nil {
		for _, u := range r.prog.Uses() {
			if !slices.Contains(r.reasons, u) {
				r.reasons = append(r.reasons, u)
			}
		}
	}
	for _, n := range r.reasons {
		if f := known[n]; f != nil {
			r.blames = append(r.blames, f)
		} else { // reported above
			r.blames = append(r.blames, func(*subject) bool { return true })
		}
	}
	r.compileGate()
	for i := range r.Exceptions {
		if x := r.Exceptions[i].Expires; x.Given() && x.Time.Year() >= 2200 {
			ps.Add(x.At, "write a day within your own term", "an exception that ends on %s does not end", x)
		}
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
	switch c.Type {
	case "count", "distinct", "sum", "sequence", "first_seen":
		// A window without a key adds up strangers. Silence and shares of the
		// whole organisation say so with the key organisation.
		if len(c.Key) == 0 {
			ps.Add(r.At, "add key: [session], [member] or, for everybody together, [organisation]", "a window needs a key")
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
	least := c.window
	if c.Type == "first_seen" { // its window is memory, not the span of an incident
		least, r.suppress = 0, time.Hour
		if c.Within.Value != "" {
			least = duration(c.Within, ps)
			r.suppress = least
		}
	}
	if r.Suppress.Value != "" {
		r.suppress = duration(r.Suppress, ps)
		if r.suppress < least {
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
	r.compileMore(ps)
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
		if len(c.Steps) > MaxSteps {
			ps.Add(c.Steps[0].At, "split the rule", "a sequence of %d steps; at most %d are followed", len(c.Steps), MaxSteps)
		}
		for i, s := range c.Steps {
			n := 1
			if i < len(c.Counts) {
				n = c.Counts[i]
			}
			p := compileText(s, ps)
			for range min(max(n, 1), MaxStepCount) {
				r.steps = append(r.steps, p)
			}
			if i == 0 {
				r.lead = len(r.steps)
			}
		}
	}
	if c.Type != "sequence" && len(c.Steps) > 0 {
		ps.Add(c.Steps[0].At, "add type: sequence", "steps belong to a sequence")
	}
}

// compileMore checks what belongs to one type of correlation only.
func (r *Rule) compileMore(ps *source.Problems) {
	c := &r.Correlation
	only := func(t source.Text, name, typ string) bool {
		if t.Value != "" && c.Type != typ {
			ps.Add(t.At, "remove it, or write type: "+typ, "%s belongs to the type %s", name, typ)
		}
		return t.Value != "" && c.Type == typ
	}
	c.warmup = c.window
	if only(c.Warmup, "warmup", "first_seen") {
		c.warmup = duration(c.Warmup, ps)
	}
	if only(c.Within, "within", "first_seen") {
		c.within = duration(c.Within, ps)
	}
	if len(c.Counts) > 0 && (c.Type != "sequence" || len(c.Counts) != len(c.Steps)) {
		ps.Add(r.At, "one number for each step", "correlation.counts has %d numbers for %d steps", len(c.Counts), len(c.Steps))
	}
	for _, n := range c.Counts {
		if n < 1 || n > MaxStepCount {
			ps.Add(r.At, fmt.Sprintf("write 1 to %d", MaxStepCount), "correlation.counts holds %d", n)
		}
	}
	if c.Type == "first_seen" && c.Within.Value == "" && c.Threshold.Value != "" {
		ps.Add(c.Threshold.At, "add within: 24h", "a threshold of first_seen needs the time in which it is reached")
	}
	if c.Type == "absence" && c.Baseline.Value != "" {
		if c.baseline = duration(c.Baseline, ps); c.baseline < 2*24*time.Hour {
			ps.Add(c.Baseline.At, "write 14d", "a baseline of %s is too short to tell a rhythm", short(c.baseline))
		}
		return
	}
	base, fac := only(c.Baseline, "baseline", "rate"), only(c.Factor, "factor", "rate")
	if c.Type != "rate" {
		return
	}
	if len(c.Key) == 0 {
		ps.Add(r.At, "add key: [member]", "a rate needs a key: whose past is it compared with?")
	}
	if !base {
		ps.Add(r.At, "add baseline: 14d", "correlation.baseline is missing")
	} else if c.baseline = duration(c.Baseline, ps); c.window > 0 && (c.baseline < minActive*c.window || c.baseline > MaxBaseline*c.window) {
		ps.Add(c.Baseline.At, fmt.Sprintf("between %d and %d windows", minActive, MaxBaseline), "a baseline of %s does not suit a window of %s", short(c.baseline), short(c.window))
	}
	if !fac {
		ps.Add(r.At, "add factor: 3", "correlation.factor is missing")
	} else if f, err := strconv.ParseFloat(c.Factor.Value, 64); err != nil || f < 1 || f > 1000 {
		ps.Add(c.Factor.At, "write a number from 1 to 1000, e.g. 2.5", "%q is not a factor", c.Factor.Value)
	} else {
		c.factor = int64(f*1000 + 0.5)
	}
	if c.Threshold.Value == "" {
		ps.Add(r.At, "add threshold: 20, so that a rare user's second event is no surge", "correlation.threshold is missing")
	}
	if f := c.Field.Value; f != "" && texts[f] == nil && numbers[f] == nil {
		ps.Add(c.Field.At, near(f, append(sortedKeys(texts), sortedKeys(numbers)...)), "%q is neither a text nor a number", f)
	}
}
