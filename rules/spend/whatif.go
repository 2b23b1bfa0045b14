package spend

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// WhatIf replays one stream against two configurations at once: as it is, and with
// limits or prices changed.
type WhatIf struct {
	before, after *Ledger
	factor        map[string]int64 // model -> price in thousandths; "" for every model
}

// Changed is what is tried: limits in place of those configured, and prices in
// thousandths of what they are, by model ("" for all).
type Changed struct {
	Limits []org.Change // each with a Limit; When may be left zero for "from the start"
	Prices map[string]int64
}

// NewWhatIf starts a comparison under the rules of limits.
func NewWhatIf(d *org.Directory, r Rules, c Changed) *WhatIf {
	w := &WhatIf{before: New(d, r), factor: c.Prices}
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
	f, ok := w.factor[ev.Model]
	if !ok {
		f, ok = w.factor[""]
	}
	if !ok || ev.Kind != event.APIRequest || ev.CostMicros <= 0 {
		w.after.Observe(ev)
		return
	}
	dear := *ev
	dear.CostMicros = scale(ev.CostMicros, f)
	w.after.Observe(&dear)
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
