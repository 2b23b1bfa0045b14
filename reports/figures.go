package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
)

// The figures of the report. Each returns nil when there is nothing to draw.

func shortDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("2 Jan")
}

func longDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("2 Jan 2006")
}

// adoptionFigure draws active against enabled members week by week, under the
// phases of the rollout.
func adoptionFigure(weeks []AdoptionLine, phases []PhaseLine) *Figure {
	if len(weeks) == 0 {
		return nil
	}
	top := 1
	for _, w := range weeks {
		top = max(top, w.Enabled, w.Active)
	}
	ticks := steps(int64(top), 4)
	full := float64(ticks[len(ticks)-1])
	const x0, x1, y0, y1 = 12.0, 170.0, 11.0, 41.0
	f := &Figure{Title: "Members active and enabled, week by week", H: 52}
	y := func(v float64) float64 { return y1 - (y1-y0)*v/full }
	for _, t := range ticks {
		f.line(x0, y(float64(t)), x1, y(float64(t)), 0.15, Rule)
		f.add(Mark{Kind: Label, X: x0 - 1.5, Y: y(float64(t)), Size: 6.5, Fill: Muted, Anchor: End, Text: num(t)})
	}
	step := (x1 - x0) / float64(len(weeks))
	bar := min(step*0.62, 14)
	every := 1
	for float64(every)*step < 13 {
		every++
	}
	var edge [][2]float64
	for i, w := range weeks {
		cx := x0 + step*(float64(i)+0.5)
		f.rect(cx-bar/2, y(float64(w.Active)), bar, y1-y(float64(w.Active)), Accent)
		edge = append(edge, [2]float64{x0 + step*float64(i), y(float64(w.Enabled))}, [2]float64{x0 + step*float64(i+1), y(float64(w.Enabled))})
		if i%every == 0 {
			f.add(Mark{Kind: Label, X: cx, Y: y1 + 3.2, Size: 6.5, Fill: Muted, Anchor: Middle, Text: shortDay(w.Week)})
		}
		if bar >= 7 && w.Active > 0 {
			at, tone := y(float64(w.Active))+2.6, White
			if y1-y(float64(w.Active)) < 5 {
				at, tone = y(float64(w.Active))-2, Ink
			}
			f.add(Mark{Kind: Label, X: cx, Y: at, Size: 6.5, Bold: true, Fill: tone, Anchor: Middle, Text: strconv.Itoa(w.Active)})
		}
	}
	f.add(Mark{Kind: Polyline, Points: edge, Stroke: Gold, Line: 0.9})
	f.line(x0, y1, x1, y1, 0.3, Muted)
	for i, ph := range phases {
		from, ok := weekOf(ph.From, weeks)
		if !ok {
			continue
		}
		to := float64(len(weeks))
		if i+1 < len(phases) {
			if t, ok := weekOf(phases[i+1].From, weeks); ok {
				to = t
			}
		}
		a, b := x0+step*max(0, from), x0+step*min(to, float64(len(weeks)))
		if b <= a {
			continue
		}
		f.rect(a, 3, b-a-0.4, 5, Tint)
		f.rect(a, 3, 0.7, 5, Gold)
		f.add(Mark{Kind: Label, X: a + 2, Y: 5.5, Size: 6.5, Bold: true, Fill: Navy, Fit: b - a - 3, Text: words(ph.Name)})
	}
	f.rect(x0, 47.2, 3, 2.4, Accent)
	f.text(x0+4.5, 48.4, 6.8, Muted, "active members")
	f.line(x0+34, 48.4, x0+38, 48.4, 0.9, Gold)
	f.text(x0+39.5, 48.4, 6.8, Muted, "enabled members")
	f.text(x0+72, 48.4, 6.8, Muted, "weeks named by their first day")
	last := weeks[len(weeks)-1]
	f.Alt = fmt.Sprintf("%s; in the last one %d of %d enabled members were active.", title(count(len(weeks), "week")), last.Active, last.Enabled)
	f.Data = &Table{Head: []string{"Week", "Sessions", "Active members", "Share"}, Widths: []int{28, 22, 25, 25}}
	for _, w := range weeks {
		f.Data.Rows = append(f.Data.Rows, texts(longDay(w.Week), num(w.Sessions), fmt.Sprintf("%d of %d enabled", w.Active, w.Enabled), ""))
	}
	f.Data.Head, f.Data.Widths = f.Data.Head[:3], f.Data.Widths[:3]
	for i := range f.Data.Rows {
		f.Data.Rows[i] = f.Data.Rows[i][:3]
	}
	f.Note = "Adoption says who used it, never whether use was in order."
	return f
}

