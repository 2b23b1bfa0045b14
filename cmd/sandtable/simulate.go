package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func simulateCommand() *cli.Command {
	return &cli.Command{
		Name: "simulate", Usage: "play a scenario and write only its stream, and the truth beside it", ArgsUsage: "SCENARIO",
		Description: "The stream is what the product would send; nothing in it marks an injected event. The truth, what was\ninjected and where, is a file of its own. The file's name gives the form: .jsonl or .pb, then perhaps .gz or .zst.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the stream to `FILE`, or - for standard output (default: NAME.otlp.jsonl.zst)"},
			&cli.StringFlag{Name: "truth", Usage: "write the truth to `FILE` (default: beside the stream, ending in .truth.jsonl)"},
			&cli.BoolFlag{Name: "json", Usage: "print the counts as JSON"},
			setFlag(),
		},
		Action: simulateStream,
	}
}

func simulateStream(c *cli.Context) (err error) {
	brisk.adopt()
	name, err := argument(c, "SCENARIO")
	if err != nil {
		return err
	}
	s, err := scenarios.Load(name, c.StringSlice("set")...)
	if err != nil {
		return asUsage(err)
	}
	to, truth := c.String("output"), c.String("truth")
	if to == "" {
		to = s.Name.Value + ".otlp.jsonl.zst"
	}
	form := stream.Form{}
	if to != "-" {
		if form, err = stream.FormOf(to); err != nil {
			return usage("--output %v", err)
		}
		if truth == "" {
			truth = trimForm(to) + ".truth.jsonl"
		}
	}
	form.Unhashed = !c.Bool("json") // nothing else tells it
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	out, closer, err := create(c, to)
	if err != nil {
		return failure{exitUsage, err}
	}
	w := stream.NewFormWriter(out, simulate.WireProfile(s.Telemetry), form)
	o, err := rehearsal.Play(c.Context, rehearsal.Options{Scenario: s, Progress: bar.show}, w.Write)
	err = errors.Join(err, w.Close(), closer.Close())
	if err != nil {
		if to != "-" {
			os.Remove(to) // half a stream would pass for a whole one
		}
		return err
	}
	if truth != "" {
		if err := writeTruth(c, truth, o.Truth); err != nil {
			return err
		}
	}
	bar.done()
	print := c.App.Writer
	if to == "-" {
		print = c.App.ErrWriter
	}
	if c.Bool("json") {
		return encodeJSON(print, map[string]any{
			"stream": to, "truth": truth, "events": w.Events(), "bytes": w.PlainBytes(), "packed_bytes": w.PackedBytes(), "sha256_unpacked": w.SHA256(),
			"profile": o.Profile, "wire": o.Wire, "content_revision": simulate.ContentRevision, "sessions": o.Sessions, "prompts": o.Prompts, "active_members": o.Active,
			"withheld": o.Withheld, "lost": o.Lost, "duplicates": o.Duplicates, "stories": len(o.Truth), "unplaced": o.Unplaced,
		})
	}
	fmt.Fprintf(print, "%s of %s and %s by %s, %d bytes (%d packed)\n", counted(w.Events(), "event"), counted(o.Sessions, "session"), counted(o.Prompts, "prompt"), counted(o.Active, "member"), w.PlainBytes(), w.PackedBytes())
	fmt.Fprintf(print, "Wire: %s, release %s, content defaults of revision %s", o.Profile, o.Wire, simulate.ContentRevision)
	if len(s.Telemetry.Defects) > 0 {
		fmt.Fprintf(print, "; defects: %s (%d withheld, %d lost, %d twice)", strings.Join(s.Telemetry.Defects, ", "), o.Withheld, o.Lost, o.Duplicates)
	}
	fmt.Fprintln(print)
	if !s.Telemetry.On() {
		fmt.Fprintf(print, "The scenario exports nothing (telemetry.endpoint is empty): this is what it would send.\n")
	}
	for _, u := range o.Unplaced {
		fmt.Fprintf(print, "Not played: %s %d: %s\n", u.Story, u.Instance, u.Why)
	}
	if to != "-" {
		fmt.Fprintf(print, "Stream: %s\n", to)
	}
	if truth != "" {
		fmt.Fprintf(print, "Truth:  %s (%s)\n", truth, oneOrMore(len(o.Truth), "story", "stories"))
	}
	return nil
}

func trimForm(name string) string {
	for _, suffix := range []string{".zst", ".gz", ".jsonl", ".ndjson", ".json", ".pb", ".bin", ".otlp"} {
		if len(name) > len(suffix) {
			name = strings.TrimSuffix(name, suffix)
		}
	}
	return name
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func create(c *cli.Context, name string) (io.Writer, io.Closer, error) {
	if name == "-" {
		return c.App.Writer, nopCloser{}, nil
	}
	f, err := os.Create(name)
	return f, f, err
}

func writeTruth(c *cli.Context, name string, truth []simulate.TruthLabel) error {
	out, closer, err := create(c, name)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(out)
	enc := json.NewEncoder(b)
	for i := range truth {
		if err = enc.Encode(&truth[i]); err != nil {
			break
		}
	}
	return errors.Join(err, b.Flush(), closer.Close())
}

// encodeJSON prints a document with indents and without escaping of HTML.
func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
