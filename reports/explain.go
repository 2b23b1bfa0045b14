package reports

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Finding is a line of findings.jsonl, as a bundle holds it.
type Finding struct {
	ID       string           `json:"id"`
	Engine   string           `json:"engine"`
	Rule     string           `json:"rule"`
	Title    string           `json:"title"`
	Severity string           `json:"severity"`
	Member   string           `json:"member,omitempty"`
	Group    string           `json:"group,omitempty"`
	Time     time.Time        `json:"time"`
	Reason   string           `json:"reason"`
	Count    int              `json:"count,omitempty"`
	Events   []rules.EventRef `json:"events,omitempty"`
	Facts    []string         `json:"facts,omitempty"`
}

// ReadFindings reads findings.jsonl. A line that is none is an error with its
// number: a bundle that verifies has no such line.
func ReadFindings(r io.Reader) ([]Finding, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	var out []Finding
	for n := 1; sc.Scan(); n++ {
		if len(strings.TrimSpace(sc.Text())) == 0 {
			continue
		}
		var f Finding
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, f)
	}
	return out, sc.Err()
}

// shownFindings bounds what one element prints; the rest is counted.
const shownFindings = 5

// Explain gives the chain behind one id of an assessment: an obligation, a
// framework, a headline gap, a claim, a need, a check, a control, an observation,
// a fact or a finding, down to facts with their sources and findings with their events.
// An id that is none is an error that names the nearest.
func Explain(a *assess.Assessment, findings []Finding, id string) (*Document, error) {
	x := &explainer{a: a, facts: map[string]assess.FactUse{}, vars: map[string]assess.VariableUse{}, preds: map[string]assess.PredicateUse{}, findings: map[string]Finding{}}
	for _, f := range a.FactsUsed {
		x.facts[f.ID] = f
	}
	for _, v := range a.Variables {
		x.vars[v.Name] = v
	}
	for _, p := range a.Predicates {
		x.preds[p.Name] = p
	}
	for _, f := range findings {
		x.findings[f.ID] = f
	}
	var known []string
	doc := func(head string, blocks []Block) *Document {
		d := &Document{Meta: Meta{Title: head, AsOf: a.AsOf}}
		d.Sections = append(d.Sections, Section{ID: id, Title: head, Level: 1, Blocks: append([]Block{Paragraph{Text: x.frame(), Small: true}}, blocks...)})
		d.Sections = append(d.Sections, x.cited()...)
		return d
	}
	for i := range a.Obligations {
		o := &a.Obligations[i]
		known = append(known, o.ID)
		if o.ID == id || strings.EqualFold(o.Citation, id) {
			return doc(o.Citation+", "+o.Title, x.obligation(o)), nil
		}
	}
	for _, f := range a.Frameworks {
		known = append(known, f.ID)
		if f.ID == id {
			return doc(f.Title, x.framework(f)), nil
		}
	}
	for i := range a.Gaps {
		known = append(known, a.Gaps[i].ID)
		if a.Gaps[i].ID == id {
			return doc(a.Gaps[i].Title, x.gap(&a.Gaps[i])), nil
		}
	}
	for _, list := range [][]assess.PropositionResult{a.Claims, a.Needs} {
		for _, p := range list {
			known = append(known, p.ID)
			if p.ID == id {
				return doc(p.Text, x.proposition(p)), nil
			}
		}
	}
	for _, c := range a.Checks {
		known = append(known, c.ID)
		if strings.EqualFold(c.ID, id) {
			x.cite(c.Facts)
			return doc(c.ID+", "+c.Title, append([]Block{Lead{Text: checkStatus(c.Result).Word + "."}}, bullets(c.Reasons)...)), nil
		}
	}
	for _, c := range a.Controls {
		known = append(known, c.ID)
		if c.ID == id {
			x.cite(c.Facts)
			bs := []Block{Lead{Text: title(c.Label) + ". " + c.Reason}, Paragraph{Text: "Found by taking the control away in the model.", Small: true}}
			if len(c.Elements) > 0 {
				bs = append(bs, Paragraph{Text: "Elements that depend on it: " + strings.Join(c.Elements, ", ") + "."})
			}
			return doc(c.Title, bs), nil
		}
	}
	for _, o := range a.Observations {
		known = append(known, o.ID)
		if o.ID == id {
			x.cite(o.Facts)
			return doc("Observation", append([]Block{Lead{Text: o.Text}}, x.findingBlocks(o.Findings)...)), nil
		}
	}
	for _, f := range a.FactsUsed {
		known = append(known, f.ID)
		if f.ID == id {
			x.cite([]string{id})
			return doc("Fact "+id, x.readers(id)), nil
		}
	}
	for _, f := range findings {
		if f.ID == id {
			x.cite(f.Facts)
			return doc(f.Title, x.finding(f)), nil
		}
	}
	if i := slices.IndexFunc(a.Obligations, func(o assess.ObligationResult) bool { return strings.HasPrefix(id, o.ID+"/") }); i >= 0 {
		o := &a.Obligations[i]
		return doc(o.Citation+", "+o.Title, x.obligation(o)), nil
	}
	if g := source.Nearest(id, known); g != "" {
		return nil, fmt.Errorf("%q is nothing this assessment speaks of; did you mean %q?", id, g)
	}
	return nil, fmt.Errorf("%q is nothing this assessment speaks of; it may be an obligation (such as %s), a gap (audit-log, computer-use, data-residency), a claim, a check, a fact or a finding", id, known[0])
}

