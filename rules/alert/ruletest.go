package alert

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Test is an example inside a rule file: events in short form and what the
// rule must make of them.
type Test struct {
	Name   string      `yaml:"name,required"`
	Config TestConfig  `yaml:"config"`
	Events []TestEvent `yaml:"events"`
	// End closes the stream this long after the first event's origin.
	End    source.Text `yaml:"end"`
	Expect string      `yaml:"expect,required,enum=match|no-match|not-evaluable"`
	Alerts int         `yaml:"alerts"` // how many, when it matters
	// AlertsAt are the moments of the alerts as offsets, when they matter.
	AlertsAt []string `yaml:"alerts_at"`
	At       source.Pos
}

// TestConfig is the part of Config that a rule file can set.
type TestConfig struct {
	Allowlist    []string          `yaml:"allowlist"`
	Roots        []string          `yaml:"roots"`
	SessionSpend source.Money      `yaml:"session_spend"`
	Leavers      map[string]string `yaml:"leavers"` // member to the offset of leaving, e.g. 10m
	DesktopFloor string            `yaml:"desktop_floor"`
	Content      []string          `yaml:"content,enum=userPrompts|assistantResponses|toolDetails|toolContent|rawApiBodies"`

	ReadOnly    []string            `yaml:"read_only"`
	Plugins     []string            `yaml:"plugins"`
	Domains     []string            `yaml:"domains"`
	Workloads   map[string][]string `yaml:"workloads"`
	Forbidden   map[string][]string `yaml:"forbidden"`
	RemoteOff   bool                `yaml:"remote_off"`
	Zones       map[string]string   `yaml:"zones"`
	Propagation string              `yaml:"propagation"`
}

// TestEvent is one event. A key that is not written is absent on the wire.
type TestEvent struct {
	At           string        `yaml:"at"` // offset from the origin, e.g. 5m or 2d
	Repeat       int           `yaml:"repeat"`
	Every        string        `yaml:"every"`
	Kind         string        `yaml:"kind,required"`
	Product      string        `yaml:"product,enum=cowork|claude-code"`
	Member       *string       `yaml:"member"` // defaults to a member; "" is unattributed
	Session      *string       `yaml:"session"`
	Organisation *string       `yaml:"organisation"`
	HostPaths    *[]string     `yaml:"host_paths"`
	Tool         string        `yaml:"tool"`
	Server       string        `yaml:"server"`
	ServerTool   string        `yaml:"server_tool"`
	Path         string        `yaml:"path"`
	Input        string        `yaml:"input"`
	Command      string        `yaml:"command"`
	Decision     string        `yaml:"decision"`
	Source       string        `yaml:"source"`
	Prompt       *string       `yaml:"prompt"`
	PromptLength int64         `yaml:"prompt_length"`
	Cost         *source.Money `yaml:"cost"`
	Version      string        `yaml:"version"`
	OS           string        `yaml:"os"`
	Surface      string        `yaml:"surface"`
	Plugin       string        `yaml:"plugin"`
	PluginHash   string        `yaml:"plugin_hash"`
	Marketplace  string        `yaml:"marketplace"`
	Scope        string        `yaml:"scope"`
	ToolSource   string        `yaml:"tool_source"`
	Device       string        `yaml:"device"`
	FromMode     string        `yaml:"from_mode"`
	ToMode       string        `yaml:"to_mode"`
	QuerySource  string        `yaml:"query_source"`
	Response     *string       `yaml:"response"`
	Success      *bool         `yaml:"success"`
	InputSize    int64         `yaml:"input_size"`
	ResultSize   int64         `yaml:"result_size"`
	OutputTokens int64         `yaml:"output_tokens"`
	CacheWrite   int64         `yaml:"cache_write"`
	Model        string        `yaml:"model"`
	Status       int64         `yaml:"status"`
}

// origin is the moment offsets count from: a Thursday morning.
var origin = time.Date(2026, 4, 9, 9, 0, 0, 0, time.UTC)

