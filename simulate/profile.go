package simulate

import (
	"embed"
	"fmt"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

//go:embed profiles/*.yaml
var profiles embed.FS

// number is one figure of a profile. Source says where it was measured, or that
// it is an assumption; a figure without one is refused.
type number struct {
	Value  float64 `yaml:"value,required"`
	Source string  `yaml:"source,required"`
}

// numbers are the figures every persona has in common.
type numbers struct {
	Sessions        number `yaml:"sessions_per_workday,required"`
	ActivitySigma   number `yaml:"activity_sigma,required"`
	ElsewhereSigma  number `yaml:"elsewhere_sigma,required"`
	Weekend         number `yaml:"weekend,required"`
	Holiday         number `yaml:"holiday,required"`
	Busy            number `yaml:"busy,required"`
	FailedConnect   number `yaml:"failed_connection,required"`
	OnShare         number `yaml:"on_share,required"`
	SecondFolder    number `yaml:"second_folder,required"`
	Upload          number `yaml:"upload,required"`
	ToOutside       number `yaml:"to_outside,required"`
	ToSeveral       number `yaml:"to_several,required"`
	ToUsual         number `yaml:"to_usual,required"`
	RampStart       number `yaml:"ramp_start,required"`
	RampDays        number `yaml:"ramp_days,required"`
	Curious         number `yaml:"curious,required"`
	PromptsMedian   number `yaml:"prompts_median,required"`
	PromptsSigma    number `yaml:"prompts_sigma,required"`
	ToolsMedian     number `yaml:"tools_median,required"`
	ToolsSigma      number `yaml:"tools_sigma,required"`
	Parallel        number `yaml:"parallel,required"`
	EarlyTool       number `yaml:"early_tool,required"`
	ThinkMedian     number `yaml:"think_median,required"`
	ThinkSigma      number `yaml:"think_sigma,required"`
	APIMedian       number `yaml:"api_median,required"`
	APISigma        number `yaml:"api_sigma,required"`
	ToolMedian      number `yaml:"tool_median,required"`
	ToolSigma       number `yaml:"tool_sigma,required"`
	MCPMedian       number `yaml:"mcp_median,required"`
	DecideMedian    number `yaml:"decide_median,required"`
	DecideSigma     number `yaml:"decide_sigma,required"`
	MCPShare        number `yaml:"mcp_share,required"`
	ManualShare     number `yaml:"manual_share,required"`
	RejectedShare   number `yaml:"rejected_share,required"`
	AskRejected     number `yaml:"ask_rejected,required"`
	PermanentShare  number `yaml:"permanent_share,required"`
	ToolFailure     number `yaml:"tool_failure,required"`
	APIError        number `yaml:"api_error,required"`
	Exhausted       number `yaml:"retries_exhausted,required"`
	ResponseText    number `yaml:"response_text,required"`
	NoDecisionCause number `yaml:"decision_source_missing,required"`
	Resume          number `yaml:"resume,required"`
	Subagent        number `yaml:"subagent,required"`
	HooksPrompt     number `yaml:"hooks_prompt,required"`
	HooksTool       number `yaml:"hooks_tool,required"`
	LocalServer     number `yaml:"local_server,required"`
	ModeChange      number `yaml:"mode_change,required"`
	AppFolder       number `yaml:"app_folder,required"`
	Windows         number `yaml:"windows,required"`
	CompactAt       number `yaml:"compact_at,required"`
	ContextFirst    number `yaml:"context_first,required"`
	ContextCached   number `yaml:"context_cached,required"`
	OutputMedian    number `yaml:"output_median,required"`
	OutputSigma     number `yaml:"output_sigma,required"`
	ResultMedian    number `yaml:"result_median,required"`
	ResultSigma     number `yaml:"result_sigma,required"`
	SilentShare     number `yaml:"silent_share,required"`
	OldShare        number `yaml:"old_share,required"`
	LongPrompt      number `yaml:"long_prompt,required"`
	Pasted          number `yaml:"pasted,required"`
	PastedMedian    number `yaml:"pasted_median,required"`
	PastedSigma     number `yaml:"pasted_sigma,required"`
	PromptUnseen    number `yaml:"prompt_unseen,required"`
	SkewShare       number `yaml:"skew_share,required"`
	SkewMost        number `yaml:"skew_most,required"`
	RestartMedian   number `yaml:"restart_median,required"`
	RestartSigma    number `yaml:"restart_sigma,required"`
	EgressDays      number `yaml:"egress_days,required"`
	TailLost        number `yaml:"tail_lost,required"`
	RecordLost      number `yaml:"record_lost,required"`
	BatchLate       number `yaml:"batch_late,required"`
	BatchTwice      number `yaml:"batch_twice,required"`
	CauseLost       number `yaml:"cause_lost,required"`
	CloudShare      number `yaml:"cloud_share,required"`
	IdentityLost    number `yaml:"identity_lost,required"`
}

type modelFamily struct {
	Family string   `yaml:"family,required"`
	Weight float64  `yaml:"weight,required"`
	Names  []string `yaml:"names,required"`
	Source string   `yaml:"source,required"`
}

type toolWeight struct {
	Name   string  `yaml:"name,required"`
	Weight float64 `yaml:"weight,required"`
	Source string  `yaml:"source,required"`
}

type hours struct {
	From   int    `yaml:"from,required"`
	To     int    `yaml:"to,required"`
	Source string `yaml:"source,required"`
}

// persona is how one kind of staff works. Sensitive is the share of prompts
// taken from Secrets, which carry synthetic member data.
type persona struct {
	Name      string   `yaml:"name,required"`
	Activity  number   `yaml:"activity,required"`
	Hours     hours    `yaml:"hours,required"`
	Busy      string   `yaml:"busy,enum=close|release"`
	Sensitive number   `yaml:"sensitive"`
	Folders   []string `yaml:"folders,required"`
	Files     []string `yaml:"files,required"`
	Prompts   []string `yaml:"prompts,required"`
	Secrets   []string `yaml:"secrets"`

	asks asks
}

type profile struct {
	Name           string        `yaml:"name,required"`
	N              numbers       `yaml:"numbers,required"`
	Models         []modelFamily `yaml:"models,required"`
	Tools          []toolWeight  `yaml:"tools,required"`
	Skills         []string      `yaml:"skills,required"`
	Servers        []string      `yaml:"servers,required"`
	ServerTools    []string      `yaml:"server_tools,required"`
	ConnectorTools []string      `yaml:"connector_tools,required"`
	Uploads        []string      `yaml:"uploads,required"`
	Outside        []string      `yaml:"outside,required"`   // domains that members write to
	Mailboxes      []string      `yaml:"mailboxes,required"` // names before the @ there
	Personas       []persona     `yaml:"personas,required"`
	Followups      []string      `yaml:"followups,required"`
	Commands       []string      `yaml:"commands,required"`
	Answers        []string      `yaml:"answers,required"`
	Words          []string      `yaml:"words,required"`
	Errands        []errand      `yaml:"errands,required"`
	Pastes         []paste       `yaml:"pastes,required"`
	Shell          []shell       `yaml:"shell,required"`

	wording     wording   // what stories may name: Errands, Pastes and Shell, and what their file adds
	toolWeights []float64 // weights of Tools, for pick
}

// loadProfile reads a shipped profile; the empty name is the office.
func loadProfile(name string) (*profile, error) {
	if name == "" {
		name = "office"
	}
	file := "profiles/" + name + ".yaml"
	data, err := profiles.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("behaviour profile %q is not shipped", name)
	}
	f, err := source.Parse(file, data)
	if err != nil {
		return nil, err
	}
	p := &profile{}
	if err := f.Decode(p); err != nil {
		return nil, err
	}
	for _, t := range p.Tools {
		p.toolWeights = append(p.toolWeights, t.Weight)
	}
	if err := p.settle(wording{}); err != nil {
		return nil, err
	}
	return p, nil
}

// settle checks the wording, with more that a story file adds, and deals it out.
func (p *profile) settle(more wording) error {
	own := wording{p.Errands, p.Pastes, p.Shell}
	known := p.wording
	p.wording = own.with(more)
	var ps source.Problems
	p.wording.check(&ps, p.Personas, known)
	for i := range p.Personas {
		x := &p.Personas[i]
		x.asks = p.wording.asks(x)
	}
	return ps.Err()
}

// persona finds a persona by name; an unknown or empty one works like general staff.
func (p *profile) persona(name string) *persona {
	last := &p.Personas[len(p.Personas)-1]
	for i := range p.Personas {
		if p.Personas[i].Name == name {
			return &p.Personas[i]
		}
		if p.Personas[i].Name == "general" {
			last = &p.Personas[i]
		}
	}
	return last
}
