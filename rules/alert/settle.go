package alert

import (
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
)

// Most rules have nothing to say about most tools: that a condition is false
// often follows from the event's name and tool alone. The engine works this out
// once for each such pair and afterwards only counts the events.

// nature is what a condition can be settled by.
type nature struct {
	kind   event.Kind
	tool   string
	named  bool // the tool is on the wire
	mcp    bool // the record concerns an MCP call
	cowork bool
}

// bucket are the rules that must look at events of one nature. The others would
// find them false; counted stands for that.
type bucket struct {
	nature  nature // with a tool name of its own
	look    []*state
	settled []*state
	counted int64
}

// latest is a bucket met lately.
type latest struct {
	nature nature
	bucket *bucket
}

// maxBuckets bounds the memory that invented tool names can take. Beyond it,
// every rule looks at every event.
const maxBuckets = 2048

func (e *Engine) bucketOf(ev *event.Event) *bucket {
	s := nature{ev.Kind, ev.Tool, ev.Tool != "", ev.MCPKnown != event.NotApplicable, ev.Product == event.Cowork}
	n := uint(len(s.tool))
	if n > 0 {
		n += uint(s.tool[0])*5 + uint(s.tool[n-1])*3
	}
	l := &e.latest[(n+uint(s.kind)*7)%uint(len(e.latest))]
	if l.bucket != nil && l.nature == s {
		return l.bucket
	}
	if b, ok := e.buckets[s]; ok {
		*l = latest{b.nature, b}
		return b
	}
	s.tool = strings.Clone(s.tool)
	b := &bucket{nature: s}
	full := len(e.buckets) >= maxBuckets
	for _, st := range e.byKind[ev.Kind] {
		switch {
		case !s.cowork && !st.r.any:
		case !full && settled(st.r.prog.Tree(), &s) == condition.False:
			b.settled = append(b.settled, st)
		default:
			b.look = append(b.look, st)
		}
	}
	if full {
		return b
	}
	e.buckets[s] = b
	return b
}

// settled evaluates a condition with nothing known but the nature. False here is
// false for every event of that nature, as unknown only ever turns into less.
func settled(n *condition.Node, s *nature) condition.Tri {
	switch n.Op {
	case "bool":
		return condition.Of(n.Bool, true)
	case "not":
		return settled(n.Args[0], s).Not()
	case "and":
		return settled(n.Args[0], s).And(settled(n.Args[1], s))
	case "or":
		return settled(n.Args[0], s).Or(settled(n.Args[1], s))
	case "==", "!=", "in":
		v, ok := fixed(n.Args[0], s)
		if !ok {
			return condition.Unknown
		}
		right := n.Args[1]
		switch {
		case n.Op == "in" && right.Op == "list":
			return condition.Of(slices.Contains(right.List, v), true)
		case n.Op != "in" && right.Op == "text":
			return condition.Of((v == right.Text) == (n.Op == "=="), true)
		}
	case "var":
		switch n.Name {
		case "is_mcp":
			return condition.Of(s.mcp, s.named)
		case "writes", "marked_read_only":
			if !s.mcp {
				return condition.False
			}
		case "sends":
			if !s.mcp && s.named && s.tool != "Bash" {
				return condition.False
			}
		case "browser":
			if !s.mcp && s.named {
				return condition.Of(browser(s.tool), true)
			}
		}
	}
	return condition.Unknown
}

// fixed is the value of a word that follows from the nature.
func fixed(n *condition.Node, s *nature) (string, bool) {
	if n.Op != "var" {
		return "", false
	}
	switch n.Name {
	case "kind":
		return s.kind.String(), s.kind != event.Other
	case "tool_name":
		return s.tool, s.named && s.tool != event.Redacted
	}
	return "", false
}
