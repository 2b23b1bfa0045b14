package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// The chapters that stand around the assessment: how it was made, what the
// system is, what risk remains, what to do, and what to tell others meanwhile.

func (b *builder) method() {
	read := "Every record in the period was read; nothing was sampled."
	if b.a.Counters.BadRecords > 0 || strings.Contains(b.a.EvidenceNote, "Lost on the way") {
		read = "Every record in the period that could be read was read, and nothing was sampled; what was lost on the way is named on the cover."
	}
	blocks := []Block{Paragraph{Text: "Each obligation is split into elements; each element is met, short, absent, unattested or unknown by a printed condition over declared configuration, telemetry, attestations and dated platform facts. The worst essential element gives the verdict. Missing data is unknown and never counts in favour. Counts are never averaged into a score."},
		Paragraph{Text: "The same records pass through three engines, for access, spend and alerts, and through observers that count what the stream can show. " + read},
		Heading{"What was read"}, KeyValues{b.figures()}}
	if f := coverageFigure(b.in.Coverage); f != nil {
		blocks = append(blocks, *f)
	}
	t := Table{Head: []string{"Class", "What it is", "What it can carry"}, Widths: []int{25, 35, 40}}
	for _, c := range []struct{ code, what, carries string }{
		{"E1", "Export of administrative events", "Changes of access and settings; not activity"},
		{"E2", "Transcripts that the vendor hands over", "A record of activity, inside its stated omissions"},
		{"E3", "Telemetry that clients send", "Monitoring; never a formal record of activity"},
		{"E4", "Configuration as declared or exported", "Design at one moment; not operation"},
		{"E5", "An independent count", "Completeness of the others"},
		{"E6", "A statement that a person signed", "What no tool can observe"},
		{"E7", "Simulated data", "That rules and settings do what they should; nothing about the real organisation"},
	} {
		t.Rows = append(t.Rows, texts(classWords(c.code), c.what, c.carries))
	}
	blocks = append(blocks, Heading{"Classes of evidence"}, t)
	b.add(Section{ID: "method", Title: "Method, sources and thresholds", NewPage: true, Blocks: blocks})
}

func (b *builder) system() {
	f := b.flowFigure()
	blocks := []Block{*f}
	if len(b.in.Groups) > 0 {
		t := Table{Head: []string{"Group", "Members at the end", "Comes from", "Roles", "Purpose"}, Widths: []int{17, 12, 13, 20, 38}}
		for _, g := range b.in.Groups {
			t.Rows = append(t.Rows, texts(g.Name, num(int64(g.Members)), words(g.Source), strings.Join(g.Roles, ", "), g.Purpose))
		}
		blocks = append(blocks, Heading{"Groups"}, t)
	}
	b.add(Section{ID: "system", Title: "System, data flow and rollout", NewPage: true, Blocks: blocks})
}

// maxRisks keeps the register to what a committee reads; the count is stated.
const maxRisks = 30

func (b *builder) riskRegister() {
	all := b.risks(b.themes)
	if len(all) == 0 {
		b.add(Section{ID: "risks", Title: "Risk register", Blocks: []Block{Paragraph{Text: b.nothingOpen("no risk to register") + " Risks outside these frameworks are for management to add."}}})
		return
	}
	shown := all[:min(len(all), maxRisks)]
	t := Table{Head: []string{"No.", "Risk", "Likelihood", "Impact", "As it stands", "Step", "Likelihood then", "After the step"}, Widths: []int{5, 21, 11, 8, 11, 22, 11, 11}}
	for i, r := range shown {
		t.Rows = append(t.Rows, []Cell{{Text: fmt.Sprint(i + 1)}, {Text: r.theme.title}, {Text: fmt.Sprintf("%d of 5", r.likelihood)},
			{Text: fmt.Sprintf("%d of 5", r.impact)}, {Status: ratingStatus(r.likelihood * r.impact)}, {Text: stepOf(r.theme)}, {Text: fmt.Sprintf("%d of 5", r.residual)}, {Status: ratingStatus(r.residual * r.impact)}})
	}
	if len(shown) < len(all) {
		t.Note = fmt.Sprintf("%d of %d risks listed, the highest first; each of the others stands under the findings by cause.", len(shown), len(all))
	}
	blocks := []Block{Paragraph{Text: "Risk and verdict are two axes: a gap that no configuration closes is a low risk once the data is kept out. The factors are starting values by the rule below, for management to set."}}
	if f := riskFigure(shown); f != nil {
		blocks = append(blocks, *f)
	}
	blocks = append(blocks, t, Paragraph{Text: "How the starting values are set. " + strings.Join(riskRule, " "), Small: true})
	b.add(Section{ID: "risks", Title: "Risk register", NewPage: true, Blocks: blocks})
}

