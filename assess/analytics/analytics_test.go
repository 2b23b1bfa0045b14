package analytics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// start is a Wednesday, so that weeks are cut at both ends.
var start = time.Date(2026, 6, 3, 0, 0, 0, 0, time.UTC)

func roster(n int, groups ...org.Group) *org.Directory {
	var ms []org.Member
	for i := range n {
		ms = append(ms, org.Member{ID: fmt.Sprint("user_", i), Account: fmt.Sprint("acc-", i), Email: fmt.Sprintf("m%d@ex.example", i)})
	}
	return org.NewDirectory(&org.Config{Groups: groups}, ms)
}

func rec(k event.Kind, member int, session string, day, hour int, edit ...func(*event.Event)) *event.Event {
	ev := &event.Event{Kind: k, Name: k.String(), Product: event.Cowork, Session: session, Has: event.FTime | event.FSession,
		Time: start.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour).UnixNano()}
	if member >= 0 {
		ev.Account = fmt.Sprint("acc-", member)
	}
	for _, f := range edit {
		f(ev)
	}
	ev.Derive()
	return ev
}

func tool(name string) func(*event.Event) { return func(e *event.Event) { e.Tool = name } }

func costing(micros int64) func(*event.Event) {
	return func(e *event.Event) { e.CostMicros, e.Has = micros, e.Has|event.FCostMicros }
}

func observe(cfg Config, evs ...*event.Event) *Report {
	o := New(cfg)
	for _, ev := range evs {
		o.Observe(ev)
	}
	return o.Report()
}

func period(d *org.Directory, days int) Config {
	return Config{Directory: d, From: start, To: start.AddDate(0, 0, days), Plan: "enterprise", FreshnessDays: 1}
}

func TestRollingWindows(t *testing.T) {
	r := observe(period(roster(3), 40),
		rec(event.UserPrompt, 0, "a", 0, 9),
		rec(event.UserPrompt, 0, "a2", 0, 10),
		rec(event.UserPrompt, 1, "b", 6, 23),
		rec(event.PluginLoaded, 2, "c", 6, 23), // start-up noise is no activity
		rec(event.UserPrompt, -1, "d", 6, 9),
	)
	at := func(d int) string {
		x := r.Days[d]
		return fmt.Sprintf("%s %d/%d %d-%d-%d", x.Date, x.Sessions, x.Unattributed, x.DAU, x.WAU, x.MAU)
	}
	for d, want := range map[int]string{
		0: "2026-06-03 2/0 1-1-1", 5: "2026-06-08 0/0 0-1-1", 6: "2026-06-09 2/1 1-2-2", 7: "2026-06-10 0/0 0-1-2",
		12: "2026-06-15 0/0 0-1-2", 13: "2026-06-16 0/0 0-0-2", 29: "2026-07-02 0/0 0-0-2", 30: "2026-07-03 0/0 0-0-1", 36: "2026-07-09 0/0 0-0-0",
	} {
		if got := at(d); got != want {
			t.Errorf("day %d: %s, want %s", d, got, want)
		}
	}
	if r.SeatShare.N != 2 || r.SeatShare.Of != 3 || r.SeatShare.Denominator == "" {
		t.Errorf("%+v", r.SeatShare)
	}
	if w := r.Weeks[0]; w != (Week{"2026-06-03", 5, 2, 1, 3}) {
		t.Errorf("%+v", w)
	}
	if w := r.Weeks[1]; w != (Week{"2026-06-08", 7, 2, 1, 3}) {
		t.Errorf("%+v", w)
	}
	if n := len(r.Weeks); n != 6 || r.Weeks[5].Days != 7 {
		t.Errorf("%d weeks: %+v", n, r.Weeks)
	}
}

// A session that spans midnight is a session of both days, one of the week and
// one of the member.
func TestMidnight(t *testing.T) {
	r := observe(period(roster(1), 3), rec(event.UserPrompt, 0, "s", 0, 23), rec(event.ToolResult, 0, "s", 1, 0))
	if r.Days[0].Sessions != 1 || r.Days[1].Sessions != 1 || r.Weeks[0].Sessions != 1 || r.Members[0].Sessions != 1 || r.ROI.Sessions != 1 || r.Members[0].ActiveDays != 2 {
		t.Errorf("%+v", r)
	}
}

