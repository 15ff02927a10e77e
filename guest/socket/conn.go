package socket

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Conn is a connection over a host's socket.
type Conn struct {
	poller *Poller
	fd     int
	// using is held for reading while the descriptor is in use, and for writing to close it.
	using            sync.RWMutex
	over             chan struct{}
	reading, writing side
}

func newConn(poller *Poller, fd int) *Conn {
	return &Conn{poller: poller, fd: fd, over: make(chan struct{}), reading: newSide(), writing: newSide()}
}

// try uses the descriptor, again and again while it is not ready.
func (c *Conn) try(on *side, use func(fd int) error) error {
	for {
		err := c.use(use)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EAGAIN):
			return err
		}
		if err := on.wait(c.over); err != nil {
			return err
		}
	}
}

func (c *Conn) use(use func(fd int) error) error {
	c.using.RLock()
	defer c.using.RUnlock()
	select {
	case <-c.over:
		return net.ErrClosed
	default:
		return use(c.fd)
	}
}

// Read reads what is there.
func (c *Conn) Read(into []byte) (n int, err error) {
	if err := c.reading.late(); err != nil {
		return 0, err
	}
	err = c.try(&c.reading, func(fd int) (err error) {
		n, err = syscall.Read(fd, into)
		return err
	})
	if err == nil && n == 0 && len(into) > 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

// Write writes all of it.
func (c *Conn) Write(from []byte) (written int, err error) {
	if err := c.writing.late(); err != nil {
		return 0, err
	}
	for written < len(from) {
		var n int
		err := c.try(&c.writing, func(fd int) (err error) {
			n, err = syscall.Write(fd, from[written:])
			return err
		})
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// ReadMsgUnix reads one message and the descriptors that come with it.
func (c *Conn) ReadMsgUnix(into, control []byte) (n, controlBytes, flags int, from *net.UnixAddr, err error) {
	err = c.try(&c.reading, func(fd int) (err error) {
		n, controlBytes, flags, _, err = syscall.Recvmsg(fd, into, control, syscall.MSG_CMSG_CLOEXEC)
		return err
	})
	return max(n, 0), controlBytes, flags, nil, err
}

// CloseWrite tells the other side that no more comes.
func (c *Conn) CloseWrite() error {
	return c.use(func(fd int) error { return syscall.Shutdown(fd, syscall.SHUT_WR) })
}

// Close answers when the descriptor is gone.
func (c *Conn) Close() error {
	c.using.Lock()
	defer c.using.Unlock()
	select {
	case <-c.over:
		return net.ErrClosed
	default:
	}
	close(c.over)
	c.poller.forget(c)
	return syscall.Close(c.fd)
}

// LocalAddr is asked for by net.Conn.
func (c *Conn) LocalAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// RemoteAddr is asked for by net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// SetDeadline bounds reads and writes, also those under way.
func (c *Conn) SetDeadline(at time.Time) error {
	c.reading.bound(at)
	c.writing.bound(at)
	return nil
}

// SetReadDeadline bounds reads.
func (c *Conn) SetReadDeadline(at time.Time) error {
	c.reading.bound(at)
	return nil
}

// SetWriteDeadline bounds writes.
func (c *Conn) SetWriteDeadline(at time.Time) error {
	c.writing.bound(at)
	return nil
}
