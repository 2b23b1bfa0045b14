package rehearsal

import (
	"fmt"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func nn[T any](x []T) []T {
	if x == nil {
		return []T{}
	}
	return x
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// join joins what is not empty.
func join(sep string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}

// joined lists names in a sentence: a, b and c.
func joined(names []string) string {
	switch n := len(names); n {
	case 0:
		return "none"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// number groups thousands.
func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// lossesOf says what could not be used of the inputs, "" when nothing was lost.
func lossesOf(ins []stream.Input) string {
	var parts []string
	for i, in := range ins {
		for _, l := range in.Lost {
			parts = append(parts, fmt.Sprintf("input %d: %s (%d)", i+1, l.Reason, l.Count))
		}
		if in.Bad > 0 {
			parts = append(parts, fmt.Sprintf("input %d: %s unusable", i+1, counted(in.Bad, "record")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Lost on the way: " + strings.Join(parts, "; ") + "."
}

// totalProducts counts the records of all inputs by product, in the order of
// the products.
func totalProducts(ins []stream.Input) []int64 {
	out := make([]int64, event.OfficeAgents+1)
	for _, in := range ins {
		for p, n := range in.Products {
			out[p] += n
		}
	}
	return out
}

func productName(p int) string { return event.Product(p).String() }
