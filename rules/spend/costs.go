package spend

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Unit is the money of reconciliation: 10^-8 of a dollar. Cost rows are cents with
// six decimals, which is exactly that; a micro-dollar is 100 of them.
type Unit = int64

const unitsPerMicro = 100

// Cents rounds a sum of units to whole cents, half to even, and gives what was
// rounded away: rounded*1_000_000 + residue is the sum. Sums are rounded once, at
// the end.
func Cents(u Unit) (rounded int64, residue Unit) {
	const cent = 1_000_000
	q, r := u/cent, u%cent
	if r < 0 {
		q, r = q-1, r+cent
	}
	if r > cent/2 || r == cent/2 && q&1 == 1 {
		q, r = q+1, r-cent
	}
	return q, r
}

// CostRow is one row of a cost export. Keys are the ways the row names its member,
// all empty in a row of the whole organisation. Day is YYYY-MM-DD, empty where the
// export sums up the period.
type CostRow struct {
	Keys     []string
	Day      string
	Product  string
	Model    string
	List     Unit // at the rate card
	Net      Unit // after discount, before credits
	HasList  bool
	HasNet   bool
	Requests int64
	At       source.Pos
}

// CostExport is what the vendor says was spent: rows of the Analytics API's cost
// report or user cost report (JSON), or a CSV such as the spend report.
type CostExport struct {
	Name      string
	Rows      []CostRow
	Refreshed time.Time // the export's own watermark; zero when it has none
	PerMember bool
	PerDay    bool
	// Cut is set when the export says that more pages follow.
	Cut bool
}

// maxCostBytes bounds one export.
const maxCostBytes = 256 << 20

