package assess

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func (r *intakeRun) csv(p string, f *evidenceFile, data []byte) source.Problems {
	var ps source.Problems
	c := csv.NewReader(bytes.NewReader(data))
	c.FieldsPerRecord = -1
	head, err := c.Read()
	if err != nil {
		ps.Add(source.Pos{File: p, Line: 1, Col: 1}, knownKinds, "not readable as CSV: %v", err)
		return ps
	}
	col := map[string]int{}
	for i, h := range head {
		col[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(h)), " ", "_")] = i
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := col[n]; ok {
				return true
			}
		}
		return false
	}
	var take func(get func(...string) string) bool
	switch {
	case has("encrypted", "disk_encrypted"):
		f.kind, f.item.What, f.item.Class, take = "devices", "Device inventory", "E5", r.device
	case has("plan") && has("email", "employee", "person"):
		f.kind, f.item.What, f.item.Class, take = "personal", "Personal plans found in roster, expenses or egress log", "E5", r.personalPlan
		r.personal.seen = true
	case has("reviewed_at", "reviewed_on"):
		f.kind, f.item.What, f.item.Class, take = "reviews", "Access review records", "E5", func(get func(...string) string) bool { return r.accessReview(f, get) }
	case has("setting") && has("explained", "approved"):
		f.kind, f.item.What, f.item.Class, take = "drift", "Settings drift", "E4", func(get func(...string) string) bool { return r.settingDrift(f, get) }
		r.drift.seen = true
	case has("kind") && has("raised_at", "opened_at"):
		f.kind, f.item.What, f.item.Class, take = "tickets", "Ticket export", "E5", func(get func(...string) string) bool { return r.ticket(f, get) }
	case has("email") && has("status", "active", "left_at", "mfa"):
		f.kind, f.item.What, f.item.Class, take = "identities", "Identity provider roster", "E5", func(get func(...string) string) bool { return r.rosterRow(f, get) }
		r.idp = true
	case has("email") && has("role", "seat_type"):
		f.kind, f.item.What, f.item.Class, take = "members", "Member list", "E1", func(get func(...string) string) bool { return r.member(get("email"), true) }
	default:
		ps.Add(source.Pos{File: p, Line: 1, Col: 1}, knownKinds, "columns %s are of no known kind", strings.Join(head[:min(len(head), 8)], ", "))
		return ps
	}
	for {
		rec, err := c.Read()
		if err == io.EOF {
			return nil
		}
		f.rows++
		if err != nil {
			f.bad++
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				continue
			}
			return nil
		}
		if !take(func(names ...string) string {
			for _, n := range names {
				if i, ok := col[n]; ok && i < len(rec) {
					return strings.TrimSpace(rec[i])
				}
			}
			return ""
		}) {
			f.bad++
		}
	}
}

func (r *intakeRun) device(get func(...string) string) bool {
	e := strings.ToLower(get("encrypted", "disk_encrypted"))
	if e == "" {
		return false
	}
	r.devices.n++
	if yes(e) {
		r.devices.encrypted++
	}
	if v := get("desktop_version", "version"); v != "" && r.frame.DesktopFloor != "" {
		r.devices.versions++
		if !versionBelow(v, r.frame.DesktopFloor) {
			r.devices.current++
		}
	}
	return true
}

// versionBelow compares dotted versions number by number.
func versionBelow(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < max(len(as), len(bs)); i++ {
		var x, y int
		if i < len(as) {
			fmt.Sscanf(as[i], "%d", &x)
		}
		if i < len(bs) {
			fmt.Sscanf(bs[i], "%d", &y)
		}
		if x != y {
			return x < y
		}
	}
	return false
}

func (r *intakeRun) personalPlan(get func(...string) string) bool {
	who, plan := strings.ToLower(get("email", "employee", "person")), strings.ToLower(get("plan"))
	if who == "" || plan == "" {
		return false
	}
	if strings.Contains(plan, "pro") || strings.Contains(plan, "max") {
		if r.personal.n == nil {
			r.personal.n = map[string]bool{}
		}
		r.personal.n[who] = true
	}
	return true
}

func (r *intakeRun) accessReview(f *evidenceFile, get func(...string) string) bool {
	d := parseDay(get("reviewed_at", "reviewed_on"))
	if !d.Given() || get("signed_by", "reviewer") == "" {
		return false
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	r.review = later(r.review, d)
	return true
}

func (r *intakeRun) settingDrift(f *evidenceFile, get func(...string) string) bool {
	d := parseDay(get("since", "first_seen", "date"))
	if get("setting") == "" || !d.Given() {
		return false
	}
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	if name := get("setting"); yes(strings.ToLower(get("explained", "approved"))) {
		r.drift.explained[name] = true
	} else if d.Add(30).Before(r.frame.AsOf) {
		r.drift.open[name] = true
	}
	return true
}

func (r *intakeRun) ticket(f *evidenceFile, get func(...string) string) bool {
	raised, ok := parseMoment(get("raised_at", "opened_at"))
	if !ok {
		return false
	}
	d := dateOf(raised)
	if d.After(r.frame.AsOf) {
		f.late++
		return true
	}
	f.see(d)
	inPeriod := !d.Before(r.frame.From) && !d.After(r.frame.To)
	closed, done := parseMoment(get("closed_at", "dispositioned_at"))
	switch strings.ToLower(get("kind")) {
	case "alert":
		r.alerts.seen = true
		if inPeriod {
			r.alerts.rows++
			if done && !closed.Before(raised) && closed.Sub(raised) <= 24*time.Hour {
				r.alerts.done++
			}
		}
	case "silence":
		r.silences.seen = true
		if inPeriod {
			r.silences.n++
		}
	case "change":
		r.ticketed = true
		if id := get("activity_id", "activity", "ref"); id != "" && yes(strings.ToLower(get("approved"))) {
			r.tickets[id] = true
		}
	default:
		return false
	}
	return true
}

func (r *intakeRun) rosterRow(f *evidenceFile, get func(...string) string) bool {
	who := strings.ToLower(get("email"))
	if who == "" {
		return false
	}
	active := true
	if s := strings.ToLower(get("status", "active")); s != "" {
		active = s == "active" || yes(s)
	}
	left, gone := parseMoment(get("left_at", "left"))
	if gone {
		d := dateOf(left)
		if d.After(r.frame.AsOf) {
			f.late++
			gone = false
		} else {
			f.see(d)
			removed, ok := parseMoment(get("removed_at", "removed"))
			if !ok || removed.After(r.frame.AsOf.Time.Add(24*time.Hour)) {
				removed = r.frame.AsOf.Time.Add(24 * time.Hour) // not removed yet
			}
			hours := int64(math.Ceil(removed.Sub(left).Hours()))
			r.leavers = append(r.leavers, max(hours, 0))
		}
	}
	if active && !gone {
		for _, t := range []struct {
			name string
			to   *tally
		}{{"mfa", &r.mfa}, {"sso", &r.sso}} {
			if v := strings.ToLower(get(t.name)); v != "" {
				t.to.of++
				if yes(v) {
					t.to.yes++
				}
			}
		}
	}
	return r.member(who, active && !gone)
}
