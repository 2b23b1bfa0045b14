package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// A decision uses the state in force, and says so while a change is spreading.
func TestWindows(t *testing.T) {
	on := day
	build := func(lag time.Duration, edit func(*org.Config)) *Engine {
		c := setup("enterprise", "custom", yes())
		c.Roles = []org.Role{caps("pilot", Cowork)}
		c.Groups = []org.Group{group("g", []string{"m"}, "pilot")}
		edit(c)
		r := current()
		r.Lags = everyLag(lag)
		return engine(c, r)
	}
	remove := func(until time.Time) func(*org.Config) {
		return func(c *org.Config) {
			c.Changes = []org.Change{{When: on, Until: until, Group: &org.GroupChange{Name: txt("g"), Remove: &org.Selector{All: true}}}}
		}
	}
	scim := func(push int) func(*org.Config) {
		return func(c *org.Config) {
			remove(time.Time{})(c)
			c.Groups[0].Source, c.Organisation.SCIMPush = "scim", push
		}
	}
	toggle := func(c *org.Config) {
		c.Changes = []org.Change{{When: on, Settings: &org.Settings{Cowork: no()}}}
	}
	rename := func(source string) func(*org.Config) {
		return func(c *org.Config) {
			c.Groups[0].Source = source
			c.Changes = []org.Change{{When: on, Group: &org.GroupChange{Name: txt("g"), Rename: "other"}}}
		}
	}
	noise := func(c *org.Config) { // something else changes for the member
		c.Changes = []org.Change{{When: on, Role: &org.RoleChange{Name: txt("pilot"), Add: []org.Grant{{Capability: txt("memory")}}}}}
	}
	for _, tc := range []struct {
		name string
		e    *Engine
		at   time.Duration
		want Outcome
	}{
		{"before", build(15*time.Minute, remove(time.Time{})), -time.Second, Allow},
		{"at once in flight", build(15*time.Minute, remove(time.Time{})), 0, InFlight},
		{"to the last second", build(15*time.Minute, remove(time.Time{})), 15*time.Minute - 1, InFlight},
		{"arrived", build(15*time.Minute, remove(time.Time{})), 15 * time.Minute, Deny},
		{"no lag", build(0, remove(time.Time{})), 0, Deny},
		{"the identity provider waits", build(15*time.Minute, scim(40)), 54 * time.Minute, InFlight},
		{"and then it has arrived", build(15*time.Minute, scim(40)), 55 * time.Minute, Deny},
		{"a stated arrival is believed", build(15*time.Minute, remove(on.Add(3*time.Hour))), 2 * time.Hour, InFlight},
		{"and over it is over", build(15*time.Minute, remove(on.Add(time.Minute))), time.Minute, Deny},
		{"the organisation's switch travels, too", build(15*time.Minute, toggle), time.Minute, InFlight},
		{"and arrives", build(15*time.Minute, toggle), time.Hour, Deny},
		{"a renamed group", build(15*time.Minute, rename("scim")), time.Minute, InFlight},
		{"keeps its id", build(15*time.Minute, rename("scim")), time.Hour, Allow},
		{"what changes nothing is not in flight", build(15*time.Minute, noise), time.Minute, Allow},
	} {
		at := on.Add(tc.at)
		if got := tc.e.Allowed(0, Cowork, at); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		d := tc.e.Capability(0, Cowork, at)
		if d.Outcome != tc.want || d.Outcome == InFlight && d.Because() != "propagation" {
			t.Errorf("%s: with reasons %+v", tc.name, d)
		}
	}
}

// 1a: what a Custom member without a role keeps, and what roles say of
// connectors, changed with time.
func TestDatedRules(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "get", ReadOnly: true}}}}
	c.Groups = []org.Group{group("g", []string{"m"})}
	c.Roles = []org.Role{{Name: txt("none"), Connectors: "custom"}}
	turn := day
	e := NewDated(org.NewDirectory(c, []org.Member{{ID: "m", OrgRole: "custom"}}), []time.Time{turn}, func(plan string, at time.Time) Rules {
		r := current()
		if plan != "enterprise" {
			t.Errorf("asked for plan %q", plan)
		}
		if at.Before(turn) {
			r.CustomWithoutRoleKeepsChat, r.ConnectorRoles = true, Off
		}
		return r
	})
	for _, tc := range []struct {
		at         time.Time
		chat, zoom Outcome
	}{{turn.Add(-time.Second), Allow, Allow}, {turn, Deny, Deny}} {
		if got := e.Allowed(0, Chat, tc.at); got != tc.chat {
			t.Errorf("%s chat: %v", tc.at, got)
		}
		if got := e.Connector(0, "Zoom", "get", false, tc.at).Outcome; got != tc.zoom {
			t.Errorf("%s zoom: %v", tc.at, got)
		}
	}
}

