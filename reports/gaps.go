package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// The named gaps, and what they come from.

func (b *builder) gap(g assess.Gap) {
	blocks := []Block{StatusRow{Status: stateStatus(g.State), Title: "State as of " + or(longDay(b.a.AsOf), "a date not stated")}}
	if g.ID == "audit-log" {
		// The one sentence that is true at every date leads the page.
		blocks = append(blocks, Strip{Title: "Telemetry is not an audit log", Text: "No amount of telemetry lifts an obligation that asks for a formal audit trail."})
	}
	if g.Summary != "" {
		blocks = append(blocks, Paragraph{Text: g.Summary})
	}
	if len(g.Frameworks) > 0 {
		t := Table{Head: []string{"Framework", "In scope", "Verdict", "What it means here"}, Widths: []int{19, 12, 24, 45}}
		for _, f := range g.Frameworks {
			in, text := "Yes", f.Text
			if !f.InScope {
				in = "No"
				if f.IfItWere && !strings.HasPrefix(strings.ToLower(text), "if it were") {
					text = "If it were: " + text
				}
			}
			st := Status{Word: f.Verdict, Shape: shapeOfCode(f.Code)}
			if !f.InScope && f.IfItWere {
				st.Word = "If it were: " + f.Verdict
			}
			if f.Verdict == "" {
				st = verdictStatus(assess.NotAssessed)
			}
			t.Rows = append(t.Rows, []Cell{{Text: f.Title}, {Text: in}, {Status: st}, {Text: join(" ", text, hits(len(f.Obligations)))}})
		}
		blocks = append(blocks, Heading{"In each framework"}, t)
	}
	if len(g.Surfaces) > 0 {
		t := Table{Head: []string{"Surface", "State", "What it holds and what it leaves out"}, Widths: []int{25, 20, 55}}
		for _, s := range g.Surfaces {
			t.Rows = append(t.Rows, []Cell{{Text: s.Name}, {Status: stateStatus(s.State)}, {Text: s.Text}})
		}
		blocks = append(blocks, Heading{"Each surface apart"}, t)
	}
	switch {
	case len(g.Closes) == 0 || g.State == "not_applicable":
	case g.State == "closed":
		blocks = append(blocks, Heading{"What keeps it closed"}, Bullets{alternatives(g.Closes)})
	default:
		blocks = append(blocks, Heading{"What it would take to close it" + oneOf(g.Closes)}, Bullets{alternatives(g.Closes)})
	}
	for _, f := range g.Footnotes {
		blocks = append(blocks, Paragraph{Text: f, Small: true})
	}
	b.add(Section{ID: "gap-" + g.ID, Title: "Headline gap: " + g.Title, Level: 2, NewPage: len(b.themes) > 0 || g.ID != b.a.Gaps[0].ID, Blocks: blocks})
}

func hits(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("(%s hit.)", count(n, "obligation"))
}

// cause is an element and the obligations that it decides.
type cause struct {
	name        string
	worst       assess.Verdict
	element     assess.ElementResult
	obligations []assess.ObligationResult
}

// deciding returns the essential elements whose state gives the obligation its
// verdict, if that verdict is among those asked for.
func deciding(o assess.ObligationResult, among ...assess.Verdict) []assess.ElementResult {
	if !slices.Contains(among, o.Verdict) {
		return nil
	}
	state := map[assess.Verdict]string{
		assess.GapNoConfiguration: "absent-unfixable", assess.GapYouCanClose: "absent-fixable",
		assess.NotAssessed: "unknown", assess.PartlySupported: "short", assess.NeedsAttestation: "unattested",
	}[o.Verdict]
	var out []assess.ElementResult
	for _, e := range o.Elements {
		if e.Essential && e.State == state {
			out = append(out, e)
		}
	}
	return out
}

