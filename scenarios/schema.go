package scenarios

import (
	"embed"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// The types a scenario is decoded into, for the comments on them.
//
//go:embed scenario.go org/org.go org/change.go org/channel.go org/mapping.go platform/platform.go
var declarations embed.FS

// Schema is the JSON Schema of a scenario file, made from the types that Load
// decodes into, so that an editor completes and checks what a loader would read.
// What holds between keys (a name that must exist, a plan that has no groups) is
// left to `sandtable scenarios check`.
func Schema() ([]byte, error) {
	files := map[string][]byte{}
	for _, n := range []string{"scenario.go", "org/org.go", "org/change.go", "org/channel.go", "org/mapping.go", "platform/platform.go"} {
		data, err := declarations.ReadFile(n)
		if err != nil {
			return nil, err
		}
		files[n] = data
	}
	return source.Schema(Scenario{}, "Sandtable scenario", "extends", files)
}
