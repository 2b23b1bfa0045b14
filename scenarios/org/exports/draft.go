package exports

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Question is something no export says. Answer with Sketch.Answer; a question
// without an answer stays in the draft as a comment.
type Question struct {
	Key   string // where the answer goes in the scenario, e.g. organisation.settings.cowork
	Text  string
	Why   string // why it matters
	Form  string // yes or no, a number, a day, one of a, b; free text when empty
	Guess string // what the draft says meanwhile; "" when it says nothing
}

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

// messages turns dated SCIM messages into dated changes, and lays undated ones
// over the lists.
func (d *Draft) messages(s *Sketch) {
	for _, u := range d.users {
		if u.inactive {
			s.Notes = append(s.Notes, fmt.Sprintf("members inactive in the identity provider, left out of the roster: %d", d.countInactive()))
			break
		}
	}
	in := map[*group]map[string]bool{}
	for _, g := range d.groups {
		in[g] = map[string]bool{}
		for _, m := range g.members {
			in[g][m.key] = true
			if !m.since.IsZero() {
				d.since[g.name+"\x00"+m.key] = m.since
			}
		}
	}
	slices.SortStableFunc(d.patches, func(a, b patch) int { return a.when.Compare(b.when) })
	undated := 0
	for _, p := range d.patches {
		if p.when.IsZero() {
			undated++
		}
		if p.group {
			d.groupMessage(s, p, in)
		} else {
			d.userMessage(s, p, in)
		}
	}
	if undated > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d SCIM messages carry no time; they are laid over the lists as if they had come before everything else", undated))
	}
	slices.SortStableFunc(s.Config.Changes, func(a, b org.Change) int { return a.When.Compare(b.When) })
	d.fold(s, in)
	for _, g := range d.groups { // undated messages may have moved somebody
		g.members = g.members[:0]
		for _, k := range sorted(in[g]) {
			if in[g][k] {
				g.members = append(g.members, member{key: k})
			}
		}
	}
}

func (d *Draft) countInactive() int {
	n := 0
	for _, u := range d.users {
		if u.inactive {
			n++
		}
	}
	return n
}

func (d *Draft) groupMessage(s *Sketch, p patch, in map[*group]map[string]bool) {
	g := d.groupBy[p.target]
	if g == nil {
		d.unplaced["SCIM messages about groups no list holds"]++
		return
	}
	var keys []string
	for _, k := range p.keys {
		u := d.userBy[k]
		if u == nil {
			u = d.userBy[strings.ToLower(k)]
		}
		if u == nil {
			d.unplaced["members in SCIM messages whom no list holds"]++
			continue
		}
		keys = append(keys, u.key())
	}
	// What is true of the group's members now, from the dated messages before.
	has := func(k string) bool { return d.isIn(g, k, in, p.when) }
	// The first message about a member tells what was before it: somebody on the list
	// who is added was not in then, and the list is of later; the same for a removal.
	untold := func(k string) bool { _, told := d.moved[g][k]; return !told && !p.when.IsZero() }
	for _, k := range keys {
		switch {
		case !untold(k):
		case p.op == "add" && in[g][k] && d.since[g.name+"\x00"+k].IsZero():
			in[g][k] = false
			d.undone++
		case p.op == "remove" && !p.all && g.membersSeen && !has(k) && d.since[g.name+"\x00"+k].IsZero():
			in[g][k] = true
			d.undone++
		}
	}
	var add, remove []string
	switch {
	case p.all:
		remove = sorted(d.state(g, in, p.when))
	case p.op == "add":
		add = missing(keys, has)
	case p.op == "remove":
		for _, k := range keys {
			if has(k) {
				remove = append(remove, k)
			}
		}
	case p.op == "replace":
		add = missing(keys, has)
		for _, k := range sorted(d.state(g, in, p.when)) {
			if !slices.Contains(keys, k) {
				remove = append(remove, k)
			}
		}
	case p.op == "rename":
		if !p.when.IsZero() {
			s.change(p.when, org.Change{Group: &org.GroupChange{Name: text(g.name), Rename: p.text}})
		} else {
			s.Notes = append(s.Notes, fmt.Sprintf("group %q was renamed %q; the name of the list is kept, the id is the same", g.name, p.text))
		}
		return
	case p.op == "delete":
		if p.when.IsZero() {
			for k := range in[g] {
				delete(in[g], k)
			}
			return
		}
		s.change(p.when, org.Change{Group: &org.GroupChange{Name: text(g.name), Delete: true}})
		return
	}
	if p.when.IsZero() {
		for _, k := range add {
			in[g][k] = true
		}
		for _, k := range remove {
			delete(in[g], k)
		}
		return
	}
	ch := org.GroupChange{Name: text(g.name)}
	if add != nil {
		ch.Add = &org.Selector{Ids: add}
	}
	if remove != nil {
		ch.Remove = &org.Selector{Ids: remove}
	}
	if add == nil && remove == nil {
		return
	}
	d.remember(g, p.when, add, remove)
	// The product's own list says when an added member had arrived, which measures
	// the lag of provisioning.
	arrived := time.Time{}
	for _, k := range add {
		t := d.since[g.name+"\x00"+k]
		if t.Before(p.when) || t.Sub(p.when) > 7*24*time.Hour {
			arrived = time.Time{}
			break
		}
		if t.After(arrived) {
			arrived = t
		}
	}
	s.change(p.when, org.Change{Group: &ch, Arrives: text(stamp(arrived))})
}

