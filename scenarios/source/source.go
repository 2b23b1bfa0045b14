// Package source reads Sandtable's YAML files strictly and keeps where every
// value came from, so that a mistake is reported as file:line:col with what was
// found, what was expected and one line of advice, and all mistakes of a file
// are reported in one run.
//
// It refuses what a configuration file never needs and an attacker likes:
// anchors, aliases, merges, several documents, custom tags, deep nesting and
// very large files.
package source

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// Limits on one file. They are far above anything shipped.
const (
	MaxBytes = 4 << 20
	MaxDepth = 32
	MaxNodes = 200_000
)

// Pos is a place in a file; the zero value means "no place known".
// Line and Col count from 1, Col in bytes.
type Pos struct {
	File string
	Line int
	Col  int
}

// String is file:line:col without spaces, so that editors link it.
func (p Pos) String() string {
	switch {
	case p.File == "" && p.Line == 0:
		return "-"
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// IsZero reports that no place is known.
func (p Pos) IsZero() bool { return p == Pos{} }

// Problem is one mistake, told to the person who made it.
type Problem struct {
	Pos    Pos
	Found  string // what was found and what was expected, one sentence
	Advice string // one line on how to put it right; may be empty
	Line   string // the source line, for the caret; may be empty
}

// Problems is every mistake found in one load, sorted by place. As an error it
// prints them all.
type Problems []Problem

// Add appends a problem.
func (ps *Problems) Add(pos Pos, advice, format string, args ...any) {
	*ps = append(*ps, Problem{Pos: pos, Found: fmt.Sprintf(format, args...), Advice: advice})
}

// At says whether a problem is reported at pos already, so that what follows from
// the same mistake need not be.
func (ps Problems) At(pos Pos) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Pos == pos })
}

// Err returns nil when there is no problem, else the problems sorted and
// without exact repeats.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	out := append(Problems(nil), ps...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i].Pos, out[j].Pos
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		if a.Col != b.Col {
			return a.Col < b.Col
		}
		return out[i].Found < out[j].Found
	})
	uniq := out[:1]
	for _, p := range out[1:] {
		if p != uniq[len(uniq)-1] {
			uniq = append(uniq, p)
		}
	}
	return uniq
}

func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %s", p.Pos, p.Found)
		if p.Line != "" && p.Pos.Col > 0 && len(p.Line) < 160 {
			fmt.Fprintf(&b, "\n    %s\n    %s^", p.Line, caretPad(p.Line, p.Pos.Col))
		}
		if p.Advice != "" {
			fmt.Fprintf(&b, "\n    advice: %s", p.Advice)
		}
	}
	return b.String()
}

