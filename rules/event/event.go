// Package event is what the engines observe: one record of the product's log
// stream, with typed fields, the unknown kept, and the derived fields (MCP
// server, path, approval class, cost) computed once and never guessed.
//
// An absent field is not an empty one: Has says which fields were on the wire.
// Rules and coverage checks rest on that difference. Source of names and types:
// the vendor's monitoring references and public captures.
package event

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Kind is the closed set of event names the engines know. Other is any name
// not in the set; its raw name is kept in Event.Name.
type Kind uint8

const (
	Other Kind = iota
	UserPrompt
	AssistantResponse
	ToolDecision
	ToolResult
	APIRequest
	APIError
	APIRefusal
	APIRetriesExhausted
	PluginLoaded
	PluginInstalled
	SkillActivated
	MCPConnection
	HookStart
	HookComplete
	HookRegistered
	PermissionModeChanged
	SubagentCompleted
	Compaction
	InternalError
	kindCount
)

var kindNames = [kindCount]string{
	"", "user_prompt", "assistant_response", "tool_decision", "tool_result", "api_request", "api_error",
	"api_refusal", "api_retries_exhausted", "plugin_loaded", "plugin_installed", "skill_activated",
	"mcp_server_connection", "hook_execution_start", "hook_execution_complete", "hook_registered",
	"permission_mode_changed", "subagent_completed", "compaction", "internal_error",
}

var kindsByName = func() map[string]Kind {
	m := make(map[string]Kind, kindCount)
	for k := UserPrompt; k < kindCount; k++ {
		m[kindNames[k]] = k
	}
	return m
}()

// String is the wire name without prefix; "" for Other.
func (k Kind) String() string { return kindNames[k] }

// KindOf maps a wire name without prefix to its Kind, Other when unknown.
func KindOf(name string) Kind { return kindsByName[name] }

// Kinds lists every known kind in a fixed order.
func Kinds() []Kind {
	ks := make([]Kind, 0, kindCount-1)
	for k := UserPrompt; k < kindCount; k++ {
		ks = append(ks, k)
	}
	return ks
}

// Product tells whose record it is, by service.name and scope. Only Cowork
// counts towards Cowork coverage and analytics; every product that shares a
// spend limit counts towards spend.
type Product uint8

const (
	UnknownProduct Product = iota
	Cowork
	ClaudeCode
	DesktopLogs
	OfficeAgents
)

func (p Product) String() string {
	return [...]string{"unknown product", "Cowork", "Claude Code", "desktop application logs", "Office agents"}[p]
}

// Field is a bit of Event.Has: the attribute was on the wire, whatever its value.
type Field uint64

const (
	FTime Field = 1 << iota
	FSequence
	FSession
	FPrompt
	FUserID
	FEmail
	FAccount
	FOrganisation
	FHostPaths
	FPromptText
	FPromptLength
	FResponseText
	FTool
	FToolUse
	FDecision
	FSource
	FSuccess
	FDuration
	FParameters
	FInput
	FModel
	FCostUSD
	FCostMicros
	FInputTokens
	FOutputTokens
	FCacheRead
	FCacheWrite
	FStatus
	FError
	FInputSize
	FResultSize
	FServiceVersion
	FSurface
	FObserved
	FQuerySource
	FPlugin
	FSkill
	FMCPServer
	FMCPTool
	FRequest
	FScope
	FAttempt
	FResponseLength
	FStamp // event.timestamp stood on the record and says what Time says
)

// Redacted is the wire's placeholder for text that capture settings held back.
const Redacted = "<REDACTED>"

// Attr is an attribute the engines do not read, kept so that it can be counted
// and written again. Value holds string, int64, float64, bool, []string or Nested.
type Attr struct {
	Key   string
	Value any
}

// Nested is an attribute value that is an array of mixed kinds or a map, as JSON
// text. Numbers with a point or an exponent are doubles, others integers.
type Nested string

