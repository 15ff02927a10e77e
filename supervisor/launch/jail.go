package launch

import "syscall"

// Jail is a root, and an identity that has no rights anywhere, beside namespaces of processes, networks and the like.
type Jail struct {
	Root   string
	ID     int
	Groups []int
}

// lock adds it to what a fork does.
func (j *Jail) lock(attributes *syscall.SysProcAttr) {
	if j == nil {
		return
	}
	groups := make([]uint32, len(j.Groups))
	for index, group := range j.Groups {
		groups[index] = uint32(group)
	}
	attributes.Chroot = j.Root
	attributes.Credential = &syscall.Credential{Uid: uint32(j.ID), Gid: uint32(j.ID), Groups: groups}
	attributes.Cloneflags |= syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
}
