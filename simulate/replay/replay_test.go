package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

var start = time.Date(2026, 4, 13, 9, 0, 0, 0, time.UTC)

func record(session string, seq int64, at time.Time) event.Event {
	return event.Event{Kind: event.ToolResult, Product: event.Cowork, Name: "tool_result", Session: session, Sequence: seq,
		Time: at.UnixNano(), Has: event.FTime | event.FSequence | event.FSession}
}

// life is some sessions whose records interleave.
func life(r *rand.Rand, sessions, each int) []event.Event {
	var out []event.Event
	for s := range sessions {
		at := start.Add(time.Duration(r.IntN(3600)) * time.Second)
		for i := range each {
			at = at.Add(time.Duration(r.IntN(90_000)) * time.Millisecond)
			out = append(out, record(fmt.Sprintf("s%d", s), int64(i), at))
		}
	}
	slices.SortStableFunc(out, func(a, b event.Event) int { return int(a.Time - b.Time) })
	return out
}

// witness keeps what it saw, and closes like an engine.
type witness struct {
	seen []string
	end  time.Time
}

func (w *witness) Observe(e *event.Event) {
	w.seen = append(w.seen, fmt.Sprintf("%d %s/%d", e.Time, e.Session, e.Sequence))
}

func (w *witness) Close(end time.Time) []rules.Finding {
	w.end = end
	return []rules.Finding{{ID: "w-1", Time: end}}
}

func pass(o Options, batches ...[]event.Event) (*witness, Counts) {
	w := &witness{}
	r := New(o, w)
	for _, b := range batches {
		r.Add(b)
	}
	c, _ := r.Close()
	return w, c
}

// TestAnyArrivalOrderWithinTheWindow: shuffle records as far as the window
// allows, repeat some of them, and the observers see the same stream.
func TestAnyArrivalOrderWithinTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		events := life(r, 6, 30)
		want, plain := pass(Options{}, events)
		type late struct {
			e  event.Event
			at int64
		}
		var arrive []late
		for _, e := range events {
			arrive = append(arrive, late{e, e.Time + r.Int64N(int64(DefaultWindow))})
			if r.IntN(10) == 0 { // a batch that was sent twice
				arrive = append(arrive, late{e, e.Time + r.Int64N(int64(DefaultWindow))})
			}
		}
		slices.SortStableFunc(arrive, func(a, b late) int { return int(a.at - b.at) })
		var shuffled []event.Event
		for _, l := range arrive {
			shuffled = append(shuffled, l.e)
		}
		got, counts := pass(Options{}, shuffled)
		if !slices.Equal(got.seen, want.seen) {
			t.Fatalf("another arrival order gave another stream")
		}
		if counts.Late != 0 || counts.Events != plain.Events || counts.Duplicates != int64(len(shuffled)-len(events)) {
			t.Fatalf("counts %+v, expected %d events and %d duplicates", counts, plain.Events, len(shuffled)-len(events))
		}
	})
}

func TestBehindTheWindowIsCountedNotLost(t *testing.T) {
	w, c := pass(Options{Window: time.Minute}, []event.Event{
		record("a", 0, start), record("a", 1, start.Add(time.Hour)), record("a", 2, start.Add(2*time.Hour)),
		record("b", 0, start.Add(-time.Hour)),
	})
	if c.Late != 1 || c.Events != 4 || len(w.seen) != 4 {
		t.Errorf("late %d, events %d, seen %d", c.Late, c.Events, len(w.seen))
	}
	if !c.First.Equal(start.Add(-time.Hour)) || !c.Last.Equal(start.Add(2*time.Hour)) {
		t.Errorf("span %s to %s", c.First, c.Last)
	}
}

// One machine whose clock is hours ahead does not close the window for others.
func TestOneClockAheadLeavesOthersInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	events := life(r, 8, 200)
	var arrived []event.Event
	for i, e := range events {
		if e.Session == "s3" {
			e.Time += int64(3 * time.Hour)
		}
		events[i] = e
		// Others arrive up to a minute out of order.
		k := max(0, len(arrived)-r.IntN(8))
		arrived = append(arrived[:k], append([]event.Event{e}, arrived[k:]...)...)
	}
	w, c := pass(Options{}, arrived)
	if c.Late != 0 || len(w.seen) != len(events) {
		t.Errorf("%d records late, %d of %d seen", c.Late, len(w.seen), len(events))
	}
	if !slices.IsSortedFunc(w.seen, func(a, b string) int { return strings.Compare(a[:19], b[:19]) }) {
		t.Error("observers saw time run back")
	}
}

