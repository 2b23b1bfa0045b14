// Package oscal writes an assessment as OSCAL 1.1.3: assessment results, and the
// least catalogue, component definition and assessment plan that make their
// references resolve.
//
// OSCAL knows satisfied and not-satisfied only. Collapsing seven verdicts to two
// loses what matters, so the verdict travels along in a namespaced property and
// in the reason of the target's status, and nothing but "supported" is ever
// satisfied. Standards are in our own words: no official OSCAL catalogue exists
// for these frameworks.
//
// The same assessment gives the same bytes. Identifiers are version 5 UUIDs of a
// fixed namespace, the digest of the assessment and a natural key.
package oscal

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/sandtable-dev/sandtable/assess"
)

const (
	// Version of OSCAL written. The schemas do not check it.
	Version = "1.1.3"
	// Namespace of the properties that are ours.
	Namespace = "https://github.com/sandtable-dev/sandtable/ns/oscal"
)

// The names of the documents, in the order in which Documents returns them.
const (
	ResultsName   = "oscal-assessment-results.json"
	CatalogName   = "oscal-catalog.json"
	ComponentName = "oscal-component-definition.json"
	PlanName      = "oscal-assessment-plan.json"
)

// File is one document.
type File struct {
	Name string
	Data []byte
}

// Documents writes an assessment as four documents that refer to each other by
// name and hash. assessment is the document as it lies in the bundle
// (assessment.json): its digest goes into every identifier, and results point at
// it as evidence. toolVersion is the version of the tool.
func Documents(a *assess.Assessment, assessment []byte, toolVersion string) ([]File, error) {
	sum := sha256.Sum256(assessment)
	w := &writer{a: a, digest: hex.EncodeToString(sum[:]), tool: toolVersion}
	if len(a.Obligations) == 0 {
		return nil, fmt.Errorf("oscal: the assessment has no obligation, so there is nothing to write")
	}
	if toolVersion == "" {
		return nil, fmt.Errorf("oscal: no tool version given")
	}
	var out []File
	add := func(name string, doc any) ([]byte, error) {
		b, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			return nil, err
		}
		b = append(b, '\n')
		out = append(out, File{name, b})
		return b, nil
	}
	catalog, err := add(CatalogName, w.catalog())
	if err != nil {
		return nil, err
	}
	component, err := add(ComponentName, w.component(catalog))
	if err != nil {
		return nil, err
	}
	plan, err := add(PlanName, w.plan(catalog, component))
	if err != nil {
		return nil, err
	}
	if _, err := add(ResultsName, w.results(catalog, plan)); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(x, y File) int { return slices.Index(order, x.Name) - slices.Index(order, y.Name) })
	return out, nil
}

var order = []string{ResultsName, CatalogName, ComponentName, PlanName}

// namespace of the identifiers: a version 5 UUID of our property namespace.
var namespace = v5([16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}, Namespace) // RFC 9562's namespace of URLs

func v5(ns [16]byte, name string) [16]byte {
	h := sha1.New()
	h.Write(ns[:])
	h.Write([]byte(name))
	var u [16]byte
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

func format(u [16]byte) string {
	s := hex.EncodeToString(u[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

type writer struct {
	a      *assess.Assessment
	digest string
	tool   string
}

// id of something in the documents of this assessment.
func (w *writer) id(parts ...string) string {
	return format(v5(namespace, w.digest+"\x00"+strings.Join(parts, "\x00")))
}

// What follows is the subset of OSCAL that is written. Lists are left out when
// empty, because the schemas refuse empty ones.

type metadata struct {
	Title        string `json:"title"`
	LastModified string `json:"last-modified"`
	Version      string `json:"version"`
	OSCALVersion string `json:"oscal-version"`
	Props        []prop `json:"props,omitempty"`
	Remarks      string `json:"remarks,omitempty"`
}

type prop struct {
	Name  string `json:"name"`
	NS    string `json:"ns,omitempty"`
	Value string `json:"value"`
}

type hash struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}

type rlink struct {
	Href      string `json:"href"`
	MediaType string `json:"media-type,omitempty"`
	Hashes    []hash `json:"hashes,omitempty"`
}

type resource struct {
	UUID        string  `json:"uuid"`
	Title       string  `json:"title"`
	Description string  `json:"description,omitempty"`
	RLinks      []rlink `json:"rlinks,omitempty"`
}

type backMatter struct {
	Resources []resource `json:"resources"`
}

type empty struct{}

type controlRef struct {
	ControlID string `json:"control-id"`
}

type selection struct {
	Description string       `json:"description,omitempty"`
	IncludeAll  *empty       `json:"include-all,omitempty"`
	Exclude     []controlRef `json:"exclude-controls,omitempty"`
}

type reviewed struct {
	Description string      `json:"description,omitempty"`
	Selections  []selection `json:"control-selections"`
}

type part struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Prose string `json:"prose"`
}

type control struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Props []prop `json:"props"`
	Parts []part `json:"parts"`
}

type group struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Controls []control `json:"controls"`
}

