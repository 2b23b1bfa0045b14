package org

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func decode(t *testing.T, text string) *Config {
	t.Helper()
	f, err := source.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := f.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return &c
}

const changing = `organisation: {name: X, plan: team, seats: 6, arrangements: [zdr], toggles: {memory: false}, settings: {cowork: true, cloud: false},
  departments: [{name: A, members: 4}]}
members: [{select: {all: true}, role: user}]
groups: [{name: g, roles: [r], plugins: [{plugin: p, level: available}], members: [{select: {first: 1}}]}, {name: h}]
roles: [{name: r, grants: [{capability: chat}, {connector: z, level: ask}]}, {name: s}]
connectors: [{name: z, enabled: true}]
plugins: [{name: p}]
skills: [{name: k}]
changes:
  - {on: 2026-05-10, plan: enterprise}
  - {on: "2026-05-11T10:00:00Z", arrives: "2026-05-11T10:40:00Z", group: {name: g, add: {department: A, first: 3}, remove: {first: 1}, attach: [s], detach: [r]}}
  - {on: 2026-05-12, role: {name: r, add: [{connector: z, level: always}, {capability: cowork}], remove: [{capability: chat}]}}
  - {on: 2026-05-13, settings: {cloud: true}}
  - {on: 2026-05-13, toggles: {memory: true}}
  - {on: 2026-05-14, connector: {name: z, enabled: false, policy: blocked}}
  - {on: 2026-05-14, plugin: {plugin: p, level: required}}
  - {on: 2026-05-14, skill: {skill: k, level: installed}}
  - {on: 2026-05-15, arrangements: {add: [hipaa_ready], remove: [zdr]}}
  - {on: 2026-05-16, members: {select: {first: 2}, role: custom}}
  - {on: 2026-05-17, join: {department: General, first: 1}}
  - {on: 2026-05-18, arrives: 2026-05-20, leave: {first: 1}}
  - {on: 2026-05-19, group: {name: g, delete: true}}
  - {on: 2026-05-19, role: {name: s, delete: true}}
`

func TestChanges(t *testing.T) {
	c := decode(t, changing)
	d, err := Build(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, min int) time.Time { return time.Date(2026, 5, day, hour, min, 0, 0, time.UTC) }
	// say renders everything a change can touch.
	say := func(c *Config) string {
		o := &c.Organisation
		rows := ""
		for _, r := range c.Roles {
			rows += r.Name.Value + "["
			for _, g := range r.Grants {
				rows += g.String() + ":" + g.Level + " "
			}
			rows += fmt.Sprintf("%v]", r.Deleted)
		}
		var roles []string
		for _, r := range c.Groups[0].Roles {
			roles = append(roles, r.Value)
		}
		return fmt.Sprintf("%s cloud=%v memory=%v z=%v/%s p=%s k=%s %v g=%v %s", o.Plan.Value, *o.Settings.Cloud, o.Toggles["memory"],
			c.Connectors[0].Enabled, c.Connectors[0].Policy, c.Plugins[0].Level, c.Skills[0].Level, o.Arrangements, roles, rows)
	}
	base := say(c)
	for _, tc := range []struct {
		t    time.Time
		want string
	}{
		{at(9, 0, 0), "team cloud=false memory=false z=true/ p= k= [zdr] g=[r] r[chat: z/*:ask false]s[false]"},
		{at(10, 0, 0), "enterprise cloud=false memory=false z=true/ p= k= [zdr] g=[r] r[chat: z/*:ask false]s[false]"},
		{at(11, 9, 59), "enterprise cloud=false memory=false z=true/ p= k= [zdr] g=[r] r[chat: z/*:ask false]s[false]"},
		{at(11, 10, 0), "enterprise cloud=false memory=false z=true/ p= k= [zdr] g=[s] r[chat: z/*:ask false]s[false]"},
		{at(12, 0, 0), "enterprise cloud=false memory=false z=true/ p= k= [zdr] g=[s] r[z/*:always cowork: false]s[false]"},
		{at(13, 0, 0), "enterprise cloud=true memory=true z=true/ p= k= [zdr] g=[s] r[z/*:always cowork: false]s[false]"},
		{at(15, 0, 0), "enterprise cloud=true memory=true z=false/blocked p=required k=installed [hipaa_ready] g=[s] r[z/*:always cowork: false]s[false]"},
		{at(19, 0, 0), "enterprise cloud=true memory=true z=false/blocked p=required k=installed [hipaa_ready] g=[] r[z/*:always cowork: false]s[true]"},
	} {
		if got := say(c.At(tc.t)); got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.t, got, tc.want)
		}
	}
	if say(c) != base {
		t.Error("At wrote to the configuration it was asked of")
	}
	in := func(tt time.Time) (out string) {
		for m := range d.Len() {
			if d.InGroup(0, m, tt) {
				out += fmt.Sprint(m)
			}
		}
		return out
	}
	for _, tc := range []struct {
		t    time.Time
		want string
	}{{at(10, 0, 0), "0"}, {at(11, 10, 0), "012"}, {at(18, 12, 0), "012"}, {at(19, 0, 0), ""}} {
		if got := in(tc.t); got != tc.want {
			t.Errorf("%s: members %s, want %s", tc.t, got, tc.want)
		}
	}
	if r, _ := d.roleAt(1, at(15, 0, 0)); r != "user" {
		t.Error(r)
	}
	if r, _ := d.roleAt(1, at(16, 0, 0)); r != "custom" {
		t.Error(r)
	}
	m := d.Member(0)
	if !m.Left.Equal(at(18, 0, 0)) || !m.Closed().Equal(at(20, 0, 0)) || !d.Joined(4).Equal(at(17, 0, 0)) {
		t.Errorf("%+v %+v", m, d.Member(4))
	}
	b := d.Boundaries()[2]
	if len(b) != 2 || !b[0].When.Equal(at(11, 10, 0)) || !b[0].Until.Equal(at(11, 10, 40)) {
		t.Errorf("%+v", b)
	}
	if n := len(d.Cuts()); n != 2 {
		t.Errorf("%d cuts", n)
	}
	var words []string
	for i := range c.Changes {
		words = append(words, c.Changes[i].String())
	}
	for _, w := range []string{"the plan becomes enterprise", "group g gains the first 3 of A, loses the first 1 members, gets role s, gives up role r",
		"role r: + z/*, + cowork, - chat", "settings: cloud true", "connector z is disabled gets policy blocked", "the first 1 members leave", "+ hipaa_ready, - zdr"} {
		if !strings.Contains(strings.Join(words, "\n"), w) {
			t.Errorf("no change says %q:\n%s", w, strings.Join(words, "\n"))
		}
	}
}

