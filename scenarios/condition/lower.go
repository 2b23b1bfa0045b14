package condition

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// val is a lowered expression: a closure of its kind. The string argument of
// the closures is the current element of any/all/none, so that programs hold
// no state.
type val[T any] struct {
	kind  Kind
	konst bool
	b     func(*T, string) Tri
	i     func(*T, string) (int64, bool)
	f     func(*T, string) (float64, bool)
	s     func(*T, string) (string, bool)
	l     func(*T, string) ([]string, bool)
	ints  []int64
	// the value of a constant
	cb bool
	ci int64
	cf float64
	cs string
	cl []string
}

func (v *val[T]) show(t *T) string {
	out, ok := "", false
	switch v.kind {
	case KindBool:
		return v.b(t, "").String()
	case KindInt:
		var x int64
		x, ok = v.i(t, "")
		out = strconv.FormatInt(x, 10)
	case KindNumber:
		var x float64
		x, ok = v.f(t, "")
		out = strconv.FormatFloat(x, 'g', -1, 64)
	case KindString:
		out, ok = v.s(t, "")
		out = strconv.Quote(out)
	case KindList:
		var x []string
		x, ok = v.l(t, "")
		out = join(x)
	}
	if !ok {
		return "unknown"
	}
	return out
}

func (v *val[T]) number() bool { return v.kind == KindInt || v.kind == KindNumber }

// float reads any number as a fraction.
func (v *val[T]) float() func(*T, string) (float64, bool) {
	if v.kind == KindNumber {
		return v.f
	}
	i := v.i
	return func(t *T, el string) (float64, bool) { x, ok := i(t, el); return float64(x), ok }
}

type lowerer[T any] struct {
	env    *Env[T]
	text   source.Text
	ps     source.Problems
	uses   map[string]bool
	calls  []Call
	leaves []leaf[T]
	inside int // depth of any/all/none
	nodes  int
	tree   *Node
}

func (l *lowerer[T]) run(want Kind) *val[T] {
	src := l.text.Value
	switch {
	case strings.TrimSpace(src) == "":
		l.ps.Add(l.text.At, "write true if it always holds", "the condition is empty")
		return nil
	case len(src) > MaxText:
		l.ps.Add(l.text.At, "split it", "the condition has %d bytes; at most %d are read", len(src), MaxText)
		return nil
	case !utf8.ValidString(src):
		l.ps.Add(l.text.At, "", "the condition is not valid UTF-8")
		return nil
	}
	tree, err := l.env.parse(src)
	if err != nil {
		l.foreign(err)
		return nil
	}
	v := l.lower(tree.Node)
	if len(l.ps) == 0 && v.kind != want {
		l.bad(tree.Node, "", "the expression gives a %s, expected a %s", v.kind, want)
	}
	if len(l.ps) == 0 {
		// A second opinion: what the closures accept, expr's own checker must accept too.
		if err := l.env.check(tree); err != nil {
			l.foreign(err)
		}
	}
	if len(l.ps) == 0 {
		l.tree = l.node(tree.Node)
	}
	return v
}

func (e *Env[T]) parse(text string) (*parser.Tree, error) {
	e.confLock.Lock()
	defer e.confLock.Unlock()
	return parser.ParseWithConfig(text, e.config())
}

func (e *Env[T]) check(tree *parser.Tree) error {
	e.confLock.Lock()
	defer e.confLock.Unlock()
	_, err := checker.Check(tree, e.config())
	return err
}

// config is what expr reads and checks conditions with.
func (e *Env[T]) config() *conf.Config {
	if e.conf != nil {
		return e.conf
	}
	cfg := conf.CreateNew()
	opts := append([]expr.Option{
		expr.Env(e.types), expr.Optimize(false), expr.MaxNodes(MaxNodes), expr.DisableBuiltin("now"),
		expr.Function("has", nil, new(func(any) bool)),
	}, e.opts...)
	for _, o := range opts {
		o(cfg)
	}
	delete(cfg.Builtins, "now")
	e.conf = cfg
	return cfg
}

