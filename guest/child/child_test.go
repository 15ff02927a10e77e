package child

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tables are the ways of following a tree that this machine has.
func tables(t *testing.T) map[string]*Table {
	found := map[string]*Table{"scan": NewTable(Options{})}
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		path := filepath.Join(root, "cofferdam-test-"+strconv.Itoa(os.Getpid()))
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || os.Mkdir(path, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(path) })
		directory, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { directory.Close() })
		if _, err := os.Stat(filepath.Join(path, "cgroup.procs")); err == nil {
			found["cgroup"] = NewTable(Options{CgroupRoot: directory})
			return found
		}
	}
	t.Log("skip: no cgroup of version 2 can be made here")
	return found
}

// reaping serves one table at a time: there is one reaper for all children of a process.
func reaping(t *testing.T, table *Table) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	over := make(chan struct{})
	go func() {
		defer close(over)
		table.Reap(ctx, signals)
	}()
	t.Cleanup(func() {
		cancel()
		signal.Stop(signals)
		<-over
	})
}

func shell(t *testing.T, table *Table, script string) *Child {
	t.Helper()
	started, err := table.Launch(Spec{
		Argv: []string{"/bin/sh", "-c", script}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// running counts the processes that have a text in their command line.
func running(text string) int {
	count := 0
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(strings.ReplaceAll(string(raw), "\x00", " "), text) {
			count++
		}
	}
	return count
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 500 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestAKillEndsTheWholeTreeWithItsDaemons(t *testing.T) {
	for name, table := range tables(t) {
		t.Run(name, func(t *testing.T) {
			reaping(t, table)
			mark := "98765." + strconv.Itoa(os.Getpid())
			started := shell(t, table, "setsid sh -c 'setsid sleep "+mark+" & trap \"\" TERM INT HUP; sleep "+mark+"' & sleep "+mark)
			eventually(t, "all three sleep", func() bool { return running("sleep "+mark) >= 3 })
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := started.KillTree(ctx, TimedOut); err != nil {
				t.Fatal(err)
			}
			if left := running(mark); left != 0 {
				t.Errorf("%d processes are left", left)
			}
			if end := started.Wait(); end.Reason != TimedOut || end.Signal != syscall.SIGKILL {
				t.Errorf("%+v", end)
			}
		})
	}
}

func TestEndsAreToldApart(t *testing.T) {
	for name, table := range tables(t) {
		t.Run(name, func(t *testing.T) {
			reaping(t, table)
			for script, want := range map[string]End{
				"exit 0":        {Reason: Exited},
				"exit 3":        {ExitCode: 3, Reason: Exited},
				"kill -TERM $$": {ExitCode: 143, Signal: syscall.SIGTERM, Reason: Signalled},
				"kill -KILL $$": {ExitCode: 137, Signal: syscall.SIGKILL, Reason: Signalled},
			} {
				if end := shell(t, table, script).Wait(); end != want {
					t.Errorf("%s: %+v", script, end)
				}
			}
		})
	}
}

func TestAKillForMemoryIsToldOnce(t *testing.T) {
	kills := 0
	table := NewTable(Options{OutOfMemoryKills: func(context.Context) (int, error) { return kills, nil }})
	reaping(t, table)
	kills = 1
	if end := shell(t, table, "kill -KILL $$").Wait(); end.Reason != OutOfMemory {
		t.Errorf("%+v", end)
	}
	if end := shell(t, table, "kill -KILL $$").Wait(); end.Reason != Signalled {
		t.Errorf("%+v", end)
	}
}

func TestADaemonThatStaysCanStillBeEnded(t *testing.T) {
	table, ok := tables(t)["cgroup"]
	if !ok {
		t.Skip("skip: no cgroup of version 2 can be made here")
	}
	reaping(t, table)
	mark := "98764." + strconv.Itoa(os.Getpid())
	started := shell(t, table, "setsid sleep "+mark+" &")
	if end := started.Wait(); end.Reason != Exited || running(mark) != 1 {
		t.Fatalf("%+v", end)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := started.KillTree(ctx, Killed); err != nil || running(mark) != 0 {
		t.Errorf("%v, %d left", err, running(mark))
	}
}
