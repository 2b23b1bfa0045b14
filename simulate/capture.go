package simulate

import (
	"slices"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
)

// capture is which content leaves the organisation.
type capture struct{ prompts, responses, details bool }

// captured reads the setting. A list that was not given (nil, unlike one given
// empty) means that a first-party deployment sends everything.
func captured(t scenarios.Telemetry) capture {
	if slices.Contains(t.Defects, "content-off") {
		return capture{}
	}
	if t.Content == nil {
		return capture{true, true, true}
	}
	prompts := t.Captures("userPrompts")
	// No setting sends prompts without responses.
	return capture{prompts, prompts || t.Captures("assistantResponses"), t.Captures("toolDetails")}
}

// name is what the setting is called in stories.
func (c capture) name() string {
	switch {
	case c.prompts && c.details:
		return "full"
	case c.details:
		return "names"
	}
	return "meta"
}

func (c capture) has(category string) bool {
	switch category {
	case "userPrompts":
		return c.prompts
	case "toolDetails":
		return c.details
	}
	return true
}

// apply takes back what capture keeps in: texts become the wire's placeholder,
// details are absent. Lengths and sizes stay.
func (c capture) apply(e *event.Event) {
	if !c.prompts && e.Has&event.FPromptText != 0 {
		e.PromptText = event.Redacted
	}
	if !c.responses && e.Has&event.FResponseText != 0 {
		e.ResponseText = event.Redacted
	}
	if c.details {
		return
	}
	e.Parameters, e.Input = "", ""
	e.Has &^= event.FParameters | event.FInput
	if e.Kind == event.ToolResult || e.Kind == event.MCPConnection {
		e.Error = ""
		e.Has &^= event.FError
	}
	if e.Has&event.FPlugin != 0 {
		e.Plugin, e.Marketplace = "third-party", "third-party"
	}
	if e.Has&event.FSkill != 0 {
		e.Skill = "custom_skill"
	}
	if e.Kind == event.MCPConnection {
		e.Extra = slices.DeleteFunc(e.Extra, func(a event.Attr) bool { return a.Key == "server_name" })
	}
}

// logs is what a release of the product writes at all.
type logs struct{ decisions, toolUse, decisionParams, responses, toolSource bool }

func logsOf(wire string) logs {
	return logs{since(wire, "2.1.47"), since(wire, "2.1.119"), since(wire, "2.1.157"), since(wire, "2.1.193"), since(wire, "2.1.214")}
}
