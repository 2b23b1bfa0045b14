package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/reports/pdf"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func factsCommand() *cli.Command {
	asOf := &cli.StringFlag{Name: "as-of", Usage: "the `DATE` whose facts are meant (default: the last day any fact was verified)"}
	plan := &cli.StringFlag{Name: "plan", Usage: "only this `PLAN`: " + strings.Join(platform.Plans, ", ")}
	mode := &cli.StringFlag{Name: "mode", Usage: "execution `MODE`: " + strings.Join(platform.Modes, ", ")}
	with := &cli.StringSliceFlag{Name: "with", Usage: "a data `ARRANGEMENT` of the tenant: zdr, cmek, hipaa_ready, hipaa_configuration; may be repeated"}
	exam := &cli.BoolFlag{Name: "exam", Usage: "read contested facts the lesson's way"}
	ours := &cli.StringFlag{Name: "overlay", Usage: "what you know better about your own tenant: a `FILE` with facts: [{fact, value, who, date, evidence}]"}
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON"}
	return &cli.Command{
		Name: "facts", Usage: "what the platform does, by date, plan and source",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "every fact as of a day", ArgsUsage: "[WORD...]", Description: "WORDs narrow the list to facts that contain all of them.",
				Flags: []cli.Flag{asOf, plan, mode, with, exam, ours, asJSON}, Action: listFacts},
			{Name: "show", Usage: "one fact with all its records, sources and doubts", ArgsUsage: "FACT",
				Flags: []cli.Flag{asOf, plan, mode, with, exam, ours, asJSON}, Action: showFact},
			{Name: "diff", Usage: "what changed between two days", ArgsUsage: "FROM TO", Flags: []cli.Flag{plan, asJSON}, Action: diffFacts},
			{Name: "features", Usage: "the administration features on one page: plans, limits, use, the gap each closes and the gap it leaves",
				Flags: []cli.Flag{asOf, asJSON, &cli.StringFlag{Name: "pdf", Usage: "write the page as a PDF to `FILE`"}, forceFlag()}, Action: showFeatures},
		},
	}
}

// factQuery is what the flags ask: the catalogue, with the customer's overlay
// where one is given, and the query for one plan.
func factQuery(c *cli.Context) (*platform.Catalogue, platform.Query, error) {
	var q platform.Query
	facts, err := platform.Facts()
	if err != nil {
		return nil, q, err
	}
	if name := c.String("overlay"); name != "" {
		data, err := readInput(c, name)
		if err != nil {
			return nil, q, err
		}
		f, err := source.Parse(name, data)
		if err != nil {
			return nil, q, asUsage(err)
		}
		o, err := platform.ParseOverlay(f)
		if err != nil {
			return nil, q, asUsage(err)
		}
		if facts, err = facts.With(o); err != nil {
			if ps, ok := source.AsProblems(err); ok {
				err = f.Explain(ps).Err()
			}
			return nil, q, asUsage(err)
		}
	}
	q.AsOf = facts.LastVerified()
	if s := c.String("as-of"); s != "" {
		if q.AsOf, err = day("--as-of", s); err != nil {
			return nil, q, err
		}
	}
	q.Mode, q.Exam, q.Arrangements = c.String("mode"), c.Bool("exam"), c.StringSlice("with")
	if q.Mode != "" && !slices.Contains(platform.Modes, q.Mode) {
		return nil, q, usage("--mode: %q is not one of %s", q.Mode, strings.Join(platform.Modes, ", "))
	}
	if q.Plan = c.String("plan"); q.Plan != "" && !slices.Contains(platform.Plans, q.Plan) && q.Plan != "individual" {
		return nil, q, usage("--plan: %q is not one of %s", q.Plan, strings.Join(platform.Plans, ", "))
	}
	for _, a := range q.Arrangements {
		if known := []string{"zdr", "cmek", "hipaa_ready", "hipaa_configuration"}; !slices.Contains(known, a) {
			return nil, q, usage("--with: %q is not one of %s", a, strings.Join(known, ", "))
		}
	}
	return facts, q, nil
}