func TestBoundsOfTime(t *testing.T) {
	in := []event.Event{
		record("a", 0, start.Add(-time.Nanosecond)), record("a", 1, start),
		record("a", 2, start.Add(time.Hour-time.Nanosecond)), record("a", 3, start.Add(time.Hour)),
		record("a", 4, start.Add(2*time.Hour)),
		{Kind: event.UserPrompt, Session: "a"},
	}
	w, c := pass(Options{From: start, Until: start.Add(time.Hour), AsOf: start.Add(90 * time.Minute)}, in)
	if len(w.seen) != 2 || c.OutsidePeriod != 2 || c.AfterAsOf != 1 || c.NoTime != 1 || c.Received != 6 {
		t.Errorf("%d seen, %+v", len(w.seen), c)
	}
	if !w.end.Equal(start.Add(time.Hour)) {
		t.Errorf("closed at %s, expected the end of the period", w.end)
	}
	w, _ = pass(Options{From: start, Until: start.Add(time.Hour), AsOf: start.Add(30 * time.Minute)}, in)
	if !w.end.Equal(start.Add(30 * time.Minute)) {
		t.Errorf("closed at %s: silence after the as-of day says nothing", w.end)
	}
}

// TestResumedSessionIsNoDuplicate: a session that goes on in a new process
// counts from 0 again.
func TestResumedSessionIsNoDuplicate(t *testing.T) {
	_, c := pass(Options{}, []event.Event{record("a", 0, start), record("a", 0, start.Add(time.Hour))})
	if c.Duplicates != 0 || c.Events != 2 {
		t.Errorf("%+v", c)
	}
}

type price struct{}

func (price) Cost(model string, _ time.Time, in, out, _, _ int64) (int64, bool) {
	return in + 5*out, model == "known"
}

func TestMissingCostIsRecomputedAndMarked(t *testing.T) {
	request := func(model string, seq int64) event.Event {
		e := record("a", seq, start)
		e.Kind, e.Name, e.Model, e.InputTokens, e.OutputTokens = event.APIRequest, "api_request", model, 100, 10
		e.Has |= event.FModel | event.FInputTokens | event.FOutputTokens
		e.Derive()
		return e
	}
	var got []event.Event
	r := New(Options{Prices: price{}}, observe(func(e *event.Event) { got = append(got, *e) }))
	r.Add([]event.Event{request("known", 0), request("unheard-of", 1)})
	c, _ := r.Close()
	if c.Recomputed != 1 || got[0].CostMicros != 150 || got[0].CostFrom != event.Recomputed || got[1].CostFrom != event.CostMissing {
		t.Errorf("%+v, %d from %v, then %v", c, got[0].CostMicros, got[0].CostFrom, got[1].CostFrom)
	}
}

type observe func(*event.Event)

func (o observe) Observe(e *event.Event) { o(e) }

func BenchmarkReplay(b *testing.B) {
	events := life(rand.New(rand.NewPCG(1, 1)), 200, 500)
	b.Run("order", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			r := New(Options{}, observe(func(*event.Event) { n++ }))
			for i := 0; i < len(events); i += 50 {
				r.Add(events[i:min(i+50, len(events))])
			}
			r.Close()
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	})
}

// TestPreparerKeepsNoViews: memory that texts were views of is used again, and then
// says something else; what was remembered of it must not.
func TestPreparerKeepsNoViews(t *testing.T) {
	memory := []byte("session-a")
	view := unsafe.String(&memory[0], len(memory))
	prepare := Prepare(nil)()
	first := event.Event{Session: view, Prompt: view, Account: view}
	prepare(&first)
	copy(memory, "session-b")
	second := event.Event{Session: "session-b", Prompt: "session-b", Account: "session-b"}
	prepare(&second)
	if second.SessionKey != event.Key("session-b") || second.PromptKey != event.Key("session-b") {
		t.Error("a record got the key of another session")
	}
}

