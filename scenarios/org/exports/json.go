package exports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Limits on one file. An export of 20,000 members stays far below them.
const (
	MaxBytes = 64 << 20
	maxDepth = 64
	maxNodes = 5_000_000
)

// value is a JSON value that knows where it stands and which of its keys were
// read, so that what nobody read can be counted and named.
type value struct {
	kind   byte // o object, a array, s string, n number, b bool, z null
	text   string
	keys   []string
	vals   []*value
	used   []bool
	offset int
	f      *file
}

// file is one export as read.
type file struct {
	name  string
	data  []byte
	lines []int // offset of the start of each line, made when first asked

	strange string // the last object of it that is no export: "keys " and its keys
}

func (f *file) pos(offset int) source.Pos {
	if f.lines == nil {
		f.lines = []int{0}
		for i, b := range f.data {
			if b == '\n' {
				f.lines = append(f.lines, i+1)
			}
		}
	}
	lo, hi := 0, len(f.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; f.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return source.Pos{File: f.name, Line: lo + 1, Col: offset - f.lines[lo] + 1}
}

func (v *value) pos() source.Pos { return v.f.pos(v.offset) }

// parse reads one JSON value, or several one after the other as in JSON lines.
func (f *file) parse() ([]*value, error) {
	d := json.NewDecoder(bytes.NewReader(f.data))
	d.UseNumber()
	p := &parser{f: f, d: d}
	var out []*value
	for {
		v, err := p.value(0)
		if errors.Is(err, io.EOF) && !p.inside {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
}

type parser struct {
	f      *file
	d      *json.Decoder
	nodes  int
	inside bool
}

func (p *parser) value(depth int) (*value, error) {
	tok, err := p.d.Token()
	if err != nil {
		return nil, err
	}
	return p.rest(tok, depth)
}

func (p *parser) rest(tok json.Token, depth int) (*value, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, fmt.Errorf("more than %d values", maxNodes)
	}
	v := &value{f: p.f, offset: p.start(tok)}
	switch t := tok.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		was := p.inside
		p.inside = true
		v.kind = 'a'
		if t == '{' {
			v.kind = 'o'
		}
		for p.d.More() {
			if v.kind == 'o' {
				k, err := p.d.Token()
				if err != nil {
					return nil, err
				}
				v.keys = append(v.keys, k.(string))
			}
			x, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			v.vals = append(v.vals, x)
		}
		if _, err := p.d.Token(); err != nil {
			return nil, err
		}
		p.inside = was
		v.used = make([]bool, len(v.vals))
	case string:
		v.kind, v.text = 's', t
	case json.Number:
		v.kind, v.text = 'n', t.String()
	case bool:
		v.kind, v.text = 'b', fmt.Sprint(t)
	default:
		v.kind = 'z'
	}
	return v, nil
}

// start is where the token just read began, near enough for a person: strings
// with escapes are longer in the file than in memory.
func (p *parser) start(tok json.Token) int {
	end := int(p.d.InputOffset())
	n := 1
	switch t := tok.(type) {
	case string:
		if i := bytes.LastIndexByte(p.f.data[:max(end-1, 0)], '"'); i >= 0 {
			return i
		}
	case json.Number:
		n = len(t)
	case bool:
		n = len(fmt.Sprint(t))
	case nil:
		n = 4
	}
	return max(end-n, 0)
}

// get reads a key, whatever its case, and marks it as read; nil when missing.
func (v *value) get(key string) *value {
	if v == nil || v.kind != 'o' {
		return nil
	}
	var found *value
	for i, k := range v.keys {
		if k == key || strings.EqualFold(k, key) {
			v.used[i] = true
			if found == nil || k == key {
				found = v.vals[i]
			}
		}
	}
	return found
}

// has reports a key without marking it.
func (v *value) has(key string) bool {
	if v == nil || v.kind != 'o' {
		return false
	}
	for _, k := range v.keys {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// str is the text of a single value under a key, "" for anything else.
func (v *value) str(keys ...string) string {
	for _, k := range keys {
		if x := v.get(k); x != nil && (x.kind == 's' || x.kind == 'n' || x.kind == 'b') && x.text != "" {
			return x.text
		}
	}
	return ""
}

// list is the members of an array under a key, nil for anything else.
func (v *value) list(key string) []*value {
	if x := v.get(key); x != nil && x.kind == 'a' {
		return x.vals
	}
	return nil
}

// truth reads true, "True" and [{"value": "false"}], the forms in use for active.
func (v *value) truth() (on, known bool) {
	if v == nil {
		return false, false
	}
	if v.kind == 'a' && len(v.vals) == 1 {
		return v.vals[0].truth()
	}
	if v.kind == 'o' {
		return v.get("value").truth()
	}
	switch strings.ToLower(v.text) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		if t, err = time.Parse(time.DateOnly, s); err != nil {
			return time.Time{}
		}
	}
	return t.UTC()
}

// leftover counts the keys of a record that nobody read.
func (d *Draft) leftover(kind string, v *value) {
	if v == nil || v.kind != 'o' {
		return
	}
	for i, k := range v.keys {
		if !v.used[i] {
			d.Ignored[kind+"."+k]++
			continue
		}
		if v.vals[i].kind == 'o' {
			d.leftover(kind+"."+k, v.vals[i])
		}
	}
}
