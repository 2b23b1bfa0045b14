package alert

import (
	"encoding/hex"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// from is where an entry's event stood. Entries of one prompt share it, those of one
// session its text. There are many prompts: their ids, which are UUIDs as a rule, are
// kept as their bytes.
type from struct {
	session *string
	prompt  [16]byte
	rest    *rest // instead of prompt, where that is no UUID or the event of no known kind
}

// rest are the texts of a from that is not of the usual shape: the prompt, and the
// name of events that are of no known kind.
type rest struct{ prompt, name string }

// nowhere is the rest of events of a known kind without a prompt.
var nowhere rest

// newFrom copies the texts.
func newFrom(session *string, prompt, name string) *from {
	f := &from{session: session}
	if name == "" {
		if prompt == "" {
			f.rest = &nowhere
			return f
		}
		if packUUID(&f.prompt, prompt) {
			return f
		}
	}
	f.rest = &rest{strings.Clone(prompt), strings.Clone(name)}
	return f
}

// texts are the session, the prompt, and the name, which is empty for events of known
// kinds.
func (f *from) texts() (session, prompt, name string) {
	if f.rest != nil {
		return *f.session, f.rest.prompt, f.rest.name
	}
	return *f.session, textUUID(&f.prompt), ""
}

// groups are where the digits of a UUID stand in its text.
var groups = [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}}

// packUUID puts a UUID as it is usually written, with small letters, into its bytes.
func packUUID(to *[16]byte, text string) bool {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	n := 0
	for _, g := range groups {
		for i := g[0]; i < g[1]; i += 2 {
			high, low := hexDigits[text[i]], hexDigits[text[i+1]]
			if high|low > 15 {
				return false
			}
			to[n] = high<<4 | low
			n++
		}
	}
	return true
}

// hexDigits are the values of the small hexadecimal digits, 255 for all else.
var hexDigits = func() (d [256]byte) {
	for i := range d {
		d[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		d[c] = byte(i)
	}
	return d
}()

func textUUID(of *[16]byte) string {
	var b [36]byte
	n := 0
	for i, g := range groups {
		if i > 0 {
			b[g[0]-1] = '-'
		}
		n += hex.Encode(b[g[0]:g[1]], of[n:n+(g[1]-g[0])/2]) / 2
	}
	return string(b[:])
}

// lastFrom is a from and the keys of its texts.
type lastFrom struct {
	session, prompt uint64
	from            *from
}

// fromOf is from for an event that some rule keeps.
func (e *Engine) fromOf(ev *event.Event) *from {
	if e.from != nil {
		return e.from
	}
	session, prompt, name := ev.OfSession(), ev.OfPrompt(), ""
	at := prompt
	if ev.Kind == event.Other {
		name = ev.Name
		at = event.Join(at, event.Key(name))
	}
	l := &e.froms[at%uint64(len(e.froms))]
	if l.from == nil || l.session != session || l.prompt != at {
		*l = lastFrom{session, at, newFrom(e.names[session%uint64(len(e.names))].of(session, ev.Session), ev.Prompt, name)}
	}
	e.from = l.from
	return e.from
}

// name is a text that outlives its event, and its key.
type name struct {
	key  uint64
	text *string
}

// of is a copy of the text that has the key, in place of the one that was met before.
func (n *name) of(key uint64, text string) *string {
	if n.text == nil || n.key != key || *n.text != text {
		text = strings.Clone(text)
		*n = name{key, &text}
	}
	return n.text
}

// person is the member key of an event, for a window of a block. Those that keep it
// share one: most windows of a block are of one member.
func (e *Engine) person(b *block, ev *event.Event) *string {
	text := MemberKey(ev)
	for i := range b.windows {
		if m := b.windows[i].member; m != nil && *m == text {
			return m
		}
	}
	key := ev.OfPerson()
	return e.persons[key%uint64(len(e.persons))].of(key, text)
}
