package simulate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// door is a gate for tests: members below open[day] may use Cowork.
type door struct {
	t       *testing.T
	may     func(member int, capability string, t time.Time) bool
	verdict Verdict
	limit   int64
	spent   map[[2]int]int64
	last    time.Time
}

func (d *door) clock(t time.Time) {
	if t.Before(d.last) {
		d.t.Errorf("the gate was asked about %s after %s", t, d.last)
	}
	d.last = t
}

func (d *door) MayUse(m int, c string, t time.Time) bool { return d.may == nil || d.may(m, c, t) }
func (d *door) Connector(_ int, _, _ string, _ bool, t time.Time) Verdict {
	return d.verdict
}
func (d *door) MaySpend(m int, t time.Time) bool {
	if d.t != nil {
		d.clock(t)
	}
	return d.limit == 0 || d.spent[[2]int{m, int(t.Month())}] < d.limit
}
func (d *door) Charge(m int, t time.Time, micros int64) {
	if d.t != nil {
		d.clock(t)
	}
	if d.spent == nil {
		d.spent = map[[2]int]int64{}
	}
	d.spent[[2]int{m, int(t.Month())}] += micros
}

// prices are list prices of April 2026, in dollars a million tokens.
type prices map[string][2]int64

var april = prices{"claude-opus-4-6": {5, 25}, "claude-sonnet-4-6": {3, 15}, "claude-haiku-4-5": {1, 5}}

func (p prices) Cost(model string, _ time.Time, in, out, read, write int64) (int64, bool) {
	x, ok := p[model]
	if !ok {
		return 0, false
	}
	tenths := 10*(in*x[0]+out*x[1]+2*write*x[0]) + read*x[0]
	return (tenths + 5) / 10, true
}

// company is an insurer of n members; the first pilot of each department have
// access from the first day, the first later ones from day 28.
func company(seed uint64, per map[string]int) (*scenarios.Scenario, *org.Directory) {
	cfg := org.Config{Connectors: []org.Connector{
		{Name: source.Text{Value: "claims-system"}, Enabled: true, Tools: []org.Tool{{Name: "search_claims", ReadOnly: true}, {Name: "get_claim", ReadOnly: true}, {Name: "update_claim", Write: true}}},
		{Name: source.Text{Value: "sharepoint"}, Enabled: true},
	}, Plugins: []org.Plugin{{Name: source.Text{Value: "claims-kit"}, Level: "required", Marketplace: "internal"}}}
	cfg.Organisation.Name = "Example Insurance"
	s := &scenarios.Scenario{Name: source.Text{Value: "test"}, Seed: seed, AsOf: source.Day(2026, 4, 9), Config: cfg,
		Period: scenarios.Period{From: source.Day(2026, 4, 13), To: source.Day(2026, 5, 24)}}
	s.Telemetry.Endpoint = "https://collector.example"
	var members []org.Member
	for _, dep := range []struct{ persona, zone string }{{"claims", "America/New_York"}, {"analyst", "America/Chicago"}, {"finance", ""}, {"marketing", "Europe/Berlin"}, {"operations", "America/Los_Angeles"}, {"general", "Asia/Tokyo"}} {
		for k := range per[dep.persona] {
			id := fmt.Sprintf("user_%s%03d", dep.persona, k)
			members = append(members, org.Member{ID: id, Account: uuid(org.Stream(1, id)),
				Email: fmt.Sprintf("%s.%03d@insurer.example", dep.persona, k), Department: dep.persona, Persona: dep.persona, TimeZone: dep.zone, Desktop: "1.15962.1"})
		}
	}
	return s, org.NewDirectory(&s.Config, members)
}

