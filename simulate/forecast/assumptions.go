package forecast

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/spend"
)

// assumptions holds the formula's eleven silent assumptions against the month.
// Each says where its limit lies (in Breaks) and what is so here.
func assumptions(o *PlanOptions, m *Model, sp *Spread, g *GroupPlan) []Assumption {
	var out []Assumption
	add := func(id, takes, breaks, here string, points ...float64) {
		a := Assumption{ID: id, Takes: takes, Breaks: breaks, Here: here}
		if len(points) > 0 {
			p := math.Round(points[0]*10) / 10
			a.Points = &p
		}
		out = append(out, a)
	}

	mean, median := m.sessionMoments()
	sigma := 0.0
	if mean > median && median > 0 {
		sigma = math.Sqrt(2 * math.Log(mean/median))
	}
	here := fmt.Sprintf("mean %s, median %s: the mean is %s above it, as at sigma %.2f", round2(int64(mean)), round2(int64(median)), percent(mean/median-1), sigma)
	if c := float64(g.Inputs.SessionCost); math.Abs(c-median) < math.Abs(c-mean) {
		add("typical-cost", "the typical cost of a session is the mean cost", "costs are skewed: with the median, the 25% are gone once sigma passes 0.668", here+"; the formula's "+spend.Dollars(g.Inputs.SessionCost)+" is nearer the median", (mean/median-1)*100)
	} else {
		add("typical-cost", "the typical cost of a session is the mean cost", "costs are skewed: with the median, the 25% are gone once sigma passes 0.668", here+"; the formula's "+spend.Dollars(g.Inputs.SessionCost)+" is nearer the mean", 0)
	}

	q := g.Member
	add("alike", "every user is an average user", "a limit per member binds the heavy ones, never the group: size it on the 95th percentile of member-months",
		fmt.Sprintf("mean member-month %s, P95 %s (%.2f times), P99 %s", round2(q.Mean), round2(q.P95), float64(q.P95)/float64(max(q.Mean, 1)), round2(q.P99)))

	weekdays := m.weekdays()
	add("weeks", "a month has 4.3 weeks", "the mean month has 4.348, 31 days 4.43 and 23 working days 4.6: 1.1, 3.0 and 7.0 points",
		fmt.Sprintf("%d days are %.2f weeks, %d working days are %.1f", m.Days, float64(m.Days)/7, weekdays, float64(weekdays)/5), (float64(weekdays)/5/4.3-1)*100)

	peak := m.peakWeek(sp)
	add("flat", "every week is like the others", "one week at m times the rest makes the month (3.3 + m) / 4.3: the 25% are gone at m = 2.075, a week at 3 is 1.465",
		fmt.Sprintf("the busiest seven days are %.2f times the rest: (3.3 + %.2f) / 4.3 = %.3f", peak, peak, (3.3+peak)/4.3), ((3.3+peak)/4.3-1)*100)

	edge, even := m.edges(sp)
	add("month-end", "work stays inside the month", "a close runs across the reset at 00:00 UTC on the first, the evening before in the Americas",
		fmt.Sprintf("the first four and last three days hold %s of the sessions (evenly: %s)%s", percent(edge), percent(even), resetAt(o, m, sp)))

	first, last := m.enabledAt(sp)
	growth := 0.0
	if first > 0 {
		growth = float64(last)/float64(first) - 1
	}
	here = fmt.Sprintf("%d members may use it on the first day and %d on the last", first, last)
	if first == 0 {
		here += ": the month is a ramp and not a month of use"
	}
	add("users", "the number of users stays", "adoption grows: 15% a month pass the 25% in two (1.15 x 1.15 = 1.3225)", here, growth*100)

	perWeek := m.perWeek(sp)
	here = "no unattended sessions are played here"
	if m.Captured {
		here = "the capture does not tell which sessions nobody started"
	} else if o.Cloud {
		here = "cloud sessions are on and none are played here"
	}
	add("unattended", "sessions are what people start", "schedules, cloud runs and background turns add sessions that nobody starts",
		fmt.Sprintf("%s; %.1f a user and week on top of %.1f would use all 25 points", here, 0.25*perWeek, perWeek))

	add("one-model", "one model", "a dearer model may take over: at 2.5 times the price, a sixth of one-model sessions uses all 25 points", m.mixInWords(o))

	geo := 1.0
	if r, ok := o.Prices.Modifiers["us_only_inference"]; ok && r.Denominator > 0 {
		geo = float64(r.Numerator) / float64(r.Denominator)
	}
	add("geography", "inference runs anywhere", fmt.Sprintf("kept in the US it costs %.1f times as much: %.0f of the 25 points", geo, (geo-1)*100),
		fmt.Sprintf("global prices are used; US-only would make the mean month %s", round2(int64(float64(g.Spend.Mean)*geo))))

	add("whole-cost", "the cost of a session holds everything", "web searches (0.01 each), subagents and cache misses come on top", m.extras(mean))

	if o.Others >= 0 {
		add("shared", "the limit is Cowork's alone", "chat and Claude Code count against it too: add them",
			fmt.Sprintf("%s of the spend under the same limits in the capture is other products'", percent(o.Others)), 100*(1/math.Max(1-o.Others, 0.01)-1))
	} else {
		add("shared", "the limit is Cowork's alone", "chat and Claude Code count against it too: add them",
			"not known: only Cowork is played. A member who spends a fifth of the limit elsewhere has used 25 points")
	}
	return out
}

// sessionMoments are the mean and median cost of a session over the models.
func (m *Model) sessionMoments() (mean, median float64) {
	p := Plan{}
	p.sessions(m)
	return float64(p.SessionCost.Mean), float64(p.SessionCost.P50)
}

