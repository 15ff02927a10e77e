package code

import "os"

// Program is a kernel's process as it is to be started.
type Program struct {
	Argv []string
	Envs map[string]string // the whole environment
	Dir  string
	// Files become descriptors 0, 1, 2, and so on. They stay the caller's.
	Files []*os.File
}

// End says how a process ended.
type End struct {
	ExitCode    int
	Signal      string // SIGSEGV, …; empty when it exited by itself
	OutOfMemory bool
}

// Process is a started program and all that it starts.
type Process interface {
	// Interrupt sends SIGINT to the process group.
	Interrupt()
	// Kill ends the whole tree. It may return before the tree is gone.
	Kill()
	// Done is closed when the program has ended.
	Done() <-chan struct{}
	// End is valid once Done is closed.
	End() End
}

// Launch starts a program as the machine's default user, in a process group and, where there are any, a cgroup of its own.
type Launch func(Program) (Process, error)
