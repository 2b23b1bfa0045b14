package platform

import (
	"fmt"
	"sync"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Feature is one administration feature as people ask about it. Its plans are
// not written down here: they are those for which the gate fact says yes on the
// day asked about.
type Feature struct {
	ID     string        `yaml:"id,required" json:"id"`
	Name   string        `yaml:"name,required" json:"name"`
	Does   string        `yaml:"does,required" json:"does"`
	Gate   source.Text   `yaml:"gate,required" json:"-"`
	Limit  string        `yaml:"limit,required" json:"limit"`
	Use    string        `yaml:"use,required" json:"use"`
	Closes string        `yaml:"closes,required" json:"closes"` // the gap of daily work it closes
	Leaves string        `yaml:"leaves,required" json:"leaves"` // the gap it does not
	Facts  []source.Text `yaml:"facts,required" json:"-"`
}

// Features lists the features in the order of the sheet.
var Features = sync.OnceValues(func() ([]Feature, error) {
	data, err := embedded.ReadFile("features.yaml")
	if err != nil {
		return nil, err
	}
	return parseFeatures("features.yaml", data)
})

// parseFeatures reads a sheet of features; every fact it names must exist.
func parseFeatures(name string, data []byte) ([]Feature, error) {
	facts, err := Facts()
	if err != nil {
		return nil, err
	}
	f, err := source.Parse(name, data)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Features []Feature `yaml:"features,required"`
	}
	if err := f.Decode(&doc); err != nil {
		return nil, err
	}
	var ps source.Problems
	for _, x := range doc.Features {
		for _, t := range append([]source.Text{x.Gate}, x.Facts...) {
			if _, ok := facts.Fact(t.Value); !ok {
				advice := ""
				if g := source.Nearest(t.Value, facts.IDs()); g != "" {
					advice = fmt.Sprintf("did you mean %q?", g)
				}
				ps.Add(t.At, advice, "%q is not the id of a fact", t.Value)
			}
		}
	}
	return doc.Features, f.Explain(ps).Err()
}

// PlansOf names the plans of Plans on which the fact says yes on a day, with
// those where the answer is open in the second list.
func (c *Catalogue) PlansOf(id string, asOf source.Date) (yes, open []string) {
	for _, p := range Plans {
		switch c.At(id, Query{AsOf: asOf, Plan: p}).Value {
		case Yes, Conditional:
			yes = append(yes, p)
		case Unknown, Verify, NotStated:
			open = append(open, p)
		}
	}
	return yes, open
}

// ParseOverlay reads what a customer states about its own tenant: a file with
// the key facts, a list of {fact, value, who, date, evidence}.
func ParseOverlay(f *source.File) (Overlay, error) {
	var doc struct {
		Facts Overlay `yaml:"facts,required"`
	}
	if err := f.Decode(&doc); err != nil {
		return nil, err
	}
	return doc.Facts, nil
}
