package rules

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"math/bits"
)

// pseudonymCode is lower-case base32: no character that a CSV, a URL or a file
// name gives a meaning to, and none that two readers would read out differently.
var pseudonymCode = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// Pseudonym is the name under which a member appears outside the run:
// "member-" and ten characters (50 bits) of an HMAC-SHA256 of the member under
// the bundle's key. The same key and member always give the same pseudonym;
// without the key it cannot be turned back by trying names. Nobody stays
// nobody: an empty member gives an empty string.
//
// Two members of one bundle may collide, at fifty bits once in some millions of
// bundles; whoever names all members at once uses Pseudonyms, which refuses.
func Pseudonym(key []byte, member string) string {
	if member == "" {
		return ""
	}
	name, _ := pseudonym(hmac.New(sha256.New, key), member)
	return name
}

// pseudonym is Pseudonym with a fresh mac, or one that was reset, and the sum that
// it is made of.
func pseudonym(mac hash.Hash, member string) (name string, sum [sha256.Size]byte) {
	mac.Write([]byte("sandtable member\x00")) // the key may serve other uses; this one is apart
	mac.Write([]byte(member))
	mac.Sum(sum[:0])
	out := [64]byte{0: 'm', 1: 'e', 2: 'm', 3: 'b', 4: 'e', 5: 'r', 6: '-'}
	pseudonymCode.Encode(out[7:], sum[:])
	return string(out[:17]), sum
}

// KeyID names a pseudonym key without giving it away, so that two bundles can
// be told to use the same names for the same people.
func KeyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("sandtable key id"))
	return pseudonymCode.EncodeToString(mac.Sum(nil))[:16]
}

// SimulatedKey is the key of a simulated run. It follows from the seed, since
// generated members have nothing to protect, and so equal seeds give equal bytes.
func SimulatedKey(seed int64) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "sandtable pseudonym key of a simulated run, seed %d", seed))
	return sum[:]
}

// Pseudonyms names members and remembers them, so that two who share a
// pseudonym are told apart by the caller instead of being merged. It is not for
// concurrent use. The zero value has an empty key; use NewPseudonyms.
type Pseudonyms struct {
	key   []byte
	mac   hash.Hash         // of the key, made when it is first needed
	names map[string]string // of the first members, so that most are worked out once
	codes []code            // those given, each where its bits say or behind that
	given int
}

// code is a pseudonym's fifty bits, and the sixty-four of the sum behind them: by
// those its owner is known again. Zero is no code.
type code struct{ name, owner uint64 }

// maxNames is how many pseudonyms are kept as texts. A directory can hold millions,
// of whom few are named twice.
const maxNames = 1 << 15

// NewPseudonyms starts an empty naming under key.
func NewPseudonyms(key []byte) *Pseudonyms {
	return &Pseudonyms{key: key, names: map[string]string{}}
}

// Expect makes room for so many members at once.
func (p *Pseudonyms) Expect(members int) {
	if n := members*5/4 + 1; n > len(p.codes) {
		p.room(n)
	}
}

// Of is the member's pseudonym. A collision gives the error, and both members
// must then not be reported under it: another key resolves it.
func (p *Pseudonyms) Of(member string) (string, error) {
	if name, ok := p.names[member]; ok {
		return name, nil
	}
	if member == "" {
		return "", nil
	}
	if p.mac == nil {
		p.mac = hmac.New(sha256.New, p.key)
	}
	p.mac.Reset()
	name, sum := pseudonym(p.mac, member)
	// The lowest bit belongs to no code and keeps it from being zero.
	if !p.note(code{binary.BigEndian.Uint64(sum[:])&^(1<<14-1) | 1, binary.BigEndian.Uint64(sum[8:])}) {
		return "", fmt.Errorf("two members share the pseudonym %s under this key: use another key", name)
	}
	if len(p.names) < maxNames {
		p.names[member] = name
	}
	return name, nil
}

// note remembers a code; it is false when another member has it.
func (p *Pseudonyms) note(c code) bool {
	if p.given*5 >= len(p.codes)*4 {
		p.room(max(64, len(p.codes)*3/2))
	}
	at := p.place(c.name)
	if at.name == 0 {
		*at = c
		p.given++
	}
	return at.owner == c.owner
}

// room gives the codes as many places.
func (p *Pseudonyms) room(n int) {
	old := p.codes
	p.codes = make([]code, n)
	for _, o := range old {
		if o.name != 0 {
			*p.place(o.name) = o
		}
	}
}

// place is where a code stands, or would.
func (p *Pseudonyms) place(name uint64) *code {
	i, _ := bits.Mul64(name, uint64(len(p.codes)))
	for p.codes[i].name != 0 && p.codes[i].name != name {
		if i++; i == uint64(len(p.codes)) {
			i = 0
		}
	}
	return &p.codes[i]
}
