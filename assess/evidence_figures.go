package assess

import (
	"fmt"
	"slices"
	"strings"
)

// What all files together show, as figures.

// tenThousandths is n/of cut to four decimals, so that no rounding makes a
// ratio reach a threshold it does not.
func tenThousandths(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n*10000/of) / 10000
}

// conclude turns what all files showed together into figures.
func (r *intakeRun) conclude() {
	set := func(name string, v Value, origin string, args ...any) {
		r.ev.Vars[name] = v.From(fmt.Sprintf(origin, args...))
	}
	note := func(format string, args ...any) { r.ev.Notes = append(r.ev.Notes, fmt.Sprintf(format, args...)) }
	if r.feed.read.Given() {
		set("capi_on_since", Text(r.feed.read.String()), "the Activity Feed or the interface itself shows that it was on that day")
	}
	if r.feed.seen {
		n := r.feed.admin
		set("feed_admin_rows", Int(n), "Activity Feed export: %d rows of administration in the period", n)
		covers := unbroken(r.feed.spans, r.frame.From, earlier(r.frame.To, r.frame.AsOf))
		switch {
		case n > 0 && r.ticketed:
			matched := int64(0)
			for id := range r.feed.ids {
				if id != "" && r.tickets[id] {
					matched++
				}
			}
			set("feed_ticket_match_ratio", Number(tenThousandths(matched, n)), "%d of %d administration rows have an approved ticket", matched, n)
		case n == 0 && covers:
			set("feed_ticket_match_ratio", Number(1), "the export covers the period and holds no administration row")
		case n == 0:
			note("The Activity Feed export holds no administration row, and does not show that it covers the period, so nothing follows about tickets.")
		default:
			note("Administration rows cannot be matched to approvals without a ticket export (kind change, with activity_id and approved).")
		}
	}
	if r.sessions.seen {
		switch {
		case len(r.sessions.content) == 0:
			note("The session list is empty.")
		case !r.sessions.contentKnown:
			note("The session list does not say which sessions have content, and a listed session may have none. Export with messages, or with content_available.")
		case r.ev.Sessions == nil:
			note("The session list cannot be reconciled without Analytics by member and day; the interface gives no total.")
		default:
			var got, want int64
			for k, n := range r.ev.Sessions {
				want += n
				got += min(n, r.sessions.byDay[k])
			}
			if want > 0 {
				set("capi_recon_ratio", Number(tenThousandths(got, want)), "%d of %d Cowork sessions of Analytics are listed with content, by member and day", got, want)
			}
		}
	}
	for _, t := range r.tests {
		content, listed := r.sessions.content[t.Session]
		switch {
		case t.Date.After(r.frame.AsOf):
			note("The tenant test of %s lies after %s.", t.Date, r.frame.AsOf)
		case !r.sessions.seen:
			note("A tenant test is stated, but no session list was given in which its session can be found.")
		default:
			set("capi_tenant_test", Bool(listed && (content || !r.sessions.contentKnown)), "marked session of %s %s in the session list", t.Date, map[bool]string{true: "found", false: "not found"}[listed])
		}
	}
	if len(r.leavers) > 0 {
		slices.Sort(r.leavers)
		p95 := r.leavers[(len(r.leavers)*95+99)/100-1]
		set("leaver_lag_p95_h", Int(p95), "95th percentile over %s", countOf(len(r.leavers), "leaver", "leavers"))
	}
	for name, t := range map[string]tally{"mfa_enforced": r.mfa, "sso_enforced": r.sso} {
		if t.of > 0 {
			set(name, Bool(t.yes == t.of), "identity roster: %d of %d active accounts", t.yes, t.of)
		}
	}
	r.idle(set, note)
	if r.devices.n > 0 {
		set("disk_encrypted_ratio", Number(tenThousandths(r.devices.encrypted, r.devices.n)), "device inventory: %d of %d", r.devices.encrypted, r.devices.n)
		if r.devices.versions > 0 {
			set("desktop_floor_ratio", Number(tenThousandths(r.devices.current, r.devices.n)), "device inventory: %d of %d at or above %s", r.devices.current, r.devices.n, r.frame.DesktopFloor)
		}
	}
	if r.personal.seen {
		set("personal_seats", Int(int64(len(r.personal.n))), "personal plans found: %d people", len(r.personal.n))
	}
	if r.review.Given() {
		set("access_review_age_days", Int(int64(r.frame.AsOf.Time.Sub(r.review.Time).Hours()/24)), "last signed access review on %s", r.review)
	}
	r.settled(set, note)
	if r.drift.seen {
		set("drift_open", Int(int64(len(r.drift.open))), "%d unexplained differences older than 30 days", len(r.drift.open))
	}
	if r.alerts.seen {
		of := max(r.alerts.rows, int64(r.frame.Alerts))
		if of > 0 {
			set("review_done_ratio", Number(tenThousandths(r.alerts.done, of)), "%d of %d alerts of the period were disposed of within 24 hours", r.alerts.done, of)
		} else {
			note("No alert was raised in the period, so nothing shows that alerts are looked at.")
		}
	}
	if r.silences.seen && r.frame.Silences >= 0 {
		if r.frame.Silences == 0 {
			set("silence_tickets_ratio", Number(1), "no silence over 24 hours in the period")
		} else {
			n := min(r.silences.n, int64(r.frame.Silences))
			set("silence_tickets_ratio", Number(tenThousandths(n, int64(r.frame.Silences))), "%d tickets for %d silences over 24 hours", n, r.frame.Silences)
		}
	}
	r.supports()
}

