package scenarios_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// validator is the part of JSON Schema that the scenario schema uses; a keyword
// it does not know fails the test.
type validator struct {
	t    *testing.T
	root map[string]any
}

func scenarioSchema(t *testing.T) validator {
	t.Helper()
	b, err := scenarios.Schema()
	if err != nil {
		t.Fatal(err)
	}
	v := validator{t: t}
	if err := json.Unmarshal(b, &v.root); err != nil {
		t.Fatal(err)
	}
	return v
}

// faults lists what x breaks of schema s, at path.
func (v validator) faults(s map[string]any, x any, path string) (out []string) {
	bad := func(format string, args ...any) { out = append(out, path+": "+fmt.Sprintf(format, args...)) }
	o, isObject := x.(map[string]any)
	text, isText := x.(string)
	for k, arg := range s {
		switch k {
		case "$schema", "title", "description", "definitions", "format", "then", "additionalProperties":
		case "$ref":
			def := v.root["definitions"].(map[string]any)[strings.TrimPrefix(arg.(string), "#/definitions/")]
			out = append(out, v.faults(def.(map[string]any), x, path)...)
		case "type":
			kinds, ok := arg.([]any)
			if !ok {
				kinds = []any{arg}
			}
			if !slices.Contains(kinds, any(kindOf(x))) && !(kindOf(x) == "integer" && slices.Contains(kinds, any("number"))) {
				bad("%v is no %v", x, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), x) {
				bad("%v is none of %v", x, arg)
			}
		case "pattern":
			if isText && !regexp.MustCompile(arg.(string)).MatchString(text) {
				bad("%q does not match %v", x, arg)
			}
		case "minimum":
			if n, ok := x.(float64); ok && n < arg.(float64) {
				bad("%v is below %v", n, arg)
			}
		case "required":
			for _, r := range arg.([]any) {
				if _, has := o[r.(string)]; isObject && !has {
					bad("%v is missing", r)
				}
			}
		case "items":
			if list, ok := x.([]any); ok {
				for i, e := range list {
					out = append(out, v.faults(arg.(map[string]any), e, fmt.Sprintf("%s[%d]", path, i))...)
				}
			}
		case "properties":
			props := arg.(map[string]any)
			for k, e := range o {
				if p, has := props[k]; has {
					out = append(out, v.faults(p.(map[string]any), e, path+"."+k)...)
				} else if more, said := s["additionalProperties"]; said && more == false {
					bad("unknown key %s", k)
				}
			}
		case "allOf":
			for _, a := range arg.([]any) {
				out = append(out, v.faults(a.(map[string]any), x, path)...)
			}
		case "anyOf":
			var first []string
			for i, a := range arg.([]any) {
				f := v.faults(a.(map[string]any), x, path)
				if len(f) == 0 {
					first = nil
					break
				}
				if i == 0 {
					first = f
				}
			}
			out = append(out, first...)
		case "not":
			if len(v.faults(arg.(map[string]any), x, path)) == 0 {
				bad("not as it should not be")
			}
		case "if":
			if len(v.faults(arg.(map[string]any), x, path)) == 0 {
				out = append(out, v.faults(s["then"].(map[string]any), x, path)...)
			}
		default:
			v.t.Fatalf("keyword %s is not known to this test", k)
		}
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		for k, e := range o {
			out = append(out, v.faults(more, e, path+"."+k)...)
		}
	}
	return out
}

func kindOf(x any) string {
	switch n := x.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if n == float64(int64(n)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// plain is a YAML node as an editor hands it to a schema: days are text.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.MappingNode:
		o := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			o[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return o
	case yaml.SequenceNode:
		l := make([]any, len(n.Content))
		for i, c := range n.Content {
			l[i] = plain(c)
		}
		return l
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		if f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64); err == nil {
			return f
		}
	}
	return n.Value
}

func parsed(t *testing.T, data []byte) *yaml.Node {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	return &n
}

