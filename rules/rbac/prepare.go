package rbac

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// What an engine works out once: which configuration can be met when, which kinds of members there are, and what each may do.

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

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
