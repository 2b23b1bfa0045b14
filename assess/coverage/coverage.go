// Package coverage measures what a telemetry stream can show: who was heard,
// what is missing inside it, which fields and texts were on the wire. Each figure
// keeps its denominator, and one with an empty denominator is unknown, never
// good.
//
// Only Cowork records count towards the figures; records of other products are
// counted by product. A record delivered twice (same session, sequence, time and
// name) counts once and is reported as a duplicate.
//
// Memory is bounded by the roster, by the sessions that showed a record within
// the last day of event time (up to half a kilobyte each), by the prompts that showed one
// within the last days, and by ten bytes for each session. Order
// matters only inside a session: records may come late by minutes, not by more
// than a day. A prompt that is silent for four days and then goes on, as over a
// long weekend, counts once; after eight it counts again.
package coverage

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Ratio is a count and what it is a part of. The zero value is unknown.
type Ratio struct {
	N  int64 `json:"n"`
	Of int64 `json:"of"`
}

// Known reports that there was anything to count.
func (r Ratio) Known() bool { return r.Of > 0 }

// Float is N/Of, and 0 when unknown: ask Known first.
func (r Ratio) Float() float64 {
	if r.Of <= 0 {
		return 0
	}
	return float64(r.N) / float64(r.Of)
}

func (r Ratio) String() string { return fmt.Sprintf("%d of %d", r.N, r.Of) }

func (r *Ratio) add(hit bool) {
	r.Of++
	if hit {
		r.N++
	}
}

// Config of one observation. Records outside [From, To) are counted and left
// out; a zero bound is open.
type Config struct {
	Directory *org.Directory
	// Enabled tells who may use Cowork at some moment of the period. Nil means
	// every member of the roster.
	Enabled  func(member int) bool
	From, To time.Time
	// ObservedIsReceive says that Event.Observed is a receiver's own clock, so that
	// the difference from the record's time means something.
	ObservedIsReceive bool
}

// Count is a name and how often it was seen.
type Count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// VersionCount counts records by the desktop's or container's version and by the
// release of the event engine (the scope's version).
type VersionCount struct {
	Version string `json:"version"`
	Wire    string `json:"wire,omitempty"`
	Records int64  `json:"records"`
}

