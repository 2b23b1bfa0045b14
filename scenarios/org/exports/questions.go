package exports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// What no export says, and where an answer goes.

// Question is something no export says. Answer with Sketch.Answer; a question
// without an answer stays in the draft as a comment.
type Question struct {
	Key   string // where the answer goes in the scenario, e.g. organisation.settings.cowork
	Text  string
	Why   string // why it matters
	Form  string // yes or no, a number, a day, one of a, b; free text when empty
	Guess string // what the draft says meanwhile; "" when it says nothing
}

func (d *Draft) ask(s *Sketch) {
	q := func(key, text, why, form, guess string) {
		s.Questions = append(s.Questions, Question{key, text, why, form, guess})
	}
	o := &s.Config.Organisation
	q("organisation.name", "What is the organisation called?", "it stands on the cover", "", o.Name)
	if d.latest.IsZero() {
		q("as_of", "On which day does the verdict rest?", "facts about the product change from month to month, and no export carries a date", "a day", s.AsOf)
	} else {
		q("as_of", "On which day does the verdict rest?", "the newest date in the exports is taken meanwhile", "a day", s.AsOf)
	}
	seats := fmt.Sprintf("the exports show %d members; seats and members differ", len(s.people))
	if d.seatsSeen > 0 {
		seats += fmt.Sprintf("; analytics count %d assigned seats", d.seatsSeen)
	}
	q("organisation.seats", "How many seats were bought?", seats, "a number", strconv.Itoa(o.Seats))
	q("organisation.kind", "What does the law call the organisation: covered_entity, business_associate, issuer, merchant, service_provider, service_organisation?", "it decides which frameworks apply at all", "words from the list, with commas; none for none", "")
	why := "they switch features and records on and off"
	if len(d.ruledOut) > 0 {
		why += "; the settings in force say no to " + strings.Join(d.ruledOut, " and ")
	}
	q("organisation.arrangements", "Which contract arrangements hold: zdr, cmek, hipaa_ready, hipaa_configuration?", why, "words from the list, with commas; none for none", strings.Join(o.Arrangements, ", "))
	if o.Directory == "" && o.Plan.Value == "enterprise" {
		q("organisation.directory", "How do members come in: invite, jit or scim?", "who leaves is removed by SCIM, at a sign-in that never comes by JIT, and by hand otherwise", "invite, jit or scim", "")
	}
	if o.Directory == "scim" {
		q("organisation.scim_push_minutes", "How often does the identity provider push, in minutes?", "Entra every 40, Okta at once, which is 0; every change of a group waits for it", "a number", strconv.Itoa(o.SCIMPush))
	}
	if o.Provisioning == nil && strings.HasSuffix(d.mode, "_advanced") && d.mapFrom.IsZero() {
		q("organisation.provisioning", "Which group of the identity provider gives which organisation role and seat tier?", fmt.Sprintf("the provisioning mode is %s, where the mapping decides and removes whoever is in no mapped group; no export lists it, a CSV with the columns group, role, seat is read", d.mode), "edit the file", "")
	} else if p := s.mapping(); p != nil && len(p.Roles) > 0 && p.PrimaryOwner.Value == "" && !d.primaryOwner(s) {
		q("organisation.provisioning.primary_owner", "Who is the Primary Owner, by e-mail address?", "the mapping removes everybody in no mapped group but the Primary Owner", "an address", "")
	}
	if o.Settings.Cowork == nil {
		q("organisation.settings.cowork", "Is the organisation's Cowork switch on?", "no export but the Activity Feed shows it; it is on unless somebody turned it off", "yes or no", "")
	}
	open := func(b *bool, key, text, why, form string) {
		if b == nil {
			q(key, text, why, form, "")
		}
	}
	q("organisation.settings.cloud", "May Cowork run in the cloud?", "cloud sessions leave other records than local ones", "yes or no", "")
	q("organisation.settings.browser", "Is Claude in the browser on?", "", "yes or no", "")
	if o.Settings.AlwaysAllow == nil || len(d.settled) > 0 {
		guess := ""
		if b := o.Settings.AlwaysAllow; b != nil {
			guess = map[bool]string{true: "yes", false: "no"}[*b] + ", as the setting connector_tools_default_always_allow is taken for it"
		}
		q("organisation.settings.always_allow_connectors", "May members set connector tools that write to Always allow?", "off, Cowork asks before each of them", "yes or no", guess)
	}
	open(o.Settings.AutoApprove, "organisation.settings.auto_approve", "Is the automatic approval mode on?", "it is on by default", "yes or no")
	open(o.Settings.SSO, "organisation.settings.sso", "Do members sign in by SSO?", "", "yes or no")
	q("organisation.settings.mfa", "Is a second factor required?", "", "yes or no", "")
	q("organisation.settings.connector_allowlist", "Are connectors limited to a list that somebody keeps?", "", "yes or no", "")
	since, whySince := "", "records before that day do not exist; say no if it is off"
	if d.complianceOn && d.compliance != "" || !d.feedFrom.IsZero() {
		seen := d.compliance
		if f := d.feedFrom.Format(time.DateOnly); !d.feedFrom.IsZero() && (seen == "" || f < seen) {
			seen = f
		}
		if since, _ := source.ParseDate(seen); since.Given() {
			o.Settings.ComplianceAPI = since
		}
		since = seen + ", the first day on which the exports show it on"
	}
	q("organisation.settings.compliance_api_since", "Since when is the Compliance API on?", whySince, "a day", since)
	if o.Settings.Skills == nil && len(s.Config.Plugins)+len(s.Config.Skills) > 0 {
		q("organisation.settings.skills", "Are skills on for the organisation?", "plugins need them", "yes or no", "")
	}
	if sp := &s.Config.Spend; !sp.MemberDefault.Given && len(sp.Groups)+len(sp.Users) == 0 && !sp.Organisation.Given {
		q("spend.member_default", "What may a member spend in a month, in dollars?", "no export shows a limit; say none where there is none", "an amount in dollars, or none", "")
	}
	if len(d.figures) > 0 {
		s.adoption = "analytics_api"
	}
	q("adoption.measured", "How is use measured: analytics, analytics_api, survey or none?", "a rollout gate on use needs somebody who looks at it", "analytics, analytics_api, survey or none", s.adoption)
	q("telemetry.endpoint", "Where does the OpenTelemetry stream go?", "without an endpoint nothing can be seen", "an address, or none", "")
	q("telemetry.content", "Which content is captured: userPrompts, assistantResponses, toolDetails, toolContent, rawApiBodies?", "rules need the names of servers and files, which toolDetails carries", "words from the list, with commas; none for metadata only", "")
	q("telemetry.retention_days", "How many days is the stream kept?", "", "a number", "")
	q("workloads", "What data will people put into it: phi, icfr, chd, confidential, personal or none?", "obligations follow the data", "words from the list, with commas", "")
	for _, c := range s.Config.Connectors {
		if strings.HasPrefix(c.Name.Value, "mcpsrv_") {
			q("connectors."+c.Name.Value, fmt.Sprintf("What is connector %s called on the wire, and which of its tools only read?", c.Name.Value), "the export gives ids; streams give names, and a tool that nobody annotated counts as able to write", "edit the file", "")
		}
	}
	for _, t := range o.SeatTiers {
		q("organisation.seat_tiers."+t.Name.Value, fmt.Sprintf("Which capabilities does a seat of the tier %q not hold?", t.Name.Value), "no role lifts a seat", "capabilities, with commas; none for none", "none")
	}
	for _, g := range s.Config.Groups {
		if g.Unread {
			q("groups."+g.Name.Value, fmt.Sprintf("Which roles does group %q carry?", g.Name.Value), "no export says, so nobody in it is known to have or lack anything by it", "role names, with commas; none for none", "unknown")
		}
	}
	unknown := map[string]bool{}
	for _, r := range s.Config.Roles {
		for _, x := range r.Grants {
			if x.Unknown {
				unknown[x.Capability.Value] = true
			}
		}
		if r.Owner == "" && o.Parent != "" {
			q("roles."+r.Name.Value, "Which organisation does it belong to?", "", "edit the file", "")
		}
	}
	for _, name := range sorted(unknown) {
		q("roles."+name, fmt.Sprintf("What does the entitlement %q stand for?", name), "its name is not published; it is kept, and may be Cowork itself", "a capability, such as cowork", "unknown")
	}
	if d.undone > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("members whom the lists show as a SCIM message left them: %d; the lists are of after it, and the state before it is the other way round", d.undone))
	}
	if len(d.events) > 0 {
		q("changes", "Were the lists exported after the last event of the Activity Feed?", "the draft takes them for the state after it, and undoes the events to find the state before "+stamp(d.events[0].when), "edit the file", "yes")
	}
	if d.invites > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("pending invitations, which may hold seats and are not on the roster: %d", d.invites))
	}
}

