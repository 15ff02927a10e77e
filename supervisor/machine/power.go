package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/paused"
)

const (
	freezePatience = 10 * time.Second
	insidePatience = 15 * time.Second
)

// phase is where a machine is between running and paused.
type phase int32

const (
	running phase = iota
	// copying is running to everybody, but for a moment without its agent.
	copying
	pausing
	standing
	resuming
)

// power is a machine's way from running to paused and back. One change at a time; the end waits for it.
type power struct {
	phase    atomic.Int32
	changing sync.Mutex
	// rests is set when the supervisor of a paused machine is about to go.
	rests atomic.Bool
	// left and halted say how far a machine is on its way to a checkpoint: without its agent, and standing still.
	left, halted bool
}

func (p *power) now() phase { return phase(p.phase.Load()) }

// settled waits until no change is under way.
func (p *power) settled() {
	p.changing.Lock()
	defer p.changing.Unlock()
}

// begin claims the change from one phase to the next; false when the machine is not there.
func (p *power) begin(from, to phase) bool { return p.phase.CompareAndSwap(int32(from), int32(to)) }

func (p *power) end(at phase) { p.phase.Store(int32(at)) }

// Pause answers a control request: nothing of the machine runs when it is answered. rests is called when no supervisor is
// needed from here on, and this one goes.
func (m *Machine) Pause(kept paused.Kept, rests func()) error {
	m.power.changing.Lock()
	defer m.power.changing.Unlock()
	if !m.power.begin(running, pausing) {
		return failure.New(failure.Conflict, "the machine is paused already")
	}
	record, err := m.standStill(kept)
	if err != nil {
		m.power.end(running)
		m.wake()
		return err
	}
	// What keeps its memory where it is needs somebody who holds it.
	m.power.rests.Store(kept == paused.Files || record.Memory != nil)
	m.power.end(standing)
	m.wake()
	m.conversations.Tell("paused")
	if m.power.rests.Load() {
		rests()
		m.resting <- struct{}{}
	}
	return nil
}

// standStill freezes the processes, after they were ended where files alone are kept, or their memory was brought to the disk,
// and then the disk. A failure leaves the machine running.
func (m *Machine) standStill(kept paused.Kept) (record paused.Record, err error) {
	var memory *paused.KeptMemory
	if kept == paused.Files {
		err = m.inside(handover.Stop)
	} else {
		memory, err = m.keepMemory()
	}
	if err != nil {
		return record, err
	}
	if err := m.holdDisk(); err != nil {
		return record, errors.Join(err, m.forgetMemory())
	}
	if err := m.group.Freeze(freezePatience); err != nil {
		return record, errors.Join(err, m.goOn(), m.forgetMemory())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.goOn(), m.forgetMemory())
		}
	}()
	if err := m.root.Freeze(); err != nil {
		return record, err
	}
	if record, err = m.record(kept); err != nil {
		return record, err
	}
	record.Memory = memory
	return record, paused.Write(m.plan.Directory, record)
}

// inside has the agent do something and waits for its word.
func (m *Machine) inside(wish handover.Wish) error {
	select {
	case <-m.done:
	default:
	}
	m.link.Load().channel.Ask(wish)
	late := time.After(insidePatience)
	for {
		select {
		case done := <-m.done:
			if done == wish {
				return nil
			}
		case <-m.gone:
			return failure.New(failure.Lost, "the machine is ending")
		case text := <-m.trouble:
			return failure.New(failure.Unavailable, "the machine could not: %s", text)
		case <-m.hurried:
			return failure.New(failure.Lost, "the machine is ending")
		case <-late:
			return failure.New(failure.Unavailable, "the machine's agent does not answer")
		}
	}
}

func (m *Machine) record(kept paused.Kept) (paused.Record, error) {
	info, err := m.Info()
	if err != nil {
		return paused.Record{}, err
	}
	digest, err := m.diskDigest()
	return paused.Record{
		Version: 1, Kept: kept, PausedAt: control.Time(time.Now()), StartedAt: info.StartedAt, EndAt: info.EndAt,
		IdleTimeoutMs: info.IdleTimeoutMs, Detached: info.Detached,
		AgentVersion: info.AgentVersion, ProtocolVersion: info.ProtocolVersion, Disk: digest,
	}, err
}

func (m *Machine) diskDigest() (string, error) {
	image, err := os.Open(filepath.Join(m.plan.Directory, filesystem.ImageName))
	if err != nil {
		return "", failure.Wrap(err, "read the disk")
	}
	defer image.Close()
	digest, err := filesystem.Digest(image)
	return digest, failure.Wrap(err, "read the disk")
}

// Resume answers a control request: the machine goes on. One that rests has its supervisor about to go, who cannot.
func (m *Machine) Resume(lifetime time.Duration) error {
	m.power.changing.Lock()
	if m.power.rests.Load() {
		m.power.changing.Unlock()
		// The end of the connection tells to ask another one.
		select {}
	}
	defer m.power.changing.Unlock()
	if !m.power.begin(standing, resuming) {
		return failure.New(failure.Conflict, "the machine is not paused")
	}
	if err := m.rise(lifetime); err != nil {
		m.power.end(standing)
		m.wake()
		return err
	}
	m.power.end(running)
	m.wake()
	m.conversations.Tell("resumed")
	return nil
}

// rise verifies what was kept and lets the machine go on. A failure leaves it paused.
func (m *Machine) rise(lifetime time.Duration) error {
	record, err := paused.Read(m.plan.Directory)
	if err != nil {
		return failure.New(failure.Untrusted, "the page of the paused machine cannot be read: %v", err)
	}
	digest, err := m.diskDigest()
	if err != nil {
		return err
	}
	if digest != record.Disk {
		return failure.New(failure.Untrusted, "the disk is not what was written when the machine was paused")
	}
	if err := m.ask(func(now time.Time) { m.lease.Resume(lifetime, now) }); err != nil {
		return err
	}
	if err := errors.Join(paused.Remove(m.plan.Directory), m.goOn()); err != nil {
		return errors.Join(err, m.group.Freeze(freezePatience), m.root.Freeze(), paused.Write(m.plan.Directory, *record))
	}
	m.link.Load().channel.Alive()
	return nil
}

// goOn thaws the disk first: a process that cannot write would not go on.
func (m *Machine) goOn() error {
	err := errors.Join(m.root.Thaw(), m.group.Thaw(freezePatience))
	m.releaseDisk()
	return err
}

// wake makes the loop look at the lease again.
func (m *Machine) wake() { _ = m.ask(func(time.Time) {}) }

// pauseByItself is what the end of the lifetime does to a machine that is to be kept; one that cannot be paused ends.
func (m *Machine) pauseByItself() {
	err := m.Pause(paused.Kept(m.plan.Lease.AtLifetimeEnd), func() {})
	if err != nil && failure.From(err).Code != failure.Conflict {
		fmt.Fprintln(os.Stderr, "supervisor: the machine could not be paused at the end of its lifetime: "+err.Error())
		select {
		case m.unpausable <- struct{}{}:
		default:
		}
	}
}
