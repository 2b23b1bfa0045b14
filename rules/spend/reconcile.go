package spend

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Estimates collects what telemetry says was spent, by member, UTC day and
// product. Telemetry's cost is the client's estimate at list price.
type Estimates struct {
	dir      *org.Directory
	sums     map[estimateKey]*Bucket
	alias    map[string]string // keys of members that are not on the roster, in lower case
	missing  int64
	requests int64
}

type estimateKey struct{ member, day, product string }

// NewEstimates matches members against the directory; one that is not on it keeps
// the key it has on the wire.
func NewEstimates(d *org.Directory) *Estimates {
	return &Estimates{dir: d, sums: map[estimateKey]*Bucket{}, alias: map[string]string{}}
}

var productNames = map[event.Product]string{event.Cowork: "cowork", event.ClaudeCode: "claude_code", event.OfficeAgents: "office_agent"}

// Observe takes one record; only API requests of products with a name in cost
// exports count.
func (t *Estimates) Observe(ev *event.Event) {
	product := productNames[ev.Product]
	if ev.Kind != event.APIRequest || product == "" {
		return
	}
	t.requests++
	if ev.CostMicros < 0 || ev.CostFrom == event.NoCost || ev.CostFrom == event.CostMissing {
		t.missing++
		return
	}
	k := estimateKey{product: product, day: ev.When().Format(time.DateOnly)}
	for _, key := range [...]string{ev.Account, ev.Email, ev.AccountID} {
		switch {
		case key == "":
		case k.member == "":
			if k.member = t.known(key); k.member == key && !t.onRoster(key) {
				t.call(key, key)
			}
		case !t.onRoster(k.member):
			t.call(key, k.member)
		}
	}
	b := t.sums[k]
	if b == nil {
		b = &Bucket{}
		k.member = strings.Clone(k.member)
		t.sums[k] = b
	}
	b.Requests++
	b.Micros = add(b.Micros, ev.CostMicros)
}

// call remembers the first name that goes with a key of somebody not on the roster.
func (t *Estimates) call(key, member string) {
	if low := strings.ToLower(key); t.alias[low] == "" {
		t.alias[strings.Clone(low)] = strings.Clone(member)
	}
}

// known is one name for a member, however the key spells them: the roster's, or
// the one the stream itself uses beside that key.
func (t *Estimates) known(key string) string {
	m, ok := t.dir.Find(key)
	if !ok {
		if m, ok = t.dir.Find(strings.ToLower(key)); !ok {
			return cmp.Or(t.alias[strings.ToLower(key)], key)
		}
	}
	return t.dir.Key(m)
}

// States of a compared row.
const (
	Matched            = "matched"
	MissingInExport    = "in telemetry only"
	MissingInTelemetry = "in the export only"
	UnattributedRow    = "unattributed telemetry"
	OutsideExport      = "telemetry of other days"
)

// ReconRow is one member, day and product, as far as the export tells them apart.
// Member is the internal key; writers put a pseudonym in its place.
type ReconRow struct {
	Member    string `json:"member,omitempty"`
	Day       string `json:"day,omitempty"`
	Product   string `json:"product"`
	State     string `json:"state"`
	Telemetry Unit   `json:"telemetry_units"` // 10^-8 dollars
	Export    Unit   `json:"export_units"`
	// Ratio is export over telemetry in thousandths, rounded half up; 0 unless
	// matched with some telemetry.
	Ratio int64 `json:"ratio_permille,omitempty"`
}

// Difference is export minus telemetry.
func (r *ReconRow) Difference() Unit { return r.Export - r.Telemetry }

// Reconciliation holds telemetry against a cost export. Units are 10^-8 dollars.
// Evaluable is false when no request carries a cost: that is not agreement.
type Reconciliation struct {
	Evaluable bool           `json:"evaluable"`
	Basis     string         `json:"basis"` // which amount of the export is compared
	By        string         `json:"by"`    // what a row stands for
	Rows      []ReconRow     `json:"rows"`
	Totals    []ReconTotal   `json:"totals"` // by state, in a fixed order
	Band      *Band          `json:"band"`   // nil without a matched row
	Products  []ReconProduct `json:"products_without_telemetry"`
	Notes     []string       `json:"notes"`
}

// ReconTotal sums rows of one state. Cents are rounded half to even, once, and the
// residue is what that left: cents*10^6 + residue is the sum.
type ReconTotal struct {
	State            string `json:"state"`
	Rows             int    `json:"rows"`
	Telemetry        Unit   `json:"telemetry_units"`
	Export           Unit   `json:"export_units"`
	TelemetryCents   int64  `json:"telemetry_cents"`
	TelemetryResidue Unit   `json:"telemetry_residue_units"`
	ExportCents      int64  `json:"export_cents"`
	ExportResidue    Unit   `json:"export_residue_units"`
}

