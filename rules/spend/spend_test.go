package spend

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

const dollar = int64(1_000_000)

var day = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func txt(s string) source.Text { return source.Text{Value: s} }

func usd(x float64) source.Money {
	return source.Money{Micros: int64(math.Round(x * 1e6)), Given: true}
}

func current() Rules {
	return Rules{GroupLimits: true, Setting: true, Shared: "chat,cowork,claude_code", Outside: "claude-in-slack"}
}

// ledger has n members, all of them in every group; limits are by group in order.
func ledger(n int, r Rules, edit func(*org.Config), limits ...float64) *Ledger {
	c := &org.Config{}
	for i, x := range limits {
		name := txt(fmt.Sprint("g", i))
		c.Groups = append(c.Groups, org.Group{Name: name, Members: []org.Membership{{Select: org.Selector{All: true}}}})
		c.Spend.Groups = append(c.Spend.Groups, org.GroupLimit{Group: name, Limit: usd(x)})
	}
	if edit != nil {
		edit(c)
	}
	var ms []org.Member
	for i := range n {
		ms = append(ms, org.Member{ID: fmt.Sprint("m", i), Account: fmt.Sprint("a", i)})
	}
	return New(org.NewDirectory(c, ms), r)
}

func override(m string, x float64) org.UserLimit { return org.UserLimit{Member: txt(m), Limit: usd(x)} }

// limit asserts the effective limit; want < 0 is unlimited.
func limit(t *testing.T, n int, l *Ledger, want float64, source string) {
	t.Helper()
	m, s, unlimited := l.Limit(0, day)
	if unlimited != (want < 0) || !unlimited && m != usd(want).Micros || s != source {
		t.Errorf("example %d: %s by %q (unlimited %v), want %v by %q", n, Dollars(m), s, unlimited, want, source)
	}
}

func gate(t *testing.T, n int, l *Ledger, at time.Time, boundBy string) {
	t.Helper()
	if v := l.Gate(0, at); v.Allowed != (boundBy == "") || v.BoundBy != boundBy {
		t.Errorf("example %d: %+v, want bound by %q", n, v, boundBy)
	}
}

