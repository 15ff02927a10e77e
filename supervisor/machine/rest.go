package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cofferdam/supervisor/cgroup"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/paused"
	"cofferdam/supervisor/plan"
)

const (
	adoptPatience  = 20 * time.Second
	settlePatience = 10 * time.Second
)

// lasting is what a paused machine without a supervisor consists of.
var lasting = []string{
	LockName, paused.Name, paused.MemoryName, filesystem.ImageName, "facts.json", "plan.json", "bundle", "supervisor.log",
}

// Settle takes off whatever else a supervisor has left of a paused machine that was killed. What was kept stays as it is.
// The caller has the machine's lock.
func Settle(directory string, group *cgroup.Group) error {
	if err := errors.Join(filesystem.SealBelow(directory), group.Kill(settlePatience)); err != nil {
		return err
	}
	err := errors.Join(filesystem.DetachBelow(directory, settlePatience), group.Remove(settlePatience))
	if err != nil {
		return err
	}
	return tidy(directory)
}

func tidy(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	var problems []error
	for _, entry := range entries {
		if !slices.Contains(lasting, entry.Name()) {
			problems = append(problems, os.RemoveAll(filepath.Join(directory, entry.Name())))
		}
	}
	return errors.Join(problems...)
}

// Adopt takes a paused machine whose supervisor is gone, or about to go, and settles it.
func Adopt(wanted *plan.Plan) (*os.File, error) {
	lock, err := awaitLock(wanted.Directory)
	if err != nil {
		return nil, err
	}
	host, err := cgroup.Look()
	if err == nil {
		err = Settle(wanted.Directory, cgroup.Existing(host, wanted.Cgroup.Name))
	}
	if err != nil {
		lock.Close()
		return nil, failure.Wrap(err, "settle the paused machine")
	}
	return lock, nil
}

// awaitLock waits while another supervisor comes to its end, or a sweep looks.
func awaitLock(directory string) (*os.File, error) {
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if !paused.Exists(directory) {
			return nil, failure.New(failure.Conflict, "the machine is not paused")
		}
		lock, err := AdoptLock(directory)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, failure.Wrap(err, "lock the machine's directory")
		}
		if lock != nil && paused.Exists(directory) {
			return lock, nil
		}
		if lock != nil {
			lock.Close()
		}
		if time.Since(begun) > adoptPatience {
			return nil, failure.New(failure.Conflict, "another supervisor has this machine")
		}
	}
}

// Wake resumes a paused machine that has no supervisor; anew: from its files, although its memory may have been kept. When it
// fails, the machine is paused as before.
func Wake(ctx context.Context, wanted *plan.Plan, anew bool) (*Machine, error) {
	lock, err := Adopt(wanted)
	if err != nil {
		return nil, err
	}
	kept, err := paused.Read(wanted.Directory)
	if err != nil {
		lock.Close()
		return nil, err
	}
	machine := newMachine(wanted, lock)
	machine.kept, machine.anew = kept, anew
	err = machine.make(ctx)
	if err == nil {
		err = machine.commit(ctx)
	}
	if err != nil {
		described := machine.describe(err)
		return nil, errors.Join(described, machine.takeDown(true))
	}
	return machine, nil
}

// commit makes a machine that serves again the one that counts.
func (m *Machine) commit(ctx context.Context) error {
	if err := cancelled(ctx); err != nil {
		return err
	}
	err := paused.Remove(m.plan.Directory)
	if err == nil {
		err = m.root.Settle()
	}
	if err != nil {
		return errors.Join(err, paused.Write(m.plan.Directory, *m.kept))
	}
	m.kept = nil
	// What is left of it is in nobody's way.
	_ = os.RemoveAll(m.memoryDirectory())
	return nil
}

// Discard removes a paused machine that has no supervisor.
func Discard(wanted *plan.Plan) error {
	lock, err := Adopt(wanted)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = errors.Join(WriteNote(wanted.StateDir, wanted.ID, lease.Killed), paused.Remove(wanted.Directory))
	if err != nil {
		return err
	}
	return RemoveDirectory(wanted.Directory)
}
