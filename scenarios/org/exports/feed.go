package exports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// event is one record of the Activity Feed (admin surface, section 6, row 14). The
// vendor publishes the types and, but for a few, not the fields: what cannot be
// read is counted under its type, never guessed.
type event struct {
	kind               string
	when               time.Time
	at                 source.Pos
	group, user, role  string // ids or names
	principal          string // group or account, of a role assigned
	connector, tool    string
	plugin             string
	limit, amount      string // scope and amount in cents
	old, now           string
	oldStated, nullNow bool
	mapped             []mapEntry
}

type mapEntry struct{ group, role, seat string }

// feedKinds are the types that become dated changes; others are counted and named.
var feedKinds = map[string]bool{
	"org_cowork_enabled": true, "org_cowork_disabled": true,
	"org_cowork_auto_mode_enabled": true, "org_cowork_auto_mode_disabled": true,
	"org_cowork_mcp_always_allow_enabled": true, "org_cowork_mcp_always_allow_disabled": true,
	"rbac_role_assigned": true, "rbac_role_unassigned": true, "claude_user_role_updated": true, "claude_user_seat_tier_updated": true,
	"org_sso_provisioning_mode_changed": true, "org_sso_group_role_mappings_updated": true,
	"mcp_tool_policy_updated": true, "plugin_installation_preference_updated": true,
	"extra_usage_spend_limit_created": true, "extra_usage_spend_limit_updated": true, "extra_usage_spend_limit_deleted": true,
}

// feedType reports a type of the Activity Feed, of those this version turns into
// changes and of those it only knows the family of.
func feedType(kind string) bool {
	if feedKinds[kind] {
		return true
	}
	for _, p := range []string{"org_", "rbac_role_", "rbac_group_", "group_", "scim_", "claude_user_", "mcp_", "plugin_", "extra_usage_", "inference_hooks_", "compliance_", "api_key_", "session_", "user_"} {
		if strings.HasPrefix(kind, p) && !slices.Contains([]string{"rbac_role_permission", "rbac_group_member", "user_actor"}, kind) {
			return true
		}
	}
	return false
}

// feed reads one record. A record names its subject itself or one level down.
func (d *Draft) feed(kind string, v *value) {
	d.enterprise = true
	when := moment(v.str("created_at", "timestamp", "occurred_at"))
	for _, k := range []string{"id", "type", "organization_id", "organization_uuid"} {
		v.get(k)
	}
	whole(v.get("actor"))
	if when.IsZero() {
		d.problems.Add(v.pos(), "an event of the feed has created_at", "an event %s of the Activity Feed without a time", kind)
		return
	}
	d.fed++
	if d.feedFrom.IsZero() || when.Before(d.feedFrom) {
		d.feedFrom = when
	}
	if !feedKinds[kind] {
		d.unread[kind]++
		whole(v)
		return
	}
	in := func(keys ...string) *value {
		for _, place := range append([]*value{v}, v.get("details"), v.get("metadata"), v.get("resource"), v.get("target")) {
			for _, k := range keys {
				if x := place.get(k); x != nil {
					return x
				}
			}
		}
		return nil
	}
	text := func(keys ...string) string {
		if x := in(keys...); x != nil && x.kind != 'o' && x.kind != 'a' && x.kind != 'z' {
			return x.text
		}
		return ""
	}
	e := event{kind: kind, when: when, at: v.pos(),
		group: text("group_id", "rbac_group_id", "group_name"), user: text("user_id", "target_user_id", "user_email", "email", "email_address"),
		role: text("rbac_role_id", "role_id", "role_name"), principal: text("principal_type"),
		connector: text("connector_id", "mcp_server_id", "server_id", "connector_name", "server_name"), tool: text("tool_name"),
		plugin: text("plugin_id", "plugin_name", "plugin"), limit: text("limit_type", "scope_type"),
		old: text("previous_value", "old_value", "previous_role", "previous_seat_tier", "previous_amount"),
		now: text("current_value", "new_value", "current_role", "new_role", "role", "current_seat_tier", "seat_tier", "policy", "preference", "mode")}
	e.oldStated = e.old != ""
	if x := in("amount", "current_amount"); x != nil {
		e.amount, e.nullNow = x.text, x.kind == 'z'
	}
	if id := text("principal_id"); id != "" {
		if e.principal == "group" {
			e.group = first(e.group, id)
		} else {
			e.user = first(e.user, id)
		}
	}
	if x := in("current_value", "new_value", "mappings", "group_role_mappings", "current_mappings"); x != nil && x.kind == 'a' {
		for _, m := range x.vals {
			e.mapped = append(e.mapped, mapEntry{first(m.str("group_name"), m.str("group"), m.str("group_id"), m.str("idp_group")), m.str("role", "organization_role"), m.str("seat_tier", "seat")})
		}
	}
	whole(in("previous_value"))
	d.events = append(d.events, e)
	d.leftover("feed "+kind, v)
}

