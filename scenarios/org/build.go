package org

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"time"
	_ "time/tzdata" // time zones must not depend on the machine
)

// General is the department of the seats that no department of the
// configuration holds.
const General = "General"

// Stream is the random stream of a name under a seed. Every random draw comes
// from a stream named after what it is for, so that one more member, session or
// story moves nobody else's draws.
func Stream(seed uint64, names ...string) *rand.Rand {
	return rand.New(rand.NewPCG(Seeds(seed, names...)))
}

// Seeds are those of the PCG that Stream draws from, for whoever makes many.
func Seeds(seed uint64, names ...string) (uint64, uint64) {
	var room [192]byte
	b := binary.BigEndian.AppendUint64(room[:0], seed)
	for _, n := range names {
		// The length keeps ("ab","c") and ("a","bc") apart.
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(n))), n...)
	}
	s := sha256.Sum256(b)
	return binary.BigEndian.Uint64(s[:]), binary.BigEndian.Uint64(s[8:])
}

// Build fills the organisation with synthetic members: those of the departments
// in their order, then the seats that are left, in department General. The same
// configuration and seed give the same members. A member depends on the seed,
// the department's name and the place in it, so that adding a member or a
// department leaves everybody else as they were; only the number behind a
// repeated name in an e-mail address can move.
//
// Names and addresses are invented; addresses are in the reserved domain
// example. The first member of a department manages it.
//
// A configuration with a roster gets exactly the members of the roster. What a
// roster leaves out of a member stays empty, but for the account: without one no
// stream could be played, so it gets an invented one.
func Build(cfg *Config, seed uint64) (*Directory, error) {
	if cfg.Roster.Value != "" {
		return fromRoster(cfg, seed)
	}
	o := &cfg.Organisation
	type part struct {
		Department
		first int // place of the first member in the department
	}
	var parts []part
	total := 0
	rest := part{Department: Department{Name: General, Persona: "general"}}
	seen := map[string]bool{}
	for _, d := range o.Departments {
		if seen[d.Name] {
			return nil, fmt.Errorf("org: two departments are called %q", d.Name)
		}
		seen[d.Name] = true
		if d.Members < 0 {
			return nil, fmt.Errorf("org: department %q has %d members", d.Name, d.Members)
		}
		if _, err := time.LoadLocation(d.TimeZone); err != nil {
			return nil, fmt.Errorf("org: department %q: %q is not a time zone", d.Name, d.TimeZone)
		}
		total += d.Members
		parts = append(parts, part{Department: d})
		if d.Name == General {
			rest.Department, rest.first = d, d.Members
		}
	}
	if total > o.Seats {
		return nil, fmt.Errorf("org: departments hold %d members, the organisation has %d seats", total, o.Seats)
	}
	if rest.Members = o.Seats - total; rest.Members > 0 {
		if rest.TimeZone == "" && len(o.Departments) > 0 {
			rest.TimeZone = o.Departments[0].TimeZone
		}
		parts = append(parts, rest)
	}

	d := &Directory{Config: cfg}
	desktops := shares(o.Desktops)
	bosses := map[string]int{} // the first member of each department
	var drawn []drawing
	n := 0
	for _, p := range parts {
		if p.Members == 0 {
			continue
		}
		boss, known := bosses[p.Name]
		if !known {
			boss, bosses[p.Name] = n, n
		}
		x := drawing{department: p.Name, place: p.first, from: n, boss: boss}
		k := kind{department: p.Name, persona: first(p.Persona, "general"), zone: first(p.TimeZone, "UTC"), role: "user"}
		for i := range max(len(desktops), 1) {
			if len(desktops) > 0 {
				k.desktop = desktops[i].name
			}
			for managed := range x.kinds {
				if k.manager = -1; managed == 1 {
					k.manager = int32(boss)
				}
				x.kinds[managed] = append(x.kinds[managed], d.people.kind(k))
			}
		}
		drawn = append(drawn, x)
		n += p.Members
	}
	d.people.draw(drawn, n, desktops, slug(o.Name)+".example", seed)
	if err := d.turnover(cfg.Organisation.Turnover, seed); err != nil {
		return nil, err
	}
	d.index()
	d.assign(nil)
	return d, d.faults.Err()
}

