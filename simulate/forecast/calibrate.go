package forecast

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/simulate"
)

// maxPool bounds the sessions a calibration keeps; later ones are counted only.
const maxPool = 50_000

// Below these a capture gives figures and no recommended limit.
const (
	thinDays     = 7
	thinSessions = 50
)

// ErrNoCost is returned when a capture carries no cost on any Cowork request and
// none could be recomputed: spend is then not evaluable, which is not zero.
var ErrNoCost = errors.New("spend is not evaluable: no Cowork request of the capture carries a cost, and none could be recomputed from tokens")

// Level is how much one identity of a capture used the product: sessions seen,
// and sessions an average member would have had on the same days.
type Level struct{ Seen, Expected float64 }

// Calibrator learns from a capture what sessions cost, who opens how many and on
// which weekdays. It keeps one record per session and no text.
type Calibrator struct {
	dir                *org.Directory
	sessions           map[uint64]*heard // by the key of the session
	first              int64
	last               int64
	cowork             int64 // micro-dollars
	others             int64
	requests           int64
	priceless, dropped int64
	drivers            *spend.Drivers
	known              map[int32]string // members to what they call themselves
}

type heard struct {
	session, who string
	start        int64
	costs        []byte // of one request after the other, as unsigned varints: two or three bytes each
}

// cumulative is the cost after each request.
func (h *heard) cumulative() []int64 {
	n := 0
	for _, b := range h.costs {
		if b < 0x80 {
			n++
		}
	}
	out, total := make([]int64, 0, n), int64(0)
	for rest := h.costs; len(rest) > 0; {
		cost, k := binary.Uvarint(rest)
		total += int64(cost)
		out, rest = append(out, total), rest[k:]
	}
	return out
}

// NewCalibrator matches identities against the directory where they are on it.
// Prices split the cost by its drivers; without prices it is not split.
func NewCalibrator(d *org.Directory, prices *platform.PriceList) *Calibrator {
	c := &Calibrator{dir: d, sessions: map[uint64]*heard{}, known: map[int32]string{}}
	if prices != nil {
		c.drivers = spend.NewDrivers(prices, prices.WebSearchPer1000/1000)
	}
	return c
}

// Observe takes records in order of time.
func (c *Calibrator) Observe(ev *event.Event) {
	if ev.Product == event.Cowork && c.drivers != nil {
		c.drivers.Observe(ev)
	}
	if ev.Kind != event.APIRequest || ev.Has&event.FTime == 0 {
		return
	}
	known := ev.CostFrom != event.NoCost && ev.CostFrom != event.CostMissing && ev.CostMicros >= 0
	if ev.Product != event.Cowork {
		if known && (ev.Product == event.ClaudeCode || ev.Product == event.OfficeAgents) {
			c.others += ev.CostMicros
		}
		return
	}
	c.requests++
	if !known {
		c.priceless++
		return
	}
	if c.first == 0 {
		c.first = ev.Time
	}
	c.last = max(c.last, ev.Time)
	c.cowork += ev.CostMicros
	s := c.sessions[ev.OfSession()]
	if s == nil {
		if len(c.sessions) == maxPool || ev.Session == "" {
			c.dropped++
			return
		}
		s = &heard{session: strings.Clone(ev.Session), who: c.identity(ev), start: ev.Time}
		c.sessions[ev.OfSession()] = s
	}
	s.costs = binary.AppendUvarint(s.costs, uint64(ev.CostMicros))
}

// identity names who sent a record, with one text for all sessions of a member.
func (c *Calibrator) identity(ev *event.Event) string {
	who := cmp.Or(ev.Account, ev.Email, ev.AccountID)
	m, id := ev.Who(c.dir)
	if known := c.known[m]; id == event.Matched && known == who {
		return known
	}
	who = strings.Clone(who)
	if id == event.Matched {
		c.known[m] = who
	}
	return who
}

// Others is the share of the spend under the same limits that is not Cowork's;
// -1 when there is no spend.
func (c *Calibrator) Others() float64 {
	if c.cowork+c.others == 0 {
		return -1
	}
	return round(float64(c.others) / float64(c.cowork+c.others))
}

