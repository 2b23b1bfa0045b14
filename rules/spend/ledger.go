package spend

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Rules are the dated switches, each from the fact named.
type Rules struct {
	// GroupLimits: limits on groups exist (fact spend-group-limit-gate). Off, they
	// are ignored and listed in Summary.Notes.
	GroupLimits bool
	// Setting: the administrator chooses lowest or highest among several groups;
	// else, and when nothing is chosen, the lowest applies (fact
	// spend-multi-group-rule).
	Setting bool
	// SeatBased: limits govern credits beyond the usage that seats include (2.4).
	// Included is that usage per member and month; the product does not publish it.
	SeatBased bool
	Included  int64
	// Shared are the products that count together against a member's limit, and
	// Outside the services that heed no limit of a group or a member, by their
	// names in cost rows, with commas; "" where nothing is documented (fact
	// spend-limit-products).
	Shared, Outside string
}

// Counts says in words how a product of cost rows stands to members' limits.
func (r Rules) Counts(product string) string {
	switch {
	case slices.Contains(strings.Split(r.Shared, ","), product):
		return "counts against members' limits"
	case slices.Contains(strings.Split(r.Outside, ","), product):
		return "outside the limits of groups and members; charged to the organisation"
	}
	return "whether it counts against members' limits is not documented"
}

// DefaultRules asks q as rbac.DefaultRules does, for spend-group-limit-gate,
// spend-multi-group-rule and spend-limit-products.
func DefaultRules(q func(factID, param string) (value string, known bool)) Rules {
	gate, known := q("spend-group-limit-gate", "")
	rule, _ := q("spend-multi-group-rule", "rule")
	shared, _ := q("spend-limit-products", "shared")
	outside, _ := q("spend-limit-products", "outside")
	return Rules{GroupLimits: known && gate == "yes", Setting: rule == "setting", Shared: shared, Outside: outside}
}

// Sources of a member's limit; a group's is "group:" and its name. Pool is the
// organisation's ceiling, which is never a member's limit.
const (
	SourceUser   = "user"
	SourceSeat   = "seat default"
	SourceMember = "member default"
	SourceNone   = "none"
	Pool         = "organisation"
	groupPrefix  = "group:"
)

// Unattributed is the member index of spend that nobody can be found for. It
// counts towards the organisation's ceiling only.
const Unattributed = -1

// Verdict of Gate. BoundBy is "" when allowed, else the limit that was reached
// first; Also is the other one when both are.
type Verdict struct {
	Allowed bool
	BoundBy string
	Also    string
}

// Alert is a threshold of the organisation's ceiling that was reached.
type Alert struct {
	Month   string    `json:"month"`
	Percent int       `json:"percent"` // 75, 90 or 100
	Time    time.Time `json:"time"`
	Spent   int64     `json:"spent_micros"`
}

// Warning is a share of a member's own limit that was reached. The product tells
// members as they approach; at which share is not published, so these are the two
// shares that the vendor documents for its gateway.
type Warning struct {
	Member  string    `json:"member"`
	Month   string    `json:"month"`
	Percent int       `json:"percent"` // 75 or 95
	Time    time.Time `json:"time"`
	Limit   int64     `json:"limit_micros"`
}

// Ledger holds spend per member and month and the organisation's pool. It is
// not safe for concurrent use. Charges may come in any order of time, but what
// bound first and when an alert rose follow the order of the calls.
type Ledger struct {
	dir      *org.Directory
	cfg      *org.Config
	rules    Rules
	byGroup  map[int][]step // by group index
	users    map[int][]step // overrides, by member index
	ceiling  []step         // of the organisation
	cuts     []int64
	accounts []*account // by member; nil until one is needed
	pool     map[int]*pool
	month    struct { // asked for last
		from, until int64 // seconds since 1970
		key         int
		pool        *pool
	}
	alerts   []Alert
	warnings []Warning
	notes    []string
	charged  []string // products charged beside the stream, by their names in cost rows
	obs      observer
}

// step is a limit from a moment on. Steps of one subject are in order of time.
type step struct {
	from   int64 // ns; the first one is MinInt64
	state  limitState
	micros int64
}

type limitState uint8

const (
	noRow     limitState = iota // nothing is configured here
	limited                     // an amount
	unlimited                   // a null amount
)

// at is the step in force at a moment.
func at(steps []step, ns int64) step {
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].from <= ns {
			return steps[i]
		}
	}
	return step{}
}

// then appends a step and keeps the order; of two at one moment the later call
// counts.
func then(steps []step, s step) []step {
	i := len(steps)
	for i > 0 && steps[i-1].from > s.from {
		i--
	}
	return slices.Insert(steps, i, s)
}

func stepOf(from int64, m source.Money, free, deleted bool) step {
	switch {
	case deleted:
		return step{from: from}
	case free:
		return step{from: from, state: unlimited}
	}
	return step{from: from, state: limited, micros: m.Micros}
}

