package simulate

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

type op uint8

const (
	opPrompt op = iota
	opRequest
	opTool
	opSubagent
	opCompaction
	opMode
	opWait // nothing but time
	opPlugin
	opRefusal
)

// step is one thing a session tries to do. Gates may skip it or end the session
// there; everything random was drawn when it was written, so a gate's answer
// never shifts a later draw.
type step struct {
	op     op
	early  bool // the next tool call runs before this response has ended
	write  bool
	gated  bool          // a connector call: policy decides
	unseen bool          // a prompt that is never logged, though what follows from it is
	wait   time.Duration // after the step before
	dur    time.Duration // request or tool at work
	ask    time.Duration // time a person takes to answer, if asked
	id     string        // prompt.id, tool_use_id or request_id
	tool   string

	server, mcpTool, scope string
	params, input, text    string
	command                string // capability a built-in tool needs, or ""
	length                 int64
	result                 int64
	model, query, agent    string
	in, out, read, create  int64
	status, attempt        int64
	u, v                   float64 // decide the approval
	force                  string  // approval a story needs: a decision source
	fail, failText         string
	noSource               bool // the result lacks decision_source
	mark                   *mark
	size                   int64  // bytes of the arguments, where they are more than the wire shows
	toolSource             string // instead of builtin or mcp
}

// script is what a session will try to do.
type script struct {
	session string
	resume  bool
	mode    bool
	cloud   bool
	model   string
	folders []string
	local   string // local server connected at start
	localID *mark
	startup time.Duration
	failed  int // index of a connection that fails, or -1
	likes   []*connector
	hookMS  int64
	steps   []step
	base    *event.Event // what records carry, where the session runs elsewhere
	late    int64        // ns between an event and its export
	repeat  int          // how often each batch is sent again
	stuck   bool         // see policyTime
}

// writer writes one script from the session's own stream.
type writer struct {
	w      *world
	s      *staff
	r      *rand.Rand
	day    time.Time
	sc     *script
	folder string
	file   string
	ctx    float64 // tokens the next request finds in the conversation
	fresh  float64 // tokens added since the last request
	mark   *mark
	texts  *texts     // of this session
	filled *pcg       // that of prose
	prose  *rand.Rand // texts have a stream of their own, so that they change no other draw
	words  *rand.Rand // and so has what members ask for and run besides every day's
	named  *rand.Rand // see names; nil until it is drawn from
	exact  bool       // a prompt of a stated length gets no more text
}

// filler is a text of n bytes that nobody reads.
func (wr *writer) filler(n int) string { return wr.longer("", "", n) }

// longer is a text and n bytes more.
func (wr *writer) longer(text, sep string, n int) string {
	return wr.w.words.prose(wr.texts, wr.filled, text, sep, n)
}

// scribe is what one worker writes with, again and again.
type scribe struct {
	texts             texts
	own, prose, words draws
}

func (w *world) write(sp spec, by *scribe) *script {
	s, n, number := sp.staff, &w.p.N, strconv.Itoa(sp.n)
	r := by.own.begin(w.seed, "session", s.ID, sp.day, number)
	day, _ := time.Parse(time.DateOnly, sp.day)
	wr := &writer{w: w, s: s, r: r, day: day, texts: &by.texts, filled: &by.prose.pcg,
		prose: by.prose.begin(w.seed, "prose", s.ID, sp.day, number), words: by.words.begin(w.seed, "words", s.ID, sp.day, number),
		sc: &script{session: uuid(r)}} // which outlives the session, unlike other texts
	select {
	case wr.sc.steps = <-w.steps:
	default:
		wr.sc.steps = make([]step, 0, 96)
	}
	sc := wr.sc
	if sc.cloud = w.inCloud(sp); sc.cloud { // the container's own folders
		c := *s
		c.sep, c.home, c.mount = "/", "/home/user", "/mnt/company"
		wr.s, s = &c, &c
	}
	sc.resume = r.Float64() < n.Resume.Value && sp.piece == nil
	sc.mode = r.Float64() < n.ModeChange.Value
	sc.model = w.models[pick(r, w.weights)]
	sc.local = s.local
	sc.startup = seconds(r, 0.9, 0.5, 10)
	sc.hookMS = int64(lognormal(r, 40, 0.8)) + 3
	sc.failed = -1
	if r.Float64() < n.FailedConnect.Value && len(w.connectors) > 0 {
		sc.failed = r.IntN(len(w.connectors))
	}
	if sc.likes = s.likes; w.flips {
		sc.likes = nil
		for _, c := range s.likes {
			if c.on(sp.start) {
				sc.likes = append(sc.likes, c)
			}
		}
	}
	root := s.home + s.sep + "Documents"
	if r.Float64() < n.OnShare.Value {
		root = s.mount
	}
	wr.folder = s.path(root, oneOf(r, s.persona.Folders))
	sc.folders = []string{wr.folder}
	if r.Float64() < n.SecondFolder.Value {
		if f := s.path(root, oneOf(r, s.persona.Folders)); f != wr.folder {
			sc.folders = append(sc.folders, f)
		}
	}
	wr.fresh = n.ContextFirst.Value * (0.8 + 0.4*r.Float64())
	wr.ctx = wr.fresh * n.ContextCached.Value
	wr.fresh -= wr.ctx
	wr.newFile()
	if sp.piece != nil {
		sp.piece.write(wr)
		return sc
	}
	wr.life(min(max(int(lognormal(r, n.PromptsMedian.Value, n.PromptsSigma.Value)+0.5), 1), 25))
	return sc
}

