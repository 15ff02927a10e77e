// Package filesystem makes a machine's root: a disk image of fixed size, and layers of templates below it.
package filesystem

import (
	"errors"
	"io"
	"os"
	"syscall"

	"cofferdam/supervisor/failure"
)

const (
	seekData  = 3
	seekHole  = 4
	fileClone = 0x40049409
)

// CopySparse copies a file of exactly size bytes; its holes stay holes, and blocks are shared where the file system can.
func CopySparse(from, to string, size int64) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if info, err := source.Stat(); err != nil {
		return err
	} else if info.Size() != size {
		return failure.New(failure.Internal, "the blank disk %s has %d bytes and not %d", from, info.Size(), size)
	}
	target, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := target.Close(); err == nil {
			err = closed
		}
	}()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, target.Fd(), fileClone, source.Fd()); errno == 0 {
		return nil
	}
	if err := target.Truncate(size); err != nil {
		return err
	}
	return copyExtents(source, target, size)
}

func copyExtents(source, target *os.File, size int64) error {
	for position := int64(0); position < size; {
		begin, err := source.Seek(position, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := source.Seek(begin, seekHole)
		if err != nil {
			return err
		}
		if _, err := source.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := target.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(target, source, end-begin); err != nil {
			return err
		}
		position = end
	}
	return nil
}