func day(what, s string) (source.Date, error) {
	d, err := source.ParseDate(s)
	if err != nil {
		return d, usage("%s: found %q, expected a day such as 2026-04-09", what, s)
	}
	return d, nil
}

// reading is one fact as of a day for people and for JSON.
type reading struct {
	Fact      string            `json:"fact"`
	Subject   string            `json:"subject"`
	AsOf      string            `json:"as_of"`
	Values    map[string]string `json:"values"` // by plan
	Statement string            `json:"statement,omitempty"`
	Why       map[string]string `json:"why"` // by plan
	Contested bool              `json:"contested,omitempty"`
	Footnote  string            `json:"footnote,omitempty"`
	Gap       bool              `json:"yes_is_the_gap,omitempty"`
	Marks     []string          `json:"marks,omitempty"` // customer, conflict, re-check, inside a change
}

// read asks a fact for the plans meant. A fact that speaks of modes only is
// asked for local sessions unless a mode was given.
func read(c *platform.Catalogue, f *platform.Fact, q platform.Query, plans []string) reading {
	r := reading{Fact: f.Name(), Subject: f.Subject, AsOf: q.AsOf.String(), Values: map[string]string{}, Why: map[string]string{}, Gap: f.YesIs == platform.Gap}
	marks := map[string]bool{}
	for _, p := range plans {
		q.Plan = p
		a := c.At(f.Name(), q)
		if a.Record == nil && q.Mode == "" && a.Customer == nil {
			local := q
			local.Mode = "local"
			if b := c.At(f.Name(), local); b.Record != nil {
				a = b
				marks["local sessions"] = true
			}
		}
		r.Values[p], r.Why[p] = a.Value.String(), a.Reason()
		if a.Record != nil {
			r.Statement = a.Record.Statement
		}
		r.Contested = r.Contested || a.Contested
		marks["customer's"] = marks["customer's"] || a.Customer != nil
		marks["conflict"] = marks["conflict"] || a.Conflict
		marks["re-check"] = marks["re-check"] || a.Stale
		marks["inside a change"] = marks["inside a change"] || a.InInterval
	}
	if r.Contested {
		r.Footnote = f.Footnote
	}
	for _, m := range []string{"customer's", "conflict", "re-check", "inside a change", "local sessions"} {
		if marks[m] {
			r.Marks = append(r.Marks, m)
		}
	}
	if r.Contested {
		r.Marks = append(r.Marks, "contested")
	}
	return r
}

func factPlans(q platform.Query) []string {
	if q.Plan != "" {
		return []string{q.Plan}
	}
	return []string{"team", "enterprise"}
}

func listFacts(c *cli.Context) error {
	facts, q, err := factQuery(c)
	if err != nil {
		return err
	}
	plans := factPlans(q)
	var out []reading
	for _, id := range facts.IDs() {
		f, _ := facts.Fact(id)
		r := read(facts, f, q, plans)
		text := strings.ToLower(id + " " + f.Subject + " " + r.Statement)
		if !slices.ContainsFunc(c.Args().Slice(), func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) }) {
			out = append(out, r)
		}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, out)
	}
	fmt.Fprintf(c.App.Writer, "Facts as of %s. yes and no answer whether the thing named is available or true; an asterisk marks facts whose yes is the gap.\n\n", q.AsOf)
	fmt.Fprintf(c.App.Writer, "%-33s", "")
	for _, p := range plans {
		fmt.Fprintf(c.App.Writer, "%-16s", p)
	}
	fmt.Fprintln(c.App.Writer)
	for _, r := range out {
		name := r.Fact
		if r.Gap {
			name += " *"
		}
		fmt.Fprintf(c.App.Writer, "%-33s", name)
		for _, p := range plans {
			fmt.Fprintf(c.App.Writer, "%-16s", r.Values[p])
		}
		line := r.Subject
		if len(r.Marks) > 0 {
			line += " [" + strings.Join(r.Marks, ", ") + "]"
		}
		fmt.Fprintln(c.App.Writer, line)
	}
	fmt.Fprintf(c.App.Writer, "\n%d of %d facts. One of them in full: sandtable facts show FACT\n", len(out), len(facts.IDs()))
	return nil
}

