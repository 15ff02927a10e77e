package channel

import (
	"net"
	"sync"
)

// Taken are the connections that the host handed over and that are open: what the kernel of a machine cannot keep while it
// is on a disk.
type Taken struct {
	mutex sync.Mutex
	open  map[net.Conn]struct{}
}

// Add notes a connection.
func (t *Taken) Add(conn net.Conn) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.open == nil {
		t.open = map[net.Conn]struct{}{}
	}
	t.open[conn] = struct{}{}
}

// Forget notes that a connection is about to be closed.
func (t *Taken) Forget(conn net.Conn) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.open, conn)
}

// CloseAll closes every connection and answers when no descriptor of them is left.
func (t *Taken) CloseAll() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for conn := range t.open {
		// Close waits for the descriptor's own end.
		conn.Close()
	}
	clear(t.open)
}

// noted is a connection that its owner closes.
type noted struct {
	net.Conn
	taken *Taken
}

func (n noted) Close() error {
	// In this order: while the descriptor is open, CloseAll must know of it.
	err := n.Conn.Close()
	n.taken.Forget(n.Conn)
	return err
}
