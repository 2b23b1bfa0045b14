package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

var day = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func txt(s string) source.Text { return source.Text{Value: s} }

func texts(ss ...string) (out []source.Text) {
	for _, s := range ss {
		out = append(out, txt(s))
	}
	return out
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// current are the rules of an Enterprise in June 2026.
func current() Rules {
	return Rules{CoworkDefault: On, CoworkGA: true, Cloud: On, CloudDefault: Off, CloudGA: true,
		ConnectorRoles: On, PluginGroups: On, AdminAreas: On}
}

func caps(name string, capabilities ...string) org.Role {
	r := org.Role{Name: txt(name)}
	for _, c := range capabilities {
		r.Grants = append(r.Grants, org.Grant{Capability: txt(c)})
	}
	return r
}

func conn(name string, rows ...[3]string) org.Role {
	r := org.Role{Name: txt(name)}
	for _, x := range rows {
		r.Grants = append(r.Grants, org.Grant{Connector: txt(x[0]), Tool: x[1], Level: x[2]})
	}
	return r
}

func group(name string, members []string, roles ...string) org.Group {
	return org.Group{Name: txt(name), Roles: texts(roles...),
		Members: []org.Membership{{Select: org.Selector{Ids: members}}}}
}

// everyLag is the same lag for every channel.
func everyLag(longest time.Duration) (out [org.Channels]Lag) {
	for i := range out {
		out[i].Longest = longest
	}
	return out
}

// setup has one member "m" with the organisation role given.
func setup(plan, orgRole string, cowork *bool) *org.Config {
	return &org.Config{
		Organisation: org.Organisation{Plan: txt(plan), Settings: org.Settings{Cowork: cowork}},
		Members:      []org.MemberRule{{Role: orgRole}},
	}
}

func engine(c *org.Config, r Rules) *Engine {
	return New(org.NewDirectory(c, []org.Member{{ID: "m", Account: "acc", Email: "m@ex.test", OrgRole: c.Members[0].Role, Seat: c.Members[0].Seat.Value}}), r)
}

// The rows of the truth table in the order and with the numbers of section 1.9.
func TestTruthTable(t *testing.T) {
	m := []string{"m"}
	zoom := func(policy string) []org.Connector {
		return []org.Connector{{Name: txt("Zoom"), Enabled: true, Policy: policy,
			Tools: []org.Tool{{Name: "get_summary", ReadOnly: true}, {Name: "create_meeting", Write: true}}}}
	}
	read := func(e *Engine) Decision { return e.Connector(0, "Zoom", "get_summary", false, day) }
	capability := func(c string) func(*Engine) Decision {
		return func(e *Engine) Decision { return e.Capability(0, c, day) }
	}
	plugin := func(e *Engine) Decision { return e.Plugin(0, "legal-kit", day) }
	level := func(name, l string, members []string) org.Group {
		g := group(name, members)
		g.Plugins = []org.PluginLevel{{Plugin: txt("legal-kit"), Level: l}}
		return g
	}
	dual := []org.SeatTier{{Name: txt("Chat"), Excludes: []string{"claude_code"}}, {Name: txt("Chat + Claude Code")}}
	rows := []struct {
		n                   int
		plan, role          string
		cowork              *bool
		edit                func(*org.Config, *Rules)
		ask                 func(*Engine) Decision
		want                Outcome
		because, wantPlugin string
	}{
		{1, "team", "user", yes(), nil, capability(Cowork), Allow, "org", ""},
		{2, "team", "owner", no(), nil, capability(Cowork), Deny, "org", ""},
		// Row 3 is TestTeamWithRoles.
		{4, "enterprise", "user", yes(), nil, capability(Cowork), Allow, "org", ""},
		{5, "enterprise", "custom", yes(), nil, capability(Cowork), Deny, "role", ""},
		{6, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) { c.Groups = []org.Group{group("g", m)} }, capability(Cowork), Deny, "role", ""},
		{7, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Groups = []org.Group{group("g", m)}
			c.Groups[0].Unread = true
		}, capability(Cowork), Indeterminate, "role", ""},
		{8, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("pilot", Cowork)}
			c.Groups = []org.Group{group("g", m, "pilot")}
		}, capability(Cowork), Allow, "org", ""},
		{9, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", Chat), caps("b", Cowork)}
			c.Groups = []org.Group{group("A", m, "a"), group("B", m, "b")}
		}, capability(Cowork), Allow, "org", ""},
		{10, "enterprise", "custom", no(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("pilot", Cowork)}
			c.Groups = []org.Group{group("g", m, "pilot")}
		}, capability(Cowork), Deny, "org", ""},
		{11, "enterprise", "user", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", Chat)}
			c.Groups = []org.Group{group("g", m, "a")}
			c.Groups[0].Source = "scim"
		}, capability(Cowork), Allow, "org", ""},
		{12, "enterprise", "owner", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", Chat)}
			c.Groups = []org.Group{group("g", m, "a")}
		}, capability(Cowork), Allow, "org", ""},
		{13, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", "claude_code")}
			c.Groups = []org.Group{group("g", m, "a")}
			c.Organisation.SeatTiers = dual
			c.Members[0].Seat = txt("Chat")
		}, capability("claude_code"), Deny, "seat", ""},
		{14, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Organisation.SeatTiers = dual
			c.Members[0].Seat = txt("Chat + Claude Code")
			c.Roles = []org.Role{caps("a", "claude_code")}
			c.Groups = []org.Group{group("g", m, "a")}
		}, capability(Chat), Deny, "role", ""},
		{15, "enterprise", "custom", yes(), func(c *org.Config, r *Rules) {
			c.Roles = []org.Role{caps("a", accessAllGA)}
			c.Groups = []org.Group{group("g", m, "a")}
			r.CoworkGA = false
		}, capability(Cowork), Deny, "role", ""},
		{16, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", accessAll)}
			c.Groups = []org.Group{group("g", m, "a")}
		}, capability("permission_billing"), Deny, "role", ""},
		{17, "enterprise", "user", yes(), func(c *org.Config, _ *Rules) {
			c.Organisation.Contract = map[string]string{Cowork: "force_off"}
		}, capability(Cowork), Deny, "platform", ""},
		{18, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", Cowork)}
			c.Groups = []org.Group{group("g", m, "a")}
			c.Personal = []org.Personal{{Select: org.Selector{All: true}, Off: txt(Cowork)}}
		}, capability(Cowork), Deny, "user", ""},
		{19, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Roles = []org.Role{caps("a", Cowork, Cloud)}
			c.Groups = []org.Group{group("g", m, "a")}
			c.Organisation.Settings.Cloud = no()
		}, capability(Cloud), Deny, "dependency", ""},
		{20, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Connectors = zoom("ask")
			c.Roles = []org.Role{conn("a", [3]string{"Drive", "", "ask"}), conn("b", [3]string{"Zoom", "", "always"})}
			c.Groups = []org.Group{group("A", m, "a"), group("B", m, "b")}
		}, read, Ask, "org-tool", ""},
		{21, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Connectors = zoom("always")
			c.Roles = []org.Role{conn("b", [3]string{"Zoom", "", "always"})}
			c.Groups = []org.Group{group("B", m, "b")}
		}, func(e *Engine) Decision { return e.Connector(0, "Zoom", "create_meeting", true, day) }, Ask, "cowork-write", ""},
		{22, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Connectors = zoom("blocked")
			c.Roles = []org.Role{conn("b", [3]string{"Zoom", "", "always"})}
			c.Groups = []org.Group{group("B", m, "b")}
		}, read, Deny, "org-tool", ""},
		{23, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Connectors = zoom("")
			c.Roles = []org.Role{conn("a", [3]string{"Drive", "", "always"})} // all_connectors = Custom
			c.Groups = []org.Group{group("A", m, "a")}
		}, read, Deny, "role", ""},
		{24, "enterprise", "user", yes(), func(c *org.Config, _ *Rules) {
			c.Groups = []org.Group{level("A", "not_available", m), level("B", "installed", m)}
		}, plugin, Allow, "group", "installed"},
		{25, "enterprise", "user", yes(), func(c *org.Config, _ *Rules) {
			c.Plugins = []org.Plugin{{Name: txt("legal-kit"), Level: "not_available"}}
			c.Groups = []org.Group{level("Legal", "available", nil)}
		}, plugin, Deny, "org", "not_available"},
		{26, "enterprise", "custom", yes(), func(c *org.Config, r *Rules) {
			c.Roles = []org.Role{caps("pilot", Cowork)}
			c.Groups = []org.Group{group("g", m, "pilot")}
			c.Groups[0].Source = "scim"
			c.Changes = []org.Change{{When: day.Add(-5 * time.Minute), Group: &org.GroupChange{Name: txt("g"), Rename: "Cowork volunteers"}}}
			r.Lags = everyLag(15 * time.Minute)
		}, capability(Cowork), InFlight, "propagation", ""},
		{27, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) { c.Organisation.Directory = "jit" }, capability(Chat), Deny, "role", ""},
		{28, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Organisation.ID = "org_A"
			c.Roles = []org.Role{caps("b", Cowork)}
			c.Roles[0].Owner = "org_B"
			c.Groups = []org.Group{group("g", m, "b")}
		}, capability(Cowork), Deny, "role", ""},
		{29, "enterprise", "custom", yes(), func(c *org.Config, _ *Rules) {
			c.Connectors = zoom("blocked")
		}, func(e *Engine) Decision {
			return e.ConnectorCall(0, Call{Connector: "zoom-on-my-laptop", Scope: "user"}, day)
		}, NotGoverned, "scope", ""},
	}
	seen := map[int]bool{3: true} // TestTeamWithRoles
	for _, row := range rows {
		seen[row.n] = true
	}
	for n := 1; n <= 29; n++ {
		if !seen[n] {
			t.Errorf("row %d of the truth table is not tested", n)
		}
	}
	for _, row := range rows {
		c, r := setup(row.plan, row.role, row.cowork), current()
		if row.edit != nil {
			row.edit(c, &r)
		}
		e := engine(c, r)
		d := row.ask(e)
		if d.Outcome != row.want || d.Because() != row.because || d.Level != row.wantPlugin {
			t.Errorf("row %d: %v because %q level %q, want %v because %q level %q\n%+v",
				row.n, d.Outcome, d.Because(), d.Level, row.want, row.because, row.wantPlugin, d.Reasons)
		}
		if f, s := e.Allowed(0, Cowork, day), e.Capability(0, Cowork, day).Outcome; f != s {
			t.Errorf("row %d: fast %v, slow %v", row.n, f, s)
		}
	}
}

