// Package scenarios reads a rehearsal from YAML: the organisation, its
// controls, what people want to do, how they behave, and what is expected of
// the result. A scenario is also a test: its expect block is evaluated by
// `sandtable scenarios check`.
//
// Rules, claims, needs and obligations are named as text here, so that this
// package imports none of the engines.
package scenarios

import (
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Scenario is one file, after extends has been applied.
type Scenario struct {
	Name    source.Text `yaml:"name,required" advice:"give the scenario a short name, for example claims-pilot"`
	Title   string      `yaml:"title,required"`
	Summary string      `yaml:"summary"`
	Extends source.Text `yaml:"extends"`
	Track   string      `yaml:"track,enum=exam|advisory"` // exam: contested facts read the lesson's way; honoured for shipped scenarios only
	AsOf    source.Date `yaml:"as_of,required" advice:"state the day whose facts the verdict rests on, for example as_of: 2026-04-09"`
	Period  Period      `yaml:"period,required" advice:"state the days that are played or captured, for example period: {from: 2026-04-13, to: 2026-05-24}"`
	Seed    uint64      `yaml:"seed,required" advice:"any whole number; the same seed gives the same run"`

	org.Config `yaml:",inline"`

	Telemetry    Telemetry     `yaml:"telemetry"`
	Adoption     Adoption      `yaml:"adoption"`
	Rules        Rules         `yaml:"rules"`
	Workloads    []Workload    `yaml:"workloads"`
	Needs        []Need        `yaml:"needs"`
	Claims       []Claim       `yaml:"claims"`
	Attestations []Attestation `yaml:"attestations"`
	Scope        Scope         `yaml:"scope"`
	// Overlay is what the customer's own contract or tenant test says against a
	// shipped fact, with who, date and evidence; it is printed as the customer's.
	Overlay   platform.Overlay `yaml:"overlay"`
	Behaviour Behaviour        `yaml:"behaviour"`
	Incidents []Incident       `yaml:"incidents"`
	Rollout   []Phase          `yaml:"rollout"`
	Expect    []Expect         `yaml:"expect"`

	// Shipped is set for scenarios of the library; File keeps the bytes as read
	// and Bases those of the files it extends, for the bundle's inputs.
	Shipped bool           `yaml:"-"`
	File    *source.File   `yaml:"-"`
	Bases   []*source.File `yaml:"-"`
	// Overrides are the key=value settings laid over the file, in order.
	Overrides []string `yaml:"-"`

	merged *source.File
}

// Exam reports that contested facts are read the lesson's way.
func (s *Scenario) Exam() bool { return s.Shipped && s.Track == "exam" }

// Period is the days played or captured, both inclusive, in UTC.
type Period struct {
	From source.Date `yaml:"from,required"`
	To   source.Date `yaml:"to,required"`
	At   source.Pos  `yaml:"-"`
}

// Days is the number of days of the period.
func (p Period) Days() int { return int(p.To.Time.Sub(p.From.Time).Hours()/24) + 1 }

// Telemetry is how the stream leaves the organisation and where it is kept.
type Telemetry struct {
	Endpoint     string   `yaml:"endpoint"` // empty: not exported
	Protocol     string   `yaml:"protocol,enum=http/protobuf|http/json|grpc"`
	TLS          *bool    `yaml:"tls"`
	Destinations []string `yaml:"destinations"`
	// Content categories captured. An explicit empty list is not nil and says
	// metadata only; nil says nothing was stated (see ContentStated).
	Content       []string   `yaml:"content,enum=userPrompts|assistantResponses|toolDetails|toolContent|rawApiBodies"`
	Wire          string     `yaml:"wire"` // CLI release imitated; empty = 2.1.187
	Profile       string     `yaml:"profile,enum=cowork-local-1p|cowork-cloud|cowork-3p|claude-code|legacy-strings"`
	RetentionDays int        `yaml:"retention_days"`
	HotDays       int        `yaml:"hot_days"`
	Protected     *bool      `yaml:"protected"`
	Defects       []string   `yaml:"defects,enum=silent-exporter|egress-drop|old-desktop|settings-at-session-start|tail-loss|missing-decision-source|cloud-identity-loss|duplicate-batches|clock-skew|content-off|sequence-gaps|late-batches"`
	At            source.Pos `yaml:"-"`
}

// On reports that an endpoint is set.
func (t Telemetry) On() bool { return t.Endpoint != "" }

// ContentStated tells an explicit list of content categories, which may be
// empty, from one that was left out.
func (t Telemetry) ContentStated() bool { return t.Content != nil }

// Captures reports that content category c is captured.
func (t Telemetry) Captures(c string) bool {
	for _, x := range t.Content {
		if x == c {
			return true
		}
	}
	return false
}

// Adoption is how use is measured.
type Adoption struct {
	Measured  string `yaml:"measured,enum=analytics|analytics_api|survey|none"`
	EveryDays int    `yaml:"every_days"`
	By        string `yaml:"by"`
}

// Rules names the alert packs in use and who owns them.
type Rules struct {
	Packs        []string     `yaml:"packs"`
	Owned        *bool        `yaml:"owned"`        // each rule has an owner and a runbook
	Silence      *bool        `yaml:"silence_rule"` // an absence rule per member and collector
	SessionSpend source.Money `yaml:"session_spend"`
	Folders      []string     `yaml:"folders"` // allowed folders beyond those connected to a task
}

// Workload is a use of Cowork: what data, by whom, and whether a control over
// financial reporting relies on it.
type Workload struct {
	Name     string        `yaml:"name,required"`
	Groups   []source.Text `yaml:"groups"`
	Data     []string      `yaml:"data,enum=phi|icfr|chd|confidential|personal|none"`
	Reliance string        `yaml:"reliance,enum=none|relied|sole"`
	Purpose  string        `yaml:"purpose"`
}

// Need is something somebody wants; it is judged, never refused. Id names a
// proposition of the assessor, With its parameters.
type Need struct {
	Id   source.Text       `yaml:"id,required"`
	Who  string            `yaml:"who"`
	Text string            `yaml:"text"`
	With map[string]string `yaml:"with"`
}

// Claim is a statement somebody makes about the deployment.
type Claim struct {
	Id   source.Text       `yaml:"id,required"`
	Who  string            `yaml:"who"`
	With map[string]string `yaml:"with"`
}

// Attestation is a human statement. The tool never writes one. Answer defaults
// to true; Expires defaults to the attestation's own term.
type Attestation struct {
	Id      source.Text `yaml:"id,required"`
	Who     string      `yaml:"who,required"`
	Role    string      `yaml:"role,required"`
	Date    source.Date `yaml:"date,required"`
	Scope   string      `yaml:"scope"`
	Expires source.Date `yaml:"expires"`
	Answer  *bool       `yaml:"answer"`
	For     string      `yaml:"for"` // element a compensating control stands in for
}

// Scope holds what the organisation declares about obligations.
type Scope struct {
	TrailPromised    *bool    `yaml:"trail_promised"`
	LocationPromised *bool    `yaml:"location_promised"`
	CommittedDays    int      `yaml:"committed_days"`
	SOC2Categories   []string `yaml:"soc2_categories,enum=availability|confidentiality|processing_integrity|privacy"`
	CDEConnected     *bool    `yaml:"cde_connected"`
	Confidential     *bool    `yaml:"confidential"`
}

// Behaviour tunes the synthetic population.
type Behaviour struct {
	Profile   string        `yaml:"profile,enum=office"`
	Intensity *float64      `yaml:"intensity"` // 1, or left out = the profile; 0 = nobody uses it
	Holidays  []source.Date `yaml:"holidays"`
	// Elsewhere is what members spend in other products under the same limits.
	Elsewhere []Elsewhere `yaml:"elsewhere"`
}

// Elsewhere is the mean spend of a member on a working day in a product that
// counts against the same limits and is not on Cowork's wire. Days differ; their
// mean is per_day. No groups means every member.
type Elsewhere struct {
	Product string        `yaml:"product,required,enum=chat|claude_code|office_agent"`
	PerDay  source.Money  `yaml:"per_day,required"`
	Groups  []source.Text `yaml:"groups"`
}

// Rate is how much the product is used, against the profile.
func (b Behaviour) Rate() float64 {
	if b.Intensity == nil {
		return 1
	}
	return *b.Intensity
}

// Incident asks for an injected storyline.
type Incident struct {
	Story source.Text `yaml:"story,required"`
	Count int         `yaml:"count"`
	Day   int         `yaml:"day"` // day of the period, from 1; 0 = drawn
}

// Phase is a dated step of the rollout. Gate names a check of the assessor that
// the report shows beside it. Gates are conditions over what was counted since the
// phase before began; none given means those that are shipped for its kind. An
// explicit empty list means no gate.
type Phase struct {
	Name   string        `yaml:"name,required"`
	From   source.Date   `yaml:"from,required"`
	Groups []source.Text `yaml:"groups"`
	Gate   string        `yaml:"gate"`
	Kind   string        `yaml:"kind,enum=pilot|controlled|general"` // "" = from its groups
	Gates  []Gate        `yaml:"gates"`
	At     source.Pos    `yaml:"-"`
}

// Gate is one condition of a phase, over the counters of rules/rbac/rollout. A
// gate reports; only with hold_on_fail does a failed one hold the phase back.
type Gate struct {
	Name    string      `yaml:"name,required"`
	When    source.Text `yaml:"when,required"`
	Hold    bool        `yaml:"hold_on_fail"`
	Because string      `yaml:"because"`
	At      source.Pos  `yaml:"-"`
}

// Expect is one assertion over the result. Path walks the assessment document,
// for example answer.posture, frameworks.hipaa.posture, obligations.hipaa-164.312.b.verdict,
// claims.full-audit-coverage.verdict, checks.RO-1.result, counters.events.
type Expect struct {
	Path source.Text `yaml:"path,required"`
	Is   string      `yaml:"is"`
	In   []string    `yaml:"in"`
	Min  *float64    `yaml:"min"`
	Max  *float64    `yaml:"max"`
	Has  string      `yaml:"has"`
	Why  string      `yaml:"why"`
}
