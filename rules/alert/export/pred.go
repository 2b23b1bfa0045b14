package export

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// pred is a condition with two truth values, in which every negation has been
// pushed to the leaves and every comparison stands beside the question whether
// its field is known. A backend that treats a missing field as empty, as null or
// as no match then means the same by it.
type pred struct {
	op     string // and, or, true, false, known, unknown, eq, ne, in, notin, lt, le, gt, ge, contains, starts, ends, match, outside, leaver, version, outward, inward
	not    bool   // of contains, starts, ends, match, outside, leaver, version, outward, inward
	fold   bool   // compare without case
	args   []*pred
	field  string
	values []string
	number int64
	at     source.Pos
}

var (
	yes = &pred{op: "true"}
	no  = &pred{op: "false"}
)

func and(ps ...*pred) *pred { return join("and", yes, no, ps) }
func or(ps ...*pred) *pred  { return join("or", no, yes, ps) }

// join flattens and drops what decides nothing.
func join(op string, neutral, decisive *pred, ps []*pred) *pred {
	var out []*pred
	for _, p := range ps {
		switch {
		case p == decisive || p.op == decisive.op:
			return decisive
		case p == neutral || p.op == neutral.op:
		case p.op == op:
			out = append(out, p.args...)
		default:
			out = append(out, p)
		}
	}
	switch len(out) {
	case 0:
		return neutral
	case 1:
		return out[0]
	}
	return &pred{op: op, args: out}
}

// refusal is a part of a rule that cannot be translated.
type refusal struct {
	at  source.Pos
	why string
}

// builder turns a condition into a pred. It collects refusals, the names of what
// was not declared, and what is translated roughly.
type builder struct {
	cfg      alert.Config
	words    alert.Words
	refused  []refusal
	missing  []string
	rough    []string
	fields   []string
	declared []string // declared data written into the export
}

func (b *builder) refuse(at source.Pos, format string, args ...any) *pred {
	b.refused = append(b.refused, refusal{at, fmt.Sprintf(format, args...)})
	return no
}

