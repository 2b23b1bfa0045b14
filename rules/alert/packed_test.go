package alert

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// TestWordsReadNothingThatPacksLeaveOut: events wait packed, without what no engine
// reads. A word that reads more would be silent on every replay, and find what it looks
// for in tests of rules only.
func TestWordsReadNothingThatPacksLeaveOut(t *testing.T) {
	programs := map[string]*condition.Program[subject]{}
	for _, v := range Vars() {
		switch v.Type {
		case "bool":
			p, errs := vocabulary.Compile(source.Text{Value: v.Name})
			if len(errs) > 0 {
				t.Fatal(v.Name, errs)
			}
			programs[v.Name] = p
		case "function": // their arguments are words
		default:
			if texts[v.Name] == nil && numbers[v.Name] == nil && known[v.Name] == nil {
				t.Errorf("nothing asks the word %s of type %s", v.Name, v.Type)
			}
		}
	}
	cfg := Config{Allowlist: []string{"documents"}, ReadOnly: []string{"documents"}, Plugins: []string{"p"}, DesktopFloor: "1.2.3",
		Zones: map[string]*time.Location{"someone": time.UTC}}
	told := 0
	differ := func(narrow bool) []string { // the words that packing changes
		words := map[string]bool{}
		for round := range 400 {
			r := rand.New(rand.NewPCG(uint64(round), 3))
			e := everything(r)
			e.Kind = event.Kinds()[round%len(event.Kinds())]
			e.Name = e.Kind.String()
			e.Derive()
			p, o := event.Pack{Narrow: narrow}, event.Opened{}
			p.Add([]event.Event{*e})
			before, after := subject{cfg: &cfg, ev: e}, subject{cfg: &cfg, ev: p.Open(0, &o)}
			see := func(name string, a, b any, known bool) {
				if a != b {
					words[name] = true
				}
				if known {
					told++
				}
			}
			for name, get := range texts {
				a, ok := get(&before)
				b, _ := get(&after)
				see(name, a, b, ok)
			}
			for name, get := range numbers {
				a, ok := get(&before)
				b, _ := get(&after)
				see(name, a, b, ok)
			}
			for name, is := range known {
				see(name, is(&before), is(&after), false)
			}
			for name, p := range programs {
				a := p.Eval(&before)
				see(name, a, p.Eval(&after), a == condition.True)
			}
		}
		return slices.Sorted(maps.Keys(words))
	}
	if words := differ(false); len(words) > 0 {
		t.Errorf("packing changes %q", words)
	}
	if words := differ(true); !slices.Equal(words, rare) {
		t.Errorf("narrow packing changes %q, expected %q", words, rare)
	}
	if told < 8000 {
		t.Errorf("only %d values were known: the events are too poor to show anything", told)
	}
}

// TestRare: a rule that reads what is left out says so, wherever it does.
func TestRare(t *testing.T) {
	const start = "rules:\n  - {id: x, title: t, severity: low, status: stable, topic: rejections, owner: o, catches: c, runbook: b, "
	for rule, want := range map[string]bool{
		`condition: 'kind == "user_prompt"'`:                                                                                             false,
		`condition: 'kind == "api_request" and speed == "fast"'`:                                                                         true,
		`condition: 'true', correlation: {type: count, key: [device], window: 1h, threshold: 2}`:                                         true,
		`condition: 'true', correlation: {type: count, key: [member], window: 1h, threshold: 2}`:                                         false,
		`condition: 'true', correlation: {type: distinct, field: organisation, key: [member], window: 1h, threshold: 2}`:                 true,
		`condition: 'true', correlation: {type: sequence, key: [session], window: 30m, steps: ['tool_name == "a"', 'error == "b"']}`:     true,
		`condition: 'true', correlation: {type: sequence, key: [session], window: 30m, steps: ['tool_name == "a"', 'tool_name == "b"']}`: false,
		`condition: 'true', exceptions: [{condition: 'device == "d"', reason: tested, owner: o, expires: 2027-01-01}]`:                   true,
		`condition: 'classifier(error, "secret")'`:                                                                                       true,
	} {
		rs, err := Parse("x.yaml", []byte(start+rule+"}\n"))
		if err != nil {
			t.Errorf("%s: %v", rule, err)
		} else if Rare(rs) != want {
			t.Errorf("%s: rare %t", rule, !want)
		}
	}
}

// everything is an event in which every text and number is set.
func everything(r *rand.Rand) *event.Event {
	pool := []string{"documents", "Read", "Bash", "1.2.3", "/srv/a/b.txt", `{"file_path":"/srv/a/b.txt","command":"ls"}`, `{"mcp_server_name":"documents","mcp_tool_name":"get_page"}`, "accept", "config", "someone"}
	e := &event.Event{Product: event.Cowork, Has: ^event.Field(0)}
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(pool[r.IntN(len(pool))])
		case reflect.Int64, reflect.Int32:
			f.SetInt(1 + r.Int64N(1<<30))
		case reflect.Bool:
			f.SetBool(r.IntN(2) == 0)
		case reflect.Slice:
			if list, ok := f.Addr().Interface().(*[]string); ok {
				*list = []string{pool[r.IntN(len(pool))]}
			}
		}
	}
	return e
}