func TestMetricsAndROI(t *testing.T) {
	mcp := func(name string) func(*event.Event) { return tool(name) }
	skill := func(name, plug string) func(*event.Event) {
		return func(e *event.Event) { e.Skill, e.Plugin = name, plug }
	}
	r := observe(period(roster(2), 7),
		rec(event.UserPrompt, 0, "a", 0, 9),
		rec(event.ToolResult, 0, "a", 0, 9, tool("Edit")), rec(event.ToolResult, 0, "a", 0, 9, tool("Write")),
		rec(event.ToolResult, 0, "a2", 1, 9, tool("WebSearch")),
		rec(event.ToolResult, 0, "a2", 1, 9, mcp("mcp__Zoom Meetings__get_summary")),
		rec(event.ToolResult, 0, "a2", 1, 9, mcp("mcp__zoom-meetings__create_task")),
		rec(event.ToolResult, 1, "b", 1, 9, mcp("mcp__ZOOM_MEETINGS__transcribe")),
		rec(event.ToolResult, 1, "b", 1, 9, tool("mcp_tool")), // details are off: the server has no name
		rec(event.ToolResult, 1, "b", 1, 9, tool("Skill"), func(e *event.Event) { e.Parameters = `{"skill_name":"close"}` }),
		rec(event.SkillActivated, 1, "b", 1, 9, skill("close", "finance")),
		rec(event.APIRequest, 0, "a", 0, 9, costing(1_000_001)), rec(event.APIRequest, 1, "b", 1, 9, costing(2)),
		rec(event.APIRequest, 1, "b", 1, 9), rec(event.APIRequest, -1, "x", 1, 9, costing(500)),
		rec(event.UserPrompt, 0, "a", 7, 0), // after the period
		rec(event.UserPrompt, 0, "a", 0, 1, func(e *event.Event) { e.Product = event.ClaudeCode }),
	)
	a := r.Members[0]
	if a.Messages != 1 || a.Actions != 5 || a.FileEdits != 2 || a.SessionsWithEdits != 1 || a.WebSearches != 1 || a.ConnectorCalls != 2 || a.DistinctConnectors != 1 || a.CostMicros != 1_000_001 {
		t.Errorf("%+v", a)
	}
	if b := r.Members[1]; b.SkillUses != 1 || b.DistinctSkills != 1 || b.PluginUses != 1 || b.ConnectorCalls != 2 || b.DistinctConnectors != 2 {
		t.Errorf("a skill's activation and its tool call are one use: %+v", b)
	}
	if len(r.Connectors) != 2 || r.Connectors[0] != (Use{"ZOOM_MEETINGS", 2, 2, 3, 1, 1, 1}) || r.Connectors[1].Name != unnamed {
		t.Errorf("%+v", r.Connectors)
	}
	if len(r.Skills) != 1 || r.Skills[0].Uses != 1 {
		t.Errorf("%+v", r.Skills)
	}
	if r.ROI.ActiveMembers != 2 || r.ROI.Sessions != 3 || *r.ROI.CostMicros != 1_000_503 || *r.ROI.CostPerActiveMember != 500_002 || *r.ROI.CostPerSession != 333_501 || r.ROI.RequestsWithoutCost != 1 {
		t.Errorf("%+v", r.ROI)
	}
	// Without activations the Skill tool counts.
	r = observe(period(roster(1), 7), rec(event.ToolResult, 0, "b", 1, 9, tool("Skill"), func(e *event.Event) { e.Parameters = `{"skill_name":"close"}` }))
	if len(r.Skills) != 1 || r.Skills[0].Name != "close" || r.ROI.CostMicros != nil {
		t.Errorf("%+v %+v", r.Skills, r.ROI)
	}
}

