package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"cofferdam/supervisor/failure"
)

// LockName is a machine's lock's, in its directory. Whoever holds it is responsible for the machine.
const LockName = "lock"

// TakeLock makes the lock and holds it. It appears in the directory already held, so that a sweep cannot come between.
func TakeLock(directory string) (*os.File, error) {
	aside := filepath.Join(directory, fmt.Sprintf("%s.%d", LockName, os.Getpid()))
	lock, err := os.OpenFile(aside, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, failure.Wrap(err, "make the machine's lock")
	}
	defer os.Remove(aside)
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, failure.Wrap(err, "lock the machine's directory")
	}
	if err := os.Link(aside, filepath.Join(directory, LockName)); err != nil {
		lock.Close()
		if errors.Is(err, os.ErrExist) {
			return nil, failure.New(failure.AlreadyExists, "another supervisor has this machine")
		}
		return nil, failure.Wrap(err, "lock the machine's directory")
	}
	return lock, nil
}

// AdoptLock takes the lock of a machine whose supervisor is gone; nil when it is held, or gone with the machine.
func AdoptLock(directory string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(directory, LockName), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, nil
	}
	info, err := lock.Stat()
	if err != nil {
		lock.Close()
		return nil, err
	}
	if facts, ok := info.Sys().(*syscall.Stat_t); ok && facts.Nlink == 0 {
		lock.Close()
		return nil, nil
	}
	return lock, nil
}

// RemoveDirectory removes a machine's directory; its lock goes last.
func RemoveDirectory(directory string) error {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var problems []error
	for _, entry := range entries {
		if entry.Name() != LockName {
			problems = append(problems, os.RemoveAll(filepath.Join(directory, entry.Name())))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return os.RemoveAll(directory)
}
