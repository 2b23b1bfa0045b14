package rehearsal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
)

// The invariants once more, through the whole path: a random organisation is
// declared, played, replayed and assessed. The pure function is held to them on
// many more cases in package assess; here it is the wiring that could lie.
func TestInvariantsEndToEnd(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 20
	}
	rng := rand.New(rand.NewPCG(11, 7))
	pick := func(options ...string) string { return options[rng.IntN(len(options))] }
	forbidden := []string{"compliant", "certified", "passed audit", "guarantee"}
	for i := range n {
		set := []string{
			"period={from: 2026-04-13, to: 2026-04-16}",
			"as_of=" + pick("2026-04-09", "2026-06-30", "2026-08-22", "2026-10-04", "2026-10-08"),
			fmt.Sprintf("seed=%d", rng.IntN(1000)),
			"organisation.kind=" + pick("[issuer]", "[covered_entity, issuer]", "[service_organisation]", "[merchant, covered_entity, issuer, service_organisation]", "[]"),
			"organisation.arrangements=" + pick("[]", "[]", "[zdr]", "[cmek]", "[hipaa_ready]", "[hipaa_ready, hipaa_configuration]"),
			"organisation.modes=" + pick("[local]", "[local, cloud]", "[cloud]"),
			"workloads=" + pick("[{name: close-notes, groups: [finance], data: [icfr], reliance: relied}]", "[{name: all, groups: [finance], data: [phi, icfr, chd], reliance: sole}]", "[]"),
			"telemetry.content=" + pick("[userPrompts, assistantResponses, toolDetails]", "[]", "[toolDetails]"),
			"organisation.settings.sso=" + pick("true", "false"),
			"organisation.settings.compliance_api_since=" + pick("2026-08-12", "2026-04-01"),
			"attestations=" + pick("[]", "[{id: baa_signed, who: A, role: counsel, date: 2026-03-01}, {id: media_disposal, who: A, role: owner, date: 2026-03-01}]",
				"[{id: own, for: trail-record, who: A, role: owner, date: 2026-03-01}]"),
		}
		if i%20 == 0 { // long enough to show operation, if anything simulated could
			set[0] = "period={from: 2026-04-13, to: 2026-05-12}"
		}
		off := rng.IntN(4) == 0
		if off {
			set = append(set, "telemetry.endpoint=")
		}
		s := load(t, small, set...)
		r, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: s, Workers: 1})
		if err != nil {
			t.Fatalf("%q: %v", set, err)
		}
		a := r.Assessment
		bad := func(format string, args ...any) {
			t.Helper()
			t.Errorf("case %d %q: %s", i, set, fmt.Sprintf(format, args...))
		}
		if a.Answer.Posture == assess.Supportable {
			bad("supportable in a rehearsal")
		}
		for _, f := range a.Frameworks {
			if f.Posture == assess.SubjectToAttest || f.Posture == assess.EvidenceSupports {
				bad("%s is %s in a rehearsal", f.ID, f.Posture)
			}
			sum := 0
			for _, c := range f.Counts {
				sum += c
			}
			of := 0
			for _, o := range a.Obligations {
				if o.Framework == f.ID {
					of++
				}
			}
			if sum != of {
				bad("%s counts %d of %d obligations", f.ID, sum, of)
			}
		}
		for _, o := range a.Obligations {
			if o.Trail && o.Verdict == assess.Supported {
				bad("formal-trail obligation %s is supported", o.ID)
			}
			if o.Verdict == assess.Supported && !o.DesignOnly {
				bad("%s is supported by more than its design", o.ID)
			}
			if o.Verdict != assess.NotApplicable && o.Verdict != assess.Supported && len(o.Reasons) == 0 {
				bad("%s is %s for no reason", o.ID, o.Verdict)
			}
			for _, e := range o.Elements {
				if e.Aspect == "O" && e.State == "met" {
					bad("operating element %s is met", e.ID)
				}
				if off && e.Source == "telemetry" && e.Essential && e.State == "met" {
					bad("telemetry element %s is met with nothing exported", e.ID)
				}
				if e.State != "met" && e.State != "no-hit" && e.Remedy == "" {
					bad("%s is %s and nobody is told what would supply it", e.ID, e.State)
				}
			}
			for _, w := range forbidden {
				if strings.Contains(strings.ToLower(strings.Join(o.Reasons, " ")+a.Answer.Text+strings.Join(a.Answer.Because, " ")), w) {
					bad("%s: a text says %q", o.ID, w)
				}
			}
		}
	}
}
