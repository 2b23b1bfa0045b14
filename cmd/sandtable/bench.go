package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

//go:embed bench.yaml
var benchScenario []byte

// benchEventsPerMember is about what a member of that organisation sends in its
// month. It only sizes the stream; what was played is counted.
const benchEventsPerMember = 3600

func benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure how fast the tool plays and reads a stream on this machine",
		Description: "Plays an organisation into a temporary folder in each form, then reads the files back in stages, each in a\n" +
			"process of its own, so that memory is that of the stage alone. A million events take some 2 GB of disk for a while.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "events", Value: 250_000, Usage: "play about `N` events"},
			&cli.IntFlag{Name: "members", Usage: "of an organisation of `N` members", DefaultText: "one for a hundred events"},
			&cli.IntFlag{Name: "runs", Value: 3, Usage: "read each file `N` times after one that is not counted, and print the middle one"},
			&cli.BoolFlag{Name: "json", Usage: "print the figures as JSON"},
			&cli.StringFlag{Name: "pass", Hidden: true},
			&cli.StringFlag{Name: "file", Hidden: true},
		},
		Action: bench,
	}
}

// benchPass is one stage of one file in one process.
type benchPass struct {
	Stage   string  `json:"stage"`
	Form    string  `json:"form"`
	Events  int64   `json:"events"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"` // of the whole process
	Allocs  uint64  `json:"allocations"`
	Peak    int64   `json:"peak_rss_bytes"` // 0: this system does not say
	Bytes   int64   `json:"file_bytes"`
}

func benchWorld(events, members int) (*scenarios.Scenario, error) {
	s, err := scenarios.Parse("bench.yaml", benchScenario, false, nil)
	if err != nil {
		return nil, err
	}
	left := members
	for i := range s.Organisation.Departments {
		d := &s.Organisation.Departments[i]
		d.Members = min(left, max(1, members*d.Members/100))
		left -= d.Members
	}
	s.Organisation.Departments[0].Members += left
	s.Organisation.Seats = members
	busy := float64(events) / float64(members) / benchEventsPerMember
	s.Behaviour.Intensity = &busy
	return s, nil
}

