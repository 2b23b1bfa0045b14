package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

const sound = `name: sound
title: A sound scenario
as_of: 2026-04-09
period: {from: 2026-04-13, to: 2026-05-24}
seed: 7
organisation:
  name: Testing Ltd
  plan: enterprise
  seats: 30
  directory: scim
  desktops: {"1.1.5368": 0.6, "1.1.4173": 0.4}
  departments:
    - {name: Claims, members: 12, persona: claims, time_zone: Europe/Dublin}
    - {name: Finance, members: 8, persona: finance}
members:
  - {select: {all: true}, role: custom}
groups:
  - name: pilot
    roles: [narrow]
    members: [{select: {department: Claims, first: 5}, from: 2026-04-13}]
    plugins: [{plugin: templates, level: available}]
roles:
  - name: narrow
    grants:
      - {capability: cowork}
      - {connector: documents, tool: read, level: ask}
      - {plugin: templates}
      - {skill: summary}
connectors:
  - {name: documents, enabled: true, tools: [{name: read, read_only: true}]}
plugins: [{name: templates}]
skills: [{name: summary}]
spend:
  organisation: 900
  groups: [{group: pilot, limit: 53.75}]
workloads: [{name: digest, groups: [pilot]}]
incidents: [{story: subagent-storm, day: 3}]
rollout:
  - {name: Pilot, from: 2026-04-13, groups: [pilot]}
  - {name: More, from: 2026-05-04}
`

