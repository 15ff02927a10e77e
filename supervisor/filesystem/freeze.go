package filesystem

import (
	"errors"
	"os"
	"syscall"

	"cofferdam/supervisor/failure"
)

const (
	freezeCall = 0xC0045877
	thawCall   = 0xC0045878
)

// Freeze brings all that was written onto the image and lets nothing change there until Thaw.
func (r *Root) Freeze() error {
	if r.inside {
		return nil
	}
	if r.disk == nil {
		return failure.New(failure.Lost, "the machine is ending")
	}
	return failure.Wrap(order(r.disk, freezeCall), "freeze the disk")
}

// Thaw lets the disk be written again; one that is not frozen is no problem.
func (r *Root) Thaw() error {
	if r.disk == nil {
		return nil
	}
	return failure.Wrap(thaw(r.disk), "thaw the disk")
}

// Seal keeps the image as it is frozen, for good: what comes later stays in memory and is forgotten. It thaws, so that
// nothing that ends waits for it.
func (r *Root) Seal() error {
	if r.disk == nil {
		return nil
	}
	forgetChanges(r.disk)
	return r.Thaw()
}

func thaw(directory *os.File) error {
	err := order(directory, thawCall)
	if errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

func order(directory *os.File, call uintptr) error {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, directory.Fd(), call, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
