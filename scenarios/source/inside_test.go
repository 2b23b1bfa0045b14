package source

import (
	"strings"
	"testing"
)

// A place inside a text is the place in the file, however YAML wrote it.
func TestInsideFindsThePlace(t *testing.T) {
	for name, doc := range map[string]string{
		"plain":                "a:\n  t: one two MARK three\n",
		"single quotes":        "a:\n  t: 'it''s two MARK three'\n",
		"double quotes":        "a:\n  t: \"one \\\"two\\\" \\u00e4 \\x41 MARK three\"\n",
		"folded":               "a:\n  t: >-\n    one two\n    three MARK four\n    five\n",
		"folded, deeper":       "a:\n    t: >\n        one two and\n        three\n        and four MARK\n",
		"literal":              "a:\n  t: |\n    one\n    two MARK\n",
		"plain over lines":     "a:\n  t: one two\n    three MARK four\n",
		"quotes over lines":    "a:\n  t: \"one two\n    three \\\"x\\\" MARK four\"\n",
		"with blanks":          "a:\n  t: >-\n    one   two\n    three  MARK\n",
		"letters beyond ASCII": "a:\n  t: >-\n    übér\n    ä MARK\n",
	} {
		f, err := Parse("f.yaml", []byte(doc))
		if err != nil {
			t.Fatal(name, err)
		}
		var v struct {
			A struct {
				T Text `yaml:"t"`
			} `yaml:"a"`
		}
		if err := f.Decode(&v); err != nil {
			t.Fatal(name, err)
		}
		at := strings.Index(v.A.T.Value, "MARK")
		if at < 0 {
			t.Fatalf("%s: %q", name, v.A.T.Value)
		}
		line := strings.Count(v.A.T.Value[:at], "\n")
		got := v.A.T.Inside(line+1, at-strings.LastIndexByte(v.A.T.Value[:at], '\n'))
		n := strings.Index(doc, "MARK")
		if want := (Pos{"f.yaml", strings.Count(doc[:n], "\n") + 1, n - strings.LastIndexByte(doc[:n], '\n')}); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
