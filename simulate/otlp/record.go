package otlp

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// resource is the part of the records of one resource that they have in common.
// Each record starts as a copy of ev.
type resource struct {
	ev    event.Event
	wait  pending
	held  [heldCount]string
	fault string
	tail  tailRun // how its records repeat it

	// One that is kept for later requests holds no views into this one's bytes. The
	// scope that was met with it last, and it with that scope, are kept with it.
	kept   bool
	scope  string
	scoped *resource
}

// The machines and releases of an organisation are few, so resources come again
// and again. More than these, or longer ones, are read each time.
const (
	maxResources = 128
	maxResource  = 2048
)

// newResource gives the place to read a resource of about so many bytes into.
// Afterwards read is told its bytes, so that it is kept for requests to come, by the
// form it was read from; "" says that it is not to be kept.
func (b *Batch) newResource(form, size int) (res *resource, read func(raw string)) {
	if size > maxResource || len(b.known[form]) >= maxResources {
		return &b.res, func(string) {}
	}
	res = new(resource)
	view := b.view
	b.view = true // what is kept is copied
	return res, func(raw string) {
		b.view = view
		if raw == "" || len(raw) > maxResource {
			return
		}
		if b.known[form] == nil {
			b.known[form] = map[string]*resource{}
		}
		res.kept = true
		b.known[form][strings.Clone(raw)] = res
	}
}

// newScoped is newResource for a resource with a scope.
func (b *Batch) newScoped(of *resource) (own *resource, read func(raw string)) {
	own, read = &b.own, func(string) {}
	if of.kept {
		own = new(resource)
		view := b.view
		b.view = true
		read = func(raw string) {
			if b.view = view; raw != "" {
				of.scope, of.scoped = strings.Clone(raw), own
			}
		}
	}
	*own = *of
	own.scope, own.scoped, own.tail = "", nil, tailRun{}
	return own, read
}

// pending holds what only the whole record can interpret: the event's name, and
// pairs of keys of which the event decides which one fills the field.
type pending struct {
	name, stamp string
	holds       uint8 // a bit for each of record.held that is set
}

const (
	heldDecision = iota
	heldDecisionType
	heldSource
	heldDecisionSource
	heldToolScope
	heldServerScope
	heldCount
)

var heldKeys = [heldCount]key{keyDecision, keyDecisionType, keySource, keyDecisionSource, keyToolScope, keyServerScope}

// record fills one event. The wire readers set the header fields and call attr
// or text for every attribute; finish resolves what depends on the event's name.
type record struct {
	ev               *event.Event
	b                *Batch
	time, observed   int64
	timed, observedT bool
	own              bool      // a record, not a resource
	res              *resource // its resource
	slot             uint8     // of its event's name
	last             key       // the attribute read last
	body, eventName  string
	attrs            int
	shared           int // leading Extra entries that belong to the resource
	run              run
	fault            string             // first thing lost; the record is kept
	fatal            string             // the record is no record
	held             *[heldCount]string // those of b, or of the resource
	pending
}

// start begins a record, given as its zero value, as a copy of its resource, in
// place at the end of the batch. finish keeps it there, or takes it away.
func (r *record) start(b *Batch, res *resource) {
	r.b, r.own, r.res, r.held, r.shared = b, true, res, &b.held, len(res.ev.Extra)
	if r.pending = res.wait; r.holds != 0 {
		b.held = res.held
	}
	if n := len(b.Events); n < cap(b.Events) {
		b.Events = b.Events[:n+1]
	} else {
		b.Events = append(b.Events, event.Event{})
	}
	r.ev = &b.Events[len(b.Events)-1]
	*r.ev = res.ev
}

// resourceRecord begins a record that collects the attributes of a resource.
func resourceRecord(b *Batch, res *resource) record {
	*res = resource{}
	return record{b: b, res: res, ev: &res.ev, held: &res.held, run: run{head: 2}}
}

