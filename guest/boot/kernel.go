package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// modulesAt is where the initial file system has modules: common ones, those of a stream, and what finds the disks, which is
// loaded when these are known. Names begin with their order.
const modulesAt = "/modules/"

// devicePatience is how long a device may take after its module was loaded.
const devicePatience = 5 * time.Second

// prepareKernel mounts what the kernel shows and loads the modules that every machine needs.
func prepareKernel() error {
	for _, one := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(one.at, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(one.kind, one.at, one.kind, 0, ""); err != nil && !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("mount %s: %w", one.at, err)
		}
	}
	return loadModules("common")
}

// argument is what the kernel's command line says for a name; empty: nothing.
func argument(name string) string {
	raw, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return ""
	}
	for _, word := range strings.Fields(string(raw)) {
		if value, found := strings.CutPrefix(word, name+"="); found {
			return value
		}
	}
	return ""
}

// loadModules loads all of a directory, in the order of their names.
func loadModules(directory string) error {
	entries, err := os.ReadDir(filepath.Join(modulesAt, directory))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := loadModule(filepath.Join(modulesAt, directory, entry.Name())); err != nil {
			return fmt.Errorf("load the module %s: %w", entry.Name(), err)
		}
	}
	return nil
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	empty := [1]byte{}
	_, _, errno := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(&empty)), 0)
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

// eventually tries until something is there.
func eventually(what string, look func() bool) error {
	for begun := time.Now(); !look(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begun) > devicePatience {
			return fmt.Errorf("%s did not appear", what)
		}
	}
	return nil
}
