package main

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// refuseTyping lets no process type into a terminal or command the console: whoever looks at a terminal later would run it.
// Root of a kernel of its own could otherwise, and on kernels before 6.2 everybody.
func refuseTyping() error {
	const (
		load, jumpIfEqual, answer = 0x20, 0x15, 0x06
		allow, refuse             = 0x7fff0000, 0x00050000 | uint32(syscall.EPERM)
		callOffset, auditOffset   = 0, 4
		requestOffset             = 24
		typeInto, commandConsole  = 0x5412, 0x541c
		// Programs of 32 bits have numbers of their own.
		audit32, ioctl32 = 0x40000003, 54
	)
	known, ok := machineCalls[runtime.GOARCH]
	if !ok {
		return nil
	}
	program := []syscall.SockFilter{
		{Code: load, K: auditOffset},
		{Code: jumpIfEqual, Jf: 2, K: known.audit},
		{Code: load, K: callOffset},
		{Code: jumpIfEqual, Jt: 3, Jf: 6, K: syscall.SYS_IOCTL},
		{Code: jumpIfEqual, Jf: 5, K: audit32},
		{Code: load, K: callOffset},
		{Code: jumpIfEqual, Jf: 3, K: ioctl32},
		{Code: load, K: requestOffset},
		{Code: jumpIfEqual, Jt: 2, K: typeInto},
		{Code: jumpIfEqual, Jt: 1, K: commandConsole},
		{Code: answer, K: allow},
		{Code: answer, K: refuse},
	}
	filter := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := syscall.RawSyscall(known.seccomp, setFilter, allThreads, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("refuse typing into terminals: %w", errno)
	}
	return nil
}
