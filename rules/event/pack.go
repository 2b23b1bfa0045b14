package event

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Pack holds events in few bytes while they wait for their turn: what is not set
// takes none, what the records of one session have in common stands once, and so does
// a text that is part of another. A pack holds no pointers but the directory's, so that
// what waits costs a collector nothing. What no engine reads is left out: see
// commonFields. The zero value is empty.
type Pack struct {
	// Heads are what an event is put in order by without being opened.
	Heads []Head
	// Narrow has Add leave out UserID, Organisation, Error and Speed, for whoever knows
	// that nobody will read them. It stays as it is when the pack is used again.
	Narrow bool

	bytes  []byte
	roster *org.Directory
	filled uint64 // what is in bytes, as no other pack's; 0: nothing yet
	since  int    // events added now share what stands from here on
}

var fillings atomic.Uint64

// met remembers where common parts stand in packs. A member's process reports every few
// seconds, so that the events of a pack are of few prompts, in turns.
type met [1024]struct {
	filled uint64
	at, n  uint32
}

var mets = sync.Pool{New: func() any { return new(met) }}

// Head is the part of a packed event that stands open. Index may be changed and
// is what the opened event has.
type Head struct {
	Time, Index int64
	Key         uint64 // Event.RecordKey
	Session     uint64 // the first eight bytes of Event.Session, the first one highest
	Sequence    int64
	at          uint32
	Timed       bool // FTime is in Has
	rostered    bool // Roster is the pack's
}

// Records of one session mostly differ in what stands behind HostPaths in Event. What
// stands from Service to there, and what is worked out from it, is the common part of
// the records of a run, and stands in the pack before the first of them.
const (
	commonFrom = unsafe.Offsetof(zero.Service)
	commonTo   = unsafe.Offsetof(zero.Tool)
	ofDerived  = unsafe.Offsetof(zero.Derived)
)

type commonPart = [(commonTo - commonFrom) / 8]uintptr

// What is on the wire and read by no engine is left out: it says nothing of what
// somebody does, or is for whoever looks at single records, or has been read by the
// time an event is packed. That is Service, Scope, Terminal, DeploymentMode, Command,
// MCPServerAttr, MCPToolAttr, Body, Trace, Span, Severity, SeverityText,
// ResponseLength, Attempt, CostUSD, Retyped, Repeated and Extra. For UserID,
// Organisation, Error and Speed, of which rules may speak and hardly any does, see
// Pack.Narrow; a UserID is kept where there is no session, as it then tells records apart.
var (
	zero         Event
	commonFields = [...]uintptr{
		unsafe.Offsetof(zero.Session), // the first, for SessionOf
		unsafe.Offsetof(zero.ServiceVersion), unsafe.Offsetof(zero.ScopeVersion), unsafe.Offsetof(zero.OS), unsafe.Offsetof(zero.Surface),
		unsafe.Offsetof(zero.Prompt), unsafe.Offsetof(zero.Email), unsafe.Offsetof(zero.Account), unsafe.Offsetof(zero.AccountID),
		unsafe.Offsetof(zero.UserID), unsafe.Offsetof(zero.Organisation),
	}
	textFields = [...]uintptr{
		unsafe.Offsetof(zero.Name), unsafe.Offsetof(zero.ToolUse), unsafe.Offsetof(zero.Request), // the first, for NameOf and so on
		unsafe.Offsetof(zero.Tool), unsafe.Offsetof(zero.Decision), unsafe.Offsetof(zero.Source), unsafe.Offsetof(zero.ToolSource),
		unsafe.Offsetof(zero.ServerScope), unsafe.Offsetof(zero.Parameters), unsafe.Offsetof(zero.Input), unsafe.Offsetof(zero.ErrorType),
		unsafe.Offsetof(zero.PromptText), unsafe.Offsetof(zero.ResponseText), unsafe.Offsetof(zero.Model), unsafe.Offsetof(zero.QuerySource),
		unsafe.Offsetof(zero.Agent), unsafe.Offsetof(zero.Plugin), unsafe.Offsetof(zero.PluginHash), unsafe.Offsetof(zero.Marketplace),
		unsafe.Offsetof(zero.Skill), unsafe.Offsetof(zero.ConnStatus), unsafe.Offsetof(zero.FromMode), unsafe.Offsetof(zero.ToMode),
		unsafe.Offsetof(zero.Error), unsafe.Offsetof(zero.Speed),
		// What is derived is mostly part of what stands before.
		ofDerived + unsafe.Offsetof(zero.Derived.MCPServer), ofDerived + unsafe.Offsetof(zero.Derived.MCPTool),
		ofDerived + unsafe.Offsetof(zero.Derived.Path), ofDerived + unsafe.Offsetof(zero.Derived.CommandLine),
		ofDerived + unsafe.Offsetof(zero.Derived.ToolKey), ofDerived + unsafe.Offsetof(zero.Derived.SkillName),
	}
	numberFields = [...]uintptr{
		unsafe.Offsetof(zero.Observed), unsafe.Offsetof(zero.Sequence), unsafe.Offsetof(zero.Duration), unsafe.Offsetof(zero.InputSize),
		unsafe.Offsetof(zero.ResultSize), unsafe.Offsetof(zero.PromptLength), unsafe.Offsetof(zero.InputTokens), unsafe.Offsetof(zero.OutputTokens),
		unsafe.Offsetof(zero.CacheRead), unsafe.Offsetof(zero.CacheWrite), unsafe.Offsetof(zero.CostMicros), unsafe.Offsetof(zero.Status),
	}
)