type catalogDoc struct {
	Catalog struct {
		UUID     string   `json:"uuid"`
		Metadata metadata `json:"metadata"`
		Groups   []group  `json:"groups"`
	} `json:"catalog"`
}

type requirement struct {
	UUID        string `json:"uuid"`
	ControlID   string `json:"control-id"`
	Description string `json:"description"`
	Props       []prop `json:"props,omitempty"`
}

type implementation struct {
	UUID         string        `json:"uuid"`
	Source       string        `json:"source"`
	Description  string        `json:"description"`
	Requirements []requirement `json:"implemented-requirements"`
}

type definedComponent struct {
	UUID            string           `json:"uuid"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description"`
	Props           []prop           `json:"props,omitempty"`
	Implementations []implementation `json:"control-implementations,omitempty"`
}

type componentDoc struct {
	Definition struct {
		UUID       string             `json:"uuid"`
		Metadata   metadata           `json:"metadata"`
		Components []definedComponent `json:"components"`
		BackMatter backMatter         `json:"back-matter"`
	} `json:"component-definition"`
}

type href struct {
	Href string `json:"href"`
}

type planDoc struct {
	Plan struct {
		UUID       string     `json:"uuid"`
		Metadata   metadata   `json:"metadata"`
		ImportSSP  href       `json:"import-ssp"`
		Reviewed   reviewed   `json:"reviewed-controls"`
		BackMatter backMatter `json:"back-matter"`
	} `json:"assessment-plan"`
}

type status struct {
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Remarks string `json:"remarks,omitempty"`
}

type implemented struct {
	State string `json:"state"`
}

type target struct {
	Type           string       `json:"type"`
	TargetID       string       `json:"target-id"`
	Title          string       `json:"title"`
	Status         status       `json:"status"`
	Implementation *implemented `json:"implementation-status,omitempty"`
}

type relatedObservation struct {
	UUID string `json:"observation-uuid"`
}

type relatedRisk struct {
	UUID string `json:"risk-uuid"`
}

type actor struct {
	Type string `json:"type"`
	UUID string `json:"actor-uuid"`
}

type origin struct {
	Actors []actor `json:"actors"`
}

type finding struct {
	UUID         string               `json:"uuid"`
	Title        string               `json:"title"`
	Description  string               `json:"description"`
	Props        []prop               `json:"props"`
	Origins      []origin             `json:"origins"`
	Target       target               `json:"target"`
	Observations []relatedObservation `json:"related-observations,omitempty"`
	Risks        []relatedRisk        `json:"related-risks,omitempty"`
	Remarks      string               `json:"remarks,omitempty"`
}

type evidence struct {
	Href        string `json:"href"`
	Description string `json:"description"`
}

