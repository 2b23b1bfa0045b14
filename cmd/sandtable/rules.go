package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess/quality"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/alert/export"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

func rulesCommand() *cli.Command {
	path := &cli.StringFlag{Name: "rules", Usage: "a rule file or folder instead of the shipped packs: `PATH`"}
	declared := &cli.StringFlag{Name: "declared", Usage: "what the organisation declares (allow-list, folders, inventory, roster), a YAML `FILE`; see rules env"}
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON"}
	return &cli.Command{
		Name: "rules", Usage: "list, test, explain, measure and export alert rules",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "the shipped rules, or those of a file or folder", ArgsUsage: "[PATH]", Flags: []cli.Flag{asJSON}, Action: rulesList},
			{Name: "show", Usage: "one rule in words", ArgsUsage: "RULE", Flags: []cli.Flag{path, &cli.BoolFlag{Name: "yaml", Usage: "print it as written, to start a rule of your own from"}}, Action: rulesShow},
			{Name: "env", Usage: "the words that conditions may use", Flags: []cli.Flag{asJSON}, Action: rulesEnv},
			{Name: "test", Usage: "run the tests inside rule files", ArgsUsage: "[PATH]",
				Flags:  []cli.Flag{&cli.StringFlag{Name: "junit", Usage: "write the results as JUnit XML to `FILE`"}, &cli.BoolFlag{Name: "v", Usage: "name every test"}, &cli.BoolFlag{Name: "json", Usage: "print every test as JSON; the exit code is the same"}},
				Action: rulesTest},
			{Name: "explain", Usage: "the values that decided what a rule made of one event", ArgsUsage: "RULE STREAM...",
				Flags: []cli.Flag{path, declared, &cli.StringFlag{Name: "event", Usage: "event `ID` as printed in reports, e.g. e42"},
					&cli.BoolFlag{Name: "include-content", Usage: "print prompts, paths and commands whole"}},
				Action: rulesExplain},
			{Name: "score", Usage: "measure rules on stories and their benign twins", ArgsUsage: "[PATH]",
				Description: "Plays the stories and twins of the simulator inside ordinary life, under each capture setting, and says what\neach rule caught, missed and got wrong. Seeds follow from the label and the digest of the rules.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the whole table as JSON to `FILE`"},
					&cli.IntFlag{Name: "instances", Usage: "`N` of each story under each setting", Value: 10},
					&cli.IntFlag{Name: "twins", Usage: "`N` of each twin", Value: 11},
					&cli.StringFlag{Name: "label", Usage: "draw other seeds by `NAME`", Value: "report"},
					&cli.StringFlag{Name: "stories", Usage: "play the stories of a YAML `FILE` as well"},
					&cli.BoolFlag{Name: "wording", Usage: "only print the errands, pastes and commands that such a file may name"},
					asJSON,
				}, Action: rulesScore},
			{Name: "backtest", Usage: "what rules would have raised over a capture, and what a change would do", ArgsUsage: "STREAM...",
				Flags: []cli.Flag{path, declared,
					&cli.StringFlag{Name: "rule", Usage: "`RULE` to change for the trial"},
					&cli.StringFlag{Name: "threshold", Usage: "another threshold `N` for the trial"},
					&cli.StringFlag{Name: "except", Usage: "one exception more for the trial, a condition `EXPR`"},
					&cli.BoolFlag{Name: "include-content", Usage: "name members by their account instead of a pseudonym"},
				}, Action: rulesBacktest},
			{Name: "export", Usage: "translate rules for a SIEM", ArgsUsage: "DIR",
				Description: "Writes one file a rule, notes on field names and a list of how faithful each translation is. What is not exact\nis written only with --approximate, and says how it differs. The companion rule that tells when the others are\nblind goes with every export. Exits 1 where approximate ones were held back.",
				Flags: []cli.Flag{path, declared,
					&cli.StringFlag{Name: "to", Usage: "`BACKEND`: " + strings.Join(export.Backends(), ", ")},
					&cli.BoolFlag{Name: "approximate", Usage: "write what is not exact as well"},
					asJSON,
				}, Action: rulesExport},
		},
	}
}

// loadRules reads what the path names, the shipped packs if it is empty.
func loadRules(path string) ([]*alert.Rule, error) {
	if path == "" {
		return alert.Load(alert.Packs())
	}
	rs, err := alert.LoadPath(path)
	if err != nil {
		return nil, asUsage(err)
	}
	return rs, nil
}

