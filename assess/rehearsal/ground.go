package rehearsal

import (
	"io/fs"

	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/simulate"
)

// Ground is what a scenario stands on before anything is played or replayed:
// planning asks it without a run.
type Ground struct {
	Directory *org.Directory
	Prices    *platform.PriceList
	Limits    spend.Rules          // the dated rules of spend limits
	Gate      simulate.Gatekeeper  // access and limits as a run would decide them
	NewLedger func() *spend.Ledger // an empty ledger under those rules
	Access    *rbac.Engine         // who may do what; asked, not fed
}

// Prepare builds the organisation of a scenario. Facts are those of as_of.
func Prepare(s *scenarios.Scenario) (*Ground, error) { return PrepareWith(s, nil) }

// PrepareWith is Prepare over the facts and prices of a folder; see Options.Data.
func PrepareWith(s *scenarios.Scenario, data fs.FS) (*Ground, error) {
	r, err := prepare(Options{Scenario: s, Data: data})
	if err != nil {
		return nil, err
	}
	return &Ground{Directory: r.dir, Prices: r.prices, Limits: spend.DefaultRules(r.fact), Gate: gate{r.rbac, r.newLedger()}, NewLedger: r.newLedger, Access: r.rbac}, nil
}
