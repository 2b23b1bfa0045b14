package cases

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
)

// Exhibit draws an exhibit from the run, as lines of text at most Width wide.
// Nothing in it is written by hand.
func (w *World) Exhibit(x Exhibit) ([]string, error) {
	switch x.Show {
	case "matrix":
		return w.matrix()
	case "spend":
		return w.spend()
	case "telemetry":
		return w.telemetry(x)
	case "alerts":
		return w.alerts()
	case "adoption":
		return w.adoption()
	case "coverage":
		return w.coverage()
	case "setup":
		return w.setup(), nil
	case "surfaces":
		return w.surfaces()
	case "values":
		return w.values(x.Of)
	}
	return nil, fmt.Errorf("%q is not an exhibit", x.Show)
}

func (w *World) list(path string) ([]map[string]any, error) {
	v, ok := w.Lookup(path)
	if !ok {
		return nil, fmt.Errorf("the run has no %s", path)
	}
	l, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is no list", path)
	}
	var out []map[string]any
	for _, x := range l {
		if m, ok := x.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out, nil
}

func (w *World) matrix() ([]string, error) {
	rows, err := w.list("roster.matrix.rows")
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		scope, _ := w.Lookup("roster.matrix.scope")
		n, _ := w.Lookup("counters.members_with_cowork")
		all, _ := w.Lookup("counters.members")
		return []string{"No groups and no custom roles.", fmt.Sprintf("Cowork: %s (%s of %s members)", assess.Plain(scope), assess.Plain(n), assess.Plain(all))}, nil
	}
	t := table{head: []string{"group", "members", "source", "cowork", "chat", "plugins", "connectors"}}
	for _, r := range rows {
		cell := func(kind, name string) string {
			for _, c := range cells(r) {
				if c["kind"] == kind && c["name"] == name {
					return assess.Plain(c["level"])
				}
			}
			return "-"
		}
		open := func(kind string, closed ...string) string {
			var names []string
			for _, c := range cells(r) {
				// A connector stands for its tools: the matrix is read at a glance.
				name, _, _ := strings.Cut(assess.Plain(c["name"]), "/")
				if c["kind"] == kind && !slices.Contains(closed, assess.Plain(c["level"])) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			if names == nil {
				return "none"
			}
			return strings.Join(names, ", ")
		}
		t.add(assess.Plain(r["group"]), assess.Plain(r["members"]), assess.Plain(r["source"]), cell("capability", "cowork"), cell("capability", "chat"),
			open("plugin", "not_available", "deny", "hidden"), open("connector", "deny"))
	}
	return t.lines(), nil
}