// Answer puts an answer into the draft and takes the question off the list. An
// empty answer leaves it. The error says what was expected.
func (s *Sketch) Answer(key, answer string) error {
	answer = strings.TrimSpace(answer)
	if answer == "" {
		return nil
	}
	o := &s.Config.Organisation
	flag := func(to **bool) error {
		switch strings.ToLower(answer) {
		case "yes", "y", "true", "on":
			*to = ptr(true)
		case "no", "n", "false", "off":
			*to = ptr(false)
		default:
			return fmt.Errorf("%q is neither yes nor no", answer)
		}
		return nil
	}
	set := func(known ...string) ([]string, error) {
		if strings.EqualFold(answer, "none") {
			return []string{}, nil
		}
		var out []string
		for _, w := range strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
			if !slices.Contains(known, w) {
				advice := strings.Join(known, ", ")
				if g := source.Nearest(w, known); g != "" {
					return nil, fmt.Errorf("%q is not known here; did you mean %q?", w, g)
				}
				return nil, fmt.Errorf("%q is not one of %s", w, advice)
			}
			out = append(out, w)
		}
		return out, nil
	}
	number := func() (int, error) {
		n, err := strconv.Atoi(answer)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is not a number of 0 or more", answer)
		}
		return n, nil
	}
	var err error
	switch key {
	case "organisation.name":
		o.Name = answer
	case "organisation.plan":
		if answer != "team" && answer != "enterprise" {
			return fmt.Errorf("%q is neither team nor enterprise", answer)
		}
		if answer == "team" && len(s.Config.Groups)+len(s.Config.Roles) > 0 {
			return fmt.Errorf("the exports hold groups or roles, which Team does not have; leave those of the identity provider out and draft again")
		}
		o.Plan = text(answer)
		if answer == "enterprise" && s.Config.Members == nil {
			s.Config.Members = []org.MemberRule{{Select: org.Selector{All: true}, Role: "unknown"}}
		}
	case "as_of":
		if _, err = source.ParseDate(answer); err == nil {
			s.AsOf = answer
		}
	case "organisation.seats":
		var n int
		if n, err = number(); err == nil {
			if n < len(s.people) {
				return fmt.Errorf("%d seats for %d members", n, len(s.people))
			}
			o.Seats = n
		}
	case "organisation.kind":
		o.Kind, err = set("covered_entity", "business_associate", "issuer", "merchant", "service_provider", "service_organisation")
	case "organisation.arrangements":
		o.Arrangements, err = set("zdr", "cmek", "hipaa_ready", "hipaa_configuration")
	case "organisation.settings.cowork":
		err = flag(&o.Settings.Cowork)
	case "organisation.directory":
		if answer != "invite" && answer != "jit" && answer != "scim" {
			return fmt.Errorf("%q is neither invite nor jit nor scim", answer)
		}
		o.Directory = answer
	case "organisation.scim_push_minutes":
		o.SCIMPush, err = number()
	case "organisation.provisioning.primary_owner":
		if !slices.ContainsFunc(s.people, func(r rosterRow) bool { return strings.EqualFold(r.u.key(), answer) }) {
			return fmt.Errorf("%q is not on the roster", answer)
		}
		if o.Provisioning == nil { // the mapping is a dated change, which takes it over
			o.Provisioning = &org.Provisioning{}
		}
		o.Provisioning.PrimaryOwner = text(strings.ToLower(answer))
	case "organisation.settings.skills":
		err = flag(&o.Settings.Skills)
	case "spend.member_default":
		if strings.EqualFold(answer, "none") {
			break
		}
		n, bad := strconv.ParseFloat(strings.TrimPrefix(answer, "$"), 64)
		if bad != nil || n < 0 || n > 1e9 {
			return fmt.Errorf("%q is not an amount in dollars", answer)
		}
		s.Config.Spend.MemberDefault = source.Money{Micros: int64(n*100+0.5) * 10_000, Given: true}
	case "adoption.measured":
		if !slices.Contains([]string{"analytics", "analytics_api", "survey", "none"}, answer) {
			return fmt.Errorf("%q is not one of analytics, analytics_api, survey, none", answer)
		}
		s.adoption = answer
	case "organisation.settings.cloud":
		err = flag(&o.Settings.Cloud)
	case "organisation.settings.browser":
		err = flag(&o.Settings.Browser)
	case "organisation.settings.always_allow_connectors":
		err = flag(&o.Settings.AlwaysAllow)
	case "organisation.settings.auto_approve":
		err = flag(&o.Settings.AutoApprove)
	case "organisation.settings.sso":
		err = flag(&o.Settings.SSO)
	case "organisation.settings.mfa":
		err = flag(&o.Settings.MFA)
	case "organisation.settings.connector_allowlist":
		err = flag(&o.Settings.ConnectorAllow)
	case "organisation.settings.compliance_api_since":
		if strings.EqualFold(answer, "no") {
			break
		}
		var day source.Date
		if day, err = source.ParseDate(answer); err == nil {
			o.Settings.ComplianceAPI = day
		}
	case "telemetry.endpoint":
		s.endpoint = answer
	case "telemetry.content":
		var words []string
		if words, err = set("userPrompts", "assistantResponses", "toolDetails", "toolContent", "rawApiBodies"); err == nil {
			s.content = "[" + strings.Join(words, ", ") + "]"
		}
	case "telemetry.retention_days":
		s.retention, err = number()
	case "workloads":
		var words []string
		if words, err = set("phi", "icfr", "chd", "confidential", "personal", "none"); err == nil {
			s.data = "[" + strings.Join(words, ", ") + "]"
		}
	case "members":
		if answer != "user" && answer != "custom" {
			return fmt.Errorf("%q is neither user nor custom", answer)
		}
		s.Config.Members = []org.MemberRule{{Select: org.Selector{All: true}, Role: answer}}
		for _, ch := range s.Config.Changes {
			if m := ch.Members; m != nil && m.Role == "unknown" {
				m.Role = answer
			}
		}
	default:
		done := false
		if done, err = s.answerNamed(key, answer); !done && err == nil {
			return fmt.Errorf("%s is answered by editing the file", key)
		}
	}
	if err != nil {
		return err
	}
	s.Questions = slices.DeleteFunc(s.Questions, func(q Question) bool { return q.Key == key })
	return nil
}

