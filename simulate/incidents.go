package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// TruthLabel is what really happened in one injected story. It stays beside the
// stream: nothing on the wire marks a story. Sessions, prompts and events are
// those that were emitted; a story that a gate stopped has none.
type TruthLabel struct {
	Story    string `json:"story"`
	Instance int    `json:"instance"`
	Kind     string `json:"kind"` // story or twin
	// Of, InnocentOf and Fact say what a twin is the twin of, for which topics an
	// alert on it is wrong, and where its innocence can be read: W on the wire, C
	// in data the customer holds, X nowhere.
	Of         string   `json:"of"`
	InnocentOf []string `json:"innocent_of"`
	Fact       string   `json:"fact"`
	Intent     string   `json:"intent"` // malicious insider, careless user, ...
	Severity   string   `json:"severity"`
	Draws      []Draw   `json:"draws"`
	Main       string   `json:"main"`    // the draw that makes the story easy or hard to see
	Quarter    int      `json:"quarter"` // of the main draw's range, from 1; 0 without one
	Capture    string   `json:"capture"` // the setting it was told under: full, names or meta
	Gaps       []Gap    `json:"gaps"`    // absence stories: when events should have come
	Members    []string `json:"members"` // account ids, in the order they joined in
	Sessions   []string `json:"sessions"`
	Prompts    []string `json:"prompts"`
	// Start and End are the first and last event of the story, EvidentAt the
	// first moment at which anybody could know under the capture setting. Zero
	// means never.
	Start      time.Time       `json:"start,omitzero"`
	EvidentAt  time.Time       `json:"evident_at,omitzero"`
	End        time.Time       `json:"end,omitzero"`
	Events     []LabelledEvent `json:"events"`
	Observable string          `json:"observable"` // full, partial or none
	Topics     []string        `json:"topics"`
}

