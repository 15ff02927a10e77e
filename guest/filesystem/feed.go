package filesystem

import (
	"context"
	"sync"
)

// maxWaitingEvents is how many events wait for whoever takes them. gVisor's own queue has no bound.
const maxWaitingEvents = 8192

// feed keeps the events of a tree until they are taken. It fails when it is full.
type feed struct {
	tree *tree
	// news holds one token when there is something to take.
	news chan struct{}

	mutex   sync.Mutex
	events  []event
	failure error
}

// collect fills a feed until its tree is closed or fails.
func collect(ctx context.Context, t *tree) *feed {
	f := &feed{tree: t, news: make(chan struct{}, 1)}
	go func() {
		defer t.close()
		for f.add(t.next(ctx)) {
		}
	}()
	return f
}

func (f *feed) add(events []event, err error) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if room := maxWaitingEvents - len(f.events); len(events) > room {
		events, err = events[:room], errOverflow
	}
	f.events = append(f.events, events...)
	f.failure = err
	select {
	case f.news <- struct{}{}:
	default:
	}
	return err == nil
}

// take answers what waits, and how the tree ended if it has.
func (f *feed) take() ([]event, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	events := f.events
	f.events = nil
	return events, f.failure
}
