package rehearsal_test

import (
	"strings"
	"testing"

	"github.com/sandtable-dev/sandtable/assess/rehearsal"
)

// Chat and Claude Code count against the limit of Cowork: members reach it sooner,
// the replay agrees with the play, and the amounts say where they come from.
func TestSpendElsewhere(t *testing.T) {
	run := func(set ...string) *rehearsal.Result {
		text := strings.Replace(small, "incidents: [{story: shadow-connector-spread, count: 1}]", "", 1)
		r, _ := play(t, load(t, text, append(set, "behaviour.intensity=1")...), 2)
		return r
	}
	plain := run()
	if len(plain.Spend.Elsewhere) != 0 {
		t.Error("spend elsewhere that nobody stated")
	}
	r := run("behaviour.elsewhere=[{product: chat, per_day: 0.50}, {product: claude_code, per_day: 0.25, groups: [finance]}]")
	if len(r.Spend.Elsewhere) != 2 {
		t.Fatalf("%+v", r.Spend.Elsewhere)
	}
	var elsewhere, cowork int64
	for _, x := range r.Spend.Elsewhere {
		elsewhere += x.Micros
	}
	// twelve in Finance are members; ten working days
	chat, code := r.Spend.Elsewhere[0], r.Spend.Elsewhere[1]
	if chat.Product != "chat" || chat.Micros < 20e6 || chat.Micros > 100e6 || chat.Members <= code.Members || code.Members != 12 {
		t.Errorf("%+v", r.Spend.Elsewhere)
	}
	for _, m := range r.Spend.Months {
		cowork += m.Spent
	}
	if cowork -= elsewhere; cowork <= 0 || cowork >= plain.Spend.Total {
		t.Errorf("Cowork cost %d beside other products and %d alone: limits were not reached sooner", cowork, plain.Spend.Total)
	}
	if r.Spend.Stopped.Members <= plain.Spend.Stopped.Members {
		t.Errorf("%d members stopped, %d without other products", r.Spend.Stopped.Members, plain.Spend.Stopped.Members)
	}
	if n := len(r.Spend.WouldBlock); n > r.Spend.Stopped.Members {
		t.Errorf("the replay stops %d members, the play stopped %d", n, r.Spend.Stopped.Members)
	}
	if a, b := flat(t, r), flat(t, run("behaviour.elsewhere=[{product: chat, per_day: 0.50}, {product: claude_code, per_day: 0.25, groups: [finance]}]")); a != b {
		t.Error("the same scenario gives other bytes")
	}
}
