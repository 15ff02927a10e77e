package main

import (
	"net/http"
	"sync/atomic"
	"time"
)

// goingOn is how long after the last call its commands are still looked at closely.
const goingOn = 2 * time.Second

// activity knows whether the host asks anything of this machine.
type activity struct {
	calls   atomic.Int64
	lastEnd atomic.Int64
	begun   chan struct{}
}

func newActivity() *activity { return &activity{begun: make(chan struct{}, 1)} }

// noting passes calls on and knows of them while they last.
func (a *activity) noting(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		a.calls.Add(1)
		defer func() {
			a.lastEnd.Store(time.Now().UnixNano())
			a.calls.Add(-1)
		}()
		select {
		case a.begun <- struct{}{}:
		default:
		}
		handler.ServeHTTP(response, request)
	})
}

func (a *activity) isGoing() bool {
	return a.calls.Load() > 0 || time.Since(time.Unix(0, a.lastEnd.Load())) < goingOn
}

// rest waits, at most until a call begins.
func (a *activity) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-a.begun:
	case <-timer.C:
	}
}
