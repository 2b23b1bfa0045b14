package reports

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules/rbac"
)

// Comparison is what differs between two runs: what one policy change does to
// access, spend, alerts, evidence, facts and verdicts. Lists are in a fixed
// order and never nil.
type Comparison struct {
	A        Side               `json:"a"`
	B        Side               `json:"b"`
	Changes  []Setting          `json:"changes"`            // what B has otherwise, where both scenarios are at hand
	Gate     string             `json:"gate,omitempty"`     // in a change log: the phase that began between A and B
	Rollout  []string           `json:"rollout,omitempty"`  // over a capture: what gates hold back, and which state is compared
	LeftOut  string             `json:"left_out,omitempty"` // records of a capture that count for access alone
	Access   *rbac.WhatIfResult `json:"access,omitempty"`   // of A's attempts under both; nil: not replayed
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

// Setting is one setting that B has otherwise. An empty side does not state it.
type Setting struct {
	Key string `json:"key"`
	A   string `json:"a"`
	B   string `json:"b"`
	// Why it could not be tried alone; empty where it was, or where it is the only one.
	NotAlone string `json:"not_alone,omitempty"`
}

func (s Setting) text() string {
	value := func(v string) string {
		if v == "" {
			return "not stated"
		}
		return clip(v, 60)
	}
	if s.A == "" && s.B != "" && s.Key == "" {
		return s.B
	}
	return fmt.Sprintf("%s: %s, now %s", s.Key, value(s.A), value(s.B))
}

// clip cuts visibly.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return strings.TrimRight(string(r[:most-1]), " ") + "…"
	}
	return s
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
	Cause  string `json:"cause,omitempty"`
}

// AlertDelta is a rule with another number of alerts.
type AlertDelta struct {
	Rule  string `json:"rule"`
	Title string `json:"title"`
	A     int    `json:"a"`
	B     int    `json:"b"`
	Cause string `json:"cause,omitempty"`
}

// ValueDelta is a value that differs; "not known" where a side lacks it. Cause is
// the one change that alone brings it about, or empty.
type ValueDelta struct {
	Name  string `json:"name"`
	Words string `json:"words,omitempty"`
	A     string `json:"a"`
	B     string `json:"b"`
	Cause string `json:"cause,omitempty"`
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
	Cause     string         `json:"cause,omitempty"`
}

// Compare holds run b against run a. access may be nil.
func Compare(a, b *rehearsal.Result, access *rbac.WhatIfResult) *Comparison {
	c := compareAssessments(a.Assessment, b.Assessment)
	c.Access = access
	if n, m := a.Assessment.Counters.AfterAsOf, b.Assessment.Counters.AfterAsOf; n+m > 0 {
		c.LeftOut = fmt.Sprintf("Of the stream, %s lie after the as-of date %s", count64(n, "record"), a.Assessment.AsOf)
		if n != m {
			c.LeftOut += fmt.Sprintf(" of A, %s after that of B, %s", count64(m, "record"), b.Assessment.AsOf)
		}
		c.LeftOut += ": they count for access alone, not for spend, alerts, evidence and verdicts. Set as_of to a day after the stream to count them."
	}
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
		c.Spend.Stopped = append(c.Spend.Stopped, StoppedDelta{Member: d.Name, A: d.A, B: d.B})
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
			c.Alerts = append(c.Alerts, AlertDelta{Rule: id, Title: or(tb[id], ta[id]), A: na[id], B: nb[id]})
		}
	}
	return c
}

