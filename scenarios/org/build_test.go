package org

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func config() *Config {
	return &Config{
		Organisation: Organisation{
			Name: "Larkmoor Mutual & Söhne", Seats: 400,
			Desktops: map[string]float64{"1.1.5368": 0.7, "1.1.4173": 0.3},
			Departments: []Department{
				{Name: "Claims", Members: 150, Persona: "claims", TimeZone: "America/New_York"},
				{Name: "IT", Members: 50},
			},
		},
		Members: []MemberRule{
			{Select: Selector{All: true}, Role: "custom"},
			{Select: Selector{Department: "IT", First: 1}, Role: "owner"},
		},
		Groups: []Group{
			{Members: []Membership{
				{Select: Selector{Department: "Claims", First: 15}, From: source.Day(2026, 4, 13), To: source.Day(2026, 5, 11)},
				{Select: Selector{Department: "Claims"}, From: source.Day(2026, 6, 1)},
			}},
			{Members: []Membership{{Select: Selector{All: true}}}},
		},
	}
}

func build(t *testing.T, c *Config, seed uint64) *Directory {
	t.Helper()
	d, err := Build(c, seed)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBuild(t *testing.T) {
	d := build(t, config(), 7)
	if d.Len() != 400 {
		t.Fatalf("%d members", d.Len())
	}
	uuid4 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	mail := regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+@larkmoor-mutual-s-hne\.example$`)
	seen := map[string]bool{}
	versions := map[string]int{}
	for i, m := range d.Members() {
		for _, key := range []string{m.ID, m.Account, m.Email} {
			if seen[key] {
				t.Errorf("%q twice", key)
			}
			seen[key] = true
			if got, ok := d.Lookup(key); !ok || got.Index != i {
				t.Errorf("Lookup(%q) = %v, %v", key, got, ok)
			}
		}
		if m.Index != i || !uuid4.MatchString(m.Account) || !mail.MatchString(m.Email) || m.Name == "" || m.Persona == "" {
			t.Errorf("%+v", m)
		}
		if _, err := time.LoadLocation(m.TimeZone); err != nil {
			t.Error(err)
		}
		versions[m.Desktop]++
	}
	if n := versions["1.1.5368"]; n < 240 || n > 320 || n+versions["1.1.4173"] != 400 {
		t.Errorf("desktops: %v", versions)
	}
	claims, it, rest := d.Member(3), d.Member(150), d.Member(399)
	if claims.Manager != 0 || d.Member(0).Manager != -1 || claims.Persona != "claims" || claims.OrgRole != "custom" {
		t.Errorf("%+v", claims)
	}
	if it.Department != "IT" || it.OrgRole != "owner" || it.Persona != "general" || it.TimeZone != "UTC" {
		t.Errorf("%+v", it)
	}
	if rest.Department != General || rest.Manager != 200 {
		t.Errorf("%+v", rest)
	}
	if _, ok := d.Lookup(""); ok {
		t.Error("an empty key finds somebody")
	}
}

func TestSeatsLeftJoinGeneral(t *testing.T) {
	c := &Config{Organisation: Organisation{Name: "x", Seats: 5, Departments: []Department{{Name: General, Members: 2, TimeZone: "Asia/Tokyo"}, {Name: "IT", Members: 1}}}}
	d := build(t, c, 1)
	last := d.Member(4)
	if last.Department != General || last.Manager != 0 || last.TimeZone != "Asia/Tokyo" || last.Account == d.Member(0).Account {
		t.Errorf("%+v", last)
	}
	if last.OrgRole != "user" {
		t.Errorf("role %q without rules, want user", last.OrgRole)
	}
}

// What a member is may depend on nobody else.
func TestOneMoreMovesNobody(t *testing.T) {
	before := build(t, config(), 7)
	c := config()
	c.Organisation.Seats += 11
	c.Organisation.Departments[0].Members++
	c.Organisation.Departments = append([]Department{{Name: "Legal", Members: 10}}, c.Organisation.Departments...)
	after := build(t, c, 7)
	moved := 0
	for _, m := range before.Members() {
		n, ok := after.Lookup(m.Account)
		if !ok {
			t.Fatalf("%s is gone", m.Email)
		}
		if n.ID != m.ID || n.Name != m.Name || n.Department != m.Department || n.Desktop != m.Desktop {
			t.Errorf("%+v became %+v", m, n)
		}
		if n.Email != m.Email {
			moved++
		}
	}
	if moved > 2 { // only a repeated name may be numbered anew
		t.Errorf("%d addresses changed", moved)
	}
	other := build(t, config(), 8)
	if other.Member(0).Account == before.Member(0).Account {
		t.Error("another seed, the same account")
	}
}

// The word lists are part of our output: this fails when an update of the
// library would change every shipped figure.
func TestNamesArePinned(t *testing.T) {
	d := build(t, config(), 7)
	var got []string
	for _, m := range d.Members()[:3] {
		got = append(got, m.Name+" "+m.Account)
	}
	const want = `Chauncey Stokes e34ac403-4a7a-455b-92f9-9d8073c21d64
Lyla Renner 0502e4b0-5da1-4cf4-8f28-9c29fca2fc5f
Jacynthe Bailey e6a7db7a-dd9e-4b37-8f04-f4e1c5c34486`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got:\n%s\nwant:\n%s", s, want)
	}
}

func TestTurnover(t *testing.T) {
	with := func(joiners, leavers int) *Directory {
		c := config()
		c.Organisation.Turnover = &Turnover{From: source.Day(2026, 4, 13), To: source.Day(2026, 5, 24), Joiners: joiners, Leavers: leavers, LagHours: 48}
		return build(t, c, 7)
	}
	d := with(20, 10)
	joined, left := 0, 0
	for _, m := range d.Members() {
		zone, _ := time.LoadLocation(m.TimeZone)
		for _, at := range []time.Time{m.Joined, m.Left} {
			if !at.IsZero() && (at.Before(time.Date(2026, 4, 13, 0, 0, 0, 0, zone)) || at.After(time.Date(2026, 5, 25, 0, 0, 0, 0, zone)) || at.In(zone).Weekday()%6 == 0) {
				t.Errorf("%s", at)
			}
		}
		if !m.Joined.IsZero() {
			joined++
			if m.Joined.In(zone).Hour() != 9 || !m.Left.IsZero() || m.Manager < 0 {
				t.Errorf("%+v", m)
			}
		}
		if !m.Left.IsZero() {
			left++
			if lag := m.Removed.Sub(m.Left); m.Left.In(zone).Hour() != 17 || lag < 0 || lag > 48*time.Hour {
				t.Errorf("%+v", m)
			}
		}
	}
	if joined != 20 || left != 10 {
		t.Errorf("%d joined, %d left", joined, left)
	}
	more := with(21, 11)
	for i, m := range d.Members() { // one more of each moves nobody's date
		n := more.Member(i)
		if !m.Joined.IsZero() && !n.Joined.Equal(m.Joined) || !m.Left.IsZero() && !n.Left.Equal(m.Left) {
			t.Errorf("%+v became %+v", m, n)
		}
	}
	c := config()
	c.Organisation.Turnover = &Turnover{From: source.Day(2026, 4, 18), To: source.Day(2026, 4, 19), Joiners: 1}
	if _, err := Build(c, 1); err == nil || !strings.Contains(err.Error(), "holds no weekday") {
		t.Errorf("%v", err)
	}
}

func TestSelect(t *testing.T) {
	d := build(t, config(), 7)
	for _, tc := range []struct {
		name        string
		sel         Selector
		n, from, to int
	}{
		{"nothing", Selector{}, 0, 0, 0},
		{"all", Selector{All: true}, 400, 0, 399},
		{"first of all", Selector{First: 3}, 3, 0, 2},
		{"first of all, said twice", Selector{All: true, First: 3}, 3, 0, 2},
		{"department", Selector{Department: "IT"}, 50, 150, 199},
		{"first of department", Selector{Department: "IT", First: 2}, 2, 150, 151},
		{"more than there are", Selector{Department: "IT", First: 99}, 50, 150, 199},
		{"unknown department", Selector{Department: "HR", First: 2}, 0, 0, 0},
		{"id", Selector{Ids: []string{d.ID(9), "nobody"}}, 1, 9, 9},
		{"id and department", Selector{Department: "IT", First: 1, Ids: []string{d.Member(9).Email}}, 2, 9, 150},
	} {
		got := d.Select(tc.sel)
		if len(got) != tc.n || tc.n > 0 && (got[0] != tc.from || got[len(got)-1] != tc.to) {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestGroups(t *testing.T) {
	d := build(t, config(), 7)
	at := func(m time.Month, day, hour, min int) time.Time {
		return time.Date(2026, m, day, hour, min, 0, 0, time.UTC)
	}
	for _, tc := range []struct {
		member int
		t      time.Time
		want   bool
	}{
		{0, at(4, 12, 23, 59), false},
		{0, at(4, 13, 0, 0), true},
		{0, at(5, 10, 23, 59), true},
		{0, at(5, 11, 0, 0), false},
		{0, at(6, 1, 0, 0), true},
		{15, at(4, 13, 0, 0), false},
		{15, at(6, 1, 0, 0), true},
		{150, at(6, 1, 0, 0), false},
	} {
		if got := d.InGroup(0, tc.member, tc.t); got != tc.want {
			t.Errorf("member %d at %s: %v", tc.member, tc.t, got)
		}
	}
	if got := d.GroupsOf(0, at(4, 13, 0, 0)); len(got) != 2 || got[0] != 0 || got[1] != 1 {
		t.Errorf("groups %v", got)
	}
	d.SetLeft(0, at(4, 20, 0, 0))
	if d.InGroup(1, 0, at(4, 20, 0, 0)) || !d.InGroup(1, 0, at(4, 19, 0, 0)) {
		t.Error("who has left is in no group")
	}
	if d.InGroup(2, 0, at(4, 13, 0, 0)) || d.InGroup(0, -1, at(4, 13, 0, 0)) {
		t.Error("a group or member that does not exist")
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, tc := range []struct {
		want string
		edit func(*Organisation)
	}{
		{"departments hold 200 members, the organisation has 10 seats", func(o *Organisation) { o.Seats = 10 }},
		{`two departments are called "IT"`, func(o *Organisation) { o.Departments[0].Name = "IT" }},
		{`"Mars" is not a time zone`, func(o *Organisation) { o.Departments[0].TimeZone = "Mars" }},
		{"has -1 members", func(o *Organisation) { o.Departments[0].Members = -1 }},
	} {
		c := config()
		tc.edit(&c.Organisation)
		if _, err := Build(c, 1); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestStream(t *testing.T) {
	a, b := Stream(1, "ab", "c").Uint64(), Stream(1, "a", "bc").Uint64()
	if a == b {
		t.Error("names run into each other")
	}
	if a != Stream(1, "ab", "c").Uint64() || a == Stream(2, "ab", "c").Uint64() {
		t.Error("a stream is not its seed and names")
	}
}

func BenchmarkBuild(b *testing.B) {
	c := config()
	c.Organisation.Seats = 10_000
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Build(c, 7); err != nil {
			b.Fatal(err)
		}
	}
}
