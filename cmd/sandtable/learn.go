package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/cases"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func learnCommand() *cli.Command {
	progressFlag := &cli.StringFlag{Name: "progress", Usage: "keep progress in `FILE` (default: learn.json below the user's state directory)"}
	from := &cli.StringFlag{Name: "from", Usage: "an instructor's cases and labs: a `FILE` such as my-scenario.cases.yaml"}
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON, for other front ends"}
	common := []cli.Flag{progressFlag, from, asJSON}
	with := func(more ...cli.Flag) []cli.Flag { return append(slices.Clone(common), more...) }
	answer := &cli.StringFlag{Name: "answer", Aliases: []string{"a"}, Usage: "answer with `LETTER` and print the explanation, asking nothing"}
	return &cli.Command{
		Name: "learn", Usage: "cases answered against the running model, a mock exam, and labs", ArgsUsage: "[CASE]",
		Description: "Without CASE the first case that you have not got right is asked, the practice question before all.\n" +
			"Every answer is graded against what the assessor computes for the case's scenario on its day.\n\n" +
			"   sandtable learn                    start, or go on\n   sandtable learn list               cases by topic, with your progress\n" +
			"   sandtable learn topic audit-gap    one screen on a topic\n   sandtable learn why zdr            a term, or the history of a fact\n" +
			"   sandtable learn exam               a mock exam from the lesson's track\n   sandtable learn lab                exercises whose files you edit\n\n" +
			"Not an official exam, and endorsed by nobody. Simulated companies are fictional.",
		Flags: with(answer), Action: learnCase,
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "cases and labs by topic, with progress", ArgsUsage: "[TOPIC]", Flags: common, Action: learnList},
			{Name: "topic", Usage: "one screen of teaching text", ArgsUsage: "[TOPIC]", Flags: common, Action: learnTopic},
			{Name: "why", Usage: "what a term means, or how a dated fact moved", ArgsUsage: "TERM", Action: learnWhy, Flags: with(
				&cli.StringFlag{Name: "as-of", Value: cases.LessonDay.String(), Usage: "the facts of `DATE`"},
				&cli.StringFlag{Name: "plan", Value: "enterprise", Usage: "the facts of a `PLAN`: free, pro, max, team or enterprise"})},
			{Name: "exam", Usage: "a mock exam; it can be left and taken up again", Action: learnExam, Flags: with(
				&cli.IntFlag{Name: "questions", Value: cases.ExamQuestions, Usage: "ask `N` questions"},
				&cli.BoolFlag{Name: "new", Usage: "drop the exam under way and begin another"})},
			{Name: "lab", Usage: "lay out an exercise to edit", ArgsUsage: "[LAB]", Action: learnLab, Flags: with(
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "put it in `DIR` (default: the lab's name)"})},
			{Name: "check", Usage: "grade the lab you are at", ArgsUsage: "[FILE]", Action: learnCheck, Flags: with(
				&cli.BoolFlag{Name: "hint", Usage: "show a hint for the first thing that is not met"})},
			{Name: "show", Usage: "print a case or lab as written, to write your own from", ArgsUsage: "CASE|LAB", Flags: common, Action: learnShow,
				Description: "This shows how an answer is graded, so it gives a case away. Put your own beside your scenario, as\n" +
					"my.cases.yaml beside my.yaml, check it with sandtable scenarios check my.yaml, and hand it out with --from."},
			{Name: "reset", Usage: "forget all progress", Flags: common, Action: func(c *cli.Context) error {
				l, err := newLearner(c)
				if err != nil {
					return err
				}
				if err := l.progress.Reset(); err != nil {
					return err
				}
				fmt.Fprintln(l.out, "Progress is forgotten; the next `sandtable learn` starts at the beginning.")
				return nil
			}},
		},
	}
}

// practiceQuestion is the case that learning opens on.
const practiceQuestion = "practice-question"

// learner is one session at the terminal or over a pipe.
type learner struct {
	c        *cli.Context
	book     *cases.Book
	bench    *cases.Bench
	progress *cases.Progress
	lines    <-chan string
	out      io.Writer
	style    cases.Style
	json     bool
	unsaved  bool // it was said that progress cannot be kept
}

