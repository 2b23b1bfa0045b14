package exports

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// offsetOf is where reading stopped.
func offsetOf(err error, end int) int {
	var se *json.SyntaxError
	if errors.As(err, &se) {
		return min(max(int(se.Offset)-1, 0), end)
	}
	return end
}

func (d *Draft) scimList(f *file, v *value) {
	d.scim = true
	res := v.get("Resources")
	total := v.str("totalResults")
	v.get("startIndex")
	v.get("itemsPerPage")
	switch {
	case res == nil && total == "0":
	case res == nil:
		d.problems.Add(v.pos(), "a SCIM list holds its members under Resources, with a capital R", "the SCIM envelope is not right: no Resources")
		return
	case res.kind != 'a':
		d.problems.Add(res.pos(), "Resources is a list", "the SCIM envelope is not right: Resources is no list")
		return
	case !hasExact(v, "Resources"):
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: Resources is spelt in another case than RFC 7644 has it; read all the same", res.pos()))
	}
	if total == "" {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: totalResults is missing, so whether the list is complete is not known", v.pos()))
	}
	n := 0
	if res != nil {
		n = len(res.vals)
		for _, r := range res.vals {
			switch {
			case r.kind != 'o':
				d.problems.Add(r.pos(), "a resource is an object", "found a single value in Resources")
			case r.schema(urnGroup) || !r.schema(urnUser) && r.has("displayName") && !r.has("userName"):
				d.scimGroup(r)
			default:
				d.scimUser(r)
			}
		}
	}
	if total != "" && total != fmt.Sprint(n) {
		d.partial = append(d.partial, fmt.Sprintf("%s holds %d of %s resources", f.name, n, total))
	}
	d.leftover("scim list", v)
}

func hasExact(v *value, key string) bool {
	for _, k := range v.keys {
		if k == key {
			return true
		}
	}
	return false
}

func (d *Draft) scimUser(v *value) *user {
	d.scim = true
	id, login := v.str("id"), strings.ToLower(v.str("userName"))
	v.get("externalId")
	if m := v.get("meta"); m != nil {
		d.seen(m.str("created"), m.str("lastModified"))
		m.get("resourceType")
		m.get("location")
		m.get("version")
	}
	email := ""
	for _, e := range v.list("emails") {
		if p, _ := e.get("primary").truth(); email == "" || p {
			email = strings.ToLower(first(e.str("value"), e.text))
		}
		e.get("type")
	}
	if email == "" && strings.Contains(login, "@") {
		email = login
	}
	if id == "" && login == "" && email == "" {
		d.problems.Add(v.pos(), "a SCIM user has id and userName", "a user without id, userName and e-mail address")
		return nil
	}
	// Joined by primary e-mail address, then by userName (1.10).
	u := d.userBy[id]
	for _, k := range []string{email, login} {
		if u == nil && k != "" {
			u = d.userBy[k]
		}
	}
	if u == nil {
		u = &user{at: v.pos()}
		d.users = append(d.users, u)
	}
	u.seenOnly = false
	u.scimID, u.email, u.login = first(id, u.scimID), first(u.email, email), first(login, u.login)
	name := v.get("name")
	u.name = first(u.name, v.str("displayName"), name.str("formatted"), strings.TrimSpace(name.str("givenName")+" "+name.str("familyName")))
	if ext := v.get(urnExt); ext != nil {
		u.department = first(ext.str("department"), u.department)
		m := ext.get("manager")
		if m != nil && m.kind == 's' {
			u.manager = m.text
		} else {
			u.manager = first(m.str("value"), u.manager)
			m.get("displayName")
			m.get("$ref")
		}
		ext.get("employeeNumber")
		ext.get("costCenter")
		ext.get("organization")
		ext.get("division")
	}
	u.department = first(u.department, v.str("department"))
	if on, known := v.get("active").truth(); known && !on {
		u.inactive = true
	}
	v.get("groups") // a read-only view of what the groups say
	d.index(u)
	d.leftover("scim user", v)
	return u
}

