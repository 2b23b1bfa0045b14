package event

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// filled is an event in which the fields that pick chooses are set, whatever they
// are: a field that somebody adds to Event is among them. Some texts are parts of
// others, as those that are derived.
func filled(r *rand.Rand, pick func() bool, dir *org.Directory) *Event {
	pool := []string{"x", "Read", "3f0c", "a longer text, with \xff in it", strings.Repeat("päth/", 40)}
	text := func() string { return pool[r.IntN(len(pool))] }
	e := &Event{}
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Kind() == reflect.Struct {
				fill(f)
				continue
			}
			if !pick() {
				continue
			}
			switch f.Interface().(type) {
			case Kind:
				f.SetUint(r.Uint64N(uint64(kindCount)))
				continue
			case Knowledge, Identity, Product, Approval, Verb, CostSource:
				f.SetUint(r.Uint64N(4))
				continue
			case *org.Directory:
				f.Set(reflect.ValueOf(dir))
				continue
			case []Attr: // left out
				continue
			}
			switch f.Kind() {
			case reflect.String:
				f.SetString(text())
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Int32:
				f.SetInt(int64(int32(r.Uint32())))
			case reflect.Int64:
				f.SetInt(r.Int64() >> r.IntN(64) * (1 - 2*int64(r.IntN(2))))
			case reflect.Uint16, reflect.Uint64:
				f.SetUint(r.Uint64() >> (64 - f.Type().Bits()))
			case reflect.Float64:
				f.SetFloat(r.NormFloat64())
			case reflect.Slice: // of texts
				list := reflect.MakeSlice(f.Type(), r.IntN(3), 4)
				for i := range list.Len() {
					list.Index(i).SetString(text())
				}
				f.Set(list)
			case reflect.Array:
				for i := range f.Len() {
					f.Index(i).SetUint(r.Uint64N(1 << 16))
				}
			default:
				panic("a field of a kind that is not filled: " + v.Type().Field(i).Name)
			}
		}
	}
	fill(reflect.ValueOf(e).Elem())
	part := func(of string) string {
		from := r.IntN(len(of) + 1)
		return of[from : from+r.IntN(len(of)-from+1)]
	}
	if pick() {
		e.Path, e.CommandLine, e.ToolKey = part(e.Input), part(e.Parameters), e.Tool
	}
	if pick() {
		e.Paths = []string{part(e.Input), text()}
	}
	if pick() {
		e.Name = e.Kind.String()
	}
	return e
}

// unread are the texts and numbers that packs leave out, besides those kept names.
func unread(e *Event) (texts []*string, numbers []*int64) {
	return []*string{&e.Service, &e.Scope, &e.Terminal, &e.DeploymentMode, &e.Command, &e.MCPServerAttr, &e.MCPToolAttr,
			&e.Body, &e.Trace, &e.Span, &e.SeverityText},
		[]*int64{&e.ResponseLength, &e.Attempt}
}

// kept is an event without what packs leave out.
func kept(e Event, narrow bool) Event {
	texts, numbers := unread(&e)
	for _, t := range texts {
		*t = ""
	}
	for _, n := range numbers {
		*n = 0
	}
	if e.Retyped, e.Repeated, e.CostUSD, e.Severity = 0, false, 0, 0; !narrow {
		return e
	}
	if e.Organisation, e.Error, e.Speed = "", "", ""; e.Session != "" {
		e.UserID = ""
	}
	return e
}

// packs checks that every event comes out as it went in, in any order.
func packs(t interface{ Fatalf(string, ...any) }, r *rand.Rand, p *Pack, events int, dense int) {
	dir := &org.Directory{}
	var want []Event
	for range events {
		e := filled(r, func() bool { return r.IntN(8) < dense }, dir)
		if len(want) > 0 && r.IntN(2) == 0 { // records of one session have much in common
			last := want[len(want)-1-r.IntN(min(3, len(want)))]
			last.ToolUse, last.Time = e.ToolUse, e.Time
			e = &last
		}
		want = append(want, *e)
	}
	p.Narrow = r.IntN(2) == 0
	other := Pack{Narrow: p.Narrow}
	for i := 0; i < len(want); {
		n := 1 + r.IntN(len(want)-i)
		if r.IntN(2) == 0 {
			p.Add(want[i : i+n])
		} else { // by way of another pack, in which something stands before and behind
			other.Add(want[:i])
			from := other.Cut()
			other.Add(want[i : i+n])
			to := other.Cut()
			other.Add(want[i:])
			if len(other.Between(from, to)) != n {
				t.Fatalf("%d heads between the cuts, expected %d", len(other.Between(from, to)), n)
			}
			p.AddFrom(&other, from, to)
			if other.Poison(); r.IntN(2) == 0 {
				other.Reset()
			}
		}
		i += n
	}
	var o Opened
	for _, i := range r.Perm(events) {
		w := kept(want[i], p.Narrow)
		e := p.Open(i, &o)
		if d := cmp.Diff(&w, e, cmp.Comparer(func(a, b *org.Directory) bool { return a == b })); d != "" {
			t.Fatalf("event %d of %d:\n%s", i, events, d)
		}
		if e.CostMicros, e.CostFrom = 7, Recomputed; r.IntN(4) == 0 { // as a replay prices one
			o.Take(p, i)[0].SessionKey = 1 // or prepares one
		}
		if p.SessionOf(i) != w.Session || p.NameOf(i) != w.Name || p.ToolUseOf(i) != w.ToolUse || p.RequestOf(i) != w.Request {
			t.Fatalf("event %d of %d: texts read alone: %q %q %q %q", i, events, p.SessionOf(i), p.NameOf(i), p.ToolUseOf(i), p.RequestOf(i))
		}
		if h := p.Heads[i]; h.Time != w.Time || h.Sequence != w.Sequence || h.Key != w.RecordKey || h.Timed != (w.Has&FTime != 0) {
			t.Fatalf("event %d of %d: head %+v", i, events, h)
		}
	}
}