// Row 3: custom roles on Team are an error, and are not silently applied.
func TestTeamWithRoles(t *testing.T) {
	c := setup("team", "custom", yes())
	c.Roles = []org.Role{caps("a", Chat)}
	c.Groups = []org.Group{group("g", []string{"m"}, "a")}
	e := engine(c, current())
	if n := len(e.configErrors()); n != 3 {
		t.Fatalf("%d errors: %v", n, e.configErrors())
	}
	if d := e.Capability(0, Cowork, day); d.Outcome != Allow {
		t.Errorf("Team is all or nothing: %+v", d)
	}
}

func TestEveryReasonIsListed(t *testing.T) {
	c, r := setup("enterprise", "custom", no()), current()
	r.Inputs = Inputs{Platform: map[string]Switch{Cowork: Off}, SeatExcludes: map[int][]string{0: {Cowork}}, OptOut: map[int][]string{0: {Cowork}}}
	d := New(org.NewDirectory(c, []org.Member{{ID: "m", OrgRole: "custom", Left: day.Add(-time.Hour)}}), r).Capability(0, Cowork, day)
	var got []string
	for _, x := range d.Reasons {
		got = append(got, x.Level)
	}
	if want := "platform org membership seat role user"; strings.Join(got, " ") != want {
		t.Errorf("levels %v, want %s", got, want)
	}
}