func add(list *[]string, s string) {
	if !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

// undeclared stands for a word nobody declared: it is unknown for every event.
func (b *builder) undeclared(what string) *pred {
	add(&b.missing, what)
	return no
}

func (b *builder) known(field string) *pred {
	add(&b.fields, field)
	return &pred{op: "known", field: field}
}

func (b *builder) unknown(field string) *pred {
	add(&b.fields, field)
	return &pred{op: "unknown", field: field}
}

// is is "the node is true" (want) or "the node is false".
func (b *builder) is(n *condition.Node, want bool) *pred {
	switch n.Op {
	case "bool":
		if n.Bool == want {
			return yes
		}
		return no
	case "not":
		return b.is(n.Args[0], !want)
	case "and", "or":
		x, y := b.is(n.Args[0], want), b.is(n.Args[1], want)
		if (n.Op == "and") == want {
			return and(x, y)
		}
		return or(x, y)
	case "?:":
		c, a, z := n.Args[0], n.Args[1], n.Args[2]
		return or(and(b.is(c, true), b.is(a, want)), and(b.is(c, false), b.is(z, want)), and(b.is(a, want), b.is(z, want)))
	case "??":
		a := n.Args[0]
		return or(b.is(a, want), and(b.open(a), b.is(n.Args[1], want)))
	case "has":
		return b.has(n.Name, want, n.At)
	case "var":
		return b.word(n.Name, want, n.At)
	case "==", "!=":
		return b.equal(n, want == (n.Op == "=="))
	case "<", "<=", ">", ">=":
		return b.order(n, want)
	case "in":
		return b.in(n, want)
	case "contains", "startsWith", "endsWith", "matches":
		return b.textual(n, want)
	case "call":
		return b.call(n, want)
	}
	return b.refuse(n.At, "%s has no counterpart", n.Op)
}

// open is "the node is neither true nor false".
func (b *builder) open(n *condition.Node) *pred {
	missing := len(b.missing)
	t, f := b.is(n, true), b.is(n, false)
	b.missing = b.missing[:missing] // a word that is not declared is answered by ??
	return and(negate(t), negate(f))
}

// negate inverts a pred; leaves have two values by now.
func negate(p *pred) *pred {
	switch p.op {
	case "true":
		return no
	case "false":
		return yes
	case "and", "or":
		var out []*pred
		for _, a := range p.args {
			out = append(out, negate(a))
		}
		if p.op == "and" {
			return or(out...)
		}
		return and(out...)
	}
	q := *p
	inverse := map[string]string{"known": "unknown", "unknown": "known", "eq": "ne", "ne": "eq", "in": "notin", "notin": "in", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
	if op, ok := inverse[p.op]; ok {
		q.op = op
	} else {
		q.not = !p.not
	}
	return &q
}

func (b *builder) has(name string, want bool, at source.Pos) *pred {
	if !alert.IsText(name) && !alert.IsNumber(name) {
		return b.refuse(at, "whether %s is known is not a question other systems can answer", name)
	}
	f := fieldOf(name)
	if want {
		return b.known(f)
	}
	return b.unknown(f)
}

// fieldOf is the canonical field behind a word.
func fieldOf(word string) string {
	switch word {
	case "kind":
		return "event_name"
	case "tool":
		return "tool_key"
	}
	return word
}

// pick is a membership in constants.
func (b *builder) pick(field string, want, fold bool, values ...string) *pred {
	op := "in"
	if !want {
		op = "notin"
	}
	if len(values) == 0 {
		if want {
			return no
		}
		return b.known(field)
	}
	p := &pred{op: op, field: field, values: values, fold: fold}
	if want { // a missing field equals nothing
		add(&b.fields, field)
		return p
	}
	return and(b.known(field), p)
}

// prefixed is "the field begins with one of these, whatever the case".
func (b *builder) prefixed(field string, want bool, prefixes []string) *pred {
	var out []*pred
	for _, p := range prefixes {
		out = append(out, &pred{op: "starts", field: field, values: []string{p}, fold: true, not: !want})
	}
	if want { // a missing field begins with nothing
		add(&b.fields, field)
		return or(out...)
	}
	return and(b.known(field), and(out...))
}

func (b *builder) holding(field string, want bool, parts []string) *pred {
	var out []*pred
	for _, p := range parts {
		out = append(out, &pred{op: "contains", field: field, values: []string{p}, not: !want})
	}
	if want {
		add(&b.fields, field)
		return or(out...)
	}
	return and(b.known(field), and(out...))
}

// mcp is "the call goes to an MCP server".
func (b *builder) mcp(want bool) *pred {
	if want {
		return or(b.pick("tool_name", true, false, "mcp_tool"), b.pick("tool_source", true, false, "mcp", "sdk_host_builtin_mcp"), b.prefixed("tool_name", true, []string{"mcp__"}))
	}
	return and(b.pick("tool_name", false, false, "mcp_tool"), b.prefixed("tool_name", false, []string{"mcp__"}),
		or(b.unknown("tool_source"), b.pick("tool_source", false, false, "mcp", "sdk_host_builtin_mcp")))
}

func (b *builder) word(name string, want bool, at source.Pos) *pred {
	w := &b.words
	switch name {
	case "is_mcp":
		return b.mcp(want)
	case "success":
		return b.pick("success", true, false, fmt.Sprint(want))
	case "has_input", "has_prompt":
		f := map[string]string{"has_input": "tool_input", "has_prompt": "prompt"}[name]
		if want {
			return b.known(f)
		}
		return b.unknown(f)
	case "has_identity":
		if want {
			return b.known("member")
		}
		return b.unknown("member")
	case "remote_off":
		add(&b.declared, "remote_off")
		if !b.cfg.RemoteOff && want {
			add(&b.missing, "remote_off: true")
		}
		if b.cfg.RemoteOff == want {
			return yes
		}
		return no
	case "browser":
		named := or(b.pick("tool_name", true, false, w.BrowserTools...), b.prefixed("tool_name", true, []string{w.BrowserPrefix}),
			b.pick("mcp_tool", true, false, w.BrowserServer...), b.prefixed("mcp_tool", true, []string{w.BrowserPrefix}))
		if want {
			return named
		}
		return and(b.known("tool_name"), negate(named))
	case "writes":
		if want {
			return b.prefixed("mcp_tool", true, w.WritePrefixes)
		}
		return or(b.unknown("tool_name"), b.mcp(false), b.prefixed("mcp_tool", true, append(slices.Clone(w.ReadPrefixes), w.ListPrefixes...)))
	case "sends":
		shell := and(b.pick("tool_name", true, false, "Bash"), b.holding("command", true, w.Senders), b.holding("command", true, w.SendArguments))
		if want {
			return or(b.prefixed("mcp_tool", true, w.SendPrefixes), shell)
		}
		return or(b.prefixed("mcp_tool", false, w.SendPrefixes),
			and(b.pick("tool_name", true, false, "Bash"), or(b.holding("command", false, w.Senders), b.holding("command", false, w.SendArguments))),
			and(b.mcp(false), b.pick("tool_name", false, false, "Bash")))
	case "app_folder":
		if want {
			return b.holding("path_slashes", true, w.AppFolders)
		}
		return or(b.unknown("path_slashes"), b.holding("path_slashes", false, w.AppFolders))
	case "marked_read_only":
		if b.cfg.ReadOnly == nil {
			return b.undeclared("read_only")
		}
		add(&b.declared, "read_only")
		if want {
			return b.pick("mcp_server", true, true, b.cfg.ReadOnly...)
		}
		return or(b.unknown("tool_name"), b.mcp(false), b.pick("mcp_server", false, true, b.cfg.ReadOnly...))
	case "plugin_approved":
		if b.cfg.Plugins == nil {
			return b.undeclared("plugins")
		}
		add(&b.declared, "plugins")
		named := b.pick("plugin", false, false, "third-party")
		listed := or(and(named, b.pick("plugin", true, true, b.cfg.Plugins...)), b.pick("plugin_hash", true, true, b.cfg.Plugins...))
		if want {
			return listed
		}
		return and(or(named, b.known("plugin_hash")), negate(listed))
	case "outside_scope":
		add(&b.fields, "path")
		add(&b.fields, "host_paths")
		return and(b.known("path"), &pred{op: "outside", field: "path", values: b.cfg.Roots, not: !want, at: at})
	case "outside_recipient":
		if b.cfg.Domains == nil {
			return b.undeclared("domains")
		}
		add(&b.declared, "domains")
		add(&b.fields, "tool_input")
		domains := make([]string, len(b.cfg.Domains))
		for i, d := range b.cfg.Domains {
			domains[i] = strings.ToLower(d)
		}
		op := "outward" // the two leave room for what cannot be read
		if !want {
			op = "inward"
		}
		return &pred{op: op, field: "tool_input", values: domains, at: at}
	case "after_leaving":
		if len(b.cfg.Leavers) == 0 {
			return b.undeclared("leavers")
		}
		add(&b.declared, "leavers")
		return and(b.known("member"), &pred{op: "leaver", field: "member", not: !want, at: at})
	case "desktop_below_floor":
		if b.cfg.DesktopFloor == "" {
			return b.undeclared("desktop_floor")
		}
		add(&b.declared, "desktop_floor")
		local := and(b.known("version"), b.pick("os", false, false, "linux"), or(b.unknown("surface"), b.pick("surface", false, false, "remote")))
		below := &pred{op: "version", field: "version", values: []string{b.cfg.DesktopFloor}, not: !want, at: at}
		if want {
			return and(local, below)
		}
		return or(and(local, below), b.pick("os", true, false, "linux"), b.pick("surface", true, false, "remote"))
	case "weekend":
		return b.refuse(at, "the member's time zone is not on the wire")
	}
	return b.refuse(at, "%s has no counterpart", name)
}

// roughRecipients are expressions for systems that cannot take a list of
// recipients apart: the arguments name a recipient; the only address in them is a
// recipient's at one of the domains, and they end as they should. What is neither,
// such as a list, is taken to go outside.
func roughRecipients(t *translated, domains []string) (named, inward string) {
	t.rough("a recipient counts as inside only where the arguments hold one address and no placeholder")
	name := alert.NamedWords().RecipientName
	var ds []string
	for _, d := range domains {
		ds = append(ds, regexp.QuoteMeta(d))
	}
	return name + `("[^"]*|\[[^\]]*)@`, `[^@<]*` + name + `\[?\s*"[^"@]*@([a-z0-9.-]+\.)?(` + strings.Join(ds, "|") + `)>?"[^@<]*\}\s*`
}

// verbs expands what a tool does to a file.
func (b *builder) verb(v string) *pred {
	w := &b.words
	tools := map[string][]string{"read": {"Read"}, "write": {"Write"}, "modify": {"Edit", "MultiEdit", "NotebookEdit"}, "list": {"Glob", "Grep"}, "network": {"WebFetch", "WebSearch"}}
	out := b.pick("tool_name", true, false, tools[v]...)
	modify := []string{"update", "edit", "delete", "move", "rename", "set_"}
	switch v {
	case "read":
		return or(out, b.prefixed("mcp_tool", true, w.ReadPrefixes))
	case "list":
		return or(out, b.prefixed("mcp_tool", true, w.ListPrefixes))
	case "modify":
		return or(out, b.prefixed("mcp_tool", true, modify))
	case "write":
		var write []string
		for _, p := range w.WritePrefixes {
			if !slices.Contains(modify, p) {
				write = append(write, p)
			}
		}
		return or(out, b.prefixed("mcp_tool", true, write))
	}
	return out
}

// classes expands words that stand for several fields.
func (b *builder) classes(word string, want bool, values []string, at source.Pos) (*pred, bool) {
	var all []string
	one := func(v string) *pred { return b.verb(v) }
	switch word {
	case "verb":
		all = []string{"read", "write", "modify", "list", "network"}
	case "approval":
		all = []string{"automatic", "hook", "manual", "rejected by a person", "dismissed", "denied by policy", "denied by hook"}
		one = func(v string) *pred {
			c := b.words.DecisionClasses[v]
			return and(b.pick("event_name", true, false, "tool_decision"), b.pick("decision", true, false, c[0]...), b.pick("source", true, false, c[1]...))
		}
	default:
		return nil, false
	}
	var out []*pred
	for _, v := range all {
		if slices.Contains(values, v) == want {
			out = append(out, one(v))
		}
	}
	for _, v := range values {
		if !slices.Contains(all, v) {
			return b.refuse(at, "%q is not a value of %s", v, word), true
		}
	}
	return or(out...), true
}

// operand reads a word, perhaps inside lower().
func operand(n *condition.Node) (word string, fold, ok bool) {
	if n.Op == "lower" {
		word, _, ok = operand(n.Args[0])
		return word, true, ok
	}
	return n.Name, false, n.Op == "var"
}

func (b *builder) equal(n *condition.Node, want bool) *pred {
	l, r := n.Args[0], n.Args[1]
	if l.Op == "text" || l.Op == "int" || l.Op == "bool" {
		l, r = r, l
	}
	word, fold, ok := operand(l)
	switch {
	case !ok:
		return b.refuse(n.At, "a comparison of two expressions has no counterpart")
	case r.Op == "bool":
		return b.is(l, want == r.Bool)
	case r.Op == "int" && alert.IsNumber(word):
		op := "eq"
		if !want {
			op = "ne"
		}
		return and(b.known(fieldOf(word)), &pred{op: op, field: fieldOf(word), number: r.Int})
	case r.Op == "text" && alert.IsText(word):
		if p, done := b.classes(word, want, []string{r.Text}, n.At); done {
			return p
		}
		if r.Text == "" { // known texts are never empty
			if want {
				return no
			}
			return b.known(fieldOf(word))
		}
		return b.pick(fieldOf(word), want, fold || word == "mcp_server", r.Text)
	}
	return b.refuse(n.At, "a comparison of two fields has no counterpart")
}

func (b *builder) order(n *condition.Node, want bool) *pred {
	l, r, op := n.Args[0], n.Args[1], n.Op
	if l.Op == "int" {
		l, r = r, l
		op = map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<="}[op]
	}
	word, _, ok := operand(l)
	if !ok || r.Op != "int" {
		return b.refuse(n.At, "only a number field against a whole number can be compared")
	}
	if word == "local_hour" || !alert.IsNumber(word) {
		return b.refuse(n.At, "%s is not on the wire", word)
	}
	names := map[string]string{"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
	p := &pred{op: names[op], field: fieldOf(word), number: r.Int}
	if !want {
		p = negate(p)
	}
	return and(b.known(p.field), p)
}

func (b *builder) in(n *condition.Node, want bool) *pred {
	word, fold, ok := operand(n.Args[0])
	r := n.Args[1]
	if !ok {
		return b.refuse(n.At, "only a field can be looked up in a list")
	}
	if r.Op == "var" && r.Name == "allowlist" {
		if b.cfg.Allowlist == nil {
			return b.undeclared("allowlist")
		}
		add(&b.declared, "allowlist")
		return b.pick(fieldOf(word), want, true, b.cfg.Allowlist...)
	}
	if r.Op != "list" || len(r.List) != len(r.Args) {
		return b.refuse(n.At, "only a constant list of texts can be written out")
	}
	if p, done := b.classes(word, want, r.List, n.At); done {
		return p
	}
	if !alert.IsText(word) {
		return b.refuse(n.At, "%s cannot be looked up in a list", word)
	}
	return b.pick(fieldOf(word), want, fold || word == "mcp_server", r.List...)
}

func (b *builder) textual(n *condition.Node, want bool) *pred {
	word, fold, ok := operand(n.Args[0])
	if !ok || n.Args[1].Op != "text" || !alert.IsText(word) {
		return b.refuse(n.At, "only a field against a constant text can be searched")
	}
	op := map[string]string{"contains": "contains", "startsWith": "starts", "endsWith": "ends", "matches": "match"}[n.Op]
	return and(b.known(fieldOf(word)), &pred{op: op, field: fieldOf(word), values: []string{n.Args[1].Text}, fold: fold, not: !want, at: n.At})
}

func (b *builder) call(n *condition.Node, want bool) *pred {
	arg := n.Args[len(n.Args)-1].Text
	members := func(m map[string][]string, what string) *pred {
		if m == nil {
			return b.undeclared(what)
		}
		add(&b.declared, what)
		var ids []string
		for id, list := range m {
			if slices.Contains(list, arg) {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return b.pick("member", want, false, ids...)
	}
	switch n.Name {
	case "classifier":
		word, _, ok := operand(n.Args[0])
		if !ok {
			return b.refuse(n.At, "only a field can be classified")
		}
		p, known := alert.PatternOf(arg)
		if !known {
			return b.refuse(n.At, "class %q has no expression", arg)
		}
		if p.Misses != "" {
			add(&b.rough, fmt.Sprintf("class %s by expressions only: %s", arg, p.Misses))
		}
		var alts []*pred
		for _, row := range p.Alternatives {
			var all []*pred
			for _, re := range row {
				all = append(all, &pred{op: "match", field: fieldOf(word), values: []string{re}, at: n.At})
			}
			alts = append(alts, and(all...))
		}
		if want {
			return and(b.known(fieldOf(word)), or(alts...))
		}
		return and(b.known(fieldOf(word)), negate(or(alts...)))
	case "expects":
		if b.cfg.Content == nil {
			return b.undeclared("content")
		}
		add(&b.declared, "content")
		if slices.Contains(b.cfg.Content, arg) == want {
			return yes
		}
		return no
	case "workload":
		return members(b.cfg.Workloads, "workloads")
	case "forbidden":
		return members(b.cfg.Forbidden, "forbidden")
	}
	return b.refuse(n.At, "%s has no counterpart", n.Name)
}

// quote writes a text as SQL does, which several query languages share.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\t", `\t`).Replace(s) + "'"
}