type observation struct {
	UUID        string     `json:"uuid"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Props       []prop     `json:"props"`
	Methods     []string   `json:"methods"`
	Types       []string   `json:"types,omitempty"`
	Origins     []origin   `json:"origins"`
	Evidence    []evidence `json:"relevant-evidence,omitempty"`
	Collected   string     `json:"collected"`
	Remarks     string     `json:"remarks,omitempty"`
}

type factor struct {
	UUID        string `json:"uuid"`
	Description string `json:"description"`
}

type remediation struct {
	UUID        string `json:"uuid"`
	Lifecycle   string `json:"lifecycle"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

type risk struct {
	UUID         string        `json:"uuid"`
	Title        string        `json:"title"`
	Description  string        `json:"description"`
	Statement    string        `json:"statement"`
	Props        []prop        `json:"props"`
	Status       string        `json:"status"`
	Factors      []factor      `json:"mitigating-factors,omitempty"`
	Remediations []remediation `json:"remediations,omitempty"`
}

type toolStatus struct {
	State string `json:"state"`
}

type toolComponent struct {
	UUID        string     `json:"uuid"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Props       []prop     `json:"props"`
	Status      toolStatus `json:"status"`
}

type usesComponent struct {
	UUID string `json:"component-uuid"`
}

type assetPlatform struct {
	UUID  string          `json:"uuid"`
	Title string          `json:"title"`
	Uses  []usesComponent `json:"uses-components"`
}

type assets struct {
	Components []toolComponent `json:"components"`
	Platforms  []assetPlatform `json:"assessment-platforms"`
}

type localDefinitions struct {
	Assets assets `json:"assessment-assets"`
}

type textPart struct {
	UUID  string `json:"uuid"`
	Name  string `json:"name"`
	NS    string `json:"ns"`
	Title string `json:"title"`
	Prose string `json:"prose"`
}

type attestation struct {
	Parts []textPart `json:"parts"`
}

type logEntry struct {
	UUID        string `json:"uuid"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Start       string `json:"start"`
	End         string `json:"end"`
}

type assessmentLog struct {
	Entries []logEntry `json:"entries"`
}

type result struct {
	UUID         string           `json:"uuid"`
	Title        string           `json:"title"`
	Description  string           `json:"description"`
	Start        string           `json:"start"`
	End          string           `json:"end"`
	Props        []prop           `json:"props"`
	Local        localDefinitions `json:"local-definitions"`
	Reviewed     reviewed         `json:"reviewed-controls"`
	Attestations []attestation    `json:"attestations,omitempty"`
	Log          assessmentLog    `json:"assessment-log"`
	Observations []observation    `json:"observations,omitempty"`
	Risks        []risk           `json:"risks,omitempty"`
	Findings     []finding        `json:"findings,omitempty"`
}

type resultsDoc struct {
	Results struct {
		UUID       string     `json:"uuid"`
		Metadata   metadata   `json:"metadata"`
		ImportAP   href       `json:"import-ap"`
		Results    []result   `json:"results"`
		BackMatter backMatter `json:"back-matter"`
	} `json:"assessment-results"`
}

// moment is a day with the offset that every date-time of OSCAL needs.
func moment(day string) string { return day + "T00:00:00Z" }

// line makes a property value: one line, not empty, no space at its ends.
func line(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return "none"
	}
	return s
}

// token keeps what a token may hold and makes the rest an underscore.
func token(s string) string {
	t := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
	if t == "" || !unicode.IsLetter(rune(t[0])) && t[0] != '_' {
		t = "_" + t
	}
	return t
}

func own(name, value string) prop { return prop{Name: name, NS: Namespace, Value: line(value)} }

func (w *writer) meta(title string) metadata {
	return metadata{Title: line(title), LastModified: moment(w.a.AsOf), Version: line(w.a.Scenario + " as of " + w.a.AsOf), OSCALVersion: Version,
		Props:   []prop{own("tool-version", w.tool), own("as-of", w.a.AsOf), own("fact-set", w.a.FactSet), own("evidence", w.a.Evidence)},
		Remarks: "A readiness aid for management. It is not an audit, examination, review, attestation or legal advice, and prepared from inputs that were not verified independently."}
}

func statement(id string) string { return token(id) + "_smt" }

func (w *writer) catalog() any {
	var d catalogDoc
	d.Catalog.UUID, d.Catalog.Metadata = w.id("catalog"), w.meta("Obligations of the assessment, in our own words")
	for _, f := range w.a.Frameworks {
		g := group{ID: token(f.ID), Title: line(f.Title)}
		for _, o := range w.a.Obligations {
			if o.Framework != f.ID {
				continue
			}
			c := control{ID: token(o.ID), Title: line(o.Title), Parts: []part{{statement(o.ID), "statement", o.Demands}},
				Props: []prop{{Name: "label", Value: line(o.Citation)}, own("weight", o.Weight), own("kind", o.Label), own("text-read", o.Text), own("formal-trail", fmt.Sprint(o.Trail))}}
			g.Controls = append(g.Controls, c)
		}
		if len(g.Controls) > 0 {
			d.Catalog.Groups = append(d.Catalog.Groups, g)
		}
	}
	return d
}

