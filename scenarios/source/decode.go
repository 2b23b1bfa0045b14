package source

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Text is a string that remembers where it stands: use it for names that are
// resolved later and for expressions. The zero value is "not given".
type Text struct {
	Value string
	At    Pos
	// block is set for a literal block: its lines start below At, indented.
	block  bool
	indent int
	// raw is the text as the file has it, from At on, where the value does not stand
	// there letter by letter: folded over lines, or with escapes.
	raw string
}

func (t Text) String() string { return t.Value }

// Inside is the place of byte column col (from 1) in line (from 1) of the
// text, mapped back to the file, block scalars included.
func (t Text) Inside(line, col int) Pos {
	p := t.At
	switch {
	case t.raw != "":
		n := 0
		for l := 1; l < line; l++ {
			next := strings.IndexByte(t.Value[n:], '\n')
			if next < 0 {
				break
			}
			n += next + 1
		}
		return t.unfold(min(n+col-1, len(t.Value)))
	case t.block:
		p.Line, p.Col = p.Line+line, t.indent+col
	case line == 1:
		p.Col += t.indent + col - 1
	default:
		p.Line, p.Col = p.Line+line-1, col
	}
	return p
}

// unfold finds byte n of the value in the raw text: blanks and breaks of the value
// stand for any of them there, and an escape for what it means.
func (t Text) unfold(n int) Pos {
	raw, at, quote := t.raw, 0, byte(0)
	blank := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	skip := func() {
		for at < len(raw) && blank(raw[at]) {
			at++
		}
	}
	switch {
	case t.block: // the header ends with its line
		at = strings.IndexByte(raw, '\n') + 1
		skip()
	case raw[0] == '"' || raw[0] == '\'':
		quote, at = raw[0], 1
	}
	for i := 0; i < n && at < len(raw); i++ {
		c := t.Value[i]
		switch {
		case blank(c) && blank(raw[at]):
			if next := raw[at:min(at+1, len(raw))]; next == " " && !folds(raw[at:]) {
				at++ // a blank within a line
			} else if i+1 >= len(t.Value) || !blank(t.Value[i+1]) {
				skip()
			}
		case quote == '\'' && c == '\'':
			at += 2
		case quote == '"' && raw[at] == '\\':
			width := map[byte]int{'x': 4, 'u': 6, 'U': 10}[raw[min(at+1, len(raw)-1)]]
			at += max(width, 2)
			if _, size := utf8.DecodeRuneInString(t.Value[i:]); size > 1 {
				i += size - 1
			}
		default:
			at++
		}
	}
	p := t.At
	if before := raw[:min(at, len(raw))]; strings.Contains(before, "\n") {
		p.Line += strings.Count(before, "\n")
		p.Col = len(before) - strings.LastIndexByte(before, '\n')
	} else {
		p.Col += len(before)
	}
	return p
}

// folds reports that only blanks come before the end of the line.
func folds(s string) bool {
	s = strings.TrimLeft(s, " \t")
	return s == "" || s[0] == '\n' || s[0] == '\r'
}

// Date is a calendar day in UTC. The zero value is "not given".
type Date struct {
	Time time.Time
	At   Pos
}

// Day makes a Date from year, month and day.
func Day(y int, m time.Month, d int) Date {
	return Date{Time: time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
}

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.IsZero() { // the first day of all stands for no date given
		return Date{}, fmt.Errorf("%q is not a date of the form YYYY-MM-DD", s)
	}
	return Date{Time: t}, nil
}

// Given reports that the date was set.
func (d Date) Given() bool { return !d.Time.IsZero() }

// String is YYYY-MM-DD, or "" when not given.
func (d Date) String() string {
	if d.Time.IsZero() {
		return ""
	}
	return d.Time.Format(time.DateOnly)
}

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Before, After and Equal compare days.
func (d Date) Before(o Date) bool { return d.Time.Before(o.Time) }
func (d Date) After(o Date) bool  { return d.Time.After(o.Time) }

// Add returns the day n days later.
func (d Date) Add(n int) Date { return Date{Time: d.Time.AddDate(0, 0, n)} }

// Money is an amount in micro-dollars (10^-6 USD), written in files as dollars
// with at most six decimals, e.g. 53.75. Negative amounts are refused.
type Money struct {
	Micros int64
	At     Pos
	Given  bool
}

// parseMoney reads dollars with at most six decimals into micro-dollars.
func parseMoney(s string) (int64, error) {
	s = strings.ReplaceAll(strings.TrimPrefix(s, "$"), "_", "")
	whole, frac, _ := strings.Cut(s, ".")
	if len(frac) > 6 || whole == "" {
		return 0, fmt.Errorf("%q is not an amount in dollars with at most six decimals", s)
	}
	if strings.HasPrefix(whole, "-") {
		return 0, fmt.Errorf("%q is negative; an amount in dollars must be 0 or more", s)
	}
	w, err := strconv.ParseUint(whole, 10, 40)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount in dollars with at most six decimals", s)
	}
	var fr uint64
	if frac != "" {
		if fr, err = strconv.ParseUint((frac + "000000")[:6], 10, 32); err != nil {
			return 0, fmt.Errorf("%q is not an amount in dollars with at most six decimals", s)
		}
	}
	return int64(w)*1_000_000 + int64(fr), nil
}

