package analytics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// File is one export. It is written when it is asked for: the lists of members' days are
// long, and nobody needs them whole.
type File struct {
	Name  string
	Write func(io.Writer) error
}

// Exports are the figures in the shapes of the Analytics API's endpoints, one file
// each: the field names are the vendor's, the values this stream's. Only
// Enterprise has that interface, so other plans get none.
//
// What a stream of Cowork cannot give is left out or null, never zero: the
// figures of other products (chat, Claude Code, ...), all-product adoption,
// pending invitations, turns of background agents, authentication of connectors,
// amounts after discount. Days that the surface would not show yet are left out of
// the lists of engagement by day; those of connectors, skills, plugins and groups sum the
// period, and costs are shown within a day.
// Members appear under the Key of their MemberActivity, which has to be filled in
// before; one without a key is left out.
func (r *Report) Exports() []File {
	if r.Plan != "enterprise" {
		return nil
	}
	keys := map[int]string{}
	for _, m := range r.Members {
		if m.Key != "" {
			keys[m.Member] = m.Key
		}
	}
	shown := map[string]bool{}
	for _, d := range r.Days {
		shown[d.Date] = d.Shown
	}
	var files []File
	put := func(name string, write func(io.Writer) error) {
		files = append(files, File{name + ".json", func(w io.Writer) error {
			if err := write(w); err != nil {
				return fmt.Errorf("analytics: %s: %w", name, err)
			}
			return nil
		}})
	}
	whole := func(name string, v func() any) {
		put(name, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			return e.Encode(v())
		})
	}
	list := func(name string, rows iter.Seq[any]) {
		put(name, func(w io.Writer) error { return lines(w, rows) })
	}
	whole("summaries", func() any { return map[string]any{"summaries": r.summaries()} })
	list("users", r.users(keys, shown))
	whole("connectors", func() any { return page{r.connectors()} })
	whole("skills", func() any { return page{r.skills()} })
	whole("plugins", func() any { return page{r.plugins()} })
	whole("groups", func() any { return page{r.byGroup()} })
	list("user_cost_report", r.costs(keys))
	return files
}

// page is a list as the interface wraps it.
type page struct {
	Data any `json:"data"`
}

func (p page) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Data any  `json:"data"`
		Next *int `json:"next_page"`
	}{p.Data, nil})
}

