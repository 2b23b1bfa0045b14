package coverage

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

var start = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func roster(n int) *org.Directory {
	var ms []org.Member
	for i := range n {
		ms = append(ms, org.Member{ID: fmt.Sprint("user_", i), Account: fmt.Sprint("acc-", i), Email: fmt.Sprintf("m%d@ex.example", i)})
	}
	return org.NewDirectory(&org.Config{}, ms)
}

// rec is a Cowork record of a member at a minute of the period.
func rec(member int, session string, seq int64, minute int, edit ...func(*event.Event)) *event.Event {
	ev := &event.Event{Kind: event.HookStart, Name: "hook_execution_start", Product: event.Cowork, Session: session, Sequence: seq,
		Time: start.Add(time.Duration(minute) * time.Minute).UnixNano(), Has: event.FTime | event.FSequence | event.FSession}
	if member >= 0 {
		ev.Account = fmt.Sprint("acc-", member)
	}
	for _, f := range edit {
		f(ev)
	}
	ev.Derive()
	return ev
}

func kind(k event.Kind) func(*event.Event) {
	return func(e *event.Event) { e.Kind, e.Name = k, k.String() }
}

func observe(cfg Config, evs ...*event.Event) *Report {
	o := New(cfg)
	for _, ev := range evs {
		o.Observe(ev)
	}
	return o.Report()
}

func period(d *org.Directory, days int) Config {
	return Config{Directory: d, From: start, To: start.AddDate(0, 0, days)}
}

func TestNothingSeenIsUnknown(t *testing.T) {
	other := rec(0, "s", 0, 0, func(e *event.Event) { e.Product = event.ClaudeCode })
	r := observe(period(roster(2), 28), other, other)
	if r.Records != 0 || r.SequenceHoles.Known() || r.Identity.Known() || r.Paths.Known() || r.SkewKnown || r.ContentEvaluable.Known() {
		t.Errorf("%+v", r)
	}
	if r.SeatsHeard != (Ratio{0, 2}) || !slices.Equal(r.Silent, []int{0, 1}) || r.Weeks != 4 || r.SilentWeeks != 4 {
		t.Errorf("%+v", r)
	}
	if len(r.Products) != 1 || r.Products[0] != (Count{"Claude Code", 2}) {
		t.Errorf("%+v", r.Products)
	}
}

func TestSeatsAndIdentity(t *testing.T) {
	d := roster(4)
	d.SetLeft(3, start.Add(time.Hour))
	cfg := period(d, 7)
	cfg.Enabled = func(m int) bool { return m != 1 }
	r := observe(cfg,
		rec(0, "a", 0, 0),
		rec(1, "b", 0, 0), // heard, but not enabled: no seat of the denominator
		rec(3, "c", 0, 59), rec(3, "c", 1, 60),
		rec(-1, "d", 0, 0),
		rec(-1, "e", 0, 0, func(e *event.Event) { e.Email = "M2@EX.example" }),
		rec(-1, "f", 0, 0, func(e *event.Event) { e.Email = "stranger@ex.example" }),
		rec(0, "g", 0, 0, func(e *event.Event) { e.Email = "m2@ex.example" }),
		rec(0, "h", 0, 0, func(e *event.Event) { e.Email = "new-address@ex.example" }),
	)
	if r.Identity != (Ratio{6, 9}) || r.IdentityMissing != 1 || r.IdentityUnknown != 1 || r.IdentityTorn != 1 {
		t.Errorf("%v %d %d %d", r.Identity, r.IdentityMissing, r.IdentityUnknown, r.IdentityTorn)
	}
	if r.SeatsHeard != (Ratio{3, 3}) || len(r.Silent) != 0 || r.LateLeaverEvents != 1 {
		t.Errorf("%v %v %d", r.SeatsHeard, r.Silent, r.LateLeaverEvents)
	}
	if r.Sessions != 8 {
		t.Errorf("sessions %d", r.Sessions)
	}
}

