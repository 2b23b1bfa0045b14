package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Every explanation agrees with the decision, names the level that decided once,
// and has a line of glossary.
func TestExplainAgrees(t *testing.T) {
	e := office(func(c *org.Config) {
		c.Organisation.Settings.Cloud = no()
		c.Plugins = append(c.Plugins, org.Plugin{Name: txt("hidden"), Level: "not_available"})
	})
	qs := []Question{{Kind: "server", Name: "box"}, {Kind: "model", Name: "claude-opus-5"}, {Kind: "connector", Name: "Zoom"}, {Kind: "capability", Name: "permission_billing"}}
	qs = append(qs, questions(e)...)
	for m := range 3 {
		for _, q := range qs {
			x := e.Explain(m, q, day)
			want := e.answer(m, q, day)
			switch q.Kind {
			case "server":
				want.Outcome = NotGoverned
			case "model":
				want = e.Model(m, q.Name, "", day)
			case "connector":
				want = e.ConnectorCall(m, Call{Connector: q.Name, Tool: q.Tool, Write: q.Tool != ""}, day)
			}
			decides := 0
			for _, s := range x.Steps {
				if s.Decides {
					decides++
				}
				if s.Text == "" || s.Level == "" {
					t.Errorf("%d %s: %+v", m, q, s)
				}
			}
			if x.Outcome != want.Outcome || decides != 1 || !strings.HasPrefix(x.Glossary, x.Outcome.String()+":") {
				t.Errorf("%d %s: %v, %d deciding steps, want %v\n%+v", m, q, x.Outcome, decides, want.Outcome, x)
			}
		}
	}
}

