package simulate

import (
	"context"
	"math/rand/v2"
	"sort"
	"strconv"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// flushEvery is how often a process exports what it has collected.
const flushEvery = int64(5 * time.Second)

// process is one running session.
type process struct {
	s       *staff
	sc      *script
	serial  int64
	session string
	prompt  string
	next    int // step
	half    bool
	ended   bool
	stuck   bool // see policyTime
	base    *event.Event
	faults  *rand.Rand // for defects of transmission, else nil
	in      *instance
	started int64
	skew    int64 // ns its clock is off
	seq     int64
	last    int64 // time of the last event: a process's own clock never runs back
	flushAt int64 // 0: no flush is due
	granted map[grant]string
	hooks   []hookAttrs
	effort  []event.Attr // what every response carries; nil until there was one
	buf     []event.Event
}

// grant is a tool that a person may have allowed.
type grant struct{ tool, server, mcpTool string }

// task is the next thing due for a process.
type task struct {
	at    int64
	p     *process
	late  *late // a batch that arrives only now, or nil
	flush bool
}

// late is a batch on its way; n orders those of one instant.
type late struct {
	batch []event.Event
	n     int64
}

// before orders tasks by time; what is due at the same instant goes by flush,
// member and session, so that the order never hangs on a pointer or a map.
func (a *task) before(b *task) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.first(b)
}

func (a *task) first(b *task) bool {
	switch {
	case a.flush != b.flush:
		return a.flush
	case a.p.s.Index != b.p.s.Index:
		return a.p.s.Index < b.p.s.Index
	case a.p.serial != b.p.serial:
		return a.p.serial < b.p.serial
	}
	var m, n int64
	if a.late != nil {
		m = a.late.n
	}
	if b.late != nil {
		n = b.late.n
	}
	return m < n
}

type player struct {
	w       *world
	emit    func([]event.Event) error
	heap    []task
	free    [][]event.Event // buffers of ended processes
	serial  int64
	lates   int64
	index   int64
	counts  [256]int // by kind
	end     int64    // of the period, ns
	denied  map[string]int
	calls   map[[2]string]int
	blocked map[int]*Blocked
	active  []bool
	last    []string         // last session of each member
	parked  []string         // session that spend stopped, resumed when it may go on
	dropped map[eventID]bool // events that defects lost
	scratch event.Event      // events this build does not log land here
	out     Outcome
}

func newPlayer(w *world, emit func([]event.Event) error) *player {
	n := len(w.staff)
	return &player{w: w, emit: emit, end: w.end.UnixNano(), denied: map[string]int{}, calls: map[[2]string]int{},
		blocked: map[int]*Blocked{}, dropped: map[eventID]bool{}, active: make([]bool, n), last: make([]string, n), parked: make([]string, n)}
}

