package quality

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Print writes the table for people.
func (t *Table) Print(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "Measured on %d stories and %d benign twins in %d member-days of %d worlds, %d records.\n", t.Stories, t.Twins, t.MemberDays, t.Worlds, t.Events)
	fmt.Fprintf(w, "One story in %d member-days, %d.%d twins a story: precision holds at this density only.\n", t.MemberDaysPerStory, t.TwinsPerStory/10, t.TwinsPerStory%10)
	fmt.Fprintf(w, "Rules %.12s, seeds %q. Intervals are 95 in 100 (Wilson). Simulated: this says what rules can do, not that they run anywhere.\n\n", t.Digest, t.Label)
	fmt.Fprintf(w, "%-30s %-4s %-28s %-20s %-28s %-6s %-9s %s\n", "rule", "", "recall", "by quarter of draw", "precision", "wire", "detects", "alerts/1000 member-days")
	for i := range t.Rules {
		r := &t.Rules[i]
		if r.Status == "unproven" {
			fmt.Fprintf(w, "%-30s %-4s unproven: %s\n", r.Rule, r.Number, r.Why)
			continue
		}
		var q []string
		for _, s := range r.Quarters {
			if s.Of == 0 {
				q = append(q, "   -")
			} else {
				q = append(q, thousandths(s.Rate))
			}
		}
		wire := "-"
		if r.OnWire.Of > 0 {
			wire = thousandths(r.OnWire.Rate)
		}
		detect := "-"
		if r.Recall.Hits > 0 {
			detect = span(r.DetectHalf)
		}
		fmt.Fprintf(w, "%-30s %-4s %-28s %-20s %-28s %-6s %-9s %d.%d\n", r.Rule, r.Number, r.Recall, strings.Join(q, " "), r.Precision, wire, detect, r.AlertsPerThousand/10, r.AlertsPerThousand%10)
	}
	fmt.Fprintf(w, "\nwire: precision without the twins whose innocence is nowhere a rule could read it. detects: median from the moment a\nperfect detector could know.\n")
	fmt.Fprintf(w, "\nStories by rule (caught of those in reach; the rest was out of reach under its capture setting)\n")
	for i := range t.Rules {
		r := &t.Rules[i]
		for _, s := range r.Stories {
			reach := s.Played - s.OutOfReach
			switch {
			case reach == 0:
				fmt.Fprintf(w, "  %-30s %-26s out of reach, all %d\n", r.Rule, s.Story, s.Played)
			case s.OutOfReach > 0:
				fmt.Fprintf(w, "  %-30s %-26s %d of %d, %d out of reach\n", r.Rule, s.Story, s.Caught, reach, s.OutOfReach)
			default:
				fmt.Fprintf(w, "  %-30s %-26s %d of %d\n", r.Rule, s.Story, s.Caught, reach)
			}
		}
	}
	fmt.Fprintf(w, "\nBlindness: of the records a rule listens to, the share it can evaluate under each capture setting (full; names: tool details\nonly; meta: metadata only). Blind: without the content it needs it cannot fire. What is not evaluable is neither clean nor\nalarming.\n")
	for i := range t.Rules {
		r := &t.Rules[i]
		fmt.Fprintf(w, "  %-30s", r.Rule)
		for _, s := range r.Settings {
			share := "     -"
			switch {
			case s.Blind:
				share = " blind"
			case s.Reached > 0:
				share = fmt.Sprintf("%4d %%", s.Evaluable*100/s.Reached)
			}
			fmt.Fprintf(w, "  %s %s", s.Setting, share)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\nTopics (every observable instance, caught by any of the topic's rules)\n")
	for _, x := range t.Topics {
		with := "no rule"
		if len(x.Rules) > 0 {
			with = strings.Join(x.Rules, ", ")
		}
		fmt.Fprintf(w, "  %-4s %-28s %s\n", x.Number, x.Recall, with)
	}
	fmt.Fprintf(w, "\nFalse alarms (twins alarmed of twins in reach, of these with innocence off the wire; alerts on ordinary life)\n")
	for i := range t.Rules {
		r := &t.Rules[i]
		fmt.Fprintf(w, "  %-30s %d of %d twins, %d off the wire; %d ordinary\n", r.Rule, r.FalseTwins, r.Benign, r.FalseOffWire, r.FalseOrdinary)
	}
	fmt.Fprintf(w, "\nOut of reach: the only right result for these is to say so\n")
	for _, u := range t.OutOfReach {
		fmt.Fprintf(w, "  %-26s %d of %d played", u.Story, u.Unseen, u.Played)
		if u.Luck > 0 {
			fmt.Fprintf(w, "; %d alerts on them are luck", u.Luck)
		}
		fmt.Fprintf(w, ". %s\n", u.Title)
	}
	return w.Flush()
}

// span prints seconds as people say them.
func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