func TestNotStatedIsNotOff(t *testing.T) {
	c := setup("enterprise", "user", nil)
	if d := engine(c, Rules{}).Capability(0, Cowork, day); d.Outcome != Indeterminate {
		t.Errorf("%+v", d)
	}
	if d := engine(c, current()).Capability(0, Cowork, day); d.Outcome != Allow {
		t.Errorf("%+v", d)
	}
}

func TestToolRowBeatsConnectorRow(t *testing.T) { // 1.5
	c := setup("enterprise", "custom", yes())
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "a", ReadOnly: true}, {Name: "b", ReadOnly: true}}}}
	c.Roles = []org.Role{conn("r", [3]string{"all", "", "always"}, [3]string{"Zoom", "", "ask"}, [3]string{"Zoom", "a", "always"})}
	c.Groups = []org.Group{group("g", []string{"m"}, "r")}
	e := engine(c, current())
	if a, b := e.Connector(0, "claude.ai Zoom", "a", true, day).Outcome, e.Connector(0, "zoom", "b", true, day).Outcome; a != Allow || b != Ask {
		t.Errorf("a %v, b %v", a, b)
	}
	r := current()
	r.ConnectorRoles = Unknown
	if d := engine(c, r).Connector(0, "Zoom", "b", false, day); d.Outcome != Indeterminate {
		t.Errorf("a role that might bind: %+v", d)
	}
	r.ConnectorRoles = Off
	if d := engine(c, r).Connector(0, "Zoom", "b", false, day); d.Outcome != Allow {
		t.Errorf("before roles governed connectors: %+v", d)
	}
}

