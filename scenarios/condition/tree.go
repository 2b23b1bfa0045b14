package condition

import (
	"github.com/expr-lang/expr/ast"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Node is a parsed condition in a form of our own, for those who translate it.
// It is what the closures were lowered from, nothing optimised.
//
// Op is one of: var, text, int, number, bool, list (constants), element (the item
// of any, all, none), not, neg, and, or, ==, !=, <, <=, >, >=, in, contains,
// startsWith, endsWith, matches, +, -, *, ??, ?:, len, lower, has, any, all,
// none, call.
type Node struct {
	Op   string
	Name string   // var, has: the word; call: the function
	Text string   // text
	Int  int64    // int
	Num  float64  // number
	Bool bool     // bool
	List []string // list of texts
	Args []*Node
	At   source.Pos
}

// Tree is the condition as parsed. It must not be changed.
func (m *meta[T]) Tree() *Node { return m.tree }

func (l *lowerer[T]) node(n ast.Node) *Node {
	out := &Node{At: l.place(n.Location().From)}
	args := func(list ...ast.Node) {
		for _, a := range list {
			out.Args = append(out.Args, l.node(a))
		}
	}
	switch n := n.(type) {
	case *ast.BoolNode:
		out.Op, out.Bool = "bool", n.Value
	case *ast.IntegerNode:
		out.Op, out.Int, out.Num = "int", int64(n.Value), float64(n.Value)
	case *ast.FloatNode:
		out.Op, out.Num = "number", n.Value
	case *ast.StringNode:
		out.Op, out.Text = "text", n.Value
	case *ast.IdentifierNode:
		out.Op, out.Name = "var", n.Value
	case *ast.PointerNode:
		out.Op = "element"
	case *ast.ArrayNode:
		out.Op = "list"
		args(n.Nodes...)
		for _, a := range out.Args {
			if a.Op == "text" {
				out.List = append(out.List, a.Text)
			}
		}
	case *ast.UnaryNode:
		out.Op = map[string]string{"not": "not", "!": "not", "-": "neg", "+": "pos"}[n.Operator]
		args(n.Node)
	case *ast.BinaryNode:
		out.Op = n.Operator
		switch n.Operator {
		case "&&":
			out.Op = "and"
		case "||":
			out.Op = "or"
		}
		args(n.Left, n.Right)
	case *ast.ConditionalNode:
		out.Op = "?:"
		args(n.Cond, n.Exp1, n.Exp2)
	case *ast.BuiltinNode:
		out.Op = n.Name
		args(n.Arguments...)
	case *ast.PredicateNode:
		return l.node(n.Node)
	case *ast.CallNode:
		out.Op = "call"
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			out.Name = id.Value
		}
		args(n.Arguments...)
		if out.Name == "has" {
			out.Op = "has"
			out.Name = out.Args[0].Name
			out.Args = nil
		}
	}
	return out
}