// done turns the record that took a resource's attributes into that resource.
func (r *record) done(res *resource) {
	if r.fault != "" {
		r.fault = "resource: " + r.fault
	}
	res.wait, res.fault = r.pending, r.fault
	res.ev.Extra = res.ev.Extra[:len(res.ev.Extra):len(res.ev.Extra)]
}

func (r *record) lose(reason string) {
	if r.fault == "" {
		r.fault = reason
	}
}

// attr takes one attribute. A later value of a key replaces the earlier one, so
// that record attributes win over those of the resource.
func (r *record) attr(name string, v value) {
	k := keyOf(name)
	if v.k == text && k != keyOther {
		r.text(k, v.s)
		return
	}
	r.attrs++
	if r.attrs > maxAttributes {
		r.lose("too many attributes")
		return
	}
	switch v.k {
	case none:
		return
	case broken:
		r.lose(clip(name) + ": " + v.s)
		return
	}
	if name == "" {
		r.lose("attribute without key")
		return
	}
	e := r.ev
	f := &fields[k]
	if f.how == asNumber || f.how == asSize {
		i, ok := v.int()
		if !ok {
			r.keep(name, &v, "not a number")
			return
		}
		r.number(f, i, f.how == asSize)
		return
	}
	switch k {
	case keyOther:
		r.extra(name, &v)
	case keyHostPaths:
		if v.k != list {
			r.keep(name, &v, "not a list of strings")
			return
		}
		r.hostPaths(r.b.texts(v.ss))
	case keySuccess:
		if v.k != boolean {
			r.keep(name, &v, "not true or false")
			return
		}
		e.Success = v.b
		e.Has |= event.FSuccess
		e.Retyped |= event.FSuccess
	case keyCostUSD:
		switch v.k {
		case integer:
			r.cost(name, &v, float64(v.i), false)
		case double:
			r.cost(name, &v, v.f, false)
		default:
			r.keep(name, &v, "not an amount")
		}
	case keyCostMicros:
		r.micros(name, &v, false)
	default:
		s, ok := v.text()
		if !ok {
			r.keep(name, &v, "not a text")
			return
		}
		r.attrs--
		r.text(k, s)
	}
}

// number fills a field; retyped says that the wire mostly carries it in another
// type.
func (r *record) number(f *field, i int64, retyped bool) {
	*f.number(r.ev) = i
	r.ev.Has |= f.bit
	r.retyped(f.bit, retyped)
}

// integer takes a number for a field that is one on the wire; it reports false
// for any other field, having taken nothing.
func (r *record) integer(k key, i int64) bool {
	if r.attrs >= maxAttributes {
		return false
	}
	switch f := &fields[k]; {
	case f.how == asNumber:
		r.number(f, i, false)
	case k == keyCostMicros && i > -1e15 && i < 1e15:
		r.ev.CostMicros = i
		r.ev.Has |= event.FCostMicros
		r.ev.Retyped &^= event.FCostMicros
	default:
		return false
	}
	r.attrs++
	return true
}

// text takes an attribute that the decoder knows, given as a text.
func (r *record) text(k key, s string) {
	if k >= firstResource && r.own && r.repeats(k, s, "", -1, -1) {
		return
	}
	r.attrs++
	if r.attrs > maxAttributes {
		r.lose("too many attributes")
		return
	}
	e := r.ev
	switch f := &fields[k]; f.how {
	case asText:
		s = r.b.keep(k, s)
		to := f.text(e)
		if f.bit == 0 {
			r.plain(k, to, s)
			return
		}
		*to = s
		e.Has |= f.bit
		return
	case asNumber, asSize:
		if i, ok := parseInt(s); ok {
			r.number(f, i, f.how == asNumber)
			return
		}
		if k == keyStatusCode && s == "undefined" { // documented for errors without an HTTP answer
			r.extra(keyNames[k], &value{k: text, s: s})
			return
		}
		r.keep(keyNames[k], &value{k: text, s: s}, "not a number")
		return
	case asHeld:
		r.held[f.held] = r.b.keep(k, s)
		r.holds |= 1 << f.held
		return
	}
	switch k {
	case keyEventName:
		r.name, r.slot = s, nameSlot(s)
	case keyStamp:
		r.stamp = s
	case keyHostPaths:
		r.hostPathText(r.b.stay(s))
	case keySuccess:
		switch s {
		case "true", "false":
			e.Success = s == "true"
			e.Has |= event.FSuccess
			e.Retyped &^= event.FSuccess
		default:
			r.keep(keyNames[k], &value{k: text, s: s}, "not true or false")
		}
	case keyCostUSD:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			f = math.NaN()
		}
		r.cost(keyNames[k], &value{k: text, s: s}, f, true)
	case keyCostMicros:
		r.micros(keyNames[k], &value{k: text, s: s}, true)
	case keyHostArch, keyOSVersion, keyOwner:
		r.extra(keyNames[k], &value{k: text, s: s})
	}
}