// caretPad keeps tabs so that the caret stands under the right character.
func caretPad(line string, col int) string {
	var b strings.Builder
	for i, r := range line {
		if i >= col-1 {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// AsProblems returns the problems inside err, if it carries any.
func AsProblems(err error) (Problems, bool) {
	var ps Problems
	ok := errors.As(err, &ps)
	return ps, ok
}

// File is a parsed YAML file: its name as shown to people, its bytes as read,
// and the root node.
//
// A file made by Merge or Override has the name and bytes of the file people
// work in; its values keep the place in the file they came from.
type File struct {
	Name string
	Data []byte
	root *yaml.Node

	starts []int // of lines

	below []*File              // the files merged in
	owner map[*yaml.Node]*File // whose node it is, for nodes of below
}

// Merge lays top over base: mappings are merged key by key, everything else
// that top states replaces what base had, lists included. A merged mapping
// stands where top has it, as top is the file people work in.
func Merge(base, top *File) *File { return layer(base, top, top, base) }

// Override lays single settings over f in the same way. A merged mapping stays
// where f has it.
func (f *File) Override(top *File) *File { return layer(f, top, f, top) }

// layer merges top over base; main is the one whose name the result has.
func layer(base, top, main, other *File) *File {
	m := &File{Name: main.Name, Data: main.Data, starts: main.starts, owner: map[*yaml.Node]*File{}}
	m.below = append(append(append(m.below, main.below...), other), other.below...)
	for n, f := range main.owner {
		m.owner[n] = f
	}
	m.own(other, other.root)
	m.root = m.merge(base.root, top.root, main == top)
	return m
}

// own records whose nodes a tree of another file is made of.
func (f *File) own(other *File, n *yaml.Node) {
	f.owner[n] = other.of(n)
	for _, c := range n.Content {
		f.own(other, c)
	}
}

func (f *File) merge(base, over *yaml.Node, atTop bool) *yaml.Node {
	if base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	place := base
	if atTop {
		place = over
	}
	out := *place
	if o := f.owner[place]; o != nil {
		f.owner[&out] = o
	}
	out.Content = append([]*yaml.Node(nil), base.Content...)
	at := map[string]int{}
	for i := 0; i+1 < len(out.Content); i += 2 {
		at[out.Content[i].Value] = i
	}
	for i := 0; i+1 < len(over.Content); i += 2 {
		k, v := over.Content[i], over.Content[i+1]
		if j, ok := at[k.Value]; ok {
			out.Content[j], out.Content[j+1] = k, f.merge(out.Content[j+1], v, atTop)
			continue
		}
		out.Content = append(out.Content, k, v)
	}
	return &out
}

// of is the file a node came from.
func (f *File) of(n *yaml.Node) *File {
	if o := f.owner[n]; o != nil {
		return o
	}
	return f
}

// Scalar is the text of a top-level key with its place; ok is false when the
// key is missing or holds no single value.
func (f *File) Scalar(key string) (t Text, ok bool) {
	if f.root.Kind != yaml.MappingNode {
		return Text{}, false
	}
	for i := 0; i+1 < len(f.root.Content); i += 2 {
		if v := f.root.Content[i+1]; f.root.Content[i].Value == key && v.Kind == yaml.ScalarNode && v.Tag != "!!null" {
			return decoder{f: f}.text(v), true
		}
	}
	return Text{}, false
}

// At is where the value at a path of keys stands; in a list a key is an index
// from 0. Where the path leads nowhere it is the last place on the way.
func (f *File) At(keys ...string) Pos {
	n := f.root
	for _, k := range keys {
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == k {
					next = n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(k); err == nil && i >= 0 && i < len(n.Content) {
				next = n.Content[i]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return f.pos(n)
}

// Parse reads one YAML document. The error, if any, is a Problems.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name, Data: data, starts: []int{0}}
	for i, c := range data {
		if c == '\n' {
			f.starts = append(f.starts, i+1)
		}
	}
	var ps Problems
	if len(data) > MaxBytes {
		ps.Add(Pos{File: name}, "split the file, or use extends", "the file has %d bytes; at most %d are read", len(data), MaxBytes)
		return nil, ps.Err()
	}
	if i := firstDeepLine(data); i > 0 {
		ps.Add(Pos{name, i, 1}, "flatten the structure", "nested deeper than %d levels", MaxDepth)
		return nil, ps.Err()
	}
	dec, err := yaml.NewLoader(strings.NewReader(string(data)))
	var doc yaml.Node
	if err == nil {
		err = dec.Load(&doc)
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			ps.Add(Pos{File: name}, "write the file, or name another", "the file is empty")
			return nil, ps.Err()
		}
		line, msg := yamlError(err)
		for line > 1 && strings.TrimSpace(f.line(line)) == "" { // the end of the file: what is open stands before it
			line--
		}
		advice := "check indentation, quotes and brackets near this line"
		if strings.HasPrefix(msg, "this is not a text") {
			advice = "name a scenario or another YAML file; one in another encoding has to be saved as UTF-8"
		}
		if strings.Contains(msg, "tab character") {
			advice = "indent with blanks: YAML takes no tabs there"
		}
		ps.Add(Pos{name, line, 1}, advice, "not valid YAML: %s", msg)
		ps[0].Line = f.line(line)
		return nil, ps.Err()
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		f.root = doc.Content[0]
	} else {
		f.root = &doc
	}
	var more yaml.Node
	if dec.Load(&more) == nil {
		ps.Add(f.pos(&more), "keep one document a file", "a second YAML document starts here")
	}
	n := 0
	f.check(f.root, 0, &n, &ps)
	if err := ps.Err(); err != nil {
		return nil, f.withLines(err)
	}
	return f, nil
}

// ParseAll is Parse for files that do not depend on each other, side by side. What
// became of each stands at its place.
func ParseAll(names []string, data [][]byte) (files []*File, errs []error) {
	files, errs = make([]*File, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() { files[i], errs[i] = Parse(names[i], data[i]) })
	}
	all.Wait()
	return files, errs
}

// firstDeepLine finds, before the parser recurses, the first line whose open
// brackets or leading dashes go deeper than MaxDepth. Brackets inside quotes
// are skipped as far as one line tells; the parsed tree is checked again.
func firstDeepLine(data []byte) int {
	depth, line := 0, 1
	var quote byte
	dashes, lead := 0, true
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c == '\n' {
			line++
			quote, dashes, lead = 0, 0, true
			continue
		}
		if quote != 0 {
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
			continue
		}
		if lead && c == '-' {
			if dashes++; dashes > MaxDepth {
				return line
			}
			continue
		}
		if c != ' ' {
			lead = false
		}
		switch c {
		case '"', '\'':
			if i == 0 || strings.IndexByte(" [{,:-\t", data[i-1]) >= 0 {
				quote = c
			}
		case '#':
			if i == 0 || data[i-1] == ' ' || data[i-1] == '\n' {
				for i+1 < len(data) && data[i+1] != '\n' {
					i++
				}
			}
		case '[', '{':
			if depth++; depth > MaxDepth*4 {
				return line
			}
		case ']', '}':
			if depth > 0 {
				depth--
			}
		}
	}
	return 0
}

func yamlError(err error) (int, string) {
	msg := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: ")
	line := 1
	if i := strings.Index(msg, "line "); i >= 0 {
		fmt.Sscanf(msg[i:], "line %d", &line)
	}
	// "go-yaml load error in scanner (while ...) at L1.C7-L2.C1: what": the end of
	// the span is where it broke, and the words before it are the library's own.
	if m := loadError.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = m[2]
	}
	if strings.HasPrefix(msg, "go-yaml load error in reader") {
		msg = "this is not a text file in UTF-8"
	}
	return line, msg
}

var loadError = regexp.MustCompile(`^go-yaml load error .*? at (?:L\d+\.C\d+-)?L(\d+)\.C\d+: (.*)$`)

func (f *File) check(n *yaml.Node, depth int, count *int, ps *Problems) {
	if *count++; *count == MaxNodes {
		ps.Add(f.pos(n), "split the file", "more than %d values", MaxNodes)
	}
	if *count >= MaxNodes {
		return
	}
	if depth > MaxDepth {
		ps.Add(f.pos(n), "flatten the structure", "nested deeper than %d levels", MaxDepth)
		return
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		ps.Add(f.pos(n), "write the value out, or use extends", "anchors and aliases are not read")
		return
	}
	if n.Kind == yaml.MappingNode {
		seen := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Value == "<<" && k.Style == 0 {
				ps.Add(f.pos(k), "write the keys out, or use extends", "merge keys are not read")
			}
			if first, dup := seen[k.Value]; dup {
				ps.Add(f.pos(k), "keep one of them", "key %q stands here again (first at line %d)", k.Value, first.Line)
			}
			seen[k.Value] = k
		}
	}
	for _, c := range n.Content {
		f.check(c, depth+1, count, ps)
	}
}

