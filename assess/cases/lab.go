package cases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Lab is an exercise: files are laid out, the learner edits some of them, and
// the result of running them is graded.
type Lab struct {
	Id    source.Text `yaml:"id,required"`
	Title string      `yaml:"title,required"`
	Topic source.Text `yaml:"topic,required"`
	Brief string      `yaml:"brief,required"`
	Done  string      `yaml:"done"` // said once everything is met
	Files []LabFile   `yaml:"files,required"`
	// Play names the file that is the scenario to run; without one Scenario is
	// run, with Set laid over it.
	Play     string      `yaml:"play"`
	Scenario source.Text `yaml:"scenario"`
	Set      []string    `yaml:"set"`
	Forecast bool        `yaml:"forecast"` // checks read forecast.GROUP.p95, .entered, .entered_over_p95, .cut_short_in_1000
	Checks   []Check     `yaml:"checks"`
	Answers  []Ask       `yaml:"answers"`
	At       source.Pos  `yaml:"-"`

	file *source.File
	load func(name string, overrides ...string) (*scenarios.Scenario, error)
}

// LabFile is one file of a lab. A file that is not for editing is graded as it
// was laid out, whatever became of it on the disk.
type LabFile struct {
	Name    string     `yaml:"name,required"`
	Edit    bool       `yaml:"edit"`
	Content string     `yaml:"content"`
	World   bool       `yaml:"world"`   // the lab's scenario as it is written, without Set
	Answers bool       `yaml:"answers"` // the answer sheet, made of the lab's answers
	Capture bool       `yaml:"capture"` // the stream of the lab's scenario
	At      source.Pos `yaml:"-"`
}

// Ask is one line of the answer sheet: a value of the result by its path, or one
// of several words, of which those are right whose checks hold.
type Ask struct {
	Key     source.Text `yaml:"key,required"`
	Ask     string      `yaml:"ask,required"`
	On      source.Date `yaml:"on"` // asked as of this day; the scenario's own unless given
	Set     []string    `yaml:"set"`
	Path    source.Text `yaml:"path"`
	Choices []Choice    `yaml:"choices"`
	Hint    string      `yaml:"hint"`
	Because string      `yaml:"because"` // said once it is right
}

// Choice is a word that may be answered.
type Choice struct {
	Word  string  `yaml:"word,required"`
	Holds []Check `yaml:"holds,required"`
}

// LabMark is the file by which a lab's directory is known.
const LabMark = "LAB.txt"

