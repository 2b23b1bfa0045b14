package simulate

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// TestPopulation holds a generated month to its profile, within what chance
// allows, and what is not drawn directly to the bounds of what was published.
// One coding fleet of 436,464 records is the only published measure; office work
// is lighter, so its shares bound ours from a distance that is stated here.
func TestPopulation(t *testing.T) {
	s, d := company(4, map[string]int{"claims": 20, "analyst": 15, "finance": 15, "operations": 15, "marketing": 15})
	s.Period.To = source.Day(2026, 5, 10)
	s.Telemetry.Wire = "2.1.201"
	p, err := loadProfile("")
	if err != nil {
		t.Fatal(err)
	}
	profile := WireProfile(s.Telemetry)
	light := profile // without what Cowork adds: the resource on every record, and folders
	light.RepeatResource = false
	bare := profile // no content, as the captured records of Cowork have none
	bare.Content = otlp.Content{}
	weight, weighed := map[event.Kind]float64{}, map[event.Kind]float64{}
	kinds := map[event.Kind]float64{}
	byMember := map[string]float64{}
	hours := map[int]float64{}
	prompts, asked := map[string]bool{}, map[string]bool{}
	last := map[string]int64{}
	var ties, decisions, results, failed, noCause, manual, rejected, requests, cacheRead, input, plain, sent float64
	var text []byte
	packed := 0
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow}}, func(b []event.Event) {
		if len(text) < 12<<20 { // a sample of the stream is enough for sizes
			sent += float64(len(profile.AppendJSON(nil, b)))
			nowhere := slices.Clone(b)
			for i := range nowhere {
				nowhere[i].Has &^= event.FHostPaths
				if e := nowhere[i : i+1]; weighed[e[0].Kind] < 2000 {
					weighed[e[0].Kind]++
					weight[e[0].Kind] += recordBytes(&bare, e)
				}
			}
			plain += recordBytes(&light, nowhere)
			text = append(light.AppendJSON(text, b), '\n')
			packed += len(b)
		}
		for i := range b {
			e := &b[i]
			kinds[e.Kind]++
			byMember[e.Email]++
			hours[e.When().Hour()]++
			if e.Prompt != "" {
				prompts[e.Prompt] = true
			}
			if e.Time == last[e.Session] {
				ties++
			}
			last[e.Session] = e.Time
			switch e.Kind {
			case event.UserPrompt:
				asked[e.Prompt] = true
			case event.ToolDecision:
				decisions++
				manual += float64(btoi(e.Source != "config"))
				rejected += float64(btoi(e.Decision == "reject"))
			case event.ToolResult:
				results++
				failed += float64(btoi(!e.Success))
				noCause += float64(btoi(e.Has&event.FSource == 0))
			case event.APIRequest:
				requests++
				cacheRead += float64(e.CacheRead)
				input += float64(e.InputTokens + e.CacheRead + e.CacheWrite)
			}
		}
	})
	total := float64(out.Total)

	// Shares that are drawn: within five standard deviations of the profile.
	for _, c := range []struct {
		what string
		k, n float64
		want float64
	}{
		{"tool failures", failed, results, p.N.ToolFailure.Value},
		{"results without decision_source", noCause, results, p.N.NoDecisionCause.Value},
		{"request errors", kinds[event.APIError], requests, p.N.APIError.Value},
	} {
		sd := math.Sqrt(c.want * (1 - c.want) / c.n)
		t.Logf("%-34s %.4f, profile %.4f, %.0f cases", c.what, c.k/c.n, c.want, c.n)
		if math.Abs(c.k/c.n-c.want) > 5*sd+0.002 {
			t.Errorf("%s: %.4f, the profile says %.4f", c.what, c.k/c.n, c.want)
		}
	}

	var shares []float64
	for _, n := range byMember {
		shares = append(shares, n)
	}
	slices.Sort(shares)
	top := 0.0
	for _, n := range shares[len(shares)*9/10:] {
		top += n
	}
	orphans := 0.0
	for id := range prompts {
		orphans += float64(btoi(!asked[id]))
	}
	night := hours[2] + hours[3] + hours[4] + hours[5] // UTC: between the Americas' evening and Europe's morning; nobody here works in Asia
	for _, c := range []struct {
		what        string
		got, lo, hi float64
	}{
		// Published: 20.6, 20.5, 19.2, 25.8, 8.6 and 1.4 % of a coding fleet. Offices ask
		// more often for less, so prompts weigh more and everything else up to a third less.
		{"share of tool_decision", kinds[event.ToolDecision] / total, 0.12, 0.28},
		{"share of tool_result", kinds[event.ToolResult] / total, 0.12, 0.28},
		{"share of api_request", kinds[event.APIRequest] / total, 0.13, 0.30},
		{"share of hooks", (kinds[event.HookStart] + kinds[event.HookComplete]) / total, 0.10, 0.40},
		{"share of assistant_response", kinds[event.AssistantResponse] / total, 0.05, 0.14},
		{"share of user_prompt", kinds[event.UserPrompt] / total, 0.01, 0.08},
		// 69 published; an upper bound for offices.
		{"records a prompt", total / float64(out.Prompts), 10, 69},
		// 6,322 ids and 6,298 prompts: 0.4 %.
		{"orphan prompts", orphans / float64(len(prompts)), 0.001, 0.01},
		// 89,705 decisions and 89,364 results: 0.4 % that never ran, rejections included
		// there; the profile rejects one call in a hundred more often.
		{"decisions without a result", (decisions - results) / decisions, 0.002, 0.025},
		{"decisions by a person", manual / decisions, 0.01, 0.10},
		{"rejections", rejected / decisions, 0.002, 0.02},
		{"records in the millisecond of another", ties / total, 0.01, 0.60},
		{"share of the most active tenth", top / total, 0.18, 0.60},
		{"records between 02 and 06 UTC", night / total, 0, 0.05},
		{"input read from the cache", cacheRead / input, 0.5, 0.98},
		// A captured api_request of Claude Code has 1,610 bytes, a prompt 1,123.
		{"bytes of a record, without what Cowork adds", plain / float64(packed), 700, 1600},
		{"zstd, without what Cowork adds", float64(len(text)) / float64(len(enc.EncodeAll(text, nil))), 5, 20},
	} {
		t.Logf("%-46s %.4f", c.what, c.got)
		if !(c.got >= c.lo && c.got <= c.hi) {
			t.Errorf("%s: %.4f, want %g to %g", c.what, c.got, c.lo, c.hi)
		}
	}
	t.Logf("%-46s %.0f", "bytes of a record as sent, with its envelope", sent/float64(packed))

	// What Cowork adds takes a record beyond those 1,600 bytes: published records of
	// desktop 1.15962.1 and CLI 2.1.187, without content and without folders, make these
	// numbers of bytes in OTLP JSON, ids and addresses at their usual lengths.
	for kind, captured := range map[event.Kind]float64{
		event.UserPrompt: 1487, event.ToolDecision: 1606, event.ToolResult: 1717, event.APIRequest: 2015, event.HookStart: 1719, event.HookComplete: 1995,
	} {
		got := weight[kind] / weighed[kind]
		t.Logf("bytes of %-24s %6.0f, captured %6.0f", kind, got, captured)
		if math.Abs(got/captured-1) > 0.1 {
			t.Errorf("a %s has %.0f bytes, a captured one %.0f", kind, got, captured)
		}
	}

	// Weekdays and weekends, and the ramp of the first weeks.
	var days [7]float64
	for wd := range days {
		days[wd] = 0
	}
	run(t, Options{Scenario: s, Directory: d, Prices: april, Gate: &door{verdict: Allow}}, func(b []event.Event) { days[b[0].When().Weekday()] += float64(len(b)) })
	if weekend := days[time.Saturday] + days[time.Sunday]; weekend > 0.1*total || weekend == 0 {
		t.Errorf("weekends hold %.3f of the records", weekend/total)
	}
}

// recordBytes is what the records weigh without the envelope of their request.
func recordBytes(p *otlp.Profile, b []event.Event) float64 {
	once := len(p.AppendJSON(nil, b))
	return float64(len(p.AppendJSON(nil, append(slices.Clone(b), b...))) - once)
}
