package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func rerunCommand() *cli.Command {
	return &cli.Command{
		Name: "rerun", Usage: "make a bundle again from its own inputs and compare the bytes", ArgsUsage: "DIR [STREAM...]",
		Description: "Reads the scenario and the rules out of the bundle, repeats the run in a temporary place and names each file\nwhose bytes differ; exits 1 if one does. Bytes are promised equal for one version of the tool, one Go release\nand one architecture. Over captures it asks for them again, checks their hashes, and needs the key of the pseudonyms.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "key of the pseudonyms, for a bundle made from captures (default: DIR.key)"},
			&cli.StringFlag{Name: "keep", Usage: "keep what was made in `DIR` instead of a temporary place"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("DIR is missing: the bundle to make again")
			}
			return rerun(c, c.Args().First(), c.Args().Slice()[1:])
		},
	}
}

func rerun(c *cli.Context, dir string, streams []string) error {
	m, diffs, err := reports.Verify(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not a bundle: it has no %s", dir, reports.ManifestName)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if len(diffs) > 0 {
		return fmt.Errorf("%s is not what its manifest says (%s); see sandtable verify %s", dir, diffs[0], dir)
	}
	j, err := again(dir, m)
	if err != nil {
		return err
	}
	if m.Command == "assess" {
		if len(streams) == 0 {
			return usage("this bundle was made from captures, which it does not hold; give them again: sandtable rerun %s STREAM...\n%s", dir, wanted(m))
		}
		j.streams = streams
		if j.key, err = rerunKey(c, dir, m); err != nil {
			return err
		}
	} else if len(streams) > 0 {
		return usage("this bundle was simulated and needs no stream")
	}
	if j.target = c.String("keep"); j.target == "" {
		tmp, err := os.MkdirTemp("", "sandtable-rerun-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		j.target = filepath.Join(tmp, "bundle")
	}
	if _, _, err := j.write(c); err != nil {
		return err
	}
	n, err := reports.ReadManifest(j.target)
	if err != nil {
		return err
	}
	return compareBundles(c, dir, m, n)
}

// again is the job a bundle was made by, out of the bundle.
func again(dir string, m reports.Manifest) (job, error) {
	j := job{content: m.IncludeContent, look: look{paper: "A4"}}
	var sets []string
	for _, o := range m.Options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "--set":
			sets = append(sets, value)
		case "--board":
			j.look.board = true
		case "--paper":
			j.look.paper = value
		case "--logo":
			data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(logoName)))
			if err != nil {
				return j, err
			}
			j.look.logo = data
		default:
			return j, fmt.Errorf("%s was made with %s, which this version does not know", dir, o)
		}
	}
	name := filepath.Join(dir, "inputs", "scenario.yaml")
	data, err := os.ReadFile(name)
	if err != nil {
		return j, err
	}
	if m.Shipped != "" {
		if j.scenario, err = scenarios.Load(m.Shipped, sets...); err != nil {
			return j, fmt.Errorf("this version of the tool does not ship %s: %w", m.Shipped, err)
		}
		if !bytes.Equal(j.scenario.File.Data, data) {
			return j, fmt.Errorf("this version of the tool ships another %s than the bundle was made from; use sandtable %s", m.Shipped, m.ToolVersion)
		}
		return j, nil
	}
	// What the scenario extends was copied in, numbered from the nearest on.
	n := 0
	j.scenario, err = scenarios.Parse(name, data, false, func(string) (*source.File, error) {
		n++
		prefix := fmt.Sprintf("inputs/extends-%d-", n)
		for _, f := range m.Files {
			if strings.HasPrefix(f.Name, prefix) {
				full := filepath.Join(dir, filepath.FromSlash(f.Name))
				data, err := os.ReadFile(full)
				if err != nil {
					return nil, err
				}
				// Under its own name, by which it is copied in again.
				return source.Parse(filepath.Join(dir, "inputs", strings.TrimPrefix(f.Name, prefix)), data)
			}
		}
		return nil, fmt.Errorf("the bundle does not hold it")
	}, sets...)
	if err != nil {
		return j, err
	}
	// A rule pack of the user's own was copied in under its base name.
	for i, p := range j.scenario.Rules.Packs {
		if strings.ContainsAny(p, `/\.`) {
			base := p[strings.LastIndexAny(p, `/\`)+1:]
			full, err := filepath.Abs(filepath.Join(dir, "inputs", "rules", base))
			if err != nil {
				return j, err
			}
			j.scenario.Rules.Packs[i] = full
		}
	}
	return j, nil
}

func rerunKey(c *cli.Context, dir string, m reports.Manifest) ([]byte, error) {
	name := c.String("key")
	if name == "" {
		name = filepath.Clean(dir) + ".key"
	}
	key, err := reports.ReadPseudonymKey(name)
	if err != nil {
		return nil, usage("the key of the pseudonyms: %v; name its file with --key", err)
	}
	if rules.KeyID(key) != m.KeyID {
		return nil, usage("%s is not the key that the members of %s were named with", name, dir)
	}
	return key, nil
}

func wanted(m reports.Manifest) string {
	var lines []string
	for _, in := range m.InputsNotCopied {
		lines = append(lines, fmt.Sprintf("  %s, %d bytes, SHA-256 %s", reports.Plain(in.Name), in.Size, in.SHA256))
	}
	return strings.Join(lines, "\n")
}

// compareBundles says which files came out with other bytes, and what may
// explain it.
func compareBundles(c *cli.Context, dir string, m, n reports.Manifest) error {
	w := c.App.Writer
	var why []string
	for _, x := range [][3]string{{"sandtable", m.ToolVersion, n.ToolVersion}, {"Go", m.GoVersion, n.GoVersion}, {"platform", m.Platform, n.Platform}} {
		if x[1] != x[2] {
			why = append(why, fmt.Sprintf("%s was %s, here it is %s", x[0], x[1], x[2]))
		}
	}
	given := map[string]bool{}
	for _, in := range n.InputsNotCopied {
		given[in.SHA256] = true
	}
	missing := 0
	for _, in := range m.InputsNotCopied {
		if !given[in.SHA256] {
			fmt.Fprintf(w, "  other capture: %s with SHA-256 %s was not given\n", reports.Plain(in.Name), in.SHA256)
			missing++
		}
	}
	have := map[string]reports.FileInfo{}
	for _, f := range n.Files {
		have[f.Name] = f
	}
	same := 0
	for _, f := range m.Files {
		g, ok := have[f.Name]
		delete(have, f.Name)
		switch {
		case !ok:
			fmt.Fprintf(w, "  not made again: %s\n", f.Name)
		case f != g:
			fmt.Fprintf(w, "  other bytes: %s (%d bytes, before %d)\n", f.Name, g.Size, f.Size)
		default:
			same++
		}
	}
	for _, f := range n.Files {
		if _, extra := have[f.Name]; extra {
			fmt.Fprintf(w, "  new: %s\n", f.Name)
		}
	}
	if same == len(m.Files) && len(have) == 0 && missing == 0 {
		fmt.Fprintf(w, "%s was made again from its own inputs: %d of %d files have the same bytes.\n", dir, same, len(m.Files))
		fmt.Fprintln(w, "This shows that the report follows from its inputs. It does not show that the inputs were right or whole.")
		return nil
	}
	fmt.Fprintf(w, "%s came out differently: %d of %d files have the same bytes.\n", dir, same, len(m.Files))
	for _, s := range why {
		fmt.Fprintf(w, "  %s; bytes are promised equal for one version only\n", s)
	}
	return quiet(exitFailure)
}
