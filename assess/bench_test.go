package assess

import "testing"

// The whole document, with every claim and need, for the shipped insurer.
func BenchmarkAssess(b *testing.B) {
	m := model(b)
	in := workedCases(b).inputs(b, m, "O 08-22")
	rq := Request{Inputs: in, Claims: asked(m.ClaimIDs()), Needs: asked(m.NeedIDs())}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Assess(rq); err != nil {
			b.Fatal(err)
		}
	}
}

// Verdicts, postures, gaps and answer only: what searches and timelines run.
func BenchmarkJudge(b *testing.B) {
	m := model(b)
	in := workedCases(b).inputs(b, m, "O 08-22")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Judge(in); err != nil {
			b.Fatal(err)
		}
	}
}
