package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func bundleFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the bundle to `DIR` (default: out/NAME)"},
		&cli.BoolFlag{Name: "force", Usage: "replace the directory even if it is not a verified bundle"},
		&cli.BoolFlag{Name: "include-content", Usage: "members keep their account names instead of pseudonyms; every page is marked"},
		&cli.BoolFlag{Name: "json", Usage: "print the assessment as JSON instead of the summary"},
		&cli.StringFlag{Name: "fail-on", Usage: "exit 3 when a finding has `SEVERITY` or worse (info, low, medium, high, critical)"},
		&cli.StringFlag{Name: "as-of", Usage: "judge by the facts of `DATE` (short for --set as_of=DATE)"},
		&cli.StringFlag{Name: "as-of-range", Usage: "print the timeline of the answer from one day to another, `FROM..TO`, for example 2026-04-09..2026-10-08"},
		&cli.StringSliceFlag{Name: "evidence", Usage: "an export from outside the telemetry, in `FILE`: Activity Feed, sessions, settings snapshots, Analytics, rosters, devices, tickets, statements; may be repeated"},
		&cli.BoolFlag{Name: "timeline", Usage: "print when the answer, a posture or a verdict moves, up to the last verified fact, and which fact moved it"},
		setFlag(),
	}, lookFlags()...)
}

// overrides are the --set values, with --as-of as one of them.
func overrides(c *cli.Context) []string {
	set := c.StringSlice("set")
	if d := c.String("as-of"); d != "" {
		set = append(set, "as_of="+d)
	}
	return set
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "play a scenario and write its readiness report", ArgsUsage: "SCENARIO",
		Description: "Builds the organisation, plays its Cowork life with roles and limits deciding, replays the stream\nthrough the engines, assesses it and writes the bundle. SCENARIO is a shipped name or a file.",
		Flags:       bundleFlags(),
		Action: func(c *cli.Context) error {
			name, err := argument(c, "SCENARIO")
			if err != nil {
				return err
			}
			s, err := scenarios.Load(name, overrides(c)...)
			if err != nil {
				return asUsage(err)
			}
			return rehearse(c, s, nil, nil)
		},
	}
}

func assessCommand() *cli.Command {
	return &cli.Command{
		Name: "assess", Usage: "hold a captured stream against an organisation and write the report", ArgsUsage: "STREAM...",
		Description: "Reads OTLP JSON or protobuf (plain, gzip or zstd): files, folders, globs or - for standard input.\nCaptures are never copied into the bundle; the manifest lists their hash, size and counts.",
		Flags: append(bundleFlags(),
			&cli.StringFlag{Name: "org", Usage: "the organisation: `SCENARIO`, a shipped name or a file (required)"},
			&cli.StringFlag{Name: "key", Usage: "read the key of the pseudonyms from `FILE`; without it one is made beside the bundle"},
		),
		Action: func(c *cli.Context) error {
			lean.adopt()
			if c.NArg() == 0 {
				return usage("STREAM is missing; name a capture, for example: sandtable assess capture.jsonl --org my-org.yaml")
			}
			if c.String("org") == "" {
				return usage("--org SCENARIO is missing: verdicts need the organisation that the stream comes from")
			}
			s, err := scenarios.Load(c.String("org"), overrides(c)...)
			if err != nil {
				return asUsage(err)
			}
			for _, p := range c.Args().Slice() {
				if _, err := stream.Open([]string{p}, stream.Options{}); err != nil { // before a key is made for it
					return failure{exitUsage, err}
				}
			}
			leftOut(c, c.Args().Slice())
			key, made, err := captureKey(c, target(c, s))
			if err != nil {
				return err
			}
			err = rehearse(c, s, c.Args().Slice(), key)
			var f failure
			switch {
			case made == "":
			case err == nil || errors.As(err, &f) && f.code == exitFindings:
				fmt.Fprintf(c.App.ErrWriter, "The key of the pseudonyms is new and lies in %s: keep it, and keep it away from the bundle.\n", made)
			default: // a key to nothing would only be in the way
				os.Remove(made)
			}
			return err
		},
	}
}

// days reads FROM..TO; ok is false when it is no range of days.
func days(s string) (from, to source.Date, ok bool) {
	a, b, cut := strings.Cut(s, "..")
	from, err1 := source.ParseDate(a)
	to, err2 := source.ParseDate(b)
	return from, to, cut && err1 == nil && err2 == nil && !to.Before(from)
}

// asUsage gives an error of loading a file the code for invalid input.
func asUsage(err error) error {
	var f failure
	if errors.As(err, &f) {
		return err
	}
	return failure{exitUsage, err}
}

func target(c *cli.Context, s *scenarios.Scenario) string {
	if dir := c.String("output"); dir != "" {
		return dir
	}
	return filepath.Join("out", s.Name.Value)
}

