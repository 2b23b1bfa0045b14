package reports

import (
	"fmt"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// The first pages: the answer, why it is so, and what would change it.

func (b *builder) cover() {
	m := b.doc.Meta
	blocks := []Block{}
	if m.Simulated {
		blocks = append(blocks, Strip{Title: firstWords(m.Banner), Text: m.Fictional})
	}
	if m.Content != "" {
		blocks = append(blocks, Strip{Title: "Names and content are included", Text: "This copy was made with members' names and content left in. Handle it as you handle the records themselves."})
	}
	pairs := []KeyValue{
		{"Organisation", m.Organisation},
		{"As of", or(longDay(m.AsOf), "Not stated")},
		{"Period", m.Period},
		{"Evidence", join(". ", m.Evidence, b.a.EvidenceNote)},
		{"Platform profile", m.Profile},
		{"Client", m.Client},
		{"Preparer", m.Preparer},
		{"Status", or(m.Label, "Draft")},
		{"Distribution", distribution(m.Client) + ", restricted; see the limitations"},
	}
	if m.Digest != "" {
		pairs = append(pairs, KeyValue{"Digest of the assessment", "SHA-256 " + m.Digest})
	}
	blocks = append(blocks, KeyValues{pairs},
		Paragraph{Text: "A readiness aid for management. It is not an audit and not legal advice; see the limitations before relying on it. This page and the executive summary are the board copy; the full report stands behind them.", Small: true})
	b.add(Section{ID: "cover", Title: m.Title, Board: true, Blocks: blocks})
}

func (b *builder) summary() {
	a := b.a
	answer := []Block{Lead{or(a.Answer.Text, "No answer: the assessment did not give one.")},
		StatusRow{Status: answerStatus(a.Answer.Posture), Title: "As of " + or(longDay(a.AsOf), "a date not stated")}}
	if ways := b.ways(); len(ways) > 0 {
		heading := "What would change the answer"
		if len(ways) > 3 {
			heading += fmt.Sprintf(" (3 of %d ways)", len(ways))
			ways = ways[:3]
		}
		items := make([]string, len(ways))
		for i, w := range ways {
			items[i] = fmt.Sprintf("%s: then %s.", waySteps(w), strings.ToLower(first(w.To))+rest(w.To))
		}
		answer = append(answer, Heading{heading}, Bullets{items})
	} else if s := b.wouldChange(); s != "" {
		heading := "What would change the answer"
		if len(a.Answer.Conditions) > 0 {
			heading = "What the answer rests on"
		}
		answer = append(answer, Heading{heading}, Paragraph{Text: s})
	}
	strip := b.changedStrip()
	strip.Text = brief(strip.Text, 300, conditionsTitle)
	blocks := []Block{Beside{Left: 63, First: answer, Then: []Block{strip}}}
	if n := len(a.Answer.Because); n > 0 {
		items := make([]string, n)
		for i, s := range a.Answer.Because {
			items[i], _ = b.reasonOf(s)
		}
		if n > maxBecause {
			items = append(items[:maxBecause], fmt.Sprintf("And %d more, listed under %q.", n-maxBecause, conditionsTitle))
		}
		blocks = append(blocks, Heading{"Because"}, Bullets{items})
	}
	if len(a.Frameworks) > 0 {
		blocks = append(blocks, Heading{"Posture per framework"}, b.tally(), Paragraph{Text: "What already holds: " + b.alreadyHolds(), Small: true})
	}
	if len(a.Gaps) > 0 {
		t := Table{Head: []string{"Headline gap", "State", "In one sentence"}, Widths: []int{25, 13, 62}}
		for _, g := range a.Gaps {
			t.Rows = append(t.Rows, []Cell{{Text: g.Title}, {Status: stateStatus(g.State)}, {Text: firstSentence(g.Summary)}})
		}
		blocks = append(blocks, Heading{"Headline gaps"}, t)
	}
	if acts := b.themes; len(acts) > 0 {
		note := "Owner and effort are proposals by kind of work; the date is for the owner to fill in."
		if len(acts) > maxActions {
			note = fmt.Sprintf("%d of %d actions shown, those that decide the worst verdicts; all stand in the roadmap. %s", maxActions, len(acts), note)
			acts = acts[:maxActions]
		}
		t := Table{Head: []string{"Action", "Owner", "Effort", "By", "Verdicts it bears on"}, Widths: []int{37, 17, 13, 5, 28}, Note: note}
		for i, x := range acts {
			t.Rows = append(t.Rows, []Cell{{Text: fmt.Sprintf("%d. %s", i+1, x.step())}, {Text: b.ownerOf(x)}, {Text: x.effort()}, {}, {Status: verdictStatus(x.worst), Text: b.named(x.obligations)}})
		}
		blocks = append(blocks, Heading{"What to do first"}, t)
	}
	b.add(Section{ID: "summary", Title: "Executive summary", Board: true, NewPage: true, OnePage: true, Blocks: blocks})
}

const conditionsTitle = "Conditions of the answer"

// reasonOf is a reason without citations and the caveats behind it: the posture
// and what decides it. more tells that something was left for the next page.
func (b *builder) reasonOf(s string) (short string, more bool) {
	head, tail, ok := strings.Cut(s, ". No configuration closes: ")
	if !ok {
		return s, false
	}
	end := len(tail)
	if at := strings.Index(tail, "). "); at >= 0 {
		end = at + len(").")
	}
	short = head + ". No configuration closes: " + tail[:end]
	for _, o := range b.a.Obligations {
		if o.Citation != "" {
			short = strings.ReplaceAll(short, o.Title+" ("+o.Citation+")", strings.ToLower(first(o.Title))+rest(o.Title))
		}
	}
	return short, end < len(tail) || short != s
}

// ways are the least changes that lift the answer, as the assessor found them.
func (b *builder) ways() []assess.WayOut {
	for _, w := range b.a.WouldChange {
		if w.Of == "answer" {
			return w.Ways
		}
	}
	return nil
}

func waySteps(w assess.WayOut) string {
	steps := make([]string, len(w.Steps))
	for i, s := range w.Steps {
		steps[i] = s.Title
		if i > 0 {
			steps[i] = strings.ToLower(first(s.Title)) + rest(s.Title)
		}
	}
	return strings.Join(steps, ", and ")
}

// closes is what it would take to close the gap in the audit trail.
func (b *builder) closes() []string {
	for _, g := range b.a.Gaps {
		if g.ID == "audit-log" {
			return g.Closes
		}
	}
	return nil
}

// otherData is what moves an answer that no framework binds.
const otherData = "Other data in reach would move it: a workload, a connector or a member that brings health data, card data, financial reporting or a promise to customers into scope brings its framework, and the gaps of the next chapters, with it."

// wouldChange says in one sentence what moves the answer: the conditions, else
// what would close the gaps.
func (b *builder) wouldChange() string {
	parts := b.a.Answer.Conditions
	if len(parts) == 0 && !b.binds() { // closing a gap that nothing rests on moves no answer
		return otherData
	}
	lead := plural(len(parts), "One condition: ", "These conditions: ")
	if len(parts) == 0 {
		lead, parts = "One of these, with a new assessment after it: ", b.closes()
	}
	if len(parts) == 0 {
		return ""
	}
	more := ""
	if len(parts) > 3 {
		more = fmt.Sprintf("; and %d more under %q", len(parts)-2, conditionsTitle)
		parts = parts[:2]
	}
	trimmed := make([]string, len(parts))
	for i, p := range parts {
		trimmed[i] = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(p), "."), ", or")
		if i > 0 || strings.HasSuffix(lead, ": ") {
			trimmed[i] = strings.ToLower(first(trimmed[i])) + rest(trimmed[i])
		}
	}
	said := lead + strings.Join(trimmed, "; ") + more + "."
	if !b.binds() {
		said += " " + otherData
	}
	return said
}