// whole marks a value as read to the bottom.
func whole(v *value) {
	if v == nil {
		return
	}
	for i := range v.vals {
		if i < len(v.used) {
			v.used[i] = true
		}
		whole(v.vals[i])
	}
}

// settingOf is the switch that a pair of types turns.
func settingOf(s *org.Settings, kind string) (**bool, string) {
	switch {
	case strings.HasPrefix(kind, "org_cowork_auto_mode_"):
		return &s.AutoApprove, "auto_approve"
	case strings.HasPrefix(kind, "org_cowork_mcp_always_allow_"):
		return &s.AlwaysAllow, "always_allow_connectors"
	}
	return &s.Cowork, "cowork"
}

// feedInto turns the events into dated changes. Lists are the state after the last
// event, which is undone step by step to find the state before the first.
func (d *Draft) feedInto(s *Sketch) {
	for _, k := range sorted(d.unread) {
		s.Notes = append(s.Notes, fmt.Sprintf("events %s of the Activity Feed, which this version does not turn into changes: %d", k, d.unread[k]))
	}
	if !d.feedFrom.IsZero() {
		s.Notes = append(s.Notes, "the Activity Feed begins on "+stamp(d.feedFrom)+"; what was changed before is in no export")
	}
	slices.SortStableFunc(d.events, func(a, b event) int { return a.when.Compare(b.when) })
	h := &history{Draft: d, s: s, seen: map[string]bool{}, role: map[*user]string{}}
	h.undo()
	for i := range d.events {
		h.redo(&d.events[i])
	}
	s.Config.Changes = append(s.Config.Changes, h.changes...)
}

// history is the feed on its way into a sketch.
type history struct {
	*Draft
	s       *Sketch
	changes []org.Change
	seen    map[string]bool  // things that an event has spoken of
	role    map[*user]string // as of the last event
}

func (h *history) cannot(e *event, why string) {
	h.unplaced[fmt.Sprintf("events %s of the Activity Feed %s", e.kind, why)]++
}

func (h *history) groupAt(key string) int {
	return slices.IndexFunc(h.groups, func(g *group) bool {
		return key != "" && (g.id == key || g.scimID == key || g.name == key)
	})
}

func (h *history) roleName(key string) string {
	for i, r := range h.roles {
		if key != "" && (r.id == key || r.name == key) {
			return h.s.Config.Roles[i].Name.Value
		}
	}
	return ""
}

func (h *history) userOf(key string) *user {
	u := h.userBy[key]
	if u == nil {
		u = h.userBy[strings.ToLower(key)]
	}
	if u == nil || u.inactive || u.seenOnly && h.usersAll {
		return nil // not on the roster
	}
	return u
}

func (h *history) emit(e *event, ch org.Change) {
	ch.On, ch.When = text(e.when.Format(time.RFC3339)), e.when
	ch.Because = "Activity Feed"
	h.changes = append(h.changes, ch)
}

