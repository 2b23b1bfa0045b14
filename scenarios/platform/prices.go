package platform

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Price is the list price of a model over a window, in micro-dollars per
// million tokens.
type Price struct {
	Model        source.Text `yaml:"model,required"`
	Aliases      []string    `yaml:"aliases"`
	From         source.Date `yaml:"from,required"`
	To           source.Date `yaml:"to"`
	Input        int64       `yaml:"input,required"`
	Output       int64       `yaml:"output,required"`
	CacheRead    int64       `yaml:"cache_read,required"`
	CacheWrite5m int64       `yaml:"cache_write_5m,required"`
	CacheWrite1h int64       `yaml:"cache_write_1h,required"`
	Source       string      `yaml:"source,required"`
	Read         string      `yaml:"read,required,enum=seen|quoted|inferred|third_party"`
}

// Fallback is the price of a model nobody has a price for. It is never zero:
// an unknown model must not look free.
type Fallback struct {
	Input        int64  `yaml:"input,required"`
	Output       int64  `yaml:"output,required"`
	CacheRead    int64  `yaml:"cache_read"` // not given: the input price
	CacheWrite1h int64  `yaml:"cache_write_1h"`
	Source       string `yaml:"source,required"`
}

// Ratio multiplies a price.
type Ratio struct {
	Numerator   int64  `yaml:"numerator,required"`
	Denominator int64  `yaml:"denominator,required"`
	ModelsFrom  string `yaml:"models_from"`
}

// PriceList is the dated price list. Safe for concurrent use.
type PriceList struct {
	Prices           []Price          `yaml:"prices,required"`
	Modifiers        map[string]Ratio `yaml:"modifiers"`
	Fallback         Fallback         `yaml:"fallback,required"`
	WebSearchPer1000 int64            `yaml:"web_search_per_1000"` // micro-dollars

	byName map[string][]*Price
}

// Prices returns the price list shipped with this version, parsed once.
var Prices = sync.OnceValues(func() (*PriceList, error) { return LoadPrices(embedded) })

// LoadPrices reads prices.yaml of a folder laid out as for LoadFacts.
func LoadPrices(fsys fs.FS) (*PriceList, error) {
	data, err := fs.ReadFile(fsys, "prices.yaml")
	if err != nil {
		return nil, err
	}
	f, err := source.Parse("prices.yaml", data)
	if err != nil {
		return nil, err
	}
	return ParsePrices(f)
}

// ParsePrices reads a price list. Windows of one model must not overlap.
func ParsePrices(f *source.File) (*PriceList, error) {
	l := &PriceList{byName: map[string][]*Price{}}
	if err := f.Decode(l); err != nil {
		return nil, err
	}
	var ps source.Problems
	if l.Fallback.Input <= 0 || l.Fallback.Output <= 0 {
		ps.Add(source.Pos{File: f.Name}, "an unknown model must not look free", "the fallback price is not above zero")
	}
	if l.Fallback.CacheRead == 0 {
		l.Fallback.CacheRead = l.Fallback.Input
	}
	if l.Fallback.CacheWrite1h == 0 {
		l.Fallback.CacheWrite1h = l.Fallback.Input
	}
	owner := map[string]string{}
	for i := range l.Prices {
		p := &l.Prices[i]
		if min(p.Input, p.Output, p.CacheRead, p.CacheWrite5m, p.CacheWrite1h) < 0 {
			ps.Add(p.Model.At, "", "a price of %q is negative", p.Model.Value)
		}
		for _, name := range append([]string{p.Model.Value}, p.Aliases...) {
			if o := owner[name]; o != "" && o != p.Model.Value {
				ps.Add(p.Model.At, "a name stands for one model", "%q is a name of both %q and %q", name, o, p.Model.Value)
			}
			owner[name] = p.Model.Value
			if all := l.byName[name]; len(all) > 0 {
				last := all[len(all)-1]
				if !last.To.Given() || !last.To.Before(p.From) {
					ps.Add(p.Model.At, "end one price on the day before the next starts", "two prices of %q overlap", name)
				}
			}
			l.byName[name] = append(l.byName[name], p)
		}
	}
	if err := f.Explain(ps).Err(); err != nil {
		return nil, err
	}
	return l, nil
}

