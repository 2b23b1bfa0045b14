package rehearsal_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
)

// In the closed loop a member whom the limit stops asks for more; an approval lets
// them go on at its moment, a denial does not, and the replay of the stream knows.
func TestIncreaseRequests(t *testing.T) {
	run := func(set ...string) *rehearsal.Result {
		text := strings.Replace(small, "incidents: [{story: shadow-connector-spread, count: 1}]", "", 1)
		text = strings.Replace(text, "limit: 8,", "limit: 4,", 1)
		r, _ := play(t, load(t, text, append(set, "behaviour.intensity=1")...), 2)
		return r
	}
	plain := run()
	if plain.Spend.Stopped.Members < 2 {
		t.Fatalf("only %d members are stopped: nothing to ask for", plain.Spend.Stopped.Members)
	}
	if len(plain.Spend.Increases) != 0 {
		t.Error("requests without a policy")
	}
	requests := func(r *rehearsal.Result) int64 { return r.Spend.Requests }

	all := run("spend.increase_requests={within_hours: 4, to: 500}")
	if len(all.Spend.Increases) < plain.Spend.Stopped.Members {
		t.Errorf("%d members stopped, %d asked", plain.Spend.Stopped.Members, len(all.Spend.Increases))
	}
	for i, x := range all.Spend.Increases {
		if x.Status == "pending" { // asked in the last hours
			continue
		}
		if x.Status != "approved" || x.To != 500e6 || x.Resolved.Sub(x.Asked).Hours() != 4 || x.Limit != 4e6 || !strings.HasPrefix(x.Member, "member-") {
			t.Errorf("request %d: %+v", i, x)
		}
	}
	if requests(all) <= requests(plain) || all.Spend.Stopped.Requests >= plain.Spend.Stopped.Requests && all.Spend.Total <= plain.Spend.Total {
		t.Errorf("raised limits let no more work run: %d and %d requests", requests(plain), requests(all))
	}
	// The replay of what was sent stops nobody after the answer.
	for _, b := range all.Spend.WouldBlock {
		for _, x := range all.Spend.Increases {
			if x.Member == b.Member && x.Resolved != nil && b.Time.After(*x.Resolved) {
				t.Errorf("%s would be stopped on %s, after the raise of %s", b.Member, b.Time, x.Resolved)
			}
		}
	}

	one := run("spend.increase_requests={within_hours: 4, to: 500, approve: 1}")
	count := map[string]int{}
	for _, x := range one.Spend.Increases {
		count[x.Status]++
		if x.Status == "denied" && x.To != 0 {
			t.Errorf("a denial raised a limit: %+v", x)
		}
	}
	if count["approved"] < 1 || count["denied"] < 1 || requests(one) > requests(all) {
		t.Errorf("%v", count)
	}

	none := run("spend.increase_requests={}")
	if len(none.Spend.Increases) != plain.Spend.Stopped.Members || requests(none) != requests(plain) {
		t.Errorf("%d asked, nobody answers, and %d instead of %d requests run", len(none.Spend.Increases), requests(none), requests(plain))
	}
	for _, x := range none.Spend.Increases {
		if x.Status != "pending" || x.Resolved != nil {
			t.Errorf("nobody answers, yet %+v", x)
		}
	}
	if a, b := flat(t, all), flat(t, run("spend.increase_requests={within_hours: 4, to: 500}")); a != b {
		t.Error("the same requests give other bytes")
	}
}

// A Team that moves to Enterprise inside the period has limits of groups from that
// day on, in the play and in the replay alike.
func TestGroupLimitsComeWithThePlan(t *testing.T) {
	team := strings.NewReplacer("plan: enterprise", "plan: team", "directory: scim", "directory: invite", "role: custom", "role: user", "source: scim, ", "",
		"limit: 8,", "limit: 1,", "incidents: [{story: shadow-connector-spread, count: 1}]", "").Replace(small) +
		"changes:\n  - {on: 2026-04-20, plan: enterprise}\n  - {on: 2026-04-20, members: {select: {all: true}, role: custom}}\n"
	move := time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)
	r, _ := play(t, load(t, team, "behaviour.intensity=1"), 2)
	if r.Spend.Stopped.Members < 2 {
		t.Fatalf("a limit of one dollar stops %d members", r.Spend.Stopped.Members)
	}
	for _, w := range r.Spend.Stopped.Who {
		if w.First.Before(move) {
			t.Errorf("%s is stopped on %s, when the plan had no limits of groups", w.Member, w.First)
		}
	}
	_, b := play(t, load(t, strings.Replace(team, "limit: 1,", "limit: 1000,", 1), "behaviour.intensity=1"), 2)
	r, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: load(t, team, "as_of=2026-05-01"), Streams: []string{b.name}, Key: []byte("a key of the organisation")})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Spend.WouldBlock) < 2 {
		t.Errorf("over a capture %d members would be stopped", len(r.Spend.WouldBlock))
	}
	for _, b := range r.Spend.WouldBlock {
		if b.Time.Before(move) || b.BoundBy != "group:finance" {
			t.Errorf("%+v", b)
		}
	}
	// A budget is planned for the months after.
	g, err := rehearsal.Prepare(load(t, team))
	if err != nil {
		t.Fatal(err)
	}
	if !g.Limits.GroupLimits {
		t.Error("a plan of the months after the move knows no limits of groups")
	}
}
