package reports

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unicode"
)

// A bundle is a directory whose manifest names every file in it with its hash
// and size. It is written beside its target and swapped in when whole, so that
// a run that is interrupted, or finds the disk full, leaves the old one as it was.

// The manifest and its signature stand outside the list of files: the one names
// the others, the other signs the one.
const (
	ManifestName  = "manifest.json"
	SignatureName = "manifest.json.sig"
	SignerName    = "manifest.json.pub"

	bundleFormat = "sandtable-bundle/1"
	maxManifest  = 64 << 20
)

// File is a file of a bundle, held in memory or, where Rows is given, written when it is
// its turn. Name may have folders, separated by forward slashes.
type File struct {
	Name string
	Data []byte
	Rows func(io.Writer) error
}

// Manifest says what a bundle holds and what it was made from. It carries no
// wall-clock time: the same run gives the same manifest on any day.
type Manifest struct {
	Format          string      `json:"format"`
	ToolVersion     string      `json:"tool_version"`
	GoVersion       string      `json:"go_version"`        // bytes are promised equal for one Go release
	Platform        string      `json:"platform"`          // and architecture: linux/amd64
	Command         string      `json:"command"`           // run or assess
	Options         []string    `json:"options,omitempty"` // flags that shape the bytes, for rerun
	Scenario        string      `json:"scenario"`
	Shipped         string      `json:"shipped_scenario,omitempty"` // its name, when the tool brought it
	Seed            int64       `json:"seed"`
	AsOf            string      `json:"as_of"`
	Period          SpanOfDays  `json:"period"`
	FactSet         string      `json:"fact_set"`
	Evidence        string      `json:"evidence"` // simulated, observed or mixed
	IncludeContent  bool        `json:"include_content"`
	KeyID           string      `json:"key_id"` // names the pseudonym key without giving it away
	Stream          *StreamInfo `json:"stream,omitempty"`
	ToolData        []FileInfo  `json:"tool_data,omitempty"` // data of the tool's own that shaped the run and is not copied in
	Files           []FileInfo  `json:"files"`
	InputsNotCopied []InputInfo `json:"inputs_not_copied"`
}

// SpanOfDays is the first and last day of a period, YYYY-MM-DD.
type SpanOfDays struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// StreamInfo describes the simulated stream before compression, since another
// compressor gives other bytes for the same events.
type StreamInfo struct {
	Name               string `json:"name"`
	UncompressedSHA256 string `json:"uncompressed_sha256"`
	UncompressedSize   int64  `json:"uncompressed_size"`
	Events             int64  `json:"events"`
}

// FileInfo is one file of the bundle.
type FileInfo struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// InputInfo is an input that was read and left out of the bundle because it
// holds personal data. Name is a base name: a path names people too.
type InputInfo struct {
	Name    string  `json:"name"`
	SHA256  string  `json:"sha256"`
	Size    int64   `json:"size"`
	Format  string  `json:"format,omitempty"`
	Records int64   `json:"records"`        // read and understood
	Lost    int64   `json:"lost,omitempty"` // could not be used
	Counts  []Named `json:"counts,omitempty"`
}

// Named is a labelled number.
type Named struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// JSON writes v as every JSON file of a bundle is written: indented, without
// HTML escapes, with a newline at the end. Field order is the order of the
// struct, map keys are sorted, so equal values give equal bytes.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Bundle is a bundle being written. Files may be created from several
// goroutines; Commit or Abort ends it.
type Bundle struct {
	target string // clean, absolute, links followed
	dir    string // where it grows
	sign   func(manifest []byte) (signature, public []byte, err error)

	mu    sync.Mutex
	files map[string]*FileInfo // by name; nil while the file is open
	dirs  map[string]bool
	done  bool

	step func(string) // tests stop the swap at each step
}

var bundleCount atomic.Int64

