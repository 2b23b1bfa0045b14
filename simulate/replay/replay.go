// Package replay passes a stream through engines and observers once, in the
// order of event time.
//
// Streams do not arrive in order: processes flush every few seconds, collectors
// retry, files of several collectors stand beside each other. Events are held
// back for a window and handed on by time, so that any arrival order within the
// window gives the same result; what arrives later still is handed on as it
// comes and counted. The window is measured from the middle one of the times
// that arrived last, so that one machine whose clock is ahead does not close it
// for all others. A record that was seen before is dropped and counted.
//
// Events wait in slots of some seconds, which are put in order when they are
// handed on: an event costs the same however far it arrived out of order. They
// wait packed, and are opened for the observers one by one.
package replay

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// DefaultWindow is how far records may arrive out of order. Processes flush
// every five seconds and a collector retries for minutes; ten cover both.
const DefaultWindow = 10 * time.Minute

const (
	// remembered is how many records that were handed on are known again when they
	// arrive once more behind the window.
	remembered = 1 << 18
	// slotBits: a slot is 2^34 ns, some 17 seconds. Fewer events in a slot are put
	// in order faster, fewer slots are found faster.
	slotBits = 34
	// recentTimes is how many arrivals tell the time: fewer than half of them may
	// come from clocks that are ahead.
	recentTimes = 65
	// atATime is how many events go to the observers.
	atATime = 256
	// manyBatches are out when events from clocks far ahead may be what holds them;
	// such events are then copied.
	manyBatches = 32
	maxFree     = 256 // batches kept to be used again
)

// Observer takes events in order of time, with what event.Pack keeps of them. Strings
// of an event may be views; an observer that keeps one clones it.
type Observer interface{ Observe(*event.Event) }

// Engine is an observer that ends with findings.
type Engine interface {
	Observer
	Close(end time.Time) []rules.Finding
}

// Pricer gives the list price of a request in micro-dollars; known is false for
// a model without a price on that day.
type Pricer interface {
	Cost(model string, day time.Time, in, out, cacheRead, cacheWrite int64) (micros int64, known bool)
}

// Options of one replay. The zero value replays everything without prices.
type Options struct {
	// From and Until bound the events that observers see, until exclusive; zero
	// means open. AsOf, when given, is the first instant after the as-of day:
	// over a capture later events are counted and left out.
	From, Until, AsOf time.Time
	Window            time.Duration  // 0: DefaultWindow
	Prices            Pricer         // recomputes a missing cost, marked as such
	Directory         *org.Directory // finds the members of events that were not prepared
	// Beside lets observers run beside whoever adds events, SideBySide also engines
	// beside other observers, for whoever has a third processor to spare. Each still
	// sees every event in order. They must share nothing with what runs beside them.
	Beside, SideBySide bool
}

