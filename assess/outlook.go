package assess

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// This file asks the model what would be otherwise: without a control, with a
// change, on another day. Everything in it is found by evaluating the model
// again; nothing is written down as an answer.

type controlFile struct {
	Operational []operationalGap `yaml:"operational,required"`
	Controls    []control        `yaml:"controls,required"`
	Levers      []lever          `yaml:"levers,required"`
}

type operationalGap struct {
	Id        string    `yaml:"id,required"`
	Title     string    `yaml:"title,required"`
	States    []outcome `yaml:"states,required"`
	Otherwise string    `yaml:"otherwise,required,enum=unknown|open"`
}

type control struct {
	Id       source.Text            `yaml:"id,required"`
	Title    string                 `yaml:"title,required"`
	Here     source.Text            `yaml:"here,required"` // the organisation has it
	Enforced source.Text            `yaml:"enforced"`      // the platform enforces it; always, when not stated
	Without  map[string]source.Text `yaml:"without"`       // its removal
	Remove   map[string]source.Text `yaml:"remove"`        // its removal from a set
	Facts    []source.Text          `yaml:"facts"`

	here, enforced *condition.Program[state]
	removal        edit
}

type lever struct {
	Id      source.Text            `yaml:"id,required"`
	Kind    string                 `yaml:"kind,required,enum=control|scope|arrangement|plan"`
	Title   string                 `yaml:"title,required"`
	Offered source.Text            `yaml:"offered"` // the platform offers it, judged after the change
	Set     map[string]source.Text `yaml:"set"`
	Add     map[string]source.Text `yaml:"add"`
	Remove  map[string]source.Text `yaml:"remove"`
	Attest  []source.Text          `yaml:"attest"` // what a person would then have to state

	offered *condition.Program[state]
	change  edit
}

// edit is a change of inputs.
type edit struct {
	set         map[string]Value
	copied      map[string]string // variable: the variable whose value it takes
	add, remove map[string][]string
	attest      []string
}

// apply gives changed inputs, and whether anything is different.
func (m *Model) apply(e *edit, in Inputs) (Inputs, bool) {
	out := in
	out.Vars = in.Vars.Clone()
	changed := false
	put := func(n string, v Value) {
		old := in.Vars[n]
		if v.Known != old.Known || v.Bool != old.Bool || v.Int != old.Int || v.Number != old.Number || v.Text != old.Text || !slices.Equal(v.Set, old.Set) {
			changed = true
		}
		if v.Known {
			out.Vars[n] = v
		} else {
			delete(out.Vars, n)
		}
	}
	for n, v := range e.set {
		put(n, v)
	}
	for n, from := range e.copied {
		put(n, in.Vars[from])
	}
	for n, more := range e.add {
		put(n, Set(unique(append(slices.Clone(in.Vars[n].Set), more...))...))
	}
	for n, less := range e.remove {
		if in.Vars[n].Known {
			put(n, Set(slices.DeleteFunc(slices.Clone(in.Vars[n].Set), func(s string) bool { return slices.Contains(less, s) })...))
		}
	}
	for _, id := range e.attest {
		d, err := source.ParseDate(out.Vars["as_of"].Text)
		if err != nil || m.attested(in.Attestations, id, d) == condition.True {
			continue
		}
		out.Attestations = append(slices.Clone(out.Attestations), Attested{ID: id, Date: d, Answer: true})
		changed = true
	}
	return out, changed
}

func (m *Model) compileEdit(set, add, remove map[string]source.Text, attest []source.Text, ps *source.Problems) edit {
	e := edit{set: map[string]Value{}, copied: map[string]string{}, add: map[string][]string{}, remove: map[string][]string{}}
	typ := func(n string, at source.Pos) string {
		if i, ok := m.varIndex[n]; ok {
			return m.vars[i].Type
		}
		ps.Add(at, adviceNearest(n, m.variableNames()), "%q is not a variable", n)
		return ""
	}
	for n, t := range set {
		kind := typ(n, t.At)
		if from, ok := strings.CutPrefix(t.Value, "="); ok {
			typ(from, t.At)
			e.copied[n] = from
			continue
		}
		v, err := parseValue(kind, t.Value)
		if err != nil {
			ps.Add(t.At, "", "%s: %v", n, err)
		}
		e.set[n] = v
	}
	for _, x := range []struct {
		from map[string]source.Text
		to   map[string][]string
	}{{add, e.add}, {remove, e.remove}} {
		for n, t := range x.from {
			if k := typ(n, t.At); k != "" && k != "set" {
				ps.Add(t.At, "only a set can be added to or taken from", "%q is no set", n)
			}
			x.to[n] = items(t.Value)
		}
	}
	for _, t := range attest {
		if m.atts[t.Value] == nil {
			ps.Add(t.At, adviceNearest(t.Value, m.attOrder), "%q is not an attestation id", t.Value)
		}
		e.attest = append(e.attest, t.Value)
	}
	return e
}

