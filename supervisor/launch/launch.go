// Package launch starts the runtime inside a machine's namespace and control groups, and waits for what it leaves behind.
package launch

import (
	"errors"
	"os"
	"syscall"

	"cofferdam/supervisor/cgroup"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/thread"
)

const becomeSubreaper = 36

// Place is where a runtime is started.
type Place struct {
	Mounts *thread.Mounts
	Group  *cgroup.Group
	// Jail is what the runtime is locked into; nil: nothing.
	Jail *Jail
	// Alone says that the runtime has no network and no IPC of others, and makes its jail itself.
	Alone bool
}

// Runtime is the started runtime.
type Runtime struct {
	Tail *Tail
	// Ended gives the end of the runtime, or of the machine's first process where the runtime left it alone; once.
	Ended <-chan syscall.WaitStatus
	// Detached is closed when the runtime has left the machine alone.
	Detached <-chan struct{}
	// Alone is closed when no child of this process is left.
	Alone  <-chan struct{}
	reaper *reaper
	place  Place
	// environment of the runtime.
	environment []string
}

// Start starts the runtime with the agent's end of the channel as descriptor 3; nil: with none. The caller keeps the channel's
// file.
func Start(program plan.Runtime, place Place, channel *os.File) (*Runtime, error) {
	if err := subreap(); err != nil {
		return nil, failure.Wrap(err, "become the parent of orphans")
	}
	if err := limit(program.Limits); err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, failure.Wrap(err, "open /dev/null")
	}
	defer null.Close()
	output, input, err := os.Pipe()
	if err != nil {
		return nil, failure.Wrap(err, "make a pipe")
	}
	defer input.Close()
	files := []uintptr{null.Fd(), input.Fd(), input.Fd()}
	if channel != nil {
		files = append(files, channel.Fd())
	}
	pid, err := fork(call{program.Start, program.Environ(), files}, place)
	if err != nil {
		output.Close()
		return nil, startFailure(program.Start[0], err)
	}
	started := &Runtime{Tail: &Tail{}, place: place, environment: program.Environ()}
	go func() {
		started.Tail.Follow(output)
		output.Close()
	}()
	started.reaper, started.Alone = reapAll(pid, program.PidFile)
	started.Ended, started.Detached = started.reaper.ended, started.reaper.detached
	return started, nil
}

// call is a program's start: its words, its environment, and its files from descriptor 0 on.
type call struct {
	words       []string
	environment []string
	files       []uintptr
}

func fork(start call, place Place) (pid int, err error) {
	directory, err := place.Group.OpenRuntime()
	if err != nil {
		return 0, err
	}
	attributes := &syscall.SysProcAttr{Setsid: true}
	if directory != nil {
		defer directory.Close()
		attributes.UseCgroupFD = true
		attributes.CgroupFD = int(directory.Fd())
	}
	place.Jail.lock(attributes)
	if place.Alone {
		attributes.Cloneflags |= syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	}
	err = thread.Once(func() error {
		if err := place.Mounts.Enter(); err != nil {
			return failure.Wrap(err, "enter the mount namespace")
		}
		if err := place.Group.Join(); err != nil {
			return err
		}
		pid, err = syscall.ForkExec(start.words[0], start.words, &syscall.ProcAttr{
			Dir:   "/",
			Env:   start.environment,
			Files: start.files,
			Sys:   attributes,
		})
		return err
	})
	return pid, err
}

func startFailure(path string, err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.EACCES) {
		return failure.New(failure.Unsupported, "the runtime %s cannot be started: %v", path, err).
			WithMend("install the runtime anew")
	}
	return failure.Wrap(err, "start the runtime")
}

func subreap() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, becomeSubreaper, 1, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Remove asks the runtime to forget the machine. It runs only when no other child is waited for.
func Remove(program plan.Runtime, mounts *thread.Mounts) error {
	if len(program.Remove) == 0 {
		return nil
	}
	return thread.Once(func() error {
		if err := mounts.Enter(); err != nil {
			return err
		}
		process, err := os.StartProcess(program.Remove[0], program.Remove, &os.ProcAttr{Dir: "/", Env: program.Environ()})
		if err != nil {
			return err
		}
		_, err = process.Wait()
		return err
	})
}
