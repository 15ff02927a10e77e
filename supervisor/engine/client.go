package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cofferdam/supervisor/failure"
)

const (
	callPatience = 60 * time.Second
	// What the Engine answers is bounded like anybody's.
	maxAnswerBytes  = 8 << 20
	maxMessageBytes = 600
)

// Client speaks to an Engine.
type Client struct {
	address Address
	http    *http.Client
}

// NewClient makes a client; nothing is asked yet.
func NewClient(address Address) *Client {
	return &Client{address, &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address.Socket)
		},
		MaxIdleConns:           2,
		IdleConnTimeout:        5 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}}}
}

func (c *Client) path(path string, query url.Values) string {
	whole := "/" + c.address.API + path
	if len(query) > 0 {
		whole += "?" + query.Encode()
	}
	return whole
}

// call is one question to the Engine.
type call struct {
	method, path string
	query        url.Values
	body         any
}

// ask answers the status and the body of an answer, also of a refusal.
func (c *Client) ask(ctx context.Context, one call) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	answer, err := c.send(ctx, one)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return 0, nil, c.unreachable(ctx, err)
	}
	return answer.StatusCode, raw, nil
}

func (c *Client) send(ctx context.Context, one call) (*http.Response, error) {
	var body io.Reader
	if one.body != nil {
		raw, err := json.Marshal(one.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, one.method, "http://engine"+c.path(one.path, one.query), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return answer, nil
}

// do asks and refuses everything that is no success.
func (c *Client) do(ctx context.Context, one call, into any) error {
	status, raw, err := c.ask(ctx, one)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return refusal(status, raw)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return failure.New(failure.Untrusted, "the Engine answered what is no JSON")
	}
	return nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return failure.New(failure.Cancelled, "the creation was cancelled")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return failure.New(failure.TimedOut, "the Engine at %s did not answer in time", c.address.Socket)
	}
	var system *net.OpError
	if errors.As(err, &system) {
		return failure.New(failure.Unavailable, "the Engine at %s does not answer: %v", c.address.Socket, system.Err).
			WithMend("start it, and see that this user may open its socket")
	}
	return failure.New(failure.Untrusted, "the Engine at %s does not speak its API: %s", c.address.Socket, brief(err.Error()))
}

// refusal is what the Engine said, in our words where its are known.
func refusal(status int, raw []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(raw, &said)
	message := brief(said.Message)
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "runtime") && (strings.Contains(lower, "unknown") || strings.Contains(lower, "invalid") || strings.Contains(lower, "not found")):
		return failure.New(failure.Unavailable, "the Engine has no such runtime: %s", message).WithField("runtime").
			WithMend("register it in the Engine's daemon.json, or ask for another")
	case strings.Contains(lower, "no such image"):
		return failure.New(failure.NotFound, "the Engine has lost the template's image: %s", message).WithField("template").
			WithMend("make the sandbox once more")
	case strings.Contains(lower, "no space left"), strings.Contains(lower, "disk quota exceeded"):
		return failure.New(failure.DiskFull, "the Engine's disk is full: %s", message).WithMend("free space where the Engine keeps its data")
	case status == http.StatusConflict && strings.Contains(lower, "already in use"):
		return failure.New(failure.AlreadyExists, "the Engine has a container of this sandbox's name").WithField("id")
	case message == "":
		return failure.New(failure.Untrusted, "the Engine refused with status %d and no reason", status)
	}
	return failure.New(failure.Internal, "the Engine refused: %s", message)
}

func brief(text string) string {
	text = strings.Map(func(letter rune) rune {
		if letter < ' ' || letter == 0x7f {
			return ' '
		}
		return letter
	}, text)
	return text[:min(len(text), maxMessageBytes)]
}
