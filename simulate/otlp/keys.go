package otlp

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
