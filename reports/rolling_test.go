package reports

import (
	"strings"
	"testing"
)

func TestRollingFigure(t *testing.T) {
	if rollingFigure(nil) != nil || rollingFigure([]RollingDay{{Day: "2026-06-01"}}) != nil {
		t.Error("one day is no line")
	}
	var days []RollingDay
	for _, d := range []string{"2026-06-01", "2026-06-02", "2026-06-03", "2026-06-04", "2026-06-05", "2026-06-06", "2026-06-07", "2026-06-08"} {
		days = append(days, RollingDay{d, 3, 1, 2, 4})
	}
	f := rollingFigure(days)
	if !strings.Contains(f.Alt, "8 Jun 2026 1 members were active, 2 in the 7 days to it and 4 in the 30") || len(f.Data.Rows) != 2 {
		t.Errorf("%s %v", f.Alt, f.Data.Rows)
	}
	for _, m := range f.Marks {
		if m.Y > f.H || m.X > FigureWidth {
			t.Errorf("outside the field: %+v", m)
		}
	}
}
