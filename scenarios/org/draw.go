package org

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/brianvoe/gofakeit/v6"
)

// drawing is a department of members to draw: the member numbered from has the
// place given in it.
type drawing struct {
	department  string
	place, from int
	boss        int
	kinds       [2][]uint32 // of the boss and of the others, by place in the shares of desktops
}

// draft is a member as drawn, without what depends on those before.
type draft struct {
	seeds         [2]uint64
	given, family string
	kind          uint32
}

// draw fills in n members. No member's draws depend on another's, so blocks of
// them are drawn side by side; they are put away in order, since an address that
// somebody has already gets a number.
func (p *people) draw(drawn []drawing, n int, desktops []share, domain string, seed uint64) {
	p.drawn, p.domain = true, domain
	p.dates(tenure{})
	p.each = make([]entry, 0, n)
	blocks := (n + 1<<blockBits - 1) >> blockBits
	workers := min(runtime.GOMAXPROCS(0), blocks)
	room := make(chan []draft, 2*workers) // a block is taken by whoever has room for it, so the next one in order is always under way
	for range cap(room) {
		room <- make([]draft, 0, min(n, 1<<blockBits))
	}
	done := make([]chan []draft, blocks)
	for i := range done {
		done[i] = make(chan []draft, 1)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			a := newArtist(seed, desktops)
			for ds := range room {
				k := int(next.Add(1)) - 1
				if k >= blocks {
					return
				}
				ds = ds[:0]
				for i := k << blockBits; i < min(n, (k+1)<<blockBits); i++ {
					ds = append(ds, a.draw(drawn, i))
				}
				done[k] <- ds
			}
		})
	}
	names := naming{people: p, given: map[string]uint16{}, family: map[string]uint16{}, slugs: map[string]uint32{}, taken: map[[2]uint32]uint32{}}
	for k := range blocks {
		ds := <-done[k]
		for i := range ds {
			p.each = append(p.each, names.entry(&ds[i]))
		}
		room <- ds
	}
	close(room)
	wg.Wait()
}

// artist draws members; it keeps what is needed for each.
type artist struct {
	seed     uint64
	desktops []share
	source   quickSource
	person   *gofakeit.Faker // over source
	pcg      rand.PCG
	r        *rand.Rand // over pcg
	part     int        // of the last member
}

func newArtist(seed uint64, desktops []share) *artist {
	a := &artist{seed: seed, desktops: desktops}
	a.person, a.r = gofakeit.NewCustom(&a.source), rand.New(&a.pcg)
	return a
}

func (a *artist) draw(drawn []drawing, i int) draft {
	for a.part+1 < len(drawn) && drawn[a.part+1].from <= i { // the next block lies behind the last
		a.part++
	}
	p := &drawn[a.part]
	place := strconv.Itoa(p.place + i - p.from)
	stream := func(what string) *rand.Rand { // as Stream
		a.pcg.Seed(Seeds(a.seed, what, p.department, place))
		return a.r
	}
	var d draft
	// Never 0, and the numbers of gofakeit's own source: organisations keep their names.
	a.source.Seed(int64(stream("member").Uint64() | 1))
	d.given, d.family = a.person.FirstName(), a.person.LastName()
	d.seeds[0], d.seeds[1] = Seeds(a.seed, "account", p.department, place)
	managed := 1
	if i == p.boss {
		managed = 0
	}
	d.kind = p.kinds[managed][placeIn(a.desktops, stream("desktop").Float64())]
	return d
}

// naming numbers repeated addresses. Invented names hold no digits, so that the
// number behind a repeated one never makes an address that another name has.
type naming struct {
	people        *people
	given, family map[string]uint16 // names to their places
	slugs         map[string]uint32
	ofGiven       []uint32 // the slug of each name
	ofFamily      []uint32
	taken         map[[2]uint32]uint32 // slugs to how many have them
}

func (n *naming) entry(d *draft) entry {
	e := entry{seeds: d.seeds, kind: d.kind}
	e.given = n.place(d.given, n.given, &n.people.given, &n.ofGiven)
	e.family = n.place(d.family, n.family, &n.people.family, &n.ofFamily)
	k := [2]uint32{n.ofGiven[e.given], n.ofFamily[e.family]}
	n.taken[k]++
	e.number = n.taken[k]
	return e
}

// place finds a name in a list, or puts it there. The lists that names are drawn
// from hold some thousands.
func (n *naming) place(name string, known map[string]uint16, list *[]word, slugs *[]uint32) uint16 {
	i, ok := known[name]
	if !ok {
		s := slug(name)
		at, ok := n.slugs[s]
		if !ok {
			at = uint32(len(n.slugs))
			n.slugs[s] = at
		}
		i = uint16(len(*list))
		known[name], *list, *slugs = i, append(*list, word{name, s}), append(*slugs, at)
	}
	return i
}
