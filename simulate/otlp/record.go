package otlp

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// resource is the part of the records of one resource that they have in common.
// Each record starts as a copy of ev.
type resource struct {
	ev    event.Event
	wait  pending
	fault string
}

// pending holds what only the whole record can interpret.
type pending struct {
	name, stamp             string
	cost                    float64
	source, decisionSource  value // which of the two is meant depends on the event
	toolScope, serverScope  value
	sourceN, decisionN      bool
	toolScopeN, serverScopN bool
}

// record builds one event. The wire readers set the header fields and call attr
// for every attribute; finish resolves what depends on the event's name.
type record struct {
	ev               event.Event
	time, observed   int64
	timed, observedT bool
	body, eventName  string
	attrs            int
	shared           int    // leading Extra entries that belong to the resource
	fault            string // first thing lost; the record is kept
	fatal            string // the record is no record
	pending
}

func (r *record) start(res *resource) {
	*r = record{ev: res.ev, pending: res.wait, shared: len(res.ev.Extra)}
	r.ev.Extra = r.ev.Extra[:r.shared:r.shared]
}

func (r *record) lose(reason string) {
	if r.fault == "" {
		r.fault = reason
	}
}

// attr takes one attribute. A later value of a key replaces the earlier one, so
// that record attributes win over those of the resource.
func (r *record) attr(key string, v value) {
	r.attrs++
	if r.attrs > maxAttributes {
		r.lose("too many attributes")
		return
	}
	switch v.k {
	case none:
		return
	case broken:
		r.lose(clip(key) + ": " + v.s)
		return
	}
	if key == "" {
		r.lose("attribute without key")
		return
	}
	e := &r.ev
	switch key {
	case "event.name":
		r.name, _ = v.text()
	case "event.timestamp":
		r.stamp, _ = v.text()
	case "source":
		r.source, r.sourceN = v, true
	case "decision_source":
		r.decisionSource, r.decisionN = v, true
	case "mcp_server_scope":
		r.toolScope, r.toolScopeN = v, true
	case "server_scope":
		r.serverScope, r.serverScopN = v, true

	case "service.name":
		r.plain(key, &e.Service, v)
	case "service.version":
		r.str(key, &e.ServiceVersion, v, event.FServiceVersion)
	case "os.type":
		r.plain(key, &e.OS, v)
	case "claude.deployment_mode":
		r.plain(key, &e.DeploymentMode, v)
	case "cowork.surface":
		r.str(key, &e.Surface, v, event.FSurface)
	case "terminal.type":
		r.plain(key, &e.Terminal, v)
	case "session.id":
		r.str(key, &e.Session, v, event.FSession)
	case "prompt.id":
		r.str(key, &e.Prompt, v, event.FPrompt)
	case "user.id":
		r.str(key, &e.UserID, v, event.FUserID)
	case "user.email":
		r.str(key, &e.Email, v, event.FEmail)
	case "user.account_uuid":
		r.str(key, &e.Account, v, event.FAccount)
	case "user.account_id":
		r.plain(key, &e.AccountID, v)
	case "organization.id":
		r.str(key, &e.Organisation, v, event.FOrganisation)
	case "workspace.host_paths":
		switch v.k {
		case list:
			e.HostPaths = v.ss
		case text:
			e.HostPaths = []string{v.s}
		default:
			r.keep(key, v, "not a list of strings")
			return
		}
		if len(e.HostPaths) == 0 {
			e.HostPaths = nil
		}
		e.Has |= event.FHostPaths
	case "event.sequence":
		r.num(key, &e.Sequence, v, event.FSequence)

	case "tool_name":
		r.str(key, &e.Tool, v, event.FTool)
	case "tool_use_id":
		r.str(key, &e.ToolUse, v, event.FToolUse)
	case "decision":
		r.str(key, &e.Decision, v, event.FDecision)
	case "tool_source":
		r.plain(key, &e.ToolSource, v)
	case "success":
		if b, ok := v.truth(); ok {
			e.Success = b
			e.Has |= event.FSuccess
		} else {
			r.keep(key, v, "not true or false")
		}
	case "duration_ms":
		r.num(key, &e.Duration, v, event.FDuration)
	case "tool_parameters":
		r.str(key, &e.Parameters, v, event.FParameters)
	case "tool_input":
		r.str(key, &e.Input, v, event.FInput)
	case "tool_input_size_bytes":
		r.num(key, &e.InputSize, v, event.FInputSize)
	case "tool_result_size_bytes":
		r.num(key, &e.ResultSize, v, event.FResultSize)
	case "error_type":
		r.plain(key, &e.ErrorType, v)
	case "error":
		r.str(key, &e.Error, v, event.FError)

	case "prompt":
		r.str(key, &e.PromptText, v, event.FPromptText)
	case "prompt_length":
		r.num(key, &e.PromptLength, v, event.FPromptLength)
	case "response":
		r.str(key, &e.ResponseText, v, event.FResponseText)
	case "command_name":
		r.plain(key, &e.Command, v)

	case "model":
		r.str(key, &e.Model, v, event.FModel)
	case "request_id":
		r.str(key, &e.Request, v, event.FRequest)
	case "query_source":
		r.str(key, &e.QuerySource, v, event.FQuerySource)
	case "speed":
		r.plain(key, &e.Speed, v)
	case "agent.name":
		r.plain(key, &e.Agent, v)
	case "input_tokens":
		r.num(key, &e.InputTokens, v, event.FInputTokens)
	case "output_tokens":
		r.num(key, &e.OutputTokens, v, event.FOutputTokens)
	case "cache_read_tokens":
		r.num(key, &e.CacheRead, v, event.FCacheRead)
	case "cache_creation_tokens":
		r.num(key, &e.CacheWrite, v, event.FCacheWrite)
	case "cost_usd":
		// Bounded so that the micro-dollars stay exact in a float64.
		if f, ok := v.float(); ok && math.Abs(f) < 1e9 {
			r.cost = f
			e.Has |= event.FCostUSD
		} else {
			r.keep(key, v, "not an amount")
		}
	case "cost_usd_micros":
		if i, ok := v.int(); ok && i > -1e15 && i < 1e15 {
			e.CostMicros = i
			e.Has |= event.FCostMicros
		} else {
			r.keep(key, v, "not an amount")
		}
	case "status_code":
		if v.k == text && v.s == "undefined" { // documented for errors without an HTTP answer
			r.extra(key, v)
			return
		}
		r.num(key, &e.Status, v, event.FStatus)
	case "attempt":
		if i, ok := v.int(); ok && i != 0 {
			e.Attempt = i
		} else if ok {
			r.extra(key, value{k: integer}) // 0 occurs, and differs from absent
		} else {
			r.keep(key, v, "not a number")
		}

	case "plugin.name":
		r.str(key, &e.Plugin, v, event.FPlugin)
	case "plugin_id_hash":
		r.plain(key, &e.PluginHash, v)
	case "marketplace.name":
		r.plain(key, &e.Marketplace, v)
	case "skill.name":
		r.str(key, &e.Skill, v, event.FSkill)
	case "mcp_server.name":
		r.str(key, &e.MCPServerAttr, v, event.FMCPServer)
	case "mcp_tool.name":
		r.str(key, &e.MCPToolAttr, v, event.FMCPTool)
	case "status":
		r.plain(key, &e.ConnStatus, v)
	case "from_mode":
		r.plain(key, &e.FromMode, v)
	case "to_mode":
		r.plain(key, &e.ToMode, v)
	default:
		r.extra(key, v)
	}
}

