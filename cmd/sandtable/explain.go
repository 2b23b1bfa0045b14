package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	fmt.Fprint(c.App.Writer, doc.Text())
	return nil
}
