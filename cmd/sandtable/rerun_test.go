package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/scenarios"
)

// A bundle of another version, with other facts, prices, frameworks, rules and
// another scenario of the same name, is repeated on its own inputs: what this
// version ships plays no part.
func TestRerunTakesNothingFromTheTool(t *testing.T) {
	if testing.Short() {
		t.Skip("two whole runs")
	}
	dir := t.TempDir()
	now := filepath.Join(dir, "now")
	command(t, 0, "run", "three-groups", "-o", now)
	inputs := filepath.Join(dir, "inputs")
	if err := os.CopyFS(inputs, os.DirFS(filepath.Join(now, "inputs"))); err != nil {
		t.Fatal(err)
	}
	edit := func(name, old, new string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(inputs, name))
		if err != nil || !bytes.Contains(data, []byte(old)) {
			t.Fatalf("%s has no %q (%v)", name, old, err)
		}
		if err := os.WriteFile(filepath.Join(inputs, name), bytes.ReplaceAll(data, []byte(old), []byte(new)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	edit("facts/telemetry.yaml", `subject: "Event export`, `subject: "Once, event export`)
	edit("frameworks/propositions.yaml", "title: The audit trail", "title: The audit trail of old")
	edit("prices.yaml", "aliases: [opus-5]", "aliases: [opus-5, once-called-so]")
	edit("rules/lesson.yaml", "title: ", "title: Once ")
	edit("scenario.yaml", "Ottoline Bearings", "Ottoline Bearings of old")
	data, err := os.ReadFile(filepath.Join(inputs, "scenario.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Parse("library/three-groups.yaml", data, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	then := filepath.Join(dir, "then")
	app := &cli.App{Writer: io.Discard, ErrWriter: io.Discard, Reader: strings.NewReader(""), Action: func(c *cli.Context) error {
		_, _, err := job{scenario: s, target: then, look: look{paper: "A4"}, data: os.DirFS(inputs)}.write(c)
		return err
	}}
	if err := app.RunContext(context.Background(), []string{"sandtable"}); err != nil {
		t.Fatal(err)
	}
	if m, err := reports.ReadManifest(then); err != nil || m.Shipped != "three-groups" || len(m.ToolData) < 5 {
		t.Fatalf("manifest %+v, %v", m, err)
	}
	said := command(t, 0, "rerun", then)
	for _, want := range []string{"was made again from its own inputs", "this version ships other", "facts/telemetry.yaml", "frameworks/propositions.yaml", "prices.yaml", "rules/lesson.yaml", "scenario.yaml"} {
		if !strings.Contains(said, want) {
			t.Errorf("rerun does not say %q:\n%s", want, said)
		}
	}
	text, err := os.ReadFile(filepath.Join(then, "summary.md"))
	if err != nil || !bytes.Contains(text, []byte("The audit trail of old")) {
		t.Errorf("the report does not rest on the bundle's frameworks (%v)", err)
	}
}
