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

// laggy has a lag of its own for each channel, so that a test sees which one ran.
func laggy() Rules {
	r := current()
	for ch := range r.Lags {
		n := time.Duration(ch+1) * 10 * time.Minute
		r.Lags[ch] = Lag{Usual: n / 2, Longest: n, Source: "fact " + org.Channel(ch).LagFact()}
	}
	return r
}

// Each kind of change is in flight for its own time, names both answers, and then
// has arrived.
func TestEveryChangeTravelsItsOwnTime(t *testing.T) {
	minutes := func(n int) *int { return &n }
	ask := func(e *Engine, at time.Time) Decision { return e.Capability(0, Cowork, at) }
	for _, tc := range []struct {
		name          string
		edit          func(c *org.Config)
		ask           func(e *Engine, at time.Time) Decision
		lag           int // minutes
		channel       string
		before, after string
	}{
		{"a group filled by hand", func(c *org.Config) {
			c.Changes = []org.Change{{When: day, Group: &org.GroupChange{Name: txt("g"), Remove: &org.Selector{All: true}}}}
		}, ask, 10, "membership", "allow", "deny"},
		{"a group the identity provider pushes", func(c *org.Config) {
			c.Groups[0].Source = "scim"
			c.Changes = []org.Change{{When: day, Group: &org.GroupChange{Name: txt("g"), Remove: &org.Selector{All: true}}}}
		}, ask, 20, "scim_group", "allow", "deny"},
		{"and pushes every forty minutes", func(c *org.Config) {
			c.Groups[0].Source, c.Organisation.SCIMPush = "scim", 40
			c.Changes = []org.Change{{When: day, Group: &org.GroupChange{Name: txt("g"), Remove: &org.Selector{All: true}}}}
		}, ask, 60, "scim_group", "allow", "deny"},
		{"a leaver", func(c *org.Config) {
			c.Organisation.Directory = "scim"
			c.Changes = []org.Change{{When: day, Leave: &org.Selector{All: true}}}
		}, ask, 30, "provisioning", "allow", "deny"},
		{"a joiner", func(c *org.Config) {
			c.Organisation.Directory = "scim"
			c.Changes = []org.Change{{When: day, Join: &org.Selector{All: true}}}
		}, ask, 30, "provisioning", "deny", "allow"},
		{"a leaver whom somebody removes by hand", func(c *org.Config) {
			c.Organisation.Directory = "invite"
			c.Changes = []org.Change{{When: day, Leave: &org.Selector{All: true}}}
		}, ask, 0, "", "allow", "deny"},
		{"a row of a role", func(c *org.Config) {
			c.Changes = []org.Change{{When: day, Role: &org.RoleChange{Name: txt("pilot"), Remove: []org.Grant{{Capability: txt(Cowork)}}}}}
		}, ask, 40, "role", "allow", "deny"},
		{"a role taken off a group of the identity provider", func(c *org.Config) {
			c.Groups[0].Source, c.Organisation.SCIMPush = "scim", 40
			c.Changes = []org.Change{{When: day, Group: &org.GroupChange{Name: txt("g"), Detach: texts("pilot")}}}
		}, ask, 40, "role", "allow", "deny"},
		{"the organisation's switch", func(c *org.Config) {
			c.Changes = []org.Change{{When: day, Settings: &org.Settings{Cowork: no()}}}
		}, ask, 50, "organisation", "allow", "deny"},
		{"a connector's policy", func(c *org.Config) {
			c.Changes = []org.Change{{When: day, Connector: &org.ConnectorChange{Name: txt("Zoom"), Policy: "blocked"}}}
		}, func(e *Engine, at time.Time) Decision { return e.Connector(0, "Zoom", "get", false, at) }, 60, "connector", "ask", "deny"},
		{"a plugin", func(c *org.Config) {
			c.Changes = []org.Change{{When: day, Plugin: &org.PluginLevel{Plugin: txt("kit"), Level: "required"}}}
		}, func(e *Engine, at time.Time) Decision { return e.Plugin(0, "kit", at) }, 70, "plugin", "available", "required"},
		{"a seat", func(c *org.Config) {
			c.Organisation.SeatTiers = []org.SeatTier{{Name: txt("chat"), Excludes: []string{Cowork}}}
			c.Changes = []org.Change{{When: day, Members: &org.MemberRule{Select: org.Selector{All: true}, Role: "custom", Seat: txt("chat")}}}
		}, ask, 80, "seat", "allow", "deny"},
		{"what the scenario says of its own", func(c *org.Config) {
			c.Organisation.Propagation = &org.Propagation{Role: minutes(3), Because: "measured in March"}
			c.Changes = []org.Change{{When: day, Role: &org.RoleChange{Name: txt("pilot"), Remove: []org.Grant{{Capability: txt(Cowork)}}}}}
		}, ask, 3, "role", "allow", "deny"},
		{"which can be at once", func(c *org.Config) {
			c.Organisation.Propagation = &org.Propagation{Role: minutes(0)}
			c.Changes = []org.Change{{When: day, Role: &org.RoleChange{Name: txt("pilot"), Remove: []org.Grant{{Capability: txt(Cowork)}}}}}
		}, ask, 0, "", "allow", "deny"},
	} {
		c := setup("enterprise", "custom", yes())
		c.Roles = []org.Role{caps("pilot", Cowork)}
		c.Groups = []org.Group{group("g", []string{"m"}, "pilot")}
		c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "get", ReadOnly: true}}}}
		c.Plugins = []org.Plugin{{Name: txt("kit"), Level: "available"}}
		tc.edit(c)
		e := engine(c, laggy())
		word := func(at time.Duration) string { return outcomeWord(tc.ask(e, day.Add(at))) }
		end := time.Duration(tc.lag) * time.Minute
		if got := word(-1); got != tc.before {
			t.Errorf("%s: before it is made: %s", tc.name, got)
		}
		if got := word(end); got != tc.after {
			t.Errorf("%s: when it has arrived: %s", tc.name, got)
		}
		if tc.lag == 0 {
			continue
		}
		for _, at := range []time.Duration{0, end - 1} {
			d := tc.ask(e, day.Add(at))
			f := d.Flight
			if d.Outcome != InFlight || f == nil {
				t.Errorf("%s: %s after it was made: %+v", tc.name, at, d)
				continue
			}
			if len(f.Changes) != 1 || f.Changes[0].Channel != tc.channel || !f.Until.Equal(day.Add(end)) || f.Changes[0].Longest != tc.lag {
				t.Errorf("%s: %+v", tc.name, f)
			}
			if len(f.Before) != 1 || f.Before[0].Outcome != tc.before || f.After.Outcome != tc.after || f.Before[0].Reason == "" || f.After.Reason == "" {
				t.Errorf("%s: answers %+v", tc.name, f)
			}
			if b := c.Organisation.Propagation; b != nil && !strings.Contains(d.Reasons[0].Text, "stated by the scenario: measured in March") {
				t.Errorf("%s: %s", tc.name, d.Reasons[0].Text)
			}
		}
		x := e.Explain(0, Question{Kind: "capability", Name: Cowork}, day)
		if x.Outcome == InFlight && (len(x.Steps) < 3 || !x.Steps[0].Decides || x.Steps[1].Level != "before" || x.Steps[2].Level != "after") {
			t.Errorf("%s: %+v", tc.name, x.Steps)
		}
	}
}

