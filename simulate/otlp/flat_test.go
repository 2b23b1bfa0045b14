package otlp

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// source is a record as a tool holds it before it exports it in its own form.
type sourceRecord struct {
	at                     time.Time
	body, scope, version   string
	attributes, resource   map[string]any
	attributeTexts, resTxt map[string]string
}

func texts(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		switch x := v.(type) {
		case string:
			out[k] = x
		default:
			b, _ := json.Marshal(x)
			out[k] = string(b)
		}
	}
	return out
}

func sourceRecords(t testing.TB, data []byte) []sourceRecord {
	t.Helper()
	u := plog.JSONUnmarshaler{}
	logs, err := u.UnmarshalLogs(data)
	if err != nil {
		t.Fatal(err)
	}
	var out []sourceRecord
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				x := sourceRecord{at: lr.Timestamp().AsTime(), body: lr.Body().AsString(), scope: sl.Scope().Name(), version: sl.Scope().Version(),
					attributes: plainMap(lr.Attributes()), resource: plainMap(rl.Resource().Attributes())}
				x.attributeTexts, x.resTxt = texts(x.attributes), texts(x.resource)
				out = append(out, x)
			}
		}
	}
	return out
}

func plainMap(m pcommon.Map) map[string]any { return m.AsRaw() }

func underscored(ms ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range ms {
		for k, v := range m {
			out[strings.ReplaceAll(k, ".", "_")] = v
		}
	}
	return out
}

