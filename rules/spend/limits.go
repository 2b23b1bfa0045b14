package spend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Scopes of a limit. The set is open: a row of another scope is kept, and binds
// nobody here.
const (
	scopeUser         = "user"
	scopeSeat         = "seat_tier"
	scopeGroup        = "rbac_group"
	scopeService      = "organization_service"
	scopeOrganisation = "organization"
)

// LimitRow is one row of the Spend Limits API: a configured limit
// (Type spend_limit) or a member's effective one (no Type, with a source).
//
// The scope organization of a configured row is the pooled ceiling of the whole
// organisation; the source organization of an effective row is the default that
// each member inherits. Both names are the vendor's, and they are two things.
type LimitRow struct {
	ID      string
	Type    string
	Scope   string
	Subject string // the user, group, seat tier or service; "" for the organisation
	Source  string // effective rows: where the limit comes from
	Known   bool   // scope, and source if any, are of the known set
	Period  string
	// Amount in micro-dollars. Unlimited is a null amount: on a configured row no
	// numeric cap, on an effective one no limit for the period.
	Amount    int64
	Unlimited bool
	Enabled   bool // false: extra usage is off, and the amount is kept
	ToDate    Reading
	// Status is set for an increase request (Type spend_limit_increase_request),
	// which has no amount: a sign of demand, and no limit.
	Status RequestStatus
	At     source.Pos
}

// Reading is spend to date as the API gives it: informational, and "0" both for
// nothing and for an answer that is temporarily unavailable.
type Reading struct {
	Micros int64
	Given  bool
	Zero   bool // reads "0": nothing, or unavailable
}

// Against holds the reading against what another source says was spent. A zero
// beside spend is an unavailable reading, and the other source is believed.
func (r Reading) Against(micros int64, known bool) (best int64, unavailable bool) {
	switch {
	case r.Given && !r.Zero:
		return r.Micros, false
	case r.Given && known && micros > 0, !r.Given:
		return micros, true
	}
	return 0, !known
}

// Used is how much of the amount has been spent, in thousandths of a percent,
// rounded down; ok is false without an amount or a reading, and for a reading of
// zero, which proves nothing.
func (r *LimitRow) Used() (milliPercent int64, ok bool) {
	if r.Unlimited || r.Amount <= 0 || !r.ToDate.Given || r.ToDate.Zero {
		return 0, false
	}
	v := new(big.Int).Mul(big.NewInt(r.ToDate.Micros), big.NewInt(100_000))
	return v.Div(v, big.NewInt(r.Amount)).Int64(), true
}

// LimitOptions of reading limits. Periods are those in force on the date (fact
// spend-limit-period); none means monthly. Currency "" means USD.
type LimitOptions struct {
	Periods  []string
	Currency string
	AsOf     source.Date
}

type jsonScope struct {
	Type    string `json:"type"`
	User    string `json:"user_id"`
	Group   string `json:"rbac_group_id"`
	Seat    string `json:"seat_tier"`
	Service string `json:"service"`
}

func (s *jsonScope) subject() string {
	for _, x := range []string{s.User, s.Group, s.Seat, s.Service} {
		if x != "" {
			return x
		}
	}
	return ""
}

var scopes = []string{scopeUser, scopeSeat, scopeGroup, scopeService, scopeOrganisation}

