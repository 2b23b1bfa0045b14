package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules/rbac"
)

// compared is a comparison with something of everything, and hostile names.
func compared(name string) *Comparison {
	c := &Comparison{
		A: Side{Scenario: "a", Title: name, AsOf: "2026-04-09", Evidence: "simulated", Posture: assess.NotSupportable},
		B: Side{Scenario: "b", Title: name, AsOf: "2026-08-22", Evidence: "simulated", Posture: assess.WithConditions},
		Changes: []Setting{{Key: "as_of", A: "2026-04-09", B: "2026-08-22"}, {Key: "organisation.plan", A: "team", B: name},
			{Key: "roles", B: "[" + name + "]", NotAlone: "No: it needs the others"}},
		Access: &rbac.WhatIfResult{Attempts: 10, Unchanged: 7, Changes: []rbac.UseChange{{Question: rbac.Question{Kind: "connector", Name: name}, From: "allow", To: "deny", Uses: 3, Users: 1, Reason: name}}},
		Alerts: []AlertDelta{{Rule: "r", Title: name, A: 1, B: 4}, {Rule: "s", Title: "Other", A: 2, B: 0}},
	}
	for i := range 12 {
		c.Spend.Stopped = append(c.Spend.Stopped, StoppedDelta{Member: fmt.Sprint("member-", i), B: "2026-05-01 09:00"})
		c.Evidence = append(c.Evidence, ValueDelta{Name: fmt.Sprint("count_", i), Words: "records", A: "1", B: "2"})
		c.Facts = append(c.Facts, ValueDelta{Name: fmt.Sprint("fact-", i), A: "no", B: name})
		c.Verdicts = append(c.Verdicts, VerdictDelta{ID: fmt.Sprint("o", i), Title: name, From: assess.GapNoConfiguration, To: assess.GapYouCanClose, Because: []string{"plan_words", "fact-3"}})
	}
	c.Evidence = append(c.Evidence, ValueDelta{Name: "plan_words", Words: name, A: "x", B: "y"})
	c.Postures = []ValueDelta{{Name: "HIPAA", A: "Not ready", B: "In scope"}}
	c.Gaps = []ValueDelta{{Name: name, A: "Open", B: "Partial"}}
	return c
}

// A difference is laid to the one change that alone brings it about, and to none
// where it takes several.
func TestAttribute(t *testing.T) {
	c := compared("Ours")
	c.Attribute([]*Comparison{
		{Alerts: []AlertDelta{{Rule: "r", A: 1, B: 4}}, Verdicts: []VerdictDelta{{ID: "o1", From: assess.GapNoConfiguration, To: assess.GapYouCanClose}}, Gaps: []ValueDelta{{Name: "Ours", A: "Open", B: "Closed"}}},
		{Verdicts: []VerdictDelta{{ID: "o1", From: assess.GapNoConfiguration, To: assess.GapYouCanClose}}, Spend: SpendDelta{Stopped: []StoppedDelta{{Member: "member-2", B: "2026-05-01 09:00"}}}},
		nil,
	})
	for what, x := range map[string][2]string{
		"alert by the first":      {c.Alerts[0].Cause, "as_of: 2026-04-09, now 2026-08-22"},
		"alert by none":           {c.Alerts[1].Cause, ""},
		"member by the second":    {c.Spend.Stopped[2].Cause, "organisation.plan: team, now Ours"},
		"verdict by either":       {c.Verdicts[1].Cause, "each of: as_of: 2026-04-09, now 2026-08-22; organisation.plan: team, now Ours"},
		"gap that moved further":  {c.Gaps[0].Cause, ""},
		"printed, by the first":   {c.causeOf(c.Alerts[0].Cause), "change 1"},
		"printed, by either":      {c.causeOf(c.Verdicts[1].Cause), "each of the changes 1, 2 alone"},
		"printed, by none":        {c.causeOf(c.Alerts[1].Cause), noSingle},
		"printed, nothing to say": {(&Comparison{Changes: []Setting{{Key: "x"}}}).causeOf("x"), ""},
	} {
		if x[0] != x[1] {
			t.Errorf("%s: %q, want %q", what, x[0], x[1])
		}
	}
	one := compared("Ours")
	one.Changes = one.Changes[:1]
	one.Attribute([]*Comparison{nil})
	if one.Alerts[1].Cause == "" || one.Gaps[0].Cause == "" {
		t.Error("one change explains everything")
	}
}

// The page says how many there are of each, shows the first, and the annex has all.
func TestComparisonIsAPageAndAnAnnex(t *testing.T) {
	c := compared("Ours")
	d := c.Document()
	if !d.Sections[0].OnePage || !d.Sections[1].NewPage {
		t.Fatal("the first section is one page, and the annex starts another")
	}
	page := flat((&Document{Sections: d.Sections[:1]}).Text())
	for _, want := range []string{"The answer moves from not supportable to supportable with conditions.", "3 of 10 uses that happened would be decided otherwise", "12 members stopped otherwise (3 shown, the rest in the annex)",
		"Alerts: 3 gained, 2 lost, by 2 rules", "13 values and 12 facts differ", "1 framework and 12 obligations move (3 shown, the rest in the annex)"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	annex := (&Document{Sections: d.Sections[1:]}).Text()
	for i := range 12 {
		for _, want := range []string{fmt.Sprint("member-", i), fmt.Sprint("fact-", i)} {
			if !strings.Contains(annex, want) {
				t.Errorf("the annex lacks %q", want)
			}
		}
	}
	log := ChangeLog("Log", "Ours", []*Comparison{c, c})
	if len(log.Sections) != 2 || !log.Sections[1].OnePage || !log.Meta.Simulated {
		t.Errorf("a change log has a page for each gate: %+v", log.Meta)
	}
}
