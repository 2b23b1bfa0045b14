package alert

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
)

// RuleReport tells what became of the records a rule looked at. A rule that
// reached nothing, or could evaluate nothing, has not shown that all is well.
type RuleReport struct {
	ID, Title    string
	Reached      int64 // records of its products and event names
	Evaluable    int64 // of these, condition known
	Matched      int64 // of these, true and not excepted
	Excepted     int64
	Alerts       int64
	NotEvaluable []Reason // most frequent first
}

// Reason is why records were not evaluable, in words, with their number.
type Reason struct {
	Text  string
	Count int64
}

// Engine runs rules over one stream. It is not for concurrent use.
type Engine struct {
	cfg       Config
	subj      subject
	states    []*state
	rings     []*ring
	byKind    [][]*state
	buckets   map[sign]*bucket
	latest    [256]latest // by a few letters of kind and tool
	now, seen int64
	froms     [4096]lastFrom // of events kept lately, by prompt
	from      *from          // of the event at hand; nil: nobody asked
	names     [4096]name     // sessions kept lately, by key
	persons   [8192]name     // likewise
	found     []found
	silences  []silence
	ended     bool // what is left is let go of at once
	spare     spare

	// Dead keys are let go of every now and then; which ones are dead is settled at
	// fixed moments, so that no answer hangs on when that is.
	epoch, unloadEpoch  uint32 // counts the moments; the last one at which the past was let go of
	sweptAt, unloadedAt int64  // now, at these
}

// found is a finding as long as the stream goes on. There may be many: what the rule
// says of all of them, and events by their texts, stand in the findings of the end.
type found struct {
	rule    *state
	at      int64
	till    int64   // until then a match belongs to the same incident
	member  *string // nil: it concerns the organisation
	reason  string
	matches int
	cited   []cited
}

// cited is an event of a finding.
type cited struct {
	time, index int64
	from        *from
	kind        event.Kind
}

// silence is a finding of an absence by its place, and the event whose silence it is.
type silence struct {
	at    int
	after int64
}

// kind is what a rule's correlation does.
type kind uint8

const (
	single kind = iota
	count
	sum
	distinct
	absence
	firstSeen
	sequence
	rate
)

var kinds = map[string]kind{"": single, "count": count, "sum": sum, "distinct": distinct, "absence": absence, "first_seen": firstSeen, "sequence": sequence, "rate": rate}

// state is one rule at work.
type state struct {
	kind       kind
	prog       *condition.Program[subject]
	reached    int64
	evaluable  int64
	matched    int64
	ring       *ring
	bit        uint64 // its place among the rules of the ring
	hold       int64  // how long a key is kept after its last match
	span       int64  // the window
	baseline   int64
	exceptions []Exception
	threshold  int64
	r          *Rule
	text       func(*subject) (string, bool) // of the correlation's field, where it is one
	id         func(*event.Event) uint64     // stands for that text, if there is one
	number     func(*subject) (int64, bool)
	excepted   int64
	alerts     int64
	reasons    []int64 // beside r.reasons; the last one is "condition"
}

// entry is one match inside a window. For distinct, value is the key of the text.
type entry struct {
	time, value, index int64
	from               *from
	kind               event.Kind
}

// window is the live state of one key.
type window struct {
	last   int64
	tail   any // what a rule of its kind knows beyond this, made for the first match
	member *string
	open   int32  // index of the open finding + 1
	epoch  uint32 // of the engine, at the last match
}

// sliding is a sliding window with its total: count, sum, distinct.
type sliding struct {
	queue
	sum    int64
	values *values // distinct: how often each is among the entries; nil otherwise
}

// absent is the last match of an absence, which is all that is cited.
type absent struct {
	past
	time, index int64
	seen        int64 // number of the event in the stream
	matches     int64
	from        *from
	kind        event.Kind
}

// familiar is what first_seen knows of a key.
type familiar struct {
	values // when each was met last
	born   int64
	burst  *queue // with within: values seen first, lately
}