func TestSequence(t *testing.T) {
	seqs := func(pairs ...int) []*event.Event { // number, minute
		var evs []*event.Event
		for i := 0; i < len(pairs); i += 2 {
			evs = append(evs, rec(0, "s", int64(pairs[i]), pairs[i+1]))
		}
		return evs
	}
	for name, x := range map[string]struct {
		evs       []*event.Event
		holes     Ratio
		processes int64
		dup       int64
	}{
		"whole":                     {seqs(0, 0, 1, 0, 2, 1), Ratio{0, 3}, 1, 0},
		"a hole":                    {seqs(0, 0, 1, 0, 4, 1), Ratio{2, 5}, 1, 0},
		"late record":               {seqs(0, 0, 1, 1, 4, 4, 2, 2, 3, 3), Ratio{0, 5}, 1, 0},
		"begins midway":             {seqs(40, 0, 41, 1), Ratio{0, 2}, 1, 0},
		"first arrives last":        {seqs(2, 2, 3, 3, 0, 0, 1, 1), Ratio{0, 4}, 1, 0},
		"delivered twice":           {seqs(0, 0, 1, 1, 0, 0, 1, 1, 2, 2), Ratio{0, 3}, 1, 2},
		"resumed":                   {seqs(0, 0, 1, 1, 2, 2, 0, 9, 1, 10), Ratio{0, 5}, 2, 0},
		"resumed with holes":        {seqs(0, 0, 3, 1, 0, 9, 5, 10), Ratio{6, 10}, 2, 0},
		"two processes at one time": {seqs(0, 0, 1, 1, 2, 2, 0, 2, 3, 3, 1, 3, 4, 4, 2, 4), Ratio{0, 8}, 2, 0},
	} {
		r := observe(period(roster(1), 7), x.evs...)
		if r.SequenceHoles != x.holes || r.Processes != x.processes || r.Duplicates != x.dup {
			t.Errorf("%s: %v, %d processes, %d duplicates; want %+v", name, r.SequenceHoles, r.Processes, r.Duplicates, x)
		}
	}
}

// A stream of processes with records lost, delivered twice and (in the first
// process, where nothing else explains it) shuffled inside each export batch
// shows the losses between first and last, and nothing else.
func TestSequenceProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var sent []*event.Event
		var missing, expected, records, dups int64
		minute := 0
		for p := range rapid.IntRange(1, 5).Draw(t, "processes") {
			minute += 60
			n := rapid.IntRange(1, 80).Draw(t, "length")
			first, last := -1, -1
			var batch []*event.Event
			for i := range n {
				minute++
				if i > 0 && rng.Float64() < 0.2 {
					continue
				}
				if first < 0 {
					first = i
				}
				last = i
				records++
				batch = append(batch, rec(0, "s", int64(i), minute))
				if rng.Float64() < 0.1 {
					batch = append(batch, batch[len(batch)-1])
					dups++
				}
			}
			if first >= 0 {
				expected += int64(last - first + 1)
			}
			for len(batch) > 0 {
				k := min(1+rng.IntN(8), len(batch))
				sent = append(sent, batch[:k]...)
				if p == 0 {
					rng.Shuffle(k, func(i, j int) { sent[len(sent)-k+i], sent[len(sent)-k+j] = sent[len(sent)-k+j], sent[len(sent)-k+i] })
				}
				batch = batch[k:]
			}
		}
		missing = expected - records
		r := observe(Config{Directory: roster(1)}, sent...)
		if r.SequenceHoles != (Ratio{missing, expected}) || r.Duplicates != dups || r.Records != records {
			t.Fatalf("%v of %d records with %d duplicates; want %d of %d, %d, %d", r.SequenceHoles, r.Records, r.Duplicates, missing, expected, records, dups)
		}
	})
}