// article puts a or an before a kind.
func article(k Kind) string {
	if k == KindInt || k == kindEmpty {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// foreign reports an error of expr at its place.
func (l *lowerer[T]) foreign(err error) {
	var fe *file.Error
	if errors.As(err, &fe) {
		msg := fe.Message
		if i := strings.IndexByte(msg, '\n'); i >= 0 {
			msg = msg[:i]
		}
		advice := ""
		switch {
		case strings.Contains(msg, "unexpected token EOF"):
			msg, advice = "the condition ends too early", "close brackets and quotes; if it holds #, write it in quotes: YAML takes # after a blank for a comment"
		case strings.Contains(msg, "exceeds maximum allowed nodes"):
			msg, advice = fmt.Sprintf("the condition has more than %d parts", MaxNodes), "split the rule"
		}
		l.ps.Add(l.place(fe.From), advice, "%s", msg)
		return
	}
	msg := err.Error()
	if i := strings.IndexByte(msg, '\n'); i >= 0 {
		msg = msg[:i]
	}
	l.ps.Add(l.text.At, "", "%s", msg)
}

// place maps a rune offset of the expression to the file.
func (l *lowerer[T]) place(offset int) source.Pos {
	line, col, n := 1, 1, 0
	for _, r := range l.text.Value {
		if n == offset {
			break
		}
		n++
		if r == '\n' {
			line, col = line+1, 1
		} else {
			col += utf8.RuneLen(r)
		}
	}
	return l.text.Inside(line, col)
}

func (l *lowerer[T]) bad(n ast.Node, advice, format string, args ...any) *val[T] {
	l.ps.Add(l.place(n.Location().From), advice, format, args...)
	return &val[T]{}
}

const noClock = "a condition has no clock: a span of time belongs to the rule's window, a day to an exception's end"

func (l *lowerer[T]) refuse(n ast.Node, what string) *val[T] {
	advice := "see the list of words with: rules env"
	switch what {
	case "now", "date", "duration", "timezone":
		advice = noClock
	case "the operator ..":
		advice = "lists come with the event, or are written out: [1, 2, 3]"
	}
	return l.bad(n, advice, "%s is not part of the condition language", what)
}

// leaf remembers a sub-expression for Trace, unless it reads the element of a
// list, which has no value of its own.
func (l *lowerer[T]) leaf(n ast.Node, v *val[T]) *val[T] {
	if l.inside == 0 && v.kind != invalid {
		l.leaves = append(l.leaves, leaf[T]{n.String(), v.show})
	}
	return v
}

func boolean[T any](f func(*T, string) Tri) *val[T] { return &val[T]{kind: KindBool, b: f} }

func (l *lowerer[T]) lower(n ast.Node) *val[T] {
	// a < b < c puts b into the tree twice, so nested chains double at each
	// level; the node count of the parser does not see that.
	if l.nodes++; l.nodes > 2*MaxNodes {
		if l.nodes == 2*MaxNodes+1 {
			return l.bad(n, "split the condition, or write a < b and b < c", "the condition is too complex")
		}
		return &val[T]{}
	}
	switch n := n.(type) {
	case *ast.BoolNode:
		x := Of(n.Value, true)
		return &val[T]{kind: KindBool, konst: true, cb: n.Value, b: func(*T, string) Tri { return x }}
	case *ast.IntegerNode:
		return integer[T](int64(n.Value))
	case *ast.FloatNode:
		return fraction[T](n.Value)
	case *ast.StringNode:
		x := n.Value
		return &val[T]{kind: KindString, konst: true, cs: x, s: func(*T, string) (string, bool) { return x, true }}
	case *ast.IdentifierNode:
		return l.identifier(n)
	case *ast.PointerNode:
		if l.inside == 0 || n.Name != "" {
			return l.refuse(n, "#"+n.Name+" here")
		}
		return &val[T]{kind: KindString, s: func(_ *T, el string) (string, bool) { return el, true }}
	case *ast.ArrayNode:
		return l.array(n)
	case *ast.UnaryNode:
		return l.unary(n)
	case *ast.BinaryNode:
		return l.binary(n)
	case *ast.ConditionalNode:
		return l.conditional(n)
	case *ast.BuiltinNode:
		return l.builtin(n)
	case *ast.CallNode:
		return l.call(n)
	case *ast.NilNode:
		return l.bad(n, "write has(x) to ask whether x is known", "nil is not part of the condition language")
	case *ast.MemberNode, *ast.ChainNode:
		return l.bad(n, "names hold no dots: event.name is event_name", "a member or index is not part of the condition language")
	case *ast.SliceNode:
		return l.refuse(n, "a slice")
	case *ast.MapNode, *ast.PairNode:
		return l.refuse(n, "a map")
	case *ast.VariableDeclaratorNode:
		return l.refuse(n, "let")
	case *ast.SequenceNode:
		return l.refuse(n, "a sequence with ;")
	case *ast.PredicateNode:
		return l.refuse(n, "a predicate here")
	}
	return l.refuse(n, "this")
}

func integer[T any](x int64) *val[T] {
	return &val[T]{kind: KindInt, konst: true, ci: x, cf: float64(x), i: func(*T, string) (int64, bool) { return x, true }}
}

func fraction[T any](x float64) *val[T] {
	return &val[T]{kind: KindNumber, konst: true, cf: x, f: func(*T, string) (float64, bool) { return x, true }}
}

func (l *lowerer[T]) identifier(n *ast.IdentifierNode) *val[T] {
	v, ok := l.env.vars[n.Value]
	if !ok {
		if l.env.funcs[n.Value] != nil || n.Value == "has" {
			return l.bad(n, fmt.Sprintf("write %s(...)", n.Value), "%s is a function", n.Value)
		}
		return l.unknownName(n, n.Value, "name")
	}
	l.uses[n.Value] = true
	return v
}

func (l *lowerer[T]) unknownName(n ast.Node, name, what string) *val[T] {
	advice := "see the list of words with: rules env"
	if what == "function" && slices.Contains([]string{"now", "date", "time", "today", "clock"}, strings.ToLower(name)) {
		return l.bad(n, noClock, "unknown function %q", name)
	}
	if g := source.Nearest(name, l.env.names); g != "" {
		advice = fmt.Sprintf("did you mean %q?", g)
	}
	return l.bad(n, advice, "unknown %s %q", what, name)
}

func (l *lowerer[T]) array(n *ast.ArrayNode) *val[T] {
	v := &val[T]{kind: kindEmpty, konst: true}
	for _, c := range n.Nodes {
		x := l.lower(c)
		switch {
		case x.kind == invalid:
			return x
		case !x.konst || x.kind != KindString && x.kind != KindInt:
			return l.bad(c, "", "a list holds constant texts or constant whole numbers")
		case x.kind == KindString && v.kind != kindInts:
			v.kind, v.cl = KindList, append(v.cl, x.cs)
		case x.kind == KindInt && v.kind != KindList:
			v.kind, v.ints = kindInts, append(v.ints, x.ci)
		default:
			return l.bad(c, "", "a list holds texts or numbers, not both")
		}
	}
	list := v.cl
	v.l = func(*T, string) ([]string, bool) { return list, true }
	return v
}

func (l *lowerer[T]) unary(n *ast.UnaryNode) *val[T] {
	x := l.lower(n.Node)
	if x.kind == invalid {
		return x
	}
	switch n.Operator {
	case "not", "!":
		if x.kind != KindBool {
			return l.bad(n, "", "%s needs a bool, found a %s", n.Operator, x.kind)
		}
		b := x.b
		return boolean(func(t *T, el string) Tri { return b(t, el).Not() })
	case "-":
		switch {
		case x.kind == KindInt && x.konst:
			return integer[T](-x.ci)
		case x.kind == KindNumber && x.konst:
			return fraction[T](-x.cf)
		case x.kind == KindInt:
			i := x.i
			return &val[T]{kind: KindInt, i: func(t *T, el string) (int64, bool) {
				v, ok := i(t, el)
				return -v, ok && v != math.MinInt64
			}}
		case x.kind == KindNumber:
			f := x.f
			return &val[T]{kind: KindNumber, f: func(t *T, el string) (float64, bool) { v, ok := f(t, el); return -v, ok }}
		}
		return l.bad(n, "", "- needs a number, found a %s", x.kind)
	}
	return l.refuse(n, "the operator "+n.Operator)
}

func (l *lowerer[T]) binary(n *ast.BinaryNode) *val[T] {
	switch n.Operator {
	case "and", "&&", "or", "||", "==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches", "+", "-", "*", "??":
	case "/", "%", "**", "^":
		return l.bad(n, "multiply the other side instead: money is whole micro-dollars", "%s is not part of the condition language", n.Operator)
	default:
		return l.refuse(n, "the operator "+n.Operator)
	}
	a, b := l.lower(n.Left), l.lower(n.Right)
	if a.kind == invalid || b.kind == invalid {
		return &val[T]{}
	}
	switch n.Operator {
	case "and", "&&":
		if a.kind == KindBool && b.kind == KindBool {
			x, y := a.b, b.b
			return boolean(func(t *T, el string) Tri {
				v := x(t, el)
				if v == False {
					return False
				}
				return v.And(y(t, el))
			})
		}
	case "or", "||":
		if a.kind == KindBool && b.kind == KindBool {
			x, y := a.b, b.b
			return boolean(func(t *T, el string) Tri {
				v := x(t, el)
				if v == True {
					return True
				}
				return v.Or(y(t, el))
			})
		}
	case "==", "!=":
		if f := equal(a, b); f != nil {
			if n.Operator == "!=" {
				return l.leaf(n, boolean(func(t *T, el string) Tri { return f(t, el).Not() }))
			}
			return l.leaf(n, boolean(f))
		}
	case "<", "<=", ">", ">=":
		if f := order(n.Operator, a, b); f != nil {
			return l.leaf(n, boolean(f))
		}
	case "in":
		if f := member(a, b); f != nil {
			return l.leaf(n, boolean(f))
		}
	case "contains", "startsWith", "endsWith":
		if a.kind == KindString && b.kind == KindString {
			op := map[string]func(string, string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}[n.Operator]
			x, y := a.s, b.s
			return l.leaf(n, boolean(func(t *T, el string) Tri {
				p, ok := x(t, el)
				q, ok2 := y(t, el)
				return Of(ok && ok2 && op(p, q), ok && ok2)
			}))
		}
	case "matches":
		return l.matches(n, a, b)
	case "+", "-", "*":
		if a.number() && b.number() {
			return arithmetic(n.Operator, a, b)
		}
	case "??":
		if v := either(a, b); v != nil {
			return v
		}
	}
	advice := ""
	if n.Operator == "??" {
		advice = "?? binds tighter than comparisons: put what stands before it in brackets"
	}
	return l.bad(n, advice, "%s cannot be used on %s and %s", n.Operator, article(a.kind), article(b.kind))
}

func equal[T any](a, b *val[T]) func(*T, string) Tri {
	switch {
	case a.kind == KindBool && b.kind == KindBool:
		x, y := a.b, b.b
		return func(t *T, el string) Tri {
			p, q := x(t, el), y(t, el)
			return Of(p == q, p != Unknown && q != Unknown)
		}
	case a.number() && b.number():
		return order("==", a, b)
	case a.kind == KindString && b.kind == KindString:
		if b.konst {
			x, want := a.s, b.cs
			return func(t *T, el string) Tri { p, ok := x(t, el); return Of(ok && p == want, ok) }
		}
		x, y := a.s, b.s
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			return Of(p == q, ok && ok2)
		}
	case a.list() && b.list():
		x, y := a.l, b.l
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			return Of(ok && ok2 && slices.Equal(p, q), ok && ok2)
		}
	}
	return nil
}