func showFact(c *cli.Context) error {
	facts, q, err := factQuery(c)
	if err != nil {
		return err
	}
	id, err := argument(c, "FACT")
	if err != nil {
		return err
	}
	f, ok := facts.Fact(id)
	if !ok {
		if g := source.Nearest(id, facts.IDs()); g != "" {
			return usage("%q is not a fact; did you mean %q?", id, g)
		}
		return usage("%q is not a fact; sandtable facts list names them all", id)
	}
	plans := platform.Plans
	if q.Plan != "" {
		plans = []string{q.Plan}
	}
	r := read(facts, f, q, plans)
	if c.Bool("json") {
		type record struct {
			Statement    string            `json:"statement"`
			Values       map[string]string `json:"values"`
			Scope        string            `json:"scope,omitempty"`
			Conditions   string            `json:"conditions,omitempty"`
			From         string            `json:"from"`
			To           string            `json:"to,omitempty"`
			Superseded   string            `json:"superseded,omitempty"` // when
			SupersededBy string            `json:"superseded_by,omitempty"`
			LastVerified string            `json:"last_verified"`
			Confidence   string            `json:"confidence"`
			Sources      []string          `json:"sources"`
		}
		var rs []record
		for i := range f.Records {
			x := &f.Records[i]
			when, by := superseded(f, x)
			rs = append(rs, record{x.Statement, x.Values, x.Scope(), x.ConditionsText, x.Start(), x.End(), when, by, x.LastVerified.String(), x.Confidence, sourcesOf(facts, x)})
		}
		return printJSON(c.App.Writer, struct {
			reading
			Lesson  string   `json:"lesson,omitempty"`
			Records []record `json:"records"`
		}{r, f.Lesson, rs})
	}
	w := c.App.Writer
	fmt.Fprintf(w, "%s\n%s\n\nAs of %s:\n", f.Name(), f.Subject, q.AsOf)
	for _, p := range plans {
		fmt.Fprintf(w, "  %-11s %-12s %s\n", p, r.Values[p], r.Why[p])
	}
	if r.Gap {
		fmt.Fprintln(w, "  (yes is the side with the gap)")
	}
	if len(r.Marks) > 0 {
		fmt.Fprintf(w, "  marked: %s\n", strings.Join(r.Marks, ", "))
	}
	if f.Lesson != "" {
		fmt.Fprintf(w, "\nThe lesson of 2026-04-09: %s.\n", strings.TrimRight(f.Lesson, ".\n "))
	}
	if f.Footnote != "" {
		fmt.Fprintf(w, "Contested: %s\n", f.Footnote)
	}
	for i := range f.Records {
		x := &f.Records[i]
		when, by := superseded(f, x)
		end := " to open"
		switch {
		case x.End() != "":
			end = " to " + x.End()
		case by != "":
			end = ", superseded " + when
		}
		fmt.Fprintf(w, "\n%s%s%s\n  %s\n", x.Start(), end, or(x.Scope(), "; "), strings.TrimSpace(x.Statement))
		if by != "" {
			fmt.Fprintf(w, "  superseded %s by: %s\n", when, by)
		}
		var vs []string
		for _, p := range platform.Plans {
			vs = append(vs, p+" "+x.ValueFor(p).String())
		}
		fmt.Fprintf(w, "  %s\n", strings.Join(vs, ", "))
		var ps []string
		for k, v := range x.Params {
			ps = append(ps, strings.ReplaceAll(k, "_", " ")+" "+v)
		}
		slices.Sort(ps)
		if ps != nil {
			fmt.Fprintf(w, "  as figures: %s\n", strings.Join(ps, ", "))
		}
		if x.ConditionsText != "" {
			fmt.Fprintf(w, "  on condition: %s\n", strings.TrimSpace(x.ConditionsText))
		}
		fmt.Fprintf(w, "  last verified %s, confidence %s\n", x.LastVerified, x.Confidence)
		for _, s := range sourcesOf(facts, x) {
			fmt.Fprintf(w, "  %s\n", s)
		}
		for _, o := range x.ConflictsWith {
			fmt.Fprintf(w, "  conflicts with %s\n", o.Value)
		}
	}
	return nil
}