func (d *Draft) scimGroup(v *value) *group {
	d.scim = true
	id, name := v.str("id"), v.str("displayName")
	v.get("externalId")
	v.get("meta")
	if name == "" {
		d.problems.Add(v.pos(), "displayName is required for a SCIM group", "a group without displayName")
		return nil
	}
	g := d.groupBy[id]
	if id != "" && g != nil && g.name != name {
		d.problems.Add(v.pos(), "an id belongs to one group; export the groups again", "group %q has the id %s of group %q at %s", name, id, g.name, g.at)
		return nil
	}
	if g == nil {
		// The product's own record of the same group has another id and the name.
		for _, x := range d.groups {
			if x.name == name && x.scimID == "" && x.source == "scim" {
				g = x
			}
		}
	}
	if g == nil {
		g = &group{scimID: id, name: name, source: "scim", at: v.pos()}
		d.groups = append(d.groups, g)
	}
	g.scimID = id
	if id != "" {
		d.groupBy[id] = g
	}
	if v.has("members") {
		g.membersSeen = true
		for _, m := range v.list("members") {
			d.addMember(g, m)
		}
	}
	d.leftover("scim group", v)
	return g
}

// addMember reads {value, display, type} or a bare id. Nested groups are left
// out, as the product does not expand them, and said aloud, because the identity
// provider's own view does.
func (d *Draft) addMember(g *group, m *value) {
	if m.kind == 'o' {
		key := m.str("value")
		m.get("display")
		m.get("$ref")
		if strings.EqualFold(m.str("type"), "Group") {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: group %q holds the group %s; nested groups are not expanded, so its members get nothing through it", m.pos(), g.name, first(key, "?")))
			return
		}
		g.members = append(g.members, member{key: key, at: m.pos()})
		return
	}
	g.members = append(g.members, member{key: m.text, at: m.pos()})
}

// patch is one SCIM message, kept in the order read until all lists are known.
type patch struct {
	target string // id of the user or group
	group  bool
	when   time.Time
	op     string // add, remove, replace of members; active, rename, email, create, delete
	keys   []string
	all    bool // of the members
	text   string
	on     bool
	v      *value
}

var memberFilter = regexp.MustCompile(`(?i)^members\s*\[\s*value\s+eq\s+"([^"]*)"\s*\]$`)

// request is a SCIM call as a proxy or the identity provider logs it.
func (d *Draft) request(f *file, v *value) {
	method := strings.ToUpper(v.str("method"))
	path := v.str("path", "url", "uri")
	when := moment(v.str("time", "timestamp", "published", "at"))
	d.seen(v.str("time", "timestamp", "published", "at"))
	body := v.get("body")
	if body == nil {
		body = v.get("request")
	}
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	target, isGroup := "", false
	for i, p := range parts {
		if strings.EqualFold(p, "Groups") || strings.EqualFold(p, "Users") {
			isGroup = strings.EqualFold(p, "Groups")
			if i+1 < len(parts) {
				target = parts[i+1]
			}
		}
	}
	d.scim = true
	switch {
	case method == "PATCH" && body != nil:
		kind := "Users"
		if isGroup {
			kind = "Groups"
		}
		d.patch(f, v, body, kind+"/"+target, when)
	case method == "DELETE" && target != "":
		d.patches = append(d.patches, patch{target: target, group: isGroup, when: when, op: "delete", v: v})
	case (method == "POST" || method == "PUT") && body != nil && body.kind == 'o':
		if isGroup {
			d.scimGroup(body)
			break
		}
		known := d.userBy[strings.ToLower(body.str("userName"))] != nil
		if u := d.scimUser(body); u != nil && method == "POST" && !known && !when.IsZero() {
			u.joined = when
		}
	default:
		d.Ignored["scim request "+first(method, "(no method)")]++
	}
	for _, k := range []string{"id", "status"} {
		v.get(k)
	}
	d.leftover("scim request", v)
}

