package stream

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Form is how a Writer writes requests. The zero value is OTLP JSON lines,
// uncompressed.
type Form struct {
	Proto bool   // protobuf requests, each behind its length (four bytes, big-endian), as the collector's file exporter writes
	Pack  string // "", "gzip" or "zstd"
	// Unhashed leaves SHA256 empty, for whoever does not ask for it.
	Unhashed bool
}

// FormOf reads the form from a file's name: .jsonl, .ndjson or .json, or .pb or
// .bin, then perhaps .gz or .zst.
func FormOf(name string) (Form, error) {
	var f Form
	base := strings.ToLower(filepath.Base(name))
	switch {
	case strings.HasSuffix(base, ".zst"):
		f.Pack, base = "zstd", strings.TrimSuffix(base, ".zst")
	case strings.HasSuffix(base, ".gz"):
		f.Pack, base = "gzip", strings.TrimSuffix(base, ".gz")
	}
	switch filepath.Ext(base) {
	case ".pb", ".bin":
		f.Proto = true
	case ".jsonl", ".ndjson", ".json":
	default:
		return f, fmt.Errorf("%s: the name must end in .jsonl or .pb, then perhaps .gz or .zst, so that others know what is in it", name)
	}
	return f, nil
}

// A block holds about so much before it is packed. What a record takes is guessed
// from its texts, as blocks are cut before they are written. Where a block leaves
// no trace in the bytes it is smaller, so that its events stay near the processors
// that hand them on.
const (
	blockPacked = 512 << 10
	blockPlain  = 96 << 10
	recordJSON  = 1800
	recordProto = 900
)

// A zstd stream of ours is one skippable frame that says so, and then blocks of
// whole requests, each a frame of its own behind a skippable frame with its
// length. Any zstd reads it as one stream; a reader that knows opens the blocks
// side by side.
var (
	ownMark   = []byte("\x5a\x2a\x4d\x18\x12\x00\x00\x00sandtable requests")
	blockMark = []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00") // then the length, little-endian
)

// Writer writes export requests, by default as OTLP JSON lines in one zstd
// stream. The bytes depend on the events, the profile, the form and how the
// events were divided into calls of Write, on nothing else; requests are encoded
// and packed beside the caller. It is not safe for concurrent use.
type Writer struct {
	profile otlp.Profile
	form    Form
	cur     *packing
	most    int // a block holds
	plain   atomic.Int64
	events  int64
	err     error // of the form; others are in failed

	order, jobs, free chan *packing
	done              chan struct{}
	failed            atomic.Pointer[error]
	hash              hash.Hash
	packed            counter
}

// packing is a block of requests on its way.
type packing struct {
	events        []event.Event
	ends          []int // of the requests, in events
	size          int   // a guess
	plain, packed []byte
	ready         chan struct{}
}

