// Package lease decides when a machine's right to exist is over. It acts on nothing and reads no clock.
package lease

import (
	"time"

	"cofferdam/supervisor/plan"
)

// Reason tells why a machine ended.
type Reason string

// The reasons, as in src/core/driver.ts.
const (
	Killed      Reason = "killed"
	Lifetime    Reason = "lifetime"
	Idle        Reason = "idle"
	OwnerGone   Reason = "owner-gone"
	Exited      Reason = "exited"
	OutOfMemory Reason = "out-of-memory"
	RuntimeLost Reason = "runtime-lost"
)

// Reasons for a supervisor's end that are not told: Paused is no end of the machine, whose processes are gone and whose
// files are kept; Terminated ends one that runs and lets one that is paused rest.
const (
	Paused     Reason = "paused"
	Terminated Reason = "terminated"
)

// Lease is one machine's.
type Lease struct {
	End         time.Time
	IdleTimeout time.Duration
	Detached    bool

	ownerGrace    time.Duration
	ownerDeadline time.Time
	idleSince     time.Time
	busy          int
	owners        int
	ownerGone     bool
}

// New begins a lease.
func New(wanted plan.Lease, now time.Time) *Lease {
	return &Lease{
		End:           now.Add(milliseconds(wanted.LifetimeMs)),
		IdleTimeout:   milliseconds(wanted.IdleTimeoutMs),
		Detached:      wanted.Detached,
		ownerGrace:    milliseconds(wanted.OwnerGraceMs),
		ownerDeadline: now.Add(milliseconds(wanted.OwnerGraceMs)),
		idleSince:     now,
	}
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// Own notes an owner.
func (l *Lease) Own() { l.owners++ }

// Disown notes that an owner is gone.
func (l *Lease) Disown() {
	l.owners--
	l.ownerGone = l.owners == 0
}

// Busy notes that somebody begins to use the machine.
func (l *Lease) Busy() { l.busy++ }

// Rest notes that somebody no longer uses it.
func (l *Lease) Rest(now time.Time) {
	l.busy--
	l.idleSince = now
}

// Resume begins it anew: nobody owned or used the machine while it was paused.
func (l *Lease) Resume(lifetime time.Duration, now time.Time) {
	l.End = now.Add(lifetime)
	l.ownerGone = false
	l.ownerDeadline = now.Add(l.ownerGrace)
	l.idleSince = now
}

// Extend makes the machine end this long from now.
func (l *Lease) Extend(lifetime time.Duration, now time.Time) { l.End = now.Add(lifetime) }

// Over answers why the machine must end now; empty while it may live, and then until when at least.
func (l *Lease) Over(now time.Time) (reason Reason, again time.Time) {
	again = l.End
	if !now.Before(l.End) {
		return Lifetime, again
	}
	if !l.Detached && l.owners == 0 {
		if l.ownerGone || !now.Before(l.ownerDeadline) {
			return OwnerGone, again
		}
		again = earlier(again, l.ownerDeadline)
	}
	if l.IdleTimeout > 0 && l.busy == 0 {
		idleEnd := l.idleSince.Add(l.IdleTimeout)
		if !now.Before(idleEnd) {
			return Idle, again
		}
		again = earlier(again, idleEnd)
	}
	return "", again
}

func earlier(one, other time.Time) time.Time {
	if other.Before(one) {
		return other
	}
	return one
}
