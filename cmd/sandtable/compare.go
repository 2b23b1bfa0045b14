package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "what one change does to access, spend, alerts, evidence and verdicts", ArgsUsage: "A [B]",
		Description: "A and B are scenarios or bundles. Without B, B is A with --set-b laid over it.\nAttempts of A, played or from --stream, are judged under both policies.\n" +
			"Gates that hold phases back are held against the play, or against --stream; the output says which phases they hold.\n" +
			"Where B differs in a few settings, each is tried alone, so that a difference can be laid to the one that makes it.\n" +
			"With --gates and A alone it is a change log: what differs from one phase of A's rollout to the next, a page each.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "stream", Usage: "replay this `STREAM` under both instead of playing them; may be repeated"},
			&cli.StringSliceFlag{Name: "set-b", Usage: "lay `KEY=VALUE` over B alone; may be repeated"},
			&cli.StringFlag{Name: "prices-b", Usage: "B at the dated prices of `FILE` (form of inputs/prices.yaml in a bundle) over the shipped list; with one argument, of the same scenario"},
			setFlag(),
			&cli.BoolFlag{Name: "gates", Usage: "the change log of A's rollout, from gate to gate"},
			&cli.StringFlag{Name: "key", Usage: "key of the pseudonyms, needed with --stream: `FILE`"},
			&cli.StringFlag{Name: "pdf", Usage: "write the comparison to `FILE` as a PDF, too: one page and an annex"},
			&cli.StringFlag{Name: "html", Usage: "write the comparison to `FILE` as one HTML page, too"},
			forceFlag(),
			&cli.BoolFlag{Name: "json", Usage: "print the comparison as JSON"},
		},
		Action: compare,
	}
}

// side is a scenario to play, or a bundle.
type side struct {
	name     string
	scenario *scenarios.Scenario
	data     fs.FS // facts and the like of a bundle; nil: those shipped
	result   *rehearsal.Result
	prices   *platform.PriceList // over those of data; nil: none
	bundle   bool
	stream   string // where the played stream lies
}

func (s *side) options(streams []string, key []byte) rehearsal.Options {
	return rehearsal.Options{Scenario: s.scenario, Data: s.data, Prices: s.prices, Streams: streams, Key: key, Unhashed: true}
}

