// Command export prepares the checks of exported rules that are executed: it
// plays a stream, writes it as rows of the collector's table, and writes the
// exports for ClickHouse and Sigma with the alerts of our own engine beside them.
//
//	go run ./.ci/export DIR
//	(cd DIR && npm install chdb@3.4.0) && node .ci/export/clickhouse.mjs DIR
//	(cd DIR && npm install js-yaml@4.1.0) && node .ci/export/sigma.mjs DIR
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/alert/export"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

type expected struct {
	Rule   string   `json:"rule"`
	Level  string   `json:"level"`
	Alerts []string `json:"alerts"` // moments in ns, sorted by time
	// What Sigma leaves to the target: the key of an incident, in our words, and
	// for how long further matches belong to it.
	Key      []string `json:"key"`
	Suppress int64    `json:"suppress_ns"`
}

type open struct{ d *org.Directory }

func (g open) MayUse(m int, _ string, t time.Time) bool {
	return g.d.Left(m).IsZero() || t.Before(g.d.Left(m))
}
func (open) Connector(int, string, string, bool, time.Time) simulate.Verdict { return simulate.Allow }
func (open) MaySpend(int, time.Time) bool                                    { return true }
func (open) Charge(int, time.Time, int64)                                    {}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: export DIR")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	s, err := scenarios.LoadFile("assess/quality/organisation.yaml")
	if err != nil {
		return err
	}
	s.Seed = 7
	s.Telemetry.Content = []string{"userPrompts", "assistantResponses", "toolDetails"}
	s.Period.To = s.Period.From.Add(34)
	for _, t := range simulate.Tales() {
		if t.Everybody && t.ID != "content-quietly-off" && t.ID != "nameless-server" && t.ID != "20c" {
			continue // a silence or a move of many would leave little to compare
		}
		s.Incidents = append(s.Incidents, scenarios.Incident{Story: source.Text{Value: t.ID}, Count: 1})
	}
	d, err := org.Build(&s.Config, s.Seed)
	if err != nil {
		return err
	}
	simulate.SetLeavers(s, d, func(int, time.Time) bool { return true })
	cfg := alert.Config{Content: s.Telemetry.Content, DesktopFloor: "1.15962.1", RemoteOff: true, SpendSessionMicros: 8_000_000, Propagation: 30 * time.Minute, Plugins: []string{"claims-kit"}, Domains: d.Domains(),
		ReadOnly: []string{"ledger"}, Allowlist: []string{"filesystem", "sqlite"}, Leavers: map[string]time.Time{}, Workloads: map[string][]string{}, Forbidden: map[string][]string{}}
	for _, c := range s.Connectors {
		cfg.Allowlist = append(cfg.Allowlist, c.Name.Value)
	}
	for i := range d.Len() {
		m := d.Member(i)
		if !m.Left.IsZero() {
			cfg.Leavers[m.Account] = m.Left
		}
		if m.Persona == "claims" {
			cfg.Workloads[m.Account] = []string{"phi"}
		} else {
			cfg.Forbidden[m.Account] = []string{"browser"}
		}
	}
	rs, err := alert.Load(alert.Packs())
	if err != nil {
		return err
	}
	probes, err := alert.Load(os.DirFS(".ci/export"))
	if err != nil {
		return err
	}
	rs = append(rs, probes...)
	prices, err := platform.Prices()
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "rows.jsonl"))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	engine := alert.New(rs, cfg)
	rows := 0
	rp := replay.New(replay.Options{}, engine, observer(func(e *event.Event) {
		rows++
		if err := enc.Encode(row(e)); err != nil {
			log.Fatal(err)
		}
	}))
	if _, err := simulate.Run(context.Background(), simulate.Options{Scenario: s, Directory: d, Gate: open{d}, Prices: prices, Study: true, LocalServers: []string{"filesystem", "sqlite"}}, func(b []event.Event) error {
		for i := range b {
			b[i].Derive()
		}
		rp.Add(b)
		return nil
	}); err != nil {
		return err
	}
	_, found := rp.Close()
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	byRule := map[string][]rules.Finding{}
	for _, x := range found {
		byRule[x.Rule] = append(byRule[x.Rule], x)
	}
	for _, to := range []string{"clickhouse", "sigma"} {
		files, list, err := export.Rules(rs, to, export.Options{Config: cfg, Approximate: true})
		if err != nil {
			return err
		}
		out := filepath.Join(dir, to)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		for _, a := range files {
			if err := os.WriteFile(filepath.Join(out, a.Name), a.Data, 0o644); err != nil {
				return err
			}
		}
		var want []expected
		for _, x := range list {
			i := slices.IndexFunc(rs, func(r *alert.Rule) bool { return r.ID.Value == x.Rule })
			if x.File == "" || i < 0 {
				continue
			}
			e := expected{Rule: x.Rule, Level: x.Level.String(), Alerts: []string{}, Suppress: rs[i].Times().Suppress.Nanoseconds(), Key: []string{}}
			for _, k := range rs[i].Correlation.Key {
				e.Key = append(e.Key, k.Value)
			}
			for _, a := range byRule[x.Rule] {
				e.Alerts = append(e.Alerts, strconv.FormatInt(a.Time.UnixNano(), 10))
			}
			want = append(want, e)
		}
		data, err := json.MarshalIndent(want, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, "expected.json"), data, 0o644); err != nil {
			return err
		}
		fmt.Printf("%d rows, %d alerts, %d of %d rules for %s in %s\n", rows, len(found), len(want), len(rs), to, out)
	}
	return nil
}

