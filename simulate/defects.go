package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// The defects a scenario can name under telemetry.defects: faults of real
// exports, each of which sandtable doctor recognises. They change what arrives,
// never what is lived. Their numbers stand in the behaviour profile.
const (
	SilentExporter        = "silent-exporter"           // some members send nothing, with correct settings
	EgressDrop            = "egress-drop"               // for some days nothing passes the perimeter
	OldDesktop            = "old-desktop"               // some members run the first release that exports
	SettingsAtStart       = "settings-at-session-start" // a new setting works only after a restart of the application
	TailLoss              = "tail-loss"                 // the last batch of a process is lost at exit
	MissingDecisionSource = "missing-decision-source"   // most results do not name their approval
	CloudIdentityLoss     = "cloud-identity-loss"       // cloud sessions that name nobody
	DuplicateBatches      = "duplicate-batches"         // batches sent again after an unclear answer
	ClockSkew             = "clock-skew"                // some machines' clocks are off
	ContentOff            = "content-off"               // metadata only, whatever the scenario says
	SequenceGaps          = "sequence-gaps"             // single records are lost
	LateBatches           = "late-batches"              // batches arrive minutes late and out of order
)

// Defects lists the names in a fixed order.
func Defects() []string {
	return []string{SilentExporter, EgressDrop, OldDesktop, SettingsAtStart, TailLoss, MissingDecisionSource,
		CloudIdentityLoss, DuplicateBatches, ClockSkew, ContentOff, SequenceGaps, LateBatches}
}

const (
	silentExporter = iota
	egressDrop
	oldDesktopDefect
	settingsAtStart
	tailLoss
	missingDecisionSource
	cloudIdentityLoss
	duplicateBatches
	clockSkew
	contentOff
	sequenceGaps
	lateBatches
	defectCount
)

// defects is which are on, and what holds for all members.
type defects struct {
	on            [defectCount]bool
	transmission  bool  // some batch may not arrive as it was sent
	dropFrom      int64 // egress-drop, ns
	dropTo        int64
	switched      int64 // settings-at-session-start: when the setting changed
	contentSwitch bool  // it was about content; else about the export as a whole
}

// breakDown reads the scenario's defects.
func (w *world) breakDown() error {
	d := &w.defects
	names := Defects()
	for _, name := range w.o.Scenario.Telemetry.Defects {
		i := slices.Index(names, name)
		if i < 0 {
			return fmt.Errorf("telemetry.defects: %q is not a defect (%v)", name, names)
		}
		d.on[i] = true
	}
	d.transmission = d.on[egressDrop] || d.on[tailLoss] || d.on[duplicateBatches] || d.on[sequenceGaps] || d.on[lateBatches]
	r := org.Stream(w.seed, "defects", "all")
	span := w.end.Sub(w.begin)
	if d.on[egressDrop] {
		// A whole number of days, from a working day on, inside the period.
		days := min(max(int(w.p.N.EgressDays.Value), 1), max(w.days/3, 1))
		from := w.begin.AddDate(0, 0, between(r, w.days/3, max(w.days/3, w.days*2/3-days)))
		for from.Weekday() == time.Saturday || from.Weekday() == time.Sunday {
			from = from.AddDate(0, 0, -1)
		}
		d.dropFrom, d.dropTo = from.UnixNano(), from.AddDate(0, 0, days).UnixNano()
	}
	if d.on[settingsAtStart] {
		d.switched = w.begin.Add((span / 4).Truncate(time.Hour)).UnixNano()
		d.contentSwitch = w.capture != capture{}
	}
	return nil
}

