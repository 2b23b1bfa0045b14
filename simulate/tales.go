package simulate

import (
	"embed"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
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

// placeHabits lays habits over the period. They have streams of their own and no
// label, and no story takes notice of them.
func (w *world) placeHabits() {
	days := len(w.staff) * w.days
	list := habits()
	for i := range list {
		h := &list[i]
		each, _, _ := amount(h.Each)
		for n := range max(int(float64(days)/max(each, 1)+0.5), 1) {
			r := org.Stream(w.seed, "habit", h.ID.Value, strconv.Itoa(n))
			in := &instance{tale: h, n: n + 1, seed: w.seed, r: r, day: r.IntN(max(w.days-1, 1))}
			var fit []*staff
			for k := range w.staff {
				if s := &w.staff[k]; w.works(s, in.day) && (h.Personas == nil || slices.Contains(h.Personas, s.persona.Name)) {
					fit = append(fit, s)
				}
			}
			if len(fit) == 0 || w.usesConnectors(h) && len(w.connectors) == 0 {
				continue
			}
			in.drawAll(w)
			lead := fit[r.IntN(len(fit))]
			for k := range h.Parts {
				w.placePart(in, lead, k)
			}
			for k := range h.Changes {
				w.placeChange(in, lead, &h.Changes[k])
			}
		}
	}
}

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

// span is a range to draw from.
type span struct {
	lo, hi     float64
	log, whole bool
}

// amount reads 12, 0.3 or a length of time such as 40s, 12m, 3h, 2d, in seconds.
func amount(s string) (v float64, whole bool, err error) {
	unit, text := 1.0, s
	if n := len(s); n > 1 {
		switch s[n-1] {
		case 's':
			unit, s = 1, s[:n-1]
		case 'm':
			unit, s = 60, s[:n-1]
		case 'h':
			unit, s = 3600, s[:n-1]
		case 'd':
			unit, s = 86400, s[:n-1]
		}
	}
	v, err = strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, false, fmt.Errorf("%q is not an amount", text)
	}
	return v * unit, !strings.Contains(s, ".") && unit == 1, nil
}

func parseRange(s string) (span, error) {
	t, log := strings.CutPrefix(s, "~")
	a, b, ok := strings.Cut(t, "..")
	if !ok {
		return span{}, fmt.Errorf("%q is not a range", s)
	}
	lo, w1, err := amount(a)
	if err != nil {
		return span{}, err
	}
	hi, w2, err := amount(b)
	if err != nil {
		return span{}, err
	}
	if hi < lo || log && lo <= 0 {
		return span{}, fmt.Errorf("%q is an empty range", s)
	}
	return span{lo, hi, log, w1 && w2}, nil
}

func (s span) draw(r *rand.Rand) float64 {
	switch {
	case s.whole && s.log:
		return float64(logint(r, int(s.lo), int(s.hi)))
	case s.whole:
		return float64(between(r, int(s.lo), int(s.hi)))
	case s.log:
		return loguniform(r, s.lo, s.hi)
	}
	return s.lo + (s.hi-s.lo)*r.Float64()
}