// NewBundle starts a bundle that will take target's place. It refuses when
// target is something other than a bundle whose manifest verifies, or an empty
// directory: replacing removes what was there, and a report directory that
// someone added notes to is no longer only ours. With force any directory may
// be replaced, except one that holds the working or home directory.
func NewBundle(target string, force bool) (*Bundle, error) {
	full, err := filepath.Abs(target)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", target, err)
	}
	if real, err := filepath.EvalSymlinks(full); err == nil {
		full = real // replace what a link points to, and keep the link
	}
	parent := filepath.Dir(full)
	if parent == full {
		return nil, fmt.Errorf("bundle %s: this is the root of the file system; name a directory of its own with -o", target)
	}
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, unwritable(target, err)
	}
	b := &Bundle{target: full, files: map[string]*FileInfo{}, dirs: map[string]bool{}, step: func(string) {}}
	if err := b.recover(); err != nil {
		return nil, err
	}
	if err := replaceable(target, full, force); err != nil {
		return nil, err
	}
	b.sweep()
	b.dir = b.sibling(fmt.Sprintf("unfinished-%d-%d", os.Getpid(), bundleCount.Add(1)))
	if err := os.RemoveAll(b.dir); err != nil {
		return nil, unwritable(target, err)
	}
	if err := os.Mkdir(b.dir, 0o777); err != nil {
		return nil, unwritable(target, err)
	}
	return b, nil
}

func unwritable(target string, err error) error {
	return fmt.Errorf("cannot write the bundle %s: %w\n  choose a directory that you may write to with -o; nothing was changed", target, err)
}

// sibling is a hidden name beside the target: on the same file system, so that
// a rename moves it as one.
func (b *Bundle) sibling(suffix string) string {
	return filepath.Join(filepath.Dir(b.target), "."+filepath.Base(b.target)+"."+suffix)
}

func (b *Bundle) aside() string { return b.sibling("replaced") }

// recover puts right what a run left that was stopped in the middle of a swap.
func (b *Bundle) recover() error {
	old := b.aside()
	if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(b.target); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(old, b.target); err != nil {
			return fmt.Errorf("an earlier run was stopped while it replaced %s; its old state is in %s and cannot be moved back: %w", b.target, old, err)
		}
		return nil
	}
	// The new one is in place; only the removal of the old was cut short.
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("an earlier run left %s, which cannot be removed: %w", old, err)
	}
	return nil
}

// sweep removes what runs left that were killed before they could tidy up. A run
// that is still alive keeps its own.
func (b *Bundle) sweep() {
	dir, prefix := filepath.Split(b.sibling("unfinished-"))
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		pid, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(pid)
		if !ok || err != nil || n == os.Getpid() {
			continue
		}
		if p, err := os.FindProcess(n); err == nil && p.Signal(syscall.Signal(0)) == nil {
			continue
		}
		_ = os.RemoveAll(filepath.Join(dir, e.Name()))
	}
}

func replaceable(target, full string, force bool) error {
	info, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unwritable(target, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("bundle %s: this is a file, and a bundle is a directory; name another place with -o", target)
	}
	for _, name := range []func() (string, error){os.Getwd, os.UserHomeDir} {
		if dir, err := name(); err == nil && within(dir, full) {
			return fmt.Errorf("bundle %s: replacing this directory would remove %s; name a directory of its own with -o", target, dir)
		}
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return unwritable(target, err)
	}
	if len(entries) == 0 || force {
		return nil
	}
	_, diffs, err := Verify(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s exists and is not a bundle: it has no %s\n  name another directory with -o, or replace it with --force; nothing was changed", target, ManifestName)
	case err != nil:
		return fmt.Errorf("%s exists and cannot be read as a bundle: %w\n  name another directory with -o, or replace it with --force; nothing was changed", target, err)
	case len(diffs) > 0:
		var said []string
		for _, d := range diffs[:min(len(diffs), 5)] {
			said = append(said, "  "+d.String())
		}
		if n := len(diffs) - len(said); n > 0 {
			said = append(said, fmt.Sprintf("  and %d more", n))
		}
		return fmt.Errorf("%s is no longer the bundle its manifest describes:\n%s\n  move what you added, name another directory with -o, or replace it with --force; nothing was changed", target, strings.Join(said, "\n"))
	}
	return nil
}

