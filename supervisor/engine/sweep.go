package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/machine"
	"cofferdam/supervisor/paused"
	"cofferdam/supervisor/sweep"
)

// ContainerName is a machine's, at its Engine.
func ContainerName(id string) string { return "cofferdam-" + id }

// StateName is by which an Engine knows the machines of a state directory.
func StateName(stateDir string) string {
	digest := sha256.Sum256([]byte(stateDir))
	return hex.EncodeToString(digest[:8])
}

// Sweep ends and removes every machine of the state directory that this Engine was to make and that no supervisor cares for, and
// answers their ids. A supervisor has its machine's lock before the Engine hears of the machine, and until the Engine has forgotten it.
func Sweep(stateDir string, address Address) ([]string, error) {
	client := NewClient(address)
	found, err := client.Labelled(context.Background(), StateName(stateDir))
	removed := []string{}
	if err != nil {
		return removed, err
	}
	machines := filepath.Join(stateDir, "machines")
	for _, id := range namesIn(machines) {
		if _, known := found[id]; !known {
			found[id] = ""
		}
	}
	var problems []error
	for id, container := range found {
		if !idForm.MatchString(id) {
			continue
		}
		gone, err := abandoned{client, stateDir, id, filepath.Join(machines, id), container}.sweep()
		if gone {
			removed = append(removed, id)
		}
		problems = append(problems, err)
	}
	machine.PruneNotes(stateDir)
	return removed, errors.Join(problems...)
}

func namesIn(directory string) []string {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// abandoned is a machine that may have nobody who cares for it.
type abandoned struct {
	client                  *Client
	stateDir, id, directory string
	// container is its id where the Engine has listed it.
	container string
}

func (a abandoned) sweep() (bool, error) {
	if _, err := os.Lstat(a.directory); errors.Is(err, os.ErrNotExist) {
		// A machine has its directory for longer than its container, so this one has nobody.
		return a.container != "", a.removeContainer()
	}
	if !a.isOurs() {
		return false, nil
	}
	lock, err := machine.AdoptLock(a.directory)
	switch {
	case errors.Is(err, os.ErrNotExist):
		// Whoever asked the Engine for a container had the lock; without one, nobody has asked yet, or nobody cares any more.
		if sweep.Young(a.directory) {
			return false, nil
		}
	case err != nil:
		return false, failure.Wrap(err, "look for a machine's supervisor")
	case lock == nil:
		return false, nil
	default:
		defer lock.Close()
	}
	// Until its lock was held, the directory may have become another machine's.
	if !a.isOurs() {
		return false, nil
	}
	return a.remove(lock != nil)
}

func (a abandoned) remove(hadSupervisor bool) (bool, error) {
	if hadSupervisor {
		if err := machine.WriteNote(a.stateDir, a.id, lease.RuntimeLost); err != nil {
			return false, err
		}
	}
	if err := a.removeContainer(); err != nil {
		return false, err
	}
	return true, machine.RemoveDirectory(a.directory)
}

// removeContainer removes the one that was listed, or that of the machine's name if it is the state directory's: another's may
// have a machine of the same id.
func (a abandoned) removeContainer() error {
	container := a.container
	if container == "" {
		found, err := a.client.named(context.Background(), ContainerName(a.id), StateName(a.stateDir))
		if err != nil || found == "" {
			return err
		}
		container = found
	}
	return a.client.Remove(context.Background(), container)
}

// isOurs tells whether the directory is that of a machine which this Engine was to make, or holds nothing of any machine. The
// Engine's own list proves neither, and an idle lock does not either: a paused machine's is idle, and its files are all there is of it.
func (a abandoned) isOurs() bool {
	if paused.Exists(a.directory) {
		return false
	}
	path := filepath.Join(a.directory, "plan.json")
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return a.holdsNothing()
	}
	plan, err := Read(path)
	return err == nil && plan.ID == a.id && isSameSocket(plan.Engine.Socket, a.client.address.Socket)
}

// holdsNothing tells, of a directory without a plan, whether no supervisor came to it, or one had all but removed it.
func (a abandoned) holdsNothing() bool {
	names := namesIn(a.directory)
	if !slices.Contains(names, machine.LockName) {
		return true
	}
	return !slices.ContainsFunc(names, func(name string) bool {
		return name != machine.LockName && name != "supervisor.log"
	})
}

// isSameSocket compares what the paths lead to, as /var/run is most often another name of /run; of one that is gone only the path is known.
func isSameSocket(one, other string) bool {
	first, err := os.Stat(one)
	if err != nil {
		return filepath.Clean(one) == filepath.Clean(other)
	}
	second, err := os.Stat(other)
	return err == nil && os.SameFile(first, second)
}
