package otlp

import (
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// wire lists what a request holds, record by record, read by the reference
// library: every value with its type, whatever the order of the attributes.
func wire(logs plog.Logs) []string {
	attrs := func(m pcommon.Map) string {
		var out []string
		for k, v := range m.All() {
			out = append(out, fmt.Sprintf("%s=%s", k, typed(v)))
		}
		sort.Strings(out)
		return strings.Join(out, "\n  ")
	}
	var out []string
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				out = append(out, fmt.Sprintf("resource %s\nscope %s %s\ntime %d observed %d severity %d %q trace %s %s event %q\nbody %s\n  %s",
					attrs(rl.Resource().Attributes()), sl.Scope().Name(), sl.Scope().Version(), lr.Timestamp(), lr.ObservedTimestamp(),
					lr.SeverityNumber(), lr.SeverityText(), lr.TraceID(), lr.SpanID(), lr.EventName(), typed(lr.Body()), attrs(lr.Attributes())))
			}
		}
	}
	return out
}

func typed(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeMap:
		var out []string
		for k, x := range v.Map().All() {
			out = append(out, k+":"+typed(x))
		}
		sort.Strings(out)
		return "{" + strings.Join(out, ",") + "}"
	case pcommon.ValueTypeSlice:
		var out []string
		for _, x := range v.Slice().All() {
			out = append(out, typed(x))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	return fmt.Sprintf("%s %q", v.Type(), v.AsString())
}

// A stream that is read and written again is the same stream: every value of
// every record with its type, in both encodings.
func TestCopy(t *testing.T) {
	var inputs []string
	for _, name := range []string{"cowork.json", "legacy.json", "claude-code.json"} {
		inputs = append(inputs, string(fixture(t, name)))
	}
	if dir := os.Getenv("SANDTABLE_CAPTURES"); dir != "" { // real captures, tried by hand
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasPrefix(f.Name(), "otlpjson") {
				data, err := os.ReadFile(dir + "/" + f.Name())
				if err != nil {
					t.Fatal(err)
				}
				inputs = append(inputs, string(data))
			}
		}
	}
	ju, pu := plog.JSONUnmarshaler{}, plog.ProtoUnmarshaler{}
	for _, in := range inputs {
		logs, err := ju.UnmarshalLogs([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		want := wire(logs)
		b := decoded(t, []byte(in))
		if len(b.Bad) != 0 {
			t.Errorf("lost: %+v", b.Bad)
		}
		j, err := ju.UnmarshalLogs(Copy.AppendJSON(nil, b.Events))
		if err != nil {
			t.Fatal(err)
		}
		p, err := pu.UnmarshalLogs(Copy.AppendProto(nil, b.Events))
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string][]string{"json": wire(j), "protobuf": wire(p)} {
			if len(got) != len(want) {
				t.Fatalf("%s: %d records, were %d", what, len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%s: record %d was\n%s\n, is\n%s", what, i, want[i], got[i])
				}
			}
		}
	}
}

func TestClaudeCodeFixture(t *testing.T) {
	b := decoded(t, fixture(t, "claude-code.json"))
	if e := b.Events[1]; e.CostMicros != 6638 || e.CostUSD != 0.0066377 || e.CostFrom != event.CostMicros {
		t.Errorf("request: %+v", e)
	}
	if e := b.Events[3]; e.Decision != "accept" || e.Source != "config" || e.CommandLine != `tide --port "Ost"` || e.CommandKnown != event.Known {
		t.Errorf("result: %+v", e)
	}
	if e := b.Events[4]; e.Has&(event.FStamp|event.FTime) != event.FTime || e.Duration != 1502 || e.Retyped != event.FDuration {
		t.Errorf("connection: %+v", e)
	}
	if e := b.Events[6]; e.Status != 529 || e.Has&event.FAttempt == 0 || e.Retyped&event.FStatus == 0 {
		t.Errorf("error: %+v", e)
	}
	// What stands before the cut of tool_input is known.
	if e := b.Events[7]; e.MCPServer != "tides" || e.MCPTool != "read" || e.Path != "/srv/tides/ost.csv" || e.PathKnown != event.Known || e.Verb != event.VerbRead ||
		!reflect.DeepEqual(e.Extra[len(e.Extra)-1].Value, event.Nested(`{"n":3,"x":2.0,"on":false,"w":["a",0.5]}`)) && !reflect.DeepEqual(e.Extra[len(e.Extra)-2].Value, event.Nested(`{"n":3,"x":2.0,"on":false,"w":["a",0.5]}`)) {
		t.Errorf("cut result: %+v", e)
	}
}
