package boot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// devices are all that there is of hardware for what runs here.
var devices = []struct {
	name         string
	major, minor int
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

var links = map[string]string{
	"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
}

const hidden = syscall.MS_NOSUID | syscall.MS_NOEXEC

var mounts = []struct {
	kind, at string
	flags    uintptr
	options  string
}{
	{"proc", "/proc", hidden | syscall.MS_NODEV, ""},
	{"sysfs", "/sys", hidden | syscall.MS_NODEV | syscall.MS_RDONLY, ""},
	{"cgroup2", groupsAt, hidden | syscall.MS_NODEV, ""},
	{"tmpfs", "/dev", syscall.MS_NOSUID, "mode=755,size=64k"},
	{"devpts", "/dev/pts", hidden, "newinstance,ptmxmode=0666,mode=0620,gid=5,max=64"},
	{"tmpfs", "/dev/shm", hidden | syscall.MS_NODEV, "mode=1777,size=50%"},
	{"mqueue", "/dev/mqueue", hidden | syscall.MS_NODEV, ""},
}

// settings of the kernel: it tells no addresses and no log to users, lets no user trace what is not its child's, gives crashes
// to nobody, and a machine that cannot go on ends.
var kernelSettings = map[string]string{
	"kernel/dmesg_restrict": "1", "kernel/kptr_restrict": "2", "kernel/core_pattern": "", "kernel/panic_on_oops": "1",
	"kernel/panic": "-1", "kernel/printk": "1", "kernel/sysrq": "0", "kernel/unprivileged_bpf_disabled": "1",
	"kernel/perf_event_paranoid": "3",
}

// settle makes the root a machine: file systems, devices, loopback, the kernel's settings, what is new in each.
func settle(told facts) error {
	syscall.Umask(0o022)
	for _, one := range mounts {
		if err := os.MkdirAll(one.at, 0o755); err != nil && !errors.Is(err, syscall.EROFS) {
			return err
		}
		if err := syscall.Mount(one.kind, one.at, one.kind, one.flags, one.options); err != nil {
			return fmt.Errorf("mount %s: %w", one.at, err)
		}
		if one.at == "/dev" {
			if err := makeDevices(); err != nil {
				return err
			}
		}
	}
	for name, value := range kernelSettings {
		_ = os.WriteFile("/proc/sys/"+name, []byte(value), 0)
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	if err := newBootID(); err != nil {
		return fmt.Errorf("make a boot id: %w", err)
	}
	noCores := syscall.Rlimit{}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &noCores); err != nil {
		return err
	}
	return nameMachine(told.ID)
}

func makeDevices() error {
	for _, one := range devices {
		path := filepath.Join("/dev", one.name)
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o666, one.major<<8|one.minor); err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join("/dev", name)); err != nil {
			return err
		}
	}
	return nil
}

// nameMachine gives an image that has a machine-id one of this machine's own.
func nameMachine(id string) error {
	const path = "/etc/machine-id"
	if _, err := os.Lstat(path); err != nil || id == "" {
		return nil
	}
	digest := sha256.Sum256([]byte("machine-id " + id))
	return os.WriteFile(path, []byte(hex.EncodeToString(digest[:16])+"\n"), 0o444)
}

func raiseLoopback() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}
