package filesystem

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	// maxOpenLevels bounds how many directories are open at once; what is deeper is lifted up to the top first.
	maxOpenLevels = 64
	// maxRefills bounds how often a directory is emptied again because a program goes on filling it.
	maxRefills = 16
	maxLifts   = 1 << 20
)

// What package syscall has no names for; the numbers are those of every architecture that the agent is built for.
const (
	atRemoveDirectory = 0x200
	openPathOnly      = 0x200000
)

const liftedName = ".removing-"

// removeAll removes a path and all below it. It follows no link. What is missing is no error; the first that cannot be
// removed ends it.
func removeAll(ctx context.Context, at string) error {
	parent, err := openPlace(path.Dir(at))
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	return (&remover{ctx: ctx}).entry(parent, path.Base(at), at, 0)
}

type remover struct {
	ctx context.Context
	// top is the directory that is removed, into which deep ones are lifted.
	top    *os.File
	lifted int
}

func (r *remover) entry(parent *os.File, name, shown string, level int) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	err := unlinkAt(parent, name, 0)
	if err == nil || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if !errors.Is(err, syscall.EISDIR) && !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) {
		return explain(err, shown)
	}
	refused := err
	err = unlinkAt(parent, name, atRemoveDirectory)
	switch {
	case err == nil || errors.Is(err, syscall.ENOENT):
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return explain(refused, shown)
	case !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST):
		return explain(err, shown)
	}
	if level >= maxOpenLevels {
		return r.lift(parent, name, shown)
	}
	return r.directory(parent, name, shown, level)
}

// lift moves a directory to where it is found again when the top is emptied.
func (r *remover) lift(parent *os.File, name, shown string) error {
	for r.lifted < maxLifts {
		r.lifted++
		err := renameAt(parent, name, r.top, liftedName+strconv.Itoa(r.lifted))
		isTaken := errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.ENOTDIR)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !isTaken {
			return explain(err, shown)
		}
	}
	return explain(syscall.ENOTEMPTY, shown)
}

func (r *remover) directory(parent *os.File, name, shown string, level int) error {
	opened, err := openDirectoryAt(parent, name)
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if err != nil {
		return explain(err, shown)
	}
	defer opened.Close()
	if level == 0 {
		r.top = opened
	}
	for refills := 0; ; {
		lifted := r.lifted
		if err := r.empty(opened, shown, level); err != nil {
			return err
		}
		err := unlinkAt(parent, name, atRemoveDirectory)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		// Something came in meanwhile: from below, or by a program.
		if r.lifted == lifted {
			refills++
		}
		if refills > maxRefills || !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
			return explain(err, shown)
		}
		if _, err := opened.Seek(0, io.SeekStart); err != nil {
			return explain(err, shown)
		}
	}
}

func (r *remover) empty(opened *os.File, shown string, level int) error {
	for {
		inside, err := opened.Readdirnames(512)
		for _, each := range inside {
			if err := r.entry(opened, each, join(shown, each), level+1); err != nil {
				return err
			}
		}
		if isEnd(inside, err) {
			return nil
		}
		if err != nil {
			return explain(err, shown)
		}
	}
}

// openPlace opens a directory to name things in it; reading it may be forbidden.
func openPlace(at string) (*os.File, error) {
	fd, err := openDescriptor(at, openPathOnly|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), at), nil
}

func openDirectoryAt(parent *os.File, name string) (*os.File, error) {
	fd := -1
	err := again(func() (err error) {
		fd, err = syscall.Openat(int(parent.Fd()), name,
			syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func unlinkAt(parent *os.File, name string, flags uintptr) error {
	at, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	return again(func() error {
		if _, _, errno := syscall.Syscall(syscall.SYS_UNLINKAT, parent.Fd(), uintptr(unsafe.Pointer(at)), flags); errno != 0 {
			return errno
		}
		return nil
	})
}

func renameAt(from *os.File, name string, to *os.File, newName string) error {
	old, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	fresh, err := syscall.BytePtrFromString(newName)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_RENAMEAT, from.Fd(), uintptr(unsafe.Pointer(old)),
		to.Fd(), uintptr(unsafe.Pointer(fresh)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