func TestAskQuestions(t *testing.T) {
	e := office(nil)
	for text, want := range map[string]string{"cowork": "capability cowork ", "zoom": "connector Zoom ", "ZOOM/get": "connector Zoom get", "plugin:kit": "plugin kit ",
		"skill:notes": "skill notes ", "model:m": "model m ", "server:s": "server s ", "permission_billing": "capability permission_billing ", "fast_mode": "capability fast_mode "} {
		q, err := e.Ask(text)
		if got := q.Kind + " " + q.Name + " " + q.Tool; err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"cowrk": `did you mean "cowork"`, "zoom/gett": `did you mean "get"`, "plugin:kti": `did you mean "kit"`, "thing:x": "no kind of question", "zom/get": `did you mean "Zoom"`} {
		if _, err := e.Ask(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPickMember(t *testing.T) {
	d := org.NewDirectory(&org.Config{}, []org.Member{{ID: "user_1", Email: "a@b.test", Account: "acc", Department: "Customer Service"}, {Department: "IT"}, {Department: "Customer Service"}})
	for text, want := range map[string]int{"user_1": 0, "A@b.test": 0, "acc": 0, "customer-service#2": 2, "Customer Service#1": 0, "it#1": 1, "all#3": 2} {
		if got, err := PickMember(d, text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"it#2": "there are only 1", "its#1": "did you mean it#1", "it#0": "a place from 1", "it#x": "a place from 1", "nobody": "customer-service#1"} {
		if _, err := PickMember(d, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for i := range d.Len() {
		if got, err := PickMember(d, Place(d, i)); err != nil || got != i {
			t.Errorf("%s is not %d", Place(d, i), i)
		}
	}
}

// What is written out and read back changes nothing, formulas and all.
func TestSheetRoundTrip(t *testing.T) {
	e := office(func(c *org.Config) {
		c.Roles[0].Grants[0].Because = "=SUM(A1:A9)"
		c.Roles[0].Grants[1].Because = "'tis needed, \"really\""
		c.Roles[0].Grants = append(c.Roles[0].Grants, org.Grant{Connector: txt("all"), Level: "ask"}, org.Grant{Capability: txt(accessAllGA)})
	})
	sheet := e.Sheet(day)
	if !strings.Contains(string(sheet), ",'=SUM(A1:A9),") {
		t.Errorf("a formula is not quoted:\n%s", sheet)
	}
	ed, err := ReadSheet(e.dir.Config, "s.csv", sheet)
	if err != nil {
		t.Fatal(err)
	}
	if len(ed.Lines) > 0 {
		t.Errorf("%q", ed.Lines)
	}
	for i, r := range ed.Roles {
		if len(r.Grants) != len(e.dir.Config.Roles[i].Grants) {
			t.Errorf("%+v", r)
		}
		for j, g := range r.Grants {
			if g != e.dir.Config.Roles[i].Grants[j] {
				t.Errorf("%+v became %+v", e.dir.Config.Roles[i].Grants[j], g)
			}
		}
	}
}

func TestReadSheet(t *testing.T) {
	cfg := office(nil).dir.Config
	head := "group;role;kind;name;grant;because\n"
	ed, err := ReadSheet(cfg, "s.csv", []byte(head+
		"pilots;pilot;capability;memory;;\n"+
		"pilots;pilot;connector;Zoom/get;ask;slower, but seen\n"+
		"rest;base;capability;cowork;YES;now for all\n"+
		"rest;extra;skill;notes;yes;\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"role pilot (carried by pilots)", "  - memory", "  ~ Zoom/get: always becomes ask", "  ~ Zoom/get: another reason",
		"role base (carried by rest)", "  + cowork", "role extra (new)", "  + skill:notes (no reason written)", "group rest\n  + role extra"}
	if !slices.Equal(ed.Lines, want) {
		t.Errorf("got  %q\nwant %q", ed.Lines, want)
	}
	next := *cfg
	next.Roles, next.Groups = ed.Roles, ed.Groups
	e := New(org.NewDirectory(&next, []org.Member{{ID: "in", OrgRole: "custom"}, {ID: "out", OrgRole: "custom"}}), current())
	if got := fmt.Sprint(e.Allowed(0, "memory", day), e.Allowed(1, Cowork, day), e.Connector(0, "Zoom", "get", false, day).Outcome); got != "deny allow ask" {
		t.Error(got)
	}
	for _, tc := range []struct{ rows, want string }{
		{"pilot;pilot;capability;cowork;yes;\n", `s.csv:2:1: "pilot" is not a group`},
		{"pilots;pilot;capability;cowrk;yes;\n", `"cowrk" is not a capability`},
		{"pilots;pilot;connector;Zoom/get;yes;\n", `"yes" is no grant of a connector`},
		{"pilots;;capability;cowork;yes;\n", "groups hold nothing without a role"},
		{"pilots;pilot;thing;cowork;yes;\n", `"thing" is not a kind`},
		{"pilots;base;capability;cowork;yes;a\nrest;base;capability;cowork;;\n", `role "base" has cowork once as "yes, a" and once as "no row"`},
	} {
		if _, err := ReadSheet(cfg, "s.csv", []byte(head+tc.rows)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %s", tc.rows, err, tc.want)
		}
	}
	for _, bad := range []string{"", "a,b\n1,2\n", "group,role,kind,name\n"} {
		if _, err := ReadSheet(cfg, "s.csv", []byte(bad)); err == nil {
			t.Errorf("%q was taken for a sheet", bad)
		}
	}
}

// The column of reasons may be left out, and then says nothing of them.
func TestSheetWithoutReasons(t *testing.T) {
	cfg := office(func(c *org.Config) { c.Roles[0].Grants[1].Because = "asked for by the works council" }).dir.Config
	ed, err := ReadSheet(cfg, "s.csv", []byte("group,role,kind,name,grant\npilots,pilot,capability,memory,yes\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(ed.Lines) > 0 || ed.Roles[0].Grants[1].Because != "asked for by the works council" {
		t.Errorf("%q, %+v", ed.Lines, ed.Roles[0].Grants[1])
	}
}

func FuzzReadSheet(f *testing.F) {
	e := office(nil)
	f.Add(e.Sheet(day))
	f.Add([]byte("group;role;kind;name;grant\npilots;pilot;capability;memory;\n"))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = ReadSheet(e.dir.Config, "s.csv", data) })
}

// Members who keep what the configuration means to take (1.4: rows only grant).
func TestKeptByUnion(t *testing.T) {
	has := func(e *Engine, text string) bool {
		return slices.ContainsFunc(e.Flags(day), func(f Flag) bool { return f.ID == "union" && strings.Contains(f.Text, text) })
	}
	if e := office(nil); slices.ContainsFunc(e.Flags(day), func(f Flag) bool { return f.ID == "union" }) {
		t.Errorf("%+v", e.Flags(day))
	}
	moved := office(func(c *org.Config) {
		c.Groups = append(c.Groups, group("second", []string{"in"}, "pilot"))
		c.Changes = []org.Change{{When: day.AddDate(0, 0, -1), Group: &org.GroupChange{Name: txt("pilots"), Remove: &org.Selector{All: true}}}}
	})
	if !has(moved, "members taken out of group pilots keep Cowork by way of group second") {
		t.Errorf("%+v", moved.Flags(day))
	}
	// One member is one, however often other things of theirs changed before.
	often := office(func(c *org.Config) {
		c.Groups = append(c.Groups, group("second", []string{"in"}, "pilot"), group("third", nil))
		at := func(days int, g *org.GroupChange) org.Change {
			return org.Change{When: day.AddDate(0, 0, days), Group: g}
		}
		c.Changes = []org.Change{
			at(-5, &org.GroupChange{Name: txt("third"), Add: &org.Selector{Ids: []string{"in"}}}),
			at(-4, &org.GroupChange{Name: txt("third"), Remove: &org.Selector{Ids: []string{"in"}}}),
			at(-3, &org.GroupChange{Name: txt("pilots"), Remove: &org.Selector{All: true}}),
		}
	})
	if !has(often, "members taken out of group pilots keep Cowork by way of group second (1)") {
		t.Errorf("%+v", often.Flags(day))
	}
	hidden := office(func(c *org.Config) {
		c.Groups = append(c.Groups, group("strict", []string{"in"}))
		c.Groups[2].Plugins = []org.PluginLevel{{Plugin: txt("kit"), Level: "not_available"}}
		c.Groups[0].Plugins = []org.PluginLevel{{Plugin: txt("kit"), Level: "installed"}}
	})
	if !has(hidden, "members of group strict see plugin kit") {
		t.Errorf("%+v", hidden.Flags(day))
	}
	silent := office(func(c *org.Config) { c.Groups[1].Members[0].Select.Ids = []string{"in"}; c.Roles[1].Connectors = "" })
	if !has(silent, "whose role pilot names single tools of Zoom reach all of its tools") {
		t.Errorf("%+v", silent.Flags(day))
	}
}
