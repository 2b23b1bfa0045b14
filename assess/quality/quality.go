// Package quality measures alert rules before anybody is paged: it plays stories
// and their benign twins inside ordinary life, and counts what each rule caught,
// missed and got wrong.
//
// The stories know no rule and the seeds are drawn from a label and the digest
// of the rules, so that an edited rule meets instances nobody has tuned it on.
// What cannot be seen under a capture setting is "out of reach", never a miss and
// never a catch. Precision means nothing without the density of stories, which
// stands beside it.
package quality

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/platform"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/replay"
)

// Play plays one world and hands its events over as they arrive.
type Play func(ctx context.Context, o simulate.Options, emit func([]event.Event) error) (*simulate.Outcome, error)

// Options of a measurement. The zero value measures as the shipped table was.
type Options struct {
	Label     string            // names the seed; "report" by default
	Instances int               // of each story under each of its settings; 10
	Twins     int               // of each twin; 11
	Days      int               // of each world; 84
	Stories   *simulate.Stories // played besides the shipped ones
	Workers   int
	Play      Play // simulate.Run by default
	Progress  func(done, total int)
}

// Size of one world: stories at a density of one in some eighty member-days.
const (
	worldStories = 28
	worldDays    = 84
)

// rosterGaps is how many in a hundred leavers the roster does not know: people
// who leave outside the personnel system. Declared data is never complete.
const rosterGaps = 10

//go:embed organisation.yaml
var organisation []byte

// topicNumbers are the topics of the storylines, as numbered there, by the topic
// of a rule.
var topicNumbers = map[string]string{
	"scope": "T1", "unlisted-server": "T2", "data-class": "T3", "session-spend": "T4", "rejections": "T5", "unusual-file-access": "T6",
	"silence": "T7", "blind": "T8", "version": "T9", "settings": "T10", "approvals": "T11", "capability": "T12", "leaver": "T13",
	"new-connector": "T14", "read-only-write": "T15", "secrets": "T16", "pan": "T16", "sad": "T16", "workload-class": "T17",
	"exfiltration": "T18", "spend-baseline": "T19", "errors": "T20", "unattributed": "T21", "plugins": "T22", "remote-session": "T23", "off-hours": "T24",
}

// rare are the stories on which a topic rests alone: their instances are tripled,
// or their intervals would say nothing.
var rare = []string{"after-last-day", "rejection-wear-down", "version-rollback", "anonymous-cloud-hideout", "skill-side-door"}

// told are the twins whose innocence lies in data the customer holds and that
// this measurement does declare: roster and propagation, workloads, approved
// local servers, plugin names, exceptions to the browser policy.
var told = []string{"6a", "9b", "9c", "10a", "14a", "24a"}

var settings = map[string][]string{
	"full":  {"userPrompts", "assistantResponses", "toolDetails"},
	"names": {"toolDetails"},
	"meta":  {},
}

var settingNames = []string{"full", "names", "meta"}

// localServers are those of the simulation's pool that the organisation approved.
var localServers = []string{"filesystem", "sqlite", "pdf-tools", "csv-tools", "doc-convert", "desk-search"}

// world is one organisation's twelve weeks and what is played in it.
type world struct {
	n       int
	setting string
	tales   []string
}

// seed derives a seed from the label, the rules' digest and names.
func seed(digest string, names ...string) uint64 {
	h := sha256.Sum256([]byte(strings.Join(append([]string{digest}, names...), "\x00")))
	return binary.BigEndian.Uint64(h[:])
}

