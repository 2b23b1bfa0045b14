package event

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Knowledge tells how far a derived text is known. The zero value is the safe
// one: not applicable, hence never a match and never clean.
type Knowledge uint8

const (
	NotApplicable Knowledge = iota // the record is not of a kind that could carry it
	Unknown                        // it could, but the wire does not say (off, redacted, cut, unnamed)
	Partial                        // known up to a cut; compare by prefix only
	Known
)

func (k Knowledge) String() string {
	return [...]string{"not applicable", "unknown", "partial", "known"}[k]
}

// Approval is who let a tool call run, as far as one decision record tells.
// In hosted sessions user values repeat for later matches, so the raw count of
// ManualAccept overstates clicks.
type Approval uint8

const (
	NoApproval Approval = iota // not a decision
	ApprovalUnknown
	AutoAccept   // accept by config: a setting, rule, mode or grant; the wire does not say which
	HookAccept   // accept by hook
	ManualAccept // accept by a person, or a match of an earlier grant
	HumanReject  // user_reject; in hosted sessions perhaps a personal deny rule
	Dismissed    // user_abort
	PolicyDeny   // reject by config
	HookDeny     // reject by hook
)

func (a Approval) String() string {
	return [...]string{"", "unknown", "automatic", "hook", "manual", "rejected by a person", "dismissed", "denied by policy", "denied by hook"}[a]
}

// Verb is what a tool call does to a file, as far as its name and arguments tell.
type Verb uint8

const (
	NoVerb Verb = iota
	VerbUnknown
	VerbRead
	VerbWrite
	VerbModify
	VerbList
	VerbNetwork
)

func (v Verb) String() string {
	return [...]string{"", "unknown", "read", "write", "modify", "list", "network"}[v]
}

// CostSource says where an amount comes from.
type CostSource uint8

const (
	NoCost      CostSource = iota
	CostMicros             // cost_usd_micros on the wire
	CostUSD                // cost_usd on the wire, rounded to micro-dollars
	Recomputed             // from tokens and dated prices; marked in every total
	CostMissing            // a request without cost and without a price
)

// Derived is computed once per event by Derive.
type Derived struct {
	MCPServer, MCPTool string
	MCPKnown           Knowledge // Unknown: an MCP call whose server is not named
	Path               string    // first path of the call
	Paths              []string  // every path, when there is more than one
	PathKnown          Knowledge
	Verb               Verb
	CommandLine        string // shell command as sent
	CommandKnown       Knowledge
	ToolKey            string // "mcp:server/tool" when known, else the tool name
	SkillName          string
	Approval           Approval
	CostFrom           CostSource
}

// IsMCP reports that the record concerns an MCP call, named or not.
func (d *Derived) IsMCP() bool { return d.MCPKnown != NotApplicable }

// InputCap is the number of characters after which the product cuts a string in
// tool_input.
const InputCap = 512

// Derive fills e.Derived from the wire fields. It resolves, in this order, the
// MCP server and tool: tool_parameters, the dotted attributes, the
// mcp__server__tool form, and else "unknown" as a state of its own. It never
// guesses a path from a shell command. Of arguments that are cut or invalid it
// takes the members that are whole.
func (e *Event) Derive() { e.DeriveWith(new(Scratch)) }

// DeriveWith is Derive for many events.
func (e *Event) DeriveWith(s *Scratch) {
	e.Derived = Derived{CostFrom: e.CostFrom}
	switch e.Kind {
	case ToolDecision, ToolResult:
		e.deriveTool(s)
	case SkillActivated:
		e.SkillName = e.Skill
	case APIRequest:
		switch {
		case e.Has&FCostMicros != 0:
			e.CostFrom = CostMicros
		case e.Has&FCostUSD != 0:
			e.CostFrom = CostUSD
		default:
			e.CostFrom = CostMissing
		}
	}
}

