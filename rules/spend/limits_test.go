package spend

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func limitRow(scope, amount, rest string) string {
	return fmt.Sprintf(`{"type":"spend_limit","id":"spl_1","scope":%s,"amount":%s,"currency":"USD","period":"monthly"%s}`, scope, amount, rest)
}

const (
	orgScope  = `{"type":"organization"}`
	userScope = `{"type":"user","user_id":"m0"}`
	grpScope  = `{"type":"rbac_group","rbac_group_id":"rbac_group_01P"}`
)

func TestReadLimits(t *testing.T) {
	page := `{"data":[` + strings.Join([]string{
		limitRow(orgScope, `"200000"`, ""), limitRow(userScope, "null", ""), limitRow(grpScope, `"2500"`, ""),
		limitRow(`{"type":"seat_tier","seat_tier":"enterprise_standard"}`, `"1000"`, ""),
		limitRow(`{"type":"organization_service","service":"slack"}`, `"1"`, ""),
		limitRow(`{"type":"usage_tier","name":"x"}`, `"7"`, ""),
		limitRow(`{"type":"rbac_group","rbac_group_id":"rbac_group_other"}`, `"2500"`, ""),
		limitRow(userScope, `"2500"`, `,"source":{"type":"organization"}`),
	}, ",") + `],"has_more":false}`
	rows, err := ReadLimits("limits.json", strings.NewReader(page), LimitOptions{})
	if err != nil || len(rows) != 8 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	c := &org.Config{Groups: []org.Group{{ID: "rbac_group_01P", Name: txt("pilot"), Members: []org.Membership{{Select: org.Selector{All: true}}}}}}
	s, notes := Configure(rows, c)
	if s.Organisation.Micros != 2000*dollar || s.SeatDefault.Micros != 10*dollar || len(s.Users) != 1 || !s.Users[0].Unlimited ||
		len(s.Groups) != 1 || s.Groups[0].Group.Value != "pilot" || s.Groups[0].Limit.Micros != 25*dollar {
		t.Errorf("%+v", s)
	}
	all := strings.Join(notes, "\n")
	for _, want := range []string{"none of Cowork's", `scope "usage_tier"`, "binds nobody", "1 rows are effective limits"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q lacks %q", all, want)
		}
	}
	c.Spend = s
	l := New(org.NewDirectory(c, []org.Member{{ID: "m0"}, {ID: "m1"}}), current())
	if _, source, free := l.Limit(0, day); !free || source != SourceUser {
		t.Errorf("null on a user's row is unlimited: %s %v", source, free)
	}
	if m, source, _ := l.Limit(1, day); m != 10*dollar || source != SourceSeat {
		t.Errorf("%d %s", m, source)
	}
}

func TestLimitsAsProgramsSaveThem(t *testing.T) {
	if rows, err := ReadLimits("c", strings.NewReader("\ufeff"+limitRow(orgScope, `"100"`, "")), LimitOptions{}); err != nil || len(rows) != 1 {
		t.Errorf("with a byte order mark: %v", err)
	}
	_, err := ReadLimits("c", strings.NewReader(limitRow(orgScope, `"100"`, `,"period_to_date_spend":"4000000000000000"`)), LimitOptions{})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("more than all the money there is: %v", err)
	}
}

func TestLimitFaults(t *testing.T) {
	text := "{\"data\":[\n" + strings.Join([]string{
		limitRow(grpScope, `"2500"`, ""),
		limitRow(grpScope, `"2600"`, ""),
		limitRow(userScope, `"-1"`, ""),
		limitRow(userScope, `"10.5"`, ""),
		strings.Replace(limitRow(orgScope, `"1"`, ""), "USD", "EUR", 1),
		strings.Replace(limitRow(orgScope, `"1"`, ""), "monthly", "weekly", 1),
		limitRow(`{"type":"user"}`, `"1"`, ""),
		limitRow(userScope, `"1"`, ""),
		"  " + limitRow(userScope, "null", ""),
		`{"amount":"1","currency":"USD","period":"monthly"}`,
	}, ",\n") + "]}"
	_, err := ReadLimits("limits.json", strings.NewReader(text), LimitOptions{AsOf: source.Day(2026, 8, 22)})
	want := `limits.json:3:1: a second monthly limit for rbac_group rbac_group_01P (the first is at limits.json:2:1)
    advice: a scope and period have one limit: keep one of the rows
limits.json:4:1: the amount: "-1" is below zero
    advice: amounts are whole minor units, for example "50000" for 500.00
limits.json:5:1: the amount "10.5" has a part of a minor unit
    advice: amounts are whole minor units, for example "50000" for 500.00
limits.json:6:1: the currency is "EUR", expected USD
    advice: limits are in the organisation's billing currency; nothing is converted
limits.json:7:1: the period "weekly" is not supported on 2026-08-22
    advice: limits run by monthly
limits.json:8:1: the scope user names nobody
limits.json:10:3: a second monthly limit for user m0 (the first is at limits.json:9:1)
    advice: overrides of one user overlap: keep one of the rows
limits.json:11:1: the row has no scope
    advice: for example "scope": {"type": "user", "user_id": "user_..."}`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	for _, text := range []string{"", "{", "[1]", "{}", `{"data":{}}`, "[]", "not json"} {
		if rows, err := ReadLimits("x", strings.NewReader(text), LimitOptions{}); err == nil {
			t.Errorf("%q gives %v", text, rows)
		}
	}
}

