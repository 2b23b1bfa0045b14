package reports

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Findings, and how one is told from what only looks like it.

func (b *builder) findings() {
	fs := slices.Clone(b.in.Findings)
	slices.SortStableFunc(fs, func(x, y FindingLine) int { return severityRank(x.Severity) - severityRank(y.Severity) })
	total := max(len(fs), b.a.Counters.Findings)
	if total == 0 {
		if b.a.Counters.Events > 0 {
			b.add(Section{ID: "findings", Title: "Findings of the run", Level: 2, Blocks: []Block{
				Paragraph{Text: fmt.Sprintf("No finding in %s events. %s", num(b.a.Counters.Events), b.sawLittle())}}})
		}
		return
	}
	// By kind first: forty times the same line tells a reader nothing.
	type kind struct {
		first, last FindingLine
		n, events   int
		members     map[string]bool
	}
	kinds := map[string]*kind{}
	var order []string
	for _, f := range fs {
		k := kinds[f.Title]
		if k == nil {
			k = &kind{first: f, last: f, members: map[string]bool{}}
			kinds[f.Title] = k
			order = append(order, f.Title)
		}
		k.n++
		k.events += max(f.Count, 1)
		if f.Time < k.first.Time {
			k.first = f
		}
		if f.Time > k.last.Time {
			k.last = f
		}
		if f.Member != "" {
			k.members[f.Member] = true
		}
	}
	by := Table{Head: []string{"Severity", "Finding", "Findings", "Events", "Members", "First", "Last"}, Widths: []int{13, 37, 10, 10, 10, 10, 10}}
	for _, name := range order {
		k := kinds[name]
		by.Rows = append(by.Rows, []Cell{{Status: Status{title(k.first.Severity), severityShape(k.first.Severity)}}, {Text: name}, {Text: num(int64(k.n))}, {Text: num(int64(k.events))},
			{Text: num(int64(len(k.members)))}, {Text: shortDay(day(k.first.Time))}, {Text: shortDay(day(k.last.Time))}})
	}
	var shown []FindingLine
	taken := map[string]int{}
	for _, f := range fs {
		if taken[f.Title] < perKind && len(shown) < maxFindings {
			taken[f.Title]++
			shown = append(shown, f)
		}
	}
	blocks := []Block{Paragraph{Text: fmt.Sprintf("%s of %s, most severe first. An alert is a question to a person, not a verdict on one.", title(count(total, "finding")), count(len(order), "kind"))}, by}
	if len(shown) > 0 {
		t := Table{Head: []string{"Severity", "Finding", "Member", "Time", "Events"}, Widths: []int{12, 38, 17, 14, 19},
			Note: fmt.Sprintf("%d of %d shown, up to %d of each kind. The whole list is in findings.jsonl. Members are pseudonyms. Event numbers are positions in the stream.", len(shown), total, perKind)}
		for _, f := range shown {
			ev := f.Events
			if f.Count > 0 {
				ev = join(": ", strconv.Itoa(f.Count), ev)
			}
			t.Rows = append(t.Rows, []Cell{{Status: Status{title(f.Severity), severityShape(f.Severity)}}, {Text: join(". ", strings.TrimSuffix(f.Title, "."), title(telling(f.Reason)))}, {Text: f.Member, Mono: true}, {Text: f.Time}, {Text: ev, Mono: true}})
		}
		blocks = append(blocks, Heading{"Examples"}, t)
	}
	b.add(Section{ID: "findings", Title: "Findings of the run", Level: 2, Blocks: blocks})
}

// telltale notes say more than the state does.
func telltale(note string) bool {
	switch strings.TrimSpace(note) {
	case "", "there in part", "not in place", "not known", "shown", "nothing on this plan, arrangement and date supplies it":
		return false
	}
	return true
}

// oneOf says that a list is a choice, where its items were joined by "or".
func oneOf(items []string) string {
	if slices.ContainsFunc(items, func(s string) bool { return strings.HasSuffix(strings.TrimSpace(s), ", or") }) {
		return ": one of"
	}
	return ""
}

// alternatives cleans a list whose items were written as one sentence.
func alternatives(items []string) []string {
	out := make([]string, len(items))
	for i, s := range items {
		s = strings.TrimSpace(s)
		for _, tail := range []string{", or", ", and", ";", "."} {
			s = strings.TrimSuffix(s, tail)
		}
		out[i] = title(s) + "."
	}
	return out
}

// telling drops a reason that only repeats that the rule fired.
func telling(reason string) string {
	if reason == "the condition holds" {
		return ""
	}
	return stamp.ReplaceAllString(reason, "$1 $2")
}

// stamp is a time as engines write it; people read it to the minute.
var stamp = regexp.MustCompile(`(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?Z`)

// day is the date of a time as printed.
func day(t string) string { return t[:min(len(t), len("2006-01-02"))] }
