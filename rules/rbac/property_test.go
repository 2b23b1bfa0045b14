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

// plain is procedure 1.4 as written down, first denial first, over a naive
// reading of the dated changes: it asks neither Config.At nor the directory.
func plain(d *org.Directory, r Rules, member int, cap string, t time.Time) Outcome {
	return plainSeen(d, r, member, cap, t, func(string) time.Time { return t })
}

// way is the channel of a change of the generator, by what it does.
func way(ch org.Change) string {
	switch {
	case ch.Members != nil:
		return "seat"
	case ch.Role != nil, ch.Group != nil && (ch.Group.Attach != nil || ch.Group.Detach != nil):
		return "role"
	case ch.Group != nil:
		return "membership"
	case ch.Provisioning != nil:
		return "provisioning"
	}
	return "organisation"
}

// plainSeen is plain for somebody whom changes have reached up to seen.
func plainSeen(d *org.Directory, r Rules, member int, cap string, t time.Time, seen func(channel string) time.Time) Outcome {
	m, c := d.Member(member), d.Config
	var past []org.Change
	for _, ch := range c.Changes { // the generator writes them in order of time
		if !ch.When.After(seen(way(ch))) {
			past = append(past, ch)
		}
	}
	on, plan, orgRole, seat := On, c.Organisation.Plan.Value, m.OrgRole, m.Seat
	chosen := func(s org.Selector) bool { return slices.Contains(d.Select(s), member) }
	switch cap {
	case Cowork:
		on = r.CoworkDefault
		if s := c.Organisation.Settings.Cowork; s != nil {
			on = switchOf(s)
		}
	default:
		if v, ok := c.Organisation.Toggles[cap]; ok {
			on = switchOf(&v)
		}
	}
	gone := map[string]bool{} // deleted groups and roles
	for _, ch := range past {
		if s := ch.Settings; s != nil && s.Cowork != nil && cap == Cowork {
			on = switchOf(s.Cowork)
		}
		if v, ok := ch.Toggles[cap]; ok {
			on = switchOf(&v)
		}
		if ch.Plan.Value != "" {
			plan = ch.Plan.Value
		}
		if x := ch.Members; x != nil && chosen(x.Select) {
			orgRole = x.Role
			if x.Seat.Value != "" {
				seat = x.Seat.Value
			}
		}
		if g := ch.Group; g != nil && g.Delete {
			gone[g.Name.Value] = true
		}
		if x := ch.Role; x != nil && x.Delete {
			gone[x.Name.Value] = true
		}
	}
	inGroup := func(name string) bool {
		in, exists := false, false // the generator names groups that are not there
		for _, g := range c.Groups {
			if g.Name.Value != name {
				continue
			}
			exists = true
			at := seen("membership")
			for _, ms := range g.Members {
				in = in || chosen(ms.Select) && !at.Before(ms.From.Time) && (ms.To.Time.IsZero() || at.Before(ms.To.Time))
			}
		}
		for _, ch := range past {
			if x := ch.Group; x != nil && x.Name.Value == name {
				in = in && (x.Remove == nil || !chosen(*x.Remove)) || x.Add != nil && chosen(*x.Add)
				in = in && !x.Delete
			}
		}
		return in && exists
	}
	mapping := c.Organisation.Provisioning
	for _, ch := range past {
		if ch.Provisioning != nil {
			mapping = ch.Provisioning
		}
	}
	mayBeOwner := false
	if mapping != nil && len(mapping.Roles) > 0 && plan == "enterprise" {
		mapped := map[string]bool{}
		for _, x := range mapping.Roles {
			if inGroup(x.Group.Value) {
				mapped[x.Role] = true
			}
		}
		switch {
		case mapped["owner"]:
			orgRole = "owner"
		case mapped["admin"]:
			orgRole = "admin"
		case mapped["custom"]:
			orgRole = "custom"
		case mapped["user"]:
			orgRole = "user"
		case orgRole == "owner":
			mayBeOwner = true
		default:
			return Deny
		}
	}
	switch r.Inputs.Platform[cap] {
	case Off:
		return Deny
	case On:
		on = On
	}
	if on == Off || t.Before(m.Joined) || !m.Closed().IsZero() && !t.Before(m.Closed()) ||
		slices.Contains(r.Inputs.SeatExcludes[member], cap) || slices.Contains(r.Inputs.OptOut[member], cap) {
		return Deny
	}
	for _, s := range c.Organisation.SeatTiers {
		if s.Name.Value == seat && slices.Contains(s.Excludes, cap) {
			return Deny
		}
	}
	role := Allow
	if plan == "enterprise" && (orgRole == "custom" || orgRole == "unknown") {
		role = Deny
		hasRole, unknown := false, false
		for _, g := range c.Groups {
			in := inGroup(g.Name.Value)
			attached := map[string]bool{}
			for _, rn := range g.Roles {
				attached[rn.Value] = true
			}
			for _, ch := range past {
				if x := ch.Group; x != nil && x.Name.Value == g.Name.Value {
					for _, rn := range x.Attach {
						attached[rn.Value] = true
					}
					for _, rn := range x.Detach {
						delete(attached, rn.Value)
					}
				}
			}
			if !in || gone[g.Name.Value] {
				continue
			}
			if g.Unread || r.Inputs.UnknownRoles[g.Name.Value] {
				unknown = true
				continue
			}
			for _, x := range c.Roles {
				if !attached[x.Name.Value] || gone[x.Name.Value] || r.Inputs.ForeignRoles[x.Name.Value] {
					continue
				}
				hasRole = true
				rows := map[string]bool{}
				for _, row := range x.Grants {
					rows[row.Capability.Value] = true
				}
				for _, ch := range past {
					if y := ch.Role; y != nil && y.Name.Value == x.Name.Value {
						for _, row := range y.Remove {
							delete(rows, row.Capability.Value)
						}
						for _, row := range y.Add {
							rows[row.Capability.Value] = true
						}
					}
				}
				ga := map[string]Outcome{Chat: Allow, "never_named": Indeterminate, "memory": Indeterminate}[cap]
				if cap == Cowork {
					ga = map[bool]Outcome{true: Allow, false: Deny}[r.CoworkGA]
				}
				if r.GA[cap] != Unknown {
					ga = map[Switch]Outcome{On: Allow, Off: Deny}[r.GA[cap]]
				}
				switch {
				case rows[cap] || rows[accessAll] || rows[accessAllGA] && ga == Allow:
					role = Allow
				case rows[accessAllGA] && ga == Indeterminate:
					unknown = true
				}
			}
		}
		if role == Deny && unknown {
			role = Indeterminate
		} else if role == Deny && cap == Chat && !hasRole && r.CustomWithoutRoleKeepsChat {
			role = Allow
		}
	}
	if plan == "enterprise" && orgRole == "unknown" && role != Allow {
		role = Indeterminate // on User it would be allowed
	}
	switch {
	case role == Deny:
		return Deny
	case role == Indeterminate || on == Unknown || mayBeOwner:
		return Indeterminate
	}
	return Allow
}

