package export

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sigma writes a rule and, where events are joined, a correlation (specification
// 2.1). Texts of Sigma are compared without case, so ours carry |cased.
type sigma struct{}

// sigmaFields are names as a pipeline that flattens tool_parameters and
// tool_input gives them.
var sigmaFields = map[string]string{
	"member": "user.account_uuid", "mcp_server": "tool_parameters.mcp_server_name", "mcp_tool": "tool_parameters.mcp_tool_name",
	"command": "tool_parameters.full_command", "path": "tool_input.file_path", "path_slashes": "tool_input.file_path", "os": "os.type", "version": "service.version",
	"cost_micros": "cost_usd_micros", "tool_key": "tool_name", "host_paths": "workspace.host_paths",
}

func (sigma) field(t *translated, f string) string {
	switch f {
	case "tool_key":
		t.rough("tools of all MCP servers share one tool_name")
	case "path", "path_slashes":
		t.rough("only the argument file_path counts as a path")
	case "member":
		t.rough("members are known by account only")
	}
	if n, ok := sigmaFields[f]; ok {
		return n
	}
	if n := wire[f]; n != "" {
		return n
	}
	t.refuse("%s: no field for %s", t.rule.At, f)
	return f
}

var sigmaEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

// selections collects leaves as numbered selections and gives the condition.
type selections struct {
	t     *translated
	lines []string
	seen  map[string]string
}

func (s *selections) add(line string) string {
	if n, ok := s.seen[line]; ok {
		return n
	}
	n := "s" + strconv.Itoa(len(s.seen)+1)
	s.seen[line] = n
	s.lines = append(s.lines, "  "+n+": {"+line+"}")
	return n
}

// yamlList writes values of Sigma, in which * and ? stand for anything and a
// backslash before them, or before another backslash, takes that away.
func yamlList(values []string) string {
	var out []string
	for _, v := range values {
		out = append(out, strconv.Quote(sigmaEscapes.Replace(v)))
	}
	if len(out) == 1 {
		return out[0]
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// cond writes p; the fields in there are known to be present where it stands.
func (s *selections) cond(p *pred, top bool, there []string) string {
	var sg sigma
	name := func(suffix string) string { return strconv.Quote(sg.field(s.t, p.field) + suffix) }
	cased := "|cased"
	if p.fold {
		cased = ""
	}
	// What is absent is not equal, by the specification; a target with null says
	// neither, so that absence is asked for where nothing else rules it out.
	negated := func(n string) string {
		if slices.Contains(there, p.field) {
			return "not " + n
		}
		return "(" + s.add(name("|exists")+": false") + " or not " + n + ")"
	}
	positive := func(line string) string {
		n := s.add(line)
		if p.not || p.op == "ne" || p.op == "notin" {
			return negated(n)
		}
		return n
	}
	switch p.op {
	case "and", "or":
		var out []string
		if p.op == "and" {
			there = slices.Clip(there)
			for _, a := range p.args {
				if a.field != "" && !a.not && !slices.Contains([]string{"unknown", "ne", "notin", "outside", "outward", "inward"}, a.op) {
					there = append(there, a.field)
				}
			}
		}
		for _, a := range p.args {
			out = append(out, s.cond(a, false, there))
		}
		text := strings.Join(out, " "+p.op+" ")
		if top {
			return text
		}
		return "(" + text + ")"
	case "known":
		n, r := s.add(name("|exists")+": true"), s.add(name("|cased")+`: "<REDACTED>"`)
		return "(" + n + " and not " + r + ")"
	case "unknown": // not "not exists": targets with null say neither yes nor no to that
		n, r := s.add(name("|exists")+": false"), s.add(name("|cased")+`: "<REDACTED>"`)
		return "(" + n + " or " + r + ")"
	case "in", "notin":
		return positive(name(cased) + ": " + yamlList(p.values))
	case "eq", "ne":
		return positive(fmt.Sprintf("%s: %d", name(""), p.number))
	case "lt", "le", "gt", "ge":
		op := map[string]string{"lt": "|lt", "le": "|lte", "gt": "|gt", "ge": "|gte"}[p.op]
		return positive(fmt.Sprintf("%s: %d", name(op), p.number))
	case "contains":
		return positive(name("|contains"+cased) + ": " + yamlList(p.values))
	case "starts":
		return positive(name("|startswith"+cased) + ": " + yamlList(p.values))
	case "ends":
		return positive(name("|endswith"+cased) + ": " + yamlList(p.values))
	case "match":
		re, fold, lost := portable(p.values[0])
		if lost {
			s.t.rough("expressions lose word boundaries inside them")
		}
		flags := ""
		if fold {
			flags = "|i"
		}
		return positive(name("|re"+flags) + ": " + strconv.Quote(re))
	case "outside":
		s.t.rough("folders of the task cannot be compared: outside means outside the list sandtable_roots of your pipeline")
		n := s.add(name("|startswith|expand") + `: "%sandtable_roots%"`)
		if p.not {
			return n
		}
		return negated(n)
	case "outward", "inward":
		named, inward := roughRecipients(s.t, p.values)
		named, _, _ = portable(named)
		inward, _, _ = portable(inward)
		in := s.add(name("|re|i") + ": " + strconv.Quote("^"+inward+"$"))
		switch {
		case p.op == "inward" && !p.not:
			return in
		case p.op == "inward":
			return negated(in)
		}
		out := s.add(name("|re|i") + ": " + strconv.Quote(named))
		if !p.not {
			return "(" + out + " and not " + in + ")"
		}
		return "(" + negated(out) + " or " + in + ")"
	case "version":
		s.t.refuse("%s: versions cannot be compared by parts", p.at)
	case "leaver":
		s.t.refuse("%s: a time for each leaver cannot be written", p.at)
	}
	return "not s1"
}

func uuidOf(text string) string {
	h := sha256.Sum256([]byte("sandtable rule " + text))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func (s sigma) rule(t *translated) (string, string) {
	r := t.rule
	co := &r.Correlation
	typ := map[string]string{"": "", "count": "event_count", "distinct": "value_count", "sum": "value_sum", "sequence": "temporal_ordered"}
	kind, ok := typ[co.Type]
	if !ok {
		t.refuse("%s: Sigma has no correlation of the type %s", r.Correlation.Window.At, co.Type)
		return "", ""
	}
	level := r.Severity
	if level == "info" {
		level = "informational"
	}
	status := map[string]string{"stable": "stable", "experimental": "experimental"}[r.Status]
	var parts []string
	names := []string{slug(r.ID.Value)}
	conds := []*pred{t.when}
	if co.Type == "sequence" {
		names, conds = nil, nil
		for i, step := range t.steps {
			names = append(names, fmt.Sprintf("%s_%d", slug(r.ID.Value), i+1))
			conds = append(conds, and(t.when, step))
			if t.counts[i] > 1 {
				t.rough("a step that must match %d times is a correlation of its own, whose matches may begin before the step ahead of it", t.counts[i])
			}
		}
	}
	// What people read stands with the outermost rule only, as the specification asks.
	about := fmt.Sprintf("description: %s\nauthor: %s\n", strconv.Quote(strings.Join(strings.Fields(r.Catches), " ")), strconv.Quote(r.Owner))
	var fp []string
	for _, f := range r.FalsePositives {
		fp = append(fp, strconv.Quote(strings.Join(strings.Fields(f), " ")))
	}
	last := fmt.Sprintf("level: %s\n", level)
	if len(fp) > 0 {
		last = fmt.Sprintf("falsepositives: [%s]\n", strings.Join(fp, ", ")) + last
	}
	for i, c := range conds {
		sel := &selections{t: t, seen: map[string]string{}}
		cond := sel.cond(c, true, nil)
		if r.AnyProduct() {
			t.rough("the log source is Cowork's only")
		}
		var b strings.Builder
		title, id := r.Title, uuidOf(r.ID.Value)
		if len(conds) > 1 || kind != "" {
			title, id = fmt.Sprintf("%s (events %d)", r.Title, i+1), uuidOf(names[i])
		}
		fmt.Fprintf(&b, "title: %s\nname: %s\nid: %s\nstatus: %s\n", strconv.Quote(title), names[i], id, status)
		if kind == "" {
			b.WriteString(about)
		}
		fmt.Fprintf(&b, "logsource:\n  product: claude\n  service: cowork_otel\n")
		if len(r.Needs.Categories) > 0 {
			fmt.Fprintf(&b, "  definition: %s\n", strconv.Quote("needs captured content: "+strings.Join(r.Needs.Categories, ", ")))
		}
		fmt.Fprintf(&b, "detection:\n%s\n  condition: %s\n", strings.Join(sel.lines, "\n"), cond)
		if kind == "" {
			b.WriteString(last)
		}
		parts = append(parts, b.String())
	}
	if kind != "" {
		var keys []string
		for _, k := range co.Key {
			keys = append(keys, strconv.Quote(s.field(t, fieldOf(k.Value))))
		}
		for i, n := range t.counts {
			if n > 1 {
				several := names[i] + "_several"
				parts = append(parts, fmt.Sprintf("title: %s\nname: %s\nid: %s\nstatus: %s\ncorrelation:\n  type: event_count\n  rules: [%s]\n  group-by: [%s]\n  timespan: %s\n  condition: {gte: %d}\n",
					strconv.Quote(fmt.Sprintf("%s (events %d, several)", r.Title, i+1)), several, uuidOf(several), status, names[i], strings.Join(keys, ", "), span(r.Times().Window), n))
				names[i] = several
			}
		}
		var b strings.Builder
		fmt.Fprintf(&b, "title: %s\nid: %s\nstatus: %s\n%scorrelation:\n  type: %s\n  rules: [%s]\n  group-by: [%s]\n  timespan: %s\n", strconv.Quote(r.Title), uuidOf(r.ID.Value), status, about, kind, strings.Join(names, ", "), strings.Join(keys, ", "), span(r.Times().Window))
		switch kind {
		case "event_count":
			fmt.Fprintf(&b, "  condition: {gte: %d}\n", r.Limit(t.opts.Config))
		case "value_count":
			fmt.Fprintf(&b, "  condition: {field: %s, gte: %d}\n", strconv.Quote(s.field(t, fieldOf(co.Field.Value))), r.Limit(t.opts.Config))
		case "value_sum":
			fmt.Fprintf(&b, "  condition: {field: %s, gt: %d}\n", strconv.Quote(s.field(t, fieldOf(co.Field.Value))), r.Limit(t.opts.Config))
		}
		b.WriteString(last)
		parts = append(parts, b.String())
	}
	var words []string
	for _, k := range co.Key {
		words = append(words, k.Value)
	}
	each := ""
	if len(words) > 0 {
		each = " for each " + strings.Join(words, " and ")
	}
	incident := fmt.Sprintf("# incidents: Sigma has no suppression and the target decides how often an alert repeats; ours lasts until %s after the last match%s\n", span(r.Times().Suppress), each)
	return ".yml", t.header("#", "executed: the project runs its shipped rules in this form in its own checks, on an evaluator written from the\nspecification; not in pySigma or a SIEM: try it on a copy first") + incident + strings.Join(parts, "---\n")
}

func (sigma) notes() string {
	return `Field names in Sigma

- logsource is product claude, service cowork_otel: no taxonomy entry exists, map it in your processing pipeline.
- tool_parameters.* and tool_input.* are JSON inside a string on the wire: a pipeline or ingest step must flatten them.
- sandtable_roots is a placeholder list of allowed folders, each ending in the path separator; expand it in the pipeline.
- Sums are over cost_usd_micros, whole micro-dollars; where only cost_usd is sent, multiply at ingest.
- A step that must match several times is an event_count correlation of its own, which the ordered one joins; a target
  that cannot chain correlations refuses the rule.
- Run sandtable-detector-blind beside the others: without captured content they are silent.
`
}
