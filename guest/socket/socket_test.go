package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair makes a connection over a host's socket, and the host's end.
func pair(t *testing.T, poller *Poller) (*Conn, net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := poller.Take(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[1]), "host")
	defer file.Close()
	host, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); host.Close() })
	return conn, host
}

func TestBytesGoBothWaysWholeAndEnd(t *testing.T) {
	poller := &Poller{}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	for range 3 {
		conn, host := pair(t, poller)
		go func() {
			_, _ = io.Copy(conn, conn)
			_ = conn.CloseWrite()
		}()
		go func() {
			_, _ = host.Write(sent)
			_ = host.(*net.UnixConn).CloseWrite()
		}()
		got, err := io.ReadAll(host)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatal(len(got), err)
		}
	}
}

func TestDeadlinesEndWhatWaitsAndMayBeTakenBack(t *testing.T) {
	conn, host := pair(t, &Poller{})
	waiting := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		waiting <- err
	}()
	time.Sleep(10 * time.Millisecond)
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := host.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Time{})
	if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := conn.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestCloseEndsWhatWaitsAndLeavesNoDescriptor(t *testing.T) {
	poller := &Poller{}
	before := descriptors(t)
	conn, host := pair(t, poller)
	waiting := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		waiting <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := host.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	host.Close()
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
