// Package handover is the host's side of the agent's descriptor 3, and gives connections away over it.
package handover

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxMessageBytes = 64 << 10
	// maxMessagesPerSecond bounds what a hostile agent can make this process do.
	maxMessagesPerSecond = 200
)

// Ready is the agent's word that it serves.
type Ready struct{ ProtocolVersion, AgentVersion string }

// Channel is the connection to the agent.
type Channel struct {
	file *os.File
	// fd is the file's; a handover waits through the file, all else is sent at once or not at all.
	fd int
	// mutex keeps fd from being somebody else's by the time it is used.
	mutex  sync.Mutex
	closed bool
}

type message struct {
	Type         string          `json:"type"`
	Setup        json.RawMessage `json:"setup,omitempty"`
	Kind         string          `json:"kind,omitempty"`
	Port         int             `json:"port,omitempty"`
	ID           uint64          `json:"id,omitempty"`
	Count        *uint64         `json:"count,omitempty"`
	Version      string          `json:"version,omitempty"`
	AgentVersion string          `json:"agentVersion,omitempty"`
	Message      string          `json:"message,omitempty"`
	Used         uint64          `json:"used,omitempty"`
	Total        uint64          `json:"total,omitempty"`
}

// NewChannel makes a channel and the agent's end of it.
func NewChannel() (*Channel, *os.File, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.SetNonblock(pair[0], true); err != nil {
		return nil, nil, err
	}
	channel := &Channel{file: os.NewFile(uintptr(pair[0]), "channel"), fd: pair[0]}
	return channel, os.NewFile(uintptr(pair[1]), "agent's channel"), nil
}

// Setup sends the first message, with the directory that the agent is lent, or nil.
func (c *Channel) Setup(setup json.RawMessage, lent *os.File) error {
	raw, err := json.Marshal(message{Type: "setup", Setup: setup})
	if err != nil {
		return err
	}
	if len(raw) > maxMessageBytes {
		return errors.New("the set-up is longer than 64 KiB")
	}
	var rights []byte
	if lent != nil {
		rights = syscall.UnixRights(int(lent.Fd()))
	}
	return c.send(raw, rights)
}

// Alive tells the agent that the host is there. An agent that has not read its last messages needs no other.
func (c *Channel) Alive() { c.sendNow(message{Type: "alive"}) }

// Wish is what the agent is asked to do.
type Wish string

// Stop ends what runs in the machine and brings what was written to the disk; Sync does the latter alone. Leave has the agent
// close all that the host gave it, this channel last.
const (
	Stop  Wish = "stop"
	Sync  Wish = "sync"
	Leave Wish = "leave"
)

// Hold has a machine's own kernel bring all that was written to its disk and write nothing more there, until Release.
const (
	Hold    Wish = "hold"
	Release Wish = "release"
)

// Measure has a machine whose disk is in memory say what it holds and can hold.
const Measure Wish = "disk"

// Ask asks the agent to do something.
func (c *Channel) Ask(wish Wish) { c.sendNow(message{Type: string(wish)}) }

func (c *Channel) sendNow(one message) {
	raw, err := json.Marshal(one)
	if err != nil {
		return
	}
	_ = c.send(raw, nil)
}

func (c *Channel) send(raw, rights []byte) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return syscall.Sendmsg(c.fd, raw, rights, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

// Give hands a connection to the agent; it waits while the agent does not take it, until the deadline.
func (c *Channel) Give(connection *os.File, kind Kind, deadline time.Time) error {
	raw, err := json.Marshal(message{Type: "connection", Kind: kind.Name, Port: kind.Port})
	if err != nil {
		return err
	}
	socket, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	source, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	_ = c.file.SetWriteDeadline(deadline)
	var sent error
	err = source.Control(func(fd uintptr) {
		rights := syscall.UnixRights(int(fd))
		err := socket.Write(func(to uintptr) bool {
			sent = syscall.Sendmsg(int(to), raw, rights, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
			return !errors.Is(sent, syscall.EAGAIN)
		})
		sent = errors.Join(sent, err)
	})
	return errors.Join(err, sent)
}

// Hearer is who hears the agent. Its answers must not wait.
type Hearer struct {
	// Ready hears the first word that the agent serves.
	Ready func(Ready)
	// Kills answers how many out-of-memory kills the machine has seen.
	Kills func() uint64
	// Done hears that the agent has done what it was asked.
	Done func(Wish)
	// Trouble hears what the machine could not do, in its own words.
	Trouble func(string)
	// Measured hears what the disk holds and can hold, in bytes; nil where nobody asks.
	Measured func(used, total uint64)
}

// Listen takes the agent's messages until there are no more.
func (c *Channel) Listen(hearer Hearer) error {
	buffer := make([]byte, maxMessageBytes)
	second, count := time.Now(), 0
	for told := false; ; {
		// A plain read drops descriptors that a hostile agent might send.
		n, err := c.file.Read(buffer)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		if count++; count > maxMessagesPerSecond {
			time.Sleep(time.Until(second.Add(time.Second)))
		}
		if time.Since(second) > time.Second {
			second, count = time.Now(), 0
		}
		var one message
		if json.Unmarshal(buffer[:n], &one) != nil {
			continue
		}
		switch one.Type {
		case "ready":
			if !told {
				told = true
				buffer = make([]byte, 1024)
				hearer.Ready(Ready{ProtocolVersion: brief(one.Version), AgentVersion: brief(one.AgentVersion)})
			}
		case "oom":
			seen := hearer.Kills()
			c.sendNow(message{Type: "oom", ID: one.ID, Count: &seen})
		case "stopped":
			hearer.Done(Stop)
		case "synced":
			hearer.Done(Sync)
		case "held":
			hearer.Done(Hold)
		case "disk":
			if hearer.Measured != nil {
				hearer.Measured(one.Used, one.Total)
			}
		case "failed", "unheld":
			hearer.Trouble(plain(one.Message))
		}
	}
}

// plain makes a line of what a guest said.
func plain(text string) string {
	return strings.Map(func(one rune) rune {
		if one < ' ' || one > '~' {
			return '?'
		}
		return one
	}, text[:min(len(text), 500)])
}

func brief(text string) string { return text[:min(len(text), 64)] }

// Close ends the channel, and with it an agent that was not asked to leave.
func (c *Channel) Close() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.closed = true
	c.file.Close()
}