// Places in textFields and numberFields, and flags.
const (
	fieldSession      = 0 // in commonFields
	fieldUserID       = 9
	fieldOrganisation = 10
	fieldName         = 0
	fieldToolUse      = 1
	fieldRequest      = 2
	fieldTool         = 3
	fieldParams       = 8
	fieldInput        = 9
	fieldError        = 23
	fieldSpeed        = 24
	firstDerived      = 25
	fieldObserved     = 0

	packedCommon = 32 // bytes before the texts
	packedHead   = 40 // bytes before the numbers
	packedStep   = 8 << 10

	flagSuccess = 1 << 0
	flagNamed   = 1 << 1 // Name is the kind's
	flagLooked  = 1 << 2
	flagPaths   = 1 << 3
	flagMarks   = 1 << 4

	flagRoster = 1 << 0 // of the common part
	flagHosts  = 1 << 1
)

// Len is how many events are held.
func (p *Pack) Len() int { return len(p.Heads) }

// Ready reports that whoever packed the events had worked out what Event.Ready holds,
// with the members of that directory, which may be nil.
func (p *Pack) Ready(dir *org.Directory) bool {
	for i := range p.Heads {
		if p.Heads[i].Key == 0 || dir != nil && (p.roster != dir || !p.Heads[i].rostered) {
			return false
		}
	}
	return true
}

// Size is the bytes that the events take, and the room they may take at no cost.
func (p *Pack) Size() (used, room int) { return len(p.bytes), cap(p.bytes) }

// Reset lets go of the events; their memory is used again.
func (p *Pack) Reset() {
	p.Heads, p.bytes, p.roster, p.filled, p.since = p.Heads[:0], p.bytes[:0], nil, 0, 0
}

// Grow makes room for that many events, which take so many bytes, if there are none yet.
func (p *Pack) Grow(events, size int) {
	if len(p.Heads) > 0 {
		return
	}
	if cap(p.Heads) < events {
		p.Heads = make([]Head, 0, events)
	}
	if cap(p.bytes) < size {
		p.bytes = make([]byte, 0, size)
	}
}

// Poison overwrites what is held, for tests that look for views that outlive it.
func (p *Pack) Poison() {
	for i := range p.bytes {
		p.bytes[i] = 0xff
	}
}

// Add packs events. The pack keeps nothing of them but the directory.
func (p *Pack) Add(events []Event) {
	if p.filled == 0 {
		p.filled = fillings.Add(1)
	}
	m := mets.Get().(*met)
	defer mets.Put(m)
	var last *Event
	common, rostered := uint32(0), false
	for i := range events {
		e := &events[i]
		// Packs are used again and again and many of them wait: they grow by steps, not
		// by a share of what they are.
		if n := len(p.bytes); cap(p.bytes)-n < packedStep/4 {
			p.bytes = append(make([]byte, 0, n+packedStep), p.bytes...)
		}
		if last == nil || !sameCommon(last, e) {
			common, rostered = p.common(e, m)
		}
		last = e
		p.own(e, common, rostered)
	}
}