// faults draws what is wrong with one member's installation.
func (w *world) faults(s *staff) {
	n, d := &w.p.N, &w.defects
	u := org.Stream(w.seed, "defects", s.ID)
	s.silent = u.Float64() < n.SilentShare.Value && d.on[silentExporter]
	s.old = u.Float64() < n.OldShare.Value && d.on[oldDesktopDefect]
	if off, by := u.Float64() < n.SkewShare.Value, loguniform(u, 6, n.SkewMost.Value); d.on[clockSkew] && off {
		s.skew = int64(by*60) * int64(time.Second)
		if u.Float64() < 0.5 {
			s.skew = -s.skew
		}
	}
	if days := lognormal(u, n.RestartMedian.Value, n.RestartSigma.Value); d.on[settingsAtStart] {
		s.restart = d.switched + int64(days*24)*int64(time.Hour)
	}
}

// stream is a random stream of one session.
func (w *world) stream(name string, sp spec) *rand.Rand {
	return org.Stream(w.seed, name, sp.staff.ID, sp.day, strconv.Itoa(sp.n))
}

// captureOf is what the installation lets out at an instant.
func (w *world) captureOf(s *staff, at int64) capture {
	if w.defects.contentSwitch && at < s.restart {
		return capture{}
	}
	return w.capture
}

// withheld reports that the installation does not even try to send.
func (p *player) withheld(pr *process, at int64) bool {
	d := &p.w.defects
	return pr.s.silent || d.on[settingsAtStart] && !d.contentSwitch && at < pr.s.restart
}

// transmit brings one batch of a process to the collector, or not. last says
// that the process ends with it.
func (p *player) transmit(pr *process, out []event.Event, at int64, last bool) error {
	d, n := &p.w.defects, &p.w.p.N
	if !d.transmission {
		return p.deliver(out)
	}
	r := pr.faults
	lost := d.on[egressDrop] && at >= d.dropFrom && at < d.dropTo
	lost = d.on[tailLoss] && last && r.Float64() < n.TailLost.Value || lost
	if lost {
		for i := range out {
			p.drop(&out[i])
		}
		return nil
	}
	if d.on[sequenceGaps] {
		kept := make([]event.Event, 0, len(out))
		for i := range out {
			if r.Float64() < n.RecordLost.Value {
				p.drop(&out[i])
				continue
			}
			kept = append(kept, out[i])
		}
		if out = kept; len(out) == 0 {
			return nil
		}
	}
	if d.on[lateBatches] && r.Float64() < n.BatchLate.Value {
		p.later(pr, out, at+int64(loguniform(r, 20, 900)*1000)*1e6)
		return nil
	}
	if d.on[duplicateBatches] && r.Float64() < n.BatchTwice.Value {
		p.later(pr, out, at+int64(loguniform(r, 1, 60)*1000)*1e6)
		p.out.Duplicates += len(out)
	}
	return p.deliver(out)
}

func (p *player) drop(e *event.Event) {
	p.out.Lost++
	p.dropped[eventID{e.Session, e.Sequence, e.Time}] = true
}

// eventID names an event as labels do.
type eventID struct {
	session    string
	seq, stamp int64
}

func (p *player) later(pr *process, out []event.Event, at int64) {
	p.lates++
	p.push(task{at: at, flush: true, p: pr, late: &late{slices.Clone(out), p.lates}})
}

// deliver hands a batch over. The slice is the caller's afterwards.
func (p *player) deliver(out []event.Event) error {
	for i := range out {
		out[i].Index = p.index
		p.index++
		p.counts[out[i].Kind]++
	}
	p.out.Total += len(out)
	return p.emit(out)
}

// arrived takes from a label the events that did not arrive.
func (p *player) arrived(l *TruthLabel) {
	if len(p.dropped) == 0 {
		return
	}
	before := len(l.Events)
	l.Events = slices.DeleteFunc(l.Events, func(e LabelledEvent) bool {
		return p.dropped[eventID{e.Session, e.Sequence, e.Time.UnixNano()}]
	})
	switch {
	case len(l.Events) == 0 && before > 0:
		l.Observable = "none"
	case len(l.Events) < before && l.Observable == "full":
		l.Observable = "partial"
	}
}
