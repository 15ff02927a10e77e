package filesystem

import (
	"errors"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"cofferdam/guest/users"
)

// entry is an EntryInfo. Bytes of a name that are no UTF-8 are replaced when it becomes JSON.
type entry struct {
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	Path          string            `json:"path"`
	Size          int64             `json:"size,string"`
	Mode          uint32            `json:"mode"`
	Permissions   string            `json:"permissions"`
	Owner         string            `json:"owner"`
	Group         string            `json:"group"`
	ModifiedTime  string            `json:"modifiedTime"`
	SymlinkTarget string            `json:"symlinkTarget,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
}

const (
	typeUnspecified = "FILE_TYPE_UNSPECIFIED"
	typeFile        = "FILE_TYPE_FILE"
	typeDirectory   = "FILE_TYPE_DIRECTORY"
	typeSymlink     = "FILE_TYPE_SYMLINK"
)

// names answers the names of ids.
type names struct{ user, group func(id uint32) string }

func currentNames() names {
	user, group := users.Names()
	return names{user, group}
}

// describe answers what a path is. Type, mode and metadata are those of what a link leads to, the rest is the link's own.
// A link that leads nowhere has the type of a link.
func (n names) describe(at string) (*entry, error) {
	var own syscall.Stat_t
	if err := lstat(at, &own); err != nil {
		return nil, err
	}
	found := &entry{
		Name: path.Base(at), Path: at, Type: typeOf(own.Mode), Size: own.Size, Mode: own.Mode & 0o777,
		Permissions: permissions(own.Mode), Owner: n.user(own.Uid), Group: n.group(own.Gid),
		ModifiedTime: timestamp(own.Mtim),
	}
	kind := own.Mode & syscall.S_IFMT
	if kind == syscall.S_IFLNK {
		found.SymlinkTarget = target(at)
		var led syscall.Stat_t
		if stat(at, &led) == nil {
			kind = led.Mode & syscall.S_IFMT
			found.Type, found.Mode = typeOf(led.Mode), led.Mode&0o777
		}
	}
	if kind == syscall.S_IFREG {
		found.Metadata = metadataOf(at)
	}
	return found, nil
}

// target is where a link leads in the end, or, when that is not there, what it says itself, made absolute.
func target(at string) string {
	if resolved, err := filepath.EvalSymlinks(at); err == nil {
		return resolved
	}
	said, err := readLink(at)
	if err != nil {
		return at
	}
	if !path.IsAbs(said) {
		said = path.Join(path.Dir(at), said)
	}
	return path.Clean(said)
}

func readLink(at string) (string, error) {
	buffer := make([]byte, 4096)
	n, err := syscall.Readlink(at, buffer)
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}

func typeOf(mode uint32) string {
	switch mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return typeFile
	case syscall.S_IFDIR:
		return typeDirectory
	case syscall.S_IFLNK:
		return typeSymlink
	}
	return typeUnspecified
}

// permissions prints a mode as ls does.
func permissions(mode uint32) string {
	text := []byte("?rwxrwxrwx")
	switch mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		text[0] = '-'
	case syscall.S_IFDIR:
		text[0] = 'd'
	case syscall.S_IFLNK:
		text[0] = 'l'
	case syscall.S_IFIFO:
		text[0] = 'p'
	case syscall.S_IFSOCK:
		text[0] = 's'
	case syscall.S_IFCHR:
		text[0] = 'c'
	case syscall.S_IFBLK:
		text[0] = 'b'
	}
	for bit := range 9 {
		if mode&(1<<(8-bit)) == 0 {
			text[1+bit] = '-'
		}
	}
	special(text, 3, mode&syscall.S_ISUID != 0, 's')
	special(text, 6, mode&syscall.S_ISGID != 0, 's')
	special(text, 9, mode&syscall.S_ISVTX != 0, 't')
	return string(text)
}

func special(text []byte, at int, isSet bool, letter byte) {
	if !isSet {
		return
	}
	if text[at] == '-' {
		letter -= 'a' - 'A'
	}
	text[at] = letter
}

// timestamp prints a time as RFC 3339 can: in the years 1 to 9999.
func timestamp(at syscall.Timespec) string {
	const firstSecond, lastSecond = -62_135_596_800, 253_402_300_799
	seconds := min(max(int64(at.Sec), firstSecond), lastSecond)
	return time.Unix(seconds, int64(at.Nsec)).UTC().Format(time.RFC3339Nano)
}

func lstat(at string, into *syscall.Stat_t) error {
	return again(func() error { return syscall.Lstat(at, into) })
}

func stat(at string, into *syscall.Stat_t) error {
	return again(func() error { return syscall.Stat(at, into) })
}

// again repeats what a signal interrupted.
func again(do func() error) error {
	for {
		if err := do(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
