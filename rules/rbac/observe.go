package rbac

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Counters tell what Observe judged and what it could not.
type Counters struct {
	Judged       int64 `json:"judged"`        // Cowork records of a known member
	OtherProduct int64 `json:"other_product"` // not Cowork, not judged
	Unattributed int64 `json:"unattributed"`  // no member on the wire: counted, never judged
	Strangers    int64 `json:"strangers"`     // a member on the wire whom the directory does not know
	MCPCalls     int64 `json:"mcp_calls"`     // tool results of named servers
	MCPUnnamed   int64 `json:"mcp_unnamed"`   // tool results of servers the wire does not name
	InFlight     int64 `json:"in_flight"`     // inside a propagation window: not judged
	Unknown      int64 `json:"unknown"`       // the policy is not known
}

type incidentKey struct {
	member     int
	rule, what string
}

type incident struct {
	first, last int64
	count       int
	reason      string
	events      []rules.EventRef
}

type observer struct {
	counters Counters
	open     map[incidentKey]*incident
	calls    Calls
}

func (o *observer) reset() { *o = observer{open: map[incidentKey]*incident{}, calls: Calls{}} }

// Counters of the records seen so far.
func (e *Engine) Counters() Counters { return e.obs.counters }

// Observe judges one record of Cowork: activity by somebody who may not use
// Cowork at that time, activity after leaving, and a tool that ran on a connector
// the policy denies or does not know. What is not known, in flight or without a
// member is counted and not judged: while a change spreads, policy and stream do
// not disagree. A leaver's activity while the removal spreads is a finding of low
// severity of its own.
func (e *Engine) Observe(ev *event.Event) {
	c := &e.obs.counters
	if ev.Product != event.Cowork {
		c.OtherProduct++
		return
	}
	if ev.Account == "" && ev.Email == "" && ev.AccountID == "" {
		c.Unattributed++
		return
	}
	member, ok := e.member(ev)
	if !ok {
		c.Strangers++
		return
	}
	c.Judged++
	t := ev.When()
	// A leaver's records are one incident, not also a denied capability.
	if left := e.dir.Left(member); !left.IsZero() && !t.Before(left) {
		rule := "rbac-leaver"
		if e.Leaving(member, t) {
			rule = "rbac-leaver-in-flight"
			c.InFlight++
		}
		e.incident(member, rule, "", ev, nil)
		return
	}
	// The wire does not say dependably which records come from a cloud session, so
	// that only the capability both kinds need is judged.
	switch e.outcome(member, e.cowork, ev.Time) {
	case Deny:
		e.incident(member, "rbac-capability", Cowork, ev, func() Decision { return e.Capability(member, Cowork, t) })
	case InFlight:
		c.InFlight++
	case Indeterminate:
		c.Unknown++
	}
	e.observeMCP(member, ev, t)
}

// observeMCP judges results only: a decision may have been a rejection, in which
// case nothing ran. Servers of the application itself are not connectors.
func (e *Engine) observeMCP(member int, ev *event.Event, t time.Time) {
	if ev.Kind != event.ToolResult || !ev.IsMCP() || ev.ToolSource == "sdk_host_builtin_mcp" {
		return
	}
	c := &e.obs.counters
	if ev.MCPKnown != event.Known {
		c.MCPUnnamed++
		return
	}
	c.MCPCalls++
	call := Call{Connector: ev.MCPServer, Tool: ev.MCPTool, Scope: ev.ServerScope, Write: true}
	rule := "rbac-connector"
	switch e.obs.calls.Outcome(e, member, call, t) {
	case NotGoverned:
		rule = "rbac-local-server"
	case Deny:
		if e.epochAt(t).conns[ConnectorKey(ev.MCPServer)] == nil {
			rule = "rbac-unlisted-connector"
		}
	case InFlight:
		c.InFlight++
		return
	case Indeterminate:
		c.Unknown++
		return
	default:
		return
	}
	e.incident(member, rule, ev.MCPServer, ev, func() Decision { return e.ConnectorCall(member, call, t) })
}

func (e *Engine) member(ev *event.Event) (int, bool) {
	m, _ := ev.Who(e.dir)
	return int(m), m >= 0
}

// incident adds a record to the finding of its member, rule and subject. why is
// asked for the first record only, since reasons cost more than the verdict.
func (e *Engine) incident(member int, rule, what string, ev *event.Event, why func() Decision) {
	k := incidentKey{member, rule, what}
	in := e.obs.open[k]
	if in == nil && what != "" && len(e.obs.open) >= maxChanges {
		k.what = allOthers
		in = e.obs.open[k]
	}
	if in == nil {
		k.what = strings.Clone(k.what) // the record's strings may be views
		in = &incident{first: ev.Time, last: ev.Time}
		if k.what == allOthers {
			in.reason = fmt.Sprintf("beyond %d findings, servers are not told apart", maxChanges)
		} else if why != nil {
			var texts []string
			for _, r := range why().Reasons {
				texts = append(texts, r.Text)
			}
			in.reason = strings.Join(texts, "; ")
		}
		e.obs.open[k] = in
	}
	in.count++
	in.first, in.last = min(in.first, ev.Time), max(in.last, ev.Time)
	if len(in.events) < rules.MaxEventRefs {
		in.events = append(in.events, rules.EventRef{
			Index: ev.Index, Session: strings.Clone(ev.Session), Prompt: strings.Clone(ev.Prompt),
			Kind: ev.Kind.String(), Time: ev.When().Format(time.RFC3339)})
	}
}

