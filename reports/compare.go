package reports

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
)

// Comparison is what differs between two runs: what one policy change does to
// access, spend, alerts, evidence, facts and verdicts. Lists are in a fixed
// order and never nil.
type Comparison struct {
	A        Side               `json:"a"`
	B        Side               `json:"b"`
	Access   *rbac.WhatIfResult `json:"access,omitempty"` // of A's attempts under both; nil: not replayed
	Spend    SpendDelta         `json:"spend"`
	Alerts   []AlertDelta       `json:"alerts"`
	Evidence []ValueDelta       `json:"evidence"`
	Facts    []ValueDelta       `json:"facts"`
	Postures []ValueDelta       `json:"postures"`
	Verdicts []VerdictDelta     `json:"verdicts"`
	Claims   []ValueDelta       `json:"claims"`
	Checks   []ValueDelta       `json:"checks"`
	Gaps     []ValueDelta       `json:"gaps"`
}

// Side is one of the two.
type Side struct {
	Scenario string `json:"scenario"`
	Title    string `json:"title"`
	AsOf     string `json:"as_of"`
	Evidence string `json:"evidence"`
	Posture  string `json:"posture"`
	Answer   string `json:"answer"`
	Prices   string `json:"prices,omitempty"` // the list laid over the shipped one
}

// SpendDelta is who was stopped by a limit and what was spent.
type SpendDelta struct {
	SpentA  int64          `json:"spent_a_micros"`
	SpentB  int64          `json:"spent_b_micros"`
	Stopped []StoppedDelta `json:"stopped"`
}

// StoppedDelta is a member whom a limit stopped on one side, or at another
// moment. A side on which nobody stopped the member is empty.
type StoppedDelta struct {
	Member string `json:"member"`
	A      string `json:"a"`
	B      string `json:"b"`
}

// AlertDelta is a rule with another number of alerts.
type AlertDelta struct {
	Rule  string `json:"rule"`
	Title string `json:"title"`
	A     int    `json:"a"`
	B     int    `json:"b"`
}

// ValueDelta is a value that differs; "not known" where a side lacks it.
type ValueDelta struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// VerdictDelta is a verdict that moved. Because names the values and facts that
// changed and that its elements read: one change explains it, or several may.
type VerdictDelta struct {
	ID        string         `json:"id"`
	Framework string         `json:"framework"`
	Citation  string         `json:"citation"`
	Title     string         `json:"title"`
	From      assess.Verdict `json:"from"`
	To        assess.Verdict `json:"to"`
	Because   []string       `json:"because"`
}

// Compare holds run b against run a. access may be nil.
func Compare(a, b *rehearsal.Result, access *rbac.WhatIfResult) *Comparison {
	c := CompareAssessments(a.Assessment, b.Assessment)
	c.Access = access
	c.Spend.SpentA, c.Spend.SpentB = a.Spend.Total, b.Spend.Total
	first := func(r *rehearsal.Result) map[string]string {
		m := map[string]string{}
		if r.Spend.Stopped != nil {
			for _, w := range r.Spend.Stopped.Who {
				m[w.Member] = w.First.Format("2006-01-02 15:04")
			}
			return m
		}
		for _, w := range r.Spend.WouldBlock {
			if t := w.Time.UTC().Format("2006-01-02 15:04"); m[w.Member] == "" || t < m[w.Member] {
				m[w.Member] = t
			}
		}
		return m
	}
	for _, d := range diff(first(a), first(b), "") {
		c.Spend.Stopped = append(c.Spend.Stopped, StoppedDelta{d.Name, d.A, d.B})
	}
	counts := func(r *rehearsal.Result) (map[string]int, map[string]string) {
		n, titles := map[string]int{}, map[string]string{}
		for _, row := range r.Rules {
			n[row.ID], titles[row.ID] = row.Alerts, row.Title
		}
		return n, titles
	}
	na, ta := counts(a)
	nb, tb := counts(b)
	for _, id := range union(na, nb) {
		if na[id] != nb[id] {
			c.Alerts = append(c.Alerts, AlertDelta{id, or(tb[id], ta[id]), na[id], nb[id]})
		}
	}
	return c
}

