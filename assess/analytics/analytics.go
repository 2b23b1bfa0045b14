// Package analytics computes from a stream the adoption figures that the
// product's Analytics surface shows: sessions a day, active members over rolling
// windows, what each member, skill and connector did, and the denominators of a
// return on investment. It invents no benefit.
//
// The rules are the vendor's documented ones (facts analytics-dashboard-gate,
// analytics-api-gate, analytics-group-overlap): days are UTC days; a member is
// active on a day with a Cowork record of message or tool activity; DAU, WAU and
// MAU count members over the 1, 7 and 30 days that end with the day, both
// inclusive, and are never added up; a member of several groups counts in full in
// each. Only Cowork records count: figures of other products are absent, which is
// not zero.
//
// The stream is live and the surface is not: Config.FreshnessDays says which days
// it would show on the day the report is about.
//
// Memory is bounded by the sessions: about 200 bytes for each session of the last
// hours, and 25 for each session and day before.
package analytics

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Config of one observation.
type Config struct {
	Directory *org.Directory
	// Enabled tells whether a member may use Cowork on a UTC day. Nil means every
	// member of the roster while they hold a seat.
	Enabled  func(member int, day time.Time) bool
	From, To time.Time // [From, To), whole UTC days; records outside are left out
	// AsOf is the day on which somebody would look; the zero value is To.
	AsOf time.Time
	Plan string // team, enterprise or individual
	// FreshnessDays is how many days after a day the surface shows it: 4 under the
	// rule of April 2026 (aggregated at 10:00 UTC of the next day, queryable three
	// days after that), 1 since June 2026. Below 1 reads as 1: no day is shown
	// before it has ended.
	FreshnessDays int
}

// Share is a part of a stated whole.
type Share struct {
	N           int64  `json:"n"`
	Of          int64  `json:"of"`
	Denominator string `json:"denominator"`
}

// Known reports that there is anything to be a part of.
func (s Share) Known() bool { return s.Of > 0 }

// Day is one UTC day. Sessions is every session with activity on it; those whose
// member the stream does not name are in Unattributed too, and in no count of
// members. Shown is false for days the surface would not show yet.
type Day struct {
	Date         string `json:"date"`
	Sessions     int64  `json:"sessions"`
	Unattributed int64  `json:"unattributed_sessions"`
	DAU          int    `json:"dau"`
	WAU          int    `json:"wau"`
	MAU          int    `json:"mau"`
	Enabled      int    `json:"enabled"`
	Seats        int    `json:"seats"` // members on the roster that day
	Shown        bool   `json:"shown"`
}

// Week is a calendar week from Monday, cut to the period: Days says how much of
// it lies inside. Enabled is the most members enabled on one of its days.
type Week struct {
	From     string `json:"from"`
	Days     int    `json:"days"`
	Sessions int64  `json:"sessions"`
	Active   int    `json:"active"`
	Enabled  int    `json:"enabled"`
}

// MemberActivity is a member's period. Key is filled in by the caller with a
// pseudonym; the index stays out of JSON.
type MemberActivity struct {
	Member     int    `json:"-"`
	Key        string `json:"member"`
	ActiveDays int    `json:"active_days"`
	LastActive string `json:"last_active"`
	Metrics
	CostMicros int64 `json:"cost_micros"`
	// CostKnown is false when none of the member's requests carried a cost.
	CostKnown bool `json:"cost_known"`
}

// Metrics are the counts that the surface keeps for a member or a group. A
// session counts once however many days it spans. Plugins are counted by the
// plugin that a skill came from.
type Metrics struct {
	Sessions           int64 `json:"sessions"`
	Messages           int64 `json:"messages"` // prompts
	Actions            int64 `json:"actions"`  // completed tool calls
	ConnectorCalls     int64 `json:"connector_calls"`
	DistinctConnectors int64 `json:"distinct_connectors"`
	SkillUses          int64 `json:"skill_uses"`
	DistinctSkills     int64 `json:"distinct_skills"`
	PluginUses         int64 `json:"plugin_uses"`
	DistinctPlugins    int64 `json:"distinct_plugins"`
	FileEdits          int64 `json:"file_edits"`
	Edit               int64 `json:"edit_tool"`
	MultiEdit          int64 `json:"multi_edit_tool"`
	Write              int64 `json:"write_tool"`
	NotebookEdit       int64 `json:"notebook_edit_tool"`
	SessionsWithEdits  int64 `json:"sessions_with_file_edits"`
	WebSearches        int64 `json:"web_searches"`
}

// Use ranks a connector or skill. Reads, Writes and Unclassified split connector
// calls by what the tool's name says.
type Use struct {
	Name         string `json:"name"`
	Members      int    `json:"members"`
	Sessions     int64  `json:"sessions"`
	Uses         int64  `json:"uses"`
	Reads        int64  `json:"reads,omitempty"`
	Writes       int64  `json:"writes,omitempty"`
	Unclassified int64  `json:"unclassified,omitempty"`
}

