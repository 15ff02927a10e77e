package socket

import (
	"net"
	"os"
	"sync"
	"time"
)

// side is one direction of a connection.
type side struct {
	// ready holds a word that it may be tried again.
	ready chan struct{}
	mutex *sync.Mutex
	timer *time.Timer
	// expired is closed when the deadline is over.
	expired chan struct{}
}

func newSide() side {
	return side{ready: make(chan struct{}, 1), mutex: &sync.Mutex{}, expired: make(chan struct{})}
}

func (s *side) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// wait waits until it may be tried again.
func (s *side) wait(over <-chan struct{}) error {
	s.mutex.Lock()
	expired := s.expired
	s.mutex.Unlock()
	select {
	case <-s.ready:
		return nil
	case <-expired:
		return os.ErrDeadlineExceeded
	case <-over:
		return net.ErrClosed
	}
}

// late tells of a deadline that is over already.
func (s *side) late() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	select {
	case <-s.expired:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// bound sets the deadline; the zero time is none.
func (s *side) bound(at time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	select {
	case <-s.expired:
		s.expired = make(chan struct{})
	default:
	}
	if at.IsZero() {
		return
	}
	expired := s.expired
	left := time.Until(at)
	if left <= 0 {
		close(expired)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		// One that was stopped too late has nothing to say.
		if s.timer == timer {
			close(expired)
		}
	})
	s.timer = timer
}
