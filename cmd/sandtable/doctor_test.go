package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/simulate"
)

// sandtable runs one command line in this process.
func sandtable(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Main(context.Background(), args, strings.NewReader(""), &out, &errs); code != want {
		t.Fatalf("sandtable %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
	}
	return out.String()
}

// The doctor finds each defect in a stream that has it, and none in one that has
// none. What it finds it names with what goes blind.
func TestDoctorKnowsEveryDefect(t *testing.T) {
	dir := t.TempDir()
	examine := func(defect string) map[string]complaint {
		file := filepath.Join(dir, "s.jsonl")
		sandtable(t, 0, "simulate", "team-by-department", "--set", "telemetry.defects=["+defect+"]", "--set", "period.to=2026-04-26", "-o", file)
		var doc struct {
			Complaints []complaint `json:"complaints"`
		}
		if err := json.Unmarshal([]byte(sandtable(t, 0, "doctor", file, "--org", "team-by-department", "--set", "period.to=2026-04-26", "--json")), &doc); err != nil {
			t.Fatal(err)
		}
		m := map[string]complaint{}
		for _, c := range doc.Complaints {
			m[c.Defect] = c
		}
		return m
	}
	healthy := examine("")
	for _, d := range simulate.Defects() {
		if c := healthy[d]; c.State == "found" || c.Evidence == "" {
			t.Errorf("healthy stream: %s %s: %s", d, c.State, c.Evidence)
		}
	}
	for _, d := range simulate.Defects() {
		x := examine(d)
		c := x[d]
		ok := c.State == "found"
		if d == simulate.SilentExporter { // without an independent count nobody can be sure
			ok = c.State == "suspected" && c.N > healthy[d].N
		}
		if !ok {
			t.Errorf("%s: %s: %s", d, c.State, c.Evidence)
		}
		if len(c.Obligations) == 0 && d != simulate.LateBatches || c.Remedy == "" {
			t.Errorf("%s: weakens %v, do %q", d, c.Obligations, c.Remedy)
		}
		for other, o := range x {
			// Lost records also orphan prompts and cut ends, and a clock a few minutes
			// behind looks like lateness; nothing else may show.
			if other != d && o.State == "found" && !(d == simulate.ClockSkew && other == simulate.LateBatches) && healthy[other].State != "found" && !strings.Contains("orphan-prompts sequence-gaps old-desktop tail-loss", other) {
				t.Errorf("%s also shows as %s: %s", d, other, o.Evidence)
			}
		}
	}
	// With an independent count silence is certain.
	file := filepath.Join(dir, "s.jsonl")
	sandtable(t, 0, "simulate", "team-by-department", "--set", "period.to=2026-04-26", "-o", file)
	active := filepath.Join(dir, "active.csv")
	if err := os.WriteFile(active, []byte("\ufeffday,Email\n1,nobody@silent.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := sandtable(t, 0, "doctor", file, "--active", active); !strings.Contains(out, "1 of 1 members that the independent count shows at work sent no record") {
		t.Error(out)
	}
}

type complaint struct {
	Defect, State, Evidence, Remedy string
	N, Of                           int64
	Obligations                     []string
}