func (m *Model) variableNames() []string {
	out := make([]string, len(m.vars))
	for i, v := range m.vars {
		out[i] = v.Name
	}
	return out
}

func (m *Model) compileControls(f *controlFile, ps *source.Problems) {
	for i := range f.Operational {
		for j := range f.Operational[i].States {
			o := &f.Operational[i].States[j]
			o.prog = m.compile(o.When, ps)
		}
	}
	for i := range f.Controls {
		c := &f.Controls[i]
		c.here, c.enforced = m.compile(c.Here, ps), m.compile(c.Enforced, ps)
		c.removal = m.compileEdit(c.Without, nil, c.Remove, nil, ps)
		m.checkFacts(c.Facts, ps)
	}
	for i := range f.Levers {
		l := &f.Levers[i]
		l.offered = m.compile(l.Offered, ps)
		l.change = m.compileEdit(l.Set, l.Add, l.Remove, l.Attest, ps)
	}
	m.operational, m.controls, m.levers = f.Operational, f.Controls, f.Levers
}

// ControlResult says what one control does for this organisation, found by
// taking it away. Label is closes where the state of a named gap depends on it,
// helps where only an element does, and aspirational where nothing changes or
// the platform does not enforce it at the date.
type ControlResult struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Label    string   `json:"label"`
	Gaps     []string `json:"gaps,omitempty"`     // "what it may cost: closed, open without it"
	Elements []string `json:"elements,omitempty"` // elements whose state depends on it
	Reason   string   `json:"reason"`
	Facts    []string `json:"facts"`
}

// gapStates gives every named gap, the operational ones first, by title.
func (s *state) gapStates() (titles []string, states map[string]string) {
	states = map[string]string{}
	for i := range s.m.operational {
		g := &s.m.operational[i]
		st := g.Otherwise
		if o := first(s, g.States); o != nil {
			st = o.State
		}
		titles, states[g.Title] = append(titles, g.Title), st
	}
	for i := range s.m.gaps {
		g := &s.m.gaps[i]
		titles, states[g.Title] = append(titles, g.Title), s.gapState(g)
	}
	return titles, states
}

func (s *state) elementStates() map[string]elementState {
	out := map[string]elementState{}
	for _, fw := range s.m.Frameworks {
		for _, o := range fw.Obligations {
			for _, p := range o.parts {
				out[p.el.Id.Value] = s.element(p.el).state
			}
		}
	}
	return out
}

