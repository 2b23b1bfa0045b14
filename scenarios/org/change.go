package org

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Change is one thing an administrator or the identity provider does at a
// moment. Everything else in the configuration is the state before the first
// change. Exactly one of the fields below Because is given.
//
// On is a day (from 00:00 UTC) or an RFC 3339 time. Arrives, if given, is the
// moment the change had reached everybody, as somebody saw it; without it the
// platform's dated propagation delay is assumed. For a leaver Arrives is the
// moment the account was closed.
type Change struct {
	On      source.Text `yaml:"on,required"`
	Arrives source.Text `yaml:"arrives"`
	Because string      `yaml:"because"`

	Join         *Selector        `yaml:"join"`
	Leave        *Selector        `yaml:"leave"`
	Members      *MemberRule      `yaml:"members"` // organisation role and seat from now on
	Group        *GroupChange     `yaml:"group"`
	Role         *RoleChange      `yaml:"role"`
	Settings     *Settings        `yaml:"settings"` // only what changes
	Toggles      map[string]bool  `yaml:"toggles"`
	Connector    *ConnectorChange `yaml:"connector"`
	Plugin       *PluginLevel     `yaml:"plugin"`
	Skill        *SkillLevel      `yaml:"skill"`
	Plan         source.Text      `yaml:"plan,enum=team|enterprise"`
	Arrangements *Arrangements    `yaml:"arrangements"`
	Limit        *LimitChange     `yaml:"limit"`
	Provisioning *Provisioning    `yaml:"provisioning"` // the mapping from now on, in place of the one before; empty: none

	At    source.Pos `yaml:"-"`
	When  time.Time  `yaml:"-"` // On, parsed
	Until time.Time  `yaml:"-"` // Arrives, parsed; zero when not given
}

// GroupChange edits a group: members come and go, roles are attached and
// detached, it gets a new name, or it is deleted. Its id stays.
type GroupChange struct {
	Name    source.Text   `yaml:"name,required"`
	Add     *Selector     `yaml:"add"`
	Remove  *Selector     `yaml:"remove"`
	Attach  []source.Text `yaml:"attach"`
	Detach  []source.Text `yaml:"detach"`
	Plugins []PluginLevel `yaml:"plugins"`
	Skills  []SkillLevel  `yaml:"skills"`
	Rename  string        `yaml:"rename"`
	Delete  bool          `yaml:"delete"`
}

// RoleChange adds rows to a role, removes rows, or deletes it. A row to remove is
// found by what it grants; its level and reason do not matter. Adding a row that
// stands already replaces its level.
type RoleChange struct {
	Name   source.Text `yaml:"name,required"`
	Add    []Grant     `yaml:"add"`
	Remove []Grant     `yaml:"remove"`
	Delete bool        `yaml:"delete"`
}

// ConnectorChange enables, disables or bounds a connector.
type ConnectorChange struct {
	Name    source.Text `yaml:"name,required"`
	Enabled *bool       `yaml:"enabled"`
	Policy  string      `yaml:"policy,enum=always|ask|blocked"`
}

// LimitChange sets the limit of one group, one member or the organisation, from
// its moment on (limits take effect at once); unlimited stands for a null amount,
// delete removes the row.
type LimitChange struct {
	Group        source.Text  `yaml:"group"`
	Member       source.Text  `yaml:"member"`
	Organisation bool         `yaml:"organisation"`
	Limit        source.Money `yaml:"amount"`
	Unlimited    bool         `yaml:"unlimited"`
	Delete       bool         `yaml:"delete"`
}

// Arrangements adds and removes arrangements of the contract.
type Arrangements struct {
	Add    []string `yaml:"add,enum=zdr|cmek|hipaa_ready|hipaa_configuration"`
	Remove []string `yaml:"remove,enum=zdr|cmek|hipaa_ready|hipaa_configuration"`
}

// ParseMoment reads a day or an RFC 3339 time, in UTC.
func ParseMoment(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse("2006-01-02T15:04Z07:00", s); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a day (2026-05-11) nor a time (2026-05-11T14:30:00Z)", s)
}

