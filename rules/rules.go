// Package rules holds what every engine returns: findings with a severity, the
// member and moment they concern, the reason in words and the events they cite.
package rules

import (
	"fmt"
	"time"
)

// Severity grades a finding for people; the zero value is Info.
type Severity uint8

const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string               { return severityNames[s] }
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSeverity reads the names above.
func ParseSeverity(s string) (Severity, error) {
	for i, n := range severityNames {
		if n == s {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a severity (info, low, medium, high, critical)", s)
}

// EventRef names one event so that a reader can find it in the stream: its
// position in the input and the join keys that were on the wire.
type EventRef struct {
	Index   int64  `json:"index"`
	Session string `json:"session,omitempty"`
	Prompt  string `json:"prompt,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Time    string `json:"time,omitempty"`
}

// ID is the event id printed in reports: e<index>.
func (r EventRef) ID() string { return fmt.Sprintf("e%d", r.Index) }

// Finding is one thing an engine noticed. Member is an internal key (account
// id, or e-mail, or "" when unattributed); writers replace it by a pseudonym.
type Finding struct {
	ID       string     `json:"id"`
	Engine   string     `json:"engine"` // rbac, spend, alert
	Rule     string     `json:"rule"`
	Title    string     `json:"title"`
	Severity Severity   `json:"severity"`
	Member   string     `json:"member,omitempty"`
	Group    string     `json:"group,omitempty"`
	Time     time.Time  `json:"time"`
	Reason   string     `json:"reason"`
	Count    int        `json:"count,omitempty"` // events that make up the incident
	Events   []EventRef `json:"events,omitempty"`
	Facts    []string   `json:"facts,omitempty"`
	// Topic lets observers count findings by meaning rather than by rule id:
	// scope, unlisted-server, leaver, pan, sad, phi, spend, rejections, silence...
	Topic string `json:"topic,omitempty"`
}

// MaxEventRefs bounds the events kept on one finding; Count says how many there were.
const MaxEventRefs = 10
