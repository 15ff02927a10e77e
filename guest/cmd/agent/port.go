package main

import (
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

type halfCloser interface{ CloseWrite() error }

// joinPort joins a handed-over connection to a port of the guest; one byte first tells whether it could.
func joinPort(conn net.Conn, port int) {
	defer conn.Close()
	target, err := dial(port)
	if err != nil {
		_, _ = conn.Write([]byte{1})
		return
	}
	defer target.Close()
	if _, err := conn.Write([]byte{0}); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Add(2)
	go copyHalf(&both, target, conn)
	go copyHalf(&both, conn, target)
	both.Wait()
}

func dial(port int) (net.Conn, error) {
	target, err := net.DialTimeout("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 5*time.Second)
	if err == nil {
		return target, nil
	}
	return net.DialTimeout("tcp6", net.JoinHostPort("::1", strconv.Itoa(port)), 5*time.Second)
}

func copyHalf(done *sync.WaitGroup, to, from net.Conn) {
	defer done.Done()
	_, err := io.Copy(to, from)
	if closer, ok := to.(halfCloser); ok && err == nil {
		_ = closer.CloseWrite()
		return
	}
	to.Close()
	from.Close()
}
