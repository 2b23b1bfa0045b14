package org

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// RosterColumns are the columns a roster may have. One of email, id and account
// has to be given for each member: email as in the identity provider, id as
// user_..., account the UUID of the stream. groups are group names joined by ";",
// each with @ and a moment when it is known since when: pilot@2026-05-04.
// organisation is the id of the member's organisation. joined, left and removed
// are moments as in Change.On.
var RosterColumns = []string{"email", "id", "account", "name", "department", "persona", "time_zone", "manager",
	"role", "seat", "groups", "joined", "left", "removed", "organisation"}

// person is a row of the roster.
type person struct {
	Member
	manager string
	groups  map[string]time.Time // since when, zero for always
	org     string
	at      source.Pos
}

// Rostered is what a roster says of its size, for checks that come before Build.
type Rostered struct {
	Members     int
	Departments map[string]int
	Order       []string // departments in order of appearance
	People      map[string]bool
}

// CheckRoster reads a roster without building anything and reports everything
// wrong with it, with its place: broken CSV, unknown columns, two members with
// one id, a member of another organisation, unknown groups and seats, managers
// nobody knows and circles of managers.
func CheckRoster(c *Config) (Rostered, source.Problems) {
	people, ps := parseRoster(c)
	r := Rostered{Members: len(people), Departments: map[string]int{}, People: map[string]bool{}}
	for i := range people {
		p := &people[i]
		if r.Departments[p.Department]++; r.Departments[p.Department] == 1 {
			r.Order = append(r.Order, p.Department)
		}
		for _, k := range []string{p.Email, p.ID, p.Account} {
			if k != "" {
				r.People[k] = true
			}
		}
	}
	return r, ps
}

func parseRoster(c *Config) ([]person, source.Problems) {
	var ps source.Problems
	t := c.Roster
	rd := csv.NewReader(strings.NewReader(t.Value))
	rd.FieldsPerRecord, rd.LazyQuotes, rd.Comment = -1, true, '#'
	head, err := rd.Read()
	if err != nil {
		ps.Add(t.At, "start with a line of column names, for example email,role,department,groups", "roster: the header cannot be read: %v", err)
		return nil, ps
	}
	cols := make([]string, len(head))
	for i, h := range head {
		cols[i] = strings.ToLower(strings.TrimSpace(h))
		line, col := rd.FieldPos(i)
		switch {
		case !slices.Contains(RosterColumns, cols[i]):
			advice := "known columns: " + strings.Join(RosterColumns, ", ")
			if g := source.Nearest(cols[i], RosterColumns); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(t.Inside(line, col), advice, "roster: unknown column %q", h)
		case slices.Index(cols, cols[i]) < i:
			ps.Add(t.Inside(line, col), "keep one of them", "roster: column %q stands here again", h)
		}
	}
	groups, seats := map[string]bool{}, map[string]bool{}
	for _, g := range c.Groups {
		groups[g.Name.Value] = true
	}
	for _, s := range c.Organisation.SeatTiers {
		seats[s.Name.Value] = true
	}
	var out []person
	byKey := map[string]int{}
	for {
		rec, err := rd.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			at := t.At
			if errors.As(err, &pe) {
				at = t.Inside(pe.Line, max(pe.Column, 1))
			}
			ps.Add(at, "quote a field that holds a comma or a quotation mark", "roster: %v", err)
			break
		}
		line, _ := rd.FieldPos(0)
		p := person{at: t.Inside(line, 1)}
		p.Manager, p.OrgRole = -1, ""
		if len(rec) > len(cols) {
			ps.Add(p.at, "quote a field that holds a comma", "roster: %d fields, the header has %d", len(rec), len(cols))
		}
		for i, v := range rec {
			if v = strings.TrimSpace(v); i >= len(cols) || v == "" {
				continue
			}
			fl, fc := rd.FieldPos(i)
			p.set(cols[i], v, t.Inside(fl, fc), groups, seats, &ps)
		}
		if p.Email == "" && p.ID == "" && p.Account == "" {
			ps.Add(p.at, "give at least one of email, id and account", "roster: a member without any key")
		}
		if !p.Left.IsZero() && p.Left.Before(p.Joined) {
			ps.Add(p.at, "who comes back is another row, under another account", "roster: the member leaves on %s, before joining on %s", p.Left.Format(time.DateOnly), p.Joined.Format(time.DateOnly))
		}
		if p.org != "" && c.Organisation.ID != "" && p.org != c.Organisation.ID {
			ps.Add(p.at, "leave members of sibling organisations out; their roles count only there", "roster: the member belongs to organisation %q, this one is %q", p.org, c.Organisation.ID)
		}
		for _, k := range []string{p.Email, p.ID, p.Account} {
			if k == "" {
				continue
			}
			if i, dup := byKey[k]; dup && i != len(out) { // one member may have the same key twice
				ps.Add(p.at, "keep one of the two", "roster: %q stands here again", k)
			} else {
				byKey[k] = len(out)
			}
		}
		out = append(out, p)
	}
	for i := range out {
		p := &out[i]
		if p.manager == "" {
			continue
		}
		j, ok := byKey[p.manager]
		if !ok {
			j, ok = byKey[strings.ToLower(p.manager)]
		}
		if !ok {
			ps.Add(p.at, "name a manager by email or id of this roster, or leave it empty", "roster: nobody is %q", p.manager)
			continue
		}
		p.Manager = j
	}
	circles(out, &ps)
	return out, ps
}

