package spend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

func people() *org.Directory {
	return org.NewDirectory(&org.Config{}, []org.Member{
		{ID: "user_01A", Account: "acc-a", Email: "ada@ex.example"}, {ID: "user_01B", Account: "acc-b", Email: "bo@ex.example"}})
}

func read(t *testing.T, text string) *CostExport {
	t.Helper()
	e, err := ReadCosts("costs", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func spent(t *testing.T, evs ...*event.Event) *Estimates {
	t.Helper()
	x := NewEstimates(people())
	for _, ev := range evs {
		x.Observe(ev)
	}
	return x
}

func lines(r *Reconciliation) string {
	var b strings.Builder
	for _, x := range r.Rows {
		fmt.Fprintf(&b, "%s %s %s: %s %s %s %d\n", x.Day, x.Member, x.Product, x.State, Units(x.Telemetry), Units(x.Export), x.Ratio)
	}
	return b.String()
}

// Rows of the user cost report: buckets of a day with results for each member.
const userReport = `{"data_refreshed_at":"2026-07-30T08:00:00Z","has_more":false,"data":[
 {"starting_at":"2026-06-15T00:00:00Z","ending_at":"2026-06-16T00:00:00Z","results":[
  {"actor":{"type":"user_actor","user_id":"user_01A","email":"ADA@ex.example"},"product":"cowork","model":"claude-sonnet-5","amount":"180.000000","list_amount":"200.000001","currency":"USD","requests":3},
  {"actor":{"user_id":"user_01A"},"product":"cowork","model":"claude-opus-5","amount":"9.000000","list_amount":"10.000000","currency":"USD"},
  {"actor":{"email_address":"gone@ex.example"},"product":"cowork","list_amount":"5","currency":"USD"},
  {"actor":{"user_id":"user_01A"},"product":"chat","list_amount":"77.500000","currency":"USD"}]}]}`

func TestReconcileByMemberAndDay(t *testing.T) {
	x := spent(t, request("acc-a", day, 2_000_000), request("acc-a", day.Add(time.Hour), 50_000), request("acc-b", day, 300_000), request("", day, 7))
	r := x.Reconcile(read(t, userReport), current())
	want := `2026-06-15  cowork: unattributed telemetry $0.00000700 $0.00000000 0
2026-06-15 acc-a cowork: matched $2.05000000 $2.10000001 1024
2026-06-15 acc-b cowork: in telemetry only $0.30000000 $0.00000000 0
2026-06-15 gone@ex.example cowork: in the export only $0.00000000 $0.05000000 0
`
	if got := lines(r); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if !r.Evaluable || r.Basis != "list price" || len(r.Products) != 1 || r.Products[0] != (ReconProduct{"chat", 77_500_000, "counts against members' limits"}) {
		t.Errorf("%+v", r)
	}
	m := r.Totals[0]
	if m.State != Matched || m.ExportCents != 210 || m.ExportResidue != 1 || m.TelemetryCents != 205 || m.TelemetryResidue != 0 {
		t.Errorf("the residue stays visible: %+v", m)
	}
	if b := r.Band; b.Rows != 1 || b.Whole != 1024 || b.Low != 1024 {
		t.Errorf("%+v", r.Band)
	}
	if len(r.Notes) != 0 { // refreshed more than 30 days after the last day
		t.Errorf("%q", r.Notes)
	}
}

func TestReconcileOtherShapes(t *testing.T) {
	x := spent(t, request("acc-a", day, 2_000_000), request("acc-b", day.AddDate(0, 0, 1), 500_000))
	// The organisation's report names no members.
	r := x.Reconcile(read(t, `{"data":[{"starting_at":"2026-06-15T00:00:00Z","results":[{"product":"cowork","amount":"150.5","currency":"USD"}]}],"has_more":true,"data_refreshed_at":"2026-06-16T08:00:00Z"}`), current())
	if got := lines(r); got != "2026-06-15  cowork: matched $2.00000000 $1.50500000 753\n2026-06-16  cowork: telemetry of other days $0.50000000 $0.00000000 0\n" {
		t.Errorf("%s", got)
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"after discount", "more pages", "may be revised"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q lacks %q", notes, want)
		}
	}
	// The spend report CSV has no days and counts dollars.
	r = x.Reconcile(read(t, "\xef\xbb\xbfEmail,Account UUID,Product,Model,total_requests,total_net_spend_usd,total_gross_spend_usd\nada@ex.example,acc-a,cowork,m,2,1.90,2.00000001\nada@ex.example,acc-a,cowork,n,1,0.5,0.5\n"), current())
	if got := lines(r); got != " acc-a cowork: matched $2.00000000 $2.50000001 1250\n acc-b cowork: in telemetry only $0.50000000 $0.00000000 0\n" {
		t.Errorf("%s", got)
	}
	if !strings.Contains(r.By, "no days") {
		t.Errorf("%q", r.By)
	}
}

// A stream without any cost is not evaluable, and never agrees with an export of
// nothing.
// Somebody who is not on the roster is one person however an address is spelt.
func TestReconcileStrangersInAnyCase(t *testing.T) {
	stranger := func(mail string, at time.Time) *event.Event {
		ev := request("", at, 1_000_000)
		ev.Email = mail
		return ev
	}
	x := spent(t, stranger("Gus@ex.example", day), stranger("gus@ex.example", day.Add(time.Hour)))
	for _, mail := range []string{"GUS@EX.example", "Gus@ex.example", "gus@ex.example"} {
		r := x.Reconcile(read(t, "date,account_uuid,email,product,list_amount\n2026-06-15,7f,"+mail+",cowork,200\n"), current())
		if got, want := lines(r), "2026-06-15 Gus@ex.example cowork: matched $2.00000000 $2.00000000 1000\n"; got != want {
			t.Errorf("%s: got\n%swant\n%s", mail, got, want)
		}
	}
}

// A row of the export without a day is money of the export, not telemetry of
// other days.
func TestReconcileRowWithoutDay(t *testing.T) {
	r := spent(t, request("acc-a", day, 1_000_000)).Reconcile(read(t, "date,email,product,list_amount\n2026-06-15,ada@ex.example,cowork,100\n,ada@ex.example,cowork,7\n"), current())
	if got, want := lines(r), " acc-a cowork: in the export only $0.00000000 $0.07000000 0\n2026-06-15 acc-a cowork: matched $1.00000000 $1.00000000 1000\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestReconcileHugeAmounts(t *testing.T) {
	r := spent(t, request("acc-a", day, math.MaxInt64)).Reconcile(read(t, "date,email,product,list_amount\n2026-06-15,ada@ex.example,cowork,100\n"), current())
	if x := r.Rows[0]; x.Ratio != 0 {
		t.Errorf("a dollar over all the money there is: %d thousandths", x.Ratio)
	}
	for _, test := range [][3]int64{{1, math.MaxInt64, 0}, {math.MaxInt64, math.MaxInt64, 1000}, {math.MaxInt64 / 2, math.MaxInt64, 500}, {3, 2000, 2}} {
		if got := permille(test[0], test[1]); got != test[2] {
			t.Errorf("%d over %d is %d thousandths, want %d", test[0], test[1], got, test[2])
		}
	}
}

func TestReconcileNotEvaluable(t *testing.T) {
	ev := request("acc-a", day, 0)
	ev.CostFrom = event.CostMissing
	r := spent(t, ev).Reconcile(read(t, userReport), current())
	if r.Evaluable || r.Band != nil || !strings.Contains(strings.Join(r.Notes, " "), "not evaluable") {
		t.Errorf("%+v", r)
	}
}

func TestCostExportFaults(t *testing.T) {
	for text, want := range map[string]string{
		"": "the file is empty",
		"{\"data\":[\n  {\"amount\":\"1.0000001\",\"currency\":\"USD\"},\n  {\"amount\":\"-1\"},\n  {\"amount\":\"1\",\"currency\":\"EUR\"}]}": `c:2:3: amount: "1.0000001" has more than 6 decimals
    advice: amounts are cents with up to six decimals, for example "1875.500000"
c:3:3: amount: "-1" is below zero
    advice: amounts are cents with up to six decimals, for example "1875.500000"
c:4:3: the currency is "EUR", expected USD
    advice: cost rows are in US dollars; convert nothing, export again`,
		"{\"data\":[{\"amount\":\"1\"},":    "this is not JSON",
		"{\"data\":[{\"amount\":\"1e3\"}]}": `"1e3" is not a plain decimal number`,
		"email,spend\na,1\n":                "no column holds an amount",
		"date,email,cost_usd\n2026-06-15,a,1.5\nyesterday,b,1\n2026-06-16,c,\"1,5\"\n2026-06-16,d\n": `c:3:1: "yesterday" is not a day
    advice: expected RFC 3339 or YYYY-MM-DD
c:4:14: the amount: "1,5" is not a plain decimal number
    advice: expected dollars with up to eight decimals
c:5:1: the row has 2 fields, the head 3`,
		"email,amount,currency\na,1,GBP\n": `c:2:5: the currency is "GBP"`,
		"[]":                               "no cost row was found",
		"email,amount,amount_cents\n":      "says the same as an earlier one",
		"{\"data\":[{\"amount\":\"99999999999999\"}]}":        "is too large",
		"{\"data\":[{\"amount\":\"18446744073709.551616\"}]}": "is too large", // 2^64 in the last place
		"[{\"amount\":\"1\",\"requests\":-1}]":                "c:1:2: -1 is not a count of requests",
		"[{\"amount\":\"1\",\"requests\":\"2\"},\n{\"amount\":\"1\",\"model\":7}]": `c:1:2: requests is a string, expected int64
c:2:1: model is a number, expected string`,
	} {
		_, err := ReadCosts("c", strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant\n%s", text, err, want)
		}
	}
}

func TestCents(t *testing.T) {
	for u, want := range map[Unit][2]int64{
		0: {0, 0}, 499_999: {0, 499_999}, 500_000: {0, 500_000}, 500_001: {1, -499_999}, 1_500_000: {2, -500_000}, 2_500_000: {2, 500_000},
		1_875_500_000: {1876, -500_000}, -500_001: {-1, 499_999},
	} {
		if c, r := Cents(u); c != want[0] || r != want[1] || c*1_000_000+r != u {
			t.Errorf("%d: %d and %d, want %v", u, c, r, want)
		}
	}
}

// Nothing is lost between the rows and the totals, in whatever order records and
// rows come.
func TestReconcileConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		x := NewEstimates(people())
		var sent, billed Unit
		for range rapid.IntRange(0, 40).Draw(t, "requests") {
			micros := rng.Int64N(3_000_000)
			sent += micros * 100
			x.Observe(request([]string{"acc-a", "acc-b", "", "acc-x"}[rng.IntN(4)], day.AddDate(0, 0, rng.IntN(3)), micros))
		}
		var rows []string
		for range rapid.IntRange(1, 30).Draw(t, "rows") {
			u := rng.Int64N(400_000_000)
			billed += u
			rows = append(rows, fmt.Sprintf(`{"date":"2026-06-%02d","actor":{"user_id":%q},"list_amount":"%d.%06d","currency":"USD"}`,
				15+rng.IntN(3), []string{"user_01A", "user_01B", "user_01Z"}[rng.IntN(3)], u/1_000_000, u%1_000_000))
		}
		parse := func() *Reconciliation {
			e, err := ReadCosts("c", strings.NewReader(`{"data":[`+strings.Join(rows, ",")+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			return x.Reconcile(e, current())
		}
		r := parse()
		var telemetry, export Unit
		for _, s := range r.Totals {
			telemetry += s.Telemetry
			export += s.Export
			if s.ExportCents*1_000_000+s.ExportResidue != s.Export {
				t.Fatalf("%+v", s)
			}
		}
		if telemetry != sent || export != billed {
			t.Fatalf("telemetry %d of %d, export %d of %d", telemetry, sent, export, billed)
		}
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if a, b := lines(r), lines(parse()); a != b {
			t.Fatalf("order matters:\n%s\n%s", a, b)
		}
	})
}

func FuzzReadCosts(f *testing.F) {
	for _, s := range []string{userReport, "date,email,cost_usd\n2026-06-15,a,1.5\n", `[{"amount":1.5}]`, `{"data":[{"results":[{"results":[]}]}]}`, "{", "a\n\"", `{"data":{}}`, "dAte,,Costusd\n00000000\"00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ReadCosts("c", strings.NewReader(s))
		if (e == nil) == (err == nil) {
			t.Fatal("an export or an error")
		}
		if e != nil {
			NewEstimates(people()).Reconcile(e, current())
		}
	})
}
