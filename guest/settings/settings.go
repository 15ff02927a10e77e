// Package settings holds what the host says about this machine.
package settings

import (
	"encoding/json"
	"fmt"
	"sync/atomic"

	"cofferdam/guest/users"
)

// Version is the level of envd's protocol that this agent speaks.
const Version = "0.6.13"

// AgentVersion is this program's own.
const AgentVersion = "0.1.0"

// DefaultPath is searched for programs where the sandbox names no PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Settings is the host's word; docs/decisions/0002 has the fields.
type Settings struct {
	ID          string            `json:"id"`
	Hostname    string            `json:"hostname"`
	Envs        map[string]string `json:"envs"`
	DefaultUser string            `json:"defaultUser"`
	Workdir     string            `json:"workdir"`
	AccessToken string            `json:"accessToken"`
	LeaseMs     int64             `json:"leaseMs"`
	// Warm names the languages whose kernels are started before anybody asks.
	Warm []string `json:"warm"`
	// Cgroup is how commands are followed: fd, cgroupfs, groups or none.
	Cgroup    string `json:"cgroup"`
	OpenFiles int    `json:"openFiles"`
	UserPids  int    `json:"userPids"`
	MemoryMiB int    `json:"memoryMiB"`
	// NoNewPrivileges and Sudo are facts about the machine; the runtime enforces them.
	NoNewPrivileges bool `json:"noNewPrivileges"`
	Sudo            bool `json:"sudo"`
	// HostUsers says that users and their counts are the host's, and not the machine's to set.
	HostUsers bool `json:"hostUsers"`
	// Skeleton is a tree in the image with what the places hold at first that the machine has empty; empty: there is none.
	Skeleton string `json:"skeleton"`
}

// Parse reads settings from JSON and fills in the defaults.
func Parse(raw []byte) (*Settings, error) {
	settings := &Settings{}
	if err := json.Unmarshal(raw, settings); err != nil {
		return nil, fmt.Errorf("setup: %w", err)
	}
	if settings.DefaultUser == "" {
		settings.DefaultUser = "user"
	}
	return settings, nil
}

// Holder gives the settings in force to whoever needs them.
type Holder struct{ current atomic.Pointer[Settings] }

// NewHolder holds settings from the start.
func NewHolder(settings *Settings) *Holder {
	holder := &Holder{}
	holder.current.Store(settings)
	return holder
}

// Get answers the settings in force; they are not to be changed.
func (h *Holder) Get() *Settings { return h.current.Load() }

// Set puts others in force.
func (h *Holder) Set(settings *Settings) { h.current.Store(settings) }

// User finds who is meant by a name; empty is the default user. An image without the default user falls back to root
// only when it has no such user at all, as minimal images do.
func (h *Holder) User(name string) (*users.User, error) {
	if name != "" {
		return users.Lookup(name)
	}
	return users.Lookup(h.Get().DefaultUser)
}

// Environment is what a process of the user starts with; later sources win.
func (h *Holder) Environment(user *users.User, request map[string]string) []string {
	sandbox := h.Get().Envs
	merged := make(map[string]string, len(sandbox)+len(request)+4)
	merged["PATH"] = DefaultPath
	merged["HOME"] = user.Home
	merged["USER"] = user.Name
	merged["LOGNAME"] = user.Name
	for name, value := range sandbox {
		merged[name] = value
	}
	for name, value := range request {
		merged[name] = value
	}
	environment := make([]string, 0, len(merged))
	for name, value := range merged {
		environment = append(environment, name+"="+value)
	}
	return environment
}