func (v *val[T]) list() bool { return v.kind == KindList || v.kind == kindEmpty }

// holds turns a three-way comparison into the result of an operator.
func holds(op string) func(c int) bool {
	switch op {
	case "<":
		return func(c int) bool { return c < 0 }
	case "<=":
		return func(c int) bool { return c <= 0 }
	case ">":
		return func(c int) bool { return c > 0 }
	case ">=":
		return func(c int) bool { return c >= 0 }
	}
	return func(c int) bool { return c == 0 }
}

func order[T any](op string, a, b *val[T]) func(*T, string) Tri {
	is := holds(op)
	switch {
	case a.kind == KindInt && b.kind == KindInt:
		x, y := a.i, b.i
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			c := 0
			if p < q {
				c = -1
			} else if p > q {
				c = 1
			}
			return Of(is(c), ok && ok2)
		}
	case a.kind == KindInt && b.kind == KindNumber:
		x, y := a.i, b.f
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			return Of(q == q && is(compareMixed(p, q)), ok && ok2)
		}
	case a.kind == KindNumber && b.kind == KindInt:
		x, y := a.f, b.i
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			return Of(p == p && is(-compareMixed(q, p)), ok && ok2)
		}
	case a.number() && b.number():
		x, y := a.f, b.f
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			c := 0
			if p < q {
				c = -1
			} else if p > q {
				c = 1
			}
			return Of(p == p && q == q && is(c), ok && ok2)
		}
	case a.kind == KindString && b.kind == KindString:
		x, y := a.s, b.s
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			return Of(ok && ok2 && is(strings.Compare(p, q)), ok && ok2)
		}
	}
	return nil
}

