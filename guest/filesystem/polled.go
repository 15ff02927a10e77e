package filesystem

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"cofferdam/guest/connect"
)

const (
	// maxPolledEvents is how many events wait for a client that asks for them.
	maxPolledEvents = 8192
	// forgottenAfter is when a watch that nobody asks may give its place to another.
	forgottenAfter = 10 * time.Minute
)

// polled is a watch whose events wait until they are asked for.
type polled struct {
	tree *tree

	mutex   sync.Mutex
	events  []event
	failure *connect.Error
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
	one := &polled{tree: t, askedAt: time.Now()}
	w := &s.watchers
	w.mutex.Lock()
	if w.polled == nil {
		w.polled = map[string]*polled{}
	}
	w.polled[id] = one
	w.mutex.Unlock()
	go one.collect()
	return &watcherRequest{id}, nil
}

// collect keeps events until the watch is removed or fails.
func (p *polled) collect() {
	defer p.tree.close()
	for {
		events, err := p.tree.next(context.Background())
		p.mutex.Lock()
		if err == nil && len(p.events)+len(events) > maxPolledEvents {
			err = errOverflow
			events = events[:maxPolledEvents-len(p.events)]
		}
		p.events = append(p.events, events...)
		if err != nil {
			p.failure = watchEnd(err, p.tree.root)
		}
		p.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

// watcherEvents answers what waits. A watch that failed says so once its events are taken.
func (s *Service) watcherEvents(_ *connect.Call, request *watcherRequest) (*eventsResponse, *connect.Error) {
	s.watchers.mutex.Lock()
	one, isKnown := s.watchers.polled[request.WatcherID]
	s.watchers.mutex.Unlock()
	if !isKnown {
		return nil, connect.Errorf(connect.NotFound, "watcher '"+request.WatcherID+"' does not exist")
	}
	one.mutex.Lock()
	defer one.mutex.Unlock()
	one.askedAt = time.Now()
	if len(one.events) == 0 && one.failure != nil {
		return nil, one.failure
	}
	response := &eventsResponse{Events: one.events}
	if response.Events == nil {
		response.Events = []event{}
	}
	one.events = nil
	return response, nil
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
	one.tree.close()
	delete(w.polled, id)
	w.inUse--
	return true
}

// endForgotten closes the watches that nobody asked for long; the caller holds the mutex.
func (w *watchers) endForgotten() {
	for id, one := range w.polled {
		one.mutex.Lock()
		isForgotten := time.Since(one.askedAt) > forgottenAfter
		one.mutex.Unlock()
		if isForgotten {
			w.end(id)
		}
	}
}