// Controls labels every control the organisation has. What a control is good for
// does not depend on whether its evidence was played or observed, so both sides
// are read as if observed; no verdict comes out of it.
func (m *Model) Controls(in Inputs) ([]ControlResult, error) {
	in.Vars = in.Vars.Clone()
	in.Vars["evidence_kind"] = Text("observed")
	if d := in.Vars["period_days"]; d.Int < m.operating {
		in.Vars["period_days"] = Int(m.operating)
	}
	s, err := m.newState(&in)
	if err != nil {
		return nil, err
	}
	titles, gaps := s.gapStates()
	elements := s.elementStates()
	out := []ControlResult{}
	for i := range m.controls {
		c := &m.controls[i]
		if c.here.Eval(s) != condition.True {
			continue
		}
		r := ControlResult{ID: c.Id.Value, Title: c.Title, Facts: texts(c.Facts)}
		less, _ := m.apply(&c.removal, in)
		t, err := m.newState(&less)
		if err != nil {
			return nil, err
		}
		_, after := t.gapStates()
		for _, title := range titles {
			if gaps[title] != after[title] {
				r.Gaps = append(r.Gaps, fmt.Sprintf("%s: %s, %s without it", title, gaps[title], after[title]))
			}
		}
		for id, st := range t.elementStates() {
			if elements[id] != st {
				r.Elements = append(r.Elements, id)
			}
		}
		sort.Strings(r.Elements)
		enforced := condition.True
		if c.enforced != nil {
			enforced = c.enforced.Eval(s)
		}
		switch {
		case enforced == condition.False:
			r.Label, r.Reason = "aspirational", "The platform does not enforce it for this plan, arrangement and date."
		case enforced == condition.Unknown:
			r.Label, r.Reason = "aspirational", "Whether the platform enforces it for this plan, arrangement and date is not settled; it counts for nothing until it is."
		case len(r.Gaps) > 0:
			r.Label, r.Reason = "closes", strings.Join(r.Gaps, "; ")+"."
		case len(r.Elements) > 0:
			r.Label, r.Reason = "helps", fmt.Sprintf("No named gap depends on it; %s.", countOf(len(r.Elements), "element does", "elements do"))
		default:
			r.Label, r.Reason = "aspirational", "Taken away, nothing in this assessment changes."
			if missing := s.hidden(&c.removal); missing != "" {
				r.Reason = "Taken away, nothing changes as long as other evidence is missing (" + missing + ")."
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// hidden names the first element that reads what an edit changes and is unknown
// for want of something else.
func (s *state) hidden(e *edit) string {
	for _, fw := range s.m.Frameworks {
		for _, o := range fw.Obligations {
			for _, p := range o.parts {
				ev := s.element(p.el)
				if ev.state != stateUnknown {
					continue
				}
				for n := range e.set {
					if slices.Contains(p.el.reads, n) {
						return lowerFirst(p.el.Name) + ": " + s.because(p.el)
					}
				}
			}
		}
	}
	return ""
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Step is one change of a way out.
type Step struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"` // control | scope | arrangement | plan | wait
	Title string `json:"title"`
}

// WayOut is a least set of changes and what else they do.
type WayOut struct {
	Steps  []Step   `json:"steps"`
	To     string   `json:"to"`
	Breaks []string `json:"breaks"` // verdicts, gaps and frameworks that get worse, observations that appear
}

// WouldChange lists, for the answer or one obligation that has a gap, the least
// sets of changes that lift it. Ways that only leave data or promises out stand
// beside the least one that keeps the use.
type WouldChange struct {
	Of   string   `json:"of"` // "answer" or an obligation id
	From string   `json:"from"`
	Ways []WayOut `json:"ways"` // empty: no pair of changes in the model lifts it
}

type tried struct {
	steps []Step
	j     Judgement
	in    Inputs
}

// WouldChange searches changes one at a time and in pairs, and in threes where
// nothing less moves the answer: settings, scope,
// arrangement, plan, and waiting until a later fact. It evaluates a few thousand
// assessments.
func (m *Model) WouldChange(in Inputs) ([]WouldChange, error) {
	base, err := m.Judge(in)
	if err != nil {
		return nil, err
	}
	singles, waits, err := m.tryAll(in, nil, 0, true)
	if err != nil {
		return nil, err
	}
	open := map[string]bool{}
	for id, v := range base.Verdicts {
		open[id] = v == GapNoConfiguration || v == GapYouCanClose
	}
	var pairs []tried
	for _, w := range append(slices.Clone(singles), waits...) { // what you can do before what you can wait for
		from := 0
		if k := w.steps[0]; k.Kind != "wait" {
			from = 1 + slices.IndexFunc(m.levers, func(l lever) bool { return l.Id.Value == k.ID })
		}
		more, _, err := m.tryAll(w.in, w.steps, from, false)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, more...)
	}
	all := append(append(slices.Clone(singles), waits...), pairs...)
	var out []WouldChange
	if base.Answer == NotSupportable || base.Answer == Verify {
		lifts := func(j Judgement) (string, bool) {
			return AnswerName(j.Answer), answerOrder(j.Answer) < answerOrder(base.Answer)
		}
		ways := m.ways(in, base, all, lifts)
		if len(ways) == 0 { // several frameworks at once: a third change, of what decides platform gaps
			var triples []tried
			for _, t := range all {
				if len(t.steps) != 2 || t.steps[0].Kind == "control" || t.steps[1].Kind == "control" {
					continue
				}
				from := 1 + slices.IndexFunc(m.levers, func(l lever) bool { return l.Id.Value == t.steps[1].ID })
				more, _, err := m.tryAll(t.in, t.steps, from, false)
				if err != nil {
					return nil, err
				}
				triples = append(triples, more...)
			}
			ways = m.ways(in, base, triples, lifts)
		}
		out = append(out, WouldChange{Of: "answer", From: AnswerName(base.Answer), Ways: ways})
	}
	for _, fw := range m.Frameworks {
		for _, o := range fw.Obligations {
			id := o.Id.Value
			if !open[id] {
				continue
			}
			out = append(out, WouldChange{Of: id, From: base.Verdicts[id].String(), Ways: m.ways(in, base, all, func(j Judgement) (string, bool) {
				return j.Verdicts[id].String(), verdictRank(j.Verdicts[id]) < verdictRank(base.Verdicts[id])
			})})
		}
	}
	return out, nil
}

func answerOrder(a string) int {
	switch a {
	case NotSupportable:
		return 4
	case Verify, NotEvaluable:
		return 3
	case WithConditions:
		return 2
	}
	return 1
}

// tryAll applies each lever from index from on to in, and where wait is set
// each later day on which a fact of the plan changes.
func (m *Model) tryAll(in Inputs, before []Step, from int, wait bool) (levers, waits []tried, err error) {
	for i := from; i < len(m.levers); i++ {
		l := &m.levers[i]
		next, changed := m.apply(&l.change, in)
		if !changed {
			continue
		}
		s, err := m.newState(&next)
		if err != nil {
			return nil, nil, err
		}
		if l.offered != nil && (l.offered.Eval(s) == condition.False || s.unrecorded(l.offered)) {
			continue
		}
		t := tried{steps: append(slices.Clone(before), Step{l.Id.Value, l.Kind, l.Title}), in: next}
		t.j = s.judgement(s.evaluate())
		levers = append(levers, t)
	}
	if !wait {
		return levers, nil, nil
	}
	asOf, err := source.ParseDate(in.Vars["as_of"].Text)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range m.facts.Changes(asOf, m.facts.LastVerified()) {
		d := c.Date.String()
		if len(waits) > 0 && waits[len(waits)-1].steps[0].ID == "wait-"+d || !m.readFacts[c.Fact] {
			continue
		}
		next := in
		next.Vars = in.Vars.Clone()
		next.Vars["as_of"] = Text(d)
		if u := next.Vars["use_start"]; u.Known && u.Text < d && in.Vars["evidence_kind"].Text != "observed" {
			next.Vars["use_start"] = Text(d) // what has not begun begins then
		}
		j, err := m.Judge(next)
		if err != nil {
			return nil, nil, err
		}
		waits = append(waits, tried{steps: []Step{{"wait-" + d, "wait", "Wait for what is documented from " + d + " on"}}, j: j, in: next})
	}
	return levers, waits, nil
}

// ways picks the smallest sets that lift, one of each mixture of kinds, and
// beside sets that give up scope the smallest that do not.
func (m *Model) ways(in Inputs, base Judgement, all []tried, lifts func(Judgement) (string, bool)) []WayOut {
	out := []WayOut{}
	pick := func(keep func(tried) bool) {
		size, seen := 0, map[string]bool{}
		for _, t := range all {
			to, ok := lifts(t.j)
			if !ok || !keep(t) || size > 0 && len(t.steps) > size {
				continue
			}
			size = len(t.steps)
			var kinds []string
			for _, s := range t.steps {
				kinds = append(kinds, s.Kind)
			}
			sort.Strings(kinds)
			key := strings.Join(kinds, "+")
			if seen[key] && strings.Contains(key, "wait") || slices.ContainsFunc(out, func(w WayOut) bool { return slices.Equal(w.Steps, t.steps) }) {
				continue // the earliest day is enough
			}
			seen[key] = true
			out = append(out, WayOut{Steps: t.steps, To: to, Breaks: m.breaks(in, base, t)})
		}
	}
	scope := func(t tried) bool {
		return slices.ContainsFunc(t.steps, func(s Step) bool { return s.Kind == "scope" })
	}
	pick(func(tried) bool { return true })
	if !slices.ContainsFunc(out, func(w WayOut) bool {
		return !slices.ContainsFunc(w.Steps, func(s Step) bool { return s.Kind == "scope" })
	}) {
		pick(func(t tried) bool { return !scope(t) })
	}
	if len(out) > maxWays {
		out = out[:maxWays]
	}
	return out
}

// maxWays bounds what is printed for one gap; the search is complete.
const maxWays = 6

// breaks lists what a set of changes makes worse elsewhere.
func (m *Model) breaks(in Inputs, base Judgement, t tried) []string {
	out := []string{}
	for _, fw := range m.Frameworks {
		for _, o := range fw.Obligations {
			id := o.Id.Value
			switch a, b := base.Verdicts[id], t.j.Verdicts[id]; {
			case a == NotApplicable && b != NotApplicable:
				out = append(out, fmt.Sprintf("%s: comes into scope, %s", o.Citation, lowerFirst(b.String())))
			case verdictRank(b) > verdictRank(a):
				out = append(out, fmt.Sprintf("%s: %s becomes %s", o.Citation, lowerFirst(a.String()), lowerFirst(b.String())))
			}
		}
	}
	for i := range m.gaps {
		g := &m.gaps[i]
		order := map[string]int{"open": 3, "unknown": 2, "unattested": 1, "partial": 1}
		if a, b := base.Gaps[g.Id.Value], t.j.Gaps[g.Id.Value]; order[b] > order[a] {
			out = append(out, fmt.Sprintf("%s: %s becomes %s", g.Title, a, b))
		}
	}
	s, err := m.newState(&in)
	n, err2 := m.newState(&t.in)
	if err != nil || err2 != nil {
		return out
	}
	had := map[string]bool{}
	for _, o := range m.observe(s, nil) {
		had[o.ID] = true
	}
	for _, o := range m.observe(n, nil) {
		if !had[o.ID] {
			out = append(out, o.Text+" ["+o.ID+"]")
		}
	}
	return out
}

// Move is a day on which an organisation's reading changed. The first move of a
// timeline is its first day.
type Move struct {
	Date     string            `json:"date"`
	Answer   string            `json:"answer"`
	Postures map[string]string `json:"postures"`
	Gaps     map[string]string `json:"gaps"`
	Verdicts []VerdictMove     `json:"verdicts,omitempty"`
	Facts    []FactMove        `json:"facts,omitempty"` // the facts that read otherwise than the day before, of those the moved verdicts and gaps rest on
}

// VerdictMove is one obligation whose verdict changed, and why.
type VerdictMove struct {
	Obligation string   `json:"obligation"`
	From       Verdict  `json:"from"`
	To         Verdict  `json:"to"`
	Facts      []string `json:"facts"` // empty: an attestation came into force or ran out
}

// FactMove is one fact as read on the two days.
type FactMove struct {
	Fact string `json:"fact"`
	From string `json:"from"`
	To   string `json:"to"`
	Why  string `json:"why"`
}

// Timeline reads the same inputs on every day from from to to, both inclusive,
// and gives the days on which anything changed with the facts that moved it.
func (m *Model) Timeline(in Inputs, from, to source.Date) ([]Move, error) {
	if to.Before(from) {
		return nil, fmt.Errorf("assess: the range ends on %s, before it starts on %s", to, from)
	}
	var out []Move
	var prev *state
	var before Judgement
	for d := from; !d.After(to); d = d.Add(1) {
		s, err := m.stateWith(&in, Vars{"as_of": Text(d.String())}, prev)
		if err != nil {
			return nil, err
		}
		j := s.judgement(s.evaluate())
		mv := Move{Date: d.String(), Answer: j.Answer, Postures: j.Postures, Gaps: j.Gaps}
		if prev == nil {
			out = append(out, mv)
		} else if moved := m.moved(prev, s, before, j, &mv); moved {
			out = append(out, mv)
		}
		prev, before = s, j
	}
	return out, nil
}

func (m *Model) moved(a, b *state, before, after Judgement, mv *Move) bool {
	changed := before.Answer != after.Answer
	facts := map[string]FactMove{}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a.answers)), maps.Keys(b.answers))
	slices.SortFunc(keys, func(x, y factKey) int { return cmp.Or(strings.Compare(x.id, y.id), strings.Compare(x.mode, y.mode)) })
	for _, k := range keys { // of a fact that moves in several modes the first is told
		x, y := a.answer(k.id, k.mode), b.answer(k.id, k.mode)
		if _, told := facts[k.id]; !told && (x.Value != y.Value || x.Record != y.Record || x.InInterval != y.InInterval) {
			facts[k.id] = FactMove{Fact: k.id, From: x.Value.String(), To: y.Value.String(), Why: y.Reason()}
		}
	}
	used := map[string]bool{}
	note := func(ids []string) (cited []string) {
		for _, id := range ids {
			if _, ok := facts[id]; ok {
				cited, used[id] = append(cited, id), true
			}
		}
		sort.Strings(cited)
		return slices.Compact(cited)
	}
	for _, fw := range m.Frameworks {
		changed = changed || before.Postures[fw.Id.Value] != after.Postures[fw.Id.Value]
		for _, o := range fw.Obligations {
			id := o.Id.Value
			if before.Verdicts[id] == after.Verdicts[id] {
				if before.Answer != after.Answer && before.doubted[id] != after.doubted[id] { // the answer moves by the doubt alone
					note(m.factsBehind(o, func(el *element) bool {
						return a.element(el).state != b.element(el).state || a.element(el).predicate != b.element(el).predicate
					}))
				}
				continue
			}
			changed = true
			vm := VerdictMove{Obligation: id, From: before.Verdicts[id], To: after.Verdicts[id], Facts: note(m.factsBehind(o, func(el *element) bool { return a.element(el).state != b.element(el).state }))}
			if vm.Facts == nil {
				vm.Facts = []string{}
			}
			mv.Verdicts = append(mv.Verdicts, vm)
		}
	}
	for i := range m.gaps {
		g := &m.gaps[i]
		if before.Gaps[g.Id.Value] != after.Gaps[g.Id.Value] {
			changed = true
			ids := texts(g.Facts)
			for _, st := range g.States {
				ids = append(ids, m.factsOf(st.prog)...)
			}
			note(ids)
		}
	}
	for id := range used {
		mv.Facts = append(mv.Facts, facts[id])
	}
	sort.Slice(mv.Facts, func(i, j int) bool { return mv.Facts[i].Fact < mv.Facts[j].Fact })
	return changed
}

