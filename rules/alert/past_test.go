package alert

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPast holds the packed windows of the clock to a plain list.
func TestPast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p past
		var plain []slot
		keep := rapid.SampledFrom([]int64{0, 1, 14, 21, 1 << 40}).Draw(t, "keep")
		steps := rapid.SampledFrom([]*rapid.Generator[int64]{rapid.Int64Range(1, 2), rapid.Int64Range(1, 40), rapid.Int64Range(1, 1<<50)}).Draw(t, "steps")
		n := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "first")
		for range rapid.IntRange(0, 60).Draw(t, "windows") {
			n += steps.Draw(t, "step")
			old := func(x int64) bool { return n-x > keep }
			p.begin(n, old)
			plain = append(slices.DeleteFunc(plain, func(x slot) bool { return old(x.n) }), slot{n: n})
			value := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64()).Draw(t, "value")
			p.now.value += value
			plain[len(plain)-1].value += value
			var got []slot
			if p.each(func(x slot) { got = append(got, x) }); !slices.Equal(got, plain) {
				t.Fatalf("%v, expected %v", got, plain)
			}
			if p.len() != int64(len(plain)) {
				t.Fatalf("%d windows, expected %d", p.len(), len(plain))
			}
		}
	})
}

// TestFrom: whatever a prompt's id looks like, it is cited as it was.
func TestFrom(t *testing.T) {
	session := "s"
	rapid.Check(t, func(t *rapid.T) {
		prompt := rapid.OneOf(rapid.StringMatching(`[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}`), rapid.StringMatching(`[0-9a-fA-Fg]{8}(-[0-9a-f]{4}){3}.[0-9a-f]{11}[0-9a-fF]`), rapid.String()).Draw(t, "prompt")
		name := rapid.SampledFrom([]string{"", "new_event"}).Draw(t, "name")
		s, p, n := newFrom(&session, prompt, name).texts()
		if s != session || p != prompt || n != name {
			t.Fatalf("%q %q %q, expected %q %q %q", s, p, n, session, prompt, name)
		}
	})
	f := newFrom(&session, "0123e567-89ab-cdef-0123-456789abcdef", "")
	if f.rest != nil {
		t.Fatal("a UUID is kept as its text")
	}
}