// alreadyHolds gives what is supported a line of its own: a summary of gaps alone
// would be as slanted as one without them.
func (b *builder) alreadyHolds() string {
	total, held, design := 0, 0, 0
	for _, o := range b.a.Obligations {
		if o.Verdict == assess.NotApplicable {
			continue
		}
		total++
		if o.Verdict == assess.Supported {
			held++
			if o.DesignOnly {
				design++
			}
		}
	}
	if total == 0 {
		return "not asked, since no obligation is in scope as declared."
	}
	s := fmt.Sprintf("%d of %s in scope %s supported by evidence", held, count(total, "obligation"), isAre(held))
	if design > 0 {
		s += fmt.Sprintf(", %d of them in design only", design)
	}
	return s + "."
}

func (b *builder) changedStrip() Strip {
	ans := b.a.Answer
	s := Strip{Title: "What the latest verified facts would change", Text: ans.ChangedStrip}
	if s.Text == "" {
		s.Text = "Not evaluated: no later facts were compared."
		if ans.LatestDate != "" {
			s.Text = fmt.Sprintf("Nothing in this answer, by the facts last verified on %s.", ans.LatestDate)
		}
	}
	if ans.ChangedStrip == "" && ans.LatestPosture != "" && ans.LatestDate != "" { // the strip says it itself
		s.Items = []string{fmt.Sprintf("Answer with the facts of %s: %s.", ans.LatestDate, strings.ToLower(assess.AnswerName(ans.LatestPosture)))}
	}
	return s
}