// Band is the spread of export over telemetry in matched rows, in thousandths:
// what a telemetry figure may be off by. Whole is that of the sums.
type Band struct {
	Rows   int   `json:"rows"`
	Low    int64 `json:"low_permille"`
	P10    int64 `json:"p10_permille"`
	Median int64 `json:"median_permille"`
	P90    int64 `json:"p90_permille"`
	High   int64 `json:"high_permille"`
	Whole  int64 `json:"whole_permille"`
}

// ReconProduct is a product of the export that this stream cannot show.
type ReconProduct struct {
	Product string `json:"product"`
	Units   Unit   `json:"export_units"`
	Counts  string `json:"limits"` // how it stands to members' limits, see Rules.Counts
}

// Reconcile compares telemetry with an export. Products that are not on the wire
// here are listed apart and enter no difference.
func (t *Estimates) Reconcile(e *CostExport, rules Rules) *Reconciliation {
	r := &Reconciliation{Evaluable: t.requests > t.missing, Rows: []ReconRow{}, Totals: []ReconTotal{}, Products: []ReconProduct{}, Notes: []string{}}
	note := func(f string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(f, args...)) }
	list := true
	for i := range e.Rows {
		list = list && e.Rows[i].HasList
	}
	r.Basis = "list price"
	if !list {
		r.Basis = "after discount"
		note("not every row has a list amount, so the amounts after discount are compared: telemetry is at list price, and the discount shows as a difference")
	}
	switch {
	case e.PerMember && e.PerDay:
		r.By = "member, day and product"
	case e.PerMember:
		r.By = "member and product, over the whole period: the export has no days"
	case e.PerDay:
		r.By = "day and product: the export names no members"
	default:
		r.By = "product: the export names neither days nor members"
	}
	type pair struct {
		telemetry, export Unit
		hasT, hasE        bool
	}
	pairs := map[estimateKey]*pair{}
	at := func(k estimateKey) *pair {
		if !e.PerDay {
			k.day = ""
		}
		p := pairs[k]
		if p == nil {
			p = &pair{}
			pairs[k] = p
		}
		return p
	}
	here := map[string]bool{}
	for _, name := range productNames {
		here[name] = true
	}
	shown := map[string]bool{}
	for k := range t.sums {
		shown[k.product] = true
	}
	away := map[string]Unit{}
	for i := range e.Rows {
		x := &e.Rows[i]
		product := cmp.Or(x.Product, "cowork")
		amount := x.Net
		if list {
			amount = x.List
		}
		if !here[product] || !shown[product] && product != "cowork" {
			away[product] = add(away[product], amount)
			continue
		}
		k := estimateKey{day: x.Day, product: product}
		for _, key := range x.Keys {
			if k.member == "" {
				k.member = key
			}
			if n := t.known(key); n != key || t.onRoster(key) || t.alias[strings.ToLower(key)] != "" {
				k.member = n
				break
			}
		}
		p := at(k)
		p.export, p.hasE = add(p.export, amount), true
	}
	for k, b := range t.sums {
		if !e.PerMember {
			k.member = ""
		}
		p := at(k)
		p.telemetry, p.hasT = add(p.telemetry, mul(b.Micros)), true
	}
	first, last := days(e)
	var ratios []int64
	for k, p := range pairs {
		row := ReconRow{Member: k.member, Day: k.day, Product: k.product, Telemetry: p.telemetry, Export: p.export, State: Matched}
		switch {
		case e.PerDay && !p.hasE && (k.day < first || k.day > last):
			row.State = OutsideExport
		case e.PerMember && k.member == "" && p.hasT:
			row.State = UnattributedRow
		case !p.hasE:
			row.State = MissingInExport
		case !p.hasT:
			row.State = MissingInTelemetry
		case p.telemetry > 0:
			row.Ratio = permille(p.export, p.telemetry)
			ratios = append(ratios, row.Ratio)
		}
		r.Rows = append(r.Rows, row)
	}
	sort.Slice(r.Rows, func(i, j int) bool {
		a, b := r.Rows[i], r.Rows[j]
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Product, b.Product)) < 0
	})
	for p, u := range away {
		r.Products = append(r.Products, ReconProduct{p, u, rules.Counts(p)})
	}
	slices.SortFunc(r.Products, func(a, b ReconProduct) int { return cmp.Compare(a.Product, b.Product) })
	r.totals()
	if len(ratios) > 0 {
		slices.Sort(ratios)
		q := func(pct int) int64 { return ratios[max((len(ratios)*pct+99)/100-1, 0)] }
		r.Band = &Band{Rows: len(ratios), Low: ratios[0], P10: q(10), Median: q(50), P90: q(90), High: ratios[len(ratios)-1]}
		for _, x := range r.Totals {
			if x.State == Matched && x.Telemetry > 0 {
				r.Band.Whole = permille(x.Export, x.Telemetry)
			}
		}
	}
	switch {
	case !r.Evaluable:
		note("not evaluable: no request of the stream carries a cost, which is not a cost of zero")
	case t.missing > 0:
		note("%d of %d requests carry no cost: telemetry is too low by theirs", t.missing, t.requests)
	}
	if e.Cut {
		note("the export says that more pages follow: what is missing from it may be on them")
	}
	if !e.Refreshed.IsZero() && last != "" {
		if d, err := time.Parse(time.DateOnly, last); err == nil && e.Refreshed.Before(d.AddDate(0, 0, 31)) {
			note("the export was refreshed on %s; cost rows may be revised for 30 days after their day", e.Refreshed.Format(time.DateOnly))
		}
	}
	return r
}

