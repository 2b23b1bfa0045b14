// Package export translates alert rules for other systems, from the parsed
// condition and never by pasting text into a query.
//
// A translation is exact, approximate with the ways it differs, or refused with
// the place in the rule. What is not exact is written only when asked for, and
// says so in its own header. Every backend also gets the companion rule that
// tells when the content the other rules need is missing: without it, silence
// would look like peace.
package export

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/alert"
)

// Level is how faithful a translation is. The zero value is Refused.
type Level uint8

const (
	Refused Level = iota
	Approximate
	Exact
)

func (l Level) String() string { return [...]string{"refused", "approximate", "exact"}[l] }

// Fidelity is one rule on one backend.
type Fidelity struct {
	Rule    string   `json:"rule"`
	Backend string   `json:"backend"`
	Level   Level    `json:"-"`
	Word    string   `json:"fidelity"`
	Why     []string `json:"why,omitempty"`
	File    string   `json:"file,omitempty"` // "" when it was not written
}

func (f Fidelity) String() string {
	s := fmt.Sprintf("%-12s %-32s %s", f.Backend, f.Rule, f.Level)
	if len(f.Why) > 0 {
		s += ": " + strings.Join(f.Why, "; ")
	}
	return s
}

// Artefact is one file of an export.
type Artefact struct {
	Name string
	Data []byte
}

// Options of an export. Config is what the organisation declares; lists are
// written into the queries.
type Options struct {
	Config      alert.Config
	Approximate bool // write what is not exact as well
}

// Backends in the order in which they were built. What can be executed is
// executed in the project's own checks: ClickHouse on the engine, Sigma on an
// evaluator of its specification. The others say in each file that they were not.
func Backends() []string {
	return []string{"sigma", "clickhouse", "loki", "datadog", "splunk", "elastic", "honeycomb", "cribl"}
}

// translated is a rule on its way to a backend.
type translated struct {
	rule     *alert.Rule
	opts     *Options
	when     *pred
	steps    []*pred
	counts   []int
	fields   []string
	why      []string // how it differs
	refused  []string
	declared []string
}

func (t *translated) rough(format string, args ...any) { add(&t.why, fmt.Sprintf(format, args...)) }
func (t *translated) refuse(format string, args ...any) {
	add(&t.refused, fmt.Sprintf(format, args...))
}

// backend writes one rule; it may refuse or note differences on the way.
type backend interface {
	rule(t *translated) (ext string, body string)
	notes() string
}

var backends = map[string]backend{
	"sigma": sigma{}, "clickhouse": clickhouse{}, "loki": loki{}, "datadog": datadog{},
	"splunk": splunk{}, "elastic": elastic{}, "honeycomb": honeycomb{}, "cribl": cribl{},
}

// companion is the rule that tells when the others are blind. It goes with every
// export.
const companion = `rules:
  - id: sandtable-detector-blind
    title: Content that the exported rules need is missing from the stream
    severity: medium
    status: stable
    topic: blind
    owner: security operations
    catches: Silence of the other rules that is blindness and not peace.
    description: >-
      Ten results of built-in tools without their arguments in an hour of one session. Capture settings decide whether
      prompts and arguments are sent at all.
    kinds: [tool_result]
    condition: tool_name in ["Read", "Write", "Edit", "Glob", "Grep", "Bash"] and not has_input
    correlation: {type: count, key: [session], window: 1h, threshold: 10}
    suppress: 24h
    runbook: Check the content setting on the device and note from when to when the other rules were blind.
`