// Model makes the model of a month. May tells who may use Cowork on a day: over
// the days of the capture it gives what a member could have done, over the month
// what they will be able to do.
func (c *Calibrator) Model(month time.Time, may func(member int, day time.Time) bool) (*Model, error) {
	if len(c.sessions) == 0 {
		if c.requests == 0 {
			return nil, errors.New("the capture holds no Cowork request: nothing to calibrate from")
		}
		return nil, ErrNoCost
	}
	from := time.Unix(0, c.first).UTC().Truncate(24 * time.Hour)
	days := int(time.Unix(0, c.last).UTC().Sub(from)/(24*time.Hour)) + 1
	m := &Model{From: month, Days: month.AddDate(0, 1, -1).Day(), Models: []simulate.Model{{Name: "as captured", Weight: 1}}, Captured: true,
		Origin: fmt.Sprintf("a capture of %s to %s (%d days, %d sessions)", from.Format(time.DateOnly), from.AddDate(0, 0, days-1).Format(time.DateOnly), days, len(c.sessions))}

	if c.drivers != nil {
		m.Drivers = c.drivers.Report()
	}
	sessions := make([]*heard, 0, len(c.sessions))
	for _, s := range c.sessions {
		sessions = append(sessions, s)
	}
	slices.SortFunc(sessions, func(a, b *heard) int { return strings.Compare(a.session, b.session) }) // the pool's order must not hang on a map
	var byWeekday [7]float64
	seen := map[string]float64{}
	anonymous := 0.0
	for _, s := range sessions {
		m.Pool = append(m.Pool, Session{Cumulative: [][]int64{s.cumulative()}})
		byWeekday[time.Unix(0, s.start).UTC().Weekday()]++
		if s.who == "" {
			anonymous++
		} else {
			seen[s.who]++
		}
	}
	// Member-days by weekday, among those who could use it.
	members := c.dir.Len()
	var exposed [7]float64
	able := make([][7]float64, members)
	enabled := 0
	for i := range members {
		on := false
		for d := range days {
			if day := from.AddDate(0, 0, d); may(i, day.Add(12*time.Hour)) {
				able[i][day.Weekday()]++
				exposed[day.Weekday()]++
				on = true
			}
		}
		if on {
			enabled++
		}
	}
	if enabled == 0 {
		return nil, errors.New("nobody of this organisation may use Cowork on the days of the capture; check the scenario's period and roles against it")
	}
	var shape [7]float64
	for w := range shape {
		if exposed[w] > 0 {
			shape[w] = byWeekday[w] / exposed[w]
		}
	}
	expected := func(days [7]float64) float64 {
		sum := 0.0
		for w, n := range days {
			sum += n * shape[w]
		}
		return sum
	}
	// Identities that are on the roster keep their own level; the others' levels
	// are drawn by members nobody was heard of.
	matched, own := 0.0, make([]float64, members)
	isMatched := map[string]bool{}
	keys := make([]string, 0, len(seen))
	for k := range seen {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		mem, ok := c.dir.Find(k)
		if !ok {
			mem, ok = c.dir.Find(strings.ToLower(k))
		}
		if ok {
			own[mem] += seen[k]
			matched += seen[k]
			isMatched[k] = true
		}
	}
	total := matched + anonymous
	for _, k := range keys {
		if !isMatched[k] {
			total += seen[k]
		}
	}
	byName := matched >= total/2
	average := 0.0
	for i := range able {
		average += expected(able[i])
	}
	average /= float64(enabled)
	if byName {
		for i := range members {
			if e := expected(able[i]); e > 0 {
				m.Levels = append(m.Levels, Level{own[i], e})
			}
		}
	} else {
		for _, k := range keys {
			m.Levels = append(m.Levels, Level{seen[k], average})
		}
		for len(m.Levels) < enabled {
			m.Levels = append(m.Levels, Level{0, average})
		}
		m.Notes = append(m.Notes, fmt.Sprintf("the capture's identities are not this roster's: members draw their habits from the %d identities heard, %d enabled members counted as unheard", len(keys), max(enabled-len(keys), 0)))
	}
	ratesOf := map[uint32][]float64{} // by the days of the month on which one may use it
	for i := range members {
		var on uint32
		for d := range m.Days {
			if may(i, month.AddDate(0, 0, d).Add(12*time.Hour)) {
				on |= 1 << d
			}
		}
		rates, known := ratesOf[on]
		if !known {
			some := false
			rates = make([]float64, m.Days)
			for d := range rates {
				if on&(1<<d) != 0 {
					rates[d] = shape[month.AddDate(0, 0, d).Weekday()]
					some = some || rates[d] > 0
				}
			}
			if !some {
				rates = nil
			}
			ratesOf[on] = rates
		}
		if rates == nil {
			continue
		}
		w := Worker{Member: i, Name: c.dir.ID(i), Rates: rates}
		if e := expected(able[i]); byName && e > 0 {
			w.Seen, w.Expected = own[i], e
		}
		m.Workers = append(m.Workers, w)
	}
	if anonymous > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%.0f of %.0f sessions name no member: their number counts, and nobody's level", anonymous, total))
	}
	if c.priceless > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d of %d requests carry no cost and are left out", c.priceless, c.requests))
	}
	if c.dropped > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d requests of further sessions, or without a session, are not in the pool", c.dropped))
	}
	if days < thinDays || len(c.sessions) < thinSessions {
		m.Thin = fmt.Sprintf("%d %s in %d %s of capture cannot carry a limit: at least %d in %d days are asked for.",
			len(c.sessions), plural(len(c.sessions), "session", "sessions"), days, plural(days, "day", "days"), thinSessions, thinDays)
	}
	if days < 28 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d day(s) of capture say little about a month: four weeks are the least to rest a limit on", days))
	}
	return m, nil
}
