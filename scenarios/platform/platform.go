// Package platform holds what the vendor's platform does, as dated data: facts
// with their value by plan, execution mode and data arrangement, prices, and
// the sources they were read in. Nothing about the platform is written in Go;
// this package only looks things up as of a day, and makes sure that neither
// age nor doubt ever improves an answer.
package platform

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed facts/*.yaml prices.yaml features.yaml
var embedded embed.FS

// Value is the answer of a fact for one plan. The zero value says that no
// record speaks for the day and scope asked about; it is never a yes.
type Value uint8

const (
	NotStated     Value = iota
	Yes                 // the named thing is available, or true
	No                  // it is not
	Conditional         // yes where the record's condition holds
	NotApplicable       // the question has no meaning on this plan
	Unknown             // asked and not known: sources silent, in conflict or too old
	Verify              // inside the interval in which it is known to have changed
)

var valueNames = [...]string{"not stated", "yes", "no", "conditional", "not applicable", "unknown", "verify"}

func (v Value) String() string {
	if int(v) < len(valueNames) {
		return valueNames[v]
	}
	return "not stated"
}

func parseValue(s string) Value {
	switch s {
	case "yes":
		return Yes
	case "no":
		return No
	case "conditional":
		return Conditional
	case "na":
		return NotApplicable
	case "unknown":
		return Unknown
	}
	return NotStated
}

// FreshDays is how long a record stands after it was last verified. Absences
// were reversed four times in seven months, hence no longer than this.
const FreshDays = 60

// Gap is the YesIs of a fact whose yes is the bad side for the customer.
const Gap = "gap"

// Modes and Plans are the execution modes and plans a record can speak for.
var (
	Modes = []string{"local", "cloud", "third_party"}
	Plans = []string{"free", "pro", "max", "team", "enterprise"}
)

// Fact is one question about the platform and its dated answers.
type Fact struct {
	ID        source.Text `yaml:"id,required"`
	Subject   string      `yaml:"subject,required"`
	Lesson    string      `yaml:"lesson"` // what the lesson of 2026-04-09 says; empty when it is silent
	Contested bool        `yaml:"contested"`
	Footnote  string      `yaml:"footnote"`
	YesIs     string      `yaml:"yes_is,enum=benefit|gap"` // which side yes is for the customer; benefit unless stated
	Records   []Record    `yaml:"records,required"`
}

// Name is the fact's id.
func (f *Fact) Name() string { return f.ID.Value }

// bad is the value that is worse for the customer.
func (f *Fact) bad() Value {
	if f.YesIs == Gap {
		return Yes
	}
	return No
}

// Record is one dated answer. It is in force from From (or, when the day of a
// change is only known to lie in an interval, surely from FromLatest) to To,
// both inclusive, or until the next record of the same scope starts.
type Record struct {
	Statement      string            `yaml:"statement,required"`
	Values         map[string]string `yaml:"value,required,enum=yes|no|conditional|na|unknown"`
	Modes          []string          `yaml:"modes,enum=local|cloud|third_party"`
	With           []string          `yaml:"with,enum=zdr|cmek|hipaa_ready|hipaa_configuration"`
	Without        []string          `yaml:"without,enum=zdr|cmek|hipaa_ready|hipaa_configuration"`
	Params         map[string]string `yaml:"params"`
	Condition      source.Text       `yaml:"condition"` // in the assessor's vocabulary
	ConditionsText string            `yaml:"conditions_text"`
	From           source.Date       `yaml:"from"`
	FromEarliest   source.Date       `yaml:"from_earliest"` // last day known to be unchanged
	FromLatest     source.Date       `yaml:"from_latest"`   // first day known to be changed
	To             source.Date       `yaml:"to"`
	LastVerified   source.Date       `yaml:"last_verified,required"`
	Confidence     string            `yaml:"confidence,required,enum=high|medium|low|conflict"`
	ConflictsWith  []source.Text     `yaml:"conflicts_with"`
	Grants         string            `yaml:"grants,enum=newer|older"` // of two sources in conflict, which grants the benefit
	LessonValue    string            `yaml:"lesson_value,enum=yes|no"`
	Sources        []Reading         `yaml:"sources,required"`
	At             source.Pos        `yaml:"-"`
}

// Reading says in which source a record was read, and how.
type Reading struct {
	Key  string     `yaml:"key,required"`
	Read string     `yaml:"read,required,enum=seen|quoted|inferred|third_party"`
	At   source.Pos `yaml:"-"`
}

// Source is a place facts were read in.
type Source struct {
	Key   string `yaml:"key,required"`
	Title string `yaml:"title,required"`
	URL   string `yaml:"url"`
	Copy  string `yaml:"copy,required"` // date of the copy read
}

// Starts is the first day the record surely holds.
func (r *Record) Starts() source.Date {
	if r.From.Given() {
		return r.From
	}
	return r.FromLatest
}

// Start is the first day in words for people: a date, or the interval.
func (r *Record) Start() string {
	if r.From.Given() {
		return r.From.String()
	}
	return fmt.Sprintf("between %s and %s", r.FromEarliest, r.FromLatest)
}

// End is the last day of the record, or "" when it is open.
func (r *Record) End() string { return r.To.String() }

// Recorded reports that some record of the fact speaks for the day or one before.
func (f *Fact) Recorded(day source.Date) bool {
	return slices.ContainsFunc(f.Records, func(r Record) bool {
		return r.From.Given() && !r.From.After(day) || r.FromEarliest.Given() && !r.FromEarliest.After(day)
	})
}

// Successor is the record of the same scope that took the place of r, or takes it
// one day: the next one to start, of those that start together the last. It is nil
// when there is none. R is one of f.Records.
func (f *Fact) Successor(r *Record) *Record {
	var next *Record
	after := false // stands below r
	for i := range f.Records {
		o := &f.Records[i]
		if o == r {
			after = true
			continue
		}
		if o.Scope() != r.Scope() || o.Starts().Before(r.Starts()) || !after && !o.Starts().After(r.Starts()) {
			continue
		}
		if next == nil || !o.Starts().After(next.Starts()) {
			next = o
		}
	}
	return next
}

// ValueFor is what the record states for a plan, before age and conflict count.
func (r *Record) ValueFor(plan string) Value { return parseValue(r.Values[planKey(plan)]) }

// Scope names the modes and arrangements the record is limited to, or "".
func (r *Record) Scope() string {
	var parts []string
	if len(r.Modes) > 0 {
		parts = append(parts, strings.Join(sorted(r.Modes), " or "))
	}
	if len(r.With) > 0 {
		parts = append(parts, "with "+strings.Join(sorted(r.With), " and "))
	}
	if len(r.Without) > 0 {
		parts = append(parts, "without "+strings.Join(sorted(r.Without), " and "))
	}
	return strings.Join(parts, ", ")
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// planKey maps a scenario's plan to the plan of the facts. Work done on
// personal seats is judged as Max, the most capable of them.
func planKey(plan string) string {
	if plan == "individual" {
		return "max"
	}
	return plan
}

// InputFile is an embedded data file as it goes into a bundle.
type InputFile struct {
	Name string
	Data []byte
}

// Catalogue is a set of facts and the sources they rest on. It is not changed
// after loading, so several goroutines may ask it at once.
type Catalogue struct {
	facts   []*Fact
	byID    map[string]*Fact
	sources []Source
	files   []InputFile
	overlay Overlay
}

// Facts returns the catalogue shipped with this version, parsed once.
var Facts = sync.OnceValues(func() (*Catalogue, error) { return LoadFacts(embedded) })

// LoadFacts reads the catalogue from a folder laid out as the shipped one, and as
// the inputs of a bundle are: facts/*.yaml, with prices.yaml beside them.
func LoadFacts(fsys fs.FS) (*Catalogue, error) {
	inputs, err := readFiles(fsys, "facts/*.yaml", "prices.yaml")
	if err != nil {
		return nil, err
	}
	var names []string
	var texts [][]byte
	for _, in := range inputs {
		if in.Name != "prices.yaml" {
			names, texts = append(names, in.Name), append(texts, in.Data)
		}
	}
	files, errs := source.ParseAll(names, texts)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	c, err := ParseFacts(files)
	if err != nil {
		return nil, err
	}
	c.files = inputs
	return c, nil
}

func readFiles(fsys fs.FS, patterns ...string) ([]InputFile, error) {
	var out []InputFile
	for _, p := range patterns {
		names, err := fs.Glob(fsys, p)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			data, err := fs.ReadFile(fsys, n)
			if err != nil {
				return nil, err
			}
			out = append(out, InputFile{n, data})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// ParseFacts reads facts and sources from files, in order, and checks them
// together. Every fault is returned at once, as source.Problems.
func ParseFacts(files []*source.File) (*Catalogue, error) {
	c := &Catalogue{byID: map[string]*Fact{}}
	var ps source.Problems
	for _, f := range files {
		var doc struct {
			Facts   []Fact   `yaml:"facts"`
			Sources []Source `yaml:"sources"`
		}
		if err := f.Decode(&doc); err != nil {
			more, ok := source.AsProblems(err)
			if !ok {
				return nil, err
			}
			ps = append(ps, more...)
		}
		for i := range doc.Facts {
			c.facts = append(c.facts, &doc.Facts[i])
		}
		c.sources = append(c.sources, doc.Sources...)
		c.files = append(c.files, InputFile{f.Name, f.Data})
	}
	sort.SliceStable(c.facts, func(i, j int) bool { return c.facts[i].ID.Value < c.facts[j].ID.Value })
	c.check(&ps)
	for _, f := range files {
		ps = f.Explain(ps)
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Catalogue) check(ps *source.Problems) {
	keys := map[string]bool{}
	for _, s := range c.sources {
		if keys[s.Key] {
			ps.Add(source.Pos{}, "keep one of them", "source %q is listed twice", s.Key)
		}
		keys[s.Key] = true
	}
	for _, f := range c.facts {
		if first := c.byID[f.ID.Value]; first != nil {
			ps.Add(f.ID.At, "keep one of them", "fact %q stands here again (first at %s)", f.ID.Value, first.ID.At)
			continue
		}
		c.byID[f.ID.Value] = f
		if f.YesIs == "" {
			f.YesIs = "benefit"
		}
	}
	for _, f := range c.facts {
		if f.Contested && f.Footnote == "" {
			ps.Add(f.ID.At, "say in a footnote which source says what", "fact %q is contested and has no footnote", f.ID.Value)
		}
		for i := range f.Records {
			r := &f.Records[i]
			c.checkRecord(f, r, ps)
			for _, s := range r.Sources {
				if !keys[s.Key] {
					ps.Add(s.At, "list the source in sources.yaml", "%q is not the key of a source", s.Key)
				}
			}
		}
		checkWindows(f, ps)
	}
}

func (c *Catalogue) checkRecord(f *Fact, r *Record, ps *source.Problems) {
	id := f.ID.Value
	switch {
	case r.From.Given() && (r.FromEarliest.Given() || r.FromLatest.Given()):
		ps.Add(r.At, "keep from, or the two ends of the interval", "a record of %q has both from and an interval", id)
	case !r.From.Given() && !(r.FromEarliest.Given() && r.FromLatest.Given()):
		ps.Add(r.At, "give from, or both from_earliest and from_latest", "a record of %q has no start", id)
	case r.FromEarliest.Given() && !r.FromEarliest.Before(r.FromLatest):
		ps.Add(r.FromEarliest.At, "put the earlier day first", "from_earliest of %q is not before from_latest", id)
	}
	if r.To.Given() && r.To.Before(r.Starts()) {
		ps.Add(r.To.At, "a record ends on or after the day it starts", "a record of %q ends before it starts", id)
	}
	if len(r.Sources) == 0 {
		ps.Add(r.At, "name at least one source", "a record of %q has no source", id)
	}
	conditional := false
	for _, p := range Plans {
		v, ok := r.Values[p]
		if !ok {
			ps.Add(r.At, "state all five plans; na where the question has no meaning", "a record of %q says nothing about plan %s", id, p)
		}
		conditional = conditional || v == "conditional"
	}
	if len(r.Values) > len(Plans) {
		ps.Add(r.At, "the plans are "+strings.Join(Plans, ", "), "a record of %q has a plan that does not exist", id)
	}
	if conditional && (r.Condition.Value == "" || r.ConditionsText == "") {
		ps.Add(r.At, "give condition and conditions_text", "a record of %q is conditional and has no condition", id)
	}
	if r.LessonValue != "" && !f.Contested {
		ps.Add(r.At, "mark the fact contested, or drop lesson_value", "a record of %q has a lesson_value, but the fact is not contested", id)
	}
	if r.Grants != "" && r.Confidence != "conflict" {
		ps.Add(r.At, "grants goes with confidence: conflict", "a record of %q says which source grants without a conflict", id)
	}
	for _, other := range r.ConflictsWith {
		if c.byID[other.Value] == nil {
			advice := ""
			if g := source.Nearest(other.Value, c.IDs()); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(other.At, advice, "%q is not the id of a fact", other.Value)
		}
	}
}

// checkWindows makes sure that at most one record of a scope is in force on
// any day.
func checkWindows(f *Fact, ps *source.Problems) {
	byScope := map[string][]*Record{}
	var scopes []string
	for i := range f.Records {
		r := &f.Records[i]
		s := r.Scope()
		if byScope[s] == nil {
			scopes = append(scopes, s)
		}
		byScope[s] = append(byScope[s], r)
	}
	for _, s := range scopes {
		rs := byScope[s]
		for i := 1; i < len(rs); i++ {
			prev, r := rs[i-1], rs[i]
			switch {
			case !prev.Starts().Before(r.Starts()):
				ps.Add(r.At, "put the records of a scope in the order in which they start", "a record of %q does not start after the one before it", f.ID.Value)
			case prev.To.Given() && !prev.To.Before(r.Starts()):
				ps.Add(prev.To.At, "end it on the day before the next one starts, or leave to out", "two records of %q overlap", f.ID.Value)
			}
		}
	}
}

// IDs lists every fact id in order.
func (c *Catalogue) IDs() []string {
	out := make([]string, len(c.facts))
	for i, f := range c.facts {
		out[i] = f.ID.Value
	}
	return out
}

// Fact finds a fact by id.
func (c *Catalogue) Fact(id string) (*Fact, bool) {
	f, ok := c.byID[id]
	return f, ok
}

// Sources lists the sources in file order.
func (c *Catalogue) Sources() []Source { return c.sources }

// Source finds a source by key.
func (c *Catalogue) Source(key string) (Source, bool) {
	for _, s := range c.sources {
		if s.Key == key {
			return s, true
		}
	}
	return Source{}, false
}

// SourceTitle is the title of a source, or the key when it is not listed.
func (c *Catalogue) SourceTitle(key string) string {
	if s, ok := c.Source(key); ok {
		return s.Title
	}
	return key
}

// LastVerified is the newest day on which any record was verified; nothing in
// the catalogue speaks for later days.
func (c *Catalogue) LastVerified() source.Date {
	var last source.Date
	for _, f := range c.facts {
		for i := range f.Records {
			if d := f.Records[i].LastVerified; d.After(last) {
				last = source.Date{Time: d.Time}
			}
		}
	}
	return last
}

// Silent counts the facts of which every record begins after a day: on that day
// nothing is recorded of them, which is not that the thing was absent.
func (c *Catalogue) Silent(day source.Date) (silent, all int) {
	for _, id := range c.IDs() {
		f, _ := c.Fact(id)
		all++
		if !f.Recorded(day) {
			silent++
		}
	}
	return silent, all
}

// Files are the data files behind the catalogue, for the bundle.
func (c *Catalogue) Files() []InputFile { return c.files }

// Digest identifies the fact set: the SHA-256 of its files in name order. A
// customer's overlay is an input of the run and does not change it.
func (c *Catalogue) Digest() string {
	h := sha256.New()
	for _, f := range c.files {
		fmt.Fprintf(h, "%s\x00%d\x00", f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Change is a record that came into force.
type Change struct {
	Fact     string
	Scope    string // modes and arrangements it is limited to, or ""
	From, To string // the statement before, "" when there was none, and after
	Date     source.Date
	Earliest source.Date // when the day is only known to lie in an interval: after this day
	Record   *Record
}

// Changes lists the records that start after from and not after to, by day,
// then fact. A change inside an interval is dated at its latest day.
func (c *Catalogue) Changes(from, to source.Date) []Change {
	var out []Change
	for _, f := range c.facts {
		for i := range f.Records {
			r := &f.Records[i]
			d := r.Starts()
			if !d.After(from) || d.After(to) {
				continue
			}
			ch := Change{Fact: f.ID.Value, Scope: r.Scope(), To: r.Statement, Date: source.Date{Time: d.Time}, Earliest: source.Date{Time: r.FromEarliest.Time}, Record: r}
			if p := before(f, r); p != nil {
				ch.From = p.Statement
			}
			out = append(out, ch)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Date.Before(out[j].Date) })
	return out
}

// before is the record that r replaced: the last earlier one of its scope, else
// of a wider one.
func before(f *Fact, r *Record) *Record {
	var same, wider *Record
	for i := range f.Records {
		o := &f.Records[i]
		if !o.Starts().Before(r.Starts()) {
			continue
		}
		switch o.Scope() {
		case r.Scope():
			same = o
		case "":
			wider = o
		}
	}
	if same != nil {
		return same
	}
	return wider
}

// Overlay is what a customer knows better about its own tenant.
type Overlay []OverlayFact

// OverlayFact replaces the value of one fact from Date on. Who stands behind
// it and the evidence for it are printed wherever it decides something.
type OverlayFact struct {
	Fact     source.Text `yaml:"fact,required"`
	Value    string      `yaml:"value,required,enum=yes|no|unknown"`
	Who      string      `yaml:"who,required"`
	Date     source.Date `yaml:"date,required"`
	Evidence string      `yaml:"evidence,required"`
}

// With returns a copy of the catalogue with the overlay in force. A name that
// is no fact is a problem.
func (c *Catalogue) With(o Overlay) (*Catalogue, error) {
	var ps source.Problems
	for _, of := range o {
		if c.byID[of.Fact.Value] == nil {
			advice := "sandtable facts list names them all"
			if g := source.Nearest(of.Fact.Value, c.IDs()); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(of.Fact.At, advice, "%q is not the id of a fact", of.Fact.Value)
		}
		if parseValue(of.Value) == NotStated {
			ps.Add(of.Fact.At, "yes, no or unknown", "%q is not a value", of.Value)
		}
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	out := *c
	out.overlay = append(slices.Clone(c.overlay), o...)
	return &out, nil
}
