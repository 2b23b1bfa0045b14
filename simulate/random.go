package simulate

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/sandtable-dev/sandtable/scenarios/org"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// pcg is rand.PCG, with a state that can be kept at hand through a loop.
type pcg struct{ hi, lo uint64 }

// Uint64 is that of rand.PCG; a test holds the two together.
func (s *pcg) Uint64() uint64 {
	s.hi, s.lo = advance(s.hi, s.lo)
	return drawn(s.hi, s.lo)
}

// advance is the state after a state, and drawn the number drawn in it.
func advance(hi, lo uint64) (uint64, uint64) {
	const (
		mulHi, mulLo = 2549297995355413924, 4865540595714422341
		incHi, incLo = 6364136223846793005, 1442695040888963407
	)
	h, l := bits.Mul64(lo, mulLo)
	h += hi*mulLo + lo*mulHi
	l, c := bits.Add64(l, incLo, 0)
	h, _ = bits.Add64(h, incHi, c)
	return h, l
}

func drawn(hi, lo uint64) uint64 {
	hi ^= hi >> 32
	hi *= 0xda942042e4dd58b5
	hi ^= hi >> 48
	return hi * (lo | 1)
}

// draws is a stream that is begun again and again in the same memory.
type draws struct {
	pcg pcg
	r   *rand.Rand
}

// begin makes it the stream of that name, as org.Stream would.
func (d *draws) begin(seed uint64, names ...string) *rand.Rand {
	d.pcg.hi, d.pcg.lo = org.Seeds(seed, names...)
	if d.r == nil {
		d.r = rand.New(&d.pcg)
	}
	return d.r
}

// texts cuts texts from pieces of memory, so that many cost one allocation. A
// piece lives as long as any of its texts: what outlives its session for long
// must not be cut from it. The zero value is ready, and nil cuts nothing.
type texts struct{ free []byte }

const textPiece = 16 << 10

// room is memory for a text of up to n bytes, which is empty yet.
func (t *texts) room(n int) []byte {
	if t == nil || n > textPiece/4 {
		return make([]byte, 0, n)
	}
	if n > len(t.free) {
		t.free = make([]byte, textPiece)
	}
	return t.free[:0:n]
}

// take is the text that was written to the last room.
func (t *texts) take(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if t != nil && len(t.free) >= len(b) && &t.free[0] == &b[0] {
		t.free = t.free[len(b):]
	}
	return unsafe.String(&b[0], len(b))
}

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

// vocabulary is the words of prose, each in two numbers to be written as a whole.
type vocabulary []word

type word struct {
	head, tail uint64 // 16 bytes, lowest first
	n          uint32
	upper      uint32 // what makes the first letter a capital when it is taken off
}

const maxWord = 16

func newVocabulary(words []string) vocabulary {
	v := make(vocabulary, len(words))
	for i, w := range words {
		var b [maxWord]byte
		v[i].n = uint32(copy(b[:], w))
		v[i].head, v[i].tail = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
		if b[0] >= 'a' && b[0] <= 'z' {
			v[i].upper = 'a' - 'A'
		}
	}
	return v
}

// prose is the prefix and n bytes of text that means nothing, of ASCII words; the
// earlier words of the list come more often.
func (v vocabulary) prose(t *texts, r *pcg, prefix, sep string, n int) string {
	n += len(prefix) + len(sep)
	b := t.room(n + 2*maxWord)[:n+2*maxWord] // what is written last may run over the end
	i := copy(b, prefix)
	i += copy(b[i:], sep)
	// Whether a word begins or ends a sentence is a number, 0 or 1: nothing could
	// foretell a branch.
	start, sentence := uint64(1), uint64(0)
	hi, lo := r.hi, r.lo
	for i < n {
		hi, lo = advance(hi, lo)
		x := drawn(hi, lo) // one draw a word: its place in the list, a figure, a full stop
		u := x & 0xffff
		if x>>16&15 == 0 {
			i = len(strconv.AppendUint(b[:i], x>>20&0xfff, 10))
		} else {
			w := &v[u*u>>16*uint64(len(v))>>16]
			to := b[i : i+maxWord]
			binary.LittleEndian.PutUint64(to, w.head-start*uint64(w.upper))
			binary.LittleEndian.PutUint64(to[8:], w.tail)
			i += int(w.n)
		}
		sentence++
		start = (x>>32&7 - 1) & (6 - sentence) >> 63 // one in eight, from the seventh word on
		sentence &= start - 1
		b[i] = '.'
		i += int(start)
		b[i] = ' '
		i++
	}
	r.hi, r.lo = hi, lo
	return t.take(b[:n])
}

