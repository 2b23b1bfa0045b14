package assess

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/rules"
	"github.com/sandtable-dev/sandtable/rules/event"
)

// Trace is the whole story of one prompt, in order. Texts, paths, commands and
// members' names are there only when asked for.
type Trace struct {
	Prompt   string      `json:"prompt_id"`
	Sessions []string    `json:"sessions"`
	Member   string      `json:"member"` // pseudonym, or "unattributed"
	Product  string      `json:"product"`
	Surface  string      `json:"surface,omitempty"`
	Version  string      `json:"version,omitempty"`
	Start    time.Time   `json:"start"`
	End      time.Time   `json:"end"`
	Steps    []TraceStep `json:"steps"`
	Totals   Totals      `json:"totals"`
	Records  int         `json:"records"`
	Repeated int         `json:"repeated_records"`
	Unknown  []string    `json:"cannot_be_known"`
}

// Totals of one prompt. Cost is an estimate at list prices.
type Totals struct {
	Requests   int   `json:"requests"`
	Errors     int   `json:"errors"`
	CostMicros int64 `json:"cost_micros"`
	NoCost     int   `json:"requests_without_cost"`
	Input      int64 `json:"input_tokens"`
	Output     int64 `json:"output_tokens"`
	CacheRead  int64 `json:"cache_read_tokens"`
	CacheWrite int64 `json:"cache_write_tokens"`
	Tools      int   `json:"tools_run"`
	Failed     int   `json:"tools_failed"`
	Rejected   int   `json:"tools_rejected"`
	Files      int   `json:"file_calls"`
	Connectors int   `json:"mcp_calls"`
}

// TraceStep is one line of the story. A tool call is one step from its decision to
// its result; Joined says how the two were brought together.
type TraceStep struct {
	At       time.Time `json:"at"`
	Event    string    `json:"event"` // ids as in reports, e<index>
	Result   string    `json:"result_event,omitempty"`
	Kind     string    `json:"kind"`
	What     string    `json:"what"`
	Approval string    `json:"approval,omitempty"`
	Joined   string    `json:"joined,omitempty"` // by id, by order (inferred), or ""
	Millis   int64     `json:"duration_ms,omitempty"`
	Cost     int64     `json:"cost_micros,omitempty"`

	tool     string
	use      string
	open     bool // waits for a result
	accepted bool
}

// TraceOptions of BuildTrace.
type TraceOptions struct {
	Names          *rules.Pseudonyms // nil: members are left out
	IncludeContent bool
}

// BuildTrace puts the records of one prompt together. The records may come in
// any order and twice; ok is false when there are none.
func BuildTrace(prompt string, events []event.Event, o TraceOptions) (t *Trace, ok bool) {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b event.Event) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Index, b.Index))
	})
	t = &Trace{Prompt: prompt, Member: "unattributed", Steps: []TraceStep{}, Unknown: []string{}}
	type id struct {
		session, name, use string
		seq, at            int64
	}
	seen := map[id]bool{}
	b := traceBuilder{t: t, o: o}
	for i := range events {
		e := &events[i]
		if e.Prompt != prompt {
			continue
		}
		k := id{e.Session, e.Name, e.ToolUse + e.Request, e.Sequence, e.Time}
		if seen[k] {
			t.Repeated++
			continue
		}
		seen[k] = true
		b.add(e)
	}
	if t.Records == 0 {
		return nil, false
	}
	b.finish()
	return t, true
}

type traceBuilder struct {
	t             *Trace
	o             TraceOptions
	prompted      bool
	redacted      bool
	noArguments   int
	unnamed       int
	noSource      int
	auto, repeats int
	shell, subs   int
	unfinished    int
	inferred      int
	unread        int // results without a decision
	sequence      map[string][]int64
	noSequence    bool
	responses     bool
	retries       int
}

func (b *traceBuilder) step(e *event.Event, what string, a ...any) *TraceStep {
	b.t.Steps = append(b.t.Steps, TraceStep{At: e.When(), Event: fmt.Sprintf("e%d", e.Index), Kind: e.Name, What: fmt.Sprintf(what, a...)})
	return &b.t.Steps[len(b.t.Steps)-1]
}

