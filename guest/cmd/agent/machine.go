package main

import (
	"fmt"
	"os"
	"syscall"
)

const cgroupMounts = "/run/.cofferdam-cgroups"

// nameHost gives the machine its name, where it has one.
func nameHost(name string) {
	if name != "" {
		_ = syscall.Sethostname([]byte(name))
	}
}

// mountCgroups mounts the cgroup file systems of gVisor's own kernel where only root can look: one in which each command
// is followed, and one whose group holds all commands to their number. A path is empty, and the census nil, when it cannot
// be had.
func mountCgroups(pids int) (commands string, counted *census) {
	commands, ok := mountCgroup("job")
	if !ok {
		return "", nil
	}
	limits, ok := mountCgroup("pids")
	if !ok || pids <= 0 {
		return commands, nil
	}
	counted = &census{commands: commands, limit: limits + "/commands"}
	if os.Mkdir(counted.limit, 0o700) != nil || counted.hold(pids) != nil {
		return commands, nil
	}
	go counted.keep()
	return commands, counted
}

// limitUsersTasks hands down to every command how many processes and threads a user may have, which gVisor's kernel holds
// each user but root to at every fork. A command's first task counts as root's, who starts it. What is not held so is left to
// the census.
func limitUsersTasks(most int) {
	const processes = 6
	if most <= 0 {
		return
	}
	limit := uint64(max(most-1, 1))
	_ = syscall.Setrlimit(processes, &syscall.Rlimit{Cur: limit, Max: limit})
}

// limitOpenFiles holds this process and all that it starts to a number of open files.
func limitOpenFiles(most int) error {
	if most <= 0 {
		return nil
	}
	limit := uint64(most)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	return nil
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
