package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/launch"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/paused"
)

const (
	killPatience   = 10 * time.Second
	orphanPatience = 5 * time.Second
	detachPatience = 5 * time.Second
	groupPatience  = 5 * time.Second
)

// End ends the machine, leaves a note of the reason, and tells everybody who listens. This process is to exit at once.
func (m *Machine) End(reason lease.Reason) error {
	problem := WriteNote(m.plan.StateDir, m.plan.ID, reason)
	problem = errors.Join(problem, m.takeDown())
	if problem != nil {
		problem = failure.Wrap(problem, "end the machine")
	}
	m.conversations.Farewell(string(reason), problem)
	return problem
}

// takeDown undoes all that was made, in reverse. What others have removed before is no problem. When something cannot be
// undone, the directory stays, so that a sweep tries again.
func (m *Machine) takeDown() error {
	m.closeDoor()
	// A change of its power is finished first, and what is frozen could not end.
	m.power.changing.Lock()
	defer m.power.changing.Unlock()
	problem := errors.Join(paused.Remove(m.plan.Directory), m.root.Thaw(), m.killAll())
	if m.channel != nil {
		m.channel.Close()
	}
	problem = errors.Join(problem, together(m.giveBackMounts, m.giveBackGroups))
	if problem == nil {
		problem = RemoveDirectory(m.plan.Directory)
	}
	m.lock.Close()
	return problem
}

// closeDoor lets nobody in any more.
func (m *Machine) closeDoor() {
	if m.listener != nil {
		m.listener.Close()
		_ = os.Remove(filepath.Join(m.plan.Directory, handover.SocketName))
	}
}

// killAll ends every process and waits until the last is reaped.
func (m *Machine) killAll() error {
	if m.group == nil {
		return nil
	}
	problem := m.group.Kill(killPatience)
	if m.runtime == nil {
		return problem
	}
	select {
	case <-m.runtime.Alone:
	case <-time.After(orphanPatience):
		return errors.Join(problem, fmt.Errorf("processes of the machine %s were not reaped", m.plan.ID))
	}
	if problem != nil {
		// The runtime may know better what it has started.
		problem = errors.Join(launch.Remove(m.plan.Runtime, m.mounts), m.group.Kill(killPatience))
	}
	return problem
}

func (m *Machine) giveBackMounts() error {
	if m.mounts == nil {
		return nil
	}
	problem := m.mounts.Do(m.root.Unmount)
	m.mounts.Close()
	return errors.Join(problem, m.root.Detach(detachPatience))
}

func (m *Machine) giveBackGroups() error {
	if m.group == nil {
		return nil
	}
	return m.group.Remove(groupPatience)
}
