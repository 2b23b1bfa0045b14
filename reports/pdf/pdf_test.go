package pdf

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/jung-kurt/gofpdf"
	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
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
	if !strings.HasPrefix(pages[2], "Simulated evidence: it can show that a rule fires, not that a control operated As of 2026-04-09 ") || !strings.Contains(pages[2], "Contents") {
		t.Error("the summary is longer than a page")
	}
	all := strings.Join(pages, " ")
	for _, s := range d.Sections {
		if !strings.Contains(all, strings.Join(strings.Fields(s.Title), " ")) {
			t.Errorf("section %q is not in the PDF", s.Title)
		}
	}
	for _, want := range []string{"Telemetry is not an audit log", "It is not legal advice", "Scope is declared by you", "If it were: Gap, no configuration closes it", "of 212 shown, up to 3 of each kind"} {
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

// noOverflow fails when a piece runs over its page, or text over the paper.
func noOverflow(t *testing.T, d *reports.Document) {
	t.Helper()
	set, err := faces()
	if err != nil {
		t.Fatal(err)
	}
	g := paper(d.Meta.Paper)
	for i, pg := range paginate(g, newComposer(set, g).document(d)) {
		for _, x := range pg.boxes {
			if end := x.y + x.box.h; end > g.h-g.bottom+0.1 {
				t.Errorf("page %d runs %.1f mm over (%s)", i+1, end-(g.h-g.bottom), x.box.place)
			}
		}
	}
}

// Every PNG and JPEG that Go reads can stand on the cover, those that gofpdf
// cannot embed included; anything else is refused with a reason.
func TestLogo(t *testing.T) {
	deep := image.NewNRGBA64(image.Rect(0, 0, 300, 40)) // 16 bits a channel
	for x := range 300 {
		deep.Set(x, 20, color.NRGBA64{R: 0xFFFF, A: 0x8000})
	}
	var p, j bytes.Buffer
	if err := errors.Join(png.Encode(&p, deep), jpeg.Encode(&j, deep, nil)); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"16-bit PNG": p.Bytes(), "JPEG": j.Bytes()} {
		in := sample(t)
		in.Logo = data
		raw := write(t, reports.Build(in))
		if !bytes.Contains(raw, []byte("/Subtype /Image")) {
			t.Errorf("%s: no image in the file", name)
		}
		if !bytes.Equal(raw, write(t, reports.Build(in))) {
			t.Errorf("%s: other bytes the second time", name)
		}
	}
	for _, bad := range [][]byte{nil, []byte("GIF89a"), p.Bytes()[:60]} {
		if _, err := Logo(bad); err == nil {
			t.Errorf("%.10q passed for a logo", bad)
		}
	}
}

func TestLetter(t *testing.T) {
	in := sample(t)
	in.Paper = "Letter"
	d := reports.Build(in)
	noOverflow(t, d)
	raw := write(t, d)
	if !bytes.Contains(raw, []byte("/MediaBox [0 0 612.00 792.00]")) {
		t.Error("the pages are not Letter")
	}
	if sha256.Sum256(raw) == sha256.Sum256(write(t, reports.Build(sample(t)))) {
		t.Error("paper makes no difference")
	}
}

// The board copy is two pages, whatever stands in them.
func TestBoardCopy(t *testing.T) {
	for _, s := range []string{"", "A long sentence that a scenario's author wrote with care and at length. "} {
		in := sample(t)
		a := in.Assessment
		a.Answer.Text += strings.Repeat(s, 2)
		a.Answer.ChangedStrip += strings.Repeat(s, 10)
		for i := range a.Gaps {
			a.Gaps[i].Summary += strings.Repeat(s, 3)
		}
		if pages := pagesOf(t, reports.Build(in).Board()); len(pages) != 2 || !strings.Contains(pages[1], "Page 2 of 2") {
			t.Errorf("the board copy has %d pages", len(pages))
		}
	}
}

