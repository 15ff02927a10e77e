package filesystem

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"strings"
	"syscall"
	"unsafe"

	"cofferdam/guest/users"
)

const (
	// maxDirectories bounds what one recursive watch watches.
	maxDirectories = 8192
	inotifyBytes   = 64 << 10
	inotifyHead    = 16
	watchedEvents  = syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_MODIFY | syscall.IN_ATTRIB | syscall.IN_MOVED_FROM |
		syscall.IN_MOVED_TO | syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_ONLYDIR | syscall.IN_EXCL_UNLINK
	askQueuedBytes = 0x541b
)

const (
	eventCreate = "EVENT_TYPE_CREATE"
	eventWrite  = "EVENT_TYPE_WRITE"
	eventRemove = "EVENT_TYPE_REMOVE"
	eventRename = "EVENT_TYPE_RENAME"
	eventChmod  = "EVENT_TYPE_CHMOD"
)

// event is a FilesystemEvent; Name is relative to the watched directory, which itself is ".".
type event struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Entry *entry `json:"entry,omitempty"`
}

// Why a watch ends by itself.
var (
	errOverflow = errors.New("events came faster than they were taken, and some are lost")
	errGone     = errors.New("the watched directory is no longer there")
	errTooMany  = errors.New("more directories than can be watched at once")
)

// tree watches a directory, and with recursive all below it, as a user.
type tree struct {
	threads     *threads
	user        *users.User
	root        string
	isRecursive bool
	hasEntries  bool

	queue *os.File
	fd    int
	// directories are the watched ones, relative to the root, which is ".".
	directories map[int32]string
	watches     map[string]int32
	// found are entries that were told of because a new directory was looked into; their own events may be queued still,
	// within so many bytes.
	found      map[string]bool
	foundBytes int
	buffer     []byte
	// settled is the cookie of the latest upload that left its waiting name.
	settled uint32
}

func (t *tree) open(ctx context.Context) error {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return err
	}
	t.fd = fd
	t.queue = os.NewFile(uintptr(fd), "inotify")
	t.directories, t.watches, t.found = map[int32]string{}, map[string]int32{}, map[string]bool{}
	t.buffer = make([]byte, inotifyBytes)
	err = t.threads.as(ctx, t.user, func() error { return t.add(ctx, ".", nil) })
	if err != nil {
		t.close()
	}
	return err
}

// close ends next.
func (t *tree) close() { _ = t.queue.Close() }

func (t *tree) place(relative string) string {
	if relative == "." {
		return t.root
	}
	return join(t.root, relative)
}

// add watches a directory and, in a recursive watch, those below it. tell is given what is in them.
func (t *tree) add(ctx context.Context, relative string, tell func(name string)) error {
	waiting := []string{relative}
	for len(waiting) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		inside, err := t.addOne(next, tell)
		if next != "." && isUnreachable(err) {
			continue
		}
		if err != nil {
			return err
		}
		if waiting = append(waiting, inside...); len(waiting) > maxDirectories {
			return errTooMany
		}
	}
	return nil
}

func (t *tree) addOne(relative string, tell func(name string)) ([]string, error) {
	if len(t.directories) >= maxDirectories {
		return nil, errTooMany
	}
	mask, flags := uint32(watchedEvents), 0
	if relative != "." {
		mask, flags = mask|syscall.IN_DONT_FOLLOW, syscall.O_NOFOLLOW
	}
	// Opened first: gVisor lets anybody watch what he may not read.
	opened, err := openDirectory(t.place(relative), flags)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	watch, err := syscall.InotifyAddWatch(t.fd, t.place(relative), mask)
	if errors.Is(err, syscall.ENOSPC) {
		return nil, errTooMany
	}
	if err != nil {
		return nil, err
	}
	t.directories[int32(watch)], t.watches[relative] = relative, int32(watch)
	if !t.isRecursive {
		return nil, nil
	}
	return inside(opened, relative, tell)
}

