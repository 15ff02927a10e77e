package child

import (
	"context"
	"syscall"
)

// A tree follows every process that descends from a command, so that all of it can be ended.
type tree interface {
	// branch makes the place for one command.
	branch(mark string) (branch, error)
}

// A branch is one command's place in the tree.
type branch interface {
	// attributes are added to those of the fork.
	attributes(*syscall.SysProcAttr)
	// enter puts the calling thread, and so what it forks, into the branch; the answer takes it out again.
	enter() (leave func(), err error)
	// members lists the processes of the branch; root is the command's own process.
	members(root int) ([]int, error)
	// kill ends every process of the branch and answers when none is left.
	kill(ctx context.Context, root int) error
	// release gives the place back; false while somebody is still in it.
	release() bool
}
