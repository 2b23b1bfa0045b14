package main

import (
	"context"
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
