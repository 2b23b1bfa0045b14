// Package org is the organisation as its administrators configured it: plan,
// seats, roles, groups, connectors, plugins, limits and settings, and the
// synthetic members that fill it. It holds no decisions: who may do what is
// asked of rules/rbac, who is blocked of rules/spend.
//
// A setting that nobody stated is nil ("not stated"), never off: the assessor
// treats it as unknown.
package org

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Organisation is the tenant. The plan decides what may exist at all: groups,
// custom roles, group limits and SCIM are Enterprise only (facts
// rbac-plan-gate, spend-group-limit-gate).
type Organisation struct {
	Name         string             `yaml:"name,required"`
	ID           string             `yaml:"id"`     // the vendor's id; roles of another organisation grant nothing here
	Parent       string             `yaml:"parent"` // parent organisation: groups and SCIM are shared below it
	Kind         []string           `yaml:"kind,enum=covered_entity|business_associate|issuer|merchant|service_provider|service_organisation"`
	Plan         source.Text        `yaml:"plan,required,enum=team|enterprise|individual"`
	Seats        int                `yaml:"seats,required"`
	Arrangements []string           `yaml:"arrangements,enum=zdr|cmek|hipaa_ready|hipaa_configuration"`
	Modes        []string           `yaml:"modes,enum=local|cloud|third_party"` // execution modes that can be used; empty = by dated default
	Directory    string             `yaml:"directory,enum=invite|jit|scim"`
	Desktops     map[string]float64 `yaml:"desktops"` // desktop version -> share of devices
	Departments  []Department       `yaml:"departments"`
	Label        string             `yaml:"label"`    // report label, e.g. "Draft for discussion"
	Client       string             `yaml:"client"`   // who the report is for
	Preparer     string             `yaml:"preparer"` // who prepared it
	Settings     Settings           `yaml:"settings"`
	Retention    int                `yaml:"transcript_retention_days"` // the organisation's own finite retention; 0 = the vendor's period

	Turnover  *Turnover         `yaml:"turnover"`                         // synthetic joiners and leavers; nil: nobody comes or goes
	Toggles   map[string]bool   `yaml:"toggles"`                          // organisation switch of a capability that Settings does not name
	Contract  map[string]string `yaml:"contract,enum=force_on|force_off"` // the vendor's override of a capability
	SeatTiers []SeatTier        `yaml:"seat_tiers"`                       // none: every seat holds everything
	Models    *Models           `yaml:"models"`                           // nil: not stated
	SCIMPush  int               `yaml:"scim_push_minutes"`                // how often the identity provider sends; 0 = at once

	// Provisioning maps groups of the identity provider to roles and seats; nil: both
	// are assigned by hand.
	Provisioning *Provisioning `yaml:"provisioning"`
	// Propagation overrides how long changes take to arrive; nil: as the facts say.
	Propagation *Propagation `yaml:"propagation"`

	At source.Pos `yaml:"-"`
}

// Turnover lets synthetic members come and go between two days, both inclusive.
// Joiners start on a weekday at 09:00 of their time zone and leavers end at 17:00;
// nobody does both, and managers stay. LagHours is the longest time an account
// stays open after its member left, drawn for each; 0 closes it at once.
type Turnover struct {
	From     source.Date `yaml:"from,required"`
	To       source.Date `yaml:"to,required"`
	Joiners  int         `yaml:"joiners"`
	Leavers  int         `yaml:"leavers"`
	LagHours int         `yaml:"deprovision_lag_hours"`
	At       source.Pos  `yaml:"-"`
}

// Check sees that the numbers make sense.
func (t *Turnover) Check(pos source.Pos, ps *source.Problems) {
	if t.From.Given() && t.To.Given() && t.To.Before(t.From) {
		ps.Add(t.To.At, "put the earlier day first; both days count", "turnover: it ends on %s, before it starts on %s", t.To, t.From)
	}
	if t.Joiners < 0 || t.Leavers < 0 || t.LagHours < 0 {
		ps.Add(pos, "joiners, leavers and deprovision_lag_hours are 0 or more", "turnover: %d joiners, %d leavers, %d hours", t.Joiners, t.Leavers, t.LagHours)
	}
}

// SeatTier is a kind of seat and the capabilities it does not hold. No role
// lifts a seat.
type SeatTier struct {
	Name     source.Text `yaml:"name,required"`
	Excludes []string    `yaml:"excludes"`
	Count    int         `yaml:"count"` // bought; 0 = not stated
}

// Models is the organisation's model access: the models enabled and the highest
// effort. It binds owners too; Haiku is always allowed (admin surface 1.7).
type Models struct {
	Enabled []string `yaml:"enabled,required"`
	Effort  string   `yaml:"effort,enum=low|medium|high|xhigh|max"`
}

