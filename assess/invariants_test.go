package assess

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// The invariants run on 700 random organisations each unless told otherwise
// with -rapid.checks; together that is more than 10,000.
func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // the seed printed is enough to run it again
		panic(err)
	}
	if !set {
		n := "700"
		if testing.Short() {
			n = "70"
		}
		if err := flag.Set("rapid.checks", n); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// values a variable may take: around each threshold, and unknown (nil).
var drawn = map[string][]Value{
	"plan":                   {Text("team"), Text("enterprise"), Text("enterprise"), Text("enterprise")},
	"as_of":                  texted("2026-04-09", "2026-06-30", "2026-08-22", "2026-09-05", "2026-10-04", "2026-10-08"),
	"period_days":            {Int(14), Int(28), Int(42), Int(42), Int(42)},
	"evidence_kind":          {Text("observed"), Text("observed"), Text("observed"), Text("simulated"), Text("mixed"), {}},
	"org_kind":               {Set("covered_entity", "issuer", "merchant", "service_organisation"), Set("covered_entity", "issuer", "merchant", "service_organisation"), Set("issuer"), Set(), {}},
	"arrangements":           {Set(), Set(), Set("zdr"), Set("cmek"), Set("hipaa_ready"), Set("hipaa_configuration", "hipaa_ready"), Set("hipaa_configuration")},
	"exec_modes":             {Set("local"), Set("local"), Set("local"), Set("cloud"), Set("cloud", "local"), Set("third_party"), {}},
	"icfr_reliance":          {Text("none"), Text("relied"), Text("sole"), {}},
	"committed_days":         {{}, Int(365), Int(730)},
	"soc2_categories":        {Set(), Set("availability", "confidentiality", "privacy", "processing_integrity"), {}},
	"cowork_scope":           {Text("groups"), Text("groups"), Text("all"), Text("off"), {}},
	"provisioning":           {Text("scim"), Text("scim"), Text("invite"), Text("jit"), {}},
	"connector_limit_level":  {Text("role"), Text("organisation"), Text("none"), {}},
	"otel_prompt_content":    {Text("on"), Text("off"), {}},
	"siem_days":              {Int(0), Int(90), Int(364), Int(365), Int(2557), {}},
	"siem_hot_days":          {Int(30), Int(90), {}},
	"rules_active":           {Int(0), Int(1), Int(5), Int(5), {}},
	"capi_on_since":          append(texted("2026-08-01", "2026-08-15", "2026-08-15", "2026-10-07"), Value{}),
	"use_start":              append(texted("2026-08-15", "2026-08-15", "2026-04-13"), Value{}),
	"own_export_days":        {Int(0), Int(7), Int(7), Int(45), {}},
	"own_store_days":         {Int(0), Int(365), Int(2557), {}},
	"cowork_records":         {Int(0), Int(5000), Int(5000), Int(5000), {}},
	"leaver_lag_p95_h":       {Int(4), Int(24), Int(30), Int(900), {}},
	"access_review_age_days": {Int(60), Int(183), Int(200), Int(400), {}},
	"skew_p99_s":             {Int(12), Int(301), {}},
	"alert_latency_p90_min":  {Int(20), Int(90), {}},
	"feed_admin_rows":        {Int(0), Int(40), {}},
}

func texted(ss ...string) []Value {
	var out []Value
	for _, s := range ss {
		out = append(out, Text(s))
	}
	return out
}

// domain is what a variable may be in a random organisation.
func domain(v variable) []Value {
	if d := drawn[v.Name]; d != nil {
		return d
	}
	switch v.Type {
	case "bool":
		return []Value{Bool(true), Bool(true), Bool(false), {}}
	case "int":
		return []Value{Int(0), Int(0), Int(1), {}}
	case "number":
		if strings.Contains(v.Means, "or less") {
			return []Value{Number(0), Number(0.004), Number(0.05), Number(0.5), {}}
		}
		return []Value{Number(1), Number(1), Number(0.97), Number(0.5), Number(0), {}}
	}
	return []Value{{}}
}

// group lists the variables of the given groups.
func (m *Model) group(names ...string) []variable {
	var out []variable
	for _, v := range m.vars {
		if slices.Contains(names, v.Group) {
			out = append(out, v)
		}
	}
	return out
}

func drawInputs(t *rapid.T, m *Model) Inputs {
	in := Inputs{Vars: Vars{}, Exam: rapid.Bool().Draw(t, "exam")}
	for _, v := range m.group("scope", "configuration", "telemetry", "external") {
		d := domain(v)
		if x := d[rapid.IntRange(0, len(d)-1).Draw(t, v.Name)]; x.Known {
			in.Vars[v.Name] = x
		}
	}
	// Team has no SCIM groups; a scenario that says so does not load.
	if in.Vars["plan"].Text == "team" && in.Vars["provisioning"].Text == "scim" {
		in.Vars["provisioning"] = Text("jit")
	}
	for _, id := range m.Attestations() {
		switch rapid.IntRange(0, 4).Draw(t, "att "+id) {
		case 0, 1:
			in.Attestations = append(in.Attestations, attest(id)...)
		case 2:
			a := attest(id)[0]
			a.Expires = source.Day(2026, 2, 1) // out of date on every day drawn
			in.Attestations = append(in.Attestations, a)
		case 3:
			a := attest(id)[0]
			a.Answer = false
			in.Attestations = append(in.Attestations, a)
		}
	}
	return in
}

func with(in Inputs, name string, v Value) Inputs {
	in.Vars = in.Vars.Clone()
	if v.Known {
		in.Vars[name] = v
	} else {
		delete(in.Vars, name)
	}
	return in
}

func without(in Inputs, vs []variable) Inputs {
	in.Vars = in.Vars.Clone()
	for _, v := range vs {
		delete(in.Vars, v.Name)
	}
	return in
}

type failer interface {
	Fatalf(string, ...any)
	Helper()
}

func judge(t failer, m *Model, in Inputs) Judgement {
	t.Helper()
	j, err := m.Judge(in)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return j
}

func (m *Model) obligations() []*Obligation {
	var out []*Obligation
	for _, fw := range m.Frameworks {
		out = append(out, fw.Obligations...)
	}
	return out
}

// essentials of o that satisfy f.
func essentials(o *Obligation, f func(*element) bool) bool {
	for _, p := range o.parts {
		if p.essential && f(p.el) {
			return true
		}
	}
	return false
}

// readsVar follows predicates.
func (m *Model) readsVar(el *element, names ...string) bool {
	for _, r := range m.closure(el.reads) {
		if slices.Contains(names, r) {
			return true
		}
	}
	return false
}

func postureRank(p string) int {
	return map[string]int{DoNotPlace: 4, NotReady: 3, SubjectToAttest: 2, EvidenceSupports: 1}[p]
}

func answerRank(a string) int {
	return map[string]int{NotSupportable: 4, NotEvaluable: 3, Verify: 3, WithConditions: 2, Supportable: 1}[a]
}

func gapRank(g string) int {
	return map[string]int{"open": 4, "unknown": 3, "unattested": 2, "partial": 2, "closed": 1}[g]
}

// complete is the shipped model over facts in which the transcripts' omissions
// ended on the first of September: the only world in which a formal-trail
// obligation can be supported, so that the telemetry-removed form of the first
// invariant is not empty.
func complete(t testing.TB) *Model {
	t.Helper()
	shipped, err := platform.Facts()
	if err != nil {
		t.Fatal(err)
	}
	var files []*source.File
	for _, in := range shipped.Files() {
		if in.Name == "prices.yaml" {
			continue
		}
		data := in.Data
		if i := bytes.Index(data, []byte("- id: session-transcript-omissions")); i >= 0 {
			end := bytes.Index(data[i+1:], []byte("\n  - id: "))
			one := string(data[i : i+1+end])
			made := strings.TrimRight(one, "\n") + `
      - statement: Made up for a test; the transcript holds everything.
        value: {free: no, pro: no, max: no, team: no, enterprise: no}
        from: 2026-09-01
        last_verified: 2026-10-08
        confidence: low
        sources: [{key: "10", read: inferred}]
`
			data = []byte(string(data[:i]) + made + string(data[i+1+end:]))
		}
		f, err := source.Parse(in.Name, data)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	facts, err := platform.ParseFacts(files)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(embedded, facts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// detectors find data classes; a hit switches a framework on.
var detectors = []string{"phi_hits", "pan_hits", "sad_hits"}

// INV-1: no telemetry, however perfect, supports a formal audit-trail duty,
// and none moves its verdict at all.
func TestTelemetryNeverLiftsATrail(t *testing.T) {
	m := model(t)
	tel := m.group("telemetry")
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		for _, v := range detectors {
			in = with(in, v, Value{}) // they decide what is in scope, never what is shown
		}
		with, without := judge(t, m, in), judge(t, m, without(in, tel))
		for _, o := range m.obligations() {
			id := o.Id.Value
			if !o.Trail {
				continue
			}
			if with.Verdicts[id] == Supported {
				t.Fatalf("%s is supported on the facts as they are", id)
			}
			if with.Verdicts[id] != without.Verdicts[id] {
				t.Fatalf("%s is %s with telemetry and %s without it", id, with.Verdicts[id], without.Verdicts[id])
			}
		}
	})
}

// INV-1 at every date, in the form that survives a complete record: what is
// supported stays supported with all telemetry removed.
func TestASupportedTrailNeedsNoTelemetry(t *testing.T) {
	m := complete(t)
	tel := m.group("telemetry")
	supported := 0
	w := workedCases(t)
	best := w.inputs(t, m, "O 10-08 HC+test")
	best.Vars["org_kind"] = Set("covered_entity", "issuer", "merchant", "service_organisation")
	best.Vars["chd_present"], best.Vars["trail_promised"] = Bool(true), Bool(true)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		if rapid.Bool().Draw(t, "from the best case") { // random evidence hardly ever supports anything, so half start high
			for _, v := range m.group("telemetry") {
				if x, ok := in.Vars[v.Name]; ok {
					best.Vars[v.Name] = x
				} else {
					delete(best.Vars, v.Name)
				}
			}
			in = best
		}
		for _, v := range detectors {
			in = with(in, v, Value{})
		}
		a, b := judge(t, m, in), judge(t, m, without(in, tel))
		for _, o := range m.obligations() {
			if id := o.Id.Value; o.Trail && a.Verdicts[id] == Supported {
				supported++
				if b.Verdicts[id] != Supported {
					t.Fatalf("%s is supported with telemetry and %s without it", id, b.Verdicts[id])
				}
			}
		}
	})
	if supported == 0 {
		t.Error("no formal-trail obligation was ever supported, so nothing was tested")
	}
}