// inside answers the directories in one, and tells of all that is there.
func inside(opened *os.File, relative string, tell func(name string)) ([]string, error) {
	var directories []string
	for {
		some, err := opened.ReadDir(512)
		for _, each := range some {
			name := path.Join(relative, each.Name())
			if tell != nil {
				tell(name)
			}
			if each.IsDir() {
				directories = append(directories, name)
			}
		}
		if isEnd(some, err) || len(directories) > maxDirectories {
			return directories, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// drop forgets a directory that was moved away, with all below it.
func (t *tree) drop(relative string) {
	for name, watch := range t.watches {
		if name == relative || strings.HasPrefix(name, relative+"/") {
			_, _ = syscall.InotifyRmWatch(t.fd, uint32(watch))
			delete(t.watches, name)
			delete(t.directories, watch)
		}
	}
}

// next waits for events. With an error they are the last ones.
func (t *tree) next(ctx context.Context) ([]event, error) {
	n, err := t.queue.Read(t.buffer)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	batch := &batch{tree: t, ctx: ctx, last: map[string]string{}}
	err = batch.take(t.buffer[:n])
	if t.hasEntries && len(batch.events) > 0 {
		err = errors.Join(err, t.threads.as(ctx, t.user, func() error {
			batch.describe()
			return nil
		}))
	}
	t.forgetFound(n)
	return batch.events, err
}

// forgetFound drops what was found in new directories once all that was queued then is read.
func (t *tree) forgetFound(read int) {
	if t.foundBytes -= read; t.foundBytes <= 0 {
		clear(t.found)
		t.foundBytes = 0
	}
}

// queuedBytes answers how much the kernel holds for the next reads.
func (t *tree) queuedBytes() int {
	var queued int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(t.fd), askQueuedBytes, uintptr(unsafe.Pointer(&queued)))
	if errno != 0 {
		return inotifyBytes
	}
	return int(queued)
}

// batch is what one read of the queue says.
type batch struct {
	tree   *tree
	ctx    context.Context
	events []event
	// last is the newest type told of each name: the same again says nothing new.
	last map[string]string
}

func (b *batch) tell(name, kind string) {
	if b.last[name] == kind {
		return
	}
	b.last[name] = kind
	b.events = append(b.events, event{Name: name, Type: kind})
}

func (b *batch) take(raw []byte) error {
	for len(raw) >= inotifyHead {
		watch := int32(binary.NativeEndian.Uint32(raw))
		mask := binary.NativeEndian.Uint32(raw[4:])
		cookie := binary.NativeEndian.Uint32(raw[8:])
		length := int(binary.NativeEndian.Uint32(raw[12:]))
		if length > len(raw)-inotifyHead {
			return errOverflow
		}
		name, _, _ := strings.Cut(string(raw[inotifyHead:inotifyHead+length]), "\x00")
		raw = raw[inotifyHead+length:]
		if mask&syscall.IN_Q_OVERFLOW != 0 {
			return errOverflow
		}
		directory, isKnown := b.tree.directories[watch]
		if !isKnown {
			continue
		}
		if name == "" {
			if err := b.aboutDirectory(watch, directory, mask); err != nil {
				return err
			}
			continue
		}
		if b.isUpload(path.Join(directory, name), mask, cookie) {
			continue
		}
		if err := b.aboutEntry(path.Join(directory, name), mask); err != nil {
			return err
		}
	}
	return nil
}

// isUpload takes what the agent's own uploads do: content that waits is nobody's, and taking a file's place is a write.
func (b *batch) isUpload(name string, mask, cookie uint32) bool {
	if isAside(name) {
		if mask&syscall.IN_MOVED_FROM != 0 {
			b.tree.settled = cookie
		}
		return true
	}
	if mask&syscall.IN_MOVED_TO == 0 || cookie == 0 || cookie != b.tree.settled {
		return false
	}
	b.tree.settled = 0
	b.tell(name, eventWrite)
	return true
}

// aboutDirectory takes what a watched directory says of itself; its parent tells the rest.
func (b *batch) aboutDirectory(watch int32, directory string, mask uint32) error {
	isOver := mask&(syscall.IN_DELETE_SELF|syscall.IN_UNMOUNT|syscall.IN_IGNORED) != 0
	if directory != "." {
		if isOver {
			delete(b.tree.directories, watch)
			if b.tree.watches[directory] == watch {
				delete(b.tree.watches, directory)
			}
		}
		return nil
	}
	if mask&syscall.IN_MOVE_SELF != 0 {
		b.tell(".", eventRename)
		return errGone
	}
	if isOver {
		b.tell(".", eventRemove)
		return errGone
	}
	return nil
}

func (b *batch) aboutEntry(name string, mask uint32) error {
	isTree := b.tree.isRecursive && mask&syscall.IN_ISDIR != 0
	switch {
	case mask&syscall.IN_CREATE != 0:
		if b.tree.found[name] {
			delete(b.tree.found, name)
			return nil
		}
		b.tell(name, eventCreate)
		if isTree {
			return b.look(name, b.find)
		}
	case mask&syscall.IN_MOVED_TO != 0:
		b.tell(name, eventCreate)
		if isTree {
			return b.look(name, nil)
		}
	case mask&syscall.IN_MOVED_FROM != 0:
		b.tell(name, eventRename)
		if isTree {
			b.tree.drop(name)
		}
	case mask&syscall.IN_DELETE != 0:
		delete(b.tree.found, name)
		b.tell(name, eventRemove)
	case mask&syscall.IN_MODIFY != 0:
		b.tell(name, eventWrite)
	case mask&syscall.IN_ATTRIB != 0:
		b.tell(name, eventChmod)
	}
	return nil
}

// look takes a new directory into the watch, with what came into it before that.
func (b *batch) look(name string, tell func(name string)) error {
	err := b.tree.threads.as(b.ctx, b.tree.user, func() error { return b.tree.add(b.ctx, name, tell) })
	if isUnreachable(err) {
		return nil
	}
	return err
}

// find tells of an entry whose own event may come still.
func (b *batch) find(name string) {
	if len(b.tree.found) >= maxDirectories {
		return
	}
	if b.tree.found[name] {
		return
	}
	b.tree.found[name] = true
	b.tree.foundBytes = b.tree.queuedBytes() + inotifyBytes
	b.tell(name, eventCreate)
}

func (b *batch) describe() {
	names := currentNames()
	for i := range b.events {
		one := &b.events[i]
		if one.Type == eventRemove || one.Type == eventRename {
			continue
		}
		if found, err := names.describe(b.tree.place(one.Name)); err == nil {
			one.Entry = found
		}
	}
}