// weekOf is where a day falls on the axis of weeks, in weeks from its start.
func weekOf(day string, weeks []AdoptionLine) (float64, bool) {
	d, err1 := time.Parse(time.DateOnly, day)
	first, err2 := time.Parse(time.DateOnly, weeks[0].Week)
	if err1 != nil || err2 != nil {
		return 0, false
	}
	return d.Sub(first).Hours() / (24 * 7), true
}

const maxSpendRows = 8

// spendFigure draws each member's month against the limit that bound it: a
// limit for each member is only understood beside the members.
func spendFigure(groups []SpendGroup) *Figure {
	if len(groups) == 0 {
		return nil
	}
	shown := groups[:min(len(groups), maxSpendRows)]
	const x0, x1, rowH, head = 46.0, 166.0, 15.0, 4.0
	f := &Figure{Title: "What each member spent in a month, against their limit", H: head + rowH*float64(len(shown)) + 9}
	top := int64(1)
	for _, g := range shown {
		top = max(top, g.LimitMicros)
		if n := len(g.Micros); n > 0 {
			top = max(top, g.Micros[n-1])
		}
	}
	ticks := steps((top+999_999)/1_000_000, 6)
	full := float64(ticks[len(ticks)-1]) * 1e6
	x := func(v int64) float64 { return x0 + (x1-x0)*float64(v)/full }
	bottom := head + rowH*float64(len(shown))
	for _, t := range ticks {
		f.line(x(t*1_000_000), head, x(t*1_000_000), bottom, 0.15, Rule)
		f.add(Mark{Kind: Label, X: x(t * 1_000_000), Y: bottom + 3, Size: 6.5, Fill: Muted, Anchor: Middle, Text: "$" + num(t)})
	}
	f.Data = &Table{Head: []string{"Limit", "For each member", "Member-months", "Middle", "Highest", "At or over it"}, Widths: []int{30, 16, 16, 13, 13, 12}}
	for i, g := range shown {
		base := head + rowH*float64(i+1) - 1.5
		f.line(x0, base, x1, base, 0.2, Rule)
		limit := "none set"
		if g.LimitMicros >= 0 {
			limit = dollars(g.LimitMicros)
		}
		f.add(Mark{Kind: Label, X: 0, Y: base - 7, Size: 7.2, Bold: true, Fill: Ink, Fit: x0 - 4, Text: title(strings.ReplaceAll(g.Source, ":", " "))})
		f.add(Mark{Kind: Label, X: 0, Y: base - 3.2, Size: 6.5, Fill: Muted, Fit: x0 - 4, Text: count(len(g.Micros), "member-month") + ", limit " + limit})
		const bins = 60
		var heights [bins]int
		most := 1
		over := 0
		for _, v := range g.Micros {
			b := min(bins-1, int(float64(v)/full*bins))
			heights[b]++
			most = max(most, heights[b])
			if g.LimitMicros >= 0 && v >= g.LimitMicros {
				over++
			}
		}
		w := (x1 - x0) / bins
		unit := min(2.0, (rowH-4.5)/float64(most))
		for b, n := range heights {
			if n == 0 {
				continue
			}
			tone := Accent
			if left := int64(float64(b) / bins * full); g.LimitMicros >= 0 && left >= g.LimitMicros-int64(full/bins) {
				tone = Red
			}
			if unit >= 1.2 {
				for k := range n {
					f.add(Mark{Kind: Circle, X: x0 + w*(float64(b)+0.5), Y: base - unit*(float64(k)+0.5) - 0.2, W: unit * 0.42, Fill: tone})
				}
			} else {
				f.rect(x0+w*float64(b)+0.15, base-unit*float64(n), w-0.3, unit*float64(n), tone)
			}
		}
		if g.LimitMicros >= 0 {
			f.line(x(g.LimitMicros), base-rowH+3, x(g.LimitMicros), base+0.6, 0.6, Gold)
		}
		mid, high := "none", "none"
		if n := len(g.Micros); n > 0 {
			mid, high = dollars(g.Micros[(n-1)/2]), dollars(g.Micros[n-1])
		}
		f.Data.Rows = append(f.Data.Rows, texts(title(strings.ReplaceAll(g.Source, ":", " ")), limit, strconv.Itoa(len(g.Micros)), mid, high, fmt.Sprintf("%d of %d", over, len(g.Micros))))
	}
	f.Note = "One mark is one member in one month; the upright line is the limit that bound them. Costs in telemetry are estimates."
	if len(groups) > len(shown) {
		f.Note += fmt.Sprintf(" %d of %d limits shown; the others are in spend.json.", len(shown), len(groups))
	}
	f.Alt = fmt.Sprintf("%s of members' monthly spend, each with its limit.", title(count(len(shown), "row")))
	return f
}

