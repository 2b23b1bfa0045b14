package assess

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

// Thresholds of the doctor. They are ours: above what one published fleet shows
// of itself, below what makes a figure useless.
const (
	skewLimit     = int64(5 * time.Minute)
	lateLimit     = int64(time.Minute)
	holesLimit    = 0.005 // as the element on complete coverage asks
	openEndsLimit = 0.10
	causeUsual    = 0.34 // results without decision_source in one fleet of 436,464 records
	causeLimit    = 0.50
	lateShare     = 0.005
	orphanLimit   = 0.01
	contentFloor  = "1.15962" // desktop releases below it ignore the content setting
	exportFloor   = "1.1.4173"
)

// DoctorOptions say what is known besides the stream.
type DoctorOptions struct {
	Coverage coverage.Config // with a roster, or without
	Rules    []*alert.Rule
	Alerts   alert.Config
	Model    *Model
	// Active are members, by e-mail or account, whom an independent count shows at
	// work. Nil: no such count.
	Active []string
	// Rollout says what the gates of the organisation's rollout hold back over the
	// stream, and which state Coverage is of. It is printed.
	Rollout []string
}

// State is what the doctor makes of one defect. The zero value is the safe one.
type State uint8

const (
	CannotTell State = iota
	NotFound
	Suspected
	Found
)

func (s State) String() string {
	return [...]string{"cannot tell", "not found", "suspected", "found"}[s]
}
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Complaint is one defect of an export: whether the stream shows it, by what, and
// what cannot be seen because of it.
type Complaint struct {
	Defect      string   `json:"defect"`
	State       State    `json:"state"`
	Evidence    string   `json:"evidence"`
	N           int64    `json:"n"`
	Of          int64    `json:"of"`
	Remedy      string   `json:"remedy,omitempty"`
	BlindRules  []string `json:"blind_rules,omitempty"`
	Obligations []string `json:"obligations,omitempty"`
}

// BlindRule is a rule that could not judge what it looked at.
type BlindRule struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Reached   int64  `json:"reached"`
	Evaluable int64  `json:"evaluable"`
	Why       string `json:"why"`
}

// Diagnosis is the doctor's answer. Complaints come in a fixed order.
type Diagnosis struct {
	Records    int64            `json:"records"`
	First      time.Time        `json:"first"`
	Last       time.Time        `json:"last"`
	Complaints []Complaint      `json:"complaints"`
	Blind      []BlindRule      `json:"blind_rules"`
	Rules      int              `json:"rules"`
	Coverage   *coverage.Report `json:"coverage"`
	Rollout    []string         `json:"rollout,omitempty"` // what gates hold back, and which state was expected
}

// doctor looks at a stream in the order in which it arrived. It keeps nothing of
// any text. Not safe for concurrent use.
type doctor struct {
	o      DoctorOptions
	cover  *coverage.Observer
	alerts *alert.Engine
	replay *replay.Replay

	records, cowork    int64
	ordered            bool
	run                arrivals
	newest             int64
	receiver           int64 // records whose observed time is not their own
	installs           map[string]*install
	processes          [2]map[uint64]*tailState // sessions heard since the last turn, and in the one before
	turn               int64                    // when the first of them becomes the second
	days               map[int64]int64
	remote, remoteNone int64
	openEnds           int64
	closedEnds         int64
	versions           map[string]*[2]int64 // tool results and decisions by application version

	// Of a stream that was put in order of time as its own order is not that of arrival:
	// how many records stood out of turn, and how many were there twice.
	exported, twice int64
	one             [1]event.Event
}

// install is one installation, or one member where the wire names no installation.
type install struct {
	records                          int64
	samples, ahead, behind, lateRuns int64 // runs of arrivals
	late, off                        int64 // records that came late, and the furthest off
	content                          [2]contentState
	email, account                   string
}

// contentState follows one kind of content, prompts or arguments of tools.
type contentState struct {
	on, off   int64
	firstOn   int64
	lastOff   int64
	offThenOn bool
	onThenOff bool
}

