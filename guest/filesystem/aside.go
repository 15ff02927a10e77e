package filesystem

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// asidePrefix begins the names under which new content waits until it is whole.
const asidePrefix = ".cofferdam-upload-"

func isAside(name string) bool { return strings.HasPrefix(path.Base(name), asidePrefix) }

// openAside opens a new file beside an existing one, which it takes the place of when it is whole; so a failed upload
// leaves the old content. Nil where that would change more than the content: another owner, a second name, a
// directory in which the user may not write.
func openAside(at string, own *syscall.Stat_t, metadata map[string]string) (*destination, error) {
	euid := syscall.Geteuid()
	if own.Nlink != 1 || (euid != 0 && uint32(euid) != own.Uid) {
		return nil, nil
	}
	target, err := lastLink(at)
	if err != nil {
		return nil, err
	}
	name, err := asideName(target)
	if err != nil {
		return nil, err
	}
	file, err := openFile(name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, fileMode)
	if err != nil {
		return nil, nil
	}
	opened := &destination{file: file, isNew: true, at: name, replaces: target}
	if err := takeAfter(file, own); err != nil {
		return nil, opened.abandon()
	}
	var aside syscall.Stat_t
	err = syscall.Fstat(int(file.Fd()), &aside)
	opened.device, opened.inode = uint64(aside.Dev), aside.Ino
	if err == nil {
		err = replaceMetadata(int(file.Fd()), metadata, at)
	}
	if err != nil {
		_ = opened.abandon()
		return nil, err
	}
	return opened, nil
}

// takeAfter gives a new file the owner and the mode of the one that it will replace.
func takeAfter(file *os.File, own *syscall.Stat_t) error {
	var aside syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &aside); err != nil {
		return err
	}
	if aside.Uid != own.Uid || aside.Gid != own.Gid {
		if err := syscall.Fchown(int(file.Fd()), int(own.Uid), int(own.Gid)); err != nil {
			return err
		}
	}
	if aside.Mode&0o777 == own.Mode&0o777 {
		return nil
	}
	return syscall.Fchmod(int(file.Fd()), own.Mode&0o777)
}

// lastLink follows a path to the file itself where its last part is a link.
func lastLink(at string) (string, error) {
	var there syscall.Stat_t
	if err := lstat(at, &there); err != nil {
		return "", err
	}
	if there.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		return at, nil
	}
	return filepath.EvalSymlinks(at)
}

func asideName(target string) (string, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	return path.Join(path.Dir(target), asidePrefix+hex.EncodeToString(random[:])), nil
}

// abandon closes and removes what was begun.
func (d *destination) abandon() error {
	_ = d.file.Close()
	return syscall.Unlink(d.at)
}

// settle puts whole content in its place.
func (d *destination) settle() error {
	if d.replaces == "" {
		return nil
	}
	return syscall.Rename(d.at, d.replaces)
}