// Cut is a place in a pack between the events of two calls of Add. What stands on one
// side of it shares nothing with what stands on the other.
type Cut struct{ events, bytes int }

// Cut is behind what was added so far.
func (p *Pack) Cut() Cut {
	p.since = len(p.bytes)
	return Cut{len(p.Heads), len(p.bytes)}
}

// Between are the heads of the events between two cuts.
func (p *Pack) Between(from, to Cut) []Head { return p.Heads[from.events:to.events] }

// AddFrom adds the events between two cuts of another pack, as they are packed there.
func (p *Pack) AddFrom(q *Pack, from, to Cut) {
	if p.roster != nil && q.roster != nil && p.roster != q.roster {
		var o Opened
		for i := from.events; i < to.events; i++ {
			p.Add(o.Take(q, i))
		}
		return
	}
	if p.filled == 0 {
		p.filled = fillings.Add(1)
	}
	if q.roster != nil {
		p.roster = q.roster
	}
	moved := uint32(len(p.bytes) - from.bytes)
	p.bytes = append(p.bytes, q.bytes[from.bytes:to.bytes]...)
	for _, head := range q.Heads[from.events:to.events] {
		head.at += moved
		p.Heads = append(p.Heads, head)
	}
}

// sameCommon reports that the common parts are the same, in the same memory, which is
// how they are decoded.
func sameCommon(a, b *Event) bool {
	return *(*commonPart)(unsafe.Add(unsafe.Pointer(a), commonFrom)) == *(*commonPart)(unsafe.Add(unsafe.Pointer(b), commonFrom)) &&
		a.SessionKey == b.SessionKey && a.PromptKey == b.PromptKey && a.PersonKey == b.PersonKey &&
		a.Roster == b.Roster && a.Member == b.Member && a.Identity == b.Identity
}

// common is where there stands what the events that follow have in common. It writes
// that, unless it stands already where m says.
func (p *Pack) common(e *Event, m *met) (common uint32, rostered bool) {
	at := len(p.bytes)
	flags := byte(0)
	if e.Roster != nil && (p.roster == nil || p.roster == e.Roster) { // another one may be asked again
		p.roster, rostered = e.Roster, true
		flags |= flagRoster
	}
	if e.HostPaths != nil {
		flags |= flagHosts
	}
	to := append(p.bytes, make([]byte, packedCommon)...)
	h := to[at : at+packedCommon]
	binary.LittleEndian.PutUint64(h, e.SessionKey)
	binary.LittleEndian.PutUint64(h[8:], e.PromptKey)
	binary.LittleEndian.PutUint64(h[16:], e.PersonKey)
	binary.LittleEndian.PutUint32(h[24:], uint32(e.Member))
	h[28], h[29] = byte(e.Identity), flags
	texts, left := uint16(0), uint16(0)
	if p.Narrow {
		left |= 1 << fieldOrganisation
		if e.Session != "" {
			left |= 1 << fieldUserID
		}
	}
	for i := range commonFields {
		if t := *(*string)(unsafe.Add(unsafe.Pointer(e), commonFields[i])); len(t) > 0 && left&(1<<i) == 0 {
			texts |= 1 << i
			to = appendText(to, t)
		}
	}
	binary.LittleEndian.PutUint16(to[at+30:], texts)
	if p.bytes = to; flags&flagHosts != 0 {
		p.list(e.HostPaths, nil, nil)
	}
	wrote := p.bytes[at:]
	x := &m[(e.SessionKey^e.PromptKey)%uint64(len(m))]
	if x.filled == p.filled && int(x.at) >= p.since && bytes.Equal(p.bytes[x.at:x.at+x.n], wrote) {
		p.bytes = p.bytes[:at]
		return x.at, rostered
	}
	x.filled, x.at, x.n = p.filled, uint32(at), uint32(len(wrote))
	return uint32(at), rostered
}

