package spend

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
)

type memberMonth struct{ member, month int }

type observer struct {
	seq      int64 // orders the moments at which limits were reached
	requests int64
	costs    Costs
	others   [8]int64 // requests of products that do not share the limits, by product
	unattrib Bucket
	blocked  map[memberMonth]*Blocked
}

// Bucket is requests and their spend.
type Bucket struct {
	Requests int64 `json:"requests"`
	Micros   int64 `json:"micros"`
}

// Costs counts requests by where their amount comes from.
type Costs struct {
	Sent       int64 `json:"sent"`
	Recomputed int64 `json:"recomputed"`
	Missing    int64 `json:"missing"`
}

// Blocked is a member's month in which a limit would have stopped requests.
// Later counts the requests that the stream shows from that moment on while the
// member stood blocked: work the limit would have touched.
type Blocked struct {
	Member        string           `json:"member"` // "" for unattributed requests
	Month         string           `json:"month"`
	Time          time.Time        `json:"time"`
	BoundBy       string           `json:"bound_by"`
	Also          string           `json:"also,omitempty"`
	Limit         int64            `json:"limit_micros"`
	Spent         int64            `json:"spent_micros"` // when blocked
	Later         Bucket           `json:"later"`
	LaterSessions int              `json:"later_sessions"`
	Events        []rules.EventRef `json:"-"`

	sessions map[string]bool
}

// shares lists the products of the wire whose requests count towards one limit.
// Whether Office agents do is not documented; counted, a limit is never shown to
// hold for longer than it would.
func shares(p event.Product) bool {
	return p == event.Cowork || p == event.ClaudeCode || p == event.OfficeAgents
}

// Observe replays one record. Only api_request of products that share the limits
// counts. Costs are the stream's: a request without a cost is counted as missing
// and never taken for free.
func (l *Ledger) Observe(ev *event.Event) {
	if ev.Kind != event.APIRequest {
		return
	}
	o := &l.obs
	if !shares(ev.Product) {
		o.others[ev.Product]++
		return
	}
	o.requests++
	micros := ev.CostMicros
	switch {
	case micros < 0 || ev.CostFrom == event.NoCost || ev.CostFrom == event.CostMissing:
		o.costs.Missing++
		micros = 0
	case ev.CostFrom == event.Recomputed:
		o.costs.Recomputed++
	default:
		o.costs.Sent++
	}
	member := l.who(ev)
	t := ev.When()
	if member == Unattributed {
		o.unattrib.Requests++
		o.unattrib.Micros = add(o.unattrib.Micros, micros)
	}
	if v := l.Gate(member, t); !v.Allowed {
		l.block(ev, member, t, v, micros)
	}
	l.Charge(member, t, micros)
}