// GroupActivity is a group by the overlap rule: whoever was in it at any moment
// of a UTC day brings that day's activity in full, so groups do not add up.
type GroupActivity struct {
	Group  string `json:"group"`
	Active int    `json:"active_members"`
	// Enabled members of the group, on any day of the period.
	Enabled    int     `json:"enabled_members"`
	Sessions   int64   `json:"sessions"`
	Messages   int64   `json:"messages"`
	Actions    int64   `json:"actions"`
	CostMicros int64   `json:"cost_micros"`
	Workflows  []Use   `json:"workflows"` // skills and connectors, most used first
	metrics    Metrics // for exports
}

// ROI holds what a benefit would be divided by. Pointers are nil when nothing
// can be said: no cost on the wire is not a cost of zero.
type ROI struct {
	ActiveMembers       int    `json:"active_members"`
	Sessions            int64  `json:"sessions"`
	CostMicros          *int64 `json:"cost_micros"`
	CostPerActiveMember *int64 `json:"cost_per_active_member_micros"` // attributed cost only
	CostPerSession      *int64 `json:"cost_per_session_micros"`
	RequestsWithoutCost int64  `json:"requests_without_cost"`
}

// Report is the surface's figures. Lists are sorted and never nil.
type Report struct {
	From        string           `json:"from"`
	To          string           `json:"to"` // last day, inclusive
	Plan        string           `json:"plan"`
	LatestShown string           `json:"latest_day_shown"` // "" when none of the period is
	Days        []Day            `json:"days"`
	Weeks       []Week           `json:"weeks"`
	Members     []MemberActivity `json:"members"`
	Connectors  []Use            `json:"connectors"`
	Skills      []Use            `json:"skills"`
	Plugins     []Use            `json:"plugins"`
	Groups      []GroupActivity  `json:"groups"`
	// SeatShare is the share of seats with one or more sessions. The vendor does
	// not publish its denominator; these state theirs.
	SeatShare    Share    `json:"seat_share"`
	EnabledShare Share    `json:"enabled_share"`
	ROI          ROI      `json:"roi"`
	Records      int64    `json:"cowork_records"`
	Unattributed int64    `json:"unattributed_records"`
	Absent       []string `json:"absent_products"`
	Notes        []string `json:"notes"`
	daily        *daily
}

// daily is what members' days are worked out of, one at a time: there are many more
// of them than of anything else here.
type daily struct {
	cells *packed   // by member, day and session
	days  [][]place // where the cells of each member begin, by day and member
	dates []string
	skill useKind
}

// Daily gives each member's days with records, by date and member.
func (r *Report) Daily() iter.Seq[MemberDay] {
	return func(yield func(MemberDay) bool) {
		if r.daily == nil {
			return
		}
		var t tally
		for day, members := range r.daily.days {
			for _, at := range members {
				d := MemberDay{Member: -1, Date: r.daily.dates[day]}
				t.begin(r.daily.skill)
				for c := range r.daily.cells.from(at) {
					if d.Member < 0 {
						d.Member = int(c.member)
					}
					if int(c.member) != d.Member || int(c.day) != day {
						break
					}
					t.add(c)
					d.CostMicros = plus(d.CostMicros, c.cost)
					d.CostKnown = d.CostKnown || c.priced > 0
					d.Requests += int64(c.priced + c.unknown)
				}
				if d.Metrics = t.metrics(); !yield(d) {
					return
				}
			}
		}
	}
}

// MemberDay is one member's UTC day.
type MemberDay struct {
	Member int
	Date   string
	Metrics
	CostMicros int64
	CostKnown  bool
	Requests   int64
}

// cell is one session of one member on one UTC day.
type cell struct {
	member, day     int32
	messages        int32
	actions         int32
	edits           [4]int32
	searches        int32
	priced, unknown int32 // requests with and without a cost
	active          bool
	touched         bool // since the last turn
	cost            int64
	session         uint64
	uses            []use
}

type use struct {
	kind            useKind
	name            int32
	n, reads, write int32
}

type useKind uint8

const (
	connector useKind = iota
	skillActivated
	skillTool
	plugin
)

const useKinds = 4

const noMember = int32(-1)

// turnEvery is how long a cell without a record stays as it is, at least.
const turnEvery = int64(2 * time.Hour)

type cellKey struct {
	session     uint64
	member, day int32
}

// Observer collects one stream. Not safe for concurrent use.
type Observer struct {
	cfg      Config
	from, to int64
	days     int
	dates    []time.Time  // when each day begins, and when the last one ends
	spelt    [64]struct { // connectors met lately
		name string
		id   int32
	}
	cells   map[cellKey]*cell // of the last hours
	spare   []*cell
	packed  packed // the cells before those
	turn    int64  // when those that were not touched since the last turn are put away
	last    cellKey
	cur     *cell
	names   [4]table
	records int64
	nobody  int64
	skills  bool // skill_activated was seen
	tally   tally
}

