package org

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// YAML writes parts of a configuration the way a scenario file spells them, so
// that Load reads the same values back. Pairs are key, value: a struct, slice or
// scalar of this package. What is empty is left out.
func YAML(pairs ...any) []byte {
	var out bytes.Buffer
	for i := 0; i+1 < len(pairs); i += 2 {
		n := node(reflect.ValueOf(pairs[i+1]))
		if n == nil {
			continue
		}
		root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(pairs[i].(string)), n}}
		data, err := yaml.Marshal(root)
		if err != nil {
			continue // a node of scalars, lists and mappings cannot fail
		}
		if i > 0 && n.Kind != yaml.ScalarNode {
			out.WriteByte('\n')
		}
		out.Write(data)
	}
	return out.Bytes()
}

func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.Contains(s, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

func plain(s, tag string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s}
}

// node is the value as it is spelt in a file, nil when there is nothing to say.
func node(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case source.Text:
		if x.Value == "" {
			return nil
		}
		return text(x.Value)
	case source.Date:
		if !x.Given() {
			return nil
		}
		return plain(x.String(), "!!timestamp")
	case source.Money:
		if !x.Given {
			return nil
		}
		whole, frac := x.Micros/1e6, x.Micros%1e6
		s := strconv.FormatInt(whole, 10)
		if frac > 0 {
			s += strings.TrimRight("."+strconv.FormatInt(1e6+frac, 10)[1:], "0")
		}
		return plain(s, "!!float")
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if v.Elem().Kind() == reflect.Bool { // off is something stated
			return plain(strconv.FormatBool(v.Elem().Bool()), "!!bool")
		}
		if v.Elem().Kind() == reflect.Int {
			return plain(strconv.FormatInt(v.Elem().Int(), 10), "!!int")
		}
		return node(v.Elem())
	case reflect.String:
		if v.String() == "" {
			return nil
		}
		return text(v.String())
	case reflect.Bool:
		if !v.Bool() {
			return nil
		}
		return plain("true", "!!bool")
	case reflect.Int, reflect.Int64:
		if v.Int() == 0 {
			return nil
		}
		return plain(strconv.FormatInt(v.Int(), 10), "!!int")
	case reflect.Uint64:
		return plain(strconv.FormatUint(v.Uint(), 10), "!!int")
	case reflect.Float64:
		if v.Float() == 0 {
			return nil
		}
		return plain(strconv.FormatFloat(v.Float(), 'f', -1, 64), "!!float")
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, k := range sortedStrings(v) {
			val := v.MapIndex(reflect.ValueOf(k))
			item := node(val)
			if val.Kind() == reflect.Bool {
				item = plain(strconv.FormatBool(val.Bool()), "!!bool")
			}
			if item != nil {
				n.Content = append(n.Content, text(k), item)
			}
		}
		return n
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.SequenceNode}
		scalars := true
		for i := range v.Len() {
			if item := node(v.Index(i)); item != nil {
				scalars = scalars && item.Kind == yaml.ScalarNode
				n.Content = append(n.Content, item)
			}
		}
		if scalars {
			n.Style = yaml.FlowStyle
		}
		return n
	case reflect.Struct:
		return structNode(v)
	}
	return nil
}

func sortedStrings(m reflect.Value) []string {
	var out []string
	for _, k := range m.MapKeys() {
		out = append(out, k.String())
	}
	for i := range out {
		for j := i; j > 0 && out[j] < out[j-1]; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func structNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	flow := true
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" || name == "" {
			continue
		}
		item := node(v.Field(i))
		if item == nil && strings.Contains(opts, "required") && v.Field(i).Kind() == reflect.Int {
			item = plain("0", "!!int")
		}
		if item == nil {
			continue
		}
		flow = flow && item.Kind == yaml.ScalarNode && item.Style != yaml.LiteralStyle
		n.Content = append(n.Content, text(name), item)
	}
	if len(n.Content) == 0 {
		return nil
	}
	if flow || selector(v.Type()) {
		n.Style = yaml.FlowStyle
	}
	return n
}

// selector reports types whose rows read best on one line though they hold lists.
func selector(t reflect.Type) bool {
	return t == reflect.TypeFor[Selector]() || t == reflect.TypeFor[Membership]() || t == reflect.TypeFor[MemberRule]()
}

// YAML is the whole configuration.
func (c *Config) YAML() []byte {
	return YAML("organisation", c.Organisation, "members", c.Members, "groups", c.Groups, "roles", c.Roles, "connectors", c.Connectors,
		"plugins", c.Plugins, "skills", c.Skills, "spend", c.Spend, "personal", c.Personal, "local_servers", c.Local,
		"changes", c.Changes, "roster", c.Roster)
}
