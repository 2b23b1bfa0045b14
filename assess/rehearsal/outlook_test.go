package rehearsal_test

import (
	"testing"
)

// The outlook is the spend of the month up to the end of the period, to the
// micro-dollar, and from there a band that only widens.
func TestOutlook(t *testing.T) {
	res, _ := play(t, load(t, small), 2)
	o := res.Spend.Outlook
	if o == nil || o.Month != "2026-04" || len(o.Days) != 30 {
		t.Fatalf("%+v", o)
	}
	if got, want := o.Days[23].Spent, res.Spend.Total; got != want || got == 0 {
		t.Errorf("spent %d of %d by the last day of the period", got, want)
	}
	last := int64(0)
	for i, d := range o.Days {
		if d.P10 < last || d.P10 > d.P50 || d.P50 > d.P90 || (d.Spent < 0) != (i > 23) {
			t.Errorf("%+v", d)
		}
		last = d.P10
	}
	if end := o.Days[29]; end.P90 <= end.P10 {
		t.Errorf("%+v", end)
	}
	if len(res.Spend.Drivers) == 0 {
		t.Error("no drivers")
	}
	// Without telemetry there is nothing to look out from, and nothing is said.
	if res, _ := play(t, load(t, small, "telemetry.endpoint="), 2); res.Spend.Outlook != nil {
		t.Errorf("%+v", res.Spend.Outlook)
	}
}
