package simulate

import (
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// A connector that a dated change enables is used from then on and not before, one
// that is disabled no longer, and neither moves a draw of anybody before the day.
func TestConnectorsComeAndGo(t *testing.T) {
	on := time.Date(2026, 4, 22, 0, 0, 0, 0, time.UTC)
	yes, no := true, false
	calls := func(edit func(*org.Config)) (before, after map[string]int, early []string) {
		s, d := company(9, map[string]int{"claims": 6, "analyst": 6})
		d.Config.Connectors = []org.Connector{{Name: source.Text{Value: "drive"}, Enabled: true}, {Name: source.Text{Value: "wiki"}, Enabled: true}, {Name: source.Text{Value: "ledger"}}}
		edit(d.Config)
		if !on.After(s.Period.From.Time) || !on.Before(s.Period.To.Time) {
			t.Fatalf("%s lies outside the period", on)
		}
		before, after = map[string]int{}, map[string]int{}
		run(t, Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow}}, func(b []event.Event) {
			for i := range b {
				e := b[i]
				e.Derive()
				if e.When().Before(on.Add(-24 * time.Hour)) {
					early = append(early, e.Name+e.Session+e.Parameters)
				}
				if e.Kind == event.ToolResult && e.MCPServer != "" {
					if e.When().Before(on) {
						before[e.MCPServer]++
					} else {
						after[e.MCPServer]++
					}
				}
			}
		})
		return before, after, early
	}
	_, _, plain := calls(func(*org.Config) {})
	before, after, early := calls(func(c *org.Config) {
		c.Changes = []org.Change{
			{When: on, Connector: &org.ConnectorChange{Name: source.Text{Value: "ledger"}, Enabled: &yes}},
			{When: on, Connector: &org.ConnectorChange{Name: source.Text{Value: "wiki"}, Enabled: &no}},
		}
	})
	if before["ledger"] > 0 || after["ledger"] < 5 {
		t.Errorf("ledger: %d calls before it was enabled and %d after", before["ledger"], after["ledger"])
	}
	// A session that runs over midnight may still hold it.
	if before["wiki"] < 5 || after["wiki"] > 2 {
		t.Errorf("wiki: %d calls before it was disabled and %d after", before["wiki"], after["wiki"])
	}
	if after["drive"] == 0 {
		t.Error("drive is used no more")
	}
	if len(plain) != len(early) {
		t.Fatalf("%d records before the change, %d without it", len(early), len(plain))
	}
	for i := range plain {
		if plain[i] != early[i] {
			t.Fatalf("record %d before the change differs", i)
		}
	}
}
