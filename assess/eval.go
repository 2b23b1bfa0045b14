package assess

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Element states, worst first. The zero value is unknown.
type elementState uint8

const (
	stateUnknown elementState = iota
	stateAbsentUnfixable
	stateAbsentFixable
	stateShort
	stateUnattested
	stateMet
	stateNoHit // a violation check that found nothing: left out of the verdict
)

var stateNames = [...]string{"unknown", "absent-unfixable", "absent-fixable", "short", "unattested", "met", "no-hit"}

func (s elementState) String() string { return stateNames[s] }

// severity orders states for "the worse of two": absent-unfixable,
// absent-fixable, unknown, short, unattested, met.
func (s elementState) severity() int {
	switch s {
	case stateAbsentUnfixable:
		return 5
	case stateAbsentFixable:
		return 4
	case stateUnknown:
		return 3
	case stateShort:
		return 2
	case stateUnattested:
		return 1
	}
	return 0
}

func worse(a, b elementState) elementState {
	if a.severity() >= b.severity() {
		return a
	}
	return b
}

func parseState(s string) elementState {
	switch s {
	case "absent-fixable":
		return stateAbsentFixable
	case "short":
		return stateShort
	case "unattested":
		return stateUnattested
	case "no-effect":
		return stateNoHit
	}
	return stateUnknown
}

// Attested is one human statement as given to the assessor.
type Attested struct {
	ID, Who, Role, Scope string
	Date, Expires        source.Date
	Answer               bool
	For                  string // element a compensating control or addressable alternative stands in for (INV-9)
}

// Inputs are everything a verdict may rest on. AsOf and Plan are required;
// every variable left out of Vars is unknown.
type Inputs struct {
	Vars         Vars
	Attestations []Attested
	Exam         bool // contested facts read the lesson's way, with a footnote
}

// state is one evaluation: the inputs by index and what was computed from them.
type state struct {
	m         *Model
	in        *Inputs
	vals      []Value
	asOf      source.Date
	plan      string
	arr       []string
	simulated bool // evidence that cannot show operation: simulated, or a period too short for that
	sim       bool // evidence_kind is simulated
	predDone  []bool
	predVal   []condition.Tri
	predNum   []Value
	answers   map[factKey]*platform.Answer
	base      *state // of the same day, plan and arrangements: what it knows of facts need not be looked up again
	inFact    map[*platform.Record]bool
	els       []elementEval        // by element.index
	printed   []ElementResult      // by element.index: the parts of a result that every obligation prints alike
	tries     map[string][]changed // by kind of lever
	asked     map[string]string    // parameters of the claim or need being judged
}

type factKey struct{ id, mode string }

type elementEval struct {
	done      bool
	state     elementState
	bare      elementState // before any compensating control
	predicate bool         // unknown because a platform predicate is unknown
	because   string       // in words, where they were asked for
	operating bool         // held back because simulated evidence shows no operation
}

func (m *Model) newState(in *Inputs) (*state, error) { return m.stateWith(in, nil, nil) }

