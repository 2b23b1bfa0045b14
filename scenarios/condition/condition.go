// Package condition is the language of rules, predicates and predictions: the
// syntax of expr-lang, checked against a declared vocabulary and lowered to Go
// closures that evaluate with three truth values.
//
// A variable that is not known makes what depends on it unknown, and nothing
// else: "true or unknown" is true, "false and unknown" is false, a comparison
// with an unknown operand is unknown. Only has(x) and the operator ?? lead out
// of unknown. A rule can therefore never fire, nor a check pass, because a
// field was missing.
//
// The language is a small closed subset: not, and, or, comparisons, in,
// contains, startsWith, endsWith, matches (constant patterns), + - * on
// numbers, the ternary, ??, len, lower, has, any/all/none over lists, and the
// functions the vocabulary declares. Everything else is refused at load time
// with its place in the file. There is no clock and no loop.
package condition

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/conf"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Limits on one expression. They are far above anything shipped.
const (
	MaxText    = 4 << 10 // bytes
	MaxNodes   = 500
	MaxPattern = 512 // bytes of a regular expression
)

// Tri is a truth value. The zero value is Unknown, the safe one.
type Tri uint8

const (
	Unknown Tri = iota
	False
	True
)

func (v Tri) String() string { return [...]string{"unknown", "false", "true"}[v] }

// Of makes a Tri from a value and whether it is known.
func Of(value, known bool) Tri {
	switch {
	case !known:
		return Unknown
	case value:
		return True
	}
	return False
}