// A perfect stream moves no gap that no configuration closes (the lesson's
// first mistake, as arithmetic).
func TestPerfectTelemetryMovesNoPlatformGap(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		for _, v := range detectors {
			in = with(in, v, Value{})
		}
		perfect := in
		perfect.Vars = in.Vars.Clone()
		for _, v := range m.group("telemetry") {
			perfect.Vars[v.Name] = map[string]Value{"int": Int(0), "number": Number(1)}[v.Type]
		}
		perfect.Vars["cowork_records"] = Int(1 << 20)
		perfect.Vars["seq_hole_ratio"], perfect.Vars["orphan_prompt_ratio"] = Number(0), Number(0)
		a, b := judge(t, m, in), judge(t, m, perfect)
		for id, v := range a.Verdicts {
			if v == GapNoConfiguration && b.Verdicts[id] != GapNoConfiguration {
				t.Fatalf("%s leaves the platform gap by telemetry alone", id)
			}
		}
	})
}

// INV-2: one more piece of telemetry never worsens a verdict unless an element
// that reads it now shows a violation; one more attestation never does.
func TestMoreEvidenceNeverWorsens(t *testing.T) {
	m := model(t)
	tel := m.group("telemetry")
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		v := tel[rapid.IntRange(1, len(tel)-1).Draw(t, "variable")] // the first is the number of records itself
		d := domain(v)
		x := d[rapid.IntRange(0, len(d)-2).Draw(t, "value")]
		before := with(in, v.Name, Value{})
		a := judge(t, m, before)
		rq := Request{Inputs: with(in, v.Name, x), FindingIDs: map[string][]string{v.Name: {"f-1"}}}
		after, err := m.Assess(rq)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, o := range after.Obligations {
			if verdictRank(o.Verdict) <= verdictRank(a.Verdicts[o.ID]) {
				continue
			}
			cited := false
			for _, e := range o.Elements {
				cited = cited || e.Essential && (e.State == "absent-fixable" || e.State == "short") && slices.Contains(e.Findings, "f-1")
			}
			if slices.Contains(detectors, v.Name) { // a class was found that nobody declared
				cited = cited || slices.ContainsFunc(after.Observations, func(ob Observation) bool { return slices.Contains(ob.Findings, "f-1") })
			}
			if !cited {
				t.Fatalf("%s falls from %s to %s because %s became known, and cites nothing", o.ID, a.Verdicts[o.ID], o.Verdict, v.Name)
			}
		}
		// attestations
		id := m.Attestations()[rapid.IntRange(0, len(m.Attestations())-1).Draw(t, "attestation")]
		none := in
		none.Attestations = slices.DeleteFunc(slices.Clone(in.Attestations), func(a Attested) bool { return a.ID == id })
		given := none
		given.Attestations = append(slices.Clone(none.Attestations), attest(id)...)
		p, q := judge(t, m, none), judge(t, m, given)
		for ob := range p.Verdicts {
			if verdictRank(q.Verdicts[ob]) > verdictRank(p.Verdicts[ob]) {
				t.Fatalf("%s falls from %s to %s because %s was attested", ob, p.Verdicts[ob], q.Verdicts[ob], id)
			}
		}
		if answerRank(q.Answer) > answerRank(p.Answer) {
			t.Fatalf("the answer falls from %s to %s because %s was attested", p.Answer, q.Answer, id)
		}
	})
}

