package process

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	ioctlGetNumber = 0x80045430
	ioctlUnlock    = 0x40045431
)

// openTerminal answers the host's and the program's end of a new terminal that belongs to the user.
func openTerminal(size Size, uid, gid uint32) (master, slave *os.File, err error) {
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	var number, unlock int32
	if err := ioctl(fd, ioctlUnlock, unsafe.Pointer(&unlock)); err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("unlock a terminal: %w", err)
	}
	if err := ioctl(fd, ioctlGetNumber, unsafe.Pointer(&number)); err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("number a terminal: %w", err)
	}
	path := "/dev/pts/" + strconv.Itoa(int(number))
	slave, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	_ = os.Chown(path, int(uid), int(gid))
	if err := resize(master, size); err != nil {
		master.Close()
		slave.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

func resize(master *os.File, size Size) error {
	window := [4]uint16{uint16(size.Rows), uint16(size.Cols)}
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	if err := raw.Control(func(fd uintptr) {
		failure = ioctl(int(fd), syscall.TIOCSWINSZ, unsafe.Pointer(&window))
	}); err != nil {
		return err
	}
	return failure
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

func (s *Size) valid() bool {
	return s.Cols >= 1 && s.Cols <= 4096 && s.Rows >= 1 && s.Rows <= 4096
}
