package scenarios

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// MaxDays and MaxSeats bound a scenario so that a slip of the pen does not
// become a run without end.
const (
	MaxDays  = 400
	MaxSeats = 250_000
)

// Capabilities are the rows a custom role can grant, by the vendor's ids.
var Capabilities = []string{
	"chat", "code_execution", "memory", "web_search", "public_projects",
	"skill_create", "skill_share", "skill_share_org", "claude_in_chrome",
	"claude_code", "fast_mode", "claude_code_workflows", "claude_security",
	"claude_code_artifacts", "claude_design", "cowork", "cowork_cloud",
}

var scenarioName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// checker collects what only shows when the parts of a scenario are seen
// together.
type checker struct {
	*Scenario
	ps                                         *source.Problems
	groups, roles, connectors, plugins, skills []string
	departments                                map[string]int // members
	departmentNames                            []string
	seats                                      []string
	people                                     map[string]bool // of the roster, by every key; nil without one
	have                                       int             // members there will be
	unsized                                    bool            // no roster and no sound number of seats: how many there will be is unknown
}

func (s *Scenario) check(ps *source.Problems) {
	c := &checker{Scenario: s, ps: ps}
	c.collect()
	c.dates()
	c.organisation()
	c.plan()
	c.members()
	c.access()
	c.changes()
	c.spend()
	c.telemetry()
	c.play()
}

// telemetry looks at the endpoint: what no exporter can reach is no stream, and a
// pipe cannot be plain by its address and encrypted by its setting.
func (c *checker) telemetry() {
	t := &c.Telemetry
	scheme, rest, ok := strings.Cut(t.Endpoint, "://")
	switch at := c.Place("telemetry", "endpoint"); {
	case t.Endpoint == "":
	case ok && scheme != "http" && scheme != "https", ok && rest == "", strings.ContainsAny(t.Endpoint, " \t"):
		c.ps.Add(at, "write the collector's address, for example https://collector.example:4318, or collector.example:4317 for grpc", "telemetry.endpoint: found %q, expected an http or https address", t.Endpoint)
	case scheme == "http" && t.TLS != nil && *t.TLS:
		c.ps.Add(at, "write https://, or tls: false", "telemetry: the endpoint is plain http and tls is true")
	case ok && scheme == "https" && t.TLS != nil && !*t.TLS:
		c.ps.Add(at, "write http://, or leave tls out", "telemetry: the endpoint is https and tls is false")
	}
}

// collect gathers the names that may be referred to, each only once.
func (c *checker) collect() {
	add := func(list *[]string, kind string, t source.Text) {
		if slices.Contains(*list, t.Value) {
			c.ps.Add(t.At, "rename one, or merge the two", "%s %q stands here again", kind, t.Value)
			return
		}
		*list = append(*list, t.Value)
	}
	ids := map[string]string{}
	id := func(kind, id, name string, at source.Pos) {
		if id == "" {
			return
		}
		if other, taken := ids[kind+id]; taken {
			c.ps.Add(at, "an id belongs to one of them; look it up in the export", "%s %q has the id %s of %s %q", kind, name, id, kind, other)
		}
		ids[kind+id] = name
	}
	for _, g := range c.Groups {
		add(&c.groups, "group", g.Name)
		id("group", g.ID, g.Name.Value, g.At)
	}
	for _, r := range c.Roles {
		add(&c.roles, "role", r.Name)
		id("role", r.ID, r.Name.Value, r.At)
	}
	for _, s := range c.Organisation.SeatTiers {
		add(&c.seats, "seat tier", s.Name)
	}
	for _, x := range c.Connectors {
		add(&c.connectors, "connector", x.Name)
	}
	for _, p := range c.Plugins {
		add(&c.plugins, "plugin", p.Name)
	}
	for _, k := range c.Skills {
		add(&c.skills, "skill", k.Name)
	}
	c.departments = map[string]int{}
	c.have = c.Organisation.Seats
	if c.Roster.Value != "" {
		c.collectRoster()
		return
	}
	total := 0
	for _, d := range c.Organisation.Departments {
		add(&c.departmentNames, "department", source.Text{Value: d.Name, At: d.At})
		c.departments[d.Name] += d.Members
		total += d.Members
	}
	c.unsized = c.Organisation.Seats < 1 // which is reported by itself
	if rest := c.Organisation.Seats - total; rest > 0 || c.unsized {
		if _, ok := c.departments[org.General]; !ok {
			c.departmentNames = append(c.departmentNames, org.General)
		}
		c.departments[org.General] += max(rest, 0)
	}
}