// supports names on each item the elements that read a figure it can give, of
// the figures that came out.
func (r *intakeRun) supports() {
	m, err := Default()
	if err != nil {
		return
	}
	names := m.elementNames()
	for i := range r.ev.Items {
		given := slices.DeleteFunc(slices.Clone(r.Figures[r.kinds[i]]), func(n string) bool {
			return !r.ev.Vars[n].Known && (n != "recon_ratio" || r.ev.Sessions == nil) // telemetry is reconciled to Analytics later
		})
		if r.kinds[i] == "settings" && len(r.ev.arrangements) > 0 {
			given = append(given, "arrangements")
		}
		for _, n := range names {
			el := m.elements[n]
			if slices.ContainsFunc(m.closure(el.reads), func(v string) bool { return slices.Contains(given, v) }) {
				r.ev.Items[i].Supports = append(r.ev.Items[i].Supports, n)
			}
		}
		for _, a := range r.ev.Attestations {
			if r.kinds[i] == "statements" {
				r.ev.Items[i].Supports = append(r.ev.Items[i].Supports, "attested-"+strings.ReplaceAll(a.ID, "_", "-"))
			}
		}
	}
}

// idle counts enabled accounts that nobody used for more than 90 days. An
// account that Analytics does not list is idle only where the export reaches
// back 90 days.
func (r *intakeRun) idle(set func(string, Value, string, ...any), note func(string, ...any)) {
	if !r.analytics.seen || len(r.idpSeen) == 0 {
		return
	}
	limit := r.frame.AsOf.Add(-90)
	reaches := r.analytics.first.Given() && !r.analytics.first.After(limit)
	idle, unsure, enabled := int64(0), 0, 0
	for who, a := range r.idpSeen {
		if !a.active {
			continue
		}
		enabled++
		last, listed := r.lastUse[who]
		switch {
		case listed && last.Given() && !last.Before(limit):
		case listed && last.Given() || reaches:
			idle++
		default:
			unsure++
		}
	}
	if unsure > 0 {
		note("%d of %d enabled accounts are not in the Analytics export, which does not reach back 90 days, so idle accounts cannot be counted.", unsure, enabled)
		return
	}
	set("idle_accounts", Int(idle), "%d of %d enabled accounts unused since %s", idle, enabled, limit)
}