// Increase requests beside limits are demand, and configure nothing.
func TestReadIncreaseRequests(t *testing.T) {
	request := func(user, status string) string {
		return fmt.Sprintf(`{"type":"spend_limit_increase_request","id":"slir_1","actor":{"type":"user_actor","user_id":%q},"period":"monthly","status":%q}`, user, status)
	}
	rows, err := ReadLimits("x", strings.NewReader("["+request("a", "pending")+","+request("b", "denied")+","+request("a", "approved")+"]"), LimitOptions{})
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	if s, notes := Configure(rows, &org.Config{}); len(s.Users) != 0 || len(notes) != 1 || !strings.Contains(notes[0], "1 pending, 1 approved, 1 denied") {
		t.Errorf("%+v %q", s, notes)
	}
	_, err = ReadLimits("x", strings.NewReader(request("a", "pending")+"\n"+request("a", "pending")+"\n"+request("b", "lost")), LimitOptions{})
	if err == nil || !strings.Contains(err.Error(), "x:2:1: a second pending request of user a") || !strings.Contains(err.Error(), `x:3:1: the request has the status "lost"`) {
		t.Error(err)
	}
}

func FuzzReadLimits(f *testing.F) {
	f.Add(`{"data":[` + limitRow(orgScope, `"1"`, "") + `]}`)
	f.Add("[{}]")
	f.Add(`{"data":5}{"amount":null}`)
	f.Fuzz(func(t *testing.T, s string) {
		if rows, err := ReadLimits("x", strings.NewReader(s), LimitOptions{}); (len(rows) > 0) == (err != nil) {
			t.Fatal("rows or an error")
		}
	})
}