// A doubt that a test in the tenant settles in the customer's favour worsens
// nothing: what was left undone was not hidden behind the doubt before.
func TestASettledDoubtNeverWorsens(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := with(drawInputs(t, m), "as_of", Text("2026-10-08"))
		in = with(in, "arrangements", Set("hipaa_configuration", "hipaa_ready"))
		in = with(with(in, "exec_modes", Set("local")), "plan", Text("enterprise"))
		a, b := judge(t, m, with(in, "capi_tenant_test", Value{})), judge(t, m, with(in, "capi_tenant_test", Bool(true)))
		for id, v := range a.Verdicts {
			if verdictRank(b.Verdicts[id]) > verdictRank(v) {
				t.Fatalf("%s falls from %s to %s once the tenant test succeeded", id, v, b.Verdicts[id])
			}
		}
		if answerRank(b.Answer) > answerRank(a.Answer) {
			t.Fatalf("the answer falls from %s to %s once the tenant test succeeded", a.Answer, b.Answer)
		}
	})
}

// What presupposes a record reads no better than partly supported while the
// record is missing, closable or in doubt.
func TestCapsHold(t *testing.T) {
	m := model(t)
	capped := 0
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		for i := range in.Attestations {
			in.Attestations[i].Answer, in.Attestations[i].Expires = true, source.Date{}
		}
		j := judge(t, m, in)
		for _, o := range m.obligations() {
			v := j.Verdicts[o.Id.Value]
			for _, c := range o.CappedBy {
				switch j.Verdicts[c.Value] {
				case GapNoConfiguration, GapYouCanClose, NotAssessed:
					if v == Supported || v == NeedsAttestation {
						t.Fatalf("%s is %s while %s is %s", o.Id.Value, v, c.Value, j.Verdicts[c.Value])
					}
					capped++
				}
			}
		}
	})
	if capped == 0 {
		t.Error("no cap was ever reached")
	}
}

