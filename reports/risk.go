package reports

import (
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// A risk register needs two factors for each risk, and no tool knows a client's
// appetite. These are starting values by a rule that the report prints; they
// decide no verdict and management sets the final ones.

type risk struct {
	theme                        *theme
	likelihood, impact, residual int
}

// The rule, as printed.
var riskRule = []string{
	"Likelihood starts at 5 where nothing on this plan supplies the element, 4 where it is absent or unknown, 3 where it falls short or is not attested.",
	"Impact starts at 5 where a formal record or a gap that no configuration closes is hit, 4 where a required obligation is, 3 where only addressable or advisory ones are, 2 where the framework is good practice here.",
	"The step lowers likelihood alone: to 1 where the data is kept out, else to 2. Rating is likelihood times impact: critical from 20, high from 12, medium from 6, low below.",
}

func (b *builder) risks(themes []*theme) []risk {
	var out []risk
	for _, c := range themes {
		r := risk{theme: c, likelihood: 4, impact: 2, residual: 2}
		switch c.state {
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

// ownerOf proposes who closes a finding, by the kind of work it is.
func (b *builder) ownerOf(x *theme) string {
	switch e := x.causes[0].element; {
	case x.state == "unknown" && len(x.causes) > 1:
		return "CISO, to collect"
	case x.state == "unattested" && len(x.causes) > 1 && x.title != "":
		return "Each owner, as listed"
	case e.Source == "platform":
		return "CISO with counsel"
	case e.Source == "telemetry":
		return "Security operations"
	case e.Source == "config":
		return "Workspace owner"
	}
	seen := map[string]bool{}
	var names []string
	for _, o := range x.obligations {
		n := map[string]string{"hipaa": "privacy or security officer", "sox": "controller", "pci-dss": "PCI sponsor", "soc2": "system owner"}[o.Framework]
		if n != "" && !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	switch len(names) {
	case 0:
		return "To be named"
	case 1, 2:
		return title(strings.Join(names, ", "))
	}
	return "Each framework's owner"
}

// effort is a first estimate by kind of work.
func (x *theme) effort() string {
	switch e := x.causes[0].element; {
	case x.state == "absent-unfixable":
		return "L, the vendor's date"
	case x.state == "unknown" && len(x.causes) > 1, x.state == "unattested" && len(x.causes) > 5:
		return "M, 2 to 4 weeks"
	case e.Source == "telemetry":
		return "M, 1 to 2 weeks"
	case e.Source == "config":
		return "S, up to 2 days"
	}
	return "S, up to 5 days"
}

// exportOf is how the evidence for an element reaches an auditor.
func exportOf(e assess.ElementResult) string {
	switch e.Source {
	case "platform":
		return "The vendor's dated document or export, filed with its hash"
	case "telemetry":
		return "Query of the log store over the period, saved with its hash"
	case "config":
		// What counts outside the admin settings comes from where it is counted.
		classes := ""
		for _, ev := range e.Evidence {
			if open := strings.LastIndexByte(ev, '('); open >= 0 {
				classes += ev[open:]
			}
		}
		switch {
		case strings.Contains(classes, "E4") && strings.Contains(classes, "E5"):
			return "Dated exports of the admin settings and of the roster or inventory that counts it, filed with their hashes"
		case strings.Contains(classes, "E4"):
		case strings.Contains(classes, "E1"):
			return "Activity Feed export, filed with its hash"
		case strings.Contains(classes, "E5"):
			return "Dated export of the inventory, directory or tickets that count it, filed with its hash"
		}
		return "Dated export of the admin settings, filed with its hash"
	}
	return "Signed and dated statement"
}
