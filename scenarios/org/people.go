package org

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// people holds members narrowly, as there may be a million of them: what many share
// stands once, and who was there all along has no dates. The texts of members who
// were given stand one behind the other; those of members who were drawn are worked
// out of what they were drawn from. A Member is put together when somebody asks.
type people struct {
	each    []entry
	kinds   []kind
	kindAt  map[kind]uint32
	tenures []tenure // the first one is zero
	datesAt map[tenure]uint32

	texts  []string // of each block of members who were given
	drawn  bool
	given  []word
	family []word
	domain string
}

// entry is a member without texts.
type entry struct {
	// seeds are those of the stream that account and id come from, given and family the
	// places of the names, number what stands behind a repeated address.
	seeds         [2]uint64
	given, family uint16
	number        uint32 // of a member who was given: where the texts begin in those of the block
	kind, tenure  uint32
}

// kind is what a member has in common with others.
type kind struct {
	department, persona, zone, role, seat, desktop string
	manager                                        int32
}

// word is an invented name, and what becomes of it in an address.
type word struct{ name, slug string }

// tenure is when a member comes and goes; see Member.
type tenure struct {
	joined, opened, left, removed time.Time
	sent                          bool
}

func (t *tenure) closed() time.Time {
	if !t.removed.IsZero() {
		return t.removed
	}
	return t.left
}

// blockBits say how many members' texts stand together.
const blockBits = 10

// add appends a member. Its texts are appended to b, which the caller hands on
// from member to member and closes with block.
func (p *people) add(b []byte, m *Member) []byte {
	b = p.block(b, false)
	p.each = append(p.each, entry{
		number: uint32(len(b)),
		kind:   p.kind(kind{m.Department, m.Persona, m.TimeZone, m.OrgRole, m.Seat, m.Desktop, int32(m.Manager)}),
		tenure: p.dates(tenure{m.Joined, m.Opened, m.Left, m.Removed, m.Sent}),
	})
	return appendTexts(b, m.Account, m.ID, m.Name, m.Email)
}

// block puts the texts of a block away, when it is full or the last one.
func (p *people) block(b []byte, last bool) []byte {
	if n := len(p.each); n > 0 && (last || n&(1<<blockBits-1) == 0) {
		p.texts = append(p.texts, string(b))
		return b[:0]
	}
	return b
}

// appendTexts appends the lengths of texts and then the texts.
func appendTexts(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
	}
	for _, s := range texts {
		b = append(b, s...)
	}
	return b
}

// Positions of a member's texts.
const (
	textAccount = iota
	textID
	textName
	textEmail
	memberTexts
)

// text is one text of a member.
func (p *people) text(i, which int) string {
	if !p.drawn {
		return p.givenText(i, which)
	}
	var room [textRoom]byte
	return string(p.drawnText(room[:0], i, which))
}

// is reports that a text of a member is the one given.
func (p *people) is(i, which int, text string) bool {
	if !p.drawn {
		return p.givenText(i, which) == text
	}
	var room [textRoom]byte
	return string(p.drawnText(room[:0], i, which)) == text
}

const textRoom = 128 // most texts fit

// drawnText appends a text of a member who was drawn.
func (p *people) drawnText(b []byte, i, which int) []byte {
	e := &p.each[i]
	switch which {
	case textName:
		return append(append(append(b, p.given[e.given].name...), ' '), p.family[e.family].name...)
	case textEmail:
		b = append(append(append(b, p.given[e.given].slug...), '.'), p.family[e.family].slug...)
		if e.number > 1 {
			b = strconv.AppendUint(b, uint64(e.number), 10)
		}
		return append(append(b, '@'), p.domain...)
	}
	// As Build draws: first the account, then the id.
	g := drawers.Get().(*drawer)
	defer drawers.Put(g)
	g.pcg.Seed(e.seeds[0], e.seeds[1])
	high, low := g.pcg.Uint64(), g.pcg.Uint64()
	if which == textAccount {
		return appendUUID(b, high, low)
	}
	return appendBase58(append(b, "user_01"...), g.rand, 22)
}

// drawer is a stream to be seeded; readers look members up for every record, so they
// are used again.
type drawer struct {
	pcg  rand.PCG
	rand *rand.Rand
}

var drawers = sync.Pool{New: func() any {
	g := &drawer{}
	g.rand = rand.New(&g.pcg)
	return g
}}

