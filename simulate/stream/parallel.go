package stream

import (
	"context"
	"sync"

	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Reading splits an input into units, each a request on a line or in a frame.
// Units are decoded by workers, a block of them at a time, and delivered in the
// order in which they were read, so that the number of workers changes nothing
// but the time it takes.

// blockBytes is how much a worker takes at once: enough that handing over costs
// nothing, little enough that memory stays flat.
const blockBytes = 128 << 10

// kind is how a unit is read.
type kind uint8

const (
	kindJSON kind = iota
	kindProto
	kindFlat // JSON documents of other tools
	kindCSV
)

// unit is one request.
type unit struct {
	from, to int // in block.data
	kind     kind
	reason   string // counted when it is unusable; "" when its loss is counted already
	batch    otlp.Batch
	err      error
}

// block is some units of one input on their way.
type block struct {
	input int
	data  []byte
	units []*unit // by pointer: a batch that was used must not be copied when the block grows
	n     int     // units in use; the others keep their memory
	done  chan struct{}
}

func (b *block) add(data []byte, k kind, reason string) {
	if b.n == len(b.units) {
		b.units = append(b.units, new(unit))
	}
	u := b.units[b.n]
	b.n++
	u.from, u.kind, u.reason, u.err = len(b.data), k, reason, nil
	b.data = append(b.data, data...)
	u.to = len(b.data)
}

func (b *block) decode() {
	for i := range b.units[:b.n] {
		u := b.units[i]
		u.batch.Reset()
		data := b.data[u.from:u.to]
		switch u.kind {
		case kindProto:
			u.err = otlp.DecodeProto(data, &u.batch)
		case kindFlat:
			u.err = otlp.DecodeFlat(data, &u.batch)
		case kindCSV:
			u.err = otlp.DecodeCSV(data, &u.batch)
		default:
			u.err = otlp.DecodeJSON(data, &u.batch)
		}
	}
}

// pipeline carries blocks from the reader over the workers to the deliverer.
type pipeline struct {
	ctx   context.Context
	jobs  chan *block // to be decoded, in any order
	order chan *block // to be delivered, in the order of the input
	free  chan *block
	cur   *block
	input int
}

func newPipeline(ctx context.Context, workers int, wg *sync.WaitGroup) *pipeline {
	p := &pipeline{ctx: ctx, jobs: make(chan *block, workers), order: make(chan *block, 2*workers), free: make(chan *block, 3*workers+2)}
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for b := range p.jobs {
				b.decode()
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
			p.cur.data, p.cur.n = p.cur.data[:0], 0
		default:
			p.cur = &block{done: make(chan struct{}, 1)}
		}
		p.cur.input = p.input
	}
	p.cur.add(data, k, reason)
	if len(p.cur.data) < blockBytes {
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
	if cap(b.data) > 16*blockBytes {
		return
	}
	select {
	case p.free <- b:
	default:
	}
}
