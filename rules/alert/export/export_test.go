package export

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var declared = alert.Config{
	Allowlist: []string{"zoom", "Jira"}, ReadOnly: []string{"ledger"}, Plugins: []string{"claims-kit", "ab12"}, Content: []string{"userPrompts", "toolDetails"},
	Leavers: map[string]time.Time{"m1": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}, Workloads: map[string][]string{"m1": {"phi"}}, Forbidden: map[string][]string{"m2": {"browser"}},
	DesktopFloor: "1.15962", RemoteOff: true, Domains: []string{"Firm.example"},
}

func shipped(t *testing.T) []*alert.Rule {
	t.Helper()
	rs, err := alert.Load(alert.Packs())
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

var position = regexp.MustCompile(`[a-z]+\.yaml:\d+:\d+: |declare `)

// Every shipped rule on every backend: what is written has a form its reader can
// parse and says how faithful it is; what is refused says where and why.
func TestEveryRuleOnEveryBackend(t *testing.T) {
	rs := shipped(t)
	for _, to := range Backends() {
		files, list, err := Rules(rs, to, Options{Config: declared, Approximate: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != len(rs)+1 || list[len(rs)].Rule != "sandtable-detector-blind" || list[len(rs)].Level == Refused {
			t.Errorf("%s: %d entries, companion %+v", to, len(list), list[len(list)-1])
		}
		byName := map[string]string{}
		for _, f := range files {
			byName[f.Name] = string(f.Data)
		}
		for _, f := range list {
			switch {
			case f.Level == Refused && (f.File != "" || len(f.Why) == 0 || !position.MatchString(f.Why[0])):
				t.Errorf("%s: refused without its place: %s", to, f)
			case f.Level == Approximate && len(f.Why) == 0:
				t.Errorf("%s: approximate without a reason: %s", to, f)
			case f.Level == Refused:
				continue
			}
			text := byName[f.File]
			if !strings.Contains(text, "fidelity: "+f.Level.String()) {
				t.Errorf("%s: %s does not say %s:\n%s", to, f.File, f.Level, text)
			}
			if (to == "clickhouse" || to == "sigma") == strings.Contains(text, "not executed") {
				t.Errorf("%s: %s says the wrong thing about having been executed", to, f.File)
			}
			switch {
			case strings.HasSuffix(f.File, ".yml"), strings.HasSuffix(f.File, ".yaml"):
				dec := yaml.NewDecoder(strings.NewReader(text))
				for {
					var doc map[string]any
					if err := dec.Decode(&doc); err != nil {
						if err.Error() != "EOF" {
							t.Errorf("%s: %s: %v\n%s", to, f.File, err, text)
						}
						break
					}
				}
			case strings.HasSuffix(f.File, ".json"), strings.HasSuffix(f.File, ".ndjson"):
				var doc map[string]any
				if err := json.Unmarshal([]byte(text), &doc); err != nil {
					t.Errorf("%s: %s: %v", to, f.File, err)
				}
			}
		}
		if byName["NOTES.txt"] == "" || !strings.Contains(byName["FIDELITY.txt"], "sandtable-detector-blind") {
			t.Errorf("%s: notes or fidelity list are missing", to)
		}
		careful, list, err := Rules(rs, to, Options{Config: declared})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if f.Level == Approximate && f.File != "" || f.Level == Exact && f.File == "" {
				t.Errorf("%s: without being asked: %+v", to, f)
			}
		}
		if len(careful) >= len(files) && to != "cribl" && to != "clickhouse" && to != "sigma" {
			t.Errorf("%s: nothing was held back", to)
		}
	}
}

// What was not declared is refused with the word to declare.
func TestUndeclared(t *testing.T) {
	_, list, err := Rules(shipped(t), "clickhouse", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]string{"mcp-server-not-listed": "declare allowlist", "unapproved-plugin": "declare plugins", "read-only-connector-writes": "declare read_only", "active-after-leaving": "declare leavers", "desktop-below-floor": "declare desktop_floor", "cloud-session-while-off": "declare remote_off: true"} {
		i := slices.IndexFunc(list, func(f Fidelity) bool { return f.Rule == rule })
		if f := list[i]; f.Level != Refused || !strings.Contains(strings.Join(f.Why, " "), want) {
			t.Errorf("%s, want %q", f, want)
		}
	}
}

// Signs that mean anything in Sigma's values are taken literally, and what is
// absent is asked for where a target with null would be silent.
func TestSigmaValues(t *testing.T) {
	rs, err := alert.Parse("r.yaml", []byte(`rules:
  - {id: odd, title: t, severity: low, status: stable, topic: errors, owner: o, catches: c, runbook: b, kinds: [tool_result],
     condition: 'command contains "a*b?c\\d" or not ((tool_source in ["mcp"]) ?? false)', correlation: {key: [session]}, suppress: 1h}
`))
	if err != nil {
		t.Fatal(err)
	}
	files, _, err := Rules(rs, "sigma", Options{Approximate: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"tool_parameters.full_command|contains|cased": "a\\*b\\?c\\\\d"`, `{"tool_source|exists": false}`} {
		if !strings.Contains(string(files[0].Data), want) {
			t.Errorf("%s is missing in\n%s", want, files[0].Data)
		}
	}
}

// One rule as every backend gets it.
func TestGolden(t *testing.T) {
	rs := slices.DeleteFunc(shipped(t), func(r *alert.Rule) bool { return r.ID.Value != "repeated-rejections" })
	var b strings.Builder
	for _, to := range Backends() {
		files, _, err := Rules(rs, to, Options{Config: declared, Approximate: true})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "== %s %s\n%s", to, files[0].Name, files[0].Data)
	}
	const name = "testdata/repeated-rejections.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("the exports changed; run with -update and read the difference:\n%s", b.String())
	}
}

// field is what a table with empty texts for missing values would hold.
func field(e *event.Event, f string) string {
	num := func(has event.Field, n int64) string {
		if e.Has&has == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	switch f {
	case "event_name":
		return e.Name
	case "tool_name":
		return e.Tool
	case "decision":
		return e.Decision
	case "source":
		return e.Source
	case "member":
		return alert.MemberKey(e)
	case "session":
		return e.Session
	case "prompt":
		return e.PromptText
	case "command":
		return e.CommandLine
	case "mcp_server":
		return strings.ToLower(e.MCPServer)
	case "mcp_tool":
		return e.MCPTool
	case "tool_source":
		return e.ToolSource
	case "tool_input":
		return e.Input
	case "surface":
		return e.Surface
	case "server_scope":
		return e.ServerScope
	case "plugin":
		return e.Plugin
	case "plugin_hash":
		return e.PluginHash
	case "to_mode":
		return e.ToMode
	case "input_size":
		return num(event.FInputSize, e.InputSize)
	case "success":
		if e.Has&event.FSuccess == 0 {
			return ""
		}
		return strconv.FormatBool(e.Success)
	}
	panic(f)
}

func holds(e *event.Event, p *pred) bool {
	v := ""
	if p.field != "" {
		v = field(e, p.field)
	}
	fold := func(s string) string {
		if p.fold {
			return strings.ToLower(s)
		}
		return s
	}
	n, _ := strconv.ParseInt(v, 10, 64)
	in := slices.ContainsFunc(p.values, func(x string) bool { return fold(x) == fold(v) })
	switch p.op {
	case "true":
		return true
	case "false":
		return false
	case "and":
		return !slices.ContainsFunc(p.args, func(a *pred) bool { return !holds(e, a) })
	case "or":
		return slices.ContainsFunc(p.args, func(a *pred) bool { return holds(e, a) })
	case "known":
		return v != "" && v != event.Redacted
	case "unknown":
		return v == "" || v == event.Redacted
	case "in":
		return in
	case "notin":
		return !in
	case "eq":
		return n == p.number
	case "ne":
		return n != p.number
	case "lt":
		return n < p.number
	case "le":
		return n <= p.number
	case "gt":
		return n > p.number
	case "ge":
		return n >= p.number
	case "contains":
		return strings.Contains(fold(v), fold(p.values[0])) != p.not
	case "starts":
		return strings.HasPrefix(fold(v), fold(p.values[0])) != p.not
	case "ends":
		return strings.HasSuffix(fold(v), fold(p.values[0])) != p.not
	case "match":
		return regexp.MustCompile(p.values[0]).MatchString(v) != p.not
	case "outward", "inward": // as the query for ClickHouse says it
		w := alert.NamedWords()
		mail := regexp.MustCompile(w.MailAddress)
		stranger, named, readable := false, false, regexp.MustCompile(`\}[ \n\r\t]*$`).MatchString(v)
		for _, m := range regexp.MustCompile(w.RecipientArgument).FindAllStringSubmatch(v, -1) {
			if len(m[1]) >= event.InputCap || m[1] != `""` && m[1] != "[]" && !mail.MatchString(m[1]) {
				readable = false
			}
			for _, a := range mail.FindAllString(strings.ToLower(m[1]), -1) {
				named = true
				if !slices.ContainsFunc(p.values, func(d string) bool { return strings.HasSuffix(a, "@"+d) || strings.HasSuffix(a, "."+d) }) {
					stranger = true
				}
			}
		}
		if p.op == "outward" {
			return stranger != p.not
		}
		return (named && !stranger && readable) != p.not
	}
	panic(p.op)
}

// someInputs are arguments with recipients of every kind, with those of firm.example inside.
var someInputs = []string{"", `{"x":"y"}`, `{"to":"a@firm.example"}`, `{"to":"x@other.example","body":"b"}`, `{"to":"a@firm.example, x@other.example"}`, `{"to":["a@firm.example","b@eu.firm.example"]}`,
	`{"cc":"<nested>","to":"a@firm.example"}`, `{"cc":"<nested>","to":"x@other.example"}`, `{"to":"a@firm.example","body":"cut`, `{"email":"X@Other.example"}`, `{"to":"a@confirm.example"}`, `{"channel":"C1"}`,
	`{"to":"a@firm.example","body":"ask x@other.example"}`, `{"to":"A <a@firm.example>"}`, `{"to":["a@firm.example"],"cc":["x@other.example"]}`, `{"body":"x@other.example"}`}

func someEvent(r *rand.Rand) *event.Event {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	e := &event.Event{Product: event.Cowork, Name: pick("tool_result", "tool_decision", "user_prompt", "plugin_loaded", "permission_mode_changed"), Session: pick("s", ""), Account: pick("m1", "m2", "")}
	e.Kind = event.KindOf(e.Name)
	if e.Kind == event.ToolResult || e.Kind == event.ToolDecision {
		e.Tool = pick("Read", "Bash", "mcp_tool", "navigate", "WebFetch", "Edit", "Write", "Glob", "")
	}
	e.Decision, e.Source = pick("accept", "reject", ""), pick("config", "hook", "user_reject", "user_abort", "user_permanent", "")
	e.Surface, e.ServerScope, e.ToMode = pick("remote", "local", ""), pick("user", "claudeai", ""), pick("auto", "default", "")
	e.Plugin, e.PluginHash = pick("claims-kit", "third-party", "x", ""), pick("ab12", "ff", "")
	if p := pick("", event.Redacted, "hello", "MRN: 00482913"); p != "" {
		e.PromptText = p
		e.Has |= event.FPromptText
	}
	if r.IntN(2) == 0 {
		e.Success = r.IntN(2) == 0
		e.Has |= event.FSuccess
	}
	if r.IntN(2) == 0 {
		e.InputSize = r.Int64N(3) * 9000
		e.Has |= event.FInputSize
	}
	switch e.Tool {
	case "Bash":
		e.Parameters = pick("", `{"full_command":"curl -F a https://x.example"}`, `{"full_command":"ls"}`)
	case "mcp_tool":
		e.Parameters = pick("", `{"mcp_server_name":"Zoom","mcp_tool_name":"send_note"}`, `{"mcp_server_name":"ledger","mcp_tool_name":"update_row"}`, `{"mcp_server_name":"evil","mcp_tool_name":"run"}`, `{"mcp_server_name":"jira","mcp_tool_name":"get_issue"}`)
	}
	if e.Tool != "" {
		e.Input = pick("", `{"x":"y"}`, pick(someInputs...))
	}
	if e.Parameters != "" {
		e.Has |= event.FParameters
	}
	if e.Input != "" {
		e.Has |= event.FInput
	}
	e.Derive()
	return e
}

// The normal form that backends get means "the condition is true", for events
// with every mixture of missing fields: negation and absence are where
// translations go wrong.
func TestNormalFormAgainstTheEngine(t *testing.T) {
	for _, cond := range []string{
		`decision == "reject" and source in ["user_reject", "user_abort"]`,
		`not (decision == "reject" or source != "config")`,
		`is_mcp and not (mcp_server in allowlist)`,
		`not is_mcp or mcp_server in allowlist`,
		`is_mcp and not has(mcp_server) and server_scope in ["user", "project"]`,
		`kind != "tool_result" or (is_mcp and not success)`,
		`verb in ["read", "list"] or (sends and (tool_name == "Bash" or input_size >= 10000))`,
		`not sends and verb == "write"`, `not (verb in ["read"])`,
		`writes and approval == "automatic"`, `not (approval in ["manual", "automatic"])`,
		`sends and outside_recipient`, `is_mcp and not outside_recipient`, `sends and (outside_recipient ?? true)`, `not (sends and (outside_recipient ?? false))`,
		`marked_read_only and writes`, `not (marked_read_only or writes)`,
		`not plugin_approved`, `plugin_approved`, `browser and forbidden("browser")`, `not (browser and forbidden("browser"))`,
		`surface == "remote" and remote_off`, `not has_identity`, `to_mode in ["auto"]`,
		`(classifier(prompt, "phi") and not (workload("phi") ?? false)) or (success ?? false)`,
		`not (success ?? true)`, `success ? has_input : has_prompt`, `input_size > 100 and not (input_size > 9000)`,
		`not (command contains "curl") or mcp_tool startsWith "send"`, `not (tool_name matches "^mcp")`,
		`(kind == "tool_result" and not has_input and expects("toolDetails")) or (kind == "user_prompt" and not has_prompt and expects("userPrompts"))`,
	} {
		rs, err := alert.Load(fstest.MapFS{"r.yaml": {Data: []byte("rules:\n  - {id: r, title: t, severity: low, status: stable, topic: scope, owner: o, catches: c, runbook: b, condition: '" + cond + "'}\n")}})
		if err != nil {
			t.Fatal(err)
		}
		b := &builder{cfg: declared, words: alert.NamedWords()}
		p := b.is(rs[0].Tree(), true)
		if len(b.refused) > 0 {
			t.Errorf("%s: %v", cond, b.refused)
			continue
		}
		r := rand.New(rand.NewPCG(1, 2))
		var seen [3]int
		for range 4000 {
			e := someEvent(r)
			want, lines := rs[0].Explain(e, declared)
			seen[want]++
			if got := holds(e, p); got != (want == condition.True) {
				t.Errorf("%s\non %+v\nthe engine says %s, the normal form %v\n%v", cond, *e, want, got, lines)
				break
			}
		}
		if seen[condition.True] == 0 || seen[condition.True] == 4000 {
			t.Errorf("%s: %v: the events show nothing about it", cond, seen)
		}
	}
}

// Patterns that are the whole truth of a class agree with the classifier; those
// that are not never miss what it finds.
func TestPatterns(t *testing.T) {
	texts := []string{"CONFIDENTIAL paper", "keep this confidential", "MRN: 00482913", "born on 3 May 1980, prescribed insulin", "a prescription drug plan", "refund to card 4111 1111 1111 1111",
		"378282246310005", "order 12", "the card ends 1111, CVV: 123", "password: hunter2hunter2", "AKIA2345678901234567", "/Users/a/.ssh/id_rsa", "/Users/a/plan.md", "PIN is 1234 for the card"}
	for _, class := range alert.Classes() {
		p, ok := alert.PatternOf(class)
		if !ok {
			t.Fatal(class)
		}
		for _, text := range texts {
			got := slices.ContainsFunc(p.Alternatives, func(row []string) bool {
				return !slices.ContainsFunc(row, func(re string) bool { return !regexp.MustCompile(re).MatchString(text) })
			})
			want := alert.Classify(text, class)
			if want && !got || p.Misses == "" && got != want {
				t.Errorf("%s on %q: expressions say %v, the classifier %v", class, text, got, want)
			}
		}
	}
}

// Where a system cannot take recipients apart, its expressions err to the outside
// only: what they take for inside is inside, and what goes out is never missed.
func TestRoughRecipients(t *testing.T) {
	named, inward := roughRecipients(&translated{}, []string{"firm.example"})
	out, in := regexp.MustCompile("(?is)"+named), regexp.MustCompile("(?is)^"+inward+"$")
	seen := map[bool]int{}
	for _, input := range someInputs {
		e := &event.Event{Name: "tool_result", Input: input, Has: event.FInput}
		truth, inside := holds(e, &pred{op: "outward", field: "tool_input", values: []string{"firm.example"}}), in.MatchString(input)
		if truth && (inside || !out.MatchString(input)) {
			t.Errorf("%s goes out and is missed", input)
		}
		if inside && !holds(e, &pred{op: "inward", field: "tool_input", values: []string{"firm.example"}}) {
			t.Errorf("%s is taken for inside", input)
		}
		seen[inside]++
	}
	if seen[true] < 2 || seen[false] < 8 {
		t.Errorf("%v: the inputs show nothing", seen)
	}
}

// Datadog's own client lets a wrong window pass in silence, so the form is held here.
func TestDatadogForm(t *testing.T) {
	files, _, err := Rules(shipped(t), "datadog", Options{Config: declared, Approximate: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		n++
		var doc struct {
			Name, Message, Type string
			IsEnabled           *bool
			Queries             []struct {
				Name, Query, Aggregation, Metric, DataSource string
				GroupByFields                                []string
			}
			Cases   []struct{ Status, Condition string }
			Options struct {
				DetectionMethod                                string
				EvaluationWindow, KeepAlive, MaxSignalDuration int64
			}
		}
		if err := json.Unmarshal(f.Data, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Name == "" || doc.Message == "" || doc.IsEnabled == nil || *doc.IsEnabled || doc.Type != "log_detection" || len(doc.Queries) != 1 || len(doc.Cases) != 1 {
			t.Errorf("%s: %+v", f.Name, doc)
			continue
		}
		if !slices.Contains(datadogWindows, doc.Options.EvaluationWindow) || !slices.Contains(datadogWindows, doc.Options.KeepAlive) || doc.Options.KeepAlive < doc.Options.EvaluationWindow {
			t.Errorf("%s: windows %+v", f.Name, doc.Options)
		}
		if q := doc.Queries[0]; (q.Aggregation == "sum") != (q.Metric != "") || !strings.HasPrefix(doc.Cases[0].Condition, "a >") || !strings.HasPrefix(q.Query, "service:") {
			t.Errorf("%s: %+v %+v", f.Name, q, doc.Cases)
		}
	}
	if n < 10 {
		t.Errorf("only %d documents", n)
	}
}
