package rehearsal

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/assess/coverage"
	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/rbac"
	"github.com/sandtable-dev/sandtable/rules/spend"
	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Origins of values, in the words of the report.
const (
	declared = "declared by you"
	assumed  = "assumed"
	computed = "computed"
	inStream = "measured in the stream"
)

// values collects the inputs of the assessment and the lines that explain them.
type values struct {
	vars        assess.Vars
	scope       []assess.ScopeLine
	assumptions []string
	findings    map[string][]string
}

func (v *values) set(name string, x assess.Value, origin string) { v.vars[name] = x.From(origin) }

func (v *values) flag(name string, b *bool) {
	if b != nil {
		v.set(name, assess.Bool(*b), declared)
	}
}

func (v *values) line(item, value, origin string) {
	v.scope = append(v.scope, assess.ScopeLine{Item: item, Value: value, Origin: origin})
}

func (v *values) assume(format string, args ...any) {
	v.assumptions = append(v.assumptions, fmt.Sprintf(format, args...))
}

// variables turns the run into what verdicts rest on. A value nobody stated and
// nothing measured stays unknown.
func (r *run) variables() *values {
	v := &values{vars: assess.Vars{}, findings: map[string][]string{}}
	if now := r.s.Config.At(r.end); now != &r.s.Config {
		// Verdicts are about the organisation as it stands when the period ends,
		// after every dated change of plan, settings or roles.
		then, s := *r, *r.s
		s.Config = *now
		then.s, r = &s, &then
		v.assume("The configuration is judged as it stands on %s, after the dated changes of the scenario.", r.s.Period.To)
	}
	r.scopeValues(v)
	r.settingValues(v)
	r.roleValues(v)
	r.telemetrySettings(v)
	r.streamValues(v)
	r.rolloutValues(v)
	return v
}

