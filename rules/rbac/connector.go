package rbac

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Call is one tool call of an MCP server as Cowork makes it.
type Call struct {
	Connector, Tool string
	// Scope is the wire's server scope, "" when not sent. user, project, local and
	// dynamic are servers the member brought along.
	Scope string
	// Write says that the tool can write. It counts only for tools the
	// configuration does not list; pass true when nobody annotated the tool,
	// because an un-annotated tool counts as able to write (1.5).
	Write bool
}

var separators = strings.NewReplacer(" ", "_", "-", "_", ".", "_")

// ConnectorKey makes the spellings of a connector name comparable: case, the
// wire's claude.ai prefix, blanks and dashes.
func ConnectorKey(name string) string {
	return strings.TrimPrefix(separators.Replace(strings.ToLower(name)), "claude_ai_")
}

// Connector decides a call of which the server's scope is not known; see Call.
func (e *Engine) Connector(member int, connector, tool string, write bool, t time.Time) Decision {
	return e.ConnectorCall(member, Call{Connector: connector, Tool: tool, Write: write}, t)
}

// ConnectorCall decides a call by 1.5: the highest grant of the member's roles,
// lowered by the organisation's tool policy, by Cowork's gate on tools that
// write, and by the member's own setting. A server that is not configured is
// NotGoverned when the member brought it (fact rbac-local-servers-ungoverned,
// row 29) or when the configuration lists it as such, else denied. Whether the
// member may use Cowork at all is Capability's question.
func (e *Engine) ConnectorCall(member int, c Call, t time.Time) Decision {
	d := e.call(e.now(member, t), member, c)
	if d.Outcome == NotGoverned {
		return d
	}
	if left := e.personal(member, "", t); len(left) > 0 { // "" is no capability: membership only
		if d.Outcome != Deny {
			d.Reasons = nil
		}
		d.Outcome, d.Reasons = Deny, append(left, d.Reasons...)
		return d
	}
	return e.settle(member, t, func(s *state) Decision { return e.call(s, member, c) })
}

// call is ConnectorCall in one state, membership aside.
func (e *Engine) call(s *state, member int, c Call) Decision {
	conn := s.ep.conns[ConnectorKey(c.Connector)]
	if conn == nil {
		if by := e.brought(c); by != "" {
			return Decision{Outcome: NotGoverned, Reasons: []Reason{{
				Level: "scope", By: by,
				Text: fmt.Sprintf("%q is a server the member brought (%s); connector permissions do not reach it", c.Connector, by)}}}
		}
	}
	steps, granting, doubt := e.connectorSteps(s, conn, c)
	return s.mapped(e.own(conclude(s, steps, granting, doubt), member, c))
}

// brought tells how a server that is no connector is known to be the member's
// own, "" when it is not known to be.
func (e *Engine) brought(c Call) string {
	if local(c.Scope) {
		return c.Scope
	}
	for _, l := range e.dir.Config.Local {
		if ConnectorKey(l.Name.Value) == ConnectorKey(c.Connector) {
			return "listed as local"
		}
	}
	return ""
}

func local(scope string) bool {
	return scope == "user" || scope == "project" || scope == "local" || scope == "dynamic"
}

// own lowers a decision to the member's personal setting.
func (e *Engine) own(d Decision, member int, c Call) Decision {
	p, stated := e.inputs.Personal[member][ConnectorKey(c.Connector)]
	if !stated || d.Outcome == Indeterminate && p != Deny {
		return d
	}
	r := Reason{Level: "user", Text: "the member's own setting: " + personalWord(p)}
	switch {
	case rank(p) < rank(d.Outcome):
		d.Outcome, d.Reasons = p, []Reason{r}
	case p == d.Outcome && p != Allow:
		d.Reasons = append(slices.Clone(d.Reasons), r)
	}
	return d
}

func personalWord(o Outcome) string {
	switch o {
	case Allow:
		return "always allow"
	case Deny:
		return "never"
	}
	return "ask"
}

// rank orders what can be combined by minimum: Deny < Ask < Allow.
func rank(o Outcome) int {
	switch o {
	case Deny:
		return 0
	case Ask:
		return 1
	}
	return 2
}

