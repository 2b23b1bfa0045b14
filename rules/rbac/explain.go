package rbac

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Question is what a member is asked about. Kind is capability, connector,
// plugin, skill, model or server; Tool belongs to a connector and may be empty.
type Question struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Tool string `json:"tool,omitempty"`
}

// String is the question as it is written on a command line.
func (q Question) String() string {
	switch q.Kind {
	case "connector":
		if q.Tool == "" {
			return q.Name
		}
		return q.Name + "/" + q.Tool
	case "capability":
		return q.Name
	}
	return q.Kind + ":" + q.Name
}

// KnownCapabilities are those the vendor's role editor offers (1.3), by the ids
// used here. The entitlement names themselves are not published.
var KnownCapabilities = []string{
	Chat, "code_execution", "memory", "web_search", "public_projects", "skill_create", "skill_share", "skill_share_org",
	"claude_in_chrome", "claude_code", "fast_mode", "claude_code_workflows", "claude_security", "claude_code_artifacts",
	"claude_design", Cowork, Cloud,
}

// Ask reads a question: a capability (cowork), CONNECTOR or CONNECTOR/TOOL,
// plugin:NAME, skill:NAME, model:NAME, or server:NAME for a server of the
// member's own. The error says what there is.
func (e *Engine) Ask(text string) (Question, error) {
	cfg := e.dir.Config
	kind, name, ok := strings.Cut(text, ":")
	if ok {
		var known []string
		switch kind {
		case "plugin":
			for _, p := range cfg.Plugins {
				known = append(known, p.Name.Value)
			}
		case "skill":
			for _, p := range cfg.Skills {
				known = append(known, p.Name.Value)
			}
		case "model", "server":
			return Question{Kind: kind, Name: name}, nil
		default:
			return Question{}, fmt.Errorf("%q is no kind of question; write a capability, CONNECTOR/TOOL, plugin:NAME, skill:NAME, model:NAME or server:NAME", kind)
		}
		if !slices.Contains(known, name) {
			return Question{}, unknownName(name, kind, known)
		}
		return Question{Kind: kind, Name: name}, nil
	}
	name, tool, isTool := strings.Cut(text, "/")
	var conns []string
	for _, c := range cfg.Connectors {
		if ConnectorKey(c.Name.Value) == ConnectorKey(name) {
			if tool == "" {
				return Question{Kind: "connector", Name: c.Name.Value}, nil
			}
			var tools []string
			for _, t := range c.Tools {
				tools = append(tools, t.Name)
			}
			if len(tools) > 0 && !slices.Contains(tools, tool) {
				return Question{}, unknownName(tool, "tool of "+c.Name.Value, tools)
			}
			return Question{Kind: "connector", Name: c.Name.Value, Tool: tool}, nil
		}
		conns = append(conns, c.Name.Value)
	}
	if isTool {
		return Question{}, unknownName(name, "connector", conns)
	}
	if _, ok := e.caps[text]; ok || slices.Contains(KnownCapabilities, text) || strings.HasPrefix(text, adminPrefix) {
		return Question{Kind: "capability", Name: text}, nil
	}
	return Question{}, unknownName(text, "capability or connector", append(append([]string{}, KnownCapabilities...), conns...))
}

func unknownName(name, kind string, known []string) error {
	if g := source.Nearest(name, known); g != "" {
		return fmt.Errorf("%q is not a %s of this organisation; did you mean %q?", name, kind, g)
	}
	if len(known) == 0 {
		return fmt.Errorf("this organisation lists no %s", kind)
	}
	return fmt.Errorf("%q is not a %s of this organisation; there are: %s", name, kind, strings.Join(known, ", "))
}

// Step is one level of a decision. Effect is allows, lowers to asking, denies,
// not known, spreading, or "" when the level has nothing to say. Exactly one step
// Decides, unless nothing was asked of any level.
type Step struct {
	Level   string `json:"level"`
	Effect  string `json:"effect,omitempty"`
	Text    string `json:"text"`
	Decides bool   `json:"decides,omitempty"`
}

// Explanation is a decision with every level in order, for people.
type Explanation struct {
	Question Question  `json:"question"`
	Time     time.Time `json:"time"`
	Outcome  Outcome   `json:"outcome"`
	Level    string    `json:"level,omitempty"`
	Steps    []Step    `json:"steps"`
	Glossary string    `json:"glossary"`
	Flight   *Flight   `json:"flight,omitempty"` // what an answer in flight turns on
	// Notes are what stands beside the decision and may still stop the member.
	Notes []string `json:"notes,omitempty"`
}

