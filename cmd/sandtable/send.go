package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/simulate/stream"
)

func sendCommand() *cli.Command {
	return &cli.Command{
		Name: "send", Usage: "send a stream to an OTLP endpoint, as the product would", ArgsUsage: "STREAM...",
		Description: "Records go out in the order and the types in which they were read. A request that is not acknowledged is sent\nagain; with --state an interrupted call goes on where it stopped, at most one request arriving twice.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "base `URL`, e.g. http://127.0.0.1:4318; /v1/logs is added (required)"},
			&cli.StringFlag{Name: "protocol", Usage: "send by `PROTOCOL`: http/protobuf, http/json or grpc", Value: "http/protobuf"},
			&cli.StringFlag{Name: "speed", Usage: "`N` times real time, or asap", Value: "asap"},
			&cli.BoolFlag{Name: "shift-to-now", Usage: "move all times so that the stream ends now, or begins now at a pace"},
			&cli.BoolFlag{Name: "gzip", Usage: "compress bodies"},
			&cli.StringFlag{Name: "state", Usage: "remember in `FILE` what was acknowledged, and go on from there"},
			&cli.StringFlag{Name: "token-file", Usage: "send the bearer token in `FILE`"},
			&cli.StringSliceFlag{Name: "header", Usage: "send `KEY=VALUE` with every request; may be repeated"},
			&cli.IntFlag{Name: "batch", Usage: "most records in a request: `N`", Value: 512},
			&cli.BoolFlag{Name: "json", Usage: "print the counts as JSON"},
			formatFlag(),
		},
		Action: send,
	}
}

func send(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("STREAM is missing; name a capture, for example: sandtable send capture.jsonl --to http://127.0.0.1:4318")
	}
	if c.String("to") == "" {
		return usage("--to URL is missing: where does the stream go?")
	}
	if n := c.Int("batch"); n < 1 {
		return usage("--batch is %d, expected 1 or more", n)
	}
	o := stream.SendOptions{To: c.String("to"), Protocol: c.String("protocol"), Gzip: c.Bool("gzip"), Batch: c.Int("batch"),
		ShiftToNow: c.Bool("shift-to-now"), State: c.String("state"), Headers: map[string]string{}, Now: time.Now}
	if s := c.String("speed"); s != "asap" {
		n, err := strconv.ParseFloat(strings.TrimSuffix(s, "x"), 64)
		if err != nil || !(n > 0) || n > 1e9 {
			return usage("--speed %s: write a number above 0, such as 1 or 60, or asap", s)
		}
		o.Speed = n
	}
	for _, h := range c.StringSlice("header") {
		k, v, ok := strings.Cut(h, "=")
		if !ok || k == "" {
			return usage("--header: write KEY=VALUE")
		}
		o.Headers[k] = v
	}
	if name := c.String("token-file"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return usage("--token-file: %v", err)
		}
		o.Headers["Authorization"] = "Bearer " + strings.TrimSpace(string(data))
	}
	src, err := openStreams(c, stream.Options{Unhashed: true})
	if err != nil {
		return err
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	o.Progress = func(s stream.Sent) { bar.show("sending", s.Records, 0) }
	sent, err := stream.Send(c.Context, src, o)
	bar.done()
	if err != nil {
		if sent.Records > 0 || sent.Skipped > 0 {
			fmt.Fprintf(c.App.ErrWriter, "%d records were acknowledged before it stopped", sent.Records+sent.Skipped)
			if o.State != "" {
				fmt.Fprintf(c.App.ErrWriter, "; the same command goes on from there")
			}
			fmt.Fprintln(c.App.ErrWriter, ".")
		}
		return err
	}
	if sent.Records+sent.Skipped == 0 {
		return noRecords(src.Report())
	}
	if c.Bool("json") {
		err = encodeJSON(c.App.Writer, sent)
	} else {
		fmt.Fprintf(c.App.Writer, "%s in %s acknowledged, %d rejected, %s", counted(sent.Records, "record"), counted(sent.Requests, "request"), sent.Rejected, oneOrMore(sent.Retries, "retry", "retries"))
		if sent.Skipped > 0 {
			fmt.Fprintf(c.App.Writer, ", %d acknowledged before", sent.Skipped)
		}
		if sent.Shift != 0 {
			fmt.Fprintf(c.App.Writer, ", times moved by %s", sent.Shift.Round(time.Second))
		}
		fmt.Fprintln(c.App.Writer)
		if sent.Rejected > 0 {
			fmt.Fprintf(c.App.Writer, "First reason of a rejection: %s\n", sent.Reason)
		}
		if line := inputsLine(src.Report()); line != "" {
			fmt.Fprintf(c.App.Writer, "Of the input: %s\n", line)
		}
	}
	if err == nil && sent.Rejected > 0 {
		return quiet(exitFailure)
	}
	return err
}
