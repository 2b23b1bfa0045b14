package replay_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/sandtable-dev/sandtable/assess/analytics"
	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// This is the pipeline as one would write it first: the library decodes a whole
// request into its tree, attributes go into a map, everything is sorted in memory,
// conditions run in expr's own machine over a map, and figures are counted in maps
// of strings. It shares no line with what it holds to account.

// row is one record.
type row map[string]any

// rowsOf decodes a file of frames or lines with the library.
func rowsOf(t testing.TB, file string) (rows []row) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var requests []plog.Logs
	if data[0] == '{' {
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			l, err := new(plog.JSONUnmarshaler).UnmarshalLogs([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, l)
		}
	} else {
		open, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		for len(data) > 0 {
			n := binary.BigEndian.Uint32(data)
			frame := data[4 : 4+n]
			data = data[4+n:]
			if frame[0] == 0x28 {
				if frame, err = open.DecodeAll(frame, nil); err != nil {
					t.Fatal(err)
				}
			}
			l, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(frame)
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, l)
		}
	}
	for _, l := range requests {
		for i := range l.ResourceLogs().Len() {
			res := l.ResourceLogs().At(i)
			for j := range res.ScopeLogs().Len() {
				records := res.ScopeLogs().At(j).LogRecords()
				for k := range records.Len() {
					r := row{"_time": int64(records.At(k).Timestamp()), "_index": len(rows)}
					for _, m := range []pcommon.Map{res.Resource().Attributes(), records.At(k).Attributes()} {
						for key, v := range m.All() {
							r[key] = v.AsRaw()
						}
					}
					rows = append(rows, r)
				}
			}
		}
	}
	return rows
}

func (r row) text(key string) string { s, _ := r[key].(string); return s }
func (r row) has(key string) bool    { _, ok := r[key]; return ok }
func (r row) time() time.Time        { return time.Unix(0, r["_time"].(int64)).UTC() }

