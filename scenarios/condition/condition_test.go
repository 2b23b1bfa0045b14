package condition

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// subject holds values by name; a name that is absent is not known.
type subject map[string]any

func get[V any](name string) func(*subject) (V, bool) {
	return func(s *subject) (V, bool) { v, ok := (*s)[name].(V); return v, ok }
}

func testEnv() *Env[subject] {
	e := NewEnv[subject](1)
	for _, n := range []string{"p", "q"} {
		e.Bool(n, "", get[bool](n))
	}
	for _, n := range []string{"i", "j"} {
		e.Int(n, "", get[int64](n))
	}
	e.Number("f", "", get[float64]("f"))
	for _, n := range []string{"s", "decision"} {
		e.String(n, "", get[string](n))
	}
	e.List("list", "", get[[]string]("list"))
	e.FuncBool("att", "an attestation", 1, 2, func(a []string) error {
		if a[0] != "known" {
			return fmt.Errorf("%q is not an attestation id", a[0])
		}
		return nil
	}, func(s *subject, _ []string) Tri { b, ok := (*s)["p"].(bool); return Of(b, ok) })
	e.FuncInt("days", "", 1, 1, nil, func(s *subject, a []string) (int64, bool) { return int64(len(a[0])), true })
	e.FuncText("classifier", "", 1, 1, nil, func(_ *subject, text string, a []string) Tri { return Of(strings.Contains(text, a[0]), true) })
	return e
}

func text(s string) source.Text {
	return source.Text{Value: s, At: source.Pos{File: "t.yaml", Line: 1, Col: 1}}
}

func eval(t testing.TB, src string, s subject) Tri {
	p, ps := testEnv().Compile(text(src))
	if ps != nil {
		t.Fatalf("%s: %v", src, ps)
	}
	return p.Eval(&s)
}

func TestTruthTables(t *testing.T) {
	vals := []Tri{Unknown, False, True}
	// Written out, so that the table is not computed by what it tests.
	and := [3][3]Tri{{Unknown, False, Unknown}, {False, False, False}, {Unknown, False, True}}
	or := [3][3]Tri{{Unknown, Unknown, True}, {Unknown, False, True}, {True, True, True}}
	eq := [3][3]Tri{{Unknown, Unknown, Unknown}, {Unknown, True, False}, {Unknown, False, True}}
	set := func(s subject, n string, v Tri) {
		if v != Unknown {
			s[n] = v == True
		}
	}
	for _, a := range vals {
		for _, b := range vals {
			s := subject{}
			set(s, "p", a)
			set(s, "q", b)
			for src, want := range map[string]Tri{"p and q": and[a][b], "p && q": and[a][b], "p or q": or[a][b], "p || q": or[a][b], "p == q": eq[a][b], "p != q": eq[a][b].Not()} {
				if got := eval(t, src, s); got != want {
					t.Errorf("%s with p %v, q %v: %v, want %v", src, a, b, got, want)
				}
			}
		}
	}
}

