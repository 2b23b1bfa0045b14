package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// sink is one wire form. The walk over the fields is the same for both.
type sink interface {
	text(key, v string)
	int(key string, v int64)
	double(key string, v float64)
	bool(key string, v bool)
	list(key string, v []string)
	nested(key, json string)
}

// sameResource reports that two events can share a resource block.
func sameResource(a, b *event.Event) bool {
	if a.Service != b.Service || a.ServiceVersion != b.ServiceVersion || a.OS != b.OS ||
		a.DeploymentMode != b.DeploymentMode || a.Surface != b.Surface ||
		(a.Has^b.Has)&(event.FServiceVersion|event.FSurface) != 0 {
		return false
	}
	i, j := 0, 0
	for {
		for i < len(a.Extra) && !onResource(a.Extra[i].Key) {
			i++
		}
		for j < len(b.Extra) && !onResource(b.Extra[j].Key) {
			j++
		}
		if i == len(a.Extra) || j == len(b.Extra) {
			return i == len(a.Extra) && j == len(b.Extra)
		}
		if a.Extra[i].Key != b.Extra[j].Key || !sameValue(a.Extra[i].Value, b.Extra[j].Value) {
			return false
		}
		i, j = i+1, j+1
	}
}

func sameValue(a, b any) bool {
	_, al := a.([]string)
	_, bl := b.([]string)
	return !al && !bl && a == b // a list starts a new block; the product sends none there
}

func sameScope(a, b *event.Event) bool { return a.Scope == b.Scope && a.ScopeVersion == b.ScopeVersion }

// runs calls each for every run of events that keep the relation.
func runs(events []event.Event, same func(a, b *event.Event) bool, each func([]event.Event)) {
	for len(events) > 0 {
		n := 1
		for n < len(events) && same(&events[n-1], &events[n]) {
			n++
		}
		each(events[:n])
		events = events[n:]
	}
}

func (p *Profile) writeResource(e *event.Event, w sink) {
	p.extraNamed(e, "host.arch", w)
	writeText(w, "os.type", e.OS)
	p.extraNamed(e, "os.version", w)
	writeText(w, "service.name", e.Service)
	if e.Has&event.FServiceVersion != 0 {
		w.text("service.version", e.ServiceVersion)
	}
	writeText(w, "claude.deployment_mode", e.DeploymentMode)
	if e.Has&event.FSurface != 0 {
		w.text("cowork.surface", e.Surface)
	}
	for i := range e.Extra {
		if k := e.Extra[i].Key; onResource(k) && k != "host.arch" && k != "os.version" {
			p.extra(&e.Extra[i], w)
		}
	}
}

func (p *Profile) extraNamed(e *event.Event, key string, w sink) {
	for i := range e.Extra {
		if e.Extra[i].Key == key {
			p.extra(&e.Extra[i], w)
		}
	}
}

func (p *Profile) extra(a *event.Attr, w sink) {
	switch v := a.Value.(type) {
	case string:
		w.text(a.Key, v)
	case int64:
		p.int(a.Key, v, w)
	case int:
		p.int(a.Key, int64(v), w)
	case float64:
		p.double(a.Key, v, w)
	case bool:
		if p.Strings {
			w.text(a.Key, strconv.FormatBool(v))
		} else {
			w.bool(a.Key, v)
		}
	case []string:
		w.list(a.Key, v)
	case event.Nested:
		if p.Strings {
			w.text(a.Key, string(v))
		} else {
			w.nested(a.Key, string(v))
		}
	}
}

func (p *Profile) int(key string, v int64, w sink) {
	if p.Strings {
		w.text(key, strconv.FormatInt(v, 10))
	} else {
		w.int(key, v)
	}
}

// number writes a field that current releases send as a number.
func (p *Profile) number(e *event.Event, bit event.Field, key string, v int64, w sink) {
	switch {
	case e.Has&bit == 0:
	case p.AsRead && e.Retyped&bit != 0, !p.AsRead && p.Strings:
		w.text(key, strconv.FormatInt(v, 10))
	default:
		w.int(key, v)
	}
}

