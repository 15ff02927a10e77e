package code

import (
	"context"
	"os"
	"syscall"
	"time"

	"cofferdam/guest/child"
	"cofferdam/guest/users"
)

// killPatience is how long the end of a kernel's tree is waited for.
const killPatience = 10 * time.Second

// LaunchIn starts kernels as processes of a table, for a user.
func LaunchIn(table *child.Table, user *users.User) Launch {
	return func(p Program) (Process, error) {
		env := make([]string, 0, len(p.Envs))
		for name, value := range p.Envs {
			env = append(env, name+"="+value)
		}
		started, err := table.Launch(child.Spec{
			Argv: p.Argv, Dir: p.Dir, Env: env, User: user,
			Stdin: p.Files[0], Stdout: p.Files[1], Stderr: p.Files[2], Extra: append([]*os.File{}, p.Files[3:]...),
		})
		if err != nil {
			return nil, err
		}
		return childProcess{started}, nil
	}
}

type childProcess struct{ *child.Child }

func (p childProcess) Interrupt() { p.Signal(syscall.SIGINT) }

func (p childProcess) Kill() {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), killPatience)
		defer cancel()
		// A tree that cannot be ended ends with the machine; the kernel's own end is seen by Done.
		_ = p.KillTree(ctx, child.Killed)
	}()
}

func (p childProcess) End() End {
	end := p.Wait()
	told := End{ExitCode: end.ExitCode, OutOfMemory: end.Reason == child.OutOfMemory}
	if end.Signal != 0 {
		told.Signal = signalName(end.Signal)
	}
	return told
}

var signalNames = map[syscall.Signal]string{
	syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE", syscall.SIGHUP: "SIGHUP",
	syscall.SIGILL: "SIGILL", syscall.SIGINT: "SIGINT", syscall.SIGKILL: "SIGKILL", syscall.SIGPIPE: "SIGPIPE",
	syscall.SIGQUIT: "SIGQUIT", syscall.SIGSEGV: "SIGSEGV", syscall.SIGSYS: "SIGSYS", syscall.SIGTERM: "SIGTERM",
	syscall.SIGTRAP: "SIGTRAP", syscall.SIGXCPU: "SIGXCPU", syscall.SIGXFSZ: "SIGXFSZ",
}

func signalName(signal syscall.Signal) string {
	if name, ok := signalNames[signal]; ok {
		return name
	}
	return signal.String()
}
