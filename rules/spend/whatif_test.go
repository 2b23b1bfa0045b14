package spend

import (
	"math"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func TestWhatIf(t *testing.T) {
	d := ledger(3, current(), nil, 10).dir
	w := NewWhatIf(d, current(), Changed{
		Limits: []org.Change{{Limit: &org.LimitChange{Group: txt("g0"), Limit: usd(5)}}},
		Prices: map[string]int64{"": 1000, "opus": 1500},
	})
	ask := func(member string, days int, model string, x float64) {
		ev := request(member, day.AddDate(0, 0, days), usd(x).Micros)
		ev.Model = model
		w.Observe(ev)
	}
	ask("a0", 0, "sonnet", 6) // reaches 5, not 10
	ask("a0", 1, "sonnet", 5) // reaches 10
	ask("a0", 2, "opus", 1)
	ask("a1", 0, "opus", 2) // 3 at the new price
	ask("a2", 0, "sonnet", 9)
	ask("a2", 3, "sonnet", 0.5)
	x := w.Difference()
	if x.CostBefore != usd(23.5).Micros || x.CostAfter != usd(25).Micros || x.BlockedThen != 1 || x.BlockedNow != 2 {
		t.Errorf("%+v", x)
	}
	var b strings.Builder
	x.Rename(func(m string) string { return "p-" + m })
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `cost $23.50 -> $25.00 (+$1.50)
member-months that a limit would have stopped: 1 -> 2; later work it touches: 1 requests ($1.00) -> 3 ($7.00)
  2026-06  p-a0               g0: stopped on 2026-06-17 by group:g0 ($10.00) -> stopped on 2026-06-16 by group:g0 ($5.00)
  2026-06  p-a2               g0: never stopped -> stopped on 2026-06-18 by group:g0 ($5.00)
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if len(d.Config.Changes) != 0 {
		t.Error("the configuration was changed")
	}
}

func TestWhatIfNotEvaluable(t *testing.T) {
	w := NewWhatIf(ledger(1, current(), nil, 10).dir, current(), Changed{})
	ev := request("a0", day, 0)
	ev.CostFrom = event.CostMissing
	w.Observe(ev)
	var b strings.Builder
	_ = w.Difference().Write(&b)
	if !strings.HasPrefix(b.String(), "Not evaluable") {
		t.Error(b.String())
	}
}

func TestScale(t *testing.T) {
	for _, x := range [][3]int64{{100, 1500, 150}, {1, 500, 1}, {1, 499, 0}, {1 << 62, 3000, 1<<63 - 1}, {7, -1, 0}} {
		if got := scale(x[0], x[1]); got != x[2] {
			t.Errorf("%v: %d", x, got)
		}
	}
	if m, none, err := ParseAmount("53.75"); m != 53_750_000 || none || err != nil {
		t.Error(m, none, err)
	}
	if _, _, err := ParseAmount("53.755"); err == nil {
		t.Error("a part of a cent")
	}
}

// Another price list scales what a request did cost, by its own tokens and on its
// own day, and leaves alone what the list says nothing new about.
func TestWhatIfAtOtherPrices(t *testing.T) {
	base, err := platform.Prices()
	if err != nil {
		t.Fatal(err)
	}
	f, err := source.Parse("new.yaml", []byte(`
prices:
  - {model: claude-sonnet-4-6, from: 2026-06-16, input: 3000000, output: 30000000, cache_read: 300000, cache_write_5m: 3750000, cache_write_1h: 6000000, source: offer, read: quoted}
fallback: {input: 5000000, output: 25000000, source: offer}
`))
	if err != nil {
		t.Fatal(err)
	}
	list, err := platform.ParsePrices(f)
	if err != nil {
		t.Fatal(err)
	}
	d := ledger(2, current(), nil, 10).dir
	w := NewWhatIf(d, current(), Changed{Base: base, List: base.With(list), Prices: map[string]int64{"claude-opus-4-6": 2000}})
	ask := func(days int, model string, out int64, x float64) {
		ev := request("a0", day.AddDate(0, 0, days), usd(x).Micros)
		ev.Model, ev.OutputTokens = model, out
		w.Observe(ev)
	}
	ask(0, "claude-sonnet-4-6", 1000, 1) // 15 June: the list is not in force
	ask(1, "claude-sonnet-4-6", 1000, 3) // output is twice as dear; the wire's own level stays
	ask(1, "claude-haiku-4-5", 1000, 1)  // not named
	ask(1, "claude-opus-4-6", 1000, 1)   // not named, and a factor on top
	ask(1, "claude-sonnet-4-6", 0, 1)    // no tokens to price
	x := w.Difference()
	if x.CostBefore != usd(7).Micros || x.CostAfter != usd(1+6+1+2+1).Micros {
		t.Errorf("%s -> %s", Dollars(x.CostBefore), Dollars(x.CostAfter))
	}
	if !strings.Contains(strings.Join(x.Notes, "\n"), "4 requests cost what they did") {
		t.Errorf("notes %q", x.Notes)
	}
	huge := request("a0", day.AddDate(0, 0, 1), math.MaxInt64)
	huge.Model, huge.OutputTokens = "claude-sonnet-4-6", 1000
	if n, ok := Repriced(huge, base, base.With(list)); !ok || n != math.MaxInt64 {
		t.Errorf("a sum too large is %d", n)
	}
}
