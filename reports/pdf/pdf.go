// Package pdf sets a report on paper: A4, embedded fonts, searchable text,
// bookmarks and page numbers. It is the only importer of gofpdf.
//
//	err := pdf.Write(file, reports.Build(input))
//
// The same document gives the same bytes: the only date in the file is the
// as-of date of the report. Everything is measured and broken into pages before
// anything is drawn, so that a heading never ends a page, a table repeats its
// head, and "page 3 of 41" is known when page 3 is drawn.
//
// It writes no tagged PDF, no PDF/A and no signature: gofpdf has none of them.
package pdf

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jung-kurt/gofpdf"

	"github.com/sandtable-dev/sandtable/reports"
)

const mmPerPoint = 25.4 / 72

// The page, in millimetres.
const (
	pageW, pageH = 210.0, 297.0
	left, right  = 20.0, 20.0
	top, bottom  = 24.0, 22.0
	textW        = pageW - left - right
	bandH        = 112.0 // the cover's band
)

type colour struct{ r, g, b int }

var (
	ink    = colour{27, 36, 51}
	muted  = colour{91, 102, 117}
	navy   = colour{20, 48, 74}
	accent = colour{38, 92, 128}
	line   = colour{213, 219, 226}
	tint   = colour{240, 244, 248}
	sand   = colour{252, 246, 232}
	amber  = colour{164, 92, 0}
	white  = colour{255, 255, 255}
	pale   = colour{196, 212, 226}
)

// shapeColours repeat what shape and word already say.
var shapeColours = map[reports.Shape]colour{
	reports.Disc: {28, 117, 75}, reports.Half: {30, 120, 140}, reports.Triangle: {184, 105, 0}, reports.Square: {168, 35, 31},
	reports.Diamond: {75, 79, 168}, reports.Ring: {91, 102, 117}, reports.Dash: {120, 130, 143},
}

// Write sets d and writes the PDF to w. Nothing is written when it fails.
func Write(w io.Writer, d *reports.Document) (err error) {
	place := "layout"
	defer func() {
		// gofpdf panics on text it cannot draw. Clean keeps such text out; should
		// something slip through, the caller gets an error that names the section.
		if r := recover(); r != nil {
			err = fmt.Errorf("pdf: %s: %v", place, r)
		}
	}()
	set, err := faces()
	if err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	c := &composer{faceSet: set, scale: 1}
	pages := paginate(c.document(d))

	p := &painter{f: newFile(set, d.Meta), faceSet: set, meta: d.Meta, total: len(pages)}
	for i, pg := range pages {
		p.f.AddPage()
		p.frame(i+1, pg.cover)
		for _, x := range pg.boxes {
			place = x.box.place
			if m := x.box.mark; m != nil && !x.again {
				p.f.Bookmark(m.title, m.level, x.y)
			}
			x.box.draw(p, x.y)
			if e := p.f.Error(); e != nil {
				return fmt.Errorf("pdf: page %d, %s: %w", i+1, place, e)
			}
		}
	}
	place = "output"
	if err := p.f.Output(w); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	return nil
}

// newFile is the only way a PDF is created here: without sorted catalogues and
// both dates gofpdf writes different bytes on each run, and a zero date means now.
func newFile(set *faceSet, m reports.Meta) *gofpdf.Fpdf {
	f := gofpdf.New("P", "mm", "A4", "")
	f.SetCatalogSort(true)
	date, err := time.Parse(time.DateOnly, m.AsOf)
	if err != nil || date.IsZero() {
		date = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // plainly no real date, and never the clock
	}
	f.SetCreationDate(date)
	f.SetModificationDate(date)
	f.SetProducer("Sandtable, with gofpdf 1.16.2", true)
	f.SetCreator("Sandtable", true)
	f.SetTitle(Clean(m.Title), true)
	f.SetAuthor(Clean(m.Preparer), true)
	f.SetSubject(Clean(fmt.Sprintf("%s, as of %s. %s", m.Organisation, m.AsOf, m.Evidence)), true)
	if m.Digest != "" {
		f.SetKeywords(Clean("assessment sha256 "+m.Digest), true)
	}
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(left, top, right)
	for _, fc := range []*face{set.regular, set.bold, set.mono} {
		// gofpdf writes into the bytes it is given while it cuts the subset.
		f.AddUTF8FontFromBytes(fc.family, fc.style, slices.Clone(fc.ttf))
	}
	f.SetDisplayMode("fullpage", "single")
	return f
}

// painter draws on the current page.
type painter struct {
	*faceSet
	f     *gofpdf.Fpdf
	meta  reports.Meta
	total int
}

func (p *painter) fill(c colour)   { p.f.SetFillColor(c.r, c.g, c.b) }
func (p *painter) stroke(c colour) { p.f.SetDrawColor(c.r, c.g, c.b) }

func (p *painter) rect(x, y, w, h float64, c colour) {
	p.fill(c)
	p.f.Rect(x, y, w, h, "F")
}

func (p *painter) rule(x, y, w float64, c colour, width float64) {
	p.stroke(c)
	p.f.SetLineWidth(width)
	p.f.Line(x, y, x+w, y)
}

