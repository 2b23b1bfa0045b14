package rbac

import (
	"fmt"
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

// ConnectorKey makes the spellings of a connector name comparable: case, the
// wire's claude.ai prefix, blanks and dashes.
func ConnectorKey(name string) string {
	k := strings.NewReplacer(" ", "_", "-", "_", ".", "_").Replace(strings.ToLower(name))
	return strings.TrimPrefix(k, "claude_ai_")
}

// Connector decides a call of which the server's scope is not known; see Call.
func (e *Engine) Connector(member int, connector, tool string, write bool, t time.Time) Decision {
	return e.ConnectorCall(member, Call{Connector: connector, Tool: tool, Write: write}, t)
}

// ConnectorCall decides a call by 1.5: the highest grant of the member's roles,
// lowered by the organisation's tool policy, by Cowork's gate on tools that
// write, and by the member's own setting. A server that is not configured is
// NotGoverned when the member brought it (fact rbac-local-servers-ungoverned,
// row 29), else denied. Whether the member may use Cowork at all is
// Capability's question.
func (e *Engine) ConnectorCall(member int, c Call, t time.Time) Decision {
	conn := e.conns[ConnectorKey(c.Connector)]
	if conn == nil && local(c.Scope) {
		return Decision{Outcome: NotGoverned, Reasons: []Reason{{
			Level: "scope", By: c.Scope,
			Text: fmt.Sprintf("%q is a server the member brought (%s); connector permissions do not reach it", c.Connector, c.Scope)}}}
	}
	now, before := e.at(member, t)
	d := e.connectorPolicy(now, conn, c)
	if left := e.personal(member, "", t); len(left) > 0 { // "" is no capability: membership only
		if d.Outcome != Deny {
			d.Reasons = nil
		}
		d.Outcome, d.Reasons = Deny, append(left, d.Reasons...)
		return d
	}
	d = e.own(d, member, c)
	if before != nil && d.Outcome != e.own(e.connectorPolicy(before, conn, c), member, c).Outcome {
		d.Outcome = InFlight
		d.Reasons = append([]Reason{{Level: "propagation", Text: "a group change may not have arrived yet"}}, d.Reasons...)
	}
	return d
}

func local(scope string) bool {
	return scope == "user" || scope == "project" || scope == "local" || scope == "dynamic"
}

// own lowers a decision to the member's personal setting.
func (e *Engine) own(d Decision, member int, c Call) Decision {
	for name, p := range e.rules.Inputs.Personal[member] {
		if ConnectorKey(name) != ConnectorKey(c.Connector) || d.Outcome == Indeterminate && p != Deny {
			continue
		}
		r := Reason{Level: "user", Text: "the member's own setting: " + p.String()}
		switch {
		case rank(p) < rank(d.Outcome):
			d.Outcome, d.Reasons = p, []Reason{r}
		case p == d.Outcome && p != Allow:
			d.Reasons = append(d.Reasons, r)
		}
	}
	return d
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

func (e *Engine) connectorPolicy(s *state, conn *org.Connector, c Call) Decision {
	if conn == nil {
		return Decision{Outcome: Deny, Reasons: []Reason{{Level: "org", Text: fmt.Sprintf("%q is not a connector of this organisation", c.Connector)}}}
	}
	// limits are the levels that lower the call, each with its own outcome; the
	// decision is the lowest and its reasons are the levels that reach it.
	type limit struct {
		o Outcome
		r Reason
	}
	var limits []limit
	add := func(o Outcome, level, by, text string) {
		limits = append(limits, limit{o, Reason{Level: level, By: by, Text: text}})
	}
	name := conn.Name.Value
	if !conn.Enabled {
		add(Deny, "org", name, fmt.Sprintf("connector %q is not enabled by an owner", name))
	}
	switch conn.Policy {
	case "blocked":
		add(Deny, "org-tool", name, "the organisation blocks this connector's tools")
	case "ask":
		add(Ask, "org-tool", name, "the organisation's tool policy is needs approval")
	}
	grant, granting, text := e.connectorGrant(s, conn, c.Tool)
	unsure := false
	if e.enterprise() && s.orgRole == "custom" {
		switch e.rules.ConnectorRoles {
		case On:
			if grant == Indeterminate {
				unsure = true
			} else {
				add(grant, "role", strings.Join(granting, ", "), text)
			}
		case Unknown: // matters only if the roles would lower the call
			unsure = grant != Allow
			text = "whether roles govern connectors at this date is not known"
		case Off:
			granting = nil
		}
	} else {
		granting = nil
	}
	write := c.Write
	for _, t := range conn.Tools {
		if t.Name == c.Tool {
			write = !t.ReadOnly
		}
	}
	if write && !org.On(e.cfg.Organisation.Settings.AlwaysAllow) {
		add(Ask, "cowork-write", "always_allow_connectors", "Cowork asks before a tool that can write, unless the organisation allows Always allow")
	}
	d := Decision{Outcome: Allow, Granting: granting}
	for _, l := range limits {
		if rank(l.o) < rank(d.Outcome) {
			d.Outcome = l.o
		}
	}
	for _, l := range limits {
		if l.o == d.Outcome {
			d.Reasons = append(d.Reasons, l.r)
		}
	}
	if unsure && d.Outcome != Deny {
		return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: "role", Text: text}}}
	}
	if len(d.Reasons) == 0 {
		d.Reasons = []Reason{{Level: "role", By: s.orgRole, Text: "no role, organisation or Cowork setting lowers it"}}
	}
	return d
}

