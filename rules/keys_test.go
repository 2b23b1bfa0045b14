package rules

import (
	"math/rand/v2"
	"testing"
)

// TestKeys holds the set to a map, through splits of its leaves.
func TestKeys(t *testing.T) {
	for _, values := range []bool{false, true} {
		r := rand.New(rand.NewPCG(7, 11))
		k, plain := NewKeys(values), map[uint64]uint64{}
		var known []uint64
		for range 200_000 {
			key := r.Uint64()
			if len(known) > 0 && r.IntN(3) == 0 {
				key = known[r.IntN(len(known))] // also one that was deleted
			} else {
				switch r.IntN(4) {
				case 0:
					key &= 1<<56 - 1 // what differs in the upper byte only, or in the lower ones
				case 1:
					key |= 1<<56 - 1
				}
				known = append(known, key)
			}
			was, had := plain[key]
			if k.Has(key) != had {
				t.Fatalf("%x is there: %v, expected %v", key, !had, had)
			}
			if values {
				if v, ok := k.Value(key); v != was || ok != had {
					t.Fatalf("%x is %x (%v), expected %x (%v)", key, v, ok, was, had)
				}
			}
			switch {
			case r.IntN(40_000) == 0:
				k.Reset()
				clear(plain)
			case r.IntN(10) == 0:
				if k.Delete(key) != had {
					t.Fatalf("%x was there to be deleted: %v, expected %v", key, !had, had)
				}
				delete(plain, key)
			case values:
				v := r.Uint64()
				if old, ok := k.Swap(key, v); old != was || ok != had {
					t.Fatalf("%x was %x (%v), expected %x (%v)", key, old, ok, was, had)
				}
				plain[key] = v & (1<<48 - 1)
			default:
				if k.Add(key) == had {
					t.Fatalf("%x is new: %v, expected %v", key, had, !had)
				}
				plain[key] = 0
			}
			if k.Len() != len(plain) {
				t.Fatalf("%d keys, expected %d", k.Len(), len(plain))
			}
		}
		if k.depth == leafDepth {
			t.Fatal("no leaf was ever split")
		}
	}
}
