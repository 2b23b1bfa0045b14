package simulate

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// week is a company small enough to play for every profile and defect.
func week(seed uint64) Options {
	s, d := company(seed, map[string]int{"claims": 4, "analyst": 3, "finance": 2, "operations": 2})
	s.Period.To = source.Day(2026, 4, 22)
	return Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow}}
}

// emitted plays a scenario and reads what it would send with the reference
// library, and the same events.
func emitted(t *testing.T, o Options) ([]event.Event, plog.Logs) {
	t.Helper()
	p := WireProfile(o.Scenario.Telemetry)
	var events []event.Event
	logs := plog.NewLogs()
	u := plog.JSONUnmarshaler{}
	run(t, o, func(b []event.Event) {
		events = append(events, b...)
		one, err := u.UnmarshalLogs(p.AppendJSON(nil, b))
		if err != nil {
			t.Fatal(err)
		}
		one.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	})
	return events, logs
}

// each calls fn for every record with its resource.
func each(logs plog.Logs, fn func(res pcommon.Map, r plog.LogRecord)) {
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				fn(rl.Resource().Attributes(), lr)
			}
		}
	}
}

func str(m pcommon.Map, key string) string {
	if v, ok := m.Get(key); ok {
		return v.AsString()
	}
	return "(absent)"
}

// Telemetry acceptance, emitter (a): the five profiles.
func TestEmitA(t *testing.T) {
	for _, c := range []struct {
		profile string
		resource,
		present, absent []string
	}{
		{"cowork-local-1p", []string{"service.name=cowork", "service.version=1.15962.1", "claude.deployment_mode=1p", "cowork.surface=(absent)"},
			[]string{"user.email", "user.account_uuid", "organization.id", "workspace.host_paths", "service.name", "host.arch"}, []string{"ccr.session.id"}},
		{"cowork-cloud", []string{"service.name=cowork", "service.version=2.1.187", "os.type=linux", "host.arch=amd64", "cowork.surface=remote", "claude.deployment_mode=(absent)"},
			[]string{"user.email", "ccr.session.id", "service.name"}, []string{"workspace.host_paths", "process.owner"}},
		{"cowork-3p", []string{"service.name=cowork", "claude.deployment_mode=3p"},
			[]string{"user.id", "workspace.host_paths"}, []string{"user.email", "user.account_uuid", "user.account_id", "organization.id", "tool_input", "tool_parameters"}},
		{"claude-code", []string{"service.name=claude-code", "service.version=2.1.187", "claude.deployment_mode=(absent)"},
			[]string{"user.email"}, []string{"workspace.host_paths", "service.name", "tool_input"}},
		{"legacy-strings", []string{"service.name=claude-code", "service.version=2.0.62"},
			[]string{"user.email"}, []string{"event.sequence", "prompt.id", "tool_use_id", "cost_usd_micros", "workspace.host_paths"}},
	} {
		o := week(3)
		o.Scenario.Telemetry.Profile = c.profile
		_, logs := emitted(t, o)
		seen := map[string]bool{}
		n := 0
		each(logs, func(res pcommon.Map, r plog.LogRecord) {
			n++
			for _, want := range c.resource {
				k, v, _ := strings.Cut(want, "=")
				if str(res, k) != v {
					t.Fatalf("%s: resource %s is %s, want %s", c.profile, k, str(res, k), v)
				}
			}
			for k, v := range r.Attributes().All() {
				seen[k] = true
				if c.profile == "legacy-strings" && v.Type() != pcommon.ValueTypeStr {
					t.Fatalf("%s: %s is a %s", c.profile, k, v.Type())
				}
			}
		})
		for _, k := range c.present {
			if !seen[k] {
				t.Errorf("%s: no %s on any of %d records", c.profile, k, n)
			}
		}
		for _, k := range c.absent {
			if seen[k] {
				t.Errorf("%s: %s on a record", c.profile, k)
			}
		}
	}
}

