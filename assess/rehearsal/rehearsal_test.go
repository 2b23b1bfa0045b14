package rehearsal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/rehearsal"
	"github.com/sandtable-dev/sandtable/scenarios"
)

const small = `name: small
title: Twenty people and one team
as_of: 2026-04-09
period: {from: 2026-04-13, to: 2026-04-24}
seed: 7
organisation:
  name: Small and Sons
  kind: [issuer]
  plan: enterprise
  seats: 20
  modes: [local]
  directory: scim
  departments:
    - {name: Finance, members: 12, persona: finance, time_zone: Europe/Dublin}
  settings: {cowork: true, cloud: false}
members:
  - {select: {all: true}, role: custom}
groups:
  - {name: finance, source: scim, phase: pilot, roles: [cowork], members: [{select: {department: Finance}}]}
roles:
  - name: cowork
    grants:
      - {capability: cowork, because: "The close notes."}
      - {connector: ledger, level: ask, because: "Reads balances."}
connectors:
  - {name: ledger, enabled: true, vendor: Small and Sons, tools: [{name: get_balance, read_only: true}]}
spend:
  groups: [{group: finance, limit: 8, because: "A cap that somebody will reach."}]
telemetry: {endpoint: "https://otel.small.example:4318", protocol: http/protobuf, content: [userPrompts, assistantResponses, toolDetails]}
rules: {packs: [lesson, health], owned: true, silence_rule: true}
workloads: [{name: close-notes, groups: [finance], data: [icfr], reliance: relied}]
incidents: [{story: shadow-connector-spread, count: 1}]
`

func load(t *testing.T, text string, set ...string) *scenarios.Scenario {
	t.Helper()
	name := filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.LoadFile(name, set...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type buffer struct {
	bytes.Buffer
	name string
}

func (b *buffer) Close() error { return os.WriteFile(b.name, b.Bytes(), 0o600) }

func play(t *testing.T, s *scenarios.Scenario, workers int) (*rehearsal.Result, *buffer) {
	t.Helper()
	b := &buffer{name: filepath.Join(t.TempDir(), "stream.otlp.jsonl.zst")}
	r, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: s, Workers: workers, StreamTo: b, StreamPath: b.name})
	if err != nil {
		t.Fatal(err)
	}
	return r, b
}

// flat is everything a bundle would hold of a result.
func flat(t *testing.T, r *rehearsal.Result) string {
	t.Helper()
	data, err := json.Marshal([]any{r.Assessment, r.Findings, r.Organisation, r.Spend, r.Analytics, r.Coverage, r.Rules, r.Truth})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSameBytesForAnyNumberOfWorkers(t *testing.T) {
	s := load(t, small)
	one, stream := play(t, s, 1)
	want := flat(t, one)
	for _, procs := range []int{1, 2} {
		was := runtime.GOMAXPROCS(procs)
		r, b := play(t, s, 3)
		runtime.GOMAXPROCS(was)
		if !bytes.Equal(b.Bytes(), stream.Bytes()) {
			t.Errorf("GOMAXPROCS %d gave another stream", procs)
		}
		if got := flat(t, r); got != want {
			t.Errorf("GOMAXPROCS %d gave another result", procs)
		}
	}
}

// TestCaptureOfARehearsalSaysTheSame: the stream a rehearsal wrote, read as a
// capture of the same organisation, shows the same life; only then is it
// evidence of operation.
func TestCaptureOfARehearsalSaysTheSame(t *testing.T) {
	played, b := play(t, load(t, small), 0)
	captured, err := rehearsal.Run(context.Background(), rehearsal.Options{
		Scenario: load(t, small, "as_of=2026-05-01"), Streams: []string{b.name}, Key: []byte("a key of the organisation"),
	})
	if err != nil {
		t.Fatal(err)
	}
	p, c := played.Assessment.Counters, captured.Assessment.Counters
	if p.CoworkEvents == 0 || p.CoworkEvents != c.CoworkEvents || p.Sessions != c.Sessions || p.Prompts != c.Prompts || p.MembersHeard != c.MembersHeard || p.SpendMicros != c.SpendMicros {
		t.Errorf("played %+v\ncaptured %+v", p, c)
	}
	if played.Assessment.Evidence != "simulated" || captured.Assessment.Evidence != "observed" {
		t.Errorf("evidence %s and %s", played.Assessment.Evidence, captured.Assessment.Evidence)
	}
	if len(captured.Truth) != 0 || captured.Stream != nil {
		t.Error("a capture has no truth and writes no stream")
	}
}

// TestNobodyIsNamed: no account, address or name of a member stands in a result.
func TestNobodyIsNamed(t *testing.T) {
	r, b := play(t, load(t, small), 0)
	if len(r.Findings) == 0 || len(r.Spend.Members) == 0 {
		t.Fatal("nothing that could name anybody")
	}
	text := flat(t, r)
	if strings.Contains(text, "@") {
		t.Error("an address stands in the result")
	}
	open, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: load(t, small), IncludeContent: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range open.Organisation.Members {
		if strings.Contains(text, m.Member) {
			t.Errorf("account %s stands in the result", m.Member)
		}
	}
	_ = b
}

func TestSimulatedEvidenceNeverOperates(t *testing.T) {
	r, _ := play(t, load(t, small), 0)
	for _, o := range r.Assessment.Obligations {
		if o.Verdict == assess.Supported && !o.DesignOnly {
			t.Errorf("%s is supported by more than its design", o.ID)
		}
		for _, e := range o.Elements {
			if e.Aspect == "O" && e.State == "met" {
				t.Errorf("%s is met on simulated evidence", e.ID)
			}
		}
	}
}

// TestEveryIdLeadsSomewhere: facts of elements, gaps, claims and checks are
// listed, findings of elements exist, and their events carry a position.
func TestEveryIdLeadsSomewhere(t *testing.T) {
	s, err := scenarios.Load("insurer-claims", "period.to=2026-05-01", "incidents=[{story: shadow-connector-spread}]")
	if err != nil {
		t.Fatal(err)
	}
	r, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: s})
	if err != nil {
		t.Fatal(err)
	}
	facts, findings := map[string]bool{}, map[string]bool{}
	for _, f := range r.Assessment.FactsUsed {
		facts[f.ID] = true
	}
	for _, f := range r.Findings {
		if findings[f.ID] {
			t.Errorf("two findings are called %s", f.ID)
		}
		findings[f.ID] = true
	}
	cited := 0
	cite := func(where string, ids []string) {
		for _, id := range ids {
			if cited++; !facts[id] {
				t.Errorf("%s cites fact %s, which is not listed", where, id)
			}
		}
	}
	for _, o := range r.Assessment.Obligations {
		for _, e := range o.Elements {
			cite(e.ID, e.Facts)
			for _, id := range e.Findings {
				if !findings[id] {
					t.Errorf("%s cites finding %s, which is not listed", e.ID, id)
				}
			}
		}
	}
	for _, g := range r.Assessment.Gaps {
		cite(g.ID, g.Facts)
		for _, sf := range g.Surfaces {
			cite(g.ID+"/"+sf.ID, sf.Facts)
		}
	}
	for _, c := range r.Assessment.Checks {
		cite(c.ID, c.Facts)
	}
	for _, p := range r.Assessment.Claims {
		cite(p.ID, p.Facts)
	}
	if cited < 100 {
		t.Errorf("only %d citations were looked at", cited)
	}
}

