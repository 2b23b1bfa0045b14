package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
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
	mostKept   = 16 * blockBytes // of texts or packed events, to be used again
)

// kind is how a unit is read.
type kind uint8

const (
	kindJSON kind = iota
	kindProto
	kindFlat // JSON documents of other tools
	kindCSV
	kindPacked // a zstd frame of either OTLP form
	kindBlock  // a zstd frame of many whole requests, lines or frames, as our writer makes them
)

// unit is one request.
type unit struct {
	from, to int // in block.batch.Text, or in block.packed
	kind     kind
	reason   string // counted when it is unusable; "" when its loss is counted already
	err      error

	// What it gave, in block.batch.
	events, bad [2]int
	packed      [2]event.Cut // of events that are handed on packed
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

	products [event.OfficeAgents + 1]int64
}

func (b *block) clear() {
	b.batch.Text, b.packed, b.units, b.weight = b.batch.Text[:0], b.packed[:0], b.units[:0], 0
}

// add puts a unit into a block.
func (p *pipeline) add(b *block, data []byte, k kind, reason string) {
	to := &b.batch.Text
	b.weight += len(data)
	if k >= kindPacked {
		if to = &b.packed; b.packed == nil {
			select {
			case b.packed = <-p.frames:
			default:
			}
		}
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
	ratio   int64         // and how many times its size, beyond a megabyte
	frame   *zstd.Decoder // made when one is met
	units   []unit        // of the block unpacked last

	// own is what events are decoded to that are handed on packed: the few of one
	// request at a time, which then are in the cache.
	packed, narrow bool
	cuts           bool // those of one request can be told from others
	own            otlp.Batch
	text           []byte // what blocks are unpacked to whose events are handed on packed
	usual          [2]int // events of a block, and bytes when packed
	frames         chan<- []byte
}

func (w *worker) close() {
	if w.frame != nil {
		w.frame.Close()
	}
}

func (w *worker) decode(b *block) {
	x := &b.batch
	x.Reset()
	x.Packed.Reset()
	x.Packed.Narrow = w.narrow
	// Text is of no use any more when its events are packed: blocks that bring none
	// share that of their worker.
	shared := w.packed && len(x.Text) == 0
	if shared {
		x.Text, w.text = w.text[:0], x.Text
	}
	w.open(b)
	if b.packed != nil { // whoever reads on takes it
		if cap(b.packed) <= mostKept {
			select {
			case w.frames <- b.packed[:0]:
			default:
			}
		}
		b.packed = nil
	}
	x.Packed.Grow(w.usual[0], w.usual[1])
	b.products = [len(b.products)]int64{}
	if w.packed {
		x = &w.own
		x.Spent()
		x.Text = b.batch.Text
	}
	for i := range b.units {
		u := &b.units[i]
		u.events[0], u.bad[0], x.Dialect, x.Other = len(x.Events), len(x.Bad), "", 0
		if u.err = w.unit(u, b, x); u.err != nil {
			x.Events, x.Bad = x.Events[:u.events[0]], x.Bad[:u.bad[0]]
		}
		u.events[1], u.bad[1], u.dialect, u.other = len(x.Events), len(x.Bad), x.Dialect, x.Other
		for k := u.events[0]; k < len(x.Events); k++ {
			e := &x.Events[k]
			if w.prepare != nil {
				w.prepare(e)
			}
			b.products[e.Product]++
		}
		if w.packed {
			if w.cuts {
				u.packed[0] = b.batch.Packed.Cut()
			}
			b.batch.Packed.Add(x.Events)
			if w.cuts {
				u.packed[1] = b.batch.Packed.Cut()
			}
			x.Events = x.Events[:0]
		}
	}
	if w.packed {
		used, _ := b.batch.Packed.Size()
		n := b.batch.Packed.Len()
		w.usual = [2]int{n + n/32, used + used/32}
		b.batch.Bad, x.Bad, x.Text = x.Bad, b.batch.Bad, nil
	}
	if x = &b.batch; shared {
		if x.Text, w.text = w.text, x.Text; cap(w.text) > mostKept {
			w.text = nil
		}
	}
}

// open unpacks what is packed and puts the requests of a block in its place.
func (w *worker) open(b *block) {
	for i := 0; i < len(b.units); i++ {
		u := b.units[i]
		if u.kind < kindPacked {
			continue
		}
		from := len(b.batch.Text)
		text, err := w.unpack(b.packed[u.from:u.to], b.batch.Text)
		if err != nil {
			b.units[i].err = err
			if errors.Is(err, errExpansion) || errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
				b.units[i].reason = LostExpansion
			}
			continue
		}
		b.batch.Text = text
		part := text[from:]
		if u.kind == kindPacked {
			b.units[i].from, b.units[i].to, b.units[i].kind = from, len(text), kindProto
			if looksJSON(part) {
				b.units[i].kind = kindJSON
			}
			continue
		}
		w.units = requests(w.units[:0], part, from)
		b.units = slices.Replace(b.units, i, i+1, w.units...)
		i-- // they are looked at once more, and passed by
	}
}

