package quality

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// Backtest runs rules over a capture, and beside them one rule with a change:
// what would the last weeks have looked like? It says nothing about truth, as
// nobody labelled the capture.
type Backtest struct {
	engine  *alert.Engine
	trial   *alert.Engine // nil without a change
	changed string        // the rule that was changed
	what    string
	weeks   map[string]bool
	found   []rules.Finding
	after   []rules.Finding
	first   time.Time
	last    time.Time
}

// NewBacktest prepares rules over one capture. rule names the one to change, by
// threshold or exception or both; empty for none.
func NewBacktest(rs []*alert.Rule, cfg alert.Config, rule, threshold, except string) (*Backtest, error) {
	b := &Backtest{engine: alert.New(rs, cfg), weeks: map[string]bool{}}
	if rule == "" {
		return b, nil
	}
	i := slices.IndexFunc(rs, func(r *alert.Rule) bool { return r.ID.Value == rule })
	if i < 0 {
		return nil, fmt.Errorf("there is no rule %q", rule)
	}
	v, err := rs[i].Variant(threshold, except)
	if err != nil {
		return nil, err
	}
	b.trial, b.changed = alert.New([]*alert.Rule{v}, cfg), rule
	var what []string
	if threshold != "" {
		what = append(what, "threshold "+threshold)
	}
	if except != "" {
		what = append(what, "the exception "+except)
	}
	b.what = strings.Join(what, " and ")
	return b, nil
}

// Observe takes the next event, in order.
func (b *Backtest) Observe(e *event.Event) {
	at := e.When()
	if b.first.IsZero() {
		b.first = at
	}
	b.last = at
	b.weeks[week(at)] = true
	b.engine.Observe(e)
	if b.trial != nil {
		b.trial.Observe(e)
	}
}

// Close ends the stream.
func (b *Backtest) Close(end time.Time) []rules.Finding {
	b.found = b.engine.Close(end)
	if b.trial != nil {
		b.after = b.trial.Close(end)
	}
	return b.found
}

func week(t time.Time) string {
	y, w := t.ISOWeek()
	return fmt.Sprintf("%d-W%02d", y, w)
}

// Print writes the result for people. name turns a member's key into what may be
// shown.
func (b *Backtest) Print(out io.Writer, name func(member string) string) error {
	w := bufio.NewWriter(out)
	var weeks []string
	for x := range b.weeks {
		weeks = append(weeks, x)
	}
	slices.Sort(weeks)
	fmt.Fprintf(w, "Back-test from %s to %s, %d %s with records. Nobody labelled this capture: the figures are load, not quality.\n\n",
		b.first.Format(time.DateOnly), b.last.Format(time.DateOnly), len(weeks), plural(len(weeks), "week"))
	fmt.Fprintf(w, "%-32s %8s %10s %20s  %s\n", "rule", "alerts", "a week", "evaluable", "why not evaluable")
	for _, r := range b.engine.Reports() {
		state := "-"
		if r.Reached > 0 {
			state = fmt.Sprintf("%d of %d", r.Evaluable, r.Reached)
		}
		why := ""
		if len(r.NotEvaluable) > 0 {
			why = r.NotEvaluable[0].Text
		}
		switch {
		case r.Reached == 0:
			why = "no event of its kinds: unproven here"
		case r.Evaluable == 0:
			why += ": blind on this capture"
		}
		tenths := r.Alerts * 10 / int64(max(len(weeks), 1))
		fmt.Fprintf(w, "%-32s %8d %8d.%d %20s  %s\n", r.ID, r.Alerts, tenths/10, tenths%10, state, why)
	}
	fmt.Fprintf(w, "\nBy week\n")
	for _, x := range weeks {
		n := 0
		for i := range b.found {
			if week(b.found[i].Time) == x {
				n++
			}
		}
		fmt.Fprintf(w, "  %s %6d\n", x, n)
	}
	fmt.Fprintf(w, "\nTop keys\n")
	for _, k := range top(b.found, 10) {
		who := "the organisation"
		if k.member != "" {
			who = name(k.member)
		}
		fmt.Fprintf(w, "  %-32s %-28s %d\n", k.rule, who, k.n)
	}
	if len(b.found) == 0 {
		fmt.Fprintln(w, "  none: no rule fired")
	}
	if b.trial != nil {
		b.printTrial(w, name)
	}
	return w.Flush()
}

type keyCount struct {
	rule, member string
	n            int
}

func top(found []rules.Finding, most int) []keyCount {
	count := map[keyCount]int{}
	for i := range found {
		count[keyCount{rule: found[i].Rule, member: found[i].Member}]++
	}
	var out []keyCount
	for k, n := range count {
		k.n = n
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b keyCount) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.rule, b.rule), cmp.Compare(a.member, b.member))
	})
	return out[:min(len(out), most)]
}

func (b *Backtest) printTrial(w io.Writer, name func(string) string) {
	var before []rules.Finding
	for i := range b.found {
		if b.found[i].Rule == b.changed {
			before = append(before, b.found[i])
		}
	}
	has := func(list []rules.Finding, f *rules.Finding) bool {
		return slices.ContainsFunc(list, func(x rules.Finding) bool { return x.Time.Equal(f.Time) && x.Member == f.Member })
	}
	fmt.Fprintf(w, "\nWith %s, %s would have raised %d instead of %d %s\n", b.what, b.changed, len(b.after), len(before), plural(len(before), "alert"))
	list := func(head string, from, without []rules.Finding) {
		n := 0
		for i := range from {
			if f := &from[i]; !has(without, f) {
				if n++; n <= 10 {
					fmt.Fprintf(w, "  %s %s %-24s %s\n", head, f.Time.Format(time.RFC3339), name(f.Member), f.Reason)
				}
			}
		}
		if n > 10 {
			fmt.Fprintf(w, "  %s and %d more\n", head, n-10)
		}
	}
	list("gone", before, b.after)
	list("new ", b.after, before)
	rep := b.trial.Reports()[0]
	if rep.Excepted > 0 {
		fmt.Fprintf(w, "  the exceptions hold %d matching events back\n", rep.Excepted)
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
