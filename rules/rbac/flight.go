package rbac

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// This file is about changes on their way: until one has arrived, somebody may
// still be told the old answer.

// fog is what else can be met while changes are on their way: other epochs, or
// other kinds of a member, each with the channels by which it lags behind.
type fog struct {
	others  []other
	pending []pending
}

type other struct {
	index    int32 // of the epoch or kind
	channels uint16
}

// pending is a change on its way.
type pending struct {
	channel      org.Channel
	since, until int64
	what         string
	stated       bool // the arrival was stated
}

// account is when a member's account is there: certainly not before open, surely
// from settled to leaving, certainly not from closed on.
type account struct{ open, settled, leaving, closed int64 }

// track is the changes of one channel in order of time, those of one moment taken
// together, with when each has arrived: never before the one ahead of it.
type track []stop

type stop struct {
	when, until int64
	stated      bool
	what        []string
	renamed     []string
}

// reach is which places of a track can be met at ns: after as many stops as low
// have surely arrived, up to high that have been made.
func (t track) reach(ns int64) (low, high int) {
	for high < len(t) && t[high].when <= ns {
		high++
	}
	for low = high; low > 0 && t[low-1].until > ns; low-- {
	}
	return low, high
}

// after is the moment up to which changes have arrived at a place of the track.
func (t track) after(place int) time.Time {
	if place == 0 {
		return time.Time{}
	}
	return time.Unix(0, t[place-1].when).UTC()
}

// maxFog bounds the combinations looked at while several channels are under way;
// beyond it each channel lags by itself, and all of them together.
const maxFog = 64

// combine lists the views that can be met at ns other than the newest, with the
// channels that lag in each, and the newest.
func combine(tracks *[org.Channels]track, ns int64) (now org.View, others []org.View, masks []uint16) {
	var low, high [org.Channels]int
	n := 1
	for ch := range tracks {
		low[ch], high[ch] = tracks[ch].reach(ns)
		now[ch] = tracks[ch].after(high[ch])
		n = min(n*(high[ch]-low[ch]+1), maxFog+1)
	}
	views, lag := []org.View{now}, []uint16{0}
	for ch := range tracks {
		made := len(views)
		if n > maxFog {
			made = 1
		}
		for place := low[ch]; place < high[ch]; place++ {
			for i := range made {
				v := views[i]
				v[ch] = tracks[ch].after(place)
				views, lag = append(views, v), append(lag, lag[i]|1<<ch)
			}
		}
	}
	if n > maxFog {
		all, mask := now, uint16(0)
		for ch := range tracks {
			if low[ch] < high[ch] {
				all[ch] = tracks[ch].after(low[ch])
				mask |= 1 << ch
			}
		}
		views, lag = append(views, all), append(lag, mask)
	}
	return now, views[1:], lag[1:]
}

// under are the stops on their way at ns.
func under(tracks *[org.Channels]track, ns int64) (out []pending) {
	for ch := range tracks {
		low, high := tracks[ch].reach(ns)
		for _, st := range tracks[ch][low:high] {
			out = append(out, pending{org.Channel(ch), st.when, st.until, strings.Join(st.what, "; "), st.stated})
		}
	}
	return out
}

// add puts a change at the end of a track. Changes come in order of time.
func (t *track) add(when, until int64, stated bool, what string) *stop {
	n := len(*t)
	if n == 0 || (*t)[n-1].when != when {
		*t = append(*t, stop{when: when, until: until, stated: stated})
		n++
	}
	st := &(*t)[n-1]
	if until > st.until {
		st.until, st.stated = until, stated
	}
	if n > 1 && stated {
		for i := range (*t)[:n-1] { // what was made before it had arrived by then, too
			(*t)[i].until = min((*t)[i].until, max(until, (*t)[i].when))
		}
	} else if n > 1 {
		st.until = max(st.until, (*t)[n-2].until)
	}
	if what != "" && !slices.Contains(st.what, what) {
		st.what = append(st.what, what)
	}
	return st
}