// patch reads the operations of a PatchOp in all the forms of 1.10.
func (d *Draft) patch(f *file, whole, body *value, target string, when time.Time) {
	d.scim = true
	kind, id, _ := strings.Cut(target, "/")
	if id == "" {
		d.unplaced["SCIM messages without the user or group they are for"]++
		return
	}
	if !body.schema(urnPatch) {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: a PATCH without the schema PatchOp; read all the same", body.pos()))
	}
	ops := body.list("Operations")
	if ops == nil {
		d.problems.Add(body.pos(), "a PatchOp has Operations: [{op, path, value}]", "the SCIM envelope is not right: no Operations")
		return
	}
	isGroup := kind == "Groups"
	for _, o := range ops {
		p := patch{target: id, group: isGroup, when: when, v: o}
		op, path, val := strings.ToLower(o.str("op")), o.str("path"), o.get("value")
		lower := strings.ToLower(path)
		switch {
		case op != "add" && op != "remove" && op != "replace":
			d.problems.Add(o.pos(), "op is add, remove or replace, in any case", "%q is not a SCIM operation", op)
			continue
		case memberFilter.MatchString(path): // Okta, and Entra with its compliance flag
			p.op, p.keys = op, []string{memberFilter.FindStringSubmatch(path)[1]}
			d.patches = append(d.patches, p)
		case lower == "members": // with a value: Entra's own form; without: everybody
			p.op, p.keys = op, memberKeys(val)
			p.all = op == "remove" && (val == nil || val.kind == 'z')
			if op == "remove" && val != nil && len(p.keys) == 0 {
				d.Warnings = append(d.Warnings, fmt.Sprintf("%s: members are to be removed, but the value names nobody; nobody is removed", o.pos()))
				continue
			}
			d.patches = append(d.patches, p)
		case path == "" && val != nil && val.kind == 'o': // Okta: an object of attributes
			for i, k := range val.keys {
				val.used[i] = true
				d.attribute(p, op, strings.ToLower(k), val.vals[i])
			}
		case path != "":
			d.attribute(p, op, lower, val)
		default:
			d.problems.Add(o.pos(), "give a path, or an object as the value", "a SCIM operation that says nothing")
		}
	}
}

func (d *Draft) attribute(p patch, op, name string, v *value) {
	switch {
	case name == "active":
		on, known := v.truth()
		if !known {
			d.problems.Add(p.v.pos(), "active is true or false, or the same as text", "active is neither true nor false")
			return
		}
		p.op, p.on = "active", on
	case name == "displayname" && p.group && v != nil:
		p.op, p.text = "rename", v.text
	case name == "members":
		p.op, p.keys = op, memberKeys(v)
	case name == "username" || strings.HasPrefix(name, "emails"):
		p.op = "email"
		if v != nil && v.kind == 'a' {
			for _, e := range v.vals {
				p.text = first(p.text, strings.ToLower(first(e.str("value"), e.text)))
			}
		} else if v != nil {
			p.text = strings.ToLower(first(v.str("value"), v.text))
		}
		if !strings.Contains(p.text, "@") {
			d.Ignored["scim patch of "+name]++
			return
		}
	default:
		d.Ignored["scim patch of "+name]++
		return
	}
	d.patches = append(d.patches, p)
}

// memberKeys reads [{value}], {value}, ["id"] and "id".
func memberKeys(v *value) []string {
	if v == nil {
		return nil
	}
	switch v.kind {
	case 'a':
		var out []string
		for _, x := range v.vals {
			out = append(out, memberKeys(x)...)
		}
		return out
	case 'o':
		if s := v.str("value"); s != "" && !strings.EqualFold(v.str("type"), "Group") {
			return []string{s}
		}
	case 's':
		return []string{v.text}
	}
	return nil
}

// ---- other exports of identity providers