func TestContentAndDetectors(t *testing.T) {
	prompt := func(text string) func(*event.Event) {
		return func(e *event.Event) {
			kind(event.UserPrompt)(e)
			e.PromptText, e.Has = text, e.Has|event.FPromptText
		}
	}
	tool := func(name, input string) func(*event.Event) {
		return func(e *event.Event) {
			kind(event.ToolResult)(e)
			e.Tool, e.Input = name, input
			if input != "" {
				e.Has |= event.FInput
			}
		}
	}
	r := observe(period(roster(1), 7),
		rec(0, "s", 0, 0, prompt("Refund card 4111 1111 1111 1111 cvv 123 please")),
		rec(0, "s", 1, 0, prompt("Patient Jane Roe, MRN 12345678, diagnosis E11.9")),
		rec(0, "s", 2, 0, prompt(event.Redacted)),
		rec(0, "s", 3, 0, prompt("")),
		rec(0, "s", 4, 0, tool("Read", `{"file_path":"/home/a/b.txt"}`)),
		rec(0, "s", 5, 0, tool("Read", `{"file_path":"notes.txt"}`)),
		rec(0, "s", 6, 0, tool("Read", `{"file_path":"/home/a/../b.txt"}`)),
		rec(0, "s", 7, 0, tool("Write", `{"file_path":"C:\\Data\\cards.csv","content":"card 5500005555555559"}`)),
		rec(0, "s", 8, 0, tool("Read", "")),
		rec(0, "s", 9, 0, tool("Bash", `{"command":"ls"}`)),
		rec(0, "s", 10, 0, tool("mcp_tool", "")),
		rec(0, "s", 11, 0, tool("mcp__zoom__get_summary", `{"id":"1"}`)),
		rec(0, "s", 12, 0, kind(event.AssistantResponse)),
	)
	if r.PANHits != 2 || r.SADHits != 1 || r.PHIHits != 1 {
		t.Errorf("hits %d %d %d", r.PANHits, r.SADHits, r.PHIHits)
	}
	if r.PromptTexts != (Ratio{3, 4}) || r.ToolTexts != (Ratio{6, 8}) || r.ResponseTexts != (Ratio{0, 1}) || r.ContentEvaluable != (Ratio{9, 13}) {
		t.Errorf("%v %v %v %v", r.PromptTexts, r.ToolTexts, r.ResponseTexts, r.ContentEvaluable)
	}
	if r.Paths != (Ratio{2, 6}) || r.MCP != (Ratio{1, 2}) {
		t.Errorf("paths %v, mcp %v", r.Paths, r.MCP)
	}
	if !slices.Equal(r.Content, []string{"userPrompts", "toolDetails"}) {
		t.Errorf("%q", r.Content)
	}
}

func TestDecisionsAndPrompts(t *testing.T) {
	decision := func(use, decision, source string) func(*event.Event) {
		return func(e *event.Event) {
			kind(event.ToolDecision)(e)
			e.Tool, e.ToolUse, e.Decision, e.Source = "Read", use, decision, source
		}
	}
	result := func(use string) func(*event.Event) {
		return func(e *event.Event) { kind(event.ToolResult)(e); e.Tool, e.ToolUse = "Read", use }
	}
	ask := func(id string, k event.Kind) func(*event.Event) {
		return func(e *event.Event) { kind(k)(e); e.Prompt = id }
	}
	r := observe(period(roster(1), 7),
		rec(0, "s", 0, 0, ask("p1", event.UserPrompt)), rec(0, "s", 1, 0, ask("p1", event.APIRequest)),
		rec(0, "s", 2, 0, ask("p2", event.APIRequest)), rec(0, "s", 3, 1, ask("p2", event.HookStart)),
		rec(0, "s", 4, 1, decision("t1", "accept", "config")), rec(0, "s", 5, 1, result("t1")),
		rec(0, "s", 6, 1, result("t2")), rec(0, "s", 7, 1, decision("t2", "accept", "user_temporary")), // the result came first
		rec(0, "s", 8, 1, decision("t3", "reject", "user_reject")),
		rec(0, "s", 9, 1, decision("t4", "accept", "hook")),
		rec(0, "s", 10, 1, result("t5")),
		rec(0, "s", 11, 1, decision("t6", "accept", "something new")), rec(0, "s", 12, 1, result("t6")),
	)
	if r.OrphanPrompts != (Ratio{1, 2}) || r.Prompts != 1 {
		t.Errorf("orphans %v, prompts %d", r.OrphanPrompts, r.Prompts)
	}
	if r.AutoAccept != (Ratio{2, 4}) || r.Decisions != 5 {
		t.Errorf("auto %v of %d", r.AutoAccept, r.Decisions)
	}
	if r.DecisionsWithoutResult != (Ratio{1, 4}) || r.ResultsWithoutDecision != (Ratio{1, 4}) {
		t.Errorf("%v %v", r.DecisionsWithoutResult, r.ResultsWithoutDecision)
	}
	if r.RequestsWithoutCost != (Ratio{2, 2}) {
		t.Errorf("costs %v", r.RequestsWithoutCost)
	}
}

