package quality

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
)

// The shipped table belongs to the shipped rules, or it is not shipped at all.
func TestShippedTable(t *testing.T) {
	digest, err := alert.Digest(alert.Packs())
	if err != nil {
		t.Fatal(err)
	}
	table, ok := Shipped(digest)
	if !ok {
		t.Fatal("the packs were edited after they were measured: run sandtable rules score -o assess/quality/measured/shipped.json")
	}
	rs, err := alert.Load(alert.Packs())
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rules) != len(rs) {
		t.Fatalf("%d rows for %d rules", len(table.Rules), len(rs))
	}
	for _, r := range table.Rules {
		if r.Recall.Of > 0 && r.Recall.Hits == r.Recall.Of && r.Precision.Of > 0 && r.Precision.Hits == r.Precision.Of {
			t.Errorf("%s finds everything and nothing else: its stories are too easy", r.Rule)
		}
		if r.Benign < 10 {
			t.Errorf("%s met %d benign samples in reach, want 10", r.Rule, r.Benign)
		}
		// Stories were written without sight of the rules: none need hold what a rule
		// looks for. Such a rule is shipped unproven, with the reason.
		if r.Status != "measured" && (r.Alerts > 0 || r.Why == "" || !slices.Contains([]string{"stream-silent", "card-authentication-data"}, r.Rule)) {
			t.Errorf("%s is %s: %s", r.Rule, r.Status, r.Why)
		}
		if r.Number == "" {
			t.Errorf("%s: topic %q has no number", r.Rule, r.Topic)
		}
	}
	if table.MemberDaysPerStory < 40 || table.MemberDaysPerStory > 400 || table.TwinsPerStory < 19 || table.TwinsPerStory > 50 {
		t.Errorf("density: one story in %d member-days, %d tenths of twins a story", table.MemberDaysPerStory, table.TwinsPerStory)
	}
	// The lesson's five are measured on the stories meant for them.
	for rule, story := range map[string]string{"file-outside-scope": "scope-drift-hr-folder", "mcp-server-not-listed": "shadow-connector-spread",
		"classified-data-in-prompt": "phi-in-marketing", "session-spend": "subagent-storm", "repeated-rejections": "rejection-wear-down"} {
		row, _ := table.Row(rule)
		if !slices.ContainsFunc(row.Stories, func(s StoryRow) bool { return s.Story == story && s.Played >= 9 }) {
			t.Errorf("%s was not measured on %s", rule, story)
		}
	}
	for _, story := range []string{"mail-connector-rug-pull", "personal-seat-escape", "attachment-phi"} {
		if !slices.ContainsFunc(table.OutOfReach, func(u Unseen) bool { return u.Story == story && u.Unseen == u.Played && u.Played > 0 }) {
			t.Errorf("%s is out of reach and the table does not say so", story)
		}
	}
	if _, ok := Shipped(strings.Repeat("0", 64)); ok {
		t.Error("a table was found for rules that were never measured")
	}
}

const few = `rules:
  - {id: leaver, title: t, severity: low, status: stable, topic: leaver, owner: o, catches: c, runbook: b, needs: {fields: [member]}, condition: after_leaving, correlation: {key: [member]}, suppress: 24h}
  - {id: never, title: t, severity: low, status: stable, topic: errors, owner: o, catches: c, runbook: b, kinds: [internal_error], condition: 'true'}
  - {id: blind, title: t, severity: low, status: stable, topic: errors, owner: o, catches: c, runbook: b, kinds: [api_request], condition: 'host == "x"'}
  - {id: rejections, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, kinds: [tool_decision], condition: 'source == "user_reject"', correlation: {type: count, key: [session, tool], window: 10m, threshold: 3}}
`

