package rehearsal

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// File is one input as used, for the bundle.
type File struct {
	Name string // path below inputs/, with slashes
	Data []byte
}

// loadRules reads the packs a scenario names: a shipped pack by name, else a
// file by its path from the scenario. No packs named means no rules.
func loadRules(s *scenarios.Scenario) ([]*alert.Rule, []File, error) {
	var rs []*alert.Rule
	var files []File
	seen := map[string]string{}
	for _, name := range s.Rules.Packs {
		file, data, err := packData(s, name)
		if err != nil {
			return nil, nil, err
		}
		more, err := alert.Parse(file, data)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range more {
			if was, ok := seen[r.ID.Value]; ok {
				return nil, nil, fmt.Errorf("%s: rule %q stands in %s already; rename one", r.ID.At, r.ID.Value, was)
			}
			seen[r.ID.Value] = file
		}
		rs = append(rs, more...)
		files = append(files, File{"rules/" + filepath.Base(file), data})
	}
	return rs, files, nil
}

func packData(s *scenarios.Scenario, name string) (string, []byte, error) {
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
		return "", nil, fmt.Errorf("%s: rules.packs: %q is not a shipped pack (%s), nor the path of a file", s.File.Name, name, strings.Join(have, ", "))
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.File.Name), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("%s: rules.packs: %w", s.File.Name, err)
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
	for i := range r.dir.Members {
		m := &r.dir.Members[i]
		if m.Left.IsZero() {
			continue
		}
		for _, key := range []string{m.Account, m.Email} {
			if key != "" {
				c.Leavers[key] = m.Left
			}
		}
	}
	c.DesktopFloor, _ = r.floor()
	return c
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
