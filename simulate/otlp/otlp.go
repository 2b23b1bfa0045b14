// Package otlp reads and writes the product's log stream in OTLP, as JSON and
// as protobuf.
//
// Reading is tolerant and salvages record by record: whatever one record holds,
// its neighbours survive, and everything dropped is counted with a reason.
// Writing is deterministic: the same events and profile give the same bytes.
package otlp

import "github.com/sandtable-dev/sandtable/rules/event"

// Batch is what one or more requests decoded to. The decoders append to it.
// Records counts log records seen; those that gave no event are in Bad with
// Salvaged false, so len(Events) = Records - unsalvaged records with Index >= 0.
type Batch struct {
	Events  []event.Event
	Records int
	Bad     []BadRecord
	Other   int // requests or parts of another signal (traces, metrics), which hold no logs
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

// Reset empties the batch and keeps its memory for the next request.
func (b *Batch) Reset() {
	clear(b.Events)
	b.Events, b.Bad, b.Records, b.Other = b.Events[:0], b.Bad[:0], 0, 0
}

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

// any is the form in which event.Attr keeps a value.
func (v *value) any() any {
	switch v.k {
	case text, nested:
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
