package rehearsal

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// BenchmarkWhatIfAgainstReplay reports how long a policy what-if over a stream
// takes against a plain replay of it through the access engine, both from the file.
func BenchmarkWhatIfAgainstReplay(b *testing.B) {
	name := filepath.Join(b.TempDir(), "s.otlp.jsonl")
	s, err := loadStaged(b, "active_members > 0", "false")
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	w := stream.NewWriter(f, simulate.WireProfile(s.Telemetry))
	if _, err := Play(ctx, Options{Scenario: s}, func(evs []event.Event) error { return w.Write(evs) }); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	f.Close()
	proposed := *s
	proposed.Groups = proposed.Groups[:2] // nobody comes in by the last group
	proposed.Changes, proposed.Rollout = nil, proposed.Rollout[:2]
	var plain, whatIf time.Duration
	for b.Loop() {
		at := time.Now()
		r, err := prepare(Options{Scenario: s}.withKey())
		if err != nil {
			b.Fatal(err)
		}
		src, err := stream.Open([]string{name}, stream.Options{Borrow: true, Packed: true, Prepare: replay.Prepare(r.dir)})
		if err != nil {
			b.Fatal(err)
		}
		rp := replay.New(replay.Options{From: r.from, Until: r.to, Directory: r.dir}, r.rbac)
		if err := src.EachBlock(ctx, rp.Take); err != nil {
			b.Fatal(err)
		}
		rp.Close()
		then := time.Now()
		if _, err := WhatIf(ctx, Options{Scenario: s}, Options{Scenario: &proposed}, []string{name}); err != nil {
			b.Fatal(err)
		}
		plain, whatIf = plain+then.Sub(at), whatIf+time.Since(then)
	}
	b.ReportMetric(float64(whatIf)/float64(plain), "x-plain")
}
