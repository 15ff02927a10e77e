package filesystem

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/thread"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounts need root")
	}
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var facts syscall.Stat_t
	if err := syscall.Stat(path, &facts); err != nil {
		t.Fatal(err)
	}
	return facts.Blocks
}

func TestCopyIsTheSameAndAsSparse(t *testing.T) {
	directory := t.TempDir()
	from, to := filepath.Join(directory, "from"), filepath.Join(directory, "to")
	file, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	for _, at := range []int64{0, 1 << 20, 40<<20 + 5, size - 3} {
		if _, err := file.WriteAt([]byte("abc"), at); err != nil {
			t.Fatal(err)
		}
	}
	file.Close()
	if err := CopySparse(from, to, size); err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(from)
	other, _ := os.ReadFile(to)
	if !bytes.Equal(one, other) || len(other) != size {
		t.Fatal("the copy differs")
	}
	if blocks(t, to) > blocks(t, from)+64 {
		t.Fatalf("%d blocks became %d", blocks(t, from), blocks(t, to))
	}
	if err := CopySparse(from, to, size); !errors.Is(err, os.ErrExist) {
		t.Fatal("a copy was overwritten:", err)
	}
	var wrong *failure.Failure
	if err := CopySparse(from, to+"2", size+1); !errors.As(err, &wrong) {
		t.Fatal("a size that is not the blank's was taken:", err)
	}
}

func TestManyLoopDevicesAtOnce(t *testing.T) {
	needRoot(t)
	directory := t.TempDir()
	results := make(chan error)
	const count = 16
	for n := range count {
		go func() {
			image := filepath.Join(directory, string(rune('a'+n)))
			results <- func() error {
				if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
					return err
				}
				loop, err := AttachLoop(image)
				if err != nil {
					return err
				}
				return loop.Detached(5 * time.Second)
			}()
		}()
	}
	for range count {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if left, _ := exec.Command("sh", "-c", "cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep "+directory).Output(); len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}

func TestDevicesBelowADirectoryAreDetached(t *testing.T) {
	needRoot(t)
	directory := t.TempDir()
	image := filepath.Join(directory, "image")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	// Held without being mounted, it would stay for ever.
	loop, err := AttachLoop(image)
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Release()
	go func() { time.Sleep(20 * time.Millisecond); loop.Release() }()
	if err := DetachBelow(directory, time.Second); err != nil {
		t.Fatal(err)
	}
}

type fixture struct {
	root   *Root
	mounts *thread.Mounts
	lower  []string
	blank  string
}