func (r row) number(key string) int64 {
	switch v := r[key].(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

// cost is the estimated cost in micro-dollars, as far as the wire says.
func (r row) cost() (micros int64, known bool) {
	switch {
	case r.text("event.name") != "api_request":
		return 0, false
	case r.has("cost_usd_micros"):
		return r.number("cost_usd_micros"), true
	case r.has("cost_usd"):
		f, ok := r["cost_usd"].(float64)
		if s, text := r["cost_usd"].(string); text {
			f, _ = strconv.ParseFloat(s, 64)
			ok = true
		}
		return int64(math.Round(f * 1e6)), ok
	}
	return 0, false
}

// server is the MCP server that a call names.
func (r row) server() (name string, call, known bool) {
	var p struct {
		Server string `json:"mcp_server_name"`
	}
	tool := r.text("tool_name")
	if s := r.text("tool_parameters"); s != "" && json.Unmarshal([]byte(s), &p) == nil && p.Server != "" {
		return p.Server, true, true
	}
	if s := r.text("mcp_server.name"); s != "" && s != "custom" && s != "third-party" && s != "<REDACTED>" {
		return s, true, true
	}
	if rest, ok := strings.CutPrefix(tool, "mcp__"); ok {
		if s, _, ok := strings.Cut(rest, "__"); ok {
			return s, true, true
		}
		return "", true, false
	}
	return "", tool == "mcp_tool" || r.text("tool_source") == "mcp" || r.text("tool_source") == "sdk_host_builtin_mcp", false
}

func (r row) member(dir *org.Directory) (*org.Member, bool) {
	for _, k := range []string{"user.account_uuid", "user.email", "user.account_id"} {
		if m, ok := dir.Lookup(r.text(k)); ok {
			return &m, true
		}
	}
	return nil, false
}

// figures are what the pipeline and its reference must agree on.
type figures struct {
	Received, Events, Duplicates, Outside int64
	First, Last                           time.Time
	Kinds                                 map[string]int64
	Sessions, Prompts                     int64
	Identified, Heard                     int64
	Orphans                               int64
	Denied                                map[string]int // member: records without the permission
	Spent                                 map[string]int64
	Blocked                               map[string]string
	Days                                  []string
	Rules                                 map[string][3]int64 // reached, evaluable, matched
}

// conditions that can be said in the words that the reference knows; a rule that
// asks for others is held to account by its own tests.
var knownWords = []string{"kind", "tool_name", "decision", "source", "approval", "is_mcp", "mcp_server", "allowlist", "success", "cost_micros", "has_identity",
	"to_mode", "member", "session", "true", "not", "and", "or", "in"}

var word = regexp.MustCompile(`"[^"]*"|[a-z_]+\(?`)

func sayable(r *alert.Rule) bool {
	if len(r.Exceptions) > 0 || len(r.Correlation.Steps) > 0 {
		return false
	}
	text := r.Condition.Value
	for _, k := range r.Correlation.Key {
		text += " " + k.Value
	}
	for _, w := range word.FindAllString(text+" "+r.Correlation.Field.Value, -1) {
		if w[0] != '"' && !slices.Contains(knownWords, w) {
			return false
		}
	}
	return true
}

// words are the values of a record's words; what is not in the map is not known.
func words(r row) map[string]any {
	w := map[string]any{"kind": r.text("event.name")}
	for _, k := range []string{"tool_name", "to_mode"} {
		if s := r.text(k); s != "" && s != "<REDACTED>" {
			w[k] = s
		}
	}
	decision, source := "decision", "source"
	if r.text("event.name") == "tool_result" {
		decision, source = "decision_type", "decision_source"
	}
	for name, k := range map[string]string{"decision": decision, "source": source, "session": "session.id"} {
		if s := r.text(k); s != "" {
			w[name] = s
		}
	}
	if r.text("event.name") == "tool_decision" {
		switch r.text("decision") + " " + r.text("source") {
		case "accept config":
			w["approval"] = "automatic"
		case "accept hook":
			w["approval"] = "hook"
		case "accept user_temporary", "accept user_permanent":
			w["approval"] = "manual"
		case "reject user_reject":
			w["approval"] = "rejected by a person"
		case "reject user_abort":
			w["approval"] = "dismissed"
		case "reject config":
			w["approval"] = "denied by policy"
		case "reject hook":
			w["approval"] = "denied by hook"
		}
	}
	if r.text("tool_name") != "" {
		server, call, known := r.server()
		w["is_mcp"] = call
		if known {
			w["mcp_server"] = strings.ToLower(server)
		}
	}
	switch v := r["success"].(type) {
	case bool:
		w["success"] = v
	case string:
		w["success"] = v == "true"
	}
	if micros, ok := r.cost(); ok {
		w["cost_micros"] = int(micros)
	}
	who := cmp.Or(r.text("user.account_uuid"), r.text("user.email"))
	w["has_identity"] = who != ""
	if who != "" {
		w["member"] = who
	}
	return w
}

// evaluate asks expr for every way in which the words that are not known could
// turn out. A condition is known when all give the same answer.
func evaluate(t testing.TB, text string, known map[string]any, allow []string) (result, certain bool) {
	var open []string
	for _, w := range word.FindAllString(text, -1) {
		if _, ok := known[w]; !ok && w[0] != '"' && !slices.Contains([]string{"true", "not", "and", "or", "in", "allowlist"}, w) && !slices.Contains(open, w) {
			open = append(open, w)
		}
	}
	env := map[string]any{"allowlist": allow}
	for k, v := range known {
		env[k] = v
	}
	could := map[bool]bool{}
	for pick := range 1 << len(open) {
		for i, w := range open {
			high := pick>>i&1 == 1
			switch w {
			case "is_mcp", "success", "has_identity":
				env[w] = high
			case "cost_micros":
				env[w] = map[bool]int{true: math.MaxInt32, false: -1}[high]
			default: // a text that some condition names, or one that none does
				quoted := regexp.MustCompile(w + `\s*(?:==|in)\s*\[?"([^"]*)"`).FindStringSubmatch(text)
				env[w] = "\x00"
				if high && quoted != nil {
					env[w] = quoted[1]
				} else if high && len(allow) > 0 {
					env[w] = allow[0]
				}
			}
		}
		v, err := expr.Eval(text, env)
		if err != nil {
			t.Fatalf("%s over %v: %v", text, env, err)
		}
		could[v.(bool)] = true
	}
	return could[true], len(could) == 1
}

func reference(t testing.TB, c *corpus, file string, rs []*alert.Rule, allow []string) *figures {
	dir := c.ground.Directory
	from, until := c.s.Period.From.Time, c.s.Period.To.Time.AddDate(0, 0, 1)
	f := &figures{Kinds: map[string]int64{}, Denied: map[string]int{}, Spent: map[string]int64{}, Blocked: map[string]string{}, Rules: map[string][3]int64{}}
	for _, r := range rs {
		f.Rules[r.ID.Value] = [3]int64{}
	}
	rows := rowsOf(t, file)
	f.Received = int64(len(rows))
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a["_time"].(int64), b["_time"].(int64)), cmp.Compare(a.text("session.id"), b.text("session.id")), cmp.Compare(a.number("event.sequence"), b.number("event.sequence")))
	})
	access, ledger := rbac.New(dir, rbac.Rules{}), spend.New(dir, spend.Rules{GroupLimits: true})
	seen, sessions, prompts, asked, heard := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	active := map[string]map[string]bool{}  // day: members
	perDay := map[string]map[string]bool{}  // day: sessions
	answers := map[string]map[string]bool{} // what a condition says of one set of words
	certain := map[string]map[string]bool{}
	for _, r := range rows {
		name := r.text("event.name")
		id := fmt.Sprint(r.text("session.id"), "/", r["event.sequence"], "/", r["_time"], "/", name)
		if seen[id] {
			f.Duplicates++
			continue
		}
		seen[id] = true
		at := r.time()
		if at.Before(from) || !at.Before(until) {
			f.Outside++
			continue
		}
		f.Events++
		if f.First.IsZero() {
			f.First = at
		}
		f.Last = at
		if r.text("service.name") != "cowork" {
			continue
		}
		f.Kinds[name]++
		if s := r.text("session.id"); s != "" {
			sessions[s] = true
		}
		if p := r.text("prompt.id"); p != "" {
			prompts[p] = true
			if name == "user_prompt" {
				asked[p] = true
			}
		}
		m, known := r.member(dir)
		who := ""
		if known {
			who = m.Account
		}
		day := at.Format(time.DateOnly)
		busy := name == "user_prompt" || name == "tool_result" || name == "skill_activated"
		if busy {
			if perDay[day] == nil {
				perDay[day], active[day] = map[string]bool{}, map[string]bool{}
			}
			perDay[day][r.text("session.id")+" "+who] = true
		}
		if known {
			f.Identified++
			heard[m.Account] = true
			if busy {
				active[day][m.Account] = true
			}
			if left := m.Left; left.IsZero() || at.Before(left) {
				if access.Capability(m.Index, rbac.Cowork, at).Outcome == rbac.Deny {
					f.Denied[m.Account]++
				}
			}
			if micros, ok := r.cost(); ok {
				key := m.Account + " " + at.Format("2006-01")
				limit, _, free := ledger.Limit(m.Index, at)
				if !free && f.Spent[key] >= limit && f.Blocked[key] == "" {
					f.Blocked[key] = at.Format(time.RFC3339Nano)
				}
				f.Spent[key] += micros
			}
		}
		w := words(r)
		state := fmt.Sprint(w["kind"], w["tool_name"], w["to_mode"], w["decision"], w["source"], w["approval"], w["is_mcp"], w["mcp_server"], w["success"], w["has_identity"], w["cost_micros"])
		for _, rule := range rs {
			if len(rule.Kinds) > 0 && !slices.ContainsFunc(rule.Kinds, func(k source.Text) bool { return k.Value == name }) {
				continue
			}
			n := f.Rules[rule.ID.Value]
			n[0]++
			text := rule.Condition.Value
			if answers[text] == nil {
				answers[text], certain[text] = map[string]bool{}, map[string]bool{}
			}
			result, done := answers[text][state]
			if !done {
				result, certain[text][state] = evaluate(t, text, w, allow)
				answers[text][state] = result
			}
			if certain[text][state] {
				whole := true
				for _, k := range rule.Correlation.Key {
					whole = whole && (!result || w[k.Value] != nil)
				}
				if k := rule.Correlation.Field.Value; k != "" && result {
					whole = whole && w[k] != nil
				}
				if whole {
					n[1]++
					if result {
						n[2]++
					}
				}
			}
			f.Rules[rule.ID.Value] = n
		}
	}
	f.Sessions, f.Prompts, f.Heard = int64(len(sessions)), int64(len(prompts)), int64(len(heard))
	for p := range prompts {
		if !asked[p] {
			f.Orphans++
		}
	}
	for d := from; d.Before(until); d = d.AddDate(0, 0, 1) {
		spans := [3]map[string]bool{{}, {}, {}}
		for i, width := range []int{1, 7, 30} {
			for back := range width {
				for m := range active[d.AddDate(0, 0, -back).Format(time.DateOnly)] {
					spans[i][m] = true
				}
			}
		}
		f.Days = append(f.Days, fmt.Sprintf("%s: %d sessions, DAU %d, WAU %d, MAU %d", d.Format(time.DateOnly), len(perDay[d.Format(time.DateOnly)]), len(spans[0]), len(spans[1]), len(spans[2])))
	}
	return f
}

