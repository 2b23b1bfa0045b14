package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/assess/quality"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
)

// StreamName is the simulated stream's file in a bundle.
const StreamName = "stream.otlp.jsonl.zst"

// ResultFiles are the files of a bundle that follow from a result, the report
// itself and the stream apart, and the digest of assessment.json, which the
// report carries.
func ResultFiles(r *rehearsal.Result) (files []File, digest string, err error) {
	first, err := JSON(r.Assessment)
	if err != nil {
		return nil, "", err
	}
	files = append(files, File{Name: "assessment.json", Data: first})
	sum := sha256.Sum256(first)
	put := func(name string, write func() ([]byte, error)) {
		files = append(files, File{Name: name, Rows: func(w io.Writer) error {
			data, err := write()
			if err == nil {
				_, err = w.Write(data)
			}
			return err
		}})
	}
	putJSON := func(name string, v any) { put(name, func() ([]byte, error) { return JSON(v) }) }
	putJSON("analytics.json", r.Analytics) // the largest ones first: they are written side by side
	putJSON("organisation.json", r.Organisation)
	putJSON("spend.json", r.Spend)
	for _, f := range r.Analytics.Exports() {
		files = append(files, File{Name: "analytics/" + f.Name, Rows: f.Write})
	}
	putJSON("coverage.json", r.Coverage)
	putJSON("rules.json", r.Rules)
	putJSON("timeline.json", r.Timeline)
	lines := func(name string, n int, at func(int) any) {
		files = append(files, File{Name: name, Rows: func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			for i := range n {
				if err := e.Encode(at(i)); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	put("obligations.csv", func() ([]byte, error) { return ObligationsCSV(r.Assessment) })
	put("findings.csv", func() ([]byte, error) { return FindingsCSV(r.Findings) })
	put("junit.xml", func() ([]byte, error) { return JUnit(r.Assessment) })
	lines("findings.jsonl", len(r.Findings), func(i int) any { return r.Findings[i] })
	if !r.Observed {
		lines("truth.jsonl", len(r.Truth), func(i int) any { return r.Truth[i] })
	}
	for _, f := range r.Inputs {
		files = append(files, File{Name: "inputs/" + f.Name, Data: f.Data})
	}
	return files, hex.EncodeToString(sum[:]), nil
}

// RosterScenario is the format of a scenario that names members.
const RosterScenario = "scenario with a roster"

// ResultManifest is the manifest of a result's bundle; Commit adds the files.
func ResultManifest(r *rehearsal.Result, toolVersion, command string) Manifest {
	a := r.Assessment
	m := Manifest{ToolVersion: toolVersion, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Command: command, Scenario: a.Scenario, Seed: int64(r.Scenario.Seed), AsOf: a.AsOf,
		Period: SpanOfDays{a.Period.From, a.Period.To}, FactSet: a.FactSet, Evidence: a.Evidence, KeyID: r.KeyID}
	if r.Stream != nil {
		m.Stream = &StreamInfo{Name: StreamName, UncompressedSHA256: r.Stream.PlainSHA256, UncompressedSize: r.Stream.PlainBytes, Events: r.Stream.Events}
	}
	if r.Scenario.Roster.Value != "" { // the scenario names members: it is told, not copied
		sum := sha256.Sum256(r.Scenario.File.Data)
		m.InputsNotCopied = append(m.InputsNotCopied, InputInfo{Name: filepath.Base(r.Scenario.File.Name), SHA256: hex.EncodeToString(sum[:]),
			Size: int64(len(r.Scenario.File.Data)), Format: RosterScenario, Records: int64(r.Assessment.Counters.Members)})
	}
	for _, e := range r.Evidence {
		m.InputsNotCopied = append(m.InputsNotCopied, InputInfo{Name: e.What, SHA256: e.SHA256, Size: e.Size, Format: e.Class})
	}
	if !r.Observed {
		return m
	}
	for _, in := range r.Streams {
		x := InputInfo{Name: filepath.Base(in.Name), SHA256: in.SHA256, Size: in.Size, Format: in.Format, Records: in.Records, Lost: in.Bad}
		for _, l := range in.Lost {
			x.Lost += l.Count
		}
		for p, n := range in.Products {
			if n > 0 {
				x.Counts = append(x.Counts, Named{event.Product(p).String(), n})
			}
		}
		m.InputsNotCopied = append(m.InputsNotCopied, x)
	}
	return m
}

// FromResult lays out what a run produced for Build.
func FromResult(r *rehearsal.Result, digest string) Input {
	in := Input{Assessment: r.Assessment, Rules: r.Rules, Digest: digest, Timeline: r.Timeline}
	in.Quality, in.Measured = measuredQuality(r)
	spentBy := map[string]int64{}
	for _, g := range r.Spend.Groups {
		spentBy[g.Group] += g.Spent
	}
	for _, b := range r.Spend.Budgets {
		l := SpendLine{Group: b.Group, LimitPerMember: spend.Dollars(b.Limit), Spent: dollars(spentBy[b.Group]), Members: b.Members, Blocked: b.Blocked, Because: b.Because, LimitMicros: b.Limit}
		if b.Formula != nil {
			l.Formula = append(l.Formula, b.Formula.Lines...)
			if b.Assumes != "" {
				l.Formula = append(l.Formula, "Assumes: "+b.Assumes)
			}
		}
		in.Spend = append(in.Spend, l)
	}
	in.MemberSpend = memberSpend(r.Spend.Members)
	in.SpendWeeks = r.Spend.Weeks
	for _, x := range r.Spend.Elsewhere {
		in.Elsewhere = append(in.Elsewhere, fmt.Sprintf("%s: %s by %s; %s on which a limit had stopped the member there, too.",
			title(words(x.Product)), dollars(x.Micros), count(x.Members, "member"), count(x.Refused, "member-day")))
	}
	for _, x := range r.Spend.Increases {
		answer := "pending at the end"
		switch {
		case x.Resolved != nil && x.To > 0:
			answer = fmt.Sprintf("approved on %s: raised to %s", moment(*x.Resolved), spend.Dollars(x.To))
		case x.Resolved != nil:
			answer = "denied on " + moment(*x.Resolved)
		case x.Lapsed != nil:
			answer = "nobody answered; limits began anew on " + longDay(x.Lapsed.Format(time.DateOnly))
		}
		in.Increases = append(in.Increases, IncreaseLine{Member: x.Member, Asked: moment(x.Asked), Limit: spend.Dollars(x.Limit), Answer: answer})
	}
	in.Fans = outlook(r)
	in.Coverage = coverageLines(r.Coverage)
	for _, f := range r.Matrix.Flags {
		in.Flags = append(in.Flags, FlagLine{Severity: f.Severity.String(), Subject: f.Subject, Text: f.Text})
	}
	for _, row := range r.Matrix.Rows {
		in.Groups = append(in.Groups, GroupLine{Name: row.Group, Members: row.Members, Purpose: strings.TrimSpace(row.Purpose), Source: row.Source, Roles: row.Roles})
		for _, c := range row.Cells {
			flag := ""
			if c.Because == "" && (c.Level == "allow" || c.Level == "ask") {
				flag = "No reason given"
			}
			because := c.Because
			switch {
			case because != "" || c.By == "":
			case c.Level == rbac.Indeterminate.String(): // a role may well grant it: whether that counts is what nobody knows
				because = "What decides it is not known: " + rbac.LevelName(c.By)
			default:
				because = "Held back by: " + levelWords(c.By)
			}
			in.Matrix = append(in.Matrix, MatrixLine{Group: row.Group, Kind: c.Kind, What: c.Name, Level: c.Level, Because: because, Flag: flag})
		}
	}
	for _, f := range r.Findings {
		in.Findings = append(in.Findings, findingLine(f, 3))
	}
	for _, w := range r.Analytics.Weeks {
		in.Adoption = append(in.Adoption, AdoptionLine{Week: w.From, Sessions: w.Sessions, Active: w.Active, Enabled: w.Enabled})
	}
	for _, d := range r.Analytics.Days {
		in.Rolling = append(in.Rolling, RollingDay{d.Date, d.Sessions, d.DAU, d.WAU, d.MAU})
	}
	for i, p := range r.Scenario.Rollout {
		l := PhaseLine{Name: p.Name, From: p.From.String(), To: "Open"}
		if i+1 < len(r.Scenario.Rollout) {
			l.To = r.Scenario.Rollout[i+1].From.Add(-1).String()
		}
		var groups []string
		for _, g := range p.Groups {
			groups = append(groups, g.Value)
		}
		l.Groups = strings.Join(groups, ", ")
		l.Status, l.Because = gateStatus(r.Assessment, p.Gate)
		for _, h := range r.Held {
			if h.Phase != p.Name {
				continue
			}
			why := "a phase before it was held"
			if len(h.Because) > 0 {
				why = "did not pass on its day: " + strings.Join(h.Because, ", ")
			}
			l.Status, l.Because = "Late", fmt.Sprintf("planned for %s; %s. %s", h.Planned, why, l.Because)
			if !h.Starts.Given() {
				l.Status, l.From, l.To = "Held", "Not in the period", "Held"
			}
		}
		in.Phases = append(in.Phases, l)
	}
	return in
}

// findingLine is a finding in words, with at most so many event ids.
func findingLine(f rules.Finding, most int) FindingLine {
	l := FindingLine{ID: f.ID, Severity: f.Severity.String(), Title: f.Title, Member: f.Member, Reason: f.Reason, Count: f.Count}
	if !f.Time.IsZero() {
		l.Time = f.Time.UTC().Format("2006-01-02 15:04")
	}
	var ids []string
	for i, e := range f.Events {
		if i == most {
			ids = append(ids, "and more")
			break
		}
		ids = append(ids, e.ID())
	}
	l.Events = strings.Join(ids, ", ")
	return l
}

func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04") }

func dollars(micros int64) string { return spend.Rounded(micros) }

// measuredQuality takes from the shipped measurement what holds for the rules of
// this run: those of shipped packs, as shipped.
func measuredQuality(r *rehearsal.Result) ([]QualityLine, string) {
	packs := alert.Packs()
	digest, err := alert.Digest(packs)
	if err != nil {
		return nil, ""
	}
	t, ok := quality.Shipped(digest)
	if !ok {
		return nil, ""
	}
	shipped := map[string]bool{}
	for _, f := range r.Inputs {
		name, ok := strings.CutPrefix(f.Name, "rules/")
		if !ok {
			continue
		}
		data, err := fs.ReadFile(packs, name)
		if err != nil || !bytes.Equal(data, f.Data) {
			continue
		}
		rs, err := alert.Parse(name, data)
		if err != nil {
			continue
		}
		for _, x := range rs {
			shipped[x.ID.Value] = true
		}
	}
	var out []QualityLine
	for _, row := range r.Rules {
		q, ok := t.Row(row.ID)
		if !ok || !shipped[row.ID] {
			continue
		}
		out = append(out, QualityLine{Rule: row.ID, Caught: q.Recall.Hits, Seeded: q.Recall.Of, Alerts: q.Precision.Of, False: q.Precision.Of - q.Precision.Hits, Reachable: q.Status == "measured"})
	}
	if len(out) == 0 {
		return nil, ""
	}
	return out, fmt.Sprintf("Caught and right were measured apart, over %s in %d held-out simulated organisations (seed label %q), not in this run; a real organisation will differ.", count(t.Stories, "injected case"), t.Worlds, t.Label)
}

// Fans are the forecasts of a spend plan, one for each group.
func Fans(p *forecast.Plan) []SpendFan {
	var out []SpendFan
	for _, g := range p.Groups {
		f := SpendFan{Title: fmt.Sprintf("Forecast of %s: %s in %s", g.Group, count(g.Members, "member"), p.Month), LimitMicros: -1,
			Note: fmt.Sprintf("%d trials of the month without any limit, from %s. The line is the lesson's budget for the team, which is not the number to enter.", p.Trials, or(p.Origin, "the scenario's own population"))}
		if g.Budget.TeamMicros > 0 {
			f.LimitMicros, f.LimitName = g.Budget.TeamMicros, "the formula's team budget"
		} else {
			f.Note = strings.TrimSuffix(f.Note, " The line is the lesson's budget for the team, which is not the number to enter.")
		}
		for _, d := range g.Fan {
			day := fmt.Sprintf("%s-%02d", p.Month, d.Day)
			f.Points = append(f.Points, FanPoint{Day: day, Actual: -1, Low: d.P10, Mid: d.P50, High: d.P90})
		}
		out = append(out, f)
	}
	return out
}

// outlook is the month in which the period ends against the organisation's
// ceiling, which is the only limit that a sum can be held against.
func outlook(r *rehearsal.Result) []SpendFan {
	o := r.Spend.Outlook
	if o == nil {
		return nil
	}
	f := SpendFan{Title: "The organisation's month: spend so far, and the range it may take", LimitMicros: -1,
		Note: fmt.Sprintf("%d trials of the rest of the month, from what was seen in the period and without any limit.", o.Trials)}
	if o.Trials == 0 {
		f.Title, f.Note = "The organisation's month: spend so far", "The month ended with the period, so that nothing is left to forecast."
	}
	for _, m := range r.Spend.Months {
		if m.Month == o.Month {
			f.LimitMicros = m.Limit
		}
	}
	// A ceiling far above would press the picture flat.
	if high := o.Days[len(o.Days)-1].P90; f.LimitMicros > 3*high {
		f.Note += fmt.Sprintf(" The ceiling of %s lies far above the picture.", spend.Dollars(f.LimitMicros))
		f.LimitMicros = -1
	}
	for _, d := range o.Days {
		f.Points = append(f.Points, FanPoint{Day: d.Date, Actual: d.Spent, Low: d.P10, Mid: d.P50, High: d.P90})
	}
	return []SpendFan{f}
}

// memberSpend groups the months of members by the limit that bound them, each
// group sorted.
func memberSpend(ms []spend.MemberSpend) []SpendGroup {
	var out []SpendGroup
	at := map[string]int{}
	for _, m := range ms {
		if m.Spent == 0 {
			continue
		}
		limit := m.Limit
		if m.Unlimited {
			limit = -1
		}
		key := fmt.Sprint(m.Source, "\x00", limit)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, SpendGroup{Source: m.Source, LimitMicros: limit})
		}
		out[i].Micros = append(out[i].Micros, m.Spent)
	}
	for i := range out {
		slices.Sort(out[i].Micros)
	}
	slices.SortStableFunc(out, func(a, b SpendGroup) int { return strings.Compare(a.Source, b.Source) })
	return out
}

// coverageLines are the shares that say how much the stream can show, turned so
// that more is better in each.
func coverageLines(c *coverage.Report) []CoverageLine {
	if c == nil {
		return nil
	}
	share := func(what string, r coverage.Ratio, why string) CoverageLine {
		return CoverageLine{What: what, N: r.N, Of: r.Of, Why: why}
	}
	rest := func(what string, r coverage.Ratio, why string) CoverageLine {
		return CoverageLine{What: what, N: r.Of - r.N, Of: r.Of, Why: why}
	}
	return []CoverageLine{
		share("Enabled members heard", c.SeatsHeard, "of the others nothing is known"),
		rest("Sequence numbers present", c.SequenceHoles, "a hole inside a process is a lost record"),
		rest("Prompts whose own record arrived", c.OrphanPrompts, "the rest cannot be reviewed"),
		share("Records of exactly one member", c.Identity, "the rest cannot be attributed"),
		share("File tool results with a path", c.Paths, "scope rules see only these"),
		share("Connector calls that name the server", c.MCP, "allow-list rules see only these"),
		rest("Requests that carry a cost", c.RequestsWithoutCost, "spend is estimated from these"),
	}
}

// gateStatus is the result of the check that guards a phase.
func gateStatus(a *assess.Assessment, gate string) (status, because string) {
	if gate == "" {
		return "No gate", ""
	}
	for _, c := range a.Checks {
		if c.ID == gate {
			return checkStatus(c.Result).Word, c.Title + ". " + strings.Join(c.Reasons, " ")
		}
	}
	return "Not evaluable", "No check is called " + gate + "."
}

func levelWords(level string) string {
	w := map[string]string{
		"plan": "the plan", "platform": "the platform", "org": "an organisation switch", "membership": "membership", "seat": "the seat",
		"role": "no role grants it", "user": "the member's own setting", "org-tool": "the organisation's tool policy", "cowork-write": "Cowork asks before a tool that writes",
		"group": "the group's setting", "dependency": "something it depends on", "propagation": "a change still on its way",
	}[level]
	return or(w, level)
}

// Summary is what a run says at its end on a terminal: the answer, the counts,
// the headline gaps. It holds nothing that the report does not hold.
func Summary(a *assess.Assessment) string {
	var b strings.Builder
	wrap(&b, "", "", a.Answer.Text)
	for _, x := range a.Answer.Because {
		wrap(&b, "  - ", "    ", x)
	}
	if a.Answer.ChangedStrip != "" {
		wrap(&b, "  Later facts: ", "    ", a.Answer.ChangedStrip)
	}
	if a.EvidenceNote != "" && a.Evidence != "simulated" && !strings.HasPrefix(a.Answer.Text, a.EvidenceNote) { // what was lost on the way is no detail
		wrap(&b, "  Evidence: ", "    ", a.EvidenceNote)
	}
	if n := len(a.Answer.Conditions); n > 0 {
		fmt.Fprintf(&b, "\n%s:\n", plural(n, "The condition", "The conditions"))
		for _, c := range a.Answer.Conditions[:min(n, maxConditions)] {
			wrap(&b, "  - ", "    ", c)
		}
		if n > maxConditions {
			wrap(&b, "  - ", "    ", fmt.Sprintf("And %d more, listed in the report under %q.", n-maxConditions, conditionsTitle))
		}
	}
	b.WriteString("\nVerdicts per framework (obligations, never a score):\n")
	t := Table{Head: []string{""}} // a verdict a line: so it fits a narrow terminal
	for _, f := range a.Frameworks {
		t.Head = append(t.Head, shortName(f))
	}
	for _, v := range assess.Verdicts() {
		row := texts(v.String())
		for _, f := range a.Frameworks {
			row = append(row, Cell{Text: fmt.Sprint(f.Counts[v.Code()])})
		}
		t.Rows = append(t.Rows, row)
	}
	writeSummaryTable(&b, t)
	for _, f := range a.Frameworks {
		wrap(&b, "  ", "    ", join(" ", f.Title+":", postureStatus(f).Glyphed()+".", f.Why))
	}
	if len(a.Gaps) > 0 {
		b.WriteString("\nThe three headline gaps:\n")
	}
	for _, g := range a.Gaps {
		wrap(&b, "  ", "    ", join(" ", stateStatus(g.State).Glyphed(), g.Title+":", firstSentence(g.Summary)))
	}
	for _, w := range a.WouldChange {
		if w.Of != "answer" {
			continue
		}
		b.WriteString("\nWhat would change the answer:\n")
		if len(w.Ways) == 0 {
			wrap(&b, "  ", "    ", "No single change or pair of changes in the model does.")
		}
		for _, way := range w.Ways {
			text := fmt.Sprintf("%s: then %s.", waySteps(way), lowerWords(way.To))
			if n := len(way.Breaks); n > 0 {
				text += fmt.Sprintf(" It also makes %s worse (see the report).", count(n, "thing"))
			}
			wrap(&b, "  - ", "    ", text)
		}
	}
	if len(a.Claims)+len(a.Needs) > 0 {
		b.WriteString("\nWhat people said and asked for:\n")
		for _, p := range append(append([]assess.PropositionResult{}, a.Needs...), a.Claims...) {
			wrap(&b, "  ", "    ", join(" ", propositionStatus(p.Verdict).Glyphed()+":", strings.TrimSpace(p.Text)))
		}
	}
	return b.String()
}

// maxConditions is how many conditions a terminal is shown.
const maxConditions = 6

func lowerWords(s string) string { return strings.ToLower(first(s)) + rest(s) }

// Glyphed is the status as a mark and a word.
func (s Status) Glyphed() string { return s.text() }

func writeSummaryTable(b *strings.Builder, t Table) {
	widths := make([]int, len(t.Head))
	for i, h := range t.Head {
		widths[i] = len(h)
		for _, r := range t.Rows {
			widths[i] = max(widths[i], len(r[i].Text))
		}
	}
	head := make([]string, len(t.Head))
	copy(head, t.Head)
	b.WriteString("  ")
	writeColumns(b, widths, head)
	for _, r := range t.Rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = c.Text
		}
		b.WriteString("  ")
		writeColumns(b, widths, cells)
	}
}