// Department is a part of the synthetic organisation. Persona names an entry of
// the behaviour profile.
type Department struct {
	Name     string     `yaml:"name,required"`
	Members  int        `yaml:"members,required"`
	Persona  string     `yaml:"persona,enum=claims|analyst|finance|engineering|operations|sales|legal|marketing|hr|it|general"`
	TimeZone string     `yaml:"time_zone"`
	At       source.Pos `yaml:"-"`
}

// Settings are organisation switches and surrounding controls. Nil means not stated.
type Settings struct {
	Cowork            *bool       `yaml:"cowork"`
	Cloud             *bool       `yaml:"cloud"`
	Browser           *bool       `yaml:"browser"`
	Skills            *bool       `yaml:"skills"` // plugins need it on, besides Cowork
	AutoApprove       *bool       `yaml:"auto_approve"`
	AlwaysAllow       *bool       `yaml:"always_allow_connectors"`
	SSO               *bool       `yaml:"sso"`
	MFA               *bool       `yaml:"mfa"`
	SigninAlerts      *bool       `yaml:"signin_alerts"`
	ConnectorAllow    *bool       `yaml:"connector_allowlist"`
	PluginsBounded    *bool       `yaml:"plugins_bounded"`
	InferenceHook     *bool       `yaml:"inference_hook"`
	TenantRestriction *bool       `yaml:"tenant_restriction"`
	SettingsBaseline  *bool       `yaml:"settings_baseline"`
	HIPAAConfigProven *bool       `yaml:"hipaa_configuration_proven"`
	ComplianceAPI     source.Date `yaml:"compliance_api_since"`
	ExportEveryDays   int         `yaml:"own_export_every_days"`
	ExportKeepDays    int         `yaml:"own_export_kept_days"`
	PersonalSeats     *int        `yaml:"personal_seats"`
}

// Selector picks members: all, a department, or the first N of either, in the
// stable order of the directory. Ids picks by member id.
type Selector struct {
	All        bool       `yaml:"all"`
	Department string     `yaml:"department"`
	First      int        `yaml:"first"`
	Ids        []string   `yaml:"ids"`
	At         source.Pos `yaml:"-"`
}

// MemberRule gives the members it selects their one organisation role: user,
// custom ("managed" in the API), admin or owner; or unknown, where no export says
// it and a decision that turns on it is not known. Later rules win.
//
// Seat, when given, names one of the organisation's seat tiers.
type MemberRule struct {
	Select Selector    `yaml:"select,required"`
	Role   string      `yaml:"role,required,enum=user|custom|admin|owner|unknown"`
	Seat   source.Text `yaml:"seat"`
}

// Personal is a member's own setting, the last level of every decision: a
// capability switched off, or a connector set to always, ask or never.
type Personal struct {
	Select    Selector    `yaml:"select,required"`
	Off       source.Text `yaml:"off"`
	Connector source.Text `yaml:"connector"`
	Level     string      `yaml:"level,enum=always|ask|never"`
	At        source.Pos  `yaml:"-"`
}

// LocalServer is an MCP server that members are known to run on their own
// machine. No role, policy or connector list reaches it (fact
// rbac-local-servers-ungoverned).
type LocalServer struct {
	Name    source.Text `yaml:"name,required"`
	Select  Selector    `yaml:"select"`
	Because string      `yaml:"because"`
}

// Grant is one row of a custom role. Rows only grant; there are no deny rows.
type Grant struct {
	Capability source.Text `yaml:"capability"`
	Connector  source.Text `yaml:"connector"` // a connector name, or "all"
	Tool       string      `yaml:"tool"`      // one tool of the connector; empty = the whole connector
	Level      string      `yaml:"level,enum=ask|always"`
	Plugin     source.Text `yaml:"plugin"`
	Skill      source.Text `yaml:"skill"`
	Because    string      `yaml:"because"`
	Unknown    bool        `yaml:"unknown"` // an export names a capability that no list here holds; kept as it is
	At         source.Pos  `yaml:"-"`
}

// Role is a custom role (Enterprise). AdminAreas with identity_access: manage
// can rewrite itself.
type Role struct {
	Name   source.Text `yaml:"name,required"`
	ID     string      `yaml:"id"`           // rbac_role_...
	Owner  string      `yaml:"organisation"` // id of the organisation it belongs to; "" = this one
	Grants []Grant     `yaml:"grants"`
	// Connectors "custom" says that the role was set up for connectors, so that
	// what no row names is blocked. A role with a connector row is custom anyway; one
	// without stands at needs approval for every connector, as the editor starts.
	Connectors string            `yaml:"connectors,enum=custom|untouched"`
	AdminAreas map[string]string `yaml:"admin_areas,enum=none|view|manage"`
	Models     []string          `yaml:"models"` // models granted; nil in every role of a member: not stated
	Effort     string            `yaml:"effort,enum=low|medium|high|xhigh|max"`
	Partial    bool              `yaml:"partial"` // read from an export that leaves rows out: a row that is not there is unknown
	Because    string            `yaml:"because"`
	At         source.Pos        `yaml:"-"`

	Deleted bool `yaml:"-"` // by a dated change
}

