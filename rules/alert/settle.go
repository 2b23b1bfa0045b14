package alert

import (
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
)

// Most rules have nothing to say about most calls: that a condition is false
// often follows from what few values of an event and the run's configuration say.
// The engine works this out once for each set of such values and afterwards only
// counts the events.

// nature is what a condition can be settled by.
type nature struct {
	tool         string // as sent, "" when it is not on the wire
	server, call string // of an MCP call that is named
	kind         event.Kind
	approval     event.Approval
	verb         event.Verb
	mcp, path    event.Knowledge
	cowork       bool
	ended, well  bool // whether it succeeded is on the wire; it did
	priced       bool // it costs something
	placed       bool // the surface is on the wire
	texts, clean text // texts that are known, and those of them that nothing can be found in
}

// text is a bit for each text that conditions ask about.
type text uint8

const (
	textPrompt text = 1 << iota
	textResponse
	textInput
	textPath
	textCommand
)

var textWords = map[string]text{"prompt": textPrompt, "response": textResponse, "tool_input": textInput, "path": textPath, "command": textCommand,
	"has_prompt": textPrompt, "has_input": textInput}

// bucket are the rules that must look at events of one nature. The others would
// find them false, or would not be able to tell; counted stands for that.
type bucket struct {
	sign    sign // with texts of its own
	look    []looking
	settled []*state
	blind   []blinded
	counted int64
}

// looking is a rule that must look, and what its nature tells of the event: whether
// the condition is certain to hold, whether a gate is to be asked, and what the steps
// of a sequence make of it, unknown where they are to be asked.
type looking struct {
	*state
	holds, gate bool
	steps       []condition.Tri
}

// step reports that a step of the rule holds for the event at hand.
func (l *looking) step(e *Engine, s *state, k int) bool {
	if v := l.steps[k]; v != condition.Unknown {
		return v == condition.True
	}
	return s.r.steps[k].Eval(&e.subj) == condition.True
}

// blinded is a rule that cannot tell, for the want of one word.
type blinded struct {
	*state
	reason int
}

// sign is what makes the nature of an event, in a form that is made and compared
// fast: equal signs are of one nature.
type sign struct {
	tool, server, call string
	bits               uint64
}

func signOf(ev *event.Event) sign {
	s := sign{tool: ev.Tool, bits: uint64(ev.Kind) | uint64(ev.Approval)<<8 | uint64(ev.Verb)<<16 | uint64(ev.MCPKnown)<<24 | uint64(ev.PathKnown)<<28}
	if ev.MCPKnown == event.Known {
		s.server, s.call = ev.MCPServer, ev.MCPTool
	}
	bit := func(at int, on bool) {
		if on {
			s.bits |= 1 << at
		}
	}
	bit(32, ev.Product == event.Cowork)
	bit(33, ev.Has&event.FSuccess != 0)
	bit(34, ev.Success)
	bit(35, ev.CostMicros > 0 && ev.CostFrom != event.NoCost && ev.CostFrom != event.CostMissing)
	bit(36, ev.Surface != "" && ev.Surface != event.Redacted)
	texts := knownTexts(ev)
	s.bits |= uint64(texts) << 40
	switch m := &ev.Marks; {
	case !ev.Looked:
	case m[0]|m[1]|m[2]|ev.PathMarks|ev.CommandMarks == 0:
		s.bits |= uint64(texts) << 48
	default:
		for i, m := range [...]event.Marks{m[0], m[1], m[2], ev.PathMarks, ev.CommandMarks} {
			bit(48+i, m == 0 && texts&(1<<i) != 0)
		}
	}
	return s
}

// knownTexts are the texts that are on the wire.
func knownTexts(ev *event.Event) (t text) {
	if promptKnown(ev) {
		t |= textPrompt
	}
	if ev.ResponseText != "" && ev.ResponseText != event.Redacted {
		t |= textResponse
	}
	if ev.Input != "" && ev.Input != event.Redacted {
		t |= textInput
	}
	if ev.PathKnown == event.Known {
		t |= textPath
	}
	if ev.CommandKnown >= event.Partial {
		t |= textCommand
	}
	return t
}

// nature spells the sign out, with texts of its own.
func (s *sign) nature() nature {
	bit := func(at int) bool { return s.bits&(1<<at) != 0 }
	return nature{
		tool: strings.Clone(s.tool), server: strings.Clone(s.server), call: strings.Clone(s.call),
		kind: event.Kind(s.bits), approval: event.Approval(s.bits >> 8), verb: event.Verb(s.bits >> 16),
		mcp: event.Knowledge(s.bits >> 24 & 15), path: event.Knowledge(s.bits >> 28 & 15),
		cowork: bit(32), ended: bit(33), well: bit(34), priced: bit(35), placed: bit(36),
		texts: text(s.bits >> 40), clean: text(s.bits >> 48),
	}
}

