package sweep

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// makerIsDead tells whether the process that made a directory is known to have ended. Its note has its pid, when it
// started in the kernel's ticks, and its namespace of pids; of another namespace nothing is known.
func makerIsDead(directory string) bool {
	note, err := os.ReadFile(filepath.Join(directory, "maker"))
	if err != nil {
		return false
	}
	var pid int
	var started, namespace string
	if n, _ := fmt.Sscan(string(note), &pid, &started, &namespace); n != 3 {
		return false
	}
	if own, err := os.Readlink("/proc/self/ns/pid"); err != nil || own != namespace {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return os.IsNotExist(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return len(fields) > 19 && fields[19] != started
}
