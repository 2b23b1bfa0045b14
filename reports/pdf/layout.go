package pdf

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sandtable-dev/sandtable/reports"
)

// box is the smallest piece that is never broken: a line of text, a table row.
type box struct {
	h, gap  float64 // height, and space before it unless it starts a page
	keep    bool    // must not be the last on its page
	newPage bool
	cover   bool
	board   bool
	head    *box // drawn again when this box starts a page: a table's head
	mark    *mark
	place   string // section, for error messages
	draw    func(p *painter, y float64)
}

type mark struct {
	no, title string
	level     int
	board     bool
	page      int // known once pages are made
	link      int // gofpdf's number of the place
}

type placed struct {
	box   *box
	y     float64
	again bool
}

type page struct {
	boxes []placed
	cover bool
	board bool
}

// geometry is the paper and its margins, in millimetres.
type geometry struct {
	name                     string
	w, h                     float64
	left, right, top, bottom float64
	band                     float64 // height of the cover's band
}

func (g geometry) text() float64 { return g.w - g.left - g.right }
func (g geometry) body() float64 { return g.h - g.top - g.bottom }

var (
	a4     = geometry{"A4", 210, 297, 20, 20, 24, 22, 104}
	letter = geometry{"Letter", 215.9, 279.4, 22, 22, 23, 21, 100}
)

func paper(name string) geometry {
	if strings.EqualFold(name, "letter") {
		return letter
	}
	return a4
}

// paginate puts boxes on pages. A chain of boxes that keep together moves to
// the next page as one, unless it is longer than a page.
func paginate(g geometry, boxes []box) []page {
	var pages []page
	y := 0.0
	fresh := func(b *box) {
		pages = append(pages, page{cover: b.cover, board: b.board})
		y = g.top
		if b.cover {
			y = g.band + 9
		}
	}
	for i := range boxes {
		b := &boxes[i]
		atTop := len(pages) > 0 && len(pages[len(pages)-1].boxes) == 0
		if len(pages) == 0 || (b.newPage && !atTop) {
			fresh(b)
		} else {
			need := b.gap + b.h
			for j := i; boxes[j].keep && j+1 < len(boxes) && !boxes[j+1].newPage; j++ {
				need += boxes[j+1].gap + boxes[j+1].h
			}
			if need > g.body() { // too long to keep together: only the box itself must fit
				need = b.gap + b.h
			}
			if y+need > g.h-g.bottom && !atTop {
				fresh(b)
			}
		}
		pg := &pages[len(pages)-1]
		if len(pg.boxes) > 0 {
			y += b.gap
		} else if b.head != nil {
			pg.boxes = append(pg.boxes, placed{b.head, y, true})
			y += b.head.h
		}
		pg.boxes = append(pg.boxes, placed{b, y, false})
		y += b.h
	}
	return pages
}

// composer turns blocks into boxes. scale shrinks type and spacing together; x
// and w are the column being filled.
type composer struct {
	*faceSet
	geo   geometry
	x, w  float64
	scale float64
	place string
	out   []box
	marks []*mark
}

func newComposer(set *faceSet, g geometry) *composer {
	return &composer{faceSet: set, geo: g, x: g.left, w: g.text(), scale: 1}
}

// Sizes in points.
const (
	sizeBody, sizeSmall, sizeTable = 9.4, 7.8, 8.0
	sizeH1, sizeH2, sizeH3         = 18.0, 12.5, 10.6
	sizeHead                       = 9.6
	sizeLead                       = 14.0
)