// stateWith is a state of in with other values for the variables in over. base,
// where not nil, is a state of the same model and inputs: its values are copied,
// which is cheaper than reading the map again and the same, since what a state
// does to its values when it is made changes nothing when done twice, and its
// answers of facts are taken where what decides them is the same.
func (m *Model) stateWith(in *Inputs, over Vars, base *state) (*state, error) {
	s := &state{
		m: m, in: in,
		predDone: make([]bool, len(m.preds)), predVal: make([]condition.Tri, len(m.preds)), predNum: make([]Value, len(m.preds)),
		answers: map[factKey]*platform.Answer{}, inFact: map[*platform.Record]bool{}, els: make([]elementEval, len(m.elements)),
	}
	given := [2]Vars{in.Vars, over}
	if base != nil {
		s.vals, given[0] = slices.Clone(base.vals), nil
	} else {
		s.vals = make([]Value, len(m.vars))
	}
	for _, vars := range given {
		for name, v := range vars {
			i, ok := m.varIndex[name]
			if !ok {
				return nil, fmt.Errorf("assess: %q is not a variable of the vocabulary", name)
			}
			s.vals[i] = v
		}
	}
	d, err := source.ParseDate(s.get("as_of").Text)
	if err != nil {
		return nil, fmt.Errorf("assess: as_of: %w", err)
	}
	// The HIPAA configuration exists on a HIPAA-ready plan only; a tenant that
	// names the one has the other, and no record of a fact may slip between them.
	if arr := &s.vals[m.varIndex["arrangements"]]; slices.Contains(arr.Set, "hipaa_configuration") && !slices.Contains(arr.Set, "hipaa_ready") {
		arr.Set = Set(append(slices.Clone(arr.Set), "hipaa_ready")...).Set
	}
	s.asOf, s.plan, s.arr = d, s.get("plan").Text, s.get("arrangements").Set
	if s.plan == "" {
		return nil, fmt.Errorf("assess: no plan given")
	}
	if r := s.get("cowork_records"); r.Known && r.Int == 0 { // silence is not cleanliness: nothing observed, nothing known
		for i, v := range m.vars {
			if v.Group == "telemetry" && v.Name != "cowork_records" {
				s.vals[i] = Value{}
			}
		}
	}
	if k := &s.vals[m.varIndex["evidence_kind"]]; !k.Known { // nobody said that anything was observed
		*k = Text("simulated")
	}
	// What was detected outranks what was declared absent. What a rehearsal puts
	// into its own texts was not detected anywhere.
	if k := s.get("evidence_kind").Text; k == "observed" || k == "mixed" {
		s.outrank()
	}
	s.sim = s.get("evidence_kind").Text != "observed"
	s.simulated = s.sim || s.get("period_days").Int < s.m.operating
	if base != nil && base.asOf == s.asOf && base.plan == s.plan && slices.Equal(base.arr, s.arr) {
		s.base = base
	}
	return s, nil
}

// outrank sets the data classes that the stream was seen to hold.
func (s *state) outrank() {
	for i := range s.m.classes {
		for _, t := range s.m.classes[i].Hits {
			if h := s.get(t.Value); h.Known && h.Int > 0 {
				if c := &s.vals[s.m.varIndex[s.m.classes[i].Variable.Value]]; !c.Known || !c.Bool {
					*c = Bool(true).From("detected in the stream")
				}
			}
		}
	}
}

func (s *state) get(name string) Value { return s.vals[s.m.varIndex[name]] }

func (s *state) pred(i int) condition.Tri {
	if !s.predDone[i] {
		s.predDone[i] = true // predicates read only those above them, so no cycle
		s.predVal[i] = s.m.preds[i].boolean.Eval(s)
	}
	return s.predVal[i]
}

func (s *state) predInt(i int) (int64, bool) {
	if !s.predDone[i] {
		s.predDone[i] = true
		n, ok := s.m.preds[i].integer.Eval(s)
		s.predNum[i] = Value{Known: ok, Int: n}
	}
	return s.predNum[i].Int, s.predNum[i].Known
}

// answer looks a fact up once. Nobody writes into what it gives.
func (s *state) answer(id, mode string) *platform.Answer {
	key := factKey{id, mode}
	a := s.answers[key]
	if a == nil && s.base != nil {
		a = s.base.answers[key]
	}
	if a == nil {
		at := s.m.facts.At(id, platform.Query{AsOf: s.asOf, Plan: s.plan, Mode: mode, Arrangements: s.arr, Exam: s.in.Exam})
		a = &at
	}
	s.answers[key] = a
	return a
}

