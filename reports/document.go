// Package reports turns an assessment into a document that people read: a
// cover, the answer on one page, and behind it every verdict down to the facts
// and evidence it rests on.
//
// It is presentation only. No rule, threshold or verdict is decided here; what
// the assessment did not say is printed as not supplied, never filled in. The
// writers (plain text here, PDF in its own package) read one Document, so they
// cannot disagree about what was said.
package reports

// Document is the report before it has a medium.
type Document struct {
	Meta     Meta
	Sections []Section
}

// Meta is what a writer repeats outside the flow: cover, header, file metadata.
type Meta struct {
	Kind         string // what the document is, over its title; empty for a readiness report
	Title        string
	Organisation string
	AsOf         string // YYYY-MM-DD; also the only date a file may carry
	Period       string
	Evidence     string // in words
	Simulated    bool   // any part of the evidence is simulated: say so on each page
	Banner       string // the words each page then carries
	Fictional    string // what page one says when simulated
	Profile      string // platform profile: track and fact set
	Client       string
	Preparer     string
	Label        string
	Digest       string // SHA-256 of assessment.json
	Content      string // what each page says when names and content were not withheld
	Answer       Status // the answer in two words, for the cover
	Paper        string // A4, or Letter
	Logo         []byte // PNG or JPEG
}

// Section is a heading and what stands under it.
type Section struct {
	ID      string // stable anchor; "cover" is laid out apart
	No      string // "7.2"; empty for the cover, appendices and level 3
	Title   string
	Level   int  // 1 to 3
	Board   bool // part of the board copy
	NewPage bool // start on a fresh page
	OnePage bool // a writer may set it smaller to keep it on one page
	Small   bool // reference matter, set smaller
	Blocks  []Block
}

// Board is the copy for the board: the pages that must be enough on their own.
func (d *Document) Board() *Document {
	out := &Document{Meta: d.Meta}
	for _, s := range d.Sections {
		if s.Board {
			out.Sections = append(out.Sections, s)
		}
	}
	return out
}

// Block is one of the types below; the set is closed so that a writer that
// forgets one fails its tests instead of dropping text.
type Block interface{ block() }

// Lead is the answer: one large sentence.
type Lead struct{ Text string }

// Paragraph is running text. Small is for notes and sources.
type Paragraph struct {
	Text  string
	Small bool
}

// Heading is a small heading inside a section, not in the outline.
type Heading struct{ Text string }

// Bullets is a list.
type Bullets struct{ Items []string }

// KeyValues is a two-column list of labels and values.
type KeyValues struct{ Pairs []KeyValue }

// KeyValue is one line of KeyValues.
type KeyValue struct{ Key, Value string }

// Table has a head and rows of the same length. A row of one cell spans the
// table and titles the rows below it.
type Table struct {
	Head    []string
	Rows    [][]Cell
	Widths  []int // relative; equal when absent
	Note    string
	WriteIn bool // rows stay tall, to be filled in by hand
}

// Cell is one cell. Status, when set, is drawn before Text.
type Cell struct {
	Text   string
	Status Status
	Mono   bool // ids
}

// Status is a word with a shape, so that it survives a black-and-white printer
// and a colour-blind reader. The zero value draws nothing.
type Status struct {
	Word  string
	Shape Shape
}

// Shape is the mark beside a status word. Writers choose colours by shape.
type Shape uint8

// The shapes. Square is worst, Disc is best, Ring is "we do not know".
const (
	NoShape Shape = iota
	Disc
	Half
	Triangle
	Square
	Diamond
	Ring
	Dash
)

var glyphs = [...]string{"", "●", "◐", "▲", "■", "◆", "○", "–"}

// Glyph is the shape as a character, for media that cannot draw.
func (s Shape) Glyph() string { return glyphs[s] }

// StatusRow is a status with a title and a sentence.
type StatusRow struct {
	Status Status
	Title  string
	Text   string
}

// Strip is boxed text that must not be overlooked.
type Strip struct {
	Title string
	Text  string
	Items []string
}

// Beside puts two columns next to each other, the left one read first. Left is
// its share of the width in hundredths.
type Beside struct {
	Left        int
	First, Then []Block
}

// Notice is text to be copied out and sent: a memo to a team, a statement to
// partners.
type Notice struct {
	Title  string
	Head   []KeyValue
	Blocks []Block
}

// Tally shows how many of a framework's obligations have each verdict: one mark
// per obligation and the same in words, never a percentage.
type Tally struct{ Rows []TallyRow }

// TallyRow is one framework of a Tally.
type TallyRow struct {
	Title  string
	Status Status
	Counts []Count
	Total  int
	Text   string // the counts in words, or why there are none
}

// Count is how many obligations have one verdict.
type Count struct {
	Status Status
	N      int
}

func (Lead) block()      {}
func (Paragraph) block() {}
func (Heading) block()   {}
func (Bullets) block()   {}
func (KeyValues) block() {}
func (Table) block()     {}
func (StatusRow) block() {}
func (Strip) block()     {}
func (Tally) block()     {}
func (Beside) block()    {}
func (Notice) block()    {}
func (Figure) block()    {}
