package filesystem

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"cofferdam/supervisor/failure"
)

const (
	loopControl   = "/dev/loop-control"
	loopGetFree   = 0x4C82
	loopConfigure = 0x4C0A
	loopClear     = 0x4C01
	loopMajor     = 7
	loopAutoclear = 4
)

type loopConfig struct {
	descriptor uint32
	blockSize  uint32
	info       struct {
		device, inode, rdevice, offset, sizeLimit uint64
		number, encryptType, encryptKeySize       uint32
		flags                                     uint32
		fileName, cryptName                       [64]byte
		encryptKey                                [32]byte
		init                                      [2]uint64
	}
	reserved [8]uint64
}

// Loop is a block device over a file. It detaches itself when it was mounted and nobody uses it any more.
type Loop struct {
	Number int
	// device keeps it attached until it is mounted.
	device *os.File
	image  string
}

// Path is the device's.
func (l *Loop) Path() string { return loopPath(l.Number) }

// Release lets go of the device: with the last mount of it, it detaches.
func (l *Loop) Release() {
	if l.device != nil {
		l.device.Close()
		l.device = nil
	}
}

// AttachLoop makes a block device of a file.
func AttachLoop(image string) (*Loop, error) {
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, failure.New(failure.Unsupported, "loop devices cannot be had: %v", err).
			WithMend("load the kernel's loop module (modprobe loop) and let this process use " + loopControl)
	}
	defer control.Close()
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for attempt := 0; attempt < 200; attempt++ {
		number, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), loopGetFree, 0)
		if errno != 0 {
			return nil, fmt.Errorf("find a free loop device: %w", errno)
		}
		device, err := configureLoop(int(number), file)
		if err == nil {
			return &Loop{Number: int(number), device: device, image: image}, nil
		}
		if !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENXIO) {
			return nil, fmt.Errorf("attach loop device %d: %w", number, err)
		}
		// Somebody else took it between the two calls.
		time.Sleep(time.Duration(attempt) * 50 * time.Microsecond)
	}
	return nil, failure.New(failure.Exhausted, "no loop device could be had among many that ask")
}

func configureLoop(number int, file *os.File) (*os.File, error) {
	device, err := openLoop(number)
	if err != nil {
		return nil, err
	}
	config := loopConfig{descriptor: uint32(file.Fd())}
	config.info.flags = loopAutoclear
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, device.Fd(), loopConfigure, uintptr(unsafe.Pointer(&config)))
	if errno != 0 {
		device.Close()
		return nil, errno
	}
	return device, nil
}

// openLoop opens the device and makes its node where /dev is not kept by the kernel.
func openLoop(number int) (*os.File, error) {
	device, err := os.OpenFile(loopPath(number), os.O_RDWR, 0)
	if !errors.Is(err, os.ErrNotExist) {
		return device, err
	}
	// Minor numbers above 255 have their higher bits 12 bits further up.
	code := loopMajor<<8 | number&0xff | (number&^0xff)<<12
	if err := syscall.Mknod(loopPath(number), syscall.S_IFBLK|0o660, code); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make %s: %w", loopPath(number), err)
	}
	return os.OpenFile(loopPath(number), os.O_RDWR, 0)
}

func loopPath(number int) string { return "/dev/loop" + strconv.Itoa(number) }

// Detached waits until the device has let go of its file and makes it do so when it does not.
func (l *Loop) Detached(patience time.Duration) error {
	l.Release()
	return detached(l.Number, func(backing string) bool { return backing == l.image }, patience)
}

func detached(number int, ours func(string) bool, patience time.Duration) error {
	forced := false
	deadline := time.Now().Add(patience)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		raw, err := os.ReadFile(fmt.Sprintf("/sys/block/loop%d/loop/backing_file", number))
		if err != nil || !ours(strings.TrimSuffix(strings.TrimSpace(string(raw)), " (deleted)")) {
			return nil
		}
		if time.Now().After(deadline) {
			if forced {
				return fmt.Errorf("loop device %d does not let go of its file", number)
			}
			forced = true
			deadline = time.Now().Add(patience)
			clearLoop(number)
		}
		time.Sleep(pause)
	}
}

func clearLoop(number int) {
	device, err := openLoop(number)
	if err != nil {
		return
	}
	defer device.Close()
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, device.Fd(), loopClear, 0)
}

// DetachBelow ends every loop device whose file is below a directory.
func DetachBelow(directory string, patience time.Duration) error {
	numbers, err := loopsBelow(directory)
	if err != nil {
		return err
	}
	var problems []error
	below := func(backing string) bool { return isBelow(directory, backing) }
	for _, number := range numbers {
		problems = append(problems, detached(number, below, patience))
	}
	return errors.Join(problems...)
}
