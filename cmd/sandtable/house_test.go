package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sandtable-dev/sandtable/"

// floors is the one straight line of the house: a package imports only what
// stands on a lower floor; packages of one floor never import each other.
var floors = [][]string{
	{"scenarios/source"}, {"scenarios/platform"}, {"scenarios/condition"}, {"scenarios/org"}, {"scenarios/org/exports"}, {"scenarios"},
	{"rules/event"}, {"rules"}, {"rules/rbac", "rules/spend", "rules/alert"}, {"rules/alert/export", "rules/rbac/rollout"},
	{"simulate/otlp"}, {"simulate/stream", "simulate/replay"}, {"simulate"}, {"simulate/forecast"},
	{"assess/coverage", "assess/analytics"}, {"assess"},
	{"assess/rehearsal", "assess/quality", "assess/oscal", "assess/cases"},
	{"reports"}, {"reports/pdf", "reports/html"}, {"cmd/sandtable"},
}

// only names the packages that alone may import a library, so that its traps
// are lived with in one place.
var only = map[string][]string{
	"github.com/expr-lang/expr":           {"scenarios/condition"},
	"github.com/jung-kurt/gofpdf":         {"reports/pdf"},
	"github.com/brianvoe/gofakeit/v6":     {"scenarios/org"},
	"github.com/urfave/cli/v2":            {"cmd/sandtable"},
	"go.yaml.in/yaml/v4":                  {"scenarios/source", "scenarios/org"},
	"html/template":                       {"reports/html"},
	"go.opentelemetry.io/collector/pdata": {"simulate/otlp", "simulate/stream"},
}

func TestHouseHoldsItsLine(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	floor := func(p string) int {
		return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, p) })
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	n := 0
	for d.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		n++
		name := strings.TrimPrefix(p.ImportPath, module)
		if floor(name) < 0 {
			t.Errorf("package %s stands on no floor of the house", name)
			continue
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, module); ok && floor(own) >= floor(name) {
				t.Errorf("%s imports %s, which does not stand below it", name, own)
			}
			for lib, rooms := range only {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !slices.Contains(rooms, name) {
					t.Errorf("%s imports %s, which is for %s alone", name, lib, strings.Join(rooms, ", "))
				}
			}
		}
	}
	if n < len(floors)/2 {
		t.Errorf("only %d packages were looked at", n)
	}
}

func TestTopLevelIsFixed(t *testing.T) {
	allowed := []string{"cmd", "scenarios", "assess", "simulate", "reports", "rules", "testdata", "go.mod", "go.sum", "README.md", "out"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s stands at the top level; the house has no such room", e.Name())
		}
	}
}
