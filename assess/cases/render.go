package cases

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Width of everything printed here, in columns.
const Width = 78

// Style marks up text for a terminal; the zero value leaves it plain.
type Style struct{ On bool }

func (s Style) wrap(code, text string) string {
	if !s.On || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold, Dim, Good and Bad never carry meaning alone: the words say the same.
func (s Style) Bold(t string) string { return s.wrap("1", t) }
func (s Style) Dim(t string) string  { return s.wrap("2", t) }
func (s Style) Good(t string) string { return s.wrap("32", t) }
func (s Style) Bad(t string) string  { return s.wrap("31", t) }

// Wrap breaks text at width. Paragraphs stay apart, lines that begin with a
// space stand as written, and lines after the first begin with indent.
func Wrap(text string, width int, indent string) string {
	var out []string
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if line == "" || line[0] == ' ' && len([]rune(line)) <= width {
			out = append(out, strings.TrimRight(line, " "))
			continue
		}
		if line[0] == ' ' { // too long to stand as written: it hangs by where its words begin
			words := strings.TrimLeft(line, " ")
			lead := line[:len(line)-len(words)]
			if i := strings.Index(words, ". "); i > 0 && i < 3 {
				lead += strings.Repeat(" ", i+2)
			}
			wrapped := strings.Split(Wrap(words, width-len(lead), ""), "\n")
			for i, w := range wrapped {
				if i == 0 {
					out = append(out, line[:len(line)-len(words)]+w)
				} else {
					out = append(out, lead+w)
				}
			}
			continue
		}
		cur := ""
		for _, word := range strings.Fields(line) {
			lead := ""
			if len(out) > 0 {
				lead = indent
			}
			switch {
			case cur == "":
				cur = lead + word
			case len([]rune(cur))+1+len([]rune(word)) > width:
				out = append(out, cur)
				cur = indent + word
			default:
				cur += " " + word
			}
		}
		out = append(out, cur)
	}
	return strings.Join(out, "\n")
}