// (b) the value types of the current releases, no severity, no event name field.
func TestEmitB(t *testing.T) {
	o := week(4)
	o.Scenario.Telemetry.Wire = "2.1.214"
	_, logs := emitted(t, o)
	want := map[string]pcommon.ValueType{"event.sequence": pcommon.ValueTypeInt, "prompt_length": pcommon.ValueTypeStr, "response_length": pcommon.ValueTypeInt,
		"success": pcommon.ValueTypeStr, "duration_ms": pcommon.ValueTypeInt, "tool_input_size_bytes": pcommon.ValueTypeStr, "tool_result_size_bytes": pcommon.ValueTypeStr,
		"cost_usd": pcommon.ValueTypeDouble, "cost_usd_micros": pcommon.ValueTypeInt, "input_tokens": pcommon.ValueTypeInt, "cache_creation_tokens": pcommon.ValueTypeInt,
		"num_hooks": pcommon.ValueTypeStr, "total_duration_ms": pcommon.ValueTypeStr, "is_plugin": pcommon.ValueTypeBool, "has_hooks": pcommon.ValueTypeBool,
		"skill_path_count": pcommon.ValueTypeInt, "safe_mode": pcommon.ValueTypeStr, "workspace.host_paths": pcommon.ValueTypeSlice, "tool_input": pcommon.ValueTypeStr,
		"tool_parameters": pcommon.ValueTypeStr, "decision_type": pcommon.ValueTypeStr, "decision_source": pcommon.ValueTypeStr, "tool_source": pcommon.ValueTypeStr, "effort": pcommon.ValueTypeStr}
	seen := map[string]bool{}
	each(logs, func(_ pcommon.Map, r plog.LogRecord) {
		if r.SeverityNumber() != 0 || r.SeverityText() != "" || r.EventName() != "" || !r.TraceID().IsEmpty() {
			t.Fatal("severity, event name or trace id is set")
		}
		if r.Body().Str() != "claude_code."+str(r.Attributes(), "event.name") || r.Timestamp() != r.ObservedTimestamp() || int64(r.Timestamp())%1e6 != 0 {
			t.Fatalf("body %q, times %d %d", r.Body().Str(), r.Timestamp(), r.ObservedTimestamp())
		}
		name := str(r.Attributes(), "event.name")
		for k, v := range r.Attributes().All() {
			seen[k] = true
			if w, ok := want[k]; ok && v.Type() != w {
				t.Fatalf("%s of %s is a %s, want %s", k, name, v.Type(), w)
			}
			if k == "decision" && name != "tool_decision" || k == "decision_type" && name != "tool_result" || k == "tool_source" && name != "tool_decision" {
				t.Fatalf("%s on a %s", k, name)
			}
		}
	})
	for k := range want {
		if !seen[k] {
			t.Errorf("no %s in the stream", k)
		}
	}
	// A release of the spring sends the duration of a tool as a text.
	o = week(4)
	o.Scenario.Telemetry.Wire = "2.1.130"
	_, logs = emitted(t, o)
	each(logs, func(_ pcommon.Map, r plog.LogRecord) {
		name := str(r.Attributes(), "event.name")
		if v, ok := r.Attributes().Get("duration_ms"); ok && (v.Type() == pcommon.ValueTypeStr) != (name == "tool_result") {
			t.Fatalf("duration_ms of %s is a %s", name, v.Type())
		}
		if _, ok := r.Attributes().Get("cost_usd_micros"); ok {
			t.Fatal("cost_usd_micros before its release")
		}
	})
}

// (c) costs reproduce to the micro-dollar from the tokens on the wire.
func TestEmitC(t *testing.T) {
	_, logs := emitted(t, week(5))
	n := 0
	each(logs, func(_ pcommon.Map, r plog.LogRecord) {
		a := r.Attributes()
		if str(a, "event.name") != "api_request" {
			return
		}
		n++
		num := func(k string) int64 { v, _ := a.Get(k); return v.Int() }
		p := april[str(a, "model")]
		// list price: a cache read costs a tenth of the input, a write twice the input
		want := float64(num("input_tokens")*p[0]+num("output_tokens")*p[1]+2*num("cache_creation_tokens")*p[0]) + 0.1*float64(num("cache_read_tokens")*p[0])
		usd, _ := a.Get("cost_usd")
		if d := float64(num("cost_usd_micros")) - want; d > 0.51 || d < -0.51 || usd.Double() != float64(num("cost_usd_micros"))/1e6 {
			t.Fatalf("%d micro-dollars, %g dollars, want %g", num("cost_usd_micros"), usd.Double(), want)
		}
	})
	if n == 0 {
		t.Fatal("no requests")
	}
}

