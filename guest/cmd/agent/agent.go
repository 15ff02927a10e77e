package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

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

// serveChannel is the agent's life in a machine: it ends with the channel, or when the host is silent for too long. One that
// leaves may be asked to let go of the host, which comes back on another channel.
func serveChannel(host *channel.Channel, sockets channel.Sockets, leaves bool) error {
	current, descriptor, err := setUp(host)
	if err != nil {
		return err
	}
	nameHost(current.Hostname)
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
	own := &body{
		holder: settings.NewHolder(current), taken: &channel.Taken{}, sockets: sockets, leaves: leaves,
		watch: newDeadMan(current.LeaseMs),
	}
	own.host.Store(host)
	options := child.Options{OutOfMemoryKills: own.outOfMemoryKills}
	switch current.Cgroup {
	case "fd":
		options.CgroupRoot = os.NewFile(uintptr(descriptor), "handed over")
	case "groups":
		options.GroupMarks = true
		if !current.HostUsers {
			limitUsersTasks(current.UserPids)
		}
	case "cgroupfs":
		uncoverTemporary()
		options.CgroupMount, own.census = mountCgroups(current.UserPids)
		if own.census != nil {
			options.CgroupLimit = own.census.limit
		}
	}
	var handler http.Handler
	handler, own.table = build(own.holder, options)
	if current.Sudo {
		if err := elevate.Install(own.table, own.holder); err != nil {
			return err
		}
	}
	own.listener = channel.NewListener(own.taken)
	go func() { _ = newServer(handler).Serve(own.listener) }()
	if err := tellReady(host); err != nil {
		return err
	}
	return own.attend(host)
}

// setUp takes the first message on a channel.
func setUp(host *channel.Channel) (*settings.Settings, int, error) {
	first, descriptor, err := host.Receive()
	if err != nil {
		return nil, channel.None, fmt.Errorf("wait for the set-up: %w", err)
	}
	if first.Type != "setup" {
		return nil, descriptor, errors.New("the first message is no set-up")
	}
	current, err := settings.Parse(first.Setup)
	return current, descriptor, err
}

func tellReady(host *channel.Channel) error {
	return host.Send(&channel.Message{
		Type: "ready", Version: settings.Version, AgentVersion: settings.AgentVersion,
	})
}

func init() {
	// Two threads of Go code suffice for moving bytes and keep the agent small.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
}
