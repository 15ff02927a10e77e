package machine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/lease"
)

const (
	endedName    = "ended"
	noteLifetime = time.Hour
)

// WriteNote says for an hour why a machine ended; an earlier note stands.
func WriteNote(stateDir, id string, reason lease.Reason) error {
	now := time.Now()
	raw, err := json.Marshal(map[string]string{"reason": string(reason), "endedAt": control.Time(now)})
	if err != nil {
		return err
	}
	directory := filepath.Join(stateDir, endedName)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	path := filepath.Join(directory, id+".json")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	aside := path + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(aside, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}

// PruneNotes removes the notes that nobody needs any more.
func PruneNotes(stateDir string) {
	directory := filepath.Join(stateDir, endedName)
	entries, err := os.ReadDir(directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && strings.Contains(entry.Name(), ".json") && time.Since(info.ModTime()) > noteLifetime {
			_ = os.Remove(filepath.Join(directory, entry.Name()))
		}
	}
}
