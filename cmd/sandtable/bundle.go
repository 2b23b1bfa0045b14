package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/oscal"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/reports/html"
	"github.com/sandtable-dev/sandtable/reports/pdf"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
)

// job is one bundle to be made: by run, by assess, or once more by rerun.
type job struct {
	scenario *scenarios.Scenario
	streams  []string
	evidence []string // exports beside the streams
	data     fs.FS    // facts, prices, frameworks and packs; nil: those shipped
	key      []byte
	target   string
	force    bool
	content  bool
	look     look
	sign     string // file of the signing key
}

// look is what shapes the report and nothing else.
type look struct {
	board bool   // the two pages for the board alone
	paper string // A4 or Letter
	logo  []byte
}

// logoName is the logo in the bundle's inputs, so that the report can be made again.
const logoName = "inputs/logo"

func lookFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "board", Usage: "report.pdf holds the two pages for the board alone"},
		&cli.StringFlag{Name: "paper", Usage: "`SIZE` of the pages: A4 or Letter", Value: "A4"},
		&cli.StringFlag{Name: "logo", Usage: "PNG or JPEG `FILE` for the cover"},
		&cli.StringFlag{Name: "sign", Usage: "sign the manifest with the key in `FILE` (see keygen)"},
	}
}

func lookOf(c *cli.Context) (look, error) {
	l := look{board: c.Bool("board"), paper: c.String("paper")}
	switch strings.ToLower(l.paper) {
	case "a4":
		l.paper = "A4"
	case "letter":
		l.paper = "Letter"
	default:
		return l, usage("--paper %q is not a size; A4 or Letter", l.paper)
	}
	if name := c.String("logo"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return l, usage("--logo: %v", err)
		}
		if _, err := pdf.Logo(data); err != nil {
			return l, usage("--logo %s: %v", name, err)
		}
		l.logo = data
	}
	return l, nil
}

// options are the flags that shape the bytes of a bundle, as the manifest keeps
// them for rerun.
func (j job) options() []string {
	var out []string
	for _, kv := range j.scenario.Overrides {
		out = append(out, "--set="+kv)
	}
	if j.look.board {
		out = append(out, "--board")
	}
	if j.look.paper != "A4" {
		out = append(out, "--paper="+j.look.paper)
	}
	if len(j.look.logo) > 0 {
		out = append(out, "--logo="+logoName)
	}
	return out
}

// fans forecasts the month after the rollout for the figure in the report. It is
// an illustration beside the run: where there is nothing to forecast, as with
// nobody enabled, there is no figure.
func (j job) fans(ctx context.Context) []reports.SpendFan {
	ground, err := rehearsal.PrepareWith(j.scenario, j.data)
	if err != nil {
		return nil
	}
	month := forecast.Month(ground.Directory, j.scenario.Period.From.Time)
	m, err := forecast.Scenario(simulate.Options{Scenario: j.scenario, Directory: ground.Directory, Gate: ground.Gate, Prices: ground.Prices}, month)
	if err != nil {
		return nil
	}
	plan, err := forecast.MakePlan(ctx, forecast.PlanOptions{Model: m, Directory: ground.Directory, Limits: ground.Limits, Prices: ground.Prices,
		AsOf: j.scenario.AsOf.Time, Trials: 200, Seed: j.scenario.Seed, Chance: 0.05, Others: -1})
	if err != nil {
		return nil
	}
	return reports.Fans(plan)
}

// write carries the job out and puts the bundle in its place.
func (j job) write(c *cli.Context) (*rehearsal.Result, *reports.Bundle, error) {
	b, err := reports.NewBundle(j.target, j.force)
	if err != nil {
		return nil, nil, failure{exitUsage, err}
	}
	defer b.Abort() // nothing to do once committed
	if j.sign != "" {
		sign, err := reports.ReadSigner(j.sign)
		if err != nil {
			return nil, nil, failure{exitUsage, err}
		}
		b.SignWith(sign)
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	o := rehearsal.Options{Scenario: j.scenario, Streams: j.streams, Evidence: j.evidence, Data: j.data, Stdin: c.App.Reader, Key: j.key, IncludeContent: j.content, Progress: bar.show}
	command := "assess"
	if len(j.streams) == 0 {
		command = "run"
		if o.StreamTo, err = b.Create(reports.StreamName); err != nil {
			return nil, nil, err
		}
		o.StreamPath = filepath.Join(b.Dir(), reports.StreamName)
	}
	res, err := rehearsal.Run(c.Context, o)
	if err != nil {
		return nil, nil, err
	}
	bar.show("writing the report", 0, 0)
	files, digest, err := reports.ResultFiles(res)
	if err != nil {
		return nil, nil, err
	}
	oscalFiles, err := oscalOf(res, files)
	if err != nil {
		return nil, nil, err
	}
	files = append(files, oscalFiles...)
	if len(j.look.logo) > 0 {
		files = append(files, reports.File{Name: logoName, Data: j.look.logo})
	}
	in := reports.FromResult(res, digest)
	if command == "run" {
		in.Fans = append(in.Fans, j.fans(c.Context)...)
	}
	in.Content, in.Paper, in.Logo = j.content, j.look.paper, j.look.logo
	d := reports.Build(in)
	page := d
	if j.look.board {
		page = d.Board()
	}
	files = append([]reports.File{ // the longest ones first
		{Name: "report.pdf", Rows: func(w io.Writer) error { return pdf.Write(w, page) }},
		{Name: "report.html", Rows: func(w io.Writer) error { return html.Write(w, d) }},
		{Name: "summary.md", Data: reports.Markdown(d)},
	}, files...)
	if err := b.PutFiles(files); err != nil {
		return nil, nil, err
	}
	m := reports.ResultManifest(res, Version, command)
	m.IncludeContent, m.Options = j.content, j.options()
	if m.ToolData, err = toolData(); err != nil {
		return nil, nil, err
	}
	if j.scenario.Shipped {
		m.Shipped = strings.TrimSuffix(filepath.Base(j.scenario.File.Name), ".yaml")
	}
	return res, b, b.Commit(m)
}

// oscalOf writes the assessment a second time, for tools that read OSCAL.
func oscalOf(res *rehearsal.Result, files []reports.File) ([]reports.File, error) {
	for _, f := range files {
		if f.Name != "assessment.json" {
			continue
		}
		docs, err := oscal.Documents(res.Assessment, f.Data, Version)
		if err != nil {
			return nil, err
		}
		var out []reports.File
		for _, d := range docs {
			out = append(out, reports.File{Name: d.Name, Data: d.Data})
		}
		return out, nil
	}
	return nil, nil
}