// Failure is a test of a rule file that did not come out as written.
type Failure struct {
	Rule, Test string
	At         source.Pos
	Want, Got  string
	Values     []string // of the event that tells most, one a line
}

func (f Failure) Error() string {
	if f.Want == "" {
		return fmt.Sprintf("%s: rule %q: test %q: %s", f.At, f.Rule, f.Test, f.Got)
	}
	return fmt.Sprintf("%s: rule %q: test %q: got %s, expected %s", f.At, f.Rule, f.Test, f.Got, f.Want)
}

// Diff is the failure for people: what was expected, what came, and the values
// of the event that tells most.
func (f Failure) Diff() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: rule %s, test %q\n", f.At, f.Rule, f.Test)
	if f.Want != "" {
		fmt.Fprintf(&b, "  - expected: %s\n", f.Want)
	}
	fmt.Fprintf(&b, "  + got:      %s\n", f.Got)
	for _, v := range f.Values {
		fmt.Fprintf(&b, "    %s\n", v)
	}
	return b.String()
}

// RunTests runs the tests of one rule, each over an engine of its own. match
// wants at least one alert; no-match wants none and every record evaluable;
// not-evaluable wants no alert and at least one record that was not evaluable.
func RunTests(r *Rule) []Failure {
	var out []Failure
	for _, t := range r.Tests {
		if f, ok := t.run(r); !ok {
			f.Rule, f.Test, f.At = r.ID.Value, t.Name, t.At
			out = append(out, f)
		}
	}
	return out
}

func (t *Test) run(r *Rule) (Failure, bool) {
	events, end, cfg, err := t.build()
	if err != nil {
		return Failure{Got: err.Error()}, false
	}
	var wantAt []string
	for _, a := range t.AlertsAt {
		d, err := offset(a)
		if err != nil {
			return Failure{Got: err.Error()}, false
		}
		wantAt = append(wantAt, "at "+d.String())
	}
	e := New([]*Rule{r}, cfg)
	for i := range events {
		e.Observe(&events[i])
	}
	found := e.Close(end)
	rep := e.Reports()[0]
	verdict := "no-match"
	switch {
	case len(found) > 0:
		verdict = "match"
	case len(rep.NotEvaluable) > 0:
		verdict = "not-evaluable"
	}
	var at []string
	for _, f := range found {
		at = append(at, "at "+f.Time.Sub(origin).String())
	}
	alerts := func(n int) string {
		if n == 1 {
			return "1 alert"
		}
		return fmt.Sprint(n, " alerts")
	}
	got, want := verdict, t.Expect
	if t.Alerts > 0 {
		want += ", " + alerts(t.Alerts)
	}
	if len(found) > 0 {
		got += ", " + alerts(len(found)) + " " + strings.Join(at, ", ")
	}
	if wantAt != nil {
		want += " " + strings.Join(wantAt, ", ")
	}
	if verdict == "no-match" && rep.Reached == 0 && t.Expect == verdict {
		return Failure{Want: want, Got: "no event that the rule listens to: the test would pass whatever the rule says",
			Values: telling(r, events, cfg, false)}, false
	}
	if verdict == t.Expect && (t.Alerts == 0 || len(found) == t.Alerts) && (wantAt == nil || slices.Equal(at, wantAt)) {
		return Failure{}, true
	}
	f := Failure{Want: want, Got: fmt.Sprintf("%s (%d events reached, %d evaluable, %d matched)", got, rep.Reached, rep.Evaluable, rep.Matched)}
	for _, n := range rep.NotEvaluable {
		f.Values = append(f.Values, fmt.Sprintf("not evaluable: %s (%d)", n.Text, n.Count))
	}
	f.Values = append(f.Values, telling(r, events, cfg, t.Expect == "match")...)
	return f, false
}