// answerNamed answers what is asked of one seat tier, group or entitlement; done is
// false for another key.
func (s *Sketch) answerNamed(key, answer string) (done bool, err error) {
	var words []string
	if !strings.EqualFold(answer, "none") {
		for _, w := range strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ';' }) {
			words = append(words, strings.TrimSpace(w))
		}
	}
	check := func(w, what string, known []string) error {
		if slices.Contains(known, w) {
			return nil
		}
		if g := source.Nearest(w, known); g != "" {
			return fmt.Errorf("%q is not a %s; did you mean %q?", w, what, g)
		}
		return fmt.Errorf("%q is not a %s; there are: %s", w, what, strings.Join(known, ", "))
	}
	c := &s.Config
	if name, ok := strings.CutPrefix(key, "organisation.seat_tiers."); ok {
		for _, w := range words {
			if err := check(w, "capability", s.capabilities); err != nil {
				return true, err
			}
		}
		for i := range c.Organisation.SeatTiers {
			if c.Organisation.SeatTiers[i].Name.Value == name {
				c.Organisation.SeatTiers[i].Excludes = words
			}
		}
		return true, nil
	}
	if name, ok := strings.CutPrefix(key, "groups."); ok {
		var roles []string
		for _, r := range c.Roles {
			roles = append(roles, r.Name.Value)
		}
		var texts []source.Text
		for _, w := range words {
			if len(roles) == 0 {
				return true, fmt.Errorf("the exports hold no roles; write them into the file, or say none")
			}
			if err := check(w, "role of the exports", roles); err != nil {
				return true, err
			}
			texts = append(texts, text(w))
		}
		for i := range c.Groups {
			if c.Groups[i].Name.Value == name {
				c.Groups[i].Roles, c.Groups[i].Unread = texts, false
			}
		}
		return true, nil
	}
	if name, ok := strings.CutPrefix(key, "roles."); ok {
		if err := check(answer, "capability", s.capabilities); err != nil {
			return true, err
		}
		for i := range c.Roles {
			for j := range c.Roles[i].Grants {
				if g := &c.Roles[i].Grants[j]; g.Unknown && g.Capability.Value == name {
					g.Capability, g.Unknown = text(answer), false
				}
			}
		}
		return true, nil
	}
	return false, nil
}