// turnover draws who comes and goes, and when. Members are ranked by a draw of
// their own, so that one more joiner changes nobody else's date.
func (d *Directory) turnover(t *Turnover, seed uint64) error {
	if t == nil {
		return nil
	}
	type rank struct {
		member int
		key    uint64
	}
	var ranks []rank
	for i := range d.Len() {
		if d.kind(i).manager >= 0 {
			ranks = append(ranks, rank{i, Stream(seed, "turnover", d.ID(i)).Uint64()})
		}
	}
	if t.Joiners+t.Leavers > len(ranks) {
		return fmt.Errorf("org: turnover of %d joiners and %d leavers, but only %d members are no managers", t.Joiners, t.Leavers, len(ranks))
	}
	sort.Slice(ranks, func(a, b int) bool { return ranks[a].key < ranks[b].key })
	var days []time.Time
	for day := t.From.Time; !day.After(t.To.Time); day = day.AddDate(0, 0, 1) {
		if day.Weekday() != time.Saturday && day.Weekday() != time.Sunday {
			days = append(days, day)
		}
	}
	if len(days) == 0 && t.Joiners+t.Leavers > 0 {
		return fmt.Errorf("org: turnover from %s to %s holds no weekday", t.From, t.To)
	}
	at := func(m int, r *rand.Rand, hour int) time.Time {
		zone, err := time.LoadLocation(d.kind(m).zone)
		if err != nil {
			zone = time.UTC // the zones were checked above
		}
		day := days[r.IntN(len(days))]
		return time.Date(day.Year(), day.Month(), day.Day(), hour, 0, 0, 0, zone).UTC()
	}
	// Joiners from the front and leavers from the back.
	for i := range t.Joiners {
		m := ranks[i].member
		joined := at(m, Stream(seed, "joiner", d.ID(m)), 9)
		d.people.date(m, func(x *tenure) { x.joined = joined })
	}
	for i := range t.Leavers {
		m := ranks[len(ranks)-1-i].member
		r := Stream(seed, "leaver date", d.ID(m))
		left := at(m, r, 17)
		removed := left
		if t.LagHours > 0 {
			removed = left.Add(time.Duration(r.IntN(t.LagHours*60+1)) * time.Minute)
		}
		d.people.date(m, func(x *tenure) { x.left, x.removed = left, removed })
	}
	return nil
}

// assign gives members the organisation roles and seats of the configuration.
// fixed, if not nil, says whose role the roster stated.
func (d *Directory) assign(fixed []bool) {
	for _, r := range d.Config.Members {
		var to [2]map[uint32]uint32 // what becomes of a kind, by whether the role is fixed
		for _, i := range d.Select(r.Select) {
			p, which := &d.people.each[i], 0
			if fixed != nil && fixed[i] {
				which = 1
			}
			at, known := to[which][p.kind]
			if !known {
				k := d.people.kinds[p.kind]
				if which == 0 {
					k.role = r.Role
				}
				k.seat = first(k.seat, r.Seat.Value)
				at = d.people.kind(k)
				if to[which] == nil {
					to[which] = map[uint32]uint32{}
				}
				to[which][p.kind] = at
			}
			p.kind = at
		}
	}
}

// NewDirectory indexes members that were built or imported: by account, e-mail
// and id, and by group. Index of each member is the place in the list. Groups
// select once, here; changing Config later does not move anybody.
func NewDirectory(cfg *Config, members []Member) *Directory {
	d := &Directory{Config: cfg}
	d.people.dates(tenure{})
	var b []byte
	for i := range members {
		b = d.people.add(b, &members[i])
	}
	d.people.block(b, true)
	d.index()
	return d
}

// index finds members by their keys and groups.
func (d *Directory) index() {
	cfg := d.Config
	d.keys = newKeys(&d.people)
	d.memberships = make([][]spell, len(cfg.Groups))
	for g := range cfg.Groups {
		for _, ms := range cfg.Groups[g].Members {
			s := spell{from: ms.From.Time, to: ms.To.Time, in: make([]bool, d.Len())}
			for _, i := range d.Select(ms.Select) {
				s.in[i] = true
			}
			d.memberships[g] = append(d.memberships[g], s)
		}
	}
	d.applyChanges()
}

// spell is a dated part of a group with the members it holds.
type spell struct {
	from, to time.Time // zero: open
	in       []bool
}

