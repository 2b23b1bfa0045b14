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

// worldFile is a small scenario made for learning cases, nil when there is none
// of the name. Worlds load by name like every shipped scenario and are not listed.
func worldFile(name string) (*source.File, error) {
	file := "cases/worlds/" + name + ".yaml"
	data, err := caseFiles.ReadFile(file)
	if err != nil {
		return nil, nil
	}
	return source.Parse(file, data)
}