// within reports whether path is dir or stands inside it.
func within(name, dir string) bool {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	rel, err := filepath.Rel(dir, name)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Create opens a file of the bundle for writing; it counts once it is closed
// without an error.
func (b *Bundle) Create(name string) (io.WriteCloser, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return nil, fmt.Errorf("bundle: %s comes after the bundle was ended", name)
	}
	for other := range b.files {
		if strings.EqualFold(other, name) { // one file where letter case does not count
			return nil, fmt.Errorf("bundle: %s is written twice", name)
		}
	}
	full := filepath.Join(b.dir, filepath.FromSlash(name))
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		b.dirs[d] = true
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	b.files[name] = nil
	return &bundleFile{b: b, name: name, f: f, buf: bufio.NewWriterSize(f, 64<<10), sum: sha256.New()}, nil
}

// Put writes a file of the bundle in one go.
func (b *Bundle) Put(name string, data []byte) error { return b.putFile(File{Name: name, Data: data}) }

// putFile is Put for a file that may write itself.
func (b *Bundle) putFile(file File) error {
	f, err := b.Create(file.Name)
	if err != nil {
		return err
	}
	if file.Rows != nil {
		if err = file.Rows(f); err != nil {
			err = fmt.Errorf("%s: %w", file.Name, err)
		}
	} else {
		_, err = f.Write(file.Data)
	}
	return errors.Join(err, f.Close())
}

// sideBySide is how many files of a bundle are written at once: also on one processor,
// as each waits for its disk at the end, and few, as some stand in memory whole.
const sideBySide = 2

// PutFiles is putFile for several, which are written side by side. Once one could not
// be written no other is begun.
func (b *Bundle) PutFiles(files []File) error {
	errs := make([]error, len(files))
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range sideBySide {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)) && !failed.Load(); i = next.Add(1) - 1 {
				if errs[i] = b.putFile(files[i]); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}

type bundleFile struct {
	b    *Bundle
	name string
	f    *os.File
	buf  *bufio.Writer
	sum  hash.Hash
	size int64
	err  error
}

func (w *bundleFile) Write(p []byte) (int, error) {
	n, err := w.buf.Write(p)
	w.sum.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = err
	}
	return n, err
}

func (w *bundleFile) Close() error {
	err := errors.Join(w.err, w.buf.Flush(), w.f.Sync(), w.f.Close())
	if err != nil {
		return fmt.Errorf("bundle: %s: %w", w.name, err)
	}
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	w.b.files[w.name] = &FileInfo{Name: w.name, SHA256: hex.EncodeToString(w.sum.Sum(nil)), Size: w.size}
	return nil
}

// SignWith makes Commit sign the manifest.
func (b *Bundle) SignWith(sign func(manifest []byte) (signature, public []byte, err error)) {
	b.sign = sign
}

// Commit writes the manifest, with the list of files that were created, and
// puts the bundle in its place. When it fails, what stood there before still
// stands.
func (b *Bundle) Commit(m Manifest) error {
	err := b.commit(m)
	if err != nil {
		b.Abort()
		return fmt.Errorf("%w\n  the bundle was not written; what stood in its place is unchanged", err)
	}
	return nil
}

