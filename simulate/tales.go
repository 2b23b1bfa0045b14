package simulate

import (
	"embed"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Stories as data. A file of stories/ holds stories and, under each, its benign
// twins: innocent episodes that look like it. Most are told in the steps below;
// a story without parts and changes is told by a function of incidents.go,
// because it needs arithmetic that steps do not have.
//
// Numbers are amounts: a number, the name of a draw, a range drawn on the spot
// ("2..5", "~2..50" for more small than large), or two of these joined by *, /
// or +. Lengths of time are written 40s, 12m, 3h, 2d and become seconds.

//go:embed stories/*.yaml
var storyFiles embed.FS

//go:embed habits.yaml
var habitFile []byte

// tale is a story or a twin.
type tale struct {
	ID       source.Text `yaml:"id,required"` // a name, or for a twin number and letter
	Number   int         `yaml:"number"`
	Title    string      `yaml:"title,required"`
	Intent   string      `yaml:"intent"`
	Severity string      `yaml:"severity,enum=low|medium|high|critical"`
	Topics   []string    `yaml:"topics"` // T1 to T24, as the list of topics numbers them
	// Capture is the setting it is played under; any stands for each of the three.
	Capture string `yaml:"capture,enum=full|names|meta|any"`
	// Hidden is set when nothing on the wire tells, whatever the setting.
	Hidden bool `yaml:"hidden"`
	// Fact is where a twin's innocence can be read: on the wire, in data the
	// customer holds, or nowhere.
	Fact     string            `yaml:"fact,enum=W|C|X"`
	Innocent string            `yaml:"innocent"`
	Personas []string          `yaml:"personas"`
	Main     string            `yaml:"main"` // the draw that makes it easy or hard to see
	Draws    map[string]string `yaml:"draws"`
	Span     string            `yaml:"span"` // days it may last
	Leaver   bool              `yaml:"leaver"`
	Each     string            `yaml:"each"` // of a habit: member-days for one occurrence
	Parts    []part            `yaml:"parts"`
	Changes  []change          `yaml:"changes"`
	Twins    []tale            `yaml:"twins"`
	At       source.Pos

	of *tale
}

// part is what happens in one session, or in several alike.
type part struct {
	Who      string     `yaml:"who,enum=lead|second|team|all"`
	Members  string     `yaml:"members"` // of the team, the lead included
	Spread   string     `yaml:"spread"`  // days over which the others join in
	Day      string     `yaml:"day"`     // days after the story's day
	Sessions string     `yaml:"sessions"`
	Over     string     `yaml:"over"`  // days over which the sessions lie; one a day without
	Every    string     `yaml:"every"` // seconds between sessions, at machine rhythm
	Hour     string     `yaml:"hour"`  // of the local day, e.g. 22..29 for the night; working hours without
	Weekend  bool       `yaml:"weekend"`
	Friday   bool       `yaml:"friday"`
	Device   string     `yaml:"device,enum=new"`
	Account  string     `yaml:"account,enum=new"`
	Remote   string     `yaml:"remote,enum=anonymous|named"`
	Leaving  string     `yaml:"leaving"` // seconds after (or, negative, before) the member's last moment
	Late     string     `yaml:"late"`    // seconds between event and export
	Repeat   string     `yaml:"repeat"`  // how often a batch is sent again
	Wide     bool       `yaml:"wide"`    // the whole document folder is connected
	Quiet    bool       `yaml:"quiet"`   // no ordinary prompts around it
	If       string     `yaml:"if"`      // chance that the part happens
	Steps    []stepSpec `yaml:"steps,required"`
}

// stepSpec is one verb with its modifiers.
type stepSpec struct {
	Prompt  source.Text `yaml:"prompt"` // an errand of the profile; ordinary for a prompt of every day
	Paste   source.Text `yaml:"paste"`  // what is pasted below it, instead of what the errand has
	Life    string      `yaml:"life"`   // ordinary prompts with their tools
	Request bool        `yaml:"request"`
	Read    string      `yaml:"read"` // where: see writer.place
	Write   string      `yaml:"write"`
	Edit    string      `yaml:"edit"`
	Glob    string      `yaml:"glob"`
	Call    string      `yaml:"call,enum=read|write|send|search|any"`
	On      string      `yaml:"on,enum=approved|marked|local|unlisted|longer|builtin"`
	Name    string      `yaml:"name"` // of the tool, instead of one that fits the call
	Tool    string      `yaml:"tool"` // a built-in tool
	Bash    source.Text `yaml:"bash"` // ordinary, upload or a kind of command of the profile
	Fetch   string      `yaml:"fetch,enum=ordinary"`
	Agents  string      `yaml:"agents"` // subagents
	Mode    string      `yaml:"mode"`
	Plugin  string      `yaml:"plugin,enum=foreign|spread|known|own|update"`
	Skill   string      `yaml:"skill"`
	Error   string      `yaml:"error"` // HTTP status
	Refusal bool        `yaml:"refusal"`
	Wait    string      `yaml:"wait"`
	Loop    string      `yaml:"loop"`
	Do      []stepSpec  `yaml:"do"`

	Times  string `yaml:"times"` // in every session
	Share  string `yaml:"share"` // over all sessions of the part
	If     string `yaml:"if"`    // chance, drawn for each repetition
	Once   string `yaml:"once"`  // chance, drawn once for the story
	Gap    string `yaml:"gap"`   // seconds before each repetition
	Role   string `yaml:"role,enum=lure|prepare|collect|act|exfil|cover|config|gap|bystander"`
	Needs  string `yaml:"needs,enum=none|userPrompts|toolDetails"`
	Shows  bool   `yaml:"shows"` // from here on a perfect detector could know
	Ask    string `yaml:"ask,enum=config|user_temporary|user_permanent|user_reject|user_abort|grant|either"`
	Took   string `yaml:"took"`                   // seconds a person took to answer
	Fails  string `yaml:"fails"`                  // chance of an error
	Size   string `yaml:"size"`                   // bytes of the arguments
	Result string `yaml:"result"`                 // bytes of the result
	Tokens string `yaml:"tokens"`                 // tokens the next request finds anew
	Scale  string `yaml:"scale"`                  // of the request's tokens
	Length string `yaml:"length"`                 // characters of the prompt
	Live   bool   `yaml:"live"`                   // keys and numbers stand in the text themselves, not the variable that holds them
	Lines  string `yaml:"lines"`                  // rows pasted below the prompt, else its {n}, or arguments of the command
	Slow   string `yaml:"slow"`                   // duration against the usual
	Other  string `yaml:"other"`                  // share of paths in folders new to the member
	To     string `yaml:"to,enum=inside|outside"` // recipient of a sending call, whose tool then names one
}

// change is something that is different for members over a time, without a
// session of its own.
type change struct {
	Do      string `yaml:"do,required,enum=silent|thin|redact|redact-prompts|third-party|older|version|scale|dearer|model|fewer|auto-accepts|no-cost|errors|anonymous"`
	Who     string `yaml:"who,enum=lead|second|team|all"`
	Members string `yaml:"members"`
	Spread  string `yaml:"spread"` // days over which it reaches the members
	Day     string `yaml:"day"`
	For     string `yaml:"for,required"`      // seconds
	Amount  string `yaml:"amount"`            // see applyChange
	To      string `yaml:"to"`                // version, or family of models; several with | between are drawn from
	Once    string `yaml:"once"`              // chance, drawn once for the story
	Times   string `yaml:"times"`             // how often
	Every   string `yaml:"every"`             // seconds from one to the next, a day if it says nothing
	From    string `yaml:"from,enum=all|new"` // new: only processes started meanwhile
	Role    string `yaml:"role,enum=config|gap|act|cover"`
	Shows   bool   `yaml:"shows"`
	Hour    string `yaml:"hour"`
}

// tales are the shipped stories, read when they are first asked for: most
// commands play none.
var tales = sync.OnceValue(func() []tale {
	ts, err := loadTales(storyFiles, "stories")
	if err != nil {
		panic(err) // the files are embedded and a test loads them
	}
	return ts
})

// office is the wording that shipped stories name.
var office = sync.OnceValue(func() *wording {
	p, err := loadProfile("")
	if err != nil {
		panic(err) // the file is embedded and a test loads it
	}
	return &p.wording
})

// loadTales reads and checks story files.
func loadTales(fsys fs.FS, dir string) ([]tale, error) {
	var all []tale
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		file, err := readTales(name, data)
		if err != nil {
			return nil, err
		}
		all = append(all, file.Stories...)
	}
	slices.SortStableFunc(all, func(a, b tale) int { return a.Number - b.Number })
	return all, checkTales(all, office())
}

