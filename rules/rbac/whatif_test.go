package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// office is three members in two groups: "in" pilots Cowork with a narrow role,
// "out" has a base role, "gone" left.
func office(edit func(*org.Config)) *Engine {
	c := setup("enterprise", "custom", yes())
	c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "get", ReadOnly: true}, {Name: "send", Write: true}}}}
	c.Skills = []org.Skill{{Name: txt("notes"), Level: "available"}, {Name: txt("idle"), Level: "available"}}
	c.Plugins = []org.Plugin{{Name: txt("kit"), Level: "available"}}
	c.Roles = []org.Role{
		{Name: txt("pilot"), Grants: []org.Grant{{Capability: txt(Cowork)}, {Capability: txt("memory")}, {Connector: txt("Zoom"), Tool: "get", Level: "always"},
			{Connector: txt("Zoom"), Tool: "send", Level: "ask"}, {Skill: txt("notes")}, {Skill: txt("idle")}, {Plugin: txt("kit")}}},
		{Name: txt("base"), Grants: []org.Grant{{Capability: txt(Chat)}}, Connectors: "custom"},
	}
	c.Groups = []org.Group{group("pilots", []string{"in"}, "pilot"), group("rest", []string{"out", "gone"}, "base")}
	if edit != nil {
		edit(c)
	}
	return New(org.NewDirectory(c, []org.Member{
		{ID: "in", Account: "a-in", OrgRole: "custom"}, {ID: "out", Account: "a-out", OrgRole: "custom"},
		{ID: "gone", Account: "a-gone", OrgRole: "custom", Left: day.AddDate(0, 0, -1)},
	}), current())
}

func record(account string, at time.Duration, edit func(*event.Event)) *event.Event {
	ev := &event.Event{Kind: event.UserPrompt, Product: event.Cowork, Account: account, Session: "s", Time: day.Add(at).UnixNano()}
	if edit != nil {
		edit(ev)
	}
	ev.Derive()
	return ev
}

func zoomCall(tool string) func(*event.Event) {
	return func(ev *event.Event) {
		ev.Kind, ev.Tool = event.ToolResult, "mcp_tool"
		ev.Parameters = `{"mcp_server_name":"claude.ai Zoom","mcp_tool_name":"` + tool + `"}`
	}
}

func skill(name string) func(*event.Event) {
	return func(ev *event.Event) { ev.Kind, ev.Skill = event.SkillActivated, name }
}

func TestWhatIf(t *testing.T) {
	a := office(nil)
	b := office(func(c *org.Config) {
		c.Roles[0].Grants = slices.DeleteFunc(c.Roles[0].Grants, func(g org.Grant) bool { return g.Tool == "get" })
		c.Roles[1].Grants = append(c.Roles[1].Grants, org.Grant{Capability: txt(Cowork)})
		c.Skills[0].Level = "not_available"
		c.Roles[0].Grants = slices.DeleteFunc(c.Roles[0].Grants, func(g org.Grant) bool { return g.Skill.Value == "notes" })
	})
	w := NewWhatIf(a, b)
	for i := range 5 {
		w.Observe(record("a-in", time.Duration(i)*time.Minute, nil))
		w.Observe(record("a-in", time.Duration(i)*time.Minute, zoomCall("get")))
	}
	w.Observe(record("a-in", time.Hour, zoomCall("send")))
	w.Observe(record("a-in", time.Hour, skill("notes")))
	w.Observe(record("a-out", 2*time.Hour, nil)) // denied today, and yet it happened
	w.Observe(record("", 0, nil))
	w.Observe(record("nobody", 0, nil))
	w.Observe(record("a-in", 0, func(ev *event.Event) { ev.Product = event.ClaudeCode }))
	w.Observe(record("a-in", 0, func(ev *event.Event) { ev.Kind, ev.Tool = event.ToolResult, "mcp_tool" }))
	w.Observe(record("a-in", 0, skill("custom_skill")))
	w.Observe(record("a-in", 0, func(ev *event.Event) { // not an attempt beside skill_activated
		ev.Kind, ev.Tool, ev.Parameters = event.ToolResult, "Skill", `{"skill_name":"notes"}`
	}))
	r := w.Close(day.AddDate(0, 0, 1))
	var got []string
	for _, c := range r.Changes {
		got = append(got, fmt.Sprintf("%s %s>%s %d/%d gains=%v", c.Question, c.From, c.To, c.Uses, c.Users, c.Gains))
	}
	want := []string{
		"claude.ai Zoom/get allow>deny 5/1 gains=false",
		"cowork deny>allow 1/1 gains=true",
		"skill:notes available>deny 1/1 gains=false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c := r.Changes[0]; !c.First.Equal(day) || !c.Last.Equal(day.Add(4*time.Minute)) || !strings.Contains(c.Reason, "no role of the member grants") {
		t.Errorf("%+v", c)
	}
	if len(r.Impossible) != 1 || r.Impossible[0].Question.Name != Cowork || r.Impossible[0].Members[0] != "a-out" {
		t.Errorf("%+v", r.Impossible)
	}
	if r.Attempts != 13 || r.Unchanged != 6 {
		t.Errorf("%d attempts, %d unchanged", r.Attempts, r.Unchanged)
	}
	if r.Blind != (Blind{Unattributed: 1, Strangers: 1, Unnamed: 1, UnnamedItems: 1, OtherProduct: 1}) {
		t.Errorf("%+v", r.Blind)
	}
	var reach []string
	for _, d := range r.Reach {
		reach = append(reach, fmt.Sprintf("%s %s>%s %d", d.Question, d.From, d.To, d.Count))
	}
	// "gone" left and is denied by both; what nobody used shows here all the same.
	if want := []string{"cowork deny>allow 1", "Zoom/get allow>deny 1", "skill:notes available>deny 2"}; !slices.Equal(reach, want) {
		t.Errorf("reach %q, want %q", reach, want)
	}
}

