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
	cells  []*cell // by member, day and session
	starts []int32 // of each member's day, by day and member
	dates  []string
	skill  useKind
}

// Daily gives each member's days with records, by date and member.
func (r *Report) Daily() iter.Seq[MemberDay] {
	return func(yield func(MemberDay) bool) {
		if r.daily == nil {
			return
		}
		for _, at := range r.daily.starts {
			cells := r.daily.cells[at:]
			n := 1
			for n < len(cells) && cells[n].member == cells[0].member && cells[n].day == cells[0].day {
				n++
			}
			cells = cells[:n]
			d := MemberDay{Member: int(cells[0].member), Date: r.daily.dates[cells[0].day], Metrics: metrics(cells, r.daily.skill)}
			for _, c := range cells {
				d.CostMicros = plus(d.CostMicros, c.cost)
				d.CostKnown = d.CostKnown || c.priced > 0
				d.Requests += int64(c.priced + c.unknown)
			}
			if !yield(d) {
				return
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

func (p *packed) add(c *cell) {
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
	p.chunks[last] = append(p.chunks[last], data...)
	p.cells++
}

// each unpacks the cells in the order in which they were added.
func (p *packed) each(f func(cell)) {
	var rest []byte
	var room []use // for uses of many cells
	get := func() uint64 {
		n, k := binary.Uvarint(rest)
		rest = rest[k:]
		return n
	}
	for _, rest = range p.chunks {
		for len(rest) > 0 {
			c := cell{session: binary.LittleEndian.Uint64(rest)}
			rest = rest[8:]
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
			if uses > 0 {
				if uses > len(room) {
					room = make([]use, max(uses, 4096))
				}
				c.uses, room = room[:uses:uses], room[uses:]
				for i := range c.uses {
					n := get()
					c.uses[i] = use{useKind(n % useKinds), int32(n / useKinds), int32(get()), int32(get()), int32(get())}
				}
			}
			f(c)
		}
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

// sorted lists the cells by member, day and session, so that no map order shows.
func (o *Observer) sorted() []*cell {
	cells := make([]*cell, 0, o.packed.cells+len(o.cells))
	var room []cell // some at a time: all of them together would not fit between what there is
	add := func(c cell) {
		if len(room) == cap(room) {
			room = make([]cell, 0, 4096)
		}
		room = append(room, c)
		cells = append(cells, &room[len(room)-1])
	}
	o.packed.each(add)
	for _, c := range o.cells {
		x := *c // behind packed ones, which it joins if one is its own
		x.uses = slices.Clone(c.uses)
		add(x)
	}
	slices.SortStableFunc(cells, func(a, b *cell) int {
		return cmp.Or(cmp.Compare(a.member, b.member), cmp.Compare(a.day, b.day), cmp.Compare(a.session, b.session))
	})
	n := 0
	for _, c := range cells {
		if n > 0 && cells[n-1].session == c.session && cells[n-1].day == c.day && cells[n-1].member == c.member {
			cells[n-1].join(c)
			continue
		}
		cells[n] = c
		n++
	}
	return cells[:n]
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
	r.daily = &daily{cells: cells, skill: o.skillKind()}
	for i, c := range cells {
		if c.member >= 0 && int(c.member) < members && (i == 0 || cells[i-1].member != c.member || cells[i-1].day != c.day) {
			r.daily.starts = append(r.daily.starts, int32(i))
		}
	}
	slices.SortStableFunc(r.daily.starts, func(a, b int32) int { return cmp.Compare(cells[a].day, cells[b].day) })
	for d := range o.days {
		r.daily.dates = append(r.daily.dates, o.date(d).Format(time.DateOnly))
	}
	for m, at := 0, 0; m < members; m++ {
		for at < len(cells) && cells[at].member < int32(m) {
			at++
		}
		end := at
		for end < len(cells) && cells[end].member == int32(m) {
			end++
		}
		seated, on := false, false
		for d := range o.days {
			seated = seated || o.seat(m, d)
			on = on || o.enabled(m, d)
		}
		a := o.activity(m, cells[at:end])
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
		at = end
	}
	r.SeatShare.Of, r.SeatShare.Denominator = seats, "members who held a seat on at least one day of the period"
	r.EnabledShare.Of, r.EnabledShare.Denominator = enabled, "members for whom Cowork was enabled on at least one day of the period"
	everything := func(*cell) bool { return true }
	r.Connectors = o.uses(cells, everything, connector)
	r.Skills = o.uses(cells, everything, o.skillKind())
	r.Plugins = o.uses(cells, everything, plugin)
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

func (o *Observer) timeline(r *Report, cells []*cell, shown int) {
	r.Days, r.Weeks = make([]Day, o.days), []Week{}
	type span struct {
		member int32
		days   []int32
	}
	var spans []span
	for _, c := range cells {
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
	for _, c := range cells {
		if w := weekOf(c.day); c.active && seen.Add(event.Join(c.session, uint64(w))) {
			r.Weeks[w].Sessions++
		}
	}
	if shown >= 0 {
		r.LatestShown = r.Days[shown].Date
	}
}

func (o *Observer) activity(m int, cells []*cell) MemberActivity {
	a := MemberActivity{Member: m}
	a.Metrics = metrics(cells, o.skillKind())
	last := int32(-1)
	for _, c := range cells {
		a.CostMicros = plus(a.CostMicros, c.cost)
		a.CostKnown = a.CostKnown || c.priced > 0
		if c.active && c.day != last {
			a.ActiveDays++
			last = c.day
		}
	}
	if last >= 0 {
		a.LastActive = o.date(int(last)).Format(time.DateOnly)
	}
	return a
}

// metrics sums cells; what is distinct is counted over all of them.
func metrics(cells []*cell, skill useKind) Metrics {
	var m Metrics
	type named struct {
		kind useKind
		name int32
	}
	sessions, edited, names := map[uint64]bool{}, map[uint64]bool{}, map[named]bool{}
	for _, c := range cells {
		if c.active {
			sessions[c.session] = true
		}
		m.Messages += int64(c.messages)
		m.Actions += int64(c.actions)
		m.WebSearches += int64(c.searches)
		m.Edit += int64(c.edits[0])
		m.MultiEdit += int64(c.edits[1])
		m.Write += int64(c.edits[2])
		m.NotebookEdit += int64(c.edits[3])
		if c.edits != [4]int32{} {
			edited[c.session] = true
		}
		for _, u := range c.uses {
			total, distinct := &m.ConnectorCalls, &m.DistinctConnectors
			switch u.kind {
			case connector:
			case plugin:
				total, distinct = &m.PluginUses, &m.DistinctPlugins
			case skill:
				total, distinct = &m.SkillUses, &m.DistinctSkills
			default:
				continue
			}
			*total += int64(u.n)
			if k := (named{u.kind, u.name}); !names[k] {
				names[k] = true
				*distinct++
			}
		}
	}
	m.FileEdits = m.Edit + m.MultiEdit + m.Write + m.NotebookEdit
	m.Sessions, m.SessionsWithEdits = int64(len(sessions)), int64(len(edited))
	return m
}

// uses ranks the names of a kind over the cells that belong, most used first.
func (o *Observer) uses(cells []*cell, belongs func(*cell) bool, kinds ...useKind) []Use {
	type key struct {
		kind useKind
		name int32
	}
	type sum struct {
		Use
		members  map[int32]bool
		sessions map[uint64]bool
	}
	sums := map[key]*sum{}
	for _, c := range cells {
		if !belongs(c) {
			continue
		}
		for _, u := range c.uses {
			if !slices.Contains(kinds, u.kind) {
				continue
			}
			k := key{u.kind, u.name}
			s := sums[k]
			if s == nil {
				s = &sum{members: map[int32]bool{}, sessions: map[uint64]bool{}}
				s.Name = o.display(u.kind, u.name)
				if len(kinds) > 1 {
					s.Name = [...]string{"connector ", "skill ", "skill ", "plugin "}[u.kind] + s.Name
				}
				sums[k] = s
			}
			s.Uses += int64(u.n)
			if u.kind == connector {
				s.Reads += int64(u.reads)
				s.Writes += int64(u.write)
				s.Unclassified += int64(u.n - u.reads - u.write)
			}
			s.sessions[c.session] = true
			if c.member != noMember {
				s.members[c.member] = true
			}
		}
	}
	out := []Use{}
	for _, s := range sums {
		s.Members, s.Sessions = len(s.members), int64(len(s.sessions))
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

func (o *Observer) groups(r *Report, cells []*cell) {
	if o.cfg.Directory == nil {
		return
	}
	for g := range o.cfg.Directory.Config.Groups {
		in := func(c *cell) bool { return c.member != noMember && o.inGroup(g, int(c.member), int(c.day)) }
		var own []*cell
		ga := GroupActivity{Group: o.cfg.Directory.Config.Groups[g].Name.Value}
		last := noMember
		for _, c := range cells {
			if in(c) {
				own = append(own, c)
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
		ga.metrics = metrics(own, o.skillKind())
		ga.Sessions, ga.Messages, ga.Actions = ga.metrics.Sessions, ga.metrics.Messages, ga.metrics.Actions
		ga.Workflows = o.uses(own, func(*cell) bool { return true }, connector, o.skillKind())
		r.Groups = append(r.Groups, ga)
	}
	slices.SortStableFunc(r.Groups, func(a, b GroupActivity) int { return strings.Compare(a.Group, b.Group) })
}

func (o *Observer) roi(r *Report, cells []*cell, active int) {
	sessions := rules.NewKeys(false)
	var cost, attributed, priced int64
	for _, c := range cells {
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
