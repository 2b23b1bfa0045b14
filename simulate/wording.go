package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Words have one source. A story or twin says nothing in words of its own: it
// names an errand, and members who are in no story come with the same errand, in
// the same words. Or a detector would learn the wording and not the act.

// errand is something that members ask for besides what their kind of work makes
// them ask for every day. Stories name it to ask for the same.
type errand struct {
	Name source.Text `yaml:"name,required"`
	// Share of the tasks, follow-ups or prompts with records of these personas.
	Share number `yaml:"share,required"`
	Of    string `yaml:"of,enum=task|followup|record"` // task without
	// Personas who ask for it; everybody without.
	Personas []string `yaml:"personas"`
	// Paste names the rows pasted below what is asked, Rows how many.
	Paste   string   `yaml:"paste"`
	Rows    string   `yaml:"rows"`
	Prompts []string `yaml:"prompts,required"`
}

// paste is rows of one kind: each row is one of its texts, filled anew.
type paste struct {
	Name source.Text `yaml:"name,required"`
	Rows []string    `yaml:"rows,required"`
}

// shell is a kind of command besides those of every day.
type shell struct {
	Name     source.Text `yaml:"name,required"`
	Share    number      `yaml:"share,required"` // of the shell commands of these personas
	Personas []string    `yaml:"personas"`
	Commands []string    `yaml:"commands,required"`
	// Again is what a command has once for each of its arguments, Rows how many,
	// After what ends it.
	Again []string `yaml:"again"`
	Rows  string   `yaml:"rows"`
	After string   `yaml:"after"`
}

// wording is what members ask for and run besides the prompts and commands of
// every day.
type wording struct {
	Errands []errand `yaml:"errands"`
	Pastes  []paste  `yaml:"pastes"`
	Shell   []shell  `yaml:"shell"`
}

func (w *wording) errand(name string) *errand {
	if i := slices.IndexFunc(w.Errands, func(e errand) bool { return e.Name.Value == name }); i >= 0 {
		return &w.Errands[i]
	}
	return nil
}

func (w *wording) paste(name string) *paste {
	if i := slices.IndexFunc(w.Pastes, func(p paste) bool { return p.Name.Value == name }); i >= 0 {
		return &w.Pastes[i]
	}
	return nil
}

func (w *wording) command(name string) *shell {
	if i := slices.IndexFunc(w.Shell, func(s shell) bool { return s.Name.Value == name }); i >= 0 {
		return &w.Shell[i]
	}
	return nil
}

// names lists what stories may name: errands, pastes and kinds of commands.
func (w *wording) names() (errands, pastes, commands []string) {
	for _, e := range w.Errands {
		errands = append(errands, e.Name.Value)
	}
	for _, p := range w.Pastes {
		pastes = append(pastes, p.Name.Value)
	}
	for _, s := range w.Shell {
		commands = append(commands, s.Name.Value)
	}
	slices.Sort(errands)
	slices.Sort(pastes)
	slices.Sort(commands)
	return errands, pastes, commands
}

// with is the wording of both. What is added has to say, like the shipped, how
// often ordinary members ask for it.
func (w wording) with(more wording) wording {
	return wording{slices.Concat(w.Errands, more.Errands), slices.Concat(w.Pastes, more.Pastes), slices.Concat(w.Shell, more.Shell)}
}

