package assess

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

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

func (r *intakeRun) member(who string, active bool) bool {
	who = strings.ToLower(strings.TrimSpace(who))
	if who == "" {
		return false
	}
	r.idpSeen[who] = account{active: active}
	return true
}
