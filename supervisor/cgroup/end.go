package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill ends every process in the group and answers when none is left.
func (g *Group) Kill(patience time.Duration) error {
	begun := time.Now()
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		killed := g.killUnified()
		left := g.members(!killed)
		if len(left) == 0 && !g.populated() {
			return nil
		}
		// A process may have been moved out of the unified group; it is still in the others.
		if !killed || time.Since(begun) > patience/4 {
			g.killEach()
		}
		if time.Since(begun) > patience {
			return fmt.Errorf("%d processes do not end", len(left))
		}
		time.Sleep(pause)
	}
}

// killEach kills one by one, while nobody can fork where that can be had.
func (g *Group) killEach() {
	frozen := g.freeze("FROZEN")
	for _, pid := range g.members(true) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	// What is frozen dies only when it thaws.
	if frozen {
		g.freeze("THAWED")
	}
}

// killUnified uses version 2's way to kill a whole tree at once; false where the kernel has none.
func (g *Group) killUnified() bool {
	if g.host.unified == "" {
		return false
	}
	return write(filepath.Join(g.at(g.host.unified), "cgroup.kill"), "1") == nil
}

// freeze puts version 1's freezer into a state and gives it a moment to get there; false where there is none.
func (g *Group) freeze(state string) bool {
	at, known := g.host.controllers["freezer"]
	path := filepath.Join(g.at(at), "freezer.state")
	if !known || write(path, state) != nil {
		return false
	}
	for range 50 {
		raw, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(raw)) == state {
			break
		}
		time.Sleep(200 * time.Microsecond)
	}
	return true
}

// populated tells whether version 2 knows of a living process in the group.
func (g *Group) populated() bool {
	if g.host.unified == "" {
		return false
	}
	raw, err := os.ReadFile(filepath.Join(g.at(g.host.unified), "cgroup.events"))
	return err == nil && bytes.Contains(raw, []byte("populated 1"))
}

// members lists the group's processes: those of the pids controller, or of every hierarchy.
func (g *Group) members(everywhere bool) []int {
	places := []string{g.host.controllers["pids"]}
	if everywhere {
		places = g.places
	}
	var found []int
	for _, place := range places {
		_ = filepath.WalkDir(g.at(place), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return nil
			}
			raw, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			if err != nil {
				return nil
			}
			for _, word := range bytes.Fields(raw) {
				if pid, err := strconv.Atoi(string(word)); err == nil && pid > 0 && pid != os.Getpid() && !slices.Contains(found, pid) {
					found = append(found, pid)
				}
			}
			return nil
		})
	}
	return found
}

// Remove takes the group's directories away in every hierarchy, those that a runtime made too, and their parents once empty.
func (g *Group) Remove(patience time.Duration) error {
	g.Close()
	deadline := time.Now().Add(patience)
	var problems []error
	for _, at := range g.host.hierarchies {
		for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
			err := removeTree(g.at(at))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				problems = append(problems, err)
				break
			}
			time.Sleep(pause)
		}
	}
	RemoveEmpty(g.host, filepath.Dir(g.name))
	return errors.Join(problems...)
}

func removeTree(path string) error {
	err := syscall.Rmdir(path)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	entries, readErr := os.ReadDir(path)
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		return readErr
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if err := removeTree(filepath.Join(path, entry.Name())); err != nil {
			return err
		}
	}
	if err := syscall.Rmdir(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}
