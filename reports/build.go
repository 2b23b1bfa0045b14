package reports

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules/spend"
)

// Input is the assessment and what the engines say beside it. The lines hold
// words and figures ready to print: amounts, shares and pseudonyms are made by
// whoever owns them. What is left out is left out of the document or named as
// not supplied.
type Input struct {
	Assessment  *assess.Assessment
	Spend       []SpendLine
	MemberSpend []SpendGroup // each member and month against the limit that bound it
	Fans        []SpendFan
	SpendWeeks  []spend.GroupWeek // each group's weeks, sorted by group
	Increases   []IncreaseLine
	Elsewhere   []string // spend in other products under the same limits
	Rolling     []RollingDay
	Rules       []assess.RuleRow
	Quality     []QualityLine
	Measured    string // how and where the quality was measured
	Matrix      []MatrixLine
	Flags       []FlagLine
	Groups      []GroupLine
	Findings    []FindingLine
	Adoption    []AdoptionLine
	Coverage    []CoverageLine
	Phases      []PhaseLine
	Timeline    []assess.Move // the days on which the answer, a posture or a verdict moved, the as-of date first
	Digest      string        // SHA-256 of assessment.json
	Content     bool          // names and content were not withheld: every page says so
	Paper       string        // A4, or Letter
	Logo        []byte        // PNG or JPEG for the cover
}

// SpendLine is one group's limit and how the number was reached.
type SpendLine struct {
	Group, LimitPerMember string
	LimitMicros           int64
	Formula               []string
	Spent                 string
	Members, Blocked      int
	Because               string
}

// IncreaseLine is one increase request of a member whom a limit stopped.
type IncreaseLine struct {
	Member, Asked, Limit, Answer string
}

// SpendGroup is what members under one limit spent in a month, sorted.
type SpendGroup struct {
	Source      string // the limit that bound them, in words
	LimitMicros int64  // per member and month; -1 for none
	Micros      []int64
}

// SpendFan is a month's spend, cumulative, and the range it may take.
type SpendFan struct {
	Title       string
	LimitMicros int64 // -1 for none
	LimitName   string
	Points      []FanPoint
	Note        string
}

// FanPoint is one day, cumulative. Actual is -1 where nothing was spent yet or
// ever will be.
type FanPoint struct {
	Day                    string
	Actual, Low, Mid, High int64
}

// QualityLine is how well one rule did against injected misuse, where that was
// measured.
type QualityLine struct {
	Rule           string
	Caught, Seeded int
	False, Alerts  int  // episodes: wrongly raised, of all raised
	Reachable      bool // false: no injected sample could reach it, so it is unproven
}

// MatrixLine is what one group may do, and why.
type MatrixLine struct{ Group, Kind, What, Level, Because, Flag string }

// FlagLine is a weakness of the access configuration.
type FlagLine struct{ Severity, Subject, Text string }

// GroupLine is a group with its members.
type GroupLine struct {
	Name    string
	Members int
	Purpose string
	Source  string
	Roles   []string
}

// FindingLine is one finding; Member is already a pseudonym.
type FindingLine struct {
	ID, Severity, Title, Member, Time, Reason string
	Count                                     int
	Events                                    string // "e123, e456"
}

// AdoptionLine is one week.
type AdoptionLine struct {
	Week            string
	Sessions        int64
	Active, Enabled int
	Share           string
}

// CoverageLine is one share of what the stream can show; more is better.
type CoverageLine struct {
	What  string
	N, Of int64
	Why   string
}

// PhaseLine is one phase of the rollout. To is empty for the last.
type PhaseLine struct{ Name, From, To, Groups, Status, Because string }

// Limits on what is listed. Each place that cuts says how many there were.
const (
	maxBecause  = 4
	maxActions  = 5
	maxFindings = 40
	perKind     = 3
	maxFans     = 3
)

// notSupplied is printed where an input was left out: an empty cell would read
// as "nothing to report".
const notSupplied = "Not supplied"

type builder struct {
	in     Input
	a      *assess.Assessment
	doc    *Document
	facts  map[string]assess.FactUse
	fw     map[string]assess.FrameworkResult
	causal []*cause // what decides the open verdicts, worst first
	themes []*theme // the same, gathered into what one would act on
	capped []assess.ObligationResult
}

// Build lays the assessment out as a document, in the order in which readiness
// reports are read: the answer, its scope and method, the system, its controls,
// the findings, the risks, what to do, the evidence, and the limits of it all.
// It never fails: what is missing is named in its place.
func Build(in Input) *Document {
	a := in.Assessment
	if a == nil {
		a = &assess.Assessment{}
	}
	b := &builder{in: in, a: a, doc: &Document{}, facts: map[string]assess.FactUse{}, fw: map[string]assess.FrameworkResult{}}
	for _, f := range a.FactsUsed {
		b.facts[f.ID] = f
	}
	for _, f := range a.Frameworks {
		b.fw[f.ID] = f
	}
	b.collectCauses()
	b.collectThemes()
	b.meta()
	b.cover()   // 1
	b.summary() // 2
	b.conditions()
	b.scope()  // 3
	b.method() // 4
	b.system() // 5
	b.adoption()
	b.rollout()
	b.controls() // 6
	b.effects()
	b.obligations()
	b.matrix()
	b.spend()
	b.rules()
	b.causes() // 7
	for _, g := range a.Gaps {
		b.gap(g)
	}
	b.causePages()
	b.propositions()
	b.findings()
	b.riskRegister() // 8
	b.roadmap()      // 9
	b.notice()
	b.partners()
	b.evidence() // 10
	b.stillAsked()
	b.signOff()     // 11
	b.limitations() // 12
	b.disputes()
	b.glossary()
	b.appendixChains()
	b.appendixGaps()
	b.appendixFacts()
	b.appendixChanges()
	b.number()
	return b.doc
}

// number gives sections their numbers: the cover is the first of the twelve.
func (b *builder) number() {
	n, m := 0, 0
	for i := range b.doc.Sections {
		s := &b.doc.Sections[i]
		switch {
		case strings.HasPrefix(s.ID, "appendix"):
		case s.Level == 1:
			n, m = n+1, 0
			if s.ID != "cover" {
				s.No = strconv.Itoa(n)
			}
		case s.Level == 2:
			m++
			s.No = fmt.Sprintf("%d.%d", n, m)
		}
	}
}

