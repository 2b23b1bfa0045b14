// Command oscal validates the OSCAL documents of a bundle against the official
// 1.1.3 schemas, and shows that the schemas bite by feeding them known mistakes.
// It is a module of its own, so that nobody who uses the tool downloads it.
//
//	cd .ci/oscal && go run . SCHEMAS BUNDLE...
//
// SCHEMAS is a directory with oscal_{assessment-results,catalog,component,
// assessment-plan}_schema.json. Exit 1 when a document is refused or missing, or a
// mistake is not refused.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const resultsName = "oscal-assessment-results.json"

// documents of a bundle and the schema of each.
var documents = [][2]string{
	{resultsName, "oscal_assessment-results_schema.json"}, {"oscal-catalog.json", "oscal_catalog_schema.json"},
	{"oscal-component-definition.json", "oscal_component_schema.json"}, {"oscal-assessment-plan.json", "oscal_assessment-plan_schema.json"},
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: go run . SCHEMAS BUNDLE...")
		os.Exit(2)
	}
	if _, err := os.Stat(filepath.Join(os.Args[1], documents[0][1])); err != nil {
		fmt.Println("skipped: the official OSCAL schemas are not here, so nothing was validated against them")
		return
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, d := range documents {
		s, err := jsonschema.NewCompiler().Compile(filepath.Join(os.Args[1], d[1]))
		if err != nil {
			fail("%s: %v", d[1], err)
		}
		compiled[d[0]] = s
	}
	bad := false
	var results []byte
	for _, dir := range os.Args[2:] {
		for _, d := range documents {
			data, err := os.ReadFile(filepath.Join(dir, d[0]))
			if err != nil {
				fail("%v", err)
			}
			if err := validate(compiled[d[0]], data); err != nil {
				bad = true
				fmt.Printf("REFUSED  %s of %s\n%v\n", d[0], dir, err)
			} else {
				fmt.Printf("valid    %s of %s\n", d[0], dir)
			}
			if d[0] == resultsName {
				results = data
			}
		}
	}
	for _, t := range traps {
		broken := strings.Replace(string(results), t.find(string(results)), t.put, 1)
		if broken == string(results) {
			bad = true
			fmt.Printf("BROKEN   trap %q changes nothing\n", t.name)
		} else if validate(compiled[resultsName], []byte(broken)) == nil {
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
