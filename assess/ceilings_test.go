package assess

import (
	"slices"
	"testing"
)

// best is the best an Enterprise organisation can show without attesting
// anything, with every class in scope.
func best(t testing.TB, m *Model, from string) Inputs {
	in := workedCases(t).inputs(t, m, from)
	in.Attestations = nil
	in.Vars = in.Vars.Clone()
	in.Vars["org_kind"] = Set("covered_entity", "issuer", "merchant", "service_organisation")
	in.Vars["chd_present"], in.Vars["confidential_present"], in.Vars["trail_promised"] = Bool(true), Bool(true), Bool(true)
	in.Vars["soc2_categories"] = Set("availability", "confidentiality", "privacy", "processing_integrity")
	in.Vars["committed_days"] = Int(365)
	return in
}

// Every obligation reaches its ceiling and no more: on the day of general
// availability with an export of the admin feed, and once transcripts are
// captured. Without the export the rows that rest on the admin plane stay open
// before 8 July, because that is the day from which the feed is documented.
func TestCeilings(t *testing.T) {
	m := model(t)
	ga := assessInputs(t, m, best(t, m, "O 04-09"))
	later := assessInputs(t, m, best(t, m, "O 08-22"))
	n := 0
	for _, o := range m.obligations() {
		n++
		if len(o.Ceiling) != 2 {
			t.Errorf("%s has %d ceilings", o.Id.Value, len(o.Ceiling))
			continue
		}
		for i, a := range []*Assessment{ga, later} {
			if got := verdictOf(a, o.Id.Value); got.Code() != o.Ceiling[i] {
				t.Errorf("%s on %s is %s, its ceiling is %s%s", o.Id.Value, a.AsOf, got.Code(), o.Ceiling[i], why(a, o.Id.Value))
			}
		}
	}
	if n != 94 {
		t.Errorf("%d obligations, want 94", n)
	}

	noFeed := with(best(t, m, "O 04-09"), "feed_admin_rows", Value{})
	open := assessInputs(t, m, noFeed)
	fact := []string{"hipaa-164.308.a.4.ii.B-C", "pci-10.2.1.2", "pci-10.2.1.6", "sox-itgc-pc", "pci-6.5.1", "soc2-cc8.1"}
	for _, o := range m.obligations() {
		id := o.Id.Value
		moved := verdictOf(open, id) != verdictOf(ga, id)
		if moved != slices.Contains(fact, id) || moved && verdictOf(open, id) != NotAssessed {
			t.Errorf("without the feed export %s goes from %s to %s", id, verdictOf(ga, id), verdictOf(open, id))
		}
	}
}

// An attestation is the only thing missing where the ceiling says so: given,
// the verdict is supported, on the organisation's own word.
func TestAttestationsCloseTheirCeilings(t *testing.T) {
	m := model(t)
	in := best(t, m, "O 04-09")
	in.Attestations = attest(m.Attestations()...)
	a := assessInputs(t, m, in)
	for _, o := range m.obligations() {
		if o.Ceiling[0] != "ATT" {
			continue
		}
		for _, r := range a.Obligations {
			if r.ID == o.Id.Value && (r.Verdict != Supported || !r.OnAttestation) {
				t.Errorf("%s with every attestation: %s, on attestation %v", r.ID, r.Verdict, r.OnAttestation)
			}
		}
	}
}