type account struct {
	months []month
	days   []dayCost // in order
	// The limit holds from (inclusive) to until: memberships change at few dates,
	// so it is found again only when a question leaves that span.
	known       bool
	from, until int64
	limit       int64
	source      string
	unlimited   bool
}

type month struct {
	key   int // year*12 + month
	spent int64
	told  int   // highest share of the limit that was warned of, in percent
	bound int64 // sequence number of the moment the limit was found reached, 0 = not
}

type pool struct {
	total   int64 // everything billed or included
	spent   int64 // credits: beyond included usage
	bound   int64
	alerted int
}

// New makes an empty ledger. The directory must not change afterwards.
func New(dir *org.Directory, r Rules) *Ledger {
	l := &Ledger{
		dir: dir, cfg: dir.Config, rules: r,
		byGroup: map[int][]step{}, users: map[int][]step{},
		accounts: make([]*account, dir.Len()), pool: map[int]*pool{},
	}
	if o := l.cfg.Spend.Organisation; o.Given {
		l.ceiling = []step{stepOf(math.MinInt64, o, false, false)}
	}
	if r.GroupLimits {
		l.readGroups()
	} else if len(l.cfg.Spend.Groups) > 0 || slices.ContainsFunc(l.cfg.Changes, func(ch org.Change) bool { return ch.Limit != nil && ch.Limit.Group.Value != "" }) {
		l.notes = append(l.notes, "limits on groups do not exist on this plan and are ignored")
	}
	for _, u := range l.cfg.Spend.Users {
		switch i, ok := l.member(u.Member.Value); {
		case !ok:
			l.notes = append(l.notes, fmt.Sprintf("the limit of %q binds nobody: no such member", u.Member.Value))
		case !u.Unlimited && !u.Limit.Given: // must not turn a forgotten amount into no limit
			l.notes = append(l.notes, fmt.Sprintf("the limit of %q states no amount and is ignored", u.Member.Value))
		default:
			if l.users[i] != nil {
				l.notes = append(l.notes, fmt.Sprintf("%q names a member who has an override already; the later one counts", u.Member.Value))
			}
			l.users[i] = then(l.users[i], stepOf(math.MinInt64, u.Limit, u.Unlimited, false))
		}
	}
	l.cuts = dir.Cuts()
	for _, ch := range l.cfg.Changes {
		c := ch.Limit
		if c == nil {
			continue
		}
		s := stepOf(ch.When.UnixNano(), c.Limit, c.Unlimited, c.Delete)
		switch {
		case c.Organisation:
			l.ceiling = then(l.ceiling, s)
		case c.Member.Value != "":
			if i, ok := l.member(c.Member.Value); ok {
				l.users[i] = then(l.users[i], s)
			} else {
				l.notes = append(l.notes, fmt.Sprintf("the limit of %q binds nobody: no such member", c.Member.Value))
			}
		}
		l.cuts = append(l.cuts, s.from)
	}
	slices.Sort(l.cuts)
	l.cuts = slices.Compact(l.cuts)
	l.obs.blocked = map[memberMonth]*Blocked{}
	return l
}

// Override sets a member's own limit from a moment on, as an approved increase
// request does; nil is unlimited. It may come while the ledger is in use.
func (l *Ledger) Override(member int, from time.Time, micros *int64) {
	s := step{from: from.UnixNano(), state: unlimited}
	if micros != nil {
		s.state, s.micros = limited, *micros
	}
	l.users[member] = then(l.users[member], s)
	i, found := slices.BinarySearch(l.cuts, s.from)
	if !found {
		l.cuts = slices.Insert(l.cuts, i, s.from)
	}
	l.forget() // spans of other members end at the same cuts
}

// Use changes the rules from now on, as their facts change by date. What was
// charged stays charged.
func (l *Ledger) Use(r Rules) {
	if r == l.rules {
		return
	}
	if r.GroupLimits && !l.rules.GroupLimits {
		l.readGroups()
	} else if !r.GroupLimits {
		clear(l.byGroup)
	}
	l.rules = r
	l.forget()
}

// forget lets every limit be found again.
func (l *Ledger) forget() {
	for _, a := range l.accounts {
		if a != nil {
			a.known = false
		}
	}
}

// account is a member's account, opened when it is first needed: most members of
// a large directory never spend.
func (l *Ledger) account(member int) *account {
	if l.accounts[member] == nil {
		l.accounts[member] = &account{}
	}
	return l.accounts[member]
}

// held is what a member's account holds, nothing where none was opened.
func (l *Ledger) held(member int) account {
	if a := l.accounts[member]; a != nil {
		return *a
	}
	return account{}
}

