package rbac

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Procedure 1.4: contract, organisation, membership, seat, role, dependency, the member's own setting.

// verdict gathers reasons of all levels.
type verdict struct {
	deny, unknown, allow []Reason
	granting             []string
}

func (v *verdict) add(to *[]Reason, level, by, format string, args ...any) {
	*to = append(*to, Reason{Level: level, By: by, Text: fmt.Sprintf(format, args...)})
}

func (v *verdict) decision() Decision {
	switch {
	case len(v.deny) > 0:
		return Decision{Outcome: Deny, Reasons: v.deny, Granting: v.granting}
	case len(v.unknown) > 0:
		return Decision{Outcome: Indeterminate, Reasons: v.unknown, Granting: v.granting}
	}
	return Decision{Outcome: Allow, Reasons: v.allow, Granting: v.granting}
}

// membership adds what a mapping of groups does to it.
func (v *verdict) membership(s *state) {
	switch s.membership() {
	case Deny:
		v.deny = append(v.deny, s.removal())
	case Indeterminate:
		v.unknown = append(v.unknown, s.removal())
	}
}

// Capability decides whether a member may use a capability at t by procedure
// 1.4: contract override, organisation toggle, membership, seat, role,
// dependency, the member's own setting. On Team the toggle alone counts (rows 1
// and 2). It never answers Ask or NotGoverned.
func (e *Engine) Capability(member int, cap string, t time.Time) Decision {
	if personal := e.personal(member, cap, t); len(personal) > 0 {
		d := e.decide(e.now(member, t), cap)
		if d.Outcome != Deny {
			d.Reasons = nil
		}
		d.Outcome, d.Reasons = Deny, byLevel(append(personal, d.Reasons...))
		return d
	}
	return e.settle(member, t, func(s *state) Decision { return e.decide(s, cap) })
}

// Allowed is Capability's outcome without its reasons.
func (e *Engine) Allowed(member int, cap string, t time.Time) Outcome {
	k, ok := e.caps[cap]
	if !ok {
		return e.Capability(member, cap, t).Outcome
	}
	return e.outcome(member, k, t.UnixNano())
}

// outcome looks the answer up. It does not allocate.
func (e *Engine) outcome(member, k int, ns int64) Outcome {
	a := e.account(member)
	if a.shut(ns) || e.bars != nil && e.bars[member] != nil && e.bars[member][k] {
		return Deny
	}
	n := len(e.names)
	index, settled := e.stateIndex(member, ns)
	out := e.table[index*n+k]
	if settled && ns >= a.settled && ns < a.leaving {
		return out
	}
	if out != Deny && !a.certain(ns) {
		return InFlight // the account may not be there
	}
	after := out
	if ns >= a.leaving { // and out is a denial: so is what it settles as
		after = Deny
	}
	e.others(member, ns, func(i int, _ uint16) bool {
		if e.table[i*n+k] != after {
			out = InFlight
		}
		return out != InFlight
	})
	return out
}

// lists reports that a member's list names the capability or, for cloud
// sessions, the Cowork they depend on.
func lists(caps []string, cap string) bool {
	return slices.Contains(caps, cap) || cap == Cloud && slices.Contains(caps, Cowork)
}

// personal lists the levels that concern the one member, not their state.
func (e *Engine) personal(member int, cap string, t time.Time) []Reason {
	var v verdict
	m := e.dir.Dates(member)
	a, ns := e.account(member), t.UnixNano()
	if ns < a.open {
		v.add(&v.deny, "membership", "", "not a member before %s", moment(m.Joined))
	}
	if ns >= a.closed {
		if m.Removed.IsZero() {
			v.add(&v.deny, "membership", "", "left on %s", moment(m.Left))
		} else {
			v.add(&v.deny, "membership", "", "left on %s, the account was closed on %s", moment(m.Left), moment(m.Removed))
		}
	}
	if lists(e.inputs.SeatExcludes[member], cap) {
		v.add(&v.deny, "seat", "", "the seat does not include %s, and no role lifts a seat", cap)
	}
	if lists(e.inputs.OptOut[member], cap) {
		v.add(&v.deny, "user", "", "the member switched %s off", cap)
	}
	return v.deny
}

