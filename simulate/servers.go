package simulate

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Which connector, tool and plugin a step uses, and what it is called.

// connector writes a call of a connector or server.
func (wr *writer) connector(in *instance, s *stepSpec) *step {
	w, r := wr.w, wr.r
	server, tool, scope := "", s.Name, "claudeai"
	kind := s.Call
	if s.To != "" {
		kind = "address"
	}
	switch s.On {
	case "local":
		server, scope = in.server(w, true), "user"
	case "unlisted":
		server, scope = in.server(w, false), "user"
	case "marked":
		server = w.pickServer(in.r0(w, "marked"), func(t org.Tool) bool { return fits(t, "read") }, true)
	case "longer":
		server = w.pickServer(in.r0(w, "server"), func(t org.Tool) bool { return fits(t, s.Call) }, false)
		tool = w.toolOf(r, server, s.Call)
		server += "-workspace"
	case "builtin":
		server, scope = "desktop-tools", "dynamic"
	default:
		// One story keeps to one server for each kind of call.
		want := func(t org.Tool) bool { return fits(t, kind) }
		if named := func(t org.Tool) bool { return t.Name == s.Name }; w.has(named) {
			want = named
		}
		if pick := in.r0(w, "server-"+kind); in.tale.Each == "" {
			server = w.pickServer(pick, want, false)
		} else if server = wr.liked(pick, want); server == "" { // nobody begins to use a connector by habit
			return nil
		}
	}
	if tool == "" {
		switch {
		case s.On == "local" || s.On == "unlisted" || s.On == "builtin":
			tool = oneOf(r, w.p.ServerTools)
		case s.On == "marked" && s.Call == "write":
			tool = oneOf(r, []string{"update_record", "create_record", "delete_record"})
		default:
			tool = w.toolOf(r, server, kind)
		}
	}
	st := wr.mcp(server, tool, scope, s.To)
	if s.On == "builtin" {
		st.toolSource = "sdk_host_builtin_mcp"
	}
	return st
}

// r0 is a stream that gives the same draws wherever the story asks.
func (in *instance) r0(w *world, what string) *rand.Rand {
	return org.Stream(w.seed, "fixed", in.tale.ID.Value, strconv.Itoa(in.n), what)
}

// server is a local server; the approved ones are those the organisation lists.
func (in *instance) server(w *world, approved bool) string {
	r := in.r0(w, "local")
	for range 40 {
		if s := oneOf(r, w.p.Servers); slices.Contains(w.o.LocalServers, s) == approved || len(w.o.LocalServers) == 0 {
			return s
		}
	}
	return w.p.Servers[0]
}

var callWords = map[string][]string{
	"send":   {"send", "share", "post", "upload", "forward", "reply", "add_comment"},
	"search": {"search", "query", "list", "find"},
}

// has reports that an enabled connector has a wanted tool.
func (w *world) has(want func(org.Tool) bool) bool {
	return slices.ContainsFunc(w.connectors, func(c connector) bool { return slices.ContainsFunc(c.tools, want) })
}

// liked is a connector that the member uses and that has a wanted tool, or "".
func (wr *writer) liked(r *rand.Rand, want func(org.Tool) bool) string {
	var fit []string
	for _, c := range wr.sc.likes {
		if slices.ContainsFunc(c.tools, want) {
			fit = append(fit, c.name)
		}
	}
	if fit == nil {
		return ""
	}
	return oneOf(r, fit)
}

// pickServer picks a connector with a wanted tool. marked asks for one whose
// tools all only read.
func (w *world) pickServer(r *rand.Rand, want func(org.Tool) bool, marked bool) string {
	var fit []connector
	for _, c := range w.connectors {
		reads := !slices.ContainsFunc(c.tools, func(t org.Tool) bool { return !t.ReadOnly })
		if marked && !reads {
			continue
		}
		if slices.ContainsFunc(c.tools, want) {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		fit = w.connectors
	}
	return fit[r.IntN(len(fit))].name
}

func (w *world) toolOf(r *rand.Rand, server, kind string) string {
	for _, c := range w.connectors {
		if c.name != server {
			continue
		}
		var fit []string
		for _, t := range c.tools {
			if fits(t, kind) {
				fit = append(fit, t.Name)
			}
		}
		if len(fit) > 0 {
			return oneOf(r, fit)
		}
		return c.tools[r.IntN(len(c.tools))].Name
	}
	return map[string]string{"send": "send_message", "address": "send_message", "write": "create_item", "search": "search"}[kind]
}

func fits(t org.Tool, kind string) bool {
	switch kind {
	case "read":
		return t.ReadOnly && !slices.ContainsFunc(callWords["search"], func(p string) bool { return strings.HasPrefix(t.Name, p) })
	case "write":
		return t.Write
	case "any":
		return true
	case "address":
		return recipientKey(t.Name) != ""
	}
	return slices.ContainsFunc(callWords[kind], func(p string) bool { return strings.HasPrefix(t.Name, p) })
}

// pluginHash names a plugin: a known one of the organisation, the member's own,
// or one from outside that is the same throughout a story.
func (w *world) pluginHash(in *instance, kind string, s *staff) string {
	switch kind {
	case "known":
		return PluginHash(w.seed, "claims-kit")
	case "own":
		return hex64(org.Stream(w.seed, "plugin", "own", s.ID))[:16]
	case "spread": // one from outside that others here have tried as well
		return hex64(org.Stream(w.seed, "plugin", "spread"))[:16]
	}
	return hex64(in.r0(w, "plugin-"+kind))[:16]
}

// disguise is what the records of a session carry when it runs elsewhere.
func (w *world) disguise(in *instance, s *staff, p *part, n int) *event.Event {
	b := s.base
	r := in.r0(w, "device")
	if p.Device != "" {
		b.UserID = hex64(r)
		b.OS = map[string]string{"darwin": "windows", "windows": "darwin"}[b.OS]
		b.Extra = hostAttrs(b.OS)
	}
	if p.Account != "" {
		b.Account, b.AccountID = uuid(r), ident(r, "user_01", 22)
	}
	if p.Remote != "" {
		fresh := in.r0(w, "container-"+strconv.Itoa(n))
		b.Surface, b.OS, b.ServiceVersion, b.Terminal, b.UserID = "remote", "linux", "2.1.201", "linux", hex64(fresh)
		b.DeploymentMode, b.Extra = "", containerAttrs(fresh, cloudImage)
		b.Has = b.Has&^event.FHostPaths | event.FSurface
		if p.Remote == "anonymous" {
			b.Email, b.Account, b.AccountID = "", "", ""
			b.Has &^= event.FEmail | event.FAccount
		}
	}
	return &b
}