func (b *builder) tally() Tally {
	var t Tally
	for _, f := range b.a.Frameworks {
		r := TallyRow{Title: f.Title, Status: postureStatus(f)}
		if !f.Applicable {
			r.Text = f.Why
			t.Rows = append(t.Rows, r)
			continue
		}
		for _, v := range assess.Verdicts() {
			r.Total += f.Counts[v.Code()]
		}
		var said []string
		for _, v := range assess.Verdicts() {
			n := f.Counts[v.Code()]
			if n == 0 {
				continue
			}
			r.Counts = append(r.Counts, Count{verdictStatus(v), n})
			said = append(said, fmt.Sprintf("%s %d of %d", strings.ToLower(v.String()), n, r.Total))
		}
		r.Text = or(strings.Join(said, "; "), "no obligation was assessed")
		if f.GoodPractice {
			r.Text += " (good practice, not a duty)"
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// named says how many obligations of which frameworks, with the denominators.
func (b *builder) named(os []assess.ObligationResult) string {
	var parts []string
	for _, f := range b.a.Frameworks {
		n, of := 0, 0
		for _, o := range os {
			if o.Framework == f.ID {
				n++
			}
		}
		for _, o := range b.a.Obligations {
			if o.Framework == f.ID {
				of++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d of %d", shortName(f), n, of))
		}
	}
	return strings.Join(parts, ", ")
}

func (b *builder) conditions() {
	a := b.a
	var blocks []Block
	whole := len(a.Answer.Because) <= maxBecause
	for _, s := range a.Answer.Because {
		if _, more := b.reasonOf(s); more {
			whole = false
		}
	}
	if !whole { // the summary has them all otherwise
		blocks = append(blocks, Heading{"The answer rests on"}, Bullets{a.Answer.Because})
	}
	if len(a.Answer.Conditions) > 0 {
		blocks = append(blocks, Heading{"Conditions"}, Bullets{a.Answer.Conditions})
	}
	if ways := b.ways(); len(ways) > 0 {
		t := Table{Head: []string{"Way out", "The answer is then", "What else gets worse"}, Widths: []int{48, 22, 30},
			Note: "Found by making one change or two and assessing again; every other input stays as declared."}
		for _, w := range ways {
			t.Rows = append(t.Rows, []Cell{{Text: waySteps(w)}, {Status: Status{w.To, answerShape(w.To)}}, {Text: or(strings.Join(w.Breaks, "; "), "Nothing found")}})
		}
		blocks = append(blocks, Heading{"What would change it"}, t)
	} else if !b.binds() {
		blocks = append(blocks, Heading{"What would change it"}, Paragraph{Text: otherData})
	} else if c := b.closes(); len(c) > 0 {
		blocks = append(blocks, Heading{"What would change it" + oneOf(c)}, Bullets{alternatives(c)})
	}
	strip := b.changedStrip()
	if len(a.ChangedSince) > 0 {
		moving := b.changes(true)
		if len(moving.Rows) > 0 {
			blocks = append(blocks, Heading{"Facts that move the answer"}, Paragraph{Text: fmt.Sprintf("%d of %s that changed since %s the answer. Appendix D lists all.", len(moving.Rows), count(len(a.ChangedSince), "recorded fact"), plural(len(moving.Rows), "moves", "move"))}, moving)
		} else { // the strip has the rest
			strip.Items = append(strip.Items, "None of them moves the answer alone. Appendix D lists them.")
		}
	}
	if f := b.timelineFigure(); f != nil {
		lead := []Block{*f}
		if len(b.in.Timeline) > 1 {
			lead, f.Data = []Block{*f, *f.Data}, nil // once is enough
			lead[0] = *f
		}
		blocks = append(append(lead, strip), blocks...)
	}
	if len(blocks) > 0 {
		b.add(Section{ID: "conditions", Title: conditionsTitle, Level: 2, NewPage: true, Blocks: blocks})
	}
}

// changes tabulates what changed after the as-of date, all of it or what moves
// the answer.
func (b *builder) changes(moving bool) Table {
	t := Table{Head: []string{"Date", "Fact", "Then", "Now", "Moves the answer"}, Widths: []int{12, 18, 30, 30, 10}}
	for _, c := range b.a.ChangedSince {
		if moving && !c.MovesAnswer {
			continue
		}
		t.Rows = append(t.Rows, []Cell{{Text: longDay(c.Date)}, {Text: c.Fact, Mono: true}, {Text: or(c.From, "No record")}, {Text: or(c.To, "No record")}, {Text: yesNo(c.MovesAnswer)}})
	}
	return t
}