func (b *builder) add(s Section) {
	if s.Level == 0 {
		s.Level = 1
	}
	s.Small = strings.HasPrefix(s.ID, "appendix")
	b.doc.Sections = append(b.doc.Sections, s)
}

func (b *builder) meta() {
	a := b.a
	m := &b.doc.Meta
	m.Title = or(a.Title, "Readiness for Claude Cowork")
	m.Organisation = or(a.Organisation.Name, notSupplied)
	m.AsOf = a.AsOf
	m.Period = "Not stated"
	if a.Period.From != "" {
		m.Period = fmt.Sprintf("%s to %s (%s)", a.Period.From, a.Period.To, count(a.Period.Days, "day"))
	}
	switch a.Evidence {
	case "observed":
		m.Evidence = "Observed: taken from the streams and files supplied"
	case "mixed":
		m.Simulated = true
		m.Evidence = "Mixed: part observed, part simulated; simulated records prove rules, not operation"
		m.Banner = "Partly simulated evidence: it can show that a rule fires, not that a control operated"
		m.Fictional = "Part of this report rests on simulated records. The members and incidents in those records are fictional."
	default: // an unknown kind is read as the weaker one
		m.Simulated = true
		m.Evidence = "Simulated: design only; no control was observed in operation"
		m.Banner = "Simulated evidence: it can show that a rule fires, not that a control operated"
		m.Fictional = Fictional(a)
	}
	m.Profile = or(join(", ", words(a.Track), "fact set "+or(a.FactSet, "not named")), notSupplied)
	m.Client = or(a.Client, notSupplied)
	m.Preparer = or(a.Preparer, notSupplied)
	m.Label = a.Label
	m.Digest = b.in.Digest
	m.Answer = answerStatus(a.Answer.Posture)
	m.Paper, m.Logo = b.in.Paper, b.in.Logo
	if b.in.Content {
		m.Content = "Names and content are included: handle as the records themselves"
	}
}

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

// --- the answer -------------------------------------------------------------

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

func (b *builder) scope() {
	a := b.a
	o := a.Organisation
	origin := func(s string) string { return or(s, "declared by you") }
	t := Table{Head: []string{"Item", "Value", "Where it comes from"}, Widths: []int{30, 46, 24}}
	for _, l := range a.Scope {
		t.Rows = append(t.Rows, []Cell{{Text: l.Item}, {Text: or(l.Value, notSupplied)}, {Text: origin(l.Origin)}})
	}
	blocks := []Block{
		Paragraph{Text: "Scope is declared by you unless the last column says otherwise. It was not verified, and every verdict depends on it."},
		KeyValues{[]KeyValue{
			{"Plan", words(or(o.Plan, notSupplied))},
			{"Declared as", list(o.Kind)},
			{"Seats", strconv.Itoa(o.Seats)},
			{"Execution modes", list(o.Modes)},
			{"Arrangements", list(o.Arrangements)},
			{"Telemetry goes to", or(strings.Join(titles(o.Destinations), ", "), "None declared")},
		}},
	}
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	if len(a.Workloads) > 0 {
		w := Table{Head: []string{"Workload", "Data", "Groups", "Result", "Why"}, Widths: []int{18, 17, 16, 19, 30}}
		for _, x := range a.Workloads {
			w.Rows = append(w.Rows, []Cell{{Text: title(spaced(x.Name))}, {Text: or(strings.Join(titles(wordList(x.Data)), ", "), "None under rules")}, {Text: or(strings.Join(x.Groups, ", "), "None named")}, {Status: anyPosture(x.Posture)}, {Text: x.Why}})
		}
		blocks = append(blocks, Heading{"Workloads"}, w)
	}
	if len(a.Assumptions) > 0 {
		blocks = append(blocks, Heading{"Assumptions"}, Bullets{a.Assumptions})
	}
	if out := b.outOfScope(); len(out) > 0 {
		blocks = append(blocks, Heading{"Left out, and why"}, Bullets{out})
	}
	b.add(Section{ID: "scope", Title: "Scope, boundary and assumptions", NewPage: true, Blocks: blocks})
}

// outOfScope lists frameworks that do not apply and how many obligations of the
// others do not, with the reason.
func (b *builder) outOfScope() []string {
	var out []string
	for _, f := range b.a.Frameworks {
		if !f.Applicable {
			out = append(out, join(": ", f.Title, or(f.Why, "no reason was given")))
		}
	}
	for _, o := range b.a.Obligations {
		if o.Verdict == assess.NotApplicable && b.fw[o.Framework].Applicable {
			out = append(out, join(": ", o.Citation+" "+o.Title, strings.Join(o.Reasons, " ")))
		}
	}
	return out
}

func (b *builder) figures() []KeyValue {
	c := b.a.Counters
	left := c.OtherProducts + c.AfterAsOf + c.OutsidePeriod + c.BadRecords + c.Duplicates
	rows := []KeyValue{
		{"Records", fmt.Sprintf("%s read; %s events, %s of them from Cowork", num(c.Records), num(c.Events), num(c.CoworkEvents))},
		{"Left out", fmt.Sprintf("%s: %s from other products, %s after the as-of date, %s outside the period, %s unreadable, %s duplicates",
			num(left), num(c.OtherProducts), num(c.AfterAsOf), num(c.OutsidePeriod), num(c.BadRecords), num(c.Duplicates))},
		{"Members heard", fmt.Sprintf("%d of %d with Cowork (%s in the organisation). Silence is not cleanliness: of the others nothing is known.", c.MembersHeard, c.MembersWithCowork, count(c.Members, "member"))},
		{"Activity", fmt.Sprintf("%s %s, %s %s", num(c.Sessions), plural(int(min(c.Sessions, 2)), "session", "sessions"), num(c.Prompts), plural(int(min(c.Prompts, 2)), "prompt", "prompts"))},
		{"Engines", fmt.Sprintf("%s, %s, %s denied %s, %s blocked by a limit", count(c.Findings, "finding"), count(c.Alerts, "alert"), num(c.Denied), plural(int(min(c.Denied, 2)), "attempt", "attempts"), count(c.BlockedMembers, "member")) + b.unruled()},
	}
	if c.OutOfTurn > 0 {
		rows = slices.Insert(rows, 2, KeyValue{"Out of turn", fmt.Sprintf("%s came too late to be put in order of time, so that windows, sequences and limits may be judged wrongly. Assess a file in place of standard input.", count(int(c.OutOfTurn), "record"))})
	}
	return rows
}

