package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/cases"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func scenariosCommand() *cli.Command {
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON"}
	return &cli.Command{
		Name: "scenarios", Usage: "list, show, describe and check scenarios",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "the shipped scenarios", Flags: []cli.Flag{asJSON}, Action: func(c *cli.Context) error {
				if c.Bool("json") {
					return encodeJSON(c.App.Writer, scenarios.List())
				}
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
			{Name: "schema", Usage: "the JSON Schema of a scenario file, for an editor that completes and checks",
				Description: "Save it and name it in the first line of your file, as editors with a YAML language server read it:\n" +
					"   sandtable scenarios schema > sandtable.schema.json\n" +
					"   # yaml-language-server: $schema=sandtable.schema.json",
				Action: func(c *cli.Context) error {
					b, err := scenarios.Schema()
					if err != nil {
						return err
					}
					_, err = c.App.Writer.Write(b)
					return err
				}},
			{
				Name: "check", Usage: "run scenarios and hold them against what they expect", ArgsUsage: "[SCENARIO...]",
				Description: "Without an argument every shipped scenario is checked. Exit 1 when an expectation is not met.\n" +
					"Learning cases and labs beside a file (my.cases.yaml beside my.yaml, or named themselves) are held against the model, too.",
				Flags: []cli.Flag{setFlag(), &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show the expectations that are met, too"},
					&cli.BoolFlag{Name: "cases", Usage: "check the shipped learning cases and labs, too"},
					&cli.BoolFlag{Name: "json", Usage: "print every expectation as JSON; the exit code is the same"}},
				Action: checkScenarios,
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
	var books []caseBook
	var broken []string
	book := func(name string, load func() (*cases.Book, error)) {
		b, err := load()
		if err != nil {
			broken = append(broken, err.Error())
			return
		}
		books = append(books, caseBook{name, b})
	}
	if c.Bool("cases") {
		book("shipped cases", cases.Shipped)
	}
	for _, n := range names {
		own := cases.Beside(n)
		if strings.HasSuffix(n, ".cases.yaml") {
			own = n
		}
		if _, err := os.Stat(own); err == nil && (own == n || !slices.Contains(names, own)) {
			book(own, func() (*cases.Book, error) { return cases.LoadFile(own) })
		}
		if own == n {
			continue
		}
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
	type placed struct {
		At string `json:"at"`
		rehearsal.Expectation
	}
	type checked struct {
		Scenario     string   `json:"scenario"`
		Expectations []placed `json:"expectations"`
	}
	type cased struct {
		File     string   `json:"file"`
		Cases    int      `json:"cases_and_labs"`
		Problems []string `json:"problems"`
	}
	out := struct {
		Scenarios []checked `json:"scenarios"`
		Cases     []cased   `json:"cases,omitempty"`
	}{Scenarios: []checked{}}
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
		bad, list := 0, make([]placed, 0, len(all))
		for _, e := range all {
			list = append(list, placed{e.At.String(), e})
			if !e.Met {
				bad++
			}
			if c.Bool("json") {
				continue
			}
			if !e.Met {
				fmt.Fprintf(c.App.Writer, "%s: %s: expected %s, got %s\n", e.At, e.Path, e.Want, e.Got)
				if e.Why != "" {
					fmt.Fprintf(c.App.Writer, "    why it should hold: %s\n", e.Why)
				}
			} else if c.Bool("verbose") {
				fmt.Fprintf(c.App.Writer, "ok  %s is %s\n", e.Path, e.Got)
			}
		}
		failed += bad
		out.Scenarios = append(out.Scenarios, checked{s.Name.Value, list})
		switch {
		case c.Bool("json"):
		case len(all) == 0:
			fmt.Fprintf(c.App.Writer, "%-20s reads and plays; it has no expectations (expect:) to hold it against\n", s.Name.Value)
		default:
			fmt.Fprintf(c.App.Writer, "%-20s %d of %d expectations met\n", s.Name.Value, len(all)-bad, len(all))
		}
	}
	for _, b := range books {
		problems, err := checkCases(c, b)
		if err != nil {
			return err
		}
		n := len(b.Cases) + len(b.Labs)
		if c.Bool("json") {
			out.Cases = append(out.Cases, cased{b.name, n, problems})
		} else {
			for _, p := range problems {
				fmt.Fprintln(c.App.Writer, p)
			}
			fmt.Fprintf(c.App.Writer, "%s: %d of %d cases and labs agree with the model\n", b.name, n-len(problems), n)
		}
		failed += len(problems)
	}
	if c.Bool("json") {
		if err := encodeJSON(c.App.Writer, out); err != nil {
			return err
		}
	}
	if failed > 0 {
		return quiet(exitFailure)
	}
	return nil
}

// caseBook is a file of learning cases and labs under the name to print.
type caseBook struct {
	name string
	*cases.Book
}

// checkCases holds cases and labs against the model and gives what each that
// disagrees has to say.
func checkCases(c *cli.Context, b caseBook) (problems []string, err error) {
	problems = []string{}
	bench := cases.NewBench(studied)
	bench.Foresee = foreseen
	show := func(ps source.Problems, err error) error {
		if len(ps) > 0 {
			problems = append(problems, ps.Error())
		}
		return err
	}
	for _, k := range b.Cases {
		if err := show(bench.Check(c.Context, k)); err != nil {
			return problems, err
		}
	}
	for _, l := range b.Labs {
		if err := show(bench.CheckLab(c.Context, l, captured)); err != nil {
			return problems, err
		}
	}
	return problems, nil
}
