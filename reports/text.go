package reports

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textWidth is where plain text wraps.
const textWidth = 78

// Text is everything in reading order as plain text, for terminals and golden
// tests. Control characters and direction overrides that came with the input
// are made visible: a team name must not be able to move a cursor.
func (d *Document) Text() string {
	var b strings.Builder
	if d.Meta.Simulated {
		b.WriteString(Plain(d.Meta.Banner) + "\n\n")
	}
	if d.Meta.Content != "" {
		b.WriteString(Plain(d.Meta.Content) + "\n\n")
	}
	for i, s := range d.Sections {
		if i > 0 {
			b.WriteString("\n")
		}
		rule := "="
		if s.Level > 1 {
			rule = "-"
		}
		title := Plain(join(" ", s.No, s.Title))
		b.WriteString(title + "\n" + strings.Repeat(rule, utf8.RuneCountInString(title)) + "\n")
		writeBlocks(&b, s.Blocks)
	}
	return b.String()
}

func writeBlocks(b *strings.Builder, blocks []Block) {
	for _, blk := range blocks {
		b.WriteString("\n")
		writeBlock(b, blk)
	}
}

func writeBlock(b *strings.Builder, blk Block) {
	switch v := blk.(type) {
	case Beside:
		for i, blk := range append(append([]Block{}, v.First...), v.Then...) {
			if i > 0 {
				b.WriteString("\n")
			}
			writeBlock(b, blk)
		}
	case Notice:
		wrap(b, "", "", "--- "+v.Title+" ---")
		for _, p := range v.Head {
			wrap(b, p.Key+": ", "    ", p.Value)
		}
		writeBlocks(b, v.Blocks)
		wrap(b, "", "", "---")
	case Figure:
		wrap(b, "", "", "Figure: "+join(". ", v.Title, v.Alt))
		if v.Data != nil {
			writeTable(b, *v.Data)
		}
		if v.Note != "" {
			wrap(b, "", "", v.Note)
		}
	case Lead:
		wrap(b, "", "", v.Text)
	case Paragraph:
		wrap(b, "", "", v.Text)
	case Heading:
		wrap(b, "", "", v.Text+":")
	case Bullets:
		for _, it := range v.Items {
			wrap(b, "- ", "  ", it)
		}
	case KeyValues:
		for _, p := range v.Pairs {
			wrap(b, p.Key+": ", "    ", p.Value)
		}
	case StatusRow:
		wrap(b, "", "  ", join(": ", join(" - ", v.Status.text(), v.Title), v.Text))
	case Strip:
		wrap(b, "| ", "| ", v.Title)
		if v.Text != "" {
			wrap(b, "| ", "| ", v.Text)
		}
		for _, it := range v.Items {
			wrap(b, "| - ", "|   ", it)
		}
	case Tally:
		for _, r := range v.Rows {
			wrap(b, "", "  ", join(" - ", r.Status.text(), r.Title)+": "+r.Text)
		}
	case Table:
		writeTable(b, v)
	default:
		panic("reports: a block that text does not know") // the set is closed; a test covers each
	}
}

// writeTable sets short tables in columns and others as records, because a
// terminal has no room for six columns of sentences.
func writeTable(b *strings.Builder, t Table) {
	widths := make([]int, len(t.Head))
	for i, h := range t.Head {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, r := range t.Rows {
		if len(r) != len(t.Head) {
			continue
		}
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(Plain(c.text())))
		}
	}
	total := 0
	for _, w := range widths {
		total += w + 2
	}
	columns := total-2 <= textWidth
	if columns {
		writeColumns(b, widths, t.Head)
	}
	for n, r := range t.Rows {
		switch {
		case len(r) == 1 && len(t.Head) > 1:
			if n > 0 {
				b.WriteString("\n")
			}
			wrap(b, "", "", r[0].text())
		case columns:
			cells := make([]string, len(r))
			for i, c := range r {
				cells[i] = c.text()
			}
			writeColumns(b, widths, cells)
		default:
			wrap(b, "- ", "  ", r[0].text())
			for i, c := range r[1:] {
				if c.text() != "" {
					wrap(b, "    "+t.Head[i+1]+": ", "      ", c.text())
				}
			}
		}
	}
	if t.Note != "" {
		wrap(b, "", "", t.Note)
	}
}

func writeColumns(b *strings.Builder, widths []int, cells []string) {
	var line strings.Builder
	for i, c := range cells {
		c = Plain(c)
		line.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

func (s Status) text() string { return join(" ", s.Shape.Glyph(), s.Word) }
func (c Cell) text() string   { return join(": ", c.Status.text(), c.Text) }

// join joins what is not empty.
func join(sep string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}

// wrap writes s with a first prefix and a prefix for the lines after it.
func wrap(b *strings.Builder, first, rest, s string) {
	line, empty := Plain(first), true
	for _, w := range strings.Fields(Plain(s)) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > textWidth {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// Plain makes text from an input harmless to show: control characters, format
// characters (direction overrides, zero-width joiners) and broken UTF-8 become
// U+FFFD, and line breaks become spaces. Nothing disappears unseen.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