func (c *composer) document(d *reports.Document) []box {
	var board, rest []box
	for from := 0; from < len(d.Sections); {
		// What stands between two page breaks is set together.
		to := from + 1
		for to < len(d.Sections) && !d.Sections[to].NewPage && d.Sections[to].Board == d.Sections[from].Board {
			to++
		}
		chapter := d.Sections[from:to]
		n := len(c.marks)
		set := func(scale float64) []box {
			c.marks = c.marks[:n]
			var out []box
			for _, s := range chapter {
				c.scale = scale
				if s.Small {
					c.scale *= 0.88
				}
				out = append(out, c.section(s)...)
			}
			return out
		}
		boxes := set(1)
		switch scale := 1.0; {
		case chapter[0].OnePage: // smaller before it is broken
			for ; height(boxes) > c.geo.body() && scale > 0.72; boxes = set(scale) {
				scale -= 0.02
			}
		case spills(c.geo, boxes): // a few lines over are drawn together, so that no page stands nearly empty
			for ; spills(c.geo, boxes) && scale > 0.9; boxes = set(scale) {
				scale -= 0.02
			}
			if spills(c.geo, boxes) { // it did not help
				boxes = set(1)
			}
		}
		if chapter[0].Board {
			for i := range boxes {
				boxes[i].board = true
			}
			board = append(board, boxes...)
		} else {
			rest = append(rest, boxes...)
		}
		from = to
	}
	all := board
	c.scale = 1
	if len(board) > 0 && len(rest) > 0 { // a document without a board copy is short enough to do without
		all = append(all, c.contents()...)
	}
	all = append(all, rest...)
	if len(all) == 0 {
		all = []box{{h: 1, draw: func(*painter, float64) {}}}
	}
	return all
}

// contents lists the sections with their pages, which are known when it is drawn.
func (c *composer) contents() []box {
	c.out, c.place = nil, "Contents"
	marks := c.marks
	m := &mark{title: "Contents"}
	c.lines(c.bold, sizeH1, navy, c.x, c.w, m.title, style{gap: 9, leading: 1.25, keepAll: true})
	c.underline()
	c.out[0].mark, c.out[0].newPage = m, true
	const pageW, indent = 12.0, 10.0
	tight := 1.0 // a list of a few lines more than a page is drawn together
	entries := 0
	for _, t := range marks {
		if t.level <= 1 {
			entries++
		}
	}
	if full := float64(entries) * 5.6; full > c.geo.body()-18 {
		tight = max(0.8, (c.geo.body()-18)/full)
	}
	for _, t := range marks {
		if t.level > 1 || t.title == "" || t.board && t.no == "" { // the cover needs no entry
			continue
		}
		fc, size, gap, col := c.regular, sizeBody-0.3, 0.2, ink
		if t.level == 0 {
			fc, size, gap, col = c.bold, sizeBody, 2.4, navy
		}
		gap *= tight * tight
		lh := size * mmPerPoint * 1.38 * tight
		x := c.x + indent*float64(t.level)
		noW := indent
		title := fit(fc, size, t.title, c.w-indent*float64(t.level)-noW-pageW)
		c.out = append(c.out, box{h: lh, gap: gap, place: c.place, draw: func(p *painter, y float64) {
			p.text(fc, size, accent, x, y, lh, t.no)
			p.text(fc, size, col, x+noW, y, lh, title)
			n := fmt.Sprint(t.page)
			p.text(fc, size, col, c.geo.left+c.geo.text()-fc.width(n, size), y, lh, n)
			from, to := x+noW+fc.width(title, size)+2, c.geo.left+c.geo.text()-fc.width(n, size)-2
			if t.level > 0 && to > from {
				p.dots(from, y+lh*0.68, to)
			}
			p.f.Link(x, y, c.geo.left+c.geo.text()-x, lh, t.link)
		}})
	}
	return c.out
}

// spills reports whether the last of several pages would hold little.
func spills(g geometry, boxes []box) bool {
	pages := paginate(g, boxes)
	if len(pages) < 2 {
		return false
	}
	last := pages[len(pages)-1].boxes
	end := last[len(last)-1]
	return end.y+end.box.h-g.top < 0.16*g.body()
}

func height(boxes []box) float64 {
	h := 0.0
	for i, b := range boxes {
		if i > 0 {
			h += b.gap
		}
		h += b.h
	}
	return h
}

func (c *composer) underline() {
	c.out = append(c.out, box{h: 3.2 * c.scale, keep: true, place: c.place, draw: func(p *painter, y float64) { p.rect(c.geo.left, y+0.8, 14, 0.9, gold) }})
}

