// Package exports reads what an administrator can take out of the product and
// out of the identity provider, and drafts a scenario from it: Admin API lists
// (users, groups, members, roles, permissions, invites, spend limits), SCIM 2.0
// lists and PATCH streams in the forms of Okta and Entra, and CSV.
//
// Exports are partial by nature (admin surface, section 6). What a file does not
// say stays unknown and becomes a question; it is never filled in. Every key that
// was not read is counted and named.
package exports

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Draft collects files. Use New.
type Draft struct {
	Ignored  map[string]int // key as kind.key -> records that had it
	Read     []string       // one line a file: what it was and how much it held
	Warnings []string       // what was left out or may mislead, with its place

	// Capabilities are the ids that are known; other names in permission rows are
	// kept and marked.
	Capabilities []string

	problems source.Problems
	users    []*user
	userBy   map[string]*user // every key
	groups   []*group
	groupBy  map[string]*group
	roles    []*role
	roleBy   map[string]*role
	invites  int
	limits   []limit
	effect   int // rows of effective limits
	patches  []patch
	events   []event // of the Activity Feed, those that become changes
	fed      int     // events of the feed in all
	unread   map[string]int
	feedFrom time.Time
	settled  []setting // in force, as the compliance interface says
	undone   int       // memberships that a SCIM message shows the list to be later than
	mode     string    // sso_provisioning_mode
	mapRows  []mapEntry
	mapFrom  time.Time
	tiers    []string // seat tiers that only events and mappings name
	ruledOut []string // arrangements that settings say are not there

	snapshots    int
	compliance   string // a day on which the compliance interface was on
	complianceOn bool
	enterprise   bool // something only Enterprise has was read
	models       map[string]int
	costs        map[string]int64 // by product, micro-dollars
	used         map[string]int64 // connector -> calls
	plugins      map[string]bool
	skills       map[string]bool
	figures      map[string]int // analytics rows by kind
	seatsSeen    int
	seatsOn      string
	bill         bill
	moved        map[*group]map[string]moved
	since        map[string]time.Time // group and member -> when the product had it
	unplaced     map[string]int       // things without an owner, by what they are
	partial      []string             // lists of which only pages were given
	latest       time.Time
	scim         bool
	admin        bool // Admin API records were seen
	usersAll     bool // a complete list of users was seen
}

type user struct {
	id, scimID, email, login, name, role, seat, department, manager string
	account, lastUse                                                string
	primary                                                         bool // the Primary Owner
	seenOnly                                                        bool // in figures only, on no list of members
	groups                                                          []string
	joined, left                                                    time.Time
	admin, inactive                                                 bool
	at                                                              source.Pos
}

type group struct {
	id, scimID, name, source string
	roles                    []string
	rolesSeen, rolesNull     bool
	members                  []member
	membersSeen              bool
	at                       source.Pos
}

type member struct {
	key, email string // any key of a user; email may be empty
	at         source.Pos
	since      time.Time // when the product had it, zero when not stated
}

type role struct {
	id, name, org string
	grants        []org.Grant
	areas         map[string]string
	seen          bool // permissions were given
	at            source.Pos
}

type limit struct {
	scope, id, amount string
	unlimited         bool
	at                source.Pos
}

// New makes an empty draft.
func New(capabilities []string) *Draft {
	return &Draft{Ignored: map[string]int{}, Capabilities: capabilities, userBy: map[string]*user{}, groupBy: map[string]*group{},
		roleBy: map[string]*role{}, unplaced: map[string]int{}, since: map[string]time.Time{}, moved: map[*group]map[string]moved{},
		unread: map[string]int{}, models: map[string]int{}, costs: map[string]int64{}, used: map[string]int64{}, plugins: map[string]bool{}, skills: map[string]bool{},
		figures: map[string]int{}, bill: bill{cowork: map[string]int64{}}}
}

// Problems are the mistakes that make a file, or a part of it, unusable.
func (d *Draft) Problems() source.Problems { return d.problems }

