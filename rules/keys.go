package rules

import (
	"encoding/binary"
	"slices"
)

// Keys is a set of 64-bit keys that are spread evenly, as hashes are, each with a
// value of six bytes if it is made for that. It takes about ten bytes a key, 16 with
// values, where a map takes 25: observers that cannot forget what they have seen, such
// as every session of a stream, keep it here. NewKeys makes one.
type Keys struct {
	// Records by the upper bits of their keys, in no order; of a key the seven lower
	// bytes are kept, which with the place of the leaf are all of it.
	leaves [][]byte
	depth  int // bits of the place
	size   int // bytes of a record
	n      int
}

const (
	keyBytes   = 7
	valueBytes = 6
	leafDepth  = 8  // at least, as seven bytes are kept
	leafKeys   = 32 // on average, before leaves are split
)

// NewKeys makes a set, with or without values.
func NewKeys(values bool) *Keys {
	k := &Keys{depth: leafDepth, leaves: make([][]byte, 1<<leafDepth), size: keyBytes}
	if values {
		k.size += valueBytes
	}
	return k
}

// Reset takes all keys out; their memory is used again.
func (k *Keys) Reset() {
	for i := range k.leaves {
		k.leaves[i] = k.leaves[i][:0]
	}
	k.n = 0
}

// Len is the number of keys.
func (k *Keys) Len() int { return k.n }

// Has reports that the key is there.
func (k *Keys) Has(key uint64) bool {
	return k.find(k.leaves[key>>(64-k.depth)], key) >= 0
}

// Add puts a key in and reports that it is new.
func (k *Keys) Add(key uint64) bool {
	leaf := &k.leaves[key>>(64-k.depth)]
	if k.find(*leaf, key) >= 0 {
		return false
	}
	k.put(leaf, key, 0)
	return true
}

// Delete takes a key out and reports that it was there.
func (k *Keys) Delete(key uint64) bool {
	leaf := &k.leaves[key>>(64-k.depth)]
	at := k.find(*leaf, key)
	if at < 0 {
		return false
	}
	last := len(*leaf) - k.size
	copy((*leaf)[at:], (*leaf)[last:])
	*leaf = (*leaf)[:last]
	k.n--
	return true
}

// Swap gives a key its value, of which the six lower bytes are kept, and returns the
// one that it had; ok is false where the key is new. The set must have values.
func (k *Keys) Swap(key, value uint64) (old uint64, ok bool) {
	value &= 1<<(8*valueBytes) - 1
	leaf := &k.leaves[key>>(64-k.depth)]
	at := k.find(*leaf, key)
	if at < 0 {
		k.put(leaf, key, value)
		return 0, false
	}
	b := (*leaf)[at+keyBytes : at+keyBytes+valueBytes]
	if old = valueOf(b); old != value {
		putValue(b, value)
	}
	return old, true
}

// Value is the value of a key; ok is false where it is not there. The set must have
// values.
func (k *Keys) Value(key uint64) (value uint64, ok bool) {
	leaf := k.leaves[key>>(64-k.depth)]
	at := k.find(leaf, key)
	if at < 0 {
		return 0, false
	}
	return valueOf(leaf[at+keyBytes : at+keyBytes+valueBytes]), true
}

func valueOf(b []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32
}

func putValue(b []byte, v uint64) {
	binary.LittleEndian.PutUint32(b, uint32(v))
	binary.LittleEndian.PutUint16(b[4:], uint16(v>>32))
}

// find is where the record of a key stands in its leaf; -1 without.
func (k *Keys) find(leaf []byte, key uint64) int {
	low, high := uint32(key), uint32(key>>32)&(1<<24-1)
	for at := 0; at < len(leaf); at += k.size {
		r := leaf[at : at+keyBytes]
		if binary.LittleEndian.Uint32(r) == low && binary.LittleEndian.Uint32(r[3:])>>8 == high {
			return at
		}
	}
	return -1
}

// put adds a record to a leaf that has none of the key.
func (k *Keys) put(leaf *[]byte, key, value uint64) {
	n := len(*leaf)
	if n+k.size > cap(*leaf) { // little more than it needs
		*leaf = append(slices.Grow([]byte(nil), n+k.size+n/8), *leaf...)
	}
	*leaf = (*leaf)[:n+k.size]
	r := (*leaf)[n:]
	binary.LittleEndian.PutUint32(r, uint32(key))
	binary.LittleEndian.PutUint16(r[4:], uint16(key>>32))
	if r[6] = byte(key >> 48); k.size > keyBytes {
		putValue(r[keyBytes:], value)
	}
	if k.n++; k.n > len(k.leaves)*leafKeys {
		k.split()
	}
}

// split makes two leaves of each.
func (k *Keys) split() {
	leaves := make([][]byte, 2*len(k.leaves))
	bit := 63 - k.depth // of the key: in which of the two its record stands
	for i, leaf := range k.leaves {
		var n [2]int
		side := func(at int) int { return int(leaf[at+bit/8] >> (bit % 8) & 1) }
		for at := 0; at < len(leaf); at += k.size {
			n[side(at)]++
		}
		for s := range n {
			leaves[2*i+s] = slices.Grow([]byte(nil), n[s]*k.size+n[s]*k.size/8)
		}
		for at := 0; at < len(leaf); at += k.size {
			to := &leaves[2*i+side(at)]
			*to = append(*to, leaf[at:at+k.size]...)
		}
		k.leaves[i] = nil
	}
	k.leaves, k.depth = leaves, k.depth+1
}
