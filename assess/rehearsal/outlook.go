package rehearsal

import (
	"context"
	"fmt"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
)

// outlookTrials is enough for a band that is drawn. The more people add up, the
// narrower it is and the fewer trials it takes; below fewestTrials a tenth of them
// would be a handful.
const (
	outlookTrials = 300
	outlookPeople = 1000 // for whom that many trials are made
	fewestTrials  = 60
)

// Outlook is the month in which the period ends: spend to date, and what the rest
// of the month may add, from what was seen in the period and without any limit.
type Outlook struct {
	Month  string       `json:"month"`
	Trials int          `json:"trials"` // 0 when the month ended with the period
	Days   []OutlookDay `json:"days"`
	Notes  []string     `json:"notes"`
}

// OutlookDay is cumulative spend at the end of a day, in micro-dollars. Spent is
// -1 on days after the period; P10 to P90 then hold eight of ten trials.
type OutlookDay struct {
	Date  string `json:"date"`
	Spent int64  `json:"spent_micros"`
	P10   int64  `json:"p10_micros"`
	P50   int64  `json:"p50_micros"`
	P90   int64  `json:"p90_micros"`
}

// daily adds up Cowork's spend by UTC day, numbered from 1970.
type daily map[int64]int64

const dayNanos = int64(24 * time.Hour)

func (d daily) Observe(ev *event.Event) {
	if ev.Product == event.Cowork && ev.Kind == event.APIRequest && ev.CostMicros > 0 && ev.Time >= 0 {
		d[ev.Time/dayNanos] += ev.CostMicros
	}
}

// outlook is nil when there is nothing to forecast from, which is no error: a
// stream without cost says so elsewhere.
func (r *run) outlook(ctx context.Context) (*Outlook, error) {
	last := r.to.AddDate(0, 0, -1) // last day of the period
	month := time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC)
	m, err := r.calibration.Model(month, func(member int, day time.Time) bool { return may(r.access, member, rbac.Cowork, day) })
	if err != nil || len(m.Workers) == 0 {
		return nil, nil
	}
	set := make([]int, len(m.Workers))
	for i := range set {
		set[i] = i
	}
	o := &Outlook{Month: month.Format("2006-01"), Days: []OutlookDay{}, Notes: append([]string{}, m.Notes...)}
	end := last.Day() - 1
	var runs []*forecast.Spread
	if end+1 < m.Days {
		o.Trials = max(fewestTrials, min(outlookTrials, outlookTrials*outlookPeople/max(len(set), 1)))
		runs, err = m.Run(ctx, forecast.Options{Trials: o.Trials, Seed: r.s.Seed, Workers: r.o.Workers, OnlyTotals: true, From: end + 1}, set)
		if err != nil {
			return nil, err
		}
	}
	spent := int64(0)
	for d := range m.Days {
		day := OutlookDay{Date: month.AddDate(0, 0, d).Format(time.DateOnly), Spent: -1}
		if d <= end {
			if at := month.AddDate(0, 0, d); !at.Before(r.from) {
				spent += r.perDay[at.UnixNano()/dayNanos]
			}
			day.Spent, day.P10, day.P50, day.P90 = spent, spent, spent, spent
		} else {
			day.P10, day.P50, day.P90 = runs[0].After(end, d, spent, .1), runs[0].After(end, d, spent, .5), runs[0].After(end, d, spent, .9)
		}
		o.Days = append(o.Days, day)
	}
	if month.Before(r.from) {
		o.Notes = append(o.Notes, fmt.Sprintf("the month began before the period: spend before %s is not in it", r.from.Format(time.DateOnly)))
	}
	return o, nil
}