var kinds = map[string]struct {
	title, topic string
	severity     rules.Severity
	facts        []string
}{
	"rbac-capability":         {"Cowork used without permission", "capability", rules.High, []string{"rbac-org-toggle-ceiling", "rbac-additive-union"}},
	"rbac-leaver":             {"Activity after leaving", "leaver", rules.Critical, nil},
	"rbac-leaver-in-flight":   {"Activity while a removal was on its way", "leaver", rules.Low, []string{"provisioning-lag-minutes"}},
	"rbac-connector":          {"A denied connector was used", "unlisted-server", rules.High, []string{"rbac-connector-permissions"}},
	"rbac-unlisted-connector": {"A server outside the connector list was used", "unlisted-server", rules.Medium, []string{"connector-admin-gate"}},
	"rbac-local-server":       {"A server of the member's own was used", "unlisted-server", rules.Medium, []string{"rbac-local-servers-ungoverned"}},
}

// Close returns one finding per member, rule and subject, ordered by first
// record. It keeps what was observed, so that it may be asked again. The time is
// the end of the stream, which every engine is given and this one does not need.
func (e *Engine) Close(time.Time) []rules.Finding {
	keys := make([]incidentKey, 0, len(e.obs.open))
	for k := range e.obs.open {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		if x, y := e.obs.open[a].first, e.obs.open[b].first; x != y {
			return x < y
		}
		if a.member != b.member {
			return a.member < b.member
		}
		return a.rule < b.rule || a.rule == b.rule && a.what < b.what
	})
	out := make([]rules.Finding, 0, len(keys))
	for i, k := range keys {
		in, kind := e.obs.open[k], kinds[k.rule]
		from, last := time.Unix(0, in.first).UTC(), time.Unix(0, in.last).UTC()
		reason := in.reason
		if k.rule == "rbac-leaver" || k.rule == "rbac-leaver-in-flight" {
			reason = "left on " + e.dir.Left(k.member).UTC().Format(time.RFC3339) + "; " + e.departure(k.member).String()
		}
		title := kind.title
		if k.what != "" {
			title += ": " + k.what
		}
		out = append(out, rules.Finding{
			ID: fmt.Sprintf("rbac-%d", i+1), Engine: "rbac", Rule: k.rule, Title: title, Severity: kind.severity,
			Member: e.dir.Key(k.member), Time: from, Count: in.count, Events: in.events, Facts: kind.facts, Topic: kind.topic,
			Reason: fmt.Sprintf("%s (%d records from %s to %s)", reason, in.count, from.Format(time.RFC3339), last.Format(time.RFC3339)),
		})
	}
	return out
}

// Departure is a member who left, and how long the account stayed open.
type Departure struct {
	Member int
	Left   time.Time
	Closed time.Time // zero: nobody stated when the account was closed
	// Removal is how long the identity provider's removal may take to arrive, where
	// nobody stated the closing; InFlight counts the records seen inside that time.
	Removal  Lag
	InFlight int
	// Records seen after Left, those in flight among them, and the last: without a
	// stated closing time the lag is at least that long.
	Records int
	Last    time.Time
}

// Lag is how long the account was open after the member left. exact is false
// when it is only known to be at least that long, because nobody stated the
// closing or the account worked after it; then zero says nothing.
func (d Departure) Lag() (lag time.Duration, exact bool) {
	switch {
	case !d.Closed.IsZero() && !d.Last.After(d.Closed):
		return d.Closed.Sub(d.Left), true
	case !d.Last.IsZero():
		return d.Last.Sub(d.Left), false
	}
	return 0, false
}

func (d Departure) String() string {
	lag, exact := d.Lag()
	switch {
	case exact:
		return fmt.Sprintf("the account was closed %s later", lag)
	case !d.Closed.IsZero():
		return fmt.Sprintf("the account is said to have been closed %s later, and it still worked %s after that", d.Closed.Sub(d.Left), d.Last.Sub(d.Closed).Round(time.Minute))
	case lag > 0:
		return fmt.Sprintf("when the account was closed is not stated; it still worked %s later%s", lag, d.removal())
	}
	return "when the account was closed is not stated" + d.removal()
}

// removal says how long a removal may take, "" where nothing removes by itself.
func (d Departure) removal() string {
	if d.Removal.Longest == 0 {
		return ""
	}
	return fmt.Sprintf("; the removal may take %d minutes to arrive (%s)", int(d.Removal.Longest/time.Minute), first(d.Removal.Source, "nobody said why"))
}

// Leaving reports that a member has left and the removal may not have arrived, so
// that the account may still be there.
func (e *Engine) Leaving(member int, t time.Time) bool {
	a, ns := e.account(member), t.UnixNano()
	return ns >= a.leaving && ns < a.closed
}

// Departures lists the members who left up to t with the lag of deprovisioning,
// by time of leaving, as far as the configuration and the records seen so far
// tell.
func (e *Engine) Departures(t time.Time) []Departure {
	var out []Departure
	for i := range e.dir.Len() {
		if l := e.dir.Left(i); !l.IsZero() && !l.After(t) {
			out = append(out, e.departure(i))
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Left.Before(out[b].Left) })
	return out
}

func (e *Engine) departure(member int) Departure {
	m := e.dir.Dates(member)
	d := Departure{Member: member, Left: m.Left, Closed: m.Removed}
	if m.Removed.IsZero() {
		d.Removal = e.Lag(org.ByProvisioning, m.Left)
	}
	if in := e.obs.open[incidentKey{member, "rbac-leaver-in-flight", ""}]; in != nil {
		d.InFlight, d.Records, d.Last = in.count, in.count, time.Unix(0, in.last).UTC()
	}
	if in := e.obs.open[incidentKey{member, "rbac-leaver", ""}]; in != nil {
		d.Records, d.Last = d.Records+in.count, time.Unix(0, in.last).UTC()
	}
	return d
}
