package assess

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Lookup walks a decoded JSON document by keys joined with dots. A member of a
// list goes by its id, name, group or story, or by its place from 0, and count at
// the end of a list is its length. Keys and names may hold dots: the longest that
// fits is taken. ok is false where nothing stands there.
func Lookup(doc any, path string) (any, bool) { return walk(doc, strings.Split(path, ".")) }

func walk(v any, path []string) (any, bool) {
	if len(path) == 0 {
		return v, true
	}
	switch x := v.(type) {
	case nil: // a list that was never filled
		if len(path) == 1 && path[0] == "count" {
			return 0, true
		}
	case map[string]any:
		// Keys may hold dots, so the longest that fits is taken.
		for n := len(path); n > 0; n-- {
			if next, ok := x[strings.Join(path[:n], ".")]; ok {
				return walk(next, path[n:])
			}
		}
	case []any:
		if len(path) == 1 && path[0] == "count" {
			return len(x), true
		}
		for n := len(path); n > 0; n-- {
			id := strings.Join(path[:n], ".")
			for _, m := range x {
				if o, ok := m.(map[string]any); ok && names(o, id) {
					return walk(m, path[n:])
				}
			}
		}
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(x) {
			return walk(x[i], path[1:])
		}
	}
	return nil, false
}

// names reports that a list member goes by a name: its first naming key decides.
func names(o map[string]any, id string) bool {
	for _, k := range [...]string{"id", "ID", "group", "name", "story"} {
		if v, ok := o[k]; ok && v != nil && v != "" {
			return v == id
		}
	}
	return false
}

// Plain is a value as text; a list is its members joined by commas.
func Plain(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case []any:
		parts := make([]string, len(x))
		for i := range x {
			parts[i] = Plain(x[i])
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		b, err := json.Marshal(x)
		if err != nil {
			return ""
		}
		return string(b)
	}
	return fmt.Sprint(v)
}