// --- gaps and causes --------------------------------------------------------

func (b *builder) gap(g assess.Gap) {
	blocks := []Block{StatusRow{Status: stateStatus(g.State), Title: "State as of " + or(longDay(b.a.AsOf), "a date not stated")}}
	if g.ID == "audit-log" {
		// The one sentence that is true at every date leads the page.
		blocks = append(blocks, Strip{Title: "Telemetry is not an audit log", Text: "No amount of telemetry lifts an obligation that asks for a formal audit trail."})
	}
	if g.Summary != "" {
		blocks = append(blocks, Paragraph{Text: g.Summary})
	}
	if len(g.Frameworks) > 0 {
		t := Table{Head: []string{"Framework", "In scope", "Verdict", "What it means here"}, Widths: []int{19, 12, 24, 45}}
		for _, f := range g.Frameworks {
			in, text := "Yes", f.Text
			if !f.InScope {
				in = "No"
				if f.IfItWere && !strings.HasPrefix(strings.ToLower(text), "if it were") {
					text = "If it were: " + text
				}
			}
			st := Status{Word: f.Verdict, Shape: shapeOfCode(f.Code)}
			if !f.InScope && f.IfItWere {
				st.Word = "If it were: " + f.Verdict
			}
			if f.Verdict == "" {
				st = verdictStatus(assess.NotAssessed)
			}
			t.Rows = append(t.Rows, []Cell{{Text: f.Title}, {Text: in}, {Status: st}, {Text: join(" ", text, hits(len(f.Obligations)))}})
		}
		blocks = append(blocks, Heading{"In each framework"}, t)
	}
	if len(g.Surfaces) > 0 {
		t := Table{Head: []string{"Surface", "State", "What it holds and what it leaves out"}, Widths: []int{25, 20, 55}}
		for _, s := range g.Surfaces {
			t.Rows = append(t.Rows, []Cell{{Text: s.Name}, {Status: stateStatus(s.State)}, {Text: s.Text}})
		}
		blocks = append(blocks, Heading{"Each surface apart"}, t)
	}
	switch {
	case len(g.Closes) == 0 || g.State == "not_applicable":
	case g.State == "closed":
		blocks = append(blocks, Heading{"What keeps it closed"}, Bullets{alternatives(g.Closes)})
	default:
		blocks = append(blocks, Heading{"What it would take to close it" + oneOf(g.Closes)}, Bullets{alternatives(g.Closes)})
	}
	for _, f := range g.Footnotes {
		blocks = append(blocks, Paragraph{Text: f, Small: true})
	}
	b.add(Section{ID: "gap-" + g.ID, Title: "Headline gap: " + g.Title, Level: 2, NewPage: len(b.themes) > 0 || g.ID != b.a.Gaps[0].ID, Blocks: blocks})
}

func hits(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("(%s hit.)", count(n, "obligation"))
}

// cause is an element and the obligations that it decides.
type cause struct {
	name        string
	worst       assess.Verdict
	element     assess.ElementResult
	obligations []assess.ObligationResult
}

// deciding returns the essential elements whose state gives the obligation its
// verdict, if that verdict is among those asked for.
func deciding(o assess.ObligationResult, among ...assess.Verdict) []assess.ElementResult {
	if !slices.Contains(among, o.Verdict) {
		return nil
	}
	state := map[assess.Verdict]string{
		assess.GapNoConfiguration: "absent-unfixable", assess.GapYouCanClose: "absent-fixable",
		assess.NotAssessed: "unknown", assess.PartlySupported: "short", assess.NeedsAttestation: "unattested",
	}[o.Verdict]
	var out []assess.ElementResult
	for _, e := range o.Elements {
		if e.Essential && e.State == state {
			out = append(out, e)
		}
	}
	return out
}

// collectCauses groups what decides the open verdicts by element and state.
func (b *builder) collectCauses() {
	type key struct{ name, state string }
	byKey := map[key]*cause{}
	for _, o := range b.a.Obligations {
		els := deciding(o, assess.GapNoConfiguration, assess.GapYouCanClose, assess.NotAssessed, assess.PartlySupported, assess.NeedsAttestation)
		if len(els) == 0 && o.CappedBy != "" {
			b.capped = append(b.capped, o)
		}
		for _, e := range els {
			k := key{elementSlug(e), e.State}
			c := byKey[k]
			if c == nil {
				c = &cause{name: or(e.Name, words(elementSlug(e))), worst: o.Verdict, element: e}
				byKey[k] = c
				b.causal = append(b.causal, c)
			}
			c.worst = worse(c.worst, o.Verdict)
			c.obligations = append(c.obligations, o)
		}
	}
	slices.SortStableFunc(b.causal, func(x, y *cause) int {
		if d := rank(x.worst) - rank(y.worst); d != 0 {
			return d
		}
		return len(y.obligations) - len(x.obligations)
	})
}

func (b *builder) causes() {
	t := Table{Head: []string{"No.", "Finding", "State", "Worst verdict it decides", "Obligations"}, Widths: []int{5, 33, 20, 23, 19}}
	for i, c := range b.themes {
		t.Rows = append(t.Rows, []Cell{{Text: strconv.Itoa(i + 1)}, {Text: c.title}, {Status: elementStatus(c.state)}, {Status: verdictStatus(c.worst)}, {Text: b.named(c.obligations)}})
	}
	if len(b.themes) == 0 {
		b.add(Section{ID: "causes", Title: "Findings", NewPage: true, Blocks: []Block{
			Paragraph{Text: b.nothingOpen("no finding") + " The headline gaps follow as they would bear on each framework, and after them what the run itself showed."}}})
		return
	}
	blocks := []Block{Paragraph{Text: fmt.Sprintf("%s explain%s the open verdicts. An obligation stands under each finding that decides it, so closing one may not be enough; the appendix has the whole chain.",
		title(count(len(b.themes), "finding")), plural(len(b.themes), "s", ""))}}
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	b.add(Section{ID: "causes", Title: "Findings", NewPage: true, Blocks: blocks})
}

// binds reports whether any framework of the report applies.
func (b *builder) binds() bool {
	return slices.ContainsFunc(b.a.Frameworks, func(f assess.FrameworkResult) bool { return f.Applicable })
}

// nothingOpen says why a chapter is empty: nothing binds, or nothing is open.
func (b *builder) nothingOpen(what string) string {
	if b.binds() {
		return fmt.Sprintf("There is %s: no obligation in scope has an open verdict.", what)
	}
	return fmt.Sprintf("There is %s: as declared, no framework of this report binds the organisation or the data in reach. Another scope gives another answer.", what)
}

