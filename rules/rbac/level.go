package rbac

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Levels of plugins and skills, most permissive first.
var availability = []string{"required", "installed", "available", "not_available"}

// Plugin decides a plugin's availability by 1.6: the most permissive override of
// the member's groups (or grant of their custom roles), else the organisation's
// level (rows 24 and 25). Decision.Level is the level; required, installed and
// available are Allow. Without any level the marketplace's default decides, which
// nobody stated: Indeterminate. It is not a security boundary.
func (e *Engine) Plugin(member int, plugin string, t time.Time) Decision {
	return e.available(member, plugin, pluginKind, t)
}

// Skill decides an organisation skill in the same way as Plugin. The sources
// describe group preferences for plugins only; that skills resolve alike is
// inferred. Skills that members write for themselves are not listed and give
// Indeterminate.
func (e *Engine) Skill(member int, skill string, t time.Time) Decision {
	return e.available(member, skill, skillKind, t)
}

// itemKind is what plugins and skills differ in.
type itemKind struct {
	word  string
	group func(g *org.Group, name string) string
	role  func(g *org.Grant) string
	list  func(c *org.Config, name string) (level string, listed bool)
}

var pluginKind = itemKind{"plugin",
	func(g *org.Group, name string) string {
		for _, p := range g.Plugins {
			if p.Plugin.Value == name {
				return p.Level
			}
		}
		return ""
	},
	func(g *org.Grant) string { return g.Plugin.Value },
	func(c *org.Config, name string) (string, bool) {
		for _, p := range c.Plugins {
			if p.Name.Value == name {
				return p.Level, true
			}
		}
		return "", false
	}}

var skillKind = itemKind{"skill",
	func(g *org.Group, name string) string {
		for _, p := range g.Skills {
			if p.Skill.Value == name {
				return p.Level
			}
		}
		return ""
	},
	func(g *org.Grant) string { return g.Skill.Value },
	func(c *org.Config, name string) (string, bool) {
		for _, p := range c.Skills {
			if p.Name.Value == name {
				return p.Level, true
			}
		}
		return "", false
	}}

func (e *Engine) available(member int, name string, k itemKind, t time.Time) Decision {
	if left := e.personal(member, "", t); len(left) > 0 {
		return Decision{Outcome: Deny, Reasons: left}
	}
	return e.settle(member, t, func(s *state) Decision { return s.mapped(e.availablePolicy(s, name, k)) })
}

func (e *Engine) availablePolicy(s *state, name string, k itemKind) Decision {
	ep := s.ep
	deny := func(level, by, format string, args ...any) Decision {
		return Decision{Outcome: Deny, Reasons: []Reason{{Level: level, By: by, Text: fmt.Sprintf(format, args...)}}}
	}
	if on, _, why := ep.toggle(Cowork); on == Off || ep.rules.Inputs.Platform[Cowork] == Off {
		return deny("dependency", Cowork, "%ss ride on the Cowork toggle, which is off (%s)", k.word, why)
	}
	if sk := ep.cfg.Organisation.Settings.Skills; sk != nil && !*sk {
		return deny("dependency", "skills", "%ss need skills to be on for the organisation, and they are off", k.word)
	}
	level, by, from, wider := -1, "", "", ""
	take := func(l, who, where string) {
		if i := slices.Index(availability, l); i >= 0 && (level < 0 || i < level) {
			level, by, from = i, who, where
		}
	}
	if ep.enterprise() {
		for _, gi := range s.groups {
			if g := &ep.cfg.Groups[gi]; k.group(g, name) != "" {
				take(k.group(g, name), g.Name.Value, "group")
			}
		}
		for _, h := range s.roles {
			for i := range h.role.Grants {
				switch row := k.role(&h.role.Grants[i]) == name; {
				case row && s.orgRole == "custom":
					take("available", h.role.Name.Value, "role")
				case row && s.orgRole == notStated:
					wider = h.role.Name.Value
				}
			}
		}
		if level >= 0 && ep.rules.PluginGroups == Unknown {
			return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: from, By: by, Text: fmt.Sprintf("whether groups override %s levels at this date is not known", k.word)}}}
		}
		if ep.rules.PluginGroups == Off {
			level = -1
		}
	}
	stated, listed := k.list(ep.cfg, name)
	if level < 0 {
		take(stated, "organisation preference", "org")
	}
	if wider != "" && (level < 0 || level > slices.Index(availability, "available")) {
		return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: "role", By: wider, Text: fmt.Sprintf("the organisation role of the member is not stated, and on Custom role %q makes it available", wider)}}}
	}
	if level < 0 {
		text := fmt.Sprintf("no level is stated for %s %q; its marketplace decides", k.word, name)
		switch {
		case !listed:
			text = fmt.Sprintf("%q is not a %s this configuration lists", name, k.word)
		case k.word == "skill":
			text = fmt.Sprintf("no level is stated for skill %q, neither for the organisation nor for a group of the member", name)
		}
		return Decision{Outcome: Indeterminate, Reasons: []Reason{{Level: "org", Text: text}}}
	}
	d := Decision{Outcome: Allow, Level: availability[level], Reasons: []Reason{{Level: from, By: by, Text: levelWords(availability[level], from, by)}}}
	if d.Level == "not_available" {
		d.Outcome = Deny
	}
	return d
}