// Scope that was not declared is treated as applying, and says so.
func TestUndeclaredScopeApplies(t *testing.T) {
	m := model(t)
	in := workedCases(t).inputs(t, m, "S 04-09")
	for _, n := range []string{"org_kind", "phi_present", "icfr_present", "chd_present", "cde_connected"} {
		delete(in.Vars, n)
	}
	a := assessInputs(t, m, in)
	for _, fr := range a.Frameworks {
		open := 0
		for code, n := range fr.Counts {
			if code != "NA" {
				open += n
			}
		}
		if !fr.Applicable || !strings.Contains(fr.Why, "assumed") || open == 0 {
			t.Errorf("%s: applicable %v, %q", fr.ID, fr.Applicable, fr.Why)
		}
	}
	if len(a.Assumptions) != len(a.Frameworks) {
		t.Errorf("assumptions: %q", a.Assumptions)
	}
}

// controls are the switches whose on is a control.
var controls = []string{
	"sso_enforced", "mfa_enforced", "signin_alerts_on", "connector_allowlist_on", "inference_hook_on", "plugins_bounded", "auto_approve_off",
	"browser_off", "otel_on", "otel_tls", "otel_tool_details", "siem_protected", "silence_rule_on", "tenant_restriction_on", "settings_baseline_on", "hipaa_config_proven",
}

