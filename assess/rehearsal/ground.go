package rehearsal

import (
	"io/fs"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
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
	Periods   []string             // that a limit may have, by fact; none where nothing is documented
	Rules     []forecast.Rule      // the dated rules behind Limits and Periods, in words
}

// Prepare builds the organisation of a scenario. Facts are those of as_of.
func Prepare(s *scenarios.Scenario) (*Ground, error) { return PrepareWith(s, nil) }

// PrepareWith is Prepare over the facts and prices of a folder; see Options.Data.
func PrepareWith(s *scenarios.Scenario, data fs.FS) (*Ground, error) {
	r, err := prepare(Options{Scenario: s, Data: data})
	if err != nil {
		return nil, err
	}
	g := &Ground{Directory: r.dir, Prices: r.prices, Limits: r.spendRules(r.end), Gate: r.newGate(), NewLedger: r.newLedger, Access: r.rbac}
	if p, ok := r.fact("spend-limit-period", "period"); ok {
		g.Periods = strings.Split(p, ",")
	}
	g.Rules = r.limitRules(g)
	return g, nil
}

// limitRules says which dated rule of limits applies and what is done with it.
func (r *run) limitRules(g *Ground) []forecast.Rule {
	multi := "the lowest of several group limits applies"
	switch {
	case g.Limits.Setting && r.s.Config.Spend.MultiGroup == "higher":
		multi = "the highest of several group limits applies, as the scenario states"
	case g.Limits.Setting && r.s.Config.Spend.MultiGroup == "":
		multi = "it is a setting that the scenario does not state, so the lowest of several group limits is assumed"
	case g.Limits.Setting:
		multi = "the lowest of several group limits applies, as the scenario states"
	}
	groups := "limits on groups do not exist here and are ignored"
	if g.Limits.GroupLimits {
		groups = "limits on groups are applied"
	}
	period := "nothing was documented on the day, so a month that begins anew at 00:00 UTC on the first is assumed"
	if len(g.Periods) > 0 {
		period = "limits run by: " + strings.Join(g.Periods, ", ")
	}
	products := "nothing was documented on the day; only Cowork is forecast here"
	if g.Limits.Shared != "" {
		products = "only Cowork is forecast here; against the same limits count " + strings.ReplaceAll(g.Limits.Shared, ",", ", ") + ", and none holds " + strings.ReplaceAll(g.Limits.Outside, ",", ", ")
	}
	var out []forecast.Rule
	for _, x := range [][2]string{
		{"spend-group-limit-gate", groups},
		{"spend-group-limit-semantics", "a group's limit caps each member by itself"},
		{"spend-multi-group-rule", multi},
		{"spend-limit-precedence", "a member's own limit before a group's and the seat's, then the default for members, then none"},
		{"spend-limit-period", period},
		{"spend-limit-products", products},
	} {
		a := r.facts.At(x[0], platform.Query{AsOf: r.s.AsOf, Plan: r.s.Organisation.Plan.Value, Arrangements: r.s.Organisation.Arrangements, Exam: r.s.Exam()})
		rule := forecast.Rule{Fact: x[0], Applied: x[1], Reason: a.Reason()}
		if a.Record != nil {
			rule.Statement = strings.TrimSpace(a.Record.Statement)
		}
		out = append(out, rule)
	}
	return out
}
