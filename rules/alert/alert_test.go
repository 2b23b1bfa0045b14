package alert

import (
	"fmt"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func shipped(t testing.TB) []*Rule {
	rs, err := Load(Packs())
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestPacks(t *testing.T) {
	for _, r := range shipped(t) {
		if len(r.Tests) < 2 || len(r.FalsePositives) == 0 {
			t.Errorf("%s: a shipped rule has tests and false positives", r.ID)
		}
		for _, f := range RunTests(r) {
			t.Error(f)
		}
	}
}

const head = `rules:
  - id: r
    title: t
    severity: low
    status: stable
    topic: rejections
    owner: o
    catches: c
    runbook: b
`

func load(t testing.TB, body string) []*Rule {
	rs, err := Load(fstest.MapFS{"r.yaml": {Data: []byte(head + body)}})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func TestMistakes(t *testing.T) {
	for body, want := range map[string]string{
		"    condition: not (decison == \"x\")\n":                                `r.yaml:10:21: unknown name "decison"`,
		"    condition: |\n      true and\n      not (decison contains \"x\")\n": `r.yaml:12:12: unknown name "decison"`,
		"    condition: ''\n": "the condition is empty",
		"    condition: 'true'\n    suppress: 99999999999999d\n":                                                   "not a duration",
		"    condition: decision\n":                                                                                "expected a bool",
		"    condition: 'true'\n    kinds: [tool_desicion]\n":                                                      `did you mean "tool_decision"?`,
		"    condition: 'true'\n    correlation: {type: count, key: [sesion], window: 10m, threshold: 3}\n":        `did you mean "session"?`,
		"    condition: 'true'\n    correlation: {type: count, key: [session], threshold: 3}\n":                    "window is missing",
		"    condition: 'true'\n    correlation: {type: count, window: 10m}\n":                                     "threshold is missing",
		"    condition: 'true'\n    correlation: {type: count, window: ten, threshold: 3}\n":                       "not a duration",
		"    condition: 'true'\n    correlation: {type: sum, window: 1h, threshold: 3, field: tool}\n":             "is not a number that can be summed",
		"    condition: 'true'\n    correlation: {type: sequence, window: 1h, steps: ['true']}\n":                  "at least two steps",
		"    condition: 'true'\n    correlation: {type: count, window: 1h, threshold: 3}\n    suppress: 1m\n":      "shorter than the window",
		"    condition: classifier(prompt, \"phj\")\n":                                                             "is not a class",
		"    condition: expects(\"prompts\")\n":                                                                    "not a content category",
		"    condition: 'true'\n    exceptions: [{owner: a, reason: b, condition: 'true'}]\n":                      "expires is missing",
		"    condition: 'true'\n    exceptions: [{owner: a, reason: b, expires: 9999-01-01, condition: 'true'}]\n": "does not end",
		"    condition: 'true'\n    sevrity: low\n":                                                                `did you mean "severity"?`,
		"    condition: 'true'\n    needs: {fields: [prompts]}\n":                                                  `did you mean "prompt"?`,
	} {
		_, err := Load(fstest.MapFS{"r.yaml": {Data: []byte(head + body)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
	_, err := Load(fstest.MapFS{"a.yaml": {Data: []byte(head + "    condition: 'true'\n")}, "b.yaml": {Data: []byte(head + "    condition: 'true'\n")}})
	if err == nil || !strings.Contains(err.Error(), "again (first at a.yaml:2:9)") {
		t.Errorf("a repeated id gave %v", err)
	}
}

func reject(at time.Duration, session, member string) *event.Event {
	ev := (&TestEvent{Kind: "tool_decision", Tool: "Bash", Decision: "reject", Source: "user_reject", Session: &session, Member: &member}).event()
	ev.Time = origin.Add(at).UnixNano()
	return &ev
}

func run(rs []*Rule, cfg Config, evs ...*event.Event) ([]rules.Finding, []RuleReport) {
	e := New(rs, cfg)
	end := origin
	for i, ev := range evs {
		ev.Index = int64(i)
		e.Observe(ev)
		end = ev.When()
	}
	return e.Close(end), e.Reports()
}

const threeRejections = "    condition: decision == \"reject\"\n    correlation: {type: count, key: [session, tool], window: 10m, threshold: 3}\n"

func TestKeysDoNotLeak(t *testing.T) {
	rs := load(t, threeRejections)
	f, _ := run(rs, Config{}, reject(0, "a", "m"), reject(1, "b", "m"), reject(2, "a", "m"), reject(3, "b", "m"))
	if len(f) != 0 {
		t.Errorf("sessions were added: %v", f)
	}
	// The parts of a key are kept apart.
	x, y := reject(0, "a", "m"), reject(1, "aB", "m")
	x.ToolKey, y.ToolKey = "Bash", "ash"
	f, _ = run(rs, Config{}, x, y, reject(2, "a", "m"))
	if len(f) != 0 {
		t.Errorf("keys ran together: %v", f)
	}
}

func TestWindowEdge(t *testing.T) {
	rs := load(t, threeRejections)
	for gap, want := range map[time.Duration]int{10 * time.Minute: 1, 10*time.Minute + 1: 0} {
		f, _ := run(rs, Config{}, reject(0, "a", "m"), reject(time.Minute, "a", "m"), reject(gap, "a", "m"))
		if len(f) != want {
			t.Errorf("last after %v: %d alerts, want %d", gap, len(f), want)
		}
	}
	// Ties at one instant count each.
	if f, _ := run(rs, Config{}, reject(0, "a", "m"), reject(0, "a", "m"), reject(0, "a", "m")); len(f) != 1 {
		t.Errorf("ties: %d alerts", len(f))
	}
	// Tumbling windows would miss this burst.
	if f, _ := run(rs, Config{}, reject(time.Minute, "a", "m"), reject(4*time.Minute, "a", "m"), reject(8*time.Minute, "a", "m")); len(f) != 1 {
		t.Errorf("burst: %d alerts", len(f))
	}
}

func TestOneAlertAnIncident(t *testing.T) {
	rs := load(t, threeRejections)
	var evs []*event.Event
	for i := range 30 {
		evs = append(evs, reject(time.Duration(i)*time.Minute, "a", "m"))
	}
	for i := range 3 { // after a quiet window, a new incident
		evs = append(evs, reject(2*time.Hour+time.Duration(i)*time.Minute, "a", "m"))
	}
	f, rep := run(rs, Config{}, evs...)
	if len(f) != 2 || f[0].Count != 30 || f[1].Count != 3 || len(f[0].Events) != rules.MaxEventRefs || f[0].ID != "r-1" || f[1].ID != "r-2" {
		t.Errorf("got %+v", f)
	}
	if f[0].Member != "m" || f[0].Events[2].Index != 2 || f[0].Events[0].Session != "a" || f[0].Topic != "rejections" {
		t.Errorf("finding %+v", f[0])
	}
	if rep[0].Reached != 33 || rep[0].Matched != 33 || rep[0].Alerts != 2 {
		t.Errorf("report %+v", rep[0])
	}
}

func TestOtherTypes(t *testing.T) {
	tool := func(at time.Duration, name string) *event.Event {
		ev := reject(at, "a", "m")
		ev.Tool, ev.ToolKey = name, name
		return ev
	}
	h := time.Hour
	for _, c := range []struct {
		name, body string
		evs        []*event.Event
		want       int
	}{
		{"distinct", "    condition: 'true'\n    correlation: {type: distinct, field: tool, key: [session], window: 1h, threshold: 3}\n",
			[]*event.Event{tool(0, "a"), tool(1, "b"), tool(2, "b"), tool(3, "c")}, 1},
		{"not distinct", "    condition: 'true'\n    correlation: {type: distinct, field: tool, key: [session], window: 1h, threshold: 3}\n",
			[]*event.Event{tool(0, "a"), tool(1, "b"), tool(2, "b"), tool(2*h, "c")}, 0},
		{"first seen", "    condition: 'true'\n    correlation: {type: first_seen, field: tool, key: [member], window: 3h}\n",
			[]*event.Event{tool(0, "a"), tool(h, "b"), tool(2*h, "a"), tool(4*h, "a"), tool(4*h, "b"), tool(5*h, "c"), tool(5*h+1, "c")}, 1},
		{"sequence", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 1h, steps: ['tool == \"a\"', 'tool == \"b\"', 'tool == \"a\"']}\n",
			[]*event.Event{tool(0, "a"), tool(1, "x"), tool(2, "b"), tool(3, "a")}, 1},
		{"sequence out of order", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 1h, steps: ['tool == \"a\"', 'tool == \"b\"']}\n",
			[]*event.Event{tool(0, "b"), tool(1, "a")}, 0},
		{"sequence restarts", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 1h, steps: ['tool == \"a\"', 'tool == \"b\"']}\n",
			[]*event.Event{tool(0, "a"), tool(50*time.Minute, "a"), tool(80*time.Minute, "b")}, 1},
		{"exception in force", "    condition: 'true'\n    exceptions: [{owner: o, reason: r, expires: 2026-04-09, condition: 'session == \"a\"'}]\n",
			[]*event.Event{tool(0, "a")}, 0},
		{"exception past its end", "    condition: 'true'\n    exceptions: [{owner: o, reason: r, expires: 2026-04-08, condition: 'session == \"a\"'}]\n",
			[]*event.Event{tool(0, "a")}, 1},
		{"only Cowork", "    condition: 'true'\n", []*event.Event{func() *event.Event { v := tool(0, "a"); v.Product = event.ClaudeCode; return v }()}, 0},
	} {
		f, rep := run(load(t, c.body), Config{}, c.evs...)
		if len(f) != c.want {
			t.Errorf("%s: %d alerts, want %d: %+v %+v", c.name, len(f), c.want, f, rep)
		}
	}
}

func TestNeverGuessed(t *testing.T) {
	rs := load(t, "    condition: 'true'\n    correlation: {type: count, key: [member], window: 10m, threshold: 1}\n")
	f, rep := run(rs, Config{}, reject(0, "a", ""), reject(1, "a", ""))
	if len(f) != 0 || len(rep[0].NotEvaluable) != 1 || rep[0].NotEvaluable[0] != (Reason{"member is not known", 2}) {
		t.Errorf("%v %+v", f, rep[0])
	}
}

// A decoder may reuse its buffer: what the engine keeps must be its own.
func TestClones(t *testing.T) {
	rs := load(t, threeRejections)
	e := New(rs, Config{})
	for i := range 3 {
		ev := reject(time.Duration(i), "session-x", "member-x")
		e.Observe(ev)
		*ev = event.Event{}
	}
	if f := e.Close(origin); len(f) != 1 || f[0].Member != "member-x" || f[0].Events[0].Session != "session-x" {
		t.Errorf("%+v", f)
	}
}

// A record that comes late must not hide a silence: neither that of its own key, nor
// behind another key that is not silent yet.
func TestLateRecordHidesNoSilence(t *testing.T) {
	rs := load(t, "    condition: \"true\"\n    correlation: {type: absence, key: [member], window: 1h, threshold: 1}\n")
	f, _ := run(rs, Config{}, reject(10*time.Minute, "s", "b"), reject(5*time.Minute, "s", "a"), reject(67*time.Minute, "s", "a"), reject(68*time.Minute, "s", "b"))
	if len(f) != 1 || f[0].Member != "a" || !f[0].Time.Equal(origin.Add(65*time.Minute)) {
		t.Errorf("%+v", f)
	}
}

// Silences are told in the order of what they follow, whenever they were noticed, and
// rules with one key beyond those that one ring holds are as good as the others.
func TestSilencesOfManyRules(t *testing.T) {
	one := load(t, "    condition: \"true\"\n    correlation: {type: absence, key: [tool], window: 1h, threshold: 1}\n")[0]
	var rs []*Rule
	for i := range 2*maxRing + 3 {
		r := *one
		r.ID.Value = fmt.Sprintf("r%03d", i)
		rs = append(rs, &r)
	}
	at := func(d time.Duration, tool string) *event.Event {
		ev := reject(d, "s", "m")
		ev.ToolKey = tool
		return ev
	}
	// Two tools fall silent at one moment; the second one is noticed first.
	f, _ := run(rs, Config{}, at(0, "x"), at(0, "y"), at(2*time.Hour, "y"), at(3*time.Hour, "z"))
	if len(f) != 2*len(rs) {
		t.Fatalf("%d findings of %d rules", len(f), len(rs))
	}
	for i := 0; i < len(f); i += 2 {
		if f[i].Rule != f[i+1].Rule || f[i].Events[0].Index != 0 || f[i+1].Events[0].Index != 1 {
			t.Fatalf("finding %d: %+v before %+v", i, f[i], f[i+1])
		}
	}
}

func TestMemoryIsBoundedByLiveWindows(t *testing.T) {
	e := New(load(t, threeRejections), Config{})
	for i := range 50_000 {
		e.Observe(reject(time.Duration(i)*time.Second, fmt.Sprint("s", i), "m"))
	}
	if n := e.states[0].ring.live(); n > sweepEvery+601 {
		t.Errorf("%d keys live", n)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		class, text string
		want        bool
	}{
		{"pan", "378282246310005", true}, {"pan", "4111-1111-1111-1111", true}, {"pan", "6011111111111117", true},
		{"pan", "2223003122003222", true}, {"pan", "visa order 4111111111111111", true},
		{"pan", "0000000000000000", false}, {"pan", "1.4111111111111111", false}, {"pan", "session 4111111111111111", false},
		{"pan", "7992739871300000", false}, {"pan", "", false},
		{"secret", "AKIAIOSFODNN7EXAMPLE", true}, {"secret", "the secret of success", false}, {"secret", "-----BEGIN RSA PRIVATE KEY-----", true},
		{"phi", "patient id 123456", true}, {"phi", "born on 3 May 1980, prescribed insulin", true}, {"phi", "a prescription drug plan", false},
		{"confidential", "for internal use only", true}, {"confidential", "keep this confidential", false},
		{"sad", "cvc 123", true}, {"sad", "PIN is 1234 for the card", true}, {"sad", "pin 1234 on the map", false},
	} {
		if got := Classify(c.text, c.class); got != c.want {
			t.Errorf("%s %q: %v", c.class, c.text, got)
		}
	}
}

func TestExplain(t *testing.T) {
	r := load(t, "    condition: is_mcp and not (mcp_server in allowlist)\n")[0]
	ev := (&TestEvent{Kind: "tool_result", Tool: "mcp_tool"}).event()
	v, lines := r.Explain(&ev, Config{Allowlist: []string{"Zoom"}})
	if v != condition.Unknown || fmt.Sprint(lines) != "[{allowlist [zoom]} {is_mcp true} {mcp_server unknown} {mcp_server in allowlist unknown}]" {
		t.Errorf("%v %v", v, lines)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + threeRejections))
	f.Fuzz(func(t *testing.T, data []byte) {
		rs, err := Parse("f.yaml", data)
		if err != nil {
			return
		}
		for _, r := range rs {
			run([]*Rule{r}, Config{}, reject(0, "a", "m"), reject(1, "a", "m"))
		}
	})
}

// benchEvents is a mix as on the wire: prompts, decisions, results and requests
// of a hundred sessions, decoded.
func benchEvents() []event.Event {
	text := func(s string) *string { return &s }
	paths := &[]string{"/Users/ana/claims"}
	mix := []TestEvent{
		{Kind: "user_prompt", Prompt: text("Please summarise the attached minutes and list open actions."), PromptLength: 60, OS: "darwin", Version: "1.17377.1"},
		{Kind: "tool_decision", Tool: "Read", Decision: "accept", Source: "config"},
		{Kind: "tool_result", Tool: "Read", Path: "/Users/ana/claims/a.md", HostPaths: paths},
		{Kind: "tool_result", Tool: "mcp_tool", Server: "zoom", ServerTool: "list", Input: `{"q":"a"}`},
		{Kind: "api_request", OS: "darwin", Version: "1.17377.1"},
	}
	var evs []event.Event
	for i := range 5000 {
		ev := mix[i%len(mix)].event()
		ev.Session, ev.Account = fmt.Sprint("session-", i/50), fmt.Sprint("member-", i/100)
		if ev.Kind == event.APIRequest {
			ev.CostMicros, ev.CostFrom = 1000, event.CostMicros
		}
		// As every reader prepares them.
		ev.SessionKey, ev.PromptKey, ev.PersonKey = ev.OfSession(), ev.OfPrompt(), ev.OfPerson()
		evs = append(evs, ev)
	}
	return evs
}

// BenchmarkRules runs the shipped rules with their state, and a hundred rules
// made of them, on one core.
func BenchmarkRules(b *testing.B) {
	rs := shipped(b)
	hundred := make([]*Rule, 0, 100)
	for i := range 100 {
		r := *rs[i%len(rs)]
		r.ID.Value = fmt.Sprint(r.ID.Value, "-", i)
		hundred = append(hundred, &r)
	}
	for _, c := range []struct {
		name string
		rs   []*Rule
	}{{"shipped", rs}, {"hundred", hundred}} {
		b.Run(c.name, func(b *testing.B) {
			evs := benchEvents()
			e := New(c.rs, Config{Allowlist: []string{"zoom"}, DesktopFloor: "1.15962", Content: []string{"toolDetails"}})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				ev := &evs[i%len(evs)]
				ev.Time = origin.UnixNano() + int64(i)*int64(time.Second)
				e.Observe(ev)
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(len(c.rs)), "rules")
		})
	}
}

// An event that no rule listens to, and one that its name and tool settle, cost
// no memory.
func TestNoAllocationForWhatNoRuleListensTo(t *testing.T) {
	e := New(shipped(t), Config{})
	other := (&TestEvent{Kind: "hook_execution_start"}).event()
	other.Product = event.DesktopLogs
	other.Time = origin.UnixNano()
	e.Observe(&other)
	if n := testing.AllocsPerRun(1000, func() { e.Observe(&other) }); n != 0 {
		t.Errorf("%v allocations for an event that no rule listens to", n)
	}
	e = New(load(t, threeRejections), Config{})
	e.Observe(&other)
	if n := testing.AllocsPerRun(1000, func() { e.Observe(&other) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Tool names are the sender's: inventing them must not fill the memory.
func TestInventedToolNames(t *testing.T) {
	e := New(load(t, "    condition: tool_name == \"Bash\"\n"), Config{})
	for i := range 5000 {
		ev := (&TestEvent{Kind: "tool_result", Tool: fmt.Sprint("tool-", i)}).event()
		e.Observe(&ev)
	}
	ev := (&TestEvent{Kind: "tool_result", Tool: "Bash"}).event()
	e.Observe(&ev)
	r := e.Reports()[0]
	if len(e.buckets) > maxBuckets || r.Reached != 5001 || r.Evaluable != 5001 || r.Matched != 1 {
		t.Errorf("%d buckets, %+v", len(e.buckets), r)
	}
}

// Whatever the event and the configuration, a word that its nature settles says
// what the condition says. Each word is settled at least once.
func TestSettledWords(t *testing.T) {
	conditions := []string{"is_mcp", "success", "remote_off", "after_leaving", "outside_scope", "writes", "marked_read_only", "sends", "browser",
		`kind == "tool_result"`, `tool_name in ["Read", "Bash", "navigate"]`, `verb == "write"`, `approval != "automatic"`, `mcp_server == "zoom"`, `mcp_tool == "send_note"`,
		`decision == "reject"`, `source == "user_abort"`, `source == "config"`, `source == "hook"`, "mcp_server in allowlist", "has(mcp_server)", "has(verb)",
		`not (is_mcp and writes) or verb == "read"`, "cost_micros > 0", "has_prompt", "has_input", "has(path)", "has(command)", `expects("toolDetails")`,
		`classifier(prompt, "pan")`, `classifier(path, "credential-path")`, `classifier(command, "secret")`, `classifier(tool_input, "phi")`}
	var ps source.Problems
	progs := map[string]*condition.Program[subject]{}
	for _, c := range conditions {
		progs[c] = compileText(source.Text{Value: c, At: source.Pos{File: "test", Line: 1, Col: 1}}, &ps)
	}
	if err := ps.Err(); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	coin := func() bool { return r.IntN(2) == 0 }
	for range 5000 {
		x := TestEvent{Kind: pick("tool_result", "tool_decision", "user_prompt", "api_request", "something_new"),
			Tool: pick("", "Read", "Bash", "Write", "mcp_tool", "mcp__zoom__send_note", "mcp__Zoom__get", "navigate", "find", event.Redacted)}
		if x.Tool == "mcp_tool" {
			x.Server, x.ServerTool = pick("", "zoom", "Zoom", "drive"), pick("", "send_note", "update", "read_page", "odd")
		}
		x.Path = pick("", "/a/b", "/home/a/.ssh/id_rsa", `C:\a\.aws\credentials`)
		if p := pick("", "hello", "4111 1111 1111 1111", event.Redacted); p != "" {
			x.Prompt = &p
		}
		if x.Tool == "Bash" {
			x.Command = pick("", "ls", "curl -H 'password: hunter2hunter2'")
		}
		if x.Kind == "tool_decision" {
			x.Decision = pick("", "accept", "reject")
			x.Source = pick("", "config", "allowlist", "hook", "user_temporary", "user_reject", "user_abort")
		}
		ev := x.event()
		if ev.Success = coin(); coin() {
			ev.Has ^= event.FSuccess
		}
		if x.Kind == "api_request" {
			ev.CostMicros = r.Int64N(2) * 5
			ev.CostFrom = []event.CostSource{event.NoCost, event.CostMissing, event.CostMicros, event.Recomputed}[r.IntN(4)]
		}
		if coin() {
			Mark(&ev)
		}
		cfg := Config{RemoteOff: coin()}
		if coin() {
			cfg.Content = []string{"toolDetails"}
			cfg.Allowlist, cfg.ReadOnly, cfg.Leavers = []string{"Zoom"}, []string{"zoom"}, map[string]time.Time{MemberKey(&ev): {}}
		}
		cfg = folded(cfg)
		sign := signOf(&ev)
		s := sign.nature()
		for _, c := range conditions {
			got := s.settled(progs[c].Tree(), &cfg)
			if got == condition.Unknown {
				continue
			}
			known[c] = true
			if want := progs[c].Eval(&subject{ev: &ev, cfg: &cfg}); got != want {
				t.Fatalf("%s on %s %q %q/%q: settled as %s, the condition says %s", c, ev.Name, ev.Tool, ev.MCPServer, ev.MCPTool, got, want)
			}
		}
	}
	if len(known) != len(conditions) {
		t.Errorf("settled were only %v", known)
	}
}

// outsidePlain is subject.outside as one would write it.
func outsidePlain(ev *event.Event, allowed []string, p string) condition.Tri {
	p = event.CleanPath(p)
	form := pathForm(p)
	if form == relative {
		return condition.Unknown
	}
	climbs := event.Climbs(p)
	if climbs {
		if p = path.Clean(p); form == network {
			p = "/" + p
		}
	}
	comparable := false
	for _, r := range slices.Concat(ev.HostPaths, allowed) {
		if r = event.CleanPath(r); pathForm(r) != form {
			continue
		}
		comparable = true
		folded := event.Within(strings.ToLower(p), strings.ToLower(r))
		if inside := event.Within(p, r) || form == drive && folded; inside && !climbs {
			return condition.False
		} else if inside || folded {
			return condition.Unknown
		}
	}
	if ev.Has&event.FHostPaths == 0 || event.Within(p, "/mnt") || event.Within(p, "/sessions") || !comparable && len(ev.HostPaths)+len(allowed) > 0 {
		return condition.Unknown
	}
	return condition.True
}

// TestOutsideAgainstThePlainForm: folders are prepared once and compared without
// copies; the answers are those of the plain form.
func TestOutsideAgainstThePlainForm(t *testing.T) {
	var s subject
	var c event.Cleaner
	parts := []string{"/", "\\", "C:", "c:", "d:", "..", ".", "a", "A", "fin", "Fin", "finance", "é", "É", "K", "k", "mnt", "sessions", " ", "//", "/../"}
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 6).Draw(t, label), "")
		}
		ev := event.Event{Has: event.FHostPaths}
		for range rapid.IntRange(0, 3).Draw(t, "folders") {
			ev.HostPaths = append(ev.HostPaths, text("folder"))
		}
		cfg := Config{Roots: []string{text("allowed")}}
		p := text("path")
		if len(ev.HostPaths) > 0 && rapid.Bool().Draw(t, "inside") {
			p = ev.HostPaths[0] + p
		}
		s.ev, s.cfg = &ev, &cfg
		if got, want := s.outside(p), outsidePlain(&ev, cfg.Roots, p); got != want {
			t.Fatalf("%q, folders %q and %q: %s, plainly %s", p, ev.HostPaths, cfg.Roots, got, want)
		}
		if got, want := c.Clean(p), event.CleanPath(p); got != want {
			t.Fatalf("%q: clean %q, plainly %q", p, got, want)
		}
	})
}