// run watches the two runs of attributes that records share with the one before
// them. Positions are in the text that is read.
type run struct {
	headFrom, headTo, tailFrom, tailTo int
	head                               uint8 // 0 not begun, 1 in the run, 2 past it
	headN, tailN                       int
	tailFirst, tailLast                key
	off                                bool // the record says otherwise than its resource
}

const (
	headKeys = event.FUserID | event.FSession | event.FOrganisation | event.FEmail | event.FAccount
)

// takeHead reads the beginning of a record from the one before it, and returns
// how many bytes that was.
func (r *record) takeHead(s string, i int) int {
	h := &r.b.head
	if r.attrs != 0 || h.raw == "" || r.ev.Has&headKeys != 0 || !strings.HasPrefix(s[i:], h.raw) {
		return 0
	}
	e := r.ev
	e.UserID, e.Session, e.Organisation, e.Email = h.userID, h.session, h.organisation, h.email
	e.Account, e.AccountID, e.Terminal = h.account, h.accountID, h.terminal
	e.Has |= h.has
	r.attrs = h.n
	r.run.head = 2
	return len(h.raw)
}

// keepHead is told each attribute before it is taken; i is where it begins.
func (r *record) keepHead(k key, i int, s string) {
	n := &r.run
	identity := k >= keyUserID && k <= keyTerminal
	e := r.ev
	switch {
	case n.head == 0:
		n.head = 2
		if identity && r.attrs == 0 && e.Has&headKeys == 0 && e.Terminal == "" && e.AccountID == "" {
			n.head, n.headN, n.headFrom = 1, 1, i
		}
		return
	case i-n.headTo > 1 || r.attrs != n.headN: // something else came between
		n.head = 2
		return
	case identity:
		n.headN++
		return
	}
	n.head = 2
	if len(e.Extra) != r.shared || r.fault != "" {
		return
	}
	r.b.head = headRun{raw: r.b.stay(s[n.headFrom:n.headTo]), n: r.attrs, has: e.Has & headKeys, userID: e.UserID, session: e.Session,
		organisation: e.Organisation, email: e.Email, account: e.Account, accountID: e.AccountID, terminal: e.Terminal}
}

// takeTail skips the run in which the record repeats its resource.
func (r *record) takeTail(k key, s string, i int) int {
	t := &r.res.tail
	if k != t.first || r.run.off || !strings.HasPrefix(s[i:], t.raw) {
		return 0
	}
	r.attrs += t.n
	r.ev.Repeated = true
	return len(t.raw)
}

// repeats reports that a record attribute, which stands from i to end, only says
// again what the resource says, and keeps the run of such.
func (r *record) repeats(k key, v string, s string, i, end int) bool {
	n := &r.run
	same := false
	e := r.ev
	if v != "" && r.own && !n.off {
		switch k {
		case keyService:
			same = e.Service == v
		case keyServiceVersion:
			same = e.ServiceVersion == v
		case keyOS:
			same = e.OS == v
		case keyDeployment:
			same = e.DeploymentMode == v
		case keySurface:
			same = e.Surface == v
		default:
			for j := 0; j < r.shared; j++ {
				if x := &e.Extra[j]; x.Key == keyNames[k] {
					t, ok := x.Value.(string)
					same = ok && t == v
					break
				}
			}
		}
	}
	if !same {
		n.off = true
		return false
	}
	r.attrs++
	e.Repeated = true
	if d := i - n.tailTo; n.tailN == 0 || d != 0 && d != 1 {
		n.tailFrom, n.tailFirst, n.tailN = i, k, 0
	}
	n.tailTo, n.tailLast = end, k
	n.tailN++
	return true
}