// size writes a field that every release sends as a text.
func (p *Profile) size(e *event.Event, bit event.Field, key string, v int64, w sink) {
	switch {
	case e.Has&bit == 0:
	case p.AsRead && e.Retyped&bit != 0:
		w.int(key, v)
	default:
		w.text(key, strconv.FormatInt(v, 10))
	}
}

// cost is cost_usd: what was sent, or the amount of an event that was not read.
func cost(e *event.Event) float64 {
	if e.CostUSD != 0 {
		return e.CostUSD
	}
	return float64(e.CostMicros) / 1e6
}

func (p *Profile) double(key string, v float64, w sink) {
	if p.Strings {
		w.text(key, strconv.FormatFloat(v, 'g', -1, 64))
	} else {
		w.double(key, v)
	}
}

// writeText writes a text that has no bit for its presence.
func writeText(w sink, key, v string) {
	if v != "" {
		w.text(key, v)
	}
}

// writeRecord walks the attributes of a record in the order the product uses:
// identity, event, then the event's own.
func (p *Profile) writeRecord(e *event.Event, w sink) {
	str := func(bit event.Field, key, v string) {
		if e.Has&bit != 0 {
			w.text(key, v)
		}
	}
	num := func(bit event.Field, key string, v int64) { p.number(e, bit, key, v, w) }
	str(event.FUserID, "user.id", e.UserID)
	str(event.FSession, "session.id", e.Session)
	p.extraNamed(e, "app.version", w)
	str(event.FOrganisation, "organization.id", e.Organisation)
	str(event.FEmail, "user.email", e.Email)
	str(event.FAccount, "user.account_uuid", e.Account)
	writeText(w, "user.account_id", e.AccountID)
	writeText(w, "terminal.type", e.Terminal)
	writeText(w, "event.name", e.Name)
	if e.Has&(event.FTime|event.FStamp) == event.FTime|event.FStamp {
		w.text("event.timestamp", stamp(e.Time))
	}
	num(event.FSequence, "event.sequence", e.Sequence)
	str(event.FPrompt, "prompt.id", e.Prompt)
	if e.Has&event.FHostPaths != 0 {
		w.list("workspace.host_paths", e.HostPaths)
	}

	if e.Kind != event.ToolResult {
		str(event.FDecision, "decision", e.Decision)
		str(event.FSource, "source", e.Source)
	}
	str(event.FTool, "tool_name", e.Tool)
	str(event.FToolUse, "tool_use_id", e.ToolUse)
	writeText(w, "tool_source", e.ToolSource)
	writeText(w, "status", e.ConnStatus)
	writeText(w, "from_mode", e.FromMode)
	writeText(w, "to_mode", e.ToMode)
	switch {
	case e.Has&event.FSuccess == 0:
	case p.AsRead && e.Retyped&event.FSuccess != 0:
		w.bool("success", e.Success)
	default:
		w.text("success", strconv.FormatBool(e.Success))
	}
	p.size(e, event.FPromptLength, "prompt_length", e.PromptLength, w)
	if e.Has&event.FPromptText != 0 {
		w.text("prompt", redact(e.PromptText, p.Content.UserPrompts))
	}
	writeText(w, "command_name", e.Command)
	num(event.FResponseLength, "response_length", e.ResponseLength)
	if e.Has&event.FResponseText != 0 { // surveys answer under the same key
		w.text("response", redact(e.ResponseText, p.Content.AssistantResponses || e.Kind != event.AssistantResponse))
	}
	str(event.FModel, "model", e.Model)
	num(event.FInputTokens, "input_tokens", e.InputTokens)
	num(event.FOutputTokens, "output_tokens", e.OutputTokens)
	num(event.FCacheRead, "cache_read_tokens", e.CacheRead)
	num(event.FCacheWrite, "cache_creation_tokens", e.CacheWrite)
	switch {
	case e.Has&event.FCostUSD == 0:
	case p.AsRead && e.Retyped&event.FCostUSD != 0, !p.AsRead && p.Strings:
		w.text("cost_usd", strconv.FormatFloat(cost(e), 'f', -1, 64))
	default:
		w.double("cost_usd", cost(e))
	}
	num(event.FCostMicros, "cost_usd_micros", e.CostMicros)
	if p.TextDurations && !p.AsRead && e.Kind == event.ToolResult && e.Has&event.FDuration != 0 {
		w.text("duration_ms", strconv.FormatInt(e.Duration, 10))
	} else {
		num(event.FDuration, "duration_ms", e.Duration)
	}
	num(event.FStatus, "status_code", e.Status)
	num(event.FAttempt, "attempt", e.Attempt)
	str(event.FRequest, "request_id", e.Request)
	writeText(w, "speed", e.Speed)
	str(event.FQuerySource, "query_source", e.QuerySource)
	writeText(w, "agent.name", e.Agent)
	str(event.FSkill, "skill.name", e.Skill)
	str(event.FPlugin, "plugin.name", e.Plugin)
	writeText(w, "marketplace.name", e.Marketplace)
	writeText(w, "plugin_id_hash", e.PluginHash)
	str(event.FMCPServer, "mcp_server.name", e.MCPServerAttr)
	str(event.FMCPTool, "mcp_tool.name", e.MCPToolAttr)
	writeText(w, "error_type", e.ErrorType)
	if p.Content.ToolDetails || e.Kind != event.ToolResult && e.Kind != event.MCPConnection {
		str(event.FError, "error", e.Error)
	}
	if p.Content.ToolDetails {
		str(event.FParameters, "tool_parameters", e.Parameters)
		str(event.FInput, "tool_input", e.Input)
	}
	p.size(e, event.FInputSize, "tool_input_size_bytes", e.InputSize, w)
	p.size(e, event.FResultSize, "tool_result_size_bytes", e.ResultSize, w)
	if e.Kind == event.ToolResult {
		str(event.FSource, "decision_source", e.Source)
		str(event.FDecision, "decision_type", e.Decision)
	}
	if e.Kind == event.MCPConnection {
		writeText(w, "server_scope", e.ServerScope)
	} else {
		writeText(w, "mcp_server_scope", e.ServerScope)
	}
	for i := range e.Extra {
		k := e.Extra[i].Key
		if k == "app.version" || onResource(k) || !p.Content.ToolDetails && isDetail(e.Kind, k) {
			continue
		}
		p.extra(&e.Extra[i], w)
	}
	if p.AsRead && e.Repeated || !p.AsRead && p.RepeatResource {
		p.writeResource(e, w)
	}
}

