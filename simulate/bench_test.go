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
// nowhere, as the command simulate does: everything but the disk, the gates
// included.
func BenchmarkGenerate(b *testing.B) {
	s, err := scenarios.Load("insurer-claims")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	events := int64(0)
	for b.Loop() {
		w := stream.NewFormWriter(io.Discard, simulate.WireProfile(s.Telemetry), stream.Form{Proto: true, Unhashed: true})
		if _, err := rehearsal.Play(context.Background(), rehearsal.Options{Scenario: s}, w.Write); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		events += w.Events()
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
