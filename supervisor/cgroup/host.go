// Package cgroup makes, limits, watches and empties a machine's control groups, in version 1, version 2 and both at once.
package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cofferdam/supervisor/failure"
)

// Host is what this host has mounted.
type Host struct {
	// controllers maps a controller to where its version 1 hierarchy is mounted, or to unified.
	controllers map[string]string
	// unified is where version 2 is mounted; empty where it is not.
	unified string
	// hierarchies are all mount points.
	hierarchies []string
}

var needed = []string{"memory", "pids", "cpu"}

// Look reads what this host has mounted.
func Look() (*Host, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, failure.Wrap(err, "look for control groups")
	}
	return parseMounts(string(raw), func(path string) string {
		words, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return string(words)
	}), nil
}

func parseMounts(mountInfo string, read func(string) string) *Host {
	host := &Host{controllers: map[string]string{}}
	for line := range strings.Lines(mountInfo) {
		before, after, found := strings.Cut(line, " - ")
		fields, facts := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(facts) < 3 {
			continue
		}
		at := fields[4]
		switch facts[0] {
		case "cgroup":
			for _, option := range strings.Split(facts[2], ",") {
				if _, known := host.controllers[option]; !known {
					host.controllers[option] = at
				}
			}
		case "cgroup2":
			if host.unified != "" {
				continue
			}
			host.unified = at
		default:
			continue
		}
		if !slices.Contains(host.hierarchies, at) {
			host.hierarchies = append(host.hierarchies, at)
		}
	}
	if host.unified != "" {
		for _, controller := range strings.Fields(read(filepath.Join(host.unified, "cgroup.controllers"))) {
			host.controllers[controller] = host.unified
		}
	}
	return host
}

// isUnified tells whether a controller is version 2's.
func (h *Host) isUnified(controller string) bool {
	return h.unified != "" && h.controllers[controller] == h.unified
}

// unifiedControllers are those needed ones that version 2 has.
func (h *Host) unifiedControllers() []string {
	var found []string
	for _, controller := range needed {
		if h.isUnified(controller) {
			found = append(found, controller)
		}
	}
	return found
}

// places are the mount points in which a machine gets a directory of its own.
func (h *Host) places() ([]string, error) {
	var found []string
	add := func(at string) {
		if at != "" && !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	for _, controller := range needed {
		at, known := h.controllers[controller]
		if !known {
			return nil, failure.New(failure.Unsupported, "this host has no control groups for %s", controller).
				WithField("resources." + fieldOf(controller)).
				WithMend("mount the " + controller + " controller of control groups")
		}
		add(at)
	}
	add(h.controllers["cpuacct"])
	if h.unified == "" {
		add(h.controllers["freezer"])
	}
	add(h.unified)
	return found, nil
}

func fieldOf(controller string) string {
	switch controller {
	case "memory":
		return "memoryMiB"
	case "cpu":
		return "cpus"
	}
	return controller
}
