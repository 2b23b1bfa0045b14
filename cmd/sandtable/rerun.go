package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
)

func rerunCommand() *cli.Command {
	return &cli.Command{
		Name: "rerun", Usage: "make a bundle again from its own inputs and compare the bytes", ArgsUsage: "DIR [STREAM...]",
		Description: "Takes the scenario, rules, frameworks, facts and prices out of the bundle, repeats the run in a temporary place and\n" +
			"names each file whose bytes differ; exits 1 if one does. Nothing of that is taken from the tool, so a newer version\n" +
			"with other facts repeats an old bundle on the facts it was made with. What does come from the tool is code, and the\n" +
			"stories and figures its simulation is built on: bytes are promised equal for one version, one Go release and one\n" +
			"architecture, and a difference in any of them is named. Over captures it asks for them again, checks their hashes,\n" +
			"and needs the key of the pseudonyms.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "evidence", Usage: "an export that the bundle was made with, in `FILE`; may be repeated"},
			&cli.StringFlag{Name: "scenario", Usage: "the scenario, in `FILE`, where it names members and was not copied in"},
			&cli.StringFlag{Name: "key", Usage: "key of the pseudonyms in `FILE`, for a bundle made from captures", DefaultText: "DIR.key"},
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
	j, err := again(dir, m, c.String("scenario"))
	if err != nil {
		return err
	}
	if m.Command == "assess" {
		if len(streams) == 0 {
			return usage("this bundle was made from captures, which it does not hold; give them again: sandtable rerun %s STREAM...\n%s", dir, wanted(m))
		}
		j.streams, j.evidence = streams, c.StringSlice("evidence")
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
func again(dir string, m reports.Manifest, given string) (job, error) {
	j := job{content: m.IncludeContent, look: look{paper: "A4"}, data: os.DirFS(filepath.Join(dir, "inputs"))}
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
	if errors.Is(err, fs.ErrNotExist) {
		if name, data, err = givenScenario(m, given); err != nil {
			return j, err
		}
	} else if err != nil {
		return j, err
	}
	shipped := m.Shipped != ""
	if shipped {
		name = "library/" + m.Shipped + ".yaml" // as the tool names it
	}
	// What the scenario extends was copied in, numbered from the nearest on.
	n := 0
	j.scenario, err = scenarios.Parse(name, data, shipped, func(string) (*source.File, error) {
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
	return j, nil
}

// givenScenario is a scenario that was told and not copied, because it names
// members: it has to be given again, and be the same.
func givenScenario(m reports.Manifest, given string) (string, []byte, error) {
	var want reports.InputInfo
	for _, in := range m.InputsNotCopied {
		if in.Format == reports.RosterScenario {
			want = in
		}
	}
	if given == "" {
		return "", nil, usage("the scenario of this bundle names members, so it was not copied in; give it again with --scenario FILE\n  %s, %d bytes, SHA-256 %s", reports.Plain(want.Name), want.Size, want.SHA256)
	}
	data, err := os.ReadFile(given)
	if err != nil {
		return "", nil, usage("--scenario: %v", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 {
		return "", nil, usage("%s is not the scenario that the bundle was made from: its SHA-256 is %x, the manifest says %s", given, sum, want.SHA256)
	}
	return given, data, nil
}

// toolData are the hashes of the tool's own data that shape a run.
func toolData() ([]reports.FileInfo, error) {
	var out []reports.FileInfo
	add := func(name string, data []byte) {
		sum := sha256.Sum256(data)
		out = append(out, reports.FileInfo{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))})
	}
	add("intake.yaml", assess.BuiltIn())
	add("gates.yaml", rollout.BuiltIn())
	for _, fsys := range simulate.BuiltIn() {
		err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := fs.ReadFile(fsys, name)
			add(name, data)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b reports.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// otherNow names the inputs of a bundle that this version ships otherwise.
func otherNow(dir string, m reports.Manifest) ([]string, error) {
	now := map[string][]byte{}
	facts, err := platform.Facts()
	if err != nil {
		return nil, err
	}
	for _, f := range facts.Files() {
		now[f.Name] = f.Data
	}
	model, err := assess.Default()
	if err != nil {
		return nil, err
	}
	for _, f := range model.Files() {
		now[f.Name] = f.Data
	}
	if m.Shipped != "" {
		now["scenario.yaml"] = nil
		if s, err := scenarios.Load(m.Shipped); err == nil {
			now["scenario.yaml"] = s.File.Data
		}
	}
	var out []string
	for _, f := range m.Files {
		name, ok := strings.CutPrefix(f.Name, "inputs/")
		if !ok {
			continue
		}
		data, known := now[name]
		if pack, is := strings.CutPrefix(name, "rules/"); is {
			if shipped, err := fs.ReadFile(alert.Packs(), pack); err == nil {
				data, known = shipped, true
			}
		}
		if sum := sha256.Sum256(data); known && hex.EncodeToString(sum[:]) != f.SHA256 {
			out = append(out, name)
		}
	}
	return out, nil
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
	for _, x := range [][4]string{
		{"sandtable", m.ToolVersion, n.ToolVersion, "the inputs are the bundle's own, so what differs is the tool's doing: its engines, its simulation or its layout"},
		{"Go", m.GoVersion, n.GoVersion, "its compression and formatting may write other bytes for the same values"},
		{"the platform", m.Platform, n.Platform, "arithmetic on fractions may round otherwise"},
	} {
		if x[1] != x[2] {
			why = append(why, fmt.Sprintf("%s was %s, here it is %s: %s", x[0], x[1], x[2], x[3]))
		}
	}
	mine := map[string]string{}
	for _, f := range n.ToolData {
		mine[f.Name] = f.SHA256
	}
	for _, f := range m.ToolData {
		if mine[f.Name] != f.SHA256 {
			why = append(why, fmt.Sprintf("the tool's own %s is not the one of then", f.Name))
		}
	}
	other, err := otherNow(dir, m)
	if err != nil {
		return err
	}
	if len(other) > 0 {
		fmt.Fprintf(w, "  this version ships other %s; the bundle's own were used\n", strings.Join(other, ", "))
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
		fmt.Fprintf(w, "  %s\n", s)
	}
	if len(why) > 0 {
		fmt.Fprintln(w, "  Bytes are promised equal for one version, one Go release and one architecture; the values in the JSON files for any architecture.")
	} else if missing == 0 {
		fmt.Fprintln(w, "  The version, the Go release and the architecture are those of then: this bundle does not follow from its inputs, or the tool has a fault.")
	}
	return quiet(exitFailure)
}
