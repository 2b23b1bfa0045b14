package html

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
)

func sample(t testing.TB) reports.Input {
	t.Helper()
	data, err := os.ReadFile("../testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	var in reports.Input
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	return in
}

func write(t testing.TB, d *reports.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tags = regexp.MustCompile(`<[^>]*>`)

func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// Every sentence of the document is on the page.
func TestNothingIsMissing(t *testing.T) {
	d := reports.Build(sample(t))
	page := write(t, d)
	i, j := strings.Index(page, "<style>"), strings.Index(page, "</style>")
	text := strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(tags.ReplaceAllString(page[:i]+page[j:], " "))
	text = words(text)
	var walk func([]reports.Block)
	has := func(s string) {
		t.Helper()
		if s = words(s); !strings.Contains(text, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	table := func(tb reports.Table) {
		for _, h := range tb.Head {
			has(h)
		}
		for _, r := range tb.Rows {
			for _, c := range r {
				has(c.Text)
				has(c.Status.Word)
			}
		}
		has(tb.Note)
	}
	walk = func(blocks []reports.Block) {
		for _, b := range blocks {
			switch v := b.(type) {
			case reports.Lead:
				has(v.Text)
			case reports.Paragraph:
				has(v.Text)
			case reports.Heading:
				has(v.Text)
			case reports.Bullets:
				for _, s := range v.Items {
					has(s)
				}
			case reports.KeyValues:
				for _, p := range v.Pairs {
					has(p.Key)
					has(p.Value)
				}
			case reports.Table:
				table(v)
			case reports.StatusRow:
				has(v.Status.Word)
				has(v.Title)
				has(v.Text)
			case reports.Strip:
				has(v.Title)
				has(v.Text)
			case reports.Tally:
				for _, r := range v.Rows {
					has(r.Title)
					has(r.Text)
				}
			case reports.Beside:
				walk(v.First)
				walk(v.Then)
			case reports.Notice:
				has(v.Title)
				walk(v.Blocks)
			case reports.Figure:
				has(v.Title)
				has(v.Note)
				if v.Data != nil {
					table(*v.Data)
				}
			default:
				t.Fatalf("%T is not checked", b)
			}
		}
	}
	for _, s := range d.Sections {
		if s.ID != "cover" {
			has(s.Title)
		}
		walk(s.Blocks)
	}
}

// The page reaches for nothing and runs nothing.
func TestSelfContained(t *testing.T) {
	page := write(t, reports.Build(sample(t)))
	for _, bad := range []string{"<script", "javascript:", "http://", "https://", "@import", "url(", "<link", "<iframe", " onload", " onclick"} {
		if strings.Contains(strings.ToLower(page), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(page, "default-src 'none'") {
		t.Error("the page does not forbid loading")
	}
}

// Tags are closed and ids unique, and each link of the contents leads somewhere.
func TestWellFormed(t *testing.T) {
	page := write(t, reports.Build(sample(t)))
	page = strings.Replace(page, "<!DOCTYPE html>", "", 1)
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	ids, links := map[string]bool{}, []string{}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			for _, a := range e.Attr {
				switch {
				case a.Name.Local == "id":
					if ids[a.Value] {
						t.Errorf("id %q is used twice", a.Value)
					}
					ids[a.Value] = true
				case a.Name.Local == "href":
					links = append(links, a.Value)
				}
			}
		}
	}
	for _, l := range links {
		if !ids[strings.TrimPrefix(l, "#")] {
			t.Errorf("%s leads nowhere", l)
		}
	}
	if len(links) < 12 {
		t.Errorf("%d links", len(links))
	}
}

func TestHostileText(t *testing.T) {
	for _, s := range []string{"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "{{.Meta}}", "\u202Egnp.exe", "a\x00b\x1b[2J", strings.Repeat("x", 500), "😀 שלום", "</style><script>", "]]>", "javascript:alert(1)"} {
		in := sample(t)
		a := in.Assessment
		a.Title, a.Organisation.Name, a.Client, a.AsOf, a.Answer.Text = s, s, s, s, s
		a.Gaps[0].Title, a.Gaps[0].ID, a.Obligations[0].Title, a.Frameworks[0].ID = s, s, s, s
		in.Matrix[0].Group, in.Findings[0].Title, in.Paper = s, s, s
		in.Logo = []byte(s)
		page := write(t, reports.Build(in))
		low := strings.ToLower(page)
		if strings.Contains(low, "<script") || strings.Contains(low, "<img src=x") || strings.Contains(page, "\u202E") || strings.Contains(page, "\x00") || strings.Contains(page, "\x1b") {
			t.Errorf("%q reached the page", s)
		}
	}
}

// hostile is a comparison and a plan whose every name is s.
func hostile(t *testing.T, s string) []*reports.Document {
	in := sample(t)
	in.Assessment.Organisation.Name, in.Matrix[0].Group, in.Matrix[0].Because = s, s, s
	in.Groups = []reports.GroupLine{{Name: s, Purpose: s, Roles: []string{s}}}
	in.Phases = []reports.PhaseLine{{Name: s, Groups: s, Because: s}}
	c := &reports.Comparison{A: reports.Side{Scenario: s, Title: s, AsOf: s}, B: reports.Side{Scenario: s, Title: s, AsOf: s, Evidence: s},
		Changes: []reports.Setting{{Key: s, A: s, B: s}}, Access: &rbac.WhatIfResult{Attempts: 1, Changes: []rbac.UseChange{{Question: rbac.Question{Kind: s, Name: s, Tool: s}, From: s, To: s, Reason: s}}},
		Alerts: []reports.AlertDelta{{Rule: s, Title: s, B: 1}}, Facts: []reports.ValueDelta{{Name: s, A: s, B: s}}, Gaps: []reports.ValueDelta{{Name: s, A: s, B: s}},
		Verdicts: []reports.VerdictDelta{{ID: s, Title: s, Citation: s, Because: []string{s}}}}
	c.Spend.Stopped = []reports.StoppedDelta{{Member: s, A: s, B: s}}
	c.Attribute([]*reports.Comparison{nil})
	phases := []rollout.PhaseResult{{Name: s, Groups: []string{s}, Status: s, Gates: []rollout.GateResult{{Name: s, When: s, Seen: []string{s}, Because: s}}}}
	log := *c
	log.Gate = s
	return []*reports.Document{c.Document(), reports.ChangeLog(s, s, []*reports.Comparison{&log}), reports.RolloutPlan(in, phases)}
}

// Comparisons, change logs and plans are as safe as the report.
func TestHostileTextInOtherDocuments(t *testing.T) {
	for _, s := range []string{"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "\u202Egnp.exe", "a\x00b\x1b[2J", strings.Repeat("x", 500), "😀 שלום", "</style><script>", "=cmd|' /C calc'!A0", "%PDF-1.4 (a) Tj endobj"} {
		for _, d := range hostile(t, s) {
			page := write(t, d)
			low := strings.ToLower(page)
			if strings.Contains(low, "<script") || strings.Contains(low, "<img src=x") || strings.ContainsAny(page, "\u202E\x00\x1b") {
				t.Errorf("%q reached %s", s, d.Meta.Kind)
			}
			if text := d.Text(); strings.ContainsAny(text, "\u202E\x00\x1b") {
				t.Errorf("%q reached the terminal in %s", s, d.Meta.Kind)
			}
		}
	}
}

// Headings go down one level at a time, every table has a name and heads for its
// columns and rows, every figure a title and a description.
func TestReadableWithoutEyes(t *testing.T) {
	for _, d := range append(hostile(t, "Ours"), reports.Build(sample(t))) {
		page := write(t, d)
		at := 0
		for _, m := range regexp.MustCompile(`<h([1-6])[ >]`).FindAllStringSubmatch(page, -1) {
			l := int(m[1][0] - '0')
			if l > at+1 {
				t.Errorf("%s: a heading of level %d follows one of level %d", d.Meta.Title, l, at)
			}
			at = l
		}
		tables, names := strings.Count(page, "<table"), strings.Count(page, `aria-label="Table: `)
		if tables == 0 || tables != names || strings.Count(page, "<thead>") != tables || !strings.Contains(page, `<th scope="row">`) {
			t.Errorf("%s: %d tables, %d names, %d heads", d.Meta.Title, tables, names, strings.Count(page, "<thead>"))
		}
		if figures := strings.Count(page, `role="img"`); strings.Count(page, "<desc>") != figures || strings.Contains(page, "<desc></desc>") {
			t.Errorf("%s: a figure without a description", d.Meta.Title)
		}
		for _, landmark := range []string{"<header>", "<nav aria-label=", `<main id="main">`, `<html lang="en-GB">`, `class="skip" href="#main"`} {
			if !strings.Contains(page, landmark) {
				t.Errorf("%s has no %s", d.Meta.Title, landmark)
			}
		}
	}
}

func TestDeterministic(t *testing.T) {
	in := sample(t)
	first, again := write(t, reports.Build(in)), write(t, reports.Build(in))
	if first != again {
		t.Error("the same report gave other bytes")
	}
}
