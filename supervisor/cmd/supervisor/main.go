// The supervisor makes one machine, holds its lease and ends it, or sweeps up after supervisors that were killed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"cofferdam/supervisor/clock"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/launcher"
	"cofferdam/supervisor/machine"
	"cofferdam/supervisor/plan"
	"cofferdam/supervisor/sweep"
)

const version = "0.1.0"

const quiet = 2 * time.Second

func main() {
	// One supervisor is nearly always asleep; there are hundreds of them.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	debug.SetGCPercent(50)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	syscall.Umask(0o022)
	os.Exit(command(os.Args[1:]))
}

func command(words []string) int {
	switch {
	case len(words) == 2 && words[0] == "run":
		return run(words[1], machine.Create)
	case (len(words) == 4 || len(words) == 5 && words[4] == "anew") && words[0] == "resume":
		return resume(words[1], words[2], resumption{version: words[3], anew: len(words) == 5})
	case len(words) == 2 && words[0] == "discard":
		return discard(words[1])
	case len(words) == 2 && words[0] == "sweep":
		return sweepUp(words[1])
	case len(words) == 1 && words[0] == "launcher":
		return launch()
	case len(words) == 1 && words[0] == "cycles":
		fmt.Println(clock.Khz())
		return 0
	case len(words) == 1 && words[0] == "version":
		fmt.Println(version)
		return 0
	}
	fmt.Fprintln(os.Stderr, "usage: cofferdam-supervisor run <plan.json> | resume <plan.json> <lifetime, ms> <version of the runtime> [anew] | discard <plan.json> | sweep <state directory> | launcher | cycles | version")
	return 64
}

// maker makes a machine from its plan, or makes it go on.
type maker func(ctx context.Context, wanted *plan.Plan) (*machine.Machine, error)

// resumption is how a paused machine goes on.
type resumption struct {
	// version of the runtime that is here now.
	version string
	// anew says that it boots from its files, although its memory may have been kept.
	anew bool
}

// resume makes a paused machine go on, for so long.
func resume(path, lifetime string, how resumption) int {
	lifetimeMs, err := strconv.ParseInt(lifetime, 10, 64)
	if err != nil || lifetimeMs <= 0 {
		say(map[string]any{"ok": false, "error": failure.New(failure.Invalid, "the lifetime is no number of milliseconds")})
		return 64
	}
	return run(path, func(ctx context.Context, wanted *plan.Plan) (*machine.Machine, error) {
		wanted.Lease.LifetimeMs = lifetimeMs
		wanted.Runtime.Version = how.version
		return machine.Wake(ctx, wanted, how.anew)
	})
}

// discard removes a paused machine.
func discard(path string) int {
	wanted, err := plan.Read(path)
	if err == nil {
		err = machine.Discard(wanted)
	}
	if err != nil {
		say(map[string]any{"ok": false, "error": failure.From(err)})
		return 1
	}
	say(map[string]any{"ok": true})
	return 0
}

func run(path string, makeIt maker) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	made, err := create(path, makeIt, terminated)
	if err != nil {
		say(map[string]any{"ok": false, "error": failure.From(err)})
		return 1
	}
	say(made.Report())
	closeOutput()
	// What the creation needed is given back, once the machine's first command is not waiting for a processor.
	time.AfterFunc(quiet, debug.FreeOSMemory)
	if err := made.End(made.Live(terminated)); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor: "+err.Error())
		return 1
	}
	return 0
}

// create makes the machine; SIGTERM undoes what there is of it.
func create(path string, makeIt maker, terminated <-chan os.Signal) (*machine.Machine, error) {
	wanted, err := plan.Read(path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		select {
		case <-terminated:
			cancel()
		case <-over:
		}
	}()
	made, err := makeIt(ctx, wanted)
	close(over)
	if err == nil && ctx.Err() != nil {
		_ = made.End("killed")
		return nil, failure.New(failure.Cancelled, "the creation was cancelled")
	}
	return made, err
}

// launch starts further supervisors for whoever started this one.
func launch() int {
	program, err := os.Executable()
	if err == nil {
		err = launcher.Serve(program, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "supervisor: "+err.Error())
		return 1
	}
	return 0
}

func sweepUp(stateDir string) int {
	removed, err := sweep.Sweep(stateDir)
	say(map[string]any{"removed": removed})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "supervisor: "+err.Error())
		return 1
	}
	return 0
}

func say(value any) {
	raw, err := json.Marshal(value)
	if err == nil {
		_, _ = os.Stdout.Write(append(raw, '\n'))
	}
}

// closeOutput ends the pipe to whoever started this process; the descriptor stays taken.
func closeOutput() {
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		_ = syscall.Dup3(int(null.Fd()), 1, 0)
		null.Close()
	}
}
