package filesystem

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/thread"
)

// UserNamespace makes a user namespace that maps ids as wanted, and whose owner is its own root. What the kernel counts for
// each user (inotify instances, pending signals, message queues, locked memory) then counts for nobody else on the host.
// It needs no process once it is open.
func UserNamespace(wanted plan.IDMap) (namespace *os.File, err error) {
	if !kernelAtLeast(5, 19) {
		return nil, failure.New(failure.Unsupported, "this kernel cannot map the ids of an overlay's layers").
			WithMend("use Linux 5.19 or newer, or choose a driver that maps no ids")
	}
	err = thread.Once(func() error {
		if err := actAs(wanted.HostID); err != nil {
			return err
		}
		namespace, err = held([]syscall.SysProcIDMap{{ContainerID: 0, HostID: wanted.HostID, Size: wanted.Size}})
		return err
	})
	return namespace, userNamespaceFailure(err)
}

// DiskNamespace makes a user namespace for the mount of a disk that holds the machine's own ids, and for nothing else: what
// the overlay makes there for itself is the host's root's, which is mapped as well.
func DiskNamespace(wanted plan.IDMap) (namespace *os.File, err error) {
	err = thread.Once(func() error {
		namespace, err = held([]syscall.SysProcIDMap{
			{ContainerID: 0, HostID: wanted.HostID, Size: wanted.Size},
			{ContainerID: wanted.Size, HostID: 0, Size: 1},
		})
		return err
	})
	return namespace, userNamespaceFailure(err)
}

func held(mapping []syscall.SysProcIDMap) (*os.File, error) {
	namespace, err := hold(mapping, true)
	if errors.Is(err, syscall.EPERM) {
		return hold(mapping, false)
	}
	return namespace, err
}

// actAs gives the calling thread, which must be a throw-away one, another effective user id and keeps its rights.
func actAs(id int) error {
	const (
		setSecureBits = 28
		keepRights    = 1 << 2 // SECBIT_NO_SETUID_FIXUP
		unchanged     = ^uintptr(0)
	)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setSecureBits, keepRights, 0); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, uintptr(id), unchanged); errno != 0 {
		return errno
	}
	return nil
}

// hold starts a child in a new user namespace, opens the namespace, and ends the child. Being traced, the child stops
// before its first instruction; where that is forbidden (Yama, a debugger), it waits for its input to end.
func hold(mapping []syscall.SysProcIDMap, traced bool) (*os.File, error) {
	input, output, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	defer output.Close()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{holderName}, &syscall.ProcAttr{
		Env:   []string{},
		Files: []uintptr{input.Fd()},
		Sys: &syscall.SysProcAttr{
			Cloneflags:                 syscall.CLONE_NEWUSER,
			UidMappings:                mapping,
			GidMappings:                mapping,
			GidMappingsEnableSetgroups: true,
			Ptrace:                     traced,
			Pdeathsig:                  syscall.SIGKILL,
		},
	})
	if err != nil {
		return nil, err
	}
	defer reap(pid)
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	return os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
}

const holderName = "cofferdam-holder"

// A holder that runs must do nothing else, whatever program it is a copy of.
func init() {
	if os.Args[0] == holderName {
		_, _ = syscall.Read(0, make([]byte, 1))
		os.Exit(0)
	}
}

func reap(pid int) {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if err == syscall.EINTR || err == nil && status.Stopped() {
			continue
		}
		return
	}
}

func userNamespaceFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EUSERS):
		return failure.New(failure.Exhausted, "make a user namespace: %v", err).
			WithMend("raise user.max_user_namespaces with sysctl")
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		return failure.New(failure.Unsupported, "make a user namespace: %v", err).
			WithMend("let root make user namespaces on this host, or choose a driver that needs none")
	}
	return fmt.Errorf("make a user namespace: %w", err)
}

func kernelAtLeast(major, minor int) bool {
	raw, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return false
	}
	parts := strings.SplitN(strings.TrimSpace(string(raw)), ".", 3)
	if len(parts) < 2 {
		return false
	}
	first, _ := strconv.Atoi(parts[0])
	second, _ := strconv.Atoi(strings.TrimRight(parts[1], "-+abcdefghijklmnopqrstuvwxyz"))
	return first > major || first == major && second >= minor
}
