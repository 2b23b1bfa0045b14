package cases

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProgressSurvivesAndIsReset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "learn.json")
	p, notice, err := LoadProgress(path)
	if err != nil || notice != "" {
		t.Fatalf("a fresh start gives %q, %v", notice, err)
	}
	p.Note("a", false)
	p.Note("a", true)
	p.Note("b", false)
	p.Exam = &Sitting{Questions: []string{"a", "b"}, Given: map[string]string{"a": "C"}}
	if err := p.Save(); err != nil {
		t.Fatal(err)
	}
	q, notice, err := LoadProgress(path)
	if err != nil || notice != "" {
		t.Fatalf("reading it again gives %q, %v", notice, err)
	}
	if got := q.Cases["a"]; got != (Attempts{Tries: 2, Right: true}) {
		t.Errorf("a case got wrong and then right reads %+v", got)
	}
	if q.State("a") != "right" || q.State("b") != "wrong" || q.State("c") != "" {
		t.Errorf("states are %q, %q and %q", q.State("a"), q.State("b"), q.State("c"))
	}
	if q.Exam.Next() != "b" {
		t.Errorf("the exam goes on with %q, expected the question without an answer", q.Exam.Next())
	}
	if err := q.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := q.Reset(); err != nil {
		t.Errorf("resetting twice: %v", err)
	}
	if r, _, _ := LoadProgress(path); len(r.Cases) != 0 {
		t.Errorf("after a reset there are %d cases", len(r.Cases))
	}
}

func TestDamagedProgressIsKeptAside(t *testing.T) {
	for name, content := range map[string]string{
		"cut":           `{"version": 1, "cases": {"a": {"tri`,
		"empty":         ``,
		"another shape": `{"version": 1, "cases": ["a"]}`,
		"from later":    `{"version": 7}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "learn.json")
			for i := range 2 { // the second one must not write over the first
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				p, notice, err := LoadProgress(path)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(notice, "kept as") {
					t.Errorf("notice %d says %q", i, notice)
				}
				p.Note("a", true)
				if err := p.Save(); err != nil {
					t.Fatal(err)
				}
				if _, notice, _ := LoadProgress(path); notice != "" {
					t.Errorf("it is said twice: %q", notice)
				}
			}
			aside, _ := filepath.Glob(path + ".damaged-*")
			if len(aside) != 2 {
				t.Fatalf("%d files kept aside, expected 2", len(aside))
			}
			data, err := os.ReadFile(aside[0])
			if err != nil || string(data) != content {
				t.Errorf("kept %q (%v), expected what was there", data, err)
			}
		})
	}
}

func TestStatePath(t *testing.T) {
	env := func(vars map[string]string) func(string) string { return func(k string) string { return vars[k] } }
	dir := t.TempDir()
	got, err := StatePath(env(map[string]string{"XDG_STATE_HOME": dir, "HOME": "/nowhere"}))
	if err != nil || got != filepath.Join(dir, "sandtable", "learn.json") {
		t.Errorf("with XDG_STATE_HOME progress is at %q, %v", got, err)
	}
	// The specification says that a path that is not absolute is ignored.
	got, err = StatePath(env(map[string]string{"XDG_STATE_HOME": "here", "HOME": dir}))
	if err == nil && strings.HasPrefix(got, "here") {
		t.Errorf("a relative XDG_STATE_HOME is taken: %q", got)
	}
}