// Check parses the moments and sees that the change says one thing.
func (c *Change) Check(pos source.Pos, ps *source.Problems) {
	moment := func(t source.Text) time.Time {
		if t.Value == "" {
			return time.Time{}
		}
		m, err := ParseMoment(t.Value)
		if err != nil {
			ps.Add(t.At, "write a day, 2026-05-11, or a time with its zone, 2026-05-11T14:30:00Z", "changes: %v", err)
		}
		return m
	}
	c.When, c.Until = moment(c.On), moment(c.Arrives)
	if !c.Until.IsZero() && c.Until.Before(c.When) {
		ps.Add(c.Arrives.At, "arrives is when the change had reached everybody", "changes: it arrives on %s, before it is made on %s", c.Arrives.Value, c.On.Value)
	}
	switch kinds := c.kinds(); len(kinds) {
	case 0:
		ps.Add(pos, "for example {on: 2026-05-11, group: {name: pilot, add: {department: Claims}}}", "a change says nothing; expected one of %s", strings.Join(changeKinds, ", "))
	case 1:
	default:
		ps.Add(pos, "write one change for each; they may have the same day", "a change says %d things: %s", len(kinds), strings.Join(kinds, ", "))
	}
	if g := c.Group; g != nil && g.Add == nil && g.Remove == nil && g.Attach == nil && g.Detach == nil && g.Plugins == nil && g.Skills == nil && g.Rename == "" && !g.Delete {
		ps.Add(pos, "give add, remove, attach, detach, plugins, skills, rename or delete", "a change of group %q changes nothing", g.Name.Value)
	}
	if l := c.Limit; l != nil {
		if n := count(l.Group.Value != "", l.Member.Value != "", l.Organisation); n != 1 {
			ps.Add(pos, "give one of group, member and organisation: true", "a change of a limit names %d subjects", n)
		}
		if n := count(l.Limit.Given, l.Unlimited, l.Delete); n != 1 {
			ps.Add(pos, "give one of amount, unlimited: true and delete: true", "a change of a limit says %d things", n)
		}
	}
	if r := c.Role; r != nil && r.Add == nil && r.Remove == nil && !r.Delete {
		ps.Add(pos, "give add, remove or delete", "a change of role %q changes nothing", r.Name.Value)
	}
}

var changeKinds = []string{"join", "leave", "members", "group", "role", "settings", "toggles", "connector", "plugin", "skill", "plan", "arrangements", "limit", "provisioning"}

func (c *Change) kinds() []string {
	var out []string
	for i, given := range []bool{c.Join != nil, c.Leave != nil, c.Members != nil, c.Group != nil, c.Role != nil, c.Settings != nil,
		c.Toggles != nil, c.Connector != nil, c.Plugin != nil, c.Skill != nil, c.Plan.Value != "", c.Arrangements != nil, c.Limit != nil, c.Provisioning != nil} {
		if given {
			out = append(out, changeKinds[i])
		}
	}
	return out
}

func count(given ...bool) int {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	return n
}

// Kind is the one thing the change says, by its key in the file; "" when it says
// nothing.
func (c *Change) Kind() string {
	if k := c.kinds(); len(k) > 0 {
		return k[0]
	}
	return ""
}

