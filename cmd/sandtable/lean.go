package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// lean has a command that reads a long stream collect its garbage by what it keeps:
// seldom while that is little, as when everything is read in at the start, and then
// the earlier the more it is, since what is kept need not stand in memory nearly
// twice. GOGC, where it is set, says otherwise.
func lean() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collected{}
	c.set(0)
	runtime.SetFinalizer(c, (*collected).follow)
}

// leanest is the share of the live heap, in percent, that may be added to it before
// it is collected again: as much as roomy, and a fifth of what lives beyond twice that.
func leanest(live int) int {
	live = max(live, roomy/4)
	return (roomy + max(0, live-2*roomy)/5) * 100 / live
}

const roomy = 16 << 20

// collected is garbage that comes back once in every collection.
type collected struct{ percent int }

func (c *collected) follow() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(live); live[0].Value.Kind() == metrics.KindUint64 {
		c.set(int(live[0].Value.Uint64()))
	}
	runtime.SetFinalizer(c, (*collected).follow)
}

func (c *collected) set(live int) {
	if p := leanest(live); p != c.percent {
		c.percent = p
		debug.SetGCPercent(p)
	}
}
