package rbac

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Delta is one answer that differs between two policies for some members at one
// moment, whether or not anybody used it.
type Delta struct {
	Question Question `json:"question"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Members  []int    `json:"-"`
	Count    int      `json:"members"`
	Reason   string   `json:"reason"` // the new answer's, of the first member
}

// questions lists everything either policy names, in a fixed order: capabilities,
// connectors with their tools, plugins, skills.
func questions(es ...*Engine) []Question {
	var out []Question
	add := func(q Question) {
		if !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	for _, e := range es {
		for _, c := range e.names {
			add(Question{Kind: "capability", Name: c})
		}
	}
	for _, e := range es {
		for _, c := range e.dir.Config.Connectors {
			if len(c.Tools) == 0 {
				add(Question{Kind: "connector", Name: c.Name.Value})
			}
			for _, t := range c.Tools {
				add(Question{Kind: "connector", Name: c.Name.Value, Tool: t.Name})
			}
		}
	}
	for _, e := range es {
		for _, p := range e.dir.Config.Plugins {
			add(Question{Kind: "plugin", Name: p.Name.Value})
		}
		for _, p := range e.dir.Config.Skills {
			add(Question{Kind: "skill", Name: p.Name.Value})
		}
	}
	return out
}

// answer is the outcome of a question, with a plugin's or skill's level.
func (e *Engine) answer(member int, q Question, t time.Time) Decision {
	switch q.Kind {
	case "capability":
		return e.Capability(member, q.Name, t)
	case "connector":
		return e.ConnectorCall(member, Call{Connector: q.Name, Tool: q.Tool, Write: true}, t)
	case "plugin":
		return e.Plugin(member, q.Name, t)
	case "skill", skillResult:
		return e.Skill(member, q.Name, t)
	}
	return Decision{}
}

func outcomeWord(d Decision) string {
	if d.Level != "" && d.Outcome == Allow {
		return d.Level
	}
	return d.Outcome.String()
}

// Reach lists what two policies answer differently at t, over everything that
// either names, by question and pair of answers. Members are indexes of the
// proposed directory; they are matched by account, e-mail address or id, and
// members whom only one policy knows are left out.
func Reach(current, proposed *Engine, t time.Time) []Delta {
	return ReachBetween(current, t, proposed, t)
}

// ReachBetween is Reach with a moment of its own for each policy: what members may
// do after a day, against before it, where the two are one.
func ReachBetween(current *Engine, before time.Time, proposed *Engine, after time.Time) []Delta {
	var out []Delta
	twin := twins(proposed.dir, current.dir)
	// Members of one state under both policies get the same answers, personal
	// settings aside, so that one answer serves all of them.
	type pair struct{ a, b int }
	stateOf := func(e *Engine, m int, at time.Time) int {
		ns := at.UnixNano()
		a := e.account(m)
		index, settled := e.stateIndex(m, ns)
		if e.inputs.Personal[m] != nil || e.bars != nil && e.bars[m] != nil || !settled || !a.certain(ns) || a.shut(ns) {
			return -1 - m
		}
		return index
	}
	for _, q := range questions(current, proposed) {
		at := map[[2]string]int{}
		seen := map[pair][2]Decision{}
		for m := range proposed.dir.Len() {
			old := twin[m]
			if old < 0 {
				continue
			}
			k := pair{stateOf(current, old, before), stateOf(proposed, m, after)}
			ds, ok := seen[k]
			if !ok {
				ds = [2]Decision{current.answer(old, q, before), proposed.answer(m, q, after)}
				seen[k] = ds
			}
			words := [2]string{outcomeWord(ds[0]), outcomeWord(ds[1])}
			if words[0] == words[1] {
				continue
			}
			i, ok := at[words]
			if !ok {
				i = len(out)
				at[words] = i
				out = append(out, Delta{Question: q, From: words[0], To: words[1], Reason: why(ds[1])})
			}
			out[i].Members = append(out[i].Members, m)
			out[i].Count++
		}
	}
	return out
}

func why(d Decision) string {
	var texts []string
	for _, r := range d.Reasons {
		texts = append(texts, r.Text)
	}
	return strings.Join(texts, "; ")
}

// twins finds each member of one directory in another, -1 for nobody.
func twins(from, in *org.Directory) []int {
	out := make([]int, from.Len())
	for i := range from.Len() {
		out[i] = -1
		m := from.Member(i)
		for _, k := range [...]string{m.Account, m.Email, m.ID} {
			if x, ok := in.Find(k); ok {
				out[i] = x
				break
			}
		}
	}
	return out
}

// WhatIf passes a stream once under two policies and reports only what changes.
// It is an observer like the engines, and not safe for concurrent use.
//
// An attempt is a prompt (a use of Cowork), a result of a tool on a connector, a
// skill that was activated, or a plugin that was loaded. A decision that was
// rejected is no attempt: its call did not run.
type WhatIf struct {
	a, b       *Engine
	calls      [2]Calls
	items      [2]map[itemUse]string
	pairs      map[pairUse][2]string // answers of both, where both are settled
	changes    map[changeKey]*tally
	impossible map[changeKey]*tally
	uses       uses
	results    uses // of skills, which count only without activations
	activated  bool
	blind      Blind
	twin       []int // member of b -> member of a; -1
	back       []int
}

// uses counts attempts, those answered alike and those inside a change that was
// still spreading.
type uses struct{ attempts, same, undecided int64 }

type itemUse struct {
	state int32
	kind  byte
	name  string
}

// pairUse is a use by members of one state under each policy.
type pairUse struct {
	a, b              int32
	kind              byte
	name, tool, scope string
}

type changeKey struct {
	q        Question
	from, to string
}

type tally struct {
	uses        int64
	first, last int64
	members     map[int]int64
	reason      string
}

// Blind counts what a stream cannot be asked about.
type Blind struct {
	Unattributed int64 `json:"unattributed"`      // records without a member
	Strangers    int64 `json:"strangers"`         // members whom a directory does not know
	Unnamed      int64 `json:"unnamed_servers"`   // tool results of servers the wire does not name
	UnnamedItems int64 `json:"unnamed_items"`     // skills and plugins without a name
	OtherProduct int64 `json:"other_products"`    // not Cowork
	Undecided    int64 `json:"changes_in_flight"` // attempts inside a change that was still spreading
}

// NewWhatIf compares the current policy with a proposed one. Both engines are
// only asked, not fed: give them to the replay themselves if their findings are
// wanted too.
func NewWhatIf(current, proposed *Engine) *WhatIf {
	return &WhatIf{a: current, b: proposed, calls: [2]Calls{{}, {}}, items: [2]map[itemUse]string{{}, {}}, pairs: map[pairUse][2]string{},
		changes: map[changeKey]*tally{}, impossible: map[changeKey]*tally{},
		twin: twins(proposed.dir, current.dir), back: twins(current.dir, proposed.dir)}
}

// Observe takes the next record.
func (w *WhatIf) Observe(ev *event.Event) {
	if ev.Product != event.Cowork {
		w.blind.OtherProduct++
		return
	}
	var q Question
	switch ev.Kind {
	case event.UserPrompt:
		q = Question{Kind: "capability", Name: Cowork}
	case event.ToolResult:
		if ev.Tool == "Skill" {
			q = Question{Kind: skillResult, Name: ev.SkillName}
			break
		}
		if !ev.IsMCP() || ev.ToolSource == "sdk_host_builtin_mcp" {
			return
		}
		if ev.MCPKnown != event.Known {
			w.blind.Unnamed++
			return
		}
		q = Question{Kind: "connector", Name: ev.MCPServer, Tool: ev.MCPTool}
	case event.SkillActivated:
		w.activated = true
		q = Question{Kind: "skill", Name: ev.SkillName}
	case event.PluginLoaded:
		q = Question{Kind: "plugin", Name: ev.Plugin}
	default:
		return
	}
	if hiddenName(q.Name) {
		w.blind.UnnamedItems++
		return
	}
	if ev.Account == "" && ev.Email == "" && ev.AccountID == "" {
		w.blind.Unattributed++
		return
	}
	ma, ok := w.a.member(ev)
	mb := -1
	if ok {
		mb = w.back[ma]
	}
	if mb < 0 {
		w.blind.Strangers++
		return
	}
	u := &w.uses
	if q.Kind == skillResult {
		u = &w.results
	}
	u.attempts++
	t := ev.When()
	a, b := w.both(ma, mb, q, ev, t)
	if a == InFlight.String() || b == InFlight.String() {
		u.undecided++
		return
	}
	if a == Deny.String() || a == "not_available" {
		w.count(w.impossible, changeKey{q, a, ""}, ma, ev, func() Decision { return w.a.decideUse(ma, q, ev, t) })
	}
	if a == b {
		u.same++
		return
	}
	w.count(w.changes, changeKey{q, a, b}, mb, ev, func() Decision { return w.b.decideUse(mb, q, ev, t) })
}

// hiddenName reports a name that capture settings held back.
func hiddenName(s string) bool {
	return s == "" || s == event.Redacted || s == "third-party" || s == "custom" || s == "custom_skill"
}

// skillResult is a skill seen as the result of the tool Skill. A stream with
// skill_activated has both for one use, and then only those count.
const skillResult = "skill result"

func (e *Engine) decideUse(member int, q Question, ev *event.Event, t time.Time) Decision {
	if q.Kind == "connector" {
		return e.ConnectorCall(member, Call{Connector: q.Name, Tool: q.Tool, Scope: ev.ServerScope, Write: true}, t)
	}
	return e.answer(member, q, t)
}

// both is the answer of each policy as a word. A stream repeats a few uses by
// members of few states without end, so that one look-up serves both policies as
// long as nothing is on its way.
func (w *WhatIf) both(ma, mb int, q Question, ev *event.Event, t time.Time) (a, b string) {
	ns := ev.Time
	if q.Kind == "capability" { // a use of Cowork
		return w.a.outcome(ma, w.a.caps[Cowork], ns).String(), w.b.outcome(mb, w.b.caps[Cowork], ns).String()
	}
	ia, sa := w.a.stateIndex(ma, ns)
	ib, sb := w.b.stateIndex(mb, ns)
	if !sa || !sb || !w.a.plain(ma, ns) || !w.b.plain(mb, ns) {
		return w.ask(0, ma, q, ev, t), w.ask(1, mb, q, ev, t)
	}
	k := pairUse{int32(ia), int32(ib), q.Kind[0], q.Name, q.Tool, ""}
	if q.Kind == "connector" {
		k.scope = ev.ServerScope
	}
	words, ok := w.pairs[k]
	if !ok {
		words = [2]string{w.ask(0, ma, q, ev, t), w.ask(1, mb, q, ev, t)}
		if len(w.pairs) >= maxCalls {
			clear(w.pairs)
		}
		k.name, k.tool, k.scope = strings.Clone(k.name), strings.Clone(k.tool), strings.Clone(k.scope)
		w.pairs[k] = words
	}
	return words[0], words[1]
}

// plain reports that a member's account is there for sure and that no setting of
// the member's own bears on connectors.
func (e *Engine) plain(member int, ns int64) bool {
	a := e.account(member)
	return ns >= a.settled && ns < a.leaving && ns >= a.open && ns < a.closed && (len(e.inputs.Personal) == 0 || e.inputs.Personal[member] == nil)
}

// ask is the answer of one policy as a word, without reasons.
func (w *WhatIf) ask(side, member int, q Question, ev *event.Event, t time.Time) string {
	e := w.a
	if side == 1 {
		e = w.b
	}
	switch q.Kind {
	case "capability":
		return e.Allowed(member, q.Name, t).String()
	case "connector":
		// A call of somebody who may not use Cowork at all is a Cowork matter, which
		// its prompts show; here the connector alone is asked about.
		return w.calls[side].Outcome(e, member, Call{Connector: q.Name, Tool: q.Tool, Scope: ev.ServerScope, Write: true}, t).String()
	}
	ns := t.UnixNano()
	acc := e.account(member)
	if acc.shut(ns) {
		return Deny.String()
	}
	index, settled := e.stateIndex(member, ns)
	if !settled || !acc.certain(ns) {
		return outcomeWord(e.answer(member, q, t))
	}
	k := itemUse{int32(index), q.Kind[0], q.Name} // s for both kinds of skill
	word, ok := w.items[side][k]
	if !ok {
		word = outcomeWord(e.answer(member, q, t))
		if len(w.items[side]) >= maxCalls {
			clear(w.items[side])
		}
		k.name = strings.Clone(k.name)
		w.items[side][k] = word
	}
	return word
}

// maxChanges bounds the differences, and the findings, kept apart; a stream that
// names servers without end must not fill memory. What is beyond it is counted on
// one line.
const maxChanges = 10_000

const allOthers = "(all others)"

func (w *WhatIf) count(in map[changeKey]*tally, k changeKey, member int, ev *event.Event, reason func() Decision) {
	c := in[k]
	if c == nil {
		if len(in) >= maxChanges {
			k.q = Question{Kind: k.q.Kind, Name: allOthers}
			c = in[k]
		}
		if c == nil {
			c = &tally{first: ev.Time, last: ev.Time, members: map[int]int64{}, reason: why(reason())}
			k.q.Name, k.q.Tool = strings.Clone(k.q.Name), strings.Clone(k.q.Tool)
			in[k] = c
		}
	}
	c.uses++
	c.members[member]++
	c.first, c.last = min(c.first, ev.Time), max(c.last, ev.Time)
}

// UseChange is one answer that a proposed policy changes for uses that really
// happened, or, in Impossible, a use that the current policy should have stopped.
type UseChange struct {
	Question Question  `json:"question"`
	From     string    `json:"from"`
	To       string    `json:"to,omitempty"`
	Gains    bool      `json:"gains"` // the new answer is the wider one
	Uses     int64     `json:"uses"`
	Users    int       `json:"users"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Reason   string    `json:"reason"`
	Members  []string  `json:"-"` // keys as in rules.Finding, sorted; writers replace them by pseudonyms
}

