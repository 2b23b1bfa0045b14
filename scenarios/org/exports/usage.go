package exports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// setting is what an enforced setting becomes in the draft.
type setting struct {
	name, value string
	at          source.Pos
}

// settings reads an answer of the compliance interface on the settings in force. A
// setting that is not listed is not administered here, which is not off.
func (d *Draft) settings(v *value) {
	d.enterprise = true
	v.get("type")
	v.get("organization_id")
	v.get("organization_uuid")
	v.get("has_more")
	whole(v.get("baseline"))
	read := v.str("retrieved_at")
	d.seen(read)
	if st := v.get("state"); st != nil { // whether the interface itself is on
		if st.str("type") == "enabled" {
			d.compliance = first(d.compliance, day(read))
			d.complianceOn = true
		}
		d.leftover("compliance settings", v)
		return
	}
	rows := v.list("settings")
	for _, r := range rows {
		name, x := r.str("name"), r.get("value")
		kind := r.str("type")
		if name == "" {
			name = map[string]string{"provisioning_mode": "sso_provisioning_mode", "data_retention": "data_retention_periods"}[kind]
		}
		switch {
		case name == "" || x == nil:
			d.Ignored["setting without name or value"]++
			continue
		case name == "data_retention_periods":
			all := x.get("all")
			n, err := strconv.Atoi(all.str("duration"))
			switch scale := all.str("timescale"); {
			case err != nil || all.str("type") == "indefinite" || n <= 0 || n > 36500:
				d.Ignored["setting data_retention_periods, which gives no one period in days"]++
			case scale == "day":
				d.settled = append(d.settled, setting{name, strconv.Itoa(n), r.pos()})
			case scale == "month": // the shortest it can be
				d.settled = append(d.settled, setting{name, strconv.Itoa(n * 365 / 12), r.pos()})
			}
			whole(x)
		case x.kind == 'o' || x.kind == 'a':
			whole(x)
			d.Ignored["setting "+name]++
		default:
			d.settled = append(d.settled, setting{name, x.text, r.pos()})
		}
		d.leftover("setting", r)
	}
	d.snapshots++
	d.leftover("settings", v)
}

func day(s string) string {
	if t := moment(s); !t.IsZero() {
		return t.Format("2006-01-02")
	}
	return ""
}

// settingsInto puts the settings in force into the draft: where the feed has a
// switch's history, the feed stands.
func (d *Draft) settingsInto(s *Sketch) {
	o := &s.Config.Organisation
	flag := func(to **bool, x setting) {
		if on := x.value == "true"; *to == nil && (on || x.value == "false") {
			*to = ptr(on)
		}
	}
	for _, x := range d.settled {
		switch x.name {
		case "sso_claude_ai_enforced":
			flag(&o.Settings.SSO, x)
		case "skills_enabled":
			flag(&o.Settings.Skills, x)
		case "connector_tools_default_always_allow":
			flag(&o.Settings.AlwaysAllow, x)
		case "web_search_enabled", "memory_enabled":
			if x.value == "true" || x.value == "false" {
				if o.Toggles == nil {
					o.Toggles = map[string]bool{}
				}
				o.Toggles[strings.TrimSuffix(x.name, "_enabled")] = x.value == "true"
			}
		case "sso_provisioning_mode":
			if directoryOf(x.value) == "" {
				d.Warnings = append(d.Warnings, fmt.Sprintf("%s: the provisioning mode %q is not known; how members come in stays a question", x.at, x.value))
				continue
			}
			d.mode = first(d.mode, x.value)
		case "data_retention_periods":
			o.Retention, _ = strconv.Atoi(x.value)
		case "hipaa_compliance_enabled", "cmek_enabled":
			name := map[string]string{"hipaa_compliance_enabled": "hipaa_ready", "cmek_enabled": "cmek"}[x.name]
			if x.value == "true" && !slices.Contains(o.Arrangements, name) {
				o.Arrangements = append(o.Arrangements, name)
			} else if x.value == "false" {
				d.ruledOut = append(d.ruledOut, name)
			}
		default:
			d.Ignored["setting "+x.name]++
		}
	}
	if dir := directoryOf(d.mode); dir != "" {
		o.Directory = dir
	}
}

// ---- analytics

