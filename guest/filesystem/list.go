package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"syscall"

	"cofferdam/guest/connect"
)

// A listing is refused when it has more entries, or more bytes as JSON.
const (
	maxEntries      = 100_000
	maxListingBytes = 15 << 20
)

type listRequest struct {
	Path  string `json:"path"`
	Depth int    `json:"depth"`
}

// listing is a ListDirResponse that was made JSON entry by entry, so that a large one is held once.
type listing struct{ body []byte }

func (l *listing) MarshalJSON() ([]byte, error) { return l.body, nil }

func (s *Service) listDir(call *connect.Call, request *listRequest) (*listing, *connect.Error) {
	user, at, failure := s.begin(call, request.Path)
	if failure != nil {
		return nil, failure
	}
	if request.Depth < 0 {
		return nil, invalid("depth: expected a number from 0").connect()
	}
	walk := &walk{ctx: call.Context, names: currentNames(), root: at, body: []byte(`{"entries":[`)}
	err := s.threads.as(call.Context, user, func() error { return walk.below(at, max(request.Depth, 1), 0) })
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, invalid("path '" + at + "' is not a directory").connect()
	}
	if err != nil {
		return nil, explain(err, at).connect()
	}
	return &listing{append(walk.body, "]}"...)}, nil
}

// walk lists directories, each before what is in it, by name.
type walk struct {
	ctx     context.Context
	names   names
	root    string
	body    []byte
	entries int
}

func (w *walk) below(directory string, depth, flags int) error {
	inside, err := w.read(directory, flags)
	if err != nil {
		return err
	}
	for _, name := range inside {
		if err := w.one(join(directory, name), depth); err != nil {
			return err
		}
	}
	return nil
}

// one lists an entry and what is below it. What vanished meanwhile or may not be looked into is left out.
func (w *walk) one(at string, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	found, err := w.names.describe(at)
	if isUnreachable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.add(found); err != nil {
		return err
	}
	if depth <= 1 || found.Type != typeDirectory || found.SymlinkTarget != "" {
		return nil
	}
	err = w.below(at, depth-1, syscall.O_NOFOLLOW)
	if isUnreachable(err) {
		return nil
	}
	return err
}

func (w *walk) add(found *entry) error {
	encoded, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if w.entries > 0 {
		w.body = append(w.body, ',')
	}
	w.body = append(w.body, encoded...)
	w.entries++
	if w.entries > maxEntries || len(w.body) > maxListingBytes {
		return w.tooLarge()
	}
	return nil
}

func (w *walk) tooLarge() error {
	return exhausted("path '" + w.root + "' has more than " + strconv.Itoa(maxEntries) +
		" entries, or they take more than 15 MiB; list a part of it, or less deep")
}

// read answers the names in a directory, sorted.
func (w *walk) read(directory string, flags int) ([]string, error) {
	opened, err := openDirectory(directory, flags)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	var all []string
	for {
		some, err := opened.Readdirnames(1024)
		all = append(all, some...)
		if w.entries+len(all) > maxEntries {
			return nil, w.tooLarge()
		}
		if isEnd(some, err) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

func isUnreachable(err error) bool {
	for _, each := range []syscall.Errno{
		syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ESTALE,
	} {
		if errors.Is(err, each) {
			return true
		}
	}
	return false
}

func join(directory, name string) string {
	if directory == "/" {
		return "/" + name
	}
	return directory + "/" + name
}