// Report is what the stream showed. Lists are sorted and never nil.
type Report struct {
	Records       int64   `json:"cowork_records"` // of Cowork, inside the period, each once
	Products      []Count `json:"products"`       // every record, by product
	Duplicates    int64   `json:"duplicates"`
	OutsidePeriod int64   `json:"outside_period"`
	Untimed       int64   `json:"untimed"` // Cowork records without a time; counted, but in no week

	SeatsHeard      Ratio `json:"seats_heard"`    // enabled members with a record / enabled members
	SequenceHoles   Ratio `json:"sequence_holes"` // missing / expected between first and last of each process
	Processes       int64 `json:"processes"`
	OrphanPrompts   Ratio `json:"orphan_prompts"` // prompt ids without a user_prompt / prompt ids
	Identity        Ratio `json:"identity"`       // records of exactly one member / records
	IdentityMissing int64 `json:"identity_missing"`
	IdentityUnknown int64 `json:"identity_unknown"`  // on the wire, not on the roster
	IdentityTorn    int64 `json:"identity_conflict"` // the keys of one record name two members
	Paths           Ratio `json:"paths"`             // comparable path / file-touching tool results
	MCP             Ratio `json:"mcp"`               // server named / MCP tool results
	AutoAccept      Ratio `json:"auto_accept"`       // by configuration or hook / decisions whose maker is known
	Decisions       int64 `json:"decisions"`

	SkewP99Seconds int64 `json:"skew_p99_s"`
	SkewKnown      bool  `json:"skew_known"`

	// Records with a detector's hit in a prompt, an answer, tool arguments or a
	// path. ContentEvaluable is the texts that were there / texts that could be.
	PANHits          int64 `json:"pan_hits"`
	SADHits          int64 `json:"sad_hits"`
	PHIHits          int64 `json:"phi_hits"`
	ContentEvaluable Ratio `json:"content_evaluable"`
	PromptTexts      Ratio `json:"prompt_texts"`
	ResponseTexts    Ratio `json:"response_texts"`
	ToolTexts        Ratio `json:"tool_texts"`

	LateLeaverEvents int64 `json:"late_leaver_events"`
	// Silences counts spells of more than 24 hours, Saturdays and Sundays (UTC)
	// not counted, in which a member heard before was not heard. It needs records
	// in the order of their time.
	Silences int64 `json:"silences"`

	Content  []string       `json:"content"` // content categories seen on the wire
	Versions []VersionCount `json:"versions"`
	Kinds    []Count        `json:"kinds"` // by event name
	Weeks    int            `json:"weeks"` // whole weeks from the start of the period
	// SilentWeeks are those without one Cowork record.
	SilentWeeks int   `json:"silent_weeks"`
	Sessions    int64 `json:"sessions"`
	Prompts     int64 `json:"prompts"` // user_prompt records

	// Silent lists the enabled members never heard, by index. Writers name them by
	// pseudonym, so it stays out of JSON.
	Silent []int `json:"-"`
	// What a stream leaves out of single records, for doctor.
	DecisionsWithoutResult Ratio `json:"decisions_without_result"` // accepted, with a tool_use_id
	ResultsWithoutDecision Ratio `json:"results_without_decision"`
	ResultsWithoutSource   Ratio `json:"results_without_source"`
	RequestsWithoutCost    Ratio `json:"requests_without_cost"`
	RecordsWithoutSession  int64 `json:"records_without_session"`
}

// Categories of content, in the order the vendor lists them.
var categories = [...]string{"userPrompts", "assistantResponses", "toolDetails", "toolContent", "rawApiBodies"}

const (
	maxNames  = 256                // distinct versions and event names kept; more are summed as "other"
	idle      = int64(24 * 3.6e12) // a session without a record for so long is closed
	maxEpochs = 4                  // processes of one session that may run side by side
	maxGaps   = 64                 // holes of one process that a late record may still fill
	maxRecent = 64                 // fingerprints kept to tell a record delivered twice
	// sideBySide is how long an older process of a session counts as still running.
	sideBySide = int64(10 * time.Minute)
	sweep      = 8192 // records between two looks for idle sessions
)

// Observer measures one stream. It keeps no text of any event. Not safe for
// concurrent use.
type Observer struct {
	cfg      Config
	from, to int64
	r        Report
	members  []member
	products [8]int64
	kinds    [64]int64
	others   map[string]*int64
	versions map[[2]string]*versions
	recent   [16]*versions // met lately, by their lengths and last letters
	content  [len(categories)]bool
	weeks    []bool
	skew     map[int64]int64
	skewed   int64
	sessions *rules.Keys
	prompts  promptMemory
	live     map[uint64]*session
	spare    spare
	last     uint64 // key of cur
	cur      *session
	newest   int64
	ticks    int
	closed   tally
	paths    event.Cleaner
}

// member is what a record of a member is held against.
type member struct {
	latest         int64 // ns of the last record; 0 = none yet
	left           int64
	enabled, heard bool
}

// versions are those of the product and of its event engine, with their records.
type versions struct {
	of [2]string
	n  int64
}

// promptMemory knows the prompts of the last days: those that showed a record
// since the last turn, and those of the turn before. What neither of two turns
// heard of is counted and forgotten.
type promptMemory struct {
	now, before prompts
	turn        int64  // when now becomes before; 0: no record yet
	past        Ratio  // of those forgotten: without a user_prompt
	last        uint64 // noted last, so that the records of a turn cost nothing
	asked       bool   // what is known of it
}

// prompts are keys of prompts, by whether their user_prompt was seen.
type prompts struct{ asked, other *rules.Keys }

