package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/machine"
	"cofferdam/supervisor/sweep"
)

// ContainerName is a machine's, at its Engine.
func ContainerName(id string) string { return "cofferdam-" + id }

// StateName is by which an Engine knows the machines of a state directory.
func StateName(stateDir string) string {
	digest := sha256.Sum256([]byte(stateDir))
	return hex.EncodeToString(digest[:8])
}

// Sweep ends and removes every machine of the state directory that no supervisor cares for, and answers their ids. A supervisor
// has its machine's lock before the Engine hears of the machine, and until the Engine has forgotten it.
func Sweep(stateDir string, address Address) ([]string, error) {
	client := NewClient(address)
	found, err := client.Labelled(context.Background(), StateName(stateDir))
	removed := []string{}
	if err != nil {
		return removed, err
	}
	for _, id := range directories(stateDir) {
		if _, known := found[id]; !known {
			found[id] = ContainerName(id)
		}
	}
	var problems []error
	for id, container := range found {
		if !idForm.MatchString(id) {
			continue
		}
		gone, err := abandoned(client, stateDir, container, id)
		if gone {
			removed = append(removed, id)
		}
		problems = append(problems, err)
	}
	machine.PruneNotes(stateDir)
	return removed, errors.Join(problems...)
}

// directories are those of machines that an Engine was to make, and those of which nobody can tell.
func directories(stateDir string) []string {
	machines := filepath.Join(stateDir, "machines")
	entries, err := os.ReadDir(machines)
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		path := filepath.Join(machines, entry.Name(), "plan.json")
		_, err := os.Stat(path)
		if err == nil {
			_, err = Read(path)
		}
		if err == nil || errors.Is(err, os.ErrNotExist) {
			found = append(found, entry.Name())
		}
	}
	return found
}

func abandoned(client *Client, stateDir, container, id string) (bool, error) {
	directory := filepath.Join(stateDir, "machines", id)
	lock, err := machine.AdoptLock(directory)
	switch {
	case errors.Is(err, os.ErrNotExist):
		// Whoever asked the Engine for a container had the lock; without one, nobody has asked yet, or nobody cares any more.
		if _, err := os.Stat(directory); err == nil && sweep.Young(directory) {
			return false, nil
		}
	case err != nil:
		return false, failure.Wrap(err, "look for a machine's supervisor")
	case lock == nil:
		return false, nil
	default:
		defer lock.Close()
		if err := machine.WriteNote(stateDir, id, lease.RuntimeLost); err != nil {
			return false, err
		}
	}
	if err := client.Remove(context.Background(), container); err != nil {
		return false, err
	}
	return true, machine.RemoveDirectory(directory)
}