// compareAssessments is the part of a comparison that two assessments suffice
// for, as when one comes from a bundle.
func compareAssessments(a, b *assess.Assessment) *Comparison {
	c := &Comparison{Changes: []Setting{}, A: sideOf(a), B: sideOf(b), Spend: SpendDelta{SpentA: a.Counters.SpendMicros, SpentB: b.Counters.SpendMicros, Stopped: []StoppedDelta{}},
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
			m[f.ID] = spaced(f.Value)
			if f.From != "" {
				m[f.ID] += " (from " + f.From + ")"
			}
		}
		return m
	}
	c.Evidence = diff(values(a), values(b), "not known")
	inWords := map[string]string{}
	for _, v := range append(slices.Clone(a.Variables), b.Variables...) {
		inWords[v.Name] = v.Words()
	}
	for i := range c.Evidence {
		c.Evidence[i].Words = inWords[c.Evidence[i].Name]
	}
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
			out = append(out, ValueDelta{Name: k, A: x, B: y})
		}
	}
	return out
}

// Attribute names for every difference the change that explains it. One change
// explains all. Of several, each was tried alone over A: a difference that only
// one of them brings about is laid to it, and one that none does has no single
// cause. alone holds a comparison for each of c.Changes, nil where a change could
// not stand alone.
func (c *Comparison) Attribute(alone []*Comparison) {
	cause := func(same func(*Comparison) bool) string {
		if len(c.Changes) == 1 {
			return c.Changes[0].text()
		}
		var by []string
		for i, x := range alone {
			if x != nil && same(x) {
				by = append(by, c.Changes[i].text())
			}
		}
		switch len(by) {
		case 0:
			return ""
		case 1:
			return by[0]
		}
		return eachOf + strings.Join(by, "; ")
	}
	values := func(pick func(*Comparison) []ValueDelta) {
		list := pick(c)
		for i := range list {
			d := &list[i]
			d.Cause = cause(func(x *Comparison) bool {
				return slices.ContainsFunc(pick(x), func(e ValueDelta) bool { return e.Name == d.Name && e.A == d.A && e.B == d.B })
			})
		}
	}
	for _, pick := range []func(*Comparison) []ValueDelta{
		func(x *Comparison) []ValueDelta { return x.Evidence }, func(x *Comparison) []ValueDelta { return x.Facts },
		func(x *Comparison) []ValueDelta { return x.Postures }, func(x *Comparison) []ValueDelta { return x.Claims },
		func(x *Comparison) []ValueDelta { return x.Checks }, func(x *Comparison) []ValueDelta { return x.Gaps },
	} {
		values(pick)
	}
	for i := range c.Alerts {
		d := &c.Alerts[i]
		d.Cause = cause(func(x *Comparison) bool {
			return slices.ContainsFunc(x.Alerts, func(e AlertDelta) bool { return e.Rule == d.Rule && e.A == d.A && e.B == d.B })
		})
	}
	for i := range c.Spend.Stopped {
		d := &c.Spend.Stopped[i]
		d.Cause = cause(func(x *Comparison) bool {
			return slices.ContainsFunc(x.Spend.Stopped, func(e StoppedDelta) bool { return e.Member == d.Member && e.A == d.A && e.B == d.B })
		})
	}
	for i := range c.Verdicts {
		d := &c.Verdicts[i]
		d.Cause = cause(func(x *Comparison) bool {
			return slices.ContainsFunc(x.Verdicts, func(e VerdictDelta) bool { return e.ID == d.ID && e.From == d.From && e.To == d.To })
		})
	}
}

// What the page shows of each kind before the annex takes over. The title over the
// rows says how many there are and how many are shown.
const (
	maxSettings = 4
	maxUses     = 2
	maxOnPage   = 3
	maxMoved    = 3
)

const (
	noSingle = "no one change alone"
	eachOf   = "each of: "
)

// title is what the comparison is called.
func (c *Comparison) title() string {
	switch {
	case c.Gate != "":
		return c.Gate
	case len(c.Changes) == 1:
		return "What one change does: " + c.Changes[0].Key
	}
	return "What changes: " + c.B.Title
}