// collectCauses groups what decides the open verdicts by element and state.
func (b *builder) collectCauses() {
	type key struct{ name, state string }
	byKey := map[key]*cause{}
	for _, o := range b.a.Obligations {
		els := deciding(o, assess.GapNoConfiguration, assess.GapYouCanClose, assess.NotAssessed, assess.PartlySupported, assess.NeedsAttestation)
		if len(els) == 0 && o.CappedBy != "" {
			b.capped = append(b.capped, o)
		}
		for _, e := range els {
			k := key{elementSlug(e), e.State}
			c := byKey[k]
			if c == nil {
				c = &cause{name: or(e.Name, words(elementSlug(e))), worst: o.Verdict, element: e}
				byKey[k] = c
				b.causal = append(b.causal, c)
			}
			c.worst = worse(c.worst, o.Verdict)
			c.obligations = append(c.obligations, o)
		}
	}
	slices.SortStableFunc(b.causal, func(x, y *cause) int {
		if d := rank(x.worst) - rank(y.worst); d != 0 {
			return d
		}
		return len(y.obligations) - len(x.obligations)
	})
}

func (b *builder) causes() {
	t := Table{Head: []string{"No.", "Finding", "State", "Worst verdict it decides", "Obligations"}, Widths: []int{5, 33, 20, 23, 19}}
	for i, c := range b.themes {
		t.Rows = append(t.Rows, []Cell{{Text: strconv.Itoa(i + 1)}, {Text: c.title}, {Status: elementStatus(c.state)}, {Status: verdictStatus(c.worst)}, {Text: b.named(c.obligations)}})
	}
	if len(b.themes) == 0 {
		b.add(Section{ID: "causes", Title: "Findings", NewPage: true, Blocks: []Block{
			Paragraph{Text: b.nothingOpen("no finding") + " The headline gaps follow as they would bear on each framework, and after them what the run itself showed."}}})
		return
	}
	blocks := []Block{Paragraph{Text: fmt.Sprintf("%s explain%s the open verdicts. An obligation stands under each finding that decides it, so closing one may not be enough; the appendix has the whole chain.",
		title(count(len(b.themes), "finding")), plural(len(b.themes), "s", ""))}}
	if len(t.Rows) > 0 {
		blocks = append(blocks, t)
	}
	b.add(Section{ID: "causes", Title: "Findings", NewPage: true, Blocks: blocks})
}

// binds reports whether any framework of the report applies.
func (b *builder) binds() bool {
	return slices.ContainsFunc(b.a.Frameworks, func(f assess.FrameworkResult) bool { return f.Applicable })
}

// nothingOpen says why a chapter is empty: nothing binds, or nothing is open.
func (b *builder) nothingOpen(what string) string {
	if b.binds() {
		return fmt.Sprintf("There is %s: no obligation in scope has an open verdict.", what)
	}
	return fmt.Sprintf("There is %s: as declared, no framework of this report binds the organisation or the data in reach. Another scope gives another answer.", what)
}