// str sets a text field that has a bit for its presence.
func (r *record) str(key string, to *string, v value, bit event.Field) {
	s, ok := v.text()
	if !ok {
		r.keep(key, v, "not a text")
		return
	}
	*to = s
	r.ev.Has |= bit
}

// plain sets a text field without such a bit. Its empty value goes to Extra,
// for absent and empty are different facts.
func (r *record) plain(key string, to *string, v value) {
	s, ok := v.text()
	switch {
	case !ok:
		r.keep(key, v, "not a text")
	case s == "":
		*to = ""
		r.extra(key, value{k: text})
	default:
		if *to == "" {
			r.drop(key)
		}
		*to = s
	}
}

// drop forgets an empty value that a later one replaces.
func (r *record) drop(key string) {
	for i, x := range r.ev.Extra {
		if x.Key == key && x.Value == any("") {
			r.ev.Extra = append(append([]event.Attr(nil), r.ev.Extra[:i]...), r.ev.Extra[i+1:]...)
			r.shared = 0
			return
		}
	}
}

func (r *record) num(key string, to *int64, v value, bit event.Field) {
	i, ok := v.int()
	if !ok {
		r.keep(key, v, "not a number")
		return
	}
	*to = i
	r.ev.Has |= bit
}

// keep files a value that its field cannot hold under Extra and says so.
func (r *record) keep(key string, v value, reason string) {
	r.lose(key + ": " + reason)
	r.extra(key, v)
}

