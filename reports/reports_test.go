package reports

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sandtable-dev/sandtable/assess"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sample(t testing.TB) Input {
	t.Helper()
	data, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	var in Input
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestGolden(t *testing.T) {
	got := Build(sample(t)).Text()
	path := filepath.Join("testdata", "sample.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("text differs (run with -update to accept):\n%s", d)
	}
}

func section(t *testing.T, d *Document, id string) Section {
	t.Helper()
	for _, s := range d.Sections {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no section %q", id)
	return Section{}
}

func textOf(s Section) string { return (&Document{Sections: []Section{s}}).Text() }

// flat undoes the wrapping.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestAnswerComesFirst(t *testing.T) {
	in := sample(t)
	d := Build(in)
	s := section(t, d, "summary")
	both, ok := s.Blocks[0].(Beside)
	if !ok {
		t.Fatalf("the summary starts with %#v", s.Blocks[0])
	}
	if lead, ok := both.First[0].(Lead); !ok || lead.Text != in.Assessment.Answer.Text {
		t.Errorf("the summary starts with %#v", both.First[0])
	}
	if strip, ok := both.Then[0].(Strip); !ok || strip.Title != "What the latest verified facts would change" {
		t.Errorf("beside the answer stands %#v", both.Then[0])
	}
	if d.Sections[1].ID != "summary" {
		t.Errorf("the summary is not page two but after %q", d.Sections[0].Title)
	}
	text := flat(textOf(s))
	for _, want := range []string{"What the latest verified facts would change", " of 6", "2 more"} {
		if !strings.Contains(text, want) {
			t.Errorf("summary lacks %q", want)
		}
	}
}

func TestSimulatedIsSaidOnTheCover(t *testing.T) {
	in := sample(t)
	if !strings.Contains(flat(textOf(section(t, Build(in), "cover"))), "The company and its incidents are fictional") {
		t.Error("the cover does not say fictional")
	}
	in.Assessment.Evidence = "observed"
	if d := Build(in); d.Meta.Simulated || strings.Contains(d.Text(), "fictional.") {
		t.Error("an observed report calls itself fictional")
	}
	in.Assessment.Evidence = "hearsay"
	if !Build(in).Meta.Simulated {
		t.Error("an unknown kind of evidence was taken for observed")
	}
}

// The words a readiness report may not use. Claims are quoted from people, so
// they are left out of the check.
func TestForbiddenWords(t *testing.T) {
	in := sample(t)
	in.Assessment.Claims = nil
	if m := regexp.MustCompile(`(?i)compliant|certified|passed audit|guarantee`).FindString(Build(in).Text()); m != "" {
		t.Errorf("the report says %q", m)
	}
}

// Codes and obligation ids belong in the appendices.
func TestCodesStayInAppendices(t *testing.T) {
	in := sample(t)
	d := Build(in)
	code := regexp.MustCompile(`\b(PLAT|CFG|UNK|SAT)\b|absent-(un)?fixable`)
	for _, s := range d.Sections {
		if strings.HasPrefix(s.ID, "appendix") {
			continue
		}
		text := textOf(s)
		if m := code.FindString(text); m != "" {
			t.Errorf("%s: code %q in the text", s.Title, m)
		}
		for _, o := range in.Assessment.Obligations {
			if strings.Contains(text, o.ID) {
				t.Errorf("%s: id %q in the text", s.Title, o.ID)
			}
		}
	}
	all := d.Text()
	for _, o := range in.Assessment.Obligations {
		if !strings.Contains(all, o.ID) {
			t.Errorf("obligation %s cannot be followed anywhere", o.ID)
		}
	}
}

// From any verdict a reader gets down to a fact: each fact id of a chain is
// either printed with its statement or named there.
func TestChainsReachFacts(t *testing.T) {
	in := sample(t)
	text := flat(Build(in).Text())
	for _, o := range in.Assessment.Obligations {
		for _, e := range o.Elements {
			for _, f := range e.Facts {
				if strings.Count(text, f) < 2 {
					t.Fatalf("fact %s of %s is not both cited and listed", f, e.ID)
				}
			}
		}
	}
}

func TestCutsAreCounted(t *testing.T) {
	in := sample(t)
	text := flat(textOf(section(t, Build(in), "findings")))
	if !strings.Contains(text, "212 findings of") || !strings.Contains(text, "of 212 shown, up to 3 of each kind") {
		t.Errorf("findings were cut without saying so: %.80s", text)
	}
	if c, m := strings.Index(text, "Critical"), strings.Index(text, "Medium"); m >= 0 && c > m {
		t.Error("findings are not sorted by severity")
	}
}

func TestEmptyInput(t *testing.T) {
	for _, in := range []Input{{}, {Assessment: &assess.Assessment{}}, {Assessment: &assess.Assessment{
		Obligations: []assess.ObligationResult{{}}, Frameworks: []assess.FrameworkResult{{Applicable: true}}, Gaps: []assess.Gap{{}}}}} {
		text := Build(in).Text()
		if !strings.Contains(text, "No answer") || !strings.Contains(text, "Simulated") {
			t.Error("an empty assessment reads as something better than unknown")
		}
	}
}

func TestEveryVerdictHasItsOwnShape(t *testing.T) {
	var seen []Shape
	for _, v := range assess.Verdicts() {
		s := verdictStatus(v).Shape
		if s == NoShape || slices.Contains(seen, s) {
			t.Errorf("%v has no shape of its own", v)
		}
		seen = append(seen, s)
	}
	for _, code := range []string{"", "nonsense"} {
		if shapeOfCode(code) != Ring || stateStatus(code).Shape != Ring || checkStatus(code).Shape != Ring || propositionStatus(code).Shape != Ring || elementStatus(code).Shape != Ring || anyPosture(code).Shape != Ring {
			t.Errorf("code %q looks like something known", code)
		}
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[2Jb": "a\uFFFD[2Jb", "a\nb": "a b", "evil\u202Etxt": "evil\uFFFDtxt", "bad\xff": "bad\uFFFD", "naïve 日本": "naïve 日本",
	} {
		if got := Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNum(t *testing.T) {
	for in, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := num(in); got != want {
			t.Errorf("num(%d) = %q, want %q", in, got, want)
		}
	}
}
