package filesystem

import (
	"os"
	"path/filepath"
	"syscall"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
)

// NewImage describes a root whose disk is mounted by the machine's own kernel: the host has its image alone.
func NewImage(directory, mountPoint string) *Root {
	root := NewRoot(directory, mountPoint)
	root.inside = true
	return root
}

// GiveDisk gives the image to who reads and writes it.
func (r *Root) GiveDisk(id int) error {
	return failure.Wrap(os.Chown(r.path(), id, id), "give the disk away")
}

// MountFiles lays the files that an engine works with below the root that it is going to make itself.
func (r *Root) MountFiles(vessel plan.Vessel) error {
	work := filepath.Join(r.directory, vessel.Own, plan.WorkName)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return failure.Wrap(err, "make the engine's root")
	}
	return r.mountWork(vessel, work)
}

// MountJail puts together at the mount point what an engine may see: its root, and the files it works with. All of it is
// read-only but the files that say otherwise.
func (r *Root) MountJail(vessel plan.Vessel) error {
	if err := r.makeMountPoint(true); err != nil {
		return err
	}
	if err := mountLayer(vessel.Jail, r.mountPoint, nil); err != nil {
		return failure.Wrap(err, "mount the engine's root")
	}
	r.mounted = append(r.mounted, r.mountPoint)
	return r.mountWork(vessel, filepath.Join(r.mountPoint, plan.WorkName))
}

func (r *Root) mountWork(vessel plan.Vessel, work string) error {
	flags := uintptr(syscall.MS_NOSUID | syscall.MS_NOEXEC)
	if err := syscall.Mount("tmpfs", work, "tmpfs", flags, "mode=755,size=64k"); err != nil {
		return failure.Wrap(err, "mount the engine's files")
	}
	r.mounted = append(r.mounted, work)
	for _, file := range append(vessel.Files, plan.File{From: r.path(), To: ImageName, Writable: true}) {
		if err := r.putFile(file, filepath.Join(work, file.To), vessel.HostID); err != nil {
			return err
		}
	}
	return failure.Wrap(syscall.Mount("", work, "", flags|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""), "close the engine's files")
}

// putFile makes a device, which the engine may use whoever else may, or mounts a file.
func (r *Root) putFile(file plan.File, at string, owner int) error {
	var facts syscall.Stat_t
	if err := syscall.Stat(file.From, &facts); err != nil {
		return failure.Wrap(err, "find "+file.To)
	}
	if facts.Mode&syscall.S_IFMT != syscall.S_IFCHR {
		return r.mountFile(file, at)
	}
	err := syscall.Mknod(at, syscall.S_IFCHR|0o600, int(facts.Rdev))
	if err == nil {
		err = os.Chown(at, owner, owner)
	}
	return failure.Wrap(err, "make the device "+file.To)
}

func (r *Root) mountFile(file plan.File, at string) error {
	point, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return failure.Wrap(err, "make a mount point for "+file.To)
	}
	point.Close()
	source, err := CloneMount(file.From)
	if err != nil {
		return failure.Wrap(err, "find "+file.To)
	}
	defer source.Close()
	attributes := mountAttributes{set: attributeNoSuid}
	if !file.Writable {
		attributes.set |= attributeReadOnly | attributeNoDevice
	}
	if err := setAttributes(source, attributes); err != nil {
		return failure.Wrap(err, "close "+file.To)
	}
	if err := attach(source, at); err != nil {
		return failure.Wrap(err, "mount "+file.To)
	}
	r.mounted = append(r.mounted, at)
	return nil
}

// imageUsage is what the image takes on the host. Bytes.
func (r *Root) imageUsage() (used, total uint64, err error) {
	var facts syscall.Stat_t
	if err := syscall.Stat(r.path(), &facts); err != nil {
		return 0, 0, err
	}
	return min(uint64(facts.Blocks)*512, uint64(facts.Size)), uint64(facts.Size), nil
}
