package org

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brianvoe/gofakeit/v6"
	"pgregory.net/rapid"
)

// plainMember draws one member the plain way: streams, names and texts one by one.
func plainMember(seed uint64, department, place, domain string, taken map[string]bool) (m Member) {
	person := gofakeit.NewCustom(&quickSource{seed: int64(Stream(seed, "member", department, place).Uint64() | 1)})
	given, family := person.FirstName(), person.LastName()
	ids := Stream(seed, "account", department, place)
	m.Account, m.ID, m.Name = uuid(ids), "user_01"+base58(ids, 22), given+" "+family
	local := slug(given) + "." + slug(family)
	m.Email = local + "@" + domain
	for n := 2; taken[m.Email]; n++ {
		m.Email = local + strconv.Itoa(n) + "@" + domain
	}
	taken[m.Email] = true
	return m
}

// Members drawn side by side are those drawn one after the other, with repeated
// names and with blocks that end inside a department.
func TestDrawnAsOneByOne(t *testing.T) {
	c := &Config{Organisation: Organisation{Name: "Wide", Seats: 30_000, Desktops: map[string]float64{"1": 0.3, "2": 0.7},
		Departments: []Department{{Name: "A", Members: 1}, {Name: "None"}, {Name: General, Members: 1500}, {Name: "B", Members: 20_000, TimeZone: "Asia/Tokyo"}}}}
	d, err := Build(c, 11)
	if err != nil {
		t.Fatal(err)
	}
	taken, i, repeated := map[string]bool{}, 0, 0
	for _, p := range []struct {
		name, zone        string
		first, n, manager int
	}{{"A", "UTC", 0, 1, 0}, {General, "UTC", 0, 1500, 1}, {"B", "Asia/Tokyo", 0, 20_000, 1501}, {General, "UTC", 1500, 8499, 1}} {
		for k := range p.n {
			place := strconv.Itoa(p.first + k)
			want := plainMember(11, p.name, place, "wide.example", taken)
			want.Index, want.Department, want.Persona, want.TimeZone, want.OrgRole, want.Manager = i, p.name, "general", p.zone, "user", p.manager
			if i == p.manager {
				want.Manager = -1
			}
			want.Desktop = pick(shares(c.Organisation.Desktops), Stream(11, "desktop", p.name, place).Float64())
			if got := d.Member(i); got != want {
				t.Fatalf("member %d:\n%+v, want\n%+v", i, got, want)
			}
			if strings.ContainsAny(want.Name, "0123456789") {
				t.Errorf("%q holds a digit: the number behind a repeated name could make another's address", want.Name)
			}
			if strings.ContainsAny(want.Email, "0123456789") {
				repeated++
			}
			i++
		}
	}
	if i != d.Len() || repeated == 0 {
		t.Errorf("%d members of %d, %d repeated names", i, d.Len(), repeated)
	}
}

// A directory gives back the members it was made of.
func TestMembersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 10, -1), rapid.Map(rapid.IntRange(100, 20_000), func(n int) string { return strings.Repeat("x", n) }))
		moment := rapid.Map(rapid.IntRange(0, 3), func(n int) (at time.Time) {
			if n > 0 {
				at = time.Date(2026, 4, n, 0, 0, 0, 0, time.UTC)
			}
			return at
		})
		one := rapid.Custom(func(t *rapid.T) Member {
			s := func(what string) string { return text.Draw(t, what) }
			at := func(what string) time.Time { return moment.Draw(t, what) }
			return Member{ID: s("id"), Account: s("account"), Email: s("email"), Name: s("name"), Department: s("department"), Persona: s("persona"),
				Manager: rapid.IntRange(-1, 5).Draw(t, "manager"), TimeZone: s("zone"), OrgRole: s("role"), Seat: s("seat"), Desktop: s("desktop"),
				Joined: at("joined"), Opened: at("opened"), Left: at("left"), Removed: at("removed"), Sent: rapid.Bool().Draw(t, "sent")}
		})
		members := rapid.SliceOfN(one, 0, 20).Draw(t, "members")
		for range rapid.SampledFrom([]int{0, 0, 0, 1100}).Draw(t, "more") {
			members = append(members, Member{Account: fmt.Sprint("another ", len(members))})
		}
		d := NewDirectory(&Config{}, members)
		if d.Len() != len(members) {
			t.Fatalf("%d of %d members", d.Len(), len(members))
		}
		for i, m := range members {
			m.Index = i
			if got := d.Member(i); got != m {
				t.Fatalf("%+v became %+v", m, got)
			}
			if d.Key(i) != first(m.Account, m.Email, m.ID) || d.Member(i).Account != m.Account || d.ID(i) != m.ID || !d.Left(i).Equal(m.Left) || d.Department(i) != m.Department {
				t.Fatalf("%+v: asked for one by one, it differs", m)
			}
		}
	})
}
