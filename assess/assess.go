package assess

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Request is what a run asks of the assessor beyond the inputs.
type Request struct {
	Inputs
	Claims, Needs []Asked
	Workloads     []WorkloadResult // posture and why are filled in
	Scope         []ScopeLine
	Assumptions   []string
	// FindingIDs by variable: which findings made a violation variable what it is.
	FindingIDs map[string][]string
	Question   string // what page one answers, e.g. "May we use Cowork for claims?"
	// Latest is the day whose facts the strip beside the answer looks at; not
	// given means the last day any fact was verified.
}

// Assess holds the inputs against every obligation. It fills the parts of the
// document that follow from inputs and facts; the caller adds the run's own
// header, counters and evidence index.
func (m *Model) Assess(rq Request) (*Assessment, error) {
	s, err := m.newState(&rq.Inputs)
	if err != nil {
		return nil, err
	}
	fes := s.evaluate()
	posture := s.overall(fes)
	s.vals[m.varIndex["answer"]] = Text(posture)
	a := &Assessment{
		AsOf: s.asOf.String(), Scope: nn(rq.Scope), Assumptions: nn(rq.Assumptions), Workloads: rq.Workloads,
		Obligations: make([]ObligationResult, 0, m.obligationCount), Gaps: []Gap{}, Limitations: m.limits, Evidence: s.get("evidence_kind").Text,
		Track: "advisory",
	}
	if rq.Exam {
		a.Track = "exam"
	}
	forced := map[string]*frameworkEval{}
	for i := range fes {
		fe := &fes[i]
		fr := FrameworkResult{ID: fe.fw.Id.Value, Title: fe.fw.Title, Applicable: fe.applies != condition.False, Posture: fe.posture, Counts: map[string]int{}, GoodPractice: fe.fw.GoodPractice && fe.applies == condition.False}
		switch fe.applies {
		case condition.True:
			fr.Why = fe.fw.AppliesWords
		case condition.Unknown:
			fr.Why = "Applicability assumed: not everything that decides it was declared. " + fe.fw.AppliesWords
			a.Assumptions = append(a.Assumptions, fe.fw.Title+" is treated as applicable because its scope was not fully declared.")
		default:
			fr.Why = fe.fw.NotApplicableWords
			f, err := m.ifItWere(s, fe.fw)
			if err != nil {
				return nil, err
			}
			forced[fe.fw.Id.Value] = f
		}
		for _, v := range Verdicts() {
			fr.Counts[v.Code()] = 0
		}
		for j := range fe.obs {
			fr.Counts[fe.obs[j].verdict.Code()]++
		}
		a.Frameworks = append(a.Frameworks, fr)
		for j := range fe.obs {
			ob := &fe.obs[j]
			a.Obligations = append(a.Obligations, s.result(ob, rq.FindingIDs))
			if f := forced[fe.fw.Id.Value]; f != nil && len(ob.o.Gaps) > 0 {
				a.Obligations[len(a.Obligations)-1].IfItWere = f.obs[j].verdict.String()
			}
		}
	}
	a.Claims = m.judge(s, m.claims, rq.Claims, "unverifiable")
	a.Needs = m.judge(s, m.needs, rq.Needs, "verify")
	a.Checks = m.runChecks(s)
	a.Observations = m.observe(s, rq.FindingIDs)
	for i := range m.gaps {
		a.Gaps = append(a.Gaps, m.gap(s, &m.gaps[i], fes, forced))
	}
	for i := range a.Workloads {
		m.workload(s, &a.Workloads[i], fes)
	}
	a.Answer = m.answer(s, rq, posture, fes, a)
	a.Disputes = m.disputesUsed(fes)
	for i, v := range m.vars {
		if s.vals[i].Known && v.Name != "answer" {
			a.Variables = append(a.Variables, VariableUse{Name: v.Name, Value: s.vals[i].format(v.Type), Class: v.Class, Origin: s.vals[i].Origin, Means: v.Means})
		}
	}
	for i := range m.preds {
		p := &m.preds[i]
		u := PredicateUse{Name: p.Name, Means: p.Means, Facts: texts(p.Facts)}
		if p.Type == "int" {
			n, known := s.predInt(i)
			u.Value = Value{Known: known, Int: n}.format("int")
		} else {
			u.Value = triWord(s.pred(i))
		}
		a.Predicates = append(a.Predicates, u)
	}
	if err := m.changes(s, rq, a, fes); err != nil {
		return nil, err
	}
	a.FactsUsed = m.factsUsed(s, a)
	return a, nil
}

