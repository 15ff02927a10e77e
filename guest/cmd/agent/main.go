// The agent is PID 1 of a machine: it starts, follows and ends what runs there and serves it to the host.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"cofferdam/guest/elevate"
	"cofferdam/guest/settings"
)

func main() {
	if filepath.Base(os.Args[0]) == "sudo" {
		os.Exit(elevate.Client(os.Args[1:]))
	}
	listen := flag.String("listen", "", "serve on this unix socket and not on descriptor 3")
	setup := flag.String("setup", "{}", "the set-up, as JSON; with --listen only")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *version {
		fmt.Println(settings.AgentVersion)
		return
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(64 << 20)
	var err error
	if *listen != "" {
		err = serveSocket(*listen, []byte(*setup))
	} else {
		err = serveChannel()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent: "+err.Error())
		os.Exit(1)
	}
}
