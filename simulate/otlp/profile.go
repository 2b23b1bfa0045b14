package otlp

import "github.com/sandtable-dev/sandtable/rules/event"

// Content is the set of content categories a profile lets onto the wire.
type Content struct {
	UserPrompts, AssistantResponses, ToolDetails bool
}

// Profile says in which form events are written. The zero Profile writes current
// types and no content.
//
// A profile never adds a fact to an event: what an event lacks stays off the
// wire, so that a stream read and written again stays the same stream. Fresh
// events get the profile's resource by Stamp.
type Profile struct {
	Name string

	// What Stamp fills in.
	Service, ServiceVersion string // application version: desktop for Cowork, CLI elsewhere
	CLIVersion              string // version of the scope
	OS, OSVersion, Arch     string
	Terminal                string
	DeploymentMode, Surface string
	Account                 bool // email, account and organisation are sent

	// How it is written.
	RepeatResource bool // resource attributes stand on every record too
	Strings        bool // numbers and booleans as strings, also those of Extra
	TextDurations  bool // duration_ms of a tool result as a string
	Content        Content

	// AsRead writes values in the types they were read in, and repeats the
	// resource where it was repeated, whatever the fields above say.
	AsRead bool
}

// Copy is the profile for writing a stream again as it was read.
var Copy = Profile{Name: "copy", AsRead: true, Content: Content{true, true, true}}

var profiles = []Profile{
	{
		Name: "cowork-local-1p", Service: "cowork", ServiceVersion: "1.24012.1", CLIVersion: "2.1.238",
		OS: "darwin", OSVersion: "26.5.1", Arch: "arm64", Terminal: "non-interactive", DeploymentMode: "1p",
		Account: true, RepeatResource: true, Content: Content{true, true, true},
	},
	{
		// Cloud sessions run the CLI's version scheme and name their surface.
		Name: "cowork-cloud", Service: "cowork", ServiceVersion: "2.1.238", CLIVersion: "2.1.238",
		OS: "linux", OSVersion: "6.18.44-fc-v21", Arch: "amd64", Terminal: "linux", Surface: "remote",
		Account: true, RepeatResource: true, Content: Content{true, true, true},
	},
	{
		// Metadata only unless capture is switched on, and no vendor account.
		Name: "cowork-3p", Service: "cowork", ServiceVersion: "1.24012.1", CLIVersion: "2.1.238",
		OS: "darwin", OSVersion: "26.5.1", Arch: "arm64", Terminal: "non-interactive", DeploymentMode: "3p",
		RepeatResource: true,
	},
	{
		Name: "claude-code", Service: "claude-code", ServiceVersion: "2.1.238", CLIVersion: "2.1.238",
		OS: "darwin", OSVersion: "26.5.1", Arch: "arm64", Terminal: "Apple_Terminal", Account: true,
	},
	{
		Name: "legacy-strings", Service: "claude-code", ServiceVersion: "2.0.62", CLIVersion: "2.0.62",
		OS: "darwin", OSVersion: "24.6.0", Arch: "arm64", Terminal: "Apple_Terminal", Account: true, Strings: true,
	},
}

// Profiles lists the named profiles in a fixed order.
func Profiles() []Profile { return append([]Profile(nil), profiles...) }

// ProfileNamed finds a named profile.
func ProfileNamed(name string) (Profile, bool) {
	for _, p := range profiles {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// Stamp gives a fresh event the profile's resource and scope where the event has
// none, sets the observed time to the event's own, removes the identity the
// profile never carries, and derives again. Extra is replaced, never written
// through.
func (p Profile) Stamp(e *event.Event) {
	fill := func(to *string, s string, bit event.Field) {
		if *to == "" {
			*to = s
		}
		if *to != "" {
			e.Has |= bit
		}
	}
	fill(&e.Service, p.Service, 0)
	fill(&e.ServiceVersion, p.ServiceVersion, event.FServiceVersion)
	fill(&e.Scope, scopeName, event.FScope)
	fill(&e.ScopeVersion, p.CLIVersion, 0)
	fill(&e.OS, p.OS, 0)
	fill(&e.Terminal, p.Terminal, 0)
	fill(&e.DeploymentMode, p.DeploymentMode, 0)
	fill(&e.Surface, p.Surface, event.FSurface)
	e.Observed = e.Time
	e.Has |= event.FTime | event.FObserved | event.FStamp
	if !p.Account {
		e.Email, e.Account, e.AccountID, e.Organisation = "", "", "", ""
		e.Has &^= event.FEmail | event.FAccount | event.FOrganisation
	}
	host := []event.Attr{{Key: "host.arch", Value: p.Arch}, {Key: "os.version", Value: p.OSVersion}}
	extra := make([]event.Attr, 0, len(e.Extra)+len(host))
	for _, a := range host {
		if a.Value != "" && !hasExtra(e.Extra, a.Key) {
			extra = append(extra, a)
		}
	}
	e.Extra = append(extra, e.Extra...)
	if e.Name == "" {
		e.Name = e.Kind.String()
	}
	e.Product = product(e.Service, e.Scope)
	e.Derive()
}

func hasExtra(attrs []event.Attr, key string) bool {
	for i := range attrs {
		if attrs[i].Key == key {
			return true
		}
	}
	return false
}

// onResource lists the attributes without a field of their own that belong to
// the resource, not to the record.
func onResource(key string) bool {
	switch key {
	case "host.arch", "os.version", "wsl.version", "process.owner", "enduser.id", "ccr.session.id",
		"service.namespace", "service.instance.id", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version":
		return true
	}
	return false
}

// isDetail lists the attributes without a field of their own that the product
// sends with tool details only.
func isDetail(k event.Kind, key string) bool {
	switch key {
	case "hook_matcher", "hook_definitions":
		return true
	case "server_name":
		return k == event.MCPConnection
	case "category":
		return k == event.APIRefusal
	}
	return false
}