// steps is how far a sequence got.
type steps struct {
	first   entry     // the last match of the first step, where it needs one
	begun   bool      // there is one
	lead    *queue    // the last ones, as many as it needs, where it needs more
	partial [][]entry // by number of steps done after those, the attempt that started last
}

// led reports that the first step was met as often as it needs, which is n times.
func (p *steps) led(n int) bool {
	return p.begun || p.lead != nil && p.lead.n >= n
}

// leadTime is when it was for the first time of these; it must have been led.
func (p *steps) leadTime() int64 {
	if p.begun {
		return p.first.time
	}
	return p.lead.firstTime()
}

// leading are these matches.
func (p *steps) leading() []entry {
	if p.begun {
		return []entry{p.first}
	}
	return p.lead.entries()
}

// rated is a sliding window and the windows before it.
type rated struct {
	sliding
	past
	values *values // distinct: those of the present window of the clock; nil otherwise
}

// unload lets go of what the sliding window has left behind in a key that lives on
// for the sake of its past. The next match would throw it away.
func (r *rated) unload(s *spare) {
	s.empty(&r.queue)
	r.sliding, r.values = sliding{}, nil
}

// dormant is what stays of a rate then.
type dormant struct{ past }

// New makes an engine. The configuration is copied.
func New(rs []*Rule, cfg Config) *Engine {
	e := &Engine{cfg: folded(cfg), byKind: make([][]*state, len(event.Kinds())+1), buckets: map[sign]*bucket{}}
	e.subj.cfg = &e.cfg
	for _, r := range rs {
		c := &r.Correlation
		s := &state{r: r, kind: kinds[c.Type], prog: r.prog, threshold: c.threshold, span: int64(c.window), baseline: int64(c.baseline), exceptions: r.Exceptions, reasons: make([]int64, len(r.reasons)+1)}
		if s.hold = int64(max(c.window, c.baseline, r.suppress)); s.kind == absence {
			s.hold = s.span
		}
		if c.fromSpend {
			if s.threshold = cfg.SpendSessionMicros; s.threshold <= 0 {
				s.threshold = DefaultSessionSpendMicros
			}
		}
		s.text, s.number, s.id = texts[c.Field.Value], numbers[c.Field.Value], ids[c.Field.Value]
		e.join(s)
		e.states = append(e.states, s)
		for k := range e.byKind {
			if len(r.kinds) == 0 || slices.Contains(r.kinds, event.Kind(k)) {
				e.byKind[k] = append(e.byKind[k], s)
			}
		}
	}
	return e
}

// join gives a rule its ring.
func (e *Engine) join(s *state) {
	var words []string
	for _, k := range s.r.Correlation.Key {
		words = append(words, k.Value)
	}
	i := slices.IndexFunc(e.rings, func(g *ring) bool { return slices.Equal(g.words, words) && len(g.rules) < maxRing })
	if i < 0 {
		i = len(e.rings)
		g := &ring{words: words}
		for _, w := range words {
			g.parts = append(g.parts, keyPart{texts[w], ids[w]})
		}
		e.rings = append(e.rings, g)
	}
	s.ring = e.rings[i]
	s.bit = 1 << len(s.ring.rules)
	s.ring.rules = append(s.ring.rules, s)
}

// folded makes declared names comparable; nil stays nil, that is undeclared.
func folded(cfg Config) Config {
	for _, list := range []*[]string{&cfg.Allowlist, &cfg.ReadOnly, &cfg.Plugins, &cfg.Domains} {
		if *list == nil {
			continue
		}
		low := make([]string, len(*list))
		for i, s := range *list {
			low[i] = strings.ToLower(s)
		}
		*list = low
	}
	return cfg
}

// longStream leaves so much behind that collecting it is worth the time.
const longStream = 500_000