func newLearner(c *cli.Context) (*learner, error) {
	book, err := cases.Shipped()
	if err != nil {
		return nil, err
	}
	if file := c.String("from"); file != "" {
		own, err := cases.LoadFile(file)
		if err != nil {
			return nil, asUsage(err)
		}
		book = book.With(own)
	}
	path := c.String("progress")
	if path == "" {
		if path, err = cases.StatePath(os.Getenv); err != nil {
			return nil, err
		}
	}
	p, notice, err := cases.LoadProgress(path)
	unsaved := err != nil
	if unsaved { // what cannot be read must not be written over either
		p, notice = cases.Unkept(), fmt.Sprintf("sandtable: progress is not kept: %v; --progress FILE names another place", err)
	}
	if notice != "" {
		fmt.Fprintln(c.App.ErrWriter, notice)
	}
	l := &learner{unsaved: unsaved, c: c, book: book, bench: cases.NewBench(studied), progress: p, out: c.App.Writer, json: c.Bool("json")}
	l.bench.Foresee = foreseen
	if f, ok := asFile(l.out); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		if st, err := f.Stat(); err == nil {
			l.style.On = st.Mode()&os.ModeCharDevice != 0
		}
	}
	return l, nil
}

// line reads a line; ok is false at the end of the input and when the learner
// presses Ctrl-C, which would otherwise wait for the reading to end.
func (l *learner) line() (text string, ok bool) {
	if l.lines == nil {
		lines := make(chan string)
		in := bufio.NewScanner(l.c.App.Reader)
		go func() {
			defer close(lines)
			for in.Scan() {
				lines <- in.Text()
			}
		}()
		l.lines = lines
	}
	select {
	case text, ok = <-l.lines:
		return strings.TrimSpace(text), ok
	case <-l.c.Context.Done():
		return "", false
	}
}

// ask prompts for a line.
func (l *learner) ask(prompt string) (string, bool) {
	fmt.Fprint(l.out, prompt)
	text, ok := l.line()
	if !ok {
		fmt.Fprintln(l.out)
	}
	return text, ok
}

// save keeps progress. Where it cannot be kept, learning goes on; it is said once.
func (l *learner) save() {
	if err := l.progress.Save(); err != nil && !l.unsaved {
		l.unsaved = true
		fmt.Fprintf(l.c.App.ErrWriter, "sandtable: progress is not kept: %v; --progress FILE names another place\n", err)
	}
}