func TestFaultyChanges(t *testing.T) {
	for _, tc := range []struct{ change, want string }{
		{"{on: tomorrow, plan: team}", `f:1:16: changes: "tomorrow" is neither a day`},
		{"{on: 2026-05-01, plan: team, leave: {first: 1}}", "a change says 2 things: leave, plan"},
		{"{on: 2026-05-01}", "a change says nothing"},
		{"{on: 2026-05-02, arrives: 2026-05-01, plan: team}", "it arrives on 2026-05-01, before it is made on 2026-05-02"},
		{"{on: 2026-05-01, group: {name: g}}", `a change of group "g" changes nothing`},
		{"{on: 2026-05-01, role: {name: r}}", `a change of role "r" changes nothing`},
		{"{plan: team}", "changes.on is missing"},
	} {
		f, err := source.Parse("f", []byte("changes: ["+tc.change+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Changes []Change `yaml:"changes"`
		}
		if err := f.Decode(&c); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\n%v\nwant %s", tc.change, err, tc.want)
		}
	}
}

func roster(csv string) *Config {
	c := &Config{Organisation: Organisation{ID: "org_1", Seats: 9, SeatTiers: []SeatTier{{Name: source.Text{Value: "Chat"}}}},
		Groups: []Group{{Name: source.Text{Value: "g"}}, {Name: source.Text{Value: "h"}}}, Members: []MemberRule{{Select: Selector{All: true}, Role: "custom"}}}
	c.Roster = source.Text{Value: csv, At: source.Pos{File: "f", Line: 1, Col: 1}}
	return c
}

func TestRoster(t *testing.T) {
	c := roster("email,id,role,department,manager,groups,seat,joined,left,removed\n" +
		"ADA@ex.test,user_1,managed,Claims,,g@2026-05-10;h,Chat,2026-05-04,,\n" +
		"ben@ex.test,,,Claims,ada@ex.test,h,,,2026-06-01,2026-06-03\n" +
		"cy@ex.test,,Primary Owner,,,,,,,\n")
	d, err := Build(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, b, cy := d.Member(0), d.Member(1), d.Member(2)
	if d.Len() != 3 || a.Email != "ada@ex.test" || a.OrgRole != "custom" || a.Seat != "Chat" || a.Account == "" || b.Manager != 0 ||
		b.OrgRole != "custom" || cy.OrgRole != "owner" || cy.Department != General || b.Closed().Sub(b.Left) != 48*time.Hour {
		t.Errorf("%+v\n%+v\n%+v", a, b, cy)
	}
	now := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	if !d.InGroup(0, 0, now) || !d.InGroup(1, 0, now) || d.InGroup(0, 1, now) || !d.InGroup(1, 1, now) {
		t.Error("groups of the roster")
	}
	if before := now.AddDate(0, 0, -11); d.InGroup(0, 0, before) || !d.InGroup(1, 0, before) {
		t.Error("a dated group of the roster")
	}
	if b := d.Boundaries()[0]; len(b) != 1 || b[0].When.Day() != 10 {
		t.Errorf("%+v", b)
	}
	if m, ok := d.Lookup("user_1"); !ok || m.Index != 0 {
		t.Error("not found by id")
	}
	again, _ := Build(c, 1)
	if again.Member(1).Account != b.Account {
		t.Error("an invented account has to be the same every time")
	}
}

func TestFaultyRoster(t *testing.T) {
	for _, tc := range []struct{ csv, want string }{
		{"email,rool\na@b,x\n", `unknown column "rool"`},
		{"email\na@b\na@b\n", `f:3:1: roster: "a@b" stands here again`},
		{"email,organisation\na@b,org_2\n", `the member belongs to organisation "org_2", this one is "org_1"`},
		{"email,manager\na@b,c@d\nc@d,e@f\ne@f,a@b\n", "a circle of managers: a@b reports to c@d reports to e@f reports to a@b"},
		{"email,manager\na@b,a@b\n", "a circle of managers: a@b reports to a@b"},
		{"email,manager\na@b,nobody\n", `nobody is "nobody"`},
		{"email,groups\na@b,gg\n", `"gg" is not a group of this scenario`},
		{"email,seat\na@b,Gold\n", `"Gold" is not a seat tier`},
		{"email,role\na@b,emperor\n", `"emperor" is not an organisation role`},
		{"email,joined\na@b,soon\n", `"soon" is neither a day`},
		{"name\nAda\n", "a member without any key"},
		{"email\na@b,c\n", "2 fields, the header has 1"},
		{"email,time_zone\na@b,Mars\n", `"Mars" is not a time zone`},
	} {
		_, ps := CheckRoster(roster(tc.csv))
		if err := ps.Err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q:\n%v\nwant %s", tc.csv, err, tc.want)
		}
	}
}