func nn[T any](x []T) []T {
	if x == nil {
		return []T{}
	}
	return x
}

// ifItWere evaluates framework fw as though its data were present.
func (m *Model) ifItWere(now *state, fw *Framework) (*frameworkEval, error) {
	present := Vars{}
	for _, t := range fw.IfForced {
		present[t.Value] = Bool(true).From("if it were")
	}
	s, err := m.stateWith(now.in, present, now)
	if err != nil {
		return nil, err
	}
	fe := s.framework(fw, condition.True)
	return &fe, nil
}

func (s *state) result(ev *obligationEval, findings map[string][]string) ObligationResult {
	o := ev.o
	r := ObligationResult{
		ID: o.Id.Value, Framework: o.framework.Id.Value, Citation: o.Citation, Title: o.Title, Demands: o.Demands, Weight: o.Weight,
		Label: o.Label, Trail: o.Trail, Verdict: ev.verdict, CappedBy: ev.capped, Disputed: o.Dispute.Value, Text: o.Text,
		Reasons: []string{}, Elements: []ElementResult{},
	}
	if ev.verdict == NotApplicable {
		r.Reasons = append(r.Reasons, "Out of scope: "+lowerFirst(o.framework.NotApplicableWords))
		if o.applies != nil && o.framework.applies.Eval(s) != condition.False {
			r.Reasons = []string{"It does not apply here, by what decides it: " + strings.Join(s.decided(o.applies.Uses()), "; ") + "."}
		}
		return r
	}
	r.DesignOnly = ev.verdict == Supported && s.sim
	r.OnAttestation = ev.onAtt && ev.verdict == Supported
	var remedies []string
	r.Elements = make([]ElementResult, 0, len(o.parts))
	for i, p := range o.parts {
		e := ev.els[i]
		er := s.print(p.el, findings)
		er.ID, er.Essential = p.id, p.essential
		if er.Remedy != "" && p.essential {
			remedies = append(remedies, er.Remedy)
		}
		r.Elements = append(r.Elements, er)
		if p.essential && decides(ev.verdict, e.state) {
			r.Reasons = append(r.Reasons, reason(p.el, er.Note))
		}
	}
	if c := s.caveat(ev); c != "" {
		r.Reasons = append(r.Reasons, c)
	}
	if ev.capped != "" {
		r.Reasons = append(r.Reasons, "No better than partly supported, because the record that "+s.m.title(ev.capped)+" must create is missing or unproven.")
	}
	if r.DesignOnly {
		r.Reasons = append(r.Reasons, "Design only: simulated evidence shows how it is set up, not that it operated.")
	}
	if r.OnAttestation {
		r.Reasons = append(r.Reasons, "On your attestation.")
	}
	r.Remedy = unique(remedies)
	return r
}

// print is what a result says of an element under whichever obligation it
// stands. Many share an element, so it is put into words once.
func (s *state) print(el *element, findings map[string][]string) ElementResult {
	if s.printed == nil {
		s.printed = make([]ElementResult, len(s.els))
	}
	er := &s.printed[el.index]
	if er.ID != "" {
		return *er
	}
	e := s.element(el)
	*er = ElementResult{
		ID: el.Id.Value, Name: el.Name, Source: el.Source, Aspect: el.Aspect,
		State: e.state.String(), Evidence: s.evidence(el), Facts: el.factIDs, Note: s.because(el),
	}
	for _, v := range el.reads {
		er.Findings = append(er.Findings, findings[v]...)
	}
	switch e.state {
	case stateUnknown:
		er.Remedy = el.Remedy
		if s.unrecorded(el.needs) {
			er.Remedy = "Take a day that the record of facts reaches, or bring the vendor's own statement for this one."
		}
	case stateAbsentFixable, stateShort, stateUnattested:
		er.Remedy = el.Remedy
	case stateAbsentUnfixable:
		er.Remedy = s.waysOut(el)
	}
	return *er
}

