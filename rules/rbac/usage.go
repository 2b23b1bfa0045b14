package rbac

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Usage passes a stream once and counts which rows of custom roles were used, by
// group. It is an observer like the engines, and not safe for concurrent use.
type Usage struct {
	e           *Engine
	groups      map[string]*groupUse
	uses        map[rowUse]*rowTally
	anonymous   map[string]int64 // uses by nobody known, by what was used
	blind       Blind
	records     int64
	first, last int64
}

type groupUse struct {
	heard   map[int]bool
	unnamed int64 // results of servers the wire does not name
	items   int64 // skills and plugins without a name
}

type rowUse struct{ group, role, row string }

type rowTally struct {
	uses    int64
	members map[int]bool
}

// NewUsage observes under the policy of e, which is only asked.
func NewUsage(e *Engine) *Usage {
	return &Usage{e: e, groups: map[string]*groupUse{}, uses: map[rowUse]*rowTally{}, anonymous: map[string]int64{}}
}

// used is what one record is a use of: a grant without level, or ok false.
func (u *Usage) used(ev *event.Event) (g org.Grant, ok bool) {
	switch ev.Kind {
	case event.UserPrompt:
		return org.Grant{Capability: named(Cowork)}, true
	case event.SkillActivated:
		return org.Grant{Skill: named(ev.SkillName)}, true
	case event.PluginLoaded:
		return org.Grant{Plugin: named(ev.Plugin)}, true
	case event.ToolResult:
		switch {
		case ev.Tool == "Skill":
			return org.Grant{Skill: named(ev.SkillName)}, true
		case ev.Tool == "WebSearch":
			return org.Grant{Capability: named("web_search")}, true
		case ev.IsMCP() && ev.ToolSource != "sdk_host_builtin_mcp":
			return org.Grant{Connector: named(ev.MCPServer), Tool: ev.MCPTool}, true
		}
	}
	return g, false
}

// visible says whether the stream can show a use of a row at all.
func visible(g org.Grant) bool {
	switch g.Capability.Value {
	case "":
		return true
	case Cowork, "web_search":
		return true
	}
	return false
}

// Observe takes the next record.
func (u *Usage) Observe(ev *event.Event) {
	if ev.Product != event.Cowork {
		u.blind.OtherProduct++
		return
	}
	if u.records++; u.first == 0 || ev.Time < u.first {
		u.first = ev.Time
	}
	u.last = max(u.last, ev.Time)
	g, isUse := u.used(ev)
	unnamed := isUse && (ev.IsMCP() && ev.MCPKnown != event.Known ||
		ev.Kind == event.SkillActivated && hiddenName(g.Skill.Value) || ev.Kind == event.PluginLoaded && hiddenName(g.Plugin.Value) ||
		ev.Tool == "Skill" && hiddenName(g.Skill.Value))
	member, ok := -1, false
	if ev.Account != "" || ev.Email != "" || ev.AccountID != "" {
		if member, ok = u.e.member(ev); !ok {
			u.blind.Strangers++
		}
	} else {
		u.blind.Unattributed++
	}
	if !ok {
		if isUse && len(u.anonymous) < maxCalls {
			u.anonymous[strings.Clone(g.String())]++
		}
		return
	}
	t := ev.When()
	now := u.e.now(member, t)
	for _, gi := range now.groups {
		name := now.ep.cfg.Groups[gi].Name.Value
		gu := u.groups[name]
		if gu == nil {
			gu = &groupUse{heard: map[int]bool{}}
			u.groups[name] = gu
		}
		gu.heard[member] = true
		if unnamed && ev.IsMCP() {
			gu.unnamed++
		} else if unnamed {
			gu.items++
		}
	}
	if unnamed {
		if ev.IsMCP() {
			u.blind.Unnamed++
		} else {
			u.blind.UnnamedItems++
		}
		return
	}
	if !isUse {
		return
	}
	for _, gi := range now.groups {
		grp := &now.ep.cfg.Groups[gi]
		for _, own := range overrides(grp) {
			if own.String() == g.String() {
				u.count(rowUse{grp.Name.Value, "", own.String()}, member)
			}
		}
		for _, h := range now.roles {
			if row := deciding(h.role, g); row != "" && carries(grp, h.role.Name.Value) {
				u.count(rowUse{grp.Name.Value, h.role.Name.Value, row}, member)
			}
		}
	}
}

