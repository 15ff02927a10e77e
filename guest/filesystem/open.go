package filesystem

import (
	"errors"
	"io"
	"os"
	"syscall"
)

func openDirectory(at string, flags int) (*os.File, error) {
	return openFile(at, syscall.O_RDONLY|syscall.O_DIRECTORY|flags, 0)
}

// openFile opens without waiting, whatever the path turns out to be.
func openFile(at string, flags int, mode uint32) (*os.File, error) {
	fd, err := openDescriptor(at, flags, mode)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), at), nil
}

func openDescriptor(at string, flags int, mode uint32) (int, error) {
	fd := -1
	err := again(func() (err error) {
		fd, err = syscall.Open(at, flags|syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_NOCTTY, mode)
		return err
	})
	return fd, err
}

// isEnd tells whether a directory has no more to give, which is an error only with Readdirnames.
func isEnd[T any](some []T, err error) bool {
	return errors.Is(err, io.EOF) || err == nil && len(some) == 0
}
