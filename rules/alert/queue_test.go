package alert

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// TestQueue holds the packed queue to a plain list.
func TestQueue(t *testing.T) {
	froms := make([]*from, 40)
	for i := range froms {
		froms[i] = &from{rest: &rest{name: "k"}}
	}
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var m spare
		var plain []entry
		steps := rapid.OneOf(rapid.Int64Range(-5*milli, 5*milli), rapid.Just(int64(milli)), rapid.Just(int64(3600*1000*milli)), rapid.Int64())
		at := rapid.Int64().Draw(t, "start")
		for range rapid.IntRange(0, 60).Draw(t, "entries") {
			switch {
			case len(plain) > 0 && rapid.IntRange(0, 2).Draw(t, "pop") == 0:
				got, want := q.pop(), plain[0]
				if want.from, want.kind = nil, 0; got != want {
					t.Fatalf("popped %+v, expected %+v", got, want)
				}
				plain = plain[1:]
			case rapid.IntRange(0, 9).Draw(t, "set") == 0:
				plain = append([]entry(nil), plain[len(plain)/2:]...)
				// Those in front of the last ones have no from any more.
				all := q.entries()
				q.set(&m, all[len(all)-len(plain):])
			default:
				at += steps.Draw(t, "step")
				en := entry{time: at, value: rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Just(int64(math.MinInt64)), rapid.Int64()).Draw(t, "value"),
					index: rapid.Int64Range(0, 1<<40).Draw(t, "index"), from: froms[rapid.IntRange(0, len(froms)-1).Draw(t, "from")], kind: event.Kind(rapid.IntRange(0, 5).Draw(t, "kind"))}
				q.push(&m, en)
				plain = append(plain, en)
			}
			if q.n != len(plain) {
				t.Fatalf("%d entries, expected %d", q.n, len(plain))
			}
			all := q.entries()
			for i := range plain {
				want := plain[i]
				if i < len(plain)-rules.MaxEventRefs {
					want.from, want.kind = nil, 0
				}
				if all[i] != want {
					t.Fatalf("entry %d of %d is %+v, expected %+v", i, len(plain), all[i], want)
				}
			}
			if want := all[max(0, len(all)-rules.MaxEventRefs):]; !slices.Equal(q.cited(), want) {
				t.Fatalf("cited are %v, expected %v", q.cited(), want)
			}
			if len(plain) > 0 && q.first().time != plain[0].time {
				t.Fatalf("the first entry is of %d, expected %d", q.first().time, plain[0].time)
			}
		}
	})
}

// A window that slides on and on stays as large as it is.
func TestQueueSlidesInPlace(t *testing.T) {
	var q queue
	var m spare
	f := &from{}
	for i := range int64(10_000) {
		q.push(&m, entry{time: i * 1000 * milli, value: 40_000 + i%100, index: i * 900, from: f})
		if q.n > 100 {
			q.pop()
		}
	}
	if cap(q.packed) > 4096 {
		t.Errorf("%d bytes for %d entries", cap(q.packed), q.n)
	}
}

// TestValues holds what a rule remembers of values to a plain map, few or many.
func TestValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, plain := &values{}, map[uint64]int64{}
		keys := rapid.Uint64Range(0, uint64(rapid.IntRange(1, 60).Draw(t, "keys")))
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			k, n := keys.Draw(t, "key"), rapid.Int64Range(1, 100).Draw(t, "number")
			switch what := rapid.IntRange(0, 40).Draw(t, "what"); {
			case what < 15:
				v.set(k, n)
				plain[k] = n
			case what < 39:
				if what%2 == 0 {
					n = -n
				}
				v.add(k, n)
				if plain[k] += n; plain[k] <= 0 {
					delete(plain, k)
				}
			case what == 39 && v.many != nil:
				v.forget(n)
				for k, x := range plain {
					if x < n {
						delete(plain, k)
					}
				}
			case what == 40:
				v.reset()
				clear(plain)
			}
			if v.len() != len(plain) {
				t.Fatalf("%d values, expected %d", v.len(), len(plain))
			}
			for k := range uint64(61) {
				got, ok := v.get(k)
				if want, known := plain[k]; got != want || ok != known {
					t.Fatalf("value %d: %d %t, expected %d %t", k, got, ok, want, known)
				}
			}
		}
	})
}