func (b *builder) causePages() {
	if len(b.themes)+len(b.capped) == 0 {
		return
	}
	b.add(Section{ID: "cause-pages", Title: "Findings by cause", Level: 2, NewPage: true, Blocks: []Block{
		Paragraph{Text: "Each finding has its condition, criterion, cause, effect and recommendation. Where financial reporting is concerned each is a potential control deficiency for management's evaluation; this report assigns no severity to it. The values that were read stand in Appendix A."}}})
	for i, x := range b.themes {
		lead := x.causes[0]
		kv := []KeyValue{
			{"Condition", x.condition()},
			{"Criterion", fmt.Sprintf("%s: %s.", title(count(len(x.obligations), "obligation")), b.named(x.obligations))},
		}
		why := ""
		if x.state == "absent-unfixable" {
			why = b.factsInWords(lead.element.Facts)
		}
		if why == "" && len(x.causes) == 1 && telltale(lead.element.Note) {
			why = title(strings.TrimSuffix(lead.element.Note, ".")) + "."
		}
		if why == "" {
			why = x.reason()
		}
		kv = append(kv, KeyValue{"Cause", why},
			KeyValue{"Effect", x.effect()},
			KeyValue{"Recommendation", x.step() + x.otherwise()},
			KeyValue{"Owner, effort", b.ownerOf(x) + "; " + x.effort()})
		blocks := []Block{StatusRow{Status: verdictStatus(x.worst)}, KeyValues{kv}}
		switch {
		case len(x.causes) > 1 && x.state == "absent-unfixable":
			t := Table{Head: []string{"Obligation", "Citation", "What it lacks", "Verdict"}, Widths: []int{27, 22, 27, 24}}
			for _, c := range x.causes {
				for _, o := range c.obligations {
					t.Rows = append(t.Rows, []Cell{{Text: join(": ", shortName(b.fw[o.Framework]), o.Title)}, {Text: o.Citation}, {Text: c.name}, {Status: verdictStatus(o.Verdict)}})
				}
			}
			blocks = append(blocks, t)
		case len(x.causes) > 1 && x.state == "unattested":
			t := Table{Head: []string{"Statement", "Asked for by", "Who would sign"}, Widths: []int{52, 24, 24}}
			for _, c := range x.causes {
				t.Rows = append(t.Rows, texts(c.statement(), b.named(c.obligations), b.ownerOf(single(c))))
			}
			blocks = append(blocks, t)
		case len(x.causes) > 1:
			t := Table{Head: []string{"What is not known", "Asked for by", "What to supply"}, Widths: []int{34, 26, 40}}
			for _, c := range x.causes {
				t.Rows = append(t.Rows, texts(c.name, b.named(c.obligations), single(c).step()))
			}
			blocks = append(blocks, t)
		case len(x.obligations) > 1 || x.worst == assess.GapNoConfiguration:
			t := Table{Head: []string{"Obligation", "Citation", "Verdict"}, Widths: []int{44, 32, 24}}
			for _, o := range x.obligations {
				t.Rows = append(t.Rows, []Cell{{Text: join(": ", shortName(b.fw[o.Framework]), o.Title)}, {Text: o.Citation}, {Status: verdictStatus(o.Verdict)}})
			}
			blocks = append(blocks, t)
		default:
			o := x.obligations[0]
			kv[1].Value = join(" ", join(": ", shortName(b.fw[o.Framework]), o.Title), paren(o.Citation)) + "."
		}
		// What no configuration closes gets a page of its own.
		alone := x.worst == assess.GapNoConfiguration && i > 0 || i > 0 && b.themes[i-1].worst == assess.GapNoConfiguration
		b.add(Section{ID: "cause-" + elementSlug(lead.element) + "-" + x.state, Title: fmt.Sprintf("Finding %d. %s", i+1, x.title), Level: 3, NewPage: alone, Blocks: blocks})
	}
	if len(b.capped) > 0 {
		t := Table{Head: []string{"Obligation", "Verdict", "Why"}, Widths: []int{35, 25, 40}}
		for _, o := range b.capped {
			t.Rows = append(t.Rows, []Cell{{Text: join(": ", o.Citation, o.Title)}, {Status: verdictStatus(o.Verdict)}, {Text: strings.Join(o.Reasons, " ")}})
		}
		b.add(Section{ID: "cause-capped", Title: "Held back by another obligation", Level: 3, Blocks: []Block{
			Paragraph{Text: "These presuppose a record that another obligation must create first."}, t}})
	}
}

// Fictional says what of a simulated run is invented. A shipped company is; one
// that the user declared may be real, and then only its members and what they did
// are not.
func Fictional(a *assess.Assessment) string {
	if a.OwnScenario {
		return "The organisation is as declared in its scenario. What its members did and every incident are invented: every event in this report was simulated."
	}
	return "The company and its incidents are fictional. Every event in this report was simulated."
}

func distribution(client string) string {
	if client == "" || client == notSupplied {
		return "The organisation named above"
	}
	return "The client named above"
}

// factsInWords is what two facts behind an element that nothing supplies say,
// those first that withhold something: what the platform does offer explains no
// gap. The appendix has them all.
func (b *builder) factsInWords(ids []string) string {
	offers := func(id string) int {
		switch b.facts[id].Value {
		case "yes":
			return 2
		case "conditional":
			return 1
		}
		return 0
	}
	ids = slices.Clone(ids)
	slices.SortStableFunc(ids, func(x, y string) int { return offers(x) - offers(y) })
	var said []string
	for _, id := range ids {
		f, ok := b.facts[id]
		if !ok || f.From == "" || f.Statement == "" || len(said) == 2 {
			continue
		}
		said = append(said, strings.TrimSuffix(firstSentence(strings.TrimSpace(f.Statement)), ".")+".")
	}
	return strings.Join(said, " ")
}

func remedyOf(os []assess.ObligationResult) string {
	for _, o := range os {
		if len(o.Remedy) > 0 {
			return strings.Join(o.Remedy, "; ")
		}
	}
	return "None recorded."
}

