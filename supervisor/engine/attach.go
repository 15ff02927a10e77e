package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// attached is a container's standard streams.
type attached struct {
	conn net.Conn
	// output is what the container writes, without its complaints.
	output *frames
}

// attach joins the streams of a container, which need not run yet.
func (c *Client) attach(ctx context.Context, container string) (*attached, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.address.Socket)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	streams, err := c.hijack(conn, container)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return streams, nil
}

func (c *Client) hijack(conn net.Conn, container string) (*attached, error) {
	_ = conn.SetDeadline(time.Now().Add(callPatience))
	query := url.Values{"stream": {"1"}, "stdin": {"1"}, "stdout": {"1"}, "stderr": {"1"}}
	path := c.path("/containers/"+container+"/attach", query)
	head := "POST " + path + " HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		return nil, c.unreachable(context.Background(), err)
	}
	reader := bufio.NewReaderSize(conn, 64<<10)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, c.unreachable(context.Background(), err)
	}
	// From the first of these on the connection is the container's.
	if answer.StatusCode != http.StatusSwitchingProtocols && answer.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
		return nil, refusal(answer.StatusCode, raw)
	}
	_ = conn.SetDeadline(time.Time{})
	return &attached{conn, &frames{in: reader}}, nil
}

// frames takes the Engine's frames off the two outputs of a container: a head of 8 bytes says which it is and how long.
type frames struct {
	in   *bufio.Reader
	left int
	tail tail
}

const (
	frameHeadBytes = 8
	standardOutput = 1
	standardError  = 2
	maxEngineFrame = 16 << 20
)

func (f *frames) Read(into []byte) (int, error) {
	for f.left == 0 {
		if err := f.head(); err != nil {
			return 0, err
		}
	}
	n, err := f.in.Read(into[:min(len(into), f.left)])
	f.left -= n
	return n, err
}

// head comes to the next frame of standard output; complaints on the way are kept.
func (f *frames) head() error {
	var raw [frameHeadBytes]byte
	if _, err := io.ReadFull(f.in, raw[:]); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint32(raw[4:]))
	if length > maxEngineFrame {
		return fmt.Errorf("a frame of %d bytes is longer than an Engine's", length)
	}
	switch raw[0] {
	case standardOutput:
		f.left = length
		return nil
	case standardError:
		_, err := io.CopyN(&f.tail, f.in, int64(length))
		return err
	}
	return fmt.Errorf("there is no stream %d", raw[0])
}

// tail keeps the last of what was said.
type tail struct {
	mutex sync.Mutex
	kept  []byte
}

const tailBytes = 2 << 10

func (t *tail) Write(raw []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.kept = append(t.kept, raw...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = append([]byte{}, t.kept[extra:]...)
	}
	return len(raw), nil
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return brief(string(t.kept))
}