// Membership is a dated part of a group: the selection is a member from From
// (inclusive) to To (exclusive); not given means always.
type Membership struct {
	Select Selector    `yaml:"select,required"`
	From   source.Date `yaml:"from"`
	To     source.Date `yaml:"to"`
}

// Group carries roles to members. Purpose is printed in the matrix.
type Group struct {
	Name    source.Text   `yaml:"name,required"`
	ID      string        `yaml:"id"` // rbac_group_..., which outlives a new name
	Source  string        `yaml:"source,enum=direct|scim"`
	Roles   []source.Text `yaml:"roles"`
	Unread  bool          `yaml:"roles_unknown"` // the export said roles: null, which is not "no roles"
	Members []Membership  `yaml:"members"`
	Plugins []PluginLevel `yaml:"plugins"`
	Purpose string        `yaml:"purpose"`
	Skills  []SkillLevel  `yaml:"skills"`
	Phase   string        `yaml:"phase,enum=pilot|controlled|general|other"`
	At      source.Pos    `yaml:"-"`

	Deleted bool `yaml:"-"` // by a dated change
}

// SkillLevel sets a skill's availability for a group or the organisation.
type SkillLevel struct {
	Skill source.Text `yaml:"skill,required"`
	Level string      `yaml:"level,required,enum=required|installed|available|not_available"`
}

// PluginLevel sets a plugin's availability for a group or the organisation.
type PluginLevel struct {
	Plugin source.Text `yaml:"plugin,required"`
	Level  string      `yaml:"level,required,enum=required|installed|available|not_available"`
}

// Connector is a server-routed MCP connector. Owners enable it, users sign in.
type Connector struct {
	Name    source.Text `yaml:"name,required"`
	Enabled bool        `yaml:"enabled"`
	Policy  string      `yaml:"policy,enum=always|ask|blocked"` // organisation tool policy; empty = always
	Tools   []Tool      `yaml:"tools"`
	Brings  string      `yaml:"brings"` // data it brings in, in words
	Vendor  string      `yaml:"vendor"`
	At      source.Pos  `yaml:"-"`
}

// Tool of a connector. Write false and ReadOnly false is un-annotated, which
// counts as able to write.
type Tool struct {
	Name     string `yaml:"name,required"`
	Write    bool   `yaml:"write"`
	ReadOnly bool   `yaml:"read_only"`
}

// Plugin or Skill known to the organisation.
type Plugin struct {
	Name        source.Text `yaml:"name,required"`
	Level       string      `yaml:"level,enum=required|installed|available|not_available"`
	Marketplace string      `yaml:"marketplace"`
}

// Skill names an organisation skill.
type Skill struct {
	Name  source.Text `yaml:"name,required"`
	Level string      `yaml:"level,enum=required|installed|available|not_available"`
}

// GroupLimit is a monthly limit entered on a group: it caps each member, it is
// not a pool (fact spend-group-limit-semantics).
type GroupLimit struct {
	Group   source.Text  `yaml:"group,required"`
	Limit   source.Money `yaml:"limit,required"`
	Because string       `yaml:"because"`
	Formula *Formula     `yaml:"formula"`
	At      source.Pos   `yaml:"-"`
}

// Formula holds the lesson's inputs; the product of all, times 4.3 and 1.25, is
// the team's budget, and without Users the number to enter per member.
type Formula struct {
	SessionsPerWeek float64      `yaml:"sessions_per_user_week,required"`
	SessionCost     source.Money `yaml:"cost_per_session,required"`
	Users           int          `yaml:"users,required"`
	Assumes         string       `yaml:"assumes"`
}

// UserLimit overrides every group limit of one member. Unlimited stands for a
// null amount.
type UserLimit struct {
	Member    source.Text  `yaml:"member,required"`
	Limit     source.Money `yaml:"limit"`
	Unlimited bool         `yaml:"unlimited"`
}

// Spend is the limit configuration. All amounts are monthly, in dollars.
type Spend struct {
	Organisation  source.Money `yaml:"organisation"` // pooled ceiling
	MemberDefault source.Money `yaml:"member_default"`
	SeatDefault   source.Money `yaml:"seat_default"`
	Groups        []GroupLimit `yaml:"groups"`
	Users         []UserLimit  `yaml:"users"`
	MultiGroup    string       `yaml:"multi_group,enum=lowest|lower|higher"`
	Increases     *Increases   `yaml:"increase_requests"` // nil: nobody asks for more
	At            source.Pos   `yaml:"-"`
}

