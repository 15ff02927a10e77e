package cgroup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cofferdam/supervisor/failure"
)

// Freeze stops every process of the group where it is, and answers when all stand still; otherwise they go on.
func (g *Group) Freeze(patience time.Duration) error {
	files, err := g.freezer()
	if err != nil {
		return err
	}
	if err := files.set(true, patience); err != nil {
		return errors.Join(err, files.set(false, patience))
	}
	return nil
}

// Thaw lets the group's processes go on.
func (g *Group) Thaw(patience time.Duration) error {
	files, err := g.freezer()
	if err != nil {
		return err
	}
	return files.set(false, patience)
}

// freezer is where a group is frozen: what is written where, and what stands where afterwards.
type freezer struct {
	order, state        string
	frozen, thawed      string
	isFrozen, isGoingOn string
}

func (g *Group) freezer() (freezer, error) {
	if g.host.unified != "" {
		at := g.at(g.host.unified)
		order := filepath.Join(at, "cgroup.freeze")
		if _, err := os.Stat(order); err == nil {
			return freezer{order, filepath.Join(at, "cgroup.events"), "1", "0", "frozen 1", "frozen 0"}, nil
		}
	}
	if at, known := g.host.controllers["freezer"]; known {
		file := filepath.Join(g.at(at), "freezer.state")
		if _, err := os.Stat(file); err == nil {
			return freezer{file, file, "FROZEN", "THAWED", "FROZEN", "THAWED"}, nil
		}
	}
	return freezer{}, failure.New(failure.Unsupported, "this host's control groups cannot be frozen").
		WithField("pause").WithMend("use Linux 5.2 or newer with control groups of version 2 mounted")
}

func (f freezer) set(freeze bool, patience time.Duration) error {
	order, wanted := f.thawed, f.isGoingOn
	if freeze {
		order, wanted = f.frozen, f.isFrozen
	}
	if err := write(f.order, order); err != nil {
		return failure.Wrap(err, "freeze or thaw the machine")
	}
	deadline := time.Now().Add(patience)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		raw, err := os.ReadFile(f.state)
		if err != nil {
			return failure.Wrap(err, "freeze or thaw the machine")
		}
		if hasLine(raw, wanted) {
			return nil
		}
		if time.Now().After(deadline) {
			return failure.New(failure.Unavailable, "the machine's processes did not reach %s", strings.ToLower(wanted))
		}
		time.Sleep(pause)
	}
}

func hasLine(raw []byte, wanted string) bool {
	for line := range bytes.Lines(raw) {
		if string(bytes.TrimSpace(line)) == wanted {
			return true
		}
	}
	return false
}