// arrival is when a change made at ns has arrived at the latest.
func (e *Engine) arrival(ch org.Channel, ns int64, stated time.Time) (until int64, isStated bool) {
	if !stated.IsZero() {
		return stated.UnixNano(), true
	}
	return ns + int64(e.lag(ch, ns).Longest), false
}

// Lag is how long a change of a channel made at t takes: as the configuration
// overrides it, else as the rules of that moment say. What goes through the
// identity provider waits for its push first.
func (e *Engine) Lag(ch org.Channel, t time.Time) Lag { return e.lag(ch, t.UnixNano()) }

func (e *Engine) lag(ch org.Channel, ns int64) Lag {
	ep := &e.epochs[e.segs[e.segment(ns)].now]
	o := &ep.cfg.Organisation
	l := ep.rules.Lags[ch]
	if ch == org.ByProvisioning && o.Directory != "scim" {
		l = Lag{} // by hand: the product ends access at once
	}
	if n, ok := o.Propagation.Minutes(ch); ok {
		l.Longest = time.Duration(n) * time.Minute
		l.Usual = min(l.Usual, l.Longest)
		l.Source = "stated by the scenario"
		if b := o.Propagation.Because; b != "" {
			l.Source += ": " + b
		}
	}
	if push := time.Duration(o.SCIMPush) * time.Minute; push > 0 && (ch == org.BySCIM || ch == org.ByProvisioning && o.Directory == "scim") {
		l.Longest += push
		l.Usual += push / 2
		l.Source = strings.TrimPrefix(l.Source+fmt.Sprintf(", after a push every %d minutes", o.SCIMPush), ", ")
	}
	return l
}

// accountOf dates a member's account. A removal that nobody timed is on its way
// from when the member left, if the identity provider makes it.
func (e *Engine) accountOf(m *org.Member) account {
	a := account{math.MinInt64, math.MinInt64, forever, forever}
	if !m.Joined.IsZero() {
		a.open = m.Joined.UnixNano()
		a.settled = a.open
		if m.Sent {
			a.settled, _ = e.arrival(org.ByProvisioning, a.open, m.Opened)
		}
	}
	switch {
	case !m.Removed.IsZero(): // until then it works
		a.closed = m.Removed.UnixNano()
		a.leaving = a.closed
	case !m.Left.IsZero():
		a.leaving = m.Left.UnixNano()
		a.closed, _ = e.arrival(org.ByProvisioning, a.leaving, time.Time{})
	}
	return a
}

// account is when a member's account is there; members who are alike share one.
func (e *Engine) account(member int) *account { return &e.accounts[e.accountAt[member]] }

// certain reports that it is known whether the account is there.
func (a *account) certain(ns int64) bool {
	return ns >= a.settled && ns < a.leaving || a.shut(ns)
}

// shut reports that the account is certainly not there.
func (a *account) shut(ns int64) bool { return ns < a.open || ns >= a.closed }