// own writes an event without its common part, which stands at a place.
func (p *Pack) own(e *Event, common uint32, rostered bool) {
	at := len(p.bytes)
	head := Head{Time: e.Time, Index: e.Index, Key: e.RecordKey, Sequence: e.Sequence, at: uint32(at), Timed: e.Has&FTime != 0, rostered: rostered}
	if of := e.Session; len(of) >= 8 {
		head.Session = binary.BigEndian.Uint64([]byte(of[:8]))
	} else {
		for i := range len(of) {
			head.Session |= uint64(of[i]) << (56 - 8*i)
		}
	}
	p.Heads = append(p.Heads, head)

	flags := byte(0)
	set := func(b bool, flag byte) {
		if b {
			flags |= flag
		}
	}
	named := e.Name == kindNames[e.Kind]
	set(e.Success, flagSuccess)
	set(named, flagNamed)
	set(e.Looked, flagLooked)
	set(e.Paths != nil, flagPaths)
	set(e.Marks != [4]Marks{} || e.PathMarks|e.CommandMarks != 0, flagMarks)
	to := append(p.bytes, make([]byte, packedHead)...)
	h := to[at : at+packedHead]
	binary.LittleEndian.PutUint64(h, uint64(e.Has))
	binary.LittleEndian.PutUint64(h[8:], uint64(e.Time))
	binary.LittleEndian.PutUint32(h[28:], uint32(at)-common) // as far in front
	h[32], h[33], h[34], h[35] = byte(e.Kind), byte(e.Product), flags, byte(e.Verb)
	h[36], h[37] = byte(e.Approval)<<4|byte(e.CostFrom), byte(e.MCPKnown)<<4|byte(e.PathKnown)<<2|byte(e.CommandKnown)

	base, numbers := unsafe.Pointer(e), uint32(0)
	for i := range numberFields { // first which, without a branch for each
		bit := uint32(0)
		if *(*int64)(unsafe.Add(base, numberFields[i])) != 0 {
			bit = 1
		}
		numbers |= bit << i
	}
	for m := numbers; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		n := *(*int64)(unsafe.Add(base, numberFields[i]))
		if i == fieldObserved {
			n -= e.Time
		}
		to = binary.AppendVarint(to, n)
	}
	if flags&flagMarks != 0 {
		for _, m := range [...]Marks{e.Marks[0], e.Marks[1], e.Marks[2], e.Marks[3], e.PathMarks, e.CommandMarks} {
			to = binary.LittleEndian.AppendUint16(to, uint16(m))
		}
	}
	texts := uint64(0)
	var from [fieldInput + 1]uint32 // where the first texts stand
	for i := range textFields {
		bit := uint64(0)
		if len(*(*string)(unsafe.Add(base, textFields[i]))) != 0 {
			bit = 1
		}
		texts |= bit << i
	}
	if named {
		texts &^= 1 << fieldName
	}
	if p.Narrow {
		texts &^= 1<<fieldError | 1<<fieldSpeed
	}
	for m := texts; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		t := *(*string)(unsafe.Add(base, textFields[i]))
		if i >= firstDerived {
			to = appendPart(to, t, e, &from)
			continue
		}
		if to = appendText(to, t); i <= fieldInput {
			from[i] = uint32(len(to) - len(t) - at)
		}
	}
	h = to[at : at+packedHead]
	binary.LittleEndian.PutUint64(h[16:], texts)
	binary.LittleEndian.PutUint32(h[24:], numbers)
	if p.bytes = to; flags&flagPaths != 0 {
		p.list(e.Paths, e, &from)
	}
}

// appendText writes a text behind its length.
func appendText(to []byte, t string) []byte {
	if len(t) < 64 {
		to = append(to, byte(len(t)<<1))
	} else {
		to = binary.AppendUvarint(to, uint64(len(t))<<1)
	}
	return append(to, t...)
}

// appendPart writes where a derived text stands, if it was taken from another.
func appendPart(to []byte, t string, e *Event, from *[fieldInput + 1]uint32) []byte {
	at := uintptr(unsafe.Pointer(unsafe.StringData(t)))
	for _, i := range [...]int{fieldTool, fieldParams, fieldInput} {
		of := *(*string)(unsafe.Add(unsafe.Pointer(e), textFields[i]))
		if begin := uintptr(unsafe.Pointer(unsafe.StringData(of))); at >= begin && at+uintptr(len(t)) <= begin+uintptr(len(of)) {
			to = binary.AppendUvarint(to, uint64(len(t))<<1|1)
			return binary.AppendUvarint(to, uint64(from[i]+uint32(at-begin)))
		}
	}
	return appendText(to, t)
}

