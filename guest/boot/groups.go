package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	groupsAt   = "/sys/fs/cgroup"
	commandsAt = groupsAt + "/commands"
	// agentBytes is the memory that commands leave to the agent and the kernel, so that these go on when there is no more;
	// agentShare is the least part of it, in small machines.
	agentBytes = 32 << 20
	agentShare = 8
)

// groups hold all commands together; each has one of its own below.
type groups struct {
	// directory is lent to the agent.
	directory *os.File
}

func makeGroups(pids int) (*groups, error) {
	if err := os.WriteFile(groupsAt+"/cgroup.subtree_control", []byte("+memory +pids"), 0); err != nil {
		return nil, fmt.Errorf("use control groups: %w", err)
	}
	if err := os.Mkdir(commandsAt, 0o755); err != nil {
		return nil, fmt.Errorf("make the commands' control group: %w", err)
	}
	memory := available()
	memory -= min(agentBytes, memory/agentShare)
	limits := map[string]string{"memory.max": strconv.FormatInt(memory, 10)}
	if pids > 0 {
		limits["pids.max"] = strconv.Itoa(pids)
	}
	for name, limit := range limits {
		if err := os.WriteFile(filepath.Join(commandsAt, name), []byte(limit), 0); err != nil {
			return nil, fmt.Errorf("limit the commands: %w", err)
		}
	}
	// The agent is the last that ends for want of memory.
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0); err != nil {
		return nil, err
	}
	directory, err := os.Open(commandsAt)
	return &groups{directory}, err
}

// memoryKills counts what was ended for want of memory.
func (g *groups) memoryKills() int {
	raw, err := os.ReadFile(commandsAt + "/memory.events")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if number, found := strings.CutPrefix(line, "oom_kill "); found {
			kills, _ := strconv.Atoi(strings.TrimSpace(number))
			return kills
		}
	}
	return 0
}

// available is the memory that nothing has taken yet. Bytes.
func available() int64 {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, found := strings.CutPrefix(line, "MemAvailable:"); found {
			number, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return number << 10
		}
	}
	return 0
}