// hang is a wrapped paragraph that hangs behind its mark.
func hang(mark, text string) string {
	pad := strings.Repeat(" ", len([]rune(mark)))
	lines := strings.Split(Wrap(text, Width-len([]rune(mark)), ""), "\n")
	for i := range lines {
		if i == 0 {
			lines[i] = mark + lines[i]
		} else if lines[i] != "" {
			lines[i] = pad + lines[i]
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// Opening is the situation of a case, which can be read before its run is done.
func (c *Case) Opening(b *Book, st Style) string {
	var s strings.Builder
	topic := c.Topic.Value
	if t := b.Topic(topic); t != nil {
		topic = t.Title
	}
	track := ""
	if c.Track == Changed {
		track = "  [what changed since]"
	}
	fmt.Fprintf(&s, "%s\n%s\n\n", st.Bold(c.Title), st.Dim(fmt.Sprintf("%s, as of %s%s", topic, c.Date, track)))
	s.WriteString(Wrap(c.Situation, Width, "") + "\n")
	return s.String()
}

// Asking is the exhibits, the question and the options.
func (g *Grading) Asking(st Style) (string, error) {
	var s strings.Builder
	for _, x := range g.Case.Exhibits {
		lines, err := g.World.Exhibit(x)
		if err != nil {
			return "", err
		}
		s.WriteString("\n" + st.Dim("-- "+x.Title()+" --") + "\n")
		for _, l := range lines {
			s.WriteString("  " + l + "\n")
		}
	}
	s.WriteString("\n" + st.Bold(Wrap(g.Case.Question, Width, "")) + "\n\n")
	for _, o := range g.Options {
		s.WriteString(hang("  "+o.Letter+"  ", o.Option.Text))
	}
	return s.String(), nil
}

// Title is what stands over an exhibit.
func (x *Exhibit) Title() string {
	if x.Caption != "" {
		return x.Caption
	}
	switch x.Show {
	case "matrix":
		return "who may use what"
	case "spend":
		return "spend against limits"
	case "telemetry":
		return "telemetry of one prompt"
	case "alerts":
		return "alert rules and what reached them"
	case "adoption":
		return "Analytics > Cowork"
	case "coverage":
		return "what was received"
	case "setup":
		return "the organisation"
	case "surfaces":
		return "where Cowork activity is recorded"
	}
	return "from the run"
}

// Answered explains the options after an answer. given is a letter, "" for
// somebody who only wants to read.
func (g *Grading) Answered(given string, later []Later, st Style) string {
	var s strings.Builder
	stated := map[string]bool{}
	right := g.Right()
	switch {
	case right == "":
		s.WriteString("In this run none of the four holds; the case needs its author.\n")
	case given == "":
	case strings.EqualFold(given, right):
		s.WriteString(st.Good("Right.") + " The model agrees: " + right + ".\n")
	default:
		s.WriteString(st.Bad("Not quite.") + " The model holds with " + right + ".\n")
	}
	for _, o := range g.Options {
		if o.Right {
			s.WriteString("\n" + st.Good(hang(o.Letter+"  holds    ", o.Option.Because)))
			s.WriteString(g.cited(o, nil, true, stated))
		}
	}
	for _, o := range g.Options {
		if o.Right {
			continue
		}
		s.WriteString("\n" + st.Bad(o.Letter+"  refuted  ") + strings.TrimPrefix(hang(strings.Repeat(" ", 11), o.Option.Because), strings.Repeat(" ", 11)))
		if o.Option.Tempts != "" {
			s.WriteString(hang("   tempts  ", o.Option.Tempts))
		}
		s.WriteString(g.cited(o, o.refuted(), strings.EqualFold(o.Letter, given), stated))
	}
	if g.Case.Next != "" {
		s.WriteString("\n" + hang("And then: ", g.Case.Next))
	}
	s.WriteString("\nThe chain, in this run:\n")
	for _, l := range g.chain() {
		v, _ := g.World.Lookup(l.Path.Value)
		s.WriteString(hang("  ", l.name()+": "+words(assess.Plain(v))))
	}
	fmt.Fprintf(&s, "  Any fact: sandtable learn why FACT\n  Follow it: %s\n", g.Case.command(g.Case.Date.String()))
	for _, l := range later {
		fmt.Fprintf(&s, "\n%s\n", st.Bold("Ask it again on "+l.On))
		switch {
		case l.Right == right:
			fmt.Fprintf(&s, "  %s still holds.\n", right)
		case l.Right != "":
			fmt.Fprintf(&s, "  %s no longer holds; %s does.\n", right, l.Right)
		default:
			fmt.Fprintf(&s, "  %s no longer holds, and none of the others does.\n", right)
		}
		for _, m := range l.Moved {
			if m.Then != m.Now {
				s.WriteString(hang("  ", fmt.Sprintf("%s: %s -> %s", m.Label, words(m.Then), words(m.Now))))
			} else {
				s.WriteString(hang("  ", fmt.Sprintf("%s: still %s", m.Label, words(m.Now))))
			}
		}
		s.WriteString(hang("  ", l.Says))
	}
	return s.String()
}

// chain is what the case lists to look at, else what the right option rests on.
func (g *Grading) chain() []Link {
	if len(g.Case.Chain) > 0 {
		return g.Case.Chain
	}
	var out []Link
	for _, o := range g.Options {
		if !o.Right || len(o.Option.Set) > 0 || o.Option.Scenario.Value != "" {
			continue
		}
		for _, k := range o.Option.Holds {
			out = append(out, Link{Path: k.Path})
		}
	}
	return out
}

// words is a value as people say it: without the underscores it has in JSON, and
// a verdict by its name.
func words(v string) string {
	if v == "" {
		return "nothing"
	}
	var code assess.Verdict
	if code.UnmarshalText([]byte(v)) == nil {
		return strings.ToLower(code.String())
	}
	return strings.ReplaceAll(cut(v, 220), "_", " ")
}

// cited prints the finding and the facts behind an option. Facts are stated for
// the option that holds and the one that was chosen, once, and named for the rest.
func (g *Grading) cited(o OptionResult, f *Finding, full bool, stated map[string]bool) string {
	var s strings.Builder
	if f == nil && len(o.Findings) > 0 {
		f = &o.Findings[0]
	}
	if f != nil {
		s.WriteString(hang("   model   ", f.text()))
	}
	var named []string
	for _, id := range o.Option.Facts {
		statement, _ := g.World.Lookup("facts." + id + ".statement")
		if assess.Plain(statement) == "" {
			continue // no record on this day: the finding above says what follows
		}
		if stated[id] || !full {
			named = append(named, id)
			continue
		}
		stated[id] = true
		verified, _ := g.World.Lookup("facts." + id + ".verified")
		contested := ""
		if v, _ := g.World.Lookup("facts." + id + ".contested"); v == true {
			contested = " [contested]"
		}
		s.WriteString(hang("   fact    ", fmt.Sprintf("%s%s: %s (verified %s)", id, contested, strings.TrimSpace(assess.Plain(statement)), assess.Plain(verified))))
	}
	if len(named) > 0 {
		s.WriteString(hang("   fact    ", strings.Join(named, ", ")))
	}
	return s.String()
}

// text is the finding in words.
func (f *Finding) text() string {
	value := words
	if strings.Contains(f.Path, "_micros") {
		value = func(v string) string {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return dollars(n)
			}
			return words(v)
		}
	}
	if fact, ok := strings.CutSuffix(f.Path, ".statement"); ok { // its text stands below, or a command away
		if f.Met {
			return fact + " says so"
		}
		return fact + " does not say so"
	}
	if f.Met {
		return f.Path + " is " + value(f.Got)
	}
	return f.Path + " is " + value(f.Got) + ", it would have to be " + value(f.Want)
}

// command is how the learner runs the case's scenario alone.
func (c *Case) command(day string) string {
	set := ""
	for _, s := range append(slices.Clone(c.Set), "as_of="+day) {
		if strings.ContainsAny(s, " []{}\"") {
			s = "'" + s + "'"
		}
		set += " --set " + s
	}
	return "sandtable run " + c.Scenario.Value + set
}

// Source is the case as its author wrote it, to write another from.
func (c *Case) Source() string { return excerpt(c.file, c.At) }

// Source is the lab as its author wrote it.
func (l *Lab) Source() string { return excerpt(l.file, l.At) }

// excerpt is one item of a list in a file: its first line, and those below that
// stand further in.
func excerpt(f *source.File, at source.Pos) string {
	lines := strings.Split(string(f.Data), "\n")
	if at.Line < 1 || at.Line > len(lines) {
		return ""
	}
	out := []string{lines[at.Line-1]}
	for _, l := range lines[at.Line:] {
		if strings.TrimSpace(l) != "" && len(l)-len(strings.TrimLeft(l, " ")) < at.Col-1 {
			break
		}
		out = append(out, l)
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n ") + "\n"
}

// Review is the short explanation of a missed question: what holds, and what
// refutes the answer given.
func (g *Grading) Review(given string, st Style) string {
	var s strings.Builder
	for _, o := range g.Options {
		switch {
		case o.Right:
			s.WriteString(st.Good(hang("  "+o.Letter+" holds: ", o.Option.Text)))
			s.WriteString(hang("    ", o.Option.Because))
		case o.Letter == given:
			s.WriteString(st.Bad(hang("  "+o.Letter+" was yours: ", o.Option.Text)))
			s.WriteString(hang("    ", o.Option.Because))
		}
	}
	return s.String()
}

// Report lists the graded lines of a lab; hint adds the hint of the first that
// is not met.
func (l *Lab) Report(marks []Mark, hint bool, st Style) string {
	var s strings.Builder
	met, hinted := 0, false
	for _, m := range marks {
		if m.Met {
			met++
			s.WriteString(st.Good("  ok  ") + strings.TrimPrefix(hang("      ", m.Says), "      "))
			if m.Why != "" {
				s.WriteString(hang("      ", m.Why))
			}
			continue
		}
		s.WriteString(st.Bad("  --  ") + strings.TrimPrefix(hang("      ", m.Says), "      "))
		switch {
		case m.Want != "":
			s.WriteString(hang("      ", fmt.Sprintf("the run gives %s, expected %s", words(m.Got), words(m.Want))))
		case m.Got == "":
			s.WriteString("      not answered yet\n")
		default:
			s.WriteString(hang("      ", "the run does not agree with "+m.Got))
		}
		if hint && !hinted && m.Hint != "" {
			hinted = true
			s.WriteString(hang("      hint: ", m.Hint))
		}
	}
	fmt.Fprintf(&s, "\n%s: %d of %d met.\n", l.Id, met, len(marks))
	switch {
	case met == len(marks) && l.Done != "":
		s.WriteString(Wrap(l.Done, Width, "") + "\n")
	case met < len(marks) && !hint:
		s.WriteString("Stuck? sandtable learn check --hint\n")
	}
	return s.String()
}

// Text is the teaching text of a topic, one screen.
func (t *Topic) Text(st Style) string {
	return st.Bold(t.Title) + "\n\n" + Wrap(t.Teach, Width, "") + "\n"
}

// Text is an entry of the glossary with the facts behind it as of a day.
func (t *Term) Text(asOf source.Date, plan string, st Style) (string, error) {
	facts, err := platform.Facts()
	if err != nil {
		return "", err
	}
	var s strings.Builder
	s.WriteString(st.Bold(t.Term.Value) + "\n\n" + Wrap(t.Means, Width, "") + "\n")
	for i, id := range t.Facts {
		if i == 0 {
			fmt.Fprintf(&s, "\nThe facts, as of %s on %s:\n", asOf, strings.ToUpper(plan[:1])+plan[1:])
		}
		s.WriteString(factLine(facts, id, asOf, plan))
	}
	if len(t.See) > 0 {
		s.WriteString("\nSee also: " + strings.Join(t.See, ", ") + "\n")
	}
	return s.String(), nil
}

// factLine is one fact as of a day in a paragraph.
func factLine(facts *platform.Catalogue, id string, asOf source.Date, plan string) string {
	a := facts.At(id, platform.Query{AsOf: asOf, Plan: plan, Mode: "local", Exam: true})
	if a.Record == nil {
		return hang("  ", id+": "+a.Reason())
	}
	note := ""
	if a.Contested {
		note = " [contested: " + strings.TrimSpace(a.Fact.Footnote) + "]"
	}
	return hang("  ", fmt.Sprintf("%s = %s. %s %s%s", id, a.Value, strings.TrimSpace(a.Record.Statement), a.Reason(), note))
}

// FactHistory is everything that is recorded of a fact, in order of time.
func FactHistory(facts *platform.Catalogue, id, plan string, st Style) (string, bool) {
	f, ok := facts.Fact(id)
	if !ok {
		return "", false
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s  %s\n\n", st.Bold(id), f.Subject)
	if f.Lesson != "" {
		s.WriteString(hang("The lesson says: ", f.Lesson))
	}
	for i := range f.Records {
		r := &f.Records[i]
		scope := r.Scope()
		if scope != "" {
			scope = " (" + scope + ")"
		}
		s.WriteString("\n" + hang("  ", fmt.Sprintf("From %s%s, on %s: %s. %s", r.Start(), scope, plan, r.ValueFor(plan), strings.TrimSpace(r.Statement))))
		var from []string
		for _, src := range r.Sources {
			from = append(from, facts.SourceTitle(src.Key))
		}
		s.WriteString(hang("  ", fmt.Sprintf("verified %s, confidence %s; %s", r.LastVerified, r.Confidence, strings.Join(from, "; "))))
	}
	if f.Footnote != "" {
		s.WriteString("\n" + hang("Contested: ", f.Footnote))
	}
	return s.String(), true
}
