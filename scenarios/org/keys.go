package org

import (
	"hash/maphash"
	"math/bits"
)

// keys finds members by account, e-mail or id in four bytes a place: a map of
// texts would take as much as the texts. The zero value finds nobody.
type keys struct {
	seed   maphash.Seed
	places []uint32 // member*3 + which key + 1; 0 is free; a power of two of them, at most half full
}

// keyOf is one of a member's keys: 0 account, 1 e-mail, 2 id.
func keyOf(m *Member, which uint32) string {
	switch which {
	case 0:
		return m.Account
	case 1:
		return m.Email
	}
	return m.ID
}

// newKeys notes every key; the first member with a key keeps it.
func newKeys(members []Member) keys {
	k := keys{maphash.MakeSeed(), make([]uint32, 1<<bits.Len(uint(6*len(members)+1)))}
	for i := range members {
		for which := range uint32(3) {
			if key := keyOf(&members[i], which); key != "" {
				if at, found := k.place(members, key); !found {
					k.places[at] = uint32(i)*3 + which + 1
				}
			}
		}
	}
	return k
}

// place is where a key stands, or the free place where it would.
func (k *keys) place(members []Member, key string) (at uint64, found bool) {
	mask := uint64(len(k.places) - 1)
	for at = maphash.String(k.seed, key) & mask; ; at = (at + 1) & mask {
		p := k.places[at]
		if p == 0 {
			return at, false
		}
		if keyOf(&members[(p-1)/3], (p-1)%3) == key {
			return at, true
		}
	}
}

// find is the index of the member with a key.
func (k *keys) find(members []Member, key string) (int, bool) {
	if k.places == nil {
		return 0, false
	}
	at, found := k.place(members, key)
	if !found {
		return 0, false
	}
	return int((k.places[at] - 1) / 3), true
}
