package reports

import (
	"fmt"

	"github.com/sandtable-dev/sandtable/rules/spend"
)

const (
	maxWeekRows = 6  // groups drawn
	maxWeekBars = 27 // weeks drawn of each: half a year
	farAbove    = 5  // times the highest bar: from there a limit is told and not drawn
)

// weeksFigure draws what each group spent, week by week and adding up over the
// month, against what its limit would let its members spend. A limit caps each
// member, so the line is limit times members and nothing that stops anybody.
func weeksFigure(weeks []spend.GroupWeek) *Figure {
	var groups [][]spend.GroupWeek
	for _, w := range weeks { // sorted by group
		if n := len(groups); n == 0 || groups[n-1][0].Group != w.Group {
			groups = append(groups, nil)
		}
		n := len(groups) - 1
		groups[n] = append(groups[n], w)
	}
	var shown [][]spend.GroupWeek
	left := 0
	for _, g := range groups {
		spent := false
		for _, w := range g {
			spent = spent || w.Spent > 0
		}
		switch {
		case !spent: // an empty row would say less than the table
		case len(shown) == maxWeekRows:
			left++
		default:
			shown = append(shown, g)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	const x0, x1, rowH, head = 46.0, 150.0, 17.0, 2.0
	f := &Figure{Title: "What each group spent, week by week, against its limit", H: head + rowH*float64(len(shown)) + 10}
	f.Data = &Table{Head: []string{"Group", "Week", "Spent", "Month to date", "Limit times members"}, Widths: []int{26, 28, 14, 15, 17}}
	bars, cut := 0, false
	for i := range shown {
		if n := len(shown[i]); n > maxWeekBars {
			shown[i], cut = shown[i][n-maxWeekBars:], true
		}
		bars = max(bars, len(shown[i]))
	}
	step := (x1 - x0) / float64(bars)
	width := min(step*0.7, 9)
	far := false
	for i, g := range shown {
		base := head + rowH*float64(i+1) - 2
		room := rowH - 5
		top := int64(1)
		for _, w := range g {
			top = max(top, w.ToDate)
		}
		last := g[len(g)-1]
		// A line far above would press the bars flat: it is told, not drawn.
		line := last.Most >= 0 && last.Most <= farAbove*top
		scale := top
		for _, w := range g {
			if line && w.Most <= farAbove*top {
				scale = max(scale, w.Most)
			}
		}
		y := func(v int64) float64 { return base - room*float64(v)/float64(scale) }
		limit := "no limit on the group"
		if last.Limit >= 0 {
			limit = fmt.Sprintf("%s x %d = %s a month", dollars(last.Limit), last.Members, dollars(last.Most))
		}
		f.add(Mark{Kind: Label, X: 0, Y: base - 8, Size: 7.2, Bold: true, Fill: Ink, Fit: x0 - 3, Text: title(last.Group)})
		f.add(Mark{Kind: Label, X: 0, Y: base - 4.4, Size: 6.3, Fill: Muted, Fit: x0 - 3, Text: limit})
		f.line(x0, base, x1, base, 0.25, Rule)
		var edge [][2]float64
		for k, w := range g {
			cx := x0 + step*(float64(k)+0.5)
			if earlier := w.ToDate - w.Spent; earlier > 0 {
				f.rect(cx-width/2, y(earlier), width, base-y(earlier), Sky)
			}
			if w.Spent > 0 {
				f.rect(cx-width/2, y(w.ToDate), width, y(w.ToDate-w.Spent)-y(w.ToDate), Accent)
			}
			if line && w.Most >= 0 && w.Most <= scale {
				edge = append(edge, [2]float64{cx - step/2, y(w.Most)}, [2]float64{cx + step/2, y(w.Most)})
			}
			if k > 0 && g[k-1].From[:7] != w.From[:7] {
				f.dashed(cx-step/2, base, cx-step/2, base-room-1, 0.2, Grey)
			}
			most := "no limit"
			if w.Most >= 0 {
				most = dollars(w.Most)
			}
			f.Data.Rows = append(f.Data.Rows, texts(title(w.Group), shortDay(w.From)+" to "+longDay(w.To), dollars(w.Spent), dollars(w.ToDate), most))
		}
		if len(edge) > 1 {
			f.add(Mark{Kind: Polyline, Points: edge, Stroke: Gold, Line: 0.8})
		}
		far = far || !line && last.Most >= 0
		f.add(Mark{Kind: Label, X: x1 + 2, Y: y(last.ToDate), Size: 6.8, Bold: true, Fill: Ink, Fit: FigureWidth - x1 - 2, Text: dollars(last.ToDate)})
	}
	bottom := head + rowH*float64(len(shown))
	every := 1
	for float64(every)*step < 13 {
		every++
	}
	for k := 0; k < bars; k += every {
		for _, g := range shown { // rows have the same weeks, unless one is shorter
			if len(g) == bars {
				f.add(Mark{Kind: Label, X: x0 + step*(float64(k)+0.5), Y: bottom + 1, Size: 6.3, Fill: Muted, Anchor: Middle, Text: shortDay(g[k].From)})
				break
			}
		}
	}
	f.rect(x0, bottom+4.8, 3, 2.4, Accent)
	f.text(x0+4.5, bottom+6, 6.8, Muted, "this week")
	f.rect(x0+22, bottom+4.8, 3, 2.4, Sky)
	f.text(x0+26.5, bottom+6, 6.8, Muted, "earlier in the month")
	f.line(x0+60, bottom+6, x0+64, bottom+6, 0.8, Gold)
	f.text(x0+65.5, bottom+6, 6.8, Muted, "limit x members")
	f.Note = "Each row has its own scale; weeks are named by their first day and end with the month, where limits begin anew. The limit caps each member: members stop one by one, and the group as such never does. Who is in two groups counts in both. Costs in telemetry are estimates."
	if far {
		f.Note += " Where no line is drawn, limit times members lies above five times what was spent."
	}
	if left > 0 {
		f.Note += fmt.Sprintf(" %d of %d groups with spend drawn; the others are in spend.json.", len(shown), len(shown)+left)
	}
	if cut {
		f.Note += fmt.Sprintf(" The last %d weeks are drawn; earlier ones are in spend.json.", maxWeekBars)
	}
	f.Alt = fmt.Sprintf("%s, week by week: what was spent and the month to date.", title(count(len(shown), "group")))
	return f
}
