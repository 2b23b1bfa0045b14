package rbac

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Cell is what a group's roles give its members on custom roles. Level is allow,
// ask, deny, not known, or a plugin's level; Because is the reason written into
// the configuration, "" when nobody gave one.
type Cell struct {
	Kind    string   `json:"kind"` // capability, connector, plugin, skill
	Name    string   `json:"name"`
	Level   string   `json:"level"`
	By      string   `json:"by,omitempty"` // level that denies
	Roles   []string `json:"roles,omitempty"`
	Because string   `json:"because,omitempty"`
	// Untouched marks a connector that is asked for only because the role was never
	// set up for connectors: no row says so, and nobody can have given a reason.
	Untouched bool `json:"untouched,omitempty"`
}

// Row is one group of the matrix.
type Row struct {
	Group   string   `json:"group"`
	Purpose string   `json:"purpose,omitempty"`
	Source  string   `json:"source,omitempty"`
	Roles   []string `json:"roles"`
	Unread  bool     `json:"roles_unknown,omitempty"` // the roles could not be read
	Members int      `json:"members"`                 // at the matrix's time
	Cells   []Cell   `json:"cells"`
}

// Flag is a weakness of the configuration. ID is no-reason, over-broad,
// untouched-role, no-access, role-unknown, plain-user, toggle-before-roles, union,
// too-many-groups, leavers-stay, slow-removal, mapping-removes, mapping-replaces,
// seat-conflict, seats-short or plan.
// no-reason looks whether a reason is written, not whether it is any good.
type Flag struct {
	ID       string         `json:"id"`
	Severity rules.Severity `json:"severity"`
	Subject  string         `json:"subject"`
	Text     string         `json:"text"`
	Count    int            `json:"count,omitempty"`
}

// Matrix is groups by what they may use at Time.
type Matrix struct {
	Time  time.Time `json:"time"`
	Scope string    `json:"scope"`
	Rows  []Row     `json:"rows"`
	Flags []Flag    `json:"flags"`
}

func (e *Engine) epochAt(t time.Time) *epoch { return &e.epochs[e.segs[e.segment(t.UnixNano())].now] }

func (e *Engine) decide(s *state, cap string) Decision {
	v := e.policy(s, cap)
	return v.decision()
}

// Matrix shows what each group alone gives: a member of two groups gets the
// union, which only Capability answers.
func (e *Engine) Matrix(t time.Time) Matrix {
	m := Matrix{Time: t.UTC(), Scope: e.EffectiveScope(t), Rows: []Row{}}
	ep := e.epochAt(t)
	counts := make([]int, len(ep.cfg.Groups))
	for i := range e.dir.Len() {
		if now := e.now(i, t); e.current(i, t) && !now.place.Removed {
			for _, g := range now.groups {
				counts[g]++
			}
		}
	}
	for i := range ep.cfg.Groups {
		g := &ep.cfg.Groups[i]
		if g.Deleted {
			continue
		}
		s := newState(ep, org.Place{Role: "custom"}, []int{i})
		row := Row{Group: g.Name.Value, Purpose: g.Purpose, Source: g.Source, Members: counts[i], Roles: []string{}}
		row.Unread = len(s.unknown) > 0
		for _, h := range s.roles {
			row.Roles = append(row.Roles, h.role.Name.Value)
		}
		for _, c := range e.Capabilities() {
			row.Cells = append(row.Cells, cell("capability", c, e.decide(&s, c), &s, func(x *org.Grant) bool {
				return x.Capability.Value == c || x.Capability.Value == accessAll || x.Capability.Value == accessAllGA
			}))
		}
		for j := range ep.cfg.Connectors {
			c := &ep.cfg.Connectors[j]
			// Tools differ, so that each has its cell; a connector whose tools nobody
			// listed has one, for a tool that only reads.
			tools := c.Tools
			if len(tools) == 0 {
				tools = []org.Tool{{ReadOnly: true}}
			}
			for _, tool := range tools {
				name := c.Name.Value
				if tool.Name != "" {
					name += "/" + tool.Name
				}
				d := e.call(&s, -1, Call{Connector: c.Name.Value, Tool: tool.Name, Write: !tool.ReadOnly})
				use := org.Grant{Connector: c.Name, Tool: tool.Name}
				row.Cells = append(row.Cells, cell("connector", name, d, &s, func(x *org.Grant) bool {
					return slices.ContainsFunc(s.roles, func(h held) bool { return deciding(h.role, use) == x.String() })
				}))
				last := &row.Cells[len(row.Cells)-1]
				last.Untouched = last.Because == "" && d.Outcome == Ask &&
					!slices.ContainsFunc(s.roles, func(h held) bool { return deciding(h.role, use) != "" })
			}
		}
		for _, p := range ep.cfg.Plugins {
			row.Cells = append(row.Cells, cell("plugin", p.Name.Value, e.availablePolicy(&s, p.Name.Value, pluginKind), &s, func(x *org.Grant) bool {
				return x.Plugin.Value == p.Name.Value
			}))
		}
		for _, k := range ep.cfg.Skills {
			row.Cells = append(row.Cells, cell("skill", k.Name.Value, e.availablePolicy(&s, k.Name.Value, skillKind), &s, func(x *org.Grant) bool {
				return x.Skill.Value == k.Name.Value
			}))
		}
		m.Rows = append(m.Rows, row)
	}
	m.Flags = e.Flags(t)
	return m
}

