package exports_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/org/exports"
)

var known = []string{"chat", "cowork", "memory"}

// load reads a draft back as the scenario it is.
func load(t testing.TB, s *exports.Sketch) *org.Config {
	t.Helper()
	data := s.YAML()
	x, err := scenarios.Parse("draft", data, false, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if _, err := org.Build(&x.Config, x.Seed); err != nil {
		t.Fatal(err)
	}
	return &x.Config
}

func add(d *exports.Draft, files ...string) *exports.Draft {
	for i := 0; i+1 < len(files); i += 2 {
		d.Add(files[i], []byte(files[i+1]))
	}
	return d
}

func folder(t testing.TB) *exports.Draft {
	t.Helper()
	d := exports.New(known)
	names, err := filepath.Glob("../../../testdata/exports/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, n := range names {
		data, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		d.Add(filepath.Base(n), data)
	}
	return d
}

// The folder holds Admin API lists, SCIM lists and a log of SCIM requests of one
// small organisation, in the shapes of 1.1, 1.3 and 1.10.
func TestFolder(t *testing.T) {
	d := folder(t)
	s := d.Sketch()
	if err := d.Problems().Err(); err != nil {
		t.Fatal(err)
	}
	c := load(t, s)
	pilot := c.Groups[slices.IndexFunc(c.Groups, func(g org.Group) bool { return g.Name.Value == "cowork-pilot" })]
	if pilot.ID != "rbac_group_01P" || pilot.Source != "scim" || len(pilot.Roles) != 1 || pilot.Unread {
		t.Errorf("%+v", pilot)
	}
	legal := c.Groups[slices.IndexFunc(c.Groups, func(g org.Group) bool { return g.Name.Value == "legal" })]
	if !legal.Unread { // roles: null is unknown, not none
		t.Errorf("%+v", legal)
	}
	role := c.Roles[0]
	rows := ""
	for _, g := range role.Grants {
		rows += g.String() + " " + g.Level + ";"
		if g.Capability.Value == "desktop_agent_x" && !g.Unknown {
			t.Error("an unknown entitlement has to be kept and marked")
		}
	}
	if want := "chat ;desktop_agent_x ;mcpsrv_01Z/get_summary ask;mcpsrv_01Z/x_0123456789abcdef0123456789abcdef always;"; rows != want {
		t.Errorf("rows %s", rows)
	}
	if !role.Partial {
		t.Error("an exported role is partial")
	}
	if len(c.Changes) != 2 || c.Changes[0].Group.Add.Ids[0] != "ben@ex.test" || c.Changes[1].Group.Remove.Ids[0] != "ben@ex.test" {
		t.Errorf("%+v", c.Changes)
	}
	if !strings.Contains(c.Roster.Value, "ben@ex.test,user_01B,Ben Ruiz,Claims,ada@ex.test,user,,2026-05-04T08:00:00Z,2026-05-08T09:00:00Z") {
		t.Errorf("roster:\n%s", c.Roster.Value)
	}
	if c.Spend.Groups[0].Limit.Micros != 25_000_000 { // "2500" cents
		t.Errorf("%+v", c.Spend)
	}
	all := strings.Join(d.Warnings, "\n")
	for _, want := range []string{"nested groups are not expanded", "zoe@sibling.test, who is not a user of this organisation", "circle of managers"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in\n%s", want, all)
		}
	}
	if d.Ignored["user.avatar_url"] != 1 || d.Ignored["rbac_role_permission.action managed on connector"] != 1 {
		t.Errorf("ignored %v", d.Ignored)
	}
}

// Two runs, and any order of the files that keeps lists before what refers to
// them, give the same bytes.
func TestSameBytes(t *testing.T) {
	a, b := folder(t).Sketch().YAML(), folder(t).Sketch().YAML()
	if string(a) != string(b) {
		t.Error("two texts from one folder")
	}
}

const head = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":2,"Resources":[
{"id":"u-1","userName":"a@ex.test","active":true},{"id":"u-2","userName":"b@ex.test","active":true},
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g-1","displayName":"g","members":[{"value":"u-1"},{"value":"u-2"}]}]}`

