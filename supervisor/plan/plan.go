// Package plan is the page of plain data from which a machine is made; docs/decisions/0004 explains it.
package plan

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cofferdam/supervisor/failure"
)

const maxPlanBytes = 4 << 20

// Plan says all that a supervisor must know of a machine.
type Plan struct {
	Version   int    `json:"version"`
	ID        string `json:"id"`
	Driver    string `json:"driver"`
	StateDir  string `json:"stateDir"`
	Directory string `json:"directory"`
	Root      Root   `json:"root"`
	// Memory is what the machine's kernel begins with; nil: it boots.
	Memory  *Memory `json:"memory"`
	Cgroup  Cgroup  `json:"cgroup"`
	Runtime Runtime `json:"runtime"`
	// Vessel is nil for a machine that shares the host's kernel.
	Vessel         *Vessel         `json:"vessel"`
	Setup          json.RawMessage `json:"setup"`
	Lease          Lease           `json:"lease"`
	StartTimeoutMs int64           `json:"startTimeoutMs"`
}

// Root is the machine's root file system.
type Root struct {
	MountPoint string `json:"mountPoint"`
	// Lower are the read-only layers, topmost first.
	Lower []string `json:"lower"`
	Disk  Disk     `json:"disk"`
	IDMap *IDMap   `json:"idMap"`
}

// Disk is the writable layer.
type Disk struct {
	Blank   string `json:"blank"`
	SizeMiB int64  `json:"sizeMiB"`
	// Digest is what the blank must have; empty where nobody noted it.
	Digest string `json:"digest"`
}

// Memory is a kernel's that was brought to a disk.
type Memory struct {
	// Directory holds it.
	Directory string `json:"directory"`
	// Digest is what it must have.
	Digest string `json:"digest"`
	// Runtime and Processor are what it must be read by; paused.KeptMemory explains them.
	Runtime   string `json:"runtime"`
	Processor string `json:"processor"`
}

// IDMap maps the machine's user and group ids 0 to Size-1 to the host's, from HostID on.
type IDMap struct {
	HostID int `json:"hostId"`
	Size   int `json:"size"`
}

// Cgroup is what holds the machine's processes.
type Cgroup struct {
	Name   string `json:"name"`
	Limits Limits `json:"limits"`
	// PerCommand lends the agent a cgroup2 directory.
	PerCommand bool `json:"perCommand"`
}

// Limits of the whole machine.
type Limits struct {
	MemoryMiB int64   `json:"memoryMiB"`
	CPUs      float64 `json:"cpus"`
	Pids      int64   `json:"pids"`
}

// Runtime is how the machine is started.
type Runtime struct {
	Start []string `json:"start"`
	// PidFile names the machine's first process once start has ended with 0; empty when start stays with the machine.
	PidFile     string            `json:"pidFile"`
	Remove      []string          `json:"remove"`
	Environment map[string]string `json:"environment"`
	Log         string            `json:"log"`
	// Limits are what the runtime and the machine inherit; nil where the runtime sets its own.
	Limits *ProcessLimits `json:"limits"`
	// Version of the runtime, as it says itself.
	Version string `json:"version"`
	// Checkpoint is how a machine's memory is brought to a disk and back; nil where it stays where it is.
	Checkpoint *Checkpoint `json:"checkpoint"`
}

// Checkpoint holds a runtime's commands. The word MemoryWord in them stands for the directory of the memory.
type Checkpoint struct {
	// Halt stops all that runs in the machine, and GoOn lets it go on.
	Halt []string `json:"halt"`
	GoOn []string `json:"goOn"`
	// Save writes the memory of a halted machine into an empty directory and leaves it halted.
	Save []string `json:"save"`
	// Restore stands in the place of the runtime's start.
	Restore []string `json:"restore"`
	// Join runs the agent once more, which gives its descriptor 3 to the one that is there.
	Join []string `json:"join"`
}

// MemoryWord stands for a directory.
const MemoryWord = "{memory}"

// WithMemory answers words for a directory of memory.
func WithMemory(words []string, directory string) []string {
	named := slices.Clone(words)
	for index, word := range named {
		if word == MemoryWord {
			named[index] = directory
		}
	}
	return named
}

func (c *Checkpoint) isWhole() bool {
	for _, words := range [][]string{c.Halt, c.GoOn, c.Save, c.Restore, c.Join} {
		if len(words) == 0 || !clean(words[0]) {
			return false
		}
	}
	return slices.Contains(c.Save, MemoryWord) && slices.Contains(c.Restore, MemoryWord)
}

// ProcessLimits bound each process of a machine.
type ProcessLimits struct {
	// OpenFiles must be allowed at least; the agent takes it down to this.
	OpenFiles         uint64 `json:"openFiles"`
	CoreBytes         uint64 `json:"coreBytes"`
	PendingSignals    uint64 `json:"pendingSignals"`
	MessageQueueBytes uint64 `json:"messageQueueBytes"`
}