// keepTail is called at the end of a record's attributes.
func (r *record) keepTail(s string) {
	n := &r.run
	if n.tailN < 2 || n.tailFrom < 0 || n.off || r.attrs > maxAttributes {
		return
	}
	if raw := s[n.tailFrom:n.tailTo]; r.res.tail.raw != raw {
		if raw = r.b.stay(raw); r.res.kept {
			raw = strings.Clone(raw)
		}
		r.res.tail = tailRun{raw: raw, n: n.tailN, first: n.tailFirst, last: n.tailLast}
	}
}

func (r *record) hostPaths(paths []string) {
	r.ev.HostPaths = paths
	if len(paths) == 0 {
		r.ev.HostPaths = nil
	}
	r.ev.Has |= event.FHostPaths
	r.ev.Retyped &^= event.FHostPaths
}

// hostPathText takes the folders as one text: a JSON array, as some exporters
// write a list, or one folder.
func (r *record) hostPathText(s string) {
	paths := []string{s}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		p := scanner{s: s, text: &r.b.scratch}
		if v := p.plain(0); p.err == "" && p.peek() == 0 && v.k == list {
			paths = v.ss
		}
	}
	r.hostPaths(paths)
	r.ev.Retyped |= event.FHostPaths
}

// plain sets a text field without a bit for its presence. Its empty value goes
// to Extra, for absent and empty are different facts.
func (r *record) plain(k key, to *string, s string) {
	if s == "" {
		*to = ""
		r.extra(keyNames[k], &value{k: text})
		return
	}
	if *to == "" && len(r.ev.Extra) > 0 {
		r.drop(keyNames[k])
	}
	*to = s
}

// drop forgets an empty value that a later one replaces.
func (r *record) drop(name string) {
	for i, x := range r.ev.Extra {
		if x.Key == name && x.Value == any("") {
			r.ev.Extra = append(append([]event.Attr(nil), r.ev.Extra[:i]...), r.ev.Extra[i+1:]...)
			r.shared = 0
			return
		}
	}
}

// cost is bounded so that the micro-dollars stay exact in a float64.
func (r *record) cost(name string, v *value, f float64, text bool) {
	if !(math.Abs(f) < 1e9) {
		r.keep(name, v, "not an amount")
		return
	}
	r.ev.CostUSD = f
	r.ev.Has |= event.FCostUSD
	r.retyped(event.FCostUSD, text)
}

func (r *record) micros(name string, v *value, text bool) {
	i, ok := v.int()
	if !ok || i <= -1e15 || i >= 1e15 {
		r.keep(name, v, "not an amount")
		return
	}
	r.ev.CostMicros = i
	r.ev.Has |= event.FCostMicros
	r.retyped(event.FCostMicros, text)
}

func (r *record) retyped(bit event.Field, yes bool) {
	r.ev.Retyped &^= bit
	if yes {
		r.ev.Retyped |= bit
	}
}

// keep files a value that its field cannot hold under Extra and says so.
func (r *record) keep(name string, v *value, reason string) {
	r.lose(name + ": " + reason)
	r.extra(name, v)
}

func (r *record) extra(name string, v *value) {
	if r.own && r.b.Borrow {
		return
	}
	x := r.ev.Extra
	for i := range x {
		if x[i].Key != name {
			continue
		}
		if i < r.shared && r.own {
			if s, ok := x[i].Value.(string); ok && v.k == text && s == v.s {
				return // what the resource says already
			}
		}
		if i < r.shared { // the resource's entries serve other records too
			x = append([]event.Attr(nil), x...)
			r.shared = 0
		}
		x[i].Value = r.b.box(v)
		r.ev.Extra = x
		return
	}
	r.ev.Extra = grow(&r.b.attrs, x, event.Attr{Key: r.b.name(name), Value: r.b.box(v)})
}

