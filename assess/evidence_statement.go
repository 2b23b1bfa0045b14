package assess

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

type tenantTest struct {
	Session string      `yaml:"session,required"`
	Date    source.Date `yaml:"date,required"`
	Who     string      `yaml:"who,required"`
}

// statementFile is evidence that no product exports in a shape worth knowing,
// stated by a person with its source.
type statementFile struct {
	Figures []struct {
		Variable source.Text `yaml:"variable,required"`
		Value    source.Text `yaml:"value,required"`
		Date     source.Date `yaml:"date,required"`
		Who      string      `yaml:"who,required"`
		Source   string      `yaml:"source,required" advice:"name the system, the query and the day, so that somebody else can run it again"`
	} `yaml:"figures"`
	Attestations []struct {
		ID      source.Text `yaml:"id,required"`
		Who     string      `yaml:"who,required"`
		Role    string      `yaml:"role,required"`
		Scope   string      `yaml:"scope"`
		Date    source.Date `yaml:"date,required"`
		Expires source.Date `yaml:"expires"`
		Answer  *bool       `yaml:"answer"`
		For     source.Text `yaml:"for"`
	} `yaml:"attestations"`
	Tests []tenantTest     `yaml:"tests"`
	Facts platform.Overlay `yaml:"facts"`
}

func (r *intakeRun) statement(p string, f *evidenceFile, data []byte) source.Problems {
	file, err := source.Parse(p, data)
	if err != nil {
		return appendErr(nil, err)
	}
	var s statementFile
	if err := file.Decode(&s); err != nil {
		return appendErr(nil, err)
	}
	m, err := Default()
	if err != nil {
		return appendErr(nil, err)
	}
	var ps source.Problems
	f.item.What, f.item.Class, f.kind = "Statements with their sources", "E6", "statements"
	for _, x := range s.Figures {
		f.rows++
		f.see(x.Date)
		i, known := m.varIndex[x.Variable.Value]
		switch {
		case !known || !slices.Contains(r.Stated, x.Variable.Value):
			advice := "scope belongs in the scenario, telemetry in the stream; stated may be: " + strings.Join(r.Stated, ", ")
			if g := source.Nearest(x.Variable.Value, r.Stated); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(x.Variable.At, advice, "%q is not a figure that can be stated", x.Variable.Value)
			continue
		case x.Date.After(r.frame.AsOf):
			f.late++
			continue
		}
		v, err := parseValue(m.vars[i].Type, x.Value.Value)
		if err != nil || !v.Known {
			ps.Add(x.Value.At, "", "%s: found %q, expected %s", x.Variable.Value, x.Value.Value, map[string]string{"bool": "yes or no", "int": "a whole number", "number": "a number"}[m.vars[i].Type])
			continue
		}
		r.ev.Vars[x.Variable.Value] = v.From(fmt.Sprintf("stated by %s on %s: %s", x.Who, x.Date, x.Source))
	}
	for _, x := range s.Attestations {
		f.rows++
		f.see(x.Date)
		switch {
		case x.For.Value == "" && m.atts[x.ID.Value] == nil:
			ps.Add(x.ID.At, adviceNearest(x.ID.Value, m.attOrder), "%q is not an attestation id", x.ID.Value)
		case x.For.Value != "" && m.elements[x.For.Value] == nil:
			ps.Add(x.For.At, adviceNearest(x.For.Value, m.elementNames()), "%q is not an element that a compensating control can stand in for", x.For.Value)
		default:
			r.ev.Attestations = append(r.ev.Attestations, Attested{ID: x.ID.Value, Who: x.Who, Role: x.Role, Scope: x.Scope, Date: x.Date, Expires: x.Expires, Answer: x.Answer == nil || *x.Answer, For: x.For.Value})
		}
	}
	for _, t := range s.Tests {
		f.rows++
		f.see(t.Date)
		r.tests = append(r.tests, t)
	}
	if _, err := m.facts.With(s.Facts); err != nil {
		ps = appendErr(ps, err)
	}
	f.rows += len(s.Facts)
	r.ev.Overlay = append(r.ev.Overlay, s.Facts...)
	return file.Explain(ps)
}