func (b *Bundle) commit(m Manifest) error {
	b.mu.Lock()
	if b.done {
		b.mu.Unlock()
		return errors.New("bundle: already ended")
	}
	m.Format = bundleFormat
	m.InputsNotCopied = slices.Clone(m.InputsNotCopied)
	m.Files = []FileInfo{}
	for name, info := range b.files {
		if info == nil {
			b.mu.Unlock()
			return fmt.Errorf("bundle: %s was not closed", name)
		}
		m.Files = append(m.Files, *info)
	}
	b.mu.Unlock()
	slices.SortFunc(m.Files, func(x, y FileInfo) int { return strings.Compare(x.Name, y.Name) })
	if m.InputsNotCopied == nil {
		m.InputsNotCopied = []InputInfo{}
	}
	for i := range m.InputsNotCopied { // a file name need not be UTF-8, JSON must
		m.InputsNotCopied[i].Name = Plain(filepath.Base(m.InputsNotCopied[i].Name))
	}
	m.Scenario = Plain(m.Scenario)
	data, err := JSON(m)
	if err != nil {
		return fmt.Errorf("bundle: manifest: %w", err)
	}
	own := []File{}
	if b.sign != nil {
		sig, pub, err := b.sign(data)
		if err != nil {
			return fmt.Errorf("bundle: signature: %w", err)
		}
		own = append(own, File{Name: SignatureName, Data: sig}, File{Name: SignerName, Data: pub})
	}
	for _, f := range append(own, File{Name: ManifestName, Data: data}) { // the manifest last: without it nothing is a bundle
		if err := writeSynced(filepath.Join(b.dir, f.Name), f.Data); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	for d := range b.dirs {
		if err := syncDir(filepath.Join(b.dir, filepath.FromSlash(d))); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	if err := syncDir(b.dir); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return b.swap()
}

func (b *Bundle) swap() error {
	b.step("written")
	old := b.aside()
	err := os.Rename(b.target, old)
	replaced := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bundle: %w", err)
	}
	b.step("old aside")
	if err := os.Rename(b.dir, b.target); err != nil {
		if replaced {
			if back := os.Rename(old, b.target); back != nil {
				return fmt.Errorf("bundle: %w; the old one is now %s: %w", err, old, back)
			}
		}
		return fmt.Errorf("bundle: %w", err)
	}
	b.mu.Lock()
	b.done = true
	b.mu.Unlock()
	b.step("new in place")
	// From here the new bundle stands. What is left is tidying, and the next run
	// does it if this one cannot.
	_ = syncDir(filepath.Dir(b.target))
	if replaced {
		_ = os.RemoveAll(old)
	}
	return nil
}

// Abort drops what was written. It does nothing after Commit.
func (b *Bundle) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		b.done = true
		_ = os.RemoveAll(b.dir)
	}
}

// Dir is where the bundle grows until Commit; Target is where it will stand.
func (b *Bundle) Dir() string    { return b.dir }
func (b *Bundle) Target() string { return b.target }

