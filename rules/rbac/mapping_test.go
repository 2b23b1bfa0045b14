package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Groups of the identity provider mapped to organisation roles and seats (1.8):
// who is in none is removed, the wider role counts, and a mapping replaces what was
// given by hand.
func TestMapping(t *testing.T) {
	roles := func(pairs ...string) *org.Provisioning {
		p := &org.Provisioning{}
		for i := 0; i < len(pairs); i += 2 {
			p.Roles = append(p.Roles, org.RoleMapping{Group: txt(pairs[i]), Role: pairs[i+1]})
		}
		return p
	}
	seats := func(priority ...string) *org.Provisioning {
		return &org.Provisioning{Seats: []org.SeatMapping{{Group: txt("a"), Seat: txt("chat")}, {Group: txt("b"), Seat: txt("code")}}, SeatPriority: texts(priority...)}
	}
	primary := func(who string) *org.Provisioning {
		p := roles("a", "custom")
		p.PrimaryOwner = txt(who)
		return p
	}
	for _, tc := range []struct {
		name    string
		p       *org.Provisioning
		byHand  string
		in      string // groups a, b, c
		cap     string
		want    Outcome
		level   string // of the first reason, where it is not allowed
		orgRole string
	}{
		{"no mapping", nil, "user", "", Cowork, Allow, "", "user"},
		{"custom by mapping, and a role grants it", roles("a", "custom"), "user", "a c", Cowork, Allow, "", "custom"},
		{"custom by mapping, and no role does (row 27)", roles("a", "custom"), "user", "a", Chat, Deny, "role", "custom"},
		{"user by mapping replaces custom by hand", roles("a", "user"), "custom", "a", Cowork, Allow, "", "user"},
		{"of user and custom, custom", roles("a", "user", "b", "custom"), "user", "a b", Cowork, Deny, "role", "custom"},
		{"of custom and admin, admin", roles("a", "custom", "b", "admin"), "user", "a b", Cowork, Allow, "", "admin"},
		{"of admin and owner, owner, in any order", roles("b", "owner", "a", "admin"), "user", "a b", Cowork, Allow, "", "owner"},
		{"in no mapped group", roles("a", "custom"), "user", "c", Cowork, Deny, "membership", "user"},
		{"in no mapped group, connectors too", roles("a", "custom"), "user", "c", "Zoom", Deny, "membership", "user"},
		{"and plugins", roles("a", "custom"), "user", "c", "plugin", Deny, "membership", "user"},
		{"and administrative areas", roles("a", "custom"), "admin", "c", "permission_billing", Deny, "membership", "admin"},
		{"an owner in no mapped group may be the primary one", roles("a", "custom"), "owner", "", Cowork, Indeterminate, "membership", "owner"},
		{"who is spared", primary("acc"), "owner", "", Cowork, Allow, "", "owner"},
		{"and nobody else", primary("somebody"), "owner", "", Cowork, Deny, "membership", "owner"},
		{"seats alone remove nobody", seats(), "user", "", "claude_code", Allow, "", "user"},
		{"a mapped seat holds less", seats(), "user", "a", "claude_code", Deny, "seat", "user"},
		{"another holds it", seats(), "user", "b", "claude_code", Allow, "", "user"},
		{"both, and nobody says which counts", seats(), "user", "a b", "claude_code", Indeterminate, "seat", "user"},
		{"which does not matter for what both hold", seats(), "user", "a b", Chat, Allow, "", "user"},
		{"the scenario says which", seats("code", "chat"), "user", "a b", "claude_code", Allow, "", "user"},
		{"the other way round", seats("chat", "code"), "user", "a b", "claude_code", Deny, "seat", "user"},
		{"an empty mapping is none", &org.Provisioning{}, "user", "", Cowork, Allow, "", "user"},
	} {
		c := setup("enterprise", tc.byHand, yes())
		c.Organisation.Directory, c.Organisation.Provisioning = "scim", tc.p
		c.Organisation.SeatTiers = []org.SeatTier{{Name: txt("chat"), Excludes: []string{"claude_code"}}, {Name: txt("code")}}
		c.Organisation.Toggles = map[string]bool{"claude_code": true}
		c.Roles = []org.Role{caps("pilot", Cowork)}
		c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true}}
		c.Plugins = []org.Plugin{{Name: txt("kit"), Level: "available"}}
		for _, g := range []string{"a", "b", "c"} {
			var in []string
			if slices.Contains(strings.Fields(tc.in), g) {
				in = []string{"m"}
			}
			x := group(g, in)
			if g == "c" {
				x = group(g, in, "pilot")
			} else {
				x.Source = "scim"
			}
			c.Groups = append(c.Groups, x)
		}
		e := engine(c, laggy())
		var d Decision
		switch tc.cap {
		case "Zoom":
			d = e.Connector(0, "Zoom", "", false, day)
		case "plugin":
			d = e.Plugin(0, "kit", day)
		default:
			d = e.Capability(0, tc.cap, day)
			if fast := e.Allowed(0, tc.cap, day); fast != d.Outcome {
				t.Errorf("%s: fast path %v, with reasons %v", tc.name, fast, d.Outcome)
			}
		}
		if d.Outcome != tc.want || tc.level != "" && d.Because() != tc.level {
			t.Errorf("%s: %+v", tc.name, d)
		}
		if st := e.Standing(0, day); st.OrgRole != tc.orgRole || st.Removed != (tc.want == Deny && tc.level == "membership") {
			t.Errorf("%s: %+v", tc.name, st)
		}
	}
}

