package forecast

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
)

// eventMonths is how many months are played event by event. The default keeps
// the test quick; the command's help quotes 600 at 200 seats.
var (
	eventMonths = flag.Int("event-months", 10, "months to play event by event against the forecast")
	eventSeats  = flag.Int("event-seats", 40, "members of the company that is played")
)

type prices map[string][2]int64

var april = prices{"claude-opus-4-6": {5, 25}, "claude-sonnet-4-6": {3, 15}, "claude-haiku-4-5": {1, 5}}

func (p prices) Cost(model string, _ time.Time, in, out, read, write int64) (int64, bool) {
	x, ok := p[model]
	if !ok {
		return 0, false
	}
	return (10*(in*x[0]+out*x[1]+2*write*x[0]) + read*x[0] + 5) / 10, true
}

// meter lets everybody work and adds up what they spend.
type meter struct {
	spent  []int64
	closed func(member int) bool
}

func (m *meter) MayUse(i int, c string, _ time.Time) bool { return m.closed == nil || !m.closed(i) }
func (m *meter) Connector(int, string, string, bool, time.Time) simulate.Verdict {
	return simulate.Allow
}
func (m *meter) MaySpend(int, time.Time) bool            { return true }
func (m *meter) Charge(i int, _ time.Time, micros int64) { m.spent[i] += micros }

