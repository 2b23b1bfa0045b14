package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// lean has a command that reads a long stream collect its garbage earlier than
// usual: what is kept of a month of ten thousand members then need not stand in
// memory nearly twice, and it costs no more than can be told from noise. The more
// is kept, the smaller is the share of it that may lie about as garbage. GOGC,
// where it is set, says otherwise.
func lean() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(leanest(0))
	runtime.SetFinalizer(&collected{percent: leanest(0)}, (*collected).follow)
}

// leanest is the share of the live heap, in percent, that may be added to it before
// it is collected again: three quarters, until that is as much as roomy, and then
// as much and a tenth of what lives beyond it.
func leanest(live uint64) int {
	const whole = roomy * 4 / 3
	if live <= whole {
		return 75
	}
	return int((roomy + (live-whole)/10) * 100 / live)
}

const roomy = 36 << 20

// collected is garbage that comes back once in every collection.
type collected struct{ percent int }

func (c *collected) follow() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(live); live[0].Value.Kind() == metrics.KindUint64 {
		if p := leanest(live[0].Value.Uint64()); p != c.percent {
			c.percent = p
			debug.SetGCPercent(p)
		}
	}
	runtime.SetFinalizer(c, (*collected).follow)
}