func newPrompts() prompts { return prompts{rules.NewKeys(false), rules.NewKeys(false)} }

// take finds a prompt and takes it out.
func (p *prompts) take(k uint64) (asked, ok bool) {
	if p.asked.Delete(k) {
		return true, true
	}
	return false, p.other.Delete(k)
}

func (p *prompts) count(r *Ratio) {
	r.N += int64(p.other.Len())
	r.Of += int64(p.asked.Len() + p.other.Len())
}

const promptTurn = int64(4 * 24 * time.Hour)

// note takes a record of a prompt; newest is the newest time so far.
func (m *promptMemory) note(k uint64, asked bool, newest int64) {
	if k == m.last && (m.asked || !asked) && newest < m.turn {
		return
	}
	if newest >= m.turn && newest != math.MinInt64 {
		if m.turn > 0 {
			m.before.count(&m.past)
			m.before, m.now = m.now, m.before
			m.now.asked.Reset()
			m.now.other.Reset()
		}
		m.turn = newest + promptTurn
	}
	m.last, m.asked = k, asked
	if m.now.asked.Has(k) {
		m.asked = true
		return
	}
	if was, _ := m.before.take(k); was { // it moves over
		m.asked = true
	}
	if !m.asked {
		m.now.other.Add(k)
		return
	}
	m.now.other.Delete(k)
	m.now.asked.Add(k)
}

func (m *promptMemory) orphans() Ratio {
	r := m.past
	m.before.count(&r)
	m.now.count(&r)
	return r
}

// tally sums what closed sessions showed, and of open ones what is over: processes,
// and either side of tool uses.
type tally struct {
	missing, expected, processes int64
	decisions, decisionsAlone    int64
	results, resultsAlone        int64
}

// New makes an observer. It asks Enabled once for every member.
func New(cfg Config) *Observer {
	o := &Observer{
		cfg: cfg, from: math.MinInt64, to: math.MaxInt64, newest: math.MinInt64,
		others: map[string]*int64{}, versions: map[[2]string]*versions{}, skew: map[int64]int64{},
		sessions: rules.NewKeys(false), prompts: promptMemory{now: newPrompts(), before: newPrompts()}, live: map[uint64]*session{},
	}
	if !cfg.From.IsZero() {
		o.from = cfg.From.UnixNano()
	}
	if !cfg.To.IsZero() {
		o.to = cfg.To.UnixNano()
	}
	if !cfg.From.IsZero() && cfg.To.After(cfg.From) {
		o.weeks = make([]bool, cfg.To.Sub(cfg.From)/(7*24*time.Hour))
	}
	if cfg.Directory != nil {
		o.members = make([]member, cfg.Directory.Len())
		for i := range o.members {
			m := &o.members[i]
			m.enabled, m.left = cfg.Enabled == nil || cfg.Enabled(i), math.MaxInt64
			if l := cfg.Directory.Left(i); !l.IsZero() {
				m.left = l.UnixNano()
			}
		}
	}
	return o
}

// Observe takes one record.
func (o *Observer) Observe(ev *event.Event) {
	o.products[ev.Product]++
	if ev.Product != event.Cowork {
		return
	}
	timed := ev.Has&event.FTime != 0
	if timed && (ev.Time < o.from || ev.Time >= o.to) {
		o.r.OutsidePeriod++
		return
	}
	s := o.session(ev)
	if s != nil && s.track(ev, &o.closed, &o.spare) {
		o.r.Duplicates++
		return
	}
	o.r.Records++
	o.name(ev)
	if timed {
		if w := int((ev.Time - o.from) / int64(7*24*time.Hour)); o.from != math.MinInt64 && w < len(o.weeks) {
			o.weeks[w] = true
		}
		o.newest = max(o.newest, ev.Time)
	} else {
		o.r.Untimed++
	}
	o.version(ev)
	if o.cfg.ObservedIsReceive && timed && ev.Has&event.FObserved != 0 {
		o.skew[coarse(ev.Observed-ev.Time)]++
		o.skewed++
	}
	o.who(ev, timed)
	if ev.Prompt != "" {
		o.prompt(ev, s)
	}
	o.judge(ev, s)
	if o.ticks++; o.ticks >= sweep {
		o.ticks = 0
		for k, s := range o.live {
			if s.last < o.newest-idle {
				s.close(&o.closed)
				delete(o.live, k)
				o.spare.drop(s)
			}
		}
		o.cur = nil
	}
}