// (d) an executed call has a decision and then a result with one tool_use_id, a
// rejected one only the decision. (e) the numbers of a process rise from 0.
func TestEmitDE(t *testing.T) {
	o := week(6)
	o.Gate = &door{verdict: Ask}
	events, _ := emitted(t, o)
	state := map[string]string{}
	next := map[string][]int64{}
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case event.ToolDecision:
			if state[e.ToolUse] != "" {
				t.Fatalf("%s decided twice", e.ToolUse)
			}
			state[e.ToolUse] = e.Decision
		case event.ToolResult:
			if state[e.ToolUse] != "accept" {
				t.Fatalf("result of %s after %q", e.ToolUse, state[e.ToolUse])
			}
			state[e.ToolUse] = "done"
		}
		if e.Sequence == 0 {
			next[e.Session] = append(next[e.Session], 1)
			continue
		}
		k := slices.Index(next[e.Session], e.Sequence)
		if k < 0 {
			t.Fatalf("session %s: number %d follows no other", e.Session, e.Sequence)
		}
		next[e.Session][k]++
	}
	count := map[string]int{}
	for _, s := range state {
		count[s]++
	}
	if count["done"] == 0 || count["reject"] == 0 || count["accept"] > 3 { // the end of the period may cut one off
		t.Errorf("%v", count)
	}
}

// (f) the content matrix of revision D4.
func TestEmitF(t *testing.T) {
	type content struct{ prompts, responses, details bool }
	for _, c := range []struct {
		profile string
		list    []string
		want    content
	}{
		{"cowork-local-1p", nil, content{true, true, true}},
		{"cowork-cloud", nil, content{true, true, true}},
		{"cowork-3p", nil, content{}},
		{"claude-code", nil, content{}},
		{"cowork-local-1p", []string{}, content{}},
		{"cowork-local-1p", []string{"userPrompts"}, content{true, true, false}},
		{"cowork-3p", []string{"userPrompts"}, content{true, true, false}},
		{"cowork-local-1p", []string{"assistantResponses"}, content{false, true, false}},
		{"cowork-3p", []string{"toolDetails"}, content{false, false, true}},
	} {
		o := week(7)
		o.Scenario.Telemetry.Profile, o.Scenario.Telemetry.Content, o.Scenario.Telemetry.Wire = c.profile, c.list, "2.1.201"
		var got content
		_, logs := emitted(t, o)
		each(logs, func(_ pcommon.Map, r plog.LogRecord) {
			a := r.Attributes()
			text := func(k string) bool { return str(a, k) != "(absent)" && str(a, k) != event.Redacted }
			got.prompts = got.prompts || text("prompt")
			got.responses = got.responses || text("response")
			got.details = got.details || text("tool_input") || text("tool_parameters") || text("server_name")
			if str(a, "event.name") == "user_prompt" && (str(a, "prompt") == "(absent)" || str(a, "prompt_length") == "0") {
				t.Fatal("a prompt without its text or placeholder, or without its length")
			}
		})
		if got != c.want {
			t.Errorf("%s with %v: %+v, want %+v", c.profile, c.list, got, c.want)
		}
	}
}