func (r *run) scopeValues(v *values) {
	o, sc := &r.s.Organisation, &r.s.Scope
	kind := "simulated"
	if r.observed {
		kind = "observed"
	}
	v.set("plan", assess.Text(o.Plan.Value), declared)
	v.set("as_of", assess.Text(r.s.AsOf.String()), declared)
	v.set("period_days", assess.Int(int64(r.s.Period.Days())), declared)
	v.set("evidence_kind", assess.Text(kind), computed)
	v.set("use_start", assess.Text(r.s.Period.From.String()), declared)
	if o.Kind != nil {
		v.set("org_kind", assess.Set(o.Kind...), declared)
	}
	v.set("arrangements", assess.Set(o.Arrangements...), declared)
	modes, origin := o.Modes, declared
	if len(modes) == 0 {
		modes, origin = r.defaultModes(), "default of the plan at the date"
		v.assume("Execution modes were not stated; the default of the plan on %s is used: %s.", r.s.AsOf, strings.Join(modes, ", "))
	}
	v.set("exec_modes", assess.Set(modes...), origin)

	classes := map[string]bool{}
	reliance := ""
	for _, w := range r.s.Workloads {
		for _, d := range w.Data {
			classes[d] = true
			if d == "icfr" && relianceRank(w.Reliance) > relianceRank(reliance) {
				reliance = or(w.Reliance, "relied")
			}
		}
	}
	for _, c := range r.model.DataClasses() {
		if len(c.Hits)+len(c.Likely.Kinds) == 0 {
			continue // nothing but a statement speaks for it
		}
		text, from := "no", declared
		switch {
		case classes[c.Id]:
			text = "yes"
		case r.likely(c):
			classes[c.Id], text, from = true, "yes", "assumed: the role of a group with Cowork makes it likely"
			v.assume("%s was not declared, but a group that may use Cowork works with it by its role: it counts as present until you say otherwise under workloads.", c.Title)
		case len(r.s.Workloads) == 0:
			from = assumed
			v.assume("No workload is declared, so %s is taken as absent.", strings.ToLower(c.Title[:1])+c.Title[1:])
		}
		hits := map[string]int64{"phi": r.coverage.PHIHits, "chd": r.coverage.PANHits}[c.Id]
		if hits > 0 && !classes[c.Id] {
			if r.observed { // detected outranks declared absence
				classes[c.Id], text, from = true, "yes", "detected in the stream"
				v.assume("%s was not declared, but the stream holds it (%d hits): it counts as present.", c.Title, hits)
			} else {
				text = fmt.Sprintf("no; the rehearsal's own incidents put it into %d texts, and in operation one such text would bring it into scope", hits)
			}
		}
		v.set(c.Variable.Value, assess.Bool(classes[c.Id]), from)
		v.line(c.Title, text, from)
	}
	v.set("regulated_data", assess.Bool(classes["phi"] || classes["icfr"] || classes["chd"]), declared)
	if reliance != "" {
		v.set("icfr_reliance", assess.Text(reliance), declared)
		v.line("A key control relies on the work", map[string]string{"none": "no", "relied": "yes, with independent human review", "sole": "yes, with nothing beside it"}[reliance], declared)
	} else {
		v.set("icfr_reliance", assess.Text("relied"), assumed)
	}
	vendor := slices.Contains(o.Kind, "service_organisation")
	optional := func(name, words string, b *bool, otherwise bool) {
		x, from := otherwise, assumed
		if b != nil {
			x, from = *b, declared
		}
		v.set(name, assess.Bool(x), from)
		v.line(words, yesNo(x), from)
	}
	optional("cde_connected", "A seat or connector reaches a system with card data", sc.CDEConnected, false)
	optional("trail_promised", "An audit trail is promised to customers", sc.TrailPromised, vendor)
	optional("location_promised", "A region or central deletion is promised", sc.LocationPromised, false)
	confidential := sc.Confidential
	if confidential == nil && classes["confidential"] {
		yes := true
		confidential = &yes
	}
	optional("confidential_present", "Customer data under confidentiality terms", confidential, vendor)
	v.set("committed_days", assess.Int(int64(sc.CommittedDays)), declared)
	v.set("soc2_categories", assess.Set(sc.SOC2Categories...), declared)
	v.set("phi_in_uncovered_path", assess.Bool(r.uncoveredPath(classes["phi"])), computed)
}

// likely reports that the role of members who may use Cowork makes a class of
// data likely although no workload was declared at all: claims handling at a
// covered entity, finance at an issuer.
func (r *run) likely(c assess.DataClass) bool {
	if len(r.s.Workloads) > 0 {
		return false
	}
	if !slices.ContainsFunc(c.Likely.Kinds, func(k string) bool { return slices.Contains(r.s.Organisation.Kind, k) }) {
		return false
	}
	for i := range r.dir.Len() {
		if r.enabled[i] && slices.Contains(c.Likely.Personas, r.dir.Persona(i)) {
			return true
		}
	}
	return false
}

func relianceRank(s string) int { return slices.Index([]string{"none", "relied", "sole"}, s) }

// defaultModes is what the plan runs when nobody said otherwise: on the member's
// machine, and in the cloud where that is on (fact cowork-cloud-sessions).
func (r *run) defaultModes() []string {
	modes := []string{"local"}
	value, known := r.fact("cowork-cloud-sessions", "")
	if !known || value == "no" {
		return modes
	}
	on := org.On(r.s.Organisation.Settings.Cloud)
	if r.s.Organisation.Settings.Cloud == nil {
		d, _ := r.fact("cowork-cloud-sessions", r.s.Organisation.Plan.Value+"_default_on")
		on = d == "true"
	}
	if on {
		modes = append(modes, "cloud")
	}
	return modes
}

