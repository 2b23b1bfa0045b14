package exports

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// YAML is the draft as a scenario file: a head of comments with every open
// question, then what is known.
func (s *Sketch) YAML() []byte {
	var b bytes.Buffer
	comment := func(format string, args ...any) {
		fmt.Fprintf(&b, "# %s\n", strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
	}
	comment("A draft. What no export says is not filled in: settings left out count as unknown.")
	if len(s.Questions) > 0 {
		fmt.Fprintf(&b, "#\n")
		comment("Open questions (%d):", len(s.Questions))
		for i, q := range s.Questions {
			line := fmt.Sprintf("%d. %s: %s", i+1, q.Key, q.Text)
			if q.Why != "" {
				line += " (" + q.Why + ")"
			}
			if q.Guess != "" {
				line += " Meanwhile: " + q.Guess + "."
			}
			comment("%s", line)
		}
	}
	if len(s.Notes) > 0 {
		fmt.Fprintf(&b, "#\n")
		comment("Notes:")
		for _, n := range s.Notes {
			comment("- %s", n)
		}
	}
	b.WriteByte('\n')
	day, err := source.ParseDate(s.AsOf)
	if err != nil {
		day = source.Day(2026, 4, 9)
	}
	type period struct {
		From source.Date `yaml:"from"`
		To   source.Date `yaml:"to"`
	}
	// Scalars of the head one by one: YAML puts blank lines between mappings.
	b.Write(org.YAML("name", s.Name, "title", s.Title, "as_of", day))
	b.Write(org.YAML("period", period{day.Add(1), day.Add(42)}, "seed", uint64(1)))
	b.WriteByte('\n')
	b.Write(s.Config.YAML())
	if s.endpoint != "" && !strings.EqualFold(s.endpoint, "none") || s.content != "" || s.retention > 0 {
		type telemetry struct {
			Endpoint  string `yaml:"endpoint"`
			Retention int    `yaml:"retention_days"`
		}
		tel := telemetry{Retention: s.retention}
		if !strings.EqualFold(s.endpoint, "none") {
			tel.Endpoint = s.endpoint
		}
		text := org.YAML("telemetry", tel)
		if len(text) == 0 {
			text = []byte("telemetry: {}\n")
		}
		if s.content != "" {
			line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "}")
			if !strings.HasSuffix(line, "{") {
				line += ", "
			}
			text = []byte(line + "content: " + s.content + "}\n")
		}
		b.WriteByte('\n')
		b.Write(text)
	}
	if s.adoption != "" {
		fmt.Fprintf(&b, "\nadoption: {measured: %s}\n", s.adoption)
	}
	if s.data != "" {
		fmt.Fprintf(&b, "\nworkloads:\n  - {name: first-use, data: %s, reliance: none}\n", s.data)
	}
	return b.Bytes()
}