// A member whose id is the address is one member, not two.
func TestOneKeyTwiceInARow(t *testing.T) {
	c := roster("email,id,account\nada@ex.test,ada@ex.test,ada@ex.test\n")
	if _, ps := CheckRoster(c); len(ps) > 0 {
		t.Error(ps.Err())
	}
}

// Nobody comes back, and nobody leaves before they came: such a member would never
// be there at all.
func TestBackwardsTenure(t *testing.T) {
	const head = "organisation: {name: X, plan: enterprise, seats: 3}\nchanges:\n"
	for _, tc := range []struct{ changes, want string }{
		{"  - {on: 2026-05-10, leave: {first: 1}}\n  - {on: 2026-05-20, join: {first: 2}}\n", "f:4:5: changes: 1 of the first 2 members joins on 2026-05-20, having left by then"},
		{"  - {on: 2026-05-20, join: {first: 2}}\n  - {on: 2026-05-10, leave: {all: true}}\n", "f:3:5: changes: 2 of the first 2 members join on 2026-05-20, having left by then"},
		{"  - {on: 2026-05-10, join: {first: 1}}\n  - {on: 2026-05-10, leave: {first: 2}}\n", ""},
		{"  - {on: 2026-05-10, join: {first: 1}}\n  - {on: 2026-05-20, leave: {first: 1}}\n", ""},
	} {
		_, err := Build(decode(t, head+tc.changes), 1)
		if got := fmt.Sprint(err); tc.want == "" && err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s%v\nwant %s", tc.changes, err, tc.want)
		}
	}
	c := roster("email,left\na@b,2026-05-20\n")
	c.Changes = []Change{{On: source.Text{Value: "2026-05-10"}, When: time.Date(2026, 5, 10, 0, 0, 0, 0, time.UTC), Join: &Selector{All: true}}}
	if _, err := Build(c, 1); err != nil {
		t.Errorf("a member of ten days: %v", err)
	}
	for csv, want := range map[string]string{
		"email,joined,left\na@b,2026-05-20,2026-05-10\n":                    "f:2:1: roster: the member leaves on 2026-05-10, before joining on 2026-05-20",
		"email,joined,left,removed\na@b,2026-05-20,2026-05-20,2026-05-20\n": "",
	} {
		_, ps := CheckRoster(roster(csv))
		if got := fmt.Sprint(ps.Err()); want == "" && len(ps) > 0 || !strings.Contains(got, want) {
			t.Errorf("%q: %v\nwant %s", csv, got, want)
		}
	}
}

func TestLargeLimitInWords(t *testing.T) {
	for micros, want := range map[int64]string{1_000_000_000_000: "1000000", 12_500_000: "12.5", 1_234_567_890_000: "1234567.89", 0: "0"} {
		c := Change{Limit: &LimitChange{Organisation: true, Limit: source.Money{Micros: micros, Given: true}}}
		if got := c.String(); got != "the limit of the organisation is set to "+want+" dollars" {
			t.Error(got)
		}
	}
}

func FuzzRoster(f *testing.F) {
	f.Add("email,manager,groups\na@b,c@d,g\nc@d,,h\n")
	f.Add("id,joined\n\"x\ny\",2026-05-01\n")
	f.Fuzz(func(t *testing.T, csv string) {
		c := roster(csv)
		if _, ps := CheckRoster(c); len(ps) == 0 {
			if _, err := Build(c, 1); err != nil {
				t.Fatal(err)
			}
		}
	})
}