// Counts is what became of the records. Events is what the observers saw.
type Counts struct {
	Received      int64 `json:"received"`
	Events        int64 `json:"events"`
	Duplicates    int64 `json:"duplicates"`
	Late          int64 `json:"late"` // behind the window, handed on out of order
	OutsidePeriod int64 `json:"outside_period"`
	AfterAsOf     int64 `json:"after_as_of"`
	NoTime        int64 `json:"no_time"` // no usable time: counted, never placed
	Recomputed    int64 `json:"recomputed_costs"`
	// First and Last are the times of the first and last event seen; zero
	// without any.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Prepare makes what fills Event.Ready. Each worker of a reader makes one for
// itself; the directory may be nil. What else is given, such as a look at the
// texts, is called for each event too.
func Prepare(dir *org.Directory, also ...func(*event.Event)) func() func(*event.Event) {
	return func() func(*event.Event) {
		p := preparer{dir: dir, also: also}
		return p.prepare
	}
}

// preparer remembers the last record, as the records of a batch mostly have the
// same member, session and prompt, and who was met lately. It keeps bytes of its own:
// texts of events may be views of memory that is used again.
type preparer struct {
	also                  []func(*event.Event)
	dir                   *org.Directory
	met                   [1024]person // by the key of whom they name
	who                   *person      // of the last record; nil before the first
	session, prompt       []byte
	sessionKey, promptKey uint64
}

// person is whom some keys of a record name. The zero value is nobody yet.
type person struct {
	keys      []byte // account, e-mail and account id
	email, id int    // where these begin
	member    int32
	identity  event.Identity
	known     bool
	key       uint64
}

func (x *person) is(e *event.Event) bool {
	return x != nil && x.known && e.Account == string(x.keys[:x.email]) && e.Email == string(x.keys[x.email:x.id]) && e.AccountID == string(x.keys[x.id:])
}

// person is whom the record names. To ask the directory costs several look-ups, and
// to draw what its members are called.
func (p *preparer) person(e *event.Event) *person {
	key := event.Key(e.Person())
	x := &p.met[key%uint64(len(p.met))]
	if !x.is(e) {
		x.keys = append(append(append(x.keys[:0], e.Account...), e.Email...), e.AccountID...)
		x.email, x.id = len(e.Account), len(e.Account)+len(e.Email)
		e.Roster = nil
		x.member, x.identity = e.Who(p.dir)
		x.key, x.known = key, true
	}
	return x
}

func (p *preparer) prepare(e *event.Event) {
	if !p.who.is(e) {
		p.who = p.person(e)
	}
	if p.dir != nil {
		e.Roster, e.Member, e.Identity = p.dir, p.who.member, p.who.identity
	}
	if e.Session != string(p.session) || p.sessionKey == 0 {
		p.session, p.sessionKey = append(p.session[:0], e.Session...), event.Key(e.Session)
	}
	if e.Prompt != string(p.prompt) || p.promptKey == 0 {
		p.prompt, p.promptKey = append(p.prompt[:0], e.Prompt...), event.Key(e.Prompt)
	}
	e.SessionKey, e.PromptKey, e.PersonKey = p.sessionKey, p.promptKey, p.who.key
	e.RecordKey = identity(e)
	for _, f := range p.also {
		f(e)
	}
}

// Replay is one pass. It is not safe for concurrent use.
type Replay struct {
	o        Options
	groups   []*group
	counts   Counts
	prepare  func(*event.Event)
	opened   event.Opened
	slots    map[int64]*slot
	order    slotOrder // numbers of the slots that wait
	last     *slot     // the one used last
	freeSlot []*slot
	ready    *handful // in order, for the observers
	hands    sync.Pool
	arrival  int64
	recent   [recentTimes]int64 // times of the last records received
	clock    int64              // the middle one of them, as of the last look
	done     int64              // slots up to this number were handed on
	any      bool               // done holds
	memory   memory
	batches  batches

	recomputed int64 // costs, as the first group counts them

	// For Over: what is known of a stream that may not be in order, and for one that is
	// put in order by parts that nothing is handed on by the clock, and the batch that
	// events are copied to.
	surveyed  *survey
	hold      bool
	gathering *batch
}

// held is an event on its way: what orders it, and where it is packed.
type held struct {
	time, arrival int64
	key           uint64
	of            *batch
	at            int32 // its place in the batch
}

func (h *held) head() *event.Head { return &h.of.Heads[h.at] }

// batch is the memory of events that arrived together; it is used again when the
// last observer has seen the last of them.
type batch struct {
	event.Pack
	left atomic.Int32
}

// poison is set by tests, which then see who reads memory that was given back.
var poison bool

type batches struct {
	sync.Mutex
	free []*batch
	out  int
}

// take gives a batch of no events; many says that many are out.
func (b *batches) take() (x *batch, many bool) {
	b.Lock()
	defer b.Unlock()
	b.out++
	n := len(b.free)
	if n == 0 {
		return new(batch), b.out > manyBatches
	}
	x = b.free[n-1]
	b.free = b.free[:n-1]
	return x, b.out > manyBatches
}

// drop lets go of n events of a batch.
func (b *batches) drop(x *batch, n int32) {
	if x == nil || x.left.Add(-n) > 0 {
		return
	}
	b.Lock()
	defer b.Unlock()
	b.out--
	if poison {
		x.Poison()
	}
	x.Reset()
	if _, room := x.Size(); len(b.free) < maxFree && room <= 1<<20 {
		b.free = append(b.free, x)
	}
}

type slot struct {
	n      int64
	events []held
}

// slotOrder is a heap of slot numbers.
type slotOrder []int64

func (q slotOrder) Len() int           { return len(q) }
func (q slotOrder) Less(i, j int) bool { return q[i] < q[j] }
func (q slotOrder) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *slotOrder) Push(x any)        { *q = append(*q, x.(int64)) }
func (q *slotOrder) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// group is observers that run one after the other, in a goroutine of their own
// when there are several groups.
type group struct {
	observers []Observer
	opened    event.Opened
	work      chan *handful
	done      chan struct{}
}

