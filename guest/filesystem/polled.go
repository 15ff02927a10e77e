package filesystem

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"cofferdam/guest/connect"
)

// forgottenAfter is when a watch that nobody asks may give its place to another.
const forgottenAfter = 10 * time.Minute

// polled is a watch whose events wait until they are asked for.
type polled struct {
	feed    *feed
	askedAt time.Time
}

type watcherRequest struct {
	WatcherID string `json:"watcherId"`
}

type eventsResponse struct {
	Events []event `json:"events"`
}

func (s *Service) createWatcher(call *connect.Call, request *watchRequest) (*watcherRequest, *connect.Error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, connect.Errorf(connect.Internal, "no random numbers")
	}
	t, failure := s.openTree(call, request)
	if failure != nil {
		return nil, failure
	}
	id := hex.EncodeToString(random[:])
	one := &polled{feed: collect(context.Background(), t), askedAt: time.Now()}
	w := &s.watchers
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.polled == nil {
		w.polled = map[string]*polled{}
	}
	w.polled[id] = one
	return &watcherRequest{id}, nil
}

// watcherEvents answers what waits. A watch that failed says so once its events are taken.
func (s *Service) watcherEvents(_ *connect.Call, request *watcherRequest) (*eventsResponse, *connect.Error) {
	w := &s.watchers
	w.mutex.Lock()
	defer w.mutex.Unlock()
	one, isKnown := w.polled[request.WatcherID]
	if !isKnown {
		return nil, connect.Errorf(connect.NotFound, "watcher '"+request.WatcherID+"' does not exist")
	}
	one.askedAt = time.Now()
	events, err := one.feed.take()
	if len(events) == 0 && err != nil {
		return nil, watchEnd(err, one.feed.tree.root)
	}
	if events == nil {
		events = []event{}
	}
	return &eventsResponse{events}, nil
}

func (s *Service) removeWatcher(_ *connect.Call, request *watcherRequest) (*empty, *connect.Error) {
	w := &s.watchers
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if !w.end(request.WatcherID) {
		return nil, connect.Errorf(connect.NotFound, "watcher '"+request.WatcherID+"' does not exist")
	}
	return &empty{}, nil
}

// end closes a watch; the caller holds the mutex.
func (w *watchers) end(id string) bool {
	one, isKnown := w.polled[id]
	if !isKnown {
		return false
	}
	one.feed.tree.close()
	delete(w.polled, id)
	w.inUse--
	return true
}

// endForgotten closes the watches that nobody asked for long; the caller holds the mutex.
func (w *watchers) endForgotten() {
	for id, one := range w.polled {
		if time.Since(one.askedAt) > forgottenAfter {
			w.end(id)
		}
	}
}
