package alert

import (
	"encoding/binary"
	"regexp"
	"strings"
	"unsafe"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// Classes are the kinds of data that classifier(text, class) recognises.
func Classes() []string {
	return []string{"confidential", "credential-path", "pan", "phi", "sad", "secret"}
}

// Classify reports that the text holds data of the class. It recognises shapes
// and words, so it errs both ways; the rules that use it say how.
func Classify(text, class string) bool { return classify(text, class, look(text)) }

// Look tells what a text could hold at all, for ClassifyLooked. It costs about a
// nanosecond a byte, matching its expressions a hundred times that.
func Look(text string) event.Marks { return event.Marks(look(text)) }

// Mark looks at the texts of an event, once for all engines (event.Ready).
func Mark(ev *event.Event) {
	for i, text := range ev.Texts() {
		ev.Marks[i] = 0
		if *text != "" && *text != event.Redacted {
			ev.Marks[i] = Look(*text)
		}
	}
	ev.PathMarks, ev.CommandMarks = lookInside(ev.Path, ev.Input, ev.Marks[2]), lookInside(ev.CommandLine, ev.Parameters, ev.Marks[3])
	for i, text := range ev.Texts() {
		if m := &ev.Marks[i]; *m != 0 {
			*m = event.Marks(settled(*text, hint(*m)))
		}
	}
	ev.Looked = true
}

// settled takes away the hints of the two classes that everybody asks about, where they
// lead to nothing. What it costs is paid once and where events are decoded. It tells
// nothing of a part of the text, whose ends may be other words.
func settled(text string, h hint) hint {
	const phi = hintPerson | hintRecord | hintHealth | hintSocial
	if h&phi != 0 && !classify(text, "phi", h) {
		h &^= phi
	}
	if h&hintDigits != 0 && !holdsPAN(text) {
		h &^= hintDigits
	}
	return h
}

// lookInside is Look for a text that is mostly a piece of another one, in the same
// memory: what the whole cannot hold, its piece can hold at its ends alone, where
// other words may be cut.
func lookInside(text, whole string, of event.Marks) event.Marks {
	if len(text) < 3 {
		return 0
	}
	a, b := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	if of == 0 && a >= b && a+uintptr(len(text)) <= b+uintptr(len(whole)) {
		if from, to := int(a-b), int(a-b)+len(text); (from == 0 || !isWord(whole[from-1])) && (to == len(whole) || !isWord(whole[to])) {
			return 0
		}
	}
	return Look(text)
}

// ClassifyLooked is Classify for a text that Look has looked at.
func ClassifyLooked(text, class string, m event.Marks) bool {
	return m != 0 && classify(text, class, hint(m))
}

func classify(text, class string, h hint) bool {
	switch class {
	case "confidential":
		return h&hintMarking != 0 && marking.MatchString(text)
	case "credential-path":
		return h&hintCredential != 0 && credentialPath(text)
	case "pan":
		return h&hintDigits != 0 && holdsPAN(text)
	case "phi":
		// A person is asked for last: texts that name one are many, and dear to match.
		return h&hintRecord != 0 && record.match(text, h) ||
			h&(hintPerson|hintSocial) != 0 && (h&hintHealth != 0 && health.match(text, h) || mayHoldCode(text) && diagnosisCode.MatchString(text)) && namesPerson(text, h)
	case "sad":
		return holdsSAD(text, h)
	case "secret":
		return h&hintToken != 0 && token.MatchString(text) || h&hintSecret != 0 && holdsPassword(text)
	}
	return false
}

var (
	// A marking, not the word in a sentence: capitals, or one of the fixed phrases.
	marking = regexp.MustCompile(`\bCONFIDENTIAL\b|(?i:\b(strictly|highly|company|client) confidential\b|\binternal use only\b|\bnot for distribution\b|\battorney[- ]client privileged?\b|\btrade secret\b)`)

	// A record number of a patient or plan member identifies by itself; health words need a person beside them.
	record = wordsOf(hintRecord, `(?i)\b(mrn|medical record (number|no\.?)|health plan (beneficiary|member) (number|id)|patient id)\W{0,3}(is )?[a-z]{0,3}-?\d{5,12}\b`)
	health = wordsOf(hintHealth, `(?i)\b(diagnos(is|ed|es)|icd-?10|prescri(bed|ption)|prognosis|treated for|treatment plan|lab results?|hiv|oncolog\w+|chemotherapy|psychiatric|medical history|claimant|admitted with)\b`)
	person = wordsOf(hintPerson, `(?i)\b(date of birth|dob|born(?: on)?)\b\W{0,3}(?:\d|(?-i:[A-Z]))|\bmember (?:id|number|no\.?)\W{0,3}(?:is )?[a-z]{0,3}-?0*[1-9]\d{4,11}\b|\b(patient|claimant|insured|member)(?: name)?[ :]+(?-i:[A-Z][a-z]+ [A-Z][a-z]+)`)
	social = regexp.MustCompile(`\b(\d{3})-(\d{2})-(\d{4})\b`)

	// A code of the tenth revision with its subdivision: a letter, two characters, a point.
	diagnosisCode = regexp.MustCompile(`\b[A-TV-Z]\d[0-9A-Z]\.[0-9A-Z]{1,4}\b`)

	token    = regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{40}|\bsk-[A-Za-z0-9_-]{24}|\b[sr]k_live_[A-Za-z0-9]{16}|\bxox[abeprs]-[A-Za-z0-9-]{10}|-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10}`)
	password = regexp.MustCompile(`(?i)\b[a-z_]*(?:password|passwd|secret|api[_-]?key|access[_-]?token)["']?\s*[:=]\s*["']?([^\s"',;]{8,})`)

	refused = regexp.MustCompile(`(?i)(order|invoice|ticket|tracking|shipment|reference|ref|imei|isbn|phone|timestamp|uuid|trace|session|_id|\bid)\W{0,12}(no|number|nr|#)?\W{0,4}$`)
	card    = regexp.MustCompile(`(?i)\b(card|visa|mastercard|amex|american express|discover|diners|jcb|unionpay|pan|credit|debit|cvv2?|cvc2?|expir\w*)\b`)
	verify  = regexp.MustCompile(`(?i)\b(?:cvv2?|cvc2?|cav2|card verification (?:value|code|number)|card security code)\b\W{0,3}(?:code|number|is|was)?\W{0,3}\d{3,4}\b`)
	pin     = regexp.MustCompile(`(?i)\bpin\b\W{0,3}(?:code|number|is|was)?\W{0,3}\d{4,6}\b`)
	track1  = regexp.MustCompile(`%?B(\d{12,19})\^[^\^]{2,26}\^\d{4}`)
	track2  = regexp.MustCompile(`;?\b(\d{12,19})[=D]\d{7}`)
)