// CompareAssessments is the part of a comparison that two assessments suffice
// for, as when one comes from a bundle.
func CompareAssessments(a, b *assess.Assessment) *Comparison {
	c := &Comparison{A: sideOf(a), B: sideOf(b), Spend: SpendDelta{SpentA: a.Counters.SpendMicros, SpentB: b.Counters.SpendMicros, Stopped: []StoppedDelta{}},
		Alerts: []AlertDelta{}, Verdicts: []VerdictDelta{}}
	values := func(x *assess.Assessment) map[string]string {
		m := map[string]string{}
		for _, v := range x.Variables {
			m[v.Name] = v.Value
		}
		return m
	}
	facts := func(x *assess.Assessment) map[string]string {
		m := map[string]string{}
		for _, f := range x.FactsUsed {
			m[f.ID] = join(" ", f.Value, paren(join(" ", "from", f.From)))
		}
		return m
	}
	c.Evidence = diff(values(a), values(b), "not known")
	c.Facts = diff(facts(a), facts(b), "not read")
	c.Postures = diff(mapped(a.Frameworks, func(f assess.FrameworkResult) (string, string) { return f.Title, postureStatus(f).Word }),
		mapped(b.Frameworks, func(f assess.FrameworkResult) (string, string) { return f.Title, postureStatus(f).Word }), "not assessed")
	c.Gaps = diff(mapped(a.Gaps, func(g assess.Gap) (string, string) { return g.Title, stateStatus(g.State).Word }),
		mapped(b.Gaps, func(g assess.Gap) (string, string) { return g.Title, stateStatus(g.State).Word }), "not assessed")
	said := func(x *assess.Assessment) map[string]string {
		return mapped(append(append([]assess.PropositionResult{}, x.Claims...), x.Needs...), func(p assess.PropositionResult) (string, string) {
			return strings.TrimSpace(p.Text), strings.ToLower(propositionStatus(p.Verdict).Word)
		})
	}
	c.Claims = diff(said(a), said(b), "not asked")
	checks := func(x *assess.Assessment) map[string]string {
		return mapped(x.Checks, func(k assess.CheckResult) (string, string) { return k.ID + " " + k.Title, checkStatus(k.Result).Word })
	}
	c.Checks = diff(checks(a), checks(b), "not run")

	moved := map[string]bool{}
	for _, d := range append(slices.Clone(c.Evidence), c.Facts...) {
		moved[d.Name] = true
	}
	before := map[string]assess.ObligationResult{}
	for _, o := range a.Obligations {
		before[o.ID] = o
	}
	for _, o := range b.Obligations {
		was, ok := before[o.ID]
		if !ok || was.Verdict == o.Verdict {
			continue
		}
		v := VerdictDelta{ID: o.ID, Framework: o.Framework, Citation: o.Citation, Title: o.Title, From: was.Verdict, To: o.Verdict, Because: []string{}}
		for _, e := range append(slices.Clone(was.Elements), o.Elements...) {
			names := slices.Clone(e.Facts)
			for _, ev := range e.Evidence {
				name, _, _ := strings.Cut(ev, " = ")
				names = append(names, name)
			}
			for _, n := range names {
				if moved[n] && e.Essential && !slices.Contains(v.Because, n) {
					v.Because = append(v.Because, n)
				}
			}
		}
		c.Verdicts = append(c.Verdicts, v)
	}
	return c
}

func sideOf(a *assess.Assessment) Side {
	return Side{Scenario: a.Scenario, Title: a.Title, AsOf: a.AsOf, Evidence: a.Evidence, Posture: a.Answer.Posture, Answer: a.Answer.Text}
}

func mapped[T any](list []T, pair func(T) (string, string)) map[string]string {
	m := map[string]string{}
	for _, x := range list {
		k, v := pair(x)
		m[k] = v
	}
	return m
}

func union[V any](a, b map[string]V) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

