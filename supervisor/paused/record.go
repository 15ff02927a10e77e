// Package paused is the page that says that a machine is paused, and what of it was kept. It is written last and removed first.
package paused

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"cofferdam/supervisor/failure"
)

// Name is the page's, in the machine's directory.
const Name = "paused.json"

const maxRecordBytes = 64 << 10

// Kept is what a pause keeps.
type Kept string

// The kinds, as in src/core/kept.ts.
const (
	Memory Kept = "memory"
	Files  Kept = "files"
)

// Record is the page.
type Record struct {
	Version int `json:"version"`
	// Kept is what the pause was asked to keep.
	Kept Kept `json:"kept"`
	// Times are RFC 3339.
	PausedAt  string `json:"pausedAt"`
	StartedAt string `json:"startedAt"`
	// EndAt is when the lifetime would have ended.
	EndAt           string `json:"endAt"`
	IdleTimeoutMs   int64  `json:"idleTimeoutMs"`
	Detached        bool   `json:"detached"`
	AgentVersion    string `json:"agentVersion"`
	ProtocolVersion string `json:"protocolVersion"`
	// Disk is the digest of the writable layer.
	Disk string `json:"disk"`
	// Memory is on the disk as well; nil where it stays where it is, or was not to be kept.
	Memory *KeptMemory `json:"memory,omitempty"`
}

// KeptMemory is a kernel's memory on the disk, in MemoryName beside the page.
type KeptMemory struct {
	Digest string `json:"digest"`
	// SizeBytes is what it takes there.
	SizeBytes int64 `json:"sizeBytes"`
	// Runtime is the version that wrote it, which alone can read it.
	Runtime string `json:"runtime"`
	// Processor lists what the processor could do, all of which it must be able to do again.
	Processor string `json:"processor"`
}

// MemoryName is the memory's, in the machine's directory.
const MemoryName = "memory"

// Write puts the page in place, so that it outlives a crash of the host.
func Write(directory string, record Record) error {
	raw, err := json.Marshal(record)
	if err != nil {
		return err
	}
	aside := filepath.Join(directory, Name+"."+strconv.Itoa(os.Getpid()))
	if err := writeThrough(aside, raw); err != nil {
		_ = os.Remove(aside)
		return failure.Wrap(err, "note that the machine is paused")
	}
	err = os.Rename(aside, filepath.Join(directory, Name))
	return failure.Wrap(errors.Join(err, flush(directory)), "note that the machine is paused")
}

// Remove takes the page away: the machine is not paused any more, even after a crash of the host.
func Remove(directory string) error {
	err := os.Remove(filepath.Join(directory, Name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return failure.Wrap(errors.Join(err, flush(directory)), "note that the machine goes on")
}

// Exists tells whether the machine of a directory is paused.
func Exists(directory string) bool {
	_, err := os.Lstat(filepath.Join(directory, Name))
	return err == nil
}

// Read answers the page.
func Read(directory string) (*Record, error) {
	raw, err := os.ReadFile(filepath.Join(directory, Name))
	if err != nil {
		return nil, err
	}
	record := &Record{}
	if len(raw) > maxRecordBytes || json.Unmarshal(raw, record) != nil || record.Version != 1 {
		return nil, failure.New(failure.Untrusted, "the page of the paused machine is not what was written")
	}
	return record, nil
}

func writeThrough(path string, raw []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(raw)
	return errors.Join(err, file.Sync(), file.Close())
}

func flush(directory string) error {
	handle, err := os.Open(directory)
	if err != nil {
		return err
	}
	return errors.Join(handle.Sync(), handle.Close())
}