func run(t testing.TB, o Options, each func([]event.Event)) *Outcome {
	t.Helper()
	out, err := Run(context.Background(), o, func(b []event.Event) error {
		if each != nil {
			each(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// insurer is the size of the shipped insurer: 600 seats, 15 members for four
// weeks, then 60 for two.
func insurer(seed uint64) Options {
	s, d := company(seed, map[string]int{"claims": 300, "analyst": 100, "finance": 50, "marketing": 50, "operations": 100})
	pilot := s.Period.From.Time
	wide := pilot.AddDate(0, 0, 28)
	return Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow, may: func(m int, _ string, t time.Time) bool {
		return m < 15 && !t.Before(pilot) || m < 60 && !t.Before(wide)
	}}}
}

// digest is a hash over everything emitted and the outcome.
func digest(t *testing.T, o Options) string {
	t.Helper()
	h := sha256.New()
	enc := json.NewEncoder(h)
	out := run(t, o, func(b []event.Event) {
		if err := enc.Encode(b); err != nil {
			t.Fatal(err)
		}
	})
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// small is a company small enough to play often, with every story in it.
func small(seed uint64) Options {
	s, d := company(seed, map[string]int{"claims": 4, "analyst": 3, "finance": 2, "marketing": 2, "operations": 3, "general": 2})
	for _, st := range stories {
		s.Incidents = append(s.Incidents, scenarios.Incident{Story: source.Text{Value: st.name}, Count: 2})
	}
	may := func(m int, _ string, t time.Time) bool {
		return d.Left(m).IsZero() || t.Before(d.Left(m))
	}
	SetLeavers(s, d, func(m int, t time.Time) bool { return may(m, "cowork", t) })
	return Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow, may: may}}
}

func TestSameBytesForAnyWorkers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var want string
	for _, procs := range []int{1, 2} {
		for _, workers := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(procs)
			o := small(3)
			o.Workers = workers
			got := digest(t, o)
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("GOMAXPROCS %d, %d workers: other bytes", procs, workers)
			}
		}
	}
	if digest(t, small(4)) == want {
		t.Error("another seed gives the same bytes")
	}
}

func TestOneMoreMemberChangesNobodyElse(t *testing.T) {
	trace := func(claims int) map[string][]string {
		s, d := company(5, map[string]int{"claims": claims, "finance": 3})
		got := map[string][]string{}
		run(t, Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Ask}}, func(b []event.Event) {
			for i := range b {
				e := &b[i]
				got[e.Email] = append(got[e.Email], fmt.Sprint(e.Session, e.Prompt, e.ToolUse, e.Request, e.Sequence, e.Time))
			}
		})
		return got
	}
	few, more := trace(3), trace(4)
	if len(more) != len(few)+1 {
		t.Fatalf("%d members, then %d", len(few), len(more))
	}
	for who, want := range few {
		if strings.Join(want, "\n") != strings.Join(more[who], "\n") {
			t.Errorf("%s: other events after somebody joined", who)
		}
	}
}