// Changes of different kinds overtake each other: a slow one keeps a fast one
// neither in flight nor out of it.
func TestChangesOvertake(t *testing.T) {
	c := setup("enterprise", "custom", yes())
	c.Roles = []org.Role{caps("pilot", Cowork), caps("memory", "memory")}
	c.Groups = []org.Group{group("g", []string{"m"}, "pilot"), group("h", nil, "memory")}
	c.Plugins = []org.Plugin{{Name: txt("kit"), Level: "available"}}
	c.Changes = []org.Change{
		{When: day, Plugin: &org.PluginLevel{Plugin: txt("kit"), Level: "required"}},                                            // 70 minutes
		{When: day.Add(time.Minute), Role: &org.RoleChange{Name: txt("pilot"), Remove: []org.Grant{{Capability: txt(Cowork)}}}}, // 40
		{When: day.Add(2 * time.Minute), Group: &org.GroupChange{Name: txt("h"), Add: &org.Selector{All: true}}},                // 10
	}
	e := engine(c, laggy())
	for _, tc := range []struct {
		minute int
		want   string
	}{
		{0, "allow deny in flight"},
		{5, "in flight in flight in flight"},
		{15, "in flight allow in flight"},
		{45, "deny allow in flight"},
		{70, "deny allow required"},
	} {
		at := day.Add(time.Duration(tc.minute) * time.Minute)
		if got := fmt.Sprintf("%v %v %s", e.Allowed(0, Cowork, at), e.Allowed(0, "memory", at), outcomeWord(e.Plugin(0, "kit", at))); got != tc.want {
			t.Errorf("after %d minutes: %s, want %s", tc.minute, got, tc.want)
		}
	}
	// Only the change that matters is named.
	if f := e.Capability(0, Cowork, day.Add(5*time.Minute)).Flight; len(f.Changes) != 1 || f.Changes[0].Channel != "role" {
		t.Errorf("%+v", f.Changes)
	}
	// More channels at once than are combined one by one are still all looked at.
	for i := range 8 {
		c.Changes = append(c.Changes, org.Change{When: day.Add(time.Duration(i) * time.Second), Toggles: map[string]bool{"web_search": i%2 == 0}},
			org.Change{When: day.Add(time.Duration(i) * time.Second), Connector: &org.ConnectorChange{Name: txt("Zoom"), Policy: "ask"}},
			org.Change{When: day.Add(time.Duration(i) * time.Second), Skill: &org.SkillLevel{Skill: txt("s"), Level: "required"}})
	}
	c.Connectors, c.Skills = []org.Connector{{Name: txt("Zoom"), Enabled: true}}, []org.Skill{{Name: txt("s"), Level: "available"}}
	e = engine(c, laggy())
	at := day.Add(5 * time.Minute)
	if got := fmt.Sprint(e.Allowed(0, Cowork, at), e.Capability(0, Cowork, at).Outcome, e.Skill(0, "s", at).Outcome); got != "in flight in flight in flight" {
		t.Error(got)
	}
}