// path is a folder below root, spelled as the member's machine does.
func (s *staff) path(root, rel string) string {
	return root + s.sep + strings.ReplaceAll(rel, "/", s.sep)
}

// application is where the desktop application keeps what is its own.
func (s *staff) application() string {
	if s.sep == "/" {
		return s.path(s.home, "Library/Application Support/Claude")
	}
	return s.path(s.home, "AppData/Roaming/Claude")
}

func (wr *writer) newFile() {
	wr.file = wr.texts.fill(wr.r, oneOf(wr.r, wr.s.persona.Files), "", "", wr.day)
}

// add appends a step under the current mark.
func (wr *writer) add(st step) *step {
	st.mark = wr.mark
	wr.sc.steps = append(wr.sc.steps, st)
	return &wr.sc.steps[len(wr.sc.steps)-1]
}

// life writes n ordinary prompts.
func (wr *writer) life(n int) {
	for i := range n {
		wr.ordinary(i > 0)
	}
}

func (wr *writer) ordinary(follow bool) {
	r, n := wr.r, &wr.w.p.N
	p := wr.s.persona
	text, other := "", p.asks.task
	switch u := r.Float64(); {
	case u < p.Sensitive.Value && len(p.Secrets) > 0:
		text, other = oneOf(r, p.Secrets), p.asks.record
	case follow && u > 0.6:
		text, other = oneOf(r, wr.w.p.Followups), p.asks.followup
	default:
		text = oneOf(r, p.Prompts)
		if r.Float64() < 0.4 {
			wr.newFile()
		}
	}
	text = wr.texts.fill(r, text, wr.file, wr.folder, wr.day)
	st := wr.prompt(text)
	if e := choose(wr.words, other, (*errand).share); e != nil {
		st.text = wr.ask(wr.words, e) + st.text[len(text):]
		st.length = characters(st.text)
	}
	tools := min(int(lognormal(r, n.ToolsMedian.Value, n.ToolsSigma.Value)+0.5), 40)
	wr.request()
	for i := range tools {
		// One response may ask for several calls; the next request follows all.
		if i > 0 && r.Float64() >= n.Parallel.Value {
			wr.request()
		}
		wr.anyTool()
	}
	if r.Float64() < n.Subagent.Value {
		wr.subagent(1+r.IntN(4), wr.sc.model)
	}
	if tools > 0 {
		wr.request()
	}
}

