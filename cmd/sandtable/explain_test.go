package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// What a rule read is printed without the text of people's work, and without whom
// they write to, unless it is asked for.
func TestExplainHoldsBack(t *testing.T) {
	rs, err := alert.Load(fstest.MapFS{"r.yaml": {Data: []byte(`rules: [{id: r, title: t, severity: low, status: stable, topic: scope, owner: o, catches: c, runbook: b,
  condition: 'len(recipients) > 0 and tool_input contains "to"'}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	ev := event.Event{Name: "tool_result", Kind: event.ToolResult, Product: event.Cowork, Tool: "mcp_tool", Input: `{"to":"ada@firm.example","subject":"the sale"}`, Has: event.FInput}
	ev.Derive()
	for whole, want := range map[bool]int{false: 0, true: 2} {
		var b strings.Builder
		explainEvent(&b, rs[0], &ev, alert.Config{}, whole)
		if n := strings.Count(b.String(), "ada@firm.example"); n != want || !strings.Contains(b.String(), "True: the event matches") {
			t.Errorf("include-content %v: the address stands %d times in\n%s", whole, n, b.String())
		}
	}
}