// uncoveredPath reports that a group with health data may use a component the
// vendor's agreement leaves out: a connector, plugin or skill (fact
// hipaa-config-uncovered).
func (r *run) uncoveredPath(phi bool) bool {
	if !phi {
		return false
	}
	enabled := map[string]bool{}
	for _, c := range r.s.Connectors {
		enabled[rbac.ConnectorKey(c.Name.Value)] = c.Enabled
	}
	any := func(on map[string]bool) bool {
		for _, e := range on {
			if e {
				return true
			}
		}
		return false
	}
	for _, w := range r.s.Workloads {
		if !slices.Contains(w.Data, "phi") {
			continue
		}
		if len(w.Groups) == 0 && (any(enabled) || len(r.s.Plugins) > 0 || len(r.s.Skills) > 0) {
			return true // everybody, hence everything that is on
		}
		for _, name := range w.Groups {
			for _, g := range r.s.Groups {
				if g.Name.Value != name.Value {
					continue
				}
				for _, role := range r.s.Config.Roles {
					if !slices.ContainsFunc(g.Roles, func(t sourceText) bool { return t.Value == role.Name.Value }) {
						continue
					}
					for _, x := range role.Grants {
						switch {
						case x.Plugin.Value != "" || x.Skill.Value != "",
							x.Connector.Value == "all" && any(enabled),
							x.Connector.Value != "" && enabled[rbac.ConnectorKey(x.Connector.Value)]:
							return true
						}
					}
				}
				for _, p := range g.Plugins {
					if p.Level != "not_available" {
						return true
					}
				}
			}
		}
	}
	return false
}

func (r *run) settingValues(v *values) {
	o, st := &r.s.Organisation, &r.s.Organisation.Settings
	v.flag("sso_enforced", st.SSO)
	v.flag("mfa_enforced", st.MFA)
	v.flag("signin_alerts_on", st.SigninAlerts)
	v.flag("connector_allowlist_on", st.ConnectorAllow)
	v.flag("plugins_bounded", st.PluginsBounded)
	v.flag("tenant_restriction_on", st.TenantRestriction)
	v.flag("settings_baseline_on", st.SettingsBaseline)
	v.flag("hipaa_config_proven", st.HIPAAConfigProven)
	v.flag("toggle_on", st.Cowork)
	if hook, _ := r.fact("inference-hooks-cowork", ""); hook == "" || hook == "no" {
		v.set("inference_hook_on", assess.Bool(false), "does not exist on this plan at the date")
	} else {
		v.set("inference_hook_on", assess.Bool(org.On(st.InferenceHook)), declared)
	}
	if o.Directory != "" {
		v.set("provisioning", assess.Text(o.Directory), declared)
	}
	switch {
	case org.On(st.AutoApprove) || org.On(st.AlwaysAllow):
		v.set("auto_approve_off", assess.Bool(false), declared)
	case st.AutoApprove != nil && st.AlwaysAllow != nil:
		v.set("auto_approve_off", assess.Bool(true), declared)
	}
	browser, known := r.fact("cowork-built-in-browser", "")
	switch {
	case st.Browser != nil:
		v.set("browser_off", assess.Bool(!*st.Browser), declared)
	case known && browser == "no":
		v.set("browser_off", assess.Bool(true), "absent at the date")
	case known:
		v.set("browser_off", assess.Bool(false), "not stated, and on by default at the date")
	}
	if st.ComplianceAPI.Given() {
		v.set("capi_on_since", assess.Text(st.ComplianceAPI.String()), declared)
	}
	if o.Retention > 0 {
		v.set("own_retention_days", assess.Int(int64(o.Retention)), declared)
	}
	v.set("own_export_days", assess.Int(int64(st.ExportEveryDays)), declared)
	v.set("own_store_days", assess.Int(int64(st.ExportKeepDays)), declared)
	if st.PersonalSeats != nil {
		v.set("personal_seats", assess.Int(int64(*st.PersonalSeats)), declared)
	}
	if floor, ok := r.floor(); ok && len(o.Desktops) > 0 {
		v.set("desktop_floor_ratio", assess.Number(shareFrom(o.Desktops, floor)), declared)
	}
	if level, ok := connectorLimit(r.s); ok {
		v.set("connector_limit_level", assess.Text(level), computed)
	}
	zoom := false
	for _, c := range r.s.Connectors {
		zoom = zoom || c.Enabled && strings.Contains(strings.ToLower(c.Name.Value+" "+c.Vendor), "zoom")
	}
	if r.s.Connectors != nil {
		v.set("zoom_enabled", assess.Bool(zoom), declared)
	}
}