// Checker is implemented by structs that check themselves after decoding. pos
// is the place of the mapping.
type Checker interface{ Check(pos Pos, ps *Problems) }

var (
	textType  = reflect.TypeFor[Text]()
	dateType  = reflect.TypeFor[Date]()
	moneyType = reflect.TypeFor[Money]()
	posType   = reflect.TypeFor[Pos]()
)

// Decode fills v, a pointer to a struct, from the file's root mapping.
//
// Keys are the yaml tags, or the field name in lower case. A tag option
// "required" makes a key that is missing, or null, a problem; "enum=a|b" limits a string or each
// item of a list. A field of type Pos gets the place of the mapping. Unknown
// keys, repeated keys and wrong types are problems; all are returned at once.
func (f *File) Decode(v any) error {
	var ps Problems
	d := decoder{f: f, ps: &ps}
	d.value(f.root, reflect.ValueOf(v).Elem(), "", "")
	return f.withLines(ps.Err())
}

type decoder struct {
	f  *File
	ps *Problems
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Value == "" || n.Tag == "!!null" {
			return "nothing"
		}
		return strconv.Quote(clip(n.Value))
	}
	return "nothing"
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}

func (d decoder) bad(n *yaml.Node, key, expected, advice string) {
	where := ""
	if key != "" {
		where = key + ": "
	}
	d.ps.Add(d.f.pos(n), advice, "%sfound %s, expected %s", where, kindName(n), expected)
}

func (d decoder) text(n *yaml.Node) Text {
	t := Text{Value: n.Value, At: d.f.pos(n)}
	switch {
	case n.Tag == "!!null":
		t.Value = ""
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		t.block = true
		for i := 1; i <= 50; i++ {
			l := d.f.of(n).line(n.Line + i)
			if trimmed := strings.TrimLeft(l, " "); trimmed != "" {
				t.indent = len(l) - len(trimmed)
				break
			}
		}
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		t.indent = 1
	}
	if n.Style&yaml.LiteralStyle == 0 {
		src := d.f.of(n).from(n.Line, n.Column, 4*len(n.Value)+4096)
		if len(src) > 0 && (n.Style&yaml.FoldedStyle != 0 || !strings.HasPrefix(src[min(t.indent, len(src)):], n.Value)) {
			t.raw = src
		}
	}
	return t
}

// value decodes node n into v. enum, if not empty, lists allowed strings.
func (d decoder) value(n *yaml.Node, v reflect.Value, key, enum string) {
	switch v.Type() {
	case textType:
		if n.Kind != yaml.ScalarNode {
			d.bad(n, key, "text", "")
			return
		}
		d.enum(n, key, enum)
		v.Set(reflect.ValueOf(d.text(n)))
		return
	case dateType:
		dt, err := ParseDate(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			d.bad(n, key, "a date", "write the day as YYYY-MM-DD, for example 2026-04-09")
			return
		}
		dt.At = d.f.pos(n)
		v.Set(reflect.ValueOf(dt))
		return
	case moneyType:
		m, err := parseMoney(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			if strings.HasPrefix(n.Value, "-") {
				d.bad(n, key, "an amount of 0 or more", "limits and prices are dollars, for example 53.75; leave the key out for no limit")
				return
			}
			d.bad(n, key, "an amount in dollars", "write dollars with at most six decimals, for example 53.75")
			return
		}
		v.Set(reflect.ValueOf(Money{Micros: m, At: d.f.pos(n), Given: true}))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if n.Tag == "!!null" {
			return
		}
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), key, enum)
		v.Set(p)
	case reflect.Struct:
		d.structure(n, v, key)
	case reflect.Slice:
		if n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.SequenceNode {
			d.bad(n, key, "a list", "write [a, b] or one \"- item\" a line")
			return
		}
		s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, c := range n.Content {
			d.value(c, s.Index(i), key, enum)
		}
		v.Set(s)
	case reflect.Map:
		if n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.MappingNode {
			d.bad(n, key, "a mapping", "write \"name: value\" lines below the key")
			return
		}
		m := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			e := reflect.New(v.Type().Elem()).Elem()
			d.value(n.Content[i+1], e, key+"."+n.Content[i].Value, enum)
			m.SetMapIndex(reflect.ValueOf(n.Content[i].Value).Convert(v.Type().Key()), e)
		}
		v.Set(m)
	default:
		d.scalar(n, v, key, enum)
	}
}

func (d decoder) enum(n *yaml.Node, key, enum string) {
	if enum == "" {
		return
	}
	all := strings.Split(enum, "|")
	for _, a := range all {
		if a == n.Value {
			return
		}
	}
	advice := ""
	if g := Nearest(n.Value, all); g != "" {
		advice = fmt.Sprintf("did you mean %q?", g)
	}
	d.bad(n, key, "one of "+strings.Join(all, ", "), advice)
}

