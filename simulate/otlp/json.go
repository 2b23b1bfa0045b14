package otlp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// ErrJSON is what DecodeJSON's errors wrap.
var ErrJSON = errors.New("no usable OTLP JSON")

// DecodeJSON decodes one OTLP/JSON logs request, or several behind each other,
// and appends to into. It also takes a bare resource block, a bare record, an
// array of any of these, snake_case names, the older
// instrumentationLibraryLogs, and documents of other tools (see DecodeFlat).
//
// It fails only when nothing of the line is usable. A request cut short keeps
// the records before the cut; a record that is broken in itself is skipped. Both
// are counted in into.Bad. The strings of the events do not depend on line, unless
// into.Borrow is set.
func DecodeJSON(line []byte, into *Batch) error {
	s := viewOf(line)
	if !into.Borrow {
		s = strings.Clone(s)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	s = strings.TrimPrefix(s, "\uFEFF")
	p := scanner{s: s, text: &into.scratch}
	before, values := into.Records, 0
	for p.peek() != 0 {
		if c := p.peek(); c != '{' && c != '[' {
			p.fail("not a JSON object")
			break
		}
		p.top(into, 0)
		if p.err != "" {
			break
		}
		values++
	}
	if p.err != "" {
		if values == 0 && into.Records == before {
			return fmt.Errorf("%w: %s at byte %d", ErrJSON, p.err, p.i)
		}
		into.note("cut or broken JSON: " + p.err)
	} else if values == 0 {
		return fmt.Errorf("%w: empty", ErrJSON)
	}
	return nil
}

// top reads one top-level value.
func (p *scanner) top(b *Batch, depth int) {
	if p.peek() == '[' {
		if depth >= 2 {
			p.skip()
			b.note("nested arrays")
			return
		}
		for first := p.open('['); p.next(&first, ']'); {
			p.top(b, depth+1)
		}
		return
	}
	if p.peek() != '{' {
		p.skip()
		b.note("not a JSON object")
		return
	}
	start, known, empty := p.i, false, true
	for first := p.open('{'); p.next(&first, '}'); empty = false {
		switch p.key() {
		case "resourceLogs", "resource_logs":
			known = true
			if !p.array(b, "resourceLogs") {
				continue
			}
			for first := p.open('['); p.next(&first, ']'); {
				p.resourceLogs(b)
			}
		case "resourceSpans", "resource_spans", "resourceMetrics", "resource_metrics", "resourceProfiles", "resource_profiles":
			known = true
			b.Other++
			p.skip()
		case "scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs":
			p.i = start
			p.resourceLogs(b)
			return
		case "logRecords", "log_records", "logs":
			p.i = start
			p.scopeLogs(b, &resource{})
			return
		case "attributes":
			if p.peek() != '[' {
				p.skip()
				continue
			}
			p.i = start
			p.record(b, &resource{})
			return
		case "timeUnixNano", "time_unix_nano":
			p.i = start
			p.record(b, &resource{})
			return
		default:
			p.skip()
		}
	}
	if known || empty || p.err != "" {
		return
	}
	end := p.i
	p.i = start
	if !p.flatTop(b, depth) {
		p.i = start
		if p.bodied() {
			p.i = start
			p.record(b, &resource{})
		} else {
			b.note("not an OTLP request")
		}
	}
	p.i = end
}

// bodied reports that an object has an OTLP body, and so is a bare record.
func (p *scanner) bodied() bool {
	for first := p.open('{'); p.next(&first, '}'); {
		if p.key() == "body" && p.peek() == '{' {
			return true
		}
		p.skip()
	}
	return false
}

// array reports that an array follows; anything else is skipped, and unless it
// is null, noted.
func (p *scanner) array(b *Batch, what string) bool {
	c := p.peek()
	if c == '[' {
		return true
	}
	p.skip()
	if c != 'n' {
		b.note(what + " is not a list")
	}
	return false
}

// resourceLogs reads one resource block. The resource may stand behind the
// records it belongs to; then they are read after it.
func (p *scanner) resourceLogs(b *Batch) {
	if p.peek() != '{' {
		p.skip()
		b.note("resource block is not an object")
		return
	}
	var res *resource
	var later []int
	for first := p.open('{'); p.next(&first, '}'); {
		switch p.key() {
		case "resource":
			res = p.resource(b)
		case "scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs":
			if res == nil {
				later = append(later, p.i)
				p.skip()
				continue
			}
			p.scopes(b, res)
		default:
			p.skip()
		}
	}
	if res == nil {
		res = &resource{}
	}
	p.revisit(later, func() { p.scopes(b, res) })
	if res.fault != "" {
		b.note(res.fault)
	}
}

// revisit reads again what was skipped at the given places, even when the
// object around it turned out broken: what stands before the break counts.
func (p *scanner) revisit(places []int, read func()) {
	end, err := p.i, p.err
	for _, at := range places {
		p.i, p.err = at, ""
		read()
	}
	p.i, p.err = end, err
}

func (p *scanner) scopes(b *Batch, res *resource) {
	if !p.array(b, "scopeLogs") {
		return
	}
	for first := p.open('['); p.next(&first, ']'); {
		p.scopeLogs(b, res)
	}
}

func (p *scanner) scopeLogs(b *Batch, res *resource) {
	if p.peek() != '{' {
		p.skip()
		b.note("scope block is not an object")
		return
	}
	own := res
	seen := false
	var later []int
	records := func() {
		if !p.array(b, "logRecords") {
			return
		}
		for first := p.open('['); p.next(&first, ']'); {
			p.record(b, own)
		}
	}
	for first := p.open('{'); p.next(&first, '}'); {
		switch p.key() {
		case "scope", "instrumentationLibrary", "instrumentation_library":
			seen = true
			own = p.scope(b, res, own)
		case "logRecords", "log_records", "logs":
			if !seen {
				later = append(later, p.i)
				p.skip()
				continue
			}
			records()
		default:
			p.skip()
		}
	}
	p.revisit(later, records)
}

// resource reads a resource.
func (p *scanner) resource(b *Batch) *resource {
	p.peek()
	from := p.i
	n := strings.Index(p.s[from:], "]}") + 2 // where it ends, mostly
	if n > 1 {
		if res := b.known[1][p.s[from:from+n]]; res != nil {
			p.i += n
			return res
		}
	}
	res, read := b.newResource(1, n)
	r := resourceRecord(b, res)
	p.attributesOf(&r)
	r.done(res)
	read(p.whole(from))
	return res
}

// scope reads the scope of a block. own is what was known of it before: mostly no
// more than its resource.
func (p *scanner) scope(b *Batch, of, own *resource) *resource {
	if p.peek() != '{' {
		p.skip()
		return own
	}
	from, read := p.i, func(string) {}
	if own == of {
		if n := len(of.scope); n > 0 && strings.HasPrefix(p.s[from:], of.scope) {
			p.i += n
			return of.scoped
		}
		own, read = b.newScoped(of)
	}
	for first := p.open('{'); p.next(&first, '}'); {
		switch p.key() {
		case "name":
			if p.peek() == '"' {
				own.ev.Scope = b.stay(p.str())
				if own.ev.Scope != "" {
					own.ev.Has |= event.FScope
				}
				continue
			}
		case "version":
			if p.peek() == '"' {
				own.ev.ScopeVersion = b.stay(p.str())
				continue
			}
		}
		p.skip()
	}
	read(p.whole(from))
	return own
}

// whole is the text from the given place on, "" when it is broken.
func (p *scanner) whole(from int) string {
	if p.err != "" {
		return ""
	}
	return p.s[from:p.i]
}

// attributesOf reads an object of which only the attributes count.
func (p *scanner) attributesOf(r *record) {
	if p.peek() != '{' {
		p.skip()
		return
	}
	for first := p.open('{'); p.next(&first, '}'); {
		if p.key() == "attributes" {
			p.attributes(r)
			continue
		}
		p.skip()
	}
}

// record reads one log record. When it is broken inside but its brackets
// balance, the reader goes on behind it.
func (p *scanner) record(b *Batch, res *resource) {
	p.peek()
	start := p.i
	if p.peek() != '{' {
		p.skip()
		if p.err == "" {
			b.Bad = append(b.Bad, BadRecord{Index: b.Records, Reason: "not an object"})
			b.Records++
		}
		return
	}
	var r record
	r.start(b, res)
	first := !p.quickHead(&r) && p.open('{')
	for p.next(&first, '}') {
		switch p.key() {
		case "timeUnixNano", "time_unix_nano":
			p.instant(&r, &r.time, &r.timed)
		case "observedTimeUnixNano", "observed_time_unix_nano":
			p.instant(&r, &r.observed, &r.observedT)
		case "body":
			if v := p.value(0); v.k == text || v.k == nested {
				r.body = v.s
			}
		case "traceId", "trace_id":
			p.texts(&r.ev.Trace)
		case "spanId", "span_id":
			p.texts(&r.ev.Span)
		case "severityText", "severity_text":
			p.texts(&r.ev.SeverityText)
		case "severityNumber", "severity_number":
			if raw, ok := p.scalar(); ok {
				if n, err := strconv.ParseInt(raw, 10, 32); err == nil {
					r.ev.Severity = int32(n)
				}
			}
		case "eventName", "event_name":
			if p.peek() == '"' {
				r.eventName = p.str()
			} else {
				p.skip()
			}
		case "attributes":
			p.attributes(&r)
		default:
			p.skip()
		}
	}
	if p.err != "" {
		why, at := p.err, p.i
		p.i, p.err = start, ""
		p.skip()
		if p.err == "" && (p.peek() == ',' || p.peek() == ']' || p.peek() == '}' || p.peek() == 0) {
			r.fatal = "broken record: " + why
		} else { // the rest of the line cannot be told apart
			p.i, p.err = at, why
			r.fatal = "record cut or broken: " + why
		}
	}
	r.finish()
}

// quickHead reads what stands before the attributes, in the form in which the
// product's exporter writes it, and the attributes if they are next. It reports
// false, having read nothing, for any other.
func (p *scanner) quickHead(r *record) bool {
	const (
		time, observed, body, attributes = `{"timeUnixNano":"`, `","observedTimeUnixNano":"`, `","body":{"stringValue":"`, `"},"attributes":`
		first                            = len(time)
		second                           = first + nanoDigits + len(observed)
		third                            = second + nanoDigits + len(body)
	)
	s := p.s[p.i:]
	if len(s) < third || s[:first] != time || s[first+nanoDigits:second] != observed || s[second+nanoDigits:third] != body {
		return false
	}
	t, ok := nanos(s[first : first+nanoDigits])
	o, ok2 := nanos(s[second : second+nanoDigits])
	n := plainEnd(s, third)
	if !ok || !ok2 || n+2 > len(s) || s[n:n+2] != `"}` {
		return false
	}
	r.instant(t, &r.time, &r.timed)
	r.instant(o, &r.observed, &r.observedT)
	r.body = s[third:n]
	if n+len(attributes) <= len(s) && s[n:n+len(attributes)] == attributes {
		p.i += n + len(attributes)
		p.attributes(r)
	} else {
		p.i += n + 2
	}
	return true
}

// nanoDigits is how many digits a time in nanoseconds has.
const nanoDigits = len("1782787411836000000")

// nanos reads nanoDigits digits.
func nanos(s string) (n uint64, ok bool) {
	a, ok := eightDigits(fixed64(s))
	b, ok2 := eightDigits(fixed64(s[8:]))
	n = a*1e8 + b
	for i := 16; i < nanoDigits; i++ {
		d := s[i] - '0'
		ok = ok && d <= 9
		n = n*10 + uint64(d)
	}
	return n, ok && ok2
}

// eightDigits is the number that eight digits say, the first in the lowest byte.
// Neighbours are put together: digits to pairs, and these, each in its place.
func eightDigits(w uint64) (n uint64, ok bool) {
	const beyond = 0x76 * ones // added to a digit, it stays below 0x80
	w ^= '0' * ones
	ok = (w|(w+beyond))&high == 0
	w = w*10 + w>>8
	const pair = 0x000000ff000000ff
	return (w&pair*(100+1e6<<32) + w>>16&pair*(1+1e4<<32)) >> 32, ok
}

// texts reads a text into to; another value is skipped.
func (p *scanner) texts(to *string) {
	if p.peek() == '"' {
		*to = p.str()
		return
	}
	p.skip()
}

func (p *scanner) instant(r *record, to *int64, set *bool) {
	c := p.peek()
	var raw string
	switch {
	case c == '"':
		raw = p.str()
	case c == 'n':
		p.skip()
		return
	default:
		at := p.i
		p.skip()
		raw = p.s[at:p.i]
	}
	if raw == "" {
		return
	}
	u, err := strconv.ParseUint(raw, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(raw, 64)
		if ferr != nil || !(f >= 0 && f < math.MaxInt64) {
			r.lose("time is not a number")
			return
		}
		u = uint64(f)
	}
	r.instant(u, to, set)
}

func (p *scanner) attributes(r *record) {
	if c := p.peek(); c != '[' {
		p.skip()
		if c != 'n' {
			r.lose("attributes is not a list")
		}
		return
	}
	for first := p.open('['); p.next(&first, ']'); {
		if p.quick(r) {
			continue
		}
		if p.peek() != '{' {
			p.skip()
			r.lose("attribute is not an object")
			continue
		}
		var key string
		var v value
		for first := p.open('{'); p.next(&first, '}'); {
			switch p.key() {
			case "key":
				if p.peek() != '"' {
					p.skip()
					continue
				}
				key = p.str()
			case "value":
				v = p.value(0)
			default:
				p.skip()
			}
		}
		if p.err == "" {
			r.attr(key, v)
		}
	}
	r.keepTail(p.s)
}

// quick reads attributes in the form in which the product's exporter and most
// libraries write them, without white space and with the key first, as many as
// stand behind each other. It stops behind the last such, and reports whether
// there was one.
func (p *scanner) quick(r *record) bool {
	const (
		keyHead, valueHead             = `{"key":"`, `","value":{"`
		isText, isInt, isFloat, isList = `stringValue":"`, `intValue":`, `doubleValue":`, `arrayValue":`

		least = len(valueHead) + len(isText) // in a whole request no less stands behind a key
	)
	b, s, i, end, last := r.b, p.s, p.i, 0, r.last
	if n := r.takeHead(s, i); n > 0 {
		last = keyTerminal
		end = i + n
		p.i, i = end, end+1
	}
attributes:
	for end == 0 || end < len(s) && s[end] == ',' {
		at := i + len(keyHead)
		if at > len(s) || s[i:at] != keyHead {
			break
		}
		next := &b.guess[r.slot][last]
		k := *next
		x := &patterns[k]
		to := at + x.n
		if to+least > len(s) || fixed64(s[to-8:to])&x.short != x.last || x.n > 8 && (fixed64(s[at:]) != x.first || x.n > 16 && fixed64(s[at+8:]) != x.mid) || s[to] != '"' {
			to = plainEnd(s, at)
			if to+least > len(s) {
				break
			}
			k = keyOf(s[at:to])
			*next = k
		}
		rest := s[to : to+least]
		if rest[:len(valueHead)] != valueHead {
			break
		}
		if r.run.head != 2 {
			r.keepHead(k, i, s)
		}
		if k >= firstResource {
			if n := r.takeTail(k, s, i); n > 0 {
				last = r.res.tail.last
				end = i + n
				p.i, i = end, end+1
				continue
			}
		}
		name := s[at:to]
		to += len(valueHead)
		switch rest = rest[len(valueHead):]; {
		case rest == isText:
			to += len(isText)
			n := plainEnd(s, to)
			if n+3 > len(s) {
				break attributes
			}
			v := s[to:n]
			if s[n] == '\\' {
				q := scanner{s: s, i: to - 1, text: p.text}
				v = q.str()
				n = q.i - 1
				if q.err != "" || n+3 > len(s) {
					break attributes
				}
			}
			if s[n:n+3] != `"}}` {
				break attributes
			}
			end = n + 3
			switch {
			case k == keyOther:
				r.attr(name, value{k: text, s: v})
			case k < firstResource || !r.repeats(k, v, s, i, end):
				r.text(k, v)
			}
		case rest[:len(isInt)] == isInt:
			to += len(isInt)
			quoted := 0
			if s[to] == '"' {
				quoted = 1
			}
			from := to + quoted
			to = from
			var n int64
			for to < len(s) && s[to]-'0' <= 9 && to-from < 18 {
				n = n*10 + int64(s[to]-'0')
				to++
			}
			if to == from || quoted == 1 && (to >= len(s) || s[to] != '"') || !strings.HasPrefix(s[to+quoted:], "}}") {
				break attributes
			}
			end = to + quoted + 2
			if !r.integer(k, n) {
				r.attr(name, value{k: integer, i: n})
			}
		case rest[:len(isFloat)] == isFloat:
			to += len(isFloat)
			n := strings.IndexByte(s[to:], '}')
			if n <= 0 || !strings.HasPrefix(s[to+n:], "}}") {
				break attributes
			}
			f, err := strconv.ParseFloat(s[to:to+n], 64)
			if err != nil {
				break attributes
			}
			end = to + n + 2
			r.attr(name, value{k: double, f: f})
		case k == keyHostPaths && rest[:len(isList)] == isList && r.attrs < maxAttributes:
			// The folders rarely change from record to record.
			to += len(isList)
			if raw := b.paths.raw; raw == "" || !strings.HasPrefix(s[to:], raw) {
				q := scanner{s: s, i: to, text: p.text}
				list, ok := q.quickTexts(b)
				if !ok {
					break attributes
				}
				b.paths.raw, b.paths.list = s[to:q.i], list
			}
			end = to + len(b.paths.raw)
			r.attrs++
			r.hostPaths(b.paths.list)
		default:
			break attributes
		}
		if r.run.head == 1 {
			r.run.headTo = end
		}
		last = k
		p.i, i = end, end+1
	}
	r.last = last
	return end > 0
}

// quickTexts reads an array of texts, and the two brackets behind it, in the form
// that quick knows. It reports false for any other form.
func (p *scanner) quickTexts(b *Batch) (list []string, ok bool) {
	const first, next, last = `{"values":[{"stringValue":"`, `},{"stringValue":"`, `}]}}}`
	for open := first; strings.HasPrefix(p.s[p.i:], open); open = next {
		p.i += len(open) - 1
		list = grow(&b.lists, list, p.str())
		if p.err == "" && strings.HasPrefix(p.s[p.i:], last) {
			p.i += len(last)
			return list, true
		}
	}
	return nil, false
}

// value reads one AnyValue.
func (p *scanner) value(depth int) value {
	switch c := p.peek(); {
	case c == 'n':
		p.skip()
		return value{}
	case c != '{':
		p.skip()
		return bad("value is not an object")
	}
	var v value
	for first := p.open('{'); p.next(&first, '}'); {
		k := p.key()
		c := p.peek()
		if c == 'n' {
			p.skip()
			continue
		}
		switch k {
		case "stringValue", "string_value":
			if c != '"' {
				p.skip()
				v = bad("stringValue is not a text")
				continue
			}
			v = value{k: text, s: p.str()}
		case "intValue", "int_value":
			v = bad("intValue is not a number")
			if raw, ok := p.scalar(); ok {
				if i, err := strconv.ParseInt(raw, 10, 64); err == nil {
					v = value{k: integer, i: i}
				} else if f, err := strconv.ParseFloat(raw, 64); err == nil && f == math.Trunc(f) {
					if i, ok := whole(f); ok {
						v = value{k: integer, i: i}
					}
				}
			}
		case "doubleValue", "double_value":
			v = bad("doubleValue is not a number")
			if raw, ok := p.scalar(); ok {
				if f, err := strconv.ParseFloat(raw, 64); err == nil {
					v = value{k: double, f: f}
				}
			}
		case "boolValue", "bool_value":
			v = bad("boolValue is not true or false")
			if raw, ok := p.scalar(); ok && (raw == "true" || raw == "false") {
				v = value{k: boolean, b: raw == "true"}
			}
		case "bytesValue", "bytes_value":
			if c != '"' {
				p.skip()
				v = bad("bytesValue is not a text")
				continue
			}
			v = bad("bytesValue is not base64")
			if s := p.str(); true {
				if d, err := base64.StdEncoding.DecodeString(s); err == nil {
					v = value{k: blob, s: base64.StdEncoding.EncodeToString(d)}
				}
			}
		case "arrayValue", "array_value":
			v = p.arrayValue(depth + 1)
		case "kvlistValue", "kvlist_value":
			v = p.kvlist(depth + 1)
		default:
			p.skip()
		}
	}
	return v
}

// values walks the values field of an array or key-value list.
func (p *scanner) values(each func()) bool {
	if p.peek() != '{' {
		p.skip()
		return false
	}
	ok := true
	for first := p.open('{'); p.next(&first, '}'); {
		if p.key() != "values" || p.peek() == 'n' {
			p.skip()
			continue
		}
		if p.peek() != '[' {
			p.skip()
			ok = false
			continue
		}
		for first := p.open('['); p.next(&first, ']'); {
			each()
		}
	}
	return ok
}

func (p *scanner) arrayValue(depth int) value {
	if depth > maxValueDepth {
		p.skip()
		return bad("too deep")
	}
	var a gather
	if !p.values(func() { a.add(p.value(depth)) }) {
		return bad("not an arrayValue")
	}
	return a.value()
}

func (p *scanner) kvlist(depth int) value {
	if depth > maxValueDepth {
		p.skip()
		return bad("too deep")
	}
	out := []byte{'{'}
	fault := ""
	ok := p.values(func() {
		if p.peek() != '{' {
			p.skip()
			fault = "entry is not an object"
			return
		}
		var key string
		var v value
		for first := p.open('{'); p.next(&first, '}'); {
			switch k := p.key(); {
			case k == "key" && p.peek() == '"':
				key = p.str()
			case k == "value":
				v = p.value(depth)
			default:
				p.skip()
			}
		}
		if v.k == broken {
			fault = v.s
		}
		out = appendMember(out, key, v)
	})
	if !ok {
		return bad("not a kvlistValue")
	}
	if fault != "" {
		return bad(fault)
	}
	return value{k: nested, s: string(append(out, '}'))}
}

// gather collects an array: of strings only it stays a list, else it becomes
// JSON text.
type gather struct {
	vs    []value
	fault string
	mixed bool
}

func (g *gather) add(v value) {
	if v.k == broken {
		g.fault = v.s
	}
	g.mixed = g.mixed || v.k != text
	g.vs = append(g.vs, v)
}

func (g *gather) value() value {
	if g.fault != "" {
		return bad(g.fault)
	}
	if !g.mixed {
		ss := make([]string, len(g.vs))
		for i := range g.vs {
			ss[i] = g.vs[i].s
		}
		return value{k: list, ss: ss}
	}
	out := []byte{'['}
	for i, v := range g.vs {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendPlain(out, v)
	}
	return value{k: nested, s: string(append(out, ']'))}
}

func appendMember(out []byte, key string, v value) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = appendString(out, key)
	return appendPlain(append(out, ':'), v)
}

