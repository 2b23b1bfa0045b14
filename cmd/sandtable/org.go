package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

func orgCommand() *cli.Command {
	orgFlag := &cli.StringFlag{Name: "org", Usage: "the organisation: `SCENARIO`, a shipped name or a file (required)"}
	at := &cli.StringFlag{Name: "at", Usage: "the moment asked about, a `TIME` such as 2026-05-11 or 2026-05-11T14:30:00Z (default: noon of the last day of the period)"}
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON"}
	return &cli.Command{
		Name: "org", Usage: "who may do what, and why",
		Subcommands: []*cli.Command{
			{
				Name: "explain", Usage: "the chain of levels behind one answer", ArgsUsage: "MEMBER [QUESTION...]",
				Description: "MEMBER is an id, an e-mail address, an account, or a place such as claims#1, the first of Claims (all#1: of everybody).\n" +
					"QUESTION is a capability (cowork), CONNECTOR or CONNECTOR/TOOL, plugin:NAME, skill:NAME, model:NAME, or server:NAME\n" +
					"for a server of the member's own. Without one every capability is answered in a line.\n\n" +
					"   sandtable org explain claims#1 cowork documents/read_document --org insurer-claims",
				Flags: []cli.Flag{orgFlag, at, asJSON, setFlag()}, Action: explainMember,
			},
			{
				Name: "matrix", Usage: "groups by what they may use, with the reason of every row", ArgsUsage: "SCENARIO",
				Description: "--csv writes a sheet to edit: the columns role, grant and because are read back with --from, which shows what\n" +
					"changes and, with -o, writes a scenario that extends the first one.",
				Flags: []cli.Flag{at, asJSON, setFlag(),
					&cli.BoolFlag{Name: "csv", Usage: "print a sheet to edit"},
					&cli.BoolFlag{Name: "members", Usage: "members by capabilities instead of groups"},
					&cli.StringFlag{Name: "from", Usage: "read the edited sheet `CSV` back and show the difference"},
					&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "with --from: write the edited scenario to `FILE`"},
					forceFlag(),
				}, Action: showMatrix,
			},
			suggestCommand(orgFlag),
		},
	}
}

// access is the organisation of a scenario with the engine that decides in it,
// as a run would have them.
func access(s *scenarios.Scenario) (*rbac.Engine, *org.Directory, error) {
	g, err := rehearsal.Prepare(s)
	if err != nil {
		return nil, nil, err
	}
	return g.Access, g.Directory, nil
}

func moment(c *cli.Context, s *scenarios.Scenario) (time.Time, error) {
	text := c.String("at")
	if text == "" {
		return s.Period.To.Time.Add(12 * time.Hour), nil
	}
	t, err := org.ParseMoment(text)
	if err != nil {
		return t, usage("--at: %v", err)
	}
	return t, nil
}