func TestContents(t *testing.T) {
	pages := pagesOf(t, reports.Build(sample(t)))
	for _, want := range []string{"Risk register", "Remediation roadmap", "Limitations and restricted use"} {
		i := strings.Index(pages[2], want)
		if i < 0 {
			t.Fatalf("the contents lack %q", want)
		}
		var n int
		if _, err := fmt.Sscan(pages[2][i+len(want):], &n); err != nil || n < 1 || n > len(pages) || !strings.Contains(pages[n-1], want) {
			t.Errorf("%q is not on page %d (%v)", want, n, err)
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

var update = flag.Bool("update", false, "rewrite the golden files")

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
		in.Groups = []reports.GroupLine{{Name: s, Purpose: s, Source: s, Roles: []string{s}}}
		in.Phases = []reports.PhaseLine{{Name: s, From: s, To: s, Groups: s, Because: s}}
		in.Flags = []reports.FlagLine{{Severity: s, Subject: s, Text: s}}
		in.MemberSpend = []reports.SpendGroup{{Source: s, LimitMicros: -1, Micros: []int64{0, 1 << 62}}, {Source: s, LimitMicros: 1 << 62}}
		in.Fans = []reports.SpendFan{{Title: s, LimitMicros: 1 << 62, LimitName: s, Note: s, Points: []reports.FanPoint{{Day: s, Actual: -1, High: 1 << 62}, {Day: s, Low: -5}}}}
		in.Coverage = []reports.CoverageLine{{What: s, N: 3, Of: 2, Why: s}, {What: s}}
		in.Quality = []reports.QualityLine{{Rule: in.Rules[0].ID, Caught: 9, Seeded: 3, Reachable: true}}
		in.Timeline = []assess.Move{{Date: "2026-04-09", Answer: s, Postures: map[string]string{s: s, "hipaa": s}}, {Date: "2026-08-11", Answer: s, Facts: []assess.FactMove{{Fact: s}}}}
		a.Controls = []assess.ControlResult{{ID: "telemetry", Title: s, Label: s, Reason: s, Gaps: []string{s}}}
		a.WouldChange = []assess.WouldChange{{Of: "answer", Ways: []assess.WayOut{{Steps: []assess.Step{{Title: s}, {Title: s}}, To: s, Breaks: []string{s}}}}}
		in.Adoption = append(in.Adoption, reports.AdoptionLine{Week: s, Active: 5, Enabled: -1})
		in.Rules[0].Title, in.Rules[0].WhyNot = s, s
		a.Workloads[0].Name, a.Workloads[0].Data = s, []string{s}
		a.ChangedSince = []assess.Change{{Fact: s, From: s, To: s, Date: s, MovesAnswer: true}}
		a.Organisation.Destinations, a.Answer.Conditions = []string{s}, []string{s}
		d := reports.Build(in)
		d.Meta.Paper, d.Meta.Logo = s, []byte(s)
		noOverflow(t, d)
		pages := pagesOf(t, d)
		for _, p := range pages {
			for _, r := range p {
				if r > 0xFFFF || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) {
					t.Fatalf("%q reached the page with %U", s, r)
				}
			}
		}
	}
}

