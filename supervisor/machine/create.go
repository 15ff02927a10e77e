// Package machine makes one machine from its plan, holds its lease, and ends it without leaving anything.
package machine

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cofferdam/supervisor/cgroup"
	"cofferdam/supervisor/control"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/launch"
	"cofferdam/supervisor/lease"
	"cofferdam/supervisor/paused"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/thread"
)

// Machine is one that is being made, lives, or ends. A part that was not made yet is nil.
type Machine struct {
	plan     *plan.Plan
	lock     *os.File
	mounts   *thread.Mounts
	root     *filesystem.Root
	host     *cgroup.Host
	group    *cgroup.Group
	hastened func()
	runtime  *launch.Runtime
	listener *handover.Listener

	conversations control.Conversations
	lease         *lease.Lease
	startedAt     time.Time
	ready         handover.Ready
	timings       *timings
	// alive is how often the agent is told that the host is there; 0 for never.
	alive time.Duration
	// requests run on the loop that owns the lease, until ending is closed.
	requests chan func(now time.Time)
	ending   chan struct{}
	// killed takes a wish that the machine end.
	killed chan struct{}
	// hurried is closed when somebody wishes that it end: nobody waits for the guest any more.
	hurried chan struct{}
	hurry   sync.Once
	// link is the connection to the agent.
	link atomic.Pointer[link]
	// gone is closed when the agent is, without having been asked to leave.
	gone  chan struct{}
	lost  sync.Once
	power power
	// kept is what a machine was paused with that is being resumed, until it counts as running.
	kept *paused.Record
	// anew says that it boots from its files although its memory was kept.
	anew bool
	// done says what the agent has done that it was asked.
	done chan handover.Wish
	// resting says that the machine is paused and needs no supervisor.
	resting chan struct{}
	// unpausable says that the lifetime is over and the machine could not be kept.
	unpausable chan struct{}
	// trouble is what the machine could not do.
	trouble chan string
	// knownKills is the count of out-of-memory kills that the agent has been told.
	knownKills lockedCount
}

type lockedCount struct {
	mutex sync.Mutex
	value uint64
}

func (c *lockedCount) set(value uint64) uint64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.value = value
	return value
}

func (c *lockedCount) get() uint64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.value
}

// Create makes a machine. When it fails, nothing is left of it.
func Create(ctx context.Context, wanted *plan.Plan) (*Machine, error) {
	lock, err := TakeLock(wanted.Directory)
	if err != nil {
		return nil, err
	}
	machine := newMachine(wanted, lock)
	if err := machine.make(ctx); err != nil {
		described := machine.describe(err)
		return nil, errors.Join(described, machine.takeDown(false))
	}
	return machine, nil
}

func newMachine(wanted *plan.Plan, lock *os.File) *Machine {
	return &Machine{
		plan:     wanted,
		lock:     lock,
		root:     newRoot(wanted),
		timings:  newTimings(),
		hastened: func() {},
		requests: make(chan func(time.Time)),
		ending:   make(chan struct{}),
		killed:   make(chan struct{}, 1),
		hurried:  make(chan struct{}),
		gone:     make(chan struct{}),

		unpausable: make(chan struct{}, 1),
		done:       make(chan handover.Wish, 1),
		resting:    make(chan struct{}, 1),
		trouble:    make(chan string, 1),
	}
}