// Add reads one file. Mistakes are collected, see Problems.
func (d *Draft) Add(name string, data []byte) {
	f := &file{name: name, data: data}
	if len(data) > MaxBytes {
		d.problems.Add(source.Pos{File: name}, "split the export", "the file has %d bytes; at most %d are read", len(data), MaxBytes)
		return
	}
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n")
	if len(trimmed) == 0 {
		d.problems.Add(source.Pos{File: name, Line: 1, Col: 1}, "export it again", "the file is empty")
		return
	}
	f.data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if trimmed[0] != '{' && trimmed[0] != '[' {
		d.csv(f)
		return
	}
	vs, err := f.parse()
	if err != nil {
		what := err.Error()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			what = "it ends in the middle"
		}
		d.problems.Add(f.pos(offsetOf(err, len(f.data))), "export it again; nothing after this place is read", "not JSON: %s", what)
	}
	before := d.tally()
	for _, v := range vs {
		d.document(f, v)
	}
	if after := d.tally(); after != before {
		d.Read = append(d.Read, fmt.Sprintf("%s: %s", name, after.since(before)))
	} else if err == nil {
		d.Read = append(d.Read, name+": more about what other files named")
	}
}

type tally struct {
	users, groups, members, roles, rows, invites, limits, patches, events, settings, figures int
}

func (d *Draft) tally() tally {
	t := tally{users: len(d.users), groups: len(d.groups), roles: len(d.roles), invites: d.invites, limits: len(d.limits) + d.effect, patches: len(d.patches), events: d.fed, settings: len(d.settled)}
	for _, n := range d.figures {
		t.figures += n
	}
	for _, g := range d.groups {
		t.members += len(g.members)
	}
	for _, r := range d.roles {
		t.rows += len(r.grants) + len(r.areas)
	}
	return t
}

func (t tally) since(b tally) string {
	var parts []string
	for _, x := range []struct {
		n    int
		word string
	}{{t.users - b.users, "new member/s"}, {t.groups - b.groups, "group/s"}, {t.members - b.members, "group membership/s"}, {t.roles - b.roles, "role/s"},
		{t.rows - b.rows, "role row/s"}, {t.invites - b.invites, "invitation/s"}, {t.limits - b.limits, "spend limit/s"}, {t.patches - b.patches, "SCIM message/s"},
		{t.events - b.events, "event/s of the Activity Feed"}, {t.settings - b.settings, "setting/s in force"}, {t.figures - b.figures, "row/s of analytics"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, strings.Replace(x.word, "/s", map[bool]string{true: "", false: "s"}[x.n == 1], 1)))
		}
	}
	if parts == nil {
		return "more about what was known"
	}
	return strings.Join(parts, ", ")
}

