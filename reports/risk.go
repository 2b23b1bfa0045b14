package reports

import (
	"slices"

	"github.com/sandtable-dev/sandtable/assess"
)

// A risk register needs two factors for each risk, and no tool knows a client's
// appetite. These are starting values by a rule that the report prints; they
// decide no verdict and management sets the final ones.

type risk struct {
	cause                        *cause
	likelihood, impact, residual int
}

// The rule, as printed.
var riskRule = []string{
	"Likelihood starts at 5 where nothing on this plan supplies the element, 4 where it is absent or unknown, 3 where it falls short or is not attested.",
	"Impact starts at 5 where a formal record or a gap that no configuration closes is hit, 4 where a required obligation is, 3 where only addressable or advisory ones are, 2 where the framework is good practice here.",
	"The step lowers likelihood alone: to 1 where the data is kept out, else to 2. Rating is likelihood times impact: critical from 20, high from 12, medium from 6, low below.",
}

func (b *builder) risks(causes []*cause) []risk {
	var out []risk
	for _, c := range causes {
		r := risk{cause: c, likelihood: 4, impact: 2, residual: 2}
		switch c.element.State {
		case "absent-unfixable":
			r.likelihood, r.residual = 5, 1
		case "short", "unattested":
			r.likelihood = 3
		}
		for _, o := range c.obligations {
			v := 3
			switch {
			case b.fw[o.Framework].GoodPractice:
				v = 2
			case o.Trail || o.Verdict == assess.GapNoConfiguration:
				v = 5
			case o.Weight == "req":
				v = 4
			}
			r.impact = max(r.impact, v)
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(x, y risk) int { return y.likelihood*y.impact - x.likelihood*x.impact })
	return out
}

func ratingStatus(score int) Status {
	switch {
	case score >= 20:
		return Status{"Critical", Square}
	case score >= 12:
		return Status{"High", Triangle}
	case score >= 6:
		return Status{"Medium", Half}
	}
	return Status{"Low", Disc}
}

// ownerOf proposes who closes an element, by the kind of work it is.
func (b *builder) ownerOf(c *cause) string {
	switch c.element.Source {
	case "platform":
		return "CISO with counsel"
	case "telemetry":
		return "Security operations"
	case "config":
		return "Workspace owner"
	}
	seen := map[string]bool{}
	var names []string
	for _, o := range c.obligations {
		n := map[string]string{"hipaa": "privacy or security officer", "sox": "controller", "pci-dss": "PCI sponsor", "soc2": "system owner"}[o.Framework]
		if n != "" && !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "To be named"
	}
	if len(names) > 2 {
		return "CISO, with each framework's owner"
	}
	return title(join(", ", names...))
}

// effortOf is a first estimate by kind of work.
func effortOf(e assess.ElementResult) string {
	switch e.Source {
	case "platform":
		return "L, the vendor's date"
	case "telemetry":
		return "M, 1 to 2 weeks"
	case "config":
		return "S, up to 2 days"
	}
	return "S, up to 5 days"
}

// exportOf is how the evidence for an element reaches an auditor.
func exportOf(e assess.ElementResult) string {
	switch e.Source {
	case "platform":
		return "The vendor's dated document or contract, filed with its hash"
	case "telemetry":
		return "Query of the log store over the period, saved with its hash; then assess it here"
	case "config":
		return "Dated export of the admin settings; the declared state is in inputs/ of the bundle"
	}
	return "Signed and dated statement, filed with the evidence index"
}
