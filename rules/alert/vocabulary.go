package alert

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

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

	ReadOnly    []string                  // MCP servers the inventory marks read-only; nil: no inventory declared
	Plugins     []string                  // approved plugins by name or hash; nil: not declared
	Workloads   map[string][]string       // member key to the data classes its workload may hold; nil: not declared
	Forbidden   map[string][]string       // member key to the capabilities policy denies it, e.g. browser; nil: not declared
	RemoteOff   bool                      // cloud sessions are off for everybody
	Domains     []string                  // the organisation's own mail domains; nil: not declared
	Zones       map[string]*time.Location // member key to its time zone; nil: not declared
	Propagation time.Duration             // how long a removal may take to reach the platform; a leaver's records inside it are no alert
}

// DefaultSessionSpendMicros is our choice, not a published figure: a session
// that costs several times a long working session at list prices.
const DefaultSessionSpendMicros = 25_000_000

// EnvVersion is the revision of the words that rule conditions may use.
const EnvVersion = 3

// Categories are the content categories of the device setting.
var categories = []string{"userPrompts", "assistantResponses", "toolDetails", "toolContent", "rawApiBodies"}

// subject is what a condition looks at: one event and the run's configuration.
type subject struct {
	ev  *event.Event
	cfg *Config // allowlist folded to lower case

	text  string // the text looked at last, and what it could hold
	marks event.Marks
	paths event.Cleaner
	roots [256]root // compared with lately
	// versions compared with the floor lately
	floor [8]struct {
		version      string
		below, known bool
	}
	// Of the event at hand: whether its command uploads, unknown when nobody asked, and
	// what its texts were found to hold.
	uploads condition.Tri
	classes [8]struct {
		text, class string
		holds       bool
	}
	classed int // of them
}

// root is a folder, and what comparing with it takes.
type root struct {
	raw, clean string
	low        string // without regard to case; "" where bytes can be compared one by one
	form       form
}

// root prepares a folder; the folders of a task come with each of its records.
func (s *subject) root(raw string) *root {
	n := len(raw)
	if n > 2 {
		n += int(raw[n-1])*3 + int(raw[n-2])*5 + int(raw[n/2])*7
	}
	r := &s.roots[n%len(s.roots)]
	if r.raw != raw {
		raw = strings.Clone(raw)
		clean := event.CleanPath(raw)
		*r = root{raw: raw, clean: clean, form: pathForm(clean)}
		if !ascii(clean) {
			r.low = strings.ToLower(clean)
		}
	}
	return r
}

// ascii reports a text of ASCII only.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// ends reports that an element of path p ends where the folder does.
func (r *root) ends(p string) bool {
	return len(p) == len(r.clean) || r.clean == "/" || p[len(r.clean)] == '/'
}

// holds reports that path p lies in the folder, both clean, as event.Within. The
// path does not climb.
func (r *root) holds(p string) bool { return strings.HasPrefix(p, r.clean) && r.ends(p) }

// holdsFolded is holds without regard to case.
func (r *root) holdsFolded(p string) bool {
	if r.low != "" {
		return event.Within(strings.ToLower(p), r.low)
	}
	for i := range len(r.clean) {
		if i >= len(p) {
			return false
		}
		c, d := p[i], r.clean[i]
		if c >= 0x80 {
			return event.Within(strings.ToLower(p), strings.ToLower(r.clean))
		}
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if d-'A' < 26 {
			d += 'a' - 'A'
		}
		if c != d {
			return false
		}
	}
	return r.ends(p)
}

// same reports one text, not only equal ones.
func same(a, b string) bool { return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b) }

// look is Look, once for several rules that ask about one text.
func (s *subject) look(text string) event.Marks {
	if s.ev.Looked {
		for i, t := range s.ev.Texts() {
			if same(text, *t) {
				return s.ev.Marks[i]
			}
		}
		if same(text, s.ev.Path) {
			return s.ev.PathMarks
		}
		if same(text, s.ev.CommandLine) {
			return s.ev.CommandMarks
		}
	}
	if text != s.text || s.text == "" {
		s.text, s.marks = text, Look(text)
	}
	return s.marks
}

// classify is ClassifyLooked, once for several rules that ask the same.
func (s *subject) classify(text, class string) bool {
	for i := range s.classes[:s.classed] {
		if c := &s.classes[i]; same(c.text, text) && c.class == class {
			return c.holds
		}
	}
	holds := ClassifyLooked(text, class, s.look(text))
	if s.classed < len(s.classes) {
		c := &s.classes[s.classed]
		c.text, c.class, c.holds = text, class, holds
		s.classed++
	}
	return holds
}

