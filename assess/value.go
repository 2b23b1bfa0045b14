package assess

import (
	"fmt"
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

// parseValue reads text as a value of the vocabulary type typ (bool, int,
// number, string, set). Items of a set are separated by commas; an empty text is
// the empty set, and unknown for every other type.
func parseValue(typ, text string) (Value, error) {
	if text == "" && typ != "set" {
		return Value{}, nil
	}
	switch typ {
	case "bool":
		switch text {
		case "yes", "true", "on":
			return Bool(true), nil
		case "no", "false", "off":
			return Bool(false), nil
		}
		return Value{}, fmt.Errorf("%q is neither yes nor no", text)
	case "int":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Value{}, fmt.Errorf("%q is not a whole number", text)
		}
		return Int(n), nil
	case "number":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f || f > 1e15 || f < -1e15 {
			return Value{}, fmt.Errorf("%q is not a number", text)
		}
		return Number(f), nil
	case "set":
		return Set(items(text)...), nil
	}
	return Text(text), nil
}

func items(text string) []string {
	var out []string
	for _, s := range strings.Split(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
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