// table gives names small numbers. The display name is the smallest spelling, so
// that order does not matter.
type table struct {
	ids     map[string]int32
	display []string
}

const maxNames = 4096

func (t *table) id(key, spelling string) int32 {
	if t.ids == nil {
		t.ids = map[string]int32{}
	}
	i, ok := t.ids[key]
	if !ok {
		if len(t.display) == maxNames {
			key, spelling = "\x00", "(other)"
			if i, ok = t.ids[key]; ok {
				return i
			}
		}
		i = int32(len(t.display))
		t.ids[strings.Clone(key)] = i
		t.display = append(t.display, strings.Clone(spelling))
	} else if spelling < t.display[i] {
		t.display[i] = strings.Clone(spelling)
	}
	return i
}

// packed are cells, one behind the other, as unsigned varints: one that is over takes
// a tenth of the memory of one that goes on. A record that comes later still opens a
// cell of its own, which joins the packed one in the report.
type packed struct {
	chunks [][]byte // so that growing moves nothing
	cells  int
}

const chunkSize = 64 << 10

// place is where a cell stands: in which chunk, and how far behind its beginning.
type place struct{ chunk, at int32 }

// add puts a cell behind the others and tells where it stands.
func (p *packed) add(c *cell) place {
	var room [256]byte
	data := binary.LittleEndian.AppendUint64(room[:0], c.session)
	put := func(n uint64) { data = binary.AppendUvarint(data, n) }
	active := uint64(0)
	if c.active {
		active = 1
	}
	put(uint64(c.member-noMember)<<1 | active)
	put(uint64(c.day))
	// Most numbers are zero: a bit says which ones are there.
	numbers := [...]uint64{uint64(c.messages), uint64(c.actions), uint64(c.priced), uint64(c.cost), uint64(len(c.uses)),
		uint64(c.edits[0]), uint64(c.edits[2]), uint64(c.edits[1]), uint64(c.edits[3]), uint64(c.searches), uint64(c.unknown)}
	there := uint64(0)
	for i, n := range numbers {
		if n != 0 {
			there |= 1 << i
		}
	}
	put(there)
	for _, n := range numbers {
		if n != 0 {
			put(n)
		}
	}
	for _, u := range c.uses {
		put(uint64(u.name)*useKinds + uint64(u.kind))
		for _, n := range [...]int32{u.n, u.reads, u.write} {
			put(uint64(n))
		}
	}
	last := len(p.chunks) - 1
	if last < 0 || len(p.chunks[last])+len(data) > cap(p.chunks[last]) {
		p.chunks = append(p.chunks, make([]byte, 0, max(chunkSize, len(data))))
		last++
	}
	at := place{int32(last), int32(len(p.chunks[last]))}
	p.chunks[last] = append(p.chunks[last], data...)
	p.cells++
	return at
}

// read unpacks the cell at a place, in the memory of another one.
func (p *packed) read(from place, c *cell) (next place) {
	data := p.chunks[from.chunk]
	at := int(from.at)
	get := func() uint64 {
		if n := data[at]; n < 0x80 {
			at++
			return uint64(n)
		}
		n, k := binary.Uvarint(data[at:])
		at += k
		return n
	}
	*c = cell{session: binary.LittleEndian.Uint64(data[at:]), uses: c.uses[:0]}
	at += 8
	n := get()
	c.member, c.active, c.day = int32(n>>1)+noMember, n&1 != 0, int32(get())
	there := get()
	number := func(i int) uint64 {
		if there>>i&1 == 0 {
			return 0
		}
		return get()
	}
	c.messages, c.actions, c.priced, c.cost = int32(number(0)), int32(number(1)), int32(number(2)), int64(number(3))
	uses := int(number(4))
	c.edits[0], c.edits[2], c.edits[1], c.edits[3] = int32(number(5)), int32(number(6)), int32(number(7)), int32(number(8))
	c.searches, c.unknown = int32(number(9)), int32(number(10))
	for range uses {
		n := get()
		c.uses = append(c.uses, use{useKind(n % useKinds), int32(n / useKinds), int32(get()), int32(get()), int32(get())})
	}
	if at == len(data) {
		return place{from.chunk + 1, 0}
	}
	return place{from.chunk, int32(at)}
}

// from unpacks the cells from a place on, in the order in which they were added. Each
// is valid until the next one.
func (p *packed) from(at place) iter.Seq[*cell] {
	return func(yield func(*cell) bool) {
		var c cell
		for int(at.chunk) < len(p.chunks) {
			if at = p.read(at, &c); !yield(&c) {
				return
			}
		}
	}
}

