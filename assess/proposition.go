package assess

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// propositionFile is propositions.yaml.
type propositionFile struct {
	Gaps        []gap         `yaml:"gaps,required"`
	Claims      []proposition `yaml:"claims,required"`
	Needs       []proposition `yaml:"needs,required"`
	Checks      []check       `yaml:"checks,required"`
	Limitations []string      `yaml:"limitations,required"`

	Observations []observation `yaml:"observations,required"`
}

// outcome is one rule of a list; the first that holds decides.
type outcome struct {
	When    source.Text `yaml:"when,required"`
	State   string      `yaml:"state,enum=open|partial|closed|unattested|absent|present|not_an_audit_surface"`
	Verdict string      `yaml:"verdict,enum=true|false|unverifiable|possible|impossible|verify"`
	Because string      `yaml:"because"`
	Text    string      `yaml:"text"`
	Summary string      `yaml:"summary"`
	prog    *condition.Program[state]
}

type gap struct {
	Id               source.Text   `yaml:"id,required,enum=audit-log|computer-use|data-residency"`
	Title            string        `yaml:"title,required"`
	Question         string        `yaml:"question"`
	States           []outcome     `yaml:"states,required"`
	Otherwise        string        `yaml:"otherwise,required,enum=unknown|open"`
	OtherwiseSummary string        `yaml:"otherwise_summary,required"`
	Surfaces         []surface     `yaml:"surfaces,required"`
	Closes           []string      `yaml:"closes,required"`
	Facts            []source.Text `yaml:"facts,required"`
}

type surface struct {
	Id     string        `yaml:"id,required"`
	Name   string        `yaml:"name,required"`
	Kind   string        `yaml:"kind"`
	States []outcome     `yaml:"states,required"`
	Facts  []source.Text `yaml:"facts"`
}

type proposition struct {
	Id               source.Text `yaml:"id,required"`
	Text             string      `yaml:"text,required"`
	Rules            []outcome   `yaml:"rules,required"`
	Otherwise        string      `yaml:"otherwise,enum=unverifiable|verify"`
	OtherwiseBecause string      `yaml:"otherwise_because"`
	SayInstead       string      `yaml:"say_instead"`
	// Params are what a scenario may state with it, and what holds where it does
	// not; figures are computed from them. Both fill {name} in the texts.
	Params   map[string]string      `yaml:"params"`
	Figures  map[string]source.Text `yaml:"figures"`
	figures  map[string]*condition.IntProgram[state]
	Remedies []string      `yaml:"remedies"`
	Facts    []source.Text `yaml:"facts"`
}

type check struct {
	Id           source.Text   `yaml:"id,required"`
	Title        string        `yaml:"title,required"`
	Needs        []source.Text `yaml:"needs"`
	Fail         []outcome     `yaml:"fail"`
	Verify       []outcome     `yaml:"verify"`
	NotEvaluable []outcome     `yaml:"not_evaluable"`
	Facts        []source.Text `yaml:"facts"`
}

// observation is noted when its condition holds; doubt notes nothing.
type observation struct {
	Id    source.Text   `yaml:"id,required"`
	When  source.Text   `yaml:"when,required"`
	Text  string        `yaml:"text,required"`
	Facts []source.Text `yaml:"facts"`
	prog  *condition.Program[state]
}

func (m *Model) observe(s *state, findings map[string][]string) []Observation {
	out := []Observation{}
	for i := range m.observations {
		o := &m.observations[i]
		if o.prog.Eval(s) != condition.True {
			continue
		}
		r := Observation{ID: o.Id.Value, Text: o.Text, Facts: texts(o.Facts)}
		for _, v := range o.prog.Uses() {
			r.Findings = append(r.Findings, findings[v]...)
		}
		out = append(out, r)
	}
	return out
}

