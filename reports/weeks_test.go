package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/rules/spend"
)

func TestWeeksFigure(t *testing.T) {
	if weeksFigure(nil) != nil || weeksFigure([]spend.GroupWeek{{Group: "idle", From: "2026-06-01", To: "2026-06-07", Limit: -1, Most: -1}}) != nil {
		t.Error("nothing spent is drawn")
	}
	var weeks []spend.GroupWeek
	add := func(group string, limit int64, members int) {
		most := int64(-1)
		if limit >= 0 {
			most = limit * int64(members)
		}
		toDate := int64(0)
		for i, d := range []string{"2026-06-15", "2026-06-22", "2026-06-29", "2026-07-01", "2026-07-06"} {
			if d == "2026-07-01" {
				toDate = 0
			}
			toDate += int64(i+1) * 10e6
			weeks = append(weeks, spend.GroupWeek{Group: group, From: d, To: d[:8] + "30", Spent: int64(i+1) * 10e6, ToDate: toDate, Members: members, Limit: limit, Most: most})
		}
	}
	add("claims", 30e6, 4)     // drawn: 120 against 90
	add("finance", 5000e6, 40) // far above
	add("legal", -1, 3)
	f := weeksFigure(weeks)
	lines, words := 0, []string{}
	for _, m := range f.Marks {
		if m.Kind == Polyline {
			lines++
		}
		if m.Kind == Label {
			words = append(words, m.Text)
		}
		if m.Kind == Rectangle && (m.H < 0 || m.Y < 0 || m.Y+m.H > f.H) || m.X > FigureWidth {
			t.Errorf("out of the field: %+v", m)
		}
	}
	if lines != 1 {
		t.Errorf("%d lines of limits, want that of claims alone", lines)
	}
	for _, want := range []string{"$30.00 x 4 = $120.00 a month", "$5,000.00 x 40 = $200,000.00 a month", "no limit on the group", "$90.00"} {
		if !strings.Contains(strings.Join(words, "|"), want) {
			t.Errorf("nothing says %s: %v", want, words)
		}
	}
	if len(f.Data.Rows) != 15 || !strings.Contains(f.Note, "above five times") {
		t.Errorf("%d rows, note %q", len(f.Data.Rows), f.Note)
	}
	for i := range 10 {
		add(fmt.Sprintf("team %d", i), 30e6, 4)
	}
	if f = weeksFigure(weeks); !strings.Contains(f.Note, "6 of 13 groups") {
		t.Errorf("note %q", f.Note)
	}
}