func (u *Usage) count(k rowUse, member int) {
	c := u.uses[k]
	if c == nil {
		c = &rowTally{members: map[int]bool{}}
		u.uses[k] = c
	}
	c.uses++
	c.members[member] = true
}

// overrides are the plugins and skills that a group itself opens.
func overrides(g *org.Group) (out []org.Grant) {
	for _, p := range g.Plugins {
		if p.Level != "not_available" {
			out = append(out, org.Grant{Plugin: p.Plugin})
		}
	}
	for _, p := range g.Skills {
		if p.Level != "not_available" {
			out = append(out, org.Grant{Skill: p.Skill})
		}
	}
	return out
}

func carries(g *org.Group, role string) bool {
	for _, r := range g.Roles {
		if r.Value == role {
			return true
		}
	}
	return false
}

// deciding is the row of a role that a use goes by, "" when it has none: the most
// specific connector row, as in 1.5, or the row of that name.
func deciding(r *org.Role, use org.Grant) string {
	best, row := -1, ""
	for i := range r.Grants {
		g := &r.Grants[i]
		spec := -1
		switch {
		case use.Connector.Value == "":
			if g.String() == use.String() {
				return g.String()
			}
		case g.Connector.Value == "all" && g.Tool == "":
			spec = 0
		case g.Connector.Value == "" || ConnectorKey(g.Connector.Value) != ConnectorKey(use.Connector.Value):
		case g.Tool == "":
			spec = 1
		case g.Tool == use.Tool:
			spec = 2
		}
		if spec > best {
			best, row = spec, g.String()
		}
	}
	return row
}

// GrantUse is one row of a role as one group used it. Verdict is used, unused,
// not visible (the stream has no record of such a use), nobody heard (no member
// of the group is in the stream), or hidden (the stream withholds names that this
// row may be behind).
type GrantUse struct {
	Group   string `json:"group"`
	Role    string `json:"role"` // "" for a plugin or skill that the group's own setting opens
	Grant   string `json:"grant"`
	Members int    `json:"members"` // in the group at the end of the stream
	Heard   int    `json:"heard"`   // members of the group with a record
	Users   int    `json:"users"`
	Uses    int64  `json:"uses"`
	Verdict string `json:"verdict"`
	Note    string `json:"note,omitempty"`
}

// Suggestion is what a stream says about grants: the use of every row, and the
// roles without those that no group of theirs used.
type Suggestion struct {
	First   time.Time  `json:"first"`
	Last    time.Time  `json:"last"`
	Days    int        `json:"days"`
	Records int64      `json:"records"`
	Grants  []GrantUse `json:"grants"`
	Blind   Blind      `json:"blind_spots"`
	Edit    Edit       `json:"-"`
	Lines   []string   `json:"role_diff"`
}