// Event is one log record. Strings may be views into a decoder's buffer: an
// observer that keeps one beyond its call clones it.
type Event struct {
	Kind    Kind
	Product Product
	Has     Field

	Ready

	// Retyped are fields whose value came in another wire type than current
	// releases send: a number as text, or a length or truth value not as text.
	// Repeated says that the record repeated attributes of its resource. Both
	// serve writing a stream again as it was.
	Retyped  Field
	Repeated bool

	// Time is the record's own instant and Observed the receiver's or exporter's,
	// both in nanoseconds since 1970 UTC. Index is the position in the input,
	// from 0; it breaks ties and names the event together with its session.
	Time, Observed int64
	Index          int64
	Sequence       int64

	Name                         string // raw event name without prefix
	Service, ServiceVersion      string
	Scope, ScopeVersion          string
	OS, Surface, Terminal        string
	DeploymentMode               string
	Session, Prompt              string
	UserID, Email, Account       string // Account is user.account_uuid
	AccountID, Organisation      string
	HostPaths                    []string
	Tool, ToolUse                string
	Decision, Source             string // decision and source; on a result decision_type and decision_source
	ToolSource, ServerScope      string
	Success                      bool
	Duration                     int64  // milliseconds
	Parameters, Input            string // JSON inside a string, as sent, perhaps cut
	InputSize, ResultSize        int64  // bytes
	ErrorType, Error             string
	PromptText, ResponseText     string
	PromptLength                 int64 // characters
	Command                      string
	Model, Request, QuerySource  string
	Speed, Agent                 string
	InputTokens, OutputTokens    int64
	CacheRead, CacheWrite        int64
	ResponseLength               int64
	CostMicros                   int64   // micro-dollars as sent or derived from cost_usd
	CostUSD                      float64 // cost_usd as sent, which may be finer; no sum is made of it
	Status                       int64
	Attempt                      int64
	Plugin, PluginHash           string
	Marketplace, Skill           string
	MCPServerAttr, MCPToolAttr   string // dotted attributes, not the resolved names
	ConnStatus, FromMode, ToMode string
	Body                         string // text of the body where it is not the event's name
	Trace, Span                  string // lower-case hex, as sent; "" without tracing
	Severity                     int32  // as sent; the product leaves it unset
	SeverityText                 string
	Extra                        []Attr

	Derived
}

// Marks tell what a look at a text found; what its bits mean is the business of
// whoever looks. The zero value says that no detector can find anything.
type Marks uint16

// Identity says how the keys of a record name a member of a directory.
type Identity uint8

const (
	NoIdentity Identity = iota // no key on the wire
	Stranger                   // keys, but nobody of the directory has them
	Torn                       // keys of two members
	Matched
)

// Ready is what follows from a record alone and is worked out once, before the
// engines see it and by as many processors as there are. An engine that meets a
// record without it works it out itself. The zero value is a record without.
type Ready struct {
	// Roster is the directory that Member and Identity speak of; nil: nobody has
	// looked. Member is the index of the member whom the first key that anybody has
	// names, or -1.
	Roster   *org.Directory
	Member   int32
	Identity Identity
	Looked   bool // Marks are those of Texts, PathMarks and CommandMarks those of Path and CommandLine
	Marks    [4]Marks

	PathMarks, CommandMarks Marks
	// Keys of the ids, 0 when they have not been worked out: ask OfSession, OfPrompt
	// and OfPerson.
	SessionKey, PromptKey, PersonKey uint64
	// RecordKey names the record among those of its stream; 0: not worked out. Whoever
	// works it out says by what.
	RecordKey uint64
}

// Texts are the texts of an event that detectors look into, in the order of Marks.
func (e *Event) Texts() [4]*string {
	return [...]*string{&e.PromptText, &e.ResponseText, &e.Input, &e.Parameters}
}

// Key stands for an id. Equal ids have equal keys, in every run; among a million
// ids the chance that two share one is below one in ten million.
func Key(id string) uint64 {
	h := uint64(len(id))
	for ; len(id) >= 8; id = id[8:] {
		h = Join(h, uint64(id[0])|uint64(id[1])<<8|uint64(id[2])<<16|uint64(id[3])<<24|uint64(id[4])<<32|uint64(id[5])<<40|uint64(id[6])<<48|uint64(id[7])<<56)
	}
	rest := uint64(0)
	for i := range len(id) {
		rest |= uint64(id[i]) << (8 * i)
	}
	return Join(h, rest)
}

