package rehearsal

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
)

// File is one input as used, for the bundle.
type File struct {
	Name string // path below inputs/, with slashes
	Data []byte
}

// packed are rules with the files they stand in.
type packed struct {
	rules []*alert.Rule
	files []File
}

// loadRules reads the packs a scenario names: a shipped pack by name, else a
// file by its path from the scenario. No packs named means no rules. With data,
// every pack is taken from its rules folder by base name.
func loadRules(s *scenarios.Scenario, data fs.FS) (p packed, err error) {
	seen := map[string]string{}
	var ps source.Problems
	for i, name := range s.Rules.Packs {
		at := s.Place("rules", "packs", strconv.Itoa(i))
		file, text, err := packData(s, name, data)
		if err != nil {
			ps.Add(at, "packs are shipped ones by name, or your own files by their path from this one", "rules.packs: %v", err)
			continue
		}
		more, err := alert.Parse(file, text)
		if err != nil {
			if faults, ok := source.AsProblems(err); ok { // they know their own lines
				ps = append(ps, faults...)
				continue
			}
			return p, err
		}
		for _, r := range more {
			if was, ok := seen[r.ID.Value]; ok {
				ps.Add(at, "rename one of the two", "rules.packs: rule %q of %s stands in %s already", r.ID.Value, r.ID.At, was)
				continue
			}
			seen[r.ID.Value] = file
		}
		p.rules = append(p.rules, more...)
		p.files = append(p.files, File{"rules/" + filepath.Base(file), text})
	}
	return p, s.Explain(ps)
}