// once is true for the first event of a thing, which says what it was before.
func (h *history) once(thing string) bool {
	was := h.seen[thing]
	h.seen[thing] = true
	return !was
}

func (h *history) tier(name string) {
	if name != "" && !slices.Contains(h.tiers, name) {
		h.tiers = append(h.tiers, name)
	}
}

// undo goes back over the events, to what was before the first.
func (h *history) undo() {
	c := &h.s.Config
	roleBefore, seatBefore := map[*user]string{}, map[*user]string{}
	for _, e := range slices.Backward(h.events) {
		switch e.kind {
		case "rbac_role_assigned", "rbac_role_unassigned":
			g, r := h.groupAt(e.group), h.roleName(e.role)
			if g < 0 || r == "" || c.Groups[g].Unread {
				continue
			}
			roles := slices.DeleteFunc(slices.Clone(c.Groups[g].Roles), func(t source.Text) bool { return t.Value == r })
			if e.kind == "rbac_role_unassigned" {
				roles = append(roles, text(r))
			}
			c.Groups[g].Roles = roles
		case "claude_user_role_updated":
			if u := h.userOf(e.user); u != nil {
				if old, ok := org.OrgRole(e.old); ok {
					roleBefore[u] = old
				} else {
					roleBefore[u] = ""
				}
			}
		case "claude_user_seat_tier_updated":
			if u := h.userOf(e.user); u != nil {
				seatBefore[u] = e.old
			}
		case "org_sso_provisioning_mode_changed":
			if dir := directoryOf(e.now); dir != "" && h.mode == "" {
				h.mode = e.now
			}
		}
	}
	for u, r := range roleBefore {
		if r != "" {
			u.role = r
		}
	}
	for u, seat := range seatBefore {
		if seat != "" {
			u.seat = seat
		}
	}
}

