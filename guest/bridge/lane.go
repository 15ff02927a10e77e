package bridge

import (
	"errors"
	"io"
	"net"
	"sync"
)

const (
	// window is how much of a connection may be on its way, unread, in one direction.
	window = 256 << 10
	// chunkBytes is the most of a connection that goes in one frame, so that others have their turn.
	chunkBytes = 32 << 10
	// grantBytes is how much must have been read before the other side hears of it.
	grantBytes = window / 4
)

// lane is a connection: what comes from it goes to the stream as far as the other side has room, and the other way round.
type lane struct {
	bridge *Bridge
	id     uint32
	conn   net.Conn

	mutex   sync.Mutex
	changed *sync.Cond
	// allowed is how many bytes the other side has room for.
	allowed int
	// waiting is what came and was not written yet; at most a window.
	waiting []byte
	// noMore says that nothing follows what is waiting.
	noMore  bool
	stopped bool
	open    int
}

func newLane(bridge *Bridge, id uint32, conn net.Conn) *lane {
	one := &lane{bridge: bridge, id: id, conn: conn, allowed: window, open: 2}
	one.changed = sync.NewCond(&one.mutex)
	return one
}

func (l *lane) start() {
	go l.run(l.readAll)
	go l.run(l.writeAll)
}

// run does one direction; with the last of both, the connection is over. A direction that failed takes the other with it.
func (l *lane) run(direction func() error) {
	err := direction()
	l.mutex.Lock()
	l.open--
	last := l.open == 0
	failed := err != nil && !l.stopped
	l.mutex.Unlock()
	if failed {
		l.stop()
		_ = l.bridge.write(frame{reset, l.id, nil})
	}
	if last {
		l.conn.Close()
		l.bridge.forget(l)
	}
}

// stop ends both directions at once.
func (l *lane) stop() {
	l.mutex.Lock()
	l.stopped = true
	l.waiting = nil
	l.changed.Broadcast()
	l.mutex.Unlock()
	l.conn.Close()
}

var errStopped = errors.New("the connection is over")

// readAll brings what comes from the connection to the stream.
func (l *lane) readAll() error {
	buffer := make([]byte, chunkBytes)
	for {
		room, err := l.awaitRoom()
		if err != nil {
			return err
		}
		n, err := l.conn.Read(buffer[:min(room, chunkBytes)])
		if n > 0 {
			l.mutex.Lock()
			l.allowed -= n
			l.mutex.Unlock()
			if err := l.bridge.write(frame{data, l.id, buffer[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return l.bridge.write(frame{end, l.id, nil})
		}
		if err != nil {
			return err
		}
	}
}

func (l *lane) awaitRoom() (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for l.allowed == 0 && !l.stopped {
		l.changed.Wait()
	}
	if l.stopped {
		return 0, errStopped
	}
	return l.allowed, nil
}

// writeAll brings what came to the connection.
func (l *lane) writeAll() error {
	read := 0
	for {
		part, err := l.next()
		if err != nil {
			return err
		}
		if part == nil {
			return closeWrite(l.conn)
		}
		if _, err := l.conn.Write(part); err != nil {
			return err
		}
		if read += len(part); read >= grantBytes {
			if err := l.bridge.write(creditFrame(l.id, read)); err != nil {
				return err
			}
			read = 0
		}
	}
}

// next takes what waits; nil: nothing more will come.
func (l *lane) next() ([]byte, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for len(l.waiting) == 0 && !l.noMore && !l.stopped {
		l.changed.Wait()
	}
	if l.stopped {
		return nil, errStopped
	}
	part := l.waiting
	l.waiting = nil
	return part, nil
}

func closeWrite(conn net.Conn) error {
	closer, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errStopped
	}
	// Whoever has the other end may have closed it already.
	_ = closer.CloseWrite()
	return nil
}

// receive takes some of the other side's bytes. More than it was allowed is a breach.
func (l *lane) receive(part []byte) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.noMore {
		return errFrame
	}
	if l.stopped {
		return nil
	}
	if len(l.waiting)+len(part) > window {
		return errFrame
	}
	l.waiting = append(l.waiting, part...)
	l.changed.Broadcast()
	return nil
}

func (l *lane) receiveEnd() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.noMore = true
	l.changed.Broadcast()
}

// allow notes that the other side has read.
func (l *lane) allow(bytes int) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if bytes <= 0 || bytes > window-l.allowed {
		return errFrame
	}
	l.allowed += bytes
	l.changed.Broadcast()
	return nil
}
