package assess

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed intake.yaml
var intakeData []byte

// BuiltIn is the table by which exports from outside the telemetry are read.
func BuiltIn() []byte { return intakeData }

type intake struct {
	AdminActivities   []string      `yaml:"admin_activities,required"`
	APIReadActivities []string      `yaml:"api_read_activities,required"`
	CoworkSurfaces    []string      `yaml:"cowork_surfaces,required"`
	Stated            []string      `yaml:"stated,required"`
	Settings          []settingRule `yaml:"settings,required"`
	// Figures are the variables that each kind of file can give.
	Figures map[string][]string `yaml:"figures,required"`
}

var loadIntake = sync.OnceValues(func() (intake, error) {
	var in intake
	f, err := source.Parse("intake.yaml", intakeData)
	if err != nil {
		return in, err
	}
	return in, f.Decode(&in)
})

// EvidenceFrame is what the files are held against.
type EvidenceFrame struct {
	AsOf     source.Date // rows after it are left out and counted
	From, To source.Date // the assessed period, both inclusive
	// Alerts is how many alerts the run raised in the period, so that an alert
	// without a ticket counts as not handled; 0 when nobody knows.
	Alerts int
	// Silences is how many silences over 24 hours of an active member the run saw;
	// negative when nobody knows.
	Silences int
	// DesktopFloor is the version below which a desktop exports nothing; "" leaves
	// versions out.
	DesktopFloor string
}

// MemberDay names a member by e-mail address in lower case, else by id, on a
// UTC day.
type MemberDay struct{ Member, Day string }

// Evidence is what a set of files shows. It holds no personal data besides the
// keys of Sessions, which never leave the run.
type Evidence struct {
	Vars         Vars           // the external variables, with their origin
	Items        []EvidenceItem // provenance of each file: class, rows, period, hash; ids are the caller's
	Attestations []Attested     // from statement files
	Overlay      platform.Overlay
	Sessions     map[MemberDay]int64 // Cowork sessions by Analytics: the independent count; nil when none was given
	CloudSeen    bool                // a session that ran in the cloud is listed
	arrangements []arrangementSeen   // of the last settings snapshot
	Notes        []string            // what could not be computed, and what was missing
}

// maxEvidence bounds one file.
const maxEvidence = 64 << 20

// ReadEvidence reads exports from outside the telemetry: Activity Feed, session
// lists, Analytics, member lists, identity provider rosters, device inventories,
// tickets, access reviews, settings drift, personal plans, and statement files
// (YAML with figures, attestations, tests and facts). The kind of a file is told
// by its content, not its name.
//
// A row that cannot be read is counted on the item of its file; a file of no
// known kind, and a statement file with mistakes, are problems, and all problems
// of all files come back together as source.Problems. Figures are only ever set
// from rows: what a set of files does not show stays unknown, with a note.
func ReadEvidence(fr EvidenceFrame, paths ...string) (*Evidence, error) {
	in, err := loadIntake()
	if err != nil {
		return nil, err
	}
	r := newIntakeRun(in, fr)
	var ps source.Problems
	for _, p := range paths {
		data, err := readEvidenceFile(p)
		if err != nil {
			ps.Add(source.Pos{File: p}, "", "%v", err)
			continue
		}
		ps = append(ps, r.file(p, data)...)
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	r.conclude()
	return r.ev, nil
}

func newIntakeRun(in intake, fr EvidenceFrame) *intakeRun {
	r := &intakeRun{intake: in, frame: fr, ev: &Evidence{Vars: Vars{}}, idpSeen: map[string]account{}, lastUse: map[string]source.Date{}, tickets: map[string]bool{}}
	r.feed.ids = map[string]bool{}
	r.drift.open, r.drift.explained = map[string]bool{}, map[string]bool{}
	return r
}

func readEvidenceFile(p string) ([]byte, error) {
	f, err := os.Open(p)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			return nil, pe.Err
		}
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEvidence+1))
	if err == nil && len(data) > maxEvidence {
		err = fmt.Errorf("larger than %d MB", maxEvidence>>20)
	}
	return data, err
}