func loadOrg(c *cli.Context) (*scenarios.Scenario, error) {
	if c.String("org") == "" {
		return nil, usage("--org SCENARIO is missing; for example --org insurer-claims, or the file of your own")
	}
	s, err := scenarios.Load(c.String("org"), c.StringSlice("set")...)
	if err != nil {
		return nil, asUsage(err)
	}
	return s, nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func explainMember(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("MEMBER is missing, for example: sandtable org explain claims#1 cowork --org insurer-claims")
	}
	s, err := loadOrg(c)
	if err != nil {
		return err
	}
	t, err := moment(c, s)
	if err != nil {
		return err
	}
	e, dir, err := access(s)
	if err != nil {
		return err
	}
	member, err := rbac.PickMember(dir, c.Args().First())
	if err != nil {
		return usage("%v", err)
	}
	var qs []rbac.Question
	var wrong []error
	for _, a := range c.Args().Tail() {
		q, err := e.Ask(a)
		if err != nil {
			wrong = append(wrong, err)
		}
		qs = append(qs, q)
	}
	if len(wrong) > 0 {
		return usage("%v", errors.Join(wrong...))
	}
	brief := len(qs) == 0
	if brief {
		for _, n := range e.Capabilities() {
			qs = append(qs, rbac.Question{Kind: "capability", Name: n})
		}
	}
	var xs []rbac.Explanation
	for _, q := range qs {
		xs = append(xs, e.Explain(member, q, t))
	}
	st := e.Standing(member, t)
	if c.Bool("json") {
		return printJSON(c.App.Writer, struct {
			Member   string             `json:"member"`
			Standing rbac.Standing      `json:"standing"`
			Answers  []rbac.Explanation `json:"answers"`
		}{rbac.Place(dir, member), st, xs})
	}
	out := c.App.Writer
	fmt.Fprintf(out, "%s at %s, by the facts of %s\n", rbac.Place(dir, member), t.Format(time.RFC3339), s.AsOf)
	role := st.OrgRole
	switch {
	case st.Removed:
		role = "none: in no mapped group (by hand it was " + st.OrgRole + ")"
	case st.RoleBy != "":
		role += " by the mapping of group " + st.RoleBy + or(st.Assigned, ", in place of ")
	}
	seat := or(st.Seat, " on seat ")
	if st.SeatBy != "" && !strings.Contains(st.Seat, " or ") {
		seat += " by the mapping of group " + st.SeatBy
	}
	fmt.Fprintf(out, "  organisation role %s%s; groups: %s; custom roles: %s\n", role, seat, listed(st.Groups), listed(st.Roles))
	if !st.Since.IsZero() {
		fmt.Fprintf(out, "  in force since %s%s\n", st.Since.Format(time.RFC3339), or(strings.Join(st.By, "; "), ": "))
	}
	if !st.Settled.IsZero() {
		fmt.Fprintf(out, "  a change is spreading until %s at the latest\n", st.Settled.Format(time.RFC3339))
	}
	for _, x := range xs {
		if brief {
			decides := ""
			for _, step := range x.Steps {
				if step.Decides {
					decides = rbac.LevelName(step.Level) + ": " + step.Text
				}
			}
			if f := x.Flight; f != nil {
				var before, what []string
				for _, b := range f.Before {
					before = append(before, strings.ReplaceAll(b.Outcome, "_", " "))
				}
				for _, ch := range f.Changes {
					what = append(what, ch.What)
				}
				decides = fmt.Sprintf("%s until it has arrived, by %s at the latest, then %s: %s", strings.Join(before, " or "), f.Until.Format(time.RFC3339), strings.ReplaceAll(f.After.Outcome, "_", " "), strings.Join(what, "; "))
			}
			fmt.Fprintf(out, "  %-22s %-13s %s\n", x.Question, x.Outcome, decides)
			continue
		}
		printExplanation(out, x)
	}
	if brief {
		fmt.Fprintf(out, "\nAsk for one of them to see every level: sandtable org explain %s cowork --org %s\n", c.Args().First(), c.String("org"))
	}
	return nil
}

func printExplanation(out io.Writer, x rbac.Explanation) {
	fmt.Fprintf(out, "\n%s: %s", x.Question, strings.ToUpper(x.Outcome.String()))
	if x.Level != "" {
		fmt.Fprintf(out, " (%s)", strings.ReplaceAll(x.Level, "_", " "))
	}
	fmt.Fprintln(out)
	width := 0
	for _, st := range x.Steps {
		width = max(width, len(rbac.LevelName(st.Level)))
	}
	for _, st := range x.Steps {
		mark := " "
		if st.Decides {
			mark = ">"
		}
		fmt.Fprintf(out, "%s %-*s  %-10s %s\n", mark, width, rbac.LevelName(st.Level), first(st.Effect, "-"), st.Text)
	}
	for _, n := range x.Notes {
		fmt.Fprintf(out, "  %s\n", n)
	}
	fmt.Fprintf(out, "  (> decides) %s\n", x.Glossary)
}

