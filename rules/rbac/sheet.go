package rbac

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// sheetColumns are the columns of the matrix as a spreadsheet. grant and because
// are what a person edits; the last two are what follows from them and are not
// read back.
var sheetColumns = []string{"group", "members", "role", "kind", "name", "grant", "because", "gives", "decided_by"}

// Grant values in the sheet. An empty cell means that the role has no row.
const sheetYes = "yes"

// Sheet is the matrix as CSV, one line for each group, role and thing that can be
// granted. A cell that a spreadsheet would run as a formula is quoted with an
// apostrophe, which ReadSheet takes off.
func (e *Engine) Sheet(t time.Time) []byte {
	ep := e.epochAt(t)
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	line := func(cells ...string) {
		for i, c := range cells {
			if c != "" && strings.ContainsRune("=+-@\t\r'", rune(c[0])) {
				cells[i] = "'" + c
			}
		}
		_ = w.Write(cells) // into memory
	}
	line(slices.Clone(sheetColumns)...)
	m := e.Matrix(t)
	for _, row := range m.Rows {
		roles := row.Roles
		if len(roles) == 0 {
			roles = []string{""}
		}
		for _, role := range roles {
			r := ep.roles[role]
			for _, it := range e.items(ep, r) {
				level, because := "", ""
				if r != nil {
					if i := slices.IndexFunc(r.Grants, func(g org.Grant) bool { return g.String() == it.grant.String() }); i >= 0 {
						level, because = sheetYes, r.Grants[i].Because
						if it.kind == "connector" {
							level = first(r.Grants[i].Level, "ask")
						}
					}
				}
				gives, by := "", ""
				for _, c := range row.Cells {
					if c.Kind == it.kind && c.Name == it.name {
						gives, by = c.Level, c.By
					}
				}
				line(row.Group, fmt.Sprint(row.Members), role, it.kind, it.name, level, because, gives, by)
			}
		}
	}
	w.Flush()
	return b.Bytes()
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// wanted is a row of a role as the sheet has it; an empty level means none.
type wanted struct {
	key, level, because string
	reasoned            bool // the sheet has a column of reasons
	at                  source.Pos
}

// item is something a role can grant, as a line of the sheet.
type item struct {
	kind, name string
	grant      org.Grant
}

func (e *Engine) items(ep *epoch, r *org.Role) []item {
	var out []item
	add := func(kind, name string, g org.Grant) {
		if !slices.ContainsFunc(out, func(x item) bool { return x.kind == kind && x.name == name }) {
			out = append(out, item{kind, name, g})
		}
	}
	for _, c := range e.names {
		add("capability", c, org.Grant{Capability: named(c)})
	}
	for _, c := range ep.cfg.Connectors {
		add("connector", c.Name.Value, org.Grant{Connector: c.Name})
		for _, t := range c.Tools {
			add("connector", c.Name.Value+"/"+t.Name, org.Grant{Connector: c.Name, Tool: t.Name})
		}
	}
	for _, p := range ep.cfg.Plugins {
		add("plugin", p.Name.Value, org.Grant{Plugin: p.Name})
	}
	for _, p := range ep.cfg.Skills {
		add("skill", p.Name.Value, org.Grant{Skill: p.Name})
	}
	if r != nil { // blanket rows, and tools the connector does not list
		for _, g := range r.Grants {
			switch {
			case g.Capability.Value != "":
				add("capability", g.Capability.Value, g)
			case g.Connector.Value != "":
				add("connector", strings.TrimSuffix(g.String(), "/*"), g)
			}
		}
	}
	return out
}

func named(s string) source.Text { return source.Text{Value: s} }

// Edit is what an edited sheet changes: roles with other rows, new roles, and
// groups that carry a role they did not.
type Edit struct {
	Roles  []org.Role  // every role after the edit, in configuration order
	Groups []org.Group // every group after the edit
	Lines  []string    // the difference in words, in a fixed order
}

// ReadSheet reads an edited sheet back over the configuration it was made from.
// Roles are edited through any of their groups; two lines that want different
// things of one role are a problem. A role the configuration does not have is
// made and attached to the group of its line. A role or group that the sheet does
// not mention stays as it is.
func ReadSheet(cfg *org.Config, name string, data []byte) (*Edit, error) {
	s, ps := readSheet(cfg, name, data)
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return s.over(cfg), nil
}

// sheet is an edited sheet as it was read.
type sheet struct {
	wants  map[string]map[string]wanted // role -> row
	roles  []string                     // in order of appearance
	rows   map[string]org.Grant         // by Grant.String
	attach map[string][]string          // group -> roles named on its lines
}

func readSheet(cfg *org.Config, name string, data []byte) (*sheet, source.Problems) {
	var ps source.Problems
	at := func(line, col int) source.Pos { return source.Pos{File: name, Line: line, Col: col} }
	rd := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	rd.FieldsPerRecord = -1
	if i := bytes.IndexByte(data, '\n'); i > 0 && bytes.Count(data[:i], []byte(";")) > bytes.Count(data[:i], []byte(",")) {
		rd.Comma = ';' // what a spreadsheet writes where the comma is the decimal sign
	}
	head, err := rd.Read()
	if err != nil {
		ps.Add(at(1, 1), "start from sandtable org matrix SCENARIO --csv", "the header cannot be read: %v", err)
		return nil, ps
	}
	col := map[string]int{}
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		if _, dup := col[h]; dup || !slices.Contains(sheetColumns, h) {
			line, c := rd.FieldPos(i)
			ps.Add(at(line, c), "columns: "+strings.Join(sheetColumns, ", "), "column %q is not expected here", h)
		}
		col[h] = i
	}
	for _, c := range []string{"group", "role", "kind", "name", "grant"} {
		if _, ok := col[c]; !ok {
			ps.Add(at(1, 1), "start from sandtable org matrix SCENARIO --csv", "the column %q is missing", c)
		}
	}
	if len(ps) > 0 {
		return nil, ps
	}
	s := &sheet{wants: map[string]map[string]wanted{}, rows: map[string]org.Grant{}, attach: map[string][]string{}}
	var groups []string
	for _, g := range cfg.Groups {
		groups = append(groups, g.Name.Value)
	}
	for {
		rec, err := rd.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, c := 1, 1
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				line, c = pe.Line, pe.Column
			}
			ps.Add(at(line, max(c, 1)), "save the sheet as CSV again", "not CSV: %v", err)
			break
		}
		cell := func(c string) string {
			i, ok := col[c]
			if !ok || i >= len(rec) {
				return ""
			}
			v := strings.TrimSpace(rec[i])
			if len(v) > 1 && v[0] == '\'' && strings.ContainsRune("=+-@\t\r'", rune(v[1])) {
				v = v[1:]
			}
			return v
		}
		line, _ := rd.FieldPos(0)
		place := func(c string) source.Pos {
			if i, ok := col[c]; ok && i < len(rec) {
				l, k := rd.FieldPos(i)
				return at(l, k)
			}
			return at(line, 1)
		}
		group, role := cell("group"), cell("role")
		if group == "" && role == "" && cell("name") == "" {
			continue // an empty line of the sheet
		}
		if !slices.Contains(groups, group) {
			advice := "groups are made in the scenario; the sheet changes what roles grant"
			if g := source.Nearest(group, groups); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(place("group"), advice, "%q is not a group of the scenario", group)
			continue
		}
		g, err := sheetRow(cfg, cell("kind"), cell("name"))
		if err != nil {
			ps.Add(place("name"), "leave kind and name as they were written", "%v", err)
			continue
		}
		level, ok := sheetLevel(cell("kind"), cell("grant"))
		if !ok {
			advice := "write yes, or leave the cell empty for no row"
			if cell("kind") == "connector" {
				advice = "write ask or always, or leave the cell empty for no row"
			}
			ps.Add(place("grant"), advice, "%q is no grant of a %s", cell("grant"), cell("kind"))
			continue
		}
		if role == "" {
			if level != "" {
				ps.Add(place("role"), "name a role in the column role; a new name makes a new role", "group %q is to be given %s, but groups hold nothing without a role", group, g)
			}
			continue
		}
		if !slices.Contains(s.attach[group], role) {
			s.attach[group] = append(s.attach[group], role)
		}
		if s.wants[role] == nil {
			s.wants[role] = map[string]wanted{}
			s.roles = append(s.roles, role)
		}
		_, reasoned := col["because"]
		w := wanted{g.String(), level, cell("because"), reasoned, place("grant")}
		if old, seen := s.wants[role][g.String()]; seen && (old.level != w.level || old.because != w.because) {
			ps.Add(w.at, fmt.Sprintf("a role grants the same to all its groups; %s:%d says otherwise", name, old.at.Line), "role %q has %s once as %q and once as %q", role, g, words(old.level, old.because), words(w.level, w.because))
			continue
		}
		s.wants[role][g.String()] = w
		s.rows[g.String()] = g
	}
	return s, ps
}