// collectRoster is collect for members who are listed one by one.
func (c *checker) collectRoster() {
	r, ps := org.CheckRoster(&c.Config)
	*c.ps = append(*c.ps, ps...)
	c.people, c.have, c.departments = r.People, r.Members, r.Departments
	for _, d := range c.Organisation.Departments {
		if d.Members != 0 {
			c.ps.Add(d.At, "write members: 0; the roster says who there is, the department only gives persona and time zone", "department %q has %d members beside a roster", d.Name, d.Members)
		}
	}
	for _, name := range r.Order {
		if name == "" {
			name = org.General
		}
		if !slices.Contains(c.departmentNames, name) {
			c.departmentNames = append(c.departmentNames, name)
		}
		if name == org.General {
			c.departments[name] += r.Departments[""]
		}
	}
	if r.Members > c.Organisation.Seats && c.Organisation.Seats > 0 {
		c.ps.Add(c.Roster.At, "raise seats, or take out those who have none", "the roster holds %d members, but there are %d seats", r.Members, c.Organisation.Seats)
	}
}

// dangling reports a name that refers to nothing.
func (c *checker) dangling(t source.Text, kind string, known []string) {
	if slices.Contains(known, t.Value) {
		return
	}
	advice := fmt.Sprintf("the scenario has no %ss", kind)
	if len(known) > 0 {
		advice = fmt.Sprintf("known %ss: %s", kind, list(known))
	}
	if g := source.Nearest(t.Value, known); g != "" {
		advice = fmt.Sprintf("did you mean %q?", g)
	}
	c.ps.Add(t.At, advice, "%q is not a %s of this scenario", t.Value, kind)
}