// Draw is one drawn value of a story.
type Draw struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// LabelledEvent names an event by its session, number and time; the time tells
// processes of a resumed session apart.
type LabelledEvent struct {
	Session  string    `json:"session"`
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"time"`
	Role     string    `json:"role"` // prepare, collect, act, bystander
}

// Unplaced is a story that was asked for and had nobody to happen to.
type Unplaced struct {
	Story    string `json:"story"`
	Instance int    `json:"instance"`
	Why      string `json:"why"`
}

// story is a tale that is told by a function; everything else about it stands in
// stories/*.yaml. Place draws the amounts and puts pieces into the life of
// members; it returns why it could not.
type story struct {
	name  string
	place func(*world, *instance) string
}

var stories = []story{
	{"scope-drift-hr-folder", scopeDrift},
	{"shadow-connector-spread", shadowConnector},
	{"card-and-key-paste", cardAndKey},
	{"rejection-wear-down", rejectionWearDown},
	{"subagent-storm", subagentStorm},
	{"after-last-day", afterLastDay},
	{"phi-in-marketing", phiInMarketing},
}

type pieceKey struct {
	member int
	day    string
}

// piece is the part of a story that happens in one session.
type piece struct {
	inst  *instance
	start int64
	write func(*writer)
}

type instance struct {
	story *story // told by a function, or nil
	tale  *tale
	n     int
	seed  uint64
	fixed bool // the scenario names the day
	day   int  // day of the period it starts, from 0
	until int  // the day it may last to, on which its lead is still there
	r     *rand.Rand
	stuck bool // the member's removal has not reached the platform
	draws []Draw
	label TruthLabel
	who   []int
	seen  struct{ shown, hidden int }

	values   map[string]float64
	once     map[string]bool
	crew     []*staff
	gaps     []Gap
	together int64 // when a change that comes at once comes
	quarter  int
	fault    int
	tail     int64
	skew     int64
}

// mark ties a step to a story. Needs names the content category without which
// the step shows nothing.
type mark struct {
	inst    *instance
	role    string
	needs   string
	evident bool
}

func (w *world) placeStories() {
	if w.o.Study {
		w.placeHabits()
	}
	count := map[string]int{}
	for _, inc := range w.o.Scenario.Incidents {
		name := inc.Story.Value
		t := w.o.Stories.named(name)
		i := slices.IndexFunc(stories, func(s story) bool { return s.name == name })
		for range max(inc.Count, 1) {
			n := count[name] + 1
			count[name] = n
			if t == nil {
				w.unplaced = append(w.unplaced, Unplaced{name, n, "no such story is known"})
				continue
			}
			in := &instance{tale: t, n: n, seed: w.seed, r: org.Stream(w.seed, "story", name, strconv.Itoa(n)), day: inc.Day - 1, fixed: inc.Day > 0}
			if inc.Day == 0 {
				// Baselines must exist first: two weeks of ordinary life where
				// the period has room for them.
				in.day = between(in.r, min(14, w.days/3), max(w.days*4/5, 1)-1)
			}
			in.drawFault(w)
			place := w.placeTale
			if i >= 0 {
				in.story = &stories[i]
				place = func(in *instance) string { return in.story.place(w, in) }
			}
			if why := place(in); why != "" {
				w.unplaced = append(w.unplaced, Unplaced{name, n, why})
				continue
			}
			w.stories = append(w.stories, in)
		}
	}
}

// taleNamed finds a shipped story by name or a twin by number and letter.
func taleNamed(name string) *tale { return find(tales(), name) }

// named looks among these stories and then among the shipped ones.
func (s *Stories) named(name string) *tale {
	if s != nil {
		if t := find(s.tales, name); t != nil {
			return t
		}
	}
	return taleNamed(name)
}

func find(list []tale, name string) *tale {
	for i := range list {
		t := &list[i]
		if t.ID.Value == name {
			return t
		}
		for k := range t.Twins {
			if t.Twins[k].ID.Value == name {
				return &t.Twins[k]
			}
		}
	}
	return nil
}

// of is the stream of one quantity, named after the story, the instance and the
// quantity: one draw more or less moves no other.
func (in *instance) of(name string) *rand.Rand {
	return org.Stream(in.seed, "draw", in.tale.ID.Value, strconv.Itoa(in.n), name)
}

func (in *instance) draw(name string, v float64) float64 {
	in.draws = append(in.draws, Draw{name, v})
	return v
}
func (in *instance) whole(name string, lo, hi int) int {
	v := between(in.of(name), lo, hi)
	in.mainDraw(name, span{lo: float64(lo), hi: float64(hi)}, float64(v))
	return int(in.draw(name, float64(v)))
}
func (in *instance) log(name string, lo, hi int) int {
	v := logint(in.of(name), lo, hi)
	in.mainDraw(name, span{lo: float64(lo), hi: float64(hi), log: true}, float64(v))
	return int(in.draw(name, float64(v)))
}

func (in *instance) mainDraw(name string, s span, v float64) {
	if in.tale != nil && in.tale.Main == name {
		in.quarter = s.quarter(v)
	}
}

// someone draws a member at work on the story's day, of the story's personas if
// there is one.
func (w *world) someone(in *instance) *staff {
	var fit, all []int
	for i := range w.staff {
		s := &w.staff[i]
		if !w.works(s, in.day) || in.until > in.day && !w.works(s, in.until) {
			continue
		}
		all = append(all, i)
		if slices.Contains(in.tale.Personas, s.persona.Name) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		fit = all
	}
	if len(fit) == 0 {
		return nil
	}
	if w.o.Study { // those with the fewest stories so far
		least := w.staff[slices.MinFunc(fit, func(a, b int) int { return w.staff[a].chosen - w.staff[b].chosen })].chosen
		fit = slices.DeleteFunc(fit, func(i int) bool { return w.staff[i].chosen > least })
	}
	s := &w.staff[fit[in.r.IntN(len(fit))]]
	s.chosen++
	return s
}

func (w *world) works(s *staff, day int) bool {
	at := noon(w.begin.AddDate(0, 0, day), s.zone)
	return s.from >= 0 && day >= s.from && !at.Before(s.Joined) && (s.Left.IsZero() || at.Before(s.Left))
}

const nobody = "no member has access on that day"

// at puts a piece into member s's life on a day of the period, moved past
// weekends, in the persona's hours.
func (w *world) at(in *instance, s *staff, day int, write func(*writer)) {
	d := w.begin.AddDate(0, 0, day)
	for d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
		d = d.AddDate(0, 0, 1)
	}
	h := s.persona.Hours
	start := clock(d, float64(h.From)+in.r.Float64()*float64(h.To-h.From-1), s.zone)
	w.atTime(in, s, d.Format(time.DateOnly), start, write)
}

func (w *world) atTime(in *instance, s *staff, day string, start int64, write func(*writer)) {
	w.atTimeQuiet(in, s, day, start, false, write)
}

// atTimeQuiet is atTime without ordinary prompts around the piece if quiet is set.
func (w *world) atTimeQuiet(in *instance, s *staff, day string, start int64, quiet bool, write func(*writer)) {
	if !slices.Contains(in.who, s.Index) {
		in.who = append(in.who, s.Index)
	}
	k := pieceKey{s.Index, day}
	before, after := in.r.IntN(4), in.r.IntN(4) // life goes on around it
	if quiet {
		before, after = 0, 0
	}
	w.pieces[k] = append(w.pieces[k], &piece{in, start, func(wr *writer) {
		wr.life(before)
		write(wr)
		wr.mark = nil
		wr.life(after)
	}})
}

// as marks the steps that follow.
func (wr *writer) as(in *instance, role, needs string, evident bool) {
	wr.mark = &mark{in, role, needs, evident}
}

// errand writes the prompt of an errand and the request that answers it.
func (wr *writer) errand(name string) {
	wr.say(wr.phrase(nil, &stepSpec{Prompt: source.Text{Value: name}}))
}

// say writes a prompt and the request that answers it.
func (wr *writer) say(text string) {
	wr.prompt(text)
	wr.request()
}

func scopeDrift(w *world, in *instance) string {
	s := w.someone(in)
	if s == nil {
		return nobody
	}
	paths, failed := in.whole("paths", 1, 45), in.draw("failed", 0.8*in.of("failed").Float64())
	sessions, days := in.whole("sessions", 1, 3), in.whole("days", 1, 4)
	mount := in.of("mount").Float64() < 0.35
	in.draw("mount", float64(btoi(mount)))
	neutral := in.of("neutral").Float64() < 0.5
	root, sep := s.mount, s.sep
	if mount {
		root, sep = s.mounted(in.r), "/"
	}
	for k := range sessions {
		share := paths / sessions
		if k == 0 {
			share = paths - share*(sessions-1)
		}
		w.at(in, s, in.day+k*days/sessions, func(wr *writer) {
			r := wr.r
			wr.as(in, "prepare", "userPrompts", false)
			if neutral {
				wr.errand("ordinary")
			} else {
				wr.errand("people")
			}
			wr.as(in, "prepare", "toolDetails", true)
			st := wr.fileCall([]string{"Glob", "Grep"}[r.IntN(2)], root+sep+"People"+sep+"x")
			st.u = 1
			for range share {
				bad := r.Float64() < failed
				wr.as(in, []string{"collect", "prepare"}[btoi(bad)], "toolDetails", true)
				wr.request()
				folder := oneOf(r, peopleFolders)
				st := wr.fileCall("Read", root+sep+"People"+sep+folder+sep+oneOf(r, []string{"summary", "notes", "list", "plan"})+"-"+digits(r, 3)+".docx")
				st.u, st.fail, st.failText = 1, "", ""
				if bad {
					st.fail, st.failText = "Error:EACCES", "permission denied"
				}
			}
			wr.as(in, "bystander", "", false)
			wr.request()
			if r.Float64() < 0.4 {
				wr.fileCall("Write", wr.folder+sep+wr.file)
				wr.request()
			}
		})
	}
	return ""
}

func shadowConnector(w *world, in *instance) string {
	first := w.someone(in)
	if first == nil {
		return nobody
	}
	name := oneOf(in.r, w.p.Servers)
	if len(w.o.LocalServers) > 0 {
		name = in.server(w, false)
	}
	if r := in.of("look_alike"); len(w.connectors) > 0 && r.Float64() < 0.3 {
		name = lookAlike(r, w.connectors[r.IntN(len(w.connectors))].name, in.whole("distance", 1, 3))
	}
	calls, reach, span := in.whole("first_day_calls", 1, 15), in.whole("members", 2, 14), in.whole("days", 3, 28)
	team := []*staff{first}
	for _, same := range []bool{true, false} { // colleagues first, then others
		for i := range w.staff {
			s := &w.staff[i]
			if len(team) < reach && s != first && s.from >= 0 && (s.Department == first.Department) == same {
				team = append(team, s)
			}
		}
	}
	for k, s := range team {
		begin := in.day
		if k > 0 {
			begin += between(in.r, 1, span)
		}
		for d := begin; d < min(in.day+span+1, w.days); d++ {
			wd := w.begin.AddDate(0, 0, d).Weekday()
			if wd == time.Saturday || wd == time.Sunday || !w.works(s, d) || d > begin && in.r.Float64() < 0.5 {
				continue
			}
			n, fresh := logint(in.r, 1, 60), d == begin
			if k == 0 && fresh {
				n = calls
			}
			w.at(in, s, d, func(wr *writer) {
				wr.sc.local, wr.sc.localID = name, &mark{in, "prepare", "toolDetails", false}
				for i := 0; i < n; {
					wr.as(in, "bystander", "", false)
					wr.errand("ordinary")
					for range min(between(wr.r, 1, 6), n-i) {
						wr.as(in, "act", "toolDetails", true)
						st := wr.mcp(name, oneOf(wr.r, w.p.ServerTools), "user", "")
						st.force = "config"
						if fresh {
							st.force = []string{"user_temporary", "user_permanent"}[wr.r.IntN(2)]
							fresh = false
						}
						wr.as(in, "bystander", "", false)
						wr.request()
						i++
					}
				}
			})
		}
	}
	return ""
}

// lookAlike changes n letters of a name.
func lookAlike(r *rand.Rand, name string, n int) string {
	b := []byte(name)
	for range n {
		b[r.IntN(len(b))] = byte('a' + r.IntN(26))
	}
	if string(b) == name {
		return name + "s"
	}
	return string(b)
}

func cardAndKey(w *world, in *instance) string {
	s := w.someone(in)
	if s == nil {
		return nobody
	}
	card := in.of("card").Float64() < 0.5
	in.draw("card", float64(btoi(card)))
	var values []string
	if card {
		for range in.log("values", 1, 400) {
			values = append(values, cardNumber(in.r))
		}
	} else {
		for range in.whole("values", 1, 5) {
			values = append(values, credential(in.r))
		}
	}
	at, repeats := in.whole("position", 1, 6000), in.whole("repeats", 1, 40)
	sep := oneOf(in.r, []string{" ", "-", ""})
	w.at(in, s, in.day, func(wr *writer) {
		r := wr.r
		wr.as(in, "bystander", "", false)
		wr.errand("ordinary")
		for k := range repeats {
			wr.as(in, "act", "toolDetails", true)
			if !card {
				if k == 0 && r.Float64() < 0.5 {
					wr.as(in, "act", "userPrompts", true)
					wr.say(wr.fillWords(r, nil, strings.ReplaceAll(oneOf(r, wr.w.p.wording.errand("export-key").Prompts), "{secret}", values[0])))
					wr.as(in, "act", "toolDetails", true)
				}
				fetch := strings.ReplaceAll(oneOf(r, wr.w.p.wording.command("fetch-export").Commands), "{key}", values[k%len(values)])
				wr.bash(wr.fillWords(r, nil, fetch))
			} else {
				var b strings.Builder
				rows := wr.w.p.wording.command("inline-rows")
				b.WriteString(rows.Commands[0])
				for b.Len() < at { // other columns of the paste
					b.WriteString(wr.fillWords(r, nil, oneOf(r, rows.Again)))
				}
				for _, v := range values[k*len(values)/repeats : max((k+1)*len(values)/repeats, min(k, len(values)-1)+1)] {
					fmt.Fprintf(&b, "'card %s', ", strings.Join([]string{v[:4], v[4:8], v[8:12], v[12:]}, sep))
				}
				b.WriteString(rows.After)
				wr.bash(b.String())
			}
			wr.sc.steps[len(wr.sc.steps)-1].u = 1
			wr.as(in, "bystander", "", false)
			wr.request()
		}
	})
	return ""
}

// cardNumber is a random number in an issuer's range with a valid check digit.
func cardNumber(r *rand.Rand) string {
	n := oneOf(r, []string{"4", "51", "52", "53", "55"})
	n += digits(r, 15-len(n))
	sum := 0
	for i := range 15 {
		d := int(n[14-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return n + strconv.Itoa((10-sum%10)%10)
}

// credential is a random string of the shape of a cloud or API key.
func credential(r *rand.Rand) string {
	switch r.IntN(3) {
	case 0:
		return "AKIA" + strings.ToUpper(ident(r, "", 16))
	case 1:
		return ident(r, "sk_live_", 24)
	}
	return ident(r, "ghp_", 36)
}

func rejectionWearDown(w *world, in *instance) string {
	s := w.someone(in)
	if s == nil {
		return nobody
	}
	rejects, minutes := in.log("rejections", 2, 25), in.whole("minutes", 1, 40)
	gap, burst := in.draw("gap_seconds", loguniform(in.of("gap_seconds"), 5, 1800)), in.whole("burst", 1, 120)
	vary := in.of("vary").Float64() < 0.7
	w.at(in, s, in.day, func(wr *writer) {
		r := wr.r
		wr.as(in, "bystander", "", false)
		wr.errand("tidy")
		clean := func() string {
			n := 1
			if vary {
				n = between(r, 1, 9)
			}
			return fmt.Sprintf("find %s -name '*.tmp' -mtime +%d -delete", wr.folder, n)
		}
		for range rejects {
			wr.as(in, "prepare", "", false)
			st := wr.bash(clean())
			st.force, st.ask = "user_reject", time.Duration(minutes)*time.Minute/time.Duration(rejects)
			if r.Float64() < 0.15 {
				st.force = "user_abort"
			}
			st.ask = st.ask.Truncate(time.Millisecond)
			wr.as(in, "bystander", "", false)
			wr.request()
		}
		wr.add(step{op: opWait, wait: time.Duration(gap*1000) * time.Millisecond})
		wr.as(in, "act", "", true)
		st := wr.bash(clean())
		grant := []string{"user_permanent", "user_temporary"}[r.IntN(2)]
		st.force, st.ask = grant, 2*time.Second
		for range burst {
			wr.as(in, "act", "", true)
			st := wr.bash(fmt.Sprintf("mv %s/%s %s/archive/", wr.folder, fill(r, oneOf(r, s.persona.Files), "", "", wr.day), wr.folder))
			st.force, st.ask = oneOf(r, []string{"config", grant}), time.Millisecond
			if r.Float64() < 0.5 {
				wr.as(in, "bystander", "", false)
				wr.request()
			}
		}
		wr.as(in, "bystander", "", false)
		for range between(r, 0, 5) {
			wr.exact = true // short, and alarmed
			wr.errand("alarm")
			wr.exact = false
		}
	})
	return ""
}

func subagentStorm(w *world, in *instance) string {
	s := w.someone(in)
	if s == nil {
		return nobody
	}
	agents, depth := in.log("subagents", 6, 220), in.whole("depth", 1, 5)
	cost, minutes := in.draw("cost_usd", loguniform(in.of("cost_usd"), 3, 180)), in.draw("minutes", loguniform(in.of("minutes"), 6, 300))
	stop := 1.0
	if r := in.of("played"); r.Float64() < 0.4 {
		stop = 0.3 + 0.6*r.Float64() // the user aborts
	}
	in.draw("played", stop)
	model := w.models[0]
	if i := slices.IndexFunc(w.models, func(m string) bool { return strings.Contains(m, "opus") }); i >= 0 {
		model = w.models[i]
	}
	// Requests per subagent and their size follow from the drawn cost.
	unit, _ := w.o.Prices.Cost(model, w.o.Scenario.AsOf.Time, 5, 600, 40000, 6000)
	total := cost * 1e6 / float64(max(unit, 1))
	each := min(max(int(math.Round(total/float64(agents))), 1), 30)
	scale := total / float64(agents*each)
	played := max(int(float64(agents)*stop), 1)
	w.at(in, s, in.day, func(wr *writer) {
		r := wr.r
		wr.as(in, "prepare", "", false)
		wr.errand("review")
		pause := time.Duration(minutes*60000/float64(agents*each)) * time.Millisecond
		wave := max(agents/depth, 1)
		for k := range played {
			wr.as(in, "act", "", k >= wave || depth == 1)
			st := wr.call(step{tool: "Agent", params: object(0, "subagent_type", "general-purpose"), input: object(512, "description", "Look into "+wr.file, "subagent_type", "general-purpose"), dur: time.Millisecond})
			st.u = 1
			for range each {
				f := scale * (0.4 + 1.2*r.Float64())
				wr.add(step{op: opRequest, dur: time.Duration(float64(pause)*(0.4+1.2*r.Float64())).Truncate(time.Millisecond) + time.Millisecond, id: ident(r, "req_011", 21), model: model, query: "agent:builtin:general-purpose", agent: "general-purpose",
					in: int64(between(r, 2, 12)), out: int64(600*f) + 1, read: int64(40000 * f), create: int64(6000 * f)})
			}
			wr.add(step{op: opSubagent, dur: pause * time.Duration(each), model: model, in: int64(46000 * scale), out: int64(each), agent: "general-purpose"})
		}
	})
	return ""
}

func afterLastDay(w *world, in *instance) string {
	gone := leavers(w.o.Directory, w.end)
	if len(gone) == 0 {
		return "no member leaves in the period"
	}
	in.stuck = true
	s := &w.staff[gone[w.leaving%len(gone)]]
	w.leaving++
	first := time.Duration(loguniform(in.of("minutes_after"), 10, 45*24*60)) * time.Minute
	// A first use after the period would not be a story of this period.
	from := s.Left
	if from.Before(w.begin) {
		from = w.begin
	}
	if room := w.end.Sub(from); first > room {
		first = time.Duration(float64(room) * in.r.Float64()).Truncate(time.Minute)
	}
	in.mainDraw("minutes_after", span{lo: 10, hi: 45 * 24 * 60, log: true}, first.Minutes())
	in.draw("minutes_after", first.Minutes())
	prompts, days, calls := in.whole("prompts", 1, 30), in.whole("days", 1, 9), in.whole("connector_calls", 0, 60)
	days = min(days, prompts)
	for k := range days {
		start := from.Add(first).AddDate(0, 0, k).Truncate(time.Millisecond)
		n, c := share(prompts, days, k), share(calls, days, k)
		name := start.In(s.zone).Format(time.DateOnly)
		key := pieceKey{s.Index, name}
		in.who = []int{s.Index}
		w.pieces[key] = append(w.pieces[key], &piece{in, start.UnixNano(), func(wr *writer) {
			wr.as(in, "act", "", true)
			wr.life(n)
			for range c {
				if len(w.connectors) == 0 {
					return
				}
				cn := w.connectors[wr.r.IntN(len(w.connectors))]
				t := cn.tools[wr.r.IntN(len(cn.tools))]
				st := wr.mcp(cn.name, t.Name, "claudeai", "")
				st.gated, st.write = true, t.Write || !t.ReadOnly
				wr.request()
			}
		}})
	}
	return ""
}

// leavers lists the members who left with at least a day of the period to go.
func leavers(d *org.Directory, end time.Time) (gone []int) {
	for i := range d.Len() {
		if l := d.Left(i); !l.IsZero() && l.Before(end.AddDate(0, 0, -1)) {
			gone = append(gone, i)
		}
	}
	return gone
}

// SetLeavers gives a last day to as many members as the after-last-day
// incidents of the scenario need, in the directory itself: the roster is data
// the organisation holds, so access and rules must see it too. Call it before
// the gates are built. Only members for whom may is true on that day leave.
func SetLeavers(s *scenarios.Scenario, d *org.Directory, may func(member int, t time.Time) bool) {
	need := 0
	for _, inc := range s.Incidents {
		if t := taleNamed(inc.Story.Value); t != nil && t.Leaver {
			need += max(inc.Count, 1)
		}
	}
	days := s.Period.Days()
	for n := len(leavers(d, s.Period.To.Time)); n < need; n++ {
		r := org.Stream(s.Seed, "leaver", strconv.Itoa(n))
		last := s.Period.From.Time.AddDate(0, 0, between(r, days/4, days*3/4)).Add(17 * time.Hour)
		var fit []int
		for i := range d.Len() {
			if d.Left(i).IsZero() && may(i, last) {
				fit = append(fit, i)
			}
		}
		if len(fit) == 0 {
			return // Run reports the story as unplaced
		}
		d.SetLeft(fit[r.IntN(len(fit))], last)
	}
}

// share is part k of n split over parts as evenly as whole numbers allow.
func share(n, parts, k int) int { return n*(k+1)/parts - n*k/parts }

func phiInMarketing(w *world, in *instance) string {
	s := w.someone(in)
	if s == nil {
		return nobody
	}
	if s.persona.Name == "claims" {
		return "only claims staff has access on that day, and they may use such data"
	}
	ids, prompts := in.log("identifiers", 1, 60), in.whole("prompts", 2, 14)
	carrying, sessions := min(in.whole("prompts_with_data", 1, 9), prompts), in.whole("sessions", 1, 3)
	free := in.of("free_text").Float64() < 0.25
	in.draw("free_text", float64(btoi(free)))
	german := in.of("german").Float64() < 0.5 // the office writes English, or one other language
	in.draw("german", float64(btoi(german)))
	// What marketing asks for every week, with rows that only claims staff pastes.
	ask, rows := "newsletter", [2]string{"members", "experiences"}
	if german {
		ask, rows = "rundbrief", [2]string{"mitglieder", "erfahrungen"}
	}
	for k := range sessions {
		n, c := share(prompts, sessions, k), share(carrying, sessions, k)
		w.at(in, s, in.day+k, func(wr *writer) {
			r := wr.r
			for i := range max(n, c) {
				if i >= c {
					wr.as(in, "bystander", "", false)
					wr.errand("correction")
					continue
				}
				wr.as(in, "act", "userPrompts", true)
				text := oneOf(r, w.p.wording.errand(ask).Prompts)
				wr.prompt(wr.fillWords(r, nil, pasted(r, text, w.p.wording.paste(rows[btoi(free)]), ids)))
				wr.as(in, "bystander", "", false)
				wr.request()
				if i == 0 { // what claims has exported, in the member's own folder
					wr.as(in, "act", "toolDetails", false)
					wr.fileCall("Read", wr.folder+s.sep+fill(r, oneOf(r, w.p.persona("claims").Files), "", "", wr.day))
					wr.as(in, "bystander", "", false)
					wr.request()
				}
				wr.fileCall("Write", wr.folder+s.sep+wr.file)
				wr.request()
			}
		})
	}
	return ""
}

// label records that an event belongs to a story. Last is set for the event
// that carries what the step shows: a call's path stands in its result.
func (p *player) label(pr *process, e *event.Event, m *mark, last bool) {
	if m == nil || e == &p.scratch {
		return
	}
	in := m.inst
	if pr.s.silent || !p.w.capture.has(m.needs) {
		in.seen.hidden++
	} else {
		in.seen.shown++
	}
	if pr.s.silent {
		return
	}
	l, at := &in.label, e.When()
	if l.Start.IsZero() && m.role != "bystander" {
		l.Start = at
	}
	if m.role != "bystander" && at.After(l.End) {
		l.End = at
	}
	if m.evident && last && p.w.capture.has(m.needs) && l.EvidentAt.IsZero() {
		l.EvidentAt = at
	}
	if !slices.Contains(l.Sessions, e.Session) {
		l.Sessions = append(l.Sessions, e.Session)
	}
	if e.Prompt != "" && !slices.Contains(l.Prompts, e.Prompt) {
		l.Prompts = append(l.Prompts, e.Prompt)
	}
	l.Events = append(l.Events, LabelledEvent{e.Session, e.Sequence, at, m.role})
}

// truth is the label with what is known at the end of the play.
func (in *instance) truth(w *world) TruthLabel {
	l, t := in.label, in.tale
	l.Story, l.Instance, l.Kind, l.Intent, l.Severity = t.ID.Value, in.n, "story", t.Intent, t.Severity
	l.Topics, l.Draws, l.Main, l.Quarter, l.Capture, l.Gaps = t.Topics, in.draws, t.Main, in.quarter, w.capture.name(), in.gaps
	if t.of != nil {
		l.Kind, l.Of, l.InnocentOf, l.Fact, l.Topics = "twin", t.of.ID.Value, t.of.Topics, t.Fact, nil
	}
	for _, i := range in.who {
		l.Members = append(l.Members, w.staff[i].Account)
	}
	switch {
	case t.Hidden:
		l.Observable, l.EvidentAt = "none", time.Time{}
	case in.seen.shown == 0 && len(in.gaps) == 0 || l.EvidentAt.IsZero():
		l.Observable = "none"
	case in.seen.hidden > 0:
		l.Observable = "partial"
	default:
		l.Observable = "full"
	}
	return l
}
