package alert

import (
	"math"
	"math/bits"
	"slices"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// keyPart gives one part of a key; id, if there is one, stands for the text. Parts
// become one number, in which two keys meet by chance only, and less often than
// once in ten million streams.
type keyPart struct {
	text func(*subject) (string, bool)
	id   func(*event.Event) uint64
}

// of is the key of the part; false where it is not known.
func (p *keyPart) of(s *subject) (uint64, bool) {
	v, ok := p.text(s)
	if !ok {
		return 0, false
	}
	if p.id != nil {
		return p.id(s.ev), true
	}
	return event.Key(v), true
}

// ring is the keys of rules that join events by the same words. Its key of an event
// is worked out and looked up once for all of them, and what they know of a key lies
// together: in a stream of many members each event meets another one, and what has
// to be fetched from memory costs more than what is done with it.
type ring struct {
	words []string
	parts []keyPart
	rules []*state // at most maxRing; what else has the same words is a ring of its own

	blocks [][]block // a chunk at a time, so that none of them moves
	n      uint32    // of them that have been used
	free   []uint32
	cells  []uint64 // open addressing: low bits of the key, number of the block + 1; 0: empty
	swept  int64    // how many events the engine had seen when it was swept last
	left   int      // keys that stayed then

	// Of the event at hand, as long as asked is its number.
	asked   int64
	key     uint64
	unknown int    // the part that is not known + 1
	at      *block // nil: no rule knows anything of the key
}

// block is what the rules of a ring know of one key: has says which of them know
// something, and windows are theirs, in the order of the rules. Before due none of
// it is to be let go of.
type block struct {
	key     uint64
	has     uint64
	due     int64
	windows []window
}

const (
	maxRing   = 64
	chunkBits = 8
)

func (g *ring) block(n uint32) *block { return &g.blocks[n>>chunkBits][n&(1<<chunkBits-1)] }

// ask finds the key of the event and its block.
func (g *ring) ask(e *Engine) {
	if g.asked == e.seen {
		return
	}
	g.asked, g.unknown = e.seen, 0
	key := uint64(0)
	for i := range g.parts {
		id, ok := g.parts[i].of(&e.subj)
		if !ok {
			g.unknown = i + 1
			return
		}
		key = event.Join(key, id)
	}
	if g.at != nil && g.key == key { // events come in runs of one key
		return
	}
	g.key, g.at = key, g.find(key)
}

func (g *ring) find(key uint64) *block {
	if len(g.cells) == 0 {
		return nil
	}
	mask := uint64(len(g.cells) - 1)
	for i := key >> 32 & mask; ; i = (i + 1) & mask {
		c := g.cells[i]
		if c == 0 {
			return nil
		}
		if c>>32 == key&(1<<32-1) {
			if b := g.block(uint32(c) - 1); b.key == key {
				return b
			}
		}
	}
}

// live is how many keys some rule knows something of.
func (g *ring) live() int { return int(g.n) - len(g.free) }

// full reports that looking through the ring pays: there may be half as many dead
// keys as live ones, or what lives on may have been idle for long.
func (g *ring) full(seen int64) bool {
	return g.live() > g.left+g.left/2+256 || seen-g.swept >= int64(4*g.left) && g.live() > 0
}

// add makes the block of the event's key, which there is not.
func (g *ring) add() *block {
	if (g.live()+1)*4 > len(g.cells)*3 {
		g.index(max(16, 2*len(g.cells)))
	}
	var n uint32
	if k := len(g.free); k > 0 {
		n, g.free = g.free[k-1], g.free[:k-1]
	} else {
		if n = g.n; n>>chunkBits == uint32(len(g.blocks)) {
			g.blocks = append(g.blocks, make([]block, 1<<chunkBits))
		}
		g.n++
	}
	g.at = g.block(n)
	g.at.key, g.at.due = g.key, math.MaxInt64
	g.put(g.key, n)
	return g.at
}

func (g *ring) put(key uint64, n uint32) {
	mask := uint64(len(g.cells) - 1)
	i := key >> 32 & mask
	for g.cells[i] != 0 {
		i = (i + 1) & mask
	}
	g.cells[i] = key<<32 | uint64(n+1)
}

// index makes the cells anew.
func (g *ring) index(cells int) {
	if cells == len(g.cells) {
		clear(g.cells)
	} else {
		g.cells = make([]uint64, cells)
	}
	for n := range g.n {
		if b := g.block(n); b.has != 0 {
			g.put(b.key, n)
		}
	}
}

// place is where the window of a rule stands or would stand.
func (b *block) place(bit uint64) int { return bits.OnesCount64(b.has & (bit - 1)) }

// make adds the window of a rule that has none, one of a number of rules.
func (b *block) make(s *state, at int64, rules int) *window {
	i := b.place(s.bit)
	if n := len(b.windows); n == cap(b.windows) { // by little: most keys stay with what they have
		b.windows = append(make([]window, 0, min(rules, n+1+n/4)), b.windows...)
	}
	b.windows = slices.Insert(b.windows, i, window{})
	b.has |= s.bit
	b.due = min(b.due, at+s.hold)
	return &b.windows[i]
}

// sweep lets go of what cannot matter any more; for absence that is the alert.
func (g *ring) sweep(e *Engine, now int64) {
	gone := false
	for n := range g.n {
		b := g.block(n)
		if b.has == 0 || now <= b.due {
			continue
		}
		left, due := uint64(0), int64(math.MaxInt64)
		kept := b.windows[:0]
		for has, i := b.has, 0; has != 0; has, i = has&(has-1), i+1 {
			w, s := &b.windows[i], g.rules[bits.TrailingZeros64(has)]
			if now-w.last > s.hold {
				if s.kind == absence {
					s.silent(e, w)
				}
				e.letGo(w)
				continue
			}
			due = min(due, w.last+s.hold)
			if s.kind == rate {
				switch {
				case w.unloaded(e, s):
					if r, ok := w.tail.(*rated); ok {
						w.tail = &dormant{r.past}
						e.spare.drop(r)
					}
					w.epoch = e.epoch // once is enough
				case now-w.last <= s.span:
					due = min(due, w.last+s.span)
				default:
					due = now
				}
			}
			left |= has & -has
			kept = append(kept, *w)
		}
		if n := len(kept); n > 0 && n <= cap(kept)/2 && !e.ended {
			kept = append(make([]window, 0, n), kept...)
		} else {
			clear(b.windows[n:])
		}
		if b.has, b.due, b.windows = left, due, kept; left == 0 {
			*b = block{}
			g.free = append(g.free, n)
			gone = true
		}
	}
	g.left = g.live()
	if g.asked = 0; gone {
		g.index(len(g.cells))
		g.at = nil
	}
}