func (b *traceBuilder) add(e *event.Event) {
	t := b.t
	if t.Records == 0 {
		t.Start, t.Product = e.When(), e.Product.String()
	}
	t.Records++
	t.End = e.When()
	t.Surface, t.Version = cmp.Or(t.Surface, e.Surface), cmp.Or(t.Version, e.ServiceVersion)
	if !slices.Contains(t.Sessions, e.Session) && e.Session != "" {
		t.Sessions = append(t.Sessions, e.Session)
	}
	if m := cmp.Or(e.Account, e.Email); m != "" && t.Member == "unattributed" {
		switch {
		case b.o.IncludeContent:
			t.Member = cmp.Or(e.Email, e.Account)
		case b.o.Names != nil:
			if name, err := b.o.Names.Of(m); err == nil {
				t.Member = name
			}
		default:
			t.Member = "a member"
		}
	}
	if e.Has&event.FSequence == 0 {
		b.noSequence = true
	} else {
		if b.sequence == nil {
			b.sequence = map[string][]int64{}
		}
		b.sequence[e.Session] = append(b.sequence[e.Session], e.Sequence)
	}
	switch e.Kind {
	case event.UserPrompt:
		b.prompted = true
		text := "; its text is not shown"
		switch {
		case e.PromptText == event.Redacted || e.Has&event.FPromptText == 0:
			text, b.redacted = "; its text was held back", true
		case b.o.IncludeContent:
			text = ": " + oneLine(e.PromptText, 300)
		}
		s := b.step(e, "asks, %d characters%s", e.PromptLength, text)
		if e.Command != "" {
			s.What += ", by the command " + e.Command
		}
	case event.APIRequest:
		n := &t.Totals
		n.Requests++
		n.Input, n.Output, n.CacheRead, n.CacheWrite = n.Input+e.InputTokens, n.Output+e.OutputTokens, n.CacheRead+e.CacheRead, n.CacheWrite+e.CacheWrite
		s := b.step(e, "%s answers: %d tokens in, %d out, %d read from and %d written to the cache", cmp.Or(e.Model, "a model"), e.InputTokens, e.OutputTokens, e.CacheRead, e.CacheWrite)
		if e.Agent != "" {
			s.What += ", for the subagent " + e.Agent
			b.subs++
		}
		s.Millis = e.Duration
		if e.CostFrom == event.CostMissing {
			n.NoCost++
		} else {
			s.Cost = e.CostMicros
			n.CostMicros += e.CostMicros
		}
	case event.APIError:
		t.Totals.Errors++
		s := b.step(e, "a request to %s fails", cmp.Or(e.Model, "a model"))
		if e.Status != 0 {
			s.What += fmt.Sprintf(" with status %d", e.Status)
		}
		if e.Attempt > 1 {
			s.What += fmt.Sprintf(" after %d attempts", e.Attempt)
			b.retries++
		}
		s.Millis = e.Duration
	case event.AssistantResponse:
		b.responses = true
		text := ""
		if b.o.IncludeContent && e.ResponseText != event.Redacted && e.ResponseText != "" {
			text = ": " + oneLine(e.ResponseText, 300)
		}
		b.step(e, "writes an answer of %d characters%s", e.ResponseLength, text)
	case event.ToolDecision:
		b.decision(e)
	case event.ToolResult:
		b.result(e)
	case event.SkillActivated:
		b.step(e, "skill %s is activated", cmp.Or(e.Skill, "(unnamed)"))
	case event.SubagentCompleted:
		b.subs++
		s := b.step(e, "a subagent ends")
		s.Millis = e.Duration
	case event.PermissionModeChanged:
		b.step(e, "the permission mode changes from %s to %s", cmp.Or(e.FromMode, "(unknown)"), cmp.Or(e.ToMode, "(unknown)"))
	case event.MCPConnection:
		b.step(e, "a connection to an MCP server: %s", cmp.Or(e.ConnStatus, "(unknown)"))
	case event.Compaction:
		s := b.step(e, "the conversation is compacted")
		s.Millis = e.Duration
	case event.HookStart, event.HookComplete, event.HookRegistered:
		// one line for both would say nothing; hooks are counted among the records
	default:
		b.step(e, "%s", cmp.Or(e.Name, "a record without a name"))
	}
}

