// Package forecast answers what a limit would do before anybody enters it: a
// Monte-Carlo over a month of a population, either the scenario's own (the
// numbers a run plays) or one calibrated from a capture.
//
// A trial draws each member's habits and, day by day, the number of sessions and
// which sessions of a pool of written or observed ones they are. Spend follows
// request by request, so that a limit stops a member where the platform would:
// before the next request once spend has reached it, never in the middle of one.
//
// Every draw is a function of the seed, the trial, the member, the day and the
// place in the day. So trials repeat, for any number of workers, and two
// alternatives (another limit, price or number of sessions) are compared on the
// same lives: common random numbers. All amounts are int64 micro-dollars.
package forecast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate"
)

// poolSize is how many sessions the pool of a scenario holds. The mean of so
// many is within about one percent of the true one.
const poolSize = 6000

// Session is one session of the pool: what it has cost after each request, for
// each model.
type Session struct {
	Cumulative [][]int64 // by model, then by request
	Parts      []Parts   // by model; nil when the capture does not tell
	Prompts    int
	Tools      int
	Searches   int
}

// Parts are what a session's cost is made of, in micro-dollars, each rounded by
// itself. Cold is the whole, had nothing been found in the cache.
type Parts struct {
	Input     int64 `json:"input"`
	Output    int64 `json:"output"`
	Read      int64 `json:"cache_read"`
	Write     int64 `json:"cache_write"`
	Subagents int64 `json:"subagents"`
	Later     int64 `json:"tool_loop"` // every request of a prompt but its first
	Cold      int64 `json:"without_cache"`
}

// Total is what the session costs on a model.
func (s *Session) Total(model int) int64 {
	c := s.Cumulative[model]
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1]
}

// Worker is a member who may spend in the month. Rates is the expected number of
// sessions on each day for somebody whose level is 1.
type Worker struct {
	Member int // index in the directory
	Name   string
	Rates  []float64 // workers of equal rates may share them
	// Seen and Expected calibrate a member from a capture: sessions seen, and
	// those that the rates expect over the same days. Zero Expected: nothing is
	// known, and the level is drawn from the population.
	Seen, Expected float64
}

// Model is what trials draw from.
type Model struct {
	From    time.Time // first day of the month, UTC
	Days    int
	Workers []Worker
	Pool    []Session
	Models  []simulate.Model
	Spread  float64 // sigma of the level, lognormal with mean 1
	Levels  []Level // levels seen in a capture, for members it knows nothing of; used instead of Spread
	Origin  string  // where the numbers are from, in words
	// Captured is set for a model calibrated from a capture, and Drivers are then
	// what its spend was made of.
	Captured bool
	// Thin says, in a sentence, why the capture cannot carry a limit; "" when it can.
	Thin    string
	Drivers []spend.DriverSpend
	Notes   []string
}

// Month is the scenario's first whole month with every dated change of group
// membership behind it: the month a settled budget is for.
func Month(d *org.Directory, from time.Time) time.Time {
	last := from
	if cuts := d.Cuts(); len(cuts) > 0 {
		if t := time.Unix(0, cuts[len(cuts)-1]).UTC(); t.After(last) {
			last = t
		}
	}
	first := time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC)
	if first.Before(last) {
		first = first.AddDate(0, 1, 0)
	}
	return first
}

// Scenario makes the model of a scenario's own population for a month. Options
// are those of a run; of the gate only MayUse is asked, and prices are those of
// as_of, as in a run.
func Scenario(o simulate.Options, month time.Time) (*Model, error) {
	s, err := inMonth(o, month)
	if err != nil {
		return nil, err
	}
	p, err := simulate.NewPopulation(s)
	if err != nil {
		return nil, err
	}
	m := &Model{From: month, Days: p.Days(), Models: p.Models(), Spread: p.Spread(), Origin: "the scenario's own population",
		Notes: []string{"no distribution of Cowork's cost has been published: what people do here is the behaviour profile's, mostly assumptions; calibrate with --from before you enter a number"}}
	for i := range o.Directory.Len() {
		if rates := p.Rates(i); slices.ContainsFunc(rates, func(r float64) bool { return r > 0 }) {
			m.Workers = append(m.Workers, Worker{Member: i, Name: o.Directory.ID(i), Rates: rates})
		}
	}
	if len(m.Workers) == 0 {
		return m, nil
	}
	m.Pool = make([]Session, poolSize)
	parallel(o.Workers, poolSize, func(n int) {
		l := p.Session(m.Workers[n%len(m.Workers)].Member, n/len(m.Workers))
		ps := Session{Prompts: l.Prompts, Tools: l.Tools, Searches: l.Searches}
		for _, mod := range m.Models {
			cost := func(in, out, read, write int64) int64 {
				micros, _ := o.Prices.Cost(mod.Name, o.Scenario.AsOf.Time, in, out, read, write)
				return micros
			}
			var sum int64
			var parts Parts
			line := make([]int64, len(l.Requests))
			for i, r := range l.Requests {
				micros := cost(r.In, r.Out, r.CacheRead, r.CacheWrite)
				sum += micros
				line[i] = sum
				parts.Input += cost(r.In, 0, 0, 0)
				parts.Output += cost(0, r.Out, 0, 0)
				parts.Read += cost(0, 0, r.CacheRead, 0)
				parts.Write += cost(0, 0, 0, r.CacheWrite)
				parts.Cold += cost(r.In, r.Out, 0, r.CacheRead+r.CacheWrite)
				if r.Subagent {
					parts.Subagents += micros
				}
				if !r.First {
					parts.Later += micros
				}
			}
			ps.Cumulative = append(ps.Cumulative, line)
			ps.Parts = append(ps.Parts, parts)
		}
		m.Pool[n] = ps
	})
	return m, nil
}

