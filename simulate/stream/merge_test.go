package stream

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// Two captures that cover the same days come out as the one they were cut from,
// whichever is named first, and however little is in a file.
func TestInputsSideBySide(t *testing.T) {
	dir := t.TempDir()
	all := sample(0, 400)
	for i := range all { // an hour apart: a small file spans weeks
		all[i].Time = 1_776_000_000_000_000_000 + int64(i)*3_600_000_000_000
		all[i].Observed = all[i].Time
	}
	names := []string{filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl"), filepath.Join(dir, "c.jsonl")}
	var text [3][]byte
	for i := range all {
		k := i % 7 % 3
		text[k] = append(profile().AppendJSON(text[k], all[i:i+1]), '\n')
	}
	for k, name := range names {
		if err := os.WriteFile(name, text[k], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}} {
		for _, opts := range []Options{{}, {Borrow: true}, {Borrow: true, Packed: true}} {
			src, err := Open([]string{names[order[0]], names[order[1]], names[order[2]]}, opts)
			if err != nil {
				t.Fatal(err)
			}
			for pass, each := range []func(context.Context, func(*otlp.Batch) error) error{src.Each, src.EachBlock} {
				var got []event.Event
				if err := each(context.Background(), func(b *otlp.Batch) error {
					got = append(got, b.Events...)
					for i := range b.Packed.Len() {
						got = append(got, *new(event.Opened).Take(&b.Packed, i)[0].Clone())
					}
					b.Events, b.Packed = nil, event.Pack{} // as a reader does that keeps them
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if len(got) != len(all) {
					t.Fatalf("%d records, want %d", len(got), len(all))
				}
				for i := range got {
					if got[i].Time != all[i].Time || got[i].Sequence != all[i].Sequence || got[i].Session != all[i].Session || got[i].Index != int64(i) {
						t.Fatalf("order %v, pass %d: record %d is of %d with index %d", order, pass, i, got[i].Time, got[i].Index)
					}
				}
				for i, in := range src.Report() {
					if in.Name != names[order[i]] || in.Records == 0 {
						t.Errorf("input %d: %+v", i, in)
					}
				}
			}
		}
	}
	// A reader that has had enough stops all of them.
	src, _ := Open(names, Options{})
	n := 0
	if err := src.Each(context.Background(), func(*otlp.Batch) error {
		if n++; n == 5 {
			return context.Canceled
		}
		return nil
	}); err == nil || n != 5 {
		t.Errorf("%d requests after the stop, %v", n, err)
	}
	// And one that is not there is named.
	os.Remove(names[1])
	if err := src.Each(context.Background(), func(*otlp.Batch) error { return nil }); err == nil {
		t.Error("a missing input is no error")
	}
}
