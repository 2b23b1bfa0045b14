package oscal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
)

// assessed is an insurer with a service report of its own, so that every
// framework but PCI DSS is in scope and all seven verdicts occur.
func assessed(t testing.TB, kind, asOf string) (*assess.Assessment, []byte) {
	t.Helper()
	m, err := assess.Default()
	if err != nil {
		t.Fatal(err)
	}
	yes := assess.Bool(true)
	vars := assess.Vars{
		"plan": assess.Text("enterprise"), "as_of": assess.Text(asOf), "use_start": assess.Text("2026-08-24"), "evidence_kind": assess.Text(kind), "period_days": assess.Int(42),
		"org_kind": assess.Set("covered_entity", "issuer", "service_organisation"), "phi_present": yes, "icfr_present": yes, "icfr_reliance": assess.Text("relied"), "chd_present": assess.Bool(false), "cde_connected": assess.Bool(false),
		"arrangements": assess.Set(), "exec_modes": assess.Set("local"), "trail_promised": assess.Bool(false), "sso_enforced": yes, "mfa_enforced": yes, "otel_on": yes, "otel_tls": assess.Bool(false), "cowork_scope": assess.Text("groups"),
		"signin_alerts_on": yes, "cowork_records": assess.Int(100), "siem_days": assess.Int(90), "phi_in_uncovered_path": assess.Bool(false), "seats_heard_ratio": assess.Number(1), "capi_on_since": assess.Text("2026-08-12"), "own_export_days": assess.Int(7), "own_store_days": assess.Int(800),
	}
	a, err := m.Assess(assess.Request{Inputs: assess.Inputs{Vars: vars}})
	if err != nil {
		t.Fatal(err)
	}
	a.Scenario, a.Title, a.FactSet = "insurer", "May we use it?", "0123456789ab"
	a.Period = assess.PeriodRef{From: "2026-08-24", To: "2026-10-04", Days: 42}
	a.Organisation.Plan = "enterprise"
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func documents(t testing.TB, kind, asOf string) (*assess.Assessment, []File) {
	t.Helper()
	a, b := assessed(t, kind, asOf)
	fs, err := Documents(a, b, "0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	return a, fs
}

var (
	uuidPattern  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	tokenPattern = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}.\-_]*$`)
	valuePattern = regexp.MustCompile(`^\S(.*\S)?$`)
)

// The traps of the schemas and of what they do not check: identifiers, tokens,
// times, empty lists, property values, references.
func TestStructure(t *testing.T) {
	for _, c := range [][2]string{{"simulated", "2026-04-09"}, {"observed", "2026-08-22"}, {"mixed", "2026-10-08"}} {
		_, fs := documents(t, c[0], c[1])
		defined := map[string]bool{}   // uuids, over all documents
		refs := map[string][]string{}  // uuid: where it is referred to
		catalogue := map[string]bool{} // control and statement ids
		var targets []string
		names := map[string]bool{}
		for _, f := range fs {
			names[f.Name] = true
		}
		for _, f := range fs {
			var doc any
			if err := json.Unmarshal(f.Data, &doc); err != nil {
				t.Fatal(err)
			}
			local := map[string]bool{}
			walk(doc, "", func(path, key string, v any) {
				where := f.Name + path
				switch x := v.(type) {
				case nil:
					t.Errorf("%s: null", where)
				case []any:
					if len(x) == 0 {
						t.Errorf("%s: an empty list", where)
					}
				case string:
					switch {
					case key == "uuid":
						if !uuidPattern.MatchString(x) {
							t.Errorf("%s: %q is no version 5 UUID", where, x)
						}
						if local[x] {
							t.Errorf("%s: %q stands twice", where, x)
						}
						local[x], defined[x] = true, true
					case strings.HasSuffix(key, "-uuid"):
						refs[x] = append(refs[x], where)
					case key == "href" && strings.HasPrefix(x, "#") || key == "source" && strings.HasPrefix(x, "#"):
						refs[x[1:]] = append(refs[x[1:]], where)
					case key == "href" && !names[x] && x != "assessment.json":
						t.Errorf("%s: %q is no document of the bundle", where, x)
					case key == "id":
						catalogue[x] = true
						if !tokenPattern.MatchString(x) {
							t.Errorf("%s: %q is no token", where, x)
						}
					case key == "control-id" || key == "target-id":
						targets = append(targets, x)
					case key == "reason" || key == "state" || key == "name":
						if !tokenPattern.MatchString(x) {
							t.Errorf("%s: %q is no token", where, x)
						}
					case key == "start" || key == "end" || key == "collected" || key == "last-modified":
						if _, err := time.Parse(time.RFC3339, x); err != nil {
							t.Errorf("%s: %v", where, err)
						}
					case key == "oscal-version" && x != Version:
						t.Errorf("%s: %s", where, x)
					case key == "value" && strings.Contains(path, "props"):
						if !valuePattern.MatchString(x) {
							t.Errorf("%s: %q is no property value", where, x)
						}
					case (key == "title" || key == "description" || key == "statement" || key == "prose") && strings.TrimSpace(x) == "":
						t.Errorf("%s: empty", where)
					}
				}
			})
		}
		for u, where := range refs {
			if !defined[u] {
				t.Errorf("%s refers to %s, which is defined nowhere", where[0], u)
			}
		}
		for _, id := range targets {
			if !catalogue[id] {
				t.Errorf("%q is not in the catalogue", id)
			}
		}
	}
}

func walk(v any, path string, f func(path, key string, v any)) {
	switch x := v.(type) {
	case map[string]any:
		for k, y := range x {
			f(path+"/"+k, k, y)
			walk(y, path+"/"+k, f)
		}
	case []any:
		for i, y := range x {
			p := fmt.Sprintf("%s[%d]", path, i)
			f(p, "", y)
			walk(y, p, f)
		}
	}
}

// One finding for every obligation that applies, supported ones included, and
// nothing reads satisfied that is not supported on observed evidence.
func TestVerdictsSurviveTheCollapse(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range [][2]string{{"simulated", "2026-04-09"}, {"observed", "2026-08-22"}, {"observed", "2026-10-08"}} {
		a, fs := documents(t, c[0], c[1])
		var d resultsDoc
		if err := json.Unmarshal(fs[0].Data, &d); err != nil {
			t.Fatal(err)
		}
		r := d.Results.Results[0]
		byTarget := map[string]finding{}
		for _, f := range r.Findings {
			byTarget[f.Target.TargetID] = f
		}
		excluded := map[string]bool{}
		for _, e := range r.Reviewed.Selections[0].Exclude {
			excluded[e.ControlID] = true
		}
		for _, o := range a.Obligations {
			f, found := byTarget[statement(o.ID)]
			seen[o.Verdict.Code()] = true
			if found == (o.Verdict == assess.NotApplicable) || excluded[token(o.ID)] != (o.Verdict == assess.NotApplicable) {
				t.Errorf("%s is %s: finding %v, excluded %v", o.ID, o.Verdict, found, excluded[token(o.ID)])
				continue
			}
			if !found {
				continue
			}
			if f.Props[0].Name != "verdict" || f.Props[0].NS != Namespace || f.Props[0].Value != o.Verdict.Code() {
				t.Errorf("%s: %+v", o.ID, f.Props)
			}
			if (f.Target.Status.State == "satisfied") != (o.Verdict == assess.Supported && c[0] == "observed") {
				t.Errorf("%s is %s on %s evidence and reads %s", o.ID, o.Verdict, c[0], f.Target.Status.State)
			}
			if (len(f.Risks) > 0) != (o.Verdict == assess.PartlySupported || o.Verdict == assess.GapYouCanClose || o.Verdict == assess.GapNoConfiguration) {
				t.Errorf("%s is %s and has %d risks", o.ID, o.Verdict, len(f.Risks))
			}
		}
		for _, o := range r.Observations {
			for _, p := range o.Props {
				if p.Name == "evidence-class" && p.Value == "E7" && o.Methods[0] != "TEST" {
					t.Errorf("%s: simulated evidence was %s", o.Title, o.Methods[0])
				}
				if p.Name == "evidence-class" && p.Value == "E7" && c[0] == "observed" {
					t.Errorf("%s: observed evidence reads simulated", o.Title)
				}
			}
		}
		if !strings.Contains(r.Attestations[0].Parts[0].Prose, "not legal advice") {
			t.Error("the limitations are missing")
		}
	}
	for _, v := range assess.Verdicts() {
		if !seen[v.Code()] {
			t.Errorf("no case had %s", v)
		}
	}
}

func TestDeterministic(t *testing.T) {
	_, x := documents(t, "observed", "2026-08-22")
	_, y := documents(t, "observed", "2026-08-22")
	_, z := documents(t, "observed", "2026-08-23")
	for i := range x {
		if !bytes.Equal(x[i].Data, y[i].Data) {
			t.Errorf("%s differs between two runs", x[i].Name)
		}
		if bytes.Equal(x[i].Data, z[i].Data) {
			t.Errorf("%s is the same for another assessment", x[i].Name)
		}
	}
	if got := format(v5([16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}, "www.example.com")); got != "2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("the known version 5 UUID of www.example.com is %s", got)
	}
	a, b := assessed(t, "observed", "2026-08-22")
	if _, err := Documents(a, b, ""); err == nil {
		t.Error("no tool version is no error")
	}
	if _, err := Documents(&assess.Assessment{}, b, "1"); err == nil {
		t.Error("no obligation is no error")
	}
}
