package reports

import "strings"

// Figure is a drawing made of a few primitives, which the PDF writer draws with
// lines and the HTML writer as SVG. Nothing is a picture, so it prints sharp and
// its words can be searched. Coordinates are millimetres on a field FigureWidth
// wide and H high, y downwards.
type Figure struct {
	Title string
	Alt   string // what the drawing says, for those who cannot see it
	H     float64
	Marks []Mark
	Note  string
	Data  *Table // the figures drawn, for text and for readers of the HTML
}

// FigureWidth is the width of every figure.
const FigureWidth = 170.0

// Mark is one primitive of a figure.
type Mark struct {
	Kind   MarkKind
	X, Y   float64 // a corner, a centre, or where text is anchored (its middle line)
	W, H   float64 // of a rectangle; of a line: to the other end; radius of a disc in W
	Points [][2]float64
	Text   string
	Size   float64 // points
	Bold   bool
	Anchor Anchor
	Fit    float64 // text is cut visibly at this width; 0 for none
	Fill   Tone
	Stroke Tone
	Line   float64 // width of the stroke
	Dash   bool
	Shape  Shape
}

// MarkKind names a primitive.
type MarkKind uint8

// The primitives.
const (
	Rectangle MarkKind = iota
	Stroke
	Polyline
	Polygon
	Circle
	Label
	Symbol // a Shape centred on X, Y and W wide
)

// Anchor is which end of a label stands at its X.
type Anchor uint8

// The anchors.
const (
	Start Anchor = iota
	Middle
	End
)

// Tone is a colour by its office. The zero value is none.
type Tone uint8

// The tones.
const (
	NoTone Tone = iota
	Ink
	Muted
	Navy
	Accent
	Sky // a pale accent for areas
	Rule
	Tint
	Sand
	Gold
	Amber
	Red
	Green
	Teal
	Indigo
	Grey
	PaleRed
	PaleAmber
	PaleGreen
	PaleTeal
	PaleIndigo
	PaleGrey
	White
)

var tones = [...][3]uint8{{}, {27, 36, 51}, {91, 102, 117}, {20, 48, 74}, {38, 92, 128}, {196, 217, 231}, {213, 219, 226}, {240, 244, 248}, {252, 246, 232}, {226, 180, 92},
	{164, 92, 0}, {168, 35, 31}, {28, 117, 75}, {30, 120, 140}, {75, 79, 168}, {120, 130, 143},
	{250, 232, 230}, {253, 241, 222}, {228, 243, 235}, {226, 242, 245}, {235, 235, 249}, {241, 243, 245}, {255, 255, 255}}

// RGB is the colour of a tone.
func (t Tone) RGB() [3]uint8 { return tones[t] }

var shapeTones = [...]Tone{NoTone, Green, Teal, Amber, Red, Indigo, Muted, Grey}
var paleTones = [...]Tone{NoTone, PaleGreen, PaleTeal, PaleAmber, PaleRed, PaleIndigo, PaleGrey, PaleGrey}

// Tone is the colour that repeats what the shape says.
func (s Shape) Tone() Tone { return shapeTones[s] }

// Pale is the same for an area behind text.
func (s Shape) Pale() Tone { return paleTones[s] }

func (f *Figure) add(m Mark) { f.Marks = append(f.Marks, m) }

func (f *Figure) rect(x, y, w, h float64, fill Tone) {
	f.add(Mark{Kind: Rectangle, X: x, Y: y, W: w, H: h, Fill: fill})
}

func (f *Figure) line(x, y, x2, y2, width float64, t Tone) {
	f.add(Mark{Kind: Stroke, X: x, Y: y, W: x2, H: y2, Stroke: t, Line: width})
}

func (f *Figure) dashed(x, y, x2, y2, width float64, t Tone) {
	f.add(Mark{Kind: Stroke, X: x, Y: y, W: x2, H: y2, Stroke: t, Line: width, Dash: true})
}

func (f *Figure) text(x, y, size float64, t Tone, s string) {
	f.add(Mark{Kind: Label, X: x, Y: y, Size: size, Fill: t, Text: s})
}

func (f *Figure) symbol(x, y, size float64, s Shape) {
	f.add(Mark{Kind: Symbol, X: x, Y: y, W: size, Shape: s})
}

// labelWidth guesses a width in millimetres from the classes of its characters.
// It is only for placing labels; the writers measure, and cut what is too long.
func labelWidth(s string, size float64) float64 {
	em := 0.0
	for _, r := range s {
		switch {
		case strings.ContainsRune("iljtfrI.,:;'|!()[]/ ", r):
			em += 0.34
		case strings.ContainsRune("mwMW@%", r):
			em += 0.86
		case r >= 'A' && r <= 'Z':
			em += 0.64
		default:
			em += 0.56
		}
	}
	return em * size * 25.4 / 72
}

// labelLines breaks s into at most n lines of width w; the last takes the rest.
func labelLines(s string, size, w float64, n int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && labelWidth(line+" "+word, size) > w && len(out) < n-1 {
			out = append(out, line)
			line = word
			continue
		}
		line = join(" ", line, word)
	}
	return append(out, line)
}

// steps are about n round numbers from 0 to at least top.
func steps(top int64, n int) []int64 {
	if top <= 0 {
		return []int64{0, 1}
	}
	step := int64(1)
	for top/step > int64(n) {
		switch {
		case top/(step*2) <= int64(n):
			step *= 2
		case top/(step*5) <= int64(n):
			step *= 5
		default:
			step *= 10
		}
	}
	var out []int64
	for v := int64(0); ; v += step {
		out = append(out, v)
		if v >= top {
			return out
		}
	}
}