// handful is events on their way to the groups; the last one gives it back.
type handful struct {
	events []held
	left   atomic.Int32
}

// New starts a pass over the observers, which are called in the order given.
func New(o Options, observers ...Observer) *Replay {
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	r := &Replay{o: o, slots: map[int64]*slot{}, prepare: Prepare(o.Directory)()}
	r.hands.New = func() any { return &handful{events: make([]held, 0, atATime)} }
	r.groups = []*group{{observers: observers}}
	if o.SideBySide {
		engines, rest := &group{}, &group{}
		for _, x := range observers {
			g := rest
			if _, ok := x.(Engine); ok {
				g = engines
			}
			g.observers = append(g.observers, x)
		}
		if len(engines.observers) > 0 && len(rest.observers) > 0 {
			r.groups = []*group{engines, rest}
		}
	}
	if !o.Beside && len(r.groups) == 1 {
		return r
	}
	for _, g := range r.groups {
		g.work, g.done = make(chan *handful, 4), make(chan struct{})
		go func() {
			defer close(g.done)
			for h := range g.work {
				r.pass(g, h)
			}
		}()
	}
	return r
}

// pass hands events to the observers of a group and lets go of them.
func (r *Replay) pass(g *group, h *handful) {
	hs := h.events
	var of *batch
	n := int32(0)
	for i := range hs {
		if hs[i].of != of {
			r.batches.drop(of, n)
			of, n = hs[i].of, 0
		}
		n++
		e := of.Open(int(hs[i].at), &g.opened)
		if r.price(e) && g == r.groups[0] {
			r.recomputed++
		}
		for _, o := range g.observers {
			o.Observe(e)
		}
	}
	r.batches.drop(of, n)
	if h.left.Add(-1) == 0 {
		clear(h.events)
		h.events = h.events[:0]
		r.hands.Put(h)
	}
}

// price gives a request that came without its cost the list price, if there is one.
func (r *Replay) price(e *event.Event) bool {
	if e.Kind != event.APIRequest || e.CostFrom != event.CostMissing || r.o.Prices == nil || !e.Present(event.FModel|event.FInputTokens|event.FOutputTokens) {
		return false
	}
	micros, ok := r.o.Prices.Cost(e.Model, e.When(), e.InputTokens, e.OutputTokens, e.CacheRead, e.CacheWrite)
	if ok {
		e.CostMicros, e.CostFrom = micros, event.Recomputed
	}
	return ok
}

// Add takes the next records as they arrived, and fills in what they are to be
// prepared with. Nothing of them is kept. Observers may be called later.
func (r *Replay) Add(events []event.Event) {
	b, many := r.batches.take()
	for i := range events {
		if e := &events[i]; e.RecordKey == 0 || r.o.Directory != nil && e.Roster != r.o.Directory {
			r.prepare(e)
		}
	}
	b.Pack.Narrow = false // it may have been somebody else's
	b.Pack.Add(events)
	r.accept(b, many)
}

