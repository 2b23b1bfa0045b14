package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
)

// What the report rests on and does not say: evidence, what an auditor will still ask for, disputes, limits, words, signatures.

func (b *builder) stillAsked() {
	type ask struct {
		element     assess.ElementResult
		obligations []assess.ObligationResult
	}
	var order []*ask
	byKey := map[string]*ask{}
	for _, o := range b.a.Obligations {
		if o.Verdict == assess.NotApplicable {
			continue
		}
		for _, e := range o.Elements {
			if e.State != "unattested" && e.State != "unknown" {
				continue
			}
			k := elementSlug(e)
			if byKey[k] == nil {
				byKey[k] = &ask{element: e}
				order = append(order, byKey[k])
			}
			byKey[k].obligations = append(byKey[k].obligations, o)
		}
	}
	slices.SortStableFunc(order, func(x, y *ask) int { return len(y.obligations) - len(x.obligations) })
	var blocks []Block
	records := Table{Head: []string{"Record", "State", "Asked for by", "What to supply", "Owner", "How it reaches the auditor"}, Widths: []int{20, 12, 14, 21, 13, 20}}
	signed := Table{Head: []string{"Statement", "Asked for by", "Owner"}, Widths: []int{54, 22, 24}}
	for _, x := range order {
		c := &cause{name: or(x.element.Name, words(elementSlug(x.element))), element: x.element, obligations: x.obligations}
		if x.element.Source == "attestation" {
			signed.Rows = append(signed.Rows, texts(c.statement(), b.named(x.obligations), b.ownerOf(single(c))))
			continue
		}
		records.Rows = append(records.Rows, []Cell{{Text: c.name}, {Status: elementStatus(x.element.State)}, {Text: b.named(x.obligations)}, {Text: single(c).step()}, {Text: b.ownerOf(single(c))}, {Text: exportOf(x.element)}})
	}
	if len(records.Rows) > 0 {
		blocks = append(blocks, Heading{"Records and exports"}, records)
	}
	if len(signed.Rows) > 0 {
		blocks = append(blocks, Heading{"Signed statements"}, Paragraph{Text: "Each reaches the auditor as a dated statement with a name, filed with the evidence index."}, signed)
	}
	v := Table{Head: []string{"Value not supplied", "Class of evidence", "Would come from"}, Widths: []int{45, 25, 30}}
	for _, x := range b.a.Variables {
		if x.Value == "" || x.Value == "unknown" {
			v.Rows = append(v.Rows, []Cell{{Text: x.Name, Mono: true}, {Text: x.Class}, {Text: x.Origin}})
		}
	}
	if len(v.Rows) > 0 {
		v.Note = "Names as in the evidence vocabulary. What was not supplied counts as unknown, never as in order."
		blocks = append(blocks, Heading{"Values that no input supplied"}, v)
	}
	short := false
	if len(blocks) == 0 {
		text := "Nothing is open in what this assessment asked for. An auditor may ask for more."
		if !b.binds() {
			text = "As declared, no framework binds, so this assessment asks for no record. An auditor will still ask how that was decided: who declared the scope, from what, and with which export of settings and members behind it."
		}
		blocks, short = []Block{Paragraph{Text: text}}, true
	}
	b.add(Section{ID: "still-asked", Title: "What the auditor will still ask for", Level: 2, NewPage: !short, Blocks: blocks})
}

func (b *builder) evidence() {
	blocks := []Block{Paragraph{Text: "No evidence file was given."}}
	if len(b.a.Evidences) > 0 {
		t := Table{Head: []string{"No.", "What", "Class", "Period", "Size", "SHA-256"}, Widths: []int{8, 27, 17, 16, 10, 22}}
		for _, e := range b.a.Evidences {
			size := ""
			if e.Size > 0 {
				size = num(e.Size) + " B"
			}
			t.Rows = append(t.Rows, []Cell{{Text: e.ID, Mono: true}, {Text: join(". ", e.What, e.Note)}, {Text: classWords(e.Class)}, {Text: e.Period}, {Text: size}, {Text: e.SHA256, Mono: true}})
		}
		blocks = []Block{Paragraph{Text: "Files are named by their hash; their content is not copied here."}, t}
		read := Table{Head: []string{"No.", "Elements that read a figure of it"}, Widths: []int{8, 92},
			Note: "Whether a figure meets the element is the element's to say: its state stands in Appendix A."}
		const most = 16 // a settings snapshot speaks to more elements than anybody reads here
		for _, e := range b.a.Evidences {
			if names := e.Supports; len(names) > most {
				read.Rows = append(read.Rows, []Cell{{Text: e.ID, Mono: true}, {Text: fmt.Sprintf("%s and %d more (assessment.json names them)", strings.Join(names[:most], ", "), len(names)-most)}})
			} else if len(names) > 0 {
				read.Rows = append(read.Rows, []Cell{{Text: e.ID, Mono: true}, {Text: strings.Join(names, ", ")}})
			}
		}
		if len(read.Rows) > 0 {
			blocks = append(blocks, Heading{"What the files speak to"}, read)
		}
	}
	blocks = append(blocks, Heading{"What the bundle proves"}, Bullets{[]string{
		"The manifest beside this report lists each file with its SHA-256 and size. A check against it shows any change, loss or addition since the bundle was written.",
		"A signature, where one was made, shows that the holder of a key made the manifest. Without one, nothing shows who wrote it.",
		"Neither shows that a capture was complete, that the declared configuration is the real one, or that a control operated.",
	}})
	b.add(Section{ID: "evidence", Title: "Evidence index and requests", NewPage: true, Blocks: blocks})
}

