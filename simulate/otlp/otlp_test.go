package otlp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/sandtable-dev/sandtable/rules/event"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "otlp", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decoded(t testing.TB, data []byte) *Batch {
	t.Helper()
	var b Batch
	if err := DecodeJSON(data, &b); err != nil {
		t.Fatal(err)
	}
	return &b
}

// record wraps attributes into a request of one record.
func request(attrs string) []byte {
	return []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1790000000123000000","attributes":[` + attrs + `]}]}]}]}`)
}

func attr(key, v string) string { return fmt.Sprintf(`{"key":%q,"value":%s}`, key, v) }

func named(name string, more ...string) []byte {
	return request(strings.Join(append([]string{attr("event.name", fmt.Sprintf(`{"stringValue":%q}`, name))}, more...), ","))
}

func one(t *testing.T, data []byte) event.Event {
	t.Helper()
	b := decoded(t, data)
	if len(b.Events) != 1 {
		t.Fatalf("%d events, bad %v, want one", len(b.Events), b.Bad)
	}
	return b.Events[0]
}

// same compares events; the order of Extra is no fact of the record.
func same(t testing.TB, what string, got, want []event.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := sorted(got[i]), sorted(want[i])
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("%s: event %d\n got %+v\nwant %+v", what, i, g, w)
		}
	}
}

func sorted(e event.Event) event.Event {
	x := append([]event.Attr(nil), e.Extra...)
	for i := range x {
		if f, ok := x[i].Value.(float64); ok { // NaN equals nothing
			x[i].Value = fmt.Sprint("double ", f)
		}
	}
	sort.SliceStable(x, func(i, j int) bool { return x[i].Key < x[j].Key })
	e.Extra = x
	e.Retyped, e.Repeated = 0, false // facts of the wire, not of the record
	return e
}

func TestFixture(t *testing.T) {
	b := decoded(t, fixture(t, "cowork.json"))
	if len(b.Bad) != 0 || len(b.Events) != 10 || b.Records != 10 {
		t.Fatalf("%d events, bad %v", len(b.Events), b.Bad)
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Product != event.Cowork || e.Sequence != int64(i) || e.Scope != scopeName || e.ServiceVersion != "1.24012.1" ||
			e.Email != "tamsin@quarrel.example" || e.Observed != e.Time || !e.Present(event.FTime|event.FObserved|event.FAccount) {
			t.Errorf("event %d: %+v", i, e)
		}
		for _, a := range e.Extra {
			if a.Key == "service.name" || a.Key == "os.type" {
				t.Errorf("event %d: %s counts as unknown", i, a.Key)
			}
		}
	}
	if e := b.Events[3]; e.MCPServer != "ledger" || e.ServerScope != "user" || e.Source != "user_temporary" || !e.Success || e.Duration != 212 || e.ResultSize != 4021 {
		t.Errorf("tool result: %+v", e)
	}
	if e := b.Events[4]; e.CostMicros != 106866 || e.CostFrom != event.CostMicros || e.CacheWrite != 16935 || len(e.HostPaths) != 2 {
		t.Errorf("request: %+v", e)
	}
	if e := b.Events[7]; e.ServerScope != "user" || e.Duration != 1502 || e.ConnStatus != "connected" {
		t.Errorf("connection: %+v", e)
	}
	want := []event.Attr{{Key: "phase", Value: 0.25}, {Key: "tides", Value: event.Nested(`[1,"x"]`)}, {Key: "sky", Value: event.Nested(`{"clear":true}`)}, {Key: "stars", Value: []string{}}}
	if e := b.Events[9]; e.Kind != event.Other || e.Name != "harvest_moon" || !reflect.DeepEqual(e.Extra[2:], want) {
		t.Errorf("unknown event: %+v", e.Extra)
	}
	l := decoded(t, fixture(t, "legacy.json"))
	if e := l.Events[1]; e.Product != event.ClaudeCode || e.InputTokens != 372 || e.CostMicros != 532 || e.CostFrom != event.CostUSD {
		t.Errorf("legacy request: %+v", e)
	}
}

