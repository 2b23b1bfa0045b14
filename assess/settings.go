package assess

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// settingRule says what one setting of a snapshot is to the assessor: the value
// of a variable, or the presence of a data arrangement.
type settingRule struct {
	Name        string            `yaml:"name,required"`
	Variable    string            `yaml:"variable"`
	Values      map[string]string `yaml:"values"` // the setting's value: ours
	Arrangement string            `yaml:"arrangement,enum=zdr|cmek|hipaa_ready|hipaa_configuration"`
}

// snapshot is the enforced settings of the organisation at one moment.
type snapshot struct {
	at       time.Time
	values   map[string]string // by name, as canonical JSON; a setting that is left out is not administered here, which is not off
	approved source.Date       // of a baseline: since when somebody stands behind it
	by       string
}

func (s *snapshot) day() source.Date { return dateOf(s.at) }

// settingsFile reads an answer of the settings endpoint, several of them in one
// file or one after another. ok is false where the file is something else.
func (r *intakeRun) settingsFile(p string, f *evidenceFile, data []byte) (ps source.Problems, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var roots []map[string]any
	for {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			return nil, false // told by whoever reads it next
		}
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, x := range list {
			m, isMap := x.(map[string]any)
			if !isMap {
				return nil, false
			}
			roots = append(roots, m)
		}
	}
	if len(roots) == 0 || !isSettings(roots[0]) {
		return nil, false
	}
	f.item.What, f.item.Class = "Settings in force, as the admin plane reports them", "E4"
	f.kind = "settings"
	advice := "keep the answer of the endpoint whole and add the key retrieved_at with the moment it was read, as 2026-08-20T06:00:00Z; the answer itself carries none"
	for _, m := range roots {
		f.rows++
		if text(m["type"]) == "compliance_settings" {
			d := dayOf(m, "retrieved_at")
			state, _ := m["state"].(map[string]any)
			switch {
			case !d.Given():
				ps.Add(source.Pos{File: p}, advice, "a settings answer does not say when it was read")
			case d.After(r.frame.AsOf):
				f.late++
			case text(state["type"]) == "enabled":
				f.see(d)
				r.feed.read = earlier(r.feed.read, d)
			default:
				f.see(d)
			}
			continue
		}
		rows, isList := m["settings"].([]any)
		at, dated := parseMoment(text(m["retrieved_at"]))
		switch {
		case !isList:
			f.bad++
			continue
		case !dated:
			ps.Add(source.Pos{File: p}, advice, "a settings snapshot does not say when it was read")
			continue
		}
		s := snapshot{at: at, values: map[string]string{}}
		if b, has := m["baseline"].(map[string]any); has {
			s.by, s.approved = text(b["approved_by"]), dayOf(b, "approved_on")
			if s.by == "" || !s.approved.Given() {
				ps.Add(source.Pos{File: p}, "a baseline is one because somebody approved it: {approved_by: ..., approved_on: 2026-05-01}", "a baseline without approved_by and approved_on")
				continue
			}
		}
		for _, x := range rows {
			row, _ := x.(map[string]any)
			name := text(row["name"])
			if name == "" {
				name = map[string]string{"provisioning_mode": "sso_provisioning_mode", "data_retention": "data_retention_periods"}[text(row["type"])]
			}
			v, err := json.Marshal(row["value"])
			if name == "" || err != nil {
				f.bad++
				continue
			}
			s.values[name] = string(v)
		}
		if s.day().After(r.frame.AsOf) {
			f.late++
			continue
		}
		f.see(s.day())
		r.snapshots = append(r.snapshots, s)
	}
	return ps, true
}

func isSettings(m map[string]any) bool {
	_, list := m["settings"].([]any)
	return list || text(m["type"]) == "effective_organization_settings" || text(m["type"]) == "compliance_settings"
}

// settled turns the snapshots into figures. A snapshot speaks for its moment, so
// only one taken since the assessed period began says how things are set.
func (r *intakeRun) settled(set func(string, Value, string, ...any), note func(string, ...any)) {
	if len(r.snapshots) == 0 {
		return
	}
	sort.SliceStable(r.snapshots, func(i, j int) bool { return r.snapshots[i].at.Before(r.snapshots[j].at) })
	last := &r.snapshots[len(r.snapshots)-1]
	if last.day().Before(r.frame.From) {
		note("The latest settings snapshot is of %s, before the assessed period, so it says nothing of it.", last.day())
	} else {
		r.setFrom(last, set)
	}
	r.drifted(last, set, note)
}

