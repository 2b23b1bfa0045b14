package rules

import (
	"fmt"
	"strings"
	"testing"
)

func TestPseudonym(t *testing.T) {
	key, other := SimulatedKey(7), SimulatedKey(8)
	a := Pseudonym(key, "anna.beispiel@example.com")
	if !strings.HasPrefix(a, "member-") || len(a) != 17 || strings.Contains(a, "anna") {
		t.Errorf("not a pseudonym: %q", a)
	}
	if a != Pseudonym(SimulatedKey(7), "anna.beispiel@example.com") {
		t.Error("the same key and member gave another name")
	}
	if a == Pseudonym(other, "anna.beispiel@example.com") || KeyID(key) == KeyID(other) {
		t.Error("another key gave the same name")
	}
	if Pseudonym(key, "") != "" {
		t.Error("nobody was given a name")
	}
	// A golden value: names in archived bundles must stay what they are.
	if want := "member-xbjpdmdvdd"; Pseudonym([]byte("key"), "someone") != want {
		t.Errorf("the scheme changed: %q", Pseudonym([]byte("key"), "someone"))
	}
}

func TestPseudonymsRefuseACollision(t *testing.T) {
	p := NewPseudonyms([]byte("k"))
	name, err := p.Of("first")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Of("first"); err != nil || again != name {
		t.Errorf("%q, %v", again, err)
	}
	if _, err := p.Of("second"); err != nil {
		t.Fatal(err)
	}
	delete(p.names, "second") // so that it is worked out once more
	if _, err := p.Of("second"); err != nil {
		t.Errorf("the same member again: %v", err)
	}
	delete(p.names, "second")
	for i := range p.codes {
		p.codes[i].owner++ // as if the fifty bits of others met
	}
	if _, err := p.Of("second"); err == nil {
		t.Error("a collision passed")
	}
}

// As many members as a large organisation has keep their names, and each is known
// again.
func TestManyPseudonyms(t *testing.T) {
	p := NewPseudonyms([]byte("k"))
	seen := map[string]bool{}
	for round := range 2 {
		for i := range 2 * maxNames {
			name, err := p.Of(fmt.Sprint("member ", i))
			if err != nil {
				t.Fatal(err)
			}
			if seen[name] != (round == 1) || i%1000 == 0 && name != Pseudonym([]byte("k"), fmt.Sprint("member ", i)) {
				t.Fatalf("member %d in round %d: %s", i, round, name)
			}
			seen[name] = true
			if i == maxNames/3 {
				p.Expect(maxNames)
			}
		}
	}
	if p.given != 2*maxNames || len(p.names) != maxNames {
		t.Errorf("%d codes, %d names", p.given, len(p.names))
	}
}
