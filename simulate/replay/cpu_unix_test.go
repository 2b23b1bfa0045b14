//go:build unix

package replay_test

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used, user and system: on a machine that is
// shared the wall clock says nothing.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