// redo makes an event a dated change.
func (h *history) redo(e *event) {
	s := h.s
	c := &s.Config
	switch e.kind {
	case "rbac_role_assigned", "rbac_role_unassigned":
		g, r := h.groupAt(e.group), h.roleName(e.role)
		switch {
		case e.principal == "account" || e.group == "" && e.user != "":
			h.cannot(e, "give a role straight to an account, which roles cannot be attached to here")
		case g < 0 || r == "":
			h.cannot(e, "name a group or role that no list holds")
		case e.kind == "rbac_role_assigned":
			h.emit(e, org.Change{Group: &org.GroupChange{Name: c.Groups[g].Name, Attach: []source.Text{text(r)}}})
		default:
			h.emit(e, org.Change{Group: &org.GroupChange{Name: c.Groups[g].Name, Detach: []source.Text{text(r)}}})
		}
	case "claude_user_role_updated":
		u := h.userOf(e.user)
		now, ok := org.OrgRole(e.now)
		switch {
		case u == nil:
			h.cannot(e, "name a member whom no list holds")
		case !ok:
			h.cannot(e, "do not say the new role in a word that is known")
		default:
			if h.once("role "+u.key()) && !e.oldStated {
				s.Notes = append(s.Notes, fmt.Sprintf("%s: the feed does not say which role the member had before %s; the draft takes the one on the list", e.at, stamp(e.when)))
			}
			h.role[u] = now
			h.emit(e, org.Change{Members: &org.MemberRule{Select: org.Selector{Ids: []string{u.key()}}, Role: now}})
		}
	case "claude_user_seat_tier_updated":
		u := h.userOf(e.user)
		switch {
		case u == nil:
			h.cannot(e, "name a member whom no list holds")
		case e.now == "":
			h.cannot(e, "do not say the new tier")
		default:
			h.tier(e.now)
			h.tier(e.old)
			h.emit(e, org.Change{Members: &org.MemberRule{Select: org.Selector{Ids: []string{u.key()}}, Role: first(h.role[u], u.role, "unknown"), Seat: text(e.now)}})
		}
	case "org_sso_provisioning_mode_changed":
		if directoryOf(e.now) == "" {
			h.cannot(e, "do not say the new mode")
			return
		}
		s.Notes = append(s.Notes, fmt.Sprintf("members came in otherwise before %s: the mode became %s%s; the draft holds the last mode only", stamp(e.when), e.now, or(e.old, ", from ")))
	case "org_sso_group_role_mappings_updated":
		p, ok := h.mappingOf(s, e.mapped, h.tier)
		if !ok {
			h.cannot(e, "do not list the mapping in a form this version reads")
			return
		}
		if e.when.After(h.mapFrom) {
			h.mapFrom = e.when
		}
		h.emit(e, org.Change{Provisioning: p})
	case "mcp_tool_policy_updated":
		level := policyOf(e.now)
		switch {
		case e.tool != "":
			h.cannot(e, "set the policy of a single tool, which is kept per connector here")
		case e.connector == "" || level == "":
			h.cannot(e, "do not say connector and policy")
		default:
			i := h.connector(c, e.connector)
			if h.once("policy " + e.connector) {
				c.Connectors[i].Policy = policyOf(e.old)
			}
			h.emit(e, org.Change{Connector: &org.ConnectorChange{Name: c.Connectors[i].Name, Policy: level}})
		}
	case "plugin_installation_preference_updated":
		level := availabilityOf(e.now)
		if e.plugin == "" || level == "" {
			h.cannot(e, "do not say plugin and preference")
			return
		}
		h.plugin(c, e.plugin)
		pl := org.PluginLevel{Plugin: text(e.plugin), Level: level}
		if e.group == "" {
			if k := slices.IndexFunc(c.Plugins, func(p org.Plugin) bool { return p.Name.Value == e.plugin }); h.once("plugin " + e.plugin) {
				c.Plugins[k].Level = availabilityOf(e.old)
			}
			h.emit(e, org.Change{Plugin: &pl})
			return
		}
		g := h.groupAt(e.group)
		if g < 0 {
			h.cannot(e, "name a group that no list holds")
			return
		}
		if l := availabilityOf(e.old); l != "" && h.once("plugin "+e.plugin+" of "+e.group) {
			c.Groups[g].Plugins = append(c.Groups[g].Plugins, org.PluginLevel{Plugin: text(e.plugin), Level: l})
		}
		h.emit(e, org.Change{Group: &org.GroupChange{Name: c.Groups[g].Name, Plugins: []org.PluginLevel{pl}}})
	case "extra_usage_spend_limit_created", "extra_usage_spend_limit_updated", "extra_usage_spend_limit_deleted":
		h.limit(e)
	default: // a switch
		on := strings.HasSuffix(e.kind, "_enabled")
		to, name := settingOf(&c.Organisation.Settings, e.kind)
		if h.once(name) { // the feed tells what it was turned from
			*to = ptr(!on)
		}
		set := &org.Settings{}
		to, _ = settingOf(set, e.kind)
		*to = ptr(on)
		h.emit(e, org.Change{Settings: set})
	}
}