func TestEngineFollowsProcedure(t *testing.T) {
	for range 5 { // rapid's hundred organisations are few for so many kinds of change
		followsProcedure(t)
	}
}

func followsProcedure(t *testing.T) {
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
		if rapid.Bool().Draw(t, "catalogue") {
			r.GA = map[string]Switch{"memory": sw.Draw(t, "memory is GA")}
		}
		r.Inputs = Inputs{Platform: map[string]Switch{Cowork: sw.Draw(t, "force")}, UnknownRoles: map[string]bool{"g0": rapid.Bool().Draw(t, "null")},
			ForeignRoles: map[string]bool{"r0": rapid.Bool().Draw(t, "foreign")}, SeatExcludes: map[int][]string{0: {pick("seat", names...)}},
			OptOut: map[int][]string{1: {pick("optout", names...)}}}
		n := rapid.IntRange(1, 6).Draw(t, "members")
		var members []org.Member
		for i := range n {
			members = append(members, org.Member{ID: fmt.Sprint("m", i), OrgRole: pick("role", "user", "custom", "custom", "owner", "unknown"), Seat: pick("seat tier", "", "", "chat seat"), Joined: date("joined"), Left: date("left")})
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "roles") {
			c.Roles = append(c.Roles, caps(fmt.Sprint("r", i), rapid.SliceOfN(rapid.SampledFrom([]string{Chat, Cowork, "memory", accessAll, accessAllGA}), 0, 3).Draw(t, "rows")...))
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "groups") {
			g := org.Group{Name: txt(fmt.Sprint("g", i)), Roles: texts(rapid.SliceOfN(rapid.SampledFrom([]string{"r0", "r1", "r2"}), 0, 2).Draw(t, "attached")...)}
			for range rapid.IntRange(0, 2).Draw(t, "spells") {
				g.Members = append(g.Members, org.Membership{From: source.Date{Time: date("from")}, To: source.Date{Time: date("to")},
					Select: org.Selector{First: rapid.IntRange(1, n).Draw(t, "first")}})
			}
			c.Groups = append(c.Groups, g)
		}
		if rapid.Bool().Draw(t, "toggle") {
			c.Organisation.Toggles = map[string]bool{"memory": rapid.Bool().Draw(t, "memory")}
		}
		mapped := func() *org.Provisioning {
			p := &org.Provisioning{}
			for _, g := range []string{"g0", "g1"} {
				if rapid.Bool().Draw(t, "maps") {
					p.Roles = append(p.Roles, org.RoleMapping{Group: txt(g), Role: pick("mapped role", "user", "custom", "custom", "admin", "owner")})
				}
			}
			return p
		}
		if rapid.IntRange(0, 3).Draw(t, "mapping") == 0 {
			c.Organisation.Provisioning = mapped()
		}
		c.Organisation.SeatTiers = []org.SeatTier{{Name: txt("chat seat"), Excludes: []string{pick("seat excludes", names...)}}}
		some := func(label string) org.Selector { return org.Selector{First: rapid.IntRange(1, n).Draw(t, label)} }
		anyGroup := func() source.Text { return txt(pick("group", "g0", "g0", "g1")) }
		anyRole := func() source.Text { return txt(pick("a role", "r0", "r0", "r1")) }
		row := func() []org.Grant {
			return []org.Grant{{Capability: txt(pick("row", Chat, Cowork, "memory", accessAll, accessAllGA))}}
		}
		when := start
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			when = when.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "wait")) * time.Hour)
			ch := org.Change{When: when}
			switch pick("kind", "seat", "cowork", "toggle", "plan", "members", "group", "group", "attach", "attach", "role", "role", "delete", "mapping") {
			case "mapping":
				ch.Provisioning = mapped()
			case "seat":
				ch.Members = &org.MemberRule{Select: some("moved"), Role: "custom", Seat: txt("chat seat")}
			case "cowork":
				ch.Settings = &org.Settings{Cowork: rapid.SampledFrom([]*bool{yes(), no()}).Draw(t, "switch")}
			case "toggle":
				ch.Toggles = map[string]bool{"memory": rapid.Bool().Draw(t, "memory on")}
			case "plan":
				ch.Plan = txt(pick("new plan", "team", "enterprise"))
			case "members":
				ch.Members = &org.MemberRule{Select: some("moved"), Role: pick("new role", "user", "custom", "owner")}
			case "group":
				in, out := some("added"), some("removed")
				ch.Group = &org.GroupChange{Name: anyGroup(), Add: &in}
				if rapid.Bool().Draw(t, "swap") {
					ch.Group.Add, ch.Group.Remove = nil, &out
				}
			case "attach":
				ch.Group = &org.GroupChange{Name: anyGroup(), Attach: []source.Text{anyRole()}, Detach: []source.Text{anyRole()}}
			case "role":
				ch.Role = &org.RoleChange{Name: anyRole(), Add: row(), Remove: row()}
				if ch.Role.Add[0].Capability.Value == ch.Role.Remove[0].Capability.Value {
					ch.Role.Remove = nil
				}
			case "delete":
				if rapid.Bool().Draw(t, "a group") {
					ch.Group = &org.GroupChange{Name: anyGroup(), Delete: true}
				} else {
					ch.Role = &org.RoleChange{Name: anyRole(), Delete: true}
				}
			}
			c.Changes = append(c.Changes, ch)
		}
		removed := map[string]bool{} // what is deleted cannot be edited afterwards
		c.Changes = slices.DeleteFunc(c.Changes, func(ch org.Change) bool {
			if g := ch.Group; g != nil {
				was := removed["group "+g.Name.Value]
				removed["group "+g.Name.Value] = was || g.Delete
				return was
			}
			if x := ch.Role; x != nil {
				was := removed["role "+x.Name.Value]
				removed["role "+x.Name.Value] = was || x.Delete
				return was
			}
			return false
		})
		d := org.NewDirectory(c, members)
		e := New(d, r)
		moments := []time.Time{start, start.Add(time.Duration(rapid.IntRange(0, 24*32).Draw(t, "hour")) * time.Hour)}
		for _, ch := range c.Changes {
			moments = append(moments, ch.When.Add(-time.Second), ch.When)
		}
		for _, at := range moments {
			for m := range members {
				for _, cap := range append(names, "never_named") {
					want := plain(d, r, m, cap, at)
					if got := e.Capability(m, cap, at); got.Outcome != want || len(got.Reasons) == 0 {
						t.Fatalf("member %d %s at %s: %v, procedure says %v (%+v)", m, cap, at, got.Outcome, want, got.Reasons)
					}
					if got := e.Allowed(m, cap, at); got != want {
						t.Fatalf("member %d %s at %s: fast path %v, procedure says %v", m, cap, at, got, want)
					}
				}
			}
		}
		// While changes spread, the answer is in flight exactly where somebody whom
		// those of each channel have reached up to some point would be told otherwise.
		for _, ch := range []org.Channel{org.ByMembership, org.ByRole, org.ByOrganisation, org.BySeat, org.ByProvisioning} {
			r.Lags[ch].Longest = time.Duration(rapid.SampledFrom([]int{0, 5, 36, 90}).Draw(t, "lag")) * time.Hour
		}
		if rapid.Bool().Draw(t, "scim") {
			c.Organisation.Directory = "scim"
		}
		e = New(d, r)
		for range 10 {
			m := rapid.IntRange(0, n-1).Draw(t, "member")
			at := start.Add(time.Duration(rapid.IntRange(-24, 24*32).Draw(t, "hour")) * time.Hour)
			for _, cap := range e.Capabilities() {
				slow, fast := e.Capability(m, cap, at), e.Allowed(m, cap, at)
				if slow.Outcome != fast {
					t.Fatalf("member %d %s at %s: fast %v, slow %+v", m, cap, at, fast, slow)
				}
				if cap == Cloud {
					continue
				}
				if want := met(d, r, m, cap, at); fast != want && !(fast == InFlight && deletingMapped(c, r, at)) {
					t.Fatalf("member %d %s at %s: %v, want %v (%+v)", m, cap, at, fast, want, slow)
				}
				if f := slow.Flight; fast == InFlight && (len(f.Changes) == 0 || len(f.Before) == 0 || !f.Until.After(at) ||
					slices.ContainsFunc(f.Before, func(a Answer) bool { return a.Outcome == f.After.Outcome })) {
					t.Fatalf("member %d %s at %s: %+v", m, cap, at, f)
				}
			}
		}
	})
}