// Members of several groups count in full in each, and whoever moves during a
// day counts in both on that day.
func TestGroupOverlap(t *testing.T) {
	group := func(name string, ms ...org.Membership) org.Group {
		return org.Group{Name: source.Text{Value: name}, Members: ms}
	}
	all := org.Selector{All: true}
	d := roster(2, group("pilot", org.Membership{Select: all, To: source.Day(2026, 6, 5)}),
		group("everyone", org.Membership{Select: all}), group("later", org.Membership{Select: all, From: source.Day(2026, 6, 5)}))
	r := observe(period(d, 7), rec(event.UserPrompt, 0, "a", 0, 9), rec(event.UserPrompt, 1, "b", 2, 9, costing(7)), rec(event.APIRequest, 1, "b", 2, 9, costing(7)))
	got := map[string]string{}
	for _, g := range r.Groups {
		got[g.Group] = fmt.Sprint(g.Active, g.Sessions, g.CostMicros)
	}
	if got["everyone"] != "2 2 7" || got["pilot"] != "1 1 0" || got["later"] != "1 1 7" {
		t.Errorf("%v", got)
	}
	if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "in full in each") }) {
		t.Errorf("%q", r.Notes)
	}
}

func TestFreshnessAndPlan(t *testing.T) {
	for _, x := range []struct {
		days, asOf int
		latest     string
	}{
		{4, 7, "2026-06-06"}, // April: of 3 to 9 June, on the 10th
		{1, 7, "2026-06-09"}, {0, 7, "2026-06-09"}, {4, 30, "2026-06-09"}, {4, 2, ""}, {1, 3, "2026-06-05"},
	} {
		cfg := period(roster(1), 7)
		cfg.FreshnessDays, cfg.AsOf = x.days, start.AddDate(0, 0, x.asOf)
		if r := observe(cfg); r.LatestShown != x.latest || r.Days[6].Shown != (x.latest == "2026-06-09") {
			t.Errorf("%+v: latest %q, last shown %v", x, r.LatestShown, r.Days[6].Shown)
		}
	}
	cfg := period(roster(1), 7)
	cfg.Plan = "team"
	if r := observe(cfg); !strings.Contains(r.Notes[0], "no Analytics API") {
		t.Errorf("%q", r.Notes)
	}
}