// connectorGrant is the highest grant over the member's roles. Indeterminate
// means that roles could not be read and none of the others gives Always allow.
func (e *Engine) connectorGrant(s *state, conn *org.Connector, tool string) (Outcome, []string, string) {
	best, granting := Deny, []string(nil)
	for _, h := range s.roles {
		o := roleGrant(h.role, conn, tool)
		if o == Deny {
			continue
		}
		granting = append(granting, h.role.Name.Value)
		if rank(o) > rank(best) {
			best = o
		}
	}
	switch {
	case len(s.unknown) > 0 && best != Allow:
		return Indeterminate, granting, "the roles of group " + strings.Join(s.unknown, ", ") + " could not be read; ask again"
	case best == Deny:
		return Deny, nil, fmt.Sprintf("no role of the member grants connector %q", conn.Name.Value)
	case best == Ask:
		return Ask, granting, fmt.Sprintf("the highest role grant on connector %q is needs approval", conn.Name.Value)
	}
	return Allow, granting, fmt.Sprintf("a role grants connector %q always", conn.Name.Value)
}

// roleGrant is one role's grant: the tool's row beats the connector's, which
// beats the row for all connectors; without any of them the connector is blocked
// (row 23). A role without a single connector row was never set up for
// connectors and stands at needs approval, as the role editor starts.
func roleGrant(r *org.Role, conn *org.Connector, tool string) Outcome {
	best, level, any := -1, "", false
	for i := range r.Grants {
		g := &r.Grants[i]
		if g.Connector.Value == "" {
			continue
		}
		any = true
		spec := -1
		switch {
		case g.Connector.Value == "all" && g.Tool == "":
			spec = 0
		case ConnectorKey(g.Connector.Value) != ConnectorKey(conn.Name.Value):
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
	case !any:
		return Ask
	case best < 0:
		return Deny
	case level == "always":
		return Allow
	}
	return Ask // a row without a level is the lower grant
}

// Plugin levels, most permissive first.
var pluginLevels = []string{"required", "installed", "available", "not_available"}

// Plugin decides a plugin's availability by 1.6: the most permissive override of
// the member's groups (or grant of their custom roles), else the organisation's
// level (rows 24 and 25). Decision.Level is the level; required, installed and
// available are Allow. Without any level the marketplace's default decides, which
// nobody stated: Indeterminate. It is not a security boundary.
func (e *Engine) Plugin(member int, plugin string, t time.Time) Decision {
	now, before := e.at(member, t)
	d := e.pluginPolicy(now, plugin)
	if left := e.personal(member, "", t); len(left) > 0 {
		return Decision{Outcome: Deny, Reasons: left}
	}
	if before != nil && e.pluginPolicy(before, plugin).Level != d.Level {
		d.Outcome = InFlight
		d.Reasons = append([]Reason{{Level: "propagation", Text: "takes effect at the next session or plugin refresh"}}, d.Reasons...)
	}
	return d
}

func (e *Engine) pluginPolicy(s *state, plugin string) Decision {
	if on, _, why := e.toggle(Cowork); on == Off {
		return Decision{Outcome: Deny, Reasons: []Reason{{Level: "dependency", By: Cowork, Text: "plugins ride on the Cowork toggle, which is off (" + why + ")"}}}
	}
	level, by, from := -1, "", ""
	take := func(l, who, where string) {
		for i, name := range pluginLevels {
			if name == l && (level < 0 || i < level) {
				level, by, from = i, who, where
			}
		}
	}
	if e.enterprise() {
		for _, gi := range s.groups {
			g := &e.cfg.Groups[gi]
			for _, p := range g.Plugins {
				if p.Plugin.Value == plugin {
					take(p.Level, g.Name.Value, "group")
				}
			}
		}
		for _, h := range s.roles {
			for _, g := range h.role.Grants {
				if s.orgRole == "custom" && g.Plugin.Value == plugin {
					take("available", h.role.Name.Value, "role")
				}
			}
		}
		if level >= 0 && e.rules.PluginGroups == Unknown {
			return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: from, By: by, Text: "whether groups override plugin levels at this date is not known"}}}
		}
		if e.rules.PluginGroups == Off {
			level = -1
		}
	}
	if level < 0 {
		for _, p := range e.cfg.Plugins {
			if p.Name.Value == plugin {
				take(p.Level, "organisation preference", "org")
			}
		}
	}
	if level < 0 {
		return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: "org", Text: fmt.Sprintf("no level is stated for plugin %q; its marketplace decides", plugin)}}}
	}
	d := Decision{Outcome: Allow, Level: pluginLevels[level], Reasons: []Reason{{Level: from, By: by, Text: "the level is " + pluginLevels[level]}}}
	if d.Level == "not_available" {
		d.Outcome = Deny
	}
	return d
}
