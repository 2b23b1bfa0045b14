package otlp

import (
	"unsafe"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// key is an attribute the decoder knows; other attributes are kept as they are.
type key uint8

// The names stand in the order in which the product sends them: the reader
// guesses the next key from the last and mostly needs one comparison.
const (
	keyOther key = iota
	keyUserID
	keySession
	keyOrganisation
	keyEmail
	keyAccount
	keyAccountID
	keyTerminal
	keyEventName
	keyStamp
	keySequence
	keyPrompt
	keyHostPaths
	keyDecision
	keyDecisionType
	keySource
	keyDecisionSource
	keyTool
	keyToolUse
	keyToolSource
	keyToolScope
	keyServerScope
	keyStatusText
	keyFromMode
	keyToMode
	keySuccess
	keyPromptLength
	keyPromptText
	keyCommand
	keyResponse
	keyResponseLength
	keyModel
	keyInputTokens
	keyOutputTokens
	keyCacheRead
	keyCacheWrite
	keyCostUSD
	keyCostMicros
	keyDuration
	keyStatusCode
	keyAttempt
	keyRequest
	keySpeed
	keyQuerySource
	keyAgent
	keySkill
	keyPlugin
	keyMarketplace
	keyPluginHash
	keyMCPServer
	keyMCPTool
	keyErrorType
	keyError
	keyParameters
	keyInput
	keyInputSize
	keyResultSize
	// From here on the keys of a resource, which Cowork repeats on every record.
	keyHostArch
	keyOS
	keyOSVersion
	keyService
	keyServiceVersion
	keyDeployment
	keySurface
	keyOwner
	keyCount

	firstResource = keyHostArch
)

var keyNames = [keyCount]string{
	"", "user.id", "session.id", "organization.id", "user.email", "user.account_uuid", "user.account_id", "terminal.type",
	"event.name", "event.timestamp", "event.sequence", "prompt.id", "workspace.host_paths",
	"decision", "decision_type", "source", "decision_source", "tool_name", "tool_use_id", "tool_source",
	"mcp_server_scope", "server_scope", "status", "from_mode", "to_mode", "success", "prompt_length", "prompt", "command_name",
	"response", "response_length", "model", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens",
	"cost_usd", "cost_usd_micros", "duration_ms", "status_code", "attempt", "request_id", "speed", "query_source", "agent.name",
	"skill.name", "plugin.name", "marketplace.name", "plugin_id_hash", "mcp_server.name", "mcp_tool.name",
	"error_type", "error", "tool_parameters", "tool_input", "tool_input_size_bytes", "tool_result_size_bytes",
	"host.arch", "os.type", "os.version", "service.name", "service.version", "claude.deployment_mode", "cowork.surface", "process.owner",
}

// keyTable finds a key by hash with linear probing. It is built once.
var keyTable = func() (t [256]key) {
	for k := keyOther + 1; k < keyCount; k++ {
		h := keyHash(keyNames[k])
		for t[h] != keyOther {
			h++
		}
		t[h] = k
	}
	return t
}()

func keyHash(s string) uint8 {
	n := len(s)
	return uint8(n)*31 + s[0]*7 + s[n-1]*13 + s[n/2]*3
}

func keyOf(s string) key {
	if s == "" {
		return keyOther
	}
	for h := keyHash(s); ; h++ {
		k := keyTable[h]
		if k == keyOther || keyNames[k] == s {
			return k
		}
	}
}

// pattern is a key as it is compared on the wire: by its last eight bytes, for a
// longer one also by its first, and by those in the middle. No key is longer than
// 24 bytes.
type pattern struct {
	n                       int
	first, mid, last, short uint64 // short masks what stands before a key of less than eight bytes
}

var patterns = func() (p [keyCount]pattern) {
	for k := keyOther + 1; k < keyCount; k++ {
		name := keyNames[k]
		x := &p[k]
		x.n, x.short = len(name), ^uint64(0)
		if n := len(name); n < 8 {
			x.short <<= 8 * (8 - n)
			x.last = fixed64("\x00\x00\x00\x00\x00\x00\x00\x00"[n:] + name)
		} else {
			x.first, x.last = fixed64(name), fixed64(name[n-8:])
			if n > 16 {
				x.mid = fixed64(name[8:])
			}
		}
	}
	p[keyOther].last = 1 // is never met
	return p
}()

// how tells in which way a key's value becomes part of an event.
type how uint8

const (
	asOther  how = iota // in a way of its own
	asText              // a text field
	asNumber            // a number on the wire
	asSize              // a number that the wire carries as a text
	asHeld              // what it means depends on the event's name
)

// field is where a key's value goes. A text field without a bit keeps its empty
// value in Extra, for absent and empty are different facts.
type field struct {
	how   how
	held  uint8
	quick bool    // an attribute of records, and needs no more than to be stored
	at    uintptr // in event.Event
	bit   event.Field
}

func (f *field) text(e *event.Event) *string { return (*string)(unsafe.Add(unsafe.Pointer(e), f.at)) }
func (f *field) number(e *event.Event) *int64 {
	return (*int64)(unsafe.Add(unsafe.Pointer(e), f.at))
}

var fields = func() (t [keyCount]field) {
	var e event.Event
	text := func(k key, to *string, bit event.Field) {
		t[k] = field{how: asText, at: uintptr(unsafe.Pointer(to)) - uintptr(unsafe.Pointer(&e)), bit: bit}
	}
	number := func(k key, how how, to *int64, bit event.Field) {
		t[k] = field{how: how, at: uintptr(unsafe.Pointer(to)) - uintptr(unsafe.Pointer(&e)), bit: bit}
	}
	text(keyUserID, &e.UserID, event.FUserID)
	text(keySession, &e.Session, event.FSession)
	text(keyOrganisation, &e.Organisation, event.FOrganisation)
	text(keyEmail, &e.Email, event.FEmail)
	text(keyAccount, &e.Account, event.FAccount)
	text(keyAccountID, &e.AccountID, 0)
	text(keyTerminal, &e.Terminal, 0)
	text(keyPrompt, &e.Prompt, event.FPrompt)
	number(keySequence, asNumber, &e.Sequence, event.FSequence)

	text(keyTool, &e.Tool, event.FTool)
	text(keyToolUse, &e.ToolUse, event.FToolUse)
	text(keyToolSource, &e.ToolSource, 0)
	text(keyParameters, &e.Parameters, event.FParameters)
	text(keyInput, &e.Input, event.FInput)
	number(keyInputSize, asSize, &e.InputSize, event.FInputSize)
	number(keyResultSize, asSize, &e.ResultSize, event.FResultSize)
	number(keyDuration, asNumber, &e.Duration, event.FDuration)
	text(keyErrorType, &e.ErrorType, 0)
	text(keyError, &e.Error, event.FError)

	text(keyPromptText, &e.PromptText, event.FPromptText)
	number(keyPromptLength, asSize, &e.PromptLength, event.FPromptLength)
	text(keyCommand, &e.Command, 0)
	text(keyResponse, &e.ResponseText, event.FResponseText)
	number(keyResponseLength, asNumber, &e.ResponseLength, event.FResponseLength)

	text(keyModel, &e.Model, event.FModel)
	text(keyRequest, &e.Request, event.FRequest)
	text(keyQuerySource, &e.QuerySource, event.FQuerySource)
	text(keySpeed, &e.Speed, 0)
	text(keyAgent, &e.Agent, 0)
	number(keyInputTokens, asNumber, &e.InputTokens, event.FInputTokens)
	number(keyOutputTokens, asNumber, &e.OutputTokens, event.FOutputTokens)
	number(keyCacheRead, asNumber, &e.CacheRead, event.FCacheRead)
	number(keyCacheWrite, asNumber, &e.CacheWrite, event.FCacheWrite)
	number(keyStatusCode, asNumber, &e.Status, event.FStatus)
	number(keyAttempt, asNumber, &e.Attempt, event.FAttempt)

	text(keySkill, &e.Skill, event.FSkill)
	text(keyPlugin, &e.Plugin, event.FPlugin)
	text(keyPluginHash, &e.PluginHash, 0)
	text(keyMarketplace, &e.Marketplace, 0)
	text(keyMCPServer, &e.MCPServerAttr, event.FMCPServer)
	text(keyMCPTool, &e.MCPToolAttr, event.FMCPTool)
	text(keyStatusText, &e.ConnStatus, 0)
	text(keyFromMode, &e.FromMode, 0)
	text(keyToMode, &e.ToMode, 0)

	text(keyService, &e.Service, 0)
	text(keyServiceVersion, &e.ServiceVersion, event.FServiceVersion)
	text(keyOS, &e.OS, 0)
	text(keyDeployment, &e.DeploymentMode, 0)
	text(keySurface, &e.Surface, event.FSurface)

	for k := range firstResource {
		t[k].quick = t[k].how == asText && t[k].bit != 0 || k == keyEventName || k == keyStamp
	}
	for i, k := range heldKeys {
		t[k] = field{how: asHeld, held: uint8(i)}
	}
	return t
}()