const (
	urnList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	urnPatch = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	urnUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnExt   = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

func (v *value) schema(urn string) bool {
	for _, s := range v.list("schemas") {
		if strings.EqualFold(s.text, urn) {
			return true
		}
	}
	return false
}

// document finds out what a JSON value is.
func (d *Draft) document(f *file, v *value) {
	if v.kind == 'a' {
		for _, x := range v.vals {
			d.document(f, x)
		}
		return
	}
	if v.kind != 'o' {
		d.problems.Add(v.pos(), "an export is a list or an object", "found a single value, expected an export")
		return
	}
	switch {
	case v.schema(urnList):
		d.scimList(f, v)
	case v.schema(urnUser):
		d.scimUser(v)
	case v.schema(urnGroup):
		d.scimGroup(v)
	case v.schema(urnPatch):
		d.patch(f, v, v, "", time.Time{})
	case v.has("schemas"):
		d.problems.Add(v.get("schemas").pos(), "expected "+urnList+", a User, a Group or a PatchOp", "a SCIM message of another kind")
	case v.has("Resources"):
		d.problems.Add(v.pos(), "a SCIM list carries schemas: [\""+urnList+"\"] beside Resources", "the SCIM envelope is not right: Resources without schemas")
	case v.has("method") && (v.has("path") || v.has("url") || v.has("uri")):
		d.request(f, v)
	case v.has("settings") || v.has("state") && v.has("retrieved_at"):
		d.settings(v)
	case v.has("summaries") && v.get("summaries").kind == 'a':
		for _, r := range v.get("summaries").vals {
			if d.analytics(r) == "" {
				d.Ignored["analytics summary of another form"]++
			}
		}
		d.leftover("analytics", v)
	case v.has("activities") && v.get("activities").kind == 'a':
		d.adminRows(f, v, v.get("activities").vals)
	case v.has("data") && v.get("data").kind == 'a':
		d.adminList(f, v)
	case v.has("value") && v.get("value").kind == 'a':
		for _, g := range v.get("value").vals {
			d.graphGroup(g)
		}
		d.leftover("graph list", v)
	case v.has("profile") && v.get("profile").has("name") && !v.get("profile").has("login") && !v.get("profile").has("email"):
		d.oktaGroup(v)
	case v.has("profile"):
		d.oktaUser(f, v)
	case d.analytics(v) != "":
	case v.has("type") || v.has("scope"):
		d.adminRecord(f, v, "")
	case f.strange == "keys "+clipped(v.keys): // said once: a stream of telemetry has a million of them
	default:
		f.strange = "keys " + clipped(v.keys)
		d.problems.Add(v.pos(), "known: Admin API lists (data, has_more), SCIM lists (schemas, Resources), SCIM requests (method, path, body), Okta users (profile), Graph groups (value), settings in force (settings), the Activity Feed (data with type and created_at), analytics (summaries, data)",
			"an object with the keys %s is no export this version knows", clipped(v.keys))
	}
}

func clipped(keys []string) string {
	if len(keys) > 8 {
		return strings.Join(keys[:8], ", ") + " and more"
	}
	return strings.Join(keys, ", ")
}

func (d *Draft) seen(times ...string) {
	for _, s := range times {
		if t := moment(s); t.After(d.latest) {
			d.latest = t
		}
	}
}

// ---- Admin API

var roleInName = regexp.MustCompile(`rbac_role_[A-Za-z0-9]+`)

func (d *Draft) adminList(f *file, v *value) {
	d.adminRows(f, v, v.get("data").vals)
}

func (d *Draft) adminRows(f *file, v *value, rows []*value) {
	role := v.str("rbac_role_id", "role_id")
	if role == "" {
		role = roleInName.FindString(f.name)
	}
	more, _ := v.get("has_more").truth()
	if p := v.get("next_page"); p != nil && p.kind == 's' && p.text != "" {
		more = true
	}
	v.get("first_id")
	v.get("last_id")
	v.get("next_page")
	kinds := map[string]int{}
	for _, k := range []string{"data_refreshed_at", "organization_id", "bucket_width"} {
		v.get(k)
	}
	for _, r := range rows {
		if k := d.analytics(r); k != "" {
			kinds[k]++
			continue
		}
		kinds[d.adminRecord(f, r, role)]++
	}
	if more {
		for _, k := range sorted(kinds) {
			d.partial = append(d.partial, fmt.Sprintf("%s holds a page of the %s list; there are more", f.name, k))
		}
	} else if kinds["user"] > 0 {
		d.usersAll = true
	}
	d.leftover("list", v)
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// adminRecord reads one record and returns its kind.
func (d *Draft) adminRecord(f *file, v *value, role string) string {
	if v.kind != 'o' {
		d.problems.Add(v.pos(), "export it again", "found a single value, expected a record")
		return ""
	}
	kind := v.str("type")
	if kind == "" && v.has("scope") && v.has("source") {
		kind = "effective_spend_limit"
	}
	d.seen(v.str("created_at"), v.str("updated_at"), v.str("added_at"))
	if feedType(kind) {
		d.feed(kind, v)
		return "Activity Feed"
	}
	d.admin = true
	switch kind {
	case "user":
		d.adminUser(v)
	case "invite":
		if st := v.str("status"); st == "pending" || st == "" {
			d.invites++
		}
		for _, k := range []string{"id", "email", "role", "rbac_group_ids", "expires_at", "invited_at"} {
			v.get(k)
		}
	case "rbac_group":
		d.adminGroup(v)
	case "rbac_group_member":
		g := d.groupRef(v.str("group_id", "rbac_group_id"), v)
		if g == nil {
			d.unplaced["group membership without group_id"]++
			break
		}
		g.membersSeen = true
		g.members = append(g.members, member{v.str("user_id"), strings.ToLower(v.str("email")), v.pos(), moment(v.str("created_at"))})
	case "rbac_role":
		if v.str("id") == "" {
			d.problems.Add(v.pos(), "export the roles again", "a role without an id")
			break
		}
		r := d.roleRef(v.str("id"), v)
		r.name, r.org, r.at = v.str("name"), v.str("organization_id", "organization_uuid"), v.pos()
	case "rbac_role_permission":
		d.permission(v, role)
	case "spend_limit":
		d.spendLimit(v, v.get("scope"))
	case "effective_spend_limit":
		d.effect++
		src := v.get("source")
		switch src.str("type") {
		case "user":
			d.spendLimit(v, v.get("scope"))
		case "rbac_group", "organization", "seat_tier":
			d.spendLimit(v, src)
		default:
			d.unplaced["effective limits whose source this version does not know"]++
		}
		for _, k := range []string{"actor", "period_to_date_spend", "spend_limit_id"} {
			if x := v.get(k); x != nil && x.kind == 'o' {
				for i := range x.used {
					x.used[i] = true
				}
			}
		}
	case "spend_limit_increase_request":
		d.unplaced["requests for a higher limit (a sign of demand, not configuration)"]++
		return kind
	default:
		d.Ignored["record of type "+first(kind, "(none)")]++
		return kind
	}
	d.leftover(kind, v)
	return kind
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

func (d *Draft) adminUser(v *value) {
	id, email := v.str("id"), strings.ToLower(v.str("email"))
	u := d.userBy[id]
	if u == nil {
		u = d.userBy[email]
	}
	if u == nil {
		u = &user{at: v.pos()}
		d.users = append(d.users, u)
	}
	u.admin, u.seenOnly = true, false
	u.id, u.email, u.name = first(id, u.id), first(email, u.email), first(v.str("name"), u.name)
	if r := v.str("role"); r != "" {
		var ok bool
		u.primary = r == "primary_owner"
		if u.role, ok = org.OrgRole(r); !ok {
			d.problems.Add(v.get("role").pos(), "known: user, managed, membership_admin, owner, primary_owner", "%q is not an organisation role", r)
		}
	}
	if t := moment(v.str("added_at")); !t.IsZero() {
		u.joined = t
	}
	d.index(u)
}

func (d *Draft) index(u *user) {
	for _, k := range []string{u.id, u.scimID, u.email, u.login} {
		if k != "" && d.userBy[k] == nil {
			d.userBy[k] = u
		}
	}
}

func (d *Draft) groupRef(id string, v *value) *group {
	if id == "" {
		return nil
	}
	g := d.groupBy[id]
	if g == nil {
		g = &group{id: id, at: v.pos()}
		d.groups = append(d.groups, g)
		d.groupBy[id] = g
	}
	return g
}

func (d *Draft) adminGroup(v *value) {
	id, name := v.str("id"), v.str("name")
	if old := d.groupBy[id]; old != nil && old.name != "" && old.name != name {
		d.problems.Add(v.pos(), "an id belongs to one group; export the groups again", "group %q has the id %s of group %q at %s", name, id, old.name, old.at)
		return
	}
	g := d.groupRef(id, v)
	if g == nil {
		d.problems.Add(v.pos(), "export the groups again", "a group without an id")
		return
	}
	g.name, g.at = name, v.pos()
	g.source = v.str("source_type")
	d.scim = d.scim || g.source == "scim"
	switch roles := v.get("roles"); {
	case roles == nil:
	case roles.kind == 'z':
		g.rolesNull = true
	case roles.kind == 'a':
		g.rolesSeen, g.rolesNull = true, false
		for _, r := range roles.vals {
			rid := r.text
			if r.kind == 'o' {
				rid = r.str("id")
				if n := r.str("name"); n != "" && rid != "" {
					d.roleRef(rid, r).name = n
				}
			}
			if rid == "" {
				d.unplaced["roles of a group without an id"]++
				continue
			}
			g.roles = append(g.roles, rid)
			d.roleRef(rid, r)
		}
	}
}

func (d *Draft) roleRef(id string, v *value) *role {
	r := d.roleBy[id]
	if r == nil {
		r = &role{id: id, at: v.pos(), areas: map[string]string{}}
		d.roles = append(d.roles, r)
		d.roleBy[id] = r
	}
	return r
}

var hashed = regexp.MustCompile(`_[0-9a-f]{32}$`)

func (d *Draft) permission(v *value, roleID string) {
	roleID = first(v.str("rbac_role_id", "role_id"), roleID)
	res, action := v.get("resource"), v.str("action")
	kind := res.str("type")
	if roleID == "" {
		d.unplaced["permission rows of a role nobody names"]++
		v.get("resource")
		return
	}
	r := d.roleRef(roleID, v)
	r.seen = true
	level := map[string]string{"use": "ask", "always_allow": "always"}[action]
	add := func(g org.Grant) {
		if !slices.ContainsFunc(r.grants, func(x org.Grant) bool { return x == g }) {
			r.grants = append(r.grants, g)
		}
	}
	txt := func(s string) source.Text { return source.Text{Value: s} }
	switch kind {
	case "organization":
		res.get("organization_id")
		switch {
		case slices.Contains(d.Capabilities, action) || strings.HasPrefix(action, "capability_access_all") || action == "inference_hooks_inspection":
			add(org.Grant{Capability: txt(action)})
		case strings.HasPrefix(action, "permission_"):
			area := strings.TrimPrefix(action, "permission_")
			lvl := "manage"
			for _, l := range []string{"view", "manage"} {
				if strings.HasSuffix(area, "_"+l) {
					area, lvl = strings.TrimSuffix(area, "_"+l), l
				}
			}
			if r.areas[area] != "manage" {
				r.areas[area] = lvl
			}
		default: // kept as it is: it may stand for anything, Cowork included
			add(org.Grant{Capability: txt(action), Unknown: true})
		}
	case "connector_tool", "connector", "all_connectors":
		conn := res.str("connector_id")
		if kind == "all_connectors" {
			conn = "all"
		}
		tool := ""
		if kind == "connector_tool" {
			tool = res.str("tool_name")
			if hashed.MatchString(tool) {
				d.unplaced["tool names that are hashes; the original cannot be told"]++
			}
		}
		if level == "" { // grant, interactive, managed: how people sign in
			d.Ignored["rbac_role_permission.action "+action+" on "+kind]++
			return
		}
		add(org.Grant{Connector: txt(conn), Tool: tool, Level: level})
	case "connector_scope":
		res.get("connector_id")
		res.get("scope")
		d.Ignored["rbac_role_permission on connector_scope (OAuth scopes are not modelled)"]++
	default:
		d.Ignored["rbac_role_permission on "+first(kind, "(no resource)")]++
	}
}

func (d *Draft) spendLimit(v, scope *value) {
	l := limit{scope: scope.str("type"), at: v.pos()}
	switch l.scope {
	case "user":
		l.id = scope.str("user_id")
	case "rbac_group":
		l.id = scope.str("rbac_group_id")
	case "seat_tier":
		l.id = scope.str("seat_tier")
	}
	for _, k := range []string{"id", "currency", "is_enabled"} {
		v.get(k)
	}
	if p := v.str("period"); p != "" && p != "monthly" {
		d.Ignored["spend_limit of period "+p]++
		return
	}
	if a := v.get("amount"); a == nil || a.kind == 'z' {
		l.unlimited = true
	} else {
		l.amount = a.text
	}
	for _, have := range d.limits {
		if have.scope == l.scope && have.id == l.id {
			return // many members resolve to one row
		}
	}
	d.limits = append(d.limits, l)
}

// ---- CSV

var csvNames = map[string]string{
	"name": "name", "full name": "name", "display name": "name", "displayname": "name",
	"email": "email", "e-mail": "email", "email address": "email", "mail": "email", "userprincipalname": "login", "username": "login", "login": "login",
	"role": "role", "organization role": "role", "seat type": "seat", "seat tier": "seat", "seat": "seat", "seat_type": "seat",
	"group": "groups", "groups": "groups", "department": "department", "manager": "manager", "user id": "id", "id": "id", "user_id": "id",
	"joined": "joined", "added at": "joined", "added_at": "joined", "status": "status", "user email": "email", "user_email": "email",
	"account": "account", "account uuid": "account", "account_uuid": "account", "user_account_uuid": "account", "user uuid": "account",
	// the spend report
	"product": "product", "model": "model", "total_gross_spend_usd": "gross", "total_net_spend_usd": "net", "total_requests": "requests",
	"total_prompt_tokens": "tokens", "total_completion_tokens": "tokens",
	// the table of skills, and a mapping written down by hand
	"skill": "skill", "skill name": "skill", "skill_name": "skill", "idp group": "groups", "group name": "groups", "organisation role": "role",
}

func (d *Draft) csv(f *file) {
	rd := csv.NewReader(bytes.NewReader(f.data))
	rd.FieldsPerRecord, rd.LazyQuotes = -1, true
	if i := bytes.IndexByte(f.data, '\n'); i > 0 && bytes.Count(f.data[:i], []byte(";")) > bytes.Count(f.data[:i], []byte(",")) {
		rd.Comma = ';'
	}
	head, err := rd.Read()
	if err != nil {
		d.problems.Add(f.pos(0), "neither JSON nor CSV; export it again", "the header cannot be read: %v", err)
		return
	}
	cols := make([]string, len(head))
	kind := ""
	has := map[string]bool{}
	for i, h := range head {
		cols[i] = csvNames[strings.ToLower(strings.TrimSpace(h))]
		has[cols[i]] = true
	}
	switch who := has["email"] || has["login"] || has["account"]; {
	case who && (has["gross"] || has["net"]):
		kind = "spend"
	case who && (has["email"] || has["login"]):
		kind = "members"
	case has["skill"]:
		kind = "skills"
	case has["groups"] && (has["role"] || has["seat"]):
		kind = "mappings"
	default:
		d.problems.Add(f.pos(0), "the members export has a column Email, the spend report total_gross_spend_usd, a table of skills Skill, a mapping Group with Role or Seat tier", "a CSV with the columns %s is no export this version knows", clipped(head))
		return
	}
	for i, h := range head {
		if cols[i] == "" {
			d.Ignored["csv column "+strings.TrimSpace(h)] += 0
		}
	}
	n := 0
	for {
		rec, err := rd.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			at := f.pos(0)
			if errors.As(err, &pe) {
				at = source.Pos{File: f.name, Line: pe.Line, Col: max(pe.Column, 1)}
			}
			d.problems.Add(at, "export it again; nothing after this place is read", "not CSV: %v", err)
			break
		}
		row := map[string]string{}
		for i, c := range rec {
			switch {
			case i >= len(cols):
			case cols[i] != "":
				row[cols[i]] = strings.TrimSpace(c)
			default:
				d.Ignored["csv column "+strings.TrimSpace(head[i])]++
			}
		}
		line, _ := rd.FieldPos(0)
		switch n++; kind {
		case "spend":
			d.spendRow(f, line, row)
		case "skills":
			d.skills[row["skill"]] = row["skill"] != ""
		case "mappings":
			d.mapRows = append(d.mapRows, mapEntry{row["groups"], row["role"], row["seat"]})
			if _, ok := org.OrgRole(row["role"]); row["groups"] == "" || row["role"] != "" && !ok {
				d.problems.Add(source.Pos{File: f.name, Line: line, Col: 1}, "a group, and a role (User, Custom, Admin, Owner) or a seat tier", "a mapping of group %q to the role %q", row["groups"], row["role"])
			}
		default:
			d.csvRow(f, line, row)
		}
	}
	d.Read = append(d.Read, fmt.Sprintf("%s: %d %s in CSV", f.name, n, map[string]string{"spend": "rows of the spend report", "skills": "skills", "mappings": "mappings of groups", "members": "members"}[kind]))
}

// spendRow is a row of the spend report: who had an account, and what Cowork cost.
func (d *Draft) spendRow(f *file, line int, row map[string]string) {
	d.bill.rows++ // Team may have the report, too, so that it tells nothing of the plan
	v := &value{kind: 'o', f: f}
	u := d.active(row["id"], first(row["email"], row["login"]), "", v)
	if u == nil {
		d.unplaced["rows of the spend report without a member"]++
		return
	}
	u.at = source.Pos{File: f.name, Line: line, Col: 1}
	u.account = first(u.account, row["account"])
	if row["account"] != "" {
		d.userBy[row["account"]] = u
	}
	amount := first(row["gross"], row["net"])
	if c, err := strconv.ParseFloat(strings.TrimPrefix(amount, "$"), 64); err == nil && c >= 0 && c < 1e12 {
		if strings.EqualFold(row["product"], "cowork") {
			d.bill.cowork[u.key()] += int64(c*1e6 + 0.5)
		}
	} else if amount != "" {
		d.problems.Add(source.Pos{File: f.name, Line: line, Col: 1}, "an amount in dollars, such as 12.50", "%q is not an amount", amount)
	}
}

func (d *Draft) csvRow(f *file, line int, row map[string]string) {
	at := source.Pos{File: f.name, Line: line, Col: 1}
	email, login := strings.ToLower(row["email"]), strings.ToLower(row["login"])
	if email == "" && login == "" && row["id"] == "" {
		d.problems.Add(at, "fill in the address, or take the line out", "a member without e-mail address")
		return
	}
	var u *user
	for _, k := range []string{row["id"], email, login} {
		if k != "" && d.userBy[k] != nil {
			u = d.userBy[k]
			break
		}
	}
	if u == nil {
		u = &user{at: at}
		d.users = append(d.users, u)
	}
	u.seenOnly = false
	u.id, u.email, u.login, u.account = first(u.id, row["id"]), first(u.email, email), first(u.login, login), first(u.account, row["account"])
	u.name, u.seat, u.department, u.manager = first(u.name, row["name"]), first(row["seat"], u.seat), first(row["department"], u.department), first(row["manager"], u.manager)
	if r := row["role"]; r != "" {
		got, ok := org.OrgRole(r)
		if !ok {
			d.problems.Add(at, "known: User, Custom, Admin, Owner, Primary Owner", "%q is not an organisation role", r)
		}
		u.role = first(got, u.role)
		u.primary = u.primary || strings.HasPrefix(strings.ToLower(r), "primary")
	}
	for _, g := range strings.FieldsFunc(row["groups"], func(r rune) bool { return r == ';' || r == ',' || r == '|' }) {
		if g = strings.TrimSpace(g); g != "" {
			u.groups = append(u.groups, g)
		}
	}
	if t := moment(row["joined"]); !t.IsZero() {
		u.joined = t
	}
	d.index(u)
}