// INV-3: turning a control on worsens nothing and no named gap, turning it off
// improves nothing. The one side effect: telemetry makes a pipe and a copy that
// must themselves be guarded, and the assessment says so with an observation.
func TestControlsOnlyHelp(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		c := controls[rapid.IntRange(0, len(controls)-1).Draw(t, "control")]
		off, on := with(in, c, Bool(false)), with(in, c, Bool(true))
		a, b := judge(t, m, off), judge(t, m, on)
		worsened := false
		for _, o := range m.obligations() {
			id := o.Id.Value
			if verdictRank(b.Verdicts[id]) <= verdictRank(a.Verdicts[id]) {
				continue
			}
			worsened = true
			if c != "otel_on" || !essentials(o, func(el *element) bool { n := el.Id.Value; return n == "otlp-tls" || n == "telemetry-copy-governed" }) {
				t.Fatalf("%s falls from %s to %s when %s is turned on", id, a.Verdicts[id], b.Verdicts[id], c)
			}
		}
		for g := range a.Gaps {
			if gapRank(b.Gaps[g]) > gapRank(a.Gaps[g]) {
				t.Fatalf("gap %s goes from %s to %s when %s is turned on", g, a.Gaps[g], b.Gaps[g], c)
			}
		}
		if worsened {
			as, err := m.Assess(Request{Inputs: on})
			if err != nil {
				t.Fatalf("%v", err)
			}
			if !slices.ContainsFunc(as.Observations, func(o Observation) bool { return strings.HasPrefix(o.ID, "obs-telemetry-") }) {
				t.Fatalf("the side effect of %s has no observation", c)
			}
		}
	})
}

// INV-4: a further data class never improves a posture or the answer.
func TestMoreDataNeverImproves(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		c := []string{"phi_present", "icfr_present", "chd_present", "cde_connected"}[rapid.IntRange(0, 3).Draw(t, "class")]
		a, b := judge(t, m, with(in, c, Bool(false))), judge(t, m, with(in, c, Bool(true)))
		for fw, p := range a.Postures {
			if postureRank(b.Postures[fw]) < postureRank(p) {
				t.Fatalf("%s improves from %s to %s with %s", fw, p, b.Postures[fw], c)
			}
		}
		if answerRank(b.Answer) < answerRank(a.Answer) {
			t.Fatalf("the answer improves from %s to %s with %s", a.Answer, b.Answer, c)
		}
		for id, v := range a.Verdicts {
			if v != NotApplicable && b.Verdicts[id] != NotApplicable && verdictRank(b.Verdicts[id]) < verdictRank(v) {
				t.Fatalf("%s improves from %s to %s with %s", id, v, b.Verdicts[id], c)
			}
		}
	})
}

// INV-5: a later date never worsens a named gap, except that HIPAA readiness
// cancels the capture that others gain.
func TestTimeNeverReopensAGap(t *testing.T) {
	m := model(t)
	days := texted("2026-04-09", "2026-06-30", "2026-08-22", "2026-09-05", "2026-10-04", "2026-10-08")
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		i := rapid.IntRange(0, len(days)-2).Draw(t, "from")
		j := rapid.IntRange(i+1, len(days)-1).Draw(t, "to")
		a, b := judge(t, m, with(in, "as_of", days[i])), judge(t, m, with(in, "as_of", days[j]))
		for g := range a.Gaps {
			if gapRank(b.Gaps[g]) > gapRank(a.Gaps[g]) {
				t.Fatalf("gap %s goes from %s (%s) to %s (%s)", g, a.Gaps[g], days[i].Text, b.Gaps[g], days[j].Text)
			}
		}
		// Readiness without the configuration never has captured anything.
		ready := judge(t, m, with(with(in, "as_of", days[j]), "arrangements", Set("hipaa_ready")))
		if ready.Gaps["audit-log"] != "open" {
			t.Fatalf("on a HIPAA-ready plan the audit gap is %s on %s", ready.Gaps["audit-log"], days[j].Text)
		}
	})
}