// Increases lets a member whom their own limit stops ask for more, and says how
// that is answered: after so many hours, by raising the member's limit to an
// amount, and so many times a month; the others are denied. Zero hours means that
// nobody answers, and the member waits until limits begin anew.
type Increases struct {
	WithinHours int          `yaml:"within_hours"`
	To          source.Money `yaml:"to"`
	Approve     *int         `yaml:"approve"` // approvals a month; not given: every request
}

// Check sees that an answer can be given.
func (i *Increases) Check(pos source.Pos, ps *source.Problems) {
	if i.WithinHours < 0 || i.Approve != nil && *i.Approve < 0 {
		ps.Add(pos, "within_hours and approve are 0 or more", "increase_requests: a number is below zero")
	}
	if i.WithinHours > 0 && !(i.Approve != nil && *i.Approve == 0) && i.To.Micros == 0 {
		ps.Add(pos, "say what an approval raises the limit to, for example to: 90; or approve: 0 to deny every request", "increase_requests: an approval needs an amount")
	}
}

// Config is the whole admin surface of a scenario.
type Config struct {
	Organisation Organisation `yaml:"organisation,required"`
	Members      []MemberRule `yaml:"members"`
	Groups       []Group      `yaml:"groups"`
	Roles        []Role       `yaml:"roles"`
	Connectors   []Connector  `yaml:"connectors"`
	Plugins      []Plugin     `yaml:"plugins"`
	Skills       []Skill      `yaml:"skills"`
	Spend        Spend        `yaml:"spend"`

	// Roster is the real members as CSV, in place of synthetic ones; see ParseRoster.
	Roster   source.Text   `yaml:"roster"`
	Personal []Personal    `yaml:"personal"`
	Local    []LocalServer `yaml:"local_servers"`
	Changes  []Change      `yaml:"changes"`
}

// Member is one person, synthetic or from a roster. Times are UTC; a zero Left
// means still there. Left is the last moment of the job and Removed the moment
// the account was closed; zero Removed means at Left. What is between them is the
// deprovisioning lag, in which the account still works. OrgRole and Seat are
// those before any dated change; Directory.roleAt has those in force. Sent says
// that Joined is when a dated change was made, so that the account was there only
// later: at Opened, where somebody stated it.
type Member struct {
	Index      int
	ID         string // user_...
	Account    string // account uuid, the join key of the stream
	Email      string
	Name       string
	Department string
	Persona    string
	Manager    int // index, or -1
	TimeZone   string
	OrgRole    string
	Seat       string
	Desktop    string
	Joined     time.Time
	Opened     time.Time
	Sent       bool
	Left       time.Time
	Removed    time.Time
}

// Closed is when the account stops working, zero for never.
func (m *Member) Closed() time.Time {
	return (&tenure{left: m.Left, removed: m.Removed}).closed()
}

// Directory is the organisation filled with members, in a stable order.
type Directory struct {
	Config *Config

	people      people
	keys        keys
	memberships [][]spell             // by group
	listed      []map[int32]time.Time // by group: members of the roster and since when; nil without a roster
	moves       [][]move              // by group: changes that overrule the spells, in order of time
	roles       []roleMove
	mappings    []mapping // of groups to roles and seats, in order of time
	faults      source.Problems
}

// Lookup finds a member by account, e-mail or id; ok is false when the key is
// empty or unknown.
func (d *Directory) Lookup(key string) (Member, bool) {
	i, ok := d.Find(key)
	if !ok {
		return Member{}, false
	}
	return d.Member(i), true
}

// Find is the place of the member whom Lookup would find.
func (d *Directory) Find(key string) (int, bool) {
	if key == "" {
		return 0, false
	}
	return d.keys.find(&d.people, key)
}

// Domains are the organisation's own mail domains as far as its members show:
// those that at least one in twenty of the members with an address have, in
// order. A guest's own address makes no domain of the organisation.
func (d *Directory) Domains() []string {
	count, all := map[string]int{}, 0
	for i := range d.Len() {
		email := d.people.text(i, textEmail)
		if at := strings.LastIndexByte(email, '@'); at >= 0 {
			count[strings.ToLower(email[at+1:])]++
			all++
		}
	}
	maps.DeleteFunc(count, func(_ string, n int) bool { return n*20 < all })
	return slices.Sorted(maps.Keys(count))
}

// On reports that an optional switch is stated and on.
func On(b *bool) bool { return b != nil && *b }