// over lays a sheet over the configuration it was made from.
func (s *sheet) over(cfg *org.Config) *Edit {
	ed := &Edit{}
	known := map[string]bool{}
	for _, r := range cfg.Roles {
		known[r.Name.Value] = true
		n := r
		n.Grants = nil
		var lines []string
		w := s.wants[r.Name.Value]
		for _, g := range r.Grants {
			x, mentioned := w[g.String()]
			switch {
			case !mentioned:
				n.Grants = append(n.Grants, g)
			case x.level == "":
				lines = append(lines, fmt.Sprintf("- %s", g))
			default:
				was := g
				if x.reasoned {
					g.Because = x.because
				}
				if g.Connector.Value != "" {
					g.Level = x.level
				}
				if was.Level != g.Level && first(was.Level, "ask") != g.Level {
					lines = append(lines, fmt.Sprintf("~ %s: %s becomes %s", g, first(was.Level, "ask"), g.Level))
				} else {
					g.Level = was.Level
				}
				if was.Because != g.Because {
					lines = append(lines, fmt.Sprintf("~ %s: another reason", g))
				}
				n.Grants = append(n.Grants, g)
			}
		}
		lines = append(lines, addRows(&n, inOrder(w), s.rows)...)
		ed.Roles = append(ed.Roles, n)
		ed.note(cfg, r.Name.Value, lines)
	}
	for _, name := range s.roles {
		if known[name] {
			continue
		}
		n := org.Role{Name: named(name)}
		w := s.wants[name]
		lines := addRows(&n, inOrder(w), s.rows)
		ed.Roles = append(ed.Roles, n)
		ed.Lines = append(ed.Lines, fmt.Sprintf("role %s (new)", name))
		for _, l := range lines {
			ed.Lines = append(ed.Lines, "  "+l)
		}
	}
	for _, g := range cfg.Groups {
		n := g
		n.Roles = slices.Clone(g.Roles)
		for _, role := range s.attach[g.Name.Value] {
			if !slices.ContainsFunc(n.Roles, func(t source.Text) bool { return t.Value == role }) {
				n.Roles = append(n.Roles, named(role))
				ed.Lines = append(ed.Lines, fmt.Sprintf("group %s\n  + role %s", g.Name.Value, role))
			}
		}
		ed.Groups = append(ed.Groups, n)
	}
	return ed
}