func packData(s *scenarios.Scenario, name string, from fs.FS) (string, []byte, error) {
	if from != nil {
		base := name[strings.LastIndexAny(name, `/\`)+1:]
		if !strings.Contains(base, ".") {
			base += ".yaml"
		}
		data, err := fs.ReadFile(from, "rules/"+base)
		return base, data, err
	}
	packs := alert.Packs()
	if data, err := fs.ReadFile(packs, name+".yaml"); err == nil {
		return name + ".yaml", data, nil
	}
	if !strings.ContainsAny(name, `/\.`) || s.Shipped {
		var have []string
		names, _ := fs.Glob(packs, "*.yaml")
		for _, n := range names {
			have = append(have, strings.TrimSuffix(n, ".yaml"))
		}
		return "", nil, fmt.Errorf("%q is not a shipped pack (%s), nor the path of a file", name, strings.Join(have, ", "))
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.File.Name), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	return path, bytes.Clone(data), nil
}

// alertConfig is what the organisation declares to the rules.
func (r *run) alertConfig() alert.Config {
	c := alert.Config{Roots: r.s.Rules.Folders, Leavers: map[string]time.Time{}, Content: r.s.Telemetry.Content}
	if r.s.Rules.SessionSpend.Given {
		c.SpendSessionMicros = r.s.Rules.SessionSpend.Micros
	}
	if r.s.Connectors != nil || org.On(r.s.Organisation.Settings.ConnectorAllow) {
		c.Allowlist = []string{}
		for _, x := range r.s.Connectors {
			if x.Enabled {
				c.Allowlist = append(c.Allowlist, x.Name.Value)
			}
		}
	}
	for i := range r.dir.Len() {
		if r.dir.Left(i).IsZero() {
			continue
		}
		m := r.dir.Member(i)
		for _, key := range []string{m.Account, m.Email} {
			if key != "" {
				c.Leavers[key] = m.Left
			}
		}
	}
	c.DesktopFloor, _ = r.floor()
	r.inventory(&c)
	return c
}

// inventory is the rest of what rules may know: which connectors only read, which
// plugins are approved, which mail domains are its own, whose work may hold which
// data, where members work, and how long a removal may take. What the scenario does
// not list stays undeclared.
func (r *run) inventory(c *alert.Config) {
	st := &r.s.Organisation.Settings
	if r.s.Connectors != nil {
		c.ReadOnly = []string{}
	}
	for _, x := range r.s.Connectors {
		writes := len(x.Tools) == 0
		for _, t := range x.Tools {
			writes = writes || t.Write || !t.ReadOnly
		}
		if !writes {
			c.ReadOnly = append(c.ReadOnly, x.Name.Value)
		}
	}
	if r.s.Plugins != nil || org.On(st.PluginsBounded) {
		c.Plugins = []string{}
		for _, p := range r.s.Plugins { // names may be held back on the wire, hashes are not
			c.Plugins = append(c.Plugins, p.Name.Value, simulate.PluginHash(r.s.Seed, p.Name.Value))
		}
	}
	if modes := r.s.Organisation.Modes; st.Cloud != nil || len(modes) > 0 {
		c.RemoteOff = st.Cloud != nil && !*st.Cloud || len(modes) > 0 && !slices.Contains(modes, "cloud")
	} else {
		c.RemoteOff = !slices.Contains(r.defaultModes(), "cloud")
	}
	// A removal by the identity provider waits in its queue; one by hand takes what
	// an edit of a role takes.
	e := r.rbac
	c.Propagation = max(e.Lag(org.ByProvisioning, r.from).Longest, e.Lag(org.ByRole, r.from).Longest)
	if !r.rostered() {
		return
	}
	c.Domains = r.dir.Domains()
	c.Zones = map[string]*time.Location{}
	zones := map[string]*time.Location{} // nil for none; to read one takes longer than all else here
	for i := range r.dir.Len() {
		m := r.dir.Member(i)
		z, known := zones[m.TimeZone]
		if !known {
			var err error
			if z, err = time.LoadLocation(m.TimeZone); err != nil || m.TimeZone == "" {
				z = nil
			}
			zones[m.TimeZone] = z
		}
		if z != nil {
			c.Zones[m.Account], c.Zones[m.Email] = z, z
		}
	}
	if st.Browser != nil {
		c.Forbidden = map[string][]string{}
		for i := range r.dir.Len() {
			if m := r.dir.Member(i); !*st.Browser {
				c.Forbidden[m.Account], c.Forbidden[m.Email] = []string{"browser"}, []string{"browser"}
			}
		}
	}
	if len(r.s.Workloads) == 0 {
		return
	}
	class := map[string]string{"phi": "phi", "chd": "pan", "confidential": "confidential"}
	c.Workloads = map[string][]string{}
	for i := range r.dir.Len() {
		holds := []string{}
		for _, w := range r.s.Workloads {
			if len(w.Groups) > 0 && !slices.ContainsFunc(w.Groups, func(g sourceText) bool { return r.everIn(g.Value, i) }) {
				continue
			}
			for _, d := range w.Data {
				if k := class[d]; k != "" && !slices.Contains(holds, k) {
					holds = append(holds, k)
				}
			}
		}
		m := r.dir.Member(i)
		c.Workloads[m.Account], c.Workloads[m.Email] = holds, holds
	}
}

// everIn reports that a member is in a group at some day of the period.
func (r *run) everIn(group string, member int) bool {
	for g := range r.s.Groups {
		if r.s.Groups[g].Name.Value != group {
			continue
		}
		for t := r.from.Add(12 * time.Hour); t.Before(r.to); t = t.AddDate(0, 0, 1) {
			if r.dir.InGroup(g, member, t) {
				return true
			}
		}
	}
	return false
}

// floor is the lowest desktop version whose telemetry can be relied on.
func (r *run) floor() (string, bool) {
	if slices.Contains(r.s.Organisation.Arrangements, "hipaa_configuration") {
		return r.fact("otel-min-desktop-version", "hipaa_configuration_floor")
	}
	return r.fact("otel-min-desktop-version", "desktop_floor")
}

// reachable reports that a rule's content categories are on the wire: as the
// stream shows them, or, where nothing was heard, as the configuration states
// them. What nobody stated counts as off, since this is a question of detection
// (fact otel-prompt-content-default).
func (r *run) reachable(rule *alert.Rule) bool {
	for _, c := range rule.Needs.Categories {
		if !slices.Contains(r.coverage.Content, c) && !r.s.Telemetry.Captures(c) {
			return false
		}
	}
	return true
}
