// Package rbac decides who may use what, at a moment: capabilities, connectors
// and plugins of one organisation (facts rbac-plan-gate, rbac-org-toggle-ceiling,
// rbac-additive-union, rbac-owner-exempt). It decides nothing about money, and it
// never reads a fact: the caller puts the dated switches into Rules.
//
// Levels combine to the most restrictive one. A decision lists every level that
// denies, because an administrator who repairs only the first one learns of the
// second the next day.
package rbac

import (
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Outcome is the result of one question. The zero value is the safe one: not
// known, which callers must not read as allowed.
type Outcome uint8

const (
	Indeterminate Outcome = iota
	Allow                 // allowed; for a connector tool: without asking
	Ask                   // allowed after the member approves the call
	Deny
	NotGoverned // the policy does not reach it (a server on the member's own machine)
	InFlight    // a change is still spreading, both answers are possible
)

var outcomeNames = [...]string{"indeterminate", "allow", "ask", "deny", "not governed", "in flight"}

func (o Outcome) String() string               { return outcomeNames[o] }
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Reason is one level's part in a decision. Level is plan, platform, org,
// membership, seat, role, dependency, user, org-tool, cowork-write, propagation,
// group or scope. By names what decided: a setting, role, group or member.
type Reason struct {
	Level string `json:"level"`
	Text  string `json:"text"`
	By    string `json:"by,omitempty"`
}

// Decision is an outcome with its reasons: for Deny every level that denies, for
// Indeterminate every level that is not known, else what grants it. The first
// reason stands for the outermost level. In flight the first reason says which
// change is on its way and the rest are those of the answer it settles as; Flight
// has both answers. Granting lists the custom roles that
// grant it, in configuration order, whatever the outcome. Level is the
// availability of a plugin and empty otherwise.
type Decision struct {
	Outcome  Outcome  `json:"outcome"`
	Level    string   `json:"level,omitempty"`
	Reasons  []Reason `json:"reasons"`
	Granting []string `json:"granting,omitempty"`
	Flight   *Flight  `json:"flight,omitempty"`
}

// Flight is what an answer in flight turns on: the changes on their way, what is
// answered where one of them has not arrived, and what it settles as.
type Flight struct {
	Changes []Travel  `json:"changes"`
	Until   time.Time `json:"until"`
	Before  []Answer  `json:"before"`
	After   Answer    `json:"after"`
}

// Travel is a change on its way. Usual and Longest are minutes, zero when nobody
// said; Source is what they rest on.
type Travel struct {
	What    string    `json:"what"`
	Channel string    `json:"channel"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Usual   int       `json:"usual_minutes,omitempty"`
	Longest int       `json:"longest_minutes,omitempty"`
	Source  string    `json:"source"`
}

// Answer is an outcome, or the level of a plugin or skill, with its first reason.
type Answer struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
}

// Because is the level of the first reason, "" when there is none.
func (d Decision) Because() string {
	if len(d.Reasons) == 0 {
		return ""
	}
	return d.Reasons[0].Level
}

// Switch is a setting or fact that may not be known. Zero is Unknown.
type Switch uint8

const (
	Unknown Switch = iota
	Off
	On
)

func switchOf(b *bool) Switch {
	switch {
	case b == nil:
		return Unknown
	case *b:
		return On
	}
	return Off
}

// Rules are the dated switches of the platform, each from the fact named, as of
// one day. The zero value knows nothing and answers Indeterminate where it
// matters.
type Rules struct {
	CoworkDefault Switch // toggle that nobody stated (fact cowork-org-default)
	CoworkGA      bool   // the "all GA" blanket row covers Cowork (fact cowork-ga-date; row 15)
	Cloud         Switch // cloud sessions exist on this plan (fact cowork-cloud-sessions)
	CloudDefault  Switch // cloud toggle that nobody stated (same fact)
	CloudGA       bool   // the "all GA" blanket row covers cloud sessions (same fact)
	// GA is the status of other capabilities at the date, each from a fact of its
	// own (FactOfGA). What is not listed is unknown; chat needs no listing.
	GA             map[string]Switch
	ConnectorRoles Switch // roles govern connectors (fact rbac-connector-permissions)
	PluginGroups   Switch // groups override plugin levels (fact rbac-plugin-gating)
	AdminAreas     Switch // roles open administrative areas (fact rbac-admin-permissions)

	// CustomWithoutRoleKeepsChat: a member on custom roles without any role keeps
	// chat (fact rbac-custom-no-role; it changed at an unknown day in 2026).
	CustomWithoutRoleKeepsChat bool
	// Lags is how long a change takes to arrive, by the channel it takes (facts
	// org.Channel.LagFact; row 26). Zero switches InFlight off.
	Lags [org.Channels]Lag

	Inputs Inputs
}

// Lag is how long a change may take to reach everybody. Source says what the
// figures rest on, "" when nobody said.
type Lag struct {
	Usual, Longest time.Duration
	Source         string
}

// generallyAvailable says whether the blanket row for generally available
// capabilities covers one.
func (r *Rules) generallyAvailable(cap string) Switch {
	on := func(b bool) Switch { return switchOf(&b) }
	switch cap {
	case Chat:
		return On
	case Cowork:
		return on(r.CoworkGA)
	case Cloud:
		return on(r.CloudGA)
	case hooksInspection:
		return Off
	}
	return r.GA[cap]
}

// FactOfGA is the id of the fact that says whether a capability was generally
// available: cowork-ga-date and cowork-cloud-sessions, else ga-<capability>.
func FactOfGA(cap string) string {
	switch cap {
	case Cowork:
		return "cowork-ga-date"
	case Cloud:
		return "cowork-cloud-sessions"
	}
	return "ga-" + strings.ReplaceAll(cap, "_", "-")
}

// Inputs are things a decision depends on that a scenario file does not state.
// All are optional; maps left nil mean "nothing of the kind".
type Inputs struct {
	Platform     map[string]Switch          // contract override of a capability: On forces on, Off forces off (row 17)
	Toggles      map[string]Switch          // organisation toggles without a setting of their own; not listed means on
	SeatExcludes map[int][]string           // member -> capabilities the seat does not include (row 13)
	OptOut       map[int][]string           // member -> capabilities switched off personally (row 18)
	Personal     map[int]map[string]Outcome // member -> connector -> Allow, Ask or Deny set personally (1.5)
	UnknownRoles map[string]bool            // groups whose roles could not be read (row 7)
	ForeignRoles map[string]bool            // roles that belong to a sibling organisation (row 28)
}

// DefaultRules fills Rules by asking q for facts of the plan ("team",
// "enterprise" or "individual"): q(id, "") is the fact's value as text ("yes",
// "no", "conditional", ...), q(id, param) one of its parameters; known is false
// when the day has no record or the value is unknown. It asks for
// cowork-org-default, cowork-ga-date, cowork-cloud-sessions,
// rbac-connector-permissions, rbac-plugin-gating, rbac-admin-permissions,
// rbac-custom-no-role, the LagFact of every channel and, for every known
// capability, FactOfGA.
func DefaultRules(plan string, q func(factID, param string) (value string, known bool)) Rules {
	sw := func(id, param string) Switch {
		v, known := q(id, param)
		switch {
		case !known:
			return Unknown
		case v == "yes" || v == "true" || v == "conditional":
			return On
		case v == "no" || v == "false":
			return Off
		}
		return Unknown // verify, not stated and the like are no answer
	}
	r := Rules{
		CoworkDefault:  sw("cowork-org-default", ""),
		Cloud:          sw("cowork-cloud-sessions", ""),
		ConnectorRoles: sw("rbac-connector-permissions", ""),
		PluginGroups:   sw("rbac-plugin-gating", ""),
		AdminAreas:     sw("rbac-admin-permissions", ""),
	}
	switch plan {
	case "team":
		r.CloudDefault = sw("cowork-cloud-sessions", "team_default_on")
	case "enterprise":
		r.CloudDefault = sw("cowork-cloud-sessions", "enterprise_default_on")
	default: // an individual has no administrator who could switch it off
		r.CoworkDefault, r.CloudDefault = On, On
	}
	_, r.CoworkGA = q("cowork-ga-date", "ga_date")
	r.GA = map[string]Switch{}
	for _, c := range KnownCapabilities {
		if c != Chat && c != Cowork && c != Cloud {
			r.GA[c] = sw(FactOfGA(c), "")
		}
	}
	status, _ := q("cowork-cloud-sessions", "status")
	r.CloudGA = r.Cloud == On && status != "beta"
	r.CustomWithoutRoleKeepsChat = sw("rbac-custom-no-role", "keeps_chat") == On
	for ch := org.Channel(0); ch < org.Channels; ch++ {
		minutes := func(param string) time.Duration {
			v, known := q(ch.LagFact(), param)
			n, err := strconv.Atoi(v)
			if !known || err != nil {
				return 0
			}
			return time.Duration(n) * time.Minute
		}
		if l := (Lag{Usual: minutes("typical"), Longest: minutes("max"), Source: "fact " + ch.LagFact()}); l.Longest > 0 {
			if basis, _ := q(ch.LagFact(), "basis"); basis == "assumed" {
				l.Source = "assumed, " + l.Source
			}
			r.Lags[ch] = l
		}
	}
	return r
}