func cell(kind, name string, d Decision, s *state, row func(*org.Grant) bool) Cell {
	c := Cell{Kind: kind, Name: name, Level: d.Outcome.String(), Roles: d.Granting}
	if d.Level != "" {
		c.Level = d.Level
	}
	if d.Outcome != Allow {
		c.By = d.Because()
	}
	for _, h := range s.roles {
		if !slices.Contains(d.Granting, h.role.Name.Value) && kind != "plugin" && kind != "skill" {
			continue
		}
		for i := range h.role.Grants {
			if g := &h.role.Grants[i]; c.Because == "" && row(g) {
				c.Because = g.Because
				if c.Because == "" {
					c.Because = h.role.Because
				}
			}
		}
	}
	return c
}

// current reports that a member belongs to the organisation at t.
func (e *Engine) current(member int, t time.Time) bool {
	m := e.dir.Dates(member)
	closed := m.Closed()
	return !t.Before(m.Joined) && (closed.IsZero() || t.Before(closed))
}

// maxGroups is the product's limit per organisation (1.8, fact rbac-group-source).
const maxGroups = 100

// Flags lists the weaknesses of the configuration at t, in a fixed order.
func (e *Engine) Flags(t time.Time) []Flag {
	out := []Flag{}
	add := func(id string, sev rules.Severity, subject string, n int, format string, args ...any) {
		out = append(out, Flag{ID: id, Severity: sev, Subject: subject, Count: n, Text: fmt.Sprintf(format, args...)})
	}
	ep := e.epochAt(t)
	for _, p := range e.configErrors() {
		add("plan", rules.High, ep.cfg.Organisation.Plan.Value, 0, "%s", p)
	}
	for i := range ep.cfg.Roles {
		r := &ep.cfg.Roles[i]
		if r.Deleted {
			continue
		}
		name, bare, connectors := r.Name.Value, 0, r.Connectors == "custom"
		for _, g := range r.Grants {
			if g.Because == "" && r.Because == "" {
				bare++
			}
			connectors = connectors || g.Connector.Value != ""
			switch {
			case g.Connector.Value == "all" && g.Tool == "" && g.Level == "always":
				add("over-broad", rules.High, name, 0, "role %q gives every present and future connector without asking", name)
			case g.Capability.Value == accessAll || g.Capability.Value == accessAllGA:
				add("over-broad", rules.Medium, name, 0, "role %q gives capabilities by a blanket row that grows with the product", name)
			}
		}
		identity := r.AdminAreas["identity_access"] == "manage"
		for area, level := range r.AdminAreas {
			identity = identity || level == "manage" && strings.Contains(area, "identity") // an export spells it its own way
		}
		if identity {
			add("over-broad", rules.High, name, 0, "role %q manages identity and access and so can rewrite itself", name)
		}
		if bare > 0 {
			add("no-reason", rules.Low, name, bare, "role %q has %d %s without a reason (only presence is checked, not quality)", name, bare, map[bool]string{true: "row", false: "rows"}[bare == 1])
		}
		if !connectors && len(ep.cfg.Connectors) > 0 {
			add("untouched-role", rules.Low, name, 0, "role %q says nothing on connectors and stands at needs approval for all of them", name)
		}
	}
	e.leaverFlags(t, add)
	if !ep.enterprise() {
		return out
	}
	groups := 0
	for _, g := range ep.cfg.Groups {
		if !g.Deleted {
			groups++
		}
	}
	if groups > maxGroups {
		add("too-many-groups", rules.Low, "groups", groups, "%d groups; an organisation can hold %d (fact rbac-group-source)", groups, maxGroups)
	}
	e.mappingFlags(t, add)
	plain, none, unsaid, all := 0, 0, 0, e.Capabilities()
	for i := range e.dir.Len() {
		s := e.now(i, t)
		if !e.current(i, t) || s.place.Removed {
			continue
		}
		switch s.orgRole {
		case "user":
			plain++
		case notStated:
			unsaid++
		case "custom":
			if !slices.ContainsFunc(all, func(c string) bool { return e.Allowed(i, c, t) != Deny }) {
				none++
			}
		}
	}
	e.keptByUnion(t, add)
	if none > 0 {
		add("no-access", rules.Medium, "members", none, "%s no effective access at all, on custom roles", people(none, "has", "have"))
	}
	if unsaid > 0 {
		add("role-unknown", rules.Medium, "members", unsaid, "the organisation role of %s is not stated, so that it is not known whether custom roles bind them", people(unsaid))
	}
	if on, _, _ := ep.toggle(Cowork); plain > 0 && on == On {
		// Roles that an export could not read exist all the same.
		exist := len(ep.cfg.Roles) > 0 || slices.ContainsFunc(ep.cfg.Groups, func(g org.Group) bool { return g.Unread })
		if exist {
			add("plain-user", rules.High, "members", plain, "%s the plain User role, which inherits what is on; custom roles do not bind them", people(plain, "holds", "hold"))
		} else {
			add("toggle-before-roles", rules.High, "organisation", plain, "Cowork is on while no custom role exists, so that %s on the User role %s it", people(plain), map[bool]string{true: "has", false: "have"}[plain == 1])
		}
	}
	return out
}

