package exports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Sketch is the scenario being drafted.
type Sketch struct {
	Name, Title string
	AsOf        string
	Config      org.Config
	Questions   []Question
	Notes       []string // what was assumed, what was left out

	adoption string
	// capabilities that an answer may name.
	capabilities []string
	// roleUnknown: some member's organisation role is in no export.
	roleUnknown bool
	endpoint    string
	content     string
	retention   int
	data        string
	people      []rosterRow
}

type rosterRow struct {
	u      *user
	role   string
	left   time.Time
	joined time.Time
	groups []string
	boss   string
}

// Sketch puts together what was read. Call it once, after the last file.
func (d *Draft) Sketch() *Sketch {
	s := &Sketch{Name: "my-organisation", Title: "Drafted from exports", capabilities: d.Capabilities}
	d.resolve(s)
	d.rolesAndGroups(s)
	d.limitsInto(s)
	d.settingsInto(s)
	d.feedInto(s)
	d.usageInto(s)
	d.mappingsInto(s)
	d.messages(s)
	d.roster(s)
	d.organisation(s)
	d.ask(s)
	for _, k := range sorted(d.unplaced) {
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %d", k, d.unplaced[k]))
	}
	for _, p := range d.partial {
		s.Notes = append(s.Notes, p+"; what is not on it is unknown, not absent")
	}
	return s
}

// resolve finds the user behind every membership. Somebody whom a complete list
// of users does not hold belongs to a sibling organisation, or is gone.
func (d *Draft) resolve(s *Sketch) {
	for _, g := range d.groups {
		kept := g.members[:0]
		seen := map[*user]bool{}
		for _, m := range g.members {
			u := d.userBy[m.key]
			if u == nil && m.email != "" {
				u = d.userBy[m.email]
			}
			if u == nil {
				u = d.userBy[strings.ToLower(m.key)]
			}
			switch {
			case u == nil && d.usersAll:
				d.Warnings = append(d.Warnings, fmt.Sprintf("%s: group %q holds %s, who is not a user of this organisation; groups are shared below the parent, roles are not", m.at, g.name, first(m.email, m.key)))
				continue
			case u == nil && m.key == "" && m.email == "":
				d.unplaced["group memberships without a member"]++
				continue
			case u == nil:
				u = &user{at: m.at, email: m.email}
				switch {
				case strings.HasPrefix(m.key, "user_"):
					u.id = m.key
				case strings.Contains(m.key, "@"):
					u.email = strings.ToLower(m.key)
				default:
					u.scimID = m.key
				}
				d.users = append(d.users, u)
				d.index(u)
			}
			if !seen[u] {
				seen[u] = true
				kept = append(kept, member{key: u.key(), at: m.at, since: m.since})
			}
		}
		g.members = kept
	}
	// A CSV names groups; make those that no other export knows.
	for _, u := range d.users {
		for _, name := range u.groups {
			var g *group
			for _, x := range d.groups {
				if x.name == name {
					g = x
				}
			}
			if g == nil {
				g = &group{name: name, at: u.at}
				d.groups = append(d.groups, g)
			}
			g.membersSeen = true
			if !slices.ContainsFunc(g.members, func(m member) bool { return m.key == u.key() }) {
				g.members = append(g.members, member{key: u.key(), at: u.at})
			}
		}
	}
}

// key is how the roster names a user.
func (u *user) key() string { return first(u.email, u.login, u.id, u.account, u.scimID) }

func (d *Draft) rolesAndGroups(s *Sketch) {
	names := map[string]string{} // role id -> name in the draft
	taken := map[string]bool{}
	unique := func(name, id string) string {
		out := first(name, id)
		if taken[out] {
			out = fmt.Sprintf("%s (%s)", out, id)
		}
		for n := 2; taken[out]; n++ {
			out = fmt.Sprintf("%s (%d)", first(name, id), n)
		}
		taken[out] = true
		return out
	}
	c := &s.Config
	for _, r := range d.roles {
		n := unique(r.name, r.id)
		names[r.id] = n
		role := org.Role{Name: text(n), ID: r.id, Owner: r.org, Grants: r.grants, Partial: true}
		if len(r.areas) > 0 {
			role.AdminAreas = r.areas
		}
		for _, g := range r.grants {
			d.connectorOf(c, g)
		}
		c.Roles = append(c.Roles, role)
	}
	taken = map[string]bool{}
	for _, g := range d.groups {
		if g.name == "" {
			g.name = first(g.id, g.scimID)
		}
		name := unique(g.name, first(g.id, g.scimID))
		if name != g.name {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: another group is called %q, too; this one is %q here", g.at, g.name, name))
		}
		g.name = name
		x := org.Group{Name: text(name), ID: first(g.id, g.scimID), Source: g.source, Unread: !g.rolesSeen}
		for _, id := range g.roles {
			x.Roles = append(x.Roles, text(names[id]))
			if r := d.roleBy[id]; r != nil && !r.seen && len(r.grants) == 0 {
				// The role's rows were not given: nothing is known of what it grants.
				x.Unread = true
			}
		}
		if x.Unread {
			x.Roles = nil
			if len(g.roles) > 0 {
				var known []string
				for _, id := range g.roles {
					known = append(known, names[id])
				}
				s.Notes = append(s.Notes, fmt.Sprintf("group %q carries %s, whose rows were not all exported; its roles count as unknown", name, strings.Join(known, ", ")))
			}
		}
		if x.Source != "direct" && x.Source != "scim" {
			x.Source = ""
		}
		c.Groups = append(c.Groups, x)
	}
}