func (m *Model) compilePropositions(pf *propositionFile, ps *source.Problems) {
	rules := func(os []outcome) {
		for i := range os {
			os[i].prog = m.compile(os[i].When, ps)
		}
	}
	for i := range pf.Gaps {
		g := &pf.Gaps[i]
		rules(g.States)
		m.checkFacts(g.Facts, ps)
		for j := range g.Surfaces {
			rules(g.Surfaces[j].States)
			m.checkFacts(g.Surfaces[j].Facts, ps)
		}
	}
	for _, list := range [][]proposition{pf.Claims, pf.Needs} {
		for i := range list {
			rules(list[i].Rules)
			m.checkFacts(list[i].Facts, ps)
			m.compileParams(&list[i], ps)
		}
	}
	for i := range pf.Checks {
		c := &pf.Checks[i]
		rules(c.Fail)
		rules(c.Verify)
		rules(c.NotEvaluable)
		m.checkFacts(c.Facts, ps)
		for _, n := range c.Needs {
			if _, ok := m.varIndex[n.Value]; !ok {
				ps.Add(n.At, "", "%q is not a variable", n.Value)
			}
		}
	}
	for i := range pf.Observations {
		o := &pf.Observations[i]
		o.prog = m.compile(o.When, ps)
		m.checkFacts(o.Facts, ps)
	}
	m.observations = pf.Observations
	m.gaps, m.claims, m.needs, m.checks, m.limits = pf.Gaps, pf.Claims, pf.Needs, pf.Checks, pf.Limitations
}

// Proposition names what a scenario may ask for: claims, needs.
func (m *Model) ClaimIDs() []string { return ids(m.claims) }
func (m *Model) NeedIDs() []string  { return ids(m.needs) }

func ids(ps []proposition) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.Id.Value
	}
	return out
}

func first(s *state, os []outcome) *outcome {
	for i := range os {
		if os[i].prog.Eval(s) == condition.True {
			return &os[i]
		}
	}
	return nil
}

func all(s *state, os []outcome) (because []string, unknown bool) {
	for i := range os {
		switch os[i].prog.Eval(s) {
		case condition.True:
			because = append(because, os[i].Because)
		case condition.Unknown:
			unknown = true
		}
	}
	return because, unknown
}

// Asked is a claim or need as the scenario states it.
type Asked struct {
	ID, Who, Text string
	With          map[string]string
}

// judge answers each claim or need. Parameters that a proposition does not have
// are named in its reasons; an id that is none is answered as such, so that
// nothing asked is lost.
func (m *Model) judge(s *state, list []proposition, asked []Asked, safe string) []PropositionResult {
	out := make([]PropositionResult, 0, len(asked))
	for _, a := range asked {
		i := slices.IndexFunc(list, func(p proposition) bool { return p.Id.Value == a.ID })
		if i < 0 {
			advice := ""
			if g := source.Nearest(a.ID, ids(list)); g != "" {
				advice = fmt.Sprintf(" Did you mean %q?", g)
			}
			out = append(out, PropositionResult{ID: a.ID, Who: a.Who, Text: a.Text, Verdict: safe, Facts: []string{}, Reasons: []string{fmt.Sprintf("%q is not known, so nothing was judged.%s", a.ID, advice)}})
			continue
		}
		out = append(out, m.judgeOne(s, &list[i], a, safe))
	}
	return out
}

