package rbac

import (
	"slices"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// What the policy sees of a member.

// state is what the policy of an epoch sees of a member.
type state struct {
	ep      *epoch
	orgRole string
	place   org.Place // where role and seat come from
	groups  []int
	roles   []held // custom roles in configuration order, without repeats
	unknown []string
}

type held struct {
	role *org.Role
	via  string // group
}

// notStated is the organisation role of a member whose role no export says.
const notStated = "unknown"

// as is the state with another organisation role.
func (s *state) as(role string) *state {
	x := *s
	x.orgRole = role
	return &x
}

// membership is what a mapping of groups leaves of it. Only Enterprise has groups.
func (s *state) membership() Outcome {
	switch {
	case !s.ep.enterprise():
		return Allow
	case s.place.Removed:
		return Deny
	case s.place.MaybeRemoved:
		return Indeterminate
	}
	return Allow
}

// mapped puts what a mapping does to the membership above a decision.
func (s *state) mapped(d Decision) Decision {
	o := s.membership()
	if o == Allow || o == Indeterminate && d.Outcome == Deny {
		return d
	}
	if d.Outcome != o {
		d.Reasons = nil
	}
	d.Outcome, d.Level = o, ""
	d.Reasons = append([]Reason{s.removal()}, d.Reasons...)
	return d
}

// removal is why a mapping ends the membership, or may.
func (s *state) removal() Reason {
	if s.place.Removed {
		return Reason{Level: "membership", By: "mapping", Text: "removed: in no group that is mapped to a role (fact provisioning-mapping-removal)"}
	}
	return Reason{Level: "membership", By: "mapping", Text: "an owner in no mapped group stays only as the Primary Owner, and who that is is not stated (organisation.provisioning.primary_owner)"}
}

// seatFor is what the seat says of a capability, and the tier that says it.
func (s *state) seatFor(cap string) (Outcome, string) {
	without, tier := 0, ""
	for _, seat := range s.place.Seats {
		if lists(s.ep.excluded(seat), cap) {
			without++
			tier = seat
		}
	}
	switch {
	case without == 0:
		return Allow, ""
	case without == len(s.place.Seats):
		return Deny, tier
	}
	return Indeterminate, tier
}

func newState(ep *epoch, p org.Place, groups []int) state {
	s := state{ep: ep, orgRole: p.Role, place: p, groups: groups}
	if s.orgRole == "" {
		s.orgRole = "user"
	}
	for _, gi := range groups {
		g := &ep.cfg.Groups[gi]
		if ep.rules.Inputs.UnknownRoles[g.Name.Value] {
			s.unknown = append(s.unknown, g.Name.Value)
			continue
		}
		for _, rn := range g.Roles {
			// A sibling organisation's role is attached to the shared group but
			// grants only there (row 28).
			r := ep.roles[rn.Value]
			if r == nil || ep.rules.Inputs.ForeignRoles[rn.Value] ||
				slices.ContainsFunc(s.roles, func(h held) bool { return h.role == r }) {
				continue
			}
			s.roles = append(s.roles, held{r, g.Name.Value})
		}
	}
	return s
}
