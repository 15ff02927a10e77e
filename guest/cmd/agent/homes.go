package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"cofferdam/guest/channel"
)

// homeName is a socket's on which root alone brings a new channel to the host: nobody else enters its directory. It is there
// only while the agent has none.
const (
	homeDirectory = "/dev/.cofferdam-home"
	homeName      = homeDirectory + "/agent"
)

const (
	homePatience = 5 * time.Second
	homePause    = 10 * time.Millisecond
)

// home is where the runtime brings a channel in, by a process of its own, to a machine whose kernel came from a disk.
type home struct {
	socket  *net.UnixListener
	sockets channel.Sockets
}

func openHome(sockets channel.Sockets) (*home, error) {
	if err := errors.Join(os.RemoveAll(homeDirectory), os.Mkdir(homeDirectory, 0o700)); err != nil {
		return nil, fmt.Errorf("make a place for a new channel: %w", err)
	}
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: homeName, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for a new channel: %w", err)
	}
	return &home{socket, sockets}, nil
}

func (h *home) close() {
	h.socket.Close()
	if err := os.RemoveAll(homeDirectory); err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
	}
}

// await takes the next channel that root brings.
func (h *home) await() *channel.Channel {
	for {
		visitor, err := h.socket.AcceptUnix()
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		one, err := letIn(visitor, h.sockets)
		visitor.Close()
		if err == nil {
			return one
		}
	}
}

func letIn(visitor *net.UnixConn, sockets channel.Sockets) (*channel.Channel, error) {
	if err := visitor.SetDeadline(time.Now().Add(homePatience)); err != nil {
		return nil, err
	}
	raw, err := visitor.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *syscall.Ucred
	var problem error
	err = raw.Control(func(fd uintptr) {
		peer, problem = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, problem); err != nil {
		return nil, err
	}
	if peer.Uid != 0 {
		return nil, errors.New("the new channel is not from root")
	}
	_, descriptor, err := channel.New(visitor).Receive()
	if err != nil {
		return nil, err
	}
	if descriptor == channel.None {
		return nil, errors.New("the visitor brought nothing")
	}
	return sockets.Channel(descriptor)
}

// bringHome gives this process's descriptor 3 to the agent of this machine as its new channel to the host.
func bringHome() error {
	conn, err := dialHome(time.Now().Add(homePatience))
	if err != nil {
		return fmt.Errorf("reach the agent: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(homePatience)); err != nil {
		return err
	}
	if _, _, err := conn.WriteMsgUnix([]byte(`{"type":"home"}`), syscall.UnixRights(channel.Descriptor), nil); err != nil {
		return err
	}
	// It closes when it has taken the channel.
	_, err = conn.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the agent did not take the channel")
	}
	return nil
}

// dialHome tries again while the agent has not let go of its channel yet.
func dialHome(deadline time.Time) (*net.UnixConn, error) {
	for {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: homeName, Net: "unix"})
		notYet := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
		if !notYet || time.Now().After(deadline) {
			return conn, err
		}
		time.Sleep(homePause)
	}
}