// or puts a prefix before a text that may be empty.
func or(s, prefix string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func listed(ss []string) string {
	if len(ss) == 0 {
		return "none"
	}
	return strings.Join(ss, ", ")
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

func showMatrix(c *cli.Context) error {
	name, err := argument(c, "SCENARIO")
	if err != nil {
		return err
	}
	s, err := scenarios.Load(name, c.StringSlice("set")...)
	if err != nil {
		return asUsage(err)
	}
	t, err := moment(c, s)
	if err != nil {
		return err
	}
	if c.String("from") != "" {
		return matrixFrom(c, name, s, t)
	}
	if c.String("output") != "" {
		return usage("--output goes with --from; to keep a sheet write sandtable org matrix %s --csv > sheet.csv", name)
	}
	e, dir, err := access(s)
	if err != nil {
		return err
	}
	out := c.App.Writer
	if c.Bool("members") {
		rows := e.MemberMatrix(t)
		switch {
		case c.Bool("json"):
			return printJSON(out, struct {
				Time         time.Time        `json:"time"`
				Capabilities []string         `json:"capabilities"`
				Members      []rbac.MemberRow `json:"members"`
			}{t, e.Capabilities(), rows})
		case c.Bool("csv"):
			w := csv.NewWriter(out)
			for _, r := range rows {
				if r.Place == rows[0].Place {
					w.Write([]string{"member", "organisation_role", "groups", "capability", "outcome", "reason"})
				}
				for i, n := range e.Capabilities() {
					w.Write([]string{r.Place, r.OrgRole, strings.Join(r.Groups, ";"), n, r.Outcomes[i], r.Reasons[i]})
				}
			}
			w.Flush()
			return w.Error()
		}
		printMembers(out, e.Capabilities(), rows, t)
		return nil
	}
	if c.Bool("csv") {
		_, err := out.Write(e.Sheet(t))
		return err
	}
	m := e.Matrix(t)
	if c.Bool("json") {
		return printJSON(out, m)
	}
	printMatrix(out, s, m, e, dir.Len())
	return nil
}

func printMatrix(out io.Writer, s *scenarios.Scenario, m rbac.Matrix, e *rbac.Engine, members int) {
	plan := s.At(m.Time).Organisation.Plan.Value
	fmt.Fprintf(out, "%s, plan %s, at %s by the facts of %s\n", s.Organisation.Name, plan, m.Time.Format(time.RFC3339), s.AsOf)
	fmt.Fprintf(out, "Cowork reaches: %s\n", map[string]string{"off": "nobody", "all": "everybody, or everybody on the plain User role", "groups": "those whom a group gives it", "": "not known"}[m.Scope])
	if plan != "enterprise" {
		fmt.Fprintf(out, "This plan has no groups and no custom roles: what is on is on for everybody.\n")
	}
	fmt.Fprintln(out, "\nMembers by capability (--members lists them):")
	for _, n := range e.Capabilities() {
		counts := map[rbac.Outcome]int{}
		for i := range members {
			counts[e.Allowed(i, n, m.Time)]++
		}
		var parts []string
		for _, o := range []rbac.Outcome{rbac.Allow, rbac.Deny, rbac.InFlight, rbac.Indeterminate} {
			if counts[o] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[o], o))
			}
		}
		fmt.Fprintf(out, "  %-24s %s\n", n, strings.Join(parts, ", "))
	}
	for _, r := range m.Rows {
		roles := listed(r.Roles)
		if r.Unread {
			roles = "not known, no export shows them"
		}
		fmt.Fprintf(out, "\n%s (%s, %d %s; roles: %s)\n", r.Group, first(r.Source, "source not stated"), r.Members, plural(r.Members, "member", "members"), roles)
		if r.Purpose != "" {
			fmt.Fprintf(out, "  %s\n", r.Purpose)
		}
		width := 0
		for _, cell := range r.Cells {
			width = max(width, len(cellName(cell)))
		}
		denied, levels, untouched := map[string][]string{}, []string(nil), []string(nil)
		for _, cell := range r.Cells {
			name := cellName(cell)
			switch {
			case cell.Level == "deny" || cell.Level == "not_available":
				if denied[cell.By] == nil {
					levels = append(levels, cell.By)
				}
				denied[cell.By] = append(denied[cell.By], name)
				continue
			case cell.Untouched:
				untouched = append(untouched, name)
				continue
			}
			why := cell.Because
			switch {
			case why == "" && cell.Level == "indeterminate":
				why = "not known: " + rbac.LevelName(cell.By)
			case why == "" && len(cell.Roles) > 0:
				why = "NO REASON WRITTEN"
			case why == "":
				why = "by " + first(rbac.LevelName(cell.By), "the organisation")
			}
			fmt.Fprintf(out, "  %-*s  %-13s %s\n", width, name, strings.ReplaceAll(cell.Level, "_", " "), why)
		}
		if len(untouched) > 0 {
			fmt.Fprintf(out, "  asked for, as the role was never set up for connectors: %s\n", strings.Join(untouched, ", "))
		}
		for _, l := range levels {
			fmt.Fprintf(out, "  denied by %s: %s\n", rbac.LevelName(l), strings.Join(denied[l], ", "))
		}
	}
	if len(m.Flags) > 0 {
		fmt.Fprintf(out, "\nTo look at (%d):\n", len(m.Flags))
	}
	for _, f := range m.Flags {
		fmt.Fprintf(out, "  %-8s %-19s %s\n", f.Severity, f.ID, f.Text)
	}
	fmt.Fprintln(out, "\nA group shows what it gives alone; a member of several has the union. Reasons are checked for presence, not for quality.")
}