// arrivals is the run of records of one installation that just arrived, and the
// time of the record of another that came before it.
type arrivals struct {
	of               *install
	before, first, n int64
	begun            bool
}

type tailState struct {
	kind event.Kind
	seq  int64
	time int64
	acc  bool
}

// newDoctor makes one. Model and Rules are needed, the rest may be empty.
func newDoctor(o DoctorOptions) *doctor {
	d := &doctor{o: o, cover: coverage.New(o.Coverage), ordered: true, installs: map[string]*install{}, processes: [2]map[uint64]*tailState{{}, {}}, versions: map[string]*[2]int64{}, days: map[int64]int64{}}
	d.alerts = alert.New(o.Rules, o.Alerts)
	d.replay = replay.New(replay.Options{From: o.Coverage.From, Until: o.Coverage.To}, d.alerts)
	return d
}

// exportShare is the share of records behind the window from which a stream is taken
// for an export in another order, newest first or by member: no outage makes so many late.
const exportShare = 0.2

// Examine has a doctor look at a stream. One that shows the order of an export and not
// that of arrival is read again, in order of time, if it can be; again is nil otherwise.
func Examine(ctx context.Context, o DoctorOptions, read, again replay.Read) (*Diagnosis, error) {
	d := newDoctor(o)
	if err := read(ctx, d.take); err != nil {
		return nil, err
	}
	late := d.replay.Counts().Late
	if late == 0 || float64(late) < exportShare*float64(d.records) {
		return d.close(), nil
	}
	if again == nil {
		d.exported = late
		return d.close(), nil
	}
	arrived := d
	counts, _, err := replay.Over(ctx, again, again, replay.Options{}, func() []replay.Observer {
		d = newDoctor(o)
		return []replay.Observer{d}
	})
	if err != nil {
		return nil, err
	}
	d.exported, d.twice = late, counts.Duplicates
	d.remote, d.remoteNone = arrived.remote, arrived.remoteNone // of fields that are not kept while records wait
	return d.close(), nil
}

// Observe takes the next record in order of time.
func (d *doctor) Observe(e *event.Event) {
	d.observe(e)
	d.cover.Observe(e)
	d.one[0] = *e
	d.replay.Add(d.one[:])
}

// take takes the next records in the order of arrival, and the batch's memory
// with them, as replay.Replay does.
func (d *doctor) take(b *otlp.Batch) error {
	for i := range b.Events {
		d.observe(&b.Events[i])
		d.cover.Observe(&b.Events[i])
	}
	return d.replay.Take(b)
}

func (d *doctor) observe(e *event.Event) {
	d.records++
	if e.Product != event.Cowork { // other products on the endpoint are counted by coverage
		return
	}
	d.cowork++
	if e.Surface == "remote" || e.OS == "linux" && e.Terminal == "linux" {
		d.remote++
		if e.Email == "" && e.Account == "" {
			d.remoteNone++
		}
	}
	if e.Has&event.FTime == 0 {
		return
	}
	d.days[e.Time/int64(24*time.Hour)]++
	key := cmp.Or(e.UserID, e.Account, e.Email, e.Session)
	in := d.installs[key]
	if in == nil {
		in = &install{email: strings.Clone(e.Email), account: strings.Clone(e.Account)}
		d.installs[strings.Clone(key)] = in
	}
	in.records++
	d.arrival(e, in)
	switch {
	case e.Kind == event.UserPrompt && e.Has&event.FPromptText != 0:
		in.content[0].note(e.Time, e.PromptText != event.Redacted)
	case e.Kind == event.ToolResult:
		in.content[1].note(e.Time, e.Has&event.FInput != 0)
	}
	if e.Kind == event.ToolDecision || e.Kind == event.ToolResult {
		n := d.versions[e.ServiceVersion]
		if n == nil {
			n = new([2]int64)
			d.versions[strings.Clone(e.ServiceVersion)] = n
		}
		if e.Kind == event.ToolResult {
			n[0]++
		} else {
			n[1]++
		}
	}
	// How each process ends. A resumed session is a new process, told by numbers
	// that begin again.
	if e.Session == "" || e.Has&event.FSequence == 0 {
		return
	}
	p := d.process(e.OfSession(), e.Time)
	switch {
	case e.Sequence < p.seq && e.Time > p.time:
		d.end(p)
		p.seq = -1
	case e.Sequence <= p.seq: // late or twice
		return
	}
	p.kind, p.seq, p.time = e.Kind, e.Sequence, e.Time
	p.acc = e.Decision == "accept"
}

