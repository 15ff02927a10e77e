package machine

import (
	"context"
	"encoding/json"
	"syscall"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/launch"
)

// start starts the runtime and waits for the agent's word that it serves.
func (m *Machine) start(ctx context.Context) error {
	channel, agentEnd, err := handover.NewChannel()
	if err != nil {
		return failure.Wrap(err, "make the agent's channel")
	}
	defer agentEnd.Close()
	m.channel = channel
	if err := m.sendSetup(); err != nil {
		return failure.Wrap(err, "send the set-up")
	}
	err = m.timings.measure("fork", func() (err error) {
		if m.plan.Vessel != nil {
			return m.startVessel(agentEnd)
		}
		m.runtime, err = launch.Start(m.plan.Runtime, launch.Place{Mounts: m.mounts, Group: m.group}, agentEnd)
		return err
	})
	if err != nil {
		return err
	}
	agentEnd.Close()
	ready := make(chan handover.Ready, 1)
	go func() {
		defer close(m.gone)
		_ = channel.Listen(handover.Hearer{Ready: func(one handover.Ready) { ready <- one }, Kills: m.tellKills, Done: m.noteDone, Trouble: m.noteTrouble})
	}()
	return m.await(ctx, ready)
}

func (m *Machine) noteDone(wish handover.Wish) {
	select {
	case m.done <- wish:
	default:
	}
}

func (m *Machine) tellKills() uint64 { return m.knownKills.set(m.group.OOMKills()) }

func (m *Machine) sendSetup() error {
	var facts struct {
		LeaseMs int64 `json:"leaseMs"`
	}
	if err := json.Unmarshal(m.plan.Setup, &facts); err != nil {
		return failure.New(failure.Invalid, "the plan's setup: %v", err)
	}
	m.alive = time.Duration(facts.LeaseMs) * time.Millisecond / 3
	if !m.plan.Cgroup.PerCommand {
		return m.channel.Setup(m.plan.Setup, nil)
	}
	path, err := m.group.Lend(m.lender())
	if err != nil {
		return err
	}
	lent, err := filesystem.CloneMount(path)
	if err != nil {
		return err
	}
	defer lent.Close()
	return m.channel.Setup(m.plan.Setup, lent)
}

func (m *Machine) await(ctx context.Context, ready <-chan handover.Ready) error {
	late := time.NewTimer(time.Duration(m.plan.StartTimeoutMs) * time.Millisecond)
	defer late.Stop()
	select {
	case m.ready = <-ready:
		return nil
	case status := <-m.runtime.Ended:
		return m.failedStart(status)
	case text := <-m.trouble:
		return failure.New(failure.Internal, "the machine's kernel could not start it: %s", text)
	case <-late.C:
		return failure.New(failure.TimedOut, "the machine was not ready within %d ms", m.plan.StartTimeoutMs)
	case <-ctx.Done():
		return cancelled(ctx)
	}
}

func (m *Machine) failedStart(status syscall.WaitStatus) error {
	if m.group.OOMKills() > 0 {
		return failure.New(failure.OutOfMemory, "the machine's memory ran out while it started").
			WithField("resources.memoryMiB").WithMend("give it more resources.memoryMiB")
	}
	if status.Signaled() {
		return failure.New(failure.Internal, "the runtime was ended by signal %d (%v)", status.Signal(), status.Signal())
	}
	return failure.New(failure.Internal, "the runtime ended with %d before the machine was ready", status.ExitStatus())
}

// describe adds what the runtime said to an error of a start that failed.
func (m *Machine) describe(err error) error {
	described := *failure.From(err)
	if m.runtime == nil || described.Code == failure.Cancelled {
		return &described
	}
	if said := m.runtime.Tail.String(); said != "" {
		described.Message += "; it said: " + said
	}
	if logged := launch.FileTail(m.plan.Runtime.Log); logged != "" {
		described.Message += "; its log ends: " + logged
	}
	return &described
}
