package otlp

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// ErrProto is what DecodeProto's errors wrap.
var ErrProto = errors.New("no usable OTLP protobuf")

// DecodeProto decodes one ExportLogsServiceRequest (LogsData has the same form)
// and appends to into, with the semantics of DecodeJSON. The strings of the
// events do not depend on data, unless into.Borrow is set.
func DecodeProto(data []byte, into *Batch) error {
	before := into.Records
	into.view = !into.Borrow
	defer func() { into.view = false }()
	m := message{s: viewOf(data)} // what stays is copied
	for m.next() {
		if m.field == 1 && m.wire == 2 {
			protoResourceLogs(m.bytes, into)
		}
	}
	if m.err != "" {
		if into.Records == before {
			return fmt.Errorf("%w: %s at byte %d", ErrProto, m.err, m.i)
		}
		into.note("cut or broken protobuf: " + m.err)
	}
	return nil
}

// viewOf is data as a text, without a copy.
func viewOf(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// message walks the fields of one protobuf message. A length that runs past the
// end yields the part that is there, once, so that a cut request keeps its head.
type message struct {
	s   string
	i   int
	err string

	field uint64
	wire  uint8
	n     uint64 // varint or fixed value
	bytes string // length-delimited value
	cut   bool   // bytes is only the head of the value
}

func (m *message) varint() (uint64, bool) {
	var x uint64
	for shift := uint(0); shift < 64 && m.i < len(m.s); shift += 7 {
		c := m.s[m.i]
		m.i++
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x, true
		}
	}
	return 0, false
}

func (m *message) next() bool {
	if m.err != "" || m.i >= len(m.s) {
		return false
	}
	tag, ok := m.varint()
	if !ok || tag>>3 == 0 {
		m.err = "bad tag"
		return false
	}
	m.field, m.wire, m.n, m.bytes = tag>>3, uint8(tag&7), 0, ""
	rest := m.s[m.i:]
	switch m.wire {
	case 0:
		if m.n, ok = m.varint(); !ok {
			m.err = "bad varint"
		}
	case 1:
		if len(rest) < 8 {
			m.err = "unexpected end"
			break
		}
		m.n = binary.LittleEndian.Uint64([]byte(rest[:8]))
		m.i += 8
	case 5:
		if len(rest) < 4 {
			m.err = "unexpected end"
			break
		}
		m.n = uint64(binary.LittleEndian.Uint32([]byte(rest[:4])))
		m.i += 4
	case 2:
		n, ok := m.varint()
		if !ok {
			m.err = "bad length"
			break
		}
		if n > uint64(len(m.s)-m.i) {
			m.bytes, m.cut, m.err = m.s[m.i:], true, "unexpected end"
			m.i = len(m.s)
			return true
		}
		m.bytes = m.s[m.i : m.i+int(n)]
		m.i += int(n)
	default:
		m.err = "unknown wire type"
	}
	return m.err == ""
}

