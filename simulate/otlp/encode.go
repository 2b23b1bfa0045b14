package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// sink is one wire form. The walk over the fields is the same for both. Keys are
// written as they are; those that are not ours go through name first.
type sink interface {
	name(key string) string
	text(key, v string)
	int(key string, v int64)
	double(key string, v float64)
	bool(key string, v bool)
	list(key string, v []string)
	nested(key, json string)

	// written is what was written so far. again writes a part of it that holds whole
	// attributes once more.
	written() []byte
	again(part []byte)
}

// walk writes the records of requests. What a record has in common with one
// before it (who, in which session and folders, on which machine) is written again
// as bytes.
type walk struct {
	p      *Profile
	one    common       // without a memory, what the last record had
	memory *[512]common // by session; nil for a walk that forgets each request

	minute int64    // of stamp
	stamp  [24]byte // an instant as the product writes it
	digits [24]byte
}

// common is what records of a session mostly share, beside its bytes. The three
// parts hold each for itself.
type common struct {
	who  who
	head []byte

	on        machine
	res, tail []byte   // its attributes as a block begins with them, and as a record repeats them
	dirs      []string // the folders in path, known by their place in memory
	path      []byte
}

// at is where what a record has in common with others may stand. Any place is
// right; a session mostly has one of its own.
func (k *walk) at(e *event.Event) *common {
	if k.memory == nil {
		return &k.one
	}
	return &k.memory[uint64(uintptr(unsafe.Pointer(unsafe.StringData(e.Session))))*0x9e3779b97f4a7c15>>55]
}

// end forgets a request, so that nothing of it is kept alive.
func (k *walk) end() {
	c := &k.one
	c.who, c.on, c.dirs = who{}, machine{}, nil
}

// part runs write and keeps what it wrote in memory that is used again.
func part(keep []byte, w sink, write func()) []byte {
	from := len(w.written())
	write()
	return append(keep[:0], w.written()[from:]...)
}

// who is what a record says of who sent it, and in which session.
type who struct {
	known                                                          bool
	has                                                            event.Field
	session, userID, account, email, organisation, accountID, term string
}

func whoOf(e *event.Event) who {
	return who{true, e.Has & headKeys, e.Session, e.UserID, e.Account, e.Email, e.Organisation, e.AccountID, e.Terminal}
}

// is reports that a record begins with the same attributes.
func (w *who) is(e *event.Event) bool {
	return w.known && (w.has^e.Has)&headKeys == 0 && w.session == e.Session && w.userID == e.UserID && w.account == e.Account && w.email == e.Email &&
		w.organisation == e.Organisation && w.accountID == e.AccountID && w.term == e.Terminal
}

// machine is what a resource says.
type machine struct {
	known                               bool
	has                                 event.Field
	service, version, os, mode, surface string
	extra                               []event.Attr
}

func machineOf(e *event.Event) machine {
	return machine{true, e.Has & (event.FServiceVersion | event.FSurface), e.Service, e.ServiceVersion, e.OS, e.DeploymentMode, e.Surface, e.Extra}
}

