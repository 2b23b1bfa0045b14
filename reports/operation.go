package reports

import (
	"fmt"
	"strconv"
	"strings"
)

// How the organisation is set up and what was seen: controls, access, spend, rules, adoption.

// controls opens the matrix of obligations with all of them on one page.
func (b *builder) controls() {
	if len(b.a.Obligations) == 0 {
		return
	}
	blocks := []Block{Paragraph{Text: "Standards are paraphrased; the official texts prevail. Verdicts are indicative and made for management, not findings of an auditor or assessor."}}
	if f := b.verdictFigure(); f != nil {
		blocks = append(blocks, *f)
	}
	b.add(Section{ID: "obligations", Title: "Controls and obligations", NewPage: true, Blocks: blocks})
}

// effects tells what each control does for this organisation, as the assessor
// found by taking it away.
func (b *builder) effects() {
	if len(b.a.Controls) == 0 {
		return
	}
	t := Table{Head: []string{"Control", "Here it", "What was found without it"}, Widths: []int{36, 16, 48},
		Note: "Closes: a named operational gap opens without it. Helps: an element depends on it, no named gap does. Aspirational: nothing changes without it, or the platform does not enforce it at the date. None closes the gap in the audit record."}
	for _, c := range b.a.Controls {
		t.Rows = append(t.Rows, []Cell{{Text: c.Title}, {Status: effectStatus(c.Label)}, {Text: c.Reason}})
	}
	b.add(Section{ID: "effects", Title: "What each control does here", Level: 2, Blocks: []Block{t}})
}

func (b *builder) rollout() {
	var blocks []Block
	if len(b.in.Phases) > 0 {
		t := Table{Head: []string{"Phase", "From", "To", "Groups", "Gate"}, Widths: []int{16, 13, 13, 22, 36}}
		for _, p := range b.in.Phases {
			t.Rows = append(t.Rows, texts(words(p.Name), longDay(p.From), longDay(p.To), p.Groups, join(": ", words(p.Status), p.Because)))
		}
		blocks = append(blocks, Heading{"Phases"}, t)
	}
	if len(b.a.Checks) > 0 {
		t := Table{Head: []string{"Check", "Result", "Why"}, Widths: []int{34, 18, 48}}
		for _, c := range b.a.Checks {
			t.Rows = append(t.Rows, []Cell{{Text: c.Title}, {Status: checkStatus(c.Result)}, {Text: sentences(c.Reasons)}})
		}
		blocks = append(blocks, Heading{"Checks"}, t)
	}
	if len(blocks) > 0 {
		b.add(Section{ID: "rollout", Title: "Rollout phases and checks", Level: 2, Blocks: blocks})
	}
}

func (b *builder) matrix() {
	if len(b.in.Matrix)+len(b.in.Flags) == 0 {
		return
	}
	var blocks []Block
	if len(b.in.Flags) > 0 {
		t := Table{Head: []string{"Severity", "About", "Weakness"}, Widths: []int{14, 26, 60}}
		for _, f := range b.in.Flags {
			t.Rows = append(t.Rows, []Cell{{Status: Status{title(f.Severity), severityShape(f.Severity)}}, {Text: f.Subject}, {Text: f.Text}})
		}
		blocks = append(blocks, Heading{"Weaknesses of the configuration"}, t)
	}
	if len(b.in.Matrix) > 0 {
		t := Table{Head: []string{"What", "Level", "Because"}, Widths: []int{30, 18, 52},
			Note: "What each group alone gives a member on custom roles; a member of two groups has the union. Where no reason is written down the last column names what decides."}
		group := ""
		for i, m := range b.in.Matrix {
			if m.Group != group || i == 0 {
				group = m.Group
				t.Rows = append(t.Rows, []Cell{{Text: or(group, "Everyone")}})
			}
			t.Rows = append(t.Rows, []Cell{{Text: join(" ", m.What, paren(kindWords(m.Kind)))}, {Status: levelStatus(m.Level)}, {Text: join(". ", strings.TrimSuffix(m.Because, "."), m.Flag)}})
		}
		blocks = append(blocks, Heading{"Groups and what they may use"}, t)
	}
	b.add(Section{ID: "matrix", Title: "Who may do what", Level: 2, Blocks: blocks})
}

func kindWords(k string) string {
	if k == "capability" {
		return ""
	}
	return k
}

