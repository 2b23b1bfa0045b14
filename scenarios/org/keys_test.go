package org

import (
	"fmt"
	"testing"
)

// Every key finds the first member who has it, as a map would.
func TestKeys(t *testing.T) {
	var members []Member
	first := map[string]int{}
	for i := range 5000 {
		m := Member{Account: fmt.Sprint("a", i), Email: fmt.Sprintf("m%d@firm.example", i/2), ID: fmt.Sprint("user", i%4900)}
		if i%7 == 0 {
			m.Email = ""
		}
		if i%11 == 0 {
			m.ID = fmt.Sprint("a", i/2) // somebody's account
		}
		members = append(members, m)
		for _, k := range []string{m.Account, m.Email, m.ID} {
			if _, known := first[k]; k != "" && !known {
				first[k] = i
			}
		}
	}
	d := NewDirectory(&Config{}, members)
	for key, want := range first {
		if got, ok := d.Find(key); !ok || got != want {
			t.Errorf("%s: %d %v, want %d", key, got, ok, want)
		}
	}
	if got, ok := d.Find("nobody"); ok {
		t.Errorf("nobody is member %d", got)
	}
	if _, ok := new(Directory).Find("x"); ok {
		t.Error("an empty directory has a member")
	}
}
