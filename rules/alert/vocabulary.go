package alert

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
)

// Config is what the organisation declares for a run. What is left out is not
// known, and rules that need it are then not evaluable rather than quiet.
type Config struct {
	Allowlist          []string             // MCP server names, compared without case; nil: not declared, empty: none allowed
	Roots              []string             // allowed folders beyond those connected to a task
	SpendSessionMicros int64                // estimated spend in one session that is unusual; 0: DefaultSessionSpendMicros
	Leavers            map[string]time.Time // member key to the moment of leaving; nil: nobody is known to have left
	DesktopFloor       string               // lowest desktop version in order; "": not declared
	Content            []string             // content categories expected on the wire; nil: not declared
}

// DefaultSessionSpendMicros is our choice, not a published figure: a session
// that costs several times a long working session at list prices.
const DefaultSessionSpendMicros = 25_000_000

// EnvVersion is the revision of the words that rule conditions may use.
const EnvVersion = 1

// Categories are the content categories of the device setting.
var categories = []string{"userPrompts", "assistantResponses", "toolDetails", "toolContent", "rawApiBodies"}

// subject is what a condition looks at: one event and the run's configuration.
type subject struct {
	ev  *event.Event
	cfg *Config // allowlist folded to lower case
}

// MemberKey names the member of an event: the account, else the e-mail, else ""
// for unattributed. It is never guessed from the session or the device.
func MemberKey(ev *event.Event) string {
	if ev.Account != "" {
		return ev.Account
	}
	return ev.Email
}

// Vars documents the words of rule conditions.
func Vars() []condition.Var { return vocabulary.Vars() }

var (
	texts      = map[string]func(*subject) (string, bool){} // usable as key or distinct field
	numbers    = map[string]func(*subject) (int64, bool){}  // usable as sum field
	known      = map[string]func(*subject) bool{}
	vocabulary = newVocabulary()
)