// requests adds the requests in the text of a block, which stands at from.
func requests(units []unit, text []byte, from int) []unit {
	lines := looksJSON(text)
	for len(text) > 0 {
		u := unit{from: from, kind: kindJSON, reason: LostLine}
		n := len(text)
		switch {
		case lines:
			if i := bytes.IndexByte(text, '\n'); i >= 0 {
				n = i + 1
			}
		case len(text) < 4:
			u.reason = LostTail
		default:
			u.from, u.kind, u.reason = from+4, kindProto, LostFrame
			n = min(n, 4+int(binary.BigEndian.Uint32(text)))
		}
		u.to = from + n
		units, text, from = append(units, u), text[n:], from+n
	}
	return units
}

// unpack appends what a frame holds to text. Where that has to grow, views into
// the old one keep it alive.
func (w *worker) unpack(frame, text []byte) ([]byte, error) {
	if w.frame == nil {
		var err error
		if w.frame, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(w.max))); err != nil {
			return nil, err
		}
	}
	out, err := w.frame.DecodeAll(frame, text)
	if n := int64(len(out) - len(text)); err == nil && n > 1<<20 && n/w.ratio > int64(len(frame)) {
		err = errExpansion
	}
	return out, err
}

func (w *worker) unit(u *unit, b *block, x *otlp.Batch) error {
	if u.err != nil { // could not be unpacked
		return u.err
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

// pipeline carries blocks from the reader over the workers to the deliverer.
type pipeline struct {
	ctx   context.Context
	jobs  chan *block // to be decoded, in any order
	order chan *block // to be delivered, in the order of the input
	free  chan *block
	cur   *block
	input int

	frames chan []byte // memory of frames that were unpacked

	borrow bool
}

func newPipeline(ctx context.Context, o *Options, packed bool, wg *sync.WaitGroup) *pipeline {
	n := o.Workers
	ahead := max(2*n, 8) // also for few workers: a processor that has to wait for each block sleeps as long again
	p := &pipeline{ctx: ctx, borrow: o.Borrow, jobs: make(chan *block, ahead/2), order: make(chan *block, ahead), free: make(chan *block, ahead*3/2+2), frames: make(chan []byte, ahead/2+n)}
	for range n {
		wg.Add(1)
		w := &worker{max: o.MaxLine, ratio: o.MaxRatio, packed: packed, narrow: o.Narrow, cuts: o.cuts, frames: p.frames}
		w.own.Borrow = o.Borrow
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
	p.add(p.begin(), data, k, reason)
	return p.full()
}

// begin is the block at hand.
func (p *pipeline) begin() *block {
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
	return p.cur
}

// full sends the block on its way when it holds enough.
func (p *pipeline) full() error {
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
	if _, room := b.batch.Packed.Size(); cap(b.batch.Text) > mostKept || cap(b.batch.Events) > mostKept/1024 || room > mostKept {
		return
	}
	select {
	case p.free <- b:
	default:
	}
}