func (b *builder) disputes() {
	if len(b.a.Disputes) == 0 {
		return
	}
	t := Table{Head: []string{"Point", "Question", "One side", "The other side", "How it was read here"}, Widths: []int{7, 21, 24, 24, 24}}
	for _, d := range b.a.Disputes {
		t.Rows = append(t.Rows, texts(d.ID, d.Question, d.SideA, d.SideB, d.Ours))
	}
	b.add(Section{ID: "disputes", Title: "Disputed points", Level: 2, Blocks: []Block{
		Paragraph{Text: "Practitioners disagree on these. They are shown, not averaged away."}, t}})
}

// limits is what every report must say, whatever the assessment adds.
var limits = []string{
	"This is a readiness aid for management, prepared from the inputs supplied. Those inputs were not verified independently.",
	"It is not an audit, examination, review or attestation, and it is not a risk analysis, an assessor's report or a SOC report. Only a licensed accounting firm issues SOC reports; only a qualified assessor or the entity's own questionnaire validates PCI DSS; registered auditors opine on financial reporting controls; no government body attests a company's standing under HIPAA.",
	"It is not legal advice. Which rules apply, and what a contract covers, is a question for counsel.",
	"Scope is declared by you. Regulators, laws and contracts other than the frameworks named here are not covered.",
	"It describes one point in time. Platform facts carry dates and sources and may have changed since.",
	"Telemetry is not an audit log, and the absence of alerts is not the absence of incidents.",
	"Standards are paraphrased; the official texts prevail.",
	"It is meant for the client named on the cover. No third party may rely on it, and no vendor or standards body endorses it.",
}

// limitTopics are words by which a limitation of the assessment is known to be
// said above already.
var limitTopics = []string{"readiness aid", "legal advice", "Scope is declared", "SOC reports", "latform fact", "audit log", "paraphrased", "third party"}

func (b *builder) limitations() {
	items := slices.Clone(limits)
	if b.doc.Meta.Simulated {
		items = append(items, "Simulated evidence shows what rules and settings would do. It is no evidence that any control operated.")
	}
	for _, l := range b.a.Limitations {
		if !slices.ContainsFunc(limitTopics, func(topic string) bool { return strings.Contains(l, topic) }) {
			items = append(items, l)
		}
	}
	b.add(Section{ID: "limitations", Title: "Limitations and restricted use", NewPage: true, Blocks: []Block{Bullets{items}}})
}

var meanings = map[assess.Verdict]string{
	assess.Supported:          "Every essential element is met by evidence of a kind that may carry it, in date. It does not state that the law or standard is met.",
	assess.PartlySupported:    "The essential elements exist but fall short in coverage, completeness, time or scope, or the record they presuppose is missing.",
	assess.GapYouCanClose:     "An essential element is absent, and a documented setting, a licence already held or a process of yours would supply it.",
	assess.GapNoConfiguration: "An essential element is absent, and nothing on the present plan and profile supplies it. Change the plan, keep the data out, wait for the vendor or use another product. Dated, not permanent.",
	assess.NeedsAttestation:   "The element is a human or organisational fact that no tool can observe. Somebody must state it and sign.",
	assess.NotAssessed:        "Inputs are missing, the window is too short or the check could not run. Missing data never counts in favour.",
	assess.NotApplicable:      "The scoping rule says so; the reason is printed.",
}

func (b *builder) glossary() {
	t := Table{Head: []string{"Verdict", "What it means"}, Widths: []int{32, 68}}
	for _, v := range assess.Verdicts() {
		t.Rows = append(t.Rows, []Cell{{Status: verdictStatus(v)}, {Text: meanings[v]}})
	}
	b.add(Section{ID: "glossary", Title: "Glossary: the seven verdicts", Level: 2, Blocks: []Block{t}})
}

func (b *builder) signOff() {
	t := Table{Head: []string{"Role", "Name", "Signature", "Date"}, Widths: []int{34, 24, 26, 16}, WriteIn: true,
		Note: "Left blank on purpose: no tool signs for a person."}
	for _, r := range []string{"Preparer", "Technical reviewer", "Data owner", "CISO", "Privacy or security officer (HIPAA)", "Controller or SOX lead", "Executive sponsor (PCI DSS)", "System owner (SOC 2)"} {
		t.Rows = append(t.Rows, texts(r, "", "", ""))
	}
	b.add(Section{ID: "sign-off", Title: "Attestations and sign-off", NewPage: true, Blocks: []Block{t}})
}