// A change that somebody saw arrive says that those made before it on the same way
// have arrived as well; one seen late keeps those after it waiting.
func TestStatedArrivals(t *testing.T) {
	build := func(first, second time.Time) *Engine {
		c := setup("enterprise", "custom", yes())
		c.Roles = []org.Role{caps("pilot", Cowork), caps("memory", "memory")}
		c.Groups = []org.Group{group("g", []string{"m"}, "pilot"), group("h", nil, "memory")}
		c.Groups[0].Source, c.Groups[1].Source = "scim", "scim"
		c.Changes = []org.Change{
			{When: day, Until: first, Group: &org.GroupChange{Name: txt("g"), Remove: &org.Selector{All: true}}},
			{When: day.Add(5 * time.Minute), Until: second, Group: &org.GroupChange{Name: txt("h"), Add: &org.Selector{All: true}}},
		}
		return engine(c, laggy()) // 20 minutes
	}
	for _, tc := range []struct {
		first, second int // minutes; 0: not stated
		at            int
		want          string
	}{
		{0, 0, 19, "in flight in flight"},
		{0, 0, 20, "deny in flight"},
		{0, 0, 25, "deny allow"},
		{0, 10, 9, "in flight in flight"},
		{0, 10, 10, "deny allow"},
		{60, 0, 30, "in flight in flight"},
		{60, 0, 60, "deny allow"},
	} {
		when := func(n int) time.Time {
			if n == 0 {
				return time.Time{}
			}
			return day.Add(time.Duration(n) * time.Minute)
		}
		e := build(when(tc.first), when(tc.second))
		at := day.Add(time.Duration(tc.at) * time.Minute)
		if got := fmt.Sprint(e.Allowed(0, Cowork, at), " ", e.Allowed(0, "memory", at)); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

// What happens while a change spreads is no disagreement of policy and stream.
func TestUseInFlightIsNotJudged(t *testing.T) {
	build := func(lags bool) *Engine {
		c := setup("enterprise", "custom", yes())
		c.Roles = []org.Role{caps("pilot", Cowork), conn("zoom", [3]string{"Zoom", "", "always"})}
		c.Groups = []org.Group{group("g", []string{"m"}, "pilot", "zoom")}
		c.Connectors = []org.Connector{{Name: txt("Zoom"), Enabled: true, Tools: []org.Tool{{Name: "get", ReadOnly: true}}}}
		c.Organisation.Directory = "scim"
		c.Changes = []org.Change{
			{When: day, Role: &org.RoleChange{Name: txt("pilot"), Delete: true}},
			{When: day, Connector: &org.ConnectorChange{Name: txt("Zoom"), Policy: "blocked"}},
			{When: day.Add(24 * time.Hour), Leave: &org.Selector{All: true}},
		}
		r := current()
		if lags {
			r = laggy()
		}
		return New(org.NewDirectory(c, []org.Member{{ID: "m", Account: "m", OrgRole: "custom"}}), r)
	}
	feed := func(observe func(*event.Event), after time.Duration) {
		observe(record("m", after, nil))
		observe(record("m", after, zoomCall("get")))
	}
	rulesOf := func(e *Engine) (out []string) {
		for _, f := range e.Close(day) {
			out = append(out, f.Rule)
		}
		return out
	}
	e := build(true)
	feed(e.Observe, 39*time.Minute)
	if got := rulesOf(e); got != nil || e.Counters().InFlight != 3 {
		t.Errorf("in flight: %v, %+v", got, e.Counters())
	}
	feed(e.Observe, 61*time.Minute)
	if got := rulesOf(e); !slices.Equal(got, []string{"rbac-capability", "rbac-connector"}) {
		t.Errorf("arrived: %v", got)
	}
	e = build(false)
	feed(e.Observe, 0)
	if got := rulesOf(e); !slices.Equal(got, []string{"rbac-capability", "rbac-connector"}) {
		t.Errorf("without a lag: %v", got)
	}
	w := NewWhatIf(build(true), build(true))
	feed(w.Observe, 39*time.Minute)
	if res := w.Close(day); len(res.Impossible) != 0 || res.Blind.Undecided != 2 {
		t.Errorf("what-if in flight: %+v", res)
	}
	w = NewWhatIf(build(true), build(true))
	feed(w.Observe, 61*time.Minute)
	if res := w.Close(day); len(res.Impossible) != 2 || res.Blind.Undecided != 0 {
		t.Errorf("what-if arrived: %+v", res)
	}

	// A leaver's last minutes are a finding, but not that of an account left open.
	e = build(true)
	feed(e.Observe, 24*time.Hour+29*time.Minute)
	if got := rulesOf(e); !slices.Equal(got, []string{"rbac-leaver-in-flight"}) {
		t.Errorf("leaving: %v", got)
	}
	if s := e.Departures(day.Add(48 * time.Hour))[0].String(); !strings.Contains(s, "it still worked 29m0s later; the removal may take 30 minutes to arrive (fact provisioning-lag-minutes)") {
		t.Error(s)
	}
	feed(e.Observe, 24*time.Hour+31*time.Minute)
	if got := rulesOf(e); !slices.Equal(got, []string{"rbac-leaver-in-flight", "rbac-leaver"}) {
		t.Errorf("left: %v", got)
	}
	if d := e.Departures(day.Add(48 * time.Hour))[0]; d.Records != 4 || d.InFlight != 2 {
		t.Errorf("%+v", d)
	}
}