// version counts the record under its versions. Counts stand behind pointers: to
// assign to a map replaces the key, and keys here must not be views.
func (o *Observer) version(ev *event.Event) {
	v := [2]string{ev.ServiceVersion, ev.ScopeVersion}
	at := 0
	for i, s := range v {
		if n := len(s); n > 0 {
			at += (i + 1) * (n + int(s[n-1]))
		}
	}
	l := &o.recent[at%len(o.recent)]
	if *l != nil && (*l).of == v {
		(*l).n++
		return
	}
	x := o.versions[v]
	if x == nil {
		if v = [2]string{strings.Clone(v[0]), strings.Clone(v[1])}; len(o.versions) >= maxNames {
			v = [2]string{"other", ""}
		}
		if x = o.versions[v]; x == nil {
			x = &versions{of: v}
			o.versions[v] = x
		}
	}
	x.n++
	*l = x
}

// prompt notes the prompt of a record, unless its session noted it in this turn.
func (o *Observer) prompt(ev *event.Event, s *session) {
	m, k, asks := &o.prompts, ev.OfPrompt(), ev.Kind == event.UserPrompt
	if s != nil && s.prompt == k && (s.asked || !asks) && s.turn == m.turn && o.newest < m.turn {
		return
	}
	m.note(k, asks, o.newest)
	if s != nil {
		s.prompt, s.asked, s.turn = k, m.asked, m.turn
	}
}

func (o *Observer) name(ev *event.Event) {
	if ev.Kind != event.Other {
		o.kinds[ev.Kind]++
		return
	}
	n := o.others[ev.Name]
	if n == nil {
		name := strings.Clone(ev.Name)
		if len(o.others) >= maxNames {
			name = "other"
		}
		if n = o.others[name]; n == nil {
			n = new(int64)
			o.others[name] = n
		}
	}
	*n++
	if ev.Name == "api_request_body" || ev.Name == "api_response_body" {
		o.content[4] = true
	}
}

func (o *Observer) who(ev *event.Event, timed bool) {
	member, state := ev.Who(o.cfg.Directory)
	switch state {
	case event.NoIdentity:
		o.r.IdentityMissing++
	case event.Stranger:
		o.r.IdentityUnknown++
	case event.Torn:
		o.r.IdentityTorn++
	}
	o.r.Identity.add(state == event.Matched)
	if state != event.Matched {
		return
	}
	m := &o.members[member]
	m.heard = true
	if timed && ev.Time > m.latest {
		if m.latest > 0 && silent(m.latest, ev.Time) {
			o.r.Silences++
		}
		m.latest = ev.Time
	}
	if timed && ev.Time >= m.left {
		o.r.LateLeaverEvents++
	}
}

// silent reports more than 24 hours between two instants, weekends left out.
func silent(from, to int64) bool {
	const day = int64(24 * time.Hour)
	if to-from <= day {
		return false
	}
	if to-from > 5*day { // a week's worth holds a working day whatever the weekend
		return true
	}
	left := to - from
	for t := from - from%day; t < to; t += day { // whole UTC days that overlap the spell
		if d := time.Unix(0, t).UTC().Weekday(); d == time.Saturday || d == time.Sunday {
			left -= min(t+day, to) - max(t, from)
		}
	}
	return left > day
}

