package child

import (
	"syscall"
	"unsafe"
)

// unlinkat is what the syscall package keeps to itself on some architectures.
func unlinkat(directory int, name *byte, flags int) error {
	_, _, errno := syscall.Syscall(syscall.SYS_UNLINKAT, uintptr(directory), uintptr(unsafe.Pointer(name)), uintptr(flags))
	if errno != 0 {
		return errno
	}
	return nil
}
