package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// roomy is how much may lie about as garbage however little is kept: what a command
// reads in at its start would otherwise be collected a dozen times.
const roomy = 16 << 20

// sparing is the same for those that read a long stream: it stands in memory for as long
// as that takes.
const sparing = 4 << 20

// collect has the process collect its garbage by what it keeps, as often as usual
// but for the room above. GOGC, where it is set, says otherwise.
func collect() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collected{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	c.set(0)
	runtime.SetFinalizer(c, (*collected).follow)
}

// habit is how a command wants its garbage collected. lean is for those that read a
// long stream, which need not stand in memory nearly twice; brisk for those that write
// one and leave the processors to nothing else.
type habit int32

const (
	usual habit = iota
	lean
	brisk
)

// adopt makes it the habit of the process.
func (h habit) adopt() { habits.Store(int32(h)) }

var habits atomic.Int32

// percent is the share of the live heap that may be added to it before it is
// collected again: as much as it holds, and to begin with more; when reading as much
// as sparing, and a sixteenth of what lives.
func percent(live int, h habit) int {
	live = max(live, roomy/4)
	least := roomy
	switch h {
	case usual:
		least = max(live, least)
	case lean:
		least = sparing + live/16
	case brisk:
		least = max(live, 5*roomy)
	}
	return int(int64(least) * 100 / int64(live))
}

// collected is garbage that comes back once in every collection. It holds a pointer,
// as objects without one may share their memory and then are not told apart.
type collected struct {
	percent int
	live    []metrics.Sample
}

func (c *collected) follow() {
	if metrics.Read(c.live); c.live[0].Value.Kind() == metrics.KindUint64 {
		c.set(int(c.live[0].Value.Uint64()))
	}
	runtime.SetFinalizer(c, (*collected).follow)
}

func (c *collected) set(live int) {
	if p := percent(live, habit(habits.Load())); p != c.percent {
		c.percent = p
		debug.SetGCPercent(p)
	}
}