// check finds what would leave a pool to stories alone: a share of nothing, rows
// that nobody pastes, personas that do not exist. The first known entries of each
// list were checked before.
func (w *wording) check(ps *source.Problems, personas []persona, known wording) {
	taken := map[string]bool{}
	name := func(list string, n source.Text) {
		if taken[list+n.Value] || n.Value == "ordinary" || n.Value == "upload" || strings.Contains(n.Value, " ") {
			ps.Add(n.At, "give it a name of its own, of one word", "%q is taken or has spaces", n)
		}
		taken[list+n.Value] = true
	}
	who := func(n source.Text, list []string) {
		for _, p := range list {
			if !slices.ContainsFunc(personas, func(x persona) bool { return x.Name == p }) {
				ps.Add(n.At, "name personas of the profile", "%s is for %q, whom nobody is", n, p)
			}
		}
	}
	share := func(n source.Text, v float64) {
		if !(v > 0 && v <= 0.2) {
			ps.Add(n.At, "state the share of ordinary prompts or commands, above 0 and up to 0.2, with its source or the word assumption", "%s has a share of %v", n, v)
		}
	}
	rows := func(n source.Text, text string) {
		if s, err := parseRange(text); err != nil || s.lo < 1 || s.hi > 200 {
			ps.Add(n.At, "state rows as a range such as ~1..40, up to 200", "%s has rows %q", n, text)
		}
	}
	text := func(n source.Text, list []string) {
		for _, t := range list {
			if t == "" || len(t) > 400 || !strings.HasSuffix(t, ".") && !strings.HasSuffix(t, "?") && !strings.HasSuffix(t, "!") {
				ps.Add(n.At, "write whole sentences of up to 400 characters", "%s has the prompt %q", n, t)
			}
		}
	}
	for i, e := range w.Errands {
		name("errand ", e.Name)
		if i < len(known.Errands) {
			continue
		}
		who(e.Name, e.Personas)
		share(e.Name, e.Share.Value)
		text(e.Name, e.Prompts)
		if (e.Paste == "") != (e.Rows == "") {
			ps.Add(e.Name.At, "state both paste and rows, or neither", "%s pastes %q in %q rows", e.Name, e.Paste, e.Rows)
		} else if e.Paste != "" {
			rows(e.Name, e.Rows)
			if w.paste(e.Paste) == nil {
				_, pastes, _ := w.names()
				ps.Add(e.Name.At, "name one of: "+strings.Join(pastes, ", "), "%s pastes %q, which is not a paste", e.Name, e.Paste)
			}
		}
	}
	for _, p := range w.Pastes {
		name("paste ", p.Name)
		if !slices.ContainsFunc(w.Errands, func(e errand) bool { return e.Paste == p.Name.Value }) {
			ps.Add(p.Name.At, "name it in an errand, so that ordinary members paste it too", "nobody pastes %s", p.Name)
		}
	}
	for i, s := range w.Shell {
		name("shell ", s.Name)
		if i < len(known.Shell) {
			continue
		}
		who(s.Name, s.Personas)
		share(s.Name, s.Share.Value)
		if (s.Again == nil) != (s.Rows == "") {
			ps.Add(s.Name.At, "state both again and rows, or neither", "%s has %d texts again in %q rows", s.Name, len(s.Again), s.Rows)
		} else if s.Rows != "" {
			rows(s.Name, s.Rows)
		}
	}
}

// named refuses a step whose words are its own, or nobody's.
func (w *wording) named(ps *source.Problems, s *stepSpec) {
	errands, pastes, commands := w.names()
	bad := func(key string, t source.Text, list []string, of string, ok bool) {
		if t.Value == "" || ok {
			return
		}
		advice := "name " + of + ", one of: " + strings.Join(list, ", ")
		if g := source.Nearest(t.Value, list); g != "" {
			advice = fmt.Sprintf("did you mean %q?", g)
		} else if strings.Contains(t.Value, " ") {
			advice = fmt.Sprintf("members outside the story must use the same words: name %s (%s), or add one to this file with the share of ordinary life that has it", of, strings.Join(list, ", "))
		}
		ps.Add(t.At, advice, "%s %q is a text of the story's own, not the name of %s", key, t.Value, of)
	}
	p, b := s.Prompt.Value, s.Bash.Value
	bad("prompt", s.Prompt, append([]string{"ordinary"}, errands...), "an errand", p == "ordinary" || w.errand(p) != nil)
	bad("paste", s.Paste, pastes, "a paste", w.paste(s.Paste.Value) != nil)
	bad("bash", s.Bash, append([]string{"ordinary", "upload"}, commands...), "a kind of command", b == "ordinary" || b == "upload" || w.command(b) != nil)
}

// asks are the errands of one persona, by what they take the place of.
type asks struct {
	task, followup, record []*errand
	shell                  []*shell
}

func (w *wording) asks(p *persona) (a asks) {
	does := func(list []string) bool { return list == nil || slices.Contains(list, p.Name) }
	for i := range w.Errands {
		e := &w.Errands[i]
		switch {
		case !does(e.Personas):
		case e.Of == "followup":
			a.followup = append(a.followup, e)
		case e.Of == "record":
			a.record = append(a.record, e)
		default:
			a.task = append(a.task, e)
		}
	}
	for i := range w.Shell {
		if s := &w.Shell[i]; does(s.Personas) {
			a.shell = append(a.shell, s)
		}
	}
	return a
}

