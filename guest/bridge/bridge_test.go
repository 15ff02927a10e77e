package bridge_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"cofferdam/guest/bridge"
)

// world is two bridges over one stream: the supervisor's end of the channel and the agent's.
type world struct {
	host, agent *net.UnixConn
	stream      net.Conn
}

func sockets(t *testing.T, kind int) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for index, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[index] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return ends[0], ends[1]
}

func newWorld(t *testing.T, options bridge.Options) *world {
	t.Helper()
	host, hostChannel := sockets(t, syscall.SOCK_SEQPACKET)
	agent, agentChannel := sockets(t, syscall.SOCK_SEQPACKET)
	near, far := sockets(t, syscall.SOCK_STREAM)
	go func() { _ = bridge.New(near, hostChannel, bridge.Options{Opens: true}).Run() }()
	go func() { _ = bridge.New(far, agentChannel, options).Run() }()
	return &world{host: host, agent: agent, stream: near}
}

// connect hands a connection over, and answers both its ends.
func (w *world) connect(t *testing.T) (client, served *net.UnixConn) {
	t.Helper()
	client, given := sockets(t, syscall.SOCK_STREAM)
	file, err := given.File()
	if err != nil {
		t.Fatal(err)
	}
	given.Close()
	if _, _, err := w.host.WriteMsgUnix([]byte(`{"type":"connection"}`), syscall.UnixRights(int(file.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	file.Close()
	text, got := receive(t, w.agent)
	if text != `{"type":"connection"}` || got == nil {
		t.Fatalf("the agent heard %q with %v", text, got)
	}
	conn, err := net.FileConn(got)
	got.Close()
	if err != nil {
		t.Fatal(err)
	}
	return client, conn.(*net.UnixConn)
}

func receive(t *testing.T, channel *net.UnixConn) (string, *os.File) {
	t.Helper()
	_ = channel.SetReadDeadline(time.Now().Add(10 * time.Second))
	buffer, control := make([]byte, 64<<10), make([]byte, 64)
	n, controlBytes, _, _, err := channel.ReadMsgUnix(buffer, control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := syscall.ParseSocketControlMessage(control[:controlBytes])
	if err != nil || len(messages) == 0 {
		return string(buffer[:n]), nil
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n]), os.NewFile(uintptr(fds[0]), "received")
}

func TestMessagesAndDescriptorsArriveInOrder(t *testing.T) {
	first, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, bridge.Options{First: first})
	for _, text := range []string{"one", "two"} {
		if _, err := w.host.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	text, file := receive(t, w.agent)
	if text != "one" || file == nil {
		t.Fatalf("first came %q with %v", text, file)
	}
	file.Close()
	if text, file := receive(t, w.agent); text != "two" || file != nil {
		t.Fatalf("then came %q with %v", text, file)
	}
	if _, err := w.agent.Write([]byte("back")); err != nil {
		t.Fatal(err)
	}
	if text, _ := receive(t, w.host); text != "back" {
		t.Fatalf("back came %q", text)
	}
}

func TestMegabytesGoBothWaysAndTheEndIsSeen(t *testing.T) {
	w := newWorld(t, bridge.Options{})
	client, served := w.connect(t)
	go func() {
		_, _ = io.Copy(served, served)
		_ = served.CloseWrite()
	}()
	sent := make([]byte, 8<<20)
	_, _ = rand.Read(sent)
	go func() {
		_, _ = client.Write(sent)
		_ = client.CloseWrite()
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d of %d bytes came back: %v", len(got), len(sent), err)
	}
}

func TestAConnectionThatNobodyReadsStopsItselfAlone(t *testing.T) {
	w := newWorld(t, bridge.Options{})
	flooder, unread := w.connect(t)
	defer unread.Close()
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		_, _ = flooder.Write(make([]byte, 8<<20))
	}()
	client, served := w.connect(t)
	go func() { _, _ = io.Copy(served, served) }()
	for range 64 {
		sent := make([]byte, 32<<10)
		go func() { _, _ = client.Write(sent) }()
		_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(client, make([]byte, len(sent))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-flooded:
		t.Fatal("somewhere 8 MiB are held that nobody reads")
	default:
	}
	flooder.Close()
}

func TestAClosedConnectionIsClosedOnTheOtherSide(t *testing.T) {
	w := newWorld(t, bridge.Options{})
	client, served := w.connect(t)
	served.Close()
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the client saw %v", err)
	}
	other, gone := w.connect(t)
	other.Close()
	_ = gone.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := gone.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the agent saw %v", err)
	}
}

func TestWhatIsNoProtocolEndsTheBridge(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"a kind that is none":           {9, 0, 0, 0, 0, 0, 0, 0, 0},
		"a frame without an end":        {1, 0, 0, 0, 0, 255, 255, 255, 255},
		"a connection from the machine": append([]byte{1, 0, 0, 0, 7, 0, 0, 0, 2}, "{}"...),
	} {
		t.Run(name, func(t *testing.T) {
			_, channel := sockets(t, syscall.SOCK_SEQPACKET)
			near, far := sockets(t, syscall.SOCK_STREAM)
			ended := make(chan error, 1)
			go func() { ended <- bridge.New(near, channel, bridge.Options{Opens: true}).Run() }()
			if _, err := far.Write(bytes); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err == nil {
					t.Fatal("it ended without an error")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it went on")
			}
		})
	}
}
