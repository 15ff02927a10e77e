package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// What programs queue in netlink sockets is the kernel's memory, which no group's limit counts. So sockets are few: a
// program has one while it looks at interfaces or resolves a name.
const (
	maxNetlinkSockets = 16
	// settling is how long an admitted socket may take until the kernel counts it.
	settling = 20 * time.Millisecond
)

const (
	setFilter     = 1
	allThreads    = 1 << 0
	newListener   = 1 << 3
	failByErrno   = 1 << 4
	receiveNotice = 0xc0502100
	answerNotice  = 0xc0182101
	continueCall  = 1
)

// machineCalls are the numbers that package syscall does not have, by architecture.
var machineCalls = map[string]struct {
	seccomp uintptr
	audit   uint32
}{"amd64": {317, 0xc000003e}, "arm64": {277, 0xc00000b7}}

// notice is struct seccomp_notif.
type notice struct {
	id            uint64
	pid, flags    uint32
	call          int32
	audit         uint32
	pointer       uint64
	callArguments [6]uint64
}

// verdict is struct seccomp_notif_resp.
type verdict struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// limitNetlink admits few netlink sockets at a time, of this process and all that it starts. Where the caller's own filter
// forbids filters, nothing is changed.
func limitNetlink() error {
	listener, err := installNetlinkFilter()
	if err == syscall.EPERM || err == syscall.ENOSYS {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch netlink sockets: %w", err)
	}
	go admitNetlink(listener)
	return nil
}

func installNetlinkFilter() (listener uintptr, err error) {
	const (
		load, jumpIfEqual, answer = 0x20, 0x15, 0x06
		allow, notify             = 0x7fff0000, 0x7fc00000
		callOffset, auditOffset   = 0, 4
		familyOffset              = 16
	)
	known, ok := machineCalls[runtime.GOARCH]
	if !ok {
		return 0, syscall.ENOSYS
	}
	program := []syscall.SockFilter{
		{Code: load, K: auditOffset},
		{Code: jumpIfEqual, Jf: 5, K: known.audit},
		{Code: load, K: callOffset},
		{Code: jumpIfEqual, Jf: 3, K: syscall.SYS_SOCKET},
		{Code: load, K: familyOffset},
		{Code: jumpIfEqual, Jf: 1, K: syscall.AF_NETLINK},
		{Code: answer, K: notify},
		{Code: answer, K: allow},
	}
	filter := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	listener, _, errno := syscall.RawSyscall(known.seccomp, setFilter, allThreads|newListener|failByErrno,
		uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return 0, errno
	}
	return listener, nil
}

// admitNetlink judges one call after the other; more than may be are refused, many at once wait.
func admitNetlink(listener uintptr) {
	var admitted [maxNetlinkSockets]time.Time
	for next := 0; ; {
		var asked notice
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, listener, receiveNotice, uintptr(unsafe.Pointer(&asked)))
		if errno == syscall.EINTR || errno == syscall.ENOENT {
			continue
		}
		if errno != 0 {
			return
		}
		given := verdict{id: asked.id, errno: -int32(syscall.ENFILE)}
		time.Sleep(time.Until(admitted[next].Add(settling)))
		if countNetlink() < maxNetlinkSockets {
			given.errno, given.flags = 0, continueCall
			admitted[next] = time.Now()
			next = (next + 1) % len(admitted)
		}
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, listener, answerNotice, uintptr(unsafe.Pointer(&given)))
	}
}

// countNetlink answers how many netlink sockets the machine has; as many as may be when that cannot be known.
func countNetlink() int {
	raw, err := os.ReadFile("/proc/self/net/protocols")
	if err != nil {
		return maxNetlinkSockets
	}
	for line := range bytes.Lines(raw) {
		fields := bytes.Fields(line)
		if len(fields) < 3 || string(fields[0]) != "NETLINK" {
			continue
		}
		if count, err := strconv.Atoi(string(fields[2])); err == nil {
			return count
		}
	}
	return maxNetlinkSockets
}
