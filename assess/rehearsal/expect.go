package rehearsal

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Expectation is one assertion of a scenario with what the run gave.
type Expectation struct {
	Path string     `json:"path"`
	At   source.Pos `json:"-"`
	Want string     `json:"expected"` // in words
	Got  string     `json:"got"`
	Why  string     `json:"why,omitempty"`
	Met  bool       `json:"met"`
}

// Expectations evaluates the expect block of the scenario over the assessment.
// A path that leads nowhere is not met.
func (r *Result) Expectations() ([]Expectation, error) {
	data, err := json.Marshal(r.Assessment)
	if err != nil {
		return nil, err
	}
	var doc any
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	out := make([]Expectation, 0, len(r.Scenario.Expect))
	for _, e := range r.Scenario.Expect {
		x := Expectation{Path: e.Path.Value, At: e.Path.At, Why: e.Why, Want: wanted(e)}
		v, ok := assess.Lookup(doc, e.Path.Value)
		if !ok {
			x.Got = "nothing: the path leads nowhere"
		} else {
			x.Got = assess.Plain(v)
			x.Met = meets(e, v)
		}
		out = append(out, x)
	}
	return out, nil
}

func wanted(e scenarios.Expect) string {
	var parts []string
	if e.Is != "" {
		parts = append(parts, e.Is)
	}
	if len(e.In) > 0 {
		parts = append(parts, "one of "+strings.Join(e.In, ", "))
	}
	if e.Has != "" {
		parts = append(parts, "something with "+e.Has)
	}
	if e.Min != nil {
		parts = append(parts, "at least "+strconv.FormatFloat(*e.Min, 'f', -1, 64))
	}
	if e.Max != nil {
		parts = append(parts, "at most "+strconv.FormatFloat(*e.Max, 'f', -1, 64))
	}
	if len(parts) == 0 {
		return "something (the expectation says nothing: give is, in, has, min or max)"
	}
	return strings.Join(parts, " and ")
}

func meets(e scenarios.Expect, v any) bool {
	got := assess.Plain(v)
	n, nerr := strconv.ParseFloat(got, 64)
	asked := e.Is != "" || len(e.In) > 0 || e.Has != "" || e.Min != nil || e.Max != nil
	return asked && (e.Is == "" || got == e.Is) && (len(e.In) == 0 || slices.Contains(e.In, got)) &&
		(e.Has == "" || strings.Contains(got, e.Has)) &&
		(e.Min == nil || nerr == nil && n >= *e.Min) && (e.Max == nil || nerr == nil && n <= *e.Max)
}
