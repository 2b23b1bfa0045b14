package assess

import "github.com/sandtable-dev/sandtable/scenarios/platform"

// Judgement is the core of an assessment without its texts: what the searches,
// the timeline and the tests compare.
type Judgement struct {
	Answer   string             // one of the five answers
	Postures map[string]string  // by framework; "" where it is out of scope
	Verdicts map[string]Verdict // by obligation
	Gaps     map[string]string  // state of each headline gap

	doubted map[string]bool // obligations that a doubt about a fact leaves open: they ask to verify first
}

// Judge evaluates every obligation, posture and headline gap for in. It is
// pure and safe for concurrent use. It fails only on inputs that no assessment
// can have: an unknown variable, no plan, no date.
func (m *Model) Judge(in Inputs) (Judgement, error) {
	s, err := m.newState(&in)
	if err != nil {
		return Judgement{}, err
	}
	fes := s.evaluate()
	return s.judgement(fes), nil
}

func (s *state) judgement(fes []frameworkEval) Judgement {
	j := Judgement{Answer: s.overall(fes), Postures: map[string]string{}, Verdicts: map[string]Verdict{}, Gaps: map[string]string{}, doubted: map[string]bool{}}
	for i := range fes {
		j.Postures[fes[i].fw.Id.Value] = fes[i].posture
		for k := range fes[i].obs {
			j.Verdicts[fes[i].obs[k].o.Id.Value] = fes[i].obs[k].verdict
			j.doubted[fes[i].obs[k].o.Id.Value] = fes[i].obs[k].verify
		}
	}
	for i := range s.m.gaps {
		j.Gaps[s.m.gaps[i].Id.Value] = s.gapState(&s.m.gaps[i])
	}
	return j
}

// gapState is the state of a headline gap as its state machine has it.
func (s *state) gapState(g *gap) string {
	if o := first(s, g.States); o != nil {
		return o.State
	}
	return g.Otherwise
}

// overall is the answer, or not evaluable where nothing at all was supplied.
func (s *state) overall(fes []frameworkEval) string {
	if !s.get("cowork_records").Known && len(s.get("org_kind").Set) == 0 && !s.get("otel_on").Known && !s.get("cowork_scope").Known {
		return NotEvaluable
	}
	return s.answerPosture(fes)
}

// With is the model over the same facts with a customer's own statements laid
// over them. They decide from their date on, outrank every source, and are
// printed as the customer's wherever they are read. A name that is no fact is an
// error.
func (m *Model) With(o platform.Overlay) (*Model, error) {
	facts, err := m.facts.With(o)
	if err != nil {
		return nil, err
	}
	out := *m
	out.facts = facts
	return &out, nil
}
