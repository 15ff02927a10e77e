package machine

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"cofferdam/guest/bridge"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/hypervisor"
	"cofferdam/supervisor/launch"
	"cofferdam/supervisor/plan"
)

const (
	entropyBytes = 64
	// socketPause is how long to wait before an engine's socket is tried again.
	socketPause = 2 * time.Millisecond
)

func newRoot(wanted *plan.Plan) *filesystem.Root {
	if wanted.Vessel != nil {
		return filesystem.NewImage(wanted.Directory, wanted.Root.MountPoint)
	}
	return filesystem.NewRoot(wanted.Directory, wanted.Root.MountPoint)
}

// memoryMiB is the machine's own.
func (m *Machine) memoryMiB() int64 {
	if m.plan.Vessel != nil {
		return m.plan.Vessel.MemoryMiB
	}
	return m.plan.Cgroup.Limits.MemoryMiB
}

func (m *Machine) mountJail() error {
	switch vessel := m.plan.Vessel; {
	case vessel.Jail != "":
		return m.root.MountJail(*vessel)
	case vessel.Own != "":
		return m.root.MountFiles(*vessel)
	}
	return nil
}

// startVessel starts the engine of a machine with a kernel of its own, and carries its agent's channel there.
func (m *Machine) startVessel(agentEnd *os.File) error {
	vessel := m.plan.Vessel
	channel, err := net.FileConn(agentEnd)
	if err != nil {
		return failure.Wrap(err, "make the agent's channel")
	}
	near, far, err := streamPair()
	if err != nil {
		channel.Close()
		return failure.Wrap(err, "make the agent's stream")
	}
	defer far.Close()
	place := launch.Place{Mounts: m.mounts, Group: m.group, Alone: vessel.Own != ""}
	if vessel.Jail != "" {
		place.Jail = &launch.Jail{Root: m.plan.Root.MountPoint, ID: vessel.HostID, Groups: vessel.Groups}
	}
	m.runtime, err = launch.Start(m.plan.Runtime, place, far)
	if err != nil {
		channel.Close()
		near.Close()
		return err
	}
	go m.carry(near, channel.(*net.UnixConn))
	return nil
}

// carry tells the machine's kernel what to make, and carries the channel until the machine or this process lets go of it.
func (m *Machine) carry(stream net.Conn, channel *net.UnixConn) {
	defer channel.Close()
	defer stream.Close()
	var err error
	if m.plan.Vessel.Stream.Kind == "socket" {
		if stream, err = m.reachVessel(); err != nil {
			m.noteTrouble(err.Error())
			return
		}
		defer stream.Close()
	}
	order, err := m.order()
	if err == nil {
		err = bridge.Say(stream, order)
	}
	if err == nil {
		err = bridge.New(stream, channel, bridge.Options{Opens: true}).Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "supervisor: the agent's stream: "+err.Error())
	}
}

// order is the plan's, with the time and with what must be random in each machine.
func (m *Machine) order() ([]byte, error) {
	var order map[string]any
	if err := json.Unmarshal(m.plan.Vessel.Order, &order); err != nil {
		return nil, err
	}
	entropy := make([]byte, entropyBytes)
	_, _ = rand.Read(entropy) // never fails
	order["type"], order["entropy"], order["nowNs"] = "boot", entropy, time.Now().UnixNano()
	return json.Marshal(order)
}

// reachVessel asks the engine for a machine, where it has to be asked, and then for the agent's port until there is one.
func (m *Machine) reachVessel() (net.Conn, error) {
	wanted, calls := m.plan.Vessel.Stream, m.plan.Vessel.Calls
	deadline := time.Now().Add(time.Duration(m.plan.StartTimeoutMs) * time.Millisecond)
	if len(calls.List) > 0 {
		control, err := m.until(deadline, func() (net.Conn, error) { return hypervisor.Dial(filepath.Join(m.plan.Directory, calls.Socket)) })
		if err != nil {
			return nil, err
		}
		if err := hypervisor.Ask(control, calls.List, deadline); err != nil {
			return nil, err
		}
	}
	return m.until(deadline, func() (net.Conn, error) {
		return hypervisor.DialPort(filepath.Join(m.plan.Directory, wanted.Path), wanted.Port)
	})
}

// until tries to reach the engine until it does, or the machine ends.
func (m *Machine) until(deadline time.Time, dial func() (net.Conn, error)) (net.Conn, error) {
	for {
		connection, err := dial()
		if err == nil || time.Now().After(deadline) {
			return connection, err
		}
		select {
		case <-m.ending:
			return nil, errors.New("the machine is ending")
		case <-time.After(socketPause):
		}
	}
}

func streamPair() (near net.Conn, far *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "stream")
	defer file.Close()
	far = os.NewFile(uintptr(fds[1]), "machine's stream")
	near, err = net.FileConn(file)
	if err != nil {
		far.Close()
	}
	return near, far, err
}

// holdDisk has a machine's own kernel bring its disk in order and leave it alone.
func (m *Machine) holdDisk() error {
	if m.plan.Vessel == nil {
		return nil
	}
	return m.inside(handover.Hold)
}

// releaseDisk lets a machine's own kernel write its disk again.
func (m *Machine) releaseDisk() {
	if m.plan.Vessel != nil {
		m.link.Load().channel.Ask(handover.Release)
	}
}

func (m *Machine) noteTrouble(text string) {
	select {
	case m.trouble <- text:
	default:
	}
}