// company has three departments with different habits.
func company(t testing.TB, seats int) simulate.Options {
	s := &scenarios.Scenario{Name: source.Text{Value: "test"}, Seed: 11, AsOf: source.Day(2026, 4, 9),
		Period: scenarios.Period{From: source.Day(2026, 4, 13), To: source.Day(2026, 5, 24)}}
	s.Organisation = org.Organisation{Name: "Example", Seats: seats, Departments: []org.Department{
		{Name: "Claims", Members: seats / 2, Persona: "claims", TimeZone: "America/New_York"},
		{Name: "Finance", Members: seats / 4, Persona: "finance", TimeZone: "Europe/London"},
		{Name: "IT", Members: seats / 4, Persona: "it"},
	}}
	s.Connectors = []org.Connector{{Name: source.Text{Value: "documents"}, Enabled: true}}
	s.Telemetry.Endpoint = "https://collector.example"
	d, err := org.Build(&s.Config, s.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return simulate.Options{Scenario: s, Directory: d, Gate: &meter{spent: make([]int64, seats)}, Prices: april}
}

var may = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func model(t testing.TB, seats int) *Model {
	m, err := Scenario(company(t, seats), may)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func all(m *Model) []int {
	var set []int
	for i := range m.Workers {
		set = append(set, i)
	}
	return set
}

// TestEventLevel holds population-level draws against months played event by
// event: P50, P90 and P99 of the group's spend agree within five percent, or
// within what so few months can tell.
func TestEventLevel(t *testing.T) {
	if testing.Short() {
		t.Skip("plays months event by event")
	}
	o := company(t, *eventSeats)
	m := model(t, *eventSeats)
	runs, err := m.Run(context.Background(), Options{Trials: 1000, Seed: 5}, all(m))
	if err != nil {
		t.Fatal(err)
	}
	var played, members []int64
	for n := range *eventMonths {
		p, err := inMonth(o, may)
		if err != nil {
			t.Fatal(err)
		}
		g := &meter{spent: make([]int64, *eventSeats)}
		p.Gate, p.Scenario.Seed = g, uint64(1000+n)
		if _, err := simulate.Run(context.Background(), p, func([]event.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for _, v := range g.spent {
			sum += v
		}
		played, members = append(played, sum), append(members, g.spent...)
	}
	got, want := runs[0].Quantiles(), quantiles(played)
	gotM, wantM := runs[0].MemberQuantiles(), quantiles(members)
	for _, x := range []struct {
		name      string
		got, want int64
		se        int64
	}{
		{"group P50", got.P50, want.P50, want.SE.P50}, {"group P90", got.P90, want.P90, want.SE.P90}, {"group P99", got.P99, want.P99, want.SE.P99},
		{"group mean", got.Mean, want.Mean, want.SE.Mean},
		{"member P50", gotM.P50, wantM.P50, wantM.SE.P50}, {"member P90", gotM.P90, wantM.P90, wantM.SE.P90}, {"member P99", gotM.P99, wantM.P99, wantM.SE.P99},
	} {
		if x.name == "group P99" && *eventMonths < 500 {
			continue // so few months say nothing about one in a hundred
		}
		off := float64(x.got-x.want) / float64(x.want)
		t.Logf("%s: forecast %.2f, %d played months %.2f ± %.2f, off by %.1f%%", x.name, dollars(x.got), *eventMonths, dollars(x.want), dollars(x.se), 100*off)
		if math.Abs(off) > 0.05+3*float64(x.se)/float64(x.want) {
			t.Errorf("%s is off by %.1f%%", x.name, 100*off)
		}
	}
}

func dollars(m int64) float64 { return float64(m) / 1e6 }

// The same seed gives the same figures, whatever the number of workers, and a
// set's figures do not depend on what else is asked.
func TestReproducible(t *testing.T) {
	m := model(t, 20)
	figures := func(workers int, sets ...[]int) string {
		o := Options{Trials: 60, Seed: 3, Workers: workers}
		runs, err := m.Run(context.Background(), o, sets...)
		if err != nil {
			t.Fatal(err)
		}
		effects, err := m.Try(context.Background(), o, sets[0], 20_000_000, -1)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal([]any{runs[0], effects})
		return string(b)
	}
	one := figures(1, all(m))
	for _, w := range []int{2, 7} {
		if figures(w, all(m)) != one {
			t.Errorf("%d workers give other figures", w)
		}
	}
	if figures(2, all(m), []int{0, 1}) != one {
		t.Error("a second set changes the first")
	}
	again, err := Scenario(company(t, 20), may)
	if err != nil {
		t.Fatal(err)
	}
	if m = again; figures(2, all(m)) != one {
		t.Error("another model of the same scenario gives other figures")
	}
}

// What a limit does, against the limit applied request by request in the
// plainest way.
func TestTryAgainstPlain(t *testing.T) {
	m := modelOf(t)
	m.Workers = m.Workers[:8]
	o := Options{Trials: 40, Seed: 9}
	const limit = 25_000_000
	effects, err := m.Try(context.Background(), o, all(m), limit, -1, 0, math.MaxInt64/2)
	if err != nil {
		t.Fatal(err)
	}
	l := newLife(m, &o)
	var blocked, lost, spend, over int64
	var byDay [31]int64
	for trial := range o.Trials {
		for w := range m.Workers {
			spent, day := int64(0), -1
			for _, p := range l.trial(trial).draw(w) {
				last := int64(0)
				for _, c := range m.Pool[p.session].Cumulative[p.model] {
					cost := c - last
					last = c
					if spent >= limit {
						lost += cost
						if day < 0 {
							day = int(p.day)
						}
						continue
					}
					spent += cost
					over = max(over, spent-limit)
				}
			}
			spend += spent
			if day >= 0 {
				blocked++
				byDay[day]++
			}
		}
	}
	e := effects[0]
	if got := e.Members.Mean * float64(o.Trials); math.Round(got) != float64(blocked) || blocked == 0 {
		t.Errorf("%v blocked, want %d", got, blocked)
	}
	if e.Lost != (lost+int64(o.Trials)/2)/int64(o.Trials) || e.Overshoot != over {
		t.Errorf("lost %d, want %d; overshoot %d, want %d", e.Lost, lost/int64(o.Trials), e.Overshoot, over)
	}
	var sum int64
	for _, v := range e.spendByTrial {
		sum += v
	}
	if sum != spend {
		t.Errorf("spend %d, want %d", sum, spend)
	}
	upTo := int64(0)
	for d, n := range byDay {
		upTo += n
		if want := float64(upTo) / float64(o.Trials*8); math.Abs(e.ByDay[d].Mean-want) > 1e-5 {
			t.Errorf("day %d: %v, want %v", d, e.ByDay[d].Mean, want)
		}
	}
	if free := effects[1]; free.Members.Mean != 0 || free.Lost != 0 || free.Exposure != -1 {
		t.Errorf("no limit blocks nobody: %+v", free)
	}
	if none := effects[2]; none.Spend.P99 != 0 || none.Exposure != 0 {
		t.Errorf("a limit of zero lets nothing run: %+v", none)
	}
	if huge := effects[3]; huge.Exposure != math.MaxInt64 {
		t.Errorf("eight times half of all the money there is: %d", huge.Exposure)
	}
}

// A limit for a stated chance blocks at that rate on the lives it was found on
// and on others.
func TestCapForChance(t *testing.T) {
	m := modelOf(t)
	runs, err := m.Run(context.Background(), Options{Trials: 500, Seed: 1}, all(m))
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for _, chance := range []float64{0.2, 0.05, 0.01} {
		limit, se := runs[0].capFor(chance)
		if limit <= last || limit%10_000 != 0 {
			t.Errorf("chance %v: %d after %d", chance, limit, last)
		}
		last = limit
		for _, seed := range []uint64{1, 2} {
			e, err := m.Try(context.Background(), Options{Trials: 500, Seed: seed}, all(m), limit)
			if err != nil {
				t.Fatal(err)
			}
			got := e[0].MemberMonth.Mean
			if seed == 1 && got > chance || math.Abs(got-chance) > 0.1*chance+4*e[0].MemberMonth.SE {
				t.Errorf("chance %v, seed %d: limit %.2f ± %.2f blocks %v", chance, seed, dollars(limit), dollars(se), e[0].MemberMonth)
			}
		}
	}
}

// Common random numbers: against the same lives a higher limit never blocks
// more, more sessions never cost less, and the difference of two limits is known
// far better than either.
func TestCommonRandomNumbers(t *testing.T) {
	m := modelOf(t)
	o := Options{Trials: 100, Seed: 4}
	e, err := m.Try(context.Background(), o, all(m), 10_000_000, 20_000_000, 40_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(e); i++ {
		for trial := range o.Trials {
			if e[i].spendByTrial[trial] < e[i-1].spendByTrial[trial] {
				t.Fatalf("trial %d spends less under a higher limit", trial)
			}
		}
	}
	base, _ := m.Run(context.Background(), o, all(m))
	o.Rate = func(int) float64 { return 1.15 }
	more, _ := m.Run(context.Background(), o, all(m))
	var diff, plain []float64
	for trial := range o.Trials {
		if more[0].Totals[trial] < base[0].Totals[trial] {
			t.Fatalf("trial %d: more sessions cost less", trial)
		}
		diff = append(diff, float64(more[0].Totals[trial]-base[0].Totals[trial]))
		plain = append(plain, float64(base[0].Totals[trial]))
	}
	if estimate(diff).SE*3 > estimate(plain).SE {
		t.Errorf("the difference has error %v, the level %v", estimate(diff).SE, estimate(plain).SE)
	}
	o.Rate, o.Price = nil, 2000
	dear, _ := m.Run(context.Background(), o, all(m))
	if got, want := dear[0].Totals[0], 2*base[0].Totals[0]; got != want {
		t.Errorf("twice the price gives %d, want %d", got, want)
	}
}

func TestMonth(t *testing.T) {
	at := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	c := &org.Config{}
	directory := func() *org.Directory { return org.NewDirectory(c, []org.Member{{ID: "m"}}) }
	if m := Month(directory(), at(2026, 4, 1)); m != at(2026, 4, 1) {
		t.Error(m)
	}
	if m := Month(directory(), at(2026, 4, 13)); m != at(2026, 5, 1) {
		t.Error(m)
	}
	c.Groups = []org.Group{{Members: []org.Membership{{From: source.Day(2026, 5, 11)}}}}
	if m := Month(directory(), at(2026, 4, 13)); m != at(2026, 6, 1) {
		t.Error(m)
	}
}

// Nobody without access counts.
func TestAccess(t *testing.T) {
	o := company(t, 8)
	o.Gate = &meter{closed: func(i int) bool { return i >= 3 }}
	m, err := Scenario(o, may)
	if err != nil {
		t.Fatal(err)
	}
	var who []string
	for _, w := range m.Workers {
		who = append(who, fmt.Sprint(w.Member))
	}
	if strings.Join(who, " ") != "0 1 2" {
		t.Errorf("%q", who)
	}
}

// The draws behind the trials have the moments they should have.
func TestDraws(t *testing.T) {
	var sum, square float64
	const n = 40000
	for i := range n {
		k := float64(poisson(uniform(uint64(i)*7919, 3), 2.5, math.Exp(-2.5)))
		sum += k
		square += k * k
	}
	mean, variance := sum/n, square/n-sum/n*sum/n
	if math.Abs(mean-2.5) > 0.03 || math.Abs(variance-2.5) > 0.08 {
		t.Errorf("poisson: mean %v, variance %v", mean, variance)
	}
	r := org.Stream(1, "gamma")
	for _, shape := range []float64{0.5, 3, 40} {
		sum, square = 0, 0
		for range n {
			x := gamma(r, shape)
			sum += x
			square += x * x
		}
		mean, variance = sum/n, square/n-sum/n*sum/n
		if math.Abs(mean/shape-1) > 0.03 || math.Abs(variance/shape-1) > 0.06 {
			t.Errorf("gamma %v: mean %v, variance %v", shape, mean, variance)
		}
	}
	if q := quantiles([]int64{4, 1, 3, 2, 5}); q.P50 != 3 || q.P99 != 5 || q.P10 != 1 || q.Mean != 3 || !slices.IsSorted([]int64{q.P10, q.P50, q.P90, q.P95, q.P99}) {
		t.Errorf("%+v", q)
	}
}

func BenchmarkMonths200(b *testing.B) {
	for b.Loop() {
		m := model(b, 200)
		runs, err := m.Run(context.Background(), Options{Trials: 1000, Seed: 1}, all(m))
		if err != nil {
			b.Fatal(err)
		}
		limit, _ := runs[0].capFor(0.05)
		if _, err := m.Try(context.Background(), Options{Trials: 1000, Seed: 1}, all(m), limit, limit/2, -1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "months/s")
}