func TestNamesNobodyKnowsAreRefusedAtOnce(t *testing.T) {
	s := load(t, strings.Replace(small, "story: shadow-connector-spread", "story: shadow-conector-spread", 1)+
		"claims: [{id: full-audit-coverage-otl}]\nneeds: [{id: use-for-clams}]\n")
	_, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: s})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`did you mean "shadow-connector-spread"`, `did you mean "full-audit-coverage-otel"`, `did you mean "use-for-claims"`, "scenario.yaml:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

func TestNothingUsable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "junk.json")
	if err := os.WriteFile(name, []byte("{]"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: load(t, small), Streams: []string{name}, Key: []byte("0123456789abcdef")})
	if !errors.Is(err, rehearsal.ErrNoRecords) {
		t.Errorf("got %v", err)
	}
}

// TestShippedScenarios holds every shipped scenario to what it expects.
func TestShippedScenarios(t *testing.T) {
	for _, info := range scenarios.List() {
		t.Run(info.Name, func(t *testing.T) {
			if testing.Short() && info.Name == "insurer-claims" {
				t.Skip("the largest; .ci/run plays it without -short")
			}
			s, err := scenarios.Load(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Expect) == 0 {
				t.Fatal("the scenario expects nothing")
			}
			r, err := rehearsal.Run(context.Background(), rehearsal.Options{Scenario: s})
			if err != nil {
				t.Fatal(err)
			}
			all, err := r.Expectations()
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range all {
				if !e.Met {
					t.Errorf("%s: %s: expected %s, got %s", e.At, e.Path, e.Want, e.Got)
				}
			}
			if len(r.Unplaced) > 0 {
				t.Errorf("stories that could not be played: %+v", r.Unplaced)
			}
		})
	}
}

// The organisation's own retention period takes the place of the vendor's.
// Where the roster has ids and no addresses, telemetry is reconciled by the ids, in
// the case in which both write them.
func TestReconciledById(t *testing.T) {
	listed := strings.Replace(small, "    - {name: Finance, members: 12,", "    - {name: Finance, members: 0,", 1) +
		"roster: |\n  id,account,department\n  user_01AbC,5f0d0c3e-0000-4000-8000-000000000001,Finance\n  user_01XyZ,5f0d0c3e-0000-4000-8000-000000000002,Finance\n"
	played, b := play(t, load(t, listed, "incidents=[]"), 0)
	ids := []string{"user_01AbC", "user_01XyZ"}
	var rows []string
	for d := range played.Analytics.Daily() {
		if d.Sessions > 0 {
			rows = append(rows, fmt.Sprintf(`{"date":%q,"user":{"id":%q},"cowork_metrics":{"distinct_session_count":%d}}`, d.Date, ids[d.Member], d.Sessions))
		}
	}
	export := filepath.Join(t.TempDir(), "analytics.json")
	if err := os.WriteFile(export, []byte(`{"data":[`+strings.Join(rows, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	captured, err := rehearsal.Run(context.Background(), rehearsal.Options{
		Scenario: load(t, listed, "as_of=2026-05-01", "incidents=[]"), Streams: []string{b.name}, Key: []byte("a key of the organisation"), Evidence: []string{export},
	})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(captured.Assessment.Variables, func(v assess.VariableUse) bool { return v.Name == "recon_ratio" })
	if i < 0 || captured.Assessment.Variables[i].Value != "1" || len(rows) == 0 {
		t.Errorf("of %d member-days on both sides: %+v", len(rows), captured.Assessment.Variables[max(i, 0)])
	}
}

func TestOwnRetentionIsRead(t *testing.T) {
	for days, want := range map[string]string{"0": "2190", "90": "90"} {
		r, _ := play(t, load(t, small, "organisation.transcript_retention_days="+days, "as_of=2026-08-22", "period={from: 2026-07-01, to: 2026-07-03}", "incidents=[]"), 1)
		for _, p := range r.Assessment.Predicates {
			if p.Name == "transcript_days" && p.Value != want {
				t.Errorf("with %s days of its own transcripts are kept %s days, want %s", days, p.Value, want)
			}
		}
	}
}
