package platform

import (
	"maps"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func facts(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Facts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func day(t *testing.T, s string) source.Date {
	t.Helper()
	d, err := source.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The answers the product is built around, at the dates on which they move.
func TestTimeline(t *testing.T) {
	c := facts(t)
	config := []string{"hipaa_ready", "hipaa_configuration"}
	for _, tc := range []struct {
		id, asOf, plan, mode string
		with                 []string
		exam                 bool
		want                 Value
	}{
		{"rbac-plan-gate", "2026-04-09", "team", "", nil, false, No},
		{"rbac-plan-gate", "2026-04-09", "enterprise", "", nil, false, Yes},
		{"rbac-plan-gate", "2026-04-08", "enterprise", "", nil, false, NotStated},
		{"computer-use-plan-gate", "2026-04-09", "individual", "", nil, false, Yes},
		{"rbac-connector-permissions", "2026-04-09", "enterprise", "", nil, false, Unknown},
		{"rbac-connector-permissions", "2026-04-09", "enterprise", "", nil, true, Yes},
		{"rbac-connector-permissions", "2026-04-09", "team", "", nil, true, No},
		{"rbac-connector-permissions", "2026-05-28", "enterprise", "", nil, false, Yes},
		{"compliance-api-local-sessions", "2026-08-10", "enterprise", "local", nil, false, No},
		{"compliance-api-local-sessions", "2026-08-11", "enterprise", "local", nil, false, Conditional},
		{"compliance-api-local-sessions", "2026-08-11", "team", "local", nil, false, No},
		{"baa-cowork-coverage", "2026-04-09", "enterprise", "local", nil, false, No},
		{"baa-cowork-coverage", "2026-10-02", "enterprise", "local", config, false, No},
		{"baa-cowork-coverage", "2026-10-03", "enterprise", "local", config, false, Verify},
		{"baa-cowork-coverage", "2026-10-03", "team", "local", config, false, No},
		{"baa-cowork-coverage", "2026-10-06", "enterprise", "local", config, false, Conditional},
		{"baa-cowork-coverage", "2026-10-06", "enterprise", "cloud", config, false, No},
		{"compliance-api-hipaa-capture", "2026-10-06", "enterprise", "local", config, false, Conditional},
		{"compliance-api-hipaa-capture", "2026-10-06", "enterprise", "local", []string{"hipaa_ready"}, false, No},
		{"compliance-api-cmek-content", "2026-09-01", "enterprise", "local", []string{"cmek"}, false, Verify},
		{"otel-prompt-content-default", "2026-07-01", "enterprise", "", nil, false, Unknown},
		{"otel-prompt-content-default", "2026-07-01", "enterprise", "", nil, true, Yes},
		// Age: a benefit falls into doubt, a gap stands, whichever side yes is.
		{"rbac-plan-gate", "2027-01-31", "enterprise", "", nil, false, Unknown},
		{"rbac-plan-gate", "2027-01-31", "team", "", nil, false, No},
		{"egress-bypass", "2027-01-31", "enterprise", "", nil, false, Yes},
		{"team-all-or-nothing", "2027-01-31", "team", "", nil, false, Yes},
		{"team-all-or-nothing", "2027-01-31", "enterprise", "", nil, false, Unknown},
		{"no-such-fact", "2026-04-09", "team", "", nil, false, NotStated},
	} {
		a := c.At(tc.id, Query{AsOf: day(t, tc.asOf), Plan: tc.plan, Mode: tc.mode, Arrangements: tc.with, Exam: tc.exam})
		if a.Value != tc.want {
			t.Errorf("%s on %s (%s %s %v exam=%v): %s, want %s: %s", tc.id, tc.asOf, tc.plan, tc.mode, tc.with, tc.exam, a.Value, tc.want, a.Reason())
		}
		if a.Reason() == "" {
			t.Errorf("%s on %s has no reason", tc.id, tc.asOf)
		}
	}
}

func TestAnswerMarks(t *testing.T) {
	c := facts(t)
	config := []string{"hipaa_ready", "hipaa_configuration"}
	q := Query{AsOf: day(t, "2026-10-03"), Plan: "enterprise", Mode: "local", Arrangements: config}
	a := c.At("baa-cowork-coverage", q)
	if !a.InInterval || a.Record == nil || a.Record.From.String() != "2026-04-09" || !strings.Contains(a.Reason(), "2026-10-02 and 2026-10-06") {
		t.Errorf("inside the interval: %+v", a)
	}
	q.AsOf = day(t, "2026-10-06")
	if a := c.At("compliance-api-hipaa-capture", q); !a.Conflict {
		t.Errorf("no conflict: %+v", a)
	} else if v, ok := a.Param("days"); !ok || v != "30" {
		t.Errorf("days = %q, %v", v, ok)
	}
	a = c.At("team-all-or-nothing", Query{AsOf: day(t, "2026-12-06"), Plan: "team"})
	if !a.Stale || a.Reason() != "Re-check since 2026-10-06: the last known gap stands." {
		t.Errorf("%+v", a)
	}
	if a := c.At("team-all-or-nothing", Query{AsOf: day(t, "2026-12-05"), Plan: "team"}); a.Stale {
		t.Errorf("stale on the last fresh day: %+v", a)
	}
}

// Facts that predicates read through "not" must have their yes marked as the
// gap, or age would turn them into good news.
func TestGapsAreMarked(t *testing.T) {
	c := facts(t)
	for _, id := range []string{
		"session-transcript-omissions", "edr-vm-blind", "local-data-outside-retention", "residency-zdr-not-extended",
		"egress-bypass", "otel-decision-ambiguity", "rbac-local-servers-ungoverned", "regulated-workload-advice",
		"team-all-or-nothing", "otel-not-audit-log",
	} {
		if f, ok := c.Fact(id); !ok || f.YesIs != Gap {
			t.Errorf("%s: yes_is is not gap", id)
		}
	}
}

// Everything a run can ask: no two records may be equally good an answer, and
// waiting may never improve one.
func TestEveryQuestion(t *testing.T) {
	c := facts(t)
	var sets [][]string
	all := []string{"zdr", "cmek", "hipaa_ready", "hipaa_configuration"}
	for bits := range 1 << len(all) {
		var s []string
		for i, a := range all {
			if bits>>i&1 == 1 {
				s = append(s, a)
			}
		}
		sets = append(sets, s)
	}
	for _, id := range c.IDs() {
		f, _ := c.Fact(id)
		last := map[string]bool{}
		for i := range f.Records {
			r := &f.Records[i]
			for _, d := range []source.Date{r.Starts(), r.Starts().Add(-1), r.To, r.LastVerified.Add(FreshDays + 1)} {
				last[d.String()] = d.Given()
			}
		}
		for ds, given := range last {
			if !given {
				continue
			}
			for _, set := range sets {
				for _, mode := range append([]string{""}, Modes...) {
					q := Query{AsOf: day(t, ds), Mode: mode, Arrangements: set}
					if best, _ := f.choose(q); best != nil {
						for i := range f.Records {
							r := &f.Records[i]
							if r != best && r.fits(q) && r.rank() == best.rank() && r.Scope() != best.Scope() &&
								!r.Starts().After(q.AsOf) && !(r.To.Given() && r.To.Before(q.AsOf)) {
								t.Errorf("%s on %s, mode %q, %v: both %q and %q answer", id, ds, mode, set, r.Scope(), best.Scope())
							}
						}
					}
					for _, plan := range Plans {
						q.Plan = plan
						now := c.At(id, q)
						q2 := q
						q2.AsOf = now.lastDay(q)
						if later := c.At(id, q2); later.Record == now.Record && badness(f, later.Value) < badness(f, now.Value) {
							t.Errorf("%s, %s: waiting from %s to %s turns %s into %s", id, plan, q.AsOf, q2.AsOf, now.Value, later.Value)
						}
					}
				}
			}
		}
	}
}

// lastDay is a day on which a's record is stale, if it is still in force then.
func (a Answer) lastDay(q Query) source.Date {
	if a.Record == nil {
		return q.AsOf
	}
	d := a.Record.LastVerified.Add(FreshDays + 1)
	if d.Before(q.AsOf) {
		return q.AsOf
	}
	return d
}

func badness(f *Fact, v Value) int {
	switch v {
	case Verify, f.bad():
		return 3
	case Unknown, NotStated:
		return 2
	case Conditional:
		return 1
	}
	return 0 // the good side; not applicable never changes with age
}

func TestAgeIsNeverGoodNews(t *testing.T) {
	for _, yesIs := range []string{"benefit", Gap} {
		f := &Fact{YesIs: yesIs}
		for v := NotStated; v <= Verify; v++ {
			a := Answer{Fact: f, Value: v, Record: &Record{}}
			a.age()
			if v != NotApplicable && badness(f, a.Value) < badness(f, v) {
				t.Errorf("%s: %s became %s", yesIs, v, a.Value)
			}
		}
	}
}

func TestZeroAnswer(t *testing.T) {
	var a Answer
	if a.Value != NotStated || a.Value.String() != "not stated" {
		t.Errorf("the zero answer is %s", a.Value)
	}
	if _, ok := a.Param("days"); ok {
		t.Error("a parameter of nothing")
	}
}

func TestFaultsAreReportedAtOnce(t *testing.T) {
	const head = "value: {free: no, pro: no, max: no, team: no, enterprise: %}, last_verified: 2026-04-09, confidence: high, statement: s"
	rec := func(v, more string) string {
		return "      - {" + strings.Replace(head, "%", v, 1) + ", " + more + "}\n"
	}
	for _, tc := range []struct{ name, facts, want string }{
		{"unknown source", rec("no", "from: 2026-04-09, sources: [{key: Q, read: seen}]"), `"Q" is not the key of a source`},
		{"no source", rec("no", "from: 2026-04-09, sources: []"), "has no source"},
		{"no start", rec("no", "sources: [{key: A, read: seen}]"), "has no start"},
		{"both starts", rec("no", "from: 2026-04-09, from_earliest: 2026-04-09, from_latest: 2026-04-10, sources: [{key: A, read: seen}]"), "both from and an interval"},
		{"interval reversed", rec("no", "from_earliest: 2026-04-10, from_latest: 2026-04-09, sources: [{key: A, read: seen}]"), "is not before from_latest"},
		{"ends early", rec("no", "from: 2026-04-09, to: 2026-04-08, sources: [{key: A, read: seen}]"), "ends before it starts"},
		{"overlap", rec("no", "from: 2026-04-09, to: 2026-05-09, sources: [{key: A, read: seen}]") + rec("no", "from: 2026-05-09, sources: [{key: A, read: seen}]"), "overlap"},
		{"order", rec("no", "from: 2026-05-09, sources: [{key: A, read: seen}]") + rec("no", "from: 2026-04-09, sources: [{key: A, read: seen}]"), "does not start after the one before it"},
		{"no condition", rec("conditional", "from: 2026-04-09, sources: [{key: A, read: seen}]"), "is conditional and has no condition"},
		{"lesson value", rec("unknown", "from: 2026-04-09, lesson_value: yes, sources: [{key: A, read: seen}]"), "the fact is not contested"},
		{"grants", rec("no", "from: 2026-04-09, grants: newer, sources: [{key: A, read: seen}]"), "without a conflict"},
		{"conflicts with nothing", rec("no", "from: 2026-04-09, conflicts_with: [f2], sources: [{key: A, read: seen}]"), "did you mean"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := "sources: [{key: A, title: t, copy: c}]\nfacts:\n  - id: f\n    subject: s\n    records:\n" + tc.facts
			f, err := source.Parse("x.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseFacts([]*source.File{f})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	f, _ := source.Parse("x.yaml", []byte("facts:\n  - {id: f, subject: s, contested: true, records: []}\n  - {id: f, subject: s, records: []}\n"))
	_, err := ParseFacts([]*source.File{f})
	if ps, ok := source.AsProblems(err); !ok || len(ps) != 2 {
		t.Errorf("want a repeated id and a missing footnote, got %v", err)
	}
}

func TestOverlay(t *testing.T) {
	c := facts(t)
	q := Query{AsOf: day(t, "2026-05-01"), Plan: "enterprise"}
	with, err := c.With(Overlay{{Fact: source.Text{Value: "cowork-region-control"}, Value: "yes", Who: "account team", Date: day(t, "2026-04-20"), Evidence: "letter 17"}})
	if err != nil {
		t.Fatal(err)
	}
	if a := with.At("cowork-region-control", q); a.Value != Yes || a.Customer == nil || !strings.Contains(a.Reason(), "letter 17") {
		t.Errorf("%+v", a)
	}
	if a := c.At("cowork-region-control", q); a.Value != No || a.Customer != nil {
		t.Errorf("the shipped catalogue changed: %+v", a)
	}
	q.AsOf = day(t, "2026-04-19")
	if a := with.At("cowork-region-control", q); a.Value != No {
		t.Errorf("an overlay holds before its date: %+v", a)
	}
	if _, err := c.With(Overlay{{Fact: source.Text{Value: "cowork-regio-control"}, Value: "yes"}}); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("unknown fact: %v", err)
	}
}

func TestChanges(t *testing.T) {
	c := facts(t)
	found := map[string]Change{}
	last := day(t, "2026-04-09")
	for _, ch := range c.Changes(day(t, "2026-04-09"), day(t, "2026-08-11")) {
		if ch.Date.Before(last) || ch.To == "" {
			t.Errorf("out of order or empty: %+v", ch)
		}
		last = ch.Date
		found[ch.Fact+" "+ch.Date.String()] = ch
	}
	if ch, ok := found["compliance-api-local-sessions 2026-08-11"]; !ok || ch.From == "" {
		t.Errorf("the day capture of local sessions began is missing: %+v", ch)
	}
	if _, ok := found["rbac-plan-gate 2026-04-09"]; ok {
		t.Error("a record that starts on the first day is no change")
	}
	if len(c.Changes(day(t, "2026-08-11"), day(t, "2026-08-11"))) != 0 {
		t.Error("changes in an empty span")
	}
}

func TestFactSetVersion(t *testing.T) {
	c := facts(t)
	if len(c.Digest()) != 64 || c.LastVerified().Before(day(t, "2026-10-06")) {
		t.Errorf("digest %q, last verified %s", c.Digest(), c.LastVerified())
	}
	names := ""
	for _, f := range c.Files() {
		names += f.Name + " "
	}
	if !strings.Contains(names, "facts/audit.yaml") || !strings.Contains(names, "prices.yaml") {
		t.Errorf("files: %s", names)
	}
}

func TestCost(t *testing.T) {
	l, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 4, 20, 9, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		model                string
		in, out, read, write int64
		want                 int64
		known                bool
	}{
		{"claude-sonnet-4-6", 1_000_000, 1_000_000, 1_000_000, 1_000_000, 24_300_000, true},
		{"claude-sonnet-4-6[1m]", 1000, 0, 0, 0, 3000, true},
		{"claude-sonnet-4-5-20250929", 1000, 0, 0, 0, 3000, true},
		{"claude-sonnet-4-6-20260218", 1000, 0, 0, 0, 3000, true},
		{"claude-sonnet-4-6@20260218", 1000, 0, 0, 0, 3000, true},
		{"Sonnet-4-6", 1000, 0, 0, 0, 3000, true},
		{"someone-elses-model", 1000, 1000, 0, 0, 30_000, false},
		{"", 1000, 0, 0, 0, 5000, false},
		{"claude-haiku-4-5", 0, 0, 5, 0, 0, true},  // 0.5 to even
		{"claude-haiku-4-5", 0, 0, 15, 0, 2, true}, // 1.5 to even
		{"claude-haiku-4-5", 0, 0, 25, 0, 2, true}, // 2.5 to even
		{"claude-haiku-4-5", -5, 0, 0, 0, 0, true},
		{"claude-haiku-4-5", math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64, true},
	} {
		got, known := l.Cost(tc.model, at, tc.in, tc.out, tc.read, tc.write)
		if got != tc.want || known != tc.known {
			t.Errorf("%s %d/%d/%d/%d: %d %v, want %d %v", tc.model, tc.in, tc.out, tc.read, tc.write, got, known, tc.want, tc.known)
		}
	}
}

func FuzzCost(f *testing.F) {
	l, err := Prices()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(int64(1), int64(2), int64(5), int64(7))
	f.Add(int64(math.MaxInt64), int64(1), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, in, out, read, write int64) {
		got, _ := l.Cost("claude-haiku-4-5", time.Time{}, in, out, read, write)
		sum := new(big.Int)
		for _, x := range [][2]int64{{in, 1_000_000}, {out, 5_000_000}, {read, 100_000}, {write, 2_000_000}} {
			if x[0] > 0 {
				sum.Add(sum, new(big.Int).Mul(big.NewInt(x[0]), big.NewInt(x[1])))
			}
		}
		q, r := new(big.Int).QuoRem(sum, big.NewInt(1_000_000), new(big.Int))
		if h := r.Int64(); h > 500_000 || h == 500_000 && q.Bit(0) == 1 {
			q.Add(q, big.NewInt(1))
		}
		want := int64(math.MaxInt64)
		if q.IsInt64() {
			want = q.Int64()
		}
		if got != want {
			t.Errorf("Cost(%d, %d, %d, %d) = %d, want %d", in, out, read, write, got, want)
		}
	})
}

// A second list lies over the first: a model it names has its prices from their
// first day on, under every name of either list; the others keep theirs.
func TestPricesLaidOver(t *testing.T) {
	base, err := Prices()
	if err != nil {
		t.Fatal(err)
	}
	f, err := source.Parse("new.yaml", []byte(`
prices:
  - {model: claude-sonnet-4-6, aliases: [sonnet-new], from: 2026-06-01, input: 6000000, output: 30000000, cache_read: 600000, cache_write_5m: 7500000, cache_write_1h: 12000000, source: offer, read: quoted}
fallback: {input: 5000000, output: 25000000, source: offer}
`))
	if err != nil {
		t.Fatal(err)
	}
	list, err := ParsePrices(f)
	if err != nil {
		t.Fatal(err)
	}
	both := base.With(list)
	cost := func(l *PriceList, model, day string) int64 {
		d, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		n, known := l.Cost(model, d, 1000, 100, 0, 0)
		if !known {
			t.Errorf("%s on %s has no price", model, day)
		}
		return n
	}
	for _, c := range []struct {
		model, day string
		want       int64
	}{
		{"claude-sonnet-4-6", "2026-05-31", 4500}, {"claude-sonnet-4-6", "2026-06-01", 9000}, {"claude-sonnet-4-6-20260218", "2026-07-01", 9000},
		{"sonnet-4-6", "2026-07-01", 9000}, {"sonnet-new", "2026-07-01", 9000}, {"claude-opus-4-6", "2026-07-01", 7500},
	} {
		if got := cost(both, c.model, c.day); got != c.want {
			t.Errorf("%s on %s costs %d, want %d", c.model, c.day, got, c.want)
		}
	}
	if got := cost(base, "claude-sonnet-4-6", "2026-07-01"); got != 4500 {
		t.Errorf("the list below changed: %d", got)
	}
	if len(both.Prices) != len(base.Prices)+1 || both.WebSearchPer1000 != base.WebSearchPer1000 {
		t.Errorf("%d prices over %d", len(both.Prices), len(base.Prices))
	}
}

// The successor of a record is what the catalogue answers with in its place: on the
// day it starts nobody who asks for their scope gets the older one.
func TestSuccessor(t *testing.T) {
	c, err := Facts()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, id := range c.IDs() {
		f, _ := c.Fact(id)
		for i := range f.Records {
			r := &f.Records[i]
			o := f.Successor(r)
			if o == nil {
				continue
			}
			n++
			q := Query{AsOf: o.Starts(), Plan: "enterprise", Arrangements: r.With}
			if len(r.Modes) > 0 {
				q.Mode = r.Modes[0]
			}
			if a := c.At(id, q); a.Record == r || a.Record == nil {
				t.Errorf("%s: on %s %v is in force, not its successor", id, q.AsOf, r.Statement)
			}
		}
	}
	if n == 0 {
		t.Error("no record has a successor")
	}
	day := func(s string) source.Date { d, _ := source.ParseDate(s); return d }
	f := &Fact{Records: []Record{
		{Statement: "third", From: day("2026-06-01")},
		{Statement: "first", From: day("2026-04-01")},
		{Statement: "same day", From: day("2026-04-01")},
		{Statement: "second", FromEarliest: day("2026-04-05"), FromLatest: day("2026-05-01")},
		{Statement: "narrow", From: day("2026-05-02"), Modes: []string{"cloud", "local"}},
		{Statement: "narrow again", From: day("2026-05-03"), Modes: []string{"local", "cloud"}},
	}}
	got := map[string]string{}
	for i := range f.Records {
		if o := f.Successor(&f.Records[i]); o != nil {
			got[f.Records[i].Statement] = o.Statement
		}
	}
	want := map[string]string{"first": "same day", "same day": "second", "second": "third", "narrow": "narrow again"}
	if !maps.Equal(got, want) {
		t.Errorf("successors %v, want %v", got, want)
	}
}
