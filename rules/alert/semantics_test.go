package alert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

// told is what a finding says, without its number.
func told(fs []rules.Finding) []string {
	var out []string
	for _, f := range fs {
		line := fmt.Sprintf("%s %s %s %d %s", f.Rule, f.Time.Format(time.RFC3339Nano), f.Member, f.Count, f.Reason)
		for _, e := range f.Events {
			line += " " + e.Session + "@" + e.Time
		}
		out = append(out, line)
	}
	return out
}

// day plays a random day of a few members, dense enough that windows fill.
func day(r *rand.Rand) []event.Event {
	var out []event.Event
	at := int64(0)
	seq := map[string]int64{}
	for range 300 {
		at += r.Int64N(int64(4 * time.Minute))
		if r.IntN(5) == 0 {
			at += int64(time.Minute) - at%int64(time.Minute) // ties and edges
		}
		session := fmt.Sprint("s", r.IntN(3))
		member := fmt.Sprint("m", r.IntN(2))
		x := TestEvent{Kind: "tool_decision", Tool: fmt.Sprint("t", r.IntN(3)), Decision: []string{"accept", "reject"}[r.IntN(2)], Source: "user_reject", Session: &session, Member: &member}
		ev := x.event()
		ev.Time, ev.Sequence = origin.UnixNano()+at, seq[session]
		ev.InputSize = r.Int64N(50)
		ev.Has |= event.FTime | event.FSequence | event.FInputSize
		seq[session]++
		out = append(out, ev)
	}
	return out
}

const ofEachType = `    condition: decision == "reject"
    correlation: {type: count, key: [session, tool], window: 10m, threshold: 3}
` + "  - " + `{id: d, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, condition: 'decision == "reject"', correlation: {type: distinct, field: tool, key: [session], window: 10m, threshold: 3}}
` + "  - " + `{id: s, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, condition: 'true', correlation: {type: sum, field: input_size, key: [member], window: 20m, threshold: 150}}
` + "  - " + `{id: f, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, condition: 'true', correlation: {type: first_seen, field: tool, key: [member], window: 1h}}
` + "  - " + `{id: q, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, condition: 'true', correlation: {type: sequence, key: [session], window: 30m, steps: ['tool == "t0"', 'tool == "t1"', 'tool == "t2"'], counts: [3, 1, 2]}}
` + "  - " + `{id: z, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, condition: 'true', correlation: {type: rate, key: [member], window: 10m, baseline: 3h, factor: 1.5, threshold: 5}}
` + "  - " + `{id: a, title: t, severity: low, status: stable, topic: silence, owner: o, catches: c, runbook: b, condition: 'true', correlation: {type: absence, key: [session], window: 20m, threshold: 2}}
`

// Duplicates and records that come late change nothing within the bound of the
// replay that feeds engines, whatever the type of correlation.
func TestDuplicatesAndLateArrivalsChangeNothing(t *testing.T) {
	rs := load(t, ofEachType)
	fired := map[string]bool{}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		evs := day(r)
		play := func(evs []event.Event) ([]string, replay.Counts) {
			rp := replay.New(replay.Options{Until: origin.AddDate(0, 0, 2)}, New(rs, Config{}))
			for i := range evs {
				evs[i].Index = int64(i)
			}
			rp.Add(evs)
			counts, found := rp.Close()
			for _, f := range found {
				fired[f.Rule] = true
			}
			return told(found), counts
		}
		want, _ := play(evs)
		// Every record arrives up to nine minutes late, and a third twice.
		type arrival struct {
			at int64
			ev event.Event
		}
		var arrive []arrival
		repeats := int64(0)
		for _, ev := range evs {
			arrive = append(arrive, arrival{ev.Time + r.Int64N(int64(9*time.Minute)), ev})
			if r.IntN(3) == 0 {
				repeats++
				arrive = append(arrive, arrival{ev.Time + r.Int64N(int64(9*time.Minute)), ev})
			}
		}
		slices.SortStableFunc(arrive, func(a, b arrival) int { return int(a.at - b.at) })
		var late []event.Event
		for _, a := range arrive {
			late = append(late, a.ev)
		}
		got, in := play(late)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: late and repeated records changed the alerts:\n%s\n\nwant\n%s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if in.Duplicates != repeats || in.Late != 0 {
			t.Errorf("seed %d: %d repeats and %d late, want %d and 0", seed, in.Duplicates, in.Late, repeats)
		}
	}
	for _, id := range []string{"r", "d", "s", "f", "q", "z", "a"} {
		if !fired[id] {
			t.Errorf("rule %s never fired: the test shows nothing about it", id)
		}
	}
}

