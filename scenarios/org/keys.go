package org

import (
	"hash/maphash"
	"math/bits"
)

// keys finds members by account, e-mail or id in four bytes a place: a map of
// texts would take as much as the texts. The zero value finds nobody.
type keys struct {
	seed maphash.Seed
	// A place holds member*3 + which key + 1 and, in the bits above that, some of the
	// key's hash, so that few keys are looked at in vain; 0 is free. There is a power
	// of two of them, at most three quarters taken.
	places []uint32
	low    uint32 // the bits of the number
}

// keyTexts are the texts that are keys, by which key.
var keyTexts = [...]int{textAccount, textEmail, textID}

// newKeys notes every key; the first member with a key keeps it.
func newKeys(p *people) keys {
	n := len(p.each)
	k := keys{maphash.MakeSeed(), make([]uint32, 1<<bits.Len(uint(4*n+1))), 1<<bits.Len(uint(3*n)) - 1}
	for i := range n {
		for which, text := range keyTexts {
			if key := p.text(i, text); key != "" {
				if at, tag, found := k.place(p, key); !found {
					k.places[at] = tag | uint32(i*3+which+1)
				}
			}
		}
	}
	return k
}

// place is where a key stands, or the free place where it would with its tag.
func (k *keys) place(p *people, key string) (at uint64, tag uint32, found bool) {
	mask := uint64(len(k.places) - 1)
	hash := maphash.String(k.seed, key)
	tag = uint32(hash>>32) &^ k.low
	for at = hash & mask; ; at = (at + 1) & mask {
		x := k.places[at]
		if x == 0 {
			return at, tag, false
		}
		if x&^k.low == tag {
			if n := int(x&k.low) - 1; p.is(n/3, keyTexts[n%3], key) {
				return at, tag, true
			}
		}
	}
}

// find is the index of the member with a key.
func (k *keys) find(p *people, key string) (int, bool) {
	if k.places == nil {
		return 0, false
	}
	at, _, found := k.place(p, key)
	if !found {
		return 0, false
	}
	return int(k.places[at]&k.low-1) / 3, true
}
