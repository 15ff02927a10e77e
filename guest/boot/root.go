package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Where the parts of the root are put together, in the initial file system.
const (
	layersAt = "/layers"
	diskAt   = "/disk"
	rootAt   = "/root"
)

// makeRoot finds the disks, puts them together and makes the result this process's root. It answers the writable one.
func makeRoot(order *Order) (*os.File, error) {
	if err := loadModules("disks"); err != nil {
		return nil, err
	}
	lower := make([]string, len(order.Layers))
	for index, name := range order.Layers {
		lower[index] = filepath.Join(layersAt, strconv.Itoa(index))
		if err := mountDevice(name, lower[index], "erofs", syscall.MS_RDONLY|syscall.MS_NODEV|syscall.MS_NOATIME, ""); err != nil {
			return nil, err
		}
	}
	disk, err := mountDisk(order.Disk)
	if err != nil {
		return nil, err
	}
	options := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + diskAt + "/upper,workdir=" + diskAt + "/work" +
		",redirect_dir=on,metacopy=off,index=off,volatile"
	if err := os.MkdirAll(rootAt, 0o755); err != nil {
		return nil, err
	}
	if err := syscall.Mount("overlay", rootAt, "overlay", syscall.MS_NODEV|syscall.MS_NOATIME, options); err != nil {
		return nil, fmt.Errorf("mount the root: %w", err)
	}
	// What is loaded is not needed any more, and lies in memory.
	_ = os.RemoveAll(modulesAt)
	return disk, enter(rootAt)
}

func mountDisk(name string) (*os.File, error) {
	if err := mountDevice(name, diskAt, "ext4", syscall.MS_NODEV|syscall.MS_NOATIME, "discard,noinit_itable,nobarrier"); err != nil {
		return nil, err
	}
	for _, name := range []string{"upper", "work"} {
		path := filepath.Join(diskAt, name)
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err := errors.Join(err, os.Chmod(path, 0o755)); err != nil {
			return nil, fmt.Errorf("prepare the disk: %w", err)
		}
	}
	// The mark of an overlay that does not flush for itself. What a pause or snapshot keeps was flushed.
	if err := os.RemoveAll(filepath.Join(diskAt, "work", "work", "incompat")); err != nil {
		return nil, fmt.Errorf("prepare the disk: %w", err)
	}
	return os.Open(diskAt)
}

func mountDevice(name, at, kind string, flags uintptr, options string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	var device string
	if err := eventually("the disk "+name, func() bool {
		device = find(name)
		return device != ""
	}); err != nil {
		return err
	}
	if err := syscall.Mount(device, at, kind, flags, options); err != nil {
		return fmt.Errorf("mount the disk %s: %w", name, err)
	}
	return nil
}

// find answers the path of a block device; empty while it is not there.
func find(name string) string {
	serial, bySerial := strings.CutPrefix(name, "serial:")
	if !bySerial {
		if _, err := os.Stat("/dev/" + name); err != nil {
			return ""
		}
		return "/dev/" + name
	}
	files, err := filepath.Glob("/sys/block/*/serial")
	if err != nil {
		return ""
	}
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(raw)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(file))
		}
	}
	return ""
}

// enter makes a directory the root of this and all later processes.
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}
