// Package control speaks the supervisor's own protocol: JSON lines on a connection that began with CONTROL.
package control

import (
	"encoding/json"
	"regexp"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/paused"
)

// maxLifetimeMs is a hundred years: far enough, and no overflow.
const maxLifetimeMs = 100 * 366 * 24 * 3600 * 1000

var directoryForm = regexp.MustCompile(`^\.[a-z0-9][a-z0-9._-]{0,200}$`)

// Request is one line from a client.
type Request struct {
	ID int64  `json:"id"`
	Op string `json:"op"`
	Ms *int64 `json:"ms,omitempty"`
	// Kept is what a pause or a snapshot keeps.
	Kept paused.Kept `json:"kept,omitempty"`
	// Directory is where a snapshot goes: a name, beside the snapshots.
	Directory string `json:"directory,omitempty"`
}

// ParseRequest reads a line; the id is known even of a request that is refused, where it can be read.
func ParseRequest(line []byte) (Request, error) {
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return request, failure.New(failure.Invalid, "a control line is no request")
	}
	switch request.Op {
	case "info", "own", "busy", "idle", "metrics", "kill":
		return request, nil
	case "snapshot":
		if !directoryForm.MatchString(request.Directory) {
			return request, failure.New(failure.Invalid, "directory must be a name that begins with a dot").WithField("directory")
		}
		if request.Kept == "" {
			request.Kept = paused.Files
		}
		return request, checkKept(request.Kept)
	case "pause":
		return request, checkKept(request.Kept)
	case "lifetime", "resume":
		if request.Ms == nil || *request.Ms < 0 || *request.Ms > maxLifetimeMs {
			return request, failure.New(failure.Invalid, "ms must be a number of milliseconds").WithField("ms")
		}
		return request, nil
	}
	return request, failure.New(failure.Invalid, "there is no such control request").WithField("op")
}

func checkKept(kept paused.Kept) error {
	if kept == paused.Memory || kept == paused.Files {
		return nil
	}
	return failure.New(failure.Invalid, "kept must be memory or files").WithField("kept")
}

// Info is what a supervisor knows of its machine's lease.
type Info struct {
	// State is running or paused.
	State         string `json:"state"`
	StartedAt     string `json:"startedAt"`
	EndAt         string `json:"endAt"`
	IdleTimeoutMs int64  `json:"idleTimeoutMs"`
	Detached      bool   `json:"detached"`
	AgentVersion  string `json:"agentVersion"`
	// ProtocolVersion is what the agent says that it speaks.
	ProtocolVersion string `json:"protocolVersion"`
	SupervisorPid   int    `json:"supervisorPid"`
}

// Metrics is one reading of the machine's cgroup and disk.
type Metrics struct {
	CPUUsageUsec     uint64  `json:"cpuUsageUsec"`
	CPUCount         float64 `json:"cpuCount"`
	MemoryUsedBytes  uint64  `json:"memoryUsedBytes"`
	MemoryTotalBytes uint64  `json:"memoryTotalBytes"`
	MemoryCacheBytes uint64  `json:"memoryCacheBytes"`
	DiskUsedBytes    uint64  `json:"diskUsedBytes"`
	DiskTotalBytes   uint64  `json:"diskTotalBytes"`
	OOMKills         uint64  `json:"oomKills"`
	Timestamp        string  `json:"timestamp"`
}

// Copy is what a snapshot is: its disk, and its memory where that was kept.
type Copy struct {
	Digest    string             `json:"digest"`
	SizeBytes int64              `json:"sizeBytes"`
	Memory    *paused.KeptMemory `json:"memory,omitempty"`
}

type answer struct {
	ID int64 `json:"id"`
	OK bool  `json:"ok"`
	// Rests says that the paused machine has no supervisor any more once this connection is closed.
	Rests   bool             `json:"rests,omitempty"`
	Info    *Info            `json:"info,omitempty"`
	Metrics *Metrics         `json:"metrics,omitempty"`
	Copy    *Copy            `json:"copy,omitempty"`
	Error   *failure.Failure `json:"error,omitempty"`
}

// Time writes a time as the protocol wants it: RFC 3339 with milliseconds.
func Time(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
