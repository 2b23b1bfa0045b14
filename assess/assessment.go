// Package assess holds an organisation, its configuration and what its stream
// shows against obligations at a date, and says for each what is supported,
// what is missing and who can close it. It is a pure function of its inputs:
// no clock, no files, no network.
//
// It never calls anything compliant or certified and never averages: a verdict
// is one of seven words, a posture one of four, and everything that was not
// supplied is unknown, never met.
package assess

import (
	"fmt"
)

// Verdict is the result for one obligation. The zero value is NotAssessed.
type Verdict uint8

const (
	NotAssessed        Verdict = iota // UNK
	Supported                         // SAT
	PartlySupported                   // PART
	GapYouCanClose                    // CFG
	GapNoConfiguration                // PLAT
	NeedsAttestation                  // ATT
	NotApplicable                     // NA
)

var verdictCodes = [...]string{"UNK", "SAT", "PART", "CFG", "PLAT", "ATT", "NA"}
var verdictNames = [...]string{
	"Not assessed", "Supported by evidence", "Partly supported", "Gap, you can close it",
	"Gap, no configuration closes it", "Needs attestation", "Not applicable",
}

// Code is the short form used in JSON and appendices.
func (v Verdict) Code() string { return verdictCodes[v] }

// String is the name people read.
func (v Verdict) String() string { return verdictNames[v] }

// MarshalText writes the code.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.Code()), nil }

// UnmarshalText reads a code; anything unknown is an error, never a pass.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, c := range verdictCodes {
		if c == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a verdict code", b)
}

// Verdicts lists all seven in the order they are counted and printed.
func Verdicts() []Verdict {
	return []Verdict{Supported, PartlySupported, GapYouCanClose, GapNoConfiguration, NeedsAttestation, NotAssessed, NotApplicable}
}

// Postures of a framework, worst first.
const (
	DoNotPlace       = "do_not_place"
	NotReady         = "not_ready"
	SubjectToAttest  = "ready_subject_to_attestations"
	EvidenceSupports = "evidence_supports_readiness"
)

// PostureName is what people read.
func PostureName(p string) string {
	switch p {
	case DoNotPlace:
		return "Do not place in-scope data here"
	case NotReady:
		return "Not ready"
	case SubjectToAttest:
		return "Ready subject to listed attestations"
	case EvidenceSupports:
		return "Evidence supports readiness"
	}
	return "Not in scope"
}

// Answers to "may we use it?".
const (
	NotSupportable = "not_supportable"
	WithConditions = "supportable_with_conditions"
	Supportable    = "supportable"
	Verify         = "verify"
	NotEvaluable   = "not_evaluable"
)

// AnswerName is what people read.
func AnswerName(a string) string {
	switch a {
	case NotSupportable:
		return "Not supportable"
	case WithConditions:
		return "Supportable with conditions"
	case Supportable:
		return "Supportable"
	case Verify:
		return "Verify first"
	}
	return "Not evaluable"
}

// Assessment is the document written to assessment.json. Every list is sorted
// or in the order of its data file; nothing in it depends on the clock.
type Assessment struct {
	Scenario     string              `json:"scenario"`
	Title        string              `json:"title"`
	AsOf         string              `json:"as_of"`
	Period       PeriodRef           `json:"period"`
	Evidence     string              `json:"evidence"` // simulated | observed | mixed
	EvidenceNote string              `json:"evidence_note,omitempty"`
	Track        string              `json:"track"`
	FactSet      string              `json:"fact_set"`
	Client       string              `json:"client,omitempty"`
	Preparer     string              `json:"preparer,omitempty"`
	Label        string              `json:"label,omitempty"`
	OwnScenario  bool                `json:"own_scenario,omitempty"` // the organisation is the user's, which nobody here may call invented
	Organisation OrganisationRef     `json:"organisation"`
	Answer       Answer              `json:"answer"`
	Workloads    []WorkloadResult    `json:"workloads,omitempty"`
	Scope        []ScopeLine         `json:"scope"`
	Assumptions  []string            `json:"assumptions"`
	Frameworks   []FrameworkResult   `json:"frameworks"`
	Obligations  []ObligationResult  `json:"obligations"`
	Gaps         []Gap               `json:"gaps"`
	Claims       []PropositionResult `json:"claims"`
	Needs        []PropositionResult `json:"needs"`
	Checks       []CheckResult       `json:"checks"`
	FactsUsed    []FactUse           `json:"facts_used"`
	ChangedSince []Change            `json:"changed_since"`
	Counters     Counters            `json:"counters"`
	Variables    []VariableUse       `json:"variables"`
	Predicates   []PredicateUse      `json:"predicates"` // what the platform supplies here, and the facts that say so
	Evidences    []EvidenceItem      `json:"evidence_index"`
	Observations []Observation       `json:"observations"`
	Controls     []ControlResult     `json:"controls,omitempty"`     // filled by Model.Controls
	WouldChange  []WouldChange       `json:"would_change,omitempty"` // filled by Model.WouldChange
	Limitations  []string            `json:"limitations"`
	Disputes     []DisputeNote       `json:"disputes"`
}