// words is an expression whose matches all begin with one of the words of a hint, which
// is what it is tried at. On a long text that costs a hundredth of a search.
type words struct {
	bit       hint
	any, here *regexp.Regexp
}

func wordsOf(bit hint, text string) words {
	return words{bit, regexp.MustCompile(text), regexp.MustCompile(`^(?:` + text + `)`)}
}

// match reports a match in a text that was looked at.
func (w *words) match(text string, h hint) bool {
	if h&hintFold != 0 {
		return w.any.MatchString(text)
	}
	for at := 0; at+3 <= len(text); at++ {
		if hintsIn(text, at)&w.bit != 0 && w.here.MatchString(text[at:]) {
			return true
		}
	}
	return false
}

// hint says which words a text holds without which the expressions above cannot
// match. Hardly any prompt holds one, and one look costs a hundredth of a match.
type hint uint16

const (
	hintMarking hint = 1 << iota
	hintPerson
	hintRecord
	hintHealth
	hintSecret
	hintVerify
	hintPIN
	hintCredential
	hintToken
	hintDigits // what a card number needs: 13 digits, at most one blank or dash between two of them
	hintStripe // what a magnetic stripe needs: 12 digits in a row and the sign that ends the account number
	hintSocial // digits in the form of a social security number
	hintFold   // a letter outside ASCII that stands for one inside: words may be written with it
)