func levelWords(level, from, by string) string {
	words := map[string]string{"required": "required, the member cannot remove it", "installed": "installed by default",
		"available": "available to install", "not_available": "not available"}[level]
	switch from {
	case "group":
		return fmt.Sprintf("%s, by the setting of group %q; of several groups the most permissive counts", words, by)
	case "role":
		return fmt.Sprintf("%s, by a row of role %q", words, by)
	}
	return words + ", by the organisation's setting"
}

var efforts = []string{"", "low", "medium", "high", "xhigh", "max"}

// Model decides whether a member may use a model, at an effort if one is given,
// by 1.7: the organisation's list and cap bind everybody, owners too; for members
// on custom roles models are the union over their roles and the effort is the
// highest of their roles; Haiku is always allowed. What nobody stated is
// Indeterminate.
func (e *Engine) Model(member int, model, effort string, t time.Time) Decision {
	if left := e.personal(member, "", t); len(left) > 0 {
		return Decision{Outcome: Deny, Reasons: left}
	}
	return e.settle(member, t, func(s *state) Decision { return s.mapped(modelPolicy(s, model, effort)) })
}

func modelPolicy(s *state, model, effort string) Decision {
	var v verdict
	o := &s.ep.cfg.Organisation
	over := func(limit string) bool {
		return limit != "" && effort != "" && slices.Index(efforts, effort) > slices.Index(efforts, limit)
	}
	haiku := strings.Contains(strings.ToLower(model), "haiku")
	switch {
	case haiku:
		v.add(&v.allow, "org", "", "Haiku models are always allowed")
	case o.Models == nil:
		v.add(&v.unknown, "org", "", "which models the organisation enables is not stated")
	case !hasModel(o.Models.Enabled, model):
		v.add(&v.deny, "org", "organisation models", "%s is not among the models the organisation enables, which binds owners too", model)
	default:
		v.add(&v.allow, "org", "organisation models", "the organisation enables %s", model)
	}
	if o.Models != nil && over(o.Models.Effort) {
		v.add(&v.deny, "org", "organisation models", "effort %s is above the organisation's cap %s", effort, o.Models.Effort)
	}
	if s.ep.enterprise() && (s.orgRole == "custom" || s.orgRole == notStated) {
		stated, best := false, ""
		for _, h := range s.roles {
			if h.role.Models != nil {
				stated = true
				if hasModel(h.role.Models, model) {
					v.granting = append(v.granting, h.role.Name.Value)
				}
			}
			if slices.Index(efforts, h.role.Effort) > slices.Index(efforts, best) {
				best = h.role.Effort
			}
		}
		switch {
		case haiku:
		case len(v.granting) > 0:
			v.add(&v.allow, "role", strings.Join(v.granting, ", "), "granted by role %s", strings.Join(v.granting, ", "))
		case s.orgRole == notStated:
			v.add(&v.unknown, "role", "", "the organisation role of the member is not stated, and on Custom no role of the member grants %s", model)
		case !stated || len(s.unknown) > 0:
			v.add(&v.unknown, "role", "", "no role of the member states its models")
		default:
			v.add(&v.deny, "role", roleNames(s.roles), "no role of the member grants %s", model)
		}
		if over(best) && s.orgRole == notStated {
			v.add(&v.unknown, "role", roleNames(s.roles), "the organisation role of the member is not stated, and on Custom effort %s is above the highest cap of the member's roles, %s", effort, best)
		} else if over(best) {
			v.add(&v.deny, "role", roleNames(s.roles), "effort %s is above the highest cap of the member's roles, %s", effort, best)
		}
	}
	return v.decision()
}

// hasModel compares a model id with a list that may leave the date off.
func hasModel(list []string, model string) bool {
	return slices.ContainsFunc(list, func(m string) bool { return m == model || strings.HasPrefix(model, m+"-20") })
}