// limit is a dated change of a spend limit; the first one of a subject says what was
// before.
func (h *history) limit(e *event) {
	c := &h.s.Config
	l := org.LimitChange{}
	key := ""
	switch {
	case strings.Contains(e.limit, "group"):
		g := h.groupAt(e.group)
		if g < 0 {
			h.cannot(e, "name a group that no list holds")
			return
		}
		l.Group, key = c.Groups[g].Name, "limit of group "+c.Groups[g].Name.Value
	case strings.Contains(e.limit, "user"), strings.Contains(e.limit, "member"):
		u := h.userOf(e.user)
		if u == nil {
			h.cannot(e, "name a member whom no list holds")
			return
		}
		l.Member, key = text(u.key()), "limit of member "+u.key()
	case strings.HasPrefix(e.limit, "org"):
		l.Organisation, key = true, "limit of the organisation"
	default:
		h.cannot(e, "limit something else than organisation, group or member")
		return
	}
	switch m, ok := cents(e.amount); {
	case strings.HasSuffix(e.kind, "_deleted"):
		l.Delete = true
	case ok:
		l.Limit = m
	case e.nullNow:
		l.Unlimited = true
	default:
		h.cannot(e, "do not say the amount")
		return
	}
	if h.once(key) { // the list is of later: put back what was there before
		old, ok := cents(e.old)
		switch {
		case l.Organisation:
			c.Spend.Organisation = old
		case l.Group.Value != "":
			c.Spend.Groups = slices.DeleteFunc(c.Spend.Groups, func(x org.GroupLimit) bool { return x.Group.Value == l.Group.Value })
			if ok {
				c.Spend.Groups = append(c.Spend.Groups, org.GroupLimit{Group: l.Group, Limit: old})
			}
		default:
			c.Spend.Users = slices.DeleteFunc(c.Spend.Users, func(x org.UserLimit) bool { return x.Member.Value == l.Member.Value })
			if ok {
				c.Spend.Users = append(c.Spend.Users, org.UserLimit{Member: l.Member, Limit: old})
			}
		}
		if !ok && !strings.HasSuffix(e.kind, "_created") {
			h.s.Notes = append(h.s.Notes, fmt.Sprintf("%s: the feed does not say the %s before %s; the draft has none before it", e.at, key, stamp(e.when)))
		}
	}
	h.emit(e, org.Change{Limit: &l})
}

// mappingOf builds a mapping from the rows of an event or of a table. Groups that
// no list holds are made, as the identity provider's.
func (d *Draft) mappingOf(s *Sketch, rows []mapEntry, tier func(string)) (*org.Provisioning, bool) {
	p := &org.Provisioning{}
	c := &s.Config
	d.enterprise = true
	for _, m := range rows {
		if r, ok := org.OrgRole(m.role); m.group == "" || m.role != "" && (!ok || r == "") {
			return nil, false
		}
	}
	for _, m := range rows {
		name := ""
		for i, g := range d.groups {
			if g.id == m.group || g.scimID == m.group || g.name == m.group {
				name = c.Groups[i].Name.Value
			}
		}
		if name == "" {
			name = m.group
			d.groups = append(d.groups, &group{name: name, source: "scim"})
			c.Groups = append(c.Groups, org.Group{Name: text(name), Source: "scim"})
			d.unplaced["groups that only a mapping names; who is in them is not known"]++
		}
		if g := c.Groups[slices.IndexFunc(c.Groups, func(g org.Group) bool { return g.Name.Value == name })]; g.Source == "direct" {
			d.unplaced["mappings of groups that are filled by hand, which nothing maps"]++
			continue
		}
		if m.role != "" && slices.ContainsFunc(p.Roles, func(x org.RoleMapping) bool { return x.Group.Value == name }) ||
			m.seat != "" && slices.ContainsFunc(p.Seats, func(x org.SeatMapping) bool { return x.Group.Value == name }) {
			d.unplaced["second mappings of one group"]++
			continue
		}
		if m.role != "" {
			r, _ := org.OrgRole(m.role)
			p.Roles = append(p.Roles, org.RoleMapping{Group: text(name), Role: r})
		}
		if m.seat != "" {
			tier(m.seat)
			p.Seats = append(p.Seats, org.SeatMapping{Group: text(name), Seat: text(m.seat)})
		}
	}
	return p, p.Roles != nil || p.Seats != nil
}

// directoryOf is how members come in, by a provisioning mode (1.8); "" for one
// that is not known.
func directoryOf(mode string) string {
	switch {
	case mode == "login_only" || mode == "invite_only":
		return "invite"
	case strings.HasPrefix(mode, "jit"):
		return "jit"
	case strings.HasPrefix(mode, "scim"):
		return "scim"
	}
	return ""
}