// String says the change in words, without its date.
func (c *Change) String() string {
	names := func(ts []source.Text) string {
		var out []string
		for _, t := range ts {
			out = append(out, t.Value)
		}
		return strings.Join(out, ", ")
	}
	switch {
	case c.Join != nil:
		return c.Join.String() + " join"
	case c.Leave != nil:
		return c.Leave.String() + " leave"
	case c.Members != nil:
		s := fmt.Sprintf("%s: organisation role %s", c.Members.Select, c.Members.Role)
		if c.Members.Seat.Value != "" {
			s += ", seat " + c.Members.Seat.Value
		}
		return s
	case c.Group != nil:
		g, parts := c.Group, []string(nil)
		if g.Add != nil {
			parts = append(parts, "gains "+g.Add.String())
		}
		if g.Remove != nil {
			parts = append(parts, "loses "+g.Remove.String())
		}
		if g.Attach != nil {
			parts = append(parts, "gets role "+names(g.Attach))
		}
		if g.Detach != nil {
			parts = append(parts, "gives up role "+names(g.Detach))
		}
		for _, p := range g.Plugins {
			parts = append(parts, fmt.Sprintf("has plugin %s at %s", p.Plugin.Value, p.Level))
		}
		for _, p := range g.Skills {
			parts = append(parts, fmt.Sprintf("has skill %s at %s", p.Skill.Value, p.Level))
		}
		if g.Rename != "" {
			parts = append(parts, "is renamed "+g.Rename)
		}
		if g.Delete {
			parts = append(parts, "is deleted")
		}
		return fmt.Sprintf("group %s %s", g.Name.Value, strings.Join(parts, ", "))
	case c.Limit != nil:
		l, of := c.Limit, "the organisation"
		if l.Group.Value != "" {
			of = "group " + l.Group.Value
		} else if l.Member.Value != "" {
			of = "member " + l.Member.Value
		}
		switch {
		case l.Delete:
			return "the limit of " + of + " is deleted"
		case l.Unlimited:
			return of + " may spend without limit"
		}
		return fmt.Sprintf("the limit of %s is set to %s dollars", of, strconv.FormatFloat(float64(l.Limit.Micros)/1e6, 'f', -1, 64))
	case c.Role != nil:
		if c.Role.Delete {
			return fmt.Sprintf("role %s is deleted", c.Role.Name.Value)
		}
		var parts []string
		for _, g := range c.Role.Add {
			parts = append(parts, "+ "+g.String())
		}
		for _, g := range c.Role.Remove {
			parts = append(parts, "- "+g.String())
		}
		return fmt.Sprintf("role %s: %s", c.Role.Name.Value, strings.Join(parts, ", "))
	case c.Settings != nil:
		var parts []string
		v := reflect.ValueOf(*c.Settings)
		for i := range v.NumField() {
			f := v.Field(i)
			if f.IsZero() {
				continue
			}
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			for f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			parts = append(parts, fmt.Sprintf("%s %v", name, f.Interface()))
		}
		return "settings: " + strings.Join(parts, ", ")
	case c.Toggles != nil:
		var parts []string
		for k, on := range c.Toggles {
			parts = append(parts, fmt.Sprintf("%s %v", k, on))
		}
		sort.Strings(parts)
		return "toggles: " + strings.Join(parts, ", ")
	case c.Connector != nil:
		s := "connector " + c.Connector.Name.Value
		if c.Connector.Enabled != nil {
			s += map[bool]string{true: " is enabled", false: " is disabled"}[*c.Connector.Enabled]
		}
		if c.Connector.Policy != "" {
			s += " gets policy " + c.Connector.Policy
		}
		return s
	case c.Plugin != nil:
		return fmt.Sprintf("plugin %s is %s for the organisation", c.Plugin.Plugin.Value, c.Plugin.Level)
	case c.Skill != nil:
		return fmt.Sprintf("skill %s is %s for the organisation", c.Skill.Skill.Value, c.Skill.Level)
	case c.Plan.Value != "":
		return "the plan becomes " + c.Plan.Value
	case c.Provisioning != nil:
		return c.Provisioning.String()
	case c.Arrangements != nil:
		return strings.TrimSpace(strings.Join(append(prefixed("+ ", c.Arrangements.Add), prefixed("- ", c.Arrangements.Remove)...), ", "))
	}
	return "nothing"
}

func prefixed(p string, ss []string) []string {
	var out []string
	for _, s := range ss {
		out = append(out, p+s)
	}
	return out
}

// String is the selection in words.
func (s Selector) String() string {
	var parts []string
	switch {
	case s.Department != "" && s.First > 0:
		parts = append(parts, fmt.Sprintf("the first %d of %s", s.First, s.Department))
	case s.Department != "":
		parts = append(parts, "department "+s.Department)
	case s.First > 0:
		parts = append(parts, fmt.Sprintf("the first %d members", s.First))
	case s.All:
		parts = append(parts, "all members")
	}
	if n := len(s.Ids); n == 1 {
		parts = append(parts, "1 named member")
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d named members", n))
	}
	if parts == nil {
		return "nobody"
	}
	return strings.Join(parts, " and ")
}

