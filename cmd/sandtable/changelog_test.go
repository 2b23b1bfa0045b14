package main

import (
	"slices"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// A change with a time of day, or with a zone, belongs to its UTC day.
func TestChangesOfAStep(t *testing.T) {
	s := &scenarios.Scenario{}
	for _, on := range []string{"2026-05-10", "2026-05-10T23:59:59Z", "2026-05-11T01:00:00+02:00", "2026-05-11", "2026-05-15T08:00:00Z", "2026-05-14T23:30:00-05:00", "2026-05-16T01:30:00+02:00", "2026-05-16"} {
		when, err := org.ParseMoment(on)
		if err != nil {
			t.Fatal(err)
		}
		s.Changes = append(s.Changes, org.Change{On: source.Text{Value: on}, When: when, Plan: source.Text{Value: "enterprise"}})
	}
	var got []string
	for _, x := range changesIn(s, source.Day(2026, 5, 10), source.Day(2026, 5, 15)) {
		got = append(got, x.B[:len(x.B)-len(": the plan becomes enterprise")])
	}
	if want := []string{"2026-05-11", "2026-05-15T08:00:00Z", "2026-05-14T23:30:00-05:00", "2026-05-16T01:30:00+02:00"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
