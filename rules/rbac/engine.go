package rbac

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Capabilities whose rules differ from "toggle, then role".
const (
	Cowork = "cowork"
	Cloud  = "cowork_cloud"
	Chat   = "chat"

	accessAll   = "capability_access_all"
	accessAllGA = "capability_access_all_ga"
	adminPrefix = "permission_" // permission_billing is the area "billing"
)

// Engine answers for one organisation under one set of rules. The questions are
// safe for concurrent use; Observe and Close are not.
type Engine struct {
	dir   *org.Directory
	cfg   *org.Config
	rules Rules
	roles map[string]*org.Role
	conns map[string]*org.Connector // by normalised name
	caps  map[string]int            // capabilities with a precomputed outcome

	// Memberships change at a few dates only. Between two of them a member's
	// organisation role and groups are one of a few states, so that every outcome
	// is computed once per state and looked up per event.
	cuts   []int64 // start of interval i, from 1; interval 0 is before cuts[0]
	of     []int32 // interval*members + member -> state
	states []state

	obs observer
}

// state is what the policy sees of a member: organisation role and groups.
type state struct {
	orgRole string
	groups  []int
	roles   []held // custom roles in configuration order, without repeats
	unknown []string
	outcome []Outcome // by capability index
}

type held struct {
	role *org.Role
	via  string // group
}

// New prepares an engine. The directory must not change afterwards.
func New(dir *org.Directory, r Rules) *Engine {
	e := &Engine{
		dir: dir, cfg: dir.Config, rules: r,
		roles: map[string]*org.Role{}, conns: map[string]*org.Connector{}, caps: map[string]int{},
	}
	for i := range e.cfg.Roles {
		e.roles[e.cfg.Roles[i].Name.Value] = &e.cfg.Roles[i]
	}
	for i := range e.cfg.Connectors {
		e.conns[ConnectorKey(e.cfg.Connectors[i].Name.Value)] = &e.cfg.Connectors[i]
	}
	for _, c := range e.Capabilities() {
		e.caps[c] = len(e.caps)
	}
	e.buildStates()
	e.obs.reset()
	return e
}