// appendPlain writes a value as ordinary JSON, not as an AnyValue.
func appendPlain(out []byte, v value) []byte {
	switch v.k {
	case text:
		return appendString(out, v.s)
	case integer:
		return strconv.AppendInt(out, v.i, 10)
	case double: // always told from an integer
		n := len(out)
		out = appendDouble(out, v.f)
		if v.f == v.f && !math.IsInf(v.f, 0) && !strings.ContainsAny(string(out[n:]), ".e") {
			out = append(out, '.', '0')
		}
		return out
	case boolean:
		return strconv.AppendBool(out, v.b)
	case blob:
		return appendString(out, v.s)
	case nested:
		return append(out, v.s...)
	case list:
		out = append(out, '[')
		for i, s := range v.ss {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendString(out, s)
		}
		return append(out, ']')
	}
	return append(out, "null"...)
}

// plain reads an ordinary JSON value.
func (p *scanner) plain(depth int) value {
	switch p.peek() {
	case '"':
		return value{k: text, s: p.str()}
	case '{':
		if depth > maxValueDepth {
			p.skip()
			return bad("too deep")
		}
		out := []byte{'{'}
		for first := p.open('{'); p.next(&first, '}'); {
			k := p.key()
			v := p.plain(depth + 1)
			if v.k == broken {
				p.drop('}')
				return v
			}
			out = appendMember(out, k, v)
		}
		return value{k: nested, s: string(append(out, '}'))}
	case '[':
		if depth > maxValueDepth {
			p.skip()
			return bad("too deep")
		}
		var g gather
		for first := p.open('['); p.next(&first, ']'); {
			g.add(p.plain(depth + 1))
		}
		return g.value()
	}
	raw, ok := p.scalar()
	switch {
	case !ok || raw == "null":
		return value{}
	case raw == "true" || raw == "false":
		return value{k: boolean, b: raw == "true"}
	}
	if !strings.ContainsAny(raw, ".eE") {
		if i, err := strconv.ParseInt(raw, 10, 64); err == nil {
			return value{k: integer, i: i}
		}
	}
	if f, err := strconv.ParseFloat(raw, 64); err == nil {
		return value{k: double, f: f}
	}
	p.fail("value expected")
	return value{}
}

