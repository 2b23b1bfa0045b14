package simulate_test

import (
	"context"
	"io"
	"testing"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// BenchmarkGenerate plays the insurer's month and writes it as protobuf to
// nowhere, as the command simulate does: the gates are in it, the disk and the
// reading of facts and rules before the start are not.
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
		w := stream.NewFormWriter(io.Discard, simulate.WireProfile(s.Telemetry), stream.Form{Proto: true, Unhashed: true})
		if _, err := simulate.Run(context.Background(), simulate.Options{Scenario: s, Directory: g.Directory, Gate: g.Gate, Prices: g.Prices}, w.Write); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		events += w.Events()
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
