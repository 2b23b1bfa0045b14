// Package html sets a report as one self-contained page: no script, no request
// to anywhere, figures as SVG, readable by keyboard and screen reader, and
// printable. It shows the same document as the PDF.
//
//	err := html.Write(file, reports.Build(input))
//
// Everything from the input passes the escaping of html/template, and control
// and direction characters are made visible first. The page forbids itself to
// load or run anything by its own policy, should something slip through.
package html

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/reports"
)

//go:embed page.html
var pageText string

//go:embed page.css
var css string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"plain": reports.Plain, "kind": kind, "shape": shapeSVG, "figure": figureSVG, "anchor": anchor,
	"level": func(l int) int { return min(6, l+1) }, "groups": groups,
	"chain": func(id string, t reports.Table) bool { // only what has titles to unfold
		return strings.HasPrefix(id, "appendix-chains-") && len(t.Rows) > 0 && len(t.Rows[0]) == 1
	},
	"sub": subheading, "names": func(head []string) string { return "Table: " + strings.Join(head, ", ") },
	"in":   func(blocks []reports.Block, s reports.Section) scope { return scope{blocks, s} },
	"css":  func() template.CSS { return template.CSS(css) },
	"logo": logo, "paper": func(p string) template.CSS {
		if strings.EqualFold(p, "letter") {
			return "@page{size:letter}"
		}
		return "@page{size:A4}"
	},
}).Parse(pageText))

// scope is blocks and the section they stand in.
type scope struct {
	Blocks  []reports.Block
	Section reports.Section
}

// Write sets d and writes the page to w.
func Write(w io.Writer, d *reports.Document) error {
	var b bytes.Buffer
	if err := page.Execute(&b, d); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// kind names a block for the template; the set is closed.
func kind(b reports.Block) string {
	switch b.(type) {
	case reports.Lead:
		return "lead"
	case reports.Paragraph:
		return "paragraph"
	case reports.Heading:
		return "heading"
	case reports.Bullets:
		return "bullets"
	case reports.KeyValues:
		return "keyvalues"
	case reports.Table:
		return "table"
	case reports.StatusRow:
		return "statusrow"
	case reports.Strip:
		return "strip"
	case reports.Tally:
		return "tally"
	case reports.Beside:
		return "beside"
	case reports.Notice:
		return "notice"
	case reports.Figure:
		return "figure"
	}
	panic("html: a block that this writer does not know")
}

// subheading is a heading inside a section, one level below the section's own. The
// words are escaped here, since the template cannot escape a tag whose name varies.
func subheading(level int, text string) template.HTML {
	l := min(6, level+2)
	return template.HTML(fmt.Sprintf(`<h%d class="subhead">%s</h%d>`, l, escape(text), l))
}

// anchor makes an id of a section's own.
func anchor(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(id))
}

// group is the rows under one spanning row, which is its title.
type group struct {
	Title []reports.Cell // none for rows before the first title
	Rows  [][]reports.Cell
}

func groups(t reports.Table) []group {
	var out []group
	for _, r := range t.Rows {
		if len(r) == 1 && len(t.Head) > 1 {
			out = append(out, group{Title: r})
			continue
		}
		if len(out) == 0 {
			out = append(out, group{})
		}
		g := &out[len(out)-1]
		g.Rows = append(g.Rows, r)
	}
	return out
}

func rgb(t reports.Tone) string {
	c := t.RGB()
	return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
}

