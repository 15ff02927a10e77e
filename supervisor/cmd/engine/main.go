// The engine supervisor makes one machine as a container of an Engine, holds its lease and ends it, or sweeps up after
// supervisors that were killed.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"cofferdam/supervisor/engine"
	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/launcher"
)

const quiet = 2 * time.Second

func main() {
	// One supervisor is nearly always asleep; there are hundreds of them.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	debug.SetGCPercent(50)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	syscall.Umask(0o077)
	os.Exit(command(os.Args[1:]))
}

func command(words []string) int {
	switch {
	case len(words) == 2 && words[0] == "run":
		return run(words[1])
	case len(words) == 4 && words[0] == "sweep":
		return sweep(words[1], engine.Address{Socket: words[2], API: words[3]})
	case len(words) == 1 && words[0] == "launcher":
		return launch()
	}
	fmt.Fprintln(os.Stderr, "usage: cofferdam-engine-supervisor run <plan.json> | sweep <state directory> <socket> <version of the API> | launcher")
	return 64
}

func run(path string) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	made, err := create(path, terminated)
	if err != nil {
		say(map[string]any{"ok": false, "error": failure.From(err)})
		return 1
	}
	say(made.Report())
	closeOutput()
	time.AfterFunc(quiet, debug.FreeOSMemory)
	if err := made.End(made.Live(terminated)); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor: "+err.Error())
		return 1
	}
	return 0
}

// create makes the machine; SIGTERM undoes what there is of it.
func create(path string, terminated <-chan os.Signal) (*engine.Machine, error) {
	wanted, err := engine.Read(path)
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
	made, err := engine.Create(ctx, wanted)
	close(over)
	if err == nil && ctx.Err() != nil {
		_ = made.End("killed")
		return nil, failure.New(failure.Cancelled, "the creation was cancelled")
	}
	return made, err
}

func sweep(stateDir string, address engine.Address) int {
	removed, err := engine.Sweep(stateDir, address)
	if err != nil {
		say(map[string]any{"ok": false, "error": failure.From(err)})
		return 1
	}
	say(map[string]any{"ok": true, "removed": removed})
	return 0
}

// launch starts further supervisors for the process that has started this one.
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
