package scenarios

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed library/*.yaml
var library embed.FS

// MaxExtends is how many files a scenario may extend, one over the other.
const MaxExtends = 4

// Info is what a list of shipped scenarios shows.
type Info struct {
	Name    string      `json:"name"`
	AsOf    source.Date `json:"as_of"`
	Title   string      `json:"title"`
	Summary string      `json:"summary"`
}

// List is the shipped scenarios in name order.
func List() []Info {
	var out []Info
	for _, n := range shippedNames() {
		// A test loads every shipped scenario, so none is left out here.
		if s, err := Load(n); err == nil {
			out = append(out, Info{Name: n, Title: s.Title, Summary: s.Summary, AsOf: s.AsOf})
		}
	}
	return out
}

func shippedNames() []string {
	entries, _ := library.ReadDir("library")
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	sort.Strings(out)
	return out
}

// Load reads a shipped scenario by name, else the file at a path, and lays the
// overrides (key=value, see Set) over it. All problems are returned at once, as
// source.Problems.
func Load(nameOrPath string, overrides ...string) (*Scenario, error) {
	if f, err := shippedFile(nameOrPath); err != nil {
		return nil, err
	} else if f != nil {
		return load(f, true, anywhere, overrides)
	}
	if _, err := os.Stat(nameOrPath); err != nil && !strings.ContainsAny(nameOrPath, `/\.`) {
		advice := "sandtable scenarios list names them all"
		if g := source.Nearest(nameOrPath, shippedNames()); g != "" {
			advice = fmt.Sprintf("did you mean %q?", g)
		}
		return nil, fmt.Errorf("%q is neither a shipped scenario nor a file; %s", nameOrPath, advice)
	}
	return LoadFile(nameOrPath, overrides...)
}

// LoadFile reads the scenario at a path. What it extends is a shipped name or a
// path relative to the file that says so.
func LoadFile(path string, overrides ...string) (*Scenario, error) {
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return load(f, false, anywhere, overrides)
}

// Parse reads a scenario from bytes. base finds the file that an extends names;
// nil refuses extends.
func Parse(name string, data []byte, shipped bool, base func(string) (*source.File, error), overrides ...string) (*Scenario, error) {
	f, err := source.Parse(name, data)
	if err != nil {
		return nil, err
	}
	return load(f, shipped, func(_ *source.File, name string) (*source.File, error) {
		if base == nil {
			return nil, fmt.Errorf("nothing can be extended here")
		}
		return base(name)
	}, overrides)
}

// Set returns the scenario with further overrides laid over it, each written
// key=value: a dotted path of keys, none of them inside a list, and a YAML
// value, for example as_of=2026-08-22 or organisation.plan=team. Lists are
// replaced as a whole. The scenario itself stays as it is.
func (s *Scenario) Set(overrides ...string) (*Scenario, error) {
	return decode(s.merged, s.File, s.Bases, s.Shipped, s.Overrides, overrides)
}

// Differ lists the settings that b has otherwise than a, what only names or
// describes a scenario aside. Each can be given to Set as key=value.
func Differ(a, b *Scenario) []source.Difference {
	return slices.DeleteFunc(source.Differ(a.merged, b.merged), func(d source.Difference) bool {
		top, _, _ := strings.Cut(d.Key, ".")
		return slices.Contains([]string{"name", "title", "summary", "expect", "extends"}, top)
	})
}

// Place is where a value of the scenario stands, by the keys that lead to it.
func (s *Scenario) Place(keys ...string) source.Pos { return s.merged.At(keys...) }

// Explain turns problems that only a later package can see into the error of a
// load: sorted, each with its line. No problem gives nil.
func (s *Scenario) Explain(ps source.Problems) error { return s.merged.Explain(ps).Err() }

// Together is the mistakes of several passes over a scenario as one error, so that
// they show at once. An error that is no mistake in a file stands alone, the first
// of them.
func (s *Scenario) Together(errs ...error) error {
	var all source.Problems
	for _, err := range errs {
		if err == nil {
			continue
		}
		ps, ok := source.AsProblems(err)
		if !ok {
			return err
		}
		all = append(all, ps...)
	}
	return s.Explain(all)
}

func shippedFile(name string) (*source.File, error) {
	if strings.ContainsAny(name, `/\`) {
		return nil, nil
	}
	data, err := library.ReadFile("library/" + name + ".yaml")
	if err != nil {
		return worldFile(name)
	}
	return source.Parse("library/"+name+".yaml", data)
}

func readFile(path string) (*source.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name the scenario file in it", path)
	}
	if info.Size() > source.MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", path, info.Size(), source.MaxBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return source.Parse(path, data)
}

// anywhere finds a base among the shipped scenarios, else beside the file that
// names it. A shipped scenario extends shipped ones only, as it has no place on
// the disk.
func anywhere(from *source.File, name string) (*source.File, error) {
	if f, err := shippedFile(name); f != nil || err != nil {
		return f, err
	}
	if strings.HasPrefix(from.Name, "library/") {
		if _, err := library.ReadFile(from.Name); err == nil {
			return nil, fmt.Errorf("%q is not a shipped scenario", name)
		}
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(from.Name), name)
	}
	return readFile(name)
}

// load follows extends from the file down, then merges from the bottom up.
func load(f *source.File, shipped bool, base func(from *source.File, name string) (*source.File, error), overrides []string) (*Scenario, error) {
	chain := []*source.File{f}
	seen := map[string]bool{f.Name: true}
	for cur := f; ; {
		ext, ok := cur.Scalar("extends")
		if !ok || ext.Value == "" {
			break
		}
		var ps source.Problems
		next, err := base(cur, ext.Value)
		switch {
		case err != nil:
			if ps, ok := source.AsProblems(err); ok {
				return nil, ps // the base itself is faulty, and says where
			}
			advice := "name a shipped scenario, or a file by its path from here"
			if g := source.Nearest(ext.Value, shippedNames()); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			ps.Add(ext.At, advice, "extends: %q cannot be read: %v", ext.Value, err)
		case seen[next.Name]:
			ps.Add(ext.At, "a scenario cannot extend itself, directly or by way of another", "extends: %q leads back to %s", ext.Value, next.Name)
		case len(chain) > MaxExtends:
			ps.Add(ext.At, "write the middle ones out", "extends: more than %d files one over the other", MaxExtends)
		}
		if err := cur.Explain(ps).Err(); err != nil {
			return nil, err
		}
		seen[next.Name] = true
		chain = append(chain, next)
		cur = next
	}
	merged := chain[len(chain)-1]
	for i := len(chain) - 2; i >= 0; i-- {
		merged = source.Merge(merged, chain[i])
	}
	return decode(merged, f, chain[1:], shipped, nil, overrides)
}

func decode(merged, f *source.File, bases []*source.File, shipped bool, before, overrides []string) (*Scenario, error) {
	for _, o := range overrides {
		over, err := override(o)
		if err != nil {
			return nil, err
		}
		merged = merged.Override(over)
	}
	s := &Scenario{}
	var ps source.Problems
	if err := merged.Decode(s); err != nil {
		var ok bool
		if ps, ok = source.AsProblems(err); !ok {
			return nil, err
		}
	}
	s.Shipped, s.File, s.Bases, s.merged = shipped, f, bases, merged
	s.Overrides = append(append([]string(nil), before...), overrides...)
	s.check(&ps)
	if err := merged.Explain(ps).Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// override turns key=value into a file of its own, so that a mistake in it is
// reported like any other.
func override(kv string) (*source.File, error) {
	key, value, ok := strings.Cut(kv, "=")
	if !ok || key == "" || strings.ContainsAny(kv, "\n\r") {
		return nil, fmt.Errorf("--set %q: write key=value, for example as_of=2026-08-22", kv)
	}
	var b strings.Builder
	for i, k := range strings.Split(key, ".") {
		if k == "" || strings.ContainsAny(k, " \t\"'#:{}[],&*!|>%@`") {
			return nil, fmt.Errorf("--set %q: %q is not a key; keys are joined by dots, for example organisation.plan=team", kv, k)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", i), k)
	}
	if key == "extends" {
		return nil, fmt.Errorf("--set %q: what a scenario extends cannot be set", kv)
	}
	fmt.Fprintf(&b, " %s\n", value)
	return source.Parse("--set:"+key, []byte(b.String()))
}