// sweepEvery is how many events pass at least between sweeps of dead keys. It bounds
// memory only: a dead key that is met again starts afresh at any rate.
const sweepEvery = 4096

// Observe takes the next event. Events come in time order, each once; what the
// engine keeps of them it clones.
func (e *Engine) Observe(ev *event.Event) {
	e.now = max(e.now, ev.Time)
	if e.seen++; e.seen%sweepEvery == 0 {
		e.sweep()
	}
	if len(e.byKind[ev.Kind]) == 0 {
		return
	}
	b := e.bucketOf(ev)
	b.counted++
	e.subj.ev, e.subj.uploads, e.subj.classed, e.from = ev, condition.Unknown, 0, nil
	for i := range b.look {
		l := &b.look[i]
		l.state.observe(e, l)
	}
	e.subj.ev, e.subj.text = nil, ""
}

// sweep settles what is dead now, and lets go of it where a ring has seen enough
// events to pay for looking through it.
func (e *Engine) sweep() {
	e.epoch++
	if e.sweptAt = e.now; e.seen%(16*sweepEvery) == 0 {
		e.unloadEpoch, e.unloadedAt = e.epoch, e.now
	}
	for _, g := range e.rings {
		if g.full(e.seen) {
			g.swept = e.seen
			g.sweep(e, e.now)
		}
	}
}

// Close ends the stream at the given time and returns all findings in order of
// time, rule and number. Silence that lasts until end is found here.
func (e *Engine) Close(end time.Time) []rules.Finding {
	e.ended = true
	for _, g := range e.rings {
		g.sweep(e, max(e.now, end.UnixNano()))
		// What is left of a stream that has ended is of no use.
		g.blocks, g.free, g.cells, g.n, g.at, g.asked = nil, nil, nil, 0, nil, 0
	}
	e.froms, e.names, e.persons, e.from, e.spare = [len(e.froms)]lastFrom{}, [len(e.names)]name{}, [len(e.persons)]name{}, nil, spare{}
	if e.seen >= longStream {
		runtime.GC() // what was found takes the room of what led to it
	}
	// Silences come by when they were noticed: in order, they come by what they follow.
	quiet := make([]found, len(e.silences))
	places := make([]int, len(e.silences))
	for i, x := range e.silences {
		places[i] = x.at
	}
	slices.SortStableFunc(e.silences, func(a, b silence) int { return cmp.Compare(a.after, b.after) })
	for i, x := range e.silences {
		quiet[i] = e.found[x.at]
	}
	for i, at := range places {
		e.found[at] = quiet[i]
	}
	e.silences = nil
	var all []rules.Finding
	if len(e.found) > 0 {
		all = make([]rules.Finding, len(e.found))
	}
	for i := range e.found {
		all[i] = e.found[i].finding()
	}
	e.found = nil
	slices.SortStableFunc(all, func(a, b rules.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Member, b.Member))
	})
	n := map[string]int{}
	for i := range all {
		f := &all[i]
		n[f.Rule]++
		f.ID = fmt.Sprintf("%s-%d", f.Rule, n[f.Rule])
	}
	return all
}

// Reports tells of every rule, in the order given to New.
func (e *Engine) Reports() []RuleReport {
	out := make([]RuleReport, 0, len(e.states))
	for _, s := range e.states {
		r := RuleReport{ID: s.r.ID.Value, Title: s.r.Title, Reached: s.reached, Evaluable: s.evaluable, Matched: s.matched, Excepted: s.excepted, Alerts: s.alerts}
		reasons := slices.Clone(s.reasons)
		for _, b := range e.buckets {
			if slices.Contains(b.settled, s) {
				r.Reached += b.counted
				r.Evaluable += b.counted
			}
			for _, x := range b.blind {
				if x.state == s {
					r.Reached += b.counted
					reasons[x.reason] += b.counted
				}
			}
		}
		for i, n := range reasons {
			if n == 0 {
				continue
			}
			text := "the condition is not known"
			if i < len(s.r.reasons) {
				text = s.r.reasons[i] + " is not known"
			}
			r.NotEvaluable = append(r.NotEvaluable, Reason{text, n})
		}
		slices.SortStableFunc(r.NotEvaluable, func(a, b Reason) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text)) })
		out = append(out, r)
	}
	return out
}