func optional(c *cli.Context) (string, error) {
	if c.NArg() > 1 {
		return "", usage("one file or folder is expected, found %d arguments: %s", c.NArg(), strings.Join(c.Args().Slice(), " "))
	}
	return c.Args().First(), nil
}

func ruleNamed(rs []*alert.Rule, id string) (*alert.Rule, error) {
	var names []string
	for _, r := range rs {
		if r.ID.Value == id {
			return r, nil
		}
		names = append(names, r.ID.Value)
	}
	if g := source.Nearest(id, names); g != "" {
		return nil, usage("there is no rule %q; did you mean %q?", id, g)
	}
	return nil, usage("there is no rule %q; there are: %s", id, strings.Join(names, ", "))
}

func rulesList(c *cli.Context) error {
	path, err := optional(c)
	if err != nil {
		return err
	}
	rs, err := loadRules(path)
	if err != nil {
		return err
	}
	w := c.App.Writer
	if c.Bool("json") {
		type row struct {
			ID       string   `json:"id"`
			Title    string   `json:"title"`
			Severity string   `json:"severity"`
			Status   string   `json:"status"`
			Topic    string   `json:"topic"`
			Owner    string   `json:"owner"`
			Needs    []string `json:"needs"`
			Catches  string   `json:"catches"`
			File     string   `json:"file"`
		}
		rows := []row{}
		for _, r := range rs {
			rows = append(rows, row{r.ID.Value, r.Title, r.Severity, r.Status, r.Topic.Value, r.Owner, append([]string{}, r.Needs.Categories...), r.Catches, r.ID.At.File})
		}
		return writeJSON(w, rows)
	}
	for _, r := range rs {
		needs := "metadata only"
		if len(r.Needs.Categories) > 0 {
			needs = strings.Join(r.Needs.Categories, ", ")
		}
		fmt.Fprintf(w, "%-32s %-8s %-12s %-28s %s\n", r.ID, r.Severity, r.Status, needs, r.Title)
	}
	fmt.Fprintf(w, "\n%d %s. sandtable rules show RULE tells what one catches and what it cannot see.\n", len(rs), plural(len(rs), "rule", "rules"))
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func rulesShow(c *cli.Context) error {
	id, err := argument(c, "the rule")
	if err != nil {
		return err
	}
	rs, err := loadRules(c.String("rules"))
	if err != nil {
		return err
	}
	r, err := ruleNamed(rs, id)
	if err != nil {
		return err
	}
	w := c.App.Writer
	if c.Bool("yaml") {
		text, err := alert.Text(r, c.String("rules"))
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		return err
	}
	para := func(head, text string) {
		if text != "" {
			fmt.Fprintf(w, "\n%s\n%s", head, wrap(text, 2, 98))
		}
	}
	fmt.Fprintf(w, "%s: %s\n%s, %s, topic %s, owner %s, %s\n", r.ID, r.Title, r.Severity, r.Status, r.Topic, r.Owner, r.ID.At)
	para("What it catches that nothing else would", r.Catches)
	para("How", r.Description)
	para("Where its numbers come from", r.Basis)
	kinds := "every event"
	if len(r.Kinds) > 0 {
		var ks []string
		for _, k := range r.Kinds {
			ks = append(ks, k.Value)
		}
		kinds = strings.Join(ks, ", ")
	}
	para("Listens to", kinds)
	para("Condition", r.Condition.Value)
	para("Correlation", r.Describe())
	for i, s := range r.Correlation.Steps {
		fmt.Fprintf(w, "  step %d: %s\n", i+1, s)
	}
	needs := "nothing but metadata"
	if len(r.Needs.Categories) > 0 {
		needs = "content: " + strings.Join(r.Needs.Categories, ", ")
	}
	for _, f := range r.Needs.Fields {
		needs += "; " + f.Value
	}
	para("Needs on the wire or declared; without it, not evaluable", needs)
	para("False positives", strings.Join(r.FalsePositives, " "))
	para("Runbook", r.Runbook)
	for _, x := range r.Exceptions {
		para("Exception until "+x.Expires.String()+", owner "+x.Owner, x.Reason+" ("+x.Condition.Value+")")
	}
	measured := "not measured: sandtable rules score measures these rules"
	if digest, err := alert.Digest(alert.Packs()); err == nil && c.String("rules") == "" {
		if table, ok := quality.Shipped(digest); ok {
			if row, ok := table.Row(r.ID.Value); ok {
				measured = fmt.Sprintf("%s, on %d stories and %d benign twins, one story in %d member-days.", row.Sentence(), table.Stories, table.Twins, table.MemberDaysPerStory)
				for _, s := range row.Stories {
					measured += fmt.Sprintf(" %s: %d of %d caught", s.Story, s.Caught, s.Played)
					if s.OutOfReach > 0 {
						measured += fmt.Sprintf(", %d out of reach", s.OutOfReach)
					}
					measured += "."
				}
			}
		}
	}
	para("Measured on simulated stories", measured)
	fmt.Fprintf(w, "\n%d tests. sandtable rules test runs them.\n", len(r.Tests))
	return nil
}

// wrap breaks text into lines of at most width characters after an indent.
func wrap(text string, indent, width int) string {
	var b strings.Builder
	line := 0
	pad := strings.Repeat(" ", indent)
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case line == 0:
			b.WriteString(pad)
		case line+1+n > width:
			b.WriteString("\n" + pad)
			line = 0
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += n
	}
	b.WriteByte('\n')
	return b.String()
}

