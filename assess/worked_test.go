package assess

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func model(t testing.TB) *Model {
	t.Helper()
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// worked is testdata/worked.yaml.
type worked struct {
	Cases  []workedCase  `yaml:"cases,required"`
	Tables []workedTable `yaml:"tables"`
}

type workedCase struct {
	ID         string            `yaml:"id,required"`
	Title      string            `yaml:"title"`
	From       source.Text       `yaml:"from"`
	Exam       *bool             `yaml:"exam"`
	Vars       map[string]string `yaml:"vars"`
	Attest     []string          `yaml:"attest"` // all, none, or ids
	Refuse     []string          `yaml:"refuse"` // answered no
	Answer     string            `yaml:"answer,required"`
	Frameworks map[string]string `yaml:"frameworks,required"`
}

type workedTable struct {
	Cases []string          `yaml:"cases,required"`
	Rows  map[string]string `yaml:"rows,required"`
}

var loadWorked = sync.OnceValues(func() (*worked, error) {
	data, err := os.ReadFile("testdata/worked.yaml")
	if err != nil {
		return nil, err
	}
	f, err := source.Parse("worked.yaml", data)
	if err != nil {
		return nil, err
	}
	w := &worked{}
	return w, f.Decode(w)
})

func workedCases(t testing.TB) *worked {
	t.Helper()
	w, err := loadWorked()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// inputs builds the inputs of a case: those of the case it starts from, with
// its own changes on top.
func (w *worked) inputs(t testing.TB, m *Model, id string) Inputs {
	t.Helper()
	for _, c := range w.Cases {
		if c.ID != id {
			continue
		}
		in := Inputs{Vars: Vars{}}
		if c.From.Value != "" {
			in = w.inputs(t, m, c.From.Value)
		}
		if c.Exam != nil {
			in.Exam = *c.Exam
		}
		for name, text := range c.Vars {
			i, ok := m.varIndex[name]
			if !ok {
				t.Fatalf("case %s: %q is not a variable", id, name)
			}
			v, err := parseValue(m.vars[i].Type, text)
			if err != nil {
				t.Fatalf("case %s: %s: %v", id, name, err)
			}
			if v.Known {
				in.Vars[name] = v
			} else {
				delete(in.Vars, name)
			}
		}
		if c.Attest != nil {
			in.Attestations = nil
			for _, a := range c.Attest {
				switch a {
				case "none":
				case "all":
					in.Attestations = append(in.Attestations, attest(m.Attestations()...)...)
				default:
					in.Attestations = append(in.Attestations, attest(a)...)
				}
			}
		}
		if len(c.Refuse) > 0 {
			in.Attestations = slices.DeleteFunc(slices.Clone(in.Attestations), func(a Attested) bool { return slices.Contains(c.Refuse, a.ID) })
			for _, r := range c.Refuse {
				a := attest(r)[0]
				a.Answer = false
				in.Attestations = append(in.Attestations, a)
			}
		}
		return in
	}
	t.Fatalf("there is no case %q", id)
	return Inputs{}
}

// attest gives attestations that stand for the whole of 2026.
func attest(ids ...string) []Attested {
	var out []Attested
	for _, id := range ids {
		out = append(out, Attested{ID: id, Who: "A. Person", Role: "control owner", Date: source.Day(2026, 1, 2), Expires: source.Day(2026, 12, 31), Answer: true})
	}
	return out
}

func assessInputs(t testing.TB, m *Model, in Inputs) *Assessment {
	t.Helper()
	a, err := m.Assess(Request{Inputs: in})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func verdictOf(a *Assessment, id string) Verdict {
	for _, o := range a.Obligations {
		if o.ID == id {
			return o.Verdict
		}
	}
	return Verdict(99)
}

// why shows the elements of an obligation, for a failing test.
func why(a *Assessment, id string) string {
	var b strings.Builder
	for _, o := range a.Obligations {
		if o.ID != id {
			continue
		}
		for _, e := range o.Elements {
			star := " "
			if e.Essential {
				star = "*"
			}
			fmt.Fprintf(&b, "\n    %s %-18s %s (%s)", star, e.State, e.ID, e.Note)
		}
		if o.CappedBy != "" {
			fmt.Fprintf(&b, "\n    capped by %s", o.CappedBy)
		}
	}
	return b.String()
}

// Postures, counts and the answer of every worked case, through Assess.
func TestWorkedCases(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, c := range w.Cases {
		t.Run(c.ID, func(t *testing.T) {
			a := assessInputs(t, m, w.inputs(t, m, c.ID))
			if a.Answer.Posture != c.Answer {
				t.Errorf("answer %s, want %s", a.Answer.Posture, c.Answer)
			}
			for _, fr := range a.Frameworks {
				want, listed := c.Frameworks[fr.ID]
				got := fr.Posture
				n := 0
				for _, v := range Verdicts() {
					got += fmt.Sprintf(" %d", fr.Counts[v.Code()])
					n += fr.Counts[v.Code()]
				}
				if !listed {
					want = fmt.Sprintf(" 0 0 0 0 0 0 %d", n)
				}
				if fr.Applicable != listed || got != want {
					t.Errorf("%s: %s, want %s", fr.ID, got, want)
					for _, o := range a.Obligations {
						if o.Framework == fr.ID {
							t.Logf("  %-26s %s%s", o.ID, o.Verdict.Code(), why(a, o.ID))
						}
					}
				}
			}
		})
	}
}

// Verdicts of single obligations across cases.
func TestWorkedTables(t *testing.T) {
	m := model(t)
	w := workedCases(t)
	for _, tb := range w.Tables {
		for i, id := range tb.Cases {
			a := assessInputs(t, m, w.inputs(t, m, id))
			for ob, row := range tb.Rows {
				want := strings.Fields(row)
				if len(want) != len(tb.Cases) {
					t.Fatalf("row %s has %d verdicts for %d cases", ob, len(want), len(tb.Cases))
				}
				if got := verdictOf(a, ob); got.Code() != want[i] {
					t.Errorf("case %s: %s is %s, want %s%s", id, ob, got.Code(), want[i], why(a, ob))
				}
			}
		}
	}
}