// observe takes the event at hand; l is what its nature tells.
func (s *state) observe(e *Engine, l *looking) {
	subj := &e.subj
	s.reached++
	if !l.holds {
		switch s.prog.Eval(subj) {
		case condition.Unknown:
			s.blame(subj)
			return
		case condition.False:
			s.evaluable++
			return
		}
	}
	if l.gate && s.r.gate.Eval(subj) == condition.Unknown {
		s.blame(subj)
		return
	}
	g := s.ring
	if g.ask(e); g.unknown > 0 { // who or which is never guessed
		s.blameName(g.words[g.unknown-1])
		return
	}
	en, text := entry{time: subj.ev.Time, index: subj.ev.Index, kind: subj.ev.Kind}, ""
	if s.kind != single {
		ok := true
		switch s.kind {
		case sum:
			en.value, ok = s.number(subj)
		case distinct, firstSeen:
			if text, ok = s.text(subj); ok {
				en.value = s.keyOf(text, subj.ev)
			}
		case rate:
			switch {
			case s.text != nil:
				if text, ok = s.text(subj); ok {
					en.value = s.keyOf(text, subj.ev)
				}
			case s.number != nil:
				en.value, ok = s.number(subj)
			default:
				en.value = 1
			}
		}
		if !ok {
			s.blameName(s.r.Correlation.Field.Value)
			return
		}
	}
	s.evaluable++
	for i := range s.exceptions {
		x := &s.exceptions[i]
		if subj.ev.Time < x.Expires.Add(1).Time.UnixNano() && x.prog.Eval(subj) == condition.True {
			s.excepted++
			return
		}
	}
	s.matched++
	if s.kind == sequence && s.idle(e) && !l.step(e, s, 0) {
		return // nothing has begun for this key, and this event begins nothing
	}
	s.correlate(e, s.window(e), l, en, text)
}

// keyOf stands for the text of the correlation's field. Like two keys of a rule,
// two texts meet by chance only.
func (s *state) keyOf(text string, ev *event.Event) int64 {
	if s.id != nil {
		return int64(s.id(ev))
	}
	return int64(event.Key(text))
}

// idle reports that nothing is known of the key of the event.
func (s *state) idle(e *Engine) bool {
	b := s.ring.at
	return b == nil || b.has&s.bit == 0 || s.gone(e, &b.windows[b.place(s.bit)])
}

// blame counts a record that could not be evaluated under the most telling
// name that is not known.
func (s *state) blame(subj *subject) {
	for i, isKnown := range s.r.blames {
		if !isKnown(subj) {
			s.reasons[i]++
			return
		}
	}
	s.reasons[len(s.reasons)-1]++
}

func (s *state) blameName(name string) {
	i := slices.Index(s.r.reasons, name)
	if i < 0 { // a key or field that the condition does not read
		i = len(s.r.reasons)
		s.r = withReason(s.r, name)
		s.reasons = slices.Insert(s.reasons, i, 0)
	}
	s.reasons[i]++
}

// withReason copies the rule, because several engines may use one rule.
func withReason(r *Rule, name string) *Rule {
	c := *r
	c.reasons = append(slices.Clip(r.reasons), name)
	return &c
}

// window finds or makes the live state of the event's key.
func (s *state) window(e *Engine) *window {
	ev, b := e.subj.ev, s.ring.at
	if b == nil {
		b = s.ring.add()
	}
	if b.has&s.bit == 0 {
		w := b.make(s, ev.Time, len(s.ring.rules))
		w.member = e.person(b, ev)
		return w
	}
	w := &b.windows[b.place(s.bit)]
	if s.dead(e, w) {
		if s.kind == absence { // the event ends the silence
			s.silent(e, w)
		}
		e.letGo(w)
		*w = window{member: e.person(b, ev)}
	}
	return w
}

