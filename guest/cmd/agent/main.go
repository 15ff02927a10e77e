// The agent is PID 1 of a machine: it starts, follows and ends what runs there and serves it to the host.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"cofferdam/guest/boot"
	"cofferdam/guest/channel"
	"cofferdam/guest/elevate"
	"cofferdam/guest/settings"
)

func main() {
	if boot.First() {
		serveMachine()
	}
	if filepath.Base(os.Args[0]) == "sudo" {
		os.Exit(elevate.Client(os.Args[1:]))
	}
	listen := flag.String("listen", "", "serve on this unix socket and not on descriptor 3")
	setup := flag.String("setup", "{}", "the set-up, as JSON; with --listen only")
	stream := flag.Bool("stream", false, "serve on standard input and output and not on descriptor 3")
	_ = flag.String("machine", "", "whose agent it is, for whoever looks at the host's processes")
	leaves := flag.Bool("leaves", false, "let go of the host when it asks for it, as a kernel that is brought to a disk needs")
	home := flag.Bool("home", false, "give descriptor 3 to the agent that runs here as its new channel, and exit")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *version {
		fmt.Println(settings.AgentVersion)
		return
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(64 << 20)
	var err error
	switch {
	case *home:
		err = bringHome()
	case *listen != "":
		err = serveSocket(*listen, []byte(*setup))
	case *stream:
		err = serveStream()
	default:
		err = serveHost(*leaves)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
		os.Exit(1)
	}
}

func serveHost(leaves bool) error {
	var sockets channel.Sockets = channel.Lasting{}
	if leaves {
		sockets = &channel.Passing{}
	}
	host, err := sockets.Channel(channel.Descriptor)
	if err != nil {
		return err
	}
	return serveChannel(host, sockets, leaves)
}

// serveMachine is the life of a kernel's first process. It does not return: with it, the machine ends.
func serveMachine() {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(64 << 20)
	ours, err := boot.Start()
	if err == nil {
		err = forgo(tracing)
	}
	if err == nil {
		err = refuseTyping()
	}
	if err == nil {
		err = serveChannel(channel.New(ours), channel.Lasting{}, false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
	}
	boot.PowerOff()
}
