package reports

import (
	"encoding/csv"
	"encoding/xml"
	"regexp"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules"
)

var hostileNames = []string{
	"=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "  =1", "\r\n=1", "＝1+1", "|calc", "%0A=1", "a,b\"c\nd", "emoji 😀", "\u202Egnp.exe", "\x00\x1b[2J",
	strings.Repeat("x", 500), "<b>&amp;]]></testcase>", "](javascript:x)", "| a | b |", "", "() /F 1 Tf",
}

func TestCSVIsFormulaSafe(t *testing.T) {
	for _, s := range hostileNames {
		a := &assess.Assessment{Obligations: []assess.ObligationResult{{ID: s, Title: s, Citation: s, Reasons: []string{s}, Remedy: []string{s}}}}
		for name, data := range map[string]func() ([]byte, error){
			"obligations": func() ([]byte, error) { return ObligationsCSV(a) },
			"findings": func() ([]byte, error) {
				return FindingsCSV([]rules.Finding{{ID: s, Title: s, Member: s, Reason: s, Group: s}})
			},
		} {
			raw, err := data()
			if err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
			if err != nil || len(rows) != 2 || len(rows[1]) != len(rows[0]) {
				t.Fatalf("%s, %q: %v, %d rows", name, s, err, len(rows))
			}
			for _, c := range rows[1] {
				if strings.HasPrefix(c, "'") || c == "" {
					continue
				}
				if bare := strings.TrimSpace(strings.ReplaceAll(c, "\uFFFD", "")); strings.IndexAny(bare, "=+-@|%＝＋－＠") == 0 {
					t.Errorf("%s: the cell %q runs in a spreadsheet", name, c)
				}
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	a := sample(t).Assessment
	for _, s := range hostileNames {
		a.Obligations[0].Title, a.Scenario = s, s
		a.Obligations[0].Reasons = []string{s}
		data, err := JUnit(a)
		if err != nil {
			t.Fatal(err)
		}
		var back junitSuites
		if err := xml.Unmarshal(data, &back); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		n := 0
		for _, x := range back.Suites {
			n += x.Tests
			passed := x.Tests - x.Failures - x.Errors - x.Skipped
			want := 0
			for _, f := range a.Frameworks {
				if f.Title != x.Name || !f.Applicable {
					continue
				}
				for _, o := range a.Obligations {
					if o.Framework == f.ID && o.Verdict == assess.Supported {
						want++
					}
				}
			}
			if x.Name != "Rollout checks" && passed != want {
				t.Errorf("%s: %d pass, %d are supported", x.Name, passed, want)
			}
		}
		if n != len(a.Obligations)+len(a.Checks) {
			t.Errorf("%d cases for %d obligations and %d checks", n, len(a.Obligations), len(a.Checks))
		}
	}
	// Nothing supplied must not turn a pipeline green.
	data, err := JUnit(&assess.Assessment{Frameworks: []assess.FrameworkResult{{ID: "x", Title: "X", Applicable: true}}, Obligations: []assess.ObligationResult{{ID: "x-1", Framework: "x"}}})
	if err != nil || !strings.Contains(string(data), `errors="1"`) {
		t.Errorf("an empty assessment: %s %v", data, err)
	}
}

// a link or an HTML tag that a renderer would make of what an input said
var unescaped = regexp.MustCompile(`[^\\]\]\(|<[a-z]`)

func TestMarkdown(t *testing.T) {
	in := sample(t)
	text := string(Markdown(Build(in)))
	for _, want := range []string{"# May the claims team use Claude Cowork?", "# Executive summary", "Simulated evidence", "| Headline gap | State |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, s := range hostileNames {
		in.Assessment.Title, in.Assessment.Answer.Text, in.Assessment.Client = s, s, s
		text := string(Markdown(Build(in)))
		if strings.Contains(text, "<b>") || unescaped.MatchString(text) || strings.Contains(text, "\u202E") {
			t.Errorf("%q reached the text", s)
		}
	}
}