// waysOut is the remedy of an element that nothing configurable supplies. Another
// plan and another arrangement are named only where they help, on the day or by
// the last facts known: Enterprise has no plan above it.
func (s *state) waysOut(el *element) string {
	ways := slices.DeleteFunc(slices.Clone(el.UnfixableRemedy), func(w string) bool {
		kind, ok := map[string]string{"change plan": "plan", "change arrangement": "arrangement"}[w]
		return ok && !s.helps(kind, el)
	})
	if len(ways) == 0 {
		ways = el.UnfixableRemedy
	}
	return strings.Join(ways, ", or ") + ": " + lowerFirst(el.Remedy)
}

// helps reports that a change of a kind brings what an element needs nearer.
func (s *state) helps(kind string, el *element) bool {
	for _, e := range s.elsewhere(kind) {
		if el.needs.Eval(e.now) == condition.False && el.needs.Eval(e.then) != condition.False {
			return true
		}
	}
	return false
}

// changed is a day without and with one change.
type changed struct{ now, then *state }

// elsewhere tries every change of a kind on the day and by the last facts known.
func (s *state) elsewhere(kind string) []changed {
	if out, ok := s.tries[kind]; ok {
		return out
	}
	var out []changed
	for _, day := range []source.Date{s.asOf, s.m.facts.LastVerified()} {
		if day.Before(s.asOf) || day == s.asOf && len(out) > 0 {
			continue
		}
		in, now := *s.in, s
		if day != s.asOf {
			in.Vars = s.in.Vars.Clone()
			in.Vars["as_of"] = Text(day.String())
			var err error
			if now, err = s.m.newState(&in); err != nil {
				continue
			}
		}
		for i := range s.m.levers {
			l := &s.m.levers[i]
			if l.Kind != kind {
				continue
			}
			if next, differs := s.m.apply(&l.change, in); differs {
				if then, err := s.m.newState(&next); err == nil {
					out = append(out, changed{now, then})
				}
			}
		}
	}
	if s.tries == nil {
		s.tries = map[string][]changed{}
	}
	s.tries[kind] = out
	return out
}

// caveat is what an obligation says beside a verdict short of support, dated by
// the facts that its elements cite.
func (s *state) caveat(ev *obligationEval) string {
	if ev.o.Caveat == "" || ev.verdict == Supported || ev.verdict == NotApplicable {
		return ""
	}
	var read source.Date
	for _, p := range ev.o.parts {
		for _, f := range p.el.Facts {
			if r := s.answer(f.Value, s.soleMode()).Record; r != nil && p.essential && r.LastVerified.After(read) {
				read = r.LastVerified
			}
		}
	}
	return strings.ReplaceAll(ev.o.Caveat, "{read}", read.String())
}

// reason says in one sentence why an element is in its state.
func reason(el *element, note string) string {
	if el.att != nil && note == neverAttested {
		return "Not attested: " + strings.TrimSuffix(el.att.Says, ".") + "."
	}
	return el.Name + ": " + note + "."
}

// decides reports that a state is one that made the verdict what it is.
func decides(v Verdict, st elementState) bool {
	switch v {
	case GapNoConfiguration:
		return st == stateAbsentUnfixable || st == stateAbsentFixable // a PLAT verdict still lists what can be closed
	case GapYouCanClose:
		return st == stateAbsentFixable
	case NotAssessed:
		return st == stateUnknown
	case PartlySupported:
		return st == stateShort
	case NeedsAttestation:
		return st == stateUnattested
	}
	return st == stateMet
}

func (m *Model) title(id string) string {
	for _, fw := range m.Frameworks {
		for _, o := range fw.Obligations {
			if o.Id.Value == id {
				return o.Citation + " (" + o.Title + ")"
			}
		}
	}
	return id
}

// decided is what inputs mean, each with its value.
func (s *state) decided(names []string) []string {
	var out []string
	for _, n := range names {
		if i, ok := s.m.varIndex[n]; ok {
			v := "not known"
			if s.vals[i].Known {
				if v = s.vals[i].format(s.m.vars[i].Type); v == "" {
					v = "none"
				}
			}
			out = append(out, inWords(s.m.vars[i].Means)+" ("+v+")")
		} else if i, ok := s.m.predIndex[n]; ok && s.m.preds[i].Type == "bool" {
			out = append(out, s.m.preds[i].Means+" ("+triWord(s.pred(i))+")")
		}
	}
	return out
}

