package export

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules/alert"
)

var allowed = regexp.MustCompile(`\\[A-Za-z0-9]|\(\?`)

// held compares an expression with its portable form on one text.
func held(t interface{ Errorf(string, ...any) }, re, text string) (lost bool) {
	out, fold, lost := portable(re)
	if allowed.MatchString(strings.ReplaceAll(out, `\\`, "")) {
		t.Errorf("%s becomes %s, which leaves the flavour", re, out)
		return
	}
	flags := ""
	if fold {
		flags = "(?i)"
	}
	there, err := regexp.Compile(flags + out)
	if err != nil {
		t.Errorf("%s becomes %s: %v", re, out, err)
		return
	}
	a, b := regexp.MustCompile(re).MatchString(text), there.MatchString(text)
	if a != b && !(lost && b) {
		t.Errorf("%s becomes %s (fold %v, lost %v): %v and %v on %q", re, out, fold, lost, a, b, text)
	}
	return lost
}

// Every expression of the shipped classes, and forms users write, mean the same
// in the flavour that Sigma allows, or more where something was lost.
func TestPortableMeansTheSame(t *testing.T) {
	list := []string{
		`a\sb`, `[^\s"',;]{3,}`, `[\s]x`, `(?i)secret[\d_]`, `a(?i:b)c`, `(?s)a.b`, `a.b`, `\bcat\b`, `x\by`, `\b(cat|dog)s?\b`, `^/fin(/|$)`, `a\.b\*c`, `\Bx`, `(?m)^x$`, `[^a-c]`, `[\]^-]`, `(?i)k`, `a{2}`, `a{2,}b?`, `(ab)+?c`, `(?i)[a-c]x`, `\[x\]`, `\W\w\D\d\S`, `\bmrn\b|\bdob\b`, "tab\tx",
	}
	for _, class := range alert.Classes() {
		p, ok := alert.PatternOf(class)
		if !ok {
			t.Fatal(class)
		}
		for _, row := range p.Alternatives {
			list = append(list, row...)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		re := rapid.SampledFrom(list).Draw(t, "re")
		text := rapid.StringMatching(re).Draw(t, "inside")
		switch rapid.IntRange(0, 4).Draw(t, "how") {
		case 0:
			text = rapid.StringMatching(`[ a_.-]{0,2}`).Draw(t, "before") + text + rapid.StringMatching(`[ a_.-]{0,2}`).Draw(t, "after")
		case 1:
			text = strings.ToUpper(text)
		case 2:
			text = strings.ToLower(text)
		case 3:
			text = rapid.StringMatching(`[a-cxksſK \n\t/.\\"'\[\]0-9=-]{0,12}`).Draw(t, "anything")
		}
		held(t, re, text)
	})
	for re, want := range map[string]bool{`\bcat\b`: false, `\b(cat|dog)s?\b`: false, `x\by`: true, `(?i)secret`: false, `\W\bx`: true} {
		if lost := held(t, re, "x"); lost != want {
			t.Errorf("%s: lost is %v", re, lost)
		}
	}
}
