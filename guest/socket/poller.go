// Package socket holds the host's sockets apart from the Go runtime's own poller. gVisor's kernel cannot bring a host's socket
// to a disk, and what has been polled beside one may point at it long after it is closed: so these are polled by an instance
// of their own, which goes with them.
package socket

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

const (
	edgeTriggered = 1 << 31
	eventsAtOnce  = 64

	readable = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	writable = syscall.EPOLLOUT | syscall.EPOLLHUP | syscall.EPOLLERR
)

// Poller tells its connections when they can go on.
type Poller struct {
	mutex sync.Mutex
	// instance is there while a connection is.
	instance *instance
}

// instance is the kernel's part of it. The Go runtime polls it, and nothing that it holds.
type instance struct {
	file  *os.File
	fd    int
	conns map[int32]*Conn
}

// Take makes a connection of a descriptor, which it takes.
func (p *Poller) Take(fd int) (*Conn, error) {
	// The runtime hands the first one to programs as well.
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("take a socket: %w", err)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	conn := newConn(p, fd)
	if err := p.add(conn); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("watch a socket: %w", err)
	}
	return conn, nil
}

func (p *Poller) add(conn *Conn) error {
	if p.instance == nil {
		made, err := newInstance()
		if err != nil {
			return err
		}
		p.instance = made
		go p.watch(made)
	}
	event := syscall.EpollEvent{Fd: int32(conn.fd), Events: readable | writable | edgeTriggered}
	if err := syscall.EpollCtl(p.instance.fd, syscall.EPOLL_CTL_ADD, conn.fd, &event); err != nil {
		return err
	}
	p.instance.conns[int32(conn.fd)] = conn
	return nil
}

func newInstance() (*instance, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	// What is not non-blocking the Go runtime would not poll.
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return &instance{file: os.NewFile(uintptr(fd), "the host's sockets"), fd: fd, conns: map[int32]*Conn{}}, nil
}

// forget takes a connection off, and the instance with the last one.
func (p *Poller) forget(conn *Conn) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.instance == nil || p.instance.conns[int32(conn.fd)] != conn {
		return
	}
	delete(p.instance.conns, int32(conn.fd))
	_ = syscall.EpollCtl(p.instance.fd, syscall.EPOLL_CTL_DEL, conn.fd, nil)
	if len(p.instance.conns) == 0 {
		p.instance.file.Close()
		p.instance = nil
	}
}

// watch wakes connections until the instance is closed.
func (p *Poller) watch(one *instance) {
	raw, err := one.file.SyscallConn()
	if err != nil {
		return
	}
	events := make([]syscall.EpollEvent, eventsAtOnce)
	for {
		count, problem := 0, error(nil)
		err := raw.Read(func(fd uintptr) bool {
			count, problem = syscall.EpollWait(int(fd), events, 0)
			return count != 0 || problem != nil && !errors.Is(problem, syscall.EINTR)
		})
		if err != nil || problem != nil {
			return
		}
		p.wake(one, events[:count])
	}
}

func (p *Poller) wake(one *instance, events []syscall.EpollEvent) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, event := range events {
		conn := one.conns[event.Fd]
		if conn == nil {
			continue
		}
		if event.Events&readable != 0 {
			conn.reading.wake()
		}
		if event.Events&writable != 0 {
			conn.writing.wake()
		}
	}
}