// The forms of 1.10: what Okta and Entra send for one and the same wish.
func TestPatchForms(t *testing.T) {
	op := func(target, ops string) string {
		return `{"time":"2026-05-06T09:00:00Z","method":"PATCH","path":"/scim/v2/` + target + `","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + ops + `]}}`
	}
	for _, tc := range []struct{ name, msg, change, left string }{
		{"filter path", op("Groups/g-1", `{"op":"remove","path":"members[value eq \"u-1\"]"}`), "group g loses 1 named member", ""},
		{"value beside path, capital op", op("Groups/g-1", `{"op":"Remove","path":"members","value":[{"value":"u-1"}]}`), "group g loses 1 named member", ""},
		{"bare ids", op("Groups/g-1", `{"op":"remove","path":"Members","value":["u-1","u-2"]}`), "group g loses 2 named members", ""},
		{"empty value removes nobody", op("Groups/g-1", `{"op":"remove","path":"members","value":[]}`), "", ""},
		{"no value removes all", op("Groups/g-1", `{"op":"remove","path":"members"}`), "group g loses 2 named members", ""},
		{"replace", op("Groups/g-1", `{"op":"replace","path":"members","value":[{"value":"u-2"}]}`), "group g loses 1 named member", ""},
		{"replace without path", op("Groups/g-1", `{"op":"replace","value":{"members":[{"value":"u-2"}]}}`), "group g loses 1 named member", ""},
		{"add who is on the list, which is then of later", op("Groups/g-1", `{"op":"add","path":"members","value":[{"value":"u-2"}]}`), "group g gains 1 named member", ""},
		{"rename", op("Groups/g-1", `{"op":"replace","value":{"displayName":"h"}}`), "group g is renamed h", ""},
		{"active without path", op("Users/u-1", `{"op":"replace","value":{"active":false}}`), "", "a@ex.test"},
		{"active as text", op("Users/u-1", `{"op":"Replace","path":"active","value":"False"}`), "", "a@ex.test"},
		{"active in a list", op("Users/u-1", `{"op":"Replace","path":"active","value":[{"value":"False"}]}`), "", "a@ex.test"},
		{"hard delete", `{"time":"2026-05-06T09:00:00Z","method":"DELETE","path":"/scim/v2/Users/u-1"}`, "", "a@ex.test"},
		{"new address", op("Users/u-1", `{"op":"replace","path":"emails[type eq \"work\"].value","value":"new@ex.test"}`), "group g gains 1 named member", "a@ex.test"},
	} {
		d := add(exports.New(known), "lists", head, "log", tc.msg)
		s := d.Sketch()
		if err := d.Problems().Err(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		c := load(t, s)
		got := ""
		for i := range c.Changes {
			got += c.Changes[i].String()
		}
		if got != tc.change {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.change)
		}
		left := ""
		for _, line := range strings.Split(c.Roster.Value, "\n") {
			if strings.HasSuffix(line, ",2026-05-06T09:00:00Z") && !strings.HasPrefix(line, "new@") {
				left = strings.Split(line, ",")[0]
			}
		}
		if left != tc.left {
			t.Errorf("%s: left %q, want %q\n%s", tc.name, left, tc.left, c.Roster.Value)
		}
	}
}

// An address change makes a new member (1.8).
func TestNewAddressSplitsHistory(t *testing.T) {
	d := add(exports.New(known), "lists", head, "log", `{"time":"2026-05-06T09:00:00Z","method":"PATCH","path":"/Users/u-1","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"userName","value":"new@ex.test"}]}}`)
	c := load(t, d.Sketch())
	if !strings.Contains(c.Roster.Value, "new@ex.test,") || !strings.Contains(c.Roster.Value, "a@ex.test,") {
		t.Errorf("roster:\n%s", c.Roster.Value)
	}
	if !strings.Contains(strings.Join(d.Warnings, " "), "history is split") {
		t.Errorf("%v", d.Warnings)
	}
}

func TestPatchWithoutValue(t *testing.T) {
	for _, op := range []string{"add", "remove", "replace"} {
		for _, path := range []string{"displayName", "members", "active", "userName", "emails", "title"} {
			for _, kind := range []string{"Users", "Groups"} {
				for _, value := range []string{"", `,"value":null`} {
					add(exports.New(known), "log.json", fmt.Sprintf(`{"method":"PATCH","path":"/%s/00x","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":%q,"path":%q%s}]}}`, kind, op, path, value)).Sketch()
				}
			}
		}
	}
}