func cells(row map[string]any) []map[string]any {
	var out []map[string]any
	l, _ := row["cells"].([]any)
	for _, c := range l {
		if m, ok := c.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func (w *World) spend() ([]string, error) {
	rows, err := w.list("spend.groups")
	if err != nil {
		return nil, err
	}
	var out []string
	if len(rows) > 0 {
		t := table{head: []string{"month", "group", "members", "spent", "limit entered"}}
		for _, r := range rows {
			t.add(assess.Plain(r["month"]), assess.Plain(r["group"]), assess.Plain(r["members"]), dollars(r["spent_micros"]), dollars(r["limit_micros"]))
		}
		out = t.lines()
	}
	months, err := w.list("spend.months")
	if err != nil {
		return nil, err
	}
	for _, m := range months {
		out = append(out, fmt.Sprintf("%s, whole organisation: %s spent, ceiling %s", assess.Plain(m["month"]), dollars(m["spent_micros"]), dollars(m["limit_micros"])))
	}
	if len(out) == 0 {
		out = []string{"No priced request was seen."}
	}
	return out, nil
}

// dollars writes micro-dollars for people; what is negative is no limit.
func dollars(v any) string {
	if number(v) < 0 {
		return "none"
	}
	return "$" + grouped(fmt.Sprintf("%.2f", number(v)/1e6))
}

// grouped puts commas between thousands.
func grouped(s string) string {
	whole, frac, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if frac != "" {
		whole += "." + frac
	}
	return whole
}

func (w *World) telemetry(x Exhibit) ([]string, error) {
	recs := w.Evidence.Prompts[x.Story]
	if len(recs) == 0 {
		what := "an ordinary prompt"
		if x.Story != "" {
			what = fmt.Sprintf("the story %q", x.Story)
		}
		return nil, fmt.Errorf("the stream shows no record of %s", what)
	}
	n := x.Lines
	if n == 0 {
		n = 6
	}
	out := []string{"prompt.id " + recs[0].Prompt}
	for _, i := range pick(recs, n) {
		out = append(out, recs[i].Line())
	}
	return out, nil
}

// pick chooses which n records of a prompt are worth showing, in their order:
// hooks and connections tell a learner little.
func pick(recs []Record, n int) []int {
	var out []int
	for pass := 0; pass < 2 && len(out) < n; pass++ {
		for i, r := range recs {
			dull := strings.HasPrefix(r.Event, "hook_") || strings.HasPrefix(r.Event, "mcp_server")
			if len(out) < n && dull == (pass == 1) {
				out = append(out, i)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Line is the record in one line, cut to the width of a terminal.
func (r Record) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-13s", r.Time.UTC().Format(time.TimeOnly), r.Event)
	for _, f := range r.Fields {
		fmt.Fprintf(&b, " %s=%s", f[0], f[1])
	}
	return cut(b.String(), Width-2)
}

func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func (w *World) alerts() ([]string, error) {
	rows, err := w.list("rules")
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return []string{"No alert rule is in use."}, nil
	}
	t := table{head: []string{"rule", "reached", "evaluable", "alerts"}}
	for _, r := range rows {
		t.add(assess.Plain(r["ID"]), assess.Plain(r["Reached"]), assess.Plain(r["Evaluable"]), assess.Plain(r["Alerts"]))
	}
	return t.lines(), nil
}

func (w *World) adoption() ([]string, error) {
	days, err := w.list("adoption.days")
	if err != nil {
		return nil, err
	}
	t := table{head: []string{"day", "sessions", "DAU", "WAU", "MAU", "enabled", "seats"}}
	for i, d := range days {
		if i < 6 {
			t.add(assess.Plain(d["date"]), assess.Plain(d["sessions"]), assess.Plain(d["dau"]), assess.Plain(d["wau"]), assess.Plain(d["mau"]), assess.Plain(d["enabled"]), assess.Plain(d["seats"]))
		}
	}
	return t.lines(), nil
}

func (w *World) coverage() ([]string, error) {
	v, ok := w.Lookup("coverage")
	if !ok {
		return nil, fmt.Errorf("the run has no coverage")
	}
	get := func(p string) string {
		x, _ := assess.Lookup(v, p)
		return assess.Plain(x)
	}
	c := w.Evidence.Doc["counters"]
	records, _ := assess.Lookup(c, "records")
	out := []string{
		fmt.Sprintf("records received: %s, of them from Cowork: %s", assess.Plain(records), get("cowork_records")),
		fmt.Sprintf("members heard: %s of %s with Cowork", get("seats_heard.n"), get("seats_heard.of")),
		fmt.Sprintf("prompts: %s, with their text: %s", get("prompts"), get("prompt_texts.n")),
		fmt.Sprintf("weeks: %s, of them without one event: %s", get("weeks"), get("silent_weeks")),
	}
	if l, ok := assess.Lookup(v, "products"); ok {
		if products, _ := l.([]any); len(products) > 0 {
			var parts []string
			for _, p := range products {
				name, _ := assess.Lookup(p, "name")
				n, _ := assess.Lookup(p, "n")
				parts = append(parts, assess.Plain(name)+" "+assess.Plain(n))
			}
			out = append(out, "by product: "+strings.Join(parts, ", "))
		}
	}
	return out, nil
}

func (w *World) setup() []string {
	s := w.Scenario
	o := &s.Organisation
	list := func(l []string) string {
		if len(l) == 0 {
			return "none"
		}
		return strings.Join(l, ", ")
	}
	t := table{}
	t.add("plan", o.Plan.Value)
	t.add("seats", fmt.Sprint(o.Seats))
	if len(o.Kind) > 0 {
		t.add("declared as", strings.ReplaceAll(list(o.Kind), "_", " "))
	}
	t.add("arrangements", strings.ReplaceAll(list(o.Arrangements), "_", " "))
	if len(o.Modes) > 0 {
		t.add("Cowork runs", list(o.Modes))
	}
	if len(o.Desktops) > 0 {
		var vs []string
		for v, share := range o.Desktops {
			vs = append(vs, fmt.Sprintf("%s on %.0f of 100 devices", v, share*100))
		}
		slices.Sort(vs)
		t.add("desktops", strings.Join(vs, ", "))
	}
	switch {
	case !s.Telemetry.On():
		t.add("OpenTelemetry", "not exported")
	case len(s.Telemetry.Destinations) > 0:
		t.add("OpenTelemetry", "to "+list(s.Telemetry.Destinations))
	default:
		t.add("OpenTelemetry", "to a collector")
	}
	if d := o.Settings.ComplianceAPI; d.Given() {
		t.add("Compliance API", "on since "+d.String())
	} else {
		t.add("Compliance API", "not switched on")
	}
	return t.lines()
}

func (w *World) surfaces() ([]string, error) {
	rows, err := w.list("gaps.audit-log.surfaces")
	if err != nil {
		return nil, err
	}
	t := table{head: []string{"surface", "Cowork activity"}}
	for _, r := range rows {
		t.add(assess.Plain(r["name"]), strings.ReplaceAll(assess.Plain(r["state"]), "_", " "))
	}
	return t.lines(), nil
}

func (w *World) values(of []Link) ([]string, error) {
	t := table{}
	for _, l := range of {
		v, ok := w.Lookup(l.Path.Value)
		if !ok {
			return nil, fmt.Errorf("%s leads nowhere", l.Path)
		}
		t.add(l.name(), assess.Plain(v))
	}
	return t.lines(), nil
}

// table lays out columns two spaces apart.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) lines() []string {
	all := t.rows
	if t.head != nil {
		all = append([][]string{t.head}, t.rows...)
	}
	var width []int
	for _, r := range all {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	var out []string
	for _, r := range all {
		var b strings.Builder
		for i, c := range r {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-len([]rune(c))))
			}
		}
		out = append(out, cut(b.String(), Width-2))
	}
	return out
}
