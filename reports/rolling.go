package reports

import "fmt"

// RollingDay is a UTC day's active members over windows that end with it, and its
// sessions.
type RollingDay struct {
	Day           string
	Sessions      int64
	DAU, WAU, MAU int
}

// rollingFigure draws the members active on each day and over the 7 and 30 days
// that end with it.
func rollingFigure(days []RollingDay) *Figure {
	if len(days) < 2 {
		return nil
	}
	top := 1
	for _, d := range days {
		top = max(top, d.MAU, d.WAU, d.DAU)
	}
	ticks := steps(int64(top), 4)
	full := float64(ticks[len(ticks)-1])
	const x0, x1, y0, y1 = 12.0, 168.0, 4.0, 36.0
	f := &Figure{Title: "Members active on a day, in 7 days and in 30 days", H: 47,
		Note: "Windows look back from each day, in UTC. Before a whole window has passed they cover less and read low."}
	y := func(v int) float64 { return y1 - (y1-y0)*float64(v)/full }
	x := func(i int) float64 { return x0 + (x1-x0)*float64(i)/float64(len(days)-1) }
	for _, t := range ticks {
		f.line(x0, y(int(t)), x1, y(int(t)), 0.15, Rule)
		f.add(Mark{Kind: Label, X: x0 - 1.5, Y: y(int(t)), Size: 6.5, Fill: Muted, Anchor: End, Text: num(t)})
	}
	var dau, wau, mau [][2]float64
	for i, d := range days {
		dau = append(dau, [2]float64{x(i), y(d.DAU)})
		wau = append(wau, [2]float64{x(i), y(d.WAU)})
		mau = append(mau, [2]float64{x(i), y(d.MAU)})
	}
	f.add(Mark{Kind: Polyline, Points: dau, Stroke: Grey, Line: 0.4})
	f.add(Mark{Kind: Polyline, Points: wau, Stroke: Accent, Line: 0.9})
	f.add(Mark{Kind: Polyline, Points: mau, Stroke: Navy, Line: 0.7, Dash: true})
	every := max(1, (len(days)+7)/8)
	for i := 0; i < len(days); i += every {
		f.add(Mark{Kind: Label, X: x(i), Y: y1 + 3.2, Size: 6.5, Fill: Muted, Anchor: Middle, Text: shortDay(days[i].Day)})
	}
	const at = 43.0
	f.line(x0, at, x0+5, at, 0.4, Grey)
	f.text(x0+6.5, at, 6.8, Muted, "on the day")
	f.line(x0+30, at, x0+35, at, 0.9, Accent)
	f.text(x0+36.5, at, 6.8, Muted, "in 7 days")
	f.dashed(x0+60, at, x0+65, at, 0.7, Navy)
	f.text(x0+66.5, at, 6.8, Muted, "in 30 days")
	last := days[len(days)-1]
	f.Alt = fmt.Sprintf("On %s %d members were active, %d in the 7 days to it and %d in the 30.", longDay(last.Day), last.DAU, last.WAU, last.MAU)
	f.Data = &Table{Head: []string{"Day", "Sessions", "On the day", "In 7 days", "In 30 days"}, Widths: []int{28, 18, 18, 18, 18}}
	for i, d := range days {
		if (len(days)-1-i)%7 == 0 { // a row a week says as much as the drawing
			f.Data.Rows = append(f.Data.Rows, texts(longDay(d.Day), num(d.Sessions), num(int64(d.DAU)), num(int64(d.WAU)), num(int64(d.MAU))))
		}
	}
	return f
}
