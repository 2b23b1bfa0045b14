package rehearsal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
)

const staged = `
name: staged
title: Staged
as_of: 2026-04-09
period: {from: 2026-04-13, to: 2026-05-31}
seed: 5
organisation:
  name: Stages
  plan: enterprise
  seats: 24
  settings: {cowork: true}
  departments: [{name: Ops, members: 24, persona: operations}]
members: [{select: {all: true}, role: custom}]
roles: [{name: r, grants: [{capability: cowork, because: rollout}]}]
groups:
  - {name: pilot, roles: [r], members: [{select: {first: 4}, from: 2026-04-13}]}
  - {name: wider, roles: [r], members: [{select: {first: 12}, from: 2026-04-27}]}
  - {name: rest, roles: [r]}
changes:
  - {on: 2026-05-11, group: {name: rest, add: {all: true}}}
behaviour: {profile: office, intensity: 1}
telemetry: {endpoint: "https://collector.stages.example", destinations: [siem]}
rollout:
  - {name: Pilot, from: 2026-04-13, groups: [pilot], gates: []}
  - {name: Wider, from: 2026-04-27, groups: [wider], gates: [{name: g, when: 'GATE', hold_on_fail: HOLD}]}
  - {name: Rest, from: 2026-05-11, groups: [rest], gates: []}
`

func loadStaged(t testing.TB, gate, hold string) (*scenarios.Scenario, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "staged.yaml")
	if err := os.WriteFile(name, []byte(strings.NewReplacer("GATE", gate, "HOLD", hold).Replace(staged)), 0o600); err != nil {
		t.Fatal(err)
	}
	return scenarios.LoadFile(name)
}

// A gate that holds keeps the members of its phase out of the play until it
// passes, and the phases after it wait.
func TestHeldPhaseStaysOut(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 4, d, 0, 0, 0, 0, time.UTC) }
	never := day(62)
	for _, tc := range []struct {
		gate, hold  string
		wider, rest time.Time // when their first new members may appear
		status      string
	}{
		{`active_members >= 1`, "true", day(27), day(41), ""},
		{`clean_weeks("4")`, "true", day(41), day(41), "late"},   // four weeks have passed by 11 May
		{`clean_weeks("4")`, "false", day(27), day(41), ""},      // and it only reports
		{`active_members > 4`, "true", never, never, "held"},     // only the phase itself could bring them
		{`spend_p95_percent < 50`, "true", never, never, "held"}, // no limit is set: not evaluable is not passed
	} {
		name := tc.gate + " hold " + tc.hold
		s, err := loadStaged(t, tc.gate, tc.hold)
		if err != nil {
			t.Fatal(err)
		}
		var firsts []string
		each := []int{1}
		if tc.status == "late" {
			each = []int{1, 3}
		}
		for _, workers := range each {
			first := map[string]time.Time{}
			_, err := Play(context.Background(), Options{Scenario: s, Workers: workers}, func(evs []event.Event) error {
				for i := range evs {
					e := &evs[i]
					if f, ok := first[e.Account]; !ok || e.When().Before(f) {
						first[e.Account] = e.When()
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			g, err := Prepare(s)
			if err != nil {
				t.Fatal(err)
			}
			early, came := 0, 0
			for i := range g.Directory.Len() {
				m := g.Directory.Member(i)
				f, ok := first[m.Account]
				lines = append(lines, fmt.Sprint(m.Account, f))
				if i < 4 || !ok {
					continue
				}
				came++
				opens := tc.wider
				if i >= 12 {
					opens = tc.rest
				}
				if f.Before(opens) {
					early++
				}
			}
			if early > 0 {
				t.Errorf("%s: %d members worked before their phase", name, early)
			}
			if tc.wider.Before(never) && came == 0 {
				t.Errorf("%s: nobody came at all", name)
			}
			firsts = append(firsts, strings.Join(lines, "\n"))
		}
		if firsts[0] != firsts[len(firsts)-1] {
			t.Errorf("%s: another play with three workers", name)
		}
		written := slices.Clone(s.Rollout)
		after, held, err := Schedule(context.Background(), Options{Scenario: s})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(written, s.Rollout, func(a, b scenarios.Phase) bool { return a.From.Time.Equal(b.From.Time) }) {
			t.Errorf("%s: the scenario itself was changed", name)
		}
		switch tc.status {
		case "":
			if len(held) > 0 {
				t.Errorf("%s: held: %+v", name, held)
			}
		case "late":
			if len(held) == 0 || held[0].Phase != "Wider" || !held[0].Starts.Time.Equal(tc.wider) || !after.Rollout[1].From.Time.Equal(tc.wider) {
				t.Errorf("%s: %+v, want a start on %s", name, held, tc.wider)
			}
		case "held":
			if len(held) != 2 || held[0].Starts.Given() || held[1].Starts.Given() || len(held[0].Because) != 1 || len(held[1].Because) != 0 {
				t.Errorf("%s: %+v, want both phases held", name, held)
			}
		}
	}
}

// Over a capture gates report and hold nobody back: what was captured happened.
func TestGatesOverACaptureOnlyReport(t *testing.T) {
	s, err := loadStaged(t, "active_members > 4", "true")
	if err != nil {
		t.Fatal(err)
	}
	after, held, err := Schedule(context.Background(), Options{Scenario: s, Streams: []string{"-"}})
	if err != nil || held != nil || after != s {
		t.Errorf("%v %v", held, err)
	}
}
