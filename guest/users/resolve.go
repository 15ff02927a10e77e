package users

import (
	"errors"
	"path"
	"strings"
)

// maxPathBytes is the kernel's limit for a path, with its closing NUL.
const maxPathBytes = 4096

// The ways in which text is no path.
var (
	ErrPathNul  = errors.New("a path holds a NUL byte")
	ErrPathLong = errors.New("a path is longer than 4095 bytes")
)

// Resolve makes a path absolute and plain. Relative ones begin at the user's home, or at workdir when it is set;
// `~` and `~/x` are the home; the empty path is where relative ones begin. It follows no link and asks no file system.
func Resolve(name string, user *User, workdir string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", ErrPathNul
	}
	resolved := name
	switch {
	case name == "~":
		resolved = user.Home
	case strings.HasPrefix(name, "~/"):
		resolved = user.Home + "/" + name[2:]
	case !strings.HasPrefix(name, "/"):
		resolved = start(user, workdir) + "/" + name
	}
	if len(resolved) >= maxPathBytes {
		return "", ErrPathLong
	}
	return path.Clean("/" + resolved), nil
}

func start(user *User, workdir string) string {
	switch {
	case workdir == "" || workdir == "~":
		return user.Home
	case strings.HasPrefix(workdir, "~/"):
		return user.Home + "/" + workdir[2:]
	case !strings.HasPrefix(workdir, "/"):
		return user.Home + "/" + workdir
	}
	return workdir
}
