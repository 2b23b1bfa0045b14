package source

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Difference is one setting that two files have otherwise. Key is dotted; A and B
// are YAML on one line, and empty where a file does not state the key.
type Difference struct {
	Key string `json:"key"`
	A   string `json:"a"`
	B   string `json:"b"`
}

// Differ lists what two files state otherwise, sorted by key. Mappings are
// followed down; lists and single values are compared as a whole, as Override
// replaces them.
func Differ(a, b *File) []Difference {
	var out []Difference
	differ("", a.root, b.root, &out)
	slices.SortFunc(out, func(x, y Difference) int { return strings.Compare(x.Key, y.Key) })
	return out
}

func differ(key string, a, b *yaml.Node, out *[]Difference) {
	if a != nil && b != nil && a.Kind == yaml.MappingNode && b.Kind == yaml.MappingNode && settable(a) && settable(b) {
		in := map[string]*yaml.Node{}
		for i := 0; i+1 < len(b.Content); i += 2 {
			in[b.Content[i].Value] = b.Content[i+1]
		}
		for i := 0; i+1 < len(a.Content); i += 2 {
			k := a.Content[i].Value
			differ(join(key, k), a.Content[i+1], in[k], out)
			delete(in, k)
		}
		for i := 0; i+1 < len(b.Content); i += 2 { // in order, so that no map is ranged over
			if v := in[b.Content[i].Value]; v != nil {
				differ(join(key, b.Content[i].Value), nil, v, out)
			}
		}
		return
	}
	if x, y := flow(a), flow(b); x != y {
		*out = append(*out, Difference{key, x, y})
	}
}

// settable reports that every key of a mapping can stand in a dotted key.
func settable(n *yaml.Node) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.ContainsAny(n.Content[i].Value, ". \t\"'#:{}[],&*!|>%@`") {
			return false
		}
	}
	return true
}

// flow writes a node on one line.
func flow(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	switch n.Kind {
	case yaml.MappingNode:
		var parts []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, flow(n.Content[i])+": "+flow(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		var parts []string
		for _, c := range n.Content {
			parts = append(parts, flow(c))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	v := n.Value
	plain := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 && v != "" && strings.TrimSpace(v) == v && !strings.ContainsAny(v, "\n\r\t\"'#:{}[],&*!|>%@`\\?") && !strings.HasPrefix(v, "-")
	if plain {
		return v
	}
	return strconv.Quote(v)
}