// inMonth is the options of a run over one month without incidents.
func inMonth(o simulate.Options, month time.Time) (simulate.Options, error) {
	if o.Scenario == nil || o.Directory == nil || o.Gate == nil || o.Prices == nil {
		return o, errors.New("forecast: scenario, directory, gate and prices are all needed")
	}
	s := *o.Scenario
	s.Period.From.Time, s.Period.To.Time = month, month.AddDate(0, 1, -1)
	s.Incidents = nil
	o.Scenario = &s
	return o, nil
}

// Options of the trials. Groups are the alternatives' subjects: workers by their
// place in Model.Workers. Workers below 1 means one per processor.
type Options struct {
	Trials  int
	Seed    uint64
	Workers int
	// Rate multiplies the sessions of a day (0-based) for what-if; nil is 1.
	Rate func(day int) float64
	// Price multiplies what everything costs, in thousandths; 0 is 1000.
	Price int64
	// Weights replaces the models' shares; nil keeps them.
	Weights []float64
	// OnlyTotals leaves out Months and Needs of a Spread, which take 16 bytes for each
	// member and trial.
	OnlyTotals bool
	// From is the first day that is played (0-based); those before it have no sessions.
	From int
}

// life is what all trials draw members' months from.
type life struct {
	m       *Model
	o       *Options
	weights []float64 // cumulative, up to 1
}

func newLife(m *Model, o *Options) *life {
	l := &life{m: m, o: o}
	sum := 0.0
	for i := range m.Models {
		w := m.Models[i].Weight
		if o.Weights != nil {
			w = o.Weights[i]
		}
		sum += w
		l.weights = append(l.weights, sum)
	}
	for i := range l.weights {
		l.weights[i] /= sum
	}
	return l
}

// pick is one session of a member's month.
type pick struct {
	day     int32
	session int32
	model   int32
}

// trial draws members' months, one after the other.
type trial struct {
	*life
	name    string
	stream  rand.PCG
	r       *rand.Rand // of stream
	picks   []pick
	means   [7]float64 // of days with sessions to come, as weekdays come again
	nothing [7]float64 // the chance that there is none, by means
}

func (l *life) trial(n int) *trial {
	t := &trial{life: l, name: strconv.Itoa(n), nothing: [7]float64{1, 1, 1, 1, 1, 1, 1}}
	t.r = rand.New(&t.stream)
	return t
}

// draw gives the sessions of a worker, in order, until the next one is drawn.
func (t *trial) draw(worker int) []pick {
	w := &t.m.Workers[worker]
	t.stream.Seed(org.Seeds(t.o.Seed, "forecast", w.Name, t.name))
	level, key := t.level(w, t.r), t.r.Uint64()
	picks := t.picks[:0]
	for d := t.o.From; d < len(w.Rates); d++ {
		rate := w.Rates[d]
		if rate <= 0 {
			continue
		}
		rate *= level
		if t.o.Rate != nil {
			rate *= t.o.Rate(d)
		}
		if t.means[d%7] != rate {
			t.means[d%7], t.nothing[d%7] = rate, math.Exp(-rate)
		}
		n := poisson(uniform(key, uint64(d)<<8), rate, t.nothing[d%7])
		for k := range min(n, simulate.MostSessions) {
			at := uint64(d)<<8 + uint64(k)*2 + 1
			model, u := 0, uniform(key, at)
			for model < len(t.weights)-1 && u >= t.weights[model] {
				model++
			}
			picks = append(picks, pick{int32(d), int32(uniform(key, at+1) * float64(len(t.m.Pool))), int32(model)})
		}
	}
	t.picks = picks
	return picks
}