func parse(t *testing.T, text string) ([]*alert.Rule, string) {
	t.Helper()
	fsys := fstest.MapFS{"r.yaml": {Data: []byte(text)}}
	rs, err := alert.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := alert.Digest(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return rs, digest
}

// small plays only worlds that hold one of the stories.
func small(stories ...string) Play {
	return func(ctx context.Context, o simulate.Options, emit func([]event.Event) error) (*simulate.Outcome, error) {
		o.Scenario.Incidents = slices.DeleteFunc(o.Scenario.Incidents, func(i scenarios.Incident) bool {
			return !slices.ContainsFunc(stories, func(s string) bool { return i.Story.Value == s })
		})
		if len(o.Scenario.Incidents) == 0 {
			return &simulate.Outcome{}, nil
		}
		return simulate.Run(ctx, o, emit)
	}
}

func TestScore(t *testing.T) {
	rs, digest := parse(t, few)
	o := Options{Instances: 1, Twins: 1, Days: 28, Workers: 1, Play: small("rejection-wear-down", "12a", "12b", "after-last-day", "9a", "mail-connector-rug-pull")}
	score := func(o Options) ([]byte, *Table) {
		table, err := Score(context.Background(), rs, digest, o)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := table.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes(), table
	}
	one, table := score(o)
	o.Workers = 2
	if two, _ := score(o); !bytes.Equal(one, two) {
		t.Error("the number of workers changes the table")
	}
	row := func(id string) *Row { r, _ := table.Row(id); return r }
	if r := row("never"); r.Status != "unproven" || r.Why != "no event of its kinds occurs" {
		t.Errorf("a rule without events is %s: %s", r.Status, r.Why)
	}
	if r := row("blind"); r.Status != "unproven" || !strings.Contains(r.Why, "host is not known") {
		t.Errorf("a rule whose field never occurs is %s: %s", r.Status, r.Why)
	}
	if r := row("rejections"); r.Recall.Of != 3 || r.Benign != 2 || r.FalseTwins == 0 {
		t.Errorf("rejections: %+v", r)
	}
	if !slices.ContainsFunc(table.OutOfReach, func(u Unseen) bool { return u.Story == "mail-connector-rug-pull" && u.Unseen == 3 }) {
		t.Errorf("out of reach: %+v", table.OutOfReach)
	}
	var text bytes.Buffer
	if err := table.Print(&text); err != nil || !strings.Contains(text.String(), "unproven: no event of its kinds occurs") || !strings.Contains(text.String(), "Out of reach: the only right result") {
		t.Errorf("%v\n%s", err, text.String())
	}
	var back Table
	if err := json.Unmarshal(one, &back); err != nil || back.Digest != digest {
		t.Error(err, back.Digest)
	}
}

// A user's own story is played like the shipped ones.
func TestOwnStories(t *testing.T) {
	own, err := simulate.ParseStories("own.yaml", []byte(`stories:
  - id: own-deletes
    title: A tidy-up that goes too far
    intent: careless user
    severity: medium
    topics: [T5]
    capture: names
    main: rejections
    draws: {rejections: 3..9}
    parts: [{steps: [{prompt: ordinary}, {bash: ordinary, times: rejections, ask: user_reject, took: 2..20, needs: none, role: act, shows: true}]}]
    twins:
      - id: own-a
        title: The same, meant
        fact: W
        innocent: the prompt asks for it
        main: calls
        draws: {calls: 3..9}
        parts: [{steps: [{prompt: ordinary}, {bash: ordinary, times: calls}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	rs, digest := parse(t, few)
	table, err := Score(context.Background(), rs, digest, Options{Instances: 2, Twins: 1, Days: 28, Stories: own, Play: small("own-deletes", "own-a")})
	if err != nil {
		t.Fatal(err)
	}
	row, _ := table.Row("rejections")
	if len(row.Stories) != 1 || row.Stories[0].Story != "own-deletes" || row.Stories[0].Played != 2 || row.Benign != 1 {
		t.Errorf("%+v", row)
	}
	for text, want := range map[string]string{
		"stories: [{id: subagent-storm, title: t, parts: [{steps: [{life: 1}]}]}]": `"subagent-storm" is taken`,
		"stories: [{id: x, title: t}]":                                             "tells nothing",
		"stories: [{id: x, title: t, parts: [{steps: [{life: 1}]}]}]":              "leaves out what a measurement needs",
	} {
		if _, err := simulate.ParseStories("own.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// An edited rule meets stories nobody tuned it on.
func TestSeedsFollowTheRules(t *testing.T) {
	a, b := plan(Options{Label: "report", Instances: 2, Twins: 2}, "one"), plan(Options{Label: "report", Instances: 2, Twins: 2}, "two")
	if slices.Equal(a[0].tales, b[0].tales) {
		t.Error("the same stories in the same order for other rules")
	}
	if seed("one", "report", "world", "0") == seed("two", "report", "world", "0") || seed("one", "report") == seed("one", "other") {
		t.Error("seeds do not hang on rules and label")
	}
	played := map[string]int{}
	for _, w := range a {
		for _, name := range w.tales {
			played[name+" "+w.setting]++
		}
	}
	for _, x := range simulate.Tales() {
		settings := []string{x.Capture}
		if x.Capture == "any" {
			settings = settingNames
		}
		for _, s := range settings {
			if played[x.ID+" "+s] == 0 {
				t.Errorf("%s is never played under %s", x.ID, s)
			}
		}
	}
}

func TestTopicsHaveNumbers(t *testing.T) {
	for _, topic := range alert.Topics() {
		if topicNumbers[topic] == "" {
			t.Errorf("topic %s has no number", topic)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		hits, of, rate, low, high int
	}{
		{0, 0, 0, 0, 0}, {0, 10, 0, 0, 278}, {10, 10, 1000, 722, 1000}, {5, 10, 500, 237, 763}, {81, 263, 308, 255, 366},
	} {
		if s := newShare(c.hits, c.of); s.Rate != c.rate || s.Low != c.low || s.High != c.high {
			t.Errorf("%d of %d: %+v", c.hits, c.of, s)
		}
	}
	if s := newShare(0, 0).String(); s != "none" {
		t.Error(s)
	}
}

func TestJudge(t *testing.T) {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	truth := []simulate.TruthLabel{
		{Story: "s", Kind: "story", Topics: []string{"T5"}, Members: []string{"m"}, Observable: "full", Events: []simulate.LabelledEvent{
			{Session: "a", Time: at, Role: "act"}, {Session: "a", Time: at.Add(time.Minute), Role: "bystander"}}},
		{Story: "1a", Kind: "twin", InnocentOf: []string{"T5"}, Members: []string{"n"}, Events: []simulate.LabelledEvent{{Session: "b", Time: at, Role: "bystander"}}},
		{Story: "h", Kind: "story", Topics: []string{"T5"}, Members: []string{"m"}, Observable: "none", Events: []simulate.LabelledEvent{{Session: "c", Time: at, Role: "act"}}},
		{Story: "g", Kind: "story", Topics: []string{"T7"}, Members: []string{"q"}, Observable: "full", Gaps: []simulate.Gap{{Member: "q", From: at, To: at.Add(time.Hour)}}},
	}
	x := newIndex(truth)
	finding := func(topic, member, session string, when time.Time) *rules.Finding {
		return &rules.Finding{Topic: topic, Member: member, Time: when, Events: []rules.EventRef{{Session: session, Time: when.Format(time.RFC3339Nano)}}}
	}
	for name, c := range map[string]struct {
		f    *rules.Finding
		want Match
	}{
		"the act":             {finding("rejections", "m", "a", at), Caught},
		"the organisation":    {finding("rejections", "", "a", at), Caught},
		"another member":      {finding("rejections", "x", "a", at), Elsewhere},
		"another topic":       {finding("scope", "m", "a", at), Elsewhere},
		"a bystander":         {finding("rejections", "m", "a", at.Add(time.Minute)), Elsewhere},
		"a twin":              {finding("rejections", "n", "b", at), Innocent},
		"a twin, other topic": {finding("scope", "n", "b", at), Elsewhere},
		"ordinary life":       {finding("rejections", "m", "z", at), Background},
		"what nothing shows":  {finding("rejections", "m", "c", at), Luck},
		"inside a gap":        {finding("silence", "q", "z", at.Add(time.Minute)), Caught},
		"after the gap":       {finding("silence", "q", "z", at.Add(2*time.Hour)), Background},
		"another one's gap":   {finding("silence", "m", "z", at.Add(time.Minute)), Background},
	} {
		if v := x.Judge(c.f); v.Match != c.want {
			t.Errorf("%s: %d, want %d", name, v.Match, c.want)
		}
	}
}

// Rule G10: an episode counts once however many alerts cite it, story or twin.
func TestEpisodesCountOnce(t *testing.T) {
	rs, digest := parse(t, few)
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	ref := func(session string, minute int) (simulate.LabelledEvent, rules.EventRef) {
		when := at.Add(time.Duration(minute) * time.Minute)
		return simulate.LabelledEvent{Session: session, Time: when, Role: "act"}, rules.EventRef{Session: session, Time: when.Format(time.RFC3339Nano)}
	}
	story := simulate.TruthLabel{Story: "s", Kind: "story", Topics: []string{"T5"}, Members: []string{"m"}, Observable: "full", Capture: "full", Quarter: 2, EvidentAt: at.Add(2 * time.Minute)}
	twin := simulate.TruthLabel{Story: "1a", Kind: "twin", InnocentOf: []string{"T5"}, Fact: "X", Members: []string{"n"}, Capture: "full"}
	p := &played{memberDays: 100}
	for minute := range 5 {
		l, r := ref("a", minute)
		story.Events = append(story.Events, l)
		p.found = append(p.found, rules.Finding{Rule: "rejections", Topic: "rejections", Member: "m", Time: at.Add(time.Duration(minute+3) * time.Minute), Events: []rules.EventRef{r}})
		l, r = ref("b", minute)
		twin.Events = append(twin.Events, l)
		p.found = append(p.found, rules.Finding{Rule: "rejections", Topic: "rejections", Member: "n", Time: at, Events: []rules.EventRef{r}})
	}
	_, r := ref("elsewhere", 0)
	p.found = append(p.found, rules.Finding{Rule: "rejections", Topic: "rejections", Member: "q", Time: at, Events: []rules.EventRef{r}})
	p.truth = []simulate.TruthLabel{story, twin}
	for range rs {
		p.reports = append(p.reports, alert.RuleReport{Evaluable: 1})
	}
	row, _ := tabulate(rs, digest, Options{Days: 10}, []*played{p}).Row("rejections")
	if row.Recall.Hits != 1 || row.Recall.Of != 1 || row.FalseTwins != 1 || row.FalseOrdinary != 1 || row.Precision.Of != 3 || row.Alerts != 11 {
		t.Errorf("%+v", row)
	}
	// One twin was innocent for reasons no rule could read: without it precision is better.
	if row.OnWire.Of != 2 || row.Quarters[1].Hits != 1 {
		t.Errorf("on the wire %+v, quarters %+v", row.OnWire, row.Quarters)
	}
	// The clock of detection starts when it became evident, two minutes in.
	if row.DetectHalf != 60 {
		t.Errorf("detected after %d s, want 60", row.DetectHalf)
	}
}

// Rules and the simulator share no names: a condition that knows a server, host
// or file of the simulator would find the prop and not the act.
func TestRulesKnowNoPropsOfTheSimulator(t *testing.T) {
	props := map[string]bool{}
	err := fs.WalkDir(os.DirFS("../../simulate"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".yaml") {
			return err
		}
		data, err := os.ReadFile(filepath.Join("../../simulate", name))
		if err != nil {
			return err
		}
		for _, m := range regexp.MustCompile(`[a-z0-9-]+(\.[a-z0-9-]+)*\.example|[a-z]+-[a-z{}]+\.(zip|xlsx|docx|csv|pdf)|name: ([a-z_]+)`).FindAllStringSubmatch(string(data), -1) {
			props[m[0]] = true
			if m[3] != "" && strings.Contains(m[3], "_") {
				props[m[3]] = true
			}
		}
		if _, list, ok := strings.Cut(string(data), "\nservers: ["); ok {
			list, _, _ = strings.Cut(list, "]")
			for _, s := range strings.Split(list, ", ") {
				if strings.Contains(s, "-") { // filesystem and sqlite are words of the trade
					props[s] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(props) < 15 {
		t.Fatalf("only %d names of the simulator were found", len(props))
	}
	// A comment on a ticket is a way to send, whoever says so.
	delete(props, "add_comment")
	rs, err := alert.Load(alert.Packs())
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{fmt.Sprint(alert.NamedWords())}
	for _, r := range rs {
		texts = append(texts, r.Condition.Value)
		for _, s := range r.Correlation.Steps {
			texts = append(texts, s.Value)
		}
	}
	for p := range props {
		for _, text := range texts {
			if strings.Contains(text, p) {
				t.Errorf("%q of the simulator stands in a rule: %s", p, text)
			}
		}
	}
}

func TestBacktest(t *testing.T) {
	rs, _ := parse(t, few)
	ev := func(at time.Duration, member string) *event.Event {
		e := &event.Event{Kind: event.ToolDecision, Name: "tool_decision", Product: event.Cowork, Time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC).Add(at).UnixNano(),
			Session: "s-" + member, Account: member, Tool: "Bash", Decision: "reject", Source: "user_reject", Has: event.FTool | event.FDecision | event.FSource}
		e.Derive()
		return e
	}
	b, err := NewBacktest(rs, alert.Config{}, "rejections", "4", `member == "m"`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		b.Observe(ev(time.Duration(i)*time.Minute, "m"))
		b.Observe(ev(time.Duration(i)*time.Minute, "n"))
	}
	for i := range 3 {
		b.Observe(ev(8*24*time.Hour+time.Duration(i)*time.Minute, "n"))
	}
	b.Close(time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC))
	var out bytes.Buffer
	if err := b.Print(&out, func(m string) string { return "<" + m + ">" }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 weeks with records", "rejections                              3        1.5", "2026-W19      2", "2026-W20      1", "<n>                          2",
		"With threshold 4 and the exception member == \"m\", rejections would have raised 1 instead of 3 alerts", "the exceptions hold 5 matching events back", "no event of its kinds: unproven here"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if _, err := NewBacktest(rs, alert.Config{}, "leaver", "4", ""); err == nil || !strings.Contains(err.Error(), "has no threshold") {
		t.Error(err)
	}
}