// Apply lays the evidence over inputs: an export outranks what was declared,
// modes are added to those declared, and a Compliance API that was read is on.
func (e *Evidence) Apply(in *Inputs) {
	in.Vars = in.Vars.Clone()
	for n, v := range e.Vars {
		if n == "capi_on_since" {
			if old := in.Vars[n]; old.Known && old.Text <= v.Text {
				continue // the first read of an interface says only that it was on by then
			}
		}
		in.Vars[n] = v
	}
	if modes := in.Vars["exec_modes"]; e.CloudSeen && !slices.Contains(modes.Set, "cloud") {
		in.Vars["exec_modes"] = Set(append(slices.Clone(modes.Set), "cloud")...).From("declared, and cloud sessions are listed by the Compliance API")
	}
	e.arranged(in)
	in.Attestations = append(slices.Clone(in.Attestations), e.Attestations...)
}

// Reconcile gives recon_ratio: sessions matched both ways, by member and day,
// over the union of what telemetry heard and what Analytics counted. It is
// unknown without an independent count.
func (e *Evidence) Reconcile(telemetry map[MemberDay]int64) Value {
	if e.Sessions == nil {
		return Value{}
	}
	var both, union int64
	for k, n := range e.Sessions {
		t := telemetry[k]
		both += min(n, t)
		union += max(n, t)
	}
	for k, t := range telemetry {
		if _, ok := e.Sessions[k]; !ok {
			union += t
		}
	}
	if union == 0 {
		return Value{}
	}
	return Number(tenThousandths(both, union)).From(fmt.Sprintf("telemetry against Analytics: %d of %d sessions matched by member and day", both, union))
}

// tenThousandths is n/of cut to four decimals, so that no rounding makes a
// ratio reach a threshold it does not.
func tenThousandths(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n*10000/of) / 10000
}

type account struct{ active bool }

type intakeRun struct {
	intake
	frame EvidenceFrame
	ev    *Evidence

	feed struct {
		seen  bool
		spans []span
		admin int64           // admin rows in the period
		ids   map[string]bool // of them; overlapping exports list some again
		read  source.Date
	}
	sessions struct {
		seen, contentKnown bool
		content            map[string]bool // by session id
		byDay              map[MemberDay]int64
	}
	analytics struct {
		seen bool
		span
	}
	lastUse  map[string]source.Date
	idpSeen  map[string]account
	idp      bool
	mfa, sso tally
	leavers  []int64 // hours
	personal struct {
		seen bool
		n    map[string]bool
	}
	devices  struct{ n, encrypted, versions, current int64 }
	tickets  map[string]bool // approved change tickets by activity id
	ticketed bool            // a change ticket export was read
	alerts   struct {
		seen       bool
		rows, done int64
	}
	silences struct {
		seen bool
		n    int64
	}
	review source.Date
	drift  struct {
		seen            bool
		open, explained map[string]bool // by setting
	}
	snapshots []snapshot
	kinds     []string // of the items, in order
	tests     []tenantTest
}

type tally struct{ yes, of int64 }

type tenantTest struct {
	Session string      `yaml:"session,required"`
	Date    source.Date `yaml:"date,required"`
	Who     string      `yaml:"who,required"`
}

// evidenceFile is a file while it is read.
type evidenceFile struct {
	name        string
	kind        string // as intake.yaml names it
	item        EvidenceItem
	rows, bad   int
	late        int
	first, last source.Date
}

func (f *evidenceFile) see(d source.Date) {
	if !d.Given() {
		return
	}
	if !f.first.Given() || d.Before(f.first) {
		f.first = d
	}
	if d.After(f.last) {
		f.last = d
	}
}