// Take is Add for a batch of a reader. Events that are packed are kept, and other
// memory put in their place. It does not fail; readers want a function that could.
func (r *Replay) Take(x *otlp.Batch) error {
	switch {
	case x.Packed.Len() == 0:
	case x.Packed.Ready(r.o.Directory):
		b, many := r.batches.take()
		b.Pack, x.Packed = x.Packed, b.Pack
		r.accept(b, many)
	default:
		for i := range x.Packed.Len() {
			r.Add(r.opened.Take(&x.Packed, i))
		}
	}
	if len(x.Events) > 0 {
		r.Add(x.Events)
	}
	return nil
}

func (r *Replay) accept(b *batch, many bool) {
	// One for each event and group, and one for this call.
	groups := int32(len(r.groups))
	b.left.Store(int32(b.Len())*groups + 1)
	for i := range b.Heads {
		e, of, at := &b.Heads[i], b, i
		// A clock far ahead must not hold the batch of its neighbours.
		if many && e.Timed && e.Time > r.clock+2*int64(r.o.Window) {
			of, at = &batch{}, 0
			of.Pack.Add(r.opened.Take(&b.Pack, i))
			of.left.Store(groups)
			r.batches.alone()
			r.batches.drop(b, groups)
		}
		if !r.add(e, of, at) {
			r.batches.drop(of, groups)
		}
	}
	r.batches.drop(b, 1)
}

// add reports false for an event that goes nowhere.
func (r *Replay) add(e *event.Head, of *batch, at int) bool {
	r.counts.Received++
	if !e.Timed || e.Time <= 0 {
		r.counts.NoTime++
		return false
	}
	h := held{time: e.Time, arrival: r.arrival, key: e.Key, of: of, at: int32(at)}
	n := e.Time >> slotBits
	if r.any && n <= r.done {
		return r.late(h)
	}
	s := r.last
	if s == nil || s.n != n {
		if s = r.slots[n]; s == nil {
			if k := len(r.freeSlot); k > 0 {
				s, r.freeSlot = r.freeSlot[k-1], r.freeSlot[:k-1]
			} else {
				s = new(slot)
			}
			s.n = n
			r.slots[n] = s
			heap.Push(&r.order, n)
		}
		r.last = s
	}
	if n := len(s.events); n == cap(s.events) { // by little: there are many slots
		s.events = append(make([]held, 0, n+n/4+16), s.events...)
	}
	s.events = append(s.events, h)
	if r.tick(e.Time) && !r.hold {
		for len(r.order) > 0 && (r.order[0]+1)<<slotBits <= r.clock-int64(r.o.Window) {
			r.release()
		}
	}
	return true
}

// tick notes an arrival, and now and then looks at the clock again.
func (r *Replay) tick(at int64) bool {
	r.recent[r.arrival%recentTimes] = at
	r.arrival++
	if r.arrival >= recentTimes && r.arrival%128 != 0 { // often enough, and never a cost
		return false
	}
	times := r.recent
	known := times[:min(r.arrival, recentTimes)]
	slices.Sort(known)
	r.clock = max(r.clock, known[len(known)/2])
	return true
}

// release hands on the first slot that waits, in order.
func (r *Replay) release() {
	n := heap.Pop(&r.order).(int64)
	s := r.slots[n]
	delete(r.slots, n)
	if r.last == s {
		r.last = nil
	}
	r.done, r.any = n, true
	if r.surveyed != nil {
		r.surveyed.buckets[n>>(bucketBits-slotBits)] += len(s.events)
	}
	slices.SortFunc(s.events, before)
	groups := int32(len(r.groups))
	for i := range s.events {
		h := &s.events[i]
		if repeated(s.events, i) {
			r.counts.Duplicates++
			r.batches.drop(h.of, groups)
			continue
		}
		r.memory.add(n, h.key)
		if !r.hand(*h) {
			r.batches.drop(h.of, groups)
		}
	}
	clear(s.events)
	s.events = s.events[:0]
	if len(r.freeSlot) < 64 && cap(s.events) <= 1024 {
		r.freeSlot = append(r.freeSlot, s)
	}
}