func stepOf(x *theme) string {
	if x.state == "absent-unfixable" {
		return "Keep the data out until it is closed."
	}
	return x.step()
}

func (b *builder) roadmap() {
	can := Table{Head: []string{"Step", "Owner", "Effort", "Depends on", "Target date", "Verdicts it bears on"}, Widths: []int{37, 14, 13, 12, 8, 16}, Note: "Owner and effort are proposals by kind of work. Dates are blank on purpose: whoever commits fills them in."}
	wait := Table{Head: []string{"What is missing", "Until then", "What would supply it", "Verdicts it decides"}, Widths: []int{24, 20, 38, 18}}
	add := func(x *theme, step, depends string) {
		can.Rows = append(can.Rows, []Cell{{Text: step}, {Text: b.ownerOf(x)}, {Text: x.effort()}, {Text: depends}, {}, {Status: verdictStatus(x.worst), Text: b.named(x.obligations)}})
	}
	byOwner := map[string]*theme{} // a person signs in one sitting
	var owners []string
	for _, c := range b.causal {
		x := single(c)
		switch c.element.State {
		case "absent-unfixable":
			wait.Rows = append(wait.Rows, []Cell{{Text: c.name}, {Text: "Keep in-scope data out"}, {Text: x.step() + x.otherwise()}, {Status: verdictStatus(c.worst), Text: b.named(c.obligations)}})
		case "unattested":
			if c.element.Source != "attestation" {
				add(x, x.step(), "A named signatory")
				continue
			}
			owner := b.ownerOf(x)
			t := byOwner[owner]
			if t == nil {
				t = &theme{state: "unattested", worst: c.worst}
				byOwner[owner] = t
				owners = append(owners, owner)
			}
			t.causes = append(t.causes, c)
			for _, o := range c.obligations {
				if !slices.ContainsFunc(t.obligations, func(p assess.ObligationResult) bool { return p.ID == o.ID }) {
					t.obligations = append(t.obligations, o)
				}
			}
		case "unknown":
			add(x, x.step(), "The missing input")
		case "short":
			add(x, x.step(), "What is in place")
		default:
			add(x, x.step(), "Nothing")
		}
	}
	for _, owner := range owners {
		t := byOwner[owner]
		where := ""
		for i, x := range b.themes {
			if x.state == "unattested" {
				where = fmt.Sprintf(", listed under finding %d", i+1)
			}
		}
		add(t, fmt.Sprintf("Sign the %s that are yours, once they hold%s.", count(len(t.causes), "statement"), where), "The work behind each")
	}
	for _, o := range b.capped {
		wait.Rows = append(wait.Rows, []Cell{{Text: join(": ", shortName(b.fw[o.Framework]), o.Title)}, {Text: "Keep in-scope data out"}, {Text: strings.Join(o.Reasons, " ")}, {Status: verdictStatus(o.Verdict)}})
	}
	blocks := []Block{}
	if len(can.Rows)+len(wait.Rows) == 0 {
		blocks = append(blocks, Paragraph{Text: b.nothingOpen("no step to take")})
		if len(b.a.Answer.Conditions) > 0 {
			blocks = append(blocks, Heading{"What the answer still asks for"}, Bullets{b.a.Answer.Conditions})
		}
	}
	if len(can.Rows) > 0 {
		blocks = append(blocks, Heading{"What you can close"}, can)
	}
	if len(wait.Rows) > 0 {
		blocks = append(blocks, Heading{"Wait, or keep the data out"}, Paragraph{Text: "Nothing you configure closes these on the present plan and date. Working on them as if something did costs time and gives false comfort."}, wait)
	}
	b.add(Section{ID: "roadmap", Title: "Remediation roadmap", NewPage: len(b.themes) > 0, Blocks: blocks})
}

