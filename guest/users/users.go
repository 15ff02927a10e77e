// Package users reads the guest's own user and group files. It uses no name service: the answer is the image's.
package users

import (
	"errors"
	"strconv"
	"strings"
)

// ErrUnknown is answered for a name that no file holds.
var ErrUnknown = errors.New("unknown user")

// maxNameBytes bounds a user's name.
const maxNameBytes = 256

// User is who a process runs as. Groups holds GID first.
type User struct {
	Name   string
	UID    uint32
	GID    uint32
	Groups []uint32
	Home   string
	Shell  string
}

// Lookup finds a user by name, or by number when no user has that name. The answer is the caller's own.
// Root and bare numbers are known in an image without user files too.
func Lookup(name string) (*User, error) {
	if name == "" || strings.ContainsAny(name, ":\n\x00") || len(name) > maxNameBytes {
		return nil, ErrUnknown
	}
	known, err := accounts()
	if err != nil {
		return nil, err
	}
	if found, ok := known.byName[name]; ok {
		return known.withGroups(found), nil
	}
	if number, ok := parseID(name); ok {
		if found, ok := known.byUID[number]; ok {
			return known.withGroups(found), nil
		}
		return unlisted(name, number), nil
	}
	if name == "root" {
		return unlisted(name, 0), nil
	}
	return nil, ErrUnknown
}

// Name answers the name of a user id, or the number when no user has it.
func Name(uid uint32) string {
	if known, err := accounts(); err == nil {
		if found, ok := known.byUID[uid]; ok {
			return found.Name
		}
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// GroupName answers the name of a group id, or the number when no group has it.
func GroupName(gid uint32) string {
	if known, err := accounts(); err == nil {
		if name, ok := known.groupNames[gid]; ok {
			return name
		}
	}
	return strconv.FormatUint(uint64(gid), 10)
}

// Names answers both at once, for listings: the files are looked at once.
func Names() (user, group func(id uint32) string) {
	known, err := accounts()
	if err != nil {
		known = &table{}
	}
	user = func(uid uint32) string {
		if found, ok := known.byUID[uid]; ok {
			return found.Name
		}
		return strconv.FormatUint(uint64(uid), 10)
	}
	group = func(gid uint32) string {
		if name, ok := known.groupNames[gid]; ok {
			return name
		}
		return strconv.FormatUint(uint64(gid), 10)
	}
	return user, group
}

// unlisted answers for what an image without user files still has: root, and bare numbers.
func unlisted(name string, number uint32) *User {
	if number == 0 {
		return &User{Name: "root", Home: "/root", Shell: "/bin/sh", Groups: []uint32{0}}
	}
	return &User{Name: name, UID: number, GID: number, Home: "/", Shell: "/bin/sh", Groups: []uint32{number}}
}
