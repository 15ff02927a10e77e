package filesystem

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"syscall"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/thread"
)

// blockBytes is what one leaf of a digest covers.
const blockBytes = 1 << 20

var emptyBlock [blockBytes]byte

// Digest is of a file's size and of each of its blocks that is not empty, with its position; holes and zeros are the same.
// So a sparse copy has the digest of its original, and an empty disk costs next to nothing.
func Digest(file *os.File) (string, error) {
	return digest(file, func(int64, []byte) error { return nil })
}

// Flushed brings a file to the disk and answers its digest and what it takes there. Bytes.
func Flushed(path string) (string, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, failure.Wrap(err, "read the copy")
	}
	defer file.Close()
	digest, err := Digest(file)
	var facts syscall.Stat_t
	err = errors.Join(err, file.Sync(), syscall.Fstat(int(file.Fd()), &facts))
	return digest, facts.Blocks * 512, failure.Wrap(err, "read the copy")
}

// copyVerified copies a file whose digest must be the one that was noted; holes stay holes. What it has not verified is gone.
func copyVerified(from, to, noted string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return failure.Wrap(err, "read the disk")
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return failure.Wrap(err, "copy the disk")
	}
	defer func() {
		if err = errors.Join(err, target.Close()); err != nil {
			_ = os.Remove(to)
		}
	}()
	found, err := copyDigested(source, target)
	if err != nil {
		return failure.Wrap(err, "copy the disk")
	}
	if found != noted {
		return failure.New(failure.Untrusted, "the disk is not what was written: its digest is %s", found)
	}
	return nil
}

func copyDigested(source, target *os.File) (string, error) {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, target.Fd(), fileClone, source.Fd()); errno == 0 {
		return Digest(target)
	}
	info, err := source.Stat()
	if err != nil {
		return "", err
	}
	if err := target.Truncate(info.Size()); err != nil {
		return "", err
	}
	return digest(source, func(position int64, block []byte) error {
		_, err := target.WriteAt(block, position)
		return err
	})
}

// gentleNice gives a tenth of what a process has that competes with it.
const gentleNice = 10

// gently works on a thread that steps back behind whoever else needs the processors: how much there is to read is up to the
// guest, and its own limits do not hold here.
func gently(work func() error) error {
	return thread.Once(func() error {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, gentleNice)
		return work()
	})
}

// digest gives every block that is not empty to a visitor as well.
func digest(file *os.File, visit func(position int64, block []byte) error) (found string, err error) {
	err = gently(func() error {
		found, err = digestNow(file, visit)
		return err
	})
	return found, err
}

func digestNow(file *os.File, visit func(position int64, block []byte) error) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	total := sha256.New()
	note(total, uint64(info.Size()))
	buffer := make([]byte, blockBytes)
	for position := int64(0); position < info.Size(); position += blockBytes {
		begin, err := nextData(file, position)
		if err != nil {
			return "", err
		}
		if begin < 0 {
			break
		}
		position = begin - begin%blockBytes
		block := buffer[:min(blockBytes, info.Size()-position)]
		if _, err := file.ReadAt(block, position); err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if bytes.Equal(block, emptyBlock[:len(block)]) {
			continue
		}
		note(total, uint64(position))
		leaf := sha256.Sum256(block)
		_, _ = total.Write(leaf[:])
		if err := visit(position, block); err != nil {
			return "", err
		}
	}
	return "sha256:" + hex.EncodeToString(total.Sum(nil)), nil
}

func note(total hash.Hash, number uint64) {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], number)
	_, _ = total.Write(raw[:])
}

// nextData answers where the next bytes are that are no hole; -1 where there are none.
func nextData(file *os.File, position int64) (int64, error) {
	begin, err := file.Seek(position, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return -1, nil
	case errors.Is(err, syscall.EINVAL):
		// A file system without holes.
		return position, nil
	}
	return begin, err
}