// call says what a tool call is, as far as the wire names it.
func (b *traceBuilder) call(e *event.Event) string {
	switch {
	case e.MCPKnown == event.Known:
		return fmt.Sprintf("%s of the MCP server %s", e.MCPTool, e.MCPServer)
	case e.MCPKnown == event.Unknown:
		return "a tool of an MCP server that is not named"
	case e.SkillName != "":
		return "the skill " + e.SkillName
	case e.Tool == "Bash":
		switch {
		case e.CommandKnown < event.Partial:
			return "a shell command"
		case b.o.IncludeContent:
			return "the shell command " + oneLine(e.CommandLine, 200)
		}
		program, _, _ := strings.Cut(e.CommandLine, " ")
		return "a shell command, " + oneLine(path.Base(program), 40)
	}
	return cmp.Or(e.Tool, "a tool")
}

func (b *traceBuilder) decision(e *event.Event) {
	s := b.step(e, "%s", b.call(e))
	s.Approval, s.tool, s.use, s.accepted = e.Approval.String(), e.Tool, e.ToolUse, e.Decision == "accept"
	s.open = s.accepted
	switch e.Approval {
	case event.ApprovalUnknown:
		b.noSource++
	case event.AutoAccept:
		b.auto++
	case event.ManualAccept:
		b.repeats++
	case event.HumanReject, event.Dismissed, event.PolicyDeny, event.HookDeny:
		b.t.Totals.Rejected++
	}
}

func (b *traceBuilder) result(e *event.Event) {
	n := &b.t.Totals
	n.Tools++
	if e.IsMCP() {
		n.Connectors++
	}
	if e.MCPKnown == event.Unknown {
		b.unnamed++
	}
	if e.Tool == "Bash" {
		b.shell++
	}
	if e.Has&event.FInput == 0 {
		b.noArguments++
	}
	var s *TraceStep
	for i := range b.t.Steps { // by id, else the first open call of the same tool
		x := &b.t.Steps[i]
		if x.open && e.ToolUse != "" && x.use == e.ToolUse {
			s = x
			s.Joined = "by id"
			break
		}
	}
	if s == nil && e.ToolUse == "" {
		for i := range b.t.Steps {
			if x := &b.t.Steps[i]; x.open && x.use == "" && x.tool == e.Tool {
				s = x
				s.Joined = "by order (inferred)"
				b.inferred++
				break
			}
		}
	}
	if s == nil {
		s = b.step(e, "")
		s.Approval = "no decision on record"
		b.unread++
	}
	s.open = false
	s.What = b.call(e) // a result often names more than the decision
	s.Result = fmt.Sprintf("e%d", e.Index)
	s.Millis = e.Duration
	if e.PathKnown == event.Known || e.PathKnown == event.Partial {
		n.Files++
		s.What += " on " + b.file(e)
		if e.Verb > event.VerbUnknown {
			s.What += " (" + e.Verb.String() + ")"
		}
	}
	if e.Has&event.FSuccess != 0 && !e.Success {
		n.Failed++
		s.What += ", fails"
		if e.ErrorType != "" {
			s.What += " with " + e.ErrorType
		}
		s.What += " (attempted, not done)"
	}
	if e.ResultSize > 0 {
		s.What += fmt.Sprintf(", %d bytes back", e.ResultSize)
	}
}

// file names the path of a call, or only says where it lies.
func (b *traceBuilder) file(e *event.Event) string {
	if b.o.IncludeContent {
		if n := len(e.Paths); n > 1 {
			return fmt.Sprintf("%s and %d more", e.Path, n-1)
		}
		return e.Path
	}
	ext := path.Ext(event.CleanPath(e.Path))
	what := "a file"
	if len(ext) > 1 && len(ext) <= 6 {
		what = "a " + ext + " file"
	}
	switch {
	case len(e.HostPaths) == 0:
		return what + ", its folder not comparable"
	case slices.ContainsFunc(e.HostPaths, func(r string) bool { return event.Within(e.Path, r) }):
		return what + " inside the connected folders"
	}
	return what + " not inside the connected folders"
}

