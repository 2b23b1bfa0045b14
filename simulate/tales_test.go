package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// study is a company in which every story and twin can be played.
func study(seed uint64, names ...string) Options {
	s, d := company(seed, map[string]int{"claims": 3, "analyst": 4, "finance": 4, "marketing": 3, "operations": 4, "general": 3})
	members := d.Members()
	for i, p := range []string{"sales", "sales", "hr", "hr", "legal", "legal", "engineering", "engineering", "it", "it"} {
		id := fmt.Sprint("user_", p, i)
		members = append(members, org.Member{ID: id, Account: uuid(org.Stream(1, id)), Email: id + "@insurer.example", Department: p, Persona: p, Desktop: "1.15962.1"})
	}
	d = org.NewDirectory(&s.Config, members)
	name := func(n string) source.Text { return source.Text{Value: n} }
	s.Connectors = []org.Connector{
		{Name: name("mail"), Enabled: true, Tools: []org.Tool{{Name: "search_mail", ReadOnly: true}, {Name: "get_message", ReadOnly: true}, {Name: "send_message", Write: true}}},
		{Name: name("tickets"), Enabled: true, Tools: []org.Tool{{Name: "search_tickets", ReadOnly: true}, {Name: "get_ticket", ReadOnly: true}, {Name: "add_comment", Write: true}}},
		{Name: name("records"), Enabled: true, Tools: []org.Tool{{Name: "query_records", ReadOnly: true}, {Name: "get_record", ReadOnly: true}}},
	}
	s.Period = scenarios.Period{From: source.Day(2026, 4, 13), To: source.Day(2026, 6, 21)}
	for _, n := range names {
		s.Incidents = append(s.Incidents, scenarios.Incident{Story: name(n), Count: 1})
	}
	may := func(m int, _ string, t time.Time) bool {
		return d.Left(m).IsZero() || t.Before(d.Left(m))
	}
	SetLeavers(s, d, func(m int, t time.Time) bool { return may(m, "cowork", t) })
	return Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow, may: may}, Study: true, LocalServers: []string{"filesystem", "sqlite", "pdf-tools"}}
}

func everyTale() (names []string) {
	for i := range tales() {
		names = append(names, tales()[i].ID.Value)
		for k := range tales()[i].Twins {
			names = append(names, tales()[i].Twins[k].ID.Value)
		}
	}
	return names
}

func TestTales(t *testing.T) {
	twins, topics := 0, map[string]bool{}
	for i := range tales() {
		s := &tales()[i]
		if s.Number != i+1 || s.Capture == "" || s.Intent == "" || s.Severity == "" || s.Main == "" {
			t.Errorf("story %d %s: number, capture, intent, severity or main draw is missing", i+1, s.ID)
		}
		if s.Hidden == (len(s.Topics) > 0) && s.Number != 30 { // the class of story 30 is real, only not provable
			t.Errorf("%s: a hidden story has no topic an alert could be right about", s.ID)
		}
		for _, x := range s.Topics {
			topics[x] = true
		}
		if len(s.Twins) < 2 {
			t.Errorf("%s has %d twins", s.ID, len(s.Twins))
		}
		for k := range s.Twins {
			twins++
			if want := fmt.Sprint(s.Number, string(rune('a'+k))); s.Twins[k].ID.Value != want {
				t.Errorf("%s: twin %s, want %s", s.ID, s.Twins[k].ID, want)
			}
		}
	}
	if len(tales()) != 30 || twins != 77 || len(topics) != 24 {
		t.Errorf("%d stories, %d twins, %d topics; want 30, 77, 24", len(tales()), twins, len(topics))
	}
}

// TestTalesPlay plays everything once and holds labels against the wire. What
// stops the stream for everybody is played apart, as it swallows other stories.
func TestTalesPlay(t *testing.T) {
	var life, gaps []string
	for _, n := range everyTale() {
		if strings.HasPrefix(n, "19") || strings.HasPrefix(n, "21") || n == "collector-repoint" || n == "silent-exporter" || n == "version-rollback" {
			gaps = append(gaps, n)
		} else {
			life = append(life, n)
		}
	}
	props := &ledger{known: []string{"mail", "tickets", "records"}}
	truth := append(playTales(t, 5, life, 40, props), playTales(t, 8, gaps, 40, props)...) // lost tails
	// Rules G3 and G4 of the game: what a story is made of is found in ordinary life.
	for p, by := range props.tellTales(truth) {
		t.Errorf("%s occurs in %v and never in ordinary life", p, by)
	}
}