func missing(keys []string, has func(string) bool) (out []string) {
	for _, k := range keys {
		if !has(k) && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// isIn reports whether the lists and the messages so far have a member in a group
// at a moment. A list taken later shows members who were not there yet.
func (d *Draft) isIn(g *group, key string, in map[*group]map[string]bool, when time.Time) bool {
	last, told := d.moved[g][key]
	since := d.since[g.name+"\x00"+key]
	listed := in[g][key] && (when.IsZero() || !since.After(when))
	if told && (since.IsZero() || !since.After(last.at) || !listed) {
		return last.in
	}
	return listed
}

// state is everybody in a group at a moment, see isIn.
func (d *Draft) state(g *group, in map[*group]map[string]bool, when time.Time) map[string]bool {
	now := map[string]bool{}
	for k := range in[g] {
		if d.isIn(g, k, in, when) {
			now[k] = true
		}
	}
	for k := range d.moved[g] {
		if d.isIn(g, k, in, when) {
			now[k] = true
		}
	}
	return now
}

// moved is the last thing a dated message said of a member of a group.
type moved struct {
	at time.Time
	in bool
}

func (d *Draft) remember(g *group, when time.Time, add, remove []string) {
	if d.moved[g] == nil {
		d.moved[g] = map[string]moved{}
	}
	for _, k := range add {
		d.moved[g][k] = moved{when, true}
	}
	for _, k := range remove {
		d.moved[g][k] = moved{when, false}
	}
}

// maxChanges is how many dated changes a draft holds: a file of more is not read.
const maxChanges = 5_000

// fold lays the oldest changes of groups into the roster when there are more than
// a file can hold. An addition keeps its date there; who was taken out before the
// first change that is kept was never in, as far as the draft says.
func (d *Draft) fold(s *Sketch, in map[*group]map[string]bool) {
	n := len(s.Config.Changes) - maxChanges
	if n <= 0 {
		return
	}
	byName := map[string]*group{}
	for _, g := range d.groups {
		byName[g.name] = g
	}
	var kept []org.Change
	for i, ch := range s.Config.Changes {
		g := (*group)(nil)
		if ch.Group != nil {
			g = byName[ch.Group.Name.Value]
		}
		if i >= n || g == nil || ch.Group.Rename != "" || ch.Group.Delete {
			kept = append(kept, ch)
			continue
		}
		if ch.Group.Remove != nil {
			for _, k := range ch.Group.Remove.Ids {
				delete(in[g], k)
			}
		}
		if ch.Group.Add != nil {
			for _, k := range ch.Group.Add.Ids {
				in[g][k] = true
				d.since[g.name+"\x00"+k] = ch.When
			}
		}
	}
	s.Notes = append(s.Notes, fmt.Sprintf("%d of %d dated changes, those before %s, are folded into the roster: a file holds %d; who was taken out before that day is not shown as having been in",
		len(s.Config.Changes)-len(kept), len(s.Config.Changes), stamp(s.Config.Changes[n].When), maxChanges))
	s.Config.Changes = kept
}

func (s *Sketch) change(when time.Time, ch org.Change) {
	ch.On, ch.When = text(when.Format(time.RFC3339)), when
	s.Config.Changes = append(s.Config.Changes, ch)
}

func (d *Draft) userMessage(s *Sketch, p patch, in map[*group]map[string]bool) {
	u := d.userBy[p.target]
	if u == nil {
		d.unplaced["SCIM messages about users no list holds"]++
		return
	}
	switch {
	case p.op == "active" && p.on:
		if u.inactive && u.left.IsZero() {
			u.inactive = false
			if !p.when.IsZero() {
				u.joined = p.when
			}
		} else if !u.left.IsZero() {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: %s comes back after leaving; the draft keeps the first leaving only", p.v.pos(), u.key()))
		}
	case p.op == "active", p.op == "delete":
		if p.when.IsZero() {
			u.inactive = true
		} else if u.left.IsZero() {
			u.left = p.when
			u.inactive = false
		}
	case p.op == "email":
		if p.text == u.email || p.text == u.login {
			return
		}
		// The product removes the old member and makes a new one (1.8).
		next := *u
		next.email, next.login, next.id, next.admin, next.groups = p.text, "", "", false, nil
		next.joined = p.when
		d.users = append(d.users, &next)
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: the address of a member changes; under SCIM the old member is removed and a new one made, and its history is split", p.v.pos()))
		for _, g := range d.groups {
			if d.isIn(g, u.key(), in, p.when) {
				if p.when.IsZero() {
					in[g][next.key()] = true
				} else {
					d.remember(g, p.when, []string{next.key()}, nil)
					s.change(p.when, org.Change{Group: &org.GroupChange{Name: text(g.name), Add: &org.Selector{Ids: []string{next.key()}}}})
				}
			}
		}
		if p.when.IsZero() {
			u.inactive = true
		} else {
			u.left = p.when
		}
		d.userBy[next.email] = &next
		if u.scimID != "" {
			d.userBy[u.scimID] = &next
		}
		return
	default:
		d.Ignored["scim message "+p.op+" of a user"]++
	}
}

func (d *Draft) roster(s *Sketch) {
	groupsOf := map[string][]string{}
	for i, g := range d.groups {
		for _, m := range g.members {
			name := s.Config.Groups[i].Name.Value
			if since := d.since[g.name+"\x00"+m.key]; !since.IsZero() {
				name += "@" + stamp(since)
			}
			groupsOf[m.key] = append(groupsOf[m.key], name)
		}
	}
	byName := map[string]*user{}
	for _, u := range d.users {
		byName[strings.ToLower(u.name)] = u
	}
	bosses := map[*user]*user{}
	for _, u := range d.users {
		if u.manager == "" {
			continue
		}
		for _, b := range []*user{d.userBy[u.manager], d.userBy[strings.ToLower(u.manager)], byName[strings.ToLower(u.manager)]} {
			if b != nil && b != u && bosses[u] == nil {
				bosses[u] = b
			}
		}
		if bosses[u] == nil {
			d.unplaced["managers whom no list holds"]++
		}
	}
	for _, u := range d.users { // break circles where they are found, and say so
		steps := 0
		for b := bosses[u]; b != nil && steps <= len(d.users); b = bosses[b] {
			if b == u {
				d.Warnings = append(d.Warnings, fmt.Sprintf("%s: %s is in a circle of managers; the draft leaves this manager out", u.at, u.key()))
				delete(bosses, u)
				break
			}
			steps++
		}
	}
	without := 0
	for _, u := range d.users {
		if u.inactive {
			continue
		}
		if u.seenOnly && d.usersAll {
			d.unplaced["people in analytics or on the bill whom the list of members does not hold; they may have left"]++
			continue
		}
		if u.key() == "" {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: a member without id and address is left out", u.at))
			continue
		}
		if !u.left.IsZero() && u.left.Before(u.joined) { // a row of the roster has one stay
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: %s is on a list again since %s after leaving on %s; the draft keeps the later stay only", u.at, u.key(), stamp(u.joined), stamp(u.left)))
			u.left = time.Time{}
		}
		r := rosterRow{u: u, role: u.role, left: u.left, joined: u.joined, groups: groupsOf[u.key()]}
		if b := bosses[u]; b != nil && !b.inactive {
			r.boss = b.key()
		}
		if r.role == "" {
			without++
		}
		s.people = append(s.people, r)
	}
	sort.SliceStable(s.people, func(i, j int) bool { return s.people[i].u.key() < s.people[j].u.key() })
	if without > 0 && len(d.users) > 0 {
		s.Questions = append(s.Questions, Question{"members", fmt.Sprintf("Which organisation role do the %d members have whose role no export states?", without),
			"custom roles bind members on Custom only; on User they inherit everything that is on", "user or custom", "unknown"})
		s.roleUnknown = true
	}
	s.writeRoster()
}

// writeRoster renders the roster with the columns that say something.
func (s *Sketch) writeRoster() {
	cols := []struct {
		name string
		of   func(r rosterRow) string
	}{
		{"email", func(r rosterRow) string { return first(r.u.email, r.u.login) }},
		{"id", func(r rosterRow) string { return first(r.u.id, noMail(r.u)) }},
		{"account", func(r rosterRow) string { return r.u.account }},
		{"name", func(r rosterRow) string { return r.u.name }},
		{"department", func(r rosterRow) string { return r.u.department }},
		{"manager", func(r rosterRow) string { return r.boss }},
		{"role", func(r rosterRow) string { return r.role }},
		{"seat", func(r rosterRow) string { return r.u.seat }},
		{"groups", func(r rosterRow) string { return strings.Join(r.groups, ";") }},
		{"joined", func(r rosterRow) string { return stamp(r.joined) }},
		{"left", func(r rosterRow) string { return stamp(r.left) }},
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	var head []string
	keep := cols[:0]
	for _, c := range cols {
		if slices.ContainsFunc(s.people, func(r rosterRow) bool { return c.of(r) != "" }) {
			keep = append(keep, c)
			head = append(head, c.name)
		}
	}
	_ = w.Write(head) // into memory
	for _, r := range s.people {
		rec := make([]string, len(keep))
		for i, c := range keep {
			rec[i] = strings.Map(func(r rune) rune { // a line of the roster is a line of the file
				if r < ' ' {
					return ' '
				}
				return r
			}, c.of(r))
		}
		_ = w.Write(rec)
	}
	w.Flush()
	if len(s.people) > 0 {
		s.Config.Roster = text(b.String())
	}
}

func noMail(u *user) string {
	if u.email == "" && u.login == "" {
		return u.scimID
	}
	return ""
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
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

func (d *Draft) ask(s *Sketch) {
	q := func(key, text, why, form, guess string) {
		s.Questions = append(s.Questions, Question{key, text, why, form, guess})
	}
	o := &s.Config.Organisation
	q("organisation.name", "What is the organisation called?", "it stands on the cover", "", o.Name)
	if d.latest.IsZero() {
		q("as_of", "On which day does the verdict rest?", "facts about the product change from month to month, and no export carries a date", "a day", s.AsOf)
	} else {
		q("as_of", "On which day does the verdict rest?", "the newest date in the exports is taken meanwhile", "a day", s.AsOf)
	}
	seats := fmt.Sprintf("the exports show %d members; seats and members differ", len(s.people))
	if d.seatsSeen > 0 {
		seats += fmt.Sprintf("; analytics count %d assigned seats", d.seatsSeen)
	}
	q("organisation.seats", "How many seats were bought?", seats, "a number", strconv.Itoa(o.Seats))
	q("organisation.kind", "What does the law call the organisation: covered_entity, business_associate, issuer, merchant, service_provider, service_organisation?", "it decides which frameworks apply at all", "words from the list, with commas; none for none", "")
	why := "they switch features and records on and off"
	if len(d.ruledOut) > 0 {
		why += "; the settings in force say no to " + strings.Join(d.ruledOut, " and ")
	}
	q("organisation.arrangements", "Which contract arrangements hold: zdr, cmek, hipaa_ready, hipaa_configuration?", why, "words from the list, with commas; none for none", strings.Join(o.Arrangements, ", "))
	if o.Directory == "" && o.Plan.Value == "enterprise" {
		q("organisation.directory", "How do members come in: invite, jit or scim?", "who leaves is removed by SCIM, at a sign-in that never comes by JIT, and by hand otherwise", "invite, jit or scim", "")
	}
	if o.Directory == "scim" {
		q("organisation.scim_push_minutes", "How often does the identity provider push, in minutes?", "Entra every 40, Okta at once, which is 0; every change of a group waits for it", "a number", strconv.Itoa(o.SCIMPush))
	}
	if o.Provisioning == nil && strings.HasSuffix(d.mode, "_advanced") && d.mapFrom.IsZero() {
		q("organisation.provisioning", "Which group of the identity provider gives which organisation role and seat tier?", fmt.Sprintf("the provisioning mode is %s, where the mapping decides and removes whoever is in no mapped group; no export lists it, a CSV with the columns group, role, seat is read", d.mode), "edit the file", "")
	} else if p := s.mapping(); p != nil && len(p.Roles) > 0 && p.PrimaryOwner.Value == "" && !d.primaryOwner(s) {
		q("organisation.provisioning.primary_owner", "Who is the Primary Owner, by e-mail address?", "the mapping removes everybody in no mapped group but the Primary Owner", "an address", "")
	}
	if o.Settings.Cowork == nil {
		q("organisation.settings.cowork", "Is the organisation's Cowork switch on?", "no export but the Activity Feed shows it; it is on unless somebody turned it off", "yes or no", "")
	}
	open := func(b *bool, key, text, why, form string) {
		if b == nil {
			q(key, text, why, form, "")
		}
	}
	q("organisation.settings.cloud", "May Cowork run in the cloud?", "cloud sessions leave other records than local ones", "yes or no", "")
	q("organisation.settings.browser", "Is Claude in the browser on?", "", "yes or no", "")
	if o.Settings.AlwaysAllow == nil || len(d.settled) > 0 {
		guess := ""
		if b := o.Settings.AlwaysAllow; b != nil {
			guess = map[bool]string{true: "yes", false: "no"}[*b] + ", as the setting connector_tools_default_always_allow is taken for it"
		}
		q("organisation.settings.always_allow_connectors", "May members set connector tools that write to Always allow?", "off, Cowork asks before each of them", "yes or no", guess)
	}
	open(o.Settings.AutoApprove, "organisation.settings.auto_approve", "Is the automatic approval mode on?", "it is on by default", "yes or no")
	open(o.Settings.SSO, "organisation.settings.sso", "Do members sign in by SSO?", "", "yes or no")
	q("organisation.settings.mfa", "Is a second factor required?", "", "yes or no", "")
	q("organisation.settings.connector_allowlist", "Are connectors limited to a list that somebody keeps?", "", "yes or no", "")
	since, whySince := "", "records before that day do not exist; say no if it is off"
	if d.complianceOn && d.compliance != "" || !d.feedFrom.IsZero() {
		seen := d.compliance
		if f := d.feedFrom.Format(time.DateOnly); !d.feedFrom.IsZero() && (seen == "" || f < seen) {
			seen = f
		}
		if since, _ := source.ParseDate(seen); since.Given() {
			o.Settings.ComplianceAPI = since
		}
		since = seen + ", the first day on which the exports show it on"
	}
	q("organisation.settings.compliance_api_since", "Since when is the Compliance API on?", whySince, "a day", since)
	if o.Settings.Skills == nil && len(s.Config.Plugins)+len(s.Config.Skills) > 0 {
		q("organisation.settings.skills", "Are skills on for the organisation?", "plugins need them", "yes or no", "")
	}
	if sp := &s.Config.Spend; !sp.MemberDefault.Given && len(sp.Groups)+len(sp.Users) == 0 && !sp.Organisation.Given {
		q("spend.member_default", "What may a member spend in a month, in dollars?", "no export shows a limit; say none where there is none", "an amount in dollars, or none", "")
	}
	if len(d.figures) > 0 {
		s.adoption = "analytics_api"
	}
	q("adoption.measured", "How is use measured: analytics, analytics_api, survey or none?", "a rollout gate on use needs somebody who looks at it", "analytics, analytics_api, survey or none", s.adoption)
	q("telemetry.endpoint", "Where does the OpenTelemetry stream go?", "without an endpoint nothing can be seen", "an address, or none", "")
	q("telemetry.content", "Which content is captured: userPrompts, assistantResponses, toolDetails, toolContent, rawApiBodies?", "rules need the names of servers and files, which toolDetails carries", "words from the list, with commas; none for metadata only", "")
	q("telemetry.retention_days", "How many days is the stream kept?", "", "a number", "")
	q("workloads", "What data will people put into it: phi, icfr, chd, confidential, personal or none?", "obligations follow the data", "words from the list, with commas", "")
	for _, c := range s.Config.Connectors {
		if strings.HasPrefix(c.Name.Value, "mcpsrv_") {
			q("connectors."+c.Name.Value, fmt.Sprintf("What is connector %s called on the wire, and which of its tools only read?", c.Name.Value), "the export gives ids; streams give names, and a tool that nobody annotated counts as able to write", "edit the file", "")
		}
	}
	for _, t := range o.SeatTiers {
		q("organisation.seat_tiers."+t.Name.Value, fmt.Sprintf("Which capabilities does a seat of the tier %q not hold?", t.Name.Value), "no role lifts a seat", "capabilities, with commas; none for none", "none")
	}
	for _, g := range s.Config.Groups {
		if g.Unread {
			q("groups."+g.Name.Value, fmt.Sprintf("Which roles does group %q carry?", g.Name.Value), "no export says, so nobody in it is known to have or lack anything by it", "role names, with commas; none for none", "unknown")
		}
	}
	unknown := map[string]bool{}
	for _, r := range s.Config.Roles {
		for _, x := range r.Grants {
			if x.Unknown {
				unknown[x.Capability.Value] = true
			}
		}
		if r.Owner == "" && o.Parent != "" {
			q("roles."+r.Name.Value, "Which organisation does it belong to?", "", "edit the file", "")
		}
	}
	for _, name := range sorted(unknown) {
		q("roles."+name, fmt.Sprintf("What does the entitlement %q stand for?", name), "its name is not published; it is kept, and may be Cowork itself", "a capability, such as cowork", "unknown")
	}
	if d.undone > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("members whom the lists show as a SCIM message left them: %d; the lists are of after it, and the state before it is the other way round", d.undone))
	}
	if len(d.events) > 0 {
		q("changes", "Were the lists exported after the last event of the Activity Feed?", "the draft takes them for the state after it, and undoes the events to find the state before "+stamp(d.events[0].when), "edit the file", "yes")
	}
	if d.invites > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("pending invitations, which may hold seats and are not on the roster: %d", d.invites))
	}
}

