package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

func pair(t *testing.T, kind int) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func soon() time.Time { return time.Now().Add(10 * time.Second) }

func TestGreetingTakesItsLineAndNotAByteMore(t *testing.T) {
	ours, theirs := pair(t, syscall.SOCK_STREAM)
	go func() {
		for _, part := range []string{"PO", "RT 80", "80\nGET / HTTP/1.1\r\n"} {
			_, _ = theirs.WriteString(part)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	kind, err := Greeting(ours, soon())
	if err != nil || kind != (Kind{Name: "port", Port: 8080}) {
		t.Fatal(kind, err)
	}
	rest := make([]byte, 64)
	n, err := ours.Read(rest)
	if err != nil || string(rest[:n]) != "GET / HTTP/1.1\r\n" {
		t.Fatalf("%q %v", rest[:n], err)
	}
}

func TestGreetingRefusesEverythingElse(t *testing.T) {
	for _, text := range []string{"host\n", "PORT 0\n", "PORT 65536\n", "PORT +1\n", "PORT 01\n", "PORT \n", "PORT\n", "\n", "GET / HTTP/1.1\r\nhost: x\r\n", "HOST\r\n"} {
		ours, theirs := pair(t, syscall.SOCK_STREAM)
		if _, err := theirs.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if kind, err := Greeting(ours, soon()); err == nil {
			t.Errorf("%q was taken as %v", text, kind)
		}
	}
	ours, theirs := pair(t, syscall.SOCK_STREAM)
	theirs.Close()
	if _, err := Greeting(ours, soon()); err == nil {
		t.Error("a closed connection was taken")
	}
}

func TestGreetingDoesNotWaitForEver(t *testing.T) {
	ours, _ := pair(t, syscall.SOCK_STREAM)
	if _, err := Greeting(ours, time.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte("PORT 12"))
	f.Fuzz(func(t *testing.T, line []byte) {
		kind, err := parseGreeting(line)
		if err == nil && kind.Name == "port" && (kind.Port < 1 || kind.Port > 65535) {
			t.Fatal(kind)
		}
	})
}

func newChannel(t *testing.T) (*Channel, *os.File) {
	t.Helper()
	channel, agent, err := NewChannel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { channel.Close(); agent.Close() })
	return channel, agent
}

func TestConnectionIsGivenAwayWhole(t *testing.T) {
	channel, agent := newChannel(t)
	ours, theirs := pair(t, syscall.SOCK_STREAM)
	if err := channel.Give(ours, Kind{Name: "port", Port: 80}, soon()); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	text, rights := make([]byte, 1024), make([]byte, 64)
	n, m, _, _, err := syscall.Recvmsg(int(agent.Fd()), text, rights, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"type":"connection","kind":"port","port":80}`; string(text[:n]) != want {
		t.Fatalf("%s", text[:n])
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:m])
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatal(fds, err)
	}
	given := os.NewFile(uintptr(fds[0]), "given")
	defer given.Close()
	if _, err := theirs.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if n, err := given.Read(text); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

func TestAgentThatTakesNothingHoldsUpNeitherLeaseNorGivers(t *testing.T) {
	channel, _ := newChannel(t)
	var err error
	for n := 0; err == nil; n++ {
		if n == 100_000 {
			t.Fatal("there is no bound")
		}
		ours, _ := pair(t, syscall.SOCK_STREAM)
		err = channel.Give(ours, Kind{Name: "host"}, time.Now().Add(10*time.Millisecond))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.ETOOMANYREFS) {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { channel.Alive(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the lease waits for the agent")
	}
}

func TestAgentIsHeardAndRubbishIsNot(t *testing.T) {
	channel, agent := newChannel(t)
	heard := make(chan Ready, 2)
	over := make(chan error, 1)
	go func() {
		over <- channel.Listen(Hearer{func(one Ready) { heard <- one }, func() uint64 { return 7 }, func(Wish) {}, func(string) {}, nil})
	}()
	for _, text := range []string{"{", "[]", `"x"`, `{"type":"oom","id":-1}`, `{"type":"nothing"}`,
		`{"type":"ready","version":"1","agentVersion":"2"}`, `{"type":"ready","version":"3"}`, `{"type":"oom","id":5}`} {
		if _, err := agent.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 1024)
	n, err := agent.Read(buffer)
	if want := `{"type":"oom","id":5,"count":7}`; err != nil || string(buffer[:n]) != want {
		t.Fatalf("%s %v", buffer[:n], err)
	}
	if one := <-heard; one != (Ready{ProtocolVersion: "1", AgentVersion: "2"}) || len(heard) != 0 {
		t.Fatal(one, len(heard))
	}
	agent.Close()
	if err := <-over; !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
}

func TestDescriptorsFromTheAgentAreDropped(t *testing.T) {
	channel, agent := newChannel(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	answered := make(chan struct{})
	go func() {
		_ = channel.Listen(Hearer{func(Ready) {}, func() uint64 { close(answered); return 0 }, func(Wish) {}, func(string) {}, nil})
	}()
	err = syscall.Sendmsg(int(agent.Fd()), []byte(`{"type":"oom","id":1}`), syscall.UnixRights(int(writer.Fd())), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	<-answered
	writer.Close()
	if n, err := reader.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatal("somebody still holds the descriptor", n, err)
	}
}

func TestSetupThatIsTooLongIsRefused(t *testing.T) {
	channel, _ := newChannel(t)
	long, err := json.Marshal(map[string]string{"x": string(bytes.Repeat([]byte("y"), maxMessageBytes))})
	if err != nil {
		t.Fatal(err)
	}
	if channel.Setup(long, nil) == nil {
		t.Fatal("it was sent")
	}
}