func newVocabulary() *condition.Env[subject] {
	e := condition.NewEnv[subject](EnvVersion)
	text := func(name, doc string, get func(*subject) (string, bool)) {
		e.String(name, doc, get)
		texts[name] = get
		known[name] = func(s *subject) bool { _, ok := get(s); return ok }
	}
	// filled is known when the wire said something: an empty name tells nothing.
	filled := func(name, doc string, get func(*event.Event) string) {
		text(name, doc, func(s *subject) (string, bool) {
			v := get(s.ev)
			return v, v != "" && v != event.Redacted
		})
	}
	number := func(name, doc string, f event.Field, get func(*event.Event) int64) {
		fn := func(s *subject) (int64, bool) { return get(s.ev), s.ev.Has&f != 0 }
		e.Int(name, doc, fn)
		numbers[name] = fn
		known[name] = func(s *subject) bool { _, ok := fn(s); return ok }
	}
	truth := func(name, doc string, get func(*subject) condition.Tri) {
		e.Bool(name, doc, func(s *subject) (bool, bool) { v := get(s); return v == condition.True, v != condition.Unknown })
		known[name] = func(s *subject) bool { return get(s) != condition.Unknown }
	}
	list := func(name, doc string, get func(*subject) ([]string, bool)) {
		e.List(name, doc, get)
		known[name] = func(s *subject) bool { _, ok := get(s); return ok }
	}

	text("kind", "event name without prefix", func(s *subject) (string, bool) {
		if s.ev.Kind == event.Other {
			return s.ev.Name, s.ev.Name != ""
		}
		return s.ev.Kind.String(), true
	})
	text("product", "Cowork, Claude Code, ...", func(s *subject) (string, bool) {
		return s.ev.Product.String(), s.ev.Product != event.UnknownProduct
	})
	text("member", "account id, else e-mail; never guessed", func(s *subject) (string, bool) { m := MemberKey(s.ev); return m, m != "" })
	filled("session", "session id", func(v *event.Event) string { return v.Session })
	filled("prompt_id", "id that joins everything until the next prompt", func(v *event.Event) string { return v.Prompt })
	filled("organisation", "organisation id", func(v *event.Event) string { return v.Organisation })
	filled("surface", "local or remote", func(v *event.Event) string { return v.Surface })
	filled("os", "operating system type", func(v *event.Event) string { return v.OS })
	filled("version", "service version as sent", func(v *event.Event) string { return v.ServiceVersion })
	filled("tool", "mcp:server/tool when named, else the tool name; all unnamed MCP tools share one name", func(v *event.Event) string { return v.ToolKey })
	filled("tool_name", "tool name as sent", func(v *event.Event) string { return v.Tool })
	filled("decision", "accept or reject", func(v *event.Event) string { return v.Decision })
	filled("source", "who decided: config, hook, user_temporary, user_permanent, user_reject, user_abort", func(v *event.Event) string { return v.Source })
	text("approval", "class of the decision, e.g. rejected by a person", func(s *subject) (string, bool) {
		return s.ev.Approval.String(), s.ev.Approval > event.ApprovalUnknown
	})
	text("verb", "read, write, modify, list or network, as far as the tool name tells", func(s *subject) (string, bool) {
		return s.ev.Verb.String(), s.ev.Verb > event.VerbUnknown
	})
	text("mcp_server", "MCP server in lower case; unknown when the wire does not name it", func(s *subject) (string, bool) {
		return strings.ToLower(s.ev.MCPServer), s.ev.MCPKnown == event.Known
	})
	text("mcp_tool", "tool of the MCP server", func(s *subject) (string, bool) { return s.ev.MCPTool, s.ev.MCPKnown == event.Known })
	filled("server_scope", "where the MCP server was configured", func(v *event.Event) string { return v.ServerScope })
	text("path", "first file path of the call, whole", func(s *subject) (string, bool) { return s.ev.Path, s.ev.PathKnown == event.Known })
	text("command", "shell command, perhaps cut", func(s *subject) (string, bool) {
		return s.ev.CommandLine, s.ev.CommandKnown >= event.Partial
	})
	text("tool_input", "arguments of the call as JSON, perhaps cut", func(s *subject) (string, bool) {
		return s.ev.Input, s.ev.Input != "" && s.ev.Input != event.Redacted
	})
	text("prompt", "text of the prompt", func(s *subject) (string, bool) { return s.ev.PromptText, promptKnown(s.ev) })
	filled("model", "model name", func(v *event.Event) string { return v.Model })
	filled("error", "error text", func(v *event.Event) string { return v.Error })
	filled("error_type", "error category", func(v *event.Event) string { return v.ErrorType })
	filled("plugin", "plugin name", func(v *event.Event) string { return v.Plugin })
	filled("skill", "skill name", func(v *event.Event) string { return v.SkillName })
	filled("to_mode", "permission mode changed to", func(v *event.Event) string { return v.ToMode })
	filled("connection", "status of an MCP connection", func(v *event.Event) string { return v.ConnStatus })

	number("prompt_length", "characters of the prompt", event.FPromptLength, func(v *event.Event) int64 { return v.PromptLength })
	number("duration_ms", "duration", event.FDuration, func(v *event.Event) int64 { return v.Duration })
	number("input_tokens", "tokens in, without cache", event.FInputTokens, func(v *event.Event) int64 { return v.InputTokens })
	number("output_tokens", "tokens out", event.FOutputTokens, func(v *event.Event) int64 { return v.OutputTokens })
	number("input_size", "bytes of the arguments", event.FInputSize, func(v *event.Event) int64 { return v.InputSize })
	number("result_size", "bytes of the result", event.FResultSize, func(v *event.Event) int64 { return v.ResultSize })
	number("status", "HTTP status", event.FStatus, func(v *event.Event) int64 { return v.Status })
	cost := func(s *subject) (int64, bool) {
		return s.ev.CostMicros, s.ev.CostFrom != event.NoCost && s.ev.CostFrom != event.CostMissing
	}
	e.Int("cost_micros", "estimated cost in micro-dollars", cost)
	numbers["cost_micros"] = cost
	known["cost_micros"] = func(s *subject) bool { _, ok := cost(s); return ok }

	list("host_paths", "folders connected to the task", func(s *subject) ([]string, bool) {
		return s.ev.HostPaths, s.ev.Has&event.FHostPaths != 0
	})
	list("allowlist", "allowed MCP servers in lower case", func(s *subject) ([]string, bool) { return s.cfg.Allowlist, s.cfg.Allowlist != nil })

	truth("success", "the call succeeded; false means attempted", func(s *subject) condition.Tri {
		return condition.Of(s.ev.Success, s.ev.Has&event.FSuccess != 0)
	})
	truth("is_mcp", "the call goes to an MCP server, named or not", func(s *subject) condition.Tri {
		return condition.Of(s.ev.IsMCP(), s.ev.Tool != "")
	})
	truth("has_input", "the arguments of the call are on the wire", func(s *subject) condition.Tri {
		return condition.Of(s.ev.Input != "" && s.ev.Input != event.Redacted, true)
	})
	truth("has_prompt", "the text of the prompt is on the wire", func(s *subject) condition.Tri {
		return condition.Of(promptKnown(s.ev), true)
	})
	truth("outside_scope", "a path of the call lies outside the task's and the allowed folders", outsideScope)
	truth("after_leaving", "the member had left", afterLeaving)
	truth("desktop_below_floor", "the desktop version is below the declared floor", belowFloor)

	e.FuncText("classifier", "classifier(text, class): the text holds data of class "+strings.Join(Classes(), ", "), 1, 1,
		func(a []string) error {
			if !slices.Contains(Classes(), a[0]) {
				return fmt.Errorf("%q is not a class (%s)", a[0], strings.Join(Classes(), ", "))
			}
			return nil
		},
		func(_ *subject, text string, a []string) condition.Tri {
			return condition.Of(Classify(text, a[0]), true)
		})
	e.FuncBool("expects", "expects(category): the organisation expects this content on the wire", 1, 1,
		func(a []string) error {
			if !slices.Contains(categories, a[0]) {
				return fmt.Errorf("%q is not a content category (%s)", a[0], strings.Join(categories, ", "))
			}
			return nil
		},
		func(s *subject, a []string) condition.Tri {
			return condition.Of(slices.Contains(s.cfg.Content, a[0]), s.cfg.Content != nil)
		})
	return e
}