// telling are the values of the first event that speaks against the expectation.
func telling(r *Rule, events []event.Event, cfg Config, wanted bool) []string {
	if len(events) == 0 {
		return nil
	}
	if len(r.Correlation.Steps) > 0 {
		return stepwise(r, events, cfg)
	}
	for i := range events {
		v, lines := r.Explain(&events[i], cfg)
		if (v == condition.True) == wanted && i < len(events)-1 {
			continue
		}
		out := []string{fmt.Sprintf("event %d, %s at %s: the condition is %s", i+1, events[i].Name, events[i].When().Sub(origin), v)}
		if !r.Listens(&events[i]) {
			out = append(out, "  the rule does not listen to this event: see kinds and products")
		}
		for _, l := range lines {
			out = append(out, fmt.Sprintf("  %-32s %s", l.Name, l.Value))
		}
		return out
	}
	return nil
}

// stepwise tells of the first events of a sequence which steps they are.
func stepwise(r *Rule, events []event.Event, cfg Config) (out []string) {
	for i := range events {
		if i == 8 {
			return append(out, fmt.Sprintf("and %d events more", len(events)-i))
		}
		ev := &events[i]
		v, lines := r.Explain(ev, cfg)
		text := fmt.Sprintf("event %d, %s at %s: the condition is %s", i+1, ev.Name, ev.When().Sub(origin), v)
		if !r.Listens(ev) {
			out = append(out, text+"; the rule does not listen to this event: see kinds and products")
			continue
		}
		held := false
		if v == condition.True {
			for k, s := range r.StepsHold(ev, cfg) {
				text += fmt.Sprintf(", step %d %s", k+1, s)
				held = held || s == condition.True
			}
		}
		out = append(out, text)
		if !held {
			for _, l := range lines {
				out = append(out, fmt.Sprintf("  %-32s %s", l.Name, l.Value))
			}
		}
	}
	return out
}

func offset(s string) (time.Duration, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	var ps source.Problems
	d := duration(source.Text{Value: s}, &ps)
	return d, ps.Err()
}

func (t *Test) build() ([]event.Event, time.Time, Config, error) {
	cfg := Config{Allowlist: t.Config.Allowlist, Roots: t.Config.Roots, SpendSessionMicros: t.Config.SessionSpend.Micros, DesktopFloor: t.Config.DesktopFloor, Content: t.Config.Content,
		ReadOnly: t.Config.ReadOnly, Plugins: t.Config.Plugins, Domains: t.Config.Domains, Workloads: t.Config.Workloads, Forbidden: t.Config.Forbidden, RemoteOff: t.Config.RemoteOff}
	for m, name := range t.Config.Zones {
		z, err := time.LoadLocation(name)
		if err != nil {
			return nil, origin, cfg, fmt.Errorf("zones.%s: %q is not a time zone", m, name)
		}
		if cfg.Zones == nil {
			cfg.Zones = map[string]*time.Location{}
		}
		cfg.Zones[m] = z
	}
	if t.Config.Propagation != "" {
		d, err := offset(t.Config.Propagation)
		if err != nil {
			return nil, origin, cfg, err
		}
		cfg.Propagation = d
	}
	for m, at := range t.Config.Leavers {
		d, err := offset(at)
		if err != nil {
			return nil, origin, cfg, err
		}
		if cfg.Leavers == nil {
			cfg.Leavers = map[string]time.Time{}
		}
		cfg.Leavers[m] = origin.Add(d)
	}
	var out []event.Event
	end := origin
	for _, x := range t.Events {
		at, err := offset(x.At)
		if err != nil {
			return nil, origin, cfg, err
		}
		every, err := offset(x.Every)
		if err != nil {
			return nil, origin, cfg, err
		}
		for i := range max(1, x.Repeat) {
			n := x
			// {i} in a path or session makes each repetition its own.
			n.Path = strings.ReplaceAll(x.Path, "{i}", fmt.Sprint(i))
			if x.Session != nil {
				session := strings.ReplaceAll(*x.Session, "{i}", fmt.Sprint(i))
				n.Session = &session
			}
			ev := n.event()
			end = origin.Add(at + time.Duration(i)*every)
			ev.Time, ev.Index = end.UnixNano(), int64(len(out))
			ev.Has |= event.FTime
			out = append(out, ev)
		}
	}
	if t.End.Value != "" {
		d, err := offset(t.End.Value)
		if err != nil {
			return nil, origin, cfg, err
		}
		end = origin.Add(d)
	}
	return out, end, cfg, nil
}