func (c *composer) section(s reports.Section) []box {
	c.out, c.place = nil, s.Title
	cover := s.ID == "cover"
	level := max(0, s.Level-1)
	m := &mark{no: s.No, title: c.bold.clean(s.Title), level: level, board: s.Board}
	c.marks = append(c.marks, m)
	heading := func(size float64, st style) {
		indent := 0.0
		if s.No != "" {
			indent = c.bold.width(s.No, size*c.scale) + size*0.24*c.scale
		}
		at := len(c.out)
		c.lines(c.bold, size, navy, c.x+indent, c.w-indent, s.Title, st)
		inner, h := c.out[at].draw, c.out[at].h
		size *= c.scale
		c.out[at].draw = func(p *painter, y float64) {
			p.text(p.bold, size, accent, c.geo.left, y, h, s.No)
			inner(p, y)
		}
	}
	switch {
	case cover:
		c.out = append(c.out, box{cover: true, newPage: true, keep: true, place: s.Title, draw: func(*painter, float64) {}})
	case level == 0:
		heading(sizeH1, style{gap: 9, leading: 1.25, keepAll: true})
		c.underline()
	case level == 1:
		heading(sizeH2, style{gap: 8, leading: 1.3, keepAll: true})
		c.out = append(c.out, box{h: 1.2 * c.scale, keep: true, place: s.Title, draw: func(p *painter, y float64) { p.rule(c.geo.left, y+0.9, c.geo.text(), line, 0.25) }})
	default:
		heading(sizeH3, style{gap: 7, leading: 1.3, keepAll: true})
	}
	c.out[0].mark = m
	c.out[0].newPage = s.NewPage || cover
	for _, b := range s.Blocks {
		c.block(b)
	}
	return c.out
}

type style struct {
	gap     float64 // before the first line
	leading float64
	keepAll bool // keep each line with the next, the last one included
}

// lines adds a text as one box for each line; the first two and the last two
// lines stay together.
func (c *composer) lines(fc *face, size float64, col colour, x, w float64, s string, st style) {
	size *= c.scale
	ls := wrap(fc, size, fc.clean(s), w)
	lh := size * mmPerPoint * st.leading
	for i, l := range ls {
		b := box{h: lh, keep: st.keepAll || (len(ls) > 1 && (i == 0 || i == len(ls)-2)), place: c.place,
			draw: func(p *painter, y float64) { p.text(fc, size, col, x, y, lh, l) }}
		if i == 0 {
			b.gap = st.gap * c.scale
		}
		c.out = append(c.out, b)
	}
}

func (c *composer) block(b reports.Block) {
	switch v := b.(type) {
	case reports.Lead:
		size := sizeLead
		if n := utf8.RuneCountInString(v.Text); n > 320 { // a long answer must leave room for its reasons
			size *= 0.72
		} else if n > 160 {
			size *= 0.84
		}
		c.lines(c.bold, size, ink, c.x, c.w, v.Text, style{gap: 3, leading: 1.35})
	case reports.Paragraph:
		if v.Small {
			c.lines(c.regular, sizeSmall, muted, c.x, c.w, v.Text, style{gap: 3, leading: 1.4})
		} else {
			c.lines(c.regular, sizeBody, ink, c.x, c.w, v.Text, style{gap: 3, leading: 1.45})
		}
	case reports.Heading:
		c.lines(c.bold, sizeHead, accent, c.x, c.w, v.Text, style{gap: 4.6, leading: 1.4, keepAll: true})
	case reports.Bullets:
		c.bullets(v.Items)
	case reports.KeyValues:
		c.keyValues(v.Pairs)
	case reports.StatusRow:
		c.statusRow(v)
	case reports.Strip:
		c.strip(v)
	case reports.Tally:
		c.tally(v)
	case reports.Table:
		c.table(v)
	case reports.Beside:
		c.beside(v)
	case reports.Notice:
		c.notice(v)
	case reports.Figure:
		c.figure(v)
	default:
		panic("a block that this writer does not know")
	}
}

// beside sets two columns next to each other as one piece, or below each other
// when they are too tall for a page.
func (c *composer) beside(v reports.Beside) {
	const gutter = 7.0
	x, w, before := c.x, c.w, c.out
	column := func(x, w float64, blocks []reports.Block) []box {
		c.x, c.w, c.out = x, w, nil
		for _, b := range blocks {
			c.block(b)
		}
		return c.out
	}
	share := (w - gutter) * float64(min(90, max(10, v.Left))) / 100
	first, then := column(x, share, v.First), column(x+share+gutter, w-gutter-share, v.Then)
	h := max(height(first), height(then))
	c.x, c.w, c.out = x, w, before
	if h > c.geo.body()*0.6 {
		for _, b := range append(slices.Clone(v.First), v.Then...) {
			c.block(b)
		}
		return
	}
	c.out = append(c.out, box{h: h, gap: 3 * c.scale, place: c.place, draw: func(p *painter, top float64) {
		for _, boxes := range [][]box{first, then} { // the first is read whole before the other
			y := top
			for i, b := range boxes {
				if i > 0 {
					y += b.gap
				}
				b.draw(p, y)
				y += b.h
			}
		}
	}})
}