func (w *writer) file(key, title, name string, data []byte) resource {
	sum := sha256.Sum256(data)
	return resource{UUID: w.id("resource", key), Title: title, RLinks: []rlink{{Href: name, MediaType: "application/json", Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}}}}}
}

// component describes what the platform does and what the customer's side does,
// as far as the elements say it.
func (w *writer) component(catalog []byte) any {
	var d componentDoc
	cat := w.file("catalog", "Catalogue of the obligations", CatalogName, catalog)
	d.Definition.UUID, d.Definition.Metadata = w.id("component-definition"), w.meta("Claude Cowork as used here, and the customer's configuration")
	d.Definition.BackMatter.Resources = []resource{cat}
	for _, c := range []struct {
		key, typ, title, description string
		mine                         func(assess.ElementResult) bool
	}{
		{"platform", "service", "Claude Cowork platform, plan " + w.a.Organisation.Plan, "What the platform supplies for this plan, execution mode and data arrangement on the facts of " + w.a.AsOf + ". Independent description, not by the vendor.",
			func(e assess.ElementResult) bool { return e.Source == "platform" }},
		{"customer", "this-system", "Customer configuration, telemetry and statements", "What the organisation configured, observed and attested.",
			func(e assess.ElementResult) bool { return e.Source != "platform" }},
	} {
		comp := definedComponent{UUID: w.id("component", c.key), Type: c.typ, Title: line(c.title), Description: c.description, Props: []prop{own("as-of", w.a.AsOf)}}
		im := implementation{UUID: w.id("implementation", c.key), Source: "#" + cat.UUID, Description: "State of each element by obligation."}
		for _, o := range w.a.Obligations {
			var lines []string
			for _, e := range o.Elements {
				if c.mine(e) {
					lines = append(lines, fmt.Sprintf("%s: %s (%s).", e.Name, e.State, line(e.Note)))
				}
			}
			if len(lines) > 0 {
				im.Requirements = append(im.Requirements, requirement{UUID: w.id("requirement", c.key, o.ID), ControlID: token(o.ID), Description: strings.Join(lines, " ")})
			}
		}
		if len(im.Requirements) > 0 {
			comp.Implementations = []implementation{im}
		}
		d.Definition.Components = append(d.Definition.Components, comp)
	}
	return d
}

func (w *writer) plan(catalog, component []byte) any {
	var d planDoc
	d.Plan.UUID, d.Plan.Metadata = w.id("assessment-plan"), w.meta("Plan of the assessment")
	none := resource{UUID: w.id("resource", "no-ssp"), Title: "System description", Description: "No system security plan exists. The system is described by the scenario and exports that went into the assessment; the component definition beside this plan holds what they say.",
		RLinks: w.file("component", "", ComponentName, component).RLinks}
	d.Plan.ImportSSP = href{"#" + none.UUID}
	d.Plan.Reviewed = reviewed{Description: "Every obligation of the catalogue; scoping decides which of them apply.", Selections: []selection{{IncludeAll: &empty{}}}}
	d.Plan.BackMatter.Resources = []resource{none, w.file("catalog", "Catalogue of the obligations", CatalogName, catalog)}
	return d
}

func (w *writer) origins() []origin {
	return []origin{{Actors: []actor{{"tool", w.id("tool")}}}}
}