func merged[V any](ms ...map[string]V) map[string]V {
	out := map[string]V{}
	for _, m := range ms {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// nest turns dotted names into objects.
func nest(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		at := out
		parts := strings.Split(k, ".")
		if _, both := m[parts[0]]; both { // a text cannot be an object as well
			out[k] = v
			continue
		}
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = v
	}
	return out
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// exports are the forms in which tools give the same records.
var exports = map[string]func([]sourceRecord) []byte{
	"elasticsearch": func(rs []sourceRecord) (out []byte) {
		for _, r := range rs {
			out = append(out, mustJSON(map[string]any{"@timestamp": r.at.Format("2006-01-02T15:04:05.000Z"), "attributes": r.attributes, "body": map[string]any{"text": r.body},
				"data_stream": map[string]any{"dataset": "x"}, "event_name": r.attributes["event.name"], "observed_timestamp": r.at.Format(time.RFC3339Nano),
				"resource": map[string]any{"attributes": r.resource}, "scope": map[string]any{"name": r.scope, "version": r.version}})...)
		}
		return out
	},
	"elasticsearch search": func(rs []sourceRecord) []byte {
		var hits []any
		for _, r := range rs {
			hits = append(hits, map[string]any{"_index": "logs", "_id": "1", "_source": map[string]any{"@timestamp": r.at.UnixMilli(), "attributes": nest(r.attributes), "resource": map[string]any{"attributes": nest(r.resource)}, "scope": map[string]any{"name": r.scope, "version": r.version}}})
		}
		return mustJSON(map[string]any{"took": 3, "hits": map[string]any{"total": 1, "hits": hits}})
	},
	"clickhouse": func(rs []sourceRecord) (out []byte) {
		for _, r := range rs {
			out = append(out, mustJSON(map[string]any{"Timestamp": r.at.Format("2006-01-02 15:04:05.000000000"), "Body": r.body, "SeverityText": "", "ServiceName": r.resource["service.name"], "TraceId": "", "SpanId": "",
				"ResourceAttributes": r.resTxt, "ScopeName": r.scope, "ScopeVersion": r.version, "LogAttributes": r.attributeTexts})...)
			out = append(out, '\n')
		}
		return out
	},
	"loki query": func(rs []sourceRecord) []byte {
		var result []any
		for _, r := range rs {
			labels := underscored(r.resTxt, r.attributeTexts)
			labels["scope_name"], labels["scope_version"], labels["detected_level"] = r.scope, r.version, "unknown"
			result = append(result, map[string]any{"stream": labels, "values": []any{[]any{fmt.Sprint(r.at.UnixNano()), r.body}}})
		}
		return mustJSON(map[string]any{"status": "success", "data": map[string]any{"resultType": "streams", "result": result}})
	},
	"loki lines": func(rs []sourceRecord) (out []byte) {
		for _, r := range rs {
			labels := underscored(r.resTxt, r.attributeTexts)
			labels["scope_name"], labels["scope_version"] = r.scope, r.version
			out = append(append(out, mustJSON(map[string]any{"labels": labels, "line": r.body, "timestamp": r.at.Format(time.RFC3339Nano)})...), '\n')
		}
		return out
	},
	"splunk": func(rs []sourceRecord) (out []byte) {
		for _, r := range rs {
			x := map[string]any{"_time": r.at.Format("2006-01-02T15:04:05.000+00:00"), "_raw": r.body, "index": "main", "sourcetype": "otel", "otel.scope.name": r.scope, "otel.scope.version": r.version}
			for k, v := range merged(r.resTxt, r.attributeTexts) {
				x[k] = v
			}
			out = append(append(out, mustJSON(map[string]any{"preview": false, "offset": 1, "result": x})...), '\n')
		}
		return out
	},
	"hec": func(rs []sourceRecord) (out []byte) {
		for _, r := range rs {
			fields := merged(r.resource, r.attributes)
			fields["otel.scope.name"], fields["otel.scope.version"] = r.scope, r.version
			out = append(out, mustJSON(map[string]any{"time": float64(r.at.UnixMilli()) / 1000, "event": r.body, "source": "otel", "sourcetype": "otel", "index": "main", "fields": fields})...)
		}
		return out
	},
	"datadog": func(rs []sourceRecord) []byte {
		var data []any
		for _, r := range rs {
			inner := nest(merged(r.resource, r.attributes))
			inner["otel_scope_name"], inner["otel_scope_version"] = r.scope, r.version
			data = append(data, map[string]any{"id": "A", "type": "log", "attributes": map[string]any{"timestamp": r.at.Format(time.RFC3339Nano), "message": r.body, "status": "info",
				"service": r.resource["service.name"], "tags": []string{"env:x"}, "host": "h", "attributes": inner}})
		}
		return mustJSON(map[string]any{"data": data, "meta": map[string]any{"elapsed": 1}})
	},
	"honeycomb": func(rs []sourceRecord) []byte {
		var all []any
		for _, r := range rs {
			data := merged(r.resource, r.attributes)
			data["scope.name"], data["scope.version"], data["body"] = r.scope, r.version, r.body
			all = append(all, map[string]any{"time": r.at.Format(time.RFC3339Nano), "samplerate": 1, "data": data})
		}
		return mustJSON(all)
	},
	"flat, underscored": func(rs []sourceRecord) (out []byte) {
		for _, r := range rs {
			x := underscored(r.resTxt, r.attributeTexts)
			x["scope_name"], x["scope_version"], x["timestamp"] = r.scope, r.version, r.at.Format(time.RFC3339Nano)
			out = append(append(out, mustJSON(x)...), '\n')
		}
		return out
	},
}

// comparable leaves out what a form of another tool cannot carry: types, the
// observed time, a body of its own, and attributes that nobody reads.
func comparable(e event.Event) event.Event {
	e.Extra, e.Retyped, e.Repeated, e.Observed, e.Body, e.Trace, e.Span, e.Severity, e.SeverityText = nil, 0, false, 0, "", "", "", 0, ""
	e.Has &^= event.FObserved | event.FStamp
	return e
}

func sameFlat(t *testing.T, what string, got, want []event.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range want {
		g, w := reflect.ValueOf(comparable(got[i])), reflect.ValueOf(comparable(want[i]))
		for f := range g.NumField() {
			if a, b := g.Field(f).Interface(), w.Field(f).Interface(); !reflect.DeepEqual(a, b) {
				t.Errorf("%s: event %d: %s is %v, want %v", what, i, g.Type().Field(f).Name, a, b)
			}
		}
	}
}

// Every tool's form gives the same events as the wire.
func TestOtherToolsForms(t *testing.T) {
	for _, name := range []string{"cowork.json", "claude-code.json", "legacy.json"} {
		records, want := sourceRecords(t, fixture(t, name)), decoded(t, fixture(t, name)).Events
		for form, write := range exports {
			data := write(records)
			b := decoded(t, data) // recognised
			sameFlat(t, name+" as "+form, b.Events, want)
			if len(b.Bad) != 0 {
				t.Errorf("%s as %s: %v", name, form, b.Bad)
			}
			if d, _, _ := strings.Cut(strings.Split(form, ",")[0], " "); b.Dialect != d {
				t.Errorf("%s as %s is taken for %s", name, form, b.Dialect)
			}
			var f Batch
			if err := DecodeFlat(data, &f); err != nil { // named
				t.Fatal(err)
			}
			sameFlat(t, name+" as "+form+", named", f.Events, want)
			for i := range want { // nothing the engines do not read is lost either
				for _, x := range want[i].Extra {
					if !slices.ContainsFunc(f.Events[i].Extra, func(a event.Attr) bool {
						return a.Key == x.Key || strings.ReplaceAll(x.Key, ".", "_") == a.Key || strings.HasPrefix(a.Key, x.Key+".")
					}) && x.Value != any("") {
						t.Errorf("%s as %s: event %d lost %s", name, form, i, x.Key)
					}
				}
			}
		}
	}
}

func TestCSV(t *testing.T) {
	for _, name := range []string{"cowork.json", "legacy.json"} {
		records, want := sourceRecords(t, fixture(t, name)), decoded(t, fixture(t, name)).Events
		var head []string
		for _, r := range records {
			for k := range merged(r.resTxt, r.attributeTexts) {
				if !slices.Contains(head, k) {
					head = append(head, k)
				}
			}
		}
		sort.Strings(head)
		head = append([]string{"_time", "_raw", "otel.scope.name", "otel.scope.version"}, head...)
		var out strings.Builder
		w := csv.NewWriter(&out)
		w.Write(head)
		for _, r := range records {
			all := merged(r.resTxt, r.attributeTexts)
			all["_time"], all["_raw"], all["otel.scope.name"], all["otel.scope.version"] = r.at.Format("2006-01-02T15:04:05.000+00:00"), r.body, r.scope, r.version
			row := make([]string, len(head))
			for i, h := range head {
				row[i] = all[h]
			}
			w.Write(row)
		}
		w.Flush()
		first, _, _ := strings.Cut(out.String(), "\n")
		if !IsCSV(first) {
			t.Fatalf("not recognised: %s", first)
		}
		var b Batch
		if err := DecodeCSV([]byte(out.String()+"x,y\n"), &b); err != nil {
			t.Fatal(err)
		}
		sameFlat(t, name+" as CSV", b.Events, want)
		if len(b.Bad) != 1 || b.Bad[0].Reason != "row names no event" {
			t.Errorf("%v", b.Bad)
		}
	}
}

// The fields that backends reserve are not mistaken for the product's own.
func TestReservedFields(t *testing.T) {
	for _, c := range []struct{ doc, source, status string }{
		{`{"result":{"event.name":"tool_decision","source":"/var/log/x","decision":"reject"}}`, "", ""},
		{`{"result":{"event.name":"tool_decision","source":"user_reject","decision":"reject"}}`, "user_reject", ""},
		{`{"event":"claude_code.tool_decision","source":"otel","fields":{"event.name":"tool_decision","source":"config"}}`, "config", ""},
		{`{"attributes":{"message":"claude_code.mcp_server_connection","service":"cowork","status":"info","attributes":{"event":{"name":"mcp_server_connection"},"status":"failed"}}}`, "", "failed"},
	} {
		b := decoded(t, []byte(c.doc))
		if len(b.Events) != 1 || b.Events[0].Source != c.source || b.Events[0].ConnStatus != c.status {
			t.Errorf("%s: %+v", c.doc, b.Events)
		}
	}
	for _, doc := range []string{`{"hello":"world"}`, `{"@timestamp":"2026-01-01T00:00:00Z","message":"GET /"}`, `{"data":[1,2]}`, `{"hits":{"hits":[]}}`} {
		if b := decoded(t, []byte(doc)); len(b.Events) != 0 || len(b.Bad) == 0 {
			t.Errorf("%s: %d events, %v", doc, len(b.Events), b.Bad)
		}
	}
}

func FuzzDecodeFlat(f *testing.F) {
	for _, name := range []string{"cowork.json", "legacy.json"} {
		for _, write := range exports {
			f.Add(write(sourceRecords(f, fixture(f, name))))
		}
	}
	f.Add([]byte(`{"data":{"result":[{"values":[[1,"{\"event_name\":\"x\"}"]],"stream":{}}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Batch
		if DecodeFlat(data, &b) != nil {
			return
		}
		if len(b.Events)+len(b.Bad) < b.Records {
			t.Fatalf("%d records, %d events, %d bad", b.Records, len(b.Events), len(b.Bad))
		}
		again(t, &b)
	})
}

func FuzzCSV(f *testing.F) {
	f.Add("event_name,session_id\nuser_prompt,\"a\nb\"\n")
	f.Fuzz(func(t *testing.T, data string) {
		var b Batch
		if DecodeCSV([]byte(data), &b) == nil && len(b.Events)+len(b.Bad) < b.Records {
			t.Fatalf("%d records, %d events, %d bad", b.Records, len(b.Events), len(b.Bad))
		}
	})
}
