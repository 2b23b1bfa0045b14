package org

import (
	"math/rand"
	"sync"
)

// quickSource gives the numbers of math/rand's source of a seed. That source works
// out 607 words when it is seeded; a name takes two numbers, each of which is the
// sum of two of the words, and each word follows from the seed alone.
type quickSource struct {
	seed  int64
	drawn int
	rest  rand.Source64 // once more numbers are drawn than follow from the seed alone
}

const (
	seedWords = 607
	seedTap   = 273
	seedPrime = 1<<31 - 1
	seedStep  = 48271
)

// seedMasks are the words that every seed is mixed with, and the powers of the
// step that lead from a seed to its words. The masks are read off a source: its
// first 607 numbers are its words after one round, and the round can be undone.
var seedMasks = sync.OnceValue(func() *struct{ masks, powers [seedWords]uint64 } {
	m := new(struct{ masks, powers [seedWords]uint64 })
	power := uint64(1)
	for i := range 21 + 3*seedWords {
		if i >= 21 && i%3 == 0 {
			m.powers[i/3-7] = power
		}
		power = power * seedStep % seedPrime
	}
	src := rand.NewSource(1).(rand.Source64)
	for k := 1; k <= seedWords; k++ {
		m.masks[(2*seedWords-seedTap-k)%seedWords] = src.Uint64()
	}
	for k := seedWords; k >= 1; k-- {
		m.masks[(2*seedWords-seedTap-k)%seedWords] -= m.masks[seedWords-k]
	}
	for i := range m.masks {
		m.masks[i] ^= spread(m.powers[i])
	}
	return m
})

// spread makes the unmixed word of the first of its three steps.
func spread(x uint64) uint64 {
	y := x * seedStep % seedPrime
	return x<<40 ^ y<<20 ^ y*seedStep%seedPrime
}

func (s *quickSource) word(i int) uint64 {
	m := seedMasks()
	seed := s.seed % seedPrime
	if seed < 0 {
		seed += seedPrime
	}
	if seed == 0 {
		seed = 89482311
	}
	return spread(uint64(seed)*m.powers[i]%seedPrime) ^ m.masks[i]
}

// Seed begins anew.
func (s *quickSource) Seed(seed int64) { *s = quickSource{seed: seed} }

// Int63 is described with rand.Source.
func (s *quickSource) Int63() int64 { return int64(s.Uint64() & (1<<63 - 1)) }

// Uint64 is described with rand.Source64.
func (s *quickSource) Uint64() uint64 {
	s.drawn++
	if s.drawn <= seedTap {
		return s.word(seedWords-seedTap-s.drawn) + s.word(seedWords-s.drawn)
	}
	if s.rest == nil {
		s.rest = rand.NewSource(s.seed).(rand.Source64)
		for range s.drawn - 1 {
			s.rest.Uint64()
		}
	}
	return s.rest.Uint64()
}
