package assess

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Single values of rows, which exports write in many forms.

func text(v any) string {
	s, _ := v.(string)
	return s
}

func truth(v any) bool {
	switch x := v.(type) {
	case bool:
		return x
	case string:
		return yes(strings.ToLower(x))
	}
	return false
}

func yes(s string) bool { return s == "yes" || s == "true" || s == "1" || s == "on" || s == "y" }

func whole(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil && i >= 0
}

// person is the member a row is about: the address in lower case, else the id.
func person(m map[string]any) string {
	u, ok := m["user"].(map[string]any)
	if !ok {
		u = m
	}
	for _, k := range []string{"email_address", "email"} {
		if s := text(u[k]); s != "" {
			return strings.ToLower(s)
		}
	}
	if _, nested := m["user"]; nested {
		return text(u["id"])
	}
	return text(m["user_id"])
}

func dayOf(m map[string]any, keys ...string) source.Date {
	for _, k := range keys {
		if d := parseDay(text(m[k])); d.Given() {
			return d
		}
	}
	return source.Date{}
}

func parseDay(s string) source.Date {
	t, ok := parseMoment(s)
	if !ok {
		return source.Date{}
	}
	return dateOf(t)
}

func dateOf(t time.Time) source.Date {
	t = t.UTC()
	return source.Day(t.Year(), t.Month(), t.Day())
}

func parseMoment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func earlier(a, b source.Date) source.Date {
	if !a.Given() || b.Given() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b source.Date) source.Date {
	if b.After(a) {
		return b
	}
	return a
}