// superseded says when another record of its scope took the place of x, "on" a day
// or "between" two, and what that one states. Both are empty when none did.
func superseded(f *platform.Fact, x *platform.Record) (when, by string) {
	o := f.Successor(x)
	if o == nil {
		return "", ""
	}
	when = o.Start()
	if o.From.Given() {
		when = "on " + when
	}
	return when, strings.TrimSpace(o.Statement)
}

func sourcesOf(c *platform.Catalogue, r *platform.Record) []string {
	var out []string
	for _, s := range r.Sources {
		full, _ := c.Source(s.Key)
		line := fmt.Sprintf("[%s] %s (%s; copy of %s)", s.Key, c.SourceTitle(s.Key), strings.ReplaceAll(s.Read, "_", " "), full.Copy)
		if full.URL != "" {
			line += " " + full.URL
		}
		out = append(out, line)
	}
	return out
}

func diffFacts(c *cli.Context) error {
	facts, q, err := factQuery(c)
	if err != nil {
		return err
	}
	if c.NArg() != 2 {
		return usage("FROM and TO are expected, for example: sandtable facts diff 2026-04-09 2026-08-22")
	}
	from, err := day("FROM", c.Args().Get(0))
	if err != nil {
		return err
	}
	to, err := day("TO", c.Args().Get(1))
	if err != nil {
		return err
	}
	if to.Before(from) {
		return usage("TO (%s) lies before FROM (%s)", to, from)
	}
	type change struct {
		Date  string `json:"date"`
		After string `json:"earliest,omitempty"`
		Fact  string `json:"fact"`
		Scope string `json:"scope,omitempty"`
		From  string `json:"from,omitempty"`
		To    string `json:"to"`
	}
	out := []change{}
	for _, x := range facts.Changes(from, to) {
		if q.Plan != "" && x.Record.ValueFor(q.Plan) == platform.NotApplicable {
			continue
		}
		out = append(out, change{x.Date.String(), x.Earliest.String(), x.Fact, x.Scope, x.From, x.To})
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, out)
	}
	w := c.App.Writer
	fmt.Fprintf(w, "After %s, up to %s:\n", from, to)
	for _, x := range out {
		when := x.Date
		if x.After != "" {
			when = "between " + x.After + " and " + x.Date
		}
		fmt.Fprintf(w, "\n%s  %s%s\n", when, x.Fact, or(x.Scope, ", "))
		if x.From != "" {
			fmt.Fprintf(w, "  was: %s\n", strings.TrimSpace(x.From))
		}
		fmt.Fprintf(w, "  now: %s\n", strings.TrimSpace(x.To))
	}
	if len(out) == 0 {
		fmt.Fprintln(w, "  nothing changed")
	}
	if to.After(facts.LastVerified()) {
		fmt.Fprintf(w, "\nNothing is known after %s, the last day any fact was verified.\n", facts.LastVerified())
	}
	return nil
}

func showFeatures(c *cli.Context) error {
	facts, q, err := factQuery(c)
	if err != nil {
		return err
	}
	features, err := platform.Features()
	if err != nil {
		return err
	}
	doc := reports.Features(facts, features, q.AsOf)
	if file := c.String("pdf"); file != "" {
		if err := notOver(c, file); err != nil {
			return err
		}
		var b bytes.Buffer
		if err := pdf.Write(&b, doc); err != nil {
			return err
		}
		if err := replaceFile(file, b.Bytes()); err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "Wrote %s.\n", file)
		return nil
	}
	if c.Bool("json") {
		type row struct {
			platform.Feature
			Plans string   `json:"plans"`
			Facts []string `json:"facts"`
		}
		var rows []row
		for _, f := range features {
			r := row{Feature: f, Plans: reports.Plans(facts, f.Gate.Value, q.AsOf)}
			for _, t := range f.Facts {
				r.Facts = append(r.Facts, t.Value)
			}
			rows = append(rows, r)
		}
		return printJSON(c.App.Writer, rows)
	}
	fmt.Fprint(c.App.Writer, doc.Text())
	return nil
}
