package quality

import (
	"slices"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/simulate"
)

// Match is what an alert turned out to be.
type Match uint8

const (
	Background Match = iota // it cites nothing but ordinary life
	Elsewhere               // it cites a story or twin on whose topic it says nothing
	Caught                  // it cites a story and is right about it
	Innocent                // it cites a twin that is innocent of its topic
	Luck                    // right about a story that nothing on the wire shows
)

// Verdict is an alert's match and, if it has one, the label's place in the truth.
type Verdict struct {
	Match Match
	Label int // -1 without one
}

type moment struct {
	session string
	at      int64
}

type labelled struct {
	label     int
	bystander bool
}

// Index finds the labels of events. It serves rehearsals that injected stories of
// their own as well as a measurement.
type Index struct {
	truth  []simulate.TruthLabel
	events map[moment][]labelled
}

// newIndex prepares the labels of one play.
func newIndex(truth []simulate.TruthLabel) *Index {
	x := &Index{truth: truth, events: map[moment][]labelled{}}
	for i := range truth {
		for _, e := range truth[i].Events {
			k := moment{e.Session, e.Time.UnixNano()}
			x.events[k] = append(x.events[k], labelled{i, e.Role == "bystander"})
		}
	}
	return x
}

// Judge says what an alert of a topic is: it is right about a story when the
// topic is one of the story's, the member fits and it cites an event of it that
// is no bystander, or overlaps a gap. The best match wins.
func (x *Index) Judge(f *rules.Finding) Verdict {
	number := topicNumbers[f.Topic]
	best := Verdict{Background, -1}
	take := func(m Match, i int) {
		if rank(m) > rank(best.Match) {
			best = Verdict{m, i}
		}
	}
	consider := func(i int, bystander bool) {
		l := &x.truth[i]
		switch {
		case l.Kind == "twin" && slices.Contains(l.InnocentOf, number):
			take(Innocent, i)
		case l.Kind == "twin" || !slices.Contains(l.Topics, number) || bystander:
			take(Elsewhere, i)
		case f.Member != "" && !slices.Contains(l.Members, f.Member):
			take(Elsewhere, i)
		case l.Observable == "none":
			take(Luck, i)
		default:
			take(Caught, i)
		}
	}
	for _, e := range f.Events {
		at, err := time.Parse(time.RFC3339Nano, e.Time)
		if err != nil {
			continue
		}
		for _, l := range x.events[moment{e.Session, at.UnixNano()}] {
			consider(l.label, l.bystander)
		}
	}
	if number == "T7" || number == "T10" { // silence cites what came before it
		for i := range x.truth {
			for _, g := range x.truth[i].Gaps {
				if (f.Member == "" || f.Member == g.Member) && !f.Time.Before(g.From) && !f.Time.After(g.To) {
					consider(i, false)
				}
			}
		}
	}
	return best
}

func rank(m Match) int { return [...]int{0, 1, 4, 3, 2}[m] }
