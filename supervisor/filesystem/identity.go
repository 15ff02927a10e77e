package filesystem

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/thread"
)

// UserNamespace makes a user namespace that maps ids as wanted. It needs no process once it is open.
func UserNamespace(wanted plan.IDMap) (namespace *os.File, err error) {
	if !kernelAtLeast(5, 19) {
		return nil, failure.New(failure.Unsupported, "this kernel cannot map the ids of an overlay's layers").
			WithMend("use Linux 5.19 or newer, or choose a driver that maps no ids")
	}
	err = thread.Once(func() error {
		mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: wanted.HostID, Size: wanted.Size}}
		// Being traced, the child stops before its first instruction: it is there to hold the namespace, never to run.
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"hold"}, &syscall.ProcAttr{
			Env: []string{},
			Sys: &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWUSER,
				UidMappings: mapping,
				GidMappings: mapping,
				Ptrace:      true,
				Pdeathsig:   syscall.SIGKILL,
			},
		})
		if err != nil {
			return userNamespaceFailure(err)
		}
		namespace, err = os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
		_ = syscall.Kill(pid, syscall.SIGKILL)
		reap(pid)
		return err
	})
	return namespace, err
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
	switch err {
	case syscall.ENOSPC, syscall.EUSERS:
		return failure.New(failure.Exhausted, "make a user namespace: %v", err).
			WithMend("raise user.max_user_namespaces with sysctl")
	case syscall.EPERM, syscall.EINVAL, syscall.ENOSYS:
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
