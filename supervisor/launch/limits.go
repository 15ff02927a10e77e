package launch

import (
	"syscall"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
)

const (
	coreBytes         = syscall.RLIMIT_CORE
	pendingSignals    = 11
	messageQueueBytes = 12
)

// limit gives this process the limits that the runtime and the machine are to inherit: a runtime that starts a machine in
// a user namespace of another owner may not set them there unless it has CAP_SYS_RESOURCE.
func limit(limits *plan.ProcessLimits) error {
	if limits == nil {
		return nil
	}
	for resource, value := range map[int]uint64{
		coreBytes:         limits.CoreBytes,
		pendingSignals:    limits.PendingSignals,
		messageQueueBytes: limits.MessageQueueBytes,
	} {
		if err := lower(resource, value); err != nil {
			return failure.Wrap(err, "limit the machine's processes")
		}
	}
	return allowOpenFiles(limits.OpenFiles)
}

func lower(resource int, value uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: value, Max: value})
}

func allowOpenFiles(least uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return failure.Wrap(err, "read how many open files are allowed")
	}
	if now.Cur >= least {
		return nil
	}
	wanted := syscall.Rlimit{Cur: least, Max: max(now.Max, least)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted); err != nil {
		return failure.New(failure.Unsupported, "this host allows a process %d open files, not %d", now.Max, least).
			WithMend("ask for fewer, or raise the hard limit of open files (ulimit -Hn)")
	}
	return nil
}
