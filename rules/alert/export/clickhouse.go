package export

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// clickhouse writes queries over the table of the collector's exporter, with
// attributes in string maps. Windows slide over event time, as in the engine.
type clickhouse struct{}

const attr = "LogAttributes['%s']"

// column is the expression of a canonical field; every one is a text that is ”
// when the wire does not tell.
func (clickhouse) column(field string) (string, bool) {
	at := func(name string) string { return fmt.Sprintf(attr, name) }
	params, input, tool := at("tool_parameters"), at("tool_input"), at("tool_name")
	server := fmt.Sprintf("multiIf(JSONExtractString(%[1]s, 'mcp_server_name') != '', JSONExtractString(%[1]s, 'mcp_server_name'), "+
		"%[2]s NOT IN ('', 'custom', 'third-party', '<REDACTED>'), %[2]s, startsWith(%[3]s, 'mcp__'), splitByString('__', %[3]s)[2], '')", params, at("mcp_server.name"), tool)
	mcpTool := fmt.Sprintf("multiIf(JSONExtractString(%[1]s, 'mcp_server_name') != '', JSONExtractString(%[1]s, 'mcp_tool_name'), "+
		"%[2]s NOT IN ('', 'custom', 'third-party', '<REDACTED>'), %[3]s, startsWith(%[4]s, 'mcp__'), splitByString('__', %[4]s)[3], '')", params, at("mcp_server.name"), at("mcp_tool.name"), tool)
	path := fmt.Sprintf("if(%[1]s = 'tool_result', multiIf(%[2]s IN ('Read', 'Write', 'Edit', 'MultiEdit'), JSONExtractString(%[3]s, 'file_path'), %[2]s = 'NotebookEdit', JSONExtractString(%[3]s, 'notebook_path'), "+
		"%[2]s IN ('Glob', 'Grep'), JSONExtractString(%[3]s, 'path'), ''), '')", at("event.name"), tool, input)
	switch field {
	case "mcp_server":
		return "lower(" + server + ")", true
	case "mcp_tool":
		return mcpTool, true
	case "tool_key":
		return fmt.Sprintf("if((%s) != '', concat('mcp:', %s, '/', %s), %s)", server, server, mcpTool, tool), true
	case "member":
		return fmt.Sprintf("if(%[1]s != '', %[1]s, %[2]s)", at("user.account_uuid"), at("user.email")), true
	case "path":
		return path, true
	case "path_slashes":
		return "concat(replaceAll(" + path + `, '\\', '/'), '/')`, true
	case "folder":
		return `extract(` + path + `, '^(.+)[/\\\\]')`, true
	case "command":
		return fmt.Sprintf("if(%[1]s = 'Bash', if(JSONExtractString(%[2]s, 'full_command') != '', JSONExtractString(%[2]s, 'full_command'), JSONExtractString(%[2]s, 'bash_command')), '')", tool, params), true
	case "os":
		return "ResourceAttributes['os.type']", true
	case "version":
		return "ResourceAttributes['service.version']", true
	case "host_paths":
		return at("workspace.host_paths"), true
	case "cost_micros":
		return fmt.Sprintf("if(%[1]s != '', %[1]s, if(%[2]s != '', toString(round(toFloat64OrZero(%[2]s) * 1000000)), ''))", at("cost_usd_micros"), at("cost_usd")), true
	case "surface":
		return "if(LogAttributes['cowork.surface'] != '', LogAttributes['cowork.surface'], ResourceAttributes['cowork.surface'])", true
	}
	if w := wire[field]; w != "" {
		return at(w), true
	}
	return "", false
}