func diff(a, b map[string]string, missing string) []ValueDelta {
	out := []ValueDelta{}
	for _, k := range union(a, b) {
		x, inA := a[k]
		y, inB := b[k]
		if !inA {
			x = missing
		}
		if !inB {
			y = missing
		}
		if x != y {
			out = append(out, ValueDelta{k, x, y})
		}
	}
	return out
}

// Document lays a comparison out for the writers.
func (c *Comparison) Document() *Document {
	d := &Document{Meta: Meta{Title: "What changes: " + c.B.Title, Organisation: c.A.Scenario + " against " + c.B.Scenario, AsOf: c.B.AsOf, Evidence: c.B.Evidence}}
	if c.A.Evidence != "observed" || c.B.Evidence != "observed" {
		d.Meta.Simulated, d.Meta.Banner, d.Meta.Fictional = true, "Simulated evidence: it can show that a rule fires, not that a control operated", "At least one of the two runs was simulated."
	}
	add := func(id, title string, blocks ...Block) {
		d.Sections = append(d.Sections, Section{ID: id, Title: title, Level: 1, Blocks: blocks})
	}
	answer := Table{Head: []string{"", "A: " + c.A.Scenario, "B: " + c.B.Scenario}, Widths: []int{20, 40, 40}, Rows: [][]Cell{
		texts("As of", c.A.AsOf, c.B.AsOf), {{Text: "Answer"}, {Status: answerStatus(c.A.Posture)}, {Status: answerStatus(c.B.Posture)}},
	}}
	if c.B.Prices != "" {
		answer.Rows = append(answer.Rows, texts("Prices", "shipped list", "those of "+c.B.Prices+" over it"))
	}
	lead := "The answer is the same."
	if c.A.Posture != c.B.Posture {
		lead = fmt.Sprintf("The answer moves from %s to %s.", strings.ToLower(assess.AnswerName(c.A.Posture)), strings.ToLower(assess.AnswerName(c.B.Posture)))
	}
	add("answer", "The answer", Lead{lead}, answer, c.inShort())
	add("access", "Access", c.accessBlocks()...)
	spent := []Block{Paragraph{Text: fmt.Sprintf("Spent: %s under A, %s under B.", spend.Dollars(c.Spend.SpentA), spend.Dollars(c.Spend.SpentB))}}
	if len(c.Spend.Stopped) > 0 {
		t := Table{Head: []string{"Member", "First stopped under A", "First stopped under B"}, Widths: []int{30, 35, 35}}
		for _, s := range c.Spend.Stopped {
			t.Rows = append(t.Rows, []Cell{{Text: s.Member, Mono: true}, {Text: or(s.A, "never")}, {Text: or(s.B, "never")}})
		}
		spent = append(spent, t)
	} else {
		spent = append(spent, Paragraph{Text: "Nobody is stopped by a limit who was not, or at another moment."})
	}
	add("spend", "Spend", spent...)
	alerts := Table{Head: []string{"Rule", "Alerts under A", "Alerts under B"}, Widths: []int{56, 22, 22}}
	for _, x := range c.Alerts {
		alerts.Rows = append(alerts.Rows, texts(or(x.Title, x.Rule), fmt.Sprint(x.A), fmt.Sprint(x.B)))
	}
	add("alerts", "Alerts", rowsOr(alerts, "No rule raises another number of alerts."))
	verdicts := Table{Head: []string{"Obligation", "Under A", "Under B", "What changed that it rests on"}, Widths: []int{32, 20, 20, 28}}
	for _, v := range c.Verdicts {
		because := make([]string, len(v.Because))
		for i, n := range v.Because {
			because[i] = strings.ReplaceAll(n, "_", " ")
		}
		verdicts.Rows = append(verdicts.Rows, []Cell{{Text: join(" ", v.Citation, v.Title)}, {Status: verdictStatus(v.From)}, {Status: verdictStatus(v.To)}, {Text: or(strings.Join(because, "; "), "another obligation's verdict, or its scope")}})
	}
	add("verdicts", "Verdicts", rowsOr(deltaTable("Framework", c.Postures), "No framework has another posture."), rowsOr(verdicts, "No verdict moves."))
	add("evidence", "Evidence and facts", rowsOr(deltaTable("Value", c.Evidence), "No value differs."), rowsOr(deltaTable("Fact", c.Facts), "The facts read are the same."))
	add("said", "Gaps, claims and checks", rowsOr(deltaTable("Headline gap", c.Gaps), "The headline gaps stand as they did."),
		rowsOr(deltaTable("Claim or need", c.Claims), "What people said and asked for is judged alike."), rowsOr(deltaTable("Check", c.Checks), "The rollout checks give the same results."))
	return d
}