// judge looks at what a record of its kind could have shown.
func (o *Observer) judge(ev *event.Event, s *session) {
	r := &o.r
	switch ev.Kind {
	case event.UserPrompt:
		r.Prompts++
		o.text(&r.PromptTexts, 0, ev, ev.Has&event.FPromptText != 0 && ev.PromptText != event.Redacted, textPrompt, textPrompt)
	case event.AssistantResponse:
		o.text(&r.ResponseTexts, 1, ev, ev.Has&event.FResponseText != 0 && ev.ResponseText != event.Redacted, textResponse, textResponse)
	case event.ToolDecision:
		r.Decisions++
		if ev.Approval > event.ApprovalUnknown {
			r.AutoAccept.add(ev.Approval == event.AutoAccept || ev.Approval == event.HookAccept)
		}
		if s != nil && ev.ToolUse != "" && ev.Decision == "accept" {
			o.closed.decisions++
			s.open.pair(event.Key(ev.ToolUse), true)
		}
	case event.ToolResult:
		if ev.PathKnown != event.NotApplicable {
			r.Paths.add(ev.PathKnown == event.Known && o.comparable(ev))
		}
		if ev.IsMCP() {
			r.MCP.add(ev.MCPKnown == event.Known)
		}
		r.ResultsWithoutSource.add(ev.Has&event.FSource == 0)
		if s != nil && ev.ToolUse != "" {
			o.closed.results++
			s.open.pair(event.Key(ev.ToolUse), false)
		}
		there := ev.Has&(event.FInput|event.FParameters) != 0 && ev.Input != event.Redacted
		o.text(&r.ToolTexts, 2, ev, there, textInput, textParameters)
	case event.APIRequest:
		r.RequestsWithoutCost.add(ev.CostFrom == event.CostMissing || ev.CostFrom == event.NoCost)
	}
}

// Positions in event.Texts.
const (
	textPrompt = iota
	textResponse
	textInput
	textParameters
)

