package rehearsal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/analytics"
	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/rbac/rollout"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
	"github.com/sandtable-dev/sandtable/simulate"
	"github.com/sandtable-dev/sandtable/simulate/replay"
	"github.com/sandtable-dev/sandtable/simulate/stream"
)

type sourceText = source.Text

// Result is everything a run produced. Members appear under their pseudonyms
// everywhere but in the stream itself.
type Result struct {
	Scenario     *scenarios.Scenario
	Observed     bool
	Assessment   *assess.Assessment
	Findings     []rules.Finding
	Organisation Organisation
	Spend        Spend
	Analytics    *analytics.Report
	Coverage     *coverage.Report
	Rules        []assess.RuleRow
	Matrix       rbac.Matrix
	Truth        []simulate.TruthLabel // what was injected; none over a capture
	Unplaced     []simulate.Unplaced
	Replay       replay.Counts
	Streams      []stream.Input        // what became of each input
	Evidence     []assess.EvidenceItem // exports read beside the streams
	Stream       *Stream               // the stream written by a simulated run
	Inputs       []File                // scenario, rules, frameworks, facts and prices as used
	KeyID        string
	// Timeline is the answer on the days at which it, a posture, a verdict or a
	// gap moves, from the as-of day to the last day any fact was verified.
	Timeline []assess.Move
	// Held are the phases of the rollout that their gates kept back in the play; the
	// Scenario has the dates on which they started.
	Held []rollout.Held

	model  *assess.Model
	inputs assess.Inputs
}

// Stream is the stream a simulated run wrote.
type Stream struct {
	Events      int64  `json:"events"`
	PlainBytes  int64  `json:"uncompressed_size"`
	PackedBytes int64  `json:"size"`
	PlainSHA256 string `json:"uncompressed_sha256"`
}

// Organisation is organisation.json: the configured organisation and what the
// role engine makes of it, without a name of any member.
type Organisation struct {
	Name         string            `json:"name"`
	Plan         string            `json:"plan"`
	Kind         []string          `json:"kind"`
	Seats        int               `json:"seats"`
	Modes        []string          `json:"modes"`
	Arrangements []string          `json:"arrangements"`
	Directory    string            `json:"directory"`
	Departments  []DepartmentCount `json:"departments"`
	Groups       []GroupState      `json:"groups"`
	Members      []MemberState     `json:"members"`
	Matrix       rbac.Matrix       `json:"matrix"`
	Access       rbac.Counters     `json:"observed_access"`
	Denied       []Attempts        `json:"denied_attempts"`
}

// DepartmentCount is a department and its members at the end of the period.
type DepartmentCount struct {
	Name    string `json:"name"`
	Members int    `json:"members"`
}

// GroupState is a group at the start and the end of the period.
type GroupState struct {
	Name    string   `json:"name"`
	Source  string   `json:"source"`
	Phase   string   `json:"phase"`
	Roles   []string `json:"roles"`
	AtStart int      `json:"members_at_start"`
	AtEnd   int      `json:"members_at_end"`
	Purpose string   `json:"purpose,omitempty"`
}

// MemberState is one member under a pseudonym.
type MemberState struct {
	Member string `json:"member"`
	*MemberPlace
	Heard bool `json:"heard"`
}

// MemberPlace is what a member has in common with others, who share it.
type MemberPlace struct {
	Department string   `json:"department"`
	OrgRole    string   `json:"organisation_role"`
	Groups     []string `json:"groups"`
	Cowork     string   `json:"cowork"` // outcome at the end of the period
}

// Attempts counts what a policy refused while the scenario was played.
type Attempts struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
}

// Spend is spend.json: the replay against the limits, and the arithmetic of each.
type Spend struct {
	spend.Summary
	Budgets []Budget `json:"budgets"`
	// Stopped counts what the limits stopped while the scenario was played.
	Stopped *Stopped `json:"stopped,omitempty"`
	// Elsewhere is what was spent in other products under the same limits; Total and
	// every sum by member or group hold it too.
	Elsewhere []ElsewhereSpend `json:"elsewhere"`
	// Increases are the increase requests of members whom their limit stopped.
	Increases []Increase          `json:"increase_requests"`
	Drivers   []spend.DriverSpend `json:"drivers"`
	// Outlook is nil when there is nothing to forecast from.
	Outlook *Outlook `json:"outlook"`
}

