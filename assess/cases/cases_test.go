package cases

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/scenarios"
)

// fake answers every run with a small document, so that the rules of cases can
// be tested without playing anything.
func fake(runs *int) Run {
	return func(_ context.Context, s *scenarios.Scenario) (*Evidence, error) {
		*runs++
		posture := "not_supportable"
		if s.AsOf.String() >= "2026-08-01" {
			posture = "verify"
		}
		return &Evidence{Doc: map[string]any{"answer": map[string]any{"posture": posture}, "gaps": []any{map[string]any{"id": "audit-log", "state": "open"}}}}, nil
	}
}

const head = `cases:
  - id: one
    topic: audit-gap
    track: exam
    date: 2026-04-09
    title: One
    scenario: enterprise-plain
    situation: A situation.
    question: What?
    options:
      - {text: no, right: true, because: so, holds: [{path: answer.posture, is: not_supportable}]}
      - {text: yes, because: so, tempts: why, holds: [{path: answer.posture, is: supportable}]}
      - {text: maybe, because: so, tempts: why, holds: [{path: answer.posture, is: verify}]}
`
const tail = "      - {text: never, because: so, tempts: why, holds: [{path: gaps.audit-log.state, is: closed}]}\n"

func load(t *testing.T, text string) (*Book, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "my.cases.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadFile(path)
}

func TestGradingAsksTheModel(t *testing.T) {
	b, err := load(t, head+tail+"    again: [{on: 2026-08-22, says: it moved, watch: [{path: answer.posture}]}]\n")
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	bench := NewBench(fake(&runs))
	g, err := bench.Grade(context.Background(), b.Cases[0])
	if err != nil {
		t.Fatal(err)
	}
	if o := g.Option(g.Right()); o == nil || o.Option.Text != "no" {
		t.Errorf("%q holds", g.Right())
	}
	if g.Option("E") != nil || g.Option("") != nil || g.Option("AB") != nil {
		t.Error("an answer outside the options finds one")
	}
	if a, b := g.Option("a"), g.Option(" A "); a == nil || a != b {
		t.Error("case and blanks of an answer matter")
	}
	later, err := bench.Again(context.Background(), g)
	if err != nil {
		t.Fatal(err)
	}
	if o := g.Option(later[0].Right); o == nil || o.Option.Text != "maybe" {
		t.Errorf("on the later day %q holds", later[0].Right)
	}
	for range 3 {
		if _, err := bench.Grade(context.Background(), b.Cases[0]); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Errorf("%d runs for two days of one scenario, expected 2", runs)
	}
	if ps, err := bench.Check(context.Background(), b.Cases[0]); err != nil || len(ps) > 0 {
		t.Errorf("a good case has problems: %v %v", ps, err)
	}
}

// A case may disagree with the model in every way there is; each is reported at
// its line.
func TestCheckFindsDisagreements(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"the key is wrong":        {"is: not_supportable}", "is: supportable}", "marked right does not hold"},
		"a wrong option holds":    {"is: closed}", "is: open}", "an option not marked right holds"},
		"a path to nowhere":       {"path: gaps.audit-log.state", "path: gaps.audit-lag.state", "leads nowhere"},
		"nothing moves":           {"watch: [{path: answer.posture}]", "watch: [{path: gaps.audit-log.state}]", "nothing moves"},
		"a chain to nowhere":      {"    again:", "    chain: [{path: answer.reason}]\n    again:", "leads nowhere"},
		"an exhibit without data": {"    again:", "    exhibits: [{show: telemetry}]\n    again:", "no record"},
	} {
		t.Run(name, func(t *testing.T) {
			text := head + tail + "    again: [{on: 2026-08-22, says: it moved, watch: [{path: answer.posture}]}]\n"
			changed := strings.Replace(text, c.from, c.to, 1)
			if changed == text {
				t.Fatal("the change changes nothing")
			}
			b, err := load(t, changed)
			if err != nil {
				t.Fatal(err)
			}
			runs := 0
			ps, err := NewBench(fake(&runs)).Check(context.Background(), b.Cases[0])
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(ps.Error(), c.says) || !strings.Contains(ps.Error(), "my.cases.yaml:") {
				t.Errorf("reported: %v\nexpected %q with file and line", ps, c.says)
			}
		})
	}
}

