package scenarios

import (
	"strings"
	"testing"
)

// What a dated change or a roster refers to has to be there, with its place in
// the file, and everything is told at once.
func TestFaultyChangesAndRosters(t *testing.T) {
	for _, tc := range []struct{ name, add, want string }{
		{"group", "changes:\n  - {on: 2026-05-01, group: {name: pilto, delete: true}}\n", `s.yaml:42:36: "pilto" is not a group of this scenario`},
		{"role", "changes:\n  - {on: 2026-05-01, role: {name: narow, delete: true}}\n", `"narow" is not a role`},
		{"attach", "changes:\n  - {on: 2026-05-01, group: {name: pilot, attach: [wide]}}\n", `"wide" is not a role`},
		{"row", "changes:\n  - {on: 2026-05-01, role: {name: narrow, add: [{capability: co_work}]}}\n", `"co_work" is not a capability`},
		{"department", "changes:\n  - {on: 2026-05-01, leave: {department: Clams}}\n", `"Clams" is not a department`},
		{"connector", "changes:\n  - {on: 2026-05-01, connector: {name: zoom, enabled: true}}\n", `"zoom" is not a connector`},
		{"toggle", "changes:\n  - {on: 2026-05-01, toggles: {memry: true}}\n", `changes.toggles: "memry" is not a capability`},
		{"plan of change", "changes:\n  - {on: 2026-05-01, plan: gold}\n", `changes.plan: found "gold", expected one of team, enterprise`},
		{"seat", "personal: [{select: {all: true}, off: co_work}]\n", `"co_work" is not a capability`},
		{"personal level", "personal: [{select: {all: true}, connector: documents}]\n", "has no level"},
		{"roster beside departments", "roster: |\n  email,role\n  a@ex.test,custom\n", `department "Claims" has 12 members beside a roster`},
		{"roster row", "roster: |\n  email,role\n  a@ex.test,emperor\n", `s.yaml:43:13: roster: "emperor" is not an organisation role`},
	} {
		_, err := Parse("s.yaml", []byte(sound+tc.add), false, nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\n%v\nwant %s", tc.name, err, tc.want)
		}
	}
}

func TestSameIdTwice(t *testing.T) {
	_, err := Parse("s.yaml", []byte(strings.NewReplacer("  - name: pilot\n", "  - name: pilot\n    id: rbac_group_1\n  - {name: other, id: rbac_group_1}\n  - name: third\n").Replace(sound)), false, nil)
	if err == nil || !strings.Contains(err.Error(), `group "other" has the id rbac_group_1 of group "pilot"`) {
		t.Errorf("%v", err)
	}
}

// Groups and roles may be prepared on Team once a move to Enterprise is dated,
// but not changed before it.
func TestTeamThatMoves(t *testing.T) {
	team := strings.NewReplacer("plan: enterprise", "plan: team", "directory: scim", "directory: invite", "role: custom", "role: user").Replace(sound)
	if _, err := Parse("s.yaml", []byte(team), false, nil); err == nil || !strings.Contains(err.Error(), `group "pilot": Team has no groups`) {
		t.Errorf("%v", err)
	}
	move := "changes:\n  - {on: 2026-05-04, plan: enterprise}\n"
	if _, err := Parse("s.yaml", []byte(team+move+"  - {on: 2026-05-05, group: {name: pilot, add: {department: Finance}}}\n"), false, nil); err != nil {
		t.Errorf("%v", err)
	}
	_, err := Parse("s.yaml", []byte(team+move+"  - {on: 2026-05-01, group: {name: pilot, add: {department: Finance}}}\n"), false, nil)
	if err == nil || !strings.Contains(err.Error(), "s.yaml:43:5: changes: Team has no groups and no custom roles, and on 2026-05-01 the plan is still team") {
		t.Errorf("%v", err)
	}
}

// A roster takes the place of synthetic members; departments then only give
// persona and time zone.
func TestRosterScenario(t *testing.T) {
	text := strings.NewReplacer("members: 12", "members: 0", "members: 8", "members: 0", "first: 5", "first: 2").Replace(sound) +
		"roster: |\n  email,department,groups\n  a@ex.test,Claims,\n  b@ex.test,Claims,pilot@2026-05-01\n  c@ex.test,,\n"
	s := mustParse(t, text)
	if s.Roster.Value == "" {
		t.Fatal("no roster")
	}
	_, err := Parse("s.yaml", []byte(strings.Replace(text, "first: 2", "first: 3", 1)), false, nil)
	if err == nil || !strings.Contains(err.Error(), `first: 3 of department "Claims", which has 2 members`) {
		t.Errorf("%v", err)
	}
}
