package main

import (
	"os"
	"strconv"
	"syscall"
)

const cgroupMounts = "/run/.cofferdam-cgroups"

// mountCgroups mounts the cgroup file systems of gVisor's own kernel where only root can look: one in which each command
// is followed, and one whose group holds all commands to their number. A path is empty when it cannot be had.
func mountCgroups(pids int, work *activity) (commands, limit string) {
	commands, ok := mountCgroup("job")
	if !ok {
		return "", ""
	}
	limits, ok := mountCgroup("pids")
	if !ok || pids <= 0 {
		return commands, ""
	}
	limit = limits + "/commands"
	if os.Mkdir(limit, 0o700) != nil {
		return commands, ""
	}
	if os.WriteFile(limit+"/pids.max", []byte(strconv.Itoa(pids)), 0) != nil {
		return commands, ""
	}
	go (&census{commands: commands, limit: limit, most: pids, work: work}).keep()
	return commands, limit
}

// uncoverTemporary takes off the file system in memory that gVisor puts over an empty /tmp: the machine's disk is to hold it.
func uncoverTemporary() {
	const detach = 2
	_ = syscall.Unmount("/tmp", detach)
}

func mountCgroup(controller string) (path string, ok bool) {
	path = cgroupMounts + "/" + controller
	if os.MkdirAll(path, 0o700) != nil {
		return "", false
	}
	return path, syscall.Mount("none", path, "cgroup", syscall.MS_NOSUID|syscall.MS_NOEXEC|syscall.MS_NODEV, controller) == nil
}

// limitNamespaces forbids new namespaces in this machine's user namespace, and bounds what the kernel counts for each user
// and, all machines together, for whoever made them: with that used up, nobody on the host could watch a file any more.
// Where the files are not there or not ours to write, the runtime's own filter has to do.
func limitNamespaces() {
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"} {
		limitCount("max_"+kind+"_namespaces", "0")
	}
	limitCount("max_inotify_instances", "32")
	limitCount("max_inotify_watches", "32768")
}

func limitCount(name, most string) {
	file, err := os.OpenFile("/proc/sys/user/"+name, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = file.WriteString(most)
}