type PeriodRef struct {
	From string `json:"from"`
	To   string `json:"to"`
	Days int    `json:"days"`
}

type OrganisationRef struct {
	Name         string   `json:"name"`
	Plan         string   `json:"plan"`
	Kind         []string `json:"kind"`
	Seats        int      `json:"seats"`
	Modes        []string `json:"modes"`
	Arrangements []string `json:"arrangements"`
	Destinations []string `json:"destinations,omitempty"`
}

// Answer is the sentence on page one.
type Answer struct {
	Text          string   `json:"text"`
	Posture       string   `json:"posture"`
	Because       []string `json:"because"`
	Conditions    []string `json:"conditions,omitempty"`
	ChangedStrip  string   `json:"changed_strip,omitempty"` // what the latest verified facts would change
	LatestPosture string   `json:"latest_posture,omitempty"`
	LatestDate    string   `json:"latest_date,omitempty"`
}

type WorkloadResult struct {
	Name    string   `json:"name"`
	Data    []string `json:"data"`
	Groups  []string `json:"groups"`
	Posture string   `json:"posture"`
	Why     string   `json:"why"`
}

type ScopeLine struct {
	Item   string `json:"item"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // declared by you, detected in the stream, computed, assumed
}

type FrameworkResult struct {
	ID           string         `json:"id"`
	Title        string         `json:"title"`
	Applicable   bool           `json:"applicable"`
	Why          string         `json:"why"`
	Posture      string         `json:"posture,omitempty"`
	Counts       map[string]int `json:"counts"`
	GoodPractice bool           `json:"good_practice,omitempty"`
}

type ObligationResult struct {
	ID            string          `json:"id"`
	Framework     string          `json:"framework"`
	Citation      string          `json:"citation"`
	Title         string          `json:"title"`
	Demands       string          `json:"demands"`
	Weight        string          `json:"weight"`
	Label         string          `json:"label"`
	Trail         bool            `json:"formal_trail,omitempty"`
	Verdict       Verdict         `json:"verdict"`
	DesignOnly    bool            `json:"design_only,omitempty"`
	OnAttestation bool            `json:"on_attestation,omitempty"`
	Reasons       []string        `json:"reasons"`
	CappedBy      string          `json:"capped_by,omitempty"`
	Elements      []ElementResult `json:"elements"`
	Remedy        []string        `json:"remedy,omitempty"`
	Disputed      string          `json:"disputed,omitempty"`
	Text          string          `json:"text_status"` // how the obligation's own text was read
	// IfItWere is the verdict with the framework forced into scope, set only
	// where the framework is out of scope and a headline gap hits the obligation.
	IfItWere string `json:"if_it_were,omitempty"`
}

type ElementResult struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Essential bool     `json:"essential"`
	Source    string   `json:"source"`
	Aspect    string   `json:"aspect"`
	State     string   `json:"state"`
	Evidence  []string `json:"evidence"` // variable = value (class), in words
	Facts     []string `json:"facts"`
	Findings  []string `json:"findings,omitempty"`
	Note      string   `json:"note,omitempty"`
	Remedy    string   `json:"remedy,omitempty"`
}

// Gap is one headline gap with the state of each surface.
type Gap struct {
	ID         string         `json:"id"` // audit-log | computer-use | data-residency
	Title      string         `json:"title"`
	State      string         `json:"state"`
	Summary    string         `json:"summary"`
	Surfaces   []Surface      `json:"surfaces"`
	Frameworks []GapFramework `json:"frameworks"`
	Closes     []string       `json:"closes"` // what it would take
	Facts      []string       `json:"facts"`
	Footnotes  []string       `json:"footnotes,omitempty"`
}

type Surface struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	State string   `json:"state"` // absent | partial | present | unknown | not_an_audit_surface
	Text  string   `json:"text"`
	Facts []string `json:"facts"`
}

type GapFramework struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	InScope     bool     `json:"in_scope"`
	IfItWere    bool     `json:"if_it_were"`
	Verdict     string   `json:"verdict"` // worst verdict among the obligations hit, long name
	Code        string   `json:"code"`
	Obligations []string `json:"obligations"`
	Text        string   `json:"text"`
}

// PropositionResult is a judged claim or need. A claim's verdict is true,
// false or unverifiable; a need's is possible, impossible or verify.
type PropositionResult struct {
	ID         string   `json:"id"`
	Who        string   `json:"who,omitempty"`
	Text       string   `json:"text"`
	Verdict    string   `json:"verdict"`
	Reasons    []string `json:"reasons"`
	SayInstead string   `json:"say_instead,omitempty"`
	Remedies   []string `json:"remedies,omitempty"`
	Facts      []string `json:"facts"`
	Footnotes  []string `json:"footnotes,omitempty"`
}

type CheckResult struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Result  string   `json:"result"` // pass | fail | verify | not_evaluable
	Reasons []string `json:"reasons"`
	Facts   []string `json:"facts"`
}

type FactUse struct {
	ID           string   `json:"id"`
	Statement    string   `json:"statement"`
	Value        string   `json:"value"`
	From         string   `json:"from"`
	To           string   `json:"to,omitempty"`
	LastVerified string   `json:"last_verified"`
	Confidence   string   `json:"confidence"`
	Sources      []string `json:"sources"`
	Note         string   `json:"note,omitempty"`
}

// Change is a fact whose record differs at the last verified date.
type Change struct {
	Fact        string `json:"fact"`
	From        string `json:"from"`
	To          string `json:"to"`
	Date        string `json:"date"`
	MovesAnswer bool   `json:"moves_answer"`
}

// Counters are the run's figures with their denominators.
type Counters struct {
	Records           int64 `json:"records"`
	Events            int64 `json:"events"`
	CoworkEvents      int64 `json:"cowork_events"`
	OtherProducts     int64 `json:"other_products"`
	AfterAsOf         int64 `json:"after_as_of"`
	OutsidePeriod     int64 `json:"outside_period"`
	BadRecords        int64 `json:"bad_records"`
	Duplicates        int64 `json:"duplicates"`
	OutOfTurn         int64 `json:"out_of_turn,omitempty"` // judged, but later than their time
	Members           int   `json:"members"`
	MembersWithCowork int   `json:"members_with_cowork"`
	MembersHeard      int   `json:"members_heard"`
	Sessions          int64 `json:"sessions"`
	Prompts           int64 `json:"prompts"`
	Alerts            int   `json:"alerts"`
	Findings          int   `json:"findings"`
	Denied            int64 `json:"denied_attempts"`
	SpendMicros       int64 `json:"spend_micros"`
	BlockedMembers    int   `json:"blocked_members"`
	InjectedStories   int   `json:"injected_stories"`
}

type VariableUse struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Class  string `json:"class"`
	Origin string `json:"origin"`
	Means  string `json:"means,omitempty"`
}

// PredicateUse is one reading of dated facts for this plan, mode, arrangement
// and day. Value is yes, no, not settled, or a number.
type PredicateUse struct {
	Name  string   `json:"name"`
	Means string   `json:"means"`
	Value string   `json:"value"`
	Facts []string `json:"facts"`
}

// EvidenceItem is a row of the evidence index.
type EvidenceItem struct {
	ID     string `json:"id"`
	What   string `json:"what"`
	Class  string `json:"class"` // E1..E7
	Period string `json:"period,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Note   string `json:"note,omitempty"`
	// Supports are the elements that read a figure this file gave. Whether the
	// figure meets them is the element's to say.
	Supports []string `json:"supports,omitempty"`
}

// Observation is something worth saying that no obligation asks about: a side
// effect of a control, a default that arrived, a retention warning.
type Observation struct {
	ID       string   `json:"id"`
	Text     string   `json:"text"`
	Facts    []string `json:"facts"`
	Findings []string `json:"findings,omitempty"` // the findings it rests on
}

type DisputeNote struct {
	ID       string `json:"id"`
	Question string `json:"question"`
	SideA    string `json:"side_a"`
	SideB    string `json:"side_b"`
	Ours     string `json:"ours"`
}

// RuleRow is what the report shows of an alert rule beside the assessment; the
// engine owns the figures.
type RuleRow struct {
	ID, Title, Catches, Severity string
	Reached, Evaluable, Matched  int64
	Alerts                       int
	WhyNot                       string
}
