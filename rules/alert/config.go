package alert

import (
	"errors"
	"regexp"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// declared is a Config as people write it.
type declared struct {
	Allowlist    *[]source.Text         `yaml:"allowlist"`
	Roots        []string               `yaml:"roots"`
	SessionSpend source.Money           `yaml:"session_spend"`
	Leavers      map[string]source.Text `yaml:"leavers"`
	DesktopFloor string                 `yaml:"desktop_floor"`
	Content      *[]string              `yaml:"content,enum=userPrompts|assistantResponses|toolDetails|toolContent|rawApiBodies"`
	ReadOnly     *[]source.Text         `yaml:"read_only"`
	Plugins      *[]source.Text         `yaml:"plugins"`
	Domains      *[]source.Text         `yaml:"domains"`
	Workloads    *map[string][]string   `yaml:"workloads"`
	Forbidden    *map[string][]string   `yaml:"forbidden"`
	RemoteOff    bool                   `yaml:"remote_off"`
	Zones        map[string]source.Text `yaml:"zones"`
	Propagation  source.Text            `yaml:"propagation"`
}

// ParseConfig reads what an organisation declares, for rules run outside a
// scenario. What the file leaves out stays not declared. Leavers map a member to
// a moment (RFC 3339), zones to a time zone name.
func ParseConfig(name string, data []byte) (Config, error) {
	f, err := source.Parse(name, data)
	if err != nil {
		return Config{}, err
	}
	var d declared
	var ps source.Problems
	if err := f.Decode(&d); err != nil && !errors.As(err, &ps) {
		return Config{}, err
	}
	cfg := Config{Roots: d.Roots, SpendSessionMicros: d.SessionSpend.Micros, DesktopFloor: d.DesktopFloor, RemoteOff: d.RemoteOff,
		Allowlist: named(d.Allowlist), ReadOnly: named(d.ReadOnly), Plugins: named(d.Plugins), Domains: named(d.Domains)}
	if d.Content != nil {
		cfg.Content = append([]string{}, *d.Content...)
	}
	if d.Workloads != nil {
		cfg.Workloads = *d.Workloads
	}
	if d.Forbidden != nil {
		cfg.Forbidden = *d.Forbidden
	}
	if d.Propagation.Value != "" {
		cfg.Propagation = duration(d.Propagation, &ps)
	}
	if d.Domains != nil {
		for _, t := range *d.Domains {
			if !mailDomain.MatchString(t.Value) { // it would be nobody's, and every recipient outside
				ps.Add(t.At, "write firm.example, which holds for eu.firm.example as well", "domains: %q is not a mail domain", t)
			}
		}
	}
	for _, m := range sortedKeys(d.Leavers) {
		t, err := time.Parse(time.RFC3339, d.Leavers[m].Value)
		if err != nil {
			ps.Add(d.Leavers[m].At, "write 2026-04-30T17:00:00Z", "leavers.%s: %q is not a moment", m, d.Leavers[m])
			continue
		}
		if cfg.Leavers == nil {
			cfg.Leavers = map[string]time.Time{}
		}
		cfg.Leavers[m] = t.UTC()
	}
	for _, m := range sortedKeys(d.Zones) {
		z, err := time.LoadLocation(d.Zones[m].Value)
		if err != nil {
			ps.Add(d.Zones[m].At, "write Europe/Berlin", "zones.%s: %q is not a time zone", m, d.Zones[m])
			continue
		}
		if cfg.Zones == nil {
			cfg.Zones = map[string]*time.Location{}
		}
		cfg.Zones[m] = z
	}
	return cfg, f.Explain(ps).Err()
}

var mailDomain = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)+$`)

func named(ts *[]source.Text) []string {
	if ts == nil {
		return nil
	}
	out := []string{}
	for _, t := range *ts {
		out = append(out, t.Value)
	}
	return out
}