// readGroups binds limits to groups by name; names are not unique, so every
// group of that name gets it. A limit for an unknown group is kept in a note
// (example 18).
func (l *Ledger) readGroups() {
	set := func(name string, s step) bool {
		found := false
		for i := range l.cfg.Groups {
			if l.cfg.Groups[i].Name.Value == name {
				l.byGroup[i], found = then(l.byGroup[i], s), true
			}
		}
		return found
	}
	for _, gl := range l.cfg.Spend.Groups {
		if !set(gl.Group.Value, stepOf(math.MinInt64, gl.Limit, false, false)) {
			l.notes = append(l.notes, fmt.Sprintf("the limit on group %q binds nobody: no such group", gl.Group.Value))
		}
	}
	for _, ch := range l.cfg.Changes {
		if c := ch.Limit; c != nil && c.Group.Value != "" {
			set(c.Group.Value, stepOf(ch.When.UnixNano(), c.Limit, c.Unlimited, c.Delete))
		}
	}
}

// member finds a member by account, e-mail in any case, or id.
func (l *Ledger) member(key string) (int, bool) {
	m, ok := l.dir.Find(key)
	if !ok {
		m, ok = l.dir.Find(strings.ToLower(key))
	}
	if !ok {
		return 0, false
	}
	return m, true
}

// groupsOf is the member's groups at t. A leaver keeps the last ones: requests
// after leaving are judged by the limit the member had, not by none.
func (l *Ledger) groupsOf(member int, t time.Time) []int {
	if left := l.dir.Left(member); !left.IsZero() && !t.Before(left) {
		t = left.Add(-1)
	}
	return l.dir.GroupsOf(member, t)
}

// Limit is the effective monthly limit of a member at t by 2.3: the member's own
// override, above or below any other; else the lowest or highest among the
// limits of the groups the member is in and the seat default; else the
// organisation's default per member; else unlimited with source none, which an
// assessment reports (example 16).
func (l *Ledger) Limit(member int, t time.Time) (micros int64, source string, unlimited bool) {
	a := l.accounts[member]
	if a == nil { // a question alone opens none
		return l.resolve(member, t)
	}
	ns := t.UnixNano()
	if !a.known || ns < a.from || ns >= a.until {
		a.known = true
		a.limit, a.source, a.unlimited = l.resolve(member, t)
		a.from, a.until = math.MinInt64, math.MaxInt64
		i := sort.Search(len(l.cuts), func(i int) bool { return l.cuts[i] > ns })
		if i > 0 {
			a.from = l.cuts[i-1]
		}
		if i < len(l.cuts) {
			a.until = l.cuts[i]
		}
	}
	return a.limit, a.source, a.unlimited
}

func (l *Ledger) resolve(member int, t time.Time) (int64, string, bool) {
	s, ns := &l.cfg.Spend, t.UnixNano()
	switch u := at(l.users[member], ns); u.state {
	case unlimited:
		return 0, SourceUser, true
	case limited:
		return u.micros, SourceUser, false
	}
	higher := l.rules.Setting && s.MultiGroup == "higher"
	limit, source, free := int64(0), "", false
	// No limit is more than any: it wins among the highest and never among the
	// lowest.
	join := func(m int64, none bool, from string) {
		lower := !none && (free || m < limit)
		if source == "" || higher && !lower && (none || m > limit) || !higher && lower {
			limit, source, free = m, from, none
		}
	}
	if len(l.byGroup) > 0 {
		for _, g := range l.groupsOf(member, t) {
			if x := at(l.byGroup[g], ns); x.state != noRow {
				join(x.micros, x.state == unlimited, groupPrefix+l.cfg.Groups[g].Name.Value)
			}
		}
	}
	if s.SeatDefault.Given {
		join(s.SeatDefault.Micros, false, SourceSeat)
	}
	switch {
	case source != "":
		return limit, source, free
	case s.MemberDefault.Given:
		return s.MemberDefault.Micros, SourceMember, false
	}
	return 0, SourceNone, true
}

func monthKey(t time.Time) int {
	y, m, _ := t.UTC().Date()
	return y*12 + int(m) - 1
}

func monthName(key int) string { return fmt.Sprintf("%04d-%02d", key/12, key%12+1) }

// began and ended are the first and the last moment of a month.
func began(key int) time.Time {
	return time.Date(key/12, time.Month(key%12+1), 1, 0, 0, 0, 0, time.UTC)
}

func ended(key int) time.Time { return began(key + 1).Add(-1) }

func (a *account) month(key int) *month {
	for i := len(a.months) - 1; i >= 0; i-- {
		if a.months[i].key == key {
			return &a.months[i]
		}
	}
	a.months = append(a.months, month{key: key})
	return &a.months[len(a.months)-1]
}

