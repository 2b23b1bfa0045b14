package exports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// SCIM messages in their order, as dated changes.

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
