package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// The appendices: the only place where ids and codes are printed.

func (b *builder) appendixChains() {
	if len(b.a.Obligations) == 0 {
		return
	}
	b.add(Section{ID: "appendix-chains", Title: "Appendix A: obligation chains", NewPage: true, Blocks: []Block{
		Paragraph{Text: "From each verdict to its elements, their evidence and the facts behind them. Essential elements decide; the others are observations."}}})
	for _, f := range b.a.Frameworks {
		if !f.Applicable && !slices.ContainsFunc(b.a.Obligations, func(o assess.ObligationResult) bool { return o.Framework == f.ID && len(o.Elements) > 0 }) {
			b.chainsOutOfScope(f)
			continue
		}
		t := Table{Head: []string{"Element", "State", "Evidence", "Facts and findings"}, Widths: []int{28, 17, 29, 26}}
		for _, o := range b.a.Obligations {
			if o.Framework != f.ID {
				continue
			}
			head := fmt.Sprintf("%s - %s (%s)", o.ID, o.Verdict, o.Verdict.Code())
			if o.CappedBy != "" {
				head += ", capped by " + o.CappedBy
			}
			if o.IfItWere != "" {
				head += "; if it were in scope: " + o.IfItWere
			}
			t.Rows = append(t.Rows, []Cell{{Text: head, Mono: true}})
			for _, e := range o.Elements {
				id := elementSlug(e)
				if !e.Essential {
					id += " (observation)"
				}
				t.Rows = append(t.Rows, []Cell{{Text: id, Mono: true}, {Status: elementStatus(e.State)}, {Text: join(". ", strings.Join(e.Evidence, "; "), e.Note)},
					{Text: join(", ", strings.Join(e.Facts, ", "), some(e.Findings)), Mono: true}})
			}
			if len(o.Elements) == 0 {
				t.Rows = append(t.Rows, []Cell{{Text: "-"}, {}, {Text: strings.Join(o.Reasons, " ")}, {}})
			}
		}
		if len(t.Rows) > 0 {
			b.add(Section{ID: "appendix-chains-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{t}})
		}
	}
}

// chainsOutOfScope lists a framework that does not bind: there is one reason for
// all of it, and for some rows what the verdict would be.
func (b *builder) chainsOutOfScope(f assess.FrameworkResult) {
	t := Table{Head: []string{"Obligation", "Id", "If it were in scope"}, Widths: []int{46, 26, 28}}
	for _, o := range b.a.Obligations {
		if o.Framework == f.ID {
			st := Status{}
			if o.IfItWere != "" {
				st = Status{o.IfItWere, shapeOfName(o.IfItWere)}
			}
			t.Rows = append(t.Rows, []Cell{{Text: o.Title}, {Text: o.ID, Mono: true}, {Status: st}})
		}
	}
	if len(t.Rows) > 0 {
		t.Note = "A blank means that no headline gap hits the obligation, so nothing was worked out."
		b.add(Section{ID: "appendix-chains-" + f.ID, Title: f.Title, Level: 2, Blocks: []Block{StatusRow{Status: Status{"Not in scope", Dash}, Text: or(f.Why, "No reason was given.")}, t}})
	}
}

// some names the first findings and counts the rest; findings.jsonl has all.
func some(ids []string) string {
	const shown = 4
	if len(ids) <= shown+1 {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more findings", strings.Join(ids[:shown], ", "), len(ids)-shown)
}

func (b *builder) appendixGaps() {
	t := Table{Head: []string{"Item", "Obligations hit", "Facts"}, Widths: []int{30, 35, 35}}
	for _, g := range b.a.Gaps {
		t.Rows = append(t.Rows, []Cell{{Text: g.Title}}, []Cell{{Text: "The gap as a whole"}, {}, mono(g.Facts)})
		for _, s := range g.Surfaces {
			t.Rows = append(t.Rows, []Cell{{Text: s.Name}, {}, mono(s.Facts)})
		}
		for _, f := range g.Frameworks {
			t.Rows = append(t.Rows, []Cell{{Text: f.Title}, mono(f.Obligations), {}})
		}
	}
	for i, ps := range [][]assess.PropositionResult{b.a.Needs, b.a.Claims} {
		if len(ps) == 0 {
			continue
		}
		t.Rows = append(t.Rows, []Cell{{Text: []string{"Needs", "Claims"}[i]}})
		for _, p := range ps {
			t.Rows = append(t.Rows, []Cell{{Text: p.ID, Mono: true}, {}, mono(p.Facts)})
		}
	}
	if len(b.a.Checks) > 0 {
		t.Rows = append(t.Rows, []Cell{{Text: "Rollout checks"}})
		for _, c := range b.a.Checks {
			t.Rows = append(t.Rows, []Cell{{Text: c.ID, Mono: true}, {}, mono(c.Facts)})
		}
	}
	if len(t.Rows) > 0 {
		b.add(Section{ID: "appendix-gaps", Title: "Appendix B: facts behind gaps, needs, claims and checks", NewPage: true, Blocks: []Block{t}})
	}
}

func (b *builder) appendixFacts() {
	if len(b.a.FactsUsed) == 0 {
		return
	}
	t := Table{Head: []string{"Fact", "Statement", "In force", "Last verified", "Sources"}, Widths: []int{23, 41, 13, 11, 12}}
	sources := map[string]string{}
	for _, f := range b.a.FactsUsed {
		var keys []string
		for _, s := range f.Sources {
			key, name, read := sourceKey(s)
			if name != "" {
				sources[key] = name
			}
			keys = append(keys, join(" ", key, read))
		}
		force := "No record"
		if f.From != "" {
			force = f.From + " to " + or(f.To, "now known")
		}
		note := f.Note
		if strings.HasPrefix(strings.ToLower(note), "in force since") { // the next columns say so
			note = ""
		}
		t.Rows = append(t.Rows, []Cell{{Text: f.ID, Mono: true}, {Text: join(" ", f.Statement, paren(join(", ", f.Value, f.Confidence)), note)},
			{Text: force}, {Text: or(f.LastVerified, "Never")}, {Text: strings.Join(keys, ", ")}})
	}
	blocks := []Block{
		Paragraph{Text: fmt.Sprintf("%s of the fact set %s, as in force on %s.", title(count(len(t.Rows), "fact")), or(b.a.FactSet, "in use"), or(b.a.AsOf, "the as-of date")) + " A source without a remark was seen itself."}, t}
	if len(sources) > 0 {
		keys := make([]string, 0, len(sources))
		for k := range sources {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(x, y string) int {
			if len(x) != len(y) { // [9] before [10]
				return len(x) - len(y)
			}
			return strings.Compare(x, y)
		})
		st := Table{Head: []string{"Source", "Title"}, Widths: []int{12, 88}}
		for _, k := range keys {
			st.Rows = append(st.Rows, texts(k, sources[k]))
		}
		blocks = append(blocks, Heading{"Sources"}, st)
	}
	b.add(Section{ID: "appendix-facts", Title: "Appendix C: facts used", NewPage: true, Blocks: blocks})
}

// sourceKey parts "[4] Help Center, a page (inferred)" into key, title and how
// it was read, which is left out where the source itself was seen.
func sourceKey(s string) (key, name, read string) {
	i := strings.IndexByte(s, ']')
	if !strings.HasPrefix(s, "[") || i < 0 {
		return s, "", ""
	}
	key, name = s[:i+1], strings.TrimSpace(s[i+1:])
	if at := strings.LastIndexByte(name, '('); at > 0 && strings.HasSuffix(name, ")") {
		name, read = strings.TrimSpace(name[:at]), name[at+1:len(name)-1]
	}
	if read == "seen" {
		read = ""
	}
	return key, name, read
}

func (b *builder) appendixChanges() {
	if len(b.a.ChangedSince) == 0 {
		return
	}
	b.add(Section{ID: "appendix-changes", Title: "Appendix D: facts that changed after the as-of date", NewPage: true, Blocks: []Block{
		Paragraph{Text: fmt.Sprintf("%s between %s and the last verified date.", title(count(len(b.a.ChangedSince), "change")), or(longDay(b.a.AsOf), "the as-of date"))}, b.changes(false)}})
}