// dead reports that a window no longer matters when the event comes.
func (s *state) dead(e *Engine, w *window) bool {
	at := e.subj.ev.Time
	if s.kind == absence {
		at = e.now
	}
	return at-w.last > s.hold || s.gone(e, w)
}

// gone reports that a window was dead when that was settled last. Whether it has been
// let go of makes no difference.
func (s *state) gone(e *Engine, w *window) bool {
	return w.epoch < e.epoch && e.sweptAt-w.last > s.hold
}

// unloaded reports that what the rule's sliding window held was of no use any more
// when the past was let go of last, and has not been since.
func (w *window) unloaded(e *Engine, s *state) bool {
	return w.epoch < e.unloadEpoch && e.unloadedAt-w.last > s.span
}

func (s *state) silent(e *Engine, w *window) {
	at, quiet := w.last+s.span, w.tail.(*absent)
	matches := quiet.matches
	if s.baseline > 0 {
		matches = quiet.len()
	}
	if left, ok := e.cfg.Leavers[*w.member]; matches < s.threshold || ok && left.UnixNano() <= at && *w.member != "" && len(s.ring.parts) > 0 {
		return // too little history, or the member is rightly silent
	}
	e.silences = append(e.silences, silence{len(e.found), quiet.seen})
	s.raise(e, w, at, int(quiet.matches), fmt.Sprintf("no matching record for %s after %s", short(s.r.Correlation.window), time.Unix(0, w.last).UTC().Format(time.RFC3339)),
		[]entry{{time: quiet.time, index: quiet.index, from: quiet.from, kind: quiet.kind}})
}

const dayNanos = int64(24 * time.Hour)

// busyDay remembers the days with a match inside the baseline before the last one.
func (s *state) busyDay(p *past, at int64) {
	n := floorDiv(at, dayNanos)
	if p.begun && p.now.n >= n {
		return
	}
	p.begin(n, func(old int64) bool { return (n-old)*dayNanos >= s.baseline })
	p.now.value = 1
}

// letGo uses the memory of what a window knew again, as long as the stream goes on.
func (e *Engine) letGo(w *window) {
	if !e.ended {
		e.spare.drop(w.tail)
	}
}

// tail is what a window knows beyond its beginning, made for the first match.
func tail[T any](w *window, spare *[]*T) *T {
	if w.tail == nil {
		w.tail = one(spare)
	}
	return w.tail.(*T)
}

func (s *state) correlate(e *Engine, w *window, l *looking, en entry, text string) {
	ev := e.subj.ev
	late := en.time < w.last
	if r, ok := w.tail.(*rated); ok && w.unloaded(e, s) {
		r.unload(&e.spare)
	}
	w.last = max(w.last, en.time)
	w.epoch = e.epoch
	switch s.kind {
	case single, firstSeen:
		if m := MemberKey(ev); m != *w.member { // a single event decides, so it also says who
			w.member = e.person(s.ring.at, ev)
		}
	}
	switch s.kind {
	case single:
		en.from = e.fromOf(ev)
		s.hit(e, w, en, "the condition holds")
	case absence:
		at := tail[absent](w, &e.spare.absent)
		at.time, at.index, at.seen, at.kind = en.time, en.index, e.seen, en.kind
		at.matches++
		if f := e.fromOf(ev); at.from != f {
			at.from = f
		}
		if s.baseline > 0 {
			s.busyDay(&at.past, en.time)
		}
	case count, sum, distinct:
		en.from = e.fromOf(ev)
		s.slide(e, w, en, late)
	case firstSeen:
		s.firstSeen(e, w, en, ev, text)
	case sequence:
		s.sequence(e, w, l, en)
	case rate:
		en.from = e.fromOf(ev)
		s.rate(e, w, en, late)
	}
}

