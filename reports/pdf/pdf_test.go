package pdf

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/reports"
)

func sample(t testing.TB) reports.Input {
	t.Helper()
	path := "../testdata/sample.json"
	if p := os.Getenv("SANDTABLE_SAMPLE"); p != "" {
		path = p
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var in reports.Input
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	return in
}

func write(t testing.TB, d *reports.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pagesOf(t testing.TB, d *reports.Document) []string {
	t.Helper()
	raw := write(t, d)
	if dir := os.Getenv("SANDTABLE_KEEP_PDF"); dir != "" { // to look at the pages
		if err := os.WriteFile(dir+"/"+strings.ReplaceAll(t.Name(), "/", "_")+".pdf", raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := ExtractText(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pages {
		pages[i] = strings.Join(strings.Fields(pages[i]), " ")
	}
	return pages
}

func TestDeterministic(t *testing.T) {
	in := sample(t)
	want := sha256.Sum256(write(t, reports.Build(in)))
	for range 4 {
		t.Run("again", func(t *testing.T) {
			t.Parallel() // fonts are shared: other documents at the same time must not show
			if sha256.Sum256(write(t, reports.Build(in))) != want {
				t.Error("the same report gave other bytes")
			}
		})
	}
}

func TestPages(t *testing.T) {
	in := sample(t)
	d := reports.Build(in)
	pages := pagesOf(t, d)
	if !strings.Contains(pages[0], "The company and its incidents are fictional") {
		t.Error("page one does not say fictional")
	}
	for i, p := range pages {
		if !strings.Contains(p, "Simulated evidence") {
			t.Errorf("page %d does not say simulated", i+1)
		}
		if !strings.Contains(p, "Page ") {
			t.Errorf("page %d has no number", i+1)
		}
	}
	for _, want := range []string{in.Assessment.Answer.Text, "What the latest verified facts would change", "Posture per framework", "Headline gaps", "What to do first"} {
		if !strings.Contains(pages[1], want) {
			t.Errorf("the summary page lacks %q", want)
		}
	}
	if strings.Contains(pages[2], "What to do first") || !strings.Contains(pages[2], "Conditions of the answer") {
		t.Error("the summary is longer than a page")
	}
	all := strings.Join(pages, " ")
	for _, s := range d.Sections {
		if !strings.Contains(all, strings.Join(strings.Fields(s.Title), " ")) {
			t.Errorf("section %q is not in the PDF", s.Title)
		}
	}
	for _, want := range []string{"Telemetry is not an audit log", "It is not legal advice", "Scope is declared by you", "If it were: Gap, no configuration closes it", "40 of 212 shown, most severe first"} {
		if !strings.Contains(all, want) {
			t.Errorf("no page says %q", want)
		}
	}
}

// A section's title is never the last thing on its page.
func TestNoOrphans(t *testing.T) {
	set, err := faces()
	if err != nil {
		t.Fatal(err)
	}
	c := newComposer(set, a4)
	pages := paginate(a4, c.document(reports.Build(sample(t))))
	for i, pg := range pages {
		last := pg.boxes[len(pg.boxes)-1]
		if last.box.keep && i+1 < len(pages) {
			t.Errorf("page %d ends on something that belongs to the next (%s)", i+1, last.box.place)
		}
		if end := last.y + last.box.h; end > a4.h-a4.bottom+0.1 {
			t.Errorf("page %d runs %.1f mm over (%s)", i+1, end-(a4.h-a4.bottom), last.box.place)
		}
	}
}

func TestTableHeadRepeats(t *testing.T) {
	tb := reports.Table{Head: []string{"Colour", "Meaning"}}
	tb.Rows = append(tb.Rows, []reports.Cell{{Text: "Group title"}})
	for range 120 {
		tb.Rows = append(tb.Rows, []reports.Cell{{Text: "a"}, {Text: "b"}})
	}
	pages := pagesOf(t, &reports.Document{Sections: []reports.Section{{ID: "x", Title: "X", Level: 1, Blocks: []reports.Block{tb}}}})
	if len(pages) < 2 {
		t.Fatal("one page only")
	}
	for i, p := range pages {
		if !strings.Contains(p, "Colour Meaning Group title") {
			t.Errorf("page %d has no table head", i+1)
		}
	}
}

var hostile = []string{
	"emoji 😀👩‍👩‍👧 and 𠀀 rare Han", "שלום \u202Egnp.exe\u202C مرحبا", "<script>alert(1)</script> & <b>", strings.Repeat("x", 500),
	strings.Repeat("ab/", 300), "ctl \x00\x01\x1b[2J\x7f\u0085", "bad \xff\xfe utf8", "日本語 한국어", "() \\( \\) \\ \r \n\n\t", "{nb} %!s(MISSING) %d",
	strings.Repeat("long sentence of many words ", 700), "\u0301\u0301combining", "\ufeff\u00ad\u200b", "",
}

func TestHostileText(t *testing.T) {
	for _, s := range hostile {
		in := sample(t)
		a := in.Assessment
		a.Title, a.Organisation.Name, a.Client, a.Preparer, a.Label, a.AsOf = s, s, s, s, s, s
		a.Answer.Text, a.Answer.Because, a.Answer.ChangedStrip = s, []string{s, s}, s
		a.Gaps[0].Title, a.Gaps[0].Summary, a.Gaps[0].Surfaces[0].Text = s, s, s
		a.Obligations[0].Title, a.Obligations[0].Citation = s, s
		in.Matrix[0].Group, in.Matrix[0].What = s, s
		in.Findings[0].Title, in.Findings[0].Events, in.Findings[0].Member = s, s, s
		pages := pagesOf(t, reports.Build(in))
		for _, p := range pages {
			for _, r := range p {
				if r > 0xFFFF || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) {
					t.Fatalf("%q reached the page with %U", s, r)
				}
			}
		}
	}
}

func TestExtractReturnsWhatWasDrawn(t *testing.T) {
	const s = `Brackets (a) and \ and é ň € “x” – ≥ Ω я ( and ) again`
	d := &reports.Document{Sections: []reports.Section{{Title: "T", Level: 1, Blocks: []reports.Block{reports.Paragraph{Text: s}}}}}
	if got := pagesOf(t, d)[0]; !strings.Contains(got, s) {
		t.Errorf("extracted %q", got)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "😀": "\uFFFD", "a\u202Eb": "a\uFFFDb", "a\x07b": "a\uFFFDb", "日": "\uFFFD", "a\tb": "a b", "ň€Ω": "ň€Ω", "\xff": "\uFFFD",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCleanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		c := Clean(s)
		if Clean(c) != c {
			t.Fatal("cleaning twice differs from once")
		}
		if len([]rune(c)) != len([]rune(s)) {
			t.Fatal("a character disappeared unseen")
		}
		if joined := strings.Join(wrap(mustFaces(t).regular, 9, c, 20), ""); strings.Join(strings.Fields(joined), "") != strings.Join(strings.Fields(c), "") {
			t.Fatalf("wrapping lost text: %q", joined)
		}
	})
}

func mustFaces(t *rapid.T) *faceSet {
	set, err := faces()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Our metrics are gofpdf's: text measured by one and drawn by the other would overlap.
func TestMetricsAgree(t *testing.T) {
	set, err := faces()
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(set, a4, reports.Meta{})
	for _, fc := range []*face{set.regular, set.bold, set.mono} {
		f.SetFont(fc.family, fc.style, 10)
		for _, s := range []string{"Hamburgefonstiv", "éàöň €Ωя", "“quoted” – 1,234 (x)"} {
			if got, want := fc.width(s, 10), f.GetStringWidth(s); got < want-0.1 || got > want+0.1 {
				t.Errorf("%s%s %q: %.2f mm here, %.2f mm in gofpdf", fc.family, fc.style, s, got, want)
			}
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteReportsFailure(t *testing.T) {
	err := Write(brokenWriter{}, reports.Build(sample(t)))
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

func TestExtractRefuses(t *testing.T) {
	good := write(t, reports.Build(reports.Input{}))
	for _, bad := range [][]byte{nil, []byte("%PDF-1.4"), good[:len(good)/2], bytes.Replace(good, []byte("/Length "), []byte("/Length 9"), 1)} {
		if _, err := ExtractText(bad); err == nil {
			t.Error("a broken file gave text")
		}
	}
}

func FuzzExtractText(f *testing.F) {
	f.Add(write(f, reports.Build(reports.Input{})))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ExtractText(b) })
}

// BenchmarkReport builds and writes a report of the size of a real one: some
// ninety obligations.
func BenchmarkReport(b *testing.B) {
	in := sample(b)
	one := in.Assessment.Obligations
	for len(in.Assessment.Obligations) < 94 {
		in.Assessment.Obligations = append(in.Assessment.Obligations, one...)
	}
	b.ReportAllocs()
	for b.Loop() {
		var w bytes.Buffer
		if err := Write(&w, reports.Build(in)); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(w.Len()))
	}
}
