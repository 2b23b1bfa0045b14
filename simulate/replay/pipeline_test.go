package replay_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/assess/analytics"
	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// corpus is one played stream in each encoding, and the organisation that
// played it.
type corpus struct {
	s      *scenarios.Scenario
	ground *rehearsal.Ground
	events int
	files  map[string]string
}

var played = sync.OnceValues(func() (*corpus, error) {
	s, err := scenarios.Load("insurer-claims")
	if err != nil {
		return nil, err
	}
	return newCorpus(s)
})

func newCorpus(s *scenarios.Scenario) (*corpus, error) {
	g, err := rehearsal.Prepare(s)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sandtable-bench-")
	if err != nil {
		return nil, err
	}
	c := &corpus{s: s, ground: g, files: map[string]string{}}
	p, _ := otlp.ProfileNamed("cowork-local-1p")
	var frames, packed, lines []byte
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	var pending []event.Event
	export := func() {
		if len(pending) == 0 {
			return
		}
		pb := p.AppendProto(nil, pending)
		frames = append(binary.BigEndian.AppendUint32(frames, uint32(len(pb))), pb...)
		z := enc.EncodeAll(pb, nil)
		packed = append(binary.BigEndian.AppendUint32(packed, uint32(len(z))), z...)
		lines = append(p.AppendJSON(lines, pending), '\n')
		pending = pending[:0]
	}
	_, err = simulate.Run(context.Background(), simulate.Options{Scenario: s, Directory: g.Directory, Gate: g.Gate, Prices: g.Prices}, func(es []event.Event) error {
		pending = append(pending, es...)
		c.events += len(es)
		if len(pending) >= 64 {
			export()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	export()
	for name, data := range map[string][]byte{"proto": frames, "proto-zstd": packed, "json": lines} {
		c.files[name] = filepath.Join(dir, name+".bin")
		if err := os.WriteFile(c.files[name], data, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// pack is the shipped rules, repeated under other names up to n.
func pack(b *testing.B, n int) []*alert.Rule {
	var out []*alert.Rule
	shipped, err := alert.Load(alert.Packs())
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; len(out) < n; i++ {
		r := *shipped[i%len(shipped)]
		r.ID.Value = fmt.Sprintf("%s-%d", r.ID.Value, i/len(shipped))
		out = append(out, &r)
	}
	return out
}

// fingerprint is everything that engines and observers say of a stream.
func fingerprint(t *testing.T, c *corpus, file string, opts stream.Options, o replay.Options) string {
	t.Helper()
	rs, err := alert.Load(alert.Packs())
	if err != nil {
		t.Fatal(err)
	}
	dir := c.ground.Directory
	o.From, o.Until = c.s.Period.From.Time, c.s.Period.To.Time.AddDate(0, 0, 1)
	o.Directory = dir
	src, err := stream.Open([]string{file}, opts)
	if err != nil {
		t.Fatal(err)
	}
	access, ledger, alerts := rbac.New(dir, rbac.Rules{}), spend.New(dir, spend.Rules{GroupLimits: true}), alert.New(rs, alert.Config{Allowlist: []string{}, Content: c.s.Telemetry.Content})
	cover := coverage.New(coverage.Config{Directory: dir, From: o.From, To: o.Until})
	usage := analytics.New(analytics.Config{Directory: dir, From: o.From, To: o.Until, Plan: "enterprise"})
	calibration := forecast.NewCalibrator(dir, nil)
	drivers := spend.NewDrivers(c.ground.Prices, 10_000)
	rp := replay.New(o, access, ledger, alerts, cover, usage, calibration, drivers)
	if err := src.EachBlock(context.Background(), rp.Take); err != nil {
		t.Fatal(err)
	}
	counts, findings := rp.Close()
	model, err := calibration.Model(o.From, func(int, time.Time) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent([]any{counts, findings, access.Counters(), ledger.Summary(), alerts.Reports(), cover.Report(), usage.Report(), drivers.Report(), model}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestViewsNeverOutliveTheirBatch overwrites the memory of every batch as soon as
// it is given back. Whoever kept a view would read rubbish, and under the race
// detector be caught at it.
func TestViewsNeverOutliveTheirBatch(t *testing.T) {
	c, err := played()
	if err != nil {
		t.Fatal(err)
	}
	replay.Poison(true)
	defer replay.Poison(false)
	prepare := replay.Prepare(c.ground.Directory, alert.Mark)
	files := map[string]string{"two inputs": halves(t, c.files["json"])}
	for format, file := range c.files {
		files[format] = file
	}
	for format, file := range files {
		if testing.Short() && format == "proto" {
			continue
		}
		want := fingerprint(t, c, file, stream.Options{Workers: 1}, replay.Options{})
		for _, opts := range []stream.Options{
			{Workers: 1, Borrow: true, Packed: true, Prepare: prepare},
			{Workers: 7, Borrow: true, Packed: true, Prepare: prepare},
			{Workers: 2, Borrow: true, Packed: true}, // nobody prepared what is packed
			{Workers: 2, Borrow: true, Prepare: prepare},
		} {
			workers := opts.Workers
			got := fingerprint(t, c, file, opts, replay.Options{Beside: workers > 2, SideBySide: workers == 2})
			if got != want {
				a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
				for i := range a {
					if i >= len(b) || a[i] != b[i] {
						t.Fatalf("%s, %d workers, line %d:\n%s\nexpected\n%s", format, workers, i, strings.Join(b[i:min(i+5, len(b))], "\n"), strings.Join(a[i:min(i+5, len(a))], "\n"))
					}
				}
				t.Fatalf("%s, %d workers: more lines than expected", format, workers)
			}
		}
	}
}

// halves deals the lines of a file out to two in a folder.
func halves(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, half := t.TempDir(), [2][]byte{}
	for i, line := range strings.SplitAfter(string(data), "\n") {
		half[i*7%3%2] = append(half[i*7%3%2], line...)
	}
	for i, name := range []string{"a.jsonl", "b.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, name), half[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// BenchmarkReplay reads a file from the page cache through everything a run
// hangs on a stream: decoding, access, spend, rules, coverage, adoption.
func BenchmarkReplay(b *testing.B) {
	c, err := played()
	if err != nil {
		b.Fatal(err)
	}
	cfg := alert.Config{Allowlist: []string{}, Leavers: map[string]time.Time{}, Content: c.s.Telemetry.Content}
	for _, x := range c.s.Connectors {
		if x.Enabled {
			cfg.Allowlist = append(cfg.Allowlist, x.Name.Value)
		}
	}
	from, to := c.s.Period.From.Time, c.s.Period.To.Time.AddDate(0, 0, 1)
	dir := c.ground.Directory
	for _, format := range []string{"proto", "proto-zstd", "json"} {
		for _, n := range []int{25, 100} {
			rs := pack(b, n)
			b.Run(fmt.Sprintf("%s/%drules", format, n), func(b *testing.B) {
				b.ReportAllocs()
				total, began := int64(0), cpuTime()
				for b.Loop() {
					total += once(b, c.files[format], dir, rs, cfg, from, to)
				}
				if want := int64(c.events * b.N); total != want {
					b.Fatalf("%d events replayed, expected %d", total, want)
				}
				b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
				if used := cpuTime() - began; used > 0 {
					b.ReportMetric(float64(total)/used.Seconds(), "events/cpu-s")
				}
			})
		}
	}
}

func once(b *testing.B, file string, dir *org.Directory, rs []*alert.Rule, cfg alert.Config, from, to time.Time) int64 {
	src, err := stream.Open([]string{file}, stream.Options{Borrow: true, Packed: true, Narrow: !alert.Rare(rs), Prepare: replay.Prepare(dir, alert.Mark)})
	if err != nil {
		b.Fatal(err)
	}
	everybody := func(int) bool { return true }
	rp := replay.New(replay.Options{From: from, Until: to, Directory: dir, Beside: true, SideBySide: runtime.GOMAXPROCS(0) > 2}, rbac.New(dir, rbac.Rules{}), spend.New(dir, spend.Rules{GroupLimits: true}), alert.New(rs, cfg),
		coverage.New(coverage.Config{Directory: dir, Enabled: everybody, From: from, To: to}),
		analytics.New(analytics.Config{Directory: dir, From: from, To: to, AsOf: to, Plan: "enterprise", Enabled: func(int, time.Time) bool { return true }}))
	if err := src.EachBlock(context.Background(), rp.Take); err != nil {
		b.Fatal(err)
	}
	counts, _ := rp.Close()
	if lost := src.Report()[0].Lost; len(lost) > 0 {
		b.Fatalf("lost: %v", lost)
	}
	return counts.Events
}