func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(name string) error {
	if runtime.GOOS == "windows" { // a directory cannot be flushed there
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkName accepts names that mean the same file on any system and cannot
// leave the bundle.
func checkName(name string) error {
	switch {
	case !fs.ValidPath(name) || name == ".":
		return fmt.Errorf("%q is no name for a file of a bundle: it must be relative, with forward slashes and without '..'", name)
	case strings.ContainsAny(name, `\:*?"<>|`) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q is no name for a file of a bundle: it has a character that some file systems refuse", name)
	case strings.EqualFold(name, ManifestName), strings.EqualFold(name, SignatureName), strings.EqualFold(name, SignerName):
		return fmt.Errorf("%q is written by the bundle itself", name)
	}
	return nil
}

// Difference is one way in which a directory is not what its manifest says.
type Difference struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // changed, missing, added, unreadable
	Detail string `json:"detail"`
}

func (d Difference) String() string { return fmt.Sprintf("%s: %s (%s)", d.Name, d.Kind, d.Detail) }

// Verify compares a directory with its manifest and names every difference,
// sorted by name. The error is for a directory that has no readable manifest;
// it wraps fs.ErrNotExist when there is none.
//
// No difference means: these are the bytes that the manifest lists. Who wrote
// them is a question for the signature, and whether they were right or whole to
// begin with is a question for neither.
func Verify(dir string) (Manifest, []Difference, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return m, nil, err
	}
	var diffs []Difference
	add := func(name, kind, format string, args ...any) {
		diffs = append(diffs, Difference{name, kind, fmt.Sprintf(format, args...)})
	}
	listed := map[string]bool{}
	folders := map[string]bool{}
	for _, f := range m.Files {
		if err := checkName(f.Name); err != nil {
			return m, nil, fmt.Errorf("%s: %w", ManifestName, err)
		}
		if listed[f.Name] {
			return m, nil, fmt.Errorf("%s: %q is listed twice", ManifestName, f.Name)
		}
		listed[f.Name] = true
		for d := path.Dir(f.Name); d != "."; d = path.Dir(d) {
			folders[d] = true
		}
		full := filepath.Join(dir, filepath.FromSlash(f.Name))
		info, err := os.Lstat(full)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			add(f.Name, "missing", "the manifest lists it with %s bytes", num(f.Size))
			continue
		case err != nil:
			add(f.Name, "unreadable", "%v", reason(err))
			continue
		case !info.Mode().IsRegular():
			add(f.Name, "changed", "it is now a %s, not a file", kindOf(info.Mode()))
			continue
		case info.Size() != f.Size:
			add(f.Name, "changed", "%s bytes, the manifest says %s", num(info.Size()), num(f.Size))
			continue
		}
		sum, err := hashFile(full)
		switch {
		case err != nil:
			add(f.Name, "unreadable", "%v", reason(err))
		case sum != f.SHA256:
			add(f.Name, "changed", "same size, other content: SHA-256 %s, the manifest says %s", short(sum), short(f.SHA256))
		}
	}
	err = filepath.WalkDir(dir, func(full string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, full)
		name := filepath.ToSlash(rel)
		switch {
		case err != nil:
			add(name, "unreadable", "%v", reason(err))
			if e != nil && e.IsDir() {
				return fs.SkipDir
			}
		case name == "." || name == ManifestName || name == SignatureName || name == SignerName:
		case e.IsDir():
			if !folders[name] {
				add(name, "added", "a folder that the manifest does not list")
			}
		case !listed[name]:
			add(name, "added", "a %s that the manifest does not list", kindOf(e.Type()))
		}
		return nil
	})
	if err != nil {
		return m, nil, err
	}
	slices.SortFunc(diffs, func(x, y Difference) int {
		return strings.Compare(x.Name+"\x00"+x.Kind, y.Name+"\x00"+y.Kind)
	})
	return m, diffs, nil
}

// ReadManifest reads the manifest of a bundle without looking at its files.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	data, err := readLimited(filepath.Join(dir, ManifestName), maxManifest)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			base := &Bundle{target: filepath.Clean(dir)}
			if _, e := os.Stat(filepath.Join(base.aside(), ManifestName)); e == nil {
				return m, fmt.Errorf("%s: a run was stopped while it replaced this bundle; the old one is whole in %s: %w", dir, base.aside(), err)
			}
		}
		return m, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", ManifestName, err)
	}
	if m.Format != bundleFormat {
		return m, fmt.Errorf("%s: format %q, this version reads %q", ManifestName, m.Format, bundleFormat)
	}
	// Written once, read as it was written: bytes that decode to the same values
	// but look different were edited.
	if again, err := JSON(m); err != nil || !bytes.Equal(again, data) {
		return m, fmt.Errorf("%s: not as this tool writes it, so it was edited after it was written", ManifestName)
	}
	return m, nil
}

func readLimited(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: larger than %s bytes", name, num(limit))
	}
	return data, err
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func short(sum string) string { return sum[:min(len(sum), 12)] }

// reason is an error without the path that the line already names.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m.IsRegular():
		return "file"
	}
	return "special file"
}
