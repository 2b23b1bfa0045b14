package simulate

import (
	"cmp"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

const scope = "com.anthropic.claude_code.events"

// The release of the product's engine that is imitated when the scenario names
// none, and its content defaults, those of the newest revision of the vendor's
// monitoring reference. Both are stated in reports.
const (
	DefaultWire     = "2.1.187"
	ContentRevision = "D4"
)

const (
	legacyWire     = "2.0.62"
	oldWire        = "2.1.45"   // before decisions were logged in hosted sessions
	oldDesktop     = "1.1.4173" // the first desktop release that exports at all
	defaultDesktop = "1.15962.1"
	ownerDesktop   = "1.24012.1" // the first to name the operating system's account
	cloudImage     = "6.18.44-fc-v21"
)

// wire is the profile of a run.
type wire struct {
	profile otlp.Profile
	release string
}

func wireOf(t scenarios.Telemetry) wire {
	p, ok := otlp.ProfileNamed(cmp.Or(t.Profile, "cowork-local-1p"))
	if !ok {
		p, _ = otlp.ProfileNamed("cowork-local-1p") // the loader refuses other names
	}
	w := wire{profile: p, release: t.Wire}
	if w.release == "" {
		w.release = DefaultWire
		if p.Name == "legacy-strings" {
			w.release = legacyWire
		}
	}
	return w
}

// WireProfile is the form in which a run's events belong on the wire: the
// scenario's profile with the value types of its release. Content was settled
// when the events were made, so it lets everything through.
func WireProfile(t scenarios.Telemetry) otlp.Profile {
	w := wireOf(t)
	p := w.profile
	p.Content = otlp.Content{UserPrompts: true, AssistantResponses: true, ToolDetails: true}
	p.CLIVersion = w.release
	p.Strings = !since(w.release, "2.1.122")
	p.TextDurations = !since(w.release, "2.1.175")
	return p
}

// logs is what a release of the product writes at all. Where only the day of a
// documentation change is known, the release of about that day stands here.
type logs struct {
	order, decisions, startup, effort, toolUse, decisionParams, micros, responses, toolSource bool
}

func logsOf(release string) logs {
	return logs{
		order:          since(release, "2.1.0"), // event.sequence and prompt.id; absent at 2.0.62
		decisions:      since(release, "2.1.47"),
		startup:        since(release, "2.1.100"), // hooks, connections, plugins: documented in April and May 2026
		effort:         since(release, "2.1.117"),
		toolUse:        since(release, "2.1.119"), // with the sizes and arguments of a call
		decisionParams: since(release, "2.1.157"),
		micros:         since(release, "2.1.175"), // absent at 2.1.138, present at 2.1.175
		responses:      since(release, "2.1.193"),
		toolSource:     since(release, "2.1.214"),
	}
}

// since reports that release a is b or later; both are dotted numbers.
func since(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range bs {
		if i >= len(as) {
			return false
		}
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x > y
		}
	}
	return true
}

var terminals = []string{"Apple_Terminal", "iTerm.app", "vscode", "WezTerm", "windows-terminal"}

// install sets up what every record of a member's installation carries. r is the
// member's stream.
func (w *world) install(s *staff, r *rand.Rand, os, organisation, login string) {
	p, release := &w.wire.profile, w.wire.release
	version := cmp.Or(s.Desktop, defaultDesktop)
	w.faults(s)
	if s.old {
		release, version = oldWire, oldDesktop
	}
	known, ok := w.released[release]
	if !ok {
		known = logsOf(release)
		w.released[release] = known
	}
	s.logs = known
	e := &s.base
	*e = event.Event{
		Product: event.Cowork, Service: p.Service, ServiceVersion: version, Scope: scope, ScopeVersion: release,
		OS: os, Terminal: p.Terminal, DeploymentMode: p.DeploymentMode, UserID: hex64(r),
		Has: event.FTime | event.FStamp | event.FObserved | event.FSession | event.FUserID | event.FServiceVersion | event.FScope,
	}
	e.Extra = hostAttrs(os)
	if p.Account {
		e.Email, e.Account, e.AccountID, e.Organisation = s.Email, s.Account, s.ID, organisation
		e.Has |= event.FEmail | event.FAccount | event.FOrganisation
	}
	if s.logs.order {
		e.Has |= event.FSequence
	}
	switch p.Name {
	case "claude-code", "legacy-strings":
		e.Product, e.ServiceVersion, e.Terminal = event.ClaudeCode, release, terminals[s.Index%4]
		if os == "windows" {
			e.Terminal = terminals[4]
		}
		s.logs.decisions = true // only hosted sessions lacked them
	default:
		e.Has |= event.FHostPaths
		if since(version, ownerDesktop) {
			e.Extra = append(e.Extra, event.Attr{Key: "process.owner", Value: login})
		}
	}
}

// hostAttrs are the attributes of a machine without a field of their own.
func hostAttrs(os string) []event.Attr {
	if os == "windows" {
		return []event.Attr{{Key: "host.arch", Value: "amd64"}, {Key: "os.version", Value: "10.0.26100"}}
	}
	return []event.Attr{{Key: "host.arch", Value: "arm64"}, {Key: "os.version", Value: "26.5.1"}}
}

// containerAttrs are the same of a cloud session.
func containerAttrs(r *rand.Rand, image string) []event.Attr {
	return []event.Attr{{Key: "host.arch", Value: "amd64"}, {Key: "os.version", Value: image}, {Key: "ccr.session.id", Value: ident(r, "cse_01", 22)}}
}

// container is the base of one cloud session: it runs in a container of its own,
// with other versions, another terminal and no folders of the host. r is the
// session's own stream.
func (w *world) container(s *staff, r *rand.Rand) *event.Event {
	c := s.base
	c.ServiceVersion, c.OS, c.Terminal, c.Surface, c.DeploymentMode = c.ScopeVersion, "linux", "linux", "remote", ""
	c.Has = c.Has&^event.FHostPaths | event.FSurface
	image := cloudImage
	if w.defects.on[cloudIdentityLoss] && r.Float64() < w.p.N.IdentityLost.Value {
		// The affected images name nobody, and the installation is new each time.
		image = "6.18.44-fc-v20"
		c.UserID = hex64(r)
		c.Email, c.Account, c.AccountID, c.Organisation = "", "", "", ""
		c.Has &^= event.FEmail | event.FAccount | event.FOrganisation
	}
	c.Extra = containerAttrs(r, image)
	return &c
}

// inCloud draws whether a session runs in the cloud. It has a stream of its own,
// so that life stays the same wherever it runs.
func (w *world) inCloud(sp spec) bool {
	switch {
	case w.wire.profile.Name == "cowork-cloud":
		return true
	case !w.defects.on[cloudIdentityLoss] || w.wire.profile.Service != "cowork":
		return false
	}
	return w.stream("surface", sp).Float64() < w.p.N.CloudShare.Value
}