func f(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// n rounds to a hundredth of a millimetre and never writes -0.
func n(v float64) string {
	s := strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

// shapeMarks draws a shape in a square of side 10.
func shapeMarks(s reports.Shape) string {
	c := rgb(s.Tone())
	switch s {
	case reports.Disc:
		return `<circle cx="5" cy="5" r="4.6" fill="` + c + `"/>`
	case reports.Ring:
		return `<circle cx="5" cy="5" r="4" fill="none" stroke="` + c + `" stroke-width="1.5"/>`
	case reports.Half:
		return `<circle cx="5" cy="5" r="4" fill="none" stroke="` + c + `" stroke-width="1.3"/><path d="M5 1A4 4 0 0 0 5 9z" fill="` + c + `"/>`
	case reports.Triangle:
		return `<path d="M5 .6L9.7 9.2H.3z" fill="` + c + `"/>`
	case reports.Square:
		return `<path d="M.8 .8h8.4v8.4H.8z" fill="` + c + `"/>`
	case reports.Diamond:
		return `<path d="M5 0L10 5L5 10L0 5z" fill="` + c + `"/>`
	case reports.Dash:
		return `<path d="M0 4h10v2H0z" fill="` + c + `"/>`
	}
	return ""
}

// shapeSVG is the mark beside a word; the word says the same, so it is hidden
// from readers that cannot see it.
func shapeSVG(s reports.Shape) template.HTML {
	if s == reports.NoShape {
		return ""
	}
	return template.HTML(`<svg class="mark" viewBox="0 0 10 10" aria-hidden="true">` + shapeMarks(s) + `</svg>`)
}

const mmPerPoint = 25.4 / 72

// figureSVG draws a figure. Its words come from inputs and are escaped here.
func figureSVG(v reports.Figure) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="figure" viewBox="0 0 %s %s" role="img"><title>%s</title><desc>%s</desc>`, f(reports.FigureWidth), n(v.H), escape(v.Title), escape(v.Alt))
	for _, m := range v.Marks {
		paint := ` fill="none"`
		if m.Fill != reports.NoTone {
			paint = ` fill="` + rgb(m.Fill) + `"`
		}
		if m.Stroke != reports.NoTone && m.Line > 0 {
			paint += fmt.Sprintf(` stroke="%s" stroke-width="%s"`, rgb(m.Stroke), n(m.Line))
		}
		if m.Dash {
			paint += ` stroke-dasharray="1.2 1"`
		}
		switch m.Kind {
		case reports.Rectangle:
			fmt.Fprintf(&b, `<rect x="%s" y="%s" width="%s" height="%s"%s/>`, n(m.X), n(m.Y), n(max(0, m.W)), n(max(0, m.H)), paint)
		case reports.Stroke:
			fmt.Fprintf(&b, `<path d="M%s %sL%s %s"%s/>`, n(m.X), n(m.Y), n(m.W), n(m.H), paint)
		case reports.Polyline, reports.Polygon:
			tag := "polyline"
			if m.Kind == reports.Polygon {
				tag = "polygon"
			}
			pts := make([]string, len(m.Points))
			for i, q := range m.Points {
				pts[i] = n(q[0]) + "," + n(q[1])
			}
			fmt.Fprintf(&b, `<%s points="%s"%s/>`, tag, strings.Join(pts, " "), paint)
		case reports.Circle:
			fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="%s"%s/>`, n(m.X), n(m.Y), n(max(0, m.W)), paint)
		case reports.Symbol:
			fmt.Fprintf(&b, `<g transform="translate(%s %s) scale(%s)">%s</g>`, n(m.X-m.W/2), n(m.Y-m.W/2), f(m.W/10), shapeMarks(m.Shape))
		case reports.Label:
			anchor, weight := "", ""
			switch m.Anchor {
			case reports.Middle:
				anchor = ` text-anchor="middle"`
			case reports.End:
				anchor = ` text-anchor="end"`
			}
			if m.Bold {
				weight = ` font-weight="700"`
			}
			size := m.Size * mmPerPoint
			text := reports.Plain(m.Text)
			if m.Fit > 0 {
				text = fit(text, m.Fit, size)
			}
			fmt.Fprintf(&b, `<text x="%s" y="%s" font-size="%s"%s%s fill="%s">%s</text>`, n(m.X), n(m.Y+size*0.36), n(size), anchor, weight, rgb(m.Fill), html.EscapeString(text))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func escape(s string) string { return html.EscapeString(reports.Plain(s)) }

// fit cuts visibly what would run over. Widths are a guess, as the reader's font
// is not known here.
func fit(s string, w, size float64) string {
	most := int(w / (size * 0.54))
	r := []rune(s)
	if len(r) <= most || most < 1 {
		return s
	}
	return strings.TrimRight(string(r[:most-1]), " ") + "…"
}

// logo is an image carried in the page itself; what is no PNG or JPEG is left out.
func logo(data []byte) template.URL {
	switch t := http.DetectContentType(data); t {
	case "image/png", "image/jpeg":
		return template.URL("data:" + t + ";base64," + base64.StdEncoding.EncodeToString(data))
	}
	return ""
}