// factsBehind lists every fact an obligation rests on through the elements that
// match, its applicability, and the obligations that cap it.
func (m *Model) factsBehind(o *Obligation, match func(*element) bool) []string {
	out := m.factsOf(o.applies)
	for _, p := range o.parts {
		if !p.essential || !match(p.el) {
			continue
		}
		out = append(out, texts(p.el.Facts)...)
		for _, prog := range []*condition.Program[state]{p.el.needs, p.el.met, p.el.short} {
			out = append(out, m.factsOf(prog)...)
		}
	}
	for _, c := range o.CappedBy { // one level deep, as the loader makes sure
		if capper := m.obligationByID(c.Value); capper != nil {
			out = append(out, m.factsBehind(capper, match)...)
		}
	}
	return out
}

func (m *Model) factsOf(prog *condition.Program[state]) []string {
	if prog == nil {
		return nil
	}
	var out []string
	for _, n := range m.closure(prog.Uses()) {
		if i, ok := m.predIndex[n]; ok {
			out = append(out, texts(m.preds[i].Facts)...)
		}
	}
	for _, c := range prog.Calls() {
		if c.Func == "fact" || c.Func == "fact_param" {
			out = append(out, c.Args[0])
		}
	}
	return out
}

func (m *Model) obligationByID(id string) *Obligation {
	for _, fw := range m.Frameworks {
		for _, o := range fw.Obligations {
			if o.Id.Value == id {
				return o
			}
		}
	}
	return nil
}
