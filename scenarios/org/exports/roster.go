package exports

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

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
