package export

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// loki writes a ruler file. Log attributes are structured metadata with dots
// turned to underscores; label filters match whole values.
type loki struct{}

var lokiFields = map[string]string{
	"member": "user_account_uuid", "mcp_server": "mcp_server", "mcp_tool": "mcp_tool", "command": "full_command", "path": "file_path", "path_slashes": "file_path",
	"os": "os_type", "version": "service_version", "cost_micros": "cost_usd_micros", "tool_key": "tool_name",
}

func (loki) field(t *translated, f string) string {
	switch f {
	case "tool_key":
		t.rough("tools of all MCP servers share one tool_name")
	case "path", "path_slashes":
		t.rough("only the argument file_path counts as a path")
	case "member":
		t.rough("members are known by account only")
	case "os", "version":
		t.rough("resource attributes are labels only where the distributor keeps them")
	}
	if n, ok := lokiFields[f]; ok {
		return n
	}
	if n := wire[f]; n != "" {
		return strings.ReplaceAll(n, ".", "_")
	}
	t.refuse("%s: no label for %s", t.rule.At, f)
	return f
}

func (l loki) filter(t *translated, p *pred) string {
	f := ""
	if p.field != "" {
		f = l.field(t, p.field)
	}
	// re is a label filter by expression; filters of the backend are anchored.
	re := func(expr string, fold, not bool) string {
		op := "=~"
		if not {
			op = "!~"
		}
		if fold {
			expr = "(?i)" + expr
		}
		return f + op + strconv.Quote("(?s)"+expr)
	}
	alts := func() string {
		var out []string
		for _, v := range p.values {
			out = append(out, regexp.QuoteMeta(v))
		}
		return "(" + strings.Join(out, "|") + ")"
	}
	switch p.op {
	case "and", "or":
		var out []string
		for _, a := range p.args {
			out = append(out, l.filter(t, a))
		}
		return "(" + strings.Join(out, " "+p.op+" ") + ")"
	case "known":
		return "(" + f + `!="" and ` + f + `!="<REDACTED>")`
	case "unknown":
		return "(" + f + `="" or ` + f + `="<REDACTED>")`
	case "in", "notin":
		if len(p.values) == 1 && !p.fold {
			return f + map[string]string{"in": "=", "notin": "!="}[p.op] + strconv.Quote(p.values[0])
		}
		return re(alts(), p.fold, p.op == "notin")
	case "eq", "ne", "lt", "le", "gt", "ge":
		return fmt.Sprintf("%s %s %d", f, map[string]string{"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}[p.op], p.number)
	case "contains":
		return re(".*"+alts()+".*", p.fold, p.not)
	case "starts":
		return re(alts()+".*", p.fold, p.not)
	case "ends":
		return re(".*"+alts(), p.fold, p.not)
	case "match":
		return re(".*("+p.values[0]+").*", false, p.not)
	case "outside":
		t.rough("folders of the task cannot be compared with the path: outside means outside the fixed folders ROOTS in the file")
		roots := "(ROOTS)(/.*)?"
		if len(p.values) > 0 {
			roots = alts() + "(/.*)?"
		}
		return re(roots, false, !p.not)
	case "outward", "inward":
		named, inward := roughRecipients(t, p.values)
		switch {
		case p.op == "inward":
			return re(inward, true, p.not)
		case p.not:
			return "(" + re(".*"+named+".*", true, true) + " or " + re(inward, true, false) + ")"
		}
		return "(" + re(".*"+named+".*", true, false) + " and " + re(inward, true, true) + ")"
	case "version":
		t.refuse("%s: versions cannot be compared by parts", p.at)
	case "leaver":
		t.refuse("%s: a time for each leaver cannot be written", p.at)
	}
	return `service_name=""`
}

func (l loki) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	if co.Type == "sequence" || co.Type == "rate" || co.Type == "first_seen" {
		t.refuse("%s: a ruler query cannot follow the type %s", co.Window.At, co.Type)
		return "", ""
	}
	win := span(max(r.Times().Window, 5*60*1e9))
	var keys []string
	for _, k := range co.Key {
		keys = append(keys, l.field(t, fieldOf(k.Value)))
	}
	sel := `{service_name="cowork"}`
	if r.AnyProduct() {
		sel = `{service_name=~"cowork|claude-code.*"}`
	}
	// JSON stands inside strings: the line is replaced by one after the other.
	pipe := ""
	for _, f := range t.fields {
		if f == "mcp_server" || f == "mcp_tool" || f == "command" {
			pipe = ` | line_format "{{.tool_parameters}}" | json mcp_server="mcp_server_name", mcp_tool="mcp_tool_name", full_command="full_command"`
		}
	}
	for _, f := range t.fields {
		if f == "path" || f == "path_slashes" {
			pipe += ` | line_format "{{.tool_input}}" | json file_path="file_path"`
			break
		}
	}
	if pipe != "" {
		pipe += " | drop __error__, __error_details__"
	}
	by := ""
	if len(keys) > 0 {
		by = " by (" + strings.Join(keys, ", ") + ")"
	}
	query := sel + pipe + " | " + l.filter(t, t.when)
	expr := ""
	t.rough("evaluated every minute over the last %s, and the alert resolves by itself: an incident can fire again", win)
	switch co.Type {
	case "":
		expr = fmt.Sprintf("sum%s (count_over_time(%s [%s])) > 0", by, query, win)
	case "count":
		expr = fmt.Sprintf("sum%s (count_over_time(%s [%s])) >= %d", by, query, win, r.Limit(t.opts.Config))
	case "sum":
		f := l.field(t, fieldOf(co.Field.Value))
		expr = fmt.Sprintf(`sum%s (sum_over_time(%s | unwrap %s | __error__="" [%s])) > %d`, by, query, f, win, r.Limit(t.opts.Config))
	case "distinct":
		f := l.field(t, fieldOf(co.Field.Value))
		expr = fmt.Sprintf("count%s (sum by (%s) (count_over_time(%s [%s]))) >= %d", by, strings.Join(append(append([]string{}, keys...), f), ", "), query, win, r.Limit(t.opts.Config))
	case "absence":
		if len(keys) > 0 {
			t.refuse("%s: silence for each key cannot be asked for: a key that is silent has no series", co.Window.At)
			return "", ""
		}
		t.rough("whether there was enough before the silence is not asked")
		expr = fmt.Sprintf("absent_over_time(%s [%s])", query, win)
	}
	var b strings.Builder
	b.WriteString(t.header("#", "not executed: the project's own checks hold expressions to LogQL's published grammar; try it on a copy first"))
	fmt.Fprintf(&b, "groups:\n  - name: sandtable\n    interval: 1m\n    rules:\n      - alert: %s\n        expr: %s\n        for: 0s\n        labels: {severity: %s, sandtable_rule: %s}\n        annotations: {summary: %s, runbook: %s}\n",
		strconv.Quote(r.ID.Value), strconv.Quote(expr), r.Severity, strconv.Quote(r.ID.Value), strconv.Quote(r.Title), strconv.Quote(strings.Join(strings.Fields(r.Runbook), " ")))
	return ".yaml", b.String()
}

func (loki) notes() string {
	return `Field names in Loki (native OTLP endpoint)

- service.name is an index label; every log attribute is structured metadata with dots turned to underscores. Structured
  metadata must be allowed, and long prompts may exceed its limits.
- Attributes a.b and a_b become one name.
- Label filters match whole values: the expressions carry .* on both sides.
- Where ROOTS stands, write your folders, separated by |.
- Grouping by session can reach the limit on series.
`
}