func redact(s string, allowed bool) string {
	if allowed {
		return s
	}
	return event.Redacted
}

// stamp is an instant as the product writes it.
func stamp(ns int64) string {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	if year < 1000 || year > 9999 {
		return t.Format("2006-01-02T15:04:05.000Z")
	}
	hour, minute, second := t.Clock()
	ms := t.Nanosecond() / 1e6
	var b [24]byte
	two := func(i, v int) { b[i], b[i+1] = byte('0'+v/10), byte('0'+v%10) }
	two(0, year/100)
	two(2, year%100)
	two(5, int(month))
	two(8, day)
	two(11, hour)
	two(14, minute)
	two(17, second)
	two(20, ms/10)
	b[4], b[7], b[10], b[13], b[16], b[19], b[22], b[23] = '-', '-', 'T', ':', ':', '.', byte('0'+ms%10), 'Z'
	return string(b[:])
}

// body is what the product writes there; the desktop application leaves out the
// prefix.
func body(e *event.Event) string {
	if e.Body != "" {
		return e.Body
	}
	if e.Name == "" || e.Product == event.DesktopLogs {
		return e.Name
	}
	if b := bodies[e.Kind]; b != "" && b[len(prefix):] == e.Name {
		return b
	}
	return prefix + e.Name
}

// bodies are made once, by kind.
var bodies = func() (b [64]string) {
	for _, k := range event.Kinds() {
		b[k] = prefix + k.String()
	}
	return b
}()