// Under one and the same policy nothing changes, whatever happens.
func TestWhatIfOfNothing(t *testing.T) {
	w := NewWhatIf(office(nil), office(nil))
	for _, who := range []string{"a-in", "a-out", "a-gone"} {
		for _, edit := range []func(*event.Event){nil, zoomCall("get"), zoomCall("other"), skill("notes"), skill("unheard-of")} {
			w.Observe(record(who, 0, edit))
		}
	}
	if r := w.Close(day); len(r.Changes)+len(r.Reach) != 0 || r.Attempts != 15 || r.Unchanged != 15 {
		t.Errorf("%+v", r)
	}
}

// A stream that only has skill results is counted by them.
func TestWhatIfSkillResults(t *testing.T) {
	w := NewWhatIf(office(nil), office(func(c *org.Config) { c.Organisation.Settings.Skills = no() }))
	w.Observe(record("a-in", 0, func(ev *event.Event) {
		ev.Kind, ev.Tool, ev.Parameters = event.ToolResult, "Skill", `{"skill_name":"notes"}`
	}))
	r := w.Close(day)
	if len(r.Changes) != 1 || r.Changes[0].Question.String() != "skill:notes" || r.Attempts != 1 || r.Unchanged != 0 {
		t.Errorf("%+v", r)
	}
}

// A skill's result inside a change that still spreads is undecided, and so neither
// changed nor unchanged; beside activations it is nothing at all.
func TestWhatIfSkillResultsInFlight(t *testing.T) {
	build := func() *Engine {
		c := setup("enterprise", "custom", yes())
		c.Skills = []org.Skill{{Name: txt("notes"), Level: "not_available"}}
		c.Roles = []org.Role{{Name: txt("pilot"), Grants: []org.Grant{{Capability: txt(Cowork)}, {Skill: txt("notes")}}}}
		c.Groups = []org.Group{group("g", []string{"in"}, "pilot")}
		c.Changes = []org.Change{{When: day, Group: &org.GroupChange{Name: txt("g"), Remove: &org.Selector{All: true}}}}
		return New(org.NewDirectory(c, []org.Member{{ID: "in", Account: "a-in", OrgRole: "custom"}}), laggy())
	}
	result := func(at time.Duration) *event.Event {
		return record("a-in", at, func(ev *event.Event) {
			ev.Kind, ev.Tool, ev.Parameters = event.ToolResult, "Skill", `{"skill_name":"notes"}`
		})
	}
	w := NewWhatIf(build(), build())
	w.Observe(result(-time.Hour))
	w.Observe(result(time.Second))
	if r := w.Close(day); r.Attempts != 2 || r.Unchanged != 1 || r.Blind.Undecided != 1 {
		t.Errorf("%d attempts, %d unchanged, %d undecided; want 2, 1 and 1", r.Attempts, r.Unchanged, r.Blind.Undecided)
	}
	w.Observe(record("a-in", time.Minute, skill("notes")))
	if r := w.Close(day); r.Attempts != 1 || r.Unchanged != 0 || r.Blind.Undecided != 1 {
		t.Errorf("with an activation: %d attempts, %d unchanged, %d undecided; want 1, 0 and 1", r.Attempts, r.Unchanged, r.Blind.Undecided)
	}
}