// cellName is a row of the matrix as org explain spells it.
func cellName(c rbac.Cell) string {
	if c.Kind == "plugin" || c.Kind == "skill" {
		return c.Kind + ":" + c.Name
	}
	return c.Name
}

func printMembers(out io.Writer, caps []string, rows []rbac.MemberRow, t time.Time) {
	fmt.Fprintf(out, "%d members at %s\n\n%-22s %-8s", len(rows), t.Format(time.RFC3339), "member", "role")
	for _, n := range caps {
		fmt.Fprintf(out, " %-*s", max(len(n), 5), n)
	}
	fmt.Fprintln(out, "  why (first capability that is not allowed)")
	for _, r := range rows {
		fmt.Fprintf(out, "%-22s %-8s", r.Place, r.OrgRole)
		why := ""
		for i, n := range caps {
			o := r.Outcomes[i]
			if o == "indeterminate" {
				o = "?"
			}
			fmt.Fprintf(out, " %-*s", max(len(n), 5), o)
			if why == "" && r.Outcomes[i] != "allow" {
				why = n + ": " + r.Reasons[i]
			}
		}
		fmt.Fprintf(out, "  %s\n", why)
	}
}

func matrixFrom(c *cli.Context, name string, s *scenarios.Scenario, t time.Time) error {
	data, err := readInput(c, c.String("from"))
	if err != nil {
		return err
	}
	ed, err := rbac.ReadSheet(s.At(t), c.String("from"), data)
	if err != nil {
		return asUsage(err)
	}
	out := c.App.Writer
	if len(ed.Lines) == 0 {
		fmt.Fprintln(out, "The sheet says what the scenario says; nothing changes.")
	}
	for _, l := range ed.Lines {
		fmt.Fprintln(out, l)
	}
	after := *s.At(t)
	after.Roles, after.Groups, after.Changes = ed.Roles, ed.Groups, nil
	for _, ch := range s.Changes {
		// What was changed by then is in the sheet; who came and went is not.
		if !ch.When.After(t) && ch.Policy() {
			if ch.Group == nil || ch.Group.Add == nil && ch.Group.Remove == nil {
				continue
			}
			ch.Group = &org.GroupChange{Name: ch.Group.Name, Add: ch.Group.Add, Remove: ch.Group.Remove}
		}
		after.Changes = append(after.Changes, ch)
	}
	if len(ed.Lines) > 0 {
		if err := printReach(out, s, &after, t); err != nil {
			return err
		}
	}
	file := c.String("output")
	if file == "" || len(ed.Lines) == 0 {
		return nil
	}
	if err := settled(s, t); err != nil {
		return err
	}
	text := draftOver(name, s, "edited", fmt.Sprintf("The roles of %s as edited in %s.", s.Name.Value, filepath.Base(c.String("from"))),
		"groups", ed.Groups, "roles", ed.Roles)
	return writeScenario(c, file, text)
}