// text counts the texts first to last of an event, that could be there, and if
// they are, looks into them.
func (o *Observer) text(of *Ratio, category int, ev *event.Event, there bool, first, last int) {
	of.add(there)
	o.r.ContentEvaluable.add(there)
	if !there {
		return
	}
	o.content[category] = true
	var pan, sad, phi bool
	for i, t := range ev.Texts() {
		if i < first || i > last || *t == "" || *t == event.Redacted {
			continue
		}
		marks := ev.Marks[i]
		if !ev.Looked {
			marks = alert.Look(*t)
		}
		pan = pan || alert.ClassifyLooked(*t, "pan", marks)
		sad = sad || alert.ClassifyLooked(*t, "sad", marks)
		phi = phi || alert.ClassifyLooked(*t, "phi", marks)
	}
	o.r.PANHits += count(pan)
	o.r.SADHits += count(sad)
	o.r.PHIHits += count(phi)
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// comparable reports that every path of the call can be held against a folder:
// absolute, and without steps upwards.
func (o *Observer) comparable(ev *event.Event) bool {
	if ev.Paths == nil {
		return o.settled(ev.Path)
	}
	for _, p := range ev.Paths {
		if !o.settled(p) {
			return false
		}
	}
	return true
}

func (o *Observer) settled(p string) bool {
	p = o.paths.Clean(p)
	return (strings.HasPrefix(p, "/") || len(p) > 2 && p[1] == ':' && p[2] == '/') && !event.Climbs(p)
}

// coarse is the absolute value in seconds, rounded up: to the second up to ten
// minutes, above that to two digits, so that few values occur.
func coarse(ns int64) int64 {
	if ns < 0 {
		if ns = -ns; ns < 0 {
			ns = math.MaxInt64
		}
	}
	s := ns / 1e9
	if ns%1e9 > 0 {
		s++
	}
	unit := int64(1)
	for s > 600 && s/unit >= 100 {
		unit *= 10
	}
	return (s + unit - 1) / unit * unit
}

func (o *Observer) session(ev *event.Event) *session {
	if ev.Session == "" {
		o.r.RecordsWithoutSession++
		return nil
	}
	k := ev.OfSession()
	if o.cur != nil && o.last == k {
		return o.cur
	}
	s := o.live[k]
	if s == nil {
		o.sessions.Add(k)
		s = o.spare.session()
		o.live[k] = s
	}
	o.last, o.cur = k, s
	return s
}

// Report may be asked at any time; later records count towards the next one.
func (o *Observer) Report() *Report {
	r := o.r
	t := o.closed
	for _, s := range o.live {
		s.close(&t)
	}
	r.SequenceHoles, r.Processes = Ratio{t.missing, t.expected}, t.processes
	r.DecisionsWithoutResult = Ratio{t.decisionsAlone, t.decisions}
	r.ResultsWithoutDecision = Ratio{t.resultsAlone, t.results}
	r.Products, r.Versions, r.Kinds = []Count{}, []VersionCount{}, []Count{}
	for p, n := range o.products {
		if n > 0 {
			r.Products = append(r.Products, Count{event.Product(p).String(), n})
		}
	}
	for k, n := range o.kinds {
		if n > 0 {
			r.Kinds = append(r.Kinds, Count{event.Kind(k).String(), n})
		}
	}
	for name, n := range o.others {
		r.Kinds = append(r.Kinds, Count{name, *n})
	}
	byName := func(a, b Count) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(r.Products, byName)
	slices.SortFunc(r.Kinds, byName)
	for v, x := range o.versions {
		r.Versions = append(r.Versions, VersionCount{v[0], v[1], x.n})
	}
	slices.SortFunc(r.Versions, func(a, b VersionCount) int {
		if c := dotted(a.Version, b.Version); c != 0 {
			return c
		}
		return dotted(a.Wire, b.Wire)
	})
	for i, c := range categories {
		if o.content[i] {
			r.Content = append(r.Content, c)
		}
	}
	if r.Content == nil {
		r.Content = []string{}
	}
	r.Silent = []int{}
	for i := range o.members {
		m := &o.members[i]
		if !m.enabled {
			continue
		}
		if end := min(o.cfg.To.UnixNano(), m.left); m.latest > 0 && !o.cfg.To.IsZero() && silent(m.latest, end) {
			r.Silences++ // it lasts to the end of the period, or of the job
		}
		r.SeatsHeard.add(m.heard)
		if !m.heard {
			r.Silent = append(r.Silent, i)
		}
	}
	r.Weeks = len(o.weeks)
	for _, heard := range o.weeks {
		if !heard {
			r.SilentWeeks++
		}
	}
	r.Sessions = int64(o.sessions.Len())
	r.OrphanPrompts = o.prompts.orphans()
	r.SkewP99Seconds, r.SkewKnown = o.percentile99(), o.skewed > 0
	return &r
}

// percentile99 is the smallest skew that 99 in 100 records do not exceed.
func (o *Observer) percentile99() int64 {
	var values []int64
	for v := range o.skew {
		values = append(values, v)
	}
	slices.Sort(values)
	need, seen := (o.skewed*99+99)/100, int64(0)
	for _, v := range values {
		if seen += o.skew[v]; seen >= need {
			return v
		}
	}
	return 0
}

// dotted compares versions part by part, as numbers where both are.
func dotted(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(as) && i < len(bs); i++ {
		x, ex := strconv.ParseUint(as[i], 10, 64)
		y, ey := strconv.ParseUint(bs[i], 10, 64)
		switch {
		case ex == nil && ey == nil && x != y:
			if x < y {
				return -1
			}
			return 1
		case as[i] != bs[i] && (ex != nil || ey != nil):
			return strings.Compare(as[i], bs[i])
		}
	}
	if c := len(as) - len(bs); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// MarshalJSON is the report with the number of silent members, never who.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	return json.Marshal(struct {
		plain
		Silent int `json:"members_silent"`
	}{plain(r), len(r.Silent)})
}
