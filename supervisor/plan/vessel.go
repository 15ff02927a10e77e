package plan

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
)

// Vessel is what a machine with a kernel of its own is run in. Its disk is mounted by that kernel; docs/decisions/0018.
type Vessel struct {
	// MemoryMiB is the machine's; the control group's limit has the engine's own beside it.
	MemoryMiB int64 `json:"memoryMiB"`
	// HostID is the engine's user and group on the host, which own the machine's disk; Groups are others that it needs.
	HostID int   `json:"hostId"`
	Groups []int `json:"groups"`
	// Jail is the directory that the engine has as its root; empty: the engine goes into a jail of its own.
	Jail string `json:"jail"`
	// Own is where an engine makes its own jail, below the machine's directory.
	Own    string `json:"own"`
	Files  []File `json:"files"`
	Stream Stream `json:"stream"`
	// Calls are what the engine is asked through its API, in this order, before it has a machine.
	Calls Calls `json:"calls"`
	// Order is what the machine's kernel is told first, beside the time and what is random.
	Order json.RawMessage `json:"order"`
}

// File is one that the engine finds in its root, below WorkName.
type File struct {
	From string `json:"from"`
	// To is the name there.
	To       string `json:"to"`
	Writable bool   `json:"writable"`
}

// Stream is how the agent is reached: as the engine's descriptor 3, or through a socket of the engine's that asks for a port.
type Stream struct {
	Kind string `json:"kind"`
	Path string `json:"path"`
	Port int    `json:"port"`
}

// Calls go to an engine that is started by asking it.
type Calls struct {
	// Socket is the engine's, below the machine's directory; empty: the engine is told all at its start.
	Socket string `json:"socket"`
	List   []Call `json:"list"`
}

// Call is a request of HTTP with a body of JSON.
type Call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body"`
}

// WorkName is the directory of an engine's files, in its root.
const WorkName = "machine"

func (v *Vessel) isWhole() bool {
	if v == nil {
		return true
	}
	for _, file := range v.Files {
		if !clean(file.From) || file.To == "" || strings.ContainsAny(file.To, "/\x00") || strings.HasPrefix(file.To, ".") {
			return false
		}
	}
	for _, call := range v.Calls.List {
		if !slices.Contains([]string{"PUT", "PATCH"}, call.Method) || !strings.HasPrefix(call.Path, "/") || len(call.Body) == 0 {
			return false
		}
	}
	calls := len(v.Calls.List) == 0 || filepath.IsLocal(v.Calls.Socket)
	own := v.Own == "" || v.Jail == "" && filepath.IsLocal(v.Own)
	stream := v.Stream.Kind == "descriptor" || v.Stream.Kind == "socket" && filepath.IsLocal(v.Stream.Path) && v.Stream.Port > 0
	return v.MemoryMiB > 0 && v.HostID > 0 && (v.Jail == "" || clean(v.Jail)) && own && calls && stream && len(v.Order) > 0 && v.Order[0] == '{' &&
		!slices.ContainsFunc(v.Groups, func(group int) bool { return group < 0 })
}
