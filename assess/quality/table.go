package quality

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"github.com/sandtable-dev/sandtable/rules/alert"
	"github.com/sandtable-dev/sandtable/simulate"
)

// Table is a measurement of a set of rules.
type Table struct {
	Digest     string `json:"digest"` // of the rules
	Label      string `json:"label"`  // of the seed
	EnvVersion int    `json:"env_version"`
	Worlds     int    `json:"worlds"`
	Members    int    `json:"members"` // in each world
	Days       int    `json:"days"`    // of each world
	MemberDays int    `json:"member_days"`
	Events     int64  `json:"events"`
	Stories    int    `json:"stories"`
	Twins      int    `json:"twins"`
	Unplaced   int    `json:"unplaced"`
	// MemberDaysPerStory and TwinsPerStory (in tenths) are the density without
	// which precision means nothing.
	MemberDaysPerStory int        `json:"member_days_per_story"`
	TwinsPerStory      int        `json:"twins_per_story_tenths"`
	Rules              []Row      `json:"rules"`
	Topics             []TopicRow `json:"topics"`
	OutOfReach         []Unseen   `json:"out_of_reach"`
	Told               []string   `json:"declared_twins"`
}

// Row is one rule's quality.
type Row struct {
	Rule   string `json:"rule"`
	Title  string `json:"title"`
	Topic  string `json:"topic"`
	Number string `json:"topic_number"`
	// Status is measured; unproven where nothing could be evaluated, no story of
	// the topic was in reach, or the rule never fired: then neither what it catches
	// nor what it gets wrong has been shown.
	Status string `json:"status"`
	Why    string `json:"why,omitempty"`

	Recall   Share    `json:"recall"`
	Quarters [4]Share `json:"recall_by_quarter"` // of the stories' main draws, low to high
	// Precision counts episodes: caught stories against twins and ordinary alerts
	// wrongly raised. OnWire leaves out the twins whose innocence no rule could read.
	Precision Share `json:"precision"`
	OnWire    Share `json:"precision_on_wire"`

	FalseTwins    int   `json:"false_twins"`
	FalseOffWire  int   `json:"false_twins_off_wire"`
	FalseOrdinary int   `json:"false_ordinary"`
	Elsewhere     int   `json:"alerts_elsewhere"` // about stories of other topics: neither credited nor punished
	Luck          int   `json:"luck"`             // right about what nothing shows
	Alerts        int64 `json:"alerts"`
	// AlertsPerThousand is alerts in a thousand member-days: what one analyst gets
	// a day who looks after a thousand members. In tenths.
	AlertsPerThousand int `json:"alerts_per_1000_member_days_tenths"`
	// DetectHalf and DetectNine are seconds from the moment a perfect detector
	// could know to the alert, for half and nine in ten of the caught.
	DetectHalf int64 `json:"detect_seconds_median"`
	DetectNine int64 `json:"detect_seconds_p90"`

	Benign      int `json:"benign_in_reach"` // twins of its topic under settings that carry what it needs
	BenignQuiet int `json:"benign_quiet"`    // of these, without an alert
	// Settings are the records it listened to and could evaluate under each capture
	// setting: full, names (tool details only), meta (metadata only).
	Settings     []Seen         `json:"by_setting"`
	Reached      int64          `json:"reached"`
	Evaluable    int64          `json:"evaluable"`
	Matched      int64          `json:"matched"`
	NotEvaluable []alert.Reason `json:"not_evaluable,omitempty"`
	Stories      []StoryRow     `json:"stories"`
}

// Seen is what a rule could evaluate under one capture setting.
type Seen struct {
	Setting   string `json:"setting"`
	Reached   int64  `json:"reached"`
	Evaluable int64  `json:"evaluable"`
	// Blind is set where the content that the rule says it needs is not captured: it
	// cannot fire, whatever else it can evaluate.
	Blind bool `json:"blind,omitempty"`
}

// TopicRow is what the rules of one topic caught between them.
type TopicRow struct {
	Number string   `json:"topic_number"`
	Rules  []string `json:"rules"`
	Recall Share    `json:"recall"`
}

// StoryRow is what a rule made of one story.
type StoryRow struct {
	Story      string `json:"story"`
	Played     int    `json:"played"`
	OutOfReach int    `json:"out_of_reach"` // nothing observable, or the rule's content is not captured
	Caught     int    `json:"caught"`
	Missed     int    `json:"missed"`
}

// Unseen is a story that was out of reach as a whole or in part.
type Unseen struct {
	Story  string `json:"story"`
	Title  string `json:"title"`
	Played int    `json:"played"`
	Unseen int    `json:"unseen"`
	Luck   int    `json:"alerts_by_luck"`
}

// needs reports that a capture setting carries the content a rule says it needs.
// A rule that names several categories lives on any of them.
func needs(r *alert.Rule, setting string) bool {
	if len(r.Needs.Categories) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Needs.Categories, func(c string) bool { return slices.Contains(settings[setting], c) })
}

