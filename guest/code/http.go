package code

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

const (
	maxRequestBytes = 32 << 20
	maxEnvs         = 1024
)

// execution is the body of a request to run code. TimeoutMs is our own addition to E2B's fields.
type execution struct {
	Code      *string           `json:"code"`
	ContextID string            `json:"context_id"`
	Language  string            `json:"language"`
	Envs      map[string]string `json:"env_vars"`
	TimeoutMs int64             `json:"timeout_ms"`
}

// ServeHTTP answers /execute, /contexts and what is below it, and /health.
func (s *Kernels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	route := r.Method + " " + parts[0]
	if parts[0] == "contexts" && len(parts) > 1 {
		route += "/id"
		if len(parts) == 3 {
			route += "/" + parts[2]
		}
	}
	var err error
	switch {
	case len(parts) > 3 || len(parts) > 1 && parts[0] != "contexts":
		err = failed(NotFound, "no such path")
	case route == "POST execute":
		err = s.serveExecute(w, r)
	case route == "GET contexts":
		writeJSON(w, http.StatusOK, s.List())
	case route == "POST contexts":
		err = s.serveCreate(w, r)
	case route == "DELETE contexts/id":
		if err = s.Remove(parts[1]); err == nil {
			w.WriteHeader(http.StatusOK)
		}
	case route == "POST contexts/id/restart":
		if err = s.Restart(r.Context(), parts[1]); err == nil {
			w.WriteHeader(http.StatusOK)
		}
	case route == "POST contexts/id/interrupt":
		var interrupted bool
		if interrupted, err = s.Interrupt(parts[1]); err == nil {
			writeJSON(w, http.StatusOK, map[string]bool{"interrupted": interrupted})
		}
	case route == "GET health":
		_, _ = io.WriteString(w, "OK")
	default:
		err = failed(NotFound, "no such path")
	}
	if err != nil && r.Context().Err() == nil {
		writeError(w, err)
	}
}

func (s *Kernels) serveExecute(w http.ResponseWriter, r *http.Request) error {
	var ask execution
	if err := readJSON(w, r, &ask); err != nil {
		return err
	}
	if err := ask.check(); err != nil {
		return err
	}
	c, err := s.choose(ask)
	if err != nil {
		return err
	}
	release, err := c.acquire(r.Context())
	if err != nil {
		return err
	}
	defer release()
	k, err := c.live(s.start)
	if err != nil {
		return named(err, c.Language)
	}
	if r.Context().Err() != nil {
		return nil
	}
	to := newStream(w)
	defer to.free()
	c.do(r.Context(), k, to, ask)
	if c.current() == nil && s.isWarm(c) {
		go s.warm(c)
	}
	if to.gone.Load() {
		// The client must not take what it has for the whole.
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (ask execution) check() error {
	switch {
	case ask.Code == nil:
		return failed(Invalid, "code is missing")
	case ask.ContextID != "" && ask.Language != "":
		return failed(Invalid, "only one of context_id and language can be given")
	case ask.TimeoutMs < 0:
		return failed(Invalid, "timeout_ms must not be negative")
	case len(ask.Envs) > maxEnvs:
		return failed(Invalid, "too many env_vars")
	case strings.ContainsRune(*ask.Code, 0):
		return failed(Invalid, "code must not contain a NUL character")
	}
	for name, value := range ask.Envs {
		if !validName(name) || strings.ContainsRune(value, 0) {
			return failed(Invalid, "env_vars: '"+name+"' is no name of a variable, or its value has a NUL")
		}
	}
	return nil
}

func validName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func (s *Kernels) choose(ask execution) (*Context, error) {
	if ask.ContextID != "" {
		return s.find(ask.ContextID)
	}
	language := languageOf(ask.Language)
	if language == "" {
		return nil, unknownLanguage(ask.Language)
	}
	return s.byLanguage(language)
}

func (s *Kernels) serveCreate(w http.ResponseWriter, r *http.Request) error {
	var ask struct {
		Language string `json:"language"`
		Cwd      string `json:"cwd"`
	}
	if err := readJSON(w, r, &ask); err != nil {
		return err
	}
	c, err := s.Create(r.Context(), ask.Language, ask.Cwd)
	if err == nil {
		writeJSON(w, http.StatusOK, c)
	}
	return err
}

// readJSON reads a body; an empty one leaves value as it is. Fields that are not known are left out: other versions
// of the protocol's clients send them.
func readJSON(w http.ResponseWriter, r *http.Request, value any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return failed(Exhausted, "the request is too large")
	}
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, value); err != nil {
		return failed(Invalid, "the request is not the JSON that is wanted: "+err.Error())
	}
	return nil
}

// ascii is JSON text with everything outside ASCII escaped.
func ascii(text []byte) []byte {
	escaped := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			escaped = append(escaped, byte(r))
		case r < 0x10000:
			escaped = appendUnit(escaped, r)
		default:
			escaped = appendUnit(escaped, 0xd800+(r-0x10000)>>10)
			escaped = appendUnit(escaped, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	return escaped
}