// String names what the row grants, for example "cowork", "zoom/get_summary" or
// "plugin:house-templates".
func (g Grant) String() string {
	switch {
	case g.Capability.Value != "":
		return g.Capability.Value
	case g.Connector.Value != "" && g.Tool != "":
		return g.Connector.Value + "/" + g.Tool
	case g.Connector.Value != "":
		return g.Connector.Value + "/*"
	case g.Plugin.Value != "":
		return "plugin:" + g.Plugin.Value
	case g.Skill.Value != "":
		return "skill:" + g.Skill.Value
	}
	return "nothing"
}

// inOrder are the changes by time, those of one moment in the order written.
func (c *Config) inOrder() []*Change {
	out := make([]*Change, len(c.Changes))
	for i := range c.Changes {
		out[i] = &c.Changes[i]
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].When.Before(out[j].When) })
	return out
}

// At is the configuration with every change up to t, inclusive, applied: plan,
// settings, roles, connectors, plugins and skills. The changes themselves stay
// listed. Groups and roles keep their places; a deleted one is marked and holds
// nothing. Who is in a group is the directory's to say. The result is c itself
// when nothing has changed; do not write to it.
func (c *Config) At(t time.Time) *Config { return c.In(viewAt(t)) }

// Policy reports that the change alters what decisions on access rest on for
// everybody: not who is in a group, who works here, or what anybody may spend.
func (c *Change) Policy() bool { return !c.person() && c.Limit == nil }

// person reports that a change concerns members only, not the configuration.
func (c *Change) person() bool {
	return c.Join != nil || c.Leave != nil || c.Members != nil || c.Provisioning != nil ||
		c.Group != nil && c.Group.Attach == nil && c.Group.Detach == nil && c.Group.Plugins == nil && c.Group.Skills == nil && c.Group.Rename == "" && !c.Group.Delete
}

func (c *Config) clone() *Config {
	out := *c
	out.Groups = slices.Clone(c.Groups)
	out.Roles = slices.Clone(c.Roles)
	out.Connectors = slices.Clone(c.Connectors)
	out.Plugins = slices.Clone(c.Plugins)
	out.Skills = slices.Clone(c.Skills)
	out.Organisation.Arrangements = slices.Clone(c.Organisation.Arrangements)
	out.Organisation.Toggles = map[string]bool{}
	for k, v := range c.Organisation.Toggles {
		out.Organisation.Toggles[k] = v
	}
	return &out
}

// apply changes c, which is a clone: its slices may be written, but not what
// their elements share with the original.
func (c *Config) apply(ch *Change) {
	o := &c.Organisation
	switch {
	case ch.Group != nil:
		for i := range c.Groups {
			if c.Groups[i].Name.Value == ch.Group.Name.Value {
				c.Groups[i].apply(ch.Group)
			}
		}
	case ch.Role != nil:
		for i := range c.Roles {
			if c.Roles[i].Name.Value == ch.Role.Name.Value {
				c.Roles[i].apply(ch.Role)
			}
		}
	case ch.Settings != nil:
		to, from := reflect.ValueOf(&o.Settings).Elem(), reflect.ValueOf(*ch.Settings)
		for i := range from.NumField() {
			if !from.Field(i).IsZero() {
				to.Field(i).Set(from.Field(i))
			}
		}
	case ch.Toggles != nil:
		for k, v := range ch.Toggles {
			o.Toggles[k] = v
		}
	case ch.Connector != nil:
		for i := range c.Connectors {
			if x := &c.Connectors[i]; x.Name.Value == ch.Connector.Name.Value {
				if ch.Connector.Enabled != nil {
					x.Enabled = *ch.Connector.Enabled
				}
				if ch.Connector.Policy != "" {
					x.Policy = ch.Connector.Policy
				}
			}
		}
	case ch.Plugin != nil:
		for i := range c.Plugins {
			if c.Plugins[i].Name.Value == ch.Plugin.Plugin.Value {
				c.Plugins[i].Level = ch.Plugin.Level
			}
		}
	case ch.Skill != nil:
		for i := range c.Skills {
			if c.Skills[i].Name.Value == ch.Skill.Skill.Value {
				c.Skills[i].Level = ch.Skill.Level
			}
		}
	case ch.Plan.Value != "":
		o.Plan = ch.Plan
	case ch.Arrangements != nil:
		for _, a := range ch.Arrangements.Add {
			if !slices.Contains(o.Arrangements, a) {
				o.Arrangements = append(o.Arrangements, a)
			}
		}
		o.Arrangements = slices.DeleteFunc(o.Arrangements, func(a string) bool { return slices.Contains(ch.Arrangements.Remove, a) })
	}
}