// habits are what ordinary members do now and then where detectors are measured.
var habits = sync.OnceValue(func() []tale {
	f, err := source.Parse("habits.yaml", habitFile)
	if err == nil {
		var file struct {
			Habits []tale `yaml:"habits,required"`
		}
		if err = f.Decode(&file); err == nil {
			if err = checkTales(file.Habits, office()); err == nil {
				return file.Habits
			}
		}
	}
	panic(err) // the file is embedded and a test loads it
})

// taleFile is a file of stories, with the wording it adds to ordinary life.
type taleFile struct {
	Stories []tale   `yaml:"stories,required"`
	Errands []errand `yaml:"errands"`
	Pastes  []paste  `yaml:"pastes"`
	Shell   []shell  `yaml:"shell"`
}

func readTales(name string, data []byte) (file taleFile, err error) {
	f, err := source.Parse(name, data)
	if err == nil {
		err = f.Decode(&file)
	}
	return file, err
}

// checkTales checks tales that may name the wording.
func checkTales(all []tale, words *wording) error {
	var ps source.Problems
	for i := range all {
		t := &all[i]
		t.check(&ps, words)
		for k := range t.Twins {
			w := &t.Twins[k]
			w.of = t
			if w.Capture == "" {
				w.Capture = t.Capture
			}
			if w.Personas == nil {
				w.Personas = t.Personas
			}
			w.check(&ps, words)
			if w.Fact == "" || w.Innocent == "" {
				ps.Add(w.At, "say why it is innocent and where that can be read", "twin %s has no fact or no reason", w.ID)
			}
		}
	}
	return ps.Err()
}