// fanFigure draws spend to date and the range it may take.
func fanFigure(fan *SpendFan) *Figure {
	if fan == nil || len(fan.Points) < 2 {
		return nil
	}
	const x0, x1, y0, y1 = 20.0, 168.0, 4.0, 46.0
	f := &Figure{Title: or(fan.Title, "Spend so far, and the range it may take"), H: 58, Note: fan.Note}
	top := max(fan.LimitMicros, 1)
	for _, p := range fan.Points {
		top = max(top, p.High, p.Actual)
	}
	ticks := steps((top+999_999)/1_000_000, 5)
	full := float64(ticks[len(ticks)-1]) * 1e6
	y := func(v int64) float64 { return y1 - (y1-y0)*float64(v)/full }
	x := func(i int) float64 { return x0 + (x1-x0)*float64(i)/float64(len(fan.Points)-1) }
	for _, t := range ticks {
		f.line(x0, y(t*1_000_000), x1, y(t*1_000_000), 0.15, Rule)
		f.add(Mark{Kind: Label, X: x0 - 1.5, Y: y(t * 1_000_000), Size: 6.5, Fill: Muted, Anchor: End, Text: "$" + num(t)})
	}
	var area, mid, actual [][2]float64
	for i, p := range fan.Points {
		area = append(area, [2]float64{x(i), y(p.High)})
		mid = append(mid, [2]float64{x(i), y(p.Mid)})
		if p.Actual >= 0 {
			actual = append(actual, [2]float64{x(i), y(p.Actual)})
		}
	}
	for i := len(fan.Points) - 1; i >= 0; i-- {
		area = append(area, [2]float64{x(i), y(fan.Points[i].Low)})
	}
	f.add(Mark{Kind: Polygon, Points: area, Fill: Sky})
	f.add(Mark{Kind: Polyline, Points: mid, Stroke: Accent, Line: 0.5, Dash: true})
	if len(actual) > 1 {
		f.add(Mark{Kind: Polyline, Points: actual, Stroke: Navy, Line: 0.9})
	}
	if fan.LimitMicros >= 0 {
		f.line(x0, y(fan.LimitMicros), x1, y(fan.LimitMicros), 0.7, Gold)
		f.add(Mark{Kind: Label, X: x1, Y: y(fan.LimitMicros) - 2, Size: 6.8, Bold: true, Fill: Amber, Anchor: End, Text: join(" ", or(fan.LimitName, "limit"), dollars(fan.LimitMicros))})
	}
	every := max(1, (len(fan.Points)+7)/8)
	for i := 0; i < len(fan.Points); i += every {
		f.add(Mark{Kind: Label, X: x(i), Y: y1 + 3.2, Size: 6.5, Fill: Muted, Anchor: Middle, Text: shortDay(fan.Points[i].Day)})
	}
	if len(actual) > 1 {
		f.line(x0, 54, x0+5, 54, 0.9, Navy)
		f.text(x0+6.5, 54, 6.8, Muted, "spent")
	}
	f.dashed(x0+22, 54, x0+27, 54, 0.5, Accent)
	f.text(x0+28.5, 54, 6.8, Muted, "middle of the forecasts")
	f.rect(x0+66, 52.8, 5, 2.4, Sky)
	f.text(x0+72.5, 54, 6.8, Muted, "eight of ten forecasts")
	last := fan.Points[len(fan.Points)-1]
	f.Alt = fmt.Sprintf("By %s the middle forecast is %s, eight of ten between %s and %s.", longDay(last.Day), dollars(last.Mid), dollars(last.Low), dollars(last.High))
	return f
}

const maxRuleRows = 16