// Rules translates rules for one backend. The artefacts hold what may be written
// under the options, notes on field names, and the fidelity list.
func Rules(rs []*alert.Rule, to string, o Options) ([]Artefact, []Fidelity, error) {
	be := backends[to]
	if be == nil {
		return nil, nil, fmt.Errorf("%q is not a backend (%s)", to, strings.Join(Backends(), ", "))
	}
	blind, err := alert.Parse("companion.yaml", []byte(companion))
	if err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(rs, func(r *alert.Rule) bool { return r.ID.Value == blind[0].ID.Value }) {
		rs = append(slices.Clone(rs), blind...)
	}
	var files []Artefact
	var list []Fidelity
	for _, r := range rs {
		t := prepare(r, &o)
		ext, body := "", ""
		if len(t.refused) == 0 {
			ext, body = be.rule(t)
		}
		f := Fidelity{Rule: r.ID.Value, Backend: to, Level: Exact, Why: t.why}
		switch {
		case len(t.refused) > 0:
			f.Level, f.Why = Refused, t.refused
		case len(t.why) > 0:
			f.Level = Approximate
		}
		f.Word = f.Level.String()
		if f.Level == Exact || f.Level == Approximate && o.Approximate {
			f.File = r.ID.Value + ext
			files = append(files, Artefact{f.File, []byte(body)})
		}
		list = append(list, f)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Fidelity of %d rules on %s. Exact: the same alerts on the same stream. Approximate: how it differs. Refused: why.\n\n", len(list), to)
	for _, f := range list {
		fmt.Fprintln(&b, f)
	}
	files = append(files, Artefact{"FIDELITY.txt", []byte(b.String())}, Artefact{"NOTES.txt", []byte(be.notes())})
	return files, list, nil
}

func prepare(r *alert.Rule, o *Options) *translated {
	t := &translated{rule: r, opts: o}
	b := &builder{cfg: o.Config, words: alert.NamedWords()}
	t.when = b.is(r.Tree(), true)
	if len(r.Kinds) > 0 {
		var names []string
		for _, k := range r.Kinds {
			names = append(names, k.Value)
		}
		t.when = and(b.pick("event_name", true, false, names...), t.when)
	}
	for i, x := range r.ExceptionTrees() {
		t.when = and(t.when, negate(b.is(x, true)))
		t.rough("the exception until %s is written in without its end: export again then", r.Exceptions[i].Expires)
	}
	trees, counts := r.StepTrees()
	for _, s := range trees {
		t.steps = append(t.steps, b.is(s, true))
	}
	t.counts = counts
	for _, k := range r.Correlation.Key {
		f := fieldOf(k.Value)
		t.when = and(t.when, b.known(f))
	}
	if f := r.Correlation.Field.Value; f != "" {
		t.when = and(t.when, b.known(fieldOf(f)))
	}
	for _, x := range b.refused {
		t.refuse("%s: %s", x.at, x.why)
	}
	if t.when.op == "false" && len(b.refused) == 0 {
		if len(b.missing) == 0 {
			t.refuse("%s: with what is declared it can never fire", r.At)
		} else {
			t.refuse("it can never fire: declare %s (--declared FILE)", strings.Join(b.missing, ", "))
		}
	}
	for _, why := range b.rough {
		t.rough("%s", why)
	}
	t.fields, t.declared = b.fields, b.declared
	return t
}

const unproved = "not executed: written from documentation and checked for form at most; try it on a copy first"

// header is what every file says about itself, each line behind a mark; the last
// says what was executed.
func (t *translated) header(mark, executed string) string {
	var b strings.Builder
	r := t.rule
	line := func(format string, args ...any) {
		for l := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
			fmt.Fprintln(&b, strings.TrimSpace(mark+" "+strings.TrimSpace(l)))
		}
	}
	line("%s: %s", r.ID, r.Title)
	line("severity %s, status %s, owner %s; translated by sandtable, words revision %d", r.Severity, r.Status, r.Owner, alert.EnvVersion)
	if d := r.Describe(); d != "" {
		line("fires on: %s", d)
	}
	if len(t.why) == 0 {
		line("fidelity: exact")
	} else {
		line("fidelity: approximate: %s", strings.Join(t.why, "; "))
	}
	if len(r.Needs.Categories) > 0 {
		line("blind without content: %s. Run sandtable-detector-blind beside it.", strings.Join(r.Needs.Categories, ", "))
	}
	if len(t.declared) > 0 {
		line("holds declared data (%s) as of the export: export again when it changes", strings.Join(t.declared, ", "))
	}
	line("%s", executed)
	return b.String()
}

// seconds is a duration in whole seconds.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// span is a duration as query languages write it: 10m, 24h, 7d.
func span(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", seconds(d))
}

// slug makes a name that every system takes.
func slug(id string) string { return strings.ReplaceAll(id, "-", "_") }

// wire is the attribute of the log record behind a canonical field; "" for fields
// that are worked out.
var wire = map[string]string{
	"event_name": "event.name", "session": "session.id", "prompt_id": "prompt.id", "organisation": "organization.id", "device": "user.id",
	"tool_name": "tool_name", "decision": "decision", "source": "source", "server_scope": "mcp_server_scope", "tool_source": "tool_source",
	"prompt": "prompt", "response": "response", "model": "model", "surface": "cowork.surface", "plugin": "plugin.name", "plugin_hash": "plugin_id_hash",
	"marketplace": "marketplace.name", "from_mode": "from_mode", "to_mode": "to_mode", "connection": "status", "error": "error", "error_type": "error_type",
	"query_source": "query_source", "speed": "speed", "success": "success", "tool_input": "tool_input", "skill": "skill.name",
	"prompt_length": "prompt_length", "duration_ms": "duration_ms", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
	"cache_read": "cache_read_tokens", "cache_write": "cache_creation_tokens", "input_size": "tool_input_size_bytes", "result_size": "tool_result_size_bytes", "status": "status_code",
}