// Budget is a group limit with the lesson's formula beside it.
type Budget struct {
	Group     string        `json:"group"`
	Limit     int64         `json:"limit_micros_per_member"`
	Because   string        `json:"because"`
	Assumes   string        `json:"assumes,omitempty"`
	Formula   *spend.Budget `json:"formula,omitempty"`
	Members   int           `json:"members"`
	Blocked   int           `json:"members_blocked"`
	SpentText string        `json:"-"`
}

// Stopped is what happened to members at their limit in the closed loop.
type Stopped struct {
	Members  int             `json:"members"`
	Requests int64           `json:"requests"`
	Who      []StoppedMember `json:"who"`
}

// StoppedMember is a member whom a limit stopped, and when first.
type StoppedMember struct {
	Member   string    `json:"member"`
	First    time.Time `json:"first"`
	Requests int       `json:"requests"`
}

// Between reads the same inputs on every day of a range, both ends included, and
// gives the days on which the answer, a posture, a verdict or a gap moves.
func (r *Result) Between(from, to source.Date) ([]assess.Move, error) {
	return r.model.Timeline(r.inputs, from, to)
}

func (r *run) name(member string) (string, error) {
	if r.o.IncludeContent || member == "" {
		return member, nil
	}
	return r.names.Of(member)
}