// drop skips the rest of an object.
func (p *scanner) drop(end byte) {
	first := false
	for p.next(&first, end) {
		p.key()
		p.skip()
	}
}

// scanner walks JSON text without building a tree. After a syntax error every
// method is a no-op, so that callers test err once.
type scanner struct {
	s    string
	i    int
	err  string
	text *event.Scratch // where texts with escapes go
}

func (p *scanner) fail(why string) {
	if p.err == "" {
		p.err = why
	}
}

// peek returns the next byte that is not white space, 0 at the end.
func (p *scanner) peek() byte {
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case ' ', '\t', '\n', '\r':
		case 0:
			return 1 // a NUL in the text is no end
		default:
			return c
		}
	}
	return 0
}

// open consumes the bracket the caller has seen.
func (p *scanner) open(c byte) bool {
	if p.err != "" {
		return false
	}
	if p.peek() != c {
		p.fail("bracket expected")
		return false
	}
	p.i++
	return true
}

// next reports whether another member follows, and consumes the comma before it
// or the closing bracket.
func (p *scanner) next(first *bool, end byte) bool {
	if p.err != "" {
		return false
	}
	c := p.peek()
	if c == end {
		p.i++
		return false
	}
	if !*first {
		if c != ',' {
			p.fail("comma or closing bracket expected")
			return false
		}
		p.i++
		c = p.peek()
	}
	*first = false
	if c == 0 {
		p.fail("unexpected end")
	}
	return p.err == ""
}

