package spend

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
)

// WhatIf replays one stream against two configurations at once: as it is, and with
// limits or prices changed.
type WhatIf struct {
	before, after *Ledger
	changed       Changed
	asWas         int64 // requests that the price list leaves as they were
}

// Changed is what is tried: limits in place of those configured, and prices in
// thousandths of what they are, by model ("" for all). List is another price list
// in place of Base, by which the requests were priced; both or neither are given,
// and factors come on top.
type Changed struct {
	Limits     []org.Change // each with a Limit; When may be left zero for "from the start"
	Prices     map[string]int64
	Base, List *platform.PriceList
}

// NewWhatIf starts a comparison under the rules of limits.
func NewWhatIf(d *org.Directory, r Rules, c Changed) *WhatIf {
	w := &WhatIf{before: New(d, r), changed: c}
	cfg, dir := *d.Config, *d
	cfg.Changes = slices.Clone(cfg.Changes)
	for _, ch := range c.Limits {
		if ch.When.IsZero() {
			// Before any stream, and inside what a time in nanoseconds can hold.
			ch.When = time.Unix(0, 0).UTC()
		}
		cfg.Changes = append(cfg.Changes, ch)
	}
	dir.Config = &cfg
	w.after = New(&dir, r)
	return w
}

// Observe takes records in order of time.
func (w *WhatIf) Observe(ev *event.Event) {
	w.before.Observe(ev)
	if ev.Kind != event.APIRequest || ev.CostMicros <= 0 {
		w.after.Observe(ev)
		return
	}
	dear := *ev
	if w.changed.List != nil {
		if micros, ok := Repriced(ev, w.changed.Base, w.changed.List); ok {
			dear.CostMicros = micros
		} else {
			w.asWas++
		}
	}
	f, ok := w.changed.Prices[ev.Model]
	if !ok {
		f, ok = w.changed.Prices[""]
	}
	if ok {
		dear.CostMicros = scale(dear.CostMicros, f)
	}
	w.after.Observe(&dear)
}

// Repriced is what a request would have cost by list: what it did cost, in the
// proportion of its tokens' price by list to that by base, both on its own day, so
// that modifiers no list shows (place, speed, discount) stay in it. Rounded half
// up. ok is false where the two lists price it alike, or where base has no price
// that the cost could have come from.
func Repriced(ev *event.Event, base, list *platform.PriceList) (micros int64, ok bool) {
	price := func(l *platform.PriceList) (int64, bool) {
		return l.Cost(ev.Model, ev.When(), ev.InputTokens, ev.OutputTokens, ev.CacheRead, ev.CacheWrite)
	}
	was, known := price(base)
	now, _ := price(list)
	if !known || was <= 0 || was == now || ev.CostMicros < 0 {
		return ev.CostMicros, false
	}
	hi, lo := bits.Mul64(uint64(ev.CostMicros), uint64(max(now, 0)))
	lo, carry := bits.Add64(lo, uint64(was)/2, 0)
	if hi += carry; hi >= uint64(was) {
		return math.MaxInt64, true
	}
	q, _ := bits.Div64(hi, lo, uint64(was))
	return int64(min(q, math.MaxInt64)), true
}

// scale is micros times thousandths, rounded half up, saturating.
func scale(micros, thousandths int64) int64 {
	if thousandths <= 0 {
		return 0
	}
	if micros > (1<<63-1)/thousandths-500 {
		return 1<<63 - 1
	}
	return (micros*thousandths + 500) / 1000
}

// BlockDiff is a member's month whose blocking the change moves. A day is "" where
// nothing would have blocked.
type BlockDiff struct {
	Member string   `json:"member"`
	Groups []string `json:"groups"` // of the member in that month
	Month  string   `json:"month"`
	Before Bound    `json:"before"`
	After  Bound    `json:"after"`
}

// Bound is when and by what a member was first bound, and the later work that it
// touches.
type Bound struct {
	Day   string `json:"first_day"`
	By    string `json:"bound_by"`
	Limit int64  `json:"limit_micros"`
	Later Bucket `json:"later"`
}

// Difference is what the change does over the stream.
type Difference struct {
	Evaluable    bool        `json:"evaluable"`
	CostBefore   int64       `json:"cost_before_micros"`
	CostAfter    int64       `json:"cost_after_micros"`
	BlockedThen  int         `json:"member_months_blocked_before"`
	BlockedNow   int         `json:"member_months_blocked_after"`
	LaterBefore  Bucket      `json:"later_work_before"`
	LaterAfter   Bucket      `json:"later_work_after"`
	Moved        []BlockDiff `json:"moved"` // newly blocked, freed, or on another day
	Unattributed Bucket      `json:"unattributed"`
	Notes        []string    `json:"notes"`
}

