package export

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The backends of this file are written from their documentation. Nothing here
// was executed, and each file says so.

// dialect is what a query language needs to write a pred.
type dialect struct {
	field  func(f string) string
	text   func(s string) string
	and    string
	or     string
	not    func(s string) string
	known  func(f string) string
	in     func(f string, values []string, fold bool) string
	part   func(f, how, value string, fold bool) string // contains, starts, ends
	match  func(f, re string) string                    // nil: no expressions
	number func(f, op string, n int64) string
}

func (d dialect) write(t *translated, p *pred) string {
	f := ""
	if p.field != "" {
		f = d.field(p.field)
	}
	flip := func(s string, not bool) string {
		if not {
			return d.not(s)
		}
		return s
	}
	switch p.op {
	case "and", "or":
		var out []string
		for _, a := range p.args {
			out = append(out, d.write(t, a))
		}
		return "(" + strings.Join(out, map[string]string{"and": d.and, "or": d.or}[p.op]) + ")"
	case "known", "unknown":
		return flip(d.known(f), p.op == "unknown")
	case "in", "notin":
		return flip(d.in(f, p.values, p.fold), p.op == "notin")
	case "eq", "ne", "lt", "le", "gt", "ge":
		return d.number(f, map[string]string{"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}[p.op], p.number)
	case "contains", "starts", "ends":
		return flip(d.part(f, p.op, p.values[0], p.fold), p.not)
	case "match":
		if d.match == nil {
			t.refuse("%s: this language has no expressions", t.rule.Condition.At)
			return ""
		}
		return flip(d.match(f, p.values[0]), p.not)
	case "outside":
		t.rough("the verdict comes as the attribute sandtable.outside_scope from your collector: see the enrichment notes")
		return flip(d.in(d.field("outside_scope"), []string{"true"}, false), p.not)
	case "outward", "inward":
		t.rough("the verdict comes as the attribute sandtable.outside_recipient from your collector: see the enrichment notes")
		return flip(d.in(d.field("outside_recipient"), []string{map[string]string{"outward": "true", "inward": "false"}[p.op]}, false), p.not)
	case "version":
		t.refuse("%s: versions cannot be compared by parts", p.at)
	case "leaver":
		t.refuse("%s: a time for each leaver cannot be written", p.at)
	}
	return ""
}

// common names of worked-out fields, once tool_parameters and tool_input are
// taken apart by the language or the collector.
func common(f string) string {
	switch f {
	case "member":
		return "user.account_uuid"
	case "os":
		return "os.type"
	case "version":
		return "service.version"
	case "cost_micros":
		return "cost_usd_micros"
	case "outside_scope":
		return "sandtable.outside_scope"
	case "outside_recipient":
		return "sandtable.outside_recipient"
	case "tool_key":
		return "sandtable.tool_key"
	case "mcp_server":
		return "sandtable.mcp_server"
	case "mcp_tool":
		return "sandtable.mcp_tool"
	case "path", "path_slashes":
		return "sandtable.file_path"
	case "command":
		return "sandtable.command"
	}
	if w := wire[f]; w != "" {
		return w
	}
	return f
}

// enriched notes that a rule lives on attributes of the enrichment.
func enriched(t *translated) {
	for _, f := range append(slices.Clone(t.fields), "") {
		if strings.HasPrefix(common(f), "sandtable.") {
			t.rough("depends on enrichment: the collector must add sandtable.* (see NOTES.txt)")
		}
	}
	for _, k := range t.rule.Correlation.Key {
		if strings.HasPrefix(common(fieldOf(k.Value)), "sandtable.") {
			t.rough("depends on enrichment: the collector must add sandtable.* (see NOTES.txt)")
		}
	}
}

const enrichment = `
Enrichment (transform processor of the collector, statements for log records)

  set(attributes["sandtable.mcp_server"], ParseJSON(attributes["tool_parameters"])["mcp_server_name"]) where attributes["tool_parameters"] != nil
  set(attributes["sandtable.mcp_tool"], ParseJSON(attributes["tool_parameters"])["mcp_tool_name"]) where attributes["tool_parameters"] != nil
  set(attributes["sandtable.command"], ParseJSON(attributes["tool_parameters"])["full_command"]) where attributes["tool_name"] == "Bash" and attributes["tool_parameters"] != nil
  set(attributes["sandtable.file_path"], ParseJSON(attributes["tool_input"])["file_path"]) where attributes["tool_input"] != nil
  set(attributes["sandtable.tool_key"], attributes["tool_name"])
  set(attributes["sandtable.tool_key"], Concat(["mcp:", attributes["sandtable.mcp_server"], "/", attributes["sandtable.mcp_tool"]], "")) where attributes["sandtable.mcp_server"] != nil

tool_input is cut at 512 characters a text and about 4,000 in all: JSON that was cut does not parse, and the statement
must not fail the batch (error_mode: ignore). Count those records. sandtable.outside_scope needs a comparison of the
path with workspace.host_paths by whole elements; a short script processor does it. sandtable.outside_recipient is the
text true where an address under to, cc, recipients, email or the like in tool_input is at none of your mail domains,
false where all are at them, and absent where that cannot be read. These statements were not executed.
`

func scheduled(t *translated, every string) {
	t.rough("scheduled every %s over a fixed look-back: an incident may repeat or fall between two runs", every)
}

// splunk writes stanzas of savedsearches.conf.
type splunk struct{}

func (splunk) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	name := func(f string) string { return strings.ReplaceAll(common(f), ".", "_") }
	text := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
	d := dialect{field: name, text: text, and: " AND ", or: " OR ", not: func(s string) string { return "NOT (" + s + ")" },
		known: func(f string) string { return "(isnotnull(" + f + ") AND " + f + `!="" AND ` + f + `!="<REDACTED>")` },
		in: func(f string, values []string, fold bool) string {
			var out []string
			for _, v := range values {
				if fold {
					v = strings.ToLower(v)
				}
				out = append(out, text(v))
			}
			if fold {
				f = "lower(" + f + ")"
			}
			return "in(" + f + ", " + strings.Join(out, ", ") + ")"
		},
		part: func(f, how, v string, fold bool) string {
			re := map[string]string{"contains": "%s", "starts": "^%s", "ends": "%s$"}[how]
			if fold {
				re = "(?i)" + re
			}
			return "match(" + f + ", " + text(fmt.Sprintf(re, regexp.QuoteMeta(v))) + ")"
		},
		match:  func(f, re string) string { return "match(" + f + ", " + text(re) + ")" },
		number: func(f, op string, n int64) string { return fmt.Sprintf("tonumber(%s)%s%d", f, op, n) },
	}
	enriched(t)
	scheduled(t, "5 minutes")
	var renames, keys []string
	for _, f := range t.fields {
		if c := common(f); strings.Contains(c, ".") {
			renames = append(renames, fmt.Sprintf("'%s' AS %s", c, name(f)))
		}
	}
	for _, k := range co.Key {
		keys = append(keys, name(fieldOf(k.Value)))
		if c := common(fieldOf(k.Value)); strings.Contains(c, ".") && !slices.Contains(t.fields, fieldOf(k.Value)) {
			renames = append(renames, fmt.Sprintf("'%s' AS %s", c, name(fieldOf(k.Value))))
		}
	}
	by := ""
	if len(keys) > 0 {
		by = " BY " + strings.Join(keys, ", ")
	}
	search := `index=cowork "service.name"=cowork`
	if len(renames) > 0 {
		search += " | rename " + strings.Join(renames, ", ")
	}
	search += " | where " + d.write(t, t.when)
	limit, win := r.Limit(t.opts.Config), r.Times().Window
	switch co.Type {
	case "":
		search += " | stats count, min(_time) AS first" + by
	case "count":
		search += fmt.Sprintf(" | sort 0 _time | streamstats time_window=%s count AS n%s | where n>=%d | stats max(n) AS n, min(_time) AS first%s", span(win), by, limit, by)
	case "sum":
		search += fmt.Sprintf(" | sort 0 _time | streamstats time_window=%s sum(%s) AS n%s | where n>%d | stats max(n) AS n, min(_time) AS first%s", span(win), name(fieldOf(co.Field.Value)), by, limit, by)
	case "distinct":
		search += fmt.Sprintf(" | sort 0 _time | streamstats time_window=%s dc(%s) AS n%s | where n>=%d | stats max(n) AS n, min(_time) AS first%s", span(win), name(fieldOf(co.Field.Value)), by, limit, by)
	default:
		t.refuse("%s: the type %s is not written for this backend", co.Window.At, co.Type)
		return "", ""
	}
	sev := map[string]int{"info": 2, "low": 3, "medium": 4, "high": 5, "critical": 6}[r.Severity]
	var b strings.Builder
	b.WriteString(t.header("#", unproved))
	fmt.Fprintf(&b, "[Cowork - %s]\nsearch = %s\ndescription = %s\nenableSched = 0\ncron_schedule = */5 * * * *\ndispatch.earliest_time = -%dm\ndispatch.latest_time = now\n", r.ID, search, strings.Join(strings.Fields(r.Catches), " "), int(win.Minutes())+10)
	fmt.Fprintf(&b, "counttype = number of events\nrelation = greater than\nquantity = 0\nalert.track = 1\nalert.severity = %d\nalert.suppress = 1\nalert.suppress.period = %dm\n", sev, int(r.Times().Suppress.Minutes()))
	if len(keys) > 0 {
		fmt.Fprintf(&b, "alert.suppress.fields = %s\n", strings.Join(keys, ","))
	}
	return ".conf", b.String()
}

func (splunk) notes() string {
	return `Field names in Splunk (HEC exporter of the collector)

- Every attribute is an indexed field with its dots; the searches rename them first.
- The attribute source collides with the default field source: rename it to decision_source in the collector, or the
  searches that ask for source see two values.
- Records with an empty body are dropped by the exporter.
- Searches are written disabled and were executed nowhere.
` + enrichment
}

// elastic writes detection rules with ES|QL, one on a line.
type elastic struct{}

func (elastic) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	text := strconv.Quote
	field := func(f string) string { return "attributes." + common(f) }
	d := dialect{field: field, text: text, and: " AND ", or: " OR ", not: func(s string) string { return "NOT (" + s + ")" },
		known: func(f string) string {
			return "(" + f + " IS NOT NULL AND " + f + ` != "" AND ` + f + ` != "<REDACTED>")`
		},
		in: func(f string, values []string, fold bool) string {
			var out []string
			for _, v := range values {
				if fold {
					v = strings.ToLower(v)
				}
				out = append(out, text(v))
			}
			if fold {
				f = "TO_LOWER(" + f + ")"
			}
			return f + " IN (" + strings.Join(out, ", ") + ")"
		},
		part: func(f, how, v string, fold bool) string {
			if fold {
				f, v = "TO_LOWER("+f+")", strings.ToLower(v)
			}
			switch how {
			case "starts":
				return "STARTS_WITH(" + f + ", " + text(v) + ")"
			case "ends":
				return "ENDS_WITH(" + f + ", " + text(v) + ")"
			}
			return "LOCATE(" + f + ", " + text(v) + ") > 0"
		},
		number: func(f, op string, n int64) string { return fmt.Sprintf("%s %s %d", f, op, n) },
	}
	d.match = func(f, re string) string {
		t.rough("expressions are Lucene's: no word boundaries, no anchors")
		return f + " RLIKE " + text(".*("+lucene(re)+").*")
	}
	enriched(t)
	scheduled(t, "minute")
	t.rough("results end at 10,000 groups")
	query := "FROM logs-*.otel-* | WHERE resource.attributes.service.name == \"cowork\" AND " + d.write(t, t.when)
	by := ""
	var keys []string
	for _, k := range co.Key {
		keys = append(keys, field(fieldOf(k.Value)))
	}
	if len(keys) > 0 {
		by = " BY " + strings.Join(keys, ", ")
	}
	limit := r.Limit(t.opts.Config)
	switch co.Type {
	case "":
		query += " | STATS n = COUNT(*)" + by
	case "count":
		query += fmt.Sprintf(" | STATS n = COUNT(*)%s | WHERE n >= %d", by, limit)
	case "sum":
		query += fmt.Sprintf(" | STATS n = SUM(%s)%s | WHERE n > %d", field(fieldOf(co.Field.Value)), by, limit)
	case "distinct":
		query += fmt.Sprintf(" | STATS n = COUNT_DISTINCT(%s)%s | WHERE n >= %d", field(fieldOf(co.Field.Value)), by, limit)
		t.rough("distinct counts are estimates")
	default:
		t.refuse("%s: the type %s is not written for this backend", co.Window.At, co.Type)
		return "", ""
	}
	score := map[string]int{"info": 10, "low": 21, "medium": 47, "high": 73, "critical": 99}[r.Severity]
	sev := r.Severity
	if sev == "info" {
		sev = "low"
	}
	doc := map[string]any{"rule_id": uuidOf(r.ID.Value), "name": r.Title, "description": t.header("", unproved) + strings.Join(strings.Fields(r.Catches), " "), "author": []string{r.Owner},
		"risk_score": score, "severity": sev, "type": "esql", "language": "esql", "query": query, "interval": "1m", "from": fmt.Sprintf("now-%dm", int(max(r.Times().Window.Minutes(), 5))+1), "enabled": false,
		"tags": []string{"sandtable", "Cowork"}, "note": strings.Join(strings.Fields(r.Runbook), " ")}
	data, err := json.Marshal(doc)
	if err != nil {
		t.refuse("%v", err)
		return "", ""
	}
	return ".ndjson", string(data) + "\n"
}