// printReach counts the members whose answers an edit changes, by capability.
func printReach(out io.Writer, s *scenarios.Scenario, after *org.Config, t time.Time) error {
	e, _, err := access(s)
	if err != nil {
		return err
	}
	next := *s
	next.Config = *after
	e2, dir, err := access(&next)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nMembers it touches:")
	any := false
	for _, d := range rbac.Reach(e, e2, t) {
		any = true
		fmt.Fprintf(out, "  %-28s %s to %s: %d %s\n", d.Question, d.From, d.To, len(d.Members), plural(len(d.Members), "member", "members"))
	}
	if !any {
		fmt.Fprintf(out, "  none of the %d\n", dir.Len())
	}
	return nil
}

// settled refuses to write roles over a scenario whose dated changes would be made
// once more on top of them.
func settled(s *scenarios.Scenario, t time.Time) error {
	for i := range s.Changes {
		ch := &s.Changes[i]
		if (ch.Role != nil || ch.Group != nil && ch.Policy()) && !ch.When.After(t) {
			return usage("the scenario changes roles or groups on %s (%s), so that rewriting them as of %s would make that change twice; write the difference above as a dated change of your own, or ask --at a time before it",
				ch.On.Value, ch, t.Format(time.DateOnly))
		}
	}
	return nil
}

// draftOver is a scenario that extends another one and replaces parts of it.
func draftOver(base string, s *scenarios.Scenario, suffix, title string, parts ...any) []byte {
	name := strings.Trim(s.Name.Value+"-"+suffix, "-")
	head := org.YAML("name", name, "title", title, "extends", base)
	return append(append(head, '\n'), org.YAML(parts...)...)
}

// writeScenario writes a scenario file after seeing that it loads.
func writeScenario(c *cli.Context, file string, data []byte) error {
	if err := notOver(c, file); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		return err
	}
	if _, err := scenarios.LoadFile(file); err != nil {
		return fmt.Errorf("%s was written but does not load:\n%w", file, err)
	}
	fmt.Fprintf(c.App.Writer, "\nWrote %s.\n", file)
	return nil
}

// readInput reads a file, or standard input for "-", up to a limit.
func readInput(c *cli.Context, name string) ([]byte, error) {
	const limit = 64 << 20
	r := c.App.Reader
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, failure{exitUsage, err}
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, usage("%s is larger than %d MB", name, limit>>20)
	}
	return data, nil
}

func suggestCommand(orgFlag cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "suggest", Usage: "grants that a stream shows nobody using, as a role diff", ArgsUsage: "STREAM...",
		Description: "A row is suggested for removal only if no group that carries the role used it and nothing in the stream could hide\n" +
			"the use. -o writes a scenario without the rows, for sandtable compare.",
		Flags: []cli.Flag{orgFlag, &cli.BoolFlag{Name: "json", Usage: "print JSON"}, setFlag(),
			&cli.BoolFlag{Name: "all", Usage: "list the rows in use, too"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the scenario without the unused rows to `FILE`"},
			forceFlag()},
		Action: suggest,
	}
}

