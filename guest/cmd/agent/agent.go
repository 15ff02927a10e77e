package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"cofferdam/guest/access"
	"cofferdam/guest/channel"
	"cofferdam/guest/child"
	"cofferdam/guest/elevate"
	"cofferdam/guest/process"
	"cofferdam/guest/serve"
	"cofferdam/guest/settings"
)

// build makes the agent's handler over a table of processes.
func build(holder *settings.Holder, options child.Options) (http.Handler, *child.Table) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	// Not ignored, which the children would inherit: `yes | head` must end by SIGPIPE.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	table := child.NewTable(options)
	go table.Reap(context.Background(), signals)
	parts := serve.NewParts()
	serve.RegisterBasics(parts, holder, table)
	process.NewService(table, holder).Register(parts.Envd)
	registerParts(parts, holder, table)
	return serve.Handler(parts, holder), table
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ConnContext:       serve.NoteKind,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
}

// serveChannel is the agent's life in a machine: it ends with the channel, or when the host is silent for too long.
func serveChannel(host *channel.Channel) error {
	first, file, err := host.Receive()
	if err != nil {
		return fmt.Errorf("wait for the set-up: %w", err)
	}
	if first.Type != "setup" {
		return errors.New("the first message is no set-up")
	}
	current, err := settings.Parse(first.Setup)
	if err != nil {
		return err
	}
	if current.Hostname != "" {
		_ = syscall.Sethostname([]byte(current.Hostname))
	}
	if err := limitOpenFiles(current.OpenFiles); err != nil {
		return err
	}
	if err := prepareHomes(current); err != nil {
		return err
	}
	noteBoot()
	if !current.Sudo {
		if err := forgoCapabilities(); err != nil {
			return err
		}
	}
	if current.NoNewPrivileges {
		if !current.HostUsers {
			limitNamespaces()
		}
		if err := limitNetlink(); err != nil {
			return err
		}
	}
	holder := settings.NewHolder(current)
	options := child.Options{OutOfMemoryKills: host.OutOfMemoryKills}
	switch current.Cgroup {
	case "fd":
		options.CgroupRoot = file
	case "groups":
		options.GroupMarks = true
	case "cgroupfs":
		uncoverTemporary()
		options.CgroupMount, options.CgroupLimit = mountCgroups(current.UserPids)
	}
	handler, table := build(holder, options)
	if current.Sudo {
		if err := elevate.Install(table, holder); err != nil {
			return err
		}
	}
	listener := channel.NewListener()
	go func() { _ = newServer(handler).Serve(listener) }()
	if err := host.Send(&channel.Message{
		Type: "ready", Version: settings.Version, AgentVersion: settings.AgentVersion,
	}); err != nil {
		return err
	}
	return attend(host, &body{holder, table, listener})
}

// body is what the host's messages are about.
type body struct {
	holder   *settings.Holder
	table    *child.Table
	listener *channel.Listener
}

// attend takes the host's messages until there are no more.
func attend(host *channel.Channel, own *body) error {
	watch := newDeadMan(time.Duration(own.holder.Get().LeaseMs) * time.Millisecond)
	for {
		message, file, err := host.Receive()
		if err != nil {
			return fmt.Errorf("the host is gone: %w", err)
		}
		watch.heard()
		switch message.Type {
		case "connection":
			take(message, file, own.listener)
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
				stop(own.table)
				_ = host.Send(&channel.Message{Type: "stopped"})
			}()
		}
		if file != nil {
			file.Close()
		}
	}
}

func take(message *channel.Message, file *os.File, listener *channel.Listener) {
	switch message.Kind {
	case access.Host, access.Public:
		_ = listener.Take(file, message.Kind)
	case access.Port:
		if file == nil {
			return
		}
		conn, err := net.FileConn(file)
		file.Close()
		if err == nil {
			go joinPort(conn, message.Port)
		}
	default:
		if file != nil {
			file.Close()
		}
	}
}

func init() {
	// Two threads of Go code suffice for moving bytes and keep the agent small.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
}