// rulesFigure draws what each rule raised and how well it did where that was
// measured.
func rulesFigure(rows []assess.RuleRow, quality []QualityLine, measured string) *Figure {
	if len(rows) == 0 {
		return nil
	}
	q := map[string]QualityLine{}
	for _, l := range quality {
		q[l.Rule] = l
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b assess.RuleRow) int { return b.Alerts - a.Alerts })
	shown := rows[:min(len(rows), maxRuleRows)]
	most := 1
	for _, r := range shown {
		most = max(most, r.Alerts)
	}
	const nameW, barX, barW, qX, rowH = 74.0, 76.0, 34.0, 126.0, 6.2
	f := &Figure{Title: "Alerts raised by each rule, and how good they were", H: 6 + rowH*float64(len(shown)) + 1}
	f.text(barX, 2, 6.8, Muted, "alerts")
	if len(q) > 0 {
		f.text(qX, 2, 6.8, Muted, "injected misuse caught; alerts right")
	}
	raised := 0
	for i, r := range shown {
		y := 6 + rowH*float64(i) + rowH/2
		raised += r.Alerts
		f.line(0, y-rowH/2, FigureWidth, y-rowH/2, 0.12, Rule)
		names := labelLines(or(r.Title, r.ID), 7.2, nameW-2, 2)
		size := 7.2
		if len(names) > 1 {
			size = 6.2
		}
		for k, l := range names {
			f.add(Mark{Kind: Label, X: 0, Y: y + 2.7*(float64(k)-float64(len(names)-1)/2), Size: size, Fill: Ink, Fit: nameW - 2, Text: l})
		}
		switch {
		case r.Reached == 0:
			f.symbol(barX+1, y, 2.2, Ring)
			f.text(barX+3.5, y, 6.8, Muted, "nothing reached it: unproven")
			continue
		case r.Evaluable == 0:
			f.symbol(barX+1, y, 2.2, Ring)
			f.add(Mark{Kind: Label, X: barX + 3.5, Y: y, Size: 6.8, Fill: Muted, Fit: FigureWidth - barX - 4, Text: join(": ", "not evaluable", r.WhyNot)})
			continue
		}
		w := barW * float64(r.Alerts) / float64(most)
		if r.Alerts > 0 {
			f.rect(barX, y-1.6, max(w, 0.3), 3.2, shapeTones[severityShape(r.Severity)])
		}
		f.add(Mark{Kind: Label, X: barX + w + 1.5, Y: y, Size: 6.8, Bold: true, Fill: Ink, Text: strconv.Itoa(r.Alerts)})
		l, ok := q[r.ID]
		switch {
		case !ok && len(q) == 0:
		case !ok:
			f.text(qX, y, 6.8, Muted, "not measured")
		case !l.Reachable || l.Seeded == 0:
			f.text(qX, y, 6.8, Muted, "no sample reached it: unproven")
		default:
			const w = 10.0
			f.rect(qX, y-1.3, w, 2.6, Tint)
			f.rect(qX, y-1.3, w*min(1, float64(l.Caught)/float64(l.Seeded)), 2.6, Green)
			f.text(qX+w+1.5, y, 6.8, Ink, fmt.Sprintf("%d of %d; %d of %d", l.Caught, l.Seeded, l.Alerts-l.False, l.Alerts))
		}
	}
	f.Alt = fmt.Sprintf("%s raised %s.", title(count(len(shown), "rule")), count(raised, "alert"))
	f.Note = or(measured, "How well the rules catch was not measured for this set; scoring them against injected misuse tells.")
	if len(rows) > len(shown) {
		f.Note += fmt.Sprintf(" %d of %d rules drawn, those with most alerts; the table has all. ", len(shown), len(rows))
	}
	return f
}

func severityShape(s string) Shape {
	switch strings.ToLower(s) {
	case "critical", "high":
		return Square
	case "medium":
		return Triangle
	case "low":
		return Half
	}
	return Ring
}

// coverageFigure draws each share of what the stream can show against its whole.
func coverageFigure(lines []CoverageLine) *Figure {
	if len(lines) == 0 {
		return nil
	}
	const nameW, x0, w, rowH = 56.0, 58.0, 62.0, 7.2
	f := &Figure{Title: "How much the telemetry can show", H: rowH*float64(len(lines)) + 1}
	f.Data = &Table{Head: []string{"What", "Share", "Why it matters"}, Widths: []int{38, 24, 38}}
	for i, l := range lines {
		y := rowH*float64(i) + rowH/2
		f.add(Mark{Kind: Label, X: 0, Y: y, Size: 7.2, Fill: Ink, Fit: nameW - 1, Text: l.What})
		share := "not evaluable"
		if l.Of > 0 {
			share = num(l.N) + " of " + num(l.Of)
			f.rect(x0, y-1.7, w, 3.4, Tint)
			f.rect(x0, y-1.7, max(0.2, w*float64(l.N)/float64(l.Of)), 3.4, Accent)
			if l.N < l.Of {
				f.rect(x0+w-0.5, y-2.3, 0.5, 4.6, Gold)
			}
		} else {
			f.dashed(x0, y, x0+w, y, 0.3, Grey)
		}
		f.add(Mark{Kind: Label, X: x0 + w + 3, Y: y - 1.4, Size: 7, Bold: true, Fill: Ink, Text: share})
		f.add(Mark{Kind: Label, X: x0 + w + 3, Y: y + 1.6, Size: 6.2, Fill: Muted, Fit: FigureWidth - x0 - w - 3, Text: l.Why})
		f.Data.Rows = append(f.Data.Rows, texts(l.What, share, l.Why))
	}
	f.Alt = "Shares of members, records and results, each against its whole."
	f.Note = "A dashed line stands for a question the stream cannot answer. None of these shares turns telemetry into an audit log."
	return f
}