// The examples of section 2.6 by their numbers.
func TestWorkedExamples(t *testing.T) {
	mode := func(m string) func(*org.Config) { return func(c *org.Config) { c.Spend.MultiGroup = m } }
	user := func(u org.UserLimit) func(*org.Config) {
		return func(c *org.Config) { c.Spend.Users = []org.UserLimit{u} }
	}
	unlimited := org.UserLimit{Member: txt("m0"), Unlimited: true}

	l := ledger(1, current(), nil, 200)
	l.Charge(0, day, usd(199.90).Micros)
	gate(t, 1, l, day, "")
	l.Charge(0, day, usd(0.80).Micros)
	gate(t, 1, l, day, "group:g0")
	if s := l.Spent(0, day); s != usd(200.70).Micros {
		t.Errorf("example 1: spent %s", Dollars(s))
	}

	limit(t, 2, ledger(1, current(), mode("lower"), 200, 500), 200, "group:g0")
	limit(t, 2, ledger(1, current(), mode("higher"), 200, 500), 500, "group:g1")
	limit(t, 2, ledger(1, current(), nil, 200, 500), 200, "group:g0")                           // default of the setting
	limit(t, 2, ledger(1, Rules{GroupLimits: true}, mode("higher"), 200, 500), 200, "group:g0") // before the setting existed
	limit(t, 3, ledger(1, current(), user(override("m0", 50)), 500), 50, SourceUser)
	limit(t, 4, ledger(1, current(), user(override("a0", 900)), 500), 900, SourceUser)
	limit(t, 5, ledger(1, current(), user(unlimited), 200), -1, SourceUser)

	// 6: the override is deleted on the 15th: what was spent under it stays spent.
	l = ledger(1, current(), func(c *org.Config) {
		user(unlimited)(c)
		c.Changes = []org.Change{{When: day, Limit: &org.LimitChange{Member: txt("m0"), Delete: true}}}
	}, 200)
	l.Charge(0, day.Add(-time.Hour), 350*dollar)
	gate(t, 6, l, day.Add(-time.Minute), "")
	limit(t, 6, l, 200, "group:g0")
	gate(t, 6, l, day, "group:g0")

	seat := func(m string) func(*org.Config) {
		return func(c *org.Config) { c.Spend.SeatDefault, c.Spend.MultiGroup = usd(100), m }
	}
	limit(t, 7, ledger(1, current(), seat("lower"), 300), 100, SourceSeat)
	limit(t, 7, ledger(1, current(), seat("higher"), 300), 300, "group:g0")

	l = ledger(20, current(), nil, 150)
	for i := range 20 {
		l.Charge(i, day, 150*dollar)
	}
	if s := l.Summary(); s.Total != 3000*dollar || s.Groups[0].Exposure != 3000*dollar {
		t.Errorf("example 8: total %s, exposure %s", Dollars(s.Total), Dollars(s.Groups[0].Exposure))
	}

	ceiling := func(x float64) func(*org.Config) {
		return func(c *org.Config) { c.Spend.Organisation = usd(x) }
	}
	l = ledger(20, current(), ceiling(2000), 150)
	for i := range 20 {
		l.Charge(i, day, 100*dollar)
	}
	for i := range 20 {
		if v := l.Gate(i, day); v.Allowed || v.BoundBy != Pool || v.Also != "" {
			t.Errorf("example 9: member %d %+v", i, v)
		}
	}

	l = ledger(1, current(), ceiling(10_000))
	for _, x := range []int64{7499, 1, 1500, 1000} {
		gate(t, 10, l, day, "")
		l.Charge(0, day, x*dollar)
	}
	gate(t, 10, l, day, Pool)
	if got := fmt.Sprint(l.alerts[0].Percent, l.alerts[1].Percent, l.alerts[2].Percent, len(l.alerts)); got != "75 90 100 3" {
		t.Errorf("example 10: alerts %s", got)
	}

	l = ledger(1, Rules{SeatBased: true, Included: 30 * dollar}, user(override("m0", 0)))
	gate(t, 11, l, day, "")
	l.Charge(0, day, 30*dollar)
	gate(t, 11, l, day, SourceUser)
	if s := l.poolOf(monthKey(day)).spent; s != 0 {
		t.Errorf("example 11: included usage counts as credits: %s", Dollars(s))
	}
	gate(t, 12, ledger(1, current(), user(override("m0", 0))), day, SourceUser)

	rows, err := ReadLimits("effective", strings.NewReader(`{"scope":{"type":"user","user_id":"u"},"amount":"50000","currency":"USD","period":"monthly","source":{"type":"rbac_group","rbac_group_id":"g"},"period_to_date_spend":"31402.5"}`), LimitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if used, ok := rows[0].Used(); used != 62_805 || !ok { // 62.805%
		t.Errorf("example 13: %d %v", used, ok)
	}
	if a, b := Line(rows[0].Amount, 75), Line(rows[0].Amount, 90); a != 37_500*Cent || b != 45_000*Cent {
		t.Errorf("example 13: %d, %d", a, b)
	}

	moved := func(c *org.Config) {
		for i, name := range []string{"Eng", "Finance"} {
			c.Groups = append(c.Groups, org.Group{Name: txt(name), Members: []org.Membership{{Select: org.Selector{All: true}}}})
			c.Spend.Groups = append(c.Spend.Groups, org.GroupLimit{Group: txt(name), Limit: usd([]float64{500, 200}[i])})
		}
		c.Groups[0].Members[0].To, c.Groups[1].Members[0].From = source.Day(2026, 6, 14), source.Day(2026, 6, 14)
	}
	l = ledger(1, current(), moved)
	l.Charge(0, day.AddDate(0, 0, -5), 260*dollar)
	gate(t, 14, l, day.AddDate(0, 0, -5), "")
	limit(t, 14, l, 200, "group:Finance")
	gate(t, 14, l, day, "group:Finance")
	gate(t, 14, l, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).Add(-1), "group:Finance")
	gate(t, 14, l, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), "")

	// 15: daily limits belong to another product; here only the month counts.
	l = ledger(1, current(), nil, 300)
	l.Charge(0, day.AddDate(0, 0, -1), usd(99.90).Micros)
	l.Charge(0, day, usd(20.10).Micros)
	gate(t, 15, l, day, "")

	l = ledger(1, current(), nil)
	limit(t, 16, l, -1, SourceNone)
	l.Observe(request("a0", day, dollar))
	if fs := l.Close(day); len(fs) != 1 || fs[0].Rule != "spend-unlimited" {
		t.Errorf("example 16: %+v", fs)
	}

	// 17: "0" to date beside 180 on the cost report is an unavailable reading.
	rows, err = ReadLimits("effective", strings.NewReader(`{"scope":{"type":"user","user_id":"u"},"amount":"20000","currency":"USD","period":"monthly","source":{"type":"something_new"},"period_to_date_spend":"0"}`), LimitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if best, unavailable := rows[0].ToDate.Against(180*dollar, true); best != 180*dollar || !unavailable {
		t.Errorf("example 17: %d %v", best, unavailable)
	}
	if _, ok := rows[0].Used(); ok {
		t.Error("example 17: a reading of zero proves nothing")
	}
	// 18: a source nobody knows keeps its row and is marked.
	if rows[0].Known || rows[0].Source != "something_new" || rows[0].Amount != 200*dollar {
		t.Errorf("example 18: %+v", rows[0])
	}
	// 17, in a stream: an amount that cannot be read is not a zero.
	l = ledger(1, current(), nil, 200)
	ev := request("a0", day, 0)
	ev.CostFrom = event.CostMissing
	l.Observe(ev)
	if s := l.Summary(); s.Evaluable || s.Costs.Missing != 1 {
		t.Errorf("example 17: %+v", s)
	}

	// 18: a limit on something unknown binds nobody and stays visible.
	l = ledger(1, current(), func(c *org.Config) { c.Spend.Groups[0].Group = txt("new thing") }, 200)
	limit(t, 18, l, -1, SourceNone)
	if s := l.Summary(); len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "new thing") {
		t.Errorf("example 18: %q", s.Notes)
	}
}

