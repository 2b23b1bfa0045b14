package assess

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// The lesson's question about each feature: which gap does it close, and which
// is merely hoped for? The answer is found by taking the control away.
func TestControlsAreLabelledByRemoval(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, c := range []struct {
		from  string
		set   []string
		want  map[string]string
		says  string // in the reason of the first listed
		first string
	}{
		{"S 04-09", []string{"limits_set=yes", "adoption_measured=analytics_api", "adoption_every_days=7", "zoom_enabled=yes"}, map[string]string{
			"groups-and-roles": "closes", "spend-limits": "closes", "weekly-analytics": "closes", "telemetry": "closes", "zoom-connector": "closes",
			"single-sign-on": "helps", "silence-rule": "helps", "connector-limits-by-role": "helps", "browser-refused": "aspirational",
		}, "Who may run Cowork at all: closed, open without it", "groups-and-roles"},
		// A limit or a role typed on Team is a wish.
		{"Team 04-09", []string{"limits_set=yes", "cowork_scope=groups"}, map[string]string{"spend-limits": "aspirational", "groups-and-roles": "aspirational"}, "does not enforce", "spend-limits"},
		// Role limits on connectors before the later source dates them, read the safe way.
		{"SaaS 06-30", []string{"as_of=2026-05-01"}, map[string]string{"connector-limits-by-role": "aspirational"}, "not settled", "connector-limits-by-role"},
		{"SaaS 06-30", nil, map[string]string{"connector-limits-by-role": "helps"}, "1 element", "connector-limits-by-role"},
		// Arrangements that are bought for another reason close none of these gaps.
		{"O 08-22", []string{"arrangements=cmek, zdr"}, map[string]string{"zero-data-retention": "aspirational", "customer-managed-key": "aspirational"}, "does not enforce", "zero-data-retention"},
		{"O 08-22", nil, map[string]string{"transcript-capture": "helps", "transcript-export": "aspirational", "personal-accounts-blocked": "closes"}, "Computer Use and personal plans: closed, unattested", "personal-accounts-blocked"},
		{"O 10-08 HC+test", nil, map[string]string{"hipaa-configuration": "closes", "transcript-export": "helps"}, "The audit trail", "hipaa-configuration"},
		{"S 04-09", nil, map[string]string{"scim": "aspirational"}, "other evidence is missing", "scim"},
	} {
		cs, err := m.Controls(w.set(t, m, c.from, c.set...))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]ControlResult{}
		for _, x := range cs {
			got[x.ID] = x
			if len(x.Gaps) > 0 && x.Label == "helps" {
				t.Errorf("%s: %s helps and changes %v", c.from, x.ID, x.Gaps)
			}
		}
		for id, label := range c.want {
			if got[id].Label != label {
				t.Errorf("%s %v: %s is %q (%s), want %s", c.from, c.set, id, got[id].Label, got[id].Reason, label)
			}
		}
		if !strings.Contains(got[c.first].Reason, c.says) {
			t.Errorf("%s %v: %s: %q does not say %q", c.from, c.set, c.first, got[c.first].Reason, c.says)
		}
	}
}

