// Package otlp reads and writes the product's log stream in OTLP, as JSON and
// as protobuf.
//
// Reading is tolerant and salvages record by record: whatever one record holds,
// its neighbours survive, and everything dropped is counted with a reason.
// Writing is deterministic: the same events and profile give the same bytes.
package otlp

import (
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// Batch is what one or more requests decoded to. The decoders append to it.
// Records counts log records seen; those that gave no event are in Bad with
// Salvaged false, so len(Events) = Records - unsalvaged records with Index >= 0.
type Batch struct {
	Events  []event.Event
	Records int
	Bad     []BadRecord
	Dialect string // form of the last record that was no OTLP, one of Dialects
	Other   int    // requests or parts of another signal (traces, metrics), which hold no logs

	// Borrow lets the texts of events be views into the bytes they were decoded from
	// wherever that saves a copy, and leaves out what only writing them again needs
	// (Event.Extra of records). It is for a reader that keeps those bytes, perhaps in
	// Text, for as long as the events; it must not change between two Resets.
	Borrow bool
	Text   []byte

	// Packed are events that a reader was asked to hand on packed; Events are then
	// none of them. Decoding leaves it alone.
	Packed event.Pack

	// What decoding keeps so that one more record costs no allocation. None of it
	// is overwritten while an event may refer to it.
	scratch event.Scratch
	attrs   []event.Attr // block that Extra slices are cut from
	lists   []string     // block that lists of folders are cut from
	folders []string     // likewise, of those of records of protobuf
	folded  int          // texts of such lists since it was begun
	boxes   map[string]any
	guess   [nameSlots][keyCount]key // the key that followed a key last time, in events of such a name
	kinds   [nameSlots]event.Kind    // the kind met last among the names that share a slot
	paths   struct {
		raw  string
		list []string
	}
	minute struct { // the one of the last event.timestamp, and the day it is in
		from, day int64
		text      [2]uint64
		made      bool
	}
	held     [heldCount]string // of the record being read
	head     headRun
	res, own resource                // the one being read, and with its scope
	known    [2]map[string]*resource // that were read before, by their bytes, of protobuf and of JSON

	// While view is set, texts are views into the caller's bytes, and keep copies
	// what stays: a text that a key had last time is not copied again.
	view bool
	last [keyCount]string
}

// nameSlots are places for event names; records of one kind have their keys in one
// order.
const nameSlots = 32

func nameSlot(name string) uint8 {
	n := len(name)
	if n == 0 {
		return 0
	}
	return (uint8(n)*5 + name[0]*3 + name[n-1] + name[n/2]*7) % nameSlots
}

// headRun is how the last record began: the attributes of who and in which
// session, as they stood on the wire. The next record mostly begins the same.
type headRun struct {
	raw                           string
	n                             int // attributes
	has                           event.Field
	userID, session, organisation string
	email, account, accountID     string
	terminal                      string
}

// tailRun is the run of attributes in which a record repeated its resource.
type tailRun struct {
	raw   string
	n     int
	first key
	last  key
}

// BadRecord tells of one record that lost something. Index is the record's
// position among the batch's records, or -1 when the reason concerns the request
// as a whole. Salvaged says that the record still gave an event, without the
// offending part.
type BadRecord struct {
	Index    int
	Reason   string
	Salvaged bool
}

// Reset empties the batch and keeps its memory, and Text, for the next request.
func (b *Batch) Reset() {
	b.Events, b.Bad, b.Records, b.Other, b.Dialect = b.Events[:0], b.Bad[:0], 0, 0, ""
	if b.Borrow { // what was kept are views into bytes that may be gone
		b.head = headRun{}
		b.paths.raw, b.paths.list = "", nil
	}
}

// Spent is Reset for whoever keeps nothing of the events: also the memory of their lists
// is used again.
func (b *Batch) Spent() {
	b.Reset()
	if b.Borrow {
		if n := b.folded; n > cap(b.folders) && n < 1<<14 { // one that holds all of them next time
			b.folders = make([]string, 0, n+n/4)
		}
		b.folders, b.folded = b.folders[:0], 0
	}
}

// Len is how many events there are, packed or not.
func (b *Batch) Len() int { return len(b.Events) + b.Packed.Len() }

func (b *Batch) note(reason string) { b.Bad = append(b.Bad, BadRecord{Index: -1, Reason: reason}) }

// Limits that keep hostile input from costing more than it weighs. They lie well
// above what the product sends.
const (
	maxValueDepth = 16  // nesting of one attribute value
	maxAttributes = 256 // attributes of one record or one resource
)

// kind is the type of an attribute value on the wire.
type kind uint8

const (
	none kind = iota // present without a value: as good as absent
	text
	integer
	double
	boolean
	list   // an array of strings only
	nested // any other array or map, as its JSON text in s
	blob   // bytes, as base64 in s
	broken // s is the reason
)

// value is one decoded attribute value.
type value struct {
	k  kind
	b  bool
	i  int64
	f  float64
	s  string
	ss []string
}

func bad(reason string) value { return value{k: broken, s: reason} }

// grow appends to a list that is being made, of attributes or of texts. It stands at
// the end of a block until another one begins.
func grow[T any](block *[]T, x []T, a T) []T {
	n, used := len(x), len(*block)
	if n > 0 && n <= used && &x[0] == &(*block)[used-n] && used < cap(*block) {
		*block = append(*block, a)
		return (*block)[used-n : used+1 : used+1]
	}
	if cap(*block)-used < n+1 {
		*block = make([]T, 0, max(256, 2*(n+1)))
		used = 0
	}
	*block = append(append(*block, x...), a)
	return (*block)[used : used+n+1 : used+n+1]
}

// keep returns a text that outlives the decoding, for the given key.
func (b *Batch) keep(k key, s string) string {
	if !b.view {
		return s
	}
	if l := b.last[k]; l == s {
		return l
	}
	s = b.scratch.Clone(s)
	b.last[k] = s
	return s
}

// stay is keep for a text that will not come again.
func (b *Batch) stay(s string) string {
	if !b.view {
		return s
	}
	return b.scratch.Clone(s)
}

// name returns the name of an attribute that nobody reads, kept once.
func (b *Batch) name(s string) string {
	if !b.view {
		return s
	}
	if x, ok := b.boxes[s]; ok {
		if t, ok := x.(string); ok {
			return t
		}
	}
	t, _ := b.box(&value{k: text, s: s}).(string)
	return t
}

// box is value.any with texts that repeat kept once.
func (b *Batch) box(v *value) any {
	switch {
	case v.k == text && len(v.s) > 64:
		return b.stay(v.s)
	case v.k == list && b.view:
		return b.texts(v.ss)
	case v.k != text:
		return v.any()
	}
	if x, ok := b.boxes[v.s]; ok {
		return x
	}
	if b.boxes == nil || len(b.boxes) >= 4096 {
		b.boxes = map[string]any{}
	}
	s := strings.Clone(v.s)
	var x any = s
	b.boxes[s] = x
	return x
}

// texts copies what stays of a list.
func (b *Batch) texts(list []string) []string {
	if !b.view {
		return list
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = b.scratch.Clone(list[i])
	}
	return out
}

// isStamp reports that text is the instant as the product writes it.
func (b *Batch) isStamp(text string, ns int64) bool {
	const (
		minute = int64(time.Minute)
		day    = 24 * int64(time.Hour)
	)
	if len(text) != len("2006-01-02T15:04:05.000Z") || ns < 0 {
		return false
	}
	m := &b.minute
	if d := ns - m.from; d < 0 || d >= minute || !m.made {
		m.from = ns - ns%minute
		if d := m.from - m.day; d < 0 || d >= day || !m.made {
			m.day, m.made = ns-ns%day, true
			var all [32]byte
			t := viewOf(time.Unix(0, m.day).UTC().AppendFormat(all[:0], "2006-01-02T00:00"))
			m.text = [2]uint64{fixed64(t), fixed64(t[8:])}
		}
		n := uint64(m.from-m.day) / uint64(minute)
		h, n := n/60, n%60
		m.text[1] = m.text[1]&0xffffff | ('0'+h/10)<<24 | ('0'+h%10)<<32 | ':'<<40 | ('0'+n/10)<<48 | ('0'+n%10)<<56
	}
	// The rest is ":05.000Z": its marks, and five digits.
	const (
		marks  = 0xff000000ff0000ff
		colon  = 'Z'<<56 | '.'<<24 | ':'
		zeros  = 0x0030303000303000
		beyond = 0x0076767600767600 // added to a digit, it stays below 0x80
	)
	w := fixed64(text[16:])
	d := (w &^ marks) ^ zeros
	if fixed64(text) != m.text[0] || fixed64(text[8:]) != m.text[1] || w&marks != colon || (d|(d+beyond))&high != 0 {
		return false
	}
	digit := func(i int) int64 { return int64(d >> (8 * i) & 0xff) }
	return (ns-m.from)/1e6 == digit(1)*10000+digit(2)*1000+digit(4)*100+digit(5)*10+digit(6)
}

// any is the form in which event.Attr keeps a value.
func (v *value) any() any {
	switch v.k {
	case text:
		return v.s
	case nested:
		return event.Nested(v.s)
	case blob:
		return v.s
	case integer:
		return v.i
	case double:
		return v.f
	case boolean:
		return v.b
	case list:
		return v.ss
	}
	return nil
}