func suggest(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("STREAM is missing; name a capture, for example: sandtable org suggest capture.jsonl --org my-org.yaml")
	}
	s, err := loadOrg(c)
	if err != nil {
		return err
	}
	e, _, err := access(s)
	if err != nil {
		return err
	}
	var use *rbac.Usage
	counts, _, err := replayed(c, c.Args().Slice(), replay.Options{From: s.Period.From.Time, Until: s.Period.To.Time.AddDate(0, 0, 1)}, func() []replay.Observer {
		use = rbac.NewUsage(e)
		return []replay.Observer{use}
	})
	if err != nil {
		return err
	}
	if counts.Events == 0 {
		return fmt.Errorf("not one of %d records lies in the period %s to %s, so nothing can be said about use", counts.Received, s.Period.From, s.Period.To)
	}
	sug := use.Suggest(counts.Last)
	out := c.App.Writer
	if c.Bool("json") {
		if err := printJSON(out, sug); err != nil {
			return err
		}
	} else {
		printSuggestion(out, sug, c.Bool("all"))
	}
	if file := c.String("output"); file != "" {
		if len(sug.Lines) == 0 {
			fmt.Fprintf(c.App.ErrWriter, "No row can be taken out, so %s is not written.\n", file)
			return nil
		}
		if err := settled(s, counts.Last); err != nil {
			return err
		}
		text := draftOver(c.String("org"), s, "trimmed", fmt.Sprintf("%s without the grants nobody used from %s to %s.", s.Name.Value,
			sug.First.Format(time.DateOnly), sug.Last.Format(time.DateOnly)), "groups", sug.Edit.Groups, "roles", sug.Edit.Roles)
		return writeScenario(c, file, text)
	}
	return nil
}

func printSuggestion(out io.Writer, sug rbac.Suggestion, all bool) {
	fmt.Fprintf(out, "%d Cowork records from %s to %s (%d days)\n", sug.Records, sug.First.Format(time.DateOnly), sug.Last.Format(time.DateOnly), sug.Days)
	byVerdict := map[string]int{}
	group := ""
	for _, g := range sug.Grants {
		byVerdict[g.Verdict]++
		if g.Verdict == "used" && !all {
			continue
		}
		if g.Group != group {
			group = g.Group
			fmt.Fprintf(out, "\n%s (%d of %d members in the stream)\n", g.Group, g.Heard, g.Members)
		}
		fmt.Fprintf(out, "  %-30s %-13s %s", g.Grant, g.Verdict, first(or(g.Role, "role "), "the group's own setting"))
		if g.Uses > 0 {
			fmt.Fprintf(out, ": %d uses by %d of %d", g.Uses, g.Users, g.Heard)
		}
		fmt.Fprintln(out, or(g.Note, "; "))
	}
	fmt.Fprintf(out, "\n%d rows: %d used, %d unused, %d the stream cannot show, %d of groups nobody heard from, %d behind withheld names\n",
		len(sug.Grants), byVerdict["used"], byVerdict["unused"], byVerdict["not visible"], byVerdict["nobody heard"], byVerdict["hidden"])
	b := sug.Blind
	fmt.Fprintf(out, "Blind spots: %d records without a member, %d of members the directory does not know, %d calls to servers without a name, %d skills or plugins without one\n",
		b.Unattributed, b.Strangers, b.Unnamed, b.UnnamedItems)
	if sug.Days < 92 {
		fmt.Fprintf(out, "%d days do not show what is done once a quarter.\n", sug.Days)
	}
	if len(sug.Lines) == 0 {
		fmt.Fprintln(out, "\nNo row can be taken out on this evidence.")
		return
	}
	fmt.Fprintln(out, "\nCould go:")
	for _, l := range sug.Lines {
		fmt.Fprintf(out, "  %s\n", l)
	}
}