// TestWire holds what every stream must keep, with all stories in it.
func TestWire(t *testing.T) {
	o := small(11)
	o.Scenario.Telemetry.Wire = "2.1.201"
	o.Gate = &door{t: t, verdict: Ask}
	decided := map[string]string{}
	last, sessions, first := map[string]int64{}, map[string]bool{}, int64(0)
	var index int64
	ties, noPrompt, open := 0, 0, 0
	out := run(t, o, func(b []event.Event) {
		if len(b) == 0 {
			t.Fatal("an empty batch")
		}
		// The flush falls due a fixed time after a batch's first event, so
		// batches come in the order of their first events.
		if b[0].Time < first {
			t.Fatalf("a batch starts at %d, the one before at %d", b[0].Time, first)
		}
		first = b[0].Time
		for i := range b {
			e := &b[i]
			if e.Index != index {
				t.Fatalf("index %d, want %d", e.Index, index)
			}
			index++
			if e.Session != b[0].Session || e.Time-b[0].Time >= flushEvery+1 {
				t.Fatalf("a batch mixes sessions or spans more than a flush")
			}
			if e.Time%1e6 != 0 {
				t.Fatalf("%s: time %d is no whole millisecond", e.Name, e.Time)
			}
			if e.Sequence == 0 {
				sessions[e.Session] = true // one taken up again keeps its name
			}
			if e.Prompt == "" {
				noPrompt++
				switch e.Kind {
				case event.PluginLoaded, event.MCPConnection, event.HookRegistered, event.HookStart, event.HookComplete:
				default:
					t.Errorf("%s before the first prompt", e.Name)
				}
			}
			if e.Time == last[e.Session] {
				ties++
			}
			last[e.Session] = e.Time
			switch e.Kind {
			case event.UserPrompt:
				if e.PromptLength != int64(len([]rune(e.PromptText))) {
					t.Errorf("prompt_length %d of %q", e.PromptLength, e.PromptText)
				}
			case event.ToolDecision:
				if _, twice := decided[e.ToolUse]; twice || !strings.HasPrefix(e.ToolUse, "toolu_01") {
					t.Fatalf("tool_use_id %q decided twice", e.ToolUse)
				}
				decided[e.ToolUse] = e.Decision
			case event.ToolResult:
				if decided[e.ToolUse] != "accept" {
					t.Fatalf("result of %s %q without an accept before it", e.Tool, e.ToolUse)
				}
				decided[e.ToolUse] = "done"
				var in map[string]string
				if err := json.Unmarshal([]byte(e.Input), &in); err != nil {
					t.Fatalf("tool_input %q: %v", e.Input, err)
				}
				for k, v := range in {
					if len([]rune(v)) > 512 {
						t.Errorf("%s of %s has %d characters", k, e.Tool, len(v))
					}
				}
				if e.Parameters != "" && !json.Valid([]byte(e.Parameters)) {
					t.Errorf("tool_parameters %q", e.Parameters)
				}
				e.Derive()
				if e.Tool == "mcp_tool" && e.MCPKnown != event.Known {
					t.Errorf("an MCP call without names: %s", e.Parameters)
				}
			case event.APIRequest:
				if c, ok := april.Cost(e.Model, e.When(), e.InputTokens, e.OutputTokens, e.CacheRead, e.CacheWrite); !ok || c != e.CostMicros {
					t.Fatalf("%s costs %d, recomputed %d", e.Model, e.CostMicros, c)
				}
			}
		}
	})
	for _, d := range decided {
		open += btoi(d == "accept")
	}
	if open > out.Sessions/20 { // only the end of the period may cut one off
		t.Errorf("%d accepted calls without a result", open)
	}
	if ties == 0 || noPrompt == 0 {
		t.Errorf("%d ties, %d startup events", ties, noPrompt)
	}
	if len(sessions) != out.Sessions {
		t.Errorf("%d sessions seen, %d counted", len(sessions), out.Sessions)
	}
}

// TestSequence holds that numbers of a process rise by one from 0. A resumed
// session is a new process, which may overlap the old one.
func TestSequence(t *testing.T) {
	open := map[string][]int64{} // next number of each process of a session
	run(t, small(12), func(b []event.Event) {
		for i := range b {
			e := &b[i]
			if e.Sequence == 0 {
				open[e.Session] = append(open[e.Session], 1)
				continue
			}
			ok := false
			for k, n := range open[e.Session] {
				if n == e.Sequence {
					open[e.Session][k]++
					ok = true
					break
				}
			}
			if !ok {
				t.Fatalf("session %s: number %d fits no process (%v)", e.Session, e.Sequence, open[e.Session])
			}
		}
	})
}