func TestLoadingIsStrict(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"three options":             {head, "has 3 options, expected 4"},
		"an unknown key":            {head + tail + "    answer: B\n", "cases.answer"},
		"an unknown topic":          {strings.Replace(head+tail, "audit-gap", "audit-gab", 1), `did you mean "audit-gap"?`},
		"exam on another day":       {strings.Replace(head+tail, "2026-04-09", "2026-08-22", 1), "asked on 2026-04-09, found 2026-08-22"},
		"nothing tempts":            {strings.Replace(head+tail, ", tempts: why", "", 1), "does not say why it tempts"},
		"no right one":              {strings.Replace(head+tail, "right: true, ", "tempts: x, ", 1), "marks 0 options as right"},
		"two right ones":            {strings.Replace(head+tail, "text: yes,", "text: yes, right: true,", 1), "marks 2 options as right"},
		"an assertion of nothing":   {strings.Replace(head+tail, ", is: supportable", "", 1), "nothing is asserted"},
		"an unknown fact":           {strings.Replace(head+tail, "because: so,", "because: so, facts: [otel-plan-gait],", 1), `did you mean "otel-plan-gate"?`},
		"a contested fact alone":    {strings.Replace(head+tail, "because: so,", "because: so, facts: [otel-prompt-content-default],", 1), "alone, which is contested"},
		"an earlier day":            {head + tail + "    again: [{on: 2026-04-01, says: x, watch: [{path: a}]}]\n", "not after 2026-04-09"},
		"an id twice":               {head + tail + strings.TrimPrefix(head, "cases:\n") + tail, "stands here again"},
		"a lab that goes elsewhere": {head + tail + "labs:\n  - {id: l, title: L, topic: spend, brief: b, scenario: x, files: [{name: ../../x, edit: true}], checks: [{says: s, path: p, is: x}]}\n", "cannot be the name of a file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.text)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("loading gives %v\nexpected %q", err, c.says)
			} else if !strings.Contains(err.Error(), "my.cases.yaml:") {
				t.Errorf("no file and line: %v", err)
			}
		})
	}
}

func TestACaseWithoutAScenarioIsNamed(t *testing.T) {
	b, err := load(t, strings.Replace(head+tail, "enterprise-plain", "./gone.yaml", 1))
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	_, err = NewBench(fake(&runs)).Grade(context.Background(), b.Cases[0])
	var broken *Broken
	if err == nil || !strings.Contains(err.Error(), "case one is left out") || !strings.Contains(err.Error(), "gone.yaml") {
		t.Errorf("the error is %v (%T)", err, broken)
	}
}

func TestLookup(t *testing.T) {
	doc := map[string]any{
		"a.b":  map[string]any{"c": "dotted"},
		"list": []any{map[string]any{"id": "x.y", "v": 1.5}, map[string]any{"group": "g", "v": true}, map[string]any{"id": nil, "name": "n", "v": "w"}},
		"none": nil,
	}
	for path, want := range map[string]string{
		"a.b.c": "dotted", "list.x.y.v": "1.5", "list.g.v": "true", "list.n.v": "w", "list.1.v": "true", "list.count": "3", "none.count": "0",
	} {
		if v, ok := assess.Lookup(doc, path); !ok || assess.Plain(v) != want {
			t.Errorf("%s is %v (%v), expected %s", path, v, ok, want)
		}
	}
	for _, path := range []string{"", "a", "list.3", "list.x.v", "list.-1", "a.b.c.d", "none.x"} {
		if v, ok := assess.Lookup(doc, path); ok {
			t.Errorf("%q leads to %v", path, v)
		}
	}
}

