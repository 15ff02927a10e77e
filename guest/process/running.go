package process

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"cofferdam/guest/child"
)

const (
	pipeChunkBytes     = 32 << 10
	terminalChunkBytes = 16 << 10
)

// listener is one reader of a process's events. The channel is short: who reads slowly slows the process.
type listener struct {
	events chan []byte
	gone   chan struct{}
}

// running is a process with its streams. Its events go to whoever listens and are dropped when nobody does.
type running struct {
	child  *child.Child
	config Config
	tag    string
	input  *os.File
	master *os.File
	// begin starts the pumps; it is called once, when the first listener is there.
	begin func()

	inputMutex sync.Mutex
	mutex      sync.Mutex
	listeners  map[*listener]struct{}
	end        []byte
	reason     child.Reason
	endedAt    time.Time
	pumps      sync.WaitGroup
}

func (r *running) listen() *listener {
	one := &listener{events: make(chan []byte, 4), gone: make(chan struct{})}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.end != nil {
		close(one.events)
		return one
	}
	r.listeners[one] = struct{}{}
	return one
}

func (r *running) leave(one *listener) {
	close(one.gone)
	r.mutex.Lock()
	delete(r.listeners, one)
	r.mutex.Unlock()
}

func (r *running) isOver() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.end != nil
}

func (r *running) endEvent() []byte {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.end
}

// wasTimedOut is for the caller who set the time; others hear of an end like any other.
func (r *running) wasTimedOut() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.end != nil && r.reason == child.TimedOut
}

func (r *running) send(event []byte) {
	r.mutex.Lock()
	listeners := make([]*listener, 0, len(r.listeners))
	for one := range r.listeners {
		listeners = append(listeners, one)
	}
	r.mutex.Unlock()
	for _, one := range listeners {
		select {
		case one.events <- event:
		case <-one.gone:
		}
	}
}

func (r *running) isHeard() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return len(r.listeners) > 0
}

// pump moves output to the listeners until the process is over and what it left in the pipe is read; from then on,
// what descendants still print is read and dropped, so that they are not killed for printing.
func (r *running) pump(stream string, from *os.File, chunkBytes int) {
	buffer := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buffer)
		if n > 0 && r.isHeard() {
			r.send(dataEvent(stream, buffer[:n]))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.drain(stream, from, buffer)
			r.pumps.Done()
			discard(from, buffer)
			return
		}
		if err != nil {
			r.pumps.Done()
			from.Close()
			return
		}
	}
}

// drain reads what is there and does not wait for more.
func (r *running) drain(stream string, from *os.File, buffer []byte) {
	raw, err := from.SyscallConn()
	if err != nil {
		return
	}
	for most := 1 << 10; most > 0; most-- {
		n := 0
		_ = raw.Control(func(fd uintptr) { n, _ = syscall.Read(int(fd), buffer) })
		if n <= 0 {
			return
		}
		if r.isHeard() {
			r.send(dataEvent(stream, buffer[:n]))
		}
	}
}

func discard(from *os.File, buffer []byte) {
	defer from.Close()
	if from.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for {
		if _, err := from.Read(buffer[:1<<10]); err != nil {
			return
		}
	}
}

// follow waits for the end and tells it once all output has been delivered.
func (r *running) follow(outputs []*os.File) {
	end := r.child.Wait()
	for _, output := range outputs {
		_ = output.SetReadDeadline(time.Unix(1, 0))
	}
	r.pumps.Wait()
	r.closeInput()
	r.mutex.Lock()
	r.end = endEvent(end)
	r.reason = end.Reason
	r.endedAt = time.Now()
	listeners := r.listeners
	r.listeners = nil
	r.mutex.Unlock()
	for one := range listeners {
		close(one.events)
	}
}

func (r *running) closeInput() {
	r.inputMutex.Lock()
	defer r.inputMutex.Unlock()
	if r.input != nil {
		r.input.Close()
		r.input = nil
	}
}