// A Team organisation that moves to Enterprise: groups count from that day on.
func TestMoveToEnterprise(t *testing.T) {
	c := setup("team", "user", yes())
	c.Roles = []org.Role{caps("pilot", Cowork)}
	c.Groups = []org.Group{group("g", []string{"in"}, "pilot")}
	c.Changes = []org.Change{
		{When: day, Plan: txt("enterprise")},
		{When: day.Add(time.Hour), Members: &org.MemberRule{Select: org.Selector{All: true}, Role: "custom"}},
	}
	var plans []string
	e := NewDated(org.NewDirectory(c, []org.Member{{ID: "in", OrgRole: "user"}, {ID: "out", OrgRole: "user"}}), nil, func(plan string, at time.Time) Rules {
		plans = append(plans, plan)
		return current()
	})
	if !slices.Equal(plans, []string{"team", "enterprise"}) {
		t.Errorf("asked for %v", plans)
	}
	if len(e.configErrors()) != 0 {
		t.Errorf("%v", e.configErrors())
	}
	for _, tc := range []struct {
		at   time.Duration
		want string
	}{{-time.Hour, "allow allow all"}, {time.Minute, "allow allow all"}, {2 * time.Hour, "allow deny groups"}} {
		at := day.Add(tc.at)
		if got := fmt.Sprintf("%v %v %s", e.Allowed(0, Cowork, at), e.Allowed(1, Cowork, at), e.EffectiveScope(at)); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.at, got, tc.want)
		}
	}
	ids := func(at time.Time) (out []string) {
		for _, f := range e.Flags(at) {
			out = append(out, f.ID)
		}
		return out
	}
	if got := ids(day.Add(time.Minute)); !slices.Contains(got, "plain-user") {
		t.Errorf("the day of the move: %v", got)
	}
}

// Deprovisioning takes time: the account still answers, use is a finding, and the
// lag is measured.
func TestLeaverLag(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Roles = []org.Role{caps("pilot", Cowork)}
	c.Groups = []org.Group{group("g", []string{"slow", "unsaid", "prompt"}, "pilot")}
	e := New(org.NewDirectory(c, []org.Member{
		{ID: "slow", Account: "slow", OrgRole: "custom", Left: day, Removed: day.Add(8 * time.Hour)},
		{ID: "unsaid", Account: "unsaid", OrgRole: "custom", Left: day.Add(time.Minute)},
		{ID: "prompt", Account: "prompt", OrgRole: "custom", Left: day.Add(2 * time.Minute), Removed: day.Add(2 * time.Minute)},
	}), current())
	at := day.Add(3 * time.Hour)
	for i, want := range []Outcome{Allow, Deny, Deny} {
		if got := e.Allowed(i, Cowork, at); got != want || e.Capability(i, Cowork, at).Outcome != want {
			t.Errorf("member %d: %v, want %v", i, got, want)
		}
	}
	if e.Allowed(0, Cowork, day.Add(8*time.Hour)) != Deny {
		t.Error("a closed account")
	}
	e.Observe(record("slow", 3*time.Hour, nil))
	e.Observe(record("unsaid", 5*time.Hour, nil))
	e.Observe(record("slow", -time.Hour, nil))
	var got []string
	for _, d := range e.Departures(day.Add(24 * time.Hour)) {
		lag, exact := d.Lag()
		got = append(got, fmt.Sprintf("%d %s %v %d", d.Member, lag, exact, d.Records))
	}
	if want := []string{"0 8h0m0s true 1", "1 4h59m0s false 1", "2 0s true 0"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	fs := e.Close(day)
	if len(fs) != 2 || fs[0].Rule != "rbac-leaver" || !strings.Contains(fs[0].Reason, "the account was closed 8h0m0s later") || !strings.Contains(fs[1].Reason, "still worked 4h59m0s later") {
		t.Errorf("%+v", fs)
	}
	// Records after the stated closing say that it was not closed.
	e.Observe(record("slow", 9*time.Hour, nil))
	if d := e.Departures(day.Add(24 * time.Hour))[0]; !strings.Contains(d.String(), "said to have been closed 8h0m0s later, and it still worked 1h0m0s after that") {
		t.Errorf("%s", d)
	}
	c.Organisation.Directory = "jit"
	flags := ""
	late := New(org.NewDirectory(c, []org.Member{{ID: "slow", Left: day, Removed: day.Add(30 * time.Hour)}, {ID: "unsaid", Left: day}}), current())
	for _, f := range late.Flags(day.Add(48 * time.Hour)) {
		flags += f.ID + " "
	}
	if !strings.Contains(flags, "leavers-stay slow-removal ") {
		t.Error(flags)
	}
	x := e.Explain(0, Question{Kind: "capability", Name: Cowork}, at)
	if x.Outcome != Allow || len(x.Notes) != 1 || !strings.Contains(x.Notes[0], "any use is a finding") {
		t.Errorf("%+v", x)
	}
}

func TestPersonalSettings(t *testing.T) { // the last level of 1.4 and 1.5
	c := setup("enterprise", "owner", yes())
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "get", ReadOnly: true}}}, {Name: txt("Drive"), Enabled: true, Policy: "ask", Tools: []org.Tool{{Name: "get", ReadOnly: true}}}}
	c.Personal = []org.Personal{{Select: org.Selector{All: true}, Connector: txt("zoom"), Level: "never"}, {Select: org.Selector{All: true}, Connector: txt("Drive"), Level: "always"},
		{Select: org.Selector{All: true}, Off: txt(Cowork)}}
	e := engine(c, current())
	if d := e.Connector(0, "claude.ai Zoom", "get", false, day); d.Outcome != Deny || d.Because() != "user" {
		t.Errorf("%+v", d)
	}
	if d := e.Connector(0, "Drive", "get", false, day); d.Outcome != Ask || d.Because() != "org-tool" { // always does not lift the policy
		t.Errorf("%+v", d)
	}
	if e.Allowed(0, Cowork, day) != Deny || e.Allowed(0, Cloud, day) != Deny { // cloud needs Cowork
		t.Error("an opt-out")
	}
}