// perDay is the expected number of sessions of a set by day, at level 1.
func (m *Model) perDay(sp *Spread) []float64 {
	days := make([]float64, m.Days)
	for _, w := range sp.Workers {
		for d, r := range m.Workers[w].Rates {
			days[d] += r
		}
	}
	return days
}

// peakWeek is how the busiest seven days in a row compare with the mean of the
// other days.
func (m *Model) peakWeek(sp *Spread) float64 {
	days := m.perDay(sp)
	total, best := 0.0, 0.0
	for _, v := range days {
		total += v
	}
	for d := 0; d+7 <= len(days); d++ {
		week := 0.0
		for _, v := range days[d : d+7] {
			week += v
		}
		best = max(best, week)
	}
	rest := (total - best) / float64(m.Days-7) * 7
	if rest <= 0 {
		return 0
	}
	return best / rest
}

// edges is the share of sessions in the first four and last three days, and what
// it would be if every working day had the same.
func (m *Model) edges(sp *Spread) (share, even float64) {
	var in, all, work, edge float64
	for d, v := range m.perDay(sp) {
		at := d < 4 || d >= m.Days-3
		all += v
		if at {
			in += v
		}
		if w := m.From.AddDate(0, 0, d).Weekday(); w != time.Saturday && w != time.Sunday {
			work++
			if at {
				edge++
			}
		}
	}
	if all == 0 {
		return 0, edge / work
	}
	return in / all, edge / work
}

// resetAt tells when the month turns where the members are.
func resetAt(o *PlanOptions, m *Model, sp *Spread) string {
	reset := m.From.AddDate(0, 1, 0)
	var seen []string
	for _, w := range sp.Workers {
		name := o.Directory.Member(m.Workers[w].Member).TimeZone
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" {
			continue
		}
		s := fmt.Sprintf("%s in %s", reset.In(zone).Format("15:04 on 2 January"), name)
		known := false
		for _, x := range seen {
			known = known || x == s
		}
		if !known {
			seen = append(seen, s)
		}
	}
	if len(seen) == 0 {
		return ""
	}
	return "; the reset is at " + strings.Join(seen[:min(len(seen), 3)], ", ")
}

func (m *Model) enabledAt(sp *Spread) (first, last int) {
	for _, w := range sp.Workers {
		r := m.Workers[w].Rates
		if len(r) == 0 {
			continue
		}
		if r[0] > 0 {
			first++
		}
		if r[len(r)-1] > 0 {
			last++
		}
	}
	return first, last
}

// mixInWords compares the models' prices for the pool's sessions.
func (m *Model) mixInWords(o *PlanOptions) string {
	if m.Captured {
		s := "the capture's own mix is drawn:"
		for _, d := range m.Drivers {
			if name, ok := strings.CutPrefix(d.Driver, "model "); ok && d.Whole > 0 {
				s += fmt.Sprintf(" %s %s of the spend,", name, percent(float64(d.Micros)/float64(d.Whole)))
			}
		}
		return strings.TrimSuffix(s, ",")
	}
	if len(m.Models) < 2 {
		return "only one model has a price on the date"
	}
	sum, means := 0.0, make([]float64, len(m.Models))
	base, dear := 0, 0
	for j := range m.Models {
		sum += m.Models[j].Weight
		for i := range m.Pool {
			means[j] += float64(m.Pool[i].Total(j))
		}
		means[j] /= float64(len(m.Pool))
		if m.Models[j].Weight > m.Models[base].Weight {
			base = j
		}
	}
	for j := range means {
		if means[j] > means[dear] {
			dear = j
		}
	}
	var words []string
	for j, mod := range m.Models {
		words = append(words, fmt.Sprintf("%s %s of sessions at %s", mod.Name, percent(mod.Weight/sum), round2(int64(means[j]))))
	}
	s := strings.Join(words, ", ")
	if ratio := means[dear] / means[base]; dear != base && ratio > 1 {
		mean := 0.0
		for j := range means {
			mean += means[j] * m.Models[j].Weight / sum
		}
		s += fmt.Sprintf("; %s is %.2f times %s, so moving %s of the sessions there uses all 25 points", m.Models[dear].Name, ratio, m.Models[base].Name, percent(0.25*mean/(means[dear]-means[base])))
	}
	return s
}

// extras tells what comes on top of the tokens of a session.
func (m *Model) extras(mean float64) string {
	if m.Captured {
		for _, d := range m.Drivers {
			if d.Whole == 0 && len(m.Pool) > 0 {
				return fmt.Sprintf("%d searches in %d sessions add %s, which telemetry's cost does not hold", d.Requests, len(m.Pool), spend.Dollars(d.Micros))
			}
		}
		return "the capture shows no web search"
	}
	var searches, sub, cold, total float64
	known := false
	sum := 0.0
	for _, mod := range m.Models {
		sum += mod.Weight
	}
	for i := range m.Pool {
		searches += float64(m.Pool[i].Searches)
		for j, p := range m.Pool[i].Parts {
			w := m.Models[j].Weight / sum
			known = true
			sub += float64(p.Subagents) * w
			cold += float64(p.Cold) * w
			total += float64(m.Pool[i].Total(j)) * w
		}
	}
	n := float64(len(m.Pool))
	s := fmt.Sprintf("%.2f searches a session add %s (%s)", searches/n, spend.Dollars(int64(math.Round(searches/n*10_000))), percent(searches/n*10_000/mean))
	if known && total > 0 {
		s += fmt.Sprintf("; subagents are %s of the cost; with nothing found in the cache a session costs %.1f times as much", percent(sub/total), cold/total)
	}
	return s
}
