package assess

import (
	"sort"
	"strconv"
	"strings"
)

// Value is one input of an assessment. The zero value is unknown, which no
// element ever counts as met.
type Value struct {
	Known  bool
	Bool   bool
	Int    int64
	Number float64
	Text   string
	Set    []string
	Origin string // where it comes from, in words: "declared by you", "computed by the role engine"...
}

// Constructors of known values.
func Bool(b bool) Value      { return Value{Known: true, Bool: b} }
func Int(i int64) Value      { return Value{Known: true, Int: i} }
func Number(f float64) Value { return Value{Known: true, Number: f} }
func Text(s string) Value    { return Value{Known: true, Text: s} }

// Set sorts a copy, so that equal sets are equal bytes.
func Set(items ...string) Value {
	s := append([]string{}, items...)
	sort.Strings(s)
	return Value{Known: true, Set: s}
}

// From notes the origin.
func (v Value) From(origin string) Value { v.Origin = origin; return v }

// Vars are the inputs by name; a missing name is unknown.
type Vars map[string]Value

// Clone copies the map; sets are shared because nothing writes into them.
func (v Vars) Clone() Vars {
	c := make(Vars, len(v))
	for k, x := range v {
		c[k] = x
	}
	return c
}

// format prints a value of the given vocabulary type. Floats are cut to four
// decimals here and nowhere else.
func (v Value) format(typ string) string {
	if !v.Known {
		return "unknown"
	}
	switch typ {
	case "bool":
		if v.Bool {
			return "yes"
		}
		return "no"
	case "int":
		return strconv.FormatInt(v.Int, 10)
	case "number":
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v.Number, 'f', 4, 64), "0"), ".")
	case "set":
		if len(v.Set) == 0 {
			return "none"
		}
		return strings.Join(v.Set, ", ")
	}
	return v.Text
}
