package main

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// How often commands are counted: the nearer to their number, the more often. So machines that are far from it pay next to
// nothing, and the host's own limit has room for what can be started between two counts.
const (
	idleCensus    = time.Second
	restingCensus = 100 * time.Millisecond
	wakingCensus  = 4 * time.Millisecond
	busyCensus    = 2 * time.Millisecond
)

// census holds commands to their number where the kernel does not: root's, and those of several users together. gVisor asks
// only one of a task's groups, picked at random, before it forks, so most forks beyond the number of another are not refused.
type census struct {
	// commands has a group for each command, limit is the group of all.
	commands, limit string
	most            atomic.Int64
}

// hold holds commands to this number from now on.
func (c *census) hold(most int) error {
	if err := os.WriteFile(c.limit+"/pids.max", []byte(strconv.Itoa(most)), 0); err != nil {
		return err
	}
	c.most.Store(int64(most))
	limitUsersTasks(most)
	return nil
}

// keep ends, whenever there are more than may be, the command that has the most.
func (c *census) keep() {
	for {
		living := countLines(c.limit + "/tasks")
		if living > int(c.most.Load()) {
			c.endLargest()
			continue
		}
		time.Sleep(c.pause(living))
	}
}

func (c *census) pause(living int) time.Duration {
	most := int(c.most.Load())
	switch {
	case 2*living > most:
		return busyCensus
	case 4*living > most:
		return wakingCensus
	case living > 0:
		return restingCensus
	default:
		return idleCensus
	}
}

func (c *census) endLargest() {
	entries, err := os.ReadDir(c.commands)
	if err != nil {
		return
	}
	largest, size := "", 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		path := c.commands + "/" + entry.Name()
		if tasks := countLines(path + "/tasks"); tasks > size {
			largest, size = path, tasks
		}
	}
	for largest != "" && countLines(c.limit+"/tasks") > int(c.most.Load())/2 {
		members, err := os.ReadFile(largest + "/cgroup.procs")
		pids := bytes.Fields(members)
		if err != nil || len(pids) == 0 {
			return
		}
		endEach(pids)
		time.Sleep(busyCensus)
	}
}

// endEach ends processes and, at one stroke each, the process groups that they lead.
func endEach(pids [][]byte) {
	for _, sign := range []int{-1, 1} {
		for _, word := range pids {
			if pid, err := strconv.Atoi(string(word)); err == nil && pid > 1 {
				_ = syscall.Kill(sign*pid, syscall.SIGKILL)
			}
		}
	}
}

func countLines(path string) int {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	return bytes.Count(raw, []byte{'\n'})
}