// AppendJSON appends one export request as one line, without the newline.
// Consecutive events with the same resource share a block. Times are written as
// they are; the product's own are whole milliseconds.
func (p Profile) AppendJSON(dst []byte, events []event.Event) []byte {
	w := jsonSink{b: append(dst, `{"resourceLogs":[`...)}
	comma := func(first *bool) {
		if !*first {
			w.b = append(w.b, ',')
		}
		*first = false
	}
	first := true
	runs(events, sameResource, func(block []event.Event) {
		comma(&first)
		w.b = append(w.b, `{"resource":{"attributes":[`...)
		w.more = false
		p.writeResource(&block[0], &w)
		w.b = append(w.b, `]},"scopeLogs":[`...)
		first := true
		runs(block, sameScope, func(scope []event.Event) {
			comma(&first)
			w.b = append(w.b, `{"scope":{`...)
			if s := scope[0].Scope; s != "" {
				w.b = appendString(append(w.b, `"name":`...), s)
			}
			if s := scope[0].ScopeVersion; s != "" {
				if scope[0].Scope != "" {
					w.b = append(w.b, ',')
				}
				w.b = appendString(append(w.b, `"version":`...), s)
			}
			w.b = append(w.b, `},"logRecords":[`...)
			for i := range scope {
				if i > 0 {
					w.b = append(w.b, ',')
				}
				e := &scope[i]
				w.b = append(w.b, '{')
				if e.Has&event.FTime != 0 {
					w.b = append(w.b, `"timeUnixNano":"`...)
					w.b = append(strconv.AppendInt(w.b, e.Time, 10), `",`...)
				}
				if e.Has&event.FObserved != 0 {
					w.b = append(w.b, `"observedTimeUnixNano":"`...)
					w.b = append(strconv.AppendInt(w.b, e.Observed, 10), `",`...)
				}
				if e.Severity != 0 {
					w.b = strconv.AppendInt(append(w.b, `"severityNumber":`...), int64(e.Severity), 10)
					w.b = append(w.b, ',')
				}
				if e.SeverityText != "" {
					w.b = append(appendString(append(w.b, `"severityText":`...), e.SeverityText), ',')
				}
				if e.Trace != "" {
					w.b = append(appendString(append(w.b, `"traceId":`...), e.Trace), ',')
				}
				if e.Span != "" {
					w.b = append(appendString(append(w.b, `"spanId":`...), e.Span), ',')
				}
				if s := body(e); s != "" {
					w.b = append(w.b, `"body":{"stringValue":`...)
					w.b = append(appendString(w.b, s), `},`...)
				}
				w.b = append(w.b, `"attributes":[`...)
				w.more = false
				p.writeRecord(e, &w)
				w.b = append(w.b, `]}`...)
			}
			w.b = append(w.b, `]}`...)
		})
		w.b = append(w.b, `]}`...)
	})
	return append(w.b, `]}`...)
}

type jsonSink struct {
	b    []byte
	more bool
}

func (w *jsonSink) key(key, field string) {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
	w.b = appendString(append(w.b, `{"key":`...), key)
	w.b = append(w.b, `,"value":{"`...)
	w.b = append(w.b, field...)
	w.b = append(w.b, `":`...)
}

func (w *jsonSink) text(key, v string) {
	w.key(key, "stringValue")
	w.b = append(appendString(w.b, v), `}}`...)
}

func (w *jsonSink) int(key string, v int64) {
	w.key(key, "intValue")
	w.b = append(strconv.AppendInt(w.b, v, 10), `}}`...)
}

func (w *jsonSink) double(key string, v float64) {
	w.key(key, "doubleValue")
	w.b = append(appendDouble(w.b, v), `}}`...)
}

func (w *jsonSink) bool(key string, v bool) {
	w.key(key, "boolValue")
	w.b = append(strconv.AppendBool(w.b, v), `}}`...)
}

func (w *jsonSink) list(key string, v []string) {
	w.key(key, "arrayValue")
	w.b = append(w.b, `{"values":[`...)
	for i, s := range v {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendString(append(w.b, `{"stringValue":`...), s)
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, `]}}}`...)
}

