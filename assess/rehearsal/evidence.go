package rehearsal

import (
	"strings"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// readEvidence reads the exports given beside the streams. It runs before
// anything is replayed, so that a mistake in a file costs no waiting, and once
// more when the alerts of the period are known.
func (r *run) readEvidence(alerts int) (*assess.Evidence, error) {
	floor, _ := r.floor()
	silences := -1
	if r.coverage != nil && r.rostered() {
		silences = int(r.coverage.Silences)
	}
	return assess.ReadEvidence(assess.EvidenceFrame{
		AsOf: r.s.AsOf, From: r.s.Period.From, To: source.Date{Time: r.s.Period.To.Time}, Alerts: alerts, Silences: silences, DesktopFloor: floor,
	}, r.o.Evidence...)
}

// useEvidence lays the exports over what was declared and measured. Telemetry is
// reconciled to Analytics where both were given and the roster names the members.
func (r *run) useEvidence(v *values, in *assess.Inputs) error {
	if len(r.o.Evidence) == 0 {
		return nil
	}
	alerts := 0
	for _, f := range r.findings {
		if f.Engine == "alert" {
			alerts++
		}
	}
	ev, err := r.readEvidence(alerts)
	if err != nil {
		return err
	}
	r.evidenceRead = ev
	ev.Apply(in)
	if r.rostered() && r.coverage.Records > 0 {
		heard := map[assess.MemberDay]int64{}
		usage, err := r.analytics()
		if err != nil {
			return err
		}
		for d := range usage.Daily() {
			m := r.dir.Member(d.Member)
			heard[assess.MemberDay{Member: or(strings.ToLower(m.Email), m.ID), Day: d.Date}] += d.Sessions
		}
		if x := ev.Reconcile(heard); x.Known {
			in.Vars["recon_ratio"] = x
		}
	}
	for _, n := range ev.Notes {
		v.assume("%s", n)
	}
	return nil
}
