package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The order in which an MCP server is resolved; unknown is a state of its own.
func TestMCPOrder(t *testing.T) {
	for _, c := range []struct {
		name         string
		e            Event
		server, tool string
		known        Knowledge
		key          string
	}{
		{"parameters first", Event{Tool: "mcp_tool", Parameters: `{"mcp_server_name":"ledger","mcp_tool_name":"get"}`, MCPServerAttr: "other", MCPToolAttr: "x"}, "ledger", "get", Known, "mcp:ledger/get"},
		{"dotted attributes", Event{Tool: "mcp_tool", MCPServerAttr: "ledger", MCPToolAttr: "get"}, "ledger", "get", Known, "mcp:ledger/get"},
		{"a placeholder is no name", Event{Tool: "mcp_tool", MCPServerAttr: "custom", MCPToolAttr: "custom"}, "", "", Unknown, "mcp_tool"},
		{"the tool's own name", Event{Tool: "mcp__ledger__get_item"}, "ledger", "get_item", Known, "mcp:ledger/get_item"},
		{"details off", Event{Tool: "mcp_tool", ServerScope: "user"}, "", "", Unknown, "mcp_tool"},
		{"by source only", Event{Tool: "read", ToolSource: "sdk_host_builtin_mcp"}, "", "", Unknown, "read"},
		{"cut after the server", Event{Tool: "mcp_tool", Parameters: `{"mcp_server_name":"ledger","mcp_tool_na`}, "ledger", "", Known, "mcp:ledger/"},
		{"cut within the server", Event{Tool: "mcp_tool", Parameters: `{"mcp_server_name":"led`}, "", "", Unknown, "mcp_tool"},
		{"built in", Event{Tool: "Read"}, "", "", NotApplicable, "Read"},
	} {
		e := c.e
		e.Kind = ToolResult
		e.Derive()
		if e.MCPServer != c.server || e.MCPTool != c.tool || e.MCPKnown != c.known || e.ToolKey != c.key {
			t.Errorf("%s: %q/%q %s, key %q", c.name, e.MCPServer, e.MCPTool, e.MCPKnown, e.ToolKey)
		}
	}
}

func TestPaths(t *testing.T) {
	long := "/" + strings.Repeat("a", 511)
	for _, c := range []struct {
		name, tool, input, path string
		paths                   int
		known                   Knowledge
		verb                    Verb
	}{
		{"read", "Read", `{"file_path":"C:\\Users\\ann\\a.txt"}`, `C:\Users\ann\a.txt`, 0, Known, VerbRead},
		{"notebook", "NotebookEdit", `{"notebook_path":"/n.ipynb"}`, "/n.ipynb", 0, Known, VerbModify},
		{"whole folder", "Glob", `{"pattern":"*"}`, "", 0, NotApplicable, VerbList},
		{"listing cut", "Glob", `{"pattern":"*`, "", 0, Unknown, VerbList},
		{"before the cut", "Write", `{"file_path":"/a","content":"xx`, "/a", 0, Known, VerbWrite},
		{"within the cut", "Write", `{"file_path":"/a`, "", 0, Unknown, VerbWrite},
		{"behind the cut", "Write", `{"content":"xx`, "", 0, Unknown, VerbWrite},
		{"placeholder", "Read", `<nested>`, "", 0, Unknown, VerbRead},
		{"at the length limit", "Read", `{"file_path":"` + long + `"}`, long, 0, Partial, VerbRead},
		{"a shell says nothing", "Bash", `{"command":"cat /etc/passwd"}`, "", 0, Unknown, VerbUnknown},
		{"network", "WebFetch", `{"url":"https://x.example/"}`, "", 0, NotApplicable, VerbNetwork},
		{"mcp", "mcp__files__read_file", `{"path":"/srv/x"}`, "/srv/x", 0, Known, VerbRead},
		{"mcp, many", "mcp__files__move", `{"source":"/a","destination":"/b","paths":["/c","/d"]}`, "/a", 4, Known, VerbModify},
		{"mcp, address", "mcp__web__get", `{"uri":"https://x.example"}`, "", 0, NotApplicable, VerbRead},
		{"mcp, file address", "mcp__web__get", `{"uri":"file:///srv/x"}`, "/srv/x", 0, Known, VerbRead},
		{"mcp, cut", "mcp__files__write", `{"body":"x`, "", 0, Unknown, VerbWrite},
	} {
		e := Event{Kind: ToolResult, Tool: c.tool, Input: c.input, Has: FInput}
		e.Derive()
		if e.Path != c.path || len(e.Paths) != c.paths || e.PathKnown != c.known || e.Verb != c.verb {
			t.Errorf("%s: %q %q %s %s", c.name, e.Path, e.Paths, e.PathKnown, e.Verb)
		}
	}
	// A decision carries no arguments, and absent arguments are unknown.
	d := Event{Kind: ToolDecision, Tool: "Write"}
	d.Derive()
	r := Event{Kind: ToolResult, Tool: "Write"}
	r.Derive()
	if d.PathKnown != Unknown || r.PathKnown != Unknown {
		t.Errorf("decision %s, result %s", d.PathKnown, r.PathKnown)
	}
}

