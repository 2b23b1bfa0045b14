package source

import (
	"strings"
	"testing"
)

type mergeDoc struct {
	Title Text   `yaml:"title,required"`
	Note  Text   `yaml:"note"`
	List  []Text `yaml:"list"`
	Deep  struct {
		A Text  `yaml:"a"`
		B Text  `yaml:"b"`
		N int   `yaml:"n"`
		D Date  `yaml:"d"`
		P Pos   `yaml:"-"`
		M Money `yaml:"m"`
	} `yaml:"deep"`
}

func parse(t *testing.T, name, text string) *File {
	t.Helper()
	f, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMergeKeepsPlaces(t *testing.T) {
	ground := parse(t, "ground.yaml", "title: ground\ndeep:\n  a: from ground\n  n: 1\nlist: [x, y]\nnote: |\n    one\n    two\n")
	middle := parse(t, "middle.yaml", "\ndeep:\n  b: from middle\n")
	top := parse(t, "top.yaml", "# top\ntitle: top\nlist: [z]\n")
	m := Merge(Merge(ground, middle), top).Override(parse(t, "--set:deep.n", "deep:\n  n: 7\n"))
	var d mergeDoc
	if err := m.Decode(&d); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want string }{
		{d.Title.Value, "top"},
		{d.Title.At.String(), "top.yaml:2:8"},
		{d.Deep.A.Value, "from ground"},
		{d.Deep.A.At.String(), "ground.yaml:3:6"},
		{d.Deep.B.At.String(), "middle.yaml:3:6"},
		{d.Deep.P.String(), "middle.yaml:3:3"},
		{d.Note.Inside(2, 1).String(), "ground.yaml:8:5"},
		{m.Name, "top.yaml"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if d.Deep.N != 7 || len(d.List) != 1 || d.List[0].Value != "z" {
		t.Errorf("n = %d, list = %v; want 7 and [z]", d.Deep.N, d.List)
	}
	// The files merged stay as they were.
	var g mergeDoc
	if err := ground.Decode(&g); err != nil || g.Deep.N != 1 || len(g.List) != 2 || g.Deep.B.Value != "" {
		t.Errorf("ground changed: %+v, %v", g, err)
	}
}

func TestMergeProblemsShowTheirOwnLine(t *testing.T) {
	ground := parse(t, "ground.yaml", "deep:\n  n: many\n")
	top := parse(t, "top.yaml", "deep:\n  d: soon\n")
	m := Merge(ground, top).Override(parse(t, "--set:deep.m", "deep:\n  m: -1\n"))
	err := m.Decode(new(mergeDoc))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"ground.yaml:2:6: deep.n: found \"many\"", "      n: many\n",
		"top.yaml:2:6: deep.d: found \"soon\"", "      d: soon\n",
		"--set:deep.m:2:6: deep.m:", "      m: -1\n",
		"top.yaml:1:1: title is missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}
