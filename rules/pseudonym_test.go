package rules

import (
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
	p.owners[Pseudonym([]byte("k"), "second")] = "someone else" // as if the fifty bits met
	if _, err := p.Of("second"); err == nil {
		t.Error("a collision passed")
	}
}
