package control

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/paused"
)

func TestRequestsAreParsed(t *testing.T) {
	for line, holds := range map[string]bool{
		`{"id":1,"op":"info"}`:                              true,
		`{"id":1,"op":"lifetime","ms":0}`:                   true,
		`{"id":1,"op":"lifetime"}`:                          false,
		`{"id":1,"op":"lifetime","ms":-1}`:                  false,
		`{"id":1,"op":"lifetime","ms":1e300}`:               false,
		`{"id":1,"op":"lifetime","ms":9223372036854775807}`: false,
		`{"id":1,"op":"pause","kept":"memory"}`:             true,
		`{"id":1,"op":"pause","kept":"half"}`:               false,
		`{"id":1,"op":"pause"}`:                             false,
		`{"id":1,"op":"resume","ms":1000}`:                  true,
		`{"id":1,"op":"resume"}`:                            false,
		`{"id":1,"op":"snapshot","directory":".a-1"}`:       true,
		`{"id":1,"op":"snapshot","directory":"../a"}`:       false,
		`{"id":1,"op":"snapshot","directory":".a/../../b"}`: false,
		`{"id":1,"op":"snapshot"}`:                          false,
		`{"id":1,"op":"explode"}`:                           false,
		`{"id":"x","op":"info"}`:                            false,
		`[]`:                                                false,
		``:                                                  false,
	} {
		if _, err := ParseRequest([]byte(line)); (err == nil) != holds {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"lifetime","ms":5}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		request, err := ParseRequest(line)
		if err == nil && request.Op == "lifetime" && time.Duration(*request.Ms)*time.Millisecond < 0 {
			t.Fatal(*request.Ms)
		}
	})
}

// host counts what the protocol asks of it.
type host struct {
	mutex        sync.Mutex
	owners, busy int
	lifetime     time.Duration
	kept         paused.Kept
	killed       chan struct{}
	// copying is waited for by a snapshot; nil: it is not.
	copying chan struct{}
}

func (h *host) change(do func()) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	do()
}

func (h *host) Info() (Info, error)       { return Info{AgentVersion: "1"}, nil }
func (h *host) Metrics() (Metrics, error) { return Metrics{}, failure.New(failure.Lost, "no more") }
func (h *host) Lifetime(lifetime time.Duration) error {
	h.change(func() { h.lifetime = lifetime })
	return nil
}
func (h *host) Own() error  { h.change(func() { h.owners++ }); return nil }
func (h *host) Disown()     { h.change(func() { h.owners-- }) }
func (h *host) Busy() error { h.change(func() { h.busy++ }); return nil }
func (h *host) Rest()       { h.change(func() { h.busy-- }) }
func (h *host) Pause(kept paused.Kept, rests func()) error {
	h.change(func() { h.kept = kept })
	if kept == paused.Files {
		rests()
	}
	return nil
}
func (h *host) Resume(lifetime time.Duration) error {
	return failure.New(failure.Conflict, "not paused, for %v", lifetime)
}
func (h *host) Snapshot(string, paused.Kept) (Copy, error) {
	if h.copying != nil {
		<-h.copying
	}
	return Copy{}, failure.New(failure.DiskFull, "full")
}
func (h *host) Kill() { h.killed <- struct{}{} }

type client struct {
	t     *testing.T
	file  *os.File
	lines *bufio.Scanner
	over  chan struct{}
}

func talk(t *testing.T, conversations *Conversations, machine Host) *client {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	one := &client{t: t, file: os.NewFile(uintptr(fds[1]), "client"), over: make(chan struct{})}
	one.lines = bufio.NewScanner(one.file)
	t.Cleanup(func() { one.file.Close() })
	go func() {
		conversations.Serve(os.NewFile(uintptr(fds[0]), "server"), machine)
		close(one.over)
	}()
	return one
}