// fast is the same figures from the product's own pipeline.
func fast(t testing.TB, c *corpus, file string, rs []*alert.Rule, allow []string) *figures {
	dir := c.ground.Directory
	from, until := c.s.Period.From.Time, c.s.Period.To.Time.AddDate(0, 0, 1)
	src, err := stream.Open([]string{file}, stream.Options{Borrow: true, Packed: true, Prepare: replay.Prepare(dir, alert.Mark)})
	if err != nil {
		t.Fatal(err)
	}
	access, ledger := rbac.New(dir, rbac.Rules{}), spend.New(dir, spend.Rules{GroupLimits: true})
	alerts := alert.New(rs, alert.Config{Allowlist: allow})
	cover := coverage.New(coverage.Config{Directory: dir, From: from, To: until})
	usage := analytics.New(analytics.Config{Directory: dir, From: from, To: until, Plan: "enterprise"})
	rp := replay.New(replay.Options{From: from, Until: until, Directory: dir, SideBySide: true}, access, ledger, alerts, cover, usage)
	if err := src.EachBlock(context.Background(), rp.Take); err != nil {
		t.Fatal(err)
	}
	counts, findings := rp.Close()
	seen, used, bill := cover.Report(), usage.Report(), ledger.Summary()
	f := &figures{Received: counts.Received, Events: counts.Events, Duplicates: counts.Duplicates, Outside: counts.OutsidePeriod, First: counts.First, Last: counts.Last,
		Kinds: map[string]int64{}, Sessions: seen.Sessions, Prompts: seen.OrphanPrompts.Of, Orphans: seen.OrphanPrompts.N, Identified: seen.Identity.N, Heard: seen.SeatsHeard.N,
		Denied: map[string]int{}, Spent: map[string]int64{}, Blocked: map[string]string{}, Rules: map[string][3]int64{}}
	for _, k := range seen.Kinds {
		f.Kinds[k.Name] = k.N
	}
	for _, x := range findings {
		if x.Rule == "rbac-capability" {
			f.Denied[x.Member] = x.Count
		}
	}
	for _, m := range bill.Members {
		f.Spent[m.Member+" "+m.Month] = m.Spent
	}
	for _, b := range bill.WouldBlock {
		f.Blocked[b.Member+" "+b.Month] = b.Time.Format(time.RFC3339Nano)
	}
	for _, d := range used.Days {
		f.Days = append(f.Days, fmt.Sprintf("%s: %d sessions, DAU %d, WAU %d, MAU %d", d.Date, d.Sessions, d.DAU, d.WAU, d.MAU))
	}
	for _, r := range alerts.Reports() {
		f.Rules[r.ID] = [3]int64{r.Reached, r.Evaluable, r.Matched}
	}
	return f
}

