package simulate

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

func lognormal(r *rand.Rand, median, sigma float64) float64 {
	return median * math.Exp(sigma*r.NormFloat64())
}

// seconds draws a lognormal duration in whole milliseconds, at least one.
func seconds(r *rand.Rand, median, sigma, most float64) time.Duration {
	s := min(lognormal(r, median, sigma), most)
	return max(time.Duration(s*1000)*time.Millisecond, time.Millisecond)
}

func poisson(r *rand.Rand, mean float64) int {
	n, p, limit := 0, r.Float64(), math.Exp(-mean)
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// between draws a whole number uniformly from lo to hi, both possible.
func between(r *rand.Rand, lo, hi int) int { return lo + r.IntN(max(hi-lo, 0)+1) }

// loguniform draws from lo to hi so that each doubling is equally likely.
func loguniform(r *rand.Rand, lo, hi float64) float64 {
	return lo * math.Exp(r.Float64()*math.Log(hi/lo))
}

func logint(r *rand.Rand, lo, hi int) int {
	return min(int(loguniform(r, float64(lo), float64(hi)+1)), hi)
}

func oneOf(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

func pick(r *rand.Rand, weights []float64) int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	u := r.Float64() * sum
	for i, w := range weights {
		if u -= w; u < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// vocabulary is the words of prose, each with room to be copied as a whole.
type vocabulary []struct {
	text [maxWord]byte
	n    int
}

const maxWord = 16

func newVocabulary(words []string) vocabulary {
	v := make(vocabulary, len(words))
	for i, w := range words {
		v[i].n = copy(v[i].text[:], w)
	}
	return v
}

// prose is the prefix and n bytes of text that means nothing, of ASCII words; the
// earlier words of the list come more often.
func (v vocabulary) prose(r *rand.Rand, prefix string, n int) string {
	n += len(prefix)
	b := make([]byte, n+2*maxWord) // what is written last may run over the end
	i := copy(b, prefix)
	start, sentence := true, 0
	for i < n {
		x := r.Uint64() // one draw a word: its place in the list, a figure, a full stop
		u := x & 0xffff
		from := i
		if x>>16&15 == 0 {
			i = len(strconv.AppendUint(b[:i], x>>20&0xfff, 10))
		} else {
			w := &v[u*u>>16*uint64(len(v))>>16]
			*(*[maxWord]byte)(b[i:]) = w.text
			i += w.n
		}
		if start && b[from] >= 'a' && b[from] <= 'z' {
			b[from] -= 'a' - 'A'
		}
		start = false
		if sentence++; sentence > 6 && x>>32&7 == 0 {
			b[i] = '.'
			i++
			start, sentence = true, 0
		}
		b[i] = ' '
		i++
	}
	return unsafe.String(unsafe.SliceData(b), n)
}

const hexDigits = "0123456789abcdef"

// uuid is a random (version 4) UUID.
func uuid(r *rand.Rand) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], r.Uint64())
	binary.BigEndian.PutUint64(raw[8:], r.Uint64())
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var b [36]byte
	j := 0
	for i, c := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b[j] = '-'
			j++
		}
		b[j], b[j+1] = hexDigits[c>>4], hexDigits[c&15]
		j += 2
	}
	return string(b[:])
}

func hex64(r *rand.Rand) string {
	var b [64]byte
	for i := 0; i < 64; i += 16 {
		v := r.Uint64()
		for k := range 16 {
			b[i+k] = hexDigits[v>>(4*k)&15]
		}
	}
	return string(b[:])
}

// ident is a prefix and n characters of base 58, as the vendor writes its ids.
func ident(r *rand.Rand, prefix string, n int) string {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	var room [32]byte
	b := append(room[:0], prefix...)
	v := uint64(0)
	for i := range n {
		if i%10 == 0 {
			v = r.Uint64()
		}
		b = append(b, alphabet[v%58])
		v /= 58
	}
	return string(b)
}

func digits(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(10))
	}
	return string(b)
}

// diagnoses are common ICD-10-CM codes, of no person.
var diagnoses = []string{"E11.9", "I10", "M54.50", "J45.909", "F41.1", "K21.9", "N18.30", "G43.909", "E78.5", "M17.11"}

var givenNames = []string{"Dana", "Kim", "Lee", "Robin", "Sam", "Alex", "Jamie", "Pat", "Chris", "Terry"}

// fill replaces the {words} of a template with synthetic values.
func fill(r *rand.Rand, t, file, folder string, day time.Time) string {
	if !strings.Contains(t, "{") {
		return t
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(t, '{')
		j := strings.IndexByte(t, '}')
		if i < 0 || j < i {
			b.WriteString(t)
			return b.String()
		}
		b.WriteString(t[:i])
		switch t[i+1 : j] {
		case "file":
			b.WriteString(file)
		case "folder":
			b.WriteString(folder)
		case "claim":
			b.WriteString("CL-" + strconv.Itoa(day.Year()) + "-" + digits(r, 6))
		case "member":
			b.WriteString("W" + digits(r, 9))
		case "mrn":
			b.WriteString(digits(r, 8))
		case "dob":
			fmt.Fprintf(&b, "%02d/%02d/%d", between(r, 1, 12), between(r, 1, 28), between(r, 1938, 2012))
		case "date":
			b.WriteString(day.AddDate(0, 0, -between(r, 3, 90)).Format("01/02/2006"))
		case "icd":
			b.WriteString(oneOf(r, diagnoses))
		case "person":
			b.WriteString(oneOf(r, givenNames) + " " + string(rune('A'+r.IntN(26))) + ".")
		case "amount":
			fmt.Fprintf(&b, "$%d", between(r, 2, 90)*50)
		case "month":
			b.WriteString(day.AddDate(0, -r.IntN(3), 0).Format("2006-01"))
		case "n":
			fmt.Fprintf(&b, "%d", between(r, 1, 99))
		default:
			b.WriteString(t[i : j+1])
		}
		t = t[j+1:]
	}
}

// quote writes s as a JSON string.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

// object writes a flat JSON object of strings from key, value pairs, in order.
// A cut above 0 is the number of characters after which values are cut.
func object(cut int, pairs ...string) string {
	n := 2
	for i, s := range pairs {
		if n += 4 + len(s); cut > 0 && i%2 == 1 {
			n -= max(len(s)-cut-cut/4, 0)
		}
	}
	b := make([]byte, 0, n)
	for i := 0; i+1 < len(pairs); i += 2 {
		b = append(b, ",{"[btoi(i == 0)])
		b = quote(b, pairs[i])
		b = append(b, ':')
		v := pairs[i+1]
		if cut > 0 && len(v) > cut {
			v = head(v, cut)
		}
		b = quote(b, v)
	}
	b = append(b, '}')
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// head is the first n characters of a text.
func head(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lognormalMean is the mean of a lognormal draw of median 1.
func lognormalMean(sigma float64) float64 { return math.Exp(sigma * sigma / 2) }
