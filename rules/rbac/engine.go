package rbac

import (
	"encoding/binary"
	"fmt"
	"math"
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

	hooksInspection = "inference_hooks_inspection" // never implied by a blanket row (1.3)
)

// Engine answers for one organisation: under one set of rules, or under the
// rules of each date. The questions are safe for concurrent use; Observe and
// Close are not.
type Engine struct {
	dir    *org.Directory
	names  []string
	caps   map[string]int // capabilities with a precomputed outcome
	epochs []epoch        // configuration and rules in force, in order of time

	// A member is one of a few kinds: organisation role, seat and groups. The kind
	// changes at few moments, its spans. With the epochs they pick a state, whose
	// outcomes are computed once and looked up per event.
	first  []int32 // member -> first span; one more entry ends the last
	spans  []span
	kinds  int
	states []state   // epoch*kinds + kind
	table  []Outcome // (epoch*kinds + kind)*len(names) + capability

	open, closed []int64  // of the account, by member
	bars         [][]bool // member -> capability index -> switched off or not on the seat; nil when nobody is barred
	inputs       Inputs   // those that concern single members

	obs observer
}

// epoch is a stretch of time with one configuration and one set of rules. The
// change that began it is spreading until window at the latest, which is never
// earlier than that of the epoch before.
type epoch struct {
	start, window int64
	cfg           *org.Config
	rules         Rules
	roles         map[string]*org.Role
	conns         map[string]*org.Connector // by normalised name
	named         map[string]bool           // capabilities that some role names
	why           []string                  // the changes that began it, in words
}

type span struct {
	start, window int64
	kind          int32
}

// state is what the policy of an epoch sees of a member.
type state struct {
	ep            *epoch
	orgRole, seat string
	groups        []int
	roles         []held // custom roles in configuration order, without repeats
	unknown       []string
}

type held struct {
	role *org.Role
	via  string // group
}

const forever = math.MaxInt64

// New prepares an engine that judges every moment by the rules given. The
// directory must not change afterwards.
func New(dir *org.Directory, r Rules) *Engine {
	return NewDated(dir, nil, func(string, time.Time) Rules { return r })
}

// NewDated prepares an engine that judges each moment by the rules of its date.
// rules is asked once for the time before everything, which is the zero time,
// and again at every change of the configuration and at every one of dates, with
// the plan in force then. Pass the days on which a fact changes as dates.
func NewDated(dir *org.Directory, dates []time.Time, rules func(plan string, t time.Time) Rules) *Engine {
	e := &Engine{dir: dir, caps: map[string]int{}}
	e.buildEpochs(dates, rules)
	for _, ep := range e.epochs {
		e.nameCapabilities(ep.cfg)
	}
	e.buildSpans()
	e.buildPersons()
	e.buildTable()
	e.obs.reset()
	return e
}

// Capabilities lists those the configuration names at any time, with chat,
// cowork and cowork_cloud first; blanket rows and administrative areas are not
// among them.
func (e *Engine) Capabilities() []string { return slices.Clone(e.names) }

