package simulate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on the machine

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// staff is a member with what the simulation adds: habits and an installation.
type staff struct {
	*org.Member
	persona  *persona
	zone     *time.Location
	activity float64
	from     int  // first day of the period with access, -1 for none
	settled  bool // had access before the period, so use does not ramp up
	sep      string
	home     string
	mount    string // where a share appears on this machine
	hooks    struct{ prompt, tool bool }
	local    string       // an idle local server, or ""
	likes    []*connector // in use, as far as they are enabled
	plugins  []plugin
	silent   bool
	old      bool
	skew     int64 // ns the machine's clock is off
	restart  int64 // ns; until then the installation runs with the settings before the switch
	logs     logs
	base     event.Event // what every record of the installation carries
	changes  []*altered
	chosen   int // stories it leads
}

type plugin struct{ name, hash, market string }

type connector struct {
	name  string
	tools []org.Tool
	first bool // enabled before any dated change
	flips []flip
}

// flip is a dated change that enables or disables a connector.
type flip struct {
	at int64
	on bool
}

func (c *connector) on(at int64) bool {
	on := c.first
	for _, f := range c.flips {
		if f.at <= at {
			on = f.on
		}
	}
	return on
}

// world is everything that stays fixed during a run.
type world struct {
	o          Options
	p          *profile
	seed       uint64
	begin, end time.Time // the period; end is exclusive
	days       int
	staff      []staff
	connectors []connector  // enabled from the start
	later      []*connector // enabled by a dated change
	flips      bool         // some connector is enabled or disabled on the way
	skills     []string
	models     []string // priced model of each family
	weights    []float64
	holidays   map[string]bool
	intensity  float64
	manual     float64 // share of built-in calls a person is asked about
	capture    capture
	wire       wire
	defects    defects
	stories    []*instance
	pieces     map[pieceKey][]*piece
	unplaced   []Unplaced
	leaving    int // leavers given to tales so far
	zones      map[string]*time.Location
	released   map[string]logs
	words      vocabulary
	steps      chan []step // of sessions that have ended, for those to come
}

func newWorld(o Options) (*world, error) {
	s := o.Scenario
	p, err := loadProfile(s.Behaviour.Profile)
	if err != nil {
		return nil, err
	}
	if o.Stories != nil {
		if err := p.settle(o.Stories.wording); err != nil {
			return nil, err
		}
	}
	w := &world{o: o, p: p, seed: s.Seed, begin: s.Period.From.Time, end: s.Period.To.Time.AddDate(0, 0, 1),
		days: s.Period.Days(), holidays: map[string]bool{}, intensity: s.Behaviour.Rate(),
		words: newVocabulary(p.Words), zones: map[string]*time.Location{}, released: map[string]logs{}, steps: make(chan []step, 256), capture: captured(s.Telemetry), wire: wireOf(s.Telemetry), pieces: map[pieceKey][]*piece{}}
	if w.days < 1 {
		return nil, fmt.Errorf("the period ends before it starts")
	}
	// The profile's share is of all decisions, but policy answers for connectors.
	w.manual = p.N.ManualShare.Value / (1 - p.N.MCPShare.Value)
	for _, h := range s.Behaviour.Holidays {
		w.holidays[h.String()] = true
	}
	for _, f := range p.Models {
		for _, m := range f.Names {
			if _, ok := o.Prices.Cost(m, s.AsOf.Time, 1000, 1000, 0, 0); ok && sold(o.Prices, m, s.AsOf.Time) {
				w.models, w.weights = append(w.models, m), append(w.weights, f.Weight)
				break
			}
		}
	}
	if len(w.models) == 0 {
		var ps source.Problems
		ps.Add(s.Place("as_of"), "take a day on which one is priced, or give prices of your own where the command takes them", "as_of: no model that people here would use (profile %s) has a price on %s", p.Name, s.AsOf)
		return nil, s.Explain(ps)
	}
	for _, c := range o.Directory.Config.Connectors {
		x := connector{name: c.Name.Value, first: c.Enabled}
		for i := range o.Directory.Config.Changes {
			if ch := &o.Directory.Config.Changes[i]; ch.Connector != nil && ch.Connector.Name.Value == x.name && ch.Connector.Enabled != nil {
				x.flips = append(x.flips, flip{ch.When.UnixNano(), *ch.Connector.Enabled})
			}
		}
		slices.SortStableFunc(x.flips, func(a, b flip) int { return cmp.Compare(a.at, b.at) })
		w.flips = w.flips || len(x.flips) > 0
		if !x.first && !slices.ContainsFunc(x.flips, func(f flip) bool { return f.on }) {
			continue
		}
		tools := c.Tools
		if len(tools) == 0 {
			for _, t := range p.ConnectorTools {
				tools = append(tools, org.Tool{Name: t, Write: strings.HasPrefix(t, "create"), ReadOnly: !strings.HasPrefix(t, "create")})
			}
		}
		if x.tools = tools; x.first {
			w.connectors = append(w.connectors, x)
		} else {
			w.later = append(w.later, &x)
		}
	}
	for _, k := range o.Directory.Config.Skills {
		w.skills = append(w.skills, k.Name.Value)
	}
	w.skills = append(w.skills, p.Skills...)
	if err := w.breakDown(); err != nil {
		return nil, err
	}
	organisation := uuid(org.Stream(w.seed, "organisation", o.Directory.Config.Organisation.Name))
	w.staff = make([]staff, o.Directory.Len())
	for i := range w.staff {
		if err := w.hire(i, organisation); err != nil {
			return nil, err
		}
	}
	w.placeStories()
	return w, nil
}