// A list that has somebody again after a message of leaving: the draft has to be a
// scenario all the same.
func TestBackOnTheList(t *testing.T) {
	d := add(exports.New(known), "scim.json", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"00u1","userName":"ada@ex.test"}`,
		"log.json", `{"method":"DELETE","path":"/Users/00u1","time":"2026-05-10T08:00:00Z"}`,
		"users.csv", "email,role,added_at\nada@ex.test,user,2026-05-20T08:00:00Z\n")
	s := d.Sketch()
	load(t, s)
	if text := string(s.YAML()); strings.Contains(text, "2026-05-20T08:00:00Z,2026") || !strings.Contains(strings.Join(d.Warnings, "\n"), "ada@ex.test is on a list again") {
		t.Errorf("%s\n%q", text, d.Warnings)
	}
}

func TestBadInput(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"two groups, one id", `{"data":[{"type":"rbac_group","id":"g","name":"a"},` + "\n" + `{"type":"rbac_group","id":"g","name":"b"}]}`, `f:2:1: group "b" has the id g of group "a" at f:1:10`},
		{"wrong envelope", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"data":[]}`, "the SCIM envelope is not right: no Resources"},
		{"no schemas", `{"totalResults":1,"Resources":[]}`, "the SCIM envelope is not right: Resources without schemas"},
		{"another message", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`, "a SCIM message of another kind"},
		{"cut off", `{"data":[{"type":"user","id":"u"`, "f:1:33: not JSON: it ends in the middle"},
		{"no export", `{"hello":1}`, "no export this version knows"},
		{"role", `{"data":[{"type":"user","id":"u","email":"a@b","role":"emperor"}]}`, `f:1:55: "emperor" is not an organisation role`},
		{"csv", "Colour,Size\nred,1\n", "is no export this version knows"},
		{"csv row", "Name,Email\nA,\n", "f:2:1: a member without e-mail address"},
		{"empty", "  \n", "the file is empty"},
		{"operation", `{"method":"PATCH","path":"/Users/u","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"move"}]}}`, `"move" is not a SCIM operation`},
	} {
		d := add(exports.New(known), "f", tc.text)
		if err := d.Problems().Err(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestHugeAmounts(t *testing.T) {
	d := add(exports.New(known), "costs", `{"data":[{"starting_at":"2026-05-01T00:00:00Z","results":[{"product":"cowork","amount":"999999999999998"}]}]}`)
	for _, n := range d.Sketch().Notes {
		if strings.Contains(n, "-") && strings.Contains(n, "cost of") {
			t.Error(n)
		}
	}
}

// What is only a part stays a part.
func TestPartial(t *testing.T) {
	d := add(exports.New(known), "groups", `{"data":[{"type":"rbac_group","id":"g","name":"a","roles":["r"]}],"has_more":true,"next_page":"x"}`,
		"members", `{"data":[{"type":"rbac_group_member","group_id":"g","user_id":"user_1","email":"a@b.test"}]}`)
	s := d.Sketch()
	c := load(t, s)
	if !c.Groups[0].Unread || !strings.Contains(c.Roster.Value, "a@b.test") {
		t.Errorf("%+v\n%s", c.Groups, c.Roster.Value)
	}
	if !strings.Contains(strings.Join(s.Notes, "\n"), "unknown, not absent") {
		t.Errorf("%q", s.Notes)
	}
}

// The product's list says when a pushed membership arrived: the lag of SCIM. The
// Activity Feed says when the Cowork switch was turned, and so what it was before.
func TestMeasuredLagAndFeed(t *testing.T) {
	d := add(exports.New(known), "users", `{"data":[{"type":"user","id":"user_1","email":"a@b.test","role":"managed"}]}`,
		"groups", `{"data":[{"type":"rbac_group","id":"g","name":"pilot","roles":[]}]}`,
		"members", `{"data":[{"type":"rbac_group_member","group_id":"g","user_id":"user_1","created_at":"2026-05-06T09:42:00Z"}]}`,
		"log", `{"time":"2026-05-06T08:00:00Z","method":"PATCH","path":"/Groups/g","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members","value":[{"value":"a@b.test"}]}]}}
{"time":"2026-05-06T09:00:00Z","method":"PATCH","path":"/Groups/g","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"user_1"}]}]}}`,
		"feed", `{"data":[{"type":"org_cowork_disabled","created_at":"2026-05-10T00:00:00Z"},{"type":"org_cowork_enabled","created_at":"2026-05-20T00:00:00Z"},{"type":"something_else","created_at":"2026-05-20T00:00:00Z"}]}`)
	c := load(t, d.Sketch())
	var got []string
	for i := range c.Changes {
		got = append(got, c.Changes[i].On.Value+" "+c.Changes[i].Arrives.Value+" "+c.Changes[i].String())
	}
	want := []string{"2026-05-06T09:00:00Z 2026-05-06T09:42:00Z group pilot gains 1 named member",
		"2026-05-10T00:00:00Z  settings: cowork false", "2026-05-20T00:00:00Z  settings: cowork true"}
	if !strings.Contains(c.Roster.Value, "pilot@2026-05-06T09:42:00Z") {
		t.Errorf("%s", c.Roster.Value)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c.Organisation.Settings.Cowork == nil || !*c.Organisation.Settings.Cowork {
		t.Error("turned off, so it was on before")
	}
	if d.Ignored["record of type something_else"] != 1 {
		t.Errorf("%v", d.Ignored)
	}
}

// A log longer than a file can hold keeps the newest changes dated, and loads.
func TestLongLog(t *testing.T) {
	var log strings.Builder
	for i := range 6000 {
		op := []string{"add", "remove"}[i%2]
		fmt.Fprintf(&log, `{"time":"2026-05-%02dT%02d:%02d:%02dZ","method":"PATCH","path":"/Groups/g-1","body":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"%s","path":"members","value":[{"value":"u-3"}]}]}}`+"\n",
			1+i/1000, i/60%24, i%60, i/1440, op)
	}
	lists := strings.Replace(head, `{"id":"u-2"`, `{"id":"u-3","userName":"c@ex.test"},{"id":"u-2"`, 1)
	d := add(exports.New(known), "lists", lists, "log", log.String())
	s := d.Sketch()
	c := load(t, s)
	if len(c.Changes) != 5000 || !strings.Contains(strings.Join(s.Notes, " "), "1000 of 6000 dated changes") && len(c.Changes) == 5000 && len(s.Notes) == 0 {
		t.Errorf("%d changes, %q", len(c.Changes), s.Notes)
	}
}

// What identity providers give besides SCIM.
func TestOktaAndGraph(t *testing.T) {
	d := add(exports.New(known), "okta-00gab12CD34ef56GH7i8.json", `[
 {"id":"00u1","status":"ACTIVE","profile":{"login":"Ada@ex.test","email":"ada@ex.test","firstName":"Ada","lastName":"Lund","department":"Claims"}},
 {"id":"00u2","status":"DEPROVISIONED","profile":{"login":"ben@ex.test"}}]`,
		"graph.json", `{"value":[{"id":"6f","displayName":"cowork-pilot","members":[
 {"@odata.type":"#microsoft.graph.user","id":"u","displayName":"Ada Lund","mail":"ada@ex.test","userPrincipalName":"ada@ex.test","accountEnabled":true,"jobTitle":"x"},
 {"@odata.type":"#microsoft.graph.group","id":"n","displayName":"nested"}]}]}`)
	s := d.Sketch()
	if err := d.Problems().Err(); err != nil {
		t.Fatal(err)
	}
	c := load(t, s)
	if !strings.Contains(c.Roster.Value, "ada@ex.test,Ada Lund,Claims,") || strings.Contains(c.Roster.Value, "ben@ex.test") {
		t.Errorf("%s", c.Roster.Value)
	}
	if !strings.Contains(c.Roster.Value, "00gab12CD34ef56GH7i8;cowork-pilot") {
		t.Errorf("%s", c.Roster.Value)
	}
	if d.Ignored["graph member.jobTitle"] != 1 || !strings.Contains(strings.Join(d.Warnings, " "), "holds the group nested") || !strings.Contains(strings.Join(s.Notes, " "), "left out of the roster: 1") {
		t.Errorf("%v %v %v", d.Ignored, d.Warnings, s.Notes)
	}
	// Groups of an identity provider say nothing about the plan.
	if c.Organisation.Plan.Value != "enterprise" || !slices.ContainsFunc(s.Questions, func(q exports.Question) bool { return q.Key == "organisation.plan" }) {
		t.Errorf("%s", c.Organisation.Plan.Value)
	}
}

func TestCSV(t *testing.T) {
	d := add(exports.New(known), "members.csv", "Name;Email;Role;Seat type;Groups;Shoe size\nAda;ADA@ex.test;Custom;Premium;pilot, legal;39\nBen;ben@ex.test;Owner;Standard;;44\n")
	s := d.Sketch()
	c := load(t, s)
	if len(c.Groups) != 2 || len(c.Organisation.SeatTiers) != 2 || c.Organisation.Plan.Value != "enterprise" {
		t.Errorf("%+v %+v", c.Groups, c.Organisation)
	}
	if want := "ada@ex.test,Ada,custom,Premium,pilot;legal"; !strings.Contains(c.Roster.Value, want) {
		t.Errorf("%s", c.Roster.Value)
	}
	if d.Ignored["csv column Shoe size"] != 2 {
		t.Errorf("%v", d.Ignored)
	}
}

func TestAnswers(t *testing.T) {
	s := exports.New(known).Sketch()
	n := len(s.Questions)
	for _, bad := range [][2]string{{"organisation.settings.cowork", "perhaps"}, {"organisation.seats", "many"}, {"organisation.kind", "isuer"}, {"as_of", "yesterday"}, {"nothing", "x"}} {
		if s.Answer(bad[0], bad[1]) == nil {
			t.Errorf("%q taken for %s", bad[1], bad[0])
		}
	}
	for _, good := range [][2]string{{"organisation.settings.cowork", "yes"}, {"organisation.settings.cloud", "no"}, {"organisation.kind", "issuer, merchant"}, {"telemetry.endpoint", "https://o.example:4318"},
		{"telemetry.content", "none"}, {"telemetry.retention_days", "30"}, {"workloads", "phi"}, {"organisation.seats", "40"}, {"as_of", "2026-08-22"}, {"organisation.plan", "enterprise"}} {
		if err := s.Answer(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
	if len(s.Questions) != n-10 {
		t.Errorf("%d questions of %d are left", len(s.Questions), n)
	}
	c := load(t, s)
	if !org.On(c.Organisation.Settings.Cowork) || c.Organisation.Settings.Cloud == nil || *c.Organisation.Settings.Cloud || len(c.Organisation.Kind) != 2 {
		t.Errorf("%+v", c.Organisation)
	}
	if !strings.Contains(string(s.YAML()), "retention_days: 30, content: []}") {
		t.Errorf("%s", s.YAML())
	}
}

// What is asked of one tier, group or entitlement can be answered without an editor.
func TestNamedAnswers(t *testing.T) {
	d := add(exports.New(known), "l", `{"data":[{"type":"rbac_group","id":"g","name":"pilot","roles":null},{"type":"rbac_role","id":"r","name":"Cowork enabled"}]}
{"data":[{"type":"rbac_role_permission","rbac_role_id":"r","action":"desktop_agent","resource":{"type":"organization"}}]}`, "m.csv", "email,role,seat type\na@ex.test,Custom,Chat\n")
	s := d.Sketch()
	for _, bad := range [][2]string{{"organisation.seat_tiers.Chat", "cowrk"}, {"groups.pilot", "Cowork enable"}, {"roles.desktop_agent", "anything"}} {
		if s.Answer(bad[0], bad[1]) == nil {
			t.Errorf("%q taken for %s", bad[1], bad[0])
		}
	}
	for _, good := range [][2]string{{"organisation.seat_tiers.Chat", "memory"}, {"groups.pilot", "Cowork enabled"}, {"roles.desktop_agent", "cowork"}} {
		if err := s.Answer(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
	c := load(t, s)
	if c.Organisation.SeatTiers[0].Excludes[0] != "memory" || c.Groups[0].Unread || c.Groups[0].Roles[0].Value != "Cowork enabled" || c.Roles[0].Grants[0].Capability.Value != "cowork" || c.Roles[0].Grants[0].Unknown {
		t.Errorf("%+v %+v %+v", c.Organisation.SeatTiers, c.Groups, c.Roles)
	}
}

// Whatever comes in, nothing panics, and what is drafted loads.
func FuzzDraft(f *testing.F) {
	all := []byte{}
	for _, glob := range []string{"exports/*", "exports-more/*.json"} {
		names, _ := filepath.Glob("../../../testdata/" + glob)
		for _, n := range names {
			data, err := os.ReadFile(n)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			if strings.HasPrefix(glob, "exports-more") {
				all = append(all, data...) // one after the other, so that events find what they name
			}
		}
	}
	f.Add(all)
	f.Add([]byte("email,account_uuid,product,total_gross_spend_usd\na@b,1,cowork,1.5\n"))
	f.Add([]byte("group,role,seat\ng,custom,chat\n"))
	f.Add([]byte(head))
	f.Add([]byte("Name,Email\n\"A,\",a@b\n"))
	f.Add([]byte(`{"value":[{"displayName":"g","members":[{"mail":"a@b"}]}]}`))
	f.Add([]byte(`[{"id":"1","status":"ACTIVE","profile":{"login":"a@b"}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := exports.New(known)
		d.Add("fuzz", data)
		s := d.Sketch()
		if len(d.Problems()) > 0 {
			return
		}
		load(t, s)
	})
}
