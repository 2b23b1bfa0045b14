package platform

import (
	"slices"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// The lesson's features and their plans on the day they shipped.
func TestFeatures(t *testing.T) {
	fs, err := Features()
	if err != nil {
		t.Fatal(err)
	}
	c := facts(t)
	want := map[string]string{"roles": "enterprise", "spend": "enterprise", "dashboard": "team enterprise", "analytics-api": "enterprise", "telemetry": "team enterprise", "zoom": "pro max team enterprise"}
	for _, f := range fs {
		yes, _ := c.PlansOf(f.Gate.Value, source.Day(2026, 4, 9))
		if got := strings.Join(yes, " "); got != want[f.ID] {
			t.Errorf("%s is on %q, want %q", f.ID, got, want[f.ID])
		}
		if !slices.ContainsFunc(f.Facts, func(x source.Text) bool { return x.Value == f.Gate.Value }) {
			t.Errorf("%s does not cite its own gate", f.ID)
		}
		delete(want, f.ID)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if _, err := parseFeatures("f.yaml", []byte("features:\n  - {id: x, name: x, does: x, gate: rbac-plan-gat, limit: x, use: x, closes: x, leaves: x, facts: [otel-plan-gat]}\n")); err == nil || strings.Count(err.Error(), "is not the id of a fact") != 2 {
		t.Errorf("two unknown facts: %v", err)
	}
}
