package filesystem

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"syscall"
	"time"
)

// moveByCopy moves where the kernel cannot rename: to another file system, or a directory out of an overlay's lower layer.
// The copy becomes visible when it is whole.
func moveByCopy(ctx context.Context, source, destination string) error {
	var mark [8]byte
	if _, err := rand.Read(mark[:]); err != nil {
		return err
	}
	beside := join(path.Dir(destination), ".moving-"+hex.EncodeToString(mark[:]))
	err := copyTree(ctx, source, beside)
	if err == nil {
		err = syscall.Rename(beside, destination)
	}
	if err != nil {
		return errors.Join(err, removeAll(context.WithoutCancel(ctx), beside))
	}
	return removeAll(ctx, source)
}

func copyTree(ctx context.Context, source, destination string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var own syscall.Stat_t
	if err := lstat(source, &own); err != nil {
		return explain(err, source)
	}
	var err error
	switch own.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		err = copyFile(source, destination)
	case syscall.S_IFDIR:
		err = copyDirectory(ctx, source, destination)
	case syscall.S_IFLNK:
		said, unread := readLink(source)
		if unread != nil {
			return explain(unread, source)
		}
		if err := os.Symlink(said, destination); err != nil {
			return err
		}
		return keepOwner(&own, destination)
	case syscall.S_IFIFO:
		err = syscall.Mkfifo(destination, 0o600)
	default:
		return invalid("path '" + source + "' is a device or a socket, which cannot be moved to another file system")
	}
	if err != nil {
		return err
	}
	return keepFacts(&own, destination)
}

func copyFile(source, destination string) error {
	from, err := openFile(source, syscall.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return explain(err, source)
	}
	defer from.Close()
	to, err := openFile(destination, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		if metadata := metadataOf(source); metadata != nil {
			err = replaceMetadata(int(to.Fd()), metadata, destination)
		}
	}
	return errors.Join(err, to.Close())
}

func copyDirectory(ctx context.Context, source, destination string) error {
	if err := os.Mkdir(destination, 0o700); err != nil {
		return err
	}
	from, err := openDirectory(source, syscall.O_NOFOLLOW)
	if err != nil {
		return explain(err, source)
	}
	inside, err := from.Readdirnames(maxEntries + 1)
	from.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return explain(err, source)
	}
	if len(inside) > maxEntries {
		return exhausted("directory '" + source + "' has too many entries to be copied")
	}
	for _, name := range inside {
		if err := copyTree(ctx, join(source, name), join(destination, name)); err != nil {
			return err
		}
	}
	return nil
}

// keepOwner gives a copy its original's owner, where that is another and the user may.
func keepOwner(own *syscall.Stat_t, at string) error {
	var now syscall.Stat_t
	if err := lstat(at, &now); err != nil {
		return err
	}
	if now.Uid == own.Uid && now.Gid == own.Gid {
		return nil
	}
	err := os.Lchown(at, int(own.Uid), int(own.Gid))
	if errors.Is(err, syscall.EPERM) {
		return nil
	}
	return err
}

// keepFacts gives a copy its original's owner, mode and times. A copy that changes hands loses its special bits.
func keepFacts(own *syscall.Stat_t, at string) error {
	if err := keepOwner(own, at); err != nil {
		return err
	}
	var now syscall.Stat_t
	if err := lstat(at, &now); err != nil {
		return err
	}
	mode := own.Mode & 0o7777
	if now.Uid != own.Uid || now.Gid != own.Gid {
		mode &= 0o1777
	}
	if err := syscall.Chmod(at, mode); err != nil {
		return err
	}
	return os.Chtimes(at, moment(own.Atim), moment(own.Mtim))
}

func moment(at syscall.Timespec) time.Time { return time.Unix(int64(at.Sec), int64(at.Nsec)) }
