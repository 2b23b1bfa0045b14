package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

func sample(from, n int) []event.Event {
	p, _ := otlp.ProfileNamed("cowork-local-1p")
	out := make([]event.Event, n)
	for i := range out {
		e := &out[i]
		e.Kind = event.UserPrompt
		e.Time = 1790000000000000000 + int64(from+i)*1e9
		e.Session, e.Sequence = "11111111-0000-4000-8000-000000000001", int64(from+i)
		e.Email = "rina@quarrel.example"
		e.PromptText, e.PromptLength = fmt.Sprintf("prompt %d", from+i), 8
		e.Has = event.FSession | event.FSequence | event.FEmail | event.FPromptText | event.FPromptLength
		p.Stamp(e)
	}
	return out
}

func profile() otlp.Profile { p, _ := otlp.ProfileNamed("cowork-local-1p"); return p }

// lines is three requests of two events each.
func lines() []byte {
	var b []byte
	for i := 0; i < 3; i++ {
		b = append(profile().AppendJSON(b, sample(2*i, 2)), '\n')
	}
	return b
}

func zip(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func framesOf(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

func run(t *testing.T, data []byte, opts Options) (int, Input) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open([]string{path}, opts)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.Each(context.Background(), func(b *otlp.Batch) error {
		for i := range b.Events {
			if b.Events[i].Index != int64(n) {
				t.Errorf("event %d has index %d", n, b.Events[i].Index)
			}
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in := s.Report()[0]
	sum := sha256.Sum256(data)
	if in.SHA256 != hex.EncodeToString(sum[:]) || in.Size != int64(len(data)) {
		t.Errorf("hash or size of the raw bytes is wrong: %d of %d", in.Size, len(data))
	}
	if in.Records != int64(n) {
		t.Errorf("report says %d records, read %d", in.Records, n)
	}
	return n, in
}

func lost(in Input, reason string) int64 {
	for _, l := range in.Lost {
		if l.Reason == reason {
			return l.Count
		}
	}
	return 0
}

func TestForms(t *testing.T) {
	plain := lines()
	each := bytes.SplitAfter(plain, []byte("\n"))[:3]
	proto := func(i int) []byte { return profile().AppendProto(nil, sample(2*i, 2)) }
	pretty := []byte("{\n  \"resourceLogs\": [\n    {\n \"scopeLogs\": [{\"logRecords\": [\n{\"timeUnixNano\": \"5000000\", \"body\": {\"stringValue\": \"claude_code.user_prompt\"}}\n]}]\n}\n]\n}\n")
	for _, c := range []struct {
		name, format string
		data         []byte
		want         int
	}{
		{"plain", "json lines", plain, 6},
		{"no last newline", "json lines", bytes.TrimRight(plain, "\n"), 6},
		{"byte order mark and blank lines", "json lines", append([]byte("\xef\xbb\xbf\n\r\n"), plain...), 6},
		{"zstd", "zstd, json lines", zip(t, plain), 6},
		{"gzip", "gzip, json lines", gz(plain), 6},
		{"gzip of zstd", "gzip, zstd, json lines", gz(zip(t, plain)), 6},
		{"two gzip members", "gzip, json lines", append(gz(plain), gz(plain)...), 12},
		{"pretty", "json document", pretty, 1},
		{"array of requests", "json lines", append(append([]byte("["), bytes.Join([][]byte{bytes.TrimSpace(each[0]), bytes.TrimSpace(each[1])}, []byte(","))...), ']'), 4},
		{"protobuf", "protobuf", append(proto(0), proto(1)...), 4},
		{"protobuf frames", "frames", framesOf(proto(0), proto(1), proto(2)), 6},
		{"zstd frames of protobuf", "frames", framesOf(zip(t, proto(0)), zip(t, proto(1))), 4},
		{"zstd frames of json", "frames", framesOf(zip(t, each[0]), zip(t, each[1])), 4},
		{"zstd around protobuf frames", "zstd, frames", zip(t, framesOf(proto(0))), 2},
		{"other tools", "json lines of clickhouse", []byte(`{"Timestamp":"2026-01-02 03:04:05.000000000","Body":"claude_code.x","LogAttributes":{"event.name":"x"}}` + "\n" + `{"Timestamp":"2026-01-02 03:04:06","Body":"claude_code.y","LogAttributes":{}}` + "\n"), 2},
		{"csv", "csv", []byte("_time,_raw,event.name,prompt\n2026-01-02T03:04:05.000+00:00,claude_code.user_prompt,user_prompt,\"two\nlines, \"\"quoted\"\"\"\n2026-01-02T03:04:06.000+00:00,,api_request,\n"), 2},
		{"empty", "empty", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, in := run(t, c.data, Options{})
			if n != c.want || in.Format != c.format || len(in.Lost) != 0 {
				t.Errorf("%d events as %q, lost %v; want %d as %q", n, in.Format, in.Lost, c.want, c.format)
			}
		})
	}
}

func TestDamage(t *testing.T) {
	plain := lines()
	each := bytes.SplitAfter(plain, []byte("\n"))[:3]
	proto := profile().AppendProto(nil, sample(0, 2))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name, reason string
		data         []byte
		opts         Options
		atLeast      int
	}{
		{"garbage line", LostLine, join(each[0], []byte("### not a record ###\n"), each[1], each[2]), Options{}, 6},
		{"garbage first line", LostLine, join([]byte("oops\n"), plain), Options{}, 6},
		{"cut first line", LostLine, join(each[0][len(each[0])/2:], each[1], each[2]), Options{}, 4},
		{"first line without its end", LostLine, join([]byte(`{"resourceLogs":[{"resou`+"\n"), plain), Options{}, 6},
		{"cut last line", LostTail, plain[:len(plain)-30], Options{}, 5},
		{"cut gzip", LostTail, gz(plain)[:len(gz(plain))-12], Options{}, 0},
		{"cut zstd", LostTail, zip(t, plain)[:len(zip(t, plain))-6], Options{}, 0},
		{"cut protobuf", LostTail, proto[:len(proto)-3], Options{}, 1},
		{"cut frame", LostTail, framesOf(proto, proto)[:len(proto)*2-1], Options{}, 2},
		{"bad frame", LostFrame, framesOf(proto, []byte("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), proto), Options{}, 4},
		{"false frame length", LostFrames, join(framesOf(proto), []byte{0xff, 0xff, 0xff, 0xff, 1, 2}), Options{}, 2},
		{"long line", LostLong, join(each[0], bytes.Repeat([]byte("x"), 600<<10), []byte("\n"), each[1]), Options{MaxLine: 300 << 10}, 4},
		{"bomb by size", LostExpansion, zip(t, join(plain, bytes.Repeat([]byte(" \n"), 4<<20))), Options{MaxExpanded: 1 << 20}, 6},
		{"bomb by ratio", LostExpansion, zip(t, join(plain, bytes.Repeat([]byte{' '}, 80<<20))), Options{}, 6},
		{"bomb in a frame", LostExpansion, framesOf(proto, zip(t, bytes.Repeat([]byte{' '}, 2<<20))), Options{MaxLine: 1 << 20}, 2},
		{"unknown", LostFormat, []byte{0x02, 0xff, 0xee, 0x11, 0x11, 0x22}, Options{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, in := run(t, c.data, c.opts)
			if n < c.atLeast || lost(in, c.reason) == 0 {
				t.Errorf("%d events, lost %+v; want %d and %q", n, in.Lost, c.atLeast, c.reason)
			}
		})
	}
}

// TestFramesHoweverTheyArrive: frames of any size, whole or packed, are read into
// blocks; wherever the input is cut and however few bytes a read gives, the whole
// frames before the cut count, and what is lost is what stands behind them.
func TestFramesHoweverTheyArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var data []byte
		var ends, records []int
		for range rapid.IntRange(1, 60).Draw(t, "frames") {
			n := rapid.SampledFrom([]int{1, 2, 20, 200}).Draw(t, "records")
			frame := profile().AppendProto(nil, sample(0, n))
			if rapid.IntRange(0, 4).Draw(t, "packed") == 0 {
				w, _ := zstd.NewWriter(nil)
				frame = w.EncodeAll(frame, nil)
			}
			data = append(data, framesOf(frame)...)
			ends, records = append(ends, len(data)), append(records, n)
		}
		first := ends[0]
		cut := rapid.IntRange(first, len(data)).Draw(t, "cut")
		want, whole := 0, 0
		for i, end := range ends {
			if end <= cut {
				want, whole = want+records[i], end
			}
		}
		tail := cut - whole
		if tail >= 4 {
			tail -= 4
		}
		in := io.Reader(bytes.NewReader(data[:cut]))
		if rapid.Bool().Draw(t, "halves") {
			in = iotest.HalfReader(in)
		}
		s, err := Open([]string{"-"}, Options{Stdin: in})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		if err := s.Each(context.Background(), func(b *otlp.Batch) error { got += len(b.Events); return nil }); err != nil {
			t.Fatal(err)
		}
		r := s.Report()[0]
		bytesLost := int64(0)
		for _, l := range r.Lost {
			if l.Reason != LostTail {
				t.Fatalf("lost %+v", r.Lost)
			}
			bytesLost += l.Bytes
		}
		sum := sha256.Sum256(data[:cut])
		if got != want || bytesLost != int64(tail) || (len(r.Lost) > 0) != (cut > whole) || r.SHA256 != hex.EncodeToString(sum[:]) {
			t.Fatalf("cut at %d of %d: %d records of %d, lost %+v, expected %d bytes", cut, len(data), got, want, r.Lost, tail)
		}
	})
}

// TestLinesHoweverTheyArrive: lines of any length, good, empty, broken or too long, are
// read into blocks; wherever the input ends and however few bytes a read gives, each
// line counts as it does when lines are taken one after the other.
func TestLinesHoweverTheyArrive(t *testing.T) {
	const most = 200 << 10 // more than a block holds
	rapid.Check(t, func(t *rapid.T) {
		data := append(profile().AppendJSON(nil, sample(0, 1)), '\n')
		first := len(data)
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			switch rapid.IntRange(0, 6).Draw(t, "line") {
			case 0:
				data = append(data, " \r\n"...)
			case 1:
				data = append(data, "{\"resourceLogs\": nothing}\n"...)
			case 2:
				n := rapid.SampledFrom([]int{most - 2, most - 1, most, 3 * most}).Draw(t, "long")
				data = append(append(data, bytes.Repeat([]byte{'x'}, n)...), '\n')
			default:
				n := rapid.SampledFrom([]int{1, 2, 20, 90}).Draw(t, "records")
				data = append(profile().AppendJSON(data, sample(0, n)), '\n')
			}
		}
		data = data[:rapid.OneOf(rapid.Just(len(data)), rapid.IntRange(first, len(data))).Draw(t, "end")]

		want, records := map[string]int64{}, 0
		for _, line := range bytes.SplitAfter(data, []byte("\n")) {
			var b otlp.Batch
			switch {
			case len(line) > most:
				want[LostLong]++
				want[LostLong+" bytes"] += int64(len(line))
			case len(bytes.TrimSpace(line)) == 0:
			default:
				err := otlp.DecodeJSON(line, &b)
				if records += len(b.Events); line[len(line)-1] != '\n' && unfinished(line) {
					want[LostTail]++
					want[LostTail+" bytes"] += int64(len(line))
				} else if err != nil {
					want[LostLine]++
					want[LostLine+" bytes"] += int64(len(line))
				}
			}
		}
		in := io.Reader(bytes.NewReader(data))
		if rapid.Bool().Draw(t, "halves") {
			in = iotest.HalfReader(in)
		}
		s, err := Open([]string{"-"}, Options{Stdin: in, MaxLine: most})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := s.Each(context.Background(), func(b *otlp.Batch) error { n += len(b.Events); return nil }); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, l := range s.Report()[0].Lost {
			got[l.Reason], got[l.Reason+" bytes"] = l.Count, l.Bytes
		}
		if n != records || !maps.Equal(got, want) {
			t.Fatalf("%d bytes: %d records of %d, lost %v, expected %v", len(data), n, records, got, want)
		}
	})
}

// TestLinesThatGiveNothing: whoever waits for an input without a usable line can stop
// it, and it takes no more memory the longer it is.
func TestLinesThatGiveNothing(t *testing.T) {
	good := append(profile().AppendJSON(nil, sample(0, 1)), '\n')
	for name, part := range map[string]string{"blank lines": strings.Repeat(" \n", 4096), "one line": strings.Repeat("x", 8192), "long lines": strings.Repeat("x", 8191) + "\n"} {
		for _, end := range []bool{true, false} {
			ctx, cancel := context.WithCancel(context.Background())
			const most = 32 << 20
			in := &endless{head: good, part: part, end: most}
			if !end {
				in.end, in.at, in.then = 4*most, most, cancel
			}
			s, err := Open([]string{"-"}, Options{Stdin: in, Workers: 1, MaxLine: 4096, Unhashed: true})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n := 0
			err = s.Each(ctx, func(b *otlp.Batch) error { n += len(b.Events); return nil })
			runtime.ReadMemStats(&after)
			switch took := (after.TotalAlloc - before.TotalAlloc) >> 20; {
			case end && (err != nil || n != 1):
				t.Errorf("%s: %d records, %v", name, n, err)
			case end && took > 8:
				t.Errorf("%s: %d MiB for %d", name, took, most>>20)
			case !end && (!errors.Is(err, context.Canceled) || in.n > most+(1<<20)):
				t.Errorf("%s: %v, %d MiB after it was told to stop", name, err, (in.n-most)>>20)
			}
			cancel()
		}
	}
}

// endless gives a head and then the same over and over, up to an end. Having given so
// much it calls then.
type endless struct {
	head       []byte
	part       string
	n, at, end int
	then       func()
}

func (r *endless) Read(p []byte) (int, error) {
	n := copy(p, r.head)
	if r.head = r.head[n:]; n == 0 {
		if r.n >= r.end {
			return 0, io.EOF
		}
		n = copy(p, r.part)
	}
	if r.n += n; r.then != nil && r.n >= r.at {
		r.then()
	}
	return n, nil
}

func TestOtherSignalAndProducts(t *testing.T) {
	n, in := run(t, append([]byte(`{"resourceSpans":[{}]}`+"\n"), lines()...), Options{})
	if n != 6 || in.Other != 1 || in.Products[event.Cowork] != 6 {
		t.Errorf("%d events, %+v", n, in)
	}
}

func TestPathsAndIndex(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"b.jsonl": lines(), "a.zst": zip(t, lines()), "readme.txt": []byte("no")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open([]string{dir, filepath.Join(dir, "*.jsonl"), "-"}, Options{Stdin: bytes.NewReader(lines())})
	if err != nil {
		t.Fatal(err)
	}
	var last int64 = -1
	each := func(b *otlp.Batch) error {
		for i := range b.Events {
			if b.Events[i].Index != last+1 {
				t.Errorf("index %d after %d", b.Events[i].Index, last)
			}
			last = b.Events[i].Index
		}
		return nil
	}
	if err := s.Each(context.Background(), each); err != nil {
		t.Fatal(err)
	}
	if last != 23 {
		t.Errorf("last index %d, want 23", last)
	}
	var names []string
	for _, in := range s.Report() {
		names = append(names, filepath.Base(in.Name))
	}
	if got := strings.Join(names, " "); got != "a.zst b.jsonl b.jsonl -" {
		t.Errorf("order %q", got)
	}
	last = -1
	if err := s.Each(context.Background(), each); err == nil {
		t.Error("standard input was read twice")
	}
	for _, bad := range []string{filepath.Join(dir, "none.json"), filepath.Join(dir, "*.pb"), t.TempDir()} {
		if _, err := Open([]string{bad}, Options{}); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestStops(t *testing.T) {
	s, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(lines())})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if err := s.Each(context.Background(), func(*otlp.Batch) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, _ = Open([]string{"-"}, Options{Stdin: bytes.NewReader(lines())})
	if err := s.Each(ctx, func(*otlp.Batch) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWriter(t *testing.T) {
	write := func() ([]byte, *Writer) {
		var out bytes.Buffer
		w := NewWriter(&out, profile())
		for i := 0; i < 50; i++ {
			if err := w.Write(sample(10*i, 10)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes(), w
	}
	a, w := write()
	b, _ := write()
	if !bytes.Equal(a, b) {
		t.Error("the same events gave different bytes")
	}
	if n, in := run(t, a, Options{}); n != 500 || in.Requests != 50 {
		t.Errorf("%d events in %d requests", n, in.Requests)
	}
	var plain []byte
	for i := 0; i < 50; i++ {
		plain = append(profile().AppendJSON(plain, sample(10*i, 10)), '\n')
	}
	sum := sha256.Sum256(plain)
	if w.SHA256() != hex.EncodeToString(sum[:]) || w.PlainBytes() != int64(len(plain)) || w.PackedBytes() != int64(len(a)) || w.Events() != 500 {
		t.Error("counters are wrong")
	}
}

// TestWorkersChangeNothing reads one damaged folder with any number of workers.
func TestWorkersChangeNothing(t *testing.T) {
	dir := t.TempDir()
	p, _ := otlp.ProfileNamed("cowork-local-1p")
	var lines, frames []byte
	for i := range 400 {
		e := event.Event{Kind: event.UserPrompt, Service: "cowork", Session: fmt.Sprint("s", i%7), Sequence: int64(i), Time: int64(i+1) * 1e9, PromptText: strings.Repeat("word ", i),
			Has: event.FTime | event.FSequence | event.FSession | event.FPromptText}
		p.Stamp(&e)
		lines = append(p.AppendJSON(lines, []event.Event{e}), '\n')
		if i%50 == 7 {
			lines = append(lines, "{broken\n"...)
		}
		pb := p.AppendProto(nil, []event.Event{e})
		frames = append(binary.BigEndian.AppendUint32(frames, uint32(len(pb))), pb...)
	}
	for name, data := range map[string][]byte{"a.jsonl": lines[:len(lines)-30], "b.pb": frames, "c.jsonl": []byte("nothing\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(workers int) string {
		s, err := Open([]string{dir}, Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		if err := s.Each(context.Background(), func(b *otlp.Batch) error {
			for i := range b.Events {
				fmt.Fprintln(h, b.Events[i].Index, b.Events[i].Session, b.Events[i].Sequence, b.Events[i].PromptText)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x %+v", h.Sum(nil), s.Report())
	}
	want := read(1)
	if !strings.Contains(want, "Records:399") || !strings.Contains(want, LostLine) || !strings.Contains(want, LostTail) {
		t.Errorf("one worker: %s", want)
	}
	for _, n := range []int{2, 3, 8} {
		if got := read(n); got != want {
			t.Errorf("%d workers: %s\nexpected %s", n, got, want)
		}
	}
}

// TestStopEndsReading: an error of the caller, or of the context, ends Each.
func TestStopEndsReading(t *testing.T) {
	name := filepath.Join(t.TempDir(), "long.jsonl")
	p, _ := otlp.ProfileNamed("cowork-local-1p")
	e := event.Event{Kind: event.UserPrompt, Service: "cowork", Session: "s", Time: 1e9, PromptText: strings.Repeat("word ", 500), Has: event.FTime | event.FSession | event.FPromptText}
	p.Stamp(&e)
	line := append(p.AppendJSON(nil, []event.Event{e}), '\n')
	if err := os.WriteFile(name, bytes.Repeat(line, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open([]string{name}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	enough, n := errors.New("enough"), 0
	err = s.Each(context.Background(), func(*otlp.Batch) error {
		if n++; n == 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 10 {
		t.Errorf("got %v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n = 0
	err = s.Each(ctx, func(*otlp.Batch) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n > 1000 {
		t.Errorf("got %v after %d", err, n)
	}
}

// TestBlocks: what our writer packs is one zstd stream to others and opens block by
// block here; a damaged block costs itself alone.
func TestBlocks(t *testing.T) {
	for _, f := range []Form{{Pack: "zstd"}, {Pack: "zstd", Proto: true}} {
		var out bytes.Buffer
		var plain []byte
		w := NewFormWriter(&out, profile(), f)
		const requests = 600
		for i := range requests {
			if err := w.Write(sample(10*i, 10)); err != nil {
				t.Fatal(err)
			}
			if f.Proto {
				plain = append(plain, framesOf(profile().AppendProto(nil, sample(10*i, 10)))...)
			} else {
				plain = append(profile().AppendJSON(plain, sample(10*i, 10)), '\n')
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		d, err := zstd.NewReader(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%+v: another reader finds other bytes: %v", f, err)
		}
		d.Close()
		blocks := bytes.Count(out.Bytes(), blockMark)
		if blocks < 4 {
			t.Fatalf("%+v: only %d blocks", f, blocks)
		}
		for _, workers := range []int{1, 3} {
			if n, in := run(t, out.Bytes(), Options{Workers: workers}); n != 10*requests || in.Requests != requests || len(in.Lost) != 0 {
				t.Errorf("%+v: %d events in %d requests, lost %v", f, n, in.Requests, in.Lost)
			}
		}
		// The same bytes of blocks behind no mark of ours are read one after another.
		if n, _ := run(t, out.Bytes()[len(ownMark):], Options{}); n != 10*requests {
			t.Errorf("%+v: %d events without the mark", f, n)
		}
		broken := bytes.Clone(out.Bytes())
		second := len(ownMark) + bytes.Index(broken[len(ownMark)+1:], blockMark) + 1
		broken[second+len(blockMark)+40] ^= 0xff
		n, in := run(t, broken, Options{})
		if n == 0 || n == 10*requests || lost(in, LostFrame) == 0 || n < 5*requests {
			t.Errorf("%+v: of a stream with one broken block %d events, lost %v", f, n, in.Lost)
		}
		n, in = run(t, out.Bytes()[:out.Len()-20], Options{})
		if n == 0 || n == 10*requests || lost(in, LostTail) == 0 {
			t.Errorf("%+v: of a cut stream %d events, lost %v", f, n, in.Lost)
		}
	}
}

// What is read again has to be what was read: standard input and pipes cannot be, and a
// file that somebody writes to is refused.
func TestAgain(t *testing.T) {
	ctx, none := context.Background(), func(*otlp.Batch) error { return nil }
	name := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(name, lines(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open([]string{name}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EachBlock(ctx, none); err != nil {
		t.Fatal(err)
	}
	sum, n := s.Report()[0].SHA256, 0
	if err := s.Again()(ctx, func(b *otlp.Batch) error { n += b.Len(); return nil }); err != nil || n != 6 {
		t.Fatalf("%d events: %v", n, err)
	}
	if got := s.Report()[0].SHA256; got != sum || sum == "" {
		t.Errorf("the report of the first reading is gone: %q, before %q", got, sum)
	}
	if err := os.WriteFile(name, append(lines(), lines()...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Again()(ctx, none); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("a file that grew: %v", err)
	}
	s, err = Open([]string{name, "-"}, Options{Stdin: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
	if s.Again() != nil {
		t.Error("standard input can be read twice")
	}
}