func rulesEnv(c *cli.Context) error {
	w := c.App.Writer
	if c.Bool("json") {
		return writeJSON(w, struct {
			Version int             `json:"version"`
			Words   []condition.Var `json:"words"`
			Classes []string        `json:"classes"`
			Topics  []string        `json:"topics"`
			Kinds   []string        `json:"kinds"`
		}{alert.EnvVersion, alert.Vars(), alert.Classes(), alert.Topics(), kindNames()})
	}
	fmt.Fprintf(w, "Words of rule conditions, revision %d. A word that the wire does not carry is unknown: what depends on it neither\n"+
		"fires nor is clean. Only has(word) and word ?? other lead out of unknown.\n\n", alert.EnvVersion)
	for _, v := range alert.Vars() {
		fmt.Fprintf(w, "  %-20s %-9s %s\n", v.Name, v.Type, v.Doc)
	}
	fmt.Fprintf(w, "\nOperators: and or not, == != < <= > >=, in, contains startsWith endsWith, matches \"pattern\" (constant, at most %d bytes),\n"+
		"+ - *, a ? b : c, ??, len(x), lower(x), has(x), any(list, # ...), all(...), none(...).\n", condition.MaxPattern)
	fmt.Fprintf(w, "Limits: %d bytes and %d nodes an expression. There is no clock and no loop.\n", condition.MaxText, condition.MaxNodes)
	fmt.Fprintf(w, "\nCorrelation types: count, distinct, sum, absence, first_seen, rate, sequence.\n")
	fmt.Fprintf(w, "\nClasses of classifier(text, class): %s.\n", strings.Join(alert.Classes(), ", "))
	fmt.Fprintf(w, "\nKinds: %s.\n", strings.Join(kindNames(), ", "))
	fmt.Fprintf(w, "\nDeclared by the organisation (--declared FILE): allowlist, roots, session_spend, leavers {member: moment}, propagation,\n"+
		"desktop_floor, content, read_only, plugins, domains, workloads {member: [class]}, forbidden {member: [capability]}, remote_off,\n"+
		"zones {member: time zone}. What is left out is not declared: rules that need it are not evaluable.\n")
	return nil
}

func kindNames() []string {
	var out []string
	for _, k := range event.Kinds() {
		out = append(out, k.String())
	}
	return out
}

// junit is the part of the JUnit format that test reporters read.
type junit struct {
	XMLName  xml.Name     `xml:"testsuites" json:"-"`
	Tests    int          `xml:"tests,attr" json:"tests"`
	Failures int          `xml:"failures,attr" json:"failures"`
	Suites   []junitSuite `xml:"testsuite" json:"rules"`
}
type junitSuite struct {
	Name     string      `xml:"name,attr" json:"rule"`
	Tests    int         `xml:"tests,attr" json:"tests"`
	Failures int         `xml:"failures,attr" json:"failures"`
	Cases    []junitCase `xml:"testcase" json:"cases"`
}
type junitCase struct {
	Class   string        `xml:"classname,attr" json:"-"`
	Name    string        `xml:"name,attr" json:"name"`
	File    string        `xml:"file,attr" json:"file"`
	Line    int           `xml:"line,attr" json:"line"`
	Failure *junitFailure `xml:"failure" json:"failure,omitempty"`
}
type junitFailure struct {
	Message string `xml:"message,attr" json:"message"`
	Text    string `xml:",chardata" json:"text"`
}