// latest is a bucket met lately.
type latest struct {
	sign   sign
	bucket *bucket
}

// maxBuckets bounds the memory that invented tool names can take. Beyond it,
// every rule looks at every event.
const maxBuckets = 2048

func (e *Engine) bucketOf(ev *event.Event) *bucket {
	g := signOf(ev)
	n := g.bits * 0x9e3779b97f4a7c15
	for _, text := range [...]string{g.tool, g.call} {
		if k := uint64(len(text)); k > 0 {
			n = (n ^ k<<16 ^ uint64(text[0])<<8 ^ uint64(text[k-1])) * 0x9e3779b97f4a7c15
		}
	}
	l := &e.latest[n>>32%uint64(len(e.latest))]
	if l.bucket != nil && l.sign == g {
		return l.bucket
	}
	if b, ok := e.buckets[g]; ok {
		*l = latest{b.sign, b}
		return b
	}
	s := g.nature()
	g.tool, g.server, g.call = s.tool, s.server, s.call
	b := &bucket{sign: g}
	full := len(e.buckets) >= maxBuckets
	for _, st := range e.byKind[ev.Kind] {
		if !s.cowork && !st.r.any {
			continue
		}
		v := s.settled(st.r.prog.Tree(), &e.cfg)
		if v == condition.False && !full {
			b.settled = append(b.settled, st)
			continue
		}
		if i, ok := s.blinds(st.r, &e.cfg); ok && !full {
			b.blind = append(b.blind, blinded{st, i})
			continue
		}
		l := looking{state: st, holds: v == condition.True}
		for _, p := range st.r.steps {
			l.steps = append(l.steps, s.settled(p.Tree(), &e.cfg))
		}
		l.gate = st.r.gate != nil && s.settled(st.r.gate.Tree(), &e.cfg) == condition.Unknown
		b.look = append(b.look, l)
	}
	if full {
		return b
	}
	e.buckets[g] = b
	return b
}

// settled evaluates a condition with nothing known but the nature. False here is
// false for every event of that nature, as unknown only ever turns into less.
func (s *nature) settled(n *condition.Node, cfg *Config) condition.Tri {
	switch n.Op {
	case "bool":
		return condition.Of(n.Bool, true)
	case "not":
		return s.settled(n.Args[0], cfg).Not()
	case "and":
		return s.settled(n.Args[0], cfg).And(s.settled(n.Args[1], cfg))
	case "or":
		return s.settled(n.Args[0], cfg).Or(s.settled(n.Args[1], cfg))
	case "?:":
		c, a, z := s.settled(n.Args[0], cfg), s.settled(n.Args[1], cfg), s.settled(n.Args[2], cfg)
		switch {
		case c == condition.True, c == condition.Unknown && a == z:
			return a
		case c == condition.False:
			return z
		}
	case "has":
		if t, ok := textWords[n.Name]; ok && n.Name != "has_prompt" && n.Name != "has_input" {
			return condition.Of(s.texts&t != 0, true)
		}
		if _, ok := s.fixed(n.Name); ok {
			return condition.True
		}
	case "==", "!=", "in":
		v, ok := "", false
		if n.Args[0].Op == "var" {
			v, ok = s.fixed(n.Args[0].Name)
		}
		if !ok {
			return condition.Unknown
		}
		right := n.Args[1]
		switch {
		case n.Op == "in" && right.Op == "list":
			return condition.Of(slices.Contains(right.List, v), true)
		case n.Op == "in" && right.Op == "var" && right.Name == "allowlist":
			return condition.Of(slices.Contains(cfg.Allowlist, v), cfg.Allowlist != nil)
		case n.Op != "in" && right.Op == "text":
			return condition.Of((v == right.Text) == (n.Op == "=="), true)
		}
	case ">":
		if n.Args[0].Op == "var" && n.Args[0].Name == "cost_micros" && n.Args[1].Op == "int" && n.Args[1].Int == 0 && s.priced {
			return condition.True
		}
	case "call":
		switch {
		case n.Name == "expects":
			return condition.Of(slices.Contains(cfg.Content, n.Args[0].Text), cfg.Content != nil)
		case n.Name == "classifier" && n.Args[0].Op == "var" && s.clean&textWords[n.Args[0].Name] != 0:
			return condition.False
		}
	case "var":
		return s.truth(n.Name, cfg)
	}
	return condition.Unknown
}