// shareFrom is the share of devices at or above a version, cut to ten-thousandths
// but for what adding fractions leaves.
func shareFrom(desktops map[string]float64, floor string) float64 {
	names := make([]string, 0, len(desktops))
	for n := range desktops {
		names = append(names, n)
	}
	sort.Strings(names)
	sum, ok := 0.0, 0.0
	for _, n := range names {
		sum += desktops[n]
		if !olderVersion(n, floor) {
			ok += desktops[n]
		}
	}
	if sum == 0 {
		return 0
	}
	return math.Floor(ok/sum*10000+1e-6) / 10000
}

func olderVersion(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range bs {
		x, y := 0, 0
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		y, _ = strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return false
}

// connectorLimit is where tools that write are held to asking or blocked: for
// the whole organisation, by role, or nowhere. ok is false when the scenario
// does not list its connectors.
func connectorLimit(s *scenarios.Scenario) (level string, ok bool) {
	if s.Connectors == nil {
		return "", false
	}
	open := false // an enabled connector that writes and that the organisation leaves open
	for _, c := range s.Connectors {
		writes := len(c.Tools) == 0
		for _, t := range c.Tools {
			writes = writes || t.Write || !t.ReadOnly
		}
		open = open || c.Enabled && writes && c.Policy != "ask" && c.Policy != "blocked"
	}
	if !open {
		return "organisation", true
	}
	if s.Organisation.Plan.Value != "enterprise" || len(s.Config.Roles) == 0 {
		return "none", true
	}
	for _, r := range s.Config.Roles {
		for _, g := range r.Grants {
			if g.Connector.Value != "" && g.Level == "always" && !readOnly(s, g) {
				return "none", true
			}
		}
	}
	return "role", true
}

func readOnly(s *scenarios.Scenario, g org.Grant) bool {
	for _, c := range s.Connectors {
		if rbac.ConnectorKey(c.Name.Value) != rbac.ConnectorKey(g.Connector.Value) {
			continue
		}
		for _, t := range c.Tools {
			if (g.Tool == "" || g.Tool == t.Name) && (t.Write || !t.ReadOnly) {
				return false
			}
		}
		return len(c.Tools) > 0
	}
	return false
}

func (r *run) roleValues(v *values) {
	o := &r.s.Organisation
	if scope := r.access.EffectiveScope(r.end); scope != "" {
		v.set("cowork_scope", assess.Text(scope), "computed by the role engine")
	}
	members, with := 0, 0
	limited := true
	for i := range r.dir.Len() {
		m := r.dir.Dates(i)
		if r.end.Before(m.Joined) || !m.Left.IsZero() && !r.end.Before(m.Left) {
			continue
		}
		members++
		if !may(r.access, i, rbac.Cowork, r.end) {
			continue
		}
		with++
		if _, source, unlimited := r.ledger.Limit(i, r.end); source == spend.SourceNone || unlimited {
			limited = false
		}
	}
	v.set("members_total", assess.Int(int64(members)), computed)
	v.set("members_with_cowork", assess.Int(int64(with)), "computed by the role engine")
	v.set("limits_set", assess.Bool(limited && with > 0), "computed by the spend engine")
	v.set("roles_exist", assess.Bool(len(r.s.Config.Roles) > 0 && len(r.s.Groups) > 0), declared)
	if o.Plan.Value != "enterprise" {
		return
	}
	grants, reasoned, escalating := 0, 0, 0
	for _, role := range r.s.Config.Roles {
		blanket := role.AdminAreas["identity_access"] == "manage"
		for _, g := range role.Grants {
			grants++
			if strings.TrimSpace(g.Because) != "" {
				reasoned++
			}
			blanket = blanket || strings.HasPrefix(g.Capability.Value, "capability_access_all")
		}
		if blanket {
			escalating++
		}
	}
	if grants > 0 {
		v.set("role_reason_ratio", assess.Number(ratio(int64(reasoned), int64(grants), down)), computed)
		v.set("escalation_grants", assess.Int(int64(escalating)), computed)
	}
	if tested, failures := r.access.DenyTest(r.end); tested > 0 {
		v.set("deny_test_failures", assess.Int(int64(failures)), fmt.Sprintf("computed by the role engine over %d expected denials", tested))
	}
}

// direction is that in which a ratio gets worse.
type direction bool

const (
	down direction = false
	up   direction = true
)

// ratio is n of of to four decimals, rounded in the direction in which it is worse,
// so that no rounding reaches a threshold. What there is stays above zero.
func ratio(n, of int64, worse direction) float64 {
	if of == 0 || n == 0 {
		return 0
	}
	if worse == up {
		return float64((n*10000+of-1)/of) / 10000
	}
	return float64(max(n*10000/of, 1)) / 10000
}

func (r *run) telemetrySettings(v *values) {
	t := &r.s.Telemetry
	v.set("otel_on", assess.Bool(t.On()), declared)
	if t.On() {
		switch {
		case t.TLS != nil:
			v.flag("otel_tls", t.TLS)
		case strings.HasPrefix(t.Endpoint, "https://"):
			v.set("otel_tls", assess.Bool(true), "the endpoint's scheme")
		case strings.HasPrefix(t.Endpoint, "http://"):
			v.set("otel_tls", assess.Bool(false), "the endpoint's scheme")
		}
	}
	heard := r.coverage.Records > 0
	seen := func(c string) bool { return slices.Contains(r.coverage.Content, c) }
	switch {
	case heard:
		v.set("otel_tool_details", assess.Bool(seen("toolDetails")), inStream)
		v.set("otel_prompt_content", assess.Text(onOff(seen("userPrompts"))), inStream)
	case t.ContentStated():
		v.set("otel_tool_details", assess.Bool(t.Captures("toolDetails")), declared)
		v.set("otel_prompt_content", assess.Text(onOff(t.Captures("userPrompts"))), declared)
	}
	if t.RetentionDays > 0 {
		v.set("siem_days", assess.Int(int64(t.RetentionDays)), declared)
	}
	if t.HotDays > 0 {
		v.set("siem_hot_days", assess.Int(int64(t.HotDays)), declared)
	}
	v.flag("siem_protected", t.Protected)
	active, byTopic := 0, map[string]bool{}
	for _, rule := range r.rules {
		if r.reachable(rule) && t.On() {
			active++
			byTopic[rule.Topic.Value] = true
		}
	}
	v.set("rules_active", assess.Int(int64(active)), "computed from the packs in use")
	v.set("file_rule_on", assess.Bool(byTopic["scope"] || byTopic["unusual-file-access"]), "computed from the packs in use")
	if r.s.Rules.Owned != nil {
		owned := 0.0
		if *r.s.Rules.Owned {
			owned = 1
		}
		v.set("rules_owned_ratio", assess.Number(owned), declared)
	}
	v.flag("silence_rule_on", r.s.Rules.Silence)
}

// rostered reports that the members of the directory are those of the stream: it
// was played by them, or the scenario lists the real ones. Invented members
// cannot be looked for in a capture.
func (r *run) rostered() bool { return !r.observed || r.s.Roster.Value != "" }

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// streamValues sets what the coverage observer measured. Whether nothing at all
// was heard is a value too: it makes every other one of them unknown.
func (r *run) streamValues(v *values) {
	c := r.coverage
	v.set("cowork_records", assess.Int(c.Records), inStream)
	measured := func(name string, x coverage.Ratio, worse direction) {
		if x.Known() {
			v.set(name, assess.Number(ratio(x.N, x.Of, worse)), fmt.Sprintf("%s: %d of %d", inStream, x.N, x.Of))
		}
	}
	if r.rostered() {
		measured("seats_heard_ratio", c.SeatsHeard, down)
		measured("identity_ratio", c.Identity, down)
	} else if c.Records > 0 {
		v.assume("The scenario has no roster, so nobody in the capture can be matched: who was heard, and whether every record names one known person, is not assessed.")
	}
	measured("seq_hole_ratio", c.SequenceHoles, up)
	measured("orphan_prompt_ratio", c.OrphanPrompts, up)
	measured("path_known_ratio", c.Paths, down)
	measured("mcp_known_ratio", c.MCP, down)
	measured("auto_accept_ratio", c.AutoAccept, up)
	if c.SkewKnown {
		v.set("skew_p99_s", assess.Int(c.SkewP99Seconds), inStream)
	}
	if c.ContentEvaluable.N > 0 { // nothing readable found nothing
		// The assessor lets a detected class outrank a declared absence. What a
		// rehearsal's own incidents put into prompts is no such detection: it shows
		// in the scope, where it says what one real hit would do.
		detected := func(class string) bool { return r.observed || v.vars[class].Bool }
		if detected("chd_present") {
			v.set("pan_hits", assess.Int(c.PANHits), inStream)
			v.set("sad_hits", assess.Int(c.SADHits), inStream)
		}
		if detected("phi_present") {
			v.set("phi_hits", assess.Int(c.PHIHits), inStream)
		}
	}
	if r.rostered() {
		v.set("late_leaver_events", assess.Int(c.LateLeaverEvents), inStream)
	}
	if c.Weeks > 0 {
		v.set("silent_weeks", assess.Int(int64(c.SilentWeeks)), inStream)
	}
	topics := map[string]struct {
		name        string
		count, seen int64 // as the alert rules matched, as the role engine saw
	}{"unlisted-server": {name: "unlisted_calls_open"}, "scope": {name: "scope_hits_open"}}
	ids := map[string][]string{}
	for _, f := range r.findings {
		if t, ok := topics[f.Topic]; ok {
			if n := int64(max(f.Count, 1)); f.Engine == "rbac" {
				t.seen += n
			} else {
				t.count += n
			}
			topics[f.Topic] = t
			ids[t.name] = append(ids[t.name], f.ID)
		}
		switch f.Topic {
		case "leaver":
			ids["late_leaver_events"] = append(ids["late_leaver_events"], f.ID)
		case "pan":
			ids["pan_hits"] = append(ids["pan_hits"], f.ID)
		case "sad":
			ids["sad_hits"] = append(ids["sad_hits"], f.ID)
		}
	}
	v.findings = ids
	reports := r.alerts.Reports()
	evaluable := map[string]bool{"unlisted-server": r.s.Connectors != nil} // the role engine judges calls as well
	for i, rule := range r.rules {
		if reports[i].Evaluable > 0 {
			evaluable[rule.Topic.Value] = true
		}
	}
	for topic, t := range topics {
		// Both engines may see one call, and a rule matches its decision and its
		// result: the role engine counts it once.
		if t.seen > 0 {
			t.count = t.seen
		}
		if t.count > 0 || evaluable[topic] {
			v.set(t.name, assess.Int(t.count), inStream)
		}
	}
	for name, rule := range map[string]string{"al1": "file-outside-scope", "al2": "mcp-server-not-listed", "al3": "classified-data-in-prompt", "al4": "session-spend", "al5": "repeated-rejections"} {
		for _, p := range reports {
			if p.ID == rule {
				v.set(name+"_reached", assess.Int(p.Reached), inStream)
				v.set(name+"_evaluable", assess.Int(p.Evaluable), inStream)
			}
		}
	}
}

func (r *run) rolloutValues(v *values) {
	if r.s.Adoption.Measured != "" {
		v.set("adoption_measured", assess.Text(r.s.Adoption.Measured), declared)
	}
	if r.s.Adoption.EveryDays > 0 {
		v.set("adoption_every_days", assess.Int(int64(r.s.Adoption.EveryDays)), declared)
	}
	for i := range r.s.Groups {
		g := &r.s.Groups[i]
		if g.Phase != "pilot" {
			continue
		}
		start := r.from
		for _, m := range g.Members {
			if m.From.Given() && m.From.Time.After(start) {
				start = m.From.Time
			}
		}
		// Past the time its memberships and roles take to arrive.
		start = start.Add(max(r.access.Lag(r.s.Config.GroupChannel(g.Name.Value), start).Longest, r.access.Lag(org.ByRole, start).Longest))
		size, cowork := 0, 0
		for m := range r.dir.Len() {
			if r.dir.InGroup(i, m, start) {
				size++
				if may(r.access, m, rbac.Cowork, start) {
					cowork++
				}
			}
		}
		v.set("pilot_size", assess.Int(int64(size)), computed)
		v.set("pilot_has_cowork", assess.Bool(size > 0 && cowork == size), "computed by the role engine")
		if g.Source != "" {
			v.set("pilot_source", assess.Text(g.Source), declared)
		}
		v.set("pilot_connectors_off", assess.Bool(!r.externalConnectors(g)), computed)
		break
	}
	if len(r.s.Rollout) == 0 {
		return
	}
	v.set("expansion_planned", assess.Bool(len(r.s.Rollout) > 1), declared)
	if len(r.s.Rollout) > 1 {
		first, next := r.s.Rollout[0], r.s.Rollout[1]
		v.set("expansion_after_days", assess.Int(int64(next.From.Time.Sub(first.From.Time).Hours()/24)), declared)
		if n, known := r.uncleanWeeks(first.From.Time, next.From.Time); known {
			v.set("unclean_weeks", assess.Int(n), inStream)
		}
		scim, known := true, false
		for _, g := range r.s.Groups {
			for _, n := range next.Groups {
				if g.Name.Value == n.Value && g.Source != "" {
					known, scim = true, scim && g.Source == "scim"
				}
			}
		}
		if known {
			v.set("expansion_by_scim", assess.Bool(scim), declared)
		}
	}
}

// uncleanWeeks counts, of the four weeks before access widens, those in which a
// finding of high severity began. It is not known where the wider phase lies
// outside the period, or no record arrived: nothing was looked at then.
func (r *run) uncleanWeeks(pilot, wider time.Time) (n int64, known bool) {
	if !wider.After(r.from) || wider.After(r.to) || r.coverage == nil || r.coverage.Records == 0 {
		return 0, false
	}
	for w := range 4 {
		end := wider.AddDate(0, 0, -7*w)
		start := end.AddDate(0, 0, -7)
		if start.Before(pilot) {
			break
		}
		if slices.ContainsFunc(r.findings, func(f rules.Finding) bool {
			return f.Severity >= rules.High && !f.Time.Before(start) && f.Time.Before(end)
		}) {
			n++
		}
	}
	return n, true
}

// externalConnectors reports that a group's roles grant an enabled connector
// whose vendor is not the organisation itself.
func (r *run) externalConnectors(g *org.Group) bool {
	external := map[string]bool{}
	any := false
	for _, c := range r.s.Connectors {
		if c.Enabled && !strings.EqualFold(c.Vendor, r.s.Organisation.Name) {
			external[rbac.ConnectorKey(c.Name.Value)], any = true, true
		}
	}
	for _, role := range r.s.Config.Roles {
		if !slices.ContainsFunc(g.Roles, func(t sourceText) bool { return t.Value == role.Name.Value }) {
			continue
		}
		for _, x := range role.Grants {
			if x.Connector.Value == "all" && any || x.Connector.Value != "" && external[rbac.ConnectorKey(x.Connector.Value)] {
				return true
			}
		}
	}
	return false
}