func playTales(t *testing.T, seed uint64, names []string, tolerated int, props *ledger) []TruthLabel {
	o := study(seed, names...)
	type id struct {
		session  string
		sequence int64
		at       int64
	}
	wire := map[id]bool{}
	text := map[string]bool{}
	out := run(t, o, func(b []event.Event) {
		for i := range b {
			e := &b[i]
			e.Derive()
			props.note(e)
			wire[id{e.Session, e.Sequence, e.Time}] = true
			for _, s := range []string{e.PromptText, e.Input, e.Parameters, e.Plugin} {
				if len(s) < 400 {
					text[s] = true
				}
			}
		}
	})
	if len(out.Unplaced) > 0 {
		t.Errorf("not placed: %+v", out.Unplaced)
	}
	if len(out.Truth) != len(names) {
		t.Fatalf("%d labels for %d tales", len(out.Truth), len(names))
	}
	lost := map[string]int{}
	for _, l := range out.Truth {
		switch {
		case l.Kind == "twin":
			if l.Topics != nil || l.Of == "" || l.Fact == "" {
				t.Errorf("twin %s: %+v", l.Story, l)
			}
		case l.Observable == "none":
			// A storm that its user stops early shows nothing either.
			if tl := taleNamed(l.Story); !tl.Hidden && l.Story != "subagent-storm" {
				t.Errorf("%s: nothing observable though everything is captured", l.Story)
			}
		case l.EvidentAt.IsZero() || l.EvidentAt.Before(l.Start) || l.EvidentAt.After(l.End):
			t.Errorf("%s: start %s, evident %s, end %s", l.Story, l.Start, l.EvidentAt, l.End)
		}
		if l.Quarter < 0 || l.Quarter > 4 || l.Kind == "story" && l.Quarter == 0 {
			t.Errorf("%s: quarter %d of %s", l.Story, l.Quarter, l.Main)
		}
		if len(l.Members) == 0 || len(l.Events) == 0 && len(l.Gaps) == 0 {
			t.Errorf("%s: members %d, events %d", l.Story, len(l.Members), len(l.Events))
		}
		for _, e := range l.Events {
			if !wire[id{e.Session, e.Sequence, e.Time.UnixNano()}] {
				lost[l.Story]++
			}
		}
	}
	n := 0
	for _, k := range lost {
		n += k
	}
	if n > tolerated {
		t.Errorf("labelled events that are not on the wire: %v", lost)
	}
	for s := range text {
		for _, w := range names {
			if len(w) > 3 && strings.Contains(s, w) {
				t.Errorf("the wire names story %s: %s", w, s)
			}
		}
	}
	return out.Truth
}

// Under a setting that hides what a story shows, its label says so.
func TestHiddenByCapture(t *testing.T) {
	o := study(5, "invoice-hidden-upload", "phi-in-marketing", "ticket-reply-leak", "browser-on-bypass", "nameless-server")
	o.Scenario.Telemetry.Content = []string{}
	for _, l := range run(t, o, nil).Truth {
		want := map[string]string{"browser-on-bypass": "partial", "nameless-server": "partial"}[l.Story]
		if want == "" {
			want = "none"
		}
		if l.Observable != want || l.Capture != "meta" {
			t.Errorf("%s: observable %s under %s, want %s", l.Story, l.Observable, l.Capture, want)
		}
	}
}

func TestTalesSameBytesForAnyWorkers(t *testing.T) {
	want := ""
	for _, workers := range []int{1, 3} {
		o := study(6, everyTale()...)
		o.Workers = workers
		got := digest(t, o)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%d workers: other bytes", workers)
		}
	}
}

func TestMistakesInTales(t *testing.T) {
	for body, want := range map[string]string{
		"draws: {n: 9..1}": "empty range",
		"draws: {n: x..y}": "is not an amount",
		"main: calls\n    draws: {n: 1..2}\n    parts: [{steps: [{life: 1}]}]": "main names no draw",
		"parts: [{steps: [{prompt: a, times: calls}]}]":                        `"calls" is not an amount`,
		`parts: [{steps: [{prompt: "Mail it to me."}]}]`:                       `s/a.yaml:5:31: prompt "Mail it to me." is a text of the story's own`,
		"parts: [{steps: [{prompt: mial}]}]":                                   `did you mean "mail"?`,
		"parts: [{steps: [{promt: a}]}]":                                       `did you mean "prompt"?`,
		"changes: [{do: vanish, for: 1h}]":                                     "vanish",
		"twins: [{id: 1a, title: t}]":                                          "has no fact or no reason",
	} {
		_, err := loadTales(fstest.MapFS{"s/a.yaml": {Data: []byte("stories:\n  - id: x\n    number: 1\n    title: t\n    " + body + "\n")}}, "s")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
}

func TestAmounts(t *testing.T) {
	in := &instance{values: map[string]float64{"n": 6, "days": 3}}
	r := org.Stream(1, "amounts")
	for text, want := range map[string]float64{"4": 4, "n": 6, "n/days": 2, "n*2": 12, "n+days": 9, "n/days+0.5": 2.5, "2m": 120, "1.5h": 5400, "days*1d": 259200, "n/0": 0} {
		if v, err := in.value(text, r); err != nil || v != want {
			t.Errorf("%s: %v %v, want %v", text, v, err, want)
		}
	}
	var low, high int
	for range 1000 {
		v, err := in.value("~4..90", r)
		if err != nil || v < 4 || v > 90 {
			t.Fatal(v, err)
		}
		if v < 19 {
			low++
		} else {
			high++
		}
	}
	if d := low - high; d < -120 || d > 120 {
		t.Errorf("~4..90 is not even over doublings: %d below the middle, %d above", low, high)
	}
	if !slices.Equal([]int{span{4, 90, true, true}.quarter(4), span{4, 90, true, true}.quarter(90), span{0, 4, false, true}.quarter(2)}, []int{1, 4, 3}) {
		t.Error("quarters")
	}
}