func tabulate(rs []*alert.Rule, digest string, o Options, worlds []*played) *Table {
	t := &Table{Digest: digest, Label: o.Label, EnvVersion: alert.EnvVersion, Worlds: len(worlds), Days: o.Days, Told: told}
	type key struct{ world, label int }
	caught := map[string]map[key]time.Time{}
	wrong := map[string]map[key]bool{}
	luck := map[string]int{}
	rows := make([]Row, len(rs))
	at := map[string]int{}
	for i, r := range rs {
		rows[i] = Row{Rule: r.ID.Value, Title: r.Title, Topic: r.Topic.Value, Number: topicNumbers[r.Topic.Value]}
		at[r.ID.Value] = i
		caught[r.ID.Value], wrong[r.ID.Value] = map[key]time.Time{}, map[key]bool{}
	}
	reasons := make([]map[string]int64, len(rs))
	for w, p := range worlds {
		t.Events += p.events
		t.MemberDays += p.memberDays
		t.Unplaced += p.unplaced
		t.Members = p.memberDays / o.Days
		for i := range p.truth {
			if p.truth[i].Kind == "twin" {
				t.Twins++
			} else {
				t.Stories++
			}
		}
		x := newIndex(p.truth)
		for i := range p.found {
			f := &p.found[i]
			row := &rows[at[f.Rule]]
			row.Alerts++
			v := x.Judge(f)
			k := key{w, v.Label}
			switch v.Match {
			case Caught:
				if was, ok := caught[f.Rule][k]; !ok || f.Time.Before(was) {
					caught[f.Rule][k] = f.Time
				}
			case Innocent:
				wrong[f.Rule][k] = true
			case Background:
				row.FalseOrdinary++
			case Elsewhere:
				row.Elsewhere++
			case Luck:
				row.Luck++
				luck[p.truth[v.Label].Story]++
			}
		}
		for i, rep := range p.reports {
			rows[i].Reached += rep.Reached
			rows[i].Evaluable += rep.Evaluable
			k := slices.IndexFunc(rows[i].Settings, func(s Seen) bool { return s.Setting == p.world.setting })
			if k < 0 {
				k = len(rows[i].Settings)
				rows[i].Settings = append(rows[i].Settings, Seen{Setting: p.world.setting, Blind: !needs(rs[i], p.world.setting)})
			}
			rows[i].Settings[k].Reached += rep.Reached
			rows[i].Settings[k].Evaluable += rep.Evaluable
			rows[i].Matched += rep.Matched
			if reasons[i] == nil {
				reasons[i] = map[string]int64{}
			}
			for _, n := range rep.NotEvaluable {
				reasons[i][n.Text] += n.Count
			}
		}
	}
	for i, r := range rs {
		row := &rows[i]
		var hits, of int
		var quarterHits, quarterOf [4]int
		var delays []int64
		stories := map[string]*StoryRow{}
		var names []string
		var falseOff int
		for w, p := range worlds {
			for l := range p.truth {
				lab := &p.truth[l]
				k := key{w, l}
				if lab.Kind == "twin" {
					if !slices.Contains(lab.InnocentOf, row.Number) || !needs(r, lab.Capture) {
						continue
					}
					row.Benign++
					if !wrong[row.Rule][k] {
						row.BenignQuiet++
						continue
					}
					row.FalseTwins++
					if offWire(lab) {
						falseOff++
					}
					continue
				}
				if !slices.Contains(lab.Topics, row.Number) {
					continue
				}
				s := stories[lab.Story]
				if s == nil {
					s = &StoryRow{Story: lab.Story}
					stories[lab.Story] = s
					names = append(names, lab.Story)
				}
				s.Played++
				if lab.Observable == "none" || !needs(r, lab.Capture) {
					s.OutOfReach++
					continue
				}
				of++
				q := lab.Quarter - 1
				if q >= 0 {
					quarterOf[q]++
				}
				when, ok := caught[row.Rule][k]
				if !ok {
					s.Missed++
					continue
				}
				s.Caught++
				hits++
				if q >= 0 {
					quarterHits[q]++
				}
				delays = append(delays, max(int64(when.Sub(lab.EvidentAt)/time.Second), 0))
			}
		}
		sort.Strings(names)
		for _, n := range names {
			row.Stories = append(row.Stories, *stories[n])
		}
		row.FalseOffWire = falseOff
		row.Recall = newShare(hits, of)
		for q := range row.Quarters {
			row.Quarters[q] = newShare(quarterHits[q], quarterOf[q])
		}
		row.Precision = newShare(hits, hits+row.FalseTwins+row.FalseOrdinary)
		row.OnWire = newShare(hits, hits+row.FalseTwins-falseOff+row.FalseOrdinary)
		slices.Sort(delays)
		if n := len(delays); n > 0 {
			row.DetectHalf, row.DetectNine = delays[(n-1)/2], delays[(n-1)*9/10]
		}
		if t.MemberDays > 0 {
			row.AlertsPerThousand = int(row.Alerts * 10_000 / int64(t.MemberDays))
		}
		var texts []string
		for text := range reasons[i] {
			texts = append(texts, text)
		}
		sort.Strings(texts)
		sort.SliceStable(texts, func(a, b int) bool { return reasons[i][texts[a]] > reasons[i][texts[b]] })
		for _, text := range texts {
			row.NotEvaluable = append(row.NotEvaluable, alert.Reason{Text: text, Count: reasons[i][text]})
		}
		row.Status = "measured"
		switch {
		case row.Reached == 0:
			row.Status, row.Why = "unproven", "no event of its kinds occurs"
		case row.Evaluable == 0:
			row.Status, row.Why = "unproven", "its fields never occur"
			if len(row.NotEvaluable) > 0 {
				row.Why = row.NotEvaluable[0].Text + " anywhere"
			}
		case of == 0:
			row.Status, row.Why = "unproven", "no story of its topic is in reach"
		case row.Matched == 0:
			row.Status, row.Why = "unproven", fmt.Sprintf("nothing in %d records it could evaluate holds what it looks for; 0 of %d stories of its topic", row.Evaluable, of)
		case row.Alerts == 0:
			row.Status, row.Why = "unproven", fmt.Sprintf("no alert in %d member-days: no story or twin reaches its threshold or window; 0 of %d stories of its topic", t.MemberDays, of)
		}
	}
	t.Rules = rows
	for n := 1; n <= 24; n++ {
		topic := TopicRow{Number: fmt.Sprint("T", n), Rules: []string{}}
		for i := range rows {
			if rows[i].Number == topic.Number {
				topic.Rules = append(topic.Rules, rows[i].Rule)
			}
		}
		hits, of := 0, 0
		for w, p := range worlds {
			for l := range p.truth {
				lab := &p.truth[l]
				if lab.Kind == "twin" || lab.Observable == "none" || !slices.Contains(lab.Topics, topic.Number) {
					continue
				}
				of++
				if slices.ContainsFunc(topic.Rules, func(r string) bool { _, ok := caught[r][key{w, l}]; return ok }) {
					hits++
				}
			}
		}
		topic.Recall = newShare(hits, of)
		t.Topics = append(t.Topics, topic)
	}
	t.OutOfReach = unseen(append(simulate.Tales(), o.Stories.Tales()...), worlds, luck)
	if t.Stories > 0 {
		t.MemberDaysPerStory = t.MemberDays / t.Stories
		t.TwinsPerStory = t.Twins * 10 / t.Stories
	}
	return t
}

