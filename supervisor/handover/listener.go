package handover

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// SocketName is a machine's socket's, in its directory.
const SocketName = "machine.sock"

const backlog = 512

// Listener accepts connections to a machine.
type Listener struct{ file *os.File }

// NewListener listens on the machine's socket. A path of any length will do.
func NewListener(directory string) (*Listener, error) {
	parent, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), SocketName)
	path := fmt.Sprintf("/proc/self/fd/%d/%s", parent.Fd(), SocketName)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		file.Close()
		return nil, fmt.Errorf("bind %s: %w", SocketName, err)
	}
	if err := os.Chmod(filepath.Join(directory, SocketName), 0o600); err != nil {
		file.Close()
		return nil, err
	}
	if err := syscall.Listen(fd, backlog); err != nil {
		file.Close()
		return nil, err
	}
	return &Listener{file: file}, nil
}

// Accept answers the next connection.
func (l *Listener) Accept() (*os.File, error) {
	socket, err := l.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var accepted int
	var problem error
	err = socket.Read(func(fd uintptr) bool {
		for {
			accepted, _, problem = syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
			if !errors.Is(problem, syscall.ECONNABORTED) && !errors.Is(problem, syscall.EINTR) {
				return !errors.Is(problem, syscall.EAGAIN)
			}
		}
	})
	if err := errors.Join(err, problem); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(accepted), "connection"), nil
}

// Close stops accepting.
func (l *Listener) Close() { l.file.Close() }
