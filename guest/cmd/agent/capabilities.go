package main

import (
	"fmt"
	"syscall"
)

// forgoCapabilities empties the bounding set of every thread: no process that starts from here on, root's neither, can have
// a capability. The agent keeps its own.
func forgoCapabilities() error {
	const readBounding = 23
	for capability := uintptr(0); ; capability++ {
		held, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, readBounding, capability, 0)
		if errno != 0 {
			return nil
		}
		if held == 0 {
			continue
		}
		if err := forgo(capability); err != nil {
			return err
		}
	}
}

// tracing is CAP_SYS_PTRACE, without which root's commands cannot look into the agent, who has it.
const tracing = 19

// forgo empties one place of the bounding set of every thread.
func forgo(capability uintptr) error {
	const dropBounding = 24
	if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, dropBounding, capability, 0); errno != 0 {
		return fmt.Errorf("forgo capability %d: %w", capability, errno)
	}
	return nil
}
