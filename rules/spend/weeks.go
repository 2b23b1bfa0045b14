package spend

import (
	"math"
	"slices"
	"strings"
	"time"
)

// GroupWeek is what the members of a group spent in one week, and in the month up
// to its end. Weeks begin on Monday and are cut where a month ends, because
// limits begin anew there. A member counts in every group held on the day, so
// groups overlap.
//
// Limit is the group's limit for each member at the end of the week, -1 for none;
// Most is what its members could spend in the month at that limit, which is no
// pool (fact spend-group-limit-semantics).
type GroupWeek struct {
	Group   string `json:"group"`
	From    string `json:"from"` // both days inclusive
	To      string `json:"to"`
	Spent   int64  `json:"spent_micros"`
	ToDate  int64  `json:"month_to_date_micros"`
	Members int    `json:"members"`
	Limit   int64  `json:"limit_micros"`
	Most    int64  `json:"most_micros"`
}

// dayCost is one member's day; days is since 1970.
type dayCost struct {
	day    int32
	micros int64
}

const nsPerDay = int64(24 * time.Hour)

// onDay books a charge on its UTC day. Charges come nearly in order, so the day
// is found at the end.
func (a *account) onDay(ns, micros int64) {
	day := int32(ns / nsPerDay)
	if ns < 0 && ns%nsPerDay != 0 {
		day--
	}
	if n := len(a.days); n == cap(a.days) && (n == 0 || a.days[n-1].day < day) { // by little: one more a day
		a.days = append(make([]dayCost, 0, n+4), a.days...)
	}
	for i := len(a.days) - 1; i >= 0; i-- {
		if d := &a.days[i]; d.day == day {
			d.micros = add(d.micros, micros)
			return
		} else if d.day < day {
			a.days = slices.Insert(a.days, i+1, dayCost{day, micros})
			return
		}
	}
	a.days = slices.Insert(a.days, 0, dayCost{day, micros})
}

// weeks sums the days by group and week. A week in which nobody spent anything
// is left out; a group that spent nothing in another has a row of zero.
func (l *Ledger) weeks() []GroupWeek {
	var days []int32
	for i := range l.accounts {
		for _, d := range l.held(i).days {
			days = append(days, d.day)
		}
	}
	slices.Sort(days)
	days = slices.Compact(days)
	out := []GroupWeek{}
	date := func(day int32) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }
	toDate, month := map[int]int64{}, 0
	for next := 0; next < len(days); {
		from, to := days[next], days[next]
		for date(from).Weekday() != time.Monday && date(from).Day() != 1 {
			from--
		}
		for date(to).Weekday() != time.Sunday && date(to+1).Day() != 1 {
			to++
		}
		for next < len(days) && days[next] <= to {
			next++
		}
		if k := monthKey(date(from)); k != month {
			clear(toDate)
			month = k
		}
		spent := map[int]int64{}
		for i := range l.accounts {
			days := l.held(i).days
			at, _ := slices.BinarySearchFunc(days, from, func(d dayCost, f int32) int { return int(d.day) - int(f) })
			for ; at < len(days) && days[at].day <= to; at++ {
				for _, g := range l.groupsOf(i, date(days[at].day+1).Add(-1)) {
					spent[g] = add(spent[g], days[at].micros)
				}
			}
		}
		end := date(to + 1).Add(-1)
		members := map[int]int{}
		for i := range l.accounts {
			if left := l.dir.Left(i); l.dir.Joined(i).After(end) || !left.IsZero() && left.Before(end) {
				continue
			}
			for _, g := range l.groupsOf(i, end) {
				members[g]++
			}
		}
		for g := range l.cfg.Groups {
			toDate[g] = add(toDate[g], spent[g])
			w := GroupWeek{Group: l.cfg.Groups[g].Name.Value, From: date(from).Format(time.DateOnly), To: date(to).Format(time.DateOnly),
				Spent: spent[g], ToDate: toDate[g], Members: members[g], Limit: -1, Most: -1}
			if x := at(l.byGroup[g], end.UnixNano()); x.state == limited {
				w.Limit, w.Most = x.micros, Exposure(x.micros, members[g])
			}
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b GroupWeek) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// Exposure is what so many members may spend at a limit each, the largest amount
// where that is more. Neither is negative.
func Exposure(limit int64, members int) int64 {
	if members > 0 && limit > math.MaxInt64/int64(members) {
		return math.MaxInt64
	}
	return limit * int64(members)
}
