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
	cowork int            // that of Cowork among them
	epochs []epoch        // every configuration with its rules that can be met, the first one first
	segs   []segment      // which of them can be met when, in order of time

	// A member is one of a few kinds: organisation role, seat and groups. The kind
	// changes at few moments, its spans. With the epochs they pick a state, whose
	// outcomes are computed once and looked up per event.
	lifeAt []int32 // member -> life; members whose kind never changes share one
	first  []int32 // life -> first span; one more entry ends the last
	spans  []span
	fogs   []fog // of spans; the first is empty
	kinds  int
	states []state   // epoch*kinds + kind
	table  []Outcome // (epoch*kinds + kind)*len(names) + capability

	accounts  []account // those that differ
	accountAt []int32   // by member
	bars      [][]bool  // member -> capability index -> switched off or not on the seat; nil when nobody is barred
	inputs    Inputs    // those that concern single members

	obs observer
}

// epoch is one configuration under one set of rules.
type epoch struct {
	cfg   *org.Config
	rules Rules
	roles map[string]*org.Role
	conns map[string]*org.Connector // by normalised name
	named map[string]bool           // capabilities that some role names
}

// segment is a stretch of time in which the same epochs can be met. now is the
// one in which everything has arrived; began is the last change of configuration.
type segment struct {
	start, began int64
	now          int32
	fog
}

// span is a stretch of time in which a member can be of the same kinds.
type span struct {
	start, began int64 // began is the last change of kind
	kind, fog    int32
}

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
	e.cowork = e.caps[Cowork] // every epoch names it
	e.buildSpans()
	e.buildPersons()
	e.buildTable()
	e.obs.reset()
	return e
}

// Afresh is an engine that answers as this one does and has observed nothing. What
// the two know of the organisation stands once.
func (e *Engine) Afresh() *Engine {
	x := *e
	x.obs.reset()
	return &x
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
	var changes []*org.Change
	cut := map[int64]bool{}
	for i := range base.Changes {
		if ch := &base.Changes[i]; ch.Policy() {
			changes = append(changes, ch)
			cut[ch.When.UnixNano()] = true
		}
	}
	sort.SliceStable(changes, func(i, j int) bool { return changes[i].When.Before(changes[j].When) })
	for _, d := range dates {
		cut[d.UnixNano()] = true
	}
	starts := make([]int64, 0, len(cut))
	for ns := range cut {
		starts = append(starts, ns)
	}
	slices.Sort(starts)

	// First the settled course of things, by which the delay of each change is
	// found; then what else can be met until it has arrived.
	type ruling struct {
		start int64
		rules Rules
	}
	rulings := []ruling{{math.MinInt64, rules(base.Organisation.Plan.Value, time.Time{})}}
	e.epochs = []epoch{newEpoch(base, rulings[0].rules)}
	e.segs = []segment{{start: math.MinInt64, began: math.MinInt64}}
	for _, ns := range starts {
		t := time.Unix(0, ns).UTC()
		cfg := base.At(t)
		rulings = append(rulings, ruling{ns, rules(cfg.Organisation.Plan.Value, t)})
		e.epochs = append(e.epochs, newEpoch(cfg, rulings[len(rulings)-1].rules))
		e.segs = append(e.segs, segment{start: ns, now: int32(len(e.epochs) - 1)})
	}
	var tracks [org.Channels]track
	for _, ch := range changes {
		for _, p := range base.Parts(ch) {
			ns := ch.When.UnixNano()
			until, stated := e.arrival(p.Channel, ns, ch.Until)
			st := tracks[p.Channel].add(ns, until, stated, p.String())
			if p.Group != nil && p.Group.Rename != "" {
				st.renamed = append(st.renamed, p.Group.Name.Value)
			}
		}
	}
	for _, t := range tracks {
		for _, st := range t {
			cut[st.until] = true
		}
	}
	starts = starts[:0]
	for ns := range cut {
		starts = append(starts, ns)
	}
	slices.Sort(starts)

	first := e.epochs[0]
	e.epochs, e.segs = []epoch{first}, []segment{{start: math.MinInt64, began: math.MinInt64}}
	type key struct {
		view    org.View
		ruling  int
		without string
	}
	known := map[key]int32{{}: 0}
	rule := 0
	for _, ns := range starts {
		for rule+1 < len(rulings) && rulings[rule+1].start <= ns {
			rule++
		}
		at := func(v org.View, without []string) int32 {
			k := key{v, rule, strings.Join(without, "\x00")}
			i, ok := known[k]
			if !ok {
				cfg := base.In(v)
				if len(without) > 0 {
					cfg = lacking(cfg, without)
				}
				i = int32(len(e.epochs))
				known[k] = i
				e.epochs = append(e.epochs, newEpoch(cfg, rulings[rule].rules))
			}
			return i
		}
		now, others, masks := combine(&tracks, ns)
		seg := segment{start: ns, now: at(now, nil), began: math.MinInt64}
		seg.pending = under(&tracks, ns)
		for i, v := range others {
			if x := at(v, nil); x != seg.now {
				seg.others = append(seg.others, other{x, masks[i]})
			}
		}
		for ch := range tracks {
			low, high := tracks[ch].reach(ns)
			if high > 0 {
				seg.began = max(seg.began, tracks[ch][high-1].when)
			}
			for _, st := range tracks[ch][low:high] {
				if len(st.renamed) > 0 {
					// While a new name travels, the group can be missing for a moment although
					// its id stays (row 26).
					seg.others = append(seg.others, other{at(now, st.renamed), 1 << ch})
				}
			}
		}
		e.segs = append(e.segs, seg)
	}
}

