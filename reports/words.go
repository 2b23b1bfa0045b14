package reports

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sandtable-dev/sandtable/assess"
)

// This file turns the codes of an assessment into the words and marks people
// read. A code that is not listed is shown in words with the "unknown" mark:
// it can never borrow the look of a pass.

var verdictShapes = map[assess.Verdict]Shape{
	assess.Supported: Disc, assess.PartlySupported: Half, assess.GapYouCanClose: Triangle, assess.GapNoConfiguration: Square,
	assess.NeedsAttestation: Diamond, assess.NotAssessed: Ring, assess.NotApplicable: Dash,
}

func verdictStatus(v assess.Verdict) Status { return Status{v.String(), verdictShapes[v]} }

func shapeOfCode(code string) Shape {
	for _, v := range assess.Verdicts() {
		if v.Code() == code {
			return verdictShapes[v]
		}
	}
	return Ring
}

// rank orders verdicts for a roll-up, worst first.
func rank(v assess.Verdict) int {
	for i, w := range []assess.Verdict{assess.GapNoConfiguration, assess.GapYouCanClose, assess.NotAssessed, assess.PartlySupported, assess.NeedsAttestation, assess.Supported} {
		if v == w {
			return i
		}
	}
	return 99
}

func worse(x, y assess.Verdict) assess.Verdict {
	if rank(y) < rank(x) {
		return y
	}
	return x
}

func postureStatus(f assess.FrameworkResult) Status {
	if !f.Applicable {
		return Status{"Not in scope", Dash}
	}
	if f.Posture == "" {
		return Status{"Not assessed", Ring}
	}
	return anyPosture(f.Posture)
}

func answerStatus(p string) Status { return anyPosture(or(p, assess.NotEvaluable)) }

// anyPosture takes the posture of a framework or an answer: workloads may carry either.
func anyPosture(p string) Status {
	switch p {
	case assess.DoNotPlace:
		return Status{assess.PostureName(p), Square}
	case assess.NotReady:
		return Status{assess.PostureName(p), Triangle}
	case assess.SubjectToAttest:
		return Status{assess.PostureName(p), Diamond}
	case assess.EvidenceSupports:
		return Status{assess.PostureName(p), Disc}
	case assess.NotSupportable:
		return Status{assess.AnswerName(p), Square}
	case assess.WithConditions:
		return Status{assess.AnswerName(p), Triangle}
	case assess.Supportable:
		return Status{assess.AnswerName(p), Disc}
	case assess.Verify, assess.NotEvaluable:
		return Status{assess.AnswerName(p), Ring}
	case "":
		return Status{"Not assessed", Ring}
	}
	return Status{words(p), Ring}
}

func stateStatus(s string) Status {
	switch s {
	case "absent":
		return Status{"Absent", Square}
	case "open":
		return Status{"Open", Square}
	case "partial":
		return Status{"Partial", Half}
	case "unattested":
		return Status{"Not attested", Diamond}
	case "present":
		return Status{"Present", Disc}
	case "closed":
		return Status{"Closed", Disc}
	case "not_an_audit_surface":
		return Status{"Not an audit surface", Dash}
	case "not_applicable":
		return Status{"Not applicable", Dash}
	case "", "unknown":
		return Status{"Unknown", Ring}
	}
	return Status{words(s), Ring}
}

func stateWords(s string) string {
	switch s {
	case "met":
		return "Met"
	case "short":
		return "Falls short"
	case "absent-fixable":
		return "Absent, can be supplied"
	case "absent-unfixable":
		return "Absent, nothing here supplies it"
	case "unattested":
		return "Not attested"
	}
	return "Unknown"
}

func elementStatus(s string) Status {
	shape := map[string]Shape{"met": Disc, "short": Half, "absent-fixable": Triangle, "absent-unfixable": Square, "unattested": Diamond}[s]
	if shape == NoShape {
		shape = Ring
	}
	return Status{stateWords(s), shape}
}

func propositionStatus(v string) Status {
	switch v {
	case "true":
		return Status{"True", Disc}
	case "possible":
		return Status{"Possible", Disc}
	case "false":
		return Status{"False", Square}
	case "impossible":
		return Status{"Impossible", Square}
	case "verify":
		return Status{"Verify first", Ring}
	case "unverifiable":
		return Status{"Cannot be verified", Ring}
	}
	return Status{words(or(v, "not judged")), Ring}
}

func checkStatus(r string) Status {
	switch r {
	case "pass":
		return Status{"Met", Disc}
	case "fail":
		return Status{"Not met", Square}
	case "verify":
		return Status{"Verify first", Ring}
	}
	return Status{"Not evaluable", Ring}
}