func TestSpendStopsAndResets(t *testing.T) {
	s, d := company(2, map[string]int{"analyst": 6})
	gate := &door{t: t, verdict: Allow, limit: 3_000_000}
	requests := map[string][]time.Time{}
	begun := map[string]map[time.Month]bool{} // session -> months in which a process of it began
	out := run(t, Options{Scenario: s, Directory: d, Prices: april, Gate: gate}, func(b []event.Event) {
		for i := range b {
			e := &b[i]
			if e.Kind == event.APIRequest {
				requests[e.Email] = append(requests[e.Email], e.When())
			}
			if e.Sequence == 0 {
				if begun[e.Session] == nil {
					begun[e.Session] = map[time.Month]bool{}
				}
				begun[e.Session][e.When().Month()] = true
			}
		}
	})
	if len(out.Blocked) == 0 || out.RequestsBlocked < len(out.Blocked) {
		t.Fatalf("blocked %v", out.Blocked)
	}
	reset := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, b := range out.Blocked {
		if !b.First.Before(reset) {
			continue
		}
		again := false
		for _, at := range requests[d.Member(b.Member).Email] {
			// A request that was under way in another session still ends.
			if at.After(b.First.Add(5*time.Minute)) && at.Before(reset) {
				t.Errorf("member %d: a request at %s, blocked since %s", b.Member, at, b.First)
			}
			again = again || at.After(reset)
		}
		if !again {
			t.Errorf("member %d: no request after the reset", b.Member)
		}
	}
	resumed := 0
	for _, months := range begun {
		resumed += btoi(months[time.April] && months[time.May])
	}
	if resumed == 0 {
		t.Error("no stopped session goes on after the reset")
	}
}

func TestGatesKeepEventsOut(t *testing.T) {
	s, d := company(2, map[string]int{"claims": 6})
	opt := Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Deny, may: func(m int, c string, _ time.Time) bool { return m > 2 && c == "cowork" }}}
	out := run(t, opt, func(b []event.Event) {
		for i := range b {
			if e := &b[i]; e.Tool == "mcp_tool" || e.Tool == "WebSearch" {
				t.Fatalf("%s although denied", e.Tool)
			}
			if strings.HasSuffix(b[i].Email, "000@insurer.example") {
				t.Fatal("a member without access has events")
			}
		}
	})
	if out.Active != 3 || len(out.Connectors) == 0 || len(out.Denied) != 1 {
		t.Errorf("active %d, denied %v, connectors %v", out.Active, out.Denied, out.Connectors)
	}
}

func TestStories(t *testing.T) {
	o := small(21)
	seen := map[string]event.Kind{}
	key := func(session string, seq, at int64) string { return fmt.Sprint(session, "/", seq, "/", at) }
	out := run(t, o, func(b []event.Event) {
		for i := range b {
			seen[key(b[i].Session, b[i].Sequence, b[i].Time)] = b[i].Kind
		}
	})
	if len(out.Unplaced) != 0 || len(out.Truth) != 2*len(stories) {
		t.Fatalf("%d stories, unplaced %v", len(out.Truth), out.Unplaced)
	}
	for _, l := range out.Truth {
		t.Logf("%s %d: %d members, %d sessions, %d events, %s, evident %s", l.Story, l.Instance, len(l.Members), len(l.Sessions), len(l.Events), l.Observable, l.EvidentAt)
		if len(l.Events) == 0 || l.Observable != "full" || l.Start.IsZero() || l.EvidentAt.Before(l.Start) || l.End.Before(l.EvidentAt) {
			t.Errorf("%s %d: start %s, evident %s, end %s, %d events, %s", l.Story, l.Instance, l.Start, l.EvidentAt, l.End, len(l.Events), l.Observable)
		}
		for _, ev := range l.Events {
			if _, ok := seen[key(ev.Session, ev.Sequence, ev.Time.UnixNano())]; !ok {
				t.Fatalf("%s: a labelled event was never emitted", l.Story)
			}
		}
	}
}

