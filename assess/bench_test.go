package assess

import "testing"

// The whole document, with every claim and need, for the insurer of the worked
// cases: as observed on a day with few later facts, and as rehearsed on the
// earliest, after which most facts changed and verdicts move.
func BenchmarkAssess(b *testing.B) {
	for _, name := range []string{"O 08-22", "S 04-09"} {
		b.Run(name, func(b *testing.B) {
			m := model(b)
			in := workedCases(b).inputs(b, m, name)
			rq := Request{Inputs: in, Claims: asked(m.ClaimIDs()), Needs: asked(m.NeedIDs())}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Assess(rq); err != nil {
					b.Fatal(err)
				}
			}
		})
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
