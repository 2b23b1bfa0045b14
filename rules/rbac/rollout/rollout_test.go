package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

const file = `name: staged
title: Staged
as_of: 2026-06-15
period: {from: 2026-06-01, to: 2026-08-30}
seed: 1
organisation: {name: X, plan: enterprise, seats: 20, departments: [{name: Claims, members: 10}], settings: {cowork: true}}
members: [{select: {all: true}, role: custom}]
roles: [{name: r, grants: [{capability: cowork, because: x}]}]
groups:
  - {name: pilot, phase: pilot, roles: [r], members: [{select: {department: Claims, first: 3}, from: 2026-06-01}]}
  - {name: all, phase: general, roles: [r], members: [{select: {department: Claims}, from: 2026-07-06}]}
connectors: [{name: zoom, enabled: true}]
rollout:
  - {name: Pilot, from: 2026-06-01, groups: [pilot], gates: []}
  - name: Wider
    from: 2026-07-06
    groups: [all]
    gates: GATES
  - {name: Last, from: 2026-08-03, groups: [all], gates: []}
`

func run(t *testing.T, gates string, feed func(send func(day int, edit func(*event.Event))), findings ...rules.Finding) []PhaseResult {
	t.Helper()
	return runWith(t, gates, "", feed, findings...)
}

// runWith is run with more at the end of the scenario.
func runWith(t *testing.T, gates, more string, feed func(send func(day int, edit func(*event.Event))), findings ...rules.Finding) []PhaseResult {
	t.Helper()
	s, err := scenarios.Parse("f", []byte(strings.Replace(file, "GATES", gates, 1)+more), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := org.Build(&s.Config, 1)
	if err != nil {
		t.Fatal(err)
	}
	o, err := New(s, rbac.New(dir, rbac.Rules{CoworkDefault: rbac.On, CoworkGA: true}), dir, spend.New(dir, spend.Rules{}))
	if err != nil {
		t.Fatal(err)
	}
	if feed != nil {
		feed(func(day int, edit func(*event.Event)) {
			ev := &event.Event{Kind: event.UserPrompt, Product: event.Cowork, Account: dir.Member(0).Account,
				Time: s.Period.From.Time.AddDate(0, 0, day).Add(10 * time.Hour).UnixNano()}
			if edit != nil {
				edit(ev)
			}
			ev.Derive()
			o.Observe(ev)
		})
	}
	return o.Result(findings)
}

// every records something on every day from a to b.
func every(a, b int) func(func(int, func(*event.Event))) {
	return func(send func(int, func(*event.Event))) {
		for d := a; d < b; d++ {
			send(d, nil)
		}
	}
}

func TestCleanWeeks(t *testing.T) {
	gates := `[{name: g, when: 'clean_weeks("4")', hold_on_fail: true}]`
	bad := func(day int, sev rules.Severity) rules.Finding {
		return rules.Finding{Rule: "r", Severity: sev, Time: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, day)}
	}
	for _, tc := range []struct {
		name     string
		feed     func(func(int, func(*event.Event)))
		findings []rules.Finding
		want     string
		status   string
	}{
		{"five weeks of use", every(0, 35), nil, Pass, "open"},
		{"no stream at all is not clean", nil, nil, NotEvaluable, "open"},
		{"a silent week is neither", func(send func(int, func(*event.Event))) { every(0, 14)(send); every(21, 35)(send) }, nil, NotEvaluable, "open"},
		{"a high finding", every(0, 35), []rules.Finding{bad(30, rules.High)}, Fail, "held"},
		{"a finding in a silent stream", nil, []rules.Finding{bad(30, rules.High)}, Fail, "held"},
		{"a medium finding", every(0, 35), []rules.Finding{bad(30, rules.Medium)}, Pass, "open"},
		{"before the four weeks", every(0, 35), []rules.Finding{bad(3, rules.Critical)}, Pass, "open"},
	} {
		got := run(t, gates, tc.feed, tc.findings...)
		if g := got[1].Gates[0]; g.Result != tc.want || got[1].Status != tc.status {
			t.Errorf("%s: %s and %s, want %s and %s (%q)", tc.name, g.Result, got[1].Status, tc.want, tc.status, g.Seen)
		}
		if want := map[string]string{"open": "open", "held": "waits"}[tc.status]; got[2].Status != want {
			t.Errorf("%s: the phase after is %s, want %s", tc.name, got[2].Status, want)
		}
	}
	if got := run(t, `[{name: g, when: 'clean_weeks("9")'}]`, every(0, 35)); got[1].Gates[0].Result != Fail {
		t.Errorf("nine weeks have not passed: %+v", got[1].Gates[0])
	}
}