// Select lists the members a selector picks, in the order of the directory.
// Ids may also be accounts or e-mail addresses; a selector that says nothing
// picks nobody.
func (d *Directory) Select(sel Selector) []int {
	ids := map[int]bool{}
	for _, key := range sel.Ids {
		if i, ok := d.Find(key); ok {
			ids[i] = true
		}
	}
	wide := sel.All || sel.Department == "" && sel.First > 0
	if !wide && sel.Department == "" && len(ids) == 0 {
		return nil
	}
	in := make([]bool, len(d.people.kinds))
	for k := range in {
		in[k] = wide || sel.Department != "" && d.people.kinds[k].department == sel.Department
	}
	var out []int
	if wide && sel.First == 0 {
		out = make([]int, 0, d.Len())
	}
	n := 0
	for i := range d.people.each {
		if in[d.people.each[i].kind] {
			if n++; sel.First == 0 || n <= sel.First {
				out = append(out, i)
				continue
			}
		}
		if ids[i] {
			out = append(out, i)
		}
	}
	return out
}

// InGroup reports that a member belongs to a group, given by its index in the
// configuration, at a time.
func (d *Directory) InGroup(group, member int, t time.Time) bool {
	if group < 0 || group >= len(d.memberships) || member < 0 || member >= d.Len() {
		return false
	}
	if closed := d.tenure(member).closed(); !closed.IsZero() && !t.Before(closed) {
		return false
	}
	return d.inGroup(group, member, t)
}

// GroupsIn lists the indices of the groups a member belongs to as far as changes
// have arrived, in the order of the configuration. That an account was closed is
// not looked at.
func (d *Directory) GroupsIn(member int, v View) []int {
	var out []int
	for g := range d.memberships {
		if d.inGroup(g, member, v[d.Config.groupChannel(g)]) {
			out = append(out, g)
		}
	}
	return out
}

func (d *Directory) inGroup(group, member int, t time.Time) bool {
	for i := len(d.moves[group]) - 1; i >= 0; i-- {
		if mv := &d.moves[group][i]; !t.Before(mv.when) && mv.of.has(member) {
			return mv.in
		}
	}
	if d.listed != nil {
		if since, in := d.listed[group][int32(member)]; in && !t.Before(since) {
			return true
		}
	}
	for _, s := range d.memberships[group] {
		if s.in[member] && !t.Before(s.from) && (s.to.IsZero() || t.Before(s.to)) {
			return true
		}
	}
	return false
}

// GroupsOf lists the indices of the groups a member belongs to at a time, in
// the order of the configuration.
func (d *Directory) GroupsOf(member int, t time.Time) []int {
	var out []int
	for g := range d.memberships {
		if d.InGroup(g, member, t) {
			out = append(out, g)
		}
	}
	return out
}

type share struct {
	name string
	upTo float64
}

// shares turns shares of devices into cumulative ones, in name order.
func shares(m map[string]float64) []share {
	names := make([]string, 0, len(m))
	sum := 0.0
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		sum += m[n]
	}
	var out []share
	at := 0.0
	for _, n := range names {
		if m[n] > 0 {
			at += m[n]
			out = append(out, share{n, at / sum})
		}
	}
	return out
}

func pick(list []share, u float64) string {
	if len(list) == 0 {
		return ""
	}
	return list[placeIn(list, u)].name
}

// placeIn is where pick finds its name; 0 in an empty list.
func placeIn(list []share, u float64) int {
	for i, s := range list {
		if u < s.upTo {
			return i
		}
	}
	return max(len(list)-1, 0)
}

// slug keeps ASCII letters and digits and joins the rest with dashes.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if len(out) > 60 { // a label of a domain name has at most 63 bytes
		out = strings.Trim(out[:60], "-")
	}
	if out == "" {
		return "organisation"
	}
	return out
}

// uuid is a random (version 4) UUID.
func uuid(r *rand.Rand) string { return string(appendUUID(nil, r.Uint64(), r.Uint64())) }

// appendUUID appends the version 4 UUID of two random numbers.
func appendUUID(to []byte, high, low uint64) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], high)
	binary.BigEndian.PutUint64(b[8:], low)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:], b[:4])
	for i, at := range [...]int{9, 14, 19} {
		out[at-1] = '-'
		hex.Encode(out[at:], b[4+2*i:6+2*i])
	}
	out[23] = '-'
	hex.Encode(out[24:], b[10:])
	return append(to, out[:]...)
}

// base58 is n characters of the alphabet the vendor writes its ids in.
func base58(r *rand.Rand, n int) string { return string(appendBase58(nil, r, n)) }

func appendBase58(b []byte, r *rand.Rand, n int) []byte {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	for range n {
		b = append(b, alphabet[r.IntN(len(alphabet))])
	}
	return b
}