type observer func(*event.Event)

func (o observer) Observe(e *event.Event) { o(e) }

// services are the names of products on the wire: a replay hands on what engines read,
// and they read the product.
var services = map[event.Product]string{event.Cowork: "cowork", event.ClaudeCode: "claude-code"}

// row is a record as the collector's exporter stores it: every attribute a text.
func row(e *event.Event) map[string]any {
	a := map[string]string{"event.name": e.Name, "event.sequence": strconv.FormatInt(e.Sequence, 10)}
	put := func(k, v string) {
		if v != "" {
			a[k] = v
		}
	}
	number := func(k string, f event.Field, v int64) {
		if e.Has&f != 0 {
			a[k] = strconv.FormatInt(v, 10)
		}
	}
	put("session.id", e.Session)
	put("prompt.id", e.Prompt)
	put("user.id", e.UserID)
	put("user.email", e.Email)
	put("user.account_uuid", e.Account)
	put("organization.id", e.Organisation)
	put("tool_name", e.Tool)
	put("tool_source", e.ToolSource)
	put("decision", e.Decision)
	put("source", e.Source)
	put("tool_parameters", e.Parameters)
	put("tool_input", e.Input)
	put("mcp_server_scope", e.ServerScope)
	put("prompt", e.PromptText)
	put("model", e.Model)
	put("cowork.surface", e.Surface)
	put("plugin.name", e.Plugin)
	put("plugin_id_hash", e.PluginHash)
	put("to_mode", e.ToMode)
	put("from_mode", e.FromMode)
	if e.Has&event.FSuccess != 0 {
		a["success"] = strconv.FormatBool(e.Success)
	}
	if e.Has&event.FHostPaths != 0 {
		list, _ := json.Marshal(append([]string{}, e.HostPaths...)) // texts always marshal
		a["workspace.host_paths"] = string(list)
	}
	number("cost_usd_micros", event.FCostMicros, e.CostMicros)
	number("tool_input_size_bytes", event.FInputSize, e.InputSize)
	number("tool_result_size_bytes", event.FResultSize, e.ResultSize)
	number("prompt_length", event.FPromptLength, e.PromptLength)
	return map[string]any{"Timestamp": strings.Replace(e.When().Format("2006-01-02T15:04:05.000000000"), "T", " ", 1), "ServiceName": services[e.Product], "LogAttributes": a,
		"ResourceAttributes": map[string]string{"os.type": e.OS, "service.version": e.ServiceVersion}}
}