// Capabilities lists those the configuration names, with chat, cowork and
// cowork_cloud first; blanket rows and administrative areas are not among them.
func (e *Engine) Capabilities() []string {
	out := []string{Chat, Cowork, Cloud}
	for _, r := range e.cfg.Roles {
		for _, g := range r.Grants {
			c := g.Capability.Value
			if c != "" && c != accessAll && c != accessAllGA && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func (e *Engine) buildStates() {
	seen := map[int64]bool{}
	for _, g := range e.cfg.Groups {
		for _, m := range g.Members {
			for _, d := range []time.Time{m.From.Time, m.To.Time} {
				if !d.IsZero() && !seen[d.UnixNano()] {
					seen[d.UnixNano()] = true
					e.cuts = append(e.cuts, d.UnixNano())
				}
			}
		}
	}
	slices.Sort(e.cuts)
	n := len(e.dir.Members)
	e.of = make([]int32, (len(e.cuts)+1)*n)
	known := map[string]int32{}
	for i := 0; i <= len(e.cuts); i++ {
		// The start of the interval: a member who leaves within it loses the groups
		// then, but is barred from that moment anyway.
		var at time.Time
		if i > 0 {
			at = time.Unix(0, e.cuts[i-1]).UTC()
		}
		for m := range n {
			groups := e.dir.GroupsOf(m, at)
			key := fmt.Sprint(e.dir.Members[m].OrgRole, groups)
			id, ok := known[key]
			if !ok {
				id = int32(len(e.states))
				known[key] = id
				e.states = append(e.states, e.newState(e.dir.Members[m].OrgRole, groups))
			}
			e.of[i*n+m] = id
		}
	}
	for i := range e.states {
		s := &e.states[i]
		s.outcome = make([]Outcome, len(e.caps))
		for c, k := range e.caps {
			s.outcome[k] = e.policy(s, c).Outcome
		}
	}
}

func (e *Engine) newState(orgRole string, groups []int) state {
	s := state{orgRole: orgRole, groups: groups}
	if s.orgRole == "" {
		s.orgRole = "user"
	}
	for _, gi := range groups {
		g := &e.cfg.Groups[gi]
		if e.rules.Inputs.UnknownRoles[g.Name.Value] {
			s.unknown = append(s.unknown, g.Name.Value)
			continue
		}
		for _, rn := range g.Roles {
			// A sibling organisation's role is attached to the shared group but
			// grants only there (row 28).
			r := e.roles[rn.Value]
			if r == nil || e.rules.Inputs.ForeignRoles[rn.Value] ||
				slices.ContainsFunc(s.roles, func(h held) bool { return h.role == r }) {
				continue
			}
			s.roles = append(s.roles, held{r, g.Name.Value})
		}
	}
	return s
}

func (e *Engine) interval(t time.Time) int {
	ns := t.UnixNano()
	i := len(e.cuts)
	for i > 0 && ns < e.cuts[i-1] {
		i--
	}
	return i
}

// at returns the member's state at t and, inside the propagation lag of a
// change, the state before it.
func (e *Engine) at(member int, t time.Time) (now, before *state) {
	i, n := e.interval(t), len(e.dir.Members)
	now = &e.states[e.of[i*n+member]]
	if i > 0 && t.UnixNano()-e.cuts[i-1] < int64(e.rules.PropagationLag) {
		if b := &e.states[e.of[(i-1)*n+member]]; b != now {
			before = b
		}
	}
	return now, before
}

func (e *Engine) enterprise() bool { return e.cfg.Organisation.Plan.Value == "enterprise" }

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

// Capability decides whether a member may use a capability at t by procedure
// 1.4: contract override, organisation toggle, membership, seat, role,
// dependency, the member's own setting. On Team the toggle alone counts (rows 1
// and 2). It never answers Ask or NotGoverned.
func (e *Engine) Capability(member int, cap string, t time.Time) Decision {
	now, before := e.at(member, t)
	d := e.policy(now, cap)
	inFlight := before != nil && e.policy(before, cap).Outcome != d.Outcome
	personal := e.personal(member, cap, t)
	switch {
	case len(personal) > 0:
		if d.Outcome != Deny {
			d.Reasons = nil
		}
		d.Outcome, d.Reasons = Deny, byLevel(append(personal, d.Reasons...))
	case inFlight:
		d.Outcome = InFlight
		d.Reasons = append([]Reason{{Level: "propagation", Text: fmt.Sprintf("a group change up to %s ago may not have arrived yet", e.rules.PropagationLag)}}, d.Reasons...)
	}
	return d
}

// Allowed is Capability's outcome without its reasons.
func (e *Engine) Allowed(member int, cap string, t time.Time) Outcome {
	k, ok := e.caps[cap]
	if !ok {
		return e.Capability(member, cap, t).Outcome
	}
	if e.barred(member, cap, t) {
		return Deny
	}
	now, before := e.at(member, t)
	if before != nil && before.outcome[k] != now.outcome[k] {
		return InFlight
	}
	return now.outcome[k]
}

// barred is personal without words.
func (e *Engine) barred(member int, cap string, t time.Time) bool {
	m := &e.dir.Members[member]
	in := &e.rules.Inputs
	return t.Before(m.Joined) || !m.Left.IsZero() && !t.Before(m.Left) ||
		in.SeatExcludes != nil && lists(in.SeatExcludes[member], cap) ||
		in.OptOut != nil && lists(in.OptOut[member], cap)
}

// lists reports that a member's list names the capability or, for cloud
// sessions, the Cowork they depend on.
func lists(caps []string, cap string) bool {
	return slices.Contains(caps, cap) || cap == Cloud && slices.Contains(caps, Cowork)
}

// personal lists the levels that concern the one member, not their state.
func (e *Engine) personal(member int, cap string, t time.Time) []Reason {
	var v verdict
	m := &e.dir.Members[member]
	if t.Before(m.Joined) {
		v.add(&v.deny, "membership", "", "not a member before %s", m.Joined.UTC().Format(time.DateOnly))
	}
	if !m.Left.IsZero() && !t.Before(m.Left) {
		v.add(&v.deny, "membership", "", "left on %s", m.Left.UTC().Format(time.DateOnly))
	}
	if lists(e.rules.Inputs.SeatExcludes[member], cap) {
		v.add(&v.deny, "seat", "", "the seat does not include %s, and no role lifts a seat", cap)
	}
	if lists(e.rules.Inputs.OptOut[member], cap) {
		v.add(&v.deny, "user", "", "the member switched %s off", cap)
	}
	return v.deny
}

var levelOrder = []string{"plan", "platform", "org", "membership", "seat", "role", "dependency", "user"}

func byLevel(rs []Reason) []Reason {
	sort.SliceStable(rs, func(i, j int) bool {
		return slices.Index(levelOrder, rs[i].Level) < slices.Index(levelOrder, rs[j].Level)
	})
	return rs
}

// policy is the part of procedure 1.4 that is the same for all members of a state.
func (e *Engine) policy(s *state, cap string) Decision {
	var v verdict
	if area, ok := strings.CutPrefix(cap, adminPrefix); ok {
		e.adminArea(&v, s, area)
		return v.decision()
	}
	force := e.rules.Inputs.Platform[cap]
	on, level, why := e.toggle(cap)
	switch force {
	case Off:
		v.add(&v.deny, "platform", "contract", "the vendor switched %s off for this organisation", cap)
	case On: // satisfies the toggle only; a role is still needed (inferred)
		on, why = On, "forced on by contract"
	}
	if cap == Cloud {
		e.cloudExists(&v)
	}
	switch on {
	case Off:
		v.add(&v.deny, level, "organisation toggle", "%s is off for the organisation (%s)", cap, why)
	case Unknown:
		v.add(&v.unknown, level, "organisation toggle", "whether %s is on is not stated (%s)", cap, why)
	default:
		v.add(&v.allow, level, "organisation toggle", "%s is on for the organisation (%s)", cap, why)
	}
	e.role(&v, s, cap)
	if cap == Cloud {
		switch c := e.policy(s, Cowork); c.Outcome {
		case Deny:
			v.add(&v.deny, "dependency", Cowork, "cloud sessions need Cowork: %s", c.Reasons[0].Text)
		case Indeterminate:
			v.add(&v.unknown, "dependency", Cowork, "cloud sessions need Cowork: %s", c.Reasons[0].Text)
		}
	}
	v.deny = byLevel(v.deny)
	return v.decision()
}

// toggle is the organisation switch of a capability, the level its denial is
// reported at, and where its value comes from.
func (e *Engine) toggle(cap string) (Switch, string, string) {
	s := &e.cfg.Organisation.Settings
	pick := func(b *bool, def Switch, fact string) (Switch, string) {
		if b != nil {
			return switchOf(b), "stated"
		}
		return def, "not stated; default by fact " + fact
	}
	switch cap {
	case Cowork:
		on, why := pick(s.Cowork, e.rules.CoworkDefault, "cowork-org-default")
		return on, "org", why
	case Cloud: // a separate control below Cowork (row 19)
		if modes := e.cfg.Organisation.Modes; s.Cloud == nil && len(modes) > 0 {
			if slices.Contains(modes, "cloud") {
				return On, "dependency", "listed execution modes"
			}
			return Off, "dependency", "not among the listed execution modes"
		}
		on, why := pick(s.Cloud, e.rules.CloudDefault, "cowork-cloud-sessions")
		return on, "dependency", why
	case "claude_in_chrome":
		on, why := pick(s.Browser, On, "none")
		return on, "org", why
	}
	if t, ok := e.rules.Inputs.Toggles[cap]; ok {
		return t, "org", "stated"
	}
	return On, "org", "no setting of its own"
}

func (e *Engine) cloudExists(v *verdict) {
	switch {
	case slices.Contains(e.cfg.Organisation.Arrangements, "hipaa_configuration"):
		v.add(&v.deny, "platform", "hipaa_configuration", "the HIPAA configuration forbids cloud sessions")
	case e.rules.Cloud == Off:
		v.add(&v.deny, "platform", "", "cloud sessions do not exist on this plan at this date")
	case e.rules.Cloud == Unknown:
		v.add(&v.unknown, "platform", "", "whether this plan had cloud sessions at this date is not known")
	}
}

// role is step 5 of 1.4.
func (e *Engine) role(v *verdict, s *state, cap string) {
	if !e.enterprise() {
		v.add(&v.allow, "plan", e.cfg.Organisation.Plan.Value, "this plan knows no groups or custom roles: what is on is on for everybody")
		return
	}
	if s.orgRole != "custom" {
		v.add(&v.allow, "role", s.orgRole, "the organisation role %q inherits what the organisation enables; custom roles do not bind it", s.orgRole)
		return
	}
	for _, h := range s.roles {
		if how := e.grants(h.role, cap); how != "" {
			v.granting = append(v.granting, h.role.Name.Value)
			v.add(&v.allow, "role", h.role.Name.Value, "granted by role %q through group %q (%s)", h.role.Name.Value, h.via, how)
		}
	}
	switch {
	case len(v.granting) > 0:
	case len(s.unknown) > 0:
		v.add(&v.unknown, "role", strings.Join(s.unknown, ", "), "the roles of group %s could not be read; ask again", strings.Join(s.unknown, ", "))
	case cap == Chat && len(s.roles) == 0 && e.rules.CustomWithoutRoleKeepsChat:
		v.add(&v.allow, "role", "", "without any role a member on custom roles keeps chat at this date")
	case len(s.groups) == 0:
		v.add(&v.deny, "role", "", "on custom roles but in no group, so nothing is granted")
	case len(s.roles) == 0:
		v.add(&v.deny, "role", "", "no group of the member carries a role of this organisation")
	default:
		v.add(&v.deny, "role", roleNames(s.roles), "no role of the member grants %s", cap)
	}
}

func roleNames(hs []held) string {
	names := make([]string, len(hs))
	for i, h := range hs {
		names[i] = h.role.Name.Value
	}
	return strings.Join(names, ", ")
}

// grants tells how a role grants a capability, "" if it does not. Blanket rows
// cover no administrative area (row 16); the GA blanket covers what is generally
// available at the rules' date, where Cowork and its cloud sessions are the only
// capabilities with a dated status here.
func (e *Engine) grants(r *org.Role, cap string) string {
	how := ""
	for _, g := range r.Grants {
		switch g.Capability.Value {
		case cap:
			return "named"
		case accessAll:
			if cap != "inference_hooks_inspection" { // never implied by a blanket
				how = "all capabilities"
			}
		case accessAllGA:
			ga := cap != "inference_hooks_inspection"
			switch cap {
			case Cowork:
				ga = e.rules.CoworkGA
			case Cloud:
				ga = e.rules.CloudGA
			}
			if ga && how == "" {
				how = "all generally available capabilities"
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
	}
	unknown := e.rules.AdminAreas == Unknown
	for _, h := range s.roles {
		level := h.role.AdminAreas[area]
		for _, g := range h.role.Grants {
			if g.Capability.Value == adminPrefix+area {
				level = "named"
			}
		}
		if s.orgRole != "custom" || !e.enterprise() || level == "" || level == "none" || e.rules.AdminAreas == Off {
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

// ConfigErrors lists what the plan cannot represent (row 3): custom roles, or
// groups that carry roles, outside Enterprise (fact rbac-plan-gate). Decisions
// ignore such entries, so a caller that does not report these errors would show
// an organisation that never existed.
func (e *Engine) ConfigErrors() []string {
	if e.enterprise() {
		return nil
	}
	var out []string
	plan := e.cfg.Organisation.Plan.Value
	for _, r := range e.cfg.Roles {
		out = append(out, fmt.Sprintf("custom role %q cannot exist on plan %s", r.Name.Value, plan))
	}
	for _, g := range e.cfg.Groups {
		if len(g.Roles) > 0 {
			out = append(out, fmt.Sprintf("group %q cannot carry roles on plan %s", g.Name.Value, plan))
		}
	}
	for i := range e.dir.Members {
		if e.dir.Members[i].OrgRole == "custom" {
			out = append(out, fmt.Sprintf("the organisation role custom cannot exist on plan %s", plan))
			break
		}
	}
	return out
}
