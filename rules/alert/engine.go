package alert

import (
	"cmp"
	"fmt"
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
	byKind    [][]*state
	buckets   map[nature]*bucket
	latest    [64]latest // by a few letters of kind and tool
	absence   []*state
	now, seen int64
	froms     [4096]*from // of events kept lately, by prompt and kind
	names     [4096]name  // texts kept lately, by key
	found     []rules.Finding
}

// state is one rule at work.
type state struct {
	r         *Rule
	threshold int64
	keys      []keyPart
	text      func(*subject) (string, bool) // of the correlation's field, where it is one
	id        func(*event.Event) uint64     // stands for that text, if there is one
	number    func(*subject) (int64, bool)
	report    RuleReport
	reasons   []int64 // beside r.reasons; the last one is "condition"
	byKey     map[uint64]*window
	live      window // head of a ring of live windows, least recently matched first
	recent    *window
	key       uint64 // of the event at hand
}

// keyPart gives one part of a rule's key; id, if there is one, stands for the
// text. Parts become one number, in which two keys meet by chance only, and less
// often than once in ten million streams.
type keyPart struct {
	text func(*subject) (string, bool)
	id   func(*event.Event) uint64
}

// entry is one match inside a window. For distinct, value is the key of the text.
type entry struct {
	time, value, index int64
	from               *from
}

// from is where an entry's event stood. Entries of one prompt and kind share it.
type from struct {
	session, prompt, kind string
	ofSession, ofPrompt   uint64
}

// is reports that the event stood there.
func (f *from) is(ev *event.Event, kind string) bool {
	return f.ofSession == ev.OfSession() && f.ofPrompt == ev.OfPrompt() && f.kind == kind
}

// fromOf is from for an event that some rule keeps.
func (e *Engine) fromOf(ev *event.Event) *from {
	kind := ev.Kind.String()
	if kind == "" {
		kind = ev.Name
	}
	at := &e.froms[(ev.OfPrompt()^uint64(ev.Kind)*0x9e3779b97f4a7c15)%uint64(len(e.froms))]
	if f := *at; f != nil && f.is(ev, kind) {
		return f
	}
	f := &from{kind: kind, ofSession: ev.OfSession(), ofPrompt: ev.OfPrompt()}
	f.session, f.prompt = e.name(f.ofSession, ev.Session), e.name(f.ofPrompt, ev.Prompt)
	if ev.Kind == event.Other {
		f.kind = strings.Clone(f.kind)
	}
	*at = f
	return f
}

// name is a text that outlives its event, and its key.
type name struct {
	key  uint64
	text string
}

// name is a copy of the text that has the key; rules that keep it share one.
func (e *Engine) name(key uint64, text string) string {
	n := &e.names[key%uint64(len(e.names))]
	if n.key != key || n.text != text {
		*n = name{key, strings.Clone(text)}
	}
	return n.text
}

// window is the live state of one key.
type window struct {
	before, after *window // in the ring of its rule

	key      uint64
	member   string
	born     int64
	last     int64
	open     int // index of the open finding + 1
	openTill int64
	matches  int64
	sliding  *sliding // count, sum, distinct, rate: the entries inside the window
	seen     *firsts  // first_seen
	steps    *steps   // sequence
	stood    *stood   // absence: the last match, which is all that is cited
	past     *past    // rate
}

// sliding is a sliding window with its total.
type sliding struct {
	queue
	sum    int64
	values map[uint64]int32 // distinct: key of the value to its number
}

// slides gives the sliding window, which is made for the first match.
func (w *window) slides() *sliding {
	if w.sliding == nil {
		w.sliding = &sliding{}
	}
	return w.sliding
}

// stood is entry and from of one event, written over by the next.
type stood struct {
	time, index           int64
	ofSession, ofPrompt   uint64
	kind                  event.Kind
	session, prompt, name []byte
}

// stand remembers where the last match stood.
func (w *window) stand(ev *event.Event) {
	if w.stood == nil {
		w.stood = &stood{}
	}
	at := w.stood
	if k := ev.OfSession(); at.ofSession != k {
		at.session, at.ofSession = append(at.session[:0], ev.Session...), k
	}
	if k := ev.OfPrompt(); at.ofPrompt != k {
		at.prompt, at.ofPrompt = append(at.prompt[:0], ev.Prompt...), k
	}
	if at.time, at.index, at.kind = ev.Time, ev.Index, ev.Kind; ev.Kind == event.Other {
		at.name = append(at.name[:0], ev.Name...)
	}
}

