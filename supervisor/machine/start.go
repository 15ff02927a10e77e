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
	if memory := m.memory(); memory != nil {
		return m.restore(ctx, memory.Directory)
	}
	one, agentEnd, err := m.newLink()
	if err != nil {
		return err
	}
	defer agentEnd.Close()
	m.link.Store(one)
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
	go m.listen(one)
	m.ready, err = await(ctx, m, one.ready)
	return err
}

func (m *Machine) noteDone(wish handover.Wish) {
	select {
	case m.done <- wish:
	default:
	}
}

func (m *Machine) tellKills() uint64 { return m.knownKills.set(m.group.OOMKills()) }

func (m *Machine) sendSetup(channel *handover.Channel) error {
	var facts struct {
		LeaseMs int64 `json:"leaseMs"`
	}
	if err := json.Unmarshal(m.plan.Setup, &facts); err != nil {
		return failure.New(failure.Invalid, "the plan's setup: %v", err)
	}
	m.alive = time.Duration(facts.LeaseMs) * time.Millisecond / 3
	if !m.plan.Cgroup.PerCommand {
		return channel.Setup(m.plan.Setup, nil)
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
	return channel.Setup(m.plan.Setup, lent)
}

// await waits for a word of a machine that starts.
func await[T any](ctx context.Context, m *Machine, word <-chan T) (T, error) {
	var none T
	late := time.NewTimer(time.Duration(m.plan.StartTimeoutMs) * time.Millisecond)
	defer late.Stop()
	select {
	case said := <-word:
		return said, nil
	case status := <-m.runtime.Ended:
		return none, m.failedStart(status)
	case text := <-m.trouble:
		return none, failure.New(failure.Internal, "the machine's kernel could not start it: %s", text)
	case <-late.C:
		return none, failure.New(failure.TimedOut, "the machine was not ready within %d ms", m.plan.StartTimeoutMs)
	case <-ctx.Done():
		return none, cancelled(ctx)
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
	said := m.runtime.Tail.String()
	if m.memory() != nil {
		// A kernel that cannot be restored says all that it holds.
		said = m.runtime.Tail.First()
	}
	if said != "" {
		described.Message += "; it said: " + said
	}
	if logged := launch.FileTail(m.plan.Runtime.Log); logged != "" {
		described.Message += "; its log ends: " + logged
	}
	return &described
}
