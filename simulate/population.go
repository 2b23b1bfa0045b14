package simulate

import "time"

// MostSessions is the most sessions a member opens on one day.
const MostSessions = 8

// Population is the scenario's people as a forecast sees them: how many sessions
// each is expected to open on each day, and what a session asks of the models. A
// run plays the same numbers; a forecast draws from them a thousand times.
// Incidents have no part in it.
type Population struct{ w *world }

// Model is a model of the profile that has a price on the as-of day, and its
// share of sessions.
type Model struct {
	Name   string
	Weight float64
}

// Request is what one API request of a session uses, in tokens.
type Request struct {
	In, Out, CacheRead, CacheWrite int64
	Subagent                       bool
	First                          bool // the first of its prompt
}

// Life is one session as written: its requests in order, and what stands around
// them.
type Life struct {
	Requests []Request
	Prompts  int
	Tools    int
	Searches int // web searches, which the vendor bills apart from tokens
}

// NewPopulation reads the scenario's period as the days of the forecast. Of the
// gate only MayUse is asked.
func NewPopulation(o Options) (*Population, error) {
	s := *o.Scenario
	s.Incidents = nil
	o.Scenario = &s
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	return &Population{w}, nil
}

// Days of the period.
func (p *Population) Days() int { return p.w.days }

// Spread is the sigma of the lognormal factor, of mean 1, by which members differ
// in how much they use the product.
func (p *Population) Spread() float64 { return p.w.p.N.ActivitySigma.Value }

// ElsewhereSpread is the sigma of the lognormal factor, of mean 1, by which a
// member's days in other products differ in what they cost. The empty name is the
// office.
func ElsewhereSpread(profile string) (float64, error) {
	p, err := loadProfile(profile)
	if err != nil {
		return 0, err
	}
	return p.N.ElsewhereSigma.Value, nil
}

// Models of the profile; weights need not add up to 1.
func (p *Population) Models() []Model {
	var out []Model
	for i, m := range p.w.models {
		out = append(out, Model{m, p.w.weights[i]})
	}
	return out
}

// Rates is the number of sessions that a member of average habits is expected to
// open on each day of the period: 0 on days without access, on which attempts
// come to nothing.
func (p *Population) Rates(member int) []float64 {
	s := &p.w.staff[member]
	rates := make([]float64, p.w.days)
	for d := range rates {
		day := p.w.begin.AddDate(0, 0, d)
		at := noon(day, s.zone)
		if !at.Before(s.Joined) && (s.Left.IsZero() || at.Before(s.Left)) && p.w.o.Gate.MayUse(member, "cowork", at) {
			rates[d] = p.w.rate(s, day, day.Format(time.DateOnly), d) * s.persona.Activity.Value
		}
	}
	return rates
}

// Session writes the n-th session of a pool from its own random stream. Nobody
// in particular works in it.
func (p *Population) Session(member, n int) Life {
	sc := p.w.write(spec{staff: &p.w.staff[member], day: p.w.begin.AddDate(0, 0, n%p.w.days).Format(time.DateOnly), n: n + 1000}, new(scribe))
	var l Life
	first := true
	for i := range sc.steps {
		switch st := &sc.steps[i]; st.op {
		case opPrompt:
			l.Prompts++
			first = true
		case opTool:
			l.Tools++
			l.Searches += btoi(st.tool == "WebSearch")
		case opRequest:
			if st.status == 0 { // what failed costs nothing
				l.Requests = append(l.Requests, Request{st.in, st.out, st.read, st.create, st.agent != "", first})
				first = false
			}
		}
	}
	return l
}