// fact translates a dated fact into the three values (the only place that
// does): a conditional one holds when its condition is proven; inside a change
// interval the gap stands; age never improves anything (platform.Answer has
// done that already).
func (s *state) fact(id, mode string) condition.Tri {
	if mode == "" {
		mode = s.soleMode()
	}
	a := s.answer(id, mode)
	gap := a.Fact != nil && a.Fact.YesIs == "gap"
	switch a.Value {
	case platform.Yes:
		return condition.True
	case platform.No, platform.NotApplicable:
		return condition.False
	case platform.Verify:
		if gap {
			return condition.True
		}
		return condition.False
	case platform.Conditional:
		prog := s.m.factConds[a.Record]
		if prog == nil || s.inFact[a.Record] {
			return condition.Unknown
		}
		s.inFact[a.Record] = true
		t := prog.Eval(s)
		s.inFact[a.Record] = false
		if a.Conflict && t != condition.True {
			return t // two sources disagree: tenant evidence decides, doubt stays doubt
		}
		if t == condition.Unknown { // unproven is false for a benefit, true for a gap
			if gap {
				return condition.True
			}
			return condition.False
		}
		return t
	}
	return condition.Unknown
}

// soleMode is the execution mode where only one can be used, else "".
func (s *state) soleMode() string {
	if ms := s.get("exec_modes").Set; len(ms) == 1 {
		return ms[0]
	}
	return ""
}