func (e *Event) deriveTool(s *Scratch) {
	if e.Kind == ToolDecision {
		e.Approval = approval(e.Decision, e.Source)
	}
	var server, tool, command, program string
	var commandGiven, programGiven bool
	if e.Parameters != "" {
		for a := (arguments{s: e.Parameters}); a.next(); {
			if a.kind != '"' {
				continue
			}
			switch a.key {
			case "mcp_server_name":
				server = s.take(a.value)
			case "mcp_tool_name":
				tool = s.take(a.value)
			case "skill_name":
				if e.Tool == "Skill" {
					e.SkillName = s.take(a.value)
				}
			case "full_command":
				if e.Tool == "Bash" {
					command, commandGiven = s.take(a.value), true
				}
			case "bash_command":
				if e.Tool == "Bash" {
					program, programGiven = s.take(a.value), true
				}
			}
		}
	}
	old := strings.HasPrefix(e.Tool, "mcp__")
	if server == "" && e.MCPServerAttr != "" && !placeholder(e.MCPServerAttr) {
		server, tool = e.MCPServerAttr, e.MCPToolAttr
	}
	if server == "" && old {
		if s, t, ok := strings.Cut(e.Tool[len("mcp__"):], "__"); ok {
			server, tool = s, t
		}
	}
	e.ToolKey = e.Tool
	switch {
	case server != "":
		t := s.mcpTool(server, tool)
		e.MCPServer, e.MCPTool, e.MCPKnown = server, tool, Known
		e.ToolKey, e.Verb = t.key, t.verb
	case old, e.Tool == "mcp_tool", e.ToolSource == "mcp", e.ToolSource == "sdk_host_builtin_mcp":
		e.MCPKnown = Unknown
	}
	if e.Tool == "Bash" {
		e.CommandKnown = Unknown
		if commandGiven {
			e.CommandLine, e.CommandKnown = command, Known
		} else if programGiven {
			e.CommandLine, e.CommandKnown = program, Partial
		}
	}
	e.derivePath(s)
}

// take is Unescape for a text whose escapes may be wrong: then it stays raw.
func (s *Scratch) take(raw string) string {
	t, _ := s.Unescape(raw)
	return t
}

func placeholder(s string) bool { return s == "custom" || s == "third-party" || s == Redacted }

// fileTool tells the argument that holds the path of a built-in file tool, and
// what the tool does to the file.
func fileTool(tool string) (key string, verb Verb) {
	switch tool {
	case "Read":
		return "file_path", VerbRead
	case "Write":
		return "file_path", VerbWrite
	case "Edit", "MultiEdit":
		return "file_path", VerbModify
	case "NotebookEdit":
		return "notebook_path", VerbModify
	case "Glob", "Grep":
		return "path", VerbList
	}
	return "", NoVerb
}

// mcpPaths are the arguments that commonly hold a path, in the order in which
// they are looked at.
var mcpPaths = [...]string{"path", "file_path", "source", "destination", "uri", "paths"}