func (ed *Edit) note(cfg *org.Config, role string, lines []string) {
	if len(lines) == 0 {
		return
	}
	var on []string
	for _, g := range cfg.Groups {
		if slices.ContainsFunc(g.Roles, func(t source.Text) bool { return t.Value == role }) {
			on = append(on, g.Name.Value)
		}
	}
	where := "no group carries it"
	if len(on) > 0 {
		where = "carried by " + strings.Join(on, ", ")
	}
	ed.Lines = append(ed.Lines, fmt.Sprintf("role %s (%s)", role, where))
	for _, l := range lines {
		ed.Lines = append(ed.Lines, "  "+l)
	}
}

// inOrder are the wanted rows of a role by name.
func inOrder(w map[string]wanted) []wanted {
	out := make([]wanted, 0, len(w))
	for _, k := range sortedKeys(w) {
		out = append(out, w[k])
	}
	return out
}

// addRows adds the wanted rows a role does not have.
func addRows(r *org.Role, ws []wanted, rows map[string]org.Grant) (lines []string) {
	for _, x := range ws {
		if x.level == "" || slices.ContainsFunc(r.Grants, func(g org.Grant) bool { return g.String() == x.key }) {
			continue
		}
		g := rows[x.key]
		g.Because = x.because
		text := fmt.Sprintf("+ %s", g)
		if g.Connector.Value != "" {
			g.Level = x.level
			text += ": " + x.level
		}
		if x.because == "" {
			text += " (no reason written)"
		}
		r.Grants = append(r.Grants, g)
		lines = append(lines, text)
	}
	return lines
}

func words(level, because string) string {
	if level == "" {
		return "no row"
	}
	if because != "" {
		return level + ", " + because
	}
	return level
}

func sheetLevel(kind, s string) (string, bool) {
	s = strings.ToLower(s)
	switch {
	case s == "" || s == "no" || s == "deny" || s == "blocked":
		return "", true
	case kind == "connector" && (s == "ask" || s == "always"):
		return s, true
	case kind != "connector" && (s == sheetYes || s == "true" || s == "allow" || s == "x"):
		return sheetYes, true
	}
	return "", false
}

func sheetRow(cfg *org.Config, kind, name string) (org.Grant, error) {
	has := func(n int, at func(int) string) bool {
		for i := range n {
			if at(i) == name {
				return true
			}
		}
		return false
	}
	switch kind {
	case "capability":
		if slices.Contains(KnownCapabilities, name) || name == accessAll || name == accessAllGA || strings.HasPrefix(name, adminPrefix) {
			return org.Grant{Capability: named(name)}, nil
		}
		for _, r := range cfg.Roles { // one an export brought
			for _, g := range r.Grants {
				if g.Capability.Value == name {
					return org.Grant{Capability: named(name), Unknown: g.Unknown}, nil
				}
			}
		}
		return org.Grant{}, fmt.Errorf("%q is not a capability", name)
	case "connector":
		conn, tool, _ := strings.Cut(name, "/")
		if conn == "all" && tool == "" {
			return org.Grant{Connector: named(conn)}, nil
		}
		for _, c := range cfg.Connectors {
			if c.Name.Value == conn {
				return org.Grant{Connector: named(conn), Tool: tool}, nil
			}
		}
		return org.Grant{}, fmt.Errorf("%q is not a connector of the scenario", conn)
	case "plugin":
		if has(len(cfg.Plugins), func(i int) string { return cfg.Plugins[i].Name.Value }) {
			return org.Grant{Plugin: named(name)}, nil
		}
	case "skill":
		if has(len(cfg.Skills), func(i int) string { return cfg.Skills[i].Name.Value }) {
			return org.Grant{Skill: named(name)}, nil
		}
	default:
		return org.Grant{}, fmt.Errorf("%q is not a kind; there are capability, connector, plugin and skill", kind)
	}
	return org.Grant{}, fmt.Errorf("%q is not a %s of the scenario", name, kind)
}