// deletingMapped reports that the deletion of a group is on its way while groups may be
// mapped to organisation roles. The deletion then travels twice, out of the
// configuration and out of the members' standing, and the engine looks at each without
// the other, too: it may say in flight where the procedure, which knows one point for
// both, is certain. It errs to the side of not knowing.
func deletingMapped(c *org.Config, r Rules, at time.Time) bool {
	mapped, deleting := c.Organisation.Provisioning != nil, false
	for _, ch := range c.Changes {
		mapped = mapped || ch.Provisioning != nil
		deleting = deleting || ch.Group != nil && ch.Group.Delete && !at.Before(ch.When) && at.Before(ch.When.Add(r.Lags[org.ByMembership].Longest))
	}
	return mapped && deleting
}

// met asks plainSeen for every point that each channel can have reached, and says
// in flight when the answers differ.
func met(d *org.Directory, r Rules, m int, cap string, t time.Time) Outcome {
	made := map[string][]time.Time{}
	for _, ch := range d.Config.Changes {
		made[way(ch)] = append(made[way(ch)], ch.When)
	}
	for _, g := range d.Config.Groups {
		for _, ms := range g.Members {
			made["membership"] = append(made["membership"], ms.From.Time, ms.To.Time)
		}
	}
	points := func(ch org.Channel) []time.Time {
		lag := r.Lags[ch].Longest
		if ch == org.ByProvisioning && d.Config.Organisation.Directory != "scim" {
			lag = 0
		}
		last := time.Time{} // surely arrived
		var out []time.Time
		for _, w := range made[ch.String()] {
			switch {
			case w.IsZero() || w.After(t):
			case !w.Add(lag).After(t):
				if w.After(last) {
					last = w
				}
			default:
				out = append(out, w)
			}
		}
		return append(out, last)
	}
	answers := map[Outcome]bool{}
	for _, mt := range points(org.ByMembership) {
		for _, rt := range points(org.ByRole) {
			for _, ot := range points(org.ByOrganisation) {
				for _, st := range points(org.BySeat) {
					for _, pt := range points(org.ByProvisioning) {
						seen := map[string]time.Time{"membership": mt, "role": rt, "organisation": ot, "seat": st, "provisioning": pt}
						answers[plainSeen(d, r, m, cap, t, func(ch string) time.Time { return seen[ch] })] = true
					}
				}
			}
		}
	}
	// A removal that nobody timed takes its time, too: the account answers as
	// before until it has arrived.
	if left := d.Left(m); d.Config.Organisation.Directory == "scim" && !left.IsZero() && !t.Before(left) && t.Before(left.Add(r.Lags[org.ByProvisioning].Longest)) {
		saved := d.Left(m)
		d.SetLeft(m, time.Time{})
		still := met(d, r, m, cap, t)
		d.SetLeft(m, saved)
		answers = map[Outcome]bool{still: true, Deny: true}
	}
	if len(answers) > 1 {
		return InFlight
	}
	for o := range answers {
		return o
	}
	return Indeterminate
}

