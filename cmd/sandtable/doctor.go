package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "say what a stream cannot show: lost, late, nameless or withheld records, and what goes blind", ArgsUsage: "STREAM...",
		Description: "Reads the stream as it arrived and looks for the known faults of real exports. With --org silence is held\nagainst the roster, with --active against an independent count of who was at work. Where gates of its rollout hold\nphases back, whom they keep out on this stream is not expected in it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "org", Usage: "the organisation: `SCENARIO`, a shipped name or a file"},
			&cli.StringFlag{Name: "active", Usage: "members who were at work by an independent count, a CSV `FILE` with a column email, user_email or account_uuid"},
			&cli.StringFlag{Name: "rules", Usage: "a rule file or folder instead of the shipped packs: `PATH`"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			formatFlag(),
			setFlag(),
		},
		Action: doctor,
	}
}

func doctor(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("STREAM is missing; name a capture, for example: sandtable doctor capture.jsonl")
	}
	o := assess.DoctorOptions{}
	var err error
	if o.Model, err = assess.Default(); err != nil {
		return err
	}
	if o.Rules, err = loadRules(c.String("rules")); err != nil {
		return asUsage(err)
	}
	if name := c.String("org"); name != "" {
		s, err := scenarios.Load(name, c.StringSlice("set")...)
		if err != nil {
			return asUsage(err)
		}
		// Whom a gate keeps out is not expected to be heard.
		h, err := rehearsal.HoldOver(c.Context, rehearsal.Options{Scenario: s, Streams: c.Args().Slice()}, false, nil)
		if err != nil {
			return asUsage(err)
		}
		o.Rollout = h.Lines(reports.HeldText)
		if o.Coverage, o.Alerts, err = rehearsal.Declared(h.Scenario); err != nil {
			return asUsage(err)
		}
	}
	if name := c.String("active"); name != "" {
		if o.Active, err = readActive(name); err != nil {
			return failure{exitUsage, err}
		}
	}
	src, err := openStreams(c, stream.Options{Unhashed: true, Borrow: true, Prepare: replay.Prepare(o.Coverage.Directory, alert.Mark)})
	if err != nil {
		return err
	}
	x, err := assess.Examine(c.Context, o, src.EachBlock, src.Again())
	if err != nil {
		return err
	}
	inputs := src.Report()
	if x.Records == 0 {
		return noRecords(inputs)
	}
	if c.Bool("json") {
		return encodeJSON(c.App.Writer, struct {
			*assess.Diagnosis
			Inputs []stream.Input `json:"inputs"`
		}{x, inputs})
	}
	fmt.Fprint(c.App.Writer, x.Text())
	if line := inputsLine(inputs); line != "" {
		fmt.Fprintf(c.App.Writer, "\nOf the input: %s\n", line)
	}
	return nil
}

// formatFlag lets the user say what a stream is where its first bytes do not.
func formatFlag() cli.Flag {
	return &cli.StringFlag{Name: "format", Usage: "read the stream as `FORMAT` (" + strings.Join(stream.Formats(), ", ") + "); it is recognised otherwise"}
}

func openStreams(c *cli.Context, o stream.Options) (*stream.Source, error) {
	if f := c.String("format"); f != "" && !slices.Contains(stream.Formats(), f) {
		return nil, usage("--format %s is not known; there are: %s", f, strings.Join(stream.Formats(), ", "))
	}
	leftOut(c, c.Args().Slice())
	o.Stdin, o.Format = c.App.Reader, c.String("format")
	src, err := stream.Open(c.Args().Slice(), o)
	if err != nil {
		return nil, failure{exitUsage, err}
	}
	return src, nil
}

// leftOut names what of a folder of streams is not read.
func leftOut(c *cli.Context, paths []string) {
	for _, p := range paths {
		if names := stream.LeftOut(p); len(names) > 0 {
			fmt.Fprintf(c.App.ErrWriter, "Not read in %s, by their names: %s\n", p, shortened(names, 6))
		}
	}
}

// shortened is the first names of a list, and how many more there are.
func shortened(names []string, most int) string {
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

// inputsLine says what was lost on the way in, "" when nothing was.
func inputsLine(inputs []stream.Input) string {
	var parts []string
	for _, in := range inputs {
		var lost []string
		for _, l := range in.Lost {
			lost = append(lost, fmt.Sprintf("%s: %s", counted(l.Count, "time"), l.Reason))
		}
		if in.Bad > 0 {
			lost = append(lost, fmt.Sprintf("%s gave no event", counted(in.Bad, "record")))
		}
		if in.Salvaged > 0 {
			lost = append(lost, fmt.Sprintf("%s lost a part", counted(in.Salvaged, "record")))
		}
		for i, r := range in.Reasons {
			if i == 3 {
				lost = append(lost, "and other reasons")
				break
			}
			lost = append(lost, fmt.Sprintf("%s (%d)", r.Reason, r.Count))
		}
		if in.Other > 0 {
			lost = append(lost, fmt.Sprintf("%s of other signals", counted(in.Other, "request")))
		}
		if len(lost) > 0 {
			parts = append(parts, fmt.Sprintf("%s (%s): %s", in.Name, in.Format, strings.Join(lost, "; ")))
		}
	}
	return strings.Join(parts, "\n  ")
}

// noRecords says of streams that gave nothing what was lost, if anything was there.
func noRecords(inputs []stream.Input) error {
	lost := inputsLine(inputs)
	if lost == "" {
		lost = "there is nothing in it"
		if len(inputs) > 1 {
			lost = "there is nothing in them"
		}
	}
	return failure{exitFailure, fmt.Errorf("no usable record in the stream: %s", lost)}
}

// readActive reads who was at work from a CSV export.
func readActive(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: no header line: %v", name, err)
	}
	at := -1
	for i, h := range head {
		switch strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))) {
		case "email", "user_email", "user email", "account_uuid", "user.email":
			if at < 0 {
				at = i
			}
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("%s:1: no column email, user_email or account_uuid; found %s", name, strings.Join(head, ", "))
	}
	out := []string{}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %v", name, err)
		}
		if at < len(row) && strings.TrimSpace(row[at]) != "" {
			out = append(out, strings.TrimSpace(row[at]))
		}
	}
}