// Answer puts an answer into the draft and takes the question off the list. An
// empty answer leaves it. The error says what was expected.
func (s *Sketch) Answer(key, answer string) error {
	answer = strings.TrimSpace(answer)
	if answer == "" {
		return nil
	}
	o := &s.Config.Organisation
	flag := func(to **bool) error {
		switch strings.ToLower(answer) {
		case "yes", "y", "true", "on":
			*to = ptr(true)
		case "no", "n", "false", "off":
			*to = ptr(false)
		default:
			return fmt.Errorf("%q is neither yes nor no", answer)
		}
		return nil
	}
	set := func(known ...string) ([]string, error) {
		if strings.EqualFold(answer, "none") {
			return []string{}, nil
		}
		var out []string
		for _, w := range strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
			if !slices.Contains(known, w) {
				advice := strings.Join(known, ", ")
				if g := source.Nearest(w, known); g != "" {
					return nil, fmt.Errorf("%q is not known here; did you mean %q?", w, g)
				}
				return nil, fmt.Errorf("%q is not one of %s", w, advice)
			}
			out = append(out, w)
		}
		return out, nil
	}
	number := func() (int, error) {
		n, err := strconv.Atoi(answer)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is not a number of 0 or more", answer)
		}
		return n, nil
	}
	var err error
	switch key {
	case "organisation.name":
		o.Name = answer
	case "organisation.plan":
		if answer != "team" && answer != "enterprise" {
			return fmt.Errorf("%q is neither team nor enterprise", answer)
		}
		if answer == "team" && len(s.Config.Groups)+len(s.Config.Roles) > 0 {
			return fmt.Errorf("the exports hold groups or roles, which Team does not have; leave those of the identity provider out and draft again")
		}
		o.Plan = text(answer)
		if answer == "enterprise" && s.Config.Members == nil {
			s.Config.Members = []org.MemberRule{{Select: org.Selector{All: true}, Role: "unknown"}}
		}
	case "as_of":
		if _, err = source.ParseDate(answer); err == nil {
			s.AsOf = answer
		}
	case "organisation.seats":
		var n int
		if n, err = number(); err == nil {
			if n < len(s.people) {
				return fmt.Errorf("%d seats for %d members", n, len(s.people))
			}
			o.Seats = n
		}
	case "organisation.kind":
		o.Kind, err = set("covered_entity", "business_associate", "issuer", "merchant", "service_provider", "service_organisation")
	case "organisation.arrangements":
		o.Arrangements, err = set("zdr", "cmek", "hipaa_ready", "hipaa_configuration")
	case "organisation.settings.cowork":
		err = flag(&o.Settings.Cowork)
	case "organisation.directory":
		if answer != "invite" && answer != "jit" && answer != "scim" {
			return fmt.Errorf("%q is neither invite nor jit nor scim", answer)
		}
		o.Directory = answer
	case "organisation.scim_push_minutes":
		o.SCIMPush, err = number()
	case "organisation.provisioning.primary_owner":
		if !slices.ContainsFunc(s.people, func(r rosterRow) bool { return strings.EqualFold(r.u.key(), answer) }) {
			return fmt.Errorf("%q is not on the roster", answer)
		}
		if o.Provisioning == nil { // the mapping is a dated change, which takes it over
			o.Provisioning = &org.Provisioning{}
		}
		o.Provisioning.PrimaryOwner = text(strings.ToLower(answer))
	case "organisation.settings.skills":
		err = flag(&o.Settings.Skills)
	case "spend.member_default":
		if strings.EqualFold(answer, "none") {
			break
		}
		n, bad := strconv.ParseFloat(strings.TrimPrefix(answer, "$"), 64)
		if bad != nil || n < 0 || n > 1e9 {
			return fmt.Errorf("%q is not an amount in dollars", answer)
		}
		s.Config.Spend.MemberDefault = source.Money{Micros: int64(n*100+0.5) * 10_000, Given: true}
	case "adoption.measured":
		if !slices.Contains([]string{"analytics", "analytics_api", "survey", "none"}, answer) {
			return fmt.Errorf("%q is not one of analytics, analytics_api, survey, none", answer)
		}
		s.adoption = answer
	case "organisation.settings.cloud":
		err = flag(&o.Settings.Cloud)
	case "organisation.settings.browser":
		err = flag(&o.Settings.Browser)
	case "organisation.settings.always_allow_connectors":
		err = flag(&o.Settings.AlwaysAllow)
	case "organisation.settings.auto_approve":
		err = flag(&o.Settings.AutoApprove)
	case "organisation.settings.sso":
		err = flag(&o.Settings.SSO)
	case "organisation.settings.mfa":
		err = flag(&o.Settings.MFA)
	case "organisation.settings.connector_allowlist":
		err = flag(&o.Settings.ConnectorAllow)
	case "organisation.settings.compliance_api_since":
		if strings.EqualFold(answer, "no") {
			break
		}
		var day source.Date
		if day, err = source.ParseDate(answer); err == nil {
			o.Settings.ComplianceAPI = day
		}
	case "telemetry.endpoint":
		s.endpoint = answer
	case "telemetry.content":
		var words []string
		if words, err = set("userPrompts", "assistantResponses", "toolDetails", "toolContent", "rawApiBodies"); err == nil {
			s.content = "[" + strings.Join(words, ", ") + "]"
		}
	case "telemetry.retention_days":
		s.retention, err = number()
	case "workloads":
		var words []string
		if words, err = set("phi", "icfr", "chd", "confidential", "personal", "none"); err == nil {
			s.data = "[" + strings.Join(words, ", ") + "]"
		}
	case "members":
		if answer != "user" && answer != "custom" {
			return fmt.Errorf("%q is neither user nor custom", answer)
		}
		s.Config.Members = []org.MemberRule{{Select: org.Selector{All: true}, Role: answer}}
	default:
		done := false
		if done, err = s.answerNamed(key, answer); !done && err == nil {
			return fmt.Errorf("%s is answered by editing the file", key)
		}
	}
	if err != nil {
		return err
	}
	s.Questions = slices.DeleteFunc(s.Questions, func(q Question) bool { return q.Key == key })
	return nil
}

