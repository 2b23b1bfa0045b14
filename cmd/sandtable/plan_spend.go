package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

func planCommand() *cli.Command {
	return &cli.Command{Name: "plan", Usage: "plan what a rollout needs before it starts", Subcommands: []*cli.Command{planSpendCommand(), planRolloutCommand()}}
}

func planSpendCommand() *cli.Command {
	return &cli.Command{
		Name: "spend", Usage: "one limit to enter per member, with its arithmetic and its risk", ArgsUsage: "SCENARIO",
		Description: "Prints the lesson's budget formula for each group, then the number to enter and why not another,\n" +
			"from a Monte-Carlo forecast of a month of the scenario's own population. Held against 600 months of a\n" +
			"200-seat organisation played event by event, its P50, P90 and P99 of the group's spend were 0.6% to 0.7% low.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "month", Usage: "forecast `YYYY-MM` (default: the first whole month after the last dated group change)"},
			&cli.IntFlag{Name: "trials", Value: 1000, Usage: "play the month `N` times"},
			&cli.Float64Flag{Name: "chance", Value: 0.05, Usage: "accept that `P` of member-months are cut short"},
			&cli.StringSliceFlag{Name: "from", Usage: "calibrate from a capture `STREAM` instead of the scenario's behaviour; may be repeated"},
			&cli.StringSliceFlag{Name: "limit", Usage: "what if: try `GROUP=DOLLARS` (or =none) beside the others; may be repeated"},
			&cli.StringFlag{Name: "ceiling", Usage: "what if: replay the capture against an organisation's ceiling of `DOLLARS` (or none)"},
			&cli.StringSliceFlag{Name: "price", Usage: "what if: `MODEL=FACTOR` of its price, or all=FACTOR, over the capture; may be repeated"},
			&cli.StringFlag{Name: "prices", Usage: "what if: the dated prices of `FILE` (form of inputs/prices.yaml in a bundle) over the shipped list"},
			&cli.StringFlag{Name: "limits", Usage: "configured limits from `FILE`, rows of the Spend Limits API, in place of the scenario's"},
			&cli.StringFlag{Name: "key", Usage: "read the key of the pseudonyms from `FILE`; without it one is made for this output alone"},
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
	asked, changed, err := whatIf(c)
	if err != nil {
		return err
	}
	list, err := priceList(c.String("prices"), "--prices")
	if err != nil {
		return err
	}
	ground, err := rehearsal.Prepare(s)
	if err != nil {
		return err
	}
	var notes []string
	if path := c.String("limits"); path != "" {
		f, err := os.Open(path)
		if err != nil {
			return usage("--limits: %v", err)
		}
		rows, err := spend.ReadLimits(path, f, spend.LimitOptions{AsOf: s.AsOf, Periods: ground.Periods})
		f.Close()
		if err != nil {
			return err
		}
		s.Config.Spend, notes = spend.Configure(rows, &s.Config)
		if ground, err = rehearsal.Prepare(s); err != nil {
			return err
		}
	}
	if list != nil {
		changed.Base, changed.List = ground.Prices, ground.Prices.With(list)
	}
	for g := range asked {
		if !slices.ContainsFunc(s.Config.Groups, func(x org.Group) bool { return x.Name.Value == g }) {
			return usage("--limit %s=...: the scenario has no group %q", g, g)
		}
	}
	month := forecast.Month(ground.Directory, s.Period.From.Time)
	if v := c.String("month"); v != "" {
		if month, err = time.Parse("2006-01", v); err != nil {
			return usage("--month %q is not of the form YYYY-MM", v)
		}
	}
	o := forecast.PlanOptions{
		Directory: ground.Directory, Limits: ground.Limits, Prices: ground.Prices, AsOf: s.AsOf.Time,
		Rules: ground.Rules, Trials: c.Int("trials"), Seed: s.Seed, Chance: c.Float64("chance"), Others: -1, Asked: asked,
		Cloud: s.Organisation.Settings.Cloud != nil && *s.Organisation.Settings.Cloud,
	}
	var tried *spend.WhatIf
	if from := c.StringSlice("from"); len(from) > 0 {
		o.Model, o.Others, err = calibrated(c, ground, from, month, func() []replay.Observer {
			if len(changed.Limits)+len(changed.Prices) == 0 && list == nil {
				return nil
			}
			tried = spend.NewWhatIf(ground.Directory, ground.Limits, changed)
			return []replay.Observer{tried}
		})
	} else if c.String("ceiling") != "" || len(changed.Prices) > 0 {
		return usage("--ceiling and --price replay a capture: name it with --from")
	} else {
		if err := inForce(list, "--prices", c.String("prices"), s.AsOf); err != nil {
			return err
		}
		if list != nil {
			o.Prices = changed.List
			notes = append(notes, fmt.Sprintf("every amount of this forecast is at the prices of %s, laid over the shipped list", filepath.Base(c.String("prices"))))
		}
		o.Model, err = forecast.Scenario(simulate.Options{Scenario: s, Directory: ground.Directory, Gate: ground.Gate, Prices: o.Prices}, month)
	}
	if err != nil {
		return err
	}
	if s.Config.Spend.Increases != nil {
		notes = append(notes, "increase requests are played by sandtable run; this forecast leaves every limit as entered")
	}
	for _, e := range s.Behaviour.Elsewhere {
		notes = append(notes, fmt.Sprintf("the scenario has members spend a mean of %s a working day in %s, which counts against the same limit: about %s a month of 21 working days, to be added to the number to enter",
			spend.Dollars(e.PerDay.Micros), e.Product, spend.Dollars(21*e.PerDay.Micros)))
	}
	plan, err := forecast.MakePlan(c.Context, o)
	if err != nil {
		return err
	}
	plan.Notes = append(notes, plan.Notes...)
	if tried != nil {
		key, err := pseudonymKey(c)
		if err != nil {
			return err
		}
		plan.WhatIf = tried.Difference()
		plan.WhatIf.Rename(func(member string) string { return rules.Pseudonym(key, member) })
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

// whatIf reads the flags of what is tried: limits by group for the forecast, and
// everything for a replay.
func whatIf(c *cli.Context) (map[string]int64, spend.Changed, error) {
	asked, ch := map[string]int64{}, spend.Changed{Prices: map[string]int64{}}
	limit := func(flag, v string, l org.LimitChange) (int64, error) {
		micros, none, err := spend.ParseAmount(v)
		if err != nil {
			return 0, usage("%s: %v; expected dollars with at most two decimals, or none", flag, err)
		}
		l.Unlimited, l.Limit = none, source.Money{Micros: micros, Given: !none}
		ch.Limits = append(ch.Limits, org.Change{Limit: &l})
		if none {
			micros = -1
		}
		return micros, nil
	}
	for _, v := range c.StringSlice("limit") {
		group, amount, ok := cutLast(v)
		if !ok {
			return nil, ch, usage("--limit %s: expected GROUP=DOLLARS", v)
		}
		micros, err := limit("--limit "+v, amount, org.LimitChange{Group: source.Text{Value: group}})
		if err != nil {
			return nil, ch, err
		}
		if _, twice := asked[group]; twice {
			return nil, ch, usage("--limit %s: group %q has a second limit; ask about one at a time", v, group)
		}
		asked[group] = micros
	}
	if v := c.String("ceiling"); v != "" {
		if _, err := limit("--ceiling "+v, v, org.LimitChange{Organisation: true}); err != nil {
			return nil, ch, err
		}
	}
	for _, v := range c.StringSlice("price") {
		model, factor, ok := cutLast(v)
		f, err := spend.ParseFactor(factor)
		if !ok || err != nil || f == 0 {
			return nil, ch, usage("--price %s: expected MODEL=FACTOR with at most three decimals, for example all=1.1", v)
		}
		if model == "all" {
			model = ""
		}
		ch.Prices[model] = f
	}
	return asked, ch, nil
}

// inForce sees that a list says something about a rehearsal, which is priced as of
// its as-of day throughout.
func inForce(l *platform.PriceList, flag, file string, asOf source.Date) error {
	if l == nil || l.InForce(asOf.Time) {
		return nil
	}
	return usage("%s: no price of %s is in force on %s, the day by which a rehearsal is priced; date them from then on, ask with a later as_of, or replay a stream", flag, file, asOf)
}

// priceList reads a list of dated prices to be laid over the shipped one; nil
// without a path.
func priceList(path, flag string) (*platform.PriceList, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, usage("%s: %v", flag, err)
	case info.Size() > source.MaxBytes:
		return nil, usage("%s: %s has %d bytes; at most %d are read", flag, path, info.Size(), source.MaxBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("%s: %v", flag, err)
	}
	f, err := source.Parse(path, data)
	if err != nil {
		return nil, asUsage(err)
	}
	l, err := platform.ParsePrices(f)
	if err != nil {
		return nil, asUsage(err)
	}
	return l, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '=')
	if i < 1 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// calibrated reads captures into a model, and what also makes, which may be nil, along
// with it; it tells what share of their spend is other products'.
func calibrated(c *cli.Context, g *rehearsal.Ground, paths []string, month time.Time, also func() []replay.Observer) (*forecast.Model, float64, error) {
	var cal *forecast.Calibrator
	if err := priced(c, g, paths, func() []replay.Observer {
		cal = forecast.NewCalibrator(g.Directory, g.Prices)
		made := []replay.Observer{cal}
		if also != nil {
			made = append(made, also()...)
		}
		return made
	}); err != nil {
		return nil, 0, err
	}
	m, err := cal.Model(month, func(member int, day time.Time) bool { return g.Gate.MayUse(member, "cowork", day) })
	return m, cal.Others(), err
}

// priced is replayed at the prices of an organisation; to read nothing is an error.
func priced(c *cli.Context, g *rehearsal.Ground, paths []string, begin func() []replay.Observer) error {
	counts, _, err := replayed(c, paths, replay.Options{Prices: g.Prices}, begin)
	if err == nil && counts.Received == 0 {
		err = fmt.Errorf("%w in %s", rehearsal.ErrNoRecords, strings.Join(paths, ", "))
	}
	return err
}