// Standing is what the policy sees of a member at a moment.
type Standing struct {
	OrgRole string `json:"organisation_role"`
	Seat    string `json:"seat,omitempty"` // several joined by "or" when nobody says which counts
	// RoleBy and SeatBy are the groups whose mapping gives role and seat, Assigned the
	// role by hand that the mapping replaces; Removed, that no mapped group is left.
	RoleBy   string   `json:"role_by_group,omitempty"`
	SeatBy   string   `json:"seat_by_group,omitempty"`
	Assigned string   `json:"role_by_hand,omitempty"`
	Removed  bool     `json:"removed_by_mapping,omitempty"`
	Groups   []string `json:"groups"`
	Roles    []string `json:"roles"`
	Unread   []string `json:"groups_with_unknown_roles,omitempty"`
	// Since is when the last change that concerns the member began, zero when none
	// did, and By the changes of that moment in words.
	Since time.Time `json:"since,omitzero"`
	By    []string  `json:"by,omitempty"`
	// Settled is when the changes now spreading have arrived, zero when none is.
	Settled time.Time `json:"settled,omitzero"`
}

// Standing returns a member's organisation role, groups and roles at t.
func (e *Engine) Standing(member int, t time.Time) Standing {
	out := e.standing(member, t)
	if !out.Since.IsZero() {
		out.By = e.begun(member, out.Since)
	}
	return out
}

// standing is Standing without the words of By, which look through every change.
func (e *Engine) standing(member int, t time.Time) Standing {
	ns := t.UnixNano()
	s, sg, sp := e.now(member, t), &e.segs[e.segment(ns)], &e.spans[e.span(member, ns)]
	out := Standing{OrgRole: s.orgRole, Seat: strings.Join(s.place.Seats, " or "), RoleBy: s.place.RoleBy, Assigned: s.place.Assigned, SeatBy: s.place.SeatBy, Removed: s.place.Removed, Groups: []string{}, Roles: []string{}, Unread: s.unknown}
	for _, g := range s.groups {
		out.Groups = append(out.Groups, s.ep.cfg.Groups[g].Name.Value)
	}
	for _, h := range s.roles {
		out.Roles = append(out.Roles, h.role.Name.Value)
	}
	for _, p := range e.onTheirWay(member, ns) {
		if u := time.Unix(0, p.until).UTC(); u.After(out.Settled) {
			out.Settled = u
		}
	}
	if since := max(sg.began, sp.began); since != math.MinInt64 {
		out.Since = time.Unix(0, since).UTC()
	}
	return out
}

// begun are the dated changes and memberships of a moment that concern a member.
func (e *Engine) begun(member int, at time.Time) (out []string) {
	cfg := e.dir.Config
	for i := range cfg.Changes {
		ch := &cfg.Changes[i]
		if !ch.When.Equal(at) {
			continue
		}
		concerns := ch.Policy() || ch.Provisioning != nil
		var sels []*org.Selector
		if ch.Members != nil {
			sels = append(sels, &ch.Members.Select)
		}
		if ch.Group != nil {
			sels = append(sels, ch.Group.Add, ch.Group.Remove)
		}
		for _, sel := range sels {
			concerns = concerns || sel != nil && slices.Contains(e.dir.Select(*sel), member)
		}
		if concerns {
			out = append(out, ch.String())
		}
	}
	for _, g := range cfg.Groups {
		for _, ms := range g.Members {
			if !slices.Contains(e.dir.Select(ms.Select), member) {
				continue
			}
			if ms.From.Time.Equal(at) {
				out = append(out, "membership of group "+g.Name.Value+" begins")
			}
			if ms.To.Time.Equal(at) {
				out = append(out, "membership of group "+g.Name.Value+" ends")
			}
		}
	}
	return out
}

// Glossary explains an outcome in one line.
func Glossary(o Outcome, level string) string {
	switch o {
	case Allow:
		if level != "" {
			return "allow: the member can have it. Availability is a convenience, not a security boundary."
		}
		return "allow: it runs without a further question by the organisation's policy."
	case Ask:
		return "ask: it runs only after the member approves the call."
	case Deny:
		return "deny: it does not run. Every level that denies is listed; repairing one leaves the others."
	case NotGoverned:
		return "not governed: no setting of the organisation reaches it, so nothing here can stop it."
	case InFlight:
		return "in flight: a change is still spreading, and until it has arrived either answer can be met. The levels below are those of the answer it settles as."
	}
	return "indeterminate: what would decide is not known. Read it as neither allowed nor denied."
}