func TestLocalServersAreNotGoverned(t *testing.T) { // row 29, by the configuration's own list
	c := setup("enterprise", "custom", yes())
	c.Local = []org.LocalServer{{Name: txt("notes-box")}}
	e := engine(c, current())
	if d := e.Connector(0, "notes-box", "x", true, day); d.Outcome != NotGoverned {
		t.Errorf("%+v", d)
	}
	if d := e.Connector(0, "who-knows", "x", true, day); d.Outcome != Deny {
		t.Errorf("%+v", d)
	}
}

func TestSkills(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Skills = []org.Skill{{Name: txt("a"), Level: "not_available"}, {Name: txt("b")}, {Name: txt("c"), Level: "required"}}
	c.Roles = []org.Role{{Name: txt("r"), Grants: []org.Grant{{Skill: txt("a")}}}}
	c.Groups = []org.Group{group("g", []string{"m"}, "r"), group("h", []string{"m"})}
	c.Groups[1].Skills = []org.SkillLevel{{Skill: txt("a"), Level: "installed"}, {Skill: txt("c"), Level: "not_available"}}
	e := engine(c, current())
	for name, want := range map[string]string{"a": "installed allow", "b": " indeterminate", "c": "not_available deny", "z": " indeterminate"} {
		d := e.Skill(0, name, day)
		if got := d.Level + " " + d.Outcome.String(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	c.Organisation.Settings.Skills = no()
	if d := engine(c, current()).Plugin(0, "any", day); d.Outcome != Deny || d.Because() != "dependency" {
		t.Errorf("plugins ride on skills: %+v", d)
	}
}

func TestModels(t *testing.T) { // 1.7
	c := setup("enterprise", "custom", yes())
	c.Organisation.Models = &org.Models{Enabled: []string{"claude-sonnet-5", "claude-opus-5"}, Effort: "high"}
	c.Roles = []org.Role{{Name: txt("a"), Models: []string{"claude-sonnet-5"}, Effort: "low"}, {Name: txt("b"), Models: []string{"claude-opus-4-1"}, Effort: "medium"}}
	c.Groups = []org.Group{group("g", []string{"m"}, "a", "b")}
	for _, tc := range []struct {
		role, model, effort string
		want                Outcome
		because             string
	}{
		{"custom", "claude-sonnet-5", "", Allow, "org"},
		{"custom", "claude-sonnet-5-20260601", "", Allow, "org"},
		{"custom", "claude-opus-5", "", Deny, "role"},
		{"custom", "claude-opus-4-1", "", Deny, "org"}, // a role cannot lift the organisation's list
		{"owner", "claude-opus-5", "", Allow, "org"},
		{"owner", "claude-opus-4-1", "", Deny, "org"}, // which binds owners
		{"custom", "claude-haiku-4-5", "", Allow, "org"},
		{"custom", "claude-sonnet-5", "medium", Allow, "org"},
		{"custom", "claude-sonnet-5", "high", Deny, "role"}, // highest of the roles is medium
		{"owner", "claude-sonnet-5", "max", Deny, "org"},
	} {
		c.Members[0].Role = tc.role
		if d := engine(c, current()).Model(0, tc.model, tc.effort, day); d.Outcome != tc.want || d.Because() != tc.because {
			t.Errorf("%s %s %s: %+v", tc.role, tc.model, tc.effort, d)
		}
	}
	c.Organisation.Models, c.Members[0].Role = nil, "custom"
	if d := engine(c, current()).Model(0, "claude-opus-5", "", day); d.Outcome != Deny {
		t.Errorf("%+v", d) // the roles deny whatever the organisation's list is
	}
	if d := engine(setup("enterprise", "user", yes()), current()).Model(0, "claude-opus-5", "", day); d.Outcome != Indeterminate {
		t.Errorf("%+v", d)
	}
}

// An export that leaves rows out, and rows under names nobody knows, are no denial.
func TestExportedRoles(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true}}
	c.Roles = []org.Role{{Name: txt("r"), Partial: true, Grants: []org.Grant{{Capability: txt(Chat)}, {Capability: txt("desktop_x"), Unknown: true}}}}
	c.Groups = []org.Group{group("g", []string{"m"}, "r")}
	e := engine(c, current())
	if e.Allowed(0, Chat, day) != Allow || e.Allowed(0, Cowork, day) != Indeterminate || e.Capability(0, Cowork, day).Because() != "role" {
		t.Errorf("%+v", e.Capability(0, Cowork, day))
	}
	if d := e.Connector(0, "Zoom", "get", false, day); d.Outcome != Indeterminate {
		t.Errorf("%+v", d)
	}
	// Once some role spells Cowork out, the unknown row is something else.
	c.Roles = append(c.Roles, caps("other", Cowork))
	if got := engine(c, current()).Allowed(0, Cowork, day); got != Deny {
		t.Errorf("%v", got)
	}
}