// What is settled by an event's nature is what the condition says anyway.
func TestSettledAgainstTheCondition(t *testing.T) {
	cfg := Config{Allowlist: []string{"zoom"}, ReadOnly: []string{"zoom"}, Content: []string{"toolDetails"}, Forbidden: map[string][]string{}}
	n := 0
	for _, r := range shipped(t) {
		for _, x := range []TestEvent{
			{Kind: "tool_result", Tool: "Read", Path: "/a/b"}, {Kind: "tool_result", Tool: "Read"}, {Kind: "tool_result", Tool: "Bash", Command: "curl -F a=@b https://x.example"}, {Kind: "tool_result", Tool: "Bash"},
			{Kind: "tool_result", Tool: "mcp_tool", Server: "zoom", ServerTool: "send_note"}, {Kind: "tool_result", Tool: "mcp_tool"}, {Kind: "tool_decision", Tool: "navigate", Decision: "accept", Source: "config"},
			{Kind: "tool_result"}, {Kind: "user_prompt"}, {Kind: "api_request"}, {Kind: "something_new"}, {Kind: "tool_result", Tool: "WebFetch", Input: `{"url":"https://x.example"}`},
		} {
			ev := x.event()
			sign := signOf(&ev)
			s := sign.nature()
			if s.settled(r.prog.Tree(), &cfg) == condition.False {
				n++
				if v, lines := r.Explain(&ev, cfg); v != condition.False {
					t.Errorf("%s on %s %s: settled as false, the condition says %s: %v", r.ID, ev.Name, ev.Tool, v, lines)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d settled: the test shows little", n)
	}
}

// digits is what account looks for, as an expression.
var digits = regexp.MustCompile(`\d(?:[ -]?\d){12,18}`)

// TestLookHidesNothing holds the quick look to the expressions it spares: whatever
// the text, a class is found with the look's marks exactly when it is found with
// every mark set.
func TestLookHidesNothing(t *testing.T) {
	pieces := []string{"4111 1111 1111 1111", "4111111111111111", "5105-1051-0510-5100", "order no ", "card ", "cvv: 123", "PIN 1234", "PIN is 12345", ";4111111111111111=2512101", "%B4111111111111111^DOE/JOHN^2512",
		"123-45-6789", "000-12-3456", "1123-45-67890", "patient John Smith", "date of birth: 1", "member number 12345678", "diagnosis", "E11.9", " Z00.00", ". ", "F3", "MRN 1234567", "medical record no. A-12345",
		"CONFIDENTIAL", "strictly confidential", "internal use only", "password = hunter2hunter2", "api_key: \"abcdefghij\"", "AKIAABCDEFGHIJKLMNOP", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "-----BEGIN RSA PRIVATE KEY-----",
		"/home/a/.ssh/id_rsa", "C:\\x\\.aws\\credentials", ".env.example", "ſecret", "K", " ", "-", "  ", "\n", "D", "=", "^", "x", "7", "é",
		"archive", "adobe", "stubborn", "hiv", "icd-10", "treated for", "treatment plan", "medical history", "claimant", "prognosis", "admitted with", "born on 3", "dob 1", "lab results", "oncology", "_", "sk-abcdefghijklmnopqrstuvwxyz", "eyJabcdefghij.eyJabcdefghij.abcdefghij"}
	rapid.Check(t, func(t *rapid.T) {
		var s strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "pieces") {
			p := rapid.SampledFrom(pieces).Draw(t, "piece")
			if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
				p = p[rapid.IntRange(0, len(p)-1).Draw(t, "from"):]
			}
			s.WriteString(p)
		}
		if diagnosisCode.MatchString(s.String()) && !mayHoldCode(s.String()) {
			t.Fatalf("%q holds a code that is not looked for", s.String())
		}
		for at, text := 0, s.String(); ; {
			from, to := account(text, at)
			m := digits.FindStringIndex(text[at:])
			if (m == nil) != (from < 0) || m != nil && (from != at+m[0] || to != at+m[1]) {
				t.Fatalf("%q from %d: digits at %d to %d, expected %v further on", text, at, from, to, m)
			}
			if at = to; m == nil {
				break
			}
		}
		ev := event.Event{Input: s.String()}
		if n := len(ev.Input); n > 0 { // a path is a piece of the arguments, and so is cut anywhere here
			from := rapid.IntRange(0, n-1).Draw(t, "path from")
			ev.Path = ev.Input[from:rapid.IntRange(from, n).Draw(t, "path to")]
		}
		Mark(&ev)
		for _, class := range Classes() {
			want := classify(ev.Path, class, ^hint(0))
			if got := ClassifyLooked(ev.Path, class, ev.PathMarks); got != want {
				t.Fatalf("%q, a piece of %q: %s is %v once marked, %v without", ev.Path, ev.Input, class, got, want)
			}
		}
		for _, class := range Classes() {
			want := classify(s.String(), class, ^hint(0))
			if got := Classify(s.String(), class); got != want {
				t.Fatalf("%q: %s is %v with the look, %v without", s.String(), class, got, want)
			}
			if got := ClassifyLooked(ev.Input, class, ev.Marks[2]); got != want {
				t.Fatalf("%q: %s is %v once marked, %v without", s.String(), class, got, want)
			}
		}
	})
}

// Every number of a shipped rule says where it comes from.
func TestShippedNumbersHaveABasis(t *testing.T) {
	rs, err := Load(Packs())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if r.Correlation.Type != "" && r.Basis == "" {
			t.Errorf("%s: nobody knows why its numbers are what they are", r.ID)
		}
	}
}