func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// finish says what the records leave open.
func (b *traceBuilder) finish() {
	t := b.t
	for _, s := range t.Steps {
		if s.open {
			b.unfinished++
		}
	}
	say := func(when bool, format string, a ...any) {
		if when {
			t.Unknown = append(t.Unknown, fmt.Sprintf(format, a...))
		}
	}
	say(!b.prompted, "The prompt itself: no user_prompt record has this id, so who asked is known only from the other records.")
	say(b.redacted, "What was asked: the text was held back, only its length is on the wire.")
	say(t.Member == "unattributed", "Who asked: no record names a member, and none is guessed.")
	say(t.Totals.Requests > 0 && !b.responses, "What was answered: no assistant_response is on the wire.")
	say(b.noArguments > 0, "Files of %s: the arguments are not on the wire.", calls(b.noArguments))
	say(b.unnamed > 0, "The MCP server of %s: the wire does not name it.", calls(b.unnamed))
	say(t.Totals.Rejected > 0, "Where rejected calls would have reached: a rejected call carries no arguments.")
	say(b.unfinished > 0, "How %s ended: no result is on record; it never ran, or the record was lost.", calls(b.unfinished))
	say(b.unread > 0, "Who let %s run: no decision is on record.", calls(b.unread))
	say(b.noSource > 0, "Who decided %s: the decision does not say.", calls(b.noSource))
	say(b.auto > 0, "Which setting, rule or mode approved %s automatically.", calls(b.auto))
	say(b.repeats > 0, "Whether somebody clicked for each of %s: an earlier grant reports the same value.", calls(b.repeats))
	say(b.inferred > 0, "Whether decision and result belong together for %s: joined by order, for want of an id.", calls(b.inferred))
	say(b.shell > 0, "What %s touched: files and network of a command are not on the wire.", plural(b.shell, "shell command", "shell commands"))
	say(b.subs > 0, "Which agent ran which tool: tool records do not name the subagent.")
	say(b.retries > 0, "What happened in the attempts that were retried: only the last is logged.")
	gap := int64(0)
	for _, s := range b.sequence {
		slices.Sort(s)
		for i := 1; i < len(s); i++ {
			gap += max(s[i]-s[i-1]-1, 0)
		}
	}
	say(gap > 0, "%d records between the first and the last of this prompt: their numbers are missing, lost or of no prompt.", gap)
	say(b.noSequence, "The order of records with the same time: they carry no sequence number.")
	say(t.Totals.NoCost > 0, "The cost of %d requests: none is on the wire.", t.Totals.NoCost)
	say(true, "What tools gave back, what the files hold, the model's reasoning and what the screen showed: never on the wire.")
}

func calls(n int) string { return plural(n, "call", "calls") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Text is the story for people.
func (t *Trace) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Prompt %s\n", t.Prompt)
	fmt.Fprintf(&b, "  asked by  %s\n", t.Member)
	where := t.Product
	if t.Surface != "" {
		where += ", " + t.Surface
	}
	if t.Version != "" {
		where += ", version " + t.Version
	}
	fmt.Fprintf(&b, "  in        %s; %s %s\n", where, word(len(t.Sessions), "session", "sessions"), strings.Join(t.Sessions, ", "))
	fmt.Fprintf(&b, "  from      %s, for %s; %s", t.Start.UTC().Format("2006-01-02 15:04:05 MST"), t.End.Sub(t.Start).Round(100*time.Millisecond), plural(t.Records, "record", "records"))
	if t.Repeated > 0 {
		fmt.Fprintf(&b, " (and %d repeats)", t.Repeated)
	}
	b.WriteString("\n\n")
	for _, s := range t.Steps {
		line := s.What
		if s.Approval != "" {
			line += " [" + s.Approval + "]"
		}
		if s.Joined == "by order (inferred)" {
			line += " [joined by order]"
		}
		if s.Millis > 0 {
			line += fmt.Sprintf(", %s", (time.Duration(s.Millis) * time.Millisecond).Round(time.Millisecond))
		}
		if s.Cost > 0 {
			line += ", " + dollars(s.Cost)
		}
		fmt.Fprintf(&b, "  +%8.1fs  %-10s %s\n", s.At.Sub(t.Start).Seconds(), s.Event, line)
	}
	n := &t.Totals
	fmt.Fprintf(&b, "\nTotals: %s, %s, %s; %s run, %d failed, %d rejected; %d on files, %d by MCP",
		plural(n.Requests, "request", "requests"), dollars(n.CostMicros)+" at list prices", plural(n.Errors, "error", "errors"), plural(n.Tools, "tool", "tools"), n.Failed, n.Rejected, n.Files, n.Connectors)
	b.WriteString("\n\nCannot be known\n")
	for _, u := range t.Unknown {
		fmt.Fprintf(&b, "  - %s\n", u)
	}
	return b.String()
}

func word(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func dollars(micros int64) string {
	return fmt.Sprintf("$%d.%04d", micros/1e6, micros%1e6/100)
}