// newFixture has two layers and a blank disk below a directory whose name is as odd as can be.
func newFixture(t *testing.T) fixture {
	t.Helper()
	needRoot(t)
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	base := t.TempDir()
	_ = os.Chmod(filepath.Dir(base), 0o755)
	_ = os.Chmod(base, 0o755)
	odd := filepath.Join(base, `a:b,c=d\e "f`)
	blank := filepath.Join(base, "blank")
	top, bottom := filepath.Join(odd, "top:1"), filepath.Join(odd, "bottom,2")
	directory, mountPoint := filepath.Join(odd, "machine"), filepath.Join(base, "mount")
	for _, path := range []string{top, bottom, directory} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{top + "/both": "top", bottom + "/both": "bottom", bottom + "/mine": "user", blank: ""} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(bottom+"/mine", 1000, 1000), os.Truncate(blank, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-O", "^has_journal", blank).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mounts, err := thread.NewMounts(directory)
	if err != nil {
		t.Fatal(err)
	}
	return fixture{NewRoot(directory, mountPoint), mounts, []string{top, bottom}, blank}
}

func (f fixture) mount(idMap *plan.IDMap) error {
	if err := errors.Join(f.root.CopyDisk(plan.Disk{Blank: f.blank, SizeMiB: 64}), f.root.AttachDisk()); err != nil {
		return err
	}
	var namespace, disk *os.File
	if idMap != nil {
		var first, second error
		namespace, first = UserNamespace(*idMap)
		disk, second = DiskNamespace(*idMap)
		if err := errors.Join(first, second); err != nil {
			return err
		}
		defer namespace.Close()
		defer disk.Close()
	}
	return f.mounts.Do(func() error {
		if err := errors.Join(f.root.MountDisk(disk), f.root.MountLayers(f.lower, namespace)); err != nil {
			return err
		}
		return f.root.MountOverlay(len(f.lower), idMap != nil)
	})
}

func (f fixture) end(t *testing.T) {
	t.Helper()
	err := errors.Join(f.mounts.Do(f.root.Unmount), f.root.Detach(5*time.Second))
	f.mounts.Close()
	if err != nil {
		t.Error(err)
	}
}

func owner(path string) (uint32, uint32) {
	var facts syscall.Stat_t
	if syscall.Lstat(path, &facts) != nil {
		return 1 << 31, 1 << 31
	}
	return facts.Uid, facts.Gid
}

func TestMappedRootHasTheMachinesIdsAndIsSeenByNobodyElse(t *testing.T) {
	f := newFixture(t)
	const base = 2_000_000
	if err := f.mount(&plan.IDMap{HostID: base, Size: 65536}); err != nil {
		t.Fatal(err)
	}
	at := f.root.mountPoint
	err := f.mounts.Do(func() error {
		if text, err := os.ReadFile(at + "/both"); string(text) != "top" {
			t.Errorf("%q %v", text, err)
		}
		for path, id := range map[string]uint32{at: base, at + "/both": base, at + "/mine": base + 1000} {
			if uid, gid := owner(path); uid != id || gid != id {
				t.Errorf("%s belongs to %d:%d instead of %d", path, uid, gid, id)
			}
		}
		return asUser(base+1000, func() error {
			if err := os.WriteFile(at+"/mine", []byte("changed"), 0o644); err != nil {
				return err
			}
			if err := os.WriteFile(at+"/both", []byte("x"), 0o644); !errors.Is(err, os.ErrPermission) {
				t.Errorf("a user of the machine changed what is its root's: %v", err)
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(f.lower[1] + "/mine"); string(text) != "user" {
		t.Errorf("a layer was changed: %q %v", text, err)
	}
	if entries, err := os.ReadDir(at); err != nil || len(entries) != 0 {
		t.Errorf("the host sees the mount: %v %v", entries, err)
	}
	used, total, err := f.root.Usage()
	if err != nil || used == 0 || total < 50<<20 || total > 64<<20 {
		t.Error(used, total, err)
	}
	f.end(t)
}

// asUser runs a function with a user's rights on this thread.
func asUser(id uintptr, do func() error) error {
	for _, call := range []uintptr{syscall.SYS_SETFSGID, syscall.SYS_SETFSUID} {
		_, _, _ = syscall.RawSyscall(call, id, 0, 0)
	}
	defer func() {
		for _, call := range []uintptr{syscall.SYS_SETFSUID, syscall.SYS_SETFSGID} {
			_, _, _ = syscall.RawSyscall(call, 0, 0, 0)
		}
	}()
	return do()
}

func TestUnmappedRootIsLimitedByItsDisk(t *testing.T) {
	f := newFixture(t)
	if err := f.mount(nil); err != nil {
		t.Fatal(err)
	}
	err := f.mounts.Do(func() error {
		file, err := os.Create(f.root.mountPoint + "/big")
		if err != nil {
			return err
		}
		defer file.Close()
		piece := make([]byte, 1<<20)
		for written := 0; ; written++ {
			if _, err := file.Write(piece); errors.Is(err, syscall.ENOSPC) && written >= 40 && written < 64 {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	f.end(t)
}

func TestMountPointThatIsShutToOthersIsRefusedForAMappedRoot(t *testing.T) {
	f := newFixture(t)
	parent := filepath.Join(filepath.Dir(f.root.mountPoint), "shut")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	f.root.mountPoint = filepath.Join(parent, "mount")
	var refused *failure.Failure
	if err := f.mount(&plan.IDMap{HostID: 2_000_000, Size: 65536}); !errors.As(err, &refused) || refused.Field != "root.mountPoint" {
		t.Error(err)
	}
	f.end(t)
}

func TestUserNamespaceCanBeMadeWithoutTracing(t *testing.T) {
	needRoot(t)
	for _, traced := range []bool{true, false} {
		err := thread.Once(func() error {
			namespace, err := hold([]syscall.SysProcIDMap{{ContainerID: 0, HostID: 2_000_000, Size: 65536}}, traced)
			if err == nil {
				namespace.Close()
			}
			return err
		})
		if err != nil {
			t.Errorf("traced %v: %v", traced, err)
		}
	}
}