// analytics reads a row of an analytics endpoint by what it holds; "" when it is
// none.
func (d *Draft) analytics(v *value) string {
	kind := ""
	switch {
	case v.has("type") || v.has("created_at"): // a record of configuration or of the feed
		return ""
	case v.has("results") && v.has("starting_at"):
		kind = "analytics bucket"
		for _, r := range v.list("results") {
			product := first(r.str("product"), "product not stated")
			if m := r.str("model"); m != "" {
				d.models[m]++
			}
			if c, err := strconv.ParseFloat(r.str("amount"), 64); err == nil && c >= 0 && c < 1e12 {
				d.costs[product] += min(int64(c*10_000+0.5), math.MaxInt64-d.costs[product])
			}
			whole(r)
		}
	case v.has("cowork_metrics") && v.has("user"):
		kind = "analytics member"
		u := v.get("user")
		d.active(u.str("id"), u.str("email_address", "email"), v.str("last_activity_date"), v)
	case v.has("cowork_metrics") && v.has("rbac_group_id"):
		kind = "analytics group"
	case v.has("connector_name"):
		kind = "analytics connector"
		if n := v.str("connector_name"); n != "" && n != "third-party" {
			reads, _ := strconv.ParseInt(v.str("read_call_count"), 10, 64)
			writes, _ := strconv.ParseInt(v.str("write_call_count"), 10, 64)
			d.used[n] += reads + writes
		}
	case v.has("plugin_name"):
		kind = "analytics plugin"
		d.plugins[v.str("plugin_name")] = true
	case v.has("skill_name"):
		kind = "analytics skill"
		if st := v.str("share_status"); st == "organization" || st == "" {
			d.skills[v.str("skill_name")] = true
		} else {
			d.unplaced["skills in analytics that members keep to themselves or share among themselves"]++
		}
	case v.has("assigned_seat_count"):
		kind = "analytics day"
		at := first(v.str("starting_at"), v.str("starting_date"))
		if n, err := strconv.Atoi(v.str("assigned_seat_count")); err == nil && n > 0 && at >= d.seatsOn {
			d.seatsSeen, d.seatsOn = n, at
		}
		d.seen(v.str("ending_at"))
	case v.has("artifact_count") || v.has("project_name"):
		kind = "analytics other"
	default:
		return ""
	}
	whole(v)
	d.enterprise = true
	d.figures[kind]++
	return kind
}

// active is a member seen by analytics or on a bill.
func (d *Draft) active(id, email, last string, v *value) *user {
	email = strings.ToLower(email)
	u := d.userBy[id]
	if u == nil {
		u = d.userBy[email]
	}
	if u == nil && id+email != "" {
		u = &user{at: v.pos(), seenOnly: true}
		d.users = append(d.users, u)
	}
	if u == nil {
		return nil
	}
	if strings.HasPrefix(id, "user_") {
		u.id = first(u.id, id)
	}
	u.email = first(u.email, email)
	if last > u.lastUse {
		u.lastUse = last
	}
	d.index(u)
	return u
}

// usageInto puts connectors, plugins, skills and figures into the draft.
func (d *Draft) usageInto(s *Sketch) {
	c := &s.Config
	named := slices.ContainsFunc(c.Connectors, func(x org.Connector) bool { return strings.HasPrefix(x.Name.Value, "mcpsrv_") })
	for _, n := range sorted(d.used) {
		if named {
			s.Notes = append(s.Notes, fmt.Sprintf("analytics show connector %s in use (%d calls); which of the ids above it is stays a question", n, d.used[n]))
			continue
		}
		d.connector(c, n) // in use, hence enabled
	}
	for _, n := range sorted(d.plugins) {
		if n != "" && n != "third-party" {
			d.plugin(c, n)
		}
	}
	for _, n := range sorted(d.skills) {
		if n != "" && !slices.ContainsFunc(c.Skills, func(x org.Skill) bool { return x.Name.Value == n }) {
			c.Skills = append(c.Skills, org.Skill{Name: text(n)})
		}
	}
	for _, p := range sorted(d.costs) {
		s.Notes = append(s.Notes, fmt.Sprintf("cost of %s in the exports: %.2f dollars", p, float64(d.costs[p])/1e6))
	}
	if len(d.models) > 0 {
		s.Notes = append(s.Notes, "models in the exports: "+strings.Join(sorted(d.models), ", "))
	}
	var counted []string
	for _, k := range sorted(d.figures) {
		counted = append(counted, fmt.Sprintf("%d %s rows", d.figures[k], strings.TrimPrefix(k, "analytics ")))
	}
	if counted != nil {
		s.Notes = append(s.Notes, "analytics, of which only who and what was in use is taken over: "+strings.Join(counted, ", "))
	}
	if d.bill.rows > 0 {
		who := make([]string, 0, len(d.bill.cowork))
		for k := range d.bill.cowork {
			who = append(who, k)
		}
		slices.SortFunc(who, func(a, b string) int {
			return cmp.Or(cmp.Compare(d.bill.cowork[b], d.bill.cowork[a]), cmp.Compare(a, b))
		})
		total, most := int64(0), int64(0)
		for i, k := range who {
			total += d.bill.cowork[k]
			if i == 0 {
				most = d.bill.cowork[k]
			}
		}
		s.Notes = append(s.Notes, fmt.Sprintf("spend report: %d rows; Cowork %.2f dollars gross by %d members, the highest %.2f", d.bill.rows, float64(total)/1e6, len(who), float64(most)/1e6))
	}
}

func (d *Draft) connector(c *org.Config, name string) int {
	for i, x := range c.Connectors {
		if x.Name.Value == name {
			return i
		}
	}
	c.Connectors = append(c.Connectors, org.Connector{Name: text(name), Enabled: true})
	return len(c.Connectors) - 1
}

func (d *Draft) plugin(c *org.Config, name string) {
	if !slices.ContainsFunc(c.Plugins, func(x org.Plugin) bool { return x.Name.Value == name }) {
		c.Plugins = append(c.Plugins, org.Plugin{Name: text(name)})
	}
}

// cents reads an amount in whole cents.
func cents(s string) (source.Money, bool) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n > 1e12 {
		return source.Money{}, false
	}
	return source.Money{Micros: int64(n*10_000 + 0.5), Given: true}, true
}

// bill is the spend report, gross dollars of Cowork by member.
type bill struct {
	rows   int
	cowork map[string]int64
}
