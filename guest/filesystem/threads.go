package filesystem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"cofferdam/guest/users"
)

// maxThreads bounds how many threads act as somebody else at once, so that hanging file systems cannot use up the agent.
const maxThreads = 16

const keep = ^uintptr(0)

// threads act as users. The kernel then judges as it judges a program of theirs.
type threads struct {
	slots  chan struct{}
	groups []uint32
}

func newThreads() *threads {
	t := &threads{slots: make(chan struct{}, maxThreads)}
	own, err := os.Getgroups()
	if err != nil {
		return t
	}
	for _, group := range own {
		t.groups = append(t.groups, uint32(group))
	}
	return t
}

// as does something with the rights of a user. What it opens stays usable afterwards.
func (t *threads) as(ctx context.Context, user *users.User, do func() error) error {
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan error, 1)
	go func() {
		done <- t.onThread(user, do)
		<-t.slots
	}()
	return <-done
}

// onThread takes the user's ids on this thread alone. A thread that cannot be cleaned stays locked and ends with its
// goroutine. An effective id other than root's has no effective capability.
func (t *threads) onThread(user *users.User, do func() error) (err error) {
	runtime.LockOSThread()
	clean := false
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("internal: %v", cause)
		}
		if clean {
			runtime.UnlockOSThread()
		}
	}()
	if err := take(user.UID, user.GID, user.Groups); err != nil {
		return errors.Join(errors.New("the agent cannot act as the user"), err)
	}
	err = do()
	clean = t.giveBack() == nil
	return err
}

func (t *threads) giveBack() error {
	if err := setUser(0); err != nil {
		return err
	}
	if err := setGroup(0); err != nil {
		return err
	}
	return setGroups(t.groups)
}

func take(uid, gid uint32, groups []uint32) error {
	if err := setGroups(groups); err != nil {
		return err
	}
	if err := setGroup(gid); err != nil {
		return err
	}
	return setUser(uid)
}

// The calls are raw: those of package syscall change every thread.

func setUser(uid uint32) error {
	return raw(syscall.SYS_SETRESUID, keep, uintptr(uid), keep)
}

func setGroup(gid uint32) error {
	return raw(syscall.SYS_SETRESGID, keep, uintptr(gid), keep)
}

func setGroups(groups []uint32) error {
	return raw(syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
}

func raw(call, a, b, c uintptr) error {
	if _, _, errno := syscall.RawSyscall(call, a, b, c); errno != 0 {
		return errno
	}
	return nil
}