func (g *Group) apply(ch *GroupChange) {
	if ch.Delete {
		// Its overrides are orphaned and its members keep what other groups give.
		g.Roles, g.Plugins, g.Skills, g.Unread, g.Deleted = nil, nil, nil, false, true
		return
	}
	roles := slices.Clone(g.Roles)
	for _, r := range ch.Attach {
		if !slices.ContainsFunc(roles, func(x source.Text) bool { return x.Value == r.Value }) {
			roles = append(roles, r)
		}
	}
	g.Roles = slices.DeleteFunc(roles, func(x source.Text) bool {
		return slices.ContainsFunc(ch.Detach, func(d source.Text) bool { return d.Value == x.Value })
	})
	plugins := slices.Clone(g.Plugins)
	for _, p := range ch.Plugins {
		plugins = slices.DeleteFunc(plugins, func(x PluginLevel) bool { return x.Plugin.Value == p.Plugin.Value })
		plugins = append(plugins, p)
	}
	g.Plugins = plugins
	skills := slices.Clone(g.Skills)
	for _, p := range ch.Skills {
		skills = slices.DeleteFunc(skills, func(x SkillLevel) bool { return x.Skill.Value == p.Skill.Value })
		skills = append(skills, p)
	}
	g.Skills = skills
}

func (r *Role) apply(ch *RoleChange) {
	if ch.Delete {
		r.Grants, r.AdminAreas, r.Models, r.Deleted = nil, nil, nil, true
		return
	}
	same := func(a, b Grant) bool { return a.String() == b.String() }
	rows := slices.DeleteFunc(slices.Clone(r.Grants), func(x Grant) bool {
		return slices.ContainsFunc(ch.Remove, func(d Grant) bool { return same(x, d) }) ||
			slices.ContainsFunc(ch.Add, func(d Grant) bool { return same(x, d) })
	})
	r.Grants = append(rows, ch.Add...)
}

// move overrules the dated memberships of the members it names from when on.
type move struct {
	when, until time.Time
	in          bool
	of          some
	what        string
}

type roleMove struct {
	when, until time.Time
	role, seat  string
	of          some
	what        string
}

// some is a few members by index, in order: a log of a thousand messages names
// one or two each.
type some []int32

func (s some) has(member int) bool {
	_, ok := slices.BinarySearch(s, int32(member))
	return ok
}

// applyChanges turns the changes that concern members into moves, and sets
// Joined, Left and Removed.
func (d *Directory) applyChanges() {
	d.moves = make([][]move, len(d.Config.Groups))
	d.mappings = d.Config.mappings()
	pick := func(s Selector) (of some) {
		for _, i := range d.Select(s) {
			of = append(of, int32(i))
		}
		return of
	}
	for _, ch := range d.Config.inOrder() {
		switch {
		case ch.Join != nil:
			late := 0
			for _, i := range d.Select(*ch.Join) {
				d.people.date(i, func(t *tenure) { t.joined, t.opened, t.sent = ch.When, ch.Until, true })
				left := d.Left(i)
				late += count(!left.IsZero() && !ch.When.Before(left))
			}
			if late > 0 {
				d.faults.Add(ch.At, "who comes back is another member, under another account: let others join, or leave this out",
					"changes: %d of %s %s on %s, having left by then", late, ch.Join, map[bool]string{true: "joins", false: "join"}[late == 1], ch.On.Value)
			}
		case ch.Leave != nil:
			for _, i := range d.Select(*ch.Leave) {
				d.people.date(i, func(t *tenure) { t.left, t.removed = ch.When, ch.Until })
			}
		case ch.Members != nil:
			d.roles = append(d.roles, roleMove{ch.When, ch.Until, ch.Members.Role, ch.Members.Seat.Value, pick(ch.Members.Select), ch.String()})
		case ch.Group != nil:
			for g := range d.Config.Groups {
				if d.Config.Groups[g].Name.Value != ch.Group.Name.Value {
					continue
				}
				if ch.Group.Remove != nil {
					d.moves[g] = append(d.moves[g], move{ch.When, ch.Until, false, pick(*ch.Group.Remove), ch.String()})
				}
				if ch.Group.Add != nil {
					d.moves[g] = append(d.moves[g], move{ch.When, ch.Until, true, pick(*ch.Group.Add), ch.String()})
				}
				if ch.Group.Delete {
					d.moves[g] = append(d.moves[g], move{ch.When, ch.Until, false, pick(Selector{All: true}), ch.String()})
				}
			}
		}
	}
}