func TestPackedEventsComeOutAsTheyWentIn(t *testing.T) {
	var p Pack
	rapid.Check(t, func(t *rapid.T) {
		p.Reset()
		packs(t, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), &p, rapid.IntRange(1, 12).Draw(t, "events"), rapid.IntRange(0, 8).Draw(t, "dense"))
	})
}

func FuzzPack(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(8))
	f.Add(uint64(2), uint8(12), uint8(2))
	f.Add(uint64(3), uint8(200), uint8(4))
	f.Fuzz(func(t *testing.T, seed uint64, events, dense uint8) {
		packs(t, rand.New(rand.NewPCG(seed, 2)), &Pack{}, int(events), int(dense))
	})
}

// The common part holds no field that stands elsewhere.
func TestCommonPart(t *testing.T) {
	var e Event
	var leftOut []uintptr
	texts, _ := unread(&e)
	for _, x := range texts {
		leftOut = append(leftOut, uintptr(unsafe.Pointer(x))-uintptr(unsafe.Pointer(&e)))
	}
	n := 0
	for i := range reflect.TypeFor[Event]().NumField() {
		f := reflect.TypeFor[Event]().Field(i)
		if f.Offset < commonFrom || f.Offset >= commonTo {
			continue
		}
		n++
		if left := slices.Contains(leftOut, f.Offset); f.Name != "HostPaths" && !left && !slices.Contains(commonFields[:], f.Offset) {
			t.Errorf("%s is compared but not written with the common part", f.Name)
		} else if left {
			n--
		}
	}
	if n != len(commonFields)+1 {
		t.Errorf("%d fields in the common part, expected %d", n, len(commonFields)+1)
	}
}

// The heads order sessions as their names do, as far as they reach.
func TestHeadsOrderSessions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00ü")), 0, 12, -1), 2, 2).Draw(t, "sessions")
		var p Pack
		for _, s := range names {
			p.Add([]Event{{Session: s}})
		}
		if a, b := p.Heads[0].Session, p.Heads[1].Session; a < b && names[0] >= names[1] || a > b && names[0] <= names[1] {
			t.Fatalf("%q and %q have the heads %x and %x", names[0], names[1], a, b)
		}
	})
}

// What the records of a session have in common stands once, also where those of others
// come between, and nothing is allocated for one more event.
func TestPackedEventsAreSmall(t *testing.T) {
	e := filled(rand.New(rand.NewPCG(1, 1)), func() bool { return true }, nil)
	one := slices.Repeat([]Event{*e}, 1)
	events := slices.Repeat([]Event{*e}, 100)
	var p Pack
	p.Add(one)
	first, _ := p.Size()
	p.Reset()
	p.Add(events)
	if used, _ := p.Size(); used/100 > first-500 {
		t.Errorf("%d bytes for one event, %d for each of a hundred", first, used/100)
	}
	other := filled(rand.New(rand.NewPCG(2, 1)), func() bool { return true }, nil)
	two := slices.Repeat([]Event{*e, *other}, 1)
	var turns Pack
	for range 50 {
		turns.Add(two)
	}
	if used, _ := turns.Size(); used/100 > first-500 {
		t.Errorf("%d bytes for one event, %d for each of a hundred of two in turns", first, used/100)
	}
	var o Opened
	sum := 0
	if n := testing.AllocsPerRun(10, func() {
		p.Reset()
		p.Add(events)
		for i := range 100 {
			sum += len(p.Open(i, &o).Session)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a hundred events", n)
	}
	if !slices.Equal(o.hosts, e.HostPaths) {
		t.Errorf("host paths %q, expected %q", o.hosts, e.HostPaths)
	}
}

func BenchmarkPack(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var events []Event
	for range 16 {
		e := filled(r, func() bool { return r.IntN(8) < 3 }, nil)
		events = append(events, slices.Repeat([]Event{*e}, 4)...)
	}
	var p Pack
	var o Opened
	b.Run("add64", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Reset()
			p.Add(events)
		}
	})
	p.Reset()
	p.Add(events)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			p.Open(i%64, &o)
		}
	})
}
