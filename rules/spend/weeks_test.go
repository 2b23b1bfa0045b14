package spend

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Weeks begin on Monday and end with the month, where limits begin anew; a limit
// times members is what the group may spend, and is no pool.
func TestGroupWeeks(t *testing.T) {
	l := ledger(3, current(), nil, 200)
	for _, x := range []struct {
		who int
		day string
		usd float64
	}{
		{0, "2026-06-29", 10}, {1, "2026-06-30", 5}, {0, "2026-07-01", 7}, {2, "2026-07-05", 1}, // Mon, Tue | Wed, Sun
		{0, "2026-07-06", 2}, {0, "2026-07-27", 3}, // the next Monday; two empty weeks between
		{1, "2026-07-05", 4}, // late, on a day before
	} {
		at, err := time.Parse(time.DateOnly, x.day)
		if err != nil {
			t.Fatal(err)
		}
		l.Charge(x.who, at.Add(9*time.Hour), usd(x.usd).Micros)
	}
	want := []string{
		"2026-06-29 2026-06-30 15 15", "2026-07-01 2026-07-05 12 12", "2026-07-06 2026-07-12 2 14", "2026-07-27 2026-07-31 3 17",
	}
	got := l.Summary().Weeks
	if len(got) != len(want) {
		t.Fatalf("%d weeks: %+v", len(got), got)
	}
	for i, w := range got {
		if s := fmt.Sprint(w.From, " ", w.To, " ", w.Spent/1e6, " ", w.ToDate/1e6); s != want[i] {
			t.Errorf("week %d is %s, want %s", i, s, want[i])
		}
		if w.Members != 3 || w.Limit != usd(200).Micros || w.Most != usd(600).Micros {
			t.Errorf("limit of %+v", w)
		}
	}
}

// Whatever the order and the dates, weeks of a group hold what its members spent,
// and month to date ends at the month.
func TestGroupWeeksAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ledger(4, current(), func(c *org.Config) { c.Spend.Groups = nil }, 100)
		sum, months := int64(0), map[string]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "charges") {
			at := time.Unix(rapid.Int64Range(-1e8, 4e9).Draw(t, "at"), 0).UTC()
			n := rapid.Int64Range(1, 1e9).Draw(t, "micros")
			l.Charge(rapid.IntRange(0, 3).Draw(t, "who"), at, n)
			sum += n
			months[at.Format("2006-01")] += n
		}
		last := map[string]int64{}
		total, before := int64(0), ""
		for _, w := range l.Summary().Weeks {
			total += w.Spent
			last[w.From[:7]] = w.ToDate
			if w.From <= before || w.From > w.To || w.From[:7] != w.To[:7] || w.Limit != -1 || w.Most != -1 {
				t.Fatalf("week %+v after %s", w, before)
			}
			before = w.To
		}
		if total != sum {
			t.Fatalf("weeks hold %d of %d", total, sum)
		}
		for m, n := range months {
			if last[m] != n {
				t.Fatalf("%s ends at %d, spent %d", m, last[m], n)
			}
		}
	})
}
