package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/reports/html"
	"github.com/sandtable-dev/sandtable/reports/pdf"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
)

func planDocumentFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "pdf", Usage: "write the plan to `FILE` as a PDF, too"},
		&cli.StringFlag{Name: "html", Usage: "write the plan to `FILE` as one HTML page, too"},
		forceFlag(),
	}
}

// forceFlag goes with every flag that names a file for one document or draft.
func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace FILE if it exists; without it an existing file is left alone and the command refused"}
}

// notOver refuses, without --force, names of files that exist. It is asked before
// the work, which may take minutes. A pipe or a device is written into.
func notOver(c *cli.Context, names ...string) error {
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && !c.Bool("force") {
			return usage("%s exists; --force replaces it", name)
		}
	}
	return nil
}

// writePlanDocument writes the plan as a document, if asked to: of the scenario as
// played, or with adoption, spend, alerts and forecast as captures show them.
func writePlanDocument(c *cli.Context, s *scenarios.Scenario, g *rehearsal.Ground, phases []rollout.PhaseResult, streams []string) error {
	if c.String("pdf") == "" && c.String("html") == "" {
		return nil
	}
	if c.Bool("no-play") && len(streams) == 0 {
		return usage("--pdf and --html make a document of the scenario as played, or of a capture: leave out --no-play, or name a STREAM")
	}
	o := rehearsal.Options{Scenario: s, Streams: streams, Settled: true}
	if len(streams) > 0 {
		o.Key = rules.SimulatedKey(int64(s.Seed)) // no member is named in a plan, so that any key will do
	}
	res, err := rehearsal.Run(c.Context, o)
	if err != nil {
		return err
	}
	in := reports.FromResult(res, "")
	if len(streams) == 0 {
		in.Fans = job{scenario: s}.fans(c.Context)
		return writeDocuments(c, reports.RolloutPlan(in, phases))
	}
	month := forecast.Month(g.Directory, s.Period.From.Time)
	m, others, err := calibrated(c, g, streams, month, nil)
	if err != nil {
		return err
	}
	plan, err := forecast.MakePlan(c.Context, forecast.PlanOptions{Model: m, Directory: g.Directory, Limits: g.Limits, Prices: g.Prices,
		AsOf: s.AsOf.Time, Trials: 200, Seed: s.Seed, Chance: 0.05, Others: others})
	if err != nil {
		return err
	}
	in.Fans = append(in.Fans, reports.Fans(plan)...)
	return writeDocuments(c, reports.RolloutPlan(in, phases))
}

// writeDocuments writes d to the files named by --pdf and --html. A file is made
// beside its place and moved in when whole.
func writeDocuments(c *cli.Context, d *reports.Document) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer, *reports.Document) error
	}{{c.String("pdf"), pdf.Write}, {c.String("html"), html.Write}} {
		if f.name == "" {
			continue
		}
		var b bytes.Buffer
		if err := f.write(&b, d); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := replaceFile(f.name, b.Bytes()); err != nil {
			return err
		}
		fmt.Fprintf(c.App.ErrWriter, "Written: %s\n", f.name)
	}
	return nil
}

// replaceFile puts data in a file's place, or leaves what stood there as it was.
func replaceFile(name string, data []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // a pipe or a device is written into
		return os.WriteFile(name, data, 0o644)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("cannot write %s: %w; what stood there is unchanged", name, err)
	}
	return nil
}
