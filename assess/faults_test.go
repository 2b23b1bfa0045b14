package assess

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// edited is the shipped model with pieces of its files replaced; each pair is
// file, old, new.
func edited(t testing.TB, edits ...[3]string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	names, err := fs.Glob(embedded, "frameworks/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		data, err := fs.ReadFile(embedded, n)
		if err != nil {
			t.Fatal(err)
		}
		out[n] = &fstest.MapFile{Data: data}
	}
	for _, e := range edits {
		f := out["frameworks/"+e[0]]
		if f == nil || !strings.Contains(string(f.Data), e[1]) {
			t.Fatalf("%s holds no %q", e[0], e[1])
		}
		f.Data = []byte(strings.Replace(string(f.Data), e[1], e[2], 1))
	}
	return out
}

func loadFaults(t testing.TB, edits ...[3]string) source.Problems {
	t.Helper()
	facts, err := platform.Facts()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(edited(t, edits...), facts)
	if err == nil {
		return nil
	}
	ps, ok := source.AsProblems(err)
	if !ok {
		t.Fatalf("not a list of problems: %v", err)
	}
	return ps
}

// Every fault of every file is told at once, each at its place.
func TestModelFaultsComeAtOnce(t *testing.T) {
	ps := loadFaults(t,
		[3]string{"elements.yaml", "facts: [session-transcript-omissions, edr-vm-blind]", "facts: [session-transcript-omision, edr-vm-blind]"},
		[3]string{"elements.yaml", "needs: 'p_baa and (p_capture or p_audit_surface)'", "needs: 'p_baa and (p_capture or p_audit_surfaces)'"},
		[3]string{"predicates.yaml", `fact("egress-bypass")`, `fact("egres-bypass")`},
		[3]string{"predicates.yaml", `value: 'not fact("local-data-outside-retention")'`, `value: 'p_local_servers'`},
		[3]string{"hipaa.yaml", "elements: [attested-risk-analysis*, telemetry-on]", "elements: [attested-risk-analyses*, telemetry-on]"},
		[3]string{"pci-dss.yaml", "capped_by: [pci-10.2.1]", "capped_by: [pci-10.2.2]"},
		[3]string{"sox.yaml", "capped_by: [sox-as1105-10]", "capped_by: [sox-as1105-11]"},
		[3]string{"soc2.yaml", `applies: '"availability" in soc2_categories'`, `applies: '"availability" in soc2_category'`},
		[3]string{"soc2.yaml", "capped_by: [soc2-trail, soc2-cc7.2]", "capped_by: [soc2-trail, hipaa-164.312.b]"},
		[3]string{"propositions.yaml", "when: 'plan == \"team\"', state: absent", "when: 'plan == 3', state: absent"},
		[3]string{"propositions.yaml", `fact("analytics-not-audit")`, `fact("analytics-not-audit", "remote")`},
	)
	var b strings.Builder
	for _, p := range ps {
		if p.Pos.Line == 0 {
			t.Errorf("no place: %s", p.Found)
		}
		fmt.Fprintf(&b, "%s: %s [%s]\n", p.Pos.File, p.Found, p.Advice)
	}
	for _, want := range []string{
		`elements.yaml: "session-transcript-omision" is not a fact id [did you mean "session-transcript-omissions"?]`,
		"p_audit_surfaces", "p_local_servers, which stands below it",
		`element "attested-risk-analyses" is not defined [did you mean "attested-risk-analysis"?]`,
		"itself capped", "soc2-cc7.3 is capped by hipaa-164.312.b, which belongs to hipaa", `obligation "sox-as1105-11" is not defined`, "soc2_category", `"remote" is not an execution mode`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no problem says %q", want)
		}
	}
	if t.Failed() {
		t.Log("\n" + b.String())
	}
}

// Faults in the shape of a file stop before conditions are compiled, all of
// that kind together.
func TestFileFaultsComeAtOnce(t *testing.T) {
	ps := loadFaults(t,
		[3]string{"elements.yaml", "    remedy: Keep card data out of every folder, connector and prompt the agent can reach.\n", ""},
		[3]string{"elements.yaml", "otherwise: absent-fixable", "otherwise: fine"},
		[3]string{"hipaa.yaml", "weight: req", "weight: heavy"},
		[3]string{"sox.yaml", "ceiling: [ATT, ATT]", "ceiling: [PASS, ATT]"},
		[3]string{"disputes.yaml", "ours:", "mine:"},
	)
	got := ps.Error()
	for _, want := range []string{"remedy", `"fine"`, `"heavy"`, `"PASS"`, "mine"} {
		if !strings.Contains(got, want) {
			t.Errorf("no problem mentions %s in\n%s", want, got)
		}
	}
}

// The two structural rules behind the first invariant are refused at load.
func TestTelemetryCannotEnterATrail(t *testing.T) {
	for name, edit := range map[string][3]string{
		"record element":             {"elements.yaml", "met: 'p_capture_complete and record_kept and capi_recon_ratio >= 0.98'", "met: 'record_kept and seats_heard_ratio >= 0.95'"},
		"record element, indirectly": {"predicates.yaml", "value: 'has(capi_on_since) and capi_on_since <= use_start'", "value: 'seq_hole_ratio == 0'"},
		"essential telemetry":        {"hipaa.yaml", "elements: [trail-record-phi*, store-protected, coverage-met, silence-detected]", "elements: [trail-record-phi*, coverage-met*]"},
	} {
		ps := loadFaults(t, edit)
		if len(ps) == 0 || !strings.Contains(ps.Error(), "INV-1") {
			t.Errorf("%s: %v", name, ps)
		}
	}
	// A gap that no configuration closes must say what does.
	ps := loadFaults(t, [3]string{"elements.yaml", "    unfixable_remedy: [keep data out, wait, different product]\n", ""})
	if !strings.Contains(ps.Error(), "unfixable_remedy") {
		t.Errorf("a platform gap without a way out loads: %v", ps)
	}
}

// A framework can be added as a file, without Go.
func TestAFrameworkIsAFile(t *testing.T) {
	facts, err := platform.Facts()
	if err != nil {
		t.Fatal(err)
	}
	fsys := edited(t).(fstest.MapFS)
	fsys["frameworks/house-rules.yaml"] = &fstest.MapFile{Data: []byte(`id: house-rules
title: Our own rules
applies: 'phi_present'
applies_words: Applies where health data is in reach.
not_applicable_words: No health data is in reach.
if_forced: [phi_present]
obligations:
  - id: house-1
    citation: House rule 1
    title: Only named groups
    demands: Cowork runs for named groups only.
    weight: req
    label: house
    text: known
    elements: [access-scoped*]
`)}
	m, err := Load(fsys, facts)
	if err != nil {
		t.Fatal(err)
	}
	a := assessInputs(t, m, workedCases(t).inputs(t, m, "S 04-09"))
	if v := verdictOf(a, "house-1"); v != Supported {
		t.Errorf("house-1 is %s", v)
	}
	// It is all design, so a rehearsal supports every row; ready it is not.
	if p := a.Frameworks[4].Posture; p != NotReady {
		t.Errorf("the house rules are %s on simulated evidence", p)
	}
	in := workedCases(t).inputs(t, m, "S 04-09")
	in.Vars["evidence_kind"] = Text("observed")
	if p := judge(t, m, in).Postures["house-rules"]; p != EvidenceSupports {
		t.Errorf("the house rules are %s on observed evidence", p)
	}
	if len(a.Frameworks) != 5 || a.Frameworks[4].ID != "house-rules" {
		t.Errorf("frameworks: %v", a.Frameworks)
	}
}
