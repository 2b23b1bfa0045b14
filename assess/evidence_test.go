package assess

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

func frame() EvidenceFrame {
	return EvidenceFrame{AsOf: source.Day(2026, 8, 22), From: source.Day(2026, 7, 1), To: source.Day(2026, 8, 20), DesktopFloor: "1.1.4173", Silences: -1}
}

// files writes name, content pairs and gives their paths.
func files(t testing.TB, pairs ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		p := filepath.Join(dir, pairs[i])
		if err := os.WriteFile(p, []byte(pairs[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

const (
	feedExport = `{"data":[
 {"id":"act_0","type":"claude_chat_created","created_at":"2026-06-20T08:00:00Z","actor":{"type":"user_actor"}},
 {"id":"act_1","type":"org_cowork_otlp_settings_updated","created_at":"2026-07-02T08:00:00Z","actor":{"type":"user_actor"}},
 {"id":"act_2","type":"rbac_role_assigned","created_at":"2026-07-10T08:00:00Z","actor":{"type":"user_actor"}},
 {"id":"act_3","type":"compliance_api_accessed","created_at":"2026-08-12T08:00:00Z","actor":{"type":"api_actor"}},
 {"id":"act_4","type":"rbac_role_permission_added","created_at":"2026-08-19T08:00:00Z","actor":{"type":"user_actor"}},
 {"id":"act_5","type":"rbac_role_assigned","created_at":"2026-09-01T08:00:00Z","actor":{"type":"user_actor"}},
 {"id":"act_6","type":"rbac_role_assigned"}],"has_more":false}`
	sessionExport = `{"type":"compliance_local_session","id":"clls_a","created_at":"2026-08-13T09:00:00Z","product_surface":"cowork","user":{"id":"user_1","email_address":"Ada@example.test"},"content_available":true}
{"type":"compliance_local_session","id":"clls_b","created_at":"2026-08-13T11:00:00Z","product_surface":"cowork","user":{"id":"user_1","email_address":"ada@example.test"},"content_available":true}
{"type":"compliance_local_session","id":"clls_c","created_at":"2026-08-14T11:00:00Z","product_surface":"cowork","user":{"id":"user_2","email_address":"ben@example.test"},"content_available":false}
{"type":"compliance_local_session","id":"clls_d","created_at":"2026-08-14T11:00:00Z","product_surface":"claude_code","user":{"id":"user_2","email_address":"ben@example.test"},"content_available":true}
{"type":"compliance_remote_session","id":"cse_e","created_at":"2026-08-15T11:00:00Z","product_surface":"cowork_remote","user":{"id":"user_3","email_address":"cyd@example.test"},"content_available":true}
`
	analyticsExport = `{"starting_date":"2026-05-01","ending_date":"2026-08-20","data":[
 {"date":"2026-08-13","user":{"id":"user_1","email_address":"ada@example.test"},"last_activity_date":"2026-08-13","cowork_metrics":{"distinct_session_count":2}},
 {"date":"2026-08-14","user":{"id":"user_2","email_address":"ben@example.test"},"last_activity_date":"2026-08-14","cowork_metrics":{"distinct_session_count":1}},
 {"date":"2026-08-15","user":{"id":"user_3","email_address":"cyd@example.test"},"last_activity_date":"2026-08-15","cowork_metrics":{"distinct_session_count":1}},
 {"date":"2026-05-02","user":{"id":"user_4","email_address":"dee@example.test"},"last_activity_date":"2026-05-02","cowork_metrics":{"distinct_session_count":1}}]}`
	rosterExport = "email,status,mfa,sso,left_at,removed_at\n" +
		"ada@example.test,active,yes,yes,,\nben@example.test,active,yes,yes,,\ncyd@example.test,active,yes,yes,,\ndee@example.test,active,yes,yes,,\n" +
		"eva@example.test,inactive,,,2026-08-01T17:00:00Z,2026-08-01T19:30:00Z\nfil@example.test,inactive,,,2026-08-03T17:00:00Z,2026-08-04T20:00:00Z\n"
	ticketExport = "kind,raised_at,closed_at,activity_id,approved\n" +
		"change,2026-07-02,,act_1,yes\nchange,2026-07-09,,act_2,yes\nchange,2026-07-09,,act_4,no\n" +
		"alert,2026-07-20T10:00:00Z,2026-07-20T15:00:00Z,,\nalert,2026-07-21T10:00:00Z,2026-07-23T15:00:00Z,,\nalert,2026-06-01T10:00:00Z,,,\n"
)

func TestEvidence(t *testing.T) {
	ev, err := ReadEvidence(frame(), files(t,
		"feed.json", feedExport, "sessions.jsonl", sessionExport, "analytics.json", analyticsExport, "idp.csv", rosterExport, "tickets.csv", ticketExport,
		"devices.csv", "device,encrypted,desktop_version\nd1,yes,1.2.0\nd2,yes,1.1.3900\nd3,no,2.19675.0\n",
		"expenses.csv", "employee,plan,source\nada,Claude Max,expenses\nben,Office suite,expenses\nada,Claude Max,expenses\n",
		"reviews.csv", "reviewed_at,signed_by\n2026-06-01,CISO\n2026-03-01,CISO\n2026-07-01,\n",
		"drift.csv", "setting,since,explained\nweb search,2026-07-01,no\nbrowser,2026-08-10,no\ncowork,2026-06-01,yes\n",
		"statement.yaml", "tests:\n  - {session: clls_a, date: 2026-08-13, who: Tenant team}\nfigures:\n  - {variable: own_export_days, value: 7, date: 2026-08-01, who: Platform team, source: 'scheduler job 12'}\n",
	)...)
	if err != nil {
		t.Fatal(err)
	}
	m := model(t)
	for name, want := range map[string]string{
		"feed_admin_rows": "3", "feed_ticket_match_ratio": "0.6666", "capi_on_since": "2026-08-12",
		"capi_recon_ratio": "0.75", "capi_tenant_test": "yes", "leaver_lag_p95_h": "27", "mfa_enforced": "yes", "sso_enforced": "yes",
		"idle_accounts": "1", "disk_encrypted_ratio": "0.6666", "desktop_floor_ratio": "0.6666", "personal_seats": "1",
		"access_review_age_days": "82", "drift_open": "1", "review_done_ratio": "0.5", "own_export_days": "7",
	} {
		v := ev.Vars[name]
		if got := v.format(m.vars[m.varIndex[name]].Type); got != want || v.Origin == "" {
			t.Errorf("%s = %s (%s), want %s", name, got, v.Origin, want)
		}
	}
	if v := ev.Vars["silence_tickets_ratio"]; v.Known {
		t.Errorf("silences are unknown, their ratio is %v", v)
	}
	if !ev.CloudSeen {
		t.Error("a cloud session is listed and was not seen")
	}
	if len(ev.Items) != 10 || ev.Items[0].Class != "E1" || ev.Items[0].SHA256 == "" || ev.Items[0].Note != "7 rows, 1 unusable, 1 after 2026-08-22 left out. Not copied into the bundle." {
		t.Errorf("items: %+v", ev.Items)
	}
	// reconciliation by member and day, with what telemetry heard
	v := ev.Reconcile(map[MemberDay]int64{{"ada@example.test", "2026-08-13"}: 2, {"ben@example.test", "2026-08-14"}: 2, {"gus@example.test", "2026-08-14"}: 1})
	if got := v.format("number"); got != "0.5" { // 3 of 2+2+1+1
		t.Errorf("reconciled %s (%s)", got, v.Origin)
	}
	if v := (&Evidence{}).Reconcile(map[MemberDay]int64{{"a", "b"}: 1}); v.Known {
		t.Error("without an independent count something was reconciled")
	}
}

// Evidence moves audit verdicts where telemetry cannot: the same insurer before
// and after its exports are read.
func TestEvidenceMovesVerdicts(t *testing.T) {
	m := model(t)
	in := workedCases(t).inputs(t, m, "O 04-09")
	for _, v := range []string{"feed_admin_rows", "feed_ticket_match_ratio", "leaver_lag_p95_h", "access_review_age_days"} {
		delete(in.Vars, v)
	}
	before := judge(t, m, in)
	if v := before.Verdicts["hipaa-164.308.a.4.ii.B-C"]; v != NotAssessed {
		t.Errorf("without exports access changes are %s", v)
	}
	fr := frame()
	fr.AsOf, fr.From, fr.To = source.Day(2026, 4, 9), source.Day(2026, 2, 20), source.Day(2026, 4, 9)
	ev, err := ReadEvidence(fr, files(t,
		"feed.json", `[{"id":"a1","type":"rbac_role_assigned","created_at":"2026-03-10T08:00:00Z","actor":{}}]`,
		"tickets.csv", "kind,raised_at,activity_id,approved\nchange,2026-03-09,a1,yes\n",
		"idp.csv", "email,status,left_at,removed_at\nada@example.test,inactive,2026-03-01T10:00:00Z,2026-03-01T11:00:00Z\n",
		"reviews.csv", "reviewed_at,signed_by\n2026-03-01,CISO\n")...)
	if err != nil {
		t.Fatal(err)
	}
	ev.Apply(&in)
	after := judge(t, m, in)
	for id, want := range map[string]Verdict{"hipaa-164.308.a.4.ii.B-C": Supported, "sox-itgc-apd": Supported, "sox-itgc-pc": PartlySupported, "hipaa-164.312.b": GapNoConfiguration} {
		if after.Verdicts[id] != want {
			t.Errorf("with exports %s is %s, want %s", id, after.Verdicts[id], want)
		}
	}
}

// What files do not show stays unknown, and the reader is told why.
func TestEvidenceClaimsNothingItDoesNotShow(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		vars  []string // must stay unknown
		note  string
	}{
		{"a session list without content", []string{"s.jsonl", `{"id":"clls_a","created_at":"2026-08-13T09:00:00Z","product_surface":"cowork","user":{"email_address":"a@x.test"}}`, "a.json", analyticsExport}, []string{"capi_recon_ratio"}, "which sessions have content"},
		{"a session list alone", []string{"s.jsonl", sessionExport}, []string{"capi_recon_ratio"}, "cannot be reconciled"},
		{"an empty feed", []string{"f.json", `{"kind":"activities","data":[]}`}, []string{"feed_ticket_match_ratio"}, "does not show that it covers"},
		{"a stated test without its session", []string{"s.yaml", "tests:\n  - {session: clls_a, date: 2026-08-13, who: x}\n"}, []string{"capi_tenant_test"}, "no session list"},
		{"a young export", []string{"a.json", `[{"date":"2026-08-13","user":{"email_address":"a@x.test"},"last_activity_date":"2026-08-13","cowork_metrics":{"distinct_session_count":1}}]`, "i.json", `{"Resources":[{"userName":"b@x.test","active":true}]}`}, []string{"idle_accounts"}, "does not reach back 90 days"},
		{"summaries", []string{"a.json", `{"summaries":[{"starting_at":"2026-06-02T00:00:00Z","assigned_seat_count":200,"daily_active_user_count":3}]}`}, []string{"recon_ratio", "idle_accounts"}, "reconcile nothing"},
		{"rows without approvals", []string{"f.json", feedExport}, []string{"feed_ticket_match_ratio"}, "ticket export"},
	} {
		ev, err := ReadEvidence(frame(), files(t, c.files...)...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, v := range c.vars {
			if ev.Vars[v].Known {
				t.Errorf("%s: %s is known: %v", c.name, v, ev.Vars[v])
			}
		}
		if !strings.Contains(strings.Join(ev.Notes, " "), c.note) {
			t.Errorf("%s: notes %q do not say %q", c.name, ev.Notes, c.note)
		}
	}
	// A feed that covers the period and holds no administration row is evidence.
	ev, err := ReadEvidence(frame(), files(t, "f.json", `{"kind":"activities","starting_at":"2026-06-01","ending_at":"2026-08-22","data":[]}`)...)
	if err != nil || ev.Vars["feed_admin_rows"].Int != 0 || !ev.Vars["feed_admin_rows"].Known || ev.Vars["feed_ticket_match_ratio"].Number != 1 {
		t.Errorf("an empty feed over the whole period: %v %+v", err, ev)
	}
	// A test whose session is not listed disproves capture.
	ev, err = ReadEvidence(frame(), files(t, "s.jsonl", sessionExport, "t.yaml", "tests:\n  - {session: clls_zz, date: 2026-08-13, who: x}\n")...)
	if err != nil || !ev.Vars["capi_tenant_test"].Known || ev.Vars["capi_tenant_test"].Bool {
		t.Errorf("a marked session that is not listed: %v %v", err, ev.Vars["capi_tenant_test"])
	}
}

// Directory exports in the shapes products give them.
// What one export covers says nothing of another: an Analytics export of the whole
// period must not make a feed of one day look complete, whichever is read first.
func TestAnExportCoversOnlyItself(t *testing.T) {
	feed := `{"from":"2026-08-01","to":"2026-08-02","data":[{"id":"a","type":"claude_chat_created","created_at":"2026-08-01T08:00:00Z"}]}`
	for _, order := range [][]string{{"feed.json", feed, "analytics.json", analyticsExport}, {"analytics.json", analyticsExport, "feed.json", feed}} {
		ev, err := ReadEvidence(frame(), files(t, order...)...)
		if err != nil {
			t.Fatal(err)
		}
		if v := ev.Vars["feed_ticket_match_ratio"]; v.Known {
			t.Errorf("%s first: two days of feed show %v of the period: %s", order[0], v.Number, v.Origin)
		}
	}
	// Two ends do not make a whole.
	part := func(from, to string) string {
		return fmt.Sprintf(`{"from":%q,"to":%q,"data":[{"id":"a","type":"claude_chat_created","created_at":"%sT08:00:00Z"}]}`, from, to, from)
	}
	for _, test := range []struct {
		files []string
		whole bool
	}{
		{[]string{"a.json", part("2026-08-01", "2026-08-20"), "b.json", part("2026-06-01", "2026-07-20")}, false},
		{[]string{"a.json", part("2026-07-21", "2026-08-20"), "b.json", part("2026-06-01", "2026-07-20")}, true},
		{[]string{"a.json", part("2026-06-01", "2026-07-10") + part("2026-07-11", "2026-08-20")}, true},
		{[]string{"a.json", part("2026-06-01", "2026-08-20"), "b.json", part("2026-07-05", "2026-07-06"), "c.json", part("2026-08-01", "2026-08-01")}, true},
	} {
		ev, err := ReadEvidence(frame(), files(t, test.files...)...)
		if err != nil {
			t.Fatal(err)
		}
		if v := ev.Vars["feed_ticket_match_ratio"]; v.Known != test.whole {
			t.Errorf("%v: the period is covered: %v, want %v", test.files, v.Known, test.whole)
		}
	}
	// Nor does a feed reach back for Analytics, without which nobody is idle.
	long := `{"from":"2026-01-01","to":"2026-08-20","data":[{"id":"a","type":"claude_chat_created","created_at":"2026-08-01T08:00:00Z"}]}`
	short := `{"data":[{"date":"2026-08-13","user":{"email_address":"ada@example.test"},"last_activity_date":"2026-08-13","cowork_metrics":{"distinct_session_count":2}}]}`
	ev, err := ReadEvidence(frame(), files(t, "analytics.json", short, "feed.json", long, "idp.csv", rosterExport)...)
	if err != nil {
		t.Fatal(err)
	}
	if v := ev.Vars["idle_accounts"]; v.Known {
		t.Errorf("an Analytics export of one day makes %d accounts idle", v.Int)
	}
}

func TestExportsAsProgramsSaveThem(t *testing.T) {
	day := func(date, who string, n int) string {
		return fmt.Sprintf(`{"date":%q,"data":[{"user":{"email_address":%q},"cowork_metrics":{"distinct_session_count":%d}}]}`, date, who, n)
	}
	for name, test := range map[string]struct {
		files []string
		want  map[MemberDay]int64
	}{
		"a byte order mark":       {[]string{"a.json", "\ufeff" + day("2026-08-13", "ada@example.test", 2)}, map[MemberDay]int64{{"ada@example.test", "2026-08-13"}: 2}},
		"a document for each day": {[]string{"a.json", day("2026-08-13", "ada@example.test", 2) + "\n" + day("2026-08-14", "ada@example.test", 1)}, map[MemberDay]int64{{"ada@example.test", "2026-08-13"}: 2, {"ada@example.test", "2026-08-14"}: 1}},
		"two files of one day":    {[]string{"a.json", day("2026-08-13", "ada@example.test", 2), "b.json", day("2026-08-13", "ADA@example.test", 2)}, map[MemberDay]int64{{"ada@example.test", "2026-08-13"}: 2}},
	} {
		ev, err := ReadEvidence(frame(), files(t, test.files...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !maps.Equal(ev.Sessions, test.want) {
			t.Errorf("%s: %v, want %v", name, ev.Sessions, test.want)
		}
	}
	ev, err := ReadEvidence(frame(), files(t, "feed.json", feedExport, "feed-2.json", feedExport, "tickets.csv", ticketExport)...)
	if err != nil {
		t.Fatal(err)
	}
	if n := ev.Vars["feed_admin_rows"].Int; n != 3 {
		t.Errorf("the same rows twice are %d rows of administration, want 3", n)
	}
}

func TestRosterShapes(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want string // idle_accounts out of the enabled ones
	}{
		"SCIM":  {`{"schemas":["x"],"Resources":[{"userName":"U1","active":true,"emails":[{"value":"old@x.test"},{"value":"Dee@example.test","primary":true}]},{"userName":"z@x.test","active":"False"}]}`, "1"},
		"Okta":  {`[{"id":"1","status":"ACTIVE","profile":{"login":"l","email":"dee@example.test"}},{"id":"2","status":"DEPROVISIONED","profile":{"email":"z@x.test"}}]`, "1"},
		"Graph": {`{"value":[{"userPrincipalName":"dee@example.test","accountEnabled":true},{"userPrincipalName":"z@x.test","accountEnabled":false}]}`, "1"},
		"Admin": {`{"data":[{"id":"user_4","email":"dee@example.test","role":"user","added_at":"2026-01-01T00:00:00Z"}]}`, "1"},
		"CSV":   {"name,email,role,seat type\nDee,dee@example.test,Member,Standard\n", "1"},
	} {
		ev, err := ReadEvidence(frame(), files(t, "a.json", analyticsExport, "roster", c.data)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := ev.Vars["idle_accounts"].format("int"); got != c.want {
			t.Errorf("%s: %s idle accounts (%v), want %s", name, got, ev.Notes, c.want)
		}
	}
}

// Every mistake of every file at once, with its place and a way on.
func TestEvidenceProblems(t *testing.T) {
	_, err := ReadEvidence(frame(), append(files(t,
		"a.csv", "colour,taste\nred,sweet\n",
		"b.json", `{"data":[{"colour":"red"}]}`,
		"c.json", `{"data":[{"id":"act_1","type":"x","created_`,
		"d.json", `{"data":[]}`,
		"e.yaml", "figures:\n  - {variable: seats_heard_ratio, value: 1, date: 2026-08-01, who: x, source: y}\n  - {variable: personal_seat, value: 1, date: 2026-08-01, who: x, source: y}\n  - {variable: personal_seats, value: none, date: 2026-08-01, who: x, source: y}\nattestations:\n  - {id: baa_sined, who: x, role: y, date: 2026-08-01}\n  - {id: own, for: trail-recrd, who: x, role: y, date: 2026-08-01}\nfacts:\n  - {fact: baa-cowork-covrage, value: yes, who: x, date: 2026-08-01, evidence: y}\n",
		"f.csv", "",
	), "nowhere.json")...)
	if err == nil {
		t.Fatal("no problem")
	}
	got := err.Error()
	for _, want := range []string{
		"columns colour, taste are of no known kind", "rows with the keys colour are of no known kind", "cut short", "no row found",
		`"seats_heard_ratio" is not a figure that can be stated`, "telemetry in the stream", `did you mean "personal_seats"?`, `found "none", expected a whole number`,
		`did you mean "baa_signed"?`, `did you mean "trail-record"?`, `did you mean "baa-cowork-coverage"?`, "the file is empty", "no such file",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no problem says %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// Settings in force, monthly, against a baseline that somebody approved.
const settingsExport = `{"type":"effective_organization_settings","organization_id":"o","retrieved_at":"2026-06-30T06:00:00Z","baseline":{"approved_by":"CISO","approved_on":"2026-06-30"},"settings":[
 {"name":"sso_claude_ai_enforced","value":true,"type":"boolean"},{"name":"web_search_enabled","value":false,"type":"boolean"},{"name":"memory_enabled","value":false,"type":"boolean"},{"name":"skills_enabled","value":true,"type":"boolean"},
 {"name":"ip_allowlist_ip_ranges","value":["10.0.0.0/8"],"type":"string_list"},{"type":"provisioning_mode","value":"scim_advanced"},{"name":"hipaa_compliance_enabled","value":false,"type":"boolean"}]}
{"type":"effective_organization_settings","retrieved_at":"2026-07-15T06:00:00Z","settings":[{"name":"web_search_enabled","value":true,"type":"boolean"},{"name":"memory_enabled","value":true,"type":"boolean"},{"name":"skills_enabled","value":false,"type":"boolean"}]}
{"type":"effective_organization_settings","retrieved_at":"2026-08-14T06:00:00Z","settings":[
 {"name":"sso_claude_ai_enforced","value":true,"type":"boolean"},{"name":"web_search_enabled","value":true,"type":"boolean"},{"name":"memory_enabled","value":false,"type":"boolean"},{"name":"skills_enabled","value":false,"type":"boolean"},
 {"name":"ip_allowlist_ip_ranges","value":["10.0.0.0/8","192.168.0.0/16"],"type":"string_list"},{"type":"provisioning_mode","value":"scim_advanced"},{"name":"hipaa_compliance_enabled","value":true,"type":"boolean"},
 {"type":"data_retention","value":{"all":{"type":"fixed","duration":12,"timescale":"month"}}}]}`

// Settings snapshots say how things are set, whether they are watched and what
// drifted; a setting that is left out says nothing.
func TestSettingsSnapshots(t *testing.T) {
	fr := frame()
	ev, err := ReadEvidence(fr, files(t, "settings.json", settingsExport, "drift.csv", "setting,since,explained\nskills_enabled,2026-07-15,yes\nlocal thing,2026-05-01,no\n")...)
	if err != nil {
		t.Fatal(err)
	}
	m := model(t)
	for name, want := range map[string]string{
		"sso_enforced": "yes", "provisioning": "scim", "own_retention_days": "365", "settings_baseline_on": "yes",
		// web search since 15 July and one of the table; memory is back, skills are
		// explained, the address list and the HIPAA flag differ since 14 August only
		"drift_open": "2",
	} {
		v := ev.Vars[name]
		if got := v.format(m.vars[m.varIndex[name]].Type); got != want || v.Origin == "" {
			t.Errorf("%s = %s (%s), want %s", name, got, v.Origin, want)
		}
	}
	it := ev.Items[0]
	if it.Class != "E4" || it.Period != "2026-06-30 to 2026-08-14" || it.Note != "3 rows. Not copied into the bundle." {
		t.Errorf("item %+v", it)
	}
	for _, el := range []string{"sso-enforced", "deprovision-timely", "drift-checked", "trail-record"} {
		if !slices.Contains(it.Supports, el) {
			t.Errorf("the file is not named for %s: %v", el, it.Supports)
		}
	}
	if slices.Contains(it.Supports, "mfa-enforced") {
		t.Error("the file is named for what it does not show")
	}
	in := Inputs{Vars: Vars{"arrangements": Set("zdr")}}
	ev.Apply(&in)
	if got := in.Vars["arrangements"]; !slices.Equal(got.Set, []string{"hipaa_ready", "zdr"}) || !strings.Contains(got.Origin, "2026-08-14") {
		t.Errorf("arrangements %v", got)
	}

	// the other way round: declared, and reported not to be so
	ev, err = ReadEvidence(fr, files(t, "settings.json", `{"settings":[{"name":"hipaa_compliance_enabled","value":false,"type":"boolean"}],"retrieved_at":"2026-07-10"}`)...)
	if err != nil {
		t.Fatal(err)
	}
	in = Inputs{Vars: Vars{"arrangements": Set("hipaa_ready", "hipaa_configuration", "cmek")}}
	ev.Apply(&in)
	if got := in.Vars["arrangements"]; !slices.Equal(got.Set, []string{"cmek"}) {
		t.Errorf("arrangements %v", got)
	}
	for name, c := range map[string]struct{ data, unknown, note string }{
		"no baseline":         {`{"settings":[{"name":"sso_claude_ai_enforced","value":true}],"retrieved_at":"2026-07-10"}`, "settings_baseline_on drift_open", "approved baseline"},
		"before the period":   {`{"settings":[{"name":"sso_claude_ai_enforced","value":true}],"retrieved_at":"2026-06-10"}`, "sso_enforced", "before the assessed period"},
		"a gap of two months": {`{"settings":[{"name":"sso_claude_ai_enforced","value":true}],"retrieved_at":"2026-06-30","baseline":{"approved_by":"x","approved_on":"2026-06-30"}}`, "settings_baseline_on drift_open sso_enforced", "days without one"},
		"approved late":       {`{"settings":[],"retrieved_at":"2026-08-10","baseline":{"approved_by":"x","approved_on":"2026-08-10"}}`, "settings_baseline_on", "into the assessed period"},
		"after as_of":         {`{"settings":[{"name":"sso_claude_ai_enforced","value":true}],"retrieved_at":"2026-09-10"}`, "sso_enforced", ""},
		"periods by kind":     {`{"settings":[{"type":"data_retention","value":{"chat":{"type":"fixed","duration":30,"timescale":"day"}}}],"retrieved_at":"2026-07-10"}`, "own_retention_days", ""},
		"without end":         {`{"settings":[{"type":"data_retention","value":{"all":{"type":"indefinite"}}}],"retrieved_at":"2026-07-10"}`, "own_retention_days", ""},
	} {
		ev, err := ReadEvidence(fr, files(t, "s.json", c.data)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, v := range strings.Fields(c.unknown) {
			if ev.Vars[v].Known {
				t.Errorf("%s: %s = %v", name, v, ev.Vars[v])
			}
		}
		if !strings.Contains(strings.Join(ev.Notes, " "), c.note) {
			t.Errorf("%s: notes %q", name, ev.Notes)
		}
	}
	_, err = ReadEvidence(fr, files(t, "s.json", `{"settings":[]}`, "t.json", `{"settings":[],"retrieved_at":"2026-08-10","baseline":{}}`, "u.json", `{"type":"compliance_settings","state":{"type":"enabled"}}`)...)
	for _, want := range []string{"s.json: a settings snapshot does not say when it was read", "t.json: a baseline without approved_by", "u.json: a settings answer does not say when"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no problem says %q: %v", want, err)
		}
	}
	ev, err = ReadEvidence(fr, files(t, "u.json", `{"type":"compliance_settings","state":{"type":"enabled"},"retrieved_at":"2026-08-01"}`)...)
	if err != nil || ev.Vars["capi_on_since"].Text != "2026-08-01" {
		t.Errorf("an interface that is on: %v %v", err, ev.Vars["capi_on_since"])
	}
}

// The organisation's own retention takes the place of the vendor's, but never
// keeps what the HIPAA configuration deletes nor a cloud session for longer.
// A statement that was taken back is not one: of several that hold on the day the
// newest counts, whether the scenario or a file of evidence gives it, and of one day
// the one that denies.
func TestTheNewestAttestationCounts(t *testing.T) {
	m := model(t)
	in := workedCases(t).inputs(t, m, "O 04-09")
	in.Vars["as_of"] = Text("2026-04-09")
	said := func(answer bool, month time.Month, day int) Attested {
		return Attested{ID: "baa_signed", Who: "A. Person", Role: "counsel", Date: source.Day(2026, month, day), Answer: answer}
	}
	expired := said(true, 1, 2)
	expired.Expires = source.Day(2026, 2, 1)
	for name, test := range map[string]struct {
		given []Attested
		want  condition.Tri
	}{
		"none":                 {nil, condition.Unknown},
		"taken back":           {[]Attested{said(true, 1, 2), said(false, 3, 1)}, condition.False},
		"in any order":         {[]Attested{said(false, 3, 1), said(true, 1, 2)}, condition.False},
		"given after a denial": {[]Attested{said(false, 1, 2), said(true, 3, 1)}, condition.True},
		"of one day":           {[]Attested{said(true, 3, 1), said(false, 3, 1)}, condition.False},
		"taken back later on":  {[]Attested{said(true, 1, 2), said(false, 5, 1)}, condition.True},
		"ran out":              {[]Attested{expired}, condition.Unknown},
	} {
		in.Attestations = test.given
		s, err := m.newState(&in)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.att("baa_signed"); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
		// A way out that needs the statement asks for it wherever it does not stand.
		lever := edit{attest: []string{"baa_signed"}}
		if _, changed := m.apply(&lever, in); changed != (test.want != condition.True) {
			t.Errorf("%s: a way out asks for the statement: %v", name, changed)
		}
	}
}

// What comes after the assessed period is no gap in it.
func TestSnapshotsAfterThePeriod(t *testing.T) {
	fr := frame()
	fr.From, fr.To = source.Day(2026, 5, 1), source.Day(2026, 6, 10)
	snap := func(day, more string) string {
		return `{"type":"effective_organization_settings","retrieved_at":"` + day + `T06:00:00Z","settings":[{"name":"web_search","value":true}]` + more + "}"
	}
	ev, err := ReadEvidence(fr, files(t, "s.json", snap("2026-05-01", `,"baseline":{"approved_by":"CISO","approved_on":"2026-05-01"}`)+snap("2026-05-25", "")+snap("2026-07-20", ""))...)
	if err != nil {
		t.Fatal(err)
	}
	if v := ev.Vars["settings_baseline_on"]; !v.Known || !v.Bool {
		t.Errorf("a snapshot each month of the period, and one long after it: %v, %q", v, ev.Notes)
	}
}

func TestOwnRetention(t *testing.T) {
	m := model(t)
	for _, c := range []struct {
		id    string
		days  int64
		modes []string
		want  int64
	}{
		{"O 08-22", 400, []string{"local"}, 400}, {"O 08-22", 3000, []string{"local"}, 3000}, {"O 08-22", 3000, []string{"local", "cloud"}, 2190},
		{"O 08-22", 40, []string{"local", "cloud"}, 40}, {"O 10-08 HC", 400, []string{"local"}, 30}, {"O 10-08 HC", 7, []string{"local"}, 7}, {"O 04-09", 400, []string{"local"}, 0},
	} {
		in := workedCases(t).inputs(t, m, c.id)
		in.Vars["own_retention_days"], in.Vars["exec_modes"] = Int(c.days), Set(c.modes...)
		s, err := m.newState(&in)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := s.predInt(m.predIndex["transcript_days"]); !ok || got != c.want {
			t.Errorf("%s with %d days of its own in %v: %d (%v), want %d", c.id, c.days, c.modes, got, ok, c.want)
		}
	}
}

// Exports are hostile input like any other.
func FuzzEvidence(f *testing.F) {
	m := model(f)
	base := workedCases(f).inputs(f, m, "O 08-22")
	known, err := loadIntake()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{feedExport, sessionExport, analyticsExport, rosterExport, ticketExport, settingsExport, "figures:\n  - {variable: personal_seats, value: 1, date: 2026-08-01, who: x, source: y}\n", `[1,{"type":3}]`, `{"data":[{"id":"clls_","created_at":"x","messages":[{}]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"x", "x.yaml"} {
			r := newIntakeRun(known, frame())
			if ps := r.file(name, data); len(ps) > 0 {
				if len(r.ev.Items) > 0 {
					t.Fatal("evidence and problems from one file")
				}
				continue
			}
			r.conclude()
			if len(r.ev.Items) != 1 {
				t.Fatal("neither evidence nor problems")
			}
			in := base
			r.ev.Apply(&in)
			judge(t, m, in)
		}
	})
}