func (f *File) pos(n *yaml.Node) Pos { return Pos{f.of(n).Name, n.Line, n.Column} }

// from is at most n bytes of the file from a line and column on.
func (f *File) from(line, col, n int) string {
	if line < 1 || line > len(f.starts) {
		return ""
	}
	at := min(f.starts[line-1]+col-1, len(f.Data))
	return string(f.Data[at:min(at+n, len(f.Data))])
}

// line is line n (from 1) of the file, without its end.
func (f *File) line(n int) string {
	if n < 1 {
		return ""
	}
	rest := string(f.Data)
	for ; n > 1; n-- {
		i := strings.IndexByte(rest, '\n')
		if i < 0 {
			return ""
		}
		rest = rest[i+1:]
	}
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSuffix(rest, "\r")
}

func (f *File) withLines(err error) error {
	ps, ok := AsProblems(err)
	if !ok {
		return err
	}
	return f.Explain(ps)
}

// Explain fills in the source lines of problems found after decoding (dangling
// names, bad expressions), so that they print with a caret as well.
func (f *File) Explain(ps Problems) Problems {
	for i := range ps {
		if ps[i].Line != "" {
			continue
		}
		for _, g := range append([]*File{f}, f.below...) {
			if ps[i].Pos.File == g.Name {
				ps[i].Line = g.line(ps[i].Pos.Line)
				break
			}
		}
	}
	return ps
}