func request(account string, at time.Time, micros int64) *event.Event {
	ev := &event.Event{Kind: event.APIRequest, Product: event.Cowork, Account: account, Session: "s", Time: at.UnixNano(), CostMicros: micros, Has: event.FCostMicros}
	ev.Derive()
	return ev
}

func TestFormula(t *testing.T) {
	for _, x := range []struct {
		s                      float64
		c                      int64
		u                      int
		team, member, exposure string
	}{
		{5, 2 * dollar, 20, "$1,075.00", "$53.75", "$21,500.00"},
		{6, 750_000, 12, "$290.25", "$24.19", "$3,483.00"},
		{0, dollar, 3, "$0.00", "$0.00", "$0.00"},
		{5, dollar, 0, "$0.00", "$0.00", "$0.00"},
	} {
		b := Formula(x.s, x.c, x.u)
		if Dollars(b.TeamMicros) != x.team || Dollars(b.PerMemberMicros) != x.member || Dollars(b.ExposureIfTeamTypedIn) != x.exposure || len(b.Lines) == 0 {
			t.Errorf("%v: %+v", x, b)
		}
	}
	if b := Formula(1e8, math.MaxInt64, math.MaxInt32); b.TeamMicros != math.MaxInt64 {
		t.Errorf("%+v", b)
	}
}

func TestDollars(t *testing.T) {
	for micros, want := range map[int64]string{0: "$0.00", 1: "$0.000001", 10_000: "$0.01", 1_075_000_000: "$1,075.00",
		24_187_500: "$24.1875", -1_500_000: "-$1.50", 1_234_567_890_000: "$1,234,567.89", math.MinInt64: "-$9,223,372,036,854.775808"} {
		if got := Dollars(micros); got != want {
			t.Errorf("%d: %s, want %s", micros, got, want)
		}
	}
}

func TestRounded(t *testing.T) {
	for micros, want := range map[int64]string{0: "$0.00", 4_999: "$0.00", 5_000: "$0.01", 1_199_864_265: "$1,199.86", 999_995_000: "$1,000.00",
		-4_999: "$0.00", -5_000: "-$0.01", -19_000: "-$0.02", math.MaxInt64: "$9,223,372,036,854.77", math.MinInt64: "-$9,223,372,036,854.77"} {
		if got := Rounded(micros); got != want {
			t.Errorf("%d: %s, want %s", micros, got, want)
		}
	}
}

func TestObserve(t *testing.T) {
	l := ledger(2, current(), func(c *org.Config) { c.Spend.Organisation = usd(100) }, 10)
	for i := range 4 {
		l.Observe(request("a0", day.Add(time.Duration(i)*time.Hour), 6*dollar))
	}
	code := request("a1", day, 3*dollar)
	code.Product = event.ClaudeCode
	l.Observe(code)
	l.Observe(request("", day, dollar))
	other := request("a1", day, dollar)
	other.Product = event.UnknownProduct
	l.Observe(other)
	s := l.Summary()
	if len(s.WouldBlock) != 1 {
		t.Fatalf("%+v", s.WouldBlock)
	}
	b := s.WouldBlock[0]
	if b.Member != "a0" || !b.Time.Equal(day.Add(2*time.Hour)) || b.BoundBy != "group:g0" || b.Spent != 12*dollar ||
		b.Later != (Bucket{2, 12 * dollar}) || b.LaterSessions != 1 {
		t.Errorf("%+v", b)
	}
	if len(s.Warnings) != 2 || s.Warnings[0].Percent != 75 || s.Warnings[1].Percent != 95 || s.Warnings[1].Member != "a0" || !s.Warnings[1].Time.Equal(day.Add(time.Hour)) {
		t.Errorf("%+v", s.Warnings)
	}
	if len(s.Outside) != 2 || s.Outside[0] != (Outside{"unknown product", 1}) || s.Outside[1] != (Outside{Product: "claude-in-slack"}) {
		t.Errorf("%+v", s.Outside)
	}
	if s.Total != 28*dollar || s.Unattributed != (Bucket{1, dollar}) || s.OtherProduct != 1 || s.Costs.Sent != 6 || len(s.Members) != 2 {
		t.Errorf("%+v", s)
	}
	if fs := l.Close(day); len(fs) != 1 || fs[0].Group != "g0" || fs[0].Topic != "spend" || fs[0].Count != 2 {
		t.Errorf("%+v", fs)
	}
}

