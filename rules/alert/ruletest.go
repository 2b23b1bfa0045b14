package alert

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
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
	At     source.Pos
}

// TestConfig is the part of Config that a rule file can set.
type TestConfig struct {
	Allowlist    []string          `yaml:"allowlist"`
	Roots        []string          `yaml:"roots"`
	SessionSpend source.Money      `yaml:"session_spend"`
	Leavers      map[string]string `yaml:"leavers"` // member to the offset of leaving, e.g. 10m
	DesktopFloor string            `yaml:"desktop_floor"`
	Content      []string          `yaml:"content"`
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
}

// origin is the moment offsets count from: a Thursday morning.
var origin = time.Date(2026, 4, 9, 9, 0, 0, 0, time.UTC)

// Failure is a test of a rule file that did not come out as written.
type Failure struct {
	Rule, Test string
	At         source.Pos
	Got        string
}

func (f Failure) Error() string {
	return fmt.Sprintf("%s: rule %q: test %q: %s", f.At, f.Rule, f.Test, f.Got)
}

// RunTests runs the tests of one rule, each over an engine of its own. match
// wants at least one alert; no-match wants none and every record evaluable;
// not-evaluable wants no alert and at least one record that was not evaluable.
func RunTests(r *Rule) []Failure {
	var out []Failure
	for _, t := range r.Tests {
		fail := func(format string, args ...any) {
			out = append(out, Failure{r.ID.Value, t.Name, t.At, fmt.Sprintf(format, args...)})
		}
		events, end, cfg, err := t.build()
		if err != nil {
			fail("%v", err)
			continue
		}
		e := New([]*Rule{r}, cfg)
		for i := range events {
			e.Observe(&events[i])
		}
		found := e.Close(end)
		rep := e.Reports()[0]
		got := "no-match"
		switch {
		case len(found) > 0:
			got = "match"
		case len(rep.NotEvaluable) > 0:
			got = "not-evaluable"
		}
		switch {
		case got != t.Expect:
			fail("got %s %v, expected %s", got, rep.NotEvaluable, t.Expect)
		case t.Alerts > 0 && len(found) != t.Alerts:
			fail("got %d alerts, expected %d", len(found), t.Alerts)
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
	cfg := Config{Allowlist: t.Config.Allowlist, Roots: t.Config.Roots, SpendSessionMicros: t.Config.SessionSpend.Micros, DesktopFloor: t.Config.DesktopFloor, Content: t.Config.Content}
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
			ev := x.event()
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
		Kind: event.KindOf(x.Kind), Name: x.Kind, Product: event.Cowork, Account: "member-1", Session: "session-1",
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
	for f, given := range map[event.Field]bool{event.FTool: x.Tool != "", event.FDecision: x.Decision != "", event.FSource: x.Source != "", event.FPromptLength: x.PromptLength > 0, event.FServiceVersion: x.Version != "", event.FSurface: x.Surface != ""} {
		if given {
			ev.Has |= f
		}
	}
	ev.Derive()
	return ev
}