// moment is a day, or a time when it is not midnight.
func moment(t time.Time) string {
	if t = t.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

var levelOrder = []string{"plan", "platform", "org", "membership", "seat", "role", "dependency", "user"}

func byLevel(rs []Reason) []Reason {
	sort.SliceStable(rs, func(i, j int) bool {
		return slices.Index(levelOrder, rs[i].Level) < slices.Index(levelOrder, rs[j].Level)
	})
	return rs
}

// policy is the part of procedure 1.4 that is the same for all members of a state.
func (e *Engine) policy(s *state, cap string) verdict {
	var v verdict
	if area, ok := strings.CutPrefix(cap, adminPrefix); ok {
		e.adminArea(&v, s, area)
		v.membership(s)
		return v
	}
	ep := s.ep
	force := ep.rules.Inputs.Platform[cap]
	on, level, why := ep.toggle(cap)
	switch force {
	case Off:
		v.add(&v.deny, "platform", "contract", "the vendor switched %s off for this organisation", cap)
	case On: // satisfies the toggle only; a role is still needed (inferred)
		on, why = On, "forced on by contract"
	}
	if cap == Cloud {
		ep.cloudExists(&v)
	}
	switch on {
	case Off:
		v.add(&v.deny, level, "organisation toggle", "%s is off for the organisation (%s)", cap, why)
	case Unknown:
		v.add(&v.unknown, level, "organisation toggle", "whether %s is on is not stated (%s)", cap, why)
	default:
		v.add(&v.allow, level, "organisation toggle", "%s is on for the organisation (%s)", cap, why)
	}
	switch o, tier := s.seatFor(cap); o {
	case Deny:
		v.add(&v.deny, "seat", tier, "a seat of the tier %q does not include %s, and no role lifts a seat", tier, cap)
	case Indeterminate:
		v.add(&v.unknown, "seat", tier, "groups of the member are mapped to the tiers %s, of which %q does not include %s; which counts is not stated (organisation.provisioning.seat_priority)", strings.Join(s.place.Seats, " and "), tier, cap)
	}
	v.membership(s)
	e.role(&v, s, cap)
	if cap == Cloud {
		c := e.policy(s, Cowork)
		switch d := c.decision(); d.Outcome {
		case Deny:
			v.add(&v.deny, "dependency", Cowork, "cloud sessions need Cowork: %s", d.Reasons[0].Text)
		case Indeterminate:
			v.add(&v.unknown, "dependency", Cowork, "cloud sessions need Cowork: %s", d.Reasons[0].Text)
		}
	}
	v.deny = byLevel(v.deny)
	return v
}

// toggle is the organisation switch of a capability, the level its denial is
// reported at, and where its value comes from.
func (ep *epoch) toggle(cap string) (Switch, string, string) {
	s := &ep.cfg.Organisation.Settings
	pick := func(b *bool, def Switch, fact string) (Switch, string) {
		if b != nil {
			return switchOf(b), "stated"
		}
		return def, "not stated; default by fact " + fact
	}
	switch cap {
	case Cowork:
		on, why := pick(s.Cowork, ep.rules.CoworkDefault, "cowork-org-default")
		return on, "org", why
	case Cloud: // a separate control below Cowork (row 19)
		if modes := ep.cfg.Organisation.Modes; s.Cloud == nil && len(modes) > 0 {
			if slices.Contains(modes, "cloud") {
				return On, "dependency", "listed execution modes"
			}
			return Off, "dependency", "not among the listed execution modes"
		}
		on, why := pick(s.Cloud, ep.rules.CloudDefault, "cowork-cloud-sessions")
		return on, "dependency", why
	case "claude_in_chrome":
		on, why := pick(s.Browser, On, "none")
		return on, "org", why
	}
	if t, ok := ep.rules.Inputs.Toggles[cap]; ok {
		return t, "org", "stated"
	}
	return On, "org", "no setting of its own"
}

func (ep *epoch) cloudExists(v *verdict) {
	switch {
	case slices.Contains(ep.cfg.Organisation.Arrangements, "hipaa_configuration"):
		v.add(&v.deny, "platform", "hipaa_configuration", "the HIPAA configuration forbids cloud sessions")
	case ep.rules.Cloud == Off:
		v.add(&v.deny, "platform", "", "cloud sessions do not exist on this plan at this date")
	case ep.rules.Cloud == Unknown:
		v.add(&v.unknown, "platform", "", "whether this plan had cloud sessions at this date is not known")
	}
}

// role is step 5 of 1.4.
func (e *Engine) role(v *verdict, s *state, cap string) {
	if !s.ep.enterprise() {
		v.add(&v.allow, "plan", s.ep.cfg.Organisation.Plan.Value, "this plan knows no groups or custom roles: what is on is on for everybody")
		return
	}
	if s.orgRole == notStated {
		var w verdict
		e.role(&w, s.as("custom"), cap)
		if d := w.decision(); d.Outcome == Allow {
			v.allow, v.granting = append(v.allow, w.allow...), w.granting
		} else {
			v.add(&v.unknown, "role", "", "the organisation role of the member is not stated: on User it is allowed, on Custom it is %s, as %s", d.Outcome, d.Reasons[0].Text)
		}
		return
	}
	if s.orgRole != "custom" {
		v.add(&v.allow, "role", s.orgRole, "the organisation role %q inherits what the organisation enables; custom roles do not bind it", s.orgRole)
		return
	}
	var unsure []string
	for _, h := range s.roles {
		if how := s.ep.grants(h.role, cap); how != "" {
			v.granting = append(v.granting, h.role.Name.Value)
			v.add(&v.allow, "role", h.role.Name.Value, "granted by role %q through group %q (%s)", h.role.Name.Value, h.via, how)
		} else if s.ep.unsure(h.role, cap) {
			unsure = append(unsure, h.role.Name.Value)
		}
	}
	switch {
	case len(v.granting) > 0:
	case len(s.unknown) > 0:
		v.add(&v.unknown, "role", strings.Join(s.unknown, ", "), "the roles of group %s could not be read; ask again", strings.Join(s.unknown, ", "))
	case len(unsure) > 0:
		names := strings.Join(unsure, ", ")
		if s.ep.rules.generallyAvailable(cap) == Unknown && slices.ContainsFunc(s.roles, func(h held) bool { return blanketGA(h.role) }) {
			v.add(&v.unknown, "role", names, "role %s grants what is generally available, and whether %s was at this date is not known (fact %s)", names, cap, FactOfGA(cap))
		} else {
			v.add(&v.unknown, "role", names, "role %s holds rows under names that no list here knows, and one of them may be %s", names, cap)
		}
	case cap == Chat && len(s.roles) == 0 && s.ep.rules.CustomWithoutRoleKeepsChat:
		v.add(&v.allow, "role", "", "without any role a member on custom roles keeps chat at this date")
	case len(s.groups) == 0:
		v.add(&v.deny, "role", "", "on custom roles but in no group, so nothing is granted")
	case len(s.roles) == 0:
		v.add(&v.deny, "role", "", "no group of the member carries a role of this organisation")
	case slices.ContainsFunc(s.roles, func(h held) bool { return blanketGA(h.role) }):
		v.add(&v.deny, "role", roleNames(s.roles), "a role of the member grants what is generally available, which %s was not at this date (fact %s), and none grants it by name", cap, FactOfGA(cap))
	default:
		v.add(&v.deny, "role", roleNames(s.roles), "no role of the member grants %s", cap)
	}
}

// unsure reports that a role may grant a capability that it does not certainly
// grant: by a blanket row for what is generally available, when nobody knows
// whether the capability was; or by a row whose name is not known, as the vendor
// does not publish the names (1.3), unless some role spells the capability out.
func (ep *epoch) unsure(r *org.Role, cap string) bool {
	return slices.ContainsFunc(r.Grants, func(g org.Grant) bool {
		return g.Unknown && !ep.named[cap] || g.Capability.Value == accessAllGA && ep.rules.generallyAvailable(cap) == Unknown
	})
}

// blanketGA reports that a role grants whatever is generally available.
func blanketGA(r *org.Role) bool {
	return slices.ContainsFunc(r.Grants, func(g org.Grant) bool { return g.Capability.Value == accessAllGA })
}

func roleNames(hs []held) string {
	names := make([]string, len(hs))
	for i, h := range hs {
		names[i] = h.role.Name.Value
	}
	return strings.Join(names, ", ")
}

// grants tells how a role grants a capability, "" if it does not, or not
// certainly. Blanket rows cover no administrative area (row 16); the GA blanket
// covers what is generally available at the rules' date.
func (ep *epoch) grants(r *org.Role, cap string) string {
	how := ""
	for _, g := range r.Grants {
		switch g.Capability.Value {
		case cap:
			return "named"
		case accessAll:
			if cap != hooksInspection {
				how = "all capabilities"
			}
		case accessAllGA:
			if how == "" && ep.rules.generallyAvailable(cap) == On {
				how = "all generally available capabilities, by fact " + FactOfGA(cap)
			}
		}
	}
	return how
}

// adminArea decides permission_<area>. No organisation toggle stands above it.
func (e *Engine) adminArea(v *verdict, s *state, area string) {
	switch s.orgRole {
	case "owner":
		v.add(&v.allow, "role", "owner", "owners hold every administrative area")
		return
	case "admin":
		v.add(&v.unknown, "role", "admin", "which areas the built-in Admin role opens is not stated")
		return
	case notStated:
		v.add(&v.unknown, "role", "", "the organisation role of the member is not stated")
		return
	}
	unknown := s.ep.rules.AdminAreas == Unknown
	for _, h := range s.roles {
		level := h.role.AdminAreas[area]
		for _, g := range h.role.Grants {
			if g.Capability.Value == adminPrefix+area {
				level = "named"
			}
		}
		if s.orgRole != "custom" || !s.ep.enterprise() || level == "" || level == "none" || s.ep.rules.AdminAreas == Off {
			continue
		}
		if unknown {
			v.add(&v.unknown, "role", h.role.Name.Value, "whether roles open administrative areas at this date is not known")
			continue
		}
		v.granting = append(v.granting, h.role.Name.Value)
		v.add(&v.allow, "role", h.role.Name.Value, "role %q opens the area %s (%s)", h.role.Name.Value, area, level)
	}
	switch {
	case len(v.granting) > 0:
		v.unknown = nil
	case len(v.unknown) > 0:
	case s.orgRole == "custom" && len(s.unknown) > 0:
		v.add(&v.unknown, "role", strings.Join(s.unknown, ", "), "the roles of group %s could not be read; ask again", strings.Join(s.unknown, ", "))
	default:
		v.add(&v.deny, "role", roleNames(s.roles), "no role of the member opens the area %s; blanket rows exclude administrative areas", area)
	}
}
