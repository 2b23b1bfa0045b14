package assess

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed frameworks/*.yaml
var embedded embed.FS

// Model is the assessor's data, compiled: vocabulary, predicates, attestations,
// elements, frameworks, headline gaps, propositions and checks. It is read-only
// after load and safe for concurrent use.
type Model struct {
	vars            []variable
	varIndex        map[string]int
	preds           []predicate
	predIndex       map[string]int
	classes         []DataClass
	operating       int64    // days
	heard           *element // what a yes on observed evidence needs; nil: any record will do
	atts            map[string]*attestation
	attOrder        []string
	elements        map[string]*element
	Frameworks      []*Framework
	obligationCount int
	gaps            []gap
	claims          []proposition
	needs           []proposition
	checks          []check
	disputes        []DisputeNote
	limits          []string
	observations    []observation
	operational     []operationalGap
	controls        []control
	levers          []lever
	facts           *platform.Catalogue
	factUses        map[*platform.Record]FactUse // what every use of a record prints alike
	readFacts       map[string]bool              // facts that a verdict can read, not only cite
	factConds       map[*platform.Record]*condition.Program[state]
	env             *condition.Env[state]
	files           []InputFile
}

// InputFile is a data file as used, for the bundle.
type InputFile struct {
	Name string
	Data []byte
}

type variable struct {
	Name    string `yaml:"name,required"`
	Type    string `yaml:"type,required,enum=bool|int|number|string|set"`
	Group   string `yaml:"group,required,enum=scope|configuration|telemetry|external|rollout"`
	Class   string `yaml:"class,required"`
	Means   string `yaml:"means,required"`
	Unknown string `yaml:"unknown"`
}

// DataClass is a class of data that decides what applies.
type DataClass struct {
	Id        string        `yaml:"id,required,enum=phi|icfr|chd|confidential"`
	Title     string        `yaml:"title,required"`
	Variable  source.Text   `yaml:"variable,required"`
	Framework source.Text   `yaml:"framework,required"`
	Hits      []source.Text `yaml:"hits"` // counts of the stream that show it
	// Likely is what makes it likely where no work is declared: one of the kinds,
	// with a member of one of the personas who has Cowork.
	Likely struct {
		Kinds    []string `yaml:"kinds"`
		Personas []string `yaml:"personas"`
	} `yaml:"likely"`
}

// DataClasses are the classes of data in the order reports name them.
func (m *Model) DataClasses() []DataClass { return m.classes }

type predicate struct {
	Name    string        `yaml:"name,required"`
	Means   string        `yaml:"means,required"`
	Type    string        `yaml:"type,required,enum=bool|int"`
	Facts   []source.Text `yaml:"facts"`
	Value   source.Text   `yaml:"value,required"`
	boolean *condition.Program[state]
	integer *condition.IntProgram[state]
}

type attestation struct {
	Id          string `yaml:"id,required"`
	Aspect      string `yaml:"aspect,required,enum=D|O"`
	Says        string `yaml:"says,required"`
	ExpiresDays int    `yaml:"expires_days,required"`
}

type element struct {
	Id              source.Text   `yaml:"id,required"`
	Name            string        `yaml:"name,required"`
	Demands         string        `yaml:"demands,required"`
	Source          string        `yaml:"source,required,enum=platform|config|telemetry|attestation"`
	Aspect          string        `yaml:"aspect,required,enum=D|O|R|V"`
	Classes         []string      `yaml:"classes"`
	Needs           source.Text   `yaml:"needs"`
	Met             source.Text   `yaml:"met,required"`
	Short           source.Text   `yaml:"short"`
	Otherwise       string        `yaml:"otherwise,required,enum=absent-fixable|unknown|short|unattested"`
	OtherwiseIf     source.Text   `yaml:"otherwise_if"`
	OtherwiseThen   string        `yaml:"otherwise_then,enum=absent-fixable|unknown|short|unattested"`
	Unknown         string        `yaml:"unknown,required,enum=unknown|short|unattested|no-effect"`
	Remedy          string        `yaml:"remedy,required" advice:"every element says what would supply it"`
	UnfixableRemedy []string      `yaml:"unfixable_remedy,enum=change plan|change arrangement|keep data out|wait|different product"`
	Facts           []source.Text `yaml:"facts"`

	needs, met, short, otherwiseIf *condition.Program[state]
	att                            *attestation
	index                          int      // in state.els
	reads                          []string // variables and predicates read, sorted
	factIDs                        []string // Facts as text
}

// Framework is one set of obligations.
type Framework struct {
	Id                 source.Text   `yaml:"id,required"`
	Title              string        `yaml:"title,required"`
	TextStatus         string        `yaml:"text_status"`
	Authority          string        `yaml:"authority"`
	Applies            source.Text   `yaml:"applies,required"`
	AppliesWords       string        `yaml:"applies_words,required"`
	NotApplicableWords string        `yaml:"not_applicable_words,required"`
	IfForced           []source.Text `yaml:"if_forced"`
	GoodPractice       bool          `yaml:"good_practice"`
	Obligations        []*Obligation `yaml:"obligations,required"`
	applies            *condition.Program[state]
}

// Obligation is one row of a framework.
type Obligation struct {
	Id        source.Text   `yaml:"id,required"`
	Citation  string        `yaml:"citation,required"`
	Title     string        `yaml:"title,required"`
	Demands   string        `yaml:"demands,required"`
	Evidence  string        `yaml:"evidence"`
	Weight    string        `yaml:"weight,required,enum=req|adv"`
	Label     string        `yaml:"label,required"`
	Trail     bool          `yaml:"trail"`
	Text      string        `yaml:"text,required,enum=seen|known|inferred"`
	Dispute   source.Text   `yaml:"dispute"`
	Caveat    string        `yaml:"caveat"` // what a verdict short of support says beside its reasons; {read} is the last day its facts were verified
	Applies   source.Text   `yaml:"applies"`
	Elements  []source.Text `yaml:"elements,required"`
	CappedBy  []source.Text `yaml:"capped_by"`
	Ceiling   []string      `yaml:"ceiling,enum=SAT|PART|CFG|PLAT|ATT|UNK|NA"`
	Gaps      []string      `yaml:"gaps,enum=audit-log|computer-use|data-residency"`
	framework *Framework
	applies   *condition.Program[state]
	parts     []part
	cappers   []int // positions in framework.Obligations
}

type part struct {
	el        *element
	essential bool
	id        string // obligation/element
}

var loadModel = sync.OnceValues(func() (*Model, error) {
	facts, err := platform.Facts()
	if err != nil {
		return nil, err
	}
	return Load(embedded, facts)
})

// Default is the shipped model over the shipped facts.
func Default() (*Model, error) { return loadModel() }

// Load reads and compiles every file under frameworks/ of fsys. All faults are
// returned at once: unknown facts, elements, attestations or variables, cyclic
// caps, elements without a remedy, conditions that do not compile.
func Load(fsys fs.FS, facts *platform.Catalogue) (*Model, error) {
	m := &Model{
		varIndex: map[string]int{}, predIndex: map[string]int{}, atts: map[string]*attestation{}, elements: map[string]*element{},
		facts: facts, factConds: map[*platform.Record]*condition.Program[state]{}, factUses: map[*platform.Record]FactUse{},
	}
	names, err := fs.Glob(fsys, "frameworks/*.yaml")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var ps source.Problems
	var texts [][]byte
	for _, n := range names {
		data, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, err
		}
		m.files = append(m.files, InputFile{Name: n, Data: data})
		texts = append(texts, data)
	}
	files := map[string]*source.File{}
	parsed, errs := source.ParseAll(names, texts)
	for i, n := range names {
		if errs[i] != nil {
			ps = appendErr(ps, errs[i])
			continue
		}
		files[n] = parsed[i]
	}
	decode := func(name string, v any) {
		f := files["frameworks/"+name]
		if f == nil {
			ps.Add(source.Pos{File: "frameworks/" + name}, "the model needs it", "the file is missing or unreadable")
			return
		}
		delete(files, "frameworks/"+name)
		if err := f.Decode(v); err != nil {
			ps = appendErr(ps, err)
		}
	}
	var vocab struct {
		Version   int         `yaml:"version"`
		Operating int64       `yaml:"operating_days,required"`
		Heard     source.Text `yaml:"heard"`
		Classes   []DataClass `yaml:"classes,required"`
		Variables []variable  `yaml:"variables,required"`
	}
	var preds struct {
		Predicates []predicate `yaml:"predicates,required"`
	}
	var atts struct {
		Attestations []attestation `yaml:"attestations,required"`
	}
	var elems struct {
		Elements []*element `yaml:"elements,required"`
	}
	var disputes struct {
		Disputes []struct {
			Id       string `yaml:"id,required"`
			Question string `yaml:"question,required"`
			SideA    string `yaml:"side_a,required"`
			SideB    string `yaml:"side_b,required"`
			Ours     string `yaml:"ours,required"`
		} `yaml:"disputes,required"`
	}
	var props propositionFile
	decode("vocabulary.yaml", &vocab)
	decode("predicates.yaml", &preds)
	decode("attestations.yaml", &atts)
	decode("elements.yaml", &elems)
	decode("disputes.yaml", &disputes)
	decode("propositions.yaml", &props)
	var ctl controlFile
	decode("controls.yaml", &ctl)
	rest := make([]string, 0, len(files))
	for n := range files {
		rest = append(rest, n)
	}
	sort.Strings(rest)
	for _, n := range rest {
		fw := &Framework{}
		if err := files[n].Decode(fw); err != nil {
			ps = appendErr(ps, err)
		}
		m.Frameworks = append(m.Frameworks, fw)
	}
	if ps.Err() != nil {
		return nil, ps.Err()
	}
	order := []string{"hipaa", "sox", "pci-dss", "soc2"}
	sort.SliceStable(m.Frameworks, func(i, j int) bool {
		return rank(order, m.Frameworks[i].Id.Value) < rank(order, m.Frameworks[j].Id.Value)
	})

	for _, d := range disputes.Disputes {
		m.disputes = append(m.disputes, DisputeNote{d.Id, d.Question, d.SideA, d.SideB, d.Ours})
	}
	m.vars, m.preds = vocab.Variables, preds.Predicates
	m.classes, m.operating = vocab.Classes, vocab.Operating
	for i := range atts.Attestations {
		a := &atts.Attestations[i]
		m.atts[a.Id] = a
		m.attOrder = append(m.attOrder, a.Id)
	}
	m.buildEnv()
	m.compilePredicates(&ps)
	m.compileFacts(&ps)
	m.compileElements(elems.Elements, &ps)
	if h := vocab.Heard; h.Value != "" {
		if m.heard = m.elements[h.Value]; m.heard == nil {
			ps.Add(h.At, adviceNearest(h.Value, slices.Sorted(maps.Keys(m.elements))), "%q is not an element", h.Value)
		}
	}
	m.compileFrameworks(&ps)
	m.checkClasses(&ps)
	verdictFacts := maps.Clone(m.readFacts)
	m.compilePropositions(&props, &ps)
	m.compileControls(&ctl, &ps)
	m.readFacts = verdictFacts
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

func rank(order []string, s string) int {
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order)
}

func appendErr(ps source.Problems, err error) source.Problems {
	if more, ok := source.AsProblems(err); ok {
		return append(ps, more...)
	}
	ps.Add(source.Pos{}, "", "%v", err)
	return ps
}

// buildEnv declares the vocabulary. Getters read the run's state by index.
func (m *Model) buildEnv() {
	e := condition.NewEnv[state](1)
	for i, v := range m.vars {
		m.varIndex[v.Name] = i
		switch v.Type {
		case "bool":
			e.Bool(v.Name, v.Means, func(s *state) (bool, bool) { return s.vals[i].Bool, s.vals[i].Known })
		case "int":
			e.Int(v.Name, v.Means, func(s *state) (int64, bool) { return s.vals[i].Int, s.vals[i].Known })
		case "number":
			e.Number(v.Name, v.Means, func(s *state) (float64, bool) { return s.vals[i].Number, s.vals[i].Known })
		case "string":
			e.String(v.Name, v.Means, func(s *state) (string, bool) { return s.vals[i].Text, s.vals[i].Known })
		case "set":
			e.List(v.Name, v.Means, func(s *state) ([]string, bool) { return s.vals[i].Set, s.vals[i].Known })
		}
	}
	for i, p := range m.preds {
		m.predIndex[p.Name] = i
		if p.Type == "int" {
			e.Int(p.Name, p.Means, func(s *state) (int64, bool) { return s.predInt(i) })
		} else {
			e.Bool(p.Name, p.Means, func(s *state) (bool, bool) { t := s.pred(i); return t == condition.True, t != condition.Unknown })
		}
	}
	factArgs := func(args []string) error {
		if _, ok := m.facts.Fact(args[0]); !ok {
			return fmt.Errorf("%q is not a fact id", args[0])
		}
		if m.readFacts == nil {
			m.readFacts = map[string]bool{}
		}
		m.readFacts[args[0]] = true
		if len(args) > 1 && !slices.Contains([]string{"local", "cloud", "third_party"}, args[1]) {
			return fmt.Errorf("%q is not an execution mode (local, cloud, third_party)", args[1])
		}
		return nil
	}
	e.FuncBool("fact", "fact(id[, mode]): a dated platform fact, for the plan and arrangements of the run", 1, 2, factArgs,
		func(s *state, args []string) condition.Tri {
			mode := ""
			if len(args) > 1 {
				mode = args[1]
			}
			return s.fact(args[0], mode)
		})
	e.FuncInt("fact_param", "fact_param(id, name): a number of the record in force", 2, 2,
		func(args []string) error { return factArgs(args[:1]) },
		func(s *state, args []string) (int64, bool) { return s.factParam(args[0], args[1]) })
	e.FuncInt("asked", "asked(name): a whole-number parameter of the claim or need being judged", 1, 1, nil,
		func(s *state, args []string) (int64, bool) {
			n, err := strconv.ParseInt(s.asked[args[0]], 10, 64)
			return n, err == nil
		})
	e.FuncBool("asked_is", "asked_is(name, text): a parameter of the claim or need being judged has this value", 2, 2, nil,
		func(s *state, args []string) condition.Tri {
			v, ok := s.asked[args[0]]
			return condition.Of(v == args[1], ok)
		})
	e.String("asked_date", "the parameter date of the claim or need being judged", func(s *state) (string, bool) {
		v, ok := s.asked["date"]
		return v, ok
	})
	e.FuncBool("att", "att(id): an attestation in date and in scope", 1, 1,
		func(args []string) error {
			if m.atts[args[0]] == nil {
				return fmt.Errorf("%q is not an attestation id", args[0])
			}
			return nil
		},
		func(s *state, args []string) condition.Tri { return s.att(args[0]) })
	m.env = e
}

func (m *Model) compilePredicates(ps *source.Problems) {
	for i := range m.preds {
		p := &m.preds[i]
		var uses []string
		if p.Type == "int" {
			prog, errs := m.env.CompileInt(p.Value)
			*ps = append(*ps, errs...)
			if prog != nil {
				p.integer, uses = prog, prog.Uses()
			}
		} else {
			p.boolean = m.compile(p.Value, ps)
			if p.boolean != nil {
				uses = p.boolean.Uses()
			}
		}
		for _, u := range uses {
			if j, ok := m.predIndex[u]; ok && j >= i {
				ps.Add(p.Value.At, "move the predicate it reads above it", "predicate %s reads %s, which stands below it", p.Name, u)
			}
		}
		m.checkFacts(p.Facts, ps)
	}
}

func (m *Model) compile(t source.Text, ps *source.Problems) *condition.Program[state] {
	if t.Value == "" {
		return nil
	}
	p, errs := m.env.Compile(t)
	*ps = append(*ps, errs...)
	return p
}

func (m *Model) checkFacts(ids []source.Text, ps *source.Problems) {
	for _, id := range ids {
		if _, ok := m.facts.Fact(id.Value); !ok {
			ps.Add(id.At, adviceNearest(id.Value, m.facts.IDs()), "%q is not a fact id", id.Value)
		}
	}
}

func adviceNearest(s string, all []string) string {
	if g := source.Nearest(s, all); g != "" {
		return fmt.Sprintf("did you mean %q?", g)
	}
	return ""
}

// compileFacts compiles the machine conditions of conditional facts.
func (m *Model) compileFacts(ps *source.Problems) {
	for _, id := range m.facts.IDs() {
		f, _ := m.facts.Fact(id)
		for i := range f.Records {
			r := &f.Records[i]
			u := FactUse{Statement: r.Statement, From: r.Start(), To: r.End(), LastVerified: r.LastVerified.String(), Confidence: r.Confidence, Sources: []string{}}
			for _, src := range r.Sources {
				u.Sources = append(u.Sources, fmt.Sprintf("[%s] %s (%s)", src.Key, m.facts.SourceTitle(src.Key), strings.ReplaceAll(src.Read, "_", " ")))
			}
			m.factUses[r] = u
			if r.Condition.Value != "" {
				m.factConds[r] = m.compile(r.Condition, ps)
			}
		}
	}
}

func (m *Model) compileElements(els []*element, ps *source.Problems) {
	for _, el := range els {
		if m.elements[el.Id.Value] != nil {
			ps.Add(el.Id.At, "", "element %q is defined twice", el.Id.Value)
		}
		el.index = len(m.elements)
		el.factIDs = texts(el.Facts)
		m.elements[el.Id.Value] = el
		el.needs, el.met, el.short = m.compile(el.Needs, ps), m.compile(el.Met, ps), m.compile(el.Short, ps)
		el.otherwiseIf = m.compile(el.OtherwiseIf, ps)
		if el.needs != nil && len(el.UnfixableRemedy) == 0 {
			ps.Add(el.Needs.At, "say which of change plan, change arrangement, keep data out, wait, different product applies", "element %q can be absent with no configuration to close it, but has no unfixable_remedy", el.Id.Value)
		}
		if el.OtherwiseIf.Value != "" && el.OtherwiseThen == "" {
			ps.Add(el.OtherwiseIf.At, "", "otherwise_if needs otherwise_then")
		}
		m.checkFacts(el.Facts, ps)
		for _, p := range []*condition.Program[state]{el.needs, el.met, el.short, el.otherwiseIf} {
			if p != nil {
				el.reads = append(el.reads, p.Uses()...)
			}
		}
		slices.Sort(el.reads)
		el.reads = slices.Compact(el.reads)
		if el.Aspect == "R" {
			for _, r := range m.closure(el.reads) {
				if i, ok := m.varIndex[r]; ok && m.vars[i].Group == "telemetry" {
					ps.Add(el.Id.At, "a record element must not rest on telemetry (INV-1)", "record element %q reads telemetry variable %s", el.Id.Value, r)
				}
			}
		}
	}
	for _, id := range m.attOrder {
		a := m.atts[id]
		name := "attested-" + strings.ReplaceAll(id, "_", "-")
		m.elements[name] = &element{
			index: len(m.elements), factIDs: []string{},
			Id: source.Text{Value: name}, Name: "Attested: " + strings.TrimSuffix(a.Says, "."), Demands: "A named person states, with date and scope: " + a.Says + ".",
			Source: "attestation", Aspect: a.Aspect, Classes: []string{"E6"}, Remedy: "do it, then have it attested by the person who owns it", att: a,
		}
	}
}

// closure follows predicates down to variables.
func (m *Model) closure(names []string) []string {
	seen := map[string]bool{}
	var out []string
	var walk func([]string)
	walk = func(ns []string) {
		for _, n := range ns {
			if seen[n] {
				continue
			}
			seen[n] = true
			out = append(out, n)
			if i, ok := m.predIndex[n]; ok {
				if p := m.preds[i].boolean; p != nil {
					walk(p.Uses())
				} else if p := m.preds[i].integer; p != nil {
					walk(p.Uses())
				}
			}
		}
	}
	walk(names)
	return out
}

func (m *Model) compileFrameworks(ps *source.Problems) {
	byID := map[string]*Obligation{}
	for _, fw := range m.Frameworks {
		fw.applies = m.compile(fw.Applies, ps)
		for _, t := range fw.IfForced {
			if _, ok := m.varIndex[t.Value]; !ok {
				ps.Add(t.At, "", "%q is not a variable", t.Value)
			}
		}
		for _, o := range fw.Obligations {
			o.framework = fw
			if byID[o.Id.Value] != nil {
				ps.Add(o.Id.At, "", "obligation %q is defined twice", o.Id.Value)
			}
			byID[o.Id.Value] = o
			m.obligationCount++
			o.applies = m.compile(o.Applies, ps)
			for _, t := range o.Elements {
				name, essential := strings.CutSuffix(t.Value, "*")
				el := m.elements[name]
				if el == nil {
					ps.Add(t.At, adviceNearest(name, m.elementNames()), "element %q is not defined", name)
					continue
				}
				if o.Trail && essential && el.Source == "telemetry" {
					ps.Add(t.At, "make it non-essential: telemetry never carries a formal audit trail (INV-1)", "formal-trail obligation %s has essential telemetry element %s", o.Id.Value, name)
				}
				o.parts = append(o.parts, part{el, essential, o.Id.Value + "/" + name})
			}
			if o.Dispute.Value != "" && !slices.ContainsFunc(m.disputes, func(d DisputeNote) bool { return d.ID == o.Dispute.Value }) {
				ps.Add(o.Dispute.At, "", "dispute %q is not defined", o.Dispute.Value)
			}
		}
	}
	for _, fw := range m.Frameworks {
		for _, o := range fw.Obligations {
			for _, c := range o.CappedBy {
				capper := byID[c.Value]
				switch {
				case capper == nil:
					ps.Add(c.At, "", "obligation %q is not defined", c.Value)
				case capper.framework != fw:
					ps.Add(c.At, "cap by an obligation of the same framework: scope and posture are each framework's own", "%s is capped by %s, which belongs to %s", o.Id.Value, c.Value, capper.framework.Id.Value)
				case len(capper.CappedBy) > 0:
					ps.Add(c.At, "cap by the first obligation of the chain instead", "%s is capped by %s, which is itself capped: caps are one level deep, so that no cycle can arise", o.Id.Value, c.Value)
				default:
					o.cappers = append(o.cappers, slices.Index(fw.Obligations, capper))
				}
			}
		}
	}
}

func (m *Model) checkClasses(ps *source.Problems) {
	for _, c := range m.classes {
		for _, t := range append([]source.Text{c.Variable}, c.Hits...) {
			if _, ok := m.varIndex[t.Value]; !ok {
				ps.Add(t.At, adviceNearest(t.Value, m.variableNames()), "data class %s: %q is not a variable", c.Id, t.Value)
			}
		}
		if !slices.ContainsFunc(m.Frameworks, func(fw *Framework) bool { return fw.Id.Value == c.Framework.Value }) {
			ps.Add(c.Framework.At, "", "data class %s: %q is not a framework", c.Id, c.Framework.Value)
		}
	}
}

func (m *Model) elementNames() []string {
	ns := make([]string, 0, len(m.elements))
	for n := range m.elements {
		ns = append(ns, n)
	}
	sort.Strings(ns)
	return ns
}

// Files are the data files as used, for the bundle's inputs.
func (m *Model) Files() []InputFile { return m.files }

// Attestations lists the ids a scenario may attest.
func (m *Model) Attestations() []string { return m.attOrder }

// Elements lists the elements a compensating control may name, sorted.
func (m *Model) Elements() []string { return m.elementNames() }