func (m *Model) judgeOne(s *state, p *proposition, a Asked, safe string) PropositionResult {
	s.asked = p.Params
	var stray []string
	if len(a.With) > 0 {
		s.asked = maps.Clone(p.Params)
		for k, v := range a.With {
			if _, ok := p.Params[k]; !ok {
				stray = append(stray, k)
				continue
			}
			s.asked[k] = v
		}
		slices.Sort(stray)
	}
	fill := s.asked
	if len(p.figures) > 0 {
		fill = make(map[string]string, len(s.asked)+len(p.figures))
		maps.Copy(fill, s.asked)
		for k, prog := range p.figures {
			fill[k] = "an unknown amount"
			if n, ok := prog.Eval(s); ok {
				fill[k] = group(n)
			}
		}
	}
	r := PropositionResult{ID: a.ID, Who: a.Who, Text: a.Text, Verdict: p.Otherwise, SayInstead: p.SayInstead, Remedies: p.Remedies, Facts: texts(p.Facts)}
	if r.Text == "" {
		r.Text = p.Text
	}
	if r.Verdict == "" {
		r.Verdict = safe
	}
	because := "The facts and inputs of this run do not settle it."
	if o := first(s, p.Rules); o != nil {
		r.Verdict, because = o.Verdict, o.Because
	} else if p.OtherwiseBecause != "" {
		because = p.OtherwiseBecause
	}
	r.Reasons = []string{because}
	for _, k := range stray {
		r.Reasons = append(r.Reasons, fmt.Sprintf("The parameter %q means nothing here and was not used.", k))
	}
	for _, t := range []*string{&r.Text, &r.SayInstead, &r.Reasons[0]} {
		if !strings.Contains(*t, "{") {
			continue
		}
		*t = placeholder.ReplaceAllStringFunc(*t, func(x string) string {
			if v, ok := fill[x[1:len(x)-1]]; ok {
				return v
			}
			return x
		})
	}
	if r.Verdict == "possible" || r.Verdict == "true" {
		r.SayInstead = ""
	}
	r.Footnotes = s.footnotes(r.Facts)
	s.asked = nil
	return r
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// group writes a whole number with commas between thousands.
func group(n int64) string {
	t := strconv.FormatInt(n, 10)
	for i := len(t) - 3; i > 0 && t[i-1] != '-'; i -= 3 {
		t = t[:i] + "," + t[i:]
	}
	return t
}

// compileParams compiles figures and checks that every name a text or a
// condition uses is a parameter or figure of the proposition.
func (m *Model) compileParams(p *proposition, ps *source.Problems) {
	names := make([]string, 0, len(p.Figures))
	for n := range p.Figures {
		names = append(names, n)
	}
	slices.Sort(names)
	p.figures = map[string]*condition.IntProgram[state]{}
	uses := func(calls []condition.Call, vars []string, at source.Pos) {
		for _, c := range calls {
			if _, ok := p.Params[c.Args[0]]; !ok && (c.Func == "asked" || c.Func == "asked_is") {
				ps.Add(at, "add it to params with the value that holds when nobody states one", "%s reads parameter %q, which it does not have", p.Id.Value, c.Args[0])
			}
		}
		if _, ok := p.Params["date"]; !ok && slices.Contains(vars, "asked_date") {
			ps.Add(at, "add it to params", "%s reads asked_date and has no parameter date", p.Id.Value)
		}
	}
	for _, n := range names {
		prog, errs := m.env.CompileInt(p.Figures[n])
		*ps = append(*ps, errs...)
		if prog != nil {
			p.figures[n] = prog
			uses(prog.Calls(), prog.Uses(), p.Figures[n].At)
		}
	}
	texts := []string{p.Text, p.SayInstead, p.OtherwiseBecause}
	for _, r := range p.Rules {
		texts = append(texts, r.Because)
		if r.prog != nil {
			uses(r.prog.Calls(), r.prog.Uses(), r.When.At)
		}
	}
	for _, t := range texts {
		for _, x := range placeholder.FindAllString(t, -1) {
			n := x[1 : len(x)-1]
			_, param := p.Params[n]
			if _, figure := p.Figures[n]; !param && !figure {
				ps.Add(p.Id.At, "add it to params or figures", "%s prints %s, which is neither a parameter nor a figure of it", p.Id.Value, x)
			}
		}
	}
}

// footnotes of contested facts among ids.
func (s *state) footnotes(ids []string) []string {
	var out []string
	for _, id := range ids {
		if a := s.answer(id, ""); a.Fact != nil && a.Fact.Contested && a.Fact.Footnote != "" {
			out = append(out, a.Fact.Footnote)
		}
	}
	return out
}

func texts(ts []source.Text) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.Value
	}
	return out
}

func (m *Model) runChecks(s *state) []CheckResult {
	out := make([]CheckResult, 0, len(m.checks))
	for i := range m.checks {
		c := &m.checks[i]
		r := CheckResult{ID: c.Id.Value, Title: c.Title, Result: "pass", Reasons: []string{}, Facts: texts(c.Facts)}
		var missing []string
		for _, n := range c.Needs {
			if v := s.get(n.Value); !v.Known {
				missing = append(missing, inWords(m.vars[m.varIndex[n.Value]].Means))
			}
		}
		fails, failUnknown := all(s, c.Fail)
		verify, _ := all(s, c.Verify)
		notEval, _ := all(s, c.NotEvaluable)
		switch {
		case len(fails) > 0:
			r.Result, r.Reasons = "fail", fails
		case len(missing) > 0:
			r.Result, r.Reasons = "not_evaluable", []string{"Not known: " + strings.Join(missing, "; ") + "."}
		case len(notEval) > 0:
			r.Result, r.Reasons = "not_evaluable", notEval
		case failUnknown:
			r.Result, r.Reasons = "not_evaluable", []string{"An input is missing."}
		case len(verify) > 0:
			r.Result, r.Reasons = "verify", verify
		}
		out = append(out, r)
	}
	return out
}