// Not, And and Or are Kleene's: a known operand that settles the result does.
func (v Tri) Not() Tri {
	switch v {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// And is true when both are true and false when either is false.
func (v Tri) And(o Tri) Tri {
	switch {
	case v == False || o == False:
		return False
	case v == True && o == True:
		return True
	}
	return Unknown
}

// Or is true when either is true and false when both are false.
func (v Tri) Or(o Tri) Tri {
	switch {
	case v == True || o == True:
		return True
	case v == False && o == False:
		return False
	}
	return Unknown
}

// Kind is the type of a variable or value.
type Kind uint8

const (
	invalid Kind = iota // a mistake was reported; suppresses further ones
	KindBool
	KindInt
	KindNumber
	KindString
	KindList  // of strings
	kindInts  // a constant list of whole numbers, only right of "in"
	kindEmpty // [], fits any list
)

func (k Kind) String() string {
	return [...]string{"", "bool", "int", "number", "string", "list", "list of numbers", "empty list"}[k]
}

// Var describes one word of a vocabulary.
type Var struct {
	Name string
	Type string // bool, int, number, string, list, or "function"
	Doc  string
}

// Env is a vocabulary: the variables and functions that conditions over a
// subject of type T may use. Declare everything first, then compile; an Env is
// then safe for concurrent use, and so are its programs as far as the getters
// are. Getters must not change the subject and return false for "not known".
//
// Declaring a name twice, or one that is not an identifier, panics: it is a
// mistake in the program that declares, not in a file.
type Env[T any] struct {
	version int
	vars    map[string]*val[T]
	funcs   map[string]*function[T]
	docs    []Var
	names   []string
	types   map[string]any // typed zero values, for expr's checker
	opts    []expr.Option

	// What expr is told of the words, made for the first condition. Its parser and its
	// checker write to a cache in there.
	confLock sync.Mutex
	conf     *conf.Config
}

type function[T any] struct {
	kind     Kind // KindBool or KindInt
	min, max int
	text     bool // the first argument is an expression
	check    func(args []string) error
	tri      func(t *T, args []string) Tri
	num      func(t *T, args []string) (int64, bool)
	textFn   func(t *T, text string, args []string) Tri
}

// NewEnv makes an empty vocabulary. version names its revision, so that
// recorded results say what their conditions could see.
func NewEnv[T any](version int) *Env[T] {
	return &Env[T]{version: version, vars: map[string]*val[T]{}, funcs: map[string]*function[T]{}, types: map[string]any{}}
}

// Version is the number given to NewEnv.
func (e *Env[T]) Version() int { return e.version }

// Vars lists variables and functions in the order they were declared.
func (e *Env[T]) Vars() []Var { return append([]Var(nil), e.docs...) }

// reserved words mean something in the language itself.
var reserved = map[string]bool{
	"has": true, "len": true, "lower": true, "any": true, "all": true, "none": true, "true": true, "false": true, "nil": true,
	"and": true, "or": true, "not": true, "in": true, "contains": true, "startsWith": true, "endsWith": true, "matches": true,
	"let": true, "if": true, "else": true,
}

func (e *Env[T]) declare(name, typ, doc string) {
	ok := name != "" && !reserved[name]
	for i, r := range name {
		ok = ok && (r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9')
	}
	if _, taken := e.types[name]; !ok || taken || e.funcs[name] != nil {
		panic("condition: the name " + fmt.Sprintf("%q", name) + " is taken or not an identifier")
	}
	e.conf = nil
	e.docs = append(e.docs, Var{name, typ, doc})
	e.names = append(e.names, name)
}

func (e *Env[T]) variable(name, doc string, zero any, v *val[T]) {
	e.declare(name, v.kind.String(), doc)
	e.vars[name], e.types[name] = v, zero
}

// Bool declares a variable that is true or false; get's second result says
// whether it is known.
func (e *Env[T]) Bool(name, doc string, get func(*T) (bool, bool)) {
	e.variable(name, doc, false, &val[T]{kind: KindBool, b: func(t *T, _ string) Tri { return Of(get(t)) }})
}

// Int declares a whole number. Money belongs here, in micro-dollars.
func (e *Env[T]) Int(name, doc string, get func(*T) (int64, bool)) {
	e.variable(name, doc, int64(0), &val[T]{kind: KindInt, i: func(t *T, _ string) (int64, bool) { return get(t) }})
}

// Number declares a fraction.
func (e *Env[T]) Number(name, doc string, get func(*T) (float64, bool)) {
	e.variable(name, doc, float64(0), &val[T]{kind: KindNumber, f: func(t *T, _ string) (float64, bool) { return get(t) }})
}

// String declares a text.
func (e *Env[T]) String(name, doc string, get func(*T) (string, bool)) {
	e.variable(name, doc, "", &val[T]{kind: KindString, s: func(t *T, _ string) (string, bool) { return get(t) }})
}

// List declares a list of texts. The list is read, never kept.
func (e *Env[T]) List(name, doc string, get func(*T) ([]string, bool)) {
	e.variable(name, doc, []string(nil), &val[T]{kind: KindList, l: func(t *T, _ string) ([]string, bool) { return get(t) }})
}

func (e *Env[T]) function(name, doc string, f *function[T], types ...any) {
	e.declare(name, "function", doc)
	e.funcs[name] = f
	e.opts = append(e.opts, expr.Function(name, nil, types...))
}

// FuncBool declares a function of min to max constant texts. check, if not
// nil, judges the arguments when a condition is compiled.
func (e *Env[T]) FuncBool(name, doc string, min, max int, check func(args []string) error, fn func(t *T, args []string) Tri) {
	e.function(name, doc, &function[T]{kind: KindBool, min: min, max: max, check: check, tri: fn}, new(func(...string) bool))
}

// FuncInt is FuncBool for a function that gives a whole number.
func (e *Env[T]) FuncInt(name, doc string, min, max int, check func(args []string) error, fn func(t *T, args []string) (int64, bool)) {
	e.function(name, doc, &function[T]{kind: KindInt, min: min, max: max, check: check, num: fn}, new(func(...string) int64))
}

// FuncText declares a function whose first argument is any text expression and
// whose min to max further ones are constant texts, which check judges. fn is
// called only when the text is known.
func (e *Env[T]) FuncText(name, doc string, min, max int, check func(args []string) error, fn func(t *T, text string, args []string) Tri) {
	e.function(name, doc, &function[T]{kind: KindBool, min: min, max: max, check: check, text: true, textFn: fn}, new(func(string, ...string) bool))
}

// Call is one function call of a program: its name and constant arguments.
type Call struct {
	Func string
	Args []string
}

// TraceLine is one variable, comparison or call of a condition with its value,
// for people: "unknown" when it is not known.
type TraceLine struct {
	Name  string
	Value string
}

type leaf[T any] struct {
	name string
	show func(t *T) string
}

type meta[T any] struct {
	text   string
	uses   []string
	calls  []Call
	leaves []leaf[T]
	tree   *Node
}

// Text is the expression as written.
func (m *meta[T]) Text() string { return m.text }

// Uses lists the variables read, sorted.
func (m *meta[T]) Uses() []string { return append([]string(nil), m.uses...) }

// Calls lists the function calls, in the order written.
func (m *meta[T]) Calls() []Call { return append([]Call(nil), m.calls...) }

// Trace evaluates every variable, comparison and call by itself, variables
// first. It is for explanations, not for speed.
func (m *meta[T]) Trace(t *T) []TraceLine {
	out := make([]TraceLine, 0, len(m.leaves))
	seen := map[string]bool{}
	for _, l := range m.leaves {
		if !seen[l.name] {
			seen[l.name] = true
			out = append(out, TraceLine{l.name, l.show(t)})
		}
	}
	return out
}

// Program is a compiled condition, safe for concurrent use as far as the
// vocabulary's getters are.
type Program[T any] struct {
	meta[T]
	fn func(*T, string) Tri
}

// Eval gives the truth value for one subject. It does not allocate unless a
// getter, a function or lower does.
func (p *Program[T]) Eval(t *T) Tri { return p.fn(t, "") }

// IntProgram is a compiled whole-number expression.
type IntProgram[T any] struct {
	meta[T]
	fn func(*T, string) (int64, bool)
}

// Eval gives the number and whether it is known.
func (p *IntProgram[T]) Eval(t *T) (int64, bool) { return p.fn(t, "") }

// Compile checks a condition and lowers it. On any problem the program is nil;
// the problems carry places in the file the text came from.
func (e *Env[T]) Compile(text source.Text) (*Program[T], source.Problems) {
	m, v, ps := e.compile(text, KindBool)
	if len(ps) > 0 {
		return nil, ps
	}
	return &Program[T]{m, v.b}, nil
}

// CompileInt is Compile for an expression that gives a whole number.
func (e *Env[T]) CompileInt(text source.Text) (*IntProgram[T], source.Problems) {
	m, v, ps := e.compile(text, KindInt)
	if len(ps) > 0 {
		return nil, ps
	}
	return &IntProgram[T]{m, v.i}, nil
}

func (e *Env[T]) compile(text source.Text, want Kind) (meta[T], *val[T], source.Problems) {
	l := &lowerer[T]{env: e, text: text, uses: map[string]bool{}}
	v := l.run(want)
	if len(l.ps) > 0 {
		return meta[T]{}, nil, l.ps
	}
	m := meta[T]{text: text.Value, calls: l.calls, tree: l.tree}
	for n := range l.uses {
		m.uses = append(m.uses, n)
	}
	sort.Strings(m.uses)
	for _, n := range m.uses {
		m.leaves = append(m.leaves, leaf[T]{n, e.vars[n].show})
	}
	m.leaves = append(m.leaves, l.leaves...)
	return m, v, nil
}

func join(list []string) string { return "[" + strings.Join(list, ", ") + "]" }
