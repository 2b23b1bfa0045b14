package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

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
		},
	}
}