// choose draws an errand by the shares, or none: the rest is every day's.
func choose[T any](r *rand.Rand, list []*T, share func(*T) number) *T {
	u := r.Float64()
	for _, e := range list {
		if u -= share(e).Value; u < 0 {
			return e
		}
	}
	return nil
}

func (e *errand) share() number { return e.Share }
func (s *shell) share() number  { return s.Share }

// ask is what the member says on an errand, with as many rows as it has by itself.
func (wr *writer) ask(r *rand.Rand, e *errand) string {
	text := oneOf(r, e.Prompts)
	if e.Paste != "" {
		s, _ := parseRange(e.Rows)
		text = pasted(r, text, wr.w.p.wording.paste(e.Paste), int(s.draw(r)))
	}
	return wr.fillWords(r, nil, text)
}

// pasted is a text with n rows below it.
func pasted(r *rand.Rand, text string, p *paste, n int) string {
	var b strings.Builder
	b.WriteString(text)
	for range max(n, 1) {
		b.WriteString("\n" + oneOf(r, p.Rows))
	}
	return b.String()
}

// command is a command of a kind, with n arguments where it takes a row of them;
// below 1 as many as it has by itself.
func (s *shell) command(r *rand.Rand, n int) string {
	text := oneOf(r, s.Commands)
	if s.Again == nil {
		return text
	}
	if n < 1 {
		x, _ := parseRange(s.Rows)
		n = int(x.draw(r))
	}
	var b strings.Builder
	b.WriteString(text)
	for range n {
		b.WriteString(oneOf(r, s.Again))
	}
	return b.String() + s.After
}

// fillWords fills a text; in is the story whose live keys stand in it, or nil.
func (wr *writer) fillWords(r *rand.Rand, in *instance, text string) string {
	text = wr.texts.fill(r, text, wr.file, wr.folder, wr.day)
	if strings.IndexByte(text, '{') < 0 {
		return text
	}
	for _, s := range secrets {
		i := strings.Index(text, s.word)
		if i < 0 {
			continue
		}
		var b strings.Builder
		b.Grow(len(text) + 64)
		for ; i >= 0; i = strings.Index(text, s.word) {
			b.WriteString(text[:i])
			if in == nil && s.plain != nil {
				b.WriteString(oneOf(r, s.plain))
			} else {
				b.WriteString(s.make(wr, r, in))
			}
			text = text[i+len(s.word):]
		}
		b.WriteString(text)
		text = b.String()
	}
	return text
}

// Wording says what a story file may name: the errands members come with, the
// rows they paste and the kinds of commands they run, each with how often.
func Wording() string {
	p, err := loadProfile("")
	if err != nil {
		panic(err) // the file is embedded and a test loads it
	}
	var b strings.Builder
	percent := func(n number) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", n.Value*100), ".0") + " %" }
	who := func(list []string) string {
		if list == nil {
			return "everybody"
		}
		return strings.Join(list, ", ")
	}
	b.WriteString("prompt: ordinary, or one of\n")
	for _, e := range p.Errands {
		of := map[string]string{"": "tasks", "task": "tasks", "followup": "follow-ups", "record": "prompts with records"}[e.Of]
		fmt.Fprintf(&b, "  %-16s %s of the %s of %s: %q\n", e.Name, percent(e.Share), of, who(e.Personas), e.Prompts[0])
	}
	b.WriteString("paste: (below a prompt, a row for each of lines)\n")
	for _, x := range p.Pastes {
		fmt.Fprintf(&b, "  %-16s %q\n", x.Name, x.Rows[0])
	}
	b.WriteString("bash: ordinary, upload, or one of\n")
	for _, s := range p.Shell {
		again := ""
		if s.Again != nil {
			again = s.Again[0] + "..." + s.After
		}
		fmt.Fprintf(&b, "  %-16s %s of the shell commands of %s: %q\n", s.Name, percent(s.Share), who(s.Personas), s.Commands[0]+again)
	}
	return b.String()
}