// limit is one level's bound on a call. The decision is the lowest of them and
// its reasons are the levels that reach it. A limit that only says that nothing
// is lowered here (plain) is shown in explanations and is no reason.
type limit struct {
	o     Outcome
	plain bool
	r     Reason
}

// connectorSteps lists the levels of 1.5 in order. doubt is what is not known
// and would matter, "" if nothing.
func (e *Engine) connectorSteps(s *state, conn *org.Connector, c Call) (steps []limit, granting []string, doubt string) {
	add := func(o Outcome, plain bool, level, by, text string) {
		steps = append(steps, limit{o, plain, Reason{Level: level, By: by, Text: text}})
	}
	if conn == nil {
		add(Deny, false, "org", "", fmt.Sprintf("%q is not a connector of this organisation", c.Connector))
		return steps, nil, ""
	}
	name := conn.Name.Value
	if conn.Enabled {
		add(Allow, true, "org", name, fmt.Sprintf("connector %q is enabled", name))
	} else {
		add(Deny, false, "org", name, fmt.Sprintf("connector %q is not enabled by an owner", name))
	}
	switch conn.Policy {
	case "blocked":
		add(Deny, false, "org-tool", name, "the organisation blocks this connector's tools")
	case "ask":
		add(Ask, false, "org-tool", name, "the organisation's tool policy is needs approval")
	default:
		add(Allow, true, "org-tool", name, "the organisation's tool policy does not lower it")
	}
	r := &s.ep.rules
	switch {
	case !s.ep.enterprise():
		add(Allow, true, "role", s.ep.cfg.Organisation.Plan.Value, "this plan has no custom roles")
	case s.orgRole != "custom" && s.orgRole != notStated:
		add(Allow, true, "role", s.orgRole, fmt.Sprintf("the organisation role %q is not bound by custom roles", s.orgRole))
	case r.ConnectorRoles == Off:
		add(Allow, true, "role", "", "roles do not govern connectors at this date")
	default:
		grant, by, text := connectorGrant(s, conn, c.Tool)
		granting = by
		switch {
		case s.orgRole == notStated && grant != Allow:
			doubt = "the organisation role of the member is not stated, and on Custom " + text
		case r.ConnectorRoles == On && grant == Indeterminate:
			doubt = text
		case r.ConnectorRoles == On:
			add(grant, false, "role", strings.Join(by, ", "), text)
		case grant != Allow: // not known, which matters only if the roles would lower the call
			doubt = "whether roles govern connectors at this date is not known"
		}
	}
	if doubt != "" {
		add(Indeterminate, true, "role", "", doubt)
	}
	write, how := c.Write, "a tool nobody annotated counts as able to write"
	for _, t := range conn.Tools {
		if t.Name == c.Tool {
			if write = !t.ReadOnly; t.Write {
				how = "the tool can write"
			}
		}
	}
	switch {
	case !write:
		add(Allow, true, "cowork-write", "", "the tool only reads, so Cowork's gate on writing does not apply")
	case org.On(s.ep.cfg.Organisation.Settings.AlwaysAllow):
		add(Allow, true, "cowork-write", "always_allow_connectors", "the organisation lets members choose Always allow")
	default:
		add(Ask, false, "cowork-write", "always_allow_connectors", "Cowork asks before a tool that can write, unless the organisation allows Always allow ("+how+")")
	}
	return steps, granting, doubt
}

func conclude(s *state, steps []limit, granting []string, doubt string) Decision {
	d := Decision{Outcome: Allow, Granting: granting}
	for _, l := range steps {
		if l.o != Indeterminate && rank(l.o) < rank(d.Outcome) {
			d.Outcome = l.o
		}
	}
	for _, l := range steps {
		if !l.plain && l.o == d.Outcome {
			d.Reasons = append(d.Reasons, l.r)
		}
	}
	if doubt != "" && d.Outcome != Deny {
		return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: "role", Text: doubt}}}
	}
	if len(d.Reasons) == 0 {
		d.Reasons = []Reason{{Level: "role", By: s.orgRole, Text: "no role, organisation or Cowork setting lowers it"}}
	}
	return d
}

