package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/spend"
)

// Files are the data files of a bundle, assessment.json first. Truth is there
// for simulated runs only.
func Files(r *rehearsal.Result) ([]File, error) {
	var out []File
	put := func(name string, v any) error {
		data, err := JSON(v)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, File{name, data})
		return nil
	}
	for _, f := range []struct {
		name string
		v    any
	}{
		{"assessment.json", r.Assessment}, {"organisation.json", r.Organisation}, {"spend.json", r.Spend},
		{"analytics.json", r.Analytics}, {"coverage.json", r.Coverage},
	} {
		if err := put(f.name, f.v); err != nil {
			return nil, err
		}
	}
	findings, err := jsonLines(r.Findings)
	if err != nil {
		return nil, fmt.Errorf("findings.jsonl: %w", err)
	}
	out = append(out, File{"findings.jsonl", findings})
	if !r.Observed {
		truth, err := jsonLines(r.Truth)
		if err != nil {
			return nil, fmt.Errorf("truth.jsonl: %w", err)
		}
		out = append(out, File{"truth.jsonl", truth})
	}
	for _, f := range r.Inputs {
		out = append(out, File{"inputs/" + f.Name, f.Data})
	}
	return out, nil
}

func jsonLines[T any](xs []T) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, x := range xs {
		if err := e.Encode(x); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// Of takes from a result what a document shows. digest is the SHA-256 of
// assessment.json, which the cover carries.
func Of(r *rehearsal.Result, digest string) Input {
	in := Input{Assessment: r.Assessment, Rules: r.Rules, Digest: digest}
	for _, b := range r.Spend.Budgets {
		l := SpendLine{Group: b.Group, LimitPerMember: spend.Dollars(b.Limit), Spent: b.SpentText, Members: b.Members, Blocked: b.Blocked, Because: join(" ", b.Because, b.Assumes),
			LimitMicros: b.Limit}
		if b.Formula != nil {
			l.Formula = b.Formula.Lines
		}
		in.Spend = append(in.Spend, l)
	}
	in.MemberSpend = memberSpend(r.Spend.Members)
	for _, row := range r.Matrix.Rows {
		in.Groups = append(in.Groups, GroupLine{Name: row.Group, Members: row.Members, Purpose: strings.TrimSpace(row.Purpose), Source: row.Source, Roles: row.Roles})
		for _, c := range row.Cells {
			in.Matrix = append(in.Matrix, MatrixLine{Group: row.Group, Kind: c.Kind, What: c.Name, Level: c.Level, Because: or(strings.TrimSpace(c.Because), c.By)})
		}
	}
	for _, f := range r.Matrix.Flags {
		in.Flags = append(in.Flags, FlagLine{Severity: f.Severity.String(), Subject: f.Subject, Text: f.Text})
	}
	in.Findings = make([]FindingLine, 0, len(r.Findings))
	for _, f := range r.Findings {
		in.Findings = append(in.Findings, findingLine(f))
	}
	if r.Analytics != nil {
		for _, w := range r.Analytics.Weeks {
			in.Adoption = append(in.Adoption, AdoptionLine{Week: w.From, Sessions: w.Sessions, Active: w.Active, Enabled: w.Enabled, Share: fmt.Sprintf("%d of %d", w.Active, w.Enabled)})
		}
	}
	in.Coverage = coverageLines(r.Coverage)
	for i, p := range r.Scenario.Rollout {
		l := PhaseLine{Name: p.Name, From: p.From.String(), Because: strings.TrimSpace(p.Gate)}
		if i+1 < len(r.Scenario.Rollout) {
			l.To = r.Scenario.Rollout[i+1].From.String()
		}
		var groups []string
		for _, g := range p.Groups {
			groups = append(groups, g.Value)
		}
		l.Groups = strings.Join(groups, ", ")
		in.Phases = append(in.Phases, l)
	}
	return in
}

func findingLine(f rules.Finding) FindingLine {
	l := FindingLine{ID: f.ID, Severity: f.Severity.String(), Title: f.Title, Member: f.Member, Reason: f.Reason, Count: f.Count}
	if !f.Time.IsZero() {
		l.Time = f.Time.UTC().Format("2006-01-02 15:04")
	}
	var ids []string
	for _, e := range f.Events {
		ids = append(ids, e.ID())
	}
	l.Events = strings.Join(ids, ", ")
	return l
}

// memberSpend groups the months of members by the limit that bound them, in the
// order of first appearance, each sorted.
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

// coverageLines are the shares that say how much the stream can show, with the
// better end of each always at the full bar.
func coverageLines(c *coverage.Report) []CoverageLine {
	if c == nil {
		return nil
	}
	share := func(what string, r coverage.Ratio, why string) CoverageLine {
		return CoverageLine{What: what, N: r.N, Of: r.Of, Why: why}
	}
	less := func(what string, r coverage.Ratio, why string) CoverageLine {
		return CoverageLine{What: what, N: r.Of - r.N, Of: r.Of, Why: why}
	}
	return []CoverageLine{
		share("Enabled members heard", c.SeatsHeard, "of the others nothing is known"),
		less("Sequence numbers present", c.SequenceHoles, "a hole inside a process is a lost record"),
		less("Prompts whose text event arrived", c.OrphanPrompts, "the rest cannot be reviewed"),
		share("Records of exactly one member", c.Identity, "the rest cannot be attributed"),
		share("File tool results with a path", c.Paths, "scope rules see these only"),
		share("Connector calls that name their server", c.MCP, "allow-list rules see these only"),
		less("Requests with a cost", c.RequestsWithoutCost, "spend is an estimate from these"),
	}
}

// Describe fills the parts of a manifest that follow from the result.
func Describe(r *rehearsal.Result) Manifest {
	a := r.Assessment
	m := Manifest{Scenario: a.Scenario, Seed: int64(r.Scenario.Seed), AsOf: a.AsOf, Period: SpanOfDays{a.Period.From, a.Period.To},
		FactSet: a.FactSet, Evidence: a.Evidence, KeyID: r.KeyID}
	if r.Stream != nil {
		m.Stream = &StreamInfo{UncompressedSHA256: r.Stream.PlainSHA256, UncompressedSize: r.Stream.PlainBytes, Events: r.Stream.Events}
	}
	if r.Observed {
		for i, in := range r.Streams {
			info := InputInfo{Name: fmt.Sprintf("input %d", i+1), SHA256: in.SHA256, Size: in.Size, Format: fmt.Sprint(in.Format), Records: in.Records, Lost: in.Bad}
			for _, l := range in.Lost {
				info.Counts = append(info.Counts, Named{l.Reason, int64(l.Count)})
			}
			m.InputsNotCopied = append(m.InputsNotCopied, info)
		}
	}
	return m
}
