// Package connect speaks the Connect protocol with the JSON codec over HTTP/1.1: unary calls and server streams.
package connect

import (
	"encoding/json"
	"net/http"
)

// Code is one of Connect's error codes.
type Code string

// The codes that the agent uses.
const (
	Canceled           Code = "canceled"
	Unknown            Code = "unknown"
	InvalidArgument    Code = "invalid_argument"
	DeadlineExceeded   Code = "deadline_exceeded"
	NotFound           Code = "not_found"
	AlreadyExists      Code = "already_exists"
	PermissionDenied   Code = "permission_denied"
	ResourceExhausted  Code = "resource_exhausted"
	FailedPrecondition Code = "failed_precondition"
	Unimplemented      Code = "unimplemented"
	Internal           Code = "internal"
	Unavailable        Code = "unavailable"
	Unauthenticated    Code = "unauthenticated"
)

var statuses = map[Code]int{
	Canceled: 499, Unknown: 500, InvalidArgument: 400, DeadlineExceeded: 504, NotFound: 404, AlreadyExists: 409,
	PermissionDenied: 403, ResourceExhausted: 429, FailedPrecondition: 400, Unimplemented: 501, Internal: 500,
	Unavailable: 503, Unauthenticated: 401,
}

// Error is what a call answers instead of a message.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf makes an error; the message is shown to the caller.
func Errorf(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// WriteError answers a unary call with an error.
func WriteError(response http.ResponseWriter, failure *Error) {
	body, err := json.Marshal(failure)
	if err != nil {
		body = []byte(`{"code":"internal","message":"the error could not be written"}`)
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(statuses[failure.Code])
	_, _ = response.Write(body)
}
