package org

import (
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Provisioning maps groups of the identity provider to organisation roles and seat
// tiers, in the advanced modes of JIT and SCIM (admin surface 1.8). Where roles are
// mapped, the mapping decides and overwrites what was assigned by hand, and who is
// in no mapped group is removed, the Primary Owner alone excepted. Where only seats
// are mapped, roles stay as assigned. In a dated change, seat_priority and
// primary_owner stay as they were unless it states them.
type Provisioning struct {
	Roles []RoleMapping `yaml:"roles"`
	Seats []SeatMapping `yaml:"seats"`
	// SeatPriority is which tier counts for a member of several mapped groups, the
	// winning one first. No page says it: left out, the tier of such a member is not
	// known where it matters.
	SeatPriority []source.Text `yaml:"seat_priority"`
	PrimaryOwner source.Text   `yaml:"primary_owner"` // by email, id or account; left out, an owner in no mapped group may be it
	Because      string        `yaml:"because"`
	At           source.Pos    `yaml:"-"`
}

// RoleMapping gives the members of a group an organisation role.
type RoleMapping struct {
	Group source.Text `yaml:"group,required"`
	Role  string      `yaml:"role,required,enum=user|custom|admin|owner"`
}

// SeatMapping gives the members of a group a seat tier.
type SeatMapping struct {
	Group source.Text `yaml:"group,required"`
	Seat  source.Text `yaml:"seat,required"`
}

// roleRank orders organisation roles: Custom wins over User, and otherwise the
// one that may do more.
var roleRank = []string{"user", "custom", "admin", "owner"}

// Place is a member's organisation role and seat, and where they come from. Its
// zero value is nobody's.
type Place struct {
	Role  string
	Seats []string // none: not stated; several: mapped to each, and nobody says which counts
	// RoleBy and SeatBy are the groups whose mapping decides, "" for an assignment by
	// hand; Assigned is the role that a mapping overwrites, "" when it does not.
	RoleBy, SeatBy, Assigned string
	Removed                  bool // in no group that is mapped to a role
	MaybeRemoved             bool // the same, but may be the Primary Owner, who stays
}

// PlaceIn is a member's role and seat as far as changes have arrived.
func (d *Directory) PlaceIn(member int, v View) Place {
	role, seat := d.roleAt(member, v[BySeat])
	out := Place{Role: role}
	if seat != "" {
		out.Seats = []string{seat}
	}
	p := d.mappingAt(v[d.Config.mappingChannel()])
	if p == nil {
		return out
	}
	in := func(group string) bool {
		for g := range d.Config.Groups {
			if d.Config.Groups[g].Name.Value == group {
				return d.inGroup(g, member, v[d.Config.groupChannel(g)])
			}
		}
		return false
	}
	best := -1
	for _, m := range p.Roles {
		if r := slices.Index(roleRank, m.Role); r > best && in(m.Group.Value) {
			best, out.Role, out.RoleBy = r, m.Role, m.Group.Value
		}
	}
	if owner, ok := d.Find(p.PrimaryOwner.Value); ok && owner == member {
		out.Role, out.RoleBy, best = "owner", "", 0
	}
	switch {
	case len(p.Roles) == 0 || best >= 0:
	case role == "owner" && p.PrimaryOwner.Value == "":
		out.MaybeRemoved = true
	default:
		out.Removed = true
	}
	if out.RoleBy != "" && out.Role != role {
		out.Assigned = role
	}
	var seats []string
	for _, m := range p.Seats {
		if in(m.Group.Value) && !slices.Contains(seats, m.Seat.Value) {
			seats = append(seats, m.Seat.Value)
			out.SeatBy = m.Group.Value
		}
	}
	if len(seats) > 1 {
		for _, t := range p.SeatPriority {
			if slices.Contains(seats, t.Value) {
				seats = []string{t.Value}
				for _, m := range p.Seats {
					if m.Seat.Value == t.Value && in(m.Group.Value) {
						out.SeatBy = m.Group.Value
					}
				}
				break
			}
		}
	}
	if seats != nil {
		out.Seats = seats
	}
	return out
}

// mapping is a mapping in force from a moment on; a nil p maps nothing.
type mapping struct {
	from time.Time
	p    *Provisioning
}

// mappings lists those of the configuration in order of time.
func (c *Config) mappings() []mapping {
	p := c.Organisation.Provisioning
	out := []mapping{{p: p}}
	for _, ch := range c.inOrder() {
		if ch.Provisioning == nil {
			continue
		}
		next := *ch.Provisioning
		if p != nil { // who owns the organisation does not change with a mapping
			if next.PrimaryOwner.Value == "" {
				next.PrimaryOwner = p.PrimaryOwner
			}
			if next.SeatPriority == nil {
				next.SeatPriority = p.SeatPriority
			}
		}
		p = &next
		out = append(out, mapping{ch.When, p})
	}
	for i, m := range out {
		if m.p != nil && m.p.Roles == nil && m.p.Seats == nil {
			out[i].p = nil
		}
	}
	return out
}

// mappingAt is the mapping in force, nil for none.
func (d *Directory) mappingAt(t time.Time) *Provisioning {
	i := len(d.mappings) - 1
	for i > 0 && t.Before(d.mappings[i].from) {
		i--
	}
	if i < 0 {
		return nil
	}
	return d.mappings[i].p
}

// mappingChannel is how a changed mapping reaches members.
func (c *Config) mappingChannel() Channel {
	if c.Organisation.Directory == "jit" {
		return ByLogin
	}
	return ByProvisioning
}

// String says the mapping in words.
func (p *Provisioning) String() string {
	var parts []string
	for _, m := range p.Roles {
		parts = append(parts, "group "+m.Group.Value+" gives the role "+m.Role)
	}
	for _, m := range p.Seats {
		parts = append(parts, "group "+m.Group.Value+" gives the seat "+m.Seat.Value)
	}
	if parts == nil {
		return "groups of the identity provider are mapped to nothing"
	}
	return "mapping: " + strings.Join(parts, ", ")
}
