package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sandtable-dev/sandtable/assess"
	"github.com/sandtable-dev/sandtable/rules"
)

// The small writers: for a spreadsheet, a pipeline, a chat window.

// csvSafe keeps a spreadsheet from running what a cell says: text that starts
// with a character that begins a formula, in any width, gets an apostrophe.
func csvSafe(s string) string {
	s = Plain(s)
	r, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == unicode.ReplacementChar }))
	if strings.ContainsRune("=+-@|%＝＋－＠", r) {
		return "'" + s
	}
	return s
}

func csvFile(head []string, rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true // RFC 4180
	if err := w.Write(head); err != nil {
		return nil, err
	}
	for _, r := range rows {
		safe := make([]string, len(r))
		for i, c := range r {
			safe[i] = csvSafe(c)
		}
		if err := w.Write(safe); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// ObligationsCSV is every obligation, one a line.
func ObligationsCSV(a *assess.Assessment) ([]byte, error) {
	var rows [][]string
	for _, o := range a.Obligations {
		rows = append(rows, []string{o.ID, o.Framework, o.Citation, o.Title, o.Label, o.Verdict.Code(), o.Verdict.String(), yesNo(o.DesignOnly), o.CappedBy, o.IfItWere, strings.Join(o.Reasons, " "), strings.Join(o.Remedy, " ")})
	}
	return csvFile([]string{"id", "framework", "citation", "title", "label", "verdict", "verdict_name", "design_only", "capped_by", "if_it_were", "reasons", "remedy"}, rows)
}

// FindingsCSV is every finding, one a line. Members are as the findings name
// them: pseudonyms, unless asked otherwise.
func FindingsCSV(fs []rules.Finding) ([]byte, error) {
	var rows [][]string
	for _, f := range fs {
		l := findingLine(f, rules.MaxEventRefs)
		rows = append(rows, []string{f.ID, f.Engine, f.Rule, l.Severity, f.Title, f.Member, f.Group, l.Time, f.Reason, fmt.Sprint(f.Count), l.Events})
	}
	return csvFile([]string{"id", "engine", "rule", "severity", "title", "member", "group", "time_utc", "reason", "events", "event_ids"}, rows)
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string    `xml:"classname,attr"`
	Name    string    `xml:"name,attr"`
	Failure *junitSay `xml:"failure"`
	Error   *junitSay `xml:"error"`
	Skipped *junitSay `xml:"skipped"`
}

type junitSay struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// JUnit gives obligations and rollout checks to a pipeline. Only what is
// supported passes. A gap and a part fail; what was not assessed is an error,
// so that an empty input never turns green; an attestation nobody gave is an
// error too. What does not apply is skipped.
func JUnit(a *assess.Assessment) ([]byte, error) {
	out := junitSuites{Name: Plain(a.Scenario + " as of " + a.AsOf)}
	for _, f := range a.Frameworks {
		s := junitSuite{Name: Plain(f.Title)}
		for _, o := range a.Obligations {
			if o.Framework != f.ID {
				continue
			}
			c := junitCase{Class: o.Framework, Name: Plain(o.ID + " " + o.Title)}
			say := &junitSay{Message: o.Verdict.String(), Text: Plain(strings.Join(append(append([]string{}, o.Reasons...), o.Remedy...), " "))}
			switch {
			case !f.Applicable, o.Verdict == assess.NotApplicable:
				c.Skipped = say
			case o.Verdict == assess.Supported:
			case o.Verdict == assess.NotAssessed, o.Verdict == assess.NeedsAttestation:
				c.Error = say
			default:
				c.Failure = say
			}
			s.add(c)
		}
		out.Suites = append(out.Suites, s)
	}
	if len(a.Checks) > 0 {
		s := junitSuite{Name: "Rollout checks"}
		for _, x := range a.Checks {
			c := junitCase{Class: "checks", Name: Plain(x.ID + " " + x.Title)}
			say := &junitSay{Message: checkStatus(x.Result).Word, Text: Plain(strings.Join(x.Reasons, " "))}
			switch x.Result {
			case "pass":
			case "fail":
				c.Failure = say
			default:
				c.Error = say
			}
			s.add(c)
		}
		out.Suites = append(out.Suites, s)
	}
	data, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

// markdownSpecial are the characters that would be read as markup, HTML included.
var markdownSpecial = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "&lt;", ">", "&gt;", "#", "\\#", "|", "\\|", "&", "&amp;", "~", "\\~", "!", "\\!")

func md(s string) string { return markdownSpecial.Replace(Plain(strings.TrimSpace(s))) }

// Markdown is the board copy for a chat window or a ticket.
func Markdown(d *Document) []byte {
	var b strings.Builder
	if d.Meta.Content != "" {
		fmt.Fprintf(&b, "**%s**\n\n", md(d.Meta.Content))
	}
	if d.Meta.Simulated {
		fmt.Fprintf(&b, "**%s**\n\n", md(d.Meta.Banner))
	}
	for _, s := range d.Board().Sections {
		fmt.Fprintf(&b, "%s %s\n\n", strings.Repeat("#", s.Level), md(s.Title))
		for _, blk := range s.Blocks {
			markdownBlock(&b, blk)
		}
	}
	return []byte(strings.TrimRight(b.String(), "\n") + "\n")
}

func markdownBlock(b *strings.Builder, blk Block) {
	switch v := blk.(type) {
	case Lead:
		fmt.Fprintf(b, "**%s**\n\n", md(v.Text))
	case Paragraph:
		fmt.Fprintf(b, "%s\n\n", md(v.Text))
	case Heading:
		fmt.Fprintf(b, "### %s\n\n", md(v.Text))
	case Bullets:
		for _, s := range v.Items {
			fmt.Fprintf(b, "- %s\n", md(s))
		}
		b.WriteString("\n")
	case KeyValues:
		for _, p := range v.Pairs {
			fmt.Fprintf(b, "- %s: %s\n", md(p.Key), md(p.Value))
		}
		b.WriteString("\n")
	case StatusRow:
		fmt.Fprintf(b, "%s\n\n", join(". ", md(v.Status.text()), md(v.Title), md(v.Text)))
	case Strip:
		fmt.Fprintf(b, "> **%s**  \n> %s\n", md(v.Title), md(v.Text))
		for _, s := range v.Items {
			fmt.Fprintf(b, "> \n> %s\n", md(s))
		}
		b.WriteString("\n")
	case Tally:
		for _, r := range v.Rows {
			fmt.Fprintf(b, "- **%s**: %s. %s\n", md(r.Title), md(r.Status.text()), md(r.Text))
		}
		b.WriteString("\n")
	case Table:
		markdownTable(b, v)
	case Beside:
		for _, x := range append(append([]Block{}, v.First...), v.Then...) {
			markdownBlock(b, x)
		}
	case Notice:
		fmt.Fprintf(b, "**%s**\n\n", md(v.Title))
		for _, x := range v.Blocks {
			markdownBlock(b, x)
		}
	case Figure:
		fmt.Fprintf(b, "*%s.* %s\n\n", md(v.Title), md(v.Alt))
		if v.Data != nil {
			markdownTable(b, *v.Data)
		}
	default:
		panic("reports: a block that Markdown does not know")
	}
}

func markdownTable(b *strings.Builder, t Table) {
	for _, h := range t.Head {
		b.WriteString("| " + md(h) + " ")
	}
	b.WriteString("|\n" + strings.Repeat("|---", len(t.Head)) + "|\n")
	for _, r := range t.Rows {
		for i := range t.Head {
			cell := ""
			if i < len(r) {
				cell = md(r[i].text())
			}
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	if t.Note != "" {
		fmt.Fprintf(b, "\n%s\n", md(t.Note))
	}
	b.WriteString("\n")
}
