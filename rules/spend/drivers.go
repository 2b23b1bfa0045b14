package spend

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// Pricer gives the list price of a request in micro-dollars; known is false for
// a model without a price on that day.
type Pricer interface {
	Cost(model string, day time.Time, in, out, cacheRead, cacheWrite int64) (micros int64, known bool)
}

// Drivers splits spend by what drives it: the model, subagents, tool loops (the
// requests of a prompt after its first), the classes of tokens at list price, and
// web searches, which the vendor bills on top of tokens and telemetry's cost does
// not hold. Requests that share the limits count (see Observe of Ledger).
//
// Memory is bounded by the sessions of some days: the last prompt of each. One that goes
// on after more than four days without a request, and perhaps after two, is a new one.
type Drivers struct {
	prices Pricer
	search int64
	prompt *rules.Keys // by session, 48 bits of the key of its last prompt, of this turn
	before *rules.Keys // and of the one before, which was no longer ago than a turn
	turn   int64       // when prompt becomes before; 0: no request yet
	models map[string]*DriverSpend
	total  DriverSpend
	rows   [driverCount]DriverSpend
	listed int64 // list price of the requests that have one, rounded by class
	rates  map[string]*rate
}

// rate is what a million tokens of each class cost on a day, in micro-dollars.
type rate struct {
	day   int64
	micro [4]int64
	known bool
}

// promptTurn is how long a prompt is remembered without a request, at least.
const promptTurn = int64(2 * 24 * time.Hour)

// maxModels bounds the model names kept; a stream may invent them.
const maxModels = 256

const (
	inputTokens = iota
	outputTokens
	cacheReads
	cacheWrites
	subagents
	toolLoops
	webSearches
	driverCount
)

var driverNames = [driverCount]string{"input outside the cache", "output", "cache reads", "cache writes",
	"subagents", "tool loops: requests after a prompt's first", "web searches"}

// DriverSpend is one driver. Rows overlap across the kinds named by Of: token
// classes are of the list price, models, subagents and loops of the spend, and
// searches come on top.
type DriverSpend struct {
	Driver   string `json:"driver"`
	Requests int64  `json:"requests"`
	Micros   int64  `json:"micros"`
	Whole    int64  `json:"of_micros"` // what it is a part of; 0: on top
}

// NewDrivers makes an observer. SearchMicros is the price of one web search.
func NewDrivers(p Pricer, searchMicros int64) *Drivers {
	return &Drivers{prices: p, search: searchMicros, prompt: rules.NewKeys(true), before: rules.NewKeys(true), models: map[string]*DriverSpend{}, rates: map[string]*rate{}}
}

// Observe takes records in order of time.
func (d *Drivers) Observe(ev *event.Event) {
	if ev.Kind == event.ToolResult && ev.Tool == "WebSearch" && shares(ev.Product) {
		d.rows[webSearches].Requests++
		d.rows[webSearches].Micros = add(d.rows[webSearches].Micros, d.search)
		return
	}
	if ev.Kind != event.APIRequest || !shares(ev.Product) || ev.CostMicros < 0 ||
		ev.CostFrom == event.NoCost || ev.CostFrom == event.CostMissing {
		return
	}
	book := func(to *DriverSpend) {
		to.Requests++
		to.Micros = add(to.Micros, ev.CostMicros)
	}
	book(&d.total)
	m := d.models[ev.Model]
	if m == nil {
		name := cmp.Or(strings.Clone(ev.Model), "(unnamed)")
		if len(d.models) >= maxModels {
			name = "(others)"
		}
		if m = d.models[name]; m == nil {
			m = &DriverSpend{Driver: "model " + name}
			d.models[name] = m
			if name == "(unnamed)" {
				d.models[""] = m
			}
		}
	}
	book(m)
	if Subagent(ev) {
		book(&d.rows[subagents])
	}
	if ev.Prompt != "" {
		if ev.Time >= d.turn {
			if d.turn > 0 {
				d.prompt, d.before = d.before, d.prompt
				if d.prompt.Reset(); ev.Time-d.turn >= promptTurn {
					d.before.Reset()
				}
			}
			d.turn = ev.Time + promptTurn
		}
		p := ev.OfPrompt() & (1<<48 - 1)
		last, ok := d.prompt.Swap(ev.OfSession(), p)
		if !ok {
			last, ok = d.before.Value(ev.OfSession())
		}
		if ok && last == p {
			book(&d.rows[toolLoops])
		}
	}
	if d.prices == nil {
		return
	}
	r := d.rate(ev)
	if !r.known {
		return
	}
	for i, tokens := range [...]int64{ev.InputTokens, ev.OutputTokens, ev.CacheRead, ev.CacheWrite} {
		if tokens <= 0 || tokens > 1<<40 { // no request has so many
			continue
		}
		micros := nearestMillionth(tokens, r.micro[i])
		d.rows[i].Requests++
		d.rows[i].Micros = add(d.rows[i].Micros, micros)
		d.listed = add(d.listed, micros)
	}
}

// rate asks for prices once a model and day.
func (d *Drivers) rate(ev *event.Event) *rate {
	const million = 1_000_000
	day := ev.Time / int64(24*time.Hour)
	r := d.rates[ev.Model]
	if r == nil {
		r = &rate{day: day - 1}
		if len(d.rates) < maxModels {
			d.rates[strings.Clone(ev.Model)] = r
		}
	}
	if r.day != day {
		r.day = day
		at := ev.When()
		for i, t := range [...][4]int64{{million}, {0, million}, {0, 0, million}, {0, 0, 0, million}} {
			r.micro[i], r.known = d.prices.Cost(ev.Model, at, t[0], t[1], t[2], t[3])
		}
	}
	return r
}

// nearestMillionth is tokens times a price of a million, rounded half up.
func nearestMillionth(tokens, price int64) int64 {
	const million = 1_000_000
	if price > (1<<63-1-million)/max(tokens, 1) {
		return tokens / million * price
	}
	return (tokens*price + million/2) / million
}

// Subagent reports that a request was made by a subagent, as far as the wire says:
// an agent's name, or a query source that names one.
func Subagent(ev *event.Event) bool {
	return ev.Agent != "" || strings.HasPrefix(ev.QuerySource, "agent:")
}

// Report lists the drivers in a fixed order, models by spend. Drivers that never
// occurred are left out; a stream without any cost gives an empty list.
func (d *Drivers) Report() []DriverSpend {
	out := []DriverSpend{}
	for i, r := range d.rows {
		if r.Requests == 0 {
			continue
		}
		r.Driver, r.Whole = driverNames[i], d.total.Micros
		switch {
		case i <= cacheWrites:
			r.Whole = d.listed
		case i == webSearches:
			r.Whole = 0
		}
		out = append(out, r)
	}
	var models []DriverSpend
	for name, m := range d.models {
		if name != "" { // the same as (unnamed)
			models = append(models, *m)
		}
	}
	slices.SortFunc(models, func(a, b DriverSpend) int {
		return cmp.Or(cmp.Compare(b.Micros, a.Micros), cmp.Compare(a.Driver, b.Driver))
	})
	for _, m := range models {
		m.Whole = d.total.Micros
		out = append(out, m)
	}
	return out
}