// A plain engine: for every record, look back over all records of its key.
func plain(evs []event.Event, typ string, window, suppress time.Duration, threshold int64) (at []int64) {
	open := map[string]int64{}
	for i := range evs {
		if typ != "sum" && evs[i].Decision != "reject" {
			continue
		}
		key := evs[i].Session
		if typ == "count" {
			key += "\x00" + evs[i].ToolKey
		}
		if typ == "sum" {
			key = evs[i].Account
		}
		var n, sum int64
		values := map[string]bool{}
		for j := 0; j <= i; j++ {
			k := evs[j].Session
			if typ == "count" {
				k += "\x00" + evs[j].ToolKey
			}
			if typ == "sum" {
				k = evs[j].Account
			} else if evs[j].Decision != "reject" {
				continue
			}
			if k == key && evs[i].Time-evs[j].Time <= int64(window) {
				n++
				sum += evs[j].InputSize
				values[evs[j].ToolKey] = true
			}
		}
		if till, ok := open[key]; ok && evs[i].Time <= till {
			open[key] = max(till, evs[i].Time+int64(suppress))
			continue
		}
		if typ == "count" && n >= threshold || typ == "distinct" && int64(len(values)) >= threshold || typ == "sum" && sum > threshold {
			at = append(at, evs[i].Time)
			open[key] = evs[i].Time + int64(suppress)
		}
	}
	return at
}

func TestAgainstAPlainEngine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		evs := day(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2)))
		window := time.Duration(rapid.IntRange(1, 40).Draw(t, "window")) * time.Minute
		threshold := int64(rapid.IntRange(1, 6).Draw(t, "threshold"))
		typ := rapid.SampledFrom([]string{"count", "distinct", "sum"}).Draw(t, "type")
		field, key := "", "session, tool"
		switch typ {
		case "distinct":
			field, key = "field: tool, ", "session"
			threshold = min(threshold, 3)
		case "sum":
			field, key, threshold = "field: input_size, ", "member", threshold*60
		}
		cond := `decision == "reject"`
		if typ == "sum" {
			cond = "true"
		}
		rs, err := Load(fstest.MapFS{"r.yaml": {Data: []byte(head + fmt.Sprintf("    condition: '%s'\n    correlation: {type: %s, %skey: [%s], window: %s, threshold: %d}\n", cond, typ, field, key, window, threshold))}})
		if err != nil {
			t.Fatal(err)
		}
		e := New(rs, Config{})
		for i := range evs {
			e.Observe(&evs[i])
		}
		var got []int64
		for _, f := range e.Close(origin) {
			got = append(got, f.Time.UnixNano())
		}
		if want := plain(evs, typ, window, window, threshold); !slices.Equal(got, want) {
			t.Fatalf("%s: alerts at %v, want %v", typ, got, want)
		}
	})
}

