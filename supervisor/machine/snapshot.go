package machine

import (
	"errors"
	"path/filepath"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
)

// SnapshotsName is where snapshots are, in the state directory.
const SnapshotsName = "snapshots"

// Snapshot copies the disk of a running machine, which stands still meanwhile, into a directory beside the snapshots.
func (m *Machine) Snapshot(directory string) (control.Copy, error) {
	m.power.changing.Lock()
	defer m.power.changing.Unlock()
	if m.power.now() != running {
		return control.Copy{}, failure.New(failure.Conflict, "the machine is paused")
	}
	if err := m.inside(handover.Sync); err != nil {
		return control.Copy{}, err
	}
	target := filepath.Join(m.plan.StateDir, SnapshotsName, directory, filesystem.ImageName)
	if err := m.copyStill(target); err != nil {
		return control.Copy{}, err
	}
	digest, size, err := filesystem.Flushed(target)
	return control.Copy{Digest: digest, SizeBytes: size}, err
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