func bench(c *cli.Context) error {
	events, members, runs := c.Int("events"), c.Int("members"), c.Int("runs")
	if members == 0 {
		members = max(10, events/100)
	}
	switch {
	case events < 1000:
		return usage("--events %d: at least 1000, or nothing is measured but the start", events)
	case members < 10 || members > 1_000_000:
		return usage("--members %d: between 10 and 1000000 are played", members)
	case runs < 1:
		return usage("--runs %d: at least one", runs)
	}
	if stage := c.String("pass"); stage != "" {
		p, err := benchStage(c.Context, stage, c.String("file"), events, members)
		if err != nil {
			return err
		}
		return json.NewEncoder(c.App.Writer).Encode(p)
	}
	dir, err := os.MkdirTemp("", "sandtable-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	var all []benchPass
	for _, form := range []string{"pb", "pb.zst", "jsonl"} {
		file := filepath.Join(dir, "bench."+form)
		for _, stage := range []string{"simulate", "decode", "order", "assess", "digest"} {
			n := runs
			if stage == "simulate" {
				n = 0 // once: it makes the file
			}
			var ps []benchPass
			for i := range n + 1 {
				bar.show(stage+" "+form, int64(i), int64(n+1))
				p, err := benchChild(c, stage, file, events, members)
				if err != nil {
					return err
				}
				if p.Form = form; i > 0 || n == 0 {
					ps = append(ps, p)
				}
			}
			slices.SortFunc(ps, func(a, b benchPass) int { return cmp.Compare(a.Seconds, b.Seconds) })
			all = append(all, ps[len(ps)/2])
		}
		os.Remove(file)
	}
	bar.done()
	if c.Bool("json") {
		return encodeJSON(c.App.Writer, map[string]any{"machine": machine(), "members": members, "runs": runs, "passes": all})
	}
	printBench(c.App.Writer, all, members, runs)
	return nil
}

// benchChild carries out one stage in a process of its own.
func benchChild(c *cli.Context, stage, file string, events, members int) (p benchPass, err error) {
	self, err := exec.LookPath(os.Args[0]) // by the name it was called by: the file may go by several
	if err != nil {
		if self, err = os.Executable(); err != nil {
			return p, err
		}
	}
	cmd := exec.CommandContext(c.Context, self, "bench", "--pass", stage, "--file", file, "--events", fmt.Sprint(events), "--members", fmt.Sprint(members))
	cmd.Stderr = c.App.ErrWriter
	out, err := cmd.Output()
	if err != nil {
		if c.Context.Err() != nil { // the child was told to stop, which is no fault of its own
			return p, c.Context.Err()
		}
		return p, fmt.Errorf("%s of %s: %w", stage, filepath.Base(file), err)
	}
	if err := json.Unmarshal(out, &p); err != nil {
		return p, err
	}
	p.CPU, p.Peak = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peakRSS(cmd.ProcessState)
	return p, nil
}

// benchStage is what the child does: everything up to and with its stage.
func benchStage(ctx context.Context, stage, file string, events, members int) (p benchPass, err error) {
	s, err := benchWorld(events, members)
	if err != nil {
		return p, err
	}
	if p.Stage = stage; stage == "simulate" {
		brisk.adopt()
	} else {
		lean.adopt()
	}
	var before, after runtime.MemStats
	var began time.Time
	start := func() {
		runtime.ReadMemStats(&before)
		began = time.Now()
	}
	switch stage {
	case "simulate":
		form, err := stream.FormOf(file)
		if err != nil {
			return p, err
		}
		form.Unhashed = true // as simulate does
		f, err := os.Create(file)
		if err != nil {
			return p, err
		}
		start()
		w := stream.NewFormWriter(f, simulate.WireProfile(s.Telemetry), form)
		_, err = rehearsal.Play(ctx, rehearsal.Options{Scenario: s}, w.Write)
		if err := errors.Join(err, w.Close(), f.Close()); err != nil {
			return p, err
		}
		p.Events = w.Events()
	case "decode", "order":
		dir, err := org.Build(&s.Config, s.Seed)
		if err != nil {
			return p, err
		}
		src, err := stream.Open([]string{file}, stream.Options{Unhashed: true, Borrow: true, Packed: true, Prepare: replay.Prepare(dir, alert.Mark)})
		if err != nil {
			return p, err
		}
		rp := replay.New(replay.Options{From: s.Period.From.Time, Until: s.Period.To.Time.AddDate(0, 0, 1), Directory: dir})
		start()
		if err := src.EachBlock(ctx, func(b *otlp.Batch) error {
			if p.Events += int64(b.Len()); stage == "decode" {
				return nil
			}
			return rp.Take(b)
		}); err != nil {
			return p, err
		}
		rp.Close()
	case "assess", "digest":
		start()
		r, err := rehearsal.Run(ctx, rehearsal.Options{Scenario: s, Streams: []string{file}, Key: rules.SimulatedKey(int64(s.Seed)), Brief: true, Unhashed: stage == "assess"})
		if err != nil {
			return p, err
		}
		p.Events = r.Replay.Received
	default:
		return p, usage("--pass %s is no stage", stage)
	}
	p.Seconds = time.Since(began).Seconds()
	runtime.ReadMemStats(&after)
	p.Allocs = after.Mallocs - before.Mallocs
	if st, err := os.Stat(file); err == nil {
		p.Bytes = st.Size()
	}
	return p, nil
}

func printBench(out io.Writer, all []benchPass, members, runs int) {
	fmt.Fprintf(out, "%s\n%s events of an organisation of %s members; reading: the middle one of %d runs, file in the page cache.\n\n",
		machine(), thousands(all[0].Events), thousands(int64(members)), runs)
	fmt.Fprintf(out, "%-8s %-27s %12s %14s %14s %10s\n", "form", "stage", "events/s", "CPU an event", "allocs/event", "peak RSS")
	what := map[string]string{"simulate": "play and write", "decode": "open, decode, derive", "order": "... and put in order", "assess": "... all engines, findings", "digest": "... and SHA-256 of the file"}
	form := ""
	for _, p := range all {
		name := ""
		if p.Form != form {
			form, name = p.Form, p.Form
		}
		peak := "-"
		if p.Peak > 0 {
			peak = fmt.Sprintf("%d MiB", p.Peak>>20)
		}
		n := float64(p.Events)
		fmt.Fprintf(out, "%-8s %-27s %12s %11.2f us %14.2f %10s\n", name, what[p.Stage], thousands(int64(n/p.Seconds)), p.CPU/n*1e6, float64(p.Allocs)/n, peak)
	}
	fmt.Fprintf(out, "\nCPU is of the whole process: its start and the building of the organisation are in it. A bundle states the SHA-256\nof what it read: run and assess do what the last row does; compare, doctor, trace and plan need no digest.\n")
}

// machine names what the figures belong to.
func machine() string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimLeft(name, "\t :")
				break
			}
		}
	}
	version := Version
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				version += " (" + s.Value[:12] + ")"
			}
		}
	}
	return fmt.Sprintf("sandtable %s, %s, %s/%s, %d processors used, %s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), model)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