// Document lays a comparison out for the writers: one page, and an annex with the
// rest.
func (c *Comparison) Document() *Document {
	sides := c.A.Scenario + " (A) against " + c.B.Scenario + " (B)"
	if c.A.Scenario == c.B.Scenario {
		sides = c.A.Scenario + ", as it stands (A) and changed (B)"
	}
	d := &Document{Meta: Meta{Kind: "What if", Title: c.title(), Organisation: sides, AsOf: c.B.AsOf, Evidence: c.B.Evidence, Answer: answerStatus(c.B.Posture)}}
	c.simulated(&d.Meta)
	d.Sections = append(d.Sections, Section{ID: "page", Title: clip(c.title(), 90), Level: 1, NewPage: true, OnePage: true, Blocks: append([]Block{Paragraph{Text: clip(sides, 110), Small: true}}, c.page()...)})
	fresh := true
	add := func(id, title string, blocks ...Block) {
		d.Sections = append(d.Sections, Section{ID: id, Title: title, Level: 2, NewPage: fresh, Blocks: blocks})
		fresh = false
	}
	if len(c.Changes) > 0 {
		t := Table{Head: []string{"Setting", "Under A", "Under B", "Tried alone"}, Widths: []int{26, 28, 28, 18}}
		for _, s := range c.Changes {
			tried := or(s.NotAlone, "Yes")
			if len(c.Changes) == 1 {
				tried = "It is the only one"
			}
			t.Rows = append(t.Rows, []Cell{{Text: s.Key, Mono: true}, {Text: or(s.A, "not stated")}, {Text: or(s.B, "not stated")}, {Text: tried}})
		}
		add("settings", "Annex: the settings that differ", t)
	}
	var rolled []Block
	for _, l := range c.Rollout {
		rolled = append(rolled, Paragraph{Text: l})
	}
	add("access", "Annex: access", append(rolled, c.accessBlocks()...)...)
	add("spend", "Annex: spend", Paragraph{Text: "Spent: " + c.spent() + "."}, rowsOr(c.stoppedTable(c.Spend.Stopped), "Nobody is stopped by a limit who was not, or at another moment."))
	add("alerts", "Annex: alerts", rowsOr(c.alertTable(c.Alerts), "No rule raises another number of alerts."))
	verdicts := Table{Head: []string{"Obligation", "Under A", "Under B", "What changed that it rests on", "Cause"}, Widths: []int{26, 18, 18, 20, 18}}
	for _, v := range c.Verdicts {
		because := make([]string, len(v.Because))
		for i, n := range v.Because {
			because[i] = strings.ReplaceAll(n, "_", " ")
		}
		verdicts.Rows = append(verdicts.Rows, []Cell{{Text: join(" ", v.Citation, v.Title)}, {Status: verdictStatus(v.From)}, {Status: verdictStatus(v.To)}, {Text: or(strings.Join(because, "; "), "another obligation's verdict, or its scope")}, {Text: c.causeOf(v.Cause)}})
	}
	add("verdicts", "Annex: verdicts", rowsOr(c.deltas("Framework", c.Postures), "No framework has another posture."), rowsOr(verdicts, "No verdict moves."))
	add("evidence", "Annex: evidence and facts", rowsOr(c.deltas("Value", c.Evidence), "No value differs."), rowsOr(c.deltas("Fact", c.Facts), "The facts read are the same."))
	add("said", "Annex: gaps, claims and checks", rowsOr(c.deltas("Headline gap", c.Gaps), "The headline gaps stand as they did."),
		rowsOr(c.deltas("Claim or need", c.Claims), "What people said and asked for is judged alike."), rowsOr(c.deltas("Check", c.Checks), "The rollout checks give the same results."))
	return d
}

func (c *Comparison) simulated(m *Meta) {
	if c.A.Evidence != "observed" || c.B.Evidence != "observed" {
		m.Simulated, m.Banner, m.Fictional = true, "Simulated evidence: it can show that a rule fires, not that a control operated", "At least one of the two runs was simulated."
	}
}