func (p *Pack) list(list []string, e *Event, from *[fieldInput + 1]uint32) {
	p.bytes = binary.AppendUvarint(p.bytes, uint64(len(list)))
	for _, t := range list {
		if e == nil || len(t) == 0 {
			p.bytes = appendText(p.bytes, t)
		} else {
			p.bytes = appendPart(p.bytes, t, e, from)
		}
	}
}

// Opened is an event taken out of a pack: valid, with its lists, until the next one
// is, and its texts for as long as the pack. The zero value is ready.
type Opened struct {
	event        Event
	hosts, paths []string

	// Of the event opened last: its pack and its common part there, which the next one
	// mostly shares, and which fields it has.
	filled  uint64
	common  uint32
	numbers uint32
	texts   uint64
}

// opening reads what Add wrote.
type opening struct {
	s     string
	i     int
	event int // where the event stands whose texts may be parts of others
}

func (r *opening) uvarint() uint64 {
	x := uint64(r.s[r.i])
	r.i++
	if x < 0x80 {
		return x
	}
	x &= 0x7f
	for shift := 7; ; shift += 7 {
		c := r.s[r.i]
		r.i++
		if x |= uint64(c&0x7f) << shift; c < 0x80 {
			return x
		}
	}
}

func (r *opening) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *opening) text() string {
	n := r.uvarint()
	if n&1 != 0 {
		at := uint64(r.event) + r.uvarint()
		return r.s[at : at+n>>1]
	}
	n >>= 1
	t := r.s[r.i : r.i+int(n)]
	r.i += int(n)
	return t
}

// Take opens an event of a pack as a list of one.
// It may be changed.
func (o *Opened) Take(p *Pack, i int) []Event {
	*o = Opened{hosts: o.hosts, paths: o.paths}
	e := p.Open(i, o)
	o.filled = 0
	return unsafe.Slice(e, 1)
}

// opening reads at some bytes behind where an event, or what is common to some, stands.
func (p *Pack) opening(event uint32, behind int) opening {
	return opening{unsafe.String(unsafe.SliceData(p.bytes), len(p.bytes)), int(event) + behind, int(event)}
}

// Open takes out the event number i. Nobody but replay.Replay, which prices it, changes
// it.
func (p *Pack) Open(i int, o *Opened) *Event {
	head := &p.Heads[i]
	e := &o.event
	base := unsafe.Pointer(e)
	r := p.opening(head.at, packedHead)
	h := p.bytes[head.at : head.at+packedHead]
	if common := head.at - binary.LittleEndian.Uint32(h[28:]); common != o.common || p.filled != o.filled {
		if o.filled == 0 {
			*e = Event{}
			o.numbers, o.texts = 0, 0
		}
		p.openCommon(common, o)
	}

	e.Has, e.Time, e.Index, e.RecordKey = Field(binary.LittleEndian.Uint64(h)), int64(binary.LittleEndian.Uint64(h[8:])), head.Index, head.Key
	flags := h[34]
	e.Kind, e.Product, e.Verb = Kind(h[32]), Product(h[33]), Verb(h[35])
	e.Approval, e.CostFrom = Approval(h[36]>>4), CostSource(h[36]&15)
	e.MCPKnown, e.PathKnown, e.CommandKnown = Knowledge(h[37]>>4), Knowledge(h[37]>>2&3), Knowledge(h[37]&3)
	e.Success, e.Looked = flags&flagSuccess != 0, flags&flagLooked != 0
	numbers, texts := binary.LittleEndian.Uint32(h[24:]), binary.LittleEndian.Uint64(h[16:])
	for m := o.numbers &^ numbers; m != 0; m &= m - 1 {
		*(*int64)(unsafe.Add(base, numberFields[bits.TrailingZeros32(m)])) = 0
	}
	for m := o.texts &^ texts; m != 0; m &= m - 1 {
		*(*string)(unsafe.Add(base, textFields[bits.TrailingZeros64(m)])) = ""
	}
	o.numbers, o.texts = numbers, texts
	if flags&flagNamed != 0 {
		e.Name = kindNames[e.Kind]
		o.texts |= 1 << fieldName
	}
	e.CostMicros = 0
	for m := numbers; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		n := r.varint()
		if i == fieldObserved {
			n += e.Time
		}
		*(*int64)(unsafe.Add(base, numberFields[i])) = n
	}
	e.Marks, e.PathMarks, e.CommandMarks, e.Paths = [4]Marks{}, 0, 0, nil
	if flags&flagMarks != 0 {
		for _, to := range [...]*Marks{&e.Marks[0], &e.Marks[1], &e.Marks[2], &e.Marks[3], &e.PathMarks, &e.CommandMarks} {
			*to = Marks(uint16(r.s[r.i]) | uint16(r.s[r.i+1])<<8)
			r.i += 2
		}
	}
	for m := texts; m != 0; m &= m - 1 {
		*(*string)(unsafe.Add(base, textFields[bits.TrailingZeros64(m)])) = r.text()
	}
	if flags&flagPaths != 0 {
		o.paths = r.texts(o.paths)
		e.Paths = o.paths
	}
	return e
}

