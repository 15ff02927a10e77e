package launcher

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// conversation serves over pipes, with a shell script as the program.
type conversation struct {
	t      *testing.T
	in     io.WriteCloser
	events *bufio.Scanner
	over   chan error
}

func converse(t *testing.T, script string) *conversation {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	requests, in := io.Pipe()
	out, events := io.Pipe()
	over := make(chan error, 1)
	go func() { over <- Serve(program, requests, events) }()
	return &conversation{t, in, bufio.NewScanner(out), over}
}

func (c *conversation) ask(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *conversation) next() event {
	c.t.Helper()
	if !c.events.Scan() {
		c.t.Fatalf("no more events: %v", c.events.Err())
	}
	var told event
	if err := json.Unmarshal(c.events.Bytes(), &told); err != nil {
		c.t.Fatal(err)
	}
	return told
}

func TestTellsTheFirstLineAndTheExit(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	c := converse(t, `echo complaint >&2; echo "said $1"; echo more`)
	c.ask(fmt.Sprintf(`{"id":7,"words":["word"],"log":%q}`, log))
	if told := c.next(); told.ID != 7 || told.Pid == 0 {
		t.Fatalf("no start: %+v", told)
	}
	if told := c.next(); told.Line == nil || *told.Line != "said word" {
		t.Fatalf("no first line: %+v", told)
	}
	if told := c.next(); !told.Exited {
		t.Fatalf("no exit: %+v", told)
	}
	if raw, err := os.ReadFile(log); err != nil || string(raw) != "complaint\n" {
		t.Fatalf("log %q, %v", raw, err)
	}
}

func TestOneThatSaysNothingHasExitedAlone(t *testing.T) {
	c := converse(t, "exit 3")
	c.ask(`{"id":1,"words":["x"]}`)
	c.next()
	if told := c.next(); !told.Exited || told.Line != nil {
		t.Fatalf("%+v", told)
	}
}

func TestEndsASupervisorWhenAsked(t *testing.T) {
	c := converse(t, "echo ready; exec sleep 600")
	c.ask(`{"id":1,"words":["x"]}`)
	c.next()
	c.next()
	c.ask(`{"id":1}`)
	if told := c.next(); !told.Exited {
		t.Fatalf("%+v", told)
	}
}

func TestSupervisorsOutliveIt(t *testing.T) {
	c := converse(t, "echo ready; exec sleep 600")
	c.ask(`{"id":1,"words":["x"]}`)
	pid := c.next().Pid
	c.next()
	c.in.Close()
	if err := <-c.over; err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("it has ended: %v", err)
	}
	if session, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Fields(string(session))[5] != fmt.Sprint(pid) {
		t.Fatalf("no session of its own: %s, %v", session, err)
	}
	go func() { c.events.Scan() }()
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestSaysWhatCannotBeStarted(t *testing.T) {
	c := converse(t, "")
	c.ask(`{"id":1,"words":["x"],"log":"/nowhere/log"}`)
	if told := c.next(); !strings.Contains(told.Error, "/nowhere/log") {
		t.Fatalf("%+v", told)
	}
}