// captureKey reads the key of the pseudonyms, or makes one beside the bundle:
// inside it the key would undo what it is for. made is the file of a new one.
func captureKey(c *cli.Context, dir string) (key []byte, made string, err error) {
	name := c.String("key")
	if name == "" {
		name = filepath.Clean(dir) + ".key"
		if _, err := os.Stat(name); err != nil {
			key, err := reports.NewPseudonymKey()
			if err != nil {
				return nil, "", err
			}
			err = os.MkdirAll(filepath.Dir(name), 0o777)
			if err == nil {
				err = reports.WriteKey(name, key, true)
			}
			if err != nil {
				return nil, "", failure{exitUsage, fmt.Errorf("cannot keep the new key of the pseudonyms in %s: %w\n  choose a directory that you may write to with -o, or name a key you have with --key; nothing was changed", name, err)}
			}
			made = name
		}
	}
	if key, err = reports.ReadPseudonymKey(name); err != nil {
		return nil, "", usage("--key: %v", err)
	}
	return key, made, nil
}

// rehearse runs the scenario, or the captures over it, into a bundle.
func rehearse(c *cli.Context, s *scenarios.Scenario, streams []string, key []byte) (err error) {
	if r := c.String("as-of-range"); r != "" {
		if _, _, ok := days(r); !ok {
			return usage("--as-of-range %q: write FROM..TO, the earlier day first, for example 2026-04-09..2026-10-08", r)
		}
	}
	failOn, err := threshold(c.String("fail-on"))
	if err != nil {
		return err
	}
	l, err := lookOf(c)
	if err != nil {
		return err
	}
	res, b, err := job{scenario: s, streams: streams, evidence: c.StringSlice("evidence"), key: key, target: target(c, s), force: c.Bool("force"), content: c.Bool("include-content"), look: l, sign: c.String("sign")}.write(c)
	if err != nil {
		return err
	}
	if err := announce(c, res, b.Target()); err != nil {
		return err
	}
	for _, f := range res.Findings {
		if failOn >= 0 && int(f.Severity) >= failOn {
			return quiet(exitFindings)
		}
	}
	return nil
}

func announce(c *cli.Context, res *rehearsal.Result, dir string) error {
	if c.Bool("json") {
		data, err := reports.JSON(res.Assessment)
		if err == nil {
			_, err = c.App.Writer.Write(data)
		}
		return err
	}
	out := c.App.Writer
	fmt.Fprint(out, reports.Summary(res.Assessment))
	if from, to, ok := days(c.String("as-of-range")); ok {
		moves, err := res.Between(from, to)
		if err != nil {
			return err
		}
		fmt.Fprint(out, "\n"+reports.TimelineText(moves))
	}
	if c.Bool("timeline") {
		fmt.Fprint(out, "\n"+reports.TimelineText(res.Timeline))
	}
	for _, u := range res.Unplaced {
		fmt.Fprintf(out, "\nNot played: %s %d: %s\n", u.Story, u.Instance, u.Why)
	}
	n := res.Assessment.Counters
	fmt.Fprintf(out, "\n%s %s read, %s of Cowork judged; %s, %s.", thousands(n.Records), plural(int(n.Records), "record", "records"), thousands(n.CoworkEvents), counted(int64(n.Findings), "finding"), counted(int64(n.Alerts), "alert"))
	if len(res.Rules) == 0 {
		fmt.Fprintf(out, "\nNo alert rule was in force, so none could fire.")
	}
	switch {
	case res.Observed:
	case res.Assessment.OwnScenario:
		fmt.Fprintf(out, "\nSimulated: what members did and every incident are invented.")
	default:
		fmt.Fprintf(out, "\nSimulated: the company and its incidents are fictional.")
	}
	if n.OutOfTurn > 0 {
		fmt.Fprintf(out, "\n%s came out of turn, so that windows, sequences and limits may be judged wrongly: assess a file in place of standard input.", counted(n.OutOfTurn, "record"))
	}
	fmt.Fprintf(out, "\nReport:  %s\nBundle:  %s\nFollow a verdict: sandtable explain %s %s\n", shown(filepath.Join(dir, "report.pdf")), shown(dir), followed(res.Assessment), shown(dir))
	return nil
}

// followed is what a reader may follow first: audit controls, or where HIPAA is
// out of scope the gap that is there in any.
func followed(a *assess.Assessment) string {
	const controls = "hipaa-164.312.b"
	for _, o := range a.Obligations {
		if o.ID == controls && o.Verdict != assess.NotApplicable {
			return controls
		}
	}
	return "audit-log"
}

// shown is a path as the user would type it from here.
func shown(p string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, p); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return p
}

func threshold(s string) (int, error) {
	if s == "" {
		return -1, nil
	}
	sev, err := rules.ParseSeverity(s)
	if err != nil {
		return 0, usage("--fail-on: %v", err)
	}
	return int(sev), nil
}

// progress draws one line that replaces itself, on a terminal only.
type progress struct {
	w     io.Writer
	on    bool
	last  string
	drawn bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		if st, err := f.Stat(); err == nil {
			p.on = st.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

func (p *progress) show(stage string, done, total int64) {
	if !p.on {
		return
	}
	line := stage
	if total > 0 {
		const cells = 24
		n := int(done * cells / total)
		line = fmt.Sprintf("%-12s [%s%s] %d of %d", stage, strings.Repeat("#", n), strings.Repeat(".", cells-n), done, total)
	} else if done > 0 {
		line = fmt.Sprintf("%s %d", stage, done)
	}
	if line == p.last {
		return
	}
	p.last, p.drawn = line, true
	fmt.Fprintf(p.w, "\r\x1b[K%s", line)
}

// done wipes the line.
func (p *progress) done() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