// The figures agree with counting anew, and do not depend on the order in which
// records come.
func TestDifferential(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		const members, days = 5, 35
		type fact struct {
			member, day int
			session     string
		}
		var facts []fact
		var evs []*event.Event
		for range rapid.IntRange(0, 120).Draw(t, "records") {
			f := fact{rng.IntN(members+1) - 1, rng.IntN(days), fmt.Sprint("s", rng.IntN(30))}
			k := []event.Kind{event.UserPrompt, event.ToolResult, event.HookStart}[rng.IntN(3)]
			evs = append(evs, rec(k, f.member, f.session, f.day, rng.IntN(24)))
			if k != event.HookStart {
				facts = append(facts, f)
			}
		}
		cfg := period(roster(members), days)
		r := observe(cfg, evs...)
		distinct := func(keep func(fact) bool, of func(fact) string) int {
			set := map[string]bool{}
			for _, f := range facts {
				if keep(f) {
					set[of(f)] = true
				}
			}
			return len(set)
		}
		known := func(from, to int) func(fact) bool {
			return func(f fact) bool { return f.member >= 0 && f.day >= from && f.day <= to }
		}
		who := func(f fact) string { return fmt.Sprint(f.member) }
		for d, x := range r.Days {
			if want := distinct(known(d, d), who); x.DAU != want {
				t.Fatalf("day %d: DAU %d, want %d", d, x.DAU, want)
			}
			if want := distinct(known(d-6, d), who); x.WAU != want {
				t.Fatalf("day %d: WAU %d, want %d", d, x.WAU, want)
			}
			if want := distinct(known(d-29, d), who); x.MAU != want {
				t.Fatalf("day %d: MAU %d, want %d", d, x.MAU, want)
			}
			// A session id that two members share is a session of each.
			if want := distinct(func(f fact) bool { return f.day == d }, func(f fact) string { return fmt.Sprint(f.member, f.session) }); int(x.Sessions) != want {
				t.Fatalf("day %d: %d sessions, want %d", d, x.Sessions, want)
			}
			if x.DAU > x.WAU || x.WAU > x.MAU || x.MAU > x.Seats {
				t.Fatalf("day %d: %+v", d, x)
			}
		}
		first := 0
		for _, w := range r.Weeks {
			last := first + w.Days - 1
			if want := distinct(known(first, last), who); w.Active != want {
				t.Fatalf("week of %s: %d active, want %d", w.From, w.Active, want)
			}
			if want := distinct(func(f fact) bool { return f.day >= first && f.day <= last }, func(f fact) string { return f.session }); int(w.Sessions) != want {
				t.Fatalf("week of %s: %d sessions, want %d", w.From, w.Sessions, want)
			}
			first = last + 1
		}
		a, _ := json.Marshal(r)
		rng.Shuffle(len(evs), func(i, j int) { evs[i], evs[j] = evs[j], evs[i] })
		if b, _ := json.Marshal(observe(cfg, evs...)); string(a) != string(b) {
			t.Fatalf("order matters:\n%s\n%s", a, b)
		}
		if strings.Contains(string(a), "acc-") || strings.Contains(string(a), "user_") {
			t.Fatal("a member is named")
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	var evs []*event.Event
	for i := range 4096 {
		evs = append(evs, rec([]event.Kind{event.UserPrompt, event.ToolResult, event.APIRequest, event.HookStart}[i%4], i%100, fmt.Sprint("s", i%300), i%28, 9, tool("Edit")))
	}
	o := New(period(roster(100), 28))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		o.Observe(evs[n%4096])
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func TestExports(t *testing.T) {
	cfg := period(roster(2), 3)
	cfg.AsOf = start.AddDate(0, 0, 2) // the second day is shown, the third not yet
	r := observe(cfg,
		rec(event.UserPrompt, 0, "a", 0, 9), rec(event.ToolResult, 0, "a", 0, 9, tool("Edit")), rec(event.APIRequest, 0, "a", 0, 9, costing(18_755_000)),
		rec(event.ToolResult, 0, "a", 1, 9, tool("mcp__zoom__get_summary")), rec(event.ToolResult, 0, "a", 1, 9, tool("mcp_tool")),
		rec(event.UserPrompt, 0, "b", 2, 9), rec(event.APIRequest, 0, "b", 2, 9), rec(event.UserPrompt, 1, "c", 0, 9))
	r.Members[0].Key = "member-x"
	got := map[string]string{}
	for _, f := range r.Exports() {
		var whole, b strings.Builder
		if err := f.Write(&whole); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(whole.String(), "\n") {
			b.WriteString(strings.TrimSpace(line))
		}
		got[f.Name] = b.String()
	}
	has := func(name string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(got[name], p) {
				t.Errorf("%s lacks %s:\n%s", name, p, got[name])
			}
		}
	}
	has("summaries.json", `{"summaries": [{"starting_at": "2026-06-03T00:00:00Z","ending_at": "2026-06-04T00:00:00Z","assigned_seat_count": 2,"cowork_daily_active_user_count": 2,`)
	if strings.Count(got["summaries.json"], "starting_at") != 2 || strings.Contains(got["summaries.json"], "daily_adoption_rate") {
		t.Errorf("%s", got["summaries.json"])
	}
	has("users.json", `"last_activity_date": "2026-06-03","web_search_count": 0,"cowork_metrics": {"distinct_session_count": 1,"message_count": 1,"action_count": 1,"dispatch_turn_count": null,`,
		`"file_edit_count": 1`, `"email_address": null`, `"next_page": null`)
	for name, text := range got {
		for _, no := range []string{"acc-", "@", "chat_metrics", "claude_code", `"starting_at": "2026-06-05`, unnamed} {
			if strings.Contains(text, no) && name != "user_cost_report.json" {
				t.Errorf("%s holds %s:\n%s", name, no, text)
			}
		}
	}
	if strings.Count(got["users.json"], "member-x") != 2 {
		t.Errorf("%s", got["users.json"])
	}
	has("connectors.json", `"connector_name": "zoom","connector_display_name": null,"distinct_user_count": 1,"cowork_metrics": {"distinct_session_connector_used_count": 1},"read_call_count": 1,"write_call_count": 0,`)
	has("user_cost_report.json", `"list_amount": "1875.500000"`, `"amount": null`, `"product": "cowork"`)
	if strings.Count(got["user_cost_report.json"], "list_amount") != 1 {
		t.Errorf("a day without cost has a row: %s", got["user_cost_report.json"])
	}
	r.Plan = "team"
	if files := r.Exports(); files != nil {
		t.Error("Team has no Analytics API")
	}
}

func TestHugeCosts(t *testing.T) {
	r := observe(period(roster(1), 3), rec(event.UserPrompt, 0, "a", 0, 9), rec(event.APIRequest, 0, "a", 0, 9, costing(math.MaxInt64)), rec(event.APIRequest, 0, "a", 0, 9, costing(math.MaxInt64)),
		rec(event.APIRequest, 0, "b", 1, 9, costing(math.MaxInt64)))
	if got := []int64{r.Members[0].CostMicros, *r.ROI.CostMicros, *r.ROI.CostPerActiveMember}; slices.Min(got) != math.MaxInt64 {
		t.Errorf("a sum that is too large is %d", got)
	}
}

// TestLines: rows are written one by one as the library writes all of them.
func TestLines(t *testing.T) {
	for _, rows := range [][]any{{}, {1}, {userDay{User: user{ID: "<a&b>"}}, []any{}, map[string]any{"x": map[string]any{}, "y": []int{1, 2}}}} {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(page{rows}); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := lines(&got, slices.Values(rows)); err != nil || got.String() != want.String() {
			t.Errorf("got %s (%v)\nwant %s", got.String(), err, want.String())
		}
	}
}

// TestCellsThatAreOver: sessions that have fallen silent are put away; records that
// come however late join them, and the figures are those of what was never put away.
func TestCellsThatAreOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := period(roster(4, org.Group{Name: source.Text{Value: "g"}}), 20)
		a, b := New(cfg), New(cfg)
		b.turn = math.MaxInt64 // never puts away
		day, hour := 0, 0
		for range rapid.IntRange(1, 80).Draw(t, "records") {
			if on := rapid.SampledFrom([]int{0, 0, 0, 1, 4}).Draw(t, "on"); on > 0 {
				day, hour = min(19, day+on), 0
			}
			hour = min(23, hour+rapid.IntRange(0, 3).Draw(t, "later"))
			late := min(day, rapid.SampledFrom([]int{0, 0, 1, 2, 9}).Draw(t, "late"))
			ev := rec(rapid.SampledFrom([]event.Kind{event.UserPrompt, event.ToolResult, event.ToolResult, event.APIRequest, event.SkillActivated}).Draw(t, "kind"),
				rapid.IntRange(-1, 3).Draw(t, "member"), rapid.SampledFrom([]string{"s", "t"}).Draw(t, "session"), day-late, hour,
				tool(rapid.SampledFrom([]string{"Edit", "MultiEdit", "WebSearch", "Skill", "mcp__zoom__get_note", "mcp__Drive__update"}).Draw(t, "tool")),
				costing(rapid.SampledFrom([]int64{0, 7, 1 << 40}).Draw(t, "cost")))
			ev.SkillName = rapid.SampledFrom([]string{"", "review"}).Draw(t, "skill")
			a.Observe(ev)
			b.Observe(ev)
			if rapid.IntRange(0, 20).Draw(t, "ask") == 0 {
				a.Report()
			}
		}
		got, want := a.Report(), b.Report()
		if got, want := slices.Collect(got.Daily()), slices.Collect(want.Daily()); !slices.Equal(got, want) {
			t.Fatalf("got days %+v\nwant %+v", got, want)
		}
		got.daily, want.daily = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}
