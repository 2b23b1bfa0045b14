package event

import (
	"encoding/json"
	"strings"
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

const inputCap = 512 // characters after which the product cuts a string in tool_input

// Derive fills e.Derived from the wire fields. It resolves, in this order, the
// MCP server and tool: tool_parameters, the dotted attributes, the
// mcp__server__tool form, and else "unknown" as a state of its own. It never
// guesses a path from a shell command.
func (e *Event) Derive() {
	e.Derived = Derived{CostFrom: e.CostFrom}
	switch e.Kind {
	case ToolDecision, ToolResult:
		e.deriveTool()
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

func (e *Event) deriveTool() {
	if e.Kind == ToolDecision {
		e.Approval = approval(e.Decision, e.Source)
	}
	var params map[string]any
	if e.Parameters != "" {
		_ = json.Unmarshal([]byte(e.Parameters), &params) // cut or invalid JSON leaves params nil: unknown, not an error
	}
	server, _ := params["mcp_server_name"].(string)
	tool, _ := params["mcp_tool_name"].(string)
	mcp := e.Tool == "mcp_tool" || e.ToolSource == "mcp" || e.ToolSource == "sdk_host_builtin_mcp" || strings.HasPrefix(e.Tool, "mcp__")
	if server == "" && e.MCPServerAttr != "" && !placeholder(e.MCPServerAttr) {
		server, tool = e.MCPServerAttr, e.MCPToolAttr
	}
	if server == "" && strings.HasPrefix(e.Tool, "mcp__") {
		if s, t, ok := strings.Cut(e.Tool[len("mcp__"):], "__"); ok {
			server, tool = s, t
		}
	}
	e.ToolKey = e.Tool
	switch {
	case server != "":
		e.MCPServer, e.MCPTool, e.MCPKnown = server, tool, Known
		e.ToolKey = "mcp:" + server + "/" + tool
	case mcp:
		e.MCPKnown = Unknown
	}
	if e.Tool == "Skill" {
		e.SkillName, _ = params["skill_name"].(string)
	}
	if e.Tool == "Bash" {
		e.CommandKnown = Unknown
		if c, ok := params["full_command"].(string); ok {
			e.CommandLine, e.CommandKnown = c, Known
		} else if c, ok := params["bash_command"].(string); ok {
			e.CommandLine, e.CommandKnown = c, Partial
		}
	}
	e.derivePath()
}

func placeholder(s string) bool { return s == "custom" || s == "third-party" || s == Redacted }

// pathKeys are the arguments that hold a path, by built-in tool.
var pathKeys = map[string]struct {
	key  string
	verb Verb
}{
	"Read": {"file_path", VerbRead}, "Write": {"file_path", VerbWrite}, "Edit": {"file_path", VerbModify},
	"MultiEdit": {"file_path", VerbModify}, "NotebookEdit": {"notebook_path", VerbModify},
	"Glob": {"path", VerbList}, "Grep": {"path", VerbList},
}

func (e *Event) derivePath() {
	pk, file := pathKeys[e.Tool]
	switch {
	case file:
		e.Verb, e.PathKnown = pk.verb, Unknown
	case e.Tool == "Bash":
		e.Verb, e.PathKnown = VerbUnknown, Unknown
	case e.Tool == "WebFetch" || e.Tool == "WebSearch":
		e.Verb = VerbNetwork
		return
	case e.IsMCP():
		e.Verb = verbOf(e.MCPTool)
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
	var in map[string]any
	if json.Unmarshal([]byte(e.Input), &in) != nil {
		e.PathKnown = Unknown
		return
	}
	if file {
		if p, ok := in[pk.key].(string); ok && p != "" {
			e.setPath(p)
		} else if pk.verb == VerbList { // no path means the working folder
			e.PathKnown = NotApplicable
		}
		return
	}
	if e.IsMCP() {
		e.PathKnown = NotApplicable
		for _, k := range []string{"path", "file_path", "source", "destination", "uri", "paths"} {
			switch p := in[k].(type) {
			case string:
				if strings.HasPrefix(p, "/") || strings.HasPrefix(p, "file:") || strings.Contains(p, `:\`) {
					e.setPath(strings.TrimPrefix(p, "file://"))
				}
			case []any:
				for _, x := range p {
					if s, ok := x.(string); ok {
						e.setPath(s)
					}
				}
			}
		}
	}
}

func (e *Event) setPath(p string) {
	if e.Path == "" {
		e.Path, e.PathKnown = p, Known
		if len(p) >= inputCap {
			e.PathKnown = Partial
		}
		return
	}
	if e.Paths == nil {
		e.Paths = []string{e.Path}
	}
	e.Paths = append(e.Paths, p)
}

func verbOf(tool string) Verb {
	t := strings.ToLower(tool)
	for _, v := range []struct {
		verb  Verb
		words []string
	}{
		{VerbWrite, []string{"create", "write", "send", "upload", "add", "post", "insert"}},
		{VerbModify, []string{"update", "edit", "delete", "move", "rename", "set_"}},
		{VerbList, []string{"list", "search", "find", "query"}},
		{VerbRead, []string{"get", "read", "fetch", "download", "export"}},
	} {
		for _, w := range v.words {
			if strings.HasPrefix(t, w) {
				return v.verb
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
// separator and drive case. It resolves nothing on disk.
func CleanPath(p string) string {
	p = strings.ReplaceAll(p, `\`, "/")
	if len(p) > 1 && p[1] == ':' {
		p = strings.ToLower(p[:1]) + p[1:]
	}
	for len(p) > 1 && strings.HasSuffix(p, "/") {
		p = p[:len(p)-1]
	}
	return p
}

// Within reports that path p lies in folder root, compared by whole path
// elements: /fin does not hold /finance-secret. A p with ".." elements is not
// comparable and never within.
func Within(p, root string) bool {
	p, root = CleanPath(p), CleanPath(root)
	if strings.Contains(p+"/", "/../") {
		return false
	}
	return p == root || root == "/" || strings.HasPrefix(p, root) && len(p) > len(root) && p[len(root)] == '/'
}