var oktaGroup = regexp.MustCompile(`00g[A-Za-z0-9]{17}`)

// oktaUser is a member of /api/v1/groups/{id}/users; the group is in the name of
// the file, if anywhere.
func (d *Draft) oktaUser(f *file, v *value) {
	p := v.get("profile")
	email, login := strings.ToLower(p.str("email")), strings.ToLower(p.str("login"))
	if email == "" && login == "" {
		d.problems.Add(v.pos(), "an Okta user has profile.login", "a user without login and e-mail address")
		return
	}
	u := d.userBy[first(email, login)]
	if u == nil {
		u = &user{at: v.pos(), email: first(email, login)}
		d.users = append(d.users, u)
	}
	u.seenOnly = false
	u.scimID, u.login = first(u.scimID, v.str("id")), first(u.login, login)
	u.name = first(u.name, p.str("displayName"), strings.TrimSpace(p.str("firstName")+" "+p.str("lastName")))
	u.department, u.manager = first(u.department, p.str("department")), first(u.manager, p.str("managerId", "manager"))
	switch v.str("status") {
	case "DEPROVISIONED", "SUSPENDED":
		u.inactive = true
	}
	d.index(u)
	if id := oktaGroup.FindString(f.name); id != "" {
		g := d.groupRef(id, v)
		g.source, g.membersSeen = "scim", true
		g.members = append(g.members, member{key: u.email, at: v.pos()})
	} else {
		d.unplaced["Okta users whose group is not in the file name"]++
	}
	d.leftover("okta user", v)
}

// oktaGroup is a group of /api/v1/groups: its name, without its members.
func (d *Draft) oktaGroup(v *value) {
	p := v.get("profile")
	g := d.groupRef(v.str("id"), v)
	if g == nil {
		d.problems.Add(v.pos(), "export the groups again", "an Okta group without an id")
		return
	}
	g.name, g.source = p.str("name"), "scim"
	p.get("description")
	for _, k := range []string{"type", "created", "lastUpdated", "lastMembershipUpdated", "objectClass"} {
		v.get(k)
	}
	whole(v.get("_links"))
	d.scim = true
	d.leftover("okta group", v)
}

// graphGroup is a group of Microsoft Graph with its members expanded.
func (d *Draft) graphGroup(v *value) {
	id, name := v.str("id"), v.str("displayName")
	if name == "" {
		d.problems.Add(v.pos(), "ask for $select=id,displayName&$expand=members", "a group without displayName")
		return
	}
	g := d.groupRef(first(id, name), v)
	g.name, g.source = name, "scim"
	if !v.has("members") {
		d.partial = append(d.partial, fmt.Sprintf("group %q came without members", name))
	}
	for _, m := range v.list("members") {
		g.membersSeen = true
		if strings.Contains(m.str("@odata.type"), "group") {
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: group %q holds the group %s; nested groups are not expanded", m.pos(), name, m.str("displayName")))
			continue
		}
		email, login := strings.ToLower(m.str("mail")), strings.ToLower(m.str("userPrincipalName"))
		if email == "" && login == "" {
			d.unplaced["Graph members without address"]++
			continue
		}
		u := d.userBy[first(email, login)]
		if u == nil {
			u = &user{at: m.pos(), email: first(email, login)}
			d.users = append(d.users, u)
		}
		u.login, u.scimID = first(u.login, login), first(u.scimID, m.str("id"))
		u.name, u.department = first(u.name, m.str("displayName")), first(u.department, m.str("department"))
		if on, known := m.get("accountEnabled").truth(); known && !on {
			u.inactive = true
		}
		d.index(u)
		g.members = append(g.members, member{key: u.email, at: m.pos()})
		d.leftover("graph member", m)
	}
	if len(v.list("members")) == 20 {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: group %q has exactly 20 members, where $expand stops; ask for the members of the group by themselves", v.pos(), name))
	}
	d.leftover("graph group", v)
}
