package alert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/condition"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// What follows opens a loaded rule to those who translate it.

// Tree is the condition as parsed.
func (r *Rule) Tree() *condition.Node { return r.prog.Tree() }

// StepTrees are the steps of a sequence as parsed, each once, with how often it
// must match.
func (r *Rule) StepTrees() (trees []*condition.Node, counts []int) {
	for i, p := range r.steps {
		if i > 0 && p == r.steps[i-1] {
			counts[len(counts)-1]++
			continue
		}
		trees, counts = append(trees, p.Tree()), append(counts, 1)
	}
	return trees, counts
}

// ExceptionTrees are the conditions of the exceptions, beside Rule.Exceptions.
func (r *Rule) ExceptionTrees() []*condition.Node {
	var out []*condition.Node
	for i := range r.Exceptions {
		out = append(out, r.Exceptions[i].prog.Tree())
	}
	return out
}

// Times are the lengths the rule works with; zero where it has none.
type Times struct{ Window, Suppress, Warmup, Within, Baseline time.Duration }

// Times of the rule.
func (r *Rule) Times() Times {
	c := &r.Correlation
	return Times{c.window, r.suppress, c.warmup, c.within, c.baseline}
}

// Limit is the correlation's threshold under a configuration: micro-dollars
// where the rule asks for the declared session spend.
func (r *Rule) Limit(cfg Config) int64 {
	if !r.Correlation.fromSpend {
		return r.Correlation.threshold
	}
	if cfg.SpendSessionMicros > 0 {
		return cfg.SpendSessionMicros
	}
	return DefaultSessionSpendMicros
}

// AnyProduct reports a rule that listens to every product.
func (r *Rule) AnyProduct() bool { return r.any }

// IsNumber and IsText tell what kind of field a word is; a word that is neither
// is a list, a truth value or unknown.
func IsNumber(word string) bool { return numbers[word] != nil }

// IsText reports a word that holds text.
func IsText(word string) bool { return texts[word] != nil }

// Pattern is a class as regular expressions of Go: a text is of the class when
// one expression of every row of one alternative matches. What the expressions
// leave out, such as check digits, Misses says.
type Pattern struct {
	Alternatives [][]string
	Misses       string // "" when the expressions are the whole truth
}

// PatternOf gives a class as expressions; ok is false for an unknown class.
func PatternOf(class string) (p Pattern, ok bool) {
	switch class {
	case "confidential":
		return Pattern{[][]string{{marking.String()}}, ""}, true
	case "credential-path":
		return Pattern{[][]string{{credentialName.String()}}, "samples that projects ship on purpose are not left out"}, true
	case "pan":
		return Pattern{[][]string{{`\b(4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6011|65\d{2}|64[4-9]\d|62\d{2}|35\d{2})([ -]?\d{4}){3}\b|\b3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b`}}, "no check digit, no look at what announces the number"}, true
	case "phi":
		who := `(` + person.any.String() + `|\b[0-8]\d{2}-\d{2}-\d{4}\b)`
		return Pattern{[][]string{{record.any.String()}, {who, health.any.String()}, {who, diagnosisCode.String()}}, "social security numbers that are never issued count as well"}, true
	case "sad":
		return Pattern{[][]string{{verify.String()}, {pin.String(), card.String()}, {track1.String()}, {track2.String()}}, "no check digit in stripe data"}, true
	case "secret":
		return Pattern{[][]string{{token.String()}, {password.String()}}, "placeholders count as secrets"}, true
	}
	return Pattern{}, slices.Contains(Classes(), class)
}

// Words behind the truth values that are decided by names.
type Words struct {
	SendPrefixes    []string // of connector tools
	Senders         []string // programs of a shell command
	SendArguments   []string // that make one of them send
	BrowserTools    []string
	BrowserServer   []string // of these, the names that tell for a connected server too
	BrowserPrefix   string
	WritePrefixes   []string
	ReadPrefixes    []string
	ListPrefixes    []string
	AppFolders      []string
	DecisionClasses map[string][2][]string // approval class: decisions, sources

	// Expressions (RE2) over the arguments of a call, for its recipients.
	RecipientName     string // name of the argument, up to its value
	RecipientArgument string // the same with its value, a group
	MailAddress       string // one address, a group
}

// NamedWords are the words as the engine uses them.
func NamedWords() Words {
	return Words{
		SendPrefixes: slices.Clone(sendWords), Senders: slices.Clone(senders), SendArguments: slices.Clone(sendArguments),
		BrowserTools: slices.Clone(browserTools), BrowserServer: slices.Clone(browserServerTools), BrowserPrefix: "browser_",
		WritePrefixes: []string{"create", "write", "send", "upload", "add", "post", "insert", "update", "edit", "delete", "move", "rename", "set_"},
		ReadPrefixes:  []string{"get", "read", "fetch", "download", "export"},
		ListPrefixes:  []string{"list", "search", "find", "query"},
		AppFolders:    slices.Clone(appFolders),
		RecipientName: recipientName, RecipientArgument: recipientArgument, MailAddress: mailAddress,
		DecisionClasses: map[string][2][]string{
			"automatic":            {{"accept"}, {"config", "allowlist"}},
			"hook":                 {{"accept"}, {"hook"}},
			"manual":               {{"accept"}, {"user_temporary", "user_permanent"}},
			"rejected by a person": {{"reject"}, {"user_reject"}},
			"dismissed":            {{"reject"}, {"user_abort"}},
			"denied by policy":     {{"reject"}, {"config"}},
			"denied by hook":       {{"reject"}, {"hook"}},
		},
	}
}

// Variant is the rule with another threshold or one exception more, for asking
// what a change would do. Empty texts change nothing. The rule itself stays.
func (r *Rule) Variant(threshold, except string) (*Rule, error) {
	var ps source.Problems
	v := *r
	if threshold != "" {
		switch v.Correlation.Type {
		case "count", "distinct", "sum", "absence", "rate", "first_seen":
		default:
			return nil, fmt.Errorf("rule %s has no threshold to change", r.ID)
		}
		n, err := strconv.ParseInt(strings.ReplaceAll(threshold, "_", ""), 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a threshold: write a whole number of 1 or more", threshold)
		}
		v.Correlation.threshold, v.Correlation.fromSpend = n, false
	}
	if except != "" {
		p := compileText(source.Text{Value: except, At: source.Pos{File: "exception", Line: 1, Col: 1}}, &ps)
		if err := ps.Err(); err != nil {
			return nil, err
		}
		v.Exceptions = append(slices.Clip(v.Exceptions), Exception{Owner: "trial", Reason: "trial", Expires: source.Day(2199, 1, 1), prog: p})
	}
	return &v, nil
}