// givenText is a text of a member who was given.
func (p *people) givenText(i, which int) string {
	s := p.texts[i>>blockBits][p.each[i].number:]
	if s[0]|s[1]|s[2]|s[3] < 0x80 { // four lengths of one byte each
		from := memberTexts
		for k := range which {
			from += int(s[k])
		}
		return s[from : from+int(s[which])]
	}
	from, to := 0, 0
	for k, head := 0, 0; k < memberTexts; k++ {
		var n int
		for shift := 0; ; shift += 7 {
			c := s[head]
			head++
			n |= int(c&0x7f) << shift
			if c < 0x80 {
				break
			}
		}
		if k < which {
			from += n
		}
		if k == which {
			to = from + n
		}
		if k == memberTexts-1 {
			from, to = from+head, to+head
		}
	}
	return s[from:to]
}

func (p *people) kind(k kind) uint32 {
	i, known := p.kindAt[k]
	if !known {
		if p.kindAt == nil {
			p.kindAt = map[kind]uint32{}
		}
		i = uint32(len(p.kinds))
		p.kinds, p.kindAt[k] = append(p.kinds, k), i
	}
	return i
}

func (p *people) dates(t tenure) uint32 {
	if p.datesAt == nil {
		p.tenures, p.datesAt = []tenure{{}}, map[tenure]uint32{{}: 0}
	}
	i, known := p.datesAt[t]
	if !known {
		i = uint32(len(p.tenures))
		p.tenures, p.datesAt[t] = append(p.tenures, t), i
	}
	return i
}

// date changes when a member comes and goes.
func (p *people) date(i int, change func(*tenure)) {
	t := p.tenures[p.each[i].tenure]
	change(&t)
	p.each[i].tenure = p.dates(t)
}

// Len is how many members there are.
func (d *Directory) Len() int { return len(d.people.each) }

// Member is the member at a place. It is put together for the caller, so that to
// change it changes nobody.
func (d *Directory) Member(i int) Member {
	k, t := d.kind(i), d.tenure(i)
	return Member{
		Index: i, Account: d.people.text(i, textAccount), ID: d.people.text(i, textID), Name: d.people.text(i, textName), Email: d.people.text(i, textEmail),
		Department: k.department, Persona: k.persona, TimeZone: k.zone, OrgRole: k.role, Seat: k.seat, Desktop: k.desktop,
		Manager: int(k.manager), Joined: t.joined, Opened: t.opened, Sent: t.sent, Left: t.left, Removed: t.removed,
	}
}

// Members puts all of them together, in order.
func (d *Directory) Members() []Member {
	out := make([]Member, d.Len())
	for i := range out {
		out[i] = d.Member(i)
	}
	return out
}

// Key is the text by which engines name a member: the account, else the e-mail,
// else the id.
func (d *Directory) Key(i int) string {
	for _, which := range [...]int{textAccount, textEmail} {
		if s := d.people.text(i, which); s != "" {
			return s
		}
	}
	return d.people.text(i, textID)
}

// ID, Joined, Left, Department, Persona and OrgRole are those of the Member, for
// whoever asks for one of them of everybody.
func (d *Directory) ID(i int) string { return d.people.text(i, textID) }

func (d *Directory) Joined(i int) time.Time { return d.tenure(i).joined }

func (d *Directory) Left(i int) time.Time { return d.tenure(i).left }

func (d *Directory) Department(i int) string { return d.kind(i).department }

func (d *Directory) Persona(i int) string { return d.kind(i).persona }

func (d *Directory) OrgRole(i int) string { return d.kind(i).role }

func (d *Directory) kind(i int) *kind { return &d.people.kinds[d.people.each[i].kind] }

func (d *Directory) tenure(i int) *tenure { return &d.people.tenures[d.people.each[i].tenure] }

// Dates is a Member of whom only the dates are filled in: Joined, Opened, Sent, Left
// and Removed.
func (d *Directory) Dates(i int) Member {
	t := d.tenure(i)
	return Member{Index: i, Joined: t.joined, Opened: t.opened, Sent: t.sent, Left: t.left, Removed: t.removed}
}

// SetLeft gives a member a last moment of the job. Call it before an engine is
// built over the directory.
func (d *Directory) SetLeft(i int, t time.Time) {
	d.people.date(i, func(x *tenure) { x.left = t })
}
