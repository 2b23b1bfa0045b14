package reports

import (
	"fmt"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Features is the sheet for people who learn or explain the administration
// features: one page, each feature with the gap it closes and the gap it leaves.
func Features(c *platform.Catalogue, features []platform.Feature, asOf source.Date) *Document {
	t := Table{Head: []string{"Feature and plans", "What it does", "Where its limit sits", "How to use it", "Closes", "Leaves open"}, Widths: []int{19, 18, 21, 18, 15, 15}}
	for _, f := range features {
		t.Rows = append(t.Rows, []Cell{{Text: f.Name + ": " + Plans(c, f.Gate.Value, asOf)}, {Text: f.Does}, {Text: f.Limit}, {Text: f.Use}, {Text: f.Closes}, {Text: f.Leaves}})
	}
	return &Document{
		Meta: Meta{Title: "Administration features of Claude Cowork", AsOf: asOf.String(), Profile: "facts of " + asOf.String()},
		Sections: []Section{{
			ID: "features", Title: "What shipped for administrators, and what it does not change", Level: 1, OnePage: true,
			Blocks: []Block{
				Paragraph{Text: fmt.Sprintf("Facts as of %s. Each feature closes a real gap of daily work. None closes the audit gap: telemetry is never an audit log, at any date and on any plan.", asOf)},
				t,
				Paragraph{Text: "Independent material, not from the vendor. Dates, sources and doubts behind every line: sandtable facts show FACT. Facts read: " + strings.Join(factsOf(features), ", ") + ".", Small: true},
			},
		}},
	}
}

// Plans says on which plans a fact holds, in words.
func Plans(c *platform.Catalogue, fact string, asOf source.Date) string {
	yes, open := c.PlansOf(fact, asOf)
	for i, p := range yes {
		yes[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	s := strings.Join(yes, ", ")
	switch {
	case s == "" && len(open) > 0:
		return "to be checked"
	case s == "":
		return "none"
	}
	return s
}

func factsOf(features []platform.Feature) []string {
	seen := map[string]bool{}
	var out []string
	for _, f := range features {
		for _, t := range f.Facts {
			if !seen[t.Value] {
				seen[t.Value] = true
				out = append(out, t.Value)
			}
		}
	}
	return out
}
