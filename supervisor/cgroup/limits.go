package cgroup

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cofferdam/supervisor/failure"
)

const periodUs = 100_000

// setting is one file and what must stand in it afterwards.
type setting struct {
	controller string
	file       string
	value      string
	// optional is left out where the kernel has no such file.
	optional bool
}

func (g *Group) settings() []setting {
	memory := strconv.FormatInt(g.limits.MemoryMiB<<20, 10)
	pids := strconv.FormatInt(g.limits.Pids, 10)
	quota := strconv.FormatInt(max(1000, int64(math.Round(g.limits.CPUs*periodUs))), 10)
	var wanted []setting
	if g.host.isUnified("memory") {
		wanted = append(wanted, setting{"memory", "memory.max", memory, false},
			setting{"memory", "memory.swap.max", "0", true})
	} else {
		wanted = append(wanted, setting{"memory", "memory.limit_in_bytes", memory, false},
			setting{"memory", "memory.memsw.limit_in_bytes", memory, true},
			setting{"memory", "memory.swappiness", "0", true})
	}
	wanted = append(wanted, setting{"pids", "pids.max", pids, false})
	if g.host.isUnified("cpu") {
		return append(wanted, setting{"cpu", "cpu.max", fmt.Sprintf("%s %d", quota, periodUs), false})
	}
	return append(wanted, setting{"cpu", "cpu.cfs_period_us", strconv.Itoa(periodUs), false},
		setting{"cpu", "cpu.cfs_quota_us", quota, false})
}

func (g *Group) limit() error {
	for _, one := range g.settings() {
		if err := g.apply(one); err != nil {
			return err
		}
	}
	return nil
}

// socketShare is the part of a machine's memory that its TCP buffers may have beside the rest in version 1.
const socketShare = 8

// limitSockets limits what the kernel buffers for the machine's own network. Version 1 does not count that as memory, and
// counts it only in the very group whose processes open the sockets.
func (g *Group) limitSockets() error {
	if g.host.isUnified("memory") {
		return nil
	}
	path := filepath.Join(g.of("memory"), initName)
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return failure.Wrap(err, "make the memory group of the machine's processes")
	}
	limit := strconv.FormatInt((g.limits.MemoryMiB<<20)/socketShare, 10)
	return g.apply(setting{"memory", initName + "/memory.kmem.tcp.limit_in_bytes", limit, true})
}

// apply writes a setting and reads it back.
func (g *Group) apply(one setting) error {
	path := filepath.Join(g.of(one.controller), one.file)
	refused := func(why any) error {
		return failure.New(failure.Unsupported, "the limit %s = %s was not taken: %v", one.file, one.value, why).
			WithField("resources." + fieldOf(one.controller)).
			WithMend("use a kernel with the " + one.controller + " controller")
	}
	if err := write(path, one.value); err != nil {
		if one.optional && os.IsNotExist(err) {
			return nil
		}
		return refused(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return refused(err)
	}
	if got := strings.TrimSpace(string(raw)); got != one.value {
		return refused("it reads " + got)
	}
	return nil
}
