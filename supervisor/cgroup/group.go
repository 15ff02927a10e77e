package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
)

// Below a machine's own directory.
const (
	// runtimeName holds the runtime in version 2, where a group with limited children has no processes.
	runtimeName = "runtime"
	// initName holds the machine's own processes; a runtime that makes a group of its own makes this one.
	initName = "init"
	// spareGroups are for commands that are being started or given back.
	spareGroups = 64
)

// Group is a machine's place in every hierarchy.
type Group struct {
	host   *Host
	name   string
	limits plan.Limits
	// places are those that the runtime is started in.
	places []string
	kills  killCounter
}

// Create makes the directories and puts the limits in force; a limit that does not take is a failure.
func Create(host *Host, wanted plan.Cgroup) (*Group, error) {
	places, err := host.places()
	if err != nil {
		return nil, err
	}
	group := &Group{host: host, name: wanted.Name, limits: wanted.Limits, places: places}
	made := places
	if wanted.PerCommand {
		// The runtime makes a group of its own everywhere; with these around it, no parent is empty and taken away meanwhile.
		made = host.hierarchies
	}
	for _, at := range made {
		if err := group.makeDirectory(at); err != nil {
			return group, err
		}
	}
	if err := group.limit(); err != nil {
		return group, err
	}
	if wanted.PerCommand {
		if err := group.limitSockets(); err != nil {
			return group, err
		}
	}
	return group, group.watchKills()
}

// Existing is a group that somebody else has made.
func Existing(host *Host, name string) *Group {
	return &Group{host: host, name: name, places: host.hierarchies}
}

func (g *Group) at(place string) string { return filepath.Join(place, g.name) }

// of is the machine's directory for a controller.
func (g *Group) of(controller string) string { return g.at(g.host.controllers[controller]) }

func (g *Group) makeDirectory(place string) error {
	// Whoever ends may take an empty parent away between two calls.
	for attempt := 0; ; attempt++ {
		err := g.makePath(place)
		if err == nil || attempt == 10 || !errors.Is(err, os.ErrNotExist) {
			return failure.Wrap(err, "make a control group")
		}
	}
}

func (g *Group) makePath(place string) error {
	path := place
	parts := strings.Split(g.name, "/")
	for index, part := range parts {
		if place == g.host.unified {
			if err := delegate(path, g.host.unifiedControllers()); err != nil {
				return err
			}
		}
		path = filepath.Join(path, part)
		err := os.Mkdir(path, 0o755)
		last := index == len(parts)-1
		if err != nil && (last || !errors.Is(err, os.ErrExist)) {
			return err
		}
		if err == nil && !last {
			// Kernels before 5.11 count children only where this says so; others do not let it be written.
			_ = write(filepath.Join(path, "memory.use_hierarchy"), "1")
		}
	}
	if place == g.host.unified {
		return os.Mkdir(filepath.Join(path, runtimeName), 0o755)
	}
	return nil
}

// delegate lets the children of a group of version 2 be limited.
func delegate(path string, controllers []string) error {
	if len(controllers) == 0 {
		return nil
	}
	file := filepath.Join(path, "cgroup.subtree_control")
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	present := " " + strings.TrimSpace(string(raw)) + " "
	for _, controller := range controllers {
		if strings.Contains(present, " "+controller+" ") {
			continue
		}
		if err := write(file, "+"+controller); errors.Is(err, syscall.EBUSY) {
			return failure.New(failure.Unsupported, "control groups cannot be made below %s: it has processes of its own", path).
				WithField("resources." + fieldOf(controller)).
				WithMend("run with control groups delegated, as with: systemd-run --scope -p Delegate=yes")
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Lend makes the group that the machine itself is in, owned by a user of the machine so that its agent can make children
// there but change no limit, and answers its directory. Needs version 2, with or without controllers.
func (g *Group) Lend(owner int) (string, error) {
	if g.host.unified == "" {
		return "", failure.New(failure.Unsupported, "control groups of version 2 are not mounted").
			WithMend("mount them: mount -t cgroup2 none /sys/fs/cgroup/unified")
	}
	path := filepath.Join(g.at(g.host.unified), initName)
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", failure.Wrap(err, "make the commands' control group")
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(path, name), owner, owner); err != nil && !(name == "cgroup.threads" && errors.Is(err, os.ErrNotExist)) {
			return "", failure.Wrap(err, "lend the commands' control group")
		}
	}
	// A command's group has a process in it; whoever takes the agent over makes no tree of groups either.
	bounds := map[string]string{"cgroup.max.depth": "1", "cgroup.max.descendants": strconv.FormatInt(g.limits.Pids+spareGroups, 10)}
	for name, bound := range bounds {
		if err := write(filepath.Join(path, name), bound); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", failure.Wrap(err, "bound the commands' control groups")
		}
	}
	return path, nil
}

// Join puts the calling thread, and so what it forks, into the version 1 groups.
func (g *Group) Join() error {
	for _, place := range g.places {
		if place == g.host.unified {
			continue
		}
		// "0" is the caller itself, which the kernel moves without waiting for every other fork on the host.
		if err := write(filepath.Join(g.at(place), "tasks"), "0"); err != nil {
			return failure.Wrap(err, "enter the control group")
		}
	}
	return nil
}

// OpenRuntime opens the version 2 group that the runtime is forked into; nil where there is none.
func (g *Group) OpenRuntime() (*os.File, error) {
	if g.host.unified == "" {
		return nil, nil
	}
	return os.Open(filepath.Join(g.at(g.host.unified), runtimeName))
}

func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
