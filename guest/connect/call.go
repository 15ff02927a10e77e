package connect

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// MaxRequestBytes bounds the message of a request.
const MaxRequestBytes = 16 << 20

const (
	unaryType  = "application/json"
	streamType = "application/connect+json"
	// defaultKeepalive is how long a stream may be silent when the client names no interval.
	defaultKeepalive = 90 * time.Second
	endFlag          = 2
)

// Call is what a handler knows of its caller.
type Call struct {
	Context context.Context
	// UserName as Basic authorisation names it; empty: the default user.
	UserName string
	// Timeout as the client asked for it; 0: none.
	Timeout time.Duration
	Header  http.Header
}

func newCall(request *http.Request) (*Call, *Error) {
	call := &Call{Context: request.Context(), Header: request.Header}
	name, failure := BasicUser(request.Header.Get("Authorization"))
	if failure != nil {
		return nil, failure
	}
	call.UserName = name
	if raw := request.Header.Get("Connect-Timeout-Ms"); raw != "" {
		milliseconds, err := strconv.ParseInt(raw, 10, 64)
		if err != nil || milliseconds < 0 || len(raw) > 10 {
			return nil, Errorf(InvalidArgument, "connect-timeout-ms: expected at most ten digits")
		}
		call.Timeout = time.Duration(milliseconds) * time.Millisecond
	}
	return call, nil
}

// BasicUser answers the user that a header of basic authorisation names; empty when it is of no such kind.
func BasicUser(header string) (string, *Error) {
	encoded, isBasic := strings.CutPrefix(header, "Basic ")
	if !isBasic {
		return "", nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) > 300 {
		return "", Errorf(Unauthenticated, "invalid basic authorization")
	}
	name, _, _ := strings.Cut(string(raw), ":")
	return name, nil
}

func readMessage(body io.Reader, message any) *Error {
	raw, err := io.ReadAll(io.LimitReader(body, MaxRequestBytes+1))
	if err != nil {
		return Errorf(InvalidArgument, "the request could not be read")
	}
	return parseMessage(raw, message)
}

func parseMessage(raw []byte, message any) *Error {
	if len(raw) > MaxRequestBytes {
		return Errorf(ResourceExhausted, "the request is larger than "+strconv.Itoa(MaxRequestBytes)+" bytes")
	}
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	if err := json.Unmarshal(raw, message); err != nil {
		return Errorf(InvalidArgument, "the request is not valid JSON of its type: "+err.Error())
	}
	return nil
}

// Unary makes a handler of a call with one answer.
func Unary[Request, Response any](serve func(*Call, *Request) (*Response, *Error)) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if !accepts(response, request, unaryType) {
			return
		}
		call, failure := newCall(request)
		if failure != nil {
			WriteError(response, failure)
			return
		}
		var message Request
		if failure := readMessage(request.Body, &message); failure != nil {
			WriteError(response, failure)
			return
		}
		if call.Timeout > 0 {
			ctx, cancel := context.WithTimeout(call.Context, call.Timeout)
			defer cancel()
			call.Context = ctx
		}
		answer, failure := serve(call, &message)
		if failure != nil {
			WriteError(response, failure)
			return
		}
		body, err := json.Marshal(answer)
		if err != nil {
			WriteError(response, Errorf(Internal, "the answer could not be written"))
			return
		}
		response.Header().Set("Content-Type", unaryType)
		response.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = response.Write(body)
	})
}

