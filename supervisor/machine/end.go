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

// End ends the machine, leaves a note of the reason, and tells everybody who listens. This process is to exit at once. A
// machine that is paused ends only when it is killed; otherwise it goes on without a supervisor.
func (m *Machine) End(reason lease.Reason) error {
	m.closeDoor()
	// A change of its power is finished first.
	m.power.changing.Lock()
	defer m.power.changing.Unlock()
	if m.power.now() == standing && reason != lease.Killed {
		return m.rest()
	}
	if reason == lease.Terminated {
		reason = lease.Killed
	}
	problem := WriteNote(m.plan.StateDir, m.plan.ID, reason)
	problem = errors.Join(problem, m.takeDown(false))
	if problem != nil {
		problem = failure.Wrap(problem, "end the machine")
	}
	m.conversations.Farewell(string(reason), problem)
	return problem
}

// rest leaves a paused machine without a supervisor. What cannot be given back now is when it is resumed, or swept.
func (m *Machine) rest() error {
	problem := m.takeDown(true)
	m.conversations.Rested()
	return failure.Wrap(problem, "let the paused machine rest")
}

// takeDown undoes all that was made, in reverse; what a pause has kept stays where that is wanted. What others have removed
// before is no problem. When something cannot be undone, the directory stays, so that a sweep tries again.
func (m *Machine) takeDown(keep bool) error {
	m.closeDoor()
	// What is frozen could not end.
	var problem error
	if keep {
		problem = m.root.Seal()
	} else {
		problem = errors.Join(paused.Remove(m.plan.Directory), m.root.Thaw())
	}
	problem = errors.Join(problem, m.killAll())
	if one := m.link.Load(); one != nil {
		one.channel.Close()
	}
	problem = errors.Join(problem, together(m.giveBackMounts, m.giveBackGroups))
	switch {
	case keep:
		problem = errors.Join(problem, tidy(m.plan.Directory))
	case problem == nil:
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