// say prints one JSON value in a line.
func (l *learner) say(v any) error {
	e := json.NewEncoder(l.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// skip names a case that cannot be asked; any other error ends the command.
func (l *learner) skip(err error) error {
	var b *cases.Broken
	if errors.As(err, &b) {
		fmt.Fprintf(l.c.App.ErrWriter, "sandtable: %v\n", b)
		return nil
	}
	return err
}

func learnCase(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	if c.NArg() > 1 {
		return usage("one CASE is expected, found: %s", strings.Join(c.Args().Slice(), " "))
	}
	if id := c.Args().First(); id != "" {
		k, err := l.find(id)
		if err != nil {
			return err
		}
		_, _, err = l.one(k, c.String("answer"))
		return err
	}
	if c.String("answer") != "" || l.json {
		k := l.next(nil)
		if k == nil {
			k = l.book.Case(practiceQuestion)
		}
		_, _, err = l.one(k, c.String("answer"))
		return err
	}
	var passed []string // in this session, right or wrong
	for {
		k := l.next(passed)
		if k == nil {
			if len(passed) == 0 {
				fmt.Fprintln(l.out, "You have got every case right. Try a mock exam (sandtable learn exam) or a lab (sandtable learn lab).")
			} else {
				fmt.Fprintln(l.out, "\nThat was the last one for today. sandtable learn list shows where you stand.")
			}
			return nil
		}
		passed = append(passed, k.Id.Value)
		on, asked, err := l.one(k, "")
		if err != nil {
			return err
		}
		if !on {
			return nil
		}
		if !asked {
			continue
		}
		for {
			line, ok := l.ask("\n[Enter] next case   t topic text   l list   q stop: ")
			if !ok || strings.EqualFold(line, "q") {
				return nil
			}
			if strings.EqualFold(line, "t") {
				l.topicText(k)
				continue
			}
			if strings.EqualFold(line, "l") {
				l.list("")
				continue
			}
			fmt.Fprintln(l.out)
			break
		}
	}
}

func (l *learner) find(id string) (*cases.Case, error) {
	if k := l.book.Case(id); k != nil {
		return k, nil
	}
	if l.book.Lab(id) != nil {
		return nil, usage("%q is a lab; start it with: sandtable learn lab %s", id, id)
	}
	var ids []string
	for _, k := range l.book.Cases {
		ids = append(ids, k.Id.Value)
	}
	if g := source.Nearest(id, ids); g != "" {
		return nil, usage("%q is not a case; did you mean %q?", id, g)
	}
	return nil, usage("%q is not a case; sandtable learn list names them all", id)
}

// next is the first case that is not right yet and was not passed in this
// session, the practice question first.
func (l *learner) next(passed []string) *cases.Case {
	open := func(k *cases.Case) bool {
		return k != nil && l.progress.State(k.Id.Value) != "right" && !slices.Contains(passed, k.Id.Value)
	}
	if k := l.book.Case(practiceQuestion); open(k) {
		return k
	}
	for _, k := range l.book.Cases {
		if open(k) {
			return k
		}
	}
	return nil
}

// one asks a case and explains it. on is false when the learner stops; asked is
// false when the case had to be left out.
func (l *learner) one(k *cases.Case, answer string) (on, asked bool, err error) {
	if !l.json && answer == "" {
		fmt.Fprint(l.out, k.Opening(l.book, l.style)) // something to read while the scenario runs
	}
	g, err := l.bench.Grade(l.c.Context, k)
	if err != nil {
		return true, false, l.skip(err)
	}
	if l.json {
		return true, true, l.oneJSON(g, answer)
	}
	if answer == "" {
		text, err := g.Asking(l.style)
		if err != nil {
			return true, false, err
		}
		fmt.Fprint(l.out, text)
		answer, on = l.letter(g, k, true)
		if !on {
			return false, true, nil
		}
	}
	o := g.Option(answer)
	if o == nil {
		return true, true, usage("--answer %q is none of the options %s", answer, letters(g))
	}
	l.progress.Note(k.Id.Value, o.Right)
	l.save()
	later, err := l.bench.Again(l.c.Context, g)
	if err != nil {
		return true, true, l.skip(err)
	}
	fmt.Fprintln(l.out)
	fmt.Fprint(l.out, g.Answered(o.Letter, later, l.style))
	return true, true, nil
}

func letters(g *cases.Grading) string {
	var s []string
	for _, o := range g.Options {
		s = append(s, o.Letter)
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}

// letter asks until one of the options is named. help also offers the topic's text.
func (l *learner) letter(g *cases.Grading, k *cases.Case, help bool) (string, bool) {
	prompt := fmt.Sprintf("\nYour answer (A to %s", g.Options[len(g.Options)-1].Letter)
	if help {
		prompt += ", ? for the topic's text"
	}
	prompt += ", q to stop): "
	for {
		line, ok := l.ask(prompt)
		switch {
		case !ok || strings.EqualFold(line, "q"):
			return "", false
		case line == "?" && help:
			l.topicText(k)
		case g.Option(line) != nil:
			return g.Option(line).Letter, true
		default:
			fmt.Fprintf(l.out, "%q is none of the options %s.\n", line, letters(g))
		}
	}
}

func (l *learner) topicText(k *cases.Case) {
	if t := l.book.Topic(k.Topic.Value); t != nil {
		fmt.Fprint(l.out, "\n"+t.Text(l.style))
	}
}

// questionJSON is a case as a front end gets it, before an answer.
type questionJSON struct {
	Case      string          `json:"case"`
	Title     string          `json:"title"`
	Topic     string          `json:"topic"`
	Track     string          `json:"track"`
	AsOf      string          `json:"as_of"`
	Situation string          `json:"situation"`
	Exhibits  []exhibitJSON   `json:"exhibits"`
	Question  string          `json:"question"`
	Options   []optionJSON    `json:"options"`
	Number    int             `json:"number,omitempty"` // in a mock exam
	Of        int             `json:"of,omitempty"`
	Answered  *answeredJSON   `json:"answered,omitempty"`
	Progress  *cases.Attempts `json:"progress,omitempty"`
}

type exhibitJSON struct {
	Show  string   `json:"show"`
	Title string   `json:"title"`
	Lines []string `json:"lines"`
}

type optionJSON struct {
	Letter string `json:"letter"`
	Text   string `json:"text"`
}

type answeredJSON struct {
	Given   string        `json:"given"`
	Right   string        `json:"right"`
	Correct bool          `json:"correct"`
	Options []explained   `json:"options"`
	Next    string        `json:"next,omitempty"`
	Later   []cases.Later `json:"again"`
}

type explained struct {
	cases.OptionResult
	Because string   `json:"because"`
	Tempts  string   `json:"tempts,omitempty"`
	Facts   []string `json:"facts"`
}

func (l *learner) question(g *cases.Grading) (questionJSON, error) {
	k := g.Case
	q := questionJSON{Case: k.Id.Value, Title: k.Title, Topic: k.Topic.Value, Track: k.Track, AsOf: k.Date.String(), Situation: k.Situation,
		Question: k.Question, Exhibits: []exhibitJSON{}, Options: []optionJSON{}}
	for _, x := range k.Exhibits {
		lines, err := g.World.Exhibit(x)
		if err != nil {
			return q, err
		}
		q.Exhibits = append(q.Exhibits, exhibitJSON{x.Show, x.Title(), lines})
	}
	for _, o := range g.Options {
		q.Options = append(q.Options, optionJSON{o.Letter, o.Option.Text})
	}
	return q, nil
}

func (l *learner) oneJSON(g *cases.Grading, answer string) error {
	q, err := l.question(g)
	if err != nil {
		return err
	}
	if answer != "" {
		o := g.Option(answer)
		if o == nil {
			return usage("--answer %q is none of the options %s", answer, letters(g))
		}
		later, err := l.bench.Again(l.c.Context, g)
		if err != nil {
			return err
		}
		l.progress.Note(g.Case.Id.Value, o.Right)
		l.save()
		q.Answered = &answeredJSON{Given: o.Letter, Right: g.Right(), Correct: o.Right, Next: g.Case.Next, Later: later}
		for _, r := range g.Options {
			q.Answered.Options = append(q.Answered.Options, explained{r, r.Option.Because, r.Option.Tempts, append([]string{}, r.Option.Facts...)})
		}
		if l.c.Bool("json") {
			a := l.progress.Cases[g.Case.Id.Value]
			q.Progress = &a
		}
	}
	return l.say(q)
}

func learnList(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	topic := c.Args().First()
	if topic != "" && l.book.Topic(topic) == nil {
		return l.noTopic(topic)
	}
	if l.json {
		type row struct {
			ID    string `json:"id"`
			Kind  string `json:"kind"`
			Title string `json:"title"`
			Topic string `json:"topic"`
			Track string `json:"track,omitempty"`
			AsOf  string `json:"as_of,omitempty"`
			State string `json:"state"`
		}
		for _, k := range l.book.Cases {
			if topic == "" || k.Topic.Value == topic {
				if err := l.say(row{k.Id.Value, "case", k.Title, k.Topic.Value, k.Track, k.Date.String(), l.progress.State(k.Id.Value)}); err != nil {
					return err
				}
			}
		}
		for _, k := range l.book.Labs {
			if topic == "" || k.Topic.Value == topic {
				if err := l.say(row{ID: k.Id.Value, Kind: "lab", Title: k.Title, Topic: k.Topic.Value, State: l.progress.Labs[k.Id.Value]}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	l.list(topic)
	return nil
}

func (l *learner) list(topic string) {
	right, of := 0, 0
	mark := map[string]string{"right": "[x]", "wrong": "[!]", "": "[ ]", "done": "[x]", "started": "[~]"}
	row := func(state, id, title, note string) {
		if note != "" {
			note = "  (" + note + ")"
		}
		fmt.Fprintf(l.out, "  %s %-27s %s%s\n", mark[state], id, title, note)
	}
	for _, t := range l.book.Topics {
		if topic != "" && t.Id.Value != topic {
			continue
		}
		n, m := 0, 0
		for _, k := range l.book.Cases {
			if k.Topic.Value == t.Id.Value {
				m++
				if l.progress.State(k.Id.Value) == "right" {
					n++
				}
			}
		}
		right, of = right+n, of+m
		fmt.Fprintf(l.out, "%s\n", l.style.Bold(fmt.Sprintf("%s  (%s)  %d of %d", t.Title, t.Id, n, m)))
		for _, track := range []string{cases.Exam, cases.Changed} {
			for _, k := range l.book.Cases {
				if k.Topic.Value != t.Id.Value || k.Track != track {
					continue
				}
				note := ""
				if track == cases.Changed {
					note = "what changed since, " + k.Date.String()
				}
				row(l.progress.State(k.Id.Value), k.Id.Value, k.Title, note)
			}
		}
		for _, k := range l.book.Labs {
			if k.Topic.Value == t.Id.Value {
				row(l.progress.Labs[k.Id.Value], k.Id.Value, k.Title, "lab")
			}
		}
		fmt.Fprintln(l.out)
	}
	fmt.Fprintf(l.out, "%d of %d cases right", right, of)
	if n := l.progress.Exams; n > 0 {
		fmt.Fprintf(l.out, ", %d mock %s taken", n, plural(n, "exam", "exams"))
	}
	fmt.Fprintln(l.out, ".  [x] right  [!] last answer wrong  [ ] not yet  [~] lab begun")
}

func (l *learner) noTopic(id string) error {
	var ids []string
	for _, t := range l.book.Topics {
		ids = append(ids, t.Id.Value)
	}
	if g := source.Nearest(id, ids); g != "" {
		return usage("%q is not a topic; did you mean %q?", id, g)
	}
	return usage("%q is not a topic; there are: %s", id, strings.Join(ids, ", "))
}

func learnTopic(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	id := c.Args().First()
	if id == "" {
		for _, t := range l.book.Topics {
			if l.json {
				if err := l.say(map[string]any{"id": t.Id.Value, "title": t.Title, "text": t.Teach}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(l.out, "%-16s %s\n", t.Id, t.Title)
		}
		return nil
	}
	t := l.book.Topic(id)
	if t == nil {
		return l.noTopic(id)
	}
	if l.json {
		return l.say(map[string]any{"id": t.Id.Value, "title": t.Title, "text": t.Teach})
	}
	fmt.Fprint(l.out, t.Text(l.style))
	var ids []string
	for _, k := range l.book.Cases {
		if k.Topic.Value == id {
			ids = append(ids, k.Id.Value)
		}
	}
	fmt.Fprintf(l.out, "\n%s\n", cases.Wrap("Cases: "+strings.Join(ids, ", "), cases.Width, "  "))
	return nil
}

func learnWhy(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	word := strings.Join(c.Args().Slice(), " ")
	day, err := source.ParseDate(c.String("as-of"))
	if err != nil {
		return usage("--as-of: %v", err)
	}
	plan := c.String("plan")
	if !slices.Contains(platform.Plans, plan) {
		return usage("--plan %q is none of %s", plan, strings.Join(platform.Plans, ", "))
	}
	if word == "" {
		var terms []string
		for _, t := range l.book.Terms {
			terms = append(terms, t.Term.Value)
		}
		fmt.Fprintln(l.out, cases.Wrap("Terms: "+strings.Join(terms, ", ")+".", cases.Width, "  "))
		fmt.Fprintln(l.out, "The id of any platform fact works too.")
		return nil
	}
	if t := l.book.Term(word); t != nil {
		if l.json {
			return l.say(map[string]any{"term": t.Term.Value, "means": t.Means, "facts": append([]string{}, t.Facts...), "see": append([]string{}, t.See...)})
		}
		text, err := t.Text(day, plan, l.style)
		if err == nil {
			fmt.Fprint(l.out, text)
		}
		return err
	}
	facts, err := platform.Facts()
	if err != nil {
		return err
	}
	if text, ok := cases.FactHistory(facts, word, plan, l.style); ok {
		fmt.Fprint(l.out, text)
		return nil
	}
	known := facts.IDs()
	for _, t := range l.book.Terms {
		known = append(append(known, t.Term.Value), t.Also...)
	}
	if g := source.Nearest(word, known); g != "" {
		return usage("%q is not in the glossary; did you mean %q?", word, g)
	}
	return usage("%q is not in the glossary; sandtable learn why lists the terms", word)
}

func learnExam(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	if c.NArg() > 0 {
		return usage("learn exam takes no argument, found: %s", strings.Join(c.Args().Slice(), " "))
	}
	n := c.Int("questions")
	if n < 1 {
		return usage("--questions is %d, expected 1 or more", n)
	}
	s := l.progress.Exam
	stale := s != nil && slices.ContainsFunc(s.Questions, func(q string) bool { return l.book.Case(q) == nil })
	switch {
	case s == nil || c.Bool("new") || stale:
		s = l.book.Draw(n, l.progress.Exams)
		l.progress.Exam = s
		if !l.json {
			fmt.Fprintf(l.out, "A mock exam: %d questions from the lesson's track, all asked as of %s.\nNo answer is commented on before the end. Stop with q and take it up again later.\n", len(s.Questions), cases.LessonDay)
		}
	case !l.json:
		fmt.Fprintf(l.out, "Taken up again: %d of %d questions are answered. Begin another with --new.\n", s.Answered(), s.Asked())
	}
	if s.Given == nil {
		s.Given = map[string]string{}
	}
	for q := s.Next(); q != ""; q = s.Next() {
		on, err := l.examQuestion(s, q)
		if err != nil {
			return err
		}
		l.save()
		if !on {
			if !l.json {
				fmt.Fprintf(l.out, "Left at %d of %d; sandtable learn exam takes it up again.\n", s.Answered(), s.Asked())
			}
			return nil
		}
	}
	return l.examReport(s)
}

func (l *learner) examQuestion(s *cases.Sitting, id string) (on bool, err error) {
	k := l.book.Case(id)
	g, err := l.bench.Grade(l.c.Context, k)
	if err != nil {
		if err = l.skip(err); err == nil {
			s.Left = append(s.Left, id)
		}
		return true, err
	}
	number := s.Answered() + 1
	if l.json {
		q, err := l.question(g)
		if err != nil {
			return false, err
		}
		q.Number, q.Of = number, s.Asked()
		if err := l.say(q); err != nil {
			return false, err
		}
		for text, ok := l.line(); ok; text, ok = l.line() {
			if o := g.Option(text); o != nil {
				s.Given[id] = o.Letter
				return true, nil
			}
			if err := l.say(map[string]string{"case": id, "again": fmt.Sprintf("%q is none of the options %s", text, letters(g))}); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	fmt.Fprintf(l.out, "\n%s\n\n", l.style.Bold(fmt.Sprintf("---- Question %d of %d ----", number, s.Asked())))
	fmt.Fprint(l.out, k.Opening(l.book, l.style))
	text, err := g.Asking(l.style)
	if err != nil {
		return false, err
	}
	fmt.Fprint(l.out, text)
	letter, on := l.letter(g, k, false)
	if on {
		s.Given[id] = letter
	}
	return on, nil
}

func (l *learner) examReport(s *cases.Sitting) error {
	right := map[string]string{}
	graded := map[string]*cases.Grading{}
	for _, q := range s.Questions {
		if s.Given[q] == "" {
			continue
		}
		g, err := l.bench.Grade(l.c.Context, l.book.Case(q))
		if err != nil {
			return err
		}
		graded[q], right[q] = g, g.Right()
		l.progress.Note(q, s.Given[q] == g.Right())
	}
	r := l.book.Report(s, right)
	l.progress.Exam = nil
	l.progress.Exams++
	l.save()
	if l.json {
		return l.say(map[string]any{"report": r})
	}
	fmt.Fprintf(l.out, "\n%s\n\n", l.style.Bold("---- The report ----"))
	for _, t := range r.Topics {
		fmt.Fprintf(l.out, "  %-44s %d of %d\n", t.Title, t.Right, t.Of)
	}
	fmt.Fprintf(l.out, "  %-44s %d of %d\n", "All topics", r.Right, r.Of)
	for _, id := range r.Left {
		fmt.Fprintf(l.out, "  left out: %s, whose scenario did not run\n", id)
	}
	fmt.Fprintln(l.out, "\nCounts, not a mark: this is no official exam and knows no pass.")
	if len(r.Missed) == 0 {
		fmt.Fprintln(l.out, "Nothing was missed.")
		return nil
	}
	fmt.Fprintf(l.out, "\nWhat was missed:\n")
	for _, m := range r.Missed {
		g := graded[m.Case]
		fmt.Fprintf(l.out, "\n%s\n%s\n", l.style.Bold(g.Case.Title), cases.Wrap(g.Case.Question, cases.Width, ""))
		fmt.Fprint(l.out, g.Review(m.Given, l.style))
		fmt.Fprintf(l.out, "  Read on: sandtable learn topic %s, then sandtable learn %s\n", g.Case.Topic, m.Case)
	}
	return nil
}

func learnLab(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	id := c.Args().First()
	if id == "" {
		for _, k := range l.book.Labs {
			if l.json {
				if err := l.say(map[string]any{"id": k.Id.Value, "title": k.Title, "topic": k.Topic.Value, "brief": k.Brief, "state": l.progress.Labs[k.Id.Value]}); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(l.out, "%-18s %s\n", k.Id, k.Title)
		}
		if !l.json {
			fmt.Fprintln(l.out, "\nBegin one: sandtable learn lab NAME. Edit its file, then: sandtable learn check")
		}
		return nil
	}
	lab := l.book.Lab(id)
	if lab == nil {
		var ids []string
		for _, k := range l.book.Labs {
			ids = append(ids, k.Id.Value)
		}
		return usage("%q is not a lab; there are: %s", id, strings.Join(ids, ", "))
	}
	dir := c.String("output")
	if dir == "" {
		dir = id
	}
	if err := lab.LayOut(c.Context, dir, captured); err != nil {
		return err
	}
	if l.progress.LabDir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if l.progress.Labs[id] != "done" {
		l.progress.Labs[id] = "started"
	}
	l.save()
	if l.json {
		return l.say(map[string]any{"lab": id, "directory": dir, "edit": lab.Edited(), "brief": lab.Brief})
	}
	fmt.Fprintf(l.out, "%s\n\n%s\n\n", l.style.Bold(lab.Title), cases.Wrap(lab.Brief, cases.Width, ""))
	for _, name := range lab.Edited() {
		fmt.Fprintf(l.out, "Edit:   %s\n", filepath.Join(dir, name))
	}
	fmt.Fprintf(l.out, "Check:  sandtable learn check %s\nStuck:  sandtable learn check --hint\n", dir)
	return nil
}

// labDir is where the lab to check lies: what was named, else here, else where
// the last one was laid out.
func (l *learner) labDir() (string, error) {
	if l.c.NArg() > 1 {
		return "", usage("one FILE or directory is expected, found: %s", strings.Join(l.c.Args().Slice(), " "))
	}
	if path := l.c.Args().First(); path != "" {
		return path, nil
	}
	if _, err := os.Stat(cases.LabMark); err == nil {
		return ".", nil
	}
	if l.progress.LabDir == "" {
		return "", usage("no lab is under way; begin one with: sandtable learn lab")
	}
	return l.progress.LabDir, nil
}

func learnCheck(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	path, err := l.labDir()
	if err != nil {
		return err
	}
	lab, dir, err := l.book.FindLab(path)
	if err != nil {
		return failure{exitUsage, err}
	}
	marks, err := lab.Grade(c.Context, l.bench, dir)
	if err != nil {
		return asUsage(err)
	}
	met := 0
	for _, m := range marks {
		if m.Met {
			met++
		}
	}
	if met == len(marks) {
		l.progress.Labs[lab.Id.Value] = "done"
		l.save()
	}
	if l.json {
		if err := l.say(map[string]any{"lab": lab.Id.Value, "met": met, "of": len(marks), "marks": marks}); err != nil {
			return err
		}
	} else {
		fmt.Fprint(l.out, lab.Report(marks, c.Bool("hint"), l.style))
	}
	if met < len(marks) {
		return quiet(exitFailure)
	}
	return nil
}

func learnShow(c *cli.Context) error {
	l, err := newLearner(c)
	if err != nil {
		return err
	}
	id, err := argument(c, "CASE|LAB")
	if err != nil {
		return err
	}
	if lab := l.book.Lab(id); lab != nil {
		fmt.Fprint(l.out, "labs:\n"+lab.Source())
		return nil
	}
	k, err := l.find(id)
	if err == nil {
		fmt.Fprint(l.out, "cases:\n"+k.Source())
	}
	return err
}