func (at *stood) entry() entry {
	f := &from{session: string(at.session), prompt: string(at.prompt), kind: at.kind.String()}
	if at.kind == event.Other {
		f.kind = string(at.name)
	}
	return entry{time: at.time, index: at.index, from: f}
}

// steps is how far a sequence got.
type steps struct {
	lead    []entry   // the last matches of the first step, as many as it needs
	partial [][]entry // by number of steps done after those, the attempt that started last
}

// past is what a rate remembers of the windows before the present one.
type past struct {
	slots  []slot // with a match, oldest first
	values map[uint64]struct{}
}

// slot is one window of the clock, numbered from 1970.
type slot struct{ n, value int64 }

// begin adds a slot. A key has some twenty of them, one more a day: they take little
// more room than they need.
func begin(slots []slot, x slot) []slot {
	if n := len(slots); n == cap(slots) {
		slots = append(make([]slot, 0, n+4), slots...)
	}
	return append(slots, x)
}

// firsts knows when a value was met last, by its key. Most keys meet few values,
// which are looked through.
type firsts struct {
	few  []met
	many map[uint64]int64
}

type met struct {
	key  uint64
	time int64
}

const fewValues = 16

func (f *firsts) len() int { return len(f.few) + len(f.many) }

// last is when the value was met.
func (f *firsts) last(key uint64) (time int64, ok bool) {
	for i := range f.few {
		if f.few[i].key == key {
			return f.few[i].time, true
		}
	}
	time, ok = f.many[key]
	return time, ok
}

func (f *firsts) meet(key uint64, time int64) {
	for i := range f.few {
		if f.few[i].key == key {
			f.few[i].time = time
			return
		}
	}
	switch n := len(f.few); {
	case f.many != nil:
	case n == fewValues:
		f.many = make(map[uint64]int64, 2*fewValues)
		for _, x := range f.few {
			f.many[x.key] = x.time
		}
		f.few = nil
	default:
		if n == cap(f.few) {
			f.few = append(make([]met, 0, n+1+n/2), f.few...)
		}
		f.few = append(f.few, met{key, time})
		return
	}
	f.many[key] = time
}

// forget drops the values last met before a time.
func (f *firsts) forget(before int64) {
	for k, t := range f.many {
		if t < before {
			delete(f.many, k)
		}
	}
}

// New makes an engine. The configuration is copied.
func New(rs []*Rule, cfg Config) *Engine {
	e := &Engine{cfg: folded(cfg), byKind: make([][]*state, len(event.Kinds())+1), buckets: map[nature]*bucket{}}
	e.subj.cfg = &e.cfg
	for _, r := range rs {
		s := &state{r: r, threshold: r.Correlation.threshold, reasons: make([]int64, len(r.reasons)+1), byKey: map[uint64]*window{}}
		s.live.before, s.live.after = &s.live, &s.live
		s.report.ID, s.report.Title = r.ID.Value, r.Title
		if r.Correlation.fromSpend {
			if s.threshold = cfg.SpendSessionMicros; s.threshold <= 0 {
				s.threshold = DefaultSessionSpendMicros
			}
		}
		s.text, s.number, s.id = texts[r.Correlation.Field.Value], numbers[r.Correlation.Field.Value], ids[r.Correlation.Field.Value]
		for _, k := range r.Correlation.Key {
			s.keys = append(s.keys, keyPart{texts[k.Value], ids[k.Value]})
		}
		e.states = append(e.states, s)
		if r.Correlation.Type == "absence" {
			e.absence = append(e.absence, s)
		}
		for k := range e.byKind {
			if len(r.kinds) == 0 || slices.Contains(r.kinds, event.Kind(k)) {
				e.byKind[k] = append(e.byKind[k], s)
			}
		}
	}
	return e
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

// sweepEvery is how many events pass between sweeps of dead keys. It bounds
// memory only: a dead key that is met again starts afresh at any rate.
const sweepEvery = 4096

// Observe takes the next event. Events come in time order, each once; what the
// engine keeps of them it clones.
func (e *Engine) Observe(ev *event.Event) {
	e.now = max(e.now, ev.Time)
	for _, s := range e.absence { // before the event, which may end the silence
		s.expire(e, e.now)
	}
	if e.seen++; e.seen%sweepEvery == 0 {
		for _, s := range e.states {
			s.expire(e, e.now)
			if e.seen%(16*sweepEvery) == 0 {
				s.unload(e.now)
			}
		}
	}
	if len(e.byKind[ev.Kind]) == 0 {
		return
	}
	b := e.bucketOf(ev)
	b.counted++
	e.subj.ev = ev
	for _, s := range b.look {
		s.observe(e, s.holds)
	}
	e.subj.ev, e.subj.text = nil, ""
}

// Close ends the stream at the given time and returns all findings in order of
// time, rule and number. Silence that lasts until end is found here.
func (e *Engine) Close(end time.Time) []rules.Finding {
	for _, s := range e.states {
		s.expire(e, max(e.now, end.UnixNano()))
		s.byKey, s.recent = map[uint64]*window{}, nil // what is left of a stream that has ended is of no use
		s.live.before, s.live.after = &s.live, &s.live
	}
	e.froms, e.names = [len(e.froms)]*from{}, [len(e.names)]name{}
	slices.SortStableFunc(e.found, func(a, b rules.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Member, b.Member))
	})
	n := map[string]int{}
	for i := range e.found {
		f := &e.found[i]
		n[f.Rule]++
		f.ID = fmt.Sprintf("%s-%d", f.Rule, n[f.Rule])
	}
	return e.found
}