func TestSuggest(t *testing.T) {
	e := office(nil)
	u := NewUsage(e)
	u.Observe(record("a-in", 0, nil))
	u.Observe(record("a-in", time.Hour, zoomCall("get")))
	u.Observe(record("a-in", 2*time.Hour, skill("notes")))
	s := u.Suggest(day.Add(3 * time.Hour))
	var got []string
	for _, g := range s.Grants {
		got = append(got, fmt.Sprintf("%s %s %s %d/%d/%d", g.Group, g.Grant, g.Verdict, g.Users, g.Heard, g.Members))
	}
	want := []string{
		"pilots cowork used 1/1/1", "pilots memory not visible 0/1/1", "pilots Zoom/get used 1/1/1", "pilots Zoom/send unused 0/1/1",
		"pilots skill:notes used 1/1/1", "pilots skill:idle unused 0/1/1", "pilots plugin:kit unused 0/1/1", "rest chat not visible 0/0/1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if l := strings.Join(s.Lines, ";"); l != "role pilot (carried by pilots);  - Zoom/send;  - skill:idle;  - plugin:kit" {
		t.Errorf("%s", l)
	}
	if len(s.Edit.Roles[0].Grants) != 4 {
		t.Errorf("%+v", s.Edit.Roles[0])
	}
	own := office(func(c *org.Config) { c.Groups[0].Plugins = []org.PluginLevel{{Plugin: txt("kit"), Level: "installed"}} })
	v := NewUsage(own)
	v.Observe(record("a-in", 0, nil))
	if x := v.Suggest(day); !strings.HasPrefix(strings.Join(x.Lines, ";"), "group pilots (its own setting);  - plugin:kit") || len(x.Edit.Groups[0].Plugins) != 0 || len(own.dir.Config.Groups[0].Plugins) != 1 {
		t.Errorf("%q %+v", x.Lines, x.Edit.Groups)
	}
	// The suggestion, held against the same stream, touches no use.
	trimmed := office(func(c *org.Config) { c.Roles = s.Edit.Roles })
	w := NewWhatIf(e, trimmed)
	w.Observe(record("a-in", time.Hour, zoomCall("get")))
	w.Observe(record("a-in", 2*time.Hour, skill("notes")))
	if r := w.Close(day); len(r.Changes) != 0 {
		t.Errorf("%+v", r.Changes)
	}
	// A server without a name may be any; somebody unknown may be anybody.
	u.Observe(record("a-in", 0, func(ev *event.Event) { ev.Kind, ev.Tool = event.ToolResult, "mcp_tool" }))
	u.Observe(record("", 0, skill("idle")))
	if l := strings.Join(u.Suggest(day).Lines, ";"); l != "role pilot (carried by pilots);  - plugin:kit" {
		t.Errorf("%s", l)
	}
}

// A what-if may cost at most as much again as the replay it rides on: compare
// with BenchmarkObserve.
func BenchmarkWhatIf(b *testing.B) {
	w := NewWhatIf(office(nil), office(func(c *org.Config) { c.Roles[0].Grants = c.Roles[0].Grants[1:] }))
	evs := mixed()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Observe(evs[i%len(evs)])
	}
}

// BenchmarkWhatIfRatio reports how many plain passes of the engine one policy
// what-if costs, both over the same records in turns of the same run.
func BenchmarkWhatIfRatio(b *testing.B) {
	plain := office(nil)
	both := NewWhatIf(office(nil), office(func(c *org.Config) { c.Roles[0].Grants = c.Roles[0].Grants[1:] }))
	evs := mixed()
	var one, two time.Duration
	b.ReportAllocs()
	for b.Loop() {
		at := time.Now()
		for range 100 {
			for _, ev := range evs {
				plain.Observe(ev)
			}
		}
		then := time.Now()
		for range 100 {
			for _, ev := range evs {
				both.Observe(ev)
			}
		}
		one, two = one+then.Sub(at), two+time.Since(then)
	}
	b.ReportMetric(float64(two)/float64(one), "x-plain")
}

func BenchmarkObserve(b *testing.B) {
	e := office(nil)
	evs := mixed()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Observe(evs[i%len(evs)])
	}
}

func mixed() []*event.Event {
	var out []*event.Event
	for range 5 {
		out = append(out, record("a-in", 0, nil), record("a-in", 0, zoomCall("get")), record("a-in", 0, zoomCall("send")), record("a-in", 0, skill("notes")),
			record("a-in", 0, func(ev *event.Event) { ev.Kind = event.APIRequest }), record("a-in", 0, func(ev *event.Event) { ev.Kind = event.HookStart }))
	}
	return out
}
