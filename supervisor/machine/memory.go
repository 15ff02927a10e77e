package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/filesystem"
	"cofferdam/supervisor/handover"
	"cofferdam/supervisor/launch"
	"cofferdam/supervisor/paused"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/processor"
)

const (
	haltPatience = 15 * time.Second
	joinPatience = 15 * time.Second
	savePatience = 10 * time.Minute
)

// memory is what the machine's kernel begins with; nil: it boots.
func (m *Machine) memory() *plan.Memory {
	if m.kept == nil {
		return m.plan.Memory
	}
	if m.kept.Memory == nil || m.anew {
		return nil
	}
	kept := m.kept.Memory
	return &plan.Memory{
		Directory: m.memoryDirectory(), Digest: kept.Digest, Runtime: kept.Runtime, Processor: kept.Processor,
	}
}

func (m *Machine) memoryDirectory() string { return filepath.Join(m.plan.Directory, paused.MemoryName) }

// checkMemory refuses what this host cannot go on with, and what is not what was kept.
func (m *Machine) checkMemory() error {
	memory := m.memory()
	if memory == nil {
		return nil
	}
	const mend = "use the host and the runtime that it was kept with, or start anew from the files"
	if m.plan.Runtime.Checkpoint == nil || memory.Runtime != m.plan.Runtime.Version {
		return failure.New(failure.Unsupported, "the memory was kept by version %s of the runtime, and this is %s",
			memory.Runtime, m.plan.Runtime.Version).WithField("memory").WithMend(mend)
	}
	if lacking := processor.Lacks(memory.Processor, processor.Abilities()); len(lacking) > 0 {
		return failure.New(failure.Unsupported, "this processor cannot do what the memory's programs rely on: %s",
			strings.Join(lacking, " ")).WithField("memory").WithMend(mend)
	}
	return m.timings.measure("memory", func() error {
		return filesystem.VerifyDirectory(memory.Directory, memory.Digest)
	})
}

// restore starts the runtime with a kernel's memory and joins its agent.
func (m *Machine) restore(ctx context.Context, directory string) error {
	program := m.plan.Runtime
	program.Start = plan.WithMemory(program.Checkpoint.Restore, directory)
	err := m.timings.measure("restore", func() (err error) {
		m.runtime, err = launch.Start(program, launch.Place{Mounts: m.mounts, Group: m.group}, nil)
		if err == nil {
			_, err = await(ctx, m, m.runtime.Detached)
		}
		return err
	})
	if err != nil {
		return err
	}
	return m.timings.measure("join", func() error { return m.join(ctx) })
}

// join gives the agent a new channel, in place of the one that it may still have.
func (m *Machine) join(ctx context.Context) error {
	one, agentEnd, err := m.newLink()
	if err != nil {
		return err
	}
	one.parting.Store(true)
	go m.listen(one)
	err = m.help(launch.Errand{Words: m.plan.Runtime.Checkpoint.Join, Channel: agentEnd, Patience: joinPatience})
	agentEnd.Close()
	if err == nil {
		err = m.takeWord(ctx, one)
	}
	if err != nil {
		one.part()
		return err
	}
	if before := m.link.Swap(one); before != nil {
		before.part()
	}
	one.parting.Store(false)
	select {
	case <-one.over:
		m.lose()
	default:
	}
	return nil
}

// takeWord waits for the agent's word and notes it where others read it: on the loop, once there is one.
func (m *Machine) takeWord(ctx context.Context, one *link) error {
	word, err := await(ctx, m, one.ready)
	if err != nil {
		return err
	}
	if m.lease == nil {
		m.ready = word
		return nil
	}
	return m.ask(func(time.Time) { m.ready = word })
}

func (m *Machine) help(errand launch.Errand) error {
	errand.Hurried = m.hurried
	return m.runtime.Help(errand)
}