func (r *record) extra(key string, v value) {
	x := r.ev.Extra
	for i := range x {
		if x[i].Key != key {
			continue
		}
		if i < r.shared { // the resource's entries serve other records too
			x = append([]event.Attr(nil), x...)
			r.shared = 0
		}
		x[i].Value = v.any()
		r.ev.Extra = x
		return
	}
	r.ev.Extra = append(x, event.Attr{Key: key, Value: v.any()})
}

// resourceOf turns a record that took the resource's attributes into the
// template of that resource's records.
func (r *record) resourceOf() resource {
	if r.fault != "" {
		r.fault = "resource: " + r.fault
	}
	return resource{ev: r.ev, wait: r.pending, fault: r.fault}
}

func (r *record) rest(key string, v value, there bool) {
	if there {
		r.extra(key, v)
	}
}

// finish completes the event and files it, or the reason against it, in b.
func (r *record) finish(b *Batch) {
	at := b.Records
	b.Records++
	if r.fatal != "" {
		b.Bad = append(b.Bad, BadRecord{Index: at, Reason: r.fatal})
		return
	}
	e := &r.ev
	e.Name = eventName(r.name, r.body, r.eventName)
	e.Kind = event.KindOf(e.Name)
	if e.Name == "" {
		r.lose("no event name")
	}
	switch {
	case r.timed:
		e.Time = r.time
		e.Has |= event.FTime
	case r.stamp != "":
		if t, err := time.Parse(time.RFC3339Nano, r.stamp); err == nil && t.Year() >= 1970 && t.Year() < 2262 {
			e.Time = t.UnixNano()
			e.Has |= event.FTime
		} else {
			r.lose("event.timestamp: not a time")
		}
	default:
		r.lose("no time")
	}
	if r.observedT {
		e.Observed = r.observed
		e.Has |= event.FObserved
	}

	// A result names its approval decision_source, every other event source.
	source, other := r.source, r.decisionSource
	sourceKey, otherKey, sourceN, otherN := "source", "decision_source", r.sourceN, r.decisionN
	if e.Kind == event.ToolResult {
		source, other, sourceKey, otherKey, sourceN, otherN = other, source, otherKey, sourceKey, otherN, sourceN
	}
	if sourceN {
		r.str(sourceKey, &e.Source, source, event.FSource)
	}
	r.rest(otherKey, other, otherN)
	scope, otherScope := r.toolScope, r.serverScope
	scopeKey, otherKey, scopeN, otherN := "mcp_server_scope", "server_scope", r.toolScopeN, r.serverScopN
	if e.Kind == event.MCPConnection {
		scope, otherScope, scopeKey, otherKey, scopeN, otherN = otherScope, scope, otherKey, scopeKey, otherN, scopeN
	}
	if scopeN {
		r.plain(scopeKey, &e.ServerScope, scope)
	}
	r.rest(otherKey, otherScope, otherN)

	if e.Has&event.FCostUSD != 0 && e.Has&event.FCostMicros == 0 {
		e.CostMicros = int64(math.Round(r.cost * 1e6))
	}
	e.Product = product(e.Service, e.Scope)
	e.Derive()
	if r.fault != "" {
		b.Bad = append(b.Bad, BadRecord{Index: at, Reason: r.fault, Salvaged: true})
	}
	b.Events = append(b.Events, *e)
}