func TestUnknown(t *testing.T) {
	known := subject{"p": true, "i": int64(9007199254740993), "f": 2.5, "s": "abc", "list": []string{"a", "b"}}
	for _, c := range []struct {
		src  string
		in   subject
		want Tri
	}{
		{`not (s contains "x")`, nil, Unknown},
		{`s not in ["x"]`, nil, Unknown},
		{`s in []`, nil, Unknown},
		{`has(s)`, nil, False},
		{`has(s) and s == "abc"`, nil, False},
		{`(s ?? "") == ""`, nil, True},
		{`(p ?? false) or q`, nil, Unknown},
		{`(list ?? []) == []`, nil, True},
		{`any(list, # == "a")`, nil, Unknown},
		{`any(list, # == "a")`, known, True},
		{`all(list, # == "a")`, known, False},
		{`all(list, # == decision) `, known, Unknown},
		{`none(list, # == "z")`, known, True},
		{`"a" in list`, known, True},
		{`list == ["a", "b"]`, known, True},
		{`list != ["b", "a"]`, known, True},
		{`i == 9007199254740993`, known, True},
		{`i == 9007199254740992.0`, known, False},
		{`i > 9007199254740992.5`, known, True},
		{`i * i > 0`, known, Unknown},
		{`i in [1, 9007199254740993]`, known, True},
		{`len(s) == 3 and len(list) == 2`, known, True},
		{`lower(s) == "abc" and s matches "^a.c$"`, known, True},
		{`q ? p : p`, known, True},
		{`q ? p : not p`, known, Unknown},
		{`(q ? i : j) == 1`, known, Unknown},
		{`f + 1 == 3.5 and -f < 0`, known, True},
		{`att("known") and days("abc") == 3 and classifier(s, "b")`, known, True},
		{`classifier(decision, "b") and p`, known, Unknown},
		{`s >= "abb" and 1 < f < 3`, known, True},
		{`true or att("known")`, nil, True},
	} {
		if got := eval(t, c.src, c.in); got != c.want {
			t.Errorf("%s: %v, want %v", c.src, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for src, want := range map[string]string{
		`decison == "reject"`:               `unknown name "decison"`,
		`not (decison contains "x")`:        `did you mean "decision"?`,
		`any(filter(list, # == "a"), true)`: "filter is not part of the condition language",
		`map(list, #) == list`:              "map is not part",
		`let x = 1; x == 1`:                 "let is not part",
		`s == nil`:                          "write has(x)",
		`s.foo == 1`:                        "a member or index",
		`$env["s"] == "a"`:                  "a member or index",
		`i / 2 > 1`:                         "/ is not part",
		`i in 1..3`:                         "the operator .. is not part",
		`i > "1"`:                           "> cannot be used on an int and a string",
		`i`:                                 "gives a int, expected a bool",
		`now() == now()`:                    "unknown function",
		`s matches s`:                       "the pattern of matches is not constant",
		`s matches "("`:                     "missing closing",
		`s matches "` + strings.Repeat("a", MaxPattern+1) + `"`: "at most 512",
		`has(1)`:                "has takes a name",
		`has(sss)`:              "unknown name",
		`att("unknown")`:        "not an attestation id",
		`att(s)`:                "not a constant text",
		`att()`:                 "expected 1 to 2",
		`# == "a"`:              "", // refused by the parser
		`p and`:                 "ends too early",
		``:                      "the condition is empty",
		`if p { q } else { p }`: "if is not part",
		`s in ["a", 1]`:         "not both",
		`p and` + strings.Repeat(" ", MaxText) + `q`: "at most 4096",
		strings.Repeat("p and ", 400) + "p":          "more than 500 parts",
	} {
		p, ps := testEnv().Compile(text(src))
		if ps == nil || p != nil || !strings.Contains(ps.Error(), want) {
			t.Errorf("%.60s: got %v, want %q", src, ps, want)
		}
	}
	_, ps := testEnv().Compile(text(`decison == "a" or sorce == "b"`))
	if len(ps) != 2 {
		t.Errorf("two mistakes gave %d problems", len(ps))
	}
}

func TestNestedChains(t *testing.T) {
	src := "i"
	for range 40 {
		src = "((1 < " + src + " < 3) ? 1 : 2)"
	}
	if _, ps := testEnv().Compile(text(src + " == 1")); ps == nil || !strings.Contains(ps.Error(), "too complex") {
		t.Errorf("got %v", ps)
	}
}

func TestPlaces(t *testing.T) {
	type doc struct {
		Condition source.Text
		Inline    source.Text
	}
	f, err := source.Parse("r.yaml", []byte("condition: |\n    p and\n    \"é\" == s and decison == \"x\"\ninline: 'p and decison == \"x\"'\n"))
	if err != nil {
		t.Fatal(err)
	}
	var d doc
	if err := f.Decode(&d); err != nil {
		t.Fatal(err)
	}
	for want, x := range map[string]source.Text{"r.yaml:3:19": d.Condition, "r.yaml:4:16": d.Inline} {
		_, ps := testEnv().Compile(x)
		if len(ps) != 1 || ps[0].Pos.String() != want {
			t.Errorf("got %v, want a problem at %s", ps, want)
		}
	}
}

func TestMeta(t *testing.T) {
	p, ps := testEnv().Compile(text(`(s == "a" or p) and att("known") and not has(i)`))
	if ps != nil {
		t.Fatal(ps)
	}
	if !slices.Equal(p.Uses(), []string{"i", "p", "s"}) {
		t.Errorf("uses %v", p.Uses())
	}
	if c := p.Calls(); len(c) != 1 || c[0].Func != "att" || c[0].Args[0] != "known" {
		t.Errorf("calls %v", c)
	}
	var got []string
	for _, l := range p.Trace(&subject{"s": "b"}) {
		got = append(got, l.Name+" = "+l.Value)
	}
	want := `i = unknown; p = unknown; s = "b"; s == "a" = false; att("known") = unknown; has(i) = false`
	if strings.Join(got, "; ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
	}
	ip, ps := testEnv().CompileInt(text(`i + days("ab")`))
	if ps != nil {
		t.Fatal(ps)
	}
	if n, ok := ip.Eval(&subject{"i": int64(1)}); n != 3 || !ok {
		t.Error(n, ok)
	}
	if _, ok := ip.Eval(&subject{}); ok {
		t.Error("a sum with an unknown term is known")
	}
}

// slow is a generated expression: its text and an independent evaluation over
// boxed values, where nil is unknown.
type slow struct {
	text string
	eval func(s subject, el string) any
}

func gen(t *rapid.T, kind string, depth int, inList bool) slow {
	leaf := depth <= 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0
	name := func(names ...string) slow {
		n := rapid.SampledFrom(names).Draw(t, "var")
		return slow{n, func(s subject, _ string) any { return s[n] }}
	}
	bin := func(k, op string, f func(a, b any) any) slow {
		a, b := gen(t, k, depth-1, inList), gen(t, k, depth-1, inList)
		return slow{"(" + a.text + " " + op + " " + b.text + ")", func(s subject, el string) any {
			x, y := a.eval(s, el), b.eval(s, el)
			if x == nil || y == nil {
				return nil
			}
			return f(x, y)
		}}
	}
	switch kind {
	case "int":
		if leaf {
			if rapid.Bool().Draw(t, "const") {
				n := rapid.Int64Range(0, 5).Draw(t, "n")
				return slow{fmt.Sprint(n), func(subject, string) any { return n }}
			}
			return name("i", "j")
		}
		switch op := rapid.SampledFrom([]string{"+", "-", "*", "len"}).Draw(t, "iop"); op {
		case "len":
			a := gen(t, "string", depth-1, inList)
			return slow{"len(" + a.text + ")", func(s subject, el string) any {
				if v := a.eval(s, el); v != nil {
					return int64(len([]rune(v.(string))))
				}
				return nil
			}}
		default:
			return bin("int", op, func(a, b any) any {
				x, y := a.(int64), b.(int64)
				return map[string]int64{"+": x + y, "-": x - y, "*": x * y}[op]
			})
		}
	case "string":
		if inList && rapid.Bool().Draw(t, "hash") {
			return slow{"#", func(_ subject, el string) any { return el }}
		}
		if rapid.Bool().Draw(t, "const") {
			v := rapid.SampledFrom([]string{"a", "b", "ab", ""}).Draw(t, "str")
			return slow{fmt.Sprintf("%q", v), func(subject, string) any { return v }}
		}
		return name("s", "decision")
	}
	if leaf {
		return name("p", "q")
	}
	ops := []string{"and", "or", "not", "==", "<", ">=", "contains", "startsWith", "in", "inlist", "?:", "eqb", "any", "all", "none"}
	if inList { // lists are not nested
		ops = ops[:len(ops)-3]
	}
	switch op := rapid.SampledFrom(ops).Draw(t, "op"); op {
	case "and", "or":
		a, b := gen(t, "bool", depth-1, inList), gen(t, "bool", depth-1, inList)
		settles := op == "or"
		return slow{"(" + a.text + " " + op + " " + b.text + ")", func(s subject, el string) any {
			x, y := a.eval(s, el), b.eval(s, el)
			if x == settles || y == settles {
				return settles
			}
			if x == nil || y == nil {
				return nil
			}
			return !settles
		}}
	case "not":
		a := gen(t, "bool", depth-1, inList)
		return slow{"not (" + a.text + ")", func(s subject, el string) any {
			if v := a.eval(s, el); v != nil {
				return !v.(bool)
			}
			return nil
		}}
	case "==":
		return bin("int", "==", func(a, b any) any { return a == b })
	case "eqb":
		return bin("bool", "!=", func(a, b any) any { return a != b })
	case "<":
		return bin("int", "<", func(a, b any) any { return a.(int64) < b.(int64) })
	case ">=":
		return bin("string", ">=", func(a, b any) any { return a.(string) >= b.(string) })
	case "contains":
		return bin("string", op, func(a, b any) any { return strings.Contains(a.(string), b.(string)) })
	case "startsWith":
		return bin("string", op, func(a, b any) any { return strings.HasPrefix(a.(string), b.(string)) })
	case "in":
		a := gen(t, "string", depth-1, inList)
		return slow{"(" + a.text + ` in ["a", "b"])`, func(s subject, el string) any {
			if v := a.eval(s, el); v != nil {
				return v == "a" || v == "b"
			}
			return nil
		}}
	case "inlist":
		a := gen(t, "string", depth-1, inList)
		return slow{"(" + a.text + ` in list)`, func(s subject, el string) any {
			v := a.eval(s, el)
			if v == nil || s["list"] == nil {
				return nil
			}
			return slices.Contains(s["list"].([]string), v.(string))
		}}
	case "any", "all", "none":
		body := gen(t, "bool", depth-1, true)
		return slow{op + "(list, " + body.text + ")", func(s subject, _ string) any {
			if s["list"] == nil {
				return nil
			}
			yes, no, unknown := 0, 0, 0
			for _, x := range s["list"].([]string) {
				switch body.eval(s, x) {
				case true:
					yes++
				case false:
					no++
				default:
					unknown++
				}
			}
			switch {
			case op == "any" && yes > 0, op == "all" && no == 0 && unknown == 0, op == "none" && yes == 0 && unknown == 0:
				return true
			case op == "any" && unknown == 0, op == "all" && no > 0, op == "none" && yes > 0:
				return false
			}
			return nil
		}}
	}
	c, a, b := gen(t, "bool", depth-1, inList), gen(t, "bool", depth-1, inList), gen(t, "bool", depth-1, inList)
	return slow{"(" + c.text + " ? " + a.text + " : " + b.text + ")", func(s subject, el string) any {
		x, y := a.eval(s, el), b.eval(s, el)
		switch c.eval(s, el) {
		case true:
			return x
		case false:
			return y
		}
		if x == y {
			return x
		}
		return nil
	}}
}

func genSubject(t *rapid.T, allKnown bool) subject {
	s := subject{}
	put := func(n string, v any) {
		if allKnown || rapid.Bool().Draw(t, "known "+n) {
			s[n] = v
		}
	}
	put("p", rapid.Bool().Draw(t, "p"))
	put("q", rapid.Bool().Draw(t, "q"))
	put("i", rapid.Int64Range(-3, 5).Draw(t, "i"))
	put("j", rapid.Int64Range(-3, 5).Draw(t, "j"))
	put("f", 1.5)
	put("s", rapid.SampledFrom([]string{"", "a", "b", "ab", "é"}).Draw(t, "s"))
	put("decision", rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "decision"))
	put("list", rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ""}), 0, 3).Draw(t, "list"))
	return s
}

