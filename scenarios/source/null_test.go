package source

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A key whose value is null was not given, whatever it would hold.
func TestNullIsNotText(t *testing.T) {
	var v struct {
		A string   `yaml:"a"`
		B Text     `yaml:"b"`
		C []string `yaml:"c"`
		D string   `yaml:"d"`
		E Text     `yaml:"e"`
		F string   `yaml:"f"`
	}
	f, err := Parse("f", []byte("a: null\nb: ~\nc: [x, ~]\nd:\ne: \"null\"\nf: '~'\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if v.A != "" || v.B.Value != "" || v.C[1] != "" || v.D != "" || v.E.Value != "null" || v.F != "~" {
		t.Errorf("%+v", v)
	}
	var must struct {
		A string `yaml:"a,required"`
		B Text   `yaml:"b,required"`
		C []Text `yaml:"c,required"`
	}
	if f, err = Parse("f", []byte("a: null\nb:\nc: ~\n")); err != nil {
		t.Fatal(err)
	}
	if ps, _ := AsProblems(f.Decode(&must)); len(ps) != 3 {
		t.Errorf("three keys have to be given, and none is: %v", ps)
	}
}

// A long value is cut between letters, not inside one.
func TestLongValueIsCutBetweenLetters(t *testing.T) {
	for n := range 4 {
		s := clip(strings.Repeat("a", n) + strings.Repeat("€", 40))
		if !utf8.ValidString(s) || len(s) > 60 || !strings.HasSuffix(s, "€...") {
			t.Errorf("%q", s)
		}
	}
}
