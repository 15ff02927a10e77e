package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/machine"
)

// Machine is one that is being made, lives, or ends. A part that was not made yet is nil.
type Machine struct {
	plan     *Plan
	client   *Client
	lock     *os.File
	made     bool
	events   *events
	streams  *attached
	agent    *agent
	listener *handover.Listener

	conversations control.Conversations
	startedAt     time.Time
	ready         handover.Ready

	// mutex guards the lease; wake makes the loop look at it again.
	mutex sync.Mutex
	lease *lease.Lease
	wake  chan struct{}
	// killed takes a wish that the machine end; ending is closed when it does.
	killed chan struct{}
	ending chan struct{}
}

// Report is the one line that the maker of a machine reads.
type Report struct {
	OK              bool   `json:"ok"`
	AgentVersion    string `json:"agentVersion"`
	ProtocolVersion string `json:"protocolVersion"`
}

// Report answers what was made.
func (m *Machine) Report() Report {
	return Report{OK: true, AgentVersion: m.ready.AgentVersion, ProtocolVersion: m.ready.ProtocolVersion}
}

// Create makes a machine. When it fails, nothing is left of it.
func Create(ctx context.Context, wanted *Plan) (*Machine, error) {
	lock, err := machine.TakeLock(wanted.Directory)
	if err != nil {
		return nil, err
	}
	made := &Machine{
		plan: wanted, client: NewClient(wanted.Engine), lock: lock,
		wake: make(chan struct{}, 1), killed: make(chan struct{}, 1), ending: make(chan struct{}),
	}
	if err := made.make(ctx); err != nil {
		return nil, errors.Join(made.described(err), made.takeDown())
	}
	return made, nil
}

func (m *Machine) make(ctx context.Context) error {
	// What the Engine was asked for may be done although its answer was not awaited.
	m.made = true
	name := m.plan.Container.Name
	// It is not broken off: the Engine would go on and make what nobody knows of.
	err := m.client.create(context.WithoutCancel(ctx), m.plan.Container)
	if isCode(err, failure.AlreadyExists) {
		m.made = false
	}
	if err != nil {
		return err
	}
	if m.events, err = m.client.follow(context.Background(), name); err != nil {
		return err
	}
	if m.streams, err = m.client.attach(ctx, name); err != nil {
		return err
	}
	if m.agent, err = newAgent(m.streams, m.events); err != nil {
		return err
	}
	if err := m.client.start(ctx, name); err != nil {
		return err
	}
	if err := m.greet(ctx); err != nil {
		return err
	}
	m.listener, err = handover.NewListener(m.plan.Directory)
	m.startedAt = time.Now()
	m.lease = lease.New(m.plan.Lease, m.startedAt)
	return failure.Wrap(err, "listen on the machine's socket")
}

// greet sends the set-up and waits for the agent's word that it serves.
func (m *Machine) greet(ctx context.Context) error {
	if err := m.agent.setup(m.plan.Setup); err != nil {
		return err
	}
	late := time.NewTimer(time.Duration(m.plan.StartTimeoutMs) * time.Millisecond)
	defer late.Stop()
	select {
	case m.ready = <-m.agent.ready:
		return nil
	case <-m.agent.gone:
		if m.events.outOfMemoryKills(0, killPatience) > 0 {
			return failure.New(failure.OutOfMemory, "the machine's memory ran out while it started").
				WithField("resources.memoryMiB").WithMend("give it more resources.memoryMiB")
		}
		return failure.New(failure.Internal, "the container ended before the machine was ready")
	case <-late.C:
		return failure.New(failure.TimedOut, "the machine was not ready within %d ms", m.plan.StartTimeoutMs)
	case <-ctx.Done():
		return failure.New(failure.Cancelled, "the creation was cancelled")
	}
}

// described adds what the agent said to an error of a start that failed.
func (m *Machine) described(err error) error {
	described := *failure.From(err)
	if m.streams == nil || described.Code == failure.Cancelled {
		return &described
	}
	if said := m.streams.output.tail.String(); said != "" {
		described.Message += "; it said: " + said
	}
	return &described
}

// End ends the machine, leaves a note of the reason, and tells everybody who listens. This process is to exit at once.
func (m *Machine) End(reason lease.Reason) error {
	if reason == lease.Terminated {
		reason = lease.Killed
	}
	m.closeDoor()
	problem := machine.WriteNote(m.plan.StateDir, m.plan.ID, reason)
	problem = errors.Join(problem, m.takeDown())
	if problem != nil {
		problem = failure.Wrap(problem, "end the machine")
	}
	m.conversations.Farewell(string(reason), problem)
	return problem
}

// takeDown undoes all that was made. When the container cannot be removed, the directory stays, so that a sweep tries again.
func (m *Machine) takeDown() error {
	m.closeDoor()
	var problem error
	if m.made {
		problem = m.client.Remove(context.Background(), m.plan.Container.Name)
	}
	if m.streams != nil {
		m.streams.conn.Close()
	}
	m.events.close()
	if problem == nil {
		problem = machine.RemoveDirectory(m.plan.Directory)
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
