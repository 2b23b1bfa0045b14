package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func planCommand() *cli.Command {
	return &cli.Command{Name: "plan", Usage: "plan what a rollout needs before it starts", Subcommands: []*cli.Command{planSpendCommand()}}
}

func planSpendCommand() *cli.Command {
	return &cli.Command{
		Name: "spend", Usage: "one limit to enter per member, with its arithmetic and its risk", ArgsUsage: "SCENARIO",
		Description: "Prints the lesson's budget formula for each group, then the number to enter and why not another,\n" +
			"from a Monte-Carlo forecast of a month of the scenario's own population.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "month", Usage: "forecast `YYYY-MM` (default: the first whole month after the last dated group change)"},
			&cli.IntFlag{Name: "trials", Value: 1000, Usage: "play the month `N` times"},
			&cli.Float64Flag{Name: "chance", Value: 0.05, Usage: "accept that `P` of member-months are cut short"},
			&cli.StringSliceFlag{Name: "from", Usage: "calibrate from a capture `STREAM` instead of the scenario's behaviour; may be repeated"},
			&cli.BoolFlag{Name: "json", Usage: "print the plan as JSON"},
			setFlag(),
		},
		Action: planSpend,
	}
}

func planSpend(c *cli.Context) error {
	name, err := argument(c, "SCENARIO")
	if err != nil {
		return err
	}
	if n := c.Int("trials"); n < 1 || n > 100_000 {
		return usage("--trials is %d, expected 1 to 100000", n)
	}
	if p := c.Float64("chance"); !(p > 0 && p < 1) {
		return usage("--chance is %v, expected a share between 0 and 1, for example 0.05", p)
	}
	s, err := scenarios.Load(name, c.StringSlice("set")...)
	if err != nil {
		return asUsage(err)
	}
	ground, err := rehearsal.Prepare(s)
	if err != nil {
		return err
	}
	month := forecast.Month(&s.Config, s.Period.From.Time)
	if v := c.String("month"); v != "" {
		if month, err = time.Parse("2006-01", v); err != nil {
			return usage("--month %q is not of the form YYYY-MM", v)
		}
	}
	o := forecast.PlanOptions{
		Directory: ground.Directory, Limits: ground.Limits, Prices: ground.Prices, AsOf: s.AsOf.Time,
		Trials: c.Int("trials"), Seed: s.Seed, Chance: c.Float64("chance"), Others: -1,
		Cloud: s.Organisation.Settings.Cloud != nil && *s.Organisation.Settings.Cloud,
	}
	if from := c.StringSlice("from"); len(from) > 0 {
		o.Model, o.Others, err = calibrated(c, ground, from, month)
	} else {
		o.Model, err = forecast.Scenario(simulate.Options{Scenario: s, Directory: ground.Directory, Gate: ground.Gate, Prices: ground.Prices}, month)
	}
	if err != nil {
		return err
	}
	plan, err := forecast.MakePlan(c.Context, o)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(plan)
	}
	if _, err := fmt.Fprintf(c.App.Writer, "%s\n\n", s.Title); err != nil {
		return err
	}
	return plan.Write(c.App.Writer)
}

// calibrated reads captures into a model, and tells what share of their spend is
// other products'.
func calibrated(c *cli.Context, g *rehearsal.Ground, paths []string, month time.Time) (*forecast.Model, float64, error) {
	cal := forecast.NewCalibrator(g.Directory, g.Prices)
	if _, err := replayed(c, g, paths, cal); err != nil {
		return nil, 0, err
	}
	m, err := cal.Model(month, func(member int, day time.Time) bool { return g.Gate.MayUse(member, "cowork", day) })
	return m, cal.Others(), err
}

// replayed passes captures through observers, in order of time and each record
// once.
func replayed(c *cli.Context, g *rehearsal.Ground, paths []string, to ...replay.Observer) (replay.Counts, error) {
	src, err := stream.Open(paths, stream.Options{Stdin: c.App.Reader})
	if err != nil {
		return replay.Counts{}, err
	}
	rp := replay.New(replay.Options{Prices: g.Prices}, to...)
	if err := src.Each(c.Context, func(b *otlp.Batch) error { rp.Add(b.Events); return nil }); err != nil {
		return replay.Counts{}, err
	}
	counts, _ := rp.Close()
	if counts.Received == 0 {
		return counts, fmt.Errorf("%w in %s", rehearsal.ErrNoRecords, strings.Join(paths, ", "))
	}
	return counts, nil
}