// play runs everything in time order: it opens sessions as they come and
// otherwise does what is due first.
func (p *player) play(ctx context.Context, order <-chan *future) error {
	head, open := <-order
	day := 0
	for open || len(p.heap) > 0 {
		if open && (len(p.heap) == 0 || head.spec.start < p.heap[0].at) {
			for d := int(time.Duration(head.spec.start-p.w.begin.UnixNano()).Hours() / 24); day < d; day++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if p.w.o.Progress != nil {
					p.w.o.Progress(day+1, p.w.days)
				}
			}
			p.open(head.spec, <-head.steps)
			head, open = <-order
			continue
		}
		t := p.heap[0]
		if t.late != nil {
			p.pop()
			if err := p.deliver(t.late.batch); err != nil {
				return err
			}
			continue
		}
		if t.flush {
			p.pop()
			if err := p.flush(t.p, t.at); err != nil {
				return err
			}
			continue
		}
		if t.at >= p.end {
			p.pop()
			continue // the period is over; nothing is asked or sent after it
		}
		// What a step makes due comes later, so the task stays first until it is done.
		if at, more := p.step(t.p, t.at); more {
			p.down(task{at: at, p: t.p})
		} else {
			p.pop()
			t.p.ended = true
			steps := t.p.sc.steps
			t.p.sc.steps = nil
			clear(steps)
			select {
			case p.w.steps <- steps[:0]:
			default:
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for ; p.w.o.Progress != nil && day < p.w.days; day++ {
		p.w.o.Progress(day+1, p.w.days)
	}
	return nil
}

// open starts a session if access and spend allow it.
func (p *player) open(sp spec, sc *script) {
	s, at := sp.staff, time.Unix(0, sp.start).UTC()
	stuck := sp.piece != nil && (sp.piece.inst.stuck || sc.stuck)
	if !p.w.o.Gate.MayUse(s.Index, "cowork", policyTime(s, stuck, at)) {
		p.denied["cowork"]++
		return
	}
	if !p.w.o.Gate.MaySpend(s.Index, at) {
		p.block(s.Index, at)
		return
	}
	pr := &process{s: s, sc: sc, serial: p.serial, session: sc.session, stuck: stuck, last: sp.start, started: sp.start, base: &s.base, skew: s.skew}
	if sc.cloud {
		pr.base = p.w.container(s, p.w.stream("container", sp))
	}
	if sc.base != nil {
		pr.base = sc.base
	}
	if p.w.defects.transmission {
		pr.faults = p.w.stream("faults", sp)
	}
	if sp.piece != nil {
		if pr.in = sp.piece.inst; pr.in.fault == faultClock {
			pr.skew += pr.in.skew
		}
	}
	p.serial++
	again := false // a session taken up again keeps its id and is counted once
	switch {
	case p.parked[s.Index] != "":
		again = true
		pr.session, p.parked[s.Index] = p.parked[s.Index], ""
	case sc.resume && p.last[s.Index] != "":
		again = true
		pr.session = p.last[s.Index]
	}
	p.last[s.Index] = pr.session
	if n := len(p.free); n > 0 {
		pr.buf, p.free = p.free[n-1], p.free[:n-1]
	}
	p.active[s.Index] = true
	if !again {
		p.out.Sessions++
	}
	p.startup(pr, sp.start)
	if len(sc.steps) > 0 {
		p.push(task{at: max(pr.last, sp.start+int64(sc.startup)) + int64(sc.steps[0].wait), p: pr})
	} else {
		pr.ended = true
	}
}

// policyTime is when access is asked about. A seat whose removal is stuck keeps
// what it had before its owner left, whatever the roster says.
func policyTime(s *staff, stuck bool, t time.Time) time.Time {
	if stuck && !t.Before(s.Left) {
		return s.Left.Add(-time.Second)
	}
	return t
}

// startup emits what a process sends before the first prompt.
func (p *player) startup(pr *process, at int64) {
	s, sc := pr.s, pr.sc
	ms := func(n int64) int64 { at += n * 1e6; return at }
	if s.hooks.prompt {
		e := p.event(pr, event.HookRegistered, ms(4))
		add(e, event.Attr{Key: "hook_event", Value: "UserPromptSubmit"}, event.Attr{Key: "hook_type", Value: "command"}, event.Attr{Key: "hook_source", Value: "merged"}, event.Attr{Key: "safe_mode", Value: "false"})
	}
	if s.hooks.tool {
		e := p.event(pr, event.HookRegistered, ms(0))
		add(e, event.Attr{Key: "hook_event", Value: "PreToolUse"}, event.Attr{Key: "hook_type", Value: "command"}, event.Attr{Key: "hook_source", Value: "merged"}, event.Attr{Key: "safe_mode", Value: "false"})
	}
	for _, pl := range s.plugins {
		e := p.event(pr, event.PluginLoaded, ms(1))
		e.Plugin, e.PluginHash, e.Marketplace = pl.name, pl.hash, pl.market
		e.Has |= event.FPlugin
		add(e, pluginAttrs...)
	}
	for i, c := range sc.likes {
		status, errText := "connected", ""
		if i == 0 && sc.failed >= 0 && c == &p.w.connectors[sc.failed] {
			status, errText = "failed", "connection timed out"
		}
		p.connection(pr, ms(int64(60+30*i)), status, "http", "claudeai", c.name, errText, nil)
	}
	if sc.local != "" {
		p.connection(pr, ms(210), "connected", "stdio", "user", sc.local, "", sc.localID)
	}
	if s.hooks.prompt {
		p.hook(pr, ms(20), "SessionStart", sc.hookMS)
	}
	pr.last = max(pr.last, at)
}

var pluginAttrs = []event.Attr{{Key: "plugin.version", Value: "1.0.0"}, {Key: "plugin.scope", Value: "org"}, {Key: "enabled_via", Value: "org-policy"},
	{Key: "has_hooks", Value: false}, {Key: "has_mcp", Value: false}, {Key: "host_owned_mcp", Value: false},
	{Key: "skill_path_count", Value: int64(1)}, {Key: "command_path_count", Value: int64(0)}, {Key: "agent_path_count", Value: int64(0)}, {Key: "safe_mode", Value: "false"}}

func (p *player) connection(pr *process, at int64, status, transport, scope, name, errText string, m *mark) {
	e := p.event(pr, event.MCPConnection, at)
	e.ConnStatus, e.ServerScope, e.Duration = status, scope, 40+pr.sc.hookMS
	e.Has |= event.FDuration
	add(e, event.Attr{Key: "transport_type", Value: transport}, event.Attr{Key: "is_plugin", Value: false}, event.Attr{Key: "server_name", Value: name})
	if errText != "" {
		e.Error = errText
		e.Has |= event.FError
		add(e, event.Attr{Key: "error_code", Value: "ETIMEDOUT"})
	}
	p.label(pr, e, m, false)
}

// hook emits the start and the end of one hook run.
func (p *player) hook(pr *process, at int64, name string, ms int64) {
	var h *hookAttrs
	for i := range pr.hooks {
		if pr.hooks[i].name == name {
			h = &pr.hooks[i]
		}
	}
	if h == nil {
		base := pr.base.Extra
		start := append(base[:len(base):len(base)],
			event.Attr{Key: "hook_event", Value: name}, event.Attr{Key: "hook_name", Value: name}, event.Attr{Key: "num_hooks", Value: "1"},
			event.Attr{Key: "managed_only", Value: "false"}, event.Attr{Key: "hook_source", Value: "merged"}, event.Attr{Key: "safe_mode", Value: "false"})
		pr.hooks = append(pr.hooks, hookAttrs{name, start, append(start[:len(start):len(start)],
			event.Attr{Key: "num_success", Value: "1"}, event.Attr{Key: "num_blocking", Value: "0"}, event.Attr{Key: "num_non_blocking_error", Value: "0"},
			event.Attr{Key: "num_cancelled", Value: "0"}, event.Attr{Key: "total_duration_ms", Value: strconv.FormatInt(ms, 10)})})
		h = &pr.hooks[len(pr.hooks)-1]
	}
	p.event(pr, event.HookStart, at).Extra = h.start
	p.event(pr, event.HookComplete, at+ms*1e6).Extra = h.complete
}

// hookAttrs are what the runs of one hook in one process all carry.
type hookAttrs struct {
	name            string
	start, complete []event.Attr
}

// step does the next step of a session at time at. It returns when the one
// after is due; more is false when the session has ended.
func (p *player) step(pr *process, at int64) (next int64, more bool) {
	st := &pr.sc.steps[pr.next]
	gate := p.w.o.Gate
	end := at
	switch st.op {
	case opPrompt:
		p.out.Prompts++
		pr.prompt = st.id
		if !st.unseen {
			e := p.event(pr, event.UserPrompt, at)
			e.PromptText, e.PromptLength = st.text, st.length
			e.Has |= event.FPromptText | event.FPromptLength
			p.label(pr, e, st.mark, true)
		}
		pr.last = max(pr.last, at)
		if pr.s.hooks.prompt {
			p.hook(pr, pr.last+1e6, "UserPromptSubmit", pr.sc.hookMS)
		}
		if pr.sc.mode {
			pr.sc.mode = false
			e := p.event(pr, event.PermissionModeChanged, pr.last+2e6)
			e.FromMode, e.ToMode = "default", "acceptEdits"
		}
		end = max(at, pr.last)
	case opRequest:
		if !pr.half {
			if !gate.MaySpend(pr.s.Index, time.Unix(0, at).UTC()) {
				p.block(pr.s.Index, time.Unix(0, at).UTC())
				p.parked[pr.s.Index] = pr.session
				return 0, false
			}
			pr.half = true
			return at + int64(st.dur), true
		}
		pr.half = false
		if st.early && pr.next+1 < len(pr.sc.steps) {
			if t := &pr.sc.steps[pr.next+1]; t.op == opTool && p.quick(t, pr) && pr.last < at-int64(40*time.Millisecond) {
				p.tool(pr, t, at-int64(40*time.Millisecond), int64(30*time.Millisecond))
				pr.next++ // the call is done; it counts as part of this response
			}
		}
		p.response(pr, st, at)
	case opTool:
		end = p.tool(pr, st, at, int64(st.dur))
	case opSubagent:
		e := p.event(pr, event.SubagentCompleted, at)
		e.Model, e.Duration = st.model, st.dur.Milliseconds()
		e.Has |= event.FModel | event.FDuration
		add(e, event.Attr{Key: "agent_type", Value: st.agent}, event.Attr{Key: "agent.source", Value: "built-in"},
			event.Attr{Key: "is_built_in", Value: "true"}, event.Attr{Key: "is_async", Value: "false"},
			event.Attr{Key: "total_tokens", Value: st.in}, event.Attr{Key: "total_tool_uses", Value: st.out},
			event.Attr{Key: "final_model", Value: st.model}, event.Attr{Key: "model_swapped", Value: "false"})
		p.label(pr, e, st.mark, true)
	case opMode:
		e := p.event(pr, event.PermissionModeChanged, at)
		e.FromMode, e.ToMode = "default", st.text
		p.label(pr, e, st.mark, true)
	case opPlugin:
		p.plugin(pr, st, at)
	case opRefusal:
		e := p.event(pr, event.APIRefusal, at)
		e.Model, e.Request, e.QuerySource, e.Attempt = st.model, st.id, "sdk", 1
		e.Has |= event.FModel | event.FRequest | event.FQuerySource
		add(e, event.Attr{Key: "has_category", Value: "true"}, event.Attr{Key: "has_explanation", Value: "false"})
		p.label(pr, e, st.mark, true)
	case opCompaction:
		e := p.event(pr, event.Compaction, at+int64(st.dur))
		e.Success, e.Duration = true, st.dur.Milliseconds()
		e.Has |= event.FSuccess | event.FDuration
		add(e, event.Attr{Key: "trigger", Value: "auto"}, event.Attr{Key: "pre_tokens", Value: st.in}, event.Attr{Key: "post_tokens", Value: st.out})
		end = at + int64(st.dur)
	}
	pr.next++
	if pr.next >= len(pr.sc.steps) {
		return 0, false
	}
	return max(end, at) + int64(pr.sc.steps[pr.next].wait), true
}

// quick reports a built-in call that no person is asked about, so that it can
// finish while the response is still being sent.
func (p *player) quick(st *step, pr *process) bool {
	return !st.gated && st.server == "" && st.command == "" && st.force == "" && !pr.s.hooks.tool && st.u >= p.w.manual
}

// response ends an API request: it is logged, and charged, only now.
func (p *player) response(pr *process, st *step, at int64) {
	if a := pr.active("errors", at); a != nil && st.status == 0 && st.in%10 < int64(a.amount*10) {
		x := *st
		x.status, x.attempt = 529, 11
		st = &x
	}
	if st.status != 0 {
		e := p.event(pr, event.APIError, at)
		e.Model, e.QuerySource, e.Status, e.Attempt, e.Duration, e.Request = st.model, st.query, st.status, st.attempt, st.dur.Milliseconds(), st.id
		e.Error = [...]string{"rate limited", "overloaded", "internal server error"}[btoi(st.status == 529)+2*btoi(st.status == 500)]
		e.Speed = "normal"
		e.Has |= event.FModel | event.FQuerySource | event.FStatus | event.FAttempt | event.FDuration | event.FRequest | event.FError
		p.label(pr, e, st.mark, true)
		if st.attempt == 11 {
			x := p.event(pr, event.APIRetriesExhausted, at)
			x.Model, x.Status, x.Error, x.Speed = st.model, st.status, "retries exhausted", "normal"
			x.Has |= event.FModel | event.FStatus | event.FError
			add(x, event.Attr{Key: "total_attempts", Value: int64(11)}, event.Attr{Key: "total_retry_duration_ms", Value: int64(215000)})
		}
		return
	}
	in, out, read, create := pr.scaled(st, at)
	model := pr.model(st, at)
	e := p.event(pr, event.APIRequest, at)
	e.Model, e.QuerySource, e.Agent, e.Request, e.Speed = model, st.query, st.agent, st.id, "normal"
	e.Duration, e.InputTokens, e.OutputTokens, e.CacheRead, e.CacheWrite = st.dur.Milliseconds(), in, out, read, create
	e.Has |= event.FModel | event.FQuerySource | event.FRequest | event.FDuration | event.FInputTokens | event.FOutputTokens | event.FCacheRead | event.FCacheWrite
	// Prices are those of as_of, like every other fact of a rehearsal.
	if micros, ok := p.w.o.Prices.Cost(model, p.w.o.Scenario.AsOf.Time, in, out, read, create); ok {
		if a := pr.active("dearer", at); a != nil {
			micros += int64(float64(micros) * a.amount)
		}
		e.CostMicros = micros
		e.Has |= event.FCostUSD
		if pr.s.logs.micros {
			e.Has |= event.FCostMicros
		}
		p.w.o.Gate.Charge(pr.s.Index, time.Unix(0, at).UTC(), micros)
	}
	if pr.s.logs.effort {
		if base := pr.base.Extra; pr.effort == nil {
			pr.effort = append(base[:len(base):len(base)], event.Attr{Key: "effort", Value: "high"})
		}
		e.Extra = pr.effort
	}
	p.label(pr, e, st.mark, true)
	if st.text != "" && pr.s.logs.responses {
		x := p.event(pr, event.AssistantResponse, at)
		x.ResponseText, x.Model, x.QuerySource, x.Request = st.text, model, st.query, st.id
		x.Has |= event.FResponseText | event.FModel | event.FQuerySource | event.FRequest
		x.ResponseLength = st.length
		x.Has |= event.FResponseLength
	}
}

// tool decides one call and, if it may run, runs it for dur. It returns when
// the session goes on.
func (p *player) tool(pr *process, st *step, at, dur int64) int64 {
	n, gate, member := &p.w.p.N, p.w.o.Gate, pr.s.Index
	now := policyTime(pr.s, pr.stuck, time.Unix(0, at).UTC())
	if st.command != "" && !gate.MayUse(member, st.command, now) {
		p.denied[st.command]++
		return at
	}
	decision, cause := "accept", "config"
	switch {
	case st.force != "":
		cause = st.force
		if cause == "user_reject" || cause == "user_abort" {
			decision = "reject"
		}
		if cause != "config" {
			at += int64(st.ask)
		}
	case st.gated:
		switch gate.Connector(member, st.server, st.mcpTool, st.write, now) {
		case Deny:
			p.calls[[2]string{st.server, st.mcpTool}]++
			return at
		case Ask:
			decision, cause, at = p.asked(pr, st, at, n.AskRejected.Value)
		}
	case st.u < p.w.manual:
		// Rejections are part of the decisions a person makes.
		decision, cause, at = p.asked(pr, st, at, n.RejectedShare.Value/n.ManualShare.Value)
	}
	if pr.s.hooks.tool {
		p.hook(pr, at, "PreToolUse", pr.sc.hookMS)
		at = pr.last
	}
	e := p.event(pr, event.ToolDecision, at)
	e.Tool, e.Decision, e.Source = st.tool, decision, cause
	e.Has |= event.FTool | event.FDecision | event.FSource
	p.toolNames(pr, e, st, pr.s.logs.decisionParams)
	p.label(pr, e, st.mark, decision == "reject")
	if decision == "reject" {
		return at
	}
	at += dur
	e = p.event(pr, event.ToolResult, at)
	e.Tool, e.Decision, e.Success, e.Duration = st.tool, "accept", st.fail == "", dur/1e6
	e.Input, e.InputSize, e.ResultSize, e.ServerScope = st.input, max(int64(len(st.input)), st.size), st.result, st.scope
	e.Has |= event.FTool | event.FSuccess | event.FDuration | event.FResultSize
	if pr.s.logs.toolUse {
		e.Has |= event.FInput | event.FInputSize
	}
	if noSource := st.noSource || p.w.defects.on[missingDecisionSource] && st.v < n.CauseLost.Value; !noSource {
		e.Source = cause
		e.Has |= event.FDecision | event.FSource
	} else {
		e.Decision = ""
	}
	if st.fail != "" {
		e.ErrorType, e.Error, e.ResultSize = st.fail, st.failText, int64(len(st.failText))
		e.Has |= event.FError
	}
	p.toolNames(pr, e, st, true)
	p.label(pr, e, st.mark, true)
	if st.tool == "Skill" && st.fail == "" {
		x := p.event(pr, event.SkillActivated, at)
		x.Skill = st.params[len(`{"skill_name":"`) : len(st.params)-2]
		x.Has |= event.FSkill
		add(x, event.Attr{Key: "invocation_trigger", Value: "claude-proactive"}, event.Attr{Key: "skill.source", Value: "org"})
	}
	return at
}

func (p *player) toolNames(pr *process, e *event.Event, st *step, params bool) {
	if pr.s.logs.toolUse {
		e.ToolUse = st.id
		e.Has |= event.FToolUse
	}
	if params && st.params != "" {
		e.Parameters = st.params
		e.Has |= event.FParameters
	}
	if pr.s.logs.toolSource && e.Kind == event.ToolDecision {
		e.ToolSource = "builtin"
		if st.server != "" {
			e.ToolSource = "mcp"
		}
	}
	if st.toolSource != "" {
		e.ToolSource = st.toolSource
	}
}

// plugin installs a plugin and loads it.
func (p *player) plugin(pr *process, st *step, at int64) {
	name, market, official := "third-party", "third-party", "false"
	switch st.text {
	case "known", "update":
		name, market, official = "claims-kit", "internal", "true"
	case "own":
		name, market = "my-helpers", "user-local"
	}
	for _, k := range []event.Kind{event.PluginInstalled, event.PluginLoaded} {
		e := p.event(pr, k, at)
		e.Plugin, e.PluginHash, e.Marketplace = name, st.id, market
		e.Has |= event.FPlugin
		if k == event.PluginInstalled {
			add(e, event.Attr{Key: "marketplace.is_official", Value: official}, event.Attr{Key: "install.trigger", Value: "ui"}, event.Attr{Key: "plugin.version", Value: "1.0.0"})
		} else {
			add(e, pluginAttrs...)
		}
		p.label(pr, e, st.mark, true)
	}
}

// asked lets the person answer. An accept that was kept answers later calls of
// the same tool at once, with the same value: hosted sessions repeat it.
func (p *player) asked(pr *process, st *step, at int64, reject float64) (decision, cause string, then int64) {
	key := grant{st.tool, st.server, st.mcpTool}
	if g := pr.granted[key]; g != "" {
		return "accept", g, at
	}
	at += int64(st.ask)
	if st.v < reject {
		return "reject", "user_reject", at
	}
	cause = "user_temporary"
	if (st.v-reject)/(1-reject) < p.w.p.N.PermanentShare.Value {
		cause = "user_permanent"
		if pr.granted == nil {
			pr.granted = map[grant]string{}
		}
		pr.granted[key] = cause
	}
	return "accept", cause, at
}

func (p *player) block(member int, at time.Time) {
	p.out.RequestsBlocked++
	b := p.blocked[member]
	if b == nil {
		b = &Blocked{Member: member, First: at}
		p.blocked[member] = b
	}
	b.Requests++
}

// event adds a record to what the process will export next.
func (p *player) event(pr *process, k event.Kind, at int64) *event.Event {
	at = max(at, pr.last)
	pr.last = at
	if at >= p.end || k == event.ToolDecision && !pr.s.logs.decisions || isStartup(k) && !pr.s.logs.startup {
		p.scratch = event.Event{}
		return &p.scratch
	}
	pr.buf = append(pr.buf, *pr.base)
	e := &pr.buf[len(pr.buf)-1]
	e.Kind, e.Name, e.Time = k, k.String(), at+pr.skew
	e.Session, e.Observed = pr.session, e.Time
	if e.Has&event.FHostPaths != 0 {
		e.HostPaths = pr.sc.folders
	}
	e.Sequence = pr.seq
	pr.seq++
	if pr.prompt != "" && pr.s.logs.order {
		e.Prompt = pr.prompt
		e.Has |= event.FPrompt
	}
	if pr.flushAt == 0 {
		pr.flushAt = at + flushEvery + max(pr.sc.late, 0)
		p.push(task{at: pr.flushAt, flush: true, p: pr})
	}
	return e
}

func isStartup(k event.Kind) bool {
	switch k {
	case event.HookRegistered, event.HookStart, event.HookComplete, event.PluginLoaded, event.MCPConnection:
		return true
	}
	return false
}

// add appends attributes without a field of their own. The base's are shared by
// all records of a process and are never written through.
func add(e *event.Event, attrs ...event.Attr) {
	e.Extra = append(e.Extra[:len(e.Extra):len(e.Extra)], attrs...)
}

// flush hands over what happened before the flush; later events wait.
func (p *player) flush(pr *process, at int64) error {
	k := sort.Search(len(pr.buf), func(i int) bool { return pr.buf[i].Time-pr.skew >= at })
	out := pr.buf[:k]
	if p.withheld(pr, at) {
		p.out.Withheld += k
	} else if k > 0 {
		for i := range out {
			p.w.captureOf(pr.s, out[i].Time-pr.skew).apply(&out[i])
		}
		out = p.alter(pr, out)
		for range 1 + pr.sc.repeat {
			if len(out) == 0 {
				break
			}
			if err := p.faulty(pr, out, at, pr.ended && k == len(pr.buf)); err != nil {
				return err
			}
		}
	}
	rest := copy(pr.buf, pr.buf[k:])
	pr.buf = pr.buf[:rest]
	pr.flushAt = 0
	if rest > 0 {
		pr.flushAt = pr.buf[0].Time - pr.skew + flushEvery + max(pr.sc.late, 0)
		p.push(task{at: pr.flushAt, flush: true, p: pr})
	} else if pr.ended {
		p.free = append(p.free, pr.buf)
		pr.buf = nil
	}
	return nil
}

func (p *player) push(t task) {
	i := len(p.heap)
	p.heap = append(p.heap, t)
	h := p.heap
	for i > 0 {
		up := (i - 1) / 2
		if !t.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = t
}

// pop takes the first task away.
func (p *player) pop() {
	n := len(p.heap) - 1
	last := p.heap[n]
	p.heap[n] = task{}
	p.heap = p.heap[:n]
	if n > 0 {
		p.down(last)
	}
}

// down puts a task in the place of the first.
func (p *player) down(t task) {
	h, i := p.heap, 0
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1].before(&h[c]) {
			c++
		}
		if !h[c].before(&t) {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = t
}

// outcome sums up, in orders that do not hang on a map.
func (p *player) outcome() *Outcome {
	o := &p.out
	for _, a := range p.active {
		o.Active += btoi(a)
	}
	for _, k := range event.Kinds() {
		o.Events = append(o.Events, KindCount{k, p.counts[k]})
	}
	for c, n := range p.denied {
		o.Denied = append(o.Denied, Denial{c, n})
	}
	sort.Slice(o.Denied, func(i, j int) bool { return o.Denied[i].Capability < o.Denied[j].Capability })
	for c, n := range p.calls {
		o.Connectors = append(o.Connectors, ConnectorDenial{c[0], c[1], n})
	}
	sort.Slice(o.Connectors, func(i, j int) bool {
		a, b := o.Connectors[i], o.Connectors[j]
		return a.Connector < b.Connector || a.Connector == b.Connector && a.Tool < b.Tool
	})
	for _, b := range p.blocked {
		o.Blocked = append(o.Blocked, *b)
	}
	sort.Slice(o.Blocked, func(i, j int) bool { return o.Blocked[i].Member < o.Blocked[j].Member })
	for _, in := range p.w.stories {
		l := in.truth(p.w)
		p.arrived(&l)
		o.Truth = append(o.Truth, l)
	}
	o.Unplaced = p.w.unplaced
	return o
}
