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
	case *listen != "":
		err = serveSocket(*listen, []byte(*setup))
	case *stream:
		err = serveStream()
	default:
		err = serveHost()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
		os.Exit(1)
	}
}

func serveHost() error {
	host, err := channel.Open()
	if err != nil {
		return err
	}
	return serveChannel(host)
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
		err = serveChannel(channel.New(ours))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
	}
	boot.PowerOff()
}
