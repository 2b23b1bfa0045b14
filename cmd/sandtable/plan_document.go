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
	return writeDocuments(c, d)
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