// Lease is the machine's right to exist.
type Lease struct {
	LifetimeMs    int64 `json:"lifetimeMs"`
	IdleTimeoutMs int64 `json:"idleTimeoutMs"`
	Detached      bool  `json:"detached"`
	OwnerGraceMs  int64 `json:"ownerGraceMs"`
	// AtLifetimeEnd is what the end of the lifetime keeps by a pause: memory or files; empty: it ends the machine.
	AtLifetimeEnd string `json:"atLifetimeEnd"`
}

// Read parses the plan in a file.
func Read(path string) (*Plan, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, failure.New(failure.Invalid, "read the plan: %v", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxPlanBytes+1))
	if err != nil {
		return nil, failure.New(failure.Invalid, "read the plan: %v", err)
	}
	if len(raw) > maxPlanBytes {
		return nil, failure.New(failure.Invalid, "the plan is longer than %d bytes", maxPlanBytes)
	}
	return Parse(raw)
}

// Parse reads a plan and refuses what it does not know.
func Parse(raw []byte) (*Plan, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	parsed := &Plan{}
	if err := decoder.Decode(parsed); err != nil {
		return nil, failure.New(failure.Invalid, "the plan: %v", err)
	}
	if err := parsed.check(); err != nil {
		return nil, err
	}
	return parsed, nil
}

var (
	idForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{2,63}$`)
	cgroupForm = regexp.MustCompile(`^[a-z0-9]+(/[a-z0-9][a-z0-9-]*)+$`)
)

func (p *Plan) check() error {
	for _, one := range []struct {
		field string
		holds bool
	}{
		{"version", p.Version == 1},
		{"id", idForm.MatchString(p.ID)},
		{"stateDir", clean(p.StateDir)},
		{"directory", p.Directory == filepath.Join(p.StateDir, "machines", p.ID)},
		{"root.mountPoint", clean(p.Root.MountPoint)},
		{"root.lower", len(p.Root.Lower) > 0 && len(p.Root.Lower) <= 64 && all(p.Root.Lower, clean)},
		{"root.disk.blank", clean(p.Root.Disk.Blank)},
		{"root.disk.sizeMiB", p.Root.Disk.SizeMiB > 0},
		{"root.idMap", p.Root.IDMap == nil || (p.Root.IDMap.HostID > 0 && p.Root.IDMap.Size > 0)},
		{"cgroup.name", cgroupForm.MatchString(p.Cgroup.Name) && filepath.Base(p.Cgroup.Name) == p.ID},
		{"cgroup.limits.memoryMiB", p.Cgroup.Limits.MemoryMiB > 0},
		{"cgroup.limits.cpus", p.Cgroup.Limits.CPUs >= 0.01 && p.Cgroup.Limits.CPUs <= 4096},
		{"cgroup.limits.pids", p.Cgroup.Limits.Pids > 0},
		{"runtime.start", len(p.Runtime.Start) > 0 && clean(p.Runtime.Start[0])},
		{"runtime.pidFile", p.Runtime.PidFile == "" || clean(p.Runtime.PidFile)},
		{"runtime.log", p.Runtime.Log == "" || clean(p.Runtime.Log)},
		{"vessel", p.Vessel.isWhole()},
		{"runtime.checkpoint", p.Runtime.Checkpoint == nil || p.Runtime.Checkpoint.isWhole()},
		{"memory", p.Memory == nil || (p.Runtime.Checkpoint != nil && clean(p.Memory.Directory) && p.Memory.Digest != "")},
		{"setup", len(p.Setup) > 0 && p.Setup[0] == '{'},
		{"lease.lifetimeMs", p.Lease.LifetimeMs > 0},
		{"lease.idleTimeoutMs", p.Lease.IdleTimeoutMs >= 0},
		{"lease.ownerGraceMs", p.Lease.OwnerGraceMs >= 0},
		{"lease.atLifetimeEnd", slices.Contains([]string{"", "memory", "files"}, p.Lease.AtLifetimeEnd)},
		{"startTimeoutMs", p.StartTimeoutMs > 0},
	} {
		if !one.holds {
			return failure.New(failure.Invalid, "the plan's %s is not valid", one.field).WithField(one.field)
		}
	}
	return nil
}

func clean(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && path != "/" && !strings.ContainsRune(path, 0)
}

func all(values []string, holds func(string) bool) bool {
	for _, value := range values {
		if !holds(value) {
			return false
		}
	}
	return true
}

// Environ is the runtime's environment.
func (r *Runtime) Environ() []string {
	environment := make([]string, 0, len(r.Environment))
	for name, value := range r.Environment {
		environment = append(environment, name+"="+value)
	}
	return environment
}
