package alert

import "encoding/binary"

// past is the windows of the clock with a match: the present one, and those before
// it, packed. A key has some twenty of them, and there are many keys. The zero value
// holds none.
type past struct {
	now   slot
	begun bool
	// By window, oldest first: the number of the first one, then the steps from one to
	// the next, each before its value.
	before []byte
	latest int64 // the number of the last one
}

// slot is one window of the clock, numbered from 1970.
type slot struct{ n, value int64 }

// begin makes another window the present one, and lets go of the oldest ones for
// which old says so. Windows come in order.
func (p *past) begin(n int64, old func(n int64) bool) {
	if p.begun {
		step := p.now.n
		if len(p.before) > 0 {
			step -= p.latest
		}
		var b [2 * binary.MaxVarintLen64]byte
		code := binary.AppendVarint(binary.AppendVarint(b[:0], step), p.now.value)
		if k := len(p.before); k+len(code) > cap(p.before) { // little more than it needs
			p.before = append(make([]byte, 0, k+len(code)+8), p.before...)
		}
		p.before, p.latest = append(p.before, code...), p.now.n
	}
	p.now, p.begun = slot{n: n}, true
	for at, first := 0, int64(0); at < len(p.before); {
		step, k := binary.Varint(p.before[at:])
		if first += step; !old(first) {
			if at > 0 {
				// Its number takes the place of the step to it and of what stood before
				// that, which together are no shorter.
				var b [binary.MaxVarintLen64]byte
				code := binary.AppendVarint(b[:0], first)
				from := at + k - len(code)
				copy(p.before[from:], code)
				p.before = p.before[:copy(p.before, p.before[from:])]
			}
			return
		}
		at += k
		_, k = binary.Varint(p.before[at:])
		at += k
	}
	p.before = p.before[:0]
}

// each goes through all windows, oldest first.
func (p *past) each(f func(slot)) {
	for at, n := 0, int64(0); at < len(p.before); {
		step, k := binary.Varint(p.before[at:])
		at += k
		value, k := binary.Varint(p.before[at:])
		at += k
		n += step
		f(slot{n, value})
	}
	if p.begun {
		f(p.now)
	}
}

// len is how many there are.
func (p *past) len() (n int64) {
	p.each(func(slot) { n++ })
	return n
}