// people is "1 member" or "n members", with a verb that agrees if one is given as
// singular and plural.
func people(n int, verb ...string) string {
	s, i := fmt.Sprintf("%d members", n), 1
	if n == 1 {
		s, i = "1 member", 0
	}
	if len(verb) == 2 {
		s += " " + verb[i]
	}
	return s
}

// mappingFlags flags what a mapping of groups to roles and seats does to members
// beyond what its author may have had in mind.
func (e *Engine) mappingFlags(t time.Time, add func(id string, sev rules.Severity, subject string, n int, format string, args ...any)) {
	removed, owners, replaced, torn := 0, 0, 0, 0
	seats := map[string]int{}
	var tiers []string
	for i := range e.dir.Len() {
		if !e.current(i, t) {
			continue
		}
		p := e.now(i, t).place
		removed += int(bit(p.Removed))
		owners += int(bit(p.MaybeRemoved))
		replaced += int(bit(p.Assigned != ""))
		torn += int(bit(len(p.Seats) > 1))
		if len(p.Seats) == 1 && !p.Removed {
			seats[p.Seats[0]]++
		}
	}
	if removed > 0 {
		add("mapping-removes", rules.High, "members", removed, "%s in no group that is mapped to a role, and the mapping removes them (fact provisioning-mapping-removal)", people(removed, "is", "are"))
	}
	if owners > 0 {
		add("mapping-removes", rules.Medium, "owners", owners, "owners in no mapped group: %d; only the Primary Owner is spared, and who that is is not stated", owners)
	}
	if replaced > 0 {
		add("mapping-replaces", rules.Low, "members", replaced, "%s given an organisation role by hand that the mapping of their group replaces (fact provisioning-mapping-precedence)", people(replaced, "was", "were"))
	}
	if torn > 0 {
		add("seat-conflict", rules.Medium, "members", torn, "%s in groups mapped to different seat tiers, and no page says which counts; state organisation.provisioning.seat_priority", people(torn, "is", "are"))
	}
	for _, x := range e.epochAt(t).cfg.Organisation.SeatTiers {
		if n := seats[x.Name.Value]; x.Count > 0 && n > x.Count {
			tiers = append(tiers, fmt.Sprintf("%s: %d members for %d seats", x.Name.Value, n, x.Count))
		}
	}
	if tiers != nil {
		add("seats-short", rules.Medium, "seats", len(tiers), "more members than seats bought (%s); provisioning stops at the seat count", strings.Join(tiers, "; "))
	}
}