// before orders events by time. Ties go by session and sequence number, so that
// the order does not hang on arrival; what still ties keeps its arrival order.
func before(x, y held) int {
	if x.time != y.time {
		return cmp.Compare(x.time, y.time)
	}
	v, w := x.head(), y.head()
	if v.Session != w.Session { // their beginnings
		return cmp.Compare(v.Session, w.Session)
	}
	a, b, i, j := &x.of.Pack, &y.of.Pack, int(x.at), int(y.at)
	if c := strings.Compare(a.SessionOf(i), b.SessionOf(j)); c != 0 {
		return c
	}
	if v.Sequence != w.Sequence {
		return cmp.Compare(v.Sequence, w.Sequence)
	}
	// Old releases send no numbers; their records still need an order that does not
	// hang on arrival. By name a decision stands before its result.
	if c := strings.Compare(a.NameOf(i), b.NameOf(j)); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(a.ToolUseOf(i)+a.RequestOf(i), b.ToolUseOf(j)+b.RequestOf(j)), cmp.Compare(x.key, y.key), cmp.Compare(x.arrival, y.arrival))
}

// repeated reports that one of the events before i is the same record. Equal
// records stand side by side, for nothing but the arrival tells them apart.
func repeated(hs []held, i int) bool {
	return i > 0 && hs[i-1].key == hs[i].key && hs[i-1].time == hs[i].time
}

// late hands on what arrived behind the window, unless it was seen before.
func (r *Replay) late(h held) bool {
	if !r.memory.late(h.time>>slotBits, h.key) {
		r.counts.Duplicates++
		return false
	}
	if !r.hand(h) {
		return false
	}
	r.counts.Late++
	if r.surveyed != nil {
		r.surveyed.behind = max(r.surveyed.behind, r.clock-h.time)
	}
	return true
}

// hand passes an event on to the observers, if it lies in the bounds.
func (r *Replay) hand(h held) bool {
	c, t := &r.counts, time.Unix(0, h.time).UTC()
	switch {
	case !r.o.AsOf.IsZero() && !t.Before(r.o.AsOf):
		c.AfterAsOf++
		return false
	case t.Before(r.o.From) || !r.o.Until.IsZero() && !t.Before(r.o.Until):
		c.OutsidePeriod++
		return false
	}
	c.Events++
	if c.First.IsZero() || t.Before(c.First) {
		c.First = t
	}
	if t.After(c.Last) {
		c.Last = t
	}
	if r.ready == nil {
		r.ready = r.hands.Get().(*handful)
	}
	if r.ready.events = append(r.ready.events, h); len(r.ready.events) == atATime {
		r.flush()
	}
	return true
}

// flush gives the events that are ready to the observers.
func (r *Replay) flush() {
	h := r.ready
	if h == nil {
		return
	}
	r.ready = nil
	h.left.Store(int32(len(r.groups)))
	for _, g := range r.groups {
		if g.work == nil {
			r.pass(g, h)
		} else {
			g.work <- h
		}
	}
}

// identity names a record: by its session, sequence number and time, as a
// resumed session counts from 0 again; without a sequence number by everything
// that tells two records of one session apart.
func identity(e *event.Event) uint64 {
	k := event.Join(e.OfSession(), uint64(e.Time)^uint64(e.Product)<<56^uint64(e.Kind)<<48)
	if e.Kind == event.Other {
		k = event.Join(k, event.Key(e.Name))
	}
	if e.Session == "" {
		k = event.Join(k, event.Key(e.Account)^3*event.Key(e.Email)^5*event.Key(e.UserID))
	}
	if e.Has&event.FSequence != 0 {
		return max(1, event.Join(k, uint64(e.Sequence)))
	}
	var h maphash.Hash
	h.SetSeed(seed)
	for _, s := range [...]string{e.Prompt, e.ToolUse, e.Request, e.Tool, e.Decision, e.Parameters, e.Input} {
		h.WriteString(s)
		h.WriteByte(0)
	}
	for _, n := range [...]int64{e.InputTokens, e.OutputTokens, e.CostMicros, e.Duration} {
		maphash.WriteComparable(&h, n)
	}
	return max(1, event.Join(k, h.Sum64()))
}