// notice frames its blocks; each piece brings its part of the frame, so that a
// long one can go over a page break.
func (c *composer) notice(v reports.Notice) {
	const inset = 8.0
	x, w := c.x, c.w
	at := len(c.out)
	c.x, c.w = x+inset, w-2*inset
	if at > 0 {
		c.out[at-1].keep = true // what introduces it stands over it
	}
	c.lines(c.bold, sizeH3, navy, c.x, c.w, v.Title, style{gap: 5, leading: 1.4, keepAll: true})
	if len(v.Head) > 0 {
		c.keyValues(v.Head)
	}
	for _, b := range v.Blocks {
		c.block(b)
	}
	c.x, c.w = x, w
	for i := at; i < len(c.out); i++ {
		b := &c.out[i]
		inner, padTop, padBottom := b.draw, 0.0, 0.0
		if i == at {
			padTop = 5
		} else {
			padTop, b.gap = b.gap, 0 // the frame must not break where there is space
		}
		if i == len(c.out)-1 {
			padBottom = 6
		}
		b.h += padTop + padBottom
		h := b.h
		if b.head != nil { // a table's head inside the frame needs its sides too
			head := *b.head
			draw, hh := head.draw, head.h
			head.draw = func(p *painter, y float64) { p.sides(x, y, w, hh); draw(p, y) }
			b.head = &head
		}
		b.draw = func(p *painter, y float64) {
			p.sides(x, y, w, h)
			if padTop == 5 {
				p.rect(x, y, w, 1, gold)
			}
			if padBottom > 0 {
				p.rule(x, y+h, w, line, 0.25)
			}
			inner(p, y+padTop)
		}
	}
}

// atMost keeps n lines and shows that there were more: a figure is one piece and
// must not outgrow its page.
func atMost(n int, lines []string) []string {
	if len(lines) > n {
		lines = append(slices.Clone(lines[:n-1]), lines[n-1]+" …")
	}
	return lines
}

// figure is one piece: title, drawing and note stay together.
func (c *composer) figure(v reports.Figure) {
	if len(v.Marks) == 0 {
		return
	}
	k := c.w / reports.FigureWidth
	size, small := sizeHead*c.scale, sizeSmall*c.scale
	titles := atMost(2, wrap(c.bold, size, c.bold.clean(v.Title), c.w))
	notes := []string{}
	if v.Note != "" {
		notes = atMost(6, wrap(c.regular, small, c.regular.clean(v.Note), c.w))
	}
	lh, slh := size*mmPerPoint*1.4, small*mmPerPoint*1.4
	headH := float64(len(titles))*lh + 2.5
	x := c.x
	h := headH + v.H*k
	if len(notes) > 0 {
		h += 2 + float64(len(notes))*slh
	}
	c.out = append(c.out, box{h: h, gap: 6 * c.scale, place: c.place, draw: func(p *painter, y float64) {
		for i, l := range titles {
			p.text(p.bold, size, accent, x, y+float64(i)*lh, lh, l)
		}
		p.drawing(v, x, y+headH, k)
		for i, l := range notes {
			p.text(p.regular, small, muted, x, y+headH+v.H*k+2+float64(i)*slh, slh, l)
		}
	}})
}

func (c *composer) bullets(items []string) {
	for i, it := range items {
		at := len(c.out)
		gap := 1.1
		if i == 0 {
			gap = 2
		}
		c.lines(c.regular, sizeBody, ink, c.x+4.5, c.w-4.5, it, style{gap: gap, leading: 1.42})
		inner, s := c.out[at].draw, c.scale
		h, x := c.out[at].h, c.x
		c.out[at].draw = func(p *painter, y float64) {
			p.rect(x+1, y+h/2-0.55*s, 1.1*s, 1.1*s, accent)
			inner(p, y)
		}
	}
}

// cellLine is one line inside a column: where it stands and how it looks.
type cellLine struct {
	face   *face
	colour colour
	text   string
	indent float64
	shape  reports.Shape
}

// column is a cell already broken into lines.
type column struct {
	x     float64
	lines []cellLine
}