func (m *Machine) make(ctx context.Context) error {
	host, err := cgroup.Look()
	if err != nil {
		return err
	}
	m.host = host
	defer func() { m.hastened() }()
	err = m.timings.measure("namespace", func() (err error) {
		m.mounts, err = thread.NewMounts(m.plan.Directory)
		return failure.Wrap(err, "make a mount namespace")
	})
	if err != nil {
		return err
	}
	if err := together(m.makeDisk, m.makeLayers, m.makeGroup, m.checkMemory); err != nil {
		return err
	}
	err = m.timings.measure("overlay", func() error {
		return m.mounts.Do(func() error {
			if m.plan.Vessel != nil {
				return m.mountJail()
			}
			return m.root.MountOverlay(len(m.plan.Root.Lower), m.plan.Root.IDMap != nil)
		})
	})
	if err == nil {
		err = cancelled(ctx)
	}
	if err != nil {
		return err
	}
	if err := m.timings.measure("start", func() error { return m.start(ctx) }); err != nil {
		return err
	}
	m.listener, err = handover.NewListener(m.plan.Directory)
	m.startedAt = m.begun()
	m.lease = lease.New(m.plan.Lease, time.Now())
	m.timings.note("total", m.timings.begun)
	return failure.Wrap(err, "listen on the machine's socket")
}

// begun is when the machine was first started.
func (m *Machine) begun() time.Time {
	if m.kept != nil {
		if at, err := time.Parse(time.RFC3339, m.kept.StartedAt); err == nil {
			return at
		}
	}
	return time.Now()
}

// together runs stages at the same time and answers when all are over.
func together(stages ...func() error) error {
	problems := make([]error, len(stages))
	var group sync.WaitGroup
	for index, stage := range stages {
		group.Add(1)
		go func() {
			defer group.Done()
			problems[index] = stage()
		}()
	}
	group.Wait()
	for _, problem := range problems {
		if problem != nil {
			return problem
		}
	}
	return nil
}

// lender is who owns what the agent is lent: the machine's last id, which no account has. So the agent, who may write what
// others own, can use it, and a command of root's cannot.
func (m *Machine) lender() int {
	if m.plan.Root.IDMap == nil {
		return 0
	}
	return m.plan.Root.IDMap.HostID + m.plan.Root.IDMap.Size - 1
}

func (m *Machine) makeDisk() error {
	if err := m.timings.measure("copy", m.copyDisk); err != nil {
		return err
	}
	if m.plan.Vessel != nil {
		return m.root.GiveDisk(m.plan.Vessel.HostID)
	}
	if err := m.timings.measure("loop", m.root.AttachDisk); err != nil {
		return err
	}
	return m.timings.measure("disk", func() error {
		return m.inNamespace(filesystem.DiskNamespace, m.root.MountDisk)
	})
}

func (m *Machine) copyDisk() error {
	if m.kept != nil {
		return m.root.TakeDisk(m.kept.Disk)
	}
	return m.root.CopyDisk(m.plan.Root.Disk)
}

func (m *Machine) makeLayers() error {
	if m.plan.Vessel != nil {
		return nil
	}
	return m.timings.measure("layers", func() error {
		return m.inNamespace(filesystem.UserNamespace, func(namespace *os.File) error {
			if namespace != nil {
				if err := m.root.MountUserNamespace(namespace); err != nil {
					return err
				}
			}
			return m.root.MountLayers(m.plan.Root.Lower, namespace)
		})
	})
}

// inNamespace mounts with a user namespace that maps the machine's ids; with none where they stay as they are.
func (m *Machine) inNamespace(open func(plan.IDMap) (*os.File, error), mount func(*os.File) error) error {
	if m.plan.Root.IDMap == nil {
		return m.mounts.Do(func() error { return mount(nil) })
	}
	namespace, err := open(*m.plan.Root.IDMap)
	if err != nil {
		return failure.Wrap(err, "make a user namespace")
	}
	defer namespace.Close()
	return m.mounts.Do(func() error { return mount(namespace) })
}

func (m *Machine) makeGroup() error {
	return m.timings.measure("cgroup", func() error {
		var err error
		m.group, err = cgroup.Create(m.host, m.plan.Cgroup)
		if err == nil && m.plan.Cgroup.PerCommand {
			// The runtime will move the machine's first process; not earlier, as making groups would wait too.
			m.hastened = m.host.Hasten()
		}
		return failure.Wrap(err, "make the control groups")
	})
}

func cancelled(ctx context.Context) error {
	if ctx.Err() != nil {
		return failure.New(failure.Cancelled, "the creation was cancelled")
	}
	return nil
}