// sold reports that a model was out on the day. A price list that does not say is
// believed to know no other models.
func sold(p Pricer, model string, day time.Time) bool {
	l, ok := p.(interface {
		Sold(model string, day time.Time) bool
	})
	return !ok || l.Sold(model, day)
}

// hire fills in member i from the member's own stream.
func (w *world) hire(i int, organisation string) error {
	s, n := &w.staff[i], &w.p.N
	m := w.o.Directory.Member(i)
	s.Member = &m
	s.persona = w.p.persona(s.Persona)
	s.zone = time.UTC
	if s.TimeZone != "" {
		z, ok := w.zones[s.TimeZone]
		if !ok {
			var err error
			if z, err = time.LoadLocation(s.TimeZone); err != nil {
				return fmt.Errorf("member %s: time zone %q is not known", s.ID, s.TimeZone)
			}
			w.zones[s.TimeZone] = z
		}
		s.zone = z
	}
	r := org.Stream(w.seed, "member", s.ID)
	// The mean stays 1 whatever the spread, so that sigma alone does not add use.
	sigma := n.ActivitySigma.Value
	s.activity = s.persona.Activity.Value * lognormal(r, 1, sigma) / lognormalMean(sigma)
	login, _, _ := strings.Cut(s.Email, "@")
	login = strings.ReplaceAll(login, ".", "")
	os := "darwin"
	s.sep, s.home, s.mount = "/", "/Users/"+login, "/Volumes/Company"
	if r.Float64() < n.Windows.Value {
		os, s.sep, s.home, s.mount = "windows", `\`, `C:\Users\`+login, `S:`
	}
	s.hooks.prompt = r.Float64() < n.HooksPrompt.Value
	s.hooks.tool = r.Float64() < n.HooksTool.Value
	if r.Float64() < n.LocalServer.Value {
		s.local = oneOf(r, w.p.Servers)
	}
	if k := len(w.connectors); k > 0 {
		for range between(r, 1, 3) {
			if c := &w.connectors[r.IntN(k)]; !slices.Contains(s.likes, c) {
				s.likes = append(s.likes, c)
			}
		}
	}
	// One that comes later is taken up as often as one that was there; the draw is
	// its own, so that it changes nothing before.
	for _, c := range w.later {
		if all := len(w.connectors) + len(w.later); org.Stream(w.seed, "connector", s.ID, c.name).Float64()*float64(all) < 2 {
			s.likes = append(s.likes, c)
		}
	}
	for _, pl := range w.o.Directory.Config.Plugins {
		if u := r.Float64(); pl.Level == "required" || pl.Level == "installed" || pl.Level == "available" && u < 0.3 {
			s.plugins = append(s.plugins, plugin{pl.Name.Value, PluginHash(w.seed, pl.Name.Value), pl.Marketplace})
		}
	}
	w.install(s, r, os, organisation, login)
	s.from = -1
	for d := range w.days {
		if w.o.Gate.MayUse(i, "cowork", noon(w.begin.AddDate(0, 0, d), s.zone)) {
			s.from = d
			break
		}
	}
	s.settled = s.from == 0 && w.o.Gate.MayUse(i, "cowork", noon(w.begin.AddDate(0, 0, -1), s.zone))
	return nil
}

func noon(day time.Time, zone *time.Location) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 12, 0, 0, 0, zone).UTC()
}

// spec is a session somebody will try to open.
type spec struct {
	start int64 // ns, whole milliseconds
	staff *staff
	day   string // local day, names the stream
	n     int    // number on that day
	piece *piece
}

// planner is what the plan uses again and again.
type planner struct {
	day   draws
	zones map[*time.Location]localDay // of the day
}

// localDay is the noon and the beginning (ns) of a local day.
type localDay struct {
	noon     time.Time
	midnight int64
}

// plan hands out the sessions of the period in the order of their start.
func (w *world) plan(ctx context.Context, order, jobs chan<- *future) {
	defer close(order)
	defer close(jobs)
	var waiting []spec
	var by planner
	// A local day begins up to a day before the UTC day of the same date, so
	// the plan runs one local day ahead of what it hands out.
	for d := -1; d <= w.days; d++ {
		local := w.begin.AddDate(0, 0, d+1)
		name := local.Format(time.DateOnly)
		by.zones = map[*time.Location]localDay{}
		for i := range w.staff {
			waiting = w.memberDay(waiting, &by, &w.staff[i], local, name, d+1)
		}
		slices.SortFunc(waiting, func(a, b spec) int {
			return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.staff.Index, b.staff.Index), cmp.Compare(a.n, b.n))
		})
		until := w.begin.AddDate(0, 0, d+1).UnixNano()
		k := 0
		for ; k < len(waiting) && waiting[k].start < until; k++ {
			if waiting[k].start < w.begin.UnixNano() || waiting[k].start >= w.end.UnixNano() {
				continue
			}
			f := &future{spec: waiting[k], steps: make(chan *script, 1)}
			select {
			case order <- f:
			case <-ctx.Done():
				return
			}
			jobs <- f // workers take from jobs until it is closed, so this cannot hang
		}
		waiting = slices.Delete(waiting, 0, k)
	}
}

// memberDay adds the sessions of one member on one local day of that name; d is
// the day of the period, which may be one beyond it at either end because of time
// zones.
func (w *world) memberDay(to []spec, by *planner, s *staff, day time.Time, name string, d int) []spec {
	for k, pc := range w.pieces[pieceKey{s.Index, name}] {
		to = append(to, spec{start: pc.start, staff: s, day: name, n: 100 + k, piece: pc})
	}
	local, ok := by.zones[s.zone]
	if !ok {
		local = localDay{noon(day, s.zone), midnight(day, s.zone)}
		by.zones[s.zone] = local
	}
	at := local.noon
	if at.Before(s.Joined) || !s.Left.IsZero() && !at.Before(s.Left) {
		return to
	}
	r := by.day.begin(w.seed, "day", s.ID, name)
	mean := w.rate(s, day, name, d) * s.activity * s.damped(at.UnixNano())
	for k := range min(poisson(r, mean), MostSessions) {
		h := s.persona.Hours
		// Two draws make the middle of the day likelier; lunch thins it out.
		x := (r.Float64() + r.Float64()) / 2
		if r.Float64() < 0.35 {
			x = r.Float64()
		}
		hour := float64(h.From) + x*float64(h.To-h.From)
		if hour >= 12 && hour < 13 && r.Float64() < 0.6 {
			hour++
		}
		to = append(to, spec{start: local.midnight + sinceMidnight(hour), staff: s, day: name, n: k})
	}
	return to
}

// rate is the mean number of sessions on a local day of somebody whose activity
// is 1.
func (w *world) rate(s *staff, day time.Time, name string, d int) float64 {
	n := &w.p.N
	mean := n.Sessions.Value * w.intensity
	weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
	switch {
	case w.holidays[name]:
		mean *= n.Holiday.Value
	case weekend:
		mean *= n.Weekend.Value
	case busy(s.persona.Busy, day):
		mean *= n.Busy.Value
	}
	switch {
	case s.from < 0 || d < s.from:
		mean *= n.Curious.Value
	case !s.settled:
		mean *= min(1, n.RampStart.Value+(1-n.RampStart.Value)*float64(d-s.from)/n.RampDays.Value)
	}
	return mean
}

// clock is an hour of a local day as whole milliseconds, in ns.
func clock(day time.Time, hour float64, zone *time.Location) int64 {
	return midnight(day, zone) + sinceMidnight(hour)
}

func midnight(day time.Time, zone *time.Location) int64 {
	return time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, zone).UnixMilli() * 1e6
}

func sinceMidnight(hour float64) int64 { return int64(hour*3600_000) * 1e6 }

// busy reports a closing week (the turn of the month) or a release week (every
// other week).
func busy(kind string, day time.Time) bool {
	switch kind {
	case "close":
		return day.Day() <= 4 || day.AddDate(0, 0, 3).Month() != day.Month()
	case "release":
		_, week := day.ISOWeek()
		return week%2 == 0
	}
	return false
}
