package simulate_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// generate plays a scenario and writes it as protobuf to nowhere, as the command
// simulate does, and returns how many events that were.
func generate(tb testing.TB, s *scenarios.Scenario, g *rehearsal.Ground) int64 {
	w := stream.NewFormWriter(io.Discard, simulate.WireProfile(s.Telemetry), stream.Form{Proto: true, Unhashed: true})
	if _, err := simulate.Run(context.Background(), simulate.Options{Scenario: s, Directory: g.Directory, Gate: g.Gate, Prices: g.Prices}, w.Write); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return w.Events()
}

// An event may cost so many allocations; measured are 1.1, the organisation and
// the start of every session among them.
func TestGenerateAllocations(t *testing.T) {
	const most = 2.2
	s, err := scenarios.Load("insurer-claims")
	if err != nil {
		t.Fatal(err)
	}
	g, err := rehearsal.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	events := generate(t, s, g)
	runtime.ReadMemStats(&after)
	if n := float64(after.Mallocs-before.Mallocs) / float64(events); n > most {
		t.Errorf("%.2f allocations an event, more than %v", n, most)
	} else {
		t.Logf("%.2f allocations an event", n)
	}
}

// BenchmarkGenerate plays the insurer's month: the gates are in it, the disk and
// the reading of facts and rules before the start are not.
func BenchmarkGenerate(b *testing.B) {
	s, err := scenarios.Load("insurer-claims")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	events := int64(0)
	for b.Loop() {
		b.StopTimer()
		g, err := rehearsal.Prepare(s)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		events += generate(b, s, g)
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
