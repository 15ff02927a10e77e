package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

const (
	// portName is the serial port's, as the host calls it.
	portName = "cofferdam.agent"
	// socketPort is where the agent listens for the host on a vsock.
	socketPort = 1024

	familyVsock = 40
	anyAddress  = 0xffffffff
)

// openStream opens the stream that the command line names: a serial port, or the host's connection to a vsock.
func openStream() (*os.File, error) {
	switch kind := argument("cofferdam.stream"); kind {
	case "serial":
		if err := loadModules("serial"); err != nil {
			return nil, err
		}
		return openPort()
	case "vsock":
		if err := loadModules("vsock"); err != nil {
			return nil, err
		}
		return acceptSocket()
	default:
		return nil, fmt.Errorf("there is no stream of the kind %q", kind)
	}
}

func openPort() (*os.File, error) {
	var path string
	err := eventually("the host's serial port", func() bool {
		names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return false
		}
		for _, name := range names {
			if raw, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(raw)) == portName {
				path = "/dev/" + filepath.Base(filepath.Dir(name))
				_, err := os.Stat(path)
				return err == nil
			}
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

// vsockAddress is the kernel's struct sockaddr_vm.
type vsockAddress struct {
	family, reserved uint16
	port, cid        uint32
	flags            [4]byte
}

// acceptSocket takes the first connection that says something. Nobody but the host and this machine's own root could make
// another. One that ends without a word was whoever saves a machine that has booted, so that others start from it.
func acceptSocket() (*os.File, error) {
	fd, err := syscall.Socket(familyVsock, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a vsock: %w", err)
	}
	defer syscall.Close(fd)
	address := vsockAddress{family: familyVsock, port: socketPort, cid: anyAddress}
	_, _, errno := syscall.Syscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	if errno != 0 {
		return nil, fmt.Errorf("bind a vsock: %w", errno)
	}
	if err := syscall.Listen(fd, 1); err != nil {
		return nil, fmt.Errorf("listen on a vsock: %w", err)
	}
	for {
		connection, _, errno := syscall.Syscall6(syscall.SYS_ACCEPT4, uintptr(fd), 0, 0, syscall.SOCK_CLOEXEC, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return nil, fmt.Errorf("accept on a vsock: %w", errno)
		}
		if !speaks(int(connection)) {
			syscall.Close(int(connection))
			continue
		}
		if err := syscall.SetNonblock(int(connection), true); err != nil {
			return nil, err
		}
		return os.NewFile(connection, "host"), nil
	}
}

// speaks waits for the first byte of a connection, which stays there.
func speaks(fd int) bool {
	for first := make([]byte, 1); ; {
		n, _, err := syscall.Recvfrom(fd, first, syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err == nil && n == 1
		}
	}
}