func (w *writer) results(catalog, plan []byte) any {
	a := w.a
	var d resultsDoc
	d.Results.UUID, d.Results.Metadata = w.id("assessment-results"), w.meta("Readiness assessment: "+strings.TrimRight(a.Title, ".?! "))
	planRes := w.file("plan", "Assessment plan", PlanName, plan)
	source := resource{UUID: w.id("resource", "assessment"), Title: "The assessment in full", Description: "Every verdict with its elements, evidence and dated facts.",
		RLinks: []rlink{{Href: "assessment.json", MediaType: "application/json", Hashes: []hash{{"SHA-256", w.digest}}}}}
	d.Results.ImportAP = href{"#" + planRes.UUID}
	d.Results.BackMatter.Resources = []resource{planRes, source, w.file("catalog", "Catalogue of the obligations", CatalogName, catalog)}

	sim := a.Evidence != "observed"
	r := result{UUID: w.id("result"), Title: "Result as of " + a.AsOf, Description: line(a.Answer.Text), Start: moment(a.Period.From), End: moment(a.Period.To),
		Props: []prop{own("answer", a.Answer.Posture), own("as-of", a.AsOf), own("evidence", a.Evidence), own("profile", a.Organisation.Plan+", fact set "+a.FactSet)}}
	r.Local.Assets = assets{
		Components: []toolComponent{{UUID: w.id("tool"), Type: "software", Title: "Sandtable", Description: "Computes verdicts from dated facts, configuration, telemetry, exports and attestations.", Props: []prop{{Name: "version", Value: line(w.tool)}}, Status: toolStatus{"operational"}}},
		Platforms:  []assetPlatform{{UUID: w.id("platform"), Title: "Where the tool ran", Uses: []usesComponent{{w.id("tool")}}}},
	}
	sel := selection{Description: "Everything in the catalogue, less what does not apply.", IncludeAll: &empty{}}
	seen := map[string]bool{}
	for _, o := range a.Obligations {
		if o.Verdict == assess.NotApplicable {
			sel.Exclude = append(sel.Exclude, controlRef{token(o.ID)})
			r.Observations = append(r.Observations, observation{UUID: w.id("observation", "scope", o.ID), Title: "Not applicable: " + line(o.Citation), Description: strings.Join(o.Reasons, " "),
				Props: []prop{own("verdict", o.Verdict.Code()), own("control-id", o.ID)}, Methods: []string{"EXAMINE"}, Origins: w.origins(), Collected: moment(a.AsOf)})
			continue
		}
		for _, e := range o.Elements {
			if name := elementName(e); !seen[name] {
				seen[name] = true
				r.Observations = append(r.Observations, w.observation(e, name, sim, source.UUID))
			}
		}
	}
	for _, o := range a.Observations {
		r.Observations = append(r.Observations, observation{UUID: w.id("observation", "noted", o.ID), Title: "Noted: " + line(o.ID), Description: o.Text, Props: []prop{own("observation-id", o.ID)},
			Methods: []string{method("config", sim)}, Origins: w.origins(), Evidence: []evidence{{"#" + source.UUID, "The assessment in full."}}, Collected: moment(a.AsOf)})
	}
	for _, o := range a.Obligations {
		if o.Verdict == assess.NotApplicable {
			continue
		}
		f, rk := w.finding(o)
		if rk != nil {
			r.Risks = append(r.Risks, *rk)
			f.Risks = []relatedRisk{{rk.UUID}}
		}
		r.Findings = append(r.Findings, f)
	}
	r.Reviewed = reviewed{Description: "Seven verdicts stand behind two states; the property verdict has them.", Selections: []selection{sel}}
	if len(a.Limitations) > 0 {
		r.Attestations = []attestation{{Parts: []textPart{{UUID: w.id("limitations"), Name: "limitations", NS: Namespace, Title: "What this assessment is not", Prose: strings.Join(a.Limitations, "\n\n")}}}}
	}
	log := "Captured telemetry was replayed through the role, spend and alert engines."
	if sim {
		log = "A simulated period was played through the role, spend and alert engines. Nothing in it shows that a control operated."
	}
	r.Log.Entries = []logEntry{{UUID: w.id("log", "replay"), Title: "Replay", Description: log, Start: moment(a.Period.From), End: moment(a.Period.To)}}
	d.Results.Results = []result{r}
	return d
}

func elementName(e assess.ElementResult) string {
	if i := strings.LastIndexByte(e.ID, '/'); i >= 0 {
		return e.ID[i+1:]
	}
	return e.ID
}

// method is how an element was looked at. What was played is a test of rules and
// never an examination.
func method(source string, sim bool) string {
	switch {
	case source == "attestation":
		return "INTERVIEW"
	case source == "telemetry" && sim:
		return "TEST"
	}
	return "EXAMINE"
}

// class is the evidence class of an element's inputs, the weakest first.
func class(e assess.ElementResult, sim bool) string {
	if e.Source == "telemetry" && sim {
		return "E7"
	}
	switch e.Source {
	case "telemetry":
		return "E3"
	case "attestation":
		return "E6"
	case "platform":
		return "dated-fact"
	}
	all := strings.Join(e.Evidence, " ")
	for _, c := range []string{"E7", "E6", "E5", "E4", "E3", "E2", "E1"} {
		if strings.Contains(all, c) {
			return c
		}
	}
	return "E4"
}