// encode writes the requests. Their events stay until others take their place,
// which is soon.
func (b *packing) encode(x *otlp.Encoder, proto bool) {
	b.plain = b.plain[:0]
	at := 0
	for _, end := range b.ends {
		es := b.events[at:end]
		at = end
		if proto {
			from := len(b.plain)
			b.plain = x.AppendProto(append(b.plain, 0, 0, 0, 0), es)
			binary.BigEndian.PutUint32(b.plain[from:], uint32(len(b.plain)-from-4))
		} else {
			b.plain = append(x.AppendJSON(b.plain, es), '\n')
		}
	}
	b.events, b.ends, b.size = b.events[:0], b.ends[:0], 0
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// NewWriter returns a writer of zstd JSON lines on w. Errors show at Write and
// Close.
func NewWriter(w io.Writer, p otlp.Profile) *Writer { return NewFormWriter(w, p, Form{Pack: "zstd"}) }

// NewFormWriter is NewWriter for any form.
func NewFormWriter(w io.Writer, p otlp.Profile, f Form) *Writer {
	ahead, most := 3, blockPacked // blocks on their way, and what one holds
	if f.Pack != "zstd" {
		ahead, most = 8, blockPlain
	}
	s := &Writer{profile: p, form: f, most: most, hash: sha256.New(), packed: counter{w: w}, done: make(chan struct{}),
		order: make(chan *packing, ahead), jobs: make(chan *packing, ahead), free: make(chan *packing, ahead+5)}
	var through io.WriteCloser
	switch f.Pack {
	case "zstd":
	case "gzip":
		through = gzip.NewWriter(&s.packed)
	case "":
		through = nopClose{&s.packed}
	default:
		s.err, s.order = fmt.Errorf("compression %q is not known", f.Pack), nil
		return s
	}
	for range min(runtime.GOMAXPROCS(0), 4) {
		var enc *zstd.Encoder
		if f.Pack == "zstd" {
			// One encoder thread and one level: the packed bytes are part of what a run
			// promises to repeat.
			var err error
			enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
			if err != nil {
				s.err, s.order = err, nil
				return s
			}
		}
		go s.work(enc)
	}
	written := make(chan *packing, 1)
	go func() {
		defer close(s.done)
		for b := range written { // beside the writing, for either takes its time
			if !f.Unhashed {
				s.hash.Write(b.plain)
			}
			select {
			case s.free <- b:
			default:
			}
		}
	}()
	go func() {
		defer close(written)
		if through == nil {
			s.put(&s.packed, ownMark)
		}
		for b := range s.order {
			<-b.ready
			s.plain.Add(int64(len(b.plain)))
			if through != nil {
				s.put(through, b.plain)
			} else {
				s.put(&s.packed, b.packed)
			}
			written <- b
		}
		if through != nil {
			if err := through.Close(); err != nil {
				s.fail(err)
			}
		}
	}()
	return s
}

// work encodes and packs blocks, as many workers as there are at a time.
func (w *Writer) work(enc *zstd.Encoder) {
	x := otlp.NewEncoder(w.profile)
	for b := range w.jobs {
		b.encode(x, w.form.Proto)
		if enc != nil {
			b.packed = append(b.packed[:0], blockMark...)
			b.packed = append(b.packed, 0, 0, 0, 0)
			b.packed = enc.EncodeAll(b.plain, b.packed)
			binary.LittleEndian.PutUint32(b.packed[len(blockMark):], uint32(len(b.packed)-len(blockMark)-4))
		}
		b.ready <- struct{}{}
	}
	if enc != nil {
		enc.Close()
	}
}

type nopClose struct{ io.Writer }

func (nopClose) Close() error { return nil }

// fail keeps the first error.
func (w *Writer) fail(err error) { w.failed.CompareAndSwap(nil, &err) }

func (w *Writer) put(to io.Writer, p []byte) {
	if w.failed.Load() == nil {
		if _, err := to.Write(p); err != nil {
			w.fail(err)
		}
	}
}

// state is the first error so far.
func (w *Writer) state() error {
	if w.err == nil {
		if err := w.failed.Load(); err != nil {
			w.err = *err
		}
	}
	return w.err
}

// Write writes the events as one export request, on one line or in one frame. No
// events write nothing. The slice may be used again afterwards; what its events
// refer to must stay as it is until Close. An error of the underlying writer may
// show at a later call, at the latest at Close.
func (w *Writer) Write(events []event.Event) error {
	if err := w.state(); err != nil || len(events) == 0 {
		return err
	}
	each := recordJSON
	if w.form.Proto {
		each = recordProto
	}
	if w.cur == nil {
		select {
		case w.cur = <-w.free:
		default:
			w.cur = &packing{ready: make(chan struct{}, 1)}
			if w.events > 0 { // a short stream stays small
				w.cur.events, w.cur.plain = make([]event.Event, 0, w.most/each+64), make([]byte, 0, w.most*3/2)
			}
		}
	}
	b := w.cur
	b.events = append(b.events, events...)
	b.ends = append(b.ends, len(b.events))
	b.size += each * len(events)
	for i := range events {
		e := &events[i]
		b.size += len(e.PromptText) + len(e.ResponseText) + len(e.Input) + len(e.Body)
	}
	w.events += int64(len(events))
	if b.size >= w.most {
		w.flush()
	}
	return nil
}

func (w *Writer) flush() {
	b := w.cur
	w.cur = nil
	w.order <- b
	w.jobs <- b
}

// Close ends the stream. It does not close the underlying writer. It may be
// called again.
func (w *Writer) Close() error {
	if w.order != nil {
		if w.cur != nil {
			w.flush()
		}
		close(w.order)
		close(w.jobs)
		<-w.done
		w.order = nil
	}
	return w.state()
}

// Events is the number of events written.
func (w *Writer) Events() int64 { return w.events }

// PlainBytes is the number of bytes written before compression; complete after
// Close.
func (w *Writer) PlainBytes() int64 { return w.plain.Load() }

// PackedBytes is the number of compressed bytes; complete after Close.
func (w *Writer) PackedBytes() int64 { return w.packed.n }

// SHA256 is the hash of the bytes before compression, lower-case hex; complete
// after Close, and "" of a writer that does not hash.
func (w *Writer) SHA256() string {
	if w.form.Unhashed {
		return ""
	}
	return hex.EncodeToString(w.hash.Sum(nil))
}