func (c *client) say(line string) {
	c.t.Helper()
	if _, err := c.file.WriteString(line + "\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear(want string) {
	c.t.Helper()
	_ = c.file.SetReadDeadline(time.Now().Add(10 * time.Second))
	if !c.lines.Scan() || c.lines.Text() != want {
		c.t.Fatalf("heard %q instead of %q (%v)", c.lines.Text(), want, c.lines.Err())
	}
}

func TestConversation(t *testing.T) {
	machine := &host{killed: make(chan struct{}, 4)}
	conversations := &Conversations{}
	one := talk(t, conversations, machine)
	one.say(`{"id":0,"op":"busy"}`)
	one.say(`{"id":0,"op":"busy"}`)
	one.say(`{"id":1,"op":"own"}`)
	one.hear(`{"id":1,"ok":true}`)
	one.say(`{"id":2,"op":"lifetime","ms":1500}`)
	one.hear(`{"id":2,"ok":true}`)
	one.say(`{"id":3,"op":"metrics"}`)
	one.hear(`{"id":3,"ok":false,"error":{"code":"lost","message":"no more"}}`)
	one.say(`{"id":4,"op":"fly"}`)
	one.hear(`{"id":4,"ok":false,"error":{"code":"invalid","message":"there is no such control request","field":"op"}}`)
	machine.change(func() {
		if machine.owners != 1 || machine.busy != 1 || machine.lifetime != 1500*time.Millisecond {
			t.Error(machine.owners, machine.busy, machine.lifetime)
		}
	})
	one.say(`{"id":5,"op":"kill"}`)
	<-machine.killed
	conversations.Farewell("killed", nil)
	one.hear(`{"event":"ended","reason":"killed"}`)
	one.hear(`{"id":5,"ok":true}`)
	one.file.Close()
	<-one.over
	if machine.owners != 0 || machine.busy != 0 {
		t.Error("a closed connection still owns or uses", machine.owners, machine.busy)
	}
}

func TestPauseAfterWhichAMachineRestsIsAnsweredInTheEnd(t *testing.T) {
	machine := &host{}
	conversations := &Conversations{}
	one := talk(t, conversations, machine)
	one.say(`{"id":1,"op":"pause","kept":"files"}`)
	one.say(`{"id":2,"op":"pause","kept":"memory"}`)
	one.hear(`{"id":2,"ok":true}`)
	conversations.Tell("paused")
	one.hear(`{"event":"paused"}`)
	conversations.Rested()
	one.hear(`{"id":1,"ok":true,"rests":true}`)
}

func TestKillIsHeardWhileSomethingSlowIsUnderWay(t *testing.T) {
	machine := &host{killed: make(chan struct{}, 1), copying: make(chan struct{})}
	conversations := &Conversations{}
	one := talk(t, conversations, machine)
	one.say(`{"id":1,"op":"snapshot","directory":".new-1","kept":"files"}`)
	one.say(`{"id":2,"op":"kill"}`)
	<-machine.killed
	close(machine.copying)
	one.hear(`{"id":1,"ok":false,"error":{"code":"disk-full","message":"full"}}`)
	conversations.Farewell("killed", nil)
	one.hear(`{"event":"ended","reason":"killed"}`)
	one.hear(`{"id":2,"ok":true}`)
}

func TestFarewellTellsWhatCouldNotBeUndone(t *testing.T) {
	machine := &host{killed: make(chan struct{}, 1)}
	conversations := &Conversations{}
	one := talk(t, conversations, machine)
	one.say(`{"id":9,"op":"kill"}`)
	<-machine.killed
	conversations.Farewell("killed", errors.New("a mount is stuck"))
	one.hear(`{"event":"ended","reason":"killed"}`)
	one.hear(`{"id":9,"ok":false,"error":{"code":"internal","message":"a mount is stuck"}}`)
}

func TestLineWithoutAnEndIsCutOff(t *testing.T) {
	one := talk(t, &Conversations{}, &host{})
	go func() { _, _ = one.file.WriteString(strings.Repeat("x", 1<<20)) }()
	<-one.over
}

func TestFarewellDoesNotWaitForAClientThatDoesNotRead(t *testing.T) {
	machine := &host{}
	conversations := &Conversations{}
	deaf := talk(t, conversations, machine)
	go func() {
		for {
			if _, err := deaf.file.WriteString(`{"id":1,"op":"info"}` + "\n"); err != nil {
				return
			}
		}
	}()
	// The writer stops once both directions are full.
	time.Sleep(100 * time.Millisecond)
	done := make(chan struct{})
	go func() { conversations.Farewell("lifetime", nil); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it waits")
	}
}