func list(names []string) string {
	if len(names) > 20 {
		return strings.Join(names[:20], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

func (c *checker) dates() {
	if c.Name.Value != "" && !scenarioName.MatchString(c.Name.Value) {
		c.ps.Add(c.Name.At, "use small letters, digits and dashes, for example claims-pilot; the name becomes a directory", "name: found %q, expected a short name", c.Name.Value)
	}
	p := c.Period
	if p.From.Given() && p.To.Given() {
		switch {
		case p.To.Before(p.From):
			c.ps.Add(p.To.At, "put the earlier day first; both days are played", "period: it ends on %s, before it starts on %s", p.To, p.From)
		case p.Days() > MaxDays:
			c.ps.Add(p.To.At, "play the weeks that matter; six are usual", "period: %d days, at most %d are played", p.Days(), MaxDays)
		}
	}
	var last source.Date
	for _, ph := range c.Rollout {
		if last.Given() && ph.From.Given() && ph.From.Before(last) {
			c.ps.Add(ph.From.At, "list the phases in the order in which they start", "rollout: phase %q starts on %s, before the one above it", ph.Name, ph.From)
		}
		if ph.From.Given() {
			last = ph.From
		}
		for _, g := range ph.Groups {
			c.dangling(g, "group", c.groups)
		}
	}
	for _, a := range c.Attestations {
		if a.Expires.Given() && a.Date.Given() && a.Expires.Before(a.Date) {
			c.ps.Add(a.Expires.At, "give the last day on which the statement holds", "attestation %q expires before it is given", a.Id.Value)
		}
	}
}

func (c *checker) organisation() {
	o := c.Organisation
	if o.At.IsZero() {
		return // missing as a whole, which is reported already
	}
	switch {
	case c.Place("organisation", "seats") == c.Place("organisation"), // missing, which is reported already
		c.ps.At(c.Place("organisation", "seats")): // and so is what is no number
	case o.Seats < 1:
		c.ps.Add(c.Place("organisation", "seats"), "state the seats bought", "organisation: %d seats, expected at least 1", o.Seats)
	case o.Seats > MaxSeats:
		c.ps.Add(c.Place("organisation", "seats"), "play a part of the organisation", "organisation: %d seats, at most %d are played", o.Seats, MaxSeats)
	}
	if o.Retention < 0 {
		c.ps.Add(c.Place("organisation", "transcript_retention_days"), "leave transcript_retention_days out where the vendor's own period holds", "organisation: transcript_retention_days: %d, expected at least 1", o.Retention)
	}
	if t := o.Turnover; t != nil {
		if c.Roster.Value != "" {
			c.ps.Add(t.At, "the roster has the columns joined, left and removed", "turnover is for synthetic members, and this scenario has a roster")
		} else if stay := c.have - len(c.departmentNames); !c.unsized && t.Joiners+t.Leavers > stay {
			c.ps.Add(t.At, "nobody does both, and the first of each department stays", "turnover: %d joiners and %d leavers of %d members who may come and go", t.Joiners, t.Leavers, max(stay, 0))
		}
	}
	total := 0
	for _, d := range o.Departments {
		if d.Members < 0 {
			c.ps.Add(d.At, "a department has 0 or more members", "department %q has %d members", d.Name, d.Members)
			continue
		}
		if total += d.Members; total > o.Seats && total-d.Members <= o.Seats && o.Seats > 0 {
			c.ps.Add(d.At, "raise seats, or make departments smaller; seats that no department holds go to "+org.General, "with department %q the departments hold %d members, but there are %d seats", d.Name, total, o.Seats)
		}
		if _, err := time.LoadLocation(d.TimeZone); err != nil || d.TimeZone == "Local" {
			c.ps.Add(d.At, "write a name such as America/New_York or Europe/Dublin", "%q is not a time zone", d.TimeZone)
		}
	}
	if len(o.Desktops) > 0 {
		versions := make([]string, 0, len(o.Desktops))
		for v := range o.Desktops {
			versions = append(versions, v)
		}
		slices.Sort(versions)
		sum := 0.0
		for _, v := range versions {
			if x := o.Desktops[v]; x < 0 || x > 1 {
				c.ps.Add(c.Place("organisation", "desktops", v), "a share lies between 0 and 1", "organisation.desktops: version %s has the share %g", v, x)
			}
			sum += o.Desktops[v]
		}
		if math.Abs(sum-1) > 1e-6 {
			c.ps.Add(c.Place("organisation", "desktops"), "let the shares of the desktop versions add up to 1", "organisation.desktops: the shares add up to %g", math.Round(sum*1e6)/1e6)
		}
	}
}

// plan refuses what the contract plan cannot hold, and says what it has
// instead. The wish for it belongs in needs, where it is judged.
func (c *checker) plan() {
	plan := c.Organisation.Plan.Value
	has, dir, limit := "", "", ""
	switch plan {
	case "team":
		has = "Team has one Cowork toggle, for everybody or for nobody; put the wish under needs (restrict-by-group), or set plan: enterprise"
		dir = "Team fills its seats by invitation or at first sign-in: directory: invite or jit"
		limit = "Team has one cap for the whole organisation: spend.organisation; put the wish under needs"
	case "individual":
		has = "a personal plan has no organisation to govern; put the wish under needs, or set plan: enterprise"
		dir = "personal seats belong to nobody's directory; leave directory out"
		limit = "a personal plan has no limit for others; put the wish under needs"
	default:
		return
	}
	// A dated move to Enterprise makes room for what is prepared for it.
	if !c.movesTo("enterprise").IsZero() {
		return
	}
	name := strings.ToUpper(plan[:1]) + plan[1:]
	for _, g := range c.Groups {
		c.ps.Add(g.Name.At, has, "group %q: %s has no groups", g.Name.Value, name)
	}
	for _, r := range c.Roles {
		c.ps.Add(r.Name.At, has, "role %q: %s has no custom roles", r.Name.Value, name)
	}
	for _, m := range c.Members {
		if m.Role == "custom" {
			c.ps.Add(m.Select.At, has, "members: role custom is not on %s", name)
		}
	}
	for _, l := range c.Spend.Groups {
		c.ps.Add(l.Group.At, limit, "a limit for group %q: %s has no limits per group", l.Group.Value, name)
	}
	if c.Organisation.Directory == "scim" {
		c.ps.Add(c.Place("organisation", "directory"), dir, "organisation.directory: scim is not on %s", name)
	}
}

func (c *checker) members() {
	if p := c.Organisation.Provisioning; p != nil {
		c.provisioning(p)
	}
	if c.Organisation.Plan.Value == "enterprise" && len(c.Members) == 0 && (c.Organisation.Provisioning == nil || len(c.Organisation.Provisioning.Roles) == 0) {
		c.ps.Add(c.Organisation.Plan.At, "for example members: [{select: {all: true}, role: custom}]; group roles bind members on custom only", "members is missing: on Enterprise everybody's organisation role has to be stated")
	}
	for _, m := range c.Members {
		c.member(m)
	}
	for _, p := range c.Personal {
		c.selector(p.Select)
		switch {
		case (p.Off.Value == "") == (p.Connector.Value == ""):
			c.ps.Add(p.At, "give off with a capability, or connector with a level", "personal: one of off and connector is expected")
		case p.Off.Value != "":
			c.capability(p.Off)
		case p.Level == "":
			c.ps.Add(p.At, "level: always, ask or never", "personal: the setting of connector %q has no level", p.Connector.Value)
		default:
			c.dangling(p.Connector, "connector", c.connectors)
		}
	}
	for _, l := range c.Local {
		if !l.Select.At.IsZero() {
			c.selector(l.Select)
		}
	}
	for _, g := range c.Groups {
		for _, m := range g.Members {
			c.selector(m.Select)
			if m.From.Given() && m.To.Given() && !m.From.Before(m.To) {
				c.ps.Add(m.To.At, "to is the first day on which they are no longer members", "group %q: a membership ends on %s, not after it starts on %s", g.Name.Value, m.To, m.From)
			}
		}
	}
}

func (c *checker) selector(s org.Selector) {
	if s.At.IsZero() {
		return // missing or no mapping, which is reported already
	}
	what, have := "the organisation", c.have
	if c.people != nil {
		for _, id := range s.Ids {
			if !c.people[id] {
				c.ps.Add(s.At, "name members by email, id or account as in the roster", "the selection names %q, who is not on the roster", id)
			}
		}
	}
	switch {
	case s.All && s.Department != "":
		c.ps.Add(s.At, "keep one of the two", "the selection names both all and a department")
		return
	case !s.All && s.Department == "" && s.First == 0 && len(s.Ids) == 0:
		c.ps.Add(s.At, "for example {all: true}, {department: Claims} or {department: Claims, first: 15}", "the selection picks nobody")
		return
	case s.Department != "":
		if !slices.Contains(c.departmentNames, s.Department) {
			c.dangling(source.Text{Value: s.Department, At: s.At}, "department", c.departmentNames)
			return
		}
		what, have = fmt.Sprintf("department %q", s.Department), c.departments[s.Department]
	}
	const advice = "first counts members from the top of the department or organisation"
	switch {
	case s.First < 0:
		c.ps.Add(s.At, advice, "first: found %d, expected 1 or more", s.First)
	case c.unsized && (s.Department == "" || s.Department == org.General): // whoever is picked may be there
	case s.First > have:
		c.ps.Add(s.At, advice, "first: %d of %s, which has %d members", s.First, what, have)
	}
}

func (c *checker) access() {
	for _, g := range c.Groups {
		for _, r := range g.Roles {
			c.dangling(r, "role", c.roles)
		}
		for _, p := range g.Plugins {
			c.dangling(p.Plugin, "plugin", c.plugins)
		}
		for _, k := range g.Skills {
			c.dangling(k.Skill, "skill", c.skills)
		}
	}
	for _, m := range []struct {
		name string
		keys []string
	}{{"toggles", keys(c.Organisation.Toggles)}, {"contract", keys(c.Organisation.Contract)}} {
		for _, k := range m.keys {
			c.capabilityAt(k, c.Organisation.At, "organisation."+m.name+": ")
		}
	}
	for _, t := range c.Organisation.SeatTiers {
		for _, k := range t.Excludes {
			c.capabilityAt(k, t.Name.At, "seat tier: ")
		}
	}
	for _, r := range c.Roles {
		for _, g := range r.Grants {
			c.grant(r, g)
		}
	}
	for _, w := range c.Workloads {
		for _, g := range w.Groups {
			c.dangling(g, "group", c.groups)
		}
	}
	for _, e := range c.Behaviour.Elsewhere {
		for _, g := range e.Groups {
			c.dangling(g, "group", c.groups)
		}
	}
}

func (c *checker) grant(r org.Role, g org.Grant) {
	n := 0
	for _, t := range []source.Text{g.Capability, g.Connector, g.Plugin, g.Skill} {
		if t.Value != "" {
			n++
		}
	}
	if n != 1 {
		c.ps.Add(g.At, "write one row for each", "a grant of role %q names %d of capability, connector, plugin and skill, expected exactly one", r.Name.Value, n)
	}
	if g.Capability.Value != "" && !g.Unknown {
		c.capability(g.Capability)
	}
	if g.Connector.Value != "" && g.Connector.Value != "all" {
		c.dangling(g.Connector, "connector", c.connectors)
	}
	if g.Plugin.Value != "" {
		c.dangling(g.Plugin, "plugin", c.plugins)
	}
	if g.Skill.Value != "" {
		c.dangling(g.Skill, "skill", c.skills)
	}
	if g.Tool == "" {
		return
	}
	if g.Connector.Value == "" || g.Connector.Value == "all" {
		c.ps.Add(g.At, "name the connector the tool belongs to", "a grant of role %q names tool %q without its connector", r.Name.Value, g.Tool)
		return
	}
	for _, x := range c.Connectors {
		if x.Name.Value != g.Connector.Value {
			continue
		}
		var tools []string
		for _, t := range x.Tools {
			tools = append(tools, t.Name)
		}
		if len(tools) > 0 {
			c.dangling(source.Text{Value: g.Tool, At: g.At}, "tool", tools)
		}
	}
}

func (c *checker) spend() {
	var seen []string
	// A limit is entered in cents; half of one cannot be.
	cents := func(m source.Money, of string) {
		if m.Given && m.Micros%10_000 != 0 {
			c.ps.Add(m.At, "limits are entered in cents: give at most two decimals", "the limit of %s has a part of a cent", of)
		}
	}
	cents(c.Spend.Organisation, "the organisation")
	cents(c.Spend.MemberDefault, "a member by default")
	cents(c.Spend.SeatDefault, "a seat by default")
	for _, l := range c.Spend.Groups {
		c.dangling(l.Group, "group", c.groups)
		if slices.Contains(seen, l.Group.Value) {
			c.ps.Add(l.Group.At, "keep one of them", "group %q has a second limit", l.Group.Value)
		}
		seen = append(seen, l.Group.Value)
		cents(l.Limit, fmt.Sprintf("group %q", l.Group.Value))
	}
	var users []string
	for _, u := range c.Spend.Users {
		if u.Limit.Given == u.Unlimited {
			c.ps.Add(u.Member.At, "give either limit or unlimited: true", "the limit of member %q is not clear", u.Member.Value)
		}
		if key := strings.ToLower(u.Member.Value); slices.Contains(users, key) {
			c.ps.Add(u.Member.At, "keep one of them: a member has one override at a time; a later one is a change with a date", "the overrides of member %q overlap", u.Member.Value)
		} else {
			users = append(users, key)
		}
		cents(u.Limit, fmt.Sprintf("member %q", u.Member.Value))
	}
	for _, ch := range c.Changes {
		if l := ch.Limit; l != nil {
			if l.Group.Value != "" {
				c.dangling(l.Group, "group", c.groups)
			}
			cents(l.Limit, "a change")
		}
	}
}

func (c *checker) play() {
	if c.Behaviour.Rate() < 0 {
		c.ps.Add(c.Name.At, "0 means that nobody uses it, 1 is the profile", "behaviour.intensity is %g, expected 0 or more", c.Behaviour.Rate())
	}
	days := 0
	if c.Period.From.Given() && c.Period.To.Given() {
		days = c.Period.Days()
	}
	for _, i := range c.Incidents {
		if i.Count < 0 {
			c.ps.Add(i.Story.At, "count is how often the story is played", "incident %q: count is %d", i.Story.Value, i.Count)
		}
		if i.Day < 0 || days > 0 && i.Day > days {
			c.ps.Add(i.Story.At, "day counts from 1, the first day of the period; 0 or nothing lets it be drawn", "incident %q: day %d of a period of %d days", i.Story.Value, i.Day, days)
		}
	}
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (c *checker) capability(t source.Text) { c.capabilityAt(t.Value, t.At, "") }

// capabilityAt refuses a capability nobody knows. Blanket rows and
// administrative areas are known by their form.
func (c *checker) capabilityAt(name string, at source.Pos, where string) {
	if slices.Contains(Capabilities, name) || slices.Contains(blankets, name) || strings.HasPrefix(name, "permission_") {
		return
	}
	advice := "known capabilities: " + strings.Join(Capabilities, ", ")
	if near := source.Nearest(name, Capabilities); near != "" {
		advice = fmt.Sprintf("did you mean %q?", near)
	}
	c.ps.Add(at, advice, "%s%q is not a capability", where, name)
}

var blankets = []string{"capability_access_all", "capability_access_all_ga", "inference_hooks_inspection"}

func (c *checker) member(m org.MemberRule) {
	c.selector(m.Select)
	if m.Seat.Value != "" {
		c.dangling(m.Seat, "seat tier", c.seats)
	}
}

// provisioning checks a mapping of groups to roles and seats.
func (c *checker) provisioning(p *org.Provisioning) {
	switch dir := c.Organisation.Directory; {
	case p.Roles == nil && p.Seats == nil: // a change that ends it
	case dir == "invite":
		c.ps.Add(p.At, "set directory: scim or jit, or leave the mapping out", "provisioning: with directory: invite the identity provider maps nothing")
	case dir == "":
		c.ps.Add(p.At, "state organisation.directory: scim or jit", "provisioning: a mapping needs to know how members come in")
	}
	twice := map[string]bool{}
	once := func(kind string, g source.Text) {
		c.dangling(g, "group", c.groups)
		if k := kind + g.Value; twice[k] {
			c.ps.Add(g.At, "keep one of them", "provisioning: group %q is mapped to a %s again", g.Value, kind)
		} else {
			twice[k] = true
		}
		for _, x := range c.Groups {
			if x.Name.Value == g.Value && x.Source == "direct" {
				c.ps.Add(g.At, "map a group that the identity provider fills; source: scim", "provisioning: group %q is filled by hand", g.Value)
			}
		}
	}
	for _, m := range p.Roles {
		once("role", m.Group)
	}
	for _, m := range p.Seats {
		once("seat", m.Group)
		c.dangling(m.Seat, "seat tier", c.seats)
	}
	for _, t := range p.SeatPriority {
		c.dangling(t, "seat tier", c.seats)
	}
	if o := p.PrimaryOwner; o.Value != "" && c.people != nil && !c.people[o.Value] {
		c.ps.Add(o.At, "name the Primary Owner by email, id or account as on the roster", "provisioning: %q is not on the roster", o.Value)
	}
	if c.Organisation.Directory == "jit" {
		for _, g := range c.Groups {
			if g.Source == "scim" && (len(g.Roles) > 0 || g.Unread) {
				c.ps.Add(g.Name.At, "give the role to a group of source: direct; under JIT groups of the identity provider map to organisation roles only", "group %q: it comes from the identity provider and carries custom roles, which needs directory: scim", g.Name.Value)
			}
		}
	}
}

// movesTo is when a dated change moves the organisation to a plan, zero for
// never.
func (c *checker) movesTo(plan string) time.Time {
	for _, ch := range c.Changes {
		if ch.Plan.Value == plan {
			return ch.When
		}
	}
	return time.Time{}
}

// changes checks what dated changes refer to. Their form was checked when they
// were read.
func (c *checker) changes() {
	move := c.movesTo("enterprise")
	for _, ch := range c.Changes {
		early := c.Organisation.Plan.Value == "team" && !ch.When.IsZero() && (move.IsZero() || ch.When.Before(move))
		if k := ch.Kind(); early && (k == "group" || k == "role" || k == "members" && ch.Members.Role == "custom") {
			c.ps.Add(ch.At, "date it on the day of the move to Enterprise or later", "changes: Team has no groups and no custom roles, and on %s the plan is still team", ch.On.Value)
		}
		for _, s := range []*org.Selector{ch.Join, ch.Leave} {
			if s != nil {
				c.selector(*s)
			}
		}
		switch {
		case ch.Members != nil:
			c.member(*ch.Members)
		case ch.Provisioning != nil:
			c.provisioning(ch.Provisioning)
		case ch.Group != nil:
			g := ch.Group
			c.dangling(g.Name, "group", c.groups)
			for _, s := range []*org.Selector{g.Add, g.Remove} {
				if s != nil {
					c.selector(*s)
				}
			}
			for _, r := range append(slices.Clone(g.Attach), g.Detach...) {
				c.dangling(r, "role", c.roles)
			}
			for _, p := range g.Plugins {
				c.dangling(p.Plugin, "plugin", c.plugins)
			}
			for _, p := range g.Skills {
				c.dangling(p.Skill, "skill", c.skills)
			}
		case ch.Role != nil:
			c.dangling(ch.Role.Name, "role", c.roles)
			for _, x := range append(slices.Clone(ch.Role.Add), ch.Role.Remove...) {
				c.grant(org.Role{Name: ch.Role.Name}, x)
			}
		case ch.Toggles != nil:
			for _, k := range keys(ch.Toggles) {
				c.capabilityAt(k, ch.At, "changes.toggles: ")
			}
		case ch.Connector != nil:
			c.dangling(ch.Connector.Name, "connector", c.connectors)
		case ch.Plugin != nil:
			c.dangling(ch.Plugin.Plugin, "plugin", c.plugins)
		case ch.Skill != nil:
			c.dangling(ch.Skill.Skill, "skill", c.skills)
		}
	}
}
