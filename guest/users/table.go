package users

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// What is read of a user or group file is bounded; the guest may have written it.
const (
	maxFileBytes  = 1 << 20
	maxEntries    = 16_384
	maxGroupsUser = 1024
)

const (
	passwdPath = "/etc/passwd"
	groupPath  = "/etc/group"
)

// table is what the two files say.
type table struct {
	byName     map[string]*User
	byUID      map[uint32]*User
	groupNames map[uint32]string
	memberOf   map[string][]uint32
}

// stamp tells one state of a file from another.
type stamp struct {
	device, inode  uint64
	size           int64
	modifiedNanos  int64
	changedNanos   int64
	presentRegular bool
}

var cache struct {
	sync.Mutex
	passwd, group stamp
	known         *table
}

// accounts answers the table of the files as they are now. It parses them again only after a change.
func accounts() (*table, error) {
	cache.Lock()
	defer cache.Unlock()
	passwd, group := stampOf(passwdPath), stampOf(groupPath)
	if cache.known != nil && passwd == cache.passwd && group == cache.group {
		return cache.known, nil
	}
	passwdBytes, err := readBounded(passwdPath)
	if err != nil {
		return nil, err
	}
	groupBytes, err := readBounded(groupPath)
	if err != nil {
		return nil, err
	}
	cache.known, cache.passwd, cache.group = parse(passwdBytes, groupBytes), passwd, group
	return cache.known, nil
}

func stampOf(path string) stamp {
	var stat syscall.Stat_t
	if syscall.Stat(path, &stat) != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return stamp{}
	}
	return stamp{
		device: uint64(stat.Dev), inode: stat.Ino, size: stat.Size, presentRegular: true,
		modifiedNanos: stat.Mtim.Nano(), changedNanos: stat.Ctim.Nano(),
	}
}

// readBounded answers the beginning of a regular file; of anything else, nothing.
func readBounded(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, maxFileBytes))
}

func parse(passwd, group []byte) *table {
	known := &table{
		byName: map[string]*User{}, byUID: map[uint32]*User{},
		groupNames: map[uint32]string{}, memberOf: map[string][]uint32{},
	}
	eachLine(passwd, 7, known.addUser)
	eachLine(group, 4, known.addGroup)
	return known
}

func (t *table) addUser(fields []string) {
	uid, uidOK := parseID(fields[2])
	gid, gidOK := parseID(fields[3])
	if !uidOK || !gidOK || fields[0] == "" || len(t.byName) >= maxEntries {
		return
	}
	user := &User{Name: fields[0], UID: uid, GID: gid, Home: homeOf(fields[5]), Shell: fields[6]}
	if _, taken := t.byName[user.Name]; !taken {
		t.byName[user.Name] = user
	}
	if _, taken := t.byUID[user.UID]; !taken {
		t.byUID[user.UID] = user
	}
}

// parseID reads an id. The highest number is none: to the kernel it means "leave as it is", which here is root.
func parseID(field string) (uint32, bool) {
	number, err := strconv.ParseUint(field, 10, 32)
	return uint32(number), err == nil && number != 1<<32-1
}

// homeOf keeps homes absolute: a relative one would begin wherever the agent happens to be.
func homeOf(field string) string {
	if !strings.HasPrefix(field, "/") {
		return "/"
	}
	return field
}

func (t *table) addGroup(fields []string) {
	gid, ok := parseID(fields[2])
	if !ok || fields[0] == "" || len(t.groupNames) >= maxEntries {
		return
	}
	if _, taken := t.groupNames[gid]; !taken {
		t.groupNames[gid] = fields[0]
	}
	for _, member := range strings.Split(fields[3], ",") {
		if member != "" && len(t.memberOf[member]) < maxGroupsUser {
			t.memberOf[member] = append(t.memberOf[member], gid)
		}
	}
}

func (t *table) withGroups(user *User) *User {
	found := *user
	found.Groups = []uint32{user.GID}
	for _, gid := range t.memberOf[user.Name] {
		if gid != user.GID {
			found.Groups = append(found.Groups, gid)
		}
	}
	return &found
}

// eachLine gives the lines that have enough fields.
func eachLine(content []byte, enough int, take func(fields []string)) {
	for len(content) > 0 {
		line, rest, _ := bytes.Cut(content, []byte("\n"))
		content = rest
		if fields := strings.Split(string(line), ":"); len(fields) >= enough {
			take(fields)
		}
	}
}