// verdictFigure draws every obligation as a cell with the mark of its verdict.
func (b *builder) verdictFigure() *Figure {
	const cols, cellW, cellH, gap = 5, 33.2, 8.6, 1.0
	f := &Figure{Title: "Every obligation and its verdict"}
	y := 0.0
	total := 0
	for _, fw := range b.a.Frameworks {
		var os []assess.ObligationResult
		for _, o := range b.a.Obligations {
			if o.Framework == fw.ID && (fw.Applicable || o.IfItWere != "") {
				os = append(os, o)
			}
		}
		name := fw.Title
		if !fw.Applicable {
			name += ", not in scope: as it would be if it were, where a headline gap hits"
		}
		if len(os) == 0 {
			continue
		}
		f.add(Mark{Kind: Label, X: 0, Y: y + 2.4, Size: 8, Bold: true, Fill: Navy, Fit: FigureWidth, Text: fmt.Sprintf("%s (%d)", name, len(os))})
		y += 5.6
		for i, o := range os {
			x := float64(i%cols) * (cellW + gap)
			cy := y + float64(i/cols)*(cellH+gap)
			st := verdictShapes[o.Verdict]
			if !fw.Applicable {
				st = shapeOfName(o.IfItWere)
			}
			f.rect(x, cy, cellW, cellH, st.Pale())
			f.symbol(x+2.6, cy+cellH/2, 2.5, st)
			lines := labelLines(o.Title, 6.3, cellW-6.4, 2)
			for k, l := range lines {
				f.add(Mark{Kind: Label, X: x + 5.4, Y: cy + cellH/2 + (float64(k)-float64(len(lines)-1)/2)*2.9, Size: 6.3, Fill: Ink, Fit: cellW - 5.8, Text: l})
			}
		}
		y += float64((len(os)+cols-1)/cols)*(cellH+gap) + 2.4
		total += len(os)
	}
	if total == 0 {
		return nil
	}
	x := 0.0
	for _, v := range assess.Verdicts() {
		w := labelWidth(v.String(), 6.6) + 8
		if x+w > FigureWidth {
			x, y = 0, y+4
		}
		f.symbol(x+1.2, y+2, 2.2, verdictShapes[v])
		f.text(x+3.4, y+2, 6.6, Muted, v.String())
		x += w
	}
	f.H = y + 5
	f.Alt = fmt.Sprintf("%s, each with the mark of its verdict; the tables below have the same with reasons.", title(count(total, "obligation")))
	return f
}

func shapeOfName(name string) Shape {
	for _, v := range assess.Verdicts() {
		if strings.EqualFold(v.String(), name) || v.Code() == name {
			return verdictShapes[v]
		}
	}
	return Ring
}