// notice is the memo to the teams concerned. It says what holds now, not why
// the law does.
func (b *builder) notice() {
	a := b.a
	if a.Answer.Posture == assess.Supportable || a.Answer.Posture == "" {
		return
	}
	var rules []string
	groups := map[string]bool{}
	var to []string
	for _, w := range a.Workloads {
		for _, g := range w.Groups {
			if !groups[g] {
				groups[g] = true
				to = append(to, g)
			}
		}
		st := anyPosture(w.Posture)
		name := spaced(w.Name)
		if st.Shape == Square {
			rules = append(rules, fmt.Sprintf("Do not use Cowork for %s: it involves %s. This includes summaries, drafts and files that were only copied from it.", name, list2(w.Data)))
		} else {
			rules = append(rules, fmt.Sprintf("%s: %s. Ask before you start.", title(name), strings.ToLower(st.Word)))
		}
	}
	if len(rules) == 0 {
		rules = []string{"Do not use Cowork with data that a regulator, an auditor or a contract has rules for."}
	}
	rules = append(rules, "Keep such files out of every folder and connector that Cowork can reach, also when you work on something else.",
		"Do not move the work to a personal account: there it is seen by nobody.",
		"If it happened already, say so today. Nobody is blamed for asking.")
	b.add(Section{ID: "notice", Title: "Interim notice for the teams concerned", Level: 2, NewPage: len(b.themes) > 0, Blocks: []Block{
		Paragraph{Text: "Ready to be sent once its owner has read it."},
		Notice{Title: "Use of Claude Cowork until further notice", Head: []KeyValue{{"To", or(strings.Join(to, ", "), "All teams with Cowork")}, {"From", "________________"}, {"Valid from", or(longDay(a.AsOf), "________________") + ", until it is withdrawn"}},
			Blocks: []Block{Paragraph{Text: "We have looked at what Cowork can show an auditor, and where it cannot we hold back. From today:"}, Bullets{rules},
				Paragraph{Text: "Cowork for other work goes on as before, within the folders and connectors of your group. This is looked at again when the vendor's documents or our contract change."}}}}})
}

func list2(data []string) string {
	out := make([]string, 0, len(data))
	for _, d := range data {
		out = append(out, strings.ToLower(first(words(d)))+rest(words(d)))
	}
	if len(out) == 0 {
		return "data under rules"
	}
	return strings.Join(out, " and ")
}

// partners is the statement for those who ask what is in place: what each
// control does, and what it does not.
func (b *builder) partners() {
	a := b.a
	t := Table{Head: []string{"Control", "Here it", "What it does", "What it does not do"}, Widths: []int{19, 24, 28, 29}}
	row := func(id, name, does, doesNot string) {
		c := Cell{Status: Status{"Not shown", Ring}}
		if len(a.Controls) > 0 {
			c.Status = Status{"Not in place", Dash}
		}
		for _, x := range a.Controls {
			if x.ID == id {
				c = Cell{Status: effectStatus(x.Label)}
				if len(x.Gaps) > 0 {
					gap, _, _ := strings.Cut(x.Gaps[0], ":")
					c.Text = gap
				}
			}
		}
		t.Rows = append(t.Rows, []Cell{{Text: name}, c, {Text: does}, {Text: doesNot}})
	}
	row("groups-and-roles", "Groups and roles", "Decide who may use Cowork, and which connectors and plugins.", "Record what was done with the access, or bind an owner of the workspace.")
	row("spend-limits", "Spend limits", "Stop a member's requests when their month is spent.", "Pool money for a team, show what was bought, or satisfy any obligation here.")
	row("weekly-analytics", "Usage analytics", "Show who uses it, how often, and where a rollout stalls.", "Show content, approvals or files, or prove that use was in order.")
	row("telemetry", "Telemetry", "Shows prompts, tools, approvals and cost near the moment, for monitoring and alerts.", "Serve as an audit log. It leaves the member's device, can fall silent, and is not the vendor's record.")
	row("alert-rules", "Alert rules", "Call a person when something known to be bad is seen.", "Prove by their silence that nothing happened.")
	row("zoom-connector", "Meeting connector (Zoom)", "Bring summaries and transcripts of meetings into a task, once an owner has enabled them and a member has signed in.", "Add a record of who read them, or consent of those who spoke.")
	blocks := []Block{Paragraph{Text: "For security and compliance partners who ask what is in place. It may be quoted whole; a part of it says less than it seems to."}}
	var body []Block
	for _, g := range a.Gaps {
		if g.ID == "audit-log" {
			body = append(body, Paragraph{Text: fmt.Sprintf("As of %s. %s", or(longDay(a.AsOf), "a date not stated"), g.Summary)})
		}
	}
	body = append(body, Paragraph{Text: "Each control below can close an operational gap, and the second column says whether it does here. None of them closes the gap in the audit record, in any of the frameworks named in this report."}, t,
		Paragraph{Text: "We therefore do not describe telemetry as audit coverage, and we place no regulated work on Cowork that needs such a record."})
	b.add(Section{ID: "partners", Title: "Statement for security and compliance partners", Level: 2, NewPage: true, Blocks: append(blocks, Notice{Title: "What our controls over Claude Cowork do, and what they do not", Blocks: body})})
}
