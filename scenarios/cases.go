package scenarios

import (
	"embed"
	"io/fs"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed cases
var caseFiles embed.FS

// CaseFiles are the shipped learning cases, labs, topics and glossary: *.yaml,
// read by assess/cases. Below worlds/ are the small scenarios they play in.
func CaseFiles() fs.FS {
	sub, err := fs.Sub(caseFiles, "cases")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return sub
}

// LoadWorld reads a shipped scenario made for learning cases by name, else what
// Load reads. Worlds are small on purpose and not listed with the scenarios.
func LoadWorld(name string, overrides ...string) (*Scenario, error) {
	file := "cases/worlds/" + name + ".yaml"
	data, err := caseFiles.ReadFile(file)
	if err != nil {
		return Load(name, overrides...)
	}
	f, err := source.Parse(file, data)
	if err != nil {
		return nil, err
	}
	return load(f, true, worldOrShipped, overrides)
}

// worldOrShipped finds a base among the worlds, else where any scenario finds it.
func worldOrShipped(from *source.File, name string) (*source.File, error) {
	file := "cases/worlds/" + name + ".yaml"
	if data, err := caseFiles.ReadFile(file); err == nil {
		return source.Parse(file, data)
	}
	return anywhere(from, name)
}