var seed = maphash.MakeSeed()

// memory knows the records handed on last, slot by slot, so that a batch sent
// twice is known also when the second one comes behind the window.
type memory struct {
	ring  []byte              // keys, overwritten from the oldest on
	n     int                 // records ever added
	slots []past              // in rising order; the first may be overwritten in part
	extra map[uint64]struct{} // records that came late
}

// past is a slot and the number of its first record.
type past struct {
	slot  int64
	first int
}

func (m *memory) add(slot int64, key uint64) {
	if k := len(m.slots); k == 0 || m.slots[k-1].slot != slot {
		gone := 0
		for gone+1 < k && m.slots[gone+1].first <= m.n-remembered {
			gone++
		}
		if gone > 1024 || gone*2 > k { // now and then, as the rest has to move
			m.slots = slices.Delete(m.slots, 0, gone)
		}
		m.slots = append(m.slots, past{slot, m.n})
	}
	at := m.n % remembered * ringKey
	if at == len(m.ring) {
		m.ring = append(m.ring, make([]byte, ringKey)...)
	}
	binary.LittleEndian.PutUint32(m.ring[at:], uint32(key))
	binary.LittleEndian.PutUint16(m.ring[at+4:], uint16(key>>32))
	m.n++
}

// ringKey is how many bytes of a key the ring holds: two records of some seconds share
// them by chance only.
const ringKey = 6

// late reports whether the record is new, and remembers it.
func (m *memory) late(slot int64, key uint64) bool {
	if _, ok := m.extra[key]; ok {
		return false
	}
	if i, ok := slices.BinarySearchFunc(m.slots, slot, func(p past, slot int64) int { return cmp.Compare(p.slot, slot) }); ok {
		end := m.n
		if i+1 < len(m.slots) {
			end = m.slots[i+1].first
		}
		for k := max(m.slots[i].first, m.n-len(m.ring)/ringKey); k < end; k++ {
			x := m.ring[k%remembered*ringKey:]
			if binary.LittleEndian.Uint32(x) == uint32(key) && binary.LittleEndian.Uint16(x[4:]) == uint16(key>>32) {
				return false
			}
		}
	}
	if m.extra == nil || len(m.extra) >= remembered/4 {
		m.extra = map[uint64]struct{}{}
	}
	m.extra[key] = struct{}{}
	return true
}

// alone counts a batch of one event more.
func (b *batches) alone() {
	b.Lock()
	b.out++
	b.Unlock()
}

// Counts is what became of the records so far; those that wait are not in all of it.
func (r *Replay) Counts() Counts { return r.counts }

// Stop ends a pass that nobody asks for its result: what is held goes nowhere. It may be
// called again, also after Close.
func (r *Replay) Stop() {
	for _, g := range r.groups {
		if g.work != nil {
			close(g.work)
			<-g.done
			g.work = nil
		}
	}
}

// Close hands on what is still held and ends the engines among the observers at
// the end of the period, or at the last event when the period is open. Findings
// come in the order of time, engine and id.
func (r *Replay) Close() (Counts, []rules.Finding) {
	for len(r.order) > 0 {
		r.release()
	}
	r.flush()
	r.Stop()
	r.batches.free, r.freeSlot, r.memory = nil, nil, memory{} // engines may take the room for what they found
	r.counts.Recomputed = r.recomputed
	end := r.o.Until
	if end.IsZero() {
		end = r.counts.Last
	}
	if !r.o.AsOf.IsZero() && r.o.AsOf.Before(end) {
		end = r.o.AsOf
	}
	var out []rules.Finding
	for _, g := range r.groups {
		for _, o := range slices.Backward(g.observers) { // rules, which hold most, come last: what they let go of is room for others
			if e, ok := o.(Engine); ok {
				out = append(out, e.Close(end)...)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b rules.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Engine, b.Engine)
	})
	return r.counts, out
}