// (a) both encodings give the same events.
func TestAcceptA(t *testing.T) {
	for _, name := range []string{"cowork.json", "legacy.json"} {
		want := decoded(t, fixture(t, name))
		u := plog.JSONUnmarshaler{}
		logs, err := u.UnmarshalLogs(fixture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		m := plog.ProtoMarshaler{}
		data, err := m.MarshalLogs(logs)
		if err != nil {
			t.Fatal(err)
		}
		var got Batch
		if err := DecodeProto(data, &got); err != nil || len(got.Bad) != 0 {
			t.Fatal(err, got.Bad)
		}
		same(t, name, got.Events, want.Events)
	}
}

// (b) numbers and truth values in every spelling.
func TestAcceptB(t *testing.T) {
	for _, v := range []string{`{"intValue":42}`, `{"intValue":"42"}`, `{"stringValue":"42"}`, `{"doubleValue":42}`, `{"doubleValue":"42.0"}`, `{"intValue":4.2e1}`, `{"int_value":42}`} {
		if e := one(t, named("tool_result", attr("duration_ms", v))); e.Duration != 42 || e.Has&event.FDuration == 0 {
			t.Errorf("%s: %d", v, e.Duration)
		}
	}
	for _, v := range []string{`{"boolValue":true}`, `{"stringValue":"true"}`, `{"boolValue":"true"}`} {
		if e := one(t, named("tool_result", attr("success", v))); !e.Success {
			t.Errorf("%s: not true", v)
		}
	}
	if e := one(t, named("tool_result", attr("success", `{"stringValue":"false"}`))); e.Success || e.Has&event.FSuccess == 0 {
		t.Error("false is not present and false")
	}
	for _, v := range []string{`{"doubleValue":0.0091808}`, `{"stringValue":"0.0091808"}`, `{"doubleValue":"0.0091808"}`} {
		if e := one(t, named("api_request", attr("cost_usd", v))); e.CostMicros != 9181 || e.CostFrom != event.CostUSD {
			t.Errorf("%s: %d", v, e.CostMicros)
		}
	}
	if e := one(t, named("api_request", attr("cost_usd_micros", `{"intValue":7}`), attr("cost_usd", `{"doubleValue":9}`))); e.CostMicros != 7 {
		t.Errorf("micro-dollars do not win: %d", e.CostMicros)
	}
}

// (c) one bad record never loses its neighbours.
func TestAcceptC(t *testing.T) {
	good := `{"timeUnixNano":"1000000","body":{"stringValue":"claude_code.user_prompt"}}`
	for _, c := range []struct {
		bad      string
		salvaged bool
	}{
		{`{"timeUnixNano":"1000000","body":{"stringValue":"claude_code.x"},"attributes":[{"key":"k","value":{"doubleValue":{}}}]}`, true},
		{`{"timeUnixNano":"soon","body":{"stringValue":"claude_code.x"}}`, true},
		{`{"timeUnixNano":"1000000","body":{"stringValue":"claude_code.x"},"attributes":7}`, true},
		{`{"timeUnixNano":"1000000","body":{"stringValue":"claude_code.x"},"attributes":[3]}`, true},
		{`{"timeUnixNano":"1000000","body":{"stringValue":"claude_code.x"},"attributes":[{"key":"duration_ms","value":{"stringValue":"slow"}}]}`, true},
		{`{"timeUnixNano" "1000000"}`, false},
		{`{"timeUnixNano":"1000000",}`, false},
		{`17`, false},
		{`null`, false},
	} {
		b := decoded(t, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[`+good+`,`+c.bad+`,`+good+`]}]}]}`))
		want := 2
		if c.salvaged {
			want = 3
		}
		if len(b.Events) != want || b.Records != 3 || len(b.Bad) != 1 || b.Bad[0].Index != 1 || b.Bad[0].Salvaged != c.salvaged {
			t.Errorf("%s: %d events, bad %+v", c.bad, len(b.Events), b.Bad)
		}
	}
	// A cut request keeps its head.
	whole := `{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[` + good + `,` + good + `]}]}]}`
	b := decoded(t, []byte(whole[:len(whole)-20]))
	if len(b.Events) != 1 || b.Records != 2 || len(b.Bad) == 0 {
		t.Errorf("cut: %d events, %+v", len(b.Events), b.Bad)
	}
	for _, s := range []string{"", "  ", "garbage", "7", `"x"`, "{", `{"resourceLogs"`, "null"} {
		if err := DecodeJSON([]byte(s), new(Batch)); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

// (d) unknown events and attributes stay, with their types.
func TestAcceptD(t *testing.T) {
	e := one(t, named("brand_new", attr("n", `{"intValue":"9007199254740993"}`), attr("t", `{"boolValue":false}`), attr("e", `{"stringValue":""}`), attr("b", `{"bytesValue":"aGk="}`)))
	want := []event.Attr{{Key: "n", Value: int64(9007199254740993)}, {Key: "t", Value: false}, {Key: "e", Value: ""}, {Key: "b", Value: "aGk="}}
	if e.Name != "brand_new" || e.Kind != event.Other || !reflect.DeepEqual(e.Extra, want) {
		t.Errorf("%+v", e)
	}
}

// (e) where the event's name comes from.
func TestAcceptE(t *testing.T) {
	for _, c := range [][4]string{
		{"tool_result", "claude_code.x", "y", "tool_result"},
		{"claude_code.tool_result", "", "", "tool_result"},
		{"", "claude_code.tool_result", "y", "tool_result"},
		{"", "", "claude_code.tool_result", "tool_result"},
		{"", "", "y", "y"},
		{"", "lam_turn", "", "lam_turn"},
		{"", "Something went wrong. Sorry.", "", ""},
	} {
		if got := eventName(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%q: got %q", c, got)
		}
	}
}

// (f) resource and record attributes merge, the record's win, in any order.
func TestAcceptF(t *testing.T) {
	data := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[
		{"body":{"stringValue":"claude_code.user_prompt"},"attributes":[{"key":"service.version","value":{"stringValue":"2"}},{"key":"host.arch","value":{"stringValue":"amd64"}}]},
		{"body":{"stringValue":"claude_code.user_prompt"}}],
		"scope":{"name":"s"}}],
		"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cowork"}},{"key":"service.version","value":{"stringValue":"1"}},{"key":"host.arch","value":{"stringValue":"arm64"}}]}}]}`
	b := decoded(t, []byte(data))
	a, c := b.Events[0], b.Events[1]
	if a.Product != event.Cowork || a.Scope != "s" || a.ServiceVersion != "2" || c.ServiceVersion != "1" ||
		a.Extra[0].Value != "amd64" || c.Extra[0].Value != "arm64" {
		t.Errorf("%+v\n%+v", a, c)
	}
	for _, old := range []string{
		strings.Replace(strings.Replace(data, "scopeLogs", "instrumentationLibraryLogs", 1), `"scope"`, `"instrumentationLibrary"`, 1),
		strings.Replace(data, "resourceLogs", "resource_logs", 1),
		data[len(`{"resourceLogs":[`) : len(data)-2],
		"[" + data + "]",
	} {
		same(t, "older shape", decoded(t, []byte(old)).Events, b.Events)
	}
	if b := decoded(t, []byte(`{"resourceSpans":[{}],"resourceMetrics":[]}`)); b.Other != 2 || len(b.Events) != 0 {
		t.Errorf("other signals: %+v", b)
	}
}