func (r *intakeRun) file(p string, data []byte) source.Problems {
	sum := sha256.Sum256(data)
	f := &evidenceFile{name: filepath.Base(p), item: EvidenceItem{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}}
	var ps source.Problems
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // which some programs save in front
	trimmed := bytes.TrimSpace(data)
	switch {
	case len(trimmed) == 0:
		ps.Add(source.Pos{File: p}, "export it again", "the file is empty")
	case trimmed[0] == '{' || trimmed[0] == '[':
		ps = r.json(p, f, trimmed)
	case looksLikeStatement(p, trimmed):
		ps = r.statement(p, f, data)
	default:
		ps = r.csv(p, f, data)
	}
	if len(ps) > 0 {
		return ps
	}
	if f.first.Given() {
		f.item.Period = f.first.String() + " to " + f.last.String()
	}
	note := countOf(f.rows, "row", "rows")
	if f.bad > 0 {
		note += fmt.Sprintf(", %d unusable", f.bad)
	}
	if f.late > 0 {
		note += fmt.Sprintf(", %d after %s left out", f.late, r.frame.AsOf)
	}
	f.item.Note = note + ". Not copied into the bundle."
	r.ev.Items, r.kinds = append(r.ev.Items, f.item), append(r.kinds, f.kind)
	return nil
}

func looksLikeStatement(p string, data []byte) bool {
	ext := strings.ToLower(filepath.Ext(p))
	if ext == ".yaml" || ext == ".yml" {
		return true
	}
	first, _, _ := bytes.Cut(data, []byte("\n"))
	return bytes.HasSuffix(bytes.TrimSpace(first), []byte(":"))
}

// known kinds, for the advice on a file that is none.
const knownKinds = "known are Activity Feed, session list, settings snapshots, Analytics, member list, identity roster (SCIM, Okta, Graph or CSV), devices, tickets, access reviews, settings drift, personal plans, and statement files in YAML"

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

// span is the days that exports reach over, without regard to holes.
type span struct{ first, last source.Date }

func (s *span) see(d source.Date) { s.first, s.last = earlier(s.first, d), later(s.last, d) }

// cover adds the ranges that exports say they cover.
func (s *span) cover(roots []map[string]any) {
	for _, root := range roots {
		a, b := dayOf(root, "starting_date", "starting_at", "from"), dayOf(root, "ending_date", "ending_at", "to")
		if a.Given() && b.Given() {
			s.see(a)
			s.see(b)
		}
	}
}

// feedOver begins a file of the Activity Feed.
func (r *intakeRun) feedOver(roots []map[string]any) {
	r.feed.seen = true
	var s span
	s.cover(roots)
	r.feed.spans = append(r.feed.spans, s)
}

// unbroken reports that spans reach from one day to another without a day between
// them that is in none.
func unbroken(spans []span, from, to source.Date) bool {
	spans = slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return !s.first.Given() })
	slices.SortFunc(spans, func(a, b span) int { return a.first.Time.Compare(b.first.Time) })
	next := from // the first day that is not covered yet
	for _, s := range spans {
		if s.first.After(next) {
			break
		}
		next = later(next, s.last.Add(1))
	}
	return next.After(to)
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

func (r *intakeRun) member(who string, active bool) bool {
	who = strings.ToLower(strings.TrimSpace(who))
	if who == "" {
		return false
	}
	r.idpSeen[who] = account{active: active}
	return true
}