// row adds boxes for columns that stand side by side, cut into pieces of at
// most 28 lines so that no row is longer than a page. Text is drawn column by
// column, so that a wrapped sentence stays whole for search and extraction.
func (c *composer) row(cols []column, size, leading, pad, gap float64, decorate func(p *painter, y, h float64), head *box) {
	const most = 28
	lh := size * mmPerPoint * leading
	n := 1
	for _, col := range cols {
		n = max(n, len(col.lines))
	}
	for from := 0; from < n; from += most {
		to := min(from+most, n)
		h := float64(to-from)*lh + 2*pad
		b := box{h: h, head: head, place: c.place}
		if from == 0 {
			b.gap = gap
		}
		b.draw = func(p *painter, y float64) {
			if decorate != nil {
				decorate(p, y, h)
			}
			for _, col := range cols {
				for i := from; i < min(to, len(col.lines)); i++ {
					l := col.lines[i]
					ly := y + pad + float64(i-from)*lh
					if l.shape != reports.NoShape {
						m := size * mmPerPoint * 0.72
						p.shape(l.shape, col.x+0.2, ly+lh/2-m/2, m)
					}
					p.text(l.face, size, l.colour, col.x+l.indent, ly, lh, l.text)
				}
			}
		}
		c.out = append(c.out, b)
	}
}

// status is the lines of a mark and its word.
func (c *composer) status(s reports.Status, size, w float64) []cellLine {
	if s.Word == "" {
		return nil
	}
	indent := size * mmPerPoint * 1.15
	var out []cellLine
	for i, l := range wrap(c.bold, size, c.bold.clean(s.Word), w-indent) {
		cl := cellLine{face: c.bold, colour: shapeColour(s.Shape), text: l, indent: indent}
		if i == 0 {
			cl.shape = s.Shape
		}
		out = append(out, cl)
	}
	return out
}

func plainLines(fc *face, size float64, col colour, s string, w float64) []cellLine {
	if s == "" {
		return nil
	}
	var out []cellLine
	for _, l := range wrap(fc, size, fc.clean(s), w) {
		out = append(out, cellLine{face: fc, colour: col, text: l})
	}
	return out
}

func (c *composer) keyValues(pairs []reports.KeyValue) {
	keyW := min(40, c.w*0.3)
	size := sizeBody * c.scale
	for i, kv := range pairs {
		gap := 0.4
		if i == 0 {
			gap = 3
		}
		c.row([]column{
			{c.x, plainLines(c.regular, size, muted, kv.Key, keyW-3)},
			{c.x + keyW, plainLines(c.regular, size, ink, kv.Value, c.w-keyW)},
		}, size, 1.4, 0.7*c.scale, gap*c.scale, nil, nil)
		if i < len(pairs)-1 && (i == 0 || len(pairs) <= 8) { // a short list is read as one
			c.out[len(c.out)-1].keep = true
		}
	}
}

func (c *composer) statusRow(v reports.StatusRow) {
	size := sizeBody * c.scale
	ls := c.status(v.Status, size, c.w)
	at := len(c.out)
	if w := c.bold.width(c.bold.clean(v.Status.Word), size) + 8; v.Title != "" && w < c.w*0.6 && len(ls) == 1 {
		// Mark, word and title share a line when there is room.
		c.row([]column{{c.x, ls}, {c.x + w, plainLines(c.bold, size, ink, v.Title, c.w-w)}}, size, 1.42, 0, 2.6*c.scale, nil, nil)
	} else {
		c.row([]column{{c.x, append(ls, plainLines(c.bold, size, ink, v.Title, c.w)...)}}, size, 1.42, 0, 2.6*c.scale, nil, nil)
	}
	c.out[len(c.out)-1].keep = true // a status belongs to what it is the status of
	if v.Text != "" {
		c.lines(c.regular, sizeBody, ink, c.x+size*mmPerPoint*1.15, c.w-5, v.Text, style{leading: 1.42})
	}
	c.out[at].gap = 2.6 * c.scale
}