// hintWord is what an expression cannot match without. Where that has a word boundary
// in front, or something else than a letter or digit, edge says so; whole says that no
// word byte stands behind.
type hintWord struct {
	word        string
	bit         hint
	edge, whole bool
}

// hintWords by the low five bits of their first three bytes, which are the same for
// both cases of a letter, the first byte lowest. hintIndex says where they stand, 0
// for no word, and hintStart whether there are any: it is small enough to stay near
// while a text is read.
var hintWords, hintIndex, hintStart = func() (words [][]hintWord, index [1 << 15]uint8, start [1 << 9]uint64) {
	words = [][]hintWord{nil}
	add := func(bit hint, edge, whole bool, list ...string) {
		for _, w := range list {
			k := startOf(w)
			if index[k] == 0 {
				index[k] = uint8(len(words))
				words = append(words, nil)
			}
			start[k>>6] |= 1 << (k & 63)
			words[index[k]] = append(words[index[k]], hintWord{w, bit, edge, whole})
		}
	}
	add(hintMarking, true, false, "confidential", "internal use only", "not for distribution", "attorney", "trade secret")
	add(hintPerson, true, false, "date of birth", "dob", "born", "member", "patient", "claimant", "insured")
	add(hintRecord, true, false, "mrn", "medical record n", "health plan beneficiary", "health plan member", "patient id")
	add(hintHealth, true, false, "diagnos", "prescribed", "prescription", "psychiatric", "medical history", "oncolog", "chemotherapy", "lab result")
	add(hintHealth, true, true, "icd10", "icd-10", "prognosis", "treated for", "treatment plan", "hiv", "claimant", "admitted with")
	add(hintSecret, false, false, "password", "passwd", "secret", "api_key", "api-key", "apikey", "access_token", "access-token", "accesstoken")
	add(hintVerify, true, false, "cvv", "cvc", "cav2", "card verification", "card security")
	add(hintPIN, true, true, "pin")
	add(hintCredential, true, false, ".ssh", ".aws", ".gnupg", ".kube", ".azure", ".docker", ".netrc", ".pgpass", ".npmrc", ".git-credentials", "id_rsa", "id_ed25519", "id_ecdsa", "keychain", "credentials", ".env")
	add(hintToken, true, false, "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "sk_live_", "rk_live_", "xox", "eyj")
	add(hintToken, false, false, "-----begin")
	return words, index, start
}()

func isDigit(c byte) bool { return c-'0' <= 9 }

// isWord is what expressions take for a part of a word.
func isWord(c byte) bool { return c == '_' || isDigit(c) || c|32-'a' < 26 }

// startOf is the start of a word by the low five bits of its three bytes.
func startOf(text string) uint64 {
	return uint64(text[0]&31) | uint64(text[1]&31)<<5 | uint64(text[2]&31)<<10
}

// begun tells in its lowest bit whether a word starts like that.
func begun(start uint64) uint64 { return hintStart[start>>6&511] >> (start & 63) }

// hintsIn are the words that begin at a place of the text.
func hintsIn(text string, at int) hint {
	if k := startOf(text[at:]); begun(k)&1 != 0 {
		return hintsAt(text, at, k)
	}
	return 0
}

// hintsAt is hintsIn for a place where some word starts like k.
func hintsAt(text string, at int, k uint64) (h hint) {
	words := hintWords[hintIndex[k]]
	for i := range words {
		w := &words[i]
		if w.edge && at > 0 && isWord(text[at-1]) || !begins(text[at:], w.word) {
			continue
		}
		if end := at + len(w.word); w.whole && end < len(text) && isWord(text[end]) {
			continue
		}
		h |= w.bit
	}
	return h
}

// look reads a text once. It may say too much, and never too little.
func look(text string) (h hint) {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	row, run := 0, 0 // digits in a row; digits with at most one blank or dash between them
	for i := 0; i < len(text); {
		end := i + 1
		if i+8 <= len(text) { // six places at a time
			x := binary.LittleEndian.Uint64([]byte(text[i : i+8]))
			end = i + 6
			plain := x&high == 0 && (x^'0'*ones+(0x80-10)*ones)&high == high // neither digits nor bytes beyond ASCII
			x = x&0x001f001f001f001f | x>>3&0x03e003e003e003e0
			x = x&0x000003ff000003ff | x>>6&0x000ffc00000ffc00
			x = x&0x00000000000fffff | x>>12&0x000000fffff00000 // five bits of each byte
			if (begun(x)|begun(x>>5)|begun(x>>10)|begun(x>>15)|begun(x>>20)|begun(x>>25))&1 != 0 {
				for j := i; j < end; j++ {
					if begun(x)&1 != 0 {
						h |= hintsAt(text, j, x&(1<<15-1))
					}
					x >>= 5
				}
			}
			if plain && run == 0 {
				i = end
				continue
			}
		} else if i+3 <= len(text) {
			h |= hintsIn(text, i)
		}
		for ; i < end; i++ {
			c := text[i]
			switch {
			case isDigit(c):
				row++
				if run++; run >= 13 {
					h |= hintDigits
				}
			case run > 0 && c < 0x80:
				if row >= 12 && (c == '^' || c == '=' || c == 'D') {
					h |= hintStripe
				}
				if c == '-' && row >= 3 && i+4 < len(text) && text[i+3] == '-' && isDigit(text[i+1]) && isDigit(text[i+2]) && isDigit(text[i+4]) {
					h |= hintSocial
				}
				if row = 0; c != ' ' && c != '-' || !isDigit(text[i-1]) {
					run = 0
				}
			case c == 0xbf && i > 0 && text[i-1] == 0xc5, c == 0xaa && i > 0 && text[i-1] == 0x84:
				return ^hint(0) // a long s or a kelvin sign, which match s and k without regard to case
			}
		}
	}
	return h
}

// begins reports that the text begins with the word, which is in lower case,
// whatever its own case.
func begins(text, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		c := text[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// namesPerson reports a text that points at one person. Social security numbers
// of areas, groups or serials that are never issued belong to nobody.
func namesPerson(text string, h hint) bool {
	if h&hintPerson != 0 && person.match(text, h) {
		return true
	}
	if h&hintSocial == 0 {
		return false
	}
	for _, m := range social.FindAllStringSubmatch(text, 16) {
		if m[1] != "000" && m[1] != "666" && m[1][0] != '9' && m[2] != "00" && m[3] != "0000" {
			return true
		}
	}
	return false
}

// mayHoldCode reports that a point stands where a diagnosis code has it. It may say
// too much, and never too little.

func mayHoldCode(text string) bool {
	for at := 3; at < len(text); at++ {
		i := strings.IndexByte(text[at:], '.')
		if i < 0 {
			return false
		}
		if at += i; isDigit(text[at-2]) && text[at-3]-'A' < 26 {
			return true
		}
	}
	return false
}

func holdsPassword(text string) bool {
	for _, m := range password.FindAllStringSubmatch(text, 8) {
		v := strings.ToLower(m[1])
		if strings.ContainsAny(v[:1], "$<{[*%(") || strings.Trim(v, "x*.") == "" || strings.Contains(v, "example") || strings.Contains(v, "placeholder") || strings.HasPrefix(v, "your") {
			continue // a place-holder, not a secret
		}
		return true
	}
	return false
}

// holdsPAN looks for a payment card number: an issuer's prefix and length, the
// check digit, more than one digit, not part of a longer token, and not
// announced as another kind of number.
func holdsPAN(text string) bool {
	for at := 0; ; {
		from, to := account(text, at)
		if from < 0 {
			return false
		}
		at = to
		if from > 0 && wordByte(text[from-1]) || to < len(text) && wordByte(text[to]) {
			continue
		}
		n := unspaced.Replace(text[from:to])
		before := text[max(0, from-32):from]
		if isPAN(n) && (!refused.MatchString(before) || card.MatchString(before)) {
			return true
		}
	}
}

// account finds the next 13 to 19 digits with at most one blank or dash between two of
// them, as many as there are; from is -1 without.
func account(text string, at int) (from, to int) {
	for at < len(text) {
		if !isDigit(text[at]) {
			at++
			continue
		}
		from, to = at, at+1
		n := 1
		for ; n < 19 && to < len(text); n++ {
			if isDigit(text[to]) {
				to++
			} else if (text[to] == ' ' || text[to] == '-') && to+1 < len(text) && isDigit(text[to+1]) {
				to += 2
			} else {
				break
			}
		}
		if n >= 13 {
			return from, to
		}
		at = to // nor is there one further on in this row
	}
	return -1, -1
}

var unspaced = strings.NewReplacer(" ", "", "-", "")

func wordByte(c byte) bool {
	return isWord(c) || c == '-' || c == '.'
}

func isPAN(n string) bool {
	return issuer(n) && luhn(n) && strings.Trim(n, n[:1]) != ""
}

func issuer(n string) bool {
	if len(n) < 13 {
		return false
	}
	p := func(k int) int {
		v := 0
		for _, c := range n[:k] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	l := len(n)
	between := func(v, a, b int) bool { return v >= a && v <= b }
	switch {
	case n[0] == '4':
		return l == 13 || l == 16 || l == 19
	case between(p(2), 51, 55) || between(p(4), 2221, 2720):
		return l == 16
	case p(2) == 34 || p(2) == 37:
		return l == 15
	case between(p(3), 300, 305) || p(2) == 36 || between(p(2), 38, 39):
		return l == 14 || l == 16
	case between(p(4), 3528, 3589), p(4) == 6011, between(p(3), 644, 649), p(2) == 65, p(2) == 62:
		return l >= 16
	}
	return false
}

func luhn(n string) bool {
	sum := 0
	for i := range len(n) {
		d := int(n[len(n)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// holdsSAD looks for data that must not be kept after authorisation: a
// verification code, a PIN beside card words, or magnetic-stripe data.
func holdsSAD(text string, h hint) bool {
	if h&hintVerify != 0 && verify.MatchString(text) || h&hintPIN != 0 && pin.MatchString(text) && card.MatchString(text) {
		return true
	}
	if h&hintStripe == 0 {
		return false
	}
	for _, re := range []*regexp.Regexp{track1, track2} {
		for _, m := range re.FindAllStringSubmatch(text, 8) {
			if len(m[1]) >= 13 && isPAN(m[1]) {
				return true
			}
		}
	}
	return false
}

var credentialName = regexp.MustCompile(`(?i)(^|[/\\\s"'])(\.ssh|\.aws|\.gnupg|\.kube|\.azure|\.docker[/\\]config\.json|\.netrc|\.pgpass|\.npmrc|\.git-credentials|id_(rsa|ed25519|ecdsa)|keychains?|credentials|\.env(\.[a-z]+)?)($|[/\\\s"'.])`)

// credentialPath recognises a path, or a command naming one, where keys are
// usually kept. Samples that projects ship on purpose are not.
func credentialPath(text string) bool {
	if !credentialName.MatchString(text) {
		return false
	}
	low := strings.ToLower(text)
	for _, w := range []string{".env.example", ".env.sample", ".env.template", "/samples/", "/fixtures/", "\\samples\\", "\\fixtures\\"} {
		if strings.Contains(low, w) {
			return false
		}
	}
	return true
}