func rulesTest(c *cli.Context) error {
	path, err := optional(c)
	if err != nil {
		return err
	}
	rs, err := loadRules(path)
	if err != nil {
		return err
	}
	w := c.App.Writer
	if c.Bool("json") {
		w = io.Discard
	}
	var doc junit
	var untested []string
	for _, r := range rs {
		suite := junitSuite{Name: r.ID.Value, Cases: []junitCase{}}
		failures := alert.RunTests(r)
		if len(r.Tests) == 0 {
			untested = append(untested, r.ID.Value)
		}
		for i := range r.Tests {
			t := &r.Tests[i]
			cs := junitCase{Class: r.ID.Value, Name: t.Name, File: t.At.File, Line: t.At.Line}
			at := slices.IndexFunc(failures, func(f alert.Failure) bool { return f.At == t.At })
			if at >= 0 {
				f := failures[at]
				fmt.Fprint(w, f.Diff())
				cs.Failure = &junitFailure{Message: "got " + f.Got, Text: f.Diff()}
				suite.Failures++
			} else if c.Bool("v") {
				fmt.Fprintf(w, "ok    %s: %s\n", r.ID, t.Name)
			}
			suite.Cases = append(suite.Cases, cs)
			suite.Tests++
		}
		doc.Suites = append(doc.Suites, suite)
		doc.Tests += suite.Tests
		doc.Failures += suite.Failures
	}
	if file := c.String("junit"); file != "" {
		out, err := xml.MarshalIndent(doc, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append([]byte(xml.Header), append(out, '\n')...), 0o644); err != nil {
			return err
		}
	}
	for _, id := range untested {
		fmt.Fprintf(w, "%s has no tests: nothing shows that it fires, or when it does not\n", id)
	}
	for _, r := range rs {
		if c := r.Unstated(); len(c) > 0 {
			fmt.Fprintf(w, "%s reads captured content and does not say so: add needs: {categories: [%s]}\n", r.ID, strings.Join(c, ", "))
		}
	}
	if c.Bool("json") {
		if err := encodeJSON(c.App.Writer, doc); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "%d %s, %d %s, %d failed\n", len(rs), plural(len(rs), "rule", "rules"), doc.Tests, plural(doc.Tests, "test", "tests"), doc.Failures)
	if doc.Failures > 0 {
		return quiet(exitFailure)
	}
	return nil
}

// declaredConfig reads --declared; without it nothing is declared.
func declaredConfig(c *cli.Context) (alert.Config, error) {
	file := c.String("declared")
	if file == "" {
		return alert.Config{}, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return alert.Config{}, err
	}
	return alert.ParseConfig(file, data)
}

// replayRules is replayed for rules; to read nothing is a failure.
func replayRules(c *cli.Context, paths []string, begin func() []replay.Observer) ([]rules.Finding, error) {
	counts, found, err := replayed(c, paths, replay.Options{}, begin)
	if err == nil && counts.Received == 0 {
		err = failure{exitFailure, fmt.Errorf("no usable record in %s", strings.Join(paths, ", "))}
	}
	return found, err
}

// observe is an observer from a function.
type observe func(*event.Event)

func (f observe) Observe(e *event.Event) { f(e) }