// Suggest closes the pass. A row is taken out of a role only when every group
// that carries the role has it as unused: what is not visible, hidden or not
// heard stays. The suggestion is made over the configuration in force at t.
func (u *Usage) Suggest(t time.Time) Suggestion {
	e, ep := u.e, u.e.epochAt(t)
	out := Suggestion{Records: u.records, Blind: u.blind, Grants: []GrantUse{}, Lines: []string{}}
	if u.records > 0 {
		out.First, out.Last = time.Unix(0, u.first).UTC(), time.Unix(0, u.last).UTC()
		out.Days = int(out.Last.Sub(out.First)/(24*time.Hour)) + 1
	}
	counts := make([]int, len(ep.cfg.Groups))
	for m := range e.dir.Len() {
		if e.current(m, t) {
			now := e.now(m, t)
			for _, g := range now.groups {
				counts[g]++
			}
		}
	}
	unused := map[rowUse]int{} // role and row, without group -> groups that do not use it
	carriers := map[string]int{}
	for gi := range ep.cfg.Groups {
		grp := &ep.cfg.Groups[gi]
		gu := u.groups[grp.Name.Value]
		if gu == nil {
			gu = &groupUse{}
		}
		use := func(role string, g org.Grant) GrantUse {
			x := GrantUse{Group: grp.Name.Value, Role: role, Grant: g.String(), Members: counts[gi], Heard: len(gu.heard)}
			if c := u.uses[rowUse{x.Group, x.Role, x.Grant}]; c != nil {
				x.Users, x.Uses = len(c.members), c.uses
			}
			x.Verdict, x.Note = u.judge(x, g, gu)
			out.Grants = append(out.Grants, x)
			return x
		}
		next := *grp
		for _, g := range overrides(grp) {
			if use("", g).Verdict != "unused" {
				continue
			}
			next.Plugins = slices.DeleteFunc(slices.Clone(next.Plugins), func(p org.PluginLevel) bool { return p.Plugin.Value == g.Plugin.Value })
			next.Skills = slices.DeleteFunc(slices.Clone(next.Skills), func(p org.SkillLevel) bool { return p.Skill.Value == g.Skill.Value })
			out.Edit.Lines = append(out.Edit.Lines, fmt.Sprintf("group %s (its own setting)", grp.Name.Value), "  - "+g.String())
		}
		out.Edit.Groups = append(out.Edit.Groups, next)
		for _, rn := range grp.Roles {
			r := ep.roles[rn.Value]
			if r == nil {
				continue
			}
			carriers[rn.Value]++
			for _, g := range r.Grants {
				if x := use(rn.Value, g); x.Verdict == "unused" {
					unused[rowUse{role: x.Role, row: x.Grant}]++
				}
			}
		}
	}
	for _, r := range ep.cfg.Roles {
		n := r
		n.Grants = nil
		var lines []string
		for _, g := range r.Grants {
			if c := carriers[r.Name.Value]; c > 0 && unused[rowUse{role: r.Name.Value, row: g.String()}] == c {
				lines = append(lines, "- "+g.String())
				continue
			}
			n.Grants = append(n.Grants, g)
		}
		out.Edit.Roles = append(out.Edit.Roles, n)
		out.Edit.note(ep.cfg, r.Name.Value, lines)
	}
	out.Lines = append(out.Lines, out.Edit.Lines...)
	return out
}

func (u *Usage) judge(x GrantUse, g org.Grant, gu *groupUse) (verdict, note string) {
	switch {
	case x.Uses > 0:
		return "used", ""
	case g.Unknown || !visible(g):
		return "not visible", "the stream records no use of it"
	case x.Heard == 0:
		return "nobody heard", "no member of the group is in the stream"
	case g.Connector.Value != "" && gu.unnamed > 0:
		return "hidden", fmt.Sprintf("%d calls of the group went to servers the stream does not name", gu.unnamed)
	case (g.Skill.Value != "" || g.Plugin.Value != "") && gu.items > 0:
		return "hidden", fmt.Sprintf("%d skills or plugins of the group are not named in the stream", gu.items)
	}
	var unknown int64
	for use, n := range u.anonymous {
		if use == x.Grant || g.Connector.Value != "" && matches(g, use) {
			unknown += n
		}
	}
	if unknown > 0 {
		return "hidden", fmt.Sprintf("used %d times by nobody the directory knows", unknown)
	}
	return "unused", ""
}

// matches reports that an anonymous call, written CONNECTOR/TOOL, may go by a row.
func matches(g org.Grant, use string) bool {
	conn, tool, ok := strings.Cut(use, "/")
	return ok && (g.Connector.Value == "all" || ConnectorKey(conn) == ConnectorKey(g.Connector.Value)) && (g.Tool == "" || g.Tool == tool)
}
