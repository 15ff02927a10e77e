package code

import (
	"encoding/json"
	"errors"
	"net/http"
)

// Codes of errors, as the host knows them.
const (
	Invalid     = "invalid"
	NotFound    = "not-found"
	Conflict    = "conflict"
	Unsupported = "unsupported"
	Exhausted   = "exhausted"
	Unavailable = "unavailable"
	Internal    = "internal"
)

var statuses = map[string]int{
	Invalid: 400, NotFound: 404, Conflict: 409, Unsupported: 501, Exhausted: 429, Unavailable: 503, Internal: 500,
}

// Error is what a caller is told when there is no run to report it in.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

func failed(code, message string) error { return &Error{Code: code, Message: message} }

func asError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Code: Internal, Message: err.Error()}
}

func writeError(w http.ResponseWriter, err error) {
	known := asError(err)
	writeJSON(w, statuses[known.Code], known)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