// (g) cut JSON inside a string is kept as it is.
func TestAcceptG(t *testing.T) {
	e := one(t, named("tool_result", attr("tool_name", `{"stringValue":"Write"}`), attr("tool_input", `{"stringValue":"{\"file_path\":\"/a"}`), attr("tool_parameters", `{"stringValue":"{{"}`)))
	if e.Input != `{"file_path":"/a` || e.Parameters != "{{" || e.PathKnown != event.Unknown {
		t.Errorf("%+v", e)
	}
}

// (h) nothing is guessed: absence shows in Has.
func TestAcceptH(t *testing.T) {
	e := one(t, named("user_prompt", attr("user.email", `{"stringValue":""}`)))
	if e.Has != event.FTime|event.FEmail || e.Product != event.UnknownProduct {
		t.Errorf("has %b, product %v", e.Has, e.Product)
	}
	b := decoded(t, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}`))
	if len(b.Events) != 1 || b.Events[0].Has != 0 || len(b.Bad) != 1 {
		t.Errorf("%+v", b)
	}
}

func TestProduct(t *testing.T) {
	for _, c := range []struct {
		service, scope string
		want           event.Product
	}{
		{"cowork", scopeName, event.Cowork}, {"claude-code", scopeName, event.ClaudeCode}, {"claude-code-desktop", scopeName, event.ClaudeCode},
		{"claude-desktop", "claude-desktop.events", event.DesktopLogs}, {"cowork", "claude-desktop.events", event.DesktopLogs},
		{"claude-office-agents", "", event.OfficeAgents}, {"", scopeName, event.UnknownProduct}, {"nginx", "", event.UnknownProduct},
	} {
		if got := product(c.service, c.scope); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			p.Content = Content{true, true, true}
			for _, name := range []string{"cowork.json", "legacy.json"} {
				want := decoded(t, fixture(t, name)).Events
				if p.Strings {
					for i := range want {
						for j, a := range want[i].Extra {
							switch a.Value.(type) {
							case int64, float64, bool, event.Nested:
								want[i].Extra[j].Value = fmt.Sprint(a.Value)
							}
						}
					}
				}
				line := p.AppendJSON(nil, want)
				if bytes.IndexByte(line, '\n') >= 0 || !bytes.Equal(line, p.AppendJSON(nil, want)) {
					t.Fatal("not one line, or not the same twice")
				}
				b := decoded(t, line)
				if len(b.Bad) != 0 {
					t.Fatal(b.Bad)
				}
				same(t, "json", b.Events, want)
				var pb Batch
				if err := DecodeProto(p.AppendProto(nil, want), &pb); err != nil || len(pb.Bad) != 0 {
					t.Fatal(err, pb.Bad)
				}
				same(t, "protobuf", pb.Events, want)
			}
		})
	}
}

// The current columns of the type table, and no severity, no event name field.
func TestWireTypes(t *testing.T) {
	p, _ := ProfileNamed("cowork-local-1p")
	line := string(p.AppendJSON(nil, decoded(t, fixture(t, "cowork.json")).Events))
	for _, want := range []string{
		`"timeUnixNano":"1790000001023000000","observedTimeUnixNano":"1790000001023000000","body":{"stringValue":"claude_code.user_prompt"}`,
		`{"key":"event.sequence","value":{"intValue":4}}`, `{"key":"prompt_length","value":{"stringValue":"31"}}`,
		`{"key":"cost_usd","value":{"doubleValue":0.1068663}}`, `{"key":"cost_usd_micros","value":{"intValue":106866}}`,
		`{"key":"success","value":{"stringValue":"true"}}`, `{"key":"duration_ms","value":{"intValue":212}}`,
		`{"key":"tool_result_size_bytes","value":{"stringValue":"4021"}}`, `{"key":"response_length","value":{"intValue":4}}`,
		`{"key":"has_hooks","value":{"boolValue":false}}`, `{"key":"decision_source","value":{"stringValue":"user_temporary"}}`,
		`"scope":{"name":"com.anthropic.claude_code.events","version":"2.1.238"}`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(line, "severity") || strings.Contains(line, "eventName") || strings.Count(line, `"resource":`) != 1 {
		t.Error("severity, event name or a second resource block")
	}
	if n := strings.Count(line, `"service.name"`); n != 11 {
		t.Errorf("resource repeated %d times, want 11", n)
	}
	p, _ = ProfileNamed("legacy-strings")
	if line := string(p.AppendJSON(nil, decoded(t, fixture(t, "cowork.json")).Events)); strings.Contains(line, "intValue") || strings.Contains(line, "doubleValue") || strings.Contains(line, "boolValue") {
		t.Error("legacy writes a number")
	}
}

func TestContent(t *testing.T) {
	p, _ := ProfileNamed("cowork-3p")
	b := decoded(t, p.AppendJSON(nil, decoded(t, fixture(t, "cowork.json")).Events))
	for i := range b.Events {
		e := &b.Events[i]
		if e.Has&(event.FInput|event.FParameters) != 0 || hasExtra(e.Extra, "server_name") {
			t.Errorf("%s carries details", e.Name)
		}
		if e.Kind == event.UserPrompt && (e.PromptText != event.Redacted || e.PromptLength != 31) {
			t.Errorf("prompt %q", e.PromptText)
		}
		if e.Kind == event.AssistantResponse && e.ResponseText != event.Redacted {
			t.Errorf("response %q", e.ResponseText)
		}
	}
}

func TestStamp(t *testing.T) {
	for _, p := range Profiles() {
		e := event.Event{Kind: event.UserPrompt, Time: 5e6, Email: "a@b.example", Has: event.FEmail}
		p.Stamp(&e)
		p.Content = Content{true, true, true}
		same(t, p.Name, decoded(t, p.AppendJSON(nil, []event.Event{e})).Events, []event.Event{e})
		if (e.Email != "") != p.Account || e.Observed != e.Time || e.Name != "user_prompt" {
			t.Errorf("%s: %+v", p.Name, e)
		}
	}
}

// fromOracle reads a request with the reference library and builds events from
// its tree, by the same record rules but none of the same wire code.
func fromOracle(logs plog.Logs) *Batch {
	var b Batch
	for _, rl := range logs.ResourceLogs().All() {
		var res resource
		rr := resourceRecord(&b, &res)
		for k, v := range rl.Resource().Attributes().All() {
			rr.attr(clean(k), oracleValue(v))
		}
		rr.done(&res)
		for _, sl := range rl.ScopeLogs().All() {
			own := res
			own.ev.Scope, own.ev.ScopeVersion = clean(sl.Scope().Name()), clean(sl.Scope().Version())
			if own.ev.Scope != "" {
				own.ev.Has |= event.FScope
			}
			for _, lr := range sl.LogRecords().All() {
				var r record
				r.start(&b, &own)
				r.ev.Trace, r.ev.Span = lr.TraceID().String(), lr.SpanID().String()
				r.ev.Severity, r.ev.SeverityText = int32(lr.SeverityNumber()), clean(lr.SeverityText())
				r.instant(uint64(lr.Timestamp()), &r.time, &r.timed)
				r.instant(uint64(lr.ObservedTimestamp()), &r.observed, &r.observedT)
				if v := oracleValue(lr.Body()); v.k == text || v.k == nested {
					r.body = v.s
				}
				r.eventName = clean(lr.EventName())
				for k, v := range lr.Attributes().All() {
					r.attr(clean(k), oracleValue(v))
				}
				r.finish()
			}
		}
	}
	return &b
}

func oracleValue(v pcommon.Value) value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return value{k: text, s: clean(v.Str())}
	case pcommon.ValueTypeInt:
		return value{k: integer, i: v.Int()}
	case pcommon.ValueTypeDouble:
		return value{k: double, f: v.Double()}
	case pcommon.ValueTypeBool:
		return value{k: boolean, b: v.Bool()}
	case pcommon.ValueTypeBytes:
		return value{k: blob, s: v.AsString()}
	case pcommon.ValueTypeSlice:
		var g gather
		for _, x := range v.Slice().All() {
			g.add(oracleValue(x))
		}
		return g.value()
	case pcommon.ValueTypeMap:
		out := []byte{'{'}
		for k, x := range v.Map().All() {
			out = appendMember(out, clean(k), oracleValue(x))
		}
		return value{k: nested, s: string(append(out, '}'))}
	}
	return value{}
}

func TestOracle(t *testing.T) {
	var inputs [][]byte
	for _, name := range []string{"cowork.json", "legacy.json"} {
		inputs = append(inputs, fixture(t, name))
		for _, p := range Profiles() {
			inputs = append(inputs, p.AppendJSON(nil, decoded(t, fixture(t, name)).Events))
		}
	}
	ju, jm, pu, pm := plog.JSONUnmarshaler{}, plog.JSONMarshaler{}, plog.ProtoUnmarshaler{}, plog.ProtoMarshaler{}
	for i, in := range inputs {
		logs, err := ju.UnmarshalLogs(in)
		if err != nil {
			t.Fatalf("input %d: the reference refuses it: %v", i, err)
		}
		want := fromOracle(logs).Events
		same(t, "read", decoded(t, in).Events, want)
		again, _ := jm.MarshalLogs(logs)
		same(t, "read what the reference wrote", decoded(t, again).Events, want)
		pb, _ := pm.MarshalLogs(logs)
		var b Batch
		if err := DecodeProto(pb, &b); err != nil {
			t.Fatal(err)
		}
		same(t, "protobuf", b.Events, want)
		for _, p := range Profiles() {
			p.Content = Content{true, true, true}
			own, err := pu.UnmarshalLogs(p.AppendProto(nil, want))
			if err != nil {
				t.Fatalf("the reference refuses our protobuf: %v", err)
			}
			if !p.Strings {
				same(t, "protobuf by the reference", fromOracle(own).Events, want)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	many := strings.Repeat(attr("k", `{"intValue":1}`)+",", 300)
	b := decoded(t, named("x", strings.TrimSuffix(many, ",")))
	if len(b.Events) != 1 || len(b.Bad) != 1 {
		t.Errorf("attributes: %+v", b.Bad)
	}
	deep := strings.Repeat(`{"arrayValue":{"values":[`, 40) + strings.Repeat(`]}}`, 40)
	if b := decoded(t, named("x", attr("k", deep))); len(b.Events) != 1 || len(b.Bad) != 1 {
		t.Errorf("depth: %+v", b.Bad)
	}
	for _, c := range []string{"[", `{"a":`, `{"resourceLogs":[`, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"k","value":{"arrayValue":{"values":[`} {
		_ = DecodeJSON([]byte(strings.Repeat(c, 20000)), new(Batch)) // must return
	}
}

// What was decoded does not change with the bytes it was decoded from.
func TestNothingIsAView(t *testing.T) {
	for _, name := range []string{"cowork.json", "legacy.json", "claude-code.json"} {
		want := decoded(t, fixture(t, name)).Events
		var b Batch
		for range 2 { // the second time with what the first left behind
			b.Reset()
			data := Copy.AppendProto(nil, want)
			if err := DecodeProto(data, &b); err != nil {
				t.Fatal(err)
			}
			for i := range data {
				data[i] = 'x'
			}
			same(t, name, b.Events, want)
		}
		b.Reset()
		data := Copy.AppendJSON(nil, want)
		if err := DecodeJSON(data, &b); err != nil {
			t.Fatal(err)
		}
		for i := range data {
			data[i] = 'x'
		}
		same(t, name+" as JSON", b.Events, want)
	}
}

// What a batch keeps of the requests before never shows: neither in what it reads
// next nor when their bytes are gone.
func TestNothingIsLeftBehind(t *testing.T) {
	for _, borrow := range []bool{false, true} {
		used := Batch{Borrow: borrow}
		for range 3 {
			for _, name := range []string{"cowork.json", "legacy.json", "claude-code.json"} {
				events := decoded(t, fixture(t, name)).Events
				for _, p := range Profiles() {
					readTwice(t, &used, p.AppendProto(nil, events), DecodeProto)
					readTwice(t, &used, p.AppendJSON(nil, events), DecodeJSON)
				}
			}
		}
	}
}

// readTwice holds what a used batch reads to what a new one reads.
func readTwice(t *testing.T, used *Batch, data []byte, decode func([]byte, *Batch) error) {
	t.Helper()
	new := Batch{Borrow: used.Borrow}
	whole, scrap := bytes.Clone(data), bytes.Clone(data)
	want := decode(whole, &new)
	used.Reset()
	got := decode(scrap, used)
	if fmt.Sprint(got) != fmt.Sprint(want) || used.Records != new.Records || !reflect.DeepEqual(append([]BadRecord(nil), used.Bad...), append([]BadRecord(nil), new.Bad...)) {
		t.Fatalf("%v, %d records, %+v; a new batch gives %v, %d, %+v", got, used.Records, used.Bad, want, new.Records, new.Bad)
	}
	same(t, "read with a used batch", used.Events, new.Events)
	for i := range scrap {
		scrap[i] = 'x'
	}
}

// spaced is a request in a form that the quick readers do not know: with a blank in
// each record and attribute.
func spaced(data []byte) []byte {
	for _, head := range []string{`"key":"`, `"timeUnixNano":"`} {
		data = bytes.ReplaceAll(data, []byte("{"+head), []byte("{ "+head))
	}
	return data
}

// sameSpaced holds what a batch reads of a request to what a new one reads of the
// same request in the form with blanks.
func sameSpaced(t *testing.T, used *Batch, data, spaced []byte) {
	t.Helper()
	slow := Batch{Borrow: used.Borrow}
	used.Reset()
	got, want := DecodeJSON(data, used), DecodeJSON(spaced, &slow)
	if (got == nil) != (want == nil) || used.Records != slow.Records || !reflect.DeepEqual(append([]BadRecord{}, used.Bad...), append([]BadRecord{}, slow.Bad...)) {
		t.Fatalf("%s\n%v, %d records, %+v; with blanks %v, %d, %+v", data, got, used.Records, used.Bad, want, slow.Records, slow.Bad)
	}
	same(t, "with blanks", used.Events, slow.Events)
}

// The quick readers read what the reader of any form reads.
func TestQuick(t *testing.T) {
	texts := []string{"", "7", "-7", "1e3", "true", "undefined", "a", `\"`, `\\`, `\\\"`, `\u00e9\ud83d\ude00`, `\ud83d`, `\x`, `\`, "é", "\u2028", "\xff", "\xc3", "{\"", "}}", "\t"}
	for n := range 71 {
		fill := strings.Repeat("abcdefgü", 10)[:n]
		texts = append(texts, fill, fill+`\"`+fill, fill+`\\`, fill+"\xa2\xdc"+fill, fill+`"`)
	}
	var values []string
	for _, s := range texts {
		values = append(values, `{"stringValue":"`+s+`"}`, `{"arrayValue":{"values":[{"stringValue":"`+s+`"},{"stringValue":"b"}]}}`)
	}
	for _, s := range []string{"0", "007", "-1", "1.5", "1e2", "123456789012345678", "1234567890123456789", "99999999999999999999", `"12"`, `"x"`, `"12`, "null", "true", "false", "tru", ""} {
		values = append(values, `{"intValue":`+s+`}`, `{"doubleValue":`+s+`}`, `{"boolValue":`+s+`}`, `{"arrayValue":`+s+`}`)
	}
	values = append(values, `{}`, `null`, `{"arrayValue":{"values":[]}}`, `{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":1}]}}`, `{"arrayValue":{"values":[{"stringValue":"a"}]},"x":1}`, `{"stringValue":"a","x":1}`)
	keys := append(append([]string{}, keyNames[:]...), "unknown", "user.i", "user.idx", "usér.id", `us\u0065r.id`, strings.Repeat("k", 70))
	used, borrowed := Batch{}, Batch{Borrow: true}
	for i, v := range values {
		for j, k := range keys {
			if j%7 != i%7 && k != "unknown" && k != "workspace.host_paths" && k != "user.email" {
				continue
			}
			between := attr("user.id", `{"stringValue":"u"}`) + `,{"key":"` + k + `","value":` + v + `},` + attr("os.type", `{"stringValue":"a"}`)
			data := named("tool_result", between)
			if i%2 == 0 { // with a resource to repeat, and twice, so that there is something to go by
				record := `{"timeUnixNano":"1790000000123000000","observedTimeUnixNano":"1790000000123000001","body":{"stringValue":"claude_code.tool_result"},"attributes":[` + between + `,` + attr("service.name", `{"stringValue":"cowork"}`) + `]}`
				data = []byte(`{"resourceLogs":[{"resource":{"attributes":[` + attr("os.type", `{"stringValue":"a"}`) + `,` + attr("service.name", `{"stringValue":"cowork"}`) + `]},"scopeLogs":[{"scope":{},"logRecords":[` + record + `,` + record + `]}]}]}`)
			}
			sameSpaced(t, &used, data, spaced(data))
			sameSpaced(t, &borrowed, data, spaced(data))
		}
	}
}

// quickRequests are requests in the form that the quick readers know.
func quickRequests(t *testing.T) (out [][]byte) {
	t.Helper()
	var events []event.Event
	seen := map[event.Kind]bool{}
	for _, e := range decoded(t, fixture(t, "cowork.json")).Events {
		if k := e.Kind; !seen[k] && (k == event.UserPrompt || k == event.APIRequest || k == event.ToolResult) {
			seen[k] = true
			events = append(events, e)
		}
	}
	if len(events) != 3 {
		t.Fatalf("%d kinds", len(events))
	}
	p, _ := ProfileNamed("cowork-local-1p")
	number := regexp.MustCompile(`"intValue":([0-9]+)`)
	out = [][]byte{p.AppendJSON(nil, events[:2]), number.ReplaceAll(p.AppendJSON(nil, events[2:]), []byte(`"intValue":"$1"`))}
	for _, data := range out {
		if n := bytes.Count(spaced(data), []byte("{ ")); n < 30 {
			t.Fatalf("%d blanks in %s", n, data)
		}
	}
	return out
}

// A request that ends anywhere holds the same in either form.
func TestQuickCut(t *testing.T) {
	used := Batch{Borrow: true}
	for _, data := range quickRequests(t) {
		for n := range data {
			cut := bytes.Clone(data[:n:n])
			sameSpaced(t, &used, cut, spaced(cut))
		}
	}
}

// So does one with any byte changed, doubled or left out. It is read behind the right
// one, so that there is something to go by.
func TestQuickChanged(t *testing.T) {
	used := Batch{Borrow: true}
	for _, data := range quickRequests(t) {
		used.Reset()
		if err := DecodeJSON(data, &used); err != nil {
			t.Fatal(err)
		}
		for i, old := range data {
			for j, c := range []string{"", string(old) + string(old), "x", "0", `"`, `\`, ",", "}", "]", " "} {
				changed := []byte(string(data[:i]) + c + string(data[i+1:]))
				if (i+j)%7 != 0 && (c != "x" || !json.Valid(changed)) {
					continue
				}
				sameSpaced(t, &used, changed, spaced(changed))
			}
		}
	}
}

// Folders count against what a record may have, also those met before.
func TestQuickLimit(t *testing.T) {
	folders := attr("workspace.host_paths", `{"arrayValue":{"values":[{"stringValue":"/a"}]}}`)
	record := func(n int) string {
		return `{"timeUnixNano":"1790000000123000000","attributes":[` + strings.Repeat(attr("k", `{"intValue":1}`)+",", n) + folders + `]}`
	}
	data := []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + record(0) + `,` + record(maxAttributes-1) + `,` + record(maxAttributes) + `]}]}]}`)
	var b Batch
	sameSpaced(t, &b, data, spaced(data))
	if len(b.Bad) != 3 || b.Bad[1].Reason == b.Bad[2].Reason || b.Bad[2].Reason != "too many attributes" || len(b.Events[2].HostPaths) != 0 || len(b.Events[1].HostPaths) != 1 {
		t.Errorf("%+v", b.Bad)
	}
}

// nanos reads digits and nothing else, held to the library.
func TestNanos(t *testing.T) {
	for _, s := range []string{"0000000000000000000", "1782787411836000000", "9999999999999999999", "0123456789012345678"} {
		for i := range nanoDigits {
			for c := range 256 {
				s := s[:i] + string([]byte{byte(c)}) + s[i+1:]
				want, err := strconv.ParseUint(s, 10, 64)
				if got, ok := nanos(s); ok != (err == nil) || ok && got != want {
					t.Fatalf("%q is %d, %v; want %d, %v", s, got, ok, want, err)
				}
			}
		}
	}
}

// plainEnd finds the first of two bytes, wherever it stands and whatever is around it.
func TestPlainEnd(t *testing.T) {
	around := "a!#[]\x00\x7f\xa2\xdc\xff"
	for n := range 71 {
		var s []byte
		for i := range n {
			s = append(s, around[(i*7+n)%len(around)])
		}
		for from := range n + 1 {
			if got := plainEnd(string(s), from); got != n {
				t.Fatalf("%q from %d: %d", s, from, got)
			}
			for at := from; at < n; at++ {
				x := bytes.Clone(s)
				x[at] = "\"\\"[(at+n)%2]
				for i := at + 1; i < n; i += 3 {
					x[i] = '"'
				}
				if got := plainEnd(string(x), from); got != at {
					t.Fatalf("%q from %d: %d, want %d", x, from, got, at)
				}
			}
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(fixture(f, "cowork.json"))
	f.Add(fixture(f, "legacy.json"))
	f.Add(named("tool_result", attr("source", `{"stringValue":"a"}`), attr("os.type", `{"stringValue":""}`), attr("os.type", `{"stringValue":"b"}`)))
	f.Add([]byte(`[{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"doubleValue":"NaN"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"\ud83d\ude00.\u0000"}}]}]}]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Batch
		if DecodeJSON(data, &b) != nil {
			return
		}
		again(t, &b)
		for _, borrow := range []bool{false, true} {
			used := Batch{Borrow: borrow}
			readTwice(t, &used, data, DecodeJSON)
			readTwice(t, &used, data, DecodeJSON)
			if json.Valid(data) { // so that no text holds what is looked for
				sameSpaced(t, &used, data, spaced(data))
			}
		}
		u := plog.JSONUnmarshaler{}
		logs, err := u.UnmarshalLogs(data)
		if err == nil && len(b.Bad) == 0 && b.Dialect == "" && b.Other == 0 && b.Records == logs.LogRecordCount() {
			same(t, "reference", b.Events, fromOracle(logs).Events)
		}
	})
}