// MemberKey names the member of an event as findings do: see event.Event.Person.
func MemberKey(ev *event.Event) string { return ev.Person() }

// rare are the words of what event.Pack.Narrow leaves out.
var rare = []string{"device", "error", "organisation", "speed"}

// Rare reports that a rule reads what is left out of events that are packed narrow.
func Rare(rs []*Rule) bool {
	return slices.ContainsFunc(rs, func(r *Rule) bool {
		words := append(r.prog.Uses(), r.Correlation.Field.Value)
		for _, p := range r.steps {
			words = append(words, p.Uses()...)
		}
		for _, x := range r.Exceptions {
			words = append(words, x.prog.Uses()...)
		}
		for _, k := range r.Correlation.Key {
			words = append(words, k.Value)
		}
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(rare, w) })
	})
}

// Vars documents the words of rule conditions.
func Vars() []condition.Var { return vocabulary.Vars() }

var (
	texts      = map[string]func(*subject) (string, bool){} // usable as key or distinct field
	ids        = map[string]func(*event.Event) uint64{"session": (*event.Event).OfSession, "prompt_id": (*event.Event).OfPrompt, "member": (*event.Event).OfPerson}
	numbers    = map[string]func(*subject) (int64, bool){} // usable as sum field
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
	filled("from_mode", "permission mode changed from", func(v *event.Event) string { return v.FromMode })
	filled("device", "installation id; a new one for each container of a cloud session", func(v *event.Event) string { return v.UserID })
	filled("response", "text of the answer", func(v *event.Event) string { return v.ResponseText })
	filled("query_source", "what asked the model: sdk, a subagent, ...", func(v *event.Event) string { return v.QuerySource })
	filled("speed", "speed of the request", func(v *event.Event) string { return v.Speed })
	filled("marketplace", "marketplace of the plugin", func(v *event.Event) string { return v.Marketplace })
	filled("tool_source", "builtin, mcp or sdk_host_builtin_mcp", func(v *event.Event) string { return v.ToolSource })
	filled("plugin_hash", "hash that names a plugin even where its name is held back", func(v *event.Event) string { return v.PluginHash })
	text("folder", "folder of the first file path", func(s *subject) (string, bool) {
		if s.ev.PathKnown != event.Known {
			return "", false
		}
		i := strings.LastIndexAny(s.ev.Path, "/\\")
		return s.ev.Path[:max(i, 0)], i > 0
	})
	text("host", "host of the first address in a web fetch or shell command", func(s *subject) (string, bool) { return host(s.ev) })
	text("record", "id argument of an MCP call: which record it touched", func(s *subject) (string, bool) { return argument(s.ev.Input, `"id":"`) })

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
	number("cache_write", "tokens written to the cache", event.FCacheWrite, func(v *event.Event) int64 { return v.CacheWrite })
	number("cache_read", "tokens read from the cache", event.FCacheRead, func(v *event.Event) int64 { return v.CacheRead })
	local := func(s *subject) (time.Time, bool) {
		z := s.cfg.Zones[MemberKey(s.ev)]
		if z == nil {
			return time.Time{}, false
		}
		return time.Unix(0, s.ev.Time).In(z), true
	}
	e.Int("local_hour", "hour of the day where the member works, 0 to 23; needs declared time zones", func(s *subject) (int64, bool) {
		t, ok := local(s)
		return int64(t.Hour()), ok
	})
	e.Bool("weekend", "Saturday or Sunday where the member works; needs declared time zones", func(s *subject) (bool, bool) {
		t, ok := local(s)
		return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday, ok
	})
	known["local_hour"] = func(s *subject) bool { return s.cfg.Zones[MemberKey(s.ev)] != nil }
	known["weekend"] = known["local_hour"]
	e.Int("cost_micros", "estimated cost in micro-dollars", cost)
	numbers["cost_micros"] = cost
	known["cost_micros"] = func(s *subject) bool { _, ok := cost(s); return ok }

	list("host_paths", "folders connected to the task", func(s *subject) ([]string, bool) {
		return s.ev.HostPaths, s.ev.Has&event.FHostPaths != 0
	})
	list("recipients", "mail addresses in lower case that the arguments name under to, cc, recipients, email, attendees and the like; known where all can be read", func(s *subject) ([]string, bool) {
		return recipients(s.ev.Input)
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
	truth("writes", "the MCP call changes something, as far as the tool's name tells", func(s *subject) condition.Tri {
		if !s.ev.IsMCP() {
			return condition.False
		}
		return condition.Of(s.ev.Verb == event.VerbWrite || s.ev.Verb == event.VerbModify, s.ev.Verb > event.VerbUnknown)
	})
	truth("sends", "the call sends data out: an upload by shell, or a connector tool named send, share, post, upload, forward, reply", sends)
	truth("outside_recipient", "a recipient's address is at none of the declared mail domains; unknown where none is named, one is cut or held back, or no domains are declared", outsideRecipient)
	truth("marked_read_only", "the inventory marks the MCP server read-only", func(s *subject) condition.Tri {
		switch {
		case s.ev.MCPKnown == event.NotApplicable:
			return condition.False
		case s.cfg.ReadOnly == nil || s.ev.MCPKnown == event.Unknown:
			return condition.Unknown
		}
		return condition.Of(foldedIn(s.ev.MCPServer, s.cfg.ReadOnly), true)
	})
	truth("plugin_approved", "the plugin is on the approved list, by name or hash", func(s *subject) condition.Tri {
		named := s.ev.Plugin != "" && s.ev.Plugin != "third-party" && s.ev.Plugin != event.Redacted
		switch {
		case s.cfg.Plugins == nil || !named && s.ev.PluginHash == "":
			return condition.Unknown
		}
		return condition.Of(named && foldedIn(s.ev.Plugin, s.cfg.Plugins) || s.ev.PluginHash != "" && foldedIn(s.ev.PluginHash, s.cfg.Plugins), true)
	})
	truth("remote_off", "cloud sessions are off for everybody", func(s *subject) condition.Tri { return condition.Of(s.cfg.RemoteOff, true) })
	truth("browser", "the call drives the built-in browser", func(s *subject) condition.Tri {
		return condition.Of(browser(s.ev.Tool) || s.ev.MCPKnown == event.Known && browserServer(s.ev.MCPTool), s.ev.Tool != "")
	})
	truth("app_folder", "the first path lies in a folder of the application itself", func(s *subject) condition.Tri {
		if s.ev.PathKnown != event.Known {
			return condition.Of(false, s.ev.PathKnown == event.NotApplicable)
		}
		return condition.Of(appFolder(s.ev.Path), true)
	})
	truth("after_leaving", "the member had left", afterLeaving)
	truth("has_identity", "the record names a member", func(s *subject) condition.Tri { return condition.Of(MemberKey(s.ev) != "", true) })
	truth("desktop_below_floor", "the desktop version is below the declared floor", belowFloor)

	e.FuncText("classifier", "classifier(text, class): the text holds data of class "+strings.Join(Classes(), ", "), 1, 1,
		func(a []string) error {
			if !slices.Contains(Classes(), a[0]) {
				return fmt.Errorf("%q is not a class (%s)", a[0], strings.Join(Classes(), ", "))
			}
			return nil
		},
		func(s *subject, text string, a []string) condition.Tri {
			return condition.Of(s.classify(text, a[0]), true)
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
	e.FuncBool("workload", "workload(class): the member's declared workload may hold data of the class", 1, 1,
		func(a []string) error {
			if !slices.Contains(Classes(), a[0]) {
				return fmt.Errorf("%q is not a class (%s)", a[0], strings.Join(Classes(), ", "))
			}
			return nil
		},
		func(s *subject, a []string) condition.Tri {
			m := MemberKey(s.ev)
			return condition.Of(slices.Contains(s.cfg.Workloads[m], a[0]), s.cfg.Workloads != nil && m != "")
		})
	e.FuncBool("forbidden", "forbidden(capability): policy denies the member the capability, e.g. browser", 1, 1,
		func(a []string) error { return nil },
		func(s *subject, a []string) condition.Tri {
			m := MemberKey(s.ev)
			return condition.Of(slices.Contains(s.cfg.Forbidden[m], a[0]), s.cfg.Forbidden != nil && m != "")
		})
	return e
}

// foldedIn compares without case and without a copy; the list is lower case.
func foldedIn(name string, list []string) bool {
	for _, x := range list {
		if len(x) == len(name) && strings.EqualFold(x, name) {
			return true
		}
	}
	return false
}

// browser recognises the calls of a built-in or connected browser. What they are
// called on the wire is not documented.
func browser(tool string) bool {
	return slices.Contains(browserTools, tool) || strings.HasPrefix(tool, "browser_")
}

// browserServer is browser for the tool of a connected server: find and computer
// are names that a database or a desktop server has as well.
func browserServer(tool string) bool {
	return slices.Contains(browserServerTools, tool) || strings.HasPrefix(tool, "browser_")
}

var (
	browserServerTools = []string{"navigate", "form_input", "read_page", "tabs_create"}
	browserTools       = append([]string{"computer", "find"}, browserServerTools...)
)

// appFolder recognises where the desktop application keeps its skills, settings
// and temporary files.
func appFolder(p string) bool {
	if !strings.Contains(p, "laude") {
		return false
	}
	p = event.CleanPath(p) + "/"
	return slices.ContainsFunc(appFolders, func(f string) bool { return strings.Contains(p, f) })
}

var appFolders = []string{"/AppData/Roaming/Claude/", "/AppData/Local/Claude/", "/AppData/Local/Temp/claude/", "/Library/Application Support/Claude/", "/Library/Caches/Claude/", "/.claude/"}

var sendWords = []string{"send", "share", "post", "upload", "forward", "reply", "publish", "add_comment", "invite"}

// sends judges by names and by the command's words. A shell can send in ways no
// word shows, so a command without them is false only in that sense.
func sends(s *subject) condition.Tri {
	ev := s.ev
	switch {
	case ev.MCPKnown == event.Known:
		return condition.Of(sendsByName(ev.MCPTool), true)
	case ev.MCPKnown == event.Unknown:
		return condition.Unknown
	case ev.Tool == "Bash":
		if ev.CommandKnown == event.NotApplicable || ev.CommandKnown == event.Unknown {
			return condition.Unknown
		}
		if s.uploads == condition.Unknown { // several rules ask
			s.uploads = condition.Of(uploads(ev.CommandLine), true)
		}
		return s.uploads
	}
	return condition.Of(false, ev.Tool != "")
}

// sendsByName judges a tool of a connector.
func sendsByName(tool string) bool {
	for _, w := range sendWords {
		if len(tool) >= len(w) && strings.EqualFold(tool[:len(w)], w) {
			return true
		}
	}
	return false
}

func uploads(c string) bool {
	holds := func(w string) bool { return strings.Contains(c, w) }
	return slices.ContainsFunc(senders, holds) && slices.ContainsFunc(sendArguments, holds)
}

var (
	senders       = []string{"curl", "wget", "scp ", "sftp ", "rsync ", "rclone "}
	sendArguments = []string{" -F", " -T", " -d ", " --data", " --form", " --upload-file", "-X POST", "-X PUT", "--post-file", "scp ", "sftp ", "rsync ", "rclone copy"}
)

// host finds the first address of a web fetch or a shell command.
func host(ev *event.Event) (string, bool) {
	text := ""
	switch {
	case ev.Tool == "WebFetch" && ev.Input != "" && ev.Input != event.Redacted:
		text = ev.Input
	case ev.Tool == "Bash" && ev.CommandKnown >= event.Partial:
		text = ev.CommandLine
	}
	_, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", false
	}
	end := strings.IndexAny(rest, "/?#\"'\\ :")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], end > 0
}

// argument reads a text argument out of a flat JSON object without parsing it
// whole: it is read on the hot path and as a key only.
func argument(input, key string) (string, bool) {
	_, rest, ok := strings.Cut(input, key)
	if !ok {
		return "", false
	}
	end := strings.IndexByte(rest, '"')
	if end <= 0 {
		return "", false
	}
	return rest[:end], true
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
	return condition.Of(left && s.ev.Time > t.Add(s.cfg.Propagation).UnixNano(), true)
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
	v := s.ev.ServiceVersion
	n := uint(len(v))
	if n > 0 {
		n += uint(v[n-1])
	}
	f := &s.floor[n%uint(len(s.floor))]
	if f.version != v || v == "" {
		c, ok := compareVersions(v, s.cfg.DesktopFloor)
		f.version, f.below, f.known = strings.Clone(v), c < 0, ok
	}
	return condition.Of(f.below, f.known)
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
	p = s.paths.Clean(p)
	form := pathForm(p)
	if form == relative {
		return condition.Unknown
	}
	climbs := event.Climbs(p)
	if climbs {
		p = path.Clean(p)
		if form == network { // path.Clean joins the two leading slashes
			p = "/" + p
		}
	}
	comparable := false
	for _, roots := range [2][]string{s.ev.HostPaths, s.cfg.Roots} {
		for _, raw := range roots {
			r := s.root(raw)
			if r.form != form {
				continue
			}
			comparable = true
			switch {
			case form == drive && r.holdsFolded(p), form != drive && r.holds(p):
				if climbs { // inside by its letters, but links may lead elsewhere
					return condition.Unknown
				}
				return condition.False
			case r.holdsFolded(p):
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