func (r *record) rest(i int) {
	if r.holds&(1<<i) != 0 {
		r.extra(keyNames[heldKeys[i]], &value{k: text, s: r.held[i]})
	}
}

// finish completes the event, or files the reason against it, in the batch.
func (r *record) finish() {
	b := r.b
	at := b.Records
	b.Records++
	if r.fatal != "" {
		b.Events = b.Events[:len(b.Events)-1]
		b.Bad = append(b.Bad, BadRecord{Index: at, Reason: r.fatal})
		return
	}
	e := r.ev
	if k := b.kinds[r.slot]; k != event.Other && k.String() == r.name {
		e.Kind, e.Name = k, k.String()
	} else {
		e.Name = eventName(r.name, r.body, r.eventName)
		if e.Kind = event.KindOf(e.Name); e.Kind != event.Other {
			e.Name = e.Kind.String()
			b.kinds[r.slot] = e.Kind
		} else {
			e.Name = b.keep(keyEventName, e.Name)
		}
	}
	if e.Name == "" {
		r.lose("no event name")
	}
	e.Product = product(e.Service, e.Scope)
	if r.body != "" && (r.body != bodies[e.Kind] || e.Product == event.DesktopLogs) && !isBody(r.body, e) {
		e.Body = b.stay(r.body)
	}
	if r.timed {
		e.Time = r.time
		e.Has |= event.FTime
	}
	if r.stamp != "" {
		r.stamped()
	} else if !r.timed {
		r.lose("no time")
	}
	if r.observedT {
		e.Observed = r.observed
		e.Has |= event.FObserved
	}

	if r.holds != 0 {
		r.release()
	}
	if e.Trace != "" || e.Span != "" {
		r.hexID(&e.Trace, "traceId")
		r.hexID(&e.Span, "spanId")
	}
	if e.Has&event.FCostUSD != 0 && e.Has&event.FCostMicros == 0 {
		e.CostMicros = int64(math.Round(e.CostUSD * 1e6))
	}
	e.DeriveWith(&b.scratch)
	if r.fault != "" {
		b.Bad = append(b.Bad, BadRecord{Index: at, Reason: r.fault, Salvaged: true})
	}
}

// hexID brings an id to lower case; all zeros is the wire's way of saying unset.
func (r *record) hexID(id *string, name string) {
	if strings.Trim(*id, "0") == "" {
		*id = ""
		return
	}
	raw, err := hex.DecodeString(*id)
	if err != nil {
		r.lose(name + ": not hexadecimal")
		*id = ""
		return
	}
	*id = hex.EncodeToString(raw)
}

// release files the pairs of keys. A result names its approval decision_type and
// decision_source, every other event decision and source; a connection its scope
// server_scope, every other event mcp_server_scope.
func (r *record) release() {
	e := r.ev
	decision, source, other, otherSource := heldDecision, heldSource, heldDecisionType, heldDecisionSource
	if e.Kind == event.ToolResult {
		decision, source, other, otherSource = other, otherSource, decision, source
	}
	if r.holds&(1<<decision) != 0 {
		e.Decision = r.held[decision]
		e.Has |= event.FDecision
	}
	if r.holds&(1<<source) != 0 {
		e.Source = r.held[source]
		e.Has |= event.FSource
	}
	r.rest(other)
	r.rest(otherSource)
	scope, otherScope := heldToolScope, heldServerScope
	if e.Kind == event.MCPConnection {
		scope, otherScope = otherScope, scope
	}
	if r.holds&(1<<scope) != 0 {
		r.plain(heldKeys[scope], &e.ServerScope, r.held[scope])
	}
	r.rest(otherScope)
}

