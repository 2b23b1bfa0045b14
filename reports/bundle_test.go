package reports

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newBundle(t *testing.T, target string, force bool) *Bundle {
	t.Helper()
	b, err := NewBundle(target, force)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fill writes a small bundle whose content tells which one it is.
func fill(t *testing.T, b *Bundle, which string) {
	t.Helper()
	for _, f := range []File{{Name: "report.pdf", Data: []byte("pdf " + which)}, {Name: "inputs/rules/pack.yaml"},
		{Name: "inputs/scenario.yaml", Rows: func(w io.Writer) error { _, err := io.WriteString(w, "name: "+which); return err }}} {
		if err := b.putFile(f); err != nil {
			t.Fatal(err)
		}
	}
}

func commit(t *testing.T, target, which string) {
	t.Helper()
	b := newBundle(t, target, false)
	fill(t, b, which)
	if err := b.Commit(Manifest{Scenario: which, Seed: 1, AsOf: "2026-04-09"}); err != nil {
		t.Fatal(err)
	}
}

// whole fails unless target is an untouched bundle; it says which one.
func whole(t *testing.T, target string) string {
	t.Helper()
	m, diffs, err := Verify(target)
	if err != nil || len(diffs) > 0 {
		t.Fatalf("not whole: %v %v", err, diffs)
	}
	return m.Scenario
}

func TestBundle(t *testing.T) {
	target := filepath.Join(t.TempDir(), "out", "insurer")
	commit(t, target, "first")
	commit(t, target, "second")
	if got := whole(t, target); got != "second" {
		t.Errorf("the bundle is %q", got)
	}
	entries, _ := os.ReadDir(filepath.Dir(target))
	if len(entries) != 1 {
		t.Errorf("something was left beside the bundle: %v", entries)
	}
	m, _ := ReadManifest(target)
	var names []string
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"inputs/rules/pack.yaml", "inputs/scenario.yaml", "report.pdf"}) {
		t.Errorf("files %v", names)
	}
}

func TestManifestIsDeterministic(t *testing.T) {
	read := func() string {
		target := filepath.Join(t.TempDir(), "b")
		b := newBundle(t, target, false)
		fill(t, b, "x")
		err := b.Commit(Manifest{Scenario: "x<&>", InputsNotCopied: []InputInfo{{Name: "/home/anna/caf\xe9.jsonl", Records: 3}}})
		if err != nil {
			t.Fatal(err)
		}
		whole(t, target)
		data, err := os.ReadFile(filepath.Join(target, ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	one := read()
	if d := cmp.Diff(one, read()); d != "" {
		t.Error(d)
	}
	if !strings.Contains(one, "x<&>") || strings.Contains(one, "anna") || !strings.HasSuffix(one, "}\n") {
		t.Errorf("manifest:\n%s", one)
	}
}

func TestVerifyNamesEachDifference(t *testing.T) {
	target := filepath.Join(t.TempDir(), "b")
	commit(t, target, "x")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(target, "report.pdf"), []byte("pdf y"), 0o666)) // same size
	must(os.Remove(filepath.Join(target, "inputs/rules/pack.yaml")))
	must(os.Symlink("/etc/hostname", filepath.Join(target, "inputs/rules/pack.yaml")))
	must(os.Remove(filepath.Join(target, "inputs/scenario.yaml")))
	must(os.WriteFile(filepath.Join(target, "notes.txt"), nil, 0o666))
	must(os.Mkdir(filepath.Join(target, "extra"), 0o777))
	_, diffs, err := Verify(target)
	must(err)
	var got []string
	for _, d := range diffs {
		got = append(got, d.Name+" "+d.Kind)
	}
	want := []string{"extra added", "inputs/rules/pack.yaml changed", "inputs/scenario.yaml missing", "notes.txt added", "report.pdf changed"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	manifest := filepath.Join(target, ManifestName)
	data, err := os.ReadFile(manifest)
	must(err)
	for _, edit := range [][2]string{{"report.pdf", "../../report.pdf"}, {`"seed": 1`, `"seed":  1`}, {`"seed"`, `"sede"`}, {"bundle/1", "bundle/9"}, {"{", ""}} {
		must(os.WriteFile(manifest, []byte(strings.Replace(string(data), edit[0], edit[1], 1)), 0o666))
		if _, _, err := Verify(target); err == nil {
			t.Errorf("a manifest with %q for %q passed", edit[1], edit[0])
		}
	}
	if _, _, err := Verify(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no manifest: %v", err)
	}
}

func TestBundleRefusesWhatIsNotABundle(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte("mine"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	write("other/thesis.txt")
	write("file")
	commit(t, filepath.Join(dir, "noted"), "x")
	write("noted/notes.txt")
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct {
		target string
		force  bool
		want   string // of the error; empty for none
	}{
		{"other", false, "is not a bundle"},
		{"noted", false, "notes.txt: added"},
		{"file", true, "this is a file"},
		{"file/below", true, "cannot write the bundle"},
		{".", true, "would remove"},
		{"..", true, "would remove"},
		{"/", true, "root of the file system"},
		{"empty", false, ""},
		{"fresh/new", false, ""},
		{"other", true, ""},
	} {
		b, err := NewBundle(c.target, c.force)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.target, err)
				continue
			}
			fill(t, b, "new")
			if err := b.Commit(Manifest{Scenario: "new"}); err != nil {
				t.Errorf("%s: %v", c.target, err)
			}
			whole(t, c.target)
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s (force %v): error %v, want %q", c.target, c.force, err, c.want)
		}
	}
	if data, err := os.ReadFile("noted/notes.txt"); err != nil || string(data) != "mine" {
		t.Error("a refused directory was touched")
	}
}

