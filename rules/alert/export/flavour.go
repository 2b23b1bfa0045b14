package export

import (
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// portable rewrites an expression of Go in the flavour that Sigma allows and all
// of its targets share: any sign, anchors, classes in brackets, alternation,
// groups and counts. Where case matters nowhere, fold asks for a flag outside;
// else letters whose case does not matter become classes. A word
// boundary at either end of the expression becomes a group that takes the sign
// outside the word. A boundary elsewhere has no counterpart and is left out; lost
// reports that, and the result then matches more than the original.
func portable(re string) (out string, fold, lost bool) {
	t, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		return re, false, true // conditions are compiled before they come here
	}
	w := flavour{fold: foldedAll(t)}
	w.top(t)
	return w.b.String(), w.fold, w.lost
}

// lucene is portable for Lucene, which has neither flags nor anchors and more
// signs of its own: case is spelt out, and boundaries and anchors are left out.
func lucene(re string) string {
	t, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		return re
	}
	w := flavour{lucene: true}
	w.top(t)
	return w.b.String()
}

type flavour struct {
	b      strings.Builder
	fold   bool // a flag outside says that case does not matter
	lucene bool
	lost   bool
}

// foldedAll reports that every letter of the expression ignores case, and that at
// least one does.
func foldedAll(t *syntax.Regexp) bool {
	some, all := false, true
	var walk func(t *syntax.Regexp)
	walk = func(t *syntax.Regexp) {
		switch t.Op {
		case syntax.OpLiteral:
			for _, r := range t.Rune {
				if unicode.SimpleFold(r) == r {
					continue
				}
				some = true
				all = all && t.Flags&syntax.FoldCase != 0
			}
		case syntax.OpCharClass:
			for r := rune('a'); r <= 'z'; r++ {
				if up := unicode.ToUpper(r); within(t.Rune, r) != within(t.Rune, up) {
					all = false
				}
			}
		}
		for _, s := range t.Sub {
			walk(s)
		}
	}
	walk(t)
	return some && all
}

func within(class []rune, r rune) bool {
	for i := 0; i+1 < len(class); i += 2 {
		if class[i] <= r && r <= class[i+1] {
			return true
		}
	}
	return false
}

const (
	outsideBefore = "(^|[^A-Za-z0-9_])"
	outsideAfter  = "($|[^A-Za-z0-9_])"
)

// top writes an expression, or the alternatives of one, whose ends may be word
// boundaries.
func (w *flavour) top(t *syntax.Regexp) {
	switch t.Op {
	case syntax.OpCapture:
		w.b.WriteByte('(')
		w.top(t.Sub[0])
		w.b.WriteByte(')')
	case syntax.OpAlternate:
		w.b.WriteByte('(')
		for i, s := range t.Sub {
			if i > 0 {
				w.b.WriteByte('|')
			}
			w.top(s)
		}
		w.b.WriteByte(')')
	case syntax.OpConcat:
		sub := t.Sub
		n := len(sub)
		before := n > 1 && sub[0].Op == syntax.OpWordBoundary && edges(sub[1:], true)
		after := n > 1 && sub[n-1].Op == syntax.OpWordBoundary && edges(sub[:n-1], false)
		before, after = before && !w.lucene, after && !w.lucene
		if before {
			w.b.WriteString(outsideBefore)
			sub = sub[1:]
		}
		if after {
			sub = sub[:len(sub)-1]
		}
		for _, s := range sub {
			w.write(s, true)
		}
		if after {
			w.b.WriteString(outsideAfter)
		}
	default:
		w.write(t, false)
	}
}

// edge reports that whatever t matches begins (or ends) with a sign of a word, so
// that a boundary beside it asks for a sign that is none.
func edge(t *syntax.Regexp, first bool) bool {
	pick := func(n int) int {
		if first {
			return 0
		}
		return n - 1
	}
	switch t.Op {
	case syntax.OpLiteral:
		return syntax.IsWordChar(t.Rune[pick(len(t.Rune))]) && !(t.Flags&syntax.FoldCase != 0 && foldsBeyond(t.Rune[pick(len(t.Rune))]))
	case syntax.OpCharClass:
		for i := 0; i+1 < len(t.Rune); i += 2 {
			for r := t.Rune[i]; r <= t.Rune[i+1]; r++ {
				if !syntax.IsWordChar(r) {
					return false
				}
			}
		}
		return len(t.Rune) > 0
	case syntax.OpCapture, syntax.OpPlus:
		return edge(t.Sub[0], first)
	case syntax.OpRepeat:
		return t.Min > 0 && edge(t.Sub[0], first)
	case syntax.OpConcat:
		return edges(t.Sub, first)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(t.Sub, func(s *syntax.Regexp) bool { return !edge(s, first) })
	}
	return false
}