// event writes the short form as the product would have sent it, and lets the
// event package derive the rest.
func (x *TestEvent) event() event.Event {
	ev := event.Event{
		Kind: event.KindOf(x.Kind), Name: x.Kind, Product: event.Cowork, Account: "member-1", Session: "session-1", Organisation: "organisation-1",
		Tool: x.Tool, Decision: x.Decision, Source: x.Source, PromptLength: x.PromptLength, ServiceVersion: x.Version, OS: x.OS, Surface: x.Surface, Plugin: x.Plugin,
	}
	if x.Product == "claude-code" {
		ev.Product = event.ClaudeCode
	}
	if x.Member != nil {
		ev.Account = *x.Member
	}
	if x.Session != nil {
		ev.Session = *x.Session
	}
	if x.Organisation != nil {
		ev.Organisation = *x.Organisation
	}
	if x.HostPaths != nil {
		ev.HostPaths = *x.HostPaths
		ev.Has |= event.FHostPaths
	}
	if x.Prompt != nil {
		ev.PromptText = *x.Prompt
		ev.Has |= event.FPromptText
	}
	if x.Cost != nil {
		ev.CostMicros = x.Cost.Micros
		ev.Has |= event.FCostMicros
	}
	ev.PluginHash, ev.Marketplace, ev.ServerScope, ev.ToolSource, ev.UserID, ev.FromMode, ev.ToMode = x.PluginHash, x.Marketplace, x.Scope, x.ToolSource, x.Device, x.FromMode, x.ToMode
	ev.QuerySource, ev.InputSize, ev.ResultSize, ev.OutputTokens, ev.CacheWrite, ev.Model, ev.Status = x.QuerySource, x.InputSize, x.ResultSize, x.OutputTokens, x.CacheWrite, x.Model, x.Status
	if x.Response != nil {
		ev.ResponseText = *x.Response
		ev.Has |= event.FResponseText
	}
	if x.Success != nil {
		ev.Success = *x.Success
		ev.Has |= event.FSuccess
	}
	params, input := map[string]string{}, map[string]string{}
	if x.Server != "" {
		params["mcp_server_name"], params["mcp_tool_name"] = x.Server, x.ServerTool
	}
	if x.Command != "" {
		params["full_command"], input["command"] = x.Command, x.Command
	}
	if x.Path != "" {
		key := "file_path"
		switch x.Tool {
		case "Glob", "Grep", "mcp_tool":
			key = "path"
		case "NotebookEdit":
			key = "notebook_path"
		}
		input[key] = x.Path
	}
	if len(params) > 0 {
		b, _ := json.Marshal(params) // a map of strings always marshals
		ev.Parameters = string(b)
		ev.Has |= event.FParameters
	}
	if len(input) > 0 {
		b, _ := json.Marshal(input)
		ev.Input = string(b)
		ev.Has |= event.FInput
	}
	if x.Input != "" {
		ev.Input = x.Input
		ev.Has |= event.FInput
	}
	for f, given := range map[event.Field]bool{event.FTool: x.Tool != "", event.FDecision: x.Decision != "", event.FSource: x.Source != "", event.FPromptLength: x.PromptLength > 0, event.FServiceVersion: x.Version != "", event.FSurface: x.Surface != "",
		event.FInputSize: x.InputSize > 0, event.FResultSize: x.ResultSize > 0, event.FOutputTokens: x.OutputTokens > 0, event.FCacheWrite: x.CacheWrite > 0, event.FModel: x.Model != "", event.FStatus: x.Status > 0} {
		if given {
			ev.Has |= f
		}
	}
	ev.Derive()
	return ev
}
