// Package cases teaches by running: a case states a situation, shows exhibits of
// a real run of its scenario, asks, and grades the answer against what the
// assessor computes for that scenario on that day. No answer key is stored: an
// option states what would have to be true of the result, and is right where
// the result agrees.
//
// The package is handed a function that runs a scenario, so that it stands
// beside the rehearsal and not on it.
package cases

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Tracks a case belongs to.
const (
	Exam    = "exam"    // asked on 2026-04-09, the lesson's day; the mock exam draws from these alone
	Changed = "changed" // what changed since
)

// LessonDay is the day every case of the exam track is asked on.
var LessonDay = source.Day(2026, 4, 9)

// Topic is a part of the lesson with one screen of teaching text.
type Topic struct {
	Id    source.Text `yaml:"id,required"`
	Title string      `yaml:"title,required"`
	Order int         `yaml:"order"`
	Teach string      `yaml:"teach,required"`
	Terms []string    `yaml:"terms"`
}

// Case is one question.
type Case struct {
	Id       source.Text `yaml:"id,required"`
	Title    string      `yaml:"title,required"`
	Topic    source.Text `yaml:"topic,required"`
	Track    string      `yaml:"track,required,enum=exam|changed"`
	Date     source.Date `yaml:"date,required" advice:"the day the question is asked on, for example date: 2026-04-09"`
	Scenario source.Text `yaml:"scenario,required" advice:"name a shipped scenario, or a file by its path from here"`
	// Set is laid over the scenario, key=value, before the date is.
	Set       []string  `yaml:"set"`
	Situation string    `yaml:"situation,required"`
	Exhibits  []Exhibit `yaml:"exhibits"`
	Question  string    `yaml:"question,required"`
	Options   []Option  `yaml:"options,required"`
	// Next is said after the answer: a second step, such as the per-member number.
	Next  string     `yaml:"next"`
	Chain []Link     `yaml:"chain"`
	Again []Again    `yaml:"again"`
	At    source.Pos `yaml:"-"`

	file *source.File
	load func(name string, overrides ...string) (*scenarios.Scenario, error)
}

// Option is one answer. It is right exactly when every check of Holds is met by
// the case's own scenario, with Set laid over it where the option speaks of a
// world of its own.
type Option struct {
	Text  string   `yaml:"text,required"`
	Holds []Check  `yaml:"holds,required"`
	Set   []string `yaml:"set"`
	// Scenario is the option's own world where no setting leads there.
	Scenario source.Text `yaml:"scenario"`
	// Right says that the author expects this option to hold. Grading never reads
	// it; checking a case compares it with the model.
	Right   bool       `yaml:"right"`
	Because string     `yaml:"because,required"` // the fact or finding that carries or refutes it
	Facts   []string   `yaml:"facts"`
	Tempts  string     `yaml:"tempts"` // why a wrong one is tempting
	At      source.Pos `yaml:"-"`
}

// Check is one assertion over the result; see Lookup for paths.
type Check struct {
	Path  source.Text `yaml:"path,required"`
	Is    string      `yaml:"is"`
	In    []string    `yaml:"in"`
	Has   string      `yaml:"has"`
	Lacks string      `yaml:"lacks"`
	Min   *float64    `yaml:"min"`
	Max   *float64    `yaml:"max"`
	// SameAs is the path of a value that this one must equal.
	SameAs source.Text `yaml:"same_as"`
	Hint   string      `yaml:"hint"` // labs: shown when asked for
	Says   string      `yaml:"says"` // labs: what is graded, in words
}

// Exhibit is a piece of the run laid beside the question.
type Exhibit struct {
	Show    string     `yaml:"show,required,enum=matrix|spend|telemetry|alerts|adoption|coverage|setup|values|surfaces"`
	Caption string     `yaml:"caption"`
	Story   string     `yaml:"story"` // telemetry: the storyline whose first prompt is shown; else an ordinary one
	Lines   int        `yaml:"lines"` // telemetry: how many, 6 unless stated
	Of      []Link     `yaml:"of"`    // values: what is listed
	At      source.Pos `yaml:"-"`
}

// Link is a path of the result with a name for it.
type Link struct {
	Label string      `yaml:"label"`
	Path  source.Text `yaml:"path,required"`
}

// Again asks the same question on another day.
type Again struct {
	On    source.Date `yaml:"on,required"`
	Set   []string    `yaml:"set"`
	Watch []Link      `yaml:"watch,required"`
	Says  string      `yaml:"says,required"`
	At    source.Pos  `yaml:"-"`
}

// Term is an entry of the glossary.
type Term struct {
	Term  source.Text `yaml:"term,required"`
	Also  []string    `yaml:"also"`
	Means string      `yaml:"means,required"`
	Facts []string    `yaml:"facts"`
	See   []string    `yaml:"see"`
}

