package forecast

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/spend"
)

// Write prints the plan for people. Every figure of the arithmetic can be
// checked by hand from what stands beside it.
func (p *Plan) Write(w io.Writer) error {
	t := &printer{w: w}
	if !p.Captured {
		t.decide = " A capture decides: --from."
	}
	month, _ := time.Parse("2006-01", p.Month)
	t.say("Spend plan for %s, drawn from %s", month.Format("January 2006"), p.Origin)
	t.say("%d trials of the month, seed %d; ± is one standard error. Amounts are list prices in US dollars.", p.Trials, p.Seed)
	t.say("A limit on a group caps each member by itself. Only the organisation's ceiling is a pool.")
	for _, n := range p.Notes {
		t.say("Note: %s.", strings.TrimSuffix(n, "."))
	}
	if p.Pool > 0 {
		s := p.SessionCost
		t.head("What a session costs")
		t.say("  mean %s ± %s, median %s, P90 %s, P99 %s (%d sessions)", round2(s.Mean), cents(s.MeanSE), round2(s.P50), round2(s.P90), round2(s.P99), p.Pool)
		for _, d := range p.Drivers {
			t.say("  %-44s %9s  %6s of %s", d.Name, cents(d.Micros), d.Share, strings.TrimPrefix(d.Of, "of "))
		}
	}
	var first *GroupPlan
	for i := range p.Groups {
		g := &p.Groups[i]
		t.group(g, first)
		if first == nil && len(g.Assumptions) > 0 {
			first = g
		}
	}
	p.printOrganisation(t)
	if len(p.Rules) > 0 {
		t.head("The platform's rules behind these numbers, as of %s", p.AsOf)
		for _, r := range p.Rules {
			t.say("  %s: %s", r.Fact, r.Applied)
			if r.Statement != "" {
				t.say("    %s %s", r.Statement, r.Reason)
			} else {
				t.say("    %s", r.Reason)
			}
		}
	}
	if p.WhatIf != nil {
		t.head("What if: the capture against the limits and prices asked about")
		if t.err == nil {
			t.err = p.WhatIf.Write(w)
		}
	}
	return t.err
}

type printer struct {
	w      io.Writer
	err    error
	decide string
}

func (t *printer) say(f string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, f+"\n", args...)
	}
}

func (t *printer) head(f string, args ...any) {
	s := fmt.Sprintf(f, args...)
	t.say("\n%s\n%s", s, strings.Repeat("-", len(s)))
}