// keep adds an entry and lets go of those that are older than the span, whose
// ends belong to it, before the last match.
func (k *sliding) keep(m *spare, en entry, late bool, last, span int64, distinct bool) {
	if !late {
		for k.n > 0 && last-k.firstTime() > span {
			k.count(k.pop().value, -1, distinct)
		}
		k.push(m, en)
		k.count(en.value, 1, distinct)
		return
	}
	all := append(k.entries(), en)
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.time, b.time) })
	k.count(en.value, 1, distinct)
	for len(all) > 0 && last-all[0].time > span {
		k.count(all[0].value, -1, distinct)
		all = all[1:]
	}
	k.set(m, all)
}

// count adds a value to the total, or takes it away again.
func (k *sliding) count(value, n int64, distinct bool) {
	if distinct {
		if k.values == nil {
			k.values = &values{}
		}
		k.values.add(uint64(value), n)
	} else {
		k.sum += value * n
	}
}

// slide keeps the entries of the window, ends included, and fires on its total.
func (s *state) slide(e *Engine, w *window, en entry, late bool) {
	c := &s.r.Correlation
	k := tail(w, &e.spare.sliding)
	k.keep(&e.spare, en, late, w.last, s.span, s.kind == distinct)
	if w.open > 0 && en.time <= e.found[w.open-1].till {
		s.extend(e, w, en)
		return
	}
	switch s.kind {
	case count:
		if int64(k.n) < s.threshold {
			return
		}
		s.open(e, w, en.time, k.n, fmt.Sprintf("%d matches within %s (threshold %d)", k.n, short(c.window), s.threshold), k.cited())
	case sum:
		if k.sum <= s.threshold {
			return
		}
		amount := func(n int64) string { return strconv.FormatInt(n, 10) }
		what := "sum of " + c.Field.Value
		if c.Field.Value == "cost_micros" {
			what, amount = "estimated cost", dollars
		}
		s.open(e, w, en.time, k.n, fmt.Sprintf("%s %s within %s (threshold %s)", what, amount(k.sum), short(c.window), amount(s.threshold)), k.cited())
	case distinct:
		if int64(k.values.len()) < s.threshold {
			return
		}
		s.open(e, w, en.time, k.n, fmt.Sprintf("%d different values of %s within %s (threshold %d)", k.values.len(), c.Field.Value, short(c.window), s.threshold), k.cited())
	}
}

func (s *state) firstSeen(e *Engine, w *window, en entry, ev *event.Event, text string) {
	c := &s.r.Correlation
	span := int64(c.window)
	if w.tail == nil {
		w.tail = &familiar{born: en.time}
	}
	seen := w.tail.(*familiar)
	key := uint64(en.value)
	last, ok := seen.get(key)
	if !ok && seen.len()%256 == 255 { // keep only what the window still remembers
		seen.forget(en.time - span)
	}
	if !ok || en.time > last {
		seen.set(key, en.time)
	}
	if k := seen.burst; k != nil && k.before(w.last-int64(c.within)) {
		e.spare.dropQueue(k)
		seen.burst = nil // the next one would not find any of them
	}
	if ok && en.time-last <= span || en.time-seen.born < int64(c.warmup) {
		return
	}
	en.from = e.fromOf(ev)
	if c.within == 0 {
		s.hit(e, w, en, fmt.Sprintf("first %s %q within %s", c.Field.Value, text, short(c.window)))
		return
	}
	if seen.burst == nil {
		seen.burst = one(&e.spare.queues)
	}
	k := seen.burst
	k.push(&e.spare, en)
	for k.n > 0 && w.last-k.firstTime() > int64(c.within) {
		k.pop()
	}
	switch {
	case w.open > 0 && en.time <= e.found[w.open-1].till:
		s.extend(e, w, en)
	case int64(k.n) >= s.threshold:
		s.open(e, w, en.time, k.n, fmt.Sprintf("%d values of %s within %s that were not seen in %s (threshold %d)", k.n, c.Field.Value, short(c.within), short(c.window), s.threshold), k.cited())
	}
}