// Stories are stories of a user's own, beside the shipped ones.
type Stories struct {
	tales   []tale
	wording wording // that ordinary life has beside the profile's
}

// ParseStories reads a story file in the form of the shipped ones. A story here
// needs everything a measurement asks for, and steps of its own. What its members
// ask for and run are errands and kinds of commands of the profile, or of the file
// itself, which then says how often ordinary members come with them.
func ParseStories(name string, data []byte) (*Stories, error) {
	file, err := readTales(name, data)
	if err != nil {
		return nil, err
	}
	ts, more := file.Stories, wording{file.Errands, file.Pastes, file.Shell}
	p, err := loadProfile("")
	if err != nil {
		return nil, err
	}
	if err := p.settle(more); err != nil {
		return nil, err
	}
	if err := checkTales(ts, &p.wording); err != nil {
		return nil, err
	}
	var ps source.Problems
	seen := map[string]bool{}
	for i := range ts {
		list := []*tale{&ts[i]}
		for k := range ts[i].Twins {
			list = append(list, &ts[i].Twins[k])
		}
		for _, t := range list {
			id := t.ID.Value
			if taleNamed(id) != nil || seen[id] {
				ps.Add(t.ID.At, "give it a name of its own", "%q is taken", id)
			}
			seen[id] = true
			if len(t.Parts)+len(t.Changes) == 0 {
				ps.Add(t.At, "add parts with steps", "%s tells nothing", id)
			}
			if t.Leaver {
				ps.Add(t.At, "only shipped stories can ask for a leaver", "%s wants a member who leaves", id)
			}
		}
		t := &ts[i]
		if t.Capture == "" || t.Severity == "" || t.Main == "" || len(t.Topics) == 0 && !t.Hidden {
			ps.Add(t.At, "state capture, severity, main and topics (T1 to T24)", "story %s leaves out what a measurement needs", t.ID)
		}
	}
	return &Stories{ts, more}, ps.Err()
}

// Tales lists them like the shipped ones; nil has none.
func (s *Stories) Tales() []TaleInfo {
	if s == nil {
		return nil
	}
	return infos(s.tales)
}

// check tries every amount, so that a mistake in a file shows when it is loaded.
func (t *tale) check(ps *source.Problems, words *wording) {
	in := &instance{tale: t, r: rand.New(rand.NewPCG(1, 1)), values: map[string]float64{}}
	bad := func(format string, args ...any) {
		ps.Add(t.At, "an amount is a number, a draw, a range or two of them joined by * / +", t.ID.Value+": "+format, args...)
	}
	for _, name := range drawNames(t) {
		if _, err := parseRange(t.Draws[name]); err != nil {
			bad("draw %s: %v", name, err)
		}
		in.values[name] = 1
	}
	if v, _, err := amount(t.Each); t.Each != "" && (err != nil || v < 1) {
		bad("each is a number of member-days, not %q", t.Each)
	}
	if t.Main != "" && len(t.Parts)+len(t.Changes) > 0 && t.Draws[t.Main] == "" {
		bad("main names no draw: %q", t.Main)
	}
	try := func(texts ...string) {
		for _, x := range texts {
			if a, b, ok := strings.Cut(strings.ReplaceAll(x, ">=", "<"), "<"); ok {
				if _, err := in.value(b, in.r); err != nil {
					bad("%v", err)
				}
				x = a
			}
			if _, err := in.value(x, in.r); x != "" && err != nil {
				bad("%v", err)
			}
		}
	}
	var steps func(list []stepSpec)
	steps = func(list []stepSpec) {
		for i := range list {
			s := &list[i]
			try(s.Life, s.Agents, s.Error, s.Wait, s.Loop, s.Times, s.Share, s.If, s.Once, s.Gap, s.Took, s.Fails, s.Size, s.Result, s.Tokens, s.Scale, s.Length, s.Lines, s.Slow, s.Other)
			words.named(ps, s)
			if s.To != "" && (s.Call != "send" || s.Name != "") {
				bad("to: %s needs call: send without a name, so that a tool that names its recipient is chosen", s.To)
			}
			steps(s.Do)
		}
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		try(p.Members, p.Spread, p.Day, p.Sessions, p.Over, p.Every, p.Hour, p.Leaving, p.Late, p.Repeat, p.If)
		steps(p.Steps)
	}
	for i := range t.Changes {
		c := &t.Changes[i]
		try(c.Members, c.Spread, c.Day, c.For, c.Amount, c.Hour, c.Once, c.Times, c.Every)
	}
	try(t.Span)
}

func drawNames(t *tale) []string {
	var names []string
	for n := range t.Draws {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
