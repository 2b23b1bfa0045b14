package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// leaveStart has the system take back the pages of the program's own file that were
// needed to begin and lie about since; those that are needed again are read from its
// cache. It leaves alone what could have been written to.
func leaveStart() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range fileMappings(maps, self) {
		b := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), m[0])), m[1]-m[0])
		syscall.Madvise(b, syscall.MADV_DONTNEED) // advice: nothing hangs on it
	}
}

// fileMappings are where a file is mapped such that the memory holds what the file does:
// not writable, and without a page of its own.
func fileMappings(maps []byte, file string) (out [][2]uintptr) {
	var at [2]uintptr
	for line := range bytes.Lines(maps) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		var from, to uintptr
		var rights string
		if n, _ := fmt.Sscanf(string(line), "%x-%x %s", &from, &to, &rights); n == 3 {
			if at = [2]uintptr{}; len(rights) == 4 && rights[0] == 'r' && rights[1] == '-' && rights[3] == 'p' && bytes.HasSuffix(line, []byte(" "+file)) {
				at = [2]uintptr{from, to}
			}
			continue
		}
		if own, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok && at[1] > at[0] && string(bytes.TrimSpace(own)) == "0 kB" {
			out = append(out, at)
		}
	}
	return out
}