// The blanket row for what is generally available is read against the dated
// catalogue of the shipped facts, one fact for each capability.
func TestBlanketRowFollowsTheCatalogue(t *testing.T) {
	facts, err := platform.Facts()
	if err != nil {
		t.Fatal(err)
	}
	rulesOf := func(day string) Rules {
		d, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return DefaultRules("enterprise", func(id, param string) (string, bool) {
			a := facts.At(id, platform.Query{AsOf: source.Date{Time: d}, Plan: "enterprise"})
			if a.Record == nil || a.Value == platform.NotStated || a.Value == platform.Unknown {
				return "", false
			}
			if param != "" {
				return a.Param(param)
			}
			return a.Value.String(), true
		})
	}
	for _, c := range KnownCapabilities {
		if _, ok := facts.Fact(FactOfGA(c)); !ok && c != Chat {
			t.Errorf("the catalogue says nothing of %s: no fact %s", c, FactOfGA(c))
		}
	}
	for _, tc := range []struct {
		day, cap string
		want     Outcome
		word     string
	}{
		{"2026-04-09", "chat", Allow, ""},
		{"2026-04-09", "cowork", Allow, "cowork-ga-date"},
		{"2026-06-10", "claude_code", Allow, "ga-claude-code"},
		{"2026-04-10", "claude_design", Deny, "ga-claude-design"},
		{"2026-06-10", "claude_code_workflows", Deny, "ga-claude-code-workflows"},
		{"2026-05-26", "claude_code_workflows", Indeterminate, "ga-claude-code-workflows"}, // within the week it came out
		{"2026-11-20", "claude_code_workflows", Deny, "ga-claude-code-workflows"},          // age does not make it available
		{"2026-11-20", "claude_code", Indeterminate, "ga-claude-code"},                     // too long since anybody looked
		{"2026-08-01", "claude_security", Deny, "ga-claude-security"},
		{"2026-06-10", "memory", Indeterminate, "ga-memory"},
	} {
		c := setup("enterprise", "custom", yes())
		c.Roles = []org.Role{caps("wide", accessAllGA)}
		c.Groups = []org.Group{group("g", []string{"m"}, "wide")}
		e := engine(c, rulesOf(tc.day))
		at, _ := time.Parse(time.DateOnly, tc.day)
		d := e.Capability(0, tc.cap, at)
		if d.Outcome != tc.want || e.Allowed(0, tc.cap, at) != tc.want {
			t.Errorf("%s on %s: %v, want %v: %+v", tc.cap, tc.day, d.Outcome, tc.want, d.Reasons)
		}
		if said := fmt.Sprint(d.Reasons); !strings.Contains(said, tc.word) {
			t.Errorf("%s on %s: the reasons do not name the fact: %s", tc.cap, tc.day, said)
		}
	}
}