// onWire names the products of the wire as cost rows do.
func onWire() []string {
	out := make([]string, 0, len(productNames))
	for _, n := range productNames {
		out = append(out, n)
	}
	return out
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func (l *Ledger) who(ev *event.Event) int {
	m, _ := ev.Who(l.dir)
	return int(m) // -1 is Unattributed
}

func (l *Ledger) block(ev *event.Event, member int, t time.Time, v Verdict, micros int64) {
	k := memberMonth{member, monthKey(t)}
	b := l.obs.blocked[k]
	if b == nil {
		b = &Blocked{Month: monthName(k.month), Time: t, BoundBy: v.BoundBy, Also: v.Also, sessions: map[string]bool{}}
		b.Limit, b.Spent = at(l.ceiling, t.UnixNano()).micros, l.poolOf(k.month).spent
		if member != Unattributed {
			b.Member = l.dir.Key(member)
			if v.BoundBy != Pool {
				b.Limit, _, _ = l.Limit(member, t)
				b.Spent = l.Spent(member, t)
			}
		}
		l.obs.blocked[k] = b
	}
	b.Later.Requests++
	b.Later.Micros = add(b.Later.Micros, micros)
	if ev.Session != "" && !b.sessions[ev.Session] {
		b.sessions[strings.Clone(ev.Session)] = true
		b.LaterSessions++
	}
	if len(b.Events) < rules.MaxEventRefs {
		b.Events = append(b.Events, rules.EventRef{
			Index: ev.Index, Session: strings.Clone(ev.Session), Prompt: strings.Clone(ev.Prompt),
			Kind: ev.Kind.String(), Time: t.Format(time.RFC3339)})
	}
}

// Summary is the replay in numbers. Lists are sorted and never nil.
type Summary struct {
	Evaluable    bool          `json:"evaluable"` // false: requests, but no cost on any of them
	Requests     int64         `json:"requests"`
	Costs        Costs         `json:"costs"`
	OtherProduct int64         `json:"other_product_requests"` // not counted
	Outside      []Outside     `json:"outside_the_limits"`     // whose they are
	Total        int64         `json:"total_micros"`
	Unattributed Bucket        `json:"unattributed"`
	Members      []MemberSpend `json:"members"`
	Groups       []GroupSpend  `json:"groups"`
	Weeks        []GroupWeek   `json:"weeks"`
	Months       []MonthSpend  `json:"months"`
	WouldBlock   []Blocked     `json:"would_have_blocked"`
	Alerts       []Alert       `json:"alerts"`
	Warnings     []Warning     `json:"member_warnings"`
	Notes        []string      `json:"notes"`
}

// Outside is a product whose requests the limits do not cover. One that is not on
// this wire at all has none.
type Outside struct {
	Product  string `json:"product"`
	Requests int64  `json:"requests"`
}

// MemberSpend is one member's month. Limit and Source are those at the end of
// the month.
type MemberSpend struct {
	Member    string `json:"member"`
	Month     string `json:"month"`
	Spent     int64  `json:"spent_micros"`
	Limit     int64  `json:"limit_micros"`
	Source    string `json:"source"`
	Unlimited bool   `json:"unlimited,omitempty"`
}

// GroupSpend sums the members that were in the group at the end of the month. A
// member of two groups counts in both, so groups do not add up to the total.
// Exposure is limit times members: what the group may spend, since its limit is
// not a pool (example 8); -1 when the group has no limit.
type GroupSpend struct {
	Group    string `json:"group"`
	Month    string `json:"month"`
	Members  int    `json:"members"`
	Spent    int64  `json:"spent_micros"`
	Limit    int64  `json:"limit_micros"` // -1 = none
	Exposure int64  `json:"exposure_micros"`
}

// MonthSpend is the organisation's month. Credits is what counts towards the
// ceiling; it differs from Spent on seat-based plans only.
type MonthSpend struct {
	Month   string `json:"month"`
	Spent   int64  `json:"spent_micros"`
	Credits int64  `json:"credits_micros"`
	Limit   int64  `json:"limit_micros"` // -1 = none
}

// Summary may be asked at any time.
func (l *Ledger) Summary() Summary {
	o := &l.obs
	s := Summary{
		Evaluable: l.evaluable(),
		Requests:  o.requests, Costs: o.costs, Outside: []Outside{}, Unattributed: o.unattrib,
		Members: l.members(), Groups: l.groups(), Weeks: l.weeks(), WouldBlock: l.wouldBlock(),
		Alerts: append([]Alert{}, l.alerts...), Warnings: append([]Warning{}, l.warnings...), Notes: append([]string{}, l.notes...),
	}
	for p, n := range o.others {
		if n > 0 {
			s.OtherProduct += n
			s.Outside = append(s.Outside, Outside{event.Product(p).String(), n})
		}
	}
	if o.requests > 0 {
		var not []string
		for _, p := range split(l.rules.Shared) {
			if !slices.Contains(onWire(), p) && !slices.Contains(l.charged, p) {
				not = append(not, p)
			}
		}
		switch {
		case l.rules.Shared == "":
			s.Notes = append(s.Notes, "which products count against one limit was not documented on the day; Cowork, Claude Code and Office agents are counted together")
		case len(not) > 0:
			s.Notes = append(s.Notes, fmt.Sprintf("%s counts against the same limits and is not on this wire, so members reach them sooner than shown", strings.Join(not, ", ")))
		}
		for _, p := range split(l.rules.Outside) {
			s.Outside = append(s.Outside, Outside{Product: p})
			s.Notes = append(s.Notes, fmt.Sprintf("%s heeds no limit of a group or a member and is charged to the organisation; it is not on this wire", p))
		}
	}
	if len(s.Warnings) > 0 {
		s.Notes = append(s.Notes, "at which share of a limit members are warned is not published; 75% and 95% are those of the vendor's gateway")
	}
	if !s.Evaluable {
		s.Notes = append(s.Notes, "no request carries a cost, so limits cannot be replayed")
	} else if o.costs.Missing > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d of %d requests carry no cost; totals are too low", o.costs.Missing, o.requests))
	}
	if o.costs.Recomputed > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d costs were recomputed from tokens and list prices", o.costs.Recomputed))
	}
	if l.rules.SeatBased && l.rules.Included == 0 {
		s.Notes = append(s.Notes, "included usage of seats is not stated; blocks may be shown too early")
	}
	s.Months, s.Total = l.months()
	return s
}

// evaluable is false when there are requests and none of them has a cost.
func (l *Ledger) evaluable() bool { return l.obs.requests == 0 || l.obs.costs.Missing < l.obs.requests }

func (l *Ledger) members() []MemberSpend {
	out := []MemberSpend{}
	for i := range l.accounts {
		for _, m := range l.held(i).months {
			if m.spent > 0 {
				ms := MemberSpend{Member: l.dir.Key(i), Month: monthName(m.key), Spent: m.spent}
				ms.Limit, ms.Source, ms.Unlimited = l.resolve(i, ended(m.key))
				out = append(out, ms)
			}
		}
	}
	slices.SortFunc(out, func(a, b MemberSpend) int {
		return cmp.Or(strings.Compare(a.Month, b.Month), strings.Compare(a.Member, b.Member))
	})
	return out
}

