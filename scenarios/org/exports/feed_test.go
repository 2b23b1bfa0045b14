package exports_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios/org/exports"
)

// Lists are the state after the last event: undone one by one, the events give the
// state before the first, and laid over it they give the lists again.
func TestFeedIsUndone(t *testing.T) {
	const lists = `{"data":[{"type":"user","id":"user_1","email":"a@ex.test","role":"owner"},{"type":"user","id":"user_2","email":"b@ex.test","role":"managed"}],"has_more":false}
{"data":[{"type":"rbac_group","id":"g1","name":"pilot","source_type":"scim","roles":["r2"]},{"type":"rbac_group","id":"g2","name":"hand","source_type":"direct","roles":[]}],"has_more":false}
{"data":[{"type":"rbac_role","id":"r1","name":"old"},{"type":"rbac_role","id":"r2","name":"new"}],"has_more":false}
{"data":[{"type":"rbac_role_permission","rbac_role_id":"r1","action":"cowork","resource":{"type":"organization"}},{"type":"rbac_role_permission","rbac_role_id":"r2","action":"chat","resource":{"type":"organization"}}]}
{"data":[{"type":"spend_limit","scope":{"type":"rbac_group","rbac_group_id":"g1"},"amount":"5000","period":"monthly"}]}`
	at := func(day int, kind, fields string) string {
		return fmt.Sprintf(`{"type":%q,"created_at":"2026-07-%02dT09:00:00Z",%s}`, kind, day, fields)
	}
	feed := strings.Join([]string{
		at(1, "rbac_role_unassigned", `"role_id":"r1","principal_type":"group","principal_id":"g1"`),
		at(2, "rbac_role_assigned", `"role_id":"r2","principal_type":"group","principal_id":"g1"`),
		at(3, "claude_user_role_updated", `"user_email":"A@ex.test","previous_role":"user","current_role":"membership_admin"`),
		at(4, "claude_user_role_updated", `"user_id":"user_1","previous_role":"membership_admin","current_role":"owner"`),
		at(5, "claude_user_role_updated", `"user_id":"user_2","current_role":"managed"`),
		at(6, "extra_usage_spend_limit_created", `"limit_type":"rbac_group","group_id":"g1","amount":"5000"`),
		at(7, "extra_usage_spend_limit_created", `"limit_type":"user","user_id":"user_2","amount":null`),
		at(8, "org_cowork_mcp_always_allow_disabled", `"details":{"previous_value":true,"current_value":false}`),
		at(9, "org_sso_group_role_mappings_updated", `"current_value":[{"group_name":"hand","role":"user"},{"group_id":"g1","role":"managed","seat_tier":"premium"}]`),
		at(10, "claude_user_role_updated", `"user_id":"user_9","current_role":"managed"`),
		at(11, "mcp_tool_policy_updated", `"connector_id":"mcpsrv_1","tool_name":"send","policy":"blocked"`),
		at(12, "rbac_role_teleported", `"role_id":"r1"`),
	}, "\n")
	d := add(exports.New(known), "lists.json", lists, "feed.jsonl", feed)
	s := d.Sketch()
	if err := d.Problems().Err(); err != nil {
		t.Fatal(err)
	}
	c := load(t, s)
	if g := c.Groups[0]; len(g.Roles) != 1 || g.Roles[0].Value != "old" {
		t.Errorf("before the first event: %+v", g)
	}
	if !strings.Contains(c.Roster.Value, "a@ex.test,user_1,user\n") || !strings.Contains(c.Roster.Value, "b@ex.test,user_2,custom\n") {
		t.Errorf("%s", c.Roster.Value)
	}
	if len(c.Spend.Groups) != 0 || !*c.Organisation.Settings.AlwaysAllow {
		t.Errorf("%+v %+v", c.Spend, c.Organisation.Settings)
	}
	end := c.At(c.Changes[len(c.Changes)-1].When)
	if g := end.Groups[0]; len(g.Roles) != 1 || g.Roles[0].Value != "new" || *end.Organisation.Settings.AlwaysAllow {
		t.Errorf("after the last: %+v", end)
	}
	var got []string
	for i := range c.Changes {
		got = append(got, c.Changes[i].String())
	}
	want := []string{
		"group pilot gives up role old", "group pilot gets role new",
		"1 named member: organisation role admin", "1 named member: organisation role owner", "1 named member: organisation role custom",
		"the limit of group pilot is set to 50 dollars", "member b@ex.test may spend without limit", "settings: always_allow_connectors false",
		"mapping: group pilot gives the role custom, group pilot gives the seat premium",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	notes := strings.Join(s.Notes, "\n")
	for _, w := range []string{
		"feed.jsonl:5:1: the feed does not say which role the member had before 2026-07-05T09:00:00Z",
		"events claude_user_role_updated of the Activity Feed name a member whom no list holds: 1",
		"events mcp_tool_policy_updated of the Activity Feed set the policy of a single tool, which is kept per connector here: 1",
		"events rbac_role_teleported of the Activity Feed, which this version does not turn into changes: 1",
		"mappings of groups that are filled by hand, which nothing maps: 1",
		"the Activity Feed begins on 2026-07-01T09:00:00Z; what was changed before is in no export",
	} {
		if !strings.Contains(notes, w) {
			t.Errorf("no note says %q in\n%s", w, notes)
		}
	}
}

// A new seat says nothing of the organisation role, which stays unknown until the
// question is answered.
func TestSeatSaysNoRole(t *testing.T) {
	s := add(exports.New(known), "users.json", `{"data":[{"type":"user","id":"user_1","email":"a@ex.test"}],"has_more":false}`,
		"feed.json", `{"data":[{"type":"claude_user_seat_tier_updated","created_at":"2026-07-01T09:00:00Z","user_id":"user_1","previous_seat_tier":"standard","current_seat_tier":"premium"}]}`).Sketch()
	if ch := load(t, s).Changes[0]; ch.Members.Role != "unknown" || ch.Members.Seat.Value != "premium" {
		t.Errorf("%s", ch.String())
	}
	if err := s.Answer("members", "custom"); err != nil {
		t.Fatal(err)
	}
	if ch := load(t, s).Changes[0]; ch.Members.Role != "custom" {
		t.Errorf("answered: %s", ch.String())
	}
}