// ChangeLog lays out what changed from gate to gate of a rollout, one page each.
func ChangeLog(title, organisation string, steps []*Comparison) *Document {
	d := &Document{Meta: Meta{Kind: "Change log", Title: title, Organisation: organisation}}
	for i, c := range steps {
		if i == 0 || !d.Meta.Simulated {
			c.simulated(&d.Meta)
		}
		d.Meta.AsOf, d.Meta.Evidence, d.Meta.Answer = c.B.AsOf, c.B.Evidence, answerStatus(c.B.Posture)
		d.Sections = append(d.Sections, Section{ID: fmt.Sprintf("gate-%d", i+1), No: fmt.Sprint(i + 1), Title: clip(c.title(), 90), Level: 1, NewPage: true, OnePage: true, Blocks: c.page()})
	}
	return d
}

// page is what one page holds: the answer, what was changed, and what that moves.
func (c *Comparison) page() []Block {
	lead := fmt.Sprintf("The answer is the same: %s.", strings.ToLower(assess.AnswerName(c.B.Posture)))
	if c.A.Posture != c.B.Posture {
		lead = fmt.Sprintf("The answer moves from %s to %s.", strings.ToLower(assess.AnswerName(c.A.Posture)), strings.ToLower(assess.AnswerName(c.B.Posture)))
	}
	blocks := []Block{Lead{lead}}
	what := "What is changed"
	if c.Gate != "" {
		what = "What happened in between"
	}
	if n := len(c.Changes); n > 0 {
		var items []string
		for i, s := range c.Changes[:min(n, maxSettings)] {
			text := clip(s.text(), 110)
			if c.Gate != "" {
				text = clip(s.text(), 140)
			} else if n > 1 {
				text = fmt.Sprintf("%d. %s", i+1, text)
			}
			items = append(items, text)
		}
		if n > maxSettings {
			items = append(items, fmt.Sprintf("and %d more settings, listed in the annex", n-maxSettings))
		}
		blocks = append(blocks, Heading{what}, Bullets{items})
	} else if c.A.AsOf != c.B.AsOf {
		blocks = append(blocks, Heading{what}, Bullets{[]string{fmt.Sprintf("As of: %s, now %s", c.A.AsOf, c.B.AsOf)}})
	}
	if len(c.Rollout) > 0 {
		blocks = append(blocks, Paragraph{Text: "Gates hold phases of the rollout back over this stream; which, and what is compared, stands in the annex under access.", Small: true})
	}
	if c.LeftOut != "" {
		blocks = append(blocks, Paragraph{Text: c.LeftOut})
	}
	t := Table{Head: []string{"What moves", "Under A", "Under B", "Because"}, Widths: []int{32, 19, 19, 30}}
	if c.Gate != "" {
		t.Head = []string{"What moves", "Before", "After", "Because"}
	}
	group := func(text string) { t.Rows = append(t.Rows, []Cell{{Text: text}}) }
	shown := func(n, of int) string {
		if n >= of {
			return ""
		}
		return fmt.Sprintf(" (%d shown, the rest %s)", n, c.where())
	}
	c.accessRows(group, shown, &t)
	stopped := c.Spend.Stopped
	group(fmt.Sprintf("Spend: %s; %s", c.spent(), orNone(len(stopped), "member stopped otherwise", "nobody is stopped otherwise")) + shown(maxOnPage, len(stopped)))
	for _, s := range stopped[:min(len(stopped), maxOnPage)] {
		t.Rows = append(t.Rows, []Cell{{Text: s.Member, Mono: true}, {Text: or(s.A, "never stopped")}, {Text: or(s.B, "never stopped")}, {Text: c.causeOf(s.Cause)}})
	}
	gained, lost := 0, 0
	for _, x := range c.Alerts {
		if x.B > x.A {
			gained += x.B - x.A
		} else {
			lost += x.A - x.B
		}
	}
	if len(c.Alerts) == 0 {
		group("Alerts: no rule raises another number")
	} else {
		group(fmt.Sprintf("Alerts: %d gained, %d lost, by %s", gained, lost, count(len(c.Alerts), "rule")) + shown(maxOnPage, len(c.Alerts)))
	}
	for _, x := range c.Alerts[:min(len(c.Alerts), maxOnPage)] {
		t.Rows = append(t.Rows, texts(or(x.Title, x.Rule), count(x.A, "alert"), count(x.B, "alert"), c.causeOf(x.Cause)))
	}
	// A setting that is itself a value says the same twice.
	evidence := slices.DeleteFunc(slices.Clone(c.Evidence), func(d ValueDelta) bool {
		return slices.ContainsFunc(c.Changes, func(s Setting) bool { return s.Key == d.Name || strings.HasSuffix(s.Key, "."+d.Name) })
	})
	// What moved a verdict first, then what is said in words, then counts of records.
	order := func(d ValueDelta) int {
		switch {
		case slices.ContainsFunc(c.Verdicts, func(v VerdictDelta) bool { return slices.Contains(v.Because, d.Name) }):
			return 0
		case strings.Trim(d.A+d.B, "0123456789.-") != "":
			return 1
		}
		return 2
	}
	byWeight := func(x, y ValueDelta) int { return order(x) - order(y) }
	slices.SortStableFunc(evidence, byWeight)
	facts := slices.Clone(c.Facts)
	slices.SortStableFunc(facts, byWeight)
	all := len(evidence) + len(facts)
	evidence = slices.DeleteFunc(evidence, func(d ValueDelta) bool { return order(d) == 2 }) // counts follow from what people did
	evidence, facts = evidence[:min(len(evidence), maxOnPage)], facts[:min(len(facts), maxOnPage)]
	if all == 0 {
		group("Evidence and facts: the same")
	} else {
		group(fmt.Sprintf("Evidence and facts: %s and %s differ", count(all-len(c.Facts), "value"), count(len(c.Facts), "fact")) + shown(len(evidence)+len(facts), all))
	}
	for _, d := range evidence {
		t.Rows = append(t.Rows, texts(title(or(d.Words, spaced(d.Name))), d.A, d.B, c.causeOf(d.Cause)))
	}
	for _, d := range facts {
		t.Rows = append(t.Rows, []Cell{{Text: d.Name, Mono: true}, {Text: d.A}, {Text: d.B}, {Text: c.causeOf(d.Cause)}})
	}
	if len(c.Postures)+len(c.Verdicts) == 0 {
		group("Verdicts: none moves")
	} else {
		group(fmt.Sprintf("Verdicts: %s and %s move", count(len(c.Postures), "framework"), count(len(c.Verdicts), "obligation")) + shown(maxMoved, len(c.Verdicts)))
	}
	for _, d := range c.Postures {
		t.Rows = append(t.Rows, texts(d.Name, d.A, d.B, c.causeOf(d.Cause)))
	}
	verdicts := slices.Clone(c.Verdicts)
	slices.SortStableFunc(verdicts, func(x, y VerdictDelta) int { return rank(worse(x.From, x.To)) - rank(worse(y.From, y.To)) })
	for _, v := range verdicts[:min(len(verdicts), maxMoved)] {
		t.Rows = append(t.Rows, []Cell{{Text: v.Title}, {Status: verdictStatus(v.From)}, {Status: verdictStatus(v.To)}, {Text: join("; ", c.causeOf(v.Cause), c.by(v.Because))}})
	}

	said := append(append(slices.Clone(c.Gaps), c.Claims...), c.Checks...)
	if len(said) == 0 {
		group("Headline gaps, claims and checks: as they were")
	} else {
		group(fmt.Sprintf("Headline gaps, claims and checks: %d moved", len(said)) + shown(maxOnPage, len(said)))
	}
	for _, d := range said[:min(len(said), maxOnPage)] {
		t.Rows = append(t.Rows, texts(d.Name, d.A, d.B, c.causeOf(d.Cause)))
	}
	if n := len(c.Changes); n == 1 && c.Gate == "" {
		t.Note = "One change was made, so it explains all of this. The last column says by which way, where that is known."
	} else if n > 1 && !c.tried() && c.Gate == "" {
		t.Note = "Causes were not sought: the settings were not tried one by one (" + lowerWords(strings.TrimPrefix(c.Changes[0].NotAlone, "No: ")) + ")."
	} else if n > 1 && c.Gate == "" {
		t.Note = fmt.Sprintf("Because: each setting was tried alone over A. “%s” stands where the difference takes several of them, or was not to be had from any alone.", noSingle)
	}
	for _, r := range t.Rows { // a page is a page, whatever a scenario calls things
		for i := range r {
			if len(r) > 1 {
				r[i].Text = clip(r[i].Text, []int{52, 34, 34, 76}[i])
			}
		}
	}
	return append(blocks, t)
}

