package export

import (
	"encoding/json"
	"fmt"
	"strings"
)

// datadog writes rules of the log detection API. Its search knows no expressions.
type datadog struct{}

var datadogFields = map[string]string{
	"member": "user.account_uuid", "mcp_server": "tool_parameters.mcp_server_name", "mcp_tool": "tool_parameters.mcp_tool_name", "command": "tool_parameters.full_command",
	"path": "tool_input.file_path", "path_slashes": "tool_input.file_path", "os": "os.type", "version": "service.version", "cost_micros": "cost_usd_micros", "tool_key": "tool_name",
}

func (datadog) field(t *translated, f string) string {
	switch f {
	case "source":
		t.rough("source is a reserved name here: rename the attribute to decision_source in the collector")
		return "decision_source"
	case "connection":
		t.refuse("%s: the attribute status is swallowed as the log's own status", t.rule.At)
	case "tool_key":
		t.rough("tools of all MCP servers share one tool_name")
	case "mcp_server", "mcp_tool", "command", "path", "path_slashes":
		t.rough("needs a pipeline that parses the JSON of tool_parameters and tool_input")
	case "member":
		t.rough("members are known by account only")
	}
	if n, ok := datadogFields[f]; ok {
		return n
	}
	if n := wire[f]; n != "" {
		return n
	}
	t.refuse("%s: no attribute for %s", t.rule.At, f)
	return f
}

// term escapes a value of the search language.
func term(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\"*?:/()[]{}<>=!&|-+~^ '@#,;%`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (d datadog) search(t *translated, p *pred) string {
	f := ""
	if p.field != "" {
		f = "@" + d.field(t, p.field)
	}
	values := func(before, after string) string {
		var out []string
		for _, v := range p.values {
			out = append(out, before+term(v)+after)
		}
		if len(out) == 1 {
			return f + ":" + out[0]
		}
		return f + ":(" + strings.Join(out, " OR ") + ")"
	}
	neg := func(s string, not bool) string {
		if not {
			return "-" + s
		}
		return s
	}
	if p.fold || p.op == "contains" || p.op == "starts" || p.op == "ends" {
		t.rough("attribute searches keep the case or lose it as the facet is set up")
	}
	switch p.op {
	case "and", "or":
		var out []string
		for _, a := range p.args {
			out = append(out, d.search(t, a))
		}
		return "(" + strings.Join(out, map[string]string{"and": " ", "or": " OR "}[p.op]) + ")"
	case "known":
		return f + `:* -` + f + `:"<REDACTED>"`
	case "unknown":
		return "(-" + f + `:* OR ` + f + `:"<REDACTED>")`
	case "in", "notin":
		return neg(values("", ""), p.op == "notin")
	case "eq", "ne":
		return neg(fmt.Sprintf("%s:%d", f, p.number), p.op == "ne")
	case "lt", "le", "gt", "ge":
		return fmt.Sprintf("%s:%s%d", f, map[string]string{"lt": "<", "le": "<=", "gt": ">", "ge": ">="}[p.op], p.number)
	case "contains":
		return neg(values("*", "*"), p.not)
	case "starts":
		return neg(values("", "*"), p.not)
	case "ends":
		return neg(values("*", ""), p.not)
	case "match":
		t.refuse("%s: the log search has no expressions; use its own data scanner", t.rule.Condition.At)
	case "outside":
		t.refuse("%s: a path cannot be compared with the folders of its task", p.at)
	case "outward", "inward":
		t.refuse("%s: the recipients cannot be taken out of a list of arguments", p.at)
	case "version":
		t.refuse("%s: versions cannot be compared by parts", p.at)
	case "leaver":
		t.refuse("%s: a time for each leaver cannot be written", p.at)
	}
	return "*"
}

// windows the API takes, in seconds.
var datadogWindows = []int64{0, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400}

func (d datadog) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	type query struct {
		Name        string   `json:"name"`
		Query       string   `json:"query"`
		DataSource  string   `json:"dataSource"`
		Aggregation string   `json:"aggregation"`
		Metric      string   `json:"metric,omitempty"`
		Distinct    []string `json:"distinctFields,omitempty"`
		GroupBy     []string `json:"groupByFields"`
	}
	q := query{Name: "a", DataSource: "logs", Aggregation: "count", GroupBy: []string{}}
	condition := "a > 0"
	limit := r.Limit(t.opts.Config)
	switch co.Type {
	case "":
	case "count":
		condition = fmt.Sprintf("a >= %d", limit)
	case "sum":
		q.Aggregation, q.Metric = "sum", "@"+d.field(t, fieldOf(co.Field.Value))
		condition = fmt.Sprintf("a > %d", limit)
		t.rough("the summed attribute needs a measure")
	case "distinct":
		q.Aggregation, q.Distinct = "cardinality", []string{"@" + d.field(t, fieldOf(co.Field.Value))}
		condition = fmt.Sprintf("a >= %d", limit)
	default:
		t.refuse("%s: a log detection rule cannot follow the type %s this way", co.Window.At, co.Type)
		return "", ""
	}
	want := seconds(r.Times().Window)
	window := int64(-1)
	for _, w := range datadogWindows {
		if w >= want {
			window = w
			break
		}
	}
	switch {
	case window < 0:
		t.refuse("%s: windows end at 24 hours", co.Window.At)
		return "", ""
	case window != want && co.Type != "":
		t.rough("the window is rounded up from %ds to %ds", want, window)
	}
	product := "service:cowork"
	if r.AnyProduct() {
		product = "service:(cowork OR claude-code OR claude-code-desktop)"
	}
	q.Query = product + " " + d.search(t, t.when)
	for _, k := range co.Key {
		q.GroupBy = append(q.GroupBy, "@"+d.field(t, fieldOf(k.Value)))
	}
	keep := min(max(seconds(r.Times().Suppress), window), 86400)
	for _, w := range datadogWindows {
		if w >= keep {
			keep = w
			break
		}
	}
	doc := map[string]any{
		"name": r.Title, "type": "log_detection", "isEnabled": false,
		"message": strings.TrimSpace(t.header("", "not executed: the project's own checks read rules with the vendor's client; try it on a copy first")) + "\n\n" + strings.Join(strings.Fields(r.Runbook), " "),
		"tags":    []string{"sandtable:" + r.ID.Value, "source:cowork"},
		"queries": []query{q},
		"cases":   []map[string]any{{"name": "alert", "status": r.Severity, "condition": condition, "notifications": []string{}}},
		"options": map[string]any{"detectionMethod": "threshold", "evaluationWindow": window, "keepAlive": keep, "maxSignalDuration": 86400},
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		t.refuse("%v", err)
		return "", ""
	}
	return ".json", string(data) + "\n"
}

func (datadog) notes() string {
	return `Field names in Datadog

- Resource and record attributes share one namespace, as strings; a record attribute of the same name is overwritten.
- The attributes source and status are reserved: rename source to decision_source in the collector.
- tool_parameters and tool_input arrive as JSON text: add a pipeline with a JSON parser for both.
- Attributes that are grouped or summed need a facet or a measure.
- Rules are written disabled. Windows are those the API offers, rounded up; sessions over 24 hours are not summed.
- The header of each rule stands in its message.
`
}
