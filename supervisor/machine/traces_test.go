package machine_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// traces are all that this host shows of a machine.
func traces(b *bench, id string) []string {
	found := append(named("/sys/fs/cgroup", id), named(filepath.Join(b.state, "machines"), id)...)
	files := []string{"/proc/net/unix"}
	for _, pattern := range []string{"/sys/block/loop*/loop/backing_file", "/proc/[0-9]*/mountinfo", "/proc/[0-9]*/cgroup", "/proc/[0-9]*/cmdline"} {
		matches, _ := filepath.Glob(pattern)
		files = append(files, matches...)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(raw), id) && !isZombie(filepath.Dir(file)) {
			found = append(found, file)
		}
	}
	return found
}

// named lists the directories below a path whose names hold the id.
func named(path, id string) []string {
	var found []string
	_ = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(entry.Name(), id) {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// isZombie tells of a process that is over, and that whoever inherited it has not reaped yet.
func isZombie(process string) bool {
	raw, err := os.ReadFile(filepath.Join(process, "stat"))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(after, "Z")
}
