package filesystem

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxEarlyBytes is read of a file that says it is empty; those of /proc say so and are not.
const maxEarlyBytes = 1 << 20

// beginning reads a file that says it is empty. isWhole is false when there may be more. Nothing is waited for.
func beginning(file *os.File, buffer []byte) (early []byte, isWhole bool, err error) {
	fd := int(file.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, false, err
	}
	for len(early) < maxEarlyBytes {
		n := 0
		err := again(func() (err error) {
			n, err = syscall.Read(fd, buffer)
			return err
		})
		if n == 0 && err == nil || errors.Is(err, syscall.EAGAIN) {
			return early, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		early = append(early, buffer[:n]...)
	}
	return early, false, nil
}

// after is the rest of a file after its beginning.
type after struct {
	early []byte
	at    int64
	file  *os.File
}

func (a *after) Read(into []byte) (int, error) {
	if a.at < int64(len(a.early)) {
		n := copy(into, a.early[a.at:])
		a.at += int64(n)
		return n, nil
	}
	n := 0
	err := again(func() (err error) {
		n, err = syscall.Read(int(a.file.Fd()), into)
		return err
	})
	if n == 0 && err == nil || errors.Is(err, syscall.EAGAIN) {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (a *after) Seek(offset int64, _ int) (int64, error) {
	a.at = offset
	return offset, nil
}

// What statfs calls the file systems whose files are the kernel's controls.
const (
	procMagic   = 0x9fa0
	sysMagic    = 0x62656572
	cgroupMagic = 0x27e0eb
	cgroup2     = 0x63677270
)

// mustNotBeAgent refuses what /proc says of the agent itself: a thread of the agent may read that, whoever it acts as.
func mustNotBeAgent(file *os.File, at string) error {
	if magicOf(file) != procMagic {
		return nil
	}
	place, err := readLink("/proc/self/fd/" + strconv.Itoa(int(file.Fd())))
	if err != nil {
		return denied("permission denied: '" + at + "'")
	}
	own := strconv.Itoa(os.Getpid())
	for _, part := range strings.Split(place, "/") {
		if part == own {
			return denied("permission denied: '" + at + "' is the agent's")
		}
	}
	return nil
}

// mustNotBeControl refuses to write what is no file but a control of the kernel.
func mustNotBeControl(file *os.File, at string) error {
	switch magicOf(file) {
	case procMagic, sysMagic, cgroupMagic, cgroup2:
		return denied("permission denied: '" + at + "' is a control of the kernel; a command may write it")
	}
	return nil
}

func magicOf(file *os.File) uint32 {
	var facts syscall.Statfs_t
	if again(func() error { return syscall.Fstatfs(int(file.Fd()), &facts) }) != nil {
		return 0
	}
	return uint32(facts.Type)
}