// INV-6: nothing unknown or expired counts as support, and silence none.
func TestUnknownIsNeverSupport(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		s, err := m.newState(&in)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, fe := range s.evaluate() {
			for _, ob := range fe.obs {
				if ob.verdict != Supported {
					continue
				}
				for i, p := range ob.o.parts {
					if st := ob.els[i].state; p.essential && st != stateMet && st != stateNoHit {
						t.Fatalf("%s is supported with %s %s", ob.o.Id.Value, p.el.Id.Value, st)
					}
				}
			}
		}
		// expired attestations are worth what none are
		expired, none := in, in
		expired.Attestations, none.Attestations = nil, nil
		for _, a := range attest(m.Attestations()...) {
			a.Expires = source.Day(2026, 3, 1)
			expired.Attestations = append(expired.Attestations, a)
		}
		a, b := judge(t, m, expired), judge(t, m, none)
		for id := range a.Verdicts {
			if a.Verdicts[id] != b.Verdicts[id] {
				t.Fatalf("%s is %s on expired attestations and %s without any", id, a.Verdicts[id], b.Verdicts[id])
			}
		}
		silent := judge(t, m, with(in, "cowork_records", Int(0)))
		for _, o := range m.obligations() {
			if silent.Verdicts[o.Id.Value] == Supported && essentials(o, func(el *element) bool { return el.Source == "telemetry" && el.Aspect == "O" }) {
				t.Fatalf("%s is supported by an empty stream", o.Id.Value)
			}
		}
	})
}

// INV-7: on Team nothing that rests on groups, SCIM or the admin feed reads
// better than partly supported.
func TestTeamIsCapped(t *testing.T) {
	m := model(t)
	needs := []string{"access-scoped", "least-privilege-roles", "deny-tested", "admin-plane-recorded", "deprovision-timely", "identity-changes-recorded", "changes-matched"}
	rapid.Check(t, func(t *rapid.T) {
		in := with(drawInputs(t, m), "plan", Text("team"))
		if in.Vars["provisioning"].Text == "scim" {
			in = with(in, "provisioning", Text("invite"))
		}
		if rapid.Bool().Draw(t, "no feed") {
			in = with(in, "feed_admin_rows", Value{})
		}
		j := judge(t, m, in)
		for _, o := range m.obligations() {
			v := j.Verdicts[o.Id.Value]
			if (v == Supported || v == NeedsAttestation) && essentials(o, func(el *element) bool { return slices.Contains(needs, el.Id.Value) }) {
				t.Fatalf("%s is %s on Team", o.Id.Value, v)
			}
		}
	})
}

// INV-8: the same inputs give the same bytes, whatever order they come in.
func TestSameInputsSameBytes(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		shuffled := in
		shuffled.Vars = in.Vars.Clone()
		shuffled.Attestations = slices.Clone(in.Attestations)
		slices.Reverse(shuffled.Attestations)
		if !bytes.Equal(document(t, m, in), document(t, m, shuffled)) {
			t.Fatalf("two documents of the same inputs differ")
		}
	})
}

