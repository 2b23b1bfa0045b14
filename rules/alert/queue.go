package alert

import (
	"encoding/binary"
	"slices"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// queue is the entries inside a sliding window, packed: many keys hold many of
// them, and all that is asked of the older ones is their time and value. Where the
// last ones stood, which a finding may cite, is kept beside. The first ones are let
// go; the others move to the front when room is needed, so that a window that slides
// costs no memory. The zero value is empty.
type queue struct {
	packed      []byte // by entry: step of the index and unit, step of the time, value
	gone, n     int    // bytes and entries
	front, back mark   // the entry before the first one, and the last one
	last        []*from
	kinds       [rules.MaxEventRefs]event.Kind // beside last
}

// mark is what steps are counted from.
type mark struct{ time, index int64 }

// milli is the unit in which most clocks of records count.
const milli = 1_000_000

// citedRooms are the sizes in which it is kept where the last entries stood.
var citedRooms = [...]int{1, 4, rules.MaxEventRefs}

func (q *queue) push(m *spare, en entry) {
	if q.n == 0 {
		q.packed, q.gone = q.packed[:0], 0
		q.front = mark{en.time, en.index}
		q.back = q.front
	}
	step, unit := en.time-q.back.time, int64(0)
	if step%milli == 0 {
		step, unit = step/milli, 1
	}
	var b [3 * binary.MaxVarintLen64]byte
	code := binary.AppendVarint(b[:0], (en.index-q.back.index)*2+unit)
	code = binary.AppendVarint(binary.AppendVarint(code, step), en.value)
	if len(q.packed)+len(code) > cap(q.packed) && q.gone > len(q.packed)/4 {
		q.packed = q.packed[:copy(q.packed, q.packed[q.gone:])]
		q.gone = 0
	}
	if n := len(q.packed) + len(code); n > cap(q.packed) { // by little: there are many
		more := append(m.take(n), q.packed...)
		m.give(q.packed)
		q.packed = more
	}
	q.packed = append(q.packed, code...)
	q.n++
	q.back = mark{en.time, en.index}
	if len(q.last) == rules.MaxEventRefs {
		q.shift()
	}
	if n := len(q.last); n == cap(q.last) {
		more := append(m.takeFroms(n+1), q.last...)
		m.giveFroms(q.last)
		q.last = more
	}
	q.kinds[len(q.last)] = en.kind
	q.last = append(q.last, en.from)
}

// shift lets go of the first of the last ones.
func (q *queue) shift() {
	n := len(q.last) - 1
	copy(q.last, q.last[1:])
	copy(q.kinds[:], q.kinds[1:])
	q.last[n] = nil
	q.last = q.last[:n]
}

// read gives the entry that stands behind a mark, without its from, and where the
// next one does.
func (q *queue) read(at int, behind mark) (en entry, next int) {
	field := func() int64 {
		v, n := binary.Varint(q.packed[at:])
		at += n
		return v
	}
	index, step := field(), field()
	if index&1 != 0 {
		step *= milli
	}
	return entry{time: behind.time + step, index: behind.index + index>>1, value: field()}, at
}

// first is the first entry, without its from; there must be one.
func (q *queue) first() entry {
	en, _ := q.read(q.gone, q.front)
	return en
}

// firstTime is the time of the first entry; there must be one.
func (q *queue) firstTime() int64 {
	index, n := binary.Varint(q.packed[q.gone:])
	step, _ := binary.Varint(q.packed[q.gone+n:])
	if index&1 != 0 {
		step *= milli
	}
	return q.front.time + step
}

// before reports that all entries are older than a moment.
func (q *queue) before(moment int64) bool {
	if q.n == 0 || q.back.time >= moment {
		return q.n == 0
	}
	return !slices.ContainsFunc(q.entries(), func(en entry) bool { return en.time >= moment })
}

// pop lets go of the first entry; there must be one.
func (q *queue) pop() entry {
	en, next := q.read(q.gone, q.front)
	q.gone, q.front = next, mark{en.time, en.index}
	if q.n--; q.n < len(q.last) {
		q.shift()
	}
	return en
}

// entries are all, of which the last ones have their from.
func (q *queue) entries() []entry {
	out := make([]entry, 0, q.n+1)
	for at, behind := q.gone, q.front; len(out) < q.n; {
		var en entry
		en, at = q.read(at, behind)
		behind = mark{en.time, en.index}
		if k := len(out) - (q.n - len(q.last)); k >= 0 {
			en.from, en.kind = q.last[k], q.kinds[k]
		}
		out = append(out, en)
	}
	return out
}

// cited are the last entries, as many as a finding has room for.
func (q *queue) cited() []entry {
	all := q.entries()
	return all[len(all)-len(q.last):]
}

// set puts entries in place of those there are.
func (q *queue) set(m *spare, all []entry) {
	q.packed, q.gone, q.n, q.last = q.packed[:0], 0, 0, slices.Delete(q.last, 0, len(q.last))
	for _, en := range all {
		q.push(m, en)
	}
}