// With is the list with the prices of o laid over it: a model that o names has
// o's prices from the first of them on and the old ones before; every other model
// keeps its price. Modifiers and the price of a web search are o's where it states
// them, and so is the fallback. Neither list changes.
func (l *PriceList) With(o *PriceList) *PriceList {
	out := *l
	out.Prices, out.byName, out.Modifiers, out.Fallback = nil, maps.Clone(l.byName), maps.Clone(l.Modifiers), o.Fallback
	if out.Modifiers == nil {
		out.Modifiers = map[string]Ratio{}
	}
	maps.Copy(out.Modifiers, o.Modifiers)
	if o.WebSearchPer1000 > 0 {
		out.WebSearchPer1000 = o.WebSearchPer1000
	}
	model := func(name string) string {
		if all := l.byName[name]; len(all) > 0 {
			return all[0].Model.Value
		}
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(o.byName)) {
		newer, names := o.byName[name], []string{name}
		for other := range l.byName { // also what the old list calls the same model
			if m := model(name); m != "" && model(other) == m && o.byName[other] == nil {
				names = append(names, other)
			}
		}
		for _, n := range names {
			var all []*Price
			for _, p := range l.byName[n] {
				if p.From.Before(newer[0].From) {
					all = append(all, p)
				}
			}
			out.byName[n] = append(all, newer...)
		}
	}
	for i := range l.Prices {
		p := &l.Prices[i]
		if newer := out.byName[p.Model.Value]; slices.Contains(newer, p) {
			out.Prices = append(out.Prices, *p)
		}
	}
	out.Prices = append(out.Prices, o.Prices...)
	return &out
}

// InForce reports that at least one price of the list holds on the day.
func (l *PriceList) InForce(day time.Time) bool {
	return slices.ContainsFunc(l.Prices, func(p Price) bool { return !p.From.Time.After(day) && (!p.To.Given() || !p.To.Time.Before(day)) })
}

// Find returns the price of a model on a day: by name or alias, without a
// suffix such as [1m], without a date suffix. The day before a price was first
// seen takes the earliest known one.
func (l *PriceList) Find(model string, day time.Time) (*Price, bool) {
	all := l.byName[model]
	if all == nil {
		all = l.byName[plainName(model)]
	}
	if len(all) == 0 {
		return nil, false
	}
	found := all[0]
	for _, p := range all[1:] {
		if !p.From.Time.After(day) {
			found = p
		}
	}
	return found, true
}

// Sold reports that the model had been seen on a dated price page by the day. Find
// also prices earlier days, for captures; nobody can have been playing with a model
// that was not out.
func (l *PriceList) Sold(model string, day time.Time) bool {
	p, ok := l.Find(model, day)
	return ok && !p.From.Time.After(day)
}

func plainName(m string) string {
	m = strings.ToLower(strings.TrimSpace(m))
	if i := strings.IndexByte(m, '['); i > 0 {
		m = m[:i]
	}
	if i := strings.LastIndexAny(m, "-@"); i > 0 && len(m)-i == 9 {
		for _, c := range m[i+1:] {
			if c < '0' || c > '9' {
				return m
			}
		}
		m = m[:i]
	}
	return m
}

// Cost is what a request costs in micro-dollars at list price, rounded once,
// half to even. Cache writes count at the one-hour price, the dearer one, as
// the stream does not say which was used. An unknown model costs the fallback price and known is
// false. Negative counts are read as zero; a sum beyond int64 is MaxInt64.
func (l *PriceList) Cost(model string, day time.Time, in, out, cacheRead, cacheWrite int64) (micros int64, known bool) {
	pin, pout, pread, pwrite := l.Fallback.Input, l.Fallback.Output, l.Fallback.CacheRead, l.Fallback.CacheWrite1h
	p, known := l.Find(model, day)
	if known {
		pin, pout, pread, pwrite = p.Input, p.Output, p.CacheRead, p.CacheWrite1h
	}
	var hi, lo uint64
	for _, t := range [...][2]int64{{in, pin}, {out, pout}, {cacheRead, pread}, {cacheWrite, pwrite}} {
		if t[0] <= 0 {
			continue
		}
		h, w := bits.Mul64(uint64(t[0]), uint64(t[1]))
		var carry uint64
		lo, carry = bits.Add64(lo, w, 0)
		hi, carry = bits.Add64(hi, h, carry)
		if carry != 0 {
			return math.MaxInt64, known
		}
	}
	const million = 1_000_000
	if hi >= million/2 { // the quotient would not fit in int64
		return math.MaxInt64, known
	}
	q, r := bits.Div64(hi, lo, million)
	if r > million/2 || r == million/2 && q&1 == 1 {
		q++
	}
	if q > math.MaxInt64 {
		return math.MaxInt64, known
	}
	return int64(q), known
}

// String is for messages: the model and its window.
func (p *Price) String() string { return fmt.Sprintf("%s from %s", p.Model.Value, p.From) }
