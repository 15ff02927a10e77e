package child

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// Groups of users that images do not use: Debian gives these ids to nobody.
const (
	firstGroup = 62000
	lastGroup  = 63999
)

// groupTree gives each command a supplementary group of its own. Whoever may not set groups passes it on to all that descends
// from it and cannot put it off, whatever becomes of sessions, parents and environments.
type groupTree struct {
	mutex sync.Mutex
	taken map[uint32]bool
	last  uint32
}

type groupBranch struct {
	tree  *groupTree
	group uint32
}

// showsGroups tells whether this kernel says in which groups a process is.
func showsGroups() bool {
	_, ok := groupsOf(os.Getpid())
	return ok
}

func (t *groupTree) branch(string) (branch, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for range lastGroup - firstGroup + 1 {
		t.last++
		group := firstGroup + t.last%(lastGroup-firstGroup+1)
		if !t.taken[group] {
			t.taken[group] = true
			return &groupBranch{t, group}, nil
		}
	}
	return nil, errors.New("every group is taken")
}

func (b *groupBranch) attributes(attributes *syscall.SysProcAttr) {
	groups := append([]uint32{}, attributes.Credential.Groups...)
	attributes.Credential.Groups = append(groups, b.group)
}

func (*groupBranch) enter() (func(), error) { return func() {}, nil }

func (b *groupBranch) members(int) ([]int, error) {
	mark := []byte(strconv.FormatUint(uint64(b.group), 10))
	var found []int
	for _, one := range allProcesses() {
		groups, _ := groupsOf(one.pid)
		for _, group := range groups {
			if bytes.Equal(group, mark) {
				found = append(found, one.pid)
				break
			}
		}
	}
	return found, nil
}

func (b *groupBranch) kill(ctx context.Context, root int) error {
	return killAll(ctx, func() ([]int, error) {
		// The command's process group ends at one stroke, so that none forks while the others end.
		_ = syscall.Kill(-root, syscall.SIGKILL)
		return b.members(root)
	})
}

func (b *groupBranch) release() bool {
	if found, err := b.members(0); err != nil || len(found) > 0 {
		return false
	}
	b.tree.mutex.Lock()
	defer b.tree.mutex.Unlock()
	delete(b.tree.taken, b.group)
	return true
}

// groupsOf answers the supplementary groups of a process; false where the kernel does not tell, or the process is gone.
func groupsOf(pid int) ([][]byte, bool) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return nil, false
	}
	for line := range bytes.Lines(raw) {
		if words, ok := bytes.CutPrefix(line, []byte("Groups:")); ok {
			return bytes.Fields(words), true
		}
	}
	return nil, false
}