func (e *Event) derivePath(s *Scratch) {
	key, verb := fileTool(e.Tool)
	switch {
	case key != "":
		e.Verb, e.PathKnown = verb, Unknown
	case e.Tool == "Bash":
		e.Verb, e.PathKnown = VerbUnknown, Unknown
		return // a path in a command line would be a guess
	case e.Tool == "WebFetch" || e.Tool == "WebSearch":
		e.Verb = VerbNetwork
		return
	case e.MCPKnown == Known: // its verb is known already
	case e.MCPKnown == Unknown:
		e.Verb = VerbUnknown
	default:
		return
	}
	if e.Kind != ToolResult { // a decision carries no tool_input, hence no path
		return
	}
	if e.Input == "" {
		if e.IsMCP() && e.Has&FInput != 0 {
			e.PathKnown = NotApplicable
		}
		return
	}
	a := arguments{s: e.Input}
	if key != "" {
		path, given := "", false
		for a.next() {
			if a.kind == '"' && a.key == key {
				path, given = a.value, true
			}
		}
		switch {
		case given && path != "":
			e.setPath(s.take(path))
		case verb == VerbList && a.whole(): // no path means the working folder
			e.PathKnown = NotApplicable
		}
		return
	}
	var found [len(mcpPaths)]struct {
		value string
		kind  byte
	}
	for a.next() {
		for i := range mcpPaths {
			if a.key == mcpPaths[i] {
				found[i].value, found[i].kind = a.value, a.kind
			}
		}
	}
	if a.whole() {
		e.PathKnown = NotApplicable
	} else { // the path may stand where the arguments are cut
		e.PathKnown = Unknown
	}
	for i := range found {
		switch found[i].kind {
		case '"':
			if p := s.take(found[i].value); strings.HasPrefix(p, "/") || strings.HasPrefix(p, "file:") || strings.Contains(p, `:\`) {
				e.setPath(strings.TrimPrefix(p, "file://"))
			}
		case '[':
			elements(found[i].value, func(raw string) { e.setPath(s.take(raw)) })
		}
	}
}

func (e *Event) setPath(p string) {
	if e.Path == "" {
		e.Path, e.PathKnown = p, Known
		if len(p) >= InputCap && utf8.RuneCountInString(p) >= InputCap {
			e.PathKnown = Partial
		}
		return
	}
	if e.Paths == nil {
		e.Paths = []string{e.Path}
	}
	e.Paths = append(e.Paths, p)
}

// toolVerbs are beginnings of MCP tool names, tried in this order.
var toolVerbs = []struct {
	verb  Verb
	words []string
}{
	{VerbWrite, []string{"create", "write", "send", "upload", "add", "post", "insert"}},
	{VerbModify, []string{"update", "edit", "delete", "move", "rename", "set_"}},
	{VerbList, []string{"list", "search", "find", "query"}},
	{VerbRead, []string{"get", "read", "fetch", "download", "export"}},
}

func verbOf(tool string) Verb {
	t := strings.ToLower(tool)
	for i := range toolVerbs {
		for _, w := range toolVerbs[i].words {
			if strings.HasPrefix(t, w) {
				return toolVerbs[i].verb
			}
		}
	}
	return VerbUnknown
}

func approval(decision, source string) Approval {
	switch decision {
	case "accept":
		switch source {
		case "config", "allowlist":
			return AutoAccept
		case "hook":
			return HookAccept
		case "user_temporary", "user_permanent":
			return ManualAccept
		}
	case "reject":
		switch source {
		case "user_reject":
			return HumanReject
		case "user_abort":
			return Dismissed
		case "config":
			return PolicyDeny
		case "hook":
			return HookDeny
		}
	}
	return ApprovalUnknown
}

// CleanPath makes two spellings of one path comparable: separators, a trailing
// separator and drive case. It resolves nothing on disk. A path that is clean is
// returned as it is.
func CleanPath(p string) string {
	if strings.IndexByte(p, '\\') >= 0 {
		p = strings.ReplaceAll(p, `\`, "/")
	}
	if len(p) > 1 && p[1] == ':' && p[0] >= 'A' && p[0] <= 'Z' {
		p = strings.ToLower(p[:1]) + p[1:]
	}
	for len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	return p
}

// Cleaner is CleanPath for many paths: what it returns holds until it is asked
// again.
type Cleaner struct{ memory []byte }

// Clean is CleanPath.
func (c *Cleaner) Clean(p string) string {
	upper := len(p) > 1 && p[1] == ':' && p[0] >= 'A' && p[0] <= 'Z'
	if strings.IndexByte(p, '\\') >= 0 || upper {
		c.memory = append(c.memory[:0], p...)
		for i, b := range c.memory {
			if b == '\\' {
				c.memory[i] = '/'
			}
		}
		if upper {
			c.memory[0] += 'a' - 'A'
		}
		p = unsafe.String(&c.memory[0], len(c.memory))
	}
	for len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	return p
}

// Climbs reports a path with an element that steps upwards behind its first one.
func Climbs(p string) bool {
	return strings.Contains(p, "/../") || strings.HasSuffix(p, "/..")
}

// Within reports that path p lies in folder root, compared by whole path
// elements: /fin does not hold /finance-secret. A p with ".." elements is not
// comparable and never within.
func Within(p, root string) bool {
	p, root = CleanPath(p), CleanPath(root)
	if Climbs(p) {
		return false
	}
	return p == root || root == "/" || strings.HasPrefix(p, root) && len(p) > len(root) && p[len(root)] == '/'
}