func TestObserve(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Roles = []org.Role{caps("pilot", Cowork)}
	c.Groups = []org.Group{group("g", []string{"in", "gone"}, "pilot")}
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Policy: "blocked"}}
	e := New(org.NewDirectory(c, []org.Member{
		{ID: "in", Account: "a-in", OrgRole: "custom"},
		{ID: "out", Account: "a-out", OrgRole: "custom"},
		{ID: "gone", Account: "a-gone", OrgRole: "custom", Left: day},
	}), current())
	send := func(account string, at time.Duration, edit func(*event.Event)) {
		ev := &event.Event{Kind: event.UserPrompt, Product: event.Cowork, Account: account, Session: "s", Time: day.Add(at).UnixNano()}
		if edit != nil {
			edit(ev)
			ev.Derive()
		}
		e.Observe(ev)
	}
	mcp := func(server, scope string) func(*event.Event) {
		return func(ev *event.Event) {
			ev.Kind, ev.Tool, ev.ServerScope = event.ToolResult, "mcp_tool", scope
			ev.Parameters = `{"mcp_server_name":"` + server + `","mcp_tool_name":"x"}`
		}
	}
	for range 15 {
		send("a-out", time.Minute, nil)
	}
	send("a-in", time.Minute, nil)
	send("a-gone", -time.Minute, nil)
	send("a-gone", time.Minute, nil)
	send("", 0, nil)
	send("stranger", 0, nil)
	send("a-in", 0, func(ev *event.Event) { ev.Product = event.ClaudeCode })
	send("a-in", 2*time.Minute, mcp("Zoom", "claudeai"))
	send("a-in", 3*time.Minute, mcp("laptop", "user"))
	send("a-in", 4*time.Minute, mcp("laptop2", ""))
	send("a-in", 4*time.Minute, func(ev *event.Event) { ev.Kind, ev.Tool = event.ToolResult, "mcp_tool" })
	var got []string
	for _, f := range e.Close(day) {
		got = append(got, f.Rule+" "+f.Member+" "+f.Topic)
		if f.Rule == "rbac-capability" && (f.Count != 15 || len(f.Events) != rules.MaxEventRefs) {
			t.Errorf("%+v", f)
		}
	}
	want := []string{"rbac-capability a-out capability", "rbac-leaver a-gone leaver", "rbac-connector a-in unlisted-server",
		"rbac-local-server a-in unlisted-server", "rbac-unlisted-connector a-in unlisted-server"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if n := e.Counters(); n.Unattributed != 1 || n.Strangers != 1 || n.OtherProduct != 1 || n.MCPCalls != 3 || n.MCPUnnamed != 1 {
		t.Errorf("%+v", n)
	}
}