func (e *Engine) nameCapabilities(cfg *org.Config) {
	add := func(c string) {
		if _, known := e.caps[c]; known || c == "" || c == accessAll || c == accessAllGA || strings.HasPrefix(c, adminPrefix) {
			return
		}
		e.caps[c] = len(e.names)
		e.names = append(e.names, c)
	}
	add(Chat)
	add(Cowork)
	add(Cloud)
	for _, r := range cfg.Roles {
		for _, g := range r.Grants {
			if !g.Unknown {
				add(g.Capability.Value)
			}
		}
	}
	for _, c := range sortedKeys(cfg.Organisation.Toggles) {
		add(c)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (e *Engine) buildEpochs(dates []time.Time, rules func(string, time.Time) Rules) {
	base := e.dir.Config
	byTime := map[int64][]*org.Change{}
	var cuts []int64
	for i := range base.Changes {
		if ch := &base.Changes[i]; ch.Policy() {
			ns := ch.When.UnixNano()
			byTime[ns] = append(byTime[ns], ch)
			cuts = append(cuts, ns)
		}
	}
	for _, d := range dates {
		cuts = append(cuts, d.UnixNano())
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)

	e.epochs = []epoch{newEpoch(math.MinInt64, base, rules(base.Organisation.Plan.Value, time.Time{}))}
	for _, ns := range cuts {
		t := time.Unix(0, ns).UTC()
		cfg := base.At(t)
		ep := newEpoch(ns, cfg, rules(cfg.Organisation.Plan.Value, t))
		renamed := map[string]bool{}
		until := ns
		for _, ch := range byTime[ns] {
			ep.why = append(ep.why, ch.String())
			u := ns + int64(ep.rules.PropagationLag)
			if !ch.Until.IsZero() {
				u = ch.Until.UnixNano()
			} else if ch.Group != nil && e.scim(ch.Group.Name.Value) {
				u += int64(cfg.Organisation.SCIMPush) * int64(time.Minute)
			}
			until = max(until, u)
			if ch.Group != nil && ch.Group.Rename != "" {
				renamed[ch.Group.Name.Value] = true
			}
		}
		ep.window = max(until, e.epochs[len(e.epochs)-1].window)
		if len(renamed) > 0 {
			// While a new name travels, the group can be missing for a moment although
			// its id stays. An epoch of no duration that lacks the group stands for
			// that possibility (row 26).
			without := *cfg
			without.Groups = slices.Clone(cfg.Groups)
			for i := range without.Groups {
				if g := &without.Groups[i]; renamed[g.Name.Value] {
					g.Roles, g.Plugins, g.Skills = nil, nil, nil
				}
			}
			gone := newEpoch(ns, &without, ep.rules)
			gone.window = ep.window
			e.epochs = append(e.epochs, gone)
		}
		e.epochs = append(e.epochs, ep)
	}
}

func (e *Engine) scim(group string) bool {
	for i := range e.dir.Config.Groups {
		if g := &e.dir.Config.Groups[i]; g.Name.Value == group {
			return g.Source == "scim"
		}
	}
	return false
}

func newEpoch(start int64, cfg *org.Config, r Rules) epoch {
	ep := epoch{start: start, window: math.MinInt64, cfg: cfg, rules: r,
		roles: map[string]*org.Role{}, conns: map[string]*org.Connector{}, named: map[string]bool{}}
	ep.rules.Inputs.Platform = overlay(r.Inputs.Platform, cfg.Organisation.Contract, func(v string) Switch {
		return map[string]Switch{"force_on": On, "force_off": Off}[v]
	})
	ep.rules.Inputs.Toggles = overlay(r.Inputs.Toggles, cfg.Organisation.Toggles, func(v bool) Switch { return switchOf(&v) })
	unread, foreign := map[string]bool{}, map[string]bool{}
	for _, g := range cfg.Groups {
		if g.Unread {
			unread[g.Name.Value] = true
		}
	}
	for i := range cfg.Roles {
		role := &cfg.Roles[i]
		if !role.Deleted {
			ep.roles[role.Name.Value] = role
		}
		if role.Owner != "" && role.Owner != cfg.Organisation.ID {
			foreign[role.Name.Value] = true
		}
		for _, g := range role.Grants {
			ep.named[g.Capability.Value] = true
		}
	}
	same := func(b bool) bool { return b }
	ep.rules.Inputs.UnknownRoles = overlay(r.Inputs.UnknownRoles, unread, same)
	ep.rules.Inputs.ForeignRoles = overlay(r.Inputs.ForeignRoles, foreign, same)
	for i := range cfg.Connectors {
		ep.conns[ConnectorKey(cfg.Connectors[i].Name.Value)] = &cfg.Connectors[i]
	}
	return ep
}

func overlay[V, W any](base map[string]V, top map[string]W, as func(W) V) map[string]V {
	if len(top) == 0 {
		return base
	}
	out := make(map[string]V, len(base)+len(top))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range top {
		out[k] = as(v)
	}
	return out
}

func (e *Engine) buildSpans() {
	type kind struct {
		orgRole, seat string
		groups        []int
	}
	var kinds []kind
	known := map[string]int32{}
	var key []byte
	at := func(m int, t time.Time) int32 {
		role, seat := e.dir.RoleAt(m, t)
		groups := e.dir.GroupsOf(m, t)
		key = append(append(append(append(key[:0], role...), 0), seat...), 0)
		for _, g := range groups {
			key = binary.AppendUvarint(key, uint64(g))
		}
		id, ok := known[string(key)]
		if !ok {
			id = int32(len(kinds))
			known[string(key)] = id
			kinds = append(kinds, kind{role, seat, groups})
		}
		return id
	}
	bounds := e.dir.Boundaries()
	e.first = make([]int32, len(e.dir.Members)+1)
	for m := range e.dir.Members {
		e.first[m] = int32(len(e.spans))
		e.spans = append(e.spans, span{math.MinInt64, math.MinInt64, at(m, time.Time{})})
		for i, b := range bounds[m] {
			if i+1 < len(bounds[m]) && bounds[m][i+1].When.Equal(b.When) {
				// One span for all that happens at a moment, open until the last arrives.
				next := &bounds[m][i+1]
				next.SCIM = next.SCIM || b.SCIM
				if b.Until.After(next.Until) {
					next.Until = b.Until
				}
				continue
			}
			k := at(m, b.When)
			last := e.spans[len(e.spans)-1]
			if k == last.kind {
				continue
			}
			ns := b.When.UnixNano()
			ep := &e.epochs[e.epoch(ns)]
			until := ns + int64(ep.rules.PropagationLag)
			if b.SCIM {
				until += int64(ep.cfg.Organisation.SCIMPush) * int64(time.Minute)
			}
			if !b.Until.IsZero() {
				until = b.Until.UnixNano()
			}
			e.spans = append(e.spans, span{ns, max(until, last.window), k})
		}
	}
	e.first[len(e.dir.Members)] = int32(len(e.spans))
	e.kinds = len(kinds)
	e.states = make([]state, 0, len(e.epochs)*len(kinds))
	for i := range e.epochs {
		for _, k := range kinds {
			e.states = append(e.states, newState(&e.epochs[i], k.orgRole, k.seat, k.groups))
		}
	}
}

// buildPersons collects what concerns single members: dates, personal settings.
func (e *Engine) buildPersons() {
	cfg := e.dir.Config
	in := e.epochs[0].rules.Inputs
	e.inputs = Inputs{SeatExcludes: in.SeatExcludes, OptOut: map[int][]string{}, Personal: map[int]map[string]Outcome{}}
	for m, caps := range in.OptOut {
		e.inputs.OptOut[m] = slices.Clone(caps)
	}
	for m, own := range in.Personal {
		e.inputs.Personal[m] = map[string]Outcome{}
		for c, o := range own {
			e.inputs.Personal[m][ConnectorKey(c)] = o
		}
	}
	levels := map[string]Outcome{"always": Allow, "ask": Ask, "never": Deny}
	for _, p := range cfg.Personal {
		for _, m := range e.dir.Select(p.Select) {
			if p.Off.Value != "" {
				e.inputs.OptOut[m] = append(e.inputs.OptOut[m], p.Off.Value)
				continue
			}
			if e.inputs.Personal[m] == nil {
				e.inputs.Personal[m] = map[string]Outcome{}
			}
			e.inputs.Personal[m][ConnectorKey(p.Connector.Value)] = levels[p.Level]
		}
	}
	n := len(e.dir.Members)
	e.open, e.closed = make([]int64, n), make([]int64, n)
	if len(e.inputs.OptOut) > 0 || len(e.inputs.SeatExcludes) > 0 {
		e.bars = make([][]bool, n)
	}
	for i := range e.dir.Members {
		m := &e.dir.Members[i]
		e.open[i], e.closed[i] = math.MinInt64, forever
		if !m.Joined.IsZero() {
			e.open[i] = m.Joined.UnixNano()
		}
		if c := m.Closed(); !c.IsZero() {
			e.closed[i] = c.UnixNano()
		}
		off, seat := e.inputs.OptOut[i], e.inputs.SeatExcludes[i]
		if len(off)+len(seat) == 0 {
			continue
		}
		e.bars[i] = make([]bool, len(e.names))
		for k, c := range e.names {
			e.bars[i][k] = lists(off, c) || lists(seat, c)
		}
	}
}

// buildTable computes the outcome of every capability in every state. It is
// policy without words, on bit sets of roles, since there can be many states;
// a test holds the two together.
func (e *Engine) buildTable() {
	n := len(e.names)
	e.table = make([]Outcome, len(e.states)*n)
	for i := range e.epochs {
		ep := &e.epochs[i]
		place := map[*org.Role]int{}
		for j := range ep.cfg.Roles {
			place[&ep.cfg.Roles[j]] = j
		}
		type column struct {
			base   Outcome // without the role
			grants []bool  // by role
			unsure []bool  // role might grant it
			cloud  bool
		}
		cols := make([]column, n)
		for k, c := range e.names {
			col := column{base: ep.base(c), grants: make([]bool, len(ep.cfg.Roles)), unsure: make([]bool, len(ep.cfg.Roles)), cloud: c == Cloud}
			for j := range ep.cfg.Roles {
				col.grants[j] = ep.grants(&ep.cfg.Roles[j], c) != ""
				col.unsure[j] = ep.unsure(&ep.cfg.Roles[j], c)
			}
			cols[k] = col
		}
		for k := range e.kinds {
			s := &e.states[i*e.kinds+k]
			row := e.table[(i*e.kinds+k)*n:][:n]
			excluded := ep.excluded(s.seat)
			for c := range cols {
				o := lowest(cols[c].base, e.roleOutcome(s, e.names[c], cols[c].grants, cols[c].unsure, place))
				if lists(excluded, e.names[c]) {
					o = Deny
				}
				row[c] = o
			}
			row[e.caps[Cloud]] = lowest(row[e.caps[Cloud]], row[e.caps[Cowork]])
		}
	}
}

// lowest combines two levels: a denial wins over a doubt, a doubt over allowed.
func lowest(a, b Outcome) Outcome {
	switch {
	case a == Deny || b == Deny:
		return Deny
	case a == Indeterminate || b == Indeterminate:
		return Indeterminate
	}
	return Allow
}

// base is the outcome of contract, plan and toggle together.
func (ep *epoch) base(cap string) Outcome {
	on, _, _ := ep.toggle(cap)
	switch ep.rules.Inputs.Platform[cap] {
	case Off:
		return Deny
	case On:
		on = On
	}
	out := [...]Outcome{Unknown: Indeterminate, Off: Deny, On: Allow}[on]
	if cap == Cloud {
		var v verdict
		ep.cloudExists(&v)
		out = lowest(out, v.decision().Outcome)
	}
	return out
}

func (e *Engine) roleOutcome(s *state, cap string, grants, unsure []bool, place map[*org.Role]int) Outcome {
	if !s.ep.enterprise() || s.orgRole != "custom" {
		return Allow
	}
	doubt := len(s.unknown) > 0
	for _, h := range s.roles {
		if grants[place[h.role]] {
			return Allow
		}
		doubt = doubt || unsure[place[h.role]]
	}
	switch {
	case doubt:
		return Indeterminate
	case cap == Chat && len(s.roles) == 0 && s.ep.rules.CustomWithoutRoleKeepsChat:
		return Allow
	}
	return Deny
}

func newState(ep *epoch, orgRole, seat string, groups []int) state {
	s := state{ep: ep, orgRole: orgRole, seat: seat, groups: groups}
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

// epoch is the index of the one in force.
func (e *Engine) epoch(ns int64) int {
	i := len(e.epochs) - 1
	for i > 0 && ns < e.epochs[i].start {
		i--
	}
	return i
}

func (e *Engine) span(member int, ns int64) int {
	i, low := int(e.first[member+1])-1, int(e.first[member])
	for i > low && ns < e.spans[i].start {
		i--
	}
	return i
}

// at returns the member's state at t and the others that may still be in force
// while a change spreads, earliest first.
func (e *Engine) at(member int, t time.Time) (now *state, before []*state) {
	ns := t.UnixNano()
	ep, sp := e.epoch(ns), e.span(member, ns)
	now = &e.states[ep*e.kinds+int(e.spans[sp].kind)]
	e.spreading(member, ns, ep, sp, func(i int) bool {
		before = append(before, &e.states[i])
		return true
	})
	slices.Reverse(before)
	return now, before
}

// spreading calls f with the index of every other state that may still be in
// force, until it returns false.
func (e *Engine) spreading(member int, ns int64, ep, sp int, f func(int) bool) {
	if ns >= e.epochs[ep].window && ns >= e.spans[sp].window {
		return
	}
	low := int(e.first[member])
	for i := ep; ; i-- {
		for j := sp; ; j-- {
			if (i != ep || j != sp) && !f(i*e.kinds+int(e.spans[j].kind)) {
				return
			}
			if j == low || ns >= e.spans[j].window {
				break
			}
		}
		if i == 0 || ns >= e.epochs[i].window {
			return
		}
	}
}

func (ep *epoch) enterprise() bool { return ep.cfg.Organisation.Plan.Value == "enterprise" }

// excluded are the capabilities a seat tier does not hold.
func (ep *epoch) excluded(seat string) []string {
	if seat == "" {
		return nil
	}
	for _, t := range ep.cfg.Organisation.SeatTiers {
		if t.Name.Value == seat {
			return t.Excludes
		}
	}
	return nil
}

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
	v := e.policy(now, cap)
	d := v.decision()
	if personal := e.personal(member, cap, t); len(personal) > 0 {
		if d.Outcome != Deny {
			d.Reasons = nil
		}
		d.Outcome, d.Reasons = Deny, byLevel(append(personal, d.Reasons...))
		return d
	}
	for _, b := range before {
		if v := e.policy(b, cap); v.decision().Outcome != d.Outcome {
			return e.inFlight(member, t, d)
		}
	}
	return d
}

// inFlight turns a decision into one that is still spreading.
func (e *Engine) inFlight(member int, t time.Time, d Decision) Decision {
	ns := t.UnixNano()
	ep, sp := &e.epochs[e.epoch(ns)], &e.spans[e.span(member, ns)]
	what, until := "a change of group or organisation role", sp.window
	if ns < ep.window && (ns >= sp.window || ep.start > sp.start) {
		what, until = strings.Join(ep.why, "; "), ep.window
		if what == "" {
			what = "an earlier change"
		}
	}
	d.Reasons = append([]Reason{{Level: "propagation",
		Text: fmt.Sprintf("%s may take until %s to arrive; the answer settles as %s", what, time.Unix(0, until).UTC().Format(time.RFC3339), d.Outcome)}}, d.Reasons...)
	d.Outcome = InFlight
	return d
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
	if ns < e.open[member] || ns >= e.closed[member] || e.bars != nil && e.bars[member] != nil && e.bars[member][k] {
		return Deny
	}
	ep, sp := e.epoch(ns), e.span(member, ns)
	n := len(e.names)
	out := e.table[(ep*e.kinds+int(e.spans[sp].kind))*n+k]
	if ns < e.epochs[ep].window || ns < e.spans[sp].window {
		e.spreading(member, ns, ep, sp, func(i int) bool {
			if e.table[i*n+k] != out {
				out = InFlight
			}
			return out != InFlight
		})
	}
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
	m := &e.dir.Members[member]
	if t.Before(m.Joined) {
		v.add(&v.deny, "membership", "", "not a member before %s", moment(m.Joined))
	}
	if closed := m.Closed(); !closed.IsZero() && !t.Before(closed) {
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
	if lists(ep.excluded(s.seat), cap) {
		v.add(&v.deny, "seat", s.seat, "a seat of the tier %q does not include %s, and no role lifts a seat", s.seat, cap)
	}
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

// ConfigErrors lists what the plan cannot represent (row 3): custom roles, or
// groups that carry roles, outside Enterprise (fact rbac-plan-gate). Decisions
// ignore such entries, so a caller that does not report these errors would show
// an organisation that never existed.
func (e *Engine) ConfigErrors() []string {
	ep := &e.epochs[0]
	if ep.enterprise() {
		return nil
	}
	for _, later := range e.epochs {
		if later.enterprise() {
			return nil // prepared for a dated move
		}
	}
	var out []string
	plan := ep.cfg.Organisation.Plan.Value
	for _, r := range ep.cfg.Roles {
		out = append(out, fmt.Sprintf("custom role %q cannot exist on plan %s", r.Name.Value, plan))
	}
	for _, g := range ep.cfg.Groups {
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
