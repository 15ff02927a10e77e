package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// fdTree makes a cgroup of version 2 for each command below a directory that the host lent us.
type fdTree struct {
	root *os.File
	next atomic.Uint64
}

type fdBranch struct {
	tree *fdTree
	name string
	// directory is open until the branch is released.
	directory *os.File
}

func (t *fdTree) branch(string) (branch, error) {
	name := "c" + strconv.FormatUint(t.next.Add(1), 10)
	if err := syscall.Mkdirat(int(t.root.Fd()), name, 0o755); err != nil {
		return nil, fmt.Errorf("make cgroup %s: %w", name, err)
	}
	fd, err := syscall.Openat(int(t.root.Fd()), name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.remove(name)
		return nil, fmt.Errorf("open cgroup %s: %w", name, err)
	}
	return &fdBranch{tree: t, name: name, directory: os.NewFile(uintptr(fd), name)}, nil
}

func (t *fdTree) remove(name string) bool {
	path, err := syscall.BytePtrFromString(name)
	if err != nil {
		return false
	}
	const removeDirectory = 0x200
	return unlinkat(int(t.root.Fd()), path, removeDirectory) == nil
}

func (b *fdBranch) attributes(attributes *syscall.SysProcAttr) {
	attributes.UseCgroupFD = true
	attributes.CgroupFD = int(b.directory.Fd())
}

func (*fdBranch) enter() (func(), error) { return func() {}, nil }

func (b *fdBranch) members(int) ([]int, error) {
	raw, err := b.read("cgroup.procs")
	if err != nil {
		return nil, err
	}
	return numbers(raw), nil
}

func (b *fdBranch) kill(ctx context.Context, root int) error {
	if err := b.write("cgroup.kill", "1"); errors.Is(err, syscall.ENOENT) {
		return killAll(ctx, func() ([]int, error) { return b.members(root) })
	} else if err != nil {
		return err
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		events, err := b.read("cgroup.events")
		if err != nil {
			return err
		}
		if bytes.Contains(events, []byte("populated 0")) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cgroup is still populated: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

func (b *fdBranch) release() bool {
	if !b.tree.remove(b.name) {
		return false
	}
	b.directory.Close()
	return true
}

func (b *fdBranch) read(name string) ([]byte, error) {
	fd, err := syscall.Openat(int(b.directory.Fd()), name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	raw := make([]byte, 64<<10)
	n, err := file.Read(raw)
	if err != nil && n == 0 && err.Error() != "EOF" {
		return nil, err
	}
	return raw[:n], nil
}

func (b *fdBranch) write(name, text string) error {
	fd, err := syscall.Openat(int(b.directory.Fd()), name, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte(text))
	return err
}

// mountTree does the same in the cgroup file system of gVisor's kernel, where a thread moves itself and forks.
type mountTree struct {
	path string
	// limit is a group of another hierarchy that holds all commands together; empty where there is none.
	limit string
	next  atomic.Uint64
}

type mountBranch struct {
	tree *mountTree
	path string
	// shared branches are somebody else's to give back.
	shared bool
}

func (t *mountTree) branch(string) (branch, error) {
	path := t.path + "/c" + strconv.FormatUint(t.next.Add(1), 10)
	if err := syscall.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("make cgroup %s: %w", path, err)
	}
	return &mountBranch{tree: t, path: path}, nil
}

// beside answers the branch that a process is in.
func (t *mountTree) beside(pid int) (branch, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(raw) {
		fields := bytes.SplitN(bytes.TrimSpace(line), []byte{':'}, 3)
		if len(fields) == 3 && string(fields[1]) == filepath.Base(t.path) && len(fields[2]) > 1 {
			return &mountBranch{tree: t, path: t.path + string(fields[2]), shared: true}, nil
		}
	}
	return nil, fmt.Errorf("process %d is in no command's cgroup", pid)
}

func (*mountBranch) attributes(*syscall.SysProcAttr) {}

func (b *mountBranch) enter() (func(), error) {
	if err := writeText(b.path+"/tasks", "0"); err != nil {
		return nil, err
	}
	leave := func() { _ = writeText(b.tree.path+"/tasks", "0") }
	if b.tree.limit == "" {
		return leave, nil
	}
	if err := writeText(b.tree.limit+"/tasks", "0"); err != nil {
		leave()
		return nil, err
	}
	return func() {
		_ = writeText(filepath.Dir(b.tree.limit)+"/tasks", "0")
		leave()
	}, nil
}

func (b *mountBranch) members(int) ([]int, error) {
	raw, err := os.ReadFile(b.path + "/cgroup.procs")
	if err != nil {
		return nil, err
	}
	var living []int
	for _, pid := range numbers(raw) {
		if one, ok := readStat(pid); ok && !one.zombie && pid != os.Getpid() {
			living = append(living, pid)
		}
	}
	return living, nil
}

func (b *mountBranch) kill(ctx context.Context, root int) error {
	return killAll(ctx, func() ([]int, error) {
		// The command's process group ends at one stroke, so that none forks while the others end.
		_ = syscall.Kill(-root, syscall.SIGKILL)
		return b.members(root)
	})
}

func (b *mountBranch) release() bool { return b.shared || syscall.Rmdir(b.path) == nil }

func writeText(path, text string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte(text))
	return err
}

func numbers(raw []byte) []int {
	var found []int
	for _, word := range bytes.Fields(raw) {
		if number, err := strconv.Atoi(string(word)); err == nil && number > 0 {
			found = append(found, number)
		}
	}
	return found
}
