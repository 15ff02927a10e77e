package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Children lists the names of groups below one, in any hierarchy.
func Children(host *Host, name string) []string {
	var found []string
	for _, at := range host.hierarchies {
		entries, err := os.ReadDir(filepath.Join(at, name))
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if entry.IsDir() && !slices.Contains(found, entry.Name()) {
				found = append(found, entry.Name())
			}
		}
	}
	return found
}

// RemoveEmpty removes a group and the groups above it where they have no children.
func RemoveEmpty(host *Host, name string) {
	for _, at := range host.hierarchies {
		for path := filepath.Join(at, name); path != at; path = filepath.Dir(path) {
			if syscall.Rmdir(path) != nil {
				break
			}
		}
	}
}