// circles reports each circle of managers once.
func circles(people []person, ps *source.Problems) {
	done := make([]int, len(people)) // 0 not seen, else the walk it was seen in
	for i := range people {
		j := i
		for ; j >= 0 && done[j] == 0; j = people[j].Manager {
			done[j] = i + 1
		}
		if j < 0 || done[j] != i+1 {
			continue
		}
		var names []string
		for k := j; ; k = people[k].Manager {
			names = append(names, people[k].key())
			if people[k].Manager == j {
				break
			}
		}
		ps.Add(people[j].at, "somebody in it has to have no manager", "roster: a circle of managers: %s", strings.Join(append(names, names[0]), " reports to "))
	}
}

func (p *person) key() string {
	for _, k := range []string{p.Email, p.ID, p.Account} {
		if k != "" {
			return k
		}
	}
	return "a member without key"
}

func (p *person) set(col, v string, at source.Pos, groups, seats map[string]bool, ps *source.Problems) {
	moment := func() time.Time {
		m, err := ParseMoment(v)
		if err != nil {
			ps.Add(at, "write a day, 2026-05-11, or a time with its zone", "roster: %s: %v", col, err)
		}
		return m
	}
	switch col {
	case "email":
		p.Email = strings.ToLower(v)
	case "id":
		p.ID = v
	case "account":
		p.Account = v
	case "name":
		p.Name = v
	case "department":
		p.Department = v
	case "persona":
		p.Persona = v
	case "time_zone":
		if _, err := time.LoadLocation(v); err != nil || v == "Local" {
			ps.Add(at, "write a name such as America/New_York", "roster: %q is not a time zone", v)
			return
		}
		p.TimeZone = v
	case "manager":
		p.manager = v
	case "role":
		r, ok := OrgRole(v)
		if !ok {
			ps.Add(at, "write user, custom, admin or owner", "roster: %q is not an organisation role", v)
		}
		p.OrgRole = r
	case "seat":
		if !seats[v] {
			ps.Add(at, "list it under organisation.seat_tiers", "roster: %q is not a seat tier of the organisation", v)
		}
		p.Seat = v
	case "groups":
		for _, g := range strings.Split(v, ";") {
			if g = strings.TrimSpace(g); g == "" {
				continue
			}
			since := time.Time{}
			if i := strings.LastIndexByte(g, '@'); i > 0 && !groups[g] {
				if t, err := ParseMoment(g[i+1:]); err == nil {
					g, since = g[:i], t
				}
			}
			if !groups[g] {
				ps.Add(at, "list it under groups", "roster: %q is not a group of this scenario", g)
			}
			if p.groups == nil {
				p.groups = map[string]time.Time{}
			}
			p.groups[g] = since
		}
	case "joined":
		p.Joined = moment()
	case "left":
		p.Left = moment()
	case "removed":
		p.Removed = moment()
	case "organisation":
		p.org = v
	}
}

// OrgRole maps the names of an organisation role, those of the interface and
// those of the Admin API, to ours: user, custom, admin or owner.
func OrgRole(s string) (string, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "user", "member":
		return "user", true
	case "custom", "managed", "custom roles":
		return "custom", true
	case "admin", "membership_admin", "membership admin":
		return "admin", true
	case "owner", "primary_owner", "primary owner":
		return "owner", true
	}
	return "", false
}

// fromRoster builds the directory of a roster; the scenario has been checked.
func fromRoster(cfg *Config, seed uint64) (*Directory, error) {
	people, ps := parseRoster(cfg)
	if err := ps.Err(); err != nil {
		return nil, err
	}
	known := map[string]Department{}
	for _, d := range cfg.Organisation.Departments {
		known[d.Name] = d
	}
	desktops := shares(cfg.Organisation.Desktops)
	members, fixed := make([]Member, len(people)), make([]bool, len(people))
	for i := range people {
		m := people[i].Member
		d := known[m.Department]
		m.Persona = first(m.Persona, d.Persona, "general")
		m.TimeZone = first(m.TimeZone, d.TimeZone, "UTC")
		m.Department = first(m.Department, General)
		fixed[i] = m.OrgRole != ""
		m.OrgRole = first(m.OrgRole, "user")
		key := people[i].key()
		if m.Account == "" {
			m.Account = uuid(Stream(seed, "roster account", key))
		}
		if m.ID == "" {
			m.ID = "user_" + base58(Stream(seed, "roster id", key), 22)
		}
		m.Desktop = pick(desktops, Stream(seed, "desktop", key).Float64())
		members[i] = m
	}
	d := NewDirectory(cfg, members)
	d.listed = make([]map[int32]time.Time, len(cfg.Groups))
	for g := range cfg.Groups {
		d.listed[g] = map[int32]time.Time{}
		for i := range people {
			if since, in := people[i].groups[cfg.Groups[g].Name.Value]; in {
				d.listed[g][int32(i)] = since
			}
		}
	}
	d.assign(fixed)
	return d, d.faults.Err()
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}