var levelNames = map[string]string{
	"plan": "the plan", "platform": "the vendor (contract or date)", "org": "the organisation's switch", "membership": "membership",
	"seat": "the seat", "role": "the roles", "dependency": "what it depends on", "user": "the member's own setting",
	"org-tool": "the organisation's tool policy", "cowork-write": "Cowork's gate on tools that write",
	"propagation": "the change on its way", "before": "until it has arrived", "after": "once it has arrived", "scope": "where the server runs", "group": "the groups",
}

// LevelName is a level of a decision in words.
func LevelName(level string) string {
	if n := levelNames[level]; n != "" {
		return n
	}
	return level
}

// Explain answers a question with the whole chain of levels.
func (e *Engine) Explain(member int, q Question, t time.Time) Explanation {
	x := Explanation{Question: q, Time: t.UTC()}
	now := e.now(member, t)
	var d Decision
	switch q.Kind {
	case "capability":
		d = e.Capability(member, q.Name, t)
		x.Steps = e.capabilitySteps(now, member, q.Name, t)
	case "connector", "server":
		c := Call{Connector: q.Name, Tool: q.Tool, Write: q.Tool != ""}
		if q.Kind == "server" {
			c.Scope = "user"
		}
		d = e.ConnectorCall(member, c, t)
		x.Steps = e.callSteps(now, member, c, t)
		if d.Outcome != Deny {
			if o := e.Allowed(member, Cowork, t); o != Allow {
				x.Notes = append(x.Notes, fmt.Sprintf("This is about the connector alone: Cowork itself is %s for the member at that time.", o))
			}
		}
	case "plugin":
		d = e.Plugin(member, q.Name, t)
		x.Steps = e.levelSteps(now, member, d, t)
	case "skill":
		d = e.Skill(member, q.Name, t)
		x.Steps = e.levelSteps(now, member, d, t)
	case "model":
		d = e.Model(member, q.Name, "", t)
		x.Steps = e.levelSteps(now, member, d, t)
	}
	x.Outcome, x.Level, x.Glossary = d.Outcome, d.Level, Glossary(d.Outcome, d.Level)
	if f := d.Flight; f != nil {
		x.Flight = f
		var way []Step
		for _, c := range f.Changes {
			way = append(way, Step{Level: "propagation", Effect: "spreading", Text: c.String()})
		}
		for _, b := range f.Before {
			way = append(way, Step{Level: "before", Effect: strings.ReplaceAll(b.Outcome, "_", " "), Text: b.Reason})
		}
		way = append(way, Step{Level: "after", Effect: strings.ReplaceAll(f.After.Outcome, "_", " "), Text: f.After.Reason})
		x.Steps = append(way, x.Steps...)
	}
	x.decide()
	if m := e.dir.Dates(member); !m.Left.IsZero() && !t.Before(m.Left) && t.Before(m.Closed()) && !m.Removed.IsZero() {
		x.Notes = append(x.Notes, fmt.Sprintf("The member left on %s. The account stays open until %s, so the policy still answers; any use is a finding.", moment(m.Left), moment(m.Closed())))
	}
	return x
}

// decide marks the step that decided: the outermost one that denies, is not
// known or spreads; for asking the first that asks; for allowing the last level
// that allows, which is the narrowest.
func (x *Explanation) decide() {
	want := map[Outcome]string{Deny: "denies", Indeterminate: "not known", InFlight: "spreading", Ask: "asks", Allow: "allows", NotGoverned: "does not reach it"}[x.Outcome]
	at := -1
	for i, s := range x.Steps {
		if s.Effect == want && (at < 0 || x.Outcome == Allow) {
			at = i
		}
	}
	if at >= 0 {
		x.Steps[at].Decides = true
	}
}

var effects = map[Outcome]string{Deny: "denies", Indeterminate: "not known", Ask: "asks", Allow: "allows", NotGoverned: "does not reach it"}