func mustParse(t *testing.T, text string, overrides ...string) *Scenario {
	t.Helper()
	s, err := Parse("s.yaml", []byte(text), false, nil, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShippedScenariosLoad(t *testing.T) {
	names := shippedNames()
	if len(names) == 0 {
		t.Fatal("no shipped scenario")
	}
	for _, n := range names {
		s, err := Load(n)
		if err != nil {
			t.Errorf("%s:\n%v", n, err)
			continue
		}
		if s.Name.Value != n || !s.Shipped {
			t.Errorf("library/%s.yaml is called %q, shipped %v", n, s.Name.Value, s.Shipped)
		}
	}
	if got := len(List()); got != len(names) {
		t.Errorf("List has %d of %d scenarios", got, len(names))
	}
}

// edit replaces one passage of the sound scenario.
func edit(t *testing.T, old, new string) string {
	t.Helper()
	if strings.Count(sound, old) != 1 {
		t.Fatalf("%q stands %d times in the sound scenario", old, strings.Count(sound, old))
	}
	return strings.Replace(sound, old, new, 1)
}

func TestFaults(t *testing.T) {
	mustParse(t, sound)
	for _, tc := range []struct{ old, new, want string }{
		{"as_of: 2026-04-09\n", "", `s.yaml:1:1: as_of is missing
    name: sound
    ^
    advice: state the day whose facts the verdict rests on, for example as_of: 2026-04-09`},
		{"name: sound", "name: ../sound", `s.yaml:1:7: name: found "../sound", expected a short name
    name: ../sound
          ^
    advice: use small letters, digits and dashes, for example claims-pilot; the name becomes a directory`},
		{"to: 2026-05-24", "to: 2026-04-12", `s.yaml:4:32: period: it ends on 2026-04-12, before it starts on 2026-04-13
    period: {from: 2026-04-13, to: 2026-04-12}
                                   ^
    advice: put the earlier day first; both days are played`},
		{"to: 2026-05-24", "to: 2027-05-18", `s.yaml:4:32: period: 401 days, at most 400 are played
    period: {from: 2026-04-13, to: 2027-05-18}
                                   ^
    advice: play the weeks that matter; six are usual`},
		{"roles: [narrow]", "roles: [narow]", `s.yaml:19:13: "narow" is not a role of this scenario
        roles: [narow]
                ^
    advice: did you mean "narrow"?`},
		{"groups: [pilot]}]", "groups: [everyone]}]", `s.yaml:36:37: "everyone" is not a group of this scenario
    workloads: [{name: digest, groups: [everyone]}]
                                        ^
    advice: known groups: pilot`},
		{"{plugin: templates, level: available}", "{plugin: template, level: available}", `s.yaml:21:24: "template" is not a plugin of this scenario
        plugins: [{plugin: template, level: available}]
                           ^
    advice: did you mean "templates"?`},
		{"{capability: cowork}", "{capability: co_work}", `s.yaml:25:22: "co_work" is not a capability
          - {capability: co_work}
                         ^
    advice: did you mean "cowork"?`},
		{"{connector: documents, tool: read, level: ask}", "{connector: docs, level: ask}", `s.yaml:26:21: "docs" is not a connector of this scenario
          - {connector: docs, level: ask}
                        ^
    advice: known connectors: documents`},
		{"{connector: documents, tool: read, level: ask}", "{connector: documents, tool: raed}", `s.yaml:26:9: "raed" is not a tool of this scenario
          - {connector: documents, tool: raed}
            ^
    advice: did you mean "read"?`},
		{"{connector: documents, tool: read, level: ask}", "{tool: read, skill: summary}", `s.yaml:26:9: a grant of role "narrow" names tool "read" without its connector
          - {tool: read, skill: summary}
            ^
    advice: name the connector the tool belongs to`},
		{"- {skill: summary}", "- {skill: summary, plugin: templates}", `s.yaml:28:9: a grant of role "narrow" names 2 of capability, connector, plugin and skill, expected exactly one
          - {skill: summary, plugin: templates}
            ^
    advice: write one row for each`},
		{"{department: Claims, first: 5}", "{department: Clams, first: 5}", `s.yaml:20:24: "Clams" is not a department of this scenario
        members: [{select: {department: Clams, first: 5}, from: 2026-04-13}]
                           ^
    advice: did you mean "Claims"?`},
		{"first: 5", "first: 13", `s.yaml:20:24: first: 13 of department "Claims", which has 12 members
        members: [{select: {department: Claims, first: 13}, from: 2026-04-13}]
                           ^
    advice: first counts members from the top of the department or organisation`},
		{"{department: Claims, first: 5}", "{}", `s.yaml:20:24: the selection picks nobody
        members: [{select: {}, from: 2026-04-13}]
                           ^
    advice: for example {all: true}, {department: Claims} or {department: Claims, first: 15}`},
		{"first: 5}, from: 2026-04-13", "first: 5}, from: 2026-04-13, to: 2026-04-13", `s.yaml:20:78: group "pilot": a membership ends on 2026-04-13, not after it starts on 2026-04-13
        members: [{select: {department: Claims, first: 5}, from: 2026-04-13, to: 2026-04-13}]
                                                                                 ^
    advice: to is the first day on which they are no longer members`},
		{"  - {select: {all: true}, role: custom}\n", "", `s.yaml:8:9: members is missing: on Enterprise everybody's organisation role has to be stated
      plan: enterprise
            ^
    advice: for example members: [{select: {all: true}, role: custom}]; group roles bind members on custom only`},
		{"seats: 30", "seats: 19", `s.yaml:14:7: with department "Finance" the departments hold 20 members, but there are 19 seats
        - {name: Finance, members: 8, persona: finance}
          ^
    advice: raise seats, or make departments smaller; seats that no department holds go to General`},
		{"0.4}", "0.3}", `s.yaml:11:13: organisation.desktops: the shares add up to 0.9
      desktops: {"1.1.5368": 0.6, "1.1.4173": 0.3}
                ^
    advice: let the shares of the desktop versions add up to 1`},
		{"Europe/Dublin", "Dublin", `s.yaml:13:7: "Dublin" is not a time zone
        - {name: Claims, members: 12, persona: claims, time_zone: Dublin}
          ^
    advice: write a name such as America/New_York or Europe/Dublin`},
		{"{name: templates}", "{name: templates}, {name: templates}", `s.yaml:31:37: plugin "templates" stands here again
    plugins: [{name: templates}, {name: templates}]
                                        ^
    advice: rename one, or merge the two`},
		{"{group: pilot, limit: 53.75}", "{group: pilot, limit: 53.75}, {group: pilot, limit: 60}", `s.yaml:35:50: group "pilot" has a second limit
      groups: [{group: pilot, limit: 53.75}, {group: pilot, limit: 60}]
                                                     ^
    advice: keep one of them`},
		{"limit: 53.75", "limit: -1", `s.yaml:35:34: spend.groups.limit: found "-1", expected an amount of 0 or more
      groups: [{group: pilot, limit: -1}]
                                     ^
    advice: limits and prices are dollars, for example 53.75; leave the key out for no limit`},
		{"{name: More, from: 2026-05-04}", "{name: More, from: 2026-04-06}", `s.yaml:40:24: rollout: phase "More" starts on 2026-04-06, before the one above it
      - {name: More, from: 2026-04-06}
                           ^
    advice: list the phases in the order in which they start`},
		{"day: 3", "day: 43", `s.yaml:37:21: incident "subagent-storm": day 43 of a period of 42 days
    incidents: [{story: subagent-storm, day: 43}]
                        ^
    advice: day counts from 1, the first day of the period; 0 or nothing lets it be drawn`},
	} {
		t.Run(tc.new, func(t *testing.T) {
			_, err := Parse("s.yaml", []byte(edit(t, tc.old, tc.new)), false, nil)
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tc.want {
				t.Errorf("got:\n%v\nwant:\n%s", err, tc.want)
			}
		})
	}
}

// A misspelt required key counts twice: as unknown and as missing.
func TestFiveFaultsAtOnce(t *testing.T) {
	text := sound
	for _, r := range [][2]string{
		{"seed: 7", "sead: 7"},
		{"persona: claims", "persona: clams"},
		{"roles: [narrow]", "roles: [wide]"},
		{"{capability: cowork}", "{capability: cowrk}"},
		{"2026-05-04", "2026-05-32"},
	} {
		text = strings.Replace(text, r[0], r[1], 1)
	}
	_, err := Parse("s.yaml", []byte(text), false, nil)
	ps, _ := source.AsProblems(err)
	var got []string
	for _, p := range ps {
		got = append(got, p.Pos.String()+" "+p.Found)
	}
	want := []string{
		"s.yaml:1:1 seed is missing",
		`s.yaml:5:1 unknown key "sead"`,
		`s.yaml:13:44 organisation.departments.persona: found "clams", expected one of claims, analyst, finance, engineering, operations, sales, legal, marketing, hr, it, general`,
		`s.yaml:19:13 "wide" is not a role of this scenario`,
		`s.yaml:25:22 "cowrk" is not a capability`,
		`s.yaml:40:24 rollout.from: found "2026-05-32", expected a date`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, p := range ps {
		if p.Advice == "" || p.Line == "" {
			t.Errorf("no advice or no line: %+v", p)
		}
	}
}

func TestTeamSaysWhatItHasInstead(t *testing.T) {
	_, err := Parse("s.yaml", []byte(sound), false, nil, "organisation.plan=team")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`s.yaml:18:11: group "pilot": Team has no groups`,
		`s.yaml:23:11: role "narrow": Team has no custom roles`,
		"Team has one Cowork toggle, for everybody or for nobody; put the wish under needs (restrict-by-group)",
		"members: role custom is not on Team",
		`a limit for group "pilot": Team has no limits per group`,
		"Team has one cap for the whole organisation: spend.organisation",
		"organisation.directory: scim is not on Team",
		"directory: invite or jit",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestSet(t *testing.T) {
	s := mustParse(t, sound, "as_of=2026-08-22", "organisation.arrangements=[zdr, cmek]", "telemetry.endpoint=https://collector.example:4318")
	if s.AsOf.String() != "2026-08-22" || len(s.Organisation.Arrangements) != 2 || s.Organisation.Seats != 30 || !s.Telemetry.On() {
		t.Errorf("as_of %s, organisation %+v", s.AsOf, s.Organisation)
	}
	more, err := s.Set("organisation.seats=40")
	if err != nil {
		t.Fatal(err)
	}
	if more.Organisation.Seats != 40 || more.AsOf.String() != "2026-08-22" || s.Organisation.Seats != 30 {
		t.Errorf("seats %d, as_of %s; before %d", more.Organisation.Seats, more.AsOf, s.Organisation.Seats)
	}
	if got := strings.Join(more.Overrides, " "); !strings.HasSuffix(got, "organisation.seats=40") || len(more.Overrides) != 4 {
		t.Errorf("overrides: %q", got)
	}
	for _, tc := range []struct{ set, want string }{
		{"organisation.plam=team", `--set:organisation.plam:2:3: unknown key "organisation.plam"`},
		{"as_of=soon", `--set:as_of:1:8: as_of: found "soon", expected a date`},
		{"as_of", `--set "as_of": write key=value`},
		{"a..b=1", `"" is not a key`},
		{"seed=[", "--set:seed:1:1: not valid YAML"},
		{"title=a\nseed: 1", "write key=value"},
	} {
		if _, err := s.Set(tc.set); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("--set %s: got %v, want %q", tc.set, err, tc.want)
		}
	}
}

func TestExtends(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("ground/sound.yaml", sound)
	write("ground/middle.yaml", "name: middle\nextends: sound.yaml\norganisation: {seats: 25}\n")
	top := write("top.yaml", "name: top\nextends: ground/middle.yaml\nworkloads: []\n")
	s, err := LoadFile(top)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name.Value != "top" || s.Organisation.Seats != 25 || s.Organisation.Name != "Testing Ltd" || len(s.Workloads) != 0 || len(s.Bases) != 2 || s.File.Name != top {
		t.Errorf("merged: %s, %+v", s.Name, s.Organisation)
	}
	if got := s.Groups[0].Name.At.String(); got != filepath.Join(dir, "ground/sound.yaml")+":18:11" {
		t.Errorf("the group stands at %s", got)
	}

	// A mistake in the base is told where it stands, with its line.
	write("ground/sound.yaml", strings.Replace(sound, "roles: [narrow]", "roles: [narow]", 1))
	if _, err := LoadFile(top); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "ground/sound.yaml")+":19:13") || !strings.Contains(err.Error(), "roles: [narow]") {
		t.Errorf("got %v", err)
	}

	a := write("a.yaml", "name: a\nextends: b.yaml\n")
	write("b.yaml", "name: b\nextends: a.yaml\n")
	if _, err := LoadFile(a); err == nil || !strings.Contains(err.Error(), "leads back to") {
		t.Errorf("cycle: %v", err)
	}
	for i := range 6 {
		write(fmt.Sprintf("d%d.yaml", i), fmt.Sprintf("name: d\nextends: d%d.yaml\n", i+1))
	}
	if _, err := LoadFile(filepath.Join(dir, "d0.yaml")); err == nil || !strings.Contains(err.Error(), "more than 4 files") {
		t.Errorf("depth: %v", err)
	}
	lost := write("lost.yaml", "name: lost\nextends: rollout-befor\n")
	if _, err := LoadFile(lost); err == nil || !strings.Contains(err.Error(), "lost.yaml:2:10") || !strings.Contains(err.Error(), `did you mean "rollout-before"`) {
		t.Errorf("lost: %v", err)
	}

	// Extending a shipped scenario does not make a file a shipped one.
	own := write("own.yaml", "name: own\nextends: insurer-claims\n")
	if s, err := LoadFile(own); err != nil || s.Shipped || s.Exam() {
		t.Errorf("own: %v, shipped %v", err, s != nil && s.Shipped)
	}
	if s, err := Load("insurer-claims"); err != nil || !s.Exam() {
		t.Errorf("insurer-claims: %v", err)
	}
	if _, err := Load("insurer-clams"); err == nil || !strings.Contains(err.Error(), `did you mean "insurer-claims"`) {
		t.Errorf("a slip of the pen: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte("name: x\nextends: y\n"))
	f.Add([]byte("- 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("f.yaml", data, false, nil)
		if (s == nil) == (err == nil) {
			t.Errorf("scenario %v, error %v", s, err)
		}
	})
}