func classWords(c string) string {
	w := map[string]string{
		"E1": "Administration record", "E2": "Vendor transcript", "E3": "Client telemetry", "E4": "Configuration snapshot",
		"E5": "Independent population", "E6": "Signed attestation", "E7": "Simulated data",
	}[c]
	return or(w, c)
}

func severityRank(s string) int {
	for i, w := range []string{"critical", "high", "medium", "low", "info"} {
		if strings.EqualFold(s, w) {
			return i
		}
	}
	return -1 // an unknown severity is shown first, not lost at the end
}

// elementSlug is the element's name without the obligation it was judged in.
func elementSlug(e assess.ElementResult) string {
	return e.ID[strings.LastIndexByte(e.ID, '/')+1:]
}

var spelled = map[string]string{
	"zdr": "Zero data retention", "cmek": "Customer-managed keys", "hipaa_ready": "HIPAA-ready", "hipaa_configuration": "HIPAA configuration",
	"phi": "Health data", "chd": "Card data", "icfr": "Financial reporting data", "pii": "Personal data", "third_party": "Third-party inference", "scim": "SCIM", "jit": "Just-in-time provisioning",
}

// words spells a code out: covered_entity reads "Covered entity".
func words(code string) string {
	if w, ok := spelled[code]; ok {
		return w
	}
	return title(strings.NewReplacer("_", " ", "-", " ").Replace(code))
}

// spaced is a name for running text: claims-summaries reads claims summaries.
func spaced(name string) string { return strings.NewReplacer("-", " ", "_", " ").Replace(name) }

func wordList(codes []string) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = words(c)
		if i > 0 {
			out[i] = strings.ToLower(first(out[i])) + rest(out[i])
		}
	}
	return out
}

func list(codes []string) string {
	if len(codes) == 0 {
		return "None declared"
	}
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = c
		if _, known := spelled[c]; known || strings.Contains(c, "_") || strings.ToLower(c) == c {
			out[i] = words(c)
		}
		if i > 0 && !strings.HasPrefix(out[i], "HIPAA") {
			out[i] = strings.ToLower(first(out[i])) + rest(out[i])
		}
	}
	return strings.Join(out, ", ")
}

func first(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

func rest(s string) string { return s[len(first(s)):] }

func title(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// firstSentence keeps a summary to one line; a full stop inside a number or an
// abbreviation is not followed by a space and a capital.
func firstSentence(s string) string {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '.' && s[i+1] == ' ' && unicode.IsUpper(rune(s[i+2])) {
			return s[:i+1]
		}
	}
	return s
}

// firstWords is what stands before the colon of a banner.
func firstWords(s string) string {
	if i := strings.IndexByte(s, ':'); i > 0 {
		return s[:i]
	}
	return s
}

func mono(ids []string) Cell { return Cell{Text: strings.Join(ids, ", "), Mono: true} }

func texts(ss ...string) []Cell {
	out := make([]Cell, len(ss))
	for i, s := range ss {
		out[i] = Cell{Text: s}
	}
	return out
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func paren(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func isAre(n int) string { return plural(n, "is", "are") }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func count(n int, noun string) string { return fmt.Sprintf("%d %s%s", n, noun, plural(n, "", "s")) }

// num groups thousands: 1234567 reads 1,234,567.
func num(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		s = "-" + s
	}
	return s
}

// levelStatus is what a role gives, with a mark that does not judge it.
func levelStatus(l string) Status {
	switch l {
	case "allow", "available", "auto-install", "required":
		return Status{words(l), Disc}
	case "ask":
		return Status{words(l), Half}
	case "deny", "not_available":
		return Status{words(l), Dash}
	}
	return Status{words(or(l, "not known")), Ring}
}

func titles(ss []string) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = title(s)
	}
	return out
}

// effectStatus is what a control does: closes, helps or aspirational.
func effectStatus(label string) Status {
	switch label {
	case "closes":
		return Status{"Closes", Disc}
	case "helps":
		return Status{"Helps", Half}
	case "aspirational":
		return Status{"Aspirational", Ring}
	}
	return Status{words(or(label, "not shown")), Ring}
}

// answerShape finds the mark of an answer by the name people read, or of a verdict.
func answerShape(name string) Shape {
	for _, p := range []string{assess.NotSupportable, assess.WithConditions, assess.Supportable, assess.Verify, assess.NotEvaluable} {
		if assess.AnswerName(p) == name {
			return answerStatus(p).Shape
		}
	}
	return shapeOfName(name)
}

// closed ends a text that has no end of its own with a full stop; a question stays one.
func closed(s string) string {
	if s = strings.TrimRight(strings.TrimSpace(s), ". "); strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") {
		return s
	}
	return s + "."
}

// sentences ends each text with one full stop.
func sentences(ss []string) string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = title(strings.TrimRight(strings.TrimSpace(s), ".;")) + "."
	}
	return strings.Join(out, " ")
}