// instant reads nanoseconds since 1970; 0 is the wire's way of saying unset.
func (r *record) instant(u uint64, to *int64, set *bool) {
	if u > math.MaxInt64 {
		r.lose("time out of range")
		return
	}
	*to, *set = int64(u), u != 0
}

const (
	prefix = "claude_code."
	// scopeName is the instrumentation scope of the product's events, Cowork included.
	scopeName = "com.anthropic.claude_code.events"
)

// eventName takes the name from the attribute, else from the body after its
// first dot, else from the record's own field. A body that is one word is a name
// too: the desktop application writes such.
func eventName(attr, body, field string) string {
	if attr = bare(attr); attr != "" {
		return attr
	}
	_, after, _ := strings.Cut(body, ".")
	if after = bare(after); after != "" && word(body) {
		return after
	}
	if field = bare(field); field == "" && word(body) {
		return bare(body)
	}
	return field
}

func bare(name string) string {
	for strings.HasPrefix(name, prefix) {
		name = name[len(prefix):]
	}
	return name
}

func word(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}

// product never guesses: the events' scope is the same for Cowork and Claude
// Code, so a record without a service name belongs to neither.
func product(service, scope string) event.Product {
	switch {
	case strings.HasPrefix(scope, "claude-desktop") || service == "claude-desktop":
		return event.DesktopLogs
	case service == "cowork":
		return event.Cowork
	case service == "claude-code" || strings.HasPrefix(service, "claude-code-"):
		return event.ClaudeCode
	case strings.Contains(service, "office"):
		return event.OfficeAgents
	}
	return event.UnknownProduct
}

func (v *value) text() (string, bool) {
	switch v.k {
	case text, nested:
		return v.s, true
	case integer:
		return strconv.FormatInt(v.i, 10), true
	case double:
		return strconv.FormatFloat(v.f, 'g', -1, 64), true
	case boolean:
		return strconv.FormatBool(v.b), true
	}
	return "", false
}

func (v *value) int() (int64, bool) {
	switch v.k {
	case integer:
		return v.i, true
	case double:
		return whole(v.f)
	case text:
		if i, err := strconv.ParseInt(v.s, 10, 64); err == nil {
			return i, true
		}
		if f, err := strconv.ParseFloat(v.s, 64); err == nil {
			return whole(f)
		}
	}
	return 0, false
}

// whole rounds, within the range where a float64 still counts exactly.
func whole(f float64) (int64, bool) {
	if math.Abs(f) > 1<<53 || f != f {
		return 0, false
	}
	return int64(math.Round(f)), true
}

func (v *value) float() (float64, bool) {
	switch v.k {
	case integer:
		return float64(v.i), true
	case double:
		return v.f, true
	case text:
		f, err := strconv.ParseFloat(v.s, 64)
		return f, err == nil
	}
	return 0, false
}

func (v *value) truth() (bool, bool) {
	switch v.k {
	case boolean:
		return v.b, true
	case text:
		return v.s == "true", v.s == "true" || v.s == "false"
	}
	return false, false
}

func clip(s string) string {
	if len(s) > 64 {
		s = s[:64] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