// compareMixed compares exactly: turning the whole number into a fraction
// would lose digits above 2^53, and amounts in micro-dollars get there.
func compareMixed(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -(1 << 63):
		return 1
	}
	whole := math.Floor(f)
	w := int64(whole)
	switch {
	case i < w:
		return -1
	case i > w:
		return 1
	case f > whole:
		return -1
	}
	return 0
}

func member[T any](a, b *val[T]) func(*T, string) Tri {
	switch {
	case a.kind == KindString && b.list():
		x, y := a.s, b.l
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			list, ok2 := y(t, el)
			return Of(ok && ok2 && slices.Contains(list, p), ok && ok2)
		}
	case a.kind == KindInt && (b.kind == kindInts || b.kind == kindEmpty):
		x, list := a.i, b.ints
		return func(t *T, el string) Tri {
			p, ok := x(t, el)
			return Of(ok && slices.Contains(list, p), ok)
		}
	}
	return nil
}

func (l *lowerer[T]) matches(n *ast.BinaryNode, a, b *val[T]) *val[T] {
	switch {
	case a.kind != KindString || b.kind != KindString:
		return l.bad(n, "", "matches cannot be used on %s and %s", article(a.kind), article(b.kind))
	case !b.konst:
		return l.bad(n.Right, "write the pattern as a constant text", "the pattern of matches is not constant")
	case len(b.cs) > MaxPattern:
		return l.bad(n.Right, "split it", "the pattern has %d bytes; at most %d are read", len(b.cs), MaxPattern)
	}
	re, err := regexp.Compile(b.cs)
	if err != nil {
		return l.bad(n.Right, "patterns are those of Go's regexp package", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	x := a.s
	return l.leaf(n, boolean(func(t *T, el string) Tri {
		p, ok := x(t, el)
		return Of(ok && re.MatchString(p), ok)
	}))
}

// arithmetic on whole numbers is unknown when it overflows: a wrapped amount
// would be a wrong one.
func arithmetic[T any](op string, a, b *val[T]) *val[T] {
	if a.kind == KindInt && b.kind == KindInt {
		x, y := a.i, b.i
		return &val[T]{kind: KindInt, i: func(t *T, el string) (int64, bool) {
			p, ok := x(t, el)
			q, ok2 := y(t, el)
			r, fits := checked(op, p, q)
			return r, ok && ok2 && fits
		}}
	}
	x, y := a.float(), b.float()
	return &val[T]{kind: KindNumber, f: func(t *T, el string) (float64, bool) {
		p, ok := x(t, el)
		q, ok2 := y(t, el)
		switch op {
		case "+":
			p += q
		case "-":
			p -= q
		default:
			p *= q
		}
		return p, ok && ok2
	}}
}

func checked(op string, p, q int64) (int64, bool) {
	switch op {
	case "+":
		r := p + q
		return r, (r > p) == (q > 0)
	case "-":
		r := p - q
		return r, (r < p) == (q > 0)
	}
	r := p * q
	return r, p == 0 || r/p == q && !(p == -1 && q == math.MinInt64)
}

// either lowers a ?? b.
func either[T any](a, b *val[T]) *val[T] {
	switch {
	case a.kind == KindBool && b.kind == KindBool:
		x, y := a.b, b.b
		return boolean(func(t *T, el string) Tri {
			if v := x(t, el); v != Unknown {
				return v
			}
			return y(t, el)
		})
	case a.kind == KindInt && b.kind == KindInt:
		return &val[T]{kind: KindInt, i: firstKnown(a.i, b.i)}
	case a.number() && b.number():
		return &val[T]{kind: KindNumber, f: firstKnown(a.float(), b.float())}
	case a.kind == KindString && b.kind == KindString:
		return &val[T]{kind: KindString, s: firstKnown(a.s, b.s)}
	case a.list() && b.list():
		return &val[T]{kind: KindList, l: firstKnown(a.l, b.l)}
	}
	return nil
}

func firstKnown[T, V any](x, y func(*T, string) (V, bool)) func(*T, string) (V, bool) {
	return func(t *T, el string) (V, bool) {
		if v, ok := x(t, el); ok {
			return v, true
		}
		return y(t, el)
	}
}

func (l *lowerer[T]) conditional(n *ast.ConditionalNode) *val[T] {
	if !n.Ternary {
		return l.bad(n, "write condition ? a : b", "if is not part of the condition language")
	}
	c, a, b := l.lower(n.Cond), l.lower(n.Exp1), l.lower(n.Exp2)
	if c.kind == invalid || a.kind == invalid || b.kind == invalid {
		return &val[T]{}
	}
	if c.kind != KindBool {
		return l.bad(n.Cond, "", "the condition before ? is a %s, expected a bool", c.kind)
	}
	cond := c.b
	switch {
	case a.kind == KindBool && b.kind == KindBool:
		x, y := a.b, b.b
		return boolean(func(t *T, el string) Tri {
			switch cond(t, el) {
			case True:
				return x(t, el)
			case False:
				return y(t, el)
			}
			if p := x(t, el); p == y(t, el) { // both branches agree, so the choice does not matter
				return p
			}
			return Unknown
		})
	case a.kind == KindInt && b.kind == KindInt:
		return &val[T]{kind: KindInt, i: choose(cond, a.i, b.i)}
	case a.number() && b.number():
		return &val[T]{kind: KindNumber, f: choose(cond, a.float(), b.float())}
	case a.kind == KindString && b.kind == KindString:
		return &val[T]{kind: KindString, s: choose(cond, a.s, b.s)}
	case a.list() && b.list():
		return &val[T]{kind: KindList, l: choose(cond, a.l, b.l)}
	}
	return l.bad(n, "", "the branches of ? give a %s and a %s", a.kind, b.kind)
}

func choose[T, V any](cond func(*T, string) Tri, x, y func(*T, string) (V, bool)) func(*T, string) (V, bool) {
	return func(t *T, el string) (V, bool) {
		switch cond(t, el) {
		case True:
			return x(t, el)
		case False:
			return y(t, el)
		}
		var zero V
		return zero, false
	}
}

func (l *lowerer[T]) builtin(n *ast.BuiltinNode) *val[T] {
	switch n.Name {
	case "len", "lower":
		if len(n.Arguments) != 1 {
			return l.bad(n, "", "%s takes one argument", n.Name)
		}
		x := l.lower(n.Arguments[0])
		switch {
		case x.kind == invalid:
			return x
		case n.Name == "lower" && x.kind == KindString:
			s := x.s
			return &val[T]{kind: KindString, s: func(t *T, el string) (string, bool) { v, ok := s(t, el); return strings.ToLower(v), ok }}
		case n.Name == "len" && x.kind == KindString:
			s := x.s
			return &val[T]{kind: KindInt, i: func(t *T, el string) (int64, bool) {
				v, ok := s(t, el)
				return int64(utf8.RuneCountInString(v)), ok
			}}
		case n.Name == "len" && x.list():
			list := x.l
			return &val[T]{kind: KindInt, i: func(t *T, el string) (int64, bool) { v, ok := list(t, el); return int64(len(v)), ok }}
		}
		return l.bad(n, "", "%s cannot be used on %s", n.Name, article(x.kind))
	case "any", "all", "none":
		return l.quantifier(n)
	}
	return l.refuse(n, n.Name)
}

func (l *lowerer[T]) quantifier(n *ast.BuiltinNode) *val[T] {
	if len(n.Arguments) != 2 {
		return l.bad(n, "", "%s takes a list and a condition on #", n.Name)
	}
	p, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return l.bad(n, "", "%s takes a list and a condition on #", n.Name)
	}
	if l.inside > 0 { // lists come with events: nested, their lengths would multiply
		return l.bad(n, "write one condition for each list", "%s stands inside another any, all or none", n.Name)
	}
	over := l.lower(n.Arguments[0])
	l.inside++
	body := l.lower(p.Node)
	l.inside--
	switch {
	case over.kind == invalid || body.kind == invalid:
		return &val[T]{}
	case !over.list():
		return l.bad(n.Arguments[0], "", "%s goes over a list, found a %s", n.Name, over.kind)
	case body.kind != KindBool:
		return l.bad(p.Node, "", "the condition of %s gives a %s, expected a bool", n.Name, body.kind)
	}
	list, each, name := over.l, body.b, n.Name
	return l.leaf(n, boolean(func(t *T, el string) Tri {
		items, ok := list(t, el)
		if !ok {
			return Unknown
		}
		some, every := False, True
		for _, x := range items {
			v := each(t, x)
			some, every = some.Or(v), every.And(v)
		}
		switch name {
		case "any":
			return some
		case "all":
			return every
		}
		return some.Not()
	}))
}

func (l *lowerer[T]) call(n *ast.CallNode) *val[T] {
	id, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return l.refuse(n, "a method call")
	}
	if id.Value == "has" {
		return l.has(n)
	}
	f := l.env.funcs[id.Value]
	if f == nil {
		if _, isVar := l.env.vars[id.Value]; isVar {
			return l.bad(n, "", "%s is a variable, not a function", id.Value)
		}
		return l.unknownName(n, id.Value, "function")
	}
	args := n.Arguments
	var text *val[T]
	if f.text {
		if len(args) == 0 {
			return l.bad(n, "", "%s needs a text", id.Value)
		}
		text, args = l.lower(args[0]), args[1:]
		if text.kind == invalid {
			return text
		}
		if text.kind != KindString {
			return l.bad(n.Arguments[0], "", "the first argument of %s is a %s, expected a text", id.Value, text.kind)
		}
	}
	if len(args) < f.min || len(args) > f.max {
		want := strconv.Itoa(f.min)
		if f.max > f.min {
			want += " to " + strconv.Itoa(f.max)
		}
		return l.bad(n, "", "%s has %d constant arguments, expected %s", id.Value, len(args), want)
	}
	consts := make([]string, len(args))
	for i, a := range args {
		s, ok := a.(*ast.StringNode)
		if !ok {
			return l.bad(a, "write it in quotes", "an argument of %s is not a constant text", id.Value)
		}
		consts[i] = s.Value
	}
	if f.check != nil {
		if err := f.check(consts); err != nil {
			at := ast.Node(n)
			if len(args) > 0 {
				at = args[0]
			}
			return l.bad(at, "", "%v", err)
		}
	}
	l.calls = append(l.calls, Call{id.Value, consts})
	switch {
	case f.text:
		s, fn := text.s, f.textFn
		return l.leaf(n, boolean(func(t *T, el string) Tri {
			v, ok := s(t, el)
			if !ok {
				return Unknown
			}
			return fn(t, v, consts)
		}))
	case f.kind == KindInt:
		fn := f.num
		return l.leaf(n, &val[T]{kind: KindInt, i: func(t *T, _ string) (int64, bool) { return fn(t, consts) }})
	}
	fn := f.tri
	return l.leaf(n, boolean(func(t *T, _ string) Tri { return fn(t, consts) }))
}

func (l *lowerer[T]) has(n *ast.CallNode) *val[T] {
	if len(n.Arguments) != 1 {
		return l.bad(n, "", "has takes one name")
	}
	id, ok := n.Arguments[0].(*ast.IdentifierNode)
	if !ok {
		return l.bad(n.Arguments[0], "", "has takes a name, not an expression")
	}
	v := l.identifier(id)
	var f func(*T, string) Tri
	switch v.kind {
	case KindBool:
		b := v.b
		f = func(t *T, el string) Tri { return Of(b(t, el) != Unknown, true) }
	case KindInt:
		f = known(v.i)
	case KindNumber:
		f = known(v.f)
	case KindString:
		f = known(v.s)
	case KindList:
		f = known(v.l)
	default:
		return v
	}
	return l.leaf(n, boolean(f))
}

func known[T, V any](get func(*T, string) (V, bool)) func(*T, string) Tri {
	return func(t *T, el string) Tri { _, ok := get(t, el); return Of(ok, true) }
}
