package otlp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// An encoder that remembers writes what one that begins anew for each request
// writes, for requests whose records differ in any part of what is remembered.
func TestEncoder(t *testing.T) {
	var base []event.Event
	for _, name := range []string{"cowork.json", "claude-code.json", "legacy.json"} {
		base = append(base, decoded(t, fixture(t, name)).Events...)
	}
	r := rand.New(rand.NewPCG(1, 2))
	word := func(of ...string) string { return of[r.IntN(len(of))] }
	dirs := [][]string{nil, {}, {"/a"}, {"/a", "/ü"}, {"/b\xff"}}
	vary := func(e event.Event) event.Event {
		for range r.IntN(4) {
			switch r.IntN(14) {
			case 0:
				e.Session = word("s1", "s2", "s3", "s\xff", "")
			case 1:
				e.UserID = word("u1", "u2")
			case 2:
				e.Email = word("a@x.example", "b@x.example")
			case 3:
				e.Has ^= event.Field(1) << r.IntN(44)
			case 4:
				e.Terminal = word("", "vscode", "vs\"code")
			case 5:
				e.AccountID = word("", "user_01", "user_02")
			case 6:
				e.OS = word("darwin", "windows")
			case 7:
				e.ServiceVersion = word("1", "2")
			case 8:
				e.Surface = word("", "remote")
			case 9:
				e.HostPaths = dirs[r.IntN(len(dirs))]
			case 10:
				e.Extra = append(slices.Clone(e.Extra), event.Attr{Key: word("host.arch", "app.version", "effort", "ccr.session.id", "k\xff"), Value: word("x", "y")})
			case 11:
				e.Extra = append(slices.Clone(e.Extra), event.Attr{Key: word("host.arch", "labels"), Value: []string{"x"}})
			case 12:
				e.Scope, e.ScopeVersion = word("a", ""), word("1", "")
			default:
				e.Time += int64(r.IntN(200)) * 1e9
			}
		}
		return e
	}
	ps := append(Profiles(), Copy)
	for _, p := range ps {
		x := NewEncoder(p)
		var all []byte
		var before []event.Event
		for range 600 {
			var es []event.Event
			for range r.IntN(6) {
				if len(before) > 0 && r.IntN(3) > 0 { // one like another, perhaps with the very same texts
					es = append(es, vary(before[r.IntN(len(before))]))
				} else {
					es = append(es, vary(base[r.IntN(len(base))]))
				}
			}
			before = append(before, es...)
			before = before[max(len(before)-40, 0):]
			if want, got := p.AppendProto(nil, es), x.AppendProto(nil, es); !bytes.Equal(got, want) {
				t.Fatalf("%s: protobuf differs:\n%q\n%q", p.Name, got, want)
			}
			want, got := p.AppendJSON(nil, es), x.AppendJSON(nil, es)
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: JSON differs:\n%s\n%s", p.Name, got, want)
			}
			// A request of one record remembers nothing of another.
			for i := range es {
				if one := new(Encoder); p.Name == ps[0].Name {
					one.profile = p
					all = one.AppendJSON(all[:0], es[i:i+1])
					if !bytes.Equal(all, p.AppendJSON(nil, es[i:i+1])) {
						t.Fatalf("what was kept of another request shows:\n%s", all)
					}
				}
			}
		}
	}
}
