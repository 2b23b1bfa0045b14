// Package stream reads record streams from files, folders and standard input,
// and writes them. Memory stays flat whatever the length of the input; what is
// lost on the way is counted and named, never passed over.
package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Reasons under which input is lost.
const (
	LostLine      = "line is not usable JSON"
	LostLong      = "line over the length limit"
	LostTail      = "cut at the end"
	LostFrame     = "frame is not usable"
	LostFrames    = "broken framing; the rest is not read"
	LostCorrupt   = "damaged compression; the rest is not read"
	LostExpansion = "decompression limit; the rest is not read"
	LostFormat    = "not a known format"
)

// Options bounds the reading. The zero value means the defaults.
type Options struct {
	Stdin       io.Reader // what "-" reads; os.Stdin
	Workers     int       // that decode; below 1: one per processor. They change the time only
	Format      string    // one of Formats; empty: recognised by the first bytes
	MaxLine     int       // bytes of one line, frame or pretty-printed document; 64 MiB
	MaxExpanded int64     // bytes one input may unpack to; 1 TiB
	MaxRatio    int64     // bytes unpacked per byte read, once 64 MiB are unpacked; 2000

	// Borrow is otlp.Batch.Borrow: events are then valid only until their batch's
	// memory is used again.
	Borrow bool
	// Packed has EachBlock hand events on in Batch.Packed, as those who decode them
	// pack them. It goes with Borrow, and Each does not know it.
	Packed bool
	// Narrow is event.Pack.Narrow of what is packed.
	Narrow bool
	// Unhashed leaves Input.SHA256 empty, which is for a reader whose answer is no
	// evidence: hashing costs as much as decoding.
	Unhashed bool
	// Prepare is called once for each worker; what it gives is called for each event
	// that the worker decoded.
	Prepare func() func(*event.Event)

	cuts bool // what is packed is taken apart again, by requests
}

func (o *Options) defaults() {
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Workers < 1 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxLine <= 0 {
		o.MaxLine = 64 << 20
	}
	if o.MaxExpanded <= 0 {
		o.MaxExpanded = 1 << 40
	}
	if o.MaxRatio <= 0 {
		o.MaxRatio = 2000
	}
}

// Formats are the names Options.Format takes.
func Formats() []string { return append(append([]string{"otlp"}, otlp.Dialects...), "csv") }

// Source is an ordered list of inputs.
type Source struct {
	opts   Options
	names  []string
	report []Input
	used   bool // standard input was read
}

// Input is what became of one input.
type Input struct {
	Name     string
	Format   string // e.g. "json lines", "zstd, protobuf frames"
	SHA256   string // of the raw bytes, lower-case hex; "" with Options.Unhashed
	Size     int64  // raw bytes
	Requests int64  // requests read, of any signal
	Records  int64  // records decoded to events
	Bad      int64  // records that gave no event
	Salvaged int64  // records, requests or resources that lost a part
	Other    int64  // requests of another signal
	Products [event.OfficeAgents + 1]int64
	Lost     []Loss // by first occurrence
	Reasons  []Loss // why records were bad or salvaged, at most 64 kinds

	dialect string // form of other tools' documents
}

// Loss counts what was lost for one reason. Bytes is of unpacked data, as far as
// it was read.
type Loss struct {
	Reason string
	Count  int64
	Bytes  int64
}

func (in *Input) lose(reason string, n int64) { in.Lost = count(in.Lost, reason, n) }

func count(ls []Loss, reason string, n int64) []Loss {
	for i := range ls {
		if ls[i].Reason == reason {
			ls[i].Count++
			ls[i].Bytes += n
			return ls
		}
	}
	if len(ls) >= 64 {
		return ls
	}
	return append(ls, Loss{Reason: reason, Count: 1, Bytes: n})
}

const mark = "\xef\xbb\xbf" // a byte order mark

var suffixes = []string{".json", ".jsonl", ".ndjson", ".pb", ".bin", ".zst", ".gz"}