func (d decoder) scalar(n *yaml.Node, v reflect.Value, key, enum string) {
	if n.Kind != yaml.ScalarNode {
		d.bad(n, key, "a single value", "")
		return
	}
	switch v.Kind() {
	case reflect.String:
		d.enum(n, key, enum)
		if n.Tag != "!!null" {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		switch n.Value {
		case "true", "yes", "on":
			v.SetBool(true)
		case "false", "no", "off":
			v.SetBool(false)
		default:
			d.bad(n, key, "true or false", "")
		}
	case reflect.Int, reflect.Int64, reflect.Int32:
		i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
		if err != nil {
			d.bad(n, key, "a whole number", "")
			return
		}
		v.SetInt(i)
	case reflect.Uint64, reflect.Uint32, reflect.Uint:
		i, err := strconv.ParseUint(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
		if err != nil {
			d.bad(n, key, "a whole number of 0 or more", "")
			return
		}
		v.SetUint(i)
	case reflect.Float64:
		x, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || x != x || x > 1e300 || x < -1e300 {
			d.bad(n, key, "a number", "")
			return
		}
		v.SetFloat(x)
	case reflect.Interface:
		var x any
		if err := n.Decode(&x); err == nil && x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		panic("source: field type " + v.Type().String() + " cannot be decoded")
	}
}

func (d decoder) structure(n *yaml.Node, v reflect.Value, key string) {
	pos := d.f.pos(n)
	if n.Kind != yaml.MappingNode {
		if n.Tag == "!!null" {
			return
		}
		d.bad(n, key, "a mapping", "write \"name: value\" lines below the key")
		return
	}
	fields := fieldsOf(v.Type())
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		given[k.Value] = val.Tag != "!!null" // "title:" with nothing behind it gives none
		fl, ok := fields.byName[k.Value]
		if !ok {
			advice := "known keys: " + strings.Join(fields.names, ", ")
			if g := Nearest(k.Value, fields.names); g != "" {
				advice = fmt.Sprintf("did you mean %q?", g)
			}
			if under := fields.owners(k.Value); len(under) > 0 {
				advice = fmt.Sprintf("it stands under %s", strings.Join(under, " and under "))
			}
			d.ps.Add(d.f.pos(k), advice, "unknown key %q", join(key, k.Value))
			continue
		}
		d.value(val, v.FieldByIndex(fl.index), join(key, k.Value), fl.enum)
	}
	for _, name := range fields.names {
		if fl := fields.byName[name]; fl.required && !given[name] {
			d.ps.Add(pos, fl.advice, "%s is missing", join(key, name))
		}
	}
	if fields.pos != nil {
		v.FieldByIndex(fields.pos).Set(reflect.ValueOf(pos))
	}
	if c, ok := v.Addr().Interface().(Checker); ok {
		c.Check(pos, d.ps)
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

type field struct {
	index    []int
	required bool
	enum     string
	advice   string
	typ      reflect.Type // of a structure, else nil
}

// owners are the keys of a structure below which a key stands.
func (fs *fieldSet) owners(key string) []string {
	var out []string
	for _, n := range fs.names {
		if t := fs.byName[n].typ; t != nil {
			if _, ok := fieldsOf(t).byName[key]; ok {
				out = append(out, n)
			}
		}
	}
	return out
}

type fieldSet struct {
	names  []string
	byName map[string]field
	pos    []int
}

var fieldSets sync.Map // by type

// fieldsOf reads the tags of a struct type, once.
func fieldsOf(t reflect.Type) *fieldSet {
	if fs, ok := fieldSets.Load(t); ok {
		return fs.(*fieldSet)
	}
	fs := &fieldSet{byName: map[string]field{}}
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		if sf.Type == posType {
			fs.pos = sf.Index
			continue
		}
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		if opts == "inline" {
			inner := fieldsOf(sf.Type)
			for _, n := range inner.names {
				fl := inner.byName[n]
				fl.index = append(append([]int(nil), sf.Index...), fl.index...)
				fs.names = append(fs.names, n)
				fs.byName[n] = fl
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		fl := field{index: sf.Index, advice: sf.Tag.Get("advice")}
		if sf.Type.Kind() == reflect.Struct {
			fl.typ = sf.Type
		}
		for _, o := range strings.Split(opts, ",") {
			switch {
			case o == "required":
				fl.required = true
			case strings.HasPrefix(o, "enum="):
				fl.enum = o[5:]
			}
		}
		fs.names = append(fs.names, name)
		fs.byName[name] = fl
	}
	fieldSets.Store(t, fs)
	return fs
}

// Nearest returns the candidate closest to s by edit distance, or "" when none
// is close enough to be a likely slip of the pen.
func Nearest(s string, candidates []string) string {
	best, bestD := "", min(len(s)/3+2, max(3, len(s)/3+1))
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), strings.ToLower(c)); d < bestD {
			best, bestD = c, d
		}
	}
	return best
}

func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			c := 1
			if a[i-1] == b[j-1] {
				c = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+c)
		}
		prev, cur = cur, prev
	}
	return prev[len(b)]
}