// all unpacks all of them.
func (p *packed) all() iter.Seq[*cell] { return p.from(place{}) }

// cursor stands at a cell, if ok, and begins at the first one.
type cursor struct {
	cell
	ok bool
	of *packed
	at place // the next one
}

func (p *packed) cursor() *cursor {
	k := &cursor{of: p}
	k.next()
	return k
}

func (k *cursor) next() {
	if k.ok = int(k.at.chunk) < len(k.of.chunks); k.ok {
		k.at = k.of.read(k.at, &k.cell)
	}
}

// pack puts away the cells that no record has come for since the last turn.
func (o *Observer) pack() {
	for k, c := range o.cells {
		if c.touched {
			c.touched = false
			continue
		}
		o.packed.add(c)
		delete(o.cells, k)
		*c = cell{uses: c.uses[:0]}
		o.spare = append(o.spare, c)
	}
	o.cur = nil
}

// join adds what another cell of the same session, member and day counted.
func (c *cell) join(x *cell) {
	c.messages += x.messages
	c.actions += x.actions
	for i := range c.edits {
		c.edits[i] += x.edits[i]
	}
	c.searches += x.searches
	c.priced += x.priced
	c.unknown += x.unknown
	c.active = c.active || x.active
	c.cost = plus(c.cost, x.cost)
	for _, u := range x.uses {
		if i := slices.IndexFunc(c.uses, func(v use) bool { return v.kind == u.kind && v.name == u.name }); i < 0 {
			c.uses = append(c.uses, u)
		} else {
			c.uses[i].n += u.n
			c.uses[i].reads += u.reads
			c.uses[i].write += u.write
		}
	}
}

// New makes an observer.
func New(cfg Config) *Observer {
	cfg.From, cfg.To = cfg.From.UTC(), cfg.To.UTC()
	if cfg.AsOf.IsZero() {
		cfg.AsOf = cfg.To
	}
	o := &Observer{cfg: cfg, from: cfg.From.UnixNano(), to: cfg.To.UnixNano(), cells: map[cellKey]*cell{},
		days: int((cfg.To.Sub(cfg.From) + 24*time.Hour - 1) / (24 * time.Hour))}
	for d := range o.days + 1 {
		o.dates = append(o.dates, cfg.From.AddDate(0, 0, d))
	}
	return o
}

// Observe takes one record.
func (o *Observer) Observe(ev *event.Event) {
	if ev.Product != event.Cowork || ev.Has&event.FTime == 0 || ev.Time < o.from || ev.Time >= o.to {
		return
	}
	o.records++
	k := cellKey{ev.OfSession(), o.member(ev), int32((ev.Time - o.from) / int64(24*time.Hour))}
	if k.member == noMember {
		o.nobody++
	}
	if ev.Time >= o.turn {
		o.pack()
		o.turn = ev.Time + turnEvery
	}
	c := o.cur
	if c == nil || o.last != k {
		if c = o.cells[k]; c == nil {
			if n := len(o.spare); n > 0 {
				c, o.spare = o.spare[n-1], o.spare[:n-1]
			} else {
				c = new(cell)
			}
			c.member, c.day, c.session = k.member, k.day, k.session
			o.cells[k] = c
		}
		o.last, o.cur = k, c
		c.touched = true
	}
	switch ev.Kind {
	case event.UserPrompt:
		c.messages++
		c.active = true
	case event.ToolResult:
		c.actions++
		c.active = true
		o.tool(c, ev)
	case event.SkillActivated:
		o.skills = true
		c.active = true
		c.use(skillActivated, o.names[skillTool].id(ev.SkillName, ev.SkillName), event.NoVerb)
		if ev.Plugin != "" {
			c.use(plugin, o.names[plugin].id(ev.Plugin, ev.Plugin), event.NoVerb)
		}
	case event.APIRequest:
		if ev.CostFrom == event.NoCost || ev.CostFrom == event.CostMissing || ev.CostMicros < 0 {
			c.unknown++
			return
		}
		c.priced++
		c.cost = plus(c.cost, ev.CostMicros)
	}
}

func (o *Observer) tool(c *cell, ev *event.Event) {
	switch ev.Tool {
	case "Edit":
		c.edits[0]++
	case "MultiEdit":
		c.edits[1]++
	case "Write":
		c.edits[2]++
	case "NotebookEdit":
		c.edits[3]++
	case "WebSearch":
		c.searches++
	case "Skill":
		name := cmp.Or(ev.SkillName, unnamed)
		c.use(skillTool, o.names[skillTool].id(name, name), event.NoVerb)
	}
	if ev.IsMCP() {
		name := cmp.Or(ev.MCPServer, unnamed)
		c.use(connector, o.connector(name), ev.Verb)
	}
}

