package channel

import (
	"fmt"
	"net"
	"os"

	"cofferdam/guest/socket"
)

// Sockets makes connections of descriptors from the host.
type Sockets interface {
	// Connection is a stream's.
	Connection(descriptor int) (net.Conn, error)
	// Channel is one that carries messages.
	Channel(descriptor int) (*Channel, error)
}

// Lasting are sockets that a machine has as long as it lives.
type Lasting struct{}

// Connection is a stream's.
func (Lasting) Connection(descriptor int) (net.Conn, error) {
	file := os.NewFile(uintptr(descriptor), "handed over")
	defer file.Close()
	return net.FileConn(file)
}

// Channel is one that carries messages.
func (l Lasting) Channel(descriptor int) (*Channel, error) {
	conn, err := l.Connection(descriptor)
	if err != nil {
		return nil, fmt.Errorf("the channel is no socket: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("the channel is no unix socket")
	}
	return New(unixConn), nil
}

// Passing are sockets that a machine can let go without a trace in its kernel.
type Passing struct{ poller socket.Poller }

// Connection is a stream's.
func (p *Passing) Connection(descriptor int) (net.Conn, error) { return p.poller.Take(descriptor) }

// Channel is one that carries messages.
func (p *Passing) Channel(descriptor int) (*Channel, error) {
	conn, err := p.poller.Take(descriptor)
	if err != nil {
		return nil, err
	}
	return New(conn), nil
}