// plan deals stories and twins out to worlds. What changes the stream of many
// members at once is played in worlds of its own.
func plan(o Options, digest string) []world {
	var out []world
	for _, setting := range settingNames {
		for _, everybody := range []bool{false, true} {
			var stories, twins []string
			for _, t := range append(simulate.Tales(), o.Stories.Tales()...) {
				if t.Everybody != everybody || t.Capture != setting && t.Capture != "any" {
					continue
				}
				n := o.Instances
				if t.Capture == "any" {
					n = (n + 2) / 3
				}
				if slices.Contains(rare, t.ID) {
					n *= 3
				}
				if t.Of != "" {
					n = o.Twins
					if t.Capture == "any" {
						n = (n + 2) / 3
					}
				}
				for range n {
					if t.Of == "" {
						stories = append(stories, t.ID)
					} else {
						twins = append(twins, t.ID)
					}
				}
			}
			size := worldStories
			if everybody {
				size = 5 // each reaches many members
			}
			worlds := (len(stories) + size - 1) / size
			r := rand.New(rand.NewPCG(seed(digest, o.Label, "plan", setting, fmt.Sprint(everybody)), 0))
			for _, list := range [][]string{stories, twins} {
				r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
			for k := range worlds {
				w := world{n: len(out), setting: setting}
				for _, list := range [][]string{stories, twins} {
					w.tales = append(w.tales, list[k*len(list)/worlds:(k+1)*len(list)/worlds]...)
				}
				out = append(out, w)
			}
		}
	}
	return out
}

// openDoor lets everybody in until they leave: access and spend are measured
// elsewhere.
type openDoor struct{ d *org.Directory }

func (g openDoor) MayUse(m int, _ string, t time.Time) bool {
	left := g.d.Left(m)
	return left.IsZero() || t.Before(left)
}
func (openDoor) Connector(int, string, string, bool, time.Time) simulate.Verdict {
	return simulate.Allow
}
func (openDoor) MaySpend(int, time.Time) bool { return true }
func (openDoor) Charge(int, time.Time, int64) {}

// played is what came of one world.
type played struct {
	world      world
	truth      []simulate.TruthLabel
	unplaced   int
	found      []rules.Finding
	reports    []alert.RuleReport
	events     int64
	memberDays int
}

func (w world) play(ctx context.Context, rs []*alert.Rule, digest string, o Options, prices *platform.PriceList) (*played, error) {
	s, err := scenarios.Parse("organisation.yaml", organisation, false, nil)
	if err != nil {
		return nil, err
	}
	s.Seed = seed(digest, o.Label, "world", fmt.Sprint(w.n))
	s.Telemetry.Content = append([]string{}, settings[w.setting]...)
	s.Period.To = s.Period.From.Add(o.Days - 1)
	for _, name := range w.tales {
		s.Incidents = append(s.Incidents, scenarios.Incident{Story: source.Text{Value: name}, Count: 1})
	}
	d, err := org.Build(&s.Config, s.Seed)
	if err != nil {
		return nil, err
	}
	simulate.SetLeavers(s, d, func(int, time.Time) bool { return true })
	engine := alert.New(rs, declared(s, d))
	rp := replay.New(replay.Options{From: s.Period.From.Time, Until: s.Period.To.Time.AddDate(0, 0, 1)}, engine)
	out, err := o.Play(ctx, simulate.Options{Scenario: s, Directory: d, Gate: openDoor{d}, Prices: prices, Workers: 1, Study: true, LocalServers: localServers, Stories: o.Stories}, func(b []event.Event) error {
		for i := range b {
			b[i].Derive()
		}
		rp.Add(b)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("quality: world %d: %w", w.n, err)
	}
	counts, found := rp.Close()
	return &played{w, out.Truth, len(out.Unplaced), found, engine.Reports(), counts.Events, d.Len() * o.Days}, nil
}

// declared is what this organisation tells its rules.
func declared(s *scenarios.Scenario, d *org.Directory) alert.Config {
	c := alert.Config{
		Content: s.Telemetry.Content, DesktopFloor: "1.10000", Propagation: 30 * time.Minute, RemoteOff: true,
		Leavers: map[string]time.Time{}, Workloads: map[string][]string{}, Forbidden: map[string][]string{}, Zones: map[string]*time.Location{},
		Plugins: []string{}, ReadOnly: []string{}, Domains: d.Domains(),
	}
	c.Allowlist = append(c.Allowlist, localServers...)
	for _, x := range s.Connectors {
		c.Allowlist = append(c.Allowlist, x.Name.Value)
		if !slices.ContainsFunc(x.Tools, func(t org.Tool) bool { return !t.ReadOnly }) {
			c.ReadOnly = append(c.ReadOnly, x.Name.Value)
		}
	}
	for _, p := range s.Plugins {
		c.Plugins = append(c.Plugins, p.Name.Value, simulate.PluginHash(s.Seed, p.Name.Value))
	}
	for i := range d.Len() {
		m := d.Member(i)
		if !m.Left.IsZero() && seed("roster", fmt.Sprint(s.Seed), m.Account)%100 >= rosterGaps {
			c.Leavers[m.Account] = m.Left
		}
		if m.Persona == "claims" {
			c.Workloads[m.Account] = []string{"phi"}
		}
		if m.Persona != "it" && m.Persona != "engineering" {
			c.Forbidden[m.Account] = []string{"browser"}
		}
		if z, err := time.LoadLocation(m.TimeZone); err == nil {
			c.Zones[m.Account] = z
		}
	}
	return c
}

// Score plays everything and measures the rules. digest is that of the rules as
// alert.Digest gives it. The same rules, digest, label and counts give the same
// table, whatever the number of workers.
func Score(ctx context.Context, rs []*alert.Rule, digest string, o Options) (*Table, error) {
	o.Label = cmp.Or(o.Label, "report")
	o.Instances = cmp.Or(o.Instances, 10)
	o.Twins = cmp.Or(o.Twins, 11)
	o.Days = cmp.Or(o.Days, worldDays)
	if o.Workers < 1 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Play == nil {
		o.Play = simulate.Run
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	prices, err := platform.Prices()
	if err != nil {
		return nil, err
	}
	worlds := plan(o, digest)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]*played, len(worlds))
	var next, done int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(o.Workers, len(worlds)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(worlds) || ctx.Err() != nil {
					return
				}
				p, err := worlds[i].play(ctx, rs, digest, o, prices)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				results[i] = p
				done++
				o.Progress(done, len(worlds))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return tabulate(rs, digest, o, results), nil
}

// Share is a count out of a count with its 95 % interval (Wilson), in thousandths.
type Share struct {
	Of   int `json:"of"`
	Hits int `json:"hits"`
	Rate int `json:"rate"`
	Low  int `json:"low"`
	High int `json:"high"`
}

// newShare works out rate and interval. Without anything to count all is zero,
// and Of says so.
func newShare(hits, of int) Share {
	s := Share{Of: of, Hits: hits}
	if of == 0 {
		return s
	}
	const z = 1.959963984540054
	n, p := float64(of), float64(hits)/float64(of)
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	mille := func(x float64) int { return int(math.Round(min(max(x, 0), 1) * 1000)) }
	s.Rate, s.Low, s.High = mille(p), mille(mid-half), mille(mid+half)
	return s
}