// lacking is a configuration in which groups carry nothing.
func lacking(cfg *org.Config, groups []string) *org.Config {
	out := *cfg
	out.Groups = slices.Clone(cfg.Groups)
	for i := range out.Groups {
		if g := &out.Groups[i]; slices.Contains(groups, g.Name.Value) {
			g.Roles, g.Plugins, g.Skills = nil, nil, nil
		}
	}
	return &out
}

func newEpoch(cfg *org.Config, r Rules) epoch {
	ep := epoch{cfg: cfg, rules: r,
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
		place  org.Place
		groups []int
	}
	var kinds []kind
	known := map[string]int32{}
	var key []byte
	at := func(m int, v org.View) int32 {
		p, groups := e.dir.PlaceIn(m, v), e.dir.GroupsIn(m, v)
		key = key[:0]
		for _, s := range append([]string{p.Role, p.RoleBy, p.SeatBy, p.Assigned}, p.Seats...) {
			key = append(append(key, s...), 0)
		}
		key = append(key, 1+bit(p.Removed)+2*bit(p.MaybeRemoved))
		for _, g := range groups {
			key = binary.AppendUvarint(key, uint64(g))
		}
		id, ok := known[string(key)]
		if !ok {
			id = int32(len(kinds))
			known[string(key)] = id
			kinds = append(kinds, kind{p, groups})
		}
		return id
	}
	bounds := e.dir.Boundaries()
	e.lifeAt = make([]int32, e.dir.Len())
	settled := map[int32]int32{} // kind -> the life of those who are always of it
	e.fogs = make([]fog, 1)
	var cuts []int64
	for m := range e.dir.Len() {
		k := at(m, org.View{})
		if len(bounds[m]) == 0 {
			life, known := settled[k]
			if !known {
				life = int32(len(e.first))
				settled[k] = life
				e.first = append(e.first, int32(len(e.spans)))
				e.spans = append(e.spans, span{math.MinInt64, math.MinInt64, k, 0})
			}
			e.lifeAt[m] = life
			continue
		}
		e.lifeAt[m] = int32(len(e.first))
		e.first = append(e.first, int32(len(e.spans)))
		e.spans = append(e.spans, span{math.MinInt64, math.MinInt64, k, 0})
		var tracks [org.Channels]track
		cuts = cuts[:0]
		for _, b := range bounds[m] {
			ns := b.When.UnixNano()
			until, stated := e.arrival(b.Channel, ns, b.Until)
			tracks[b.Channel].add(ns, until, stated, b.What)
		}
		for _, t := range tracks {
			for _, st := range t {
				cuts = append(cuts, st.when, st.until)
			}
		}
		slices.Sort(cuts)
		for _, ns := range slices.Compact(cuts) {
			now, others, masks := combine(&tracks, ns)
			last := e.spans[len(e.spans)-1]
			sp := span{start: ns, began: last.began, kind: at(m, now)}
			if sp.kind != last.kind {
				sp.began = ns
			}
			var f fog
			for i, v := range others {
				if k := at(m, v); k != sp.kind {
					f.others = append(f.others, other{k, masks[i]})
				}
			}
			if f.others != nil {
				f.pending = under(&tracks, ns)
				sp.fog = int32(len(e.fogs))
				e.fogs = append(e.fogs, f)
			}
			if last.kind != sp.kind || last.fog != sp.fog {
				e.spans = append(e.spans, sp)
			}
		}
	}
	e.first = append(e.first, int32(len(e.spans)))
	e.kinds = len(kinds)
	e.states = make([]state, 0, len(e.epochs)*len(kinds))
	for i := range e.epochs {
		for _, k := range kinds {
			e.states = append(e.states, newState(&e.epochs[i], k.place, k.groups))
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
	n := e.dir.Len()
	e.accountAt, e.accounts = make([]int32, n), nil
	alike := map[account]int32{} // most members are there all the time
	if len(e.inputs.OptOut) > 0 || len(e.inputs.SeatExcludes) > 0 {
		e.bars = make([][]bool, n)
	}
	for i := range e.dir.Len() {
		m := e.dir.Dates(i)
		a := e.accountOf(&m)
		at, known := alike[a]
		if !known {
			at = int32(len(e.accounts))
			alike[a], e.accounts = at, append(e.accounts, a)
		}
		e.accountAt[i] = at
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
			for c := range cols {
				o := lowest(cols[c].base, e.roleOutcome(s, e.names[c], cols[c].grants, cols[c].unsure, place))
				seat, _ := s.seatFor(e.names[c])
				row[c] = lowest(lowest(o, seat), s.membership())
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
	if !s.ep.enterprise() || s.orgRole != "custom" && s.orgRole != notStated {
		return Allow
	}
	if s.orgRole == notStated {
		if e.roleOutcome(s.as("custom"), cap, grants, unsure, place) == Allow {
			return Allow
		}
		return Indeterminate
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

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
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

// segment is the index of the one in force.
func (e *Engine) segment(ns int64) int {
	i := len(e.segs) - 1
	for i > 0 && ns < e.segs[i].start {
		i--
	}
	return i
}

func (e *Engine) span(member int, ns int64) int {
	life := e.lifeAt[member]
	i, low := int(e.first[life+1])-1, int(e.first[life])
	for i > low && ns < e.spans[i].start {
		i--
	}
	return i
}

// stateIndex is the member's state in which every change has arrived; settled says
// that no other can be met.
func (e *Engine) stateIndex(member int, ns int64) (index int, settled bool) {
	sg, sp := &e.segs[e.segment(ns)], &e.spans[e.span(member, ns)]
	return int(sg.now)*e.kinds + int(sp.kind), sg.others == nil && sp.fog == 0
}

// now is the member's state in which every change has arrived.
func (e *Engine) now(member int, t time.Time) *state {
	i, _ := e.stateIndex(member, t.UnixNano())
	return &e.states[i]
}

// others calls f with every other state that can be met while changes spread, and
// the channels that lag in it, until f returns false.
func (e *Engine) others(member int, ns int64, f func(state int, channels uint16) bool) {
	sg, sp := &e.segs[e.segment(ns)], &e.spans[e.span(member, ns)]
	kinds := e.fogs[sp.fog].others
	for i := -1; i < len(sg.others); i++ {
		ep := other{sg.now, 0}
		if i >= 0 {
			ep = sg.others[i]
		}
		for j := -1; j < len(kinds); j++ {
			k := other{sp.kind, 0}
			if j >= 0 {
				k = kinds[j]
			}
			if (i >= 0 || j >= 0) && !f(int(ep.index)*e.kinds+int(k.index), ep.channels|k.channels) {
				return
			}
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

// configErrors lists what the plan cannot represent (row 3): custom roles, or
// groups that carry roles, outside Enterprise (fact rbac-plan-gate). Decisions
// ignore such entries, so a caller that does not report these errors would show
// an organisation that never existed.
func (e *Engine) configErrors() []string {
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
	for i := range e.dir.Len() {
		if e.dir.OrgRole(i) == "custom" {
			out = append(out, fmt.Sprintf("the organisation role custom cannot exist on plan %s", plan))
			break
		}
	}
	return out
}