func (r *intakeRun) setFrom(s *snapshot, set func(string, Value, string, ...any)) {
	m, err := Default()
	if err != nil {
		return // the caller has loaded it already
	}
	for _, rule := range r.Settings {
		raw, has := s.values[rule.Name]
		if !has {
			continue
		}
		origin := fmt.Sprintf("settings snapshot of %s: %s is %s", s.day(), rule.Name, strings.Trim(raw, `"`))
		switch {
		case rule.Arrangement != "":
			if raw == "true" || raw == "false" {
				r.ev.arrangements = append(r.ev.arrangements, arrangementSeen{rule.Arrangement, raw == "true", origin})
			}
		case rule.Name == "data_retention_periods":
			if days, ok := retention(raw, r.frame.AsOf); ok {
				set(rule.Variable, Int(days), "settings snapshot of %s: one period of %d days over all kinds of data", s.day(), days)
			}
		default:
			ours, known := rule.Values[strings.Trim(raw, `"`)]
			if !known {
				continue
			}
			if v, err := parseValue(m.vars[m.varIndex[rule.Variable]].Type, ours); err == nil && v.Known {
				set(rule.Variable, v, "%s", origin)
			}
		}
	}
}

// retention is the one finite period over all kinds of data in days, counted by
// the calendar back from day. Periods by kind of data are left alone: which kind
// a transcript belongs to is not documented.
func retention(raw string, day source.Date) (int64, bool) {
	var v map[string]struct {
		Type, Timescale string
		Duration        int64
	}
	if json.Unmarshal([]byte(raw), &v) != nil {
		return 0, false
	}
	all, ok := v["all"]
	if !ok || all.Type == "indefinite" || all.Duration <= 0 || all.Duration > 36500 {
		return 0, false
	}
	switch all.Timescale {
	case "day":
		return all.Duration, true
	case "month":
		if all.Duration <= 1200 {
			return int64(day.Time.Sub(day.Time.AddDate(0, -int(all.Duration), 0)).Hours() / 24), true
		}
	}
	return 0, false
}

// drifted holds the snapshots against the approved baseline: whether they were
// taken at least monthly, and which settings differ from it for more than 30
// days with nobody explaining it.
func (r *intakeRun) drifted(last *snapshot, set func(string, Value, string, ...any), note func(string, ...any)) {
	var base *snapshot
	for i := range r.snapshots {
		if s := &r.snapshots[i]; s.by != "" && !s.approved.After(r.frame.AsOf) && (base == nil || s.approved.After(base.approved)) {
			base = s
		}
	}
	if base == nil {
		note("No settings snapshot is marked as the approved baseline, so nothing follows about drift; add baseline: {approved_by, approved_on} to the one that is.")
		return
	}
	end := earlier(r.frame.To, r.frame.AsOf)
	from := later(r.frame.From, base.approved)
	gap, at := int64(0), from
	for i := range r.snapshots {
		if d := earlier(r.snapshots[i].day(), end); d.After(at) { // what comes later leaves no gap in the period
			gap, at = max(gap, days(at, d)), d
		}
	}
	gap = max(gap, days(at, end))
	if late := days(r.frame.From, base.approved); late > monthly {
		note("The settings baseline was approved on %s, more than a month into the assessed period, so the comparison does not cover it.", base.approved)
	} else if gap > monthly {
		note("Settings snapshots leave %d days without one in the assessed period; a comparison at least monthly is what counts.", gap)
	} else {
		set("settings_baseline_on", Bool(true), "%s between %s and %s, against the baseline of %s", countOf(len(r.snapshots), "settings snapshot", "settings snapshots"), r.snapshots[0].day(), last.day(), base.approved)
	}
	if days(last.day(), end) > monthly {
		note("The latest settings snapshot is of %s, too old to say what differs from the baseline.", last.day())
		return
	}
	names := make([]string, 0, len(base.values))
	for n := range base.values {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		if v, has := last.values[n]; !has || v == base.values[n] || r.drift.explained[n] {
			continue
		}
		since := last.day()
		for _, s := range slices.Backward(r.snapshots) {
			if v, has := s.values[n]; s.at.Before(base.at) || !has || v == base.values[n] {
				break
			}
			since = s.day()
		}
		if since.Add(30).Before(r.frame.AsOf) {
			r.drift.open[n] = true
		}
	}
	r.drift.seen = true
}

// monthly is the longest month.
const monthly = 31

// days counts in seconds, since a duration ends after 292 years.
func days(a, b source.Date) int64 { return (b.Time.Unix() - a.Time.Unix()) / (24 * 60 * 60) }

type arrangementSeen struct {
	name   string
	on     bool
	origin string
}

// arranged lays what snapshots say of data arrangements over what was declared.
func (e *Evidence) arranged(in *Inputs) {
	v := in.Vars["arrangements"]
	for _, a := range e.arrangements {
		has := slices.Contains(v.Set, a.name)
		switch {
		case a.on && !has:
			v = Set(append(slices.Clone(v.Set), a.name)...).From("declared, and " + a.origin)
		case !a.on && has:
			gone := []string{a.name}
			if a.name == "hipaa_ready" {
				gone = append(gone, "hipaa_configuration") // exists on a HIPAA-ready plan only
			}
			v = Set(slices.DeleteFunc(slices.Clone(v.Set), func(s string) bool { return slices.Contains(gone, s) })...).From("declared otherwise, but " + a.origin)
		}
	}
	if v.Known {
		in.Vars["arrangements"] = v
	}
}