// days are the first and last day of an export, "" when it has none.
func days(e *CostExport) (first, last string) {
	for i := range e.Rows {
		if d := e.Rows[i].Day; d != "" {
			if first == "" || d < first {
				first = d
			}
			last = max(last, d)
		}
	}
	return first, last
}

func (t *Estimates) onRoster(key string) bool {
	_, ok := t.dir.Find(key)
	return ok
}

func mul(micros int64) Unit {
	if micros > (1<<63-1)/unitsPerMicro {
		return 1<<63 - 1
	}
	return micros * unitsPerMicro
}

// permille is a/b in thousandths, rounded half up, for b > 0.
func permille(a, b Unit) int64 {
	if max(a, b) > (1<<63-1)/2001 { // scale down: a thousandth does not need the last digits
		a, b = a/4096, max(b/4096, 1)
	}
	return (2000*a + b) / (2 * b)
}

func (r *Reconciliation) totals() {
	for _, state := range []string{Matched, MissingInExport, MissingInTelemetry, UnattributedRow, OutsideExport} {
		t := ReconTotal{State: state}
		for i := range r.Rows {
			if x := &r.Rows[i]; x.State == state {
				t.Rows++
				t.Telemetry, t.Export = add(t.Telemetry, x.Telemetry), add(t.Export, x.Export)
			}
		}
		t.TelemetryCents, t.TelemetryResidue = Cents(t.Telemetry)
		t.ExportCents, t.ExportResidue = Cents(t.Export)
		r.Totals = append(r.Totals, t)
	}
}

// Units writes an amount of 10^-8 dollars in full: $18.75500000.
func Units(u Unit) string {
	sign := ""
	if u < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s$%d.%08d", sign, u/100_000_000, u%100_000_000)
}

// Rename replaces the member of every row, and puts the rows in the order of the
// new names.
func (r *Reconciliation) Rename(name func(member string) string) {
	for i := range r.Rows {
		if m := r.Rows[i].Member; m != "" {
			r.Rows[i].Member = name(m)
		}
	}
	slices.SortFunc(r.Rows, func(a, b ReconRow) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Product, b.Product))
	})
}

// Write prints the comparison: the totals, the band, and the rows that do not
// match, or all.
func (r *Reconciliation) Write(w io.Writer, all bool) error {
	var b strings.Builder
	say := func(f string, args ...any) { fmt.Fprintf(&b, f+"\n", args...) }
	say("Telemetry against the cost export, by %s; compared at %s.", r.By, r.Basis)
	say("Telemetry's cost is the client's own estimate; the invoice decides.")
	for _, n := range r.Notes {
		say("Note: %s.", n)
	}
	say("\n%-26s %6s %18s %18s %18s", "", "rows", "telemetry", "export", "export - telemetry")
	for _, t := range r.Totals {
		say("%-26s %6d %18s %18s %18s", t.State, t.Rows, Units(t.Telemetry), Units(t.Export), Units(t.Export-t.Telemetry))
	}
	var telemetry, export Unit
	for _, t := range r.Totals {
		telemetry, export = add(telemetry, t.Telemetry), add(export, t.Export)
	}
	tc, tr := Cents(telemetry)
	ec, er := Cents(export)
	say("%-26s %6d %18s %18s %18s", "sum", len(r.Rows), Units(telemetry), Units(export), Units(export-telemetry))
	say("rounded once, half to even: telemetry %s (residue %s), export %s (residue %s)",
		Dollars(tc*Cent), Units(tr), Dollars(ec*Cent), Units(er))
	for _, p := range r.Products {
		say("%-26s in the export only: %s; this stream cannot show it; %s", p.Product, Units(p.Units), p.Counts)
	}
	if x := r.Band; x != nil {
		say("\nThe band of %d matched rows, export over telemetry: lowest %s, P10 %s, median %s, P90 %s, highest %s; of the sums %s",
			x.Rows, times(x.Low), times(x.P10), times(x.Median), times(x.P90), times(x.High), times(x.Whole))
	}
	first := true
	for i := range r.Rows {
		x := &r.Rows[i]
		if (x.State == Matched || x.State == OutsideExport) && !all {
			continue
		}
		if first {
			say("\n%-10s  %-17s  %-12s  %18s %18s  state", "day", "member", "product", "telemetry", "export")
			first = false
		}
		say("%-10s  %-17s  %-12s  %18s %18s  %s", cmp.Or(x.Day, "-"), cmp.Or(x.Member, "-"), x.Product, Units(x.Telemetry), Units(x.Export), x.State)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func times(permille int64) string { return fmt.Sprintf("%d.%03d", permille/1000, permille%1000) }
