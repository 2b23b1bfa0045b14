package reports

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

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
