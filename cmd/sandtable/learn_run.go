package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/assess/cases"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/forecast"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

// studied carries out a rehearsal and hands cases what they may look at.
func studied(ctx context.Context, s *scenarios.Scenario) (*cases.Evidence, error) {
	dir, err := os.MkdirTemp("", "sandtable-learn-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "stream.otlp.jsonl.zst")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	res, err := rehearsal.Run(ctx, rehearsal.Options{Scenario: s, StreamTo: f, StreamPath: path, Brief: true})
	if err != nil {
		return nil, err
	}
	e := &cases.Evidence{}
	if e.Prompts, err = prompts(ctx, path, res.Truth); err != nil {
		return nil, err
	}
	if err := document(res.Assessment, &e.Doc); err != nil {
		return nil, err
	}
	told := map[string]any{}
	for _, name := range sortedKeys(e.Prompts) {
		if name != "" {
			told[name] = summary(e.Prompts[name])
		}
	}
	for key, v := range map[string]any{
		"roster": res.Organisation, "spend": res.Spend, "rules": res.Rules, "coverage": res.Coverage, "adoption": res.Analytics,
		"caught": caught(res), "prompts": told,
	} {
		var x any
		if err := document(v, &x); err != nil {
			return nil, err
		}
		e.Doc[key] = x
	}
	return e, nil
}

// document turns a result into decoded JSON, numbers as written.
func document(v, into any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// story says how the rules did on what was injected under one name.
type story struct {
	ID        string   `json:"id"`
	Kind      string   `json:"kind"` // story or twin
	Instances int      `json:"instances"`
	Caught    int      `json:"caught"` // instances of which a finding cites an event
	Rules     []string `json:"rules"`
}

// caught matches findings with the labelled events of what was injected: an
// event is known by its session and its time.
func caught(res *rehearsal.Result) []story {
	type moment struct{ session, time string }
	cited := map[moment][]string{}
	for _, f := range res.Findings {
		for _, e := range f.Events {
			m := moment{e.Session, e.Time}
			if !slices.Contains(cited[m], f.Rule) {
				cited[m] = append(cited[m], f.Rule)
			}
		}
	}
	out := []story{}
	for _, t := range res.Truth {
		i := slices.IndexFunc(out, func(s story) bool { return s.ID == t.Story })
		if i < 0 {
			i = len(out)
			out = append(out, story{ID: t.Story, Kind: t.Kind, Rules: []string{}})
		}
		out[i].Instances++
		hit := false
		for _, e := range t.Events {
			for _, r := range cited[moment{e.Session, e.Time.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")}] {
				hit = true
				if !slices.Contains(out[i].Rules, r) {
					out[i].Rules = append(out[i].Rules, r)
				}
			}
		}
		if hit {
			out[i].Caught++
		}
		slices.Sort(out[i].Rules)
	}
	return out
}

// maxOrdinary bounds the prompts looked at for an ordinary one; the first of so
// many are whole.
const maxOrdinary = 100

// errEnough ends the reading of a stream.
var errEnough = errors.New("enough was read")

// prompts reads the stream once more and keeps whole prompts worth showing: of
// each story the one with most records, and one ordinary prompt in which a tool
// was decided on and ran.
func prompts(ctx context.Context, path string, truth []simulate.TruthLabel) (map[string][]cases.Record, error) {
	of := map[string]string{}
	for _, t := range truth {
		for _, p := range t.Prompts {
			of[p] = t.Story
		}
	}
	src, err := stream.Open([]string{path}, stream.Options{Unhashed: true})
	if err != nil {
		return nil, err
	}
	kept := map[string][]cases.Record{}
	var order []string
	err = src.Each(ctx, func(b *otlp.Batch) error {
		for i := range b.Events {
			e := &b.Events[i]
			if e.Prompt == "" {
				continue
			}
			if of[e.Prompt] == "" && kept[e.Prompt] == nil && len(order) >= maxOrdinary {
				if len(of) == 0 {
					return errEnough
				}
				continue
			}
			e.Derive()
			id := strings.Clone(e.Prompt)
			if kept[id] == nil {
				order = append(order, id)
			}
			kept[id] = append(kept[id], shownRecord(e))
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	out := map[string][]cases.Record{}
	for _, id := range order {
		recs, story := kept[id], of[id]
		slices.SortStableFunc(recs, func(a, b cases.Record) int { return a.Time.Compare(b.Time) })
		switch {
		case story == "" && out[""] == nil && ordinary(recs), story != "" && len(recs) > len(out[story]):
			out[story] = recs
		}
	}
	return out, nil
}

func ordinary(recs []cases.Record) bool {
	want := map[string]bool{"user_prompt": true, "api_request": true, "tool_decision": true, "tool_result": true}
	for _, r := range recs {
		delete(want, r.Event)
	}
	return len(want) == 0 && len(recs) >= 6
}

// shownRecord picks the attributes worth reading of an event.
func shownRecord(e *event.Event) cases.Record {
	r := cases.Record{Time: e.When(), Prompt: strings.Clone(e.Prompt), Event: strings.Clone(e.Name)}
	add := func(k, v string) {
		if v != "" {
			r.Fields = append(r.Fields, [2]string{k, strings.Clone(v)})
		}
	}
	tool := e.Tool
	if e.MCPServer != "" {
		tool = e.MCPServer + "/" + e.MCPTool
	}
	switch e.Kind {
	case event.UserPrompt:
		if add("prompt_length", fmt.Sprint(e.PromptLength)); e.PromptText != "" {
			r.Fields[0] = [2]string{"prompt", fmt.Sprintf("%q", e.PromptText)}
		}
	case event.APIRequest:
		add("model", e.Model)
		add("input_tokens", fmt.Sprint(e.InputTokens))
		add("output_tokens", fmt.Sprint(e.OutputTokens))
		add("cost", spend.Dollars(e.CostMicros))
	case event.ToolDecision:
		add("tool", tool)
		add("decision", e.Decision)
		add("source", e.Source)
	case event.ToolResult:
		add("tool", tool)
		add("success", fmt.Sprint(e.Success))
		add("path", e.Path)
	default:
		add("tool", tool)
		add("error", e.Error)
	}
	return r
}

// summary is what can be asked about a prompt that was rebuilt from its id.
func summary(recs []cases.Record) map[string]any {
	field := func(r cases.Record, k string) string {
		for _, f := range r.Fields {
			if f[0] == k {
				return f[1]
			}
		}
		return ""
	}
	var tools, refused, outside []string
	decisions, rejected, results := 0, 0, 0
	for _, r := range recs {
		switch r.Event {
		case "tool_decision":
			decisions++
			if field(r, "decision") == "reject" {
				rejected++
				refused = append(refused, field(r, "tool"))
			}
		case "tool_result":
			results++
			if t := field(r, "tool"); !slices.Contains(tools, t) {
				tools = append(tools, t)
			}
			if p := field(r, "path"); p != "" {
				outside = append(outside, p)
			}
		}
	}
	first := func(l []string) string {
		if len(l) == 0 {
			return "none"
		}
		return l[0]
	}
	return map[string]any{"id": recs[0].Prompt, "records": len(recs), "first_event": recs[0].Event, "decisions": decisions, "rejected": rejected,
		"results": results, "tools": len(tools), "first_tool": first(tools), "first_refused": first(refused), "first_path": first(outside)}
}

// foreseen adds what a month under the scenario's own limits would look like, for
// labs that size one.
func foreseen(ctx context.Context, s *scenarios.Scenario) ([]cases.Foreseen, error) {
	ground, err := rehearsal.Prepare(s)
	if err != nil {
		return nil, err
	}
	month := forecast.Month(ground.Directory, s.Period.From.Time)
	model, err := forecast.Scenario(simulate.Options{Scenario: s, Directory: ground.Directory, Gate: ground.Gate, Prices: ground.Prices}, month)
	if err != nil {
		return nil, err
	}
	var out []cases.Foreseen
	mid := month.AddDate(0, 0, 14)
	for i := range s.Spend.Groups {
		l := &s.Spend.Groups[i]
		var set []int
		for j, w := range model.Workers {
			for _, g := range ground.Directory.GroupsOf(w.Member, mid) {
				if s.Groups[g].Name.Value == l.Group.Value && ground.Gate.MayUse(w.Member, rbac.Cowork, mid) {
					set = append(set, j)
				}
			}
		}
		if len(set) == 0 {
			continue
		}
		o := forecast.Options{Trials: 300, Seed: s.Seed}
		spread, err := model.Run(ctx, o, set)
		if err != nil {
			return nil, err
		}
		tried, err := model.Try(ctx, o, set, l.Limit.Micros)
		if err != nil {
			return nil, err
		}
		out = append(out, cases.Foreseen{Group: l.Group.Value, Members: len(set), P95: spread[0].MemberQuantiles().P95,
			Entered: l.Limit.Micros, CutShort: tried[0].MemberMonth.Mean})
	}
	return out, nil
}

// captured plays a scenario and writes its stream as plain OTLP JSON lines.
func captured(ctx context.Context, s *scenarios.Scenario, w io.Writer) error {
	dir, err := os.MkdirTemp("", "sandtable-learn-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "stream.otlp.jsonl.zst")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := rehearsal.Run(ctx, rehearsal.Options{Scenario: s, StreamTo: f, StreamPath: path, Brief: true}); err != nil {
		return err
	}
	packed, err := os.Open(path)
	if err != nil {
		return err
	}
	defer packed.Close()
	plain, err := zstd.NewReader(packed)
	if err != nil {
		return err
	}
	defer plain.Close()
	_, err = io.Copy(w, plain)
	return err
}