func promptKnown(ev *event.Event) bool {
	return ev.Has&event.FPromptText != 0 && ev.PromptText != event.Redacted && (ev.PromptText != "" || ev.PromptLength == 0)
}

func afterLeaving(s *subject) condition.Tri {
	if len(s.cfg.Leavers) == 0 {
		return condition.False
	}
	m := MemberKey(s.ev)
	if m == "" {
		return condition.Unknown
	}
	t, left := s.cfg.Leavers[m]
	return condition.Of(left && s.ev.Time > t.UnixNano(), true)
}

// belowFloor compares desktop versions only: cloud sessions run on Linux and
// send the version of another program in the same field.
func belowFloor(s *subject) condition.Tri {
	switch {
	case s.ev.Surface == "remote" || s.ev.OS == "linux":
		return condition.False
	case s.ev.OS == "" || s.cfg.DesktopFloor == "":
		return condition.Unknown
	}
	c, ok := compareVersions(s.ev.ServiceVersion, s.cfg.DesktopFloor)
	return condition.Of(c < 0, ok)
}

// compareVersions compares dotted numbers part by part; a missing part is 0.
func compareVersions(a, b string) (int, bool) {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		m, ok := versionPart(x)
		n, ok2 := versionPart(y)
		if !ok || !ok2 {
			return 0, false
		}
		if m != n {
			if m < n {
				return -1, true
			}
			return 1, true
		}
	}
	return 0, true
}

func versionPart(s string) (uint64, bool) {
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 63)
	return n, err == nil
}

// outsideScope judges every path of a call; one path outside settles it.
func outsideScope(s *subject) condition.Tri {
	switch s.ev.PathKnown {
	case event.NotApplicable:
		if s.ev.IsMCP() && s.ev.Input == "" { // a file server may hide behind absent arguments
			return condition.Unknown
		}
		return condition.False
	case event.Unknown:
		return condition.Unknown
	}
	if len(s.ev.Paths) == 0 {
		return s.outside(s.ev.Path)
	}
	worst := condition.False
	for _, p := range s.ev.Paths {
		worst = worst.Or(s.outside(p))
	}
	return worst
}

// outside compares one path with the folders. What cannot be compared is
// unknown: a relative path, a path inside the virtual machine, a path of the
// other operating system, or a folder list that is not on the wire.
func (s *subject) outside(p string) condition.Tri {
	p = event.CleanPath(p)
	form := pathForm(p)
	if form == relative {
		return condition.Unknown
	}
	climbs := strings.Contains(p+"/", "/../")
	if climbs {
		p = path.Clean(p)
		if form == network { // path.Clean joins the two leading slashes
			p = "/" + p
		}
	}
	comparable := false
	for _, roots := range [2][]string{s.ev.HostPaths, s.cfg.Roots} {
		for _, r := range roots {
			r = event.CleanPath(r)
			if pathForm(r) != form {
				continue
			}
			comparable = true
			switch {
			case form == drive && event.Within(strings.ToLower(p), strings.ToLower(r)), form != drive && event.Within(p, r):
				if climbs { // inside by its letters, but links may lead elsewhere
					return condition.Unknown
				}
				return condition.False
			case event.Within(strings.ToLower(p), strings.ToLower(r)):
				return condition.Unknown // whether the disk ignores case is not on the wire
			}
		}
	}
	switch {
	case s.ev.Has&event.FHostPaths == 0:
		return condition.Unknown
	case event.Within(p, "/mnt") || event.Within(p, "/sessions"):
		return condition.Unknown // a mount of the virtual machine; no table maps it to the host
	case !comparable && len(s.ev.HostPaths)+len(s.cfg.Roots) > 0:
		return condition.Unknown
	}
	return condition.True
}

type form uint8

const (
	relative form = iota
	unix
	drive
	network
)

func pathForm(p string) form {
	switch {
	case strings.HasPrefix(p, "//"):
		return network
	case strings.HasPrefix(p, "/"):
		return unix
	case len(p) > 2 && p[1] == ':' && p[2] == '/':
		return drive
	}
	return relative
}