// key consumes a member's name and colon.
func (p *scanner) key() string {
	if p.peek() != '"' {
		p.fail("member name expected")
		return ""
	}
	k := p.str()
	if p.err != "" {
		return ""
	}
	if p.peek() != ':' {
		p.fail("colon expected")
		return ""
	}
	p.i++
	return k
}

// scalar consumes a string, number or literal and returns its text; another
// value is skipped.
func (p *scanner) scalar() (string, bool) {
	switch c := p.peek(); c {
	case '"':
		s := p.str()
		return s, p.err == ""
	case '{', '[', 0:
		p.skip()
		return "", false
	}
	at := p.i
	p.skip()
	return p.s[at:p.i], p.err == ""
}

// skip consumes any value. It checks that brackets balance, not their kind, and
// does not recurse, so that no depth of nesting costs more than its length.
func (p *scanner) skip() {
	if p.err != "" {
		return
	}
	depth := 0
	for {
		switch p.peek() {
		case 0:
			p.fail("unexpected end")
			return
		case '"':
			p.raw()
			if p.err != "" {
				return
			}
		case '{', '[':
			depth++
			p.i++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				p.fail("value expected")
				return
			}
			p.i++
		case ',', ':':
			if depth == 0 {
				p.fail("value expected")
				return
			}
			p.i++
			continue
		default:
			for p.i < len(p.s) && !delimiter(p.s[p.i]) {
				p.i++
			}
		}
		if depth == 0 {
			return
		}
	}
}