// (g) every defect shows in the stream and leaves life as it was.
func TestEmitG(t *testing.T) {
	if !reflect.DeepEqual(Defects(), strings.Split(enumOf(t, "Defects"), "|")) {
		t.Errorf("the loader accepts other defects than exist: %s", enumOf(t, "Defects"))
	}
	var names []string
	for _, p := range otlp.Profiles() {
		names = append(names, p.Name)
	}
	if strings.Join(names, "|") != enumOf(t, "Profile") {
		t.Errorf("the loader accepts other profiles than exist: %s", enumOf(t, "Profile"))
	}
	plain := run(t, week(8), nil)
	for _, defect := range Defects() {
		o := week(8)
		o.Scenario.Telemetry.Defects = []string{defect}
		var sum struct{ results, causes, anonymous, remote, decisions, skewed, repeated, gaps, late, plainText int }
		ids := map[eventID]bool{}
		next := map[string]int64{}
		var top int64
		out := run(t, o, func(b []event.Event) {
			for i := range b {
				e := &b[i]
				id := eventID{e.Session, e.Sequence, e.Time}
				sum.repeated += btoi(ids[id])
				ids[id] = true
				sum.results += btoi(e.Kind == event.ToolResult)
				sum.causes += btoi(e.Kind == event.ToolResult && e.Has&event.FSource != 0)
				sum.decisions += btoi(e.Kind == event.ToolDecision)
				sum.anonymous += btoi(e.Email == "" && e.Account == "")
				sum.remote += btoi(e.Surface == "remote")
				sum.plainText += btoi(e.Kind == event.UserPrompt && e.PromptText != event.Redacted)
				if n := next[e.Session]; e.Sequence > n {
					sum.gaps++
				}
				next[e.Session] = max(next[e.Session], e.Sequence+1)
				sum.skewed += btoi(e.Time > top+int64(5*time.Minute) && top > 0 && i == 0)
				sum.late += btoi(e.Time < top-int64(20*time.Second))
				top = max(top, e.Time)
			}
		})
		if out.Sessions != plain.Sessions || out.Prompts != plain.Prompts {
			t.Errorf("%s: %d sessions and %d prompts, were %d and %d", defect, out.Sessions, out.Prompts, plain.Sessions, plain.Prompts)
		}
		if out.Total+out.Withheld+out.Lost-out.Duplicates != plain.Total && defect != OldDesktop {
			t.Errorf("%s: %d events, %d withheld, %d lost, %d twice; were %d", defect, out.Total, out.Withheld, out.Lost, out.Duplicates, plain.Total)
		}
		ok := map[string]bool{
			SilentExporter: out.Withheld > 0, EgressDrop: out.Lost > 0, OldDesktop: sum.decisions < sum.results, TailLoss: out.Lost > 0,
			SettingsAtStart: sum.plainText > 0 && sum.plainText < plain.Prompts, MissingDecisionSource: sum.causes*2 < sum.results,
			CloudIdentityLoss: sum.remote > 0 && sum.anonymous > 0 && sum.anonymous < out.Total, DuplicateBatches: sum.repeated > 0 && sum.repeated == out.Duplicates,
			ClockSkew: sum.skewed+sum.late > 0, ContentOff: sum.plainText == 0, SequenceGaps: sum.gaps > 0 && out.Lost > 0, LateBatches: sum.late > 0,
		}
		if !ok[defect] {
			t.Errorf("%s does not show: %+v, %d withheld, %d lost", defect, sum, out.Withheld, out.Lost)
		}
	}
	o := week(8)
	o.Scenario.Telemetry.Defects = []string{"gremlins"}
	if _, err := Run(t.Context(), o, func([]event.Event) error { return nil }); err == nil || !strings.Contains(err.Error(), "gremlins") {
		t.Errorf("an unknown defect gives %v", err)
	}
}

func enumOf(t *testing.T, field string) string {
	f, ok := reflect.TypeFor[scenarios.Telemetry]().FieldByName(field)
	_, enum, found := strings.Cut(f.Tag.Get("yaml"), "enum=")
	if !ok || !found {
		t.Fatalf("no enum on %s", field)
	}
	return enum
}

// (h) the same seed gives the same bytes, with every defect at once.
func TestEmitH(t *testing.T) {
	var want []byte
	for _, workers := range []int{1, 3} {
		o := week(9)
		o.Workers = workers
		o.Scenario.Telemetry.Defects = slices.DeleteFunc(Defects(), func(d string) bool { return d == ContentOff })
		p := WireProfile(o.Scenario.Telemetry)
		var got []byte
		run(t, o, func(b []event.Event) { got = p.AppendProto(got, b) })
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d workers: other bytes", workers)
		}
	}
}