// by names the values and facts through which a verdict moved, the first two.
func (c *Comparison) by(names []string) string {
	var said []string
	for _, n := range names {
		word := spaced(n)
		for _, d := range c.Evidence {
			if d.Name == n && d.Words != "" {
				word = d.Words
			}
		}
		said = append(said, word)
	}
	if len(said) > 2 {
		said = append(said[:2], fmt.Sprintf("and %d more", len(names)-2))
	}
	return strings.Join(said, "; ")
}

// where the rest of a list is.
func (c *Comparison) where() string {
	if c.Gate != "" {
		return "in the JSON"
	}
	return "in the annex"
}

func orNone(n int, noun, none string) string {
	if n == 0 {
		return none
	}
	head, tail, _ := strings.Cut(noun, " ")
	return join(" ", count(n, head), tail)
}

// tried reports that at least one setting was tried by itself.
func (c *Comparison) tried() bool {
	return slices.ContainsFunc(c.Changes, func(s Setting) bool { return s.NotAlone == "" })
}

// causeOf is the cause as printed.
func (c *Comparison) causeOf(cause string) string {
	switch {
	case len(c.Changes) < 2 || c.Gate != "" || !c.tried(): // the page says it once
		return ""
	case cause == "":
		return noSingle
	}
	var by []string
	for i, s := range c.Changes {
		if slices.Contains(strings.Split(strings.TrimPrefix(cause, eachOf), "; "), s.text()) {
			by = append(by, strconv.Itoa(i+1))
		}
	}
	if len(by) == 1 {
		return "change " + by[0]
	}
	return "each of the changes " + strings.Join(by, ", ") + " alone"
}