func rulesExplain(c *cli.Context) error {
	if c.NArg() < 2 {
		return usage("a rule and a stream are expected, e.g. sandtable rules explain session-spend capture.jsonl --event e42")
	}
	if c.String("event") == "" {
		return usage("--event ID is missing: write e42 as reports do")
	}
	want, err := strconv.ParseInt(strings.TrimPrefix(c.String("event"), "e"), 10, 64)
	if err != nil {
		return usage("%q is not an event id; write e42 as reports do", c.String("event"))
	}
	rs, err := loadRules(c.String("rules"))
	if err != nil {
		return err
	}
	r, err := ruleNamed(rs, c.Args().First())
	if err != nil {
		return err
	}
	cfg, err := declaredConfig(c)
	if err != nil {
		return err
	}
	var e *alert.Engine
	var explained bytes.Buffer
	alerts, err := replayRules(c, c.Args().Slice()[1:], func() []replay.Observer {
		e = alert.New([]*alert.Rule{r}, cfg)
		explained.Reset()
		return []replay.Observer{observe(func(ev *event.Event) {
			if ev.Index == want {
				explainEvent(&explained, r, ev, cfg, c.Bool("include-content"))
			}
		}), e}
	})
	if err != nil {
		return err
	}
	if explained.Len() == 0 {
		return failure{exitFailure, fmt.Errorf("there is no event e%d in the stream, or it repeats one that is", want)}
	}
	w := c.App.Writer
	if _, err := explained.WriteTo(w); err != nil {
		return err
	}
	cited := 0
	for _, f := range alerts {
		if slices.ContainsFunc(f.Events, func(x rules.EventRef) bool { return x.Index == want }) {
			cited++
			fmt.Fprintf(w, "\nCited by %s at %s: %s, %d %s\n", f.ID, f.Time.Format(time.RFC3339), f.Reason, f.Count, plural(f.Count, "event", "events"))
		}
	}
	rep := e.Reports()[0]
	if cited == 0 {
		fmt.Fprintf(w, "\nNo alert cites this event. Over the whole stream: %d reached, %d evaluable, %d matched, %d %s.\n", rep.Reached, rep.Evaluable, rep.Matched, rep.Alerts, plural(int(rep.Alerts), "alert", "alerts"))
	}
	for _, n := range rep.NotEvaluable {
		fmt.Fprintf(w, "Not evaluable %d times: %s\n", n.Count, n.Text)
	}
	return nil
}

// content are the words whose values are text of people's work.
var content = []string{"prompt", "response", "command", "tool_input", "path", "folder", "error", "host_paths", "record", "recipients"}

func explainEvent(w io.Writer, r *alert.Rule, ev *event.Event, cfg alert.Config, whole bool) {
	fmt.Fprintf(w, "%s: %s\n", r.ID, r.Title)
	fmt.Fprintf(w, "e%d: %s of %s at %s\n\n", ev.Index, ev.Name, ev.Product, ev.When().Format(time.RFC3339Nano))
	if !r.Listens(ev) {
		fmt.Fprintln(w, "The rule does not listen to this event: see its kinds and products with rules show.")
		return
	}
	verdict, lines := r.Explain(ev, cfg)
	fmt.Fprintf(w, "Condition\n%s\n", wrap(r.Condition.Value, 2, 98))
	for _, l := range lines {
		v := l.Value
		if !whole && slices.ContainsFunc(content, func(word string) bool { return l.Name == word }) && v != "unknown" {
			v = fmt.Sprintf("known, %d characters; --include-content prints it", utf8.RuneCountInString(v)-2)
		}
		fmt.Fprintf(w, "  %-40s %s\n", l.Name, v)
	}
	for i, s := range r.StepsHold(ev, cfg) {
		fmt.Fprintf(w, "  %-40s %s\n", fmt.Sprintf("step %d: %s", i+1, r.Correlation.Steps[i].Value), s)
	}
	switch verdict {
	case condition.True:
		fmt.Fprintln(w, "\nTrue: the event matches.")
	case condition.False:
		fmt.Fprintln(w, "\nFalse: the event does not match.")
	default:
		fmt.Fprintln(w, "\nUnknown: the event is not evaluable. It neither fires nor is clean.")
	}
	if d := r.Describe(); d != "" && verdict == condition.True {
		fmt.Fprintf(w, "An alert needs more: %s.\n", d)
	}
	if pairs, _ := r.KeyOf(ev); len(pairs) > 0 {
		for _, p := range pairs {
			fmt.Fprintf(w, "  key %-36s %s\n", p[0], p[1])
		}
	}
}

func rulesScore(c *cli.Context) error {
	if c.Bool("wording") {
		_, err := io.WriteString(c.App.Writer, simulate.Wording())
		return err
	}
	path, err := optional(c)
	if err != nil {
		return err
	}
	rs, err := loadRules(path)
	if err != nil {
		return err
	}
	digest := ""
	if path == "" {
		digest, err = alert.Digest(alert.Packs())
	} else {
		digest, err = alert.DigestPath(path)
	}
	if err != nil {
		return err
	}
	if c.Int("instances") < 1 || c.Int("twins") < 1 {
		return usage("--instances and --twins are 1 or more")
	}
	var stories *simulate.Stories
	if file := c.String("stories"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if stories, err = simulate.ParseStories(file, data); err != nil {
			return err
		}
	}
	table, err := quality.Score(c.Context, rs, digest, quality.Options{Label: c.String("label"), Stories: stories, Instances: c.Int("instances"), Twins: c.Int("twins"),
		Progress: measuring(c)})
	if err != nil {
		return err
	}
	if file := c.String("output"); file != "" {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		if err := errors.Join(table.Write(f), f.Close()); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return table.Write(c.App.Writer)
	}
	return table.Print(c.App.Writer)
}

