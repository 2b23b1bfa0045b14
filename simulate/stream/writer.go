package stream

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"strings"

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

// Writer writes export requests, by default as OTLP JSON lines in one zstd
// stream. The bytes depend on the events, the profile, the form and how the
// events were divided into calls of Write, on nothing else. It is not safe for
// concurrent use.
type Writer struct {
	profile otlp.Profile
	proto   bool
	enc     io.WriteCloser
	hash    hash.Hash
	buf     []byte
	plain   int64
	events  int64
	packed  counter
	err     error
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
	s := &Writer{profile: p, proto: f.Proto, hash: sha256.New()}
	s.packed.w = w
	switch f.Pack {
	case "zstd":
		// One encoder thread and one level: the packed bytes are part of what a run
		// promises to repeat.
		s.enc, s.err = zstd.NewWriter(&s.packed, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	case "gzip":
		s.enc = gzip.NewWriter(&s.packed)
	case "":
		s.enc = flusher{bufio.NewWriterSize(&s.packed, 256<<10)}
	default:
		s.err = fmt.Errorf("compression %q is not known", f.Pack)
	}
	return s
}

type flusher struct{ *bufio.Writer }

func (f flusher) Close() error { return f.Flush() }

// Write writes the events as one export request, on one line or in one frame. No
// events write nothing.
func (w *Writer) Write(events []event.Event) error {
	if w.err != nil || len(events) == 0 {
		return w.err
	}
	if w.proto {
		w.buf = w.profile.AppendProto(append(w.buf[:0], 0, 0, 0, 0), events)
		binary.BigEndian.PutUint32(w.buf, uint32(len(w.buf)-4))
	} else {
		w.buf = append(w.profile.AppendJSON(w.buf[:0], events), '\n')
	}
	w.hash.Write(w.buf)
	w.plain += int64(len(w.buf))
	w.events += int64(len(events))
	_, w.err = w.enc.Write(w.buf)
	return w.err
}

// Close ends the stream. It does not close the underlying writer.
func (w *Writer) Close() error {
	if w.enc != nil {
		if err := w.enc.Close(); w.err == nil {
			w.err = err
		}
		w.enc = nil
	}
	return w.err
}

// Events is the number of events written.
func (w *Writer) Events() int64 { return w.events }

// PlainBytes is the number of bytes written before compression.
func (w *Writer) PlainBytes() int64 { return w.plain }

// PackedBytes is the number of compressed bytes; complete after Close.
func (w *Writer) PackedBytes() int64 { return w.packed.n }

// SHA256 is the hash of the bytes before compression, lower-case hex.
func (w *Writer) SHA256() string { return hex.EncodeToString(w.hash.Sum(nil)) }