func (c *Comparison) spent() string {
	if c.LeftOut != "" && c.Spend.SpentA+c.Spend.SpentB == 0 {
		return "not reckoned, as nothing spent up to the as-of date is in the stream"
	}
	if c.Gate != "" {
		return fmt.Sprintf("%s before, %s after", dollars(c.Spend.SpentA), dollars(c.Spend.SpentB))
	}
	return fmt.Sprintf("%s under A, %s under B", dollars(c.Spend.SpentA), dollars(c.Spend.SpentB))
}

func (c *Comparison) accessRows(group func(string), shown func(n, of int) string, t *Table) {
	if c.Access == nil {
		group("Access: not replayed; a bundle over a capture holds no stream, so name it with --stream")
		return
	}
	x := c.Access
	row := func(what, from, to, who, why string) {
		t.Rows = append(t.Rows, texts(join(": ", clip(what, 30), who), from, to, why))
	}
	uses, reach := x.Changes[:min(len(x.Changes), maxUses)], x.Reach[:min(len(x.Reach), maxUses)]
	rest := shown(len(uses)+len(reach), len(x.Changes)+len(x.Reach))
	var otherwise, impossible int64
	for _, u := range x.Changes {
		otherwise += u.Uses
	}
	for _, u := range x.Impossible {
		impossible += u.Uses
	}
	if impossible > 0 {
		defer group(fmt.Sprintf("Policy and telemetry disagree: %s happened that A should have made impossible, listed %s", count64(impossible, "use"), c.where()))
	}
	switch {
	case len(x.Changes)+len(x.Reach) == 0:
		group("Access: nobody gains or loses any")
		return
	case x.Attempts > 0:
		group(fmt.Sprintf("Access: %s of %s that happened would be decided otherwise", num(otherwise), count64(x.Attempts, "use")) + rest)
	default:
		group("Access: " + count(len(x.Reach), "right") + " move" + plural(len(x.Reach), "s", "") + rest)
	}
	for _, u := range uses {
		row(u.Question.String(), u.From, u.To, count64(u.Uses, "use")+" by "+count(u.Users, "member"), u.Reason)
	}
	for _, r := range reach {
		row(r.Question.String(), r.From, r.To, count(r.Count, "member")+", used or not", r.Reason)
	}
}