func TestBundleNames(t *testing.T) {
	b := newBundle(t, filepath.Join(t.TempDir(), "b"), false)
	defer b.Abort()
	for _, name := range []string{"", ".", "/etc/passwd", "../up", "a/../b", "a//b", `a\b`, "C:x", "a\x00b", "a\nb", "manifest.json", "Manifest.json", "manifest.json.sig"} {
		if err := b.Put(name, nil); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	if err := errors.Join(b.Put("A.json", nil), b.Put("inputs/ünï.yaml", nil)); err != nil {
		t.Error(err)
	}
	if err := b.Put("a.json", nil); err == nil {
		t.Error("two names that differ by letter case were accepted")
	}
}

// The old bundle or the new one is whole, wherever a run stops.
func TestInterruptedSwap(t *testing.T) {
	for _, at := range []string{"written", "old aside", "new in place"} {
		t.Run(at, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "b")
			commit(t, target, "old")
			b := newBundle(t, target, false)
			fill(t, b, "new")
			b.step = func(s string) {
				if s == at {
					panic("the machine stops here")
				}
			}
			func() {
				defer func() { _ = recover() }()
				_ = b.Commit(Manifest{Scenario: "new"})
			}()
			if at == "old aside" {
				if _, _, err := Verify(target); err == nil || !strings.Contains(err.Error(), "the old one is whole in") {
					t.Errorf("verify does not say where the old one is: %v", err)
				}
			}
			next := newBundle(t, target, false) // puts things right before anything else
			next.Abort()
			want := "old"
			if at == "new in place" {
				want = "new"
			}
			if got := whole(t, target); got != want {
				t.Errorf("%s stands, want %s", got, want)
			}
		})
	}
}

func TestFailureLeavesTheOldBundle(t *testing.T) {
	target := filepath.Join(t.TempDir(), "b")
	commit(t, target, "old")
	for name, spoil := range map[string]func(*Bundle) error{
		"lost while writing": func(b *Bundle) error { return os.RemoveAll(b.Dir()) },
		"a file left open": func(b *Bundle) error {
			_, err := b.Create("findings.jsonl")
			return err
		},
		"signing fails": func(b *Bundle) error {
			b.SignWith(func([]byte) (_, _ []byte, err error) { return nil, nil, errors.New("no key") })
			return nil
		},
		"a full disk": func(b *Bundle) error {
			f, err := b.Create("stream")
			if err != nil {
				return err
			}
			f.(*bundleFile).buf.Reset(fullDisk{})
			if _, err := f.Write(make([]byte, 1<<20)); err == nil {
				t.Error("a write to a full disk succeeded")
			}
			if err := f.Close(); err == nil {
				t.Error("closing hid the full disk")
			}
			return nil
		},
	} {
		b := newBundle(t, target, false)
		fill(t, b, "new")
		if err := spoil(b); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(Manifest{Scenario: "new"}); err == nil || !strings.Contains(err.Error(), "unchanged") {
			t.Errorf("%s: %v", name, err)
		}
		if got := whole(t, target); got != "old" {
			t.Errorf("%s: %s stands", name, got)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(target)); len(entries) != 1 {
		t.Errorf("failed runs left %v", entries)
	}
}

// What a killed run left is removed by the next; what a living one writes is not.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	dead, alive, other := filepath.Join(dir, ".b.unfinished-999999999-1"), filepath.Join(dir, fmt.Sprintf(".b.unfinished-%d-1", os.Getppid())), filepath.Join(dir, ".c.unfinished-999999999-1")
	for _, d := range []string{dead, alive, other} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	newBundle(t, filepath.Join(dir, "b"), false).Abort()
	for d, want := range map[string]bool{dead: false, alive: true, other: true} {
		if _, err := os.Stat(d); (err == nil) != want {
			t.Errorf("%s is there: %v", filepath.Base(d), err == nil)
		}
	}
}

func TestSweepInAFolderOfAnyName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs [2026]*")
	dead := filepath.Join(dir, ".b.unfinished-999999999-1")
	if err := os.MkdirAll(dead, 0o777); err != nil {
		t.Fatal(err)
	}
	newBundle(t, filepath.Join(dir, "b"), false).Abort()
	if _, err := os.Stat(dead); err == nil {
		t.Error("what a killed run left is still there")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

var _ io.Writer = fullDisk{}

func TestBundleFollowsALink(t *testing.T) {
	dir := t.TempDir()
	commit(t, filepath.Join(dir, "real"), "old")
	if err := os.Symlink("real", filepath.Join(dir, "latest")); err != nil {
		t.Skip(err)
	}
	commit(t, filepath.Join(dir, "latest"), "new")
	if info, err := os.Lstat(filepath.Join(dir, "latest")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced by a directory")
	}
	if got := whole(t, filepath.Join(dir, "real")); got != "new" {
		t.Errorf("the link's target holds %q", got)
	}
}

// Whatever stands in a manifest, reading it ends, and no file outside the bundle
// is looked at.
func FuzzManifest(f *testing.F) {
	good, err := JSON(Manifest{Format: bundleFormat, Files: []FileInfo{{Name: "a/b.json", SHA256: "00", Size: 1}}, InputsNotCopied: []InputInfo{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), "a/b.json", "../../etc/passwd", 1)))
	f.Add([]byte(`{"format":`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ManifestName), data, 0o666); err != nil {
			t.Fatal(err)
		}
		m, diffs, err := Verify(dir)
		if err != nil {
			return
		}
		for _, info := range m.Files {
			if checkName(info.Name) != nil {
				t.Errorf("%q passed", info.Name)
			}
		}
		if len(m.Files) > 0 && len(diffs) == 0 {
			t.Error("files that are not there passed")
		}
	})
}