func compare(c *cli.Context) error {
	names := c.Args().Slice()
	if err := notOver(c, c.String("pdf"), c.String("html")); err != nil {
		return err
	}
	if c.Bool("gates") {
		return changeLog(c, names)
	}
	list, err := priceList(c.String("prices-b"), "--prices-b")
	if err != nil {
		return err
	}
	if len(names) == 1 && (len(c.StringSlice("set-b")) > 0 || list != nil) {
		names = append(names, names[0])
	}
	if len(names) != 2 {
		return usage("compare needs two scenarios or bundles, or one and --set-b KEY=VALUE or --prices-b FILE; found %s", counted(len(names), "argument"))
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
	if list != nil && len(streams) == 0 && b.bundle {
		return usage("--prices-b: %s is a bundle, which was priced already; name its scenario, or a --stream to price anew", names[1])
	}
	if len(streams) == 0 && b.scenario != nil {
		if err := inForce(list, "--prices-b", c.String("prices-b"), b.scenario.AsOf); err != nil {
			return err
		}
	}
	b.prices = list
	played := a.scenario != nil && b.scenario != nil && !a.bundle && !b.bundle
	if len(streams) == 0 && played && a.scenario.Seed != b.scenario.Seed {
		// The same people have to live under both, or every difference is theirs.
		if b.scenario, err = b.scenario.Set(fmt.Sprintf("seed=%d", a.scenario.Seed)); err != nil {
			return asUsage(err)
		}
		fmt.Fprintf(c.App.ErrWriter, "B is played with the seed of A (%d), so that the same people live under both.\n", a.scenario.Seed)
	}
	if played && a.scenario.Exam() != b.scenario.Exam() {
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
		if key, _, err = captureKey(c, ""); err != nil {
			return err
		}
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	var rolled []string
	if len(streams) > 0 {
		bar.show("holding gates against the stream", 0, 0)
		if rolled, err = holdSides(c, a, b, streams, key); err != nil {
			return asUsage(err)
		}
	}
	dir, err := os.MkdirTemp("", "sandtable-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i, s := range []*side{a, b} {
		if s.bundle && len(streams) == 0 {
			continue
		}
		if s.scenario == nil {
			return usage("the scenario of %s was not kept in the bundle, so --stream cannot be replayed under it", names[i])
		}
		o := s.options(streams, key)
		o.Progress = bar.show
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
		before, after := a.options(streams, key), b.options(streams, key)
		if played && len(streams) == 0 { // as their gates let the phases start
			before.Scenario, after.Scenario = a.result.Scenario, b.result.Scenario
		}
		if access, err = rehearsal.WhatIf(c.Context, before, after, from); err != nil {
			return err
		}
	}
	cmp := reports.Compare(a.result, b.result, access)
	cmp.Rollout = rolled
	if a.scenario != nil && b.scenario != nil {
		for _, d := range scenarios.Differ(a.scenario, b.scenario) {
			cmp.Changes = append(cmp.Changes, reports.Setting{Key: d.Key, A: d.A, B: d.B})
		}
	}
	if a.bundle && b.bundle && a.result.Assessment.FactSet != b.result.Assessment.FactSet {
		cmp.Changes = append(cmp.Changes, reports.Setting{Key: "fact set", A: a.result.Assessment.FactSet, B: b.result.Assessment.FactSet})
	}
	if list != nil {
		cmp.B.Prices = filepath.Base(c.String("prices-b"))
		cmp.Changes = append(cmp.Changes, reports.Setting{Key: pricesKey, A: "the shipped list", B: "those of " + cmp.B.Prices + " over it"})
	}
	alone, err := eachAlone(c, cmp, a, b, streams, key, bar)
	if err != nil {
		return err
	}
	cmp.Attribute(alone)
	bar.done()
	return printDocument(c, cmp.Document(), cmp)
}

// holdSides puts both scenarios into the state in which their gates leave them over
// the captures, and says so. A phase that A's gates would hold, but that was not
// held when the captures were made, is as written in B, too: that it was not is no
// effect of the change.
func holdSides(c *cli.Context, a, b *side, streams []string, key []byte) ([]string, error) {
	if a.scenario == nil || b.scenario == nil {
		return nil, nil
	}
	ha, err := rehearsal.HoldOver(c.Context, a.options(streams, key), false, nil)
	if err != nil {
		return nil, err
	}
	var except []string
	if ha.Against > 0 {
		for _, h := range ha.Held {
			except = append(except, h.Phase)
		}
	}
	hb, err := rehearsal.HoldOver(c.Context, b.options(streams, key), true, except)
	if err != nil {
		return nil, err
	}
	la, lb := ha.Lines(reports.HeldText), hb.Lines(reports.HeldText)
	a.scenario, b.scenario = ha.Scenario, hb.Scenario
	if slices.Equal(la, lb) {
		return la, nil
	}
	var out []string
	for i, lines := range [][]string{la, lb} {
		for _, l := range lines {
			out = append(out, "Under "+string(rune('A'+i))+": "+l)
		}
	}
	return out, nil
}

// pricesKey is a change of prices, which is no setting of a scenario.
const pricesKey = "prices"

// maxAlone is how many settings are tried one by one.
const maxAlone = 6

// eachAlone runs A with each changed setting by itself. What cannot stand alone,
// such as a role without the group that names it, is left nil and says so.
func eachAlone(c *cli.Context, cmp *reports.Comparison, a, b *side, streams []string, key []byte, bar *progress) ([]*reports.Comparison, error) {
	alone := make([]*reports.Comparison, len(cmp.Changes))
	if len(cmp.Changes) < 2 {
		return alone, nil
	}
	why := ""
	switch {
	case a.bundle || b.bundle:
		why = "No: bundles are not played again"
	case len(cmp.Changes) > maxAlone:
		why = fmt.Sprintf("No: more than %d settings differ", maxAlone)
	}
	for i := range cmp.Changes {
		ch := &cmp.Changes[i]
		if ch.NotAlone != "" {
			continue
		}
		if why != "" {
			ch.NotAlone = why
			continue
		}
		if ch.B == "" {
			ch.NotAlone = "No: B leaves it out"
			continue
		}
		one := &side{scenario: a.scenario, data: a.data}
		if ch.Key == pricesKey {
			one.prices = b.prices
		} else if s, err := a.scenario.Set(ch.Key + "=" + ch.B); err == nil {
			one.scenario = s
		} else {
			ch.NotAlone = "No: it needs the others"
			continue
		}
		bar.show("trying "+ch.Key+" alone", 0, 0)
		if len(streams) > 0 {
			if _, err := holdSides(c, &side{scenario: a.scenario, data: a.data}, one, streams, key); err != nil {
				return nil, err
			}
		}
		o := one.options(streams, key)
		o.Brief = true
		res, err := rehearsal.Run(c.Context, o)
		if err != nil {
			if c.Context.Err() != nil {
				return nil, err
			}
			ch.NotAlone = "No: it needs the others"
			continue
		}
		alone[i] = reports.Compare(a.result, res, nil)
	}
	return alone, nil
}

// changeLog compares the state before each phase of a rollout with the state
// before the next: the same people, the same days, cut off at the gates.
func changeLog(c *cli.Context, names []string) error {
	if len(names) != 1 || len(c.StringSlice("set-b"))+len(c.StringSlice("stream")) > 0 {
		return usage("--gates takes one scenario, and neither --set-b nor --stream; found %s", counted(len(names), "argument"))
	}
	s, err := scenarios.Load(names[0], c.StringSlice("set")...)
	if err != nil {
		return asUsage(err)
	}
	if s, _, err = schedule(c, s); err != nil { // a phase that its gate holds back begins later, or not at all
		return asUsage(err)
	}
	type cut struct {
		phase string
		last  source.Date // the last day before the next phase, or of the period
	}
	var cuts []cut
	phases := slices.Clone(s.Rollout)
	slices.SortStableFunc(phases, func(a, b scenarios.Phase) int { return a.From.Time.Compare(b.From.Time) })
	for _, p := range phases {
		if !p.From.After(s.Period.From) || p.From.After(s.Period.To) { // it began before anything was seen, or never does here
			if len(cuts) == 0 {
				cuts = append(cuts, cut{phase: p.Name, last: s.Period.To})
			} else if !p.From.After(s.Period.From) {
				cuts[0].phase = p.Name
			}
			continue
		}
		if len(cuts) == 0 {
			cuts = append(cuts, cut{phase: "before the rollout"})
		}
		cuts[len(cuts)-1].last = p.From.Add(-1)
		cuts = append(cuts, cut{phase: p.Name, last: s.Period.To})
	}
	if len(cuts) < 2 {
		return usage("%s has no phase that begins inside its period, so there is no gate to log; list phases under rollout", names[0])
	}
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	var steps []*reports.Comparison
	var before *side
	for i, x := range cuts {
		now := &side{scenario: until(s, x.last)}
		o := now.options(nil, nil)
		o.Brief, o.Settled, o.Progress = true, true, bar.show
		if now.result, err = rehearsal.Run(c.Context, o); err != nil {
			return err
		}
		if i > 0 {
			reach, err := rehearsal.Reach(before.options(nil, nil), now.options(nil, nil))
			if err != nil {
				return err
			}
			cmp := reports.Compare(before.result, now.result, &rbac.WhatIfResult{Reach: reach})
			cmp.Gate = fmt.Sprintf("From %s to %s", cuts[i-1].phase, x.phase)
			cmp.Changes = append(cmp.Changes, reports.Setting{B: fmt.Sprintf("%s begins on %s. Before is the state up to %s, after the state up to %s", x.phase, cuts[i-1].last.Add(1), cuts[i-1].last, x.last)})
			cmp.Changes = append(cmp.Changes, changesIn(s, cuts[i-1].last, x.last)...)
			steps = append(steps, cmp)
		}
		before = now
	}
	bar.done()
	return printDocument(c, reports.ChangeLog("Change log: "+s.Title, s.Organisation.Name, steps), steps)
}

// changesIn are the dated changes after a day and up to another, whole days in UTC.
func changesIn(s *scenarios.Scenario, after, last source.Date) (out []reports.Setting) {
	for i := range s.Changes {
		ch := &s.Changes[i]
		if !ch.When.Before(after.Add(1).Time) && ch.When.Before(last.Add(1).Time) {
			out = append(out, reports.Setting{B: ch.On.Value + ": " + ch.String()})
		}
	}
	return out
}

// until is the scenario with its period cut off after a day, and without what was
// to happen later. Incidents that name no day are drawn inside what is left.
func until(s *scenarios.Scenario, last source.Date) *scenarios.Scenario {
	out := *s
	out.Period.To, out.Expect = last, nil
	days := int(last.Time.Sub(s.Period.From.Time).Hours()/24) + 1
	out.Incidents = slices.DeleteFunc(slices.Clone(s.Incidents), func(i scenarios.Incident) bool { return i.Day > days })
	return &out
}

// printDocument prints a document, or what it was made of as JSON, and writes the files asked for.
func printDocument(c *cli.Context, d *reports.Document, v any) error {
	if err := writeDocuments(c, d); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, v)
	}
	_, err := fmt.Fprint(c.App.Writer, d.Text())
	return err
}