// A mock exam asks only the lesson's track, nothing twice, and lets topics take
// turns, whatever its number and length.
func TestDraw(t *testing.T) {
	b, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	exam := 0
	perTopic := map[string]int{}
	for _, c := range b.Cases {
		if c.Track == Exam {
			exam++
			perTopic[c.Topic.Value]++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n, sitting := rapid.IntRange(1, 2*exam).Draw(t, "n"), rapid.IntRange(0, 50).Draw(t, "sitting")
		s := b.Draw(n, sitting)
		if len(s.Questions) != min(n, exam) {
			t.Fatalf("%d questions of %d asked for", len(s.Questions), n)
		}
		if !slices.Equal(s.Questions, b.Draw(n, sitting).Questions) {
			t.Fatal("the same sitting draws other questions")
		}
		seen, count := map[string]bool{}, map[string]int{}
		for _, q := range s.Questions {
			c := b.Case(q)
			if seen[q] || c.Track != Exam {
				t.Fatalf("%s: asked twice, or not of the lesson's track", q)
			}
			seen[q] = true
			count[c.Topic.Value]++
		}
		for topic, n := range count {
			for other, m := range perTopic {
				if count[other] < m && count[other] < n-1 {
					t.Fatalf("%s has %d questions while %s has %d of %d", topic, n, other, count[other], m)
				}
			}
		}
	})
	if slices.Equal(b.Draw(exam, 0).Questions, b.Draw(exam, 1).Questions) {
		t.Error("two sittings ask the same in the same order")
	}
}

// The right letter is no more likely to be one than another, and learning the
// letters by heart does not help.
func TestLettersAreSpread(t *testing.T) {
	b, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	var at [4]int
	for _, c := range b.Cases {
		for place, i := range c.Order() {
			if c.Options[i].Right {
				at[place]++
			}
		}
	}
	for i, n := range at {
		if n < len(b.Cases)/10 || n > len(b.Cases)/2 {
			t.Errorf("%c is right in %d of %d cases", 'A'+i, n, len(b.Cases))
		}
	}
}

// Every term and every topic that a text points to exists.
func TestTheBookPointsAtItself(t *testing.T) {
	b, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range b.Terms {
		for _, see := range term.See {
			if b.Term(see) == nil {
				t.Errorf("%s: see also %q, which is no term", term.Term, see)
			}
		}
	}
	covered := map[string]int{}
	for _, c := range b.Cases {
		if len(c.Exhibits) == 0 {
			t.Errorf("%s lays nothing of its run beside the question", c.Id)
		}
		covered[c.Topic.Value]++
	}
	for _, topic := range b.Topics {
		if covered[topic.Id.Value] < 3 {
			t.Errorf("topic %s has %d cases, expected 3 or more", topic.Id, covered[topic.Id.Value])
		}
		if n := strings.Count(topic.Text(Style{}), "\n"); n > 40 {
			t.Errorf("topic %s has %d lines, more than one screen", topic.Id, n)
		}
		for _, line := range strings.Split(topic.Text(Style{}), "\n") {
			if len([]rune(line)) > Width {
				t.Errorf("topic %s has a line of %d columns: %s", topic.Id, len([]rune(line)), line)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-zé]{1,12}[ \n]){0,40}`).Draw(t, "text")
		width := rapid.IntRange(14, 80).Draw(t, "width")
		got := Wrap(text, width, "")
		if !slices.Equal(strings.Fields(got), strings.Fields(text)) {
			t.Fatalf("words were lost: %q", got)
		}
		for _, line := range strings.Split(got, "\n") {
			if len([]rune(line)) > width {
				t.Fatalf("%q is wider than %d", line, width)
			}
		}
	})
}

func TestAnswersAreComparedAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		given, want string
		same        bool
	}{
		{"not supportable", "not_supportable", true}, {"Not-Supportable", "not_supportable", true}, {"supportable", "not_supportable", false},
		{"$1,075.00", "1075", true}, {"53.75", "53.751", true}, {"53.76", "53.75", false}, {"7", "07", true}, {"", "0", false},
	} {
		if same(c.given, c.want) != c.same {
			t.Errorf("%q against %q: %v", c.given, c.want, !c.same)
		}
	}
}