// A comparison is one page and an annex, a change log a page for each gate, whatever
// things are called; a plan holds hostile names like the report.
func TestHostileTextInOtherDocuments(t *testing.T) {
	for _, s := range append(slices.Clone(hostile[:6]), "%PDF-1.4 (a) Tj endobj", hostile[10]) {
		c := &reports.Comparison{A: reports.Side{Scenario: s, Title: s, AsOf: s}, B: reports.Side{Scenario: s + "b", Title: s, AsOf: s, Evidence: s}}
		c.Access = &rbac.WhatIfResult{Attempts: 1, Changes: []rbac.UseChange{{Question: rbac.Question{Kind: s, Name: s, Tool: s}, From: s, To: s, Reason: s}}}
		for i := range 8 {
			k := fmt.Sprint(s, i)
			c.Changes = append(c.Changes, reports.Setting{Key: k, A: s, B: s})
			c.Alerts = append(c.Alerts, reports.AlertDelta{Rule: k, Title: s, B: 1})
			c.Facts = append(c.Facts, reports.ValueDelta{Name: k, A: s, B: s})
			c.Evidence = append(c.Evidence, reports.ValueDelta{Name: k, Words: s, A: s, B: s})
			c.Gaps = append(c.Gaps, reports.ValueDelta{Name: k, A: s, B: s})
			c.Verdicts = append(c.Verdicts, reports.VerdictDelta{ID: k, Title: s, Citation: s, From: assess.GapNoConfiguration, To: assess.PartlySupported, Because: []string{s, s, s}})
			c.Spend.Stopped = append(c.Spend.Stopped, reports.StoppedDelta{Member: k, A: s, B: s})
		}
		for range 4 {
			c.Postures = append(c.Postures, reports.ValueDelta{Name: s, A: s, B: s})
		}
		c.Attribute(make([]*reports.Comparison, len(c.Changes)))
		log := *c
		log.Gate = s + "gate"
		in := sample(t)
		in.Assessment.Organisation.Name, in.Matrix[0].Group, in.Matrix[0].Because = s, s, s
		phases := []rollout.PhaseResult{{Name: s, Groups: []string{s}, Status: s, Gates: []rollout.GateResult{{Name: s, When: s, Seen: []string{s}, Because: s}}}}
		one, logged := c.Document(), reports.ChangeLog(s, s, []*reports.Comparison{&log, &log})
		for _, d := range []*reports.Document{one, logged, reports.RolloutPlan(in, phases)} {
			noOverflow(t, d)
			for _, p := range pagesOf(t, d) {
				for _, r := range p {
					if r > 0xFFFF || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) {
						t.Fatalf("%q reached the page with %U", s, r)
					}
				}
			}
		}
		if pages := pagesOf(t, one); len(pages) < 2 || !strings.Contains(pages[1], "Annex: ") || strings.Contains(pages[0], "Annex: ") {
			t.Errorf("%.20q: the comparison is more than one page before its annex", s)
		}
		if pages := pagesOf(t, logged); len(pages) != 2 {
			t.Errorf("%.20q: the change log of two gates has %d pages", s, len(pages))
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

func TestVisual(t *testing.T) {
	for in, want := range map[string]string{
		"plain 12": "plain 12", "שלום": "םולש", "a שלום b": "a םולש b", "שלום עולם": "םלוע םולש", "צוות 12 כן": "ןכ 12 תווצ", "x (שלום)": "x (םולש)",
	} {
		if got := visual(in); got != want {
			t.Errorf("visual(%q) = %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("ab 12(שלוםم),"))).Draw(t, "s")
		a, b := []rune(s), []rune(visual(s))
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Fatalf("visual(%q) lost or made up letters", s)
		}
	})
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

// sized is a report of an organisation of a size: the obligations of the shipped
// frameworks, and findings, groups and weeks in proportion.
func sized(t testing.TB, members, findings int) reports.Input {
	in := sample(t)
	one := in.Assessment.Obligations
	for len(in.Assessment.Obligations) < 94 {
		in.Assessment.Obligations = append(in.Assessment.Obligations, one...)
	}
	f := in.Findings[0]
	in.Findings = nil
	for i := range findings {
		f.ID, f.Title, f.Member = fmt.Sprint("F", i), fmt.Sprintf("Finding of kind %d", i%40), fmt.Sprintf("member-%010d", i%members)
		in.Findings = append(in.Findings, f)
	}
	in.Assessment.Counters.Findings = findings
	g := reports.SpendGroup{Source: "group:everyone", LimitMicros: 50_000_000}
	for i := range members {
		g.Micros = append(g.Micros, int64(i)*60_000_000/int64(members))
	}
	in.MemberSpend = []reports.SpendGroup{g}
	for i := range 26 {
		in.Adoption = append(in.Adoption, reports.AdoptionLine{Week: time.Date(2026, 1, 5+7*i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), Sessions: int64(members), Active: members / 2, Enabled: members})
	}
	for i := range 20 {
		in.Groups = append(in.Groups, reports.GroupLine{Name: fmt.Sprint("group-", i), Members: members / 20, Purpose: "A group."})
		in.Matrix = append(in.Matrix, in.Matrix[:2]...)
	}
	return in
}

// BenchmarkReport builds and writes the full report.
func BenchmarkReport(b *testing.B) {
	for _, size := range []struct{ members, findings int }{{200, 100}, {20_000, 5_000}} {
		b.Run(fmt.Sprintf("members=%d/findings=%d", size.members, size.findings), func(b *testing.B) {
			in := sized(b, size.members, size.findings)
			b.ReportAllocs()
			pages := 0
			for b.Loop() {
				var w bytes.Buffer
				if err := Write(&w, reports.Build(in)); err != nil {
					b.Fatal(err)
				}
				pages = bytes.Count(w.Bytes(), []byte("/Type /Page\n"))
				b.SetBytes(int64(w.Len()))
			}
			b.ReportMetric(float64(pages), "pages")
		})
	}
}

// The bytes of a report are those they were: whoever changes a font, a library
// or a layout sees it here, and the golden text tells what changed.
func TestBytesAreGolden(t *testing.T) {
	set, err := faces()
	if err != nil {
		t.Fatal(err)
	}
	d := reports.Build(sample(t))
	plain := func(f *gofpdf.Fpdf) { f.SetCompression(false) } // so that no compressor has a say
	var b bytes.Buffer
	if err := set.write(&b, d, plain); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%x\n", sha256.Sum256(b.Bytes()))
	const golden = "testdata/sample.sha256"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("the uncompressed PDF has another hash; run with -update to accept it")
	}
}
