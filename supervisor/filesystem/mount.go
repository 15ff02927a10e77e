package filesystem

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"cofferdam/supervisor/failure"
)

// These numbers are the same on every architecture.
const (
	sysOpenTree     = 428
	sysMoveMount    = 429
	sysMountSetattr = 442

	atCurrentDirectory = -100
	atEmptyPath        = 0x1000
	openTreeClone      = 1
	openTreeCloseExec  = syscall.O_CLOEXEC
	moveFromEmptyPath  = 4

	attributeReadOnly = 0x1
	attributeNoSuid   = 0x2
	attributeNoDevice = 0x4
	attributeIDMap    = 0x100000
)

type mountAttributes struct {
	set, clear, propagation, userNamespace uint64
}

// CloneMount answers a detached copy of the mount at a path, reduced to what lies below the path.
func CloneMount(path string) (*os.File, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	directory := atCurrentDirectory
	fd, _, errno := syscall.Syscall(sysOpenTree, uintptr(directory), uintptr(unsafe.Pointer(name)), openTreeClone|openTreeCloseExec)
	if errno != 0 {
		return nil, fmt.Errorf("clone the mount of %s: %w", path, errno)
	}
	return os.NewFile(fd, path), nil
}

func setAttributes(mount *os.File, attributes mountAttributes) error {
	empty := [1]byte{}
	_, _, errno := syscall.Syscall6(sysMountSetattr, mount.Fd(), uintptr(unsafe.Pointer(&empty)), atEmptyPath,
		uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// attach puts a detached mount where it can be reached by a path.
func attach(mount *os.File, at string) error {
	name, err := syscall.BytePtrFromString(at)
	if err != nil {
		return err
	}
	empty := [1]byte{}
	directory := atCurrentDirectory
	_, _, errno := syscall.Syscall6(sysMoveMount, mount.Fd(), uintptr(unsafe.Pointer(&empty)), uintptr(directory),
		uintptr(unsafe.Pointer(name)), moveFromEmptyPath, 0)
	if errno != 0 {
		return fmt.Errorf("attach a mount at %s: %w", at, errno)
	}
	return nil
}

// mountLayer puts a read-only view of a directory at a path, with its ids mapped where a user namespace is given.
func mountLayer(source, at string, userNamespace *os.File) error {
	layer, err := CloneMount(source)
	if err != nil {
		return err
	}
	defer layer.Close()
	attributes := mountAttributes{set: attributeReadOnly | attributeNoSuid | attributeNoDevice}
	if userNamespace != nil {
		attributes.set |= attributeIDMap
		attributes.userNamespace = uint64(userNamespace.Fd())
	}
	err = setAttributes(layer, attributes)
	if errors.Is(err, syscall.EINVAL) && userNamespace != nil {
		return failure.New(failure.Unsupported, "the file system of %s cannot map ids", source).WithMend(
			"keep the state directory on ext4, XFS or Btrfs, or choose a driver that maps no ids")
	}
	if err != nil {
		return fmt.Errorf("set the attributes of %s: %w", source, err)
	}
	return attach(layer, at)
}

// mapMount puts a mount in its own place again, with its ids mapped.
func mapMount(at string, userNamespace *os.File) error {
	mount, err := CloneMount(at)
	if err != nil {
		return err
	}
	defer mount.Close()
	attributes := mountAttributes{set: attributeIDMap, userNamespace: uint64(userNamespace.Fd())}
	if err := setAttributes(mount, attributes); err != nil {
		return err
	}
	if err := syscall.Unmount(at, 0); err != nil {
		return err
	}
	return attach(mount, at)
}

const forceShutdown = 0x8004587d

// forgetChanges tells a file system that nothing needs to reach its disk any more, so that its end costs nothing.
func forgetChanges(directory *os.File) {
	withoutFlush := uint32(2)
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, directory.Fd(), forceShutdown, uintptr(unsafe.Pointer(&withoutFlush)))
}