// Reports tells of every rule, in the order given to New.
func (e *Engine) Reports() []RuleReport {
	out := make([]RuleReport, 0, len(e.states))
	for _, s := range e.states {
		r := s.report
		for _, b := range e.buckets {
			if slices.Contains(b.settled, s) {
				r.Reached += b.counted
				r.Evaluable += b.counted
			}
		}
		for i, n := range s.reasons {
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

// observe takes the event at hand; certain says that the condition is true of it.
func (s *state) observe(e *Engine, certain bool) {
	subj := &e.subj
	s.report.Reached++
	holds := condition.True
	if !certain {
		holds = s.r.prog.Eval(subj)
	}
	switch holds {
	case condition.Unknown:
		s.blame(subj)
		return
	case condition.False:
		s.report.Evaluable++
		return
	}
	c := &s.r.Correlation
	if s.r.gate != nil && s.r.gate.Eval(subj) == condition.Unknown {
		s.blame(subj)
		return
	}
	s.key = 0
	for i := range s.keys {
		v, ok := s.keys[i].text(subj)
		if !ok { // who or which is never guessed
			s.blameName(c.Key[i].Value)
			return
		}
		id := uint64(0)
		if of := s.keys[i].id; of != nil {
			id = of(subj.ev)
		} else {
			id = event.Key(v)
		}
		s.key = event.Join(s.key, id)
	}
	en, text := entry{time: subj.ev.Time}, ""
	switch c.Type {
	case "sum":
		v, ok := s.number(subj)
		if !ok {
			s.blameName(c.Field.Value)
			return
		}
		en.value = v
	case "distinct", "first_seen":
		v, ok := s.text(subj)
		if !ok {
			s.blameName(c.Field.Value)
			return
		}
		en.value, text = s.keyOf(v, subj.ev), v
	case "rate":
		ok := true
		if s.text != nil {
			var v string
			if v, ok = s.text(subj); ok {
				en.value = s.keyOf(v, subj.ev)
			}
		} else if s.number != nil {
			en.value, ok = s.number(subj)
		} else {
			en.value = 1
		}
		if !ok {
			s.blameName(c.Field.Value)
			return
		}
	}
	s.report.Evaluable++
	for i := range s.r.Exceptions {
		x := &s.r.Exceptions[i]
		if subj.ev.Time < x.Expires.Add(1).Time.UnixNano() && x.prog.Eval(subj) == condition.True {
			s.report.Excepted++
			return
		}
	}
	s.report.Matched++
	if c.Type == "sequence" && s.idle() && s.r.steps[0].Eval(subj) != condition.True {
		return // nothing has begun for this key, and this event begins nothing
	}
	s.correlate(e, s.window(e), en, text)
}

// keyOf stands for the text of the correlation's field. Like two keys of a rule,
// two texts meet by chance only.
func (s *state) keyOf(text string, ev *event.Event) int64 {
	if s.id != nil {
		return int64(s.id(ev))
	}
	return int64(event.Key(text))
}

// idle reports that the key of the event has no live state.
func (s *state) idle() bool {
	return (s.recent == nil || s.recent.key != s.key) && s.byKey[s.key] == nil
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

// window finds or makes the live state of the event's key, and puts it last.
func (s *state) window(e *Engine) *window {
	ev := e.subj.ev
	w := s.recent // events come in runs of one key
	if w == nil || w.key != s.key {
		w = s.byKey[s.key]
	}
	switch {
	case w == nil:
		w = &window{key: s.key, born: ev.Time, member: e.name(ev.OfPerson(), MemberKey(ev))}
		s.byKey[w.key] = w
	case s.live.before == w:
	default:
		w.unlink()
	}
	if s.live.before != w {
		w.before, w.after = s.live.before, &s.live
		w.before.after, w.after.before = w, w
	}
	if w.matches > 0 && ev.Time-w.last > s.hold() { // dead, not yet swept
		*w = window{before: w.before, after: w.after, key: w.key, born: ev.Time, member: e.name(ev.OfPerson(), MemberKey(ev))}
	}
	s.recent = w
	return w
}

// unlink takes a window out of its ring.
func (w *window) unlink() { w.before.after, w.after.before = w.after, w.before }

// hold is how long a key is kept after its last match.
func (s *state) hold() int64 {
	c := &s.r.Correlation
	if c.Type == "absence" {
		return int64(c.window)
	}
	return int64(max(c.window, c.baseline, s.r.suppress))
}

// expire drops keys that can no longer matter. For absence that is the moment
// of the alert.
func (s *state) expire(e *Engine, now int64) {
	absence, hold := s.r.Correlation.Type == "absence", s.hold()
	for w := s.live.after; w != &s.live && now-w.last > hold; w = s.live.after {
		if absence {
			s.silent(e, w)
		}
		w.unlink()
		delete(s.byKey, w.key)
		if s.recent == w {
			s.recent = nil
		}
	}
}

// unload lets go of what the sliding window has left behind in keys that live on
// for the sake of their past. The next match would throw it away.
func (s *state) unload(now int64) {
	c := &s.r.Correlation
	if c.Type != "rate" {
		return
	}
	for w := s.live.after; w != &s.live && now-w.last > int64(c.window); w = w.after { // those behind matched later
		w.sliding = nil
		w.past.slots = slices.Clip(w.past.slots)
		w.past.values = nil
	}
}

func (s *state) silent(e *Engine, w *window) {
	at := w.last + int64(s.r.Correlation.window)
	matches := w.matches
	if w.past != nil {
		matches = int64(len(w.past.slots))
	}
	if left, ok := e.cfg.Leavers[w.member]; matches < s.threshold || ok && left.UnixNano() <= at && w.member != "" && len(s.keys) > 0 {
		return // too little history, or the member is rightly silent
	}
	s.raise(e, w, at, int(w.matches), fmt.Sprintf("no matching record for %s after %s", short(s.r.Correlation.window), time.Unix(0, w.last).UTC().Format(time.RFC3339)), []entry{w.stood.entry()})
}

const dayNanos = int64(24 * time.Hour)

// busyDay remembers the days with a match inside the baseline before the last one.
func (s *state) busyDay(w *window, at int64) {
	if w.past == nil {
		w.past = &past{}
	}
	p, n := w.past, floorDiv(at, dayNanos)
	if k := len(p.slots) - 1; k >= 0 && p.slots[k].n >= n {
		return
	}
	p.slots = begin(p.slots, slot{n, 1})
	drop := 0
	for (n-p.slots[drop].n)*dayNanos >= int64(s.r.Correlation.baseline) {
		drop++
	}
	p.slots = slices.Delete(p.slots, 0, drop)
}

func (s *state) correlate(e *Engine, w *window, en entry, text string) {
	ev := e.subj.ev
	en.index = ev.Index
	c := &s.r.Correlation
	late := en.time < w.last
	w.last = max(w.last, en.time)
	w.matches++
	if c.Type == "" || c.Type == "first_seen" {
		if m := MemberKey(ev); m != w.member { // a single event decides, so it also says who
			w.member = e.name(ev.OfPerson(), m)
		}
	}
	switch c.Type {
	case "":
		en.from = e.fromOf(ev)
		s.hit(e, w, en, "the condition holds")
	case "absence":
		w.stand(ev)
		if c.baseline > 0 {
			s.busyDay(w, en.time)
		}
	case "count", "sum", "distinct":
		en.from = e.fromOf(ev)
		s.slide(e, w, en, late)
	case "first_seen":
		s.firstSeen(e, w, en, ev, text)
	case "sequence":
		s.sequence(e, w, en)
	case "rate":
		en.from = e.fromOf(ev)
		s.rate(e, w, en, late)
	}
}

// keep adds an entry and lets go of those that are older than the span, whose
// ends belong to it, before the last match.
func (k *sliding) keep(en entry, late bool, last, span int64, distinct bool) {
	if distinct && k.values == nil {
		k.values = map[uint64]int32{}
	}
	if !late {
		for k.n > 0 && last-k.first().time > span {
			k.count(k.pop().value, -1, distinct)
		}
		k.push(en)
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
	k.set(all)
}

// count adds a value to the total, or takes it away again.
func (k *sliding) count(value int64, n int32, distinct bool) {
	if !distinct {
		k.sum += value * int64(n)
	} else if n += k.values[uint64(value)]; n > 0 {
		k.values[uint64(value)] = n
	} else {
		delete(k.values, uint64(value))
	}
}

// slide keeps the entries of the window, ends included, and fires on its total.
func (s *state) slide(e *Engine, w *window, en entry, late bool) {
	c := &s.r.Correlation
	k := w.slides()
	k.keep(en, late, w.last, int64(c.window), c.Type == "distinct")
	if w.open > 0 && en.time <= w.openTill {
		s.extend(e, w, en)
		return
	}
	switch c.Type {
	case "count":
		if int64(k.n) < s.threshold {
			return
		}
		s.open(e, w, en.time, k.n, fmt.Sprintf("%d matches within %s (threshold %d)", k.n, short(c.window), s.threshold), k.cited())
	case "sum":
		if k.sum <= s.threshold {
			return
		}
		amount := func(n int64) string { return strconv.FormatInt(n, 10) }
		what := "sum of " + c.Field.Value
		if c.Field.Value == "cost_micros" {
			what, amount = "estimated cost", dollars
		}
		s.open(e, w, en.time, k.n, fmt.Sprintf("%s %s within %s (threshold %s)", what, amount(k.sum), short(c.window), amount(s.threshold)), k.cited())
	case "distinct":
		if int64(len(k.values)) < s.threshold {
			return
		}
		s.open(e, w, en.time, k.n, fmt.Sprintf("%d different values of %s within %s (threshold %d)", len(k.values), c.Field.Value, short(c.window), s.threshold), k.cited())
	}
}

func (s *state) firstSeen(e *Engine, w *window, en entry, ev *event.Event, text string) {
	c := &s.r.Correlation
	span := int64(c.window)
	if w.seen == nil {
		w.seen = &firsts{}
	}
	key := uint64(en.value)
	last, ok := w.seen.last(key)
	if !ok && w.seen.len()%256 == 255 { // keep only what the window still remembers
		w.seen.forget(en.time - span)
	}
	if !ok || en.time > last {
		w.seen.meet(key, en.time)
	}
	if ok && en.time-last <= span || en.time-w.born < int64(c.warmup) {
		return
	}
	en.from = e.fromOf(ev)
	if c.within == 0 {
		s.hit(e, w, en, fmt.Sprintf("first %s %q within %s", c.Field.Value, text, short(c.window)))
		return
	}
	k := w.slides()
	k.push(en)
	for k.n > 0 && w.last-k.first().time > int64(c.within) {
		k.pop()
	}
	switch {
	case w.open > 0 && en.time <= w.openTill:
		s.extend(e, w, en)
	case int64(k.n) >= s.threshold:
		s.open(e, w, en.time, k.n, fmt.Sprintf("%d values of %s within %s that were not seen in %s (threshold %d)", k.n, c.Field.Value, short(c.within), short(c.window), s.threshold), k.cited())
	}
}

// rate compares the sliding window with the key's own past.
func (s *state) rate(e *Engine, w *window, en entry, late bool) {
	c := &s.r.Correlation
	span := int64(c.window)
	if w.past == nil {
		w.past = &past{}
	}
	p := w.past
	if n := floorDiv(en.time, span); len(p.slots) == 0 || n > p.slots[len(p.slots)-1].n {
		p.slots = begin(p.slots, slot{n: n})
		clear(p.values)
		drop := 0
		for drop < len(p.slots) && (n-p.slots[drop].n)*span > int64(c.baseline)+span {
			drop++
		}
		p.slots = slices.Delete(p.slots, 0, drop)
	}
	distinct := s.text != nil
	if cur := &p.slots[len(p.slots)-1]; !distinct {
		cur.value += en.value
	} else {
		if p.values == nil {
			p.values = map[uint64]struct{}{}
		}
		p.values[uint64(en.value)] = struct{}{}
		cur.value = int64(len(p.values))
	}
	k := w.slides()
	k.keep(en, late, w.last, span, distinct)
	if w.open > 0 && en.time <= w.openTill {
		s.extend(e, w, en)
		return
	}
	now := k.sum
	if distinct {
		now = int64(len(k.values))
	}
	if now < s.threshold {
		return
	}
	// The past ends where the sliding window begins: slots that reach into it
	// would compare the surge with itself.
	begin := w.last - span
	var total, active int64
	for _, b := range p.slots {
		if (b.n+1)*span <= begin {
			total += b.value
			active++
		}
	}
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
func (s *state) sequence(e *Engine, w *window, en entry) {
	progs, lead, span := s.r.steps, s.r.lead, int64(s.r.Correlation.window)
	last := len(progs) - 1
	if w.open > 0 && en.time <= w.openTill && progs[last].Eval(&e.subj) == condition.True {
		en.from = e.fromOf(e.subj.ev)
		s.extend(e, w, en) // the incident goes on
		return
	}
	var prog *condition.Program[subject]
	match := false
	for k := last; k >= lead-1; k-- { // downwards, so that one event is one step
		if progs[k] != prog {
			prog = progs[k]
			match = prog.Eval(&e.subj) == condition.True
		}
		if !match {
			continue
		}
		if w.steps == nil {
			w.steps = &steps{partial: make([][]entry, len(progs)-lead)}
		}
		p := w.steps
		if en.from == nil {
			en.from = e.fromOf(e.subj.ev)
		}
		if k < lead {
			if len(p.lead) == lead {
				copy(p.lead, p.lead[1:])
				p.lead[lead-1] = en
			} else {
				p.lead = append(p.lead, en)
			}
			return
		}
		sofar := p.lead
		if k > lead {
			sofar = p.partial[k-lead-1]
		}
		if len(sofar) < k || en.time-sofar[0].time > span {
			continue
		}
		if k < last { // written over: no other attempt stands in this memory
			p.partial[k-lead] = append(append(p.partial[k-lead][:0], sofar...), en)
			continue
		}
		done := append(slices.Clip(sofar), en)
		s.open(e, w, en.time, len(done), fmt.Sprintf("%d steps in order within %s", len(done), short(s.r.Correlation.window)), done)
		w.steps = nil
		return
	}
}

// hit opens an incident with one event, or adds it to the open one.
func (s *state) hit(e *Engine, w *window, en entry, reason string) {
	if w.open > 0 && en.time <= w.openTill {
		s.extend(e, w, en)
		return
	}
	s.open(e, w, en.time, 1, reason, []entry{en})
}

func (s *state) open(e *Engine, w *window, at int64, count int, reason string, cited []entry) {
	s.raise(e, w, at, count, reason, cited)
	w.open, w.openTill = len(e.found), at+int64(s.r.suppress)
}

func (s *state) extend(e *Engine, w *window, en entry) {
	f := &e.found[w.open-1]
	f.Count++
	if len(f.Events) < rules.MaxEventRefs {
		f.Events = append(f.Events, cite(en))
	}
	w.openTill = max(w.openTill, en.time+int64(s.r.suppress))
}

func cite(en entry) rules.EventRef {
	return rules.EventRef{Index: en.index, Session: en.from.session, Prompt: en.from.prompt, Kind: en.from.kind, Time: time.Unix(0, en.time).UTC().Format(time.RFC3339Nano)}
}

// raise records a finding. Of many events it cites the last ones: the event
// that crossed the threshold is always among them.
func (s *state) raise(e *Engine, w *window, at int64, count int, reason string, cited []entry) {
	f := rules.Finding{
		Engine: "alert", Rule: s.r.ID.Value, Title: s.r.Title, Severity: s.r.severity, Member: w.member,
		Time: time.Unix(0, at).UTC(), Reason: reason, Count: count, Facts: s.r.Facts, Topic: s.r.Topic.Value,
	}
	if s.r.Correlation.Type != "" && s.r.Correlation.Type != "first_seen" && !s.r.personal() {
		f.Member = "" // joined over everybody: it concerns the organisation
	}
	for _, en := range cited[max(0, len(cited)-rules.MaxEventRefs):] {
		f.Events = append(f.Events, cite(en))
	}
	e.found = append(e.found, f)
	s.report.Alerts++
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