func TestSkew(t *testing.T) {
	cfg := period(roster(1), 7)
	var evs []*event.Event
	for i := range 200 {
		evs = append(evs, rec(0, "s", int64(i), i, func(e *event.Event) {
			e.Observed, e.Has = e.Time+2e9-int64(i%2)*4e9, e.Has|event.FObserved // ahead and behind
			if i < 3 {
				e.Observed = e.Time + 3600e9
			}
		}))
	}
	if r := observe(cfg, evs...); r.SkewKnown {
		t.Error("client time alone says nothing about skew")
	}
	cfg.ObservedIsReceive = true
	if r := observe(cfg, evs...); !r.SkewKnown || r.SkewP99Seconds != 3600 {
		t.Errorf("3 in 200: %d", r.SkewP99Seconds)
	}
	if r := observe(cfg, evs[1:]...); r.SkewP99Seconds != 3600 {
		t.Errorf("2 in 199: %d", r.SkewP99Seconds)
	}
	if r := observe(cfg, evs[2:]...); r.SkewP99Seconds != 2 {
		t.Errorf("1 in 198: %d", r.SkewP99Seconds)
	}
	for ns, want := range map[int64]int64{0: 0, 1: 1, -1_000_000_001: 2, 600e9: 600, 601e9: 610, 12_345e9: 13_000} {
		if got := coarse(ns); got != want {
			t.Errorf("%d ns is %d s, want %d", ns, got, want)
		}
	}
}

func TestPeriodAndVersions(t *testing.T) {
	version := func(v string) func(*event.Event) { return func(e *event.Event) { e.ServiceVersion = v } }
	r := observe(period(roster(1), 16),
		rec(0, "s", 0, -1), rec(0, "s", 1, 0, version("1.12603.1")), rec(0, "s", 2, 10*24*60, version("1.9255.2")), rec(0, "s", 3, 16*24*60),
		rec(0, "t", 0, 0, version("1.9255.2"), func(e *event.Event) { e.Has &^= event.FTime; e.Time = 0 }))
	if r.Records != 3 || r.OutsidePeriod != 2 || r.Untimed != 1 || r.Weeks != 2 || r.SilentWeeks != 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Versions) != 2 || r.Versions[0] != (VersionCount{"1.9255.2", "", 2}) {
		t.Errorf("versions compare by number: %+v", r.Versions)
	}
}