// edges is edge for parts in a row, the nearest of which may match nothing.
func edges(parts []*syntax.Regexp, first bool) bool {
	for len(parts) > 0 {
		p := parts[len(parts)-1]
		if first {
			p = parts[0]
		}
		if p.Op != syntax.OpQuest && p.Op != syntax.OpStar {
			return edge(p, first)
		}
		if !edge(p.Sub[0], first) {
			return false
		}
		if first {
			parts = parts[1:]
		} else {
			parts = parts[:len(parts)-1]
		}
	}
	return false
}

// foldsBeyond reports that a letter has a fold outside ASCII (a long s, a kelvin
// sign), which counts as no sign of a word.
func foldsBeyond(r rune) bool {
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if f >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

func (w *flavour) write(t *syntax.Regexp, inner bool) {
	group := func(f func()) {
		w.b.WriteByte('(')
		f()
		w.b.WriteByte(')')
	}
	switch t.Op {
	case syntax.OpLiteral:
		for _, r := range t.Rune {
			w.letter(r, t.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpCharClass:
		w.class(t.Rune)
	case syntax.OpAnyCharNotNL:
		w.b.WriteByte('.')
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
		w.anchor(t.Op, inner)
	case syntax.OpAnyChar:
		w.b.WriteString("(.|\n)")
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		w.lost = true
	case syntax.OpEmptyMatch:
	case syntax.OpCapture:
		group(func() { w.write(t.Sub[0], true) })
	case syntax.OpConcat:
		for _, s := range t.Sub {
			w.write(s, true)
		}
	case syntax.OpAlternate:
		group(func() {
			for i, s := range t.Sub {
				if i > 0 {
					w.b.WriteByte('|')
				}
				w.write(s, true)
			}
		})
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		s := t.Sub[0]
		if s.Op == syntax.OpLiteral && len(s.Rune) == 1 || s.Op == syntax.OpCharClass || s.Op == syntax.OpAnyCharNotNL || s.Op == syntax.OpCapture || s.Op == syntax.OpAlternate {
			w.write(s, true)
		} else {
			group(func() { w.write(s, true) })
		}
		switch t.Op {
		case syntax.OpStar:
			w.b.WriteByte('*')
		case syntax.OpPlus:
			w.b.WriteByte('+')
		case syntax.OpQuest:
			w.b.WriteByte('?')
		default:
			w.count(t.Min, t.Max)
		}
	default: // an expression that matches nothing has no form here
		w.lost = true
	}
}

func (w *flavour) anchor(op syntax.Op, inner bool) {
	switch {
	case w.lucene:
		w.b.WriteString("()")
	case op == syntax.OpBeginText:
		w.b.WriteByte('^')
	case op == syntax.OpEndText:
		w.b.WriteByte('$')
	case op == syntax.OpBeginLine: // takes the break before the line, so only where nothing else may want it
		w.b.WriteString("(^|\n)")
		w.lost = w.lost || inner
	default:
		w.b.WriteString("($|\n)")
		w.lost = w.lost || inner
	}
}

func (w *flavour) count(low, high int) {
	w.b.WriteByte('{')
	w.b.WriteString(strconv.Itoa(low))
	if high != low {
		w.b.WriteByte(',')
		if high >= 0 {
			w.b.WriteString(strconv.Itoa(high))
		}
	}
	w.b.WriteByte('}')
}

func (w *flavour) letter(r rune, fold bool) {
	if fold && !w.fold && unicode.SimpleFold(r) != r {
		set := []rune{r}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			set = append(set, f)
		}
		slices.Sort(set)
		w.b.WriteByte('[')
		for _, f := range set {
			w.b.WriteRune(f)
		}
		w.b.WriteByte(']')
		return
	}
	if w.fold {
		r = unicode.ToLower(r)
	}
	if strings.ContainsRune(`\.+*?()|[]{}^$`, r) || w.lucene && strings.ContainsRune(`"~@#&<>`, r) {
		w.b.WriteByte('\\')
	}
	w.b.WriteRune(r)
}

// class writes ranges. One that reaches to the end of Unicode is written by what
// it leaves out.
func (w *flavour) class(ranges []rune) {
	w.b.WriteByte('[')
	if n := len(ranges); n > 0 && ranges[n-1] == unicode.MaxRune {
		w.b.WriteByte('^')
		var rest []rune
		from := rune(0)
		for i := 0; i < n; i += 2 {
			if ranges[i] > from {
				rest = append(rest, from, ranges[i]-1)
			}
			from = ranges[i+1] + 1
		}
		ranges = rest
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		w.member(lo)
		if hi > lo {
			if hi > lo+1 {
				w.b.WriteByte('-')
			}
			w.member(hi)
		}
	}
	w.b.WriteByte(']')
}

func (w *flavour) member(r rune) {
	if strings.ContainsRune(`\]^-[`, r) {
		w.b.WriteByte('\\')
	}
	w.b.WriteRune(r)
}