// blinds reports that no event of the nature has what the rule's condition asks for,
// and the word to blame. It gives up where that hangs on more than the nature.
func (s *nature) blinds(r *Rule, cfg *Config) (reason int, ok bool) {
	if !s.unknown(r.prog.Tree(), cfg) {
		return 0, false
	}
	for i, word := range r.reasons {
		if s.absent(word, cfg) {
			return i, true
		}
		if _, ok := s.fixed(word); !ok && s.truth(word, cfg) == condition.Unknown {
			return 0, false
		}
	}
	return 0, false
}

// unknown reports that a condition is unknown for every event of the nature.
func (s *nature) unknown(n *condition.Node, cfg *Config) bool {
	switch n.Op {
	case "not":
		return s.unknown(n.Args[0], cfg)
	case "and", "or": // what does not settle it
		leaves := condition.Of(n.Op == "and", true)
		a, b := s.unknown(n.Args[0], cfg), s.unknown(n.Args[1], cfg)
		return a && b || a && s.settled(n.Args[1], cfg) == leaves || b && s.settled(n.Args[0], cfg) == leaves
	case "==", "!=", "<", "<=", ">", ">=":
		return n.Args[0].Op == "var" && s.absent(n.Args[0].Name, cfg) && (n.Args[1].Op == "text" || n.Args[1].Op == "int")
	case "var":
		return s.absent(n.Name, cfg)
	}
	return false
}

// absent is a word that no event of the nature has.
func (s *nature) absent(word string, cfg *Config) bool {
	switch word {
	case "surface":
		return !s.placed
	case "local_hour", "weekend":
		return len(cfg.Zones) == 0
	}
	return false
}

// truth is a word that is true or false, as far as it follows from the nature.
func (s *nature) truth(word string, cfg *Config) condition.Tri {
	mcp := s.mcp != event.NotApplicable
	switch word {
	case "is_mcp":
		return condition.Of(mcp, s.tool != "")
	case "success":
		return condition.Of(s.well, s.ended)
	case "has_prompt", "has_input":
		return condition.Of(s.texts&textWords[word] != 0, true)
	case "remote_off":
		return condition.Of(cfg.RemoteOff, true)
	case "after_leaving":
		return condition.Of(false, len(cfg.Leavers) == 0)
	case "outside_scope":
		return condition.Of(false, !mcp && s.path == event.NotApplicable)
	case "writes":
		return condition.Of(mcp && (s.verb == event.VerbWrite || s.verb == event.VerbModify), !mcp || s.verb > event.VerbUnknown)
	case "marked_read_only":
		if s.mcp == event.Known && cfg.ReadOnly != nil {
			return condition.Of(foldedIn(s.server, cfg.ReadOnly), true)
		}
		return condition.Of(false, !mcp)
	case "sends":
		if s.mcp == event.Known {
			return condition.Of(sendsByName(s.call), true)
		}
		return condition.Of(false, !mcp && s.tool != "" && s.tool != "Bash")
	case "browser":
		return condition.Of(browser(s.tool) || s.mcp == event.Known && browserServer(s.call), s.tool != "")
	}
	return condition.Unknown
}

// fixed is the value of a word that is known for every event of the nature.
func (s *nature) fixed(word string) (string, bool) {
	switch word {
	case "kind":
		return s.kind.String(), s.kind != event.Other
	case "tool_name":
		return s.tool, s.tool != "" && s.tool != event.Redacted
	case "verb":
		return s.verb.String(), s.verb > event.VerbUnknown
	case "approval":
		return s.approval.String(), s.approval > event.ApprovalUnknown
	case "mcp_server":
		return strings.ToLower(s.server), s.mcp == event.Known
	case "mcp_tool":
		return s.call, s.mcp == event.Known
	case "decision", "source": // as far as the class of the approval tells
		switch s.approval {
		case event.AutoAccept, event.HookAccept, event.ManualAccept:
			return "accept", word == "decision"
		case event.HumanReject:
			return map[string]string{"decision": "reject", "source": "user_reject"}[word], true
		case event.Dismissed:
			return map[string]string{"decision": "reject", "source": "user_abort"}[word], true
		case event.PolicyDeny:
			return map[string]string{"decision": "reject", "source": "config"}[word], true
		case event.HookDeny:
			return map[string]string{"decision": "reject", "source": "hook"}[word], true
		}
	}
	return "", false
}
