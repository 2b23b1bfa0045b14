package replay

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Read reads a stream whole, as stream.Source.EachBlock does.
type Read = func(ctx context.Context, fn func(*otlp.Batch) error) error

const (
	// bucketBits: records are counted by 2^42 ns, some 73 minutes, which are whole slots.
	bucketBits = 42
	mostParts  = 16
)

// mostHeld events wait at a time when a stream is put in order, unless it would take
// far more than mostParts readings. It is a variable for tests.
var mostHeld = 1 << 18

// Over passes a stream through observers in order of time, however it arrives: a
// collector that was cut off for hours sends its records when it is back, and exports
// of a SIEM stand newest first or by member. Such a stream is read once more, with a
// window as wide as it needs or, where too much would wait in it, some times, a part of
// its days at a time. begin makes the observers, and makes them anew then: what the
// first ones saw counts no longer. Without again, which is for what can be read only
// once, the records behind the window are handed on as they come, and Counts.Late says
// how many.
func Over(ctx context.Context, read, again Read, o Options, begin func() []Observer) (Counts, []rules.Finding, error) {
	r := New(o, begin()...)
	defer func() { r.Stop() }()
	if again == nil {
		if err := read(ctx, r.Take); err != nil {
			return Counts{}, nil, err
		}
		return r.finish()
	}
	s, err := r.survey(ctx, read)
	if err != nil {
		return Counts{}, nil, err
	}
	if s == nil {
		return r.finish()
	}
	if s.most(s.behind) <= mostHeld {
		o.Window = max(r.o.Window, time.Duration(s.behind+1<<slotBits))
		r = New(o, begin()...)
		if s, err = r.survey(ctx, again); err != nil {
			return Counts{}, nil, err
		}
		if s == nil {
			return r.finish()
		}
	}
	r = New(o, begin()...)
	r.hold = true
	for i, part := range s.parts() {
		if err := again(ctx, func(b *otlp.Batch) error { return r.takePart(b, part, i == 0) }); err != nil {
			return Counts{}, nil, err
		}
		r.gathered()
		for len(r.order) > 0 {
			r.release()
		}
	}
	return r.finish()
}

func (r *Replay) finish() (Counts, []rules.Finding, error) {
	c, found := r.Close()
	return c, found, nil
}

// survey is when the records of a stream are from, roughly, and how far one of them
// arrived behind the others.
type survey struct {
	buckets map[int64]int
	behind  int64 // nanoseconds
}

// survey passes a stream through the observers, as long as none of its records is
// behind the window, and gives nil then; else it stops them and looks at the times of
// the rest.
func (r *Replay) survey(ctx context.Context, read Read) (*survey, error) {
	s := &survey{buckets: map[int64]int{}}
	r.surveyed = s
	late := false
	err := read(ctx, func(b *otlp.Batch) error {
		if late {
			for i := range b.Packed.Heads {
				h := &b.Packed.Heads[i]
				r.look(h.Time, h.Timed)
			}
			for i := range b.Events {
				r.look(b.Events[i].Time, b.Events[i].Has&event.FTime != 0)
			}
			return nil
		}
		err := r.Take(b)
		if late = r.counts.Late > 0; late {
			r.Stop()
			for n, w := range r.slots {
				s.buckets[n>>(bucketBits-slotBits)] += len(w.events)
			}
			r.slots, r.order, r.freeSlot, r.last, r.ready, r.batches.free = nil, nil, nil, nil, nil, nil
		}
		return err
	})
	if err != nil || !late {
		return nil, err
	}
	return s, nil
}

// look counts a record that is not handed on.
func (r *Replay) look(at int64, timed bool) {
	if timed && at > 0 {
		r.surveyed.buckets[at>>bucketBits]++
		r.surveyed.behind = max(r.surveyed.behind, r.clock-at)
		r.tick(at)
	}
}

// most is how many records there are at most in so much time.
func (s *survey) most(span int64) int {
	keys := slices.Sorted(maps.Keys(s.buckets))
	most, sum, from := 0, 0, 0
	for _, k := range keys {
		sum += s.buckets[k]
		for (k-keys[from]-1)<<bucketBits > span {
			sum -= s.buckets[keys[from]]
			from++
		}
		most = max(most, sum)
	}
	return most
}

// part is some time: from inclusive, until exclusive.
type part struct{ from, until int64 }

// parts cuts the time of a stream so that few enough records are in each part.
func (s *survey) parts() []part {
	keys, total := slices.Sorted(maps.Keys(s.buckets)), 0
	for _, n := range s.buckets {
		total += n
	}
	room := max(mostHeld, (total+mostParts-1)/mostParts)
	out, in := []part{{from: 1}}, 0
	for _, k := range keys {
		if n := s.buckets[k]; in > 0 && in+n > room {
			out[len(out)-1].until = k << bucketBits
			out, in = append(out, part{from: k << bucketBits}), 0
		}
		in += s.buckets[k]
	}
	out[len(out)-1].until = 1<<63 - 1
	return out
}

// takePart keeps what lies in a part; first says that it is the first one, in which
// what has no time is counted.
func (r *Replay) takePart(b *otlp.Batch, p part, first bool) error {
	untimed := int64(0)
	for i := range b.Packed.Heads {
		switch h := &b.Packed.Heads[i]; {
		case !h.Timed || h.Time <= 0:
			untimed++
		case h.Time >= p.from && h.Time < p.until:
			r.gather(r.opened.Take(&b.Packed, i))
		}
	}
	for i := range b.Events {
		switch e := &b.Events[i]; {
		case e.Has&event.FTime == 0 || e.Time <= 0:
			untimed++
		case e.Time >= p.from && e.Time < p.until:
			r.gather(b.Events[i : i+1])
		}
	}
	if first {
		r.counts.Received += untimed
		r.counts.NoTime += untimed
	}
	return nil
}

// gather has one event wait, without the memory of those that came with it.
func (r *Replay) gather(one []event.Event) {
	if e := &one[0]; e.RecordKey == 0 || r.o.Directory != nil && e.Roster != r.o.Directory {
		r.prepare(e)
	}
	if r.gathering == nil {
		r.gathering, _ = r.batches.take()
		r.gathering.Pack.Narrow = false
	}
	b := r.gathering
	b.Pack.Add(one)
	r.add(&b.Heads[b.Len()-1], b, b.Len()-1)
	if used, _ := b.Size(); used >= gatherBytes {
		r.gathered()
	}
}

const gatherBytes = 64 << 10

// gathered ends the batch that gathers events.
func (r *Replay) gathered() {
	if b := r.gathering; b != nil {
		b.left.Store(int32(b.Len() * len(r.groups)))
		r.gathering = nil
	}
}