// rate compares the sliding window with the key's own past.
func (s *state) rate(e *Engine, w *window, en entry, late bool) {
	c := &s.r.Correlation
	span := int64(c.window)
	p, ok := w.tail.(*rated)
	if !ok {
		p = one(&e.spare.rated)
		if d, ok := w.tail.(*dormant); ok {
			p.past = d.past
		}
		w.tail = p
	}
	if n := floorDiv(en.time, span); !p.begun || n > p.now.n {
		p.begin(n, func(old int64) bool { return (n-old)*span > s.baseline+span })
		if p.values != nil {
			p.values.reset()
		}
	}
	distinct := s.text != nil
	if !distinct {
		p.now.value += en.value
	} else {
		if p.values == nil {
			p.values = &values{}
		}
		p.values.set(uint64(en.value), 1)
		p.now.value = int64(p.values.len())
	}
	k := &p.sliding
	if k.keep(&e.spare, en, late, w.last, span, distinct); k.n == 1 {
		s.ring.at.due = min(s.ring.at.due, w.last+span)
	}
	if w.open > 0 && en.time <= e.found[w.open-1].till {
		s.extend(e, w, en)
		return
	}
	now := k.sum
	if distinct {
		now = int64(k.values.len())
	}
	if now < s.threshold {
		return
	}
	// The past ends where the sliding window begins: slots that reach into it
	// would compare the surge with itself.
	begin := w.last - span
	var total, active int64
	p.each(func(b slot) {
		if (b.n+1)*span <= begin {
			total += b.value
			active++
		}
	})
	// now > factor * total / active, without division.
	if active < minActive || now*active*1000 <= c.factor*total {
		return
	}
	what, amount := "matches", func(n int64) string { return strconv.FormatInt(n, 10) }
	switch {
	case c.Field.Value == "cost_micros":
		what, amount = "estimated cost", dollars
	case distinct:
		what = "different values of " + c.Field.Value
	case c.Field.Value != "":
		what = "sum of " + c.Field.Value
	}
	s.open(e, w, en.time, k.n, fmt.Sprintf("%s %s within %s, against a mean of %s over %d earlier windows (factor %g, threshold %s)",
		what, amount(now), short(c.window), amount(total/active), active, float64(c.factor)/1000, amount(s.threshold)), k.cited())
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// sequence keeps the last matches of the first step and, for each number of
// steps done after them, the attempt that started last: it is the one that stays
// inside the window longest.
func (s *state) sequence(e *Engine, w *window, l *looking, en entry) {
	progs, lead, span := s.r.steps, s.r.lead, s.span
	last := len(progs) - 1
	if w.open > 0 && en.time <= e.found[w.open-1].till && l.step(e, s, last) {
		en.from = e.fromOf(e.subj.ev)
		s.extend(e, w, en) // the incident goes on
		return
	}
	var prog *condition.Program[subject]
	match := false
	for k := last; k >= lead-1; k-- { // downwards, so that one event is one step
		if progs[k] != prog {
			prog = progs[k]
			match = l.step(e, s, k)
		}
		if !match {
			continue
		}
		p := tail(w, &e.spare.steps)
		if k < lead {
			if en.from = e.fromOf(e.subj.ev); lead == 1 {
				p.first, p.begun = en, true
				return
			}
			if p.lead == nil {
				p.lead = one(&e.spare.queues)
			} else if p.lead.n == lead {
				p.lead.pop()
			}
			p.lead.push(&e.spare, en)
			return
		}
		// The attempt that this step belongs to has k steps.
		if k == lead {
			if !p.led(k) || en.time-p.leadTime() > span {
				continue
			}
		} else if len(p.partial) < k-lead || len(p.partial[k-lead-1]) < k || en.time-p.partial[k-lead-1][0].time > span {
			continue
		}
		var sofar []entry
		if k == lead {
			sofar = p.leading()
		} else {
			sofar = p.partial[k-lead-1]
		}
		en.from = e.fromOf(e.subj.ev)
		if k < last { // written over: no other attempt stands in this memory
			if p.partial == nil {
				p.partial = make([][]entry, len(progs)-lead)
			}
			p.partial[k-lead] = append(append(p.partial[k-lead][:0], sofar...), en)
			continue
		}
		done := append(slices.Clip(sofar), en)
		s.open(e, w, en.time, len(done), fmt.Sprintf("%d steps in order within %s", len(done), short(s.r.Correlation.window)), done)
		e.spare.drop(p)
		w.tail = nil
		return
	}
}

// hit opens an incident with one event, or adds it to the open one.
func (s *state) hit(e *Engine, w *window, en entry, reason string) {
	if w.open > 0 && en.time <= e.found[w.open-1].till {
		s.extend(e, w, en)
		return
	}
	s.open(e, w, en.time, 1, reason, []entry{en})
}

func (s *state) open(e *Engine, w *window, at int64, count int, reason string, cited []entry) {
	s.raise(e, w, at, count, reason, cited)
	w.open = int32(len(e.found))
	e.found[w.open-1].till = at + int64(s.r.suppress)
}

func (s *state) extend(e *Engine, w *window, en entry) {
	f := &e.found[w.open-1]
	f.matches++
	if n := len(f.cited); n < rules.MaxEventRefs {
		if n == cap(f.cited) {
			f.cited = append(make([]cited, 0, min(n+1+n/2, rules.MaxEventRefs)), f.cited...)
		}
		f.cited = append(f.cited, cite(en))
	}
	f.till = max(f.till, en.time+int64(s.r.suppress))
}

func cite(en entry) cited { return cited{en.time, en.index, en.from, en.kind} }

// ref is the event as a finding names it.
func (c *cited) ref() rules.EventRef {
	session, prompt, name := c.from.texts()
	if c.kind != event.Other {
		name = c.kind.String()
	}
	return rules.EventRef{Index: c.index, Session: session, Prompt: prompt, Kind: name, Time: time.Unix(0, c.time).UTC().Format(time.RFC3339Nano)}
}

// raise records a finding. Of many events it cites the last ones: the event
// that crossed the threshold is always among them.
func (s *state) raise(e *Engine, w *window, at int64, count int, reason string, of []entry) {
	f := found{rule: s, at: at, member: w.member, reason: reason, matches: count}
	if s.kind != single && s.kind != firstSeen && !s.r.personal() {
		f.member = nil // joined over everybody
	}
	of = of[max(0, len(of)-rules.MaxEventRefs):]
	f.cited = make([]cited, 0, len(of))
	for _, en := range of {
		f.cited = append(f.cited, cite(en))
	}
	e.found = append(e.found, f)
	s.alerts++
}

// finding spells it out.
func (f *found) finding() rules.Finding {
	r := f.rule.r
	out := rules.Finding{
		Engine: "alert", Rule: r.ID.Value, Title: r.Title, Severity: r.severity,
		Time: time.Unix(0, f.at).UTC(), Reason: f.reason, Count: f.matches, Facts: r.Facts, Topic: r.Topic.Value,
	}
	if f.member != nil {
		out.Member = *f.member
	}
	for i := range f.cited {
		out.Events = append(out.Events, f.cited[i].ref())
	}
	return out
}

// short prints 24h as 24h, not as 24h0m0s.
func short(d time.Duration) string {
	if d%(24*time.Hour) == 0 && d > 24*time.Hour {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	t := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return t
}

func dollars(micros int64) string {
	return fmt.Sprintf("%d.%02d USD", micros/1_000_000, micros%1_000_000/10_000)
}