func (b *builder) spend() {
	if len(b.in.Spend)+len(b.in.MemberSpend) == 0 {
		return
	}
	blocks := []Block{Paragraph{Text: "A group limit caps each member. It is not a pool that the group shares: the arithmetic below gives the team's budget, and the limit is the number to enter for each member. A spend limit governs cost; it satisfies no obligation in any framework here."}}
	if f := spendFigure(b.in.MemberSpend); f != nil {
		blocks = append(blocks, *f)
	}
	if f := weeksFigure(b.in.SpendWeeks); f != nil {
		blocks = append(blocks, *f)
	}
	for i := range b.in.Fans {
		if f := fanFigure(&b.in.Fans[i]); f != nil && i < maxFans {
			blocks = append(blocks, *f)
		}
	}
	if n := len(b.in.Fans); n > maxFans {
		blocks = append(blocks, Paragraph{Text: fmt.Sprintf("Forecasts of %d of %d groups drawn; the others come from the spend plan.", maxFans, n), Small: true})
	}
	if len(b.in.Spend) > 0 {
		t := Table{Head: []string{"Group", "Limit for each member", "Spent in the period", "Members", "Blocked"}, Widths: []int{32, 22, 18, 14, 14}}
		for _, s := range b.in.Spend {
			t.Rows = append(t.Rows, texts(s.Group, or(s.LimitPerMember, "None set"), s.Spent, strconv.Itoa(s.Members), fmt.Sprintf("%d of %d", s.Blocked, s.Members)))
		}
		blocks = append(blocks, t)
	}
	for _, s := range b.in.Spend {
		if len(s.Formula) == 0 && s.Because == "" {
			continue
		}
		blocks = append(blocks, Heading{s.Group})
		if len(s.Formula) > 0 {
			lines := make([]string, len(s.Formula))
			for i, l := range s.Formula {
				lines[i] = title(l)
			}
			blocks = append(blocks, Bullets{lines})
		}
		if s.Because != "" {
			blocks = append(blocks, Paragraph{Text: s.Because})
		}
	}
	if len(b.in.Elsewhere) > 0 {
		blocks = append(blocks, Paragraph{Text: "Other products count against the same limits. What members spent there is in every amount above and on no stream of Cowork:"}, Bullets{b.in.Elsewhere})
	}
	if len(b.in.Increases) > 0 {
		t := Table{Head: []string{"Member", "Asked for more", "Limit", "Answer"}, Widths: []int{26, 22, 14, 38}}
		for _, x := range b.in.Increases {
			t.Rows = append(t.Rows, []Cell{{Text: x.Member, Mono: true}, {Text: x.Asked}, {Text: x.Limit}, {Text: x.Answer}})
		}
		blocks = append(blocks, Paragraph{Text: "Members whom their own limit stopped asked for more. An approval writes a limit of the member's own, which stays; a denial hides the button for 30 days; what nobody answers stays pending."}, t)
	}
	b.add(Section{ID: "spend", Title: "Spend limits", Level: 2, Blocks: blocks})
}

func (b *builder) rules() {
	if len(b.in.Rules) == 0 {
		return
	}
	t := Table{Head: []string{"Rule", "What it catches", "Severity", "Evaluable of reached", "Matched", "Alerts"}, Widths: []int{21, 36, 10, 14, 10, 9},
		Note: "Reached: events of the kind the rule reads. Evaluable: those that carried every field it needs. A rule that reached nothing is unproven, not clean."}
	for _, r := range b.in.Rules {
		catches := r.Catches
		if r.WhyNot != "" {
			catches = join(" ", catches, "Not evaluable in part: "+spaced(r.WhyNot)+".")
		}
		t.Rows = append(t.Rows, texts(or(r.Title, r.ID), catches, title(r.Severity),
			fmt.Sprintf("%s of %s", num(r.Evaluable), num(r.Reached)), num(r.Matched), strconv.Itoa(r.Alerts)))
	}
	blocks := []Block{}
	if f := rulesFigure(b.in.Rules, b.in.Quality, b.in.Measured); f != nil {
		blocks = append(blocks, *f)
	}
	b.add(Section{ID: "rules", Title: "Alert rules", Level: 2, Blocks: append(blocks, t)})
}

func (b *builder) adoption() {
	f := adoptionFigure(b.in.Adoption, b.in.Phases)
	if f == nil {
		return
	}
	if b.a.Counters.CoworkEvents == 0 { // flat bars would read as nobody at work
		why := "No Cowork event was received"
		if n := b.a.Counters.AfterAsOf; n > 0 {
			why = fmt.Sprintf("All %s records lie after the as-of date and were left out", num(n))
		}
		b.add(Section{ID: "adoption", Title: "Rollout and adoption", Level: 2, Blocks: []Block{
			StatusRow{Status: Status{"Not evaluable", Ring}, Text: fmt.Sprintf("%s, so adoption cannot be seen here. %s may have used Cowork every day or not at all.", why, title(count(b.a.Counters.MembersWithCowork, "member")))}}})
		return
	}
	blocks := []Block{*f}
	if f := rollingFigure(b.in.Rolling); f != nil {
		blocks = append(blocks, *f)
	}
	b.add(Section{ID: "adoption", Title: "Rollout and adoption", Level: 2, Blocks: blocks})
}
