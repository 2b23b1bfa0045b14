package main

import (
	"crypto/rand"
	"encoding/json"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

func reconcileCommand() *cli.Command {
	return &cli.Command{
		Name: "reconcile", Usage: "hold telemetry's estimated cost against a cost export", ArgsUsage: "STREAM...",
		Description: "The export is the Analytics API's cost report or user cost report as JSON, or a CSV such as the spend\n" +
			"report. Amounts are compared in units of 10^-8 dollars; nothing is rounded before the last line.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "cost", Usage: "the cost export `FILE`, JSON or CSV (required)"},
			&cli.StringFlag{Name: "org", Usage: "the organisation: `SCENARIO`, a shipped name or a file, for its roster (required)"},
			&cli.StringFlag{Name: "key", Usage: "read the key of the pseudonyms from `FILE`; without it one is made for this output alone"},
			&cli.BoolFlag{Name: "include-content", Usage: "members keep the names they have in the inputs"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			&cli.BoolFlag{Name: "all", Usage: "print matched rows, too"},
			setFlag(),
		},
		Action: reconcile,
	}
}

func reconcile(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("STREAM is missing; name a capture, for example: sandtable reconcile capture.jsonl --cost report.json --org my-org.yaml")
	}
	for _, f := range []string{"cost", "org"} {
		if c.String(f) == "" {
			return usage("--%s is missing; see sandtable reconcile --help", f)
		}
	}
	s, err := scenarios.Load(c.String("org"), c.StringSlice("set")...)
	if err != nil {
		return asUsage(err)
	}
	ground, err := rehearsal.Prepare(s)
	if err != nil {
		return err
	}
	f, err := os.Open(c.String("cost"))
	if err != nil {
		return usage("--cost: %v", err)
	}
	export, err := spend.ReadCosts(c.String("cost"), f)
	f.Close()
	if err != nil {
		return err
	}
	var estimates *spend.Estimates
	if err := priced(c, ground, c.Args().Slice(), func() []replay.Observer {
		estimates = spend.NewEstimates(ground.Directory)
		return []replay.Observer{estimates}
	}); err != nil {
		return err
	}
	r := estimates.Reconcile(export, ground.Limits)
	rows := map[string]int{}
	for _, t := range r.Totals {
		rows[t.State] += t.Rows
	}
	if rows[spend.Matched] == 0 && rows[spend.MissingInExport] > 0 && rows[spend.MissingInTelemetry] > 0 {
		r.Notes = append(r.Notes, "nothing matches: if members, days and products are the same ones, the export names members otherwise, as analytics/ of a bundle does unless it was made with --include-content")
	}
	if !c.Bool("include-content") {
		key, err := pseudonymKey(c)
		if err != nil {
			return err
		}
		r.Rename(func(member string) string { return rules.Pseudonym(key, member) })
	}
	if c.Bool("json") {
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		err = r.Write(c.App.Writer, c.Bool("all"))
	}
	if err == nil && !r.Evaluable {
		return quiet(exitFailure)
	}
	return err
}

// pseudonymKey is the key in --key, or a fresh one.
func pseudonymKey(c *cli.Context) ([]byte, error) {
	if c.String("key") != "" {
		key, _, err := captureKey(c, "")
		return key, err
	}
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}
