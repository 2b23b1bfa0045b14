package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
)

// RolloutPlan is the plan as a document to hand over: groups, what each may use
// and why, limits with their arithmetic and forecast, the alert rules, the gates
// before each phase, and what every control does. It leaves verdicts to the
// readiness report.
func RolloutPlan(in Input, phases []rollout.PhaseResult) *Document {
	a := in.Assessment
	if a == nil {
		a = &assess.Assessment{}
	}
	b := &builder{in: in, a: a, doc: &Document{}, facts: map[string]assess.FactUse{}, fw: map[string]assess.FrameworkResult{}}
	b.meta()
	b.doc.Meta.Title = "Rollout plan: " + b.doc.Meta.Organisation
	m := b.doc.Meta

	open := []Block{KeyValues{[]KeyValue{
		{"Organisation", m.Organisation}, {"Plan", words(or(a.Organisation.Plan, notSupplied))}, {"Seats", num(int64(a.Organisation.Seats))},
		{"As of", or(longDay(m.AsOf), "Not stated")}, {"Period", m.Period}, {"Evidence", m.Evidence}}}}
	if m.Simulated {
		open = append(open, Strip{Title: firstWords(m.Banner), Text: m.Fictional})
	}
	if len(in.Groups) > 0 {
		t := Table{Head: []string{"Group", "Members at the end", "Comes from", "Roles", "Purpose"}, Widths: []int{17, 12, 13, 20, 38}}
		for _, g := range in.Groups {
			t.Rows = append(t.Rows, texts(g.Name, num(int64(g.Members)), words(g.Source), strings.Join(g.Roles, ", "), g.Purpose))
		}
		open = append(open, Heading{"Groups"}, t)
	}
	b.add(Section{ID: "plan", Title: m.Title, Blocks: open})
	b.adoption()
	b.gates(phases)
	b.matrix()
	b.spend()
	b.rules()
	b.effects()
	b.add(Section{ID: "limits", Title: "What this plan does not do", Blocks: []Block{Bullets{[]string{
		"It closes operational gaps: who may use Cowork, what it may cost, whether it is used, whether misuse would be noticed. It does not close the gap in the audit record, in any framework.",
		"Telemetry is not an audit log, and a gate that passes on silence is no gate: without events it is not evaluable.",
		"It is a plan for management. It is not an audit and not legal advice; the readiness report says what may be placed here.",
	}}}})
	for i := range b.doc.Sections {
		b.doc.Sections[i].Level = 1
	}
	return b.doc
}

// HeldText says in words what gates did to a phase in the play; "" for nil.
func HeldText(h *rollout.Held) string {
	if h == nil {
		return ""
	}
	why := "it waits for a phase before it"
	if len(h.Because) > 0 {
		why = "did not pass on its day: " + strings.Join(h.Because, ", ")
	}
	when := "It does not start in the period."
	if h.Starts.Given() {
		when = "It starts on " + h.Starts.String() + ", the first day on which its gates pass."
		if len(h.Because) == 0 {
			when = "It starts on " + h.Starts.String() + "."
		}
	}
	s := fmt.Sprintf("Planned for %s, held back: %s. %s", h.Planned, why, when)
	if h.Others > 0 {
		s += fmt.Sprintf(" Of its %s, %d had access already, which no gate of this phase takes away.", count(h.Members, "member"), h.Others)
	}
	return s
}

// PhaseStatus is the status of a phase in words. Gates only report unless the
// plan says that they hold, so a phase may open over one that failed: that is
// said, or "open" would read as passed.
func PhaseStatus(p rollout.PhaseResult) string {
	failed := 0
	for _, g := range p.Gates {
		if g.Result == rollout.Fail {
			failed++
		}
	}
	if p.Status != "open" || failed == 0 {
		return p.Status
	}
	return fmt.Sprintf("open over %s that failed", count(failed, "gate"))
}

func (b *builder) gates(phases []rollout.PhaseResult) {
	if len(phases) == 0 {
		return
	}
	blocks := []Block{Paragraph{Text: "A gate passes, fails or cannot be evaluated. It holds its phase back only where the plan says so; silence never passes one."}}
	for i, p := range phases {
		st := Status{words(PhaseStatus(p)), Ring}
		switch p.Status {
		case "open":
			if st.Shape = Disc; PhaseStatus(p) != p.Status {
				st.Shape = Triangle
			}
		case "held":
			st.Shape = Square
		case "waits", "late":
			st.Shape = Triangle
		}
		looked := "Nothing came before it in this period, so only the configuration was looked at."
		if p.Window[0].Before(p.Window[1]) {
			looked = fmt.Sprintf("Looked at: %s to %s.", longDay(p.Window[0].Format(time.DateOnly)), longDay(p.Window[1].Add(-time.Second).Format(time.DateOnly)))
		}
		blocks = append(blocks, StatusRow{Status: st, Title: fmt.Sprintf("%d. %s, from %s", i+1, p.Name, longDay(p.From.String())),
			Text: fmt.Sprintf("%s: %s with Cowork; %d gain it, %d lose it. %s", or(strings.Join(p.Groups, ", "), "No group"), count(p.Members, "member"), p.Gained, p.Lost, join(" ", looked, HeldText(p.Held)))})
		if len(p.Gates) == 0 {
			continue
		}
		t := Table{Head: []string{"Gate", "Result", "Condition and what was seen", "If it fails"}, Widths: []int{25, 17, 42, 16}}
		for _, g := range p.Gates {
			gs := map[string]Status{rollout.Pass: {"Met", Disc}, rollout.Fail: {"Not met", Square}}[g.Result]
			if gs.Word == "" {
				gs = Status{"Not evaluable", Ring}
			}
			seen := ""
			if len(g.Seen) > 0 {
				seen = "Saw " + strings.Join(g.Seen, "; ") + "."
			}
			holds := "Reported"
			if g.Hold {
				holds = "Holds the phase"
			}
			t.Rows = append(t.Rows, []Cell{{Text: title(g.Name)}, {Status: gs}, {Text: join(". ", strings.TrimSuffix(g.When, "."), join(" ", seen, g.Because))}, {Text: holds}})
		}
		blocks = append(blocks, t)
	}
	b.add(Section{ID: "gates", Title: "Phases and their gates", NewPage: slices.ContainsFunc(phases, func(p rollout.PhaseResult) bool { return len(p.Gates) > 4 }), Blocks: blocks})
}
