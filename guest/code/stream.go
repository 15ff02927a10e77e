package code

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Lines are gathered until there are this many bytes, or nothing more is to be had at once.
const gatherBytes = 32 << 10

// stream writes the events of one run as lines of ASCII JSON. A slow client makes its writers wait.
type stream struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
	flushed time.Time
	// gone: nobody listens any more; what comes is dropped.
	gone atomic.Bool
}

var streamBuffers = sync.Pool{New: func() any { return make([]byte, 0, 4096) }}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &stream{w: w, control: http.NewResponseController(w), buf: streamBuffers.Get().([]byte)}
}

// free gives the buffer back. The stream must not be used any more.
func (s *stream) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone.Store(true)
	if cap(s.buf) <= 2*gatherBytes {
		streamBuffers.Put(s.buf[:0])
	}
	s.buf = nil
}

// add appends one whole line made by make.
func (s *stream) add(make func(line []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone.Load() {
		return
	}
	s.buf = append(make(s.buf), '\n')
	if len(s.buf) >= gatherBytes {
		s.write()
	}
}

// write hands the gathered lines to the connection. The lock is held.
func (s *stream) write() bool {
	if s.gone.Load() || len(s.buf) == 0 {
		return !s.gone.Load()
	}
	if _, err := s.w.Write(s.buf); err != nil {
		s.gone.Store(true)
	}
	s.buf = s.buf[:0]
	return !s.gone.Load()
}

// flush sends what was gathered to the client now.
func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
}

func (s *stream) flushLocked() {
	if s.write() {
		if err := s.control.Flush(); err != nil {
			s.gone.Store(true)
		}
		s.flushed = time.Now()
	}
}

// finish hands over the last lines; the end of the handler sends them.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write()
}

// blocked says whether a writer waits for the client just now.
func (s *stream) blocked() bool {
	if !s.mu.TryLock() {
		return true
	}
	s.mu.Unlock()
	return false
}

// keepalive shows the client that the run goes on, unless something was sent within the interval.
func (s *stream) keepalive(interval time.Duration) {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.gone.Load() || time.Since(s.flushed) < interval/2 {
		return
	}
	s.buf = append(s.buf, "{\"type\":\"keepalive\"}\n"...)
	s.flushLocked()
}

// output adds a line of the kernel's stdout or stderr.
func (s *stream) output(kind string, text []byte) {
	s.add(func(line []byte) []byte {
		line = append(line, `{"type":"`...)
		line = append(line, kind...)
		line = append(line, `","text":`...)
		line = appendString(line, text)
		line = append(line, `,"timestamp":"`...)
		line = time.Now().UTC().AppendFormat(line, "2006-01-02T15:04:05.000Z")
		return append(line, `"}`...)
	})
}

// object adds an event whose first fields come from a kernel, in parts; after closes it with fields of ours, which
// win over what the kernel wrote under the same names.
func (s *stream) object(in *frames, limit int, after string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := len(s.buf)
	wrote := false
	s.buf = append(s.buf, '{')
	err := in.body(limit, func(part []byte) error {
		if s.gone.Load() {
			s.buf = s.buf[:0]
			return nil
		}
		s.buf = append(s.buf, part...)
		if len(s.buf) >= gatherBytes {
			wrote = true
			s.write()
		}
		return nil
	})
	switch {
	case err == nil:
		if wrote || len(s.buf) > start+1 {
			s.buf = append(s.buf, ',')
		}
		s.buf = append(append(s.buf, after...), '\n')
	case wrote:
		// Half a line has gone out: the client must not take it for whole.
		s.gone.Store(true)
	default:
		s.buf = s.buf[:min(start, len(s.buf))]
	}
	return err
}

const hexDigits = "0123456789abcdef"

// appendString appends text as a JSON string in ASCII. Bytes that are not UTF-8 become U+FFFD.
func appendString(line, text []byte) []byte {
	line = append(line, '"')
	from := 0
	for at := 0; at < len(text); {
		c := text[at]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			at++
			continue
		}
		line = append(line, text[from:at]...)
		size := 1
		switch {
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
		case c == '\n':
			line = append(line, '\\', 'n')
		case c == '\t':
			line = append(line, '\\', 't')
		case c == '\r':
			line = append(line, '\\', 'r')
		case c < utf8.RuneSelf:
			line = appendUnit(line, rune(c))
		default:
			var r rune
			r, size = utf8.DecodeRune(text[at:])
			if r >= 0x10000 {
				line = appendUnit(line, 0xd800+(r-0x10000)>>10)
				r = 0xdc00 + (r-0x10000)&0x3ff
			}
			line = appendUnit(line, r)
		}
		at += size
		from = at
	}
	line = append(line, text[from:]...)
	return append(line, '"')
}

func appendUnit(line []byte, unit rune) []byte {
	return append(line, '\\', 'u', hexDigits[unit>>12&15], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
}