func TestDefectsLeaveLifeAlone(t *testing.T) {
	plain := run(t, small(8), nil)
	for _, defect := range []string{"content-off", "silent-exporter", "old-desktop"} {
		o := small(8)
		o.Scenario.Telemetry.Defects = []string{defect}
		decisions := 0
		out := run(t, o, func(b []event.Event) {
			for i := range b {
				ev := &b[i]
				decisions += btoi(ev.Kind == event.ToolDecision)
				if defect == "content-off" && (ev.Input != "" || ev.Parameters != "" || ev.Kind == event.UserPrompt && ev.PromptText != event.Redacted) {
					t.Fatalf("%s carries content", ev.Name)
				}
			}
		})
		if out.Sessions != plain.Sessions || out.Prompts != plain.Prompts {
			t.Errorf("%s changed life: %d sessions, were %d", defect, out.Sessions, plain.Sessions)
		}
		if defect == "content-off" && out.Total != plain.Total || defect == "silent-exporter" && out.Total+out.Withheld != plain.Total {
			t.Errorf("%s: %d events and %d withheld, were %d", defect, out.Total, out.Withheld, plain.Total)
		}
	}
}

// TestProfile holds a generated month to the profile, within what chance allows.
func TestProfile(t *testing.T) {
	s, d := company(1, map[string]int{"claims": 40, "analyst": 40, "finance": 40, "general": 40})
	s.Telemetry.Wire = "2.1.201"
	kinds := map[event.Kind]float64{}
	var decisions, manual, rejected, mcp, failed, results, weekend float64
	days := map[string]bool{}
	out := run(t, Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow}}, func(b []event.Event) {
		for i := range b {
			ev := &b[i]
			kinds[ev.Kind]++
			if wd := ev.When().Weekday(); wd == time.Sunday {
				weekend++
			}
			switch ev.Kind {
			case event.UserPrompt:
				days[ev.Email+ev.When().Format(time.DateOnly)] = true
			case event.ToolDecision:
				decisions++
				manual += float64(btoi(ev.Source != "config"))
				rejected += float64(btoi(ev.Decision == "reject"))
				mcp += float64(btoi(ev.Tool == "mcp_tool"))
			case event.ToolResult:
				results++
				failed += float64(btoi(!ev.Success))
			}
		}
	})
	prompts, sessions := float64(out.Prompts), float64(out.Sessions)
	for _, c := range []struct {
		what        string
		got, lo, hi float64
	}{
		{"prompts a session", prompts / sessions, 3.5, 4.5},
		{"sessions an active day", sessions / float64(len(days)), 1, 3},
		{"requests a prompt", kinds[event.APIRequest] / prompts, 4, 6},
		{"tools a prompt", decisions / prompts, 3.4, 4.6},
		{"MCP share", mcp / decisions, 0.17, 0.23},
		{"manual share", manual / decisions, 0.045, 0.075},
		{"rejected share", rejected / decisions, 0.006, 0.014},
		{"tool failures", failed / results, 0.022, 0.032},
		{"request errors", kinds[event.APIError] / kinds[event.APIRequest], 0.008, 0.014},
		{"responses a request", kinds[event.AssistantResponse] / kinds[event.APIRequest], 0.40, 0.48},
		{"Sunday share", weekend / float64(out.Total), 0, 0.06},
	} {
		t.Logf("%-24s %.3f", c.what, c.got)
		if c.got < c.lo || c.got > c.hi || math.IsNaN(c.got) {
			t.Errorf("%s: %.3f, want %.3f to %.3f", c.what, c.got, c.lo, c.hi)
		}
	}
}

func TestVolume(t *testing.T) {
	out := run(t, insurer(7), nil)
	t.Logf("%d sessions, %d prompts, %d events; %d active, denied %v", out.Sessions, out.Prompts, out.Total, out.Active, out.Denied)
	if out.Total < 100_000 || out.Total > 300_000 {
		t.Errorf("%d events, want 100,000 to 300,000", out.Total)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := Run(ctx, insurer(1), func([]event.Event) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if err == nil {
		t.Error("a cancelled run reports success")
	}
}