// pass leaves the stream as prose of as many bytes does, for a text that nobody
// will see: the texts behind it are the same whether it is written or not.
func (v vocabulary) pass(r *pcg, n int) {
	start, sentence := uint64(1), uint64(0)
	hi, lo := r.hi, r.lo
	for i := 0; i < n; {
		hi, lo = advance(hi, lo)
		x := drawn(hi, lo)
		u, f := x&0xffff, x>>20&0xfff
		took := uint64(v[u*u>>16*uint64(len(v))>>16].n)
		if x>>16&15 == 0 { // without a branch, as above
			took = 1 + (9-f)>>63 + (99-f)>>63 + (999-f)>>63
		}
		sentence++
		start = (x>>32&7 - 1) & (6 - sentence) >> 63
		sentence &= start - 1
		i += int(took + start + 1)
	}
	r.hi, r.lo = hi, lo
}

const hexDigits = "0123456789abcdef"

// uuid is a random (version 4) UUID.
func uuid(r *rand.Rand) string { return (*texts)(nil).uuid(r) }

func (t *texts) uuid(r *rand.Rand) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], r.Uint64())
	binary.BigEndian.PutUint64(raw[8:], r.Uint64())
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	b := t.room(36)[:36]
	j := 0
	for i, c := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b[j] = '-'
			j++
		}
		b[j], b[j+1] = hexDigits[c>>4], hexDigits[c&15]
		j += 2
	}
	return t.take(b)
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

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// pairs58 are two characters of base 58 each, the lower first.
var pairs58 = func() (t [58 * 58][2]byte) {
	for i := range t {
		t[i] = [2]byte{base58[i%58], base58[i/58]}
	}
	return t
}()

// ident is a prefix and n characters of base 58, as the vendor writes its ids.
func ident(r *rand.Rand, prefix string, n int) string { return (*texts)(nil).ident(r, prefix, n) }

func (t *texts) ident(r *rand.Rand, prefix string, n int) string {
	b := append(t.room(len(prefix)+n), prefix...)
	for ; n > 0; n -= 10 { // a draw for ten
		v := r.Uint64()
		for k := min(n, 10); k > 0; k -= 2 {
			two := &pairs58[v%(58*58)]
			if v /= 58 * 58; k == 1 {
				b = append(b, two[0])
				break
			}
			b = append(b, two[0], two[1])
		}
	}
	return t.take(b)
}

func digits(r *rand.Rand, n int) string {
	return string(appendDigits(make([]byte, 0, n), r, n))
}

func appendDigits(b []byte, r *rand.Rand, n int) []byte {
	for range n {
		b = append(b, byte('0'+r.IntN(10)))
	}
	return b
}

// diagnoses are common ICD-10-CM codes, of no person.
var diagnoses = []string{"E11.9", "I10", "M54.50", "J45.909", "F41.1", "K21.9", "N18.30", "G43.909", "E78.5", "M17.11"}

var givenNames = []string{"Dana", "Kim", "Lee", "Robin", "Sam", "Alex", "Jamie", "Pat", "Chris", "Terry"}