// What show --yaml prints is a rule file: the same rule, which passes its tests.
func TestText(t *testing.T) {
	rs, err := Load(Packs())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		text, err := Text(r, "")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("x.yaml", []byte(text))
		if err != nil || len(again) != 1 || again[0].ID.Value != r.ID.Value || len(again[0].Tests) != len(r.Tests) || again[0].Runbook != r.Runbook {
			t.Errorf("%s: %v\n%s", r.ID, err, text)
		}
	}
}

// A rule says which content it needs, or is told to.
func TestUnstatedContent(t *testing.T) {
	rs, err := Load(Packs())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if c := r.Unstated(); len(c) > 0 {
			t.Errorf("%s reads %v and does not say so", r.ID, c)
		}
	}
	rs, err = Parse("x.yaml", []byte("rules: [{id: x, title: t, severity: low, status: stable, topic: errors, owner: o, catches: c, runbook: b, condition: 'prompt contains \"a\" or path contains \"b\"'}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c := rs[0].Unstated(); !slices.Equal(c, []string{"toolDetails", "userPrompts"}) {
		t.Error(c)
	}
}

// BenchmarkMark looks at texts as they come: a long prompt of an insurer, and the
// arguments of a file call.
func BenchmarkMark(b *testing.B) {
	prompt := "Member ID W664585781, claim CL-2026-049219, diagnosis I10: check whether the prior authorisation covers the second visit. " +
		strings.Repeat("Review the ticket as a summary for the claimant, update the handbook and 3105 receipts, then present the process to the member. ", 8)
	for name, ev := range map[string]event.Event{
		"prompt":    {PromptText: prompt},
		"arguments": {Input: `{"file_path":"/Users/anna.lindqvist/Documents/claims/2026/CL-2026-049219 notes.docx","limit":200}`},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(ev.PromptText) + len(ev.Input)))
			for b.Loop() {
				Mark(&ev)
			}
		})
	}
}
