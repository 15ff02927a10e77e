package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// deadMan ends the agent when the host has been silent for longer than the lease. Time in which the agent itself was stopped
// does not count: after the lease it waits for one more part of it, in which a host that is there would speak.
type deadMan struct {
	lease  time.Duration
	mutex  sync.Mutex
	timer  *time.Timer
	warned bool
}

func newDeadMan(leaseMs int64) *deadMan {
	lease := time.Duration(leaseMs) * time.Millisecond
	d := &deadMan{lease: lease}
	if lease > 0 {
		d.timer = time.AfterFunc(lease, d.silent)
	}
	return d
}

// heard notes that the host has spoken.
func (d *deadMan) heard() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.timer != nil {
		d.warned = false
		d.timer.Reset(d.lease)
	}
}

func (d *deadMan) silent() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.warned {
		fmt.Fprintln(os.Stderr, "agent: the host has been silent for longer than the lease")
		os.Exit(3)
	}
	d.warned = true
	d.timer.Reset(d.lease / 3)
}