// is reports that an event can share the resource block.
func (m *machine) is(e *event.Event) bool {
	if !m.known || m.service != e.Service || m.version != e.ServiceVersion || m.os != e.OS || m.mode != e.DeploymentMode || m.surface != e.Surface ||
		(m.has^e.Has)&(event.FServiceVersion|event.FSurface) != 0 {
		return false
	}
	a, b := m.extra, e.Extra
	if n := len(a); n == len(b) && (n == 0 || &a[0] == &b[0]) {
		return !hasList(a)
	}
	i := 0 // what is the same in the same place, as most is, need not be looked at
	for i < min(len(a), len(b)) && a[i].Key == b[i].Key && sameValue(a[i].Value, b[i].Value) {
		i++
	}
	j := i
	for {
		for i < len(a) && !onResource(a[i].Key) {
			i++
		}
		for j < len(b) && !onResource(b[j].Key) {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if a[i].Key != b[j].Key || !sameValue(a[i].Value, b[j].Value) {
			return false
		}
		i, j = i+1, j+1
	}
}

// blocks calls each for every run of events that share a resource, with what is
// kept of it.
func (k *walk) blocks(events []event.Event, each func(c *common, block []event.Event)) {
	for len(events) > 0 {
		c := k.at(&events[0])
		if !c.on.is(&events[0]) {
			c.on, c.res, c.tail = machineOf(&events[0]), c.res[:0], c.tail[:0]
		}
		n := 1
		for n < len(events) && c.on.is(&events[n]) {
			n++
		}
		each(c, events[:n])
		events = events[n:]
	}
}

// hasList reports that a resource attribute is a list, which sameValue never takes
// for the same.
func hasList(attrs []event.Attr) bool {
	for i := range attrs {
		if _, list := attrs[i].Value.([]string); list && onResource(attrs[i].Key) {
			return true
		}
	}
	return false
}

func sameValue(a, b any) bool {
	if x, ok := a.(string); ok {
		y, ok := b.(string)
		return ok && x == y
	}
	_, al := a.([]string)
	_, bl := b.([]string)
	return !al && !bl && a == b // a list starts a new block; the product sends none there
}

func hasVersion(e *event.Event) bool {
	for i := range e.Extra {
		if e.Extra[i].Key == "app.version" {
			return true
		}
	}
	return false
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
	key := w.name(a.Key)
	switch v := a.Value.(type) {
	case string:
		w.text(key, v)
	case int64:
		p.int(key, v, w)
	case int:
		p.int(key, int64(v), w)
	case float64:
		p.double(key, v, w)
	case bool:
		if p.Strings {
			w.text(key, strconv.FormatBool(v))
		} else {
			w.bool(key, v)
		}
	case []string:
		w.list(key, v)
	case event.Nested:
		if p.Strings {
			w.text(key, string(v))
		} else {
			w.nested(key, string(v))
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
func (k *walk) size(e *event.Event, bit event.Field, key string, v int64, w sink) {
	switch {
	case e.Has&bit == 0:
	case k.p.AsRead && e.Retyped&bit != 0:
		w.int(key, v)
	default:
		w.text(key, viewOf(strconv.AppendInt(k.digits[:0], v, 10))) // a sink keeps no text
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

// record walks the attributes of a record in the order the product uses:
// identity, event, then the event's own. on is what is kept of its block.
func (k *walk) record(e *event.Event, on *common, w sink) {
	p := k.p
	str := func(bit event.Field, key, v string) {
		if e.Has&bit != 0 {
			w.text(key, v)
		}
	}
	num := func(bit event.Field, key string, v int64) { p.number(e, bit, key, v, w) }
	c := k.at(e)
	switch {
	case hasVersion(e):
		p.writeWho(e, w)
	case c.who.is(e):
		w.again(c.head)
	default:
		c.who = whoOf(e)
		c.head = part(c.head, w, func() { p.writeWho(e, w) })
	}
	writeText(w, "event.name", e.Name)
	if e.Has&(event.FTime|event.FStamp) == event.FTime|event.FStamp {
		w.text("event.timestamp", k.instant(e.Time))
	}
	num(event.FSequence, "event.sequence", e.Sequence)
	str(event.FPrompt, "prompt.id", e.Prompt)
	if d := e.HostPaths; e.Has&event.FHostPaths != 0 {
		if len(d) > 0 && len(d) == len(c.dirs) && &d[0] == &c.dirs[0] {
			w.again(c.path)
		} else {
			c.path = part(c.path, w, func() { w.list("workspace.host_paths", d) })
			c.dirs = d
		}
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
	k.size(e, event.FPromptLength, "prompt_length", e.PromptLength, w)
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
	k.size(e, event.FInputSize, "tool_input_size_bytes", e.InputSize, w)
	k.size(e, event.FResultSize, "tool_result_size_bytes", e.ResultSize, w)
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
		key := e.Extra[i].Key
		if key == "app.version" || onResource(key) || !p.Content.ToolDetails && isDetail(e.Kind, key) {
			continue
		}
		p.extra(&e.Extra[i], w)
	}
	switch {
	case p.AsRead && !e.Repeated || !p.AsRead && !p.RepeatResource:
	case len(on.tail) > 0:
		w.again(on.tail)
	default:
		on.tail = part(on.tail, w, func() { p.writeResource(e, w) })
	}
}

func (p *Profile) writeWho(e *event.Event, w sink) {
	if e.Has&event.FUserID != 0 {
		w.text("user.id", e.UserID)
	}
	if e.Has&event.FSession != 0 {
		w.text("session.id", e.Session)
	}
	p.extraNamed(e, "app.version", w)
	if e.Has&event.FOrganisation != 0 {
		w.text("organization.id", e.Organisation)
	}
	if e.Has&event.FEmail != 0 {
		w.text("user.email", e.Email)
	}
	if e.Has&event.FAccount != 0 {
		w.text("user.account_uuid", e.Account)
	}
	writeText(w, "user.account_id", e.AccountID)
	writeText(w, "terminal.type", e.Terminal)
}

// resource writes what a block begins with.
func (k *walk) resource(on *common, e *event.Event, w sink) {
	if len(on.res) > 0 {
		w.again(on.res)
	} else {
		on.res = part(on.res, w, func() { k.p.writeResource(e, w) })
	}
}

// instant is stamp, in memory that the next call uses again.
func (k *walk) instant(ns int64) string {
	const minute = int64(time.Minute)
	m := ns / minute
	if m != k.minute || k.stamp[0] == 0 || ns < 0 {
		if ns < 0 || !stampTo(&k.stamp, ns) {
			k.stamp[0] = 0
			return stamp(ns)
		}
		k.minute = m
	}
	b, ms := &k.stamp, int(ns%minute/1e6)
	sec := ms / 1000
	ms %= 1000
	b[17], b[18] = byte('0'+sec/10), byte('0'+sec%10)
	b[20], b[21], b[22] = byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10)
	return viewOf(b[:])
}

func redact(s string, allowed bool) string {
	if allowed {
		return s
	}
	return event.Redacted
}

// stamp is an instant as the product writes it.
func stamp(ns int64) string {
	var b [24]byte
	if stampTo(&b, ns) {
		return string(b[:])
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000Z")
}

// stampTo is stamp for a year of four figures; else it returns false.
func stampTo(b *[24]byte, ns int64) bool {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	if year < 1000 || year > 9999 {
		return false
	}
	hour, minute, second := t.Clock()
	ms := t.Nanosecond() / 1e6
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
	return true
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
	enc := encoders.Get().(*Encoder)
	enc.profile = p
	dst = enc.AppendJSON(dst, events)
	enc.forget()
	return dst
}

// Encoder writes the same requests as its profile does, faster where records of a
// session come in many of them: it remembers what they have in common. What their
// events refer to must stay as it is for as long as the Encoder is used. It is not
// safe for concurrent use.
type Encoder struct {
	profile Profile
	proto   protoEncoder
	json    jsonEncoder
}

// NewEncoder returns an encoder that remembers.
func NewEncoder(p Profile) *Encoder {
	x := &Encoder{profile: p}
	x.proto.memory, x.json.memory = new([512]common), new([512]common)
	return x
}

func (x *Encoder) forget() {
	x.proto.end()
	x.json.end()
	encoders.Put(x)
}

// encoders forget each request.
var encoders = sync.Pool{New: func() any { return new(Encoder) }}

type jsonEncoder struct {
	walk
	jsonSink
}

// AppendJSON is that of Profile.
func (x *Encoder) AppendJSON(dst []byte, events []event.Event) []byte {
	w, k := &x.json.jsonSink, &x.json.walk
	w.b, k.p = append(dst, `{"resourceLogs":[`...), &x.profile
	comma := func(first *bool) {
		if !*first {
			w.b = append(w.b, ',')
		}
		*first = false
	}
	first := true
	k.blocks(events, func(on *common, block []event.Event) {
		comma(&first)
		w.b = append(w.b, `{"resource":{"attributes":[`...)
		w.more = false
		k.resource(on, &block[0], w)
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
				k.record(e, on, w)
				w.b = append(w.b, `]}`...)
			}
			w.b = append(w.b, `]}`...)
		})
		w.b = append(w.b, `]}`...)
	})
	dst, w.b = append(w.b, `]}`...), nil
	return dst
}

type jsonSink struct {
	b    []byte
	more bool
}

func (w *jsonSink) written() []byte { return w.b }

func (w *jsonSink) again(part []byte) {
	if len(part) > 0 && part[0] == ',' {
		part = part[1:]
	}
	if len(part) == 0 {
		return
	}
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
	w.b = append(w.b, part...)
}

func (w *jsonSink) name(key string) string {
	if Plain(key) == len(key) {
		return key
	}
	b := appendString(nil, key)
	return string(b[1 : len(b)-1])
}

func (w *jsonSink) key(key, field string) {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
	w.b = append(w.b, `{"key":"`...)
	w.b = append(w.b, key...)
	w.b = append(w.b, field...)
}

func (w *jsonSink) text(key, v string) {
	w.key(key, `","value":{"stringValue":`)
	w.b = append(appendString(w.b, v), `}}`...)
}

func (w *jsonSink) int(key string, v int64) {
	w.key(key, `","value":{"intValue":`)
	w.b = append(strconv.AppendInt(w.b, v, 10), `}}`...)
}

func (w *jsonSink) double(key string, v float64) {
	w.key(key, `","value":{"doubleValue":`)
	w.b = append(appendDouble(w.b, v), `}}`...)
}

func (w *jsonSink) bool(key string, v bool) {
	w.key(key, `","value":{"boolValue":`)
	w.b = append(strconv.AppendBool(w.b, v), `}}`...)
}

func (w *jsonSink) list(key string, v []string) {
	w.key(key, `","value":{"arrayValue":{"values":[`)
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
	w.key(key, `","value":`)
	w.b = append(appendAnyJSON(w.b, &scanner{s: text, text: new(event.Scratch)}), '}')
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

// Plain is the length of the head of s that a JSON string holds as it is and that
// is ASCII.
func Plain(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := fixed64(s[i : i+8])
		quote, slash := x^ones*'"', x^ones*'\\'
		if (x|(x-ones*0x20)|(quote-ones)|(slash-ones))&tops != 0 {
			break // one of the eight is special, or follows one that is
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for {
		n := Plain(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			return append(dst, '"')
		}
		c := s[0]
		if c >= utf8.RuneSelf {
			_, n := utf8.DecodeRuneInString(s)
			if n == 1 {
				dst = append(dst, "\uFFFD"...)
			} else {
				dst = append(dst, s[:n]...)
			}
			s = s[n:]
			continue
		}
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
		s = s[1:]
	}
}

type protoEncoder struct {
	walk
	protoSink
}

// AppendProto appends the same request as protobuf.
func (p Profile) AppendProto(dst []byte, events []event.Event) []byte {
	enc := encoders.Get().(*Encoder)
	enc.profile = p
	dst = enc.AppendProto(dst, events)
	enc.forget()
	return dst
}

// AppendProto is that of Profile.
func (x *Encoder) AppendProto(dst []byte, events []event.Event) []byte {
	w, k := &x.proto.protoSink, &x.proto.walk
	w.b, k.p = dst, &x.profile
	k.blocks(events, func(on *common, block []event.Event) {
		logs := w.open(1, len(block))
		res := w.open(1, 0)
		w.field = 1
		k.resource(on, &block[0], w)
		w.close(res)
		w.field = 6
		runs(block, sameScope, func(scope []event.Event) {
			group := w.open(2, len(scope))
			head := w.open(1, 0)
			if s := scope[0].Scope; s != "" {
				w.b = appendText(w.b, 1, s)
			}
			if s := scope[0].ScopeVersion; s != "" {
				w.b = appendText(w.b, 2, s)
			}
			w.close(head)
			for i := range scope {
				e := &scope[i]
				rec := w.open(2, 1)
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
					s = clean(s)
					w.b = binary.AppendUvarint(append(w.b, 5<<3|2), uint64(1+uvarintLen(uint64(len(s)))+len(s)))
					w.b = append(binary.AppendUvarint(append(w.b, 1<<3|2), uint64(len(s))), s...)
				}
				k.record(e, on, w)
				for _, id := range [2]struct {
					field byte
					hex   string
				}{{9, e.Trace}, {10, e.Span}} {
					if id.hex == "" {
						continue
					}
					if raw, err := hex.DecodeString(id.hex); err == nil {
						w.b = appendBytes(w.b, id.field, raw)
					}
				}
				if e.Has&event.FObserved != 0 {
					w.b = binary.LittleEndian.AppendUint64(append(w.b, 11<<3|1), uint64(e.Observed))
				}
				w.close(rec)
			}
			w.close(group)
		})
		w.close(logs)
	})
	dst, w.b = w.b, nil
	return dst
}

type protoSink struct {
	b, tmp, arr []byte
	field       byte
}

// opened is a message whose length is not known yet; room was left for it.
type opened struct{ at, room int }

// open begins a message of about so many records.
func (w *protoSink) open(field byte, records int) opened {
	w.b = append(w.b, field<<3|2)
	room := 1
	switch {
	case records > 12:
		room = 3
	case records > 0:
		room = 2
	}
	at := len(w.b)
	w.b = append(w.b, 0, 0, 0)[:at+room]
	return opened{at, room}
}

// close puts the length in front of what was written since, which moves where it
// takes more or less room than was left.
func (w *protoSink) close(m opened) {
	n := len(w.b) - m.at - m.room
	need := uvarintLen(uint64(n))
	if need > m.room {
		w.b = append(w.b, make([]byte, need-m.room)...)
	}
	if need != m.room {
		copy(w.b[m.at+need:], w.b[m.at+m.room:m.at+m.room+n])
		w.b = w.b[:m.at+need+n]
	}
	binary.PutUvarint(w.b[m.at:m.at+need], uint64(n))
}

func (w *protoSink) written() []byte { return w.b }

func (w *protoSink) again(part []byte) { w.b = append(w.b, part...) }

func (w *protoSink) name(key string) string { return clean(key) }

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
	if k < 0x80 && n < 0x78-k { // each length is one byte
		w.b = append(w.b, w.field<<3|2, byte(4+k+n), 1<<3|2, byte(k))
		w.b = append(append(w.b, key...), 2<<3|2, byte(n))
		return
	}
	w.b = binary.AppendUvarint(append(w.b, w.field<<3|2), uint64(1+uvarintLen(uint64(k))+k+1+uvarintLen(uint64(n))+n))
	w.b = binary.AppendUvarint(append(w.b, 1<<3|2), uint64(k))
	w.b = append(append(w.b, key...), 2<<3|2)
	w.b = binary.AppendUvarint(w.b, uint64(n))
}

// pair writes one attribute whose encoded value stands in w.tmp.
func (w *protoSink) pair(key string) {
	w.head(key, len(w.tmp))
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
	k, n := len(key), len(v)
	if k+n < 0x78 { // each length is one byte
		at := len(w.b)
		w.b = slices.Grow(w.b, 8+k+n)[:at+8+k+n]
		b := w.b[at:]
		b[0], b[1], b[2], b[3] = w.field<<3|2, byte(6+k+n), 1<<3|2, byte(k)
		copy(b[4:], key)
		b = b[4+k:]
		b[0], b[1], b[2], b[3] = 2<<3|2, byte(2+n), 1<<3|2, byte(n)
		if putASCII(b[4:4+n], v) || utf8.ValidString(v) {
			return
		}
		w.b = w.b[:at]
	}
	w.long(key, clean(v))
}

// putASCII copies a text to b, which is as long, and reports that it is ASCII.
func putASCII(b []byte, s string) bool {
	n := len(s)
	b = b[:n]
	var x uint64
	if n >= 8 {
		for i := 0; i+8 < n; i += 8 {
			y := fixed64(s[i : i+8])
			binary.LittleEndian.PutUint64(b[i:i+8], y)
			x |= y
		}
		y := fixed64(s[n-8:])
		binary.LittleEndian.PutUint64(b[n-8:], y)
		x |= y
	} else {
		for i := range n {
			b[i] = s[i]
			x |= uint64(s[i])
		}
	}
	return x&0x8080808080808080 == 0
}

func (w *protoSink) long(key, v string) {
	n := len(v)
	w.head(key, 1+uvarintLen(uint64(n))+n)
	w.b = binary.AppendUvarint(append(w.b, 1<<3|2), uint64(n))
	w.b = append(w.b, v...)
}

func (w *protoSink) bool(key string, v bool) {
	w.head(key, 2)
	if v {
		w.b = append(w.b, 2<<3, 1)
	} else {
		w.b = append(w.b, 2<<3, 0)
	}
}

func (w *protoSink) int(key string, v int64) {
	w.head(key, 1+uvarintLen(uint64(v)))
	w.b = binary.AppendUvarint(append(w.b, 3<<3), uint64(v))
}

func (w *protoSink) double(key string, v float64) {
	w.head(key, 9)
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