// On known values the closures must agree with expr's own machine; on any
// values, with the slow evaluator.
func TestDifferential(t *testing.T) {
	env := testEnv()
	rapid.Check(t, func(t *rapid.T) {
		x := gen(t, "bool", 4, false)
		p, ps := env.Compile(text(x.text))
		if ps != nil {
			if strings.Contains(ps.Error(), "at most") || strings.Contains(ps.Error(), "more than 500 parts") {
				return
			}
			t.Fatalf("%s: %v", x.text, ps)
		}
		s := genSubject(t, true)
		want, err := expr.Eval(x.text, map[string]any(s))
		if err != nil {
			t.Fatalf("%s: %v", x.text, err)
		}
		if got := p.Eval(&s); got != Of(want.(bool), true) {
			t.Fatalf("%s over %v: %v, expr says %v", x.text, s, got, want)
		}
		s = genSubject(t, false)
		w := Unknown
		if v := x.eval(s, ""); v != nil {
			w = Of(v.(bool), true)
		}
		if got := p.Eval(&s); got != w {
			t.Fatalf("%s over %v: %v, want %v", x.text, s, got, w)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	p, ps := testEnv().Compile(text(`decision == "reject" and s in ["user_reject", "user_abort"] and i > 5 or any(list, # startsWith "x") and f < 2`))
	if ps != nil {
		t.Fatal(ps)
	}
	s := &subject{"decision": "reject", "s": "hook", "i": int64(1), "list": []string{"a"}, "f": 2.0}
	if n := testing.AllocsPerRun(100, func() { p.Eval(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDeclareTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("declaring a name twice did not panic")
		}
	}()
	testEnv().Bool("p", "", get[bool]("p"))
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{`p and q`, `any(list, # == "a")`, `s matches "a+"`, `i + 1 > f`, `att("known")`, `q ? p : not p`, `(s ?? "x") in ["a"]`, `{a:1}.a`, "s == `\n`", `1..2`, `list[1:2]`, `s | lower() == "a"`} {
		f.Add(s)
	}
	env := testEnv()
	full := &subject{"p": true, "q": false, "i": int64(1), "j": int64(2), "f": 1.5, "s": "a", "decision": "b", "list": []string{"a"}}
	f.Fuzz(func(t *testing.T, src string) {
		p, ps := env.Compile(text(src))
		if (p == nil) != (len(ps) > 0) {
			t.Fatal("neither program nor problem")
		}
		if p == nil {
			var target source.Problems
			if !errors.As(ps.Err(), &target) {
				t.Fatal("not problems")
			}
			return
		}
		p.Eval(&subject{})
		p.Eval(full)
		p.Trace(full)
	})
}

func BenchmarkEval(b *testing.B) {
	p, ps := testEnv().Compile(text(`decision == "reject" and s in ["user_reject", "user_abort"]`))
	if ps != nil {
		b.Fatal(ps)
	}
	s := &subject{"decision": "reject", "s": "user_abort"}
	b.ReportAllocs()
	for b.Loop() {
		p.Eval(s)
	}
}