// Book is everything that can be learned from.
type Book struct {
	Topics []*Topic
	Cases  []*Case
	Labs   []*Lab
	Terms  []*Term
}

// Shipped is the book that comes with the tool, parsed once.
var Shipped = sync.OnceValues(func() (*Book, error) {
	b := &Book{}
	fsys := scenarios.CaseFiles()
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all source.Problems
	for _, n := range names {
		data, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, err
		}
		err = b.add("cases/"+n, data, scenarios.Load)
		if ps, ok := source.AsProblems(err); ok {
			all = append(all, ps...)
		} else if err != nil {
			return nil, err
		}
	}
	if err := all.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(b.Topics, func(x, y *Topic) int { return x.Order - y.Order })
	slices.SortStableFunc(b.Cases, func(x, y *Case) int { return b.rank(x) - b.rank(y) })
	slices.SortStableFunc(b.Terms, func(x, y *Term) int {
		return strings.Compare(strings.ToLower(x.Term.Value), strings.ToLower(y.Term.Value))
	})
	return b, b.check(nil).Err()
})

// rank orders cases as they are listed: the lesson's track before what changed,
// topics in their order.
func (b *Book) rank(c *Case) int {
	n := slices.IndexFunc(b.Topics, func(t *Topic) bool { return t.Id.Value == c.Topic.Value })
	if c.Track == Changed {
		n += 1000
	}
	return n
}

// Beside is the name of the file in which instructors write cases for a
// scenario file: next to my.yaml it is my.cases.yaml.
func Beside(scenario string) string {
	return strings.TrimSuffix(scenario, filepath.Ext(scenario)) + ".cases.yaml"
}

// LoadFile reads an instructor's cases and labs. Scenarios are shipped names or
// paths from the file; topics of the shipped book may be used.
func LoadFile(path string) (*Book, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > source.MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", path, info.Size(), source.MaxBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := &Book{}
	err = b.add(path, data, func(name string, overrides ...string) (*scenarios.Scenario, error) {
		if strings.ContainsAny(name, `/\.`) && !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return scenarios.Load(name, overrides...)
	})
	if err != nil {
		return nil, err
	}
	shipped, err := Shipped()
	if err != nil {
		return nil, err
	}
	return b, b.check(shipped).Err()
}

func (b *Book) add(name string, data []byte, load func(string, ...string) (*scenarios.Scenario, error)) error {
	f, err := source.Parse(name, data)
	if err != nil {
		return err
	}
	var doc struct {
		Topics []Topic `yaml:"topics"`
		Cases  []Case  `yaml:"cases"`
		Labs   []Lab   `yaml:"labs"`
		Terms  []Term  `yaml:"terms"`
	}
	if err := f.Decode(&doc); err != nil {
		return err
	}
	for i := range doc.Topics {
		b.Topics = append(b.Topics, &doc.Topics[i])
	}
	for i := range doc.Cases {
		c := &doc.Cases[i]
		c.load, c.file = load, f
		b.Cases = append(b.Cases, c)
	}
	for i := range doc.Labs {
		l := &doc.Labs[i]
		l.load, l.file = load, f
		b.Labs = append(b.Labs, l)
	}
	for i := range doc.Terms {
		b.Terms = append(b.Terms, &doc.Terms[i])
	}
	return nil
}

