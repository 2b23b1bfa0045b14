package forecast

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
)

func priceList(t testing.TB) *platform.PriceList {
	p, err := platform.Prices()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// planned is company's plan with one limited group of everybody in Claims.
func planned(t testing.TB, edit func(*PlanOptions, *org.Config)) *Plan {
	o := company(t, 24)
	c := &o.Scenario.Config
	c.Groups = []org.Group{{Name: source.Text{Value: "claims"}, Members: []org.Membership{{Select: org.Selector{Department: "Claims"}}}}}
	c.Spend.Groups = []org.GroupLimit{{Group: source.Text{Value: "claims"}, Limit: source.Money{Micros: 20 * dollar, Given: true},
		Formula: &org.Formula{SessionsPerWeek: 6, SessionCost: source.Money{Micros: 750_000, Given: true}, Users: 12}}}
	c.Spend.Organisation = source.Money{Micros: 700 * dollar, Given: true}
	po := PlanOptions{Limits: spend.Rules{GroupLimits: true}, Prices: priceList(t), Trials: 200, Seed: 7, Chance: 0.05, Others: -1}
	if edit != nil {
		edit(&po, c)
	}
	o.Directory = org.NewDirectory(c, o.Directory.Members())
	po.Directory = o.Directory
	if po.Model == nil {
		po.Model = modelOf(t) // neither groups nor limits change the population
	}
	p, err := MakePlan(context.Background(), po)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func text(t testing.TB, p *Plan) string {
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

// The lesson's arithmetic stands in the print as it would be done by hand:
// 6 x 0.75 x 12 x 4.3 x 1.25 = 290.25, a twelfth of it 24.1875, so 24.19; typed in
// as the group's limit it would allow twelve times 290.25.
func TestPlanArithmetic(t *testing.T) {
	p := planned(t, nil)
	has(t, text(t, p), "6 sessions a user and week x $0.75 a session x 12 users x 4.3 weeks x 1.25 headroom",
		"= $290.25 a month: the team's budget", "/ 12 users = $24.19 a member", "12 x $290.25 = $3,483.00",
		"members who may use Cowork are in no group planned here and fall to no limit at all")
	g := p.Groups[0]
	if g.Recommended == nil || g.Recommended.Cap%dollar != 0 || g.Recommended.MemberMonth.Mean > 0.05 || g.Recommended.Exposure != 12*g.Recommended.Cap {
		t.Fatalf("%+v", g.Recommended)
	}
	names := []string{}
	for _, a := range g.WhyNot {
		names = append(names, a.Name)
		if a.WhyNot == "" {
			t.Errorf("%s has no reason", a.Name)
		}
	}
	if strings.Join(names, "|") != "the budget divided by heads|the team's budget typed in|no limit|the limit configured now" {
		t.Errorf("%q", names)
	}
	// A dollar less would stop more member-months than accepted.
	if e, err := modelOf(t).Try(context.Background(), Options{Trials: 200, Seed: 7}, claims(modelOf(t)), g.Recommended.Cap-dollar); err != nil || e[0].MemberMonth.Mean <= 0.05 {
		t.Errorf("%v %v", e[0].MemberMonth, err)
	}
	h := g.Headroom
	if product := h.Sessions * h.Cost * h.Users * h.Weeks; math.Abs(product-h.Ratio) > 0.001*h.Ratio || h.BaseMicros != 232_200_000 {
		t.Errorf("%+v: product %v", h, product)
	}
	if last := p.Organisation.Reached[2]; p.Organisation.Ceiling != 700*dollar || last.Percent != 100 || p.Organisation.Reached[0].Chance.Mean < last.Chance.Mean {
		t.Errorf("%+v", p.Organisation)
	}
}

var shared *Model

// modelOf is the model of 24 seats, made once; a test may change the rates of its
// copy.
func modelOf(t testing.TB) *Model {
	if shared == nil {
		shared = model(t, 24)
	}
	m := *shared
	m.Workers = slices.Clone(m.Workers)
	for i := range m.Workers {
		m.Workers[i].Rates = slices.Clone(m.Workers[i].Rates)
	}
	return &m
}

func claims(m *Model) []int { return all(m)[:12] }

func TestPlanRepeats(t *testing.T) {
	one, _ := json.Marshal(planned(t, func(o *PlanOptions, _ *org.Config) { o.Workers = 1 }))
	two, _ := json.Marshal(planned(t, func(o *PlanOptions, _ *org.Config) { o.Workers = 5 }))
	if string(one) != string(two) {
		t.Error("the number of workers changes the plan")
	}
	if strings.Contains(string(one), "user_01") || strings.Contains(string(one), "@") {
		t.Error("a plan names a member")
	}
}

// On a plan without group limits the plan says so and offers no group number.
func TestPlanWithoutGroupLimits(t *testing.T) {
	p := planned(t, func(o *PlanOptions, c *org.Config) {
		o.Limits.GroupLimits, c.Groups, c.Spend.Groups = false, nil, nil
	})
	s := text(t, p)
	has(t, s, "limits on groups do not exist on this plan", "enter it as a limit per user", Everybody)
	if strings.Contains(s, "typed in") {
		t.Error("there is no group limit to type into")
	}
}

func assumption(t *testing.T, p *Plan, id string) Assumption {
	t.Helper()
	as := p.Groups[0].Assumptions
	i := slices.IndexFunc(as, func(a Assumption) bool { return a.ID == id })
	if i < 0 || len(as) != 11 {
		t.Fatalf("%d assumptions, %q at %d", len(as), id, i)
	}
	return as[i]
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// Each silent assumption of the formula, with the number at which it breaks.

func TestAssumptionTypicalCost(t *testing.T) {
	// Lognormal: mean over median is exp(sigma²/2), 1.25 at 0.668 and 2.05 at 1.2.
	near(t, "mean/median at 0.668", math.Exp(0.668*0.668/2), 1.25, 0.001)
	near(t, "mean/median at 1.2", math.Exp(1.2*1.2/2), 2.05, 0.01)
	p := planned(t, nil)
	mean, median := float64(p.SessionCost.Mean), float64(p.SessionCost.P50)
	if mean < 1.2*median {
		t.Fatalf("costs are not skewed: %v, %v", mean, median)
	}
	// A formula that uses the median is short by mean/median.
	p = planned(t, func(_ *PlanOptions, c *org.Config) { c.Spend.Groups[0].Formula.SessionCost.Micros = int64(median) })
	if a := assumption(t, p, "typical-cost"); a.Points == nil || math.Abs(*a.Points-100*(mean/median-1)) > 0.1 {
		t.Errorf("%+v, want %v", a, 100*(mean/median-1))
	}
	p = planned(t, func(_ *PlanOptions, c *org.Config) { c.Spend.Groups[0].Formula.SessionCost.Micros = int64(mean) })
	if a := assumption(t, p, "typical-cost"); *a.Points != 0 {
		t.Errorf("%+v", a)
	}
}

func TestAssumptionAlike(t *testing.T) {
	p := planned(t, nil)
	g := p.Groups[0]
	a := assumption(t, p, "alike")
	if a.Points != nil || g.Member.P95 < g.Member.Mean*3/2 {
		t.Errorf("%+v %+v", a, g.Member)
	}
	// A limit of the mean member-month stops a large part of the members although
	// the group as a whole would spend no more than that.
	e, err := modelOf(t).Try(context.Background(), Options{Trials: 100, Seed: 7}, claims(modelOf(t)), g.Member.Mean)
	if err != nil || e[0].MemberMonth.Mean < 0.25 {
		t.Errorf("%v %v", e[0].MemberMonth, err)
	}
}

func TestAssumptionWeeks(t *testing.T) {
	near(t, "mean month", 365.25/12/7/4.3-1, 0.011, 0.001)
	near(t, "31 days", 31.0/7/4.3-1, 0.030, 0.001)
	near(t, "23 working days", 23.0/5/4.3-1, 0.070, 0.001)
	// May 2026 has 21 working days.
	if a := assumption(t, planned(t, nil), "weeks"); *a.Points != -2.3 {
		t.Errorf("%+v", a)
	}
}

func TestAssumptionFlat(t *testing.T) {
	near(t, "3x week", (3.3+3)/4.3, 1.465, 0.001)
	near(t, "limit", (3.3+2.075)/4.3, 1.25, 0.001)
	m := modelOf(t)
	sp := &Spread{Workers: claims(m), Totals: []int64{1}}
	for _, w := range sp.Workers {
		for d := range m.Workers[w].Rates {
			m.Workers[w].Rates[d] = 1
			if d >= 7 && d < 14 {
				m.Workers[w].Rates[d] = 3
			}
		}
	}
	near(t, "peak of a week at three", m.peakWeek(sp), 3, 1e-9)
	assumption(t, planned(t, nil), "flat")
}

func TestAssumptionMonthEnd(t *testing.T) {
	a := assumption(t, planned(t, nil), "month-end")
	has(t, a.Here, "20:00 on 31 May in America/New_York") // 00:00 UTC of 1 June
	// Spend of the same evening falls into two months, on either side of the reset.
	c := &org.Config{Spend: org.Spend{MemberDefault: source.Money{Micros: 10 * dollar, Given: true}}}
	l := spend.New(org.NewDirectory(c, []org.Member{{ID: "m"}}), spend.Rules{})
	reset := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	l.Charge(0, reset.Add(-time.Hour), 10*dollar)
	if l.Gate(0, reset.Add(-time.Nanosecond)).Allowed || !l.Gate(0, reset).Allowed {
		t.Error("the reset is at 00:00 UTC on the first")
	}
}

func TestAssumptionUsers(t *testing.T) {
	near(t, "two months at 15%", 1.15*1.15, 1.3225, 1e-9)
	if a := assumption(t, planned(t, nil), "users"); *a.Points != 0 {
		t.Errorf("%+v", a)
	}
	m := modelOf(t)
	sp := &Spread{Workers: []int{0, 1}, Totals: []int64{1}}
	m.Workers[1].Rates[0] = 0 // joins later
	if first, last := m.enabledAt(sp); first != 1 || last != 2 {
		t.Errorf("%d %d", first, last)
	}
}

func TestAssumptionUnattended(t *testing.T) {
	has(t, assumption(t, planned(t, nil), "unattended").Here, "no unattended sessions are played here")
	has(t, assumption(t, planned(t, func(o *PlanOptions, _ *org.Config) { o.Cloud = true }), "unattended").Here, "cloud sessions are on and none are played")
}

func TestAssumptionOneModel(t *testing.T) {
	// Moving a sixth of one-model sessions to one 2.5 times as dear adds a quarter.
	near(t, "a sixth", 1.0/6*(2.5-1), 0.25, 1e-9)
	p := priceList(t)
	day := time.Date(2026, 8, 22, 0, 0, 0, 0, time.UTC)
	opus, _ := p.Cost("claude-opus-5", day, 120_000, 18_000, 900_000, 60_000)
	sonnet, _ := p.Cost("claude-sonnet-5", day, 120_000, 18_000, 900_000, 60_000)
	near(t, "Opus 5 over Sonnet 5", float64(opus)/float64(sonnet), 2.5, 1e-9)
	m := modelOf(t)
	o := Options{Trials: 100, Seed: 1}
	base, _ := m.Run(context.Background(), o, all(m))
	o.Weights = []float64{0, 1, 0} // all on the dear one
	dear, _ := m.Run(context.Background(), o, all(m))
	if dear[0].Quantiles().Mean <= base[0].Quantiles().Mean {
		t.Error("a dearer model costs no more")
	}
	has(t, assumption(t, planned(t, nil), "one-model").Here, "uses all 25 points")
}

func TestAssumptionGeography(t *testing.T) {
	a := assumption(t, planned(t, nil), "geography")
	has(t, a.Breaks, "1.1 times", "10 of the 25 points")
}

func TestAssumptionWholeCost(t *testing.T) {
	has(t, assumption(t, planned(t, nil), "whole-cost").Here, "searches a session add", "subagents are", "nothing found in the cache")
}

func TestAssumptionShared(t *testing.T) {
	has(t, assumption(t, planned(t, nil), "shared").Here, "not known")
	a := assumption(t, planned(t, func(o *PlanOptions, _ *org.Config) { o.Others = 0.2 }), "shared")
	if a.Points == nil || *a.Points != 25 {
		t.Errorf("a fifth elsewhere is 25 points: %+v", a)
	}
}

// played makes a capture of the company over four weeks.
func played(t *testing.T, cal *Calibrator) simulate.Options {
	o := company(t, 24)
	s := *o.Scenario
	s.Period.From, s.Period.To = source.Day(2026, 4, 6), source.Day(2026, 5, 3)
	run := o
	run.Scenario = &s
	_, err := simulate.Run(context.Background(), run, func(evs []event.Event) error {
		for i := range evs {
			evs[i].Derive()
			cal.Observe(&evs[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func always(int, time.Time) bool { return true }

// Calibrated from a capture of the same population, the forecast finds the spend
// that the population has.
func TestCalibrate(t *testing.T) {
	o := company(t, 24)
	cal := NewCalibrator(o.Directory, priceList(t))
	played(t, cal)
	m, err := cal.Model(may, always)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := m.Run(context.Background(), Options{Trials: 400, Seed: 2}, all(m))
	if err != nil {
		t.Fatal(err)
	}
	// 20 working days were captured, 21 are forecast.
	got, want := float64(runs[0].Quantiles().Mean), float64(cal.cowork)*21/20
	if math.Abs(got/want-1) > 0.06 {
		t.Errorf("forecast %.2f, the capture suggests %.2f", got/1e6, want/1e6)
	}
	if cal.Others() != 0 || len(m.Drivers) == 0 || !m.Captured {
		t.Errorf("%v %v", cal.Others(), m.Drivers)
	}
	// The heaviest member of the capture stays the heaviest.
	heavy := slices.MaxFunc(m.Workers, func(a, b Worker) int { return int(a.Seen - b.Seen) })
	one, _ := m.Run(context.Background(), Options{Trials: 200, Seed: 2}, []int{slices.IndexFunc(m.Workers, func(w Worker) bool { return w.Member == heavy.Member })})
	if 2*one[0].Quantiles().Mean < 3*runs[0].MemberQuantiles().Mean {
		t.Errorf("the heaviest spends %d of a mean of %d", one[0].Quantiles().Mean, runs[0].MemberQuantiles().Mean)
	}
}

// Little evidence gives figures, and no number to enter.
func TestCalibrateThin(t *testing.T) {
	o := company(t, 24)
	cal := NewCalibrator(o.Directory, priceList(t))
	for i := range 3 {
		ev := &event.Event{Kind: event.APIRequest, Product: event.Cowork, Time: may.AddDate(0, 0, i).UnixNano(), Session: string(rune('a' + i)),
			Account: o.Directory.Member(i).Account, CostMicros: 500_000, Has: event.FTime | event.FCostMicros}
		ev.Derive()
		cal.Observe(ev)
	}
	m, err := cal.Model(may, always)
	if err != nil || m.Thin == "" {
		t.Fatal(m, err)
	}
	p := planned(t, func(po *PlanOptions, _ *org.Config) { po.Model = m })
	if p.Groups[0].Recommended != nil {
		t.Errorf("%+v", p.Groups[0].Recommended)
	}
	has(t, text(t, p), "No number is recommended. 3 sessions in 3 days of capture cannot carry a limit", "$24.19 a member is what its own inputs give")
}

// Identities that the roster does not know still say how habits spread.
func TestCalibrateStrangers(t *testing.T) {
	o := company(t, 24)
	strangers := org.NewDirectory(o.Directory.Config, []org.Member{{ID: "x1"}, {ID: "x2"}, {ID: "x3"}})
	cal := NewCalibrator(strangers, priceList(t))
	played(t, cal)
	m, err := cal.Model(may, always)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Workers) != 3 || m.Workers[0].Expected != 0 || len(m.Levels) < 20 || !slices.ContainsFunc(m.Notes, func(n string) bool { return strings.Contains(n, "not this roster's") }) {
		t.Errorf("%d workers, %d levels, %q", len(m.Workers), len(m.Levels), m.Notes)
	}
}

func TestCalibrateNotEvaluable(t *testing.T) {
	o := company(t, 8)
	request := func(has event.Field) *event.Event {
		ev := &event.Event{Kind: event.APIRequest, Product: event.Cowork, Time: may.UnixNano(), Session: "s", Has: event.FTime | has}
		ev.Derive()
		return ev
	}
	cal := NewCalibrator(o.Directory, priceList(t))
	if _, err := cal.Model(may, always); err == nil {
		t.Error("an empty capture gives a model")
	}
	cal.Observe(request(0))
	if _, err := cal.Model(may, always); err != ErrNoCost {
		t.Errorf("a capture without cost: %v", err)
	}
	cal.Observe(request(event.FCostMicros))
	if _, err := cal.Model(may, func(int, time.Time) bool { return false }); err == nil {
		t.Error("nobody may use it, and there is a model")
	}
	if _, err := cal.Model(may, always); err != nil {
		t.Error(err)
	}
}
