package filesystem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cofferdam/supervisor/failure"
	"cofferdam/supervisor/plan"
)

// Below the machine's directory; ImageName is the writable layer's image.
const (
	ImageName = "disk.img"
	// nextName is the image of a machine that is being resumed, as long as it may still turn out that it cannot be.
	nextName   = "next.img"
	diskName   = "disk"
	layersName = "layers"
	// userNamespaceName is where the runtime finds the machine's user namespace.
	userNamespaceName = "userns"
)

// Root is a machine's mounted root. All of it is used on the thread that has the mount namespace, whose working
// directory is the machine's: relative paths need no escaping in mount options.
type Root struct {
	directory  string
	mountPoint string
	// image is the disk's, in the directory.
	image string
	loop  *Loop
	// inside says that the disk is mounted by the machine's own kernel.
	inside bool
	// disk is open while the writable layer is mounted.
	disk *os.File
	// mounted lists what to unmount, last first.
	mounted []string
}

// NewRoot describes a root that is not there yet.
func NewRoot(directory, mountPoint string) *Root {
	return &Root{directory: directory, mountPoint: mountPoint, image: ImageName}
}

// CopyDisk makes the writable layer's image. It needs no mount namespace.
func (r *Root) CopyDisk(disk plan.Disk) error {
	if disk.Digest != "" {
		return copyVerified(disk.Blank, r.path(), disk.Digest)
	}
	return failure.Wrap(CopySparse(disk.Blank, r.path(), disk.SizeMiB<<20), "make the disk")
}

// TakeDisk makes an image of the one that a paused machine has kept, which stays as it is until Settle.
func (r *Root) TakeDisk(digest string) error {
	kept := r.path()
	r.image = nextName
	return copyVerified(kept, r.path(), digest)
}

// CopyTo copies the image, which must not change meanwhile.
func (r *Root) CopyTo(target string) error {
	info, err := os.Stat(r.path())
	if err == nil {
		err = CopySparse(r.path(), target, info.Size())
	}
	return failure.Wrap(err, "copy the disk")
}

// Settle gives the image its name, in place of the one that was kept.
func (r *Root) Settle() error {
	settled := filepath.Join(r.directory, ImageName)
	if err := os.Rename(r.path(), settled); err != nil {
		return failure.Wrap(err, "take the disk")
	}
	r.image = ImageName
	if r.loop != nil {
		r.loop.image = settled
	}
	return nil
}

func (r *Root) path() string { return filepath.Join(r.directory, r.image) }

// AttachDisk makes a block device of the image. It needs no mount namespace.
func (r *Root) AttachDisk() error {
	loop, err := AttachLoop(r.path())
	r.loop = loop
	return failure.Wrap(err, "attach the disk")
}

// MountDisk mounts the writable layer. With a user namespace, the image holds the machine's own ids, whatever those are on
// this host, so that an image fits any machine.
func (r *Root) MountDisk(userNamespace *os.File) error {
	if err := os.MkdirAll(diskName, 0o711); err != nil {
		return failure.Wrap(err, "make the disk's mount point")
	}
	options := "noinit_itable,nobarrier"
	if err := syscall.Mount(r.loop.Path(), diskName, "ext4", syscall.MS_NODEV|syscall.MS_NOSUID|syscall.MS_NOATIME, options); err != nil {
		return failure.Wrap(err, "mount the disk")
	}
	r.mounted = append(r.mounted, diskName)
	r.loop.Release()
	for _, name := range []string{"upper", "work"} {
		path := filepath.Join(diskName, name)
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err := errors.Join(err, os.Chmod(path, 0o755)); err != nil {
			return failure.Wrap(err, "prepare the disk")
		}
	}
	// The mark of an overlay that does not flush for itself. What a pause or snapshot keeps was flushed.
	if err := os.RemoveAll(filepath.Join(diskName, "work", "work", "incompat")); err != nil {
		return failure.Wrap(err, "prepare the disk")
	}
	if userNamespace != nil {
		if err := mapMount(diskName, userNamespace); err != nil {
			return failure.Wrap(err, "map the disk's ids")
		}
	}
	disk, err := os.Open(diskName)
	r.disk = disk
	return failure.Wrap(err, "open the disk")
}