const unnamed = "(unnamed)"

// connector is the number of a connector's name. Those met lately are known as they
// are spelt.
func (o *Observer) connector(name string) int32 {
	l := &o.spelt[(len(name)*7+int(name[0])+int(name[len(name)-1])*3)%len(o.spelt)]
	if l.name != name {
		id := o.names[connector].id(normal(name), name)
		l.name, l.id = strings.Clone(name), id
	}
	return l.id
}

func (c *cell) use(kind useKind, name int32, verb event.Verb) {
	i := slices.IndexFunc(c.uses, func(u use) bool { return u.kind == kind && u.name == name })
	if i < 0 {
		i = len(c.uses)
		c.uses = append(c.uses, use{kind: kind, name: name})
	}
	u := &c.uses[i]
	u.n++
	switch verb {
	case event.VerbRead, event.VerbList:
		u.reads++
	case event.VerbWrite, event.VerbModify:
		u.write++
	}
}

// normal lets spellings of one connector collapse: case, spaces and punctuation
// do not tell them apart.
func normal(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f || r == '(' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// member is the one member the record's keys name, or noMember: contradicting
// keys are nobody's.
func (o *Observer) member(ev *event.Event) int32 {
	if m, id := ev.Who(o.cfg.Directory); id == event.Matched {
		return m
	}
	return noMember
}

func (o *Observer) date(day int) time.Time {
	if day < 0 || day >= len(o.dates) {
		return o.cfg.From.AddDate(0, 0, day)
	}
	return o.dates[day]
}

// seat reports that the member was on the roster at some moment of the day.
func (o *Observer) seat(m, day int) bool {
	left := o.cfg.Directory.Left(m)
	return o.cfg.Directory.Joined(m).Before(o.date(day+1)) && (left.IsZero() || left.After(o.date(day)))
}

func (o *Observer) enabled(m, day int) bool {
	if o.cfg.Enabled == nil {
		return o.seat(m, day)
	}
	return o.cfg.Enabled(m, o.date(day))
}

// sorted packs the cells by member, day and session, so that no map order shows. There
// are so many that they are not unpacked all at once.
func (o *Observer) sorted() *packed {
	all := packed{chunks: slices.Clip(o.packed.chunks), cells: o.packed.cells}
	if len(o.cells) > 0 {
		var open packed // behind the others, which they join where one is their own
		for _, c := range o.cells {
			open.add(c)
		}
		all.chunks, all.cells = append(all.chunks, open.chunks...), all.cells+open.cells
	}
	type known struct {
		member, day int32
		session     uint64
		at          place
	}
	cells := make([]known, 0, all.cells)
	var c, x cell
	for at := (place{}); int(at.chunk) < len(all.chunks); {
		was := at
		at = all.read(at, &c)
		cells = append(cells, known{c.member, c.day, c.session, was})
	}
	slices.SortStableFunc(cells, func(a, b known) int {
		return cmp.Or(cmp.Compare(a.member, b.member), cmp.Compare(a.day, b.day), cmp.Compare(a.session, b.session))
	})
	var out packed
	for i := 0; i < len(cells); {
		k := cells[i]
		all.read(k.at, &c)
		for i++; i < len(cells) && cells[i].session == k.session && cells[i].day == k.day && cells[i].member == k.member; i++ {
			all.read(cells[i].at, &x)
			c.join(&x)
		}
		out.add(&c)
	}
	return &out
}

// Report may be asked at any time.
func (o *Observer) Report() *Report {
	cells := o.sorted()
	r := &Report{
		From: o.date(0).Format(time.DateOnly), To: o.date(o.days - 1).Format(time.DateOnly), Plan: o.cfg.Plan,
		Members: []MemberActivity{}, Groups: []GroupActivity{}, Records: o.records, Unattributed: o.nobody,
		Absent: []string{"chat", "claude_code", "claude_design", "office_agent", "science"}, Notes: []string{},
	}
	shown := o.latestShown()
	o.timeline(r, cells, shown)
	var active, seats, enabled int64
	members := 0
	if o.cfg.Directory != nil {
		members = o.cfg.Directory.Len()
	}
	r.daily = &daily{cells: cells, days: make([][]place, o.days), skill: o.skillKind()}
	var c cell
	member, day := noMember, int32(-1) // of the cell before
	for at := (place{}); int(at.chunk) < len(cells.chunks); {
		was := at
		if at = cells.read(at, &c); c.member >= 0 && int(c.member) < members && (c.member != member || c.day != day) {
			r.daily.days[c.day] = append(r.daily.days[c.day], was)
			member, day = c.member, c.day
		}
	}
	for d := range o.days {
		r.daily.dates = append(r.daily.dates, o.date(d).Format(time.DateOnly))
	}
	at := cells.cursor()
	for m := range members {
		for at.ok && at.member < int32(m) {
			at.next()
		}
		seated, on := false, false
		for d := range o.days {
			seated = seated || o.seat(m, d)
			on = on || o.enabled(m, d)
		}
		a := o.activity(m, at)
		if a.Sessions > 0 {
			active++
			r.Members = append(r.Members, a)
		}
		if seated {
			seats++
			r.SeatShare.N += count(a.Sessions > 0)
		}
		if on {
			enabled++
			r.EnabledShare.N += count(a.Sessions > 0)
		}
	}
	r.SeatShare.Of, r.SeatShare.Denominator = seats, "members who held a seat on at least one day of the period"
	r.EnabledShare.Of, r.EnabledShare.Denominator = enabled, "members for whom Cowork was enabled on at least one day of the period"
	ranks := [...]*ranking{o.rank(connector), o.rank(o.skillKind()), o.rank(plugin)}
	for c := range cells.all() {
		for _, k := range ranks {
			k.add(c)
		}
	}
	r.Connectors, r.Skills, r.Plugins = ranks[0].uses(), ranks[1].uses(), ranks[2].uses()
	o.groups(r, cells)
	o.roi(r, cells, int(active))
	o.notes(r, shown)
	return r
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// skillKind is which records count skill uses: activations if the stream has
// any, else calls of the Skill tool. One use may give both, so never the sum.
func (o *Observer) skillKind() useKind {
	if o.skills {
		return skillActivated
	}
	return skillTool
}

// latestShown is the last day of the period that can be queried on AsOf, -1 for
// none.
func (o *Observer) latestShown() int {
	asOf := o.cfg.AsOf.UTC().Truncate(24 * time.Hour)
	day := int(asOf.Sub(o.cfg.From)/(24*time.Hour)) - max(o.cfg.FreshnessDays, 1)
	return min(max(day, -1), o.days-1)
}

func (o *Observer) timeline(r *Report, cells *packed, shown int) {
	r.Days, r.Weeks = make([]Day, o.days), []Week{}
	type span struct {
		member int32
		days   []int32
	}
	var spans []span
	for c := range cells.all() {
		if !c.active {
			continue
		}
		d := &r.Days[c.day]
		d.Sessions++
		if c.member == noMember {
			d.Unattributed++
			continue
		}
		if n := len(spans); n == 0 || spans[n-1].member != c.member {
			spans = append(spans, span{member: c.member})
		}
		if s := &spans[len(spans)-1]; len(s.days) == 0 || s.days[len(s.days)-1] != c.day {
			s.days = append(s.days, c.day)
		}
	}
	// within counts a member once for each day whose window holds an active day.
	within := func(width int, bump func(*Day)) {
		for _, s := range spans {
			next := 0
			for _, d := range s.days {
				for x := max(int(d), next); x < min(int(d)+width, o.days); x++ {
					bump(&r.Days[x])
					next = x + 1
				}
			}
		}
	}
	within(1, func(d *Day) { d.DAU++ })
	within(7, func(d *Day) { d.WAU++ })
	within(30, func(d *Day) { d.MAU++ })
	for i := range r.Days {
		d := &r.Days[i]
		d.Date, d.Shown = o.date(i).Format(time.DateOnly), i <= shown
		if o.cfg.Directory != nil {
			for m := range o.cfg.Directory.Len() {
				d.Enabled += int(count(o.enabled(m, i)))
				d.Seats += int(count(o.seat(m, i)))
			}
		}
		if i == 0 || o.date(i).Weekday() == time.Monday {
			r.Weeks = append(r.Weeks, Week{From: d.Date})
		}
		w := &r.Weeks[len(r.Weeks)-1]
		w.Days++
		w.Enabled = max(w.Enabled, d.Enabled)
	}
	weekOf := func(day int32) int {
		lead := (8 - int(o.cfg.From.Weekday())) % 7 // days before the first Monday
		if int(day) < lead {
			return 0
		}
		return (int(day)-lead)/7 + int(count(lead > 0))
	}
	for _, s := range spans {
		last := -1
		for _, d := range s.days {
			if w := weekOf(d); w != last {
				r.Weeks[w].Active++
				last = w
			}
		}
	}
	// A session that spans midnight counts once in a week.
	seen := rules.NewKeys(false) // of a session and a week
	for c := range cells.all() {
		if w := weekOf(c.day); c.active && seen.Add(event.Join(c.session, uint64(w))) {
			r.Weeks[w].Sessions++
		}
	}
	if shown >= 0 {
		r.LatestShown = r.Days[shown].Date
	}
}

// activity sums the cells of a member, which come next.
func (o *Observer) activity(m int, at *cursor) MemberActivity {
	a := MemberActivity{Member: m}
	o.tally.begin(o.skillKind())
	last := int32(-1)
	for ; at.ok && at.member == int32(m); at.next() {
		c := &at.cell
		o.tally.add(c)
		a.CostMicros = plus(a.CostMicros, c.cost)
		a.CostKnown = a.CostKnown || c.priced > 0
		if c.active && c.day != last {
			a.ActiveDays++
			last = c.day
		}
	}
	if a.Metrics = o.tally.metrics(); last >= 0 {
		a.LastActive = o.date(int(last)).Format(time.DateOnly)
	}
	return a
}

// tally sums cells; what is distinct is counted over all of them.
type tally struct {
	m                Metrics
	skill            useKind
	sessions, edited distinct
	names            map[named]struct{}
}

// named is a name of its kind.
type named struct {
	kind useKind
	name int32
}

// begin has the tally hold nothing.
func (t *tally) begin(skill useKind) {
	t.m, t.skill = Metrics{}, skill
	t.sessions.reset()
	t.edited.reset()
	clear(t.names)
}

func (t *tally) add(c *cell) {
	m := &t.m
	if c.active {
		t.sessions.add(c.session)
	}
	m.Messages += int64(c.messages)
	m.Actions += int64(c.actions)
	m.WebSearches += int64(c.searches)
	m.Edit += int64(c.edits[0])
	m.MultiEdit += int64(c.edits[1])
	m.Write += int64(c.edits[2])
	m.NotebookEdit += int64(c.edits[3])
	if c.edits != [4]int32{} {
		t.edited.add(c.session)
	}
	for _, u := range c.uses {
		total, distinct := &m.ConnectorCalls, &m.DistinctConnectors
		switch u.kind {
		case connector:
		case plugin:
			total, distinct = &m.PluginUses, &m.DistinctPlugins
		case t.skill:
			total, distinct = &m.SkillUses, &m.DistinctSkills
		default:
			continue
		}
		*total += int64(u.n)
		if t.names == nil {
			t.names = map[named]struct{}{}
		}
		n := len(t.names)
		t.names[named{u.kind, u.name}] = struct{}{}
		*distinct += int64(len(t.names) - n)
	}
}

func (t *tally) metrics() Metrics {
	m := t.m
	m.FileEdits = m.Edit + m.MultiEdit + m.Write + m.NotebookEdit
	m.Sessions, m.SessionsWithEdits = t.sessions.len(), t.edited.len()
	return m
}

// distinct counts keys that are spread evenly, as hashes are. The zero value has met
// none.
type distinct struct {
	few  []uint64
	many *rules.Keys // then few is empty
}

const fewKeys = 32

func (d *distinct) add(key uint64) {
	if d.many != nil {
		d.many.Add(key)
		return
	}
	if slices.Contains(d.few, key) {
		return
	}
	if len(d.few) < fewKeys {
		d.few = append(d.few, key)
		return
	}
	d.many = rules.NewKeys(false)
	for _, k := range d.few {
		d.many.Add(k)
	}
	d.many.Add(key)
	d.few = d.few[:0]
}

func (d *distinct) len() int64 {
	if d.many != nil {
		return int64(d.many.Len())
	}
	return int64(len(d.few))
}

func (d *distinct) reset() { d.few, d.many = d.few[:0], nil }

// ranking counts the uses of names of some kinds, over cells by member.
type ranking struct {
	o     *Observer
	kinds []useKind
	sums  map[named]*ranked
}

type ranked struct {
	Use
	last     int32 // member
	sessions distinct
}

func (o *Observer) rank(kinds ...useKind) *ranking {
	return &ranking{o: o, kinds: kinds, sums: map[named]*ranked{}}
}

func (r *ranking) add(c *cell) {
	for _, u := range c.uses {
		if !slices.Contains(r.kinds, u.kind) {
			continue
		}
		k := named{u.kind, u.name}
		s := r.sums[k]
		if s == nil {
			s = &ranked{last: noMember}
			s.Name = r.o.display(u.kind, u.name)
			if len(r.kinds) > 1 {
				s.Name = [...]string{"connector ", "skill ", "skill ", "plugin "}[u.kind] + s.Name
			}
			r.sums[k] = s
		}
		s.Uses += int64(u.n)
		if u.kind == connector {
			s.Reads += int64(u.reads)
			s.Writes += int64(u.write)
			s.Unclassified += int64(u.n - u.reads - u.write)
		}
		s.sessions.add(c.session)
		if c.member != noMember && c.member != s.last {
			s.Members++
			s.last = c.member
		}
	}
}

// uses are the names, most used first.
func (r *ranking) uses() []Use {
	out := []Use{}
	for _, s := range r.sums {
		s.Sessions = s.sessions.len()
		out = append(out, s.Use)
	}
	slices.SortFunc(out, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Uses, a.Uses), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func (o *Observer) display(kind useKind, name int32) string {
	if kind == skillActivated {
		kind = skillTool
	}
	return o.names[kind].display[name]
}

// inGroup reports that the member was in the group at any moment of the UTC day:
// memberships change at the dates of the configuration, so both ends tell all but
// a change back and forth within the day.
func (o *Observer) inGroup(g, m, day int) bool {
	d := o.cfg.Directory
	return d.InGroup(g, m, o.date(day)) || d.InGroup(g, m, o.date(day+1).Add(-1))
}

func (o *Observer) groups(r *Report, cells *packed) {
	if o.cfg.Directory == nil {
		return
	}
	for g := range o.cfg.Directory.Config.Groups {
		ga := GroupActivity{Group: o.cfg.Directory.Config.Groups[g].Name.Value}
		var own tally
		own.begin(o.skillKind())
		names := o.rank(connector, o.skillKind())
		last := noMember
		for c := range cells.all() {
			if c.member != noMember && o.inGroup(g, int(c.member), int(c.day)) {
				own.add(c)
				names.add(c)
				ga.CostMicros = plus(ga.CostMicros, c.cost)
				if c.active && c.member != last {
					ga.Active++
					last = c.member
				}
			}
		}
		for m := range o.cfg.Directory.Len() {
			for d := range o.days {
				if o.inGroup(g, m, d) && o.enabled(m, d) {
					ga.Enabled++
					break
				}
			}
		}
		ga.metrics = own.metrics()
		ga.Sessions, ga.Messages, ga.Actions = ga.metrics.Sessions, ga.metrics.Messages, ga.metrics.Actions
		ga.Workflows = names.uses()
		r.Groups = append(r.Groups, ga)
	}
	slices.SortStableFunc(r.Groups, func(a, b GroupActivity) int { return strings.Compare(a.Group, b.Group) })
}

func (o *Observer) roi(r *Report, cells *packed, active int) {
	sessions := rules.NewKeys(false)
	var cost, attributed, priced int64
	for c := range cells.all() {
		if c.active {
			sessions.Add(c.session)
		}
		cost = plus(cost, c.cost)
		priced += int64(c.priced)
		r.ROI.RequestsWithoutCost += int64(c.unknown)
		if c.member != noMember {
			attributed = plus(attributed, c.cost)
		}
	}
	r.ROI.ActiveMembers, r.ROI.Sessions = active, int64(sessions.Len())
	if priced == 0 {
		return
	}
	r.ROI.CostMicros = &cost
	if active > 0 {
		v := nearest(attributed, int64(active))
		r.ROI.CostPerActiveMember = &v
	}
	if n := r.ROI.Sessions; n > 0 {
		v := nearest(cost, n)
		r.ROI.CostPerSession = &v
	}
}

// plus stays at the largest amount once it is reached; neither is negative.
func plus(a, b int64) int64 { return a + min(b, math.MaxInt64-a) }

// nearest is a/b rounded, halves up; both are not negative.
func nearest(a, b int64) int64 { return a/b + (a%b+b/2)/b }

func (o *Observer) notes(r *Report, shown int) {
	say := func(f string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(f, args...)) }
	switch o.cfg.Plan {
	case "team":
		say("Team shows these figures on its dashboard and has no Analytics API: there is nothing to export, so no files in that shape are written.")
	case "enterprise":
	default:
		say("This plan has neither the dashboard nor the Analytics API; the figures come from the stream alone.")
	}
	if shown < o.days-1 {
		from := o.date(shown + 1).Format(time.DateOnly)
		say("On %s the surface does not show %s to %s yet: a day appears %d day(s) after it.",
			o.cfg.AsOf.UTC().Format(time.DateOnly), from, r.To, max(o.cfg.FreshnessDays, 1))
	}
	for _, w := range []struct {
		name string
		n    int
	}{{"WAU", 7}, {"MAU", 30}} {
		if o.days >= w.n {
			say("%s looks back %d days, so before %s it covers less and reads low.", w.name, w.n, o.date(w.n-1).Format(time.DateOnly))
		} else {
			say("%s looks back %d days and the period has %d, so it reads low throughout.", w.name, w.n, o.days)
		}
	}
	say("Active means a prompt, a skill or a finished tool call; the vendor's pages also speak of sessions and of token use, which can differ.")
	say("Figures of chat, Claude Code and other products are absent, not zero: this stream cannot give them.")
	if o.nobody > 0 {
		say("%d of %d records name no member: their sessions count, and no member, group or active-member figure holds them.", o.nobody, o.records)
	}
	if r.ROI.CostMicros == nil && o.records > 0 {
		say("No request carries a cost, so no cost figure can be given.")
	} else if n := r.ROI.RequestsWithoutCost; n > 0 {
		say("%d requests carry no cost; cost figures are too low.", n)
	}
	if len(r.Groups) > 1 {
		say("A member of several groups counts in full in each, so group rows can exceed the total.")
	}
}
