package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/assess/cases"
)

// TestShippedCasesAgreeWithTheModel is what keeps the answers honest: every
// option of every case is held against a run of its scenario, and the one the
// author marked must be the one that holds. It fails with file, line and the
// value that disagrees.
func TestShippedCasesAgreeWithTheModel(t *testing.T) {
	book, err := cases.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	bench := cases.NewBench(studied)
	for _, c := range book.Cases {
		t.Run(c.Id.Value, func(t *testing.T) {
			t.Parallel()
			ps, err := bench.Check(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			if len(ps) > 0 {
				t.Errorf("\n%s", ps)
			}
		})
	}
}

// TestNoAnswerTurnsOnAContestedReading asks the lesson's cases once more with
// contested facts read the safe way instead of the lesson's: the same option has
// to hold.
func TestNoAnswerTurnsOnAContestedReading(t *testing.T) {
	book, err := cases.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	bench := cases.NewBench(studied)
	asked := 0
	for _, c := range book.Cases {
		if c.Track != cases.Exam {
			continue
		}
		asked++
		t.Run(c.Id.Value, func(t *testing.T) {
			t.Parallel()
			g, err := bench.Grade(context.Background(), c, "track=advisory")
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range g.Options {
				if o.Right != o.Option.Right {
					t.Errorf("read the safe way, %s (%q) changes sides: %+v", o.Letter, o.Option.Text, o.Findings)
				}
			}
		})
	}
	if asked < 20 || len(book.Cases) < 30 {
		t.Errorf("%d cases of the exam track of %d in all; the book promises 20 of 30", asked, len(book.Cases))
	}
}

// TestLabsCanBeDone lays every lab out, sees that it is not done as it stands,
// and that a solution passes. The solution of the rebuilt incident is worked out
// from the capture itself, by counting in its JSON.
func TestLabsCanBeDone(t *testing.T) {
	book, err := cases.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	bench := cases.NewBench(studied)
	bench.Foresee = foreseen
	ctx := context.Background()
	for _, l := range book.Labs {
		t.Run(l.Id.Value, func(t *testing.T) {
			t.Parallel()
			if ps, err := bench.CheckLab(ctx, l, captured); err != nil || len(ps) > 0 {
				t.Fatalf("as laid out: %v\n%v", err, ps)
			}
			dir := filepath.Join(t.TempDir(), "lab")
			if err := l.LayOut(ctx, dir, captured); err != nil {
				t.Fatal(err)
			}
			if err := l.LayOut(ctx, dir, captured); err == nil {
				t.Error("a lab was laid out over another")
			}
			if l.Id.Value == "rebuild-incident" {
				if err := os.WriteFile(filepath.Join(dir, "answers.yaml"), rebuilt(t, filepath.Join(dir, "capture.jsonl")), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if err := os.CopyFS(dir+"/solution", os.DirFS(filepath.Join("..", "..", "assess", "cases", "testdata", "solutions", l.Id.Value))); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(dir + "/solution/*")
			for _, f := range files {
				if err := os.Rename(f, filepath.Join(dir, filepath.Base(f))); err != nil {
					t.Fatal(err)
				}
			}
			found, at, err := book.FindLab(dir)
			if err != nil || found != l {
				t.Fatalf("the lab is found as %v, %v", found, err)
			}
			marks, err := l.Grade(ctx, bench, at)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range marks {
				if !m.Met {
					t.Errorf("%s: got %s, expected %s", m.Says, m.Got, m.Want)
				}
			}
		})
	}
}

// rebuilt answers the lab from the capture alone.
func rebuilt(t *testing.T, capture string) []byte {
	data, err := os.ReadFile(capture)
	if err != nil {
		t.Fatal(err)
	}
	type record struct {
		at   string
		attr map[string]string
	}
	byPrompt := map[string][]record{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var export struct {
			ResourceLogs []struct {
				ScopeLogs []struct {
					LogRecords []struct {
						TimeUnixNano string
						Attributes   []struct {
							Key   string
							Value map[string]any
						}
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &export); err != nil {
			t.Fatal(err)
		}
		for _, r := range export.ResourceLogs {
			for _, s := range r.ScopeLogs {
				for _, l := range s.LogRecords {
					rec := record{l.TimeUnixNano, map[string]string{}}
					for _, a := range l.Attributes {
						for _, v := range a.Value {
							rec.attr[a.Key] = fmt.Sprint(v)
						}
					}
					if p := rec.attr["prompt.id"]; p != "" {
						byPrompt[p] = append(byPrompt[p], rec)
					}
				}
			}
		}
	}
	count := func(p, event, decision string) (n int, tool string) {
		for _, r := range byPrompt[p] {
			if r.attr["event.name"] == event && (decision == "" || r.attr["decision"] == decision) {
				if n++; tool == "" {
					tool = r.attr["tool_name"]
				}
			}
		}
		return n, tool
	}
	id, most := "", 0
	for p := range byPrompt {
		if n, _ := count(p, "tool_decision", ""); n > most {
			id, most = p, n
		}
	}
	recs := byPrompt[id]
	sort.SliceStable(recs, func(i, j int) bool { return recs[i].at < recs[j].at })
	refusals, tool := count(id, "tool_decision", "reject")
	ran, _ := count(id, "tool_result", "")
	return fmt.Appendf(nil, "prompt_id: %s\nrecords: %d\nfirst_event: %s\nrefused_tool: %s\nrefusals: %d\nran: %d\n", id, len(recs), recs[0].attr["event.name"], tool, refusals, ran)
}
