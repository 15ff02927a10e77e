package channel

import (
	"errors"
	"net"
	"os"

	"cofferdam/guest/access"
)

// Listener gives handed-over connections to an HTTP server.
type Listener struct {
	connections chan net.Conn
	closed      chan struct{}
}

// NewListener makes an empty one.
func NewListener() *Listener {
	return &Listener{connections: make(chan net.Conn, 16), closed: make(chan struct{})}
}

// Take makes a connection of a descriptor and offers it. The descriptor is the listener's from here on.
func (l *Listener) Take(file *os.File, kind access.Kind) error {
	if file == nil {
		return errors.New("a connection came without a descriptor")
	}
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return err
	}
	l.Offer(access.Conn{Conn: conn, Kind: kind})
	return nil
}

// Offer gives a connection to the server.
func (l *Listener) Offer(conn net.Conn) {
	select {
	case l.connections <- conn:
	case <-l.closed:
		conn.Close()
	}
}

// Accept answers the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.connections:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *Listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// Addr is asked for by net.Listener.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "descriptor 3", Net: "unixpacket"} }