// openSide loads a scenario, or a bundle when the name is a directory with a
// manifest.
func openSide(name string, set []string) (*side, error) {
	if _, err := os.Stat(filepath.Join(name, reports.ManifestName)); err != nil {
		s, err := scenarios.Load(name, set...)
		if err != nil {
			return nil, asUsage(err)
		}
		return &side{name: name, scenario: s}, nil
	}
	if len(set) > 0 {
		return nil, usage("%s is a bundle: its values are what they were; --set goes with a scenario", name)
	}
	m, err := reports.ReadManifest(name)
	if err != nil {
		return nil, usage("%s: %v", name, err)
	}
	s := &side{name: name, bundle: true, result: &rehearsal.Result{Assessment: &assess.Assessment{}}}
	for _, f := range []struct {
		name string
		into any
	}{{"assessment.json", s.result.Assessment}, {"rules.json", &s.result.Rules}, {"spend.json", &s.result.Spend}} {
		data, err := os.ReadFile(filepath.Join(name, f.name))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, f.into); err != nil {
			return nil, usage("%s: %s cannot be read: %v", name, f.name, err)
		}
	}
	if j, err := again(name, m, ""); err == nil { // else the bundle does not hold it
		s.scenario, s.data = j.scenario, j.data
		if stream := filepath.Join(name, reports.StreamName); m.Stream != nil {
			s.stream = stream
		}
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
		fmt.Fprintf(out, "  members with Cowork %d, Cowork events %d, spent %s, members stopped %d, denied attempts %d, alerts %d\n", v.Members, v.Events, spend.Rounded(v.Spent), v.Stopped, v.Denied, v.Alerts)
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