func (b *builder) obligations() {
	for _, f := range b.a.Frameworks {
		if !f.Applicable {
			b.add(Section{ID: "obligations-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{
				StatusRow{Status: Status{"Not in scope", Dash}, Text: or(f.Why, "No reason was given.")}}})
			continue
		}
		t := Table{Head: []string{"Obligation", "Citation", "Verdict", "Why"}, Widths: []int{27, 18, 20, 35}}
		for _, o := range b.a.Obligations {
			if o.Framework != f.ID {
				continue
			}
			st := verdictStatus(o.Verdict)
			switch {
			case o.DesignOnly:
				st.Word += ", design only"
			case o.OnAttestation:
				st.Word += ", on attestation"
			}
			why := strings.Join(o.Reasons, " ")
			if o.Disputed != "" {
				why = join(" ", why, fmt.Sprintf("Disputed (%s).", o.Disputed))
			}
			t.Rows = append(t.Rows, []Cell{{Text: join(". ", o.Title, o.Demands)}, {Text: join(" - ", o.Citation, o.Label)}, {Status: st}, {Text: why}})
		}
		b.add(Section{ID: "obligations-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{
			StatusRow{Status: postureStatus(f), Text: f.Why}, t}})
	}
}

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

// --- what people say and do --------------------------------------------------