// TestFastPathSaysWhatTheReferenceSays: in every form, with and without faults on
// the wire.
func TestFastPathSaysWhatTheReferenceSays(t *testing.T) {
	shipped, err := alert.Load(alert.Packs())
	if err != nil {
		t.Fatal(err)
	}
	rs := slices.DeleteFunc(slices.Clone(shipped), func(r *alert.Rule) bool { return !sayable(r) })
	if len(rs) < 10 {
		t.Fatalf("only %d rules can be said in the reference's words", len(rs))
	}
	for name, defects := range map[string][]string{
		"clean":  nil,
		"faulty": {"duplicate-batches", "clock-skew", "late-batches", "missing-decision-source", "sequence-gaps", "content-off", "cloud-identity-loss"},
	} {
		s, err := scenarios.Load("insurer-claims")
		if err != nil {
			t.Fatal(err)
		}
		half := 0.4 // the reference takes its time
		s.Behaviour.Intensity, s.Telemetry.Defects = &half, defects
		c, err := newCorpus(s)
		if err != nil {
			t.Fatal(err)
		}
		// The stream was played under one policy and is held against a stricter one, so
		// that there is something to deny and to stop.
		for i := range s.Spend.Groups {
			s.Spend.Groups[i].Limit.Micros = 4_000_000
		}
		s.Groups[1].Roles = nil
		var allow []string
		for _, x := range s.Connectors[:1] {
			allow = append(allow, strings.ToLower(x.Name.Value))
		}
		for format, file := range c.files {
			if testing.Short() && format != "proto-zstd" {
				continue
			}
			want, got := reference(t, c, file, rs, allow), fast(t, c, file, rs, allow)
			if d := gocmp.Diff(want, got); d != "" {
				t.Errorf("%s, %s: (-reference +fast)\n%s", name, format, d)
			}
			if want.Events < 10_000 || len(want.Blocked) == 0 || len(want.Denied) == 0 || name == "faulty" && want.Duplicates == 0 {
				t.Errorf("%s, %s: a stream too small to tell anything: %+v", name, format, want)
			}
		}
	}
}

// BenchmarkReference is what BenchmarkReplay is measured against.
func BenchmarkReference(b *testing.B) {
	c, err := played()
	if err != nil {
		b.Fatal(err)
	}
	shipped, err := alert.Load(alert.Packs())
	if err != nil {
		b.Fatal(err)
	}
	rs := slices.DeleteFunc(slices.Clone(shipped), func(r *alert.Rule) bool { return !sayable(r) })
	for _, format := range []string{"proto", "json"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			total, began := int64(0), cpuTime()
			for b.Loop() {
				total += reference(b, c, c.files[format], rs, []string{}).Received
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
			if used := cpuTime() - began; used > 0 {
				b.ReportMetric(float64(total)/used.Seconds(), "events/cpu-s")
			}
		})
	}
}