// evidence lists what an element read, with the class of each input.
func (s *state) evidence(el *element) []string {
	out := make([]string, 0, len(el.reads))
	for _, n := range el.reads {
		if i, ok := s.m.varIndex[n]; ok {
			v, class := s.vals[i], s.m.vars[i].Class
			if s.m.vars[i].Group == "telemetry" && s.sim {
				class = "E7, simulated"
			}
			out = append(out, n+" = "+v.format(s.m.vars[i].Type)+" ("+class+")")
		} else if i, ok := s.m.predIndex[n]; ok {
			switch {
			case s.m.preds[i].Type == "int":
				k, known := s.predInt(i)
				out = append(out, n+" = "+Value{Known: known, Int: k}.format("int")+" (dated fact)")
			default:
				out = append(out, n+" = "+triWord(s.pred(i))+" (dated fact)")
			}
		}
	}
	return out
}

func triWord(t condition.Tri) string {
	switch t {
	case condition.True:
		return "yes"
	case condition.False:
		return "no"
	}
	return "not settled"
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func unique(ss []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range ss {
		if s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func (m *Model) gap(s *state, g *gap, fes []frameworkEval, forced map[string]*frameworkEval) Gap {
	out := Gap{ID: g.Id.Value, Title: g.Title, State: g.Otherwise, Summary: g.OtherwiseSummary, Closes: g.Closes, Facts: texts(g.Facts), Surfaces: []Surface{}, Frameworks: []GapFramework{}}
	if o := first(s, g.States); o != nil {
		out.State, out.Summary = o.State, o.Summary
	}
	for i := range g.Surfaces {
		sf := &g.Surfaces[i]
		r := Surface{ID: sf.Id, Name: sf.Name, State: "unknown", Text: "Not known from the facts and inputs of this run.", Facts: texts(sf.Facts)}
		if o := first(s, sf.States); o != nil {
			r.State, r.Text = o.State, o.Text
		}
		out.Surfaces = append(out.Surfaces, r)
		out.Footnotes = append(out.Footnotes, s.footnotes(r.Facts)...)
	}
	out.Footnotes = unique(append(s.footnotes(out.Facts), out.Footnotes...))
	for i := range fes {
		fe, gf := &fes[i], GapFramework{ID: fes[i].fw.Id.Value, Title: fes[i].fw.Title, InScope: true, Obligations: []string{}}
		if f := forced[gf.ID]; f != nil {
			fe, gf.InScope, gf.IfItWere = f, false, true
		}
		worst := NotApplicable
		for j := range fe.obs {
			ob := &fe.obs[j]
			for _, id := range ob.o.Gaps {
				if id == g.Id.Value {
					gf.Obligations = append(gf.Obligations, ob.o.Id.Value)
					if verdictRank(ob.verdict) > verdictRank(worst) {
						worst = ob.verdict
					}
				}
			}
		}
		gf.Code, gf.Verdict = worst.Code(), worst.String()
		var titles []string
		for j := range fe.obs {
			ob := &fe.obs[j]
			for _, id := range ob.o.Gaps {
				if id == g.Id.Value && ob.verdict == worst && worst != NotApplicable {
					titles = append(titles, ob.o.Citation+" "+ob.o.Title)
				}
			}
		}
		switch {
		case len(gf.Obligations) == 0:
			gf.Text = "No obligation of this framework rests on it."
		case worst == NotApplicable:
			gf.Text = "No obligation that rests on it applies here."
		default:
			gf.Text = strings.Join(titles, "; ")
		}
		out.Frameworks = append(out.Frameworks, gf)
	}
	return out
}

// verdictRank orders verdicts worst first: PLAT > CFG > UNK > PART > ATT > SAT > NA.
func verdictRank(v Verdict) int {
	return map[Verdict]int{GapNoConfiguration: 6, GapYouCanClose: 5, NotAssessed: 4, PartlySupported: 3, NeedsAttestation: 2, Supported: 1}[v]
}

// workload judges one declared use by the frameworks its data classes switch on.
func (m *Model) workload(s *state, w *WorkloadResult, fes []frameworkEval) {
	by := map[string]string{}
	for i := range m.classes {
		by[m.classes[i].Id] = m.classes[i].Framework.Value
	}
	var sub []frameworkEval
	var names []string
	for _, d := range w.Data {
		for _, fe := range fes {
			if fe.fw.Id.Value == by[d] && fe.applies != condition.False {
				sub = append(sub, fe)
				names = append(names, fe.fw.Title+": "+lowerFirst(PostureName(fe.posture)))
			}
		}
	}
	w.Posture = s.answerPosture(sub)
	w.Why = strings.Join(unique(names), "; ")
	if w.Why == "" {
		w.Why = "No framework of this report binds the data declared for it."
	}
}

func (m *Model) disputesUsed(fes []frameworkEval) []DisputeNote {
	used := map[string]bool{}
	for _, fe := range fes {
		if fe.applies == condition.False {
			continue
		}
		for _, ob := range fe.obs {
			if ob.verdict != NotApplicable {
				used[ob.o.Dispute.Value] = true
			}
		}
	}
	out := []DisputeNote{}
	for _, d := range m.disputes {
		if used[d.ID] {
			out = append(out, d)
		}
	}
	return out
}

func (m *Model) answer(s *state, rq Request, posture string, fes []frameworkEval, a *Assessment) Answer {
	an := Answer{Posture: posture, Because: []string{}}
	q := rq.Question
	if q == "" {
		q = "May Cowork be used for the declared work?"
	}
	date := s.asOf.String()
	switch posture {
	case NotSupportable:
		an.Text = fmt.Sprintf("%s No: not for in-scope data, on the facts of %s.", q, date)
	case Verify:
		an.Text = fmt.Sprintf("%s Not yet: on the facts of %s a deciding point is in doubt and must be verified first.", q, date)
	case WithConditions:
		an.Text = fmt.Sprintf("%s Only under the conditions listed, on the facts of %s.", q, date)
	case Supportable:
		an.Text = fmt.Sprintf("%s Yes, on the facts of %s and the evidence observed.", q, date)
		if !slices.ContainsFunc(fes, func(fe frameworkEval) bool { return fe.applies != condition.False }) {
			an.Text = fmt.Sprintf("%s Yes, as far as this report reaches: on the facts of %s and the evidence observed none of its frameworks binds what was declared.", q, date)
		}
	default:
		an.Text = fmt.Sprintf("%s It cannot be judged: no scope, configuration or stream was supplied.", q)
	}
	for _, fe := range fes {
		if fe.applies == condition.False {
			continue
		}
		var plat []string
		for _, ob := range fe.obs {
			if ob.verdict == GapNoConfiguration && ob.o.Weight == "req" {
				plat = append(plat, ob.o.Title+" ("+ob.o.Citation+")")
			}
		}
		if len(plat) > 0 {
			because := fmt.Sprintf("%s: %s. No configuration closes: %s.", fe.fw.Title, lowerFirst(PostureName(fe.posture)), strings.Join(plat, "; "))
			for i := range fe.obs {
				ob := &fe.obs[i]
				if ob.verdict != GapNoConfiguration || ob.o.Weight != "req" {
					continue
				}
				if c := s.caveat(ob); c != "" {
					because += " " + c
				}
				if ob.o.Dispute.Value != "" {
					because += fmt.Sprintf(" Practitioners disagree on %s; this is our reading.", lowerFirst(ob.o.Title))
				}
			}
			an.Because = append(an.Because, because)
		} else {
			an.Because = append(an.Because, fe.fw.Title+": "+lowerFirst(PostureName(fe.posture))+".")
		}
	}
	if posture == Verify {
		an.Because = append(an.Because, s.doubts(fes)...)
	}
	if len(an.Because) == 0 {
		an.Because = append(an.Because, "No framework of this report binds the declared organisation and data.")
	}
	if posture == WithConditions || posture == Verify {
		for _, fe := range fes {
			for _, ob := range fe.obs {
				switch ob.verdict {
				case GapYouCanClose, NotAssessed, PartlySupported, NeedsAttestation, GapNoConfiguration:
					an.Conditions = append(an.Conditions, fmt.Sprintf("%s %s: %s", ob.o.Citation, ob.o.Title, lowerFirst(ob.verdict.String())))
				}
			}
		}
		if len(an.Conditions) == 0 {
			an.Conditions = []string{s.unheard()}
		}
	}
	return an
}

// doubts names what an answer of "verify first" waits for: each predicate that is
// not settled and that an essential element of a required obligation rests on,
// with what leaves it open.
func (s *state) doubts(fes []frameworkEval) []string {
	open := map[int]bool{}
	for i := range fes {
		for j := range fes[i].obs {
			ob := &fes[i].obs[j]
			if !ob.verify || ob.o.Weight != "req" || ob.verdict == NotApplicable {
				continue
			}
			for k, p := range ob.o.parts {
				e := ob.els[k]
				if !p.essential || !e.predicate || e.state != stateUnknown && e.state != stateAbsentFixable {
					continue
				}
				for _, n := range p.el.reads {
					if x, ok := s.m.predIndex[n]; ok && s.m.preds[x].Type == "bool" && strings.HasPrefix(n, "p_") && s.pred(x) == condition.Unknown {
						open[x] = true
					}
				}
			}
		}
	}
	var out []string
	for i := range s.m.preds { // in the order of the file
		if !open[i] {
			continue
		}
		p, why := &s.m.preds[i], []string{}
		for _, f := range p.Facts {
			switch a := s.answer(f.Value, s.soleMode()); {
			case a.Value == platform.Unknown, a.Value == platform.Verify, a.Conflict && a.Value == platform.Conditional,
				a.Value == platform.NotStated && a.Fact != nil && !a.Fact.Recorded(s.asOf):
				why = append(why, f.Value+": "+strings.TrimSuffix(lowerFirst(a.Reason()), "."))
			}
		}
		text := "In doubt, so verify it first: whether " + strings.TrimPrefix(p.Means, "whether ")
		if len(why) > 0 {
			text += " (" + strings.Join(why, "; ") + ")"
		}
		out = append(out, text+".")
	}
	return out
}

// changes compares the facts in force at as_of with those of the last day any
// was verified, and tries each change alone to see whether it moves the answer.
func (m *Model) changes(s *state, rq Request, a *Assessment, fes []frameworkEval) error {
	latest := m.facts.LastVerified()
	a.ChangedSince = []Change{}
	a.Answer.LatestDate, a.Answer.LatestPosture = s.asOf.String(), a.Answer.Posture
	if !latest.After(s.asOf) {
		a.Answer.ChangedStrip = "No later fact is known to this fact set."
		if days := days(latest, s.asOf); days > platform.FreshDays {
			a.Answer.ChangedStrip += fmt.Sprintf(" It was last verified on %s, %d days before %s: what the platform does on that day was not looked up, so check it before you rely on the answer.", latest, days, s.asOf)
		}
		return nil
	}
	ls, err := m.stateWith(&rq.Inputs, Vars{"as_of": Text(latest.String())}, s)
	if err != nil {
		return err
	}
	then := ls.evaluate()
	posture := ls.overall(then)
	a.Answer.LatestDate, a.Answer.LatestPosture = latest.String(), posture
	var names []string
	for i := range fes {
		for j := range fes[i].obs {
			was, is := &fes[i].obs[j], &then[i].obs[j]
			if was.verdict != is.verdict {
				names = append(names, fmt.Sprintf("%s, from %q to %q", was.o.Title, lowerFirst(was.verdict.String()), lowerFirst(is.verdict.String())))
			}
		}
	}
	all := m.facts.Changes(s.asOf, latest)
	movers := map[string]bool{}
	if len(names) > 0 || posture != a.Answer.Posture {
		if movers, err = m.movers(s, rq.Inputs, fes, all); err != nil {
			return err
		}
	}
	for _, c := range all {
		if m.concerns(c, s.plan) {
			a.ChangedSince = append(a.ChangedSince, Change{Fact: c.Fact, From: c.From, To: c.To, Date: c.Date.String(), MovesAnswer: movers[c.Fact+" "+c.Date.String()]})
		}
	}
	n := len(a.ChangedSince)
	if posture == a.Answer.Posture {
		a.Answer.ChangedStrip = fmt.Sprintf("On the latest facts (%s) the answer is the same. %s since %s", latest, haveChanged(n), s.asOf)
	} else {
		a.Answer.ChangedStrip = fmt.Sprintf("On the latest facts (%s) the answer would be: %s. %s since %s", latest, lowerFirst(AnswerName(posture)), haveChanged(n), s.asOf)
	}
	switch {
	case len(names) == 0 && posture != a.Answer.Posture:
		a.Answer.ChangedStrip += "; no verdict moves, but a doubt about a fact that a verdict rests on comes or goes."
	case len(names) == 0:
		a.Answer.ChangedStrip += "; none moves a verdict for this configuration."
	case len(names) > 6:
		a.Answer.ChangedStrip += fmt.Sprintf(" and %d verdicts move, among them %s.", len(names), strings.Join(names[:6], "; "))
	default:
		a.Answer.ChangedStrip += ". Verdicts that move: " + strings.Join(names, "; ") + "."
	}
	if silent, of := m.facts.Silent(s.asOf); silent*2 > of {
		a.Answer.ChangedStrip += fmt.Sprintf(" The record hardly reaches back to %s: of %d of its %d facts nothing is known for that day, and the answer is no better than that.", s.asOf, silent, of)
	}
	return nil
}

func haveChanged(n int) string {
	if n == 1 {
		return "1 recorded fact has changed"
	}
	return fmt.Sprintf("%d recorded facts have changed", n)
}

// movers walks the days on which facts change and names, as "fact day", the
// changes on which the answer became another one.
func (m *Model) movers(s *state, in Inputs, fes []frameworkEval, all []platform.Change) (map[string]bool, error) {
	out := map[string]bool{}
	prev, pfes, last := s, fes, source.Date{}
	for _, c := range all {
		if c.Date == last || !m.readFacts[c.Fact] || !m.concerns(c, s.plan) { // no verdict of this plan can read it
			continue
		}
		last = c.Date
		next, err := m.stateWith(&in, Vars{"as_of": Text(c.Date.String())}, s)
		if err != nil {
			return nil, err
		}
		nfes := next.evaluate()
		if prev.overall(pfes) != next.overall(nfes) {
			var mv Move
			m.moved(prev, next, prev.judgement(pfes), next.judgement(nfes), &mv)
			for _, f := range mv.Facts {
				out[f.Fact+" "+c.Date.String()] = true
			}
		}
		prev, pfes = next, nfes
	}
	return out, nil
}

// concerns leaves out changes that say nothing about the run's plan.
func (m *Model) concerns(c platform.Change, plan string) bool {
	f, ok := m.facts.Fact(c.Fact)
	if !ok {
		return false
	}
	for i := range f.Records {
		if v := f.Records[i].ValueFor(plan); v != platform.NotApplicable {
			return true
		}
	}
	return false
}

// factsUsed lists every fact the verdicts read or the document cites, so that
// no id in it leads nowhere.
func (m *Model) factsUsed(s *state, a *Assessment) []FactUse {
	// What is cited and was not read is looked up as it holds here: in the one mode
	// in use, or where there are several in the first that a record speaks for.
	modes := append([]string{s.soleMode()}, s.get("exec_modes").Set...)
	cite := func(ids []string) {
		for _, id := range ids {
			for _, mode := range modes {
				if s.answer(id, mode).Record != nil {
					break
				}
			}
		}
	}
	for _, o := range a.Obligations {
		for _, e := range o.Elements {
			cite(e.Facts)
		}
	}
	for _, g := range a.Gaps {
		cite(g.Facts)
		for _, sf := range g.Surfaces {
			cite(sf.Facts)
		}
	}
	for _, list := range [][]PropositionResult{a.Claims, a.Needs} {
		for _, p := range list {
			cite(p.Facts)
		}
	}
	for _, p := range a.Predicates {
		cite(p.Facts)
	}
	for _, c := range a.Checks {
		cite(c.Facts)
	}
	for _, o := range a.Observations {
		cite(o.Facts)
	}
	used := s.usedFacts()
	out := make([]FactUse, 0, len(used))
	for _, k := range used {
		an := s.answers[k]
		var u FactUse
		if c := an.Customer; c != nil {
			u.Statement = fmt.Sprintf("The customer's own statement: %s.", c.Value)
			u.From, u.LastVerified, u.Confidence = c.Date.String(), c.Date.String(), "customer's"
			u.Sources = []string{fmt.Sprintf("[customer] %s: %s", c.Who, c.Evidence)}
		} else if r := an.Record; r != nil {
			u = m.factUses[r]
		} else {
			u.Statement, u.Sources = "No record of this fact fits the plan, mode and date.", []string{}
		}
		u.ID, u.Value, u.Note = k.id, an.Value.String(), an.Reason()
		out = append(out, u)
	}
	return out
}