// answerNamed answers what is asked of one seat tier, group or entitlement; done is
// false for another key.
func (s *Sketch) answerNamed(key, answer string) (done bool, err error) {
	var words []string
	if !strings.EqualFold(answer, "none") {
		for _, w := range strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ';' }) {
			words = append(words, strings.TrimSpace(w))
		}
	}
	check := func(w, what string, known []string) error {
		if slices.Contains(known, w) {
			return nil
		}
		if g := source.Nearest(w, known); g != "" {
			return fmt.Errorf("%q is not a %s; did you mean %q?", w, what, g)
		}
		return fmt.Errorf("%q is not a %s; there are: %s", w, what, strings.Join(known, ", "))
	}
	c := &s.Config
	if name, ok := strings.CutPrefix(key, "organisation.seat_tiers."); ok {
		for _, w := range words {
			if err := check(w, "capability", s.capabilities); err != nil {
				return true, err
			}
		}
		for i := range c.Organisation.SeatTiers {
			if c.Organisation.SeatTiers[i].Name.Value == name {
				c.Organisation.SeatTiers[i].Excludes = words
			}
		}
		return true, nil
	}
	if name, ok := strings.CutPrefix(key, "groups."); ok {
		var roles []string
		for _, r := range c.Roles {
			roles = append(roles, r.Name.Value)
		}
		var texts []source.Text
		for _, w := range words {
			if len(roles) == 0 {
				return true, fmt.Errorf("the exports hold no roles; write them into the file, or say none")
			}
			if err := check(w, "role of the exports", roles); err != nil {
				return true, err
			}
			texts = append(texts, text(w))
		}
		for i := range c.Groups {
			if c.Groups[i].Name.Value == name {
				c.Groups[i].Roles, c.Groups[i].Unread = texts, false
			}
		}
		return true, nil
	}
	if name, ok := strings.CutPrefix(key, "roles."); ok {
		if err := check(answer, "capability", s.capabilities); err != nil {
			return true, err
		}
		for i := range c.Roles {
			for j := range c.Roles[i].Grants {
				if g := &c.Roles[i].Grants[j]; g.Unknown && g.Capability.Value == name {
					g.Capability, g.Unknown = text(answer), false
				}
			}
		}
		return true, nil
	}
	return false, nil
}

