// Command oscal validates the OSCAL documents of a bundle against the official
// 1.1.3 schemas, and shows that the schemas bite by feeding them known mistakes.
// It is a module of its own, so that nobody who uses the tool downloads it.
//
//	cd .ci/oscal && go run . SCHEMAS BUNDLE...
//
// SCHEMAS is a directory with oscal_{assessment-results,catalog,component,
// assessment-plan}_schema.json. A bundle without OSCAL documents gets them made
// from its assessment.json. Exit 1 when a document is refused or a mistake is not.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/oscal"
)

var schemas = map[string]string{
	oscal.ResultsName: "oscal_assessment-results_schema.json", oscal.CatalogName: "oscal_catalog_schema.json",
	oscal.ComponentName: "oscal_component_schema.json", oscal.PlanName: "oscal_assessment-plan_schema.json",
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: go run . SCHEMAS BUNDLE...")
		os.Exit(2)
	}
	if _, err := os.Stat(filepath.Join(os.Args[1], schemas[oscal.ResultsName])); err != nil {
		fmt.Println("skipped: the official OSCAL schemas are not here, so nothing was validated against them")
		return
	}
	compiled := map[string]*jsonschema.Schema{}
	for name, file := range schemas {
		s, err := jsonschema.NewCompiler().Compile(filepath.Join(os.Args[1], file))
		if err != nil {
			fail("%s: %v", file, err)
		}
		compiled[name] = s
	}
	bad := false
	var results []byte
	for _, dir := range os.Args[2:] {
		files, err := documents(dir)
		if err != nil {
			fail("%s: %v", dir, err)
		}
		for _, f := range files {
			if err := validate(compiled[f.Name], f.Data); err != nil {
				bad = true
				fmt.Printf("REFUSED  %s of %s\n%v\n", f.Name, dir, err)
			} else {
				fmt.Printf("valid    %s of %s\n", f.Name, dir)
			}
			if f.Name == oscal.ResultsName {
				results = f.Data
			}
		}
	}
	for _, t := range traps {
		broken := strings.Replace(string(results), t.find(string(results)), t.put, 1)
		if broken == string(results) {
			bad = true
			fmt.Printf("BROKEN   trap %q changes nothing\n", t.name)
		} else if validate(compiled[oscal.ResultsName], []byte(broken)) == nil {
			bad = true
			fmt.Printf("ACCEPTED trap %q\n", t.name)
		} else {
			fmt.Printf("refused  trap %q\n", t.name)
		}
	}
	if bad {
		os.Exit(1)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

// documents of a bundle, as written or made from its assessment.
func documents(dir string) ([]oscal.File, error) {
	var out []oscal.File
	for _, n := range []string{oscal.ResultsName, oscal.CatalogName, oscal.ComponentName, oscal.PlanName} {
		data, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			out = nil
			break
		}
		out = append(out, oscal.File{Name: n, Data: data})
	}
	if out != nil {
		return out, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "assessment.json"))
	if err != nil {
		return nil, err
	}
	var a assess.Assessment
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, err
	}
	return oscal.Documents(&a, data, "ci")
}

func validate(s *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// traps are mistakes that tools make and schemas refuse.
var traps = []struct {
	name string
	find func(string) string
	put  string
}{
	{"a control id with brackets", value(`"target-id": "`, `"`), `"target-id": "164.312(b)"`},
	{"a state OSCAL does not have", value(`"state": "not-satisfied`, `"`), `"state": "partial"`},
	{"a reason of two words", value(`"reason": "`, `"`), `"reason": "gap platform"`},
	{"a time without an offset", value(`"collected": "`, `"`), `"collected": "2026-04-09T00:00:00"`},
	{"a UUID of version 1", value(`"uuid": "`, `"`), `"uuid": "6ba7b811-9dad-11d1-80b4-00c04fd430c8"`},
	{"an empty list", value(`"methods": [`, `]`), `"methods": []`},
	{"a verdict as a key of its own", value(`"target": {`, `{`), `"verdict": "PLAT", "target": {`},
	{"an empty property", value(`"value": "`, `"`), `"value": ""`},
	{"a property over two lines", value(`"value": "`, `"`), `"value": "a\nb"`},
	{"a null", value(`"description": "`, `"`), `"description": null`},
}

// value finds the first piece from a start to the next end after it.
func value(start, end string) func(string) string {
	return func(s string) string {
		i := strings.Index(s, start)
		if i < 0 {
			return "\x00"
		}
		if strings.HasSuffix(start, end) && end != `"` {
			return start
		}
		j := strings.Index(s[i+len(start):], end)
		return s[i : i+len(start)+j+len(end)]
	}
}
