package org

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

const everything = `organisation:
  name: "A: b"
  id: org_1
  plan: enterprise
  seats: 9
  arrangements: [zdr]
  departments: [{name: Claims, members: 0, persona: claims}]
  settings: {cowork: true, cloud: false, compliance_api_since: 2026-08-11, personal_seats: 0}
  toggles: {memory: false, web_search: true}
  contract: {cowork: force_on}
  seat_tiers: [{name: Chat, excludes: [claude_code], count: 3}]
  models: {enabled: [claude-haiku-4-5], effort: high}
members: [{select: {all: true}, role: custom}, {select: {ids: [a@ex.test]}, role: owner, seat: Chat}]
groups:
  - name: pilot
    id: rbac_group_1
    source: scim
    roles: [r]
    members: [{select: {department: Claims, first: 2}, from: 2026-04-13}]
    plugins: [{plugin: p, level: installed}]
  - {name: g2, roles_unknown: true}
roles:
  - name: r
    grants:
      - {capability: cowork, because: "it's the \"thing\" # here"}
      - {connector: zoom, tool: get, level: ask}
      - {capability: zzz, unknown: true}
    admin_areas: {billing: view}
connectors: [{name: zoom, enabled: true, policy: ask, tools: [{name: get, read_only: true}]}]
plugins: [{name: p, level: available}]
skills: [{name: s}]
spend: {organisation: 900.25, groups: [{group: pilot, limit: 0.5}]}
roster: |
  email,role,groups
  a@ex.test,custom,pilot;g2
personal: [{select: {all: true}, off: memory}]
local_servers: [{name: box}]
changes:
  - {on: "2026-05-11T10:00:00Z", arrives: 2026-05-12, group: {name: pilot, add: {department: Claims}}}
  - {on: 2026-05-12, toggles: {memory: true}}
`

// What is written loads as what it was.
func TestYAMLRoundTrip(t *testing.T) {
	load := func(name string, data []byte) *Config {
		f, err := source.Parse(name, data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		var c Config
		if err := f.Decode(&c); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		return &c
	}
	want := load("first", []byte(everything))
	data := want.YAML()
	got := load("second", data)
	opts := cmp.Options{cmpopts.IgnoreTypes(source.Pos{}), cmp.Transformer("text", func(t source.Text) string { return t.Value }), cmpopts.EquateEmpty()}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Errorf("%s\n%s", d, data)
	}
	if again := got.YAML(); string(again) != string(data) {
		t.Errorf("written twice, two texts:\n%s", again)
	}
}