// The life of an increase request: blocked, asked, approved with an amount, going
// on at once; and the ways it may not go.
func TestIncreaseRequests(t *testing.T) {
	l := ledger(3, current(), func(c *org.Config) { c.Spend.Users = []org.UserLimit{{Member: txt("m2"), Unlimited: true}} }, 10)
	q := NewIncreaseRequests(l)
	l.Charge(0, day, 10*dollar)
	gate(t, 0, l, day, "group:g0")
	r, err := q.Ask(0, day)
	if err != nil || r.Status != Pending || *r.Spent != 10*dollar {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := q.Ask(0, day); err == nil {
		t.Error("two pending requests of one member")
	}
	if _, err := q.Ask(2, day); err == nil {
		t.Error("an unlimited member asks for more")
	}
	// A limit set in another way frees the member and resolves nothing.
	twelve, twenty := 12*dollar, 20*dollar
	l.Override(0, day.Add(time.Minute), &twelve)
	gate(t, 0, l, day.Add(time.Minute), "")
	if got := q.List(day); len(got) != 1 || got[0].Status != Pending {
		t.Errorf("%+v", got)
	}
	if err := q.Approve(r.ID, &twenty, day.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if m, source, _ := l.Limit(0, day.Add(time.Hour)); m != 20*dollar || source != SourceUser {
		t.Errorf("%d %s", m, source)
	}
	if m, _, _ := l.Limit(0, day.Add(-time.Hour)); m != 10*dollar {
		t.Errorf("the past is changed: %d", m)
	}
	if got := q.List(day)[0]; got.Status != Approved || got.Spent != nil || got.Resolved.IsZero() {
		t.Errorf("%+v", got)
	}
	if q.Deny(r.ID, day) == nil || q.Approve(r.ID, nil, day) == nil || q.Deny("slir_999", day) == nil {
		t.Error("a resolved request is resolved again")
	}
	// A denial may be repeated, and hides the button for 30 days.
	r, _ = q.Ask(1, day)
	for range 2 {
		if err := q.Deny(r.ID, day); err != nil {
			t.Errorf("a denial is not idempotent: %v", err)
		}
	}
	if _, err := q.Ask(1, day.Add(hiddenFor-time.Second)); err == nil {
		t.Error("asked again within 30 days")
	}
	if _, err := q.Ask(1, day.Add(hiddenFor)); err != nil {
		t.Error(err)
	}
	l.dir.SetLeft(1, day.Add(time.Hour))
	if got := q.List(day.Add(2 * time.Hour)); len(got) != 1 || got[0].Member != 0 {
		t.Errorf("ex-members are listed: %+v", got)
	}
}

// Blocked work stops, and goes on after a raise or the reset; so does a pool.
func TestDatedLimits(t *testing.T) {
	change := func(at time.Time, l org.LimitChange) org.Change { return org.Change{When: at, Limit: &l} }
	l := ledger(1, current(), func(c *org.Config) {
		c.Spend.Organisation = usd(100)
		c.Changes = []org.Change{
			change(day.Add(time.Hour), org.LimitChange{Group: txt("g0"), Limit: usd(20)}),
			change(day.Add(2*time.Hour), org.LimitChange{Group: txt("g0"), Unlimited: true}),
			change(day.Add(3*time.Hour), org.LimitChange{Organisation: true, Limit: usd(30)}),
			change(day.Add(4*time.Hour), org.LimitChange{Organisation: true, Delete: true}),
			change(day.Add(5*time.Hour), org.LimitChange{Group: txt("g0"), Delete: true}),
		}
	}, 10)
	l.Charge(0, day, 15*dollar)
	gate(t, 0, l, day, "group:g0")
	gate(t, 0, l, day.Add(time.Hour), "")
	l.Charge(0, day.Add(time.Hour), 15*dollar)
	gate(t, 0, l, day.Add(90*time.Minute), "group:g0")
	gate(t, 0, l, day.Add(2*time.Hour), "")
	if _, source, free := l.Limit(0, day.Add(2*time.Hour)); !free || source != "group:g0" {
		t.Errorf("%s %v", source, free)
	}
	gate(t, 0, l, day.Add(3*time.Hour), Pool)
	gate(t, 0, l, day.Add(4*time.Hour), "")
	if _, source, free := l.Limit(0, day.Add(5*time.Hour)); !free || source != SourceNone {
		t.Errorf("%s %v", source, free)
	}
}

// An unlimited group wins where the highest counts, and never where the lowest
// does.
func TestUnlimitedGroup(t *testing.T) {
	for mode, want := range map[string]float64{"lower": 200, "higher": -1} {
		l := ledger(1, current(), func(c *org.Config) {
			c.Spend.MultiGroup = mode
			c.Changes = []org.Change{{When: day.AddDate(0, 0, -1), Limit: &org.LimitChange{Group: txt("g1"), Unlimited: true}}}
		}, 200, 100)
		source := "group:g0"
		if want < 0 {
			source = "group:g1"
		}
		limit(t, 0, l, want, source)
	}
}

// The disagreements between sources (2.8), each as the switch or the two fields
// that it became.

func TestDisagreementMultiGroup(t *testing.T) {
	april := DefaultRules(facts(map[string]string{"spend-group-limit-gate": "yes", "spend-multi-group-rule/rule": "lowest"}))
	later := DefaultRules(facts(map[string]string{"spend-group-limit-gate": "yes", "spend-multi-group-rule/rule": "setting"}))
	higher := func(c *org.Config) { c.Spend.MultiGroup = "higher" }
	limit(t, 0, ledger(1, april, higher, 200, 500), 200, "group:g0")
	limit(t, 0, ledger(1, later, higher, 200, 500), 500, "group:g1")
	limit(t, 0, ledger(1, later, nil, 200, 500), 200, "group:g0") // the default is not published: the lower one
}

func TestDisagreementPeriods(t *testing.T) {
	daily := strings.Replace(limitRow(orgScope, `"1"`, ""), "monthly", "daily", 1)
	if _, err := ReadLimits("x", strings.NewReader(daily), LimitOptions{}); err == nil {
		t.Error("daily limits do not exist where the guide says monthly")
	}
	if rows, err := ReadLimits("x", strings.NewReader(daily), LimitOptions{Periods: []string{"daily", "weekly", "monthly"}}); err != nil || rows[0].Period != "daily" {
		t.Errorf("the schema's three periods: %v", err)
	}
}

func TestDisagreementOrganisationScope(t *testing.T) {
	// As a total it is a pool; as a default each member has it for themselves.
	pool := ledger(2, current(), func(c *org.Config) { c.Spend.Organisation = usd(50) })
	each := ledger(2, current(), func(c *org.Config) { c.Spend.MemberDefault = usd(50) })
	for _, l := range []*Ledger{pool, each} {
		l.Charge(1, day, 50*dollar)
	}
	gate(t, 0, pool, day, Pool)
	gate(t, 0, each, day, "")
	limit(t, 0, each, 50, SourceMember)
}

func TestDisagreementLevels(t *testing.T) {
	// The billing page lists organisation and individual levels only: without the
	// gate, limits on groups are ignored, and said to be.
	l := ledger(1, DefaultRules(facts(nil)), func(c *org.Config) { c.Spend.Users = []org.UserLimit{override("m0", 70)} }, 10)
	limit(t, 0, l, 70, SourceUser)
	if notes := l.Summary().Notes; len(notes) != 1 || !strings.Contains(notes[0], "do not exist on this plan") {
		t.Errorf("%q", notes)
	}
}

func facts(m map[string]string) func(string, string) (string, bool) {
	return func(id, param string) (string, bool) {
		if param != "" {
			id += "/" + param
		}
		v, ok := m[id]
		return v, ok
	}
}

func TestDrivers(t *testing.T) {
	d := NewDrivers(flat{}, 10_000)
	ask := func(session, prompt, model, agent string, micros int64) {
		ev := request("a0", day, micros)
		ev.Session, ev.Prompt, ev.Model, ev.Agent = session, prompt, model, agent
		ev.InputTokens, ev.CacheRead = 100, 300
		d.Observe(ev)
	}
	ask("s", "p1", "opus", "", 100)
	ask("s", "p1", "opus", "", 50)
	ask("s", "p1", "opus", "explorer", 25)
	ask("s", "p2", "haiku", "", 10)
	ask("t", "p3", "haiku", "", 5)
	d.Observe(&event.Event{Kind: event.ToolResult, Product: event.Cowork, Tool: "WebSearch"})
	missing := request("a0", day, 0)
	missing.CostFrom = event.CostMissing
	d.Observe(missing)
	want := "input outside the cache 5 500 of 2000; cache reads 5 1500 of 2000; subagents 1 25 of 190; tool loops: requests after a prompt's first 2 75 of 190; web searches 1 10000 of 0; model opus 3 175 of 190; model haiku 2 15 of 190; "
	got := ""
	for _, r := range d.Report() {
		got += fmt.Sprintf("%s %d %d of %d; ", r.Driver, r.Requests, r.Micros, r.Whole)
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A prompt goes on over two days without a request, and not over five.
func TestDriversForgetPrompts(t *testing.T) {
	for _, c := range []struct {
		days  int
		loops int64
	}{{0, 30}, {1, 30}, {2, 30}, {5, 0}} {
		d := NewDrivers(nil, 0)
		for i := range 30 {
			for k := range 2 {
				ev := request("a0", day.AddDate(0, 0, 7*i+k*c.days).Add(time.Duration(i)*time.Hour), 1)
				ev.Session, ev.Prompt = "s", fmt.Sprint("p", i)
				d.Observe(ev)
			}
		}
		if got := d.rows[toolLoops].Requests; got != c.loops {
			t.Errorf("%d days between two requests of a prompt: %d loops, expected %d", c.days, got, c.loops)
		}
		if n := d.prompt.Len() + d.before.Len(); n > 2 {
			t.Errorf("%d sessions remembered", n)
		}
	}
}

// A stream that invents model names costs no more memory than any other.
func TestDriversBounded(t *testing.T) {
	d := NewDrivers(flat{}, 0)
	for i := range 3 * maxModels {
		ev := request("a0", day, 1)
		if ev.Model = fmt.Sprint("m", i); i%100 == 0 {
			ev.Model = ""
		}
		ev.InputTokens = 5
		d.Observe(ev)
	}
	var sum, input int64
	for _, r := range d.Report() {
		if strings.HasPrefix(r.Driver, "model ") {
			sum += r.Requests
		} else if r.Driver == driverNames[inputTokens] {
			input = r.Requests
		}
	}
	if len(d.models) > maxModels+2 || len(d.rates) > maxModels || sum != 3*maxModels || input != 3*maxModels {
		t.Errorf("%d models, %d rates, %d and %d requests", len(d.models), len(d.rates), sum, input)
	}
}

type flat struct{}

func (flat) Cost(_ string, _ time.Time, in, out, read, write int64) (int64, bool) {
	return in + out + read + write, true
}

func BenchmarkDrivers(b *testing.B) {
	d := NewDrivers(flat{}, 10_000)
	evs := make([]*event.Event, 1000)
	for i := range evs {
		ev := request("a0", day, 1000)
		ev.Session, ev.Prompt, ev.Model = fmt.Sprint("s", i%50), fmt.Sprint("p", i/5), []string{"opus", "sonnet"}[i%2]
		ev.InputTokens, ev.OutputTokens, ev.CacheRead, ev.CacheWrite = 10, 300, 40_000, 2_000
		evs[i] = ev
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		d.Observe(evs[n%1000])
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
