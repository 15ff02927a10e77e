package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const hastenEvery = 3 * time.Millisecond

// Hasten makes the moving of processes between control groups quick on this host until stop is called.
//
// The kernel lets the first move in a while wait for a grace period of 10 to 20 ms, and those that follow closely pass.
// A runtime moves the machine's first process; moves of this process to where it is already take that wait beforehand.
func (h *Host) Hasten() (stop func()) {
	over := make(chan struct{})
	path := h.ownProcesses()
	if path == "" {
		return func() {}
	}
	go func() {
		for write(path, strconv.Itoa(os.Getpid())) == nil {
			select {
			case <-over:
				return
			case <-time.After(hastenEvery):
			}
		}
	}()
	return func() { close(over) }
}

// ownProcesses is the list of processes of the version 2 group that this process is in; empty where there is none. Version 1
// will not do: its threads are moved one by one while a runtime is started.
func (h *Host) ownProcesses() string {
	if h.unified == "" {
		return ""
	}
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if own, found := strings.CutPrefix(strings.TrimSpace(line), "0::"); found {
			return filepath.Join(h.unified, own, "cgroup.procs")
		}
	}
	return ""
}