func delimiter(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ':', '{', '}', '[', ']', '"':
		return true
	}
	return false
}

// raw consumes a string and returns its inside as written, and whether it holds
// escapes.
func (p *scanner) raw() (string, bool) {
	from := p.i + 1
	to := plainEnd(p.s, from)
	escaped := false
	for ; to < len(p.s) && p.s[to] == '\\'; to = plainEnd(p.s, to+2) {
		escaped = true
	}
	if to >= len(p.s) {
		p.i = len(p.s)
		p.fail("unexpected end")
		return "", false
	}
	p.i = to + 1
	return p.s[from:to], escaped
}

// plainEnd is where the first quote or backslash from i on stands; not before the
// end of s, when there is none.
func plainEnd(s string, i int) int {
	for ; i+8 <= len(s); i += 8 {
		w := fixed64(s[i : i+8])
		quote, back := w^'"'*ones, w^'\\'*ones // bytes of 0 where one stands
		if found := ((quote-ones)&^quote | (back-ones)&^back) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(s) && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// str consumes a string; without escapes the result is a view into the text.
func (p *scanner) str() string {
	if p.err != "" {
		return ""
	}
	s, escaped := p.raw()
	if !escaped || p.err != "" {
		return s
	}
	s, ok := p.text.Unescape(s)
	if !ok {
		p.fail("bad escape")
		return ""
	}
	return s
}