func text(s string) source.Text { return source.Text{Value: s} }

// connectorOf lists the connectors and tools that rows name.
func (d *Draft) connectorOf(c *org.Config, g org.Grant) {
	name := g.Connector.Value
	if name == "" || name == "all" {
		return
	}
	i := slices.IndexFunc(c.Connectors, func(x org.Connector) bool { return x.Name.Value == name })
	if i < 0 {
		i = len(c.Connectors)
		// A row is listed only while its feature is enabled (1.3).
		c.Connectors = append(c.Connectors, org.Connector{Name: text(name), Enabled: true})
	}
	if g.Tool != "" && !slices.ContainsFunc(c.Connectors[i].Tools, func(t org.Tool) bool { return t.Name == g.Tool }) {
		c.Connectors[i].Tools = append(c.Connectors[i].Tools, org.Tool{Name: g.Tool})
	}
}

func (d *Draft) limitsInto(s *Sketch) {
	c := &s.Config.Spend
	for _, l := range d.limits {
		amount := source.Money{}
		if !l.unlimited {
			n, err := strconv.ParseFloat(l.amount, 64)
			if err != nil || n < 0 || n > 1e12 {
				d.problems.Add(l.at, "an amount is a whole number of cents as text, \"2500\" for 25.00", "%q is not an amount", l.amount)
				continue
			}
			amount = source.Money{Micros: int64(n*10_000 + 0.5), Given: true}
		}
		none := func(what string) {
			s.Notes = append(s.Notes, fmt.Sprintf("the %s limit is null, which stands for no cap", what))
		}
		switch l.scope {
		case "user":
			u := d.userBy[l.id]
			if u == nil {
				d.unplaced["limits of users no list holds"]++
				continue
			}
			c.Users = append(c.Users, org.UserLimit{Member: text(u.key()), Limit: amount, Unlimited: l.unlimited})
		case "rbac_group":
			g := d.groupBy[l.id]
			switch {
			case g == nil:
				d.unplaced["limits of groups no list holds"]++
			case l.unlimited:
				none("group " + g.name)
			default:
				c.Groups = append(c.Groups, org.GroupLimit{Group: text(g.name), Limit: amount})
			}
		case "organization":
			if l.unlimited {
				none("organisation's")
			} else {
				c.Organisation = amount
			}
		case "seat_tier":
			if !l.unlimited && !c.SeatDefault.Given {
				c.SeatDefault = amount
			}
		default:
			d.unplaced["limits of scope "+first(l.scope, "(none)")+", which is not modelled"]++
		}
	}
}

func (d *Draft) organisation(s *Sketch) {
	o := &s.Config.Organisation
	o.Name = "My organisation"
	plan := "enterprise"
	custom := slices.ContainsFunc(d.users, func(u *user) bool { return u.role == "custom" })
	sure := len(d.roles) > 0 || d.scim || custom || d.enterprise || d.admin && len(d.groups) > 0
	if !sure && len(s.Config.Groups) == 0 {
		plan = "team"
	}
	o.Plan = text(plan)
	if !sure {
		s.Questions = append(s.Questions, Question{"organisation.plan", "Which plan is it?", "groups, custom roles, limits per group and SCIM are on Enterprise only; nothing in the exports tells", "team or enterprise", plan})
	}
	if d.scim && o.Directory == "" {
		o.Directory = "scim"
	}
	for _, r := range s.people {
		if r.u.seat != "" && !slices.ContainsFunc(o.SeatTiers, func(t org.SeatTier) bool { return t.Name.Value == r.u.seat }) {
			o.SeatTiers = append(o.SeatTiers, org.SeatTier{Name: text(r.u.seat)})
		}
	}
	for _, t := range d.tiers {
		if !slices.ContainsFunc(o.SeatTiers, func(x org.SeatTier) bool { return x.Name.Value == t }) {
			o.SeatTiers = append(o.SeatTiers, org.SeatTier{Name: text(t)})
		}
	}
	o.Seats = max(len(s.people), 1, d.seatsSeen)
	d.reconcile(s)
	if plan == "enterprise" {
		role := "user"
		if s.roleUnknown || len(s.people) == 0 {
			role = "unknown"
		}
		s.Config.Members = []org.MemberRule{{Select: org.Selector{All: true}, Role: role}}
	}
	s.AsOf = d.latest.Format(time.DateOnly)
	if d.latest.IsZero() {
		s.AsOf = "2026-04-09"
	}
}

func ptr(b bool) *bool { return &b }