// level is how much a member uses the product, against the rates. One who was
// seen in a capture is known up to chance: the gamma that the seen sessions
// leave, with half a session of doubt.
func (l *life) level(w *Worker, r *rand.Rand) float64 {
	if w.Expected > 0 {
		return gamma(r, w.Seen+0.5) / w.Expected
	}
	if n := len(l.m.Levels); n > 0 {
		x := l.m.Levels[r.IntN(n)]
		return gamma(r, x.Seen+0.5) / x.Expected
	}
	return math.Exp(l.m.Spread*r.NormFloat64() - l.m.Spread*l.m.Spread/2)
}

// uniform is a number in [0, 1) that depends on nothing but its arguments.
func uniform(key, at uint64) float64 {
	x := key + (at+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// poisson inverts the distribution, so that a higher mean never gives fewer for
// the same u. Nothing is the chance of zero, the exponential of -mean.
func poisson(u, mean, nothing float64) int {
	p := nothing
	n, sum := 0, p
	for u >= sum && n < 4*simulate.MostSessions {
		n++
		p *= mean / float64(n)
		sum += p
	}
	return n
}

// gamma draws from the gamma distribution of the shape and scale 1 (Marsaglia
// and Tsang).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(1-r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

func (l *life) price(micros int64) int64 {
	if l.o.Price == 0 || l.o.Price == 1000 {
		return micros
	}
	return micros * l.o.Price / 1000
}

// parallel runs f for 0 to n-1 on the workers.
func parallel(workers, n int, f func(int)) {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < n; i += workers {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// Quantiles of an amount over trials. SE is the standard error of each, from the
// order statistics.
type Quantiles struct {
	Mean, P10, P50, P90, P95, P99 int64
	SE                            struct{ Mean, P50, P90, P99 int64 }
}

// quantile of sorted values, nearest rank.
func quantile(sorted []int64, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(p*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// quantileError is half the width of the interval of one standard error of the
// rank.
func quantileError(sorted []int64, p float64) int64 {
	n := float64(len(sorted))
	if n == 0 {
		return 0
	}
	h := math.Sqrt(p * (1 - p) / n)
	return (quantile(sorted, p+h) - quantile(sorted, p-h) + 1) / 2
}

// quantiles sorts values in place.
func quantiles(values []int64) Quantiles {
	slices.Sort(values)
	var q Quantiles
	var sum, square float64
	for _, v := range values {
		sum += float64(v)
	}
	n := float64(len(values))
	if n == 0 {
		return q
	}
	mean := sum / n
	for _, v := range values {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	q.Mean = int64(math.Round(mean))
	q.P10, q.P50, q.P90, q.P95, q.P99 = quantile(values, .1), quantile(values, .5), quantile(values, .9), quantile(values, .95), quantile(values, .99)
	q.SE.P50, q.SE.P90, q.SE.P99 = quantileError(values, .5), quantileError(values, .9), quantileError(values, .99)
	if n > 1 {
		q.SE.Mean = int64(math.Round(math.Sqrt(square / (n - 1) / n)))
	}
	return q
}

// Estimate is a mean over trials with its standard error.
type Estimate struct {
	Mean float64 `json:"mean"`
	SE   float64 `json:"se"`
}

func estimate(values []float64) Estimate {
	n := float64(len(values))
	if n == 0 {
		return Estimate{}
	}
	var sum, square float64
	for _, v := range values {
		sum += v
	}
	for _, v := range values {
		square += (v - sum/n) * (v - sum/n)
	}
	e := Estimate{Mean: round(sum / n)}
	if n > 1 {
		e.SE = round(math.Sqrt(square / (n - 1) / n))
	}
	return e
}

// round keeps six decimals, so that equal runs print equal numbers.
func round(x float64) float64 { return math.Round(x*1e6) / 1e6 }

func (e Estimate) String() string { return fmt.Sprintf("%.4f ± %.4f", e.Mean, e.SE) }

// Spread is what trials of an unlimited month gave for a set of workers.
type Spread struct {
	Workers []int
	Totals  []int64   // by trial: spend of the set
	ByDay   [][]int64 // by day, then trial: spend up to and with that day
	Months  []int64   // every member-month's spend, sorted
	// Needs is, for every member-month, sorted, the spend before its last
	// request: a limit up to that would have refused a request. -1 for a month
	// without one.
	Needs    []int64
	Sessions int64 // over all trials
}

// Quantiles of the set's spend.
func (s *Spread) Quantiles() Quantiles { return quantiles(slices.Clone(s.Totals)) }

// MemberQuantiles are those of one member's month.
func (s *Spread) MemberQuantiles() Quantiles { return quantiles(slices.Clone(s.Months)) }

// Fan is the cumulative spend by day at a quantile.
func (s *Spread) Fan(p float64) []int64 {
	out := make([]int64, len(s.ByDay))
	for d, v := range s.ByDay {
		v = slices.Clone(v)
		slices.Sort(v)
		out[d] = quantile(v, p)
	}
	return out
}

// After is the spend at the end of a later day at a quantile, when so much had been
// spent at the end of day from (both 0-based).
func (s *Spread) After(from, day int, spent int64, p float64) int64 {
	more := make([]int64, len(s.Totals))
	for t := range more {
		more[t] = s.ByDay[day][t] - s.ByDay[from][t]
	}
	slices.Sort(more)
	return spent + quantile(more, p)
}

// capFor is the smallest limit, in whole cents, under which a member's month is
// cut short with at most the given chance, and its standard error. The chance is
// taken over member-months of the set.
func (s *Spread) capFor(chance float64) (micros, se int64) {
	need := quantile(s.Needs, 1-chance)
	const cent = 10_000
	return (max(need, 0)/cent + 1) * cent, quantileError(s.Needs, 1-chance)
}

// Run plays the trials without any limit. Sets name workers by their place in
// Model.Workers; a worker may be in several.
func (m *Model) Run(ctx context.Context, o Options, sets ...[]int) ([]*Spread, error) {
	if o.Trials < 1 {
		return nil, errors.New("forecast: at least one trial is needed")
	}
	out := make([]*Spread, len(sets))
	in := make([][]int, len(m.Workers)) // sets of each worker
	for s, set := range sets {
		out[s] = &Spread{Workers: set, Totals: make([]int64, o.Trials), ByDay: make([][]int64, m.Days)}
		if !o.OnlyTotals {
			out[s].Months, out[s].Needs = make([]int64, 0, o.Trials*len(set)), make([]int64, 0, o.Trials*len(set))
		}
		for d := range m.Days {
			out[s].ByDay[d] = make([]int64, o.Trials)
		}
		for _, w := range set {
			in[w] = append(in[w], s)
		}
	}
	l := newLife(m, &o)
	var mu sync.Mutex
	parallel(o.Workers, o.Trials, func(t int) {
		if ctx.Err() != nil {
			return
		}
		draws := l.trial(t)
		months, needs := make([][]int64, len(sets)), make([][]int64, len(sets))
		sessions, totals := make([]int64, len(sets)), make([]int64, len(sets))
		days := make([]int64, len(sets)*m.Days) // by set, then day
		for w := range m.Workers {
			if len(in[w]) == 0 {
				continue
			}
			picks := draws.draw(w)
			total, need := int64(0), int64(-1)
			for _, p := range picks {
				line := m.Pool[p.session].Cumulative[p.model]
				if len(line) == 0 {
					continue
				}
				need = total
				if len(line) > 1 {
					need += l.price(line[len(line)-2])
				}
				cost := l.price(line[len(line)-1])
				total += cost
				for _, s := range in[w] {
					days[s*m.Days+int(p.day)] += cost
				}
			}
			for _, s := range in[w] {
				if !o.OnlyTotals {
					months[s], needs[s] = append(months[s], total), append(needs[s], need)
				}
				sessions[s] += int64(len(picks))
				totals[s] += total
			}
		}
		for s := range sets { // no other trial writes here
			out[s].Totals[t] = totals[s]
			for d := range m.Days {
				out[s].ByDay[d][t] = days[s*m.Days+d]
			}
		}
		mu.Lock()
		for s := range sets {
			out[s].Months = append(out[s].Months, months[s]...)
			out[s].Needs = append(out[s].Needs, needs[s]...)
			out[s].Sessions += sessions[s]
		}
		mu.Unlock()
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, s := range out {
		for d := 1; d < m.Days; d++ {
			for t := range s.ByDay[d] {
				s.ByDay[d][t] += s.ByDay[d-1][t]
			}
		}
		slices.Sort(s.Months)
		slices.Sort(s.Needs)
	}
	return out, nil
}

// Effect is what a limit does to a set of workers in a month, over the trials.
type Effect struct {
	Cap int64 `json:"cap_micros"` // -1: none
	// Exposure is cap times members: what the set may spend before everybody is
	// stopped.
	Exposure     int64      `json:"exposure_micros"`
	MemberMonth  Estimate   `json:"chance_member_blocked"`
	Any          Estimate   `json:"chance_any_blocked"`
	Tenth        Estimate   `json:"chance_tenth_blocked"` // at least a tenth of the members
	Members      Estimate   `json:"expected_blocked_members"`
	ByDay        []Estimate `json:"chance_blocked_by_day"` // of a member, up to and with each day
	Lost         int64      `json:"expected_lost_micros"`  // work that did not run, at its cost
	LostSE       int64      `json:"expected_lost_se"`
	LostSessions Estimate   `json:"expected_sessions_cut"`
	Overshoot    int64      `json:"largest_overshoot_micros"` // of one member, by the request in flight
	Spend        Quantiles  `json:"-"`
	spendByTrial []int64
}

// Try plays the trials with a limit on every worker of a set. The same seed and
// trials as another call give the same lives.
func (m *Model) Try(ctx context.Context, o Options, set []int, limits ...int64) ([]Effect, error) {
	if o.Trials < 1 {
		return nil, errors.New("forecast: at least one trial is needed")
	}
	type result struct {
		blocked int
		byDay   []int32
		lost    int64
		cut     int
		over    int64
		spend   int64
	}
	results := make([][]result, len(limits)) // by limit, then trial
	for i := range results {
		results[i] = make([]result, o.Trials)
	}
	l := newLife(m, &o)
	parallel(o.Workers, o.Trials, func(t int) {
		if ctx.Err() != nil {
			return
		}
		draws := l.trial(t)
		for i := range limits {
			results[i][t].byDay = make([]int32, m.Days)
		}
		for _, w := range set {
			picks := draws.draw(w)
			for i, limit := range limits {
				r := &results[i][t]
				spent, at := int64(0), -1 // at: day of the first refused request
				for _, p := range picks {
					line := m.Pool[p.session].Cumulative[p.model]
					if len(line) == 0 {
						continue
					}
					total := l.price(line[len(line)-1])
					if limit < 0 || spent+total < limit {
						spent += total
						continue
					}
					if spent >= limit { // refused at the door
						r.cut++
						r.lost += total
						if at < 0 {
							at = int(p.day)
						}
						continue
					}
					// The request that reaches the limit still completes.
					k, _ := slices.BinarySearchFunc(line, limit-spent, func(c, left int64) int { return cmp.Compare(l.price(c), left) })
					done := l.price(line[k])
					spent += done
					r.over = max(r.over, spent-limit)
					if k < len(line)-1 {
						r.cut++
						r.lost += total - done
						at = int(p.day)
					}
				}
				r.spend += spent
				if at >= 0 {
					r.blocked++
					r.byDay[at]++
				}
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []Effect
	n := float64(max(len(set), 1))
	for i, limit := range limits {
		e := Effect{Cap: limit, Exposure: -1}
		if limit >= 0 {
			e.Exposure = spend.Exposure(limit, len(set))
		}
		column := func(f func(*result) float64) []float64 {
			v := make([]float64, o.Trials)
			for t := range v {
				v[t] = f(&results[i][t])
			}
			return v
		}
		e.MemberMonth = estimate(column(func(r *result) float64 { return float64(r.blocked) / n }))
		e.Members = estimate(column(func(r *result) float64 { return float64(r.blocked) }))
		e.Any = estimate(column(func(r *result) float64 { return btof(r.blocked > 0) }))
		e.Tenth = estimate(column(func(r *result) float64 { return btof(float64(r.blocked) >= n/10 && r.blocked > 0) }))
		lost := estimate(column(func(r *result) float64 { return float64(r.lost) }))
		e.Lost, e.LostSE = int64(math.Round(lost.Mean)), int64(math.Round(lost.SE))
		e.LostSessions = estimate(column(func(r *result) float64 { return float64(r.cut) }))
		upTo := make([]float64, o.Trials)
		for d := range m.Days {
			e.ByDay = append(e.ByDay, estimate(column(func(r *result) float64 { return float64(r.byDay[d]) / n })))
			for t := range upTo {
				upTo[t] += float64(results[i][t].byDay[d]) / n
			}
			e.ByDay[d] = estimate(upTo)
		}
		for t := range results[i] {
			e.Overshoot = max(e.Overshoot, results[i][t].over)
			e.spendByTrial = append(e.spendByTrial, results[i][t].spend)
		}
		e.Spend = quantiles(slices.Clone(e.spendByTrial))
		out = append(out, e)
	}
	return out, nil
}

func btof(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