// timelineFigure draws the answer and each framework's posture by the facts of
// each date, under the dates on which facts changed.
func (b *builder) timelineFigure() *Figure {
	a := b.a
	moves := b.in.Timeline
	if len(moves) == 0 {
		if a.AsOf == "" || a.Answer.LatestDate <= a.AsOf {
			return nil
		}
		// Without a reading of each day only the two ends are known.
		moves = []assess.Move{{Date: a.AsOf, Answer: a.Answer.Posture}, {Date: a.Answer.LatestDate, Answer: or(a.Answer.LatestPosture, a.Answer.Posture)}}
	}
	first, err := time.Parse(time.DateOnly, moves[0].Date)
	last, err2 := time.Parse(time.DateOnly, max(a.Answer.LatestDate, moves[len(moves)-1].Date))
	if err != nil || err2 != nil {
		return nil
	}
	if !last.After(first) {
		last = first.AddDate(0, 1, 0)
	}
	const x0, x1, top, rowH = 40.0, 168.0, 15.0, 8.6
	span := last.Sub(first).Hours()
	at := func(day string) float64 {
		t, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return x0
		}
		return x0 + (x1-x0)*min(1, max(0, t.Sub(first).Hours()/span))
	}
	f := &Figure{Title: "The answer by the facts of each date"}
	row := func(y float64, name string, bold bool, of func(assess.Move) (Status, bool)) bool {
		type segment struct {
			from string
			st   Status
		}
		var segs []segment
		for _, m := range moves {
			st, ok := of(m)
			if !ok {
				continue
			}
			if n := len(segs); n == 0 || segs[n-1].st != st {
				segs = append(segs, segment{m.Date, st})
			}
		}
		if len(segs) == 0 {
			return false
		}
		f.add(Mark{Kind: Label, X: 0, Y: y + 3.4, Size: 7.4, Bold: bold, Fill: Ink, Fit: x0 - 2, Text: name})
		for i, s := range segs {
			from, to := at(s.from), x1
			if i+1 < len(segs) {
				to = at(segs[i+1].from)
			}
			if to <= from { // the last day alone
				from, to = x1-2, x1
			}
			f.rect(from, y, max(0.6, to-from-0.5), rowH-1.8, s.st.Shape.Pale())
			f.rect(from, y, 0.9, rowH-1.8, s.st.Shape.Tone())
			if to-from > 7 {
				f.symbol(from+3.6, y+3.4, 2.4, s.st.Shape)
			}
			if to-from > 18 {
				f.add(Mark{Kind: Label, X: from + 6, Y: y + 3.4, Size: 7, Bold: true, Fill: s.st.Shape.Tone(), Fit: to - from - 7, Text: s.st.Word})
			}
		}
		return true
	}
	y := top
	if row(y, "The answer", true, func(m assess.Move) (Status, bool) { return answerStatus(m.Answer), true }) {
		y += rowH + 1
	}
	for _, fw := range a.Frameworks {
		if row(y, shortName(fw), false, func(m assess.Move) (Status, bool) {
			p, ok := m.Postures[fw.ID]
			if !ok {
				return Status{}, false
			}
			if p == "" {
				return Status{"Not in scope", Dash}, true
			}
			return anyPosture(p), true
		}) {
			y += rowH
		}
	}
	for m := time.Date(first.Year(), first.Month()+1, 1, 0, 0, 0, 0, time.UTC); m.Before(last); m = m.AddDate(0, 1, 0) {
		x := at(m.Format(time.DateOnly))
		f.line(x, y-0.6, x, y+0.6, 0.25, Grey)
		if x > x0+20 && x < x1-20 {
			f.add(Mark{Kind: Label, X: x, Y: y + 2.4, Size: 6.4, Fill: Muted, Anchor: Middle, Text: m.Format("Jan")})
		}
	}
	f.add(Mark{Kind: Label, X: x0, Y: y + 2.4, Size: 6.8, Bold: true, Fill: Navy, Text: longDay(moves[0].Date)})
	f.add(Mark{Kind: Label, X: x1, Y: y + 2.4, Size: 6.8, Bold: true, Fill: Navy, Anchor: End, Text: longDay(last.Format(time.DateOnly))})
	// One dot for each fact that changed, red where the answer or a posture moved.
	moving := map[string]bool{}
	for _, m := range moves[1:] {
		for _, c := range m.Facts {
			moving[m.Date+" "+c.Fact] = true
		}
	}
	stacked := map[int]int{}
	f.text(0, top-3, 6.8, Muted, "facts that changed")
	for _, c := range a.ChangedSince {
		if _, err := time.Parse(time.DateOnly, c.Date); err != nil || c.Date < moves[0].Date {
			continue
		}
		column := int((at(c.Date) - x0) / 2.2)
		tone := Grey
		if c.MovesAnswer || moving[c.Date+" "+c.Fact] {
			tone = Red
		}
		f.add(Mark{Kind: Circle, X: x0 + float64(column)*2.2 + 1.1, Y: top - 1.8 - 2.2*float64(min(stacked[column], 5)), W: 0.8, Fill: tone})
		stacked[column]++
	}
	f.H = y + 5
	f.Data = &Table{Head: []string{"From", "Answer", "What moved"}, Widths: []int{18, 26, 56}}
	for i, m := range moves {
		f.Data.Rows = append(f.Data.Rows, []Cell{{Text: longDay(m.Date)}, {Status: answerStatus(m.Answer)}, {Text: b.moved(i, m)}})
	}
	f.Alt = fmt.Sprintf("As of %s: %s. On %s: %s.", longDay(moves[0].Date), strings.ToLower(answerStatus(moves[0].Answer).Word),
		longDay(last.Format(time.DateOnly)), strings.ToLower(answerStatus(moves[len(moves)-1].Answer).Word))
	if len(a.ChangedSince) > 0 {
		f.Note = "Each dot is a fact that changed, on its date; red ones moved a verdict or a gap here. The right end is the day on which facts were last verified."
	}
	return f
}

// moved says in words what a day moved.
func (b *builder) moved(i int, m assess.Move) string {
	if i == 0 {
		return "The as-of date"
	}
	var said []string
	for _, v := range m.Verdicts {
		name := v.Obligation
		for _, o := range b.a.Obligations {
			if o.ID == v.Obligation {
				name = join(": ", shortName(b.fw[o.Framework]), o.Title)
			}
		}
		said = append(said, fmt.Sprintf("%s, from %q to %q", name, strings.ToLower(v.From.String()), strings.ToLower(v.To.String())))
	}
	if len(said) == 0 {
		was := b.in.Timeline[i-1]
		for _, g := range b.a.Gaps {
			if from, to := was.Gaps[g.ID], m.Gaps[g.ID]; from != to {
				said = append(said, fmt.Sprintf("the headline gap %q, from %s to %s", g.Title, strings.ToLower(stateStatus(from).Word), strings.ToLower(stateStatus(to).Word)))
			}
		}
		for _, f := range b.a.Frameworks {
			if from, to := was.Postures[f.ID], m.Postures[f.ID]; from != to {
				said = append(said, fmt.Sprintf("%s, from %s to %s", shortName(f), strings.ToLower(anyPosture(from).Word), strings.ToLower(anyPosture(to).Word)))
			}
		}
		if len(said) == 0 {
			return "The answer alone"
		}
		said[0] = title(said[0])
	}
	if len(said) > 4 {
		said = append(said[:4], fmt.Sprintf("and %d more verdicts", len(said)-4))
	}
	return strings.Join(said, "; ")
}