func (c clickhouse) sql(t *translated, p *pred) string {
	list := func(values []string) string {
		var out []string
		for _, v := range values {
			if p.fold {
				v = strings.ToLower(v)
			}
			out = append(out, quote(v))
		}
		return strings.Join(out, ", ")
	}
	f := p.field
	text := f
	if p.fold {
		text = "lower(" + f + ")"
	}
	not := ""
	if p.not {
		not = "NOT "
	}
	switch p.op {
	case "true":
		return "1"
	case "false":
		return "0"
	case "and", "or":
		var out []string
		for _, a := range p.args {
			out = append(out, c.sql(t, a))
		}
		return "(" + strings.Join(out, " "+strings.ToUpper(p.op)+" ") + ")"
	case "known":
		return "(" + f + " NOT IN ('', '<REDACTED>'))"
	case "unknown":
		return "(" + f + " IN ('', '<REDACTED>'))"
	case "in":
		return text + " IN (" + list(p.values) + ")"
	case "notin":
		return text + " NOT IN (" + list(p.values) + ")"
	case "eq", "ne", "lt", "le", "gt", "ge":
		return fmt.Sprintf("toFloat64OrZero(%s) %s %d", f, map[string]string{"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}[p.op], p.number)
	case "contains":
		return fmt.Sprintf("%s(position(%s, %s) > 0)", not, text, list(p.values))
	case "starts":
		return fmt.Sprintf("%sstartsWith(%s, %s)", not, text, list(p.values))
	case "ends":
		return fmt.Sprintf("%sendsWith(%s, %s)", not, text, list(p.values))
	case "match":
		return fmt.Sprintf("%smatch(%s, %s)", not, f, quote(p.values[0]))
	case "version":
		var parts []string
		for part := range strings.SplitSeq(p.values[0], ".") {
			n, _ := strconv.Atoi(part)
			parts = append(parts, strconv.Itoa(n))
		}
		cmp := "<"
		if p.not {
			cmp = ">="
		}
		return fmt.Sprintf("(match(%[1]s, '^[0-9]+(\\\\.[0-9]+)*$') AND arrayResize(arrayMap(x -> toInt64OrZero(x), splitByChar('.', %[1]s)), 8, 0) %[2]s arrayResize([%[3]s], 8, 0))", f, cmp, strings.Join(parts, ", "))
	case "leaver":
		var ids []string
		for id := range t.opts.Config.Leavers {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		var when []string
		for _, id := range ids {
			when = append(when, fmt.Sprintf("(%s = %s AND ts > %d)", f, quote(id), t.opts.Config.Leavers[id].Add(t.opts.Config.Propagation).UnixNano()))
		}
		return not + "(" + strings.Join(when, " OR ") + ")"
	case "outside":
		return not + c.outside(p.values)
	case "outward", "inward":
		return not + c.recipients(p)
	}
	return "0"
}

// recipients takes them out of the arguments with the engine's own expressions.
func (clickhouse) recipients(p *pred) string {
	w := alert.NamedWords()
	values := fmt.Sprintf("extractAll(%s, %s)", p.field, quote(w.RecipientArgument))
	addresses := fmt.Sprintf("arrayFlatten(arrayMap(v -> extractAll(lower(v), %s), %s))", quote(w.MailAddress), values)
	var inside []string
	for _, d := range p.values {
		inside = append(inside, fmt.Sprintf("endsWith(a, %s) OR endsWith(a, %s)", quote("@"+d), quote("."+d)))
	}
	if inside == nil {
		inside = []string{"0"}
	}
	stranger := fmt.Sprintf("arrayExists(a -> NOT (%s), %s)", strings.Join(inside, " OR "), addresses)
	if p.op == "outward" {
		return stranger
	}
	return fmt.Sprintf(`(notEmpty(%s) AND NOT %s AND match(%s, %s) AND NOT arrayExists(v -> length(v) >= %d OR v NOT IN ('""', '[]') AND NOT match(v, %s), %s))`,
		addresses, stranger, p.field, quote(`\}[ \n\r\t]*$`), event.InputCap, quote(w.MailAddress), values)
}

// outside compares by whole path elements, and only what can be compared: an
// absolute path of the same form as a folder, without "..", not inside the
// virtual machine.
func (clickhouse) outside(roots []string) string {
	var extra []string
	for _, r := range roots {
		extra = append(extra, quote(r))
	}
	all := fmt.Sprintf("arrayConcat(JSONExtract(host_paths, 'Array(String)'), [%s])", strings.Join(extra, ", "))
	if len(extra) == 0 {
		all = "JSONExtract(host_paths, 'Array(String)')"
	}
	clean := `if(match(%[1]s, '^[A-Za-z]:'), lower(trim(TRAILING '/' FROM replaceAll(%[1]s, '\\', '/'))), if(%[1]s = '/', '/', trim(TRAILING '/' FROM replaceAll(%[1]s, '\\', '/'))))`
	p, r := fmt.Sprintf(clean, "path"), fmt.Sprintf(clean, "r")
	return fmt.Sprintf("(host_paths != '' AND match(path, '^(/|[A-Za-z]:[/\\\\\\\\]|\\\\\\\\\\\\\\\\)') AND position(concat(replaceAll(path, '\\\\', '/'), '/'), '/../') = 0 AND NOT match(path, '^/(mnt|sessions)(/|$)')"+
		" AND (empty(%[1]s) OR arrayExists(r -> match(r, '^[A-Za-z]:') = match(path, '^[A-Za-z]:') AND startsWith(replaceAll(r, '\\\\', '/'), '//') = startsWith(replaceAll(path, '\\\\', '/'), '//'), %[1]s))"+
		" AND NOT arrayExists(r -> lower(%[2]s) = lower(%[3]s) OR startsWith(lower(%[2]s), concat(lower(%[3]s), '/')) OR %[3]s = '/', %[1]s))", all, p, r)
}

func (c clickhouse) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	times := r.Times()
	switch co.Type {
	case "rate":
		t.refuse("%s: a rate against the key's own past needs state that a query over the table cannot keep faithfully", r.Correlation.Factor.At)
		return "", ""
	case "sequence":
		plain := !slices.ContainsFunc(t.counts, func(n int) bool { return n > 1 })
		switch {
		case len(t.steps) == 2 && t.counts[1] == 1:
			t.rough("matches of the first step that an earlier incident used count again")
		case plain:
			t.rough("windowFunnel finds one chain for each key and day")
		default:
			t.refuse("%s: steps after the first that must match several times have no faithful form", co.Steps[0].At)
			return "", ""
		}
	case "first_seen":
		t.rough("a key's history begins with the table, and is never forgotten")
	}
	fields := slices.Clone(t.fields)
	var keys []string
	for _, k := range co.Key {
		f := fieldOf(k.Value)
		keys = append(keys, f)
		add(&fields, f)
	}
	add(&fields, "event_name")
	add(&fields, "session")
	var cols []string
	for _, f := range fields {
		col, ok := c.column(f)
		if !ok {
			t.refuse("%s: the table has no column for %s", r.At, f)
			return "", ""
		}
		cols = append(cols, fmt.Sprintf("    %s AS %s", col, f))
	}
	part := "1"
	if len(keys) > 0 {
		part = strings.Join(keys, ", ")
	}
	product := "ServiceName = 'cowork'"
	if r.AnyProduct() {
		product = "ServiceName IN ('cowork', 'claude-code', 'claude-code-desktop')"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- One row for each incident: its key, the moment of the alert (ns and readable) and its matches. Lay a time range over\n-- base that reaches at least %s further back than the alerts you want.\n", span(max(times.Window, times.Suppress)))
	fmt.Fprintf(&b, "WITH base AS (\n  SELECT toUnixTimestamp64Nano(Timestamp) AS ts, %s AS sequence,\n%s\n  FROM otel_logs\n  WHERE %s\n  LIMIT 1 BY session, sequence, ts, event_name\n),\n", fmt.Sprintf(attr, "event.sequence"), strings.Join(cols, ",\n"), product)
	fmt.Fprintf(&b, "m AS (\n  SELECT * FROM base\n  WHERE %s\n)", c.sql(t, t.when))
	sup, win := times.Suppress.Nanoseconds(), times.Window.Nanoseconds()
	limit := r.Limit(t.opts.Config)
	field := fieldOf(co.Field.Value)
	keyed := ""
	if len(keys) > 0 {
		keyed = part + ", "
	}
	// incidents numbers the runs of matches that lie no further apart than suppress.
	incidents := fmt.Sprintf(`,
g AS (
  SELECT *, sum(fresh) OVER (PARTITION BY %[1]s ORDER BY ts, sequence ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS incident
  FROM (SELECT *, ts - lagInFrame(ts) OVER (PARTITION BY %[1]s ORDER BY ts, sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > %[2]d AS fresh FROM %%[1]s)
)
SELECT %[3]smin(if(%%[2]s, ts, NULL)) AS alert_ns, fromUnixTimestamp64Nano(assumeNotNull(alert_ns)) AS alert_time, count() AS matches
FROM g GROUP BY %[3]sincident HAVING countIf(%%[2]s) > 0 ORDER BY alert_ns
`, part, sup, keyed)
	sliding := func(d time.Duration) string { return fmt.Sprintf("OVER (PARTITION BY %s %s)", part, frame(d)) }
	window := sliding(times.Window)
	switch co.Type {
	case "":
		fmt.Fprintf(&b, incidents, "m", "1")
	case "count":
		fmt.Fprintf(&b, ",\nn AS (SELECT *, count() %s AS n FROM m)", window)
		fmt.Fprintf(&b, incidents, "n", fmt.Sprintf("n >= %d", limit))
	case "sum":
		fmt.Fprintf(&b, ",\nn AS (SELECT *, sum(toInt64(toFloat64OrZero(%s))) %s AS n FROM m)", field, window)
		fmt.Fprintf(&b, incidents, "n", fmt.Sprintf("n > %d", limit))
	case "distinct":
		fmt.Fprintf(&b, ",\nn AS (SELECT *, uniqExact(%s) %s AS n FROM m)", field, window)
		fmt.Fprintf(&b, incidents, "n", fmt.Sprintf("n >= %d", limit))
	case "absence":
		group := fmt.Sprintf(`,
s AS (
  SELECT *, sum(fresh) OVER (PARTITION BY %[1]s ORDER BY ts, sequence ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spell
  FROM (SELECT *, ts - lagInFrame(ts) OVER (PARTITION BY %[1]s ORDER BY ts, sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > %[2]d AS fresh FROM m)
)
`, part, win)
		enough := fmt.Sprintf("count() >= %d", limit)
		if times.Baseline > 0 {
			enough = fmt.Sprintf("uniqExactIf(intDiv(ts, 86400000000000), intDiv(newest, 86400000000000) - intDiv(ts, 86400000000000) < %d) >= %d", int64(times.Baseline.Hours()/24), limit)
			group = strings.Replace(group, "SELECT *, sum(fresh)", "SELECT *, max(ts) OVER (PARTITION BY "+part+") AS unused, sum(fresh)", 1)
			group += fmt.Sprintf(", spells AS (SELECT *, max(ts) OVER (PARTITION BY %s, spell) AS newest FROM s)\n", part)
		} else {
			group += ", spells AS (SELECT * FROM s)\n"
		}
		fmt.Fprintf(&b, "%sSELECT %smax(ts) + %d AS alert_ns, fromUnixTimestamp64Nano(alert_ns) AS alert_time, count() AS matches\nFROM spells GROUP BY %sspell\nHAVING %s AND alert_ns < (SELECT max(ts) FROM base) ORDER BY alert_ns\n", group, keyed, win, keyed, enough)
		t.rough("silence shows up to the newest record of the table, not up to the moment of asking; leavers are not left out")
	case "first_seen":
		fmt.Fprintf(&b, `,
v AS (
  SELECT *, min(ts) OVER (PARTITION BY %[1]s) AS born,
    ts - lagInFrame(ts) OVER (PARTITION BY %[1]s, %[2]s ORDER BY ts, sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > %[3]d AS fresh_value
  FROM m
),
w AS (SELECT * FROM v WHERE fresh_value AND ts - born >= %[4]d)`, part, field, win, times.Warmup.Nanoseconds())
		if times.Within > 0 {
			fmt.Fprintf(&b, ",\nn AS (SELECT *, count() %s AS n FROM w)", sliding(times.Within))
			fmt.Fprintf(&b, incidents, "n", fmt.Sprintf("n >= %d", limit))
		} else {
			fmt.Fprintf(&b, incidents, "w", "1")
		}
	case "sequence":
		var steps []string
		for _, s := range t.steps {
			steps = append(steps, c.sql(t, s))
		}
		if len(t.steps) == 2 && t.counts[1] == 1 {
			// The last counts[0] matches of the first step must lie inside the window.
			fmt.Fprintf(&b, `,
n AS (
  SELECT *, countIf(%[2]s) OVER (PARTITION BY %[1]s ORDER BY ts, sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_all,
    countIf(%[2]s) %[3]s AS before_window
  FROM m
),
f AS (SELECT * FROM n WHERE (%[4]s))`, part, steps[0], window, steps[1])
			fmt.Fprintf(&b, incidents, "f", fmt.Sprintf("least(before_all, before_window) >= %d", t.counts[0]))
		} else {
			fmt.Fprintf(&b, "\nSELECT %smin(ts) AS alert_ns, fromUnixTimestamp64Nano(min(ts)) AS alert_time, count() AS matches\nFROM m GROUP BY %sintDiv(ts, 86400000000000)\nHAVING windowFunnel(%d)(toDateTime(intDiv(ts, 1000000000)), %s) = %d ORDER BY alert_ns\n",
				keyed, keyed, seconds(times.Window), strings.Join(steps, ", "), len(steps))
		}
	}
	return ".sql", t.header("--", "executed: the project runs its shipped rules in this form on the real engine in its own checks") + b.String()
}

// frame is a sliding window. Its offset must fit 32 bits: milliseconds, which is
// what the wire resolves, and seconds for windows of more than 24 days.
func frame(d time.Duration) string {
	if ms := d.Milliseconds(); ms < 1<<31 {
		return fmt.Sprintf("ORDER BY intDiv(ts, 1000000) RANGE BETWEEN %d PRECEDING AND CURRENT ROW", ms)
	}
	return fmt.Sprintf("ORDER BY intDiv(ts, 1000000000) RANGE BETWEEN %d PRECEDING AND CURRENT ROW", seconds(d))
}

func (clickhouse) notes() string {
	return `Field names on ClickHouse (collector exporter, attributes in maps)

- Every attribute is a string; a missing key reads as ''. The queries ask whether a field is known before they compare.
- MCP server and tool stand in the JSON text of tool_parameters, file paths in that of tool_input, cut at 512 characters.
- workspace.host_paths is a JSON array inside a string.
- The table is otel_logs. The exporter's variant with JSON columns has other paths: change the columns of base.
- Alerts belong on a schedule of your own (Grafana, or a refreshable view); ClickHouse has no alert object.
- base drops repeated records by session, sequence, time and name.
`
}
