package org

import (
	"math"
	"math/rand"
	"testing"

	"pgregory.net/rapid"
)

// TestQuickSource: the numbers are those of the library's source, which the names
// of every organisation so far were made with.
func TestQuickSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, seedPrime, -seedPrime, 2 * seedPrime, math.MinInt64, math.MaxInt64})).Draw(t, "seed")
		got, want := &quickSource{seed: seed}, rand.NewSource(seed).(rand.Source64)
		for i := range rapid.SampledFrom([]int{1, 5, 300, 2000}).Draw(t, "numbers") {
			if i%2 == 0 {
				if a, b := got.Uint64(), want.Uint64(); a != b {
					t.Fatalf("seed %d, number %d: %d, the library has %d", seed, i, a, b)
				}
			} else if a, b := got.Int63(), want.Int63(); a != b {
				t.Fatalf("seed %d, number %d: %d, the library has %d", seed, i, a, b)
			}
		}
	})
}