// quarter tells in which quarter of the range v lies, from 1.
func (s span) quarter(v float64) int {
	if s.hi <= s.lo {
		return 1
	}
	f := (v - s.lo) / (s.hi - s.lo)
	if s.log {
		f = math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return min(max(int(f*4), 0), 3) + 1
}

// value works out an amount.
func (in *instance) value(text string, r *rand.Rand) (float64, error) {
	for _, op := range "+*/" {
		a, b, ok := strings.Cut(text, string(op))
		if !ok {
			continue
		}
		x, err := in.value(strings.TrimSpace(a), r)
		if err != nil {
			return 0, err
		}
		y, err := in.value(strings.TrimSpace(b), r)
		if err != nil {
			return 0, err
		}
		switch op {
		case '+':
			return x + y, nil
		case '*':
			return x * y, nil
		}
		if y == 0 {
			return 0, nil
		}
		return x / y, nil
	}
	if v, ok := in.values[text]; ok {
		return v, nil
	}
	if strings.Contains(text, "..") {
		s, err := parseRange(text)
		if err != nil {
			return 0, err
		}
		return s.draw(r), nil
	}
	v, _, err := amount(text)
	return v, err
}

// num is value for texts that were checked when the file was loaded.
func (in *instance) num(text string, r *rand.Rand, otherwise float64) float64 {
	if text == "" {
		return otherwise
	}
	v, err := in.value(text, r)
	if err != nil {
		return otherwise
	}
	return v
}

func (in *instance) count(text string, r *rand.Rand, otherwise int) int {
	return int(math.Round(in.num(text, r, float64(otherwise))))
}

// drawAll draws every quantity from a stream of its own, named after the tale,
// the instance and the quantity.
func (in *instance) drawAll(w *world) {
	in.values = map[string]float64{}
	for _, name := range drawNames(in.tale) {
		s, _ := parseRange(in.tale.Draws[name])
		v := s.draw(in.of(name))
		in.values[name] = v
		in.draws = append(in.draws, Draw{name, v})
		if name == in.tale.Main {
			in.quarter = s.quarter(v)
		}
	}
	in.once = map[string]bool{}
}

// chance is a coin that falls the same way wherever the tale names it: a chance,
// or a draw held against a number, as in which<0.4 and which>=0.4.
func (in *instance) chance(w *world, text string) bool {
	if text == "" {
		return true
	}
	if a, b, ok := strings.Cut(text, "<"); ok {
		return in.num(a, in.r, 0) < in.num(b, in.r, 0)
	}
	if a, b, ok := strings.Cut(text, ">="); ok {
		return in.num(a, in.r, 0) >= in.num(b, in.r, 0)
	}
	if v, ok := in.once[text]; ok {
		return v
	}
	r := org.Stream(w.seed, "once", in.tale.ID.Value, strconv.Itoa(in.n), text)
	v := r.Float64() < in.num(text, r, 1)
	in.once[text] = v
	return v
}

// people lists those a part concerns, the lead first. Colleagues come before
// others, in an order drawn once for the story.
func (w *world) people(in *instance, lead *staff, who, members string) []*staff {
	if in.crew == nil {
		r := org.Stream(w.seed, "crew", in.tale.ID.Value, strconv.Itoa(in.n))
		var near, far []*staff
		for _, i := range r.Perm(len(w.staff)) {
			s := &w.staff[i]
			switch {
			case s == lead || s.from < 0:
			case s.Department == lead.Department:
				near = append(near, s)
			default:
				far = append(far, s)
			}
		}
		in.crew = append(append([]*staff{lead}, near...), far...)
	}
	switch who {
	case "second":
		return in.crew[min(1, len(in.crew)-1):][:1]
	case "team":
		return in.crew[:min(max(in.count(members, in.r, 2), 1), len(in.crew))]
	case "all":
		n := len(in.crew)
		if members != "" { // a share of everybody
			n = min(max(int(in.num(members, in.r, 1)*float64(n)+0.5), 1), n)
		}
		return in.crew[:n]
	}
	return in.crew[:1]
}

// placeTale puts a tale into the lives of members.
func (w *world) placeTale(in *instance) string {
	t := in.tale
	if w.usesConnectors(t) && len(w.connectors) == 0 {
		return "the organisation has no connector"
	}
	in.drawAll(w)
	if last := w.days - 5 - in.count(t.Span, in.r, 1); !in.fixed && in.day > last {
		in.day = max(min(14, w.days/3), last)
	}
	in.until = min(in.day+in.count(t.Span, in.r, 1), w.days-1)
	var lead *staff
	if t.Leaver {
		gone := leavers(w.o.Directory, w.end)
		if len(gone) == 0 {
			return "no member leaves in the period"
		}
		lead = &w.staff[gone[w.leaving%len(gone)]]
		w.leaving++
	} else if lead = w.someone(in); lead == nil {
		return nobody
	}
	for i := range t.Parts {
		w.placePart(in, lead, i)
	}
	for i := range t.Changes {
		w.placeChange(in, lead, &t.Changes[i])
	}
	return ""
}

func (w *world) usesConnectors(t *tale) bool {
	var uses func(list []stepSpec) bool
	uses = func(list []stepSpec) bool {
		return slices.ContainsFunc(list, func(s stepSpec) bool { return s.Call != "" && s.On != "local" && s.On != "unlisted" || uses(s.Do) })
	}
	return slices.ContainsFunc(t.Parts, func(p part) bool { return uses(p.Steps) })
}

func (w *world) placePart(in *instance, lead *staff, index int) {
	p := &in.tale.Parts[index]
	if !in.chance(w, p.If) {
		return
	}
	r := in.r
	for k, s := range w.people(in, lead, p.Who, p.Members) {
		day := in.day + in.count(p.Day, r, 0)
		if k > 0 && p.Spread != "" {
			day += between(r, 0, max(in.count(p.Spread, r, 0), 0))
		}
		sessions := max(in.count(p.Sessions, r, 1), 0)
		over := in.count(p.Over, r, sessions)
		run := &telling{in: in, p: p, sessions: sessions}
		var rhythm int64
		for n := range sessions {
			d := w.begin.AddDate(0, 0, day)
			if sessions > 1 && p.Every == "" {
				d = d.AddDate(0, 0, n*over/sessions)
			}
			if p.Friday {
				for d.Weekday() != time.Friday {
					d = d.AddDate(0, 0, 1)
				}
			}
			for !p.Weekend && !p.Friday && (d.Weekday() == time.Saturday || d.Weekday() == time.Sunday) {
				d = d.AddDate(0, 0, 1)
			}
			h := s.persona.Hours
			hour := float64(h.From) + r.Float64()*float64(max(h.To-h.From-1, 1))
			if p.Hour != "" {
				hour = in.num(p.Hour, r, hour) + r.Float64()
			}
			start := clock(d, hour, s.zone)
			if p.Every != "" {
				if n == 0 {
					rhythm = start
				} else {
					rhythm += int64(in.num(p.Every, r, 600)*1000) * 1e6
				}
				start = rhythm
			}
			if p.Leaving != "" {
				start = s.Left.UnixMilli()*1e6 + int64(in.num(p.Leaving, r, 0))*1e9 + int64(n)*int64(20*time.Hour)
			}
			if start < w.begin.UnixNano() || start >= w.end.UnixNano() {
				continue
			}
			w.atTimeQuiet(in, s, time.Unix(0, start).In(s.zone).Format(time.DateOnly), start, p.Quiet || p.Every != "", func(wr *writer) {
				run.session(wr, n)
			})
		}
	}
}

// telling is one part on its way through its sessions.
type telling struct {
	in       *instance
	p        *part
	sessions int
}

func (t *telling) session(wr *writer, n int) {
	p, w := t.p, wr.w
	sc := wr.sc
	if p.Wide {
		sc.folders = append(sc.folders, wr.s.home+wr.s.sep+"Documents")
	}
	if p.Device != "" || p.Account != "" || p.Remote != "" {
		sc.base = w.disguise(t.in, wr.s, p, n)
		if p.Remote != "" {
			sc.folders = nil
		}
	}
	sc.stuck = p.Leaving != ""
	sc.late = int64(t.in.num(p.Late, wr.r, 0) * 1e9)
	sc.repeat = t.in.count(p.Repeat, wr.r, 0)
	t.steps(wr, p.Steps, n)
}

func (t *telling) steps(wr *writer, list []stepSpec, session int) {
	in, r := t.in, wr.r
	for i := range list {
		s := &list[i]
		if !in.chance(wr.w, s.Once) {
			continue
		}
		times := in.count(s.Times, r, 1)
		if s.Share != "" {
			times = share(in.count(s.Share, r, 1), t.sessions, session)
		}
		if s.Loop != "" {
			times = in.count(s.Loop, r, 1)
		}
		for range min(max(times, 0), 2000) {
			if s.If != "" && r.Float64() >= in.num(s.If, r, 1) {
				continue
			}
			if s.Gap != "" {
				wr.add(step{op: opWait, wait: time.Duration(in.num(s.Gap, r, 0)*1000) * time.Millisecond})
			}
			if s.Loop != "" {
				t.steps(wr, s.Do, session)
				continue
			}
			t.step(wr, s)
		}
	}
}

func (t *telling) step(wr *writer, s *stepSpec) {
	in, r, w := t.in, wr.r, wr.w
	role, needs := s.Role, s.Needs
	if role == "" {
		role = "bystander"
	}
	if needs == "" {
		switch {
		case s.Prompt.Value != "":
			needs = "userPrompts"
		case s.Read != "", s.Write != "", s.Edit != "", s.Glob != "", s.Call != "", s.Bash.Value != "", s.Fetch != "", s.Skill != "":
			needs = "toolDetails"
		}
	} else if needs == "none" {
		needs = ""
	}
	wr.as(in, role, needs, s.Shows)
	var st *step
	switch {
	case s.Prompt.Value != "":
		text := wr.phrase(in, s)
		wr.exact = s.Length != ""
		st = wr.prompt(text)
		wr.exact = false
	case s.Life != "":
		wr.life(in.count(s.Life, r, 1))
	case s.Request:
		st = wr.request()
		if s.Scale != "" {
			f := in.num(s.Scale, r, 1)
			st.in, st.out, st.read, st.create = int64(float64(st.in)*f), int64(float64(st.out)*f), int64(float64(st.read)*f), int64(float64(st.create)*f)
		}
	case s.Read != "":
		st = wr.fileCall("Read", wr.place(in, s, s.Read))
	case s.Write != "":
		st = wr.fileCall("Write", wr.place(in, s, s.Write))
	case s.Edit != "":
		st = wr.fileCall("Edit", wr.place(in, s, s.Edit))
	case s.Glob != "":
		st = wr.fileCall([]string{"Glob", "Grep"}[r.IntN(2)], wr.place(in, s, s.Glob))
	case s.Call != "":
		st = wr.connector(in, s)
	case s.Tool != "":
		st = wr.call(step{tool: s.Tool, input: object(512, "url", "https://portal.supplier.example/"+strings.ToLower(wr.s.persona.Name)+"/"+digits(r, 2), "value", digits(r, 4))})
	case s.Bash.Value != "":
		text := ""
		if c := w.p.wording.command(s.Bash.Value); c != nil {
			text = c.command(r, in.count(s.Lines, r, 0))
		} else if s.Bash.Value == "upload" {
			text = oneOf(r, w.p.Uploads)
		} else {
			text = oneOf(r, w.p.Commands)
		}
		st = wr.bash(wr.fillWords(r, s.speaker(in), text))
	case s.Fetch != "":
		st = wr.fetch()
	case s.Agents != "":
		for range in.count(s.Agents, r, 1) {
			wr.subagent(1+r.IntN(3), wr.sc.model)
		}
	case s.Mode != "":
		st = wr.add(step{op: opMode, text: s.Mode, wait: time.Millisecond})
	case s.Plugin != "":
		st = wr.add(step{op: opPlugin, text: s.Plugin, id: w.pluginHash(in, s.Plugin, wr.s), wait: time.Millisecond})
	case s.Skill != "":
		name := s.Skill
		if name == "ordinary" {
			name = oneOf(r, w.skills)
		}
		st = wr.call(step{tool: "Skill", params: object(0, "skill_name", name), input: "{}"})
	case s.Error != "":
		code, attempt := int64(in.count(s.Error, r, 429)), int64(11)
		if r.Float64() < 0.5 {
			attempt = int64(between(r, 1, 6))
		}
		wr.add(step{op: opRequest, wait: time.Millisecond, dur: seconds(r, 6, 0.6, 90), id: ident(r, "req_011", 21), model: wr.sc.model, query: "sdk", status: code, attempt: attempt})
	case s.Refusal:
		st = wr.add(step{op: opRefusal, wait: 300 * time.Millisecond, id: ident(r, "req_011", 21), model: oneOf(r, w.models)})
	case s.Wait != "":
		wr.add(step{op: opWait, wait: time.Duration(in.num(s.Wait, r, 1)*1000) * time.Millisecond})
	}
	if st == nil {
		return
	}
	if s.Ask != "" {
		switch s.Ask {
		case "grant":
			st.force = []string{"user_temporary", "user_permanent"}[r.IntN(2)]
		case "either":
			st.force = []string{"config", "user_temporary"}[r.IntN(2)]
		default:
			st.force = s.Ask
		}
		st.ask = seconds(r, 4, 0.6, 120)
		if s.Took != "" {
			st.ask = max(time.Duration(in.num(s.Took, r, 1)*1000)*time.Millisecond, time.Millisecond)
		}
	} else if st.op == opTool {
		st.u = 1 // a piece of a story is never turned away by chance
	}
	if s.Fails != "" {
		st.fail, st.failText = "", ""
		if r.Float64() < in.num(s.Fails, r, 0) {
			st.fail, st.failText = "Error:EACCES", "permission denied"
			if st.server != "" {
				st.fail, st.failText = "McpToolCallError", "upstream returned an error"
			}
		}
	}
	if s.Size != "" {
		st.size = int64(in.num(s.Size, r, 0))
	}
	if s.Result != "" {
		st.result = int64(in.num(s.Result, r, 0))
	}
	if s.Slow != "" {
		st.dur = time.Duration(float64(st.dur) * in.num(s.Slow, r, 1)).Truncate(time.Millisecond)
	}
	if s.Tokens != "" {
		wr.fresh += in.num(s.Tokens, r, 0)
	}
	if st.op == opPrompt { // every prompt is answered, unless the model refuses
		wr.as(in, "bystander", "", false)
		wr.request()
	}
	if st.op == opTool && r.Float64() < 0.5 { // the model answers in between
		wr.as(in, "bystander", "", false)
		wr.request()
	}
}

// phrase is a prompt of a story, in words that ordinary members use too.
func (wr *writer) phrase(in *instance, s *stepSpec) string {
	r := wr.r
	texts, under, rows := wr.s.persona.Prompts, s.Paste.Value, in.count(s.Lines, r, 0)
	if e := wr.w.p.wording.errand(s.Prompt.Value); e != nil {
		texts = e.Prompts
		if under == "" {
			under = e.Paste
		}
		if x, err := parseRange(e.Rows); err == nil && s.Lines == "" {
			rows = int(x.draw(r))
		}
	}
	n := in.count(s.Length, r, 0)
	text := oneOf(r, texts)
	if n > 0 { // one that is not too long; none is cut
		var fit []string
		for _, t := range texts {
			if len(t) <= n {
				fit = append(fit, t)
			}
		}
		if text = slices.MinFunc(texts, func(a, b string) int { return len(a) - len(b) }); fit != nil {
			text = oneOf(r, fit)
		}
	}
	if p := wr.w.p.wording.paste(under); p != nil {
		text = pasted(r, text, p, rows)
	} else if s.Lines != "" { // so many are spoken of
		text = strings.ReplaceAll(text, "{n}", strconv.Itoa(rows))
	}
	text = wr.fillWords(r, s.speaker(in), text)
	if more := n - len(text) - 1; more > 0 {
		text = wr.longer(text, " ", more)
	}
	return text
}

// speaker is the story, where the keys it speaks of are live.
func (s *stepSpec) speaker(in *instance) *instance {
	if s.Live {
		return in
	}
	return nil
}

// peopleFolders hold what the people team works with.
var peopleFolders = []string{"Reviews", "Pay", "Cases", "Absence"}

// mounted is the company's share as the machine that Cowork runs in names it.
func (s *staff) mounted(r *rand.Rand) string {
	return "/sessions/" + strings.ToLower(s.persona.Name) + "-" + digits(r, 3) + "/mnt/company"
}

// place is the path a step reads or writes.
func (wr *writer) place(in *instance, s *stepSpec, where string) string {
	r, sep := wr.r, wr.s.sep
	if s.Other != "" && r.Float64() < in.num(s.Other, r, 0) {
		where = "other"
	}
	name := fill(r, oneOf(r, wr.s.persona.Files), "", "", wr.day)
	home := wr.s.home + sep
	switch where {
	case "own":
		return wr.folder + sep + wr.file
	case "sibling":
		return wr.folder + sep + name
	case "other": // a folder of other people's work, below the same root
		p := &wr.w.p.Personas[r.IntN(len(wr.w.p.Personas))]
		for p.Name == wr.s.persona.Name {
			p = &wr.w.p.Personas[r.IntN(len(wr.w.p.Personas))]
		}
		return wr.s.path(home+"Documents", oneOf(r, p.Folders)) + sep + fill(r, oneOf(r, p.Files), "", "", wr.day)
	case "fresh": // one folder new to the member, the same for the whole story
		return wr.s.path(home+"Documents", "Projects/new-"+strconv.Itoa(in.n)) + sep + name
	case "people":
		return wr.s.path(wr.s.mount, "People/"+oneOf(r, peopleFolders)) + sep + name
	case "keys":
		return wr.s.path(wr.s.home, oneOf(r, []string{".ssh/id_ed25519", ".aws/credentials", ".config/gh/hosts.yml", ".netrc", ".kube/config"}))
	case "sample-keys":
		return wr.folder + sep + oneOf(r, []string{".env.example", ".env.sample", ".env.template"})
	case "app":
		return wr.s.path(wr.s.application(), oneOf(r, []string{"skills", "tmp"})+"/"+oneOf(r, wr.w.p.Skills)+".md")
	case "mounted": // as the machine that Cowork runs in names a folder of the company
		return wr.s.mounted(r) + "/" + oneOf(r, wr.s.persona.Folders) + "/" + name
	case "remount": // the same folder under another prefix
		return strings.Replace(wr.folder, home+"Documents", wr.s.path(wr.s.mount, "Relocated"), 1) + sep + name
	case "team": // the shared team folder; kept names link members
		return wr.s.path(wr.s.mount, "Team/Exchange") + sep + in.shared(wr.w, r)
	case "note":
		return wr.folder + sep + oneOf(r, []string{"CLAUDE.md", "MEMORY.md", "notes.md"})
	}
	return wr.folder + sep + where
}

// shared is one of the files that a story's members pass on to each other.
func (in *instance) shared(w *world, r *rand.Rand) string {
	f := in.r0(w, "files")
	n := max(int(in.values["bundles"]), 1)
	k := r.IntN(n)
	name := ""
	for range k + 1 {
		name = "bundle-" + digits(f, 5) + ".zip"
	}
	return name
}

// connector writes a call of a connector or server.
func (wr *writer) connector(in *instance, s *stepSpec) *step {
	w, r := wr.w, wr.r
	server, tool, scope := "", s.Name, "claudeai"
	kind := s.Call
	if s.To != "" {
		kind = "address"
	}
	switch s.On {
	case "local":
		server, scope = in.server(w, true), "user"
	case "unlisted":
		server, scope = in.server(w, false), "user"
	case "marked":
		server = w.pickServer(in.r0(w, "marked"), func(t org.Tool) bool { return fits(t, "read") }, true)
	case "longer":
		server = w.pickServer(in.r0(w, "server"), func(t org.Tool) bool { return fits(t, s.Call) }, false)
		tool = w.toolOf(r, server, s.Call)
		server += "-workspace"
	case "builtin":
		server, scope = "desktop-tools", "dynamic"
	default:
		// One story keeps to one server for each kind of call.
		want := func(t org.Tool) bool { return fits(t, kind) }
		if named := func(t org.Tool) bool { return t.Name == s.Name }; w.has(named) {
			want = named
		}
		if pick := in.r0(w, "server-"+kind); in.tale.Each == "" {
			server = w.pickServer(pick, want, false)
		} else if server = wr.liked(pick, want); server == "" { // nobody begins to use a connector by habit
			return nil
		}
	}
	if tool == "" {
		switch {
		case s.On == "local" || s.On == "unlisted" || s.On == "builtin":
			tool = oneOf(r, w.p.ServerTools)
		case s.On == "marked" && s.Call == "write":
			tool = oneOf(r, []string{"update_record", "create_record", "delete_record"})
		default:
			tool = w.toolOf(r, server, kind)
		}
	}
	st := wr.mcp(server, tool, scope, s.To)
	if s.On == "builtin" {
		st.toolSource = "sdk_host_builtin_mcp"
	}
	return st
}

// r0 is a stream that gives the same draws wherever the story asks.
func (in *instance) r0(w *world, what string) *rand.Rand {
	return org.Stream(w.seed, "fixed", in.tale.ID.Value, strconv.Itoa(in.n), what)
}

// server is a local server; the approved ones are those the organisation lists.
func (in *instance) server(w *world, approved bool) string {
	r := in.r0(w, "local")
	for range 40 {
		if s := oneOf(r, w.p.Servers); slices.Contains(w.o.LocalServers, s) == approved || len(w.o.LocalServers) == 0 {
			return s
		}
	}
	return w.p.Servers[0]
}

var callWords = map[string][]string{
	"send":   {"send", "share", "post", "upload", "forward", "reply", "add_comment"},
	"search": {"search", "query", "list", "find"},
}

// has reports that an enabled connector has a wanted tool.
func (w *world) has(want func(org.Tool) bool) bool {
	return slices.ContainsFunc(w.connectors, func(c connector) bool { return slices.ContainsFunc(c.tools, want) })
}

// liked is a connector that the member uses and that has a wanted tool, or "".
func (wr *writer) liked(r *rand.Rand, want func(org.Tool) bool) string {
	var fit []string
	for _, c := range wr.sc.likes {
		if slices.ContainsFunc(c.tools, want) {
			fit = append(fit, c.name)
		}
	}
	if fit == nil {
		return ""
	}
	return oneOf(r, fit)
}

// pickServer picks a connector with a wanted tool. marked asks for one whose
// tools all only read.
func (w *world) pickServer(r *rand.Rand, want func(org.Tool) bool, marked bool) string {
	var fit []connector
	for _, c := range w.connectors {
		reads := !slices.ContainsFunc(c.tools, func(t org.Tool) bool { return !t.ReadOnly })
		if marked && !reads {
			continue
		}
		if slices.ContainsFunc(c.tools, want) {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		fit = w.connectors
	}
	return fit[r.IntN(len(fit))].name
}

func (w *world) toolOf(r *rand.Rand, server, kind string) string {
	for _, c := range w.connectors {
		if c.name != server {
			continue
		}
		var fit []string
		for _, t := range c.tools {
			if fits(t, kind) {
				fit = append(fit, t.Name)
			}
		}
		if len(fit) > 0 {
			return oneOf(r, fit)
		}
		return c.tools[r.IntN(len(c.tools))].Name
	}
	return map[string]string{"send": "send_message", "address": "send_message", "write": "create_item", "search": "search"}[kind]
}

func fits(t org.Tool, kind string) bool {
	switch kind {
	case "read":
		return t.ReadOnly && !slices.ContainsFunc(callWords["search"], func(p string) bool { return strings.HasPrefix(t.Name, p) })
	case "write":
		return t.Write
	case "any":
		return true
	case "address":
		return recipientKey(t.Name) != ""
	}
	return slices.ContainsFunc(callWords[kind], func(p string) bool { return strings.HasPrefix(t.Name, p) })
}

// secrets are words of texts that stand for invented secrets and for numbers that
// only look like them. Plain is what careful people write in their place.
var secrets = []struct {
	word  string
	plain []string
	make  func(wr *writer, r *rand.Rand, in *instance) string
}{
	{"{key}", []string{"$VENDOR_KEY"}, func(wr *writer, _ *rand.Rand, in *instance) string { return credential(in.r0(wr.w, "key")) }},
	{"{firmkey}", []string{"$LEDGER_KEY"}, func(wr *writer, _ *rand.Rand, _ *instance) string {
		return credential(org.Stream(wr.w.seed, "firm's key"))
	}},
	{"{secret}", []string{"in the vault", "in the settings", "the one of last month"}, func(wr *writer, _ *rand.Rand, in *instance) string { return credential(in.r0(wr.w, "key")) }},
	{"{testcard}", []string{"$TEST_CARD", "$SAMPLE_CARD"}, func(_ *writer, r *rand.Rand, _ *instance) string {
		return oneOf(r, []string{"4111111111111111", "4242424242424242", "5555555555554444", "378282246310005"})
	}},
	{"{testkey}", []string{"$VENDOR_TEST_KEY"}, func(_ *writer, r *rand.Rand, _ *instance) string {
		return oneOf(r, []string{"AKIAIOSFODNN7EXAMPLE", "sk_test_4eC39HqLyjWDarjtT1zdp7dc"})
	}},
	{"{order}", nil, func(_ *writer, r *rand.Rand, _ *instance) string { return digits(r, between(r, 13, 19)) }},
	{"{six}", nil, func(_ *writer, r *rand.Rand, _ *instance) string { return digits(r, 6) }},
	{"{four}", nil, func(_ *writer, r *rand.Rand, _ *instance) string { return digits(r, 4) }},
	{"{hash}", nil, func(_ *writer, r *rand.Rand, _ *instance) string { return hex64(r)[:40] }},
	{"{badid}", nil, func(_ *writer, r *rand.Rand, _ *instance) string { return "000-00-" + digits(r, 4) }},
}

// pluginHash names a plugin: a known one of the organisation, the member's own,
// or one from outside that is the same throughout a story.
func (w *world) pluginHash(in *instance, kind string, s *staff) string {
	switch kind {
	case "known":
		return PluginHash(w.seed, "claims-kit")
	case "own":
		return hex64(org.Stream(w.seed, "plugin", "own", s.ID))[:16]
	case "spread": // one from outside that others here have tried as well
		return hex64(org.Stream(w.seed, "plugin", "spread"))[:16]
	}
	return hex64(in.r0(w, "plugin-"+kind))[:16]
}

// disguise is what the records of a session carry when it runs elsewhere.
func (w *world) disguise(in *instance, s *staff, p *part, n int) *event.Event {
	b := s.base
	r := in.r0(w, "device")
	if p.Device != "" {
		b.UserID = hex64(r)
		b.OS = map[string]string{"darwin": "windows", "windows": "darwin"}[b.OS]
		b.Extra = hostAttrs(b.OS)
	}
	if p.Account != "" {
		b.Account, b.AccountID = uuid(r), ident(r, "user_01", 22)
	}
	if p.Remote != "" {
		fresh := in.r0(w, "container-"+strconv.Itoa(n))
		b.Surface, b.OS, b.ServiceVersion, b.Terminal, b.UserID = "remote", "linux", "2.1.201", "linux", hex64(fresh)
		b.DeploymentMode, b.Extra = "", containerAttrs(fresh, cloudImage)
		b.Has = b.Has&^event.FHostPaths | event.FSurface
		if p.Remote == "anonymous" {
			b.Email, b.Account, b.AccountID = "", "", ""
			b.Has &^= event.FEmail | event.FAccount
		}
	}
	return &b
}
