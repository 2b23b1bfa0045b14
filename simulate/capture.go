package simulate

import (
	"slices"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
)

// capture is which content leaves the organisation.
type capture struct{ prompts, responses, details bool }

// captured reads the setting. A list that was not given (nil, unlike one given
// empty) means that a first-party Cowork deployment sends everything, and any
// other nothing but metadata.
func captured(t scenarios.Telemetry) capture {
	if slices.Contains(t.Defects, ContentOff) {
		return capture{}
	}
	if t.Content == nil {
		all := t.Profile == "" || t.Profile == "cowork-local-1p" || t.Profile == "cowork-cloud"
		return capture{all, all, all}
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