func (c *Comparison) inShort() Block {
	items := []string{
		fmt.Sprintf("%s %s.", count(len(c.Verdicts), "verdict"), plural(len(c.Verdicts), "moves", "move")),
		fmt.Sprintf("%s %s stopped by a limit at another moment, or on one side only.", count(len(c.Spend.Stopped), "member"), isAre(len(c.Spend.Stopped))),
		fmt.Sprintf("%s %s another number of alerts.", count(len(c.Alerts), "rule"), plural(len(c.Alerts), "raises", "raise")),
		fmt.Sprintf("%s and %s differ.", count(len(c.Evidence), "value"), count(len(c.Facts), "fact")),
	}
	if c.Access != nil {
		if c.Access.Attempts == 0 {
			items = append([]string{"No use of A stands in a stream, so no use can be judged again."}, items...)
			return Bullets{items}
		}
		items = append([]string{fmt.Sprintf("%s of %s that really happened under A would be decided otherwise.", num(c.Access.Attempts-c.Access.Unchanged), count64(c.Access.Attempts, "use"))}, items...)
	}
	return Bullets{items}
}

func count64(n int64, noun string) string {
	return num(n) + " " + noun + plural(int(min(n, 2)), "", "s")
}

func (c *Comparison) accessBlocks() []Block {
	if c.Access == nil {
		return []Block{Paragraph{Text: "Not replayed: a bundle over a capture holds no stream. Name the stream with --stream."}}
	}
	uses := func(list []rbac.UseChange) Table {
		t := Table{Head: []string{"What", "Under A", "Under B", "Uses", "Members", "First and last", "Why"}, Widths: []int{20, 10, 10, 8, 10, 20, 22}}
		for _, u := range list {
			t.Rows = append(t.Rows, texts(u.Question.String(), u.From, u.To, num(u.Uses), fmt.Sprint(u.Users), u.First.Format("2006-01-02")+" to "+u.Last.Format("2006-01-02"), u.Reason))
		}
		return t
	}
	reach := Table{Head: []string{"What", "Under A", "Under B", "Members", "Why"}, Widths: []int{28, 14, 14, 12, 32}}
	for _, r := range c.Access.Reach {
		reach.Rows = append(reach.Rows, texts(r.Question.String(), r.From, r.To, fmt.Sprint(r.Count), r.Reason))
	}
	noUse := "No use that happened is decided otherwise."
	if c.Access.Attempts == 0 {
		noUse = "A exports no telemetry, or the stream holds no use of a known member: what would change in daily work is not known."
	}
	return []Block{
		Heading{"Uses that change"}, rowsOr(uses(c.Access.Changes), noUse),
		Heading{"What members may do at the end of the period, used or not"}, rowsOr(reach, "Nobody may do more or less."),
		Heading{"Uses that policy A should have made impossible"}, rowsOr(uses(c.Access.Impossible), "None: policy and telemetry agree."),
	}
}

func deltaTable(what string, ds []ValueDelta) Table {
	t := Table{Head: []string{what, "Under A", "Under B"}, Widths: []int{40, 30, 30}}
	for _, d := range ds {
		t.Rows = append(t.Rows, texts(strings.ReplaceAll(d.Name, "_", " "), d.A, d.B))
	}
	return t
}

func rowsOr(t Table, none string) Block {
	if len(t.Rows) == 0 {
		return Paragraph{Text: none}
	}
	return t
}
