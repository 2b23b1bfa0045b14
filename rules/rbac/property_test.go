package rbac

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// plain is procedure 1.4 as written down, for Cowork and other capabilities
// without dependency, first denial first.
func plain(d *org.Directory, r Rules, member int, cap string, t time.Time) Outcome {
	m, c := d.Members[member], d.Config
	on := On
	if cap == Cowork {
		on = r.CoworkDefault
		if s := c.Organisation.Settings.Cowork; s != nil {
			on = switchOf(s)
		}
	}
	switch r.Inputs.Platform[cap] {
	case Off:
		return Deny
	case On:
		on = On
	}
	if on == Off || t.Before(m.Joined) || !m.Left.IsZero() && !t.Before(m.Left) ||
		slices.Contains(r.Inputs.SeatExcludes[member], cap) || slices.Contains(r.Inputs.OptOut[member], cap) {
		return Deny
	}
	role := Allow
	if c.Organisation.Plan.Value == "enterprise" && m.OrgRole == "custom" {
		role = Deny
		hasRole, unknown := false, false
		for _, g := range d.GroupsOf(member, t) {
			if r.Inputs.UnknownRoles[c.Groups[g].Name.Value] {
				unknown = true
				continue
			}
			for _, rn := range c.Groups[g].Roles {
				for _, x := range c.Roles {
					if x.Name.Value != rn.Value || r.Inputs.ForeignRoles[rn.Value] {
						continue
					}
					hasRole = true
					for _, row := range x.Grants {
						v := row.Capability.Value
						if v == cap || v == accessAll || v == accessAllGA && (cap != Cowork || r.CoworkGA) {
							role = Allow
						}
					}
				}
			}
		}
		if role == Deny && unknown {
			role = Indeterminate
		} else if role == Deny && cap == Chat && !hasRole && r.CustomWithoutRoleKeepsChat {
			role = Allow
		}
	}
	switch {
	case role == Deny:
		return Deny
	case role == Indeterminate || on == Unknown:
		return Indeterminate
	}
	return Allow
}

func TestEngineFollowsProcedure(t *testing.T) {
	start := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	names := []string{Chat, Cowork, "memory"}
	rapid.Check(t, func(t *rapid.T) {
		pick := func(label string, xs ...string) string { return rapid.SampledFrom(xs).Draw(t, label) }
		date := func(label string) time.Time {
			if n := rapid.IntRange(-3, 30).Draw(t, label); n >= 0 {
				return start.AddDate(0, 0, n)
			}
			return time.Time{}
		}
		c := &org.Config{Organisation: org.Organisation{Plan: txt(pick("plan", "enterprise", "enterprise", "team"))}}
		c.Organisation.Settings.Cowork = rapid.SampledFrom([]*bool{nil, yes(), yes(), no()}).Draw(t, "cowork")
		sw := rapid.SampledFrom([]Switch{Unknown, Off, On})
		r := Rules{CoworkDefault: sw.Draw(t, "default"), CoworkGA: rapid.Bool().Draw(t, "ga"), CustomWithoutRoleKeepsChat: rapid.Bool().Draw(t, "keeps")}
		r.Inputs = Inputs{Platform: map[string]Switch{Cowork: sw.Draw(t, "force")}, UnknownRoles: map[string]bool{"g0": rapid.Bool().Draw(t, "null")},
			ForeignRoles: map[string]bool{"r0": rapid.Bool().Draw(t, "foreign")}, SeatExcludes: map[int][]string{0: {pick("seat", names...)}},
			OptOut: map[int][]string{1: {pick("optout", names...)}}}
		n := rapid.IntRange(1, 6).Draw(t, "members")
		var members []org.Member
		for i := range n {
			members = append(members, org.Member{ID: fmt.Sprint("m", i), OrgRole: pick("role", "user", "custom", "custom", "owner"), Joined: date("joined"), Left: date("left")})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "roles") {
			c.Roles = append(c.Roles, caps(fmt.Sprint("r", i), rapid.SliceOfN(rapid.SampledFrom([]string{Chat, Cowork, "memory", accessAll, accessAllGA}), 0, 3).Draw(t, "rows")...))
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "groups") {
			g := org.Group{Name: txt(fmt.Sprint("g", i)), Roles: texts(rapid.SliceOfN(rapid.SampledFrom([]string{"r0", "r1", "r2"}), 0, 2).Draw(t, "attached")...)}
			for range rapid.IntRange(0, 2).Draw(t, "spells") {
				g.Members = append(g.Members, org.Membership{From: source.Date{Time: date("from")}, To: source.Date{Time: date("to")},
					Select: org.Selector{First: rapid.IntRange(1, n).Draw(t, "first")}})
			}
			c.Groups = append(c.Groups, g)
		}
		d := org.NewDirectory(c, members)
		e := New(d, r)
		for range 10 {
			m := rapid.IntRange(0, n-1).Draw(t, "member")
			at := start.Add(time.Duration(rapid.IntRange(-24, 24*32).Draw(t, "hour")) * time.Hour)
			cap := pick("cap", append(names, "never_named")...)
			want := plain(d, r, m, cap, at)
			if got := e.Capability(m, cap, at); got.Outcome != want || len(got.Reasons) == 0 {
				t.Fatalf("member %d %s at %s: %v, procedure says %v (%+v)", m, cap, at, got.Outcome, want, got.Reasons)
			}
			if got := e.Allowed(m, cap, at); got != want {
				t.Fatalf("member %d %s at %s: fast path %v, procedure says %v", m, cap, at, got, want)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	c := setup("enterprise", "custom", yes())
	c.Roles = []org.Role{caps("pilot", Cowork)}
	for i := range 6 {
		g := group(fmt.Sprint("g", i), nil, "pilot")
		g.Members = []org.Membership{{Select: org.Selector{First: 100 * (i + 1)}, From: source.Date{Time: day.AddDate(0, 0, i)}}}
		c.Groups = append(c.Groups, g)
	}
	members := make([]org.Member, 1000)
	for i := range members {
		members[i] = org.Member{ID: fmt.Sprint("m", i), OrgRole: "custom"}
	}
	e := New(org.NewDirectory(c, members), current())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Allowed(i%1000, Cowork, day.AddDate(0, 0, 3))
	}
}
