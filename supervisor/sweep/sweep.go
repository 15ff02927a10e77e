// Package sweep ends and removes what supervisors left behind that were killed.
package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cofferdam/supervisor/cgroup"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/machine"
	"cofferdam/supervisor/paused"
)

const (
	patience = 10 * time.Second
	// grace is how long a maker may take from its directory to its supervisor's lock.
	grace = time.Minute
	// orphanGrace is how long a supervisor may take to its lock after its maker has died.
	orphanGrace = 3 * time.Second
)

// GroupName is where the machines of a state directory have their control groups.
func GroupName(stateDir string) string {
	digest := sha256.Sum256([]byte(stateDir))
	return "cofferdam/" + hex.EncodeToString(digest[:4])
}

// Sweep answers the ids of what it removed. It leaves alone what lives, what is being made, and what another sweep has.
func Sweep(stateDir string) ([]string, error) {
	host, err := cgroup.Look()
	if err != nil {
		return nil, err
	}
	removed := []string{}
	var problems []error
	groups := GroupName(stateDir)
	machines := filepath.Join(stateDir, "machines")
	entries, err := os.ReadDir(machines)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		one := abandoned{stateDir, entry.Name(), filepath.Join(machines, entry.Name()),
			cgroup.Existing(host, groups+"/"+entry.Name())}
		gone, err := one.sweep()
		if gone {
			removed = append(removed, entry.Name())
		}
		problems = append(problems, err)
	}
	more, err := sweepGroups(host, groups, machines)
	for _, id := range more {
		if !slices.Contains(removed, id) {
			removed = append(removed, id)
		}
	}
	machine.PruneNotes(stateDir)
	return removed, errors.Join(append(problems, err)...)
}

// abandoned is a machine that may have nobody who cares for it.
type abandoned struct {
	stateDir, id, directory string
	group                   *cgroup.Group
}

func (a abandoned) sweep() (bool, error) {
	lock, err := machine.AdoptLock(a.directory)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if Young(a.directory) {
			return false, nil
		}
	case err != nil:
		return false, err
	case lock == nil:
		return false, nil
	default:
		defer lock.Close()
	}
	if paused.Exists(a.directory) {
		return false, machine.Settle(a.directory, a.group)
	}
	if err := machine.WriteNote(a.stateDir, a.id, lease.RuntimeLost); err != nil {
		return false, err
	}
	if err := errors.Join(filesystem.SealBelow(a.directory), a.group.Kill(patience)); err != nil {
		return false, err
	}
	if err := errors.Join(filesystem.DetachBelow(a.directory, patience), a.group.Remove(patience)); err != nil {
		return false, err
	}
	return true, machine.RemoveDirectory(a.directory)
}

// Young tells whether a directory without a lock was made or changed so lately that a supervisor may still come.
func Young(directory string) bool {
	info, err := os.Stat(directory)
	if err != nil {
		return true
	}
	patience := grace
	if makerIsDead(directory) {
		patience = orphanGrace
	}
	return time.Since(info.ModTime()) < patience
}

// sweepGroups removes control groups of machines that have no directory. A machine has its directory before its groups
// and after them, so what has none now has nobody.
func sweepGroups(host *cgroup.Host, groups, machines string) ([]string, error) {
	var removed []string
	var problems []error
	for _, id := range cgroup.Children(host, groups) {
		if _, err := os.Stat(filepath.Join(machines, id)); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		group := cgroup.Existing(host, groups+"/"+id)
		err := errors.Join(group.Kill(patience), group.Remove(patience))
		if err == nil {
			removed = append(removed, id)
		}
		problems = append(problems, err)
	}
	cgroup.RemoveEmpty(host, groups)
	return removed, errors.Join(problems...)
}