// cents prints small amounts to a tenth of a cent.
func cents(micros int64) string {
	if micros < 10*dollar {
		return "$" + strconv.FormatFloat(float64(micros)/1e6, 'f', 3, 64)
	}
	return round2(micros)
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// group prints one group. Of the assumptions of a later group only those that
// differ from the first's are printed.
func (t *printer) group(g, first *GroupPlan) {
	t.head("%s: %d %s who may use Cowork", g.Group, g.Members, plural(g.Members, "member", "members"))
	in := g.Inputs
	t.say("The lesson's arithmetic (inputs: %s)", in.From)
	if in.Assumes != "" {
		t.say("  assumes: %s", in.Assumes)
	}
	if g.Budget.PerMemberMicros > 0 || in.Users > 0 {
		t.say("  %s sessions a user and week x %s a session x %d users x 4.3 weeks x 1.25 headroom", number(in.SessionsPerWeek), spend.Dollars(in.SessionCost), in.Users)
		t.say("  = %s a month: the team's budget", round2(g.Budget.TeamMicros))
		t.say("  / %d users = %s a member (%s x %s x 5.375, rounded up to a cent)", in.Users, spend.Dollars(g.Budget.PerMemberMicros), number(in.SessionsPerWeek), spend.Dollars(in.SessionCost))
	}
	if g.Recommended == nil {
		t.say("%s", g.Because)
		return
	}
	r := g.Recommended
	t.say("")
	t.say("Enter per member: %s", spend.Dollars(r.Cap))
	t.say("  %s", g.Because)
	t.say("  a member is stopped: %s ± %s of member-months, %.2f members a month; anybody at all: %s of months; a tenth of the group: %s",
		percent(r.MemberMonth.Mean), percent(r.MemberMonth.SE), r.Members.Mean, percent(r.Any.Mean), percent(r.Tenth.Mean))
	t.say("  stopped up to day %s", byDay(r.ByDay))
	t.say("  work that does not run: %s a month; a member ends at most %s above the limit, by the request in flight", round2(r.Lost), cents(r.Overshoot))
	if g.InOthers > 0 {
		t.say("  %d of them are in another limited group too: there the multi-group rule picks one of the two numbers", g.InOthers)
	}
	if a := g.AtFormula; a != nil && (g.Headroom.Ratio > 1.25 || g.Headroom.Ratio < 0.8) {
		t.say("  Formula and forecast disagree: the formula's mean member-month is %s, the forecast's %s. If the formula's is right, the same", round2(a.Mean), round2(g.Member.Mean))
		t.say("  chance needs %s a member (%.2f times the mean), and %s would stop %s of member-months.%s", spend.Dollars(a.Cap), a.Times, spend.Dollars(g.Budget.PerMemberMicros), percent(a.Blocked), t.decide)
	}
	t.say("Why not")
	for _, a := range g.WhyNot {
		amount := "none"
		if a.Cap >= 0 {
			amount = spend.Dollars(a.Cap)
		}
		t.say("  %-28s %10s  %s", a.Name, amount, a.WhyNot)
		if a.Cap >= 0 && a.MemberMonth.Mean > 0 {
			t.say("  %-28s %10s  stopped up to day %s", "", "", byDay(a.ByDay))
		}
	}
	t.say("The month without a limit    %10s %10s %10s %10s %10s %10s", "mean", "P10", "P50", "P90", "P95", "P99")
	t.row("  the group", g.Spend)
	t.row("  one member", g.Member)
	line := "Limit for a stated chance of stopping a member-month: "
	for i, c := range g.Caps {
		if i > 0 {
			line += ", "
		}
		line += fmt.Sprintf("%s %s ± %s", percent(c.Chance), spend.Dollars(c.Cap), cents(c.SE))
	}
	t.say("%s", line)
	if h := g.Headroom; h != nil {
		t.say("Where the 25%% of headroom goes")
		t.say("  formula without headroom %s; the mean month is %s: %.3f times, so %s of the 25 points are used", round2(h.BaseMicros), round2(h.ExpectedMicros), h.Ratio, points(h.PointsUsed))
		t.say("  sessions %.2f instead of %s a user and week (x %.3f), cost %s instead of %s (x %.3f),", h.SessionsPerWeek, number(in.SessionsPerWeek), h.Sessions, cents(h.CostMicros), spend.Dollars(in.SessionCost), h.Cost)
		t.say("  users %d instead of %d (x %.3f), %.1f working weeks instead of 4.3 (x %.3f)", g.Members, in.Users, h.Users, h.WorkingWeeks, h.Weeks)
	}
	if first == nil {
		t.say("The formula takes for granted")
	} else {
		t.say("The formula takes for granted (what is not as above)")
	}
	for i, a := range g.Assumptions {
		if first != nil && i < len(first.Assumptions) && a.Here == first.Assumptions[i].Here {
			continue
		}
		use := ""
		if a.Points != nil {
			use = fmt.Sprintf(" [%s points]", strconv.FormatFloat(*a.Points, 'f', 1, 64))
		}
		t.say("  %2d %s%s", i+1, a.Takes, use)
		t.say("     here: %s", a.Here)
		if first == nil {
			t.say("     but %s", a.Breaks)
		}
	}
}

func points(x float64) string {
	if x < 0 {
		return "none (" + strconv.FormatFloat(x, 'f', 1, 64) + ")"
	}
	return strconv.FormatFloat(x, 'f', 1, 64)
}

func (t *printer) row(name string, a Amounts) {
	t.say("%-28s %10s %10s %10s %10s %10s %10s", name, round2(a.Mean), round2(a.P10), round2(a.P50), round2(a.P90), round2(a.P95), round2(a.P99))
}

// byDay is the chance of being stopped up to a few days of the month.
func byDay(days []Estimate) string {
	var parts []string
	for _, d := range []int{5, 10, 15, 20, 25, len(days)} {
		if d <= len(days) {
			parts = append(parts, fmt.Sprintf("%d: %s", d, percent(days[d-1].Mean)))
		}
	}
	return strings.Join(parts, ", ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (p *Plan) printOrganisation(t *printer) {
	o := &p.Organisation
	if o.Members == 0 {
		t.say("\nNobody may use Cowork in this month: there is no spend to forecast.")
		return
	}
	t.head("The organisation's ceiling: the only pool, %d members", o.Members)
	t.say("The month without a limit    %10s %10s %10s %10s %10s %10s", "mean", "P10", "P50", "P90", "P95", "P99")
	t.row("  everybody", o.Spend)
	t.say("  %s is one month in a hundred, rounded up to $10: below it a ceiling stops everybody at once, whatever their own limit", spend.Dollars(o.Recommended))
	if o.GroupCaps > 0 {
		t.say("  the recommended limits together allow %s (members of several groups counted in each)", spend.Dollars(o.GroupCaps))
	}
	if o.Ceiling < 0 {
		t.say("  no ceiling is configured")
		return
	}
	for _, l := range o.Reached {
		at := "not in the middle trial"
		if l.MedianDay > 0 {
			at = fmt.Sprintf("on day %d in the middle trial", l.MedianDay)
		}
		t.say("  %3d%% of the configured %s: reached in %s of months, %s", l.Percent, spend.Dollars(o.Ceiling), percent(l.Chance.Mean), at)
	}
}