// roleAt is a member's organisation role and seat in force at a time.
func (d *Directory) roleAt(member int, t time.Time) (role, seat string) {
	k := d.kind(member)
	role, seat = k.role, k.seat
	if role == "" {
		role = "user"
	}
	for i := range d.roles {
		r := &d.roles[i]
		if r.when.After(t) {
			break
		}
		if r.of.has(member) {
			role = r.role
			if r.seat != "" {
				seat = r.seat
			}
		}
	}
	return role, seat
}

// Boundary is a moment at which something of a member may change: a group, the
// organisation role or the seat. Until is when it had arrived, zero when nobody
// stated it. What is the change in words.
type Boundary struct {
	When, Until time.Time
	Channel     Channel
	What        string
}

// Boundaries lists the moments at which each member's groups, role or seat may
// change, in order of time, by member index.
func (d *Directory) Boundaries() [][]Boundary {
	out := make([][]Boundary, d.Len())
	add := func(of []bool, b Boundary) {
		if b.When.IsZero() {
			return
		}
		for i, in := range of {
			if in {
				out[i] = append(out[i], b)
			}
		}
	}
	for g := range d.listed {
		by, what := d.Config.groupChannel(g), "group "+d.Config.Groups[g].Name.Value+" as listed"
		for i, since := range d.listed[g] {
			if !since.IsZero() {
				// The list says when the product had it, so that nothing is in flight after.
				out[i] = append(out[i], Boundary{since, since, by, what})
			}
		}
	}
	for g := range d.memberships {
		by, of := d.Config.groupChannel(g), "membership of group "+d.Config.Groups[g].Name.Value
		for _, s := range d.memberships[g] {
			add(s.in, Boundary{When: s.from, Channel: by, What: of + " begins"})
			add(s.in, Boundary{When: s.to, Channel: by, What: of + " ends"})
		}
		for _, m := range d.moves[g] {
			for _, i := range m.of {
				out[i] = append(out[i], Boundary{m.when, m.until, by, m.what})
			}
		}
	}
	for _, r := range d.roles {
		for _, i := range r.of {
			out[i] = append(out[i], Boundary{r.when, r.until, BySeat, r.what})
		}
	}
	for i := range d.Config.Changes {
		if ch := &d.Config.Changes[i]; ch.Provisioning != nil {
			b := Boundary{ch.When, ch.Until, d.Config.mappingChannel(), ch.String()}
			for m := range out {
				out[m] = append(out[m], b)
			}
		}
	}
	for i := range out {
		sort.SliceStable(out[i], func(a, b int) bool { return out[i][a].When.Before(out[i][b].When) })
	}
	return out
}

// Cuts lists every moment at which some member's groups may change, sorted and
// without repeats, as nanoseconds since 1970.
func (d *Directory) Cuts() []int64 {
	var out []int64
	add := func(t time.Time) {
		if !t.IsZero() {
			out = append(out, t.UnixNano())
		}
	}
	for g := range d.listed {
		for _, since := range d.listed[g] {
			add(since)
		}
	}
	for g := range d.memberships {
		for _, s := range d.memberships[g] {
			add(s.from)
			add(s.to)
		}
		for _, m := range d.moves[g] {
			add(m.when)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