// ReadCosts reads one export, JSON or CSV by its first character. Every faulty row
// is reported with its place; then no export is returned.
func ReadCosts(name string, r io.Reader) (*CostExport, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxCostBytes {
		return nil, fmt.Errorf("%s is larger than %d MB; export fewer days at a time", name, maxCostBytes>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // spreadsheets write it
	e := &CostExport{Name: name}
	var ps source.Problems
	switch t := bytes.TrimSpace(data); {
	case len(t) == 0:
		ps.Add(source.Pos{File: name}, "export again, as JSON or CSV", "the file is empty")
	case t[0] == '{' || t[0] == '[':
		e.readJSON(data, &ps)
	default:
		e.readCSV(data, &ps)
	}
	for i := range e.Rows {
		e.PerMember = e.PerMember || len(e.Rows[i].Keys) > 0
		e.PerDay = e.PerDay || e.Rows[i].Day != ""
	}
	if len(ps) == 0 && len(e.Rows) == 0 {
		ps.Add(source.Pos{File: name}, "expected rows under data, or a CSV with a head", "no cost row was found")
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return e, nil
}

// place turns a byte offset into a position. Offsets must rise between calls.
type place struct {
	name      string
	data      []byte
	at        int
	line, col int
}

func (p *place) pos(offset int64) source.Pos {
	for ; p.at < len(p.data) && p.at < int(offset); p.at++ {
		if p.col++; p.data[p.at] == '\n' {
			p.line, p.col = p.line+1, 0
		}
	}
	return source.Pos{File: p.name, Line: p.line + 1, Col: p.col + 1}
}

type jsonActor struct {
	UserID string `json:"user_id"`
	ID     string `json:"id"`
	Email  string `json:"email"`
	Mail   string `json:"email_address"`
	UUID   string `json:"account_uuid"`
}

type jsonCost struct {
	Start    string          `json:"starting_at"`
	Date     string          `json:"date"`
	Product  string          `json:"product"`
	Model    string          `json:"model"`
	Amount   json.RawMessage `json:"amount"`
	List     json.RawMessage `json:"list_amount"`
	Currency string          `json:"currency"`
	Requests int64           `json:"requests"`
	Actor    *jsonActor      `json:"actor"`
	User     *jsonActor      `json:"user"`
	Results  []jsonCost      `json:"results"`
}

// readJSON reads {"data": [...]}, a bare list, or several such documents one after
// the other (the pages of a report).
func (e *CostExport) readJSON(data []byte, ps *source.Problems) {
	d := json.NewDecoder(bytes.NewReader(data))
	at := &place{name: e.Name, data: data}
	fail := func(err error) {
		offset := d.InputOffset()
		var s *json.SyntaxError
		if errors.As(err, &s) {
			offset = max(s.Offset-1, 0)
		}
		ps.Add(at.pos(offset), "the file may be cut; export it again", "this is not JSON: %v", err)
	}
	rows := func() bool {
		for d.More() {
			// The place is that of the row's brace.
			from := d.InputOffset()
			for from < int64(len(data)) && strings.IndexByte(" \t\r\n,", data[from]) >= 0 {
				from++
			}
			pos := at.pos(from)
			var row jsonCost
			var wrong *json.UnmarshalTypeError
			switch err := d.Decode(&row); {
			case errors.As(err, &wrong): // the row has been read to its end
				ps.Add(pos, "", "%s is a %s, expected %s", wrong.Field, wrong.Value, wrong.Type)
			case err != nil:
				fail(err)
				return false
			default:
				e.row(&row, pos, ps)
			}
		}
		_, err := d.Token() // the closing bracket
		if err != nil {
			fail(err)
		}
		return err == nil
	}
	for {
		t, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			fail(err)
			return
		}
		switch t {
		case json.Delim('['):
			if !rows() {
				return
			}
		case json.Delim('{'):
			for d.More() {
				k, err := d.Token()
				if err != nil {
					fail(err)
					return
				}
				switch k {
				case "data":
					if t, err := d.Token(); err != nil || t != json.Delim('[') {
						ps.Add(at.pos(d.InputOffset()), "", "data is not a list")
						return
					}
					if !rows() {
						return
					}
				case "has_more":
					var more bool
					if d.Decode(&more) == nil {
						e.Cut = more // the last page decides
					}
				case "data_refreshed_at":
					var s string
					if d.Decode(&s) == nil {
						if t, err := time.Parse(time.RFC3339, s); err == nil && (e.Refreshed.IsZero() || t.Before(e.Refreshed)) {
							e.Refreshed = t.UTC()
						}
					}
				default:
					var skip json.RawMessage
					if err := d.Decode(&skip); err != nil {
						fail(err)
						return
					}
				}
			}
			if _, err := d.Token(); err != nil {
				fail(err)
				return
			}
		default:
			ps.Add(at.pos(d.InputOffset()), "", "expected an object or a list")
			return
		}
	}
}

func (e *CostExport) row(r *jsonCost, pos source.Pos, ps *source.Problems) {
	if r.Results != nil {
		for i := range r.Results {
			x := &r.Results[i]
			if x.Start == "" {
				x.Start = r.Start
			}
			if x.Actor == nil {
				x.Actor = r.Actor
			}
			e.row(x, pos, ps)
		}
		return
	}
	out := CostRow{Product: r.Product, Model: r.Model, Requests: r.Requests, At: pos}
	actor := r.Actor
	if actor == nil {
		actor = r.User
	}
	if actor != nil {
		for _, k := range []string{actor.UUID, actor.Email, actor.Mail, actor.UserID, actor.ID} {
			if k != "" && !slices.Contains(out.Keys, k) {
				out.Keys = append(out.Keys, k)
			}
		}
	}
	if s := r.Start + r.Date; s != "" {
		if out.Day = dayOf(s); out.Day == "" {
			ps.Add(pos, "expected RFC 3339 or YYYY-MM-DD", "%q is not a day", s)
		}
	}
	if r.Requests < 0 {
		ps.Add(pos, "", "%d is not a count of requests", r.Requests)
	}
	if r.Currency != "" && r.Currency != "USD" {
		ps.Add(pos, "cost rows are in US dollars; convert nothing, export again", "the currency is %q, expected USD", r.Currency)
	}
	faulty := false
	money := func(name string, raw json.RawMessage, to *Unit, given *bool) {
		if raw == nil || string(raw) == "null" {
			return
		}
		s := string(raw)
		if s[0] == '"' {
			_ = json.Unmarshal(raw, &s)
		}
		u, err := decimal(s, 6)
		if err != nil {
			ps.Add(pos, "amounts are cents with up to six decimals, for example \"1875.500000\"", "%s: %v", name, err)
			faulty = true
			return
		}
		*to, *given = u, true
	}
	money("amount", r.Amount, &out.Net, &out.HasNet)
	money("list_amount", r.List, &out.List, &out.HasList)
	if faulty {
		return
	}
	if !out.HasNet && !out.HasList {
		ps.Add(pos, "expected amount or list_amount", "the row has no amount")
		return
	}
	e.Rows = append(e.Rows, out)
}

// columns are the names that a CSV may give its columns, lower case without
// spaces, dashes and underscores.
var columns = map[string]string{
	"date": "day", "day": "day", "startingat": "day", "usagedate": "day",
	"email": "email", "useremail": "email", "emailaddress": "email", "actoremail": "email",
	"accountuuid": "uuid", "useraccountuuid": "uuid", "userid": "id", "actoruserid": "id",
	"product": "product", "model": "model", "currency": "currency",
	"requests": "requests", "totalrequests": "requests",
	"amountcents": "netcents", "amount": "netcents", "listamount": "listcents", "listamountcents": "listcents",
	"amountusd": "net", "costusd": "net", "netspendusd": "net", "totalnetspendusd": "net",
	"listamountusd": "list", "grossspendusd": "list", "totalgrossspendusd": "list",
}

func (e *CostExport) readCSV(data []byte, ps *source.Problems) {
	r := csv.NewReader(bufio.NewReader(bytes.NewReader(data)))
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	head, err := r.Read()
	if err != nil {
		ps.Add(source.Pos{File: e.Name, Line: 1, Col: 1}, "", "the head cannot be read: %v", err)
		return
	}
	what := make([]string, len(head))
	var known []string
	for i, h := range head {
		key := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(h)))
		if what[i] = columns[key]; what[i] == "" {
			continue
		}
		if slices.Contains(known, what[i]) {
			line, col := r.FieldPos(i)
			ps.Add(source.Pos{File: e.Name, Line: line, Col: col}, "keep one of them", "column %q says the same as an earlier one", h)
		}
		known = append(known, what[i])
	}
	if !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, "net") || strings.HasPrefix(k, "list") }) {
		ps.Add(source.Pos{File: e.Name, Line: 1, Col: 1}, "expected one of total_net_spend_usd, total_gross_spend_usd, cost_usd (dollars), amount, list_amount (cents)",
			"no column holds an amount: %s", strings.Join(head, ", "))
		return
	}
	width := len(head)
	for {
		rec, err := r.Read()
		if err == io.EOF {
			return
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				ps.Add(source.Pos{File: e.Name, Line: pe.Line, Col: pe.Column}, "", "%v", pe.Err)
			} else {
				ps.Add(source.Pos{File: e.Name}, "", "%v", err)
			}
			return // quotes are out of step from here on
		}
		line, _ := r.FieldPos(0)
		if len(rec) != width {
			ps.Add(source.Pos{File: e.Name, Line: line, Col: 1}, "", "the row has %d fields, the head %d", len(rec), width)
			continue
		}
		row, faulty := CostRow{At: source.Pos{File: e.Name, Line: line, Col: 1}}, false
		for i, v := range rec {
			v = strings.TrimSpace(v)
			if v == "" || what[i] == "" {
				continue
			}
			fl, fc := r.FieldPos(i)
			pos := source.Pos{File: e.Name, Line: fl, Col: fc}
			switch what[i] {
			case "day":
				if row.Day = dayOf(v); row.Day == "" {
					ps.Add(pos, "expected RFC 3339 or YYYY-MM-DD", "%q is not a day", v)
				}
			case "uuid", "email", "id":
				row.Keys = append(row.Keys, strings.Clone(v))
			case "product":
				row.Product = strings.Clone(v)
			case "model":
				row.Model = strings.Clone(v)
			case "currency":
				if v != "USD" {
					ps.Add(pos, "cost rows are in US dollars; convert nothing, export again", "the currency is %q, expected USD", v)
				}
			case "requests":
				if row.Requests, err = strconv.ParseInt(v, 10, 64); err != nil || row.Requests < 0 {
					ps.Add(pos, "", "%q is not a count of requests", v)
				}
			default:
				decimals, unit := 8, "dollars with up to eight decimals"
				if strings.HasSuffix(what[i], "cents") {
					decimals, unit = 6, "cents with up to six decimals"
				}
				u, err := decimal(strings.TrimPrefix(v, "$"), decimals)
				if err != nil {
					ps.Add(pos, "expected "+unit, "%s: %v", amountName(what[i]), err)
					faulty = true
					continue
				}
				if strings.HasPrefix(what[i], "list") {
					row.List, row.HasList = u, true
				} else {
					row.Net, row.HasNet = u, true
				}
			}
		}
		if !row.HasList && !row.HasNet {
			if !faulty {
				ps.Add(row.At, "", "the row has no amount")
			}
			continue
		}
		e.Rows = append(e.Rows, row)
	}
}

func amountName(kind string) string {
	if strings.HasPrefix(kind, "list") {
		return "the list amount"
	}
	return "the amount"
}

// dayOf is the UTC day of a time or date, "" when it is neither.
func dayOf(s string) string {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC().Format(time.DateOnly)
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.Format(time.DateOnly)
	}
	return ""
}

// decimal reads a plain decimal number with at most so many decimals as an exact
// integer of its last place. Signs, exponents and thousands separators are
// refused: nothing is guessed about money.
func decimal(s string, decimals int) (int64, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if s == "" || whole == "" && frac == "" {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%q is below zero", s)
	}
	if len(frac) > decimals {
		if strings.Trim(frac[decimals:], "0") != "" {
			return 0, fmt.Errorf("%q has more than %d decimals", s, decimals)
		}
		frac = frac[:decimals]
	}
	var n uint64
	for _, c := range whole + frac + strings.Repeat("0", decimals-len(frac)) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a plain decimal number", s)
		}
		if n > 1<<62/10 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		n = n*10 + uint64(c-'0')
	}
	return int64(n), nil
}
