package rules

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"hash"
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
	return pseudonym(hmac.New(sha256.New, key), member)
}

// pseudonym is Pseudonym with a fresh mac, or one that was reset.
func pseudonym(mac hash.Hash, member string) string {
	mac.Write([]byte("sandtable member\x00")) // the key may serve other uses; this one is apart
	mac.Write([]byte(member))
	var sum [sha256.Size]byte
	out := [64]byte{0: 'm', 1: 'e', 2: 'm', 3: 'b', 4: 'e', 5: 'r', 6: '-'}
	pseudonymCode.Encode(out[7:], mac.Sum(sum[:0]))
	return string(out[:17])
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
	key    []byte
	mac    hash.Hash // of the key, made when it is first needed
	names  map[string]string
	owners map[string]string
}

// NewPseudonyms starts an empty naming under key.
func NewPseudonyms(key []byte) *Pseudonyms {
	return &Pseudonyms{key: key, names: map[string]string{}, owners: map[string]string{}}
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
	name := pseudonym(p.mac, member)
	if other, taken := p.owners[name]; taken && other != member {
		return "", fmt.Errorf("two members share the pseudonym %s under this key: use another key", name)
	}
	p.names[member], p.owners[name] = name, member
	return name, nil
}
