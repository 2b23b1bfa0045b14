package event

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Scratch keeps what deriving many events needs, so that one more event costs
// no allocation: a block that unescaped texts are cut from, and the tool keys
// made so far. Texts it hands out are never overwritten. The zero value is
// ready; it is not for concurrent use.
type Scratch struct {
	text strings.Builder
	keys map[[2]string]mcpTool
	last mcpTool // handed out last
}

// mcpTool is what is made of a server and a tool, once.
type mcpTool struct {
	server, tool string
	key          string
	verb         Verb
}

const (
	scratchBlock = 16 << 10
	scratchKeys  = 4096
)

// room makes sure that n more bytes fit in one piece.
func (s *Scratch) room(n int) {
	if s.text.Cap()-s.text.Len() < n {
		s.text = strings.Builder{}
		s.text.Grow(max(n, scratchBlock))
	}
}

// Clone is a copy of text that lives as long as it is needed.
func (s *Scratch) Clone(text string) string {
	if len(text) > scratchBlock/4 {
		return strings.Clone(text)
	}
	if text == "" {
		return ""
	}
	s.room(len(text))
	from := s.text.Len()
	s.text.WriteString(text)
	return s.text.String()[from:]
}

// Unescape resolves the escapes of the inside of a JSON string. ok is false when
// an escape is none; the text is then raw.
func (s *Scratch) Unescape(raw string) (text string, ok bool) {
	n := strings.IndexByte(raw, '\\')
	if n < 0 {
		return raw, true
	}
	s.room(len(raw)) // no escape is shorter than what it stands for
	from, rest := s.text.Len(), raw
	for ; n >= 0; n = strings.IndexByte(rest, '\\') {
		s.text.WriteString(rest[:n])
		if n+1 >= len(rest) {
			return raw, false
		}
		c := rest[n+1]
		rest = rest[n+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case '"', '\\', '/':
		case 'u':
			r, ok := hex4(rest)
			if !ok {
				return raw, false
			}
			rest = rest[4:]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
					low, _ = hex4(rest[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					rest = rest[6:]
				}
			}
			s.text.WriteRune(r)
			continue
		default:
			return raw, false
		}
		s.text.WriteByte(c)
	}
	s.text.WriteString(rest)
	return s.text.String()[from:], true
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	u, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(u), err == nil
}

// mcpTool names an MCP tool and says what it does.
func (s *Scratch) mcpTool(server, tool string) *mcpTool {
	if t := &s.last; t.server == server && t.tool == tool {
		return t
	}
	t, ok := s.keys[[2]string{server, tool}]
	if !ok {
		if s.keys == nil || len(s.keys) >= scratchKeys {
			s.keys = map[[2]string]mcpTool{}
		}
		k := "mcp:" + server + "/" + tool
		t = mcpTool{k[4 : 4+len(server)], k[5+len(server):], k, verbOf(tool)}
		s.keys[[2]string{t.server, t.tool}] = t
	}
	s.last = t
	return &s.last
}

// arguments walks the members of a JSON object that stands inside a text and
// may be cut anywhere. A member is reported only when it is whole, so what
// stands before a cut is known and what the cut touches is not.
type arguments struct {
	s    string
	i    int
	open bool
	// the member: value is the inside of a string, or the text of another value
	key, value string
	kind       byte // first byte of the value
}

// next moves to the next whole member.
func (a *arguments) next() bool {
	want, first := byte(','), !a.open
	if first {
		want, a.open = '{', true
	}
	c := a.space()
	if c != want {
		return false
	}
	a.i++
	if c = a.space(); first && c == '}' {
		return false
	}
	if !a.member(c) {
		a.i = len(a.s) // nothing behind a fault counts
		return false
	}
	return true
}

// member reads one member, which begins with c.
func (a *arguments) member(c byte) (ok bool) {
	if c != '"' {
		return false
	}
	if a.key, ok = a.text(); !ok || a.space() != ':' {
		return false
	}
	a.i++
	a.kind = a.space()
	from := a.i
	switch a.kind {
	case 0:
		return false
	case '"':
		a.value, ok = a.text()
		return ok
	case '{', '[':
		for depth := 0; ; {
			switch c := a.space(); c {
			case 0:
				return false
			case '"':
				if _, ok := a.text(); !ok {
					return false
				}
			default:
				a.i++
				if c == '{' || c == '[' {
					depth++
				} else if c == '}' || c == ']' {
					depth--
				}
				if depth == 0 {
					a.value = a.s[from:a.i]
					return true
				}
			}
		}
	}
	for a.i < len(a.s) && strings.IndexByte(",}] \t\r\n", a.s[a.i]) < 0 {
		a.i++
	}
	a.value = a.s[from:a.i]
	return a.i < len(a.s)
}

// whole reports that the object ended where it should.
func (a *arguments) whole() bool {
	if a.space() != '}' {
		return false
	}
	a.i++
	return a.space() == 0
}

func (a *arguments) space() byte {
	for ; a.i < len(a.s); a.i++ {
		switch c := a.s[a.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// text consumes a string and returns its inside as written.
func (a *arguments) text() (string, bool) {
	a.i++
	start := a.i
	for {
		n := strings.IndexByte(a.s[a.i:], '"')
		if n < 0 {
			return "", false
		}
		a.i += n + 1
		run := 0
		for j := a.i - 2; j >= start && a.s[j] == '\\'; j-- {
			run++
		}
		if run%2 == 0 {
			return a.s[start : a.i-1], true
		}
	}
}

// elements calls each for the strings of a JSON array given as text.
func elements(array string, each func(raw string)) {
	a := arguments{s: array, i: 1}
	for depth := 0; ; {
		switch c := a.space(); c {
		case 0:
			return
		case '"':
			raw, ok := a.text()
			if !ok {
				return
			}
			if depth == 0 {
				each(raw)
			}
		default:
			a.i++
			if c == '{' || c == '[' {
				depth++
			} else if c == '}' || c == ']' {
				depth--
			}
		}
	}
}
