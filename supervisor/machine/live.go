package machine

import (
	"os"
	"syscall"
	"time"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/lease"
)

const (
	greetingPatience = 10 * time.Second
	handoverPatience = 60 * time.Second
	maxGreetings     = 256
	runtimePatience  = 2 * time.Second
	// restPatience is how long the loop of a paused machine sleeps when nothing happens.
	restPatience  = time.Hour
	retryPatience = 30 * time.Second
)

// Live serves the machine until it must end, and answers why.
func (m *Machine) Live(terminated <-chan os.Signal) lease.Reason {
	go m.accept()
	var alive <-chan time.Time
	if m.alive > 0 {
		ticker := time.NewTicker(m.alive)
		defer ticker.Stop()
		alive = ticker.C
	}
	defer close(m.ending)
	for {
		reason, again := m.over(time.Now())
		if reason != "" {
			return reason
		}
		timer := time.NewTimer(time.Until(again))
		select {
		case <-timer.C:
		case request := <-m.requests:
			request(time.Now())
		case <-alive:
			if m.power.now() == running {
				m.link.Load().channel.Alive()
			}
		case status := <-m.runtime.Ended:
			return m.reasonOf(status)
		case <-m.gone:
			return m.awaitRuntime()
		case <-m.resting:
			return lease.Paused
		case <-m.killed:
			return lease.Killed
		case <-m.unpausable:
			return lease.Lifetime
		case <-terminated:
			return lease.Terminated
		}
		timer.Stop()
	}
}

// over answers why the machine must end now. A paused machine has no lifetime, and one that is to be kept is paused then.
func (m *Machine) over(now time.Time) (lease.Reason, time.Time) {
	far := now.Add(restPatience)
	if m.power.now() != running {
		return "", far
	}
	reason, again := m.lease.Over(now)
	if reason == lease.Lifetime && m.plan.Lease.AtLifetimeEnd != "" {
		go m.pauseByItself()
		return "", now.Add(retryPatience)
	}
	return reason, again
}

// awaitRuntime finds out why the agent is gone: the runtime knows a moment later.
func (m *Machine) awaitRuntime() lease.Reason {
	// The count goes with the runtime's own control group, so it is read before the runtime can clean up.
	m.group.OOMKills()
	select {
	case status := <-m.runtime.Ended:
		return m.reasonOf(status)
	case <-time.After(runtimePatience):
		return lease.RuntimeLost
	}
}

// reasonOf tells why the runtime ended. A runtime's exit code is that of the machine's first process.
func (m *Machine) reasonOf(status syscall.WaitStatus) lease.Reason {
	killed := status.Signaled() || status.ExitStatus() == 128+int(syscall.SIGKILL)
	switch {
	case m.group.OOMKills() > m.knownKills.get():
		return lease.OutOfMemory
	case killed:
		return lease.RuntimeLost
	}
	return lease.Exited
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
			kind := m.greet(connection)
			<-places
			if kind.Name == "control" {
				m.conversations.Serve(connection, m)
			}
		}()
	}
}

// greet learns what a connection wants and hands it over, unless it is for the supervisor itself.
func (m *Machine) greet(connection *os.File) handover.Kind {
	kind, err := handover.Greeting(connection, time.Now().Add(greetingPatience))
	if err == nil && kind.Name == "control" {
		return kind
	}
	if err == nil && m.power.now() == copying {
		m.power.settled()
	}
	if err == nil && m.power.now() == running {
		_ = m.link.Load().channel.Give(connection, kind, time.Now().Add(handoverPatience))
	}
	connection.Close()
	return handover.Kind{}
}

// ask runs a request on the loop; false when the machine is ending.
func (m *Machine) ask(request func(now time.Time)) error {
	done := make(chan struct{})
	select {
	case m.requests <- func(now time.Time) { request(now); close(done) }:
		<-done
		return nil
	case <-m.ending:
		return failure.New(failure.Lost, "the machine is ending")
	}
}

// Info answers a control request.
func (m *Machine) Info() (info control.Info, err error) {
	err = m.ask(func(time.Time) {
		info = control.Info{
			State:           m.state(),
			StartedAt:       control.Time(m.startedAt),
			EndAt:           control.Time(m.lease.End),
			IdleTimeoutMs:   m.lease.IdleTimeout.Milliseconds(),
			Detached:        m.lease.Detached,
			AgentVersion:    m.ready.AgentVersion,
			ProtocolVersion: m.ready.ProtocolVersion,
			SupervisorPid:   os.Getpid(),
		}
	})
	return info, err
}

func (m *Machine) state() string {
	if now := m.power.now(); now == running || now == copying {
		return "running"
	}
	return "paused"
}

// Metrics answers a control request.
func (m *Machine) Metrics() (control.Metrics, error) {
	figures := m.group.Read()
	used, total, err := m.root.Usage()
	if err != nil {
		return control.Metrics{}, failure.New(failure.Lost, "the machine is ending")
	}
	limit := uint64(m.memoryMiB()) << 20
	return control.Metrics{
		CPUUsageUsec:     figures.CPUUsageUsec,
		CPUCount:         m.plan.Cgroup.Limits.CPUs,
		MemoryUsedBytes:  min(figures.MemoryUsedBytes, limit),
		MemoryTotalBytes: limit,
		MemoryCacheBytes: min(figures.MemoryCacheBytes, limit),
		DiskUsedBytes:    used,
		DiskTotalBytes:   total,
		OOMKills:         figures.OOMKills,
		Timestamp:        control.Time(time.Now()),
	}, nil
}

// Lifetime answers a control request.
func (m *Machine) Lifetime(lifetime time.Duration) error {
	return m.ask(func(now time.Time) { m.lease.Extend(lifetime, now) })
}

// Own answers a control request.
func (m *Machine) Own() error { return m.ask(func(time.Time) { m.lease.Own() }) }

// Disown notes that an owner's connection is gone.
func (m *Machine) Disown() { _ = m.ask(func(time.Time) { m.lease.Disown() }) }

// Busy answers a control request.
func (m *Machine) Busy() error { return m.ask(func(time.Time) { m.lease.Busy() }) }

// Rest notes that a connection's uses are over.
func (m *Machine) Rest() { _ = m.ask(func(now time.Time) { m.lease.Rest(now) }) }

// Kill answers a control request: the machine ends.
func (m *Machine) Kill() {
	m.hurry.Do(func() { close(m.hurried) })
	select {
	case m.killed <- struct{}{}:
	default:
	}
}