func shippedFiles(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, dir := range []string{"library", "cases/worlds"} {
		names, err := fs.Glob(os.DirFS(dir), "*.yaml")
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, n := range names {
			data, err := os.ReadFile(dir + "/" + n)
			if err != nil {
				t.Fatal(err)
			}
			out[dir+"/"+n] = data
		}
	}
	return out
}

func TestShippedScenariosAreOfTheSchema(t *testing.T) {
	v := scenarioSchema(t)
	for name, data := range shippedFiles(t) {
		for _, f := range v.faults(v.root, plain(parsed(t, data)), name) {
			t.Error(f)
		}
	}
	// Every definition says what it is, so that an editor can, too.
	for name, d := range v.root["definitions"].(map[string]any) {
		if d, _ := d.(map[string]any)["description"].(string); len(d) < 20 {
			t.Errorf("%s is not described", name)
		}
	}
}

// The schema refuses what the loader refuses for its shape, and nothing that the
// loader takes: every key and value of a whole scenario, and of one that is laid
// over another, is spoilt in turn.
func TestSchemaAndLoaderAgree(t *testing.T) {
	v := scenarioSchema(t)
	shape := []string{"unknown key", "expected one of", "expected a whole number", "expected a number", "expected a date", "expected true or false", "expected a list", "expected a mapping", "expected text", "expected a single value", "expected an amount"}
	tried, refused := 0, 0
	for _, name := range []string{"library/rollout-after.yaml", "library/three-groups.yaml"} {
		doc := parsed(t, shippedFiles(t)[name])
		check := func(what string) {
			tried++
			text, err := yaml.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			base := func(n string) (*source.File, error) {
				b, err := os.ReadFile("library/" + n + ".yaml")
				if err != nil {
					return nil, err
				}
				return source.Parse(n, b)
			}
			_, lerr := scenarios.Parse("x.yaml", text, true, base)
			faults := v.faults(v.root, plain(parsed(t, text)), name)
			ps, _ := source.AsProblems(lerr)
			i := slices.IndexFunc(ps, func(p source.Problem) bool {
				return strings.HasSuffix(p.Found, " is missing") || slices.ContainsFunc(shape, func(s string) bool { return strings.Contains(p.Found, s) })
			})
			switch {
			case len(faults) > 0 && lerr == nil:
				t.Errorf("%s, %s: the schema refuses what the loader takes: %s", name, what, faults[0])
			case len(faults) == 0 && i >= 0:
				t.Errorf("%s, %s: the schema takes what the loader refuses: %s", name, what, ps[i].Found)
			case len(faults) > 0:
				refused++
			}
		}
		var spoil func(n *yaml.Node, path string)
		spoil = func(n *yaml.Node, path string) {
			switch n.Kind {
			case yaml.MappingNode:
				whole := n.Content
				n.Content = append(slices.Clone(whole), &yaml.Node{Kind: yaml.ScalarNode, Value: "zzz"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "q"})
				check("a key more in " + path)
				for i := 0; i+1 < len(whole); i += 2 {
					n.Content = append(slices.Clone(whole[:i]), whole[i+2:]...)
					check(path + " without " + whole[i].Value)
				}
				n.Content = whole
				for i := 0; i+1 < len(whole); i += 2 {
					spoil(whole[i+1], path+"."+whole[i].Value)
				}
			case yaml.SequenceNode:
				if len(n.Content) > 0 {
					spoil(n.Content[0], path+"[0]")
				}
			}
			old := *n
			for _, bad := range []yaml.Node{{Kind: yaml.ScalarNode, Value: "zzz"}, {Kind: yaml.ScalarNode, Value: "-1.5"}, {Kind: yaml.SequenceNode}, {Kind: yaml.MappingNode}} {
				*n = bad
				check(fmt.Sprintf("%s is %s%v", path, bad.Value, bad.Kind))
			}
			*n = old
		}
		spoil(doc.Content[0], "")
	}
	if tried < 1000 || refused < tried/3 {
		t.Errorf("only %d tried, %d refused", tried, refused)
	}
	t.Logf("%d spoilt, %d refused by both", tried, refused)
}
