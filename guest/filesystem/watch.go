package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"syscall"

	"cofferdam/guest/connect"
)

// maxWatches bounds the watches of all clients; the kernel has about twice as many queues for a user.
const maxWatches = 64

type watchRequest struct {
	Path         string `json:"path"`
	Recursive    bool   `json:"recursive"`
	IncludeEntry bool   `json:"includeEntry"`
	// AllowNetworkMounts asks for what is always so: a machine has no network mounts.
	AllowNetworkMounts bool `json:"allowNetworkMounts"`
}

type watchMessage struct {
	Filesystem *event `json:"filesystem"`
}

// watchers are the watches in use.
type watchers struct {
	mutex  sync.Mutex
	inUse  int
	polled map[string]*polled
}

func (s *Service) takeWatch() *problem {
	w := &s.watchers
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.inUse >= maxWatches {
		w.endForgotten()
	}
	if w.inUse >= maxWatches {
		return exhausted("more than 64 watches at once")
	}
	w.inUse++
	return nil
}

func (s *Service) giveWatch() {
	s.watchers.mutex.Lock()
	defer s.watchers.mutex.Unlock()
	s.watchers.inUse--
}

// openTree begins a watch; whoever has it closes it and gives it back.
func (s *Service) openTree(call *connect.Call, request *watchRequest) (*tree, *connect.Error) {
	user, at, failure := s.begin(call, request.Path)
	if failure != nil {
		return nil, failure
	}
	if wrong := s.takeWatch(); wrong != nil {
		return nil, wrong.connect()
	}
	t := &tree{
		threads: s.threads, user: user, root: at, isRecursive: request.Recursive, hasEntries: request.IncludeEntry,
	}
	if err := t.open(call.Context); err != nil {
		s.giveWatch()
		if errors.Is(err, syscall.ENOTDIR) {
			return nil, invalid("path '" + at + "' is not a directory").connect()
		}
		return nil, watchEnd(err, at)
	}
	return t, nil
}

func watchEnd(err error, at string) *connect.Error {
	switch {
	case errors.Is(err, errGone):
		return connect.Errorf(connect.NotFound, "'"+at+"': "+errGone.Error())
	case errors.Is(err, errOverflow):
		return connect.Errorf(connect.ResourceExhausted, "'"+at+"': "+errOverflow.Error())
	case errors.Is(err, errTooMany):
		return connect.Errorf(connect.ResourceExhausted, "'"+at+"': "+errTooMany.Error())
	}
	return explain(err, at).connect()
}

// watchDir tells events as they happen. A reader that is slow enough loses the watch, and is told so.
func (s *Service) watchDir(call *connect.Call, request *watchRequest, out *connect.Sender) *connect.Error {
	ctx := call.Context
	if call.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, call.Timeout)
		defer cancel()
		ctx = limited
	}
	t, failure := s.openTree(call, request)
	if failure != nil {
		return failure
	}
	defer s.giveWatch()
	defer t.close()
	defer context.AfterFunc(ctx, t.close)()
	if out.SendRaw([]byte(`{"start":{}}`)) != nil {
		return nil
	}
	feed := collect(ctx, t)
	for range feed.news {
		events, err := feed.take()
		if sendEvents(out, events) != nil {
			return nil
		}
		if err != nil {
			return watchEnd(err, t.root)
		}
	}
	return nil
}

// sendEvents queues all but the last, which pushes them out.
func sendEvents(out *connect.Sender, events []event) error {
	for i := range events {
		body, err := json.Marshal(watchMessage{&events[i]})
		if err != nil {
			return err
		}
		send := out.Queue
		if i == len(events)-1 {
			send = out.SendRaw
		}
		if err := send(body); err != nil {
			return err
		}
	}
	return nil
}
