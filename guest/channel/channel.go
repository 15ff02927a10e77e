// Package channel is the agent's side of descriptor 3, on which the host hands over connections and holds the lease.
package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"cofferdam/guest/access"
)

// Descriptor is where the runtime puts the channel.
const Descriptor = 3

// MaxMessageBytes bounds one message.
const MaxMessageBytes = 64 << 10

// Message is anything that goes over the channel in either direction.
type Message struct {
	Type         string          `json:"type"`
	Setup        json.RawMessage `json:"setup,omitempty"`
	Kind         access.Kind     `json:"kind,omitempty"`
	Port         int             `json:"port,omitempty"`
	ID           uint64          `json:"id,omitempty"`
	Count        int             `json:"count,omitempty"`
	Version      string          `json:"version,omitempty"`
	AgentVersion string          `json:"agentVersion,omitempty"`
}

// Socket carries whole messages, with descriptors.
type Socket interface {
	ReadMsgUnix(into, control []byte) (n, controlBytes, flags int, from *net.UnixAddr, err error)
	Write(message []byte) (int, error)
	Close() error
}

// None is the descriptor of a message that came with none.
const None = -1

// Channel is the connection to the host.
type Channel struct {
	conn    Socket
	mutex   sync.Mutex
	asked   map[uint64]chan int
	next    uint64
	receive []byte
	control []byte
}

// Close leaves the host. It answers when the descriptor is gone.
func (c *Channel) Close() { c.conn.Close() }

// New makes a channel of a SOCK_SEQPACKET socket.
func New(conn Socket) *Channel {
	return &Channel{
		conn:    conn,
		asked:   map[uint64]chan int{},
		receive: make([]byte, MaxMessageBytes),
		control: make([]byte, syscall.CmsgSpace(4*4)),
	}
}

// Receive answers the next message and the descriptor that came with it, or None. One goroutine calls it.
func (c *Channel) Receive() (*Message, int, error) {
	n, controlBytes, flags, _, err := c.conn.ReadMsgUnix(c.receive, c.control)
	if err != nil {
		return nil, None, err
	}
	descriptors := parseDescriptors(c.control[:controlBytes])
	message, err := parseMessage(c.receive[:n], flags)
	if err == nil && len(descriptors) > 1 {
		err = errors.New("more than one descriptor in a message")
	}
	if err != nil {
		closeAll(descriptors)
		return nil, None, err
	}
	if len(descriptors) == 1 {
		return message, descriptors[0], nil
	}
	return message, None, nil
}

func parseMessage(raw []byte, flags int) (*Message, error) {
	if len(raw) == 0 {
		return nil, net.ErrClosed
	}
	if flags&syscall.MSG_TRUNC != 0 {
		return nil, errors.New("a message is longer than allowed")
	}
	message := &Message{}
	if err := json.Unmarshal(raw, message); err != nil {
		return nil, fmt.Errorf("a message is no JSON: %w", err)
	}
	return message, nil
}

func parseDescriptors(control []byte) []int {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	var all []int
	for _, one := range messages {
		descriptors, err := syscall.ParseUnixRights(&one)
		if err != nil {
			continue
		}
		for _, descriptor := range descriptors {
			syscall.CloseOnExec(descriptor)
			all = append(all, descriptor)
		}
	}
	return all
}

func closeAll(descriptors []int) {
	for _, descriptor := range descriptors {
		syscall.Close(descriptor)
	}
}

// Send writes one message.
func (c *Channel) Send(message *Message) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(raw)
	return err
}

// OutOfMemoryKills asks the host how many the machine has seen.
func (c *Channel) OutOfMemoryKills(ctx context.Context) (int, error) {
	answer := make(chan int, 1)
	c.mutex.Lock()
	c.next++
	id := c.next
	c.asked[id] = answer
	c.mutex.Unlock()
	defer func() {
		c.mutex.Lock()
		delete(c.asked, id)
		c.mutex.Unlock()
	}()
	if err := c.Send(&Message{Type: "oom", ID: id}); err != nil {
		return 0, err
	}
	select {
	case count := <-answer:
		return count, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Answered delivers the host's answer to whoever asked.
func (c *Channel) Answered(message *Message) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if answer, waiting := c.asked[message.ID]; waiting {
		select {
		case answer <- message.Count:
		default:
		}
	}
}