// A leaver keeps the last limit, whatever was asked before.
func TestLeaverKeepsLimit(t *testing.T) {
	c := &org.Config{Groups: []org.Group{{Name: txt("g"), Members: []org.Membership{{Select: org.Selector{All: true}}}}},
		Spend: org.Spend{Groups: []org.GroupLimit{{Group: txt("g"), Limit: usd(5)}}}}
	l := New(org.NewDirectory(c, []org.Member{{ID: "m", Left: day}}), current())
	if m, s, _ := l.Limit(0, day.Add(time.Hour)); m != 5*dollar || s != "group:g" {
		t.Errorf("%d %s", m, s)
	}
}

// TestDifferential compares the ledger with sums taken anew for every request.
func TestDifferential(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		money := func(label string) source.Money {
			n := rapid.IntRange(-2, 40).Draw(t, label)
			return source.Money{Micros: int64(max(n, 0)) * dollar, Given: n >= 0}
		}
		c := &org.Config{Spend: org.Spend{Organisation: money("ceiling"), MemberDefault: money("default"), SeatDefault: money("seat"),
			MultiGroup: rapid.SampledFrom([]string{"", "lower", "higher"}).Draw(t, "mode")}}
		r := Rules{GroupLimits: rapid.Bool().Draw(t, "gate"), Setting: rapid.Bool().Draw(t, "setting")}
		for i := range rapid.IntRange(0, 3).Draw(t, "groups") {
			g := org.Group{Name: txt(fmt.Sprint("g", i))}
			g.Members = []org.Membership{{Select: org.Selector{First: rapid.IntRange(1, 3).Draw(t, "first")},
				From: source.Day(2026, 6, rapid.IntRange(1, 40).Draw(t, "from"))}}
			c.Groups = append(c.Groups, g)
			if m := money("limit"); m.Given {
				c.Spend.Groups = append(c.Spend.Groups, org.GroupLimit{Group: g.Name, Limit: m})
			}
		}
		if rapid.Bool().Draw(t, "override") {
			m := money("amount")
			c.Spend.Users = []org.UserLimit{{Member: txt("m1"), Limit: m, Unlimited: !m.Given}}
		}
		d := org.NewDirectory(c, []org.Member{{ID: "m0"}, {ID: "m1"}, {ID: "m2"}})
		l := New(d, r)
		type charge struct {
			member int
			at     time.Time
			micros int64
		}
		var past []charge
		at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		for range rapid.IntRange(1, 40).Draw(t, "requests") {
			at = at.Add(time.Duration(rapid.IntRange(0, 96).Draw(t, "hours")) * time.Hour)
			now := charge{rapid.IntRange(Unattributed, 2).Draw(t, "member"), at, rapid.Int64Range(0, 9*dollar).Draw(t, "micros")}
			var own, all int64
			for _, p := range past {
				if p.at.Year() == at.Year() && p.at.Month() == at.Month() {
					all += p.micros
					if p.member == now.member {
						own += p.micros
					}
				}
			}
			blocked := c.Spend.Organisation.Given && all >= c.Spend.Organisation.Micros
			if now.member >= 0 {
				if limit, ok := plainLimit(d, r, now.member, at); ok && own >= limit {
					blocked = true
				}
			}
			if v := l.Gate(now.member, at); v.Allowed == blocked {
				t.Fatalf("member %d at %s with %d of all %d: %+v", now.member, at, own, all, v)
			}
			l.Charge(now.member, at, now.micros)
			past = append(past, now)
		}
	})
}