// Join makes one key of two, which hangs on every bit of both and on their order.
func Join(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}

// OfSession is the key of the session, and OfPrompt that of the prompt.
func (e *Event) OfSession() uint64 {
	if e.SessionKey != 0 {
		return e.SessionKey
	}
	return Key(e.Session)
}

// OfPrompt is described with OfSession.
func (e *Event) OfPrompt() uint64 {
	if e.PromptKey != 0 {
		return e.PromptKey
	}
	return Key(e.Prompt)
}

// Person names who sent the record, with or without a directory: the account, else
// the e-mail, else "" for unattributed. It is never guessed from the session or
// the device. OfPerson is its key.
func (e *Event) Person() string {
	if e.Account != "" {
		return e.Account
	}
	return e.Email
}

// OfPerson is described with Person.
func (e *Event) OfPerson() uint64 {
	if e.PersonKey != 0 {
		return e.PersonKey
	}
	return Key(e.Person())
}

// Who finds the member of the directory that the record's keys name: the account,
// the e-mail in any case, the account id. A key that nobody has does not
// contradict one that somebody has: addresses change. The directory may be nil.
func (e *Event) Who(dir *org.Directory) (member int32, id Identity) {
	if e.Roster != nil && e.Roster == dir {
		return e.Member, e.Identity
	}
	member = -1
	for _, k := range [...]string{e.Account, e.Email, e.AccountID} {
		if k == "" {
			continue
		}
		if id == NoIdentity {
			id = Stranger
		}
		if dir == nil {
			continue
		}
		m, ok := dir.Find(k)
		if !ok {
			m, ok = dir.Find(strings.ToLower(k))
		}
		switch {
		case !ok:
		case member >= 0 && member != int32(m):
			return member, Torn
		default:
			member, id = int32(m), Matched
		}
	}
	return member, id
}

// Clone is a copy whose texts depend on no other memory.
func (e *Event) Clone() *Event {
	x := *e
	for _, s := range [...]*string{&x.Name, &x.Service, &x.ServiceVersion, &x.Scope, &x.ScopeVersion, &x.OS, &x.Surface, &x.Terminal, &x.DeploymentMode,
		&x.Session, &x.Prompt, &x.UserID, &x.Email, &x.Account, &x.AccountID, &x.Organisation, &x.Tool, &x.ToolUse, &x.Decision, &x.Source,
		&x.ToolSource, &x.ServerScope, &x.Parameters, &x.Input, &x.ErrorType, &x.Error, &x.PromptText, &x.ResponseText, &x.Command,
		&x.Model, &x.Request, &x.QuerySource, &x.Speed, &x.Agent, &x.Plugin, &x.PluginHash, &x.Marketplace, &x.Skill, &x.MCPServerAttr, &x.MCPToolAttr,
		&x.ConnStatus, &x.FromMode, &x.ToMode, &x.Body, &x.Trace, &x.Span, &x.SeverityText,
		&x.MCPServer, &x.MCPTool, &x.Path, &x.CommandLine, &x.ToolKey, &x.SkillName} {
		*s = strings.Clone(*s)
	}
	for _, list := range [...]*[]string{&x.HostPaths, &x.Paths} {
		*list = slices.Clone(*list)
		for i, s := range *list {
			(*list)[i] = strings.Clone(s)
		}
	}
	x.Extra = slices.Clone(x.Extra)
	for i := range x.Extra {
		a := &x.Extra[i]
		a.Key = strings.Clone(a.Key)
		switch v := a.Value.(type) {
		case string:
			a.Value = strings.Clone(v)
		case Nested:
			a.Value = Nested(strings.Clone(string(v)))
		case []string:
			list := slices.Clone(v)
			for j, s := range list {
				list[j] = strings.Clone(s)
			}
			a.Value = list
		}
	}
	return &x
}

// When is Time as a time.Time in UTC.
func (e *Event) When() time.Time { return time.Unix(0, e.Time).UTC() }

// Present reports that every given field was on the wire.
func (e *Event) Present(f Field) bool { return e.Has&f == f }