// stamped reads event.timestamp: it gives the time where the record has none,
// and is kept as a text where it says something else than the time.
func (r *record) stamped() {
	e := r.ev
	if r.timed && r.b.isStamp(r.stamp, e.Time) {
		e.Has |= event.FStamp
		return
	}
	if t, err := time.Parse(time.RFC3339Nano, r.stamp); err == nil && t.Year() >= 1970 && t.Year() < 2262 {
		if !r.timed {
			e.Time = t.UnixNano()
			e.Has |= event.FTime
		}
		if r.stamp == stamp(e.Time) {
			e.Has |= event.FStamp
			return
		}
	} else {
		r.lose("event.timestamp: not a time")
	}
	r.extra("event.timestamp", &value{k: text, s: r.stamp})
}

// instant reads nanoseconds since 1970; 0 is the wire's way of saying unset.
func (r *record) instant(u uint64, to *int64, set *bool) {
	if u > math.MaxInt64 {
		r.lose("time out of range")
		return
	}
	*to, *set = int64(u), u != 0
}

const (
	prefix = "claude_code."
	// scopeName is the instrumentation scope of the product's events, Cowork included.
	scopeName = "com.anthropic.claude_code.events"
)

// eventName takes the name from the attribute, else from the body after its
// first dot, else from the record's own field. A body that is one word is a name
// too: the desktop application writes such.
func eventName(attr, body, field string) string {
	if attr = bare(attr); attr != "" {
		return attr
	}
	_, after, _ := strings.Cut(body, ".")
	if after = bare(after); after != "" && word(body) {
		return after
	}
	if field = bare(field); field == "" && word(body) {
		return bare(body)
	}
	return field
}

func bare(name string) string {
	for strings.HasPrefix(name, prefix) {
		name = name[len(prefix):]
	}
	return name
}

func word(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}

// product never guesses: the events' scope is the same for Cowork and Claude
// Code, so a record without a service name belongs to neither.
func product(service, scope string) event.Product {
	switch {
	case strings.HasPrefix(scope, "claude-desktop") || service == "claude-desktop":
		return event.DesktopLogs
	case service == "cowork":
		return event.Cowork
	case service == "claude-code" || strings.HasPrefix(service, "claude-code-"):
		return event.ClaudeCode
	case strings.Contains(service, "office"):
		return event.OfficeAgents
	}
	return event.UnknownProduct
}

// isBody reports that a body only repeats the event's name.
func isBody(body string, e *event.Event) bool {
	if e.Product == event.DesktopLogs {
		return body == e.Name
	}
	return len(body) == len(prefix)+len(e.Name) && strings.HasPrefix(body, prefix) && body[len(prefix):] == e.Name
}

func (v *value) text() (string, bool) {
	switch v.k {
	case text, nested, blob:
		return v.s, true
	case integer:
		return strconv.FormatInt(v.i, 10), true
	case double:
		return strconv.FormatFloat(v.f, 'g', -1, 64), true
	case boolean:
		return strconv.FormatBool(v.b), true
	}
	return "", false
}

func (v *value) int() (int64, bool) {
	switch v.k {
	case integer:
		return v.i, true
	case double:
		return whole(v.f)
	case text:
		return parseInt(v.s)
	}
	return 0, false
}

// parseInt reads a whole number, also one written as a double.
func parseInt(s string) (int64, bool) {
	if n := len(s); n > 0 && n <= 18 {
		var i int64
		for j := 0; j < n; j++ {
			c := s[j] - '0'
			if c > 9 {
				i = -1
				break
			}
			i = i*10 + int64(c)
		}
		if i >= 0 {
			return i, true
		}
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return whole(f)
	}
	return 0, false
}

// whole rounds, within the range where a float64 still counts exactly.
func whole(f float64) (int64, bool) {
	if math.Abs(f) > 1<<53 || f != f {
		return 0, false
	}
	return int64(math.Round(f)), true
}

func clip(s string) string {
	if len(s) > 64 {
		s = s[:64] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
