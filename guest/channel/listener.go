package channel

import (
	"net"

	"cofferdam/guest/access"
)

// Listener gives handed-over connections to an HTTP server.
type Listener struct {
	taken       *Taken
	connections chan net.Conn
	closed      chan struct{}
}

// NewListener makes an empty one, whose open connections are among those taken.
func NewListener(taken *Taken) *Listener {
	return &Listener{taken: taken, connections: make(chan net.Conn, 16), closed: make(chan struct{})}
}

// Take offers a connection from the host, which is the listener's from here on.
func (l *Listener) Take(conn net.Conn, kind access.Kind) {
	l.taken.Add(conn)
	l.Offer(access.Conn{Conn: noted{conn, l.taken}, Kind: kind})
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