// settle decides in every state that can be met at t. Where they differ, in the
// outcome or the level of a plugin, the decision is in flight. It is asked only
// when the account may be there.
func (e *Engine) settle(member int, t time.Time, decide func(*state) Decision) Decision {
	ns := t.UnixNano()
	index, settled := e.stateIndex(member, ns)
	d := decide(&e.states[index])
	a := e.account(member)
	if settled && a.certain(ns) {
		return d
	}
	after := d
	leaving := ns >= a.leaving && ns < a.closed
	if leaving {
		after = Decision{Outcome: Deny, Reasons: []Reason{{Level: "membership", Text: "left on " + moment(e.dir.Left(member))}}}
	}
	var before []Answer
	var lag uint16 // channels that by themselves make a difference
	var any uint16
	differ := func(x Decision, channels uint16) {
		if outcomeWord(x) == outcomeWord(after) {
			return
		}
		if any |= channels; bits.OnesCount16(channels) == 1 {
			lag |= channels
		}
		ans := answerOf(x)
		if !slices.ContainsFunc(before, func(b Answer) bool { return b.Outcome == ans.Outcome }) {
			before = append(before, ans)
		}
	}
	if leaving {
		differ(d, 1<<org.ByProvisioning)
	}
	if ns >= a.open && ns < a.settled {
		differ(Decision{Outcome: Deny, Reasons: []Reason{{Level: "membership", Text: "not a member yet"}}}, 1<<org.ByProvisioning)
	}
	e.others(member, ns, func(i int, channels uint16) bool {
		differ(decide(&e.states[i]), channels)
		return true
	})
	if before == nil {
		return after
	}
	if lag == 0 {
		lag = any
	}
	f := &Flight{Before: before, After: answerOf(after)}
	for _, p := range e.onTheirWay(member, ns) {
		if lag&(1<<p.channel) == 0 {
			continue
		}
		tr := Travel{What: p.what, Channel: p.channel.String(), Since: time.Unix(0, p.since).UTC(), Until: time.Unix(0, p.until).UTC(), Source: "arrival stated"}
		if !p.stated {
			l := e.lag(p.channel, p.since)
			tr.Usual, tr.Longest, tr.Source = int(l.Usual/time.Minute), int(l.Longest/time.Minute), l.Source
		}
		f.Changes = append(f.Changes, tr)
		if tr.Until.After(f.Until) {
			f.Until = tr.Until
		}
	}
	return Decision{Outcome: InFlight, Level: after.Level, Granting: after.Granting, Flight: f,
		Reasons: append([]Reason{{Level: "propagation", Text: f.String()}}, after.Reasons...)}
}

// onTheirWay are the changes that may not have reached a member.
func (e *Engine) onTheirWay(member int, ns int64) []pending {
	out := slices.Concat(e.segs[e.segment(ns)].pending, e.fogs[e.spans[e.span(member, ns)].fog].pending)
	a, m := e.account(member), e.dir.Dates(member)
	if ns >= a.open && ns < a.settled {
		out = append(out, pending{org.ByProvisioning, a.open, a.settled, "the member joins", !m.Opened.IsZero()})
	}
	if ns >= a.leaving && ns < a.closed {
		out = append(out, pending{org.ByProvisioning, a.leaving, a.closed, "the member leaves", false})
	}
	return out
}

func answerOf(d Decision) Answer {
	a := Answer{Outcome: outcomeWord(d)}
	if n := len(d.Reasons); n > 0 && d.Outcome == Allow {
		a.Reason = d.Reasons[n-1].Text // the narrowest level that allows
	} else if n > 0 {
		a.Reason = d.Reasons[0].Text
	}
	return a
}

func (a Answer) String() string {
	return strings.ReplaceAll(a.Outcome, "_", " ") + or(a.Reason, " (", ")")
}

func or(s, before, after string) string {
	if s == "" {
		return ""
	}
	return before + s + after
}

// String says what is on its way and both answers.
func (f *Flight) String() string {
	var what []string
	for _, c := range f.Changes {
		what = append(what, c.String())
	}
	var old []string
	for _, b := range f.Before {
		old = append(old, b.String())
	}
	return fmt.Sprintf("%s; until it has arrived: %s; once it has: %s", strings.Join(what, "; "), strings.Join(old, ", or "), f.After)
}

// String says what travels, since when and how long it may take.
func (t Travel) String() string {
	s := fmt.Sprintf("%s, since %s", t.What, t.Since.Format(time.RFC3339))
	if t.Longest == 0 {
		return fmt.Sprintf("%s, had arrived by %s (%s)", s, t.Until.Format(time.RFC3339), t.Source)
	}
	return fmt.Sprintf("%s, may take until %s (usually %d minutes, at most %d; %s)", s, t.Until.Format(time.RFC3339), t.Usual, t.Longest, first(t.Source, "nobody said why"))
}