func accepts(response http.ResponseWriter, request *http.Request, mediaType string) bool {
	if request.Method != http.MethodPost {
		response.Header().Set("Allow", http.MethodPost)
		http.Error(response, "method not allowed", http.StatusMethodNotAllowed)
		return false
	}
	given, _, _ := strings.Cut(request.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(given) != mediaType {
		response.Header().Set("Accept-Post", mediaType)
		http.Error(response, "unsupported media type: expected "+mediaType, http.StatusUnsupportedMediaType)
		return false
	}
	return true
}

// Sender writes the messages of a stream. A write returns when the transport has taken the bytes, so a slow reader
// slows whoever sends. It is safe for several goroutines.
type Sender struct {
	mutex    sync.Mutex
	response http.ResponseWriter
	flush    func() error
	last     time.Time
	buffer   []byte
}

// NewSender sends the messages of a stream on a response.
func NewSender(response http.ResponseWriter) *Sender {
	return &Sender{response: response, flush: http.NewResponseController(response).Flush, last: time.Now()}
}

// End writes the last envelope, with the error if there is one.
func (s *Sender) End(failure *Error) {
	end := []byte("{}")
	if failure != nil {
		if body, err := json.Marshal(map[string]*Error{"error": failure}); err == nil {
			end = body
		}
	}
	_ = s.write(endFlag, end, true)
}

// Send writes one message.
func (s *Sender) Send(message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return s.write(0, body, true)
}

// SendRaw writes one message that is JSON already.
func (s *Sender) SendRaw(body []byte) error { return s.write(0, body, true) }

// Queue writes one message that is JSON already and leaves it for the next one to push out.
func (s *Sender) Queue(body []byte) error { return s.write(0, body, false) }

func (s *Sender) write(flags byte, body []byte, push bool) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.buffer = append(s.buffer[:0], flags)
	s.buffer = binary.BigEndian.AppendUint32(s.buffer, uint32(len(body)))
	s.buffer = append(s.buffer, body...)
	if _, err := s.response.Write(s.buffer); err != nil {
		return err
	}
	s.last = time.Now()
	if !push {
		return nil
	}
	return s.flush()
}

func (s *Sender) idleSince() time.Time {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.last
}

// Stream makes a handler of a call with many answers. keepalive is the JSON that is sent when the stream was silent
// for as long as the client's Keepalive-Ping-Interval. An error becomes the end envelope; the HTTP status stays 200.
func Stream[Request any](keepalive string, serve func(*Call, *Request, *Sender) *Error) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if !accepts(response, request, streamType) {
			return
		}
		response.Header().Set("Content-Type", streamType)
		sender := NewSender(response)
		sender.End(serveStream(request, sender, keepalive, serve))
	})
}

func serveStream[Request any](request *http.Request, sender *Sender, keepalive string,
	serve func(*Call, *Request, *Sender) *Error) *Error {
	call, failure := newCall(request)
	if failure != nil {
		return failure
	}
	raw, err := ReadEnvelope(request.Body, MaxRequestBytes)
	if err != nil {
		return Errorf(InvalidArgument, "the request is not an enveloped message: "+err.Error())
	}
	var message Request
	if failure := parseMessage(raw, &message); failure != nil {
		return failure
	}
	// The server notices that a client left only once the body was read to its end.
	_, _ = io.CopyN(io.Discard, request.Body, 1)
	ctx, cancel := context.WithCancel(call.Context)
	defer cancel()
	call.Context = ctx
	go keepAlive(ctx, sender, []byte(keepalive), keepaliveInterval(request.Header))
	return serve(call, &message, sender)
}

func keepaliveInterval(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Keepalive-Ping-Interval"))
	if err != nil || seconds < 1 || seconds > 3600 {
		return defaultKeepalive
	}
	return time.Duration(seconds) * time.Second
}

func keepAlive(ctx context.Context, sender *Sender, message []byte, interval time.Duration) {
	for {
		wait := interval - time.Since(sender.idleSince())
		if wait <= 0 {
			if sender.SendRaw(message) != nil {
				return
			}
			wait = interval
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// ErrEnvelope is answered for bytes that are no envelope.
var ErrEnvelope = errors.New("malformed envelope")

// ReadEnvelope reads one uncompressed message of at most limit bytes.
func ReadEnvelope(from io.Reader, limit int) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 0 {
		return nil, ErrEnvelope
	}
	if uint64(size) > uint64(limit) {
		return nil, errors.New("message larger than " + strconv.Itoa(limit) + " bytes")
	}
	body := make([]byte, 0, min(int(size), 64<<10))
	limited := io.LimitReader(from, int64(size))
	for len(body) < int(size) {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := limited.Read(body[len(body):min(cap(body), int(size))])
		body = body[:len(body)+n]
		if err != nil && len(body) < int(size) {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return body, nil
}