func (c *Comparison) stoppedTable(list []StoppedDelta) Table {
	t := Table{Head: []string{"Member", "First stopped under A", "First stopped under B", "Cause"}, Widths: []int{24, 26, 26, 24}}
	for _, s := range list {
		t.Rows = append(t.Rows, []Cell{{Text: s.Member, Mono: true}, {Text: or(s.A, "never")}, {Text: or(s.B, "never")}, {Text: c.causeOf(s.Cause)}})
	}
	return t
}

func (c *Comparison) alertTable(list []AlertDelta) Table {
	t := Table{Head: []string{"Rule", "Alerts under A", "Alerts under B", "Cause"}, Widths: []int{40, 16, 16, 28}}
	for _, x := range list {
		t.Rows = append(t.Rows, texts(or(x.Title, x.Rule), fmt.Sprint(x.A), fmt.Sprint(x.B), c.causeOf(x.Cause)))
	}
	return t
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
	agree := "None: policy and telemetry agree."
	if c.Access.Attempts == 0 {
		agree = "None was seen, as there is no use to hold the policy against."
	}
	out := []Block{
		Heading{"Uses that change"}, rowsOr(uses(c.Access.Changes), noUse),
		Heading{"What members may do at the end of the period, used or not"}, rowsOr(reach, "Nobody may do more or less."),
		Heading{"Uses that policy A should have made impossible"}, rowsOr(uses(c.Access.Impossible), agree),
	}
	b := c.Access.Blind
	var blind []string
	for _, x := range []struct {
		n    int64
		what string
	}{{b.Undecided, "inside a change that was still on its way, where either answer can be met"}, {b.Unattributed, "without a member"}, {b.Strangers, "of members whom the organisation does not list"},
		{b.Unnamed, "of servers the stream does not name"}, {b.UnnamedItems, "of skills or plugins without a name"}, {b.OtherProduct, "of other products"}} {
		if x.n > 0 {
			blind = append(blind, num(x.n)+" "+x.what)
		}
	}
	if blind != nil {
		out = append(out, Paragraph{Text: "Not judged, in records: " + strings.Join(blind, "; ") + "."})
	}
	return out
}

func (c *Comparison) deltas(what string, ds []ValueDelta) Table {
	t := Table{Head: []string{what, "Under A", "Under B", "Cause"}, Widths: []int{34, 22, 22, 22}}
	for _, d := range ds {
		name := Cell{Text: title(or(d.Words, strings.ReplaceAll(d.Name, "_", " ")))}
		if what == "Fact" {
			name = Cell{Text: d.Name, Mono: true}
		}
		t.Rows = append(t.Rows, []Cell{name, {Text: d.A}, {Text: d.B}, {Text: c.causeOf(d.Cause)}})
	}
	return t
}

func rowsOr(t Table, none string) Block {
	if len(t.Rows) == 0 {
		return Paragraph{Text: none}
	}
	return t
}
