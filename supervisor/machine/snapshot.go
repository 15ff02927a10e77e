package machine

import (
	"errors"
	"path/filepath"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/paused"
)

// SnapshotsName is where snapshots are, in the state directory.
const SnapshotsName = "snapshots"

// Snapshot copies the disk of a running machine, which stands still meanwhile, and its memory where that is to be kept, into a
// directory beside the snapshots.
func (m *Machine) Snapshot(name string, kept paused.Kept) (control.Copy, error) {
	m.power.changing.Lock()
	defer m.power.changing.Unlock()
	if m.power.now() != running {
		return control.Copy{}, failure.New(failure.Conflict, "the machine is paused")
	}
	directory := filepath.Join(m.plan.StateDir, SnapshotsName, name)
	disk, memory := filepath.Join(directory, filesystem.ImageName), filepath.Join(directory, paused.MemoryName)
	if kept == paused.Files {
		if err := m.inside(handover.Sync); err != nil {
			return control.Copy{}, err
		}
		return m.copied(m.copyStill(disk), disk, "")
	}
	if m.plan.Runtime.Checkpoint == nil {
		return control.Copy{}, failure.New(failure.Unsupported, "a snapshot of this machine cannot keep its memory").
			WithField("kept").WithMend("keep its files alone")
	}
	return m.copied(m.copyWhole(disk, memory), disk, memory)
}

// copyWhole copies memory and disk of one moment. Who comes meanwhile waits.
func (m *Machine) copyWhole(disk, memory string) error {
	m.power.end(copying)
	err := m.checkpoint(memory)
	if err == nil {
		err = m.copyStill(disk)
	}
	err = errors.Join(err, m.comeBack())
	m.power.end(running)
	m.wake()
	return err
}

// copied tells what was copied.
func (m *Machine) copied(err error, disk, memory string) (control.Copy, error) {
	if err != nil {
		return control.Copy{}, err
	}
	digest, size, err := filesystem.Flushed(disk)
	if err != nil || memory == "" {
		return control.Copy{Digest: digest, SizeBytes: size}, err
	}
	kept, err := m.keptIn(memory)
	return control.Copy{Digest: digest, SizeBytes: size, Memory: kept}, err
}

func (m *Machine) copyStill(target string) error {
	err := m.holdDisk()
	if err == nil {
		err = m.group.Freeze(freezePatience)
	}
	if err == nil {
		err = m.root.Freeze()
	}
	if err == nil {
		err = m.root.CopyTo(target)
	}
	return errors.Join(err, m.goOn())
}