func (s *state) factParam(id, name string) (int64, bool) {
	v, ok := s.answer(id, s.soleMode()).Param(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil
}

// att is true for a given attestation, false for one answered no, unknown for
// one that is absent, dated after as_of or expired.
func (s *state) att(id string) condition.Tri { return s.m.attested(s.in.Attestations, id, s.asOf) }

// attested is what the newest attestation that holds on a day says; of one date, a
// denial.
func (m *Model) attested(given []Attested, id string, day source.Date) condition.Tri {
	var newest *Attested
	for i := range given {
		a := &given[i]
		if a.ID != id || a.For != "" || !m.current(*a, day) {
			continue
		}
		if newest == nil || a.Date.After(newest.Date) || !a.Date.Before(newest.Date) && !a.Answer {
			newest = a
		}
	}
	switch {
	case newest == nil:
		return condition.Unknown
	case newest.Answer:
		return condition.True
	}
	return condition.False
}

// expires is the last day an attestation holds: its own, else as long as its
// kind does.
func (m *Model) expires(a Attested) source.Date {
	if a.Expires.Given() {
		return a.Expires
	}
	days := 365
	if d := m.atts[a.ID]; d != nil {
		days = d.ExpiresDays
	}
	return a.Date.Add(days)
}

func (m *Model) current(a Attested, day source.Date) bool {
	return !a.Date.After(day) && !m.expires(a).Before(day)
}

const neverAttested = "no attestation in date and scope was given"

// whyUnattested tells an attestation that was never given from one that does not
// hold on the day.
func (s *state) whyUnattested(id string) string {
	why := neverAttested
	for _, a := range s.in.Attestations {
		switch {
		case a.ID != id || a.For != "":
		case a.Date.After(s.asOf):
			why = fmt.Sprintf("an attestation is dated %s, after %s", a.Date, s.asOf)
		default:
			return fmt.Sprintf("the attestation of %s ran out on %s", a.Date, s.m.expires(a))
		}
	}
	return why
}

// element is the state of one element, computed once per evaluation. Searches
// and timelines read states only: the reason in words is left to because.
func (s *state) element(el *element) *elementEval {
	ev := &s.els[el.index]
	if !ev.done {
		*ev = s.compute(el, false)
		ev.done = true
	}
	return ev
}

// because is why an element has its state, in words.
func (s *state) because(el *element) string { return s.compute(el, true).because }

// compute works out an element's state, and where words is set the reason too.
func (s *state) compute(el *element, words bool) (ev elementEval) {
	if el.att != nil {
		switch s.att(el.att.Id) {
		case condition.True:
			ev.state, ev.because = stateMet, "attested, in date"
			if el.Aspect == "O" && s.sim {
				ev.state, ev.because, ev.operating = stateUnattested, "attested, but nothing operated in a simulated period", true
			}
		case condition.False:
			ev.state, ev.because = stateAbsentFixable, "the attestation was answered no"
		default:
			ev.state = stateUnattested
			if words {
				ev.because = s.whyUnattested(el.att.Id)
			}
		}
		ev.bare = ev.state
		return ev
	}
	ev.state, ev.because = s.raw(el, words)
	if el.needs != nil && el.needs.Eval(s) == condition.Unknown {
		ev.predicate = s.predicateUnknown(el)
	} else if ev.state == stateUnknown || ev.state == parseState(el.Unknown) {
		ev.predicate = s.predicateUnknown(el)
	}
	if el.Aspect == "O" && s.simulated && !(el.Source != "telemetry" && s.get("evidence_kind").Text == "mixed") {
		if w := worse(stateUnknown, ev.state); w != ev.state {
			ev.state, ev.operating, ev.predicate = w, true, false
			switch {
			case !words:
			case s.sim:
				ev.because = "simulated evidence cannot show that a control operated (in the rehearsal: " + ev.because + ")"
			default:
				ev.because = fmt.Sprintf("the period is shorter than %d days (in it: %s)", s.m.operating, ev.because)
			}
		}
	}
	if el.Aspect == "V" && ev.state == stateMet {
		ev.state, ev.because = stateNoHit, "no hit among the records that could be evaluated"
	}
	ev.bare = ev.state
	for _, a := range s.in.Attestations { // INV-9: moves a closable gap to attestation, nothing else
		if a.For == el.Id.Value && a.Answer && ev.state == stateAbsentFixable && s.m.current(a, s.asOf) {
			ev.state, ev.because = stateUnattested, "a compensating control is attested by "+a.Role+"; its assessor must accept it"
		}
	}
	return ev
}

const beforeTheRecord = "the record of facts does not reach back to this day, so nobody can say what the platform supplied or what could have been done"

// unrecorded reports that a condition is open because the day lies before the
// first record of a fact it rests on. Sources that disagree speak for a day;
// here none does, and nothing may be called left undone that nobody is known to
// have been able to do.
func (s *state) unrecorded(p *condition.Program[state]) bool {
	if p == nil || p.Eval(s) != condition.Unknown {
		return false
	}
	for _, id := range s.m.factsOf(p) {
		if f, ok := s.m.facts.Fact(id); ok && !f.Recorded(s.asOf) {
			return true
		}
	}
	return false
}

// raw is the state before the evidence rule. Where it is not settled whether
// the platform supplies something, what the customer has left undone still
// counts: it is absent on either reading, so the doubt must not hide it.
func (s *state) raw(el *element, words bool) (elementState, string) {
	if el.needs != nil {
		switch el.needs.Eval(s) {
		case condition.False:
			return stateAbsentUnfixable, "nothing on this plan, arrangement and date supplies it"
		case condition.Unknown:
			if s.unrecorded(el.needs) {
				return stateUnknown, beforeTheRecord
			}
			if st, why := s.configured(el, words); worse(stateUnknown, st) != stateUnknown {
				return st, why + "; and whether the platform supplies it is not settled"
			}
			return stateUnknown, "whether the platform supplies it is not settled"
		}
	}
	return s.configured(el, words)
}

// configured is the state as far as the customer's side goes.
func (s *state) configured(el *element, words bool) (elementState, string) {
	missing := func(p *condition.Program[state]) string {
		if !words {
			return ""
		}
		return s.missing(p)
	}
	switch el.met.Eval(s) {
	case condition.True:
		return stateMet, "shown"
	case condition.Unknown:
		st := parseState(el.Unknown)
		return st, missing(el.met)
	}
	if el.short != nil {
		switch el.short.Eval(s) {
		case condition.True:
			return stateShort, "there in part"
		case condition.Unknown:
			return parseState(el.Unknown), missing(el.short)
		}
	}
	if el.otherwiseIf != nil && el.otherwiseIf.Eval(s) == condition.True {
		return parseState(el.OtherwiseThen), "it rests on a statement by people"
	}
	if el.Otherwise == "absent-fixable" {
		return stateAbsentFixable, "not in place"
	}
	return parseState(el.Otherwise), "not measured"
}

// missing names the inputs that were not supplied.
func (s *state) missing(p *condition.Program[state]) string {
	var names []string
	for _, n := range p.Uses() {
		if i, ok := s.m.varIndex[n]; ok && !s.vals[i].Known {
			names = append(names, inWords(s.m.vars[i].Means))
		} else if i, ok := s.m.predIndex[n]; ok && s.m.preds[i].Type == "bool" && s.pred(i) == condition.Unknown {
			names = append(names, s.m.preds[i].Means)
		}
	}
	for _, c := range p.Calls() {
		if c.Func == "att" && s.att(c.Args[0]) == condition.Unknown {
			names = append(names, "a signed statement on "+strings.ReplaceAll(c.Args[0], "_", " "))
		}
	}
	if len(names) == 0 {
		return "an input is missing"
	}
	return "not known: " + strings.Join(names, "; ")
}

// Words is the value's name for people: the first clause of what it means.
func (v VariableUse) Words() string {
	if v.Means == "" {
		return strings.ReplaceAll(v.Name, "_", " ")
	}
	return inWords(v.Means)
}

// inWords is the first clause of what a variable means: its name says little to
// a reader, and its threshold is not what is missing.
func inWords(means string) string {
	s, _, _ := strings.Cut(means, ";")
	if share, _, ok := strings.Cut(s, " / "); ok {
		return "the share of " + share
	}
	if head, _, ok := strings.Cut(s, ": "); ok {
		return head
	}
	return s
}

func (s *state) predicateUnknown(el *element) bool {
	for _, n := range el.reads {
		if i, ok := s.m.predIndex[n]; ok && strings.HasPrefix(n, "p_") && s.m.preds[i].Type == "bool" && s.pred(i) == condition.Unknown {
			return true
		}
	}
	return false
}

type obligationEval struct {
	o       *Obligation
	verdict Verdict
	record  Verdict // before caps and compensating controls: what caps others
	capped  string
	els     []*elementEval // by part; none where it does not apply
	onAtt   bool
	verify  bool // an essential element is unknown because a platform predicate is
}

// obligation applies the combination rules of the verdict model, cap excluded.
func (s *state) obligation(o *Obligation, frameworkApplies bool) obligationEval {
	ev := obligationEval{o: o}
	if !frameworkApplies || o.applies != nil && o.applies.Eval(s) == condition.False {
		ev.verdict, ev.record = NotApplicable, NotApplicable
		return ev
	}
	ev.els = make([]*elementEval, len(o.parts))
	for i := range o.parts {
		ev.els[i] = s.element(o.parts[i].el)
	}
	var has, bare [len(stateNames)]bool
	for i, p := range o.parts {
		if p.essential {
			has[ev.els[i].state], bare[ev.els[i].bare] = true, true
			if ev.els[i].predicate && (ev.els[i].state == stateUnknown || ev.els[i].state == stateAbsentFixable) {
				ev.verify = true
			}
			if p.el.att != nil && ev.els[i].state == stateMet {
				ev.onAtt = true
			}
		}
	}
	// A compensating control is accepted or not by an assessor; it creates no
	// record, so it lifts no cap.
	ev.verdict, ev.record = combine(has), combine(bare)
	return ev
}

// combine is the order of the verdict model: the worst essential element
// decides.
func combine(has [len(stateNames)]bool) Verdict {
	switch {
	case has[stateAbsentUnfixable]:
		return GapNoConfiguration
	case has[stateAbsentFixable]:
		return GapYouCanClose
	case has[stateUnknown]:
		return NotAssessed
	case has[stateShort]:
		return PartlySupported
	case has[stateUnattested]:
		return NeedsAttestation
	}
	return Supported
}

type frameworkEval struct {
	fw      *Framework
	applies condition.Tri
	obs     []obligationEval
	posture string
}

// evaluate computes every obligation and posture.
func (s *state) evaluate() []frameworkEval {
	out := make([]frameworkEval, len(s.m.Frameworks))
	for i, fw := range s.m.Frameworks {
		out[i] = s.framework(fw, fw.applies.Eval(s))
	}
	return out
}

// framework computes the obligations and the posture of one framework. Caps
// stay inside it.
func (s *state) framework(fw *Framework, applies condition.Tri) frameworkEval {
	fe := frameworkEval{fw: fw, applies: applies, obs: make([]obligationEval, len(fw.Obligations))}
	for j, o := range fw.Obligations {
		fe.obs[j] = s.obligation(o, applies != condition.False)
	}
	for j := range fe.obs {
		ob := &fe.obs[j]
		if ob.verdict != Supported && ob.verdict != NeedsAttestation {
			continue // already at or below the cap
		}
		for _, c := range ob.o.cappers {
			switch fe.obs[c].record {
			case GapNoConfiguration, GapYouCanClose, NotAssessed:
				ob.verdict, ob.capped = PartlySupported, fw.Obligations[c].Id.Value
			}
		}
	}
	fe.posture = s.posture(&fe)
	return fe
}

func (s *state) posture(fe *frameworkEval) string {
	if fe.applies == condition.False {
		return ""
	}
	var sat, open, plat, notReady bool
	for _, ob := range fe.obs {
		switch ob.verdict {
		case GapNoConfiguration:
			notReady = true
			plat = plat || ob.o.Weight == "req"
		case GapYouCanClose, NotAssessed:
			notReady = true
		case PartlySupported, NeedsAttestation:
			open = true
		case Supported:
			sat = true
		}
	}
	switch {
	case plat:
		return DoNotPlace
	case notReady || s.sim:
		return NotReady
	case open || !sat:
		return SubjectToAttest
	}
	return EvidenceSupports
}

// answerPosture maps postures to the answer.
func (s *state) answerPosture(fes []frameworkEval) string {
	verify, open := false, false
	for _, fe := range fes {
		if fe.posture == DoNotPlace {
			return NotSupportable
		}
		for _, ob := range fe.obs {
			switch ob.verdict {
			case GapYouCanClose, NotAssessed, PartlySupported, NeedsAttestation, GapNoConfiguration:
				open = true
			}
			if ob.verify && ob.o.Weight == "req" && ob.verdict != NotApplicable {
				verify = true
			}
		}
	}
	switch {
	case verify:
		return Verify
	case open || s.sim || !s.heard():
		return WithConditions
	}
	return Supportable
}

// heard reports that enough was observed for a plain yes: at least one Cowork
// record, over the days that show operation, with nearly every member in them.
// What is declared absent is only as good as what could have contradicted it.
func (s *state) heard() bool {
	return s.records() > 0 && (s.m.heard == nil || s.element(s.m.heard).state == stateMet)
}

func (s *state) records() int64 {
	if r := s.get("cowork_records"); r.Known {
		return r.Int
	}
	return 0
}

// unheard says what a plain yes still needs where no verdict is open.
func (s *state) unheard() string {
	if s.sim || s.records() == 0 || s.m.heard == nil {
		return "Confirm the result on observed Cowork evidence: this run had none."
	}
	e := s.print(s.m.heard, nil)
	return fmt.Sprintf("Hear more before relying on what was declared absent, for only what is heard can contradict it. %s: %s. %s", e.Name, e.Note, e.Remedy)
}

// usedFacts lists every fact the run looked at, each once, in order. Where one
// was asked for in several modes the last mode in the alphabet stands.
func (s *state) usedFacts() []factKey {
	last := make(map[string]string, len(s.answers))
	for k := range s.answers {
		if m, ok := last[k.id]; !ok || k.mode > m {
			last[k.id] = k.mode
		}
	}
	keys := make([]factKey, 0, len(last))
	for id, mode := range last {
		keys = append(keys, factKey{id, mode})
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i].id < keys[j].id })
	return keys
}
