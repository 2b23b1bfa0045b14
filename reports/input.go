package reports

import (
	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules/spend"
)

// What a report is made of besides the assessment, as the caller hands it in.

// Input is the assessment and what the engines say beside it. The lines hold
// words and figures ready to print: amounts, shares and pseudonyms are made by
// whoever owns them. What is left out is left out of the document or named as
// not supplied.
type Input struct {
	Assessment  *assess.Assessment
	Spend       []SpendLine
	MemberSpend []SpendGroup // each member and month against the limit that bound it
	Fans        []SpendFan
	SpendWeeks  []spend.GroupWeek // each group's weeks, sorted by group
	Increases   []IncreaseLine
	Elsewhere   []string // spend in other products under the same limits
	Rolling     []RollingDay
	Rules       []assess.RuleRow
	Quality     []QualityLine
	Measured    string // how and where the quality was measured
	Matrix      []MatrixLine
	Flags       []FlagLine
	Groups      []GroupLine
	Findings    []FindingLine
	Adoption    []AdoptionLine
	Coverage    []CoverageLine
	Phases      []PhaseLine
	Timeline    []assess.Move // the days on which the answer, a posture or a verdict moved, the as-of date first
	Digest      string        // SHA-256 of assessment.json
	Content     bool          // names and content were not withheld: every page says so
	Paper       string        // A4, or Letter
	Logo        []byte        // PNG or JPEG for the cover
}

// SpendLine is one group's limit and how the number was reached.
type SpendLine struct {
	Group, LimitPerMember string
	LimitMicros           int64
	Formula               []string
	Spent                 string
	Members, Blocked      int
	Because               string
}

// IncreaseLine is one increase request of a member whom a limit stopped.
type IncreaseLine struct {
	Member, Asked, Limit, Answer string
}

// SpendGroup is what members under one limit spent in a month, sorted.
type SpendGroup struct {
	Source      string // the limit that bound them, in words
	LimitMicros int64  // per member and month; -1 for none
	Micros      []int64
}

// SpendFan is a month's spend, cumulative, and the range it may take.
type SpendFan struct {
	Title       string
	LimitMicros int64 // -1 for none
	LimitName   string
	Points      []FanPoint
	Note        string
}

// FanPoint is one day, cumulative. Actual is -1 where nothing was spent yet or
// ever will be.
type FanPoint struct {
	Day                    string
	Actual, Low, Mid, High int64
}

// QualityLine is how well one rule did against injected misuse, where that was
// measured.
type QualityLine struct {
	Rule           string
	Caught, Seeded int
	False, Alerts  int  // episodes: wrongly raised, of all raised
	Reachable      bool // false: no injected sample could reach it, so it is unproven
}

// MatrixLine is what one group may do, and why.
type MatrixLine struct{ Group, Kind, What, Level, Because, Flag string }

// FlagLine is a weakness of the access configuration.
type FlagLine struct{ Severity, Subject, Text string }

// GroupLine is a group with its members.
type GroupLine struct {
	Name    string
	Members int
	Purpose string
	Source  string
	Roles   []string
}

// FindingLine is one finding; Member is already a pseudonym.
type FindingLine struct {
	ID, Severity, Title, Member, Time, Reason string
	Count                                     int
	Events                                    string // "e123, e456"
}

// AdoptionLine is one week.
type AdoptionLine struct {
	Week            string
	Sessions        int64
	Active, Enabled int
	Share           string
}

// CoverageLine is one share of what the stream can show; more is better.
type CoverageLine struct {
	What  string
	N, Of int64
	Why   string
}

// PhaseLine is one phase of the rollout. To is empty for the last.
type PhaseLine struct{ Name, From, To, Groups, Status, Because string }
