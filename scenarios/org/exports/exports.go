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
	switches []cowork
	moved    map[*group]map[string]moved
	since    map[string]time.Time // group and member -> when the product had it
	unplaced map[string]int       // things without an owner, by what they are
	partial  []string             // lists of which only pages were given
	latest   time.Time
	scim     bool
	admin    bool // Admin API records were seen
	usersAll bool // a complete list of users was seen
}

// cowork is the organisation's switch as the Activity Feed saw it turned.
type cowork struct {
	when time.Time
	on   bool
}

type user struct {
	id, scimID, email, login, name, role, seat, department, manager string
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
		roleBy: map[string]*role{}, unplaced: map[string]int{}, since: map[string]time.Time{}, moved: map[*group]map[string]moved{}}
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

type tally struct{ users, groups, members, roles, rows, invites, limits, patches, switches int }

func (d *Draft) tally() tally {
	t := tally{users: len(d.users), groups: len(d.groups), roles: len(d.roles), invites: d.invites, limits: len(d.limits) + d.effect, patches: len(d.patches), switches: len(d.switches)}
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
	}{{t.users - b.users, "members"}, {t.groups - b.groups, "groups"}, {t.members - b.members, "group memberships"}, {t.roles - b.roles, "roles"},
		{t.rows - b.rows, "role rows"}, {t.invites - b.invites, "invitations"}, {t.limits - b.limits, "spend limits"}, {t.patches - b.patches, "SCIM messages"},
		{t.switches - b.switches, "turns of the Cowork switch"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.word))
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
	case v.has("data") && v.get("data").kind == 'a':
		d.adminList(f, v)
	case v.has("value") && v.get("value").kind == 'a':
		for _, g := range v.get("value").vals {
			d.graphGroup(g)
		}
		d.leftover("graph list", v)
	case v.has("profile"):
		d.oktaUser(f, v)
	case v.has("type") || v.has("scope"):
		d.adminRecord(f, v, "")
	default:
		d.problems.Add(v.pos(), "known: Admin API lists (data, has_more), SCIM lists (schemas, Resources), SCIM requests (method, path, body), Okta users (profile), Graph groups (value)",
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
	rows := v.get("data").vals
	role := v.str("rbac_role_id", "role_id")
	if role == "" {
		role = roleInName.FindString(f.name)
	}
	more, _ := v.get("has_more").truth()
	v.get("first_id")
	v.get("last_id")
	v.get("next_page")
	kinds := map[string]int{}
	for _, r := range rows {
		kinds[d.adminRecord(f, r, role)]++
	}
	if more {
		for _, k := range sorted(kinds) {
			d.partial = append(d.partial, fmt.Sprintf("%s holds a page of the %s list; has_more is true", f.name, k))
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
	d.admin = true
	d.seen(v.str("created_at"), v.str("updated_at"), v.str("added_at"))
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
	case "org_cowork_enabled", "org_cowork_disabled": // the Activity Feed (section 6, row 14)
		when := moment(v.str("created_at", "timestamp"))
		if when.IsZero() {
			d.problems.Add(v.pos(), "an event of the feed has created_at", "a change of the Cowork switch without a time")
			break
		}
		d.switches = append(d.switches, cowork{when, kind == "org_cowork_enabled"})
		for _, k := range []string{"id", "actor", "organization_id", "organization_uuid", "previous_value", "current_value"} {
			v.get(k)
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
	u.admin = true
	u.id, u.email, u.name = first(id, u.id), first(email, u.email), first(v.str("name"), u.name)
	if r := v.str("role"); r != "" {
		var ok bool
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
				if n := r.str("name"); n != "" {
					d.roleRef(rid, r).name = n
				}
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
	"joined": "joined", "added at": "joined", "added_at": "joined", "status": "status",
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
	found := false
	for i, h := range head {
		cols[i] = csvNames[strings.ToLower(strings.TrimSpace(h))]
		found = found || cols[i] == "email" || cols[i] == "login"
		if cols[i] == "" {
			d.Ignored["csv column "+strings.TrimSpace(h)] = 0
		}
	}
	if !found {
		d.problems.Add(f.pos(0), "the members export has a column Email", "a CSV with the columns %s holds no members", clipped(head))
		return
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
		d.csvRow(f, line, row)
		n++
	}
	d.Read = append(d.Read, fmt.Sprintf("%s: %d members in CSV", f.name, n))
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
	u.id, u.email, u.login = first(u.id, row["id"]), first(u.email, email), first(u.login, login)
	u.name, u.seat, u.department, u.manager = first(u.name, row["name"]), first(row["seat"], u.seat), first(row["department"], u.department), first(row["manager"], u.manager)
	if r := row["role"]; r != "" {
		got, ok := org.OrgRole(r)
		if !ok {
			d.problems.Add(at, "known: User, Custom, Admin, Owner, Primary Owner", "%q is not an organisation role", r)
		}
		u.role = first(got, u.role)
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