// None of the five features closes a headline gap at any date, in any framework.
func TestNoFeatureClosesTheAuditGap(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, from := range []string{"S 04-09", "S 06-30", "S 08-22", "O 10-08 HC+test", "Team 08-22", "SaaS trail promised"} {
		cs, err := m.Controls(w.set(t, m, from, "limits_set=yes", "adoption_measured=analytics", "adoption_every_days=7", "zoom_enabled=yes"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			for _, g := range c.Gaps {
				if slices.Contains([]string{"groups-and-roles", "spend-limits", "weekly-analytics", "telemetry", "zoom-connector"}, c.ID) && strings.Contains(g, "audit trail") {
					t.Errorf("%s: %s changes %s", from, c.ID, g)
				}
			}
		}
	}
}

func TestWhatWouldChangeTheAnswer(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, c := range []struct {
		from, of string
		ways     []string // step ids joined by +, -> and the new reading
	}{
		{"S 04-09", "hipaa-164.312.b", []string{"phi-out->Not applicable", "wait-2026-10-06+apply-hipaa-configuration->Not assessed"}},
		{"S 04-09", "sox-as1105-10", []string{"icfr-out->Not applicable", "no-reliance->Not applicable", "wait-2026-08-11->Gap, you can close it"}},
		{"S 04-09", "answer", []string{"phi-out+icfr-out->Supportable with conditions", "wait-2026-08-11+phi-out->Supportable with conditions", "wait-2026-10-06+apply-hipaa-configuration->Verify first"}},
		{"O 08-22", "answer", []string{"phi-out->Supportable with conditions", "wait-2026-10-06+apply-hipaa-configuration->Verify first"}},
		{"Team 04-09", "pci-7.2.1-2", []string{"chd-out->Not applicable", "enterprise->Gap, you can close it"}},
		{"Team 04-09", "pci-10.2.1", []string{"chd-out->Not applicable", "wait-2026-08-11+enterprise->Gap, you can close it"}},
		{"Team 04-09", "pci-10.2.1.1", []string{"chd-out->Not applicable"}},
		{"SaaS trail promised", "soc2-trail", []string{"no-trail-promise->Not applicable", "wait-2026-08-11->Gap, you can close it"}},
		{"E14 connector", "hipaa-164.308.b", []string{"covered-path->Supported by evidence"}},
		{"personal seats", "hipaa-164.310.b-c", []string{"personal-plans->Supported by evidence"}},
		{"O 10-08 HC", "answer", []string{"tenant-test->Supportable with conditions"}},
		{"E8 SaaS browser untouched", "soc2-cc6.6", []string{"refuse-browser->Partly supported"}},
	} {
		in := w.inputs(t, m, c.from)
		ws, err := m.WouldChange(in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range ws {
			if x.Of != c.of {
				continue
			}
			for _, y := range x.Ways {
				var ids []string
				for _, s := range y.Steps {
					ids = append(ids, s.ID)
				}
				got = append(got, strings.Join(ids, "+")+"->"+y.To)
			}
		}
		for _, want := range c.ways {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %s has no way %q, only %q", c.from, c.of, want, got)
			}
		}
	}
}

// A way out says what it breaks: leaving Team trades all-or-nothing for a
// matrix that is not written yet, and readiness cancels the record others gain.
func TestWaysOutSayWhatTheyBreak(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	find := func(from, of, step string) []string {
		ws, err := m.WouldChange(w.inputs(t, m, from))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range ws {
			for _, y := range x.Ways {
				if x.Of == of && y.Steps[len(y.Steps)-1].ID == step {
					return y.Breaks
				}
			}
		}
		t.Fatalf("%s: no way with %s for %s", from, step, of)
		return nil
	}
	if b := strings.Join(find("Team 04-09", "pci-7.2.1-2", "enterprise"), "\n"); !strings.Contains(b, "7.3.1: partly supported becomes gap, you can close it") {
		t.Errorf("moving to Enterprise breaks %q", b)
	}
	if b := strings.Join(find("O 08-22", "answer", "apply-hipaa-configuration"), "\n"); !strings.Contains(b, "The audit trail: partial becomes unknown") {
		t.Errorf("the HIPAA configuration breaks %q", b)
	}
}

// One organisation's answer over a year: the days on which it changes and the
// facts that moved it.
func TestTimeline(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	start := time.Now()
	tl, err := m.Timeline(w.inputs(t, m, "O 08-22"), source.Day(2026, 4, 9), source.Day(2027, 4, 8))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a year of days in %s", time.Since(start).Round(time.Millisecond))
	if tl[0].Date != "2026-04-09" || tl[0].Postures["sox"] != DoNotPlace {
		t.Errorf("it starts %s with SOX %s", tl[0].Date, tl[0].Postures["sox"])
	}
	var august *Move
	for i := range tl {
		if tl[i].Date == "2026-08-11" {
			august = &tl[i]
		}
		if tl[i].Answer != NotSupportable {
			t.Errorf("on %s the answer is %s", tl[i].Date, tl[i].Answer)
		}
		for _, v := range tl[i].Verdicts {
			if len(v.Facts) == 0 && tl[i].Date != "2027-01-01" { // the day the attestations run out
				t.Errorf("%s: nothing explains %s from %s to %s", tl[i].Date, v.Obligation, v.From, v.To)
			}
		}
	}
	if august == nil || august.Postures["sox"] != SubjectToAttest || august.Postures["hipaa"] != DoNotPlace || august.Gaps["audit-log"] != "partial" {
		t.Fatalf("11 August: %+v", august)
	}
	if f := august.Verdicts[0].Facts; !slices.Contains(f, "compliance-api-local-sessions") {
		t.Errorf("11 August rests on %v", f)
	}
	// HIPAA moves in October, inside an interval the gap stands.
	tl, err = m.Timeline(w.inputs(t, m, "O 10-08 HC"), source.Day(2026, 9, 30), source.Day(2026, 10, 8))
	if err != nil {
		t.Fatal(err)
	}
	if len(tl) != 2 || tl[0].Answer != NotSupportable || tl[1].Date != "2026-10-06" || tl[1].Answer != Verify {
		t.Errorf("October: %+v", tl)
	}
	if _, err := m.Timeline(w.inputs(t, m, "S 04-09"), source.Day(2026, 5, 1), source.Day(2026, 4, 1)); err == nil {
		t.Error("a range that ends before it starts is no error")
	}
}

// A tenant that names the HIPAA configuration alone is HIPAA-ready too; leaving
// the plan out must not turn a gap into a doubt.
func TestTheConfigurationImpliesReadiness(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	a := judge(t, m, w.set(t, m, "S 04-09", "arrangements=hipaa_configuration", "hipaa_config_proven=yes"))
	if a.Verdicts["hipaa-164.308.b"] != GapNoConfiguration || a.Answer != NotSupportable {
		t.Errorf("in April with the configuration declared: %s, %s", a.Verdicts["hipaa-164.308.b"], a.Answer)
	}
}

func BenchmarkTimelineYear(b *testing.B) {
	m := model(b)
	in := workedCases(b).inputs(b, m, "O 08-22")
	for b.Loop() {
		if _, err := m.Timeline(in, source.Day(2026, 4, 9), source.Day(2027, 4, 8)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWouldChange(b *testing.B) {
	m := model(b)
	in := workedCases(b).inputs(b, m, "S 04-09")
	for b.Loop() {
		if _, err := m.WouldChange(in); err != nil {
			b.Fatal(err)
		}
	}
}

// The strip beside the answer names the changes that move it, and only those.
func TestChangedSinceNamesWhatMovesTheAnswer(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, c := range []struct {
		from string
		set  []string
		want []string
	}{
		{"S 04-09", nil, nil}, // SOX moves in August, the answer does not
		{"S 04-09", []string{"phi_present=no", "capi_on_since=2026-04-01", "own_export_days=7", "own_store_days=2557"}, []string{"compliance-api-local-sessions 2026-08-11", "session-transcript-omissions 2026-08-11"}},
		{"O 10-08 HC", []string{"as_of=2026-09-01"}, []string{"baa-cowork-coverage 2026-10-06", "compliance-api-hipaa-capture 2026-10-06", "session-transcript-retention 2026-10-06"}},
	} {
		a := assessInputs(t, m, w.set(t, m, c.from, c.set...))
		var got []string
		for _, x := range a.ChangedSince {
			if x.MovesAnswer {
				got = append(got, x.Fact+" "+x.Date)
			}
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, c.want) {
			t.Errorf("%s %v: %q, want %q", c.from, c.set, got, c.want)
		}
	}
}

// A customer's own statement about its tenant decides, as the customer's.
func TestTheCustomersStatementDecides(t *testing.T) {
	m := model(t)
	in := workedCases(t).inputs(t, m, "O 10-08 HC")
	ours := platform.Overlay{{Fact: source.Text{Value: "compliance-api-hipaa-capture"}, Value: "yes", Who: "Tenant team", Date: source.Day(2026, 10, 7), Evidence: "a marked session was found"}}
	mine, err := m.With(ours)
	if err != nil {
		t.Fatal(err)
	}
	a := assessInputs(t, mine, in)
	if v := verdictOf(a, "hipaa-164.312.b"); v != PartlySupported || a.Answer.Posture != WithConditions {
		t.Errorf("with our own test: %s, %s", v, a.Answer.Posture)
	}
	i := slices.IndexFunc(a.FactsUsed, func(f FactUse) bool { return f.ID == "compliance-api-hipaa-capture" })
	if i < 0 || a.FactsUsed[i].Confidence != "customer's" || !strings.Contains(a.FactsUsed[i].Sources[0], "Tenant team") {
		t.Errorf("the statement is not shown as the customer's: %+v", a.FactsUsed)
	}
	if v := judge(t, m, in).Verdicts["hipaa-164.312.b"]; v != NotAssessed {
		t.Errorf("the shipped model changed: %s", v)
	}
	early := with(in, "as_of", Text("2026-10-06"))
	if v := judge(t, mine, early).Verdicts["hipaa-164.312.b"]; v != NotAssessed {
		t.Errorf("the statement decides before its date: %s", v)
	}
	ours[0].Fact.Value = "compliance-api-hipa-capture"
	if _, err := m.With(ours); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("an unknown fact: %v", err)
	}
}

// Three frameworks at once need three changes, and what was detected must go.
func TestThreeFrameworksNeedThreeChanges(t *testing.T) {
	m := model(t)
	in := workedCases(t).set(t, m, "O 04-09", "org_kind=covered_entity, issuer, merchant", "pan_hits=2", "phi_hits=1")
	ws, err := m.WouldChange(in)
	if err != nil {
		t.Fatal(err)
	}
	if ws[0].Of != "answer" || len(ws[0].Ways) == 0 || len(ws[0].Ways[0].Steps) != 3 {
		t.Fatalf("the answer: %+v", ws[0])
	}
	var ids []string
	for _, s := range ws[0].Ways[0].Steps {
		ids = append(ids, s.ID)
	}
	if strings.Join(ids, "+") != "phi-out+icfr-out+chd-out" {
		t.Errorf("the first way is %v", ids)
	}
}

// Before the first record of a fact nobody knows what could have been switched
// on, so nothing is called left undone and no way out is offered that is not
// known to have been there.
func TestNothingIsOfferedBeforeTheRecord(t *testing.T) {
	m := model(t)
	in := workedCases(t).set(t, m, "S 04-09", "as_of=2026-03-01")
	a := assessInputs(t, m, in)
	for _, id := range []string{"sox-as1105-10", "sox-308-evid"} {
		if v := verdictOf(a, id); v != NotAssessed {
			t.Errorf("%s on a day without records: %s, want not assessed", id, v)
		}
		if w := why(a, id); !strings.Contains(w, "does not reach back") {
			t.Errorf("%s: %q does not say that the record does not reach back", id, w)
		}
	}
	for _, o := range a.Obligations {
		for _, r := range o.Remedy {
			if o.ID == "sox-308-evid" && strings.Contains(r, "export") {
				t.Errorf("%s offers %q on a day on which nobody is known to have had it", o.ID, r)
			}
		}
	}
	ws, err := m.WouldChange(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range ws {
		for _, y := range x.Ways {
			for i, s := range y.Steps {
				if waits := i > 0 && y.Steps[0].Kind == "wait"; !waits && slices.Contains([]string{"capture", "reconcile", "apply-hipaa-configuration", "roles", "otel"}, s.ID) {
					t.Errorf("%s: %q is offered on a day that no record speaks for", x.Of, s.Title)
				}
			}
		}
	}
}

// A gap that no configuration closes names only the ways out that there are:
// Enterprise has no plan above it, and an arrangement is changed where that helps.
func TestWaysOutOfAPlatformGapExist(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, c := range []struct {
		from, obligation string
		has, not         string
	}{
		{"S 04-09", "sox-308-evid", "keep data out, or wait: ", "change"},
		{"S 04-09", "hipaa-164.312.b", "change arrangement, or keep data out, or wait: ", "change plan"},
		{"S 08-22 HR", "sox-308-evid", "change arrangement", "change plan"}, // leaving HIPAA readiness brings capture
		{"Team 04-09", "pci-10.2.1", "change plan", "change arrangement"},
		{"Team 04-09", "pci-10.2.1.2", "change plan: ", "wait"},
	} {
		a := assessInputs(t, m, w.inputs(t, m, c.from))
		for _, o := range a.Obligations {
			if o.ID != c.obligation {
				continue
			}
			if got := strings.Join(o.Remedy, "; "); !strings.Contains(got, c.has) || strings.Contains(got, c.not) {
				t.Errorf("%s: %s offers %q, want %q and not %q", c.from, o.ID, got, c.has, c.not)
			}
		}
	}
}

// A fact that is cited and read by no predicate is printed as it holds in the mode
// in use: a local organisation must not be told that no record speaks for it.
func TestCitedFactsAreReadInTheModeInUse(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, modes := range []string{"local", "cloud", "cloud, local"} {
		a := assessInputs(t, m, w.set(t, m, "S 08-22", "exec_modes="+modes))
		i := slices.IndexFunc(a.FactsUsed, func(f FactUse) bool { return f.ID == "compliance-api-cowork-excluded" })
		if i < 0 || a.FactsUsed[i].Value != "conditional" {
			t.Errorf("%s: %+v, want the record of that mode", modes, a.FactsUsed[max(i, 0)])
		}
	}
}