// measuring shows on a terminal how far a measurement is.
func measuring(c *cli.Context) func(done, total int) {
	p := newProgress(c.App.ErrWriter)
	return func(done, total int) {
		p.show("playing", int64(done), int64(total))
		if done == total {
			p.done()
		}
	}
}

func rulesExport(c *cli.Context) error {
	dir, err := argument(c, "DIR")
	if err != nil {
		return err
	}
	if c.String("to") == "" {
		return usage("--to BACKEND is missing (%s)", strings.Join(export.Backends(), ", "))
	}
	if to := c.String("to"); !slices.Contains(export.Backends(), to) {
		if g := source.Nearest(to, export.Backends()); g != "" {
			return usage("%q is not a backend; did you mean %q?", to, g)
		}
		return usage("%q is not a backend; there are: %s", to, strings.Join(export.Backends(), ", "))
	}
	rs, err := loadRules(c.String("rules"))
	if err != nil {
		return err
	}
	cfg, err := declaredConfig(c)
	if err != nil {
		return err
	}
	files, list, err := export.Rules(rs, c.String("to"), export.Options{Config: cfg, Approximate: c.Bool("approximate")})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	w := c.App.Writer
	if c.Bool("json") {
		if err := writeJSON(w, list); err != nil {
			return err
		}
	}
	if there, err := os.ReadDir(dir); err == nil { // a SIEM that takes the folder would take these, too
		var old []string
		for _, e := range there {
			if !slices.ContainsFunc(files, func(f export.Artefact) bool { return f.Name == e.Name() }) {
				old = append(old, e.Name())
			}
		}
		if len(old) > 0 {
			fmt.Fprintf(c.App.ErrWriter, "In %s from before, and not of this export: %s\n", dir, shortened(old, 6))
		}
	}
	var count [3]int
	held := 0
	for _, f := range list {
		count[f.Level]++
		if f.Level == export.Approximate && f.File == "" {
			held++
		}
		if !c.Bool("json") {
			fmt.Fprintln(w, f)
		}
	}
	if !c.Bool("json") {
		fmt.Fprintf(w, "\n%d exact, %d approximate, %d refused; files in %s\n", count[export.Exact], count[export.Approximate], count[export.Refused], dir)
		if held > 0 {
			fmt.Fprintf(w, "%d approximate %s not written: --approximate writes them, each with its differences in its header\n", held, plural(held, "translation was", "translations were"))
		}
	}
	if held > 0 {
		return quiet(exitFailure)
	}
	return nil
}

func rulesBacktest(c *cli.Context) error {
	if c.NArg() == 0 {
		return usage("STREAM is missing; name a capture, for example: sandtable rules backtest capture.jsonl")
	}
	change := c.String("threshold") != "" || c.String("except") != ""
	if change != (c.String("rule") != "") {
		return usage("a trial needs --rule RULE and --threshold N or --except EXPR")
	}
	rs, err := loadRules(c.String("rules"))
	if err != nil {
		return err
	}
	if change {
		if _, err := ruleNamed(rs, c.String("rule")); err != nil {
			return err
		}
	}
	cfg, err := declaredConfig(c)
	if err != nil {
		return err
	}
	b, err := quality.NewBacktest(rs, cfg, c.String("rule"), c.String("threshold"), c.String("except"))
	if err != nil {
		return asUsage(err)
	}
	if _, err := replayRules(c, c.Args().Slice(), func() []replay.Observer {
		b, _ = quality.NewBacktest(rs, cfg, c.String("rule"), c.String("threshold"), c.String("except")) // as just before
		return []replay.Observer{b}
	}); err != nil {
		return err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	return b.Print(c.App.Writer, func(member string) string {
		if c.Bool("include-content") || member == "" {
			return member
		}
		return rules.Pseudonym(key, member)
	})
}
