package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/reports/pdf"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "what one change does to access, spend, alerts, evidence and verdicts", ArgsUsage: "A [B]",
		Description: "A and B are scenarios or bundles. Without B, B is A with --set-b laid over it.\nAttempts of A, played or from --stream, are judged under both policies.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "stream", Usage: "replay this `STREAM` under both instead of playing them; may be repeated"},
			&cli.StringSliceFlag{Name: "set-b", Usage: "lay `KEY=VALUE` over B alone; may be repeated"},
			&cli.StringFlag{Name: "prices-b", Usage: "B at the dated prices of `FILE` (form of inputs/prices.yaml in a bundle) over the shipped list; with one argument, of the same scenario"},
			setFlag(),
			&cli.StringFlag{Name: "key", Usage: "key of the pseudonyms, needed with --stream: `FILE`"},
			&cli.StringFlag{Name: "pdf", Usage: "write the comparison to `FILE` as a PDF, too"},
			&cli.BoolFlag{Name: "json", Usage: "print the comparison as JSON"},
		},
		Action: compare,
	}
}

// side is a scenario to play, or the assessment of a bundle.
type side struct {
	scenario *scenarios.Scenario
	bundle   *assess.Assessment
	result   *rehearsal.Result
	stream   string // where the played stream lies
}

func compare(c *cli.Context) error {
	names := c.Args().Slice()
	list, err := priceList(c.String("prices-b"), "--prices-b")
	if err != nil {
		return err
	}
	if len(names) == 1 && (len(c.StringSlice("set-b")) > 0 || list != nil) {
		names = append(names, names[0])
	}
	if len(names) != 2 {
		return usage("compare needs two scenarios or bundles, or one and --set-b KEY=VALUE or --prices-b FILE; found %d arguments", len(names))
	}
	a, err := openSide(names[0], c.StringSlice("set"))
	if err != nil {
		return err
	}
	b, err := openSide(names[1], append(c.StringSlice("set"), c.StringSlice("set-b")...))
	if err != nil {
		return err
	}
	streams := c.StringSlice("stream")
	if list != nil && len(streams) == 0 && b.bundle != nil {
		return usage("--prices-b: %s is a bundle, which was priced already; name its scenario, or a --stream to price anew", names[1])
	}
	if len(streams) == 0 && b.scenario != nil {
		if err := inForce(list, "--prices-b", c.String("prices-b"), b.scenario.AsOf); err != nil {
			return err
		}
	}
	if len(streams) == 0 && a.scenario != nil && b.scenario != nil && b.bundle == nil && a.scenario.Seed != b.scenario.Seed {
		// The same people have to live under both, or every difference is theirs.
		if b.scenario, err = b.scenario.Set(fmt.Sprintf("seed=%d", a.scenario.Seed)); err != nil {
			return asUsage(err)
		}
		fmt.Fprintf(c.App.ErrWriter, "B is played with the seed of A (%d), so that the same people live under both.\n", a.scenario.Seed)
	}
	if a.scenario != nil && b.scenario != nil && a.bundle == nil && b.bundle == nil && a.scenario.Exam() != b.scenario.Exam() {
		// A shipped exam scenario reads contested facts the lesson's way, a user's own
		// never does. Read differently, the facts would pass for an effect of the change.
		a.scenario.Shipped, b.scenario.Shipped = false, false
		fmt.Fprintln(c.App.ErrWriter, "Only one of the two is a shipped exam scenario; contested facts are read the safe way for both.")
	}
	var key []byte
	if len(streams) > 0 {
		if c.String("key") == "" {
			return usage("--stream needs --key FILE: members of a capture appear under pseudonyms; sandtable keygen --pseudonyms FILE makes one")
		}
		if key, err = captureKey(c, ""); err != nil {
			return err
		}
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	dir, err := os.MkdirTemp("", "sandtable-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i, s := range []*side{a, b} {
		if s.bundle != nil && len(streams) == 0 {
			continue
		}
		if s.scenario == nil {
			return usage("%s is a bundle over a capture: its scenario was not kept, so --stream cannot be replayed under it", names[i])
		}
		o := rehearsal.Options{Scenario: s.scenario, Streams: streams, Key: key, Progress: bar.show}
		if s == b {
			o.Prices = list
		}
		if len(streams) == 0 {
			s.stream = filepath.Join(dir, fmt.Sprintf("%d.otlp.jsonl.zst", i))
			if o.StreamTo, err = os.Create(s.stream); err != nil {
				return err
			}
			o.StreamPath = s.stream
		}
		if s.result, err = rehearsal.Run(c.Context, o); err != nil {
			return err
		}
	}
	var access *rbac.WhatIfResult
	from := streams
	if len(from) == 0 && a.stream != "" {
		from = []string{a.stream}
	}
	if len(from) > 0 && a.scenario != nil && b.scenario != nil {
		bar.show("comparing access", 0, 0)
		access, err = rehearsal.WhatIf(c.Context, rehearsal.Options{Scenario: a.scenario, Streams: streams, Key: key}, rehearsal.Options{Scenario: b.scenario, Streams: streams, Key: key}, from)
		if err != nil {
			return err
		}
	}
	var cmp *reports.Comparison
	if a.result != nil && b.result != nil {
		cmp = reports.Compare(a.result, b.result, access)
	} else {
		cmp = reports.CompareAssessments(a.assessment(), b.assessment())
		cmp.Access = access
	}
	if list != nil {
		cmp.B.Prices = filepath.Base(c.String("prices-b"))
	}
	bar.done()
	if name := c.String("pdf"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		if err := pdf.Write(f, cmp.Document()); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, cmp)
	}
	_, err = fmt.Fprint(c.App.Writer, cmp.Document().Text())
	return err
}