func FuzzDecodeProto(f *testing.F) {
	for _, name := range []string{"cowork.json", "legacy.json"} {
		for _, p := range Profiles() {
			f.Add(p.AppendProto(nil, decoded(f, fixture(f, name)).Events))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Batch
		scrap := bytes.Clone(data)
		err := DecodeProto(scrap, &b)
		clear(scrap) // nothing may be a view
		again(t, &b)
		for _, borrow := range []bool{false, true} {
			used := Batch{Borrow: borrow}
			readTwice(t, &used, data, DecodeProto)
			readTwice(t, &used, data, DecodeProto)
		}
		u := plog.ProtoUnmarshaler{}
		logs, oerr := u.UnmarshalLogs(data)
		if oerr == nil && err == nil && len(b.Bad) == 0 {
			same(t, "reference", b.Events, fromOracle(logs).Events)
		}
	})
}

// again checks that what was decoded survives writing and reading.
func again(t *testing.T, b *Batch) {
	if len(b.Events)+len(b.Bad) < b.Records {
		t.Fatalf("%d records, %d events, %d bad", b.Records, len(b.Events), len(b.Bad))
	}
	for i := range b.Events {
		if len(b.Events[i].Extra) > 150 {
			return // merging resource and record may pass the limit
		}
		if e := &b.Events[i]; e.Has&event.FCostUSD != 0 && e.CostUSD == 0 && e.CostMicros != 0 {
			return // amounts that contradict each other: the one above 0 is written
		}
	}
	p := Profile{Content: Content{true, true, true}, RepeatResource: true}
	var j, pb Batch
	if len(b.Events) == 0 {
		return
	}
	if err := DecodeJSON(p.AppendJSON(nil, b.Events), &j); err != nil {
		t.Fatal(err)
	}
	same(t, "json again", j.Events, b.Events)
	if err := DecodeProto(p.AppendProto(nil, b.Events), &pb); err != nil {
		t.Fatal(err)
	}
	same(t, "protobuf again", pb.Events, b.Events)
}

