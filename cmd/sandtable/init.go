package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org/exports"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "draft a scenario from administrative exports, every unknown as a question", ArgsUsage: "[EXPORT...]",
		Description: "Reads, in any mix and by what is in them: Admin API lists (users, groups, members, roles, permissions, invites, spend\n" +
			"limits), SCIM 2.0 lists and logged SCIM requests, Okta group members, Graph groups with members, the compliance interface's\n" +
			"settings in force and Activity Feed, analytics (summaries, users, connectors, skills, plugins, cost), and CSV: members, the\n" +
			"spend report, the table of skills, or a mapping of groups with the columns group, role, seat. A folder means all of its files.\n" +
			"Events of the feed become dated changes; the lists are taken for the state after them. The rows of a role are found by the id in the file name, as in permissions-rbac_role_01C.json, or by a\n" +
			"key rbac_role_id. What no export says stays unknown. Without exports the draft is all questions.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the draft to `FILE` (default: print it)"},
			&cli.BoolFlag{Name: "force", Usage: "replace FILE if it exists"},
			&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "ask the questions one by one; an empty answer leaves one open"},
		},
		Action: draft,
	}
}

func draft(c *cli.Context) error {
	file := c.String("output")
	if file != "" && !c.Bool("force") {
		if _, err := os.Stat(file); err == nil {
			return usage("%s exists; --force replaces it", file)
		}
	}
	names, err := exportFiles(c.Args().Slice())
	if err != nil {
		return err
	}
	d := exports.New(slices.Clone(scenarios.Capabilities))
	for _, n := range names {
		data, err := readInput(c, n)
		if err != nil {
			return err
		}
		d.Add(n, data)
	}
	s := d.Sketch()
	errs := c.App.ErrWriter
	if err := d.Problems().Err(); err != nil {
		return err
	}
	for _, l := range d.Read {
		fmt.Fprintf(errs, "read     %s\n", l)
	}
	for _, w := range d.Warnings {
		fmt.Fprintf(errs, "warning  %s\n", w)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(errs, "note     %s\n", n)
	}
	for _, k := range sortedNames(d.Ignored) {
		fmt.Fprintf(errs, "ignored  %s (%d)\n", k, d.Ignored[k])
	}
	if c.Bool("interactive") {
		if err := interview(c.App.Reader, errs, s); err != nil {
			return err
		}
	}
	data := s.YAML()
	if _, err := scenarios.Parse(first(file, "draft"), data, false, nil); err != nil {
		return fmt.Errorf("the draft does not load, which is a fault of this tool or of an export it trusts too much:\n%w", err)
	}
	if file == "" {
		_, err := c.App.Writer.Write(data)
		return err
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "Wrote %s with %d open %s.\nNext: answer them in the file, then sandtable org matrix %s\n", file, len(s.Questions), plural(len(s.Questions), "question", "questions"), file)
	return nil
}

func sortedNames(m map[string]int) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// exportFiles are the files behind the arguments, folders opened one level deep.
func exportFiles(args []string) ([]string, error) {
	var out []string
	for _, a := range args {
		if a == "-" {
			out = append(out, a)
			continue
		}
		st, err := os.Stat(a)
		if errors.Is(err, os.ErrNotExist) {
			if hits, _ := filepath.Glob(a); len(hits) > 0 {
				out = append(out, hits...)
				continue
			}
		}
		if err != nil {
			return nil, failure{exitUsage, err}
		}
		if !st.IsDir() {
			out = append(out, a)
			continue
		}
		entries, err := os.ReadDir(a)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				out = append(out, filepath.Join(a, e.Name()))
			}
		}
	}
	return out, nil
}

// interview asks the open questions. The end of input leaves the rest open.
func interview(in io.Reader, out io.Writer, s *exports.Sketch) error {
	sc := bufio.NewScanner(in)
	ask := slices.DeleteFunc(slices.Clone(s.Questions), func(q exports.Question) bool { return q.Form == "edit the file" })
	fmt.Fprintf(out, "\n%d questions, and %d that need an editor. An empty answer leaves one open.\n", len(ask), len(s.Questions)-len(ask))
	for i, q := range ask {
		fmt.Fprintf(out, "\n%d of %d  %s\n", i+1, len(ask), q.Text)
		if q.Why != "" {
			fmt.Fprintf(out, "        %s\n", q.Why)
		}
		for {
			fmt.Fprintf(out, "        %s%s > ", first(q.Form, "text"), or(q.Guess, ", meanwhile "))
			if !sc.Scan() {
				fmt.Fprintln(out, "\nNo more answers; the rest stays open.")
				return sc.Err()
			}
			if err := s.Answer(q.Key, sc.Text()); err != nil {
				fmt.Fprintf(out, "        %v\n", err)
				continue
			}
			break
		}
	}
	return nil
}
