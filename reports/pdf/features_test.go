package pdf

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// The sheet of features is one page, whatever the day.
func TestFeatureSheetIsOnePage(t *testing.T) {
	facts, err := platform.Facts()
	if err != nil {
		t.Fatal(err)
	}
	features, err := platform.Features()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []source.Date{source.Day(2026, 4, 9), source.Day(2026, 10, 8), source.Day(2027, 3, 1)} {
		var b bytes.Buffer
		if err := Write(&b, reports.Features(facts, features, d)); err != nil {
			t.Fatal(err)
		}
		pages, err := ExtractText(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(pages) != 1 {
			t.Errorf("%s: %d pages", d, len(pages))
		}
		for _, f := range features {
			if !strings.Contains(strings.Join(strings.Fields(pages[0]), " "), strings.Fields(f.Name)[0]) {
				t.Errorf("%s: %s is missing", d, f.Name)
			}
		}
	}
}