// capabilitySteps are the levels of 1.4 with what each says.
func (e *Engine) capabilitySteps(s *state, member int, cap string, t time.Time) []Step {
	v := e.policy(s, cap)
	v.deny = append(v.deny, e.personal(member, cap, t)...)
	order := []string{"plan", "platform", "org", "membership", "seat", "role", "dependency", "user"}
	quiet := map[string]string{
		"platform":   "no override by the vendor is stated",
		"membership": "a member at that time",
		"user":       "no setting of the member's own is stated",
	}
	if e.Leaving(member, t) {
		v.add(&v.deny, "membership", "", "left on %s; until the removal has arrived the account can be there", moment(e.dir.Left(member)))
	}
	if s.ep.enterprise() {
		quiet["plan"] = "Enterprise: groups and custom roles count"
		quiet["seat"] = "no tier of the organisation excludes it"
		if seats := s.place.Seats; len(seats) == 1 {
			quiet["seat"] = fmt.Sprintf("a seat of the tier %q holds it", seats[0])
		} else if len(seats) > 1 {
			quiet["seat"] = fmt.Sprintf("every tier the member is mapped to holds it (%s)", strings.Join(seats, ", "))
		}
	}
	if strings.HasPrefix(cap, adminPrefix) {
		quiet["org"] = "no organisation switch stands above an administrative area"
	}
	var out []Step
	for _, level := range order {
		n := len(out)
		for _, part := range []struct {
			rs     []Reason
			effect string
		}{{v.deny, "denies"}, {v.unknown, "not known"}, {v.allow, "allows"}} {
			for _, r := range part.rs {
				if r.Level == level {
					out = append(out, Step{Level: level, Effect: part.effect, Text: r.Text})
				}
			}
		}
		if len(out) == n && quiet[level] != "" {
			out = append(out, Step{Level: level, Text: quiet[level]})
		}
	}
	return out
}

// callSteps are the levels of 1.5 with what each says.
func (e *Engine) callSteps(s *state, member int, c Call, t time.Time) []Step {
	conn := s.ep.conns[ConnectorKey(c.Connector)]
	if conn == nil {
		if d := e.call(s, member, c); d.Outcome == NotGoverned {
			return []Step{{Level: "scope", Effect: effects[NotGoverned], Text: d.Reasons[0].Text}}
		}
	}
	limits, _, _ := e.connectorSteps(s, conn, c)
	var out []Step
	for _, r := range e.personal(member, "", t) {
		out = append(out, Step{Level: r.Level, Effect: "denies", Text: r.Text})
	}
	for _, l := range limits {
		st := Step{Level: l.r.Level, Effect: effects[l.o], Text: l.r.Text}
		out = append(out, st)
	}
	if p, ok := e.inputs.Personal[member][ConnectorKey(c.Connector)]; ok {
		out = append(out, Step{Level: "user", Effect: effects[p], Text: "the member's own setting is " + personalWord(p)})
	} else {
		out = append(out, Step{Level: "user", Text: "no setting of the member's own is stated"})
	}
	return out
}

// levelSteps show a decision whose reasons are its levels already.
func (e *Engine) levelSteps(s *state, member int, d Decision, t time.Time) []Step {
	var out []Step
	effect := effects[d.Outcome]
	reasons := d.Reasons
	if d.Outcome == InFlight {
		reasons = d.Reasons[1:]
		effect = ""
	}
	for _, r := range reasons {
		out = append(out, Step{Level: r.Level, Effect: effect, Text: r.Text})
	}
	return out
}

// PickMember finds the member a person means: an id, e-mail address or account,
// or a place such as claims#1, the first of department Claims in the order of the
// directory, or all#12 for the twelfth of all. Departments are compared without case
// and with dashes for blanks.
func PickMember(d *org.Directory, text string) (int, error) {
	if m, ok := d.Lookup(text); ok {
		return m.Index, nil
	}
	if m, ok := d.Lookup(strings.ToLower(text)); ok {
		return m.Index, nil
	}
	dep, place, ok := strings.Cut(text, "#")
	if !ok {
		return 0, fmt.Errorf("nobody in this organisation has the id, e-mail address or account %q; a place such as %s names a member without one", text, example(d))
	}
	n := 0
	if _, err := fmt.Sscanf(place, "%d", &n); err != nil || n < 1 || fmt.Sprint(n) != place {
		return 0, fmt.Errorf("%q: behind # a place from 1 is expected", text)
	}
	count, have, names := 0, 0, []string{}
	for i := range d.Len() {
		name := departmentKey(d.Department(i))
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if dep == "all" || name == departmentKey(dep) {
			have++
			if count++; count == n {
				return i, nil
			}
		}
	}
	if have == 0 {
		if g := source.Nearest(departmentKey(dep), names); g != "" {
			return 0, fmt.Errorf("%q is not a department; did you mean %s#%d?", dep, g, n)
		}
		return 0, fmt.Errorf("%q is not a department; there are: %s", dep, strings.Join(names, ", "))
	}
	return 0, fmt.Errorf("%q: there are only %d", text, have)
}

// Place is the spelling of PickMember that names a member without an identity.
func Place(d *org.Directory, member int) string {
	n := 0
	for i := 0; i <= member; i++ {
		if d.Department(i) == d.Department(member) {
			n++
		}
	}
	return fmt.Sprintf("%s#%d", departmentKey(d.Department(member)), n)
}

func departmentKey(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "-") }

func example(d *org.Directory) string {
	if d.Len() == 0 {
		return "claims#1"
	}
	return Place(d, 0)
}
