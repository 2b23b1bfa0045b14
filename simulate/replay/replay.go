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
package replay

import (
	"container/heap"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// DefaultWindow is how far records may arrive out of order. Processes flush
// every five seconds and a collector retries for minutes; ten cover both.
const DefaultWindow = 10 * time.Minute

// remembered is how many records each of two generations of the duplicate
// filter holds: a repeat is recognised while fewer than this many other records
// lie between.
const remembered = 1 << 18

// Observer takes events in order of time. Strings of an event may be views; an
// observer that keeps one clones it.
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
	Window            time.Duration // 0: DefaultWindow
	Prices            Pricer        // recomputes a missing cost, marked as such
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

// Replay is one pass. It is not safe for concurrent use.
type Replay struct {
	o         Options
	observers []Observer
	counts    Counts
	held      queue
	free      []*held
	arrival   int64
	recent    [recentTimes]int64 // times of the last records received
	clock     int64              // the middle one of them, as of the last look
	released  int64              // time of the last event handed on in order
	seed      maphash.Seed
	seen, old map[uint64]struct{}
}

// New starts a pass over the observers, which are called in the order given.
func New(o Options, observers ...Observer) *Replay {
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	return &Replay{o: o, observers: observers, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
}

// Add takes the next records as they arrived. The slice may be reused
// afterwards, the strings of its events may not.
func (r *Replay) Add(batch []event.Event) {
	for i := range batch {
		r.add(&batch[i])
	}
}

func (r *Replay) add(e *event.Event) {
	c := &r.counts
	c.Received++
	if e.Has&event.FTime == 0 || e.Time <= 0 {
		c.NoTime++
		return
	}
	if r.repeated(e) {
		c.Duplicates++
		return
	}
	switch t := e.When(); {
	case !r.o.AsOf.IsZero() && !t.Before(r.o.AsOf):
		c.AfterAsOf++
		return
	case t.Before(r.o.From) || !r.o.Until.IsZero() && !t.Before(r.o.Until):
		c.OutsidePeriod++
		return
	}
	if e.Kind == event.APIRequest && e.CostFrom == event.CostMissing && r.o.Prices != nil && e.Present(event.FModel|event.FInputTokens|event.FOutputTokens) {
		if micros, ok := r.o.Prices.Cost(e.Model, e.When(), e.InputTokens, e.OutputTokens, e.CacheRead, e.CacheWrite); ok {
			e.CostMicros, e.CostFrom = micros, event.Recomputed
			c.Recomputed++
		}
	}
	if e.Time < r.released {
		c.Late++
		r.hand(e)
		return
	}
	var h *held
	if n := len(r.free); n > 0 {
		h, r.free = r.free[n-1], r.free[:n-1]
	} else {
		h = new(held)
	}
	h.e, h.arrival = *e, r.arrival
	heap.Push(&r.held, h)
	r.recent[r.arrival%recentTimes] = e.Time
	r.arrival++
	if r.arrival < recentTimes || r.arrival%32 == 0 { // often enough, and never a cost
		times := r.recent
		known := times[:min(r.arrival, recentTimes)]
		slices.Sort(known)
		r.clock = max(r.clock, known[len(known)/2])
	}
	for len(r.held) > 0 && r.held[0].e.Time < r.clock-int64(r.o.Window) {
		r.release()
	}
}

// recentTimes is how many arrivals tell the time: fewer than half of them may
// come from clocks that are ahead.
const recentTimes = 65

func (r *Replay) release() {
	h := heap.Pop(&r.held).(*held)
	r.released = h.e.Time
	r.hand(&h.e)
	h.e = event.Event{} // lets go of its strings
	r.free = append(r.free, h)
}

func (r *Replay) hand(e *event.Event) {
	c := &r.counts
	c.Events++
	if t := e.When(); c.First.IsZero() || t.Before(c.First) {
		c.First = t
	}
	if t := e.When(); t.After(c.Last) {
		c.Last = t
	}
	for _, o := range r.observers {
		o.Observe(e)
	}
}

// repeated reports that a record with the same identity was received before. A
// record is named by its session, sequence number and time, as a resumed session
// counts from 0 again; without a sequence number by everything that tells two
// records of one session apart.
func (r *Replay) repeated(e *event.Event) bool {
	var h maphash.Hash
	h.SetSeed(r.seed)
	text := func(s string) { h.WriteString(s); h.WriteByte(0) }
	number := func(n int64) { maphash.WriteComparable(&h, n) }
	number(int64(e.Product))
	text(e.Session)
	text(e.Name)
	number(e.Time)
	if e.Has&event.FSequence != 0 {
		number(e.Sequence)
	} else {
		text(e.Prompt)
		text(e.ToolUse)
		text(e.Request)
		text(e.Tool)
		text(e.Decision)
		text(e.Parameters)
		text(e.Input)
		number(e.InputTokens)
		number(e.OutputTokens)
		number(e.CostMicros)
		number(e.Duration)
	}
	if e.Session == "" {
		text(e.Account + e.Email + e.UserID)
	}
	k := h.Sum64()
	if _, ok := r.seen[k]; ok {
		return true
	}
	if _, ok := r.old[k]; ok {
		return true
	}
	if len(r.seen) >= remembered {
		r.old, r.seen = r.seen, make(map[uint64]struct{}, remembered)
	}
	r.seen[k] = struct{}{}
	return false
}

// Counts so far.
func (r *Replay) Counts() Counts { return r.counts }

// Close hands on what is still held and ends the engines among the observers at
// the end of the period, or at the last event when the period is open. Findings
// come in the order of time, engine and id.
func (r *Replay) Close() (Counts, []rules.Finding) {
	for len(r.held) > 0 {
		r.release()
	}
	end := r.o.Until
	if end.IsZero() {
		end = r.counts.Last
	}
	if !r.o.AsOf.IsZero() && r.o.AsOf.Before(end) {
		end = r.o.AsOf
	}
	var out []rules.Finding
	for _, o := range r.observers {
		if g, ok := o.(Engine); ok {
			out = append(out, g.Close(end)...)
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

type held struct {
	e       event.Event
	arrival int64
}

// queue orders events by time. Ties go by session and sequence number, so that
// the order does not hang on arrival; what still ties keeps its arrival order.
type queue []*held

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := &q[i].e, &q[j].e
	if a.Time != b.Time {
		return a.Time < b.Time
	}
	if a.Session != b.Session {
		return a.Session < b.Session
	}
	if a.Sequence != b.Sequence {
		return a.Sequence < b.Sequence
	}
	// Old releases send no numbers; their records still need an order that does not
	// hang on arrival. By name a decision stands before its result.
	if a.Name != b.Name {
		return a.Name < b.Name
	}
	if a.ToolUse+a.Request != b.ToolUse+b.Request {
		return a.ToolUse+a.Request < b.ToolUse+b.Request
	}
	return q[i].arrival < q[j].arrival
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*held)) }
func (q *queue) Pop() any {
	old := *q
	n := len(old)
	x := old[n-1]
	old[n-1] = nil
	*q = old[:n-1]
	return x
}