// WhatIfResult is what one pass under two policies shows.
type WhatIfResult struct {
	Attempts   int64       `json:"attempts"`
	Unchanged  int64       `json:"unchanged"`
	Changes    []UseChange `json:"changes"`
	Impossible []UseChange `json:"impossible"`
	Reach      []Delta     `json:"reach"` // at the end of the stream, used or not
	Blind      Blind       `json:"blind_spots"`
}

// Close returns what was seen, largest first, and the reach of the two policies
// at the end of the stream.
func (w *WhatIf) Close(end time.Time) WhatIfResult {
	u := w.uses
	if !w.activated {
		u.attempts += w.results.attempts
		u.same += w.results.same
		u.undecided += w.results.undecided
	}
	res := WhatIfResult{Attempts: u.attempts, Unchanged: u.same, Blind: w.blind,
		Changes: w.useChanges(w.changes, w.b.dir), Impossible: w.useChanges(w.impossible, w.a.dir), Reach: Reach(w.a, w.b, end)}
	res.Blind.Undecided = u.undecided
	return res
}

var width = map[string]int{"deny": 0, "not_available": 0, "indeterminate": 1, "in flight": 1, "ask": 2, "available": 3, "allow": 4, "installed": 4, "required": 5, "not governed": 6}

func (w *WhatIf) useChanges(in map[changeKey]*tally, dir *org.Directory) []UseChange {
	out := []UseChange{}
	for k, c := range in {
		if k.q.Kind == skillResult {
			if w.activated {
				continue
			}
			k.q.Kind = "skill"
		}
		u := UseChange{Question: k.q, From: k.from, To: k.to, Gains: width[k.to] > width[k.from], Uses: c.uses, Users: len(c.members),
			First: time.Unix(0, c.first).UTC(), Last: time.Unix(0, c.last).UTC(), Reason: c.reason}
		for m := range c.members {
			u.Members = append(u.Members, dir.Key(m))
		}
		sort.Strings(u.Members)
		out = append(out, u)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Uses != b.Uses {
			return a.Uses > b.Uses
		}
		if x, y := a.Question.String(), b.Question.String(); x != y {
			return x < y
		}
		return a.From+a.To < b.From+b.To
	})
	return out
}