// Open resolves the paths: a file, a folder (its record files, sorted by name),
// a glob, or "-" for standard input, which may stand once. A path that matches
// nothing is an error. No file is read yet.
func Open(paths []string, opts Options) (*Source, error) {
	opts.defaults()
	s := &Source{opts: opts}
	for _, p := range paths {
		names, err := resolve(p)
		if err != nil {
			return nil, err
		}
		s.names = append(s.names, names...)
	}
	if len(s.names) == 0 {
		return nil, errors.New("no input given")
	}
	stdin := 0
	for _, n := range s.names {
		if n == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		return nil, errors.New("standard input given twice")
	}
	return s, nil
}

// LeftOut names the files of a folder that are not read as records, by their
// names alone.
func LeftOut(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if !slices.ContainsFunc(suffixes, func(suf string) bool { return !e.IsDir() && strings.HasSuffix(name, suf) }) {
			out = append(out, e.Name())
		}
	}
	return out
}

func resolve(p string) ([]string, error) {
	if p == "-" {
		return []string{p}, nil
	}
	st, err := os.Stat(p)
	switch {
	case err == nil && st.IsDir():
		entries, err := os.ReadDir(p) // sorted by name
		if err != nil {
			return nil, err
		}
		var names []string
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			for _, suf := range suffixes {
				if strings.HasSuffix(strings.ToLower(e.Name()), suf) {
					names = append(names, filepath.Join(p, e.Name()))
					break
				}
			}
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%s: no record files in this folder", p)
		}
		return names, nil
	case err == nil:
		return []string{p}, nil
	case !strings.ContainsAny(p, "*?["):
		return nil, err
	}
	names, err := filepath.Glob(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	var files []string
	for _, n := range names {
		if st, err := os.Stat(n); err == nil && !st.IsDir() {
			files = append(files, n)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no file matches", p)
	}
	sort.Strings(files)
	return files, nil
}

// Inputs lists the resolved inputs in reading order.
func (s *Source) Inputs() []string { return append([]string(nil), s.names...) }

// Report tells of the inputs read by the last Each, in order.
func (s *Source) Report() []Input { return append([]Input(nil), s.report...) }

// Each calls fn for every request that gave events or bad records, in the order of
// the input; of up to MostMerged inputs always the earliest request next, of more
// one input after the other; with Event.Index counting decoded events over all inputs from 0. The
// batch is valid during the call only. Damage in the input is reported, not an
// error; Each fails when an input cannot be read, ctx ends or fn fails.
//
// Each may be called again, which reads the files again, but not standard input.
func (s *Source) Each(ctx context.Context, fn func(b *otlp.Batch) error) error {
	if s.sideBySide() {
		return s.merged(ctx, fn)
	}
	return s.blocks(ctx, false, func(b *block) error {
		for i := range b.units {
			u := &b.units[i]
			one := otlp.Batch{Events: b.batch.Events[u.events[0]:u.events[1]:u.events[1]], Bad: b.batch.Bad[u.bad[0]:u.bad[1]:u.bad[1]],
				Dialect: u.dialect, Other: u.other}
			one.Records = len(one.Events)
			if len(one.Events) == 0 && len(one.Bad) == 0 {
				continue
			}
			if err := fn(&one); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachBlock is Each for whoever does not care which request an event came with:
// fn is called for the events of many requests at a time. It may keep Events, Text
// and Packed of the batch by putting other memory in their place, which is used again.
func (s *Source) EachBlock(ctx context.Context, fn func(b *otlp.Batch) error) error {
	if s.sideBySide() && s.opts.Packed {
		return s.mergedPacked(ctx, fn)
	}
	if s.sideBySide() {
		return s.merged(ctx, func(b *otlp.Batch) error {
			if len(b.Events) == 0 {
				return nil
			}
			return fn(b)
		})
	}
	return s.blocks(ctx, s.opts.Packed, func(b *block) error {
		if len(b.batch.Events)+b.batch.Packed.Len() == 0 {
			return nil
		}
		return fn(&b.batch)
	})
}

// Again is EachBlock once more, of the same bytes and without their hash; it fails
// when an input has changed. Report stays that of the first reading. It is nil where
// an input can be read only once: standard input, a pipe.
func (s *Source) Again() func(ctx context.Context, fn func(b *otlp.Batch) error) error {
	for _, name := range s.names {
		if st, err := os.Stat(name); name == "-" || err != nil || !st.Mode().IsRegular() {
			return nil
		}
	}
	return func(ctx context.Context, fn func(b *otlp.Batch) error) error {
		again := &Source{opts: s.opts, names: s.names}
		again.opts.Unhashed = true
		if err := again.EachBlock(ctx, fn); err != nil {
			return err
		}
		for i := range again.report {
			if now, was := &again.report[i], &s.report[i]; now.Size != was.Size || now.Records != was.Records {
				return fmt.Errorf("%s: changed while it was read, which takes more than once as its records are not in order of time\n  read a copy that nobody writes to", now.Name)
			}
		}
		return nil
	}
}

func (s *Source) blocks(ctx context.Context, packed bool, fn func(b *block) error) error {
	s.report = s.report[:0:0]
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	r := &reading{ctx: ctx, opts: s.opts, pipe: newPipeline(ctx, &s.opts, packed, &wg)}
	var failed error
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(r.pipe.jobs)
		defer close(r.pipe.order)
		failed = s.read(r)
	}()
	d := delivery{fn: fn}
	var err error
	for b := range r.pipe.order {
		<-b.done
		if err == nil && ctx.Err() == nil {
			if err = d.block(b); err != nil {
				cancel() // the reader stops at its next unit
			}
		}
		r.pipe.recycle(b)
	}
	for i := range d.got {
		s.report[i].add(&d.got[i])
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s.report[len(d.got)-1].Name, err)
	case failed != nil:
		return failed
	}
	return ctx.Err()
}

// read reads the inputs one after the other.
func (s *Source) read(r *reading) error {
	for i, name := range s.names {
		if name == "-" && s.used {
			return errors.New("standard input can be read only once")
		}
		s.report = append(s.report, Input{Name: name})
		r.in, r.pipe.input = &s.report[i], i
		f := io.Reader(s.opts.Stdin)
		var closer io.Closer
		if name == "-" {
			s.used = true
		} else {
			file, err := os.Open(name)
			if err != nil {
				return err
			}
			f, closer = file, file
		}
		err := r.input(f)
		if closer != nil {
			closer.Close()
		}
		if err == nil {
			err = r.pipe.flush()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// delivery hands decoded blocks on and counts their units by input.
type delivery struct {
	fn    func(b *block) error
	got   []Input
	index int64
}

func (d *delivery) block(b *block) error {
	for len(d.got) <= b.input {
		d.got = append(d.got, Input{})
	}
	in := &d.got[b.input]
	for i := range b.units {
		u := &b.units[i]
		if u.err != nil {
			if u.reason != "" {
				in.lose(u.reason, int64(u.to-u.from))
			}
			continue
		}
		in.Requests++
		if u.dialect != "" && (u.dialect != "flat" || in.dialect == "") {
			in.dialect = u.dialect
		}
		in.Other += int64(u.other)
	}
	for k := range b.batch.Bad {
		if x := &b.batch.Bad[k]; x.Salvaged || x.Index < 0 {
			in.Salvaged++
		} else {
			in.Bad++
		}
		in.Reasons = count(in.Reasons, b.batch.Bad[k].Reason, 0)
	}
	in.Records += int64(len(b.batch.Events) + b.batch.Packed.Len())
	for k := range b.batch.Events {
		b.batch.Events[k].Index = d.index
		d.index++
	}
	for k := range b.batch.Packed.Heads {
		b.batch.Packed.Heads[k].Index = d.index
		d.index++
	}
	for k, n := range b.products {
		in.Products[k] += n
	}
	return d.fn(b)
}

// add joins what the delivery counted to what the reader counted.
func (in *Input) add(got *Input) {
	if got.dialect != "" && in.Format != "csv" {
		in.Format += " of " + got.dialect
	}
	in.Requests, in.Records, in.Bad, in.Salvaged, in.Other, in.Products, in.Reasons = got.Requests, got.Records, got.Bad, got.Salvaged, got.Other, got.Products, got.Reasons
	for _, l := range got.Lost {
		for range l.Count - 1 {
			in.lose(l.Reason, 0)
		}
		in.lose(l.Reason, l.Bytes)
	}
}

// reading is the state of one Each.
type reading struct {
	ctx  context.Context
	opts Options
	in   *Input
	pipe *pipeline
	buf  []byte
}

// raw counts and hashes what is read from the input itself, and tells the
// input's own failures from those of the layers above.
type raw struct {
	r   io.Reader
	h   hash.Hash // nil: not asked for
	n   int64
	err error
}

func (t *raw) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.h != nil {
		t.h.Write(p[:n])
	}
	t.n += int64(n)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

var (
	errExpansion = errors.New(LostExpansion)
	zstdMagic    = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// bound stops a decompressor that gives far more than it takes.
type bound struct {
	r    io.Reader
	src  *raw
	opts *Options
	n    int64
}

func (b *bound) Read(p []byte) (int, error) {
	if b.n > b.opts.MaxExpanded || b.n > 64<<20 && b.n/b.opts.MaxRatio > b.src.n {
		return 0, errExpansion
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	return n, err
}

// input reads one input through its layers of compression.
func (r *reading) input(f io.Reader) error {
	src := &raw{r: f}
	if !r.opts.Unhashed {
		src.h = sha256.New()
	}
	under := io.Reader(src)
	br := bufio.NewReaderSize(under, 256<<10)
	var layers []string
	if head, _ := br.Peek(len(ownMark)); bytes.Equal(head, ownMark) && (r.opts.Format == "" || r.opts.Format == "otlp") {
		br.Discard(len(ownMark))
		format, err := r.blocks(br)
		return r.ended(src, "zstd, "+format, err)
	}
	for len(layers) < 2 {
		head, _ := br.Peek(4)
		if bytes.Equal(head, zstdMagic) || len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], ownMark[1:4]) { // or a frame to be skipped

			zr, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
			if err != nil {
				return err
			}
			defer zr.Close()
			layers = append(layers, "zstd")
			under = &bound{r: zr, src: src, opts: &r.opts}
			br = bufio.NewReaderSize(under, 256<<10)
			continue
		}
		if len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b {
			zr, err := gzip.NewReader(br)
			if err != nil {
				break // a file cut within its header is of no known format
			}
			layers = append(layers, "gzip")
			under = &bound{r: zr, src: src, opts: &r.opts}
			br = bufio.NewReaderSize(under, 256<<10)
			continue
		}
		break
	}
	format, err := r.content(br, under)
	return r.ended(src, strings.Join(append(layers, format), ", "), err)
}

// ended completes what is known of an input.
func (r *reading) ended(src *raw, format string, err error) error {
	r.in.Format = format
	if err != nil {
		switch {
		case src.err != nil:
			return src.err
		case errors.Is(err, errStop):
			return errors.Unwrap(err)
		case errors.Is(err, errExpansion):
			r.in.lose(LostExpansion, 0)
		case errors.Is(err, io.ErrUnexpectedEOF):
			r.in.lose(LostTail, 0)
		default:
			r.in.lose(LostCorrupt, 0)
		}
	}
	// The hash covers the whole file, also the part that was not decoded.
	if _, err := io.Copy(io.Discard, src); err != nil {
		return err
	}
	if r.in.Size = src.n; src.h != nil {
		r.in.SHA256 = hex.EncodeToString(src.h.Sum(nil))
	}
	return nil
}

// blocks reads what our writer packed: blocks of whole requests, each behind its
// length, to be unpacked by the workers.
func (r *reading) blocks(br *bufio.Reader) (format string, err error) {
	format = "empty"
	for {
		head, err := br.Peek(len(blockMark) + 4)
		if len(head) == 0 && err == io.EOF {
			return format, nil
		}
		if err != nil {
			if err == io.EOF {
				r.in.lose(LostTail, int64(len(head)))
				err = nil
			}
			return format, err
		}
		size := int64(binary.LittleEndian.Uint32(head[len(blockMark):]))
		if !bytes.HasPrefix(head, blockMark) || size > int64(r.opts.MaxLine) {
			n, err := io.Copy(io.Discard, br)
			r.in.lose(LostCorrupt, n)
			return format, err
		}
		br.Discard(len(head))
		if ok, err := r.read(br, size); err != nil || !ok {
			return format, err
		}
		if format == "empty" {
			format = formOf(r.buf)
		}
		if err := r.ctx.Err(); err != nil {
			return format, stop{err}
		}
		if err := r.pipe.put(r.buf, kindBlock, LostFrame); err != nil {
			return format, err
		}
	}
}

// formOf looks into a packed block.
func formOf(frame []byte) string {
	head := make([]byte, 64)
	d, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return "unknown"
	}
	defer d.Close()
	switch n, _ := io.ReadFull(d, head); {
	case n == 0:
		return "unknown"
	case looksJSON(head[:n]):
		return "json lines"
	}
	return "frames"
}

// stop wraps what ends Each: the caller's error or the context's.
type stop struct{ err error }

var errStop = errors.New("stop")

func (s stop) Error() string        { return s.err.Error() }
func (s stop) Unwrap() error        { return s.err }
func (s stop) Is(target error) bool { return target == errStop }

// content recognises the form by its first bytes and reads it; br reads ahead of
// what is under it. A returned error
// comes from a layer below or is a stop.
func (r *reading) content(br *bufio.Reader, under io.Reader) (string, error) {
	if r.opts.Format == "csv" {
		return "csv", r.csv(br)
	}
	head, err := br.Peek(4 << 10)
	if len(head) == 0 {
		if err == io.EOF {
			err = nil
		}
		return "empty", err
	}
	if bytes.HasPrefix(head, []byte(mark)) {
		br.Discard(len(mark))
		head = head[len(mark):]
		if len(head) == 0 {
			return "empty", nil
		}
	}
	if looksJSON(head) {
		return r.json(br, under)
	}
	switch {
	case head[0] == 0x0a:
		return "protobuf", r.protobuf(br)
	case len(head) >= 4 && int64(binary.BigEndian.Uint32(head)) <= int64(r.opts.MaxLine) && (len(head) == 4 || framed(head[4:])):
		return "frames", r.frames(rest(br, under))
	}
	if first, _, _ := bytes.Cut(head, []byte("\n")); otlp.IsCSV(string(first)) {
		return "csv", r.csv(br)
	}
	// Perhaps lines behind a damaged first one.
	if head[0] >= 0x20 || bytes.ContainsAny(head[:1], "\t\r") {
		return "json lines", r.lines(rest(br, under))
	}
	n, err := io.Copy(io.Discard, br)
	r.in.lose(LostFormat, n)
	return "unknown", err
}

// rest is what br still has to give. What is not in it yet is read to where it is
// decoded; br is of no use afterwards.
func rest(br *bufio.Reader, under io.Reader) io.Reader {
	begun, _ := br.Peek(br.Buffered())
	return io.MultiReader(bytes.NewReader(begun), under)
}

func looksJSON(head []byte) bool {
	t := bytes.TrimLeft(head, " \t\r\n")
	if len(t) == 0 {
		return true
	}
	if t[0] == '[' {
		return len(t) == len(head) || head[0] != 0x0a || jsonNext(t[1:])
	}
	// A protobuf request may begin with the bytes of a line feed and a brace;
	// what follows the brace tells them apart.
	return t[0] == '{' && (head[0] != 0x0a || jsonNext(t[1:]))
}

func jsonNext(t []byte) bool {
	t = bytes.TrimLeft(t, " \t\r\n")
	return len(t) == 0 || strings.IndexByte("\"}{[]", t[0]) >= 0
}

// framed reports that a frame's content begins like one.
func framed(p []byte) bool {
	return p[0] == 0x0a || p[0] == '{' || bytes.HasPrefix(p, zstdMagic[:min(len(p), 4)])
}

// json reads JSON lines, or one document written over several lines. The first
// line decides: the beginning of a value that does not end there means the
// latter, as long as the whole then is a value.
func (r *reading) json(br *bufio.Reader, under io.Reader) (string, error) {
	first, whole, err := r.line(br)
	if err != nil && err != io.EOF {
		return "json lines", r.tail(first, err)
	}
	for err == nil && len(bytes.TrimSpace(first)) == 0 && whole {
		if first, whole, err = r.line(br); err != nil && err != io.EOF {
			return "json lines", r.tail(first, err)
		}
	}
	if !whole || err == io.EOF || !unfinished(first) {
		if lerr := r.oneLine(first, whole, err == io.EOF); lerr != nil || err == io.EOF {
			return "json lines", lerr
		}
		return "json lines", r.lines(rest(br, under))
	}
	doc := append([]byte(nil), first...)
	more, err := io.ReadAll(io.LimitReader(br, int64(r.opts.MaxLine)-int64(len(doc))))
	doc = append(doc, more...)
	if len(doc) < r.opts.MaxLine && !lineBroken(doc) {
		reason := LostLine
		if !json.Valid(doc) && unfinished(doc) {
			r.in.lose(LostTail, int64(len(doc)))
			reason = ""
		}
		if derr := r.decode(doc, false, reason); derr != nil {
			return "json document", derr
		}
		return "json document", err
	}
	// Not one document: the first line was damaged, the others count for themselves.
	if lerr := r.lines(io.MultiReader(bytes.NewReader(doc), br)); lerr != nil {
		return "json lines", lerr
	}
	return "json lines", err
}

// unfinished reports that line is the beginning of a JSON value.
func unfinished(line []byte) bool {
	d := json.NewDecoder(bytes.NewReader(line))
	var v json.RawMessage
	return errors.Is(d.Decode(&v), io.ErrUnexpectedEOF)
}

// lineBroken reports that a text is not JSON up to its end. A text that merely
// stops early is a cut document, not a broken one.
func lineBroken(doc []byte) bool {
	d := json.NewDecoder(bytes.NewReader(doc))
	for {
		var v json.RawMessage
		switch err := d.Decode(&v); {
		case err == nil:
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return false
		default:
			return true
		}
	}
}

// line reads up to the next line feed into r.buf. whole is false when the line
// was over the limit; then only its length is known, from the loss counted.
func (r *reading) line(br *bufio.Reader) (line []byte, whole bool, err error) {
	r.buf = r.buf[:0]
	var over int64
	for {
		part, err := br.ReadSlice('\n')
		if err == nil && len(r.buf) == 0 && over == 0 && len(part) <= r.opts.MaxLine {
			return part, true, nil // used where it stands
		}
		if over == 0 && len(r.buf)+len(part) <= r.opts.MaxLine {
			r.buf = append(r.buf, part...)
		} else {
			if over == 0 {
				over = int64(len(r.buf))
				r.buf = r.buf[:0]
			}
			over += int64(len(part))
		}
		if err == bufio.ErrBufferFull {
			if cerr := r.ctx.Err(); cerr != nil {
				return nil, false, stop{cerr}
			}
			continue
		}
		if over > 0 {
			r.in.lose(LostLong, over)
			return nil, false, err
		}
		return r.buf, true, err
	}
}

// lines reads requests that are a line each, into the block in which they are decoded,
// many at once; what was read beyond the last line feed begins the next one.
func (r *reading) lines(in io.Reader) error {
	var beyond []byte
	var failed error
	over := int64(0) // bytes of a line that is too long
	for {
		b := r.pipe.begin()
		base := len(b.batch.Text)
		text := append(b.batch.Text, beyond...)
		from, seen, enough := base, base, base+blockBytes // where the line at hand begins, and up to where it does not end
		units := len(b.units)
		for failed == nil && len(b.units) == units {
			if err := r.ctx.Err(); err != nil {
				return stop{err}
			}
			for failed == nil && len(text) < enough {
				room := slices.Grow(text, enough-len(text))
				n, err := in.Read(room[len(text):enough])
				text, failed = room[:len(text)+n], err
			}
			for {
				n := bytes.IndexByte(text[seen:], '\n') + 1
				if n == 0 {
					break
				}
				line := text[from : seen+n]
				switch n := over + int64(len(line)); {
				case n > int64(r.opts.MaxLine):
					r.in.lose(LostLong, n)
				case len(bytes.TrimSpace(line)) > 0:
					b.weight += len(line)
					b.units = append(b.units, unit{from: from, to: from + len(line), kind: r.kindOf(line, false), reason: LostLine})
				}
				from += len(line)
				seen, over = from, 0
			}
			if len(b.units) == units && from > base { // what gave none is no part of the block
				text = append(text[:base], text[from:]...)
				from = base
			}
			if over > 0 || len(text)-from > r.opts.MaxLine { // of which only the length counts
				over += int64(len(text) - from)
				text = text[:from]
			}
			seen, enough = len(text), len(text)+max(blockBytes, len(text)-from)
		}
		b.batch.Text, beyond = text[:from], append(beyond[:0], text[from:]...)
		if failed == nil {
			if err := r.pipe.flush(); err != nil {
				return err
			}
			continue
		}
		if over > 0 {
			r.in.lose(LostLong, over)
		} else if err := r.oneLine(beyond, true, true); err != nil {
			return err
		}
		if failed == io.EOF {
			return nil
		}
		return failed
	}
}

// tail uses what a line holds when the layer below fails within it.
func (r *reading) tail(line []byte, err error) error {
	if errors.Is(err, errStop) {
		return err
	}
	if derr := r.oneLine(line, true, true); derr != nil {
		return derr
	}
	return err
}

func (r *reading) oneLine(line []byte, whole, last bool) error {
	if !whole || len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	reason := LostLine
	if last && line[len(line)-1] != '\n' && unfinished(line) {
		r.in.lose(LostTail, int64(len(line)))
		reason = "" // counted; the records before the cut still count too
	}
	return r.decode(line, false, reason)
}

// frames reads requests that each stand behind their length, big-endian. They are
// read into the block in which they are decoded, many at once; what was read
// beyond the block begins the next one.
func (r *reading) frames(in io.Reader) error {
	var beyond []byte
	var failed error
	ahead := blockBytes
	for {
		if err := r.ctx.Err(); err != nil {
			return stop{err}
		}
		b := r.pipe.begin()
		at := len(b.batch.Text)
		text := append(b.batch.Text, beyond...)
		beyond = beyond[:0]
		// upTo has the text reach to that length if the input does. It grows with what
		// is there, so that a false length allocates nothing.
		upTo := func(to int) bool {
			for failed == nil && len(text) < to {
				room := slices.Grow(text, min(to-len(text), max(ahead, len(text))))
				n, err := in.Read(room[len(text):min(to, cap(room))])
				text, failed = room[:len(text)+n], err
			}
			return len(text) >= to
		}
		enough := at + ahead
		upTo(enough)
		full := func() bool { return at >= enough || b.weight >= blockBytes }
		for !full() && upTo(at+1) {
			if !upTo(at + 4) {
				break
			}
			size := int64(binary.BigEndian.Uint32(text[at:]))
			if size > int64(r.opts.MaxLine) {
				r.in.lose(LostFrames, 4)
				b.batch.Text = text[:at]
				return r.pipe.full()
			}
			from, to := at+4, at+4+int(size)
			if !upTo(to) {
				break
			}
			data := text[from:to]
			k := r.kindOf(data, !looksJSON(data))
			if k >= kindPacked {
				r.pipe.add(b, data, k, LostFrame)
				ahead = blockBytes / unpacked
			} else {
				b.weight += len(data)
				b.units = append(b.units, unit{from: from, to: to, kind: k, reason: LostFrame})
			}
			at = to
		}
		rest := text[at:]
		b.batch.Text = text[:at]
		if full() {
			beyond = append(beyond, rest...)
			if err := r.pipe.flush(); err != nil {
				return err
			}
			continue
		}
		switch n := int64(len(rest)); {
		case failed != io.EOF && (failed != io.ErrUnexpectedEOF || n == 0 || n >= 4):
			return failed
		case n >= 4: // a frame's length, and what there is of the frame
			r.in.lose(LostTail, n-4)
		case n > 0:
			r.in.lose(LostTail, n)
		}
		return nil
	}
}

// read fills r.buf with size bytes. It grows with what is there, so that a false
// length allocates nothing. False means the input ended within.
func (r *reading) read(br *bufio.Reader, size int64) (bool, error) {
	b := bytes.NewBuffer(r.buf[:0])
	n, err := io.CopyN(b, br, size)
	r.buf = b.Bytes()
	if err == io.EOF {
		r.in.lose(LostTail, n)
		return false, nil
	}
	return err == nil, err
}

// protobuf reads a bare request resource block by resource block, for a request
// is nothing but its blocks one behind the other.
func (r *reading) protobuf(br *bufio.Reader) error {
	for {
		tag, err := br.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		size, err := binary.ReadUvarint(br)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			r.in.lose(LostTail, 1)
			return nil
		case err != nil:
			return err
		case tag != 0x0a || size > uint64(r.opts.MaxLine):
			n, err := io.Copy(io.Discard, br)
			r.in.lose(LostFrames, n)
			return err
		}
		b := bytes.NewBuffer(append(r.buf[:0], binary.AppendUvarint([]byte{tag}, size)...))
		n, cerr := io.CopyN(b, br, int64(size))
		r.buf = b.Bytes()
		if cerr == io.EOF { // the head of a cut block still holds whole records
			r.in.lose(LostTail, n)
		}
		reason := LostFrame
		if cerr == io.EOF {
			reason = ""
		}
		if err := r.decode(r.buf, true, reason); err != nil {
			return err
		}
		if cerr == io.EOF {
			return nil
		}
		if cerr != nil {
			return cerr
		}
	}
}

// decode sends one request on its way to be decoded; an unusable one is counted
// under reason, unless that is empty. The error is always a stop.
func (r *reading) decode(data []byte, proto bool, reason string) error {
	if err := r.ctx.Err(); err != nil {
		return stop{err}
	}
	return r.pipe.put(data, r.kindOf(data, proto), reason)
}

func (r *reading) kindOf(data []byte, proto bool) kind {
	switch {
	case proto && bytes.HasPrefix(data, zstdMagic):
		return kindPacked
	case proto:
		return kindProto
	case r.opts.Format != "" && r.opts.Format != "otlp":
		return kindFlat
	}
	return kindJSON
}

// csv reads rows under a header line. A unit is the header with some rows, cut
// where no quotation is open.
func (r *reading) csv(br *bufio.Reader) error {
	var head []byte
	var rows []byte
	send := func() error {
		if len(rows) == 0 {
			return nil
		}
		err := r.pipe.put(append(head[:len(head):len(head)], rows...), kindCSV, LostLine)
		rows = rows[:0]
		return err
	}
	quotes := 0
	for {
		if err := r.ctx.Err(); err != nil {
			return stop{err}
		}
		line, whole, err := r.line(br)
		if err != nil && err != io.EOF {
			if serr := send(); serr != nil {
				return serr
			}
			return err
		}
		if whole {
			quotes += bytes.Count(line, []byte{'"'})
			if head == nil {
				if quotes%2 == 0 && len(bytes.TrimSpace(line)) > 0 {
					head, quotes = append([]byte(nil), line...), 0
				}
			} else if rows = append(rows, line...); quotes%2 == 0 && len(rows) > 64<<10 || len(rows) > r.opts.MaxLine {
				quotes = 0
				if err := send(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return send()
		}
	}
}