func (l *Lab) check(ps *source.Problems) {
	if l.Play == "" && l.Scenario.Value == "" {
		ps.Add(l.Id.At, "name the file to run in play, or a scenario", "%s: nothing is run", l.Id)
	}
	edit := false
	for _, f := range l.Files {
		edit = edit || f.Edit
		if f.Name != filepath.Base(f.Name) || strings.ContainsAny(f.Name, `/\`) || f.Name == LabMark || f.Name == "." || f.Name == ".." {
			ps.Add(f.At, "a plain file name, for example plan.yaml", "%s: %q cannot be the name of a file of a lab", l.Id, f.Name)
		}
	}
	if !edit {
		ps.Add(l.Id.At, "mark the learner's file with edit: true", "%s: there is nothing to edit", l.Id)
	}
	if len(l.Checks)+len(l.Answers) == 0 {
		ps.Add(l.Id.At, "write checks or answers", "%s: nothing is graded", l.Id)
	}
	for i := range l.Checks {
		l.Checks[i].check(ps)
		if l.Checks[i].Says == "" {
			ps.Add(l.Checks[i].Path.At, "say in words what is graded", "%s: a check says nothing", l.Id)
		}
	}
	for _, a := range l.Answers {
		if (a.Path.Value == "") == (len(a.Choices) == 0) {
			ps.Add(a.Key.At, "give a path of the result, or choices", "%s: %s needs one of path and choices", l.Id, a.Key)
		}
	}
}

// LayOut writes the lab's files into a directory, which is made. Nothing that is
// already there is written over. capture plays a scenario into a writer.
func (l *Lab) LayOut(ctx context.Context, dir string, capture func(context.Context, *scenarios.Scenario, io.Writer) error) error {
	if _, err := os.Stat(filepath.Join(dir, LabMark)); err == nil {
		return fmt.Errorf("%s holds a lab already; remove it to start over, or name another place", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	write := func(name string, fill func(io.Writer) error) error {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already and was left alone", filepath.Join(dir, name))
			}
			return err
		}
		err = fill(f)
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	}
	for _, lf := range l.Files {
		err := write(lf.Name, func(w io.Writer) error {
			switch {
			case lf.Capture:
				s, err := l.scenario(dir)
				if err != nil {
					return err
				}
				return capture(ctx, s, w)
			case lf.World:
				s, err := l.load(l.Scenario.Value)
				if err != nil {
					return err
				}
				_, err = w.Write(s.File.Data)
				return err
			case lf.Answers:
				_, err := io.WriteString(w, l.sheet())
				return err
			}
			_, err := io.WriteString(w, lf.Content)
			return err
		})
		if err != nil {
			return err
		}
	}
	// Last, so that a directory with the mark is complete.
	return write(LabMark, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "lab: %s\n\n%s\n\n%s\n\nEdit:   %s\nCheck:  sandtable learn check\nStuck:  sandtable learn check --hint\n",
			l.Id, l.Title, Wrap(l.Brief, Width, ""), strings.Join(l.Edited(), ", "))
		return err
	})
}

// Edited names the files that the learner edits.
func (l *Lab) Edited() []string {
	var out []string
	for _, f := range l.Files {
		if f.Edit {
			out = append(out, f.Name)
		}
	}
	return out
}

// sheet is the answer sheet as it is handed out: every key with nothing behind it.
func (l *Lab) sheet() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# Write each answer behind its key, then: sandtable learn check\n", l.Title)
	for _, a := range l.Answers {
		b.WriteString("\n")
		for _, line := range strings.Split(Wrap(a.Ask, Width-2, ""), "\n") {
			b.WriteString("# " + line + "\n")
		}
		if len(a.Choices) > 0 {
			var words []string
			for _, c := range a.Choices {
				words = append(words, c.Word)
			}
			b.WriteString("# one of: " + strings.Join(words, ", ") + "\n")
		}
		b.WriteString(a.Key.Value + ":\n")
	}
	return b.String()
}

// FindLab is the lab whose directory a path names: the directory itself or a
// file in it.
func (b *Book) FindLab(path string) (*Lab, string, error) {
	dir := path
	if st, err := os.Stat(path); err != nil {
		return nil, "", err
	} else if !st.IsDir() {
		dir = filepath.Dir(path)
	}
	f, err := os.Open(filepath.Join(dir, LabMark))
	if err != nil {
		return nil, "", fmt.Errorf("%s holds no lab (no %s in it); start one with: sandtable learn lab", dir, LabMark)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 200))
	if err != nil {
		return nil, "", err
	}
	first, _, _ := strings.Cut(string(head), "\n")
	id := strings.TrimSpace(strings.TrimPrefix(first, "lab:"))
	l := b.Lab(id)
	if l == nil {
		return nil, "", fmt.Errorf("%s names the lab %q, which this version does not have", filepath.Join(dir, LabMark), id)
	}
	return l, dir, nil
}

// scenario is what the lab runs: the learner's file or the lab's own.
func (l *Lab) scenario(dir string, more ...string) (*scenarios.Scenario, error) {
	set := append(slices.Clone(l.Set), more...)
	if l.Play == "" {
		return l.load(l.Scenario.Value, set...)
	}
	for _, f := range l.Files {
		if f.Name != l.Play {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if f.Edit {
			return scenarios.LoadFile(path, set...)
		}
		return scenarios.Parse(path, []byte(f.Content), false, nil, set...)
	}
	return nil, fmt.Errorf("lab %s plays %s, which is none of its files", l.Id, l.Play)
}

// Mark is a graded line of a lab.
type Mark struct {
	Says string `json:"says"`
	Met  bool   `json:"met"`
	Got  string `json:"got,omitempty"`  // what the run, or the learner, gave
	Want string `json:"want,omitempty"` // of a check; never the answer of a question
	Why  string `json:"why,omitempty"`  // once met
	Hint string `json:"-"`
}

// Grade grades the lab in a directory. The error tells of files that do not
// load; it is the learner's next task.
func (l *Lab) Grade(ctx context.Context, b *Bench, dir string) ([]Mark, error) {
	var out []Mark
	s, err := l.scenario(dir)
	if err != nil {
		return nil, err
	}
	w, err := b.Play(ctx, s)
	if err != nil {
		return nil, err
	}
	if l.Forecast && b.Foresee != nil {
		rows, err := b.Foresee(ctx, s)
		if err != nil {
			return nil, err
		}
		w.Evidence.Doc["forecast"] = document(rows)
	}
	for _, k := range l.Checks {
		f := w.Hold(k)
		m := Mark{Says: k.Says, Met: f.Met, Got: f.Got, Want: f.Want, Hint: k.Hint}
		out = append(out, m)
	}
	if len(l.Answers) == 0 {
		return out, nil
	}
	given, err := l.answers(dir)
	if err != nil {
		return nil, err
	}
	for _, a := range l.Answers {
		aw := w
		if a.On.Given() || len(a.Set) > 0 {
			if aw, err = l.world(ctx, b, dir, a); err != nil {
				return nil, err
			}
		}
		m := Mark{Says: a.Ask, Got: given[a.Key.Value], Hint: a.Hint}
		if m.Met, err = aw.answered(a, m.Got); err != nil {
			return nil, err
		}
		if m.Met {
			m.Why = a.Because
		}
		out = append(out, m)
	}
	return out, nil
}

func (w *World) answered(a Ask, given string) (bool, error) {
	if strings.TrimSpace(given) == "" {
		return false, nil
	}
	if a.Path.Value != "" {
		v, ok := w.Lookup(a.Path.Value)
		if !ok {
			return false, fmt.Errorf("%s: %s leads nowhere in this run", a.Key.At, a.Path)
		}
		return same(given, assess.Plain(v)), nil
	}
	for _, c := range a.Choices {
		if !strings.EqualFold(c.Word, strings.TrimSpace(given)) {
			continue
		}
		return w.all(c.Holds), nil
	}
	return false, nil
}

// same compares an answer with a value: words without regard to case and to
// what joins them, numbers to half a cent, lists in any spacing.
func same(given, want string) bool {
	num := func(s string) (float64, bool) {
		x, err := strconv.ParseFloat(strings.NewReplacer("$", "", ",", "", "_", "", " ", "").Replace(s), 64)
		return x, err == nil
	}
	if g, ok := num(given); ok {
		if w, ok := num(want); ok {
			return math.Abs(g-w) < 0.005
		}
	}
	norm := func(s string) string {
		return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(s)))
	}
	return norm(given) == norm(want)
}

// answers reads the answer sheet. A key that is not on it is a mistake; one that
// is missing is an answer not given.
func (l *Lab) answers(dir string) (map[string]string, error) {
	name := ""
	for _, f := range l.Files {
		if f.Answers {
			name = filepath.Join(dir, f.Name)
		}
	}
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() > source.MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", name, st.Size(), source.MaxBytes)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f, err := source.Parse(name, data)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var known []string
	for _, a := range l.Answers {
		known = append(known, a.Key.Value)
	}
	var sheet map[string]source.Text
	if err := f.Decode(&sheet); err != nil {
		return nil, err
	}
	var ps source.Problems // sorted by Explain
	for k, v := range sheet {
		i := slices.Index(known, k)
		if i < 0 {
			ps.Add(v.At, nearest(k, known, "keys: "+strings.Join(known, ", ")), "%q is not asked for", k)
			continue
		}
		out[k] = v.Value
		if len(l.Answers[i].Choices) == 0 || v.Value == "" {
			continue
		}
		var words []string
		for _, c := range l.Answers[i].Choices {
			words = append(words, c.Word)
		}
		if !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, strings.TrimSpace(v.Value)) }) {
			ps.Add(v.At, nearest(v.Value, words, "one of: "+strings.Join(words, ", ")), "%s: %q is not one of the words to choose from", k, v.Value)
		}
	}
	return out, f.Explain(ps).Err()
}

// CheckLab lays a lab out and grades it untouched: it must not be done already,
// and where the learner edits no scenario every path must lead somewhere.
func (b *Bench) CheckLab(ctx context.Context, l *Lab, capture func(context.Context, *scenarios.Scenario, io.Writer) error) (source.Problems, error) {
	dir, err := os.MkdirTemp("", "sandtable-lab-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var ps source.Problems
	if err := l.LayOut(ctx, dir, capture); err != nil {
		ps.Add(l.Id.At, "a lab's scenario has to run as it is laid out", "%s: %v", l.Id, err)
		return l.file.Explain(ps), ctx.Err()
	}
	marks, err := l.Grade(ctx, b, dir)
	if err != nil {
		// A file that does not load may be the exercise, if the learner can edit it.
		if !slices.Contains(l.Edited(), l.Play) {
			ps.Add(l.Id.At, "a lab's scenario has to run as it is laid out", "%s: %v", l.Id, err)
		}
		return l.file.Explain(ps), ctx.Err()
	}
	if !slices.ContainsFunc(marks, func(m Mark) bool { return !m.Met }) {
		ps.Add(l.Id.At, "leave the learner something to do", "%s: everything is met as it is laid out", l.Id)
	}
	if slices.Contains(l.Edited(), l.Play) {
		return l.file.Explain(ps), nil
	}
	for _, a := range l.Answers {
		w, err := l.world(ctx, b, dir, a)
		if err != nil {
			ps.Add(a.Key.At, "a lab's scenario has to run on each of its days", "%s: %s: %v", l.Id, a.Key, err)
			continue
		}
		if _, ok := w.Lookup(a.Path.Value); a.Path.Value != "" && !ok {
			ps.Add(a.Path.At, "look at assessment.json of a run for the right path", "%s: %s leads nowhere", l.Id, a.Path)
		}
		right := 0
		for _, c := range a.Choices {
			if w.all(c.Holds) {
				right++
			}
		}
		if len(a.Choices) > 0 && right != 1 {
			ps.Add(a.Key.At, "exactly one of the words has to hold", "%s: %s: %d of %d choices hold in the model", l.Id, a.Key, right, len(a.Choices))
		}
	}
	return l.file.Explain(ps), nil
}

func (w *World) all(checks []Check) bool {
	for _, k := range checks {
		if !w.Hold(k).Met {
			return false
		}
	}
	return true
}

// world is the run that an answer is held against, on its day.
func (l *Lab) world(ctx context.Context, b *Bench, dir string, a Ask) (*World, error) {
	set := slices.Clone(a.Set)
	if a.On.Given() {
		set = append(set, "as_of="+a.On.String())
	}
	if l.Play == "" {
		return b.world(ctx, l.load, l.file.Name, l.Scenario.Value, append(slices.Clone(l.Set), set...))
	}
	s, err := l.scenario(dir, set...)
	if err != nil {
		return nil, err
	}
	return b.Play(ctx, s)
}
