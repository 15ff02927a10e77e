package child

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MarkName is the variable by which a command's descendants are known where no cgroup can be had.
const MarkName = "COFFERDAM_COMMAND"

const secondLook = 2 * time.Millisecond

// scanTree finds a command's processes by parents, session and the mark in their environment.
type scanTree struct{}

type scanBranch struct{ mark string }

func (scanTree) branch(mark string) (branch, error) { return &scanBranch{mark: mark}, nil }

func (*scanBranch) attributes(*syscall.SysProcAttr) {}

func (*scanBranch) enter() (func(), error) { return func() {}, nil }

func (*scanBranch) release() bool { return true }

type stat struct {
	pid, parent, session int
	zombie               bool
}

func readStat(pid int) (stat, bool) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, false
	}
	fields := strings.Fields(string(raw[end+1:]))
	if len(fields) < 4 {
		return stat{}, false
	}
	parent, _ := strconv.Atoi(fields[1])
	session, _ := strconv.Atoi(fields[3])
	return stat{pid: pid, parent: parent, session: session, zombie: fields[0] == "Z" || fields[0] == "X"}, true
}

func allProcesses() []stat {
	directory, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(-1)
	found := make([]stat, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if one, ok := readStat(pid); ok && !one.zombie {
			found = append(found, one)
		}
	}
	return found
}

func (b *scanBranch) members(root int) ([]int, error) {
	processes := allProcesses()
	inside := map[int]bool{root: true}
	sessions := map[int]bool{root: true}
	marked := []byte(MarkName + "=" + b.mark)
	for _, one := range processes {
		if b.mark != "" && hasVariable(one.pid, marked) {
			inside[one.pid] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, one := range processes {
			if inside[one.pid] {
				continue
			}
			if inside[one.parent] || sessions[one.session] {
				inside[one.pid] = true
				grown = true
			}
		}
	}
	var members []int
	for _, one := range processes {
		if inside[one.pid] {
			members = append(members, one.pid)
		}
	}
	return members, nil
}

func hasVariable(pid int, variable []byte) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for _, one := range bytes.Split(raw, []byte{0}) {
		if bytes.Equal(one, variable) {
			return true
		}
	}
	return false
}

// kill looks once more before it believes that nobody is left: a process that is just becoming another program shows no
// environment for a moment.
func (b *scanBranch) kill(ctx context.Context, root int) error {
	return killAll(ctx, func() ([]int, error) {
		found, err := b.members(root)
		if err == nil && len(found) == 0 {
			time.Sleep(secondLook)
			found, err = b.members(root)
		}
		return found, err
	})
}

// killAll stops, then kills, whatever members names, until it names nobody.
func killAll(ctx context.Context, members func() ([]int, error)) error {
	pause := time.Millisecond
	for {
		found, err := members()
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes are still there: %w", len(found), ctx.Err())
		case <-time.After(pause):
		}
		if pause < 20*time.Millisecond {
			pause *= 2
		}
	}
}