// connectorGrant is the highest grant over the member's roles. Indeterminate
// means that roles could not be read in full and none of what was read gives
// Always allow.
func connectorGrant(s *state, conn *org.Connector, tool string) (Outcome, []string, string) {
	best, granting, partial, untouched := Deny, []string(nil), "", true
	for _, h := range s.roles {
		o, rows := roleGrant(h.role, conn, tool)
		if h.role.Partial && !rows {
			partial = h.role.Name.Value
			continue
		}
		if o == Deny {
			continue
		}
		granting = append(granting, h.role.Name.Value)
		untouched = untouched && !rows
		if rank(o) > rank(best) {
			best = o
		}
	}
	switch {
	case best == Allow:
		return Allow, granting, fmt.Sprintf("a role grants connector %q always", conn.Name.Value)
	case len(s.unknown) > 0:
		return Indeterminate, granting, "the roles of group " + strings.Join(s.unknown, ", ") + " could not be read; ask again"
	case partial != "":
		return Indeterminate, granting, fmt.Sprintf("the export of role %q holds no connector row, which may be a row left out", partial)
	case best == Deny:
		return Deny, nil, fmt.Sprintf("no role of the member grants connector %q", conn.Name.Value)
	}
	if untouched {
		return Ask, granting, fmt.Sprintf("role %s says nothing on connectors, and a role that was never set up for them stands at needs approval for all", strings.Join(granting, ", "))
	}
	return Ask, granting, fmt.Sprintf("the highest role grant on connector %q is needs approval (role %s)", conn.Name.Value, strings.Join(granting, ", "))
}

// roleGrant is one role's grant: the tool's row beats the connector's, which
// beats the row for all connectors; without any of them the connector is blocked
// (row 23). A role without a single connector row that does not say connectors:
// custom was never set up for connectors and stands at needs approval, as the
// role editor starts; rows is false for it.
func roleGrant(r *org.Role, conn *org.Connector, tool string) (o Outcome, rows bool) {
	rows = r.Connectors == "custom"
	best, level := -1, ""
	key := ConnectorKey(conn.Name.Value)
	for i := range r.Grants {
		g := &r.Grants[i]
		if g.Connector.Value == "" {
			continue
		}
		rows = true
		spec := -1
		switch {
		case g.Connector.Value == "all" && g.Tool == "":
			spec = 0
		case ConnectorKey(g.Connector.Value) != key:
		case g.Tool == "":
			spec = 1
		case g.Tool == tool:
			spec = 2
		}
		// Rows only grant, so that of two rows for the same thing the higher counts.
		if spec > best || spec == best && spec >= 0 && g.Level == "always" {
			best, level = spec, g.Level
		}
	}
	switch {
	case !rows:
		return Ask, false
	case best < 0:
		return Deny, true
	case level == "always":
		return Allow, true
	}
	return Ask, true // a row without a level is the lower grant
}

// Calls remembers the outcomes of calls by state, because a stream repeats a
// few calls without end and reasons are costly. It serves one engine and is not
// safe for concurrent use.
type Calls map[callKey]Outcome

type callKey struct {
	state                  int32
	connector, tool, scope string
	write                  bool
}

const maxCalls = 1 << 16 // a stream with endless server names must not fill memory

// Outcome is ConnectorCall's outcome without its reasons.
func (cc Calls) Outcome(e *Engine, member int, c Call, t time.Time) Outcome {
	ns := t.UnixNano()
	in := func(i int) Outcome {
		if e.inputs.Personal[member] != nil {
			return e.call(&e.states[i], member, c).Outcome
		}
		k := callKey{int32(i), c.Connector, c.Tool, c.Scope, c.Write}
		o, ok := cc[k]
		if !ok {
			o = e.call(&e.states[i], member, c).Outcome
			if len(cc) >= maxCalls {
				clear(cc)
			}
			k.connector, k.tool, k.scope = strings.Clone(k.connector), strings.Clone(k.tool), strings.Clone(k.scope)
			cc[k] = o
		}
		return o
	}
	index, settled := e.stateIndex(member, ns)
	out := in(index)
	if out == NotGoverned {
		return out
	}
	a := e.account(member)
	switch {
	case a.shut(ns):
		return Deny
	case settled && a.certain(ns):
		return out
	case out != Deny && !a.certain(ns):
		return InFlight
	}
	e.others(member, ns, func(i int, _ uint16) bool {
		if in(i) != out {
			out = InFlight
		}
		return out != InFlight
	})
	return out
}
