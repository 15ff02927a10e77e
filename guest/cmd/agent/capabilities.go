package main

import (
	"fmt"
	"syscall"
)

// forgoCapabilities empties the bounding set of every thread: no process that starts from here on, root's neither, can have
// a capability. The agent keeps its own.
func forgoCapabilities() error {
	const (
		readBounding = 23
		dropBounding = 24
	)
	for capability := uintptr(0); ; capability++ {
		held, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, readBounding, capability, 0)
		if errno != 0 {
			return nil
		}
		if held == 0 {
			continue
		}
		if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, dropBounding, capability, 0); errno != 0 {
			return fmt.Errorf("forgo capability %d: %w", capability, errno)
		}
	}
}