// A stream that names servers without end must not fill memory: what is beyond the
// bound is one incident for each member and rule.
func TestServersWithoutEnd(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Roles = []org.Role{caps("pilot", Cowork)}
	c.Groups = []org.Group{group("g", []string{"m"}, "pilot")}
	e := New(org.NewDirectory(c, []org.Member{{ID: "m", Account: "m", OrgRole: "custom"}}), current())
	const n = maxChanges + 500
	for i := range n {
		e.Observe(record("m", time.Duration(i)*time.Second, func(ev *event.Event) {
			ev.Kind, ev.Tool = event.ToolResult, "mcp_tool"
			ev.Parameters = fmt.Sprintf(`{"mcp_server_name":"srv%d","mcp_tool_name":"x"}`, i)
		}))
	}
	out := e.Close(day)
	count := 0
	for _, f := range out {
		count += f.Count
	}
	if len(out) != maxChanges+1 || count != n || out[len(out)-1].Count != 500 || !strings.HasSuffix(out[len(out)-1].Title, ": (all others)") {
		t.Errorf("%d findings of %d calls; the last: %+v", len(out), count, out[len(out)-1].Title)
	}
}

func TestMatrixScopeAndDenyTest(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Roles = []org.Role{
		{Name: txt("pilot"), Grants: []org.Grant{{Capability: txt(Cowork), Because: "claims pilot"}, {Connector: txt("all"), Level: "always"}},
			AdminAreas: map[string]string{"identity_access": "manage"}},
	}
	c.Groups = []org.Group{group("g", []string{"in"}, "pilot")}
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true}}
	members := func(plainRole string) []org.Member {
		return []org.Member{{ID: "in", OrgRole: "custom"}, {ID: "out", OrgRole: plainRole}, {ID: "o", OrgRole: "owner"}}
	}
	good := New(org.NewDirectory(c, members("custom")), current())
	if s := good.EffectiveScope(day); s != "groups" {
		t.Errorf("scope %q", s)
	}
	if n, f := good.DenyTest(day); n != 1 || f != 0 {
		t.Errorf("deny test %d, %d failures", n, f)
	}
	bad := New(org.NewDirectory(c, members("user")), current())
	if s := bad.EffectiveScope(day); s != "all" {
		t.Errorf("scope %q", s)
	}
	if n, f := bad.DenyTest(day); n != 1 || f != 1 {
		t.Errorf("deny test %d, %d failures", n, f)
	}
	m := good.Matrix(day)
	if len(m.Rows) != 1 || m.Rows[0].Members != 1 {
		t.Fatalf("%+v", m.Rows)
	}
	i := slices.IndexFunc(m.Rows[0].Cells, func(c Cell) bool { return c.Name == Cowork })
	if x := m.Rows[0].Cells[i]; x.Level != "allow" || x.Because != "claims pilot" {
		t.Errorf("%+v", x)
	}
	ids := func(e *Engine) (out []string) {
		for _, f := range e.Flags(day) {
			out = append(out, f.ID)
		}
		return out
	}
	if got := strings.Join(ids(good), " "); got != "over-broad over-broad no-reason no-access" {
		t.Errorf("flags %s", got)
	}
	if got := ids(bad); !slices.Contains(got, "plain-user") {
		t.Errorf("flags %v", got)
	}
	c.Roles, c.Groups = nil, nil
	if got := ids(New(org.NewDirectory(c, members("user")), current())); !slices.Contains(got, "toggle-before-roles") {
		t.Errorf("flags %v", got)
	}
}

func TestDefaultRules(t *testing.T) {
	facts := map[string]string{"cowork-org-default": "yes", "cowork-cloud-sessions": "conditional",
		"cowork-cloud-sessions/enterprise_default_on": "false", "cowork-ga-date/ga_date": "2026-04-09",
		"rbac-connector-permissions": "unknown", "rbac-custom-no-role/keeps_chat": "true", "role-change-lag-minutes/max": "15"}
	got := DefaultRules("enterprise", func(id, param string) (string, bool) {
		if param != "" {
			id += "/" + param
		}
		v, ok := facts[id]
		return v, ok
	})
	if got.CoworkDefault != On || got.Cloud != On || got.CloudDefault != Off || !got.CoworkGA || !got.CloudGA ||
		got.ConnectorRoles != Unknown || !got.CustomWithoutRoleKeepsChat || got.Lags[org.ByRole].Longest != 15*time.Minute {
		t.Errorf("%+v", got)
	}
}