func (w *jsonSink) nested(key, text string) {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
	w.b = appendString(append(w.b, `{"key":`...), key)
	w.b = appendAnyJSON(append(w.b, `,"value":`...), &scanner{s: text, text: new(event.Scratch)})
	w.b = append(w.b, '}')
}

// appendAnyJSON writes the ordinary JSON value that p stands before as an
// AnyValue. Text that is none ends the value early.
func appendAnyJSON(dst []byte, p *scanner) []byte {
	switch p.peek() {
	case '{':
		dst = append(dst, `{"kvlistValue":{"values":[`...)
		for first, n := p.open('{'), 0; p.next(&first, '}'); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(append(dst, `{"key":`...), p.key())
			dst = append(appendAnyJSON(append(dst, `,"value":`...), p), '}')
		}
		return append(dst, `]}}`...)
	case '[':
		dst = append(dst, `{"arrayValue":{"values":[`...)
		for first, n := p.open('['), 0; p.next(&first, ']'); n++ {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendAnyJSON(dst, p)
		}
		return append(dst, `]}}`...)
	}
	switch v := p.plain(0); v.k {
	case text:
		dst = appendString(append(dst, `{"stringValue":`...), v.s)
	case integer:
		dst = strconv.AppendInt(append(dst, `{"intValue":`...), v.i, 10)
	case double:
		dst = appendDouble(append(dst, `{"doubleValue":`...), v.f)
	case boolean:
		dst = strconv.AppendBool(append(dst, `{"boolValue":`...), v.b)
	default:
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// appendAnyProto is appendAnyJSON for protobuf.
func appendAnyProto(dst []byte, p *scanner) []byte {
	switch p.peek() {
	case '{':
		var inner []byte
		for first := p.open('{'); p.next(&first, '}'); {
			pair := appendText(nil, 1, p.key())
			inner = appendBytes(inner, 1, appendBytes(pair, 2, appendAnyProto(nil, p)))
		}
		return appendBytes(dst, 6, inner)
	case '[':
		var inner []byte
		for first := p.open('['); p.next(&first, ']'); {
			inner = appendBytes(inner, 1, appendAnyProto(nil, p))
		}
		return appendBytes(dst, 5, inner)
	}
	switch v := p.plain(0); v.k {
	case text:
		return appendText(dst, 1, v.s)
	case integer:
		return binary.AppendUvarint(append(dst, 3<<3), uint64(v.i))
	case double:
		return binary.LittleEndian.AppendUint64(append(dst, 4<<3|1), math.Float64bits(v.f))
	case boolean:
		return append(dst, 2<<3, map[bool]byte{true: 1}[v.b])
	}
	return dst
}

// appendDouble writes a number as the product's JavaScript exporter does: plain
// digits in the range of money, an exponent outside it.
func appendDouble(dst []byte, v float64) []byte {
	switch {
	case v != v:
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

var protoScratch = sync.Pool{New: func() any { return new([4][]byte) }}

// AppendProto appends the same request as protobuf.
func (p Profile) AppendProto(dst []byte, events []event.Event) []byte {
	scratch := protoScratch.Get().(*[4][]byte) // record, scope block, resource block, value
	defer protoScratch.Put(scratch)
	runs(events, sameResource, func(block []event.Event) {
		res := protoSink{b: scratch[0][:0], field: 1, tmp: scratch[3]}
		p.writeResource(&block[0], &res)
		outer := appendBytes(scratch[2][:0], 1, res.b)
		scratch[0], scratch[3] = res.b, res.tmp
		runs(block, sameScope, func(scope []event.Event) {
			head := scratch[0][:0]
			if s := scope[0].Scope; s != "" {
				head = appendText(head, 1, s)
			}
			if s := scope[0].ScopeVersion; s != "" {
				head = appendText(head, 2, s)
			}
			inner := appendBytes(scratch[1][:0], 1, head)
			scratch[0] = head
			for i := range scope {
				e := &scope[i]
				w := protoSink{b: scratch[0][:0], field: 6, tmp: scratch[3]}
				if e.Has&event.FTime != 0 {
					w.b = binary.LittleEndian.AppendUint64(append(w.b, 1<<3|1), uint64(e.Time))
				}
				if e.Severity != 0 {
					w.b = binary.AppendUvarint(append(w.b, 2<<3), uint64(e.Severity))
				}
				if e.SeverityText != "" {
					w.b = appendText(w.b, 3, e.SeverityText)
				}
				if s := body(e); s != "" {
					w.tmp = appendText(w.tmp[:0], 1, s)
					w.b = appendBytes(w.b, 5, w.tmp)
				}
				p.writeRecord(e, &w)
				for _, id := range [2]struct {
					field byte
					hex   string
				}{{9, e.Trace}, {10, e.Span}} {
					if raw, err := hex.DecodeString(id.hex); err == nil && len(raw) > 0 {
						w.b = appendBytes(w.b, id.field, raw)
					}
				}
				if e.Has&event.FObserved != 0 {
					w.b = binary.LittleEndian.AppendUint64(append(w.b, 11<<3|1), uint64(e.Observed))
				}
				inner = appendBytes(inner, 2, w.b)
				scratch[0], scratch[3] = w.b, w.tmp
			}
			outer = appendBytes(outer, 2, inner)
			scratch[1] = inner
		})
		dst = appendBytes(dst, 1, outer)
		scratch[2] = outer
	})
	return dst
}

type protoSink struct {
	b, tmp, arr []byte
	field       byte
}

func appendBytes(dst []byte, field byte, v []byte) []byte {
	dst = binary.AppendUvarint(append(dst, field<<3|2), uint64(len(v)))
	return append(dst, v...)
}

func appendText(dst []byte, field byte, v string) []byte {
	v = clean(v)
	dst = binary.AppendUvarint(append(dst, field<<3|2), uint64(len(v)))
	return append(dst, v...)
}

// head writes an attribute up to its value, which will take n bytes.
func (w *protoSink) head(key string, n int) {
	k := len(key)
	w.b = binary.AppendUvarint(append(w.b, w.field<<3|2), uint64(1+uvarintLen(uint64(k))+k+1+uvarintLen(uint64(n))+n))
	w.b = binary.AppendUvarint(append(w.b, 1<<3|2), uint64(k))
	w.b = append(append(w.b, key...), 2<<3|2)
	w.b = binary.AppendUvarint(w.b, uint64(n))
}

// pair writes one attribute whose encoded value stands in w.tmp.
func (w *protoSink) pair(key string) {
	w.head(clean(key), len(w.tmp))
	w.b = append(w.b, w.tmp...)
}

func uvarintLen(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

func (w *protoSink) text(key, v string) {
	v = clean(v)
	w.head(clean(key), 1+uvarintLen(uint64(len(v)))+len(v))
	w.b = binary.AppendUvarint(append(w.b, 1<<3|2), uint64(len(v)))
	w.b = append(w.b, v...)
}

func (w *protoSink) bool(key string, v bool) {
	w.head(clean(key), 2)
	if v {
		w.b = append(w.b, 2<<3, 1)
	} else {
		w.b = append(w.b, 2<<3, 0)
	}
}

func (w *protoSink) int(key string, v int64) {
	w.head(clean(key), 1+uvarintLen(uint64(v)))
	w.b = binary.AppendUvarint(append(w.b, 3<<3), uint64(v))
}

func (w *protoSink) double(key string, v float64) {
	w.head(clean(key), 9)
	w.b = binary.LittleEndian.AppendUint64(append(w.b, 4<<3|1), math.Float64bits(v))
}

func (w *protoSink) list(key string, v []string) {
	w.arr = w.arr[:0]
	for _, s := range v {
		w.tmp = appendText(w.tmp[:0], 1, s)
		w.arr = appendBytes(w.arr, 1, w.tmp)
	}
	w.tmp = appendBytes(w.tmp[:0], 5, w.arr)
	w.pair(key)
}

func (w *protoSink) nested(key, text string) {
	w.tmp = appendAnyProto(w.tmp[:0], &scanner{s: text, text: new(event.Scratch)})
	w.pair(key)
}
