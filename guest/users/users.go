// Package users reads the guest's own user and group files. It uses no name service: the answer is the image's.
package users

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxFileBytes bounds what is read of a user or group file; the guest may have written it.
const maxFileBytes = 1 << 20

// ErrUnknown is answered for a name that no file holds.
var ErrUnknown = errors.New("unknown user")

// User is who a process runs as.
type User struct {
	Name   string
	UID    uint32
	GID    uint32
	Groups []uint32
	Home   string
	Shell  string
}

// Lookup finds a user by name, or by number when no user has that name.
func Lookup(name string) (*User, error) {
	if name == "" || strings.ContainsAny(name, ":\n\x00") || len(name) > 256 {
		return nil, ErrUnknown
	}
	number, numberErr := strconv.ParseUint(name, 10, 32)
	var byNumber *User
	var byName *User
	err := eachLine("/etc/passwd", func(fields []string) bool {
		if len(fields) < 7 {
			return true
		}
		uid, uidErr := strconv.ParseUint(fields[2], 10, 32)
		gid, gidErr := strconv.ParseUint(fields[3], 10, 32)
		if uidErr != nil || gidErr != nil {
			return true
		}
		found := &User{Name: fields[0], UID: uint32(uid), GID: uint32(gid), Home: fields[5], Shell: fields[6]}
		if fields[0] == name {
			byName = found
			return false
		}
		if numberErr == nil && uid == number && byNumber == nil {
			byNumber = found
		}
		return true
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	found := byName
	if found == nil {
		found = byNumber
	}
	if found == nil {
		return unlisted(name, numberErr == nil, uint32(number))
	}
	found.Groups = groupsOf(found)
	return found, nil
}

// unlisted answers for what an image without user files still has: root, and bare numbers.
func unlisted(name string, numeric bool, number uint32) (*User, error) {
	if name == "root" || (numeric && number == 0) {
		return &User{Name: "root", Home: "/root", Shell: "/bin/sh", Groups: []uint32{0}}, nil
	}
	if numeric {
		return &User{Name: name, UID: number, GID: number, Home: "/", Shell: "/bin/sh", Groups: []uint32{number}}, nil
	}
	return nil, ErrUnknown
}

func groupsOf(user *User) []uint32 {
	groups := []uint32{user.GID}
	_ = eachLine("/etc/group", func(fields []string) bool {
		if len(fields) < 4 || len(groups) > 1024 {
			return true
		}
		for _, member := range strings.Split(fields[3], ",") {
			if member != user.Name {
				continue
			}
			if gid, err := strconv.ParseUint(fields[2], 10, 32); err == nil && uint32(gid) != user.GID {
				groups = append(groups, uint32(gid))
			}
		}
		return true
	})
	return groups
}

func eachLine(path string, take func(fields []string) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, maxFileBytes))
	for lines.Scan() {
		if !take(strings.Split(lines.Text(), ":")) {
			return nil
		}
	}
	return nil
}
