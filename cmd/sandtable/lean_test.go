package main

import "testing"

// However little is kept there is room, a reading command's garbage grows slower than
// what it keeps, and that of a writing one is collected no more often than usual.
func TestPercent(t *testing.T) {
	room := func(live int, h habit) int { return live / 100 * percent(live, h) }
	for live := 4 << 20; live < 1<<30; live += 1 << 20 {
		usual, lean, brisk := room(live, usual), room(live, lean), room(live, brisk)
		if usual < roomy*99/100 || live > roomy && (usual < live*99/100 || usual > live) {
			t.Errorf("%d MiB live: room for %d", live>>20, usual)
		}
		if lean < sparing*98/100 || lean > sparing+live/16 || lean > usual {
			t.Errorf("%d MiB live in a reading command: room for %d, usually %d", live>>20, lean, usual)
		}
		if brisk < usual || live > 5*roomy && brisk > usual || brisk > max(5*roomy, live) {
			t.Errorf("%d MiB live in a writing command: room for %d, usually %d", live>>20, brisk, usual)
		}
	}
	if p := percent(0, lean); p < 100 || p > 1000 {
		t.Errorf("nothing live: %d percent", p)
	}
}