// strip is boxed text; each line brings its piece of the box, so that a long
// strip can go over a page break.
func (c *composer) strip(v reports.Strip) {
	inset := min(6, c.w*0.05)
	x, full := c.x, c.w
	w := full - 2*inset
	size := sizeBody * c.scale
	var ls []cellLine
	ls = append(ls, plainLines(c.bold, size, amber, v.Title, w)...)
	ls = append(ls, plainLines(c.regular, size, ink, v.Text, w)...)
	for _, it := range v.Items {
		ls = append(ls, plainLines(c.regular, size, ink, it, w)...)
	}
	lh := size * mmPerPoint * 1.45
	for i, l := range ls {
		b := box{h: lh, keep: i < len(ls)-1, place: c.place}
		padTop := 0.0
		if i == 0 {
			b.gap, padTop = 4*c.scale, 2.4*c.scale
			b.h += padTop
		}
		if i == len(ls)-1 {
			b.h += 2.4 * c.scale
		}
		h := b.h
		b.draw = func(p *painter, y float64) {
			p.rect(x, y, full, h+0.05, sand) // a hair over, so that no white line shows between pieces
			p.rect(x, y, 1.2, h+0.05, gold)
			p.text(l.face, size, l.colour, x+inset, y+padTop, lh, l.text)
		}
		c.out = append(c.out, b)
	}
}

// tally draws one mark per obligation, so that the eye compares counts and no
// number pretends to be a score.
func (c *composer) tally(t reports.Tally) {
	const nameW = 58.0
	size, small := sizeTable*1.06*c.scale, sizeSmall*c.scale
	lh, slh := size*mmPerPoint*1.4, small*mmPerPoint*1.4
	step, m := 3.3*c.scale, 2.3*c.scale
	x, full := c.x, c.w
	perLine := int((full - nameW) / step)
	for _, r := range t.Rows {
		name := plainLines(c.bold, size, ink, r.Title, nameW-4)
		name = append(name, c.status(r.Status, size, nameW-4)...)
		text := plainLines(c.regular, small, muted, r.Text, full-nameW)
		var marks []reports.Shape
		if r.Total <= 300 {
			for _, n := range r.Counts {
				for range n.N {
					marks = append(marks, n.Status.Shape)
				}
			}
		}
		markH := float64((len(marks)+perLine-1)/perLine) * step * 1.1
		h := max(float64(len(name))*lh, markH+float64(len(text))*slh) + 2.4*c.scale
		b := box{h: h, gap: 0.6 * c.scale, place: c.place, draw: func(p *painter, y float64) {
			p.rule(x, y, full, line, 0.2)
			y += 1.2 * c.scale
			for i, l := range name {
				ly := y + float64(i)*lh
				if l.shape != reports.NoShape {
					d := size * mmPerPoint * 0.72
					p.shape(l.shape, x+0.2, ly+lh/2-d/2, d)
				}
				p.text(l.face, size, l.colour, x+l.indent, ly, lh, l.text)
			}
			for i, s := range marks {
				p.shape(s, x+nameW+float64(i%perLine)*step, y+0.6+float64(i/perLine)*step*1.1, m)
			}
			for i, l := range text {
				p.text(l.face, small, l.colour, x+nameW, y+markH+float64(i)*slh, slh, l.text)
			}
		}}
		c.out = append(c.out, b)
	}
}

// wholeTable is the share of a page below which a table is not broken.
const wholeTable = 0.3