// text draws s with its capitals centred in a line of height h below y.
func (p *painter) text(fc *face, size float64, c colour, x, y, h float64, s string) {
	if s == "" {
		return
	}
	p.f.SetFont(fc.family, fc.style, size)
	p.f.SetTextColor(c.r, c.g, c.b)
	p.f.Text(x, y+h/2+size*mmPerPoint*0.36, s)
}

// shape draws the mark of a status in a square of the given size.
func (p *painter) shape(s reports.Shape, x, y, size float64) {
	c, ok := shapeColours[s]
	if !ok {
		return
	}
	p.fill(c)
	p.stroke(c)
	p.f.SetLineWidth(size * 0.14)
	r := size / 2
	cx, cy := x+r, y+r
	poly := func(pts ...gofpdf.PointType) { p.f.Polygon(pts, "F") }
	switch s {
	case reports.Disc:
		p.f.Circle(cx, cy, r, "F")
	case reports.Ring:
		p.f.Circle(cx, cy, r*0.86, "D")
	case reports.Half:
		p.f.Circle(cx, cy, r*0.86, "D")
		p.f.ClipRect(x, y, r, size, false)
		p.f.Circle(cx, cy, r*0.9, "F")
		p.f.ClipEnd()
	case reports.Triangle:
		poly(gofpdf.PointType{X: cx, Y: y}, gofpdf.PointType{X: x + size, Y: y + size*0.95}, gofpdf.PointType{X: x, Y: y + size*0.95})
	case reports.Square:
		p.f.Rect(x+size*0.06, y+size*0.06, size*0.88, size*0.88, "F")
	case reports.Diamond:
		poly(gofpdf.PointType{X: cx, Y: y - size*0.06}, gofpdf.PointType{X: x + size*1.06, Y: cy}, gofpdf.PointType{X: cx, Y: y + size*1.06}, gofpdf.PointType{X: x - size*0.06, Y: cy})
	case reports.Dash:
		p.f.Rect(x, cy-size*0.1, size, size*0.2, "F")
	}
}

// frame draws what each page carries: the evidence banner, the title, the page
// number. The cover has its band instead of the header.
func (p *painter) frame(n int, cover bool) {
	const small = 7.2
	if cover {
		p.band()
	} else {
		if p.meta.Simulated {
			p.shape(reports.Triangle, left, 11.6, 2.3)
			p.text(p.bold, small, amber, left+3.6, 10.3, 5, fit(p.bold, small, p.bold.clean(p.meta.Banner), 130))
		}
		as := fit(p.regular, small, p.regular.clean("As of "+p.meta.AsOf), 36)
		p.text(p.regular, small, muted, pageW-right-p.regular.width(as, small), 10.3, 5, as)
		p.rule(left, 16.5, textW, line, 0.2)
	}
	p.rule(left, pageH-15, textW, line, 0.2)
	foot := p.meta.Title + " · " + p.meta.Organisation
	if cover && p.meta.Simulated {
		foot = p.meta.Banner
	}
	p.text(p.regular, small, muted, left, pageH-13.5, 5, fit(p.regular, small, p.regular.clean(foot), 135))
	num := fmt.Sprintf("Page %d of %d", n, p.total)
	p.text(p.regular, small, muted, pageW-right-p.regular.width(num, small), pageH-13.5, 5, num)
}

// band is the cover's head: the title over the contour lines of a model terrain.
func (p *painter) band() {
	p.rect(0, 0, pageW, bandH, navy)
	p.f.ClipRect(0, 0, pageW, bandH, false)
	p.stroke(colour{44, 78, 108})
	p.f.SetLineWidth(0.25)
	for i := 1; i <= 13; i++ {
		r := float64(i)
		p.f.Ellipse(172-r*1.1, 30+r*1.3, r*9.5, r*6.2+float64(i%3), 18, "D")
	}
	p.f.ClipEnd()
	p.rect(left, 26, 14, 1.2, colour{226, 180, 92})
	p.text(p.bold, 9, pale, left, 29.5, 6, "READINESS REPORT")

	title := p.bold.clean(p.meta.Title)
	size := 27.0
	lines := wrap(p.bold, size, title, textW-10)
	for len(lines) > 3 && size > 14 {
		size -= 2
		lines = wrap(p.bold, size, title, textW-10)
	}
	if len(lines) > 4 {
		lines = lines[:4]
	}
	y, lh := 41.0, size*mmPerPoint*1.25
	for _, l := range lines {
		p.text(p.bold, size, white, left, y, lh, l)
		y += lh
	}
	p.text(p.regular, 14, pale, left, y+3, 7, fit(p.regular, 14, p.regular.clean(p.meta.Organisation), textW))
	p.text(p.bold, 11, white, left, bandH-19, 6, fit(p.bold, 11, p.bold.clean("As of "+p.meta.AsOf), textW))
	p.text(p.regular, 9, pale, left, bandH-13, 5, fit(p.regular, 9, p.regular.clean("Period "+p.meta.Period), textW))
}