// EffectiveScope is who has Cowork at t: "off" (nobody), "all" (Team, or members
// on the plain User role have it), or "groups" (custom roles decide). Owners and
// admins have it whenever it is on and are not counted (fact rbac-owner-exempt).
// When the answer is not known it is "".
func (e *Engine) EffectiveScope(t time.Time) string {
	custom, unknown, exempt := false, false, false
	for i := range e.dir.Len() {
		if !e.current(i, t) {
			continue
		}
		s := e.now(i, t)
		switch e.Allowed(i, Cowork, t) {
		case Allow:
			switch {
			case !s.ep.enterprise() || s.orgRole == "user":
				return "all"
			case s.orgRole == "custom":
				custom = true
			default:
				exempt = true
			}
		case Indeterminate, InFlight:
			unknown = true
		}
	}
	switch {
	case custom:
		return "groups"
	case unknown:
		return ""
	case exempt: // on, and only owners and admins have it: a restricted start
		return "groups"
	}
	return "off"
}

// expectedDenials lists the members whom the configuration means to keep from
// Cowork at t: everybody when it is off; else, once a group carries a role that
// grants it, all members outside such groups but owners and admins. Without such
// a group nobody is meant to be kept out.
func (e *Engine) expectedDenials(t time.Time) []int {
	ep := e.epochAt(t)
	on, _, _ := ep.toggle(Cowork)
	forced := ep.rules.Inputs.Platform[Cowork]
	off := forced == Off || on == Off && forced != On
	granting := map[int]bool{}
	for i := range ep.cfg.Groups {
		s := newState(ep, org.Place{Role: "custom"}, []int{i})
		for _, h := range s.roles {
			if ep.grants(h.role, Cowork) != "" {
				granting[i] = true
			}
		}
	}
	var out []int
	for i := range e.dir.Len() {
		s := e.now(i, t)
		exempt := s.orgRole == "owner" || s.orgRole == "admin"
		inside := slices.ContainsFunc(s.groups, func(g int) bool { return granting[g] })
		if e.current(i, t) && (off || len(granting) > 0 && !exempt && !inside) {
			out = append(out, i)
		}
	}
	return out
}

// DenyTest asks the engine about every expected denial. A failure is a member who
// should be kept out and is not certainly denied, most often one left on the
// plain User role (row 4).
func (e *Engine) DenyTest(t time.Time) (tested, failures int) {
	for _, i := range e.expectedDenials(t) {
		tested++
		if e.Allowed(i, Cowork, t) != Deny {
			failures++
		}
	}
	return tested, failures
}

// leaverFlags flags accounts that outlive their members (1.8): by invitation and
// at first sign-in nothing removes anybody, so somebody has to have done it.
func (e *Engine) leaverFlags(t time.Time, add func(id string, sev rules.Severity, subject string, n int, format string, args ...any)) {
	unsaid, slow, longest := 0, 0, time.Duration(0)
	for _, d := range e.Departures(t) {
		lag, exact := d.Lag()
		switch {
		case !exact:
			unsaid++
		case lag > 24*time.Hour:
			slow++
			longest = max(longest, lag)
		}
	}
	if dir := e.epochAt(t).cfg.Organisation.Directory; unsaid > 0 && (dir == "invite" || dir == "jit") {
		add("leavers-stay", rules.Medium, "members", unsaid, "%s, and with the directory on %s nothing removes an account by itself; when it was closed is not stated", people(unsaid, "left", "left"), dir)
	}
	if slow > 0 {
		add("slow-removal", rules.Medium, "members", slow, "accounts that stayed open for more than a day after their members left: %d, the longest for %s", slow, longest)
	}
}