func (elastic) notes() string {
	return `Field names in Elastic (raw OpenTelemetry layout)

- Attributes stand under attributes.*, resource attributes under resource.attributes.*. The package for Claude Code
  lifts attributes to the root and renames prompt to prompt_text: change the prefix if you use it.
- Rules are ES|QL detection rules, written disabled, executed nowhere.
` + enrichment
}

// honeycomb writes triggers.
type honeycomb struct{}

func (honeycomb) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	text := strconv.Quote
	field := func(f string) string { return "$" + common(f) }
	d := dialect{field: field, text: text, not: func(s string) string { return "NOT(" + s + ")" }, and: " AND ", or: " OR ",
		known: func(f string) string {
			return "AND(EXISTS(" + f + "), NOT(EQUALS(" + f + `, "")), NOT(EQUALS(` + f + `, "<REDACTED>")))`
		},
		in: func(f string, values []string, fold bool) string {
			var out []string
			for _, v := range values {
				if fold {
					v = strings.ToLower(v)
				}
				out = append(out, text(v))
			}
			if fold {
				f = "TO_LOWER(" + f + ")"
			}
			return "IN(" + f + ", " + strings.Join(out, ", ") + ")"
		},
		part: func(f, how, v string, fold bool) string {
			re := map[string]string{"contains": "%s", "starts": "^%s", "ends": "%s$"}[how]
			if fold {
				re = "(?i)" + re
			}
			return "REG_MATCH(" + f + ", " + text(fmt.Sprintf(re, regexp.QuoteMeta(v))) + ")"
		},
		match:  func(f, re string) string { return "REG_MATCH(" + f + ", " + text(re) + ")" },
		number: func(f, op string, n int64) string { return fmt.Sprintf("(%s %s %d)", f, op, n) },
	}
	enriched(t)
	calc := map[string]any{"op": "COUNT"}
	limit, op := int64(0), ">"
	switch co.Type {
	case "":
	case "count":
		limit, op = r.Limit(t.opts.Config), ">="
	case "sum":
		calc = map[string]any{"op": "SUM", "column": common(fieldOf(co.Field.Value))}
		limit = r.Limit(t.opts.Config)
	case "distinct":
		calc = map[string]any{"op": "COUNT_DISTINCT", "column": common(fieldOf(co.Field.Value))}
		limit, op = r.Limit(t.opts.Config), ">="
	default:
		t.refuse("%s: the type %s is not written for this backend", co.Window.At, co.Type)
		return "", ""
	}
	window := max(seconds(r.Times().Window), 300)
	if window > 86400*4 {
		t.refuse("%s: a trigger looks back at most four times its longest interval", co.Window.At)
		return "", ""
	}
	// The window may be at most four times the frequency, a multiple of a minute.
	frequency := max((window/4+59)/60*60, 60)
	t.rough("checked every %ds over the last %ds: bursts between checks and repeats are possible", frequency, window)
	breakdowns := []string{}
	for _, k := range co.Key {
		breakdowns = append(breakdowns, common(fieldOf(k.Value)))
	}
	expression := d.write(t, t.when)
	doc := map[string]any{"name": "Cowork " + r.ID.Value, "description": t.header("", unproved), "disabled": true, "frequency": frequency, "alert_type": "on_change",
		"threshold": map[string]any{"op": op, "value": limit}, "recipients": []string{},
		"calculated_field": map[string]any{"alias": "sandtable_" + slug(r.ID.Value), "expression": expression},
		"query": map[string]any{"time_range": window, "calculations": []any{calc}, "breakdowns": breakdowns, "filter_combination": "AND",
			"filters": []any{map[string]any{"column": "sandtable_" + slug(r.ID.Value), "op": "=", "value": true}}}}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		t.refuse("%v", err)
		return "", ""
	}
	return ".json", string(data) + "\n"
}