// benchEvents is 64 records of one process in the product's usual mix: prompts,
// requests, answers, decisions and results.
func benchEvents(b *testing.B) []event.Event {
	var core []event.Event
	for _, e := range decoded(b, fixture(b, "cowork.json")).Events {
		switch e.Kind {
		case event.UserPrompt, event.APIRequest, event.AssistantResponse, event.ToolDecision, event.ToolResult:
			core = append(core, e)
		}
	}
	out := make([]event.Event, 64)
	for i := range out {
		e := &out[i]
		*e = core[i%len(core)]
		e.Time += int64(i) * 1_234_000_000
		e.Observed, e.Sequence = e.Time, int64(i)
		if e.Request != "" {
			e.Request = fmt.Sprintf("req_011Bench%012d", i)
		}
		if e.ToolUse != "" {
			e.ToolUse = fmt.Sprintf("toolu_01Bench%012d", i)
		}
		e.CacheRead += int64(977 * i)
	}
	return out
}

func bench(b *testing.B, data []byte, n int, f func()) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	began := cpuTime()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	if used := cpuTime() - began; used > 0 {
		b.ReportMetric(float64(n)*float64(b.N)/used.Seconds(), "events/cpu-s")
	}
}

// benchDecode decodes as replay reads, and to texts that stay.
func benchDecode(b *testing.B, data []byte, n int, decode func([]byte, *Batch) error) {
	for name, batch := range map[string]*Batch{"own": {Borrow: true}, "kept": {}} {
		b.Run(name, func(b *testing.B) {
			bench(b, data, n, func() {
				batch.Reset()
				if err := decode(data, batch); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	ev := benchEvents(b)
	p, _ := ProfileNamed("cowork-local-1p")
	data := p.AppendJSON(nil, ev)
	benchDecode(b, data, len(ev), DecodeJSON)
	b.Run("pdata", func(b *testing.B) { // the tree only, without events
		u := plog.JSONUnmarshaler{}
		bench(b, data, len(ev), func() {
			if _, err := u.UnmarshalLogs(data); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func BenchmarkDecodeProto(b *testing.B) {
	ev := benchEvents(b)
	p, _ := ProfileNamed("cowork-local-1p")
	data := p.AppendProto(nil, ev)
	benchDecode(b, data, len(ev), DecodeProto)
	b.Run("pdata", func(b *testing.B) {
		u := plog.ProtoUnmarshaler{}
		bench(b, data, len(ev), func() {
			if _, err := u.UnmarshalLogs(data); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	ev := benchEvents(b)
	p, _ := ProfileNamed("cowork-local-1p")
	var buf []byte
	data := p.AppendJSON(nil, ev)
	bench(b, data, len(ev), func() { buf = p.AppendJSON(buf[:0], ev) })
}

// isStamp knows the instant as it is written, and no other text: held to the
// library's formatting, over days before and after each other.
func TestIsStamp(t *testing.T) {
	var b Batch
	for _, ns := range []int64{0, 1, 1782787411836000000, 1782787411836999999, 1782787379999000000, 1782691200000000000, 4102444799999000000, 59999e6, 3600e9} {
		text := time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000Z")
		if !b.isStamp(text, ns) {
			t.Errorf("%d is not %s", ns, text)
		}
		for i := range text {
			for c := range 256 {
				other := text[:i] + string([]byte{byte(c)}) + text[i+1:]
				if other != text && b.isStamp(other, ns) {
					t.Errorf("%d is %q, too", ns, other)
				}
			}
		}
		if b.isStamp(text+"Z", ns) || b.isStamp("", ns) || b.isStamp(text, -ns-1) {
			t.Errorf("%s of another length or instant", text)
		}
	}
	if text := "1970-01-01T00:00:00.00\xc0Z"; b.isStamp(text, 240e6) { // as if its last digit were 240
		t.Errorf("240 ms are %q", text)
	}
}