func (w *writer) observation(e assess.ElementResult, name string, sim bool, source string) observation {
	c := class(e, sim)
	m := method(e.Source, sim)
	if c == "E7" {
		m = "TEST"
	}
	o := observation{UUID: w.id("observation", "element", name), Title: line(e.Name), Description: fmt.Sprintf("%s: %s. %s", e.Name, e.State, e.Note), Methods: []string{m}, Origins: w.origins(), Collected: moment(w.a.Period.To),
		Props:    []prop{own("element", name), own("state", e.State), own("aspect", e.Aspect), own("evidence-class", c)},
		Evidence: []evidence{{"#" + source, "The assessment in full; element " + name + "."}}}
	if len(e.Evidence) > 0 {
		o.Remarks = "Read: " + strings.Join(e.Evidence, "; ") + "."
	}
	for _, f := range e.Facts {
		o.Props = append(o.Props, own("fact", f))
	}
	return o
}

func (w *writer) finding(o assess.ObligationResult) (finding, *risk) {
	f := finding{UUID: w.id("finding", o.ID), Title: line(o.Citation + ", " + o.Title), Description: o.Verdict.String() + ". " + strings.Join(o.Reasons, " "), Origins: w.origins(),
		Props: []prop{own("verdict", o.Verdict.Code()), own("as-of", w.a.AsOf), own("formal-trail", fmt.Sprint(o.Trail)), own("weight", o.Weight)},
		Target: target{Type: "statement-id", TargetID: statement(o.ID), Title: line(o.Title),
			Status: status{State: "not-satisfied", Reason: reasons[o.Verdict]}}}
	if o.Verdict == assess.Supported {
		f.Target.Status.State = "satisfied"
		if o.DesignOnly {
			f.Target.Status.State, f.Target.Status.Reason = "not-satisfied", "design-only"
			f.Target.Status.Remarks = "Supported in design. Simulated evidence shows how it is set up, not that it operated."
		}
	}
	if s := implementations[o.Verdict]; s != "" {
		f.Target.Implementation = &implemented{s}
	}
	if o.Disputed != "" {
		f.Remarks = "Practitioners disagree; see dispute " + o.Disputed + " in the assessment."
	}
	var met, out []string
	for _, e := range o.Elements {
		f.Observations = append(f.Observations, relatedObservation{w.id("observation", "element", elementName(e))})
		if e.State == "met" {
			met = append(met, e.Name)
		}
	}
	if o.Verdict != assess.PartlySupported && o.Verdict != assess.GapYouCanClose && o.Verdict != assess.GapNoConfiguration {
		return f, nil
	}
	out = append(out, o.Remedy...)
	if len(out) == 0 {
		out = []string{"Nothing in the assessment supplies it."}
	}
	r := &risk{UUID: w.id("risk", o.ID), Title: line(o.Citation + ": " + o.Verdict.String()), Description: strings.Join(o.Reasons, " "), Statement: "The obligation asks: " + o.Demands, Status: "open",
		Props: []prop{own("verdict", o.Verdict.Code())}}
	if r.Description == "" {
		r.Description = o.Verdict.String() + "."
	}
	if o.Verdict == assess.GapNoConfiguration {
		for i, m := range met {
			r.Factors = append(r.Factors, factor{w.id("factor", o.ID, fmt.Sprint(i)), m + " is in place; it does not lift the gap."})
		}
	}
	for i, t := range out {
		r.Remediations = append(r.Remediations, remediation{w.id("remediation", o.ID, fmt.Sprint(i)), "recommendation", line(o.Title), t})
	}
	return f, r
}

// reasons are the verdicts as tokens; implementations the nearest word OSCAL has
// for the state of the implementation, "" where none says anything true.
var (
	reasons = map[assess.Verdict]string{
		assess.Supported: "pass", assess.PartlySupported: "partially-satisfied", assess.GapYouCanClose: "gap-configurable",
		assess.GapNoConfiguration: "gap-platform", assess.NeedsAttestation: "needs-attestation", assess.NotAssessed: "not-assessed",
	}
	implementations = map[assess.Verdict]string{
		assess.Supported: "implemented", assess.PartlySupported: "partial", assess.GapYouCanClose: "partial",
		assess.GapNoConfiguration: "partial", assess.NeedsAttestation: "partial",
	}
)
