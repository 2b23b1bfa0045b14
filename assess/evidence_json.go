package assess

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func (r *intakeRun) json(p string, f *evidenceFile, data []byte) source.Problems {
	if ps, ok := r.settingsFile(p, f, data); ok {
		return ps
	}
	var ps source.Problems
	rows, roots, err := jsonRows(data)
	if err != nil {
		ps.Add(source.Pos{File: p}, "export it again; a file that was cut short is not used in part, because completeness is what it is for", "not readable as JSON: %v", err)
		return ps
	}
	if len(rows) == 0 {
		var kind string
		for _, root := range roots {
			kind = cmp.Or(kind, text(root["kind"]))
		}
		if kind == "" {
			ps.Add(source.Pos{File: p}, "an empty list of rows says nothing about what it is a list of; add a key kind: activities, sessions or analytics", "no row found")
			return ps
		}
		switch kind {
		case "activities":
			r.feedOver(roots)
		case "sessions":
			r.sessions.seen = true
		case "analytics":
			r.analytics.seen = true
			r.analytics.cover(roots)
		}
		f.item.What, f.item.Class, f.kind = "Export of "+kind, "E1", kind
		return nil
	}
	kind := kindOf(rows[0])
	f.kind = kind
	var take func(map[string]any) bool
	switch kind {
	case "activities":
		f.item.What, f.item.Class, take = "Activity Feed export", "E1", func(m map[string]any) bool { return r.activity(f, m) }
		r.feedOver(roots)
	case "sessions":
		f.item.What, f.item.Class, take = "Compliance API session list", "E2", func(m map[string]any) bool { return r.session(f, m) }
		r.sessions.seen = true
	case "analytics":
		f.item.What, f.item.Class, take = "Analytics export, activity of members", "E5", func(m map[string]any) bool { return r.use(f, m) }
		r.analytics.seen = true
		r.analytics.cover(roots)
	case "summaries":
		f.item.What, f.item.Class, take = "Analytics export, daily summaries", "E5", func(m map[string]any) bool { f.see(dayOf(m, "starting_at", "date")); return true }
		r.ev.Notes = append(r.ev.Notes, f.name+": daily summaries count members, not sessions; they reconcile nothing. Export the activity of members.")
	case "identities":
		f.item.What, f.item.Class, take = "Identity provider roster", "E5", func(m map[string]any) bool { return r.identity(m) }
		r.idp = true
	case "members":
		f.item.What, f.item.Class, take = "Member list", "E1", func(m map[string]any) bool { return r.member(text(m["email"]), true) }
	default:
		ps.Add(source.Pos{File: p}, knownKinds, "rows with the keys %s are of no known kind", strings.Join(keysOf(rows[0]), ", "))
		return ps
	}
	for _, m := range rows {
		f.rows++
		if !take(m) {
			f.bad++
		}
	}
	return nil
}

// jsonRows reads an array, objects that hold one each, or JSON lines. roots are the
// objects around rows. Rows that have no date of their own get that of theirs.
func jsonRows(data []byte) (rows, roots []map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			return rows, roots, nil
		} else if err != nil {
			return nil, nil, err
		}
		switch x := v.(type) {
		case []any:
			rows = appendRows(rows, x)
		case map[string]any:
			list := false
			for _, k := range []string{"data", "activities", "sessions", "users", "members", "summaries", "Resources", "value"} {
				if l, ok := x[k].([]any); ok {
					from := len(rows)
					rows, roots, list = appendRows(rows, l), append(roots, x), true
					for _, row := range rows[from:] {
						if x["date"] != nil && row["date"] == nil && row["starting_at"] == nil {
							row["date"] = x["date"]
						}
					}
					break
				}
			}
			if !list {
				if _, ok := x["kind"]; ok && len(x) <= 3 {
					roots = append(roots, x)
				} else {
					rows = append(rows, x)
				}
			}
		default:
			return nil, nil, fmt.Errorf("found %T, expected objects", v)
		}
	}
}

func appendRows(rows []map[string]any, list []any) []map[string]any {
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			m = map[string]any{} // counted as unusable by whoever takes it
		}
		rows = append(rows, m)
	}
	return rows
}

func keysOf(m map[string]any) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	return ks[:min(len(ks), 8)]
}

