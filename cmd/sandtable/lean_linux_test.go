package main

import (
	"os"
	"slices"
	"testing"
)

// What could have been written to is never taken back, nor what is of another file.
func TestFileMappings(t *testing.T) {
	const maps = `00400000-00500000 r-xp 00000000 fe:00 1 /bin/program
Rss:                 900 kB
Anonymous:             0 kB
00500000-00600000 r--p 00100000 fe:00 1 /bin/program
Rss:                 800 kB
Anonymous:             0 kB
00600000-00700000 r--p 00200000 fe:00 1 /bin/program
Rss:                 800 kB
Anonymous:             4 kB
00700000-00800000 rw-p 00300000 fe:00 1 /bin/program
Anonymous:             0 kB
00800000-00900000 rw-p 00000000 00:00 0
Anonymous:             0 kB
00900000-00a00000 r--s 00000000 fe:00 1 /bin/program
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 2 /lib/other/program
Anonymous:             0 kB
`
	want := [][2]uintptr{{0x400000, 0x500000}, {0x500000, 0x600000}}
	if got := fileMappings([]byte(maps), "/bin/program"); !slices.Equal(got, want) {
		t.Errorf("%x, expected %x", got, want)
	}
}

// The program goes on as before.
func TestLeaveStart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	if len(fileMappings(maps, self)) == 0 {
		t.Error("nothing of the program is mapped")
	}
	leaveStart()
	leaveStart()
}
