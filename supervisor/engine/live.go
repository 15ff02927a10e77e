package engine

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/paused"
)

const (
	greetingPatience = 10 * time.Second
	maxGreetings     = 256
	// diedPatience is how long the Engine may take to say why a container's streams have closed.
	diedPatience = 2 * time.Second
	killedCode   = 128 + 9
)

// Live serves the machine until it must end, and answers why.
func (m *Machine) Live(terminated <-chan os.Signal) lease.Reason {
	defer close(m.ending)
	go m.accept()
	go m.sayAlive()
	for {
		m.mutex.Lock()
		reason, again := m.lease.Over(time.Now())
		m.mutex.Unlock()
		if reason != "" {
			return reason
		}
		timer := time.NewTimer(time.Until(again))
		select {
		case <-timer.C:
		case <-m.wake:
		case code := <-m.events.died:
			return m.reasonOf(code)
		case <-m.agent.gone:
			return m.awaitReason()
		case <-m.killed:
			return lease.Killed
		case <-terminated:
			return lease.Terminated
		}
		timer.Stop()
	}
}

// awaitReason finds out why the agent is gone: the Engine knows a moment later, if it is there itself.
func (m *Machine) awaitReason() lease.Reason {
	select {
	case code := <-m.events.died:
		return m.reasonOf(code)
	case <-m.events.lost:
	case <-time.After(diedPatience):
	}
	return lease.RuntimeLost
}

func (m *Machine) reasonOf(code int) lease.Reason {
	known := m.agent.toldKills()
	switch {
	case code == killedCode && m.events.outOfMemoryKills(known, killPatience) > known:
		return lease.OutOfMemory
	case code == killedCode:
		return lease.RuntimeLost
	}
	return lease.Exited
}

// sayAlive tells the agent, three times in its lease, that the host is there.
func (m *Machine) sayAlive() {
	var facts struct {
		LeaseMs int64 `json:"leaseMs"`
	}
	if json.Unmarshal(m.plan.Setup, &facts) != nil || facts.LeaseMs <= 0 {
		return
	}
	ticker := time.NewTicker(time.Duration(facts.LeaseMs) * time.Millisecond / 3)
	defer ticker.Stop()
	for {
		select {
		case <-m.ending:
			return
		case <-ticker.C:
			m.agent.channel.Alive()
		}
	}
}

// accept takes connections. It waits when too many have not said what they want, and so do those that come then.
func (m *Machine) accept() {
	places := make(chan struct{}, maxGreetings)
	for {
		places <- struct{}{}
		connection, err := m.listener.Accept()
		if err != nil {
			select {
			case <-m.ending:
				return
			case <-time.After(50 * time.Millisecond):
			}
			<-places
			continue
		}
		go func() {
			kind, err := handover.Greeting(connection, time.Now().Add(greetingPatience))
			<-places
			switch {
			case err != nil:
				connection.Close()
			case kind.Name == "control":
				m.conversations.Serve(connection, m)
			default:
				m.agent.join(connection, kind)
			}
		}()
	}
}

// change acts on the lease, unless the machine is ending.
func (m *Machine) change(act func(now time.Time)) error {
	select {
	case <-m.ending:
		return failure.New(failure.Lost, "the machine is ending")
	default:
	}
	m.mutex.Lock()
	act(time.Now())
	m.mutex.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return nil
}

// Info answers a control request.
func (m *Machine) Info() (info control.Info, err error) {
	err = m.change(func(time.Time) {
		info = control.Info{
			State: "running", StartedAt: control.Time(m.startedAt), EndAt: control.Time(m.lease.End),
			IdleTimeoutMs: m.lease.IdleTimeout.Milliseconds(), Detached: m.lease.Detached,
			AgentVersion: m.ready.AgentVersion, ProtocolVersion: m.ready.ProtocolVersion, SupervisorPid: os.Getpid(),
		}
	})
	return info, err
}

// Metrics answers a control request: what the Engine counts, and of the disk what the agent says, within the limits.
func (m *Machine) Metrics() (control.Metrics, error) {
	figures, err := m.client.figures(context.Background(), m.plan.Container.Name)
	if err != nil {
		return figures, err
	}
	limits := m.plan.Limits
	figures.CPUCount = limits.CPUs
	figures.MemoryTotalBytes = limits.MemoryMiB << 20
	figures.MemoryUsedBytes = min(figures.MemoryUsedBytes, figures.MemoryTotalBytes)
	figures.MemoryCacheBytes = min(figures.MemoryCacheBytes, figures.MemoryUsedBytes)
	figures.DiskTotalBytes = limits.DiskMiB << 20
	if used, total, ok := m.agent.diskUse(); ok {
		figures.DiskTotalBytes = min(total, figures.DiskTotalBytes)
		figures.DiskUsedBytes = min(used, figures.DiskTotalBytes)
	}
	figures.OOMKills = m.agent.toldKills()
	return figures, nil
}

// Lifetime, Own, Disown, Busy and Rest answer control requests about the lease.
func (m *Machine) Lifetime(lifetime time.Duration) error {
	return m.change(func(now time.Time) { m.lease.Extend(lifetime, now) })
}

// Own notes an owner.
func (m *Machine) Own() error { return m.change(func(time.Time) { m.lease.Own() }) }

// Disown notes that an owner is gone.
func (m *Machine) Disown() { _ = m.change(func(time.Time) { m.lease.Disown() }) }

// Busy notes a use.
func (m *Machine) Busy() error { return m.change(func(time.Time) { m.lease.Busy() }) }

// Rest notes that a use is over.
func (m *Machine) Rest() { _ = m.change(func(now time.Time) { m.lease.Rest(now) }) }

// Kill begins the machine's end.
func (m *Machine) Kill() {
	select {
	case m.killed <- struct{}{}:
	default:
	}
}

var errPower = failure.New(failure.Unsupported, "a machine of an Engine cannot be paused or copied")

// Pause, Resume and Snapshot refuse.
func (m *Machine) Pause(paused.Kept, func()) error { return errPower }

// Resume refuses.
func (m *Machine) Resume(time.Duration) error { return errPower }

// Snapshot refuses.
func (m *Machine) Snapshot(string, paused.Kept) (control.Copy, error) {
	return control.Copy{}, errPower
}