// plainLimit is 2.3 as written down.
func plainLimit(d *org.Directory, r Rules, member int, t time.Time) (int64, bool) {
	s := &d.Config.Spend
	for _, u := range s.Users {
		if u.Member.Value == d.ID(member) {
			return u.Limit.Micros, !u.Unlimited
		}
	}
	var all []int64
	for _, g := range d.GroupsOf(member, t) {
		for _, gl := range s.Groups {
			if r.GroupLimits && gl.Group.Value == d.Config.Groups[g].Name.Value {
				all = append(all, gl.Limit.Micros)
			}
		}
	}
	if s.SeatDefault.Given {
		all = append(all, s.SeatDefault.Micros)
	}
	if len(all) == 0 {
		return s.MemberDefault.Micros, s.MemberDefault.Given
	}
	best := all[0]
	for _, x := range all {
		if r.Setting && s.MultiGroup == "higher" {
			best = max(best, x)
		} else {
			best = min(best, x)
		}
	}
	return best, true
}

func BenchmarkLedger(b *testing.B) {
	l := ledger(1000, current(), nil, 200, 500)
	evs := make([]*event.Event, 1000)
	for i := range evs {
		evs[i] = request(fmt.Sprint("a", i), day, 1000)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		l.Observe(evs[n%1000])
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// What counts against a member's limit, what does not, and what nobody says: by
// product of the wire and by name of a cost row.
func TestServicesOutsideTheLimits(t *testing.T) {
	for p, want := range map[event.Product]bool{event.Cowork: true, event.ClaudeCode: true, event.OfficeAgents: true, event.DesktopLogs: false, event.UnknownProduct: false} {
		l := ledger(1, current(), nil, 10)
		for range 3 {
			ev := request("a0", day, 6*dollar)
			ev.Product = p
			l.Observe(ev)
		}
		s := l.Summary()
		if (s.Total > 0) != want || (len(s.WouldBlock) == 1) != want || (s.OtherProduct == 3) == want {
			t.Errorf("%s: spent %s, %d blocked, %d outside", p, Dollars(s.Total), len(s.WouldBlock), s.OtherProduct)
		}
		if !want && s.Outside[0] != (Outside{p.String(), 3}) {
			t.Errorf("%s is not named: %+v", p, s.Outside)
		}
		notes := strings.Join(s.Notes, "|")
		if want != strings.Contains(notes, "chat counts against the same limits and is not on this wire") || want != strings.Contains(notes, "claude-in-slack heeds no limit") {
			t.Errorf("%s: %s", p, notes)
		}
	}
	l := ledger(1, Rules{GroupLimits: true}, nil, 10) // before anything was documented
	l.Observe(request("a0", day, dollar))
	if s := l.Summary(); len(s.Outside) != 0 || !strings.Contains(strings.Join(s.Notes, "|"), "not documented on the day") {
		t.Errorf("%+v", s)
	}
	for product, want := range map[string]string{"cowork": "counts", "chat": "counts", "claude_code": "counts", "claude-in-slack": "outside", "office_agent": "not documented", "": "not documented"} {
		if got := current().Counts(product); !strings.Contains(got, want) {
			t.Errorf("%q: %s", product, got)
		}
	}
}

// A limit on a group that comes with a dated change is as void as any other where
// the plan has none.
func TestDatedGroupLimitNeedsThePlan(t *testing.T) {
	dated := func(c *org.Config) {
		c.Groups = []org.Group{{Name: txt("g"), Members: []org.Membership{{Select: org.Selector{All: true}}}}}
		c.Changes = []org.Change{{When: day.AddDate(0, 0, -1), Limit: &org.LimitChange{Group: txt("g"), Limit: usd(5)}}}
	}
	l := ledger(1, Rules{}, dated)
	if m, by, unlimited := l.Limit(0, day); !unlimited {
		t.Errorf("limited to %s by %s", Dollars(m), by)
	}
	if s := l.Summary(); len(s.Notes) == 0 || !strings.Contains(s.Notes[0], "limits on groups do not exist") {
		t.Errorf("%q", s.Notes)
	}
	l.Use(current())
	if m, by, _ := l.Limit(0, day); m != 5*dollar || by != "group:g" {
		t.Errorf("once the plan has them: %s by %s", Dollars(m), by)
	}
}

// Names of groups are not unique; which of two comes first must not hang on a map.
func TestGroupsOfOneNameKeepTheirOrder(t *testing.T) {
	l := ledger(3, current(), func(c *org.Config) {
		for i := range 3 {
			c.Groups = append(c.Groups, org.Group{Name: txt("twin"), Members: []org.Membership{{Select: org.Selector{First: i + 1}}}})
		}
	})
	l.Charge(0, day, dollar)
	for range 20 {
		for i, g := range l.Summary().Groups {
			if g.Members != i+1 {
				t.Fatalf("%+v", l.Summary().Groups)
			}
		}
	}
}