// process finds the last process of a session. One that was not heard of for four
// days has ended; if it goes on all the same, it counts as two.
func (d *doctor) process(session uint64, at int64) *tailState {
	const days = int64(4 * 24 * time.Hour)
	if at >= d.turn {
		if d.turn > 0 {
			for _, p := range d.processes[1] {
				d.end(p)
			}
			d.processes = [2]map[uint64]*tailState{{}, d.processes[0]}
		}
		d.turn = at + days
	}
	p := d.processes[0][session]
	if p == nil {
		if p = d.processes[1][session]; p != nil {
			delete(d.processes[1], session)
		} else {
			p = &tailState{seq: -1}
		}
		d.processes[0][session] = p
	}
	return p
}

// end notes how a process ended: in the middle of a turn or after an answer.
func (d *doctor) end(p *tailState) {
	switch {
	case p.kind == event.UserPrompt, p.kind == event.ToolResult, p.kind == event.ToolDecision && p.acc, p.kind == event.HookStart:
		d.openEnds++
	case p.kind == event.APIRequest, p.kind == event.AssistantResponse, p.kind == event.APIError, p.kind == event.ToolDecision:
		d.closedEnds++
	}
}

func (c *contentState) note(at int64, on bool) {
	if !on {
		c.off++
		c.lastOff = max(c.lastOff, at)
		c.onThenOff = c.onThenOff || c.on > 0
		return
	}
	c.on++
	if c.firstOn == 0 || at < c.firstOn {
		c.firstOn = at
	}
	c.offThenOn = c.offThenOn || c.off > 0
}

// arrival compares the times of what an installation sends with the times of what
// others sent just before and just after it. Only neighbours that agree with each
// other are a measure.
func (d *doctor) arrival(e *event.Event, in *install) {
	if e.Has&event.FObserved != 0 && e.Observed != e.Time {
		d.receiver++
		in.samples++
		in.judge(e.Time-e.Observed, 1)
	}
	if e.Time < d.newest {
		d.ordered = false
	}
	d.newest = max(d.newest, e.Time)
	r := &d.run
	if r.of == in {
		r.n++
		return
	}
	if r.begun && r.of != nil && max(e.Time-r.before, r.before-e.Time) < skewLimit {
		r.of.samples++
		switch lo, hi := min(r.before, e.Time), max(r.before, e.Time); {
		case r.first < lo:
			r.of.judge(r.first-lo, r.n)
		case r.first > hi:
			r.of.judge(r.first-hi, r.n)
		}
	}
	last := r.first
	*r = arrivals{of: in, before: last, first: e.Time, n: 1, begun: r.of != nil}
}

// judge notes a run of n records whose times lie off what arrived around them.
func (in *install) judge(off, n int64) {
	switch {
	case off > skewLimit:
		in.ahead++
	case off < -skewLimit:
		in.behind++
	}
	if off < -lateLimit {
		in.late += n
		in.lateRuns++
	}
	if a := max(off, -off); a > in.off {
		in.off = a
	}
}

