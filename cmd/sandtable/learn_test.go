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