func (l *Ledger) groups() []GroupSpend {
	out := []GroupSpend{}
	for key := range l.pool {
		group := make([]*GroupSpend, len(l.cfg.Groups))
		begin, end := began(key), ended(key)
		for i := range l.accounts {
			spent := int64(0)
			for _, m := range l.held(i).months {
				if m.key == key {
					spent = m.spent
				}
			}
			if left := l.dir.Left(i); spent == 0 && (l.dir.Joined(i).After(end) || !left.IsZero() && left.Before(begin)) {
				continue
			}
			for _, g := range l.groupsOf(i, end) {
				gs := group[g]
				if gs == nil {
					gs = &GroupSpend{Group: l.cfg.Groups[g].Name.Value, Month: monthName(key), Limit: -1, Exposure: -1}
					group[g] = gs
				}
				gs.Members++
				gs.Spent = add(gs.Spent, spent)
				if x := at(l.byGroup[g], end.UnixNano()); x.state == limited {
					gs.Limit = x.micros
					gs.Exposure = add(max(gs.Exposure, 0), x.micros)
				}
			}
		}
		for _, gs := range group {
			if gs != nil {
				out = append(out, *gs)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b GroupSpend) int { // groups of one name stay in their order
		return cmp.Or(strings.Compare(a.Month, b.Month), strings.Compare(a.Group, b.Group))
	})
	return out
}

func (l *Ledger) months() (out []MonthSpend, total int64) {
	out = []MonthSpend{}
	for key, p := range l.pool {
		ms := MonthSpend{Month: monthName(key), Spent: p.total, Credits: p.spent, Limit: -1}
		if c := at(l.ceiling, ended(key).UnixNano()); c.state == limited {
			ms.Limit = c.micros
		}
		out = append(out, ms)
		total = add(total, ms.Spent)
	}
	slices.SortFunc(out, func(a, b MonthSpend) int { return strings.Compare(a.Month, b.Month) })
	return out, total
}

func (l *Ledger) wouldBlock() []Blocked {
	out := []Blocked{}
	for _, b := range l.obs.blocked {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b Blocked) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Member, b.Member), strings.Compare(a.Month, b.Month))
	})
	return out
}

// Close returns the findings of the replay, by time: members that would have
// been blocked, alerts of the organisation's ceiling, spenders without any limit
// (example 16) and a stream without costs. end dates the findings that have no
// moment of their own.
func (l *Ledger) Close(end time.Time) []rules.Finding {
	var out []rules.Finding
	for _, b := range l.wouldBlock() {
		out = append(out, rules.Finding{
			Rule: "spend-blocked", Title: "A spend limit would have blocked requests", Severity: rules.Medium,
			Member: b.Member, Group: groupOf(b.BoundBy), Time: b.Time,
			Reason: fmt.Sprintf("%s of %s reached with %s spent in %s; %d later requests (%s) would not have run",
				b.BoundBy, Dollars(b.Limit), Dollars(b.Spent), b.Month, b.Later.Requests, Dollars(b.Later.Micros)),
			Count: int(b.Later.Requests), Events: b.Events, Facts: []string{"spend-limit-precedence", "spend-limit-period"},
		})
	}
	for _, a := range l.alerts {
		sev := rules.Low
		if a.Percent == 100 {
			sev = rules.High
		}
		out = append(out, rules.Finding{
			Rule: "spend-organisation", Title: fmt.Sprintf("%d%% of the organisation's ceiling", a.Percent), Severity: sev, Time: a.Time,
			Reason: fmt.Sprintf("%s spent in %s of a ceiling of %s", Dollars(a.Spent), a.Month, Dollars(at(l.ceiling, a.Time.UnixNano()).micros)),
			Facts:  []string{"spend-limit-period"},
		})
	}
	noLimit := map[string]bool{}
	for _, m := range l.members() {
		if m.Source == SourceNone {
			noLimit[m.Member] = true
		}
	}
	if n := len(noLimit); n > 0 {
		out = append(out, rules.Finding{
			Rule: "spend-unlimited", Title: "Members without any limit", Severity: rules.Low, Time: end, Count: n,
			Reason: fmt.Sprintf("%d members with spend have no override, no group limit and no default", n),
			Facts:  []string{"spend-limit-precedence"},
		})
	}
	if !l.evaluable() {
		out = append(out, rules.Finding{
			Rule: "spend-not-evaluable", Title: "Limits cannot be replayed", Severity: rules.Medium, Time: end, Count: int(l.obs.costs.Missing),
			Reason: "no request carries a cost on the wire or a price to recompute it from",
		})
	}
	slices.SortStableFunc(out, func(a, b rules.Finding) int { return a.Time.Compare(b.Time) })
	for i := range out {
		out[i].ID, out[i].Engine = fmt.Sprintf("spend-%d", i+1), "spend"
		if out[i].Rule == "spend-blocked" || out[i].Rule == "spend-organisation" {
			out[i].Topic = "spend" // the other two are about the configuration, not about money spent
		}
	}
	return out
}

// groupOf is the group's name when a group limit bound, else "".
func groupOf(source string) string {
	name, ok := strings.CutPrefix(source, groupPrefix)
	if !ok {
		return ""
	}
	return name
}