// keepMemory brings the memory to the disk; nil: it stays where it is, because the runtime has no way to, or the machine holds
// what its kernel cannot keep.
func (m *Machine) keepMemory() (*paused.KeptMemory, error) {
	if m.plan.Runtime.Checkpoint == nil {
		return nil, nil
	}
	directory := m.memoryDirectory()
	err := m.checkpoint(directory)
	if err == nil {
		var kept *paused.KeptMemory
		if kept, err = m.keptIn(directory); err == nil {
			return kept, nil
		}
	}
	if failed := m.forgetMemory(); failed != nil {
		return nil, failed
	}
	fmt.Fprintln(os.Stderr, "supervisor: the memory stays where it is: "+err.Error())
	return nil, nil
}

func (m *Machine) keptIn(directory string) (*paused.KeptMemory, error) {
	kept, err := filesystem.KeepDirectory(directory)
	if err != nil {
		return nil, err
	}
	return &paused.KeptMemory{
		Digest: kept.Digest, SizeBytes: kept.SizeBytes, Runtime: m.plan.Runtime.Version, Processor: processor.Abilities(),
	}, nil
}

// forgetMemory lets a machine go on whose memory was brought, or was to be brought, to the disk.
func (m *Machine) forgetMemory() error {
	return errors.Join(m.comeBack(), failure.Wrap(os.RemoveAll(m.memoryDirectory()), "remove the memory"))
}

// checkpoint brings the memory into an empty directory. The machine is halted then, and has no agent to talk to, until goOn.
func (m *Machine) checkpoint(directory string) error {
	err := errors.Join(os.RemoveAll(directory), os.Mkdir(directory, 0o700))
	if err != nil {
		return failure.Wrap(err, "keep the memory")
	}
	commands := m.plan.Runtime.Checkpoint
	if err := m.leave(); err != nil {
		return err
	}
	m.power.halted = true
	if err := m.help(launch.Errand{Words: commands.Halt, Patience: haltPatience}); err != nil {
		return err
	}
	err = m.help(launch.Errand{Words: plan.WithMemory(commands.Save, directory), Patience: savePatience})
	if err != nil && failure.From(err).Code == failure.Internal {
		return failure.New(failure.Unsupported, "the machine holds what cannot be brought to a disk: %v", err).
			WithField("kept").WithMend("keep the files alone, or close what was removed while it is open")
	}
	return err
}

// leave has the agent close all that the host gave it.
func (m *Machine) leave() error {
	m.power.left = true
	one := m.link.Load()
	one.parting.Store(true)
	one.channel.Ask(handover.Leave)
	late := time.NewTimer(insidePatience)
	defer late.Stop()
	select {
	case <-one.over:
		one.channel.Close()
		return nil
	case <-m.hurried:
		return failure.New(failure.Lost, "the machine is ending")
	case <-late.C:
		return failure.New(failure.Unavailable, "the machine's agent does not leave")
	}
}

// comeBack lets a machine go on that was on its way to a checkpoint, and joins its agent. One that cannot is lost.
func (m *Machine) comeBack() error {
	select {
	case <-m.hurried:
		return failure.New(failure.Lost, "the machine is ending")
	default:
	}
	var problem error
	if m.power.halted {
		problem = m.help(launch.Errand{Words: m.plan.Runtime.Checkpoint.GoOn, Patience: haltPatience})
	}
	if m.power.left {
		// Where this is well, whatever was not before is as well.
		problem = errors.Join(problem, m.join(context.Background()))
		if one := m.link.Load(); one.parting.Load() {
			problem = m.holdOn(one, problem)
		} else {
			problem = nil
		}
	}
	m.power.halted, m.power.left = false, false
	return failure.Wrap(problem, "let the machine go on")
}

// holdOn keeps to a link that has not ended although the agent was asked to leave.
func (m *Machine) holdOn(one *link, problem error) error {
	one.parting.Store(false)
	select {
	case <-one.over:
		m.lose()
		return problem
	default:
		return nil
	}
}