type explainer struct {
	a        *assess.Assessment
	facts    map[string]assess.FactUse
	vars     map[string]assess.VariableUse
	preds    map[string]assess.PredicateUse
	findings map[string]Finding
	seen     []string // facts cited, in order
}

func (x *explainer) frame() string {
	return fmt.Sprintf("%s On the facts of %s; evidence: %s, %s to %s.", closed(x.a.Title), x.a.AsOf, x.a.Evidence, x.a.Period.From, x.a.Period.To)
}

func (x *explainer) cite(ids []string) {
	for _, id := range ids {
		if !slices.Contains(x.seen, id) {
			x.seen = append(x.seen, id)
		}
	}
}

func (x *explainer) obligation(o *assess.ObligationResult) []Block {
	lead := o.Verdict.String() + " (" + o.Verdict.Code() + ")."
	if o.IfItWere != "" {
		lead += " If the framework were in scope: " + o.IfItWere + "."
	}
	bs := []Block{Lead{Text: lead}, Paragraph{Text: "It demands: " + o.Demands}}
	if o.Trail {
		bs = append(bs, Paragraph{Text: "A formal audit-trail duty: no amount of telemetry lifts it."})
	}
	bs = append(bs, bullets(o.Reasons)...)
	for _, e := range o.Elements {
		role := "supporting"
		if e.Essential {
			role = "essential"
		}
		bs = append(bs, StatusRow{Status: elementStatus(e.State), Title: e.Name, Text: strings.TrimSpace(role + ". " + title(e.Note))})
		var items []string
		for _, ev := range e.Evidence {
			name, _, _ := strings.Cut(ev, " ")
			switch v, p := x.vars[name], x.preds[name]; {
			case p.Name != "":
				items = append(items, fmt.Sprintf("%s: %s (%s), read from the facts %s", name, p.Value, p.Means, strings.Join(p.Facts, ", ")))
				x.cite(p.Facts)
			case v.Name != "":
				items = append(items, fmt.Sprintf("%s; %s%s", ev, v.Means, orNothing(v.Origin, "; ")))
			default:
				items = append(items, ev+"; not supplied")
			}
		}
		if e.Remedy != "" {
			items = append(items, "what would supply it: "+e.Remedy)
		}
		bs = append(bs, bullets(items)...)
		bs = append(bs, x.findingBlocks(e.Findings)...)
		x.cite(e.Facts)
	}
	if o.Disputed != "" {
		for _, d := range x.a.Disputes {
			if d.ID == o.Disputed {
				bs = append(bs, Paragraph{Text: fmt.Sprintf("Disputed (%s). %s One side: %s The other: %s Here: %s", d.ID, d.Question, d.SideA, d.SideB, d.Ours)})
			}
		}
	}
	return append(bs, x.ways(o.ID)...)
}

