package simulate

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sandtable-dev/sandtable/scenarios/org"
)

// Streams that are begun in memory of their own draw what those of org draw.
func TestDraws(t *testing.T) {
	var d draws
	for _, name := range []string{"a", "b", "a"} {
		want, got := org.Stream(7, "draws", name), d.begin(7, "draws", name)
		for i := range 1000 {
			var w, g any
			switch i % 3 {
			case 0:
				w, g = want.Uint64(), d.pcg.Uint64()
			case 1:
				w, g = want.NormFloat64(), got.NormFloat64()
			default:
				w, g = want.IntN(i+1), got.IntN(i+1)
			}
			if w != g {
				t.Fatalf("draw %d of %s: %v, not %v", i, name, g, w)
			}
		}
	}
}

// Texts cut from one piece are those that are made one by one, whatever is cut
// between and after them.
func TestTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		words := newVocabulary([]string{"the", "quick", "settlement", "of", "a"})
		day := time.Date(2026, 4, 9, 0, 0, 0, 0, time.UTC)
		write := func(room *texts, kinds []int) (all []string) {
			p := &pcg{seed, 1}
			r := rand.New(p)
			for _, k := range kinds {
				switch k % 5 {
				case 0:
					all = append(all, room.uuid(r))
				case 1:
					all = append(all, room.ident(r, "req_", k%41))
				case 2:
					all = append(all, words.prose(room, p, "So", ": ", k*k%9000))
				case 3:
					all = append(all, room.object(k%60, "text", all0(all), "quoted", "a\"b\\c\n\x01ü"))
				default:
					all = append(all, room.fill(r, "{claim} of {member}, {dob}: {amount} {nothing} {n} {", "f", "g", day))
				}
			}
			return all
		}
		kinds := rapid.SliceOfN(rapid.IntRange(0, 400), 1, 60).Draw(t, "kinds")
		want, got := write(nil, kinds), write(new(texts), kinds)
		for i := range want {
			if want[i] != got[i] {
				t.Fatalf("text %d: %q, not %q", i, got[i], want[i])
			}
		}
	})
}

// A text that is not written leaves the stream where writing it does.
func TestPass(t *testing.T) {
	words := newVocabulary([]string{"the", "quick", "settlement", "of", "a"})
	rapid.Check(t, func(t *rapid.T) {
		p := pcg{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		q, n := p, rapid.IntRange(0, 9000).Draw(t, "bytes")
		words.prose(nil, &p, rapid.StringN(0, 9, -1).Draw(t, "prefix"), " ", n)
		if words.pass(&q, n); p != q {
			t.Fatalf("behind a text of %d bytes the stream stands at %v, behind one that was not written at %v", n, p, q)
		}
	})
}

func all0(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// An object is what a library reads back, cut by characters.
func TestObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, cut := rapid.String().Draw(t, "text"), rapid.IntRange(1, 20).Draw(t, "cut")
		var got struct{ A, B string }
		data := object(cut, "a", text, "b", "b")
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		want := text
		if len(text) > cut { // in bytes, as the product does not look closer
			if rs := []rune(text); len(rs) > cut {
				want = string(rs[:cut])
			}
		}
		if got.A != want || got.B != "b" {
			t.Fatalf("%q is read as %q, not %q", data, got.A, want)
		}
		if n := characters(text); n != int64(utf8.RuneCountInString(text)) {
			t.Fatalf("%q has %d characters", text, n)
		}
		if h := head(text, cut); !strings.HasPrefix(text, h) {
			t.Fatalf("head %q of %q", h, text)
		}
	})
}
