package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// What was judged: scope, obligations, claims and needs.

func (b *builder) scope() {
	a := b.a
	o := a.Organisation
	origin := func(s string) string { return or(s, "declared by you") }
	t := Table{Head: []string{"Item", "Value", "Where it comes from"}, Widths: []int{30, 46, 24}}
	for _, l := range a.Scope {
		t.Rows = append(t.Rows, []Cell{{Text: l.Item}, {Text: or(l.Value, notSupplied)}, {Text: origin(l.Origin)}})
	}
	blocks := []Block{
		Paragraph{Text: "Scope is declared by you unless the last column says otherwise. It was not verified, and every verdict depends on it."},
		KeyValues{[]KeyValue{
			{"Plan", words(or(o.Plan, notSupplied))},
			{"Declared as", list(o.Kind)},
			{"Seats", strconv.Itoa(o.Seats)},
			{"Execution modes", list(o.Modes)},
			{"Arrangements", list(o.Arrangements)},
			{"Telemetry goes to", or(strings.Join(titles(o.Destinations), ", "), "None declared")},
		}},
	}
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	if len(a.Workloads) > 0 {
		w := Table{Head: []string{"Workload", "Data", "Groups", "Result", "Why"}, Widths: []int{18, 17, 16, 19, 30}}
		for _, x := range a.Workloads {
			w.Rows = append(w.Rows, []Cell{{Text: title(spaced(x.Name))}, {Text: or(strings.Join(titles(wordList(x.Data)), ", "), "None under rules")}, {Text: or(strings.Join(x.Groups, ", "), "None named")}, {Status: anyPosture(x.Posture)}, {Text: x.Why}})
		}
		blocks = append(blocks, Heading{"Workloads"}, w)
	}
	if len(a.Assumptions) > 0 {
		blocks = append(blocks, Heading{"Assumptions"}, Bullets{a.Assumptions})
	}
	if out := b.outOfScope(); len(out) > 0 {
		blocks = append(blocks, Heading{"Left out, and why"}, Bullets{out})
	}
	b.add(Section{ID: "scope", Title: "Scope, boundary and assumptions", NewPage: true, Blocks: blocks})
}

// outOfScope lists frameworks that do not apply and how many obligations of the
// others do not, with the reason.
func (b *builder) outOfScope() []string {
	var out []string
	for _, f := range b.a.Frameworks {
		if !f.Applicable {
			out = append(out, join(": ", f.Title, or(f.Why, "no reason was given")))
		}
	}
	for _, o := range b.a.Obligations {
		if o.Verdict == assess.NotApplicable && b.fw[o.Framework].Applicable {
			out = append(out, join(": ", o.Citation+" "+o.Title, strings.Join(o.Reasons, " ")))
		}
	}
	return out
}

func (b *builder) figures() []KeyValue {
	c := b.a.Counters
	left := c.OtherProducts + c.AfterAsOf + c.OutsidePeriod + c.BadRecords + c.Duplicates
	rows := []KeyValue{
		{"Records", fmt.Sprintf("%s read; %s events, %s of them from Cowork", num(c.Records), num(c.Events), num(c.CoworkEvents))},
		{"Left out", fmt.Sprintf("%s: %s from other products, %s after the as-of date, %s outside the period, %s unreadable, %s duplicates",
			num(left), num(c.OtherProducts), num(c.AfterAsOf), num(c.OutsidePeriod), num(c.BadRecords), num(c.Duplicates))},
		{"Members heard", fmt.Sprintf("%d of %d with Cowork (%s in the organisation). Silence is not cleanliness: of the others nothing is known.", c.MembersHeard, c.MembersWithCowork, count(c.Members, "member"))},
		{"Activity", fmt.Sprintf("%s %s, %s %s", num(c.Sessions), plural(int(min(c.Sessions, 2)), "session", "sessions"), num(c.Prompts), plural(int(min(c.Prompts, 2)), "prompt", "prompts"))},
		{"Engines", fmt.Sprintf("%s, %s, %s denied %s, %s blocked by a limit", count(c.Findings, "finding"), count(c.Alerts, "alert"), num(c.Denied), plural(int(min(c.Denied, 2)), "attempt", "attempts"), count(c.BlockedMembers, "member")) + b.unruled()},
	}
	if c.OutOfTurn > 0 {
		rows = slices.Insert(rows, 2, KeyValue{"Out of turn", fmt.Sprintf("%s came too late to be put in order of time, so that windows, sequences and limits may be judged wrongly. Assess a file in place of standard input.", count(int(c.OutOfTurn), "record"))})
	}
	return rows
}

func (b *builder) obligations() {
	for _, f := range b.a.Frameworks {
		if !f.Applicable {
			b.add(Section{ID: "obligations-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{
				StatusRow{Status: Status{"Not in scope", Dash}, Text: or(f.Why, "No reason was given.")}}})
			continue
		}
		t := Table{Head: []string{"Obligation", "Citation", "Verdict", "Why"}, Widths: []int{27, 18, 20, 35}}
		for _, o := range b.a.Obligations {
			if o.Framework != f.ID {
				continue
			}
			st := verdictStatus(o.Verdict)
			switch {
			case o.DesignOnly:
				st.Word += ", design only"
			case o.OnAttestation:
				st.Word += ", on attestation"
			}
			why := strings.Join(o.Reasons, " ")
			if o.Disputed != "" {
				why = join(" ", why, fmt.Sprintf("Disputed (%s).", o.Disputed))
			}
			t.Rows = append(t.Rows, []Cell{{Text: join(". ", o.Title, o.Demands)}, {Text: join(" - ", o.Citation, o.Label)}, {Status: st}, {Text: why}})
		}
		b.add(Section{ID: "obligations-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{
			StatusRow{Status: postureStatus(f), Text: f.Why}, t}})
	}
}

func (b *builder) propositions() {
	if len(b.a.Needs)+len(b.a.Claims) == 0 {
		return
	}
	var blocks []Block
	each := func(heading string, ps []assess.PropositionResult) {
		if len(ps) == 0 {
			return
		}
		blocks = append(blocks, Heading{heading})
		t := Table{Head: []string{"Said", "Judged", "Why, and what to say or do instead"}, Widths: []int{30, 17, 53}}
		for _, p := range ps {
			why := strings.Join(p.Reasons, " ")
			if p.SayInstead != "" {
				why = join(" ", why, "Say instead: "+p.SayInstead)
			}
			if len(p.Remedies) > 0 {
				why = join(" ", why, "Instead: "+sentences(p.Remedies))
			}
			if len(p.Footnotes) > 0 {
				why = join(" ", why, "Note: "+strings.Join(p.Footnotes, " "))
			}
			t.Rows = append(t.Rows, []Cell{{Text: join(": ", p.Who, "“"+p.Text+"”")}, {Status: propositionStatus(p.Verdict)}, {Text: why}})
		}
		blocks = append(blocks, t)
	}
	each("What people want", b.a.Needs)
	each("What people claim", b.a.Claims)
	b.add(Section{ID: "propositions", Title: "What people want and claim", Level: 2, Blocks: blocks})
}
