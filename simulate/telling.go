package simulate

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// How a story is played: who, when, and step by step what they do.

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