// flowFigure draws where data goes and where a trace of it can be found.
func (b *builder) flowFigure() *Figure {
	f := &Figure{Title: "What flows where, and where it leaves a trace", H: 78}
	box := func(x, y, w, h float64, edge Tone, title, under string) {
		f.add(Mark{Kind: Rectangle, X: x, Y: y, W: w, H: h, Fill: White, Stroke: edge, Line: 0.4})
		lines := labelLines(under, 6.3, w-4, 3)
		top := y + h/2 - float64(len(lines))*1.5
		if under == "" {
			top, lines = y+h/2, nil
		}
		f.add(Mark{Kind: Label, X: x + w/2, Y: top, Size: 7.6, Bold: true, Fill: Navy, Anchor: Middle, Fit: w - 2, Text: title})
		for i, l := range lines {
			f.add(Mark{Kind: Label, X: x + w/2, Y: top + 3.4 + 2.8*float64(i), Size: 6.3, Fill: Muted, Anchor: Middle, Fit: w - 2, Text: l})
		}
	}
	arrow := func(x, y, x2, y2 float64, label string) {
		f.line(x, y, x2, y2, 0.45, Accent)
		d := 1.6
		switch {
		case x2 > x:
			f.add(Mark{Kind: Polygon, Points: [][2]float64{{x2, y2}, {x2 - d, y2 - d*0.6}, {x2 - d, y2 + d*0.6}}, Fill: Accent})
		case y2 > y:
			f.add(Mark{Kind: Polygon, Points: [][2]float64{{x2, y2}, {x2 - d*0.6, y2 - d}, {x2 + d*0.6, y2 - d}}, Fill: Accent})
		default:
			f.add(Mark{Kind: Polygon, Points: [][2]float64{{x2, y2}, {x2 - d*0.6, y2 + d}, {x2 + d*0.6, y2 + d}}, Fill: Accent})
		}
		if label != "" && y == y2 {
			f.add(Mark{Kind: Label, X: (x + x2) / 2, Y: y - 2, Size: 6.2, Fill: Muted, Anchor: Middle, Text: label})
		}
	}
	f.rect(36, 0, 62, 44, Tint)
	where, from := "on the member's device", "Telemetry leaves from the device itself."
	switch local, cloud := slices.Contains(b.a.Organisation.Modes, "local"), slices.Contains(b.a.Organisation.Modes, "cloud"); {
	case cloud && local:
		where, from = "on the device, or at the vendor's", "Local sessions run on the member's device, cloud sessions with the vendor, which keeps their history. Telemetry of a local session leaves from the device itself."
	case cloud:
		where, from = "at the vendor's, in the cloud", "Cloud sessions run with the vendor, which keeps their history."
	}
	f.text(38, 3, 6.6, Muted, where)
	box(0, 14, 28, 16, Accent, "Member", "prompts and approvals")
	box(42, 8, 50, 13, Accent, "Cowork", "plans, calls tools, asks")
	box(42, 27, 50, 13, Grey, "Files and history", "inputs, outputs, transcripts")
	box(118, 4, 50, 13, Accent, "Model", "receives prompts and what was read")
	box(118, 25, 50, 13, Accent, "Connectors and plugins", "systems the member may reach")
	arrow(28, 19, 42, 19, "prompt")
	f.line(67, 21, 67, 25.4, 0.45, Accent)
	arrow(67, 24, 67, 27, "")
	arrow(92, 11, 118, 11, "context")
	f.line(92, 17, 105, 17, 0.45, Accent)
	f.line(105, 17, 105, 31.5, 0.45, Accent)
	arrow(105, 31.5, 118, 31.5, "calls")
	to := strings.Join(titles(b.a.Organisation.Destinations), ", ")
	f.text(0, 49.6, 7.2, Navy, "Where a trace can be found")
	surfaces := []assess.Surface{}
	for _, g := range b.a.Gaps {
		if g.ID == "audit-log" {
			surfaces = g.Surfaces
		}
	}
	n := max(1, len(surfaces))
	w := (FigureWidth - 3*float64(n-1)) / float64(n)
	for i, s := range surfaces {
		st := stateStatus(s.State)
		x := float64(i) * (w + 3)
		f.rect(x, 53, w, 22, st.Shape.Pale())
		f.rect(x, 53, w, 0.8, st.Shape.Tone())
		name := s.Name
		lines := labelLines(name, 7, w-4, 2)
		for k, l := range lines {
			f.add(Mark{Kind: Label, X: x + 2, Y: 57 + 3.2*float64(k), Size: 7, Bold: true, Fill: Ink, Fit: w - 3, Text: l})
		}
		if s.State == "not_an_audit_surface" && to != "" { // the one surface that the device itself feeds
			f.line(67, 44, 67, 48.2, 0.45, Accent)
			f.line(67, 48.2, x+w/2, 48.2, 0.45, Accent)
			arrow(x+w/2, 48.2, x+w/2, 53, "")
			f.add(Mark{Kind: Label, X: (67 + x + w/2) / 2, Y: 46.6, Size: 6.2, Fill: Muted, Anchor: Middle, Text: "telemetry"})
			f.add(Mark{Kind: Label, X: x + 2, Y: 72.4, Size: 6.4, Fill: Muted, Fit: w - 3, Text: "on to " + to})
		}
		f.symbol(x+3.2, 66, 2.4, st.Shape)
		for k, l := range labelLines(st.Word, 6.8, w-7, 2) {
			f.add(Mark{Kind: Label, X: x + 5.8, Y: 66 + 3*float64(k), Size: 6.8, Bold: true, Fill: st.Shape.Tone(), Fit: w - 6, Text: l})
		}
	}
	if len(surfaces) == 0 {
		f.text(0, 56, 7, Muted, "No surface was assessed.")
		f.H = 60
	}
	f.Alt = "A member prompts Cowork " + where + "; it sends context to the model, calls connectors and reads and writes files there. Below: the state of each surface on which a trace could be found."
	f.Note = join(" ", from, or(paren2(to), "No destination was declared."))
	return f
}