func ptr(b bool) *bool { return &b }

// YAML is the draft as a scenario file: a head of comments with every open
// question, then what is known.
func (s *Sketch) YAML() []byte {
	var b bytes.Buffer
	comment := func(format string, args ...any) {
		fmt.Fprintf(&b, "# %s\n", strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
	}
	comment("A draft. What no export says is not filled in: settings left out count as unknown.")
	if len(s.Questions) > 0 {
		fmt.Fprintf(&b, "#\n")
		comment("Open questions (%d):", len(s.Questions))
		for i, q := range s.Questions {
			line := fmt.Sprintf("%d. %s: %s", i+1, q.Key, q.Text)
			if q.Why != "" {
				line += " (" + q.Why + ")"
			}
			if q.Guess != "" {
				line += " Meanwhile: " + q.Guess + "."
			}
			comment("%s", line)
		}
	}
	if len(s.Notes) > 0 {
		fmt.Fprintf(&b, "#\n")
		comment("Notes:")
		for _, n := range s.Notes {
			comment("- %s", n)
		}
	}
	b.WriteByte('\n')
	day, err := source.ParseDate(s.AsOf)
	if err != nil {
		day = source.Day(2026, 4, 9)
	}
	type period struct {
		From source.Date `yaml:"from"`
		To   source.Date `yaml:"to"`
	}
	// Scalars of the head one by one: YAML puts blank lines between mappings.
	b.Write(org.YAML("name", s.Name, "title", s.Title, "as_of", day))
	b.Write(org.YAML("period", period{day.Add(1), day.Add(42)}, "seed", uint64(1)))
	b.WriteByte('\n')
	b.Write(s.Config.YAML())
	if s.endpoint != "" && !strings.EqualFold(s.endpoint, "none") || s.content != "" || s.retention > 0 {
		type telemetry struct {
			Endpoint  string `yaml:"endpoint"`
			Retention int    `yaml:"retention_days"`
		}
		tel := telemetry{Retention: s.retention}
		if !strings.EqualFold(s.endpoint, "none") {
			tel.Endpoint = s.endpoint
		}
		text := org.YAML("telemetry", tel)
		if len(text) == 0 {
			text = []byte("telemetry: {}\n")
		}
		if s.content != "" {
			line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "}")
			if !strings.HasSuffix(line, "{") {
				line += ", "
			}
			text = []byte(line + "content: " + s.content + "}\n")
		}
		b.WriteByte('\n')
		b.Write(text)
	}
	if s.adoption != "" {
		fmt.Fprintf(&b, "\nadoption: {measured: %s}\n", s.adoption)
	}
	if s.data != "" {
		fmt.Fprintf(&b, "\nworkloads:\n  - {name: first-use, data: %s, reliance: none}\n", s.data)
	}
	return b.Bytes()
}
