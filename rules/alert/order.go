package alert

import (
	"container/heap"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// Ordered puts records into the order of their own time before an engine sees
// them and drops repeats, so that neither duplicates nor records that come late
// by at most the bound change a result. It holds back what is younger than the
// bound; Close hands over the rest.
//
// A repeat has the session, sequence, time and name of a record still held or
// handed over within the bound, and the same request or tool-use id if it has
// one. A record later than the bound is handed over out of order and counted.
type Ordered struct {
	bound   int64
	observe func(*event.Event)
	held    held
	newest  int64
	passed  int64 // time of the last record handed over
	seen    map[identity]struct{}
	old     []identity // in the order they were handed over
	Repeats int64
	Late    int64
}

type identity struct {
	session, id string
	kind        event.Kind
	sequence    int64
	time        int64
}

// NewOrdered hands records to observe. Records are cloned: the caller may reuse them.
func NewOrdered(bound time.Duration, observe func(*event.Event)) *Ordered {
	return &Ordered{bound: int64(bound), observe: observe, seen: map[identity]struct{}{}}
}

// Observe takes the next record as it arrived.
func (o *Ordered) Observe(ev *event.Event) {
	if ev.Has&event.FSequence != 0 {
		id := identityOf(ev)
		if _, again := o.seen[id]; again {
			o.Repeats++
			return
		}
		id.session, id.id = strings.Clone(id.session), strings.Clone(id.id)
		o.seen[id] = struct{}{}
	}
	if ev.Time < o.passed {
		o.Late++
	}
	heap.Push(&o.held, clone(ev))
	o.newest = max(o.newest, ev.Time)
	o.release(o.newest - o.bound)
}

// Close hands over what is still held.
func (o *Ordered) Close() { o.release(o.newest + 1) }

func identityOf(ev *event.Event) identity {
	id := ev.ToolUse
	if id == "" {
		id = ev.Request
	}
	return identity{ev.Session, id, ev.Kind, ev.Sequence, ev.Time}
}

func (o *Ordered) release(before int64) {
	for len(o.held) > 0 && o.held[0].Time < before {
		ev := heap.Pop(&o.held).(*event.Event)
		o.passed = max(o.passed, ev.Time)
		o.observe(ev)
		if ev.Has&event.FSequence != 0 {
			o.old = append(o.old, identityOf(ev))
		}
	}
	n := 0
	for n < len(o.old) && o.old[n].time < before-o.bound {
		delete(o.seen, o.old[n])
		n++
	}
	o.old = o.old[n:]
}

// held is a heap by time. Ties go by session and sequence, which do not hang on
// arrival, and last by arrival.
type held []*event.Event

func (h held) Len() int { return len(h) }
func (h held) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case a.Time != b.Time:
		return a.Time < b.Time
	case a.Session != b.Session:
		return a.Session < b.Session
	case a.Sequence != b.Sequence:
		return a.Sequence < b.Sequence
	}
	return a.Index < b.Index
}
func (h held) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *held) Push(x any)   { *h = append(*h, x.(*event.Event)) }
func (h *held) Pop() any {
	old := *h
	n := len(old) - 1
	x := old[n]
	old[n] = nil
	*h = old[:n]
	return x
}

// clone copies a record whose strings may be views into a decoder's buffer.
func clone(ev *event.Event) *event.Event {
	c := *ev
	for _, s := range []*string{
		&c.Name, &c.Service, &c.ServiceVersion, &c.Scope, &c.ScopeVersion, &c.OS, &c.Surface, &c.Terminal, &c.DeploymentMode, &c.Session, &c.Prompt,
		&c.UserID, &c.Email, &c.Account, &c.AccountID, &c.Organisation, &c.Tool, &c.ToolUse, &c.Decision, &c.Source, &c.ToolSource, &c.ServerScope,
		&c.Parameters, &c.Input, &c.ErrorType, &c.Error, &c.PromptText, &c.ResponseText, &c.Command, &c.Model, &c.Request, &c.QuerySource, &c.Speed,
		&c.Agent, &c.Plugin, &c.PluginHash, &c.Marketplace, &c.Skill, &c.MCPServerAttr, &c.MCPToolAttr, &c.ConnStatus, &c.FromMode, &c.ToMode,
		&c.MCPServer, &c.MCPTool, &c.Path, &c.CommandLine, &c.ToolKey, &c.SkillName,
	} {
		*s = strings.Clone(*s)
	}
	for _, l := range []*[]string{&c.HostPaths, &c.Paths} {
		if *l != nil {
			*l = append([]string(nil), *l...)
			for i := range *l {
				(*l)[i] = strings.Clone((*l)[i])
			}
		}
	}
	c.Extra = nil // the engine reads none of them
	return &c
}
