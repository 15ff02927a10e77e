package main

import (
	"os"
	"syscall"
)

const cgroupMount = "/run/.cofferdam-cgroup"

// mountCgroups mounts the cgroup file system of gVisor's own kernel where only root can look; empty when it cannot be had.
func mountCgroups() string {
	if os.MkdirAll(cgroupMount, 0o700) != nil {
		return ""
	}
	if syscall.Mount("none", cgroupMount, "cgroup", syscall.MS_NOSUID|syscall.MS_NOEXEC|syscall.MS_NODEV, "pids") != nil {
		return ""
	}
	return cgroupMount
}

// limitNamespaces forbids new namespaces in this machine's user namespace. Where the files are not there or not ours to
// write, the runtime's own filter has to do.
func limitNamespaces() {
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"} {
		file, err := os.OpenFile("/proc/sys/user/max_"+kind+"_namespaces", os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, _ = file.WriteString("0")
		file.Close()
	}
}
