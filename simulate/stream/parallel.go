package stream

import (
	"context"
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Reading splits an input into units, each a request on a line or in a frame.
// Units are decoded by workers, a block of them at a time, and delivered in the
// order in which they were read, so that the number of workers changes nothing
// but the time it takes.

// blockBytes is how much a worker takes at once: enough that handing over costs
// nothing, little enough that memory stays flat. A byte of a packed frame counts
// as several, as it will be.
const (
	blockBytes = 128 << 10
	unpacked   = 12
)

// kind is how a unit is read.
type kind uint8

const (
	kindJSON kind = iota
	kindProto
	kindFlat // JSON documents of other tools
	kindCSV
	kindPacked // a zstd frame of either OTLP form
)

// unit is one request.
type unit struct {
	from, to int // in block.batch.Text, or in block.packed
	kind     kind
	reason   string // counted when it is unusable; "" when its loss is counted already
	err      error

	// What it gave, in block.batch.
	events, bad [2]int
	dialect     string
	other       int
}

// block is some units of one input on their way.
type block struct {
	input  int
	packed []byte
	weight int
	units  []unit
	batch  otlp.Batch // of all its units, with their text
	done   chan struct{}
}

func (b *block) clear() {
	b.batch.Text, b.packed, b.units, b.weight = b.batch.Text[:0], b.packed[:0], b.units[:0], 0
}

func (b *block) add(data []byte, k kind, reason string) {
	to := &b.batch.Text
	b.weight += len(data)
	if k == kindPacked {
		to = &b.packed
		b.weight += len(data) * (unpacked - 1)
	}
	from := len(*to)
	*to = append(*to, data...)
	b.units = append(b.units, unit{from: from, to: len(*to), kind: k, reason: reason})
}

// worker decodes blocks.
type worker struct {
	prepare func(*event.Event)
	max     int           // bytes a frame may unpack to
	frame   *zstd.Decoder // made when one is met
}

func (w *worker) close() {
	if w.frame != nil {
		w.frame.Close()
	}
}

func (w *worker) decode(b *block) {
	x := &b.batch
	x.Reset()
	for i := range b.units {
		u := &b.units[i]
		u.events[0], u.bad[0], x.Dialect, x.Other = len(x.Events), len(x.Bad), "", 0
		if u.err = w.unit(u, b, x); u.err != nil {
			x.Events, x.Bad = x.Events[:u.events[0]], x.Bad[:u.bad[0]]
		}
		u.events[1], u.bad[1], u.dialect, u.other = len(x.Events), len(x.Bad), x.Dialect, x.Other
	}
	if w.prepare != nil {
		for i := range x.Events {
			w.prepare(&x.Events[i])
		}
	}
}

func (w *worker) unit(u *unit, b *block, x *otlp.Batch) error {
	if u.kind == kindPacked {
		return w.packed(u, b.packed[u.from:u.to], x)
	}
	data := x.Text[u.from:u.to]
	switch u.kind {
	case kindProto:
		return otlp.DecodeProto(data, x)
	case kindFlat:
		return otlp.DecodeFlat(data, x)
	case kindCSV:
		return otlp.DecodeCSV(data, x)
	}
	return otlp.DecodeJSON(data, x)
}

func (w *worker) packed(u *unit, data []byte, x *otlp.Batch) error {
	if w.frame == nil {
		var err error
		if w.frame, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(w.max))); err != nil {
			return err
		}
	}
	// Where Text has to grow, views into the old one keep that alive.
	from := len(x.Text)
	text, err := w.frame.DecodeAll(data, x.Text)
	if err != nil {
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			u.reason = LostExpansion
		}
		return err
	}
	x.Text = text
	if text = text[from:]; looksJSON(text) {
		return otlp.DecodeJSON(text, x)
	}
	return otlp.DecodeProto(text, x)
}

// pipeline carries blocks from the reader over the workers to the deliverer.
type pipeline struct {
	ctx   context.Context
	jobs  chan *block // to be decoded, in any order
	order chan *block // to be delivered, in the order of the input
	free  chan *block
	cur   *block
	input int

	borrow bool
}

func newPipeline(ctx context.Context, o *Options, wg *sync.WaitGroup) *pipeline {
	n := o.Workers
	p := &pipeline{ctx: ctx, borrow: o.Borrow, jobs: make(chan *block, n), order: make(chan *block, 2*n), free: make(chan *block, 3*n+2)}
	for range n {
		wg.Add(1)
		w := &worker{max: o.MaxLine}
		if o.Prepare != nil {
			w.prepare = o.Prepare()
		}
		go func() {
			defer wg.Done()
			defer w.close()
			for b := range p.jobs {
				w.decode(b)
				b.done <- struct{}{}
			}
		}()
	}
	return p
}

// put adds a unit, whose bytes may be reused afterwards.
func (p *pipeline) put(data []byte, k kind, reason string) error {
	if p.cur == nil {
		select {
		case p.cur = <-p.free:
			p.cur.clear()
		default:
			p.cur = &block{done: make(chan struct{}, 1)}
			p.cur.batch.Borrow = p.borrow
		}
		p.cur.input = p.input
	}
	p.cur.add(data, k, reason)
	if p.cur.weight < blockBytes {
		return nil
	}
	return p.flush()
}

// flush sends the block begun on its way.
func (p *pipeline) flush() error {
	b := p.cur
	if b == nil {
		return nil
	}
	p.cur = nil
	select {
	case p.order <- b:
	case <-p.ctx.Done():
		return stop{p.ctx.Err()}
	}
	select {
	case p.jobs <- b:
	case <-p.ctx.Done():
		b.done <- struct{}{} // nobody decodes it, and nobody may wait for it
		return stop{p.ctx.Err()}
	}
	return nil
}

// recycle takes back a delivered block. One that grew far beyond its size is let
// go, so that a single huge line does not stay in memory.
func (p *pipeline) recycle(b *block) {
	if cap(b.batch.Text) > 16*blockBytes || cap(b.batch.Events) > 16*blockBytes/1024 {
		return
	}
	select {
	case p.free <- b:
	default:
	}
}