// The failures that a well-known engine listed when it mended them: order
// checked only for the first rule, keys ignored, windows longer than stated, and
// results in no fixed order.
func TestKnownFailuresOfOthers(t *testing.T) {
	tool := func(at time.Duration, session, name string) *event.Event {
		ev := reject(at, session, "m")
		ev.Tool, ev.ToolKey = name, name
		return ev
	}
	m := time.Minute
	seq := "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 10m, steps: ['tool == \"a\"', 'tool == \"b\"', 'tool == \"c\"']}\n"
	for _, c := range []struct {
		name, body string
		evs        []*event.Event
		want       int
	}{
		{"order beyond the first step", seq, []*event.Event{tool(0, "s", "a"), tool(m, "s", "c"), tool(2*m, "s", "b")}, 0},
		{"the whole order", seq, []*event.Event{tool(0, "s", "a"), tool(m, "s", "b"), tool(2*m, "s", "c")}, 1},
		{"steps of two keys", seq, []*event.Event{tool(0, "s", "a"), tool(m, "t", "b"), tool(2*m, "s", "c")}, 0},
		{"first and last further apart than the window", seq, []*event.Event{tool(0, "s", "a"), tool(6*m, "s", "b"), tool(11*m, "s", "c")}, 0},
		{"exactly the window", seq, []*event.Event{tool(0, "s", "a"), tool(6*m, "s", "b"), tool(10*m, "s", "c")}, 1},
		{"one event is one step", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 10m, steps: ['tool == \"a\"', 'tool == \"a\"']}\n", []*event.Event{tool(0, "s", "a")}, 0},
		{"counted steps", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 10m, steps: ['tool == \"a\"', 'tool == \"b\"'], counts: [3, 2]}\n",
			[]*event.Event{tool(0, "s", "a"), tool(m, "s", "a"), tool(2*m, "s", "b"), tool(3*m, "s", "a"), tool(4*m, "s", "b"), tool(5*m, "s", "b")}, 1},
		{"a counted step too few", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 10m, steps: ['tool == \"a\"', 'tool == \"b\"'], counts: [3, 2]}\n",
			[]*event.Event{tool(0, "s", "a"), tool(m, "s", "a"), tool(2*m, "s", "b"), tool(3*m, "s", "b")}, 0},
		{"only the latest of the first step count", "    condition: 'true'\n    correlation: {type: sequence, key: [session], window: 10m, steps: ['tool == \"a\"', 'tool == \"b\"'], counts: [2, 1]}\n",
			[]*event.Event{tool(0, "s", "a"), tool(8*m, "s", "a"), tool(9*m, "s", "a"), tool(15*m, "s", "b")}, 1},
	} {
		f, _ := run(load(t, c.body), Config{}, c.evs...)
		if len(f) != c.want {
			t.Errorf("%s: %d alerts, want %d", c.name, len(f), c.want)
		}
	}
	// Output order: time, rule, member, whatever the order of rules.
	rs := load(t, ofEachType)
	evs := day(rand.New(rand.NewPCG(9, 9)))
	play := func(rs []*Rule) []string {
		e := New(rs, Config{})
		for i := range evs {
			e.Observe(&evs[i])
		}
		return told(e.Close(origin))
	}
	want := play(rs)
	back := slices.Clone(rs)
	slices.Reverse(back)
	if !slices.Equal(play(back), want) {
		t.Error("the order of rules changes the order of alerts")
	}
}

func TestRate(t *testing.T) {
	body := "    condition: 'true'\n    correlation: {type: rate, key: [member], window: 1h, baseline: 24h, factor: 3, threshold: 6}\n"
	hours := func(n, each int) (evs []*event.Event) {
		for h := range n {
			for i := range each {
				evs = append(evs, reject(time.Duration(h)*time.Hour+time.Duration(i)*time.Minute, "s", "m"))
			}
		}
		return evs
	}
	surge := func(at time.Duration, n int) (evs []*event.Event) {
		for i := range n {
			evs = append(evs, reject(at+time.Duration(i)*time.Minute, "s", "m"))
		}
		return evs
	}
	for _, c := range []struct {
		name string
		evs  []*event.Event
		want int
	}{
		{"steady", hours(20, 4), 0},
		{"a surge above three times the mean", append(hours(10, 4), surge(20*time.Hour, 13)...), 1},
		{"exactly three times is not above", append(hours(10, 4), surge(20*time.Hour, 12)...), 0},
		{"too little past to say", append(hours(4, 4), surge(20*time.Hour, 50)...), 0},
		{"small numbers are no surge", append(hours(10, 1), surge(20*time.Hour, 5)...), 0},
		{"the past is forgotten after the baseline", append(hours(10, 4), surge(60*time.Hour, 50)...), 0},
		{"the surge is not its own past", append(hours(6, 2), surge(6*time.Hour+30*time.Minute, 29)...), 1},
	} {
		f, _ := run(load(t, body), Config{}, c.evs...)
		if len(f) != c.want {
			t.Errorf("%s: %d alerts, want %d: %v", c.name, len(f), c.want, told(f))
		}
	}
}

