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

// merged is Each over inputs side by side: always the request next whose first
// record with a time is the earliest of those that come next in each input; of equal
// ones that of the first input. Inputs keep their own order. The texts of events are
// never views here, as requests of several inputs are held at once.
func (s *Source) merged(ctx context.Context, fn func(b *otlp.Batch) error) error {
	if s.used && slices.Contains(s.names, "-") {
		return errors.New("standard input can be read only once")
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type lane struct {
		src  *Source
		next chan *otlp.Batch
		head *otlp.Batch
		at   int64
		err  error
	}
	lanes := make([]*lane, len(s.names))
	for i, name := range s.names {
		l := &lane{src: &Source{opts: s.opts, names: []string{name}}, next: make(chan *otlp.Batch)}
		l.src.opts.Borrow, l.src.opts.Workers = false, 1
		s.used = s.used || name == "-"
		lanes[i] = l
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer close(l.next)
			l.err = l.src.Each(ctx, func(b *otlp.Batch) error {
				own := &otlp.Batch{Events: slices.Clone(b.Events), Bad: slices.Clone(b.Bad), Records: b.Records, Dialect: b.Dialect, Other: b.Other}
				select {
				case l.next <- own:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}()
	}
	defer func() {
		cancel()
		for _, l := range lanes {
			for range l.next { // until its reader has stopped
			}
		}
		s.report = s.report[:0:0]
		for i, l := range lanes {
			if r := l.src.Report(); len(r) > 0 {
				s.report = append(s.report, r[0])
			} else {
				s.report = append(s.report, Input{Name: s.names[i]})
			}
		}
	}()
	advance := func(l *lane) error {
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
		var first *lane
		for _, l := range lanes {
			if l.head != nil && (first == nil || l.at < first.at) {
				first = l
			}
		}
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

// packedLane is one input of mergedPacked.
type packedLane struct {
	src  *Source
	next chan *packedBlock
	free chan *packedBlock
	head *packedBlock
	at   int64 // time of the request that comes next
	err  error
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
	if s.used && slices.Contains(s.names, "-") {
		return errors.New("standard input can be read only once")
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	lanes := make([]*packedLane, len(s.names))
	for i, name := range s.names {
		l := &packedLane{src: &Source{opts: s.opts, names: []string{name}}, next: make(chan *packedBlock), free: make(chan *packedBlock, 2)}
		l.src.opts.Workers = 1
		s.used = s.used || name == "-"
		lanes[i] = l
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer close(l.next)
			l.err = l.src.blocks(ctx, true, func(b *block) error { return l.send(ctx, b) })
		}()
	}
	defer func() {
		cancel()
		for _, l := range lanes {
			for range l.next { // until its reader has stopped
			}
		}
		s.report = s.report[:0:0]
		for i, l := range lanes {
			if r := l.src.Report(); len(r) > 0 {
				s.report = append(s.report, r[0])
			} else {
				s.report = append(s.report, Input{Name: s.names[i]})
			}
		}
	}()
	for _, l := range lanes {
		if err := l.advance(); err != nil {
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
		var first *packedLane
		for _, l := range lanes {
			if l.head != nil && (first == nil || l.at < first.at) {
				first = l
			}
		}
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
		if err := first.advance(); err != nil {
			return err
		}
	}
}

// send hands on a block that was decoded, if there is anything in it.
func (l *packedLane) send(ctx context.Context, b *block) error {
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
	select {
	case l.next <- x:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// advance goes to the next request.
func (l *packedLane) advance() error {
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