func (r *intakeRun) csv(p string, f *evidenceFile, data []byte) source.Problems {
	var ps source.Problems
	c := csv.NewReader(bytes.NewReader(data))
	c.FieldsPerRecord = -1
	head, err := c.Read()
	if err != nil {
		ps.Add(source.Pos{File: p, Line: 1, Col: 1}, knownKinds, "not readable as CSV: %v", err)
		return ps
	}
	col := map[string]int{}
	for i, h := range head {
		col[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(h)), " ", "_")] = i
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := col[n]; ok {
				return true
			}
		}
		return false
	}
	var take func(get func(...string) string) bool
	switch {
	case has("encrypted", "disk_encrypted"):
		f.kind, f.item.What, f.item.Class, take = "devices", "Device inventory", "E5", r.device
	case has("plan") && has("email", "employee", "person"):
		f.kind, f.item.What, f.item.Class, take = "personal", "Personal plans found in roster, expenses or egress log", "E5", r.personalPlan
		r.personal.seen = true
	case has("reviewed_at", "reviewed_on"):
		f.kind, f.item.What, f.item.Class, take = "reviews", "Access review records", "E5", func(get func(...string) string) bool { return r.accessReview(f, get) }
	case has("setting") && has("explained", "approved"):
		f.kind, f.item.What, f.item.Class, take = "drift", "Settings drift", "E4", func(get func(...string) string) bool { return r.settingDrift(f, get) }
		r.drift.seen = true
	case has("kind") && has("raised_at", "opened_at"):
		f.kind, f.item.What, f.item.Class, take = "tickets", "Ticket export", "E5", func(get func(...string) string) bool { return r.ticket(f, get) }
	case has("email") && has("status", "active", "left_at", "mfa"):
		f.kind, f.item.What, f.item.Class, take = "identities", "Identity provider roster", "E5", func(get func(...string) string) bool { return r.rosterRow(f, get) }
		r.idp = true
	case has("email") && has("role", "seat_type"):
		f.kind, f.item.What, f.item.Class, take = "members", "Member list", "E1", func(get func(...string) string) bool { return r.member(get("email"), true) }
	default:
		ps.Add(source.Pos{File: p, Line: 1, Col: 1}, knownKinds, "columns %s are of no known kind", strings.Join(head[:min(len(head), 8)], ", "))
		return ps
	}
	for {
		rec, err := c.Read()
		if err == io.EOF {
			return nil
		}
		f.rows++
		if err != nil {
			f.bad++
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				continue
			}
			return nil
		}
		if !take(func(names ...string) string {
			for _, n := range names {
				if i, ok := col[n]; ok && i < len(rec) {
					return strings.TrimSpace(rec[i])
				}
			}
			return ""
		}) {
			f.bad++
		}
	}
}

func (r *intakeRun) device(get func(...string) string) bool {
	e := strings.ToLower(get("encrypted", "disk_encrypted"))
	if e == "" {
		return false
	}
	r.devices.n++
	if yes(e) {
		r.devices.encrypted++
	}
	if v := get("desktop_version", "version"); v != "" && r.frame.DesktopFloor != "" {
		r.devices.versions++
		if !versionBelow(v, r.frame.DesktopFloor) {
			r.devices.current++
		}
	}
	return true
}

// versionBelow compares dotted versions number by number.
func versionBelow(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < max(len(as), len(bs)); i++ {
		var x, y int
		if i < len(as) {
			fmt.Sscanf(as[i], "%d", &x)
		}
		if i < len(bs) {
			fmt.Sscanf(bs[i], "%d", &y)
		}
		if x != y {
			return x < y
		}
	}
	return false
}

func (r *intakeRun) personalPlan(get func(...string) string) bool {
	who, plan := strings.ToLower(get("email", "employee", "person")), strings.ToLower(get("plan"))
	if who == "" || plan == "" {
		return false
	}
	if strings.Contains(plan, "pro") || strings.Contains(plan, "max") {
		if r.personal.n == nil {
			r.personal.n = map[string]bool{}
		}
		r.personal.n[who] = true
	}
	return true
}