// TestPreparerNamesWhomTheDirectoryDoes: whoever was met lately is not asked for again,
// and is nobody else, whichever keys a record has and in whatever order records come.
func TestPreparerNamesWhomTheDirectoryDoes(t *testing.T) {
	s, err := scenarios.Load("insurer-claims")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := org.Build(&s.Config, s.Seed)
	if err != nil {
		t.Fatal(err)
	}
	keys := func(of func(org.Member) string) *rapid.Generator[string] {
		some := []string{"", "nobody"}
		for i := range dir.Len() {
			some = append(some, of(dir.Member(i)))
		}
		return rapid.SampledFrom(some)
	}
	account, email, id := keys(func(m org.Member) string { return m.Account }), keys(func(m org.Member) string { return m.Email }), keys(func(m org.Member) string { return m.ID })
	rapid.Check(t, func(t *rapid.T) {
		var memory []byte // used again by every record
		prepare, plain := Prepare(dir)(), Prepare(nil)()
		for range rapid.IntRange(1, 300).Draw(t, "records") {
			e := event.Event{Account: account.Draw(t, "account"), Email: email.Draw(t, "email"), AccountID: id.Draw(t, "id")}
			i := rapid.IntRange(-5, dir.Len()-1).Draw(t, "member")
			if i >= 0 { // mostly one, under all keys
				m := dir.Member(i)
				e = event.Event{Account: m.Account, Email: m.Email, AccountID: m.ID}
			}
			want := e
			member, identity := want.Who(dir)
			for _, key := range []*string{&e.Account, &e.Email, &e.AccountID} {
				n := len(memory)
				memory = append(memory, *key...)
				*key = unsafe.String(unsafe.SliceData(memory[n:]), len(*key))
			}
			prepare(&e)
			if e.Roster != dir || e.Member != member || e.Identity != identity || e.PersonKey != want.OfPerson() {
				t.Fatalf("%q %q %q: member %d (%d), key %x; the directory says %d (%d), %x", want.Account, want.Email, want.AccountID, e.Member, e.Identity, e.PersonKey, member, identity, want.OfPerson())
			}
			e.Roster = nil
			if plain(&e); e.Roster != nil || e.PersonKey != want.OfPerson() {
				t.Fatalf("without a directory %q has the key %x, not %x", want.Person(), e.PersonKey, want.OfPerson())
			}
			clear(memory)
			memory = memory[:0]
		}
	})
}

// reading gives events some at a time, packed or not, as a source does.
func reading(events []event.Event, times *int) Read {
	prepare := Prepare(nil)()
	return func(ctx context.Context, fn func(*otlp.Batch) error) error {
		*times++
		for i := 0; i < len(events); i += 7 {
			b := &otlp.Batch{}
			some := slices.Clone(events[i:min(i+7, len(events))])
			for k := range some {
				some[k].Index = int64(i + k)
			}
			if i%2 == 0 {
				b.Events = some
			} else {
				for k := range some {
					prepare(&some[k])
				}
				b.Packed.Add(some)
			}
			if err := fn(b); err != nil {
				return err
			}
		}
		return nil
	}
}

// However a stream that can be read again arrives, observers see it in order of time
// and each record once.
func TestAnyOrderOfArrival(t *testing.T) {
	defer func(n int) { mostHeld = n }(mostHeld)
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var events []event.Event
		days := rapid.IntRange(1, 40).Draw(t, "days")
		for d := range days {
			for _, e := range life(r, 3, 12) {
				e.Time += int64(d) * int64(24*time.Hour)
				e.Session += fmt.Sprint("-", d)
				events = append(events, e)
			}
		}
		want, plain := pass(Options{}, events)
		if plain.Late != 0 {
			t.Fatal("the events themselves are late")
		}
		repeated := 0
		for i := range r.IntN(20) {
			events = append(events, events[(i*31)%len(events)])
			repeated++
		}
		events = append(events, event.Event{Kind: event.UserPrompt, Session: "untimed"})
		switch rapid.SampledFrom([]string{"mixed", "newest first", "by session", "a day late", "in order"}).Draw(t, "order") {
		case "mixed":
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		case "newest first":
			slices.Reverse(events)
		case "by session":
			slices.SortStableFunc(events, func(a, b event.Event) int { return strings.Compare(a.Session, b.Session) })
		case "a day late":
			late := slices.Clone(events[:5])
			events = append(slices.Delete(events, 0, 5), late...)
		}
		mostHeld = rapid.SampledFrom([]int{1, 100, 1 << 18}).Draw(t, "held")
		times, made := 0, 0
		var got *witness
		counts, found, err := Over(context.Background(), reading(events, &times), reading(events, &times), Options{}, func() []Observer {
			got = &witness{}
			made++
			return []Observer{got}
		})
		if err != nil || len(found) != 1 {
			t.Fatal(err, found)
		}
		if !slices.Equal(got.seen, want.seen) {
			t.Fatalf("another order of arrival gave another stream, read %d times for %d observers", times, made)
		}
		if counts.Late != 0 || counts.Events != plain.Events || counts.Duplicates != int64(repeated) || counts.NoTime != 1 || counts.Received != int64(len(events)) {
			t.Fatalf("%+v for %d events, %d of them twice", counts, len(events), repeated)
		}
		if times > 2+2*mostParts {
			t.Fatalf("read %d times", times)
		}
	})
}
