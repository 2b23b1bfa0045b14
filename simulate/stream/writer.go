package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Writer writes export requests as OTLP JSON lines in one zstd stream. The bytes
// depend on the events, the profile and how they were divided into calls of
// Write, on nothing else. It is not safe for concurrent use.
type Writer struct {
	profile otlp.Profile
	enc     *zstd.Encoder
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

// NewWriter returns a writer on w. Errors show at Write and Close.
func NewWriter(w io.Writer, p otlp.Profile) *Writer {
	s := &Writer{profile: p, hash: sha256.New()}
	s.packed.w = w
	// One encoder thread and one level: the packed bytes are part of what a run
	// promises to repeat.
	s.enc, s.err = zstd.NewWriter(&s.packed, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	return s
}

// Write writes the events as one export request on one line. No events write
// nothing.
func (w *Writer) Write(events []event.Event) error {
	if w.err != nil || len(events) == 0 {
		return w.err
	}
	w.buf = append(w.profile.AppendJSON(w.buf[:0], events), '\n')
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
