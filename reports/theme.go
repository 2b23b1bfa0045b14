package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// theme is a finding as people act on it: causes that one decision, one record
// or one round of signatures would settle together.
type theme struct {
	title       string
	state       string
	worst       assess.Verdict
	causes      []*cause
	obligations []assess.ObligationResult // each once
}

// noRecord names the finding. Where transcripts can be captured there is a record,
// and what is missing is one that these duties accept.
func (b *builder) noRecord() string {
	for _, g := range b.a.Gaps {
		if g.ID == "audit-log" && g.State != "open" && g.State != "unknown" {
			return "There is no record of what the agent did that these duties accept"
		}
	}
	return "There is no record of what the agent did"
}

func single(c *cause) *theme {
	return &theme{title: c.name, state: c.element.State, worst: c.worst, causes: []*cause{c}, obligations: c.obligations}
}

// collectThemes gathers the causes: what lacks a record of activity, what lacks
// an input, what lacks a signature. Everything else stands alone.
func (b *builder) collectThemes() {
	byKey := map[string]*theme{}
	for _, c := range b.causal {
		e := c.element
		key, name := "", ""
		switch {
		case e.State == "absent-unfixable" && e.Aspect == "R":
			key, name = "record", b.noRecord()
		case e.State == "unknown":
			key, name = "unknown", "Inputs that nobody supplied"
		case e.State == "unattested":
			key, name = "unattested", "Statements that nobody has signed"
		}
		x := byKey[key]
		if key == "" || x == nil {
			x = single(c)
			x.obligations = slices.Clone(x.obligations)
			b.themes = append(b.themes, x)
			if key != "" {
				x.title = name
				byKey[key] = x
			}
			continue
		}
		x.causes = append(x.causes, c)
		x.worst = worse(x.worst, c.worst)
		for _, o := range c.obligations {
			if !slices.ContainsFunc(x.obligations, func(p assess.ObligationResult) bool { return p.ID == o.ID }) {
				x.obligations = append(x.obligations, o)
			}
		}
	}
	for _, x := range b.themes {
		if len(x.causes) == 1 { // a group of one is better called by its name
			x.title = wanting[x.state] + ": “" + strings.TrimSuffix(x.causes[0].statement(), ".") + "”"
		}
	}
	slices.SortStableFunc(b.themes, func(x, y *theme) int {
		if d := rank(x.worst) - rank(y.worst); d != 0 {
			return d
		}
		return len(y.obligations) - len(x.obligations)
	})
}

// wanting turns the name of an element, which says what should be, into a finding.
var wanting = map[string]string{
	"absent-unfixable": "Cannot be had here", "absent-fixable": "Missing", "short": "Falls short",
	"unattested": "Not signed", "unknown": "Not known",
}

// statement is what somebody would sign.
func (c *cause) statement() string { return strings.TrimPrefix(c.name, "Attested: ") }

// remedies of what no configuration closes start with the ways out; the rest is
// what to do now.
var waysOut = []string{"change plan", "change arrangement", "keep data out", "wait", "different product"}

// splitRemedy parts the ways out from the step.
func splitRemedy(s string) (ways []string, step string) {
	before, after, ok := strings.Cut(s, ": ")
	if !ok {
		return nil, s
	}
	for _, w := range strings.Split(before, ", or ") {
		if !slices.Contains(waysOut, strings.TrimSpace(w)) {
			return nil, s
		}
		ways = append(ways, strings.TrimSpace(w))
	}
	return ways, after
}

// step is what to do, as a sentence.
func (x *theme) step() string {
	c := x.causes[0]
	switch {
	case len(x.causes) > 1 && x.state == "unknown":
		return fmt.Sprintf("Supply the %d missing inputs; each may close or open a gap.", len(x.causes))
	case len(x.causes) > 1 && x.state == "unattested":
		return fmt.Sprintf("Have %d statements signed by those who own them.", len(x.causes))
	case len(x.causes) > 1:
		return "Place no data here whose rules ask for a record of activity, until a central and protected record exists for your plan and arrangement."
	case x.state == "unattested" && c.element.Source == "attestation":
		return "Do it, then have it signed: " + strings.TrimSuffix(c.statement(), ".") + "."
	}
	_, s := splitRemedy(or(c.element.Remedy, remedyOf(c.obligations)))
	return title(strings.TrimSuffix(strings.TrimSpace(s), ".")) + "."
}

// otherwise names the other ways out.
func (x *theme) otherwise() string {
	if x.state != "absent-unfixable" {
		return ""
	}
	seen := map[string]bool{}
	for _, c := range x.causes {
		ways, _ := splitRemedy(c.element.Remedy)
		for _, w := range ways {
			seen[w] = true
		}
	}
	var said []string
	for _, w := range waysOut {
		if seen[w] {
			said = append(said, map[string]string{"change plan": "change the plan", "change arrangement": "change the arrangement", "keep data out": "keep the data out", "wait": "wait", "different product": "use another product"}[w])
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " The ways out are: " + strings.Join(said, ", or ") + "."
}

// condition is what was found.
func (x *theme) condition() string {
	if len(x.causes) == 1 {
		return fmt.Sprintf("“%s”: %s.", strings.TrimSuffix(x.causes[0].statement(), "."), strings.ToLower(stateWords(x.state)))
	}
	return fmt.Sprintf("%s: %d elements, listed below.", stateWords(x.state), len(x.causes))
}

// reason stands in where neither facts nor the assessor name a cause.
func (x *theme) reason() string {
	switch x.state {
	case "unattested":
		return "No statement with a date, a scope and a name was given. What only people know, no tool can read."
	case "unknown":
		return "No input says so. What was not supplied counts as unknown, never as in order."
	case "absent-fixable":
		return "Not in place, as configured or as observed."
	case "short":
		return "In place, and less than what is asked for."
	}
	return "Nothing on this plan, arrangement and date supplies it."
}

func (x *theme) effect() string {
	n := count(len(x.obligations), "obligation")
	switch x.worst {
	case assess.GapNoConfiguration:
		return fmt.Sprintf("Decides %s. In-scope data placed here cannot be accounted for in a form that %s.", n, plural(len(x.obligations), "it accepts", "they accept"))
	case assess.NotAssessed:
		return fmt.Sprintf("Keeps %s from being assessed.", n)
	case assess.NeedsAttestation:
		return fmt.Sprintf("Keeps %s waiting for a signature.", n)
	case assess.PartlySupported:
		return fmt.Sprintf("Leaves %s partly supported.", n)
	}
	return fmt.Sprintf("Decides %s.", n)
}

// shortName is a framework's name where room is short.
func shortName(f assess.FrameworkResult) string {
	return or(map[string]string{"hipaa": "HIPAA", "sox": "SOX", "pci-dss": "PCI DSS", "soc2": "SOC 2"}[f.ID], f.Title)
}

// brief cuts text at the end of a clause and says where the rest is.
func brief(s string, most int, where string) string {
	if len(s) <= most {
		return s
	}
	cut := 0
	for _, end := range []string{". ", "; ", "), "} {
		if at := strings.LastIndex(s[:most], end); at >= 0 {
			cut = max(cut, at+len(end)-1)
		}
	}
	if cut < most/3 {
		cut = max(0, strings.LastIndexByte(s[:most], ' '))
	}
	return strings.TrimRight(s[:cut], " ,;.") + fmt.Sprintf(" … (the rest stands under %q).", where)
}
