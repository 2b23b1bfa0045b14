package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/reports"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "the chain from a verdict to its elements, their evidence, and the facts and events behind it",
		ArgsUsage: "ID DIR",
		Description: "DIR is a bundle that run or assess wrote. ID is an obligation, a framework, a gap (audit-log, computer-use,\n" +
			"data-residency), a claim, a need, a check, a control, an observation, a fact or a finding.\n\n" +
			"   sandtable explain hipaa-164.312.b out/insurer-claims",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print the entry, its facts and its findings as JSON"}},
		Action: explain,
	}
}

func explain(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("ID and DIR are expected, for example: sandtable explain hipaa-164.312.b out/insurer-claims")
	}
	id, dir := c.Args().Get(0), c.Args().Get(1)
	if info, err := os.Stat(id); err == nil && info.IsDir() { // the other way round is as clear
		id, dir = dir, id
	}
	data, err := os.ReadFile(filepath.Join(dir, "assessment.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage("%s holds no assessment.json, so it is no bundle; sandtable run SCENARIO writes one", dir)
	case err != nil:
		return err
	}
	var a assess.Assessment
	if err := json.Unmarshal(data, &a); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "assessment.json"), err)
	}
	var findings []reports.Finding
	f, err := os.Open(filepath.Join(dir, "findings.jsonl"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintln(c.App.ErrWriter, "sandtable: findings.jsonl is missing, so findings are named only")
	case err != nil:
		return err
	default:
		defer f.Close()
		if findings, err = reports.ReadFindings(f); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, "findings.jsonl"), err)
		}
	}
	if _, diffs, err := reports.Verify(dir); err != nil || len(diffs) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "sandtable: %s differs from its manifest; sandtable verify %s says where\n", dir, dir)
	}
	doc, err := reports.Explain(&a, findings, id)
	if err != nil {
		return asUsage(err)
	}
	if c.Bool("json") {
		return explainJSON(c.App.Writer, &a, data, findings, id)
	}
	fmt.Fprint(c.App.Writer, doc.Text())
	return nil
}

// explainJSON gives the entry that an id names as it stands in the bundle, with
// the facts and the findings that it names.
func explainJSON(w io.Writer, a *assess.Assessment, data []byte, findings []reports.Finding, id string) error {
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return err
	}
	out := struct {
		ID       string            `json:"id"`
		Kind     string            `json:"kind"`
		Entry    any               `json:"entry"`
		Facts    []assess.FactUse  `json:"facts"`
		Findings []reports.Finding `json:"findings"`
	}{ID: id, Facts: []assess.FactUse{}, Findings: []reports.Finding{}}
	for _, k := range [][2]string{{"obligations", "obligation"}, {"frameworks", "framework"}, {"gaps", "gap"}, {"claims", "claim"}, {"needs", "need"},
		{"checks", "check"}, {"controls", "control"}, {"observations", "observation"}, {"facts_used", "fact"}} {
		list, _ := doc[k[0]].([]any)
		for _, x := range list {
			e, _ := x.(map[string]any)
			name, _ := e["id"].(string)
			citation, _ := e["citation"].(string)
			if out.Entry == nil && (strings.EqualFold(name, id) || citation != "" && strings.EqualFold(citation, id) || k[1] == "obligation" && strings.HasPrefix(id, name+"/")) {
				out.ID, out.Kind, out.Entry = name, k[1], e
			}
		}
	}
	named := map[string]bool{}
	if out.Entry == nil { // what Explain knows is one of the above, or a finding
		for _, f := range findings {
			if f.ID == id {
				out.Kind, out.Entry = "finding", f
				for _, x := range f.Facts {
					named[x] = true
				}
			}
		}
	}
	cited(out.Entry, named)
	for _, f := range a.FactsUsed {
		if named[f.ID] {
			out.Facts = append(out.Facts, f)
		}
	}
	for _, f := range findings {
		if named[f.ID] {
			out.Findings = append(out.Findings, f)
		}
	}
	return encodeJSON(w, out)
}

// cited collects what lists called facts or findings name, at any depth.
func cited(v any, into map[string]bool) {
	switch x := v.(type) {
	case map[string]any:
		for k, y := range x {
			if list, ok := y.([]any); ok && (k == "facts" || k == "findings") {
				for _, z := range list {
					if s, ok := z.(string); ok {
						into[s] = true
					}
				}
			}
			cited(y, into)
		}
	case []any:
		for _, y := range x {
			cited(y, into)
		}
	}
}
