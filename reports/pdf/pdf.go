// Package pdf sets a report on paper: A4 or Letter, embedded fonts, searchable text,
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
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // logos come as JPEG too
	"image/png"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jung-kurt/gofpdf"

	"github.com/sandtable-dev/sandtable/reports"
)

const mmPerPoint = 25.4 / 72

type colour struct{ r, g, b int }

func tone(t reports.Tone) colour {
	c := t.RGB()
	return colour{int(c[0]), int(c[1]), int(c[2])}
}

var (
	ink, muted, navy, accent = tone(reports.Ink), tone(reports.Muted), tone(reports.Navy), tone(reports.Accent)
	line, tint, sand, gold   = tone(reports.Rule), tone(reports.Tint), tone(reports.Sand), tone(reports.Gold)
	amber, red               = tone(reports.Amber), tone(reports.Red)
	white, pale              = colour{255, 255, 255}, colour{196, 212, 226}
)

func shapeColour(s reports.Shape) colour { return tone(s.Tone()) }

// Write sets d and writes the PDF to w. Nothing is written when it fails.
func Write(w io.Writer, d *reports.Document) error {
	set, err := faces()
	if err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	return set.write(w, d, func(*gofpdf.Fpdf) {})
}

func (set *faceSet) write(w io.Writer, d *reports.Document, configure func(*gofpdf.Fpdf)) (err error) {
	place := "layout"
	defer func() {
		// gofpdf panics on text it cannot draw. Clean keeps such text out; should
		// something slip through, the caller gets an error that names the section.
		if r := recover(); r != nil {
			err = fmt.Errorf("pdf: %s: %v", place, r)
		}
	}()
	g := paper(d.Meta.Paper)
	c := newComposer(set, g)
	pages := paginate(g, c.document(d))

	p := &painter{f: newFile(set, g, d.Meta), faceSet: set, geo: g, meta: d.Meta, total: len(pages)}
	configure(p.f)
	for i, pg := range pages {
		for _, x := range pg.boxes {
			if m := x.box.mark; m != nil && !x.again {
				m.page, m.link = i+1, p.f.AddLink()
				p.f.SetLink(m.link, max(0, x.y-4), m.page)
			}
		}
	}
	for i, pg := range pages {
		p.f.AddPage()
		p.frame(i+1, pg)
		for _, x := range pg.boxes {
			place = x.box.place
			if m := x.box.mark; m != nil && !x.again {
				p.f.Bookmark(strings.TrimSpace(m.no+" "+m.title), m.level, x.y)
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
func newFile(set *faceSet, g geometry, m reports.Meta) *gofpdf.Fpdf {
	f := gofpdf.New("P", "mm", g.name, "")
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
	f.SetMargins(g.left, g.top, g.right)
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
	geo   geometry
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
	p.f.Text(x, y+h/2+size*mmPerPoint*0.36, visual(s))
}

// shape draws the mark of a status in a square of the given size.
func (p *painter) shape(s reports.Shape, x, y, size float64) {
	if s == reports.NoShape {
		return
	}
	c := shapeColour(s)
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

// dots leads the eye from a title to its page.
func (p *painter) dots(from, y, to float64) {
	p.fill(line)
	for x := to; x > from; x -= 1.7 {
		p.f.Circle(x, y, 0.18, "F")
	}
}

// sides draws the left and right edge of a frame.
func (p *painter) sides(x, y, w, h float64) {
	p.rect(x, y, w, h+0.05, colour{250, 251, 252})
	p.rect(x, y, 0.25, h+0.05, line)
	p.rect(x+w-0.25, y, 0.25, h+0.05, line)
}

// frame draws what each page carries: the evidence banner, the title, the page
// number. The cover has its band instead of the header.
func (p *painter) frame(n int, pg page) {
	const small = 7.2
	g := p.geo
	if pg.cover {
		p.band()
	} else {
		x := g.left
		banner := func(text string, c colour, room float64) {
			if text == "" {
				return
			}
			p.shape(reports.Triangle, x, 11.6, 2.3)
			s := fit(p.bold, small, p.bold.clean(text), room)
			p.text(p.bold, small, c, x+3.6, 10.3, 5, s)
			x += p.bold.width(s, small) + 8
		}
		if p.meta.Content != "" {
			banner(p.meta.Content, red, 100)
		}
		if p.meta.Simulated {
			banner(p.meta.Banner, amber, g.left+130-x)
		}
		as := "As of " + p.meta.AsOf
		if pg.board {
			as = "Board copy · " + as
		}
		as = fit(p.regular, small, p.regular.clean(as), max(20, g.w-g.right-x))
		p.text(p.regular, small, muted, g.w-g.right-p.regular.width(as, small), 10.3, 5, as)
		p.rule(g.left, 16.5, g.text(), line, 0.2)
	}
	p.rule(g.left, g.h-15, g.text(), line, 0.2)
	foot := p.meta.Title
	if p.meta.Organisation != "" { // the page on features is about no organisation
		foot += " · " + p.meta.Organisation
	}
	if pg.cover && p.meta.Simulated {
		foot = p.meta.Banner
	}
	if pg.cover && p.meta.Content != "" {
		foot = p.meta.Content + " · " + foot
	}
	p.text(p.regular, small, muted, g.left, g.h-13.5, 5, fit(p.regular, small, p.regular.clean(foot), 135))
	num := fmt.Sprintf("Page %d of %d", n, p.total)
	p.text(p.regular, small, muted, g.w-g.right-p.regular.width(num, small), g.h-13.5, 5, num)
}

// band is the cover's head: the title over the contour lines of a model terrain,
// and the answer in two words.
func (p *painter) band() {
	g := p.geo
	p.rect(0, 0, g.w, g.band, navy)
	p.f.ClipRect(0, 0, g.w, g.band-0.3, false) // viewers smear a line that is cut right on the edge
	p.stroke(colour{44, 78, 108})
	p.f.SetLineWidth(0.25)
	for i := 1; i <= 13; i++ {
		r := float64(i)
		p.f.Ellipse(172-r*1.1, 30+r*1.3, r*9.5, r*6.2+float64(i%3), 18, "D")
	}
	p.f.ClipEnd()
	p.logo()
	p.rect(g.left, 20, 14, 1.2, gold)
	p.text(p.bold, 9, pale, g.left, 23.5, 6, "READINESS REPORT")

	title := p.bold.clean(p.meta.Title)
	size := 26.0
	lines := wrap(p.bold, size, title, g.text()-10)
	for len(lines) > 2 && size > 14 {
		size -= 2
		lines = wrap(p.bold, size, title, g.text()-10)
	}
	if len(lines) > 3 {
		lines = lines[:3]
		lines[2] = fit(p.bold, size, lines[2]+" …", g.text()-12)
		if !strings.HasSuffix(lines[2], "…") {
			lines[2] += "…"
		}
	}
	y, lh := 33.0, size*mmPerPoint*1.25
	for _, l := range lines {
		p.text(p.bold, size, white, g.left, y, lh, l)
		y += lh
	}
	p.text(p.regular, 13, pale, g.left, y+2, 7, fit(p.regular, 13, p.regular.clean(p.meta.Organisation), g.text()))

	// The answer, on white so that mark and word keep their colours.
	word := p.bold.clean(p.meta.Answer.Word)
	const answerSize = 14.0
	w := min(g.text(), p.bold.width(word, answerSize)+18)
	top := g.band - 29
	p.rect(g.left, top, w, 11, white)
	p.shape(p.meta.Answer.Shape, g.left+4.5, top+3.5, 4)
	p.text(p.bold, answerSize, shapeColour(p.meta.Answer.Shape), g.left+11, top, 11, fit(p.bold, answerSize, word, w-13))
	p.text(p.bold, 10, white, g.left, g.band-14.5, 5, fit(p.bold, 10, p.bold.clean("As of "+p.meta.AsOf), g.text()))
	p.text(p.regular, 9, pale, g.left, g.band-9.5, 5, fit(p.regular, 9, p.regular.clean("Period "+p.meta.Period), g.text()))
}

// logo stands at the top right of the cover, on white.
func (p *painter) logo() {
	if len(p.meta.Logo) == 0 {
		return
	}
	data, err := Logo(p.meta.Logo)
	if err != nil {
		return // a report is worth more than its logo; the command that took it has checked
	}
	const boxW, boxH = 42.0, 18.0
	options := gofpdf.ImageOptions{ImageType: "png"}
	info := p.f.RegisterImageOptionsReader("logo", options, bytes.NewReader(data))
	k := min((boxW-6)/info.Width(), (boxH-4)/info.Height())
	w, h := info.Width()*k, info.Height()*k
	x := p.geo.w - p.geo.right - w - 6
	p.rect(x, 15, w+6, h+4, white)
	p.f.ImageOptions("logo", x+3, 17, w, h, false, options, 0, "")
}

// Logo reads a PNG or JPEG and gives it back as a PNG of the kind that gofpdf
// can embed: it knows neither interlaced nor 16-bit ones.
func Logo(data []byte) ([]byte, error) {
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("logo: %w; a PNG or JPEG is expected", err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > 4096 || c.Height > 4096 {
		return nil, fmt.Errorf("logo: %d x %d pixels; at most 4096 x 4096", c.Width, c.Height)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("logo: %w", err)
	}
	flat := image.NewNRGBA(img.Bounds())
	draw.Draw(flat, flat.Bounds(), img, img.Bounds().Min, draw.Src)
	var b bytes.Buffer
	err = png.Encode(&b, flat)
	return b.Bytes(), err
}

// drawing draws a figure's marks at x, y, k times their size.
func (p *painter) drawing(v reports.Figure, x, y, k float64) {
	f := p.f
	for _, m := range v.Marks {
		mx, my := x+m.X*k, y+m.Y*k
		if m.Dash {
			f.SetDashPattern([]float64{1.2, 1}, 0)
		}
		style := ""
		if m.Fill != reports.NoTone {
			p.fill(tone(m.Fill))
			style = "F"
		}
		if m.Stroke != reports.NoTone && m.Line > 0 {
			p.stroke(tone(m.Stroke))
			f.SetLineWidth(m.Line)
			style += "D"
		}
		switch m.Kind {
		case reports.Rectangle:
			if style != "" {
				f.Rect(mx, my, m.W*k, m.H*k, style)
			}
		case reports.Stroke:
			f.Line(mx, my, x+m.W*k, y+m.H*k)
		case reports.Polyline, reports.Polygon:
			pts := make([]gofpdf.PointType, len(m.Points))
			for i, q := range m.Points {
				pts[i] = gofpdf.PointType{X: x + q[0]*k, Y: y + q[1]*k}
			}
			if m.Kind == reports.Polygon {
				f.Polygon(pts, style)
				break
			}
			for i := 1; i < len(pts); i++ {
				f.Line(pts[i-1].X, pts[i-1].Y, pts[i].X, pts[i].Y)
			}
		case reports.Circle:
			f.Circle(mx, my, m.W*k, style)
		case reports.Symbol:
			p.shape(m.Shape, mx-m.W/2, my-m.W/2, m.W)
		case reports.Label:
			fc := p.regular
			if m.Bold {
				fc = p.bold
			}
			s := fc.clean(m.Text)
			if m.Fit > 0 {
				s = fit(fc, m.Size, s, m.Fit*k)
			}
			switch w := fc.width(s, m.Size); m.Anchor {
			case reports.Middle:
				mx -= w / 2
			case reports.End:
				mx -= w
			}
			p.text(fc, m.Size, tone(m.Fill), mx, my-2, 4, s)
		}
		if m.Dash {
			f.SetDashPattern(nil, 0)
		}
	}
}