// An organisation of the size the issue names: 200 groups, 20 roles, 10,000
// members, each in three groups, a tenth of them moving during the month.
func BenchmarkDecide(b *testing.B) {
	e, at := large()
	ns := make([]time.Time, 64)
	for i := range ns {
		ns[i] = at.Add(time.Duration(i) * 11 * time.Hour)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Allowed(i%10_000, Cowork, ns[i&63])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mdecisions/s")
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		large()
	}
}

func large() (*Engine, time.Time) {
	c := setup("enterprise", "custom", yes())
	all := []string{Chat, Cowork, Cloud, "memory", "web_search", "claude_code", "code_execution", "fast_mode"}
	for i := range 20 {
		c.Roles = append(c.Roles, caps(fmt.Sprint("r", i), all[i%8], all[(i*3+1)%8]))
	}
	for i := range 200 {
		g := org.Group{Name: txt(fmt.Sprint("g", i)), Roles: texts(fmt.Sprint("r", i%20))}
		for j := range 3 {
			g.Members = append(g.Members, org.Membership{Select: org.Selector{Department: fmt.Sprint("d", (i+j*67)%200)}})
		}
		c.Groups = append(c.Groups, g)
	}
	for i := range 20 {
		sel := org.Selector{Department: fmt.Sprint("d", i)}
		c.Changes = append(c.Changes, org.Change{When: day.AddDate(0, 0, i), Group: &org.GroupChange{Name: txt(fmt.Sprint("g", i)), Remove: &sel}})
	}
	members := make([]org.Member, 10_000)
	for i := range members {
		members[i] = org.Member{ID: fmt.Sprint("m", i), OrgRole: "custom", Department: fmt.Sprint("d", i%200)}
	}
	r := current()
	r.Lags = everyLag(15 * time.Minute)
	return New(org.NewDirectory(c, members), r), day
}