// A session that fell silent for more than a day is closed, and what it showed
// stays counted.
// Prompts that nobody heard of for days are counted and forgotten, so that a
// year holds no more of them in memory than a week; one that waits over a long
// weekend is still the same prompt.
func TestPromptsAreForgotten(t *testing.T) {
	o := New(period(roster(1), 400))
	asked := kind(event.UserPrompt)
	most := 0
	for day := range 365 {
		for k := range 10 {
			id := func(e *event.Event) { e.Prompt = fmt.Sprintf("p-%d-%d", day, k) }
			minute := day*24*60 + k
			if k > 0 { // the first of a day has no user_prompt
				o.Observe(rec(0, fmt.Sprint("s", day), int64(2*k), minute, asked, id))
			}
			o.Observe(rec(0, fmt.Sprint("s", day), int64(2*k+1), minute, id))
			if day >= 3 { // goes on after a long weekend
				o.Observe(rec(0, fmt.Sprint("s", day-3), int64(100+k), minute, func(e *event.Event) { e.Prompt = fmt.Sprintf("p-%d-%d", day-3, k) }))
			}
		}
		most = max(most, o.prompts.now.asked.Len()+o.prompts.now.other.Len()+o.prompts.before.asked.Len()+o.prompts.before.other.Len())
	}
	if r := o.Report(); r.OrphanPrompts != (Ratio{365, 3650}) {
		t.Errorf("orphans %v, expected 365 of 3650", r.OrphanPrompts)
	}
	if most > 120 {
		t.Errorf("%d prompts in memory at once", most)
	}
}

func TestIdleSessionsAreClosed(t *testing.T) {
	o := New(Config{Directory: roster(1)})
	for i := range 100 {
		o.Observe(rec(0, fmt.Sprint("old-", i), 0, i))
		o.Observe(rec(0, fmt.Sprint("old-", i), 2, i))
	}
	for i := range sweep {
		o.Observe(rec(0, "new", int64(i), 3*24*60))
	}
	if len(o.live) > 1 {
		t.Errorf("%d sessions are kept", len(o.live))
	}
	if r := o.Report(); r.Sessions != 101 || r.SequenceHoles != (Ratio{100, 300 + sweep}) {
		t.Errorf("%d sessions, %v", r.Sessions, r.SequenceHoles)
	}
}

func TestJSONNamesNobody(t *testing.T) {
	r := observe(period(roster(3), 7), rec(0, "s", 0, 0))
	b, err := json.Marshal(r)
	if err != nil || strings.Contains(string(b), "acc-") || !strings.Contains(string(b), `"members_silent":2`) || !strings.Contains(string(b), `"seats_heard":{"n":1,"of":3}`) {
		t.Errorf("%s %v", b, err)
	}
}

func BenchmarkObserve(b *testing.B) {
	var evs []*event.Event
	for i := range 4096 {
		evs = append(evs, rec(i%100, fmt.Sprint("s", i%100), int64(i/100), i, func(e *event.Event) {
			if e.Prompt = fmt.Sprint("p", i%500); i%10 == 0 {
				kind(event.UserPrompt)(e)
				e.PromptText, e.Has = "Summarise the correspondence for claim CL-2026-123456 and list what is still missing.", e.Has|event.FPromptText
			}
		}))
	}
	o := New(Config{Directory: roster(100)})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		ev := *evs[n%4096]
		ev.Sequence += int64(n / 4096 * 41)
		ev.Time += int64(n/4096) * int64(4096*time.Minute)
		o.Observe(&ev)
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func TestSilent(t *testing.T) {
	at := func(s string) int64 {
		x, err := time.Parse("Mon 2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixNano()
	}
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"Mon 2026-04-13 09:00", "Tue 2026-04-14 09:00", false},
		{"Mon 2026-04-13 09:00", "Tue 2026-04-14 09:01", true},
		{"Fri 2026-04-17 17:00", "Mon 2026-04-20 09:00", false}, // over a weekend
		{"Fri 2026-04-17 17:00", "Mon 2026-04-20 18:00", true},
		{"Sat 2026-04-18 10:00", "Mon 2026-04-20 09:00", false},
		{"Mon 2026-04-13 09:00", "Wed 2026-04-22 09:00", true},
	} {
		if got := silent(at(c.from), at(c.to)); got != c.want {
			t.Errorf("%s to %s: silent %v", c.from, c.to, got)
		}
	}
}
