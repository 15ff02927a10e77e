// Package failure is the error that reaches the client: a code of the library's closed list, and what mends it.
package failure

import (
	"errors"
	"fmt"
	"syscall"
)

// Code is one of those in src/core/errors.ts.
type Code string

// The codes that a supervisor uses.
const (
	Invalid       Code = "invalid"
	AlreadyExists Code = "already-exists"
	NotFound      Code = "not-found"
	Conflict      Code = "conflict"
	Untrusted     Code = "untrusted"
	Unavailable   Code = "unavailable"
	Unsupported   Code = "unsupported"
	TimedOut      Code = "timed-out"
	Cancelled     Code = "cancelled"
	OutOfMemory   Code = "out-of-memory"
	DiskFull      Code = "disk-full"
	Exhausted     Code = "exhausted"
	Lost          Code = "lost"
	Internal      Code = "internal"
)

// Failure is an error with a code.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Mend    string `json:"mend,omitempty"`
	// Field is the option that is at fault, as the caller spells it.
	Field string `json:"field,omitempty"`
}

func (f *Failure) Error() string { return f.Message }

// New makes one; the message is a format.
func New(code Code, format string, values ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, values...)}
}

// WithMend adds what helps.
func (f *Failure) WithMend(mend string) *Failure {
	f.Mend = mend
	return f
}

// WithField adds the option at fault.
func (f *Failure) WithField(field string) *Failure {
	f.Field = field
	return f
}

// Wrap says what was being done; a full disk and exhausted resources are recognised.
func Wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	var known *Failure
	if errors.As(err, &known) {
		return err
	}
	code, mend := Internal, ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code, mend = DiskFull, "free space below the state directory"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM),
		errors.Is(err, syscall.EAGAIN):
		code, mend = Exhausted, "end other sandboxes, or raise the host's limits"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		mend = "run as root, with the right to mount and to make control groups"
	}
	return &Failure{Code: code, Message: doing + ": " + err.Error(), Mend: mend}
}

// From gives any error a code.
func From(err error) *Failure {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	return &Failure{Code: Internal, Message: err.Error()}
}