// MountLayers makes the read-only layers reachable.
func (r *Root) MountLayers(lower []string, userNamespace *os.File) error {
	for index, source := range lower {
		at := filepath.Join(layersName, strconv.Itoa(index))
		if err := os.MkdirAll(at, 0o711); err != nil {
			return failure.Wrap(err, "make a layer's mount point")
		}
		if err := mountLayer(source, at, userNamespace); err != nil {
			return failure.Wrap(err, "mount a layer")
		}
		r.mounted = append(r.mounted, at)
	}
	return nil
}

// MountUserNamespace gives the machine's user namespace a path, by which the runtime joins it.
func (r *Root) MountUserNamespace(namespace *os.File) error {
	file, err := os.OpenFile(userNamespaceName, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return failure.Wrap(err, "make the user namespace's mount point")
	}
	file.Close()
	source := "/proc/self/fd/" + strconv.Itoa(int(namespace.Fd()))
	if err := syscall.Mount(source, userNamespaceName, "", syscall.MS_BIND, ""); err != nil {
		return failure.Wrap(err, "mount the user namespace")
	}
	r.mounted = append(r.mounted, userNamespaceName)
	return nil
}

// MountOverlay puts it all together at the mount point.
func (r *Root) MountOverlay(layers int, mapped bool) error {
	if err := r.makeMountPoint(mapped); err != nil {
		return err
	}
	lower := make([]string, layers)
	for index := range lower {
		lower[index] = filepath.Join(layersName, strconv.Itoa(index))
	}
	options := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + diskName + "/upper,workdir=" + diskName + "/work" +
		",redirect_dir=on,metacopy=off,index=off,volatile"
	err := syscall.Mount("overlay", r.mountPoint, "overlay", syscall.MS_NODEV|syscall.MS_NOSUID, options)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENODEV) {
		return failure.New(failure.Unsupported, "this kernel cannot make the overlay: %v", err).
			WithMend("use Linux 5.19 or newer with overlayfs")
	}
	if err != nil {
		return failure.Wrap(err, "mount the overlay")
	}
	r.mounted = append(r.mounted, r.mountPoint)
	return nil
}

// makeMountPoint makes sure that the mount point is there and that a mapped root, who owns nothing on the host, gets to it.
func (r *Root) makeMountPoint(mapped bool) error {
	if err := os.MkdirAll(r.mountPoint, 0o755); err != nil {
		return failure.Wrap(err, "make the mount point")
	}
	if !mapped {
		return nil
	}
	for path := filepath.Dir(r.mountPoint); ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return failure.Wrap(err, "look at the mount point")
		}
		if info.Mode().Perm()&1 == 0 {
			return failure.New(failure.Invalid, "%s lets nobody through to the mount point %s", path, r.mountPoint).
				WithField("root.mountPoint")
		}
		if path == "/" {
			return nil
		}
	}
}

// Usage of the writable layer. Bytes.
func (r *Root) Usage() (used, total uint64, err error) {
	if r.inside {
		return r.imageUsage()
	}
	if r.disk == nil {
		return 0, 0, os.ErrClosed
	}
	var figures syscall.Statfs_t
	if err := syscall.Fstatfs(int(r.disk.Fd()), &figures); err != nil {
		return 0, 0, err
	}
	size := uint64(figures.Bsize)
	return (figures.Blocks - figures.Bfree) * size, figures.Blocks * size, nil
}

// Unmount takes everything off again. It may be called at any stage, and again.
func (r *Root) Unmount() error {
	if r.disk != nil {
		forgetChanges(r.disk)
		r.disk.Close()
		r.disk = nil
	}
	var problems []error
	for len(r.mounted) > 0 {
		last := r.mounted[len(r.mounted)-1]
		if err := unmount(last); err != nil {
			problems = append(problems, fmt.Errorf("unmount %s: %w", last, err))
		}
		r.mounted = r.mounted[:len(r.mounted)-1]
	}
	return errors.Join(problems...)
}

func unmount(path string) error {
	const detach = 2
	err := syscall.Unmount(path, 0)
	if errors.Is(err, syscall.EBUSY) {
		err = syscall.Unmount(path, detach)
	}
	// Somebody else has unmounted it, or removed the directory with it.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Detach waits until the block device is free again.
func (r *Root) Detach(patience time.Duration) error {
	if r.loop == nil {
		return nil
	}
	err := r.loop.Detached(patience)
	r.loop = nil
	return err
}
