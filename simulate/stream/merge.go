package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// MostMerged is how many inputs are read side by side. Each holds some blocks in
// memory, so that it bounds the memory too. More inputs are read one after the
// other, as a collector that rotates its file leaves them.
const MostMerged = 32

// sideBySide reports that several inputs are merged by the times of their requests:
// captures of two collectors cover the same days, and read one after the other the
// second would be late as a whole.
func (s *Source) sideBySide() bool { return len(s.names) > 1 && len(s.names) <= MostMerged }

// lane is one input of several that are read side by side.
type lane[T any] struct {
	src  *Source
	next chan *T
	free chan *T // what may be filled again
	head *T
	at   int64 // time of the request that comes next
	err  error
}

// beside begins to read every input in a lane of its own. done stops them and
// gathers what they report.
func beside[T any](ctx context.Context, s *Source, alter func(o *Options), read func(ctx context.Context, l *lane[T]) error) (lanes []*lane[T], done func(), err error) {
	if s.used && slices.Contains(s.names, "-") {
		return nil, nil, errors.New("standard input can be read only once")
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, name := range s.names {
		l := &lane[T]{src: &Source{opts: s.opts, names: []string{name}}, next: make(chan *T), free: make(chan *T, 2)}
		l.src.opts.Workers = 1
		alter(&l.src.opts)
		s.used = s.used || name == "-"
		lanes = append(lanes, l)
		wg.Go(func() {
			defer close(l.next)
			l.err = read(ctx, l)
		})
	}
	return lanes, func() {
		cancel()
		s.report = s.report[:0:0]
		for i, l := range lanes {
			for range l.next { // until its reader has stopped
			}
			if r := l.src.Report(); len(r) > 0 {
				s.report = append(s.report, r[0])
			} else {
				s.report = append(s.report, Input{Name: s.names[i]})
			}
		}
		wg.Wait()
	}, nil
}

// hand gives what a reader has to whoever takes from the lane.
func (l *lane[T]) hand(ctx context.Context, x *T) error {
	select {
	case l.next <- x:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// earliest is the lane whose next request is the earliest, of equal ones the first;
// nil when all are at their end.
func earliest[T any](lanes []*lane[T]) (first *lane[T]) {
	for _, l := range lanes {
		if l.head != nil && (first == nil || l.at < first.at) {
			first = l
		}
	}
	return first
}

// merged is Each over inputs side by side: always the request next whose first
// record with a time is the earliest of those that come next in each input; of equal
// ones that of the first input. Inputs keep their own order. The texts of events are
// never views here, as requests of several inputs are held at once.
func (s *Source) merged(ctx context.Context, fn func(b *otlp.Batch) error) error {
	lanes, done, err := beside(ctx, s, func(o *Options) { o.Borrow = false }, func(ctx context.Context, l *lane[otlp.Batch]) error {
		return l.src.Each(ctx, func(b *otlp.Batch) error {
			return l.hand(ctx, &otlp.Batch{Events: slices.Clone(b.Events), Bad: slices.Clone(b.Bad), Records: b.Records, Dialect: b.Dialect, Other: b.Other})
		})
	})
	if err != nil {
		return err
	}
	defer done()
	advance := func(l *lane[otlp.Batch]) error {
		if l.head = <-l.next; l.head != nil {
			l.at = starts(l.head.Events, l.at)
			return nil
		}
		return l.err
	}
	for _, l := range lanes {
		if err := advance(l); err != nil {
			return err
		}
	}
	var index int64
	for {
		first := earliest(lanes)
		if first == nil {
			return ctx.Err()
		}
		for i := range first.head.Events {
			first.head.Events[i].Index = index
			index++
		}
		if err := fn(first.head); err != nil {
			return fmt.Errorf("%s: %w", first.src.names[0], err)
		}
		if err := advance(first); err != nil {
			return err
		}
	}
}

// packedBlock is the requests of a block that gave events, and which of them comes next.
type packedBlock struct {
	events   event.Pack
	requests [][2]event.Cut
	n        int
}

// mergedPacked is merged for events that are handed on packed: the same order, by
// requests, but many of them at a time, and nothing is copied but what is packed.
func (s *Source) mergedPacked(ctx context.Context, fn func(b *otlp.Batch) error) error {
	lanes, done, err := beside(ctx, s, func(o *Options) { o.cuts = true }, func(ctx context.Context, l *lane[packedBlock]) error {
		return l.src.blocks(ctx, true, func(b *block) error { return send(ctx, l, b) })
	})
	if err != nil {
		return err
	}
	defer done()
	for _, l := range lanes {
		if err := advance(l); err != nil {
			return err
		}
	}
	var index int64
	var out otlp.Batch
	hand := func() error {
		for i := range out.Packed.Heads {
			out.Packed.Heads[i].Index = index
			index++
		}
		if out.Packed.Len() == 0 {
			return nil
		}
		err := fn(&out)
		out.Packed.Reset()
		return err
	}
	for {
		first := earliest(lanes)
		if first == nil {
			if err := hand(); err != nil {
				return err
			}
			return ctx.Err()
		}
		x := first.head
		out.Packed.AddFrom(&x.events, x.requests[x.n][0], x.requests[x.n][1])
		if used, _ := out.Packed.Size(); used >= blockBytes/2 {
			if err := hand(); err != nil {
				return err
			}
		}
		if err := advance(first); err != nil {
			return err
		}
	}
}

// send hands on a block that was decoded, if there is anything in it.
func send(ctx context.Context, l *lane[packedBlock], b *block) error {
	var x *packedBlock
	select {
	case x = <-l.free:
	default:
		x = &packedBlock{}
	}
	x.requests, x.n = x.requests[:0], -1
	for i := range b.units {
		if u := &b.units[i]; u.err == nil && len(b.batch.Packed.Between(u.packed[0], u.packed[1])) > 0 {
			x.requests = append(x.requests, u.packed)
		}
	}
	x.events, b.batch.Packed = b.batch.Packed, x.events
	if len(x.requests) == 0 {
		return nil
	}
	return l.hand(ctx, x)
}

// advance goes to the next request.
func advance(l *lane[packedBlock]) error {
	if l.head != nil && l.head.n+1 == len(l.head.requests) {
		select {
		case l.free <- l.head:
		default:
		}
		l.head = nil
	}
	if l.head == nil {
		if l.head = <-l.next; l.head == nil {
			return l.err
		}
	}
	x := l.head
	x.n++
	for _, h := range x.events.Between(x.requests[x.n][0], x.requests[x.n][1]) {
		if h.Timed && h.Time > 0 {
			l.at = h.Time
			break
		}
	}
	return nil
}

// starts is the time of the first event that has one, else the time of the request
// before it.
func starts(events []event.Event, before int64) int64 {
	for i := range events {
		if e := &events[i]; e.Has&event.FTime != 0 && e.Time > 0 {
			return e.Time
		}
	}
	return before
}