// prompt writes a user prompt after the person has thought.
func (wr *writer) prompt(text string) *step {
	n := &wr.w.p.N
	wait := seconds(wr.r, n.ThinkMedian.Value, n.ThinkSigma.Value, 5400)
	if len(wr.sc.steps) == 0 {
		wait = seconds(wr.r, 12, 0.8, 600)
	}
	if wait > time.Hour { // the cache has expired: all is written again
		wr.fresh, wr.ctx = wr.fresh+wr.ctx, 0
	}
	wr.fresh += float64(len(text))/4 + 30
	unseen := false
	if !wr.exact {
		if wr.prose.Float64() < n.LongPrompt.Value {
			text = wr.longer(text, " ", 40+int(lognormal(wr.prose, 120, 0.8)))
		}
		if wr.prose.Float64() < n.Pasted.Value {
			text = wr.longer(text, "\n\n", min(int(lognormal(wr.prose, n.PastedMedian.Value, n.PastedSigma.Value)), 20_000))
		}
		unseen = wr.prose.Float64() < n.PromptUnseen.Value && wr.mark == nil
	}
	return wr.add(step{op: opPrompt, wait: wait, id: wr.texts.uuid(wr.r), text: text, length: characters(text), unseen: unseen})
}

// request writes one API request, now and then one that fails first.
func (wr *writer) request() *step {
	r, n := wr.r, &wr.w.p.N
	if r.Float64() < n.APIError.Value {
		code := [3]int64{429, 529, 500}[pick(r, []float64{6, 3, 1})]
		attempt := int64(between(r, 1, 6))
		if r.Float64() < n.Exhausted.Value {
			attempt = 11
		}
		wr.add(step{op: opRequest, wait: time.Duration(between(r, 1, 40)) * time.Millisecond, dur: seconds(r, 12, 0.9, 240),
			id: wr.texts.ident(r, "req_011", 21), model: wr.sc.model, query: "sdk", status: code, attempt: attempt})
	}
	st := step{op: opRequest, wait: time.Duration(between(r, 1, 60)) * time.Millisecond, dur: seconds(r, n.APIMedian.Value, n.APISigma.Value, 120),
		id: wr.texts.ident(r, "req_011", 21), model: wr.sc.model, query: "sdk", early: r.Float64() < n.EarlyTool.Value,
		in: int64(between(r, 2, 12)), out: int64(min(lognormal(r, n.OutputMedian.Value, n.OutputSigma.Value), 16000)) + 1,
		read: int64(wr.ctx), create: int64(wr.fresh)}
	if r.Float64() < n.ResponseText.Value {
		// A part of the tokens is text, the rest calls of tools.
		text := oneOf(r, wr.w.p.Answers)
		more := min(int(st.out)*2-len(text), 12_000)
		if !wr.s.logs.responses { // it would be most of what is written
			wr.w.words.pass(wr.filled, more)
		} else {
			if more > 0 {
				text = wr.longer(text, " ", more)
			}
			st.text, st.length = text, int64(len(text))
		}
	}
	wr.ctx += wr.fresh
	wr.fresh = float64(st.out)
	if wr.ctx > n.CompactAt.Value {
		after := 9000 + 19000*r.Float64()
		wr.add(step{op: opCompaction, dur: seconds(r, 110, 0.2, 200), in: int64(wr.ctx), out: int64(after), wait: time.Millisecond})
		wr.ctx, wr.fresh = 0, after
	}
	return wr.add(st)
}

// call fills in what every tool call has.
func (wr *writer) call(st step) *step {
	r, n := wr.r, &wr.w.p.N
	st.op = opTool
	st.id = wr.texts.ident(r, "toolu_01", 22)
	st.wait = time.Duration(r.IntN(4)) * time.Millisecond // ties happen
	if st.dur == 0 {
		median := n.ToolMedian.Value
		if st.server != "" {
			median = n.MCPMedian.Value
		}
		st.dur = seconds(r, median, n.ToolSigma.Value, 300)
	}
	st.ask = seconds(r, n.DecideMedian.Value, n.DecideSigma.Value, 1800)
	st.u, st.v = r.Float64(), r.Float64()
	tokens := min(lognormal(r, n.ResultMedian.Value, n.ResultSigma.Value), 25000)
	st.result = int64(tokens * 4)
	wr.fresh += tokens + float64(len(st.input))/4
	st.noSource = r.Float64() < n.NoDecisionCause.Value
	if u := r.Float64(); u < n.ToolFailure.Value && st.fail == "" {
		switch {
		case st.server != "":
			st.fail, st.failText = "McpToolCallError", "request timed out"
		case st.tool == "Bash":
			st.fail, st.failText = "ShellError", "exit status 1"
		default:
			st.fail, st.failText = "Error:ENOENT", "no such file or directory"
		}
	}
	return wr.add(st)
}

