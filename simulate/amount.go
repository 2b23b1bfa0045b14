package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Numbers in stories: fixed, drawn from a range, or worked out.

// span is a range to draw from.
type span struct {
	lo, hi     float64
	log, whole bool
}

// amount reads 12, 0.3 or a length of time such as 40s, 12m, 3h, 2d, in seconds.
func amount(s string) (v float64, whole bool, err error) {
	unit, text := 1.0, s
	if n := len(s); n > 1 {
		switch s[n-1] {
		case 's':
			unit, s = 1, s[:n-1]
		case 'm':
			unit, s = 60, s[:n-1]
		case 'h':
			unit, s = 3600, s[:n-1]
		case 'd':
			unit, s = 86400, s[:n-1]
		}
	}
	v, err = strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, false, fmt.Errorf("%q is not an amount", text)
	}
	return v * unit, !strings.Contains(s, ".") && unit == 1, nil
}

func parseRange(s string) (span, error) {
	t, log := strings.CutPrefix(s, "~")
	a, b, ok := strings.Cut(t, "..")
	if !ok {
		return span{}, fmt.Errorf("%q is not a range", s)
	}
	lo, w1, err := amount(a)
	if err != nil {
		return span{}, err
	}
	hi, w2, err := amount(b)
	if err != nil {
		return span{}, err
	}
	if hi < lo || log && lo <= 0 {
		return span{}, fmt.Errorf("%q is an empty range", s)
	}
	return span{lo, hi, log, w1 && w2}, nil
}

func (s span) draw(r *rand.Rand) float64 {
	switch {
	case s.whole && s.log:
		return float64(logint(r, int(s.lo), int(s.hi)))
	case s.whole:
		return float64(between(r, int(s.lo), int(s.hi)))
	case s.log:
		return loguniform(r, s.lo, s.hi)
	}
	return s.lo + (s.hi-s.lo)*r.Float64()
}

// quarter tells in which quarter of the range v lies, from 1.
func (s span) quarter(v float64) int {
	if s.hi <= s.lo {
		return 1
	}
	f := (v - s.lo) / (s.hi - s.lo)
	if s.log {
		f = math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return min(max(int(f*4), 0), 3) + 1
}

// value works out an amount.
func (in *instance) value(text string, r *rand.Rand) (float64, error) {
	for _, op := range "+*/" {
		a, b, ok := strings.Cut(text, string(op))
		if !ok {
			continue
		}
		x, err := in.value(strings.TrimSpace(a), r)
		if err != nil {
			return 0, err
		}
		y, err := in.value(strings.TrimSpace(b), r)
		if err != nil {
			return 0, err
		}
		switch op {
		case '+':
			return x + y, nil
		case '*':
			return x * y, nil
		}
		if y == 0 {
			return 0, nil
		}
		return x / y, nil
	}
	if v, ok := in.values[text]; ok {
		return v, nil
	}
	if strings.Contains(text, "..") {
		s, err := parseRange(text)
		if err != nil {
			return 0, err
		}
		return s.draw(r), nil
	}
	v, _, err := amount(text)
	return v, err
}

// num is value for texts that were checked when the file was loaded.
func (in *instance) num(text string, r *rand.Rand, otherwise float64) float64 {
	if text == "" {
		return otherwise
	}
	v, err := in.value(text, r)
	if err != nil {
		return otherwise
	}
	return v
}

func (in *instance) count(text string, r *rand.Rand, otherwise int) int {
	return int(math.Round(in.num(text, r, float64(otherwise))))
}

// drawAll draws every quantity from a stream of its own, named after the tale,
// the instance and the quantity.
func (in *instance) drawAll(w *world) {
	in.values = map[string]float64{}
	for _, name := range drawNames(in.tale) {
		s, _ := parseRange(in.tale.Draws[name])
		v := s.draw(in.of(name))
		in.values[name] = v
		in.draws = append(in.draws, Draw{name, v})
		if name == in.tale.Main {
			in.quarter = s.quarter(v)
		}
	}
	in.once = map[string]bool{}
}

// chance is a coin that falls the same way wherever the tale names it: a chance,
// or a draw held against a number, as in which<0.4 and which>=0.4.
func (in *instance) chance(w *world, text string) bool {
	if text == "" {
		return true
	}
	if a, b, ok := strings.Cut(text, "<"); ok {
		return in.num(a, in.r, 0) < in.num(b, in.r, 0)
	}
	if a, b, ok := strings.Cut(text, ">="); ok {
		return in.num(a, in.r, 0) >= in.num(b, in.r, 0)
	}
	if v, ok := in.once[text]; ok {
		return v
	}
	r := org.Stream(w.seed, "once", in.tale.ID.Value, strconv.Itoa(in.n), text)
	v := r.Float64() < in.num(text, r, 1)
	in.once[text] = v
	return v
}