func (c *composer) table(t reports.Table) {
	n := len(t.Head)
	if n == 0 {
		return
	}
	const padX = 1.8
	size := sizeTable * c.scale
	pad := 1.15 * c.scale
	if t.WriteIn {
		pad = 4.2
	}
	x0, full := c.x, c.w
	xs, ws := grid(x0, full, t.Widths, n)

	cols := make([]column, n)
	for i, h := range t.Head {
		cols[i] = column{xs[i] + padX, plainLines(c.bold, size, navy, h, ws[i]-2*padX)}
	}
	at := len(c.out)
	c.row(cols, size, 1.34, 1.2*c.scale, 3*c.scale, func(p *painter, y, h float64) {
		p.rect(x0, y, full, h, tint)
		p.rule(x0, y+h, full, accent, 0.3)
	}, nil)
	for i := at; i < len(c.out); i++ {
		c.out[i].keep = true
	}
	headBox := c.out[len(c.out)-1]
	head := &headBox

	for ri, r := range t.Rows {
		from := len(c.out)
		if len(r) == 1 && n > 1 {
			fc := c.bold
			if r[0].Mono {
				fc = c.mono
			}
			c.row([]column{{x0 + padX, plainLines(fc, size, navy, r[0].Text, full-2*padX)}}, size, 1.34, 1.3*c.scale, 0, func(p *painter, y, h float64) {
				p.rect(x0, y, full, h, colour{247, 249, 251})
				p.rule(x0, y+h, full, line, 0.2)
			}, &headBox)
			for i := from; i < len(c.out); i++ {
				c.out[i].keep = ri+1 < len(t.Rows)
			}
			// Rows below repeat their group's title along with the table's head.
			title := c.out[from]
			head = &box{h: headBox.h + title.h, place: c.place, draw: func(p *painter, y float64) {
				headBox.draw(p, y)
				title.draw(p, y+headBox.h)
			}}
			continue
		}
		cols := make([]column, 0, n)
		for i, cell := range r[:min(n, len(r))] {
			w := ws[i] - 2*padX
			fc := c.regular
			if cell.Mono {
				fc = c.mono
			}
			ls := append(c.status(cell.Status, size, w), plainLines(fc, size, ink, cell.Text, w)...)
			cols = append(cols, column{xs[i] + padX, ls})
		}
		c.row(cols, size, 1.34, pad, 0, func(p *painter, y, h float64) { p.rule(x0, y+h, full, line, 0.2) }, head)
	}
	last := len(c.out)
	if t.Note != "" {
		if len(t.Rows) > 0 {
			c.out[len(c.out)-1].keep = true
		}
		c.lines(c.regular, sizeSmall, muted, c.x, c.w, t.Note, style{gap: 1.6, leading: 1.4})
	}
	// A short table stays whole. Of a long one the last rows go over together: a
	// page with a single row reads as a mistake.
	from := max(at, last-3)
	if height(c.out[at:]) < wholeTable*c.geo.body() {
		from = at
	}
	for i := from; i < last-1; i++ {
		c.out[i].keep = true
	}
	for i := at; i < min(last-1, at+4); i++ { // head, perhaps a group's title, and rows enough to be worth starting
		c.out[i].keep = true
	}
}

// grid shares the text width by relative weights.
func grid(x, full float64, weights []int, n int) (xs, ws []float64) {
	sum := 0
	if len(weights) != n {
		weights = make([]int, n)
		for i := range weights {
			weights[i] = 1
		}
	}
	for _, w := range weights {
		sum += max(1, w)
	}
	for _, w := range weights {
		width := full * float64(max(1, w)) / float64(sum)
		xs, ws = append(xs, x), append(ws, width)
		x += width
	}
	return xs, ws
}

// wrap breaks s into lines of at most w millimetres: at spaces, and inside a
// word only when the word alone is too wide, then by preference after a mark
// that ids and addresses are made of.
func wrap(fc *face, size float64, s string, w float64) []string {
	var out []string
	var cur strings.Builder
	curW, space := 0.0, fc.width(" ", size)
	flush := func() {
		out = append(out, cur.String())
		cur.Reset()
		curW = 0
	}
	for _, word := range strings.Fields(s) {
		ww := fc.width(word, size)
		if cur.Len() > 0 && curW+space+ww <= w {
			cur.WriteString(" " + word)
			curW += space + ww
			continue
		}
		if cur.Len() > 0 {
			flush()
		}
		for ww > w {
			cut := breakAt(fc, size, word, w)
			out = append(out, word[:cut])
			word = word[cut:]
			ww = fc.width(word, size)
		}
		cur.WriteString(word)
		curW = ww
	}
	if cur.Len() > 0 || len(out) == 0 {
		flush()
	}
	return out
}

// breakAt is the byte where a word too wide for w is cut, at least one rune in.
func breakAt(fc *face, size float64, word string, w float64) int {
	sum, cut, good := 0.0, 0, 0
	for i, r := range word {
		sum += fc.width(string(r), size)
		if sum > w && i > 0 {
			break
		}
		cut = i + len(string(r))
		if strings.ContainsRune("/-._,:;)@", r) {
			good = cut
		}
	}
	if good > cut/3 {
		return good
	}
	return cut
}

// fit cuts s to a width and shows that it did.
func fit(fc *face, size float64, s string, w float64) string {
	if fc.width(s, size) <= w {
		return s
	}
	room := w - fc.width("…", size)
	for i, r := range s {
		if room -= fc.width(string(r), size); room < 0 {
			return s[:i] + "…"
		}
	}
	return s
}
