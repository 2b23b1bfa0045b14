package rbac

import (
	"fmt"
	"math"
	"slices"
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