func kindOf(m map[string]any) string {
	id, typ := text(m["id"]), text(m["type"])
	has := func(k string) bool { _, ok := m[k]; return ok }
	switch {
	case strings.HasPrefix(id, "clls_") || strings.HasPrefix(id, "cse_") || has("product_surface"):
		return "sessions"
	case has("cowork_metrics") || has("last_activity_date"):
		return "analytics"
	case has("daily_active_user_count") || has("assigned_seat_count"):
		return "summaries"
	case has("userName") || has("profile") || has("userPrincipalName"):
		return "identities"
	case typ != "" && has("created_at"):
		return "activities"
	case has("email") && (has("role") || has("added_at")):
		return "members"
	}
	return ""
}

func (r *intakeRun) activity(f *evidenceFile, m map[string]any) bool {
	typ, d := text(m["type"]), dayOf(m, "created_at")
	if typ == "" || !d.Given() {
		return false
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	r.feed.spans[len(r.feed.spans)-1].see(d)
	if matches(r.APIReadActivities, typ) {
		r.feed.read = earlier(r.feed.read, d)
	}
	if matches(r.AdminActivities, typ) && !d.Before(r.frame.From) && !d.After(r.frame.To) {
		if id := text(m["id"]); id == "" || !r.feed.ids[id] {
			r.feed.admin++
			r.feed.ids[id] = true
		}
	}
	return true
}

func matches(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if stem, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(s, stem)
		}
		return p == s
	})
}

func (r *intakeRun) session(f *evidenceFile, m map[string]any) bool {
	id, d, who := text(m["id"]), dayOf(m, "created_at"), person(m)
	if id == "" || !d.Given() {
		return false
	}
	if s := text(m["product_surface"]); s != "" && !slices.Contains(r.CoworkSurfaces, s) {
		return true // another product
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	r.ev.CloudSeen = r.ev.CloudSeen || strings.HasPrefix(id, "cse_") || text(m["product_surface"]) == "cowork_remote"
	content, known := false, false
	if b, ok := m["content_available"].(bool); ok {
		content, known = b, true
	}
	if l, ok := m["messages"].([]any); ok {
		content, known = len(l) > 0, true
	}
	if r.sessions.content == nil {
		r.sessions.content, r.sessions.byDay = map[string]bool{}, map[MemberDay]int64{}
	}
	if _, twice := r.sessions.content[id]; twice {
		return true
	}
	r.sessions.contentKnown = r.sessions.contentKnown || known
	r.sessions.content[id] = content
	if content && who != "" {
		r.sessions.byDay[MemberDay{who, d.String()}]++
	}
	return true
}

func (r *intakeRun) use(f *evidenceFile, m map[string]any) bool {
	who := person(m)
	cw, ok := m["cowork_metrics"].(map[string]any)
	n, isNum := whole(cw["distinct_session_count"])
	if who == "" || !ok || !isNum {
		return false
	}
	if last := dayOf(m, "last_activity_date"); last.Given() && !last.After(r.frame.AsOf) {
		r.lastUse[who] = later(r.lastUse[who], last)
	} else if _, seen := r.lastUse[who]; !seen {
		r.lastUse[who] = source.Date{}
	}
	d := dayOf(m, "date", "starting_at")
	if !d.Given() {
		return true // a roll-up over days: it tells who was active, not when
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	r.analytics.see(d)
	if d.Before(r.frame.From) || d.After(r.frame.To) {
		return true
	}
	if r.ev.Sessions == nil {
		r.ev.Sessions = map[MemberDay]int64{}
	}
	if k := (MemberDay{who, d.String()}); n > 0 { // a day that two exports list is one day
		r.ev.Sessions[k] = max(r.ev.Sessions[k], n)
	}
	return true
}

// feedOver begins a file of the Activity Feed.
func (r *intakeRun) feedOver(roots []map[string]any) {
	r.feed.seen = true
	var s span
	s.cover(roots)
	r.feed.spans = append(r.feed.spans, s)
}

func (r *intakeRun) identity(m map[string]any) bool {
	who := text(m["userName"])
	if mail := text(m["mail"]); mail != "" {
		who = mail
	}
	if upn := text(m["userPrincipalName"]); who == "" {
		who = upn
	}
	if p, ok := m["profile"].(map[string]any); ok {
		who = text(p["email"])
		if who == "" {
			who = text(p["login"])
		}
	}
	if l, ok := m["emails"].([]any); ok {
		for _, x := range l {
			if e, ok := x.(map[string]any); ok && (who == "" || truth(e["primary"])) {
				who = text(e["value"])
			}
		}
	}
	active := true
	switch {
	case m["active"] != nil:
		active = truth(m["active"])
	case m["accountEnabled"] != nil:
		active = truth(m["accountEnabled"])
	case text(m["status"]) != "":
		active = strings.EqualFold(text(m["status"]), "ACTIVE")
	}
	return r.member(who, active)
}