func older(version, floor string) bool {
	if version == "" {
		return false
	}
	as, bs := strings.Split(version, "."), strings.Split(floor, ".")
	for i := range bs {
		x, y := 0, 0
		var err error
		if i < len(as) {
			if x, err = strconv.Atoi(as[i]); err != nil {
				return false
			}
		}
		y, _ = strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return false
}

// close ends the examination.
func (d *doctor) close() *Diagnosis {
	counts, _ := d.replay.Close()
	for _, turn := range d.processes {
		for _, p := range turn {
			d.end(p)
		}
	}
	x := &Diagnosis{Records: d.records, First: counts.First, Last: counts.Last, Coverage: d.cover.Report(), Rules: len(d.o.Rules), Rollout: d.o.Rollout, Blind: []BlindRule{}}
	for _, r := range d.alerts.Reports() {
		if r.Reached == 0 || r.Evaluable*2 > r.Reached {
			continue
		}
		b := BlindRule{ID: r.ID, Title: r.Title, Reached: r.Reached, Evaluable: r.Evaluable}
		if len(r.NotEvaluable) > 0 {
			b.Why = r.NotEvaluable[0].Text
		}
		x.Blind = append(x.Blind, b)
	}
	for _, c := range d.complaints(x.Coverage) {
		if c.State == Found || c.State == Suspected {
			touched := consequences[c.Defect]
			c.BlindRules, c.Obligations = d.rulesReading(touched), d.obligationsReading(touched.variables)
		}
		x.Complaints = append(x.Complaints, c)
	}
	return x
}

// touched is what a defect takes away: words of rules, content categories, and
// variables of elements.
type touched struct {
	everything bool // whole records: every rule misses what is not there
	words      []string
	categories []string
	variables  []string
}

var consequences = map[string]touched{
	"silent-exporter":           {everything: true, variables: []string{"seats_heard_ratio", "silent_weeks", "recon_ratio"}},
	"egress-drop":               {everything: true, variables: []string{"seq_hole_ratio", "silent_weeks", "recon_ratio"}},
	"old-desktop":               {words: []string{"decision", "source", "approval", "desktop_below_floor"}, variables: []string{"desktop_floor_ratio", "auto_accept_ratio", "al5_evaluable"}},
	"settings-at-session-start": {words: []string{"prompt", "has_prompt", "path", "outside_scope", "mcp_server", "tool_input", "command"}, categories: []string{"userPrompts", "toolDetails"}, variables: []string{"otel_prompt_content", "otel_tool_details", "path_known_ratio", "mcp_known_ratio"}},
	"tail-loss":                 {words: []string{"cost_micros", "response"}, variables: []string{"seq_hole_ratio", "recon_ratio", "orphan_prompt_ratio"}},
	"missing-decision-source":   {words: []string{"source", "approval"}, variables: []string{"auto_accept_ratio"}},
	"cloud-identity-loss":       {words: []string{"member"}, variables: []string{"identity_ratio", "late_leaver_events"}},
	"duplicate-batches":         {variables: []string{"recon_ratio"}},
	"clock-skew":                {words: []string{"hour", "weekday", "off_hours"}, variables: []string{"skew_p99_s"}},
	"content-off":               {words: []string{"prompt", "has_prompt", "path", "outside_scope", "mcp_server", "tool_input", "command"}, categories: []string{"userPrompts", "toolDetails", "assistantResponses"}, variables: []string{"otel_prompt_content", "otel_tool_details", "path_known_ratio", "mcp_known_ratio", "pan_hits", "sad_hits", "phi_hits", "al1_evaluable", "al2_evaluable", "al3_evaluable"}},
	"sequence-gaps":             {everything: true, variables: []string{"seq_hole_ratio", "orphan_prompt_ratio"}},
	"late-batches":              {variables: []string{"alert_latency_p90_min"}},
	"orphan-prompts":            {variables: []string{"orphan_prompt_ratio"}},
	"cost-missing":              {words: []string{"cost_micros"}, variables: []string{"al4_evaluable"}},
}

func (d *doctor) rulesReading(t touched) []string {
	out := []string{}
	for _, r := range d.o.Rules {
		reads := slices.Clone(r.Uses())
		for _, f := range r.Needs.Fields {
			reads = append(reads, f.Value)
		}
		for _, k := range r.Correlation.Key {
			reads = append(reads, k.Value)
		}
		reads = append(reads, r.Correlation.Field.Value)
		hit := t.everything
		for _, w := range t.words {
			hit = hit || slices.Contains(reads, w)
		}
		for _, c := range t.categories {
			hit = hit || slices.Contains(r.Needs.Categories, c)
		}
		if hit {
			out = append(out, r.ID.Value)
		}
	}
	sort.Strings(out)
	return out
}

// obligationsReading lists obligations that rest on an element which reads one of
// the variables.
func (d *doctor) obligationsReading(variables []string) []string {
	out := []string{}
	for _, f := range d.o.Model.Frameworks {
		for _, o := range f.Obligations {
			for _, p := range o.parts {
				if slices.ContainsFunc(p.el.reads, func(r string) bool { return slices.Contains(variables, r) }) {
					out = append(out, o.Id.Value)
					break
				}
			}
		}
	}
	return out
}

func percent(n, of int64) string {
	if of == 0 {
		return "none"
	}
	return strconv.FormatFloat(float64(n)*100/float64(of), 'f', 1, 64) + " %"
}

// complaints judges each defect.
func (d *doctor) complaints(c *coverage.Report) []Complaint {
	out := []Complaint{d.silence(c), d.egress()}
	add := func(defect string, s State, n, of int64, remedy, format string, a ...any) {
		x := Complaint{Defect: defect, State: s, N: n, Of: of, Evidence: fmt.Sprintf(format, a...)}
		if s >= Suspected {
			x.Remedy = remedy
		}
		out = append(out, x)
	}
	state := func(found bool) State {
		if found {
			return Found
		}
		return NotFound
	}

	var old, versions, mute int64
	var lowest, silentOn string
	for _, v := range c.Versions {
		versions += v.Records
		if older(v.Version, contentFloor) {
			old += v.Records
			if lowest == "" || older(v.Version, lowest) {
				lowest = v.Version
			}
		}
		if n := d.versions[v.Version]; n != nil && n[0] >= 10 && n[1]*10 < n[0] {
			mute, silentOn = mute+v.Records, v.Version
		}
	}
	const update = "Update the desktop application; below " + exportFloor + " nothing is exported at all, and such members look silent."
	switch {
	case versions == 0:
		add("old-desktop", CannotTell, 0, 0, "", "no record names its version")
	case mute > 0:
		add("old-desktop", Found, mute, versions, update, "%d of %d records come from version %s, which logs tool results and no decisions", mute, versions, silentOn)
	case old == 0:
		add("old-desktop", NotFound, 0, versions, "", "every version is at or above desktop %s", contentFloor)
	case old < versions:
		add("old-desktop", Found, old, versions, update, "%d of %d records come from desktop releases below %s, down to %s, which ignore the content setting", old, versions, contentFloor, lowest)
	default:
		add("old-desktop", Suspected, old, versions, update, "every record comes from a desktop release below %s, down to %s, which ignores the content setting; if the stream is of that time they were current", contentFloor, lowest)
	}

	out = append(out, d.settings())

	ends := d.openEnds + d.closedEnds
	switch {
	case ends < 20:
		add("tail-loss", CannotTell, d.openEnds, ends, "", "only %s, too few to judge how they end", countOf(int(ends), "process", "processes"))
	default:
		add("tail-loss", state(float64(d.openEnds) > openEndsLimit*float64(ends)), d.openEnds, ends,
			"Expect the last seconds of sessions to be missing; do not read an open turn as an aborted one.",
			"%d of %d processes (%s) end in the middle of a turn", d.openEnds, ends, percent(d.openEnds, ends))
	}

	x := c.ResultsWithoutSource
	switch {
	case !x.Known():
		add("missing-decision-source", CannotTell, 0, 0, "", "no tool results")
	default:
		add("missing-decision-source", state(x.Float() > causeLimit), x.N, x.Of, "Join tool_decision by tool_use_id; count approvals there and never on results.",
			"%s of tool results do not name their approval (%s); one published fleet lacks it on %.0f %%", percent(x.N, x.Of), x, causeUsual*100)
	}

	switch {
	case d.remote == 0:
		add("cloud-identity-loss", NotFound, 0, 0, "", "no cloud sessions; %d of %d records name nobody", c.IdentityMissing, d.cowork)
	default:
		add("cloud-identity-loss", state(d.remoteNone*100 > d.remote), d.remoteNone, d.remote, "Keep an unattributed bucket for spend and alerts; never assign by guess. Ask the vendor which sandbox images are affected.",
			"%d of %d records of cloud sessions (%s) name nobody", d.remoteNone, d.remote, percent(d.remoteNone, d.remote))
	}

	twice := c.Duplicates + d.twice
	add("duplicate-batches", state(twice > 0), twice, d.cowork, "De-duplicate by session, sequence number, time and name before counting money or alerts.",
		"%d records arrived more than once", twice)

	var skewed, worst, late, records int64
	for _, in := range d.installs {
		records += in.records
		switch off := max(in.ahead, in.behind); {
		case off >= 3 && off*10 > in.samples*7:
			skewed++
			worst = max(worst, in.off)
		case in.lateRuns*3 <= in.samples && in.samples >= 10: // else it may be a clock, too
			late += in.late
		}
	}
	sorted := d.ordered && d.receiver == 0
	switch {
	case d.exported > 0 && d.receiver == 0:
		why := fmt.Sprintf("the stream is not in order of arrival: %d of %d records stand more than ten minutes behind those before them, as in an export newest first or by member", d.exported, d.records+d.twice)
		add("clock-skew", CannotTell, 0, int64(len(d.installs)), "", "%s; no receiver's time is on the records", why)
		add("late-batches", CannotTell, 0, records, "", "%s", why)
	case sorted:
		add("clock-skew", CannotTell, 0, int64(len(d.installs)), "", "the stream is sorted by its own clock and no receiver's time is on the records")
		add("late-batches", CannotTell, 0, records, "", "the stream is sorted by its own clock")
	default:
		add("clock-skew", state(skewed > 0), skewed, int64(len(d.installs)), "Stamp a receive time at the collector and set machine clocks; order by it when members are compared.",
			"%d of %d installations are off by more than five minutes from what arrived with them (worst: %s)", skewed, len(d.installs), time.Duration(worst).Round(time.Minute))
		add("late-batches", state(float64(late) > lateShare*float64(records)), late, records, "Let alert windows wait, and close no day before its stragglers are in.",
			"%d of %d records (%s) arrived more than a minute behind the stream", late, records, percent(late, records))
	}

	switch {
	case c.PromptTexts.Of == 0 && c.ToolTexts.Of == 0:
		add("content-off", CannotTell, 0, 0, "", "no prompts and no tool results")
	case len(c.Content) == 0:
		add("content-off", Found, 0, c.PromptTexts.Of, "Set otlpContentCapture to the categories the rules need, or accept in writing that they are blind.",
			"no prompt text, no answer and no tool details on any record; %s prompts, %s tool results", c.PromptTexts, c.ToolTexts)
	default:
		add("content-off", NotFound, c.PromptTexts.N, c.PromptTexts.Of, "", "content categories seen: %s", strings.Join(c.Content, ", "))
	}

	x = c.SequenceHoles
	switch {
	case !x.Known():
		add("sequence-gaps", CannotTell, 0, 0, "", "the records carry no sequence numbers")
	default:
		add("sequence-gaps", state(x.Float() > holesLimit), x.N, x.Of, "Find where records are lost: exporter queue, collector limits or a sampling filter.",
			"%d of %d numbers are missing inside %s (%s)", x.N, x.Of, countOf(int(c.Processes), "process", "processes"), percent(x.N, x.Of))
	}

	if x = c.OrphanPrompts; x.Known() {
		add("orphan-prompts", state(x.Float() > orphanLimit), x.N, x.Of, "Treat such prompts as incomplete; who asked is known only by the session.",
			"%d of %d prompt ids have no user_prompt record (%s)", x.N, x.Of, percent(x.N, x.Of))
	}
	if x = c.RequestsWithoutCost; x.Known() {
		add("cost-missing", state(x.N > 0), x.N, x.Of, "Recompute from tokens and dated list prices, and mark the totals.",
			"%d of %d requests carry no cost", x.N, x.Of)
	}
	return out
}

// silence compares who was heard with a roster, and better with a count of who
// was at work.
func (d *doctor) silence(c *coverage.Report) Complaint {
	x := Complaint{Defect: "silent-exporter"}
	remedy := "Restart the application on the silent machines and look at their export settings; watch a heartbeat per member against Analytics."
	if d.o.Active != nil {
		heard := map[string]bool{}
		for _, in := range d.installs {
			heard[strings.ToLower(in.email)], heard[strings.ToLower(in.account)] = true, true
		}
		for _, m := range d.o.Active {
			if x.Of++; !heard[strings.ToLower(m)] {
				x.N++
			}
		}
		x.State = NotFound
		if x.N > 0 {
			x.State, x.Remedy = Found, remedy
		}
		x.Evidence = fmt.Sprintf("%d of %d members that the independent count shows at work sent no record", x.N, x.Of)
		return x
	}
	if d.o.Coverage.Directory == nil || !c.SeatsHeard.Known() {
		x.Evidence = "no roster was given: a member who sends nothing cannot be told from one who does not exist"
		return x
	}
	x.N, x.Of = c.SeatsHeard.Of-c.SeatsHeard.N, c.SeatsHeard.Of
	x.Evidence = fmt.Sprintf("%d of %d members who may use Cowork sent no record; whether they were at work the stream cannot say", x.N, x.Of)
	if x.N == 0 {
		x.State, x.Evidence = NotFound, fmt.Sprintf("every one of %d members who may use Cowork was heard", x.Of)
	} else {
		x.State, x.Remedy = Suspected, "Compare with an Analytics export (--active). "+remedy
	}
	return x
}

// egress looks for working days on which nothing came from anybody.
func (d *doctor) egress() Complaint {
	x := Complaint{Defect: "egress-drop"}
	var first, last int64
	for day := range d.days {
		if first == 0 || day < first {
			first = day
		}
		last = max(last, day)
	}
	var work []int64
	at := func(day int64) time.Time { return time.Unix(day*86400, 0).UTC() }
	weekday := func(day int64) bool { w := at(day).Weekday(); return w != time.Saturday && w != time.Sunday }
	for day := first; day <= last && first > 0; day++ {
		if weekday(day) {
			work = append(work, d.days[day])
		}
	}
	if len(work) < 5 {
		x.Evidence = fmt.Sprintf("only %s, too few to tell silence from rest", countOf(len(work), "working day", "working days"))
		return x
	}
	sorted := slices.Clone(work)
	slices.Sort(sorted)
	usual := sorted[len(sorted)/2]
	var silent []string
	for day := first; day <= last; day++ {
		if weekday(day) && d.days[day]*50 < usual {
			silent = append(silent, at(day).Format(time.DateOnly))
		}
	}
	x.N, x.Of = int64(len(silent)), int64(len(work))
	if usual < 20 {
		x.Evidence = fmt.Sprintf("%d records on the middle one of %d working days, too few to tell silence from rest", usual, len(work))
		return x
	}
	if len(silent) == 0 {
		x.State, x.Evidence = NotFound, fmt.Sprintf("records on every one of %d working days, %d on the middle one", len(work), usual)
		return x
	}
	x.State = Found
	x.Evidence = fmt.Sprintf("next to nothing arrived from anybody on %s, against %d records on the middle working day", listed(silent, 6), usual)
	x.Remedy = "Look at the perimeter, the endpoint's name and its certificate for these days; nothing lost there is sent again."
	return x
}

func listed(s []string, most int) string {
	if len(s) > most {
		return strings.Join(s[:most], ", ") + fmt.Sprintf(" and %d more", len(s)-most)
	}
	return strings.Join(s, ", ")
}

// settings looks for installations that kept the old content setting after
// others had the new one.
func (d *doctor) settings() Complaint {
	x := Complaint{Defect: "settings-at-session-start", State: NotFound, Evidence: "no installation changes from withheld to sent content"}
	for k, what := range [2]string{"prompt texts", "tool details"} {
		var since int64
		for _, in := range d.installs {
			if c := &in.content[k]; c.offThenOn && (since == 0 || c.firstOn < since) {
				since = c.firstOn
			}
		}
		if since == 0 {
			continue
		}
		var lag int64
		x.N, x.Of = 0, 0
		for _, in := range d.installs {
			c := &in.content[k]
			if c.on+c.off == 0 {
				continue
			}
			x.Of++
			if !c.onThenOff && c.off > 0 && c.lastOff > since {
				x.N++
				lag = max(lag, c.lastOff-since)
			}
		}
		day := time.Unix(0, since).UTC().Format(time.DateOnly)
		x.Evidence = fmt.Sprintf("%s are sent from %s on, by all at once", what, day)
		if x.N > 0 {
			x.State = Found
			x.Evidence = fmt.Sprintf("%s are sent from %s on, but %d of %d installations withheld them for up to %s more", what, day, x.N, x.Of, time.Duration(lag).Round(time.Hour))
			x.Remedy = "A setting reaches a machine when the application restarts: after a change ask for a restart, and date the change by the last machine, not the first."
			return x
		}
	}
	return x
}

// Text is the diagnosis for people.
func (x *Diagnosis) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d of Cowork", countOf(int(x.Records), "record", "records"), x.Coverage.Records)
	if !x.First.IsZero() {
		fmt.Fprintf(&b, ", %s to %s", x.First.UTC().Format(time.DateOnly), x.Last.UTC().Format(time.DateOnly))
	}
	fmt.Fprintf(&b, ", %s, %s\n", countOf(int(x.Coverage.Sessions), "session", "sessions"), countOf(int(x.Coverage.Prompts), "prompt", "prompts"))
	for _, l := range x.Rollout {
		fmt.Fprintln(&b, l)
	}
	if x.Coverage.Records == 0 {
		b.WriteString("None of the records is Cowork's, so there is nothing to judge.\n")
		for _, p := range x.Coverage.Products {
			fmt.Fprintf(&b, "  %d of %s\n", p.N, p.Name)
		}
		return b.String()
	}
	if len(x.Coverage.Products) > 1 {
		b.WriteString("Other products on the endpoint:")
		for _, p := range x.Coverage.Products {
			if p.Name != event.Cowork.String() {
				fmt.Fprintf(&b, " %d of %s", p.N, p.Name)
			}
		}
		b.WriteString("\n")
	}
	for _, s := range []State{Found, Suspected, CannotTell, NotFound} {
		head := false
		for _, c := range x.Complaints {
			if c.State != s {
				continue
			}
			if !head {
				fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(s.String()[:1])+s.String()[1:])
				head = true
			}
			fmt.Fprintf(&b, "  %-26s %s\n", c.Defect, c.Evidence)
			if s < Suspected {
				continue
			}
			if len(c.BlindRules) == x.Rules && x.Rules > 0 {
				fmt.Fprintf(&b, "  %-26s blind: every rule, for what is not there\n", "")
			} else if len(c.BlindRules) > 0 {
				fmt.Fprintf(&b, "  %-26s blind: %s\n", "", listed(c.BlindRules, 6))
			}
			if len(c.Obligations) > 0 {
				fmt.Fprintf(&b, "  %-26s weakens: %s\n", "", listed(c.Obligations, 5))
			}
			fmt.Fprintf(&b, "  %-26s do: %s\n", "", c.Remedy)
		}
	}
	if len(x.Blind) > 0 {
		fmt.Fprintf(&b, "\nRules that cannot judge most of what they look at\n")
		for _, r := range x.Blind {
			fmt.Fprintf(&b, "  %-30s %d of %d records evaluable", r.ID, r.Evaluable, r.Reached)
			if r.Why != "" {
				fmt.Fprintf(&b, ": %s", r.Why)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
