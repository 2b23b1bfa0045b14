package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

func planRolloutCommand() *cli.Command {
	var words strings.Builder
	for _, v := range rollout.Words() {
		fmt.Fprintf(&words, "\n   %-24s %-8s %s", v.Name, v.Type, v.Doc)
	}
	return &cli.Command{
		Name: "rollout", Usage: "phases, the gates before each, and whether they pass", ArgsUsage: "SCENARIO [STREAM...]",
		Description: "Without a STREAM the scenario is played; with one, adoption, spend, alerts and forecast of the document are those of the capture. A gate passes, fails, or cannot be evaluated; it holds a phase back only if\n" +
			"the scenario says hold_on_fail: its members then stay out of the play, and it starts on the first day on which the gate\n" +
			"passes, or not in the period. Over a capture gates only report. Words of a gate's condition:" + words.String(),
		Flags: append(planDocumentFlags(),
			&cli.StringSliceFlag{Name: "from", Usage: "a capture, in `STREAM`, to hold the gates against and to plan from; as STREAM, may be repeated"},
			&cli.BoolFlag{Name: "no-play", Usage: "do not play the scenario: gates that need a stream are not evaluable"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"}, setFlag(),
		),
		Action: planRollout,
	}
}

// rolloutPlan is what plan rollout prints.
type rolloutPlan struct {
	Scenario  string                `json:"scenario"`
	Evidence  string                `json:"evidence"` // played, captured or none
	Phases    []rollout.PhaseResult `json:"phases"`
	PlanMoves []planMove            `json:"plan_moves,omitempty"`
	Changes   []changeLine          `json:"changes,omitempty"`
	Departed  []departure           `json:"departures,omitempty"`
}

type changeLine struct {
	On      string `json:"on"`
	Arrives string `json:"arrives,omitempty"`
	What    string `json:"what"`
	Because string `json:"because,omitempty"`
}

// planMove is a dated change of the plan: what facts change with it, and what the
// configuration then still lacks.
type planMove struct {
	On      string   `json:"on"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Gained  []string `json:"gained"`
	Lost    []string `json:"lost"`
	Comes   []string `json:"comes_with"` // facts whose yes is the worse side for the customer
	Ends    []string `json:"falls_away"` // those that no longer hold
	Missing []string `json:"missing"`
}

type departure struct {
	Member  string `json:"member"` // a place, see org explain
	Left    string `json:"left"`
	Lag     string `json:"lag"`
	Text    string `json:"text"`
	Records int    `json:"records_after"`
	Flight  int    `json:"records_in_flight"` // of those, while the removal was on its way
}

func planRollout(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("SCENARIO is missing; see sandtable plan rollout --help")
	}
	if err := notOver(c, c.String("pdf"), c.String("html")); err != nil {
		return err
	}
	s, err := scenarios.Load(c.Args().First(), c.StringSlice("set")...)
	if err != nil {
		return asUsage(err)
	}
	streams := append(slices.Clone(c.Args().Tail()), c.StringSlice("from")...)
	var held []rollout.Held
	if len(streams) == 0 && !c.Bool("no-play") {
		if s, held, err = schedule(c, s); err != nil {
			return asUsage(err)
		}
	}
	g, err := rehearsal.Prepare(s)
	if err != nil {
		return err
	}
	obs, err := rollout.New(s, g.Access, g.Directory, g.NewLedger())
	if err != nil {
		return asUsage(err)
	}
	gates := func() []replay.Observer {
		obs, _ = rollout.New(s, g.Access, g.Directory, g.NewLedger()) // as just before
		return []replay.Observer{obs}
	}
	out := rolloutPlan{Scenario: s.Name.Value, Evidence: "none"}
	var found []rules.Finding
	switch {
	case len(streams) > 0:
		out.Evidence = "captured"
		if found, err = observeRollout(c, s, streams, nil, gates); err != nil {
			return err
		}
	case !c.Bool("no-play"):
		out.Evidence = "played"
		dir, err := os.MkdirTemp("", "sandtable")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if found, err = observeRollout(c, s, nil, &dir, gates); err != nil {
			return err
		}
	}
	out.Phases = obs.Result(found)
	rollout.Mark(out.Phases, held)
	out.PlanMoves, err = planMoves(s, g.Access)
	if err != nil {
		return err
	}
	for i := range s.Changes {
		ch := &s.Changes[i]
		out.Changes = append(out.Changes, changeLine{ch.On.Value, ch.Arrives.Value, ch.String(), ch.Because})
	}
	for _, d := range g.Access.Departures(s.Period.To.Time.AddDate(0, 0, 1)) {
		lag, exact := d.Lag()
		x := departure{Member: rbac.Place(g.Directory, d.Member), Left: d.Left.UTC().Format(time.RFC3339), Lag: "not stated", Text: d.String(), Records: d.Records, Flight: d.InFlight}
		switch {
		case exact:
			x.Lag = lag.String()
		case lag > 0:
			x.Lag = "at least " + lag.String()
		}
		out.Departed = append(out.Departed, x)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, out)
	}
	printRollout(c.App.Writer, s, out)
	return writePlanDocument(c, s, g, out.Phases, streams)
}

// schedule plays the scenario until it is known when its phases start.
func schedule(c *cli.Context, s *scenarios.Scenario) (*scenarios.Scenario, []rollout.Held, error) {
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	return rehearsal.Schedule(c.Context, rehearsal.Options{Scenario: s, Progress: bar.show})
}

// observeRollout runs the rehearsal for its findings, and passes the same stream
// through the gates that begin makes.
func observeRollout(c *cli.Context, s *scenarios.Scenario, streams []string, dir *string, begin func() []replay.Observer) ([]rules.Finding, error) {
	bar := newProgress(c.App.ErrWriter)
	defer bar.done()
	o := rehearsal.Options{Scenario: s, Streams: streams, Settled: true, Progress: bar.show}
	if dir != nil {
		o.StreamPath = filepath.Join(*dir, "stream.otlp.jsonl.zst")
		f, err := os.Create(o.StreamPath)
		if err != nil {
			return nil, err
		}
		o.StreamTo = f
		streams = []string{o.StreamPath}
	} else {
		// No member is named in what is printed, so that any key will do.
		o.Key = rules.SimulatedKey(int64(s.Seed))
		for _, n := range streams {
			if n == "-" {
				return nil, usage("the stream is read twice here, so standard input will not do; name a file")
			}
		}
	}
	res, err := rehearsal.Run(c.Context, o)
	if err != nil {
		return nil, err
	}
	_, _, err = replayed(c, streams, replay.Options{From: s.Period.From.Time, Until: s.Period.To.Time.AddDate(0, 0, 1)}, begin)
	return res.Findings, err
}

// planMoves tells what a dated change of the plan brings, by the facts whose
// answer differs, and what the configuration does not have by then.
func planMoves(s *scenarios.Scenario, e *rbac.Engine) ([]planMove, error) {
	facts, err := platform.Facts()
	if err != nil {
		return nil, err
	}
	var out []planMove
	was := s.Organisation.Plan.Value
	for i := range s.Changes {
		ch := &s.Changes[i]
		if ch.Plan.Value == "" || ch.Plan.Value == was {
			continue
		}
		m := planMove{On: ch.On.Value, From: was, To: ch.Plan.Value, Gained: []string{}, Lost: []string{}, Comes: []string{}, Ends: []string{}, Missing: []string{}}
		for _, id := range facts.IDs() {
			q := platform.Query{AsOf: s.AsOf, Plan: was, Arrangements: s.Organisation.Arrangements}
			a := facts.At(id, q)
			q.Plan = ch.Plan.Value
			b := facts.At(id, q)
			has := func(v platform.Value) bool { return v == platform.Yes || v == platform.Conditional }
			switch {
			case a.Fact.YesIs == platform.Gap && has(b.Value) && !has(a.Value):
				m.Comes = append(m.Comes, fmt.Sprintf("%s (%s)", b.Fact.Subject, id))
			case a.Fact.YesIs == platform.Gap && has(a.Value) && !has(b.Value):
				m.Ends = append(m.Ends, fmt.Sprintf("%s (%s)", a.Fact.Subject, id))
			case has(b.Value) && !has(a.Value):
				m.Gained = append(m.Gained, fmt.Sprintf("%s (%s)", b.Fact.Subject, id))
			case has(a.Value) && !has(b.Value):
				m.Lost = append(m.Lost, fmt.Sprintf("%s (%s)", a.Fact.Subject, id))
			}
		}
		m.Missing = append(m.Missing, missingAfter(s, e, ch.When)...)
		out = append(out, m)
		was = ch.Plan.Value
	}
	return out, nil
}

func missingAfter(s *scenarios.Scenario, e *rbac.Engine, on time.Time) []string {
	out := []string{}
	at := on.Add(12 * time.Hour)
	if s.Config.At(at).Organisation.Plan.Value != "enterprise" {
		return out
	}
	for _, f := range e.Flags(at) {
		if f.ID == "toggle-before-roles" || f.ID == "plain-user" || f.ID == "no-access" {
			out = append(out, f.Text)
		}
	}
	if len(s.Groups) == 0 {
		out = append(out, "no group is configured")
	}
	if s.Organisation.Directory != "scim" {
		out = append(out, "the directory is not filled by SCIM: leavers stay until somebody removes them")
	}
	if len(s.Spend.Groups) == 0 && !s.Spend.MemberDefault.Given {
		out = append(out, "no limit per member or group is configured")
	}
	return out
}

func printRollout(out io.Writer, s *scenarios.Scenario, p rolloutPlan) {
	fmt.Fprintf(out, "%s\n", s.Title)
	fmt.Fprintln(out, map[string]string{
		"played":   "Gates are held against the scenario as played: simulated evidence proves the gates, not the rollout.",
		"captured": "Gates are held against the captures named.",
		"none":     "No stream: gates that need one are not evaluable.",
	}[p.Evidence])
	if len(p.Phases) == 0 {
		fmt.Fprintln(out, "\nThe scenario has no rollout; list its phases under rollout.")
	}
	for i, ph := range p.Phases {
		fmt.Fprintf(out, "\n%d. %s (%s), %s: %s\n", i+1, ph.Name, ph.Kind, ph.From, strings.ToUpper(reports.PhaseStatus(ph)))
		fmt.Fprintf(out, "   groups %s; %d members with Cowork (%d gain it, %d lose it)\n", listed(ph.Groups), ph.Members, ph.Gained, ph.Lost)
		if ph.Window[0].Before(ph.Window[1]) {
			fmt.Fprintf(out, "   looked at: %s to %s\n", ph.Window[0].Format(time.DateOnly), ph.Window[1].Add(-time.Second).Format(time.DateOnly))
		} else if len(ph.Gates) > 0 {
			fmt.Fprintf(out, "   nothing came before it in this period, so only the configuration can be looked at\n")
		}
		for _, g := range ph.Gates {
			hold := ""
			if g.Hold {
				hold = " (holds)"
			}
			fmt.Fprintf(out, "   %-13s %s%s: %s\n", g.Result, g.Name, hold, g.When)
			if len(g.Seen) > 0 && g.Result != rollout.Pass {
				fmt.Fprintf(out, "   %-13s saw %s\n", "", strings.Join(g.Seen, "; "))
			}
			if g.Result == rollout.Fail && g.Because != "" {
				fmt.Fprintf(out, "   %-13s %s\n", "", g.Because)
			}
		}
		switch {
		case ph.Held != nil:
			fmt.Fprintf(out, "   %s\n", reports.HeldText(ph.Held))
		case ph.Status == "held":
			fmt.Fprintln(out, "   held: a gate that holds has failed. The access shown is that of the scenario as written: what was captured happened.")
		case ph.Status == "waits":
			fmt.Fprintln(out, "   waits for a phase before it that is held.")
		}
	}
	for _, m := range p.PlanMoves {
		fmt.Fprintf(out, "\n%s: the plan changes from %s to %s\n", m.On, m.From, m.To)
		for _, x := range []struct {
			word  string
			items []string
		}{{"gained", m.Gained}, {"lost", m.Lost}, {"comes with it", m.Comes}, {"falls away", m.Ends}, {"still missing", m.Missing}} {
			for _, it := range x.items {
				fmt.Fprintf(out, "   %-14s %s\n", x.word, it)
			}
		}
	}
	if len(p.Changes) > 0 {
		fmt.Fprintln(out, "\nDated changes:")
		for _, ch := range p.Changes {
			fmt.Fprintf(out, "   %s  %s%s%s\n", ch.On, ch.What, or(ch.Arrives, "; arrived "), or(ch.Because, ". "))
		}
	}
	if len(p.Departed) > 0 {
		fmt.Fprintln(out, "\nLeavers:")
		for _, d := range p.Departed {
			fmt.Fprintf(out, "   %-20s left %s; %s; %d records after leaving%s\n", d.Member, d.Left, d.Text, d.Records, or(map[bool]string{true: fmt.Sprint(d.Flight)}[d.Flight > 0], ", of them while the removal was on its way "))
		}
	}
}