func (honeycomb) notes() string {
	return `Field names in Honeycomb

- Columns carry the attribute names; arrays arrive as JSON text.
- Each file holds a calculated field to create first (calculated_field) and the trigger that filters on it. Create the
  field, remove it from the document, then post the trigger. Written disabled, executed nowhere.
` + enrichment
}

// cribl is a router: it gets the enrichment, and the alert belongs downstream.
type cribl struct{}

func (cribl) rule(t *translated) (string, string) {
	r := t.rule
	field := func(f string) string { return "__e['" + common(f) + "']" }
	js := func(s string) string { return strconv.Quote(s) }
	d := dialect{field: field, text: js, and: " && ", or: " || ", not: func(s string) string { return "!(" + s + ")" },
		known: func(f string) string { return "(" + f + " != null && " + f + ` !== "" && ` + f + ` !== "<REDACTED>")` },
		in: func(f string, values []string, fold bool) string {
			var out []string
			for _, v := range values {
				if fold {
					v = strings.ToLower(v)
				}
				out = append(out, js(v))
			}
			if fold {
				f = "String(" + f + ").toLowerCase()"
			}
			return "[" + strings.Join(out, ", ") + "].includes(" + f + ")"
		},
		part: func(f, how, v string, fold bool) string {
			if fold {
				f, v = "String("+f+").toLowerCase()", strings.ToLower(v)
			}
			return f + "." + map[string]string{"contains": "includes", "starts": "startsWith", "ends": "endsWith"}[how] + "(" + js(v) + ")"
		},
		match: func(f, re string) string {
			out, fold, lost := portable(re)
			if lost {
				t.rough("expressions lose word boundaries inside them")
			}
			flags := ""
			if fold {
				flags = "i"
			}
			return "new RegExp(" + js(out) + ", " + js(flags) + ").test(" + f + ")"
		},
		number: func(f, op string, n int64) string { return fmt.Sprintf("Number(%s) %s %d", f, op, n) },
	}
	enriched(t)
	if r.Correlation.Type != "" {
		t.rough("only the condition of single events; join them downstream: %s", r.Describe())
	}
	filter := d.write(t, t.when)
	return ".js", t.header("//", unproved) + "// Filter of a pipeline function; __e is the event. Set the attribute sandtable.rule to " + js(r.ID.Value) + " where it holds.\n" + filter + "\n"
}

func (cribl) notes() string {
	return `Cribl routes; it does not keep state for alerts. The files are filters that mark single events, with a note on what has
to be joined downstream. Recent versions take OTLP over HTTP as JSON; for older ones choose http/protobuf in the admin
console. Extract logs must be on to get one event for each record. Field paths were not verified and nothing was executed.
` + enrichment
}