func TestCounters(t *testing.T) {
	call := func(server string) func(*event.Event) {
		return func(ev *event.Event) {
			ev.Kind, ev.Tool = event.ToolResult, "mcp_tool"
			if server != "" {
				ev.Parameters = `{"mcp_server_name":"` + server + `","mcp_tool_name":"x"}`
			}
		}
	}
	decide := func(source string) func(*event.Event) {
		return func(ev *event.Event) {
			ev.Kind, ev.Decision, ev.Source = event.ToolDecision, map[bool]string{true: "reject", false: "accept"}[source == "user_reject"], source
		}
	}
	for _, tc := range []struct {
		when string
		feed func(func(int, func(*event.Event)))
		want string
	}{
		{"unlisted_calls == 0", every(0, 35), Pass},
		{"unlisted_calls == 0", nil, NotEvaluable},
		{"unlisted_calls == 0", func(send func(int, func(*event.Event))) { send(1, call("zoom")) }, Pass},
		{"unlisted_calls == 0", func(send func(int, func(*event.Event))) { send(1, call("shadow")) }, Fail},
		{"unlisted_calls == 0", func(send func(int, func(*event.Event))) { send(1, call("")) }, NotEvaluable},
		{"unlisted_calls == 0", func(send func(int, func(*event.Event))) { send(1, call("")); send(2, call("shadow")) }, Fail},
		{"unlisted_calls == 0", func(send func(int, func(*event.Event))) { send(1, nil); send(36, call("shadow")) }, Pass}, // after the gate
		{"silent_workdays == 0", every(0, 35), Pass},
		{"silent_workdays == 1", func(send func(int, func(*event.Event))) { every(0, 7)(send); every(8, 35)(send) }, Pass},
		{"rejected_per_1000 == 500", func(send func(int, func(*event.Event))) {
			send(1, decide("user_reject"))
			send(2, decide("config"))
		}, Pass},
		{"rejected_per_1000 < 10", every(0, 35), NotEvaluable}, // nothing was decided
		{"limits_set", nil, Fail},
		{"adoption_weekly", nil, NotEvaluable},
		{"stream_on", nil, Fail},
		{`cowork_scope == "groups" and deny_test_failures == 0`, nil, Pass},
		{"members_with_cowork == 10", nil, Pass},
		{"scim_lag_minutes < 60", nil, NotEvaluable},
		{"deprovision_lag_minutes < 60", nil, NotEvaluable},
		{"spend_p95_percent < 90", nil, NotEvaluable},
		{"active_members == 1 or limits_set", every(0, 3), Pass},
	} {
		got := run(t, "[{name: g, when: '"+tc.when+"'}]", tc.feed)[1]
		if got.Gates[0].Result != tc.want {
			t.Errorf("%s: %s, want %s (saw %q)", tc.when, got.Gates[0].Result, tc.want, got.Gates[0].Seen)
		}
		if got.Gained != 7 || got.Members != 10 || got.Status != "open" {
			t.Errorf("%+v", got)
		}
	}
}

// A limit that comes or goes with a dated change counts as it stands when the phase
// begins.
func TestDatedLimitsAreLimits(t *testing.T) {
	const gates = "[{name: g, when: limits_set}]"
	for more, want := range map[string]string{
		"": Fail,
		"changes: [{on: 2026-07-05, limit: {group: all, amount: 50}}]":                                                                                                    Pass,
		"changes: [{on: 2026-07-06, limit: {group: all, amount: 50}}]":                                                                                                    Pass,
		"changes: [{on: 2026-07-07, limit: {group: all, amount: 50}}]":                                                                                                    Fail,
		"changes: [{on: 2026-07-05, limit: {group: pilot, amount: 50}}]":                                                                                                  Fail,
		"spend: {groups: [{group: all, limit: 50}]}":                                                                                                                      Pass,
		"spend: {groups: [{group: all, limit: 50}]}\nchanges: [{on: 2026-07-01, limit: {group: all, delete: true}}]":                                                      Fail,
		"spend: {groups: [{group: all, limit: 50}]}\nchanges: [{on: 2026-07-01, limit: {group: all, unlimited: true}}]":                                                   Fail,
		"changes: [{on: 2026-07-03, limit: {group: all, amount: 50}}, {on: 2026-07-02, limit: {group: all, delete: true}}]":                                               Pass,
		"spend: {groups: [{group: all, limit: 50}]}\nchanges: [{on: 2026-07-20, limit: {group: all, delete: true}}]":                                                      Pass,
		"spend: {groups: [{group: all, limit: 50}]}\nchanges: [{on: 2026-07-05, limit: {group: all, amount: 60}}, {on: 2026-07-05, limit: {group: pilot, delete: true}}]": Pass,
	} {
		for _, p := range runWith(t, gates, more, nil) {
			if p.Name == "Wider" && p.Gates[0].Result != want {
				t.Errorf("%s: %s, want %s", more, p.Gates[0].Result, want)
			}
		}
	}
}

func TestFaultyGateIsNamed(t *testing.T) {
	s, err := scenarios.Parse("f", []byte(strings.Replace(file, "GATES", `[{name: g, when: 'clean_weaks("4")'}, {name: h, when: 'clean_weeks("0")'}]`, 1)), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := org.Build(&s.Config, 1)
	_, err = New(s, rbac.New(dir, rbac.Rules{}), dir, nil)
	if err == nil || !strings.Contains(err.Error(), "f:18:") || !strings.Contains(err.Error(), `"0" is not a number of weeks`) {
		t.Errorf("%v", err)
	}
}

func TestShippedGatesCompile(t *testing.T) {
	gs, err := defaultGates()
	if err != nil {
		t.Fatal(err)
	}
	env := vocabulary()
	for _, g := range gs {
		if _, ps := env.Compile(g.When); len(ps) > 0 {
			t.Error(ps)
		}
	}
}