func (wr *writer) anyTool() {
	r, w := wr.r, wr.w
	if likes := wr.sc.likes; len(likes) > 0 && r.Float64() < w.p.N.MCPShare.Value {
		c := likes[r.IntN(len(likes))]
		t := c.tools[r.IntN(len(c.tools))]
		st := wr.mcp(c.name, t.Name, "claudeai", "")
		st.gated, st.write = true, t.Write || !t.ReadOnly
		return
	}
	tool := w.p.Tools[pick(r, w.p.toolWeights)].Name
	switch tool {
	case "Bash":
		cmd := oneOf(r, w.p.Commands)
		if r.Float64() < w.p.N.Upload.Value {
			cmd = oneOf(r, w.p.Uploads) // ordinary members exchange files with partners too
		}
		st := wr.bash(wr.texts.fill(r, cmd, wr.file, wr.folder, wr.day))
		if s := choose(wr.words, wr.s.persona.asks.shell, (*shell).share); s != nil {
			st.params, st.input = wr.shellCall(wr.fillWords(wr.words, nil, s.command(wr.words, 0)))
		}
	case "WebSearch":
		q := wr.texts.fill(r, oneOf(r, wr.s.persona.Prompts), wr.file, "", wr.day)
		wr.call(step{tool: tool, command: "web_search", input: wr.texts.object(512, "query", q[:min(len(q), 60)]), dur: seconds(r, 2, 0.5, 30)})
	case "WebFetch":
		wr.fetch()
	case "Skill":
		wr.call(step{tool: tool, params: wr.texts.object(0, "skill_name", oneOf(r, w.skills)), input: "{}"})
	default:
		p := wr.folder + wr.s.sep + wr.file
		if tool == "Read" && r.Float64() < w.p.N.AppFolder.Value {
			p = wr.s.path(wr.s.application(), "skills/"+oneOf(r, w.p.Skills)+".md")
		}
		if r.Float64() < 0.3 {
			wr.newFile()
		}
		wr.fileCall(tool, p)
	}
}

// fileCall writes a call of a built-in file tool on a path.
func (wr *writer) fileCall(tool, path string) *step {
	var in string
	switch tool {
	case "Write":
		in = wr.texts.object(512, "file_path", path, "content", wr.filler(len(oneOf(wr.r, wr.w.p.Answers)+" ")*between(wr.r, 2, 14)))
	case "Edit":
		in = wr.texts.object(512, "file_path", path, "old_string", wr.filler(len(oneOf(wr.r, wr.w.p.Followups))), "new_string", wr.filler(len(oneOf(wr.r, wr.w.p.Answers))))
	case "Glob":
		in = wr.texts.object(512, "pattern", "**/*.*", "path", parent(path))
	case "Grep":
		in = wr.texts.object(512, "pattern", "total", "path", parent(path))
	default:
		in = wr.texts.object(512, "file_path", path)
	}
	return wr.call(step{tool: tool, input: in})
}

