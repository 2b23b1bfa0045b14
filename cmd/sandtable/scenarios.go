package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
)

func scenariosCommand() *cli.Command {
	return &cli.Command{
		Name: "scenarios", Usage: "list, show and check scenarios",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "the shipped scenarios", Action: func(c *cli.Context) error {
				for _, s := range scenarios.List() {
					fmt.Fprintf(c.App.Writer, "%-20s %s  %s\n", s.Name, s.AsOf, s.Title)
				}
				return nil
			}},
			{Name: "show", Usage: "print a scenario as written, to start your own from", ArgsUsage: "SCENARIO", Action: func(c *cli.Context) error {
				name, err := argument(c, "SCENARIO")
				if err != nil {
					return err
				}
				s, err := scenarios.Load(name)
				if err != nil {
					return asUsage(err)
				}
				_, err = c.App.Writer.Write(s.File.Data)
				return err
			}},
			{
				Name: "check", Usage: "run scenarios and hold them against what they expect", ArgsUsage: "[SCENARIO...]",
				Description: "Without an argument every shipped scenario is checked. Exit 1 when an expectation is not met.",
				Flags:       []cli.Flag{setFlag(), &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show the expectations that are met, too"}},
				Action:      checkScenarios,
			},
		},
	}
}

func checkScenarios(c *cli.Context) error {
	names := c.Args().Slice()
	if len(names) == 0 {
		for _, s := range scenarios.List() {
			names = append(names, s.Name)
		}
	}
	// Every file is loaded before the first one is played, so that all mistakes
	// show at once.
	var loaded []*scenarios.Scenario
	var broken []string
	for _, n := range names {
		s, err := scenarios.Load(n, c.StringSlice("set")...)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		loaded = append(loaded, s)
	}
	if len(broken) > 0 {
		return usage("%s", strings.Join(broken, "\n"))
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	failed := 0
	for _, s := range loaded {
		res, err := rehearsal.Run(c.Context, rehearsal.Options{Scenario: s, Progress: bar.show})
		bar.done()
		if err != nil {
			return err
		}
		all, err := res.Expectations()
		if err != nil {
			return err
		}
		bad := 0
		for _, e := range all {
			if !e.Met {
				bad++
				fmt.Fprintf(c.App.Writer, "%s: %s: expected %s, got %s\n", e.At, e.Path, e.Want, e.Got)
				if e.Why != "" {
					fmt.Fprintf(c.App.Writer, "    why it should hold: %s\n", e.Why)
				}
			} else if c.Bool("verbose") {
				fmt.Fprintf(c.App.Writer, "ok  %s is %s\n", e.Path, e.Got)
			}
		}
		failed += bad
		fmt.Fprintf(c.App.Writer, "%-20s %d of %d expectations met\n", s.Name.Value, len(all)-bad, len(all))
	}
	if failed > 0 {
		return quiet(exitFailure)
	}
	return nil
}
