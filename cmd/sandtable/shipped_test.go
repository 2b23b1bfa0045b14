package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sandtable-dev/sandtable/reports/pdf"
	"github.com/sandtable-dev/sandtable/scenarios"
)

// volatile changes with every fact recorded, whether or not it concerns a scenario.
var volatile = regexp.MustCompile(`[0-9a-f]{64}|fact set [0-9a-f]{12}|\d+ recorded facts`)

// What each shipped scenario says on the pages for the board is held as text, and
// the whole bundle, the PDF included, comes out byte for byte a second time. After a
// change that is meant: go test ./cmd/sandtable -run TestShippedReports -update
func TestShippedReports(t *testing.T) {
	if testing.Short() {
		t.Skip("every shipped scenario, twice")
	}
	for _, s := range scenarios.List() {
		name := s.Name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), name)
			command(t, 0, "run", name, "-o", dir)
			got, err := os.ReadFile(filepath.Join(dir, "summary.md"))
			if err != nil {
				t.Fatal(err)
			}
			text := volatile.ReplaceAllString(string(got), "(of this version)")
			golden := filepath.Join("..", "..", "testdata", "summary", name+".md")
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), text); d != "" {
				t.Errorf("the summary says something else (-was +is):\n%s", d)
			}
			data, err := os.ReadFile(filepath.Join(dir, "report.pdf"))
			if err != nil {
				t.Fatal(err)
			}
			pages, err := pdf.ExtractText(data)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range pages {
				if !strings.Contains(p, "Simulated evidence") {
					t.Errorf("page %d does not say simulated", i+1)
				}
				// The running head, the foot and a heading are five lines; a page with less
				// than a paragraph more is a page that nobody meant.
				if i > 0 && len(strings.Split(strings.TrimSpace(p), "\n")) < 9 {
					t.Errorf("page %d is nearly empty:\n%s", i+1, p)
				}
			}
			if said := command(t, 0, "rerun", dir); !strings.Contains(said, "was made again from its own inputs") {
				t.Error(said)
			}
		})
	}
}