func (b *builder) propositions() {
	if len(b.a.Needs)+len(b.a.Claims) == 0 {
		return
	}
	var blocks []Block
	each := func(heading string, ps []assess.PropositionResult) {
		if len(ps) == 0 {
			return
		}
		blocks = append(blocks, Heading{heading})
		t := Table{Head: []string{"Said", "Judged", "Why, and what to say or do instead"}, Widths: []int{30, 17, 53}}
		for _, p := range ps {
			why := strings.Join(p.Reasons, " ")
			if p.SayInstead != "" {
				why = join(" ", why, "Say instead: "+p.SayInstead)
			}
			if len(p.Remedies) > 0 {
				why = join(" ", why, "Instead: "+sentences(p.Remedies))
			}
			if len(p.Footnotes) > 0 {
				why = join(" ", why, "Note: "+strings.Join(p.Footnotes, " "))
			}
			t.Rows = append(t.Rows, []Cell{{Text: join(": ", p.Who, "“"+p.Text+"”")}, {Status: propositionStatus(p.Verdict)}, {Text: why}})
		}
		blocks = append(blocks, t)
	}
	each("What people want", b.a.Needs)
	each("What people claim", b.a.Claims)
	b.add(Section{ID: "propositions", Title: "What people want and claim", Level: 2, Blocks: blocks})
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

// unruled is noRules where it belongs, behind a count.
func (b *builder) unruled() string {
	if len(b.in.Rules) == 0 {
		return ". " + noRules
	}
	return ""
}

// sawLittle is what no finding does not prove.
func (b *builder) sawLittle() string {
	if len(b.in.Rules) == 0 {
		return noRules + " What the role and the spend engine saw is no proof that nothing happened."
	}
	return "That is what the rules in force could see, not proof that nothing happened."
}

// noRules stands wherever alerts are counted that nothing could have raised.
const noRules = "No alert rule was in force, so none could fire."

func (b *builder) findings() {
	fs := slices.Clone(b.in.Findings)
	slices.SortStableFunc(fs, func(x, y FindingLine) int { return severityRank(x.Severity) - severityRank(y.Severity) })
	total := max(len(fs), b.a.Counters.Findings)
	if total == 0 {
		if b.a.Counters.Events > 0 {
			b.add(Section{ID: "findings", Title: "Findings of the run", Level: 2, Blocks: []Block{
				Paragraph{Text: fmt.Sprintf("No finding in %s events. %s", num(b.a.Counters.Events), b.sawLittle())}}})
		}
		return
	}
	// By kind first: forty times the same line tells a reader nothing.
	type kind struct {
		first, last FindingLine
		n, events   int
		members     map[string]bool
	}
	kinds := map[string]*kind{}
	var order []string
	for _, f := range fs {
		k := kinds[f.Title]
		if k == nil {
			k = &kind{first: f, last: f, members: map[string]bool{}}
			kinds[f.Title] = k
			order = append(order, f.Title)
		}
		k.n++
		k.events += max(f.Count, 1)
		if f.Time < k.first.Time {
			k.first = f
		}
		if f.Time > k.last.Time {
			k.last = f
		}
		if f.Member != "" {
			k.members[f.Member] = true
		}
	}
	by := Table{Head: []string{"Severity", "Finding", "Findings", "Events", "Members", "First", "Last"}, Widths: []int{13, 37, 10, 10, 10, 10, 10}}
	for _, name := range order {
		k := kinds[name]
		by.Rows = append(by.Rows, []Cell{{Status: Status{title(k.first.Severity), severityShape(k.first.Severity)}}, {Text: name}, {Text: num(int64(k.n))}, {Text: num(int64(k.events))},
			{Text: num(int64(len(k.members)))}, {Text: shortDay(day(k.first.Time))}, {Text: shortDay(day(k.last.Time))}})
	}
	var shown []FindingLine
	taken := map[string]int{}
	for _, f := range fs {
		if taken[f.Title] < perKind && len(shown) < maxFindings {
			taken[f.Title]++
			shown = append(shown, f)
		}
	}
	blocks := []Block{Paragraph{Text: fmt.Sprintf("%s of %s, most severe first. An alert is a question to a person, not a verdict on one.", title(count(total, "finding")), count(len(order), "kind"))}, by}
	if len(shown) > 0 {
		t := Table{Head: []string{"Severity", "Finding", "Member", "Time", "Events"}, Widths: []int{12, 38, 17, 14, 19},
			Note: fmt.Sprintf("%d of %d shown, up to %d of each kind. The whole list is in findings.jsonl. Members are pseudonyms. Event numbers are positions in the stream.", len(shown), total, perKind)}
		for _, f := range shown {
			ev := f.Events
			if f.Count > 0 {
				ev = join(": ", strconv.Itoa(f.Count), ev)
			}
			t.Rows = append(t.Rows, []Cell{{Status: Status{title(f.Severity), severityShape(f.Severity)}}, {Text: join(". ", strings.TrimSuffix(f.Title, "."), title(telling(f.Reason)))}, {Text: f.Member, Mono: true}, {Text: f.Time}, {Text: ev, Mono: true}})
		}
		blocks = append(blocks, Heading{"Examples"}, t)
	}
	b.add(Section{ID: "findings", Title: "Findings of the run", Level: 2, Blocks: blocks})
}

// telltale notes say more than the state does.
func telltale(note string) bool {
	switch strings.TrimSpace(note) {
	case "", "there in part", "not in place", "not known", "shown", "nothing on this plan, arrangement and date supplies it":
		return false
	}
	return true
}

// oneOf says that a list is a choice, where its items were joined by "or".
func oneOf(items []string) string {
	if slices.ContainsFunc(items, func(s string) bool { return strings.HasSuffix(strings.TrimSpace(s), ", or") }) {
		return ": one of"
	}
	return ""
}

// alternatives cleans a list whose items were written as one sentence.
func alternatives(items []string) []string {
	out := make([]string, len(items))
	for i, s := range items {
		s = strings.TrimSpace(s)
		for _, tail := range []string{", or", ", and", ";", "."} {
			s = strings.TrimSuffix(s, tail)
		}
		out[i] = title(s) + "."
	}
	return out
}

// telling drops a reason that only repeats that the rule fired.
func telling(reason string) string {
	if reason == "the condition holds" {
		return ""
	}
	return stamp.ReplaceAllString(reason, "$1 $2")
}

// stamp is a time as engines write it; people read it to the minute.
var stamp = regexp.MustCompile(`(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?Z`)

// day is the date of a time as printed.
func day(t string) string { return t[:min(len(t), len("2006-01-02"))] }

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

// --- evidence ----------------------------------------------------------------

func (b *builder) stillAsked() {
	type ask struct {
		element     assess.ElementResult
		obligations []assess.ObligationResult
	}
	var order []*ask
	byKey := map[string]*ask{}
	for _, o := range b.a.Obligations {
		if o.Verdict == assess.NotApplicable {
			continue
		}
		for _, e := range o.Elements {
			if e.State != "unattested" && e.State != "unknown" {
				continue
			}
			k := elementSlug(e)
			if byKey[k] == nil {
				byKey[k] = &ask{element: e}
				order = append(order, byKey[k])
			}
			byKey[k].obligations = append(byKey[k].obligations, o)
		}
	}
	slices.SortStableFunc(order, func(x, y *ask) int { return len(y.obligations) - len(x.obligations) })
	var blocks []Block
	records := Table{Head: []string{"Record", "State", "Asked for by", "What to supply", "Owner", "How it reaches the auditor"}, Widths: []int{20, 12, 14, 21, 13, 20}}
	signed := Table{Head: []string{"Statement", "Asked for by", "Owner"}, Widths: []int{54, 22, 24}}
	for _, x := range order {
		c := &cause{name: or(x.element.Name, words(elementSlug(x.element))), element: x.element, obligations: x.obligations}
		if x.element.Source == "attestation" {
			signed.Rows = append(signed.Rows, texts(c.statement(), b.named(x.obligations), b.ownerOf(single(c))))
			continue
		}
		records.Rows = append(records.Rows, []Cell{{Text: c.name}, {Status: elementStatus(x.element.State)}, {Text: b.named(x.obligations)}, {Text: single(c).step()}, {Text: b.ownerOf(single(c))}, {Text: exportOf(x.element)}})
	}
	if len(records.Rows) > 0 {
		blocks = append(blocks, Heading{"Records and exports"}, records)
	}
	if len(signed.Rows) > 0 {
		blocks = append(blocks, Heading{"Signed statements"}, Paragraph{Text: "Each reaches the auditor as a dated statement with a name, filed with the evidence index."}, signed)
	}
	v := Table{Head: []string{"Value not supplied", "Class of evidence", "Would come from"}, Widths: []int{45, 25, 30}}
	for _, x := range b.a.Variables {
		if x.Value == "" || x.Value == "unknown" {
			v.Rows = append(v.Rows, []Cell{{Text: x.Name, Mono: true}, {Text: x.Class}, {Text: x.Origin}})
		}
	}
	if len(v.Rows) > 0 {
		v.Note = "Names as in the evidence vocabulary. What was not supplied counts as unknown, never as in order."
		blocks = append(blocks, Heading{"Values that no input supplied"}, v)
	}
	short := false
	if len(blocks) == 0 {
		text := "Nothing is open in what this assessment asked for. An auditor may ask for more."
		if !b.binds() {
			text = "As declared, no framework binds, so this assessment asks for no record. An auditor will still ask how that was decided: who declared the scope, from what, and with which export of settings and members behind it."
		}
		blocks, short = []Block{Paragraph{Text: text}}, true
	}
	b.add(Section{ID: "still-asked", Title: "What the auditor will still ask for", Level: 2, NewPage: !short, Blocks: blocks})
}

func (b *builder) evidence() {
	blocks := []Block{Paragraph{Text: "No evidence file was given."}}
	if len(b.a.Evidences) > 0 {
		t := Table{Head: []string{"No.", "What", "Class", "Period", "Size", "SHA-256"}, Widths: []int{8, 27, 17, 16, 10, 22}}
		for _, e := range b.a.Evidences {
			size := ""
			if e.Size > 0 {
				size = num(e.Size) + " B"
			}
			t.Rows = append(t.Rows, []Cell{{Text: e.ID, Mono: true}, {Text: join(". ", e.What, e.Note)}, {Text: classWords(e.Class)}, {Text: e.Period}, {Text: size}, {Text: e.SHA256, Mono: true}})
		}
		blocks = []Block{Paragraph{Text: "Files are named by their hash; their content is not copied here."}, t}
		read := Table{Head: []string{"No.", "Elements that read a figure of it"}, Widths: []int{8, 92},
			Note: "Whether a figure meets the element is the element's to say: its state stands in Appendix A."}
		const most = 16 // a settings snapshot speaks to more elements than anybody reads here
		for _, e := range b.a.Evidences {
			if names := e.Supports; len(names) > most {
				read.Rows = append(read.Rows, []Cell{{Text: e.ID, Mono: true}, {Text: fmt.Sprintf("%s and %d more (assessment.json names them)", strings.Join(names[:most], ", "), len(names)-most)}})
			} else if len(names) > 0 {
				read.Rows = append(read.Rows, []Cell{{Text: e.ID, Mono: true}, {Text: strings.Join(names, ", ")}})
			}
		}
		if len(read.Rows) > 0 {
			blocks = append(blocks, Heading{"What the files speak to"}, read)
		}
	}
	blocks = append(blocks, Heading{"What the bundle proves"}, Bullets{[]string{
		"The manifest beside this report lists each file with its SHA-256 and size. A check against it shows any change, loss or addition since the bundle was written.",
		"A signature, where one was made, shows that the holder of a key made the manifest. Without one, nothing shows who wrote it.",
		"Neither shows that a capture was complete, that the declared configuration is the real one, or that a control operated.",
	}})
	b.add(Section{ID: "evidence", Title: "Evidence index and requests", NewPage: true, Blocks: blocks})
}

func (b *builder) disputes() {
	if len(b.a.Disputes) == 0 {
		return
	}
	t := Table{Head: []string{"Point", "Question", "One side", "The other side", "How it was read here"}, Widths: []int{7, 21, 24, 24, 24}}
	for _, d := range b.a.Disputes {
		t.Rows = append(t.Rows, texts(d.ID, d.Question, d.SideA, d.SideB, d.Ours))
	}
	b.add(Section{ID: "disputes", Title: "Disputed points", Level: 2, Blocks: []Block{
		Paragraph{Text: "Practitioners disagree on these. They are shown, not averaged away."}, t}})
}

// limits is what every report must say, whatever the assessment adds.
var limits = []string{
	"This is a readiness aid for management, prepared from the inputs supplied. Those inputs were not verified independently.",
	"It is not an audit, examination, review or attestation, and it is not a risk analysis, an assessor's report or a SOC report. Only a licensed accounting firm issues SOC reports; only a qualified assessor or the entity's own questionnaire validates PCI DSS; registered auditors opine on financial reporting controls; no government body attests a company's standing under HIPAA.",
	"It is not legal advice. Which rules apply, and what a contract covers, is a question for counsel.",
	"Scope is declared by you. Regulators, laws and contracts other than the frameworks named here are not covered.",
	"It describes one point in time. Platform facts carry dates and sources and may have changed since.",
	"Telemetry is not an audit log, and the absence of alerts is not the absence of incidents.",
	"Standards are paraphrased; the official texts prevail.",
	"It is meant for the client named on the cover. No third party may rely on it, and no vendor or standards body endorses it.",
}

// limitTopics are words by which a limitation of the assessment is known to be
// said above already.
var limitTopics = []string{"readiness aid", "legal advice", "Scope is declared", "SOC reports", "latform fact", "audit log", "paraphrased", "third party"}

func (b *builder) limitations() {
	items := slices.Clone(limits)
	if b.doc.Meta.Simulated {
		items = append(items, "Simulated evidence shows what rules and settings would do. It is no evidence that any control operated.")
	}
	for _, l := range b.a.Limitations {
		if !slices.ContainsFunc(limitTopics, func(topic string) bool { return strings.Contains(l, topic) }) {
			items = append(items, l)
		}
	}
	b.add(Section{ID: "limitations", Title: "Limitations and restricted use", NewPage: true, Blocks: []Block{Bullets{items}}})
}

var meanings = map[assess.Verdict]string{
	assess.Supported:          "Every essential element is met by evidence of a kind that may carry it, in date. It does not state that the law or standard is met.",
	assess.PartlySupported:    "The essential elements exist but fall short in coverage, completeness, time or scope, or the record they presuppose is missing.",
	assess.GapYouCanClose:     "An essential element is absent, and a documented setting, a licence already held or a process of yours would supply it.",
	assess.GapNoConfiguration: "An essential element is absent, and nothing on the present plan and profile supplies it. Change the plan, keep the data out, wait for the vendor or use another product. Dated, not permanent.",
	assess.NeedsAttestation:   "The element is a human or organisational fact that no tool can observe. Somebody must state it and sign.",
	assess.NotAssessed:        "Inputs are missing, the window is too short or the check could not run. Missing data never counts in favour.",
	assess.NotApplicable:      "The scoping rule says so; the reason is printed.",
}

func (b *builder) glossary() {
	t := Table{Head: []string{"Verdict", "What it means"}, Widths: []int{32, 68}}
	for _, v := range assess.Verdicts() {
		t.Rows = append(t.Rows, []Cell{{Status: verdictStatus(v)}, {Text: meanings[v]}})
	}
	b.add(Section{ID: "glossary", Title: "Glossary: the seven verdicts", Level: 2, Blocks: []Block{t}})
}

func (b *builder) signOff() {
	t := Table{Head: []string{"Role", "Name", "Signature", "Date"}, Widths: []int{34, 24, 26, 16}, WriteIn: true,
		Note: "Left blank on purpose: no tool signs for a person."}
	for _, r := range []string{"Preparer", "Technical reviewer", "Data owner", "CISO", "Privacy or security officer (HIPAA)", "Controller or SOX lead", "Executive sponsor (PCI DSS)", "System owner (SOC 2)"} {
		t.Rows = append(t.Rows, texts(r, "", "", ""))
	}
	b.add(Section{ID: "sign-off", Title: "Attestations and sign-off", NewPage: true, Blocks: []Block{t}})
}

// --- appendices: the only place where ids and codes are printed ----------------

func (b *builder) appendixChains() {
	if len(b.a.Obligations) == 0 {
		return
	}
	b.add(Section{ID: "appendix-chains", Title: "Appendix A: obligation chains", NewPage: true, Blocks: []Block{
		Paragraph{Text: "From each verdict to its elements, their evidence and the facts behind them. Essential elements decide; the others are observations."}}})
	for _, f := range b.a.Frameworks {
		if !f.Applicable && !slices.ContainsFunc(b.a.Obligations, func(o assess.ObligationResult) bool { return o.Framework == f.ID && len(o.Elements) > 0 }) {
			b.chainsOutOfScope(f)
			continue
		}
		t := Table{Head: []string{"Element", "State", "Evidence", "Facts and findings"}, Widths: []int{28, 17, 29, 26}}
		for _, o := range b.a.Obligations {
			if o.Framework != f.ID {
				continue
			}
			head := fmt.Sprintf("%s - %s (%s)", o.ID, o.Verdict, o.Verdict.Code())
			if o.CappedBy != "" {
				head += ", capped by " + o.CappedBy
			}
			if o.IfItWere != "" {
				head += "; if it were in scope: " + o.IfItWere
			}
			t.Rows = append(t.Rows, []Cell{{Text: head, Mono: true}})
			for _, e := range o.Elements {
				id := elementSlug(e)
				if !e.Essential {
					id += " (observation)"
				}
				t.Rows = append(t.Rows, []Cell{{Text: id, Mono: true}, {Status: elementStatus(e.State)}, {Text: join(". ", strings.Join(e.Evidence, "; "), e.Note)},
					{Text: join(", ", strings.Join(e.Facts, ", "), some(e.Findings)), Mono: true}})
			}
			if len(o.Elements) == 0 {
				t.Rows = append(t.Rows, []Cell{{Text: "-"}, {}, {Text: strings.Join(o.Reasons, " ")}, {}})
			}
		}
		if len(t.Rows) > 0 {
			b.add(Section{ID: "appendix-chains-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{t}})
		}
	}
}

// chainsOutOfScope lists a framework that does not bind: there is one reason for
// all of it, and for some rows what the verdict would be.
func (b *builder) chainsOutOfScope(f assess.FrameworkResult) {
	t := Table{Head: []string{"Obligation", "Id", "If it were in scope"}, Widths: []int{46, 26, 28}}
	for _, o := range b.a.Obligations {
		if o.Framework == f.ID {
			st := Status{}
			if o.IfItWere != "" {
				st = Status{o.IfItWere, shapeOfName(o.IfItWere)}
			}
			t.Rows = append(t.Rows, []Cell{{Text: o.Title}, {Text: o.ID, Mono: true}, {Status: st}})
		}
	}
	if len(t.Rows) > 0 {
		t.Note = "A blank means that no headline gap hits the obligation, so nothing was worked out."
		b.add(Section{ID: "appendix-chains-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{StatusRow{Status: Status{"Not in scope", Dash}, Text: or(f.Why, "No reason was given.")}, t}})
	}
}

// some names the first findings and counts the rest; findings.jsonl has all.
func some(ids []string) string {
	const shown = 4
	if len(ids) <= shown+1 {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more findings", strings.Join(ids[:shown], ", "), len(ids)-shown)
}

func (b *builder) appendixGaps() {
	t := Table{Head: []string{"Item", "Obligations hit", "Facts"}, Widths: []int{30, 35, 35}}
	for _, g := range b.a.Gaps {
		t.Rows = append(t.Rows, []Cell{{Text: g.Title}}, []Cell{{Text: "The gap as a whole"}, {}, mono(g.Facts)})
		for _, s := range g.Surfaces {
			t.Rows = append(t.Rows, []Cell{{Text: s.Name}, {}, mono(s.Facts)})
		}
		for _, f := range g.Frameworks {
			t.Rows = append(t.Rows, []Cell{{Text: f.Title}, mono(f.Obligations), {}})
		}
	}
	for i, ps := range [][]assess.PropositionResult{b.a.Needs, b.a.Claims} {
		if len(ps) == 0 {
			continue
		}
		t.Rows = append(t.Rows, []Cell{{Text: []string{"Needs", "Claims"}[i]}})
		for _, p := range ps {
			t.Rows = append(t.Rows, []Cell{{Text: p.ID, Mono: true}, {}, mono(p.Facts)})
		}
	}
	if len(b.a.Checks) > 0 {
		t.Rows = append(t.Rows, []Cell{{Text: "Rollout checks"}})
		for _, c := range b.a.Checks {
			t.Rows = append(t.Rows, []Cell{{Text: c.ID, Mono: true}, {}, mono(c.Facts)})
		}
	}
	if len(t.Rows) > 0 {
		b.add(Section{ID: "appendix-gaps", Title: "Appendix B: facts behind gaps, needs, claims and checks", NewPage: true, Blocks: []Block{t}})
	}
}

func (b *builder) appendixFacts() {
	if len(b.a.FactsUsed) == 0 {
		return
	}
	t := Table{Head: []string{"Fact", "Statement", "In force", "Last verified", "Sources"}, Widths: []int{23, 41, 13, 11, 12}}
	sources := map[string]string{}
	for _, f := range b.a.FactsUsed {
		var keys []string
		for _, s := range f.Sources {
			key, name, read := sourceKey(s)
			if name != "" {
				sources[key] = name
			}
			keys = append(keys, join(" ", key, read))
		}
		force := "No record"
		if f.From != "" {
			force = f.From + " to " + or(f.To, "now known")
		}
		note := f.Note
		if strings.HasPrefix(strings.ToLower(note), "in force since") { // the next columns say so
			note = ""
		}
		t.Rows = append(t.Rows, []Cell{{Text: f.ID, Mono: true}, {Text: join(" ", f.Statement, paren(join(", ", f.Value, f.Confidence)), note)},
			{Text: force}, {Text: or(f.LastVerified, "Never")}, {Text: strings.Join(keys, ", ")}})
	}
	blocks := []Block{
		Paragraph{Text: fmt.Sprintf("%s of the fact set %s, as in force on %s.", title(count(len(t.Rows), "fact")), or(b.a.FactSet, "in use"), or(b.a.AsOf, "the as-of date")) + " A source without a remark was seen itself."}, t}
	if len(sources) > 0 {
		keys := make([]string, 0, len(sources))
		for k := range sources {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(x, y string) int {
			if len(x) != len(y) { // [9] before [10]
				return len(x) - len(y)
			}
			return strings.Compare(x, y)
		})
		st := Table{Head: []string{"Source", "Title"}, Widths: []int{12, 88}}
		for _, k := range keys {
			st.Rows = append(st.Rows, texts(k, sources[k]))
		}
		blocks = append(blocks, Heading{"Sources"}, st)
	}
	b.add(Section{ID: "appendix-facts", Title: "Appendix C: facts used", NewPage: true, Blocks: blocks})
}

// sourceKey parts "[4] Help Center, a page (inferred)" into key, title and how
// it was read, which is left out where the source itself was seen.
func sourceKey(s string) (key, name, read string) {
	i := strings.IndexByte(s, ']')
	if !strings.HasPrefix(s, "[") || i < 0 {
		return s, "", ""
	}
	key, name = s[:i+1], strings.TrimSpace(s[i+1:])
	if at := strings.LastIndexByte(name, '('); at > 0 && strings.HasSuffix(name, ")") {
		name, read = strings.TrimSpace(name[:at]), name[at+1:len(name)-1]
	}
	if read == "seen" {
		read = ""
	}
	return key, name, read
}

func (b *builder) appendixChanges() {
	if len(b.a.ChangedSince) == 0 {
		return
	}
	b.add(Section{ID: "appendix-changes", Title: "Appendix D: facts that changed after the as-of date", NewPage: true, Blocks: []Block{
		Paragraph{Text: fmt.Sprintf("%s between %s and the last verified date.", title(count(len(b.a.ChangedSince), "change")), or(longDay(b.a.AsOf), "the as-of date"))}, b.changes(false)}})
}