// ReadLimits reads rows of the Spend Limits API: {"data": [...]}, a list, or rows
// one after the other. All faults are reported with their places, and then no
// rows: two limits for one scope and period, an amount that is negative or has a
// part of a minor unit, a period that does not exist on the date, and a currency
// that is not the organisation's.
func ReadLimits(name string, r io.Reader, o LimitOptions) ([]LimitRow, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // spreadsheets write it
	if len(o.Periods) == 0 {
		o.Periods = []string{"monthly"}
	}
	if o.Currency == "" {
		o.Currency = "USD"
	}
	var ps source.Problems
	var rows []LimitRow
	type key struct{ kind, scope, subject, period string }
	first := map[key]source.Pos{}
	eachObject(name, data, &ps, func(raw json.RawMessage, pos source.Pos) {
		if row, ok := readRequest(raw, pos, &ps); ok {
			k := key{"pending request", scopeUser, row.Subject, ""}
			if at, dup := first[k]; dup && row.Status == Pending {
				ps.Add(pos, "a member has one pending request at most", "a second pending request of user %s (the first is at %s)", row.Subject, at)
				return
			} else if row.Status == Pending {
				first[k] = pos
			}
			rows = append(rows, row)
			return
		}
		row, ok := readLimit(raw, pos, o, &ps)
		if !ok {
			return
		}
		kind := "limit"
		if row.Source != "" {
			kind = "effective limit"
		}
		k := key{kind, row.Scope, row.Subject, row.Period}
		if at, dup := first[k]; dup {
			what := row.Scope
			if row.Subject != "" {
				what += " " + row.Subject
			}
			advice := "a scope and period have one limit: keep one of the rows"
			if row.Scope == scopeUser && kind == "limit" {
				advice = "overrides of one user overlap: keep one of the rows"
			}
			ps.Add(pos, advice, "a second %s %s for %s (the first is at %s)", row.Period, kind, what, at)
			return
		}
		first[k] = pos
		rows = append(rows, row)
	})
	if len(ps) == 0 && len(rows) == 0 {
		ps.Add(source.Pos{File: name}, "expected rows of the Spend Limits API, under data or one after the other", "no limit was found")
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return rows, nil
}

// readRequest reads an increase request; ok is false for rows of another type.
func readRequest(raw json.RawMessage, pos source.Pos, ps *source.Problems) (LimitRow, bool) {
	var in struct {
		ID     string        `json:"id"`
		Type   string        `json:"type"`
		Period string        `json:"period"`
		Status RequestStatus `json:"status"`
		Actor  struct {
			User string `json:"user_id"`
		} `json:"actor"`
	}
	if json.Unmarshal(raw, &in) != nil || in.Type != "spend_limit_increase_request" {
		return LimitRow{}, false
	}
	known := in.Status == Pending || in.Status == Approved || in.Status == Denied
	if !known {
		ps.Add(pos, "expected pending, approved or denied", "the request has the status %q", string(in.Status))
	}
	return LimitRow{ID: in.ID, Type: in.Type, Scope: scopeUser, Subject: in.Actor.User, Period: in.Period, Known: known, Status: in.Status, At: pos}, true
}

func readLimit(raw json.RawMessage, pos source.Pos, o LimitOptions, ps *source.Problems) (LimitRow, bool) {
	var in struct {
		ID       string          `json:"id"`
		Type     string          `json:"type"`
		Scope    *jsonScope      `json:"scope"`
		Source   *jsonScope      `json:"source"`
		Amount   json.RawMessage `json:"amount"`
		Currency string          `json:"currency"`
		Period   string          `json:"period"`
		Enabled  *bool           `json:"is_enabled"`
		ToDate   *string         `json:"period_to_date_spend"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		ps.Add(pos, "", "the row cannot be read: %v", err)
		return LimitRow{}, false
	}
	row := LimitRow{ID: in.ID, Type: in.Type, Period: in.Period, Enabled: in.Enabled == nil || *in.Enabled, At: pos}
	n := len(*ps)
	if in.Scope == nil || in.Scope.Type == "" {
		ps.Add(pos, "for example \"scope\": {\"type\": \"user\", \"user_id\": \"user_...\"}", "the row has no scope")
	} else {
		row.Scope, row.Subject = in.Scope.Type, in.Scope.subject()
		row.Known = slices.Contains(scopes, row.Scope)
		if row.Known && row.Scope != scopeOrganisation && row.Subject == "" {
			ps.Add(pos, "", "the scope %s names nobody", row.Scope)
		}
	}
	if in.Source != nil {
		row.Source = in.Source.Type
		row.Known = row.Known && slices.Contains(scopes, row.Source)
	}
	if !slices.Contains(o.Periods, in.Period) {
		on := ""
		if o.AsOf.Given() {
			on = " on " + o.AsOf.String()
		}
		ps.Add(pos, "limits run by "+strings.Join(o.Periods, ", "), "the period %q is not supported%s", in.Period, on)
	}
	if in.Currency != o.Currency {
		ps.Add(pos, "limits are in the organisation's billing currency; nothing is converted", "the currency is %q, expected %s", in.Currency, o.Currency)
	}
	switch s := string(in.Amount); {
	case s == "" || s == "null":
		row.Unlimited = true
	default:
		text := s // a bare number is read as well: some tools unquote
		if s[0] == '"' {
			_ = json.Unmarshal(in.Amount, &text)
		}
		minor, err := decimal(text, 0)
		switch {
		case err != nil && strings.Contains(text, "."):
			ps.Add(pos, "amounts are whole minor units, for example \"50000\" for 500.00", "the amount %q has a part of a minor unit", text)
		case err != nil:
			ps.Add(pos, "amounts are whole minor units, for example \"50000\" for 500.00", "the amount: %v", err)
		case minor > (1<<63-1)/Cent:
			ps.Add(pos, "", "the amount %s is too large", text)
		default:
			row.Amount = minor * Cent
		}
	}
	if in.ToDate != nil {
		u, err := decimal(*in.ToDate, 3)
		if err == nil && u > (1<<63-1)/(Cent/1000) {
			err = fmt.Errorf("%q is too large", *in.ToDate)
		}
		if err != nil {
			ps.Add(pos, "", "period_to_date_spend: %v", err)
		}
		row.ToDate = Reading{Micros: u * (Cent / 1000), Given: true, Zero: u == 0}
	}
	return row, len(*ps) == n
}

// eachObject hands out the objects of a JSON document: the elements of its data
// list, of a bare list, or top-level objects one after the other, with places.
func eachObject(name string, data []byte, ps *source.Problems, f func(json.RawMessage, source.Pos)) {
	d := json.NewDecoder(bytes.NewReader(data))
	where := &place{name: name, data: data}
	for {
		start := skipSpace(data, d.InputOffset())
		var raw json.RawMessage
		if err := d.Decode(&raw); err == io.EOF {
			return
		} else if err != nil {
			offset := d.InputOffset()
			var s *json.SyntaxError
			if errors.As(err, &s) {
				offset = max(s.Offset-1, 0)
			}
			ps.Add(where.pos(offset), "the file may be cut; export it again", "this is not JSON: %v", err)
			return
		}
		list, base := raw, start
		if raw[0] == '{' {
			var page map[string]json.RawMessage
			if json.Unmarshal(raw, &page) != nil || page["data"] == nil {
				f(raw, where.pos(start))
				continue
			}
			list = page["data"]
			base = start + int64(bytes.Index(raw, list))
		}
		in := json.NewDecoder(bytes.NewReader(list))
		if t, err := in.Token(); err != nil || t != json.Delim('[') {
			ps.Add(where.pos(base), "", "expected a list of rows")
			continue
		}
		for in.More() {
			at := skipSpace(list, in.InputOffset())
			var row json.RawMessage
			if in.Decode(&row) != nil {
				return // cannot be: the document was read once
			}
			f(row, where.pos(base+at))
		}
	}
}

func skipSpace(data []byte, at int64) int64 {
	for at < int64(len(data)) && strings.IndexByte(" \t\r\n,", data[at]) >= 0 {
		at++
	}
	return at
}

// Configure lays rows of configured limits over a scenario's limits: the rows
// replace all that the scenario states, as an export is the whole of what is
// configured. Groups are found by id, then by name. What binds nobody here is
// told in notes, never dropped quietly; effective rows are readings and configure
// nothing.
func Configure(rows []LimitRow, c *org.Config) (org.Spend, []string) {
	s := org.Spend{MultiGroup: c.Spend.MultiGroup, At: c.Spend.At}
	var notes []string
	money := func(r *LimitRow) source.Money { return source.Money{Micros: r.Amount, Given: true, At: r.At} }
	effective := 0
	requests := map[RequestStatus]int{}
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Status != "":
			requests[r.Status]++
		case r.Source != "":
			effective++
		case !r.Known:
			notes = append(notes, fmt.Sprintf("the row at %s has the scope %q, which this version does not know; it is kept and binds nobody", r.At, r.Scope))
		case r.Scope == scopeOrganisation && !r.Enabled:
			notes = append(notes, fmt.Sprintf("extra usage is off (row at %s): the amount is kept, and nothing beyond included usage runs", r.At))
			s.Organisation = source.Money{Given: true, At: r.At}
		case r.Scope == scopeOrganisation && !r.Unlimited:
			s.Organisation = money(r)
		case r.Scope == scopeSeat && !r.Unlimited:
			if s.SeatDefault.Given && s.SeatDefault.Micros != r.Amount {
				notes = append(notes, fmt.Sprintf("several seat tiers have a limit; the lower one is used for all (row at %s)", r.At))
			}
			if !s.SeatDefault.Given || r.Amount < s.SeatDefault.Micros {
				s.SeatDefault = money(r)
			}
		case r.Scope == scopeService:
			notes = append(notes, fmt.Sprintf("the limit of service %s (row at %s) is none of Cowork's", r.Subject, r.At))
		case r.Scope == scopeUser:
			s.Users = append(s.Users, org.UserLimit{Member: source.Text{Value: r.Subject, At: r.At}, Limit: source.Money{Micros: r.Amount, Given: !r.Unlimited, At: r.At}, Unlimited: r.Unlimited})
		case r.Scope == scopeGroup && !r.Unlimited:
			g := slices.IndexFunc(c.Groups, func(g org.Group) bool { return g.ID == r.Subject || g.Name.Value == r.Subject })
			if g < 0 {
				notes = append(notes, fmt.Sprintf("the limit on group %s (row at %s) binds nobody: the scenario has no group of that id or name", r.Subject, r.At))
				continue
			}
			l := org.GroupLimit{Group: source.Text{Value: c.Groups[g].Name.Value, At: r.At}, Limit: money(r), At: r.At}
			for _, old := range c.Spend.Groups { // the arithmetic behind a limit is the scenario's
				if old.Group.Value == l.Group.Value {
					l.Formula, l.Because = old.Formula, old.Because
				}
			}
			s.Groups = append(s.Groups, l)
		}
	}
	if n := requests[Pending] + requests[Approved] + requests[Denied]; n > 0 {
		notes = append(notes, fmt.Sprintf("increase requests: %d pending, %d approved, %d denied; a request names no amount, but it says that a limit binds",
			requests[Pending], requests[Approved], requests[Denied]))
	}
	if effective > 0 {
		notes = append(notes, fmt.Sprintf("%d rows are effective limits: they tell what applies to whom, and configure nothing", effective))
	}
	return s, notes
}
