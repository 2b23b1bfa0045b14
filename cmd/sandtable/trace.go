package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func traceCommand() *cli.Command {
	return &cli.Command{
		Name: "trace", Usage: "print one prompt's whole story in order, and what cannot be known of it", ArgsUsage: "PROMPT_ID STREAM...",
		Description: "Who asked, what ran, who let it run, files, connectors, cost and time. Without --include-content texts,\npaths, commands and names stay out; with --key members carry the pseudonym of the bundle made with that key.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "include-content", Usage: "print texts, paths, commands and names as they are"},
			&cli.StringFlag{Name: "key", Usage: "read the key of the pseudonyms from `FILE`"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			formatFlag(),
		},
		Action: trace,
	}
}

func trace(c *cli.Context) error {
	if c.NArg() < 2 {
		return usage("PROMPT_ID and STREAM are needed, for example: sandtable trace 0b2f6c1e-... capture.jsonl")
	}
	id := c.Args().First()
	o := assess.TraceOptions{IncludeContent: c.Bool("include-content")}
	if name := c.String("key"); name != "" {
		key, err := reports.ReadPseudonymKey(name)
		if err != nil {
			return usage("--key: %v", err)
		}
		o.Names = rules.NewPseudonyms(key)
	}
	if f := c.String("format"); f != "" && !knownFormat(f) {
		return usage("--format %s is not known; there are: %s", f, strings.Join(stream.Formats(), ", "))
	}
	src, err := stream.Open(c.Args().Tail(), stream.Options{Unhashed: true, Stdin: c.App.Reader, Format: c.String("format")})
	if err != nil {
		return failure{exitUsage, err}
	}
	var events []event.Event
	var prompts []string
	records := 0
	err = src.Each(c.Context, func(b *otlp.Batch) error {
		records += len(b.Events)
		for i := range b.Events {
			e := &b.Events[i]
			if e.Prompt == id {
				events = append(events, *e)
			} else if len(prompts) < 3 && e.Kind == event.UserPrompt {
				prompts = append(prompts, strings.Clone(e.Prompt))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	t, ok := assess.BuildTrace(id, events, o)
	if !ok && records == 0 {
		return noRecords(src.Report())
	}
	if !ok {
		msg := fmt.Sprintf("no record has the prompt id %s", id)
		if len(prompts) > 0 {
			msg += "; prompts of this stream are, for example, " + strings.Join(prompts, ", ")
		}
		return failure{exitFailure, errors.New(msg)}
	}
	if c.Bool("json") {
		return encodeJSON(c.App.Writer, t)
	}
	fmt.Fprint(c.App.Writer, t.Text())
	return nil
}

func knownFormat(f string) bool {
	for _, k := range stream.Formats() {
		if k == f {
			return true
		}
	}
	return false
}