func (x *explainer) ways(of string) []Block {
	for _, w := range x.a.WouldChange {
		if w.Of != of {
			continue
		}
		if len(w.Ways) == 0 {
			return []Block{Paragraph{Text: "No change or pair of changes in the model lifts it."}}
		}
		bs := []Block{Heading{Text: "What would change it"}}
		for _, y := range w.Ways {
			var steps []string
			for _, s := range y.Steps {
				steps = append(steps, s.Title)
			}
			text := strings.Join(steps, ", and ") + ": " + strings.ToLower(first(y.To)) + rest(y.To) + "."
			if len(y.Breaks) > 0 {
				text += " It breaks: " + strings.Join(y.Breaks, "; ") + "."
			}
			bs = append(bs, Bullets{Items: []string{text}})
		}
		return bs
	}
	return nil
}

func (x *explainer) framework(f assess.FrameworkResult) []Block {
	bs := []Block{Lead{Text: assess.PostureName(f.Posture) + "."}, Paragraph{Text: f.Why}}
	t := Table{Head: []string{"Obligation", "Citation", "Verdict"}}
	for _, o := range x.a.Obligations {
		if o.Framework == f.ID {
			t.Rows = append(t.Rows, []Cell{{Text: o.ID, Mono: true}, {Text: o.Citation}, {Text: o.Verdict.String()}})
		}
	}
	return append(bs, t)
}

func (x *explainer) gap(g *assess.Gap) []Block {
	bs := []Block{Lead{Text: stateStatus(g.State).Word + ". " + g.Summary}}
	for _, s := range g.Surfaces {
		bs = append(bs, StatusRow{Status: stateStatus(s.State), Title: s.Name, Text: s.Text})
		x.cite(s.Facts)
	}
	for _, f := range g.Frameworks {
		name := f.Title
		if f.IfItWere {
			name += " (out of scope; if it were in)"
		}
		bs = append(bs, StatusRow{Status: Status{Word: f.Verdict, Shape: shapeOfCode(f.Code)}, Title: name, Text: f.Text})
		if len(f.Obligations) > 0 {
			bs = append(bs, Paragraph{Text: "Rests on: " + strings.Join(f.Obligations, ", "), Small: true})
		}
	}
	bs = append(bs, Heading{Text: "What it would take"})
	bs = append(bs, bullets(g.Closes)...)
	bs = append(bs, bullets(g.Footnotes)...)
	x.cite(g.Facts)
	return bs
}

func (x *explainer) proposition(p assess.PropositionResult) []Block {
	bs := append([]Block{Lead{Text: propositionStatus(p.Verdict).Word + "."}}, bullets(p.Reasons)...)
	if p.SayInstead != "" {
		bs = append(bs, Paragraph{Text: "Say instead: " + p.SayInstead})
	}
	bs = append(bs, bullets(p.Remedies)...)
	bs = append(bs, bullets(p.Footnotes)...)
	x.cite(p.Facts)
	return bs
}

func (x *explainer) finding(f Finding) []Block {
	bs := []Block{Lead{Text: title(f.Severity) + ": " + f.Reason + "."}, KeyValues{Pairs: []KeyValue{
		{"Engine and rule", f.Engine + ", " + f.Rule}, {"Time", f.Time.UTC().Format(time.RFC3339)}, {"Member", or(f.Member, "None")}, {"Group", or(f.Group, "None")},
	}}}
	return append(bs, events(f)...)
}

