package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"cofferdam/guest/access"
	"cofferdam/guest/channel"
	"cofferdam/guest/child"
	"cofferdam/guest/settings"
)

// body is what the host's messages are about.
type body struct {
	holder *settings.Holder
	table  *child.Table
	// census holds commands to their number; nil where the kernel does.
	census   *census
	listener *channel.Listener
	taken    *channel.Taken
	sockets  channel.Sockets
	watch    *deadMan
	// host is the channel in use.
	host atomic.Pointer[channel.Channel]
	// leaves says that the agent lets go of the host when it wishes so.
	leaves bool
	// home is there while the agent has left the host.
	home *home
}

var errLeft = errors.New("the host was left, as it wished")

// attend takes the host's messages until there are no more, on one channel after another where the host wishes so.
func (b *body) attend(host *channel.Channel) error {
	for {
		err := b.obey(host)
		host.Close()
		if !errors.Is(err, errLeft) {
			return err
		}
		host = b.comeHome()
	}
}

// comeHome waits for a channel that the host has brought in and settles in.
func (b *body) comeHome() *channel.Channel {
	defer b.home.close()
	for {
		next := b.home.await()
		err := b.settleIn(next)
		if err == nil {
			return next
		}
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
		next.Close()
	}
}

// obey does what the host says on a channel, until that is over.
func (b *body) obey(host *channel.Channel) error {
	for {
		message, descriptor, err := host.Receive()
		if err != nil {
			return fmt.Errorf("the host is gone: %w", err)
		}
		b.watch.heard()
		switch message.Type {
		case "connection":
			b.take(message, descriptor)
			continue
		case "oom":
			host.Answered(message)
		case "sync":
			go func() {
				syscall.Sync()
				_ = host.Send(&channel.Message{Type: "synced"})
			}()
		case "stop":
			go func() {
				stop(b.table)
				_ = host.Send(&channel.Message{Type: "stopped"})
			}()
		case "leave":
			if b.leaves && b.prepareHome() {
				b.taken.CloseAll()
				return errLeft
			}
		}
		drop(descriptor)
	}
}

// prepareHome makes the place that the host comes back to, before it is let go.
func (b *body) prepareHome() bool {
	var err error
	if b.home, err = openHome(b.sockets); err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
	}
	return err == nil
}

func drop(descriptor int) {
	if descriptor != channel.None {
		syscall.Close(descriptor)
	}
}

// settleIn begins on a new channel. A set-up that names another machine makes this one another.
func (b *body) settleIn(host *channel.Channel) error {
	current, descriptor, err := setUp(host)
	drop(descriptor)
	if err != nil {
		return err
	}
	b.watch.heard()
	before := b.holder.Get()
	b.holder.Set(current)
	b.host.Store(host)
	if current.ID != before.ID {
		b.becomeAnother(current)
	}
	return tellReady(host)
}

// becomeAnother makes of the copy of a machine one of its own: what came of the kernel's memory is the origin's.
func (b *body) becomeAnother(current *settings.Settings) {
	nameHost(current.Hostname)
	noteBoot()
	_ = limitOpenFiles(current.OpenFiles)
	if b.census != nil {
		_ = b.census.hold(current.UserPids)
	}
}

func (b *body) outOfMemoryKills(ctx context.Context) (int, error) {
	return b.host.Load().OutOfMemoryKills(ctx)
}

func (b *body) take(message *channel.Message, descriptor int) {
	if descriptor == channel.None {
		return
	}
	conn, err := b.sockets.Connection(descriptor)
	if err != nil {
		return
	}
	switch message.Kind {
	case access.Host, access.Public:
		b.listener.Take(conn, message.Kind)
	case access.Port:
		b.taken.Add(conn)
		go func() {
			joinPort(conn, message.Port)
			b.taken.Forget(conn)
		}()
	default:
		conn.Close()
	}
}
