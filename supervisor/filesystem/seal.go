package filesystem

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cofferdam/supervisor/thread"
)

// SealBelow seals every disk whose image is below a directory and whose supervisor is gone: the image stays as it is, and
// nothing that ends waits for a disk that is frozen. A frozen file system outlives all its mounts until it is thawed.
func SealBelow(directory string) error {
	numbers, err := loopsBelow(directory)
	if err != nil || len(numbers) == 0 {
		return err
	}
	at, err := os.MkdirTemp("", "cofferdam-seal-")
	if err != nil {
		return err
	}
	defer os.Remove(at)
	return thread.Once(func() error {
		err := errors.Join(syscall.Unshare(syscall.CLONE_NEWNS), syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		if err != nil {
			return err
		}
		var problems []error
		for _, number := range numbers {
			problems = append(problems, sealLoop(number, at))
		}
		return errors.Join(problems...)
	})
}

func sealLoop(number int, at string) error {
	err := syscall.Mount(loopPath(number), at, "ext4", syscall.MS_NODEV|syscall.MS_NOSUID|syscall.MS_NOATIME, "")
	if err != nil {
		// What cannot be mounted again is not mounted, and so not frozen.
		return nil
	}
	disk, err := os.Open(at)
	if err == nil {
		forgetChanges(disk)
		err = errors.Join(thaw(disk), disk.Close())
	}
	return errors.Join(err, unmount(at))
}

// loopsBelow lists the loop devices whose file is below a directory.
func loopsBelow(directory string) ([]int, error) {
	names, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil || !isBelow(directory, strings.TrimSpace(string(raw))) {
			continue
		}
		number, err := strconv.Atoi(strings.TrimPrefix(strings.Split(name, "/")[3], "loop"))
		if err == nil {
			found = append(found, number)
		}
	}
	return found, nil
}

func isBelow(directory, path string) bool { return strings.HasPrefix(path, directory+"/") }