// TimelineText tells when the answer, a posture, a verdict or a gap moves, and
// which facts moved it.
func TimelineText(moves []assess.Move) string {
	var b strings.Builder
	b.WriteString("The answer by the facts of each date:\n")
	was := ""
	for i, m := range moves {
		answer := assess.AnswerName(m.Answer)
		if m.Answer == was {
			answer += " (as before)"
		}
		was = m.Answer
		wrap(&b, "  ", "    ", m.Date+": "+answer)
		for _, v := range m.Verdicts {
			wrap(&b, "      ", "        ", join(" ", fmt.Sprintf("%s moves from %s to %s.", v.Obligation, lowerWords(v.From.String()), lowerWords(v.To.String())), paren(strings.Join(v.Facts, ", "))))
		}
		if i == 0 || len(m.Verdicts) > 0 {
			continue
		}
		// No verdict moved, so a gap did, or a doubt about a verdict came or went.
		var facts []string
		for _, f := range m.Facts {
			facts = append(facts, fmt.Sprintf("%s, from %s to %s", f.Fact, f.From, f.To))
		}
		what := "No verdict moves"
		for _, id := range slices.Sorted(maps.Keys(m.Gaps)) {
			if from, to := moves[i-1].Gaps[id], m.Gaps[id]; from != to {
				what += fmt.Sprintf("; the gap %s does, from %s to %s", id, strings.ToLower(stateStatus(from).Word), strings.ToLower(stateStatus(to).Word))
			}
		}
		wrap(&b, "      ", "        ", join(" ", what+".", paren(strings.Join(facts, "; "))))
	}
	if len(moves) == 0 {
		wrap(&b, "  ", "    ", "No later fact is known to this fact set.")
	}
	return b.String()
}