// A path that begins like an allowed folder is not inside it.
func TestPathPrefix(t *testing.T) {
	rs := load(t, "    kinds: [tool_result]\n    condition: outside_scope\n")
	for path, want := range map[string]int{
		"/fin/a.txt": 0, "/fin": 0, "/finance-secret/a.txt": 1, "/fin/../etc/passwd": 1, "/fi": 1, "/FIN/a.txt": 0,
		`C:\fin\a.txt`: 0, "/fin-/a": 1, "/fin/./a": 0,
	} {
		ev := (&TestEvent{Kind: "tool_result", Tool: "Read", Path: path, HostPaths: &[]string{"/fin"}}).event()
		ev.Time = origin.UnixNano()
		f, _ := run(rs, Config{}, &ev)
		if len(f) != want {
			t.Errorf("%s: %d alerts, want %d", path, len(f), want)
		}
	}
}

// Bad input is refused when it is loaded, at its place and with advice.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("decision == \"x\" or ", 300) + "true"
	deep := strings.Repeat("not ", 900) + "true"
	for name, c := range map[string]struct{ body, want string }{
		"a misspelt field under not": {"    condition: not (promt contains \"x\")\n", `r.yaml:10:21: unknown name "promt"`},
		"a clock":                    {"    condition: now() == tool\n", `r.yaml:10:16: unknown function "now"`},
		"a loop":                     {"    condition: 'any(1..1000000000, # > 1)'\n", "r.yaml:10:"},
		"a pattern from the wire":    {"    condition: prompt matches tool\n", "r.yaml:10:31: the pattern of matches is not constant"},
		"a pattern too large":        {"    condition: prompt matches \"" + strings.Repeat("a", 600) + "\"\n", "r.yaml:10:31: the pattern has 600 bytes; at most 512 are read"},
		"a pattern that explodes":    {"    condition: prompt matches \"(a{1000}){1000}\"\n", "r.yaml:10:31: invalid repeat count"},
		"a long expression":          {"    condition: '" + long + "'\n", "at most 4096 are read"},
		"a deep expression":          {"    condition: '" + deep + "'\n", "r.yaml:10:"},
		"a window without a key":     {"    condition: 'true'\n    correlation: {type: count, window: 10m, threshold: 3}\n", "a window needs a key"},
		"a window that never ends":   {"    condition: 'true'\n    correlation: {type: count, key: [session], window: 900d, threshold: 3}\n", "at most 366d"},
		"an endless baseline":        {"    condition: 'true'\n    correlation: {type: rate, key: [member], window: 1m, baseline: 300d, factor: 2, threshold: 3}\n", "does not suit a window"},
		"a sequence of many steps":   {"    condition: 'true'\n    correlation: {type: sequence, key: [member], window: 1h, steps: ['true','true','true','true','true','true','true','true','true']}\n", "at most 8 are followed"},
		"a huge count":               {"    condition: 'true'\n    correlation: {type: sequence, key: [member], window: 1h, steps: ['true','true'], counts: [1000000, 1]}\n", "write 1 to 100"},
		"anchors":                    {"    condition: &a 'true'\n    description: *a\n", "r.yaml:10:"},
		"an unbounded list":          {"    condition: 'len(map(allowlist, # + #)) > 1'\n", "r.yaml:10:"},
	} {
		_, err := Load(fstest.MapFS{"r.yaml": {Data: []byte(head + c.body)}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		n := string(rune('a' + i))
		bomb += fmt.Sprintf("%c: &%c [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n", 'b'+i, 'b'+i, n, n, n, n, n, n, n, n)
	}
	if _, err := Load(fstest.MapFS{"r.yaml": {Data: []byte(bomb)}}); err == nil || !strings.Contains(err.Error(), "anchor") {
		t.Errorf("an anchor bomb gave %v", err)
	}
}

func TestParseConfig(t *testing.T) {
	cfg, err := ParseConfig("d.yaml", []byte("allowlist: [Zoom]\nleavers: {m: 2026-04-30T17:00:00Z}\nzones: {m: Europe/Berlin}\nplugins: []\ndomains: [Firm.example]\npropagation: 2h\nsession_spend: 10\n"))
	if err != nil || cfg.Allowlist[0] != "Zoom" || cfg.Plugins == nil || len(cfg.Domains) != 1 || cfg.ReadOnly != nil || cfg.Propagation != 2*time.Hour || cfg.SpendSessionMicros != 10_000_000 || cfg.Zones["m"] == nil || cfg.Leavers["m"].Hour() != 17 {
		t.Errorf("%+v %v", cfg, err)
	}
	_, err = ParseConfig("d.yaml", []byte("domains: [firm.example, '@firm.example', a b]\n"))
	if err == nil || !strings.Contains(err.Error(), `d.yaml:1:25: domains: "@firm.example" is not a mail domain`) || !strings.Contains(err.Error(), `"a b" is not`) {
		t.Errorf("%v", err)
	}
	_, err = ParseConfig("d.yaml", []byte("alowlist: []\nzones: {m: Mars}\nleavers: {m: tomorrow}\n"))
	if err == nil || !strings.Contains(err.Error(), `did you mean "allowlist"?`) {
		t.Errorf("%v", err)
	}
}

func TestNewWords(t *testing.T) {
	mail := func(input string) TestEvent {
		return TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "mail", ServerTool: "send_message", Input: input}
	}
	firm := Config{Domains: []string{"Firm.example"}}
	for _, c := range []struct {
		cond string
		ev   TestEvent
		cfg  Config
		want string
	}{
		{"sends", TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "mail", ServerTool: "send_message"}, Config{}, "true"},
		{"sends", TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "mail", ServerTool: "search"}, Config{}, "false"},
		{"sends", TestEvent{Kind: "tool_result", Tool: "mcp_tool"}, Config{}, "unknown"},
		{"sends", TestEvent{Kind: "tool_result", Tool: "Bash", Command: "curl -F file=@a https://x.example/up"}, Config{}, "true"},
		{"sends", TestEvent{Kind: "tool_result", Tool: "Bash", Command: "curl https://x.example/down -o a"}, Config{}, "false"},
		{"sends", TestEvent{Kind: "tool_result", Tool: "Bash"}, Config{}, "unknown"},
		{"outside_recipient", mail(`{"to":"a@firm.example","body":"b"}`), firm, "false"},
		{"outside_recipient", mail(`{"to":"A <a@EU.Firm.example>","body":"write to x@other.example"}`), firm, "false"},
		{"outside_recipient", mail(`{"to":"a@confirm.example"}`), firm, "true"},
		{"outside_recipient", mail(`{"subject":"s","cc":"a@firm.example, x@other.example"}`), firm, "true"},
		{"outside_recipient", mail(`{"recipients":["a@firm.example","x@other.example"]}`), firm, "true"},
		{"outside_recipient", mail(`{"message":{"toRecipients":[{"emailAddress":{"address":"x@other.example"}}]}}`), firm, "true"},
		{"outside_recipient", mail(`{"to":"a@firm.example","cc":"<nested>"}`), firm, "unknown"},
		{"outside_recipient", mail(`{"to":"x@other.example","cc":"<nested>"}`), firm, "true"},
		{"outside_recipient", mail(`{"to":"a@firm.example","cc":""}`), firm, "false"},
		{"outside_recipient", mail(`{"to":"a@firm.example","body":"cut off he`), firm, "unknown"},
		{"outside_recipient", mail(`{"to":"` + strings.Repeat("a@firm.example,", 34) + `"}`), firm, "unknown"},
		{"outside_recipient", mail(`{"body":"\"to\":\"x@other.example\""}`), firm, "unknown"},
		{"outside_recipient", mail(`{"channel":"C042"}`), firm, "unknown"},
		{"outside_recipient", mail(""), firm, "unknown"},
		{"outside_recipient", mail(`{"to":"x@other.example"}`), Config{}, "unknown"},
		{`"x@other.example" in recipients`, mail(`{"to":"X@other.example"}`), Config{}, "true"},
		{"len(recipients) == 2", mail(`{"to":"a@firm.example","bcc":["x@other.example"]}`), Config{}, "true"},
		{"len(recipients) > 0", mail(`{"to":"<nested>"}`), Config{}, "unknown"},
		{`host == "x.example"`, TestEvent{Kind: "tool_result", Tool: "Bash", Command: "curl https://x.example:8443/a"}, Config{}, "true"},
		{`host == "x.example"`, TestEvent{Kind: "tool_result", Tool: "WebFetch", Input: `{"url":"https://x.example/a"}`}, Config{}, "true"},
		{`host == "x.example"`, TestEvent{Kind: "tool_result", Tool: "Bash", Command: "ls"}, Config{}, "unknown"},
		{"marked_read_only and writes", TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "Records", ServerTool: "update_row"}, Config{ReadOnly: []string{"records"}}, "true"},
		{"marked_read_only", TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "records", ServerTool: "get"}, Config{}, "unknown"},
		{"plugin_approved", TestEvent{Kind: "plugin_installed", Plugin: "third-party", PluginHash: "ab"}, Config{Plugins: []string{"AB"}}, "true"},
		{"plugin_approved", TestEvent{Kind: "plugin_installed", Plugin: "third-party"}, Config{Plugins: []string{"ab"}}, "unknown"},
		{`workload("phi")`, TestEvent{Kind: "user_prompt"}, Config{Workloads: map[string][]string{"member-1": {"phi"}}}, "true"},
		{`workload("phi")`, TestEvent{Kind: "user_prompt"}, Config{Workloads: map[string][]string{}}, "false"},
		{`browser`, TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "mongodb", ServerTool: "find"}, Config{}, "false"},
		{`browser`, TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "chrome", ServerTool: "navigate"}, Config{}, "true"},
		{`forbidden("browser") and browser`, TestEvent{Kind: "tool_result", Tool: "navigate"}, Config{Forbidden: map[string][]string{"member-1": {"browser"}}}, "true"},
		{"local_hour == 11 and not weekend", TestEvent{Kind: "user_prompt"}, Config{Zones: map[string]*time.Location{"member-1": time.FixedZone("x", 7200)}}, "true"},
		{"local_hour == 11", TestEvent{Kind: "user_prompt"}, Config{}, "unknown"},
		{`classifier(path, "credential-path")`, TestEvent{Kind: "tool_result", Tool: "Read", Path: "/Users/a/.ssh/id_rsa"}, Config{}, "true"},
		{`classifier(path, "credential-path")`, TestEvent{Kind: "tool_result", Tool: "Read", Path: "/Users/a/app/.env.example"}, Config{}, "false"},
		{`classifier(path, "credential-path")`, TestEvent{Kind: "tool_result", Tool: "Read", Path: "/Users/a/environment/plan.md"}, Config{}, "false"},
		{`folder == "/a/b"`, TestEvent{Kind: "tool_result", Tool: "Read", Path: "/a/b/c.md"}, Config{}, "true"},
		{`record == "77"`, TestEvent{Kind: "tool_result", Tool: "mcp_tool", Server: "crm", ServerTool: "get", Input: `{"id":"77"}`}, Config{}, "true"},
	} {
		r := load(t, "    condition: '"+c.cond+"'\n")[0]
		ev := c.ev.event()
		ev.Time = origin.UnixNano()
		if v, lines := r.Explain(&ev, c.cfg); v.String() != c.want {
			t.Errorf("%s on %+v: %s, want %s (%v)", c.cond, c.ev, v, c.want, lines)
		}
	}
}
