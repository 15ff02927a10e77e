// Package engine makes one machine as a container of an Engine (Docker's, or one that speaks its API), holds its lease, and ends
// it without leaving anything. It needs no right but that to the Engine's socket.
package engine

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
)

const maxPlanBytes = 4 << 20

// Plan says all that must be known of a machine; docs/decisions/0020 explains it.
type Plan struct {
	Version        int             `json:"version"`
	ID             string          `json:"id"`
	Driver         string          `json:"driver"`
	StateDir       string          `json:"stateDir"`
	Directory      string          `json:"directory"`
	Engine         Address         `json:"engine"`
	Container      Container       `json:"container"`
	Limits         Limits          `json:"limits"`
	Setup          json.RawMessage `json:"setup"`
	Lease          plan.Lease      `json:"lease"`
	StartTimeoutMs int64           `json:"startTimeoutMs"`
}

// Address is where an Engine is asked, and in which version of its API.
type Address struct {
	Socket string `json:"socket"`
	API    string `json:"api"`
}

// Container is what the Engine is asked to make.
type Container struct {
	Name string          `json:"name"`
	Body json.RawMessage `json:"body"`
}

// Limits of the machine, as its figures are held against.
type Limits struct {
	MemoryMiB uint64  `json:"memoryMiB"`
	CPUs      float64 `json:"cpus"`
	DiskMiB   uint64  `json:"diskMiB"`
}

var (
	idForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{2,63}$`)
	apiForm = regexp.MustCompile(`^v1\.\d{2,3}$`)
)

// Read parses the plan in a file and refuses what it does not know.
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
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	parsed := &Plan{}
	if err := decoder.Decode(parsed); err != nil {
		return nil, failure.New(failure.Invalid, "the plan: %v", err)
	}
	return parsed, parsed.check()
}

func (p *Plan) check() error {
	for _, one := range []struct {
		field string
		holds bool
	}{
		{"version", p.Version == 1},
		{"id", idForm.MatchString(p.ID)},
		{"directory", filepath.IsAbs(p.StateDir) && p.Directory == filepath.Join(p.StateDir, "machines", p.ID)},
		{"engine.socket", filepath.IsAbs(p.Engine.Socket)},
		{"engine.api", apiForm.MatchString(p.Engine.API)},
		{"container.name", idForm.MatchString(p.Container.Name)},
		{"container.body", len(p.Container.Body) > 0 && p.Container.Body[0] == '{'},
		{"limits", p.Limits.MemoryMiB > 0 && p.Limits.DiskMiB > 0 && p.Limits.CPUs > 0},
		{"setup", len(p.Setup) > 0 && p.Setup[0] == '{'},
		{"lease", p.Lease.LifetimeMs > 0 && p.Lease.IdleTimeoutMs >= 0 && p.Lease.OwnerGraceMs >= 0},
		{"lease.atLifetimeEnd", p.Lease.AtLifetimeEnd == ""},
		{"startTimeoutMs", p.StartTimeoutMs > 0},
	} {
		if !one.holds {
			return failure.New(failure.Invalid, "the plan's %s is not valid", one.field).WithField(one.field)
		}
	}
	return nil
}