// offWire reports a twin whose innocence a rule could not have read: nowhere, or
// in data that was not declared to it.
func offWire(l *simulate.TruthLabel) bool {
	return l.Fact == "X" || l.Fact == "C" && !slices.Contains(told, l.Story)
}

func unseen(tales []simulate.TaleInfo, worlds []*played, luck map[string]int) []Unseen {
	titles := map[string]string{}
	var order []string
	for _, t := range tales {
		if t.Of == "" {
			titles[t.ID] = t.Title
			order = append(order, t.ID)
		}
	}
	count := map[string]*Unseen{}
	for _, p := range worlds {
		for i := range p.truth {
			l := &p.truth[i]
			if l.Kind == "twin" {
				continue
			}
			u := count[l.Story]
			if u == nil {
				u = &Unseen{Story: l.Story, Title: titles[l.Story], Luck: luck[l.Story]}
				count[l.Story] = u
			}
			u.Played++
			if l.Observable == "none" {
				u.Unseen++
			}
		}
	}
	var out []Unseen
	for _, id := range order {
		if u := count[id]; u != nil && u.Unseen > 0 {
			out = append(out, *u)
		}
	}
	return out
}

// Row finds a rule's row.
func (t *Table) Row(rule string) (*Row, bool) {
	for i := range t.Rules {
		if t.Rules[i].Rule == rule {
			return &t.Rules[i], true
		}
	}
	return nil, false
}

// Write writes the table as JSON, the same bytes for the same table.
func (t *Table) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(t)
}

// String is a share for people: 0.83 (0.70 to 0.91, of 42), or none.
func (s Share) String() string {
	if s.Of == 0 {
		return "none"
	}
	return fmt.Sprintf("%s (%s to %s, of %d)", thousandths(s.Rate), thousandths(s.Low), thousandths(s.High), s.Of)
}

func thousandths(n int) string { return fmt.Sprintf("%d.%02d", (n+5)/1000, (n+5)%1000/10) }

//go:embed measured
var measured embed.FS

// Shipped is the table that was measured for rules with the digest; ok is false
// where these rules were never measured.
func Shipped(digest string) (*Table, bool) {
	data, err := measured.ReadFile("measured/shipped.json")
	if err != nil {
		return nil, false
	}
	var t Table
	if json.Unmarshal(data, &t) != nil || t.Digest != digest {
		return nil, false
	}
	return &t, true
}

// Sentence is a row in words.
func (r *Row) Sentence() string {
	if r.Status == "unproven" {
		return "unproven: " + r.Why
	}
	return fmt.Sprintf("recall %s, precision %s, in half of the cases %s after it became evident, %d.%d alerts in 1,000 member-days", r.Recall, r.Precision, span(r.DetectHalf), r.AlertsPerThousand/10, r.AlertsPerThousand%10)
}