// lines writes a page row by row: there is a row for each day of each member, and the
// whole of them in every form that the library goes through would take five times the
// memory.
func lines(w io.Writer, rows iter.Seq[any]) error {
	var b bytes.Buffer
	b.WriteString("{\n  \"data\": [")
	some := false
	for row := range rows {
		data, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if some {
			b.WriteByte(',')
		}
		some = true
		b.WriteString("\n    ")
		if err := json.Indent(&b, data, "    ", "  "); err != nil {
			return err
		}
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	if some {
		b.WriteString("\n  ")
	}
	b.WriteString("],\n  \"next_page\": null\n}\n")
	_, err := b.WriteTo(w)
	return err
}

type summary struct {
	Start   string `json:"starting_at"`
	End     string `json:"ending_at"`
	Seats   int    `json:"assigned_seat_count"`
	Daily   int    `json:"cowork_daily_active_user_count"`
	Weekly  int    `json:"cowork_weekly_active_user_count"`
	Monthly int    `json:"cowork_monthly_active_user_count"`
}

func midnight(date string, days int) string {
	t, _ := time.Parse(time.DateOnly, date)
	return t.AddDate(0, 0, days).Format(time.RFC3339)
}

func (r *Report) summaries() []summary {
	out := []summary{}
	for _, d := range r.Days {
		if d.Shown {
			out = append(out, summary{midnight(d.Date, 0), midnight(d.Date, 1), d.Seats, d.DAU, d.WAU, d.MAU})
		}
	}
	return out
}

// coworkMetrics has the fields of cowork_metrics; dispatch turns are not on the
// wire.
type coworkMetrics struct {
	Sessions           int64  `json:"distinct_session_count"`
	Messages           int64  `json:"message_count"`
	Actions            int64  `json:"action_count"`
	Dispatch           *int64 `json:"dispatch_turn_count"`
	Connectors         int64  `json:"connectors_used_count"`
	DistinctConnectors int64  `json:"distinct_connectors_used_count"`
	Skills             int64  `json:"skills_used_count"`
	DistinctSkills     int64  `json:"distinct_skills_used_count"`
	Plugins            int64  `json:"plugins_used_count"`
	DistinctPlugins    int64  `json:"distinct_plugins_used_count"`
	FileEdits          int64  `json:"file_edit_count"`
	Edit               int64  `json:"edit_tool_count"`
	MultiEdit          int64  `json:"multi_edit_tool_count"`
	Write              int64  `json:"write_tool_count"`
	NotebookEdit       int64  `json:"notebook_edit_tool_count"`
	SessionsWithEdits  int64  `json:"sessions_with_file_edits_count"`
}

func (m *Metrics) cowork() coworkMetrics {
	return coworkMetrics{m.Sessions, m.Messages, m.Actions, nil, m.ConnectorCalls, m.DistinctConnectors, m.SkillUses, m.DistinctSkills,
		m.PluginUses, m.DistinctPlugins, m.FileEdits, m.Edit, m.MultiEdit, m.Write, m.NotebookEdit, m.SessionsWithEdits}
}

type user struct {
	ID    string  `json:"id"`
	Email *string `json:"email_address"`
	Type  string  `json:"type"`
}

type userDay struct {
	User   user          `json:"user"`
	Date   string        `json:"last_activity_date"`
	Search int64         `json:"web_search_count"`
	Cowork coworkMetrics `json:"cowork_metrics"`
}

func (r *Report) users(keys map[int]string, shown map[string]bool) iter.Seq[any] {
	return func(yield func(any) bool) {
		for d := range r.Daily() {
			if k := keys[d.Member]; k != "" && shown[d.Date] && d.Sessions > 0 &&
				!yield(userDay{user{ID: k, Type: "user"}, d.Date, d.WebSearches, d.cowork()}) {
				return
			}
		}
	}
}

type inCowork map[string]int64

func (r *Report) connectors() []any {
	out := []any{}
	for _, u := range r.Connectors {
		if u.Name == unnamed {
			continue // calls whose server the wire does not name
		}
		out = append(out, struct {
			Name         string   `json:"connector_name"`
			Display      *string  `json:"connector_display_name"`
			Users        int      `json:"distinct_user_count"`
			Cowork       inCowork `json:"cowork_metrics"`
			Reads        int64    `json:"read_call_count"`
			Writes       int64    `json:"write_call_count"`
			Unclassified int64    `json:"unclassified_call_count"`
			Managed      *int64   `json:"managed_auth_distinct_user_count"`
			Individual   *int64   `json:"individual_auth_distinct_user_count"`
		}{u.Name, nil, u.Members, inCowork{"distinct_session_connector_used_count": u.Sessions}, u.Reads, u.Writes, u.Unclassified, nil, nil})
	}
	return out
}

func (r *Report) skills() []any {
	out := []any{}
	for _, u := range r.Skills {
		out = append(out, struct {
			Name     string   `json:"skill_name"`
			Users    int      `json:"distinct_user_count"`
			Uses     int64    `json:"invocation_count"`
			Enabled  *int64   `json:"enable_count"`
			Shared   *string  `json:"share_status"`
			Cowork   inCowork `json:"cowork_metrics"`
			Overage  *string  `json:"estimated_overage_spend"`
			Price    *string  `json:"attributed_list_price"`
			Currency string   `json:"currency"`
		}{u.Name, u.Members, u.Uses, nil, nil, inCowork{"distinct_session_skill_used_count": u.Sessions}, nil, nil, "USD"})
	}
	return out
}

func (r *Report) plugins() []any {
	out := []any{}
	for _, u := range r.Plugins {
		out = append(out, struct {
			Name      string   `json:"plugin_name"`
			ID        *string  `json:"plugin_id"`
			Users     int      `json:"distinct_user_count"`
			Installed *int64   `json:"install_count"`
			Uses      int64    `json:"invocation_count"`
			Cowork    inCowork `json:"cowork_metrics"`
		}{u.Name, nil, u.Members, nil, u.Uses, inCowork{"distinct_session_plugin_used_count": u.Sessions}})
	}
	return out
}

func (r *Report) byGroup() []any {
	out := []any{}
	for i := range r.Groups {
		g := &r.Groups[i]
		out = append(out, struct {
			ID     *string       `json:"rbac_group_id"`
			Name   string        `json:"rbac_group_name"`
			Users  int           `json:"distinct_user_count"`
			Search int64         `json:"web_search_count"`
			Cowork coworkMetrics `json:"cowork_metrics"`
		}{nil, g.Group, g.Active, g.metrics.WebSearches, g.metrics.cowork()})
	}
	return out
}

// costs are rows of the user cost report. Telemetry estimates the list price; what
// is billed after discount it cannot know.
func (r *Report) costs(keys map[int]string) iter.Seq[any] {
	return func(yield func(any) bool) {
		for d := range r.Daily() {
			k := keys[d.Member]
			if k == "" || !d.CostKnown {
				continue
			}
			if !yield(struct {
				Start    string  `json:"starting_at"`
				End      string  `json:"ending_at"`
				Actor    user    `json:"actor"`
				Product  string  `json:"product"`
				Amount   *string `json:"amount"`
				List     string  `json:"list_amount"`
				Currency string  `json:"currency"`
				Requests int64   `json:"requests"`
			}{midnight(d.Date, 0), midnight(d.Date, 1), user{ID: k, Type: "user_actor"}, "cowork", nil, cents(d.CostMicros), "USD", d.Requests}) {
				return
			}
		}
	}
}

// cents is micro-dollars as cents with six decimals: 18755000 is "1875.500000".
func cents(micros int64) string {
	return fmt.Sprintf("%d.%06d", micros/10_000, micros%10_000*100)
}