// keptByUnion flags members who keep something although the configuration means
// to take it: they were taken out of a group that gives Cowork and have it by
// another one or by the plain User role, a group of theirs hides a plugin or skill
// that another one shows, or one role asks before a connector that another one
// always allows. Rows only grant, so the wider one wins each time.
func (e *Engine) keptByUnion(t time.Time, add func(id string, sev rules.Severity, subject string, n int, format string, args ...any)) {
	ep := e.epochAt(t)
	type key struct{ what, by string }
	counts := map[key]int{}
	var order []key
	mark := func(what, by string) {
		k := key{what, by}
		if counts[k]++; counts[k] == 1 {
			order = append(order, k)
		}
	}
	giving := make([]bool, len(ep.cfg.Groups))
	for i := range ep.cfg.Groups {
		s := newState(ep, org.Place{Role: "custom"}, []int{i})
		giving[i] = slices.ContainsFunc(s.roles, func(h held) bool { return ep.grants(h.role, Cowork) != "" })
	}
	ns := t.UnixNano()
	for m := range e.dir.Len() {
		if !e.current(m, t) {
			continue
		}
		sp := e.span(m, ns)
		now := e.now(m, t)
		// Groups the member was taken out of before t.
		for j := int(e.first[e.lifeAt[m]]); j < sp; j++ {
			for _, g := range e.states[int(e.spans[j].kind)].groups {
				if giving[g] && !slices.Contains(now.groups, g) && e.Allowed(m, Cowork, t) == Allow {
					by := "the organisation role " + now.orgRole
					if i := slices.IndexFunc(now.groups, func(g int) bool { return giving[g] }); i >= 0 && now.orgRole == "custom" {
						by = "group " + ep.cfg.Groups[now.groups[i]].Name.Value
					}
					mark("members taken out of group "+ep.cfg.Groups[g].Name.Value+" keep Cowork", by)
				}
			}
		}
		for _, k := range []itemKind{pluginKind, skillKind} {
			for _, gi := range now.groups {
				for _, name := range hidden(&ep.cfg.Groups[gi], k) {
					if d := e.availablePolicy(now, name, k); d.Outcome == Allow {
						mark(fmt.Sprintf("members of group %s see %s %s, which the group hides,", ep.cfg.Groups[gi].Name.Value, k.word, name), d.Reasons[0].Level+" "+d.Reasons[0].By)
					}
				}
			}
		}
		if now.orgRole != "custom" {
			continue
		}
		for j := range ep.cfg.Connectors {
			asks, always, names, silent := "", "", "", ""
			for _, h := range now.roles {
				switch o, rows := roleGrant(h.role, &ep.cfg.Connectors[j], ""); {
				case !rows && !h.role.Partial:
					silent = h.role.Name.Value
				case rows && slices.ContainsFunc(h.role.Grants, func(g org.Grant) bool {
					return g.Tool != "" && ConnectorKey(g.Connector.Value) == ConnectorKey(ep.cfg.Connectors[j].Name.Value)
				}):
					names = h.role.Name.Value
				case rows && o == Ask:
					asks = h.role.Name.Value
				case rows && o == Allow:
					always = h.role.Name.Value
				}
			}
			if names != "" && silent != "" {
				mark(fmt.Sprintf("members whose role %s names single tools of %s reach all of its tools after approval", names, ep.cfg.Connectors[j].Name.Value), "role "+silent+", which says nothing on connectors")
			}
			if asks != "" && always != "" {
				mark(fmt.Sprintf("members whose role %s asks before connector %s are not asked", asks, ep.cfg.Connectors[j].Name.Value), "role "+always)
			}
		}
	}
	for _, k := range order {
		add("union", rules.Medium, "members", counts[k], "%s by way of %s (%d)", k.what, k.by, counts[k])
	}
}

func hidden(g *org.Group, k itemKind) []string {
	var out []string
	if k.word == "plugin" {
		for _, p := range g.Plugins {
			if p.Level == "not_available" {
				out = append(out, p.Plugin.Value)
			}
		}
		return out
	}
	for _, p := range g.Skills {
		if p.Level == "not_available" {
			out = append(out, p.Skill.Value)
		}
	}
	return out
}

// MemberRow is one member of the matrix of members. Place is the spelling that
// PickMember reads; it says nothing about who it is. Cells hold allow, deny, in
// flight or indeterminate in the order of Capabilities, and By the level that
// decides where it is not allow.
type MemberRow struct {
	Place    string   `json:"member"`
	OrgRole  string   `json:"organisation_role"`
	Groups   []string `json:"groups"`
	Outcomes []string `json:"outcomes"`
	Reasons  []string `json:"reasons"`
}

// MemberMatrix shows what each current member may use at t, with the reason: a
// granting role, the organisation role, or the level that denies.
func (e *Engine) MemberMatrix(t time.Time) []MemberRow {
	places := map[string]int{}
	out := []MemberRow{}
	for i := range e.dir.Len() {
		dep := e.dir.Department(i)
		places[dep]++
		if !e.current(i, t) {
			continue
		}
		st := e.standing(i, t)
		row := MemberRow{Place: fmt.Sprintf("%s#%d", departmentKey(dep), places[dep]), OrgRole: st.OrgRole, Groups: st.Groups}
		for _, c := range e.names {
			d := e.Capability(i, c, t)
			why := d.Because() + ": " + d.Reasons[0].Text
			if d.Outcome == Allow {
				why = "organisation role " + st.OrgRole
				if len(d.Granting) > 0 {
					why = "role " + d.Granting[0]
				}
			}
			row.Outcomes, row.Reasons = append(row.Outcomes, d.Outcome.String()), append(row.Reasons, why)
		}
		out = append(out, row)
	}
	return out
}