func events(f Finding) []Block {
	var items []string
	for _, e := range f.Events {
		items = append(items, fmt.Sprintf("event %s, %s at %s%s%s", e.ID(), e.Kind, e.Time, orNothing(e.Session, ", session "), orNothing(e.Prompt, ", prompt ")))
	}
	if n := f.Count - len(f.Events); n > 0 {
		items = append(items, fmt.Sprintf("and %d more events that are not listed on the finding", n))
	}
	return bullets(items)
}

func (x *explainer) findingBlocks(ids []string) []Block {
	var bs []Block
	for i, id := range ids {
		if i == shownFindings {
			bs = append(bs, Paragraph{Text: fmt.Sprintf("and %d more findings; each can be explained by its id: %s", len(ids)-i, strings.Join(ids[i:], ", ")), Small: true})
			break
		}
		f, ok := x.findings[id]
		if !ok {
			bs = append(bs, Paragraph{Text: "finding " + id + " is not in findings.jsonl"})
			continue
		}
		bs = append(bs, Paragraph{Text: fmt.Sprintf("finding %s, %s, %s: %s. %s", f.ID, f.Severity, f.Time.UTC().Format(time.RFC3339), f.Title, title(f.Reason))})
		bs = append(bs, events(f)...)
		x.cite(f.Facts)
	}
	return bs
}

// readers lists what rests on a fact.
func (x *explainer) readers(id string) []Block {
	var items []string
	for _, o := range x.a.Obligations {
		for _, e := range o.Elements {
			if slices.Contains(e.Facts, id) {
				items = append(items, e.ID+": "+e.State)
			}
		}
	}
	for _, g := range x.a.Gaps {
		if slices.Contains(g.Facts, id) {
			items = append(items, "gap "+g.ID+": "+g.State)
		}
	}
	for _, p := range append(slices.Clone(x.a.Claims), x.a.Needs...) {
		if slices.Contains(p.Facts, id) {
			items = append(items, p.ID+": "+p.Verdict)
		}
	}
	for _, c := range x.a.ChangedSince {
		if c.Fact == id {
			items = append(items, fmt.Sprintf("changes on %s: %s", c.Date, c.To))
		}
	}
	return append([]Block{Heading{Text: "What rests on it here"}}, bullets(items)...)
}

// cited is the end of the chain: each fact with its dates and sources.
func (x *explainer) cited() []Section {
	if len(x.seen) == 0 {
		return nil
	}
	s := Section{ID: "facts", Title: "Facts it rests on", Level: 2}
	for _, id := range x.seen {
		f, ok := x.facts[id]
		if !ok {
			s.Blocks = append(s.Blocks, Paragraph{Text: id + ": not in this assessment"})
			continue
		}
		line := fmt.Sprintf("%s = %s. %s From %s, last verified %s, confidence %s.", f.ID, f.Value, strings.TrimSpace(f.Statement), f.From, f.LastVerified, f.Confidence)
		switch {
		case f.From == "":
			line = join(" ", fmt.Sprintf("%s = %s. %s", f.ID, f.Value, strings.TrimSpace(f.Statement)), f.Note)
		case strings.Contains(f.Note, "In force since "+f.From): // the note has the dates already
			line = fmt.Sprintf("%s = %s. %s %s Confidence %s.", f.ID, f.Value, strings.TrimSpace(f.Statement), f.Note, f.Confidence)
		default:
			line = join(" ", line, f.Note)
		}
		s.Blocks = append(s.Blocks, Paragraph{Text: line})
		s.Blocks = append(s.Blocks, bullets(f.Sources)...)
	}
	return []Section{s}
}

func bullets(items []string) []Block {
	if len(items) == 0 {
		return nil
	}
	return []Block{Bullets{Items: items}}
}

func orNothing(s, prefix string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
