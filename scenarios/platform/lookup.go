package platform

import (
	"fmt"
	"slices"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Query is what a fact is asked for.
type Query struct {
	AsOf         source.Date
	Plan         string   // free, pro, max, team, enterprise; individual is read as max
	Mode         string   // local, cloud, third_party; "" asks only what holds in every mode
	Arrangements []string // zdr, cmek, hipaa_ready, hipaa_configuration
	Exam         bool     // contested facts are read the lesson's way
}

// Answer is a fact as of a day. Value already has age, conflict and change
// intervals in it, always on the side that does not improve a verdict; what
// remains to the caller is to evaluate the condition of a Conditional one.
type Answer struct {
	Fact       *Fact        // nil when no fact has the id
	Record     *Record      // nil when no record is in force
	Customer   *OverlayFact // set when the customer's own statement decided
	Value      Value
	Contested  bool // the lesson and later sources differ: print the fact's footnote
	Conflict   bool // two sources disagree; Conditional then means that tenant evidence decides
	Stale      bool // last verified more than FreshDays before the day asked about
	InInterval bool // the day lies inside the interval of a change

	because reason
	id      string
	asOf    source.Date
	next    *Record // the record in whose change interval the day lies
}

// reason is why an answer has its value. Most answers are read by a search that
// prints none of them, so the sentence is made only when it is asked for.
type reason uint8

const (
	notAFact reason = iota
	customerSays
	inChange
	noRecord
	inForce
	readAsLesson
	newerDenies
	tenantDecides
	newerGrants
	sourcesDisagree
	gapStands
	wasSo
	wasAvailable
	wasConditional
	recheck
)

// Reason is one sentence with its dates, for the report.
func (a Answer) Reason() string {
	r := a.Record
	switch a.because {
	case customerSays:
		o := a.Customer
		return fmt.Sprintf("The customer states %s as of %s (%s: %s).", o.Value, o.Date, o.Who, o.Evidence)
	case inChange:
		return fmt.Sprintf("Changed between %s and %s; on %s it is not known which side holds.", a.next.FromEarliest, a.next.FromLatest, a.asOf)
	case noRecord:
		return fmt.Sprintf("No record speaks for %s in this mode and arrangement.", a.asOf)
	case inForce:
		if r.FromEarliest.Given() {
			return fmt.Sprintf("Changed between %s and %s, last verified %s.", r.FromEarliest, r.FromLatest, r.LastVerified)
		}
		return fmt.Sprintf("In force since %s, last verified %s.", r.Start(), r.LastVerified)
	case readAsLesson:
		return fmt.Sprintf("Contested; read the lesson's way (%s) as of %s.", r.LessonValue, a.asOf)
	case newerDenies:
		return fmt.Sprintf("Two sources disagree and the newer one denies it, so the gap stands (last verified %s).", r.LastVerified)
	case tenantDecides:
		return fmt.Sprintf("Two sources disagree, the newer grants; evidence from the tenant has to settle it (last verified %s).", r.LastVerified)
	case newerGrants:
		return fmt.Sprintf("Two sources disagree, the newer grants (last verified %s).", r.LastVerified)
	case sourcesDisagree:
		return fmt.Sprintf("Sources disagree (last verified %s).", r.LastVerified)
	case gapStands:
		return fmt.Sprintf("Re-check since %s: the last known gap stands.", r.LastVerified)
	case wasSo:
		return fmt.Sprintf("Was so on %s and has not been verified since.", r.LastVerified)
	case wasAvailable:
		return fmt.Sprintf("Was available on %s and has not been verified since.", r.LastVerified)
	case wasConditional:
		return fmt.Sprintf("Held under a condition on %s and has not been verified since.", r.LastVerified)
	case recheck:
		return fmt.Sprintf("Re-check since %s.", r.LastVerified)
	}
	return fmt.Sprintf("%q is not the id of a fact.", a.id)
}

// Param is a parameter of the record in force, such as days or a version.
func (a Answer) Param(name string) (string, bool) {
	if a.Record == nil {
		return "", false
	}
	v, ok := a.Record.Params[name]
	return v, ok
}

// At answers fact id for q. Of the records in force that fit the mode and the
// arrangements the most specific one counts. An id that does not exist, and a
// day or scope nobody speaks for, give NotStated.
//
// A fact whose records all name modes is NotStated for an empty Mode: ask for
// each mode that can be used.
func (c *Catalogue) At(id string, q Query) Answer {
	f := c.byID[id]
	if f == nil {
		return Answer{id: id}
	}
	a := Answer{Fact: f, Contested: f.Contested, id: id, asOf: q.AsOf}
	r, next := f.choose(q)
	a.Record = r
	for i := range c.overlay {
		if o := &c.overlay[i]; o.Fact.Value == id && !o.Date.After(q.AsOf) && (a.Customer == nil || !o.Date.Before(a.Customer.Date)) {
			a.Customer = o
		}
	}
	if o := a.Customer; o != nil {
		a.Value, a.Contested = parseValue(o.Value), false
		a.because = customerSays
		return a
	}
	a.answer(q, next)
	return a
}

// answer fills in the value of a.Record, which may be nil, when next is a
// record of the same scope in whose change interval the day lies, else nil.
func (a *Answer) answer(q Query, next *Record) {
	r := a.Record
	if next != nil {
		a.InInterval = true
		// Where old and new agree for the plan, nothing changed for it.
		if r == nil || r.ValueFor(q.Plan) != next.ValueFor(q.Plan) || r.ValueFor(q.Plan) == Conditional {
			a.Value = Verify
			a.Stale = r != nil && stale(r, q)
			a.because, a.next = inChange, next
			return
		}
	}
	if r == nil {
		a.because = noRecord
		return
	}
	a.Value = r.ValueFor(q.Plan)
	a.because = inForce
	if r.Confidence == "conflict" {
		a.conflict()
	}
	if a.Contested && r.ValueFor(q.Plan) == Unknown && r.LessonValue != "" && q.Exam {
		a.Value = parseValue(r.LessonValue)
		a.because = readAsLesson
	}
	if stale(r, q) {
		a.age()
	}
}

// conflict takes the safe side where two sources disagree. A record that names
// the tenant evidence that would settle it stays Conditional.
func (a *Answer) conflict() {
	a.Conflict = true
	r := a.Record
	switch {
	case a.Value == No || a.Value == NotApplicable:
		// For this plan the sources agree.
		a.Conflict = false
	case r.Grants == "older":
		a.Value = a.Fact.bad()
		a.because = newerDenies
	case a.Value == Conditional:
		a.because = tenantDecides
	case r.Grants == "newer":
		a.Value = Unknown
		a.because = newerGrants
	default:
		a.Value = Unknown
		a.because = sourcesDisagree
	}
}

func stale(r *Record, q Query) bool { return q.AsOf.After(r.LastVerified.Add(FreshDays)) }

// age lets an old record fall to the side that does not improve a verdict: a
// gap last seen stands, a benefit last seen is in doubt.
func (a *Answer) age() {
	a.Stale = true
	good, bad := Yes, No
	if a.Fact.YesIs == Gap {
		good, bad = No, Yes
	}
	switch a.Value {
	case bad:
		a.because = gapStands
	case good:
		a.Value = Unknown
		a.because = wasSo
		if a.Fact.YesIs != Gap {
			a.because = wasAvailable
		}
	case Conditional:
		if a.Value = Unknown; a.Fact.YesIs == Gap {
			a.Value = Yes
		}
		a.because = wasConditional
	default:
		a.because = recheck
	}
}

// choose finds the record in force for q, and the record of its scope in whose
// change interval the day lies, if any.
func (f *Fact) choose(q Query) (best, next *Record) {
	for i := range f.Records {
		r := &f.Records[i]
		if !r.fits(q) {
			continue
		}
		if r.FromEarliest.Given() && r.FromEarliest.Before(q.AsOf) && q.AsOf.Before(r.FromLatest) {
			if next == nil || r.rank() > next.rank() {
				next = r
			}
			continue
		}
		if r.Starts().After(q.AsOf) || r.To.Given() && r.To.Before(q.AsOf) {
			continue
		}
		// Within a scope the later record wins, as one without an end stays in
		// force only until the next.
		if best == nil || r.rank() > best.rank() || r.rank() == best.rank() && !r.Starts().Before(best.Starts()) {
			best = r
		}
	}
	if best != nil && next != nil && next.rank() < best.rank() {
		next = nil // a more specific record is not touched by the change
	}
	return best, next
}

func (r *Record) fits(q Query) bool {
	if len(r.Modes) > 0 && !slices.Contains(r.Modes, q.Mode) {
		return false
	}
	for _, w := range r.With {
		if !slices.Contains(q.Arrangements, w) {
			return false
		}
	}
	for _, w := range r.Without {
		if slices.Contains(q.Arrangements, w) {
			return false
		}
	}
	return true
}

// rank orders records by how narrowly they speak: arrangements they need, then
// modes, then arrangements they exclude.
func (r *Record) rank() int {
	n := len(r.With)*100 + len(r.Without)
	if len(r.Modes) > 0 {
		n += 10
	}
	return n
}