func parent(path string) string {
	if i := strings.LastIndexAny(path, `/\`); i > 0 {
		return path[:i]
	}
	return path
}

// bash writes a shell call. tool_input cuts the command, full_command does not.
func (wr *writer) bash(command string) *step {
	params, input := wr.shellCall(command)
	return wr.call(step{tool: "Bash", params: params, input: input, dur: seconds(wr.r, 0.6, 1.1, 300)})
}

func (wr *writer) shellCall(command string) (params, input string) {
	name, _, _ := strings.Cut(command, " ")
	return wr.texts.object(0, "bash_command", name, "full_command", command, "description", "Run "+name), wr.texts.object(512, "command", command)
}

// fetch writes a call that reads a page.
func (wr *writer) fetch() *step {
	return wr.call(step{tool: "WebFetch", input: wr.texts.object(512, "url", "https://docs.example.org/"+strings.ToLower(wr.s.persona.Name)+"/"+digits(wr.r, 3), "prompt", "summarise"), dur: seconds(wr.r, 3, 0.5, 30)})
}

// mcp writes a call of an MCP tool. The wire names user servers mcp_tool; the
// real names stand in tool_parameters. to is where a recipient is, if the call
// names one: see recipient.
func (wr *writer) mcp(server, tool, scope, to string) *step {
	var in string
	switch {
	case strings.HasPrefix(tool, "search"), strings.HasPrefix(tool, "query"), strings.HasPrefix(tool, "list"), strings.HasPrefix(tool, "find"):
		in = wr.texts.object(512, "query", strings.TrimSuffix(wr.file, parentExt(wr.file)))
	case strings.HasPrefix(tool, "get"), strings.HasPrefix(tool, "read"):
		in = wr.texts.object(512, "id", digits(wr.r, 8))
	default:
		body := wr.filler(len(oneOf(wr.r, wr.w.p.Answers)))
		if word, _, _ := strings.Cut(tool, "_"); word == "update" || word == "delete" || word == "edit" || word == "move" {
			in = wr.texts.object(512, "id", digits(wr.names(), 8), "body", body) // what is there has a number
		} else if key := recipientKey(tool); key == "" {
			in = wr.texts.object(512, "title", wr.file, "body", body)
		} else if a := wr.recipient(to); a == "" {
			in = wr.texts.object(512, "subject", wr.file, "body", body)
		} else {
			in = wr.texts.object(512, key, a, "subject", wr.file, "body", body)
		}
	}
	return wr.call(step{tool: "mcp_tool", server: server, mcpTool: tool, scope: scope, input: in,
		params: wr.texts.object(0, "mcp_server_name", server, "mcp_tool_name", tool)})
}

// recipientKey is the argument in which a tool of that name takes its
// recipient, "" for one that takes none: a reply goes to where the thread came
// from, an upload to a place.
func recipientKey(tool string) string {
	switch word, _, _ := strings.Cut(tool, "_"); word {
	case "send", "forward":
		return "to"
	case "share", "invite":
		return "email"
	}
	return ""
}

// names is the stream of whom and what calls name, so that they change no other draw.
func (wr *writer) names() *rand.Rand {
	if wr.named == nil {
		wr.named = org.Stream(wr.w.seed, "named by", wr.sc.session)
	}
	return wr.named
}

// recipient is whom a call writes to: inside the company, outside, or as members
// ordinarily do. It is "" where nobody's address is known.
func (wr *writer) recipient(where string) string {
	r, n := wr.names(), &wr.w.p.N
	outside, usual, several := r.Float64() < n.ToOutside.Value, r.Float64() < n.ToUsual.Value, r.Float64() < n.ToSeveral.Value
	switch where {
	case "inside":
		outside, usual, several = false, true, false
	case "outside":
		outside, usual = true, false
	}
	if several {
		return "<nested>"
	}
	if usual {
		r = org.Stream(wr.w.seed, "writes to", wr.s.ID, strconv.Itoa(r.IntN(5)))
	}
	if !outside {
		return wr.w.staff[r.IntN(len(wr.w.staff))].Email
	}
	return oneOf(r, wr.w.p.Mailboxes) + "@" + oneOf(r, wr.w.p.Outside)
}

func parentExt(f string) string {
	if i := strings.LastIndexByte(f, '.'); i > 0 {
		return f[i:]
	}
	return ""
}

// subagent writes one subagent with its requests.
func (wr *writer) subagent(requests int, model string) {
	r := wr.r
	wr.call(step{tool: "Agent", params: wr.texts.object(0, "subagent_type", "general-purpose"), input: wr.texts.object(512, "description", "Look into "+wr.file, "subagent_type", "general-purpose"), dur: time.Millisecond})
	read, create := 0.0, 9000+6000*r.Float64()
	var total int64
	for range requests {
		st := wr.add(step{op: opRequest, wait: time.Duration(between(r, 1, 400)) * time.Millisecond, dur: seconds(r, wr.w.p.N.APIMedian.Value, wr.w.p.N.APISigma.Value, 60),
			id: wr.texts.ident(r, "req_011", 21), model: model, query: "agent:builtin:general-purpose", agent: "general-purpose",
			in: int64(between(r, 2, 12)), out: int64(lognormal(r, 400, 0.7)), read: int64(read), create: int64(create)})
		read += create
		create = lognormal(r, 2500, 0.6)
		total = st.in + st.out + st.read + st.create
	}
	wr.add(step{op: opSubagent, wait: time.Millisecond, dur: time.Duration(requests) * 6 * time.Second, model: model, in: total, out: int64(between(r, 1, 10)), agent: "general-purpose"})
}