func (b *builder) causePages() {
	if len(b.themes)+len(b.capped) == 0 {
		return
	}
	b.add(Section{ID: "cause-pages", Title: "Findings by cause", Level: 2, NewPage: true, Blocks: []Block{
		Paragraph{Text: "Each finding has its condition, criterion, cause, effect and recommendation. Where financial reporting is concerned each is a potential control deficiency for management's evaluation; this report assigns no severity to it. The values that were read stand in Appendix A."}}})
	for i, x := range b.themes {
		lead := x.causes[0]
		kv := []KeyValue{
			{"Condition", x.condition()},
			{"Criterion", fmt.Sprintf("%s: %s.", title(count(len(x.obligations), "obligation")), b.named(x.obligations))},
		}
		why := ""
		if x.state == "absent-unfixable" {
			why = b.factsInWords(lead.element.Facts)
		}
		if why == "" && len(x.causes) == 1 && telltale(lead.element.Note) {
			why = title(strings.TrimSuffix(lead.element.Note, ".")) + "."
		}
		if why == "" {
			why = x.reason()
		}
		kv = append(kv, KeyValue{"Cause", why},
			KeyValue{"Effect", x.effect()},
			KeyValue{"Recommendation", x.step() + x.otherwise()},
			KeyValue{"Owner, effort", b.ownerOf(x) + "; " + x.effort()})
		blocks := []Block{StatusRow{Status: verdictStatus(x.worst)}, KeyValues{kv}}
		switch {
		case len(x.causes) > 1 && x.state == "absent-unfixable":
			t := Table{Head: []string{"Obligation", "Citation", "What it lacks", "Verdict"}, Widths: []int{27, 22, 27, 24}}
			for _, c := range x.causes {
				for _, o := range c.obligations {
					t.Rows = append(t.Rows, []Cell{{Text: join(": ", shortName(b.fw[o.Framework]), o.Title)}, {Text: o.Citation}, {Text: c.name}, {Status: verdictStatus(o.Verdict)}})
				}
			}
			blocks = append(blocks, t)
		case len(x.causes) > 1 && x.state == "unattested":
			t := Table{Head: []string{"Statement", "Asked for by", "Who would sign"}, Widths: []int{52, 24, 24}}
			for _, c := range x.causes {
				t.Rows = append(t.Rows, texts(c.statement(), b.named(c.obligations), b.ownerOf(single(c))))
			}
			blocks = append(blocks, t)
		case len(x.causes) > 1:
			t := Table{Head: []string{"What is not known", "Asked for by", "What to supply"}, Widths: []int{34, 26, 40}}
			for _, c := range x.causes {
				t.Rows = append(t.Rows, texts(c.name, b.named(c.obligations), single(c).step()))
			}
			blocks = append(blocks, t)
		case len(x.obligations) > 1 || x.worst == assess.GapNoConfiguration:
			t := Table{Head: []string{"Obligation", "Citation", "Verdict"}, Widths: []int{44, 32, 24}}
			for _, o := range x.obligations {
				t.Rows = append(t.Rows, []Cell{{Text: join(": ", shortName(b.fw[o.Framework]), o.Title)}, {Text: o.Citation}, {Status: verdictStatus(o.Verdict)}})
			}
			blocks = append(blocks, t)
		default:
			o := x.obligations[0]
			kv[1].Value = join(" ", join(": ", shortName(b.fw[o.Framework]), o.Title), paren(o.Citation)) + "."
		}
		// What no configuration closes gets a page of its own.
		alone := x.worst == assess.GapNoConfiguration && i > 0 || i > 0 && b.themes[i-1].worst == assess.GapNoConfiguration
		b.add(Section{ID: "cause-" + elementSlug(lead.element) + "-" + x.state, Title: fmt.Sprintf("Finding %d. %s", i+1, x.title), Level: 3, NewPage: alone, Blocks: blocks})
	}
	if len(b.capped) > 0 {
		t := Table{Head: []string{"Obligation", "Verdict", "Why"}, Widths: []int{35, 25, 40}}
		for _, o := range b.capped {
			t.Rows = append(t.Rows, []Cell{{Text: join(": ", o.Citation, o.Title)}, {Status: verdictStatus(o.Verdict)}, {Text: strings.Join(o.Reasons, " ")}})
		}
		b.add(Section{ID: "cause-capped", Title: "Held back by another obligation", Level: 3, Blocks: []Block{
			Paragraph{Text: "These presuppose a record that another obligation must create first."}, t}})
	}
}

// factsInWords is what two facts behind an element that nothing supplies say,
// those first that withhold something: what the platform does offer explains no
// gap. The appendix has them all.
func (b *builder) factsInWords(ids []string) string {
	offers := func(id string) int {
		switch b.facts[id].Value {
		case "yes":
			return 2
		case "conditional":
			return 1
		}
		return 0
	}
	ids = slices.Clone(ids)
	slices.SortStableFunc(ids, func(x, y string) int { return offers(x) - offers(y) })
	var said []string
	for _, id := range ids {
		f, ok := b.facts[id]
		if !ok || f.From == "" || f.Statement == "" || len(said) == 2 {
			continue
		}
		said = append(said, strings.TrimSuffix(firstSentence(strings.TrimSpace(f.Statement)), ".")+".")
	}
	return strings.Join(said, " ")
}

func remedyOf(os []assess.ObligationResult) string {
	for _, o := range os {
		if len(o.Remedy) > 0 {
			return strings.Join(o.Remedy, "; ")
		}
	}
	return "None recorded."
}
