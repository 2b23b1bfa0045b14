package rehearsal

import "testing"

// No rounding makes a ratio reach a threshold that it does not reach, and what
// there is stays above zero.
func TestRatiosAreRoundedToTheWorseSide(t *testing.T) {
	for _, c := range []struct {
		n, of int64
		worse direction
		want  float64
	}{
		{98_996, 100_000, down, 0.9899}, {99_000, 100_000, down, 0.99}, {19_999, 20_000, down, 0.9999}, {20_000, 20_000, down, 1}, {1, 25_000, down, 0.0001}, {0, 5, down, 0}, {0, 0, down, 0},
		{504, 100_000, up, 0.0051}, {500, 100_000, up, 0.005}, {1, 1_000_000, up, 0.0001}, {0, 5, up, 0}, {0, 0, up, 0}, {7, 7, up, 1},
	} {
		if got := ratio(c.n, c.of, c.worse); got != c.want {
			t.Errorf("%d of %d: %v, want %v", c.n, c.of, got, c.want)
		}
	}
	for _, c := range []struct {
		desktops map[string]float64
		want     float64
	}{
		{map[string]float64{"1.0.0": 0.00004, "2.0.0": 0.99996}, 0.9999}, {map[string]float64{"1.0.0": 0.3, "2.0.0": 0.7}, 0.7}, {map[string]float64{"2.0.0": 0.1, "2.1.0": 0.2, "2.2.0": 0.7}, 1}, {map[string]float64{"1.0.0": 1}, 0},
	} {
		if got := shareFrom(c.desktops, "1.5.0"); got != c.want {
			t.Errorf("%v: %v, want %v", c.desktops, got, c.want)
		}
	}
}