func (r *intakeRun) accessReview(f *evidenceFile, get func(...string) string) bool {
	d := parseDay(get("reviewed_at", "reviewed_on"))
	if !d.Given() || get("signed_by", "reviewer") == "" {
		return false
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	r.review = later(r.review, d)
	return true
}

func (r *intakeRun) settingDrift(f *evidenceFile, get func(...string) string) bool {
	d := parseDay(get("since", "first_seen", "date"))
	if get("setting") == "" || !d.Given() {
		return false
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	if name := get("setting"); yes(strings.ToLower(get("explained", "approved"))) {
		r.drift.explained[name] = true
	} else if d.Add(30).Before(r.frame.AsOf) {
		r.drift.open[name] = true
	}
	return true
}

func (r *intakeRun) ticket(f *evidenceFile, get func(...string) string) bool {
	raised, ok := parseMoment(get("raised_at", "opened_at"))
	if !ok {
		return false
	}
	d := dateOf(raised)
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	inPeriod := !d.Before(r.frame.From) && !d.After(r.frame.To)
	closed, done := parseMoment(get("closed_at", "dispositioned_at"))
	switch strings.ToLower(get("kind")) {
	case "alert":
		r.alerts.seen = true
		if inPeriod {
			r.alerts.rows++
			if done && !closed.Before(raised) && closed.Sub(raised) <= 24*time.Hour {
				r.alerts.done++
			}
		}
	case "silence":
		r.silences.seen = true
		if inPeriod {
			r.silences.n++
		}
	case "change":
		r.ticketed = true
		if id := get("activity_id", "activity", "ref"); id != "" && yes(strings.ToLower(get("approved"))) {
			r.tickets[id] = true
		}
	default:
		return false
	}
	return true
}

func (r *intakeRun) rosterRow(f *evidenceFile, get func(...string) string) bool {
	who := strings.ToLower(get("email"))
	if who == "" {
		return false
	}
	active := true
	if s := strings.ToLower(get("status", "active")); s != "" {
		active = s == "active" || yes(s)
	}
	left, gone := parseMoment(get("left_at", "left"))
	if gone {
		d := dateOf(left)
		if d.After(r.frame.AsOf) {
			f.late++
			gone = false
		} else {
			f.see(d)
			removed, ok := parseMoment(get("removed_at", "removed"))
			if !ok || removed.After(r.frame.AsOf.Time.Add(24*time.Hour)) {
				removed = r.frame.AsOf.Time.Add(24 * time.Hour) // not removed yet
			}
			hours := int64(math.Ceil(removed.Sub(left).Hours()))
			r.leavers = append(r.leavers, max(hours, 0))
		}
	}
	if active && !gone {
		for _, t := range []struct {
			name string
			to   *tally
		}{{"mfa", &r.mfa}, {"sso", &r.sso}} {
			if v := strings.ToLower(get(t.name)); v != "" {
				t.to.of++
				if yes(v) {
					t.to.yes++
				}
			}
		}
	}
	return r.member(who, active && !gone)
}

// statementFile is evidence that no product exports in a shape worth knowing,
// stated by a person with its source.
type statementFile struct {
	Figures []struct {
		Variable source.Text `yaml:"variable,required"`
		Value    source.Text `yaml:"value,required"`
		Date     source.Date `yaml:"date,required"`
		Who      string      `yaml:"who,required"`
		Source   string      `yaml:"source,required" advice:"name the system, the query and the day, so that somebody else can run it again"`
	} `yaml:"figures"`
	Attestations []struct {
		ID      source.Text `yaml:"id,required"`
		Who     string      `yaml:"who,required"`
		Role    string      `yaml:"role,required"`
		Scope   string      `yaml:"scope"`
		Date    source.Date `yaml:"date,required"`
		Expires source.Date `yaml:"expires"`
		Answer  *bool       `yaml:"answer"`
		For     source.Text `yaml:"for"`
	} `yaml:"attestations"`
	Tests []tenantTest     `yaml:"tests"`
	Facts platform.Overlay `yaml:"facts"`
}

func (r *intakeRun) statement(p string, f *evidenceFile, data []byte) source.Problems {
	file, err := source.Parse(p, data)
	if err != nil {
		return appendErr(nil, err)
	}
	var s statementFile
	if err := file.Decode(&s); err != nil {
		return appendErr(nil, err)
	}
	m, err := Default()
	if err != nil {
		return appendErr(nil, err)
	}
	var ps source.Problems
	f.item.What, f.item.Class, f.kind = "Statements with their sources", "E6", "statements"
	for _, x := range s.Figures {
		f.rows++
		f.see(x.Date)
		i, known := m.varIndex[x.Variable.Value]
		switch {
		case !known || !slices.Contains(r.Stated, x.Variable.Value):
			advice := "scope belongs in the scenario, telemetry in the stream; stated may be: " + strings.Join(r.Stated, ", ")
			if g := source.Nearest(x.Variable.Value, r.Stated); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(x.Variable.At, advice, "%q is not a figure that can be stated", x.Variable.Value)
			continue
		case x.Date.After(r.frame.AsOf):
			f.late++
			continue
		}
		v, err := ParseValue(m.vars[i].Type, x.Value.Value)
		if err != nil || !v.Known {
			ps.Add(x.Value.At, "", "%s: found %q, expected %s", x.Variable.Value, x.Value.Value, map[string]string{"bool": "yes or no", "int": "a whole number", "number": "a number"}[m.vars[i].Type])
			continue
		}
		r.ev.Vars[x.Variable.Value] = v.From(fmt.Sprintf("stated by %s on %s: %s", x.Who, x.Date, x.Source))
	}
	for _, x := range s.Attestations {
		f.rows++
		f.see(x.Date)
		switch {
		case x.For.Value == "" && m.atts[x.ID.Value] == nil:
			ps.Add(x.ID.At, adviceNearest(x.ID.Value, m.attOrder), "%q is not an attestation id", x.ID.Value)
		case x.For.Value != "" && m.elements[x.For.Value] == nil:
			ps.Add(x.For.At, adviceNearest(x.For.Value, m.elementNames()), "%q is not an element that a compensating control can stand in for", x.For.Value)
		default:
			r.ev.Attestations = append(r.ev.Attestations, Attested{ID: x.ID.Value, Who: x.Who, Role: x.Role, Scope: x.Scope, Date: x.Date, Expires: x.Expires, Answer: x.Answer == nil || *x.Answer, For: x.For.Value})
		}
	}
	for _, t := range s.Tests {
		f.rows++
		f.see(t.Date)
		r.tests = append(r.tests, t)
	}
	if _, err := m.facts.With(s.Facts); err != nil {
		ps = appendErr(ps, err)
	}
	f.rows += len(s.Facts)
	r.ev.Overlay = append(r.ev.Overlay, s.Facts...)
	return file.Explain(ps)
}

// conclude turns what all files showed together into figures.
func (r *intakeRun) conclude() {
	set := func(name string, v Value, origin string, args ...any) {
		r.ev.Vars[name] = v.From(fmt.Sprintf(origin, args...))
	}
	note := func(format string, args ...any) { r.ev.Notes = append(r.ev.Notes, fmt.Sprintf(format, args...)) }
	if r.feed.read.Given() {
		set("capi_on_since", Text(r.feed.read.String()), "the Activity Feed or the interface itself shows that it was on that day")
	}
	if r.feed.seen {
		n := r.feed.admin
		set("feed_admin_rows", Int(n), "Activity Feed export: %d rows of administration in the period", n)
		covers := unbroken(r.feed.spans, r.frame.From, earlier(r.frame.To, r.frame.AsOf))
		switch {
		case n > 0 && r.ticketed:
			matched := int64(0)
			for id := range r.feed.ids {
				if id != "" && r.tickets[id] {
					matched++
				}
			}
			set("feed_ticket_match_ratio", Number(tenThousandths(matched, n)), "%d of %d administration rows have an approved ticket", matched, n)
		case n == 0 && covers:
			set("feed_ticket_match_ratio", Number(1), "the export covers the period and holds no administration row")
		case n == 0:
			note("The Activity Feed export holds no administration row, and does not show that it covers the period, so nothing follows about tickets.")
		default:
			note("Administration rows cannot be matched to approvals without a ticket export (kind change, with activity_id and approved).")
		}
	}
	if r.sessions.seen {
		switch {
		case len(r.sessions.content) == 0:
			note("The session list is empty.")
		case !r.sessions.contentKnown:
			note("The session list does not say which sessions have content, and a listed session may have none. Export with messages, or with content_available.")
		case r.ev.Sessions == nil:
			note("The session list cannot be reconciled without Analytics by member and day; the interface gives no total.")
		default:
			var got, want int64
			for k, n := range r.ev.Sessions {
				want += n
				got += min(n, r.sessions.byDay[k])
			}
			if want > 0 {
				set("capi_recon_ratio", Number(tenThousandths(got, want)), "%d of %d Cowork sessions of Analytics are listed with content, by member and day", got, want)
			}
		}
	}
	for _, t := range r.tests {
		content, listed := r.sessions.content[t.Session]
		switch {
		case t.Date.After(r.frame.AsOf):
			note("The tenant test of %s lies after %s.", t.Date, r.frame.AsOf)
		case !r.sessions.seen:
			note("A tenant test is stated, but no session list was given in which its session can be found.")
		default:
			set("capi_tenant_test", Bool(listed && (content || !r.sessions.contentKnown)), "marked session of %s %s in the session list", t.Date, map[bool]string{true: "found", false: "not found"}[listed])
		}
	}
	if len(r.leavers) > 0 {
		slices.Sort(r.leavers)
		p95 := r.leavers[(len(r.leavers)*95+99)/100-1]
		set("leaver_lag_p95_h", Int(p95), "95th percentile over %s", countOf(len(r.leavers), "leaver", "leavers"))
	}
	for name, t := range map[string]tally{"mfa_enforced": r.mfa, "sso_enforced": r.sso} {
		if t.of > 0 {
			set(name, Bool(t.yes == t.of), "identity roster: %d of %d active accounts", t.yes, t.of)
		}
	}
	r.idle(set, note)
	if r.devices.n > 0 {
		set("disk_encrypted_ratio", Number(tenThousandths(r.devices.encrypted, r.devices.n)), "device inventory: %d of %d", r.devices.encrypted, r.devices.n)
		if r.devices.versions > 0 {
			set("desktop_floor_ratio", Number(tenThousandths(r.devices.current, r.devices.n)), "device inventory: %d of %d at or above %s", r.devices.current, r.devices.n, r.frame.DesktopFloor)
		}
	}
	if r.personal.seen {
		set("personal_seats", Int(int64(len(r.personal.n))), "personal plans found: %d people", len(r.personal.n))
	}
	if r.review.Given() {
		set("access_review_age_days", Int(int64(r.frame.AsOf.Time.Sub(r.review.Time).Hours()/24)), "last signed access review on %s", r.review)
	}
	r.settled(set, note)
	if r.drift.seen {
		set("drift_open", Int(int64(len(r.drift.open))), "%d unexplained differences older than 30 days", len(r.drift.open))
	}
	if r.alerts.seen {
		of := max(r.alerts.rows, int64(r.frame.Alerts))
		if of > 0 {
			set("review_done_ratio", Number(tenThousandths(r.alerts.done, of)), "%d of %d alerts of the period were disposed of within 24 hours", r.alerts.done, of)
		} else {
			note("No alert was raised in the period, so nothing shows that alerts are looked at.")
		}
	}
	if r.silences.seen && r.frame.Silences >= 0 {
		if r.frame.Silences == 0 {
			set("silence_tickets_ratio", Number(1), "no silence over 24 hours in the period")
		} else {
			n := min(r.silences.n, int64(r.frame.Silences))
			set("silence_tickets_ratio", Number(tenThousandths(n, int64(r.frame.Silences))), "%d tickets for %d silences over 24 hours", n, r.frame.Silences)
		}
	}
	r.supports()
}

// supports names on each item the elements that read a figure it can give, of
// the figures that came out.
func (r *intakeRun) supports() {
	m, err := Default()
	if err != nil {
		return
	}
	names := m.elementNames()
	for i := range r.ev.Items {
		given := slices.DeleteFunc(slices.Clone(r.Figures[r.kinds[i]]), func(n string) bool {
			return !r.ev.Vars[n].Known && (n != "recon_ratio" || r.ev.Sessions == nil) // telemetry is reconciled to Analytics later
		})
		if r.kinds[i] == "settings" && len(r.ev.arrangements) > 0 {
			given = append(given, "arrangements")
		}
		for _, n := range names {
			el := m.elements[n]
			if slices.ContainsFunc(m.closure(el.reads), func(v string) bool { return slices.Contains(given, v) }) {
				r.ev.Items[i].Supports = append(r.ev.Items[i].Supports, n)
			}
		}
		for _, a := range r.ev.Attestations {
			if r.kinds[i] == "statements" {
				r.ev.Items[i].Supports = append(r.ev.Items[i].Supports, "attested-"+strings.ReplaceAll(a.ID, "_", "-"))
			}
		}
	}
}

// idle counts enabled accounts that nobody used for more than 90 days. An
// account that Analytics does not list is idle only where the export reaches
// back 90 days.
func (r *intakeRun) idle(set func(string, Value, string, ...any), note func(string, ...any)) {
	if !r.analytics.seen || len(r.idpSeen) == 0 {
		return
	}
	limit := r.frame.AsOf.Add(-90)
	reaches := r.analytics.first.Given() && !r.analytics.first.After(limit)
	idle, unsure, enabled := int64(0), 0, 0
	for who, a := range r.idpSeen {
		if !a.active {
			continue
		}
		enabled++
		last, listed := r.lastUse[who]
		switch {
		case listed && last.Given() && !last.Before(limit):
		case listed && last.Given() || reaches:
			idle++
		default:
			unsure++
		}
	}
	if unsure > 0 {
		note("%d of %d enabled accounts are not in the Analytics export, which does not reach back 90 days, so idle accounts cannot be counted.", unsure, enabled)
		return
	}
	set("idle_accounts", Int(idle), "%d of %d enabled accounts unused since %s", idle, enabled, limit)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func truth(v any) bool {
	switch x := v.(type) {
	case bool:
		return x
	case string:
		return yes(strings.ToLower(x))
	}
	return false
}

func yes(s string) bool { return s == "yes" || s == "true" || s == "1" || s == "on" || s == "y" }

func whole(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil && i >= 0
}

// person is the member a row is about: the address in lower case, else the id.
func person(m map[string]any) string {
	u, ok := m["user"].(map[string]any)
	if !ok {
		u = m
	}
	for _, k := range []string{"email_address", "email"} {
		if s := text(u[k]); s != "" {
			return strings.ToLower(s)
		}
	}
	if _, nested := m["user"]; nested {
		return text(u["id"])
	}
	return text(m["user_id"])
}

func dayOf(m map[string]any, keys ...string) source.Date {
	for _, k := range keys {
		if d := parseDay(text(m[k])); d.Given() {
			return d
		}
	}
	return source.Date{}
}

func parseDay(s string) source.Date {
	t, ok := parseMoment(s)
	if !ok {
		return source.Date{}
	}
	return dateOf(t)
}

func dateOf(t time.Time) source.Date {
	t = t.UTC()
	return source.Day(t.Year(), t.Month(), t.Day())
}

func parseMoment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func earlier(a, b source.Date) source.Date {
	if !a.Given() || b.Given() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b source.Date) source.Date {
	if b.After(a) {
		return b
	}
	return a
}
