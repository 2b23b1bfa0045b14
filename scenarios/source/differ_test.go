package source

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffer(t *testing.T) {
	parse := func(s string) *File {
		f, err := Parse("s.yaml", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a := parse("plan: team\nas_of: 2026-04-09\norg: {kind: [issuer], desk: {\"1.1\": 0.5}, name: Ours, gone: 1}\n")
	b := parse("as_of: 2026-04-09\nplan: enterprise\norg: {kind: [issuer, \"a: b\"], desk: {\"1.1\": 1}, name: Ours, new: \"yes, 'x'\"}\n")
	want := []Difference{
		{"org.desk", `{"1.1": 0.5}`, `{"1.1": 1}`},
		{"org.gone", "1", ""},
		{"org.kind", "[issuer]", `[issuer, "a: b"]`},
		{"org.new", "", `"yes, 'x'"`},
		{"plan", "team", "enterprise"},
	}
	if d := cmp.Diff(want, Differ(a, b)); d != "" {
		t.Error(d)
	}
	if d := Differ(a, a); len(d) != 0 {
		t.Errorf("a file differs from itself: %v", d)
	}
}
