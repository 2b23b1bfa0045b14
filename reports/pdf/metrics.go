package pdf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"github.com/go-fonts/dejavu/dejavusansmono"
)

// face is one font: what gofpdf embeds and what layout measures with.
type face struct {
	family, style string
	ttf           []byte
	glyphs        []uint16 // glyph of each rune up to U+FFFF; 0 is missing
	widths        []uint16 // advance of each rune in thousandths of the size
}

// faces are read once. The condensed cut of DejaVu Sans is used because it
// holds a third more words in a table column at the same size.
var faces = sync.OnceValues(func() (*faceSet, error) {
	var set faceSet
	for _, f := range []struct {
		to            **face
		family, style string
		ttf           []byte
	}{
		{&set.regular, "sans", "", dejavusanscondensed.TTF},
		{&set.bold, "sans", "B", dejavusanscondensedbold.TTF},
		{&set.mono, "mono", "", dejavusansmono.TTF},
	} {
		fc := &face{family: f.family, style: f.style, ttf: f.ttf}
		if err := fc.read(); err != nil {
			return nil, fmt.Errorf("font %s%s: %w", f.family, f.style, err)
		}
		*f.to = fc
	}
	return &set, nil
})

type faceSet struct{ regular, bold, mono *face }

// read takes coverage and advances out of the font's own tables. gofpdf draws a
// box for a missing glyph without an error, so coverage must be known before.
func (f *face) read() (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("the tables are damaged")
		}
	}()
	be := binary.BigEndian
	table := func(tag string) []byte {
		for i := range int(be.Uint16(f.ttf[4:])) {
			e := f.ttf[12+16*i:]
			if string(e[:4]) == tag {
				return f.ttf[be.Uint32(e[8:]):][:be.Uint32(e[12:])]
			}
		}
		return nil
	}
	cmap, hmtx := table("cmap"), table("hmtx")
	perEm := int(be.Uint16(table("head")[18:]))
	advances := int(be.Uint16(table("hhea")[34:]))
	f.glyphs, f.widths = make([]uint16, 0x10000), make([]uint16, 0x10000)
	for i := range int(be.Uint16(cmap[2:])) {
		sub := cmap[be.Uint32(cmap[4+8*i+4:]):]
		if be.Uint16(sub) != 4 { // format 4 covers the basic plane, all that gofpdf can draw
			continue
		}
		n := int(be.Uint16(sub[6:]))
		ends, starts, deltas, offsets := sub[14:], sub[16+n:], sub[16+2*n:], sub[16+3*n:]
		for s := 0; s < n; s += 2 {
			off := int(be.Uint16(offsets[s:]))
			for c := int(be.Uint16(starts[s:])); c <= int(be.Uint16(ends[s:])) && c < 0xFFFF; c++ {
				g := uint16(c) + be.Uint16(deltas[s:])
				if off != 0 {
					if g = be.Uint16(offsets[s+off+2*(c-int(be.Uint16(starts[s:]))):]); g != 0 {
						g += be.Uint16(deltas[s:])
					}
				}
				if g == 0 {
					continue
				}
				f.glyphs[c] = g
				f.widths[c] = uint16(int(be.Uint16(hmtx[4*min(int(g), advances-1):])) * 1000 / perEm)
			}
		}
		return nil
	}
	return fmt.Errorf("no character map for the basic plane")
}

// width is the advance of s in millimetres at a size in points.
func (f *face) width(s string, size float64) float64 {
	w := 0
	for _, r := range s {
		if r < 0x10000 {
			w += int(f.widths[r])
		}
	}
	return float64(w) / 1000 * size * mmPerPoint
}

// rtl reports letters that are written from right to left.
func rtl(r rune) bool {
	return r >= 0x0590 && r <= 0x08FF || r >= 0xFB1D && r <= 0xFDFF || r >= 0xFE70 && r <= 0xFEFC
}

// visual puts the letters of a line in the order in which they stand on paper:
// runs from right to left are turned round, with the spaces and marks inside
// them; numbers keep their own order. It is the simple half of what Unicode asks
// for. Arabic letters stay unjoined, since gofpdf shapes nothing.
func visual(s string) string {
	first := strings.IndexFunc(s, rtl)
	if first < 0 {
		return s
	}
	r := []rune(s)
	for i := 0; i < len(r); i++ {
		if !rtl(r[i]) {
			continue
		}
		end := i + 1
		for j := i; j < len(r); j++ {
			if rtl(r[j]) {
				end = j + 1
			} else if unicode.IsLetter(r[j]) {
				break
			}
		}
		run := r[i:end]
		slices.Reverse(run)
		for a := 0; a < len(run); a++ {
			b := a
			for b < len(run) && unicode.IsDigit(run[b]) {
				b++
			}
			slices.Reverse(run[a:b])
			if b > a {
				a = b - 1
			}
		}
		i = end - 1
	}
	return string(r)
}

// Clean makes any string safe to draw: gofpdf panics on characters above
// U+FFFF and prints boxes for glyphs it lacks, and direction overrides can make
// a line read as something else. Each is replaced by a visible mark; line
// breaks and tabs become spaces.
func Clean(s string) string {
	set, err := faces()
	if err != nil {
		return ""
	}
	return set.regular.clean(s)
}

func (f *face) clean(s string) string {
	ok := true
	for _, r := range s {
		if r < ' ' || r > '~' {
			ok = false
			break
		}
	}
	if ok {
		return s
	}
	out := make([]rune, 0, len(s))
	for _, r := range s { // broken UTF-8 arrives as U+FFFD
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u2028' || r == '\u2029':
			r = ' '
		case r > 0xFFFF || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || f.glyphs[r] == 0:
			r = unicode.ReplacementChar
			if f.glyphs[r] == 0 {
				r = '?'
			}
		}
		out = append(out, r)
	}
	return string(out)
}