// check sees that names lead somewhere and that each case can be asked. more
// holds topics that may be used besides the book's own.
func (b *Book) check(more *Book) source.Problems {
	var ps source.Problems
	facts, err := platform.Facts()
	if err != nil {
		ps.Add(source.Pos{}, "", "the platform facts cannot be read: %v", err)
		return ps
	}
	known := facts.IDs()
	var topics []string
	for _, t := range b.Topics {
		topics = append(topics, t.Id.Value)
	}
	if more != nil {
		for _, t := range more.Topics {
			topics = append(topics, t.Id.Value)
		}
	}
	cited := func(at source.Pos, ids []string) {
		for _, id := range ids {
			if !slices.Contains(known, id) {
				ps.Add(at, nearest(id, known, "sandtable facts list names them all"), "%q is not the id of a platform fact", id)
			}
		}
	}
	seen := map[string]source.Pos{}
	once := func(id source.Text) {
		if first, ok := seen[id.Value]; ok {
			ps.Add(id.At, "rename one", "%q stands here again (first at %s)", id.Value, first)
		}
		seen[id.Value] = id.At
	}
	for _, c := range b.Cases {
		once(c.Id)
		if !slices.Contains(topics, c.Topic.Value) {
			ps.Add(c.Topic.At, nearest(c.Topic.Value, topics, "topics: "+strings.Join(topics, ", ")), "%q is not a topic", c.Topic.Value)
		}
		if c.Track == Exam && !c.Date.Time.Equal(LessonDay.Time) {
			ps.Add(c.Date.At, "put it on the track \"changed\"", "%s: a case of the exam track is asked on %s, found %s", c.Id, LessonDay, c.Date)
		}
		if len(c.Options) != 4 {
			ps.Add(c.Id.At, "write four options", "%s has %d options, expected 4", c.Id, len(c.Options))
		}
		right := 0
		for _, o := range c.Options {
			cited(o.At, o.Facts)
			if o.Right {
				right++
			} else if o.Tempts == "" {
				ps.Add(o.At, "say in tempts why somebody would choose it", "%s: a wrong option does not say why it tempts", c.Id)
			}
			if len(o.Holds) == 0 {
				ps.Add(o.At, "state in holds what would be true of the result if this option were right", "%s: an option cannot be held against the model", c.Id)
			}
			for _, k := range o.Holds {
				k.check(&ps)
			}
		}
		if only := c.restsOn(facts); only != "" {
			ps.Add(c.Id.At, "cite what else decides it, or leave the case out: nobody is graded on a contested fact alone", "%s rests on %q alone, which is contested", c.Id, only)
		}
		if right != 1 {
			ps.Add(c.Id.At, "mark the one you expect to hold with right: true; the model is asked whether it agrees", "%s marks %d options as right, expected 1", c.Id, right)
		}
		for _, a := range c.Again {
			if !a.On.After(c.Date) {
				ps.Add(a.On.At, "name a later day", "%s is asked again on %s, which is not after %s", c.Id, a.On, c.Date)
			}
		}
	}
	for _, l := range b.Labs {
		once(l.Id)
		if !slices.Contains(topics, l.Topic.Value) {
			ps.Add(l.Topic.At, nearest(l.Topic.Value, topics, "topics: "+strings.Join(topics, ", ")), "%q is not a topic", l.Topic.Value)
		}
		l.check(&ps)
	}
	for _, t := range b.Terms {
		cited(t.Term.At, t.Facts)
	}
	for _, f := range b.files() {
		ps = f.Explain(ps)
	}
	return ps
}

// restsOn is the contested fact that is the only one a case cites, else "".
func (c *Case) restsOn(facts *platform.Catalogue) string {
	only := ""
	for _, o := range c.Options {
		for _, id := range o.Facts {
			f, ok := facts.Fact(id)
			if !ok || !f.Contested {
				return ""
			}
			only = id
		}
	}
	return only
}

func (b *Book) files() []*source.File {
	var out []*source.File
	for _, c := range b.Cases {
		if !slices.Contains(out, c.file) {
			out = append(out, c.file)
		}
	}
	for _, l := range b.Labs {
		if !slices.Contains(out, l.file) {
			out = append(out, l.file)
		}
	}
	return out
}

func nearest(word string, all []string, otherwise string) string {
	if g := source.Nearest(word, all); g != "" {
		return fmt.Sprintf("did you mean %q?", g)
	}
	return otherwise
}

func (k *Check) check(ps *source.Problems) {
	if k.Is == "" && len(k.In) == 0 && k.Has == "" && k.Lacks == "" && k.Min == nil && k.Max == nil && k.SameAs.Value == "" {
		ps.Add(k.Path.At, "give is, in, has, lacks, min, max or same_as", "%s: nothing is asserted", k.Path)
	}
}

// Case finds a case by its id.
func (b *Book) Case(id string) *Case {
	for _, c := range b.Cases {
		if c.Id.Value == id {
			return c
		}
	}
	return nil
}

// Topic finds a topic by its id.
func (b *Book) Topic(id string) *Topic {
	for _, t := range b.Topics {
		if t.Id.Value == id {
			return t
		}
	}
	return nil
}

// Lab finds a lab by its id.
func (b *Book) Lab(id string) *Lab {
	for _, l := range b.Labs {
		if l.Id.Value == id {
			return l
		}
	}
	return nil
}

// Term finds an entry of the glossary by its term or another name for it.
func (b *Book) Term(word string) *Term {
	same := func(a string) bool {
		norm := strings.NewReplacer("-", " ", "_", " ")
		return strings.EqualFold(norm.Replace(a), norm.Replace(word))
	}
	for _, t := range b.Terms {
		if same(t.Term.Value) || slices.ContainsFunc(t.Also, same) {
			return t
		}
	}
	return nil
}

// With is the book with an instructor's cases and labs in front.
func (b *Book) With(own *Book) *Book {
	return &Book{
		Topics: append(slices.Clone(own.Topics), b.Topics...), Cases: append(slices.Clone(own.Cases), b.Cases...),
		Labs: append(slices.Clone(own.Labs), b.Labs...), Terms: append(slices.Clone(own.Terms), b.Terms...),
	}
}