func policyOf(s string) string {
	switch strings.ToLower(s) {
	case "blocked", "never", "disabled":
		return "blocked"
	case "ask", "needs_approval", "use", "require_approval":
		return "ask"
	case "always_allow", "always", "allow":
		return "always"
	}
	return ""
}

func availabilityOf(s string) string {
	switch strings.ReplaceAll(strings.ToLower(s), " ", "_") {
	case "required":
		return "required"
	case "installed", "installed_by_default", "auto_install":
		return "installed"
	case "available", "available_to_install":
		return "available"
	case "not_available", "unavailable", "hidden", "blocked":
		return "not_available"
	}
	return ""
}

// mappingsInto takes a mapping that was written down as a table for the state
// before every change. A dated one of the feed counts from its day on.
func (d *Draft) mappingsInto(s *Sketch) {
	if len(d.mapRows) == 0 {
		return
	}
	p, ok := d.mappingOf(s, d.mapRows, func(t string) {
		if !slices.Contains(d.tiers, t) {
			d.tiers = append(d.tiers, t)
		}
	})
	if ok {
		s.Config.Organisation.Provisioning = p
	}
}

// reconcile leaves out what the way members come in rules out, and says so.
func (d *Draft) reconcile(s *Sketch) {
	c := &s.Config
	o := &c.Organisation
	mapped := o.Provisioning != nil || slices.ContainsFunc(c.Changes, func(ch org.Change) bool { return ch.Provisioning != nil })
	if mapped && o.Directory == "" {
		o.Directory = "scim"
		s.Questions = append(s.Questions, Question{"organisation.directory", "Do members come in by SCIM or by JIT?", "a mapping of groups works at the next synchronisation under SCIM, at the next sign-in under JIT", "jit or scim", "scim"})
	}
	if mapped && o.Directory == "invite" {
		o.Provisioning = nil
		c.Changes = slices.DeleteFunc(c.Changes, func(ch org.Change) bool { return ch.Provisioning != nil })
		d.Warnings = append(d.Warnings, "the exports hold a mapping of groups, and a mode in which nothing is mapped; the mapping is left out")
		mapped = false
	}
	if !mapped || o.Directory != "jit" {
		return
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		carries := len(g.Roles) > 0 || g.Unread || slices.ContainsFunc(c.Changes, func(ch org.Change) bool {
			return ch.Group != nil && ch.Group.Name.Value == g.Name.Value && ch.Group.Attach != nil
		})
		if g.Source == "scim" && carries {
			g.Source = ""
			d.Warnings = append(d.Warnings, fmt.Sprintf("group %q carries custom roles and is said to come from the identity provider, which the mode %s does not have; where it comes from is left open", g.Name.Value, d.mode))
		}
	}
}

// mapping is the last mapping of groups in the draft, nil for none.
func (s *Sketch) mapping() *org.Provisioning {
	p := s.Config.Organisation.Provisioning
	for i := range s.Config.Changes {
		if x := s.Config.Changes[i].Provisioning; x != nil {
			p = x
		}
	}
	return p
}

// or puts a prefix before a text that may be empty.
func or(s, prefix string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// primaryOwner puts the Primary Owner of the list of members into the mapping;
// false when no list tells.
func (d *Draft) primaryOwner(s *Sketch) bool {
	i := slices.IndexFunc(s.people, func(r rosterRow) bool { return r.u.primary })
	if i < 0 {
		return false
	}
	if s.Config.Organisation.Provisioning == nil { // the mapping is a dated change, which takes it over
		s.Config.Organisation.Provisioning = &org.Provisioning{}
	}
	s.Config.Organisation.Provisioning.PrimaryOwner = text(s.people[i].u.key())
	return true
}