// fill replaces the {words} of a template with synthetic values.
func fill(r *rand.Rand, t, file, folder string, day time.Time) string {
	return (*texts)(nil).fill(r, t, file, folder, day)
}

func (x *texts) fill(r *rand.Rand, t, file, folder string, day time.Time) string {
	if strings.IndexByte(t, '{') < 0 {
		return t
	}
	b := x.room(len(t) + len(file) + len(folder) + 64)
	number := func(n, width int) {
		for m := 10; width > 1; m, width = m*10, width-1 {
			if n < m {
				b = append(b, '0')
			}
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	for {
		i := strings.IndexByte(t, '{')
		j := strings.IndexByte(t, '}')
		if i < 0 || j < i {
			return x.take(append(b, t...))
		}
		b = append(b, t[:i]...)
		switch t[i+1 : j] {
		case "file":
			b = append(b, file...)
		case "folder":
			b = append(b, folder...)
		case "claim":
			b = append(strconv.AppendInt(append(b, "CL-"...), int64(day.Year()), 10), '-')
			b = appendDigits(b, r, 6)
		case "member":
			b = appendDigits(append(b, 'W'), r, 9)
		case "mrn":
			b = appendDigits(b, r, 8)
		case "dob":
			number(between(r, 1, 12), 2)
			b = append(b, '/')
			number(between(r, 1, 28), 2)
			b = append(b, '/')
			number(between(r, 1938, 2012), 1)
		case "date":
			b = day.AddDate(0, 0, -between(r, 3, 90)).AppendFormat(b, "01/02/2006")
		case "icd":
			b = append(b, oneOf(r, diagnoses)...)
		case "person":
			b = append(append(b, oneOf(r, givenNames)...), ' ')
			b = append(b, byte('A'+r.IntN(26)), '.')
		case "amount":
			b = append(b, '$')
			number(between(r, 2, 90)*50, 1)
		case "month":
			b = day.AddDate(0, -r.IntN(3), 0).AppendFormat(b, "2006-01")
		case "n":
			number(between(r, 1, 99), 1)
		default:
			b = append(b, t[i:j+1]...)
		}
		t = t[j+1:]
	}
}

// quote writes s as a JSON string.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for {
		n := otlp.Plain(s)
		b = append(b, s[:n]...)
		if s = s[n:]; s == "" {
			return append(b, '"')
		}
		switch c := s[0]; {
		case c >= utf8.RuneSelf:
			b = append(b, c)
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		s = s[1:]
	}
}

// object writes a flat JSON object of strings from key, value pairs, in order.
// A cut above 0 is the number of characters after which values are cut.
func object(cut int, pairs ...string) string { return (*texts)(nil).object(cut, pairs...) }

func (t *texts) object(cut int, pairs ...string) string {
	n := 2
	for i, s := range pairs {
		if n += 4 + len(s) + len(s)/8; cut > 0 && i%2 == 1 {
			n -= max(len(s)-cut-cut/4, 0)
		}
	}
	b := t.room(n)
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
	return t.take(append(b, '}'))
}

// head is the first n characters of a text.
func head(s string, n int) string {
	k := ascii(s[:min(n, len(s))])
	n -= k
	for i := range s[k:] {
		if n == 0 {
			return s[:k+i]
		}
		n--
	}
	return s
}

// characters is their number in a text.
func characters(s string) int64 {
	i := ascii(s)
	return int64(i + utf8.RuneCountInString(s[i:]))
}

// ascii is the length of the head of s that is ASCII.
func ascii(s string) int {
	i := 0
	for i+8 <= len(s) && eight(s, i)&0x8080808080808080 == 0 {
		i += 8
	}
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// eight is the bytes at i as a number, the first lowest.
func eight(s string, i int) uint64 {
	b := s[i : i+8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lognormalMean is the mean of a lognormal draw of median 1.
func lognormalMean(sigma float64) float64 { return math.Exp(sigma * sigma / 2) }