func paren2(to string) string {
	if to == "" {
		return ""
	}
	return "It goes to " + to + "."
}

// riskFigure draws the matrix of likelihood and impact with the number of each
// risk, before and after the recommended step.
func riskFigure(risks []risk) *Figure {
	if len(risks) == 0 {
		return nil
	}
	const cell, x0, y0 = 17.0, 22.0, 6.0
	grid := func(f *Figure, ox float64, title string, pick func(risk) (int, int)) {
		f.add(Mark{Kind: Label, X: ox, Y: 2.2, Size: 7.6, Bold: true, Fill: Navy, Text: title})
		at := map[[2]int][]string{}
		for i, r := range risks {
			l, m := pick(r)
			at[[2]int{l, m}] = append(at[[2]int{l, m}], strconv.Itoa(i+1))
		}
		const cw, ch = 12.6, 10.0
		for l := 5; l >= 1; l-- {
			for m := 1; m <= 5; m++ {
				x, y := ox+7+float64(m-1)*cw, y0+float64(5-l)*ch
				st := ratingStatus(l * m)
				f.add(Mark{Kind: Rectangle, X: x, Y: y, W: cw - 0.5, H: ch - 0.5, Fill: st.Shape.Pale()})
				ids := at[[2]int{l, m}]
				if len(ids) == 0 {
					continue
				}
				for k, s := range labelLines(strings.Join(ids, " "), 6.8, cw-1.5, 3) {
					f.add(Mark{Kind: Label, X: x + cw/2, Y: y + 2.6 + 2.7*float64(k), Size: 6.8, Bold: true, Fill: Ink, Anchor: Middle, Fit: cw - 0.8, Text: s})
				}
			}
			f.add(Mark{Kind: Label, X: ox + 5.5, Y: y0 + float64(5-l)*ch + ch/2, Size: 6.6, Fill: Muted, Anchor: End, Text: strconv.Itoa(l)})
		}
		for m := 1; m <= 5; m++ {
			f.add(Mark{Kind: Label, X: ox + 7 + float64(m-1)*cw + cw/2, Y: y0 + 5*ch + 2.4, Size: 6.6, Fill: Muted, Anchor: Middle, Text: strconv.Itoa(m)})
		}
		f.add(Mark{Kind: Label, X: ox + 7 + 2.5*cw, Y: y0 + 5*ch + 6, Size: 6.6, Fill: Muted, Anchor: Middle, Text: "impact; likelihood upwards"})
	}
	f := &Figure{Title: "Likelihood and impact of each risk", H: 66}
	grid(f, 0, "As it stands", func(r risk) (int, int) { return r.likelihood, r.impact })
	grid(f, 88, "After the recommended step", func(r risk) (int, int) { return r.residual, r.impact })
	f.Alt = "Two matrices of five by five with the numbers of the risks in the register, before and after the recommended steps."
	return f
}