func clean(s string) string {
	if valid(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func protoResourceLogs(s string, b *Batch) {
	// The resource may stand behind its records, so it is looked for first.
	raw, given := "", false
	for m := (message{s: s}); m.next(); {
		if m.field == 1 && m.wire == 2 {
			raw, given = m.bytes, true
		}
	}
	res := &b.res
	if given {
		res = b.resource(raw)
	} else {
		*res = resource{}
	}
	m := message{s: s}
	for m.next() {
		if m.wire == 2 && (m.field == 2 || m.field == 1000) {
			protoScopeLogs(m.bytes, b, res)
		}
	}
	if m.err != "" && !m.cut {
		b.note("resource block: " + m.err)
	}
	if res.fault != "" {
		b.note(res.fault)
	}
}

// resource gives the resource that the bytes of one say.
func (b *Batch) resource(raw string) *resource {
	if res := b.known[0][raw]; res != nil {
		return res
	}
	res, read := b.newResource(0, len(raw))
	r := resourceRecord(b, res)
	for a := (message{s: raw}); a.next(); {
		if a.field == 1 && a.wire == 2 {
			protoAttr(&r, a.bytes)
		}
	}
	r.done(res)
	read(raw)
	return res
}

// within gives a resource with the scope that the bytes of one say.
func (b *Batch) within(of *resource, scope string) *resource {
	if scope == "" {
		return of
	}
	if of.scoped != nil && of.scope == scope {
		return of.scoped
	}
	own, read := b.newScoped(of)
	for a := (message{s: scope}); a.next(); {
		switch {
		case a.field == 1 && a.wire == 2:
			own.ev.Scope = b.stay(clean(a.bytes))
			if own.ev.Scope != "" {
				own.ev.Has |= event.FScope
			}
		case a.field == 2 && a.wire == 2:
			own.ev.ScopeVersion = b.stay(clean(a.bytes))
		}
	}
	read(scope)
	return own
}

// protoScopeLogs reads one scope block. The scope mostly stands before its
// records; where it stands behind them, they are read again. What a scope says in
// several parts is what the parts say behind each other.
func protoScopeLogs(s string, b *Batch, of *resource) {
	records, events, bads := b.Records, len(b.Events), len(b.Bad)
	var res *resource
	var scope string
	m := message{s: s}
	for m.next() {
		switch {
		case m.wire != 2:
		case m.field == 1 && res != nil:
			b.Records, b.Events, b.Bad = records, b.Events[:events], b.Bad[:bads]
			for scope, m = "", (message{s: s}); m.next(); {
				if m.field == 1 && m.wire == 2 {
					scope += m.bytes
				}
			}
			res = b.within(of, scope)
			for m = (message{s: s}); m.next(); {
				if m.field == 2 && m.wire == 2 {
					protoRecord(m.bytes, m.cut, b, res)
				}
			}
		case m.field == 1:
			scope += m.bytes
		case m.field == 2:
			if res == nil {
				res = b.within(of, scope)
			}
			protoRecord(m.bytes, m.cut, b, res)
		}
	}
	if m.err != "" && !m.cut {
		b.note("scope block: " + m.err)
	}
}

func protoRecord(s string, cut bool, b *Batch, res *resource) {
	var r record
	r.start(b, res)
	m := message{s: s}
	for m.err == "" && m.i < len(s) {
		switch tag := s[m.i]; tag { // what every record has, without ado
		case 1<<3 | 1, 11<<3 | 1:
			if m.i+9 > len(s) {
				break
			}
			if n := fixed64(s[m.i+1 : m.i+9]); tag == 1<<3|1 {
				r.instant(n, &r.time, &r.timed)
			} else {
				r.instant(n, &r.observed, &r.observedT)
			}
			m.i += 9
			continue
		case 5<<3 | 2:
			if i := m.i; i+4 <= len(s) && s[i+1] < 0x80 && s[i+2] == 1<<3|2 && s[i+3]+2 == s[i+1] && i+2+int(s[i+1]) <= len(s) {
				if v := s[i+4 : i+2+int(s[i+1])]; valid(v) {
					r.body = v
					m.i = i + 2 + int(s[i+1])
					continue
				}
			}
		case 6<<3 | 2:
			from := m.i
			if n := r.takeHead(s, m.i); n > 0 {
				m.i += n
				r.last = keyTerminal
			}
			if m.i = r.quickAttrs(s, m.i); m.i > from {
				continue
			}
		}
		if !m.next() {
			break
		}
		switch {
		case m.field == 1 && m.wire == 1:
			r.instant(m.n, &r.time, &r.timed)
		case m.field == 2 && m.wire == 0:
			r.ev.Severity = int32(m.n)
		case m.field == 3 && m.wire == 2:
			r.ev.SeverityText = b.stay(clean(m.bytes))
		case m.field == 9 && m.wire == 2:
			r.ev.Trace = hex.EncodeToString([]byte(m.bytes))
		case m.field == 10 && m.wire == 2:
			r.ev.Span = hex.EncodeToString([]byte(m.bytes))
		case m.field == 11 && m.wire == 1:
			r.instant(m.n, &r.observed, &r.observedT)
		case m.field == 5 && m.wire == 2:
			if v := protoValue(m.bytes, 0); v.k == text || v.k == nested {
				r.body = v.s
			}
		case m.field == 6 && m.wire == 2:
			protoAttr(&r, m.bytes)
		case m.field == 12 && m.wire == 2:
			r.eventName = clean(m.bytes)
		}
	}
	r.keepTail(s)
	if m.err != "" {
		r.fatal = "broken record: " + m.err
	} else if cut {
		r.fatal = "record cut"
	}
	r.finish()
}

// quickAttrs reads the attribute fields that start at i, as long as they have the
// form that every library writes: the key, then one value, and nothing else. It
// returns where the first other one begins.
func (r *record) quickAttrs(s string, i int) int {
	b, e, last := r.b, r.ev, r.last
	for i+8 <= len(s) {
		w := fixed32(s[i : i+4])
		if byte(w) != 6<<3|2 {
			break
		}
		at := i + 2
		end := at + int(byte(w>>8))
		if byte(w>>8) >= 0x80 {
			var n int
			if n, at = shortLen(s, i+1); at == 0 || at+4 > len(s) {
				break
			}
			end = at + n
			w = fixed32(s[at:at+4]) << 16
		}
		n := int(w >> 24) // a key of 128 bytes and more is read elsewhere
		at += 2
		to := at + n
		if byte(w>>16) != 1<<3|2 || n >= 0x80 || to+4 > end || n == 0 || end > len(s) {
			break
		}
		next := &b.guess[r.slot][last]
		k := *next
		if p := &patterns[k]; p.n != n || fixed64(s[to-8:to])&p.short != p.last || n > 8 && (fixed64(s[at:]) != p.first || n > 16 && fixed64(s[at+8:]) != p.mid) {
			if k = keyOf(s[at:to]); k == keyOther && !valid(s[at:to]) {
				break
			}
			*next = k
		}
		name := s[at:to]
		if r.run.head != 2 {
			r.keepHead(k, i, s)
		}
		if k >= firstResource {
			if n := r.takeTail(k, s, i); n > 0 {
				last = r.res.tail.last
				i += n
				continue
			}
		}
		kind := uint8(1<<3 | 2)
		at = to + 4
		if n = end - at; n > 0x7d || fixed32(s[to:at]) != 2<<3|2|1<<19|2<<16|uint32(n)<<24|uint32(n+2)<<8 {
			// no short text
			if s[to] != 2<<3|2 {
				break
			}
			if n, at = shortLen(s, to+1); at == 0 || at+n != end || n < 2 {
				break
			}
			if kind = s[at]; kind == 1<<3|2 {
				if n, at = shortLen(s, at+1); at == 0 || at+n != end {
					break
				}
			}
		}
		switch kind {
		case 1<<3 | 2:
			v := s[at:end]
			x := fixed64(s[end-8 : end]) // what stands before a text of less than eight bytes is harmless
			for j := at; j < end-8; j += 8 {
				x |= fixed64(s[j : j+8])
			}
			if x&high != 0 && !utf8.ValidString(v) {
				goto out
			}
			f := &fields[k]
			if !f.quick || r.attrs >= maxAttributes {
				if k == keyOther {
					r.attr(name, value{k: text, s: v})
				} else if k < firstResource || !r.repeats(k, v, s, i, end) {
					r.text(k, v)
				}
				break
			}
			r.attrs++
			switch {
			case k == keyEventName:
				r.name, r.slot = v, nameSlot(v)
			case k == keyStamp:
				r.stamp = v
			default:
				if b.view {
					v = b.keep(k, v)
				}
				*f.text(e) = v
				e.Has |= f.bit
			}
		case 2 << 3:
			if end-at != 2 || s[at+1] > 1 {
				goto out
			}
			r.attr(name, value{k: boolean, b: s[at+1] == 1})
		case 3 << 3:
			var x uint64
			shift := uint(0)
			for at++; at < end && shift < 63; shift += 7 {
				c := s[at]
				at++
				x |= uint64(c&0x7f) << shift
				if c < 0x80 {
					break
				}
			}
			if at != end || s[end-1] >= 0x80 {
				goto out
			}
			if !r.integer(k, int64(x)) {
				r.attr(name, value{k: integer, i: int64(x)})
			}
		case 4<<3 | 1:
			if end-at != 9 {
				goto out
			}
			f := math.Float64frombits(fixed64(s[at+1 : end]))
			if k == keyCostUSD && r.attrs < maxAttributes {
				r.attrs++
				r.cost(keyNames[k], &value{k: double, f: f}, f, false)
			} else {
				r.attr(name, value{k: double, f: f})
			}
		case 5<<3 | 2:
			// The folders rarely change from record to record.
			if k != keyHostPaths {
				goto out
			}
			if s[at:end] == b.paths.raw {
				r.attrs++
				r.hostPaths(b.paths.list)
				break
			}
			list, ok := shortTexts(s[at:end], &b.folders)
			if !ok {
				goto out
			}
			b.folded += len(list)
			b.paths.raw, b.paths.list = b.stay(s[at:end]), b.texts(list)
			r.attrs++
			r.hostPaths(b.paths.list)
		default:
			goto out
		}
		if r.run.head == 1 {
			r.run.headTo = end
		}
		last, i = k, end
	}
out:
	r.last = last
	return i
}

// shortTexts reads a value that is an array of texts and nothing else, as every library
// writes it, into a block.
func shortTexts(s string, block *[]string) (list []string, ok bool) {
	m := message{s: s}
	if !m.next() || m.field != 5 || m.wire != 2 || m.i != len(s) || m.err != "" {
		return nil, false
	}
	s = m.bytes
	for a := (message{s: s}); a.next(); {
		if a.err != "" || a.cut || a.field != 1 || a.wire != 2 {
			return nil, false
		}
		if v := (message{s: a.bytes}); !v.next() || v.field != 1 || v.wire != 2 || v.err != "" || v.i != len(a.bytes) || !valid(v.bytes) {
			return nil, false
		}
		if a.i == len(s) {
			ok = true
		}
	}
	if !ok {
		return nil, false
	}
	for a := (message{s: s}); a.next(); {
		v := message{s: a.bytes}
		v.next()
		list = grow(block, list, v.bytes)
	}
	return list, true
}

// valid is utf8.ValidString, with less ado for a short text.
func valid(s string) bool {
	n := len(s)
	var x uint64
	switch {
	case n > 64:
		return utf8.ValidString(s)
	case n >= 8:
		x = fixed64(s[n-8:])
		for i := 0; i < n-8; i += 8 {
			x |= fixed64(s[i : i+8])
		}
	default:
		for i := range n {
			x |= uint64(s[i])
		}
	}
	return x&high == 0 || utf8.ValidString(s)
}

// ones and high are a word with each byte 1, and with the highest bit of each.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// fixed32 reads four bytes, the lowest first.
func fixed32(v string) uint32 {
	_ = v[3]
	return uint32(v[0]) | uint32(v[1])<<8 | uint32(v[2])<<16 | uint32(v[3])<<24
}

// fixed64 reads eight bytes, the lowest first.
func fixed64(v string) uint64 {
	_ = v[7]
	return uint64(v[0]) | uint64(v[1])<<8 | uint64(v[2])<<16 | uint64(v[3])<<24 |
		uint64(v[4])<<32 | uint64(v[5])<<40 | uint64(v[6])<<48 | uint64(v[7])<<56
}

// shortLen reads a length of at most three bytes; next is 0 when there is none.
func shortLen(s string, i int) (n, next int) {
	if i >= len(s) {
		return 0, 0
	}
	c := s[i]
	if c < 0x80 {
		return int(c), i + 1
	}
	n = int(c & 0x7f)
	if i+1 >= len(s) {
		return 0, 0
	}
	c = s[i+1]
	n |= int(c&0x7f) << 7
	if c < 0x80 {
		return n, i + 2
	}
	if i+2 >= len(s) || s[i+2] >= 0x80 {
		return 0, 0
	}
	return n | int(s[i+2])<<14, i + 3
}

func protoAttr(r *record, s string) {
	key, v, err := protoPair(s, 0)
	if err != "" {
		v = bad(err)
	}
	r.attr(key, v)
}

func protoPair(s string, depth int) (key string, v value, err string) {
	m := message{s: s}
	for m.next() {
		switch {
		case m.field == 1 && m.wire == 2:
			key = clean(m.bytes)
		case m.field == 2 && m.wire == 2:
			v = protoValue(m.bytes, depth)
		}
	}
	return key, v, m.err
}

func protoValue(s string, depth int) value {
	if depth > maxValueDepth {
		return bad("too deep")
	}
	var v value
	m := message{s: s}
	for m.next() {
		switch {
		case m.field == 1 && m.wire == 2:
			v = value{k: text, s: clean(m.bytes)}
		case m.field == 2 && m.wire == 0:
			v = value{k: boolean, b: m.n != 0}
		case m.field == 3 && m.wire == 0:
			v = value{k: integer, i: int64(m.n)}
		case m.field == 4 && m.wire == 1:
			v = value{k: double, f: math.Float64frombits(m.n)}
		case m.field == 5 && m.wire == 2:
			var g gather
			a := message{s: m.bytes}
			for a.next() {
				if a.field == 1 && a.wire == 2 {
					g.add(protoValue(a.bytes, depth+1))
				}
			}
			if a.err != "" {
				return bad(a.err)
			}
			v = g.value()
		case m.field == 6 && m.wire == 2:
			out := []byte{'{'}
			a := message{s: m.bytes}
			for a.next() {
				if a.field == 1 && a.wire == 2 {
					key, x, err := protoPair(a.bytes, depth+1)
					if err != "" {
						return bad(err)
					}
					if x.k == broken {
						return x
					}
					out = appendMember(out, key, x)
				}
			}
			if a.err != "" {
				return bad(a.err)
			}
			v = value{k: nested, s: string(append(out, '}'))}
		case m.field == 7 && m.wire == 2:
			v = value{k: blob, s: base64.StdEncoding.EncodeToString([]byte(m.bytes))}
		}
	}
	if m.err != "" {
		return bad(m.err)
	}
	return v
}