// Difference may be asked at any time.
func (w *WhatIf) Difference() *Difference {
	a, b := w.before.Summary(), w.after.Summary()
	d := &Difference{Evaluable: a.Evaluable && a.Requests > 0, CostBefore: a.Total, CostAfter: b.Total, BlockedThen: len(a.WouldBlock), BlockedNow: len(b.WouldBlock),
		Moved: []BlockDiff{}, Unattributed: a.Unattributed, Notes: []string{}}
	for _, n := range b.Notes {
		if !slices.Contains(a.Notes, n) || strings.Contains(n, "carry no cost") {
			d.Notes = append(d.Notes, n)
		}
	}
	type key struct{ member, month string }
	rows := map[key]*BlockDiff{}
	if w.asWas > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d requests cost what they did: the price list asked about prices their model on their day as the shipped one does, or the shipped one knows no price of it", w.asWas))
	}
	bound := func(list []Blocked, side func(*BlockDiff) *Bound, sum *Bucket) {
		for _, x := range list {
			k := key{x.Member, x.Month}
			if rows[k] == nil {
				rows[k] = &BlockDiff{Member: x.Member, Month: x.Month, Groups: w.groups(x.Member, x.Time)}
			}
			*side(rows[k]) = Bound{x.Time.UTC().Format(time.DateOnly), x.BoundBy, x.Limit, x.Later}
			sum.Requests += x.Later.Requests
			sum.Micros = add(sum.Micros, x.Later.Micros)
		}
	}
	bound(a.WouldBlock, func(r *BlockDiff) *Bound { return &r.Before }, &d.LaterBefore)
	bound(b.WouldBlock, func(r *BlockDiff) *Bound { return &r.After }, &d.LaterAfter)
	for _, r := range rows {
		if r.Before.Day != r.After.Day || r.Before.By != r.After.By {
			d.Moved = append(d.Moved, *r)
		}
	}
	d.sort()
	return d
}

func (d *Difference) sort() {
	slices.SortFunc(d.Moved, func(a, b BlockDiff) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(cmp.Or(a.After.Day, "~"), cmp.Or(b.After.Day, "~")), cmp.Compare(a.Member, b.Member))
	})
}

func (w *WhatIf) groups(member string, t time.Time) []string {
	out := []string{}
	if i, ok := w.before.member(member); ok {
		for _, g := range w.before.groupsOf(i, t) {
			out = append(out, w.before.cfg.Groups[g].Name.Value)
		}
	}
	return out
}

// Rename replaces the member of every row.
func (d *Difference) Rename(name func(member string) string) {
	for i := range d.Moved {
		if m := d.Moved[i].Member; m != "" {
			d.Moved[i].Member = name(m)
		}
	}
	d.sort()
}

// Write prints the difference.
func (d *Difference) Write(w io.Writer) error {
	var b strings.Builder
	say := func(f string, args ...any) { fmt.Fprintf(&b, f+"\n", args...) }
	if !d.Evaluable {
		say("Not evaluable: no request of the capture carries a cost, which is not a cost of zero.")
		_, err := io.WriteString(w, b.String())
		return err
	}
	sign := ""
	if d.CostAfter >= d.CostBefore {
		sign = "+"
	}
	say("cost %s -> %s (%s%s)", Dollars(d.CostBefore), Dollars(d.CostAfter), sign, Dollars(d.CostAfter-d.CostBefore))
	say("member-months that a limit would have stopped: %d -> %d; later work it touches: %d requests (%s) -> %d (%s)",
		d.BlockedThen, d.BlockedNow, d.LaterBefore.Requests, Dollars(d.LaterBefore.Micros), d.LaterAfter.Requests, Dollars(d.LaterAfter.Micros))
	for _, n := range d.Notes {
		say("note: %s", n)
	}
	for _, r := range d.Moved {
		side := func(x Bound) string {
			if x.Day == "" {
				return "never stopped"
			}
			return fmt.Sprintf("stopped on %s by %s (%s)", x.Day, x.By, Dollars(x.Limit))
		}
		say("  %s  %-17s  %s: %s -> %s", r.Month, cmp.Or(r.Member, "(unattributed)"), strings.Join(r.Groups, ", "), side(r.Before), side(r.After))
	}
	if len(d.Moved) == 0 {
		say("  nobody is stopped on another day than before")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ParseAmount reads an amount for a limit in dollars: at most two decimals; "none"
// is no amount.
func ParseAmount(s string) (micros int64, none bool, err error) {
	if s == "none" {
		return 0, true, nil
	}
	n, err := decimal(strings.TrimPrefix(s, "$"), 2)
	if err != nil {
		return 0, false, err
	}
	if n > (1<<63-1)/Cent {
		return 0, false, fmt.Errorf("%q is too large", s)
	}
	return n * Cent, false, nil
}

// ParseFactor reads a factor with at most three decimals as thousandths.
func ParseFactor(s string) (int64, error) { return decimal(s, 3) }