// monthOf is the month of a time and its pool. One month's requests come together.
func (l *Ledger) monthOf(t time.Time) (key int, p *pool) {
	m := &l.month
	if s := t.Unix(); m.pool == nil || s < m.from || s >= m.until {
		m.key = monthKey(t)
		m.pool = l.poolOf(m.key)
		m.from = began(m.key).Unix()
		m.until = began(m.key + 1).Unix()
	}
	return m.key, m.pool
}

func (l *Ledger) poolOf(key int) *pool {
	p := l.pool[key]
	if p == nil {
		p = &pool{}
		l.pool[key] = p
	}
	return p
}

// included is the usage a seat brings before any limit counts.
func (l *Ledger) included() int64 {
	if l.rules.SeatBased {
		return l.rules.Included
	}
	return 0
}

// Gate is asked before a request: spend that has reached a limit blocks the next
// request, and a limit of zero blocks the first one on usage-based plans
// (example 12). The request in flight is never cut, so a member may end above the
// limit by one request (example 1). Member limit and organisation ceiling are
// checked apart (example 9).
func (l *Ledger) Gate(member int, t time.Time) Verdict {
	key, p := l.monthOf(t)
	l.notePool(p, t)
	if member == Unattributed {
		if p.bound > 0 {
			return Verdict{BoundBy: Pool}
		}
		return Verdict{Allowed: true}
	}
	limit, source, unlimited := l.Limit(member, t)
	m := l.account(member).month(key)
	l.noteMember(m, limit, unlimited)
	switch {
	case m.bound == 0 && p.bound == 0:
		return Verdict{Allowed: true}
	case m.bound == 0:
		return Verdict{BoundBy: Pool}
	case p.bound == 0:
		return Verdict{BoundBy: source}
	case m.bound < p.bound:
		return Verdict{BoundBy: source, Also: Pool}
	}
	return Verdict{BoundBy: Pool, Also: source}
}

// noteMember remembers when the limit was first found reached. A member who
// moved to a higher limit, or whose override was raised, is free again.
func (l *Ledger) noteMember(m *month, limit int64, unlimited bool) {
	switch {
	case unlimited || m.spent < add(limit, l.included()):
		m.bound = 0
	case m.bound == 0:
		l.obs.seq++
		m.bound = l.obs.seq
	}
}

func (l *Ledger) notePool(p *pool, t time.Time) {
	switch c := at(l.ceiling, t.UnixNano()); {
	case c.state != limited || p.spent < c.micros:
		p.bound = 0
	case p.bound == 0:
		l.obs.seq++
		p.bound = l.obs.seq
	}
}

// Charge books a completed request, whatever Gate said: the ledger follows what
// was billed. Spend stays with the member across group moves (example 14).
// Amounts of zero or less are ignored.
func (l *Ledger) Charge(member int, t time.Time, micros int64) {
	if micros <= 0 {
		return
	}
	key, p := l.monthOf(t)
	credits := micros
	if member != Unattributed {
		limit, _, unlimited := l.Limit(member, t)
		m := l.account(member).month(key)
		l.account(member).onDay(t.UnixNano(), micros)
		before := max(m.spent-l.included(), 0)
		m.spent = add(m.spent, micros)
		credits = max(m.spent-l.included(), 0) - before
		l.noteMember(m, limit, unlimited)
		if whole := add(limit, l.included()); !unlimited && limit > 0 {
			for _, pct := range []int{75, 95} {
				if m.told < pct && m.spent >= Line(whole, pct) {
					m.told = pct
					l.warnings = append(l.warnings, Warning{l.dir.Key(member), monthName(key), pct, t.UTC(), limit})
				}
			}
		}
	}
	p.total = add(p.total, micros)
	p.spent = add(p.spent, credits)
	l.notePool(p, t)
	c := at(l.ceiling, t.UnixNano())
	if c.state != limited || c.micros == 0 {
		return
	}
	for _, pct := range []int{75, 90, 100} {
		if p.alerted < pct && p.spent >= Line(c.micros, pct) {
			p.alerted = pct
			l.alerts = append(l.alerts, Alert{Month: monthName(key), Percent: pct, Time: t.UTC(), Spent: p.spent})
		}
	}
}

// Line is the amount at which percent of a limit is reached, rounded up.
func Line(limit int64, percent int) int64 {
	// Split so that the product cannot overflow.
	return limit/100*int64(percent) + (limit%100*int64(percent)+99)/100
}

// add is saturating: a total that is too large stays too large.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Besides says that the spend of these products is charged, although no stream of
// Cowork shows it.
func (l *Ledger) Besides(products ...string) { l.charged = append(l.charged, products...) }

// Spent is what a member spent in t's month, included usage and all. The member
// must not be Unattributed; that spend stands in the Summary.
func (l *Ledger) Spent(member int, t time.Time) int64 {
	if a := l.accounts[member]; a != nil {
		return a.month(monthKey(t)).spent
	}
	return 0
}