// A mapping switched on takes its time, and then removes; a member who comes into
// a mapped group changes role on the way of the group.
func TestMappingTravels(t *testing.T) {
	build := func(directory string) *Engine {
		c := setup("enterprise", "user", yes())
		c.Organisation.Directory = directory
		c.Groups = []org.Group{{Name: txt("a"), Source: "scim"}}
		c.Changes = []org.Change{
			{When: day, Provisioning: &org.Provisioning{Roles: []org.RoleMapping{{Group: txt("a"), Role: "custom"}}}},
			{When: day.Add(100 * time.Hour), Group: &org.GroupChange{Name: txt("a"), Add: &org.Selector{All: true}}},
			{When: day.Add(200 * time.Hour), Provisioning: &org.Provisioning{}},
		}
		return engine(c, laggy())
	}
	for _, tc := range []struct {
		directory string
		at        time.Duration
		want      string
	}{
		{"scim", -1, "allow user"},
		{"scim", 29 * time.Minute, "in flight user"},
		{"scim", 30 * time.Minute, "deny user"},
		{"scim", 100*time.Hour + 21*time.Minute, "deny custom"}, // a member again, on custom without a role
		{"scim", 200*time.Hour + 30*time.Minute, "allow user"},
		{"jit", 89 * time.Minute, "in flight user"}, // at the next sign-in
		{"jit", 90 * time.Minute, "deny user"},
	} {
		e := build(tc.directory)
		at := day.Add(tc.at)
		if got := fmt.Sprintf("%v %s", e.Allowed(0, Cowork, at), e.Standing(0, at).OrgRole); got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.directory, tc.at, got, tc.want)
		}
	}
	e := build("scim")
	d := e.Capability(0, Cowork, day.Add(time.Minute))
	if f := d.Flight; f == nil || f.Changes[0].Channel != "provisioning" || f.Changes[0].What != "mapping: group a gives the role custom" || f.Before[0].Outcome != "allow" || !strings.Contains(f.After.Reason, "removed") {
		t.Errorf("%+v", d)
	}
	flags := map[string]int{}
	for _, f := range e.Flags(day.Add(time.Hour)) {
		flags[f.ID] = f.Count
	}
	if flags["mapping-removes"] != 1 {
		t.Errorf("%v", flags)
	}
	flags = map[string]int{}
	for _, f := range e.Flags(day.Add(150 * time.Hour)) {
		flags[f.ID] = f.Count
	}
	if flags["mapping-removes"] != 0 || flags["mapping-replaces"] != 1 || flags["no-access"] != 1 {
		t.Errorf("%v", flags)
	}
}

// A member whose organisation role no export says is allowed what both User and
// Custom give, and nothing else is known.
func TestRoleNotStated(t *testing.T) {
	c := setup("enterprise", "unknown", yes())
	c.Roles = []org.Role{caps("pilot", Cowork), conn("zoom", [3]string{"Zoom", "get", "always"})}
	c.Groups = []org.Group{group("g", []string{"m"}, "pilot", "zoom")}
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "get", ReadOnly: true}, {Name: "list", ReadOnly: true}}}, {Name: txt("Off")}}
	c.Organisation.Models = &org.Models{Enabled: []string{"claude-x"}}
	c.Organisation.Toggles = map[string]bool{"memory": true}
	e := engine(c, current())
	for _, tc := range []struct {
		d    Decision
		want Outcome
		text string
	}{
		{e.Capability(0, Cowork, day), Allow, ""},
		{e.Capability(0, "memory", day), Indeterminate, "on User it is allowed, on Custom it is deny, as no role of the member grants memory"},
		{e.Connector(0, "Zoom", "get", false, day), Allow, ""},
		{e.Connector(0, "Zoom", "list", false, day), Indeterminate, "the organisation role of the member is not stated, and on Custom role pilot says nothing on connectors"},
		{e.Connector(0, "Off", "", false, day), Deny, "not enabled"},
		{e.Model(0, "claude-x", "", day), Indeterminate, "not stated"},
		{e.Capability(0, "permission_billing", day), Indeterminate, "not stated"},
	} {
		if tc.d.Outcome != tc.want || !strings.Contains(tc.d.Reasons[0].Text, tc.text) {
			t.Errorf("%+v, want %v: %s", tc.d, tc.want, tc.text)
		}
	}
	if got := e.Allowed(0, "memory", day); got != Indeterminate {
		t.Errorf("fast path: %v", got)
	}
	found := false
	for _, f := range e.Flags(day) {
		found = found || f.ID == "role-unknown" && f.Text == "the organisation role of 1 member is not stated, so that it is not known whether custom roles bind them"
	}
	if !found {
		t.Errorf("%+v", e.Flags(day))
	}
}
