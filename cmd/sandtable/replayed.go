package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// replayed passes captures through observers in order of time, each record once.
// begin makes the observers, and makes them anew where the captures have to be read
// again for that.
func replayed(c *cli.Context, paths []string, o replay.Options, begin func() []replay.Observer) (replay.Counts, []rules.Finding, error) {
	src, err := stream.Open(paths, stream.Options{Unhashed: true, Stdin: c.App.Reader})
	if err != nil {
		return replay.Counts{}, nil, failure{exitUsage, err}
	}
	counts, found, err := replay.Over(c.Context, src.EachBlock, src.Again(), o, begin)
	if counts.Late > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s came more than %d minutes behind the stream and out of turn: standard input is read once; a file is read as often as it takes to put it in order of time.\n",
			counted(counts.Late, "record"), int(replay.DefaultWindow.Minutes()))
	}
	return counts, found, err
}
