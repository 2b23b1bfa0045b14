package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/reports/html"
	"github.com/sandtable-dev/sandtable/reports/pdf"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/scenarios"
)

func planDocumentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "pdf", Usage: "write the plan to `FILE` as a PDF, too"},
		&cli.StringFlag{Name: "html", Usage: "write the plan to `FILE` as one HTML page, too"},
	}
}

// writePlanDocument writes the plan as a document, if asked to.
func writePlanDocument(c *cli.Context, s *scenarios.Scenario, phases []rollout.PhaseResult, captured bool) error {
	if c.String("pdf") == "" && c.String("html") == "" {
		return nil
	}
	if captured || c.Bool("no-play") {
		return usage("--pdf and --html make a document of the scenario as played: leave out STREAM and --no-play")
	}
	res, err := rehearsal.Run(c.Context, rehearsal.Options{Scenario: s})
	if err != nil {
		return err
	}
	in := reports.FromResult(res, "")
	in.Fans = job{scenario: s}.fans(c.Context)
	d := reports.RolloutPlan(in, phases)
	for _, f := range []struct {
		name  string
		write func(io.Writer, *reports.Document) error
	}{{c.String("pdf"), pdf.Write}, {c.String("html"), html.Write}} {
		if f.name == "" {
			continue
		}
		var b bytes.Buffer
		if err := f.write(&b, d); err != nil {
			return err
		}
		if err := os.WriteFile(f.name, b.Bytes(), 0o666); err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "\nPlan: %s\n", f.name)
	}
	return nil
}