func document(t failer, m *Model, in Inputs) []byte {
	t.Helper()
	a, err := m.Assess(Request{Inputs: in, Claims: asked(m.ClaimIDs()), Needs: asked(m.NeedIDs())})
	if err != nil {
		t.Fatalf("%v", err)
	}
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

func asked(ids []string) []Asked {
	var out []Asked
	for _, id := range ids {
		out = append(out, Asked{ID: id})
	}
	return out
}

// INV-9: a compensating control moves a gap that can be closed to attestation
// at best. It never supports anything and never moves a platform gap.
func TestCompensatingControlsMoveOneStep(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		given := in
		given.Attestations = slices.Clone(in.Attestations)
		for _, n := range m.elementNames() {
			if rapid.IntRange(0, 2).Draw(t, n) == 0 {
				a := attest("compensating")[0]
				a.For = n
				given.Attestations = append(given.Attestations, a)
			}
		}
		a, b := judge(t, m, in), judge(t, m, given)
		for id, v := range a.Verdicts {
			w := b.Verdicts[id]
			switch {
			case v == w:
			case v == GapNoConfiguration:
				t.Fatalf("%s leaves the platform gap by a compensating control", id)
			case w == Supported:
				t.Fatalf("%s goes from %s to supported by a compensating control", id, v)
			case verdictRank(w) > verdictRank(v):
				t.Fatalf("%s falls from %s to %s by a compensating control", id, v, w)
			}
		}
	})
}

// INV-10: no verdict, answer or posture text claims what only an auditor, a
// regulator or a contract can give.
func TestNoPromiseInAnyText(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		a, err := m.Assess(Request{Inputs: in})
		if err != nil {
			t.Fatalf("%v", err)
		}
		texts := append([]string{a.Answer.Text, a.Answer.ChangedStrip}, a.Answer.Because...)
		texts = append(texts, a.Answer.Conditions...)
		for _, o := range a.Obligations {
			texts = append(append(append(texts, o.Verdict.String(), o.Title), o.Reasons...), o.Remedy...)
			for _, e := range o.Elements {
				texts = append(texts, e.Name, e.Note, e.Remedy)
			}
		}
		for _, g := range a.Gaps {
			texts = append(texts, g.Summary)
			for _, f := range g.Frameworks {
				texts = append(texts, f.Verdict, f.Text)
			}
			for _, s := range g.Surfaces {
				texts = append(texts, s.Text)
			}
		}
		for _, f := range a.Frameworks {
			texts = append(texts, PostureName(f.Posture), f.Why)
		}
		for _, s := range texts {
			for _, w := range []string{"compliant", "certified", "passed audit", "guarantee"} {
				if strings.Contains(strings.ToLower(s), w) {
					t.Fatalf("%q contains %q", s, w)
				}
			}
		}
	})
}

// Simulated evidence never reads better than the same figures observed, and
// shows no operation; a short period shows none either.
func TestRehearsalProvesNoOperation(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		for _, v := range detectors { // what is observed may widen the scope, what is rehearsed does not
			in = with(in, v, Value{})
		}
		sim := with(in, "evidence_kind", Text("simulated"))
		obs := with(with(in, "evidence_kind", Text("observed")), "period_days", Int(42))
		if rapid.Bool().Draw(t, "short period instead") {
			sim = with(with(in, "evidence_kind", Text("observed")), "period_days", Int(27))
		}
		a, b := judge(t, m, sim), judge(t, m, obs)
		for id := range a.Verdicts {
			if verdictRank(a.Verdicts[id]) < verdictRank(b.Verdicts[id]) {
				t.Fatalf("%s is %s when rehearsed and %s when observed", id, a.Verdicts[id], b.Verdicts[id])
			}
		}
		s, err := m.newState(&sim)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, el := range m.elements {
			if ev := s.element(el); el.Aspect == "O" && el.Source != "attestation" && ev.state == stateMet {
				t.Fatalf("operating element %s is met", el.Id.Value)
			}
		}
		if p := a.Postures; sim.Vars["evidence_kind"].Text == "simulated" {
			for fw, x := range p {
				if x == SubjectToAttest || x == EvidenceSupports {
					t.Fatalf("%s is %s on simulated evidence", fw, x)
				}
			}
			if a.Answer == Supportable {
				t.Fatalf("supportable on simulated evidence")
			}
		}
	})
}