// openCommon takes out a common part.
func (p *Pack) openCommon(at uint32, o *Opened) {
	e := &o.event
	o.filled, o.common = p.filled, at
	r := p.opening(at, packedCommon)
	k := p.bytes[at : at+packedCommon]
	e.SessionKey, e.PromptKey, e.PersonKey = binary.LittleEndian.Uint64(k), binary.LittleEndian.Uint64(k[8:]), binary.LittleEndian.Uint64(k[16:])
	e.Member, e.Identity = int32(binary.LittleEndian.Uint32(k[24:])), Identity(k[28])
	if e.Roster = nil; k[29]&flagRoster != 0 {
		e.Roster = p.roster
	}
	texts := binary.LittleEndian.Uint16(k[30:])
	for i := range commonFields {
		to := (*string)(unsafe.Add(unsafe.Pointer(e), commonFields[i]))
		if texts&(1<<i) != 0 {
			*to = r.text()
		} else {
			*to = ""
		}
	}
	if e.HostPaths = nil; k[29]&flagHosts != 0 {
		o.hosts = r.texts(o.hosts)
		e.HostPaths = o.hosts
	}
}

// texts reads a list, in the memory of another.
func (r *opening) texts(list []string) []string {
	n := r.uvarint()
	if list == nil {
		list = make([]string, 0, n)
	}
	list = list[:0]
	for range n {
		list = append(list, r.text())
	}
	return list
}

// SessionOf, and the others, read one text of the event number i without opening it.
func (p *Pack) SessionOf(i int) string {
	at := p.Heads[i].at
	common := at - binary.LittleEndian.Uint32(p.bytes[at+28:])
	if p.bytes[common+30]&(1<<fieldSession) == 0 {
		return ""
	}
	r := p.opening(common, packedCommon)
	return r.text()
}

// NameOf is described with SessionOf.
func (p *Pack) NameOf(i int) string {
	if h := p.bytes[p.Heads[i].at:]; h[34]&flagNamed != 0 {
		return kindNames[h[32]]
	}
	return p.textOf(i, fieldName)
}

// ToolUseOf is described with SessionOf.
func (p *Pack) ToolUseOf(i int) string { return p.textOf(i, fieldToolUse) }

// RequestOf is described with SessionOf.
func (p *Pack) RequestOf(i int) string { return p.textOf(i, fieldRequest) }

func (p *Pack) textOf(i, field int) string {
	at := p.Heads[i].at
	h := p.bytes[at : at+packedHead]
	texts := binary.LittleEndian.Uint64(h[16:])
	if texts&(1<<field) == 0 {
		return ""
	}
	r := p.opening(at, packedHead)
	for m := binary.LittleEndian.Uint32(h[24:]); m != 0; m &= m - 1 {
		r.uvarint()
	}
	if h[34]&flagMarks != 0 {
		r.i += 12
	}
	for ; bits.TrailingZeros64(texts) < field; texts &= texts - 1 {
		r.text()
	}
	return r.text()
}