func TestApproval(t *testing.T) {
	for _, c := range []struct {
		decision, source string
		want             Approval
	}{
		{"accept", "config", AutoAccept}, {"accept", "hook", HookAccept}, {"accept", "user_temporary", ManualAccept}, {"accept", "user_permanent", ManualAccept},
		{"reject", "user_reject", HumanReject}, {"reject", "user_abort", Dismissed}, {"reject", "config", PolicyDeny}, {"reject", "hook", HookDeny},
		{"deny", "user", ApprovalUnknown}, {"reject", "user_temporary", ApprovalUnknown}, {"accept", "", ApprovalUnknown}, {"", "", ApprovalUnknown},
	} {
		e := Event{Kind: ToolDecision, Decision: c.decision, Source: c.source}
		if e.Derive(); e.Approval != c.want {
			t.Errorf("%s by %s: %s", c.decision, c.source, e.Approval)
		}
		e.Kind = ToolResult
		if e.Derive(); e.Approval != NoApproval {
			t.Errorf("a result is no decision: %s", e.Approval)
		}
	}
}

// scanned is what the scanner makes of an object, against encoding/json.
func scanned(s string) (map[string]string, bool) {
	var sc Scratch
	m := map[string]string{}
	a := arguments{s: s}
	for a.next() {
		delete(m, sc.take(a.key))
		if a.kind == '"' {
			m[sc.take(a.key)] = sc.take(a.value)
		}
	}
	return m, a.whole()
}

func TestScannerAgainstLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{}
		for range rapid.IntRange(0, 6).Draw(t, "members") {
			k := rapid.String().Draw(t, "key")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				in[k] = rapid.Int().Draw(t, "number")
			case 1:
				in[k] = []any{rapid.String().Draw(t, "element"), nil, map[string]any{"}": "]"}}
			case 2:
				in[k] = nil
			default:
				in[k] = rapid.String().Draw(t, "text")
			}
		}
		data, err := json.Marshal(in)
		if err != nil {
			t.Skip()
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		got, whole := scanned(string(data))
		if !whole {
			t.Fatalf("%s: not whole", data)
		}
		for k, v := range want {
			if s, ok := v.(string); ok && got[k] != s {
				t.Fatalf("%s: %q is %q", data, k, got[k])
			}
		}
		// A cut never invents: what is read before it is what the whole says.
		part, whole := scanned(string(data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")]))
		if whole {
			t.Fatalf("a cut object counts as whole")
		}
		for k, s := range part {
			if w, ok := want[k].(string); !ok || w != s {
				t.Fatalf("%s: cut gives %q = %q", data, k, s)
			}
		}
	})
}

func FuzzDerive(f *testing.F) {
	f.Add("mcp_tool", `{"mcp_server_name":"a","mcp_tool_name":"b\u00e4"}`, `{"path":"/x","paths":["/y",{"z":"]"}]}`)
	f.Add("Bash", `{"full_command":"ls \"x\""`, `{"command":"ls`)
	f.Add("Read", "{", `{"file_path":"\ud83d\ude00\ud83d"}`)
	f.Fuzz(func(t *testing.T, tool, params, input string) {
		e := Event{Kind: ToolResult, Tool: tool, Parameters: params, Input: input, Has: FInput | FParameters}
		e.Derive()
		first := fmt.Sprint(e.Derived)
		var s Scratch
		e.DeriveWith(&s)
		e.DeriveWith(&s)
		if fmt.Sprint(e.Derived) != first {
			t.Fatal("another result with a used scratch")
		}
		var m map[string]any
		if json.Unmarshal([]byte(input), &m) == nil && tool == "Read" {
			if p, ok := m["file_path"].(string); ok && p != "" && p != e.Path && !strings.Contains(input, "FILE_PATH") {
				t.Fatalf("path %q, the library says %q", e.Path, p)
			}
		}
	})
}
