package alert

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// TestSpareIsNobodyElses: room that was given back goes to one queue at a time, and
// comes empty.
func TestSpareIsNobodyElses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m spare
		queues := make([]queue, 4)
		plain := make([][]entry, len(queues))
		f := &from{}
		for i := range int64(rapid.IntRange(1, 300).Draw(t, "steps")) {
			k := rapid.IntRange(0, len(queues)-1).Draw(t, "queue")
			q := &queues[k]
			switch rapid.IntRange(0, 19).Draw(t, "what") {
			case 0:
				m.empty(q)
				plain[k] = nil
			case 1, 2, 3:
				if q.n > 0 {
					q.pop()
					plain[k] = plain[k][1:]
				}
			default:
				en := entry{time: i * 1234567, value: i, index: i, from: f}
				q.push(&m, en)
				plain[k] = append(plain[k], en)
			}
			for j := range queues {
				all := queues[j].entries()
				if len(all) != len(plain[j]) {
					t.Fatalf("queue %d has %d entries, expected %d", j, len(all), len(plain[j]))
				}
				for x := range all {
					if a, b := all[x], plain[j][x]; a.time != b.time || a.value != b.value || a.index != b.index {
						t.Fatalf("entry %d of queue %d is %+v, expected %+v", x, j, a, b)
					}
				}
			}
		}
		for i := range m.froms {
			for _, room := range m.froms[i] {
				for _, f := range unsafe.Slice(room, citedRooms[i]) {
					if f != nil {
						t.Fatal("room that was given back holds something")
					}
				}
			}
		}
	})
}