func (s *side) assessment() *assess.Assessment {
	if s.result != nil {
		return s.result.Assessment
	}
	return s.bundle
}

// openSide loads a scenario, or a bundle when the name is a directory with a
// manifest.
func openSide(name string, set []string) (*side, error) {
	if _, err := os.Stat(filepath.Join(name, reports.ManifestName)); err != nil {
		s, err := scenarios.Load(name, set...)
		if err != nil {
			return nil, asUsage(err)
		}
		return &side{scenario: s}, nil
	}
	if len(set) > 0 {
		return nil, usage("%s is a bundle: its values are what they were; --set goes with a scenario", name)
	}
	data, err := os.ReadFile(filepath.Join(name, "assessment.json"))
	if err != nil {
		return nil, err
	}
	s := &side{bundle: &assess.Assessment{}}
	if err := json.Unmarshal(data, s.bundle); err != nil {
		return nil, usage("%s: assessment.json cannot be read: %v", name, err)
	}
	file := filepath.Join(name, "inputs", "scenario.yaml")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if s.scenario, err = scenarios.LoadFile(file); err != nil {
		return nil, asUsage(err)
	}
	return s, nil
}

func sweepCommand() *cli.Command {
	return &cli.Command{
		Name: "sweep", Usage: "variants of a scenario side by side", ArgsUsage: "SCENARIO",
		Description: "Every combination of the values of every --vary is played, for example\n  sandtable sweep insurer-claims --vary as_of=2026-04-09,2026-06-30,2026-08-22,2026-10-08",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "vary", Usage: "the values of a `KEY=V1,V2`; may be repeated", Required: false},
			setFlag(),
			&cli.BoolFlag{Name: "json", Usage: "print the rows as JSON"},
		},
		Action: sweep,
	}
}

// maxVariants bounds what one sweep plays.
const maxVariants = 64

// variant is a row of a sweep.
type variant struct {
	Set        []string          `json:"set"`
	Posture    string            `json:"posture"`
	Frameworks map[string]string `json:"frameworks"`
	Events     int64             `json:"cowork_events"`
	Members    int               `json:"members_with_cowork"`
	Spent      int64             `json:"spend_micros"`
	Stopped    int               `json:"members_stopped"`
	Alerts     int               `json:"alerts"`
	Denied     int64             `json:"denied_attempts"`
}

func sweep(c *cli.Context) error {
	name, err := argument(c, "SCENARIO")
	if err != nil {
		return err
	}
	sets := [][]string{nil}
	for _, v := range c.StringSlice("vary") {
		k, list, ok := strings.Cut(v, "=")
		values := splitValues(list)
		if !ok || len(values) == 0 {
			return usage("--vary %q: write KEY=V1,V2", v)
		}
		var next [][]string
		for _, s := range sets {
			for _, x := range values {
				next = append(next, append(append([]string{}, s...), k+"="+x))
			}
		}
		if sets = next; len(sets) > maxVariants {
			return usage("--vary: %d variants, at most %d are played", len(sets), maxVariants)
		}
	}
	if len(sets) == 1 {
		return usage("--vary KEY=V1,V2 is missing: there is nothing to put side by side")
	}
	var rows []variant
	var loaded []*scenarios.Scenario
	for _, set := range sets { // all loaded before any is played
		s, err := scenarios.Load(name, append(c.StringSlice("set"), set...)...)
		if err != nil {
			return asUsage(err)
		}
		loaded = append(loaded, s)
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	var frameworks []assess.FrameworkResult
	for i, s := range loaded {
		res, err := rehearsal.Run(c.Context, rehearsal.Options{Scenario: s, Progress: bar.show})
		if err != nil {
			return err
		}
		a := res.Assessment
		v := variant{Set: sets[i], Posture: a.Answer.Posture, Frameworks: map[string]string{}, Events: a.Counters.CoworkEvents, Members: a.Counters.MembersWithCowork,
			Spent: a.Counters.SpendMicros, Stopped: a.Counters.BlockedMembers, Alerts: a.Counters.Alerts, Denied: a.Counters.Denied}
		for _, f := range a.Frameworks {
			v.Frameworks[f.ID] = assess.PostureName(f.Posture)
		}
		rows, frameworks = append(rows, v), a.Frameworks
	}
	bar.done()
	if c.Bool("json") {
		return printJSON(c.App.Writer, rows)
	}
	out := c.App.Writer
	for _, v := range rows {
		fmt.Fprintf(out, "%s\n  answer: %s\n", strings.Join(v.Set, ", "), assess.AnswerName(v.Posture))
		for _, f := range frameworks {
			fmt.Fprintf(out, "  %s: %s\n", f.Title, v.Frameworks[f.ID])
		}
		fmt.Fprintf(out, "  members with Cowork %d, Cowork events %d, spent %s, members stopped %d, denied attempts %d, alerts %d\n", v.Members, v.Events, spend.Dollars(v.Spent), v.Stopped, v.Denied, v.Alerts)
	}
	return nil
}

// splitValues splits at commas outside brackets and quotes, so that a list or a
// mapping can be one value.
func splitValues(s string) []string {
	var out []string
	depth, quote, from := 0, byte(0), 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == ',' && depth == 0 && quote == 0:
			if v := strings.TrimSpace(s[from:i]); v != "" {
				out = append(out, v)
			}
			from = i + 1
		case quote != 0:
			if s[i] == quote {
				quote = 0
			}
		case s[i] == '"' || s[i] == '\'':
			quote = s[i]
		case s[i] == '[' || s[i] == '{':
			depth++
		case s[i] == ']' || s[i] == '}':
			depth--
		}
	}
	return out
}