// Age never improves: after the last day a fact was verified nothing changes
// any more, so every later reading may only be as good or worse.
func TestAgeNeverImproves(t *testing.T) {
	m := model(t)
	last := m.facts.LastVerified()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		in.Attestations = nil // their own expiry is another matter
		d := last.Add(1 + rapid.IntRange(0, 100).Draw(t, "days"))
		e := d.Add(1 + rapid.IntRange(0, 400).Draw(t, "more days"))
		a, b := judge(t, m, with(in, "as_of", Text(d.String()))), judge(t, m, with(in, "as_of", Text(e.String())))
		for id, v := range a.Verdicts {
			if v != NotApplicable && verdictRank(b.Verdicts[id]) < verdictRank(v) {
				t.Fatalf("%s improves from %s (%s) to %s (%s) by age", id, v, d, b.Verdicts[id], e)
			}
		}
		for g := range a.Gaps {
			if gapRank(b.Gaps[g]) < gapRank(a.Gaps[g]) {
				t.Fatalf("gap %s improves from %s (%s) to %s (%s) by age", g, a.Gaps[g], d, b.Gaps[g], e)
			}
		}
		if answerRank(b.Answer) < answerRank(a.Answer) {
			t.Fatalf("the answer improves from %s (%s) to %s (%s) by age", a.Answer, d, b.Answer, e)
		}
	})
}

// What people attest about operation waits in a rehearsal, where nothing
// operated, while what they attest about design stands.
func TestAttestedOperationWaitsInARehearsal(t *testing.T) {
	m := model(t)
	in := workedCases(t).inputs(t, m, "S 04-09")
	in.Attestations = attest(m.Attestations()...)
	a := assessInputs(t, m, in)
	if v := verdictOf(a, "hipaa-164.310.d.2.i"); v != NeedsAttestation {
		t.Errorf("disposal, attested, in a rehearsal: %s", v)
	}
	if v := verdictOf(a, "hipaa-164.308.a.1.ii.A"); v != Supported {
		t.Errorf("risk analysis, attested, in a rehearsal: %s", v)
	}
}

// A compensating control on the record that others presuppose leaves their cap.
func TestACompensatingControlLiftsNoCap(t *testing.T) {
	m := model(t)
	in := with(best(t, m, "O 08-22"), "capi_on_since", Value{})
	a := attest("own-recorder")[0]
	a.For = "trail-record"
	in.Attestations = append(in.Attestations, a)
	j := judge(t, m, in)
	if j.Verdicts["pci-10.2.1"] != NeedsAttestation || j.Verdicts["pci-10.4.3"] != PartlySupported {
		t.Errorf("record %s, daily review %s", j.Verdicts["pci-10.2.1"], j.Verdicts["pci-10.4.3"])
	}
}

// No element reads what a group may spend or how much a team adopts.
func TestSpendLiftsNothing(t *testing.T) {
	m := model(t)
	for _, el := range m.elements {
		if m.readsVar(el, "limits_set", "adoption_measured", "adoption_every_days") {
			t.Errorf("element %s reads a spend or adoption variable", el.Id.Value)
		}
		for _, r := range m.closure(el.reads) {
			if i, ok := m.varIndex[r]; ok && m.vars[i].Group == "rollout" {
				t.Errorf("element %s reads rollout variable %s", el.Id.Value, r)
			}
		}
	}
}

// A state made from another one judges as one made from the inputs does.
func TestDerivedStatesJudgeAlike(t *testing.T) {
	m := model(t)
	rapid.Check(t, func(t *rapid.T) {
		in := drawInputs(t, m)
		s, err := m.newState(&in)
		if err != nil {
			t.Fatal(err)
		}
		s.judgement(s.evaluate())
		over := Vars{"as_of": Text(rapid.SampledFrom([]string{"2026-04-09", "2026-06-30", "2026-08-22", "2026-10-04", "2026-10-08", "2027-02-01"}).Draw(t, "day"))}
		if rapid.Bool().Draw(t, "class") {
			over["chd_present"] = Bool(true)
		}
		derived, err := m.stateWith(&in, over, s)
		if err != nil {
			t.Fatal(err)
		}
		whole := in
		whole.Vars = in.Vars.Clone()
		for n, v := range over {
			whole.Vars[n] = v
		}
		plain, err := m.newState(&whole)
		if err != nil {
			t.Fatal(err)
		}
		a, b := derived.judgement(derived.evaluate()), plain.judgement(plain.evaluate())
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("derived %v, plain %v", a, b)
		}
	})
}
