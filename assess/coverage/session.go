package coverage

import (
	"encoding/binary"
	"math"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// session is what is kept of one session while records of it still come. What every
// record touches stands in front.
type session struct {
	last   int64  // event time of its newest record
	top    int64  // the highest sequence number among the records ever kept in recent
	recent prints // the last of them
	prompt uint64 // the prompt noted last, whether its user_prompt was seen, and in which turn
	turn   int64
	epochs []epoch
	first  [1]epoch // the memory of epochs as long as there is one
	open   uses     // tool uses seen on one side
	asked  bool
}

// prints are the fingerprints of the last records of a session, by which one that
// is delivered twice is told. They take the room of as many as there are, up to
// maxRecent: there are many sessions, most of them short. Of a fingerprint 48 bits
// are kept, which two records share by chance only.
type prints struct {
	kept []byte // one behind the other, the first one anew when it is full
	next uint8  // the one to be written over then
}

const printSize = 6

// has reports that a record of the fingerprint is among the last ones.
func (r *prints) has(print uint64) bool {
	low, high := uint32(print), uint16(print>>32)
	for at := 0; at < len(r.kept); at += printSize {
		p := r.kept[at : at+printSize]
		if binary.LittleEndian.Uint32(p) == low && binary.LittleEndian.Uint16(p[4:]) == high {
			return true
		}
	}
	return false
}

// spare is memory of sessions that fell silent, to be used again.
type spare struct {
	sessions []*session
	prints   [4][][]byte // by room: for 8, 16, 32 and 64 fingerprints
}

// session is a new one.
func (m *spare) session() *session {
	s := new(session)
	if n := len(m.sessions); n > 0 {
		s, m.sessions = m.sessions[n-1], m.sessions[:n-1]
	}
	s.last = math.MinInt64
	return s
}

// room is room for more fingerprints than there are, of which it takes back the memory.
func (m *spare) room(kept []byte) []byte {
	i := 0
	for len(kept) >= 8*printSize<<i {
		i++
	}
	var more []byte
	if n := len(m.prints[i]); n > 0 {
		more, m.prints[i] = m.prints[i][n-1], m.prints[i][:n-1]
	} else {
		more = make([]byte, 0, 8*printSize<<i)
	}
	more = append(more, kept...)
	m.give(kept)
	return more
}

func (m *spare) give(kept []byte) {
	for i := range m.prints {
		if cap(kept) == 8*printSize<<i {
			m.prints[i] = append(m.prints[i], kept[:0])
		}
	}
}

// drop takes back a session of which nobody holds anything.
func (m *spare) drop(s *session) {
	m.give(s.recent.kept)
	*s = session{}
	m.sessions = append(m.sessions, s)
}

// add keeps a fingerprint, in place of the oldest one where there are enough.
func (r *prints) add(print uint64, m *spare) {
	n := len(r.kept)
	at := n
	switch {
	case n == maxRecent*printSize:
		at = int(r.next) * printSize
		r.next = (r.next + 1) % maxRecent
	case n == cap(r.kept):
		r.kept = m.room(r.kept)
		fallthrough
	default:
		r.kept = r.kept[:n+printSize]
	}
	binary.LittleEndian.PutUint32(r.kept[at:], uint32(print))
	binary.LittleEndian.PutUint16(r.kept[at+4:], uint16(print>>32))
}

// uses are tool uses that were decided or have ended, and not both. Few are looked
// through; a session seldom has more of them.
type uses struct {
	few  []use
	many map[uint64]bool // true = decided, false = ended
}

type use struct {
	key     uint64
	decided bool
}

const fewUses = 16

// pair takes one side of a tool use: the other side closes it, the same side again
// changes nothing.
func (u *uses) pair(key uint64, decided bool) {
	if u.many != nil {
		if was, ok := u.many[key]; ok && was != decided {
			delete(u.many, key)
		} else {
			u.many[key] = decided
		}
		return
	}
	for i := range u.few {
		if x := u.few[i]; x.key == key {
			if x.decided != decided {
				last := len(u.few) - 1
				u.few[i] = u.few[last]
				u.few = u.few[:last]
			}
			return
		}
	}
	if len(u.few) < fewUses {
		u.few = append(u.few, use{key, decided})
		return
	}
	u.many = make(map[uint64]bool, 2*fewUses)
	for _, x := range u.few {
		u.many[x.key] = x.decided
	}
	u.few = nil
	u.many[key] = decided
}

// alone counts those whose other side was not seen.
func (u *uses) alone() (decided, ended int64) {
	count := func(d bool) {
		if d {
			decided++
		} else {
			ended++
		}
	}
	for _, x := range u.few {
		count(x.decided)
	}
	for _, d := range u.many {
		count(d)
	}
	return decided, ended
}

// nameKeys are the keys of the names of known kinds.
var nameKeys = func() []uint64 {
	keys := make([]uint64, len(event.Kinds())+1)
	for _, k := range event.Kinds() {
		keys[k] = event.Key(k.String())
	}
	return keys
}()

// nameKey is the key of the event's name.
func nameKey(ev *event.Event) uint64 {
	if ev.Kind != event.Other && ev.Name == ev.Kind.String() {
		return nameKeys[ev.Kind]
	}
	return event.Key(ev.Name)
}

// epoch is one process of a session: event.sequence counts up from 0 inside it
// and starts again with the next process. Holes are counted between the first
// and the last number seen, as a capture may begin or end midway.
type epoch struct {
	first, max int64
	at         int64 // time of the record with number max
	gaps       []gap // in rising order
	lost       int64 // holes that are too old to be filled
}

type gap struct{ from, to int64 } // inclusive

// track places the record's sequence number and reports a record that was
// delivered before. Rules, in this order: the number after the last one of the
// newest process, or of an older one that was heard within ten minutes, continues
// it; a hole is filled by a record no newer than the process; a higher number
// continues the newest process with a gap; anything else, in particular a lower
// number at a later time, starts a process. What is over of the session goes to t.
func (s *session) track(ev *event.Event, t *tally, m *spare) (duplicate bool) {
	if ev.Has&event.FTime != 0 {
		s.last = max(s.last, ev.Time)
	}
	if ev.Has&event.FSequence == 0 || ev.Sequence < 0 {
		return false
	}
	n := ev.Sequence
	print := (nameKey(ev)^uint64(ev.Time))*1099511628211 ^ uint64(n)*0x9e3779b97f4a7c15
	print = (print ^ print>>32) * 0x9e3779b97f4a7c15 >> 16 // what is kept hangs on all of it
	if n <= s.top && s.recent.has(print) {                 // above it no record with the number was kept
		return true
	}
	s.top = max(s.top, n)
	s.recent.add(print, m)
	newest := len(s.epochs) - 1
	for i := newest; i >= 0; i-- {
		if e := &s.epochs[i]; n == e.max+1 && ev.Time >= e.at && (i == newest || ev.Time-e.at <= sideBySide) {
			e.max, e.at = n, ev.Time
			return false
		}
	}
	for i := newest; i >= 0; i-- {
		e := &s.epochs[i]
		if n < e.max && ev.Time <= e.at && e.fill(n) {
			return false
		}
	}
	if newest >= 0 && n > s.epochs[newest].max && ev.Time >= s.epochs[newest].at {
		s.epochs[newest].skip(n, ev.Time)
		return false
	}
	if len(s.epochs) == maxEpochs {
		s.epochs[0].close(t)
		s.epochs = append(s.epochs[:0], s.epochs[1:]...)
	}
	if s.epochs == nil {
		s.epochs = s.first[:0]
	}
	s.epochs = append(s.epochs, epoch{first: n, max: n, at: ev.Time})
	return false
}

// skip moves on to n and leaves a hole.
func (e *epoch) skip(n, at int64) {
	if len(e.gaps) == maxGaps {
		e.lost += e.gaps[0].to - e.gaps[0].from + 1
		e.gaps = append(e.gaps[:0], e.gaps[1:]...)
	}
	e.gaps = append(e.gaps, gap{e.max + 1, n - 1})
	e.max, e.at = n, at
}

// fill takes n out of a hole, or lets the process begin earlier. A number that
// far before the first would be another process.
func (e *epoch) fill(n int64) bool {
	if n < e.first {
		if e.first-n > maxGaps || len(e.gaps) == maxGaps {
			return false
		}
		if e.first-n > 1 {
			e.gaps = append([]gap{{n + 1, e.first - 1}}, e.gaps...)
		}
		e.first = n
		return true
	}
	for i := range e.gaps {
		g := e.gaps[i]
		switch {
		case n < g.from || n > g.to:
			continue
		case g.from == g.to:
			e.gaps = append(e.gaps[:i], e.gaps[i+1:]...)
		case n == g.from:
			e.gaps[i].from++
		case n == g.to:
			e.gaps[i].to--
		default:
			e.gaps[i].to = n - 1
			e.gaps = append(e.gaps[:i+1], append([]gap{{n + 1, g.to}}, e.gaps[i+1:]...)...)
		}
		return true
	}
	return false
}

func (e *epoch) close(t *tally) {
	t.processes++
	t.expected += e.max - e.first + 1
	t.missing += e.lost
	for _, g := range e.gaps {
		t.missing += g.to - g.from + 1
	}
}

// close adds the session to t and leaves it as it is.
func (s *session) close(t *tally) {
	for i := range s.epochs {
		s.epochs[i].close(t)
	}
	decided, ended := s.open.alone()
	t.decisionsAlone += decided
	t.resultsAlone += ended
}