func (r *run) result() (*Result, error) {
	res := &Result{Scenario: r.s, Observed: r.observed, Coverage: r.coverage, Replay: r.counts, Streams: r.inputs,
		Stream: r.written, KeyID: rules.KeyID(r.o.Key), Matrix: r.access.Matrix(r.end), Findings: []rules.Finding{}, Held: r.held}
	v := r.variables()
	reports := r.alerts.Reports()
	for i, rule := range r.rules {
		p := reports[i]
		row := assess.RuleRow{ID: p.ID, Title: p.Title, Catches: strings.TrimSpace(rule.Catches), Severity: rule.Severity,
			Reached: p.Reached, Evaluable: p.Evaluable, Matched: p.Matched, Alerts: int(p.Alerts)}
		if len(p.NotEvaluable) > 0 {
			row.WhyNot = fmt.Sprintf("%s in %d of the records", p.NotEvaluable[0].Text, p.NotEvaluable[0].Count)
		}
		res.Rules = append(res.Rules, row)
	}
	var err error
	for _, f := range r.findings {
		if f.Member, err = r.name(f.Member); err != nil {
			return nil, err
		}
		res.Findings = append(res.Findings, f)
	}
	if res.Organisation, err = r.organisation(res.Matrix); err != nil {
		return nil, err
	}
	if res.Spend, err = r.spending(); err != nil {
		return nil, err
	}
	if res.Analytics, err = r.analytics(); err != nil {
		return nil, err
	}
	for i := range res.Analytics.Members {
		m := &res.Analytics.Members[i]
		if m.Key, err = r.name(r.dir.Key(m.Member)); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(res.Analytics.Members, func(a, b analytics.MemberActivity) int { return strings.Compare(a.Key, b.Key) })
	if r.outcome != nil {
		res.Unplaced = r.outcome.Unplaced
		for _, t := range r.outcome.Truth {
			t.Members, t.Gaps = slices.Clone(t.Members), slices.Clone(t.Gaps)
			for i := range t.Gaps {
				if t.Gaps[i].Member, err = r.name(t.Gaps[i].Member); err != nil {
					return nil, err
				}
			}
			for i := range t.Members {
				if t.Members[i], err = r.name(t.Members[i]); err != nil {
					return nil, err
				}
			}
			res.Truth = append(res.Truth, t)
		}
	}
	res.Inputs = r.files()
	if res.Assessment, err = r.assessment(v, res); err != nil {
		return nil, err
	}
	return res, nil
}

func (r *run) organisation(m rbac.Matrix) (Organisation, error) {
	o := &r.s.Organisation
	out := Organisation{Name: o.Name, Plan: o.Plan.Value, Kind: nn(o.Kind), Seats: o.Seats, Modes: nn(o.Modes), Arrangements: nn(o.Arrangements),
		Directory: o.Directory, Matrix: m, Access: r.access.Counters(), Departments: []DepartmentCount{}, Groups: []GroupState{}, Members: make([]MemberState, 0, r.dir.Len()), Denied: []Attempts{}}
	if len(o.Modes) == 0 {
		out.Modes = r.defaultModes()
	}
	silent := make([]bool, r.dir.Len())
	for _, i := range r.coverage.Silent {
		silent[i] = true
	}
	places := map[string]*MemberPlace{}
	var place []byte // what tells one from another
	r.names.Expect(r.dir.Len())
	for i := range r.dir.Len() {
		department, role := r.dir.Department(i), r.dir.OrgRole(i)
		k := slices.IndexFunc(out.Departments, func(d DepartmentCount) bool { return d.Name == department })
		if k < 0 {
			k = len(out.Departments)
			out.Departments = append(out.Departments, DepartmentCount{Name: department})
		}
		out.Departments[k].Members++
		name, err := r.name(r.dir.Key(i))
		if err != nil {
			return out, err
		}
		cowork := r.access.Allowed(i, rbac.Cowork, r.end).String()
		place = place[:0]
		for _, text := range [...]string{department, role, cowork} {
			place = append(binary.AppendUvarint(place, uint64(len(text))), text...)
		}
		for g := range r.s.Groups {
			if r.dir.InGroup(g, i, r.end) {
				place = binary.AppendUvarint(place, uint64(g))
			}
		}
		at := places[string(place)]
		if at == nil {
			at = &MemberPlace{Department: department, OrgRole: role, Groups: []string{}, Cowork: cowork}
			for _, g := range r.dir.GroupsOf(i, r.end) {
				at.Groups = append(at.Groups, r.s.Groups[g].Name.Value)
			}
			places[string(place)] = at
		}
		out.Members = append(out.Members, MemberState{name, at, r.enabled[i] && !silent[i]})
	}
	// Sorted by pseudonym: the order of the directory would give members away.
	slices.SortStableFunc(out.Members, func(a, b MemberState) int { return strings.Compare(a.Member, b.Member) })
	for i := range r.s.Groups {
		g := &r.s.Groups[i]
		gs := GroupState{Name: g.Name.Value, Source: g.Source, Phase: g.Phase, Purpose: g.Purpose, Roles: []string{}}
		for _, t := range g.Roles {
			gs.Roles = append(gs.Roles, t.Value)
		}
		for m := range r.dir.Len() {
			if r.dir.InGroup(i, m, r.from) {
				gs.AtStart++
			}
			if r.dir.InGroup(i, m, r.end) {
				gs.AtEnd++
			}
		}
		out.Groups = append(out.Groups, gs)
	}
	if r.outcome != nil {
		for _, d := range r.outcome.Denied {
			out.Denied = append(out.Denied, Attempts{d.Capability, int64(d.Attempts)})
		}
		for _, d := range r.outcome.Connectors {
			out.Denied = append(out.Denied, Attempts{d.Connector + "/" + d.Tool, int64(d.Calls)})
		}
	}
	return out, nil
}

func (r *run) spending() (Spend, error) {
	out := Spend{Summary: r.ledger.Summary(), Budgets: []Budget{}, Drivers: r.drivers.Report(), Outlook: r.month}
	var err error
	for i := range out.Members {
		if out.Members[i].Member, err = r.name(out.Members[i].Member); err != nil {
			return out, err
		}
	}
	for i := range out.Warnings {
		if out.Warnings[i].Member, err = r.name(out.Warnings[i].Member); err != nil {
			return out, err
		}
	}
	var overspent []int
	for i := range out.WouldBlock {
		if m, ok := r.dir.Find(out.WouldBlock[i].Member); ok {
			overspent = append(overspent, m)
		}
		if out.WouldBlock[i].Member, err = r.name(out.WouldBlock[i].Member); err != nil {
			return out, err
		}
	}
	slices.SortStableFunc(out.Members, func(a, b spend.MemberSpend) int {
		if a.Month != b.Month {
			return strings.Compare(a.Month, b.Month)
		}
		return strings.Compare(a.Member, b.Member)
	})
	out.Elsewhere = []ElsewhereSpend{}
	if r.elsewhere != nil {
		out.Elsewhere = append(out.Elsewhere, r.elsewhere.sums...)
	}
	if out.Increases, err = r.requestsMade(); err != nil {
		return out, err
	}
	// A member at the limit shows in the replay as would-have-blocked only when
	// requests went on; in the closed loop they stopped, and the simulation says who.
	blocked := map[int]bool{}
	if r.outcome != nil {
		out.Stopped = &Stopped{Members: len(r.outcome.Blocked), Requests: int64(r.outcome.RequestsBlocked), Who: []StoppedMember{}}
		for _, b := range r.outcome.Blocked {
			blocked[b.Member] = true
			name, err := r.name(r.dir.Key(b.Member))
			if err != nil {
				return out, err
			}
			out.Stopped.Who = append(out.Stopped.Who, StoppedMember{name, b.First.UTC(), b.Requests})
		}
		slices.SortStableFunc(out.Stopped.Who, func(a, b StoppedMember) int { return strings.Compare(a.Member, b.Member) })
	} else {
		for _, m := range overspent {
			blocked[m] = true
		}
	}
	for i := range r.s.Config.Spend.Groups {
		l := &r.s.Config.Spend.Groups[i]
		b := Budget{Group: l.Group.Value, Limit: l.Limit.Micros, Because: l.Because}
		if f := l.Formula; f != nil {
			x := spend.Formula(f.SessionsPerWeek, f.SessionCost.Micros, f.Users)
			b.Formula, b.Assumes = &x, f.Assumes
		}
		g := slices.IndexFunc(r.s.Groups, func(g org.Group) bool { return g.Name.Value == l.Group.Value })
		for m := range r.dir.Len() {
			if g >= 0 && r.dir.InGroup(g, m, r.end) {
				b.Members++
				if blocked[m] {
					b.Blocked++
				}
			}
		}
		var spent int64
		for _, gs := range out.Groups {
			if gs.Group == b.Group {
				spent += gs.Spent
			}
		}
		b.SpentText = spend.Dollars(spent)
		out.Budgets = append(out.Budgets, b)
	}
	return out, nil
}

// files are the inputs as used: the scenario with what it extends, the rules,
// the frameworks, the facts and the prices.
func (r *run) files() []File {
	var files []File
	if r.s.Roster.Value == "" { // a list of members is never copied
		files = append(files, File{"scenario.yaml", r.s.File.Data})
	}
	for i, b := range r.s.Bases {
		files = append(files, File{fmt.Sprintf("extends-%d-%s", i+1, path.Base(strings.ReplaceAll(b.Name, `\`, "/"))), b.Data})
	}
	if len(r.s.Overrides) > 0 {
		files = append(files, File{"set.txt", []byte(strings.Join(r.s.Overrides, "\n") + "\n")})
	}
	files = append(files, r.packs...)
	for _, f := range r.model.Files() {
		files = append(files, File{f.Name, f.Data})
	}
	for _, f := range r.facts.Files() {
		files = append(files, File{f.Name, f.Data})
	}
	return files
}

func (r *run) assessment(v *values, res *Result) (*assess.Assessment, error) {
	o := &r.s.Organisation
	rq := assess.Request{Inputs: assess.Inputs{Vars: v.vars, Exam: r.s.Exam()}, Scope: v.scope, Assumptions: v.assumptions, FindingIDs: v.findings, Question: r.question()}
	for _, a := range r.s.Attestations {
		rq.Attestations = append(rq.Attestations, assess.Attested{ID: a.Id.Value, Who: a.Who, Role: a.Role, Scope: a.Scope, Date: a.Date, Expires: a.Expires, Answer: a.Answer == nil || *a.Answer, For: a.For})
	}
	for _, c := range r.s.Claims {
		rq.Claims = append(rq.Claims, assess.Asked{ID: c.Id.Value, Who: c.Who, With: c.With})
	}
	for _, n := range r.s.Needs {
		rq.Needs = append(rq.Needs, assess.Asked{ID: n.Id.Value, Who: n.Who, Text: strings.TrimSpace(n.Text), With: n.With})
	}
	for _, w := range r.s.Workloads {
		wr := assess.WorkloadResult{Name: w.Name, Data: nn(w.Data), Groups: []string{}}
		for _, g := range w.Groups {
			wr.Groups = append(wr.Groups, g.Value)
		}
		rq.Workloads = append(rq.Workloads, wr)
	}
	if err := r.useEvidence(v, &rq.Inputs); err != nil {
		return nil, err
	}
	rq.Assumptions = v.assumptions
	a, err := r.model.Assess(rq)
	if err != nil {
		return nil, err
	}
	if !r.o.Brief {
		if a.WouldChange, err = r.model.WouldChange(rq.Inputs); err != nil {
			return nil, err
		}
	}
	if a.Controls, err = r.model.Controls(rq.Inputs); err != nil {
		return nil, err
	}
	res.model, res.inputs = r.model, rq.Inputs
	if last := r.facts.LastVerified(); !r.o.Brief && last.After(r.s.AsOf) {
		if res.Timeline, err = r.model.Timeline(rq.Inputs, r.s.AsOf, last); err != nil {
			return nil, err
		}
	}
	a.Scenario, a.Title, a.FactSet = r.s.Name.Value, r.s.Title, r.facts.Digest()[:12]
	a.Period = assess.PeriodRef{From: r.s.Period.From.String(), To: r.s.Period.To.String(), Days: r.s.Period.Days()}
	a.Client, a.Preparer, a.Label = o.Client, o.Preparer, o.Label
	a.OwnScenario = !r.s.Shipped
	a.Organisation = assess.OrganisationRef{Name: o.Name, Plan: o.Plan.Value, Kind: nn(o.Kind), Seats: o.Seats, Modes: res.Organisation.Modes, Arrangements: nn(o.Arrangements), Destinations: r.s.Telemetry.Destinations}
	if r.evidenceRead != nil {
		res.Evidence = r.evidenceRead.Items
	}
	a.Counters = r.counters(res)
	a.Evidences = r.evidence(res)
	a.EvidenceNote = r.note(res)
	if r.coverage.Records == 0 {
		a.Answer.Text = a.EvidenceNote + " " + a.Answer.Text
	}
	return a, nil
}

// question is what page one answers, made of the declared workloads.
func (r *run) question() string {
	var names []string
	for _, w := range r.s.Workloads {
		names = append(names, strings.NewReplacer("-", " ", "_", " ").Replace(w.Name))
	}
	if len(names) == 0 {
		return "May we use Cowork for the declared work?"
	}
	return "May we use Cowork for " + joined(names) + "?"
}

func (r *run) counters(res *Result) assess.Counters {
	c := assess.Counters{
		Records: r.counts.Received, Events: r.counts.Events, CoworkEvents: r.coverage.Records, OtherProducts: r.counts.Events - r.coverage.Records,
		AfterAsOf: r.counts.AfterAsOf, OutsidePeriod: r.counts.OutsidePeriod, Duplicates: r.counts.Duplicates, OutOfTurn: r.counts.Late, BadRecords: r.counts.NoTime,
		MembersHeard: int(r.coverage.SeatsHeard.N), MembersWithCowork: int(r.coverage.SeatsHeard.Of), Members: r.dir.Len(),
		Sessions: r.coverage.Sessions, Prompts: r.coverage.Prompts, Findings: len(res.Findings), SpendMicros: res.Spend.Total,
		InjectedStories: len(res.Truth),
	}
	for _, in := range r.inputs {
		c.Records += in.Bad
		c.BadRecords += in.Bad
	}
	for _, row := range res.Rules {
		c.Alerts += row.Alerts
	}
	for _, d := range res.Organisation.Denied {
		c.Denied += d.Count
	}
	if res.Spend.Stopped != nil {
		c.BlockedMembers = res.Spend.Stopped.Members
	} else {
		members := map[string]bool{}
		for _, b := range res.Spend.WouldBlock {
			members[b.Member] = true
		}
		c.BlockedMembers = len(members)
	}
	return c
}

// note says in one sentence what the evidence is worth.
func (r *run) note(res *Result) string {
	c := r.coverage
	if !r.observed {
		switch {
		case !r.s.Telemetry.On():
			return "No telemetry is exported, so nothing could be observed even in the rehearsal."
		case c.Records == 0:
			return "The rehearsal gave no Cowork record."
		}
		return fmt.Sprintf("%s heard of %s with Cowork", number(c.SeatsHeard.N), counted(c.SeatsHeard.Of, "member"))
	}
	lost := lossesOf(r.inputs)
	if c.Records == 0 {
		var others []string
		for p, n := range totalProducts(r.inputs) {
			if n > 0 {
				others = append(others, fmt.Sprintf("%s from %s", number(n), productName(p)))
			}
		}
		found := "was found"
		if totalProducts(r.inputs)[event.Cowork] > 0 {
			found = fmt.Sprintf("lies inside the period up to %s", r.s.AsOf)
		}
		text := fmt.Sprintf("No Cowork record %s: %s decoded (%s), so Cowork coverage is 0 and nothing below rests on observed Cowork activity.", found, counted(r.counts.Received, "record"), or(strings.Join(others, ", "), "none from a known product"))
		return join(" ", text, r.leftOut(), lost)
	}
	who := fmt.Sprintf("%s heard of %s with Cowork.", number(c.SeatsHeard.N), counted(c.SeatsHeard.Of, "member"))
	if !r.rostered() {
		who = "No roster was given, so nobody in it can be matched to a member."
	}
	return join(" ", fmt.Sprintf("%s from Cowork of %s.", counted(c.Records, "record"), counted(r.counts.Received, "record")), who, r.leftOut(), r.outOfTurn(), lost)
}

// outOfTurn says what came too late to be put in order where a stream can be read only once.
func (r *run) outOfTurn() string {
	if r.counts.Late == 0 {
		return ""
	}
	return fmt.Sprintf("%s came more than %d minutes behind the stream and out of turn, so that windows, sequences and limits may be judged wrongly: standard input is read once; a file is read as often as it takes to put it in order of time.",
		counted(r.counts.Late, "record"), int(replay.DefaultWindow.Minutes()))
}

// leftOut says which records lay outside the time that is judged.
func (r *run) leftOut() string {
	if r.counts.OutsidePeriod+r.counts.AfterAsOf == 0 {
		return ""
	}
	return fmt.Sprintf("Left out: %s outside the period of %s to %s, %s after the as-of date %s.", counted(r.counts.OutsidePeriod, "record"), r.s.Period.From, r.s.Period.To, counted(r.counts.AfterAsOf, "record"), r.s.AsOf)
}

func (r *run) evidence(res *Result) []assess.EvidenceItem {
	period := fmt.Sprintf("%s to %s", r.s.Period.From, r.s.Period.To)
	var out []assess.EvidenceItem
	add := func(e assess.EvidenceItem) {
		e.ID = fmt.Sprintf("EV-%d", len(out)+1)
		out = append(out, e)
	}
	if r.written != nil {
		add(assess.EvidenceItem{What: "Simulated telemetry stream (uncompressed bytes)", Class: "E7", Period: period, SHA256: r.written.PlainSHA256, Size: r.written.PlainBytes,
			Note: fmt.Sprintf("%s. Every fact in it was generated; it shows what rules and settings would do.", counted(r.written.Events, "event"))})
	}
	if r.observed {
		for i, in := range r.inputs {
			add(assess.EvidenceItem{What: fmt.Sprintf("Captured telemetry, input %d (%s)", i+1, in.Format), Class: "E3", Period: r.span(), SHA256: in.SHA256, Size: in.Size,
				Note: fmt.Sprintf("%s, %d unusable. Not copied into the bundle.", counted(in.Records, "record"), in.Bad)})
		}
	}
	if r.evidenceRead != nil {
		for _, it := range r.evidenceRead.Items {
			add(it)
		}
	}
	add(assess.EvidenceItem{What: "Configuration as declared in the scenario", Class: "E4", Period: r.s.AsOf.String(), SHA256: digest(r.s.File.Data), Size: int64(len(r.s.File.Data)), Note: "One moment, design only, not verified."})
	for _, p := range r.packs {
		add(assess.EvidenceItem{What: "Alert rules, " + path.Base(p.Name), Class: "E4", SHA256: digest(p.Data), Size: int64(len(p.Data))})
	}
	add(assess.EvidenceItem{What: "Dated platform facts", Class: "Dated facts", Period: "as of " + r.s.AsOf.String(), SHA256: r.facts.Digest(), Note: "Read in the sources listed with each fact."})
	for _, a := range r.s.Attestations {
		add(assess.EvidenceItem{What: "Attestation: " + strings.ReplaceAll(a.Id.Value, "_", " "), Class: "E6", Period: a.Date.String(), Note: join(", ", "given by "+a.Role, a.Scope)})
	}
	return out
}

func (r *run) span() string {
	if r.counts.First.IsZero() {
		return "no event in the period"
	}
	return r.counts.First.Format(time.DateOnly) + " to " + r.counts.Last.Format(time.DateOnly)
}

func digest(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
